//! The supervisor is killed once at every point and every time that a life of a pod comes to it; whoever looks afterwards
//! sees what an undisturbed run shows: status, events, logs, what was printed, and one instance of each container without a
//! gap.

use std::path::Path;

use serde_json::{Value, json};

use podlet::supervisor::fault::{Phase, Point};

use crate::common::kills;
use crate::common::podlet::{Podlet, container, processes_of, text, until};

/// The first restart of `crash` comes at once, the second after so long that nothing more happens during the test.
const LONG_BACKOFF: &str = "--crash-backoff-initial=600000";

/// A part of a pod's life in which the supervisor is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scenario {
    /// A pod starts, one container crashes and waits in its back-off, one runs on, one has ended.
    Life,
    /// It is applied again with an annotation that makes the journal begin a new segment, and its pause is killed.
    Change,
    /// A command is run in a container.
    Exec,
    /// It is deleted.
    Delete,
    /// A pod whose containers all end, and which is over then.
    End,
}

impl Scenario {
    const ALL: [Scenario; 5] = [Scenario::Life, Scenario::Change, Scenario::Exec, Scenario::Delete, Scenario::End];

    fn name(self) -> &'static str {
        match self {
            Scenario::Life => "life",
            Scenario::Change => "change",
            Scenario::Exec => "exec",
            Scenario::Delete => "delete",
            Scenario::End => "end",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Scenario::Life | Scenario::End => Phase::Life,
            Scenario::Change => Phase::Change,
            Scenario::Exec => Phase::Exec,
            Scenario::Delete => Phase::Delete,
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

    /// Goes through it; answers all that a user sees.
    fn run(self, podlet: &Podlet, name: &str, fault: &str) -> Value {
        let fault = format!("--fault-point={fault}");
        let manifest = self.manifest(podlet, name, "");
        let output = podlet.try_apply(&manifest, &[LONG_BACKOFF, &fault]);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        if self == Scenario::End {
            let uid = kills::uid(&podlet.wait(name, |pod| pod["status"]["phase"] == "Failed"));
            until("the end of all that ran", || processes_of(&uid).is_empty());
            assert!(!podlet.root.join("run/pods").join(&uid).exists(), "{name}: its run directory");
            return self.seen(podlet, name, 0);
        }
        let pod = podlet.wait(name, rests);
        let uid = kills::uid(&pod);
        match self {
            Scenario::Life | Scenario::End => self.seen(podlet, name, 0),
            Scenario::Change => {
                // Its answer is lost with the supervisor when that dies meanwhile; whoever applies it again gets it.
                let changed = self.manifest(podlet, name, &"x".repeat(70_000));
                until("the change", || podlet.try_apply(&changed, &[LONG_BACKOFF, &fault]).status.success());
                kills::send(kills::Part::Pause.wait(&uid), nix::sys::signal::Signal::SIGKILL);
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
            Scenario::Delete => {
                let output = podlet.run(&["delete", "pod", name]);
                assert!(output.status.success(), "{name}: {}", text(&output.stderr));
                assert_eq!(processes_of(&uid), Vec::<i32>::new(), "{name}: left after delete");
                let beats = self.beats(podlet, name);
                json!({"stdout": text(&output.stdout).replace(name, "POD"), "stderr": text(&output.stderr),
                    "left": left(podlet, &uid), "get": podlet.fail(&["get", "pod", name]).replace(name, "POD"),
                    "beats": beats})
            }
        }
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

fn data(podlet: &Podlet) -> std::path::PathBuf {
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
            if name.contains(uid) && !name.starts_with("fault-") {
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

/// What an undisturbed run shows, and which points it comes to how often.
struct Undisturbed {
    scenario: Scenario,
    seen: Value,
    cases: Vec<Case>,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    scenario: Scenario,
    point: Point,
    time: u32,
}

fn undisturbed(podlet: &Podlet, scenario: Scenario) -> Undisturbed {
    let name = format!("{}-undisturbed", scenario.name());
    let seen = scenario.run(podlet, &name, "count");
    // What comes late (a kept.json that was gathered for) may be counted later; it varies anyway.
    let counted = counted(podlet, scenario.phase());
    if scenario != Scenario::Delete {
        podlet.succeed(&["delete", "pod", &name]);
    }
    for entry in std::fs::read_dir(podlet.root.join("state")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("fault-count.") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let mut cases = Vec::new();
    for point in Point::ALL {
        let times = counted.iter().filter(|word| **word == point.name()).count();
        // Where a number says little, a few times are tried.
        let times = if point.varies() { times.min(3) } else { times };
        cases.extend((1..=times as u32).map(|time| Case { scenario, point: *point, time }));
    }
    Undisturbed { scenario, seen, cases }
}

/// The points that the one pod that counts has reached since the phase began.
fn counted(podlet: &Podlet, phase: Phase) -> Vec<String> {
    let files = std::fs::read_dir(podlet.root.join("state")).unwrap().flatten();
    let mut files = files.filter(|entry| entry.file_name().to_string_lossy().starts_with("fault-count."));
    let text = std::fs::read_to_string(files.next().expect("a count").path()).unwrap();
    assert!(files.next().is_none(), "two pods count");
    let words: Vec<String> = text.lines().map(str::to_owned).collect();
    let from = match phase {
        Phase::Life => 0,
        _ => words.iter().position(|word| *word == format!("{}/", phase.name())).expect("the phase began") + 1,
    };
    words[from..].iter().filter(|word| !word.ends_with('/')).cloned().collect()
}

/// Of each scenario in turn, in an order that the seed gives.
fn sample(runs: &[Undisturbed], seed: u64, budget: usize) -> Vec<Case> {
    let mut random = kills::Random::new(seed);
    let mut stacks: Vec<Vec<Case>> = Vec::new();
    for run in runs {
        let mut left = run.cases.clone();
        let mut shuffled = Vec::new();
        while !left.is_empty() {
            shuffled.push(left.swap_remove(random.below(left.len() as u64) as usize));
        }
        stacks.push(shuffled);
    }
    let mut chosen = Vec::new();
    while chosen.len() < budget && stacks.iter().any(|stack| !stack.is_empty()) {
        for stack in &mut stacks {
            chosen.extend(stack.pop());
        }
    }
    chosen.truncate(budget);
    chosen
}

#[test]
fn a_supervisor_that_dies_at_any_point_leaves_what_an_undisturbed_run_leaves() {
    let podlet = Podlet::new();
    let runs: Vec<Undisturbed> = Scenario::ALL.into_iter().map(|scenario| undisturbed(&podlet, scenario)).collect();
    for point in Point::ALL {
        let reached = runs.iter().any(|run| run.cases.iter().any(|case| case.point == *point));
        assert!(reached, "no scenario comes to {}", point.name());
    }
    let (seed, budget) = (kills::seed(), kills::budget(10));
    let all: usize = runs.iter().map(|run| run.cases.len()).sum();
    let cases = sample(&runs, seed, budget);
    println!("{} of {all} points and times, seed {seed}", cases.len());
    let mut missed = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let Case { scenario, point, time } = *case;
        let name = format!("{}-{}-{time}", scenario.name(), point.name());
        println!("{number} {name}");
        let expected = &runs.iter().find(|run| run.scenario == scenario).unwrap().seen;
        let seen = scenario.run(&podlet, &name, &format!("{}/{}:{time}", scenario.phase().name(), point.name()));
        kills::assert_same(&seen, expected, &name);
        if scenario != Scenario::Delete {
            // Known by now: a delete could come to the point as well.
            missed.extend((!fired(&podlet)).then_some(*case));
            podlet.succeed(&["delete", "pod", &name]);
        } else {
            missed.extend((!fired(&podlet)).then_some(*case));
        }
        forget_fired(&podlet);
    }
    println!("{} of {} were reached", cases.len() - missed.len(), cases.len());
    missed.retain(|case| !case.point.varies());
    assert!(missed.is_empty(), "never reached: {missed:?}");
    podlet.finish();
}

/// Whether the pod of this case has come to its point.
fn fired(podlet: &Podlet) -> bool {
    std::fs::read_dir(podlet.root.join("state")).unwrap().flatten().any(|entry| is_fired(&entry))
}

fn forget_fired(podlet: &Podlet) {
    let files = std::fs::read_dir(podlet.root.join("state")).unwrap().flatten();
    files.filter(is_fired).for_each(|entry| std::fs::remove_file(entry.path()).unwrap());
}

fn is_fired(entry: &std::fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with("fault-fired.")
}
