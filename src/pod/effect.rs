//! What the machine asks for. Effects are data: an id that says what it is, the action, and the rule that caused it.
//! The supervisor journals the ids before it carries anything out; the same id is never carried out twice.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::hook::HookKind;
use super::probe::ProbeKind;
use super::time::BootTime;

/// A name that says what the effect is: `sandbox/0`, `image/web/4`, `start/web/4`, `signal/web/4/SIGTERM`, `kill/web/4`,
/// `probe/web/4/liveness/17`, `hook/web/4/preStop`, `stop-sandbox/0`, `resize/2`, `teardown`, `remove`; a second try of something that failed has its number, `start/web/4#2`. Never a
/// running number: another version of the machine names the same thing alike. [`EffectName`] reads and writes it.
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
    /// Make the sandbox. Answer: `SandboxStarted`, `SandboxFailed` or `MountFailed`.
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
    /// Probe the container once. Asked for by [`super::prober::Prober`] alone; answer: `ProbeResult`.
    RunProbe {
        /// Which.
        container: String,
        /// Which instance.
        attempt: u32,
        /// Which probe.
        probe: ProbeKind,
    },
    /// Run a hook. Answer: `HookEnded`, unless the container ends first.
    RunHook {
        /// Of which container.
        container: String,
        /// Of which instance.
        attempt: u32,
        /// Which hook.
        hook: HookKind,
    },
    /// Bring cpu and memory of the pod's cgroups and of those of its running containers to what the spec says. Answer:
    /// `Resized`.
    ResizePod {
        /// Of which generation the spec is.
        generation: i64,
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
    /// What was decided without anything to be done: a restart refused by back-off, a container left ended.
    pub notes: Vec<Note>,
}

/// A decision that asks for nothing, and why; for `why` and `timeline`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// The container's name; empty for the pod.
    pub about: String,
    /// The rule.
    pub rule: RuleId,
    /// What the rule saw: names and values.
    pub because: BTreeMap<String, String>,
}

/// What an [`EffectId`] says, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EffectName {
    /// `sandbox/<attempt>`
    Sandbox {
        /// Which sandbox.
        attempt: u32,
        /// Which try, from 1.
        tries: u32,
    },
    /// `stop-sandbox/<attempt>`
    StopSandbox {
        /// Which sandbox.
        attempt: u32,
    },
    /// `image/<container>/<attempt>`
    Image {
        /// Which container.
        container: String,
        /// For which instance.
        attempt: u32,
        /// Which try, from 1.
        tries: u32,
    },
    /// `start/<container>/<attempt>`
    Start {
        /// Which container.
        container: String,
        /// Which instance.
        attempt: u32,
        /// Which try, from 1.
        tries: u32,
    },
    /// `signal/<container>/<attempt>/<signal>`
    Signal {
        /// Which container.
        container: String,
        /// Which instance.
        attempt: u32,
        /// The signal's name.
        signal: String,
    },
    /// `kill/<container>/<attempt>`
    Kill {
        /// Which container.
        container: String,
        /// Which instance.
        attempt: u32,
    },
    /// `probe/<container>/<attempt>/<kind>/<number>`
    Probe {
        /// Of which container.
        container: String,
        /// Of which instance.
        attempt: u32,
        /// Which probe.
        probe: ProbeKind,
        /// In which period since its first one, from 1.
        number: u32,
    },
    /// `hook/<container>/<attempt>/<kind>`
    Hook {
        /// Of which container.
        container: String,
        /// Of which instance.
        attempt: u32,
        /// Which hook.
        hook: HookKind,
    },
    /// `resize/<generation>`
    Resize {
        /// Of which spec.
        generation: i64,
        /// Which try, from 1.
        tries: u32,
    },
    /// `teardown`
    TearDown,
    /// `remove`
    Remove,
}

