//! The machine: everything that is known of one pod, and the two ways in: [`Machine::admit`] and [`Machine::step`]. The
//! supervisor runs it for real, `simulation` in virtual time. Here is the frame; how a fact changes the state is in `facts`,
//! what follows from a state in `decide` and `termination`, what a user sees in `status`, `conditions`, `phase`, `events`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod, PodSpec};
use serde::{Deserialize, Serialize};

use super::backoff::{Backoff, Limits};
use super::conditions::Published;
use super::container::{Container, Kind};
use super::effect::{Action, Decision, Effect, EffectId, EffectName, Note};
use super::events::EventLog;
use super::input::Input;
use super::numbers::Numbers;
use super::resize::Resize;
use super::restart::RestartPolicy;
use super::room::Allocation;
use super::rules::Rule;
use super::sandbox::Sandbox;
use super::storage::Exceeded;
use super::time::{BootTime, Moment, WallTime};
use crate::manifest::containers::{self, find_container};

/// The version of what a machine decides and how it keeps it. It stands in the header of every journal: a machine of
/// another version takes the effects recorded there as facts ([`Machine::assume`]) and decides only from there on.
/// Raise it with each change of a rule, of an id or of the state's form.
pub const VERSION: u32 = 9;

/// Numbers that a machine's owner may set; the defaults are the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// First crash back-off, milliseconds (lifecycle 4.4: 10 s).
    pub backoff_initial_milliseconds: u64,
    /// Largest crash back-off, milliseconds (300 s).
    pub backoff_maximum_milliseconds: u64,
    /// A run longer than this clears the back-off, milliseconds (600 s).
    pub backoff_reset_milliseconds: u64,
    /// The node's name as shown: the host name.
    pub node_name: String,
    /// The node's address as shown, if any.
    pub host_ip: Option<String>,
    /// What no user chooses. Not kept with a pod: they are the program's.
    #[serde(skip)]
    pub numbers: Numbers,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            backoff_initial_milliseconds: 10_000,
            backoff_maximum_milliseconds: 300_000,
            backoff_reset_milliseconds: 600_000,
            node_name: String::new(),
            host_ip: None,
            numbers: Numbers::KUBERNETES,
        }
    }
}

impl Settings {
    pub(super) fn crash_limits(&self) -> Limits {
        Limits {
            initial: Duration::from_millis(self.backoff_initial_milliseconds),
            maximum: Duration::from_millis(self.backoff_maximum_milliseconds),
            reset: Duration::from_millis(self.backoff_reset_milliseconds),
        }
    }
}

/// Everything that is known of one pod, and what follows from it. Serialized, it is the snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The object as applied; its status is computed, never read.
    pub(super) pod: Pod,
    pub(super) state: State,
}

/// All but the object itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub settings: Settings,
    /// A hash of the object, so that the digest need not read it all each time.
    pub pod_hash: u64,
    /// The latest time seen: the machine's own idea of now. Never goes back but at a reboot.
    pub clock: Moment,
    /// `status.startTime`.
    pub started: WallTime,
    pub course: Course,
    pub sandbox: Sandbox,
    /// In list order: the init containers, then the regular ones, then the ephemeral ones.
    pub containers: Vec<Container>,
    /// The containers (by index) that are still to be looked at in this round of starts: a container that crashes while a
    /// later one is being started waits until the round is over, as it would for a kubelet's next sync.
    pub round: Vec<usize>,
    /// The back-off of each image of the pod whose last pull failed.
    pub images: BTreeMap<String, ImageBackoff>,
    pub deletion: Option<Deletion>,
    /// How long the pod had been active when this boot began, and when that was as far as it is concerned: what
    /// `activeDeadlineSeconds` counts.
    #[serde(default)]
    pub active: Option<Active>,
    /// The change of its cpu or memory that is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// Whether there is room for more of them.
    #[serde(default, skip_serializing_if = "Allocation::is_untouched")]
    pub allocation: Allocation,
    /// Why the pod has failed, when not by its containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The pod is stopped, or on its way there, to be set going again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt: Option<Halt>,
    pub events: EventLog,
    pub published: Published,
}

