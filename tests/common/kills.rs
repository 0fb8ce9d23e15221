//! For tests that kill podlet's own processes: who they are, and what a pod's containers have left to compare.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::podlet::{Podlet, container, processes_of, until};

/// A pod that shows what happens to it: `beat` writes a heartbeat and so many numbered lines, a thousand a second, `ender` exits with
/// 42 at SIGTERM and writes a line at SIGUSR1.
pub fn telling_pod(podlet: &Podlet, name: &str, policy: &str, lines: u32) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 2
  containers:
  - name: beat
    image: podlet.local/actor
    args: [heartbeat, /data/{name}, every=20ms, ",", log, "{lines}", rate=1000/s, size=64]
    volumeMounts: [{{name: data, mountPath: /data}}]
  - name: ender
    image: podlet.local/actor
    args: ["on", TERM, exit, "42", ",", "on", USR1, report, ",", sleep, forever]
  volumes:
  - name: data
    hostPath: {{path: {data}, type: DirectoryOrCreate}}
"#,
        data = podlet.root.join("data").display()
    )
}

/// Whether both of its containers run.
pub fn both_run(pod: &Value) -> bool {
    ["beat", "ender"].iter().all(|name| container(pod, name)["state"]["running"].is_object())
}

/// One of podlet's processes in a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The keeper's twin.
    Guard,
    /// The parent of everything.
    Keeper,
    /// podlet itself.
    Supervisor,
    /// The owner of the pod's namespaces.
    Pause,
}

impl Part {
    /// As ps shows it.
    fn name(self) -> &'static str {
        match self {
            Part::Guard => "guard",
            Part::Keeper => "keeper",
            Part::Supervisor => "podlet",
            Part::Pause => "pause",
        }
    }

    /// Its pid, if it lives. A supervisor has executed podlet only a moment after it was made.
    pub fn pid(self, uid: &str) -> Option<i32> {
        self.all(uid).first().copied()
    }

    /// Whoever has its name: where a keeper takes the place of another the old one may live on for a moment.
    fn all(self, uid: &str) -> Vec<i32> {
        let names = |pid: &i32| process_name(*pid).is_some_and(|name| name == self.name());
        processes_of(uid).into_iter().filter(names).collect()
    }

    /// Waits until it lives.
    pub fn wait(self, uid: &str) -> i32 {
        let mut found = None;
        until(&format!("a {} of {uid}", self.name()), || {
            found = self.pid(uid);
            found.is_some()
        });
        found.expect("found")
    }
}

/// What it is called, as long as it is no zombie.
fn process_name(pid: i32) -> Option<String> {
    // A zombie is of no use to anybody.
    name_and_state(pid).and_then(|(name, state)| (state != 'Z').then_some(name))
}

fn name_and_state(pid: i32) -> Option<(String, char)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    Some((name.to_owned(), tail.trim_start().chars().next()?))
}

/// Whether SIGSTOP has reached it.
pub fn is_stopped(pid: i32) -> bool {
    name_and_state(pid).is_some_and(|(_, state)| state == 'T')
}

/// Whether it has ended, reaped or not.
pub fn is_gone(pid: i32) -> bool {
    process_name(pid).is_none()
}

/// Sends a signal; a process that has just gone is no error.
pub fn send(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

/// Sends a signal as soon as the program has set up what it does then. A container runs from its execve(2) on, and as the
/// first process of its PID namespace it does not even hear what it has no handler for (pid_namespaces(7)).
pub fn send_when_heard(pid: i32, signal: Signal) {
    hears(pid, signal);
    send(pid, signal);
}

/// Waits until the program has set up what it does at this signal.
pub fn hears(pid: i32, signal: Signal) {
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & 1 << (signal as u32 - 1) != 0)
    };
    until(&format!("a handler of {signal} in process {pid}"), caught);
}

/// `kill -9` of all of them at once: none sees the others' end.
pub fn kill_at_once(uid: &str, parts: &[Part]) {
    let mut pids: Vec<i32> = Vec::new();
    until("one of each", || {
        let all: Vec<Vec<i32>> = parts.iter().map(|part| part.all(uid)).collect();
        pids = all.concat();
        all.iter().all(|of_one| of_one.len() == 1)
    });
    for pid in &pids {
        send(*pid, Signal::SIGSTOP);
    }
    until("all of them stopped", || pids.iter().all(|pid| is_stopped(*pid) || is_gone(*pid)));
    for pid in &pids {
        send(*pid, Signal::SIGKILL);
    }
    for pid in pids {
        until("the end of a killed process", || process_name(pid).is_none());
    }
}

