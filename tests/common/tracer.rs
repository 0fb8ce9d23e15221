//! A supervisor seen and killed by ptrace(2): the program as it is shipped, at any of its system calls. What a process has
//! done to the world changes only by its calls, so a sweep over all of them is a sweep over all moments.
//!
//! Who traces is a thread of its own, since each request must come from the thread that attached. It waits for its tracees,
//! and for a child of its own whose end tells it to stop; when it ends, the kernel lets go of what it traced.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::thread::JoinHandle;

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::kills;
use super::podlet::{Podlet, text, until};

/// A system call of a supervisor, as it came to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    number: i64,
    arguments: [u64; 6],
}

macro_rules! numbers {
    ($($name:ident)*) => { &[$((libc::$name, stringify!($name))),*] };
}

/// Calls that change nothing but the caller itself, and what a process loses by its death anyway: to be killed before one of
/// them and to be killed before the call after it are the same to everybody else.
const PRIVATE: &[(libc::c_long, &str)] = numbers![
    SYS_access SYS_arch_prctl SYS_brk SYS_clock_gettime SYS_clone3 SYS_close SYS_dup SYS_dup3 SYS_epoll_create1 SYS_epoll_ctl
    SYS_epoll_wait SYS_eventfd2 SYS_exit SYS_exit_group SYS_fstat SYS_fstatfs SYS_futex SYS_getdents64 SYS_geteuid
    SYS_getpid SYS_getppid SYS_getrandom SYS_getsockopt SYS_gettid SYS_getuid SYS_listxattr SYS_madvise SYS_memfd_create
    SYS_mmap SYS_mprotect SYS_mremap SYS_munmap SYS_newfstatat SYS_pidfd_open SYS_pipe2 SYS_poll SYS_ppoll SYS_prctl
    SYS_pread64 SYS_prlimit64 SYS_readlink SYS_readlinkat SYS_rseq SYS_rt_sigaction SYS_rt_sigprocmask
    SYS_sched_getaffinity SYS_sched_yield SYS_set_robust_list SYS_set_tid_address SYS_sigaltstack SYS_socket
    SYS_socketpair SYS_statfs SYS_statx SYS_timerfd_create SYS_timerfd_settime SYS_uname
];

/// Names of others, for whoever reads what was tried.
const PUBLIC: &[(libc::c_long, &str)] = numbers![
    SYS_accept4 SYS_bind SYS_chmod SYS_chown SYS_connect SYS_copy_file_range SYS_fchmod SYS_fchmodat SYS_fchown SYS_fcntl
    SYS_fdatasync SYS_flock SYS_fsconfig SYS_fsmount SYS_fsopen SYS_fsync SYS_ftruncate SYS_inotify_add_watch SYS_ioctl
    SYS_kill SYS_lchown SYS_link SYS_linkat SYS_lseek SYS_mkdir SYS_mkdirat SYS_mknodat SYS_mount SYS_mount_setattr
    SYS_move_mount SYS_open_tree SYS_openat SYS_openat2 SYS_pidfd_send_signal SYS_pwrite64 SYS_read SYS_recvfrom SYS_recvmsg
    SYS_rename SYS_renameat SYS_rmdir SYS_sendfile SYS_sendmsg SYS_sendto SYS_setns SYS_splice SYS_symlink SYS_symlinkat
    SYS_umount2 SYS_unlink SYS_unlinkat SYS_unshare SYS_utimensat SYS_write SYS_writev
];

impl Call {
    /// Whether others can tell that it was made.
    pub fn is_public(&self) -> bool {
        let private = match self.number {
            libc::SYS_openat => {
                let makes = (libc::O_CREAT | libc::O_TRUNC | libc::O_WRONLY | libc::O_RDWR) as u64;
                self.arguments[2] & makes == 0
            }
            // Of flags of descriptors themselves, and of what the debug build asks whether they are open.
            libc::SYS_fcntl => {
                let private = [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_DUPFD_CLOEXEC, libc::F_GET_SEALS];
                private.contains(&(self.arguments[1] as i32))
            }
            _ => false,
        };
        !private && PRIVATE.iter().all(|(number, _)| *number != self.number)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match PRIVATE.iter().chain(PUBLIC).find(|(number, _)| *number == self.number) {
            Some((_, name)) => write!(f, "{}", name.trim_start_matches("SYS_")),
            None => write!(f, "call {}", self.number),
        }
    }
}

