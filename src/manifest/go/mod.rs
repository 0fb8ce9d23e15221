//! Objects as the API server's own types print them: the names and order of its Go structs, every field, `null` for
//! what is not there.
//!
//! The server shows these where an error quotes a whole struct, and in the comparison of two specs that a refused change
//! of a pod comes with. Its internal types (`pkg/apis/core/types.go` of Kubernetes 1.36) have no JSON tags, and keep
//! `hostNetwork`, `hostPID`, `hostIPC`, `shareProcessNamespace` and `hostUsers` in the pod's security context.

mod structs;

use k8s_openapi::api::core::v1::{NodeSelectorTerm, PodResourceClaim, PodSpec, SeccompProfile, SecurityContext};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::field::escape_html;

/// A value in the server's own form.
#[derive(Clone, Debug)]
pub enum GoValue {
    /// Anything without names of its own.
    Plain(Value),
    /// A struct, in its order.
    Struct(Vec<(&'static str, GoValue)>),
    /// A struct among whose fields those of `metadata` are mixed.
    WithMetadata(serde_json::Map<String, Value>, Vec<(&'static str, GoValue)>),
    /// A list.
    List(Vec<GoValue>),
}

impl Serialize for GoValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(value) => value.serialize(serializer),
            Self::List(list) => list.serialize(serializer),
            Self::Struct(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, value))),
            Self::WithMetadata(metadata, fields) => {
                let mut map = serializer.serialize_map(Some(metadata.len() + fields.len()))?;
                for (name, value) in metadata {
                    map.serialize_entry(name, value)?;
                }
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// A container's security context.
pub fn security_context(value: &SecurityContext) -> GoValue {
    of(structs::SecurityContext, value)
}

/// A seccomp profile.
pub fn seccomp_profile(value: &SeccompProfile) -> GoValue {
    of(structs::SeccompProfile, value)
}

/// A pod's resource claim.
pub fn resource_claim(value: &PodResourceClaim) -> GoValue {
    of(structs::PodResourceClaim, value)
}

/// A term of a node selector.
pub fn selector_term(value: &NodeSelectorTerm) -> GoValue {
    of(structs::NodeSelectorTerm, value)
}

/// The terms of a node selector.
pub fn selector_terms(value: &[NodeSelectorTerm]) -> GoValue {
    GoValue::List(value.iter().map(selector_term).collect())
}

/// A pod's spec.
pub fn pod_spec(spec: &PodSpec) -> GoValue {
    let mut value = json(spec);
    if let Value::Object(fields) = &mut value {
        let moved = ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"]
            .map(|name| (name.to_string(), fields.remove(name)));
        let context = fields.entry("securityContext").or_insert_with(|| Value::Object(Default::default()));
        if let Value::Object(context) = context {
            context.extend(moved.into_iter().filter_map(|(name, value)| Some((name, value?))));
        }
    }
    render(structs::PodSpec, value)
}

/// As text with one blank of indentation, as Go's `MarshalIndent` writes it.
pub fn pretty(value: &GoValue) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // Writing to memory cannot fail, and the keys are strings.
    let _ = value.serialize(&mut serializer);
    escape_html(String::from_utf8_lossy(&bytes).into_owned())
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn of(rows: &[Row], value: &impl Serialize) -> GoValue {
    render(rows, json(value))
}

/// A field: its name in Go and in JSON, what stands there when it is not given, and the struct that it holds.
struct Row {
    go: &'static str,
    json: &'static str,
    absent: Absent,
    of: Option<&'static [Row]>,
}

#[derive(Clone, Copy)]
enum Absent {
    Null,
    EmptyText,
    False,
    Zero,
    ZeroQuantity,
    EmptyStruct,
}

fn render(rows: &[Row], value: Value) -> GoValue {
    let mut fields = match value {
        Value::Object(fields) => fields,
        Value::Array(items) => {
            return GoValue::List(items.into_iter().map(|item| render(rows, item)).collect());
        }
        other => return GoValue::Plain(other),
    };
    let metadata = fields.remove("metadata");
    let shown = rows
        .iter()
        .map(|row| {
            let value = match (fields.remove(row.json), row.of) {
                (Some(value), Some(inner)) => render(inner, value),
                (Some(value), None) => GoValue::Plain(value),
                (None, inner) => match row.absent {
                    Absent::Null => GoValue::Plain(Value::Null),
                    Absent::EmptyText => GoValue::Plain("".into()),
                    Absent::False => GoValue::Plain(false.into()),
                    Absent::Zero => GoValue::Plain(0.into()),
                    Absent::ZeroQuantity => GoValue::Plain("0".into()),
                    Absent::EmptyStruct => render(inner.unwrap_or_default(), Value::Object(Default::default())),
                },
            };
            (row.go, value)
        })
        .collect();
    match metadata {
        Some(Value::Object(metadata)) => GoValue::WithMetadata(metadata, shown),
        _ => GoValue::Struct(shown),
    }
}