/// What a process is called that runs a probe's command.
const ZYGOTE: &str = "podlet-zygote";

/// All of these that a pod has.
pub fn zygotes(uid: &str) -> Vec<i32> {
    let is_one = |pid: &i32| process_name(*pid).is_some_and(|name| name == ZYGOTE);
    processes_of(uid).into_iter().filter(is_one).collect()
}

/// The pid of a container's program: the one process in its cgroup whose name is given and that is not podlet's.
pub fn program(uid: &str, container: &str) -> i32 {
    let ends = format!("/{container}");
    let inside = |pid: &i32| {
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        process_name(*pid).is_some_and(|name| name != ZYGOTE) && cgroup.lines().any(|line| line.ends_with(&ends))
    };
    processes_of(uid).into_iter().find(inside).unwrap_or_else(|| panic!("{container} does not run"))
}

/// The pod's uid.
pub fn uid(pod: &Value) -> String {
    pod["metadata"]["uid"].as_str().expect("a uid").to_owned()
}

/// The file of one instance's log.
pub fn log_file(podlet: &Podlet, pod: &str, uid: &str, container: &str, attempt: u64) -> PathBuf {
    podlet.root.join(format!("logs/pods/default_{pod}_{uid}/{container}/{attempt}.log"))
}

/// What a container has written, out of its CRI log: `TIME STREAM F|P TEXT`. Nothing, as long as there is no log.
pub fn written(file: &Path) -> String {
    let log = match fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        log => log.unwrap_or_else(|error| panic!("{}: {error}", file.display())),
    };
    let mut text = String::new();
    // A reader may see half of what one write(2) writes: the rest of the last line is still to come.
    let whole = log.rfind('\n').map_or(0, |end| end + 1);
    for line in log[..whole].lines() {
        let mut fields = line.splitn(4, ' ');
        let (time, stream, tag) = (fields.next(), fields.next(), fields.next());
        assert!(time.is_some_and(|time| time.contains('T')), "not a log line: {line:?}");
        assert!(matches!(stream, Some("stdout" | "stderr")), "not a log line: {line:?}");
        text.push_str(fields.next().unwrap_or_default());
        if tag == Some("F") {
            text.push('\n');
        }
    }
    text
}

/// The actor's numbered lines: from 1 on, none missing, none doubled, none torn. Answers how many.
pub fn numbered(text: &str, size: usize) -> usize {
    for (line, expected) in text.lines().zip(1usize..) {
        let number = line.split(' ').next().and_then(|number| number.parse().ok());
        assert_eq!(number, Some(expected), "line {expected} is {line:?}");
        assert_eq!(line.len(), size, "line {expected} is torn: {line:?}");
    }
    text.lines().count()
}

/// What the heartbeats of one file tell: the instances in the order in which they began, each with its beats. A line
/// without its end is one that is being written: where it crosses a page, a reader sees the first part of it. For the same
/// reason an instance that is killed within write(2) may leave a part of a line, which the next instance's first goes on.
pub fn heartbeats(file: &Path) -> Vec<Vec<u64>> {
    const ID: usize = "01234567-89ab-cdef-0123-456789abcdef".len();
    let text = fs::read_to_string(file).unwrap_or_default();
    let text = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let mut order = Vec::new();
    let mut instances: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut last = "";
    for line in text.lines() {
        let mut fields = line.rsplitn(3, ' ');
        let (Some(nanoseconds), Some(count), Some(id)) = (fields.next(), fields.next(), fields.next()) else {
            panic!("not a beat: {line:?}")
        };
        let (torn, id) =
            id.split_at_checked(id.len().wrapping_sub(ID)).unwrap_or_else(|| panic!("not a beat: {line:?}"));
        assert!(torn.is_empty() || count == "1", "a beat was torn by none that came after: {line:?}");
        let beats = instances.entry(id).or_default();
        if beats.is_empty() {
            order.push(id);
        } else {
            assert_eq!(last, id, "two instances at once: {line:?}");
        }
        last = id;
        beats.push(nanoseconds.parse().expect("nanoseconds"));
        assert_eq!(count.parse(), Ok(beats.len()), "a beat is missing or doubled: {line:?}");
    }
    order.into_iter().map(|id| instances.remove(id).expect("known")).collect()
}

