//! keeper: the parent of everything in a pod, and its supervisor's memory. It makes the processes that the supervisor asks
//! for, reports each end, holds descriptors, and starts the supervisor again when that dies. It decides nothing, opens
//! nothing, allocates nothing, and knows neither pods nor containers. What it says and shares is in `pause::message`.
//!
//! It is two processes: `guard`, which came first, shares its descriptor table with its child `keeper` and waits for it.
//! Both are subreapers. When the keeper is killed all its children are the guard's, which then is the keeper, alone: a new
//! twin could only be its child, and orphans go to ancestors. When the guard is killed the keeper goes on, alone likewise.
//! Alone it can become a newer keeper's program in place, by exec: its number, its children and what it holds stay.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicI32, Ordering::SeqCst};
use pause::message::*;
use pause::sys::{constant::*, *};
use pause::table::{SECOND_OFFSET, TABLE_DESCRIPTOR};

pause::program!();

extern "C" fn main() -> ! {
    close_range(3, u32::MAX, CLOSE_RANGE_CLOEXEC);
    let page = map(PAGE_DESCRIPTOR, size_of::<Page>());
    // SAFETY: mapped for good, of a size that its maker has sealed; what changes in it is atomic.
    let page = if page < 0 { exit(1) } else { unsafe { &*(page as *const Page) } };
    rt_sigprocmask(SIG_SETMASK, &!0, 0, 8);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    // Only clone3 with namespaces needs one. With no_new_privs the children could not get theirs back at their exec: then none
    // is given up.
    if prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 {
        capset(&[CAP_VERSION_3, 0], &[[CAP_SYS_ADMIN, CAP_SYS_ADMIN, 0], [0; 3]]);
    }
    let signals = signalfd4(-1, &(1 << (SIGCHLD - 1)), 8, NONBLOCK_CLOEXEC) as i32;
    // Else in the place of an older keeper's program, which was alone.
    if page.keeper.load(SeqCst) != getpid() as i32 {
        page.guard.store(getpid() as i32, SeqCst);
        prctl_name(PR_SET_NAME, b"guard\0\0\0\0\0\0\0\0\0\0\0");
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        let keeper = clone3(CLONE_FILES, &page.keeper, -1) as i32;
        if keeper != 0 {
            let mut info = Siginfo::default();
            rest();
            if waitid(P_PID, keeper, &mut info, WEXITED, 0) == 0 && info.status == 0 {
                exit(0);
            }
            page.keeper.store(page.guard.swap(0, SeqCst), SeqCst);
            close_strays(page, signals);
        }
    }
    prctl_name(PR_SET_NAME, b"keeper\0\0\0\0\0\0\0\0\0\0");
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    Keeper { page, signals, blocked: false, ended: true }.run()
}

/// What a killed keeper had received but not put down is not left open: a stray end of a pipe would keep it from its end.
fn close_strays(page: &Page, signals: i32) {
    let stray = |fd: &i32| *fd != signals && page.descriptors().all(|own| own != *fd);
    (KEEPER_SOCKET + 1..1024).filter(stray).for_each(|fd| _ = close(fd));
}

/// In a child: puts the descriptors at their numbers and becomes the program. All first go above all numbers, where none is
/// overwritten before it was placed. What is not placed is close-on-exec.
fn become_program(fds: &mut [i32], targets: &[i32]) -> ! {
    let above = targets.iter().fold(KEEPER_SOCKET, |highest, target| highest.max(*target)) + 1;
    fds.iter_mut().for_each(|fd| *fd = fcntl(*fd, F_DUPFD_CLOEXEC, above) as i32);
    let failed = fds.iter().skip(1).zip(targets).any(|(fd, target)| dup3(*fd, *target, 0) < 0);
    execute(fds.first().filter(|_| !failed).map_or(-1, |fd| *fd), &[c"stage".as_ptr().cast(), core::ptr::null()])
}

