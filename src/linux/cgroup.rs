//! cgroups v1, v2 and hybrid, found out at run time. A pod is `podlet/pod<uid>` in each hierarchy that serves, a container
//! `podlet/pod<uid>/<name>`, pause `podlet/pod<uid>/_pause` (no container's name has an underscore).
//!
//! v1 is used controller by controller (cpu, memory; freezer and devices only where cgroup v2 does not do their work); a cgroup v2 mount,
//! where there is one, is joined too, because `cgroup.kill` is the one kill that nothing escapes.

use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::process;
use crate::plan::resources::{CPU_PERIOD, Limits};

/// The root of podlet's cgroups in each hierarchy.
const ROOT: &str = "podlet";
/// What pause's cgroup is called within the pod's.
const PAUSE: &str = "_pause";

/// One hierarchy that podlet uses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    /// `unified`, or the controller of v1 that it is used for: `memory`.
    name: &'static str,
    /// Where it is mounted.
    mount: PathBuf,
}

/// The hierarchies of this machine that serve podlet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    hierarchies: Vec<Hierarchy>,
    /// The v2 mount has the cpu and memory controllers.
    unified_limits: bool,
    /// What is amiss, a line each.
    pub notices: Vec<String>,
}

/// Whether the number of processes is to be limited: see [`Layout::limit_processes`].
static LIMITS_PROCESSES: AtomicBool = AtomicBool::new(false);

impl Layout {
    /// From here on pods have a cgroup of the controller pids, too; on v1 it is a hierarchy more, which nobody joins who needs
    /// it not. To be called before anything looks at the layout.
    pub fn limit_processes() {
        LIMITS_PROCESSES.store(true, Ordering::Relaxed);
    }

    /// The layout of this machine, found once in a process.
    pub fn of_machine() -> &'static Layout {
        static LAYOUT: OnceLock<Layout> = OnceLock::new();
        LAYOUT.get_or_init(|| {
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            let processes = LIMITS_PROCESSES.load(Ordering::Relaxed);
            Layout::from_mounts(&mounts, super::device::by_program(), processes, is_seen, |mount| {
                fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default()
            })
        })
    }

    /// The layout that a mountinfo shows, proc_pid_mountinfo(5), of what `is_seen` at its place.
    fn from_mounts(
        mounts: &str,
        by_program: bool,
        processes: bool,
        is_seen: impl Fn(&Path) -> bool,
        controllers_of: impl Fn(&Path) -> String,
    ) -> Layout {
        let mut layout = Layout::default();
        let mut legacy: Vec<(PathBuf, Vec<String>)> = Vec::new();
        let mut unified: Option<PathBuf> = None;
        let mut hidden = Vec::new();
        for line in mounts.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let Some(mount) = left.split(' ').nth(4).map(PathBuf::from) else { continue };
            let read_only = left.split(' ').nth(5).is_some_and(|options| options.split(',').any(|one| one == "ro"));
            let mut right = right.split(' ');
            match (right.next(), right.nth(1)) {
                // As in most containers: nothing can be made in it.
                (Some("cgroup2" | "cgroup"), _) if read_only => layout.notices.push(format!(
                    "{} is mounted read-only: podlet cannot use it for requests, limits and killing",
                    mount.display()
                )),
                (Some("cgroup2" | "cgroup"), _) if !is_seen(&mount) => hidden.push(mount.display().to_string()),
                (Some("cgroup2"), _) => unified = unified.or(Some(mount)),
                (Some("cgroup"), Some(options)) => {
                    legacy.push((mount, options.split(',').map(str::to_owned).collect()));
                }
                _ => {}
            }
        }
        if let [first, others @ ..] = hidden.as_slice() {
            let others = if others.is_empty() { String::new() } else { format!(" and of {} more", others.len()) };
            layout.notices.push(format!("what is mounted over them hides the cgroups of {first}{others}"));
        }
        if let Some(mount) = &unified {
            let controllers = controllers_of(mount);
            let has = |name: &str| controllers.split_whitespace().any(|controller| controller == name);
            layout.unified_limits = has("cpu") && has("memory");
            layout.hierarchies.push(Hierarchy { name: "unified", mount: mount.clone() });
        }
        let find =
            |name: &str| legacy.iter().find(|(_, has)| has.iter().any(|one| one == name)).map(|(mount, _)| mount);
        let mut wanted = vec!["cpu", "memory"];
        if unified.is_none() {
            wanted.push("freezer");
        }
        if unified.is_none() || !by_program {
            wanted.push("devices");
        }
        if processes {
            wanted.push("pids");
        }
        for name in wanted {
            match find(name) {
                // cpu and memory may be mounted together; once is enough.
                Some(mount) if layout.hierarchies.iter().any(|known| known.mount == *mount) => {}
                Some(mount) => layout.hierarchies.push(Hierarchy { name, mount: mount.clone() }),
                None if matches!(name, "cpu" | "memory") && !layout.unified_limits => layout.notices.push(format!(
                    "no cgroup controller \"{name}\" on this machine: requests and limits of {name} are without effect"
                )),
                None if name == "pids" && !layout.unified_limits => layout
                    .notices
                    .push("no cgroup controller \"pids\" on this machine: podPidsLimit is without effect".to_owned()),
                None => {}
            }
        }
        layout
    }

    /// Whether there is a cgroup v2 hierarchy with the controllers that limits need.
    pub fn is_unified(&self) -> bool {
        self.unified_limits
    }

    /// Whether anything is mounted at all.
    pub fn is_empty(&self) -> bool {
        self.hierarchies.is_empty()
    }

    /// In words: `v2`, `v1`, `hybrid (v1 controllers, v2 for killing)`.
    pub fn describe(&self) -> &'static str {
        let legacy = self.hierarchies.iter().any(|h| h.name != "unified");
        let unified = self.hierarchies.iter().any(|h| h.name == "unified");
        match (legacy, unified) {
            (false, true) => "v2",
            (true, false) => "v1",
            (true, true) => "hybrid (v1 controllers, v2 for killing)",
            (false, false) => "none",
        }
    }
}

