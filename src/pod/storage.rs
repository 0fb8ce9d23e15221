//! Local storage (lifecycle 9.9): how much of it a pod may use, and that it is evicted when it uses more. The owner of a
//! machine measures, about every 10 s, what [`Scope::of`] its pod names, and tells it; here is only what follows.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodSpec, Volume};
use serde::{Deserialize, Serialize};

use super::because;
use super::events::EventType::Warning;
use super::machine::{Course, Failure, Machine, Turn};
use super::rules::{self, Rule};
use crate::manifest::quantity::{Format, Quantity};
use crate::manifest::resources::{Kind, aggregate, list, worth};

/// The resource's name.
const RESOURCE: &str = "ephemeral-storage";
/// From this priority on a pod is critical (`pkg/apis/scheduling/types.go`: `SystemCriticalPriority`).
const CRITICAL: i32 = 2_000_000_000;

/// What of a pod's local storage is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Bytes of each emptyDir on disk, by the volume's name.
    pub volumes: BTreeMap<String, u64>,
    /// Of each container.
    pub containers: BTreeMap<String, ContainerUsage>,
}

/// What of its local storage a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerUsage {
    /// Bytes that it has written into its root file system.
    pub layer: u64,
    /// Bytes of its logs.
    pub logs: u64,
}

impl ContainerUsage {
    fn total(self) -> u64 {
        self.layer.saturating_add(self.logs)
    }
}

/// What is to be measured of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The names of emptyDirs on disk.
    pub volumes: Vec<String>,
    /// Containers count, too.
    pub containers: bool,
}

impl Scope {
    /// That of a pod, until it ends; nothing where nothing is limited, or the pod is never evicted. What is in it never changes
    /// in a pod: volumes, limits of storage, and priority are as they were admitted.
    pub fn of(pod: &Pod) -> Option<Scope> {
        let spec = pod.spec.as_ref().filter(|_| !is_critical(pod))?;
        let containers = pod_limit(spec).is_some();
        let counts = |volume: &&Volume| is_on_disk(volume) && (containers || size_limit(volume).is_some());
        let volumes: Vec<String> = spec.volumes.iter().flatten().filter(counts).map(|one| one.name.clone()).collect();
        (containers || !volumes.is_empty()).then_some(Scope { volumes, containers })
    }
}

/// A limit that is exceeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exceeded {
    /// Which.
    limit: Limit,
    /// `status.message`, in the kubelet's words.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Limit {
    Volume,
    Pod,
    Container,
}

impl Exceeded {
    /// The rule by which the pod is evicted.
    pub fn rule(&self) -> &'static Rule {
        match self.limit {
            Limit::Volume => rules::R_9_9_A,
            Limit::Pod => rules::R_9_9_B,
            Limit::Container => rules::R_9_9_C,
        }
    }
}

/// Whether a volume is an emptyDir that lies on the machine's disk: one in memory has its size from the beginning.
pub fn is_on_disk(volume: &Volume) -> bool {
    volume.empty_dir.as_ref().is_some_and(|empty| empty.medium.as_deref().unwrap_or_default().is_empty())
}

/// What an emptyDir may hold; nothing where that is not limited. In memory the file system itself is that large.
fn size_limit(volume: &Volume) -> Option<Quantity> {
    let limit = worth(volume.empty_dir.as_ref().filter(|_| is_on_disk(volume))?.size_limit.as_ref()?);
    Some(limit).filter(|limit| !limit.is_zero() && !limit.is_negative())
}

/// What each regular container may use, in the order of the spec.
fn container_limits(spec: &PodSpec) -> impl Iterator<Item = (&str, Quantity)> {
    spec.containers.iter().filter_map(|container| {
        let limit = worth(list(container.resources.as_ref(), Kind::Limits)?.get(RESOURCE)?);
        Some((container.name.as_str(), limit)).filter(|(_, limit)| !limit.is_zero())
    })
}

/// What the pod's containers may use together with its volumes; nothing where none of them is limited.
fn pod_limit(spec: &PodSpec) -> Option<Quantity> {
    aggregate(spec, Kind::Limits).remove(RESOURCE)
}

fn bytes(number: u64) -> Quantity {
    Quantity::from_value(i64::try_from(number).unwrap_or(i64::MAX), Format::BinarySi)
}

/// The first limit that is exceeded: of a volume, of the pod, of a container.
fn exceeded(pod: &Pod, usage: &Usage) -> Option<Exceeded> {
    let spec = pod.spec.as_ref()?;
    for volume in spec.volumes.iter().flatten() {
        let (Some(limit), Some(used)) = (size_limit(volume), usage.volumes.get(&volume.name)) else { continue };
        if bytes(*used) > limit {
            let message = format!("Usage of EmptyDir volume \"{}\" exceeds the limit \"{limit}\". ", volume.name);
            return Some(Exceeded { limit: Limit::Volume, message });
        }
    }
    let of_containers = usage.containers.values().map(|container| container.total());
    let total = usage.volumes.values().copied().chain(of_containers).fold(0, u64::saturating_add);
    if let Some(limit) = pod_limit(spec).filter(|limit| bytes(total) > *limit) {
        let message = format!("Pod ephemeral local storage usage exceeds the total limit of containers {limit}. ");
        return Some(Exceeded { limit: Limit::Pod, message });
    }
    let (name, limit) = container_limits(spec)
        .find(|(name, limit)| usage.containers.get(*name).is_some_and(|container| bytes(container.total()) > *limit))?;
    let message = format!("Container {name} exceeded its local ephemeral storage limit \"{limit}\". ");
    Some(Exceeded { limit: Limit::Container, message })
}

fn is_critical(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.priority).is_some_and(|priority| priority >= CRITICAL)
}

/// What follows from a measurement: nothing once the pod ends.
fn too_much(pod: &Pod, course: Course, usage: &Usage) -> Option<Exceeded> {
    if course >= Course::Ending || is_critical(pod) { None } else { exceeded(pod, usage) }
}

impl Machine {
    /// Whether something follows from what was measured.
    pub(super) fn is_too_much(&self, usage: &Usage) -> bool {
        too_much(&self.pod, self.state.course, usage).is_some()
    }
}

impl Turn<'_> {
    /// The pod uses so much. If that is more than it may it has failed: what runs is stopped, with a second's grace.
    pub(super) fn storage_measured(&mut self, usage: &Usage) {
        let Some(exceeded) = too_much(self.pod, self.state.course, usage) else { return };
        let (rule, message) = (exceeded.rule(), exceeded.message.clone());
        let failure = Failure::Evicted(exceeded);
        self.event(None, Warning, failure.reason(), message.clone());
        self.note("", rule, because! {"message": message.trim_end()});
        self.state.failure = Some(failure);
        self.state.course = Course::Ending;
        self.state.round.clear();
        let end = self.now().after(self.numbers().eviction_grace());
        self.shorten_stops(end);
    }
}
