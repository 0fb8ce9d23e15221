//! Commands of probes, made ready once for an instance of a container: its user, environment, filter, namespaces and cgroups
//! stay as they are while it lives.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, Weak};

use k8s_openapi::api::core::v1::{Container, ExecAction, Pod};

use super::run::static_words;
use crate::linux::container::{self, Prepared, Session};
use crate::pod::probe::ProbeKind;
use crate::supervisor::run::Supervisor;

/// What is ready, by container and probe.
#[derive(Default)]
pub struct ReadyCommands {
    commands: HashMap<(String, ProbeKind), Rc<Ready>>,
    /// What commands read from.
    nothing: Option<Arc<OwnedFd>>,
}

/// One command.
pub struct Ready {
    /// Its words, expanded.
    pub words: Vec<String>,
    attempt: u32,
    /// As applied when it was made ready.
    pod: Weak<Pod>,
    /// All probes of a container have the same.
    surroundings: container::Surroundings,
    command: container::Command,
    nothing: Arc<OwnedFd>,
}

impl Ready {
    /// One run, which writes to these pipes.
    pub fn prepare(&self, [out, errors]: [OwnedFd; 2]) -> Result<Prepared, String> {
        let stdio = [Arc::clone(&self.nothing), Arc::new(out), Arc::new(errors)];
        self.command.prepare(stdio).map_err(|failure| failure.message)
    }

    fn is_of(&self, pod: &Arc<Pod>, attempt: u32) -> bool {
        self.attempt == attempt && std::ptr::eq(self.pod.as_ptr(), Arc::as_ptr(pod))
    }
}

impl ReadyCommands {
    /// An instance is over: nothing of it is held any more.
    pub fn end_of(&mut self, container: &str, attempt: u32) {
        self.commands.retain(|(name, _), ready| name != container || ready.attempt != attempt);
    }

    /// What was found out of a container may not hold any more.
    pub fn forget(&mut self, container: &str) {
        self.commands.retain(|(name, _), _| name != container);
    }
}

impl Supervisor {
    /// The command of a probe, which writes to pipes like `pipes`.
    pub(super) fn ready_command(
        &mut self,
        spec: &Container,
        probe: ProbeKind,
        action: &ExecAction,
        pipes: [BorrowedFd<'_>; 2],
    ) -> Result<Rc<Ready>, String> {
        let pod = self.pod();
        let (attempt, init) = self.running_container(&spec.name)?;
        let key = (spec.name.clone(), probe);
        let commands = &self.ready.commands;
        let known = commands.get(&key).filter(|ready| ready.is_of(&pod, attempt) && ready.command.is_found_again());
        if let Some(ready) = known {
            return Ok(Rc::clone(ready));
        }
        let mut others = commands.iter().filter(|((name, _), ready)| *name == spec.name && ready.is_of(&pod, attempt));
        let context = self.world.context(&pod);
        let surroundings = match others.next() {
            Some((_, other)) => other.surroundings.clone(),
            None => container::Surroundings::of(&context, spec, init.as_fd()).map_err(|failure| failure.message)?,
        };
        let nothing = match &self.ready.nothing {
            Some(nothing) => Arc::clone(nothing),
            None => {
                let opened = File::open("/dev/null").map_err(|error| format!("could not open /dev/null: {error}"))?;
                Arc::new(OwnedFd::from(opened))
            }
        };
        let Some((_, image)) = self.state.images.get(&spec.name) else {
            return Err(format!("the image of container {} is not known any more", spec.name));
        };
        let words = static_words(action.command.as_deref().unwrap_or_default(), spec);
        let environment = self.environments.get(&spec.name).filter(|(of, _)| *of == attempt);
        let environment = environment.map(|(_, kept)| kept.as_fd());
        let [out, errors] = pipes;
        let session = Session { command: &words, tty: false, stdio: [nothing.as_fd(), out, errors], environment };
        let command = container::Command::new(&context, spec, image, &surroundings, &session);
        let command = command.map_err(|failure| failure.message)?;
        self.ready.nothing = Some(Arc::clone(&nothing));
        let pod = Arc::downgrade(&pod);
        let ready = Rc::new(Ready { words, attempt, pod, surroundings, command, nothing });
        self.ready.commands.insert(key, Rc::clone(&ready));
        Ok(ready)
    }
}
