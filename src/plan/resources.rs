//! Requests and limits as the kernel's numbers. The formulas are the kubelet's and, for container weights, those of
//! opencontainers/cgroups.

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};

use crate::manifest::quantity::Quantity;
use serde::Serialize;

/// Period of the CPU quota in microseconds.
pub const CPU_PERIOD: u64 = 100_000;

/// What a cgroup is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// `cpu.shares` of cgroup v1, from the request.
    pub cpu_shares: u64,
    /// Microseconds in each [`CPU_PERIOD`]; none without a limit.
    pub cpu_quota: Option<u64>,
    /// Bytes; none without a limit.
    pub memory: Option<u64>,
    /// Processes and threads; none without a limit. Of pods only, and no matter of the manifest's (`podPidsLimit`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
}

impl Limits {
    /// `cpu.weight` of cgroup v2: the curve of newer runtimes, at which 1 CPU has the kernel's default of 100.
    pub fn cpu_weight(&self) -> u64 {
        match self.cpu_shares {
            0..=2 => 1,
            262_144.. => 10_000,
            shares => {
                // At most 2^18, so the conversion is exact.
                let l = f64::from(u32::try_from(shares).unwrap_or(u32::MAX)).log2();
                let weight = 10f64.powf((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0).ceil();
                weight.clamp(1.0, 10_000.0) as u64
            }
        }
    }
}

/// `cpu.shares` for milli-CPU.
pub fn shares(milli: i64) -> u64 {
    u64::try_from(milli).unwrap_or(0).saturating_mul(1024).checked_div(1000).unwrap_or(0).clamp(2, 262_144)
}

/// CPU quota in microseconds for milli-CPU; less than 10m counts as 10m.
pub fn quota(milli: i64) -> Option<u64> {
    let milli = u64::try_from(milli).ok().filter(|m| *m != 0)?;
    Some((milli.saturating_mul(CPU_PERIOD) / 1000).max(1000))
}

/// One resource of a container; the request stands in for nothing here (defaulting copies limits to requests).
fn amount(requirements: Option<&ResourceRequirements>, limit: bool, name: &str) -> Option<i64> {
    let requirements = requirements?;
    let list = if limit { requirements.limits.as_ref() } else { requirements.requests.as_ref() }?;
    counted(name, &list.get(name)?.0)
}

/// The cpu in thousandths, everything else in units; `None` for what is no quantity.
fn counted(name: &str, quantity: &str) -> Option<i64> {
    let quantity = Quantity::parse(quantity).ok()?;
    Some(if name == "cpu" { quantity.milli_value() } else { quantity.value() })
}

/// The request of a resource (`cpu` in milli, else units), 0 when absent.
pub fn request(requirements: Option<&ResourceRequirements>, name: &str) -> i64 {
    amount(requirements, false, name).or_else(|| amount(requirements, true, name)).unwrap_or(0)
}

/// The limit of a resource; none when absent or 0.
pub fn limit(requirements: Option<&ResourceRequirements>, name: &str) -> Option<i64> {
    amount(requirements, true, name).filter(|value| *value > 0)
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// A total over the containers of a pod: the larger of what runs side by side, and of each init container with the
/// sidecars declared before it.
fn total(pod: &Pod, of: impl Fn(&Container) -> i64) -> i64 {
    let Some(spec) = &pod.spec else { return 0 };
    let mut sidecars: i64 = 0;
    let mut largest_init: i64 = 0;
    for init in spec.init_containers.iter().flatten() {
        if is_sidecar(init) {
            sidecars = sidecars.saturating_add(of(init));
            largest_init = largest_init.max(sidecars);
        } else {
            largest_init = largest_init.max(of(init).saturating_add(sidecars));
        }
    }
    let regular = spec.containers.iter().map(&of).fold(0i64, i64::saturating_add);
    regular.saturating_add(sidecars).max(largest_init)
}

/// The limits of a container's own cgroup. Without a limit of its own it gets the pod's (pod-level resources).
pub fn of_container(pod: &Pod, container: &Container) -> Limits {
    let own = container.resources.as_ref();
    let pod_level = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    Limits {
        cpu_shares: shares(request(own, "cpu")),
        cpu_quota: limit(own, "cpu").or_else(|| limit(pod_level, "cpu")).and_then(quota),
        memory: limit(own, "memory").or_else(|| limit(pod_level, "memory")).and_then(|v| u64::try_from(v).ok()),
        processes: None,
    }
}

/// The limits of the pod's cgroup: a limit only when every container has one, or the pod itself.
pub fn of_pod(pod: &Pod) -> Limits {
    let Some(spec) = &pod.spec else { return Limits { cpu_shares: 2, ..Limits::default() } };
    let pod_level = spec.resources.as_ref();
    let overhead = |name: &str| {
        spec.overhead.as_ref().and_then(|list| list.get(name)).map_or(0, |q| counted(name, &q.0).unwrap_or(0))
    };
    let whole = |name: &str| -> Option<i64> {
        if let Some(value) = limit(pod_level, name) {
            return Some(value.saturating_add(overhead(name)));
        }
        let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        let every = all.map(|c| limit(c.resources.as_ref(), name)).all(|l| l.is_some());
        every.then(|| total(pod, |c| limit(c.resources.as_ref(), name).unwrap_or(0)).saturating_add(overhead(name)))
    };
    let cpu_request = match amount(pod_level, false, "cpu") {
        Some(value) => value,
        None => total(pod, |c| request(c.resources.as_ref(), "cpu")),
    };
    Limits {
        cpu_shares: shares(cpu_request.saturating_add(overhead("cpu"))),
        cpu_quota: whole("cpu").and_then(quota),
        memory: whole("memory").and_then(|v| u64::try_from(v).ok()),
        processes: None,
    }
}

/// Quality of service, from requests and limits of cpu and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// Every container has limits of both, equal to its requests.
    Guaranteed,
    /// Some request or limit.
    Burstable,
    /// None at all.
    BestEffort,
}

/// The class of a pod.
pub fn qos(pod: &Pod) -> Qos {
    let Some(spec) = &pod.spec else { return Qos::BestEffort };
    let lists: Vec<Option<&ResourceRequirements>> = match &spec.resources {
        Some(pod_level) if pod_level.limits.is_some() || pod_level.requests.is_some() => vec![Some(pod_level)],
        _ => spec
            .containers
            .iter()
            .chain(spec.init_containers.iter().flatten())
            .map(|container| container.resources.as_ref())
            .collect(),
    };
    let mut any = false;
    let mut guaranteed = true;
    for requirements in lists {
        for name in ["cpu", "memory"] {
            let requested = request(requirements, name);
            let limited = limit(requirements, name);
            any |= requested > 0 || limited.is_some();
            guaranteed &= limited == Some(requested);
        }
    }
    match (any, guaranteed) {
        (false, _) => Qos::BestEffort,
        (true, true) => Qos::Guaranteed,
        (true, false) => Qos::Burstable,
    }
}

/// `oom_score_adj` of a container, on a machine with this much memory.
pub fn oom_score(pod: &Pod, container: &Container, machine_memory: u64) -> i32 {
    const SYSTEM_CRITICAL: i32 = 2_000_000_000;
    let priority = pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0);
    match qos(pod) {
        _ if priority >= SYSTEM_CRITICAL => -997,
        Qos::Guaranteed => -997,
        Qos::BestEffort => 1000,
        Qos::Burstable => {
            let memory = i128::from(machine_memory.max(1));
            let score = |request: i64| 1000 - 1000 * i128::from(request.max(0)) / memory;
            let mut adjusted = score(request(container.resources.as_ref(), "memory"));
            let regular = pod.spec.iter().flat_map(|spec| &spec.containers);
            let is_init = !regular.clone().any(|c| c.name == container.name);
            if is_init && is_sidecar(container) {
                let smallest = regular.map(|c| request(c.resources.as_ref(), "memory")).min().unwrap_or(0);
                adjusted = adjusted.min(score(smallest));
            }
            i32::try_from(adjusted.clamp(3, 999)).unwrap_or(999)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn pod(containers: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"spec": {"containers": containers}})).unwrap()
    }

    #[test]
    fn cpu_numbers_of_the_table() {
        for (milli, expected_shares, weight, expected_quota) in [
            (0, 2, 1, None),
            (1, 2, 1, Some(1000)),
            (10, 10, 4, Some(1000)),
            (50, 51, 11, Some(5000)),
            (100, 102, 17, Some(10_000)),
            (250, 256, 35, Some(25_000)),
            (500, 512, 59, Some(50_000)),
            (1000, 1024, 100, Some(100_000)),
            (2000, 2048, 174, Some(200_000)),
            (4000, 4096, 303, Some(400_000)),
            (64_000, 65_536, 3023, Some(6_400_000)),
            (256_000, 262_144, 10_000, Some(25_600_000)),
        ] {
            let limits = Limits { cpu_shares: shares(milli), ..Limits::default() };
            assert_eq!(limits.cpu_shares, expected_shares, "{milli}");
            assert_eq!(limits.cpu_weight(), weight, "{milli}");
            assert_eq!(quota(milli), expected_quota, "{milli}");
        }
    }

    #[test]
    fn a_pod_is_limited_only_when_all_its_containers_are() {
        let limited = json!({"name": "a", "resources": {"limits": {"memory": "64Mi", "cpu": "250m"}}});
        let free = json!({"name": "b"});
        let both = of_pod(&pod(json!([limited, limited])));
        assert_eq!((both.memory, both.cpu_quota, both.cpu_shares), (Some(128 << 20), Some(50_000), 512));
        let one = of_pod(&pod(json!([limited, free])));
        assert_eq!((one.memory, one.cpu_quota), (None, None));
    }

    #[test]
    fn classes_and_scores() {
        let memory = 8u64 << 30;
        let guaranteed = pod(json!([{"name": "a", "resources": {"limits": {"memory": "64Mi", "cpu": "1"}}}]));
        assert_eq!(qos(&guaranteed), Qos::Guaranteed);
        let burstable = pod(json!([{"name": "a", "resources": {"requests": {"memory": "2Gi"}}}]));
        assert_eq!(qos(&burstable), Qos::Burstable);
        let container = burstable.spec.as_ref().unwrap().containers.first().unwrap();
        assert_eq!(oom_score(&burstable, container, memory), 750);
        let best = pod(json!([{"name": "a"}]));
        assert_eq!(qos(&best), Qos::BestEffort);
        assert_eq!(oom_score(&best, best.spec.as_ref().unwrap().containers.first().unwrap(), memory), 1000);
    }
}