/// A second process may live, and end, before the first has ended.
fn learn_second(child: &Child) {
    let mut second = 0;
    if child.first.load(SeqCst) != 0 && child.pid.load(SeqCst) == 0 {
        pread(child.table.load(SeqCst), &mut second, 4, SECOND_OFFSET);
        child.pid.store(second, SeqCst);
    }
}

struct Keeper {
    page: &'static Page,
    signals: i32,
    /// The queue to the supervisor is full: nothing more is reaped or done before it has read some.
    blocked: bool,
    /// A child may have ended that was not looked at: each look passes by all children that there are.
    ended: bool,
}

impl Keeper {
    fn run(&mut self) -> ! {
        let (page, mut quiet) = (self.page, false);
        loop {
            self.blocked = false;
            self.exits();
            self.requests();
            let (mut wait, mut alarm) = ([u64::MAX >> 1, 0], -1);
            if page.over.load(SeqCst) == 1 {
                if waitid(P_ALL, 0, &mut Siginfo::default(), WEXITED | WNOHANG | WNOWAIT, 0) < 0 {
                    exit(0);
                }
            } else if page.supervisor.load(SeqCst) == 0 {
                let left = page.restart_at.load(SeqCst).saturating_sub(now(CLOCK_BOOTTIME));
                alarm = if left == 0 { page.alarm() } else { -1 };
                if left == 0 && alarm < 0 {
                    self.start_supervisor();
                    continue;
                }
                // One that sleeps is waited for by its alarm alone.
                let left = if alarm < 0 { left } else { u64::MAX };
                wait = [left / 1_000_000_000, left % 1_000_000_000];
            }
            let socket = PollFd(KEEPER_SOCKET, if self.blocked { POLLOUT } else { POLLIN }, 0);
            // A negative number is passed over.
            let mut polled = [PollFd(self.signals, POLLIN, 0), socket, PollFd(alarm, POLLIN, 0)];
            // What it gives back it has to be given anew: not while one thing follows another.
            let soon = !quiet && wait[0] > 0;
            quiet.then(rest);
            let found = ppoll(&mut polled, 3, if soon { &[1, 0] } else { &wait }, 0);
            quiet = soon && found == 0;
            self.ended |= read(self.signals, &mut [0; 16], 128) > 0;
            polled.last().filter(|alarm| alarm.2 != 0).into_iter().for_each(|_| self.start_supervisor());
        }
    }

    /// Looks whether the supervisor has ended, by its number: its end must be seen behind any number of waiting ones.
    fn supervisor_end(&mut self) {
        let (page, mut info) = (self.page, Siginfo::default());
        let pid = page.supervisor.load(SeqCst);
        if pid != 0 && (waitid(P_PID, pid, &mut info, WEXITED | WNOHANG, 0) != 0 || info.pid != 0) {
            page.supervisor_ended(info.code, info.status, now(CLOCK_BOOTTIME));
        }
    }

    /// What the dead one asked for and could not be done yet (the queue being full of what it had not read) is dropped: its
    /// successor knows from its journal what it has no answer to, and asks again. So what is held now is what it inherits.
    fn start_supervisor(&mut self) {
        let page = self.page;
        while recvfrom(KEEPER_SOCKET, 0, 0, MSG_DONTWAIT | MSG_TRUNC, 0, 0) > 0 {}
        page.supervisor_starts(now(CLOCK_BOOTTIME));
        if clone3(0, &page.supervisor, -1) == 0 {
            let held = page.held().map(|held| held.descriptor.load(SeqCst));
            held.chain([PAGE_DESCRIPTOR, SUPERVISOR_SOCKET]).for_each(|fd| _ = fcntl(fd, F_SETFD, 0));
            execute(PROGRAM_DESCRIPTOR, &page.supervisor_arguments());
        }
    }

    /// Puts a packet into the queue, or notes that it is full.
    fn send(&mut self, report: &Report) -> bool {
        self.blocked = sendto(KEEPER_SOCKET, report, size_of::<Report>(), MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0) < 0;
        !self.blocked
    }

