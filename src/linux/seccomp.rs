//! podlet's RuntimeDefault: the system calls that a container may make, by its capabilities. An allow-list of podlet's own;
//! what is not on it is EPERM, what is newer than it is ENOSYS (so that C libraries fall back), clone3 is ENOSYS (its flags
//! are behind a pointer, where a filter cannot look). User namespaces, mounts, setns, keyctl and bpf are shut unless a
//! capability opens them, and pushing characters into a terminal (TIOCSTI, TIOCLINUX) always is.
//!
//! The kernel may take a filter long before exec (see `plan::credentials`): everything that a stage still does then is on
//! the list. Programs of another architecture (32-bit ones) are killed: their numbers mean other calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use libc::sock_filter;

use crate::plan::Capabilities;

macro_rules! calls {
    ($($name:ident)*) => { &[$(libc::$name),*] };
}

/// Allowed to everyone, whatever the arguments.
const PLAIN: &[libc::c_long] = calls![
    SYS_accept SYS_accept4 SYS_bind SYS_brk SYS_capget SYS_capset SYS_chdir SYS_clock_adjtime SYS_clock_getres
    SYS_clock_gettime SYS_clock_nanosleep SYS_close SYS_close_range SYS_connect SYS_copy_file_range SYS_dup SYS_dup3
    SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_execve SYS_execveat SYS_exit
    SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fadvise64 SYS_fallocate SYS_fanotify_mark SYS_fchdir SYS_fchmod
    SYS_fchmodat SYS_fchown SYS_fchownat SYS_fcntl SYS_fdatasync SYS_fgetxattr SYS_flistxattr SYS_flock
    SYS_fremovexattr SYS_fsetxattr SYS_fstat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex SYS_futex_waitv SYS_get_robust_list
    SYS_getcpu SYS_getcwd SYS_getdents64 SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups SYS_getitimer SYS_getpeername
    SYS_getpgid SYS_getpid SYS_getppid SYS_getpriority SYS_getrandom SYS_getresgid SYS_getresuid SYS_getrlimit SYS_getrusage
    SYS_getsid SYS_getsockname SYS_getsockopt SYS_gettid SYS_gettimeofday SYS_getuid SYS_getxattr SYS_inotify_add_watch
    SYS_inotify_init1 SYS_inotify_rm_watch SYS_io_cancel SYS_io_destroy SYS_io_getevents SYS_io_setup SYS_io_submit
    SYS_ioprio_get SYS_ioprio_set SYS_kill SYS_landlock_add_rule SYS_landlock_create_ruleset SYS_landlock_restrict_self
    SYS_lgetxattr SYS_linkat SYS_listen SYS_listxattr SYS_llistxattr SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_madvise
    SYS_membarrier SYS_memfd_create SYS_mincore SYS_mkdirat SYS_mknodat SYS_mlock SYS_mlock2 SYS_mlockall SYS_mmap
    SYS_mprotect SYS_mq_getsetattr SYS_mq_notify SYS_mq_open SYS_mq_timedreceive SYS_mq_timedsend SYS_mq_unlink SYS_mremap
    SYS_msgctl SYS_msgget SYS_msgrcv SYS_msgsnd SYS_msync SYS_munlock SYS_munlockall SYS_munmap SYS_name_to_handle_at
    SYS_nanosleep SYS_newfstatat SYS_openat SYS_openat2 SYS_pidfd_open SYS_pidfd_send_signal SYS_pipe2 SYS_pkey_alloc
    SYS_pkey_free SYS_pkey_mprotect SYS_ppoll SYS_prctl SYS_pread64 SYS_preadv SYS_preadv2 SYS_prlimit64
    SYS_process_mrelease SYS_process_vm_readv SYS_process_vm_writev SYS_pselect6 SYS_ptrace SYS_pwrite64 SYS_pwritev
    SYS_pwritev2 SYS_read SYS_readahead SYS_readlinkat SYS_readv SYS_recvfrom SYS_recvmmsg SYS_recvmsg SYS_remap_file_pages
    SYS_removexattr SYS_renameat SYS_renameat2 SYS_restart_syscall SYS_rseq SYS_rt_sigaction SYS_rt_sigpending
    SYS_rt_sigprocmask SYS_rt_sigqueueinfo SYS_rt_sigreturn SYS_rt_sigsuspend SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo
    SYS_sched_get_priority_max SYS_sched_get_priority_min SYS_sched_getaffinity SYS_sched_getattr SYS_sched_getparam
    SYS_sched_getscheduler SYS_sched_rr_get_interval SYS_sched_setaffinity SYS_sched_setattr SYS_sched_setparam
    SYS_sched_setscheduler SYS_sched_yield SYS_seccomp SYS_semctl SYS_semget SYS_semop SYS_semtimedop SYS_sendfile
    SYS_sendmmsg SYS_sendmsg SYS_sendto SYS_set_robust_list SYS_set_tid_address SYS_setfsgid SYS_setfsuid SYS_setgid
    SYS_setgroups SYS_setitimer SYS_setpgid SYS_setpriority SYS_setregid SYS_setresgid SYS_setresuid SYS_setreuid
    SYS_setrlimit SYS_setsid SYS_setsockopt SYS_setuid SYS_setxattr SYS_shmat SYS_shmctl SYS_shmdt SYS_shmget SYS_shutdown
    SYS_sigaltstack SYS_signalfd4 SYS_socketpair SYS_splice SYS_statfs SYS_statx SYS_symlinkat SYS_sync SYS_sync_file_range
    SYS_syncfs SYS_sysinfo SYS_tee SYS_tgkill SYS_timer_create SYS_timer_delete SYS_timer_getoverrun SYS_timer_gettime
    SYS_timer_settime SYS_timerfd_create SYS_timerfd_gettime SYS_timerfd_settime SYS_times SYS_tkill SYS_truncate SYS_umask
    SYS_uname SYS_unlinkat SYS_utimensat SYS_vmsplice SYS_wait4 SYS_waitid SYS_write SYS_writev
];