/// Where a pod is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Course {
    /// By the normal rules.
    Serving,
    /// The sandbox is gone: what runs is stopped, then it is made anew (lifecycle 9.2).
    Replacing,
    /// A container ended with a code for which all are restarted in place: what runs is stopped, then all begins anew (4.6).
    Resetting,
    /// The user asked for the same.
    Restarting,
    /// Everything is stopped for good: the pod is deleted, or all its work is done (8).
    Ending,
    /// Nothing runs any more; `TearDown` was asked for.
    TearingDown,
    /// Nothing is left but the object.
    TornDown,
    /// `Remove` was asked for.
    Removed,
}

/// The last failed pull of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ImageBackoff {
    pub backoff: Backoff,
    /// Its error, shown in ImagePullBackOff's message.
    pub message: String,
}

/// The user's deletion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Deletion {
    /// When it was asked for first.
    pub requested: Moment,
    /// `deletionGracePeriodSeconds`.
    pub grace_seconds: i64,
    /// `deletionTimestamp`.
    pub timestamp: WallTime,
}

/// How long a pod has been active, over reboots.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Active {
    /// Up to here.
    pub before: Duration,
    /// From here on.
    pub since: BootTime,
}

impl Active {
    /// Counted by the wall clock from the pod's start on: what is left when boot time began anew, or was not noted.
    pub fn by_wall(started: WallTime, at: Moment) -> Active {
        let before = u64::try_from(at.wall.0.saturating_sub(started.0)).unwrap_or(0);
        Active { before: Duration::from_nanos(before), since: at.boot }
    }
}

/// Why a pod has failed: `status.reason` and `status.message`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Failure {
    /// `activeDeadlineSeconds` have gone by.
    DeadlineExceeded,
    /// It uses more local storage than it may.
    Evicted(Exceeded),
}

impl Failure {
    pub fn reason(&self) -> &'static str {
        match self {
            Failure::DeadlineExceeded => "DeadlineExceeded",
            Failure::Evicted(_) => "Evicted",
        }
    }

    pub fn message(&self) -> &str {
        match self {
            Failure::DeadlineExceeded => "Pod was active on the node longer than the specified deadline",
            Failure::Evicted(exceeded) => &exceeded.message,
        }
    }

    /// The rule by which it has.
    pub fn rule(&self) -> &'static Rule {
        match self {
            Failure::DeadlineExceeded => super::rules::R_9_1_A,
            Failure::Evicted(exceeded) => exceeded.rule(),
        }
    }
}

/// A stop that is no end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Halt {
    /// No container has more grace than this.
    pub most_seconds: Option<i64>,
}

/// One step in the making: the state, and what was decided so far.
pub(super) struct Turn<'a> {
    pub pod: &'a mut Pod,
    pub state: &'a mut State,
    pub decision: Decision,
}

impl Machine {
    /// A machine for a defaulted, validated pod (with uid, namespace and creationTimestamp set), admitted at `at`;
    /// and its first effects.
    pub fn admit(pod: Pod, settings: Settings, at: Moment) -> (Machine, Decision) {
        let mut pod = pod;
        pod.status = None;
        pod.metadata.generation.get_or_insert(1);
        let node_name = settings.node_name.clone();
        if let Some(spec) = &mut pod.spec {
            spec.node_name = Some(node_name).filter(|name| !name.is_empty());
        }
        let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
        let init = init.map(|container| Container::new(&container.name, Kind::of_init(container)));
        let regular = pod.spec.iter().flat_map(|spec| &spec.containers);
        let regular = regular.map(|container| Container::new(&container.name, Kind::Regular));
        let ephemeral = containers::ephemeral(&pod).map(|container| Container::new(&container.name, Kind::Ephemeral));
        let events = EventLog::new(&settings.numbers);
        let state = State {
            settings,
            pod_hash: hash_json(&pod),
            clock: at,
            started: at.wall,
            course: Course::Serving,
            sandbox: Sandbox::none(),
            containers: init.chain(regular).chain(ephemeral).collect(),
            round: Vec::new(),
            images: BTreeMap::new(),
            deletion: None,
            active: Some(Active { before: Duration::ZERO, since: at.boot }),
            resize: None,
            allocation: Allocation::default(),
            failure: None,
            halt: None,
            events,
            published: Published::default(),
        };
        let mut machine = Machine { pod, state };
        let decision = machine.turn(|turn| {
            turn.record_scheduled();
            turn.decide();
        });
        (machine, decision)
    }

    /// The machine on which the pod runs was started anew, and with it whoever runs the pod: from here on these numbers hold,
    /// as a kubelet reads its settings when it starts.
    pub fn take_settings(&mut self, settings: Settings) {
        self.state.settings = settings;
    }

