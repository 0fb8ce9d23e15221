//! From a container of a Pod to what the keeper is asked for: finds out all that the plan needs, compiles the plan, makes
//! the descriptors that it uses, lowers it to the stage's table. The supervisor calls it; it never decides about lives.
//!
//! | file | what |
//! |---|---|
//! | `pod` | what all containers of a pod share: cgroup, /etc files, /dev/shm, volumes; and its removal |
//! | `sandbox` | the pause process |
//! | `instance` | one container |
//! | `session` | a further process in a running container |
//! | `resize` | cpu and memory of what runs |
//! | `preview` | plans alone, nothing made |
//! | `inputs` | what a plan needs to know: user, environment, capabilities, program |
//! | `mounts` | what is mounted into a container |
//! | `image_volumes` | the VOLUMEs of an image |

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::call::{self, EncodeError};
use super::cgroup::{Cgroup, Entrance};
use super::lower::{LowerError, clone_flag};
use super::machine::Machine;
use super::program;
use crate::image::Image;
use crate::network;
use crate::paths::Paths;
use crate::plan::container::PidNamespace;
pub use crate::plan::environment::Objects;
use crate::plan::identity::Identity;
use crate::plan::{FIRST_DESCRIPTOR, Namespace, Plan, Secrets};
use crate::pod::input::{LinuxUser, StartStage};

mod helper;
mod image_volumes;
mod inputs;
mod instance;
mod mounts;
mod pod;
mod preview;
mod resize;
mod sandbox;
mod session;

pub use super::rootfs::RootFs;
pub use helper::prepare_helper;
pub use instance::{instances, layer_left, prepare_container, prepare_instance, prepare_root, remove_instance};
pub use pod::{
    PodFailure, notices, prepare_files, prepare_pod, prepare_surroundings, prepare_volumes, renew_files, tear_down,
};
pub use preview::{explain_failure_of, preview};
pub use resize::resize;
pub use sandbox::prepare_sandbox;
pub use session::{Command, Session, prepare_exec, prepare_zygote};

/// What the filter is for a container whose manifest names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum SeccompDefault {
    /// As a kubelet with `seccompDefault: true`.
    #[default]
    RuntimeDefault,
    /// As a plain kubelet.
    Unconfined,
}

impl std::str::FromStr for SeccompDefault {
    type Err = String;

    fn from_str(word: &str) -> Result<SeccompDefault, String> {
        match word {
            "RuntimeDefault" => Ok(SeccompDefault::RuntimeDefault),
            "Unconfined" => Ok(SeccompDefault::Unconfined),
            _ => Err("expected RuntimeDefault or Unconfined".to_owned()),
        }
    }
}

/// What is the same for all processes of one pod.
pub struct PodContext<'a> {
    /// Defaulted, with uid.
    pub pod: &'a Pod,
    /// Roots on disk.
    pub paths: &'a Paths,
    /// For a silent manifest.
    pub seccomp_default: SeccompDefault,
    /// ConfigMaps and Secrets.
    pub objects: &'a dyn Objects,
    /// The stages record the result and times of each call: `apply --trace`.
    pub trace: bool,
    /// The most processes and threads of the pod (`podPidsLimit`).
    pub pids_limit: Option<u64>,
    /// Nothing is made of the image's VOLUMEs (`podlet.images.ignoreVolumes`).
    pub ignore_image_volumes: bool,
}

/// What becomes of a container's stdin, stdout and stderr.
#[derive(Clone, Copy)]
pub struct Stdio<'a> {
    /// In this order; of a container with a terminal three times its slave.
    pub ends: [BorrowedFd<'a>; 3],
    /// The devpts that the terminal is of: a detached mount.
    pub terminals: Option<BorrowedFd<'a>>,
}

