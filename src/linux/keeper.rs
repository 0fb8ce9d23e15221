//! The supervisor's side of its keeper: asks for spawns, reads reports, gives descriptors to hold; and [`start`], by which
//! the command line sets a pod's keeper going. What the two share is defined in `pause::message`; the keeper's program is
//! `pause/src/bin/keeper.rs`.
//!
//! No call here waits. The connection outlives a supervisor: what one has not taken the next one finds, and a packet may come
//! twice when a keeper was killed (the same exit by the same number, an answer to a spawn again), never not at all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use nix::sys::socket::{ControlMessage, MsgFlags, recvmsg, sendmsg};
use pause::message as wire;
use pause::sys::constant::CLONE_INTO_CGROUP;

use super::pidfd;

mod start;

pub use start::{Start, start};

/// The connection that a supervisor inherits from its keeper.
pub struct Keeper {
    socket: OwnedFd,
    page: &'static wire::Page,
    /// A copy of each descriptor that the keeper holds: should it die with its twin, another one gets them.
    held: RefCell<BTreeMap<String, OwnedFd>>,
}

/// One process to be made.
pub struct Spawn<'a> {
    /// The effect's id. A request with a known id spawns nothing and is answered with the child that exists.
    pub id: &'a str,
    /// Flags for clone3 (`CLONE_NEWPID | CLONE_NEWNS` …). Only namespaces.
    pub clone_flags: u64,
    /// The directory of the cgroup (v2) that the child is made in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// A sealed memfd to be executed: stage, pause, or another tiny program.
    pub program: BorrowedFd<'a>,
    /// The child's descriptors: each lands at the number beside it, *without* close-on-exec, which the stage's table sets by
    /// `close_range` before its exec. At most 252. Whatever else the keeper has does not reach the program.
    pub descriptors: &'a [(BorrowedFd<'a>, u32)],
    /// The program makes a second process by `clone(CLONE_PARENT | CLONE_PARENT_SETTID)` and ends; the second is the one
    /// that the id means. The table is then among the descriptors (see `pause::table::Header::second`). When the program
    /// ends without having made one, the id means the program itself.
    pub second: bool,
}

/// What the keeper has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The child of this id lives (or is not reaped yet).
    Spawned {
        /// The id of the request.
        id: String,
        /// As the keeper sees it.
        pid: i32,
    },
    /// It could not be made, and nothing is remembered of it.
    SpawnFailed {
        /// The id of the request.
        id: String,
        /// Why.
        errno: i32,
    },
    /// A child has ended and was reaped.
    Exited {
        /// Given by the keeper, rising, with gaps; a number that is journalled already is dropped.
        sequence: u64,
        /// The id of its spawn; empty for an orphan that fell to the keeper.
        id: String,
        /// As the keeper saw it.
        pid: i32,
        /// As waitid(2) has it: si_code (CLD_EXITED, CLD_KILLED, CLD_DUMPED) and si_status.
        code: i32,
        /// The exit code or signal number. 110 from a child that never became its program (`NOT_EXECUTED_EXIT`), 111 from
        /// a stage with a failed step (`FAILED_EXIT`).
        status: i32,
        /// CLOCK_REALTIME, nanoseconds.
        wall: i64,
        /// CLOCK_BOOTTIME, nanoseconds.
        boot: u64,
    },
    /// The keeper runs the program that it was to become ([`Keeper::upgrade`]).
    Upgraded {
        /// Why not, if it does not; 0 if it does.
        errno: i32,
    },
    /// What was to be held is not held.
    HoldFailed {
        /// Its tag.
        tag: String,
        /// Why.
        errno: i32,
    },
}

/// A report, and what belongs to it.
#[derive(Debug)]
pub struct Received {
    /// The report.
    pub report: Report,
    /// With [`Report::Spawned`], unless the child is reaped already: a pidfd, which can mean no other process.
    pub pidfd: Option<OwnedFd>,
}

