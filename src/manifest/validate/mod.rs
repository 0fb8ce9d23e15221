//! Validation of defaulted objects as the API server does it: every error, in its order, with its paths and words.
//!
//! `load` calls it after defaulting. It only looks; nothing here changes an object or decides what podlet can run.
//! The rules are those of `pkg/apis/core/validation` of Kubernetes 1.36, with its default features; one file for each
//! part of an object. Where the server walks a Go map, whose order changes from call to call, the order here is that of
//! the keys.

mod address;
mod config;
mod containers;
mod drivers;
mod env;
mod errors;
mod metadata;
mod mounts;
pub mod names;
mod pod_spec;
mod ports;
mod probes;
mod projected;
mod resources;
mod scheduling;
mod security;
#[cfg(test)]
mod tests;
mod volumes;
mod windows;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodSpec, Secret};

pub(super) use address::{Address, other_spelling, parse as parse_address};
pub(super) use errors::Errors;
pub(super) use metadata::MIRROR;
pub(super) use pod_spec::visit_containers;

use super::field::{FieldError, FieldPath};

/// The errors of a defaulted pod that is to be made.
pub fn pod(pod: &Pod) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let default = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&default);
    metadata_and_spec(&mut errors, pod, spec);
    let path = FieldPath::new("spec");
    if spec.ephemeral_containers.as_ref().is_some_and(|list| !list.is_empty()) {
        errors.forbidden(&path.child("ephemeralContainers"), "cannot be set on create");
    }
    if spec.node_name.is_some() && spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()) {
        errors.forbidden(&path.child("nodeName"), "cannot be set until all schedulingGates have been cleared");
    }
    security::annotations_match_fields(&mut errors, &path, pod, spec);
    errors.into_list()
}

/// What is asked of a pod both when it is made and when it is changed.
pub(super) fn metadata_and_spec(errors: &mut Errors, pod: &Pod, spec: &PodSpec) {
    let (meta, path) = (FieldPath::new("metadata"), FieldPath::new("spec"));
    metadata::object(errors, &meta, &pod.metadata);
    metadata::pod_annotations(errors, &meta.child("annotations"), pod, spec);
    pod_spec::pod_spec(errors, &path, pod, spec);
    if spec.service_account_name.is_none() {
        let volumes = path.child("volumes");
        for (i, volume) in spec.volumes.iter().flatten().enumerate() {
            let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
            let volume_path = volumes.index(i);
            let list = volume_path.child("projected.sources");
            for (j, _) in sources.enumerate().filter(|(_, source)| source.service_account_token.is_some()) {
                errors.forbidden(
                    &list.index(j).child("serviceAccountToken"),
                    "must not be specified when serviceAccountName is not set",
                );
            }
        }
    }
    let lists = [("containers", Some(&spec.containers)), ("initContainers", spec.init_containers.as_ref())];
    for (name, list) in lists {
        let path = path.child(name);
        for (i, container) in list.into_iter().flatten().enumerate() {
            containers::image_without_blanks(errors, &path.index(i), container);
        }
    }
}

/// Annotations as a change of a pod has them looked at again.
pub(super) fn pod_annotations(errors: &mut Errors, pod: &Pod, spec: &PodSpec) {
    metadata::pod_annotations(errors, &FieldPath::new("metadata").child("annotations"), pod, spec);
}

/// Tolerations as a change of a pod has them looked at again.
pub(super) fn tolerations(errors: &mut Errors, spec: &PodSpec) {
    let path = FieldPath::new("spec");
    scheduling::tolerations(errors, &path.child("tolerations"), spec.tolerations.as_deref().unwrap_or_default());
}

/// The errors of a ConfigMap.
pub fn config_map(map: &ConfigMap) -> Vec<FieldError> {
    let mut errors = Errors::default();
    config::config_map(&mut errors, map);
    errors.into_list()
}

/// The errors of a Secret.
pub fn secret(secret: &Secret) -> Vec<FieldError> {
    let mut errors = Errors::default();
    config::secret(&mut errors, secret);
    errors.into_list()
}
