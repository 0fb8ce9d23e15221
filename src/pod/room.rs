//! Whether the machine has room for a resize (lifecycle 9.7): what it has of cpu and memory, what other pods hold of it, and a
//! resize that has to wait, with the amounts that hold meanwhile. The owner of a machine measures, and tells it before another
//! spec and, while [`Machine::awaits_room`], from time to time; here is only what follows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodCondition, ResourceRequirements};
use serde::{Deserialize, Serialize};

use super::amounts;
use super::because;
use super::events::EventType::Warning;
use super::machine::{Course, Machine, State, Turn};
use super::resize::is_resized;
use super::rules;
use super::status::rfc3339;
use super::time::WallTime;
use crate::manifest::containers::lasting;

/// What the machine has, and what pods besides this one hold of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// In thousandths of a cpu.
    pub cpu: Share,
    /// In bytes.
    pub memory: Share,
}

/// Of one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// All of it.
    pub capacity: u64,
    /// What the other pods hold.
    pub used: u64,
}

/// The resource for which there is not enough.
#[derive(Debug, PartialEq, Eq)]
struct Lack {
    resource: &'static str,
    requested: u64,
    share: Share,
}

impl Lack {
    /// In the words of `InsufficientResourceError` (`pkg/kubelet/lifecycle/predicate.go`).
    fn message(&self) -> String {
        let Lack { resource, requested, share: Share { capacity, used } } = self;
        format!(
            "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
        )
    }
}

impl Room {
    /// What is not there for a pod that is to ask for so much more than it holds. What shrinks, or stays, needs no room: podlet
    /// starts pods on a machine that is full, too.
    fn lack(&self, held: &Pod, wanted: &Pod) -> Option<Lack> {
        let (held, wanted) = (amounts::requested(held), amounts::requested(wanted));
        let lack = |resource, share: Share, held: u64, requested: u64| {
            let left = share.capacity.saturating_sub(share.used);
            (requested > held && requested > left).then_some(Lack { resource, requested, share })
        };
        lack("cpu", self.cpu, held.cpu, wanted.cpu).or_else(|| lack("memory", self.memory, held.memory, wanted.memory))
    }
}

/// What is known of the room, and what waits for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// As it was measured last.
    room: Option<Room>,
    /// A resize.
    pub pending: Option<Pending>,
}

impl Allocation {
    /// Whether nobody has asked yet.
    pub fn is_untouched(&self) -> bool {
        *self == Allocation::default()
    }
}

/// A resize that waits for room: the condition PodResizePending, and what holds meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// Which spec it comes from; `observedGeneration`.
    generation: i64,
    /// `lastTransitionTime`.
    since: WallTime,
    /// `lastProbeTime`.
    probed: WallTime,
    /// What is not there.
    message: String,
    /// `spec.resources` as it holds.
    of_pod: Option<ResourceRequirements>,
    /// Those of the containers, by name.
    of_containers: BTreeMap<String, Option<ResourceRequirements>>,
}

impl Pending {
    /// As shown.
    pub fn condition(&self) -> PodCondition {
        PodCondition {
            type_: "PodResizePending".to_owned(),
            status: "True".to_owned(),
            reason: Some("Deferred".to_owned()),
            message: Some(self.message.clone()),
            last_probe_time: rfc3339(self.probed),
            last_transition_time: rfc3339(self.since),
            observed_generation: Some(self.generation),
        }
    }

    /// The pod with the amounts that hold.
    fn holds_in(&self, pod: &Pod) -> Pod {
        let mut pod = pod.clone();
        let Some(spec) = &mut pod.spec else { return pod };
        spec.resources.clone_from(&self.of_pod);
        for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
            if let Some(own) = self.of_containers.get(&container.name) {
                container.resources.clone_from(own);
            }
        }
        pod
    }
}

impl State {
    /// The pod with the cpu and memory that it was given: those of its spec, unless these wait for room.
    pub fn allocated<'p>(&self, pod: &'p Pod) -> Cow<'p, Pod> {
        self.allocation.pending.as_ref().map_or(Cow::Borrowed(pod), |pending| Cow::Owned(pending.holds_in(pod)))
    }
}

impl Machine {
    /// The pod with the cpu and memory that it was given: what its containers are started with, and its cgroups hold.
    pub fn allocated(&self) -> Cow<'_, Pod> {
        self.state.allocated(&self.pod)
    }

    /// Whether a resize waits for room.
    pub fn awaits_room(&self) -> bool {
        self.state.allocation.pending.is_some() && self.state.course < Course::Ending
    }

    /// Whether another spec is a resize, for which there must be room.
    pub fn asks_for_room(&self, spec: &Pod) -> bool {
        is_resized(&self.allocated(), spec)
    }

    /// Whether it is told something of the room that it does not know.
    pub(super) fn is_other_room(&self, room: &Room) -> bool {
        self.state.allocation.room.as_ref() != Some(room)
    }
}

impl Turn<'_> {
    /// The pod with the cpu and memory that it was given.
    pub(super) fn allocated(&self) -> Cow<'_, Pod> {
        self.state.allocated(self.pod)
    }

    /// There is so much room now: what waits for it may find it.
    pub(super) fn room_measured(&mut self, room: Room) {
        self.state.allocation.room = Some(room);
        if self.state.allocation.pending.is_some() && self.state.course < Course::Ending {
            let held = self.allocated().into_owned();
            self.resize(&held);
        }
    }

    /// The spec asks for other cpu and memory than the pod holds: it is given them if there is room, else it waits.
    pub(super) fn resize(&mut self, held: &Pod) {
        if !is_resized(held, self.pod) {
            self.state.allocation.pending = None;
            return;
        }
        let lack = self.state.allocation.room.and_then(|room| room.lack(held, self.pod));
        let Some(lack) = lack else {
            self.state.allocation.pending = None;
            return self.begin_resize(held);
        };
        let (now, generation) = (self.state.clock.wall, self.pod.metadata.generation.unwrap_or(1));
        let message = lack.message();
        let before = self.state.allocation.pending.take();
        // A kubelet tells of it once for each spec.
        let told = before.as_ref().is_some_and(|before| before.generation == generation);
        let since = before.map_or(now, |before| before.since);
        let of_containers = lasting(held).map(|one| (one.name.clone(), one.resources.clone()));
        self.state.allocation.pending = Some(Pending {
            generation,
            since,
            probed: now,
            message: message.clone(),
            of_pod: held.spec.as_ref().and_then(|spec| spec.resources.clone()),
            of_containers: of_containers.collect(),
        });
        let Lack { resource, requested, share } = lack;
        self.note(
            "",
            rules::R_9_7_D,
            because! {"resource": resource, "requested": requested, "used": share.used, "capacity": share.capacity},
        );
        if !told {
            let summary = self.resize_summary(self.pod, generation, Some(&message));
            self.event(None, Warning, "ResizeDeferred", format!("Pod resize OutOf{resource}: {summary}"));
        }
    }
}
