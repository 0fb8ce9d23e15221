//! keeper: the parent of everything in a pod, and its supervisor's memory. It makes the processes that the supervisor asks
//! for, reports each end, holds descriptors, and starts the supervisor again when that dies. It decides nothing, opens
//! nothing, allocates nothing, and knows neither pods nor containers. What it says and shares is in `pause::message`.
//!
//! It is two processes: `guard`, which came first, shares its descriptor table with its child `keeper` and waits for it.
//! Both are subreapers. When the keeper is killed all its children are the guard's, which then is the keeper, alone: a new
//! twin could only be its child, and orphans go to ancestors. When the guard is killed the keeper goes on, alone likewise.
#![no_std]
#![no_main]

use core::mem::size_of;
use core::ptr::null;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};
use pause::message::*;
use pause::sys::*;
use pause::table::{SECOND_OFFSET, TABLE_DESCRIPTOR};

pause::program!();

const SIGCHLD: u64 = 17;
const SIG_SETMASK: i32 = 2;
const EAGAIN: isize = -11;
const EINVAL: i32 = 22;
const EMFILE: i32 = 24;
const ENOSPC: i32 = 28;
const NONBLOCK_CLOEXEC: i32 = 0o4000 | 0o2000000;
const CLOSE_RANGE_CLOEXEC: u32 = 4;
const F_DUPFD_CLOEXEC: i32 = 1030;
const F_SETFD: i32 = 2;
const PR_SET_DUMPABLE: i32 = 4;
const PR_SET_NAME: i32 = 15;
const PR_SET_CHILD_SUBREAPER: i32 = 36;
const PR_GET_NO_NEW_PRIVS: i32 = 39;
const CAP_SYS_ADMIN: u32 = 1 << 21;
const AT_EMPTY_PATH: usize = 0x1000;
const CLONE_FILES: usize = 0x400;
const CLONE_PARENT_SETTID: u64 = 0x100000;
/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME.
const NAMESPACES: u64 = 0x7e020080;
const P_ALL: i32 = 0;
const P_PID: i32 = 1;
const WNOHANG: i32 = 1;
const WEXITED: i32 = 4;
const WNOWAIT: i32 = 0x01000000;
const CLD_EXITED: i32 = 1;
const CLOCK_REALTIME: i32 = 0;
const CLOCK_BOOTTIME: i32 = 7;
const POLLIN: i16 = 1;
const POLLOUT: i16 = 4;
const MSG_PEEK: i32 = 2;
const MSG_TRUNC: i32 = 0x20;
const MSG_DONTWAIT: i32 = 0x40;
const MSG_NOSIGNAL: i32 = 0x4000;
const MSG_CMSG_CLOEXEC: i32 = 0x40000000;

