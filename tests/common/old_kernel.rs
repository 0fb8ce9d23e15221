//! A command on a kernel that does not tell how a process ended that somebody else has reaped (before Linux 6.15): a seccomp
//! filter, which everything that it starts inherits, answers `PIDFD_GET_INFO` with ENOTTY, as such a kernel does.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc::{self, sock_filter, sock_fprog};

/// PIDFD_GET_INFO without direction and size: `_IOWR(0xff, 11, struct pidfd_info)`, of which the structure has grown.
const PIDFD_GET_INFO: u32 = 0xff0b;

const fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Goes on behind the next `skipped` instructions if the accumulator is another number.
const fn unless_equal(k: u32, skipped: u8) -> sock_filter {
    sock_filter { code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, jt: 0, jf: skipped, k }
}

/// Of struct seccomp_data, seccomp(2): the call's number, and the low half of its second argument (little-endian).
const NUMBER: u32 = 0;
const SECOND_ARGUMENT: u32 = 24;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

const FILTER: [sock_filter; 7] = [
    statement(LOAD, NUMBER),
    unless_equal(libc::SYS_ioctl as u32, 4),
    statement(LOAD, SECOND_ARGUMENT),
    statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0xffff),
    unless_equal(PIDFD_GET_INFO, 1),
    statement(RETURN, libc::SECCOMP_RET_ERRNO | libc::ENOTTY as u32),
    statement(RETURN, libc::SECCOMP_RET_ALLOW),
];

/// Puts the command behind the filter. For root, who needs no no_new_privs for it.
pub fn forget_ends(command: &mut Command) {
    let install = || {
        let program = sock_fprog { len: FILTER.len() as u16, filter: FILTER.as_ptr().cast_mut() };
        // SAFETY: the kernel copies the program during the call, and writes nothing to it.
        let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: one system call, with constants: nothing is allocated and no lock taken between fork and exec.
    unsafe { command.pre_exec(install) };
}
