//! A session of processes, credentials(7): what one exec has started and has not moved into a session of its own. Called by
//! `supervisor` when the client of an exec is gone.

use std::os::fd::{AsFd, BorrowedFd};

use super::{pidfd, process};

/// How often the session is looked through for what was forked between one look and the signal.
const LOOKS: u32 = 16;

/// Which processes belong together.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// A pidfd of the process that began the session. It may have ended.
    pub leader: BorrowedFd<'a>,
    /// The leader's number, which is the session's, as this process's PID namespace has it.
    pub number: i32,
}

impl Session<'_> {
    /// Sends a signal to its leader, also before that has called setsid(2), and to each living process of the session among
    /// `candidates`; says to how many.
    pub fn signal(&self, candidates: &[i32], number: i32) -> usize {
        let leads = process::still_alive(self.leader).is_ok();
        // As long as a process of the session lives the kernel gives its number to no other; when none does, a new leader
        // may have it.
        if !leads && candidates.contains(&self.number) {
            return 0;
        }
        let leader = leads && !process::is_dead(self.number) && pidfd::signal(self.leader, number).is_ok();
        let reached = candidates.iter().filter(|pid| **pid != self.number).filter(|pid| {
            // Descriptor first: when the process still lives after the look by number, the look was at the right one.
            let Ok(member) = pidfd::open(**pid) else { return false };
            process::session_of(**pid) == Some(self.number)
                && process::still_alive(member.as_fd()).is_ok()
                && pidfd::signal(member.as_fd(), number).is_ok()
        });
        reached.count() + usize::from(leader)
    }

    /// Kills its leader and all that descends from it among `candidates`, in whichever sessions: what a command has started,
    /// but for what has left both its parent and the sessions of all these.
    pub fn kill_tree(&self, candidates: impl Fn() -> Vec<i32>) {
        let leads = process::still_alive(self.leader).is_ok();
        let mut tree = if leads { vec![self.number] } else { Vec::new() };
        // Stopped first: what is stopped forks no more, and its children stay its children.
        for look in 0..LOOKS {
            let of_tree = |pid: &i32| {
                process::session_of(*pid).is_some_and(|session| session == self.number || tree.contains(&session))
                    || process::parent_of(*pid).is_some_and(|parent| tree.contains(&parent))
            };
            let new: Vec<i32> = candidates().into_iter().filter(|pid| !tree.contains(pid)).filter(of_tree).collect();
            tree.extend(&new);
            for pid in tree.iter().filter(|pid| new.contains(pid) || **pid == self.number) {
                signal_member(*pid, libc::SIGSTOP);
            }
            if look > 0 && new.is_empty() {
                break;
            }
        }
        for pid in tree {
            signal_member(pid, libc::SIGKILL);
        }
        self.kill(candidates);
    }

    /// Kills all of it, what it forks meanwhile included.
    pub fn kill(&self, candidates: impl Fn() -> Vec<i32>) {
        for _ in 0..LOOKS {
            if self.signal(&candidates(), libc::SIGKILL) == 0 {
                return;
            }
        }
    }
}

/// Signals a process that was just found among others by its number. (Between the look and the descriptor it may have ended;
/// that its number goes to another one of the same few microseconds is as good as impossible: numbers go round.)
fn signal_member(pid: i32, number: i32) {
    if let Ok(member) = pidfd::open(pid) {
        let _ = pidfd::signal(member.as_fd(), number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn a_session_is_its_processes_and_no_others() {
        let script = "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; exec sleep 1000";
        let mut leader = Command::new("setsid").args(["sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let number = i32::try_from(leader.id()).unwrap();
        let lines = BufReader::new(leader.stdout.take().unwrap()).lines().map(|line| line.unwrap().parse().unwrap());
        let others: Vec<i32> = lines.take(2).collect();
        let [member, apart] = others[..] else { panic!("two pids") };
        // What setsid(1) has started is apart once it has called setsid(2).
        while process::session_of(apart) != Some(apart) {
            std::thread::yield_now();
        }
        let pidfd = pidfd::open(number).unwrap();
        let session = Session { leader: pidfd.as_fd(), number };
        let all = [number, member, apart, i32::try_from(std::process::id()).unwrap()];
        assert_eq!(session.signal(&all, 0), 2);

        // The leader's end does not end the session.
        pidfd::signal(pidfd.as_fd(), libc::SIGKILL).unwrap();
        leader.wait().unwrap();
        assert_eq!(session.signal(&all[1..], 0), 1);
        // Its number among the living belongs to another one by now.
        assert_eq!(session.signal(&all, 0), 0);

        // A process that was killed dies in its own time.
        session.kill(|| all[1..].to_vec());
        while session.signal(&all[1..], 0) > 0 {
            std::thread::yield_now();
        }
        assert!(process::still_alive(pidfd::open(apart).unwrap().as_fd()).is_ok());
        pidfd::signal(pidfd::open(apart).unwrap().as_fd(), libc::SIGKILL).unwrap();
    }
}
