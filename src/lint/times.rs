//! The sums: how long things take at worst, by the rules of `pod` (6.2 for probes, 8.2 for stops).

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, Probe};

use crate::pod::numbers::Numbers;

/// Of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// From a delete to the last process's end, at worst.
    pub delete: Duration,
    /// Of each container.
    pub containers: Vec<ContainerTimes>,
}

/// Of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerTimes {
    /// Its name.
    pub name: String,
    /// From its start to its being killed as one that does not come up, at worst: by its startup probe, else by its liveness
    /// probe.
    pub start_allowed: Option<Duration>,
    /// From its program being ready to its being shown so, at worst.
    pub ready: Duration,
    /// From its hanging to the decision to restart it, at worst.
    pub found_dead: Option<Duration>,
    /// From that decision to its process's end, at worst.
    pub killed: Option<Duration>,
}

fn seconds(field: Option<i32>, usual: u64) -> Duration {
    Duration::from_secs(field.and_then(|seconds| u64::try_from(seconds).ok()).filter(|s| *s > 0).unwrap_or(usual))
}

fn times(field: Option<i32>, usual: u32) -> u32 {
    field.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0).unwrap_or(usual)
}

/// The longest that a probe that never succeeds takes to fail for good, from the start of the container.
pub fn until_failed(probe: &Probe) -> Duration {
    let first = seconds(probe.initial_delay_seconds, 0).max(Numbers::KUBERNETES.first_probe());
    let period = pace(probe);
    first + period * times(probe.failure_threshold, 3).saturating_sub(1) + timeout(probe)
}

/// How long lies between the beginnings of two attempts at worst: one that runs into its timeout keeps the next waiting.
fn pace(probe: &Probe) -> Duration {
    let period = seconds(probe.period_seconds, 10);
    let whole = timeout(probe).as_secs().div_ceil(period.as_secs().max(1)).max(1);
    period * u32::try_from(whole).unwrap_or(u32::MAX)
}

/// Its `timeoutSeconds`.
pub fn timeout(probe: &Probe) -> Duration {
    seconds(probe.timeout_seconds, 1)
}

/// Its `periodSeconds`.
pub fn period(probe: &Probe) -> Duration {
    seconds(probe.period_seconds, 10)
}

/// The grace period that is in force where this is asked for.
pub fn in_force(grace: Option<i64>) -> Duration {
    let numbers = Numbers::KUBERNETES;
    let seconds = grace.unwrap_or(numbers.default_grace_seconds);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).max(numbers.least_grace())
}

/// The sums of a pod.
pub fn of(pod: &Pod) -> Times {
    let spec = pod.spec.clone().unwrap_or_default();
    let grace = spec.termination_grace_period_seconds;
    let sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let all = init.iter().filter(sidecar).chain(&spec.containers);
    Times { delete: in_force(grace), containers: all.map(|container| of_container(container, grace)).collect() }
}

fn of_container(container: &Container, grace: Option<i64>) -> ContainerTimes {
    let (startup, liveness, readiness) =
        (container.startup_probe.as_ref(), container.liveness_probe.as_ref(), container.readiness_probe.as_ref());
    // It may have become ready just after an attempt had begun, which then runs into its timeout.
    let wait = |probe: &Probe| pace(probe) * times(probe.success_threshold, 1) + timeout(probe);
    let own = |probe: &Probe| in_force(probe.termination_grace_period_seconds.or(grace));
    ContainerTimes {
        name: container.name.clone(),
        start_allowed: startup.or(liveness).map(until_failed),
        ready: [startup, readiness].into_iter().flatten().map(wait).sum(),
        found_dead: liveness.map(|probe| pace(probe) * times(probe.failure_threshold, 3) + timeout(probe)),
        killed: liveness.map(own),
    }
}
