//! Projected volumes: several sources in one directory.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    ClusterTrustBundleProjection, PodCertificateProjection, ProjectedVolumeSource, ServiceAccountTokenProjection,
    VolumeProjection,
};

use super::errors::Errors;
use super::mounts::not_reserved_path;
use super::names;
use super::volumes::{downward_file, item};
use crate::manifest::field::{FieldPath, Shown, quote};
use crate::manifest::go;

/// The longest life of a pod certificate: 91 days; of Kubernetes' own signers 24 hours.
const CERTIFICATE_MAX: i32 = 91 * 24 * 3600;
const KUBERNETES_CERTIFICATE_MAX: i32 = 24 * 3600;

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
    if let Some(bundle) = &source.cluster_trust_bundle {
        count += 1;
        let path = path.child("clusterTrustBundle");
        trust_bundle(errors, &path, bundle);
        errors.require_text(&path.child("path"), &bundle.path);
        not_reserved_path(errors, &path.child("path"), &bundle.path);
        files.add(errors, volume, &bundle.path, &bundle.path);
    }
    if let Some(certificate) = &source.pod_certificate {
        count += 1;
        let path = path.child("podCertificate");
        pod_certificate(errors, &path, certificate);
        let mut any = false;
        for (name, file) in [
            ("credentialBundlePath", &certificate.credential_bundle_path),
            ("keyPath", &certificate.key_path),
            ("certificateChainPath", &certificate.certificate_chain_path),
        ] {
            if let Some(file) = file.as_deref().filter(|file| !file.is_empty()) {
                any = true;
                not_reserved_path(errors, &path.child(name), file);
                files.add(errors, volume, file, file);
            }
        }
        if !any {
            errors.required(&path, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath");
        }
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

fn trust_bundle(errors: &mut Errors, path: &FieldPath, bundle: &ClusterTrustBundleProjection) {
    match (&bundle.name, &bundle.signer_name) {
        (Some(_), Some(_)) => errors.invalid(
            path,
            Shown::json(&go::cluster_trust_bundle(bundle)),
            "only one of name and signerName may be used",
        ),
        (Some(name), None) => {
            let name_path = path.child("name");
            if name.is_empty() {
                errors.required(&name_path, "must be a valid object name");
            }
            // `example.com:signer:name` belongs to the signer example.com/signer.
            let rest = name.rsplit_once(':').map_or(name.as_str(), |(_, rest)| rest);
            for message in names::dns_subdomain(rest) {
                errors.invalid(&name_path, name, format!("not a valid clustertrustbundlename: {message}"));
            }
            if let Some(selector) = &bundle.label_selector {
                errors.invalid(
                    &path.child("labelSelector"),
                    Shown::json(selector),
                    "labelSelector must be unset if name is specified",
                );
            }
        }
        (None, Some(signer)) => {
            let signer_path = path.child("signerName");
            if signer.is_empty() {
                errors.required(&signer_path, "must be a valid signer name");
            }
            signer_name(errors, &signer_path, signer);
            errors.label_selector(&path.child("labelSelector"), bundle.label_selector.as_ref());
        }
        (None, None) => errors.required(path, "either name or signerName must be specified"),
    }
}

fn pod_certificate(errors: &mut Errors, path: &FieldPath, certificate: &PodCertificateProjection) {
    signer_name(errors, &path.child("signerName"), &certificate.signer_name);
    let annotations = path.child("userAnnotations");
    for key in certificate.user_annotations.iter().flatten().map(|(key, _)| key) {
        let key = key.to_lowercase();
        let messages = names::qualified_name(&key);
        if key.is_empty() {
            errors.required(&annotations, "");
        } else if !messages.is_empty() {
            errors.each(&annotations, &key, messages);
        } else if !key.contains('/') {
            errors.invalid(&annotations, &key, "must be a domain-prefixed key (such as \"acme.io/foo\")");
        }
    }
    const KEY_TYPES: [&str; 6] = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
    if !KEY_TYPES.contains(&certificate.key_type.as_str()) {
        errors.text_not_supported(&path.child("keyType"), &certificate.key_type, &KEY_TYPES);
    }
    if let Some(seconds) = certificate.max_expiration_seconds {
        let path = path.child("maxExpirationSeconds");
        if seconds < 3600 {
            errors.invalid(&path, seconds, "if provided, maxExpirationSeconds must be >= 3600");
        }
        let host = certificate.signer_name.split('/').next().unwrap_or_default();
        let own = host == "kubernetes.io" || host.ends_with(".kubernetes.io");
        let max = if own { KUBERNETES_CERTIFICATE_MAX } else { CERTIFICATE_MAX };
        if seconds > max {
            errors.invalid(&path, seconds, format!("if provided, maxExpirationSeconds must be <= {max}"));
        }
    }
}

/// `example.com/signer-name`.
fn signer_name(errors: &mut Errors, path: &FieldPath, signer: &str) {
    if !errors.require_text(path, signer) {
        return;
    }
    let Some((domain, name)) = signer.split_once('/').filter(|(_, name)| !name.contains('/')) else {
        return errors.invalid(
            path,
            signer,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        );
    };
    if domain.len() > names::SUBDOMAIN_MAX {
        errors.too_long(path, names::SUBDOMAIN_MAX);
    }
    let first_bad = |errors: &mut Errors, text: &str, check: fn(&str) -> names::Messages| {
        for label in text.split('.') {
            let messages = check(label);
            if !messages.is_empty() {
                for message in messages {
                    errors.invalid(path, text, format!("validating label {}: {message}", quote(label)));
                }
                break;
            }
        }
    };
    first_bad(errors, domain, names::dns_label);
    if !domain.contains('.') {
        errors.invalid(path, domain, "should be a domain with at least two segments separated by dots");
    }
    first_bad(errors, name, names::dns_subdomain);
    let max = names::SUBDOMAIN_MAX + (names::SUBDOMAIN_MAX + names::LABEL_MAX + 1) + 1;
    if signer.len() > max {
        errors.too_long(path, max);
    }
}
