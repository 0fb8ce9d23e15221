//! What somebody knows of a pod who sees only what the machine is told and what it asks for: which instances run, what their
//! probes have found, who was told to stop and when, and how long a crashed container has to wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};

use super::known::{Entry, Known, Life, settling};
use super::{Breach, Property};
use crate::pod::container::Kind;
use crate::pod::effect::{Action, Effect};
use crate::pod::hook::HookKind;
use crate::pod::machine::Settings;
use crate::pod::probe::ProbeKind;
use crate::pod::restart::RestartPolicy;
use crate::simulation::script::Script;

/// What is known.
#[derive(Debug)]
pub struct Ledger {
    /// What was found amiss.
    pub found: Vec<Breach>,
    pub(super) now: Duration,
    pub(super) settings: Settings,
    pub(super) policy: RestartPolicy,
    /// The spec's grace period.
    pub(super) grace: Duration,
    /// The pod is limited in time, or has used too much storage, or waits for others to be Ready.
    pub(super) limited: bool,
    pub(super) evicted: bool,
    pub(super) gated: bool,
    /// How much room there is for a resize was measured: whether one is carried out is not reckoned.
    pub(super) crowded: bool,
    /// Init containers and sidecars first, in list order.
    pub(super) containers: Vec<Known>,
    /// The names of ephemeral containers.
    pub(super) ephemeral: BTreeSet<String>,
    /// Starts take so long at most: latency, pulls, hooks, init containers, first probes, and the tolerance.
    pub(super) settling: Duration,
    /// By so much everything may be late.
    pub(super) tolerance: Duration,
    pub(super) sandbox: Sandbox,
    /// All before the regular containers was done in this sandbox.
    pub(super) initialized: bool,
    pub(super) deletion: Option<Deletion>,
    pub(super) halted: bool,
    /// An exit by whose code all containers are restarted, or the user's wish for it.
    pub(super) resetting: bool,
    /// Whether all begin anew, as far as that can be told.
    pub(super) anew: Option<bool>,
    /// The pod has no work left since then.
    pub(super) over_since: Option<Duration>,
    /// The supervisor is away.
    pub(super) away: Option<(Duration, Duration)>,
    /// When the world last did something to the pod.
    pub(super) disturbed: Duration,
    /// When, as far as is known, all that keeps the pod from being Ready is over.
    pub(super) calm: Duration,
    /// A pull failed then.
    pub(super) pull_failed: Option<Duration>,
    /// A container is on its way: its start was asked for, or its postStart hook runs.
    pub(super) starting: Option<usize>,
    /// What a user saw last.
    pub(super) phase: String,
    pub(super) ready: bool,
    pub(super) removed: bool,
    /// Said already, so that one thing is told once.
    pub(super) late_told: bool,
}

/// The sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// None yet, or it is being made.
    Awaited,
    /// It stands.
    Stands,
    /// It was lost.
    Lost,
    /// Its end was asked for.
    Stopping,
}

/// A deletion.
#[derive(Clone, Copy, Debug)]
pub struct Deletion {
    /// When it was asked for last.
    pub at: Duration,
    /// Its grace period.
    pub grace: Duration,
    /// It leaves no time at all: what holds a signal back is cut short.
    pub at_once: bool,
    /// The pod is to be gone by then.
    pub by: Duration,
}

impl Ledger {
    pub fn new(pod: &Pod, settings: &Settings, script: &Script, tolerance: Duration) -> Ledger {
        let spec = pod.spec.clone().unwrap_or_default();
        let known = |spec: &Container, kind: Kind| Known {
            name: spec.name.clone(),
            kind,
            spec: spec.clone(),
            image: spec.image.clone(),
            started_with: None,
            started_amounts: None,
            held_by: BTreeSet::new(),
            life: None,
            ended: None,
            entry: Entry::None,
            due: None,
            restarts: 0,
            failures: BTreeMap::new(),
            successes: BTreeMap::new(),
            done: false,
        };
        let init = spec.init_containers.iter().flatten().map(|spec| known(spec, Kind::of_init(spec)));
        let containers: Vec<Known> =
            init.chain(spec.containers.iter().map(|spec| known(spec, Kind::Regular))).collect();
        let grace = spec.termination_grace_period_seconds.unwrap_or(settings.numbers.default_grace_seconds);
        Ledger {
            found: Vec::new(),
            now: Duration::ZERO,
            settings: settings.clone(),
            policy: RestartPolicy::read(spec.restart_policy.as_deref()),
            grace: Duration::from_secs(u64::try_from(grace).unwrap_or_default()),
            limited: spec.active_deadline_seconds.is_some(),
            evicted: false,
            crowded: false,
            gated: spec.readiness_gates.is_some_and(|gates| !gates.is_empty()),
            settling: settling(&containers, script).saturating_add(tolerance),
            tolerance,
            containers,
            ephemeral: BTreeSet::new(),
            sandbox: Sandbox::Awaited,
            initialized: false,
            deletion: None,
            halted: false,
            resetting: false,
            anew: None,
            over_since: None,
            away: None,
            disturbed: Duration::ZERO,
            calm: Duration::ZERO,
            pull_failed: None,
            starting: None,
            phase: String::new(),
            ready: false,
            removed: false,
            late_told: false,
        }
    }