impl<'a> From<[BorrowedFd<'a>; 3]> for Stdio<'a> {
    /// Without a terminal.
    fn from(ends: [BorrowedFd<'a>; 3]) -> Stdio<'a> {
        Stdio { ends, terminals: None }
    }
}

/// A process that is ready to be asked for.
#[derive(Debug)]
pub struct Prepared {
    /// The steps, for `plan`, `--trace` and messages.
    pub plan: Plan,
    /// The stage's table, lowered from the plan. The stage writes results into it.
    pub table: OwnedFd,
    /// Further descriptors and the numbers that the table expects them at.
    pub descriptors: Vec<(OwnedFd, u32)>,
    /// The number at which the table of a container's start expects a pidfd of pause, given by [`Prepared::join`].
    sandbox_at: Option<u32>,
    /// The same for the first process of the container that it looks at.
    target_at: Option<u32>,
    /// For [`super::keeper::Spawn`].
    pub clone_flags: u64,
    /// For [`super::keeper::Spawn`].
    pub cgroup: Option<OwnedFd>,
    /// For [`super::keeper::Spawn`].
    pub second: bool,
    /// As whom it runs.
    pub user: LinuxUser,
    /// The environment of a container that is made of what may change: in memory, for a process that is started in it later.
    pub environment: Option<OwnedFd>,
    /// What a user should know, a line each; empty as a rule.
    pub notices: Vec<String>,
}

impl Prepared {
    /// Gives it the container whose PID namespace it is to join: a pidfd of its first process.
    pub fn join_target(&mut self, first: BorrowedFd<'_>) -> io::Result<()> {
        if let Some(number) = self.target_at.take() {
            self.descriptors.push((first.try_clone_to_owned()?, number));
        }
        Ok(())
    }

    /// Gives it the sandbox whose namespaces it is to join: a pidfd of pause.
    pub fn join(&mut self, sandbox: BorrowedFd<'_>) -> io::Result<()> {
        if let Some(number) = self.sandbox_at.take() {
            self.descriptors.push((sandbox.try_clone_to_owned()?, number));
        }
        Ok(())
    }
}

/// Why nothing can be started, at which stage, in the kubelet's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StartFailure {
    /// Decides the waiting reason.
    pub stage: StartStage,
    /// For the user.
    pub message: String,
}

/// A failure at a stage.
fn failure(stage: StartStage, message: impl Into<String>) -> StartFailure {
    StartFailure { stage, message: message.into() }
}

/// A failure of podlet's own work, named by what it was about.
fn create(what: &str) -> impl Fn(io::Error) -> StartFailure + '_ {
    move |error| failure(StartStage::Create, format!("{what}: {error}"))
}

impl From<LowerError> for StartFailure {
    fn from(error: LowerError) -> StartFailure {
        failure(StartStage::Create, error.to_string())
    }
}

impl From<EncodeError> for StartFailure {
    fn from(error: EncodeError) -> StartFailure {
        failure(StartStage::Create, error.to_string())
    }
}

impl PodContext<'_> {
    fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    fn spec(&self) -> PodSpecView<'_> {
        PodSpecView(self.pod.spec.as_ref())
    }

    fn names(&self) -> Result<network::Names, String> {
        network::names(self.pod, &Machine::get().hostname)
    }

    /// The files that containers of the pod share: hosts, hostname, resolv.conf, termination logs.
    fn files(&self) -> PathBuf {
        self.paths.pod_state(self.uid()).join("etc")
    }

    fn shm(&self) -> PathBuf {
        self.paths.pod_state(self.uid()).join("shm")
    }

    fn root_at(&self) -> PathBuf {
        self.paths.sandbox_root(self.uid())
    }

    /// The file behind a container's `terminationMessagePath`.
    pub fn termination_log(&self, container: &str, attempt: u32) -> PathBuf {
        self.files().join(format!("{container}.{attempt}.termination-log"))
    }
}

/// Short questions to a spec that may be absent.
struct PodSpecView<'a>(Option<&'a PodSpec>);

impl<'a> PodSpecView<'a> {
    fn host_network(&self) -> bool {
        self.0.and_then(|spec| spec.host_network) == Some(true)
    }

    fn host_ipc(&self) -> bool {
        self.0.and_then(|spec| spec.host_ipc) == Some(true)
    }

