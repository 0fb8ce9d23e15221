//! How the containers of a recorded run behaved, and what happened to the pod: the world around the machine, as far as the
//! journal tells of it.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use serde_json::Value;

use super::replay::{self, Care, Outcome, Step};
use crate::pod::effect::Action;
use crate::pod::hook::HookKind;
use crate::pod::input::{Exit, Fact, ImageFailure, ProbeOutcome, StartStage, TerminationMessage};
use crate::pod::machine::Settings;
use crate::pod::probe::ProbeKind;
use crate::pod::room::Room;
use crate::pod::storage::Usage;
use crate::pod::time::BootTime;
use crate::supervisor::history::History;

/// What a run tells of the world.
#[derive(Debug, Default)]
pub struct Behaviour {
    /// The pod as it was admitted.
    pub pod: Pod,
    /// With these numbers.
    pub settings: Settings,
    /// Its addresses.
    pub ips: Vec<String>,
    /// Each container's instances, and the starts that came to none, one after another.
    pub instances: BTreeMap<String, Vec<Instance>>,
    /// What was done to the pod.
    pub deeds: Vec<(Duration, Deed)>,
    /// How long it was waited, before the first sandbox stood, until one that had failed was tried again.
    pub retried: Duration,
    /// What happened and has no place here.
    pub left_out: Vec<String>,
    /// The last thing happened then.
    pub last: Duration,
    /// How it was gone over, and the machine at its end.
    pub outcome: Outcome,
}

/// One start and what came of it. Times are since the pod's admission.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The start was decided.
    pub asked: Duration,
    /// How long its image was pulled.
    pub pulled: Option<Duration>,
    /// What became of the start.
    pub start: Start,
    /// How it ended, and how long after its start.
    pub end: Option<End>,
    /// It was told to stop, so long after its start, by this signal.
    pub signalled: Option<(Duration, String)>,
    /// It had to be killed.
    pub killed: bool,
    /// What its probes found when it was so old, as far as that changed anything.
    pub probes: BTreeMap<ProbeKind, Vec<(Duration, ProbeOutcome)>>,
    /// How long its hooks took, and how they failed.
    pub hooks: BTreeMap<HookKind, HookRun>,
    started_boot: BootTime,
}

/// What became of a start.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// It is under way.
    UnderWay,
    /// Its program ran.
    Started(Duration),
    /// Its image could not be had.
    NoImage(ImageFailure, String),
    /// It could not be started.
    Failed(StartStage, String),
}

/// How an instance ended.
#[derive(Clone, Debug)]
pub struct End {
    /// So long after its start.
    pub after: Duration,
    /// So.
    pub exit: Exit,
    /// The memory controller killed something in it.
    pub oom_killed: bool,
    /// What it left behind.
    pub message: TerminationMessage,
}

/// One run of a hook.
#[derive(Clone, Debug, Default)]
pub struct HookRun {
    begun: Duration,
    /// So long; none when its end was not heard of.
    pub took: Option<Duration>,
    /// What went wrong.
    pub failure: Option<String>,
}

/// What was done to the pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// The user deleted it.
    Delete(Option<i64>, bool),
    /// It was stopped.
    Stop(Option<i64>),
    /// The machine was started anew.
    Reboot,
    /// Its pause process died.
    LoseSandbox,
    /// A container could not be found any more.
    Lose(String),
    /// The next sandboxes could not be made, so many of them.
    SandboxError(String, u32),
    /// The volumes could not be set up the next times, so many of them.
    VolumeError(String, u32),
    /// A re-apply changed these containers' images, cpu and memory: what they are then, by name.
    Apply(Vec<(String, Changed)>),
    /// The change of cpu and memory could not be put in force.
    ResizeError(String),
    /// The user asked for a restart of a container, or of all.
    Restart(Option<String>),
    /// An ephemeral container was added, in the place of another one perhaps.
    Debug(String, Option<String>),
    /// So much local storage was in use, which was too much.
    UseStorage(Usage),
    /// There was so much room for a resize.
    MakeRoom(Room),
}

impl Instance {
    fn asked(at: Duration) -> Instance {
        Instance {
            asked: at,
            pulled: None,
            start: Start::UnderWay,
            end: None,
            signalled: None,
            killed: false,
            probes: BTreeMap::new(),
            hooks: BTreeMap::new(),
            started_boot: BootTime::default(),
        }
    }

    /// When its program ran.
    pub fn started(&self) -> Option<Duration> {
        if let Start::Started(at) = self.start { Some(at) } else { None }
    }