/// The ways into a cgroup that do not stop the machine: a write to `cgroup.procs` waits for an RCU grace period (4 to 20 ms)
/// in which no process forks or ends.
#[derive(Debug)]
pub struct Entrance {
    /// The v2 directory, for CLONE_INTO_CGROUP: a process is made in it.
    pub unified: Option<OwnedFd>,
    /// `tasks` of each v1 controller, open for writing: a process with one thread that writes `0` goes in. Only that moves
    /// a single thread, which the kernel does without the lock.
    pub tasks: Vec<OwnedFd>,
}

/// The cgroups of one pod or of one container in it, in every hierarchy that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// (name of the hierarchy, directory).
    directories: Vec<(&'static str, PathBuf)>,
}

/// Whether a path leads to cgroups and not to something that is mounted over them: both stand in mountinfo.
fn is_seen(mount: &Path) -> bool {
    use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
    statfs(mount).is_ok_and(|found| [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&found.filesystem_type()))
}

fn make(directory: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match fs::create_dir_all(directory) {
            // Between its making and that of what is below, another pod's end may have removed podlet's root as empty.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 10 => tries += 1,
            done => return done,
        }
    }
}

/// Writes a kernel file in one write(2), as cgroupfs wants it; the file must exist.
fn put(path: &Path, value: &str) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(value.as_bytes())).map_err(named)
}

impl Cgroup {
    fn at(below: &str) -> Cgroup {
        let layout = Layout::of_machine();
        let directories = layout.hierarchies.iter().map(|h| (h.name, h.mount.join(ROOT).join(below))).collect();
        Cgroup { directories }
    }

    /// The pod's.
    pub fn of_pod(uid: &str) -> Cgroup {
        Cgroup::at(&format!("pod{uid}"))
    }

    /// A container's.
    pub fn of_container(uid: &str, container: &str) -> Cgroup {
        Cgroup::at(&format!("pod{uid}/{container}"))
    }

    /// That of pause.
    pub fn of_pause(uid: &str) -> Cgroup {
        Cgroup::of_container(uid, PAUSE)
    }

    /// That of a pod's keeper and supervisor, outside the pod's own.
    pub fn of_keeper(uid: &str) -> Cgroup {
        Cgroup::at(&format!("keeper{uid}"))
    }

