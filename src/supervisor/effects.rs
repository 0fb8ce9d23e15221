//! Carries out what the machine asks for. Each effect may be carried out again by a supervisor that takes over in the middle
//! of it, so each either finds out that it is done or does no harm the second time; a process is never made twice, since the
//! keeper answers an id that it knows with the child that exists.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Pod};
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use pause::table::{STATUS_DESCRIPTOR, TABLE_DESCRIPTOR};

use super::ahead::{self, Ready};
use super::files::{self, Durability};
use super::kept::{self, Claim};
use super::log::Held;
use super::run::{Happening, Over, Starting, Supervisor};
use super::state::{Asked, Record};
use super::status_pipe::{self, StatusPipe};
use super::streams::{Copying, Place};
use super::{clock, old_logs};
use crate::image::{Image, ImageError, Reference};
use crate::linux::cgroup::Cgroup;
use crate::linux::container::{self, PodFailure, Prepared, StartFailure};
use crate::linux::keeper::Spawn;
use crate::linux::{pidfd, process};
use crate::manifest::containers::{self, find_container};
use crate::pod::effect::{Action, EffectId};
use crate::pod::input::{Fact, ImageFacts, ImageFailure, StartStage};

/// How long to wait before something that failed for no reason of the pod's is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How long a removal waits for the logs' disk.
const LOGS_REMOVAL: Duration = Duration::from_secs(2);

/// Before the id, among what the keeper holds: a stage's status pipe.
pub const STATUS_TAG: &str = "status/";

/// The tag of one part of an instance's log among what the keeper holds.
pub fn log_tag(container: &str, attempt: u32, what: &str) -> String {
    format!("log/{container}/{attempt}/{what}")
}

/// The parts, each held under its own tag.
const LOG_PARTS: [&str; 5] = ["record", "stdout", "stderr", "stdout-staging", "stderr-staging"];
/// Of a container with a terminal, its master.
pub const TERMINAL_PART: &str = "terminal";

/// The instance whose log this tag is the record of.
pub fn log_of_tag(tag: &str) -> Option<(String, u32)> {
    let (container, rest) = tag.strip_prefix("log/")?.split_once('/')?;
    let attempt = rest.strip_suffix("/record")?.parse().ok()?;
    Some((container.to_owned(), attempt))
}

/// How long what was killed may take to go before it is asked why.
const STUCK: Duration = Duration::from_secs(5);

/// A container that was sent SIGKILL.
pub struct Killed {
    container: String,
    attempt: u32,
    at: Instant,
    /// The user knows what it hangs in.
    told: bool,
}

impl Killed {
    /// Its name.
    pub fn container(&self) -> &str {
        &self.container
    }
}

impl Supervisor {
    /// Carries out one effect. What comes of it is told to the machine, now or when it is known.
    pub(super) async fn perform(&mut self, asked: Asked) {
        let Asked { id, action } = asked.clone();
        match action {
            Action::StartSandbox { attempt } => self.start_sandbox(&id, attempt).await,
            Action::StopSandbox { attempt } => self.stop_sandbox(attempt).await,
            Action::EnsureImage { container, attempt } => self.ensure_image(&id, &container, attempt).await,
            Action::StartContainer { container, attempt } => self.start_container(&id, &container, attempt).await,
            Action::SignalContainer { container, attempt, signal } => {
                self.signal_container(&container, attempt, &signal);
                // No fact answers it: without this line the next supervisor would send it again.
                let record = Record::Done { id };
                self.append(&record).await;
                self.state.note(&record);
            }
            Action::KillContainer { container, attempt } => self.kill_container(&container, attempt),
            Action::RunHook { .. } => self.run_hook(&asked).await,
            Action::ResizePod { generation } => self.resize_pod(generation).await,
            // The prober asks for these, past the machine.
            Action::RunProbe { .. } => {}
            Action::TearDown => self.tear_down(asked).await,
            Action::Remove => self.remove(asked).await,
        }
    }

