//! What is left on the host after a test: of the whole machine, not only of names that podlet uses.
//!
//! A [`Host`] is a picture of everything that a container engine may leave behind. [`Guard`] takes one at a test's start and
//! compares at its end, waiting a moment for what the kernel takes down late (network namespaces, cgroups). Tests that hold
//! a guard run one after another, over all test programs, by a lock file.
//!
//! What other programs do meanwhile is told apart where that is possible: a new process counts unless one of its ancestors
//! stood before and is neither the first process nor the test itself. For files it is not possible; name directories that
//! others write to in `PODLET_RESIDUE_IGNORE`, separated by colons.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

/// How long leftovers may take to go: a network namespace is taken down asynchronously.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything on the host that a pod could leave behind; one set of names a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    kinds: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Host {
    /// The host now. `before` tells whose new processes are not ours.
    pub fn now(before: Option<&Host>) -> Host {
        let processes = processes();
        let ours = |pid: i32| before.is_none_or(|before| is_ours(pid, &processes, &before.kinds["process"]));
        let mut kinds = BTreeMap::new();
        kinds.insert("process", processes.values().filter(|p| ours(p.pid)).map(Process::identity).collect());
        kinds.insert("namespace", namespaces(processes.values().filter(|p| ours(p.pid)).map(|p| p.pid)));
        kinds.insert("mount", mounts());
        kinds.insert("cgroup", cgroups());
        kinds.insert("interface", lines(run("ip", &["-o", "link"]), |line| line.split(':').nth(1).map(str::trim)));
        kinds.insert("rule", rules());
        kinds.insert("file", files(&["/run", "/var/lib", "/var/log", "/tmp", "/dev/shm"]));
        kinds.insert("System V IPC", system_v());
        kinds.insert("keyring", keyrings());
        kinds.insert(
            "socket",
            lines(fs::read_to_string("/proc/net/unix").unwrap_or_default(), |line| {
                line.split_whitespace().nth(7).filter(|path| !path.is_empty())
            }),
        );
        Host { kinds }
    }

    /// What stands here and did not stand `before`, a line each.
    pub fn added_since(&self, before: &Host) -> Vec<String> {
        let ignored = ignored_directories();
        self.kinds
            .iter()
            .flat_map(|(kind, now)| now.difference(&before.kinds[kind]).map(move |name| (kind, name)))
            .filter(|(kind, name)| {
                **kind != "file" || !ignored.iter().any(|directory| name.starts_with(directory.as_str()))
            })
            .map(|(kind, name)| format!("{kind}: {name}"))
            .collect()
    }
}

/// Compares the host at a test's end with that at its start. Call [`Guard::finish`]; a guard that is merely dropped (the test
/// failed before) compares nothing.
pub struct Guard {
    before: Host,
    _turn: Flock<fs::File>,
}

impl Guard {
    /// Waits for this test's turn and takes the first picture.
    pub fn new() -> Guard {
        let file = fs::File::create(std::env::temp_dir().join("podlet-tests.lock")).expect("lock file of the tests");
        let turn = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).expect("lock of the tests");
        Guard { before: Host::now(None), _turn: turn }
    }

    /// What is left once the patience is at its end; empty as soon as nothing is.
    pub fn leftovers(&self) -> Vec<String> {
        let begin = Instant::now();
        loop {
            let left = Host::now(Some(&self.before)).added_since(&self.before);
            if left.is_empty() || begin.elapsed() > PATIENCE {
                return left;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Fails the test when anything is left.
    pub fn finish(self) {
        let left = self.leftovers();
        assert!(left.is_empty(), "left behind on the host:\n  {}", left.join("\n  "));
    }
}

struct Process {
    pid: i32,
    parent: i32,
    start: u64,
    name: String,
}

impl Process {
    /// A pid alone may come again; with its start time it does not.
    fn identity(&self) -> String {
        format!("{} {} started at tick {}", self.pid, self.name, self.start)
    }
}

fn processes() -> BTreeMap<i32, Process> {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name stands in parentheses and may hold blanks and parentheses itself.
            let (head, tail) = stat.rsplit_once(')')?;
            let name = head.split_once('(')?.1.to_owned();
            let fields: Vec<&str> = tail.split_whitespace().collect();
            let process =
                Process { pid, parent: fields.get(1)?.parse().ok()?, start: fields.get(19)?.parse().ok()?, name };
            // A kernel worker comes and goes by itself, and a zombie of the first process is no longer anybody's.
            let zombie_of_init = fields.first() == Some(&"Z") && process.parent == 1;
            (process.parent != 2 && pid != 2 && !zombie_of_init).then_some((pid, process))
        })
        .collect()
}

