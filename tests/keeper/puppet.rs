//! A supervisor that does what the test says. The keeper starts this very test program; [`ROLE`] sees by the arguments that
//! it is to be a supervisor. It inherits one end of a socket pair as the held descriptor `control`, says its pid there, and
//! then answers one packet for each packet it gets, descriptors included.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};
use podlet::linux::cgroup::Entrance;
use podlet::linux::keeper::{Keeper, Report, Spawn, Start, start};
use podlet::linux::programs::Program;

use super::table::{Running, Table};

/// Runs before main, with main's arguments (glibc's way with `.init_array`).
#[used]
#[unsafe(link_section = ".init_array")]
static ROLE: extern "C" fn(i32, *const *const libc::c_char) = role;

extern "C" fn role(count: i32, arguments: *const *const libc::c_char) {
    // SAFETY: the program's arguments.
    let first = unsafe { std::ffi::CStr::from_ptr(*arguments) };
    if count == 2 && first == c"puppet" {
        // As the runtime would have done it before main.
        // SAFETY: a constant disposition.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        std::process::exit(supervise());
    }
}

fn supervise() -> i32 {
    let keeper = Keeper::inherited().unwrap();
    let mut held = keeper.held().unwrap();
    let control = held.remove(held.iter().position(|(tag, _)| tag == "control").unwrap()).1;
    if say(control.as_fd(), &std::process::id().to_string(), &[]).is_err() {
        // The test is gone: so is its pod.
        return 0;
    }
    loop {
        let Some((order, fds)) = hear(control.as_fd()) else { return 0 };
        let words: Vec<&str> = order.split(' ').collect();
        let mut given = Vec::new();
        let result =
            |result: io::Result<()>| result.map_or_else(|error| format!("{:?}", error.kind()), |()| "ok".into());
        let answer = match words[..] {
            ["spawn", id, flags, second, targets] => {
                let numbers = targets.split(',').filter(|text| !text.is_empty()).map(|text| text.parse().unwrap());
                let descriptors: Vec<_> = fds[1..].iter().map(|fd| fd.as_fd()).zip(numbers).collect();
                result(keeper.spawn(&Spawn {
                    id,
                    clone_flags: flags.parse().unwrap(),
                    cgroup: None,
                    program: fds[0].as_fd(),
                    descriptors: &descriptors,
                    second: second == "true",
                }))
            }
            ["peek"] => match keeper.peek() {
                Err(error) => format!("{:?}", error.kind()),
                Ok(None) => "none".into(),
                Ok(Some(received)) => {
                    given.extend(received.pidfd);
                    match received.report {
                        Report::Spawned { id, pid } => format!("spawned {id} {pid}"),
                        Report::SpawnFailed { id, errno } => format!("failed {id} {errno}"),
                        Report::Upgraded { errno } => format!("upgraded {errno}"),
                        Report::HoldFailed { tag, errno } => format!("unheld {tag} {errno}"),
                        Report::Exited { sequence, id, pid, code, status, wall, boot } => {
                            format!("exited {sequence} {id} {pid} {code} {status} {wall} {boot}")
                        }
                    }
                }
            },
            ["wait"] => {
                wait_readable(keeper.socket());
                "ok".into()
            }
            ["take"] => result(keeper.take()),
            ["forget", id] => result(keeper.forget(id)),
            ["hold", tag] => result(keeper.hold(tag, fds[0].as_fd())),
            ["upgrade"] => result(keeper.upgrade(fds[0].as_fd(), fds[1].as_fd())),
            ["release", tag] => result(keeper.release(tag)),
            ["held"] => {
                let tags: Vec<_> = held.iter().map(|(tag, _)| tag.as_str()).collect();
                given.extend(held.iter().map(|(_, fd)| fd.try_clone().unwrap()));
                tags.join(" ")
            }
            ["children"] => {
                let children = keeper.children();
                children.iter().map(|(id, pid)| format!("{id} {pid}")).collect::<Vec<_>>().join(" ")
            }
            ["info"] => {
                let (code, status) = keeper.last_end().unwrap_or((-1, -1));
                let (keeper_pid, guard) = keeper.pids();
                format!("{} {} {code} {status} {keeper_pid} {guard}", keeper.starts(), keeper.failures())
            }
            ["exit", code] => return code.parse().unwrap(),
            _ => panic!("{order:?}"),
        };
        say(control.as_fd(), &answer, &given.iter().map(|fd| fd.as_fd()).collect::<Vec<_>>()).unwrap();
    }
}

