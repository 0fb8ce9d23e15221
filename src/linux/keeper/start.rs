//! Sets a pod's keeper going. Called by the command line; what it leaves running takes nothing from where it was typed:
//! an own session, podlet's own cgroup, cwd `/`, umask 022, no terminal, an own session keyring, stated limits, priority and
//! CPUs, an empty environment, and a mount namespace of its own, so that the pod's mounts vanish with its last process.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use pause::message as wire;
use pause::sys::constant::CLONE_INTO_CGROUP;

use super::name_words;
use crate::linux::cgroup::Entrance;
use crate::linux::programs::Program;

/// Its name in the process list.
const KEEPER: &str = "podlet-keeper";

/// What a keeper is started with.
pub struct Start<'a> {
    /// Shown in the process list behind `podlet-keeper`: the pod's `namespace/name`.
    pub name: &'a str,
    /// podlet itself, open. Supervisors are started from it, whatever becomes of the file's name.
    pub program: BorrowedFd<'a>,
    /// The supervisor's arguments, from `argv[0]` on.
    pub arguments: &'a [&'a str],
    /// Standard output and error of keeper and supervisor; `None` is `/dev/null`, as is their input.
    pub log: Option<BorrowedFd<'a>>,
    /// The cgroup to be in.
    pub cgroup: &'a Entrance,
    /// What the keeper holds from its beginning: the control socket.
    pub held: &'a [(&'a str, BorrowedFd<'a>)],
    /// Where to put programs on a machine that executes no memfds.
    pub programs: &'a Path,
}

/// What can fail between fork and exec, in order.
#[derive(Clone, Copy)]
enum Step {
    Fork,
    Session,
    Cgroup,
    Directory,
    MountNamespace,
    Propagation,
    Descriptors,
    Execute,
}

/// What each is in an error of `start`; the child tells its number.
const STEPS: [(Step, &str); 8] = [
    (Step::Fork, "make a process for the keeper"),
    (Step::Session, "make a session for the keeper"),
    (Step::Cgroup, "join the keeper's cgroup"),
    (Step::Directory, "go to / as the keeper's directory"),
    (Step::MountNamespace, "make a mount namespace for the keeper"),
    (Step::Propagation, "keep the keeper's mounts from spreading"),
    (Step::Descriptors, "place the keeper's descriptors"),
    (Step::Execute, "execute the keeper"),
];

/// Soft and hard limits of keeper, supervisor and, where the pod says nothing else, containers: those of a service under
/// systemd (systemd-system.conf(5), its defaults). Where raising one is not permitted it stays.
const LIMITS: [(libc::__rlimit_resource_t, u64, u64); 12] = [
    (libc::RLIMIT_AS, libc::RLIM_INFINITY, libc::RLIM_INFINITY),
    (libc::RLIMIT_CORE, libc::RLIM_INFINITY, libc::RLIM_INFINITY),
    (libc::RLIMIT_CPU, libc::RLIM_INFINITY, libc::RLIM_INFINITY),
    (libc::RLIMIT_DATA, libc::RLIM_INFINITY, libc::RLIM_INFINITY),
    (libc::RLIMIT_FSIZE, libc::RLIM_INFINITY, libc::RLIM_INFINITY),
    (libc::RLIMIT_LOCKS, libc::RLIM_INFINITY, libc::RLIM_INFINITY),
    (libc::RLIMIT_MEMLOCK, 8 << 20, 8 << 20),
    (libc::RLIMIT_NOFILE, 1024, 524_288),
    (libc::RLIMIT_NPROC, libc::RLIM_INFINITY, libc::RLIM_INFINITY),
    (libc::RLIMIT_RSS, libc::RLIM_INFINITY, libc::RLIM_INFINITY),
    (libc::RLIMIT_RTTIME, libc::RLIM_INFINITY, libc::RLIM_INFINITY),
    (libc::RLIMIT_STACK, 8 << 20, libc::RLIM_INFINITY),
];

