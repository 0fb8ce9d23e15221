//! While the processes of a pod become their programs one after the other, a thread makes the next containers ready,
//! beginning while the sandbox is made. Nothing is decided here and nothing is told to the machine: whether and when a
//! container starts is the machine's word, and what was made ready is then used, or thrown away and made anew when something
//! has changed since. A failure here is none: the same comes again in its turn, and is told then. A supervisor that is killed
//! leaves what one leaves that is killed in the middle of a start.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Pod};
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::log::Outputs;
use super::run::Supervisor;
use super::world::World;
use crate::image::Image;
use crate::linux::cgroup::Layout;
use crate::linux::container::{self, PodContext, Prepared, RootFs, StartFailure, Stdio};
use crate::linux::machine::Machine;
use crate::linux::terminal::{self, Pair};
use crate::pod::effect::{Action, EffectId};
use crate::pod::input::StartStage;

/// What is older has seen ConfigMaps and Secrets that may be others by now.
const FRESH: Duration = Duration::from_secs(1);

/// A container instance that could be started at once.
pub struct Ready {
    /// For the keeper; it has not joined the sandbox yet.
    pub prepared: Prepared,
    /// Where its output comes from.
    pub outputs: Outputs,
}

/// One that was made.
struct Made {
    ready: Result<Ready, StartFailure>,
    since: Instant,
}

/// What is being made ready, and from what. Whoever lets go of it waits until the thread has ended.
pub struct Ahead {
    pod: Arc<Pod>,
    sandbox: EffectId,
    /// The containers that are still to be taken, in the order in which they are made.
    containers: VecDeque<(String, Image)>,
    made: Option<Receiver<Made>>,
    /// Tells the thread that what all containers share is there. Once it is gone that is not waited for any more.
    surroundings: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // With nobody to tell the thread ends behind the one that it is at.
        (self.surroundings, self.made) = (None, None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Supervisor {
    /// Begins with the containers that are next, if there is a process to wait for meanwhile.
    pub(super) fn prepare_ahead(&mut self) {
        let begun = self.state.sandbox.is_some() || !self.starting.is_empty();
        if self.ahead.is_some() || self.state.sandbox.is_some() && self.starting.is_empty() {
            return;
        }
        let pod = self.pod();
        let Some(sandbox) = self.sandbox_spawn() else { return };
        let found = self.next_to_start(&pod).into_iter().map(|next| {
            let image = self.world.images.find(next.image.as_deref().unwrap_or_default());
            image.ok().map(|image| (next.clone(), image))
        });
        let next: Vec<(Container, Image)> = found.map_while(|found| found).collect();
        if next.is_empty() {
            return;
        }
        let containers = next.iter().map(|(container, image)| (container.name.clone(), image.clone())).collect();
        let ((surroundings, told), (tell, made)) = (channel(), channel());
        let (world, pod_there) = (Arc::clone(&self.world), Arc::clone(&pod));
        let thread = std::thread::Builder::new().name("podlet-ahead".to_owned());
        let Ok(thread) = thread.spawn(move || make_all(&world, &pod_there, &next, &told, &tell)) else { return };
        let (surroundings, made, thread) = (Some(surroundings), Some(made), Some(thread));
        self.ahead = Some(Ahead { pod, sandbox, containers, made, surroundings, thread });
        if begun {
            self.surroundings_are_there();
        }
    }

    /// The containers that nobody has looked for an image for, whose first start is still to come, in the order of the list.
    /// Those behind an init container come when that is over, which may be in a long time.
    fn next_to_start<'a>(&self, pod: &'a Pod) -> Vec<&'a Container> {
        let Some(spec) = &pod.spec else { return Vec::new() };
        let known = |container: &Container| self.state.images.contains_key(&container.name);
        let inits = spec.init_containers.as_deref().unwrap_or_default();
        let next: Vec<&Container> = if inits.iter().all(known) {
            let together = inits.is_empty() || spec.containers.iter().any(known);
            let count = if together { usize::MAX } else { 1 };
            spec.containers.iter().filter(|container| !known(container)).take(count).collect()
        } else {
            inits.iter().take(1).filter(|first| !known(first)).collect()
        };
        // A pipe to stdin is the keeper's to hold, which is asked for in its turn.
        next.into_iter().take_while(|container| container.stdin != Some(true)).collect()
    }

    /// The pod's cgroups and volumes are made.
    pub(super) fn surroundings_are_there(&self) {
        if let Some(surroundings) = self.ahead.as_ref().and_then(|ahead| ahead.surroundings.as_ref()) {
            // The thread may be at its end already, having failed.
            let _ = surroundings.send(());
        }
    }

