//! ConfigMaps and Secrets.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use super::errors::Errors;
use super::{metadata, names};
use crate::manifest::field::FieldPath;

/// All values together.
const SIZE_MAX: usize = 1024 * 1024;

/// A ConfigMap.
pub fn config_map(errors: &mut Errors, map: &ConfigMap) {
    metadata::object(errors, &FieldPath::new("metadata"), &map.metadata);
    let (data, binary) = (FieldPath::new("data"), FieldPath::new("binaryData"));
    let mut size = 0;
    for (key, value) in map.data.iter().flatten() {
        let path = data.key(key);
        errors.each(&path, key, names::config_map_key(key));
        if map.binary_data.as_ref().is_some_and(|binary| binary.contains_key(key)) {
            errors.invalid(&path, key, "duplicate of key present in binaryData");
        }
        size += value.len();
    }
    for (key, value) in map.binary_data.iter().flatten() {
        errors.each(&binary.key(key), key, names::config_map_key(key));
        size += value.0.len();
    }
    if size > SIZE_MAX {
        // The path is empty: it is about the whole object.
        errors.too_long(&FieldPath::new(""), SIZE_MAX);
    }
}

/// A Secret, `stringData` already merged.
pub fn secret(errors: &mut Errors, secret: &Secret) {
    metadata::object(errors, &FieldPath::new("metadata"), &secret.metadata);
    let path = FieldPath::new("data");
    let none = BTreeMap::new();
    let data = secret.data.as_ref().unwrap_or(&none);
    for key in data.keys() {
        errors.each(&path.key(key), key, names::config_map_key(key));
    }
    if data.values().map(|value| value.0.len()).sum::<usize>() > SIZE_MAX {
        errors.too_long(&path, SIZE_MAX);
    }
    let has = |key: &str| data.contains_key(key);
    match secret.type_.as_deref().unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            const NAME: &str = "kubernetes.io/service-account.name";
            let annotation = secret.metadata.annotations.as_ref().and_then(|a| a.get(NAME));
            if annotation.is_none_or(|name| name.is_empty()) {
                errors.required(&FieldPath::new("metadata").child("annotations").key(NAME), "");
            }
        }
        "kubernetes.io/dockercfg" => json_map(errors, &path, data, ".dockercfg"),
        "kubernetes.io/dockerconfigjson" => json_map(errors, &path, data, ".dockerconfigjson"),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            errors.required(&path.key("username"), "");
            errors.required(&path.key("password"), "");
        }
        "kubernetes.io/ssh-auth" if data.get("ssh-privatekey").is_none_or(|key| key.0.is_empty()) => {
            errors.required(&path.key("ssh-privatekey"), "");
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"] {
                if !has(key) {
                    errors.required(&path.key(key), "");
                }
            }
        }
        _ => {}
    }
}

/// A key that must hold a JSON object; what it holds is never shown.
fn json_map(errors: &mut Errors, path: &FieldPath, data: &BTreeMap<String, ByteString>, key: &str) {
    let path = path.key(key);
    let Some(value) = data.get(key) else { return errors.required(&path, "") };
    if let Some(reason) = json_object_error(&value.0) {
        errors.invalid(&path, "<secret contents redacted>", reason);
    }
}

/// Why bytes are no JSON object; a cluster words the details of broken JSON otherwise, but no content is given away.
fn json_object_error(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return Some("unexpected end of JSON input".into());
    }
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(serde_json::Value::Object(_) | serde_json::Value::Null) => None,
        Ok(other) => {
            let kind = match other {
                serde_json::Value::Array(_) => "array",
                serde_json::Value::String(_) => "string",
                serde_json::Value::Bool(_) => "bool",
                _ => "number",
            };
            Some(format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"))
        }
        Err(error) if error.is_eof() => Some("unexpected end of JSON input".into()),
        Err(error) => Some(format!("invalid JSON at line {}, column {}", error.line(), error.column())),
    }
}
