//! All containers of a pod are restarted in place, by one's exit code (RestartAllContainers, lifecycle 4.6) or because the user
//! asked for it: what runs is stopped, then everything begins anew from the first init container, in the same sandbox.

use k8s_openapi::api::core::v1::Pod;

use super::because;
use super::container::{Container, EndReason, Ended, Kind, RecordState, Waiting, WaitingReason};
use super::machine::{Course, Turn};
use super::restart::restarts_all;
use super::rules;
use super::sandbox::SandboxState;
use crate::manifest::containers::{find_container, lasting};

/// What a container shows whose record was removed.
const REMOVED: &str = "The container is removed because RestartAllContainers in place";

/// Whether a pod has a rule by which all its containers may be restarted.
pub(super) fn has_rule(pod: &Pod) -> bool {
    let rules = lasting(pod).flat_map(|container| container.restart_policy_rules.iter().flatten());
    rules.into_iter().any(|rule| rule.action == "RestartAllContainers")
}

/// Whether all containers are to be restarted because this one has ended as it has.
fn asks_for_all(pod: &Pod, container: &Container) -> bool {
    let removed = EndReason::RestartingAllContainers;
    let ended = container.exited().filter(|ended| container.anew.is_none() && ended.reason != removed);
    let spec = find_container(pod, &container.name);
    spec.zip(ended).is_some_and(|(spec, ended)| restarts_all(&spec, ended.exit_code))
}

impl Turn<'_> {
    /// A container has ended with a code for which all are restarted.
    pub(super) fn look_for_reset(&mut self) {
        if self.state.course != Course::Serving || self.state.sandbox.state != SandboxState::Ready {
            return;
        }
        let asks = |container: &&Container| asks_for_all(self.pod, container);
        let found = self.state.containers.iter().find(asks);
        let Some((name, code)) = found.and_then(|one| Some((one.name.clone(), one.exited()?.exit_code))) else {
            return;
        };
        self.state.course = Course::Resetting;
        self.state.round.clear();
        self.note(&name, rules::R_4_6_A, because! {"exitCode": code});
    }

    /// Once nothing runs any more everything begins anew.
    pub(super) fn go_on_resetting(&mut self) {
        if !matches!(self.state.course, Course::Resetting | Course::Restarting) {
            return;
        }
        for container in &mut self.state.containers {
            container.abandon_image();
        }
        let concerned = |container: &Container| container.kind != Kind::Ephemeral;
        if self.state.containers.iter().any(|container| concerned(container) && container.may_have_process()) {
            return;
        }
        let (removed, pod, now) = (self.state.course == Course::Resetting, &*self.pod, self.state.clock.boot);
        for container in self.state.containers.iter_mut().filter(|container| concerned(container)) {
            let asked = removed && asks_for_all(pod, container);
            let Some(RecordState::Exited(ended)) = container.record.as_mut().map(|record| &mut record.state) else {
                container.waiting = None;
                continue;
            };
            // A kubelet knows no back-off here; whoever asks for it waits as for any crash, so that nothing spins.
            let exited = asked.then_some(ended.finished.boot);
            if removed {
                *ended = Ended {
                    exit_code: 137,
                    reason: EndReason::RestartingAllContainers,
                    message: Some(REMOVED.to_owned()),
                    started: None,
                    ..ended.clone()
                };
            }
            container.begin_anew(exited);
            if removed {
                let (reason, message) = (WaitingReason::RestartingAllContainers, REMOVED.to_owned());
                container.waiting = Some(Waiting { reason, message, until: now, unseen: true });
            }
        }
        self.state.course = Course::Serving;
        let rule = if removed { rules::R_4_6_B } else { rules::R_4_6_D };
        self.note("", rule, because! {"containers": self.state.containers.len()});
    }
}
