//! What the machine keeps of one container: the newest record of an instance, the one before it, why no newer one could be
//! started, and what has been asked for. The words are Kubernetes' (`state`, `lastState`, waiting reasons). Only `facts`
//! and `decide` change these values; `status` shows them.

use std::time::Duration;

use k8s_openapi::api::core::v1::ResourceRequirements;
use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use super::hook::{StartHook, StopHook};
use super::input::{ImageFacts, ImageFailure, LinuxUser};
use super::probe::Probes;
use super::time::{BootTime, Moment, WallTime};

/// One container of the pod, of any kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Which kind it is.
    #[serde(default, skip_serializing_if = "Kind::is_regular")]
    pub kind: Kind,
    /// The newest instance of which a process or a failed start is known.
    pub record: Option<Record>,
    /// How the instance before that ended: `lastState`.
    pub last: Option<Ended>,
    /// Why no newer instance could be started; cleared by the next start that succeeds.
    pub waiting: Option<Waiting>,
    /// What has been asked for and not answered.
    pub step: Step,
    /// How often a start of the next instance was tried.
    pub tries: u32,
    /// Set when this container was stopped in order to be started anew.
    pub anew: Option<Anew>,
    /// The crash back-off.
    pub backoff: Option<Backoff>,
    /// An instance that cannot be found: what may be left of it is to be killed before anything else.
    pub lost: Option<u32>,
    /// The user wants the running instance restarted, and it has not been told to stop yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart_requested: bool,
    /// What its probes have found.
    #[serde(default, skip_serializing_if = "Probes::is_untouched")]
    pub probes: Probes,
    /// How far the postStart hook of the running instance is, while it is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_hook: Option<StartHook>,
    /// What the running instance's cgroup was told, while its spec has other resources than that (lifecycle 9.7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resized_from: Option<ResourceRequirements>,
    /// Of an ephemeral container: the one that it stands in for, and which is not started until it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<String>,
}

/// What a container is for its pod (lifecycle 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Of `spec.containers`.
    #[default]
    Regular,
    /// Of `spec.initContainers`: it ends before the next one begins.
    Init,
    /// Of `spec.initContainers`, with `restartPolicy: Always`: it stays beside the regular ones, and ends after them.
    Sidecar,
    /// Of `spec.ephemeralContainers`: added to look at a pod that runs, and nothing of the pod depends on it (9.6).
    Ephemeral,
}

impl Kind {
    /// Of a container of `spec.initContainers`.
    pub fn of_init(spec: &k8s_openapi::api::core::v1::Container) -> Kind {
        if spec.restart_policy.as_deref() == Some("Always") { Kind::Sidecar } else { Kind::Init }
    }

    /// Whether it stands in `spec.containers`.
    pub fn is_regular(&self) -> bool {
        *self == Kind::Regular
    }

    /// Whether it stands in `spec.initContainers`.
    pub fn is_init(self) -> bool {
        matches!(self, Kind::Init | Kind::Sidecar)
    }
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which, counted from 0; the `restartCount`.
    pub attempt: u32,
    /// In which sandbox.
    #[serde(default)]
    pub sandbox: u32,
    /// 64 hexadecimal digits; empty when it never came to one.
    pub id: String,
    /// The image as the spec named it: another one means that the definition changed.
    pub spec_image: String,
    /// The image as resolved.
    pub image: ImageFacts,
    /// The user it runs as.
    pub user: Option<LinuxUser>,
    /// Running or ended.
    pub state: RecordState,
}

/// Whether an instance runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RecordState {
    /// It runs.
    Running {
        /// Since when.
        started: Moment,
        /// Set once it was told to stop.
        stop: Option<Stop>,
    },
    /// It ended.
    Exited(Ended),
}

/// A stop under way: the signal was sent, SIGKILL follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// When SIGKILL is due; of a signal that is held back, when it is sent at the latest.
    pub kill_at: BootTime,
    /// Whether the grace period was raised to the least one.
    pub raised: bool,
    /// Whether SIGKILL was asked for.
    pub killed: bool,
    /// Since when the stop signal is held back, because something comes before it (lifecycle 8.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<BootTime>,
    /// The preStop hook that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<StopHook>,
}

impl Stop {
    /// With a signal that is sent now, and SIGKILL then.
    pub fn at(kill_at: BootTime) -> Stop {
        Stop { kill_at, raised: false, killed: false, held: None, hook: None }
    }

    /// The signal that was held back is sent: what came before it is deducted from the grace period in whole seconds, and at
    /// least the least one is left (lifecycle 8.2). False when it was sent before.
    pub fn release(&mut self, now: BootTime, least: Duration) -> bool {
        let Some(held) = self.held.take() else { return false };
        let used = now.since(held);
        let rest = self.kill_at.since(now);
        let rest = if rest.is_zero() { rest } else { rest + Duration::from_nanos(u64::from(used.subsec_nanos())) };
        self.hook = None;
        self.raised = rest < least;
        self.kill_at = now.after(rest.max(least));
        true
    }

