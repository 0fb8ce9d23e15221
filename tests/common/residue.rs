//! What is left on the host after a test: of the whole machine, not only of names that podlet uses.
//!
//! A [`Host`] is a picture of everything that a container engine may leave behind. [`Guard`] takes one at a test's start and
//! compares at its end, waiting a moment for what the kernel takes down late (network namespaces, cgroups). Tests that hold
//! a guard run one after another, over all test programs, by a lock file.
//!
//! What other programs do meanwhile is told apart where that is possible: a new process counts unless one of its ancestors
//! stood before and is neither the first process nor the test itself, or it is in a cgroup to which nothing of the test's
//! comes; a new cgroup unless it is within one of somebody else's. For files it is not possible: places of the system's own
//! services are left out; name further ones that others write to in `PODLET_RESIDUE_IGNORE`, separated by colons (a cgroup,
//! too, in which another podlet has cgroups of its own).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

/// How long leftovers may take to go: a network namespace is taken down asynchronously.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where systemd, a package manager or a container engine may write at any time, and a test's podlet never does.
const OF_THE_SYSTEM: [&str; 12] = [
    "/run/systemd/",
    "/run/udev/",
    "/run/user/",
    "/run/log/",
    "/run/docker/",
    "/run/containerd/",
    "/var/lib/systemd/",
    "/var/lib/apt/",
    "/var/lib/dpkg/",
    "/var/lib/docker/",
    "/var/lib/containerd/",
    "/var/log/journal/",
];

/// Everything on the host that a pod could leave behind; one set of names a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    kinds: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Host {
    /// The host now. `before` tells whose new processes are not ours.
    pub fn now(before: Option<&Host>) -> Host {
        let processes = processes();
        let stood: BTreeSet<&str> =
            before.iter().flat_map(|before| &before.kinds["process"]).map(|shown| identity(shown)).collect();
        let ours = |pid: i32| before.is_none() || is_ours(pid, &processes, &stood);
        let mut kinds = BTreeMap::new();
        kinds.insert("process", processes.values().filter(|p| ours(p.pid)).map(Process::to_string).collect());
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
        let is_ignored = |name: &str| ignored.iter().any(|directory| name.starts_with(directory.as_str()));
        let own_cgroups = own_cgroups();
        let counts = |kind: &str, name: &str| match kind {
            "file" | "mount" | "socket" => !is_ignored(name),
            "cgroup" => !is_ignored(name) && is_our_cgroup(Path::new(name), &before.kinds["cgroup"], &own_cgroups),
            "process" => !before.kinds["process"].iter().any(|stood| identity(stood) == identity(name)),
            _ => true,
        };
        self.kinds
            .iter()
            .flat_map(|(kind, now)| now.difference(&before.kinds[kind]).map(move |name| (kind, name)))
            .filter(|(kind, name)| counts(kind, name))
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

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} started at tick {}, named {}", self.pid, self.start, self.name)
    }
}

/// Of a shown process. A pid alone may come again; with its start time it does not. Its name may change.
fn identity(shown: &str) -> &str {
    shown.split_once(", named ").map_or(shown, |(identity, _)| identity)
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

fn is_ours(pid: i32, processes: &BTreeMap<i32, Process>, before: &BTreeSet<&str>) -> bool {
    let myself = std::process::id() as i32;
    if is_in_anothers_cgroup(pid) {
        return false;
    }
    let mut current = pid;
    while let Some(process) = processes.get(&current) {
        if process.pid == myself || process.pid == 1 {
            return true;
        }
        if before.contains(identity(&process.to_string())) {
            // It stood before: it is in both pictures, or it is the ancestor of somebody else's.
            return current == pid;
        }
        current = process.parent;
    }
    true
}

/// What the test starts is in the test's own cgroups, or below, or in podlet's; what podlet takes out of its own goes to the
/// root. A service that the system starts meanwhile is elsewhere in at least one hierarchy.
fn is_in_anothers_cgroup(pid: i32) -> bool {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let its = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let split = |line: &str| line.rsplit_once(':').map(|(hierarchy, path)| (hierarchy.to_owned(), path.to_owned()));
    let own: BTreeMap<String, String> = own.lines().filter_map(split).collect();
    its.lines().filter_map(split).any(|(hierarchy, path)| {
        let of_test = own.get(&hierarchy).is_some_and(|own| Path::new(&path).starts_with(own) && own != "/");
        path != "/" && !of_test && !path.contains("/podlet")
    })
}

/// The test's own cgroups that are not the root, in all hierarchies.
fn own_cgroups() -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let paths: Vec<&str> = own.lines().filter_map(|line| line.rsplit_once(":/")?.1.into()).collect();
    let all = cgroup_mounts().into_iter().flat_map(|root| paths.iter().map(move |path| root.join(path)));
    all.filter(|path| path.is_dir() && !path.as_os_str().to_string_lossy().ends_with('/')).collect()
}

