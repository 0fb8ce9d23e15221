//! Parts of a pod's life in which its supervisor is killed, and all that a user sees afterwards: status, events, logs, what
//! was printed, files, and one instance of each container without a gap.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::kills::{self, Part};
use crate::common::podlet::{Podlet, container, processes_of, text, until};
use crate::common::tracer::{self, Call, Last, Tracer, Whom};

/// The first restart of `crash` comes at once, the second after so long that nothing more happens during the test.
const LONG_BACKOFF: &str = "--crash-backoff-initial=600000";
/// Who is to be killed must be there.
const AWAKE: &str = "--sleep-after=never";

/// A part of a pod's life in which the supervisor is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// A pod is applied; one container crashes, is started again at once and then waits in its back-off, one runs on, one has
    /// ended.
    Apply,
    /// A container of it is killed and started again.
    Restart,
    /// It is applied again with an annotation that makes the journal begin a new segment, and its pause is killed.
    Change,
    /// A command is run in a container.
    Exec,
    /// Its supervisor is killed: the next one, which takes over, is killed as well.
    TakeOver,
    /// It is deleted.
    Delete,
    /// A pod whose containers all end is applied, and is over then.
    End,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 7] = [
        Scenario::Apply,
        Scenario::Restart,
        Scenario::Change,
        Scenario::Exec,
        Scenario::TakeOver,
        Scenario::Delete,
        Scenario::End,
    ];

    /// As in a pod's name.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Apply => "apply",
            Scenario::Restart => "restart",
            Scenario::Change => "change",
            Scenario::Exec => "exec",
            Scenario::TakeOver => "take-over",
            Scenario::Delete => "delete",
            Scenario::End => "end",
        }
    }

    fn manifest(self, podlet: &Podlet, name: &str, annotation: &str) -> String {
        let (policy, steady) = match self {
            Scenario::End => ("Never", "sleep, 300ms, \",\", exit, \"0\""),
            _ => ("OnFailure", "sleep, forever"),
        };
        format!(
            r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}, annotations: {{filling: "{annotation}"}}}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 2
  containers:
  - name: crash
    image: podlet.local/actor
    args: [heartbeat, /data/{name}.crash, every=5ms, ",", {few}, sleep, 100ms, ",", exit, "3"]
    terminationMessagePolicy: FallbackToLogsOnError
    volumeMounts: [{{name: data, mountPath: /data}}]
  - name: steady
    image: podlet.local/actor
    args: [heartbeat, /data/{name}.steady, every=20ms, ",", {many}, {steady}]
    volumeMounts: [{{name: data, mountPath: /data}}]
  - name: done
    image: podlet.local/actor
    args: [print, done]
  volumes:
  - name: data
    hostPath: {{path: {data}, type: DirectoryOrCreate}}
