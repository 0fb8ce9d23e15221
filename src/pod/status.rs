//! The `v1.Pod` as a user sees it: the spec as applied and the status computed from the state (lifecycle 1 to 3). What the
//! control socket, `get`, `describe` and the kept state show comes from here.

use std::borrow::Cow;

use k8s_openapi::api::core::v1::{
    Container as ContainerSpec, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, ContainerUser, HostIP, LinuxContainerUser, Pod, PodIP, PodStatus, ResourceRequirements,
    VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::amounts;
use super::container::{Container, EndReason, Ended, HELD, Kind, Record, RecordState};
use super::facts::NOT_LOCATED;
use super::machine::{Course, Machine};
use super::message::share;
use super::time::WallTime;
use crate::manifest::containers::find_container;
use crate::manifest::resources::qos_class;

/// A time of day as Kubernetes writes it: whole seconds, UTC.
pub(super) fn rfc3339(wall: WallTime) -> Option<Time> {
    Timestamp::from_second(wall.0.div_euclid(1_000_000_000)).ok().map(Time)
}

/// What a container shows as its state.
enum Shown<'a> {
    Waiting {
        reason: &'a str,
        message: Cow<'a, str>,
    },
    Running {
        started: WallTime,
    },
    Terminated(&'a Ended),
    /// It never ended, and now it cannot be found (lifecycle 1.3).
    NotLocated,
}

impl Machine {
    /// The `v1.Pod` as published: the spec as applied and the status computed from the state.
    pub fn pod(&self) -> Pod {
        let mut pod = self.pod.clone();
        if let Some(deletion) = &self.state.deletion {
            pod.metadata.deletion_timestamp = rfc3339(deletion.timestamp);
            pod.metadata.deletion_grace_period_seconds = Some(deletion.grace_seconds);
        }
        pod.status = Some(self.status());
        pod
    }

    /// The pod's addresses. One in the machine's network has the machine's, from the beginning.
    fn addresses(&self) -> Vec<String> {
        let on_host = self.pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true);
        if on_host { self.state.settings.host_ip.iter().cloned().collect() } else { self.state.sandbox.ips.clone() }
    }

    /// `status.podIP`.
    pub fn address(&self) -> Option<String> {
        self.addresses().into_iter().next()
    }

    /// `status` alone, for who needs no more of the pod.
    pub fn status(&self) -> PodStatus {
        let of_kind = |wanted: fn(Kind) -> bool| {
            let containers = self.state.containers.iter().filter(|container| wanted(container.kind));
            containers.map(|container| self.container_status(container)).collect::<Vec<_>>()
        };
        let mut containers = of_kind(|kind| kind.is_regular());
        let mut ephemeral = of_kind(|kind| kind == Kind::Ephemeral);
        // Those of init containers stay in the spec's order.
        let init = of_kind(Kind::is_init);
        for list in [&mut containers, &mut ephemeral] {
            list.sort_by(|one, other| one.name.cmp(&other.name));
        }
        let host_ip = self.state.settings.host_ip.clone();
        let spec = self.pod.spec.as_ref();
        let given = self.allocated();
        let allocated = given.spec.as_ref();
        let ips = self.addresses();
        // They are told together with the phase.
        let failure = self.state.failure.as_ref().filter(|_| self.state.published.phase.is_terminal());
        PodStatus {
            phase: Some(self.state.published.phase.word().to_owned()),
            conditions: Some(self.shown_conditions()),
            reason: failure.map(|failure| failure.reason().to_owned()),
            message: failure.map(|failure| failure.message().to_owned()),
            container_statuses: Some(containers),
            init_container_statuses: (!init.is_empty()).then_some(init),
            ephemeral_container_statuses: (!ephemeral.is_empty()).then_some(ephemeral),
            start_time: rfc3339(self.state.started),
            qos_class: spec.map(|spec| qos_class(spec).to_owned()),
            allocated_resources: allocated.and_then(amounts::allocated),
            resources: allocated.map(|spec| amounts::of_pod(spec, self.state.published.phase)),
            observed_generation: self.pod.metadata.generation,
            host_ips: host_ip.clone().map(|ip| vec![HostIP { ip }]),
            host_ip,
            pod_ip: ips.first().cloned(),
            pod_ips: (!ips.is_empty()).then(|| ips.into_iter().map(|ip| PodIP { ip }).collect()),
            ..PodStatus::default()
        }
    }

    /// Whether a container that has ended shows why it does not run instead of how it ended: one that is to be started
    /// again, once a start was refused or failed; never in a deleted pod (lifecycle 3.2, 8.3).
    pub(super) fn is_shown_waiting(&self, container: &Container) -> bool {
        if self.holder_of(container).is_some() {
            return container.exited().is_some();
        }
        let refused = container.exited().is_some() && container.waiting.is_some();
        refused && self.state.deletion.is_none() && super::decide::wants_start(&self.pod, container)
    }

    /// The ephemeral container that keeps this one from being started, as long as the pod goes on.
    fn holder_of(&self, container: &Container) -> Option<&Container> {
        self.state.holder_of(container).filter(|_| self.state.course < Course::Ending)
    }

    /// `state` and `lastState`.
    fn states<'a>(&self, container: &'a Container) -> (Shown<'a>, Option<&'a Ended>) {
        // Of a deleted pod's container it is not asked any more why it was not started (3.2).
        let waiting = || match container.waiting.as_ref().filter(|_| self.state.deletion.is_none()) {
            _ if let Some(holder) = self.holder_of(container) => Shown::Waiting {
                reason: HELD,
                message: format!("held by the ephemeral container {}; it may start when that has ended", holder.name)
                    .into(),
            },
            Some(why) => Shown::Waiting { reason: why.reason.word(), message: (&*why.message).into() },
            None if self.state.has_init() => Shown::Waiting { reason: "PodInitializing", message: "".into() },
            None => Shown::Waiting { reason: "ContainerCreating", message: "".into() },
        };
        let last = container.last.as_ref();
        let (state, last) = match container.record.as_ref().map(|record| &record.state) {
            None => (waiting(), last),
            // As it was before the start, from which a kubelet has not come back (lifecycle 7).
            Some(RecordState::Running { .. }) if container.start_hook.is_some() => match last {
                Some(ended) if container.waiting.is_none() => (Shown::Terminated(ended), None),
                last => (waiting(), last),
            },
            Some(RecordState::Running { started, .. }) => (Shown::Running { started: started.wall }, last),
            Some(RecordState::Exited(ended)) if self.is_shown_waiting(container) => (waiting(), Some(ended)),
            Some(RecordState::Exited(ended)) => (Shown::Terminated(ended), last),
        };
        match state {
            Shown::Waiting { .. } | Shown::Running { .. } if self.is_missing_at_the_end(container) => {
                (Shown::NotLocated, last)
            }
            state => (state, last),
        }
    }

    /// Whether it should have ended by now (lifecycle 1.3): after the tear-down a regular container, if the pod ever came to
    /// those; an init container, up to the last one of which there is a trace, and the first in any case.
    fn is_missing_at_the_end(&self, container: &Container) -> bool {
        if self.final_course() < Course::TornDown {
            return false;
        }
        let containers = &self.state.containers;
        if container.kind == Kind::Ephemeral {
            return false;
        }
        if container.kind.is_regular() {
            let done = |last: &Container| match last.kind {
                Kind::Init => last.exited().is_some_and(|ended| ended.exit_code == 0),
                _ => super::probe::is_started(&self.pod, last),
            };
            let last = containers.iter().rfind(|container| container.kind.is_init());
            return last.is_none_or(done) || self.state.regular().any(|other| other.record.is_some());
        }
        let last = containers.iter().rposition(|one| one.kind.is_init() && one.record.is_some()).unwrap_or(0);
        containers.iter().take(last + 1).any(|one| one.name == container.name)
    }

    fn container_status(&self, container: &Container) -> ContainerStatus {
        let (state, last) = self.states(container);
        let allocated = self.allocated();
        let spec = find_container(&allocated, &container.name);
        let spec_image = spec.as_ref().and_then(|spec| spec.image.clone()).unwrap_or_default();
        let status = ContainerStatus {
            name: container.name.clone(),
            image: spec_image,
            volume_mounts: spec.as_ref().and_then(|spec| volume_mounts(spec)),
            restart_count: i32::try_from(container.shown_restart_count()).unwrap_or(i32::MAX),
            ready: self.is_ready(container),
            // A kubelet says nothing of it where there is nothing to wait for.
            started: (container.kind != Kind::Ephemeral).then(|| self.is_started(container)),
            state: Some(self.shown_state(&state)),
            last_state: Some(last.map_or_else(ContainerState::default, |ended| self.terminated(ended))),
            ..ContainerStatus::default()
        };
        match (shown_record(container), spec) {
            (Some(record), Some(spec)) => with_record(status, &record, &spec, container.resized_from.as_ref()),
            _ => status,
        }
    }

    fn shown_state(&self, state: &Shown<'_>) -> ContainerState {
        match state {
            Shown::Waiting { reason, message } => ContainerState {
                waiting: Some(ContainerStateWaiting {
                    reason: Some((*reason).to_owned()),
                    message: (!message.is_empty()).then(|| message.to_string()),
                }),
                ..ContainerState::default()
            },
            Shown::Running { started } => ContainerState {
                running: Some(ContainerStateRunning { started_at: rfc3339(*started) }),
                ..ContainerState::default()
            },
            Shown::Terminated(ended) => self.terminated(ended),
            Shown::NotLocated => ContainerState {
                terminated: Some(ContainerStateTerminated {
                    exit_code: 137,
                    reason: Some("ContainerStatusUnknown".to_owned()),
                    message: Some(NOT_LOCATED.to_owned()),
                    ..ContainerStateTerminated::default()
                }),
                ..ContainerState::default()
            },
        }
    }

    fn terminated(&self, ended: &Ended) -> ContainerState {
        let removed = ended.reason == EndReason::RestartingAllContainers;
        let message = ended
            .message
            .as_deref()
            .map(|message| share(message, self.state.containers.len(), &self.state.settings.numbers));
        ContainerState {
            terminated: Some(ContainerStateTerminated {
                exit_code: ended.exit_code,
                reason: Some(ended.reason.word().to_owned()),
                message: message.filter(|message| !message.is_empty()).map(str::to_owned),
                // A program that never ran shows the beginning of time, as a kubelet's does.
                started_at: rfc3339(ended.started.unwrap_or_default()).filter(|_| !removed),
                finished_at: rfc3339(ended.finished.wall).filter(|_| !removed),
                container_id: container_id(&ended.id).filter(|_| !removed),
                ..ContainerStateTerminated::default()
            }),
            ..ContainerState::default()
        }
    }
}