/// fchmodat2(2), which the libc crate knows of some architectures only; the number is that of all.
const NEWER: &[libc::c_long] = &[452];

/// Older forms that only this architecture has.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = calls![
    SYS_access SYS_alarm SYS_arch_prctl SYS_chmod SYS_chown SYS_creat SYS_dup2 SYS_epoll_create SYS_epoll_ctl_old
    SYS_epoll_wait SYS_epoll_wait_old SYS_eventfd SYS_fork SYS_futimesat SYS_get_thread_area SYS_getdents SYS_getpgrp
    SYS_inotify_init SYS_lchown SYS_link SYS_lstat SYS_mkdir SYS_mknod SYS_modify_ldt SYS_open SYS_pause SYS_pipe SYS_poll
    SYS_readlink SYS_rename SYS_rmdir SYS_select SYS_set_thread_area SYS_signalfd SYS_stat SYS_symlink SYS_time SYS_unlink
    SYS_utime SYS_utimes SYS_vfork
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

/// Opened by a capability: its name and the calls.
const BY_CAPABILITY: &[(&str, &[libc::c_long])] = &[
    ("DAC_READ_SEARCH", calls![SYS_open_by_handle_at]),
    (
        "SYS_ADMIN",
        calls![
            SYS_bpf SYS_clone3 SYS_fanotify_init SYS_fsconfig SYS_fsmount SYS_fsopen SYS_fspick SYS_lookup_dcookie SYS_mount
            SYS_mount_setattr SYS_move_mount SYS_open_tree SYS_perf_event_open SYS_pivot_root SYS_quotactl SYS_quotactl_fd
            SYS_setdomainname SYS_sethostname SYS_setns SYS_syslog SYS_umount2 SYS_unshare
        ],
    ),
    ("SYS_BOOT", calls![SYS_reboot]),
    ("SYS_CHROOT", calls![SYS_chroot]),
    ("SYS_MODULE", calls![SYS_delete_module SYS_init_module SYS_finit_module]),
    ("SYS_PACCT", calls![SYS_acct]),
    ("SYS_PTRACE", calls![SYS_kcmp SYS_pidfd_getfd SYS_process_madvise]),
    ("SYS_TIME", calls![SYS_adjtimex SYS_settimeofday SYS_clock_settime]),
    ("SYS_TTY_CONFIG", calls![SYS_vhangup]),
    (
        "SYS_NICE",
        calls![SYS_get_mempolicy SYS_mbind SYS_set_mempolicy SYS_set_mempolicy_home_node SYS_migrate_pages SYS_move_pages],
    ),
    ("SYSLOG", calls![SYS_syslog]),
    ("BPF", calls![SYS_bpf]),
    ("PERFMON", calls![SYS_perf_event_open]),
];

