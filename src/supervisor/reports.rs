//! What the keeper reports, and how it becomes facts. A report is looked at, journalled, and only then taken from the
//! keeper's queue; one that was journalled already is taken and dropped.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::effects::container_id;
use super::run::{Starting, Supervisor};
use super::state::{Process, Record, ReportName};
use super::status_pipe::Outcome;
use super::streams::Copying;
use super::{clock, exec, probe, termination};
use crate::linux::container::{self, StartFailure};
use crate::linux::keeper::Report;
use crate::linux::process;
use crate::manifest::containers::find_container;
use crate::pod::effect::{Action, EffectId};
use crate::pod::input::{Exit, Fact, LinuxUser, StartStage, TerminationMessage};
use crate::pod::time::{BootTime, Moment, WallTime};

/// What was so longer ago than this is told late: that long no report waits for a supervisor that is there.
const LATE: Duration = Duration::from_secs(1);

/// The end of a process, however it was learnt.
pub(super) struct End {
    pub exit: Exit,
    pub at: Moment,
    pub report: Option<ReportName>,
}

impl Supervisor {
    /// Takes all reports that are there.
    pub(super) async fn take_reports(&mut self) {
        while !self.keeper_lost {
            let received = match self.keeper.peek() {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) => return self.lose_keeper(&error),
            };
            let forget = self.take_report(received.report, received.pidfd).await;
            if let Err(error) = self.keeper.take() {
                return self.lose_keeper(&error);
            }
            if let Some(id) = forget {
                let _ = self.keeper.forget(&id);
            }
            // What follows from this report is begun before the next is looked at: a restart does not wait for a burst.
            self.perform_all().await;
        }
    }

    /// Something is heard that was so some time ago, while no supervisor was there: what follows from it is reckoned from now
    /// on, so that no grace period is over before it has begun.
    async fn catch_up(&mut self, since: BootTime) {
        let now = clock::now();
        if now.boot.since(since) > LATE && self.state.machine.clock().boot.after(LATE) < now.boot {
            self.tell(Fact::Tick, now, None, None).await;
        }
    }

    /// Answers the id that the keeper may forget.
    async fn take_report(&mut self, report: Report, pidfd: Option<OwnedFd>) -> Option<String> {
        match report {
            Report::Spawned { id, pid } => {
                tracing::debug!(id, pid, "spawned");
                if let Some(pidfd) = pidfd {
                    self.processes.insert(id.clone(), Rc::new(pidfd));
                }
                self.note_spawned(&id, pid).await;
                self.exec_spawned(&id, pid);
                self.command_spawned(&id);
                None
            }
            Report::SpawnFailed { id, errno } => {
                let message = format!("could not make a process: {}", io::Error::from_raw_os_error(errno));
                self.not_spawned(&EffectId(id), message).await;
                None
            }
            Report::Exited { sequence, id, pid, code, status, wall, boot } => {
                let launch = self.world.orders.launch.clone();
                if self.state.report.as_ref().is_some_and(|last| last.launch == launch && last.sequence >= sequence) {
                    return Some(id);
                }
                tracing::debug!(sequence, id, pid, code, status, "exited");
                self.catch_up(BootTime(boot)).await;
                let exit = if code == nix::libc::CLD_EXITED { Exit::Code(status) } else { Exit::Signal(status) };
                let at = Moment { boot: BootTime(boot), wall: WallTime(wall) };
                let report = Some(ReportName { launch, sequence, id: id.clone() });
                self.ended(&id, End { exit, at, report }).await;
                Some(id)
            }
            Report::Upgraded { errno } => {
                self.upgraded(errno);
                None
            }
            Report::HoldFailed { tag, errno } => {
                let error = io::Error::from_raw_os_error(errno);
                tracing::error!(
                    tag,
                    "the keeper cannot hold a descriptor; a kill of this supervisor may lose it: {error}"
                );
                None
            }
        }
    }

    /// Names the process of a start that is under way: should keeper and supervisor all be killed, it is found by that.
    async fn note_spawned(&mut self, id: &str, pid: i32) {
        let id = EffectId(id.to_owned());
        // One that is reaped already need not be found.
        if self.state.is_pending(&id)
            && let Ok(started) = process::started_at(pid)
        {
            let record = Record::Spawned { id, process: Process { pid, started } };
            self.append(&record).await;
            self.state.note(&record);
        }
    }

    async fn not_spawned(&mut self, id: &EffectId, message: String) {
        let action = self.state.pending_action(id);
        self.end_start(id);
        match action {
            Some(Action::StartSandbox { attempt }) => {
                self.tell(Fact::SandboxFailed { attempt, message }, clock::now(), None, None).await;
            }
            Some(Action::StartContainer { container, attempt }) => {
                self.let_go_of_log(&container, attempt);
                self.let_go_of_start(&container, attempt);
                let fact =
                    Fact::StartFailed { container, attempt, stage: StartStage::Create, message, id: None, user: None };
                self.tell(fact, clock::now(), None, None).await;
            }
            Some(Action::EnsureImage { container, attempt }) => {
                self.pull_failed(container, attempt, message, None).await;
            }
            _ => {
                if !self.command_failed(&id.0, message.clone(), None).await {
                    self.exec_failed(&id.0, message);
                }
            }
        }
        self.release_status(id);
    }

    /// A stage has told how it went: the program runs, or the exit of the stage will tell the rest.
    pub(super) async fn stage_ended(&mut self, id: &EffectId, outcome: Outcome) {
        match outcome {
            Outcome::Failed { entry, errno } => {
                if let Some(starting) = self.starting.get_mut(id) {
                    starting.failed = Some((entry, errno));
                }
            }
            Outcome::Executed => {
                // A failure may have come just before the end of the pipe.
                if self.starting.get(id).is_some_and(|starting| starting.failed.is_none()) {
                    self.started(id).await;
                }
            }
        }
    }

    async fn started(&mut self, id: &EffectId) {
        let Some(starting) = self.end_start(id) else { return };
        let action = self.state.pending_action(id);
        match action {
            Some(Action::StartSandbox { attempt }) => {
                self.tell(Fact::SandboxStarted { attempt, ips: Vec::new() }, clock::now(), None, None).await;
            }
            Some(Action::StartContainer { container, attempt }) => {
                let user = match starting.prepared {
                    Some(prepared) => Some(prepared.user),
                    None => self.user_of(&container),
                };
                self.clear_instance_before(&container, attempt);
                let id = container_id(self.world.uid(), &container, attempt);
                let fact = Fact::ContainerStarted { container, attempt, id, user };
                self.tell(fact, clock::now(), None, None).await;
            }
            _ => self.exec_started(&id.0),
        }
        self.release_status(id);
    }

    /// What the instance before this one has left was kept as long as it might be looked at.
    fn clear_instance_before(&mut self, container: &str, attempt: u32) {
        self.remains.extend(attempt.checked_sub(1).map(|before| (container.to_owned(), before)));
    }

    /// As whom a container runs whose start a predecessor prepared.
    pub(super) fn user_of(&self, name: &str) -> Option<LinuxUser> {
        let pod = self.pod();
        let spec = find_container(&pod, name)?;
        let image = self.image_of(name, &spec).ok()?;
        container::user_of(&self.world.context(&pod), &spec, &image).ok()
    }

    /// A child of the keeper's has ended.
    pub(super) async fn ended(&mut self, id: &str, end: End) {
        let effect = EffectId(id.to_owned());
        // A start that was just asked for: its status pipe tells whether it ever ran.
        if let Some(starting) = self.starting.get_mut(&effect) {
            if starting.failed.is_none()
                && let Some(Outcome::Failed { entry, errno }) = starting.status.look()
            {
                starting.failed = Some((entry, errno));
            }
            if starting.failed.is_some() {
                let starting = self.end_start(&effect);
                self.processes.remove(id);
                self.start_failed(&effect, starting, end).await;
                return self.release_status(&effect);
            }
            self.started(&effect).await;
        }
        self.processes.remove(id);
        if probe::is_zygote(id) {
            return self.zygote_exited(id);
        }
        if let Some((container, attempt)) = self.pull_of(&effect) {
            return self.pull_ended(&effect, container, attempt, end).await;
        }
        if let Some(sandbox) = self.state.sandbox.clone().filter(|running| running.id == effect) {
            return self.tell(Fact::SandboxExited { attempt: sandbox.attempt }, end.at, end.report, None).await;
        }
        let container = self.state.containers.iter().find(|(_, running)| running.id == effect);
        if let Some((container, running)) = container.map(|(name, running)| (name.clone(), running.clone())) {
            return self.container_ended(&container, running.attempt, end).await;
        }
        if self.command_ended(id, &end).await {
            return;
        }
        let code = exec::is_exec(id).then(|| exec::exit_code(end.exit));
        if let Some(report) = end.report {
            self.note_taken(report, code).await;
        }
        self.exec_ended(id, exec::exit_code(end.exit));
    }

    async fn note_taken(&mut self, report: ReportName, code: Option<i32>) {
        let record = Record::Taken { report, code };
        self.append(&record).await;
        self.state.note(&record);
    }

    async fn start_failed(&mut self, id: &EffectId, starting: Option<Starting>, end: End) {
        let action = self.state.pending_action(id);
        let failure = match starting.as_ref().and_then(|starting| Some((starting.prepared.as_ref(), starting.failed?)))
        {
            Some((Some(prepared), (entry, errno))) => container::explain_failure(prepared, entry, errno),
            Some((None, (entry, errno))) => self.explain_taken_over(action.as_ref(), entry, errno),
            None => StartFailure { stage: StartStage::Run, message: "its start failed".to_owned() },
        };
        match action {
            Some(Action::StartSandbox { attempt }) => {
                let fact = Fact::SandboxFailed { attempt, message: failure.message };
                self.tell(fact, end.at, end.report, None).await;
            }
            Some(Action::StartContainer { container, attempt }) => {
                self.let_go_of_log(&container, attempt);
                self.clear_cgroup(&container);
                let record =
                    (failure.stage == StartStage::Run).then(|| container_id(self.world.uid(), &container, attempt));
                self.remains.push((container.clone(), attempt));
                self.clear_instance_before(&container, attempt);
                let StartFailure { stage, message } = failure;
                let user = match starting.and_then(|starting| starting.prepared) {
                    Some(prepared) => Some(prepared.user),
                    None => self.user_of(&container),
                };
                let fact = Fact::StartFailed { container, attempt, stage, message, id: record, user };
                self.tell(fact, end.at, end.report, None).await;
            }
            Some(Action::EnsureImage { container, attempt }) => {
                self.pull_failed(container, attempt, failure.message, Some(end)).await;
            }
            _ => {
                if self.command_failed(&id.0, failure.message.clone(), end.report.clone()).await {
                    return;
                }
                self.exec_failed(&id.0, failure.message);
                if let Some(report) = end.report {
                    self.note_taken(report, None).await;
                }
            }
        }
    }

    /// Why a start failed that a predecessor had prepared.
    fn explain_taken_over(&self, action: Option<&Action>, entry: u32, errno: i32) -> StartFailure {
        if let Some(Action::StartContainer { container, attempt }) = action {
            let pod = self.pod();
            if let Some(spec) = find_container(&pod, container)
                && let Ok(image) = self.image_of(container, &spec)
            {
                return container::explain_failure_of(&self.world.context(&pod), &spec, *attempt, &image, entry, errno);
            }
        }
        let message = format!("call {entry} of its start failed: {}", io::Error::from_raw_os_error(errno));
        StartFailure { stage: StartStage::Run, message }
    }

    async fn container_ended(&mut self, container: &str, attempt: u32, end: End) {
        if let Some(log) = self.logs.get(&(container.to_owned(), attempt))
            && let Err(message) = log.drain().await
        {
            tracing::warn!(container, "the end of its log is still to be written: {message}");
        }
        let pod = self.pod();
        let oom_killed = self.cgroup_of(&pod, container).oom_kills() > 0;
        let message = self.termination_message(container, attempt);
        let fact =
            Fact::ContainerExited { container: container.to_owned(), attempt, exit: end.exit, oom_killed, message };
        self.remains.push((container.to_owned(), attempt));
        self.requests.end_of(container, attempt);
        self.tell(fact, end.at, end.report, None).await;
        // Not before: a supervisor that takes over in between must find the same counter.
        self.clear_cgroup(container);
    }

    /// Ends what is left in a container's cgroup (with a shared PID namespace its children outlive it), and removes it, so
    /// that the next instance counts from zero.
    pub(super) fn clear_cgroup(&mut self, container: &str) {
        let pod = self.pod();
        let cgroup = self.cgroup_of(&pod, container);
        // As of a new pod.
        if !cgroup.exists() {
            return;
        }
        if let Err(error) = cgroup.kill().and_then(|()| cgroup.remove()) {
            tracing::warn!(container, "could not clear its cgroup: {error}");
        }
    }

    fn termination_message(&self, name: &str, attempt: u32) -> TerminationMessage {
        let pod = self.pod();
        let Some(spec) = find_container(&pod, name) else { return TerminationMessage::default() };
        let paths = self.world.paths();
        let file: PathBuf = self.world.context(&pod).termination_log(name, attempt);
        let shown = spec.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
        let fallback = spec.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        let log = fallback.then(|| paths.container_log(&self.world.logs(&pod), name, attempt));
        let trouble = self.logs.get(&(name.to_owned(), attempt)).and_then(Copying::trouble);
        match (log, trouble) {
            // A disk that does not answer is not asked.
            (Some(_), Some(trouble)) => {
                let mut message = termination::read(&file, shown, None);
                if message.file.is_empty() {
                    message.error = Some(format!("Error on reading termination message from logs: {trouble}"));
                }
                message
            }
            (log, _) => termination::read(&file, shown, log.as_deref()),
        }
    }
}