/// Starts a keeper, which starts the supervisor. Returns the pid of the keeper's twin, from which all else descends; it is
/// no child of the caller's.
pub fn start(config: &Start<'_>) -> io::Result<i32> {
    let keeper = Program::Keeper.open(config.programs)?;
    let page = make_page(config)?;
    let (supervisor_end, keeper_end) = socket_pair()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let log = config.log.unwrap_or(null.as_fd());
    let own = [null.as_fd(), log, log, page.as_fd(), config.program, supervisor_end.as_fd(), keeper_end.as_fd()];
    let held = config.held.iter().map(|(_, fd)| *fd).zip(wire::FIRST_HELD..);
    let mut descriptors: Vec<_> = own.into_iter().zip(0..).chain(held).map(|(fd, to)| (fd.as_raw_fd(), to)).collect();
    let (command, title) = (CString::new(KEEPER)?, CString::new(config.name)?);
    let arguments = [command.as_ptr(), title.as_ptr(), std::ptr::null()];

    let (mut told, tell) = io::pipe()?;
    let blocked = SignalsBlocked::new();
    // SAFETY: what runs in the child allocates nothing and takes no lock, so the caller may have threads.
    let middle = unsafe { libc::fork() };
    if middle == 0 {
        // SAFETY: as above. The first child goes at once, so the second is nobody's here, and no zombie of the caller's.
        match unsafe { fork_into(config.cgroup) } {
            0 => become_keeper(config, keeper.as_raw_fd(), tell.as_raw_fd(), &mut descriptors, &arguments),
            made => {
                if made < 0 {
                    tell_failure(tell.as_raw_fd(), Step::Fork);
                }
                // SAFETY: ends the process without running anything of the caller's.
                unsafe { libc::_exit(0) }
            }
        }
    }
    let failed = io::Error::last_os_error();
    drop((blocked, tell));
    if middle < 0 {
        return Err(failure(Step::Fork as i32, failed));
    }
    // SAFETY: our own child. That something else of this process has waited for it already does no harm.
    while unsafe { libc::waitpid(middle, std::ptr::null_mut(), 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
    // The pipe ends when exec closes its last writing end, or when the child has.
    let mut text = Vec::new();
    told.read_to_end(&mut text)?;
    let numbers: Vec<i32> = text.as_chunks::<4>().0.iter().map(|four| i32::from_ne_bytes(*four)).collect();
    match numbers[..] {
        [pid] => Ok(pid),
        [.., step, errno] => Err(failure(step, io::Error::from_raw_os_error(errno))),
        [] => Err(failure(Step::Fork as i32, io::Error::from_raw_os_error(libc::ECHILD))),
    }
}

/// fork(2), the child being made in the cgroup's v2 directory where there is one.
///
/// # Safety
/// As fork in a program that has threads: the child may make system calls only.
unsafe fn fork_into(cgroup: &Entrance) -> i32 {
    let Some(directory) = &cgroup.unified else {
        // SAFETY: the caller's promise.
        return unsafe { libc::fork() };
    };
    // SAFETY: all zero is a valid clone_args; without CLONE_VM and a stack it is fork.
    unsafe {
        let mut arguments: libc::clone_args = std::mem::zeroed();
        arguments.flags = CLONE_INTO_CGROUP;
        arguments.exit_signal = libc::SIGCHLD as u64;
        arguments.cgroup = directory.as_raw_fd() as u64;
        libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) as i32
    }
}

fn failure(step: i32, error: io::Error) -> io::Error {
    // F_DUPFD to a number that the limit does not let have, fcntl(2).
    let beyond_limit = step == Step::Descriptors as i32 && error.raw_os_error() == Some(libc::EINVAL);
    let error = if beyond_limit { io::Error::from_raw_os_error(libc::EMFILE) } else { error };
    let text = STEPS.iter().find(|(known, _)| *known as i32 == step).map_or("start the keeper", |(_, text)| text);
    io::Error::new(error.kind(), format!("could not {text}: {error}"))
}

/// The page that keeper, twin and supervisor share, with what a keeper must know in it.
fn make_page(config: &Start<'_>) -> io::Result<OwnedFd> {
    let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidInput, message);
    // The supervisor's, then the keeper's own, should it become another program.
    let texts = config.arguments.iter().copied().chain([KEEPER, config.name]);
    let arguments = texts.map(CString::new).collect::<Result<Vec<_>, _>>()?;
    let block: Vec<u8> = arguments.iter().flat_map(|text| text.as_bytes_with_nul()).copied().collect();
    if arguments.len() > wire::ARGUMENTS_COUNT || block.len() > wire::ARGUMENTS_MAX {
        return Err(invalid(format!(
            "{} arguments of {} bytes for supervisor and keeper, at most {} of {}",
            arguments.len(),
            block.len(),
            wire::ARGUMENTS_COUNT,
            wire::ARGUMENTS_MAX
        )));
    }
    if config.held.len() > wire::HELD_MAX {
        return Err(invalid(format!("{} descriptors to be held, at most {}", config.held.len(), wire::HELD_MAX)));
    }
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: a C string; the result is a new descriptor that nobody else owns.
    let page = unsafe {
        let fd = libc::memfd_create(c"keeper-page".as_ptr(), flags);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        File::from_raw_fd(fd)
    };
    page.set_len(size_of::<wire::Page>() as u64)?;
    let write = |offset: usize, bytes: &[u8]| page.write_all_at(bytes, offset as u64);
    write(offset_of!(wire::Page, magic), &wire::MAGIC.to_ne_bytes())?;
    write(offset_of!(wire::Page, version), &wire::VERSION.to_ne_bytes())?;
    write(offset_of!(wire::Page, arguments_count), &(config.arguments.len() as u32).to_ne_bytes())?;
    write(offset_of!(wire::Page, arguments), &block)?;
    let lengths = arguments.iter().map(|text| text.as_bytes_with_nul().len() as u16);
    let starts = lengths.scan(0, |at, length| Some(std::mem::replace(at, *at + length)));
    write(offset_of!(wire::Page, arguments_at), &starts.flat_map(u16::to_ne_bytes).collect::<Vec<u8>>())?;
    write(offset_of!(wire::Page, held_used), &(config.held.len() as u32).to_ne_bytes())?;
    for (index, ((tag, _), fd)) in config.held.iter().zip(wire::FIRST_HELD..).enumerate() {
        let offset = offset_of!(wire::Page, held) + index * size_of::<wire::Held>();
        let name: Vec<u8> = name_words(tag)?.iter().flat_map(|word| word.to_ne_bytes()).collect();
        write(offset + offset_of!(wire::Held, descriptor), &fd.to_ne_bytes())?;
        write(offset + offset_of!(wire::Held, name), &name)?;
    }
    // SAFETY: fcntl on a descriptor of ours. A page that could shrink would kill whoever looks at it.
    unsafe {
        libc::fcntl(page.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL)
    };
    Ok(page.into())
}

fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// No signal may end the child before it is out of the terminal's reach: its end would look like a success.
struct SignalsBlocked(nix::sys::signal::SigSet);

impl SignalsBlocked {
    fn new() -> SignalsBlocked {
        use nix::sys::signal::{SigSet, SigmaskHow};
        SignalsBlocked(SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).unwrap_or_else(|_| SigSet::empty()))
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // Cannot fail: the mask is one that the kernel gave.
        let _ = self.0.thread_set_mask();
    }
}

/// In the child: ends in the keeper's program, or in a message about the step that failed. Allocates nothing.
fn become_keeper(
    config: &Start<'_>,
    keeper: RawFd,
    tell: RawFd,
    descriptors: &mut [(RawFd, RawFd)],
    arguments: &[*const libc::c_char; 3],
) -> ! {
    // SAFETY: getpid(2) cannot fail.
    tell_words(tell, &[unsafe { libc::getpid() }]);
    let (step, tell) = match set_up(config).and_then(|()| place(keeper, tell, descriptors)) {
        Err(step) => (step, tell),
        Ok((keeper, tell)) => {
            let environment = [std::ptr::null::<libc::c_char>()];
            let (path, argv, envp) = (c"".as_ptr(), arguments.as_ptr(), environment.as_ptr());
            // SAFETY: C strings and lists that end with a null pointer.
            unsafe { libc::syscall(libc::SYS_execveat, keeper, path, argv, envp, libc::AT_EMPTY_PATH) };
            (Step::Execute, tell)
        }
    };
    tell_failure(tell, step);
    // SAFETY: ends the process without running anything of the caller's.
    unsafe { libc::_exit(1) }
}

