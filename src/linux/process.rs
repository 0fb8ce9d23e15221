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
    let field = stat_field(pid, 22)?;
    field.parse().map_err(|_| io::Error::other(format!("/proc/{pid}/stat: field 22 is {field:?}")))
}

/// The session of a process that lives: field 6 of proc_pid_stat(5). The dead that nobody reaps have none.
pub fn session_of(pid: i32) -> Option<i32> {
    if is_dead(pid) { None } else { stat_field(pid, 6).ok()?.parse().ok() }
}

/// The parent of a process: field 4 of proc_pid_stat(5).
pub fn parent_of(pid: i32) -> Option<i32> {
    stat_field(pid, 4).ok()?.parse().ok()
}

/// Whether a process runs no more, or is gone: field 3 of proc_pid_stat(5).
pub fn is_dead(pid: i32) -> bool {
    stat_field(pid, 3).map_or(true, |state| matches!(state.as_str(), "Z" | "X"))
}

/// Whether a process was stopped by SIGSTOP and does nothing any more: field 3 of proc_pid_stat(5).
pub fn is_stopped(pid: i32) -> bool {
    stat_field(pid, 3).is_ok_and(|state| state == "T")
}

/// Whether a process sleeps where no signal wakes it, not even SIGKILL: it waits for a disk, as a rule.
pub fn is_uninterruptible(pid: i32) -> bool {
    stat_field(pid, 3).is_ok_and(|state| state == "D")
}

/// In words: `process 17 (sh) in uninterruptible sleep (jbd2_log_wait_commit)`, with what it waits in as far as the kernel
/// tells, proc_pid_wchan(5).
pub fn describe_uninterruptible(pid: i32) -> String {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default().trim().to_owned();
    let place = Some(read("wchan")).filter(|place| !matches!(place.as_str(), "" | "0"));
    let place = place.map_or_else(String::new, |place| format!(" ({place})"));
    format!("process {pid} ({}) in uninterruptible sleep{place}", read("comm"))
}

/// A field of proc_pid_stat(5), by its number there; from 3 on.
fn stat_field(pid: i32, number: usize) -> io::Result<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name stands in parentheses and may hold blanks and parentheses itself; behind it comes field 3.
    let field = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(number.checked_sub(3)?));
    field.map(str::to_owned).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat: no field {number}")))
}

/// Whether the process has not been reaped: a look by pid made before this was a look at the right process.
pub fn still_alive(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    pid_of(pidfd).map(drop)
}
