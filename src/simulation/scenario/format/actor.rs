//! How containers behave.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::simulation::scenario::words::{Answer, ImageReason, Span, StartReason};

#[cfg(test)]
use schemars::JsonSchema;

/// How a container's processes behave: a list of instances, or one behaviour that holds for all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Actor {
    /// How the first, second … start goes and what runs then; the last one repeats. A start that fails (imageError,
    /// startError) takes one of the list, too.
    pub instances: Vec<Instance>,
    /// What holds for every instance, or for those of `instances` that do not say otherwise.
    #[serde(flatten)]
    pub each: Instance,
}

/// How one instance behaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Instance {
    /// So many instances behave so (1); the last of the list repeats anyway.
    pub times: Option<u32>,
    /// It ends by itself: `1`, `"1@2s"` (code 1 after 2s), `"SEGV@1m"`, or in full.
    pub exit: Option<Exit>,
    /// It is killed by the memory controller.
    pub oom: Option<Oom>,
    /// `forever`: it does not end by itself. That is so anyway where no end is named.
    pub run: Option<Forever>,
    /// How long its start takes beyond `latency`.
    pub start_delay: Option<Span>,
    /// Its readiness and startup probes fail until it has run so long.
    pub ready_after: Option<Span>,
    /// Signals that it does not react to: `[TERM]`. SIGKILL ends everything.
    pub ignore_signals: Option<Vec<String>>,
    /// What it does on a signal, by the signal's name. A stop signal that is named nowhere ends it with 0 at once.
    pub on_signal: Option<BTreeMap<String, Reaction>>,
    /// The start fails: `CreateContainerConfigError`, `CreateContainerError` or `RunContainerError`.
    pub start_error: Option<StartError>,
    /// Its image cannot be had.
    pub image_error: Option<ImageError>,
    /// Its image is pulled, and that takes so long; absent: it is present.
    pub pull: Option<Span>,
    /// What it writes to its terminationMessagePath.
    pub termination_message: Option<String>,
    /// The end of its log, for `terminationMessagePolicy: FallbackToLogsOnError`.
    pub log: Option<String>,
    /// What its probes answer; probes that are not named succeed (see `readyAfter`).
    pub probes: Option<Probes>,
    /// What its postStart hook does; it succeeds at once where it is not named.
    pub post_start: Option<Hook>,
    /// What its preStop hook does; it succeeds at once where it is not named.
    pub pre_stop: Option<Hook>,
}

/// How a process ends by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum Exit {
    /// At once, with this code.
    Code(i32),
    /// `CODE@TIME` or `SIGNAL@TIME`.
    Words(String),
    /// In full.
    Full(ExitFull),
}

/// How a process ends by itself, in full.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct ExitFull {
    /// Its exit code (0).
    pub code: Option<i32>,
    /// The signal that ends it, instead of a code: `SEGV`, `SIGSEGV`, `11`.
    pub signal: Option<SignalName>,
    /// So long after its start (0s).
    pub after: Span,
    /// What it writes to its terminationMessagePath.
    pub message: Option<String>,
}

/// A signal by name or number.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum SignalName {
    /// `9`.
    Number(i32),
    /// `KILL`, `SIGKILL`.
    Name(String),
}

/// The memory controller kills it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Oom {
    /// So long after its start (0s).
    pub after: Span,
    /// The exit code where only a child is killed and the first process ends so itself; absent: 137.
    pub code: Option<i32>,
}

/// It does not end by itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Forever {
    /// Until it is told to stop.
    Forever,
}

/// What a process does on a signal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum Reaction {
    /// `ignore`, or `die`: the signal itself ends it at once (143 for SIGTERM).
    Word(ReactionWord),
    /// It ends so.
    Ends(ReactionEnd),
}

/// A reaction in one word.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ReactionWord {
    /// Nothing.
    Ignore,
    /// The signal ends it.
    Die,
}

/// How a signal ends a process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct ReactionEnd {
    /// With this code (0).
    pub exit: Option<i32>,
    /// By this signal instead.
    pub signal: Option<SignalName>,
    /// So long after the signal (0s).
    pub after: Span,
}

/// A start that fails.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum StartError {
    /// With a message of podlet's choice.
    Reason(StartReason),
    /// In full.
    Full(StartErrorFull),
}

/// A start that fails, in full.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct StartErrorFull {
    /// The waiting reason (RunContainerError: the program could not be started, which counts as a crash with 128).
    pub reason: StartReason,
    /// The waiting message.
    pub message: Option<String>,
}

/// An image that cannot be had.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum ImageError {
    /// With a message of podlet's choice.
    Reason(ImageReason),
    /// In full.
    Full(ImageErrorFull),
}

/// An image that cannot be had, in full.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct ImageErrorFull {
    /// The waiting reason.
    pub reason: ImageReason,
    /// The waiting message.
    pub message: Option<String>,
}

/// What probes answer, by kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Probes {
    /// Of the startupProbe.
    pub startup: Option<Answers>,
    /// Of the livenessProbe.
    pub liveness: Option<Answers>,
    /// Of the readinessProbe.
    pub readiness: Option<Answers>,
}

/// Answers, one after another; the last repeats.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum Answers {
    /// Always the same.
    One(Answer),
    /// One attempt each, or as long as they say.
    Many(Vec<AnswerItem>),
}

/// One answer, or several alike.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum AnswerItem {
    /// Of one attempt.
    One(Answer),
    /// Of several.
    Full(AnswerFull),
}

/// Several answers alike.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct AnswerFull {
    /// What is answered.
    pub answer: Answer,
    /// So many attempts (1).
    pub times: Option<u32>,
    /// All attempts of so long, counted from the end of the answer before, for the first from the start of the instance.
    #[serde(rename = "for")]
    pub duration: Option<Span>,
    /// What the probe's event says.
    pub output: Option<String>,
}

/// What a hook does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Hook {
    /// How long it takes (0s).
    pub takes: Span,
    /// It fails, and the event says so.
    pub fail: Option<String>,
}
