//! Which container and which of its instances is meant, and why there may be none: kubectl's choice of a default, and the
//! kubelet's words for a container that has no log (pkg/kubelet/kubelet_pods.go, `validateContainerLogStatus`).

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::super::ask::container_names;
use super::super::{Caller, Failure};

/// kubectl's annotation that names the container of a pod that is meant when none is named.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The container that is meant when none was named. With more than one, which it is goes to stderr unless `quiet`.
pub fn default_container(pod: &Pod, quiet: bool, caller: &mut Caller<'_>) -> Result<String, Failure> {
    let annotations = pod.metadata.annotations.as_ref();
    if let Some(wanted) = annotations.and_then(|annotations| annotations.get(DEFAULT_CONTAINER))
        && container_names(pod).iter().any(|(name, _)| name == wanted)
    {
        return Ok(wanted.clone());
    }
    let names = container_names(pod);
    let Some((first, _)) = names.first() else {
        return Err(Failure::Error(format!(
            "pod {} has no containers",
            pod.metadata.name.as_deref().unwrap_or_default()
        )));
    };
    if names.len() > 1 && !quiet {
        caller.notice(&format!("Defaulted container {first:?} out of: {}", all_names(pod)));
    }
    Ok(first.clone())
}

/// `app, side, setup (init)`.
pub fn all_names(pod: &Pod) -> String {
    container_names(pod).iter().map(|(name, kind)| format!("{name}{kind}")).collect::<Vec<_>>().join(", ")
}

/// A container that must be the pod's.
pub fn check_container(pod: &Pod, container: &str) -> Result<(), Failure> {
    if container_names(pod).iter().any(|(name, _)| name == container) {
        return Ok(());
    }
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    Err(Failure::Error(format!("container {container} is not valid for pod {pod_name} out of: {}", all_names(pod))))
}

/// The status of a container of any kind.
pub fn status<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    lists.into_iter().flat_map(|list| list.iter().flatten()).find(|status| status.name == container)
}

/// The number of the instance whose log is meant. Instances are numbered as restarts are counted.
pub fn attempt(pod: &Pod, container: &str, previous: bool) -> Result<u32, Failure> {
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let refuse = |text: String| Err(Failure::bad_request(text));
    let Some(status) = status(pod, container) else {
        return refuse(format!("container {container:?} in pod {pod_name:?} is not available"));
    };
    let count = u32::try_from(status.restart_count).unwrap_or(0);
    let state = status.state.clone().unwrap_or_default();
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    // Without an id it never was: its image could not be pulled, its start was refused.
    let has_id = |id: &Option<String>| id.as_deref().is_some_and(|id| !id.is_empty());
    let last_ran = last.is_some_and(|last| has_id(&last.container_id));
    // While the next instance waits for its start, the last one is the one that is counted.
    let last_number =
        if state.running.is_none() && state.terminated.is_none() { count } else { count.saturating_sub(1) };
    if previous {
        return match last_ran {
            true => Ok(last_number),
            false => refuse(format!("previous terminated container {container:?} in pod {pod_name:?} not found")),
        };
    }
    match (&state.running, &state.terminated, &state.waiting) {
        (Some(_), _, _) => Ok(count),
        (_, Some(ended), _) if has_id(&ended.container_id) => Ok(count),
        (_, Some(_), _) if last_ran => Ok(last_number),
        (_, Some(_), _) => refuse(format!("container {container:?} in pod {pod_name:?} is terminated")),
        _ if last_ran => Ok(last_number),
        _ if last.is_some() => refuse(format!("container {container:?} in pod {pod_name:?} is terminated")),
        (_, _, Some(waiting)) => refuse(format!(
            "container {container:?} in pod {pod_name:?} is waiting to start: {}",
            match waiting.reason.as_deref().unwrap_or_default() {
                "ErrImagePull" => "image can't be pulled",
                "ImagePullBackOff" => "trying and failing to pull image",
                other => other,
            }
        )),
        _ => refuse(format!("container {container:?} in pod {pod_name:?} is waiting to start - no logs yet")),
    }
}

/// Whether the container will write nothing any more: it has ended and is not started again. Where that cannot be said for
/// sure (rules for exit codes), no: the pod's own end will tell.
pub fn is_over(pod: &Pod, container: &str) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return true;
    }
    let Some(ended) = status(pod, container).and_then(|s| s.state.as_ref()?.terminated.as_ref()) else { return false };
    if pod.metadata.deletion_timestamp.is_some() {
        return true;
    }
    let init = spec.init_containers.iter().flatten().find(|c| c.name == container);
    let Some(spec_of) = init.or_else(|| spec.containers.iter().find(|c| c.name == container)) else { return true };
    if spec_of.restart_policy_rules.as_ref().is_some_and(|rules| !rules.is_empty()) {
        return false;
    }
    let mut policy = spec_of.restart_policy.as_deref().or(spec.restart_policy.as_deref()).unwrap_or("Always");
    if init.is_some() && spec_of.restart_policy.is_none() && policy == "Always" {
        // A plain init container is started again only until it has succeeded.
        policy = "OnFailure";
    }
    match policy {
        "Never" => true,
        "OnFailure" => ended.exit_code == 0,
        _ => false,
    }
}
