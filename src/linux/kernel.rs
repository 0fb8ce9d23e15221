//! The kernel that podlet is made for, and the system calls that it builds on, each made once with arguments that do
//! nothing: a kernel may be patched, and a container's own filter may refuse a call that the kernel has. `privilege` asks
//! before a pod is made, `doctor` for its page.

use std::io;
use std::os::fd::OwnedFd;

use super::{pidfd, syscall};

/// Oldest kernel that podlet is made for.
const OLDEST: (u32, u32) = (5, 14);

/// Its release, `6.18.5-1-amd64`; empty where that cannot be had.
pub fn release() -> String {
    nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether a kernel of this release is new enough, as far as its number tells.
pub fn is_new_enough(release: &str) -> bool {
    parse(release).is_some_and(|version| version >= OLDEST)
}

/// `6.18.5-1-amd64`: the first two numbers.
fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Each call, and whether it is there: a refusal of the empty arguments is knowledge, too. Those that the kernel answers with
/// EPERM to anybody without CAP_SYS_ADMIN, before it looks at the arguments, are tried only by who has it.
pub fn calls(is_administrator: bool) -> Vec<(&'static str, io::Result<()>)> {
    let none = std::ptr::null::<libc::c_void>();
    let empty = c"".as_ptr();
    let mut tried = vec![
        // SAFETY: a size of zero: the kernel reads nothing and refuses with EINVAL.
        ("clone3", told(unsafe { libc::syscall(libc::SYS_clone3, none, 0) })),
        ("openat2", openat2()),
        ("pidfd_open", own_pidfd().map(drop)),
        // SAFETY: numbers only, and no descriptor.
        ("pidfd_send_signal", told(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, -1, 0, none, 0) })),
        // SAFETY: numbers only; the range is beyond every descriptor.
        ("close_range", told(unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) })),
        // SAFETY: no name: EFAULT.
        ("memfd_create", told(unsafe { libc::syscall(libc::SYS_memfd_create, none, 0) })),
        // SAFETY: a NUL-terminated empty path below no descriptor: EBADF, and nothing is executed.
        ("execveat", told(unsafe { libc::syscall(libc::SYS_execveat, -1, empty, none, none, libc::AT_EMPTY_PATH) })),
        // SAFETY: no descriptor.
        ("setns", told(unsafe { libc::syscall(libc::SYS_setns, -1, 0) })),
        // SAFETY: a NUL-terminated empty path below no descriptor.
        ("open_tree", told(unsafe { libc::syscall(libc::SYS_open_tree, -1, empty, libc::AT_EMPTY_PATH) })),
        // SAFETY: a size of zero: the kernel reads nothing.
        ("mount_setattr", told(unsafe { libc::syscall(libc::SYS_mount_setattr, -1, empty, 0, none, 0) })),
        ("seccomp", filters()),
    ];
    if is_administrator {
        // SAFETY: no descriptors, NUL-terminated empty paths, no name: the kernel refuses each.
        let more = unsafe {
            [
                ("move_mount", told(libc::syscall(libc::SYS_move_mount, -1, empty, -1, empty, 0))),
                ("fsopen", told(libc::syscall(libc::SYS_fsopen, none, 0))),
                ("pivot_root", told(libc::syscall(libc::SYS_pivot_root, empty, empty))),
                ("mount", told(libc::syscall(libc::SYS_mount, none, empty, none, libc::MS_SLAVE, none))),
            ]
        };
        tried.extend(more);
    }
    let known = |result: io::Result<()>| match result {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => Err(error),
        _ => Ok(()),
    };
    tried.into_iter().map(|(name, result)| (name, known(result))).collect()
}

fn told(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn openat2() -> io::Result<()> {
    let path = libc::O_PATH.cast_unsigned().into();
    syscall::openat2(libc::AT_FDCWD, c"/", path, 0, libc::RESOLVE_IN_ROOT).map(drop)
}

/// A descriptor of this process, pidfd_open(2).
pub(super) fn own_pidfd() -> io::Result<OwnedFd> {
    let own = i32::try_from(std::process::id()).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    pidfd::open(own)
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
        assert!(is_new_enough("6.1.0-18") && !is_new_enough("5.4.0-150-generic"));
    }

    #[test]
    fn this_kernel_has_them_all() {
        let lacking: Vec<_> = calls(true).into_iter().filter(|(_, tried)| tried.is_err()).collect();
        assert!(lacking.is_empty(), "{lacking:?}");
    }
}
