//! The conditions of a pod (lifecycle 2), and the memory of what was published: a condition's time moves only when its
//! status does. `machine` publishes after each step; `status` shows.

use k8s_openapi::api::core::v1::PodCondition;
use serde::{Deserialize, Serialize};

use super::container::{Container, Kind as ContainerKind};
use super::machine::{Course, Machine};
use super::phase::Phase;
use super::resize::Resize;
use super::room::Pending;
use super::sandbox::SandboxState;
use super::status::rfc3339;
use super::time::WallTime;

/// What was published last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// The phase.
    pub phase: Phase,
    /// The conditions, in Kubernetes' order.
    pub conditions: Vec<Condition>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    kind: Kind,
    holds: bool,
    reason: Option<String>,
    message: Option<String>,
    since: WallTime,
}

/// `type`, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    PodReadyToStartContainers,
    Initialized,
    Ready,
    ContainersReady,
    PodScheduled,
    AllContainersRestarting,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::PodReadyToStartContainers => "PodReadyToStartContainers",
            Kind::Initialized => "Initialized",
            Kind::Ready => "Ready",
            Kind::ContainersReady => "ContainersReady",
            Kind::PodScheduled => "PodScheduled",
            Kind::AllContainersRestarting => "AllContainersRestarting",
        }
    }
}

/// Whether a condition holds, and if not why.
#[derive(Clone, Debug, Default, PartialEq)]
struct Finding {
    holds: bool,
    reason: Option<String>,
    message: Option<String>,
}

impl Finding {
    fn plain(holds: bool) -> Finding {
        Finding { holds, ..Finding::default() }
    }

    fn because(holds: bool, reason: &str, message: Option<String>) -> Finding {
        Finding { holds, reason: Some(reason.to_owned()), message }
    }
}

impl Machine {
    /// Computes phase and conditions anew and keeps them, with the time of each change.
    pub(super) fn publish(&mut self) {
        let computed = self.computed_phase();
        let phase = self.published_phase(computed);
        // The conditions tell of the end before the phase does. Where a phase is made Failed only because something never
        // ran until the tear-down (1.3), they stay as the containers made them.
        let seen = if computed.is_terminal() && phase.is_terminal() { phase } else { computed };
        let containers_ready = self.containers_ready(seen);
        let findings = [
            (Kind::PodReadyToStartContainers, Finding::plain(self.has_sandbox())),
            (Kind::Initialized, self.initialized(seen)),
            (Kind::Ready, self.ready(&containers_ready)),
            (Kind::ContainersReady, containers_ready),
            (Kind::PodScheduled, Finding::plain(true)),
        ];
        let all = super::reset::has_rule(&self.pod).then(|| (Kind::AllContainersRestarting, self.all_restart(seen)));
        let now = self.state.clock.wall;
        let before = std::mem::take(&mut self.state.published.conditions);
        let since = |kind: Kind, holds: bool| {
            before.iter().find(|old| old.kind == kind && old.holds == holds).map_or(now, |old| old.since)
        };
        self.state.published.conditions = findings
            .into_iter()
            .chain(all)
            .map(|(kind, Finding { holds, reason, message })| Condition {
                kind,
                holds,
                reason,
                message,
                since: since(kind, holds),
            })
            .collect();
        self.state.published.phase = phase;
    }

    /// Whether no new sandbox is needed.
    fn has_sandbox(&self) -> bool {
        matches!(self.state.sandbox.state, SandboxState::Ready | SandboxState::Stopping)
    }

    fn containers_ready(&self, phase: Phase) -> Finding {
        match phase {
            Phase::Succeeded => return Finding::because(false, "PodCompleted", None),
            Phase::Failed => return Finding::because(false, "PodFailed", None),
            Phase::Pending | Phase::Running => {}
        }
        // In spec order, as Go prints a slice.
        let unready: Vec<&str> = self
            .state
            .containers
            .iter()
            .filter(|one| matches!(one.kind, ContainerKind::Regular | ContainerKind::Sidecar) && !self.is_ready(one))
            .map(|container| container.name.as_str())
            .collect();
        if unready.is_empty() {
            return Finding::plain(true);
        }
        let message = format!("containers with unready status: [{}]", unready.join(" "));
        Finding::because(false, "ContainersNotReady", Some(message))
    }

