//! What is demanded of each thing that the machine asks for, of what a user sees, and of time that passes.

use std::time::Duration;

use super::known::{Entry, Known};
use super::ledger::{Deletion, Ledger, Sandbox};
use super::{Breach, Property};
use crate::pod::backoff::go_duration;
use crate::pod::container::Kind;
use crate::pod::effect::Note;
use crate::pod::hook::HookKind;
use crate::pod::restart::RestartPolicy;
use crate::simulation::timeline::View;

impl Ledger {
    /// A start of a container was asked for.
    pub(super) fn start_asked(&mut self, name: &str, attempt: u32, rule: &str, next: Option<Duration>) {
        let Some(index) = self.index(name) else { return };
        self.go_on(Duration::ZERO);
        self.resetting &= self.containers.iter().any(|known| known.life.is_some());
        let now = self.now;
        let instance = attempt + 1;
        if ["Succeeded", "Failed"].contains(&self.phase.as_str()) {
            let found = format!("instance {instance} of {name} is started although the pod has {}", self.phase);
            self.breach(Property::FinalStays, now, name, found);
        }
        self.check_policy(index, instance);
        self.check_order(index, instance);
        self.check_back_off(index, instance);
        let (settings, starting) = (self.settings.clone(), self.containers.get(index).map(|known| known.kind));
        let Some(known) = self.containers.get_mut(index) else { return };
        known.take_step(&settings, now, rule, next);
        known.started_with.clone_from(&known.image);
        self.starting = Some(index);
        self.initialized |= starting == Some(Kind::Regular);
    }

    /// Nothing is started twice, nor what the policy lets lie.
    fn check_policy(&mut self, index: usize, instance: u32) {
        let Some(known) = self.containers.get(index) else { return };
        let name = known.name.clone();
        if known.life.is_some() {
            let found = format!("instance {instance} of {name} is started while one runs");
            return self.breach(Property::PolicyKept, self.now, &name, found);
        }
        let Some(end) = known.ended.filter(|end| end.plain) else { return };
        if end.fate == Some(false) {
            let policy = known.own_policy(self.policy).word();
            let found = format!("{name} ended with {} and is started again under restartPolicy {policy}", end.code);
            self.breach(Property::PolicyKept, self.now, &name, found);
        }
    }

    /// Those before it are done, or run.
    fn check_order(&mut self, index: usize, instance: u32) {
        let Some(known) = self.containers.get(index) else { return };
        let (name, kind) = (known.name.clone(), known.kind);
        let regular_lives = self.containers.iter().any(|known| known.kind == Kind::Regular && known.life.is_some());
        if (self.initialized || regular_lives) && kind != Kind::Init {
            return;
        }
        // It may have been asked to begin anew before it was done.
        let done = known.done && !known.is_of_unknown_fate();
        if kind == Kind::Init && (done || regular_lives) {
            let found = format!("the init container {name} is run again (instance {instance}) in the same sandbox");
            return self.breach(Property::InitOrder, self.now, &name, found);
        }
        let before = self.containers.iter().take(index).filter(|before| before.kind != Kind::Regular);
        let wanting = before.filter(|before| match before.kind {
            Kind::Init => !before.done,
            // One that has run is passed, whatever has become of it since.
            _ => !before.done && !before.life.as_ref().is_some_and(|life| life.started),
        });
        let wanting: Vec<&str> = wanting.map(|before| before.name.as_str()).collect();
        // A sidecar that comes back need not wait for one before it that is down, nor be waited for by one behind it.
        let came_before = kind == Kind::Sidecar && known.ended.is_some();
        if !wanting.is_empty() && !came_before {
            let found = format!("{name} is started before {} is done", wanting.join(" and "));
            self.breach(Property::InitOrder, self.now, &name, found);
        }
    }

