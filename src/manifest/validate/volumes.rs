//! `volumes`: names, that each has one source, and the sources that one machine has. Others are in `drivers`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, EphemeralVolumeSource, HostPathVolumeSource, KeyToPath, PersistentVolumeClaimSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::containers::pull_policy;
use super::env::{self, Place, VOLUME_FIELDS};
use super::errors::Errors;
use super::mounts::{Volumes, no_backsteps, not_reserved_path};
use super::resources::resource_amount;
use super::{drivers, metadata, names, projected};
use crate::manifest::field::{FieldPath, Shown, quote};
use crate::manifest::resources::worth;

/// Checks all volumes; returns the good ones, which alone can be mounted.
pub fn volumes<'a>(
    errors: &mut Errors,
    path: &FieldPath,
    volumes: &'a [Volume],
    pod_name: Option<&str>,
) -> Volumes<'a> {
    let claim_of = |pod: &str, volume: &Volume| format!("{pod}-{}", volume.name);
    let ephemeral: BTreeSet<String> = pod_name
        .filter(|name| !name.is_empty())
        .map(|pod| volumes.iter().filter(|v| v.ephemeral.is_some()).map(|v| claim_of(pod, v)).collect())
        .unwrap_or_default();
    let mut good = BTreeMap::new();
    for (i, volume) in volumes.iter().enumerate() {
        let entry = path.index(i);
        let name = entry.child("name");
        let before = errors.count();
        source(errors, &entry, volume, pod_name);
        if errors.require_text(&name, &volume.name) {
            errors.each(&name, &volume.name, names::dns_label(&volume.name));
        }
        if good.contains_key(volume.name.as_str()) {
            errors.duplicate(&name, &volume.name);
        }
        if errors.count() == before {
            good.insert(volume.name.as_str(), volume);
        }
        if let Some(claim) = &volume.persistent_volume_claim
            && ephemeral.contains(&claim.claim_name)
        {
            errors.invalid(
                &entry.child("persistentVolumeClaim").child("claimName"),
                &claim.claim_name,
                "must not reference a PVC that gets created for an ephemeral volume",
            );
        }
    }
    good
}

/// Counts the sources of one volume: each after the first is refused unread.
pub struct Sources {
    found: bool,
}

impl Sources {
    /// Whether this source is the first, so that it is to be checked.
    pub fn is_first(&mut self, errors: &mut Errors, path: &FieldPath) -> bool {
        if std::mem::replace(&mut self.found, true) {
            errors.forbidden(path, "may not specify more than 1 volume type");
            return false;
        }
        true
    }
}

/// The sources in the order in which the server looks at them.
fn source(errors: &mut Errors, path: &FieldPath, volume: &Volume, pod_name: Option<&str>) {
    let mut sources = Sources { found: false };
    if let Some(empty) = &volume.empty_dir {
        sources.found = true;
        if empty.size_limit.as_ref().is_some_and(|limit| worth(limit).is_negative()) {
            errors.forbidden(
                &path.child("emptyDir").child("sizeLimit"),
                "SizeLimit field must be a valid resource quantity",
            );
        }
    }
    if let Some(host) = &volume.host_path {
        let path = path.child("hostPath");
        if sources.is_first(errors, &path) {
            host_path(errors, &path, host);
        }
    }
    drivers::before_secret(errors, path, volume, &mut sources);
    if let Some(secret) = &volume.secret {
        let path = path.child("secret");
        if sources.is_first(errors, &path) {
            errors.require_text(&path.child("secretName"), secret.secret_name.as_deref().unwrap_or_default());
            errors.mode(&path.child("defaultMode"), secret.default_mode);
            items(errors, &path.child("items"), secret.items.as_deref().unwrap_or_default());
        }
    }
    drivers::before_claim(errors, path, volume, &mut sources);
    if let Some(claim) = &volume.persistent_volume_claim {
        let path = path.child("persistentVolumeClaim");
        if sources.is_first(errors, &path) {
            errors.require_text(&path.child("claimName"), &claim.claim_name);
        }
    }
    drivers::before_downward(errors, path, volume, &mut sources);
    if let Some(downward) = &volume.downward_api {
        // The server's own slip of the pen in the refusal.
        if sources.is_first(errors, &path.child("downwarAPI")) {
            let path = path.child("downwardAPI");
            errors.mode(&path.child("defaultMode"), downward.default_mode);
            for file in downward.items.iter().flatten() {
                downward_file(errors, &path, file);
            }
        }
    }
    drivers::before_config_map(errors, path, volume, &mut sources);
    if let Some(map) = &volume.config_map {
        let path = path.child("configMap");
        if sources.is_first(errors, &path) {
            errors.require_text(&path.child("name"), &map.name);
            errors.mode(&path.child("defaultMode"), map.default_mode);
            items(errors, &path.child("items"), map.items.as_deref().unwrap_or_default());
        }
    }
    drivers::before_projected(errors, path, volume, &mut sources);
    if let Some(source) = &volume.projected {
        let path = path.child("projected");
        if sources.is_first(errors, &path) {
            projected::projected(errors, &path, source);
        }
    }
    drivers::before_ephemeral(errors, path, volume, &mut sources);
    if let Some(source) = &volume.ephemeral
        && sources.is_first(errors, &path.child("ephemeral"))
    {
        ephemeral(errors, &path.child("ephemeral"), source);
        if let Some(pod) = pod_name.filter(|name| !name.is_empty())
            && !volume.name.is_empty()
        {
            let claim = format!("{pod}-{}", volume.name);
            for message in names::dns_subdomain(&claim) {
                errors.invalid(&path.child("name"), &volume.name, format!("PVC name {}: {message}", quote(&claim)));
            }
        }
    }
    if let Some(image) = &volume.image {
        let path = path.child("image");
        if sources.is_first(errors, &path) {
            errors.require_text(&path.child("reference"), image.reference.as_deref().unwrap_or_default());
            pull_policy(errors, &path.child("pullPolicy"), image.pull_policy.as_deref());
        }
    }
    if !sources.found {
        errors.required(path, "must specify a volume type");
    }
}

