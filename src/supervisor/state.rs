//! What a supervisor knows, and the records of which that is the fold. Pure: the same records make the same state.

use std::collections::{BTreeMap, VecDeque};

use k8s_openapi::api::core::v1::Pod;
use serde::{Deserialize, Serialize};

use super::journal::Header;
use crate::image::Image;
use crate::pod::effect::{Action, Effect, EffectId};
use crate::pod::input::{Fact, Input};
use crate::pod::machine::{self, Machine, Settings, hash_json};
use crate::pod::time::Moment;

/// Of records and snapshots.
pub const FORMAT: u32 = 2;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "camelCase")]
pub enum Record {
    /// The first of all: the pod was admitted.
    Admitted {
        /// When.
        at: Moment,
        /// With which numbers: a journal is replayed when the orders of its pod are long gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<Box<Settings>>,
        /// What followed.
        effects: Vec<Asked>,
        /// Of the machine afterwards.
        digest: u64,
    },
    /// The machine was told a fact.
    Told {
        /// Which, and when.
        input: Input,
        /// The keeper's report that it comes from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report: Option<ReportName>,
        /// With [`Fact::ImageReady`]: the image, for the start that follows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<Box<Image>>,
        /// What followed.
        effects: Vec<Asked>,
        /// Of the input and of the machine afterwards.
        digest: u64,
    },
    /// A report of the keeper's that means nothing to the machine (an exec's end, an orphan's).
    Taken {
        /// Which.
        report: ReportName,
        /// An exec's exit code: its client may ask for it after this supervisor's death.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
    },
    /// A process was made for an effect.
    Spawned {
        /// Which effect.
        id: EffectId,
        /// What it is.
        process: Process,
    },
    /// An effect that no fact answers was carried out.
    Done {
        /// Which.
        id: EffectId,
    },
    /// A fact was not told to the machine, since that panicked at it twice.
    SetAside {
        /// Which.
        fact: Box<Fact>,
        /// The keeper's report that it comes from.
        report: Option<ReportName>,
        /// What the machine said as it died.
        panic: String,
    },
}

/// An effect as it is journalled: enough to carry it out again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// What it is.
    pub id: EffectId,
    /// What is to be done.
    pub action: Action,
}

impl From<&Effect> for Asked {
    fn from(effect: &Effect) -> Asked {
        Asked { id: effect.id.clone(), action: effect.action.clone() }
    }
}

/// One exit as the keeper reported it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportName {
    /// The launch whose keeper gave the number: another keeper counts anew.
    #[serde(default)]
    pub launch: String,
    /// Rising; a number that was journalled is never told again.
    pub sequence: u64,
    /// The id of its spawn; empty for an orphan.
    pub id: String,
}

/// A process by what cannot be another one's in the same boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// When it was started, in ticks since boot.
    pub started: u64,
}

/// A process that runs as far as the journal knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Which instance.
    pub attempt: u32,
    /// The id of its spawn.
    pub id: EffectId,
}

/// A fact that was set aside, for the status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetAside {
    /// Which.
    pub fact: Fact,
    /// What the machine said as it died.
    pub panic: String,
}

/// The fold of all records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The pure part.
    pub machine: Machine,
    /// Asked for and not answered yet, nor done. These are carried out (again) by a supervisor that takes over.
    /// In the order in which they were asked for.
    pub pending: Vec<Asked>,
    /// The image of each container's latest start: attempt and image.
    pub images: BTreeMap<String, (u32, Image)>,
    /// Containers that run.
    pub containers: BTreeMap<String, Running>,
    /// Pause.
    pub sandbox: Option<Running>,
    /// The processes of these and of starts under way, by the ids of their spawns: should they lose their parents, they are
    /// found by it.
    #[serde(default)]
    pub processes: BTreeMap<String, Process>,
    /// The last report taken into the journal.
    pub report: Option<ReportName>,
    /// Facts that the machine was not told.
    pub set_aside: Vec<SetAside>,
    /// The codes of the latest execs by the ids of their spawns, for clients that lost their supervisor meanwhile.
    #[serde(default)]
    pub exec_codes: VecDeque<(String, i32)>,
}

/// How many ended execs are remembered.
const EXEC_CODES: usize = 64;

/// A record that a machine of this version decides otherwise about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disagreement;