    /// What was made ready for this start, if it is for this one and nothing of what it was made from has changed.
    pub(super) fn take_ahead(
        &mut self,
        sandbox: &EffectId,
        name: &str,
        attempt: u32,
        pod: &Arc<Pod>,
        image: &Image,
    ) -> Option<Ready> {
        let mut ahead = self.ahead.take()?;
        let for_this = attempt == 0 && ahead.containers.front().is_some_and(|(next, _)| next == name);
        let same = Arc::ptr_eq(&ahead.pod, pod) && ahead.sandbox == *sandbox;
        if !for_this {
            // A restart comes between; the others are still to come.
            if same && attempt > 0 {
                self.ahead = Some(ahead);
            }
            return None;
        }
        // Not told until now: a predecessor has made them.
        ahead.surroundings = None;
        let same = same && ahead.containers.pop_front().is_some_and(|(_, made_from)| made_from == *image);
        let made = ahead.made.as_ref().filter(|_| same).and_then(|made| made.recv().ok())?;
        let ready = made.ready.ok().filter(|_| made.since.elapsed() < FRESH)?;
        if !ahead.containers.is_empty() {
            self.ahead = Some(ahead);
        }
        Some(ready)
    }

    /// The id of pause's spawn, running or starting.
    fn sandbox_spawn(&self) -> Option<EffectId> {
        let running = self.state.sandbox.as_ref().map(|running| running.id.clone());
        running.or_else(|| {
            let mut pending = self.state.pending.iter();
            pending.find(|asked| matches!(asked.action, Action::StartSandbox { .. })).map(|asked| asked.id.clone())
        })
    }
}

/// What the thread does: the first instances of these containers, one after the other, until nobody waits for them.
fn make_all(
    world: &World,
    pod: &Pod,
    containers: &[(Container, Image)],
    surroundings: &Receiver<()>,
    made: &Sender<Made>,
) {
    // What the other thread needs next, and is looked for once in a process.
    Layout::of_machine();
    Machine::get();
    let context = world.context(pod);
    // A failure is told by the container that needs them.
    let _ = container::prepare_files(&context);
    let mut waited_for = false;
    for (spec, image) in containers {
        let root = container::prepare_root(&context, spec, 0, image);
        // If it is not told, they were made by a predecessor or never will be.
        waited_for = waited_for || surroundings.recv().is_ok();
        if !waited_for {
            return drop(container::remove_instance(&context, &spec.name, 0));
        }
        let since = Instant::now();
        let ready = make_ready(&context, spec, 0, image, None, || root);
        let failed = ready.is_err();
        if failed {
            let _ = container::remove_instance(&context, &spec.name, 0);
        }
        if made.send(Made { ready, since }).is_err() || failed {
            return;
        }
    }
}

/// A container instance with its log pipes or its terminal and, unless it has another, `/dev/null` to read from.
pub(super) fn make_ready(
    context: &PodContext<'_>,
    spec: &Container,
    attempt: u32,
    image: &Image,
    stdin: Option<OwnedFd>,
    root: impl FnOnce() -> Result<RootFs, StartFailure>,
) -> Result<Ready, StartFailure> {
    let system = |what: &str, error: io::Error| failure(format!("could not {what}: {error}"));
    container::prepare_files(context)?;
    let prepare = |stdio| container::prepare_instance(context, spec, attempt, image, root, stdio);
    if spec.tty == Some(true) {
        let (terminals, Pair { master, slave }) =
            terminal::make_own().map_err(|error| system("make a terminal", error))?;
        let outputs = Outputs::of_terminal(master).map_err(|error| system("make a log pipe", error))?;
        let ends = [slave.as_fd(), slave.as_fd(), slave.as_fd()];
        return Ok(Ready { prepared: prepare(Stdio { ends, terminals: Some(terminals.as_fd()) })?, outputs });
    }
    let pipe = || log_pipe().map_err(|error| system("make a log pipe", error));
    let ((out, out_writer), (err, err_writer)) = (pipe()?, pipe()?);
    let null = || File::open("/dev/null").map(OwnedFd::from);
    let stdin = stdin.map_or_else(null, Ok).map_err(|error| system("make stdin", error))?;
    let stdio = [stdin.as_fd(), out_writer.as_fd(), err_writer.as_fd()];
    Ok(Ready { prepared: prepare(stdio.into())?, outputs: Outputs { pipes: [out, err], terminal: None } })
}

/// A pipe: podlet's end and the container's. The container's could be read from as well, so the pipe has a reader for as long as
/// it has a writer: should all of podlet's processes in a pod be killed, a container that writes waits for the next ones, and is
/// not ended by SIGPIPE. The pipe's end is seen as ever, when the last writer has gone.
fn log_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, _writer) = pipe2(OFlag::O_CLOEXEC)?;
    let both = File::options().read(true).write(true).open(format!("/proc/self/fd/{}", reader.as_raw_fd()))?;
    Ok((reader, both.into()))
}

fn failure(message: String) -> StartFailure {
    StartFailure { stage: StartStage::Create, message }
}
