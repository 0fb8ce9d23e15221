//! The processes of a cgroup, and their end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Cgroup, put, subdirectories};
use crate::linux::process;

/// Deeper than a pod's cgroups ever are; a container with a cgroup namespace of its own may nest.
const DEEPEST: usize = 16;

impl Cgroup {
    /// SIGKILLs everything in it and below, by `cgroup.kill` or the freezer loop, until it is empty.
    pub fn kill(&self) -> io::Result<()> {
        self.kill_by(self.kill_file().as_deref())
    }

    /// The same once, without waiting; answers what is there still.
    pub fn kill_once(&self) -> Vec<i32> {
        self.kill_once_by(self.kill_file().as_deref())
    }

    fn kill_file(&self) -> Option<PathBuf> {
        self.directory("unified").map(|directory| directory.join("cgroup.kill"))
    }

    fn kill_by(&self, by_file: Option<&Path>) -> io::Result<()> {
        const PATIENCE: Duration = Duration::from_secs(10);
        /// With those that die when the kernel lets go of them.
        const PATIENCE_WITH_STUCK: Duration = Duration::from_secs(1);
        let begun = Instant::now();
        let mut wait = Duration::from_micros(200);
        loop {
            let left = self.kill_once_by(by_file);
            if left.is_empty() {
                return Ok(());
            }
            let stuck = left.iter().all(|pid| process::is_uninterruptible(*pid));
            if begun.elapsed() > if stuck { PATIENCE_WITH_STUCK } else { PATIENCE } {
                let text = if stuck {
                    left.into_iter().map(process::describe_uninterruptible).collect::<Vec<_>>().join(", ")
                } else {
                    format!("processes {left:?} did not end after SIGKILL")
                };
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(Duration::from_millis(20));
        }
    }

    fn kill_once_by(&self, by_file: Option<&Path>) -> Vec<i32> {
        if by_file.is_none_or(|file| put(file, "1").is_err()) {
            self.kill_one_by_one();
        }
        self.processes()
    }

    fn kill_one_by_one(&self) {
        let freezer = self.directory("freezer").map(|directory| directory.join("freezer.state"));
        if let Some(state) = &freezer {
            let _ = put(state, "FROZEN");
        }
        for pid in self.processes() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        if let Some(state) = &freezer {
            // A frozen process does not die: the signal is looked at when it thaws.
            let _ = put(state, "THAWED");
        }
    }

    /// The processes in it and below.
    pub fn processes(&self) -> Vec<i32> {
        let mut found = Vec::new();
        let preferred = ["unified", "freezer", "memory", "cpu"].into_iter().find_map(|name| self.directory(name));
        if let Some(directory) = preferred {
            processes_below(directory, 0, &mut found);
        }
        found
    }
}

fn processes_below(directory: &Path, depth: usize, found: &mut Vec<i32>) {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    if depth < DEEPEST {
        for child in subdirectories(directory) {
            processes_below(&child, depth + 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{Layout, ROOT};
    use super::*;
    use std::io::Write;

    /// Where there is no `cgroup.kill`: with the freezer where one is mounted, else by signals alone; against a shell that
    /// makes processes all the time.
    #[test]
    fn killing_without_the_kernels_file() {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let legacy: String = mounts.lines().filter(|l| !l.contains(" - cgroup2 ")).map(|l| format!("{l}\n")).collect();
        let layout = Layout::from_mounts(&legacy, true, false, |_| true, |_| String::new());
        let frozen = layout.hierarchies.iter().find(|h| h.name == "freezer");
        let hierarchy = frozen.or(Layout::of_machine().hierarchies.first()).expect("a cgroup hierarchy is mounted");
        let directory = hierarchy.mount.join(ROOT).join(format!("test-kill-{}", std::process::id()));
        let cgroup = Cgroup { directories: vec![(hierarchy.name, directory)] };
        cgroup.create().unwrap();
        let script = "read go; while :; do sleep 100 & sleep 0.01; done";
        let mut command = std::process::Command::new("/bin/busybox");
        command.args(["sh", "-c", script]).stdin(std::process::Stdio::piped());
        let mut shell = command.spawn().unwrap();
        cgroup.add(i32::try_from(shell.id()).unwrap()).unwrap();
        shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
        while cgroup.processes().len() < 10 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let waiter = std::thread::spawn(move || shell.wait().unwrap());
        cgroup.kill_by(None).unwrap();
        assert!(!waiter.join().unwrap().success());
        assert_eq!(cgroup.processes(), Vec::<i32>::new());
        cgroup.remove().unwrap();
    }
}
