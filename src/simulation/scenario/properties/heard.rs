//! What the machine is told, as it changes what is known of the pod: who runs and who has ended, what probes and hooks have
//! found, what users have asked for. What must follow from it is `demands`'s to say.

use std::time::Duration;

use k8s_openapi::api::core::v1::{EphemeralContainer, Pod};

use super::known::{End, Entry, Known, Life};
use super::ledger::{Deletion, Ledger, Sandbox};
use crate::pod::container::Kind;
use crate::pod::hook::HookKind;
use crate::pod::input::{Exit, Fact, ImageFailure, ProbeOutcome, StartStage};
use crate::pod::probe::ProbeKind;
use crate::pod::restart::{self, RestartPolicy};

impl Ledger {
    /// Something was told to the machine.
    pub fn fact(&mut self, fact: &Fact) {
        let retry = self.settings.numbers.retry();
        match fact {
            Fact::SandboxStarted { .. } => {
                self.sandbox = Sandbox::Stands;
                self.go_on(Duration::ZERO);
            }
            Fact::SandboxFailed { .. } => self.disturb(retry),
            Fact::MountFailed { .. } => {
                self.disturb(Duration::from_millis(self.settings.numbers.volume_maximum_milliseconds));
            }
            Fact::SandboxExited { .. } if self.sandbox == Sandbox::Stands => {
                self.sandbox = Sandbox::Lost;
                self.containers.iter_mut().for_each(Known::becomes_unclear);
                self.disturb(self.restart_patience() + retry);
            }
            Fact::ImageReady { .. } | Fact::ImagePulling { .. } => {}
            Fact::ImageFailed { container, reason, .. } => {
                let most = Duration::from_millis(self.settings.numbers.image_maximum_milliseconds);
                let pull = *reason == ImageFailure::ErrImagePull;
                if pull {
                    self.pull_failed = Some(self.now);
                }
                self.start_failed(container, if pull { most } else { retry });
            }
            Fact::ContainerStarted { container, attempt, .. } => self.started(container, *attempt),
            Fact::StartFailed { container, stage, .. } => {
                self.start_failed(container, retry);
                if *stage == StartStage::Run {
                    self.ended(container, 128, false, false);
                    self.let_go_of(container);
                }
            }
            Fact::ContainerExited { container, exit, oom_killed, .. } => {
                let code = match exit {
                    Exit::Code(code) => *code,
                    Exit::Signal(signal) => 128 + signal,
                };
                let asked = self.life(container).is_some_and(|life| life.stop.is_some() || life.killed);
                let done = code == 0 && !oom_killed && self.is_init(container);
                match asked || done {
                    true => self.go_on(Duration::ZERO),
                    false => self.disturb(Duration::ZERO),
                }
                self.ended(container, code, *oom_killed, asked);
                self.let_go_of(container);
            }
            Fact::ContainerLost { container, .. } => {
                self.disturb(self.restart_patience());
                self.ended(container, 137, false, false);
                self.let_go_of(container);
                self.containers.iter_mut().filter(|known| known.name == *container).for_each(Known::becomes_unclear);
            }
            Fact::ProbeResult { container, attempt, probe, outcome, .. } => {
                self.probed(container, *attempt, *probe, outcome);
            }
            Fact::HookEnded { container, attempt, hook, failure, .. } => {
                self.hook_ended(container, *attempt, *hook, failure.is_some());
            }
            Fact::DeleteRequested { grace_seconds, force } => {
                self.deleted(if *force { Some(0) } else { *grace_seconds });
            }
            Fact::StopRequested { .. } => self.halted = true,
            // Only what is too much is told.
            // From here on a resize may have to wait.
            Fact::RoomMeasured { .. } => {
                self.crowded = true;
                self.disturb(self.restart_patience());
            }
            Fact::StorageMeasured { .. } => (self.limited, self.evicted) = (true, true),
            Fact::RestartRequested { container } => self.restart_asked(container.as_deref()),
            Fact::EphemeralContainerAdded { container, holds } => self.joined(container, holds.as_deref()),
            Fact::SpecChanged { pod } => self.spec_changed(pod),
            Fact::Rebooted => self.rebooted(),
            _ => {}
        }
    }