    pub(super) fn breach(&mut self, property: Property, at: Duration, about: &str, found: String) {
        self.found.push(Breach { property, at, about: about.to_owned(), found });
    }

    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.containers.iter().position(|known| known.name == name)
    }

    /// The world did something that keeps the pod from being Ready for so long, at most.
    pub(super) fn disturb(&mut self, patience: Duration) {
        self.disturbed = self.now;
        self.go_on(patience);
    }

    /// Something goes on that takes so long, at most.
    pub(super) fn go_on(&mut self, patience: Duration) {
        self.calm = self.calm.max(self.now + patience);
        self.late_told = false;
    }

    pub fn supervisor_died(&mut self, now: Duration, until: Duration) {
        self.disturb(until.saturating_sub(now));
        // One that comes and dies at once has heard nothing: what happened since the first death is heard when one stays.
        let (since, before) = self.away.filter(|(_, until)| now <= *until).unwrap_or((now, now));
        self.away = Some((since, until));
        let missed = until.saturating_sub(before);
        if let Some(deletion) = &mut self.deletion {
            deletion.by = deletion.by.saturating_add(missed);
        }
        let lives = self.containers.iter_mut().filter_map(|known| known.life.as_mut());
        lives.for_each(|life| life.kill_by = life.kill_by.saturating_add(missed));
    }

    /// The longest that a crashed container waits, and what a stop takes.
    pub(super) fn restart_patience(&self) -> Duration {
        Duration::from_millis(self.settings.backoff_maximum_milliseconds) + self.stop_patience()
    }

    pub(super) fn stop_patience(&self) -> Duration {
        let least = self.settings.numbers.least_grace();
        let longest = self.containers.iter().flat_map(|known| {
            let kinds = ProbeKind::ALL.into_iter().filter_map(|kind| kind.of(&known.spec));
            kinds.filter_map(|probe| u64::try_from(probe.termination_grace_period_seconds?).ok())
        });
        self.grace.max(least).max(Duration::from_secs(longest.max().unwrap_or_default())) + least
    }

    pub(super) fn life(&self, name: &str) -> Option<&Life> {
        self.containers.get(self.index(name)?)?.life.as_ref()
    }

    /// Something was asked for.
    pub fn effect(&mut self, effect: &Effect) {
        let rule = effect.rule.0.as_str();
        match &effect.action {
            Action::StartSandbox { .. } => {
                self.sandbox = Sandbox::Awaited;
                self.initialized = false;
                self.starting = None;
                self.containers.iter_mut().for_each(|known| known.done = false);
            }
            Action::StopSandbox { .. } => self.sandbox = Sandbox::Stopping,
            Action::EnsureImage { container, attempt } => {
                let next = effect.because.get("nextBackoff").and_then(|words| crate::duration::parse(words).ok());
                self.start_asked(container, *attempt, rule, next);
            }
            Action::StartContainer { container, .. } => {
                let known = self.containers.iter_mut().find(|known| known.name == *container);
                known.into_iter().for_each(|known| known.started_amounts.clone_from(&known.spec.resources));
            }
            Action::SignalContainer { container, .. } => self.signal_asked(container, rule),
            Action::KillContainer { container, attempt } => self.kill_asked(container, *attempt, rule),
            Action::RunHook { container, hook: HookKind::PreStop, .. } => self.pre_stop_asked(container, rule),
            Action::Remove => self.removed = true,
            _ => {}
        }
    }
}
