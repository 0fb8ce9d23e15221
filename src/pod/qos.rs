//! The QoS class of a pod from its requests and limits of cpu and memory (lifecycle 5.3; `pkg/apis/core/v1/helper/qos`).
//! `status` shows it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Guaranteed when each container limits cpu and memory and requests just that, BestEffort when none asks for either,
/// else Burstable. Resources of the whole pod, where given, decide alone.
pub(super) fn qos_class(pod: &Pod) -> &'static str {
    let Some(spec) = &pod.spec else { return "BestEffort" };
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let all: Vec<Option<&ResourceRequirements>> = match &spec.resources {
        Some(whole) if asks(Some(whole)) => vec![Some(whole)],
        _ => containers.map(|container| container.resources.as_ref()).collect(),
    };
    if !all.iter().any(|resources| asks(*resources)) {
        "BestEffort"
    } else if all.iter().all(|resources| resources.is_some_and(guaranteed)) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

fn amount(list: &Option<BTreeMap<String, Quantity>>, name: &str) -> Option<f64> {
    list.as_ref().and_then(|list| list.get(name)).and_then(|quantity| value(&quantity.0)).filter(|value| *value > 0.0)
}

fn asks(resources: Option<&ResourceRequirements>) -> bool {
    let asked = |resources: &ResourceRequirements, name: &str| {
        amount(&resources.requests, name).or(amount(&resources.limits, name)).is_some()
    };
    resources.is_some_and(|resources| asked(resources, "cpu") || asked(resources, "memory"))
}

fn guaranteed(resources: &ResourceRequirements) -> bool {
    ["cpu", "memory"].iter().all(|name| {
        let limit = amount(&resources.limits, name);
        limit.is_some() && amount(&resources.requests, name).or(limit) == limit
    })
}

/// A quantity's value; exact for what occurs (`250m`, `64Mi`), since equal amounts are scaled alike.
fn value(quantity: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 16] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("", 1.0),
    ];
    // `1E3` is a thousand, `1E` is an exa: the number is tried first.
    if let Ok(number) = quantity.parse::<f64>() {
        return Some(number);
    }
    SUFFIXES.iter().find_map(|(suffix, scale)| Some(quantity.strip_suffix(suffix)?.parse::<f64>().ok()? * scale))
}