    /// A start did not come to be, and is tried again after so long. One of a container that has ended before takes a step of
    /// its crash back-off each time.
    fn start_failed(&mut self, name: &str, wait: Duration) {
        self.starting = None;
        let Some(index) = self.index(name) else { return };
        let most = self.restart_patience();
        let Some(known) = self.containers.get_mut(index) else { return };
        known.due = None;
        known.start_failed(self.policy);
        let wait = if known.ended.is_some() { wait.max(most) } else { wait };
        self.disturb(wait);
    }

    fn is_init(&self, name: &str) -> bool {
        self.containers.iter().any(|known| known.name == name && known.kind == Kind::Init)
    }

    fn started(&mut self, name: &str, attempt: u32) {
        let Some(index) = self.index(name) else { return };
        self.go_on(Duration::ZERO);
        let Some(known) = self.containers.get_mut(index) else { return };
        let hook = HookKind::PostStart.of(&known.spec);
        let hooked = hook.is_some();
        let sleep = hook.and_then(|hook| u64::try_from(hook.sleep.as_ref()?.seconds).ok());
        let sleeps_until = sleep.map(|seconds| self.now + Duration::from_secs(seconds));
        let started = !hooked && known.spec.startup_probe.is_none();
        let passed = known.spec.readiness_probe.is_none();
        let other_amounts = known.needs_other_amounts();
        let renewed = known.started_with != known.image && known.kind != Kind::Init || other_amounts && !self.crowded;
        let unclear = other_amounts && self.crowded;
        known.life = Some(Life {
            renewed,
            unclear,
            attempt,
            starting: hooked,
            started,
            passed,
            sleeps_until,
            ..Life::default()
        });
        for kind in [ProbeKind::Startup, ProbeKind::Liveness] {
            if known.spec_threshold(kind).is_some_and(|most| known.failures.get(&kind) >= Some(&most)) {
                known.failures.remove(&kind);
            }
        }
        if !hooked {
            self.starting = None;
        }
    }

    /// An instance ended, or never began.
    fn ended(&mut self, name: &str, code: i32, oom: bool, asked: bool) {
        let Some(index) = self.index(name) else { return };
        let from = self.away.filter(|(_, until)| self.now <= *until).map_or(self.now, |(since, _)| since);
        let stands = self.sandbox == Sandbox::Stands && !self.resetting;
        let (plain, policy, resetting, anew) = (!asked && stands, self.policy, self.resetting, self.anew);
        let Some(known) = self.containers.get_mut(index) else { return };
        let life = known.life.take().unwrap_or_default();
        let fate = match (&life, known.own_policy(policy)) {
            _ if resetting => anew,
            (life, _) if life.renewed => Some(true),
            (life, _) if life.unclear => None,
            // One that ends well meanwhile is started anew at once or, when a back-off comes between, by the normal rules.
            (life, own) if life.unhealthy.is_some() && asked && stands => match own {
                RestartPolicy::Never => Some(false),
                _ => known.restarts_by_policy(policy, code, oom).then_some(true),
            },
            (life, own) if asked && !life.hook_failed => (own == RestartPolicy::Always).then_some(true),
            _ => Some(known.restarts_by_policy(policy, code, oom)),
        };
        known.done = match known.kind {
            Kind::Init => code == 0 && !oom && !life.renewed && !resetting,
            _ => known.done || life.started && !resetting,
        };
        known.ended = Some(End { from, at: self.now, code, oom, plain, fate });
        known.due = None;
        let all = known.spec.restart_policy.is_some() && restart::restarts_all(&known.spec, code);
        if life.starting {
            self.starting = None;
        }
        if all && stands {
            self.reset(Some(true));
        } else if !plain {
            self.containers.iter_mut().filter(|known| known.name == name).for_each(Known::becomes_unclear);
        } else if fate == Some(true) {
            let maximum = Duration::from_millis(self.settings.backoff_maximum_milliseconds);
            let Some(known) = self.containers.get_mut(index) else { return };
            known.due = known.earliest(&self.settings).map(|(_, latest)| latest);
            self.calm = self.calm.max(known.due.unwrap_or(self.now + maximum));
        }
    }

