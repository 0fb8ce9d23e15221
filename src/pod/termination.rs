//! How containers are stopped, and how a pod ends: signal, grace period, SIGKILL, the sandbox, the tear-down, the removal
//! (lifecycle 8, 9.2). What the state asks for is asked for once; a stop's deadline is kept in the state.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::because;
use super::container::{Anew, Container, Kind, Stop};
use super::decide::wants_start;
use super::effect::EffectName;
use super::events::EventType::Normal;
use super::facts::plus_seconds;
use super::hook::StartHook;
use super::machine::{Course, Deletion, Failure, State, Turn};
use super::probe::{ProbeKind, failed_probe, is_started, restarts_after_probe};
use super::rules::{self, Rule};
use super::sandbox::SandboxState;
use super::time::BootTime;

/// Why a running container must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Its image was changed.
    DefinitionChanged,
    /// A probe of it has failed.
    Probe(ProbeKind),
    /// Its postStart hook has failed.
    StartHook,
    /// All containers are restarted because of an exit code.
    Reset,
    /// The user wants it restarted.
    Requested,
    /// It has other resources, and is to be started with them.
    Resize,
    /// The whole pod stops, by this rule.
    Pod(&'static Rule),
}

impl State {
    /// When the pod has been active for as long as it may be; none when that is not limited, or it ends already.
    pub fn deadline(&self, pod: &Pod) -> Option<BootTime> {
        let seconds = pod.spec.as_ref()?.active_deadline_seconds.filter(|_| self.course < Course::Ending)?;
        let active = self.active?;
        Some(active.since.after(Duration::from_secs(u64::try_from(seconds).ok()?).saturating_sub(active.before)))
    }

    /// Whether the pod has used more local storage than it may.
    fn is_evicted(&self) -> bool {
        matches!(self.failure, Some(Failure::Evicted(_)))
    }
}

/// Whether nothing of the pod's work is left, whatever still runs beside it.
pub(super) fn has_no_work_left(pod: &Pod, state: &State) -> bool {
    state.failure.is_some()
        || state.failed_init(pod).is_some()
        || state.regular().all(|container| is_over(pod, state, container))
}

fn is_over(pod: &Pod, state: &State, container: &Container) -> bool {
    container.exited().is_some() && !wants_start(pod, container) && !state.is_held(container)
}