    /// Names of the hierarchies; those of v1 in the order of [`Entrance::tasks`].
    pub fn hierarchies(&self) -> Vec<String> {
        self.directories.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    /// The directory in a hierarchy.
    pub fn directory(&self, hierarchy: &str) -> Option<&Path> {
        self.directories.iter().find(|(name, _)| *name == hierarchy).map(|(_, directory)| directory.as_path())
    }

    /// Whether it is there, in any hierarchy.
    pub fn exists(&self) -> bool {
        self.directories.iter().any(|(_, directory)| directory.exists())
    }

    /// Makes it, and on cgroup v2 hands the controllers down to it from the mount on.
    pub fn create(&self) -> io::Result<()> {
        for (name, directory) in &self.directories {
            make(directory)?;
            if *name == "unified" && Layout::of_machine().unified_limits {
                let mut levels: Vec<&Path> = directory.ancestors().skip(1).take(2).collect();
                levels.reverse();
                levels.into_iter().for_each(hand_down);
            }
        }
        Ok(())
    }

    /// Makes it anew within the pod's: counters from zero, nothing charged. What an earlier instance left is killed first.
    pub fn create_fresh(&self) -> io::Result<()> {
        for (name, directory) in &self.directories {
            if let ("unified", true, Some(pod)) = (*name, Layout::of_machine().unified_limits, directory.parent()) {
                hand_down(pod);
            }
            match fs::create_dir(directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if fs::remove_dir(directory).is_err() {
                        self.kill()?;
                        remove_directory(directory)?;
                    }
                    fs::create_dir(directory)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(directory)?,
                done => done?,
            }
        }
        Ok(())
    }

    /// Writes requests and limits, as far as the controllers were handed down ([`Cgroup::without_effect`]).
    pub fn limit(&self, limits: &Limits) -> io::Result<()> {
        let unified = Layout::of_machine().unified_limits;
        for (name, directory) in &self.directories {
            match *name {
                "cpu" => {
                    put(&directory.join("cpu.shares"), &limits.cpu_shares.to_string())?;
                    if let Some(quota) = limits.cpu_quota {
                        put(&directory.join("cpu.cfs_period_us"), &CPU_PERIOD.to_string())?;
                        put(&directory.join("cpu.cfs_quota_us"), &quota.to_string())?;
                    }
                }
                "memory" => {
                    if let Some(bytes) = limits.memory {
                        put(&directory.join("memory.limit_in_bytes"), &bytes.to_string())?;
                        // No swap beside it, where the kernel accounts for swap at all.
                        match put(&directory.join("memory.memsw.limit_in_bytes"), &bytes.to_string()) {
                            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                            _ => {}
                        }
                    }
                }
                "pids" => {
                    if let Some(processes) = limits.processes {
                        put(&directory.join("pids.max"), &processes.to_string())?;
                    }
                }
                "unified" if unified => {
                    if let Some(processes) = limits.processes {
                        put_if_there(&directory.join("pids.max"), &processes.to_string())?;
                    }
                    put_if_there(&directory.join("cpu.weight"), &limits.cpu_weight().to_string())?;
                    if let Some(quota) = limits.cpu_quota {
                        put_if_there(&directory.join("cpu.max"), &format!("{quota} {CPU_PERIOD}"))?;
                    }
                    if let Some(bytes) = limits.memory {
                        put_if_there(&directory.join("memory.max"), &bytes.to_string())?;
                        // Kernels without swap accounting have no such file.
                        put_if_there(&directory.join("memory.swap.max"), "0")?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The memory limit in force, in bytes; none where there is none or nothing can limit it.
    pub fn memory_limit(&self) -> Option<u64> {
        // A cgroup of v1 without a limit has the largest number of whole pages.
        const UNLIMITED: u64 = 1 << 62;
        self.read_number("memory", "memory.limit_in_bytes", "memory.max").filter(|bytes| *bytes < UNLIMITED)
    }

    /// The memory that is charged to it now, in bytes.
    pub fn memory_usage(&self) -> Option<u64> {
        self.read_number("memory", "memory.usage_in_bytes", "memory.current")
    }

    /// The CPU quota in force, in microseconds a period; none without one.
    pub fn cpu_quota(&self) -> Option<u64> {
        self.read_number("cpu", "cpu.cfs_quota_us", "cpu.max")
    }

    /// The first number of a file of a controller, by its names in v1 and v2; none for `max` and `-1`.
    fn read_number(&self, controller: &str, legacy: &str, unified: &str) -> Option<u64> {
        let path = match (self.directory(controller), self.directory("unified")) {
            (Some(directory), _) => directory.join(legacy),
            (None, Some(directory)) => directory.join(unified),
            (None, None) => return None,
        };
        fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
    }

    /// Changes the memory limit of a cgroup in which processes run. On v1 the limit with swap may never be the smaller one, so
    /// which is written first depends on the direction; a limit below what cannot be reclaimed is refused there (EBUSY).
    pub fn change_memory(&self, bytes: u64) -> io::Result<()> {
        if let Some(directory) = self.directory("memory") {
            let value = bytes.to_string();
            let limit = || put(&directory.join("memory.limit_in_bytes"), &value);
            let with_swap = || match put(&directory.join("memory.memsw.limit_in_bytes"), &value) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
            if self.memory_limit().is_some_and(|now| now < bytes) {
                with_swap()?;
                return limit();
            }
            limit()?;
            return with_swap();
        }
        match self.directory("unified").filter(|_| Layout::of_machine().unified_limits) {
            Some(directory) => {
                put_if_there(&directory.join("memory.max"), &bytes.to_string())?;
                put_if_there(&directory.join("memory.swap.max"), "0")
            }
            None => Ok(()),
        }
    }

    /// Changes what it may have of the processors.
    pub fn change_cpu(&self, limits: &Limits) -> io::Result<()> {
        self.limit(&Limits { memory: None, processes: None, ..*limits })
    }

    /// On cgroup v2, what of requests and limits has no effect in it, a line each; it must have been made.
    pub fn without_effect(&self) -> Vec<String> {
        let Some(directory) = self.directory("unified").filter(|_| Layout::of_machine().unified_limits) else {
            return Vec::new();
        };
        let mut wanted = vec![("cpu", "cpu.weight"), ("memory", "memory.max")];
        wanted.extend(LIMITS_PROCESSES.load(Ordering::Relaxed).then_some(("pids", "pids.max")));
        let absent = wanted.into_iter().filter(|(_, file)| !directory.join(file).exists());
        let text = |(name, _): (&str, &str)| {
            format!(
                "the cgroup controller \"{name}\" cannot be handed down to {}: requests and limits of {name} are without \
                 effect (a cgroup above it has processes of its own, or its cgroup.subtree_control may not be written)",
                directory.display()
            )
        };
        absent.map(text).collect()
    }

    /// On cgroup v2: when memory runs out, all processes of the container go together, as under a kubelet.
    pub fn kill_together(&self) {
        if let (true, Some(directory)) = (Layout::of_machine().unified_limits, self.directory("unified")) {
            let _ = put(&directory.join("memory.oom.group"), "1");
        }
    }

    /// What a process needs to get in.
    pub fn entrance(&self) -> io::Result<Entrance> {
        let mut entrance = Entrance { unified: None, tasks: Vec::new() };
        for (name, directory) in &self.directories {
            if *name == "unified" {
                let flags = libc::O_PATH | libc::O_DIRECTORY;
                let opened = fs::OpenOptions::new().read(true).custom_flags(flags).open(directory)?;
                entrance.unified = Some(opened.into());
            } else {
                entrance.tasks.push(fs::OpenOptions::new().write(true).open(directory.join("tasks"))?.into());
            }
        }
        Ok(entrance)
    }

    /// Puts a process in.
    pub fn add(&self, pid: i32) -> io::Result<()> {
        self.directories.iter().try_for_each(|(_, directory)| put(&directory.join("cgroup.procs"), &pid.to_string()))
    }

    /// SIGKILLs everything in it and below, by `cgroup.kill` or the freezer loop, until it is empty.
    pub fn kill(&self) -> io::Result<()> {
        self.kill_by(self.kill_file().as_deref())
    }

    /// The same once, without waiting; answers what is there still.
    pub fn kill_once(&self) -> Vec<i32> {
        self.kill_once_by(self.kill_file().as_deref())
    }

    fn kill_file(&self) -> Option<PathBuf> {
        self.directory("unified").map(|directory| directory.join("cgroup.kill"))
    }

    fn kill_by(&self, by_file: Option<&Path>) -> io::Result<()> {
        const PATIENCE: Duration = Duration::from_secs(10);
        /// With those that die when the kernel lets go of them.
        const PATIENCE_WITH_STUCK: Duration = Duration::from_secs(1);
        let begun = Instant::now();
        let mut wait = Duration::from_micros(200);
        loop {
            let left = self.kill_once_by(by_file);
            if left.is_empty() {
                return Ok(());
            }
            let stuck = left.iter().all(|pid| process::is_uninterruptible(*pid));
            if begun.elapsed() > if stuck { PATIENCE_WITH_STUCK } else { PATIENCE } {
                let text = if stuck {
                    left.into_iter().map(process::describe_uninterruptible).collect::<Vec<_>>().join(", ")
                } else {
                    format!("processes {left:?} did not end after SIGKILL")
                };
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(Duration::from_millis(20));
        }
    }

    fn kill_once_by(&self, by_file: Option<&Path>) -> Vec<i32> {
        if by_file.is_none_or(|file| put(file, "1").is_err()) {
            self.kill_one_by_one();
        }
        self.processes()
    }

    fn kill_one_by_one(&self) {
        let freezer = self.directory("freezer").map(|directory| directory.join("freezer.state"));
        if let Some(state) = &freezer {
            let _ = put(state, "FROZEN");
        }
        for pid in self.processes() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        if let Some(state) = &freezer {
            // A frozen process does not die: the signal is looked at when it thaws.
            let _ = put(state, "THAWED");
        }
    }

    /// How many processes the memory controller has killed in it.
    pub fn oom_kills(&self) -> u64 {
        let legacy = self.directory("memory").map(|directory| directory.join("memory.oom_control"));
        let unified = self.directory("unified").map(|directory| directory.join("memory.events"));
        [legacy, unified].into_iter().flatten().filter_map(|path| oom_kills_in(&fs::read_to_string(path).ok()?)).sum()
    }

    /// The processes in it and below.
    pub fn processes(&self) -> Vec<i32> {
        let mut found = Vec::new();
        let preferred = ["unified", "freezer", "memory", "cpu"].into_iter().find_map(|name| self.directory(name));
        if let Some(directory) = preferred {
            processes_below(directory, 0, &mut found);
        }
        found
    }

    /// Removes it and what is below; it must be empty. Gone already is no error.
    pub fn remove(&self) -> io::Result<()> {
        self.directories.iter().try_for_each(|(_, directory)| remove_directory(directory))
    }

    /// Takes what is in it (not below) out, to the root of the hierarchy, removes it, and podlet's root with it when nothing
    /// else is in that. For the keeper's cgroup at the pod's end: nobody can remove the cgroup that he is in, and what is
    /// taken out ends within milliseconds. Gone already is no error.
    ///
    /// In a cgroup namespace the root that is seen may be one that on v2 takes no processes (EBUSY, cgroups(7)): then it
    /// stays, empty, until `delete` comes by.
    pub fn vacate(&self) -> io::Result<()> {
        let mut done = Ok(());
        for (hierarchy, (_, directory)) in Layout::of_machine().hierarchies.iter().zip(&self.directories) {
            let vacated = vacate_directory(directory, &hierarchy.mount);
            // Refused where there are cgroups of other pods.
            let _ = fs::remove_dir(hierarchy.mount.join(ROOT));
            done = done.and(vacated);
        }
        done
    }
}

fn vacate_directory(directory: &Path, root: &Path) -> io::Result<()> {
    // More than once: the keeper may just be starting a supervisor.
    for _ in 0..10 {
        let processes = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        if processes.is_empty() {
            break;
        }
        for pid in processes.lines() {
            let to = root.join("cgroup.procs");
            match fs::OpenOptions::new().write(true).open(&to).and_then(|mut file| file.write_all(pid.as_bytes())) {
                // It has ended meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", to.display()))),
                Ok(()) => {}
            }
        }
    }
    remove_directory(directory)
}

fn oom_kills_in(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// [`put`], unless there is no such file: the controller that has it was not handed down.
fn put_if_there(path: &Path, value: &str) -> io::Result<()> {
    match put(path, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Switches controllers on for the children of a cgroup. One with processes of its own refuses (EBUSY), but for the real
/// root; what is below goes without then ([`Cgroup::without_effect`]).
fn hand_down(level: &Path) {
    let control = level.join("cgroup.subtree_control");
    if put(&control, "+cpu +memory +pids").is_err() {
        // The kernel takes all or none, and this machine may lack one.
        for controller in ["+cpu", "+memory", "+pids"] {
            let _ = put(&control, controller);
        }
    }
}

/// Deeper than a pod's cgroups ever are; a container with a cgroup namespace of its own may nest.
const DEEPEST: usize = 16;

fn processes_below(directory: &Path, depth: usize, found: &mut Vec<i32>) {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    found.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    if depth < DEEPEST {
        for child in subdirectories(directory) {
            processes_below(&child, depth + 1, found);
        }
    }
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.flatten().filter(is_directory).map(|entry| entry.path()).collect()
}

fn remove_directory(directory: &Path) -> io::Result<()> {
    for child in subdirectories(directory) {
        remove_directory(&child)?;
    }
    // The last process may have been reaped an instant ago: the kernel says EBUSY until it has let go.
    let mut tries = 0;
    loop {
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && tries < 50 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", directory.display()))),
            Ok(()) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    fn names(layout: &Layout) -> Vec<&str> {
        layout.hierarchies.iter().map(|hierarchy| hierarchy.name).collect()
    }

    #[test]
    fn layouts() {
        let hybrid = Layout::from_mounts(HYBRID, true, false, |_| true, |_| "hugetlb".into());
        assert_eq!(names(&hybrid), ["unified", "cpu", "memory"]);
        assert_eq!((hybrid.describe(), hybrid.is_unified()), ("hybrid (v1 controllers, v2 for killing)", false));
        let legacy: String =
            HYBRID.lines().filter(|line| !line.contains("cgroup2")).map(|l| format!("{l}\n")).collect();
        assert_eq!(
            names(&Layout::from_mounts(&legacy, true, false, |_| true, |_| String::new())),
            ["cpu", "memory", "freezer", "devices"]
        );
        let modern = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let modern = Layout::from_mounts(modern, true, false, |_| true, |_| "cpuset cpu io memory hugetlb pids".into());
        assert_eq!((names(&modern), modern.is_unified(), modern.describe()), (vec!["unified"], true, "v2"));
        let locked = "30 23 0:26 / /sys/fs/cgroup ro,nosuid shared:4 - cgroup2 cgroup rw\n";
        let locked = Layout::from_mounts(locked, true, false, |_| true, |_| "cpu memory".into());
        assert!(locked.is_empty() && locked.notices.len() == 3, "{:?}", locked.notices);
        let none = Layout::from_mounts("", true, false, |_| true, |_| String::new());
        assert!(none.is_empty() && none.notices.len() == 2);
        let hidden = Layout::from_mounts(HYBRID, true, false, |path| !path.ends_with("memory"), |_| String::new());
        assert_eq!(names(&hidden), ["unified", "cpu"]);
        assert!(
            hidden.notices.iter().any(|notice| notice.contains("hides the cgroups of /sys/fs/cgroup/memory")),
            "{:?}",
            hidden.notices
        );
    }

    #[test]
    fn a_controller_that_is_not_handed_down_is_passed_over() {
        let directory = std::env::temp_dir().join(format!("podlet-cgroup-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let file = directory.join("memory.max");
        assert!(put(&file, "1").is_err());
        put_if_there(&file, "1").unwrap();
        fs::write(&file, "0").unwrap();
        put_if_there(&file, "1").unwrap();
        let written = fs::read_to_string(&file);
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(written.unwrap(), "1");
    }

    /// Where there is no `cgroup.kill`: with the freezer where one is mounted, else by signals alone; against a shell that
    /// makes processes all the time.
    #[test]
    fn killing_without_the_kernels_file() {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let legacy: String = mounts.lines().filter(|l| !l.contains(" - cgroup2 ")).map(|l| format!("{l}\n")).collect();
        let layout = Layout::from_mounts(&legacy, true, false, |_| true, |_| String::new());
        let frozen = layout.hierarchies.iter().find(|h| h.name == "freezer");
        let hierarchy = frozen.or(Layout::of_machine().hierarchies.first()).expect("a cgroup hierarchy is mounted");
        let directory = hierarchy.mount.join(ROOT).join(format!("test-kill-{}", std::process::id()));
        let cgroup = Cgroup { directories: vec![(hierarchy.name, directory)] };
        cgroup.create().unwrap();
        let script = "read go; while :; do sleep 100 & sleep 0.01; done";
        let mut command = std::process::Command::new("/bin/busybox");
        command.args(["sh", "-c", script]).stdin(std::process::Stdio::piped());
        let mut shell = command.spawn().unwrap();
        cgroup.add(i32::try_from(shell.id()).unwrap()).unwrap();
        shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
        while cgroup.processes().len() < 10 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let waiter = std::thread::spawn(move || shell.wait().unwrap());
        cgroup.kill_by(None).unwrap();
        assert!(!waiter.join().unwrap().success());
        assert_eq!(cgroup.processes(), Vec::<i32>::new());
        cgroup.remove().unwrap();
    }

    #[test]
    fn counters() {
        assert_eq!(oom_kills_in("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), Some(3));
        assert_eq!(oom_kills_in("low 0\nhigh 0\nmax 4\noom 1\noom_kill 2\noom_group_kill 1\n"), Some(2));
        assert_eq!(oom_kills_in(""), None);
    }
}