fn say(socket: BorrowedFd<'_>, text: &str, fds: &[BorrowedFd<'_>]) -> nix::Result<usize> {
    let fds: Vec<RawFd> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let rights = if fds.is_empty() { &rights[..0] } else { &rights[..] };
    // One byte more: an empty packet would look like the end.
    let text = format!("{text}\n");
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(text.as_bytes())], rights, MsgFlags::MSG_NOSIGNAL, None)
}

fn hear(socket: BorrowedFd<'_>) -> Option<(String, Vec<OwnedFd>)> {
    let mut text = vec![0; 65536];
    let mut space = nix::cmsg_space!([RawFd; 253]);
    let mut parts = [IoSliceMut::new(&mut text)];
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC).unwrap();
    let mut fds = Vec::new();
    for message in received.cmsgs().unwrap() {
        if let ControlMessageOwned::ScmRights(raw) = message {
            // SAFETY: just received.
            fds.extend(raw.iter().map(|fd| unsafe { OwnedFd::from_raw_fd(*fd) }));
        }
    }
    let length = received.bytes;
    text.truncate(length);
    (length > 0).then(|| (String::from_utf8(text).unwrap().trim_end_matches('\n').to_owned(), fds))
}

/// What the keeper said.
#[derive(Debug, PartialEq, Clone)]
pub enum Said {
    Spawned { id: String, pid: i32 },
    SpawnFailed { id: String, errno: i32 },
    Exited(Exit),
    Other(String),
}

#[derive(Debug, PartialEq, Clone)]
pub struct Exit {
    pub sequence: u64,
    pub id: String,
    pub pid: i32,
    pub code: i32,
    pub status: i32,
    pub wall: i64,
    pub boot: u64,
}

pub struct Info {
    pub starts: u32,
    pub failures: u32,
    pub last_end: Option<(i32, i32)>,
    /// Keeper and guard.
    pub pids: (i32, i32),
}

/// A pod's keeper with a puppet as its supervisor. Dropped in a failing test, it takes everything with it.
#[derive(Debug)]
pub struct Pod {
    control: OwnedFd,
    guard: i32,
    supervisor: i32,
    cgroup: File,
    exits: usize,
    pidfd: Option<OwnedFd>,
}

impl Pod {
    pub fn start(name: &str) -> Pod {
        Pod::try_start(name, None).unwrap()
    }

    pub fn try_start(name: &str, tasks: Option<OwnedFd>) -> io::Result<Pod> {
        let (control, other) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let cgroup = File::from(super::table::memfd(b""));
        let first = OwnedFd::from(cgroup.try_clone()?);
        let entrance = Entrance { unified: None, tasks: [first].into_iter().chain(tasks).collect() };
        let guard = start(&Start {
            name,
            program: File::open("/proc/self/exe").unwrap().as_fd(),
            arguments: &["puppet", name],
            log: None,
            cgroup: &entrance,
            held: &[("control", other.as_fd())],
            programs: &std::env::temp_dir(),
        })?;
        let mut pod = Pod { control, guard, supervisor: 0, cgroup, exits: 0, pidfd: None };
        pod.next_supervisor();
        Ok(pod)
    }

    /// Waits until a supervisor has started.
    pub fn next_supervisor(&mut self) {
        self.supervisor = hear(self.control.as_fd()).unwrap().0.parse().unwrap();
    }

    pub fn supervisor(&self) -> i32 {
        self.supervisor
    }

    pub fn kill_supervisor(&mut self) {
        kill_and_wait(self.supervisor);
    }