    /// When something is to be done about it next.
    pub fn next(&self) -> BootTime {
        let until = self.hook.and_then(|hook| hook.until);
        until.map_or(self.kill_at, |until| until.min(self.kill_at))
    }
}

/// How an instance ended: `state.terminated`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// `exitCode`.
    pub exit_code: i32,
    /// `reason`.
    pub reason: EndReason,
    /// `message`.
    pub message: Option<String>,
    /// `startedAt`; none shows as 1970.
    pub started: Option<WallTime>,
    /// `finishedAt`.
    pub finished: Moment,
    /// The instance's id.
    pub id: String,
}

/// `state.terminated.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// Exit code 0.
    Completed,
    /// Another exit code, or a signal.
    Error,
    /// The memory controller killed something in its cgroup.
    OOMKilled,
    /// Its program could not be started.
    StartError,
    /// It cannot be found.
    ContainerStatusUnknown,
    /// The machine was restarted under it.
    Unknown,
    /// Its record was removed, because all containers of the pod are restarted in place (lifecycle 4.6).
    RestartingAllContainers,
}

impl Ended {
    /// Whether an init container that ended so has done its work: exit code 0, and nothing in it was killed for memory.
    pub fn is_success(&self) -> bool {
        self.exit_code == 0 && self.reason != EndReason::OOMKilled
    }
}

impl EndReason {
    /// Kubernetes' word.
    pub fn word(self) -> &'static str {
        match self {
            EndReason::Completed => "Completed",
            EndReason::Error => "Error",
            EndReason::OOMKilled => "OOMKilled",
            EndReason::StartError => "StartError",
            EndReason::ContainerStatusUnknown => "ContainerStatusUnknown",
            EndReason::Unknown => "Unknown",
            EndReason::RestartingAllContainers => "RestartingAllContainers",
        }
    }
}

/// `state.waiting`, and when a start may be tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// `reason`.
    pub reason: WaitingReason,
    /// `message`.
    pub message: String,
    /// Not before this.
    pub until: BootTime,
    /// Made by the present input: the next decision waits for the next one, so that the reason is seen once.
    pub unseen: bool,
}

/// `state.waiting.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitingReason {
    /// Refused by the crash back-off.
    CrashLoopBackOff,
    /// Its configuration cannot be built.
    CreateContainerConfigError,
    /// It cannot be created.
    CreateContainerError,
    /// Its program could not be started.
    RunContainerError,
    /// Its postStart hook failed.
    PostStartHookError,
    /// This pull failed.
    ErrImagePull,
    /// Refused by the image back-off.
    ImagePullBackOff,
    /// Policy Never, and not present.
    ErrImageNeverPull,
    /// The reference does not parse.
    InvalidImageName,
    /// The store's entry cannot be read.
    ImageInspectError,
    /// All containers of the pod are restarted in place.
    RestartingAllContainers,
}

/// `state.waiting.reason` of a container that an ephemeral one stands in for: podlet's own word.
pub const HELD: &str = "Held";

impl WaitingReason {
    /// Kubernetes' word.
    pub fn word(self) -> &'static str {
        match self {
            WaitingReason::CrashLoopBackOff => "CrashLoopBackOff",
            WaitingReason::CreateContainerConfigError => "CreateContainerConfigError",
            WaitingReason::CreateContainerError => "CreateContainerError",
            WaitingReason::RunContainerError => "RunContainerError",
            WaitingReason::PostStartHookError => "PostStartHookError",
            WaitingReason::ErrImagePull => "ErrImagePull",
            WaitingReason::ImagePullBackOff => "ImagePullBackOff",
            WaitingReason::ErrImageNeverPull => "ErrImageNeverPull",
            WaitingReason::InvalidImageName => "InvalidImageName",
            WaitingReason::ImageInspectError => "ImageInspectError",
            WaitingReason::RestartingAllContainers => "RestartingAllContainers",
        }
    }
}

impl From<ImageFailure> for WaitingReason {
    fn from(failure: ImageFailure) -> WaitingReason {
        match failure {
            ImageFailure::ErrImagePull => WaitingReason::ErrImagePull,
            ImageFailure::ErrImageNeverPull => WaitingReason::ErrImageNeverPull,
            ImageFailure::InvalidImageName => WaitingReason::InvalidImageName,
            ImageFailure::ImageInspectError => WaitingReason::ImageInspectError,
        }
    }
}

/// What has been asked for. One container of a pod is started at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Nothing.
    Idle,
    /// `EnsureImage` for this instance.
    Image {
        /// Which instance.
        attempt: u32,
        /// The image as the spec named it then.
        spec_image: String,
    },
    /// The image for this instance is at hand.
    Ready {
        /// Which instance.
        attempt: u32,
        /// The image as the spec named it.
        spec_image: String,
        /// The image as resolved.
        image: ImageFacts,
    },
    /// `StartContainer` for this instance.
    Starting {
        /// Which instance.
        attempt: u32,
        /// The image as the spec named it.
        spec_image: String,
        /// The image as resolved.
        image: ImageFacts,
    },
}

