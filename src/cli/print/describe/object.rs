//! Descriptions of ConfigMaps, Secrets and events. A Secret's values are never shown, only their lengths.

use k8s_openapi::api::core::v1::{ConfigMap, Event, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::page::Page;

fn head(page: &mut Page, metadata: &ObjectMeta) {
    page.field(0, "Name", metadata.name.as_deref().unwrap_or_default());
    page.field(0, "Namespace", metadata.namespace.as_deref().unwrap_or_default());
    page.map(0, "Labels", metadata.labels.as_ref());
    page.annotations(0, metadata.annotations.as_ref());
}

/// A ConfigMap's; the line of events is left out on demand.
pub fn config_map(map: &ConfigMap, with_events: bool) -> String {
    let mut page = Page::new();
    head(&mut page, &map.metadata);
    page.line(0, "\nData\n====");
    for (key, value) in map.data.iter().flatten() {
        page.line(0, format_args!("{key}:\n----\n{value}\n"));
    }
    page.line(0, "\nBinaryData\n====");
    for (key, value) in map.binary_data.iter().flatten() {
        page.line(0, format_args!("{key}: {} bytes", value.0.len()));
    }
    page.line(0, "");
    if with_events {
        page.field(0, "Events", "<none>");
    }
    page.finish()
}

/// A Secret's.
pub fn secret(secret: &Secret) -> String {
    let mut page = Page::new();
    head(&mut page, &secret.metadata);
    page.line(0, format_args!("\nType:\t{}", secret.type_.as_deref().unwrap_or_default()));
    page.line(0, "\nData\n====");
    for (key, value) in secret.data.iter().flatten() {
        page.field(0, key, format_args!("{} bytes", value.0.len()));
    }
    page.finish()
}

/// An event's: its fields one by one.
pub fn event(event: &Event) -> String {
    let mut page = Page::new();
    head(&mut page, &event.metadata);
    if let Value::Object(fields) = crate::cli::print::wire::event(event) {
        for (key, value) in fields.iter().filter(|(key, _)| *key != "metadata") {
            let label = title(key);
            match value {
                Value::Object(inner) if !inner.is_empty() => {
                    page.line(0, format_args!("{label}:"));
                    inner.iter().for_each(|(key, value)| page.field(1, &title(key), plain(value)));
                }
                other => page.field(0, &label, plain(other)),
            }
        }
    }
    page.finish()
}

/// `involvedObject` as `Involved Object`.
fn title(key: &str) -> String {
    let mut text = String::new();
    for (index, character) in key.chars().enumerate() {
        if index > 0 && character.is_uppercase() {
            text.push(' ');
        }
        text.extend(if index == 0 { character.to_uppercase().collect::<Vec<_>>() } else { vec![character] });
    }
    text
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        Value::Object(_) => String::new(),
        other => other.to_string(),
    }
}
