//! The tree against the field table: every field known, every value of its type, zero values as the API keeps them.
//!
//! What comes out is the JSON that the typed object is made from. Presence and form are settled here, with positions,
//! in the way and the words of the API server's decoder (Go's `encoding/json` in strict, case-sensitive form, keys in
//! sorted order as `sigs.k8s.io/yaml` hands them over). Called by `load`; whether values are good is `validate`'s.

use serde_json::{Map, Value as Json};

use super::budget::{Budget, Exhausted, MAX_FAULTS};
use super::field::{FieldPath, quote};
use super::fields::{Keep, Row, Struct, Type};
use super::node::{Entry, Node, Position, Value};
use super::quantity::Quantity;
use super::scalar::float_text;
use super::suggest;

/// How the server takes a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// It stops at once, before all others.
    Fatal,
    /// It tells the first of them.
    Type,
    /// It tells all of them when there is nothing worse.
    Strict,
}

/// One thing that is wrong in a document's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub position: Position,
    /// Which field.
    pub path: String,
    /// For people.
    pub text: String,
    /// In the server's words.
    pub server: String,
    /// How the server takes it.
    pub gravity: Gravity,
}

/// JSON that fits the typed object, if there are no faults.
#[derive(Debug)]
pub struct Decoded {
    /// The object; what is faulty in it is left out.
    pub json: Json,
    /// What was wrong, in the server's order, the first of each gravity always among them.
    pub faults: Vec<Fault>,
}

/// Decodes a tree into a struct of the table. Null stands for an empty object.
pub fn decode(root: &Node, object: &'static Struct, budget: &mut Budget) -> Result<Decoded, Exhausted> {
    let mut decoder = Decoder { budget, faults: Vec::new(), owner: None, stack: Vec::new() };
    let json = decoder.object(root, object, None)?.unwrap_or(Json::Null);
    Ok(Decoded { json, faults: decoder.faults })
}

struct Decoder<'b> {
    budget: &'b mut Budget,
    faults: Vec<Fault>,
    /// The struct whose field is being decoded, and the way to it, as Go's messages name them.
    owner: Option<&'static str>,
    stack: Vec<&'static str>,
}

type Outcome = Result<Option<Json>, Exhausted>;

