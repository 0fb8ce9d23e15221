//! What probes find, and what follows from it (lifecycle 6): the counting of results, what holds of an instance, which
//! probes may run. When each is run is [`super::prober`]'s; how, the supervisor's.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod, Probe};
use serde::{Deserialize, Serialize};

use super::because;
use super::container::{Container, RecordState};
use super::events::EventType::Warning;
use super::input::{Fact, ProbeOutcome};
use super::machine::{Course, Machine, State, Turn, pod_policy};
use super::restart::{RestartPolicy, effective_policy};
use super::rules;
use super::time::BootTime;
use crate::manifest::containers::find_container;

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeKind {
    /// Whether the container has started: the others wait for it.
    Startup,
    /// Whether it lives: it is killed when not.
    Liveness,
    /// Whether it can serve.
    Readiness,
}

impl ProbeKind {
    /// All of them.
    pub const ALL: [ProbeKind; 3] = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness];

    /// As effect ids and reasons have it: `liveness`.
    pub fn word(self) -> &'static str {
        match self {
            ProbeKind::Startup => "startup",
            ProbeKind::Liveness => "liveness",
            ProbeKind::Readiness => "readiness",
        }
    }

    /// As events have it: `Liveness`.
    fn title(self) -> &'static str {
        match self {
            ProbeKind::Startup => "Startup",
            ProbeKind::Liveness => "Liveness",
            ProbeKind::Readiness => "Readiness",
        }
    }

    /// The kind of that word.
    pub fn read(word: &str) -> Option<ProbeKind> {
        ProbeKind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// What a container's spec says of it.
    pub fn of(self, spec: &ContainerSpec) -> Option<&Probe> {
        match self {
            ProbeKind::Startup => spec.startup_probe.as_ref(),
            ProbeKind::Liveness => spec.liveness_probe.as_ref(),
            ProbeKind::Readiness => spec.readiness_probe.as_ref(),
        }
    }
}

/// How a probe ended that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It succeeded.
    Passed,
    /// It failed.
    Failed,
}

/// What the probes of one container have found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probes {
    startup: Findings,
    liveness: Findings,
    readiness: Findings,
    /// Since when the running instance is started, where that was not at once: by its startup probe or its postStart hook.
    started: Option<BootTime>,
}

/// What one probe has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// How it ended last. As a kubelet's worker, it goes on counting over a restart.
    last: Option<Verdict>,
    /// So many times in a row, no more than are asked for.
    times: u32,
    /// What holds of the running instance; none before a threshold was reached.
    verdict: Option<Verdict>,
    /// It is not run any more before the next instance.
    on_hold: bool,
    /// When the latest one that changed anything was begun.
    begun: Option<BootTime>,
}

impl Probes {
    /// Whether nothing is known.
    pub fn is_untouched(&self) -> bool {
        *self == Probes::default()
    }

    fn of(&self, kind: ProbeKind) -> &Findings {
        match kind {
            ProbeKind::Startup => &self.startup,
            ProbeKind::Liveness => &self.liveness,
            ProbeKind::Readiness => &self.readiness,
        }
    }

    fn of_mut(&mut self, kind: ProbeKind) -> &mut Findings {
        match kind {
            ProbeKind::Startup => &mut self.startup,
            ProbeKind::Liveness => &mut self.liveness,
            ProbeKind::Readiness => &mut self.readiness,
        }
    }

    /// Another instance: nothing holds of it yet, the counts stay.
    pub(super) fn begin_instance(&mut self) {
        self.started = None;
        for kind in ProbeKind::ALL {
            let findings = self.of_mut(kind);
            (findings.verdict, findings.on_hold, findings.begun) = (None, false, None);
        }
    }

    /// How far a probe is.
    pub(super) fn findings(&self, kind: ProbeKind) -> &Findings {
        self.of(kind)
    }

    /// The running instance was found to be started.
    pub(super) fn begin_serving(&mut self, now: BootTime) {
        self.started = Some(now);
    }
}

impl Findings {
    /// What holds of the running instance; none before a threshold was reached.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// How it ended last, and how often in a row of how many that decide.
    pub(super) fn tally(&self, probe: &Probe) -> Option<(Verdict, u32, u32)> {
        self.last.map(|last| (last, self.times, Thresholds::read(probe).of(last)))
    }

