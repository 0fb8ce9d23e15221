//! A process by its pidfd: its number, for as long as it is certain.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The pid behind a pidfd, as this process's PID namespace numbers it, proc_pid_fdinfo(5).
pub fn pid_of(pidfd: BorrowedFd<'_>) -> io::Result<i32> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse::<i32>().ok());
    // 0: not of this namespace; -1: reaped.
    pid.filter(|pid| *pid > 0).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// When the process was started, in ticks since boot: starttime of proc_pid_stat(5), field 22. With its number that names it: no
/// number comes again within a tick.
pub fn started_at(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name stands in parentheses and may hold blanks and parentheses itself; behind it comes field 3.
    let field = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(22 - 3));
    field.and_then(|field| field.parse().ok()).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat: no field 22")))
}

/// Whether the process has not been reaped: a look by pid made before this was a look at the right process.
pub fn still_alive(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    pid_of(pidfd).map(drop)
}