    async fn start_sandbox(&mut self, id: &EffectId, attempt: u32) {
        let pod = self.pod();
        let world = Arc::clone(&self.world);
        let context = world.context(&pod);
        let prepared = container::prepare_surroundings(&context).and_then(|_| {
            if attempt > 0 {
                container::renew_files(&context)?;
            }
            self.surroundings_are_there();
            Ok(container::prepare_sandbox(&context)?)
        });
        let result = match prepared {
            Err(PodFailure::Volumes(messages)) => {
                let fact = Fact::MountFailed { attempt: Some(attempt), messages };
                return self.tell(fact, clock::now(), None, None).await;
            }
            Ok(prepared) => {
                self.notice(&container::notices(&context));
                self.spawn(id, prepared, &[]).await.map_err(|error| error.to_string())
            }
            Err(PodFailure::Other(failure)) => Err(failure.message),
        };
        if let Err(message) = result {
            self.tell(Fact::SandboxFailed { attempt, message }, clock::now(), None, None).await;
        }
    }

    /// Pause holds nothing and has no work of its own to finish: it is killed.
    async fn stop_sandbox(&mut self, attempt: u32) {
        let pause = self.state.sandbox.as_ref().filter(|running| running.attempt == attempt).map(|r| r.id.clone());
        match pause.and_then(|id| self.processes.get(&id.0).cloned()) {
            Some(pidfd) => end(&pidfd),
            None => self.tell(Fact::SandboxExited { attempt }, clock::now(), None, None).await,
        }
    }

    async fn ensure_image(&mut self, id: &EffectId, container: &str, attempt: u32) {
        let pod = self.pod();
        let spec = find_container(&pod, container);
        let name = spec.as_ref().and_then(|spec| spec.image.clone()).unwrap_or_default();
        let policy = spec.and_then(|spec| spec.image_pull_policy.clone()).unwrap_or_default();
        let never = policy == "Never";
        // What cannot leave the machine is there or it is not, whatever the policy.
        let local = Reference::parse(&name).is_ok_and(|reference| reference.is_local());
        let (container, now) = (container.to_owned(), clock::now());
        match self.world.images.find(&name) {
            Ok(_) if policy == "Always" && !local => self.begin_pull(id, container, attempt).await,
            Ok(image) => {
                let facts = ImageFacts {
                    image: image.reference.clone(),
                    image_id: image.shown_id().to_owned(),
                    stop_signal: image.config.stop_signal.clone(),
                };
                let fact = Fact::ImageReady { container, attempt, image: facts, pulled: None };
                self.tell(fact, now, None, Some(Box::new(image))).await;
            }
            Err(ImageError::Absent(_)) if !never && !local => self.begin_pull(id, container, attempt).await,
            Err(error) => {
                if matches!(error, ImageError::Absent(_)) && !never {
                    // As a kubelet, which begins a pull: this one fails at once.
                    let missing_secrets = Vec::new();
                    let fact = Fact::ImagePulling { container: container.clone(), attempt, missing_secrets };
                    self.tell(fact, now, None, None).await;
                }
                let (reason, message) = image_failure(&name, never, &error);
                self.tell(Fact::ImageFailed { container, attempt, reason, message }, clock::now(), None, None).await;
            }
        }
    }

    async fn start_container(&mut self, id: &EffectId, container: &str, attempt: u32) {
        if let Err(StartFailure { stage, message }) = self.try_start_container(id, container, attempt).await {
            let record = (stage == StartStage::Run).then(|| container_id(self.world.uid(), container, attempt));
            let user = record.as_ref().and_then(|_| self.user_of(container));
            let fact = Fact::StartFailed { container: container.to_owned(), attempt, stage, message, id: record, user };
            self.let_go_of_log(container, attempt);
            self.let_go_of_start(container, attempt);
            self.tell(fact, clock::now(), None, None).await;
        }
    }