impl Decoder<'_> {
    fn fault(&mut self, node: &Node, path: Option<&FieldPath<'_>>, gravity: Gravity, text: String, server: String) {
        if self.faults.len() < MAX_FAULTS || self.faults.iter().all(|fault| fault.gravity != gravity) {
            let path = path.map(ToString::to_string).unwrap_or_default();
            self.faults.push(Fault { position: node.position, path, text, server, gravity });
        }
    }

    /// `json: cannot unmarshal …`.
    fn mismatch(&mut self, node: &Node, path: Option<&FieldPath<'_>>, kind: &Type, gravity: Gravity, go_type: &str) {
        let value = match &node.value {
            Value::Null => "null".to_string(),
            Value::Bool(_) => "bool".to_string(),
            Value::Int(_) | Value::Uint(_) | Value::Float(_) if matches!(go_type, "int32" | "int64") => {
                format!("number {}", number_text(node))
            }
            Value::Int(_) | Value::Uint(_) | Value::Float(_) => "number".to_string(),
            Value::String(_) => "string".to_string(),
            Value::List(_) => "array".to_string(),
            Value::Map(_) => "object".to_string(),
        };
        let server = match self.owner {
            Some(owner) => {
                let stack = self.stack.join(".");
                format!("json: cannot unmarshal {value} into Go struct field {owner}.{stack} of type {go_type}")
            }
            None => format!("json: cannot unmarshal {value} into Go value of type {go_type}"),
        };
        let text = format!("expected {}, found {}{}", kind.in_words(), found(node), advice(node, kind));
        self.fault(node, path, gravity, text, server);
    }

    fn object(&mut self, node: &Node, object: &'static Struct, path: Option<&FieldPath<'_>>) -> Outcome {
        self.budget.typed(object.size)?;
        let entries: &[Entry] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => {
                self.mismatch(node, path, &Type::Object(object), Gravity::Type, &format!("v1.{}", object.name));
                return Ok(None);
            }
        };
        let mut sorted: Vec<&Entry> = entries.iter().collect();
        sorted.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let mut json = Map::new();
        let (outer_owner, outer_depth) = (self.owner, self.stack.len());
        for entry in sorted {
            let here = match path {
                Some(path) => path.child(&entry.key),
                None => FieldPath::new(&entry.key),
            };
            let Some(row) = object.row(&entry.key) else {
                // A hint costs something, and only so many faults are told.
                let told = self.faults.len() < MAX_FAULTS;
                let hint = if told { suggest::field(&entry.key, object, path) } else { String::new() };
                let text =
                    if hint.is_empty() { "unknown field".to_string() } else { format!("unknown field ({hint})") };
                let key = Node { position: entry.position, value: Value::Null };
                self.fault(
                    &key,
                    Some(&here),
                    Gravity::Strict,
                    text,
                    format!("unknown field {}", quote(&here.to_string())),
                );
                continue;
            };
            self.owner = Some(object.name);
            self.stack.extend(row.embedded.split('.').filter(|name| !name.is_empty()));
            self.stack.push(row.name);
            let value = self.value(&entry.value, &row.kind, Some(&here));
            self.stack.truncate(outer_depth);
            self.owner = outer_owner;
            if let Some(value) = value?
                && !(entry.value.is_null() && row.keep == Keep::Pointer)
                && !(row.keep == Keep::OmitEmpty && is_empty(&value, &row.kind))
            {
                json.insert(row.name.to_string(), value);
            }
        }
        for row in object.rows {
            if let Some(zero) = self.absent(row)?
                && !json.contains_key(row.name)
            {
                json.insert(row.name.to_string(), zero);
            }
        }
        Ok(Some(Json::Object(json)))
    }

    /// What the API writes for a field that is not there: structs by value are always there.
    fn absent(&mut self, row: &'static Row) -> Outcome {
        match row.kind {
            _ if row.keep == Keep::Pointer => Ok(None),
            // What only a server writes has no zero worth writing.
            Type::Object(inner) if !matches!(row.name, "status" | "state" | "lastState") => {
                let nothing = Node::absent();
                self.object(&nothing, inner, None)
            }
            Type::Quantity => Ok(Some(Json::from("0"))),
            Type::IntOrString => Ok(Some(Json::from(0))),
            _ => Ok(None),
        }
    }

    fn value(&mut self, node: &Node, kind: &'static Type, path: Option<&FieldPath<'_>>) -> Outcome {
        match kind {
            Type::Object(object) => self.object(node, object, path),
            Type::List(item) => self.list(node, kind, item, path),
            Type::Map(_, item) => self.map(node, kind, item, path),
            Type::Raw => Ok(Some(raw(node))),
            _ => {
                if node.is_null() {
                    return Ok(zero(kind));
                }
                Ok(self.scalar(node, kind, path))
            }
        }
    }

    fn list(&mut self, node: &Node, kind: &'static Type, item: &'static Type, path: Option<&FieldPath<'_>>) -> Outcome {
        match &node.value {
            Value::Null => Ok(None),
            Value::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, value) in items.iter().enumerate() {
                    let here = path.map(|path| path.index(index));
                    list.push(self.value(value, item, here.as_ref())?.or_else(|| zero(item)).unwrap_or(Json::Null));
                }
                Ok(Some(Json::Array(list)))
            }
            _ => {
                self.mismatch(node, path, kind, Gravity::Type, &kind.go_name());
                Ok(None)
            }
        }
    }

    fn map(&mut self, node: &Node, kind: &'static Type, item: &'static Type, path: Option<&FieldPath<'_>>) -> Outcome {
        match &node.value {
            Value::Null => Ok(None),
            Value::Map(entries) => {
                let mut sorted: Vec<&Entry> = entries.iter().collect();
                sorted.sort_unstable_by(|a, b| a.key.cmp(&b.key));
                let mut map = Map::new();
                for entry in sorted {
                    let here = path.map(|path| path.key(&entry.key));
                    if let Some(value) = self.value(&entry.value, item, here.as_ref())?.or_else(|| zero(item)) {
                        map.insert(entry.key.to_string(), value);
                    }
                }
                Ok(Some(Json::Object(map)))
            }
            _ => {
                self.mismatch(node, path, kind, Gravity::Type, &kind.go_name());
                Ok(None)
            }
        }
    }

    fn scalar(&mut self, node: &Node, kind: &'static Type, path: Option<&FieldPath<'_>>) -> Option<Json> {
        match (kind, &node.value) {
            (Type::Bool, Value::Bool(value)) => return Some(Json::from(*value)),
            (Type::Text(_), Value::String(text)) => return Some(Json::from(&**text)),
            (Type::Int32, _) => {
                if let Some(value) = whole(node).and_then(|value| i32::try_from(value).ok()) {
                    return Some(Json::from(value));
                }
            }
            (Type::Int64, _) => {
                if let Some(value) = whole(node) {
                    return Some(Json::from(value));
                }
            }
            (Type::Bytes, Value::String(text)) => match super::base64::decode(text) {
                Ok(_) => return Some(Json::from(text.replace(['\n', '\r'], ""))),
                Err(error) => {
                    let text = format!("not base64: {error}; `stringData` of a Secret takes plain text");
                    self.fault(node, path, Gravity::Type, text, error.to_string());
                    return None;
                }
            },
            (Type::Quantity, value) => {
                let text = match value {
                    Value::String(text) => text.to_string(),
                    Value::List(_) | Value::Map(_) | Value::Bool(_) => "?".to_string(),
                    _ => number_text(node),
                };
                return match Quantity::parse(&text) {
                    Ok(quantity) => Some(Json::from(quantity.to_string())),
                    Err(error) => {
                        let hint = suggest::quantity(&text);
                        let words = format!("expected {}, found {}{hint}", kind.in_words(), found(node));
                        self.fault(node, path, Gravity::Fatal, words, error.to_string());
                        None
                    }
                };
            }
            (Type::IntOrString, Value::String(text)) => return Some(Json::from(&**text)),
            (Type::IntOrString, _) => {
                if let Some(value) = whole(node).and_then(|value| i32::try_from(value).ok()) {
                    return Some(Json::from(value));
                }
                self.mismatch(node, path, kind, Gravity::Fatal, "int32");
                return None;
            }
            (Type::Time, Value::String(text)) => {
                if text.parse::<jiff::Timestamp>().is_ok() {
                    return Some(Json::from(&**text));
                }
                let words = format!("expected {}, found {}", kind.in_words(), found(node));
                let layout = "2006-01-02T15:04:05Z07:00";
                let server =
                    format!("parsing time {0} as {1}: cannot parse {0} as \"2006\"", quote(text), quote(layout));
                self.fault(node, path, Gravity::Fatal, words, server);
                return None;
            }
            (Type::Time, _) => {
                self.mismatch(node, path, kind, Gravity::Fatal, "string");
                return None;
            }
            _ => {}
        }
        self.mismatch(node, path, kind, Gravity::Type, &kind.go_name());
        None
    }
}

