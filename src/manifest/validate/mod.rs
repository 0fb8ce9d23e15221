//! Validation of defaulted objects as the API server does it: every error, in its order. (Skeleton.)

pub mod names;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};

use super::field::FieldError;
use super::node::Node;

/// The errors of a defaulted pod; `tree` is what was written.
pub fn pod(pod: &Pod, tree: &Node) -> Vec<FieldError> {
    let _ = (pod, tree);
    Vec::new()
}

/// The errors of a ConfigMap.
pub fn config_map(map: &ConfigMap, tree: &Node) -> Vec<FieldError> {
    let _ = (map, tree);
    Vec::new()
}

/// The errors of a Secret.
pub fn secret(secret: &Secret, tree: &Node) -> Vec<FieldError> {
    let _ = (secret, tree);
    Vec::new()
}
