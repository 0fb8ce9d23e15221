//! What clients ask for over the control socket, and what is answered.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{EphemeralContainer, Pod};

use super::clock;
use super::control::{Answer, ObjectKind, Request};
use super::files::{self, Durability};
use super::kept;
use super::run::Supervisor;
use crate::linux::container;
use crate::manifest::containers::find_container;
use crate::pod::input::Fact;
use crate::volume::Which;

impl Supervisor {
    pub(super) async fn answer(&mut self, connection: u64, request: Request, descriptors: Vec<OwnedFd>) {
        match request {
            Request::Get => {
                let state = self.shown_state();
                self.connections.answer(connection, &state);
            }
            Request::Watch => {
                let state = self.shown_state();
                self.connections.watch(connection);
                self.connections.answer(connection, &state);
            }
            Request::Delete { grace_seconds, force } => {
                self.tell(Fact::DeleteRequested { grace_seconds, force }, clock::now(), None, None).await;
                self.connections.answer(connection, &Answer::Accepted);
            }
            Request::Stop { most_seconds } => {
                self.tell(Fact::StopRequested { most_seconds }, clock::now(), None, None).await;
                self.connections.answer(connection, &Answer::Accepted);
            }
            Request::Restart { container } => {
                self.tell(Fact::RestartRequested { container }, clock::now(), None, None).await;
                self.connections.answer(connection, &Answer::Accepted);
            }
            Request::Apply { pod } => {
                let answer = self.apply(*pod).await;
                self.connections.answer(connection, &answer);
            }
            Request::Debug { container, holds } => {
                let answer = self.debug(*container, holds).await;
                self.connections.answer(connection, &answer);
            }
            Request::ObjectChanged { kind, name } => {
                self.update_volumes(kind, &name).await;
                self.connections.answer(connection, &Answer::Accepted);
            }
            Request::Exec { id, container, command, tty } => {
                self.exec(connection, &id, (&container, &command, tty), descriptors).await;
            }
            Request::Process { container } => self.tell_process(connection, &container),
            Request::ExecResume { id } => self.resume_exec(connection, &id),
            Request::Attach { container, stdin, resume } => {
                self.attach(connection, (&container, stdin), resume, descriptors);
            }
            Request::CloseStdin => self.close_stdin(connection),
            Request::Upgrade { keeper } => self.upgrade(connection, keeper, &descriptors),
            Request::ExecSignal { signal } => self.signal_exec(connection, signal),
        }
    }

    /// A re-apply whose changes may be made in place (the command line has compared the two by the API server's rules).
    async fn apply(&mut self, pod: Pod) -> Answer {
        let refused = |message: String| Answer::Refused { message };
        let name = pod.metadata.name.clone().unwrap_or_default();
        if pod.metadata.uid.as_deref() != Some(self.world.uid()) {
            return refused(format!("the pod {name} is another one by now; apply it again"));
        }
        if self.state.machine.pod().metadata.deletion_timestamp.is_some() {
            return refused(format!(
                "the pod {name} is being deleted; wait until it is gone (podlet wait --for=delete pod/{name}), then apply it"
            ));
        }
        // They are added by another request, perhaps since the command line has looked.
        let mut pod = pod;
        let own = self.pod.spec.as_ref().and_then(|spec| spec.ephemeral_containers.clone());
        if let Some(spec) = &mut pod.spec {
            spec.ephemeral_containers = own;
        }
        pod.metadata.creation_timestamp.clone_from(&self.pod.metadata.creation_timestamp);
        let json = match serde_json::to_value(&pod) {
            Ok(json) => json,
            Err(error) => return refused(format!("the pod cannot be written as JSON: {error}")),
        };
        if let Err(message) = self.keep_manifest(&pod) {
            return refused(message);
        }
        if self.state.machine.asks_for_room(&pod) {
            self.look_for_room().await;
        }
        self.pod = Arc::new(pod);
        self.tell(Fact::SpecChanged { pod: Box::new(json) }, clock::now(), None, None).await;
        self.hold_what_was_given();
        Answer::Accepted
    }

    /// The manifest as others read it; the one of before is kept for whoever folds the journal from its beginning.
    fn keep_manifest(&self, pod: &Pod) -> Result<(), String> {
        let path = self.world.paths().pod_manifest(self.world.uid());
        let written = kept::keep_admitted_manifest(self.world.paths(), self.world.uid())
            .and_then(|()| serde_json::to_vec(pod).map_err(std::io::Error::from))
            .and_then(|bytes| files::replace(&path, &bytes, Durability::Power));
        written.map_err(|error| format!("could not write {}: {error}", path.display()))
    }

    /// An ephemeral container (the command line has validated it as the API server does).
    async fn debug(&mut self, container: EphemeralContainer, holds: Option<String>) -> Answer {
        let refused = |message: String| Answer::Refused { message };
        let shown = self.state.machine.pod();
        let phase = shown.status.and_then(|status| status.phase).unwrap_or_default();
        if shown.metadata.deletion_timestamp.is_some() || self.state.machine.is_ending() {
            return refused(format!("the pod is on its way out ({phase}); nothing is started in it any more"));
        }
        if find_container(&self.pod, &container.name).is_some() {
            return refused(format!("the pod has a container {} already", container.name));
        }
        let json = match serde_json::to_value(&container) {
            Ok(json) => json,
            Err(error) => return refused(format!("the container cannot be written as JSON: {error}")),
        };
        let manifest = match kept::manifest(self.world.paths(), self.world.uid()) {
            Ok(manifest) => manifest.unwrap_or_else(|| Pod::clone(&self.pod)),
            Err(error) => return refused(error.to_string()),
        };
        let with = |mut pod: Pod| {
            if let Some(spec) = &mut pod.spec {
                spec.ephemeral_containers.get_or_insert_default().push(container.clone());
            }
            pod
        };
        if let Err(message) = self.keep_manifest(&with(manifest)) {
            return refused(message);
        }
        self.pod = Arc::new(with(Pod::clone(&self.pod)));
        self.tell(Fact::EphemeralContainerAdded { container: Box::new(json), holds }, clock::now(), None, None).await;
        Answer::Accepted
    }

    /// Brings the volumes that show an object up to date. Before the sandbox stands none is made yet: that is done with it.
    async fn update_volumes(&mut self, kind: ObjectKind, name: &str) {
        if self.state.sandbox.is_none() {
            return;
        }
        let pod = self.pod();
        let which = match kind {
            ObjectKind::ConfigMap => Which::OfConfigMap(name),
            ObjectKind::Secret => Which::OfSecret(name),
        };
        if let Err(messages) = container::prepare_volumes(&self.world.context(&pod), which) {
            self.tell(Fact::MountFailed { attempt: None, messages }, clock::now(), None, None).await;
        }
    }

    /// A client is gone; with it goes what it was running.
    pub(super) fn hang_up(&mut self, connection: u64) {
        self.connections.close(connection);
        self.end_exec(connection);
        self.detach(connection);
    }
}
