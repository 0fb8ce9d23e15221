//! How containers are stopped, and how a pod ends: signal, grace period, SIGKILL, the sandbox, the tear-down, the removal
//! (lifecycle 8, 9.2). What the state asks for is asked for once; a stop's deadline is kept in the state.

use std::time::Duration;

use super::because;
use super::container::{Anew, Container, Stop};
use super::effect::EffectName;
use super::facts::plus_seconds;
use super::machine::{Course, Deletion, Turn};
use super::rules::{self, Rule};
use super::sandbox::SandboxState;

impl Turn<'_> {
    /// All work is done when every container has ended and none may be started again.
    pub(super) fn look_for_end(&mut self) {
        let pod = &*self.pod;
        let over = |container: &Container| container.exited().is_some() && !super::decide::wants_start(pod, container);
        if self.state.course == Course::Serving && self.state.containers.iter().all(over) {
            self.state.course = Course::Ending;
            self.note("", rules::R_1_1_A, because! {"containers": self.state.containers.len()});
        }
    }

    /// Sends the stop signal to each container that must end, and SIGKILL to each whose grace period is over.
    pub(super) fn stop_containers(&mut self) {
        for index in 0..self.state.containers.len() {
            self.kill_lost(index);
            let Some(attempt) = self.state.containers.get(index).and_then(Container::running_attempt) else { continue };
            match self.state.containers.get(index).and_then(Container::stop).copied() {
                None => self.begin_stop(index, attempt),
                Some(stop) if !stop.killed && self.now() >= stop.kill_at => self.kill(index, attempt, stop),
                Some(_) => {}
            }
        }
    }

    fn kill_lost(&mut self, index: usize) {
        let Some(container) = self.state.containers.get(index) else { return };
        if let Some(attempt) = container.lost {
            let name = EffectName::Kill { container: container.name.clone(), attempt };
            self.ask(name, rules::R_3_3_A, because! {"attempt": attempt});
        }
    }

    /// Why a running container must end, if it must.
    fn stop_rule(&self, index: usize) -> Option<&'static Rule> {
        match self.state.course {
            Course::Serving => self.definition_changed(index).then_some(rules::R_4_3_A),
            Course::Replacing => Some(rules::R_9_2_B),
            _ if self.state.deletion.is_some() => Some(rules::R_8_1_A),
            _ if self.state.halt.is_some() => Some(rules::R_9_4_B),
            _ => Some(rules::R_8_1_B),
        }
    }

    fn definition_changed(&self, index: usize) -> bool {
        let record = self.state.containers.get(index).and_then(|container| container.record.as_ref());
        record.is_some_and(|record| record.spec_image != self.spec_image(index))
    }

    fn begin_stop(&mut self, index: usize, attempt: u32) {
        let Some(rule) = self.stop_rule(index) else { return };
        let signal = self.stop_signal(index);
        let stop = self.stop_from_now();
        let started_anew = matches!(self.state.course, Course::Serving | Course::Replacing);
        let Some(container) = self.state.containers.get_mut(index) else { return };
        if started_anew {
            container.anew = Some(Anew { exited: container.last.as_ref().map(|ended| ended.finished.boot) });
        }
        let grace = super::backoff::go_duration(stop.kill_at.since(self.state.clock.boot));
        let because = because! {"signal": signal, "grace": grace, "raisedToLeast": stop.raised};
        let name = EffectName::Signal { container: container.name.clone(), attempt, signal };
        self.ask(name, rule, because);
    }

    fn kill(&mut self, index: usize, attempt: u32, stop: Stop) {
        let Some(container) = self.state.containers.get(index) else { return };
        let rule = if stop.raised { rules::R_8_2_B } else { rules::R_8_2_A };
        let late = super::backoff::go_duration(self.now().since(stop.kill_at));
        let name = EffectName::Kill { container: container.name.clone(), attempt };
        self.ask(name, rule, because! {"late": late});
    }

    /// `lifecycle.stopSignal`, else the image's STOPSIGNAL, else SIGTERM.
    fn stop_signal(&self, index: usize) -> String {
        let own = self.container_spec(index).and_then(|spec| spec.lifecycle.as_ref()?.stop_signal.clone());
        let record = self.state.containers.get(index).and_then(|container| container.record.as_ref());
        let images = || record.and_then(|record| record.image.stop_signal.clone());
        own.or_else(images).filter(|signal| !signal.is_empty()).unwrap_or_else(|| "SIGTERM".to_owned())
    }

    /// The spec's grace period, in seconds.
    pub(super) fn spec_grace(&self) -> i64 {
        let named = self.spec().and_then(|spec| spec.termination_grace_period_seconds);
        named.unwrap_or(self.numbers().default_grace_seconds)
    }

    /// The stop that begins now, with the grace period in force.
    pub(super) fn stop_from_now(&self) -> Stop {
        let numbers = self.numbers();
        let most = self.state.halt.and_then(|halt| halt.most_seconds).unwrap_or(i64::MAX);
        let seconds =
            self.state.deletion.map_or_else(|| self.spec_grace().min(most), |deletion| deletion.grace_seconds);
        let (grace, least) = (Duration::from_secs(u64::try_from(seconds).unwrap_or(0)), numbers.least_grace());
        Stop { kill_at: self.now().after(grace.max(least)), raised: grace < least, killed: false }
    }

    /// The text of the event Killing.
    pub(super) fn stop_text(&self, index: usize) -> String {
        let name = self.state.containers.get(index).map_or("", |container| container.name.as_str());
        if self.state.course == Course::Serving && self.definition_changed(index) {
            return format!("Container {name} definition changed, will be restarted");
        }
        format!("Stopping container {name}")
    }

    /// A shorter delete, or the first one while containers are being stopped for another reason: what is under way ends
    /// sooner, counted from the first request, but never less than the least grace period from now.
    pub(super) fn shorten_deletion(&mut self, first: Deletion, grace_seconds: i64) {
        let clock = self.state.clock;
        let asked = Duration::from_secs(u64::try_from(grace_seconds).unwrap_or(0));
        let end = first.requested.boot.after(asked);
        let over = end <= clock.boot && grace_seconds > 0;
        self.state.deletion = Some(Deletion {
            grace_seconds: if over { 1 } else { grace_seconds },
            timestamp: plus_seconds(first.requested.wall, grace_seconds).max(clock.wall),
            ..first
        });
        let least = clock.boot.after(self.numbers().least_grace());
        for container in &mut self.state.containers {
            if let Some(stop) = container.stop_mut() {
                stop.raised |= end < least;
                stop.kill_at = stop.kill_at.min(end.max(least));
            }
        }
        self.note("", rules::R_8_1_C, because! {"graceSeconds": grace_seconds, "before": first.grace_seconds});
    }

    /// Nothing runs any more: the sandbox is stopped, then the rest is torn down, then a deleted pod is removed.
    pub(super) fn go_on_ending(&mut self) {
        if self.state.course == Course::Ending {
            for container in &mut self.state.containers {
                container.abandon_image();
            }
            if self.state.containers.iter().any(Container::may_have_process) {
                return;
            }
            let attempt = self.state.sandbox.attempt;
            match self.state.sandbox.state {
                SandboxState::Ready => {
                    let because = because! {"sandbox": attempt};
                    return self.ask(EffectName::StopSandbox { attempt }, rules::R_8_2_C, because);
                }
                SandboxState::Starting | SandboxState::Stopping => return,
                SandboxState::Wanted { .. } | SandboxState::Gone => {
                    self.ask(EffectName::TearDown, rules::R_8_3_A, because! {"sandbox": attempt});
                    let containers = self.state.containers.len();
                    self.note("", rules::R_1_1_B, because! {"sandbox": attempt, "containers": containers});
                }
            }
        }
        if self.state.course == Course::TornDown
            && let Some(deletion) = self.state.deletion
        {
            self.ask(EffectName::Remove, rules::R_8_3_B, because! {"graceSeconds": deletion.grace_seconds});
        }
    }
}