impl fmt::Display for EffectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = |tries: &u32| if *tries > 1 { format!("#{tries}") } else { String::new() };
        match self {
            EffectName::Sandbox { attempt, tries } => write!(f, "sandbox/{attempt}{}", again(tries)),
            EffectName::StopSandbox { attempt } => write!(f, "stop-sandbox/{attempt}"),
            EffectName::Image { container, attempt, tries } => {
                write!(f, "image/{container}/{attempt}{}", again(tries))
            }
            EffectName::Start { container, attempt, tries } => {
                write!(f, "start/{container}/{attempt}{}", again(tries))
            }
            EffectName::Signal { container, attempt, signal } => write!(f, "signal/{container}/{attempt}/{signal}"),
            EffectName::Kill { container, attempt } => write!(f, "kill/{container}/{attempt}"),
            EffectName::Probe { container, attempt, probe, number } => {
                write!(f, "probe/{container}/{attempt}/{}/{number}", probe.word())
            }
            EffectName::Hook { container, attempt, hook } => write!(f, "hook/{container}/{attempt}/{}", hook.word()),
            EffectName::Resize { generation, tries } => write!(f, "resize/{generation}{}", again(tries)),
            EffectName::TearDown => f.write_str("teardown"),
            EffectName::Remove => f.write_str("remove"),
        }
    }
}

impl EffectName {
    /// The id of that name.
    pub fn id(&self) -> EffectId {
        EffectId(self.to_string())
    }

    /// Takes an id apart; none when no version of the machine makes such an id.
    pub fn read(id: &EffectId) -> Option<EffectName> {
        let (path, tries) = match id.0.split_once('#') {
            Some((path, tries)) => (path, tries.parse().ok().filter(|tries| *tries > 1)?),
            None => (id.0.as_str(), 1),
        };
        let words: Vec<&str> = path.split('/').collect();
        let named = |container: &str| container.to_owned();
        Some(match (words.as_slice(), tries) {
            (["sandbox", attempt], _) => EffectName::Sandbox { attempt: attempt.parse().ok()?, tries },
            (["image", container, attempt], _) => {
                EffectName::Image { container: named(container), attempt: attempt.parse().ok()?, tries }
            }
            (["start", container, attempt], _) => {
                EffectName::Start { container: named(container), attempt: attempt.parse().ok()?, tries }
            }
            (["resize", generation], _) => EffectName::Resize { generation: generation.parse().ok()?, tries },
            (["stop-sandbox", attempt], 1) => EffectName::StopSandbox { attempt: attempt.parse().ok()? },
            (["signal", container, attempt, signal], 1) => EffectName::Signal {
                container: named(container),
                attempt: attempt.parse().ok()?,
                signal: (*signal).to_owned(),
            },
            (["kill", container, attempt], 1) => {
                EffectName::Kill { container: named(container), attempt: attempt.parse().ok()? }
            }
            (["probe", container, attempt, probe, number], 1) => EffectName::Probe {
                container: named(container),
                attempt: attempt.parse().ok()?,
                probe: ProbeKind::read(probe)?,
                number: number.parse().ok()?,
            },
            (["hook", container, attempt, hook], 1) => EffectName::Hook {
                container: named(container),
                attempt: attempt.parse().ok()?,
                hook: HookKind::read(hook)?,
            },
            (["teardown"], 1) => EffectName::TearDown,
            (["remove"], 1) => EffectName::Remove,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ids_are_read_as_written() {
        for id in [
            "sandbox/0",
            "sandbox/1#2",
            "stop-sandbox/1",
            "image/web/0",
            "image/web/3#12",
            "start/web/4",
            "start/web/0#2",
            "signal/web/4/SIGTERM",
            "kill/web/4",
            "probe/web/4/liveness/17",
            "hook/web/4/preStop",
            "resize/7",
            "resize/7#3",
            "teardown",
            "remove",
        ] {
            assert_eq!(EffectName::read(&EffectId(id.to_owned())).unwrap().to_string(), id);
        }
        for id in
            ["", "sandbox", "sandbox/x", "sandbox/0#1", "kill/web/1#2", "start/web/-1", "start/a/b/c", "teardown/1"]
        {
            assert_eq!(EffectName::read(&EffectId(id.to_owned())), None, "{id}");
        }
    }
}
