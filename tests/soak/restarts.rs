//! A container is started again ten thousand times; afterwards nothing has piled up.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::common::kills::{self, Part};
use crate::common::podlet::{Podlet, container, processes_of, text, until};

/// Restarts before the first look: what is made once is made by then.
const BEFORE: u64 = 300;

/// By so many mappings a process may differ that has not grown: glibc takes and gives back pieces of a heap. What piles up
/// does it once a restart or a probe.
const MAPPINGS: usize = 10;

/// What a pod holds of the machine.
#[derive(Debug, PartialEq, Eq)]
pub struct Holdings(Vec<(String, usize)>);

impl Holdings {
    pub fn of(podlet: &Podlet, uid: &str) -> Holdings {
        let mut all = Vec::new();
        let mut add = |name: &str, count: usize| all.push((name.to_owned(), count));
        let processes = processes_of(uid);
        add("processes", processes.len());
        for part in [Part::Supervisor, Part::Keeper, Part::Guard, Part::Pause] {
            let pid = part.wait(uid);
            add(&format!("descriptors of {part:?}"), entries(&format!("/proc/{pid}/fd")));
            add(&format!("threads of {part:?}"), entries(&format!("/proc/{pid}/task")));
            let mappings = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
            add(&format!("mappings of {part:?}"), mappings.lines().count());
        }
        let mut namespaces: Vec<std::path::PathBuf> = processes
            .iter()
            .filter_map(|pid| fs::read_dir(format!("/proc/{pid}/ns")).ok())
            .flat_map(|listing| listing.flatten().filter_map(|entry| fs::read_link(entry.path()).ok()))
            .collect();
        namespaces.sort();
        namespaces.dedup();
        add("namespaces", namespaces.len());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = podlet.root.to_string_lossy().into_owned();
        add("mounts", mounts.lines().filter(|line| line.contains(&root) || line.contains(uid)).count());
        add("cgroups", find(Path::new("/sys/fs/cgroup"), uid));
        add("files of the run directory", files(&podlet.root.join("run")));
        add("files of the state directory", files(&podlet.root.join("state")));
        add("files of logs", files(&podlet.root.join("logs")));
        Holdings(all)
    }

    /// Of each the lesser.
    pub fn least(self, other: Holdings) -> Holdings {
        Holdings(self.0.into_iter().zip(other.0).map(|((name, one), (_, other))| (name, one.min(other))).collect())
    }

    /// Whether there is no more of anything than there.
    pub fn is_within(&self, other: &Holdings) -> bool {
        let slack = |name: &str| if name.starts_with("mappings") { MAPPINGS } else { 0 };
        self.0.iter().zip(&other.0).all(|((name, one), (_, other))| *one <= other + slack(name))
    }
}

fn entries(directory: &str) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}

/// Directories of cgroups with the uid in their path.
fn find(directory: &Path, uid: &str) -> usize {
    let listing = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = listing.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| usize::from(entry.path().to_string_lossy().contains(uid)) + find(&entry.path(), uid)).sum()
}

/// Files below a directory, segments of the journal left out: how many there are at a time changes.
fn files(directory: &Path) -> usize {
    let listing = fs::read_dir(directory).into_iter().flatten().flatten();
    listing
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            !name.starts_with("journal.") && !name.starts_with("snapshot.")
        })
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            _ => 1,
        })
        .sum()
}

/// What a supervisor has of memory for itself alone: neither its program nor what the kernel keeps of files.
fn anonymous_kib(pid: i32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Anonymous:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Bytes of what a pod has in its run and kept directories: what the supervisor knows. Old parts of the journal are another
/// matter: they are there to be looked at, and bounded.
fn bytes_of_state(podlet: &Podlet, uid: &str) -> u64 {
    let (run, kept) = (podlet.root.join("run/pods").join(uid), podlet.root.join("state/pods").join(uid));
    bytes(&run) + bytes(&kept) - bytes(&kept.join("history"))
}

fn bytes(directory: &Path) -> u64 {
    let listing = fs::read_dir(directory).into_iter().flatten().flatten();
    let each = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    listing.map(each).sum()
}

#[test]
fn many_restarts_pile_nothing_up() {
    let podlet = Podlet::new();
    let restarts = match kills::budget(10) {
        usize::MAX => 10_000,
        number => number as u64 * 10,
    };
    println!("{restarts} restarts");
    let data = podlet.root.join("data");
    // It rests when it is looked at, else it crashes at once.
    let script = format!(
        "n=$(cat /data/count 2>/dev/null || echo 0); n=$((n + 1)); echo $n > /data/count; echo instance $n; \
         [ $n -ne {BEFORE} -a $n -ne {} ] || exec sleep 100000; exit 3",
        BEFORE + restarts
    );
    let manifest = format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: podlet.local/host
    command: [sh, -c, "{script}"]
    resources: {{limits: {{memory: 64Mi}}}}
    volumeMounts: [{{name: data, mountPath: /data}}, {{name: scratch, mountPath: /scratch}}]
  volumes:
  - name: scratch
    emptyDir: {{}}
  - name: data
    hostPath: {{path: {data}, type: DirectoryOrCreate}}
"#,
        data = data.display()
    );
    let output =
        podlet.try_apply(&manifest, &["--crash-backoff-initial=1", "--crash-backoff-max=1", "--sleep-after=never"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let uid = kills::uid(&podlet.pod("web"));

    let rests = |count: u64| {
        let file = data.join("count");
        let reached = || fs::read_to_string(&file).is_ok_and(|text| text.trim() == count.to_string());
        // So long, whatever the machine: a restart takes some ten milliseconds.
        while !reached() {
            let before = fs::read_to_string(&file).unwrap_or_default();
            until("another restart", || reached() || fs::read_to_string(&file).unwrap_or_default() != before);
        }
        let runs = |pod: &Value| {
            let main = container(pod, "main");
            main["state"]["running"].is_object() && main["restartCount"] == count - 1
        };
        podlet.wait("web", runs);
        // `sleep` has taken the shell's place, and what the last instance left is cleared.
        until("the program", || name_of(kills::program(&uid, "main")) == "sleep");
        until("rest", || {
            let first = Holdings::of(&podlet, &uid);
            std::thread::sleep(std::time::Duration::from_millis(100));
            first == Holdings::of(&podlet, &uid)
        });
        let memory = anonymous_kib(Part::Supervisor.wait(&uid));
        (Holdings::of(&podlet, &uid), memory, bytes_of_state(&podlet, &uid))
    };
    let (before, memory_before, state_before) = rests(BEFORE);
    kills::send(kills::program(&uid, "main"), Signal::SIGKILL);
    let (after, memory_after, state_after) = rests(BEFORE + restarts);
    assert!(
        after.is_within(&before),
        "after {restarts} restarts there is more of something: {after:?}, before {before:?}"
    );
    println!("memory of the supervisor: {memory_before} KiB, {memory_after} KiB after {restarts} restarts");
    println!("state: {state_before} bytes, {state_after} bytes after {restarts} restarts");
    assert!(memory_after <= memory_before + 64, "the supervisor has grown from {memory_before} to {memory_after} KiB");
    // The newest segment of the journal is anywhere between nothing and 64 KiB.
    assert!(state_after < state_before + 64 * 1024, "the state has grown from {state_before} to {state_after} bytes");
    let history = bytes(&podlet.root.join("state/pods").join(&uid).join("history"));
    println!("history: {history} bytes");
    assert!(history <= 16 * 1024 * 1024, "{history} bytes of old journals");
    podlet.finish();
}

fn name_of(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}