/// Whom to trace.
pub enum Whom {
    /// This process and what it makes, until one of them becomes a supervisor; then only that.
    NextSupervisorOf(i32),
    /// The supervisor of this pid, which runs.
    Supervisor(i32),
}

/// When a supervisor is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// As it comes to its public call of this number, counted from 1; that is not carried out.
    Call(usize),
    /// When the process of this number that its keeper makes for it, counted from 1, begins as a stage, and before it goes on.
    Start(usize),
}

/// A supervisor that is being traced.
pub struct Tracer {
    thread: JoinHandle<Vec<Call>>,
    bell: ChildStdin,
}

impl Tracer {
    /// Begins.
    pub fn start(whom: Whom, last: Option<Last>) -> Tracer {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut bell = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
            let rope = bell.stdin.take().expect("a pipe");
            let mut traced = Traced { supervisor: None, calls: Vec::new(), starts: 0, last };
            traced.seize(whom);
            ready.send(rope).expect("the test waits");
            traced.follow(bell);
            traced.calls
        });
        let bell = is_ready.recv().expect("the tracer begins");
        Tracer { thread, bell }
    }

    /// Ends, and answers the calls that were seen. If it was killed that is the last one.
    pub fn finish(self) -> Vec<Call> {
        drop(self.bell);
        self.thread.join().expect("the tracer ends well")
    }
}

/// `PROGRAM WORDS…` of this command, by a grandchild that writes its pid into a file and stops itself before it begins. No
/// child: who waits for that would take its stops away from the thread that traces it.
fn stopped(command: &Command, pid: &Path) -> Command {
    let mut stopped = Command::new("sh");
    let inner = "echo $$ >\"$0\"; kill -STOP $$; exec \"$@\"";
    stopped.args(["-c", "sh -c \"$@\"; exit $?", "sh", inner]).arg(pid);
    stopped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        stopped.env(name, value.unwrap_or_default());
    }
    stopped
}

/// The pid that such a command has written, once it has stopped.
fn pid_of_stopped(file: &Path) -> i32 {
    let mut found = 0;
    until("the stop of what is to be traced", || {
        found = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        found != 0 && kills::is_stopped(found)
    });
    found
}

/// `podlet apply -f - WORDS…` of this text, of which the supervisor is traced from its first call on.
pub fn apply(podlet: &Podlet, manifest: &str, words: &[&str], last: Option<Last>) -> (Output, Tracer) {
    let pid_file = podlet.root.join("apply.pid");
    let _ = fs::remove_file(&pid_file);
    let mut command = stopped(&podlet.command(&[&["apply", "-f", "-"], words].concat()), &pid_file);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("sh starts");
    let tracer = Tracer::start(Whom::NextSupervisorOf(pid_of_stopped(&pid_file)), last);
    let _ = fs::remove_file(&pid_file);
    child.stdin.take().expect("a pipe").write_all(manifest.as_bytes()).expect("the manifest is written");
    (child.wait_with_output().expect("sh ends"), tracer)
}

struct Traced {
    supervisor: Option<Pid>,
    calls: Vec<Call>,
    starts: usize,
    last: Option<Last>,
}

impl Traced {
    fn seize(&mut self, whom: Whom) {
        let all = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC;
        match whom {
            Whom::NextSupervisorOf(pid) => {
                ptrace::seize(Pid::from_raw(pid), all).expect("it lives");
                // It may have stopped itself to be waited for.
                kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it lives");
            }
            Whom::Supervisor(pid) => {
                self.supervisor = Some(Pid::from_raw(pid));
                // One that makes another one meanwhile is looked at again.
                let mut known = BTreeSet::new();
                loop {
                    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten();
                    let new = tasks.filter_map(|task| task.file_name().to_str()?.parse().ok());
                    let new: Vec<i32> = new.filter(|task| known.insert(*task)).collect();
                    if new.is_empty() {
                        return;
                    }
                    for thread in new.into_iter().map(Pid::from_raw) {
                        // A thread may have ended, or be attached already with the one that made it.
                        if ptrace::seize(thread, all).is_ok() {
                            let _ = ptrace::interrupt(thread);
                        }
                    }
                }
            }
        }
    }

