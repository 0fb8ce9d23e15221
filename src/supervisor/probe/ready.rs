//! Which zygotes there are: one for each probe by command that may run, made at its first run. Its user, environment, filter,
//! namespaces and cgroups stay as they are while the instance lives and the pod is not applied anew.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use k8s_openapi::api::core::v1::{Container, ExecAction, Pod};

use super::run::static_words;
use super::zygote::{Zygote, zygote_spawn};
use crate::linux::container::{self, Command};
use crate::pod::probe::ProbeKind;
use crate::pod::prober::Prober;
use crate::supervisor::clock;
use crate::supervisor::effects::not_asked_for;
use crate::supervisor::exec::Entered;
use crate::supervisor::run::Supervisor;

/// What is ready, by container and probe.
#[derive(Default)]
pub struct ReadyCommands(HashMap<(String, ProbeKind), Rc<Ready>>);

/// One command.
pub struct Ready {
    /// Its words, expanded.
    pub words: Vec<String>,
    /// Runs it.
    pub zygote: Rc<Zygote>,
    /// What is looked at before each run.
    pub command: Command,
    attempt: u32,
    /// As applied when it was made ready.
    pod: Weak<Pod>,
}

impl ReadyCommands {
    /// Of an instance that is over, and of probes that are, nothing is held any more.
    pub fn keep(&mut self, prober: &Prober) {
        self.0.retain(|(container, kind), ready| prober.has(container, ready.attempt, *kind));
    }

    /// What was found out of a container may not hold any more.
    pub fn forget(&mut self, container: &str) {
        self.0.retain(|(name, _), _| name != container);
    }

    /// A zygote is of no use any more.
    pub fn forget_zygote(&mut self, id: &str) {
        self.0.retain(|_, ready| ready.zygote.id != id);
    }
}

impl Supervisor {
    /// The command of a probe.
    pub(super) async fn ready_command(
        &mut self,
        spec: &Container,
        kind: ProbeKind,
        action: &ExecAction,
    ) -> Result<Rc<Ready>, String> {
        let pod = self.pod();
        let (attempt, _) = self.running_container(&spec.name)?;
        let key = (spec.name.clone(), kind);
        let is_of = |ready: &Ready| ready.attempt == attempt && std::ptr::eq(ready.pod.as_ptr(), Arc::as_ptr(&pod));
        if let Some(ready) = self.ready.0.get(&key).filter(|ready| is_of(ready) && ready.command.is_found_again()) {
            return Ok(Rc::clone(ready));
        }
        let words = static_words(action.command.as_deref().unwrap_or_default(), spec);
        let Entered { init, image, environment } = self.enter(&spec.name)?;
        let context = self.world.context(&pod);
        let made = container::prepare_zygote(&context, spec, image, init.as_fd(), &words, environment);
        let (prepared, command) = made.map_err(|failure| failure.message)?;
        let id = zygote_spawn(&spec.name, attempt, kind, clock::now().boot);
        let zygote = self.spawn_zygote(id, prepared).await.map_err(not_asked_for)?;
        let ready = Rc::new(Ready { words, zygote: Rc::new(zygote), command, attempt, pod: Arc::downgrade(&pod) });
        self.ready.0.insert(key, Rc::clone(&ready));
        Ok(ready)
    }
}
