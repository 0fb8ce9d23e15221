//! From a container of a Pod to what the keeper is asked for: finds out all that the plan needs, compiles the plan, makes
//! the descriptors that it uses, lowers it to the stage's table. (Skeleton: the outward signatures.)

use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, OwnedFd};

use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret};

use super::cgroup::Cgroup;
use crate::image::Image;
use crate::paths::Paths;
use crate::pod::input::{LinuxUser, StartStage};

/// What the filter is for a container whose manifest names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum SeccompDefault {
    /// As a kubelet with `seccompDefault: true`.
    #[default]
    RuntimeDefault,
    /// As a plain kubelet.
    Unconfined,
}

/// Where ConfigMaps and Secrets are found; missing ones are `None`.
pub trait Objects {
    /// A ConfigMap of the pod's namespace.
    fn config_map(&self, name: &str) -> Option<ConfigMap>;
    /// A Secret of the pod's namespace.
    fn secret(&self, name: &str) -> Option<Secret>;
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
}

/// A process that is ready to be asked for.
pub struct Prepared {
    /// The steps, for `plan`, `--trace` and messages.
    pub plan: crate::plan::Plan,
    /// The stage's table, lowered from the plan.
    pub table: OwnedFd,
    /// Further descriptors and the numbers that the table expects them at.
    pub descriptors: Vec<(OwnedFd, u32)>,
    /// For [`super::keeper::Spawn`].
    pub clone_flags: u64,
    /// For [`super::keeper::Spawn`].
    pub second: bool,
    /// As whom it runs.
    pub user: LinuxUser,
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

/// Makes the pod's cgroups with its limits, its directories, /dev/shm and volumes. Called once a pod, and again (finding all
/// in place) by a supervisor that takes over. The message is for the event FailedMount or FailedCreatePodContainer.
pub fn prepare_pod(context: &PodContext<'_>) -> Result<Cgroup, StartFailure> {
    let _ = context;
    unimplemented!()
}

/// The pause process in new network, IPC and UTS namespaces (those that the pod does not share with the machine).
pub fn prepare_sandbox(context: &PodContext<'_>) -> Result<Prepared, StartFailure> {
    let _ = context;
    unimplemented!()
}

/// One container instance. `stdio` are its ends of stdin (or /dev/null), stdout and stderr. `sandbox` is a pidfd of pause.
pub fn prepare_container(
    context: &PodContext<'_>,
    container: &Container,
    attempt: u32,
    image: &Image,
    sandbox: BorrowedFd<'_>,
    stdio: [BorrowedFd<'_>; 3],
) -> Result<(Prepared, Cgroup), StartFailure> {
    let _ = (context, container, attempt, image, sandbox, stdio);
    unimplemented!()
}

/// A further process in a running container, whose first process is `init` (a pidfd).
pub fn prepare_exec(
    context: &PodContext<'_>,
    container: &Container,
    attempt: u32,
    image: &Image,
    init: BorrowedFd<'_>,
    command: &[String],
    tty: bool,
    stdio: [BorrowedFd<'_>; 3],
) -> Result<Prepared, StartFailure> {
    let _ = (context, container, attempt, image, init, command, tty, stdio);
    unimplemented!()
}

/// The cgroup of a container that runs, for a supervisor that takes over.
pub fn container_cgroup(context: &PodContext<'_>, container: &str) -> Cgroup {
    let _ = (context, container);
    unimplemented!()
}

/// What a failed step of the stage means to a user: `exec: "x": executable file not found in $PATH`.
pub fn explain_failure(prepared: &Prepared, entry: u32, errno: i32) -> StartFailure {
    let _ = (prepared, entry, errno);
    unimplemented!()
}

/// Takes away what an ended instance leaves: its writable layer, termination-log file, mounts.
pub fn remove_instance(context: &PodContext<'_>, container: &str, attempt: u32) -> std::io::Result<()> {
    let _ = (context, container, attempt);
    unimplemented!()
}

/// Takes away all that `prepare_pod` made and what instances left; called when nothing of the pod runs.
pub fn tear_down(context: &PodContext<'_>) -> std::io::Result<()> {
    let _ = context;
    unimplemented!()
}

/// The environment of a container as a map, for `describe` of `podlet plan` and for expansion of exec probes' commands.
pub type Environment = BTreeMap<String, String>;
