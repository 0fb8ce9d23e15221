//! What the machine asks for. Effects are data: an id that says what it is, the action, and the rule that caused it.
//! The supervisor journals the ids before it carries anything out; the same id is never carried out twice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::time::BootTime;

/// A name that says what the effect is: `sandbox/0`, `image/web/4`, `start/web/4`, `signal/web/4/SIGTERM`, `kill/web/4`,
/// `teardown`. Never a running number: another version of the machine names the same thing alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectId(pub String);

/// The name of a rule in `pod::rules`, such as `R-4.4-b`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(pub String);

/// One thing to be done, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// What it is.
    pub id: EffectId,
    /// What is to be done.
    pub action: Action,
    /// The rule that caused it.
    pub rule: RuleId,
    /// What the rule saw: names and values, for `why` and `timeline`.
    pub because: BTreeMap<String, String>,
}

/// What is to be done. The supervisor answers each with the fact named at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Action {
    /// Make the sandbox. Answer: `SandboxStarted` or `SandboxFailed`.
    StartSandbox {
        /// Which, from 0.
        attempt: u32,
    },
    /// End pause. Answer: `SandboxExited`.
    StopSandbox {
        /// Which.
        attempt: u32,
    },
    /// See to the image. Answer: `ImageReady` or `ImageFailed`.
    EnsureImage {
        /// For which container.
        container: String,
        /// For which instance.
        attempt: u32,
    },
    /// Configure, create and start. Answer: `ContainerStarted` or `StartFailed`.
    StartContainer {
        /// Which.
        container: String,
        /// Which instance.
        attempt: u32,
    },
    /// Send a signal to the container's first process.
    SignalContainer {
        /// Which.
        container: String,
        /// Which instance.
        attempt: u32,
        /// Its name, `SIGTERM`.
        signal: String,
    },
    /// SIGKILL everything in the container's cgroup. Answer: `ContainerExited`.
    KillContainer {
        /// Which.
        container: String,
        /// Which instance.
        attempt: u32,
    },
    /// Everything has ended: remove cgroups, mounts, volumes' mounts, run state but the kept one. Answer: `TornDown`.
    TearDown,
    /// The pod was deleted and is torn down: remove the object itself (kept state and logs). The last effect of all.
    Remove,
}

/// What one input led to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// In the order in which they are to be carried out.
    pub effects: Vec<Effect>,
    /// When the machine wants a `Tick` next; none when it waits for facts only.
    pub wake: Option<BootTime>,
}