impl Keeper {
    /// Takes over the connection and held descriptors that this process was started with. Once in a process's life.
    pub fn inherited() -> io::Result<Keeper> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, SeqCst) {
            return Err(io::Error::other("the keeper's connection was taken already"));
        }
        let page = page(wire::PAGE_DESCRIPTOR)?;
        // SAFETY: sets close-on-exec, which the keeper had to take away for this process's own exec.
        unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int) };
        let mut held = BTreeMap::new();
        for slot in page.held() {
            let fd = slot.descriptor.load(SeqCst);
            // SAFETY: F_GETFD only looks.
            if fd >= wire::FIRST_HELD && unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0 {
                // SAFETY: open, inherited from the keeper, and owned by nobody here: the guard above is passed once.
                held.insert(name_text(&slot.name.load()), unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
        // SAFETY: as above.
        let socket = unsafe { OwnedFd::from_raw_fd(wire::SUPERVISOR_SOCKET) };
        Ok(Keeper { socket, page, held: RefCell::new(held) })
    }

    /// The socket, to be watched for input.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Asks for a process. The answer comes as a report. `WouldBlock` when the queue is full: read reports, ask again.
    pub fn spawn(&self, request: &Spawn<'_>) -> io::Result<()> {
        let count = request.descriptors.len() + usize::from(request.cgroup.is_some());
        if count > wire::DESCRIPTORS_MAX {
            let message = format!("{count} descriptors for {}, at most {}", request.id, wire::DESCRIPTORS_MAX);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut packet = packet(wire::SPAWN, request.id)?;
        packet.second = request.second.into();
        packet.clone_flags = request.clone_flags;
        packet.count = request.descriptors.len() as u32;
        let mut fds = vec![request.program.as_raw_fd()];
        for (target, (fd, number)) in packet.targets.iter_mut().zip(request.descriptors) {
            *target = *number as i32;
            fds.push(fd.as_raw_fd());
        }
        if let Some(cgroup) = request.cgroup {
            packet.clone_flags |= CLONE_INTO_CGROUP;
            fds.push(cgroup.as_raw_fd());
        }
        self.send(&packet, &fds)
    }

    /// Looks at the first report without taking it, so that it can be journalled first. `UnexpectedEof` when the keeper and
    /// its twin are gone.
    pub fn peek(&self) -> io::Result<Option<Received>> {
        loop {
            let mut report = wire::Report::default();
            // SAFETY: a report is plain numbers, any bytes are one.
            let bytes = unsafe { std::slice::from_raw_parts_mut((&raw mut report).cast::<u8>(), size_of_val(&report)) };
            let mut parts = [IoSliceMut::new(bytes)];
            let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
            let received = match recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, None, flags) {
                Err(nix::Error::EAGAIN) => return Ok(None),
                // Told once, when the keeper died with a request unread; what it had sent is still there.
                Err(nix::Error::ECONNRESET) => continue,
                other => other?.bytes,
            };
            if received == 0 {
                let message = "the pod's keeper and its twin have ended";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
            match read_report(&report) {
                Some(report) => {
                    let pidfd = match &report {
                        Report::Spawned { id, pid } => self.pidfd_of(id, *pid),
                        _ => None,
                    };
                    return Ok(Some(Received { report, pidfd }));
                }
                None => self.take()?,
            }
        }
    }

    /// A pidfd of a live child. The keeper marks a child as ended before it reaps it: one that is still listed after the pidfd
    /// was made was not reaped, so its number was not given to another process.
    pub fn pidfd_of(&self, id: &str, pid: i32) -> Option<OwnedFd> {
        let name = name_words(id).ok()?;
        let pidfd = pidfd::open(pid).ok()?;
        let mut named = self.page.children().filter(|child| child.name.is(&name) && number_of(child) == pid);
        named.any(|child| child.state.load(SeqCst) == wire::LIVE).then_some(pidfd)
    }

    /// Takes the report that was peeked.
    pub fn take(&self) -> io::Result<()> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        nix::sys::socket::recv(self.socket.as_raw_fd(), &mut [], flags)?;
        Ok(())
    }

    /// The keeper may forget this id: its exit is journalled. Without effect on an id whose exit was not yet reported.
    pub fn forget(&self, id: &str) -> io::Result<()> {
        self.send(&packet(wire::FORGET, id)?, &[])
    }

    /// Gives a descriptor to hold under a tag (`log/web/4/stdout`, at most 120 bytes), beyond this supervisor's life, in
    /// place of one that is held under it. A spawn asked for later finds it held, or [`Report::HoldFailed`] comes.
    pub fn hold(&self, tag: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        self.send(&packet(wire::HOLD, tag)?, &[descriptor.as_raw_fd()])?;
        self.held.borrow_mut().insert(tag.to_owned(), descriptor.try_clone_to_owned()?);
        Ok(())
    }

    /// Lets go of what is held under a tag.
    pub fn release(&self, tag: &str) -> io::Result<()> {
        self.held.borrow_mut().remove(tag);
        self.send(&packet(wire::RELEASE, tag)?, &[])
    }

    /// The keeper is to become another keeper's program, which goes on with this page, and to start supervisors from
    /// another one. Answered by [`Report::Upgraded`].
    pub fn upgrade(&self, program: BorrowedFd<'_>, keeper: BorrowedFd<'_>) -> io::Result<()> {
        let mut packet = packet(wire::UPGRADE, "upgrade")?;
        packet.second = self.page.upgrade.load(SeqCst).wrapping_add(1).max(1);
        self.send(&packet, &[program.as_raw_fd(), keeper.as_raw_fd()])
    }

    /// The layout of the page, as its maker has laid it out.
    pub fn version(&self) -> u32 {
        self.page.version
    }

    /// What the keeper holds: tag and descriptor.
    pub fn held(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        self.held.borrow().iter().map(|(tag, fd)| Ok((tag.clone(), fd.try_clone()?))).collect()
    }

    /// The tags of all that it holds.
    pub fn tags(&self) -> Vec<String> {
        self.held.borrow().keys().cloned().collect()
    }

    /// Whether something is held under a tag.
    pub fn holds(&self, tag: &str) -> bool {
        self.held.borrow().contains_key(tag)
    }

    /// What is held under a tag.
    pub fn held_as(&self, tag: &str) -> io::Result<OwnedFd> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("the keeper does not hold {tag:?}"));
        self.held.borrow().get(tag).ok_or_else(missing)?.try_clone()
    }

    /// Live children by id and pid, from the page that keeper and twin share. A child whose second process is not there yet
    /// has the first one's pid.
    pub fn children(&self) -> Vec<(String, i32)> {
        let mut live = Vec::new();
        for child in self.page.children() {
            let pid = number_of(child);
            let id = name_text(&child.name.load());
            // Looked at last: an entry that was freed or filled meanwhile has passed through another state.
            if pid != 0 && child.state.load(SeqCst) == wire::LIVE {
                live.push((id, pid));
            }
        }
        live
    }

    /// How many supervisors this keeper has started, this one included.
    pub fn starts(&self) -> u32 {
        self.page.starts.load(SeqCst)
    }

    /// How many before this one ended badly, one after the other, each within 10 s: 0 means that all is well.
    pub fn failures(&self) -> u32 {
        self.page.failures.load(SeqCst)
    }

    /// How the supervisor before this one ended: si_code and si_status as waitid(2) has them. `None` for the first.
    pub fn last_end(&self) -> Option<(i32, i32)> {
        let end = (self.page.ended_code.load(SeqCst), self.page.ended_status.load(SeqCst));
        (self.starts() > 1).then_some(end)
    }

    /// The pids of keeper and twin; the twin's is 0 once it is the keeper.
    pub fn pids(&self) -> (i32, i32) {
        (self.page.keeper.load(SeqCst), self.page.guard.load(SeqCst))
    }

    fn send(&self, packet: &wire::Request, fds: &[RawFd]) -> io::Result<()> {
        let size = std::mem::offset_of!(wire::Request, targets) + 4 * packet.count as usize;
        // SAFETY: numbers without gaps; `size` is at most the structure's, as `count` is at most the array's length.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const *packet).cast::<u8>(), size) };
        let rights = [ControlMessage::ScmRights(fds)];
        let rights = if fds.is_empty() { &rights[..0] } else { &rights[..] };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.socket.as_raw_fd(), &[IoSlice::new(bytes)], rights, flags, None)?;
        Ok(())
    }
}