    /// Takes one fact; answers what is to be done.
    pub fn step(&mut self, input: &Input) -> Decision {
        self.turn(|turn| {
            turn.take(input);
            turn.decide();
        })
    }

    /// Takes a fact of which another version of the machine has already decided: it changes the state as [`Machine::step`]
    /// does, but nothing is decided; the recorded effects, read from their ids, are taken as asked for. What they do not
    /// tell (why a container was stopped, a back-off refused without any effect) is found anew at the next `step`: no
    /// effect named here is ever asked for again, and none is taken back. Answers the ids that it could not read; an owner
    /// that gets some must say so, since what they asked for is not known here.
    pub fn assume(&mut self, input: &Input, effects: &[EffectId]) -> Vec<EffectId> {
        let mut unread = Vec::new();
        self.turn(|turn| {
            turn.take(input);
            for id in effects {
                let known = EffectName::read(id).is_some_and(|name| turn.mark_recorded(&name));
                if !known {
                    unread.push(id.clone());
                }
            }
        });
        unread
    }

    fn turn(&mut self, work: impl FnOnce(&mut Turn<'_>)) -> Decision {
        let mut turn = Turn { pod: &mut self.pod, state: &mut self.state, decision: Decision::default() };
        work(&mut turn);
        let mut decision = turn.decision;
        self.publish();
        decision.wake = self.wake();
        decision
    }

    /// The events so far, merged and counted as the API server's are, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.state.events.shown(&self.pod, &self.state.settings.node_name)
    }

    /// Every event so far, what is held back from [`Machine::events`] too: serial number, container, reason, text, count.
    pub fn recorded_events(&self) -> impl Iterator<Item = (u64, Option<&str>, &str, &str, u32)> {
        self.state.events.recorded()
    }

    /// The number of the sandbox that stands, if one does.
    pub fn standing_sandbox(&self) -> Option<u32> {
        let sandbox = &self.state.sandbox;
        (sandbox.state == super::sandbox::SandboxState::Ready).then_some(sandbox.attempt)
    }

    /// The latest time that the machine has heard of.
    pub fn clock(&self) -> Moment {
        self.state.clock
    }

    /// The numbers that hold for it.
    pub fn settings(&self) -> &Settings {
        &self.state.settings
    }

    /// A hash of the whole state; two machines of one version that saw the same inputs agree.
    pub fn digest(&self) -> u64 {
        hash_json(&self.state)
    }

    /// Each container with the number of the instance that runs or comes next: all before it have ended.
    pub fn instances(&self) -> Vec<(String, u32)> {
        let number = |container: &Container| container.running_attempt().unwrap_or_else(|| container.next_attempt());
        self.state.containers.iter().map(|container| (container.name.clone(), number(container))).collect()
    }

    /// Whether everything is being stopped, or is.
    pub fn is_ending(&self) -> bool {
        self.state.course >= Course::Ending
    }

    /// The instance that has ended last of the container in whose place this ephemeral one comes.
    pub fn left_by_held(&self, name: &str) -> Option<(&str, u32)> {
        let find = |name: &str| self.state.containers.iter().find(|container| container.name == name);
        let held = find(find(name)?.holds.as_deref()?)?;
        let record = held
            .record
            .as_ref()
            .filter(|record| held.exited().is_some() && Some(&record.spec_image) == self.image(name).as_ref())?;
        Some((&held.name, record.attempt))
    }

    fn image(&self, name: &str) -> Option<String> {
        find_container(&self.pod, name)?.image.clone()
    }

    /// Whether what this ended instance has left is what an ephemeral container would find that takes its place: it is the
    /// last one, and another would follow.
    pub fn may_be_looked_at(&self, name: &str, attempt: u32) -> bool {
        let Some(container) = self.state.containers.iter().find(|container| container.name == name) else {
            return false;
        };
        let last = container.record.as_ref().is_some_and(|record| record.attempt == attempt);
        let follows = self.state.is_held(container) || super::decide::wants_start(&self.pod, container);
        last && container.exited().is_some() && follows && !self.is_ending()
    }

    /// Whether the pod was stopped, or is being stopped, only to be set going again (R-9.4-b). One whose restart policy starts
    /// nothing any more is over like any other.
    pub fn is_stopped(&self) -> bool {
        let state = &self.state;
        state.halt.is_some() && state.deletion.is_none() && !super::termination::has_no_work_left(&self.pod, state)
    }