    /// The user wants a container restarted, or all of them: that of a pod which is on its way out, or begins anew anyway, is not
    /// listened to.
    fn restart_asked(&mut self, name: Option<&str>) {
        let leaving = self.deletion.is_some() || self.halted || self.evicted || self.removed || self.resetting;
        let at_work = self.has_come_to_work();
        if leaving || at_work && self.is_over() || matches!(self.sandbox, Sandbox::Lost | Sandbox::Stopping) {
            return;
        }
        let heard = !(self.limited || at_work && self.may_be_over());
        self.disturb(self.restart_patience());
        let Some(name) = name else { return self.reset(heard.then_some(true)) };
        let Some(known) = self.containers.iter_mut().find(|known| known.name == name) else { return };
        match &mut known.life {
            Some(life) if life.stop.is_some() => {}
            Some(life) if heard => life.renewed = true,
            Some(life) => life.unclear = true,
            None if known.done && known.kind == Kind::Init => {}
            None => {
                known.becomes_unclear();
                known.ended.iter_mut().for_each(|end| end.fate = heard.then_some(true));
            }
        }
    }

    /// An ephemeral container is added; the one that it stands in for waits until it has ended.
    fn joined(&mut self, added: &serde_json::Value, holds: Option<&str>) {
        let Ok(added) = serde_json::from_value::<EphemeralContainer>(added.clone()) else { return };
        let first = self.ephemeral.insert(added.name.clone());
        let held = self.containers.iter_mut().find(|known| Some(known.name.as_str()) == holds && first);
        if let Some(known) = held {
            known.becomes_unclear();
            known.held_by.insert(added.name);
        }
    }

    /// An ephemeral container has ended: what it stood in for goes on.
    fn let_go_of(&mut self, name: &str) {
        let patience = self.restart_patience();
        // An ephemeral container holds one at most.
        if self.containers.iter_mut().any(|known| known.held_by.remove(name)) {
            self.disturb(patience);
        }
    }

    /// All containers are to begin anew; or nothing, where it cannot be told.
    fn reset(&mut self, fate: Option<bool>) {
        self.resetting = true;
        self.anew = fate;
        self.initialized = false;
        for known in &mut self.containers {
            known.becomes_unclear();
            known.done = false;
            known.ended.iter_mut().for_each(|end| end.fate = fate);
        }
        self.go_on(self.restart_patience());
    }

    fn probed(&mut self, name: &str, attempt: u32, kind: ProbeKind, outcome: &ProbeOutcome) {
        let Some(index) = self.index(name) else { return };
        let (restart, stop) = (self.restart_patience(), self.stop_patience());
        let Some(known) = self.containers.get_mut(index) else { return };
        let Some(thresholds) = known.spec_thresholds(kind) else { return };
        let (needed, most) = thresholds;
        let Some(life) = known.life.as_mut().filter(|life| life.attempt == attempt && !life.starting) else { return };
        if life.stop.is_some() && kind != ProbeKind::Readiness || kind == ProbeKind::Readiness && !life.started {
            return;
        }
        match outcome {
            ProbeOutcome::Error { .. } => self.disturb(Duration::ZERO),
            ProbeOutcome::Failure(_) => {
                known.successes.remove(&kind);
                let failures = known.failures.entry(kind).or_default();
                *failures = failures.saturating_add(1);
                let failed = *failures >= most;
                match kind {
                    ProbeKind::Readiness => life.passed &= !failed,
                    _ if failed && life.unhealthy.is_none() => life.unhealthy = Some(kind),
                    _ => {}
                }
                let patience = if life.unhealthy.is_some() { restart.max(stop) } else { Duration::ZERO };
                self.disturb(patience);
            }
            ProbeOutcome::Success | ProbeOutcome::Warning(_) => {
                known.failures.remove(&kind);
                let successes = known.successes.entry(kind).or_default();
                *successes = successes.saturating_add(1);
                if *successes >= needed {
                    match kind {
                        ProbeKind::Startup if !life.started => {
                            life.started = true;
                            self.go_on(Duration::ZERO);
                        }
                        ProbeKind::Readiness => life.passed = true,
                        _ => {}
                    }
                }
            }
        }
    }

