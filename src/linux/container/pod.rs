//! What all containers of a pod share on the machine: its cgroups, the files of /etc, /dev/shm, its volumes. Made before the
//! sandbox, found in place by a supervisor that takes over, taken away at the end.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::mount::{MntFlags, umount2};

use super::super::cgroup::{Cgroup, Layout};
use super::super::machine::Machine;
use super::super::{device, rootfs, tmpfs};
use super::{PodContext, StartFailure, create, failure};
use crate::paths::way_out;
use crate::plan::resources::{self, Limits};
use crate::pod::input::StartStage;
use crate::{network, volume};

const RESOLV_CONF: &str = "resolv.conf";

/// Why the pod's surroundings could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodFailure {
    /// Volumes: a text each, for the event FailedMount.
    Volumes(Vec<String>),
    /// Anything else.
    Other(StartFailure),
}

impl From<StartFailure> for PodFailure {
    fn from(failure: StartFailure) -> PodFailure {
        PodFailure::Other(failure)
    }
}

/// All that the pod's containers share: [`prepare_surroundings`] and [`prepare_files`].
pub fn prepare_pod(context: &PodContext<'_>) -> Result<Cgroup, PodFailure> {
    let cgroup = prepare_surroundings(context)?;
    prepare_files(context)?;
    Ok(cgroup)
}

/// Makes the pod's cgroups with its limits, its directory and volumes: what must be there before the sandbox. Called once a
/// pod, and again (finding all in place) by a supervisor that takes over.
pub fn prepare_surroundings(context: &PodContext<'_>) -> Result<Cgroup, PodFailure> {
    let uid = context.uid();
    let cgroup = Cgroup::of_pod(uid);
    cgroup.create().map_err(create("the pod's cgroup cannot be made"))?;
    let limits = Limits { processes: context.pids_limit, ..resources::of_pod(context.pod) };
    cgroup.limit(&limits).map_err(create("the pod's cgroup refuses its limits"))?;
    device::restrict(context.pod, &cgroup).map_err(create("the pod's cgroup refuses its device rules"))?;
    make_directory(&context.root_at(), 0o700)?;
    prepare_volumes(context, volume::Which::All).map_err(PodFailure::Volumes)?;
    Ok(cgroup)
}

/// Makes /dev/shm and the files of /etc, unless they are there; before the first container, who needs them.
pub fn prepare_files(context: &PodContext<'_>) -> Result<(), StartFailure> {
    let files = context.files();
    // Written last of all.
    if files.join(RESOLV_CONF).exists() {
        return Ok(());
    }
    if !context.spec().host_ipc() {
        let shm = context.shm();
        make_directory(&shm, 0o777)?;
        tmpfs::mount(&shm, "mode=1777,size=67108864").map_err(create("the pod's /dev/shm cannot be mounted"))?;
    }
    // Containers write to these files: a small file system of their own bounds what they can fill (CVE-2020-8557).
    make_directory(&files, 0o755)?;
    tmpfs::mount(&files, "mode=0755,size=1m").map_err(create("the pod's /etc files cannot be mounted"))?;
    write_files(context)
}

/// The files of /etc as they are to be now: another sandbox has the machine's name servers of its own time.
pub fn renew_files(context: &PodContext<'_>) -> Result<(), StartFailure> {
    prepare_files(context)?;
    write_files(context)
}

fn make_directory(path: &Path, mode: u32) -> Result<(), StartFailure> {
    rootfs::make_directory(path, mode).map_err(|error| {
        let text = format!("could not make {}: {error}{}", path.display(), way_out(&error));
        failure(StartStage::Create, text)
    })
}

/// Makes the pod's volumes, or brings those that show ConfigMaps and Secrets up to date. The errors are for FailedMount.
pub fn prepare_volumes(context: &PodContext<'_>, which: volume::Which<'_>) -> Result<(), Vec<String>> {
    volume::prepare(context.paths, context.pod, context.objects, Machine::get().memory, which)
}

/// A file of podlet's own that containers see; rewritten in place, so that those which have it mounted see the change.
pub(super) fn write_file(path: &std::path::Path, text: &str, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

fn write_files(context: &PodContext<'_>) -> Result<(), StartFailure> {
    let names = context.names().map_err(|message| failure(StartStage::Config, message))?;
    let files = context.files();
    let failed = create("the pod's /etc files cannot be written");
    write_file(&files.join("hostname"), &format!("{}\n", names.kernel), 0o644).map_err(&failed)?;
    let machine = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let behind = fs::read_to_string(network::BEHIND_THE_STUB).ok();
    let resolver = network::resolver(context.pod, &machine, behind.as_deref());
    write_file(&files.join(RESOLV_CONF), &resolver.text, 0o644).map_err(&failed)
}

/// Written at each container start, as a kubelet does: what a container changed in it is lost.
pub(super) fn write_hosts(context: &PodContext<'_>, names: &network::Names) -> io::Result<()> {
    let machine = if context.spec().host_network() {
        fs::read_to_string("/etc/hosts").unwrap_or_default()
    } else {
        String::new()
    };
    let status = context.pod.status.as_ref();
    let addresses: Vec<String> =
        status.iter().flat_map(|status| status.pod_ips.iter().flatten()).map(|ip| ip.ip.clone()).collect();
    write_file(&context.files().join("hosts"), &network::hosts(context.pod, names, &addresses, &machine), 0o644)
}

/// What a user should know of the pod's network, name resolution and cgroups, a line each; asked after [`prepare_pod`].
pub fn notices(context: &PodContext<'_>) -> Vec<String> {
    let machine = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let behind = fs::read_to_string(network::BEHIND_THE_STUB).ok();
    let mut notices = network::resolver(context.pod, &machine, behind.as_deref()).notices;
    if !context.spec().host_network() {
        notices.push(
            "a pod without hostNetwork has loopback only: it reaches nothing outside and nothing reaches it yet; \
             hostNetwork: true gives it the machine's network"
                .to_owned(),
        );
    }
    notices.extend(Layout::of_machine().notices.iter().cloned());
    notices.extend(Cgroup::of_pod(context.uid()).without_effect());
    notices
}

/// Takes away all that `prepare_pod` made and what instances left; called when nothing of the pod runs.
pub fn tear_down(context: &PodContext<'_>) -> io::Result<()> {
    let state = context.paths.pod_state(context.uid());
    let mut mounts = vec![context.files(), context.shm()];
    for volume in context.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        if volume.host_path.is_none()
            && let Ok(source) = volume::source(context.paths, context.uid(), volume)
        {
            mounts.push(source.path);
        }
    }
    for mount in mounts.iter().filter(|path| tmpfs::is_mount_point(path)) {
        umount2(mount, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?;
    }
    if let Ok(containers) = fs::read_dir(state.join("containers")) {
        for instance in
            containers.flatten().flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten())
        {
            rootfs::remove(&instance.path())?;
        }
    }
    for name in ["containers", "volumes", "etc", "shm", "root"] {
        match fs::remove_dir_all(state.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Cgroup::of_pod(context.uid()).remove()
}