/// Of one without its second process the first one's.
fn number_of(child: &wire::Child) -> i32 {
    match child.pid.load(SeqCst) {
        0 => child.first.load(SeqCst),
        pid => pid,
    }
}

fn packet(kind: u32, name: &str) -> io::Result<wire::Request> {
    let name = name_words(name)?;
    Ok(wire::Request { kind, name, ..wire::Request::default() })
}

/// Maps the page for good. Its maker has sealed its size, so no access to it can fail.
fn page(fd: RawFd) -> io::Result<&'static wire::Page> {
    let size = size_of::<wire::Page>();
    let wrong = |what: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("descriptor {fd} is not a keeper's page: {what}"))
    };
    // SAFETY: a structure of plain numbers, filled in by fstat.
    let mut metadata: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the structure lives during the call.
    if unsafe { libc::fstat(fd, &mut metadata) } < 0 || metadata.st_size < size as i64 {
        return Err(wrong("too small"));
    }
    // SAFETY: a new mapping, never taken away, of a file that is large enough; all in it that changes is atomic.
    let page = unsafe {
        let map = libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ, libc::MAP_SHARED, fd, 0);
        if map == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        &*map.cast::<wire::Page>()
    };
    match (page.magic, page.version) {
        (wire::MAGIC, wire::OLDEST..=wire::VERSION) => Ok(page),
        (wire::MAGIC, version) => {
            let (oldest, newest) = (wire::OLDEST, wire::VERSION);
            Err(wrong(&format!("layout {version}, this program speaks {oldest} to {newest}")))
        }
        _ => Err(wrong("no such first word")),
    }
}

