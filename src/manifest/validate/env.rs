//! `env` and `envFrom`, and the field and resource selectors that downwardAPI volumes use too.

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, FileKeySelector, ObjectFieldSelector, ResourceFieldSelector};

use super::errors::Errors;
use super::mounts::no_backsteps;
use super::names;
use crate::manifest::field::FieldPath;
use crate::manifest::resources::worth;

/// What `fieldRef` may name in the environment.
const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// What `fieldRef` may name in a downwardAPI volume.
pub const VOLUME_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
/// What the downward API knows at all; others are not even converted.
const KNOWN_FIELDS: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const BYTE_DIVISORS: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// Whether the resource of a selector must say which container it means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In `env`: the container itself.
    Env,
    /// In a volume: any, so it must be named.
    Volume,
}

/// `env`.
pub fn variables(errors: &mut Errors, path: &FieldPath, variables: &[EnvVar]) {
    for (i, variable) in variables.iter().enumerate() {
        let path = path.index(i);
        if errors.require_text(&path.child("name"), &variable.name) {
            errors.each(&path.child("name"), &variable.name, names::env_name(&variable.name));
        }
        value_from(errors, &path.child("valueFrom"), variable);
    }
}

fn value_from(errors: &mut Errors, path: &FieldPath, variable: &EnvVar) {
    let Some(source) = &variable.value_from else { return };
    let mut sources = 0;
    if let Some(selector) = &source.field_ref {
        sources += 1;
        field_selector(errors, &path.child("fieldRef"), selector, &ENV_FIELDS);
    }
    if let Some(selector) = &source.resource_field_ref {
        sources += 1;
        resource_selector(errors, &path.child("resourceFieldRef"), selector, Place::Env);
    }
    if let Some(selector) = &source.config_map_key_ref {
        sources += 1;
        key_selector(errors, &path.child("configMapKeyRef"), &selector.name, &selector.key);
    }
    if let Some(selector) = &source.secret_key_ref {
        sources += 1;
        key_selector(errors, &path.child("secretKeyRef"), &selector.name, &selector.key);
    }
    if let Some(selector) = &source.file_key_ref {
        sources += 1;
        file_key_selector(errors, &path.child("fileKeyRef"), selector);
    }
    if sources == 0 {
        errors.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        );
    } else if variable.value.as_ref().is_some_and(|value| !value.is_empty()) {
        errors.invalid(path, "", "may not be specified when `value` is not empty");
    } else if sources > 1 {
        errors.invalid(path, "", "may not have more than one field specified at a time");
    }
}

