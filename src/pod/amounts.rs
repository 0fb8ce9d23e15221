//! The amounts of cpu, memory and so on that a pod's status shows: of the pod, and of a container that runs. `status` asks.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::phase::Phase;
use crate::manifest::quantity::{Format, Quantity};
use crate::manifest::resources::{Kind, ResourceList, aggregate, list, worth};

/// `status.allocatedResources`: what the pod asks for in all. None when it asks for nothing.
pub fn allocated(spec: &PodSpec) -> Option<BTreeMap<String, Written>> {
    written(effective(spec, Kind::Requests))
}

/// What a pod asks for in all of what the machine has: thousandths of a cpu, bytes of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requested {
    /// Of a cpu.
    pub cpu: u64,
    /// In bytes.
    pub memory: u64,
}

/// See [`Requested`].
pub fn requested(pod: &Pod) -> Requested {
    let Some(spec) = &pod.spec else { return Requested::default() };
    let requests = effective(spec, Kind::Requests);
    let cpu = requests.get("cpu").map_or(0, Quantity::milli_value);
    let memory = requests.get("memory").map_or(0, Quantity::value);
    Requested { cpu: u64::try_from(cpu).unwrap_or(0), memory: u64::try_from(memory).unwrap_or(0) }
}

/// `status.resources`: what is asked for and allowed in all. Of a pod that runs a kubelet shows what its cgroup says, and that
/// has a limit only where every container has one.
pub fn of_pod(spec: &PodSpec, phase: Phase) -> ResourceRequirements {
    let mut limits = effective(spec, Kind::Limits);
    if phase == Phase::Running {
        let everywhere = |name: &str| {
            let has = |resources: Option<&ResourceRequirements>| {
                list(resources, Kind::Limits).is_some_and(|limits| limits.contains_key(name))
            };
            let mut containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
            has(spec.resources.as_ref()) || containers.all(|container| has(container.resources.as_ref()))
        };
        limits.retain(|name, _| everywhere(name));
    }
    ResourceRequirements {
        limits: written(limits),
        requests: allocated(spec),
        ..spec.resources.clone().unwrap_or_default()
    }
}

/// The sums over the containers and the overhead, each replaced by the pod's own where it has one.
fn effective(spec: &PodSpec, kind: Kind) -> ResourceList {
    let mut sums = aggregate(spec, kind);
    for (name, own) in list(spec.resources.as_ref(), kind).into_iter().flatten() {
        sums.insert(name.clone(), worth(own));
    }
    for (name, overhead) in spec.overhead.iter().flatten() {
        // A limit that nobody has is not made by what the sandbox takes.
        if let Some(sum) = sums.get_mut(name) {
            *sum = sum.add(&worth(overhead));
        } else if kind == Kind::Requests {
            sums.insert(name.clone(), worth(overhead));
        }
    }
    sums
}

fn written(list: ResourceList) -> Option<BTreeMap<String, Written>> {
    let written: BTreeMap<_, _> = list.into_iter().map(|(name, amount)| (name, Written(amount.to_string()))).collect();
    (!written.is_empty()).then_some(written)
}

/// Of a container that runs, a runtime reports the memory limit as bytes, and a kubelet writes those in powers of 1024:
/// `100M` becomes `100000000`, `1024Ki` becomes `1Mi`.
pub fn as_runtime_reports(resources: &mut ResourceRequirements) {
    if let Some(memory) = resources.limits.as_mut().and_then(|limits| limits.get_mut("memory")) {
        memory.0 = Quantity::from_value(worth(memory).value(), Format::BinarySi).to_string();
    }
}