    fn pid(&self) -> PidNamespace {
        if self.0.and_then(|spec| spec.host_pid) == Some(true) {
            PidNamespace::Host
        } else if self.0.and_then(|spec| spec.share_process_namespace) == Some(true) {
            PidNamespace::Sandbox
        } else {
            PidNamespace::Own
        }
    }

    /// The PID namespace of this container; an ephemeral one may look at another's.
    fn pid_of(&self, container: &str) -> PidNamespace {
        let target = self.target_of(container);
        if self.pid() == PidNamespace::Own && target.is_some() { PidNamespace::Target } else { self.pid() }
    }

    /// `targetContainerName` of the ephemeral container of that name.
    fn target_of(&self, container: &str) -> Option<&'a str> {
        let ephemeral = self.0?.ephemeral_containers.iter().flatten().find(|one| one.name == container)?;
        ephemeral.target_container_name.as_deref().filter(|name| !name.is_empty())
    }

    /// The namespaces that pause keeps for the pod and containers join.
    fn of_sandbox(&self) -> Vec<Namespace> {
        let mut namespaces = Vec::new();
        if !self.host_network() {
            namespaces.extend([Namespace::Network, Namespace::Uts]);
        }
        if !self.host_ipc() {
            namespaces.push(Namespace::Ipc);
        }
        namespaces
    }
}

/// The container whose processes this one is to see: an ephemeral one with `targetContainerName`, unless the pod's containers,
/// or all of the machine, see each other anyway.
pub fn target_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a str> {
    let spec = PodSpecView(pod.spec.as_ref());
    spec.target_of(container).filter(|_| spec.pid() == PidNamespace::Own)
}

/// As whom a container runs, for a supervisor that takes over in the middle of its start.
pub fn user_of(context: &PodContext<'_>, container: &Container, image: &Image) -> Result<LinuxUser, StartFailure> {
    let layers = program::Layers(&image.layers);
    inputs::resolve_identity(context, container, image, &layers).map(|identity| linux_user(&identity))
}

fn linux_user(identity: &Identity) -> LinuxUser {
    LinuxUser {
        uid: identity.uid.into(),
        gid: identity.gid.into(),
        supplemental_groups: identity.groups.iter().map(|group| i64::from(*group)).collect(),
    }
}

/// Lowers a plan and puts everything together. `held` are the plan's descriptors behind those of the cgroup, in its order.
fn assemble(
    plan: Plan,
    cgroup: Entrance,
    held: Vec<OwnedFd>,
    mut descriptors: Vec<(OwnedFd, u32)>,
    secrets: &Secrets,
    identity: &Identity,
    trace: bool,
) -> Result<Prepared, StartFailure> {
    let calls = plan.calls()?;
    let bytes = call::encode(&calls, secrets, trace)?;
    let failed = create("the stage's table cannot be made");
    let table = nix::sys::memfd::memfd_create(c"podlet table", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)
        .map_err(|errno| failed(errno.into()))?;
    let mut file = fs::File::from(table);
    file.write_all(&bytes).map_err(&failed)?;
    descriptors.extend(cgroup.tasks.into_iter().chain(held).zip(FIRST_DESCRIPTOR..));
    let clone_flags = plan.new_namespaces.iter().fold(0, |all, namespace| all | clone_flag(*namespace));
    let second = plan.steps.contains(&crate::plan::Step::CloneSecond);
    let user = linux_user(identity);
    Ok(Prepared {
        plan,
        table: file.into(),
        descriptors,
        sandbox_at: None,
        target_at: None,
        clone_flags,
        cgroup: cgroup.unified,
        second,
        user,
        environment: None,
        notices: Vec::new(),
    })
}

/// The cgroup of a container that runs, for a supervisor that takes over.
pub fn container_cgroup(context: &PodContext<'_>, container: &str) -> Cgroup {
    Cgroup::of_container(context.uid(), container)
}

/// What a failed step of the stage means to a user: `exec: "x": executable file not found in $PATH`.
pub fn explain_failure(prepared: &Prepared, entry: u32, errno: i32) -> StartFailure {
    failure(StartStage::Run, program::explain(&prepared.plan, Some(prepared.table.as_fd()), entry, errno))
}

#[cfg(test)]
mod tests;