    fn answer(&mut self, child: &Child) -> bool {
        let (pid, name) = (child.pid.load(SeqCst), child.name.load());
        let sent = self.send(&Report { kind: SPAWNED, pid, name, ..Report::default() });
        child.answered.fetch_or(sent as u32, SeqCst);
        sent
    }

    fn failed(&mut self, kind: u32, name: &Name, errno: i32) -> bool {
        self.send(&Report { kind, status: errno, name: *name, ..Report::default() })
    }

    /// Reports and then reaps whatever has ended. What cannot be reported stays a zombie, and so is never lost. One that was
    /// numbered comes first: if we are not the one who numbered it, it may be reported twice, but by one number.
    fn exits(&mut self) {
        let page = self.page;
        while self.ended {
            self.supervisor_end();
            let (pending, mut info) = (page.pending.load(SeqCst), Siginfo::default());
            // P_ALL or P_PID. An error: the one that was numbered is reaped already.
            if waitid((pending != 0) as i32, pending, &mut info, WEXITED | WNOHANG | WNOWAIT, 0) == 0 || pending == 0 {
                self.ended = info.pid != 0;
                // It has ended since.
                if self.ended && info.pid == page.supervisor.load(SeqCst) {
                    continue;
                }
                if !self.ended || page.over.load(SeqCst) == 0 && !self.report(&info) {
                    return;
                }
                waitid(P_PID, info.pid, &mut info, WEXITED | WNOHANG, 0);
            }
            page.pending.store(0, SeqCst);
        }
    }

    /// Whether all that this end means was put into the queue.
    fn report(&mut self, info: &Siginfo) -> bool {
        let page = self.page;
        let is = |pid: &AtomicI32| pid.load(SeqCst) == info.pid;
        let child = page.child_of(info.pid).or_else(|| {
            page.children().for_each(learn_second);
            page.child_of(info.pid)
        });
        if let Some(child) = child {
            learn_second(child);
            // One that ended before it could make a second: then the id means it.
            let _ = child.pid.compare_exchange(0, info.pid, SeqCst, SeqCst);
            if child.answered.load(SeqCst) == 0 && !self.answer(child) {
                return false;
            }
            if is(&child.first) {
                close(child.table.load(SeqCst));
                child.first.store(0, SeqCst);
                if !is(&child.pid) {
                    return true;
                }
            }
        }
        if page.pending.load(SeqCst) != info.pid {
            page.sequence.fetch_add(1, SeqCst);
            page.pending.store(info.pid, SeqCst);
        }
        let Siginfo { pid, code, status, .. } = *info;
        let (sequence, wall, boot) = (page.sequence.load(SeqCst), now(CLOCK_REALTIME) as i64, now(CLOCK_BOOTTIME));
        let name = child.map(|child| child.name.load()).unwrap_or_default();
        let sent = self.send(&Report { kind: EXITED, pid, code, status, sequence, wall, boot, name });
        child.filter(|_| sent).into_iter().for_each(|child| child.state.store(ENDED, SeqCst));
        sent
    }

    /// Carries out requests. One is taken out of the queue only when it was done and answered.
    fn requests(&mut self) {
        while !self.blocked {
            let mut request = Request::default();
            let mut rights = Rights(16, [0; 2], [-1; DESCRIPTORS_MAX + 2]);
            if look(KEEPER_SOCKET, &mut request, &mut rights) <= 0 {
                return;
            }
            let Rights(size, _, fds) = &mut rights;
            let fds = fds.get_mut(..(*size - 16) / 4).unwrap_or_default();
            let done = match (request.kind, &mut *fds) {
                (SPAWN, fds) => match self.make(&request, fds) {
                    Err(errno) => self.failed(SPAWN_FAILED, &request.name, errno),
                    Ok(child) => child.pid.load(SeqCst) == 0 || self.answer(child),
                },
                (FORGET, _) => self.page.forget(&request.name),
                (HOLD, fds) => self.hold(&request.name, fds),
                (RELEASE, _) => self.release(&request.name),
                (UPGRADE, [program, keeper]) => self.upgrade(&request, *program, *keeper),
                _ => true,
            };
            fds.iter().for_each(|fd| _ = close(*fd));
            if done {
                recvfrom(KEEPER_SOCKET, 0, 0, MSG_DONTWAIT | MSG_TRUNC, 0, 0);
            }
        }
    }

