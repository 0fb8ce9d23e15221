//! What is known of one container: its instance, how the one before ended, what its probes have found, how long it has to wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe, ResourceRequirements};

use crate::pod::container::Kind;
use crate::pod::hook::HookKind;
use crate::pod::machine::Settings;
use crate::pod::probe::ProbeKind;
use crate::pod::restart::{self, RestartPolicy};
use crate::simulation::answers::Length;
use crate::simulation::script::{ImageOutcome, Script};

/// The rules by which a start is tried again that has failed or was refused.
const FURTHER_TRIES: [&str; 4] = ["R-3.2-a", "R-3.2-b", "R-4.5-b", "R-4.5-c"];

/// A container.
#[derive(Debug)]
pub struct Known {
    pub name: String,
    pub kind: Kind,
    pub spec: Container,
    pub image: Option<String>,
    /// The image with which its last start was asked for, and the cpu and memory with which it was started.
    pub started_with: Option<String>,
    pub started_amounts: Option<ResourceRequirements>,
    /// The ephemeral containers that stand in for it: it waits for all of them.
    pub held_by: BTreeSet<String>,
    pub life: Option<Life>,
    pub ended: Option<End>,
    /// The back-off of the next crash.
    pub entry: Entry,
    /// When it is to be started again, at the latest.
    pub due: Option<Duration>,
    pub restarts: i32,
    pub failures: BTreeMap<ProbeKind, u32>,
    pub successes: BTreeMap<ProbeKind, u32>,
    /// An init container that has done its work in this sandbox, a sidecar that has run in it.
    pub done: bool,
}

/// An instance that runs.
#[derive(Clone, Debug, Default)]
pub struct Life {
    pub attempt: u32,
    /// Its stop began then, by a hook or a signal.
    pub stop: Option<Duration>,
    /// It is to be killed or gone by then.
    pub kill_by: Duration,
    pub signalled: bool,
    pub killed: bool,
    pub pre_stop: bool,
    pub pre_stop_over: bool,
    /// Its postStart hook is not over; one that only sleeps is over then.
    pub starting: bool,
    pub sleeps_until: Option<Duration>,
    pub hook_failed: bool,
    /// It is to be stopped and started anew, whatever the policy says: it has another image, or amounts that need a restart, or
    /// the user wishes it.
    pub renewed: bool,
    /// It may be, when there is room for its amounts.
    pub unclear: bool,
    pub started: bool,
    pub passed: bool,
    pub unhealthy: Option<ProbeKind>,
}

/// How an instance ended.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// No earlier than this: a supervisor that was away is told later.
    pub from: Duration,
    pub at: Duration,
    pub code: i32,
    pub oom: bool,
    /// Nobody had told it to, and nothing since has changed what becomes of it.
    pub plain: bool,
    /// Whether it is started again, as far as that can be told.
    pub fate: Option<bool>,
}

/// The crash back-off, reckoned from outside.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    None,
    Known { wait: Duration, updated: Duration },
    Unknown,
}

impl Known {
    /// What becomes of it is not for the plain rules of crashes any more.
    pub(super) fn becomes_unclear(&mut self) {
        self.due = None;
        self.entry = Entry::Unknown;
        if let Some(end) = &mut self.ended {
            end.plain = false;
        }
    }

    /// A start was decided by this rule, which may say how long the next crash has to wait: it takes a step of the back-off. What
    /// is tried again after it is no crash's back-off any more, until it has crashed again.
    pub(super) fn take_step(&mut self, settings: &Settings, now: Duration, rule: &str, next: Option<Duration>) {
        let maximum = Duration::from_millis(settings.backoff_maximum_milliseconds);
        let first = Duration::from_millis(settings.backoff_initial_milliseconds).min(maximum);
        let reset = Duration::from_millis(settings.backoff_reset_milliseconds);
        self.entry = match (self.ended, self.entry) {
            (None, entry) => entry,
            // Whether one that begins anew asked the back-off cannot be told by the rule of a further try; nor, then, whether the
            // entry is still one of other amounts and another image, which is nobody's any more.
            (Some(end), Entry::Unknown) if !end.plain && FURTHER_TRIES.contains(&rule) => Entry::Unknown,
            // A second try of the same start: the entry was moved on by the first.
            (Some(end), entry) if !end.plain => match next {
                Some(wait) if rule != "R-4.4-f" => Entry::Known { wait, updated: now },
                _ => entry,
            },
            (Some(_), Entry::None) => Entry::Known { wait: first, updated: now },
            (Some(_), Entry::Unknown) => next.map_or(Entry::Unknown, |wait| Entry::Known { wait, updated: now }),
            (Some(end), Entry::Known { updated, .. }) if end.at.saturating_sub(updated) > reset => {
                Entry::Known { wait: first, updated: now }
            }
            (Some(_), Entry::Known { wait, .. }) => Entry::Known { wait: (wait * 2).min(maximum), updated: now },
        };
        self.due = None;
        if let Some(end) = &mut self.ended {
            end.plain = false;
        }
    }

    /// A start of it has failed. What was to be started anew whatever the policy says is so no longer than until the back-off
    /// refuses it: where the policy lets it lie, it cannot be told whether it is tried again (lifecycle 4.4, last block).
    pub(super) fn start_failed(&mut self, policy: RestartPolicy) {
        let lies = self.ended.is_some_and(|end| !self.restarts_by_policy(policy, end.code, end.oom));
        if let Some(end) = self.ended.as_mut().filter(|end| lies && end.fate == Some(true)) {
            end.fate = None;
        }
    }

