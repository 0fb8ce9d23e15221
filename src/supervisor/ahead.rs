//! While the processes of a pod become their programs one after the other, a thread makes the next container ready: the first
//! one while the sandbox is made. Nothing is decided here and nothing is told to the machine: whether and when that
//! container starts is the machine's word, and what was made ready is then used, or thrown away and made anew when something
//! has changed since. A failure here is none: the same comes again in its turn, and is told then. A supervisor that is killed
//! leaves what one leaves that is killed in the middle of a start.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Pod};
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::run::Supervisor;
use super::world::World;
use crate::image::Image;
use crate::linux::container::{self, PodContext, Prepared, RootFs, StartFailure};
use crate::pod::effect::{Action, EffectId};
use crate::pod::input::StartStage;

/// What is older has seen ConfigMaps and Secrets that may be others by now.
const FRESH: Duration = Duration::from_secs(1);

/// A container instance that could be started at once.
pub struct Ready {
    /// For the keeper; it has not joined the sandbox yet.
    pub prepared: Prepared,
    /// The reading ends of standard output and error.
    pub pipes: [OwnedFd; 2],
}

/// What is being made ready, and from what. Whoever lets go of it waits until the thread has ended.
pub struct Ahead {
    container: String,
    attempt: u32,
    pod: Arc<Pod>,
    image: Image,
    sandbox: EffectId,
    since: Instant,
    /// Tells the thread that what all containers share is there. Once it is gone that is not waited for any more.
    surroundings: Option<Sender<()>>,
    making: Option<JoinHandle<Result<Ready, StartFailure>>>,
}

impl Ahead {
    fn wait(&mut self) -> Option<Ready> {
        self.surroundings = None;
        self.making.take()?.join().ok()?.ok()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        drop(self.wait());
    }
}

impl Supervisor {
    /// Begins with the next container, if there is a process to wait for meanwhile.
    pub(super) fn prepare_ahead(&mut self) {
        if self.ahead.is_some() {
            return;
        }
        let pod = self.pod();
        let Some(sandbox) = self.sandbox_spawn() else { return };
        let surroundings_are_there = self.state.sandbox.is_some() || !self.starting.is_empty();
        if self.state.sandbox.is_some() && self.starting.is_empty() {
            return;
        }
        let Some(next) = self.next_to_start(&pod) else { return };
        // A pipe to stdin is the keeper's to hold, which is asked for in its turn.
        if next.stdin == Some(true) {
            return;
        }
        let Ok(image) = self.world.images.find(next.image.as_deref().unwrap_or_default()) else { return };
        let (surroundings, told) = channel();
        let making = {
            let (world, pod, next, image) = (Arc::clone(&self.world), Arc::clone(&pod), next.clone(), image.clone());
            let thread = std::thread::Builder::new().name("podlet-ahead".to_owned());
            thread.spawn(move || make_first(&world, &pod, &next, &image, &told))
        };
        let Ok(making) = making else { return };
        let ahead = Ahead {
            container: next.name.clone(),
            attempt: 0,
            pod,
            image,
            sandbox,
            since: Instant::now(),
            surroundings: Some(surroundings),
            making: Some(making),
        };
        self.ahead = Some(ahead);
        if surroundings_are_there {
            self.surroundings_are_there();
        }
    }

    /// The container that nobody has looked for an image for: its first start is still to come, in the order of the list.
    fn next_to_start<'a>(&self, pod: &'a Pod) -> Option<&'a Container> {
        let spec = pod.spec.as_ref()?;
        let new = |container: &&Container| !self.state.images.contains_key(&container.name);
        let mut inits = spec.init_containers.iter().flatten();
        match inits.find(new) {
            // When the one before it is over, which may be in a long time; but for the first.
            Some(init) => self.state.images.is_empty().then_some(init),
            None => spec.containers.iter().find(new),
        }
    }

    /// The pod's cgroups, files and volumes are made.
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
        let for_this = ahead.container == name && ahead.attempt == attempt && ahead.sandbox == *sandbox;
        let same = Arc::ptr_eq(&ahead.pod, pod) && ahead.image == *image && ahead.since.elapsed() < FRESH;
        ahead.wait().filter(|_| for_this && same)
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

/// What the thread does, for a container's first instance.
fn make_first(
    world: &World,
    pod: &Pod,
    spec: &Container,
    image: &Image,
    surroundings: &Receiver<()>,
) -> Result<Ready, StartFailure> {
    let context = world.context(pod);
    let root = container::prepare_root(&context, spec, 0, image)?;
    let ready = match surroundings.recv() {
        Ok(()) => make_ready(&context, spec, 0, image, None, || Ok(root)),
        // They were made by a predecessor, or will not be.
        Err(_) => Err(failure("the pod's surroundings are not there".to_owned())),
    };
    if ready.is_err() {
        let _ = container::remove_instance(&context, &spec.name, 0);
    }
    ready
}

/// A container instance with its log pipes and, unless it has another, `/dev/null` to read from.
pub(super) fn make_ready(
    context: &PodContext<'_>,
    spec: &Container,
    attempt: u32,
    image: &Image,
    stdin: Option<OwnedFd>,
    root: impl FnOnce() -> Result<RootFs, StartFailure>,
) -> Result<Ready, StartFailure> {
    let system = |what: &str, error: io::Error| failure(format!("could not {what}: {error}"));
    let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|errno| system("make a log pipe", errno.into()));
    let ((out, out_writer), (err, err_writer)) = (pipe()?, pipe()?);
    let null = || std::fs::File::open("/dev/null").map(OwnedFd::from);
    let stdin = stdin.map_or_else(null, Ok).map_err(|error| system("make stdin", error))?;
    let stdio = [stdin.as_fd(), out_writer.as_fd(), err_writer.as_fd()];
    let prepared = container::prepare_instance(context, spec, attempt, image, root, stdio)?;
    Ok(Ready { prepared, pipes: [out, err] })
}

fn failure(message: String) -> StartFailure {
    StartFailure { stage: StartStage::Create, message }
}