/// Path and subscript of `metadata.labels['key']`.
fn subscripted(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['").filter(|(path, _)| !path.is_empty())
}

/// A `fieldRef`; `allowed` are the fields that its place can take.
pub fn field_selector(errors: &mut Errors, path: &FieldPath, selector: &ObjectFieldSelector, allowed: &[&str]) {
    let version = selector.api_version.as_deref().unwrap_or_default();
    if !errors.require_text(&path.child("apiVersion"), version)
        || !errors.require_text(&path.child("fieldPath"), &selector.field_path)
    {
        return;
    }
    let field = selector.field_path.as_str();
    let convert = |errors: &mut Errors, reason: String| {
        errors.invalid(&path.child("fieldPath"), field, format!("error converting fieldPath: {reason}"));
    };
    if version != "v1" {
        return convert(errors, format!("unsupported pod version: {version}"));
    }
    match subscripted(field) {
        Some(("metadata.annotations", key)) => errors.each(path, key, names::qualified_name(&key.to_lowercase())),
        Some(("metadata.labels", key)) => errors.each(path, key, names::qualified_name(key)),
        Some(_) => convert(errors, format!("field label does not support subscript: {field}")),
        // What very old clients wrote for spec.nodeName.
        None if field == "spec.host" && allowed.contains(&"spec.nodeName") => {}
        None if field == "spec.host" => {
            errors.text_not_supported(&path.child("fieldPath"), "spec.nodeName", allowed);
        }
        None if !KNOWN_FIELDS.contains(&field) => convert(errors, format!("field label not supported: {field}")),
        None if !allowed.contains(&field) => errors.text_not_supported(&path.child("fieldPath"), field, allowed),
        None => {}
    }
}

/// A `resourceFieldRef`.
pub fn resource_selector(errors: &mut Errors, path: &FieldPath, selector: &ResourceFieldSelector, place: Place) {
    let resource = selector.resource.as_str();
    let huge = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if place == Place::Volume && selector.container_name.as_ref().is_none_or(|name| name.is_empty()) {
        errors.required(&path.child("containerName"), "");
    } else if resource.is_empty() {
        errors.required(&path.child("resource"), "");
    } else if !RESOURCES.contains(&resource) && !huge {
        errors.text_not_supported(&path.child("resource"), resource, &RESOURCES);
    }
    let Some(divisor) = selector.divisor.as_ref().map(worth).filter(|divisor| !divisor.is_zero()) else { return };
    let divisor = divisor.to_string();
    let refuse = |errors: &mut Errors, values: &str, of: &str| {
        // The value shown is the resource's name: a quirk of the server.
        let text = format!("only divisor's values {values} are supported with the {of} resource");
        errors.invalid(&path.child("divisor"), resource, text);
    };
    let bytes = BYTE_DIVISORS.join(", ");
    let is_bytes = BYTE_DIVISORS.contains(&divisor.as_str());
    match resource {
        "limits.cpu" | "requests.cpu" if !matches!(divisor.as_str(), "1m" | "1") => refuse(errors, "1m and 1", "cpu"),
        "limits.memory" | "requests.memory" if !is_bytes => refuse(errors, &bytes, "memory"),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" if !is_bytes => {
            refuse(errors, &bytes, "local ephemeral storage");
        }
        _ if huge && !is_bytes => refuse(errors, &bytes, "hugepages"),
        _ => {}
    }
}

fn key_selector(errors: &mut Errors, path: &FieldPath, name: &str, key: &str) {
    errors.each(&path.child("name"), name, names::dns_subdomain(name));
    if errors.require_text(&path.child("key"), key) {
        errors.each(&path.child("key"), key, names::config_map_key(key));
    }
}

fn file_key_selector(errors: &mut Errors, path: &FieldPath, selector: &FileKeySelector) {
    if errors.require_text(&path.child("key"), &selector.key) {
        errors.each(&path.child("key"), &selector.key, names::env_name(&selector.key));
    }
    if errors.require_text(&path.child("volumeName"), &selector.volume_name) {
        errors.each(&path.child("volumeName"), &selector.volume_name, names::dns_label(&selector.volume_name));
    }
    if errors.require_text(&path.child("path"), &selector.path) {
        no_backsteps(errors, &path.child("path"), &selector.path);
    }
}

/// `envFrom`.
pub fn sources(errors: &mut Errors, path: &FieldPath, sources: &[EnvFromSource]) {
    for (i, source) in sources.iter().enumerate() {
        let entry = path.index(i);
        if let Some(prefix) = source.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
            errors.each(&entry.child("prefix"), prefix, names::env_name(prefix));
        }
        if let Some(reference) = &source.config_map_ref {
            object_name(errors, &entry.child("configMapRef").child("name"), &reference.name);
        }
        if let Some(reference) = &source.secret_ref {
            object_name(errors, &entry.child("secretRef").child("name"), &reference.name);
        }
        // Both without the index: a quirk of the server.
        match (&source.config_map_ref, &source.secret_ref) {
            (None, None) => errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"),
            (Some(_), Some(_)) => errors.invalid(path, "", "may not have more than one field specified at a time"),
            _ => {}
        }
    }
}

fn object_name(errors: &mut Errors, path: &FieldPath, name: &str) {
    if errors.require_text(path, name) {
        // With the last dash masked, as in a generateName: a quirk of the server.
        errors.each(path, name, names::dns_subdomain_prefix(name));
    }
}