fn main() -> i32 {
    close_range(3, u32::MAX, CLOSE_RANGE_CLOEXEC);
    // SAFETY: a new shared mapping of the page's file, whose size its maker has set.
    let page = unsafe { call(number::MMAP, [0, size_of::<Page>(), 1 | 2, 1, PAGE_DESCRIPTOR as usize, 0]) };
    if page < 0 {
        return 1;
    }
    // SAFETY: mapped for good; what changes in it is atomic.
    let page = unsafe { &*(page as *const Page) };
    if page.magic != MAGIC || page.version != VERSION {
        return 1;
    }
    for signal in 1..=64 {
        rt_sigaction(signal, &[0; 4], 0, 8);
    }
    rt_sigprocmask(SIG_SETMASK, &!0, 0, 8);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    drop_capabilities();
    let signals = signalfd4(-1, &(1 << (SIGCHLD - 1)), 8, NONBLOCK_CLOEXEC) as i32;
    page.guard.store(getpid() as i32, SeqCst);
    prctl_name(PR_SET_NAME, b"guard\0\0\0\0\0\0\0\0\0\0\0");
    // SAFETY: as fork, but for the one descriptor table that both use.
    let keeper = unsafe { call(number::CLONE, [CLONE_FILES | SIGCHLD as usize, 0, 0, 0, 0, 0]) } as i32;
    if keeper > 0 {
        let mut info = Siginfo::default();
        while waitid(P_PID, keeper, &mut info, WEXITED, 0) == -4 {}
        if info.code == CLD_EXITED && info.status == 0 {
            return 0;
        }
    } else {
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    if keeper != 0 {
        page.guard.store(0, SeqCst);
        close_strays(page, signals);
    }
    page.keeper.store(getpid() as i32, SeqCst);
    prctl_name(PR_SET_NAME, b"keeper\0\0\0\0\0\0\0\0\0\0");
    Keeper { page, signals, blocked: false }.run()
}

/// Only clone3 with namespaces needs one. With no_new_privs the children could not get theirs back at their exec: then none
/// is given up.
fn drop_capabilities() {
    const VERSION_3: [u32; 2] = [0x20080522, 0];
    let mut sets = [[0; 3]; 2];
    if prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 && capget(&VERSION_3, &mut sets) == 0 {
        let [[effective, permitted, _], _] = sets;
        capset(&VERSION_3, &[[effective & CAP_SYS_ADMIN, permitted & CAP_SYS_ADMIN, 0], [0; 3]]);
    }
}

/// What a killed keeper had received but not put down is not left open: a stray end of a pipe would keep it from its end.
fn close_strays(page: &Page, signals: i32) {
    for fd in KEEPER_SOCKET + 1..1024 {
        let kept = held(page).any(|held| held.descriptor.load(SeqCst) == fd);
        let table = children(page).any(|child| child.first.load(SeqCst) != 0 && child.table.load(SeqCst) == fd);
        if fd != signals && !kept && !table {
            close(fd);
        }
    }
}

fn children(page: &Page) -> impl Iterator<Item = &Child> {
    page.children.iter().take(page.children_used.load(SeqCst) as usize)
}

fn held(page: &Page) -> impl Iterator<Item = &Held> {
    page.held.iter().take(page.held_used.load(SeqCst) as usize)
}

fn time(clock: i32) -> u64 {
    let mut time = [0; 2];
    clock_gettime(clock, &mut time);
    time[0] as u64 * 1_000_000_000 + time[1] as u64
}

fn same(stored: &[AtomicU64; NAME_WORDS], name: &Name) -> bool {
    stored.iter().zip(name).all(|(a, b)| a.load(SeqCst) == *b)
}

fn store(stored: &[AtomicU64; NAME_WORDS], name: &Name) {
    stored.iter().zip(name).for_each(|(a, b)| a.store(*b, SeqCst));
}

fn load(stored: &[AtomicU64; NAME_WORDS]) -> Name {
    let mut name = Name::default();
    stored.iter().zip(&mut name).for_each(|(a, b)| *b = a.load(SeqCst));
    name
}

/// Like fork, with namespaces; the kernel stores the pid before the child runs, so it is known whatever happens to us.
fn clone3(namespaces: u64, pid: &AtomicI32) -> isize {
    let flags = namespaces | CLONE_PARENT_SETTID;
    let parent_tid = pid.as_ptr() as u64;
    let arguments = CloneArguments { flags, parent_tid, exit_signal: SIGCHLD, ..Default::default() };
    let size = size_of::<CloneArguments>();
    // SAFETY: the child has a copy of all memory but the page, which it does not write.
    unsafe { call(number::CLONE3, [&arguments as *const _ as usize, size, 0, 0, 0, 0]) }
}

/// In a child: ends this program. Signals are free again, the environment is empty.
fn execute(program: i32, arguments: &[*const u8]) -> i32 {
    rt_sigprocmask(SIG_SETMASK, &0, 0, 8);
    let environment = [null::<u8>()];
    let (path, argv, envp) = (c"".as_ptr() as usize, arguments.as_ptr() as usize, environment.as_ptr() as usize);
    // SAFETY: both lists end with a null pointer.
    unsafe { call(number::EXECVEAT, [program as usize, path, argv, envp, AT_EMPTY_PATH, 0]) };
    NOT_EXECUTED_EXIT
}

struct Keeper {
    page: &'static Page,
    signals: i32,
    /// The queue to the supervisor is full: nothing more is reaped or done before it has read some.
    blocked: bool,
}

impl Keeper {
    fn run(&mut self) -> i32 {
        let page = self.page;
        loop {
            self.blocked = false;
            self.supervisor_ended();
            self.exits();
            self.requests();
            let (supervisor, over) = (page.supervisor.load(SeqCst), page.over.load(SeqCst) == 1);
            let mut wait = None;
            if over {
                let mut info = Siginfo::default();
                if waitid(P_ALL, 0, &mut info, WEXITED | WNOHANG | WNOWAIT, 0) < 0 {
                    return 0;
                }
            } else if supervisor == 0 {
                let left = page.restart_at.load(SeqCst).saturating_sub(time(CLOCK_BOOTTIME));
                if left == 0 {
                    self.start_supervisor();
                    continue;
                }
                wait = Some([(left / 1_000_000_000) as i64, (left % 1_000_000_000) as i64]);
            }
            let events = if self.blocked { POLLOUT } else { POLLIN };
            let signals = PollFd { fd: self.signals, events: POLLIN, found: 0 };
            ppoll(&mut [signals, PollFd { fd: KEEPER_SOCKET, events, found: 0 }], 2, wait.as_ref(), 0);
            read(self.signals, &mut [0; 16], 128);
        }
    }

    /// Looks whether the supervisor has ended, by its number: its end must be seen behind any number of waiting ones.
    fn supervisor_ended(&mut self) {
        let (page, pid) = (self.page, self.page.supervisor.load(SeqCst));
        let mut info = Siginfo::default();
        if pid == 0 || waitid(P_PID, pid, &mut info, WEXITED | WNOHANG, 0) == 0 && info.pid == 0 {
            return;
        }
        page.ended_code.store(info.code, SeqCst);
        page.ended_status.store(info.status, SeqCst);
        if info.code == CLD_EXITED && info.status == 0 {
            page.over.store(1, SeqCst);
        } else {
            let now = time(CLOCK_BOOTTIME);
            let ran = now.saturating_sub(page.started_at.load(SeqCst));
            let failures = if ran > BACKOFF_MAX { 0 } else { page.failures.load(SeqCst) };
            page.failures.store(failures.saturating_add(1), SeqCst);
            page.restart_at.store(now + (BACKOFF_MIN << failures.min(10)).min(BACKOFF_MAX), SeqCst);
        }
        page.supervisor.store(0, SeqCst);
    }

    /// What the dead one asked for and could not be done yet (the queue being full of what it had not read) is dropped: its
    /// successor knows from its journal what it has no answer to, and asks again. So what is held now is what it inherits.
    fn start_supervisor(&mut self) {
        let page = self.page;
        while self.take_request() > 0 {}
        page.starts.fetch_add(1, SeqCst);
        page.started_at.store(time(CLOCK_BOOTTIME), SeqCst);
        let made = clone3(0, &page.supervisor);
        if made < 0 {
            page.restart_at.store(time(CLOCK_BOOTTIME) + 1_000_000_000, SeqCst);
        }
        if made != 0 {
            return;
        }
        fcntl(PAGE_DESCRIPTOR, F_SETFD, 0);
        fcntl(SUPERVISOR_SOCKET, F_SETFD, 0);
        for fd in held(page).map(|held| held.descriptor.load(SeqCst)).filter(|fd| *fd != 0) {
            fcntl(fd, F_SETFD, 0);
        }
        let mut arguments = [null(); ARGUMENTS_COUNT + 1];
        let mut rest = page.arguments.as_slice();
        for argument in arguments.iter_mut().take(ARGUMENTS_COUNT.min(page.arguments_count as usize)) {
            *argument = rest.as_ptr();
            let length = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            rest = rest.get(length + 1..).unwrap_or_default();
        }
        exit_group(execute(PROGRAM_DESCRIPTOR, &arguments));
    }

    /// Puts a packet into the queue, or notes that it is full. A pidfd that cannot go along stays out: it is a courtesy.
    fn send(&mut self, report: &Report, pidfd: i32) -> bool {
        let mut rights = Rights { size: 20, kind: [1, 1], fds: [pidfd; DESCRIPTORS_MAX + 2] };
        let (part, size) = (&raw const *report as *mut u8, size_of::<Report>());
        let flags = MSG_DONTWAIT | MSG_NOSIGNAL;
        let mut sent = EINVAL as isize;
        if pidfd >= 0 {
            // SAFETY: sending only reads the report.
            sent = unsafe { packet(number::SENDMSG, KEEPER_SOCKET, part, size, Some((&mut rights, 24)), flags) };
        }
        if pidfd < 0 || sent < 0 && sent != EAGAIN {
            // SAFETY: as above.
            sent = unsafe { packet(number::SENDMSG, KEEPER_SOCKET, part, size, None, flags) };
        }
        self.blocked = sent < 0;
        sent >= 0
    }

    fn answer(&mut self, child: &Child) -> bool {
        let pid = child.pid.load(SeqCst);
        let live = child.state.load(SeqCst) == LIVE;
        let pidfd = if live { pidfd_open(pid, 0) as i32 } else { -1 };
        let sent = self.send(&Report { kind: SPAWNED, pid, name: load(&child.name), ..Report::default() }, pidfd);
        if pidfd >= 0 {
            close(pidfd);
        }
        if sent {
            child.answered.store(1, SeqCst);
        }
        sent
    }

    /// Reports and then reaps whatever has ended. What cannot be reported stays a zombie, and so is never lost. One that was
    /// numbered comes first: if we are not the one who numbered it, it may be reported twice, but by one number.
    fn exits(&mut self) {
        let page = self.page;
        loop {
            let mut info = Siginfo::default();
            let pending = page.pending.load(SeqCst);
            let which = if pending == 0 { P_ALL } else { P_PID };
            if waitid(which, pending, &mut info, WEXITED | WNOHANG | WNOWAIT, 0) < 0 && pending != 0 {
                page.pending.store(0, SeqCst);
                continue;
            }
            let pid = info.pid;
            if pid == 0 {
                return;
            }
            if pid == page.supervisor.load(SeqCst) {
                self.supervisor_ended();
                continue;
            }
            if page.over.load(SeqCst) == 0 && !self.report(&info) {
                return;
            }
            waitid(P_PID, pid, &mut info, WEXITED | WNOHANG, 0);
            page.pending.store(0, SeqCst);
        }
    }

    /// Whether all that this end means was put into the queue.
    fn report(&mut self, info: &Siginfo) -> bool {
        let page = self.page;
        for child in children(page) {
            learn_second(child);
        }
        let is = |pid: &AtomicI32| pid.load(SeqCst) == info.pid;
        if let Some(child) = children(page).find(|child| is(&child.first)) {
            if child.pid.load(SeqCst) == 0 {
                // It ended before it could make a second: then the id means it.
                child.pid.store(info.pid, SeqCst);
            }
            if child.answered.load(SeqCst) == 0 && !self.answer(child) {
                return false;
            }
            child.first.store(0, SeqCst);
            close(child.table.load(SeqCst));
            if !is(&child.pid) {
                return true;
            }
        }
        let child = children(page).find(|child| child.state.load(SeqCst) == LIVE && is(&child.pid));
        if let Some(child) = child
            && child.answered.load(SeqCst) == 0
            && !self.answer(child)
        {
            return false;
        }
        if page.pending.load(SeqCst) != info.pid {
            page.sequence.fetch_add(1, SeqCst);
            page.pending.store(info.pid, SeqCst);
        }
        let sent = self.send(
            &Report {
                kind: EXITED,
                pid: info.pid,
                code: info.code,
                status: info.status,
                sequence: page.sequence.load(SeqCst),
                wall: time(CLOCK_REALTIME) as i64,
                boot: time(CLOCK_BOOTTIME),
                name: child.map(|child| load(&child.name)).unwrap_or_default(),
            },
            -1,
        );
        if let Some(child) = child
            && sent
        {
            child.state.store(ENDED, SeqCst);
        }
        sent
    }

    /// Takes the first packet out of the supervisor's queue without looking at it.
    fn take_request(&mut self) -> isize {
        // SAFETY: nothing is read into no bytes; the rest of the packet goes.
        unsafe { packet(number::RECVMSG, KEEPER_SOCKET, null::<u8>() as *mut u8, 0, None, MSG_DONTWAIT | MSG_TRUNC) }
    }

    /// Carries out requests. One is taken out of the queue only when it was done and answered.
    fn requests(&mut self) {
        while !self.blocked {
            // SAFETY: plain numbers.
            let mut request: Request = unsafe { core::mem::zeroed() };
            let mut rights = Rights { size: 0, kind: [0; 2], fds: [-1; DESCRIPTORS_MAX + 2] };
            let (part, size) = (&raw mut request as *mut u8, size_of::<Request>());
            let control = Some((&mut rights, size_of::<Rights>()));
            let flags = MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
            // SAFETY: a request is numbers, any bytes will do.
            let received = unsafe { packet(number::RECVMSG, KEEPER_SOCKET, part, size, control, flags) };
            if received <= 0 {
                return;
            }
            let count = rights.size.saturating_sub(16) / 4;
            let (fds, _) = rights.fds.split_at_mut_checked(count).unwrap_or_default();
            let targets = request.targets.get(..request.count as usize).unwrap_or_default();
            let done = match (request.kind, fds) {
                (SPAWN, [_, rest @ ..]) if rest.len() != targets.len() => self.spawn_failed(&request.name, EMFILE),
                (SPAWN, []) => self.spawn_failed(&request.name, EMFILE),
                (SPAWN, fds) => self.spawn(&request, fds, targets),
                (HOLD, [fd]) => self.hold(&request.name, *fd),
                (HOLD, _) => self.hold(&request.name, -EMFILE),
                (FORGET, _) => self.forget(&request.name),
                (RELEASE, _) => self.release(&request.name),
                _ => true,
            };
            for fd in rights.fds.iter().take(count) {
                close(*fd);
            }
            if done {
                self.take_request();
            }
        }
    }

    fn spawn_failed(&mut self, name: &Name, errno: i32) -> bool {
        self.send(&Report { kind: SPAWN_FAILED, status: errno, name: *name, ..Report::default() }, -1)
    }

    fn spawn(&mut self, request: &Request, fds: &mut [i32], targets: &[i32]) -> bool {
        let page = self.page;
        let known = children(page).find(|child| child.state.load(SeqCst) != FREE && same(&child.name, &request.name));
        if let Some(child) = known {
            learn_second(child);
            if child.pid.load(SeqCst) != 0 {
                return self.answer(child);
            }
            if child.first.load(SeqCst) != 0 {
                return true;
            }
        }
        let free = || page.children.iter().enumerate().find(|(_, child)| child.state.load(SeqCst) == FREE);
        let table = targets.iter().position(|target| *target == TABLE_DESCRIPTOR as i32);
        let table = table.and_then(|index| fds.get(index + 1)).copied();
        if request.clone_flags & !NAMESPACES != 0 || request.second != 0 && table.is_none() {
            return self.spawn_failed(&request.name, EINVAL);
        }
        let child = match (known, free()) {
            (Some(child), _) => child,
            (None, Some((index, child))) => {
                page.children_used.fetch_max(index as u32 + 1, SeqCst);
                child
            }
            (None, None) => return self.spawn_failed(&request.name, ENOSPC),
        };
        let copy = fcntl(table.filter(|_| request.second != 0).unwrap_or(-1), F_DUPFD_CLOEXEC, KEEPER_SOCKET) as i32;
        child.pid.store(0, SeqCst);
        child.first.store(0, SeqCst);
        child.table.store(copy, SeqCst);
        child.answered.store(0, SeqCst);
        store(&child.name, &request.name);
        child.state.store(LIVE, SeqCst);
        let made = if request.second != 0 && copy < 0 {
            copy as isize
        } else {
            clone3(request.clone_flags, if request.second != 0 { &child.first } else { &child.pid })
        };
        if made == 0 {
            exit_group(become_program(fds, targets));
        }
        if made < 0 {
            child.state.store(FREE, SeqCst);
            close(copy);
            return self.spawn_failed(&request.name, -made as i32);
        }
        request.second != 0 || self.answer(child)
    }

    fn forget(&mut self, name: &Name) -> bool {
        let ended = |child: &&Child| child.state.load(SeqCst) == ENDED && child.first.load(SeqCst) == 0;
        if let Some(child) = children(self.page).find(|child| ended(child) && same(&child.name, name)) {
            child.state.store(FREE, SeqCst);
        }
        true
    }

    fn release(&mut self, name: &Name) -> bool {
        for held in held(self.page) {
            let fd = held.descriptor.load(SeqCst);
            if fd != 0 && same(&held.name, name) {
                held.descriptor.store(0, SeqCst);
                close(fd);
            }
        }
        true
    }

    fn hold(&mut self, name: &Name, fd: i32) -> bool {
        self.release(name);
        let place = self.page.held.iter().enumerate().find(|(_, held)| held.descriptor.load(SeqCst) == 0);
        let copy = if fd < 0 { fd } else { fcntl(fd, F_DUPFD_CLOEXEC, FIRST_HELD) as i32 };
        match place {
            Some((index, held)) if copy >= 0 => {
                self.page.held_used.fetch_max(index as u32 + 1, SeqCst);
                store(&held.name, name);
                held.descriptor.store(copy, SeqCst);
                true
            }
            _ => {
                close(copy);
                let errno = if copy < 0 { -copy } else { ENOSPC };
                self.send(&Report { kind: HOLD_FAILED, status: errno, name: *name, ..Report::default() }, -1)
            }
        }
    }
}

/// A second process may live, and end, before the first has ended.
fn learn_second(child: &Child) {
    let mut second = 0;
    if child.first.load(SeqCst) != 0 && child.pid.load(SeqCst) == 0 {
        pread(child.table.load(SeqCst), &mut second, 4, SECOND_OFFSET);
        child.pid.store(second, SeqCst);
    }
}

/// In a child: puts the descriptors at their numbers and becomes the program. All first go above all numbers, where none is
/// overwritten before it was placed. What is not placed is close-on-exec.
fn become_program(fds: &mut [i32], targets: &[i32]) -> i32 {
    let above = targets.iter().fold(KEEPER_SOCKET, |highest, target| highest.max(*target)) + 1;
    for fd in fds.iter_mut() {
        *fd = fcntl(*fd, F_DUPFD_CLOEXEC, above) as i32;
    }
    let [program, rest @ ..] = fds else { return NOT_EXECUTED_EXIT };
    for (fd, target) in rest.iter().zip(targets) {
        if dup3(*fd, *target, 0) < 0 {
            return NOT_EXECUTED_EXIT;
        }
    }
    execute(*program, &[c"stage".as_ptr().cast(), null()])
}