/// The record that is shown: while a postStart hook is not over, the one before.
fn shown_record(container: &Container) -> Option<Cow<'_, Record>> {
    let record = container.record.as_ref()?;
    if container.start_hook.is_none() {
        return Some(Cow::Borrowed(record));
    }
    let ended = container.last.clone()?;
    Some(Cow::Owned(Record { id: ended.id.clone(), state: RecordState::Exited(ended), ..record.clone() }))
}

/// `podlet://<64 hexadecimal digits>`.
fn container_id(id: &str) -> Option<String> {
    (!id.is_empty()).then(|| format!("podlet://{id}"))
}

/// What only a container with a record shows.
fn with_record(
    status: ContainerStatus,
    record: &Record,
    spec: &ContainerSpec,
    before: Option<&ResourceRequirements>,
) -> ContainerStatus {
    let allotted = spec.resources.clone().unwrap_or_default();
    let allocated = allotted.requests.clone().filter(|requests| !requests.is_empty());
    let mut resources = before.cloned().unwrap_or(allotted);
    if matches!(record.state, RecordState::Running { .. }) {
        amounts::as_runtime_reports(&mut resources);
    }
    let resolved = &record.image.image;
    ContainerStatus {
        image: if resolved.is_empty() { status.image.clone() } else { resolved.clone() },
        image_id: record.image.image_id.clone(),
        container_id: container_id(&record.id),
        allocated_resources: allocated,
        resources: Some(resources),
        user: record.user.as_ref().map(|user| ContainerUser {
            linux: Some(LinuxContainerUser {
                uid: user.uid,
                gid: user.gid,
                supplemental_groups: Some(user.supplemental_groups.clone()),
            }),
        }),
        ..status
    }
}

fn volume_mounts(spec: &ContainerSpec) -> Option<Vec<VolumeMountStatus>> {
    let mounts = spec.volume_mounts.as_ref().filter(|mounts| !mounts.is_empty())?;
    let shown = |mount: &k8s_openapi::api::core::v1::VolumeMount| {
        let read_only = mount.read_only.filter(|read_only| *read_only);
        VolumeMountStatus {
            name: mount.name.clone(),
            mount_path: mount.mount_path.clone(),
            read_only,
            // A kubelet states for each read-only mount whether the mounts beneath it are too; Disabled unless asked for.
            recursive_read_only: read_only
                .map(|_| mount.recursive_read_only.clone().unwrap_or_else(|| "Disabled".to_owned())),
            ..VolumeMountStatus::default()
        }
    };
    Some(mounts.iter().map(shown).collect())
}