    /// Not before its back-off is over.
    fn check_back_off(&mut self, index: usize, instance: u32) {
        let Some(known) = self.containers.get(index) else { return };
        let Some((from, _)) = known.earliest(&self.settings) else { return };
        let name = known.name.clone();
        if self.now < from {
            let since = known.ended.map_or(Duration::ZERO, |end| self.now.saturating_sub(end.at));
            let early = go_duration(from.saturating_sub(self.now));
            let found = format!(
                "instance {instance} of {name} is started {} after the crash, {early} too early",
                go_duration(since)
            );
            self.breach(Property::BackOffKept, self.now, &name, found);
        }
    }

    /// A container is told to stop, or its preStop hook begins.
    fn stop_begins(&mut self, index: usize, rule: &str) {
        let now = self.now;
        let cause = self.has_cause_to_stop(index);
        let by =
            now + self.stop_patience().max(
                self.deletion.map_or(Duration::ZERO, |deletion| deletion.grace + self.settings.numbers.least_grace()),
            ) + self.away.map_or(Duration::ZERO, |(_, until)| until.saturating_sub(now))
                + self.tolerance;
        let Some(known) = self.containers.get_mut(index) else { return };
        let name = known.name.clone();
        let Some(life) = known.life.as_mut().filter(|life| life.stop.is_none()) else { return };
        life.stop = Some(now);
        life.kill_by = by;
        if !cause {
            let found = format!("{name} does well, and is stopped ({rule})");
            self.breach(Property::HealthyLeftAlone, now, &name, found);
        }
    }

    /// Whether there is any reason to stop a running container.
    fn has_cause_to_stop(&self, index: usize) -> bool {
        let own = self.containers.get(index).and_then(|known| known.life.as_ref());
        let own = own.is_some_and(|life| life.unhealthy.is_some() || life.hook_failed || life.renewed || life.unclear);
        let whole = self.deletion.is_some() || self.halted || self.resetting || self.limited;
        own || whole || self.sandbox != Sandbox::Stands || self.is_over() || self.may_be_over()
    }

    /// Whether nothing is left to be done: every regular container has ended for good, or must, or an init container has failed.
    pub(super) fn is_over(&self) -> bool {
        let failed = self.containers.iter().any(|known| {
            let badly = known.ended.is_some_and(|end| end.code != 0 || end.oom);
            known.kind == Kind::Init && badly && known.is_over()
        });
        failed || self.containers.iter().filter(|known| known.kind == Kind::Regular).all(|known| self.is_leaving(known))
    }

    /// Whether that may be so: of some it cannot be told.
    pub(super) fn may_be_over(&self) -> bool {
        let may = |known: &Known| self.is_leaving(known) || known.is_of_unknown_fate();
        self.containers.iter().filter(|known| known.kind == Kind::Regular).all(may)
    }

    /// Whether a container has ended for good, or must.
    fn is_leaving(&self, known: &Known) -> bool {
        let dying = known.life.as_ref().is_some_and(|life| life.unhealthy.is_some());
        known.is_over() || dying && known.own_policy(self.policy) == RestartPolicy::Never
    }

    pub(super) fn pre_stop_asked(&mut self, name: &str, rule: &str) {
        let Some(index) = self.index(name) else { return };
        self.stop_begins(index, rule);
        if let Some(life) = self.containers.get_mut(index).and_then(|known| known.life.as_mut()) {
            life.pre_stop = true;
        }
    }

    /// A start whose image is not pulled yet again, after the image's back-off: one of a container that has ended before has
    /// taken a step of its crash back-off.
    fn start_refused(&mut self, index: usize) {
        let (settings, now, most) = (self.settings.clone(), self.now, self.restart_patience());
        let Some(known) = self.containers.get_mut(index) else { return };
        let Some(end) = known.ended else { return };
        known.take_step(&settings, now, "R-4.5-b", None);
        let over = match known.entry {
            Entry::Known { wait, .. } => end.at + wait,
            Entry::None | Entry::Unknown => now + most,
        };
        self.calm = self.calm.max(over);
    }

