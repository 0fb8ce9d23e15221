//! Resource lists: sums over the containers of a pod, what kind of resource a name means, and the QoS class.
//!
//! Defaulting, validation and the plan use it; names and rules are those of `pkg/apis/core/helper`,
//! `component-helpers/resource` and `core/v1/helper/qos` of Kubernetes 1.36. It reads pods and changes nothing.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::quantity::Quantity;
use super::validate::names::qualified_name;

/// Amounts by resource name.
pub type ResourceList = BTreeMap<String, Quantity>;

/// Which of the two lists of a container is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `requests`.
    Requests,
    /// `limits`.
    Limits,
}

/// What a quantity in a decoded object is worth. Its form was checked when it was decoded; a broken one counts nothing.
pub fn worth(written: &Written) -> Quantity {
    Quantity::parse(&written.0).unwrap_or(Quantity::ZERO)
}

/// One list of a container.
pub fn list(resources: Option<&ResourceRequirements>, kind: Kind) -> Option<&BTreeMap<String, Written>> {
    let resources = resources?;
    match kind {
        Kind::Requests => resources.requests.as_ref(),
        Kind::Limits => resources.limits.as_ref(),
    }
}

/// What a pod's containers take at most at one time: the containers with the sidecars, or an init container with the
/// sidecars started before it, whichever is more.
pub fn aggregate(spec: &PodSpec, kind: Kind) -> ResourceList {
    let amounts = |container: &Container| -> ResourceList {
        list(container.resources.as_ref(), kind).into_iter().flatten().map(|(n, q)| (n.clone(), worth(q))).collect()
    };
    let mut total = ResourceList::new();
    for container in &spec.containers {
        add_list(&mut total, &amounts(container));
    }
    let (mut sidecars, mut peak) = (ResourceList::new(), ResourceList::new());
    for container in spec.init_containers.iter().flatten() {
        let own = amounts(container);
        if container.restart_policy.as_deref() == Some("Always") {
            add_list(&mut total, &own);
            add_list(&mut sidecars, &own);
            raise_list(&mut peak, &sidecars);
        } else {
            let mut with_sidecars = own;
            add_list(&mut with_sidecars, &sidecars);
            raise_list(&mut peak, &with_sidecars);
        }
    }
    raise_list(&mut total, &peak);
    total
}

fn add_list(list: &mut ResourceList, more: &ResourceList) {
    for (name, quantity) in more {
        let sum = list.get(name).map_or_else(|| quantity.clone(), |have| have.add(quantity));
        list.insert(name.clone(), sum);
    }
}

fn raise_list(list: &mut ResourceList, other: &ResourceList) {
    for (name, quantity) in other {
        if list.get(name).is_none_or(|have| quantity > have) {
            list.insert(name.clone(), quantity.clone());
        }
    }
}

/// The pod's quality of service class: `Guaranteed`, `Burstable` or `BestEffort`.
pub fn qos_class(spec: &PodSpec) -> &'static str {
    let (mut requests, mut limits) = (ResourceList::new(), ResourceList::new());
    let mut guaranteed = true;
    let mut count = |resources: Option<&ResourceRequirements>| {
        add_list(&mut requests, &compute_resources(resources, Kind::Requests));
        let limited = compute_resources(resources, Kind::Limits);
        guaranteed &= limited.len() == 2;
        add_list(&mut limits, &limited);
    };
    match &spec.resources {
        // Only limits that are there are asked to be complete.
        Some(level) if level.limits.is_none() => {
            add_list(&mut requests, &compute_resources(Some(level), Kind::Requests));
        }
        Some(level) => count(Some(level)),
        None => {
            for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
                count(container.resources.as_ref());
            }
        }
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if guaranteed && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// cpu and memory, where more than nothing.
fn compute_resources(resources: Option<&ResourceRequirements>, kind: Kind) -> ResourceList {
    list(resources, kind)
        .into_iter()
        .flatten()
        .filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory"))
        .map(|(name, quantity)| (name.clone(), worth(quantity)))
        .filter(|(_, quantity)| !quantity.is_zero() && !quantity.is_negative())
        .collect()
}

/// `hugepages-2Mi` and its like.
pub fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// What `spec.resources` may hold.
pub fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || is_huge_page(name)
}

/// Kubernetes' own resources, as against those of devices (`example.com/gpu`).
pub fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// A device's resource, well named.
pub fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && qualified_name(&format!("requests.{name}")).is_empty()
}

/// Whether requests may be less than limits.
pub fn overcommit_allowed(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// Names without a domain that mean something to any part of Kubernetes.
pub fn is_standard(name: &str) -> bool {
    const NAMES: [&str; 19] = [
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "storage",
        "requests.storage",
        "services.nodeports",
    ];
    NAMES.contains(&name)
        || name == "services.loadbalancers"
        || is_huge_page(name)
        || name.starts_with("requests.hugepages-")
}

/// Names without a domain that a container may ask for.
pub fn is_standard_for_containers(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || is_huge_page(name)
}

/// Things that are counted whole.
pub fn is_integer(name: &str) -> bool {
    matches!(
        name,
        "pods"
            | "resourcequotas"
            | "services"
            | "replicationcontrollers"
            | "secrets"
            | "configmaps"
            | "persistentvolumeclaims"
            | "services.nodeports"
            | "services.loadbalancers"
    ) || is_extended(name)
}