impl State {
    /// The pod is admitted.
    pub fn admit(pod: Pod, settings: Settings, at: Moment) -> (State, Record) {
        let own = Some(Box::new(settings.clone()));
        let (machine, decision) = Machine::admit(pod, settings, at);
        let effects: Vec<Asked> = decision.effects.iter().map(Asked::from).collect();
        let record = Record::Admitted { at, settings: own, effects: effects.clone(), digest: machine.digest() };
        let mut state = State {
            machine,
            pending: Vec::new(),
            images: BTreeMap::new(),
            containers: BTreeMap::new(),
            sandbox: None,
            processes: BTreeMap::new(),
            report: None,
            set_aside: Vec::new(),
            exec_codes: VecDeque::new(),
        };
        state.ask(&effects);
        (state, record)
    }

    /// Tells the machine a fact. The record that is answered must be in the journal before anything of it shows.
    pub fn tell(&mut self, input: Input, report: Option<ReportName>, image: Option<Box<Image>>) -> Record {
        let decision = self.machine.step(&input);
        let effects: Vec<Asked> = decision.effects.iter().map(Asked::from).collect();
        let digest = digest(&input, &self.machine);
        self.learn(&input.fact, report.as_ref(), image.as_deref());
        self.ask(&effects);
        Record::Told { input, report, image, effects, digest }
    }

    /// Goes over a record that was journalled by the same version of the machine: the machine decides again, and must
    /// come to the same.
    pub fn fold(&mut self, record: &Record) -> Result<(), Disagreement> {
        let Record::Told { input, report, image, effects, digest } = record else {
            self.note(record);
            return Ok(());
        };
        self.machine.step(input);
        self.learn(&input.fact, report.as_ref(), image.as_deref());
        // What was asked for is what the record says, even when the machine would not ask for it any more.
        self.ask(effects);
        if self::digest(input, &self.machine) == *digest { Ok(()) } else { Err(Disagreement) }
    }

    /// Goes over a record that another version journalled: what was decided is taken as a fact. Answers the ids of effects
    /// that this version does not know.
    pub fn assume(&mut self, record: &Record) -> Vec<EffectId> {
        let Record::Told { input, report, image, effects, .. } = record else {
            self.note(record);
            return Vec::new();
        };
        let ids: Vec<EffectId> = effects.iter().map(|asked| asked.id.clone()).collect();
        let unknown = self.machine.assume(input, &ids);
        self.learn(&input.fact, report.as_ref(), image.as_deref());
        self.ask(effects);
        unknown
    }

    /// Takes in a record that the machine is not told of.
    pub fn note(&mut self, record: &Record) {
        match record {
            Record::Admitted { .. } | Record::Told { .. } => {}
            Record::Taken { report, code } => {
                self.report = Some(report.clone());
                if let Some(code) = code {
                    self.exec_codes.push_back((report.id.clone(), *code));
                    if self.exec_codes.len() > EXEC_CODES {
                        self.exec_codes.pop_front();
                    }
                }
            }
            Record::Spawned { id, process } => {
                self.processes.insert(id.0.clone(), *process);
            }
            Record::Done { id } => {
                self.pending.retain(|asked| asked.id != *id);
            }
            Record::SetAside { fact, report, panic } => {
                self.set_aside.push(SetAside { fact: (**fact).clone(), panic: panic.clone() });
                if report.is_some() {
                    self.report.clone_from(report);
                }
            }
        }
    }

    fn ask(&mut self, effects: &[Asked]) {
        for asked in effects {
            if !self.is_pending(&asked.id) {
                self.pending.push(asked.clone());
            }
        }
    }

    /// What was asked for under this id and is neither answered nor done.
    pub fn pending_action(&self, id: &EffectId) -> Option<Action> {
        self.pending.iter().find(|asked| asked.id == *id).map(|asked| asked.action.clone())
    }

    /// Whether this was asked for and is neither answered nor done.
    pub fn is_pending(&self, id: &EffectId) -> bool {
        self.pending.iter().any(|asked| asked.id == *id)
    }