fn read_report(report: &wire::Report) -> Option<Report> {
    let id = name_text(&report.name);
    let wire::Report { kind, pid, code, status, sequence, wall, boot, .. } = *report;
    Some(match kind {
        wire::SPAWNED => Report::Spawned { id, pid },
        wire::SPAWN_FAILED => Report::SpawnFailed { id, errno: status },
        wire::EXITED => Report::Exited { sequence, id, pid, code, status, wall, boot },
        wire::UPGRADED => Report::Upgraded { errno: status },
        wire::HOLD_FAILED => Report::HoldFailed { tag: id, errno: status },
        _ => return None,
    })
}

/// Ids and tags are padded with NULs to a fixed size.
fn name_words(text: &str) -> io::Result<wire::Name> {
    let mut bytes = [0; wire::NAME_MAX];
    match bytes.get_mut(..text.len()) {
        Some(start) if !text.is_empty() && !text.contains('\0') => start.copy_from_slice(text.as_bytes()),
        _ => {
            let message = format!("{text:?}: an id or tag has 1 to {} bytes, none of them NUL", wire::NAME_MAX);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    }
    let mut name = wire::Name::default();
    for (word, eight) in name.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_ne_bytes(*eight);
    }
    Ok(name)
}

fn name_text(name: &wire::Name) -> String {
    let bytes: Vec<u8> = name.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_comes_back(text in "[^\\x00]{1,40}") {
            prop_assume!(text.len() <= wire::NAME_MAX);
            prop_assert_eq!(name_text(&name_words(&text).unwrap()), text);
        }
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        for text in ["", "a\0b", &"x".repeat(wire::NAME_MAX + 1)] {
            assert_eq!(name_words(text).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