/// Whether a new cgroup may be the test's doing: it is not below one that stood before and is neither podlet's nor the
/// test's own.
fn is_our_cgroup(path: &Path, before: &BTreeSet<String>, own: &[PathBuf]) -> bool {
    let stood = path.ancestors().skip(1).find(|ancestor| before.contains(&*ancestor.to_string_lossy()));
    stood
        .is_none_or(|stood| stood.to_string_lossy().contains("/podlet") || own.iter().any(|own| stood.starts_with(own)))
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
    for root in cgroup_mounts() {
        collect(&root, &mut found, &|path| path.is_dir());
    }
    found
}

fn cgroup_mounts() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let of_cgroups =
        mounts.lines().filter_map(|mount| mount.split_once(" - ")).filter(|(_, right)| right.starts_with("cgroup"));
    of_cgroups.filter_map(|(left, _)| left.split_whitespace().nth(4).map(PathBuf::from)).collect()
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
    let mut found = BTreeSet::new();
    for words in ["ip -o rule", "ip -o route show table all", "nft list ruleset", "iptables-save"] {
        let (program, arguments) = words.split_once(' ').unwrap_or((words, ""));
        let text = run(program, &arguments.split_whitespace().collect::<Vec<_>>());
        found.extend(lines_owned(text, |line| (!line.starts_with('#')).then(|| without_counters(line))));
    }
    found
}

/// A rule without what traffic and time change in it: `counter packets 3 bytes 180`, `:INPUT ACCEPT [3:180]`, `expires 1793sec`.
fn without_counters(line: &str) -> String {
    let mut kept = Vec::new();
    let mut words = line.split_whitespace();
    while let Some(word) = words.next() {
        if matches!(word, "packets" | "bytes" | "expires") {
            words.next();
        } else if !(word.starts_with('[') && word.contains(':') && word.ends_with(']')) {
            kept.push(word);
        }
    }
    kept.join(" ")
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
    // `NUMBER FLAGS USAGE TIMEOUT PERMISSIONS UID GID TYPE NAME[: how many it links]`. A session's keyring lives as long as
    // a process of that session, and sessions come with each login; a user's keyrings are made at their first use.
    lines_owned(fs::read_to_string("/proc/keys").unwrap_or_default(), |line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let name = fields.get(8)?.trim_end_matches(':');
        let of_kernel = name == "_ses" || name.starts_with("_uid");
        (!of_kernel).then(|| format!("{} {} {name}", fields.first().unwrap_or(&""), fields.get(7).unwrap_or(&"")))
    })
}

fn ignored_directories() -> Vec<String> {
    let lock = std::env::temp_dir().join("podlet-tests.lock");
    let own = std::env::var("PODLET_RESIDUE_IGNORE").unwrap_or_default();
    let given = own.split(':').filter(|directory| !directory.is_empty()).chain(OF_THE_SYSTEM);
    given.map(str::to_owned).chain([lock.to_string_lossy().into_owned()]).collect()
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