    fn ready(&self, containers: &Finding) -> Finding {
        if !containers.holds {
            return containers.clone();
        }
        // Nobody sets a gate's condition yet, so each gate's is missing.
        let gates = self.pod.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten());
        let missing: Vec<String> = gates
            .map(|gate| {
                format!("corresponding condition of pod readiness gate \"{}\" does not exist.", gate.condition_type)
            })
            .collect();
        if missing.is_empty() {
            return Finding::plain(true);
        }
        Finding::because(false, "ReadinessGatesNotReady", Some(missing.join(", ")))
    }

    fn all_restart(&self, phase: Phase) -> Finding {
        let message = || "container exited with restart policy rule".to_owned();
        match phase {
            Phase::Succeeded => Finding::because(false, "PodCompleted", None),
            Phase::Failed => Finding::because(false, "PodFailed", None),
            _ if self.state.course != Course::Resetting => Finding::plain(false),
            _ => Finding::because(true, "RestartAllContainersStarted", Some(message())),
        }
    }

    /// Every init container has completed and every sidecar is started, or a regular container has run; then for good.
    fn initialized(&self, phase: Phase) -> Finding {
        if phase == Phase::Succeeded {
            return Finding::because(true, "PodCompleted", None);
        }
        let before = self.state.published.conditions.iter().any(|old| old.kind == Kind::Initialized && old.holds);
        if before || self.state.regular().any(|container| container.record.is_some()) {
            return Finding::plain(true);
        }
        let incomplete = |container: &&Container| match container.kind {
            ContainerKind::Init => !container.has_completed(),
            ContainerKind::Sidecar => !self.is_started(container),
            ContainerKind::Regular | ContainerKind::Ephemeral => false,
        };
        let names: Vec<&str> =
            self.state.containers.iter().filter(incomplete).map(|container| container.name.as_str()).collect();
        if names.is_empty() {
            return Finding::plain(true);
        }
        let message = format!("containers with incomplete status: [{}]", names.join(" "));
        Finding::because(false, "ContainersNotInitialized", Some(message))
    }

    /// Whether a container is ready: it is started, and its readiness probe says so; an init container when it has exited 0.
    pub(super) fn is_ready(&self, container: &Container) -> bool {
        match container.kind {
            ContainerKind::Init => container.exited().is_some_and(|ended| ended.exit_code == 0),
            ContainerKind::Ephemeral => false,
            ContainerKind::Regular | ContainerKind::Sidecar => {
                self.is_started(container) && self.has_passed_readiness(container)
            }
        }
    }

    /// Whether a container is started, as long as the pod stands.
    pub(super) fn is_started(&self, container: &Container) -> bool {
        super::probe::is_started(&self.pod, container) && self.state.course <= Course::Ending
    }

    /// The conditions as shown.
    pub(super) fn shown_conditions(&self) -> Vec<PodCondition> {
        let shown = |condition: &Condition| PodCondition {
            type_: condition.kind.word().to_owned(),
            status: if condition.holds { "True" } else { "False" }.to_owned(),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            last_transition_time: rfc3339(condition.since),
            observed_generation: self
                .pod
                .metadata
                .generation
                .filter(|_| condition.kind != Kind::AllContainersRestarting),
            ..PodCondition::default()
        };
        let pending = self.state.allocation.pending.iter().map(Pending::condition);
        let resize = pending.chain(self.state.resize.iter().map(Resize::condition));
        resize.chain(self.state.published.conditions.iter().map(shown)).collect()
    }
}
