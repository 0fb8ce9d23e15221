//! Typed objects as the API server sends them. Its JSON names some fields although they are absent; k8s-openapi leaves
//! every absent field out. Readers in other languages count on them, and `get -o json` is compared byte for byte.

use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Secret};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::manifest::Object;

/// A pod.
pub fn pod(pod: &Pod) -> Value {
    let mut value = of(pod);
    set_absent(&mut value, &["metadata"], json!({}));
    set_absent(&mut value, &["status"], json!({}));
    for kind in ["containers", "initContainers", "ephemeralContainers"] {
        for container in items(&mut value, &["spec", kind]) {
            set_absent(container, &["resources"], json!({}));
        }
    }
    for condition in items(&mut value, &["status", "conditions"]) {
        set_absent(condition, &["lastProbeTime"], Value::Null);
        set_absent(condition, &["lastTransitionTime"], Value::Null);
    }
    for kind in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        for status in items(&mut value, &["status", kind]) {
            for state in ["state", "lastState"] {
                set_absent(status, &[state], json!({}));
                // Only what is there gets fields.
                set_within(status, &[state, "running"], &["startedAt"]);
                set_within(status, &[state, "terminated"], &["startedAt", "finishedAt"]);
            }
        }
    }
    value
}

/// An event.
pub fn event(event: &Event) -> Value {
    let mut value = of(event);
    for (field, absent) in [
        ("eventTime", Value::Null),
        ("firstTimestamp", Value::Null),
        ("lastTimestamp", Value::Null),
        ("reportingComponent", json!("")),
        ("reportingInstance", json!("")),
        ("source", json!({})),
    ] {
        set_absent(&mut value, &[field], absent);
    }
    value
}

/// An `EventList`, as `events` prints it.
pub fn event_list(events: &[Event]) -> Value {
    let items: Vec<Value> = events.iter().map(event).collect();
    json!({"apiVersion": "v1", "items": items, "kind": "EventList", "metadata": {}})
}

/// A ConfigMap.
pub fn config_map(map: &ConfigMap) -> Value {
    of(map)
}

/// A Secret.
pub fn secret(secret: &Secret) -> Value {
    of(secret)
}

/// Whatever a manifest holds.
pub fn object(object: &Object) -> Value {
    match object {
        Object::Pod(it) => pod(it),
        Object::ConfigMap(map) => config_map(map),
        Object::Secret(it) => secret(it),
    }
}

/// A `v1.List` of objects, as `get` prints several.
pub fn list(items: Vec<Value>) -> Value {
    json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}})
}

fn of(object: &impl Serialize) -> Value {
    // Types of k8s-openapi have text keys and no numbers out of JSON's range: this does not fail.
    serde_json::to_value(object).unwrap_or(Value::Null)
}

fn at<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, key| value.get_mut(*key))
}

fn items<'a>(value: &'a mut Value, path: &[&str]) -> impl Iterator<Item = &'a mut Value> {
    at(value, path).and_then(Value::as_array_mut).into_iter().flatten()
}

fn object_at<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    at(value, path).and_then(Value::as_object_mut)
}

fn set_absent(value: &mut Value, path: &[&str], absent: Value) {
    if let Some((last, path)) = path.split_last()
        && let Some(object) = object_at(value, path)
    {
        object.entry(*last).or_insert(absent);
    }
}

fn set_within(value: &mut Value, path: &[&str], fields: &[&str]) {
    if let Some(object) = object_at(value, path) {
        for field in fields {
            object.entry(*field).or_insert(Value::Null);
        }
    }
}