/// Takes off what a process has from where it was started.
fn set_up(config: &Start<'_>) -> Result<(), Step> {
    let check = |step: Step, result: i64| if result < 0 { Err(step) } else { Ok(()) };
    // SAFETY: calls with numbers and C strings only. The unchecked ones are those that need a right which an ordinary
    // user lacks, and that change nothing for a process that was started in the ordinary way.
    unsafe {
        // SIG_DFL for all: "ignore" passes exec, and `nohup` and Rust programs leave some. Not by signal(3), which keeps two of
        // them to itself. The kernel's structure is three or four words.
        for signal in 1..=64 {
            libc::syscall(libc::SYS_rt_sigaction, signal, [0usize; 4].as_ptr(), 0, 8);
        }
        check(Step::Session, libc::setsid().into())?;
        for tasks in &config.cgroup.tasks {
            // 0 is the writer itself. First of all that allocates: memory stays charged to the cgroup it was touched in.
            check(Step::Cgroup, libc::write(tasks.as_raw_fd(), c"0".as_ptr().cast(), 1) as i64)?;
        }
        check(Step::Directory, libc::chdir(c"/".as_ptr()).into())?;
        libc::umask(0o022);
        // KEYCTL_JOIN_SESSION_KEYRING without a name: an anonymous new one. ENOSYS where the kernel has no keyrings, EPERM
        // where a seccomp filter hides them, as Docker's does: then nothing of the user's keys could be seen either.
        libc::syscall(libc::SYS_keyctl, 1, std::ptr::null::<libc::c_char>());
        check(Step::MountNamespace, libc::unshare(libc::CLONE_NEWNS).into())?;
        let (root, none) = (c"/".as_ptr(), std::ptr::null());
        check(Step::Propagation, libc::mount(none, root, none, libc::MS_REC | libc::MS_SLAVE, none.cast()).into())?;
        libc::personality(0);
        libc::setpriority(libc::PRIO_PROCESS, 0, 0);
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &libc::sched_param { sched_priority: 0 });
        // Every CPU that the cpuset lets: the kernel drops the others.
        let all: libc::cpu_set_t = std::mem::transmute([!0u8; size_of::<libc::cpu_set_t>()]);
        libc::sched_setaffinity(0, size_of_val(&all), &all);
        // IOPRIO_WHO_PROCESS, class none: as the nice value says.
        libc::syscall(libc::SYS_ioprio_set, 1, 0, 0);
        protect_from_oom_killer();
    }
    for (resource, soft, hard) in LIMITS {
        set_limit(resource, soft, hard);
    }
    Ok(())
}

/// -999 where that is permitted (CAP_SYS_RESOURCE): the pod's own processes go first, and each plan sets theirs.
fn protect_from_oom_killer() {
    // SAFETY: C strings; the descriptor is used and closed here.
    unsafe {
        let fd = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if fd >= 0 {
            libc::write(fd, c"-999".as_ptr().cast(), 4);
            libc::close(fd);
        }
    }
}

fn set_limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) {
    let mut limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the structure lives during the calls.
    unsafe {
        if libc::setrlimit(resource, &limit) < 0 && libc::getrlimit(resource, &mut limit) == 0 {
            limit.rlim_cur = soft.min(limit.rlim_max);
            libc::setrlimit(resource, &limit);
        }
    }
}

/// Puts each descriptor at its number; all others are closed by exec. All go above all numbers first, where none is
/// overwritten before it was placed. Gives back where keeper and pipe are now.
fn place(keeper: RawFd, tell: RawFd, descriptors: &mut [(RawFd, RawFd)]) -> Result<(RawFd, RawFd), Step> {
    let above = wire::FIRST_HELD + descriptors.len() as i32;
    let lift = |fd: RawFd| {
        // SAFETY: makes a new descriptor, owned by this child alone.
        match unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, above) } {
            lifted if lifted >= 0 => Ok(lifted),
            _ => Err(Step::Descriptors),
        }
    };
    let (keeper, tell) = (lift(keeper)?, lift(tell)?);
    for (fd, _) in descriptors.iter_mut() {
        *fd = lift(*fd)?;
    }
    // SAFETY: in this child nothing else uses descriptors; all owners are in the parent.
    unsafe {
        libc::close_range(0, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int);
        for (fd, target) in descriptors.iter() {
            if libc::dup3(*fd, *target, 0) < 0 {
                return Err(Step::Descriptors);
            }
        }
    }
    Ok((keeper, tell))
}

fn tell_failure(tell: RawFd, step: Step) {
    let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
    tell_words(tell, &[step as i32, errno]);
}

fn tell_words(tell: RawFd, words: &[i32]) {
    // SAFETY: the words live during the call. Nothing can be done when it fails.
    unsafe { libc::write(tell, words.as_ptr().cast(), size_of_val(words)) };
}
