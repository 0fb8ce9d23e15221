//! The kernel: its version, and each system call that podlet builds on, made once with arguments that do nothing. A kernel
//! may be patched, and a container's own filter may refuse a call that the kernel has.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::super::{pidfd, syscall};
use super::Finding;

/// Oldest kernel that podlet is made for.
const OLDEST: (u32, u32) = (5, 14);
/// What is said of a call that is not there.
const NO_CALL: &str = "no pod can be started";
const NEWER: &str = "use a kernel from Linux 5.14 on; in a container, one whose seccomp profile allows the call \
                     (--security-opt seccomp=unconfined)";

/// Looks.
pub fn examine() -> Vec<Finding> {
    let mut findings = vec![version()];
    let mut there = Vec::new();
    for (name, tried) in calls() {
        match tried {
            Ok(()) => there.push(name),
            Err(error) => findings.push(Finding::missing(name, error.to_string(), NO_CALL, NEWER)),
        }
    }
    findings.push(Finding::good("system calls", there.join(", ")));
    findings.push(match exit_by_pidfd() {
        true => Finding::good("PIDFD_GET_INFO", "the end of a process is told by its descriptor"),
        false => Finding::lesser(
            "PIDFD_GET_INFO",
            "not known to this kernel",
            "should a pod's keeper and its twin both be killed, exit codes of its containers cannot be known",
            "Linux 6.15 or newer has it; nothing has to be done",
        ),
    });
    findings.push(match filters() {
        Ok(()) => Finding::good("seccomp", "filters can be loaded"),
        Err(error) => Finding::missing(
            "seccomp",
            error.to_string(),
            "only pods whose containers say seccompProfile Unconfined could run, and less safely",
            "use a kernel with CONFIG_SECCOMP_FILTER",
        ),
    });
    findings
}

fn version() -> Finding {
    let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    let release = release.unwrap_or_default();
    let found = format!("Linux {release}");
    match parse(&release) {
        Some(version) if version >= OLDEST => Finding::good("kernel", found),
        _ => Finding::missing("kernel", found, "podlet is made for Linux 5.14 and newer", "use a newer kernel"),
    }
}

/// `6.18.5-1-amd64`: the first two numbers.
fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Each call, and whether the kernel knows it: a refusal of the empty arguments is knowledge, too.
fn calls() -> Vec<(&'static str, io::Result<()>)> {
    let known = |result: io::Result<()>| match result {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => Err(error),
        _ => Ok(()),
    };
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: a size of zero: the kernel reads nothing and refuses with EINVAL.
    let clone3 = unsafe { libc::syscall(libc::SYS_clone3, none, 0) };
    let clone3 = told(clone3);
    // SAFETY: numbers only; the range is beyond every descriptor.
    let close_range = told(unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) });
    // SAFETY: a size of zero: the kernel reads nothing.
    let attributes = told(unsafe { libc::syscall(libc::SYS_mount_setattr, -1, c"".as_ptr(), 0, none, 0) });
    // SAFETY: a NUL-terminated empty path below no descriptor.
    let tree = told(unsafe { libc::syscall(libc::SYS_open_tree, -1, c"".as_ptr(), libc::AT_EMPTY_PATH) });
    let resolve = syscall::openat2(libc::AT_FDCWD, c"/", libc::O_PATH.cast_unsigned().into(), 0, libc::RESOLVE_IN_ROOT);
    vec![
        ("clone3", known(clone3)),
        ("openat2", known(resolve.map(drop))),
        ("pidfd_open", known(own_pidfd().map(drop))),
        ("close_range", known(close_range)),
        ("open_tree", known(tree)),
        ("mount_setattr", known(attributes)),
    ]
}

fn told(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn own_pidfd() -> io::Result<std::os::fd::OwnedFd> {
    let own = i32::try_from(std::process::id()).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    pidfd::open(own)
}

fn exit_by_pidfd() -> bool {
    let Ok(own) = own_pidfd() else { return false };
    // SAFETY: a structure of plain numbers, for which zeros are a value.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = u64::from(libc::PIDFD_INFO_EXIT);
    // SAFETY: the structure is as long as the request's number says and lives during the call.
    unsafe { libc::ioctl(own.as_fd().as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) == 0 }
}

/// SECCOMP_GET_ACTION_AVAIL, seccomp(2): asks without loading anything.
fn filters() -> io::Result<()> {
    let action: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the kernel reads four bytes that live during the call.
    told(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        assert_eq!(parse("6.18.5-1-amd64"), Some((6, 18)));
        assert_eq!(parse("5.14.0-427.el9.x86_64"), Some((5, 14)));
        assert_eq!(parse("5.15+"), Some((5, 15)));
        assert_eq!(parse(""), None);
        assert!((5, 4) < OLDEST && (6, 1) > OLDEST);
    }
}
