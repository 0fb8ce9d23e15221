//! Which devices a container may open. CAP_MKNOD, which every container has by default, would else give it the machine's
//! disks. On a cgroup v2 hierarchy (a hybrid's too) it is an eBPF program of ten rules, on v1 the devices controller.
//!
//! The rules sit on the pod's cgroup, where every container inherits them; only when one of its containers is privileged
//! they sit on each other container's own.

pub(super) mod program;

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use k8s_openapi::api::core::v1::{Container, Pod};

use super::cgroup::Cgroup;
use super::syscall::bpf;
use crate::plan::security;
pub use program::by_program;
use program::{ALLOWED, loaded};

fn attach(directory: &Path) -> io::Result<()> {
    const BPF_PROG_ATTACH: u32 = 8;
    const BPF_CGROUP_DEVICE: u32 = 6;
    const BPF_F_ALLOW_MULTI: u32 = 2;
    let Ok(program) = loaded() else { return Ok(()) };
    let directory = fs::File::open(directory)?;
    let number = |descriptor: i32| descriptor.cast_unsigned().to_ne_bytes();
    let mut attributes = Vec::with_capacity(16);
    attributes.extend_from_slice(&number(directory.as_raw_fd()));
    attributes.extend_from_slice(&number(program.as_fd().as_raw_fd()));
    attributes.extend_from_slice(&BPF_CGROUP_DEVICE.to_ne_bytes());
    attributes.extend_from_slice(&BPF_F_ALLOW_MULTI.to_ne_bytes());
    match bpf(BPF_PROG_ATTACH, &mut attributes) {
        // The same program is there already: a supervisor that takes over.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        done => done.map(drop),
    }
}

fn write_rules(directory: &Path) -> io::Result<()> {
    let put = |file: &str, rule: &str| -> io::Result<()> {
        fs::OpenOptions::new().write(true).open(directory.join(file))?.write_all(rule.as_bytes())
    };
    put("devices.deny", "a")?;
    put("devices.allow", "c *:* m")?;
    put("devices.allow", "b *:* m")?;
    for (major, minor) in ALLOWED {
        let minor = minor.map_or_else(|| "*".to_owned(), |minor| minor.to_string());
        put("devices.allow", &format!("c {major}:{minor} rwm"))?;
    }
    Ok(())
}

fn apply(cgroup: &Cgroup) -> io::Result<()> {
    if let (true, Some(directory)) = (by_program(), cgroup.directory("unified")) {
        return attach(directory);
    }
    cgroup.directory("devices").map_or(Ok(()), write_rules)
}

fn any_privileged(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|s| s.containers.iter().chain(s.init_containers.iter().flatten()));
    containers.into_iter().any(security::privileged)
}

/// The rules of a pod none of whose containers is privileged.
pub fn restrict(pod: &Pod, cgroup: &Cgroup) -> io::Result<()> {
    if any_privileged(pod) { Ok(()) } else { apply(cgroup) }
}

/// The rules of a container that is not privileged, in a pod with one that is.
pub fn restrict_container(pod: &Pod, container: &Container, cgroup: &Cgroup) -> io::Result<()> {
    if any_privileged(pod) && !security::privileged(container) { apply(cgroup) } else { Ok(()) }
}