    async fn try_start_container(&mut self, id: &EffectId, name: &str, attempt: u32) -> Result<(), StartFailure> {
        let pod = self.pod();
        let create = |message: String| StartFailure { stage: StartStage::Create, message };
        let spec = find_container(&pod, name).ok_or_else(|| create(format!("no container {name} in the pod")))?;
        let spec = &*spec;
        let mut image = self.image_of(name, spec).map_err(&create)?;
        image.layers.extend(self.layer_left_by_held(name));
        let sandbox = self.state.sandbox.as_ref().map(|running| running.id.clone());
        let sandbox = sandbox.ok_or_else(|| create("the pod's sandbox is gone".to_owned()))?;
        let system = |what: &str, error: io::Error| create(format!("could not {what}: {error}"));
        let Ready { mut prepared, outputs } = match self.take_ahead(&sandbox, name, attempt, &pod, &image) {
            Some(ready) => ready,
            None => {
                let stdin = self.stdin(name, attempt, spec).map_err(|e| system("make stdin", e))?;
                ahead::make_ready(&self.world.context(&pod), spec, attempt, &image, stdin, || {
                    container::prepare_root(&self.world.context(&pod), spec, attempt, &image)
                })?
            }
        };
        let pause = self.processes.get(&sandbox.0).ok_or_else(|| create("the pod's sandbox is gone".to_owned()))?;
        prepared.join(pause.as_fd()).map_err(|e| system("have the sandbox's namespaces joined", e))?;
        if let Some(target) = container::target_of(&pod, name) {
            let (_, first) = self.running_container(target).map_err(|_| StartFailure {
                stage: StartStage::Config,
                message: format!("unable to find target container {target}"),
            })?;
            prepared.join_target(first.as_fd()).map_err(|e| system("have the target's namespace joined", e))?;
        }
        let held = Held::new(outputs).map_err(|e| system("make a log", e))?;
        self.hold_log(name, attempt, &held).map_err(|e| system("have the keeper hold the log", e))?;
        self.open_log(name, attempt, held).map_err(|e| system("copy its output into a log", e))?;
        if let Some(environment) = prepared.environment.take() {
            self.keeper
                .hold(&environment_tag(name, attempt), environment.as_fd())
                .map_err(|e| system("have the keeper hold the environment", e))?;
            self.environments.insert(name.to_owned(), (attempt, environment));
        }
        self.spawn(id, prepared, &[]).await.map_err(|e| system("ask the keeper for a process", e))
    }

    /// What the container that this one stands in for has written before it ended.
    fn layer_left_by_held(&self, name: &str) -> Option<PathBuf> {
        let (held, attempt) = self.state.machine.left_by_held(name)?;
        container::layer_left(&self.world.context(&self.pod()), held, attempt)
    }

    /// The image that was found for this container's latest start; after a re-apply with another image it is looked up anew.
    pub(super) fn image_of(&self, name: &str, spec: &Container) -> Result<Image, String> {
        match self.state.images.get(name) {
            Some((_, image)) => Ok(image.clone()),
            None => {
                self.world.images.find(spec.image.as_deref().unwrap_or_default()).map_err(|error| error.to_string())
            }
        }
    }

    /// With `stdin: true`: a pipe that stays open for as long as the container runs.
    fn stdin(&mut self, name: &str, attempt: u32, spec: &Container) -> io::Result<Option<OwnedFd>> {
        // A terminal is both.
        if spec.stdin != Some(true) || spec.tty == Some(true) {
            return Ok(None);
        }
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        self.keeper.hold(&stdin_tag(name, attempt), writer.as_fd())?;
        Ok(Some(reader))
    }

    pub(super) fn hold_log(&self, name: &str, attempt: u32, held: &Held) -> io::Result<()> {
        let [out, err] = &held.outputs.pipes;
        let [out_staging, err_staging] = &held.staging;
        for (what, descriptor) in LOG_PARTS.into_iter().zip([&held.record, out, err, out_staging, err_staging]) {
            self.keeper.hold(&log_tag(name, attempt, what), descriptor.as_fd())?;
        }
        if let Some(terminal) = &held.outputs.terminal {
            self.keeper.hold(&log_tag(name, attempt, TERMINAL_PART), terminal.as_fd())?;
        }
        Ok(())
    }