fn is_ours(pid: i32, processes: &BTreeMap<i32, Process>, before: &BTreeSet<String>) -> bool {
    let myself = std::process::id() as i32;
    let mut current = pid;
    while let Some(process) = processes.get(&current) {
        if process.pid == myself || process.pid == 1 {
            return true;
        }
        if before.contains(&process.identity()) {
            // It stood before: it is in both pictures, or it is the ancestor of somebody else's.
            return current == pid;
        }
        current = process.parent;
    }
    true
}

fn namespaces(pids: impl Iterator<Item = i32>) -> BTreeSet<String> {
    let of_processes = pids.flat_map(|pid| {
        let directory = fs::read_dir(format!("/proc/{pid}/ns")).into_iter().flatten();
        directory.filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.to_string_lossy().into_owned()))
    });
    let bound = mounts().into_iter().filter(|mount| mount.contains(" nsfs "));
    of_processes.chain(bound).collect()
}

fn mounts() -> BTreeSet<String> {
    // Device, root, mount point and type; the mount's own number changes with each mount.
    lines_owned(fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(), |line| {
        let (left, right) = line.split_once(" - ")?;
        let fields: Vec<&str> = left.split_whitespace().collect();
        Some(format!("{} {} {}", fields.get(4)?, fields.get(3)?, right))
    })
}

fn cgroups() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for mount in fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines() {
        let Some((left, right)) = mount.split_once(" - ") else { continue };
        if right.starts_with("cgroup")
            && let Some(path) = left.split_whitespace().nth(4)
        {
            collect(Path::new(path), &mut found, &|path| path.is_dir());
        }
    }
    found
}

fn files(roots: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in roots {
        collect(Path::new(root), &mut found, &|_| true);
    }
    found
}

/// All paths below `root` on the same file system that `wanted` takes, without following links.
fn collect(root: &Path, found: &mut BTreeSet<String>, wanted: &dyn Fn(&Path) -> bool) {
    let Ok(device) = fs::symlink_metadata(root).map(|meta| meta.dev()) else { return };
    let mut stack: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if wanted(&path) {
                found.insert(path.to_string_lossy().into_owned());
            }
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir() && meta.dev() == device) {
                stack.push(path);
            }
        }
    }
}

fn rules() -> BTreeSet<String> {
    let mut found = lines(run("ip", &["-o", "rule"]), |line| Some(line));
    found.extend(lines(run("ip", &["-o", "route", "show", "table", "all"]), |line| Some(line)));
    found.extend(lines(run("nft", &["list", "ruleset"]), |line| Some(line)));
    found.extend(lines(run("iptables-save", &[]), |line| (!line.starts_with('#')).then_some(line)));
    found
}

fn system_v() -> BTreeSet<String> {
    ["shm", "sem", "msg"]
        .iter()
        .flat_map(|kind| {
            let table = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
            let rows: Vec<String> = table
                .lines()
                .skip(1)
                .map(|line| format!("{kind} {}", line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")))
                .collect();
            rows
        })
        .collect()
}

fn keyrings() -> BTreeSet<String> {
    // Session keyrings come with logins and are counted by use; their number and name tell them.
    lines_owned(fs::read_to_string("/proc/keys").unwrap_or_default(), |line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Some(format!("{} {}", fields.first()?, fields.get(7..)?.join(" ")))
    })
}

fn ignored_directories() -> Vec<String> {
    let lock = std::env::temp_dir().join("podlet-tests.lock");
    let own = std::env::var("PODLET_RESIDUE_IGNORE").unwrap_or_default();
    own.split(':').filter(|d| !d.is_empty()).map(str::to_owned).chain([lock.to_string_lossy().into_owned()]).collect()
}

fn run(program: &str, arguments: &[&str]) -> String {
    // Where a program is not installed, nothing of its kind can have been made with it.
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

fn lines(text: String, pick: impl Fn(&str) -> Option<&str>) -> BTreeSet<String> {
    text.lines().filter_map(|line| pick(line).map(str::to_owned)).collect()
}

fn lines_owned(text: String, pick: impl Fn(&str) -> Option<String>) -> BTreeSet<String> {
    text.lines().filter_map(pick).collect()
}