    /// The child of this id, made if there is none. Its pid is 0 while it is for another process to make it.
    fn make(&mut self, request: &Request, fds: &mut [i32]) -> Result<&'static Child, i32> {
        let (page, second, known) = (self.page, request.second != 0, self.page.child(&request.name));
        if let Some(child) = known {
            learn_second(child);
            if child.pid.load(SeqCst) != 0 || child.first.load(SeqCst) != 0 {
                return Ok(child);
            }
        }
        // One that is known without a pid: its maker was killed before it made it.
        let child = known.or_else(|| page.free_child()).ok_or(ENOSPC)?;
        let targets = request.targets.get(..request.count as usize).unwrap_or_default();
        // One more with CLONE_INTO_CGROUP, which is the highest flag.
        if fds.len() != targets.len() + 1 + (request.clone_flags / CLONE_INTO_CGROUP) as usize {
            return Err(EMFILE);
        }
        let table = targets.iter().zip(fds.iter().skip(1)).find(|(target, _)| **target == TABLE_DESCRIPTOR as i32);
        let table = table.filter(|_| second).map_or(-1, |(_, fd)| fcntl(*fd, F_DUPFD_CLOEXEC, KEEPER_SOCKET) as i32);
        if request.clone_flags & !(CLONE_NAMESPACES | CLONE_INTO_CGROUP) != 0 || second && table < 0 {
            close(table);
            return Err(EINVAL);
        }
        child.begin(&request.name, table);
        let pid = if second { &child.first } else { &child.pid };
        let made = clone3(request.clone_flags, pid, *fds.last().unwrap_or(&-1));
        if made == 0 {
            become_program(fds, targets);
        }
        if made < 0 {
            child.state.store(FREE, SeqCst);
            close(table);
            return Err(-made as i32);
        }
        Ok(child)
    }

    fn release(&mut self, name: &Name) -> bool {
        let is = |held: &&Held| held.descriptor.load(SeqCst) != 0 && held.name.is(name);
        self.page.held().filter(is).for_each(|held| _ = close(held.descriptor.swap(0, SeqCst)));
        true
    }

    fn hold(&mut self, name: &Name, fds: &[i32]) -> bool {
        self.release(name);
        let copy = fds.first().map_or(-EMFILE, |fd| fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_HELD) as i32);
        let Some(held) = self.page.free_held().filter(|_| copy >= 0) else {
            close(copy);
            return self.failed(HOLD_FAILED, name, if copy < 0 { -copy } else { ENOSPC });
        };
        held.name.store(name);
        held.descriptor.store(copy, SeqCst);
        true
    }

    /// Becomes another keeper's program; that finds the request still there, knows it by its number, and takes the
    /// supervisor's new program, too. Twins share their descriptors, which an exec would part, and only one of them is the
    /// parent of all: a keeper with a twin ends, as if killed, and leaves the request to that.
    fn upgrade(&mut self, request: &Request, program: i32, keeper: i32) -> bool {
        let (page, mut errno) = (self.page, 0);
        if page.upgrade.load(SeqCst) == request.second {
            dup3(program, PROGRAM_DESCRIPTOR, O_CLOEXEC);
        } else if getppid() as i32 == page.guard.load(SeqCst) {
            exit(1);
        } else {
            page.upgrade.store(request.second, SeqCst);
            page.descriptors().for_each(|fd| _ = fcntl(fd, F_SETFD, 0));
            errno = -execveat(keeper, &page.keeper_arguments()) as i32;
            close_range(3, u32::MAX, CLOSE_RANGE_CLOEXEC);
            page.upgrade.store(0, SeqCst);
        }
        self.failed(UPGRADED, &request.name, errno)
    }
}