    /// Copies into an instance's log from here on.
    pub(super) fn open_log(&mut self, name: &str, attempt: u32, held: Held) -> io::Result<()> {
        let pod = self.pod();
        let path = self.world.paths().container_log(&self.world.logs(&pod), name, attempt);
        let (Some(directory), Some(file)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::other(format!("{} is no place for a log", path.display())));
        };
        let (directory, file) = (directory.to_owned(), file.to_string_lossy().into_owned());
        let rotation = self.world.orders.choices.rotation;
        let place = Place { container: name.to_owned(), attempt, directory, name: file, rotation };
        self.logs.insert((name.to_owned(), attempt), Copying::start(held, place, &self.happenings)?);
        Ok(())
    }

    pub(super) fn log_has_ended(&self, name: &str, attempt: u32) -> bool {
        self.logs.get(&(name.to_owned(), attempt)).is_some_and(Copying::ended)
    }

    /// Everything of an instance's log is written, or nothing will come: the keeper need not hold it any more.
    pub(super) fn let_go_of_log(&mut self, name: &str, attempt: u32) {
        self.end_attachments(name, attempt);
        if self.logs.remove(&(name.to_owned(), attempt)).is_some() {
            for what in LOG_PARTS.into_iter().chain([TERMINAL_PART]) {
                let _ = self.keeper.release(&log_tag(name, attempt, what));
            }
        }
    }

    /// Asks the keeper for a process that begins as a stage. Its status pipe is held first: who takes over can read it.
    pub(super) async fn spawn(&mut self, id: &EffectId, prepared: Prepared, more: &[(OwnedFd, u32)]) -> io::Result<()> {
        self.notice(&prepared.notices);
        if self.keeper_lost {
            return Err(io::Error::other(
                "the pod's keeper and its twin were killed, and no other could be started; see the pod's supervisor.log",
            ));
        }
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        self.keeper.hold(&format!("{STATUS_TAG}{}", id.0), reader.as_fd())?;
        let mut descriptors = vec![(prepared.table.as_fd(), TABLE_DESCRIPTOR), (writer.as_fd(), STATUS_DESCRIPTOR)];
        descriptors.extend(prepared.descriptors.iter().chain(more).map(|(fd, number)| (fd.as_fd(), *number)));
        let request = Spawn {
            id: &id.0,
            clone_flags: prepared.clone_flags,
            cgroup: prepared.cgroup.as_ref().map(AsFd::as_fd),
            program: self.world.stage.as_fd(),
            descriptors: &descriptors,
            second: prepared.second,
        };
        // The queue is full only while the keeper is busy with what was asked for before.
        while let Err(error) = self.keeper.spawn(&request) {
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let status = StatusPipe::new(reader);
        self.follow_status(id, &status);
        self.starting.insert(id.clone(), Starting { prepared: Some(prepared), status, failed: None });
        Ok(())
    }

    /// Tells [`Happening::StageEnded`] when the stage has told how it went.
    pub(super) fn follow_status(&self, id: &EffectId, status: &StatusPipe) {
        let (id, status, happenings) = (id.clone(), status.clone(), self.happenings.clone());
        tokio::task::spawn_local(async move {
            match status_pipe::wait(status).await {
                Ok(outcome) => drop(happenings.send(Happening::StageEnded { id, outcome })),
                Err(error) => tracing::error!(id = id.0, "could not watch a status pipe: {error}"),
            }
        });
    }

    /// A start is over, well or badly. Its pipe stays in the keeper's hands until that is in the journal.
    pub(super) fn end_start(&mut self, id: &EffectId) -> Option<Starting> {
        let starting = self.starting.remove(id)?;
        self.write_trace(id, &starting);
        Some(starting)
    }

    /// The pipe has told all that it will, and that is in the journal: before, a supervisor that takes over would be left
    /// without an answer to the start.
    pub(super) fn release_status(&self, id: &EffectId) {
        let _ = self.keeper.release(&format!("{STATUS_TAG}{}", id.0));
    }

    fn signal_container(&self, container: &str, attempt: u32, signal: &str) {
        let Some(number) = signal_number(signal) else {
            tracing::error!(signal, "no such signal");
            return;
        };
        let Some(pidfd) = self.first_process(container, attempt) else { return };
        if let Err(error) = pidfd::signal(pidfd.as_fd(), number) {
            tracing::warn!(container, signal, "could not send a signal: {error}");
        }
    }

    /// A pidfd of the first process of a running instance.
    pub(super) fn first_process(&self, container: &str, attempt: u32) -> Option<Rc<OwnedFd>> {
        let running = self.state.containers.get(container).filter(|running| running.attempt == attempt)?;
        self.processes.get(&running.id.0).cloned()
    }

    fn kill_container(&mut self, container: &str, attempt: u32) {
        // The first process too, by its pidfd: one that has not joined its cgroup yet is not found there.
        if let Some(pidfd) = self.first_process(container, attempt) {
            end(&pidfd);
        }
        self.kill_again(Killed { container: container.to_owned(), attempt, at: Instant::now(), told: false });
    }

    /// What hears SIGKILL is not always gone at once: everything else of the pod goes on meanwhile. A process that the kernel
    /// does not let go of is named to the user, once.
    pub(super) fn kill_again(&mut self, mut killed: Killed) {
        let Killed { container, attempt, at, told } = &mut killed;
        // The next instance has the same cgroup.
        if self.first_process(container, *attempt).is_none() {
            return;
        }
        let pod = self.pod();
        let left = container::container_cgroup(&self.world.context(&pod), container).kill_once();
        if left.is_empty() {
            return;
        }
        let wait = (at.elapsed() / 2).clamp(Duration::from_millis(10), Duration::from_secs(1));
        let stuck = at.elapsed() > STUCK && left.iter().any(|pid| process::is_uninterruptible(*pid));
        let happening = if stuck && !std::mem::replace(told, true) {
            let stuck = left.into_iter().filter(|pid| process::is_uninterruptible(*pid));
            let message = stuck.map(process::describe_uninterruptible).collect::<Vec<_>>().join(", ");
            Happening::StuckAfterKill { killed, message }
        } else {
            Happening::StillThere(killed)
        };
        let happenings = self.happenings.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(wait).await;
            let _ = happenings.send(happening);
        });
    }

    async fn resize_pod(&mut self, generation: i64) {
        let pod = self.pod();
        let running = containers::lasting(&pod).filter(|spec| self.state.containers.contains_key(&spec.name));
        let failure = container::resize(&self.world.context(&pod), &running.collect::<Vec<_>>()).err();
        self.tell(Fact::Resized { generation, failure }, clock::now(), None, None).await;
    }

    async fn tear_down(&mut self, asked: Asked) {
        if self.end_pulls(&asked) {
            return;
        }
        let pod = self.pod();
        for (name, attempt) in self.logs.keys().cloned().collect::<Vec<_>>() {
            let Some(log) = self.logs.get(&(name.clone(), attempt)) else { continue };
            if let Err(message) = log.drain().await {
                // Nobody will read the logs of a pod that is being deleted; others are waited for, as a container waits.
                let unwritten = log.unwritten();
                if pod.metadata.deletion_timestamp.is_none() && !log.is_given_up() {
                    return self.again(asked);
                }
                tracing::error!(container = name, unwritten, "the end of its log cannot be written: {message}");
                let fact = Fact::LogLost { container: name.clone(), lost: unwritten, message };
                self.tell(fact, clock::now(), None, None).await;
            }
            if let Some(log) = self.logs.get(&(name.clone(), attempt)) {
                log.say_last_words().await;
            }
            self.let_go_of_log(&name, attempt);
        }
        self.remains.clear();
        self.ahead = None;
        if let Err(error) = container::tear_down(&self.world.context(&pod)) {
            tracing::error!("could not clear what the pod leaves, trying again in a second: {error}");
            return self.again(asked);
        }
        self.tell(Fact::TornDown, clock::now(), None, None).await;
    }

    async fn remove(&mut self, asked: Asked) {
        let pod = self.pod();
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let (namespace, name) = (text(&pod.metadata.namespace), text(&pod.metadata.name));
        let claim = Claim { namespace, name, uid: self.world.uid().to_owned() };
        // Who watches hears how it ended before it hears that it is gone.
        if self.connections.any_watches() {
            let state = self.shown_state();
            self.connections.tell_watchers(&state);
        }
        // The manifest goes before the run directory does: a supervisor that is started in between goes on by this file.
        let removal = self.world.paths().removal(self.world.uid());
        let begun = serde_json::to_vec(&claim).map_err(io::Error::from);
        if let Err(error) = begun.and_then(|json| files::replace(&removal, &json, Durability::Process)) {
            tracing::warn!("could not write {}: {error}", removal.display());
        }
        // The logs' disk may be one that does not answer: then they stay until it does, or until this process is ended.
        let (paths, logs_of) = (self.world.paths().clone(), claim.clone());
        let logs = tokio::task::spawn_blocking(move || kept::remove_logs(&paths, &logs_of));
        let removed = match tokio::time::timeout(LOGS_REMOVAL, logs).await {
            Ok(Ok(removed)) => removed,
            Ok(Err(_)) | Err(_) => {
                tracing::error!("the logs are removed when their disk answers");
                Ok(())
            }
        };
        match removed.and_then(|()| kept::remove_all_but_logs(self.world.paths(), &claim)) {
            Ok(()) => {
                self.connections.removed();
                self.over = Some(Over::Removed);
            }
            Err(error) => {
                tracing::error!("{error}, trying again in a second");
                self.again(asked);
            }
        }
    }

    /// Puts an effect back into the queue after a while.
    fn again(&self, asked: Asked) {
        let happenings = self.happenings.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(RETRY).await;
            let _ = happenings.send(Happening::Again(asked));
        });
    }

    /// Clears what an ended instance has left: its writable layer and files.
    pub(super) fn clear_remains(&mut self, container: &str, attempt: u32) {
        let pod = self.pod();
        // What a container has left that is to be started again may still be looked at (`podlet debug --hold`).
        if !self.state.machine.may_be_looked_at(container, attempt)
            && let Err(error) = container::remove_instance(&self.world.context(&pod), container, attempt)
        {
            tracing::warn!(container, attempt, "could not clear what an ended instance leaves: {error}");
        }
        // This one's log and the one before it can still be asked for (`logs`, `logs --previous`).
        let log = self.world.paths().container_log(&self.world.logs(&pod), container, attempt);
        // A disk in trouble is not waited for: the end of the next instance comes here again.
        let trouble = self.logs.values().any(|log| log.trouble().is_some());
        if let Some(directory) = log.parent().filter(|_| !trouble)
            && let Err(error) = old_logs::remove_before(attempt.saturating_sub(1), directory)
        {
            tracing::warn!(container, "could not remove logs of older instances: {error}");
        }
        self.let_go_of_start(container, attempt);
    }

    /// What was held for an instance from its start on.
    pub(super) fn let_go_of_start(&mut self, container: &str, attempt: u32) {
        self.let_go_of_stdin(container, attempt);
        let _ = self.keeper.release(&environment_tag(container, attempt));
        self.environments.retain(|name, (kept, _)| name != container || *kept != attempt);
    }

    /// The input of an instance ends, as far as it is held here.
    pub(super) fn let_go_of_stdin(&self, container: &str, attempt: u32) {
        for tag in [stdin_tag(container, attempt), stdin_taken_tag(container, attempt)] {
            let _ = self.keeper.release(&tag);
        }
    }

    /// The cgroup of a container's current instance.
    pub(super) fn cgroup_of(&self, pod: &Pod, container: &str) -> Cgroup {
        container::container_cgroup(&self.world.context(pod), container)
    }
}