fn host_path(errors: &mut Errors, path: &FieldPath, source: &HostPathVolumeSource) {
    if !errors.require_text(&path.child("path"), &source.path) {
        return;
    }
    no_backsteps(errors, &path.child("path"), &source.path);
    if let Some(kind) = &source.type_ {
        errors.one_of(
            &path.child("type"),
            kind,
            &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"],
        );
    }
}

fn items(errors: &mut Errors, path: &FieldPath, items: &[KeyToPath]) {
    for (i, entry) in items.iter().enumerate() {
        item(errors, &path.index(i), entry);
    }
}

/// A key and the file that it becomes.
pub fn item(errors: &mut Errors, path: &FieldPath, item: &KeyToPath) {
    errors.require_text(&path.child("key"), &item.key);
    errors.require_text(&path.child("path"), &item.path);
    not_reserved_path(errors, &path.child("path"), &item.path);
    errors.mode(&path.child("mode"), item.mode);
}

/// A file of the downward API; errors sit at the volume, without the item: a quirk of the server.
pub fn downward_file(errors: &mut Errors, path: &FieldPath, file: &DownwardAPIVolumeFile) {
    errors.require_text(&path.child("path"), &file.path);
    not_reserved_path(errors, &path.child("path"), &file.path);
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(selector), resource) => {
            env::field_selector(errors, &path.child("fieldRef"), selector, &VOLUME_FIELDS);
            if resource.is_some() {
                errors.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
            }
        }
        (None, Some(selector)) => {
            env::resource_selector(errors, &path.child("resourceFieldRef"), selector, Place::Volume);
        }
        (None, None) => errors.required(path, "one of fieldRef and resourceFieldRef is required"),
    }
    errors.mode(&path.child("mode"), file.mode);
}

fn ephemeral(errors: &mut Errors, path: &FieldPath, source: &EphemeralVolumeSource) {
    let path = path.child("volumeClaimTemplate");
    let Some(template) = &source.volume_claim_template else { return errors.required(&path, "") };
    if let Some(meta) = &template.metadata {
        let path = path.child("metadata");
        metadata::annotations(errors, &path.child("annotations"), meta);
        errors.labels(&path.child("labels"), meta.labels.as_ref());
        template_metadata(errors, &path, meta);
    }
    claim_spec(errors, &path.child("spec"), &template.spec);
}

