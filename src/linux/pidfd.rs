//! Processes by descriptor (pidfd_open(2)): a number that the kernel has given to another process in the meantime is never
//! meant. Called by `supervisor`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// How a process ended, as waitid(2) would have told its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By exit.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// A descriptor of the process that has this number now, close-on-exec. That it is the one which is meant the caller must
/// know from elsewhere, *after* the call: such as that it was not reaped yet.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match i32::try_from(descriptor) {
        // SAFETY: the kernel has just made it for this process.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sends a signal by number. A process that has ended already is no error.
pub fn signal(pidfd: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    // SAFETY: no siginfo is passed, so the kernel reads no memory of ours.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), number, std::ptr::null::<libc::siginfo_t>(), 0)
    };
    if result == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        error => Err(error),
    }
}

/// How the process ended: while it is a zombie from /proc, once it was reaped by whoever is its parent from its pidfd (Linux
/// 6.15, `PIDFD_GET_INFO` with `PIDFD_INFO_EXIT`). `None`: it lives, or the kernel does not tell.
pub fn exit_status(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    // Reaped in between, it has a pidfd that tells.
    status_of_zombie(pidfd).or_else(|| status_of_reaped(pidfd))
}

/// `exit_code` of proc_pid_stat(5), the last field, told to whoever may trace the process.
fn status_of_zombie(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    let pid = super::process::pid_of(pidfd).ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    super::process::still_alive(pidfd).ok()?;
    // The name stands in parentheses and may hold blanks and parentheses itself.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if fields.first() != Some(&"Z") {
        return None;
    }
    Some(decode(fields.last()?.parse().ok()?))
}

/// As wait(2) encodes it: the signal in the low seven bits, else the code above eight.
fn decode(status: i32) -> Ended {
    match status & 0x7f {
        0 => Ended::Code((status >> 8) & 0xff),
        signal => Ended::Signal(signal),
    }
}

fn status_of_reaped(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    // SAFETY: a structure of plain numbers, for which zeros are a value.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = u64::from(libc::PIDFD_INFO_EXIT);
    // SAFETY: the structure is as long as the request's number says and lives during the call.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    if result != 0 || info.mask & u64::from(libc::PIDFD_INFO_EXIT) == 0 {
        return None;
    }
    Some(decode(info.exit_code))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::fd::AsFd;
    use std::process::Command;

    #[test]
    fn a_signal_reaches_the_process_and_its_end_is_told() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pidfd = open(i32::try_from(child.id()).unwrap()).unwrap();
        assert_eq!(exit_status(pidfd.as_fd()), None);
        signal(pidfd.as_fd(), libc::SIGTERM).unwrap();
        // Readable at its end, before it is reaped.
        let mut ends = [libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
        // SAFETY: one structure, which lives during the call.
        assert_eq!(unsafe { libc::poll(ends.as_mut_ptr(), 1, 10_000) }, 1);
        assert_eq!(exit_status(pidfd.as_fd()), Some(Ended::Signal(libc::SIGTERM)));
        child.wait().unwrap();
        // Older kernels do not tell; those that do say the right thing.
        assert!(matches!(exit_status(pidfd.as_fd()), None | Some(Ended::Signal(libc::SIGTERM))));
        signal(pidfd.as_fd(), libc::SIGTERM).unwrap();
    }
}
