//! What clients ask for over the control socket, and what is answered.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::clock;
use super::control::{Answer, ObjectKind, Request};
use super::files::{self, Durability};
use super::kept;
use super::run::Supervisor;
use crate::linux::container;
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
        let json = match serde_json::to_value(&pod) {
            Ok(json) => json,
            Err(error) => return refused(format!("the pod cannot be written as JSON: {error}")),
        };
        let path = self.world.paths().pod_manifest(self.world.uid());
        let written = kept::keep_admitted_manifest(self.world.paths(), self.world.uid())
            .and_then(|()| serde_json::to_vec(&pod).map_err(std::io::Error::from))
            .and_then(|bytes| files::replace(&path, &bytes, Durability::Power));
        if let Err(error) = written {
            return refused(format!("could not write {}: {error}", path.display()));
        }
        self.pod = Arc::new(pod);
        self.tell(Fact::SpecChanged { pod: Box::new(json) }, clock::now(), None, None).await;
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
