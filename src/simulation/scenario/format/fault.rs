//! What happens to the pod.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::actor::SignalName;
use crate::simulation::scenario::words::{Answer, ImageReason, Kind, Span, StartReason};

#[cfg(test)]
use schemars::JsonSchema;

/// Something that happens to the pod: when, and exactly one thing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Fault {
    /// At this time, or these.
    pub at: Option<Times>,
    /// Again and again, so often.
    pub every: Option<Span>,
    /// With `every`: first then (after one period).
    pub from: Option<Span>,
    /// With `every`: last then (the end of the scenario).
    pub to: Option<Span>,
    /// A process is killed by a signal that it cannot ignore: a container's name, or in full.
    pub kill: Option<Target<Kill>>,
    /// A process ends by itself.
    pub exit: Option<Target<ExitNow>>,
    /// A process is killed by the memory controller.
    pub oom: Option<Target<OnContainer>>,
    /// A container cannot be found any more, and how it ended cannot be known.
    pub lost: Option<Target<OnContainer>>,
    /// What the next results of a probe are.
    pub probe: Option<ProbeFault>,
    /// The next starts fail.
    pub start_error: Option<NextStart>,
    /// The next looks for the image fail.
    pub image_error: Option<NextImage>,
    /// The next sandboxes cannot be made.
    pub sandbox_error: Option<Switch<NextSandbox>>,
    /// The volumes cannot be set up the next times.
    pub volume_error: Option<Switch<NextVolume>>,
    /// The pause process dies.
    pub sandbox_loss: Option<Switch<Nothing>>,
    /// The supervisor is killed and started again: it folds its journal and goes on. The states before and after must be
    /// equal, or the scenario fails.
    pub supervisor_death: Option<Switch<Down>>,
    /// The machine is started anew: no process is left, boot time begins again.
    pub reboot: Option<Switch<Nothing>>,
    /// The user deletes the pod.
    pub delete: Option<Switch<Delete>>,
    /// The pod is stopped, to be set going again.
    pub stop: Option<Switch<Stop>>,
    /// The wall clock jumps by so much: `1h`, `-30m`. No timer may notice.
    pub clock: Option<String>,
    /// A re-apply: a piece of the pod that is merged into it as those before have left it (what may change in place: images,
    /// and cpu and memory, which is a resize).
    pub apply: Option<serde_json::Map<String, Json>>,
    /// How much cpu and memory the machine has, and how much of it other pods hold: a resize for which that is not enough waits.
    /// Where no fault says so there is enough of everything.
    pub node: Option<Node>,
    /// The next resizes cannot be carried out.
    pub resize_error: Option<Switch<NextResize>>,
    /// The user asks for a restart: `true` of all containers, else of the one of this name.
    pub restart: Option<Restart>,
    /// `podlet debug`: an ephemeral container is added, and runs.
    pub debug: Option<Debug>,
    /// From now on so much local storage is in use. It is measured every 10 s.
    pub storage: Option<StorageUse>,
}

/// One time, or several.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum Times {
    /// One.
    One(Span),
    /// Several.
    Many(Vec<Span>),
}

/// A container by name, or in full.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum Target<T> {
    /// Only the container.
    Name(String),
    /// In full.
    Full(T),
}

/// `true`, or in full.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum Switch<T> {
    /// `true`.
    On(bool),
    /// In full.
    Full(T),
}

/// Nothing more to say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default)]
pub struct Nothing {}

/// A container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct OnContainer {
    /// Which; the only one where the pod has one.
    pub container: String,
}

/// A kill.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Kill {
    /// Which; the only one where the pod has one.
    pub container: String,
    /// By which signal (KILL).
    pub signal: Option<SignalName>,
}

/// An end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct ExitNow {
    /// Which; the only one where the pod has one.
    pub container: String,
    /// With which code (0).
    pub code: i32,
}