impl Turn<'_> {
    /// All work is done when every regular container has ended, or must, and none may be started again; or when an init
    /// container has failed for good. While init containers run again in a new sandbox nothing is said of the regular ones.
    pub(super) fn look_for_end(&mut self) {
        if self.state.course != Course::Serving {
            return;
        }
        let pod = &*self.pod;
        let failed = self.state.failed_init(pod).map(|(container, ended)| (container.name.clone(), ended.exit_code));
        if let Some((name, code)) = failed {
            self.state.course = Course::Ending;
            return self.note(&name, rules::R_5_1_C, because! {"exitCode": code});
        }
        let failed =
            |container: &Container| failed_probe(container).filter(|_| !restarts_after_probe(pod, &container.name));
        let came_to_it = self.state.is_initialized(pod) || self.state.has_begun();
        let over = |container| is_over(pod, self.state, container) || failed(container).is_some();
        if !came_to_it || !self.state.regular().all(over) {
            return;
        }
        let last = self.state.regular().find_map(|container| Some((container.name.clone(), failed(container)?)));
        let containers = self.state.regular().count();
        self.state.course = Course::Ending;
        match last {
            None => self.note("", rules::R_1_1_A, because! {"containers": containers}),
            Some((name, probe)) => self.note("", rules::R_4_3_D, because! {"container": name, "probe": probe.word()}),
        }
    }

    /// A pod that is active for longer than it may be has failed, whatever its containers do (lifecycle 9.1).
    pub(super) fn look_at_deadline(&mut self) {
        let Some(deadline) = self.state.deadline(self.pod).filter(|deadline| *deadline <= self.now()) else { return };
        let failure = Failure::DeadlineExceeded;
        self.event(None, Normal, failure.reason(), failure.message().to_owned());
        self.state.failure = Some(failure);
        self.state.course = Course::Ending;
        self.state.round.clear();
        let late = super::backoff::go_duration(self.now().since(deadline));
        self.note("", rules::R_9_1_A, because! {"late": late});
    }

    /// Sends the stop signal to each container that must end, and SIGKILL to each whose grace period is over.
    pub(super) fn stop_containers(&mut self) {
        for index in 0..self.state.containers.len() {
            self.kill_lost(index);
            let Some(attempt) = self.state.containers.get(index).and_then(Container::running_attempt) else { continue };
            match self.state.containers.get(index).and_then(Container::stop).copied() {
                None => self.begin_stop(index, attempt),
                Some(stop) if stop.held.is_some() => self.go_on_stopping(index, attempt, stop),
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
    fn stop_cause(&self, index: usize) -> Option<Cause> {
        // Who looks at a pod is not disturbed by what its containers must hear (9.6).
        if self.state.is_ephemeral(index)
            && matches!(self.state.course, Course::Serving | Course::Resetting | Course::Restarting)
        {
            return None;
        }
        Some(match self.state.course {
            Course::Serving => {
                let container = self.state.containers.get(index)?;
                match (failed_probe(container), &container.start_hook) {
                    _ if self.definition_changed(index) && !self.starts_still(index) => Cause::DefinitionChanged,
                    _ if container.restart_requested => Cause::Requested,
                    (Some(probe), _) => Cause::Probe(probe),
                    (None, Some(StartHook::Failed { .. })) => Cause::StartHook,
                    (None, _) if self.state.resize_requires_restart(self.pod, index) => Cause::Resize,
                    (None, _) => return None,
                }
            }
            Course::Replacing => Cause::Pod(rules::R_9_2_B),
            Course::Resetting => Cause::Reset,
            Course::Restarting => Cause::Requested,
            _ if self.state.deletion.is_some() => Cause::Pod(rules::R_8_1_A),
            _ if self.state.is_evicted() => Cause::Pod(rules::R_9_9_D),
            _ if self.state.halt.is_some() => Cause::Pod(rules::R_9_4_B),
            _ => Cause::Pod(rules::R_8_1_B),
        })
    }

    fn definition_changed(&self, index: usize) -> bool {
        let changeable = |container: &&Container| matches!(container.kind, Kind::Regular | Kind::Sidecar);
        let container = self.state.containers.get(index).filter(changeable);
        let record = container.and_then(|container| container.record.as_ref());
        record.is_some_and(|record| record.spec_image != self.spec_image(index))
    }

    /// Whether this is a sidecar whose startup probe has not succeeded yet: until it has, a kubelet looks at nothing else of it.
    fn starts_still(&self, index: usize) -> bool {
        let sidecar = self.state.containers.get(index).filter(|container| container.kind == Kind::Sidecar);
        sidecar.is_some_and(|sidecar| sidecar.start_hook.is_none() && !is_started(self.pod, sidecar))
    }

    fn begin_stop(&mut self, index: usize, attempt: u32) {
        let Some(cause) = self.stop_cause(index) else { return };
        let signal = self.stop_signal(index);
        let stop = self.stop_from_now(index);
        self.mark_anew(index, cause);
        let rule = match cause {
            Cause::DefinitionChanged => rules::R_4_3_A,
            Cause::Probe(ProbeKind::Startup) => rules::R_4_3_C,
            Cause::Probe(_) => rules::R_4_3_B,
            Cause::StartHook => rules::R_7_B,
            Cause::Reset => rules::R_4_6_A,
            Cause::Requested => rules::R_4_6_C,
            Cause::Resize => rules::R_9_7_B,
            Cause::Pod(rule) => rule,
        };
        if self.begin_stop_hook(index, attempt, rule) || self.begin_waiting(index) {
            return;
        }
        let Some(container) = self.state.containers.get(index) else { return };
        let grace = super::backoff::go_duration(stop.kill_at.since(self.state.clock.boot));
        let because = because! {"signal": signal, "grace": grace, "raisedToLeast": stop.raised};
        let name = EffectName::Signal { container: container.name.clone(), attempt, signal };
        self.ask(name, rule, because);
    }

    /// A container that is stopped for another reason than the pod's end is started anew, whatever the policy says. Of an
    /// init container nothing is left with its sandbox, and the regular ones of its pod follow the normal rules then.
    fn mark_anew(&mut self, index: usize, cause: Cause) {
        let (course, has_init, pod) = (self.state.course, self.state.has_init(), &*self.pod);
        let Some(container) = self.state.containers.get_mut(index) else { return };
        let since_the_one_before = Anew { exited: container.last.as_ref().map(|ended| ended.finished.boot) };
        let replaced = course == Course::Replacing;
        container.anew = match (cause, container.kind) {
            (Cause::DefinitionChanged | Cause::Resize, _) => Some(since_the_one_before),
            (Cause::Requested, _) => Some(Anew { exited: None }),
            (Cause::Probe(_), _) if restarts_after_probe(pod, &container.name) => Some(since_the_one_before),
            (Cause::Pod(_), Kind::Regular) if replaced && !has_init => Some(since_the_one_before),
            (Cause::Pod(_), Kind::Init | Kind::Sidecar) if replaced => Some(Anew { exited: None }),
            _ => return,
        };
    }

    /// The containers that have to end before this one is told to: before a sidecar all regular ones, and the sidecars that
    /// were declared later (lifecycle 8.4). One that is stopped for itself alone waits for nobody.
    fn ends_after(&self, index: usize) -> Vec<String> {
        let is_sidecar = self.state.containers.get(index).is_some_and(|container| container.kind == Kind::Sidecar);
        if matches!(self.state.course, Course::Serving | Course::Resetting) || !is_sidecar {
            return Vec::new();
        }
        let later = self.state.containers.iter().skip(index + 1);
        let counts = |container: &&Container| matches!(container.kind, Kind::Regular | Kind::Sidecar);
        let before = later.filter(counts).filter(|container| container.may_have_process());
        before.map(|container| container.name.clone()).collect()
    }

    /// Begins the stop of a container that waits for others to end, if there is time for it; false for any other.
    fn begin_waiting(&mut self, index: usize) -> bool {
        let (waits_for, grace) = (self.ends_after(index), self.stop_grace(index));
        if waits_for.is_empty() || grace.is_zero() {
            return false;
        }
        self.hold_signal(index, None);
        let Some(name) = self.state.containers.get(index).map(|container| container.name.clone()) else { return false };
        let at_most = super::backoff::go_duration(grace);
        self.note(&name, rules::R_8_4_A, because! {"after": waits_for.join(" "), "atMost": at_most});
        true
    }

    /// The signal is held back, by a preStop hook or by containers that end first: it is sent when these are over, or the
    /// grace period is.
    pub(super) fn go_on_stopping(&mut self, index: usize, attempt: u32, stop: Stop) {
        let now = self.now();
        let slept = stop.hook.is_some_and(|hook| hook.until.is_some_and(|until| until <= now));
        let hook = stop.hook.filter(|_| !slept);
        let waits_for = self.ends_after(index);
        if now < stop.kill_at && (hook.is_some() || !waits_for.is_empty()) {
            if let Some(stop) = self.state.containers.get_mut(index).and_then(Container::stop_mut) {
                stop.hook = hook;
            }
            return;
        }
        let signal = self.stop_signal(index);
        let Some(container) = self.state.containers.get(index) else { return };
        let ordered = container.kind == Kind::Sidecar && self.state.course != Course::Serving;
        let rule = match (waits_for.is_empty(), stop.hook) {
            (false, _) => rules::R_8_4_C,
            (true, None) if ordered => rules::R_8_4_B,
            (true, _) => rules::R_7_D,
        };
        let used = super::backoff::go_duration(now.since(stop.held.unwrap_or(now)));
        let because = because! {"signal": signal, "used": used, "hookAbandoned": hook.is_some()};
        self.ask(EffectName::Signal { container: container.name.clone(), attempt, signal }, rule, because);
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

    /// The grace period of a container that is told to stop now: of a deletion, never nothing; else the one of the probe that
    /// stops this container alone; else the spec's (lifecycle 6.4, 8.1).
    pub(super) fn stop_grace(&self, index: usize) -> Duration {
        let most = self.state.halt.and_then(|halt| halt.most_seconds).unwrap_or(i64::MAX);
        let of_probe = || match self.stop_cause(index)? {
            Cause::Probe(kind) => kind.of(&*self.container_spec(index)?)?.termination_grace_period_seconds,
            Cause::Reset => Some(0),
            _ => None,
        };
        let evicted = self.state.is_evicted();
        let seconds = match self.state.deletion {
            // The smallest of all overrides, and at least 1.
            _ if evicted => i64::try_from(self.numbers().eviction_grace_seconds).unwrap_or(1),
            Some(deletion) => deletion.grace_seconds.max(1),
            None => of_probe().unwrap_or_else(|| self.spec_grace()).min(most),
        };
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    /// The stop that begins now with the signal.
    pub(super) fn stop_from_now(&self, index: usize) -> Stop {
        let (grace, least) = (self.stop_grace(index), self.numbers().least_grace());
        Stop { raised: grace < least, ..Stop::at(self.now().after(grace.max(least))) }
    }

    /// The text of the event Killing.
    pub(super) fn stop_text(&self, index: usize) -> String {
        let Some(container) = self.state.containers.get(index) else { return String::new() };
        let name = &container.name;
        // A kubelet words what it does to sidecars otherwise, and leaves out what follows: they always come back.
        let (who, then) = match container.kind {
            Kind::Sidecar => ("Init container", ""),
            Kind::Init | Kind::Regular | Kind::Ephemeral => ("Container", ", will be restarted"),
        };
        match self.stop_cause(index) {
            Some(Cause::DefinitionChanged) => format!("{who} {name} definition changed{then}"),
            Some(Cause::Probe(probe)) => {
                let then = if restarts_after_probe(self.pod, name) { then } else { "" };
                format!("{who} {name} failed {} probe{then}", probe.word())
            }
            Some(Cause::StartHook) => "FailedPostStartHook".to_owned(),
            Some(Cause::Reset) => "killing".to_owned(),
            Some(Cause::Resize) => format!("Container {name} resize requires restart"),
            Some(Cause::Requested) => format!("Container {name} restart requested, will be restarted"),
            Some(Cause::Pod(_)) | None => format!("Stopping container {name}"),
        }
    }

    /// A shorter delete: what is under way ends sooner, counted from the first request.
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
        self.shorten_stops(end);
        self.note("", rules::R_8_1_C, because! {"graceSeconds": grace_seconds, "before": first.grace_seconds});
    }

    /// What is being stopped, for whatever reason, is killed by then, but never less than the least grace period from now.
    pub(super) fn shorten_stops(&mut self, end: BootTime) {
        let now = self.now();
        let least = now.after(self.numbers().least_grace());
        for container in &mut self.state.containers {
            if let Some(stop) = container.stop_mut() {
                // What holds the signal back is cut short; the least grace period follows the signal.
                let earliest = if stop.held.is_some() { now } else { least };
                let sooner = end.max(earliest);
                if sooner < stop.kill_at {
                    stop.raised |= end < earliest;
                    stop.kill_at = sooner;
                }
            }
        }
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