/// The number as JSON carries it.
fn number_text(node: &Node) -> String {
    match node.value {
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Float(value) => float_text(value),
        _ => String::new(),
    }
}

/// A whole number; `5.0` and `1e2` are whole, as JSON carries them as 5 and 100.
fn whole(node: &Node) -> Option<i64> {
    match node.value {
        Value::Int(value) => Some(value),
        Value::Float(value) => float_text(value).parse().ok(),
        _ => None,
    }
}

/// What a null is in a place that holds a value.
fn zero(kind: &Type) -> Option<Json> {
    match kind {
        Type::Bool => Some(Json::from(false)),
        Type::Int32 | Type::Int64 | Type::IntOrString => Some(Json::from(0)),
        Type::Text(_) | Type::Bytes => Some(Json::from("")),
        Type::Quantity => Some(Json::from("0")),
        Type::Object(_) | Type::Map(..) => Some(Json::Object(Map::new())),
        Type::List(_) => Some(Json::Array(Vec::new())),
        Type::Time | Type::Raw => None,
    }
}

/// Whether Go's `omitempty` leaves a value out; a struct is never empty.
fn is_empty(value: &Json, kind: &Type) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(value) => !value,
        Json::Number(number) => !matches!(kind, Type::IntOrString) && number.as_i64() == Some(0),
        Json::String(text) => text.is_empty() && !matches!(kind, Type::IntOrString),
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty() && !matches!(kind, Type::Object(_)),
    }
}

/// A value that is kept as it is. The tree's depth is bounded, so recursion is safe.
pub(super) fn raw(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Int(value) => Json::from(*value),
        Value::Uint(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        Value::String(text) => Json::from(&**text),
        Value::List(items) => Json::Array(items.iter().map(raw).collect()),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.to_string(), raw(&entry.value))).collect())
        }
    }
}

