//! Carries out what the machine asks for. Each effect may be carried out again by a supervisor that takes over in the middle
//! of it, so each either finds out that it is done or does no harm the second time; a process is never made twice, since the
//! keeper answers an id that it knows with the child that exists.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use pause::table::{STATUS_DESCRIPTOR, TABLE_DESCRIPTOR};

use super::ahead::{self, Ready};
use super::clock;
use super::ends::end;
use super::log::Held;
use super::run::{Happening, Starting, Supervisor};
use super::state::{Asked, Record};
use super::status_pipe::{self, StatusPipe};
use super::streams::{Copying, Place};
use super::tags::{LOG_PARTS, STATUS_TAG, TERMINAL_PART, environment_tag, log_tag, stdin_tag};
use crate::image::{Image, ImageError, Reference};
use crate::linux::cgroup::Cgroup;
use crate::linux::container::{self, PodFailure, Prepared, StartFailure};
use crate::linux::keeper::Spawn;
use crate::manifest::containers::{self, find_container};
use crate::pod::effect::{Action, EffectId};
use crate::pod::input::{Fact, ImageFacts, ImageFailure, StartStage};

/// How long to wait before something that failed for no reason of the pod's is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the keeper may be busy before a start fails, to be tried again as the machine says.
const BUSY: Duration = Duration::from_secs(10);

/// What is said where [`Supervisor::spawn`] fails for what is no effect of the machine's.
pub(super) fn not_asked_for(error: io::Error) -> String {
    format!("could not ask the keeper for a process: {error}")
}

impl Supervisor {
    /// Carries out all that is asked for.
    pub(super) async fn perform_all(&mut self) {
        while let Some(asked) = self.queue.pop_front() {
            // Answered in the meantime: a kill of what has ended.
            if self.state.is_pending(&asked.id) {
                self.perform(asked).await;
            }
        }
    }

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
                self.spawn(id, prepared).await.map_err(|error| error.to_string())
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
        self.spawn(id, prepared).await.map_err(|e| system("ask the keeper for a process", e))
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
    pub(super) async fn spawn(&mut self, id: &EffectId, mut prepared: Prepared) -> io::Result<()> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        self.keeper.hold(&format!("{STATUS_TAG}{}", id.0), reader.as_fd())?;
        if let Err(error) = self.spawn_stage(&id.0, &mut prepared, writer.as_fd()).await {
            self.release_status(id);
            return Err(error);
        }
        drop(writer);
        let status = StatusPipe::new(reader);
        self.follow_status(id, &status);
        self.starting.insert(id.clone(), Starting { prepared: Some(prepared), status, failed: None });
        Ok(())
    }

    /// Asks the keeper for a stage that tells by this descriptor how it goes. The descriptors that were prepared are its own then.
    pub(super) async fn spawn_stage(
        &mut self,
        id: &str,
        prepared: &mut Prepared,
        status: BorrowedFd<'_>,
    ) -> io::Result<()> {
        self.notice(&prepared.notices);
        if self.keeper_lost {
            return Err(io::Error::other(
                "the pod's keeper and its twin were killed, and no other could be started; see the pod's supervisor.log",
            ));
        }
        let mut descriptors = vec![(prepared.table.as_fd(), TABLE_DESCRIPTOR), (status, STATUS_DESCRIPTOR)];
        descriptors.extend(prepared.descriptors.iter().map(|(fd, number)| (fd.as_fd(), *number)));
        let request = Spawn {
            id,
            clone_flags: prepared.clone_flags,
            cgroup: prepared.cgroup.as_ref().map(AsFd::as_fd),
            program: self.world.stage.as_fd(),
            descriptors: &descriptors,
            second: prepared.second,
        };
        self.ask_for(&request).await?;
        prepared.descriptors.clear();
        Ok(())
    }

    /// The keeper's queue is full only while it is busy with what was asked for before; or for ever, should it wait for its
    /// reports to be read, which nobody does here.
    async fn ask_for(&self, request: &Spawn<'_>) -> io::Result<()> {
        let until = tokio::time::Instant::now() + BUSY;
        while let Err(error) = self.keeper.spawn(request) {
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
            if tokio::time::Instant::now() > until {
                return Err(io::Error::other("the pod's keeper takes no requests"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
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

    /// A pidfd of the first process of a running instance.
    pub(super) fn first_process(&self, container: &str, attempt: u32) -> Option<Rc<OwnedFd>> {
        let running = self.state.containers.get(container).filter(|running| running.attempt == attempt)?;
        self.processes.get(&running.id.0).cloned()
    }

    async fn resize_pod(&mut self, generation: i64) {
        let pod = self.pod();
        let running = containers::lasting(&pod).filter(|spec| self.state.containers.contains_key(&spec.name));
        let failure = container::resize(&self.world.context(&pod), &running.collect::<Vec<_>>()).err();
        self.tell(Fact::Resized { generation, failure }, clock::now(), None, None).await;
    }

    /// Puts an effect back into the queue after a while.
    pub(super) fn again(&self, asked: Asked) {
        let happenings = self.happenings.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(RETRY).await;
            let _ = happenings.send(Happening::Again(asked));
        });
    }

    /// The cgroup of a container's current instance.
    pub(super) fn cgroup_of(&self, pod: &Pod, container: &str) -> Cgroup {
        container::container_cgroup(&self.world.context(pod), container)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
