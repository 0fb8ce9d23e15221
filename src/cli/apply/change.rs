//! What a re-applied manifest changes about an object, and whether it can be changed in place. The rules are the API
//! server's ([`crate::manifest::update`]); here is only what it means for `apply`.

use std::collections::HashSet;

use k8s_openapi::api::core::v1::Pod;

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
    let mut of_new = new.spec.clone().unwrap_or_default();
    let of_old = old.spec.clone().unwrap_or_default();
    // Set by podlet where the manifest leaves it open.
    if of_new.node_name.is_none() {
        of_new.node_name.clone_from(&of_old.node_name);
    }
    if same_metadata && of_old == of_new {
        return Change::None;
    }
    match update::pod(new, old) {
        errors if errors.is_empty() => Change::InPlace,
        errors => Change::Refused(errors),
    }
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
