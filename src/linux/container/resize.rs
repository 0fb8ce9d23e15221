//! Cpu and memory of a pod that runs, brought to what its spec says (lifecycle 9.7). Everything is looked at as it is and written
//! only where it differs, so that it does no harm to do it again.

use std::cmp::Ordering;

use k8s_openapi::api::core::v1::Container;

use super::super::cgroup::Cgroup;
use super::PodContext;
use crate::plan::resources::{self, Limits};

/// One cgroup, and what it is to have.
struct Change {
    /// For messages; none for the pod's.
    container: Option<String>,
    cgroup: Cgroup,
    limits: Limits,
}

impl Change {
    fn compare_memory(&self) -> Ordering {
        compare(self.limits.memory, self.cgroup.memory_limit())
    }

    fn compare_cpu(&self) -> Ordering {
        compare(self.limits.cpu_quota, self.cgroup.cpu_quota())
    }

    fn change_memory(&self) -> Result<(), String> {
        let Some(bytes) = self.limits.memory.filter(|_| self.compare_memory() != Ordering::Equal) else {
            return Ok(());
        };
        self.cgroup.change_memory(bytes).map_err(|error| error.to_string())
    }

    fn change_cpu(&self) -> Result<(), String> {
        self.cgroup.change_cpu(&self.limits).map_err(|error| error.to_string())
    }

    /// Why the memory limit cannot be what it is to be: it would be lower, and so much is in use.
    fn refusal(&self) -> Option<String> {
        let bytes = self.limits.memory.filter(|_| self.compare_memory() == Ordering::Less)?;
        let usage = self.cgroup.memory_usage().filter(|usage| *usage >= bytes)?;
        let whose = match &self.container {
            None => "pod".to_owned(),
            Some(name) => format!("container {name:?}"),
        };
        Some(format!("attempting to set {whose} memory limit ({bytes}) below current usage ({usage})"))
    }
}

/// How a limit compares with the one in force. None is the largest; a limit that is gone from the spec stays in force.
fn compare(wanted: Option<u64>, now: Option<u64>) -> Ordering {
    match (wanted, now) {
        (None, _) => Ordering::Equal,
        (Some(_), None) => Ordering::Less,
        (Some(wanted), Some(now)) => wanted.cmp(&now),
    }
}

/// Brings the pod's cgroup and those of these containers, which run, to what the spec says. Memory first; of each resource the
/// pod's limit before its containers' where it grows, behind them where it shrinks; those that shrink before those that grow.
pub fn resize(context: &PodContext<'_>, running: &[&Container]) -> Result<(), String> {
    let pod = Change { container: None, cgroup: Cgroup::of_pod(context.uid()), limits: resources::of_pod(context.pod) };
    let change = |container: &&Container| Change {
        container: Some(container.name.clone()),
        cgroup: Cgroup::of_container(context.uid(), &container.name),
        limits: resources::of_container(context.pod, container),
    };
    let mut containers: Vec<Change> = running.iter().map(change).collect();
    let refusals: Vec<String> = std::iter::once(&pod).chain(&containers).filter_map(Change::refusal).collect();
    match refusals.as_slice() {
        [] => {}
        [one] => return Err(format!("cannot decrease memory limits: {one}")),
        several => return Err(format!("cannot decrease memory limits: [{}]", several.join(", "))),
    }
    containers.sort_by_key(Change::compare_memory);
    in_order(&pod, &containers, pod.compare_memory(), Change::change_memory)?;
    containers.sort_by_key(Change::compare_cpu);
    in_order(&pod, &containers, pod.compare_cpu(), Change::change_cpu)
}

fn in_order(
    pod: &Change,
    containers: &[Change],
    grows: Ordering,
    change: fn(&Change) -> Result<(), String>,
) -> Result<(), String> {
    if grows == Ordering::Greater {
        change(pod)?;
    }
    containers.iter().try_for_each(change)?;
    if grows == Ordering::Greater { Ok(()) } else { change(pod) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_added_is_a_smaller_one_and_none_is_taken_away() {
        assert_eq!(compare(Some(1), None), Ordering::Less);
        assert_eq!(compare(Some(2), Some(1)), Ordering::Greater);
        assert_eq!(compare(None, Some(1)), Ordering::Equal);
    }
}
