//! How each fact changes the state. Nothing is decided here: no effect is asked for. A fact that cannot be (an exit of an
//! instance that is not known, a second answer) changes nothing.

use std::time::Duration;

use super::backoff::Backoff;
use super::because;
use super::container::{Anew, Container, EndReason, Ended, Record, RecordState, Step, Waiting, WaitingReason};
use super::decide::waiting;
use super::events::EventType::{Normal, Warning};
use super::hook::{HookKind, StartHook};
use super::input::{Exit, Fact, ImageFacts, ImageFailure, Input, LinuxUser, Pulled, StartStage, TerminationMessage};
use super::machine::{Active, Course, ImageBackoff, Turn};
use super::message::{MessagePolicy, termination_message};
use super::numbers::Numbers;
use super::rules;
use super::sandbox::SandboxState;
use super::time::{BootTime, Moment, WallTime};

/// What a container shows that cannot be found (lifecycle 3.3).
pub(super) const NOT_LOCATED: &str = "The container could not be located when the pod was terminated";

impl Turn<'_> {
    /// Takes one fact.
    pub(super) fn take(&mut self, input: &Input) {
        if matches!(input.fact, Fact::Rebooted) {
            self.state.clock = input.at;
        }
        if self.state.active.is_none() || matches!(input.fact, Fact::Rebooted) {
            self.state.active = Some(Active::by_wall(self.state.started, input.at));
        }
        self.state.clock.wall = input.at.wall;
        self.state.clock.boot = self.state.clock.boot.max(input.at.boot);
        for container in &mut self.state.containers {
            if let Some(waiting) = &mut container.waiting {
                waiting.unseen = false;
            }
        }
        match &input.fact {
            Fact::Tick => {}
            Fact::SandboxStarted { attempt, ips } => self.sandbox_started(*attempt, ips),
            Fact::SandboxFailed { attempt, message } => self.sandbox_failed(*attempt, message),
            Fact::MountFailed { attempt, messages } => self.mount_failed(*attempt, messages),
            Fact::SandboxExited { attempt } => self.sandbox_exited(*attempt),
            Fact::ImagePulling { container, attempt, missing_secrets } => {
                self.image_pulling(container, *attempt, missing_secrets);
            }
            Fact::ImageReady { container, attempt, image, pulled } => {
                self.image_ready(container, *attempt, image, pulled.as_ref());
            }
            Fact::ImageFailed { container, attempt, reason, message } => {
                self.image_failed(container, *attempt, *reason, message);
            }
            Fact::ContainerStarted { container, attempt, id, user } => {
                self.container_started(container, *attempt, id, user.as_ref(), input.at);
            }
            Fact::StartFailed { container, attempt, stage, message, id, user } => {
                let made = (id.as_deref(), user.as_ref());
                self.start_failed(container, *attempt, *stage, message, made, input.at);
            }
            Fact::ContainerExited { container, attempt, exit, oom_killed, message } => {
                self.container_exited(container, *attempt, *exit, *oom_killed, message, input.at);
            }
            Fact::ContainerLost { container, attempt, message } => {
                self.container_lost(container, *attempt, message, input.at);
            }
            Fact::ProbeResult { container, attempt, probe, begun, outcome } => {
                self.probe_result(container, *attempt, *probe, *begun, outcome);
            }
            Fact::HookEnded { container, attempt, hook, failure, fell_back } => {
                if let Some(address) = fell_back {
                    let text = format!(
                        "request to HTTPS lifecycle hook {address} got HTTP response, retry with HTTP succeeded"
                    );
                    self.event(None, Warning, "LifecycleHTTPFallback", text);
                }
                self.hook_ended(container, *attempt, *hook, failure.clone());
            }
            Fact::LogDropping { .. } | Fact::LogResumed { .. } | Fact::LogLost { .. } | Fact::KillStuck { .. } => {
                self.record_trouble(&input.fact);
            }
            Fact::DeleteRequested { grace_seconds, force } => self.delete_requested(*grace_seconds, *force),
            Fact::StopRequested { most_seconds } => self.stop_requested(*most_seconds),
            Fact::RestartRequested { container } => self.restart_requested(container.as_deref()),
            Fact::SpecChanged { pod } => self.spec_changed(pod),
            Fact::Resized { generation, failure } => self.resized(*generation, failure.as_deref()),
            Fact::EphemeralContainerAdded { container, holds } => self.ephemeral_added(container, holds.as_deref()),
            Fact::RoomMeasured { room } => self.room_measured(*room),
            Fact::StorageMeasured { usage } => self.storage_measured(usage),
            Fact::Rebooted => self.rebooted(input.at),
            Fact::TornDown => self.torn_down(),
        }
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.state.containers.iter().position(|container| container.name == name)
    }

    fn sandbox_started(&mut self, attempt: u32, ips: &[String]) {
        let now = self.now();
        let sandbox = &mut self.state.sandbox;
        if sandbox.attempt == attempt && sandbox.state == SandboxState::Starting {
            sandbox.state = SandboxState::Ready;
            sandbox.ips = ips.to_vec();
            sandbox.stood = Some(now);
            sandbox.mounts_failed = 0;
        }
    }

    fn sandbox_failed(&mut self, attempt: u32, message: &str) {
        let not_before = self.now().after(self.numbers().retry());
        let sandbox = &mut self.state.sandbox;
        if sandbox.attempt == attempt && sandbox.state == SandboxState::Starting {
            sandbox.state = SandboxState::Wanted { not_before };
            sandbox.mounts_failed = 0;
            self.event(None, Warning, "FailedCreatePodSandBox", format!("Failed to create pod sandbox: {message}"));
        }
    }

    /// Volumes come before the sandbox: nothing is made, and no container leaves ContainerCreating (lifecycle 0.6, 10).
    fn mount_failed(&mut self, attempt: Option<u32>, messages: &[String]) {
        if let Some(attempt) = attempt {
            let (now, numbers) = (self.now(), self.numbers());
            let sandbox = &mut self.state.sandbox;
            if sandbox.attempt != attempt || sandbox.state != SandboxState::Starting {
                return;
            }
            sandbox.mounts_failed = sandbox.mounts_failed.saturating_add(1);
            sandbox.state =
                SandboxState::Wanted { not_before: now.after(mount_backoff(sandbox.mounts_failed, &numbers)) };
        }
        for message in messages {
            self.event(None, Warning, "FailedMount", message.clone());
        }
    }

    fn sandbox_exited(&mut self, attempt: u32) {
        if self.state.sandbox.attempt != attempt {
            return;
        }
        match self.state.sandbox.state {
            // Pause ended before it was known to stand: that is a sandbox that could not be made.
            SandboxState::Starting => self.sandbox_failed(attempt, "its first process ended at once"),
            SandboxState::Ready | SandboxState::Stopping => self.state.sandbox.state = SandboxState::Gone,
            SandboxState::Wanted { .. } | SandboxState::Gone => {}
        }
    }

    /// The image that is being seen to for this instance, as the spec named it.
    fn image_asked(&self, name: &str, attempt: u32) -> Option<(usize, String)> {
        let index = self.index(name)?;
        match &self.state.containers.get(index)?.step {
            Step::Image { attempt: asked, spec_image } if *asked == attempt => Some((index, spec_image.clone())),
            _ => None,
        }
    }

    fn image_pulling(&mut self, name: &str, attempt: u32, missing_secrets: &[String]) {
        if let Some((_, image)) = self.image_asked(name, attempt) {
            if !missing_secrets.is_empty() {
                let names = missing_secrets.join(", ");
                let message = format!(
                    "Unable to retrieve some image pull secrets ({names}); attempting to pull the image may not succeed."
                );
                self.event(None, Warning, "FailedToRetrieveImagePullSecret", message);
            }
            self.event(Some(name), Normal, "Pulling", format!("Pulling image \"{image}\""));
        }
    }

    fn image_ready(&mut self, name: &str, attempt: u32, facts: &ImageFacts, pulled: Option<&Pulled>) {
        let Some((index, image)) = self.image_asked(name, attempt) else { return };
        let message = match pulled {
            Some(pulled) => format!(
                "Successfully pulled image \"{image}\" in {} ({} including waiting). Image size: {} bytes.",
                super::backoff::go_duration(std::time::Duration::from_millis(pulled.milliseconds)),
                super::backoff::go_duration(std::time::Duration::from_millis(pulled.with_waiting_milliseconds)),
                pulled.size
            ),
            None => {
                format!("Container image \"{image}\" already present on machine and can be accessed by the pod")
            }
        };
        self.event(Some(name), Normal, "Pulled", message);
        // The image's back-off stays: a kubelet clears away only what has not been used for as long as makes it forgotten.
        if let Some(container) = self.state.containers.get_mut(index) {
            container.step = Step::Ready { attempt, spec_image: image, image: facts.clone() };
        }
    }

    fn image_failed(&mut self, name: &str, attempt: u32, failure: ImageFailure, message: &str) {
        let Some((index, image)) = self.image_asked(name, attempt) else { return };
        let now = self.now();
        let until = match failure {
            ImageFailure::ErrImagePull => {
                self.event(Some(name), Warning, "Failed", format!("Failed to pull image \"{image}\": {message}"));
                let before = self.state.images.get(&image).map(|entry| entry.backoff);
                let backoff = Backoff::after_failed_pull(before, 0, now, self.numbers().image_limits());
                self.note(name, rules::R_4_5_A, because! {"image": image, "backoff": backoff.words()});
                self.state.images.insert(image, ImageBackoff { backoff, message: message.to_owned() });
                now
            }
            ImageFailure::ErrImageNeverPull => {
                self.event(Some(name), Warning, "ErrImageNeverPull", message.to_owned());
                now.after(self.numbers().retry())
            }
            ImageFailure::InvalidImageName | ImageFailure::ImageInspectError => {
                self.event(Some(name), Warning, "InspectFailed", message.to_owned());
                now.after(self.numbers().retry())
            }
        };
        let reason = WaitingReason::from(failure);
        self.event(Some(name), Warning, "Failed", format!("Error: {}", reason.word()));
        self.wait(index, waiting(reason, message, until));
    }

    /// The start of an instance was refused or failed: nothing is asked for any more, the reason is shown.
    pub(super) fn wait(&mut self, index: usize, why: Waiting) {
        if let Some(container) = self.state.containers.get_mut(index) {
            container.step = Step::Idle;
            container.waiting = Some(why);
        }
    }

    /// The start that is under way for this instance: the image as the spec named it and as resolved.
    fn start_asked(&self, name: &str, attempt: u32) -> Option<(usize, String, ImageFacts)> {
        let index = self.index(name)?;
        match &self.state.containers.get(index)?.step {
            Step::Starting { attempt: asked, spec_image, image } if *asked == attempt => {
                Some((index, spec_image.clone(), image.clone()))
            }
            _ => None,
        }
    }

    fn container_started(&mut self, name: &str, attempt: u32, id: &str, user: Option<&LinuxUser>, at: Moment) {
        let Some((index, spec_image, image)) = self.start_asked(name, attempt) else { return };
        self.event(Some(name), Normal, "Created", "Container created".to_owned());
        self.event(Some(name), Normal, "Started", "Container started".to_owned());
        let hook = self.hook_handler(index, HookKind::PostStart).map(|_| StartHook::Wanted);
        let sandbox = self.state.sandbox.attempt;
        let Some(container) = self.state.containers.get_mut(index) else { return };
        if hook.is_none() {
            container.waiting = None;
        }
        container.push_record(Record {
            attempt,
            sandbox,
            id: id.to_owned(),
            spec_image,
            image,
            user: user.cloned(),
            state: RecordState::Running { started: at, stop: None },
        });
        container.start_hook = hook;
    }

    fn start_failed(
        &mut self,
        name: &str,
        attempt: u32,
        stage: StartStage,
        message: &str,
        (id, user): (Option<&str>, Option<&LinuxUser>),
        at: Moment,
    ) {
        let Some((index, spec_image, image)) = self.start_asked(name, attempt) else { return };
        if stage == StartStage::Run {
            self.event(Some(name), Normal, "Created", "Container created".to_owned());
        }
        self.event(Some(name), Warning, "Failed", format!("Error: {message}"));
        let now = self.now();
        let (reason, until) = match stage {
            StartStage::Config => (WaitingReason::CreateContainerConfigError, now.after(self.numbers().retry())),
            StartStage::Create => (WaitingReason::CreateContainerError, now.after(self.numbers().retry())),
            StartStage::Run => (WaitingReason::RunContainerError, now),
        };
        self.wait(index, waiting(reason, message, until));
        if stage != StartStage::Run {
            return;
        }
        self.note(name, rules::R_3_2_C, because! {"attempt": attempt, "message": message});
        let id = id.unwrap_or_default().to_owned();
        let ended = Ended {
            exit_code: 128,
            reason: EndReason::StartError,
            message: Some(message.to_owned()),
            started: None,
            finished: at,
            id: id.clone(),
        };
        let sandbox = self.state.sandbox.attempt;
        if let Some(container) = self.state.containers.get_mut(index) {
            container.push_record(Record {
                attempt,
                sandbox,
                id,
                spec_image,
                image,
                user: user.cloned(),
                state: RecordState::Exited(ended),
            });
        }
    }

    /// The running instance of this number.
    fn running_mut(&mut self, name: &str, attempt: u32) -> Option<(&mut Container, Moment)> {
        let index = self.index(name)?;
        let container = self.state.containers.get_mut(index)?;
        let record = container.record.as_ref().filter(|record| record.attempt == attempt)?;
        match record.state {
            RecordState::Running { started, .. } => Some((container, started)),
            RecordState::Exited(_) => None,
        }
    }

    fn container_exited(
        &mut self,
        name: &str,
        attempt: u32,
        exit: Exit,
        oom_killed: bool,
        found: &TerminationMessage,
        at: Moment,
    ) {
        let exit_code = exit_code(exit);
        let reason = match (oom_killed, exit_code) {
            (true, _) => EndReason::OOMKilled,
            (false, 0) => EndReason::Completed,
            (false, _) => EndReason::Error,
        };
        let policy = self.index(name).and_then(|index| self.container_spec(index));
        let policy = policy.and_then(|spec| spec.termination_message_policy.clone());
        let policy = MessagePolicy::read(policy.as_deref());
        let message = termination_message(policy, exit_code, found, &self.numbers());
        self.ended(name, attempt, exit_code, reason, message, at);
    }

    fn container_lost(&mut self, name: &str, attempt: u32, why: &str, at: Moment) {
        // A start whose answer can no longer come counts as one that came to be and was lost.
        if self.start_asked(name, attempt).is_some() {
            self.container_started(name, attempt, "", None, at);
        }
        let message = if why.is_empty() { NOT_LOCATED.to_owned() } else { format!("{NOT_LOCATED}: {why}") };
        let Some((container, _)) = self.running_mut(name, attempt) else { return };
        if !container.stop().is_some_and(|stop| stop.killed) {
            container.lost = Some(attempt);
        }
        self.ended(name, attempt, 137, EndReason::ContainerStatusUnknown, Some(message), at);
    }

    /// Ends the running instance of that number, if there is one.
    fn ended(
        &mut self,
        name: &str,
        attempt: u32,
        exit_code: i32,
        reason: EndReason,
        message: Option<String>,
        at: Moment,
    ) {
        let Some((container, started)) = self.running_mut(name, attempt) else { return };
        let boot = at.boot.max(started.boot);
        let finished = Moment { boot, wall: at.wall };
        if let Some(record) = &mut container.record {
            let (id, started) = (record.id.clone(), Some(started.wall));
            record.state = RecordState::Exited(Ended { exit_code, reason, message, started, finished, id });
        }
        if let Some(hook) = container.start_hook.take() {
            container.waiting = None;
            if let StartHook::Failed { message } = hook
                && let Some(index) = self.index(name)
            {
                let now = self.now();
                self.wait(index, waiting(WaitingReason::PostStartHookError, &message, now));
            }
        }
        self.note_restart_decision(name);
    }

    /// Nothing runs, the sandbox is gone, and all times of before mean nothing on the new clock.
    fn rebooted(&mut self, at: Moment) {
        // Its cgroups are made anew, as the spec says.
        self.state.resize = None;
        self.state.images.clear();
        self.state.round.clear();
        let beginning = Moment { boot: BootTime(0), wall: at.wall };
        let ran = self.state.containers.iter().filter(|container| container.running()).count();
        for index in 0..self.state.containers.len() {
            let Some(container) = self.state.containers.get_mut(index) else { continue };
            container.backoff = None;
            // What was to be started anew still is; there is no back-off to be asked.
            container.anew = container.anew.map(|_| Anew { exited: None });
            container.waiting = None;
            container.step = Step::Idle;
            if let Some(last) = &mut container.last {
                last.finished.boot = BootTime(0);
            }
            let name = container.name.clone();
            match container.record.as_mut().map(|record| (record.attempt, &mut record.state)) {
                Some((_, RecordState::Exited(ended))) => ended.finished.boot = BootTime(0),
                Some((attempt, RecordState::Running { started, .. })) => {
                    started.boot = BootTime(0);
                    self.ended(&name, attempt, 255, EndReason::Unknown, None, beginning);
                }
                None => {}
            }
        }
        if let Some(deletion) = &mut self.state.deletion {
            deletion.requested.boot = BootTime(0);
        } else if self.state.halt.is_some() {
            self.state.course = Course::Serving;
        }
        self.state.halt = None;
        // Whoever was to take away the last of it is no more: it is asked for again.
        self.state.course = match self.state.course {
            Course::TearingDown => Course::Ending,
            Course::Removed => Course::TornDown,
            course => course,
        };
        self.state.sandbox.stood = None;
        self.state.sandbox.state = match self.state.sandbox.state {
            SandboxState::Wanted { .. } | SandboxState::Starting => SandboxState::Wanted { not_before: BootTime(0) },
            _ => SandboxState::Gone,
        };
        self.state.events.restart_clock();
        self.note("", rules::R_9_4_A, because! {"containersThatRan": ran, "sandbox": self.state.sandbox.attempt});
    }

    fn torn_down(&mut self) {
        if self.state.course == Course::TearingDown {
            self.state.course = Course::TornDown;
            let never = self.state.containers.iter().filter(|container| container.exited().is_none()).count();
            self.note("", rules::R_1_3_A, because! {"containersThatNeverEnded": never});
        }
    }
}

/// The status code: of an exit its low eight bits, of a signal 128 and its number.
fn exit_code(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => code & 0xff,
        Exit::Signal(signal) => 128 + (signal & 0x7f),
    }
}

/// How long after the nth failure in a row volumes are set up again: doubling up to the maximum.
fn mount_backoff(failures: u32, numbers: &Numbers) -> Duration {
    // The ninth doubling is beyond the maximum.
    let doubled = numbers.volume_initial_milliseconds.saturating_mul(1 << failures.saturating_sub(1).min(9));
    Duration::from_millis(doubled.min(numbers.volume_maximum_milliseconds))
}

pub(super) fn plus_seconds(wall: WallTime, seconds: i64) -> WallTime {
    WallTime(wall.0.saturating_add(seconds.saturating_mul(1_000_000_000)))
}