    /// A stop whose signal is held back is told by a note alone (a hook that sleeps, a sidecar that waits for others), and a start
    /// that is refused, too.
    pub fn note(&mut self, note: &Note) {
        let Some(index) = self.index(&note.about) else { return };
        match note.rule.0.as_str() {
            "R-4.5-b" => self.start_refused(index),
            "R-7-c" => self.pre_stop_asked(&note.about, "R-7-c"),
            "R-8.4-a" => self.stop_begins(index, "R-8.4-a"),
            _ => {}
        }
    }

    pub(super) fn signal_asked(&mut self, name: &str, rule: &str) {
        let Some(index) = self.index(name) else { return };
        self.stop_begins(index, rule);
        let now = self.now;
        let (grace, _) = self.graces(index);
        let at_once = self.deletion.is_some_and(|deletion| deletion.at_once);
        let Some(known) = self.containers.get_mut(index) else { return };
        let sleeps =
            HookKind::PreStop.of(&known.spec).and_then(|hook| u64::try_from(hook.sleep.as_ref()?.seconds).ok());
        let hooked = HookKind::PreStop.of(&known.spec).is_some();
        let Some(life) = &mut known.life else { return };
        life.signalled = true;
        let stop = life.stop.unwrap_or(now);
        let slept = sleeps.is_some_and(|seconds| now >= stop + Duration::from_secs(seconds));
        let over = life.pre_stop && (life.pre_stop_over || slept || at_once || now >= stop + grace);
        if hooked && !over && !grace.is_zero() {
            let found = match life.pre_stop {
                true => format!(
                    "{name} is signalled while its preStop hook runs, {} after it began",
                    go_duration(now - stop)
                ),
                false => format!("{name} is signalled, and its preStop hook was not run"),
            };
            self.breach(Property::PreStopFirst, now, name, found);
        }
    }

