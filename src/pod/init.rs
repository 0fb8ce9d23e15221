//! Init containers and sidecars: how far a pod has come with them, and which container may start now (lifecycle 5.1, 5.2).
//! Nothing of it is kept: it follows from the containers' records, as for a kubelet. `decide`, `termination` and
//! `conditions` ask.

use k8s_openapi::api::core::v1::Pod;

use super::container::{Container, Ended, Kind};
use super::decide::wants_start;
use super::machine::State;
use super::probe::is_started;

impl State {
    /// Whether the pod has init containers or sidecars.
    pub fn has_init(&self) -> bool {
        self.containers.iter().any(|container| container.kind.is_init())
    }

    /// The regular containers.
    pub fn regular(&self) -> impl Iterator<Item = &Container> {
        self.containers.iter().filter(|container| container.kind.is_regular())
    }

    /// Whether this container may be started, as far as the ones before it are concerned. The init container that has come
    /// furthest decides: those before it are done with, but for sidecars, which are always started again; the next one
    /// begins when it is done, a regular one when the last is.
    pub fn may_start(&self, pod: &Pod, index: usize) -> bool {
        let Some(container) = self.containers.get(index) else { return false };
        if self.is_held(container) {
            return false;
        }
        if container.kind == Kind::Ephemeral {
            // It looks at what another has left: not before that has ended.
            let held = container.holds.as_deref().and_then(|name| self.containers.iter().find(|one| one.name == name));
            return held.is_none_or(|held| !held.may_have_process());
        }
        if container.kind.is_regular() {
            return self.is_initialized(pod);
        }
        if self.regular().any(Container::running) {
            return container.kind == Kind::Sidecar;
        }
        match self.furthest() {
            None => index == 0,
            Some((furthest, _)) if index <= furthest => container.kind == Kind::Sidecar || index == furthest,
            Some((furthest, before)) => index == furthest + 1 && is_done(pod, before),
        }
    }

    /// Whether the regular containers may start, or one of them runs.
    pub fn is_initialized(&self, pod: &Pod) -> bool {
        let last = self.containers.iter().rfind(|container| container.kind.is_init());
        last.is_none_or(|last| is_done(pod, last)) || self.regular().any(Container::running)
    }

    /// The ephemeral container that stands in for this one, if it has not ended (9.6).
    pub fn holder_of(&self, container: &Container) -> Option<&Container> {
        self.containers.iter().find(|one| one.holds.as_ref() == Some(&container.name) && one.exited().is_none())
    }

    /// Whether it may not be started, since an ephemeral container stands in for it.
    pub fn is_held(&self, container: &Container) -> bool {
        self.holder_of(container).is_some()
    }

    /// Whether the container at this place is an ephemeral one.
    pub fn is_ephemeral(&self, index: usize) -> bool {
        self.containers.get(index).is_some_and(|container| container.kind == Kind::Ephemeral)
    }

    /// Whether a regular container has come to be in the sandbox that there is.
    pub fn has_begun(&self) -> bool {
        self.regular().any(|container| {
            container.anew.is_none() && container.record.as_ref().is_some_and(|r| r.sandbox == self.sandbox.attempt)
        })
    }

    /// The last one of the init containers and sidecars that has a record which counts.
    fn furthest(&self) -> Option<(usize, &Container)> {
        let counts = |(_, container): &(usize, &Container)| {
            container.kind.is_init() && container.record.is_some() && container.anew.is_none()
        };
        self.containers.iter().enumerate().rfind(counts)
    }

    /// The init container that has failed and is not run again, and how it ended: the pod fails with it.
    pub fn failed_init(&self, pod: &Pod) -> Option<(&Container, &Ended)> {
        let failed = |container: &&Container| {
            container.kind == Kind::Init && !wants_start(pod, container) && !self.is_held(container)
        };
        let ended =
            |container| Container::exited(container).filter(|ended| !ended.is_success()).map(|e| (container, e));
        self.containers.iter().filter(failed).find_map(ended)
    }
}

/// Whether the next container need not wait for this one any more: an init container has completed, a sidecar is started.
fn is_done(pod: &Pod, container: &Container) -> bool {
    match container.kind {
        Kind::Init => container.has_completed(),
        Kind::Sidecar | Kind::Regular | Kind::Ephemeral => is_started(pod, container),
    }
}
