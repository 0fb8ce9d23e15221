//! The few system calls that podlet itself makes and nix does not wrap: the mount API of Linux 5.2, openat2, bpf.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `OPEN_TREE_CLONE`, linux/mount.h.
pub const OPEN_TREE_CLONE: u32 = 1;
/// `OPEN_TREE_CLOEXEC`.
pub const OPEN_TREE_CLOEXEC: u32 = libc::O_CLOEXEC as u32;
/// `AT_RECURSIVE`, linux/fcntl.h.
pub const AT_RECURSIVE: u32 = 0x8000;
/// `MOVE_MOUNT_F_EMPTY_PATH`.
pub const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
/// `MOVE_MOUNT_T_EMPTY_PATH`.
pub const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
/// `MOUNT_ATTR_RDONLY`.
pub const MOUNT_ATTR_RDONLY: u64 = 1;
/// `MOUNT_ATTR_NOSUID`.
pub const MOUNT_ATTR_NOSUID: u64 = 2;
/// `MOUNT_ATTR_NODEV`.
pub const MOUNT_ATTR_NODEV: u64 = 4;
/// `MOUNT_ATTR_NOEXEC`.
pub const MOUNT_ATTR_NOEXEC: u64 = 8;

fn checked(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let number = RawFd::try_from(checked(result)?).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: the kernel has just made this descriptor for this caller; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// openat2(2).
pub fn openat2(directory: RawFd, path: &CStr, flags: u64, mode: u64, resolve: u64) -> io::Result<OwnedFd> {
    let how: [u64; 3] = [flags | libc::O_CLOEXEC.cast_unsigned() as u64, mode, resolve];
    // SAFETY: `path` is NUL-terminated, `how` has the layout and size of struct open_how.
    owned(unsafe { libc::syscall(libc::SYS_openat2, directory, path.as_ptr(), how.as_ptr(), size_of_val(&how)) })
}

/// fsopen(2).
pub fn fsopen(kind: &CStr) -> io::Result<OwnedFd> {
    const FSOPEN_CLOEXEC: u32 = 1;
    // SAFETY: a NUL-terminated string and a flag.
    owned(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })
}

/// fsconfig(2) with a string value.
pub fn fsconfig_string(context: BorrowedFd<'_>, key: &CStr, value: &CStr) -> io::Result<()> {
    const FSCONFIG_SET_STRING: u32 = 1;
    // SAFETY: NUL-terminated strings that live through the call.
    let result = unsafe {
        libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr(), 0)
    };
    checked(result).map(drop)
}

/// fsconfig(2) with a flag.
pub fn fsconfig_flag(context: BorrowedFd<'_>, key: &CStr) -> io::Result<()> {
    const FSCONFIG_SET_FLAG: u32 = 0;
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: a NUL-terminated string; no value.
    let result =
        unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_SET_FLAG, key.as_ptr(), none, 0) };
    checked(result).map(drop)
}

/// fsconfig(2) `FSCONFIG_CMD_CREATE`, then fsmount(2): a detached mount.
pub fn fsmount(context: BorrowedFd<'_>, attributes: u64) -> io::Result<OwnedFd> {
    const FSCONFIG_CMD_CREATE: u32 = 6;
    const FSMOUNT_CLOEXEC: u32 = 1;
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: numbers and null pointers only.
    checked(unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, none, none, 0) })?;
    // SAFETY: numbers only.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, attributes) })
}

/// bpf(2); `attributes` has the layout of the command's part of union bpf_attr.
pub fn bpf(command: u32, attributes: &mut [u8]) -> io::Result<libc::c_long> {
    // SAFETY: the slice lives through the call and its size is passed along; pointers in it are the caller's duty, and the
    // one caller passes pointers to buffers that outlive the call.
    checked(unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), attributes.len()) })
}

/// bpf(2) for a command that returns a descriptor.
pub fn bpf_descriptor(command: u32, attributes: &mut [u8]) -> io::Result<OwnedFd> {
    owned(bpf(command, attributes)?)
}