    /// How long it is known to have run, up to the run's end.
    pub fn known_for(&self, last: Duration) -> Duration {
        match &self.end {
            Some(end) => end.after,
            None => self.started().map_or(Duration::ZERO, |started| last.saturating_sub(started)),
        }
    }
}

impl Behaviour {
    /// Of a run.
    pub fn of(history: &History) -> Behaviour {
        let mut behaviour = Behaviour::default();
        let mut watch = Watch::default();
        behaviour.outcome = replay::go_over(history, Care::Tell, &mut |step| watch.see(step, &mut behaviour));
        behaviour
    }
}

/// What has to be remembered from one step to the next.
#[derive(Default)]
struct Watch {
    admitted: bool,
    sandbox_stops: bool,
    /// Since when the latest sandbox stands.
    sandbox_since: Option<Duration>,
    /// When one could not be made, until it is tried again.
    sandbox_failed: Option<Duration>,
    changeable: BTreeMap<String, Changed>,
    /// Where in the deeds the latest re-apply is, whose resize may fail.
    applied: Option<Duration>,
}

/// What may change of a container that runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    /// Its image.
    pub image: String,
    /// Its cpu and memory.
    pub resources: Option<ResourceRequirements>,
}

impl Watch {
    fn see(&mut self, step: &Step<'_>, into: &mut Behaviour) {
        if !std::mem::replace(&mut self.admitted, true) {
            into.pod = step.machine.pod();
            into.settings = step.machine.settings().clone();
            self.changeable = changeable(&into.pod);
        }
        into.last = step.at;
        if let Some(input) = step.input {
            self.fact(step, &input.fact, input.at.boot, into);
        }
        for (_, action) in step.effects {
            self.action(step.at, action, into);
        }
    }

    fn action(&mut self, at: Duration, action: &Action, into: &mut Behaviour) {
        match action {
            Action::EnsureImage { container, .. } => {
                into.instances.entry(container.clone()).or_default().push(Instance::asked(at));
            }
            Action::SignalContainer { container, signal, .. } => {
                if let Some((instance, started)) = running(into, container) {
                    instance.signalled.get_or_insert((at.saturating_sub(started), signal.clone()));
                }
            }
            Action::KillContainer { container, .. } => {
                if let Some((instance, _)) = running(into, container) {
                    instance.killed = true;
                }
            }
            Action::RunHook { container, hook, .. } => {
                if let Some((instance, _)) = running(into, container) {
                    instance.hooks.insert(*hook, HookRun { begun: at, ..HookRun::default() });
                }
            }
            Action::StartSandbox { .. } => {
                let failed = self.sandbox_failed.take().filter(|_| self.sandbox_since.is_none());
                into.retried += failed.map_or(Duration::ZERO, |failed| at.saturating_sub(failed));
            }
            Action::StopSandbox { .. } => self.sandbox_stops = true,
            _ => {}
        }
    }

    /// A sandbox could not be made: it was the next one after that which stands, or stood last. Several of one kind come in order.
    fn next_fails(&mut self, at: Duration, into: &mut Behaviour, message: &str, deed: fn(String, u32) -> Deed) {
        self.sandbox_failed = Some(at);
        let since = self.sandbox_since.unwrap_or_default();
        let same = |one: &&mut (Duration, Deed)| {
            let (at, Deed::SandboxError(text, times) | Deed::VolumeError(text, times)) = one else { return false };
            *at == since && text == message && **one == (*at, deed(text.clone(), *times))
        };
        match into.deeds.iter_mut().rev().find(same) {
            Some((_, Deed::SandboxError(_, times) | Deed::VolumeError(_, times))) => *times += 1,
            _ => into.deeds.push((since, deed(message.to_owned(), 1))),
        }
    }