    /// How far the pod is on its way, as far as that is for good.
    pub(super) fn final_course(&self) -> Course {
        if self.is_stopped() { self.state.course.min(Course::Ending) } else { self.state.course }
    }

    /// Whether nothing is left to do but, after a deletion, nothing at all: the pod is in its final phase and torn down.
    pub fn is_torn_down(&self) -> bool {
        self.state.course >= Course::TornDown
    }

    /// Whether the object itself was asked to go.
    pub fn is_removed(&self) -> bool {
        self.state.course == Course::Removed
    }
}

impl Turn<'_> {
    pub(super) fn now(&self) -> BootTime {
        self.state.clock.boot
    }

    pub(super) fn numbers(&self) -> Numbers {
        self.state.settings.numbers
    }

    pub(super) fn spec(&self) -> Option<&PodSpec> {
        self.pod.spec.as_ref()
    }

    pub(super) fn container_spec(&self, index: usize) -> Option<Cow<'_, k8s_openapi::api::core::v1::Container>> {
        find_container(self.pod, &self.state.containers.get(index)?.name)
    }

    pub(super) fn pod_policy(&self) -> RestartPolicy {
        pod_policy(self.pod)
    }

    /// `name_namespace(uid)`, as messages name a pod.
    pub(super) fn pod_words(&self) -> String {
        let metadata = &self.pod.metadata;
        let word = |field: &Option<String>| field.clone().unwrap_or_default();
        format!("{}_{}({})", word(&metadata.name), word(&metadata.namespace), word(&metadata.uid))
    }

    /// Asks for something: marks it as asked for and puts it into the decision.
    pub(super) fn ask(&mut self, name: EffectName, rule: &'static Rule, because: BTreeMap<String, String>) {
        if !self.mark(&name) {
            return;
        }
        let effect = Effect { id: name.id(), action: action(name), rule: rule.id(), because };
        self.decision.effects.push(effect);
    }

    pub(super) fn note(&mut self, about: &str, rule: &'static Rule, because: BTreeMap<String, String>) {
        self.decision.notes.push(Note { about: about.to_owned(), rule: rule.id(), because });
    }
}

/// What a name asks for.
fn action(name: EffectName) -> Action {
    match name {
        EffectName::Sandbox { attempt, .. } => Action::StartSandbox { attempt },
        EffectName::StopSandbox { attempt } => Action::StopSandbox { attempt },
        EffectName::Image { container, attempt, .. } => Action::EnsureImage { container, attempt },
        EffectName::Start { container, attempt, .. } => Action::StartContainer { container, attempt },
        EffectName::Signal { container, attempt, signal } => Action::SignalContainer { container, attempt, signal },
        EffectName::Kill { container, attempt } => Action::KillContainer { container, attempt },
        EffectName::Probe { container, attempt, probe, .. } => Action::RunProbe { container, attempt, probe },
        EffectName::Hook { container, attempt, hook } => Action::RunHook { container, attempt, hook },
        EffectName::Resize { generation, .. } => Action::ResizePod { generation },
        EffectName::TearDown => Action::TearDown,
        EffectName::Remove => Action::Remove,
    }
}

pub(super) fn pod_policy(pod: &Pod) -> RestartPolicy {
    RestartPolicy::read(pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()))
}

/// The names of a pod's lasting containers, for telling whether a changed spec still has the same ones.
pub(super) fn container_names(pod: &Pod) -> BTreeSet<&str> {
    containers::lasting(pod).map(|container| container.name.as_str()).collect()
}

/// FNV-1a, 64 bits, over a value's JSON: stable over versions of Rust and of this program, unlike `DefaultHasher`.
pub fn hash_json(value: &impl Serialize) -> u64 {
    struct Fnv(u64);
    impl io::Write for Fnv {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    // Neither this writer nor these values (no maps with keys that are not strings) can fail; if one did, the hash of what
    // was written up to there would still be the same for the same value.
    let _ = serde_json::to_writer(&mut hash, value);
    hash.0
}

/// Names and values for a rule's `because`.
macro_rules! because {
    ($($name:literal: $value:expr),* $(,)?) => {
        std::collections::BTreeMap::from([$(($name.to_owned(), $value.to_string())),*])
    };
}
pub(super) use because;