    fn ask(&mut self, order: &str, fds: &[BorrowedFd<'_>]) -> (String, Vec<OwnedFd>) {
        say(self.control.as_fd(), order, fds).unwrap();
        hear(self.control.as_fd()).unwrap()
    }

    fn ok(&mut self, order: &str, fds: &[BorrowedFd<'_>]) {
        assert_eq!(self.ask(order, fds).0, "ok", "{order}");
    }

    pub fn try_spawn(
        &mut self,
        id: &str,
        flags: u64,
        second: bool,
        program: BorrowedFd<'_>,
        descriptors: &[(BorrowedFd<'_>, u32)],
    ) -> bool {
        let targets: Vec<String> = descriptors.iter().map(|(_, target)| target.to_string()).collect();
        let mut fds = vec![program];
        fds.extend(descriptors.iter().map(|(fd, _)| *fd));
        match self.ask(&format!("spawn {id} {flags} {second} {}", targets.join(",")), &fds).0.as_str() {
            "ok" => true,
            "WouldBlock" => false,
            other => panic!("{other}"),
        }
    }

    pub fn spawn(
        &mut self,
        id: &str,
        flags: u64,
        second: bool,
        program: BorrowedFd<'_>,
        descriptors: &[(BorrowedFd<'_>, u32)],
    ) {
        assert!(self.try_spawn(id, flags, second, program, descriptors));
    }

    pub fn spawn_table(
        &mut self,
        id: &str,
        flags: u64,
        second: bool,
        table: &Table,
        descriptors: &[(BorrowedFd<'_>, u32)],
    ) -> Running {
        self.stage(id, flags, second, table.memfd(), descriptors)
    }

    pub fn spawn_bytes(&mut self, id: &str, table: &[u8]) -> Running {
        self.stage(id, 0, false, super::table::memfd(table), &[])
    }

    pub fn spawn_bytes_second(&mut self, id: &str, table: &[u8]) -> Running {
        self.stage(id, 0, true, super::table::memfd(table), &[])
    }

    fn stage(
        &mut self,
        id: &str,
        flags: u64,
        second: bool,
        table: OwnedFd,
        descriptors: &[(BorrowedFd<'_>, u32)],
    ) -> Running {
        let stage = Program::Stage.open(&std::env::temp_dir()).unwrap();
        let (running, status) = Running::of(table.try_clone().unwrap());
        let mut all = vec![(table.as_fd(), 3), (status.as_fd(), 4)];
        all.extend(descriptors);
        self.spawn(id, flags, second, stage.as_fd(), &all);
        running
    }

    fn parse(&mut self, text: &str) -> Said {
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["spawned", id, pid] => Said::Spawned { id: id.into(), pid: pid.parse().unwrap() },
            ["failed", id, errno] => Said::SpawnFailed { id: id.into(), errno: errno.parse().unwrap() },
            ["exited", sequence, id, pid, code, status, wall, boot] => Said::Exited(Exit {
                sequence: sequence.parse().unwrap(),
                id: id.into(),
                pid: pid.parse().unwrap(),
                code: code.parse().unwrap(),
                status: status.parse().unwrap(),
                wall: wall.parse().unwrap(),
                boot: boot.parse().unwrap(),
            }),
            _ => Said::Other(text.into()),
        }
    }

    /// The first report, if there is one, not taken.
    pub fn peek(&mut self) -> Option<Said> {
        let (text, fds) = self.ask("peek", &[]);
        self.pidfd = fds.into_iter().next();
        (text != "none").then(|| self.parse(&text))
    }

    /// Until there is a report, or no keeper any more.
    pub fn wait(&mut self) {
        self.ok("wait", &[]);
    }

    pub fn wait_peek(&mut self) -> Said {
        self.wait();
        self.peek().unwrap()
    }

    pub fn peek_error(&mut self) -> Option<io::ErrorKind> {
        (self.ask("peek", &[]).0 == "UnexpectedEof").then_some(io::ErrorKind::UnexpectedEof)
    }

    /// Waits for a report and takes it.
    pub fn report(&mut self) -> Said {
        let said = self.wait_peek();
        self.ok("take", &[]);
        said
    }

    /// Waits for this one; anything else is wrong.
    pub fn spawned(&mut self, of: &str) -> i32 {
        match self.report() {
            Said::Spawned { id, pid } if id == of => pid,
            other => panic!("{other:?}"),
        }
    }

    pub fn exited(&mut self) -> Exit {
        match self.report() {
            Said::Exited(exit) => {
                self.exits += 1;
                exit
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn exits_seen(&self) -> usize {
        self.exits
    }

    /// Of the last report.
    pub fn pidfd(&mut self) -> OwnedFd {
        self.pidfd.take().unwrap()
    }

    pub fn forget(&mut self, id: &str) {
        self.ok(&format!("forget {id}"), &[]);
    }

    pub fn hold(&mut self, tag: &str, fd: BorrowedFd<'_>) {
        self.ok(&format!("hold {tag}"), &[fd]);
    }

    /// Asks the keeper to become another program; answered by a report.
    pub fn upgrade(&mut self, keeper: BorrowedFd<'_>) {
        let program = File::open("/proc/self/exe").unwrap();
        self.ok("upgrade", &[program.as_fd(), keeper]);
    }

    pub fn release(&mut self, tag: &str) {
        self.ok(&format!("release {tag}"), &[]);
    }

    pub fn held(&mut self) -> Vec<(String, OwnedFd)> {
        let (text, fds) = self.ask("held", &[]);
        text.split(' ').filter(|tag| !tag.is_empty()).map(str::to_owned).zip(fds).collect()
    }

    pub fn children(&mut self) -> Vec<(String, i32)> {
        let text = self.ask("children", &[]).0;
        let words: Vec<&str> = text.split(' ').collect();
        words.chunks_exact(2).map(|pair| (pair[0].into(), pair[1].parse().unwrap())).collect()
    }

    /// Waits until the children whose ids begin so are these: an end is told before its child is reaped and struck off.
    pub fn children_become(&mut self, begin: &str, expected: &[(String, i32)]) {
        let asked = Instant::now();
        loop {
            let mut found = self.children();
            found.retain(|(id, _)| id.starts_with(begin));
            if found == expected {
                return;
            }
            assert!(asked.elapsed() < Duration::from_secs(60), "{found:?} instead of {expected:?}");
        }
    }

    pub fn info(&mut self) -> Info {
        let text = self.ask("info", &[]).0;
        let numbers: Vec<i32> = text.split(' ').map(|word| word.parse().unwrap()).collect();
        Info {
            starts: numbers[0] as u32,
            failures: numbers[1] as u32,
            last_end: (numbers[2] >= 0).then_some((numbers[2], numbers[3])),
            pids: (numbers[4], numbers[5]),
        }
    }

    pub fn cgroup_text(&mut self) -> String {
        let mut text = String::new();
        self.cgroup.rewind().unwrap();
        self.cgroup.read_to_string(&mut text).unwrap();
        text
    }

    /// The supervisor ends as one does that sleeps, and is reaped.
    pub fn falls_asleep(&mut self) {
        let gone = pidfd_of(self.supervisor).unwrap();
        say(self.control.as_fd(), &format!("exit {}", pause::message::ASLEEP_EXIT), &[]).unwrap();
        wait_readable(&gone);
        while std::path::Path::new(&format!("/proc/{}", self.supervisor)).exists() {
            std::thread::yield_now();
        }
    }

    pub fn supervisor_exits(&mut self) {
        say(self.control.as_fd(), "exit 0", &[]).unwrap();
    }

    /// The pod is over: keeper and twin must leave.
    pub fn end(mut self) {
        let (keeper, _) = self.info().pids;
        let watched: Vec<OwnedFd> = [keeper, self.guard].into_iter().filter_map(pidfd_of).collect();
        assert!(!watched.is_empty());
        self.supervisor_exits();
        watched.iter().for_each(wait_readable);
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        // The guard's descendants, found before it dies. Only a failing test comes here.
        let mut doomed = vec![self.guard, self.supervisor];
        let mut index = 0;
        while let Some(pid) = doomed.get(index).copied() {
            index += 1;
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            doomed.extend(children.split_whitespace().filter_map(|word| word.parse::<i32>().ok()));
        }
        for pid in doomed.into_iter().filter(|pid| *pid > 1) {
            // SAFETY: our own descendants.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

fn pidfd_of(pid: i32) -> Option<OwnedFd> {
    // SAFETY: a new descriptor.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as RawFd;
    // SAFETY: as above.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

pub fn wait_readable(fd: impl AsFd) {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    while poll(&mut fds, PollTimeout::NONE) != Ok(1) {}
}

/// It must exist.
pub fn kill(pid: i32, signal: i32) {
    // SAFETY: a process of this test.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

pub fn kill_and_wait(pid: i32) {
    let pidfd = pidfd_of(pid).unwrap();
    kill(pid, libc::SIGKILL);
    wait_readable(&pidfd);
}

/// Until the process has this name, and sleeps: it has nothing left to do then.
pub fn wait_asleep(pid: i32, name: &str) {
    let asleep = format!("({name}) S ");
    while !std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(&asleep) {
        std::thread::yield_now();
    }
}
