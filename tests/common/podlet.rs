//! podlet as a user has it: the program itself, in directories of its own, with the residue check around.
//!
//! ```ignore
//! let podlet = Podlet::new();
//! podlet.apply(MANIFEST);
//! podlet.wait("web", |pod| pod["status"]["phase"] == "Running");
//! podlet.finish();
//! ```

use std::fs;
use std::io::{BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use super::{old_kernel, residue};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_podlet");

/// How long a pod may take for what a test waits for, the machine being slow (a virtual machine without acceleration).
const PATIENCE: Duration = Duration::from_secs(180);

/// podlet with directories of its own.
pub struct Podlet {
    /// Below it: `run`, `state`, `logs`.
    pub root: PathBuf,
    guard: Option<residue::Guard>,
    /// What runs here is on a kernel that does not tell how a process ended.
    forgets_ends: bool,
}

impl Podlet {
    /// Fresh directories; the first picture of the host is taken.
    pub fn new() -> Podlet {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let guard = residue::Guard::new();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("podlet-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&root).expect("the test's directory");
        // Some tests run a copy of podlet there as another user.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("the test's directory");
        Podlet { root, guard: Some(guard), forgets_ends: false }
    }

    /// As [`Podlet::new`], on a kernel before 6.15, as far as podlet can tell.
    pub fn on_kernel_that_forgets_ends() -> Podlet {
        let mut podlet = Podlet::new();
        podlet.forgets_ends = true;
        podlet
    }

    /// `podlet WORDS…` with this test's directories, to be run or spawned.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(words).stdin(Stdio::null()).envs(self.environment());
        if self.forgets_ends {
            old_kernel::forget_ends(&mut command);
        }
        command
    }

    /// What sends a podlet to this one's places.
    pub fn environment(&self) -> [(&'static str, PathBuf); 3] {
        [("PODLET_RUN_DIR", "run"), ("PODLET_STATE_DIR", "state"), ("PODLET_LOG_DIR", "logs")]
            .map(|(variable, directory)| (variable, self.root.join(directory)))
    }

    /// Runs it, whatever comes of it.
    pub fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("podlet starts")
    }

    /// Runs it, insists on success, and answers its standard output.
    pub fn succeed(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "podlet {}: {output:?}\n{}", words.join(" "), text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs it, insists on failure, and answers its standard error.
    pub fn fail(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(!output.status.success(), "podlet {} succeeded: {}", words.join(" "), text(&output.stdout));
        text(&output.stderr)
    }

    /// `podlet apply -f - WORDS…` of this text, whatever comes of it.
    pub fn try_apply(&self, manifest: &str, words: &[&str]) -> Output {
        let mut command = self.command(&["apply", "-f", "-"]);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("podlet starts");
        child.stdin.take().expect("a pipe").write_all(manifest.as_bytes()).expect("the manifest is written");
        child.wait_with_output().expect("podlet ends")
    }

    /// `podlet apply -f -`, which must succeed; answers what it printed.
    pub fn apply(&self, manifest: &str) -> String {
        let output = self.try_apply(manifest, &[]);
        assert!(output.status.success(), "podlet apply: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// The pod now, as `get -o json` prints it.
    pub fn pod(&self, name: &str) -> Value {
        serde_json::from_str(&self.succeed(&["get", "pod", name, "-o", "json"])).expect("get -o json prints JSON")
    }

    /// Watches the pod until it is as wanted, and answers it.
    pub fn wait(&self, name: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let mut watch = Watch::of(self, name);
        let mut last = Value::Null;
        loop {
            match watch.next() {
                Some(pod) if wanted(&pod) => return pod,
                Some(pod) => last = pod,
                None => {
                    panic!("pod {name} never came to the state that is waited for; last seen: {:#}", last["status"])
                }
            }
        }
    }

    /// The log of a container, as `logs` prints it.
    pub fn logs(&self, pod: &str, container: &str) -> String {
        self.succeed(&["logs", pod, "-c", container])
    }

    /// What a failed test leaves to whoever looks into it: the ends of the supervisors' own logs.
    fn tell_of_supervisors(&self) {
        const LINES: usize = 60;
        for entry in fs::read_dir(self.root.join("run/pods")).into_iter().flatten().flatten() {
            let log = fs::read_to_string(entry.path().join("supervisor.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
            println!("== {}\n{}", entry.path().display(), end.join("\n"));
        }
        if std::env::var_os("PODLET_TEST_KEEP").is_some() {
            for name in ["run", "logs", "state"] {
                let kept = self.root.join(format!("{name}-at-failure"));
                let _ = Command::new("cp").arg("-a").arg(self.root.join(name)).arg(kept).status();
            }
        }
    }

    /// Deletes everything and compares the host with what it was.
    pub fn finish(mut self) {
        self.succeed(&["delete", "pod", "--all", "--now"]);
        let guard = self.guard.take();
        // The last of the supervisor's own files may go while this one looks; what is mounted stays.
        until("the test's directory can be removed: nothing is mounted in it", || {
            fs::remove_dir_all(&self.root).is_ok() || !self.root.exists()
        });
        if let Some(guard) = guard {
            guard.finish();
        }
    }
}

impl Drop for Podlet {
    fn drop(&mut self) {
        // A failed test must not leave a pod to the next one. Its directories stay when asked for, to be looked at.
        if self.guard.is_some() {
            self.tell_of_supervisors();
            let _ = self.command(&["delete", "pod", "--all", "-A", "--force"]).output();
            if std::env::var_os("PODLET_TEST_KEEP").is_none() {
                let _ = fs::remove_dir_all(&self.root);
            }
        }
    }
}

/// `podlet get pod NAME -w -o json`: each state of a pod as it comes.
pub struct Watch {
    child: Child,
    states: mpsc::Receiver<Value>,
}

impl Watch {
    /// Begins with the state now.
    pub fn of(podlet: &Podlet, name: &str) -> Watch {
        let mut command = podlet.command(&["get", "pod", name, "-w", "-o", "json"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("podlet starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, states) = mpsc::channel();
        std::thread::spawn(move || {
            for state in serde_json::Deserializer::from_reader(output).into_iter::<Value>().map_while(Result::ok) {
                if sender.send(state).is_err() {
                    return;
                }
            }
        });
        Watch { child, states }
    }

    /// The next state; none when nothing comes any more.
    pub fn next(&mut self) -> Option<Value> {
        self.states.recv_timeout(PATIENCE).ok()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The host's pids of the processes whose cgroup names the pod.
pub fn processes_of(uid: &str) -> Vec<i32> {
    let tidy = uid.replace('-', "_");
    let pids = fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| {
        let cgroup = fs::read_to_string(entry.path().join("cgroup")).ok()?;
        (cgroup.contains(uid) || cgroup.contains(&tidy)).then(|| entry.file_name().to_str()?.parse().ok())?
    });
    pids.collect()
}

/// Waits for something that gives no event of its own, such as a file that a container writes.
pub fn until(what: &str, reached: impl FnMut() -> bool) {
    until_within(PATIENCE, what, reached);
}

/// As [`until`], for what takes longer by itself.
pub fn until_within(patience: Duration, what: &str, mut reached: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !reached() {
        assert!(begin.elapsed() < patience, "never came about: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The status entry of an init container or a sidecar.
pub fn init_container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let entries = pod["status"]["initContainerStatuses"].as_array();
    entries.into_iter().flatten().find(|entry| entry["name"] == name).unwrap_or(&Value::Null)
}

/// The status entry of a container.
pub fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let entries = pod["status"]["containerStatuses"].as_array();
    entries.into_iter().flatten().find(|entry| entry["name"] == name).unwrap_or(&Value::Null)
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
