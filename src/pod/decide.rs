//! What follows from a state: sandboxes and starts. (Stops and the end are in `termination`.) Each function looks at the
//! state as it is and asks for what is missing; asking marks the state, so that looking again asks for nothing twice.

use std::borrow::Cow;
use std::time::Duration;

use super::backoff::{Backoff, CrashVerdict, crash_backoff, go_duration};
use super::because;
use super::container::{Anew, Container, EndReason, Kind, RecordState, Step, Stop, Waiting, WaitingReason};
use super::effect::EffectName;
use super::events::EventType::{Normal, Warning};
use super::hook::StartHook;
use super::machine::{Course, Machine, Turn, hash_json, pod_policy};
use super::restart::{RestartPolicy, effective_policy, restart_decision};
use super::rules::{self, Rule};
use super::sandbox::SandboxState;
use super::time::BootTime;
use crate::manifest::containers::find_container;

/// A waiting reason that is shown once before anything else is decided, and a start that is tried again at `until`.
pub(super) fn waiting(reason: WaitingReason, message: &str, until: BootTime) -> Waiting {
    Waiting { reason, message: message.to_owned(), until, unseen: true }
}

impl Turn<'_> {
    /// Asks for all that the state asks for.
    pub(super) fn decide(&mut self) {
        self.look_for_reset();
        self.go_on_resetting();
        self.look_for_end();
        self.look_at_deadline();
        self.look_at_sandbox();
        self.run_start_hooks();
        self.stop_containers();
        self.go_on_resizing();
        self.go_on_ending();
        self.make_sandbox();
        self.start_containers();
    }

    /// The sandbox is gone although nobody asked for it: it is made anew, or the pod ends (lifecycle 9.2).
    fn look_at_sandbox(&mut self) {
        if self.state.course != Course::Serving || self.state.sandbox.state != SandboxState::Gone {
            return;
        }
        let policy = self.pod_policy();
        let ever_ran = self.state.containers.iter().any(|container| container.record.is_some());
        let attempt = self.state.sandbox.attempt;
        if policy == RestartPolicy::Never && ever_ran {
            self.note("", rules::R_9_2_C, because! {"sandbox": attempt, "restartPolicy": policy.word()});
            self.state.course = Course::Ending;
            return;
        }
        let stays = |(index, container): (usize, &Container)| {
            let own = self.container_spec(index).map_or(policy, |spec| effective_policy(&spec, policy));
            let exited_well = container.exited().is_some_and(|ended| ended.exit_code == 0);
            let done = container.anew.is_none() && exited_well;
            container.kind.is_regular() && own == RestartPolicy::OnFailure && done
        };
        let stay: Vec<bool> = self.state.containers.iter().enumerate().map(stays).collect();
        let name = |(container, stays): (&Container, &bool)| stays.then(|| container.name.clone());
        let kept: Vec<String> = self.state.containers.iter().zip(&stay).filter_map(name).collect();
        for name in &kept {
            self.note(name, rules::R_9_2_D, because! {"sandbox": attempt, "restartPolicy": "OnFailure"});
        }
        if kept.len() == self.state.regular().count() {
            self.state.course = Course::Ending;
            return;
        }
        self.event(None, Normal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.".to_owned());
        self.state.course = Course::Replacing;
        self.state.round.clear();
        let has_init = self.state.has_init();
        for (container, stays) in self.state.containers.iter_mut().zip(stay) {
            container.abandon_image();
            match container.kind {
                // With init containers the normal rules decide about these once those have run again.
                Kind::Regular if has_init || stays => {}
                Kind::Regular => {
                    container.anew = container.exited().map(|ended| Anew { exited: Some(ended.finished.boot) });
                }
                Kind::Init | Kind::Sidecar => {
                    container.waiting = None;
                    container.anew = container.exited().map(|_| Anew { exited: None });
                }
                Kind::Ephemeral => {}
            }
        }
        if has_init {
            self.note("", rules::R_5_1_D, because! {"sandbox": attempt});
        }
    }

    /// Makes the sandbox that is wanted; a lost one is replaced once nothing of it runs any more.
    fn make_sandbox(&mut self) {
        let (now, retry) = (self.now(), self.numbers().retry());
        if self.state.course == Course::Replacing && !self.state.containers.iter().any(Container::may_have_process) {
            let sandbox = &mut self.state.sandbox;
            let short_lived = sandbox.stood.filter(|_| sandbox.attempt > 0).map(|stood| stood.after(retry));
            sandbox.state = SandboxState::Wanted { not_before: short_lived.unwrap_or_default() };
            sandbox.attempt = sandbox.attempt.saturating_add(1);
            sandbox.tries = 0;
            sandbox.mounts_failed = 0;
            self.state.course = Course::Serving;
            // Also what was on its way when the old one was lost, and ended since.
            for container in self.state.containers.iter_mut().filter(|container| container.kind.is_init()) {
                container.anew = container.exited().map(|_| Anew { exited: None });
            }
            if let Some(until) = short_lived.filter(|until| *until > now) {
                self.note("", rules::R_9_2_F, because! {"wait": go_duration(until.since(now))});
            }
        }
        let sandbox = &self.state.sandbox;
        let SandboxState::Wanted { not_before } = sandbox.state else { return };
        if self.state.course != Course::Serving || now < not_before {
            return;
        }
        let (attempt, tries) = (sandbox.attempt, sandbox.tries.saturating_add(1));
        let rule = match (attempt, tries) {
            (0, 1) => rules::R_9_2_A,
            (_, 1) => rules::R_9_2_B,
            _ if sandbox.mounts_failed > 0 => rules::R_0_6_A,
            _ => rules::R_9_2_E,
        };
        self.ask(EffectName::Sandbox { attempt, tries }, rule, because! {"attempt": attempt, "try": tries});
    }

    /// Starts containers, one after another in list order, as long as the sandbox stands.
    fn start_containers(&mut self) {
        if self.state.course != Course::Serving || self.state.sandbox.state != SandboxState::Ready {
            return;
        }
        loop {
            if self.go_on_starting() {
                return;
            }
            if self.state.round.is_empty() {
                let mut round: Vec<usize> =
                    (0..self.state.containers.len()).filter(|index| self.is_due(*index)).collect();
                // Whoever looks need not wait for the rest (lifecycle 0.5).
                round.sort_by_key(|index| !self.state.is_ephemeral(*index));
                self.state.round = round;
            }
            if self.state.round.is_empty() {
                return;
            }
            let index = self.state.round.remove(0);
            if self.is_due(index) {
                self.try_start(index);
            }
        }
    }

    /// Takes the start that is under way further; false when there is none. One is until its postStart hook is over.
    fn go_on_starting(&mut self) -> bool {
        if self.state.containers.iter().any(|container| container.start_hook.is_some()) {
            return true;
        }
        let Some(index) = self.state.containers.iter().position(|container| container.step != Step::Idle) else {
            return false;
        };
        let wanted_image = self.spec_image(index);
        let Some(container) = self.state.containers.get_mut(index) else { return false };
        let Step::Ready { attempt, spec_image, image } = &container.step else { return true };
        if *spec_image != wanted_image {
            // The spec was changed while the image of before was being pulled.
            container.step = Step::Idle;
            return false;
        }
        let because = because! {"image": image.image, "attempt": attempt};
        let name = EffectName::Start { container: container.name.clone(), attempt: *attempt, tries: container.tries };
        self.ask(name, rules::R_0_5_A, because);
        true
    }

    pub(super) fn spec_image(&self, index: usize) -> String {
        self.container_spec(index).and_then(|spec| spec.image.clone()).unwrap_or_default()
    }

    /// Whether a start of this container is to be tried now.
    fn is_due(&self, index: usize) -> bool {
        let Some(container) = self.state.containers.get(index) else { return false };
        let allowed = container.waiting.as_ref().is_none_or(|why| !why.unseen && why.until <= self.now());
        allowed
            && container.step == Step::Idle
            && wants_start(self.pod, container)
            && self.state.may_start(self.pod, index)
    }

    /// Tries a start: the crash back-off, then the image's, may refuse it.
    fn try_start(&mut self, index: usize) {
        let now = self.now();
        let image = self.spec_image(index);
        let Some(container) = self.state.containers.get(index) else { return };
        let (name, attempt) = (container.name.clone(), container.next_attempt());
        let tries = container.tries.saturating_add(1);
        let mut because = because! {"attempt": attempt, "try": tries};
        if let Some(ended) = container.exited() {
            because.insert("exitCode".to_owned(), ended.exit_code.to_string());
            because.insert("sinceExit".to_owned(), go_duration(now.since(ended.finished.boot)));
        }
        let rule = match self.crash_verdict(index) {
            None => first_start_rule(container.kind),
            Some(CrashVerdict::Wait { backoff, until }) => return self.refuse_crashed(index, backoff, until),
            Some(CrashVerdict::Start { entry, rule }) => {
                // One of another image or other amounts is nobody's: the next crash does not wait for it.
                if let Some(entry) = entry.as_ref().filter(|entry| entry.key == self.backoff_key(index)) {
                    because.insert("nextBackoff".to_owned(), entry.words());
                }
                if let Some(container) = self.state.containers.get_mut(index) {
                    container.backoff = entry;
                }
                rule
            }
        };
        if let Some(failed) = self.state.images.get(&image).filter(|failed| now < failed.backoff.over_at()) {
            let until = failed.backoff.over_at();
            let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {}", failed.message);
            let because = because! {"image": image, "backoff": failed.backoff.words()};
            self.event(Some(&name), Normal, "BackOff", format!("Back-off pulling image \"{image}\""));
            self.event(Some(&name), Warning, "Failed", "Error: ImagePullBackOff".to_owned());
            self.note(&name, rules::R_4_5_B, because);
            self.wait(index, Waiting { reason: WaitingReason::ImagePullBackOff, message, until, unseen: false });
            return;
        }
        let waited = self.state.containers.get(index).and_then(|container| container.waiting.as_ref());
        let rule = waited.and_then(|why| retry_rule(why.reason)).unwrap_or(rule);
        self.ask(EffectName::Image { container: name, attempt, tries }, rule, because);
    }

    /// What the crash back-off says of a start now; nothing for a container that never ended.
    fn crash_verdict(&self, index: usize) -> Option<CrashVerdict> {
        let container = self.state.containers.get(index)?;
        let ended = container.exited()?;
        let exited = match container.anew {
            Some(anew) => anew.exited,
            None => Some(ended.finished.boot),
        };
        let limits = self.state.settings.crash_limits();
        Some(crash_backoff(container.backoff, self.backoff_key(index), exited, self.now(), limits))
    }

    /// What a back-off belongs to; the pod and the container are given by where it is kept.
    fn backoff_key(&self, index: usize) -> u64 {
        let pod = self.allocated();
        let spec = self.state.containers.get(index).and_then(|container| find_container(&pod, &container.name));
        hash_json(&spec.as_ref().map(|spec| (&spec.image, &spec.resources)))
    }

    fn refuse_crashed(&mut self, index: usize, backoff: Duration, until: BootTime) {
        let pod = self.pod_words();
        let Some(container) = self.state.containers.get_mut(index) else { return };
        // From here on the normal rules and the newest exit count (lifecycle 4.4, last block); of a record that was removed
        // there are none.
        if container.exited().is_some_and(|ended| ended.reason != EndReason::RestartingAllContainers) {
            container.anew = None;
        }
        // Where these start it no more the next look finds that, and the pod may be over: it comes at once.
        let unseen = !wants_start(self.pod, container);
        let name = container.name.clone();
        let words = go_duration(backoff);
        let message = format!("back-off {words} restarting failed container={name} pod={pod}");
        self.event(
            Some(&name),
            Warning,
            "BackOff",
            format!("Back-off restarting failed container {name} in pod {pod}"),
        );
        self.note(&name, rules::R_4_4_B, because! {"backoff": words, "wait": go_duration(until.since(self.now()))});
        self.wait(index, Waiting { reason: WaitingReason::CrashLoopBackOff, message, until, unseen });
    }

    /// Notes what restart policy says of a container that has just ended.
    pub(super) fn note_restart_decision(&mut self, name: &str) {
        if self.state.course != Course::Serving {
            return;
        }
        let Some(container) = self.state.containers.iter().find(|container| container.name == name) else { return };
        let Some(ended) = container.exited().filter(|_| container.anew.is_none()) else { return };
        let Some(spec) = find_container(self.pod, name) else { return };
        let verdict = restart_decision(container.kind, &spec, self.pod_policy(), ended.exit_code, ended.reason.word());
        let restart = if verdict.restart { "yes" } else { "no" };
        let because =
            because! {"exitCode": ended.exit_code, "restartPolicy": verdict.policy.word(), "restart": restart};
        self.note(name, verdict.rule, because);
    }

    /// Marks an effect as asked for; false when the state has no place for it.
    pub(super) fn mark(&mut self, name: &EffectName) -> bool {
        match name {
            EffectName::Sandbox { attempt, tries } => {
                let sandbox = &mut self.state.sandbox;
                (sandbox.attempt, sandbox.tries, sandbox.state) = (*attempt, *tries, SandboxState::Starting);
                if self.state.course == Course::Replacing {
                    self.state.course = Course::Serving;
                }
                true
            }
            EffectName::StopSandbox { attempt } => {
                let known = self.state.sandbox.attempt == *attempt;
                self.state.sandbox.state = SandboxState::Stopping;
                self.state.course = self.state.course.max(Course::Ending);
                known
            }
            EffectName::Image { container, attempt, tries } => self.mark_image(container, *attempt, *tries),
            EffectName::Start { container, attempt, .. } => self.mark_start(container, *attempt),
            EffectName::Signal { container, attempt, .. } => self.mark_signal(container, *attempt),
            EffectName::Kill { container, attempt } => self.mark_kill(container, *attempt),
            // When a probe is run is the prober's, not the machine's.
            EffectName::Probe { .. } => false,
            EffectName::Hook { container, attempt, hook } => self.mark_hook(container, *attempt, *hook),
            EffectName::Resize { generation, tries } => self.mark_resize(*generation, *tries),
            EffectName::TearDown => {
                self.state.course = self.state.course.max(Course::TearingDown);
                true
            }
            EffectName::Remove => {
                self.state.course = Course::Removed;
                true
            }
        }
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        self.state.containers.iter().position(|container| container.name == name)
    }

    fn mark_image(&mut self, name: &str, attempt: u32, tries: u32) -> bool {
        let Some(index) = self.index_of(name) else { return false };
        let spec_image = self.spec_image(index);
        let Some(container) = self.state.containers.get_mut(index) else { return false };
        if container.running() || container.next_attempt() != attempt {
            return false;
        }
        container.tries = tries;
        container.step = Step::Image { attempt, spec_image };
        true
    }

    fn mark_start(&mut self, name: &str, attempt: u32) -> bool {
        let Some(index) = self.index_of(name) else { return false };
        let Some(container) = self.state.containers.get_mut(index) else { return false };
        let Step::Ready { attempt: ready, spec_image, image } = &container.step else { return false };
        if *ready != attempt {
            return false;
        }
        container.step = Step::Starting { attempt, spec_image: spec_image.clone(), image: image.clone() };
        container.resized_from = None;
        true
    }

    fn mark_signal(&mut self, name: &str, attempt: u32) -> bool {
        let Some(index) = self.index_of(name) else { return false };
        let (text, stop, now) = (self.stop_text(index), self.stop_from_now(index), self.now());
        let least = self.numbers().least_grace();
        let Some(container) = self.state.containers.get_mut(index) else { return false };
        if container.running_attempt() != Some(attempt) {
            return false;
        }
        if container.begin_stop(stop) {
            self.event(Some(name), Normal, "Killing", text);
            return true;
        }
        container.stop_mut().is_some_and(|stop| stop.release(now, least))
    }

    fn mark_kill(&mut self, name: &str, attempt: u32) -> bool {
        let Some(index) = self.index_of(name) else { return false };
        let now = self.now();
        let Some(container) = self.state.containers.get_mut(index) else { return false };
        if container.lost == Some(attempt) {
            container.lost = None;
            return true;
        }
        match container.record.as_mut().filter(|record| record.attempt == attempt).map(|record| &mut record.state) {
            Some(RecordState::Running { stop, .. }) => {
                let stop = stop.get_or_insert(Stop::at(now));
                !std::mem::replace(&mut stop.killed, true)
            }
            _ => false,
        }
    }

    /// Marks an effect that another version of the machine asked for: a start consumed a step of the crash back-off.
    pub(super) fn mark_recorded(&mut self, name: &EffectName) -> bool {
        if let EffectName::Image { container, .. } = name {
            let Some(index) = self.index_of(container) else { return false };
            let entry = match self.crash_verdict(index) {
                Some(CrashVerdict::Start { entry, .. }) => entry,
                Some(CrashVerdict::Wait { backoff, .. }) => {
                    let milliseconds = u64::try_from(backoff.as_millis()).unwrap_or(u64::MAX);
                    Some(Backoff { key: self.backoff_key(index), milliseconds, updated: self.now() })
                }
                None => None,
            };
            if let Some(container) = self.state.containers.get_mut(index) {
                container.backoff = entry.or(container.backoff);
            }
        }
        self.mark(name)
    }
}