    /// Counts one result. Answers whether what holds is decided by it.
    fn count(&mut self, kind: ProbeKind, verdict: Verdict, thresholds: Thresholds) -> bool {
        let needed = thresholds.of(verdict);
        self.times = if self.last == Some(verdict) { self.times.saturating_add(1).min(needed) } else { 1 };
        self.last = Some(verdict);
        if self.times < needed {
            return false;
        }
        self.verdict = Some(verdict);
        if kind == ProbeKind::Startup || kind == ProbeKind::Liveness && verdict == Verdict::Failed {
            self.on_hold = true;
            self.times = 0;
        }
        true
    }

    /// Whether a success leaves everything as it is.
    fn is_settled(&self, thresholds: Thresholds) -> bool {
        let times = thresholds.of(Verdict::Passed);
        self.verdict == Some(Verdict::Passed) && self.last == Some(Verdict::Passed) && self.times >= times
    }
}

/// How many results in a row decide.
#[derive(Clone, Copy)]
struct Thresholds {
    success: u32,
    failure: u32,
}

impl Thresholds {
    fn read(probe: &Probe) -> Thresholds {
        let count = |field: Option<i32>, usual: u32| {
            field.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0).unwrap_or(usual)
        };
        Thresholds { success: count(probe.success_threshold, 1), failure: count(probe.failure_threshold, 3) }
    }

    fn of(self, verdict: Verdict) -> u32 {
        match verdict {
            Verdict::Passed => self.success,
            Verdict::Failed => self.failure,
        }
    }
}

/// A probe that may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Of which container.
    pub container: String,
    /// Of which instance.
    pub attempt: u32,
    /// Which.
    pub kind: ProbeKind,
    /// When it is run first.
    pub first: BootTime,
    /// Then again so often.
    pub period: Duration,
    /// Whether the first one waits for nothing but the startup probe or the postStart hook.
    pub at_once: bool,
    /// When the latest one was begun, as far as it changed anything.
    pub begun: Option<BootTime>,
}

fn seconds(field: Option<i32>, usual: u64) -> Duration {
    let seconds = field.and_then(|seconds| u64::try_from(seconds).ok());
    Duration::from_secs(seconds.filter(|seconds| *seconds > 0).unwrap_or(usual))
}

impl Machine {
    /// The probes that may run as the pod is now.
    pub fn probes(&self) -> Vec<Schedule> {
        let mut schedules = Vec::new();
        for container in &self.state.containers {
            let Some(spec) = find_container(&self.pod, &container.name) else { continue };
            schedules.extend(ProbeKind::ALL.into_iter().filter_map(|kind| self.schedule(container, &spec, kind)));
        }
        schedules
    }

    fn schedule(&self, container: &Container, spec: &ContainerSpec, kind: ProbeKind) -> Option<Schedule> {
        let probe = kind.of(spec)?;
        if !may_probe(&self.pod, &self.state, container, kind) {
            return None;
        }
        let record = container.record.as_ref()?;
        let RecordState::Running { started, .. } = &record.state else { return None };
        let delay = seconds(probe.initial_delay_seconds, 0).max(self.state.settings.numbers.first_probe());
        let from = started.boot.after(delay);
        // What waited for the container to be started is not kept waiting by a grid that began with the process.
        let at_once = container.probes.started.filter(|at| kind == ProbeKind::Readiness && *at > from);
        Some(Schedule {
            container: container.name.clone(),
            attempt: record.attempt,
            kind,
            first: at_once.unwrap_or(from),
            period: seconds(probe.period_seconds, 10),
            at_once: at_once.is_some(),
            begun: container.probes.of(kind).begun,
        })
    }

    /// Whether a fact can change anything: a success behind a success, or an answer to what nobody waits for, cannot. Its
    /// owner need not tell nor journal one that cannot; telling it does no harm.
    pub fn is_news(&self, fact: &Fact) -> bool {
        match fact {
            Fact::StorageMeasured { usage } => return self.is_too_much(usage),
            Fact::RoomMeasured { room } => return self.is_other_room(room),
            _ => {}
        }
        let Fact::ProbeResult { container: name, attempt, probe: kind, outcome, .. } = fact else { return true };
        let Some(container) = self.state.containers.iter().find(|container| container.name == *name) else {
            return false;
        };
        if container.running_attempt() != Some(*attempt) || !may_probe(&self.pod, &self.state, container, *kind) {
            return false;
        }
        let spec = find_container(&self.pod, name);
        let probe = spec.as_ref().and_then(|spec| kind.of(spec));
        let settled = |probe: &Probe| container.probes.of(*kind).is_settled(Thresholds::read(probe));
        probe.is_some_and(|probe| *outcome != ProbeOutcome::Success || !settled(probe))
    }

