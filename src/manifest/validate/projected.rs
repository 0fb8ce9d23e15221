//! Projected volumes: several sources in one directory. Trust bundles and pod certificates are gone by now, as
//! defaulting drops them.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ProjectedVolumeSource, ServiceAccountTokenProjection, VolumeProjection};

use super::errors::Errors;
use super::mounts::not_reserved_path;
use super::volumes::{downward_file, item};
use crate::manifest::field::FieldPath;

/// The whole volume.
pub fn projected(errors: &mut Errors, path: &FieldPath, source: &ProjectedVolumeSource) {
    errors.mode(&path.child("defaultMode"), source.default_mode);
    let mut files = Files::default();
    let sources = path.child("sources");
    for (i, entry) in source.sources.iter().flatten().enumerate() {
        projection(errors, path, &sources.index(i), entry, &mut files);
    }
}

/// The files of all sources so far.
#[derive(Default)]
struct Files<'a>(BTreeSet<&'a str>);

impl<'a> Files<'a> {
    /// Two sources may not write one file; the error sits at the volume and shows `whose`.
    fn add(&mut self, errors: &mut Errors, volume: &FieldPath, file: &'a str, whose: &str) {
        if !self.0.insert(file) {
            errors.invalid(volume, whose, "conflicting duplicate paths");
        }
    }
}

fn projection<'a>(
    errors: &mut Errors,
    volume: &FieldPath,
    path: &FieldPath,
    source: &'a VolumeProjection,
    files: &mut Files<'a>,
) {
    let mut count = 0;
    let named = [
        ("secret", source.secret.as_ref().map(|s| (&s.name, &s.items))),
        ("configMap", source.config_map.as_ref().map(|m| (&m.name, &m.items))),
    ];
    for (kind, given) in named {
        let Some((name, items)) = given else { continue };
        count += 1;
        let path = path.child(kind);
        errors.require_text(&path.child("name"), name);
        let list = path.child("items");
        for (i, entry) in items.iter().flatten().enumerate() {
            item(errors, &list.index(i), entry);
            if !entry.path.is_empty() {
                files.add(errors, volume, &entry.path, name);
            }
        }
    }
    if let Some(downward) = &source.downward_api {
        count += 1;
        for file in downward.items.iter().flatten() {
            downward_file(errors, &path.child("downwardAPI"), file);
            if !file.path.is_empty() {
                files.add(errors, volume, &file.path, &file.path);
            }
        }
    }
    if let Some(token) = &source.service_account_token {
        count += 1;
        token_projection(errors, volume, &path.child("serviceAccountToken"), token);
    }
    if count > 1 {
        errors.forbidden(path, "may not specify more than 1 volume type per source");
    }
}

fn token_projection(errors: &mut Errors, volume: &FieldPath, path: &FieldPath, token: &ServiceAccountTokenProjection) {
    let seconds = token.expiration_seconds.unwrap_or_default();
    let expiration = path.child("expirationSeconds");
    if seconds < 600 {
        errors.invalid(&expiration, seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > 1 << 32 {
        errors.invalid(&expiration, seconds, "may not specify a duration larger than 2^32 seconds");
    }
    // At the volume, not at the token: a quirk of the server.
    if errors.require_text(&volume.child("path"), &token.path) {
        not_reserved_path(errors, &volume.child("path"), &token.path);
    }
}