/// Stopped in order to be started anew: started whatever the policy says (lifecycle 4.3, 9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anew {
    /// When the newest instance that had already ended by then had ended; the back-off counts from there.
    pub exited: Option<BootTime>,
}

impl Container {
    /// A container of which nothing is known yet.
    pub fn new(name: &str, kind: Kind) -> Container {
        Container {
            name: name.to_owned(),
            kind,
            record: None,
            last: None,
            waiting: None,
            step: Step::Idle,
            tries: 0,
            anew: None,
            backoff: None,
            lost: None,
            restart_requested: false,
            probes: Probes::default(),
            start_hook: None,
            resized_from: None,
            holds: None,
        }
    }

    /// Which instance is started next.
    pub fn next_attempt(&self) -> u32 {
        self.record.as_ref().map_or(0, |record| record.attempt.saturating_add(1))
    }

    /// The number of the newest instance; its restart count.
    pub fn restart_count(&self) -> u32 {
        self.record.as_ref().map_or(0, |record| record.attempt)
    }

    /// The restart count as shown: an instance whose postStart hook is not over is not shown yet; of a record that was removed
    /// in order to restart all containers the next one counts.
    pub fn shown_restart_count(&self) -> u32 {
        let removed = |ended: &Ended| ended.reason == EndReason::RestartingAllContainers;
        // Where the record before was removed, the one that is not shown yet was counted already.
        let unseen = self.start_hook.is_some() && !self.last.as_ref().is_some_and(removed);
        (self.restart_count() + u32::from(self.exited().is_some_and(removed))).saturating_sub(u32::from(unseen))
    }

    /// Lets the next instance start whatever the policy says, as if this one had no record; its back-off, if any is to be
    /// asked, counts from that exit.
    pub fn begin_anew(&mut self, exited: Option<BootTime>) {
        self.waiting = None;
        self.anew = Some(Anew { exited });
    }

    /// How the newest instance ended; none when it runs or there is none.
    pub fn exited(&self) -> Option<&Ended> {
        match self.record.as_ref().map(|record| &record.state) {
            Some(RecordState::Exited(ended)) => Some(ended),
            _ => None,
        }
    }

    /// Whether the newest instance runs.
    pub fn running(&self) -> bool {
        matches!(&self.record, Some(Record { state: RecordState::Running { .. }, .. }))
    }

    /// The number of the instance that runs.
    pub fn running_attempt(&self) -> Option<u32> {
        self.record.as_ref().filter(|_| self.running()).map(|record| record.attempt)
    }

    /// The stop under way, if any.
    pub fn stop(&self) -> Option<&Stop> {
        match self.record.as_ref().map(|record| &record.state) {
            Some(RecordState::Running { stop, .. }) => stop.as_ref(),
            _ => None,
        }
    }

    /// The stop under way, if any, to be changed.
    pub fn stop_mut(&mut self) -> Option<&mut Stop> {
        match self.record.as_mut().map(|record| &mut record.state) {
            Some(RecordState::Running { stop, .. }) => stop.as_mut(),
            _ => None,
        }
    }

    /// A stop of the running instance begins; false when there is none or one is under way.
    pub fn begin_stop(&mut self, begun: Stop) -> bool {
        match self.record.as_mut().map(|record| &mut record.state) {
            Some(RecordState::Running { stop: stop @ None, .. }) => {
                *stop = Some(begun);
                true
            }
            _ => false,
        }
    }

    /// Whether an init container's work is done: it ended well, and is not to be done anew (lifecycle 5.1).
    pub fn has_completed(&self) -> bool {
        self.anew.is_none() && self.exited().is_some_and(Ended::is_success)
    }

    /// Whether a process of it may exist: it runs, or a start was asked for and not answered.
    pub fn may_have_process(&self) -> bool {
        self.running() || matches!(self.step, Step::Starting { .. })
    }

    /// Forgets a start that has not come to the container itself; an answer about its image is then ignored.
    pub fn abandon_image(&mut self) {
        if matches!(self.step, Step::Image { .. } | Step::Ready { .. }) {
            self.step = Step::Idle;
        }
    }

    /// Puts a new record in place; the ended one before it becomes `lastState`.
    pub fn push_record(&mut self, record: Record) {
        if let Some(Record { state: RecordState::Exited(ended), .. }) = self.record.replace(record) {
            self.last = Some(ended);
        }
        self.step = Step::Idle;
        self.tries = 0;
        self.anew = None;
        self.restart_requested = false;
        self.start_hook = None;
        self.probes.begin_instance();
    }
}