/// The rule by which a container is started that has no record.
fn first_start_rule(kind: Kind) -> &'static Rule {
    match kind {
        Kind::Regular => rules::R_4_1_A,
        Kind::Init => rules::R_5_1_A,
        Kind::Sidecar => rules::R_5_2_A,
        Kind::Ephemeral => rules::R_9_6_A,
    }
}

/// The rule by which a start is tried again that failed for another reason than a crash.
fn retry_rule(reason: WaitingReason) -> Option<&'static Rule> {
    match reason {
        WaitingReason::CreateContainerConfigError | WaitingReason::CreateContainerError => Some(rules::R_3_2_A),
        WaitingReason::ErrImageNeverPull | WaitingReason::InvalidImageName | WaitingReason::ImageInspectError => {
            Some(rules::R_3_2_B)
        }
        WaitingReason::ErrImagePull | WaitingReason::ImagePullBackOff => Some(rules::R_4_5_C),
        WaitingReason::CrashLoopBackOff
        | WaitingReason::RunContainerError
        | WaitingReason::PostStartHookError
        | WaitingReason::RestartingAllContainers => None,
    }
}

/// Whether a container is to be started, sooner or later (lifecycle 4.1).
pub(super) fn wants_start(pod: &k8s_openapi::api::core::v1::Pod, container: &Container) -> bool {
    match &container.record {
        None => true,
        Some(record) => match &record.state {
            RecordState::Running { .. } => false,
            RecordState::Exited(ended) => {
                let spec = find_container(pod, &container.name);
                let (code, reason) = (ended.exit_code, ended.reason.word());
                let restarts =
                    |spec: Cow<'_, _>| restart_decision(container.kind, &spec, pod_policy(pod), code, reason).restart;
                container.anew.is_some() || spec.is_some_and(restarts)
            }
        },
    }
}

