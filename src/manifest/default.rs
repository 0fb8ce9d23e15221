//! Defaulting as the API server does it. (Skeleton.)

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};

/// Fills a decoded pod with the API server's defaults.
pub fn pod(pod: &mut Pod) {
    let _ = pod;
}

/// Fills a decoded ConfigMap.
pub fn config_map(map: &mut ConfigMap) {
    let _ = map;
}

/// Fills a decoded Secret: type, `stringData` merged into `data`.
pub fn secret(secret: &mut Secret) {
    let _ = secret;
}
