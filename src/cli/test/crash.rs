//! Crashes of a machine, as far as one pod sees them: podlet's own processes of it are killed together, so that nobody of them
//! hears of the others' ends, and it is set going again as `podlet start --all` does at boot.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::journals::Journals;
use super::real::{eldest, failure};
use crate::cli::Failure;
use crate::linux::cgroup::Cgroup;
use crate::linux::{pidfd, process};
use crate::paths::Paths;
use crate::supervisor::kept::{self, Claim, Standing};
use crate::supervisor::launch;
use crate::supervisor::orders::Choices;

/// How long the kernel may take for what it does at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(2);

/// The pod that it comes over.
pub struct Crash<'c> {
    /// Of the run.
    pub paths: &'c Paths,
    /// Which.
    pub claim: &'c Claim,
    /// With what it was set going, and is again.
    pub choices: &'c Choices,
}

impl Crash<'_> {
    /// A container ends, and nobody is left who was told how. Else it says why there was nothing to do.
    pub fn lose(&self, container: &str) -> Result<Result<(), String>, Failure> {
        let Some(pid) = eldest(&Cgroup::of_container(&self.claim.uid, container), |_| true) else {
            return Ok(Err(format!("{container} does not run, so it could not be lost")));
        };
        let process = pidfd::open(pid).map_err(|error| failed("find", container, &error))?;
        let own = Cgroup::of_keeper(&self.claim.uid);
        halt(&own).map_err(|error| failed("stop", "podlet's own processes", &error))?;
        pidfd::signal(process.as_fd(), Signal::SIGKILL as i32).map_err(|error| failed("kill", container, &error))?;
        end(&own).map_err(|error| failed("kill", "podlet's own processes", &error))?;
        // Once it is reaped, by whoever reaps orphans here, its exit status has gone.
        let reaped = wait(|| process::pid_of(process.as_fd()).is_err());
        self.set_going()?;
        Ok(reaped.then_some(()).ok_or_else(|| {
            format!("process {pid} of {container} was killed, and the parent of orphans here does not reap it: it may not be lost")
        }))
    }

    /// All ends at once, and of what is on the disk stays what a reboot leaves.
    pub fn reboot(&self, journals: &mut Journals) -> Result<Result<(), String>, Failure> {
        let seen = kept::see(self.paths, &self.claim.uid).map_err(|error| Failure::Error(error.to_string()))?;
        if seen.is_none_or(|seen| seen.standing != Standing::Live) {
            return Ok(Err("nothing of the pod runs, so nothing was done".to_owned()));
        }
        let own = Cgroup::of_keeper(&self.claim.uid);
        halt(&own).map_err(|error| failed("stop", "podlet's own processes", &error))?;
        journals.keep(self.paths, &self.claim.uid)?;
        journals.boot(self.paths, &self.claim.uid)?;
        end(&own).map_err(|error| failed("kill", "podlet's own processes", &error))?;
        end(&Cgroup::of_pod(&self.claim.uid)).map_err(|error| failed("kill", "the pod's processes", &error))?;
        // /run is a file system in memory.
        let run = self.paths.pod_run(&self.claim.uid);
        fs::remove_dir_all(&run).map_err(|error| failure("remove", &run, &error))?;
        self.set_going().map(Ok)
    }

    fn set_going(&self) -> Result<(), Failure> {
        let launched = launch::relaunch(self.paths, &self.claim.uid, self.choices);
        launched.map(drop).map_err(|error| Failure::Error(error.to_string()))
    }
}

/// Stops all of podlet's own: from here on none of them hears, writes or starts anything.
fn halt(own: &Cgroup) -> io::Result<()> {
    let stopped = wait(|| {
        let runs = |pid: &i32| !process::is_dead(*pid) && !process::is_stopped(*pid);
        let running: Vec<i32> = own.processes().into_iter().filter(runs).collect();
        for pid in &running {
            // One that has ended meanwhile does nothing any more, either.
            let _ = pidfd::open(*pid).and_then(|process| pidfd::signal(process.as_fd(), Signal::SIGSTOP as i32));
        }
        running.is_empty()
    });
    if stopped { Ok(()) } else { Err(io::Error::new(io::ErrorKind::TimedOut, "they do not stop after SIGSTOP")) }
}

/// Kills all that is in a cgroup, and takes it away.
fn end(cgroup: &Cgroup) -> io::Result<()> {
    cgroup.kill()?;
    cgroup.remove()
}

/// Whether it came to be so.
pub fn wait(is_so: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

fn failed(action: &str, what: &str, error: &io::Error) -> Failure {
    failure(action, Path::new(what), error)
}
