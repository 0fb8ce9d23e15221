//! podlet as a user runs it: the release program, its own directories, manifests written for the measurement.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::figures::now;

/// The program that is measured.
pub const PODLET: &str = env!("CARGO_BIN_EXE_podlet");

/// podlet with directories of its own, gone with it.
pub struct Subject {
    /// Where everything of this run lies.
    pub root: PathBuf,
}

impl Subject {
    /// Fresh directories below the usual temporary one.
    pub fn new() -> Subject {
        let root = std::env::temp_dir().join(format!("podlet-bench-{}", std::process::id()));
        fs::create_dir_all(&root).expect("a directory for the measurement");
        Subject { root }
    }

    /// `podlet WORDS…`, to be run.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PODLET);
        command.args(words);
        for (variable, directory) in
            [("PODLET_RUN_DIR", "run"), ("PODLET_STATE_DIR", "state"), ("PODLET_LOG_DIR", "logs")]
        {
            command.env(variable, self.root.join(directory));
        }
        command
    }

    /// Runs it and insists on its success.
    pub fn run(&self, words: &[&str]) -> Output {
        let output = self.command(words).output().expect("podlet starts");
        assert!(output.status.success(), "podlet {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Writes a manifest of a pod with so many containers of the actor and answers its path. Memory and CPU limits are set, so
    /// that cgroups are made and written; seccomp and logs are on by default.
    pub fn manifest(&self, pod: &str, containers: usize, arguments: &str, policy: &str) -> PathBuf {
        let mut text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {pod}\nspec:\n  restartPolicy: {policy}\n  \
             terminationGracePeriodSeconds: 5\n  containers:\n"
        );
        for number in 0..containers {
            text += &format!(
                "    - name: c{number}\n      image: podlet.local/actor\n      args: {arguments}\n      resources:\n        \
                 limits:\n          cpu: \"1\"\n          memory: 64Mi\n"
            );
        }
        let path = self.root.join(format!("{pod}.yaml"));
        fs::write(&path, text).expect("a manifest is written");
        path
    }

    /// The log files of a pod's container instance, as soon as they are there.
    pub fn log(&self, pod: &str, container: &str, attempt: u32) -> PathBuf {
        let logs = self.root.join("logs/pods");
        let directory = wait_for(|| {
            let found = fs::read_dir(&logs)
                .ok()?
                .flatten()
                .find(|entry| entry.file_name().to_string_lossy().starts_with(&format!("default_{pod}_")));
            Some(found?.path())
        });
        directory.join(container).join(format!("{attempt}.log"))
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.command(&["delete", "pod", "--all", "-A", "--force"]).output();
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// The actor's first clock reading, from its log: the CRI line `<time> stdout F monotonic <nanoseconds>`.
pub fn first_clock(log: &Path) -> u64 {
    wait_for(|| clocks(log).first().copied())
}

/// All `monotonic` readings in a log.
pub fn clocks(log: &Path) -> Vec<u64> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once("monotonic ")?.1.trim().parse().ok()).collect()
}

/// Milliseconds between two readings.
pub fn between(earlier: u64, later: u64) -> f64 {
    (later as f64 - earlier as f64) / 1e6
}

/// Runs a program and answers the milliseconds until it ended.
pub fn until_return(mut command: Command) -> f64 {
    let begin = now();
    let output = command.output().expect("the program starts");
    let end = now();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    between(begin, end)
}

/// Looks again and again until there is something. Only outside of measured time.
pub fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "nothing came of it within 30 s");
        std::thread::sleep(Duration::from_micros(500));
    }
}
