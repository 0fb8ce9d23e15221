//! `metadata`: names, labels, annotations, owners and finalizers (apimachinery `objectmeta.go`), and what a pod's
//! annotations may say.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::errors::Errors;
use super::names;
use super::pod_spec::container_names;
use super::scheduling;
use super::security;
use crate::manifest::field::{FieldPath, Shown};

/// Marks the copy of a static pod, which comes from a kubelet.
pub const MIRROR: &str = "kubernetes.io/config.mirror";
/// All annotations of an object together.
const ANNOTATIONS_MAX: usize = 256 * 1024;

/// The metadata of a pod, ConfigMap or Secret; all of them have subdomains as names.
pub fn object(errors: &mut Errors, path: &FieldPath, meta: &ObjectMeta) {
    let generated = meta.generate_name.as_deref().unwrap_or_default();
    if !generated.is_empty() {
        errors.each(&path.child("generateName"), generated, names::dns_subdomain_prefix(generated));
    }
    match meta.name.as_deref().unwrap_or_default() {
        // With generateName the name is made before the server looks.
        "" if generated.is_empty() => errors.required(&path.child("name"), "name or generateName is required"),
        "" => {}
        name => errors.each(&path.child("name"), name, names::dns_subdomain(name)),
    }
    match meta.namespace.as_deref().unwrap_or_default() {
        "" => errors.required(&path.child("namespace"), ""),
        namespace => errors.each(&path.child("namespace"), namespace, names::dns_label(namespace)),
    }
    errors.not_negative(&path.child("generation"), meta.generation.unwrap_or_default());
    errors.labels(&path.child("labels"), meta.labels.as_ref());
    annotations(errors, &path.child("annotations"), meta);
    owners(errors, &path.child("ownerReferences"), meta.owner_references.as_deref().unwrap_or_default());
    finalizers(errors, &path.child("finalizers"), meta.finalizers.as_deref().unwrap_or_default());
}

/// Keys are label keys once in lower case; the size is that of all keys and values.
pub fn annotations(errors: &mut Errors, path: &FieldPath, meta: &ObjectMeta) {
    let mut size = 0;
    for (key, value) in meta.annotations.iter().flatten() {
        errors.each(path, key, names::qualified_name(&key.to_lowercase()));
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS_MAX {
        errors.too_long(path, ANNOTATIONS_MAX);
    }
}

fn owners(errors: &mut Errors, path: &FieldPath, owners: &[OwnerReference]) {
    let mut controller: Option<String> = None;
    for owner in owners {
        let version = owner.api_version.rsplit('/').next().unwrap_or_default();
        if version.is_empty() {
            errors.invalid(&path.child("apiVersion"), &owner.api_version, "version must not be empty");
        }
        for (name, text) in [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)] {
            if text.is_empty() {
                errors.invalid(&path.child(name), text, "must not be empty");
            }
        }
        if owner.api_version == "v1" && owner.kind == "Event" {
            errors.invalid(path, Shown::json(owner), "/v1, Kind=Event is disallowed from being an owner");
        }
        if owner.controller == Some(true) {
            let this = format!("{}/{}", owner.kind, owner.name);
            match &controller {
                // Each shows the whole list.
                Some(_) if errors.is_full() => {}
                Some(first) => errors.invalid(
                    path,
                    Shown::json(&owners),
                    format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    ),
                ),
                None => controller = Some(this),
            }
        }
    }
}

fn finalizers(errors: &mut Errors, path: &FieldPath, finalizers: &[String]) {
    for finalizer in finalizers {
        errors.each(path, finalizer, names::qualified_name(finalizer));
    }
    let has = |name: &str| finalizers.iter().any(|f| f == name);
    if has("orphan") && has("foregroundDeletion") {
        errors.invalid(path, Shown::json(&finalizers), "finalizer orphan and foregroundDeletion cannot be both set");
    }
    for (i, finalizer) in finalizers.iter().enumerate() {
        if !finalizer.contains('/') && !matches!(finalizer.as_str(), "kubernetes" | "orphan" | "foregroundDeletion") {
            errors.invalid(
                &path.index(i),
                finalizer,
                "name is neither a standard finalizer name nor is it fully qualified",
            );
        }
    }
}

/// Annotations to which a pod gives a meaning.
pub fn pod_annotations(errors: &mut Errors, path: &FieldPath, pod: &Pod, spec: &PodSpec) {
    const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
    const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    let Some(annotations) = &pod.metadata.annotations else { return };

    if let Some(value) = annotations.get(MIRROR)
        && spec.node_name.is_none()
    {
        errors.invalid(&path.key(MIRROR), value, "must set spec.nodeName if mirror pod annotation is set");
    }
    if let Some(value) = annotations.get(TOLERATIONS).filter(|value| !value.is_empty()) {
        match serde_json::from_str::<Vec<k8s_openapi::api::core::v1::Toleration>>(value) {
            Ok(tolerations) => scheduling::tolerations(errors, &path.child(TOLERATIONS), &tolerations),
            Err(error) => errors.invalid(path, TOLERATIONS, error.to_string()),
        }
    }
    if let Some(cost) = annotations.get(DELETION_COST) {
        // A plus sign and leading zeros are refused.
        let well_begun = cost == "0" || cost.starts_with(|c: char| c == '-' || ('1'..='9').contains(&c));
        if !well_begun || cost.parse::<i32>().is_err() {
            errors.invalid(&path.key(DELETION_COST), cost, "must be a 32bit integer");
        }
    }
    for (key, profile) in annotations {
        if key == security::SECCOMP_POD_ANNOTATION {
            security::seccomp_annotation(errors, &path.child(key), profile);
        }
    }
    for (key, profile) in annotations {
        if key.starts_with(security::SECCOMP_CONTAINER_ANNOTATION) {
            security::seccomp_annotation(errors, &path.child(key), profile);
        }
    }
    let containers: BTreeSet<&str> = container_names(spec).collect();
    for (key, profile) in annotations {
        let Some(name) = key.strip_prefix(security::APPARMOR_ANNOTATION) else { continue };
        if !containers.contains(name) {
            errors.invalid(&path.key(key), name, "container not found");
        }
        if !security::is_apparmor_annotation(profile) {
            let shown = crate::manifest::field::quote(profile);
            errors.invalid(&path.key(key), profile, format!("invalid AppArmor profile name: {shown}"));
        }
    }
}
