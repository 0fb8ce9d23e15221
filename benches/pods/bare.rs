//! The first yardstick: a pod made by hand, with nothing but the system calls that it cannot do without. One pause process
//! with namespaces of its own, and for each container a clone, a setns, a handful of mounts, pivot_root and exec. No cgroup,
//! no limits, no filter, no logs, no state: a true lower limit, not a peer.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

/// How many system calls a container costs here, from its clone to its exec.
pub const CALLS_PER_CONTAINER: usize = 11;

/// A pod that runs.
pub struct BarePod {
    pause: i32,
    containers: Vec<i32>,
}

impl BarePod {
    /// Starts pause and then each container: `program` with `arguments` in the tree `root`, its output to `output`.
    pub fn start(
        root: &Path,
        program: &str,
        arguments: &[&str],
        output: &OwnedFd,
        containers: usize,
    ) -> io::Result<BarePod> {
        let root = CString::new(root.as_os_str().as_encoded_bytes())?;
        let words: Vec<CString> =
            std::iter::once(program).chain(arguments.iter().copied()).map(CString::new).collect::<Result<_, _>>()?;
        let mut argv: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
        argv.push(std::ptr::null());
        let environment = [std::ptr::null()];

        let pause = clone3((libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS) as u64, None)?;
        if pause == 0 {
            // SAFETY: the child of a clone without CLONE_VM; pause(2) and _exit(2) only.
            unsafe {
                libc::pause();
                libc::_exit(0);
            }
        }
        let pidfd = pidfd_open(pause)?;
        let mut pod = BarePod { pause, containers: Vec::new() };
        for _ in 0..containers {
            let pid = clone3((libc::CLONE_NEWPID | libc::CLONE_NEWNS) as u64, None)?;
            if pid == 0 {
                // SAFETY: the child of a clone without CLONE_VM in a program with one thread; all pointers were made before.
                unsafe { become_container(&root, &argv, &environment, pidfd.as_raw_fd(), output.as_raw_fd()) }
            }
            pod.containers.push(pid);
        }
        Ok(pod)
    }

    /// Waits for every container's end, then ends pause.
    pub fn finish(self) {
        for pid in self.containers {
            wait(pid);
        }
        // SAFETY: a signal to our own child, which is not reaped yet.
        unsafe { libc::kill(self.pause, libc::SIGKILL) };
        wait(self.pause);
    }
}

/// The eleven calls; a failure of any ends the process with the number of the call.
///
/// # Safety
/// To be called in a fresh child only; `argv` and `environment` end with a null pointer and point to living strings.
unsafe fn become_container(
    root: &CString,
    argv: &[*const libc::c_char],
    environment: &[*const libc::c_char],
    pause: i32,
    output: i32,
) -> ! {
    let none = std::ptr::null::<libc::c_char>();
    let here = c".".as_ptr();
    // SAFETY: see the function; every pointer is to a literal or to the caller's strings.
    unsafe {
        let shared = libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
        step(1, libc::syscall(libc::SYS_setns, pause, shared));
        step(2, libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()).into());
        step(3, libc::mount(root.as_ptr(), root.as_ptr(), none, libc::MS_BIND, none.cast()).into());
        step(4, libc::chdir(root.as_ptr()).into());
        step(5, libc::mount(c"proc".as_ptr(), c"proc".as_ptr(), c"proc".as_ptr(), 0, none.cast()).into());
        step(6, libc::mount(c"tmpfs".as_ptr(), c"dev".as_ptr(), c"tmpfs".as_ptr(), 0, none.cast()).into());
        step(
            7,
            libc::mount(c"sysfs".as_ptr(), c"sys".as_ptr(), c"sysfs".as_ptr(), libc::MS_RDONLY, none.cast()).into(),
        );
        step(8, libc::syscall(libc::SYS_pivot_root, here, here));
        step(9, libc::umount2(here, libc::MNT_DETACH).into());
        step(10, libc::dup2(output, 1).into());
        libc::execve(argv[0], argv.as_ptr(), environment.as_ptr());
        libc::_exit(11)
    }
}

unsafe fn step(number: i32, result: libc::c_long) {
    if result < 0 {
        // SAFETY: _exit(2) has no preconditions.
        unsafe { libc::_exit(number) }
    }
}

/// A pidfd of a child.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes no pointers; the result is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(check(libc::syscall(libc::SYS_pidfd_open, pid, 0))? as i32) })
}

/// clone3(2) as fork(2) would be, with these namespaces, in this cgroup (v2).
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<i32> {
    const CLONE_INTO_CGROUP: u64 = 1 << 33;
    // SAFETY: all zero is a valid clone_args.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = flags;
    arguments.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: like fork(2): no CLONE_VM, no stack given; this program has one thread.
    check(unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, std::mem::size_of_val(&arguments)) })
        .map(|pid| pid as i32)
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Waits for a child's end.
pub fn wait(pid: i32) {
    // SAFETY: a null status is allowed; the pid is our own child.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
}