/// The highest number that this table knows of; above it a container gets ENOSYS.
const NEWEST: u32 = {
    let mseal = libc::SYS_mseal;
    mseal as u32
};

/// What the kernel calls this processor, linux/audit.h.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};

/// Domains and execution types that personality(2) may set: the ordinary one, UNAME26, ADDR_NO_RANDOMIZE-free queries.
const PERSONALITIES: [u32; 5] = [0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// `CLONE_NEW*` of clone(2).
const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// No filter can be made: a fault of podlet's own.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// No numbers are known for this processor.
    #[error("podlet has no table of system calls for this processor")]
    Architecture,
    /// A part of it is longer than a jump reaches.
    #[error("the table of system calls is too long")]
    Length,
}

/// Programs already compiled, by capability set: a pod's containers mostly share one.
static COMPILED: Mutex<BTreeMap<Capabilities, Arc<Vec<sock_filter>>>> = Mutex::new(BTreeMap::new());

/// The program for a container with these capabilities.
pub fn runtime_default(capabilities: Capabilities) -> Result<Arc<Vec<sock_filter>>, FilterError> {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(program) = compiled.get(&capabilities) {
        return Ok(Arc::clone(program));
    }
    let program = Arc::new(compile(capabilities)?);
    compiled.insert(capabilities, Arc::clone(&program));
    Ok(program)
}

