//! What a re-applied manifest changes about an object, and whether it can be changed in place. The rules are the API
//! server's ([`crate::manifest::update`]); here is only what it means for `apply`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use crate::manifest::field::FieldError;
use crate::manifest::update;

/// How two manifests of one pod differ.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Not at all.
    None,
    /// In what may change while the pod runs.
    InPlace,
    /// In more, or to what is not valid; the errors are the API server's.
    Refused(Vec<FieldError>),
}

/// Compares a pod's manifest as applied before with a new one, both with their defaults.
pub fn compare(old: &Pod, new: &Pod) -> Change {
    let same_metadata = old.metadata.labels.clone().unwrap_or_default()
        == new.metadata.labels.clone().unwrap_or_default()
        && own_annotations(old) == own_annotations(new);
    // Whatever it says, the pod runs here; what podlet shows (`get -o yaml`) may come back.
    let mut new = new.clone();
    if let (Some(spec), Some(of_old)) = (&mut new.spec, &old.spec) {
        spec.node_name.clone_from(&of_old.node_name);
        // What `podlet debug` has added stays, as with kubectl.
        if spec.ephemeral_containers.is_none() {
            spec.ephemeral_containers.clone_from(&of_old.ephemeral_containers);
        }
    }
    if same_metadata && old.spec.clone().unwrap_or_default() == new.spec.clone().unwrap_or_default() {
        return Change::None;
    }
    let errors = update::pod_or_resize(&new, old);
    if errors.is_empty() { Change::InPlace } else { Change::Refused(errors) }
}

/// The annotation that names the labels and annotations which `label`, `annotate` and `edit` have set: those that a manifest
/// applied later does not name stay, as with kubectl. JSON: `{"labels":["x"],"annotations":["note"]}`.
pub const MARKS: &str = "podlet.dev/marks";

/// What [`MARKS`] holds.
#[derive(Default, Serialize, Deserialize)]
struct Marks {
    #[serde(default)]
    labels: BTreeSet<String>,
    #[serde(default)]
    annotations: BTreeSet<String>,
}

impl Marks {
    fn of(metadata: &ObjectMeta) -> Marks {
        let text = metadata.annotations.as_ref().and_then(|all| all.get(MARKS));
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Without any, no annotation is left.
    fn write(&self, metadata: &mut ObjectMeta) {
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.remove(MARKS);
        if !(self.labels.is_empty() && self.annotations.is_empty()) {
            annotations.insert(MARKS.to_owned(), serde_json::to_string(self).unwrap_or_default());
        }
        metadata.annotations.take_if(|annotations| annotations.is_empty());
    }
}

/// Takes over to what is applied anew the marks that others than its manifest have set. Those that it names are its own from
/// then on.
pub fn keep_marks(new: &mut ObjectMeta, old: &ObjectMeta) {
    let mut marks = Marks::of(old);
    let own =
        |new: &Option<BTreeMap<String, String>>, key: &String| new.as_ref().is_some_and(|new| new.contains_key(key));
    marks.labels.retain(|key| !own(&new.labels, key));
    marks.annotations.retain(|key| !own(&new.annotations, key));
    let kinds =
        [(&marks.labels, &old.labels, &mut new.labels), (&marks.annotations, &old.annotations, &mut new.annotations)];
    for (keys, old, new) in kinds {
        let present = keys.iter().filter_map(|key| old.as_ref()?.get_key_value(key));
        let present: Vec<_> = present.map(|(key, value)| (key.clone(), value.clone())).collect();
        if !present.is_empty() {
            new.get_or_insert_default().extend(present);
        }
    }
    marks.write(new);
}

/// Remembers which marks were set otherwise than by applying.
pub fn note_marks(new: &mut ObjectMeta, old: &ObjectMeta) {
    let mut marks = Marks::of(old);
    let fresh = |new: &Option<BTreeMap<String, String>>, old: &Option<BTreeMap<String, String>>| {
        let new = new.iter().flatten().filter(|(key, _)| !key.starts_with("podlet.dev/"));
        let differs = |(key, value): &(&String, &String)| old.as_ref().and_then(|old| old.get(*key)) != Some(*value);
        new.filter(differs).map(|(key, _)| key.clone()).collect::<Vec<_>>()
    };
    marks.labels.extend(fresh(&new.labels, &old.labels));
    marks.annotations.extend(fresh(&new.annotations, &old.annotations));
    marks.labels.retain(|key| new.labels.as_ref().is_some_and(|all| all.contains_key(key)));
    marks.annotations.retain(|key| new.annotations.as_ref().is_some_and(|all| all.contains_key(key)));
    marks.write(new);
}

fn own_annotations(pod: &Pod) -> Vec<(&String, &String)> {
    pod.metadata.annotations.iter().flatten().filter(|(key, _)| !key.starts_with("podlet.dev/")).collect()
}

/// kubectl's text for what a server calls invalid: on one line, or as a list; each text once.
pub fn invalid(kind: &str, name: &str, errors: &[FieldError]) -> String {
    let mut seen = HashSet::new();
    let texts: Vec<String> = errors.iter().map(ToString::to_string).filter(|text| seen.insert(text.clone())).collect();
    match texts.as_slice() {
        [one] => format!("The {kind} {name:?} is invalid: {one}"),
        _ => format!("The {kind} {name:?} is invalid: \n* {}", texts.join("\n* ")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn pod(spec: serde_json::Value) -> Pod {
        let mut pod = serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": spec})).unwrap();
        crate::manifest::default::pod(&mut pod);
        pod
    }

    #[test]
    fn the_servers_rule_decides() {
        let image = |image: &str| json!([{"name": "m", "image": image}]);
        let old = pod(json!({"containers": image("i:1")}));
        assert_eq!(compare(&old, &old), Change::None);
        assert_eq!(compare(&old, &pod(json!({"containers": image("i:2")}))), Change::InPlace);
        let Change::Refused(errors) = compare(&old, &pod(json!({"containers": image("i:1"), "hostNetwork": true})))
        else {
            panic!("hostNetwork cannot change")
        };
        let text = invalid("Pod", "web", &errors);
        assert!(
            text.starts_with("The Pod \"web\" is invalid: spec: Forbidden: pod updates may not change fields"),
            "{text}"
        );
        assert!(text.contains("+  \"HostNetwork\": true,"), "{text}");
    }

    #[test]
    fn several_errors_are_a_list() {
        let error = |path: &str| FieldError::forbidden(&path, "no");
        let text = invalid("Pod", "web", &[error("a"), error("b"), error("a")]);
        assert_eq!(text, "The Pod \"web\" is invalid: \n* a: Forbidden: no\n* b: Forbidden: no");
    }
}
