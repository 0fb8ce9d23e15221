//! What must be so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fault::Times;
use crate::simulation::scenario::properties::Property;
use crate::simulation::scenario::words::{Number, Span, StateWord, Text};

#[cfg(test)]
use schemars::JsonSchema;

/// Something that must be so. Exactly one of `at`, `by`, `always`, `never`, `eventually`, `sequence`, `startsAt`, `count`,
/// `cause`, `rule` and `property` says what is demanded; with `at` and `by` the condition stands beside it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Assert {
    /// For the report, instead of the assertion itself.
    pub name: Option<String>,
    /// Only for these values of the matrix: `only: {restartPolicy: [Always]}`.
    pub only: BTreeMap<String, Vec<Json>>,
    /// The condition holds at this time, or at each of these, when all that happens then has happened.
    pub at: Option<Times>,
    /// The condition holds at some moment no later than this.
    pub by: Option<Span>,
    /// This condition holds at every moment (see `from`, `to` and `while`).
    pub always: Option<Claim>,
    /// This condition holds at no moment (see `from`, `to` and `while`).
    pub never: Option<Claim>,
    /// This condition holds at some moment within `within` of the beginning, of `from`, or of each `after`.
    pub eventually: Option<Claim>,
    /// With `eventually` and `property: ready-again`: within this. With `startsAt` and `count.at`: the tolerance to both sides (0s).
    pub within: Option<Span>,
    /// With `always`, `never`, `eventually`, `sequence` and `count`: only from this time on.
    pub from: Option<Span>,
    /// With `always`, `never`, `sequence` and `count`: only up to this time.
    pub to: Option<Span>,
    /// With `eventually`: counted anew from each occurrence of this: `app.Exited`.
    pub after: Option<String>,
    /// These happen in this order, others between them or not: `[proxy.Started, app.Started, "app.Killing(Liveness)"]`.
    pub sequence: Option<Vec<String>>,
    /// With `sequence`: nothing else that one of the patterns could mean happens between them.
    pub strict: bool,
    /// The container's first starts are at these times, give or take `within`.
    pub starts_at: Option<Vec<Span>>,
    /// With `startsAt`: there are no others.
    pub exactly: bool,
    /// How often, or when, something happens.
    pub count: Option<Count>,
    /// Why an instance ended, was stopped or was started.
    pub cause: Option<Cause>,
    /// This rule decided at least once, or as often as `is` says (`is: 0` for never): `R-4.4-b`.
    pub rule: Option<RuleAssert>,
    /// One of the properties that `podlet explore` looks for breaches of holds all the time (docs/testing.md lists them).
    pub property: Option<Property>,
    /// The condition.
    #[serde(flatten)]
    pub condition: Condition,
}

/// A condition, or a CEL expression.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum Claim {
    /// CEL.
    Expression(String),
    /// Fields that must all hold.
    Condition(Box<Condition>),
}