/// What is answered to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allow,
    /// Fails with this errno.
    Refuse(i32),
    /// Allowed when an argument, as far as it is in the mask, has one of these values; else EPERM. The kernel looks at the
    /// low 32 bits of each of these arguments; so does the filter.
    OneOf(u32, u32, &'static [u32]),
    /// EPERM when an argument has one of these values.
    NoneOf(u32, &'static [u32]),
}

fn verdicts(capabilities: Capabilities) -> BTreeMap<u32, Verdict> {
    let mut verdicts = BTreeMap::new();
    let mut add = |call: libc::c_long, verdict: Verdict| {
        verdicts.extend(u32::try_from(call).ok().map(|number| (number, verdict)));
    };
    for call in PLAIN.iter().chain(NEWER).chain(OLDER) {
        add(*call, Verdict::Allow);
    }
    add(libc::SYS_ioctl, Verdict::NoneOf(1, &[libc::TIOCSTI as u32, libc::TIOCLINUX as u32]));
    add(libc::SYS_personality, Verdict::OneOf(0, u32::MAX, &PERSONALITIES));
    add(libc::SYS_socket, Verdict::NoneOf(0, &[libc::AF_VSOCK as u32]));
    add(libc::SYS_clone, Verdict::OneOf(0, NEW_NAMESPACES, &[0]));
    add(libc::SYS_clone3, Verdict::Refuse(libc::ENOSYS));
    for (name, calls) in BY_CAPABILITY.iter().filter(|(name, _)| capabilities.has(name)) {
        for call in *calls {
            add(*call, Verdict::Allow);
        }
        if *name == "SYS_ADMIN" {
            add(libc::SYS_clone, Verdict::Allow);
        }
    }
    #[cfg(target_arch = "x86_64")]
    if capabilities.has("SYS_RAWIO") {
        add(libc::SYS_iopl, Verdict::Allow);
        add(libc::SYS_ioperm, Verdict::Allow);
    }
    verdicts
}

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const UNLESS_BELOW: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// An instruction; a jump skips `yes` or `no` of those behind it.
fn instruction(code: u32, k: u32, yes: usize, no: usize) -> Result<sock_filter, FilterError> {
    let short = |skip: usize| u8::try_from(skip).map_err(|_| FilterError::Length);
    Ok(sock_filter { code: code as u16, jt: short(yes)?, jf: short(no)?, k })
}

fn refusal(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()
}

/// The end of a way through the program.
fn leaf(verdict: Verdict) -> Result<Vec<sock_filter>, FilterError> {
    // struct seccomp_data: nr, arch, instruction_pointer, then the arguments, low half first on the processors known here.
    let load = |argument: u32| instruction(LOAD, 16 + 8 * argument, 0, 0);
    let give = |value: u32| instruction(RETURN, value, 0, 0);
    let (argument, mask, values, listed, other) = match verdict {
        Verdict::Allow => return Ok(vec![give(libc::SECCOMP_RET_ALLOW)?]),
        Verdict::Refuse(errno) => return Ok(vec![give(refusal(errno))?]),
        Verdict::OneOf(argument, mask, values) => {
            (argument, mask, values, libc::SECCOMP_RET_ALLOW, refusal(libc::EPERM))
        }
        Verdict::NoneOf(argument, values) => {
            (argument, u32::MAX, values, refusal(libc::EPERM), libc::SECCOMP_RET_ALLOW)
        }
    };
    let mut code = vec![load(argument)?];
    if mask != u32::MAX {
        code.push(instruction(AND, mask, 0, 0)?);
    }
    for (index, value) in values.iter().enumerate() {
        code.push(instruction(IF_EQUAL, *value, values.len() - index, 0)?);
    }
    code.extend([give(other)?, give(listed)?]);
    Ok(code)
}

/// A run of numbers with one verdict.
struct Run {
    first: u32,
    count: u32,
    verdict: Verdict,
}

/// Whether a number is at least `first`.
struct Comparison {
    first: u32,
    /// So many comparisons lie between this one and that for those that are.
    skipped: usize,
    /// What those below, and the others, get, where it is decided by this.
    verdicts: [Option<Verdict>; 2],
}

/// Finds the run that a number is in, by halves of the numbers. Its first comparison comes next, if there is one to make.
fn search(runs: &[Run], comparisons: &mut Vec<Comparison>) -> Option<Verdict> {
    let (below, above) = match runs {
        [] => return Some(Verdict::Refuse(libc::ENOSYS)),
        [one] => return Some(one.verdict),
        several => several.split_at(middle(several)),
    };
    let first = above.first().map_or(u32::MAX, |run| run.first);
    let at = comparisons.len();
    comparisons.push(Comparison { first, skipped: 0, verdicts: [None, None] });
    let no = search(below, comparisons);
    let skipped = comparisons.len() - at - 1;
    let yes = search(above, comparisons);
    if let Some(comparison) = comparisons.get_mut(at) {
        *comparison = Comparison { first, skipped, verdicts: [no, yes] };
    }
    None
}

/// The comparisons, and behind them each verdict once.
fn assemble(comparisons: &[Comparison]) -> Result<Vec<sock_filter>, FilterError> {
    let (mut ends, mut behind) = (Vec::new(), Vec::new());
    for verdict in comparisons.iter().flat_map(|comparison| comparison.verdicts).flatten() {
        if !ends.iter().any(|(known, _)| *known == verdict) {
            ends.push((verdict, comparisons.len() + behind.len()));
            behind.extend(leaf(verdict)?);
        }
    }
    let mut code = Vec::with_capacity(comparisons.len() + behind.len());
    for (at, Comparison { first, skipped, verdicts: [no, yes] }) in comparisons.iter().enumerate() {
        let skip = |verdict: &Option<Verdict>, next: usize| {
            let end = ends.iter().find(|(known, _)| Some(*known) == *verdict);
            end.map_or(next, |(_, end)| end - at - 1)
        };
        code.push(instruction(UNLESS_BELOW, *first, skip(yes, *skipped), skip(no, 0))?);
    }
    code.extend(behind);
    Ok(code)
}

/// Where the numbers of several runs are parted into halves that are as equal as can be, none of them empty.
fn middle(runs: &[Run]) -> usize {
    let all: u32 = runs.iter().map(|run| run.count).sum();
    let mut below = 0;
    let parted = runs.iter().enumerate().map(|(index, run)| {
        below += run.count;
        (below.abs_diff(all - below), index + 1)
    });
    parted.take(runs.len() - 1).min().map_or(1, |(_, index)| index)
}

/// The kernel works through the program once for each number when it is loaded, and translates each instruction, 45 µs in
/// all: so it is a search by halves of the numbers over runs with one verdict, which has few instructions and few on each way.
fn compile(capabilities: Capabilities) -> Result<Vec<sock_filter>, FilterError> {
    let architecture = ARCHITECTURE.ok_or(FilterError::Architecture)?;
    let verdicts = verdicts(capabilities);
    let mut runs: Vec<Run> = Vec::new();
    for number in 0..=NEWEST + 1 {
        let default = Verdict::Refuse(if number > NEWEST { libc::ENOSYS } else { libc::EPERM });
        let verdict = verdicts.get(&number).copied().unwrap_or(default);
        match runs.last_mut().filter(|run| run.verdict == verdict) {
            Some(run) => run.count += 1,
            None => runs.push(Run { first: number, count: 1, verdict }),
        }
    }
    let mut code = vec![
        instruction(LOAD, 4, 0, 0)?,
        instruction(IF_EQUAL, architecture, 1, 0)?,
        instruction(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0)?,
        instruction(LOAD, 0, 0, 0)?,
    ];
    let mut comparisons = Vec::new();
    match search(&runs, &mut comparisons) {
        Some(only) => code.extend(leaf(only)?),
        None => code.extend(assemble(&comparisons)?),
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// A reading of classic BPF, enough for these programs: what the kernel would answer.
    fn answer(program: &[sock_filter], call: libc::c_long, arguments: [u64; 6]) -> u32 {
        answer_of(program, ARCHITECTURE.unwrap(), call, arguments)
    }

    fn answer_of(program: &[sock_filter], architecture: u32, call: libc::c_long, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend_from_slice(&(call as u32).to_ne_bytes());
        data.extend_from_slice(&architecture.to_ne_bytes());
        data.extend_from_slice(&[0; 8]);
        for argument in arguments {
            data.extend_from_slice(&argument.to_ne_bytes());
        }
        let (mut at, mut accumulator) = (0usize, 0u32);
        loop {
            let i = &program[at];
            at += 1;
            let code = u32::from(i.code);
            match code & 7 {
                0 => accumulator = u32::from_ne_bytes(data[i.k as usize..i.k as usize + 4].try_into().unwrap()),
                4 => {
                    assert_eq!(code & 0xf0, 0x50, "only AND");
                    accumulator &= i.k;
                }
                5 => {
                    let taken = match code & 0xf0 {
                        0x10 => accumulator == i.k,
                        0x20 => accumulator > i.k,
                        0x30 => accumulator >= i.k,
                        other => panic!("jump {other:#x}"),
                    };
                    at += usize::from(if taken { i.jt } else { i.jf });
                }
                6 => return i.k,
                other => panic!("class {other}"),
            }
        }
    }

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

    #[test]
    fn what_the_default_container_may_do() {
        let program = runtime_default(Capabilities::DEFAULT).unwrap();
        let ask = |call, first: u64, second: u64| answer(&program, call, [first, second, 0, 0, 0, 0]);
        for call in PLAIN.iter().chain(NEWER).chain(OLDER).chain(&[libc::SYS_chroot]) {
            assert_eq!(ask(*call, 0, 0), ALLOW, "{call}");
        }
        for call in [
            libc::SYS_mount,
            libc::SYS_setns,
            libc::SYS_unshare,
            libc::SYS_keyctl,
            libc::SYS_bpf,
            libc::SYS_add_key,
            libc::SYS_io_uring_setup,
            libc::SYS_userfaultfd,
            libc::SYS_perf_event_open,
            libc::SYS_open_by_handle_at,
            libc::SYS_move_mount,
            libc::SYS_fsopen,
            libc::SYS_pivot_root,
            libc::SYS_umount2,
            libc::SYS_kexec_load,
            libc::SYS_syslog,
            libc::SYS_swapon,
            libc::SYS_open_tree,
            libc::SYS_mount_setattr,
            libc::SYS_sethostname,
        ] {
            assert_eq!(ask(call, 0, 0), EPERM, "{call}");
        }
        assert_eq!(ask(libc::SYS_clone3, 0, 0), ENOSYS);
        assert_eq!(ask(libc::SYS_mseal + 1, 0, 0), ENOSYS);
        assert_eq!(ask(libc::SYS_clone, libc::SIGCHLD as u64 | libc::CLONE_PARENT as u64, 0), ALLOW);
        for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET, libc::CLONE_NEWPID] {
            assert_eq!(ask(libc::SYS_clone, flag as u64, 0), EPERM);
            // What the kernel cuts off must not hide the flag.
            assert_eq!(ask(libc::SYS_clone, flag as u64 | 1 << 40, 0), EPERM);
        }
        for request in [libc::TIOCSTI, libc::TIOCLINUX] {
            assert_eq!(ask(libc::SYS_ioctl, 0, request), EPERM);
            assert_eq!(ask(libc::SYS_ioctl, 0, request | 1 << 32), EPERM);
        }
        assert_eq!(ask(libc::SYS_ioctl, 0, libc::TIOCSCTTY), ALLOW);
        assert_eq!(ask(libc::SYS_personality, 0, 0), ALLOW);
        assert_eq!(ask(libc::SYS_personality, 0x4000000, 0), EPERM);
        assert_eq!(ask(libc::SYS_socket, libc::AF_INET as u64, 0), ALLOW);
        assert_eq!(ask(libc::SYS_socket, libc::AF_VSOCK as u64, 0), EPERM);
    }

    /// Every number, known and not, gets what the table says of it, whatever its run.
    #[test]
    fn the_search_finds_each_number() {
        let single = (0..64).map(|number| Capabilities(1 << number));
        for capabilities in
            [Capabilities(0), Capabilities::DEFAULT, Capabilities(u64::MAX >> 23)].into_iter().chain(single)
        {
            let (program, verdicts) = (runtime_default(capabilities).unwrap(), verdicts(capabilities));
            assert!(program.len() < 200, "{}", program.len());
            for number in (0..NEWEST + 100).chain([0x4000_0000, 0x4000_0001, u32::MAX]) {
                let expected = match verdicts.get(&number) {
                    _ if number > NEWEST => ENOSYS,
                    None => EPERM,
                    Some(Verdict::Allow | Verdict::NoneOf(..) | Verdict::OneOf(..)) => ALLOW,
                    Some(Verdict::Refuse(errno)) => refusal(*errno),
                };
                assert_eq!(answer(&program, libc::c_long::from(number), [0; 6]), expected, "{number}");
            }
        }
    }

    #[test]
    fn another_architecture_is_killed() {
        let program = runtime_default(Capabilities(u64::MAX >> 23)).unwrap();
        assert_eq!(answer_of(&program, 0x4000_0003, 0, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn capabilities_open_calls() {
        let admin = Capabilities(Capabilities::DEFAULT.0 | Capabilities::by_name("SYS_ADMIN").unwrap().0);
        let program = runtime_default(admin).unwrap();
        for call in [libc::SYS_mount, libc::SYS_setns, libc::SYS_bpf, libc::SYS_clone3, libc::SYS_unshare] {
            assert_eq!(answer(&program, call, [0; 6]), ALLOW, "{call}");
        }
        assert_eq!(answer(&program, libc::SYS_clone, [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(answer(&program, libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0]), EPERM);
        assert_eq!(answer(&program, libc::SYS_keyctl, [0; 6]), EPERM);
        let none = runtime_default(Capabilities(0)).unwrap();
        assert_eq!(answer(&none, libc::SYS_chroot, [0; 6]), EPERM);
    }

    #[test]
    fn every_call_of_a_stage_after_the_filter_passes() {
        let program = runtime_default(Capabilities(0)).unwrap();
        for call in [
            libc::SYS_prctl,
            libc::SYS_setgroups,
            libc::SYS_setresgid,
            libc::SYS_setresuid,
            libc::SYS_capset,
            libc::SYS_setsid,
            libc::SYS_rt_sigprocmask,
            libc::SYS_close_range,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_write,
            libc::SYS_exit_group,
            libc::SYS_fchdir,
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_recvmsg,
            libc::SYS_clone,
            libc::SYS_dup3,
            libc::SYS_close,
            libc::SYS_wait4,
            libc::SYS_sendto,
        ] {
            assert_eq!(answer(&program, call, [0; 6]), ALLOW, "{call}");
        }
    }
}