    /// What a fact changes beside the machine: which effects it answers, what runs.
    fn learn(&mut self, fact: &Fact, report: Option<&ReportName>, image: Option<&Image>) {
        if let Some(report) = report {
            self.report = Some(report.clone());
        }
        match fact {
            Fact::SandboxStarted { attempt, .. } => {
                let id = self.answer(|action| *action == Action::StartSandbox { attempt: *attempt });
                self.sandbox = id.map(|id| Running { attempt: *attempt, id });
            }
            Fact::SandboxFailed { attempt, .. } | Fact::MountFailed { attempt: Some(attempt), .. } => {
                self.answer(|action| *action == Action::StartSandbox { attempt: *attempt });
            }
            Fact::SandboxExited { attempt } => {
                self.answer(|action| {
                    *action == Action::StartSandbox { attempt: *attempt }
                        || *action == Action::StopSandbox { attempt: *attempt }
                });
                self.sandbox = self.sandbox.take().filter(|running| running.attempt != *attempt);
            }
            Fact::ImageReady { container, attempt, .. } | Fact::ImageFailed { container, attempt, .. } => {
                self.answer(|action| matches!(action, Action::EnsureImage { container: c, attempt: a } if (c, a) == (container, attempt)));
                if let Some(image) = image {
                    self.images.insert(container.clone(), (*attempt, image.clone()));
                }
            }
            Fact::ContainerStarted { container, attempt, .. } => {
                if let Some(id) = self.answer(|action| is_start(action, container, *attempt)) {
                    self.containers.insert(container.clone(), Running { attempt: *attempt, id });
                }
            }
            Fact::StartFailed { container, attempt, .. } => {
                self.answer(|action| is_start(action, container, *attempt) || is_end(action, container, *attempt));
            }
            Fact::ContainerExited { container, attempt, .. } | Fact::ContainerLost { container, attempt, .. } => {
                self.answer(|action| {
                    is_start(action, container, *attempt)
                        || is_end(action, container, *attempt)
                        || is_hook(action, container, *attempt)
                });
                if self.containers.get(container).is_some_and(|running| running.attempt == *attempt) {
                    self.containers.remove(container);
                }
            }
            Fact::HookEnded { container, attempt, hook, .. } => {
                self.answer(|action| matches!(action, Action::RunHook { container: c, attempt: a, hook: h } if (c, a, h) == (container, attempt, hook)));
            }
            Fact::Resized { generation, .. } => {
                self.answer(|action| *action == Action::ResizePod { generation: *generation });
            }
            Fact::Rebooted => {
                // No process of the other boot is left to be waited for, and its keeper numbered its reports anew.
                self.pending.clear();
                self.containers.clear();
                self.sandbox = None;
                self.report = None;
            }
            Fact::TornDown => {
                self.answer(|action| *action == Action::TearDown);
            }
            _ => {}
        }
        let mut processes = std::mem::take(&mut self.processes);
        processes.retain(|id, _| self.is_pending(&EffectId(id.clone())) || self.runs(id));
        self.processes = processes;
    }

    /// Whether the spawn of this id is a container or the sandbox that runs as far as the journal knows.
    pub fn runs(&self, id: &str) -> bool {
        self.containers.values().chain(&self.sandbox).any(|running| running.id.0 == id)
    }

    /// Removes the pending effects that a fact answers; the id of one of them.
    fn answer(&mut self, answered: impl Fn(&Action) -> bool) -> Option<EffectId> {
        let id = self.pending.iter().find(|asked| answered(&asked.action)).map(|asked| asked.id.clone());
        self.pending.retain(|asked| !answered(&asked.action));
        id
    }
}

/// What a record says of an input and of the machine that has taken it. The input is in it, since a fact may leave no trace in
/// the machine (a success behind a success), and a journal is to vouch for what it tells.
pub fn digest(input: &Input, machine: &Machine) -> u64 {
    hash_json(input).rotate_left(1) ^ machine.digest()
}

fn is_start(action: &Action, container: &str, attempt: u32) -> bool {
    matches!(action, Action::StartContainer { container: c, attempt: a } if c == container && *a == attempt)
}

fn is_hook(action: &Action, container: &str, attempt: u32) -> bool {
    matches!(action, Action::RunHook { container: c, attempt: a, .. } if c == container && *a == attempt)
}

fn is_end(action: &Action, container: &str, attempt: u32) -> bool {
    matches!(action,
        Action::SignalContainer { container: c, attempt: a, .. } | Action::KillContainer { container: c, attempt: a }
            if c == container && *a == attempt)
}

/// A snapshot: the state before the segment of the same number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Of which format and machine.
    pub header: Header,
    /// The state.
    pub state: State,
}

/// The header of what this program writes now.
pub fn header() -> Header {
    Header {
        format: FORMAT,
        machine: machine::VERSION,
        boot_id: super::clock::boot_id(),
        program: crate::VERSION.to_owned(),
    }
}

#[cfg(test)]
#[path = "state_test.rs"]
mod tests;
