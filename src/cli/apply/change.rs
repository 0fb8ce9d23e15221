//! What a re-applied manifest changes about a pod, and whether it can be changed in place.

use k8s_openapi::api::core::v1::{Pod, PodSpec};

/// How two manifests of one pod differ.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Not at all.
    None,
    /// In what may change while the pod runs.
    InPlace,
    /// In more; the text is the API server's.
    Refused(String),
}

/// Compares a pod's manifest as applied before with a new one, both with their defaults.
pub fn compare(old: &Pod, new: &Pod) -> Change {
    let same_metadata = old.metadata.labels.clone().unwrap_or_default()
        == new.metadata.labels.clone().unwrap_or_default()
        && own_annotations(old) == own_annotations(new);
    let mut of_new = new.spec.clone().unwrap_or_default();
    let of_old = old.spec.clone().unwrap_or_default();
    // Set by podlet where the manifest leaves it open.
    if of_new.node_name.is_none() {
        of_new.node_name.clone_from(&of_old.node_name);
    }
    if same_metadata && of_old == of_new {
        return Change::None;
    }
    if without_changeable(of_old) == without_changeable(of_new) {
        return Change::InPlace;
    }
    let fields = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` \
                  (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if \
                  it was previously negative)";
    Change::Refused(format!("spec: Forbidden: pod updates may not change fields other than {fields}"))
}

fn own_annotations(pod: &Pod) -> Vec<(&String, &String)> {
    pod.metadata.annotations.iter().flatten().filter(|(key, _)| !key.starts_with("podlet.dev/")).collect()
}

fn without_changeable(mut spec: PodSpec) -> PodSpec {
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        container.image = None;
    }
    spec.tolerations = None;
    spec.termination_grace_period_seconds = None;
    spec.active_deadline_seconds = None;
    spec
}