    fn follow(&mut self, mut bell: Child) {
        let bell_pid = Pid::from_raw(bell.id().cast_signed());
        loop {
            let mut killed = false;
            let any = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            match waitpid(None, Some(any)) {
                Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) if pid == bell_pid => return,
                Ok(WaitStatus::PtraceSyscall(thread)) => killed = self.at_call(thread),
                Ok(WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_EXEC)) => killed = self.became(pid),
                Ok(WaitStatus::PtraceEvent(pid, _, event)) => {
                    let forks = matches!(event, libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK);
                    assert!(!forks || !self.is_of_supervisor(pid), "a supervisor, which allocates, must not fork");
                    self.resume(pid, None);
                }
                Ok(WaitStatus::Stopped(pid, signal)) => self.resume(pid, Some(signal)),
                // A real-time signal, which has no name here, or one of ours.
                Ok(_) | Err(nix::Error::EINTR | nix::Error::EINVAL) => {}
                Err(error) => panic!("waitpid: {error}"),
            }
            if killed {
                // Nobody else is of interest; all are let go of when this thread ends.
                let _ = (bell.kill(), bell.wait());
                return;
            }
        }
    }

    fn kill_supervisor(&self) {
        let supervisor = self.supervisor.expect("it was found");
        kill(supervisor, Signal::SIGKILL).expect("it lives, or is a zombie that is not waited for yet");
        until("its end", || kills::is_gone(supervisor.as_raw()));
    }

    /// Whether the supervisor was killed here.
    fn at_call(&mut self, thread: Pid) -> bool {
        if let Ok(info) = ptrace::syscall_info(thread)
            && info.op == libc::PTRACE_SYSCALL_INFO_ENTRY
        {
            // SAFETY: at an entry the kernel fills this member of the union.
            let entry = unsafe { info.u.entry };
            let call = Call { number: entry.nr.cast_signed(), arguments: entry.args };
            if call.is_public() {
                self.calls.push(call);
                if self.last == Some(Last::Call(self.calls.len())) {
                    self.kill_supervisor();
                    return true;
                }
            }
        }
        self.resume(thread, None);
        false
    }

    /// It executes another program: that may be what is looked for, or of no interest. Whether the supervisor was killed here.
    fn became(&mut self, pid: Pid) -> bool {
        let line = text(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default());
        let mut words = line.split('\0');
        match (words.next(), words.next()) {
            (Some("podlet"), Some("supervise")) if self.supervisor.is_none() => self.supervisor = Some(pid),
            // Pause and containers.
            (Some("stage"), _) => {
                self.starts += 1;
                if self.last == Some(Last::Start(self.starts)) {
                    self.kill_supervisor();
                    return true;
                }
                let _ = ptrace::detach(pid, None);
                return false;
            }
            // Supervisors after this one.
            (Some("podlet"), Some("supervise")) => {
                let _ = ptrace::detach(pid, None);
                return false;
            }
            _ => {}
        }
        self.resume(pid, None);
        false
    }

    fn resume(&mut self, pid: Pid, signal: Option<Signal>) {
        // What was killed in between is gone.
        let _ = match self.is_of_supervisor(pid) {
            true => ptrace::syscall(pid, signal),
            false => ptrace::cont(pid, signal),
        };
    }

    fn is_of_supervisor(&self, thread: Pid) -> bool {
        self.supervisor.is_some_and(|supervisor| {
            thread == supervisor || fs::exists(format!("/proc/{supervisor}/task/{thread}")).unwrap_or(false)
        })
    }
}
