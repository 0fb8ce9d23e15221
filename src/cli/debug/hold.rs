//! `--hold`: a shell in place of a container that keeps crashing. It has that container's image, the files that the instance
//! which ended last has left, its volumes, environment, user and rights; while it runs the container is not started.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Map, Value, json};

use super::super::logs::choose;
use super::super::{Caller, Failure};
use crate::manifest::containers::find_container;

/// What runs when nothing is said.
const SHELL: &str = "sh";

/// What an ephemeral container takes over from the one that it stands in for.
const TAKEN_OVER: [&str; 8] = [
    "image",
    "workingDir",
    "env",
    "envFrom",
    "volumeMounts",
    "securityContext",
    "terminationMessagePath",
    "terminationMessagePolicy",
];

/// The container that stands in for this one, but for its name.
pub fn container(pod: &Pod, held: &str) -> Result<Map<String, Value>, Failure> {
    let is_ephemeral = |spec: &k8s_openapi::api::core::v1::PodSpec| {
        spec.ephemeral_containers.iter().flatten().any(|container| container.name == held)
    };
    if pod.spec.as_ref().is_some_and(is_ephemeral) {
        return Err(Failure::Error(format!(
            "{held} is an ephemeral container: it is never started again, nothing holds it"
        )));
    }
    choose::check_container(pod, held)?;
    let spec = find_container(pod, held).unwrap_or_default();
    let spec = serde_json::to_value(&*spec).unwrap_or_default();
    let mut container: Map<String, Value> = TAKEN_OVER
        .into_iter()
        .filter_map(|field| Some((field.to_owned(), spec.get(field).filter(|value| !value.is_null())?.clone())))
        .collect();
    for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
        // The limits of the container itself, not those of the one that stands in for it.
        let field = variable.pointer_mut("/valueFrom/resourceFieldRef").and_then(Value::as_object_mut);
        if let Some(field) = field {
            field.entry("containerName").or_insert_with(|| json!(held));
        }
    }
    container.insert("command".to_owned(), json!([SHELL]));
    // It has been here, or there is nothing to be held.
    container.insert("imagePullPolicy".to_owned(), json!("IfNotPresent"));
    Ok(container)
}

/// The pod as the API server's rules are asked about it. What stands in for a container has that one's mounts, and some of
/// these (`subPath`) no ephemeral container may have in a cluster.
pub fn as_validated(pod: &Pod, name: &str, holds: bool) -> Pod {
    let mut pod = pod.clone();
    let list = pod.spec.iter_mut().flat_map(|spec| spec.ephemeral_containers.iter_mut().flatten());
    for container in list.filter(|container| holds && container.name == name) {
        for mount in container.volume_mounts.iter_mut().flatten() {
            (mount.sub_path, mount.sub_path_expr) = (None, None);
        }
    }
    pod
}

/// Says what happens now.
pub fn explain(pod: &Pod, held: &str, name: &str, caller: &mut Caller<'_>) {
    let pod_name = pod.metadata.name.as_deref().unwrap_or_default();
    let state = choose::status(pod, held).and_then(|status| status.state.clone()).unwrap_or_default();
    caller.notice(&match (state.running, state.terminated) {
        (Some(_), _) => format!(
            "Container {held} runs now; {name} takes its place when it has ended (podlet restart {pod_name} -c {held} ends it)."
        ),
        _ => format!("Container {held} is not started until {name} has ended."),
    });
}
