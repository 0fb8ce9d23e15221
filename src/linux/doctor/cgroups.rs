//! cgroups: which hierarchies there are, whether podlet may make directories in them, and which controllers lack.

use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::super::cgroup::{Cgroup, Layout};
use super::Finding;

/// Looks.
pub fn examine() -> Vec<Finding> {
    let layout = Layout::of_machine();
    if layout.is_empty() {
        return vec![Finding::missing(
            "cgroups",
            layout.notices.first().map_or("none are mounted", String::as_str),
            "processes of a pod cannot be held together, limited or ended",
            "mount -t cgroup2 cgroup2 /sys/fs/cgroup; in a container, start that with --privileged --cgroupns=private",
        )];
    }
    let mut findings = vec![Finding::good("cgroups", layout.describe())];
    // Nothing is made: the nearest directory that exists says whether something could be.
    let pod = Cgroup::of_pod("doctor");
    for hierarchy in pod.hierarchies() {
        let Some(found) = pod.directory(&hierarchy).and_then(nearest) else { continue };
        if let Err(errno) = access(found, AccessFlags::W_OK) {
            findings.push(Finding::missing(
                &format!("cgroup {hierarchy}"),
                format!("{}: {}", found.display(), errno.desc()),
                "no pod can be started: each gets directories of its own there",
                "run podlet as root; in a container give it a writable /sys/fs/cgroup (--privileged, --cgroupns=private)",
            ));
        }
    }
    findings.extend(layout.notices.iter().map(|notice| {
        Finding::lesser(
            "cgroup controllers",
            "not all are there",
            notice,
            "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1), or mount the controller",
        )
    }));
    findings
}

fn nearest(path: &Path) -> Option<&Path> {
    path.ancestors().find(|above| above.exists())
}
