//! While one process of a pod becomes its program, the supervisor would only wait: it makes the next container ready instead.
//! Nothing is decided here and nothing is told to the machine: whether and when that container starts is the machine's word,
//! and what was made ready is then used, or thrown away and made anew when something has changed since. A failure here is
//! none: the same comes again in its turn, and is told then. A supervisor that is killed leaves what one leaves that is killed
//! in the middle of a start.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Pod};
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::run::Supervisor;
use crate::image::Image;
use crate::linux::container::{self, Prepared, StartFailure};
use crate::pod::effect::{Action, EffectId};
use crate::pod::input::StartStage;

/// What is older has seen ConfigMaps and Secrets that may be others by now.
const FRESH: Duration = Duration::from_secs(1);

/// A container instance that could be started at once.
pub struct Ready {
    /// For the keeper.
    pub prepared: Prepared,
    /// The reading ends of standard output and error.
    pub pipes: [OwnedFd; 2],
}

/// What was made ready, and from what.
pub struct Ahead {
    container: String,
    attempt: u32,
    pod: Rc<Pod>,
    image: Image,
    sandbox: EffectId,
    since: Instant,
    ready: Ready,
}

impl Supervisor {
    /// Makes the next container ready while another process starts.
    pub(super) fn prepare_ahead(&mut self) {
        if self.ahead.is_some() || self.starting.is_empty() {
            return;
        }
        let pod = self.pod();
        // Never looked for an image for it: its first start is still to come, in the order of the list.
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let Some(next) = containers.into_iter().find(|next| !self.state.images.contains_key(&next.name)) else {
            return;
        };
        // A pipe to stdin is the keeper's to hold, which is asked for in its turn.
        if next.stdin == Some(true) {
            return;
        }
        let Some(sandbox) = self.sandbox_spawn() else { return };
        let Ok(image) = self.world.images.find(next.image.as_deref().unwrap_or_default()) else { return };
        if let Ok(ready) = self.make_ready(&sandbox, next, 0, &image, None) {
            let (container, since) = (next.name.clone(), Instant::now());
            self.ahead = Some(Ahead { container, attempt: 0, pod, image, sandbox, since, ready });
        }
    }

    /// A container instance with its log pipes and, unless it has another, `/dev/null` to read from.
    pub(super) fn make_ready(
        &self,
        sandbox: &EffectId,
        spec: &Container,
        attempt: u32,
        image: &Image,
        stdin: Option<OwnedFd>,
    ) -> Result<Ready, StartFailure> {
        let create = |message: String| StartFailure { stage: StartStage::Create, message };
        let system = |what: &str, error: io::Error| create(format!("could not {what}: {error}"));
        let sandbox =
            self.processes.get(&sandbox.0).cloned().ok_or_else(|| create("the pod's sandbox is gone".to_owned()))?;
        let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|errno| system("make a log pipe", errno.into()));
        let ((out, out_writer), (err, err_writer)) = (pipe()?, pipe()?);
        let null = || std::fs::File::open("/dev/null").map(OwnedFd::from);
        let stdin = stdin.map_or_else(null, Ok).map_err(|error| system("make stdin", error))?;
        let pod = self.pod();
        let context = self.world.context(&pod);
        let stdio = [stdin.as_fd(), out_writer.as_fd(), err_writer.as_fd()];
        let (prepared, _) = container::prepare_container(&context, spec, attempt, image, sandbox.as_fd(), stdio)?;
        Ok(Ready { prepared, pipes: [out, err] })
    }

    /// What was made ready for this start, if it is for this one and nothing of what it was made from has changed.
    pub(super) fn take_ahead(
        &mut self,
        sandbox: &EffectId,
        name: &str,
        attempt: u32,
        pod: &Rc<Pod>,
        image: &Image,
    ) -> Option<Ready> {
        let ahead = self.ahead.take()?;
        let for_this = ahead.container == name && ahead.attempt == attempt && ahead.sandbox == *sandbox;
        let same = Rc::ptr_eq(&ahead.pod, pod) && ahead.image == *image && ahead.since.elapsed() < FRESH;
        (for_this && same).then_some(ahead.ready)
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
