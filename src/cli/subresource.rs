//! `--subresource` of verbs that change objects: of a pod only what `resize` has, resources of its containers. Its status is
//! podlet's alone to write, and its ephemeral containers come by `debug`.

use serde_json::Value;

use super::print::wire;
use super::resource::Kind;
use super::targets::Target;
use super::{Caller, Failure, ask, revision};
use crate::manifest::Object;

/// What of an object is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// `--subresource=resize`.
    Resources,
}

impl Part {
    /// Reads the flag.
    pub fn parse(word: Option<&str>) -> Result<Part, Failure> {
        let why = match word.unwrap_or_default() {
            "" => return Ok(Part::Whole),
            "resize" => return Ok(Part::Resources),
            "status" => "; podlet alone writes a pod's status, by what its containers do",
            "ephemeralcontainers" => "; podlet debug POD --image=IMAGE adds an ephemeral container",
            _ => "",
        };
        let word = word.unwrap_or_default();
        Err(Failure::Error(format!("invalid subresource value: {word:?}. Must be one of [resize]{why}")))
    }

    /// What becomes of the one object if this part of the other is put there.
    pub fn of(self, kind: Kind, before: &Value, after: Value) -> Result<Value, Failure> {
        match (self, kind) {
            (Part::Whole, _) => Ok(after),
            (Part::Resources, Kind::Pod) => Ok(with_resources(before, &after)),
            (Part::Resources, _) => Err(super::raw::not_there()),
        }
    }
}

/// The object that is there with the resources of this one.
pub fn resized(new: &Object, caller: &mut Caller<'_>) -> Result<Object, Failure> {
    let Target { kind, namespace, name } = revision::target(new);
    let live =
        ask::find(&caller.paths, kind, &namespace, &name)?.ok_or_else(|| Failure::not_found(kind.plural(), &name))?;
    let wished = Part::Resources.of(kind, live.wire(), wire::object(new))?;
    revision::from_wire(&wished, caller)
}

/// A pod with the resources of another, which is what the API's `resize` takes: whatever else a patch says is dropped without a
/// word. Containers that come, go or change places are left for validation to refuse.
fn with_resources(before: &Value, after: &Value) -> Value {
    let list = |pod: &Value, kind: &str| pod.pointer(&format!("/spec/{kind}")).and_then(Value::as_array).cloned();
    let names = |list: &Option<Vec<Value>>| {
        list.iter().flatten().map(|container| container.get("name").cloned()).collect::<Vec<_>>()
    };
    let mut pod = before.clone();
    for kind in ["containers", "initContainers"] {
        let (old, new) = (list(before, kind), list(after, kind));
        if names(&old) != names(&new) {
            return after.clone();
        }
        let containers = pod.pointer_mut(&format!("/spec/{kind}")).and_then(Value::as_array_mut);
        for (container, new) in containers.into_iter().flatten().zip(new.into_iter().flatten()) {
            take(container, &new, &["resources", "resizePolicy"]);
        }
    }
    if let (Some(spec), Some(new)) = (pod.get_mut("spec"), after.get("spec")) {
        take(spec, new, &["resources"]);
    }
    pod
}

/// Gives an object these fields of another, or takes them away where that has none.
fn take(object: &mut Value, from: &Value, fields: &[&str]) {
    let Some(object) = object.as_object_mut() else { return };
    for field in fields {
        match from.get(field) {
            Some(value) => drop(object.insert((*field).to_owned(), value.clone())),
            None => drop(object.remove(*field)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_resize_takes_resources_alone() {
        let resized =
            |container: Value| json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container], "k": 2}});
        let one = json!({"spec": {"containers": [{"name": "a", "image": "x:1", "resizePolicy": []}], "k": 1}});
        let new = resized(json!({"name": "a", "image": "x:2", "resources": {"limits": {"cpu": 1}}}));
        let expected = json!({"spec": {"containers": [{"name": "a", "image": "x:1", "resources": {"limits": {"cpu": 1}}}], "k": 1}});
        assert_eq!(with_resources(&one, &new), expected);
        let other = resized(json!({"name": "b"}));
        assert_eq!(with_resources(&one, &other), other);
    }
}
