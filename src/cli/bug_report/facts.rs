//! What the kernel says of a pod's processes, cgroups and mounts, and which files there are. Read only; what cannot be read
//! is left out.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::linux::cgroup::{Cgroup, Layout};

/// Files and directories listed of one tree.
const MOST_FILES: usize = 2000;

/// The files of a cgroup that say how it is.
const VALUES: [&str; 22] = [
    "cgroup.procs",
    "cgroup.events",
    "cgroup.controllers",
    "cgroup.subtree_control",
    "cpu.shares",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpu.weight",
    "cpu.max",
    "cpu.stat",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "memory.max_usage_in_bytes",
    "memory.oom_control",
    "memory.max",
    "memory.current",
    "memory.peak",
    "memory.events",
    "pids.max",
    "pids.current",
    "freezer.state",
    "io.stat",
];

/// The pod's own cgroups and the keeper's, in each hierarchy.
fn directories(uid: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for cgroup in [Cgroup::of_pod(uid), Cgroup::of_keeper(uid)] {
        for name in cgroup.hierarchies() {
            found.extend(cgroup.directory(&name).map(Path::to_owned));
        }
    }
    found
}

fn below(directory: &Path, found: &mut Vec<PathBuf>) {
    if !directory.is_dir() || found.len() >= MOST_FILES {
        return;
    }
    found.push(directory.to_owned());
    let mut inner: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    inner.sort();
    inner.iter().for_each(|directory| below(directory, found));
}

fn cgroups(uid: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    directories(uid).iter().for_each(|directory| below(directory, &mut found));
    found
}

/// The names of all cgroups of podlet's.
pub fn cgroup_tree() -> String {
    let mut text = format!("layout: {}\n", Layout::of_machine().describe());
    for notice in &Layout::of_machine().notices {
        let _ = writeln!(text, "{notice}");
    }
    let any = Cgroup::of_pod("");
    for name in any.hierarchies() {
        let mut found = Vec::new();
        if let Some(root) = any.directory(&name).and_then(Path::parent) {
            below(root, &mut found);
        }
        for directory in found {
            let _ = writeln!(text, "{}", directory.display());
        }
    }
    text
}

/// What stands in the files of the pod's cgroups.
pub fn cgroup_values(uid: &str) -> String {
    let mut text = String::new();
    for directory in cgroups(uid) {
        let _ = writeln!(text, "== {}", directory.display());
        for name in VALUES {
            if let Ok(value) = fs::read_to_string(directory.join(name)) {
                let value = value.trim_end().replace('\n', " | ");
                let _ = writeln!(text, "{name}: {value}");
            }
        }
    }
    text
}

fn pids(uid: &str) -> Vec<i32> {
    let mut pids: Vec<i32> = [Cgroup::of_pod(uid), Cgroup::of_keeper(uid)].iter().flat_map(Cgroup::processes).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// The pod's processes: state, parents, users, capabilities, cgroups and namespaces. Neither arguments nor environments.
pub fn processes(uid: &str) -> String {
    const WANTED: [&str; 15] = [
        "Name",
        "State",
        "NSpid",
        "PPid",
        "Uid",
        "Gid",
        "Threads",
        "VmRSS",
        "NoNewPrivs",
        "Seccomp",
        "CapEff",
        "CapBnd",
        "SigBlk",
        "SigIgn",
        "SigCgt",
    ];
    let mut text = String::new();
    for pid in pids(uid) {
        let at = PathBuf::from(format!("/proc/{pid}"));
        let _ = writeln!(text, "== {pid}");
        let status = fs::read_to_string(at.join("status")).unwrap_or_default();
        for line in status.lines() {
            if line.split_once(':').is_some_and(|(name, _)| WANTED.contains(&name)) {
                let _ = writeln!(text, "{}", line.replace('\t', " "));
            }
        }
        if let Ok(place) = fs::read_to_string(at.join("wchan")) {
            let _ = writeln!(text, "wchan: {place}");
        }
        let descriptors = fs::read_dir(at.join("fd")).map_or(0, Iterator::count);
        let _ = writeln!(text, "descriptors: {descriptors}");
        for entry in fs::read_dir(at.join("ns")).into_iter().flatten().flatten() {
            if let Ok(namespace) = fs::read_link(entry.path()) {
                let _ = writeln!(text, "{}: {}", entry.file_name().to_string_lossy(), namespace.display());
            }
        }
        for line in fs::read_to_string(at.join("cgroup")).unwrap_or_default().lines() {
            let _ = writeln!(text, "cgroup: {line}");
        }
    }
    text
}

/// The mounts that each of the pod's mount namespaces has.
pub fn mounts(uid: &str) -> String {
    let mut text = String::new();
    let mut seen = Vec::new();
    for pid in pids(uid) {
        let Ok(namespace) = fs::read_link(format!("/proc/{pid}/ns/mnt")) else { continue };
        if seen.contains(&namespace) {
            continue;
        }
        let _ = writeln!(text, "== {} (process {pid})", namespace.display());
        text.push_str(&fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default());
        seen.push(namespace);
    }
    text
}

/// Names, sizes and modes of all files below; contents of none.
pub fn listing(roots: &[&Path]) -> String {
    let mut text = String::new();
    let mut left = MOST_FILES;
    for root in roots {
        list(root, &mut text, &mut left);
    }
    if left == 0 {
        let _ = writeln!(text, "… and more");
    }
    text
}

fn list(path: &Path, text: &mut String, left: &mut usize) {
    use std::os::unix::fs::MetadataExt;
    let Ok(metadata) = path.symlink_metadata() else { return };
    if *left == 0 {
        return;
    }
    *left -= 1;
    let _ = writeln!(
        text,
        "{:o} {}:{} {} {}",
        metadata.mode(),
        metadata.uid(),
        metadata.gid(),
        metadata.len(),
        path.display()
    );
    if metadata.is_dir() {
        let mut inner: Vec<PathBuf> =
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        inner.sort();
        inner.iter().for_each(|path| list(path, text, left));
    }
}