    /// Whether the readiness probe, if there is one, has succeeded.
    pub(super) fn has_passed_readiness(&self, container: &Container) -> bool {
        let spec = find_container(&self.pod, &container.name);
        spec.is_none_or(|spec| spec.readiness_probe.is_none())
            || container.probes.readiness.verdict == Some(Verdict::Passed)
    }
}

/// Whether a container is started: it runs, its postStart hook is over, its startup probe has succeeded. What waits for a
/// sidecar waits for this.
pub(super) fn is_started(pod: &Pod, container: &Container) -> bool {
    let spec = find_container(pod, &container.name);
    let passed = spec.is_none_or(|spec| spec.startup_probe.is_none())
        || container.probes.startup.verdict == Some(Verdict::Passed);
    container.running() && container.start_hook.is_none() && passed
}

/// Whether a container's probe may run now (lifecycle 6.2).
fn may_probe(pod: &Pod, state: &State, container: &Container, kind: ProbeKind) -> bool {
    let alive = container.running() && container.start_hook.is_none() && state.course <= Course::Ending;
    if !alive || container.probes.of(kind).on_hold {
        return false;
    }
    let stopping = container.stop().is_some() || state.course > Course::Replacing;
    match kind {
        ProbeKind::Startup => !stopping && !is_started(pod, container),
        ProbeKind::Liveness => !stopping && is_started(pod, container),
        // It goes on until the container has ended: who is on its way out tells so.
        ProbeKind::Readiness => is_started(pod, container),
    }
}

/// The probe because of which a running container is to be stopped.
pub(super) fn failed_probe(container: &Container) -> Option<ProbeKind> {
    let failed = |kind: &ProbeKind| container.probes.of(*kind).verdict == Some(Verdict::Failed);
    [ProbeKind::Liveness, ProbeKind::Startup].into_iter().filter(|_| container.running()).find(failed)
}

/// Whether a container is started again after a probe has stopped it: by its own policy, else the pod's; rules for exit
/// codes are not asked (lifecycle 4.3).
pub(super) fn restarts_after_probe(pod: &Pod, name: &str) -> bool {
    let policy = pod_policy(pod);
    let own = find_container(pod, name).map_or(policy, |spec| effective_policy(&spec, policy));
    own != RestartPolicy::Never
}

impl Turn<'_> {
    /// A probe has ended.
    pub(super) fn probe_result(
        &mut self,
        name: &str,
        attempt: u32,
        kind: ProbeKind,
        begun: BootTime,
        outcome: &ProbeOutcome,
    ) {
        let Some(index) = self.state.containers.iter().position(|container| container.name == name) else { return };
        let Some(thresholds) = self.container_spec(index).and_then(|spec| Some(Thresholds::read(kind.of(&spec)?)))
        else {
            return;
        };
        let Some(container) = self.state.containers.get(index) else { return };
        if container.running_attempt() != Some(attempt) || !may_probe(self.pod, self.state, container, kind) {
            return;
        }
        if *outcome == ProbeOutcome::Success && container.probes.of(kind).is_settled(thresholds) {
            return;
        }
        let title = kind.title();
        let verdict = match outcome {
            ProbeOutcome::Success => Some(Verdict::Passed),
            ProbeOutcome::Warning(text) => {
                self.event(Some(name), Warning, "ProbeWarning", format!("{title} probe warning: {text}"));
                Some(Verdict::Passed)
            }
            ProbeOutcome::Failure(text) => {
                self.event(Some(name), Warning, "Unhealthy", format!("{title} probe failed: {text}"));
                Some(Verdict::Failed)
            }
            ProbeOutcome::Error { state, message } => {
                let state = state.word();
                let text = format!("{title} probe errored and resulted in {state} state: {message}");
                self.event(Some(name), Warning, "Unhealthy", text);
                None
            }
        };
        let now = self.now();
        let Some(container) = self.state.containers.get_mut(index) else { return };
        let findings = container.probes.of_mut(kind);
        let before = *findings;
        findings.begun = Some(begun);
        let Some(verdict) = verdict else { return };
        let decided = findings.count(kind, verdict, thresholds);
        if !decided || before.verdict == Some(verdict) {
            return;
        }
        if kind == ProbeKind::Startup && verdict == Verdict::Passed {
            container.probes.begin_serving(now);
        }
        let rule = match verdict {
            Verdict::Passed => rules::R_6_2_D,
            Verdict::Failed => rules::R_6_2_E,
        };
        self.note(name, rule, because! {"probe": kind.word(), "inARow": thresholds.of(verdict), "attempt": attempt});
    }
}