"#,
            data = data(podlet).display(),
            few = prints(20),
            many = prints(200),
        )
    }

    /// Goes through it, the supervisor being killed if a moment is given. Answers all that
    /// a user sees, and the calls up to there.
    pub fn run(self, podlet: &Podlet, name: &str, last: Option<Last>) -> (Value, Vec<Call>) {
        let manifest = self.manifest(podlet, name, "");
        if matches!(self, Scenario::Apply | Scenario::End) {
            let (output, tracer) = tracer::apply(podlet, &manifest, &[LONG_BACKOFF, AWAKE], last);
            assert!(output.status.success(), "{name}: {}", text(&output.stderr));
            if self == Scenario::Apply {
                podlet.wait(name, rests);
                return (self.seen(podlet, name, 0), tracer.finish());
            }
            let uid = kills::uid(&podlet.wait(name, |pod| pod["status"]["phase"] == "Failed"));
            until("the end of all that ran", || processes_of(&uid).is_empty());
            assert!(!podlet.root.join("run/pods").join(&uid).exists(), "{name}: its run directory");
            return (self.seen(podlet, name, 0), tracer.finish());
        }
        let output = podlet.try_apply(&manifest, &[LONG_BACKOFF, AWAKE]);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        let uid = kills::uid(&podlet.wait(name, rests));
        let supervisor = Part::Supervisor.wait(&uid);
        let whom = match self {
            Scenario::TakeOver => Whom::NextSupervisorOf(Part::Keeper.wait(&uid)),
            _ => Whom::Supervisor(supervisor),
        };
        let tracer = Tracer::start(whom, last);
        let seen = match self {
            Scenario::Restart => {
                kills::send(kills::program(&uid, "steady"), Signal::SIGKILL);
                podlet.wait(name, |pod| rests(pod) && container(pod, "steady")["restartCount"] == 1);
                self.seen(podlet, name, 1)
            }
            Scenario::Change => {
                // Its answer is lost with the supervisor when that dies meanwhile; whoever applies it again gets it.
                let changed = self.manifest(podlet, name, &"x".repeat(70_000));
                until("the change", || podlet.try_apply(&changed, &[LONG_BACKOFF, AWAKE]).status.success());
                kills::send(Part::Pause.wait(&uid), Signal::SIGKILL);
                podlet.wait(name, |pod| rests(pod) && container(pod, "steady")["restartCount"] == 1);
                self.seen(podlet, name, 1)
            }
            Scenario::Exec => {
                let script = ["print", "hello", ",", "sleep", "20ms", ",", "print", "again", ",", "exit", "7"];
                let words = ["exec", name, "-c", "steady", "--", "/actor"];
                let output = podlet.run(&[&words[..], &script].concat());
                let after = self.seen(podlet, name, 0);
                json!({"code": output.status.code(), "stdout": text(&output.stdout), "stderr": text(&output.stderr),
                    "after": after})
            }
            Scenario::TakeOver => {
                kills::send(supervisor, Signal::SIGKILL);
                until("another supervisor", || Part::Supervisor.pid(&uid).is_some_and(|pid| pid != supervisor));
                podlet.wait(name, rests);
                self.seen(podlet, name, 0)
            }
            _ => {
                let output = podlet.run(&["delete", "pod", name]);
                assert!(output.status.success(), "{name}: {}", text(&output.stderr));
                assert_eq!(processes_of(&uid), Vec::<i32>::new(), "{name}: left after delete");
                let beats = self.beats(podlet, name);
                json!({"stdout": text(&output.stdout).replace(name, "POD"), "stderr": text(&output.stderr),
                    "left": left(podlet, &uid), "get": podlet.fail(&["get", "pod", name]).replace(name, "POD"),
                    "beats": beats})
            }
        };
        (seen, tracer.finish())
    }

    /// All that is seen of a pod at rest.
    fn seen(self, podlet: &Podlet, name: &str, steady: u64) -> Value {
        let pod = podlet.pod(name);
        let uid = kills::uid(&pod);
        let crashes = if self == Scenario::End { 0 } else { 1 };
        let mut logs = Vec::new();
        for (container, attempt, lines) in [("crash", 0, 20), ("crash", crashes, 20), ("steady", steady, 200)] {
            let file = kills::log_file(podlet, name, &uid, container, attempt);
            until(&format!("{name}: {lines} lines of {container}"), || kills::written(&file).lines().count() >= lines);
            logs.push(format!("{container} {attempt}: {}", kills::numbered(&kills::written(&file), 64)));
        }
        logs.push(podlet.logs(name, "done"));
        json!({"status": kills::comparable(&pod), "events": kills::events(podlet, &pod), "logs": logs,
            "beats": self.beats(podlet, name), "files": on_disk(podlet, &uid)})
    }

    /// How many instances of each container there were; each of them beat without a gap, and none beside another.
    fn beats(self, podlet: &Podlet, name: &str) -> Value {
        let count = |container: &str| {
            let instances = kills::heartbeats(&data(podlet).join(format!("{name}.{container}")));
            for beats in &instances {
                kills::assert_no_gap(beats, &format!("{name}: {container}"));
            }
            instances.len()
        };
        json!({"crash": count("crash"), "steady": count("steady")})
    }
}

/// The actor's words for numbered lines of 64 bytes, each written before the next word is looked at.
fn prints(lines: usize) -> String {
    let line = |number: usize| format!("print, \"{number:08} {}\", \",\"", "x".repeat(55));
    (1..=lines).map(line).collect::<Vec<_>>().join(", ")
}

fn rests(pod: &Value) -> bool {
    container(pod, "crash")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        && container(pod, "steady")["state"]["running"].is_object()
        && container(pod, "done")["state"]["terminated"].is_object()
}

fn data(podlet: &Podlet) -> PathBuf {
    podlet.root.join("data")
}

/// What the pod has on disk, the journal's segments left out: where they are cut differs.
fn on_disk(podlet: &Podlet, uid: &str) -> Vec<String> {
    fn walk(directory: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            // What begins with a dot is being written just now.
            let varies = ["journal.", "snapshot.", "history", "."];
            if varies.iter().any(|start| name.starts_with(start)) {
                continue;
            }
            let shown = path.strip_prefix(root).unwrap().display().to_string();
            found.push(shown);
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(&path, root, found);
            }
        }
    }
    let mut found = Vec::new();
    for directory in ["run/pods", "state/pods"] {
        walk(&podlet.root.join(directory).join(uid), &podlet.root, &mut found);
    }
    found.sort();
    found.into_iter().map(|path| path.replace(uid, "UID")).collect()
}

/// What of podlet's own directories still has the pod's uid in its name.
fn left(podlet: &Podlet, uid: &str) -> Vec<String> {
    fn walk(directory: &Path, uid: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains(uid) {
                found.push(entry.path().display().to_string());
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(&entry.path(), uid, found);
            }
        }
    }
    let mut found = Vec::new();
    for directory in ["run", "logs", "state/pods", "state/names"] {
        walk(&podlet.root.join(directory), uid, &mut found);
    }
    found
}
