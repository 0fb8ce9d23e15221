//! What can happen to a pod. Each variant is one fact with all that the machine needs to know of it; the supervisor
//! journals it with its [`Moment`](super::time::Moment) before the machine sees it.

use serde::{Deserialize, Serialize};

use super::hook::HookKind;
use super::probe::ProbeKind;
use super::room::Room;
use super::storage::Usage;
use super::time::{BootTime, Moment};

/// One fact and when it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// When it happened (an exit: when the kernel's record was made; else when it was noticed).
    pub at: Moment,
    /// What happened.
    pub fact: Fact,
}

/// What happened. `container` is the container's name; names are unique within a pod over all kinds of containers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Fact {
    /// Time has passed: a wake-up that the machine asked for, or any other reason to look again.
    Tick,
    /// The sandbox of this attempt stands: pause owns its namespaces.
    SandboxStarted {
        /// Which sandbox, counted from 0.
        attempt: u32,
        /// The pod's addresses; empty with no network of its own.
        ips: Vec<String>,
    },
    /// The sandbox could not be made.
    SandboxFailed {
        /// Which sandbox.
        attempt: u32,
        /// Why, for the event `Failed to create pod sandbox: …`.
        message: String,
    },
    /// Volumes could not be set up: the sandbox of this attempt was not begun, or, with none, those of a pod that runs
    /// could not be brought up to date.
    MountFailed {
        /// For which sandbox.
        attempt: Option<u32>,
        /// Why, a text a volume: `MountVolume.SetUp failed for volume "v" : configmap "x" not found`.
        messages: Vec<String>,
    },
    /// Pause is gone, asked for or not.
    SandboxExited {
        /// Which sandbox.
        attempt: u32,
    },
    /// The image that a start needs is not at hand and a pull of it begins; only for the event `Pulling`.
    ImagePulling {
        /// For which container.
        container: String,
        /// For which instance.
        attempt: u32,
        /// Names of `imagePullSecrets` that do not exist.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing_secrets: Vec<String>,
    },
    /// The image that a start needs is at hand.
    ImageReady {
        /// For which container.
        container: String,
        /// For which instance.
        attempt: u32,
        /// What the store knows of it.
        image: ImageFacts,
        /// Set when it had to be pulled: the times and size for the event `Pulled`.
        pulled: Option<Pulled>,
    },
    /// The image that a start needs cannot be had.
    ImageFailed {
        /// For which container.
        container: String,
        /// For which instance.
        attempt: u32,
        /// The waiting reason that it makes.
        reason: ImageFailure,
        /// The waiting message.
        message: String,
    },
    /// The container's program runs: its exec succeeded.
    ContainerStarted {
        /// Which container.
        container: String,
        /// Which instance, counted from 0.
        attempt: u32,
        /// 64 hexadecimal digits.
        id: String,
        /// The user it runs as, for `status.containerStatuses[].user`.
        user: Option<LinuxUser>,
    },
    /// The container could not be configured, created or started.
    StartFailed {
        /// Which container.
        container: String,
        /// Which instance.
        attempt: u32,
        /// At which stage.
        stage: StartStage,
        /// What a user reads.
        message: String,
        /// The id of the record, when one was made (`StartStage::Run` only).
        id: Option<String>,
        /// As whom it would have run, where that was found out.
        #[serde(default)]
        user: Option<LinuxUser>,
    },
    /// The container's first process has ended.
    ContainerExited {
        /// Which container.
        container: String,
        /// Which instance.
        attempt: u32,
        /// How it ended.
        exit: Exit,
        /// Whether the memory controller killed something in its cgroup since it started.
        oom_killed: bool,
        /// The termination message file's last 4096 bytes, and the log's tail where the policy asks for it.
        message: TerminationMessage,
    },
    /// A container that should be there cannot be found, and how it ended cannot be known.
    ContainerLost {
        /// Which container.
        container: String,
        /// Which instance.
        attempt: u32,
        /// Why it cannot be known, for podlet's own notice.
        message: String,
    },
    /// A probe has ended.
    ProbeResult {
        /// Of which container.
        container: String,
        /// Of which instance.
        attempt: u32,
        /// Which probe.
        probe: ProbeKind,
        /// When it was begun.
        begun: BootTime,
        /// How it ended.
        outcome: ProbeOutcome,
    },
    /// A hook has ended.
    HookEnded {
        /// Of which container.
        container: String,
        /// Of which instance.
        attempt: u32,
        /// Which hook.
        hook: HookKind,
        /// What a kubelet logs and, of postStart, shows: what went wrong. None when nothing did.
        failure: Option<String>,
        /// The address that was asked by https, answered with plain http, and was then asked so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fell_back: Option<String>,
    },
    /// The container's log could not be written for too long: from now on what it writes is dropped and counted. Only for
    /// the event.
    LogDropping {
        /// Which container.
        container: String,
        /// The system's answer.
        message: String,
    },
    /// The container's log is written again. Only for the event.
    LogResumed {
        /// Which container.
        container: String,
        /// Bytes that are missing in it.
        dropped: u64,
    },
    /// The pod is over, and the end of a log could not be written. Only for the event.
    LogLost {
        /// Which container.
        container: String,
        /// Bytes that are missing in it.
        lost: u64,
        /// The system's answer.
        message: String,
    },
    /// The container was killed, and the kernel does not let go of a process of it. Only for the event.
    KillStuck {
        /// Which container.
        container: String,
        /// Which processes, and in what they hang.
        message: String,
    },
    /// The user asked for the pod's deletion; a second, shorter one shortens the first.
    DeleteRequested {
        /// `--grace-period`; the pod's own when absent.
        grace_seconds: Option<i64>,
        /// `--force`.
        force: bool,
    },
    /// The machine is about to be shut down, or somebody stops the pod: its containers end, the sandbox goes, and it waits to
    /// be set going again. What is on its way out already is left to that.
    StopRequested {
        /// No container has more grace than this; the spec's when absent.
        most_seconds: Option<i64>,
    },
    /// The user asked for a restart: containers are stopped in order and started anew.
    RestartRequested {
        /// Which; all of them, beginning with the first init container, when absent.
        container: Option<String>,
    },
    /// A re-apply changed what may change in place. The new manifest, defaulted, as `v1.Pod` JSON.
    SpecChanged {
        /// The whole pod.
        pod: Box<serde_json::Value>,
    },
    /// The cgroups are what the spec of that generation says, or are not.
    Resized {
        /// Of which spec.
        generation: i64,
        /// Why not, in the kubelet's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
    /// `podlet debug`: a container is added to look at the pod that runs.
    EphemeralContainerAdded {
        /// `v1.EphemeralContainer`, defaulted and validated.
        container: Box<serde_json::Value>,
        /// The container in whose place it comes, and which is not started until it has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holds: Option<String>,
    },
    /// So much cpu and memory the machine has, and so much of it other pods hold.
    RoomMeasured {
        /// How much.
        room: Room,
    },
    /// So much local storage is in use.
    StorageMeasured {
        /// Of what its [`Scope`](super::storage::Scope) names.
        usage: Usage,
    },
    /// The machine was started anew since the last input: `CLOCK_BOOTTIME` began again and no process is left.
    Rebooted,
    /// The pod's cgroups, mounts and namespaces are gone after [`Effect::TearDown`](super::effect::Action::TearDown).
    TornDown,
}

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeOutcome {
    /// Well.
    Success,
    /// Well, but its owner should know this.
    Warning(String),
    /// Not: the text for the event.
    Failure(String),
    /// It could not be run to its end; it counts neither way.
    Error {
        /// What the event says it resulted in.
        state: ErrorState,
        /// Why.
        message: String,
    },
}

