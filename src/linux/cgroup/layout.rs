//! Which cgroup hierarchies of this machine serve podlet, as its mounts show them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::linux::device::program::by_program;

/// One hierarchy that podlet uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// `unified`, or the controller of v1 that it is used for: `memory`.
    pub name: &'static str,
    /// Where it is mounted.
    pub mount: PathBuf,
}

/// The hierarchies of this machine that serve podlet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    pub(super) hierarchies: Vec<Hierarchy>,
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
            Layout::from_mounts(&mounts, by_program(), Layout::limits_processes(), is_seen, |mount| {
                fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default()
            })
        })
    }

    /// The layout that a mountinfo shows, proc_pid_mountinfo(5), of what `is_seen` at its place.
    pub(super) fn from_mounts(
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

    /// Whether pods have a cgroup of the controller pids.
    pub(super) fn limits_processes() -> bool {
        LIMITS_PROCESSES.load(Ordering::Relaxed)
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

/// Whether a path leads to cgroups and not to something that is mounted over them: both stand in mountinfo.
fn is_seen(mount: &Path) -> bool {
    use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
    statfs(mount).is_ok_and(|found| [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC].contains(&found.filesystem_type()))
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
}