/// What must hold at a moment: all that is named. Without `container` and with one of its fields the pod's only one is meant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// The container that `state` to `backoff` are about.
    pub container: Option<String>,
    /// `Waiting`, `Running` or `Terminated`.
    pub state: Option<StateWord>,
    /// Of the state: `CrashLoopBackOff`, `OOMKilled`. Without a container: `status.reason`.
    pub reason: Option<Text>,
    /// Of the state. Without a container: `status.message`.
    pub message: Option<Text>,
    /// Of the terminated state.
    pub exit_code: Option<Number>,
    /// Of the instance before: `lastState.terminated.reason`.
    pub last_reason: Option<Text>,
    /// Of the instance before: `lastState.terminated.exitCode`.
    pub last_exit_code: Option<Number>,
    /// Of the instance before: `lastState.terminated.message`.
    pub last_message: Option<Text>,
    /// `ready`. Without a container: the condition Ready is True.
    pub ready: Option<bool>,
    /// `started`.
    pub started: Option<bool>,
    /// `restartCount`. Without a container: of all that count, as the column RESTARTS shows.
    pub restarts: Option<Number>,
    /// The crash back-off that keeps it waiting, 0s where it does not.
    pub backoff: Option<SpanBound>,
    /// `status.phase`.
    pub phase: Option<Text>,
    /// The word in the column STATUS; `Ready` stands for a pod whose condition Ready is True.
    pub status: Option<Text>,
    /// The conditions by type: `True`, `False`, or with the reason, `False/ContainersNotReady`.
    pub conditions: Option<BTreeMap<String, ConditionValue>>,
    /// The pod object is gone.
    pub deleted: Option<bool>,
    /// The pod is deleted, and still there.
    pub terminating: Option<bool>,
    /// There is such an event.
    pub event: Option<EventBound>,
    /// Columns of `podlet get pods -o wide`, by their headings: `NAME READY STATUS RESTARTS AGE`. With `equals`.
    pub get: Option<String>,
    /// What those columns show, several blanks counting as one: `web 0/1 CrashLoopBackOff 1 (8s ago) 10s`.
    pub equals: Option<String>,
    /// A CEL expression over `pod` (v1.Pod), `status`, `spec`, `metadata`, `containers`, `events`, `time` and `now`.
    pub expression: Option<String>,
    /// The same as `expression`.
    pub cel: Option<String>,
    /// None of this holds.
    pub not: Option<Box<Condition>>,
    /// One of these holds.
    pub any: Option<Vec<Condition>>,
    /// All of these hold.
    pub all: Option<Vec<Condition>>,
    /// Only while this holds, too. With `always`: else nothing is demanded.
    #[serde(rename = "while")]
    pub holding: Option<Box<Condition>>,
}

/// The value of a condition.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum ConditionValue {
    /// `true` for `"True"`.
    Plain(bool),
    /// `True`, `False/Reason`.
    Words(String),
}

/// A duration, or bounds of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum SpanBound {
    /// Exactly this.
    Exactly(Span),
    /// Between these.
    Bounds(SpanBounds),
}

/// Bounds of a duration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct SpanBounds {
    /// Equal.
    pub eq: Option<Span>,
    /// Not equal.
    pub ne: Option<Span>,
    /// At least.
    pub ge: Option<Span>,
    /// At most.
    pub le: Option<Span>,
    /// More than.
    pub gt: Option<Span>,
    /// Less than.
    pub lt: Option<Span>,
}

/// An event of the pod, as `podlet events` lists it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct EventBound {
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// `BackOff`, `Killing`.
    pub reason: Option<Text>,
    /// Its text.
    pub message: Option<Text>,
    /// How often it was counted (at least once), summed over those that fit.
    pub count: Option<Number>,
    /// Only events of this container.
    pub container: Option<String>,
}

/// How often, or when, something happens.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Count {
    /// What: `app.Started`, `"*.Killing"`.
    pub of: String,
    /// How often.
    pub is: Option<Number>,
    /// When, one after another, give or take `within`.
    pub at: Option<Vec<Span>>,
}

/// Why an instance ended, was stopped or was started.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Cause {
    /// Which container; the only one where the pod has one.
    pub container: String,
    /// Which of its instances, from 1 (1): the first is the one whose restart count is 0.
    pub instance: Option<u32>,
    /// Why it ended: `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerStatusUnknown`, an exit code or a signal.
    pub is: Option<Text>,
    /// The rule by which it was started: `R-4.4-c`.
    pub started_by: Option<String>,
    /// The rule by which it was told to stop or killed: `R-8.1-a`.
    pub stopped_by: Option<String>,
}

/// A rule that decided, or must not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum RuleAssert {
    /// It decided at least once.
    Name(String),
    /// In full.
    Full(RuleBound),
}

/// How often a rule decided.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct RuleBound {
    /// Its name, as in docs/rules.md.
    pub name: String,
    /// Only about this container.
    pub container: Option<String>,
    /// How often (at least once).
    pub is: Option<Number>,
}