impl Machine {
    /// When a `Tick` is wanted next.
    pub fn wake(&self) -> Option<BootTime> {
        let state = &self.state;
        let now = state.clock.boot;
        let unseen = |container: &Container| container.waiting.as_ref().filter(|why| why.unseen).map(|_| now);
        let kill = |container: &Container| container.stop().filter(|stop| !stop.killed).map(|stop| stop.next());
        let hook = |container: &Container| match &container.start_hook {
            Some(StartHook::Runs { until }) => *until,
            _ => None,
        };
        let serving = state.course == Course::Serving;
        let idle = |container: &Container| container.step == Step::Idle && container.start_hook.is_none();
        let idle = state.containers.iter().all(idle);
        let starts = serving && idle && state.sandbox.state == SandboxState::Ready;
        let start = |(index, container): (usize, &Container)| {
            let wanted = starts && wants_start(&self.pod, container) && state.may_start(&self.pod, index);
            container.waiting.as_ref().filter(|_| wanted).map(|why| why.until)
        };
        let sandbox = match state.sandbox.state {
            SandboxState::Wanted { not_before } if serving => Some(not_before),
            _ => None,
        };
        let resize = state.resize_wake(&self.pod);
        let each = |(index, container): (usize, &Container)| {
            [unseen(container), kill(container), hook(container), start((index, container))]
        };
        state
            .containers
            .iter()
            .enumerate()
            .flat_map(each)
            .flatten()
            .chain(sandbox)
            .chain(resize)
            .chain(state.deadline(&self.pod))
            .min()
    }
}