    fn hook_ended(&mut self, name: &str, attempt: u32, hook: HookKind, failed: bool) {
        let Some(index) = self.index(name) else { return };
        let patience = if failed { self.restart_patience() } else { Duration::ZERO };
        let Some(known) = self.containers.get_mut(index) else { return };
        let no_probe = known.spec.startup_probe.is_none();
        let Some(life) = known.life.as_mut().filter(|life| life.attempt == attempt) else { return };
        match hook {
            HookKind::PostStart => {
                life.hook_failed = failed;
                if !failed {
                    life.starting = false;
                    life.started = no_probe;
                    self.starting = None;
                }
                self.go_on(patience);
            }
            HookKind::PreStop => life.pre_stop_over = true,
        }
    }

    fn deleted(&mut self, grace_seconds: Option<i64>) {
        let named = grace_seconds.map(|grace| Duration::from_secs(u64::try_from(grace.max(1)).unwrap_or(1)));
        let grace = named.unwrap_or(self.grace.max(Duration::from_secs(1)));
        let least = self.settings.numbers.least_grace();
        let away = self.away.map_or(Duration::ZERO, |(_, until)| until.saturating_sub(self.now));
        let by = self.now + away + grace.max(least) + least + self.settling;
        let before = self.deletion;
        let by = before.map_or(by, |before| before.by.min(by));
        let grace = before.map_or(grace, |before| before.grace.min(grace));
        let at_once = grace_seconds == Some(0) || before.is_some_and(|before| before.at_once);
        self.deletion = Some(Deletion { at: self.now, grace, at_once, by });
    }

    fn spec_changed(&mut self, pod: &serde_json::Value) {
        let Ok(pod) = serde_json::from_value::<Pod>(pod.clone()) else { return };
        let spec = pod.spec.unwrap_or_default();
        self.limited |= spec.active_deadline_seconds.is_some();
        let all = spec.containers.into_iter().chain(spec.init_containers.into_iter().flatten());
        for new in all {
            let Some(known) = self.containers.iter_mut().find(|known| known.name == new.name) else { continue };
            let (image_changed, resized) = (known.image != new.image, known.spec.resources != new.resources);
            known.image = new.image;
            known.spec.resources = new.resources;
            if image_changed || resized {
                known.becomes_unclear();
            }
            let other_amounts = resized && known.needs_other_amounts();
            if let Some(life) = &mut known.life {
                life.renewed |= image_changed || other_amounts && !self.crowded;
                life.unclear |= other_amounts;
            }
        }
        self.disturb(self.restart_patience());
    }

    fn rebooted(&mut self) {
        self.sandbox = Sandbox::Awaited;
        self.initialized = false;
        self.starting = None;
        self.resetting = false;
        self.halted = false;
        let policy = self.policy;
        for known in &mut self.containers {
            if known.life.take().is_some() {
                let fate = Some(known.restarts_by_policy(policy, 255, false));
                known.ended = Some(End { from: self.now, at: self.now, code: 255, oom: false, plain: false, fate });
            }
            known.becomes_unclear();
            (known.entry, known.done) = (Entry::None, false);
        }
        self.disturb(self.settings.numbers.retry());
    }
}
