//! Rows of ConfigMaps and Secrets in `get`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::age;
use super::table::{Column, Row, columns};

/// Of `get configmaps`.
pub fn config_map_columns() -> Vec<Column> {
    columns(&["NAME", "DATA", "AGE"], &[])
}

/// Of `get secrets`.
pub fn secret_columns() -> Vec<Column> {
    columns(&["NAME", "TYPE", "DATA", "AGE"], &[])
}

fn row(metadata: &ObjectMeta, middle: Vec<String>, now: Timestamp) -> Row {
    let mut cells = vec![metadata.name.clone().unwrap_or_default()];
    cells.extend(middle);
    cells.push(age::since(metadata.creation_timestamp.as_ref(), now));
    Row {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        labels: metadata.labels.clone().unwrap_or_default(),
        cells,
    }
}

/// Counts text and binary entries together.
pub fn config_map_row(map: &ConfigMap, now: Timestamp) -> Row {
    let entries = map.data.iter().flatten().count() + map.binary_data.iter().flatten().count();
    row(&map.metadata, vec![entries.to_string()], now)
}

/// The values are never shown.
pub fn secret_row(secret: &Secret, now: Timestamp) -> Row {
    let entries = secret.data.iter().flatten().count();
    row(&secret.metadata, vec![secret.type_.clone().unwrap_or_default(), entries.to_string()], now)
}