    fn fact(&mut self, step: &Step<'_>, fact: &Fact, boot: BootTime, into: &mut Behaviour) {
        let at = step.at;
        let mut deed = |deed| into.deeds.push((at, deed));
        match fact {
            Fact::SandboxStarted { ips, .. } => {
                into.ips.clone_from(ips);
                (self.sandbox_stops, self.sandbox_since) = (false, Some(at));
            }
            Fact::SandboxFailed { message, .. } => self.next_fails(at, into, message, Deed::SandboxError),
            Fact::MountFailed { attempt: Some(_), messages } => {
                self.next_fails(at, into, &messages.join("; "), Deed::VolumeError);
            }
            Fact::SandboxExited { .. } if !self.sandbox_stops => deed(Deed::LoseSandbox),
            Fact::DeleteRequested { grace_seconds, force } => deed(Deed::Delete(*grace_seconds, *force)),
            Fact::StopRequested { most_seconds } => deed(Deed::Stop(*most_seconds)),
            Fact::Rebooted => deed(Deed::Reboot),
            Fact::ContainerLost { container, .. } => {
                deed(Deed::Lose(container.clone()));
                if let Some((instance, started)) = running(into, container) {
                    instance.end = Some(End {
                        after: at.saturating_sub(started),
                        exit: Exit::Signal(9),
                        oom_killed: false,
                        message: TerminationMessage::default(),
                    });
                }
            }
            Fact::SpecChanged { .. } => {
                let now = changeable(&step.machine.pod());
                let changed = now.iter().filter(|(name, one)| self.changeable.get(*name) != Some(one));
                let changed: Vec<(String, Changed)> = changed.map(|(name, one)| (name.clone(), one.clone())).collect();
                if !changed.is_empty() {
                    deed(Deed::Apply(changed));
                }
                self.changeable = now;
                self.applied = Some(at);
            }
            // What is to fail has to be said before.
            Fact::Resized { failure: Some(failure), .. } => {
                into.deeds.push((self.applied.unwrap_or(at), Deed::ResizeError(failure.clone())));
            }
            Fact::RestartRequested { container } => deed(Deed::Restart(container.clone())),
            Fact::EphemeralContainerAdded { container, holds } => {
                let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
                deed(Deed::Debug(name.to_owned(), holds.clone()));
            }
            Fact::RoomMeasured { room } => deed(Deed::MakeRoom(*room)),
            Fact::StorageMeasured { usage } => deed(Deed::UseStorage(usage.clone())),
            Fact::ImageReady { container, pulled, .. } => {
                if let (Some(instance), Some(pulled)) = (latest(into, container), pulled) {
                    instance.pulled = Some(Duration::from_millis(pulled.with_waiting_milliseconds));
                }
            }
            Fact::ImageFailed { container, reason, message, .. } => {
                if let Some(instance) = latest(into, container) {
                    instance.start = Start::NoImage(*reason, message.clone());
                }
            }
            Fact::StartFailed { container, stage, message, .. } => {
                if let Some(instance) = latest(into, container) {
                    instance.start = Start::Failed(*stage, message.clone());
                }
            }
            Fact::ContainerStarted { container, .. } => {
                if let Some(instance) = latest(into, container) {
                    instance.start = Start::Started(at);
                    instance.started_boot = boot;
                }
            }
            Fact::ContainerExited { container, exit, oom_killed, message, .. } => {
                if let Some((instance, _)) = running(into, container) {
                    // By the kernel's time, however late it was heard.
                    let after = boot.since(instance.started_boot);
                    let (exit, oom_killed, message) = (*exit, *oom_killed, message.clone());
                    instance.end = Some(End { after, exit, oom_killed, message });
                }
            }
            Fact::ProbeResult { container, probe, begun, outcome, .. } => {
                if let Some((instance, _)) = running(into, container) {
                    let age = begun.since(instance.started_boot);
                    instance.probes.entry(*probe).or_default().push((age, outcome.clone()));
                }
            }
            Fact::HookEnded { container, hook, failure, .. } => {
                if let Some(run) = running(into, container).and_then(|(instance, _)| instance.hooks.get_mut(hook)) {
                    run.took = Some(at.saturating_sub(run.begun));
                    run.failure.clone_from(failure);
                }
            }
            _ => {}
        }
    }
}

fn latest<'b>(into: &'b mut Behaviour, container: &str) -> Option<&'b mut Instance> {
    into.instances.get_mut(container)?.last_mut()
}

/// The instance that runs, and since when.
fn running<'b>(into: &'b mut Behaviour, container: &str) -> Option<(&'b mut Instance, Duration)> {
    let instance = latest(into, container).filter(|instance| instance.end.is_none())?;
    let started = instance.started()?;
    Some((instance, started))
}

fn changeable(pod: &Pod) -> BTreeMap<String, Changed> {
    let spec = pod.spec.iter();
    let all = spec.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    let one = |container: &Container| Changed {
        image: container.image.clone().unwrap_or_default(),
        resources: container.resources.clone(),
    };
    all.map(|container| (container.name.clone(), one(container))).collect()
}