/// Only labels and annotations can be given to a claim that is made from a template.
fn template_metadata(errors: &mut Errors, path: &FieldPath, meta: &ObjectMeta) {
    for (name, given) in [
        ("name", meta.name.is_some()),
        ("generateName", meta.generate_name.is_some()),
        ("namespace", meta.namespace.is_some()),
        ("selfLink", meta.self_link.is_some()),
        // As Go spells it with its first letter made small.
        ("uID", meta.uid.is_some()),
        ("resourceVersion", meta.resource_version.is_some()),
        ("generation", meta.generation.is_some()),
        ("creationTimestamp", meta.creation_timestamp.is_some()),
        ("deletionTimestamp", meta.deletion_timestamp.is_some()),
        ("deletionGracePeriodSeconds", meta.deletion_grace_period_seconds.is_some()),
        ("ownerReferences", meta.owner_references.is_some()),
        ("finalizers", meta.finalizers.is_some()),
        ("managedFields", meta.managed_fields.is_some()),
    ] {
        if given {
            errors.forbidden(&path.child(name), "cannot be set");
        }
    }
}

/// The spec of a PersistentVolumeClaim.
pub fn claim_spec(errors: &mut Errors, path: &FieldPath, spec: &PersistentVolumeClaimSpec) {
    const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    let access = path.child("accessModes");
    if modes.is_empty() {
        errors.required(&access, "at least 1 access mode is required");
    }
    errors.label_selector(&path.child("selector"), spec.selector.as_ref());
    for mode in modes {
        errors.one_of(&access, mode, &MODES);
    }
    let once_pod = modes.iter().any(|mode| mode == "ReadWriteOncePod");
    if once_pod && modes.iter().any(|mode| mode != "ReadWriteOncePod" && MODES.contains(&mode.as_str())) {
        errors.forbidden(&access, "may not use ReadWriteOncePod with other access modes");
    }
    let resources = path.child("resources");
    let storage = resources.key("storage");
    let amount = spec.resources.as_ref().and_then(|r| r.requests.as_ref()).and_then(|r| r.get("storage")).map(worth);
    match amount {
        None => errors.required(&storage, ""),
        Some(amount) if amount.is_zero() || amount.is_negative() => {
            errors.invalid(&storage, amount.to_string().as_str(), "must be greater than zero");
        }
        Some(amount) => resource_amount(errors, &storage, "storage", &amount),
    }
    if let Some(class) = spec.storage_class_name.as_deref().filter(|class| !class.is_empty()) {
        errors.each(&path.child("storageClassName"), class, names::dns_subdomain(class));
    }
    if let Some(mode) = &spec.volume_mode {
        errors.one_of(&path.child("volumeMode"), mode, &["Block", "Filesystem"]);
    }
    data_sources(errors, path, spec);
    if let Some(class) = spec.volume_attributes_class_name.as_deref().filter(|class| !class.is_empty()) {
        errors.each(&path.child("volumeAttributesClassName"), class, names::dns_subdomain(class));
    }
}

fn data_sources(errors: &mut Errors, path: &FieldPath, spec: &PersistentVolumeClaimSpec) {
    let check = |errors: &mut Errors, path: &FieldPath, name: &str, kind: &str, group: Option<&str>| {
        errors.require_text(&path.child("name"), name);
        errors.require_text(&path.child("kind"), kind);
        let group = group.unwrap_or_default();
        if group.is_empty() && kind != "PersistentVolumeClaim" {
            errors.invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
        }
        if !group.is_empty() {
            errors.each(&path.child("apiGroup"), group, names::dns_subdomain(group));
        }
    };
    if let Some(source) = &spec.data_source {
        check(errors, &path.child("dataSource"), &source.name, &source.kind, source.api_group.as_deref());
    }
    let Some(reference) = &spec.data_source_ref else { return };
    let reference_path = path.child("dataSourceRef");
    check(errors, &reference_path, &reference.name, &reference.kind, reference.api_group.as_deref());
    let namespace = reference.namespace.as_deref().unwrap_or_default();
    if !namespace.is_empty() {
        errors.each(&reference_path.child("namespace"), namespace, names::dns_label(namespace));
    }
    if let Some(source) = &spec.data_source {
        let same =
            source.name == reference.name && source.kind == reference.kind && source.api_group == reference.api_group;
        if !namespace.is_empty() {
            errors.invalid(
                path,
                Shown::json(&path_json(path)),
                "may not be specified when dataSourceRef.namespace is specified",
            );
        } else if !same {
            errors.invalid(path, Shown::json(&path_json(path)), "must match dataSourceRef");
        }
    }
}

/// The server shows its path object here, which as JSON has no fields.
fn path_json(_: &FieldPath) -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}