/// An instance beats without a gap. A stop and a start of a container make another instance; what would show here is one that
/// was held back (frozen, or blocked by podlet). A machine under load, or a disk that writes back, holds it back for seconds.
pub fn assert_no_gap(beats: &[u64], name: &str) {
    let gaps = beats.windows(2).map(|pair| pair[1] - pair[0]);
    let gap = Duration::from_nanos(gaps.max().unwrap_or(0));
    assert!(gap < Duration::from_secs(30), "{name}: no beat for {gap:?}");
}

/// A pod's status without what differs from run to run: times, ids.
pub fn comparable(pod: &Value) -> Value {
    fn strip(value: &mut Value, name: &str) {
        match value {
            Value::Object(fields) => {
                for (key, field) in fields.iter_mut() {
                    let varies = key.ends_with("Time") || key.ends_with("At") || key == "containerID";
                    if varies && !field.is_null() {
                        *field = json!("…");
                    }
                    strip(field, name);
                }
            }
            Value::Array(fields) => fields.iter_mut().for_each(|field| strip(field, name)),
            Value::String(text) => {
                *text = text.replace(name, "POD");
                // `back-off 10s restarting failed container=web pod=web_default(UID)`.
                if let Some((before, rest)) = text.split_once('(')
                    && let Some((inside, after)) = rest.split_once(')')
                    && inside.len() == 36
                {
                    *text = format!("{before}(…){after}");
                }
            }
            _ => {}
        }
    }
    let annotations = pod["metadata"]["annotations"].as_object().into_iter().flatten();
    let own: BTreeMap<&String, &Value> = annotations.filter(|(key, _)| key.starts_with("podlet.dev/")).collect();
    let mut status = json!({ "own": own, "status": pod["status"] });
    strip(&mut status, pod["metadata"]["name"].as_str().expect("a name"));
    status
}

/// Two things seen are the same; where they are not, only that is shown.
pub fn assert_same(seen: &Value, expected: &Value, name: &str) {
    fn compare(seen: &Value, expected: &Value, at: &str, found: &mut Vec<String>) {
        match (seen, expected) {
            (Value::Object(one), Value::Object(other)) => {
                let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
                for key in keys {
                    compare(&seen[key], &expected[key], &format!("{at}.{key}"), found);
                }
            }
            (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
                for (index, (one, other)) in one.iter().zip(other).enumerate() {
                    compare(one, other, &format!("{at}[{index}]"), found);
                }
            }
            _ if seen == expected => {}
            _ => found.push(format!("{at}: {seen:#}, but undisturbed: {expected:#}")),
        }
    }
    let mut found = Vec::new();
    compare(seen, expected, "", &mut found);
    assert!(found.is_empty(), "{name}: {}", found.join("\n"));
}

/// The events of a pod as lines `TYPE REASON COUNT MESSAGE`, sorted.
pub fn events(podlet: &Podlet, pod: &Value) -> Vec<String> {
    let name = pod["metadata"]["name"].as_str().expect("a name");
    let all: Value = serde_json::from_str(&podlet.succeed(&["events", "--for", &format!("pod/{name}"), "-o", "json"]))
        .expect("events -o json prints JSON");
    let uid = uid(pod);
    let mut lines: Vec<String> = all["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| event["involvedObject"]["uid"] == *uid)
        .map(|event| {
            let text =
                |field: &str| event[field].as_str().unwrap_or_default().replace(&uid, "UID").replace(name, "POD");
            let count = event["count"].as_u64().unwrap_or(1);
            let place = event["involvedObject"]["fieldPath"].as_str().unwrap_or_default();
            format!("{} {} {count} {place} {}", text("type"), text("reason"), text("message"))
        })
        .collect();
    lines.sort();
    lines
}

/// Numbers that only look random: the same from the same seed (splitmix64).
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// From 0 to below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// `PODLET_TEST_SEED`, or another one at each run; the test prints it.
pub fn seed() -> u64 {
    let given = std::env::var("PODLET_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let clock = || std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
    given.unwrap_or_else(clock)
}

/// How many cases of a sweep are tried: `PODLET_TEST_BUDGET` (a number, or `all`), else what is usual.
pub fn budget(usual: usize) -> usize {
    match std::env::var("PODLET_TEST_BUDGET").as_deref() {
        Ok("all") => usize::MAX,
        Ok(number) => number.parse().unwrap_or(usual),
        Err(_) => usual,
    }
}