    /// The shortest and the longest grace period that may hold for a stop of this container.
    fn graces(&self, index: usize) -> (Duration, Duration) {
        let mut all: Vec<Duration> = Vec::new();
        let known = self.containers.get(index);
        let unhealthy = known.and_then(|known| known.life.as_ref()?.unhealthy);
        let probe = unhealthy.and_then(|kind| kind.of(&known?.spec)?.termination_grace_period_seconds);
        all.extend(probe.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs));
        if all.is_empty() || self.deletion.is_some() {
            all.push(self.grace);
        }
        all.extend(self.deletion.map(|deletion| deletion.grace));
        if self.resetting || self.halted {
            all.push(Duration::ZERO);
        }
        if self.evicted {
            all.push(Duration::from_secs(self.settings.numbers.eviction_grace_seconds));
        }
        (all.iter().min().copied().unwrap_or_default(), all.into_iter().max().unwrap_or_default())
    }

    pub(super) fn kill_asked(&mut self, name: &str, attempt: u32, rule: &str) {
        let Some(index) = self.index(name) else { return };
        let (grace, _) = self.graces(index);
        let (now, least) = (self.now, self.settings.numbers.least_grace());
        let Some(life) = self.containers.get_mut(index).and_then(|known| known.life.as_mut()) else { return };
        if life.attempt != attempt {
            return;
        }
        life.killed = true;
        let found = match life.stop {
            None => format!("{name} is killed ({rule}) and was not told to stop"),
            Some(stop) if now < stop + grace.max(least) => {
                let (after, whole) = (go_duration(now - stop), go_duration(grace.max(least)));
                format!("{name} is killed {after} after its stop began, and had {whole}")
            }
            Some(_) => return,
        };
        self.breach(Property::GraceKept, now, name, found);
    }

    /// A user sees something else.
    pub fn view(&mut self, view: &View) {
        let now = self.now;
        let is_final = |phase: &str| ["Succeeded", "Failed"].contains(&phase);
        if is_final(&self.phase) && self.phase != view.phase {
            let found = format!("the pod had {} and is {} again", self.phase, view.phase);
            self.breach(Property::FinalStays, now, "", found);
        }
        self.phase.clone_from(&view.phase);
        let word =
            |kind: &str| view.conditions.iter().find(|(other, _)| other == kind).map(|(_, words)| words.as_str());
        self.ready = word("Ready") == Some("True");
        let mut breaches = Vec::new();
        for seen in &view.containers {
            let Some(index) = self.index(&seen.name) else { continue };
            let Some(known) = self.containers.get_mut(index) else { continue };
            if seen.restart_count < known.restarts {
                let found = format!(
                    "the restart count of {} goes from {} to {}",
                    seen.name, known.restarts, seen.restart_count
                );
                breaches.push((Property::RestartCountKept, seen.name.clone(), found));
            }
            known.restarts = known.restarts.max(seen.restart_count);
            let counts = known.kind != Kind::Init;
            let why = match &known.life {
                None => Some("does not run"),
                Some(life) if life.starting => Some("has not finished its postStart hook"),
                Some(life) if !life.started => Some("has not passed its startup probe"),
                Some(life) if !life.passed => Some("does not pass its readiness probe"),
                Some(_) => None,
            };
            if let Some(why) = why.filter(|_| counts && seen.ready) {
                breaches.push((
                    Property::ReadyIsTrue,
                    seen.name.clone(),
                    format!("{} is shown ready, and {why}", seen.name),
                ));
            }
            if let Some(why) = why.filter(|_| counts && self.ready && !seen.ready) {
                let found = format!("the pod is shown Ready, and {} {why}", seen.name);
                breaches.push((Property::ReadyIsTrue, seen.name.clone(), found));
            }
        }
        for (property, about, found) in breaches {
            self.breach(property, now, &about, found);
        }
    }

    /// Time passes up to there: what was due before has been done.
    pub fn pass(&mut self, to: Duration) {
        if to <= self.now {
            return;
        }
        self.look_at_starts(to);
        self.look_at_stops(to);
        self.look_at_end(to);
        self.look_at_ready(to);
        self.now = to;
        for known in &mut self.containers {
            let no_probe = known.spec.startup_probe.is_none();
            let Some(life) = known.life.as_mut().filter(|life| life.sleeps_until.is_some_and(|until| until <= to))
            else {
                continue;
            };
            if life.starting && !life.hook_failed {
                (life.starting, life.started, life.sleeps_until) = (false, no_probe, None);
                self.starting = None;
            }
        }
        self.away = self.away.filter(|(_, until)| to <= *until);
    }

    fn is_serving(&self) -> bool {
        let leaving = self.deletion.is_some() || self.halted || self.removed || self.resetting || self.limited;
        !leaving && self.sandbox == Sandbox::Stands && self.away.is_none() && !self.is_over()
    }

    /// A container whose back-off is over has been started, unless others are on their way.
    fn look_at_starts(&mut self, to: Duration) {
        // A failed pull keeps every container of that image waiting.
        let window = Duration::from_millis(self.settings.numbers.image_reset_milliseconds) * 2;
        let pulls = self.pull_failed.is_some_and(|at| to <= at + window);
        if self.starting.is_some() || pulls || !self.is_serving() {
            return;
        }
        let sidecars_run = self.containers.iter().filter(|known| known.kind == Kind::Sidecar);
        let sidecars_run = sidecars_run.into_iter().all(|known| known.life.as_ref().is_some_and(|life| life.started));
        let mut late = Vec::new();
        let tolerance = self.tolerance;
        for known in &mut self.containers {
            let Some(due) = known.due.filter(|due| *due + tolerance < to && known.life.is_none()) else { continue };
            if sidecars_run || known.kind == Kind::Sidecar && self.initialized {
                known.due = None;
                late.push((known.name.clone(), due.max(self.now)));
            }
        }
        for (name, at) in late {
            let found = format!("{name} has crashed, its back-off is over, and it is not started");
            self.breach(Property::BackOffKept, at, &name, found);
        }
    }

    /// What has failed its probes has been told to stop; what was told to is gone or killed when its time is over.
    fn look_at_stops(&mut self, to: Duration) {
        if self.away.is_some() {
            return;
        }
        let mut breaches = Vec::new();
        for known in &mut self.containers {
            let name = &known.name;
            let Some(life) = &mut known.life else { continue };
            if let Some(kind) = life.unhealthy.filter(|_| life.stop.is_none() && !life.killed) {
                // Told once.
                life.stop = Some(self.now);
                life.kill_by = Duration::MAX;
                let found = format!("the {} probe of {name} has failed, and it is not stopped", kind.word());
                breaches.push((Property::UnhealthyStopped, self.now, name.clone(), found));
            }
            if let Some(stop) = life.stop.filter(|_| !life.killed && life.kill_by < to) {
                let found = format!("{name} was told to stop at {}, and is not killed", go_duration(stop));
                breaches.push((Property::GraceKept, life.kill_by, name.clone(), found));
                life.killed = true;
            }
        }
        for (property, at, name, found) in breaches {
            self.breach(property, at, &name, found);
        }
    }

    /// A deleted pod is gone, one without work in its final phase.
    fn look_at_end(&mut self, to: Duration) {
        if let Some(deletion) = self.deletion {
            if deletion.by < to && !self.removed && self.away.is_none() {
                let found = format!("the pod was deleted at {}, and is still there", go_duration(deletion.at));
                self.breach(Property::EndsInTime, deletion.by, "", found);
                self.deletion = Some(Deletion { by: Duration::MAX, ..deletion });
            }
            return;
        }
        let is_final = ["Succeeded", "Failed"].contains(&self.phase.as_str());
        let waits = self.away.is_some() || self.sandbox == Sandbox::Awaited || !self.has_come_to_work();
        if is_final || self.halted || waits || !(self.is_over() || self.evicted) {
            self.over_since = None;
            return;
        }
        let since = *self.over_since.get_or_insert(self.now);
        let by = since + self.stop_patience() + self.settling;
        if by < to {
            self.over_since = Some(Duration::MAX - self.stop_patience() - self.settling);
            let found = format!("the pod has had no work left since {}, and has not ended", go_duration(since));
            self.breach(Property::EndsInTime, by, "", found);
        }
    }

    /// Whether the regular containers have been come to in this sandbox: before that nothing is said of how they ended. A failed
    /// init container ends the pod anyway.
    pub(super) fn has_come_to_work(&self) -> bool {
        let init = self.containers.iter().any(|known| known.kind != Kind::Regular);
        !init
            || self.initialized
            || self.containers.iter().any(|known| {
                known.kind == Kind::Init && known.is_over() && known.ended.is_some_and(|end| end.code != 0 || end.oom)
            })
    }

    /// Whether a pod like this must become Ready.
    fn must_be_ready(&self) -> bool {
        let leaving = self.deletion.is_some() || self.halted || self.removed || self.limited || self.gated;
        let held = self.containers.iter().any(|known| !known.held_by.is_empty());
        let ends = self.policy == RestartPolicy::Never && self.sandbox != Sandbox::Stands;
        let regular = self.containers.iter().filter(|known| known.kind == Kind::Regular);
        let stays_dead = |known: &Known| self.is_leaving(known) || known.is_of_unknown_fate();
        let stays_dead = regular.into_iter().any(stays_dead);
        !leaving && !held && !ends && !self.is_over() && !stays_dead
    }

    fn look_at_ready(&mut self, to: Duration) {
        let by = self.calm + self.settling;
        if by >= to || self.ready || self.late_told || self.away.is_some() || !self.must_be_ready() {
            return;
        }
        self.late_told = true;
        let found = format!("the pod is not Ready, and nothing has kept it from that since {}", go_duration(self.calm));
        self.breach(Property::ReadyAgain, by, "", found);
    }

    /// A breach if the pod is not Ready so long after the last fault.
    pub fn not_ready_within(&self, within: Duration, to: Duration) -> Option<Breach> {
        let by = self.disturbed + within + self.tolerance;
        if by >= to || by < self.now || self.ready || !self.must_be_ready() {
            return None;
        }
        let found = format!(
            "the pod is not Ready {} after the last fault, at {}",
            go_duration(within),
            go_duration(self.disturbed)
        );
        Some(Breach { property: Property::ReadyAgain, at: by, about: String::new(), found })
    }
}