    /// Whether it runs with amounts that only a restart can change to those of its spec.
    pub(super) fn needs_other_amounts(&self) -> bool {
        let mut policies = self.spec.resize_policy.iter().flatten();
        let restarts = policies.any(|policy| policy.restart_policy == "RestartContainer");
        restarts && self.kind != Kind::Init && self.started_amounts != self.spec.resources
    }

    /// Whether restart policy starts it again after such an end.
    pub fn restarts_by_policy(&self, policy: RestartPolicy, code: i32, oom: bool) -> bool {
        match self.kind {
            Kind::Sidecar => true,
            Kind::Init if code == 0 && !oom => false,
            _ => restart::container_restart_decision(&self.spec, policy, code).restart,
        }
    }

    /// Its own restart policy, else the pod's.
    pub fn own_policy(&self, policy: RestartPolicy) -> RestartPolicy {
        restart::effective_policy(&self.spec, policy)
    }

    /// It has ended, and it cannot be told whether it is started again.
    pub fn is_of_unknown_fate(&self) -> bool {
        self.life.is_none() && self.ended.is_some_and(|end| end.fate.is_none())
    }

    /// It has ended, and is not started again.
    pub fn is_over(&self) -> bool {
        self.life.is_none() && self.held_by.is_empty() && self.ended.is_some_and(|end| end.fate == Some(false))
    }

    /// When it may be started again after a crash, and when it must be: they differ by what a supervisor that was away did not
    /// see. None where that cannot be reckoned.
    pub fn earliest(&self, settings: &Settings) -> Option<(Duration, Duration)> {
        let end = self.ended.filter(|end| end.plain)?;
        let reset = Duration::from_millis(settings.backoff_reset_milliseconds);
        match self.entry {
            Entry::Unknown => None,
            Entry::None => Some((end.from, end.at)),
            Entry::Known { updated, .. } if end.from.saturating_sub(updated) > reset => Some((end.from, end.at)),
            // It cannot be told on which side of the reset the exit was.
            Entry::Known { updated, .. } if end.at.saturating_sub(updated) > reset => None,
            Entry::Known { wait, .. } => Some((end.from + wait, end.at + wait)),
        }
    }

    pub(super) fn spec_threshold(&self, kind: ProbeKind) -> Option<u32> {
        Some(self.spec_thresholds(kind)?.1)
    }

    /// Successes and failures in a row that decide.
    pub(super) fn spec_thresholds(&self, kind: ProbeKind) -> Option<(u32, u32)> {
        let probe = kind.of(&self.spec)?;
        let count = |field: Option<i32>, usual: u32| {
            field.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0).unwrap_or(usual)
        };
        Some((count(probe.success_threshold, 1), count(probe.failure_threshold, 3)))
    }
}

/// How long it takes at most until all containers run and their probes have passed, when nothing goes wrong.
pub(super) fn settling(containers: &[Known], script: &Script) -> Duration {
    let seconds = |field: Option<i32>, usual: u64| {
        Duration::from_secs(field.map_or(usual, |s| u64::try_from(s).unwrap_or(usual)))
    };
    let probe = |probe: Option<&Probe>| {
        probe.map_or(Duration::ZERO, |probe| {
            let period = seconds(probe.period_seconds, 10).max(Duration::from_secs(1));
            let times = u32::try_from(probe.success_threshold.unwrap_or(1)).unwrap_or(1).saturating_add(1);
            let timeout = seconds(probe.timeout_seconds, 1);
            seconds(probe.initial_delay_seconds, 0).max(Duration::from_secs(1)) + (period + timeout) * times
        })
    };
    let mut sum = Duration::from_secs(1) + script.latency * 4;
    let mut longest = Duration::ZERO;
    for known in containers {
        sum += script.latency * 4;
        for run in script.runs.get(&known.name).into_iter().flatten() {
            let hooks = run.hooks.get(&HookKind::PostStart).and_then(|hook| hook.takes).unwrap_or_default();
            let ends = run.end.filter(|_| known.kind == Kind::Init).map_or(Duration::ZERO, |end| end.after);
            let answers = run.answers.values().flatten().map(|answers| match answers.length {
                Length::For(time) => time + answers.takes,
                Length::Times(_) => answers.takes,
            });
            let pull = match &run.image {
                Some(ImageOutcome::Pulled(_, pulled)) => Duration::from_millis(pulled.milliseconds),
                _ => Duration::ZERO,
            };
            sum += run.start_delay + hooks + ends + pull + answers.sum::<Duration>();
        }
        let lifecycle = known.spec.lifecycle.as_ref();
        let sleeps =
            lifecycle.and_then(|lifecycle| lifecycle.post_start.as_ref()?.sleep.as_ref()).map(|sleep| sleep.seconds);
        sum += Duration::from_secs(sleeps.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default());
        let probes = probe(known.spec.startup_probe.as_ref()) + probe(known.spec.readiness_probe.as_ref());
        match known.kind {
            Kind::Sidecar => sum += probes,
            _ => longest = longest.max(probes),
        }
    }
    sum + longest
}