/// What a probe that could not be run resulted in, as the event has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorState {
    /// `unknown`: it was not begun.
    Unknown,
    /// `failure`: its answer could not be read.
    Failure,
}

impl ErrorState {
    /// The kubelet's word.
    pub fn word(self) -> &'static str {
        match self {
            ErrorState::Unknown => "unknown",
            ErrorState::Failure => "failure",
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// By `exit(code)`.
    Code(i32),
    /// By a signal; the status code is 128 + its number.
    Signal(i32),
}

/// At which stage a start failed; decides the waiting reason (lifecycle 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartStage {
    /// `CreateContainerConfigError`: no record, retried without back-off.
    Config,
    /// `CreateContainerError`: no record.
    Create,
    /// `RunContainerError`: a record exists, `StartError` with exit code 128.
    Run,
}

/// Why an image cannot be had; named as the waiting reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ImageFailure {
    /// The pull failed, or the store is the only source and lacks it.
    ErrImagePull,
    /// Policy Never and not in the store.
    ErrImageNeverPull,
    /// The reference does not parse.
    InvalidImageName,
    /// The store's entry cannot be read.
    ImageInspectError,
}

/// What the machine shows of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// `status.containerStatuses[].image`: the reference as resolved.
    pub image: String,
    /// `status.containerStatuses[].imageID`.
    pub image_id: String,
    /// The image's STOPSIGNAL, when it has one.
    pub stop_signal: Option<String>,
}

/// A finished pull.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// Milliseconds of the pull itself.
    pub milliseconds: u64,
    /// Milliseconds including waiting for another pull.
    pub with_waiting_milliseconds: u64,
    /// Bytes.
    pub size: u64,
}

/// `status.containerStatuses[].user.linux`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinuxUser {
    /// Effective user id.
    pub uid: i64,
    /// Effective group id.
    pub gid: i64,
    /// All groups, the primary one included.
    pub supplemental_groups: Vec<i64>,
}

/// What a container left behind as its message (lifecycle 3.5). The machine applies policy and limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminationMessage {
    /// The last 4096 bytes of the message file, lossily as UTF-8; empty when there was none.
    pub file: String,
    /// The last 80 lines and of these the last 2048 bytes of the log; empty unless the policy is FallbackToLogsOnError.
    pub log_tail: String,
    /// Why the file or log could not be read, as the kubelet words it.
    pub error: Option<String>,
}