/// What the next results of a probe are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct ProbeFault {
    /// Which container; the only one where the pod has one.
    pub container: String,
    /// Which probe.
    pub kind: Kind,
    /// So many attempts fail.
    pub fail: Option<u32>,
    /// So many attempts succeed.
    pub succeed: Option<u32>,
    /// From now on this is answered, until `for` is over or another fault says otherwise.
    pub answer: Option<Answer>,
    /// See `answer`.
    #[serde(rename = "for")]
    pub duration: Option<Span>,
    /// With `every`: at each turn the next of these is answered until the turn after it.
    pub flap: Option<Vec<Answer>>,
    /// What the probe's event says.
    pub output: Option<String>,
}

/// The next starts fail.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct NextStart {
    /// Which container; the only one where the pod has one.
    pub container: String,
    /// The waiting reason.
    pub reason: StartReason,
    /// The waiting message.
    pub message: Option<String>,
    /// How many of them (1).
    pub times: Option<u32>,
}

/// The next looks for the image fail.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct NextImage {
    /// Which container; the only one where the pod has one.
    pub container: String,
    /// The waiting reason.
    pub reason: ImageReason,
    /// The waiting message.
    pub message: Option<String>,
    /// How many of them (1).
    pub times: Option<u32>,
}

/// The next sandboxes cannot be made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct NextSandbox {
    /// What the event says.
    pub message: Option<String>,
    /// How many of them (1).
    pub times: Option<u32>,
}

/// The volumes cannot be set up the next times.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct NextVolume {
    /// What the event says.
    pub message: Option<String>,
    /// How many times (1).
    pub times: Option<u32>,
}

/// How long the supervisor is away.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Down {
    /// It is started again so long afterwards (0s); what happens meanwhile it hears then.
    pub down_for: Span,
}

/// A delete.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Delete {
    /// `--grace-period`; the pod's own where it is absent.
    pub grace_period_seconds: Option<i64>,
    /// `--force`.
    pub force: bool,
}

/// A stop.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Stop {
    /// No container has more grace than this.
    pub grace_period_seconds: Option<i64>,
}

/// An amount of something, as a manifest writes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum Amount {
    /// `4`.
    Number(u64),
    /// `500m`, `3Mi`.
    Text(String),
}

impl Default for Amount {
    fn default() -> Amount {
        Amount::Text(String::new())
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Amount::Number(number) => write!(f, "{number}"),
            Amount::Text(text) => f.write_str(text),
        }
    }
}

/// How much cpu and memory there is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Node {
    /// So much cpu the machine has: `4`, `500m`; absent: more than is ever asked for.
    pub cpu: Option<Amount>,
    /// So much of it other pods hold (0).
    pub cpu_used: Option<Amount>,
    /// So much memory: `8Gi`; absent: more than is ever asked for.
    pub memory: Option<Amount>,
    /// So much of it other pods hold (0).
    pub memory_used: Option<Amount>,
    /// A resize that waits is looked at at once, and not up to 10 s later.
    pub at_once: bool,
}

/// The next resizes cannot be carried out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct NextResize {
    /// What condition and event say.
    pub message: Option<String>,
    /// How many of them (1).
    pub times: Option<u32>,
}

/// `true`, or a container by name, or in full.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum Restart {
    /// `true`: all containers.
    All(bool),
    /// This container.
    Name(String),
    /// In full.
    Full(OnContainer),
}

/// An ephemeral container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Debug {
    /// Its name (debugger).
    pub name: Option<String>,
    /// The container that it stands in for, as with `podlet debug --hold`.
    pub holds: Option<String>,
    /// It ends with exit code 0 after so long (not before it is told to).
    pub lasts: Option<Span>,
}

impl Debug {
    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("debugger")
    }
}

/// What is in use of a volume, or by a container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct StorageUse {
    /// Which emptyDir.
    pub volume: Option<String>,
    /// Which container's root file system and logs.
    pub container: Option<String>,
    /// How much: `3Mi`.
    pub used: Amount,
    /// It is measured at once, and not up to 10 s later.
    pub at_once: bool,
}
