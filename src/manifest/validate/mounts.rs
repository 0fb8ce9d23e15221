//! `volumeMounts` and `volumeDevices`, and the rules for relative paths.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Volume, VolumeDevice, VolumeMount};

use super::errors::Errors;
use crate::manifest::field::FieldPath;

/// The valid volumes of a pod, by name.
pub type Volumes<'a> = BTreeMap<&'a str, &'a Volume>;

/// Whether `..` is a part of a path.
pub fn has_backsteps(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

/// A path without `..`; one error is enough however many there are.
pub fn no_backsteps(errors: &mut Errors, path: &FieldPath, text: &str) {
    if has_backsteps(text) {
        errors.invalid(path, text, "must not contain '..'");
    }
}

/// A path that stays below where it starts.
pub fn descending_path(errors: &mut Errors, path: &FieldPath, text: &str) {
    if text.starts_with('/') {
        errors.invalid(path, text, "must be a relative path");
    }
    no_backsteps(errors, path, text);
}

/// The same, and not one of the names that the atomic writer keeps for itself (`..data`).
pub fn not_reserved_path(errors: &mut Errors, path: &FieldPath, text: &str) {
    descending_path(errors, path, text);
    if text.starts_with("..") && !text.starts_with("../") {
        errors.invalid(path, text, "must not start with '..'");
    }
}

/// `volumeMounts`.
pub fn mounts(
    errors: &mut Errors,
    path: &FieldPath,
    mounts: &[VolumeMount],
    devices: &[VolumeDevice],
    volumes: &Volumes,
    privileged: bool,
) {
    let mut seen = BTreeSet::new();
    let (device_names, device_paths) = last_by_name(devices.iter().map(|d| (&*d.name, &*d.device_path)));
    for (i, mount) in mounts.iter().enumerate() {
        let entry = path.index(i);
        errors.require_text(&entry.child("name"), &mount.name);
        if !volumes.contains_key(mount.name.as_str()) {
            errors.not_found(&entry.child("name"), &mount.name);
        }
        let mount_path = entry.child("mountPath");
        errors.require_text(&mount_path, &mount.mount_path);
        if !seen.insert(mount.mount_path.as_str()) {
            errors.invalid(&mount_path, &mount.mount_path, "must be unique");
        }
        if device_names.contains_key(mount.name.as_str()) {
            errors.invalid(&entry.child("name"), &mount.name, "must not already exist in volumeDevices");
        }
        if device_paths.contains(mount.mount_path.as_str()) {
            errors.invalid(&mount_path, &mount.mount_path, "must not already exist as a path in volumeDevices");
        }
        // From here on the server leaves out the index.
        let sub_path = mount.sub_path.as_deref().unwrap_or_default();
        let sub_path_expr = mount.sub_path_expr.as_deref().unwrap_or_default();
        if !sub_path.is_empty() {
            descending_path(errors, &path.child("subPath"), sub_path);
        }
        if !sub_path_expr.is_empty() {
            if !sub_path.is_empty() {
                errors.invalid(
                    &entry.child("subPathExpr"),
                    sub_path_expr,
                    "subPathExpr and subPath are mutually exclusive",
                );
            }
            descending_path(errors, &path.child("subPathExpr"), sub_path_expr);
        }
        if let Some(mode) = mount.mount_propagation.as_deref() {
            let path = path.child("mountPropagation");
            errors.one_of(&path, mode, &["Bidirectional", "HostToContainer", "None"]);
            if mode == "Bidirectional" && !privileged {
                errors.forbidden(&path, "Bidirectional mount propagation is available only to privileged containers");
            }
        }
        recursive_read_only(errors, &path.child("recursiveReadOnly"), mount);
    }
}

fn recursive_read_only(errors: &mut Errors, path: &FieldPath, mount: &VolumeMount) {
    match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.read_only != Some(true) {
                errors.forbidden(path, "may only be specified when readOnly is true");
            }
            if mount.mount_propagation.as_deref().is_some_and(|mode| mode != "None") {
                errors.forbidden(path, "may only be specified when mountPropagation is None or not specified");
            }
        }
        Some(other) => errors.one_of(path, other, &["Disabled", "Enabled", "IfPossible"]),
    }
}

/// Paths by name, and the paths alone. Of entries with one name only the last counts, as in the server's maps.
fn last_by_name<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> (BTreeMap<&'a str, &'a str>, BTreeSet<&'a str>) {
    let by_name: BTreeMap<_, _> = pairs.collect();
    let paths = by_name.values().copied().collect();
    (by_name, paths)
}

/// `volumeDevices`.
pub fn devices(
    errors: &mut Errors,
    path: &FieldPath,
    devices: &[VolumeDevice],
    mounts: &[VolumeMount],
    volumes: &Volumes,
) {
    let (mut paths, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let (mount_names, mount_paths) = last_by_name(mounts.iter().map(|m| (&*m.name, &*m.mount_path)));
    for (i, device) in devices.iter().enumerate() {
        let entry = path.index(i);
        let name = entry.child("name");
        errors.require_text(&name, &device.name);
        if seen.contains(device.name.as_str()) {
            errors.invalid(&name, &device.name, "must be unique");
        }
        match volumes.get(device.name.as_str()) {
            Some(volume) if volume.persistent_volume_claim.is_none() && volume.ephemeral.is_none() => errors.invalid(
                &name,
                &device.name,
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            ),
            Some(_) => {}
            None => errors.not_found(&name, &device.name),
        }
        let device_path = entry.child("devicePath");
        errors.require_text(&device_path, &device.device_path);
        if paths.contains(device.device_path.as_str()) {
            errors.invalid(&device_path, &device.device_path, "must be unique");
        }
        if has_backsteps(&device.device_path) {
            errors.invalid(&device_path, &device.device_path, "can not contain backsteps ('..')");
        } else {
            paths.insert(device.device_path.as_str());
        }
        if mount_names.contains_key(device.name.as_str()) {
            errors.invalid(&name, &device.name, "must not already exist in volumeMounts");
        }
        if mount_paths.contains(device.device_path.as_str()) {
            errors.invalid(&device_path, &device.device_path, "must not already exist as a path in volumeMounts");
        }
        if !device.name.is_empty() {
            seen.insert(device.name.as_str());
        }
    }
}