fn environment_tag(container: &str, attempt: u32) -> String {
    format!("environment/{container}/{attempt}")
}

/// The instance whose environment this tag is of.
pub fn environment_of_tag(tag: &str) -> Option<(String, u32)> {
    let (container, attempt) = tag.strip_prefix("environment/")?.split_once('/')?;
    Some((container.to_owned(), attempt.parse().ok()?))
}

/// The tag of the writing end of an instance's standard input.
pub fn stdin_tag(container: &str, attempt: u32) -> String {
    format!("stdin/{container}/{attempt}")
}

/// What the tags of inputs begin with that a first client has taken, whose end is theirs (`stdinOnce`).
pub const STDIN_TAKEN: &str = "stdin-taken/";

/// The tag of such a one.
pub fn stdin_taken_tag(container: &str, attempt: u32) -> String {
    format!("{STDIN_TAKEN}{container}/{attempt}")
}

fn end(pidfd: &Rc<OwnedFd>) {
    if let Err(error) = pidfd::signal(pidfd.as_fd(), nix::libc::SIGKILL) {
        tracing::warn!(descriptor = pidfd.as_raw_fd(), "could not kill a process: {error}");
    }
}

/// `status.containerStatuses[].containerID` without its scheme: 64 hexadecimal digits, made from what names the instance, so
/// that whoever takes over makes the same.
pub fn container_id(uid: &str, container: &str, attempt: u32) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("{uid}/{container}/{attempt}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why there is no image, as a kubelet words it (lifecycle 3.2 and 10).
fn image_failure(name: &str, never: bool, error: &ImageError) -> (ImageFailure, String) {
    match error {
        ImageError::InvalidName { .. } => {
            (ImageFailure::InvalidImageName, format!("Failed to apply default image tag \"{name}\": {error}"))
        }
        ImageError::Absent(_) if never => (
            ImageFailure::ErrImageNeverPull,
            format!("Container image \"{name}\" is not present with pull policy of Never"),
        ),
        ImageError::Absent(_) => (
            ImageFailure::ErrImagePull,
            format!(
                "{error}, and its name never leaves the machine; `podlet image import` or `podlet image load` puts it there"
            ),
        ),
        // A kubelet quotes the id that it did not get.
        other => (ImageFailure::ImageInspectError, format!("Failed to inspect image \"\": {other}")),
    }
}

/// A signal's number by its name, real-time signals included (`SIGRTMIN+3`, as Kubernetes names them).
pub fn signal_number(name: &str) -> Option<i32> {
    if let Ok(signal) = name.parse::<nix::sys::signal::Signal>() {
        return Some(signal as i32);
    }
    let (base, offset) = match (name.strip_prefix("SIGRTMIN"), name.strip_prefix("SIGRTMAX")) {
        (Some(rest), _) => (nix::libc::SIGRTMIN(), rest),
        (_, Some(rest)) => (nix::libc::SIGRTMAX(), rest),
        _ => return None,
    };
    let offset: i32 = if offset.is_empty() { 0 } else { offset.parse().ok()? };
    let number = base.checked_add(offset)?;
    (nix::libc::SIGRTMIN()..=nix::libc::SIGRTMAX()).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn signals_by_their_kubernetes_names() {
        assert_eq!(signal_number("SIGTERM"), Some(15));
        assert_eq!(signal_number("SIGRTMIN+3"), Some(nix::libc::SIGRTMIN() + 3));
        assert_eq!(signal_number("SIGRTMAX-1"), Some(nix::libc::SIGRTMAX() - 1));
        for name in ["TERM", "SIGRTMIN-1", "SIGRTMAX+1", "SIGRTMIN+99999999999", ""] {
            assert_eq!(signal_number(name), None, "{name}");
        }
    }

    #[test]
    fn tags_are_read_back() {
        assert_eq!(log_of_tag(&log_tag("web", 4, "record")), Some(("web".to_owned(), 4)));
        assert_eq!(log_of_tag(&log_tag("web", 4, "stdout")), None);
        assert_eq!(environment_of_tag(&environment_tag("web", 4)), Some(("web".to_owned(), 4)));
        assert_eq!(environment_of_tag(&stdin_tag("web", 4)), None);
        assert!(log_tag(&"a".repeat(63), u32::MAX, "stdout-staging").len() <= 120);
    }

    #[test]
    fn a_container_id_is_a_function_of_its_name() {
        let id = container_id("u", "web", 0);
        assert_eq!(id, container_id("u", "web", 0));
        assert_ne!(id, container_id("u", "web", 1));
        assert_eq!(id.len(), 64);
    }

    #[test]
    fn image_failures_have_the_kubelets_reasons() {
        let absent = ImageError::Absent("docker.io/library/x:1".into());
        assert_eq!(image_failure("x:1", true, &absent).0, ImageFailure::ErrImageNeverPull);
        let (reason, message) = image_failure("x:1", false, &absent);
        assert_eq!(reason, ImageFailure::ErrImagePull);
        assert!(message.contains("podlet image import"));
    }
}