/// What stands there, in words.
pub(super) fn found(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".into(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Int(_) | Value::Uint(_) | Value::Float(_) => format!("the number {}", number_text(node)),
        Value::String(text) => format!("the string {}", quote(&shortened(text))),
        Value::List(_) => "a list".into(),
        Value::Map(_) => "a mapping".into(),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_string() } else { text.chars().take(57).chain("...".chars()).collect() }
}

/// What to write instead.
fn advice(node: &Node, kind: &Type) -> &'static str {
    match (kind, &node.value) {
        (Type::Text(_), Value::Bool(_)) => {
            "; yes, no, on, off, y, n, true and false are booleans in Kubernetes' YAML: quote it"
        }
        (Type::Text(_), Value::Int(_) | Value::Uint(_) | Value::Float(_)) => "; quote it",
        (Type::Bool | Type::Int32 | Type::Int64, Value::String(_)) => "; write it without quotes",
        (Type::Int32, Value::Int(_) | Value::Uint(_)) => "; it does not fit 32 bits",
        (Type::List(Type::Text(_)), Value::String(_)) => "; a list is written [a, b] or as lines that begin with `- `",
        (Type::List(_), Value::Map(_)) => "; an entry of a list begins with `- `",
        (Type::Object(_), Value::List(_)) => "; leave out the `- `",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::fields::POD;
    use super::super::yaml;
    use super::*;

    fn faults(text: &str) -> Vec<(String, String)> {
        let mut budget = Budget::default();
        let parsed = yaml::parse(text, 1, &mut budget).unwrap();
        let decoded = decode(&parsed.root, &POD, &mut budget).unwrap();
        decoded.faults.into_iter().map(|fault| (fault.path, fault.server)).collect()
    }

    fn one(text: &str) -> String {
        let faults = faults(text);
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults.into_iter().next().unwrap().1
    }

    #[test]
    fn mismatches_are_in_the_servers_words() {
        let go = |text: &str| one(text).replace("json: cannot unmarshal ", "");
        assert_eq!(go("spec: {hostNetwork: 1}"), "number into Go struct field PodSpec.spec.hostNetwork of type bool");
        assert_eq!(
            go("spec: {containers: {a: b}}"),
            "object into Go struct field PodSpec.spec.containers of type []v1.Container"
        );
        assert_eq!(
            go("spec: {volumes: [{name: v, emptyDir: x}]}"),
            "string into Go struct field Volume.spec.volumes.VolumeSource.emptyDir of type v1.EmptyDirVolumeSource"
        );
        assert_eq!(
            go("spec: {containers: [{ports: [{containerPort: 80.5}]}]}"),
            "number 80.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"
        );
        assert_eq!(
            go("metadata: {labels: {a: 1}}"),
            "number into Go struct field ObjectMeta.metadata.labels of type string"
        );
        assert_eq!(
            go("spec: {containers: [{livenessProbe: {tcpSocket: {port: true}}}]}"),
            "bool into Go struct field TCPSocketAction.spec.containers.livenessProbe.ProbeHandler.tcpSocket.port \
             of type int32"
        );
        assert!(one("spec: {containers: [{resources: {limits: {cpu: x}}}]}").starts_with("quantities must match"));
    }

    #[test]
    fn unknown_fields_are_all_told_in_sorted_order() {
        let found = faults("spec: {zzz: 1, containers: [{foo: 1, name: a, image: i}]}\nbad: 1");
        let servers: Vec<_> = found.into_iter().map(|(_, server)| server).collect();
        assert_eq!(
            servers,
            [r#"unknown field "bad""#, r#"unknown field "spec.containers[0].foo""#, r#"unknown field "spec.zzz""#]
        );
    }

    #[test]
    fn zero_values_are_kept_as_the_api_keeps_them() {
        let mut budget = Budget::default();
        let text = "spec: {hostNetwork: false, nodeName: '', activeDeadlineSeconds: 0, tolerations: [], \
                    containers: [{name: a, env: [{name: A, value: ''}], securityContext: {}}]}";
        let parsed = yaml::parse(text, 1, &mut budget).unwrap();
        let json = decode(&parsed.root, &POD, &mut budget).unwrap().json;
        assert_eq!(
            json["spec"],
            serde_json::json!({
                "activeDeadlineSeconds": 0,
                "containers": [{"name": "a", "env": [{"name": "A"}], "securityContext": {}, "resources": {}}],
            })
        );
    }
}
