//! What may change when a manifest is applied to an object that is there.
//!
//! `apply` asks with the new and the old pod, both as `load` gives them (without what podlet itself writes while the pod
//! runs). Metadata, images, a lower `activeDeadlineSeconds`, more tolerations and fewer scheduling gates are taken;
//! anything else is refused with the API server's words and its comparison of the two specs
//! (`ValidatePodUpdate` of Kubernetes 1.36). ConfigMaps and Secrets change freely unless they say `immutable`.

mod gated;

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, Pod, PodSchedulingGate, PodSpec, ResourceRequirements, Secret, Toleration,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;
use std::collections::{BTreeMap, HashSet};

use super::containers;
use super::field::{FieldError, FieldPath, Shown};
use super::go;
use super::resources::{qos_class, worth};
use super::unified_diff::unified_diff;
use super::validate::{self, Errors, MIRROR};
use crate::pod::resize::is_resized;

const UPDATABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
    `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
    tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The errors of changing `old` into `new`; none when the change can be made in place.
pub fn pod(new: &Pod, old: &Pod) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let (Some(mut spec), Some(old_spec)) = (new.spec.clone(), &old.spec) else { return errors.into_list() };
    if spec.node_name.is_none() {
        // Applying leaves alone what the manifest never said; a scheduler may have said it.
        spec.node_name.clone_from(&old_spec.node_name);
    }
    validate::metadata_and_spec(&mut errors, new, &spec);
    annotation_changes(&mut errors, new, old);
    validate::pod_annotations(&mut errors, new, &spec);

    let path = FieldPath::new("spec");
    let none = Vec::new();
    let init = |spec: &PodSpec| spec.init_containers.clone().unwrap_or_default();
    if !same_containers(&mut errors, &path.child("containers"), &spec.containers, &old_spec.containers)
        || !same_containers(&mut errors, &path.child("initContainers"), &init(&spec), &init(old_spec))
        || !deadline(&mut errors, &path.child("activeDeadlineSeconds"), &spec, old_spec)
    {
        return errors.into_list();
    }
    added_tolerations(&mut errors, &path.child("tolerations"), &spec, old_spec.tolerations.as_ref().unwrap_or(&none));
    deleted_gates(
        &mut errors,
        &path.child("schedulingGates"),
        spec.scheduling_gates.as_deref().unwrap_or_default(),
        old_spec.scheduling_gates.as_deref().unwrap_or_default(),
    );

    // What may change is put back; whatever differs still may not.
    let mut masked = spec;
    for (container, old) in masked.containers.iter_mut().zip(&old_spec.containers) {
        container.image.clone_from(&old.image);
    }
    for (container, old) in masked.init_containers.iter_mut().flatten().zip(init(old_spec)) {
        container.image = old.image;
    }
    masked.active_deadline_seconds = old_spec.active_deadline_seconds;
    masked.scheduling_gates.clone_from(&old_spec.scheduling_gates);
    masked.tolerations.clone_from(&old_spec.tolerations);
    gated::changes(&mut errors, &path, &mut masked, old_spec);
    if old_spec.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0)
        && masked.termination_grace_period_seconds == Some(1)
    {
        masked.termination_grace_period_seconds = old_spec.termination_grace_period_seconds;
    }
    if by_worth(&masked) != by_worth(old_spec) {
        let [before, after] = [old_spec, &masked].map(|spec| go::pretty(&go::pod_spec(spec)));
        errors.forbidden(&path, format!("{UPDATABLE}\n{}", unified_diff(&before, &after)));
    }
    errors.into_list()
}

/// The errors of changing `old` into `new`, cpu and memory included: kubectl asks for a resize by another way
/// (`--subresource=resize`), for podlet the manifest is enough. None when all of it can be done in place.
pub fn pod_or_resize(new: &Pod, old: &Pod) -> Vec<FieldError> {
    match resize(new, old) {
        None => pod(new, old),
        Some(mut errors) => {
            errors.extend(pod(new, &with_resources_of(old, new)));
            errors
        }
    }
}

/// The errors of changing cpu and memory of `old` to what `new` has (`ValidatePodResize`); what else differs is not looked at.
/// Nothing when these are the same.
pub fn resize(new: &Pod, old: &Pod) -> Option<Vec<FieldError>> {
    let (spec, old_spec) = (new.spec.as_ref()?, old.spec.as_ref()?);
    if !is_resized(old, new) {
        return None;
    }
    let mut errors = Errors::default();
    if old.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(MIRROR)) {
        errors.forbidden(&FieldPath::new(""), "static pods cannot be resized");
        return Some(errors.into_list());
    }
    let path = FieldPath::new("spec");
    let class = qos_class(old_spec);
    if class != qos_class(spec) {
        errors.invalid(&path, class, "Pod QOS Class may not change as a result of resizing");
    }
    let of_pod = path.child("resources");
    match (&old_spec.resources, &spec.resources) {
        (Some(_), None) => errors.forbidden(&of_pod, "pod-level resources cannot be removed"),
        (Some(before), Some(after)) => {
            removed(&mut errors, &of_pod, before, after, "pod-level resource requests", "pod-level resource limits");
        }
        (None, _) => {}
    }
    let none = Vec::new();
    let lists = [
        ("initContainers", old_spec.init_containers.as_ref().unwrap_or(&none), spec.init_containers.as_ref()),
        ("containers", &old_spec.containers, Some(&spec.containers)),
    ];
    for (list, before, after) in lists {
        let list = path.child(list);
        for (i, (before, after)) in before.iter().zip(after.into_iter().flatten()).enumerate() {
            let entry = list.index(i);
            let (of_before, of_after) =
                (before.resources.clone().unwrap_or_default(), after.resources.clone().unwrap_or_default());
            let resources = entry.child("resources");
            removed(&mut errors, &resources, &of_before, &of_after, "resource requests", "resource limits");
        }
    }
    Some(errors.into_list())
}

/// What was named before must be named now.
fn removed(
    errors: &mut Errors,
    path: &FieldPath,
    before: &ResourceRequirements,
    after: &ResourceRequirements,
    requests: &str,
    limits: &str,
) {
    let lacks = |before: &Option<BTreeMap<String, Written>>, after: &Option<BTreeMap<String, Written>>| {
        let after = after.as_ref();
        before.iter().flatten().any(|(name, _)| !after.is_some_and(|after| after.contains_key(name)))
    };
    if lacks(&before.requests, &after.requests) {
        errors.forbidden(&path.child("requests"), format!("{requests} cannot be removed"));
    }
    if lacks(&before.limits, &after.limits) {
        errors.forbidden(&path.child("limits"), format!("{limits} cannot be removed"));
    }
}

/// `old` with the cpu and memory of `new`, container by container.
pub fn with_resources_of(old: &Pod, new: &Pod) -> Pod {
    fn take(old: &mut Option<ResourceRequirements>, new: Option<&ResourceRequirements>) {
        for name in ["cpu", "memory"] {
            let pick = |list: fn(&ResourceRequirements) -> &Option<BTreeMap<String, Written>>| {
                new.and_then(|new| list(new).as_ref()?.get(name).cloned())
            };
            let (request, limit) = (pick(|r| &r.requests), pick(|r| &r.limits));
            let old = old.get_or_insert_default();
            for (list, amount) in [(&mut old.requests, request), (&mut old.limits, limit)] {
                match amount {
                    Some(amount) => drop(list.get_or_insert_default().insert(name.to_owned(), amount)),
                    None => drop(list.as_mut().and_then(|list| list.remove(name))),
                }
                list.take_if(|list| list.is_empty());
            }
        }
    }
    let mut old = old.clone();
    let (Some(spec), Some(of_new)) = (&mut old.spec, &new.spec) else { return old };
    if spec.resources.is_some() || of_new.resources.is_some() {
        take(&mut spec.resources, of_new.resources.as_ref());
    }
    let init = spec.init_containers.iter_mut().flatten().zip(of_new.init_containers.iter().flatten());
    for (container, new) in init.chain(spec.containers.iter_mut().zip(&of_new.containers)) {
        take(&mut container.resources, new.resources.as_ref());
    }
    old
}

/// The errors of adding ephemeral containers to `old` (`ValidatePodEphemeralContainersUpdate`); what else differs is not looked
/// at. `new` has its defaults.
pub fn ephemeral_containers(new: &Pod, old: &Pod) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let default = PodSpec::default();
    validate::metadata_and_spec(&mut errors, new, new.spec.as_ref().unwrap_or(&default));
    let spec = FieldPath::new("spec");
    let path = spec.child("ephemeralContainers");
    for before in containers::ephemeral(old) {
        match containers::ephemeral(new).find(|container| container.name == before.name) {
            None => {
                let text = format!("existing ephemeral containers {:?} may not be removed\n", before.name);
                errors.forbidden(&path, text);
            }
            Some(after) if after != before => {
                let text = format!("existing ephemeral containers {:?} may not be changed", before.name);
                errors.forbidden(&path, text);
            }
            Some(_) => {}
        }
    }
    errors.into_list()
}

/// The errors of changing one ConfigMap into another (`ValidateConfigMapUpdate`).
pub fn config_map(new: &ConfigMap, old: &ConfigMap) -> Vec<FieldError> {
    let mut errors = Errors::default();
    if old.immutable == Some(true) {
        stays(&mut errors, "immutable", new.immutable == Some(true));
        stays(&mut errors, "data", filled(&new.data) == filled(&old.data));
        stays(&mut errors, "binaryData", filled(&new.binary_data) == filled(&old.binary_data));
    }
    errors.into_list()
}

/// The errors of changing one Secret into another (`ValidateSecretUpdate`). No value is shown.
pub fn secret(new: &Secret, old: &Secret) -> Vec<FieldError> {
    let mut errors = Errors::default();
    if new.type_ != old.type_ {
        let shown = Shown::json(&new.type_.as_deref().unwrap_or_default());
        errors.invalid(&FieldPath::new("type"), shown, "field is immutable");
    }
    if old.immutable == Some(true) {
        stays(&mut errors, "immutable", new.immutable == Some(true));
        stays(&mut errors, "data", filled(&new.data) == filled(&old.data));
    }
    errors.into_list()
}

/// A field of an immutable object.
fn stays(errors: &mut Errors, field: &'static str, same: bool) {
    if !same {
        errors.forbidden(&FieldPath::new(field), "field is immutable when `immutable` is set");
    }
}

/// Nothing and an empty map are the same.
fn filled<V>(map: &Option<BTreeMap<String, V>>) -> Option<&BTreeMap<String, V>> {
    map.as_ref().filter(|map| !map.is_empty())
}

fn annotation_changes(errors: &mut Errors, new: &Pod, old: &Pod) {
    let empty = BTreeMap::new();
    let (new, old) =
        (new.metadata.annotations.as_ref().unwrap_or(&empty), old.metadata.annotations.as_ref().unwrap_or(&empty));
    let meta = FieldPath::new("metadata");
    let path = meta.child("annotations");
    for (key, _) in old.iter().filter(|(key, value)| new.get(*key) != Some(value)) {
        if key.starts_with(APPARMOR) {
            errors.forbidden(&path.key(key), "may not remove or update AppArmor annotations");
        } else if key == MIRROR {
            errors.forbidden(&path.key(key), "may not remove or update mirror pod annotation");
        }
    }
    for key in new.keys().filter(|key| !old.contains_key(*key)) {
        if key.starts_with(APPARMOR) {
            errors.forbidden(&path.key(key), "may not add AppArmor annotations");
        } else if key == MIRROR {
            errors.forbidden(&path.key(key), "may not add mirror pod annotation");
        }
    }
}

/// As many as before; false means that there is no sense in looking further.
fn same_containers(errors: &mut Errors, path: &FieldPath, new: &[Container], old: &[Container]) -> bool {
    if new.len() != old.len() {
        errors.forbidden(path, "pod updates may not add or remove containers");
        return false;
    }
    for (i, container) in new.iter().enumerate() {
        let image = container.image.as_deref().unwrap_or_default();
        let path = path.index(i);
        errors.require_text(&path.child("image"), image);
        if image.trim().len() != image.len() {
            errors.invalid(&path.child("image"), image, "must not have leading or trailing whitespace");
        }
    }
    true
}

fn deadline(errors: &mut Errors, path: &FieldPath, new: &PodSpec, old: &PodSpec) -> bool {
    match (new.active_deadline_seconds, old.active_deadline_seconds) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => {
            errors.invalid(path, new, "must be between 0 and 2147483647, inclusive");
            false
        }
        (Some(new), Some(old)) if old < new => {
            errors.invalid(path, new, "must be less than or equal to previous value");
            false
        }
        (None, Some(_)) => {
            errors.invalid(path, Shown::json(&None::<i64>), "must not update from a positive integer to nil value");
            true
        }
        _ => true,
    }
}

fn added_tolerations(errors: &mut Errors, path: &FieldPath, spec: &PodSpec, old: &[Toleration]) {
    let new = spec.tolerations.as_deref().unwrap_or_default();
    let but_seconds = |t: &'_ Toleration| (t.key.clone(), t.operator.clone(), t.value.clone(), t.effect.clone());
    let have: HashSet<_> = new.iter().map(but_seconds).collect();
    if old.iter().all(|old| have.contains(&but_seconds(old))) {
        validate::tolerations(errors, spec);
    } else {
        errors.forbidden(path, "existing toleration can not be modified except its tolerationSeconds");
    }
}

fn deleted_gates(errors: &mut Errors, path: &FieldPath, new: &[PodSchedulingGate], old: &[PodSchedulingGate]) {
    let old: HashSet<&str> = old.iter().map(|gate| gate.name.as_str()).collect();
    for (i, gate) in new.iter().enumerate().filter(|(_, gate)| !old.contains(gate.name.as_str())) {
        let path = path.index(i);
        let text = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.name);
        errors.forbidden(&path.child("name"), text);
    }
}

/// The spec with each amount written in one way, so that `1` and `1000m` are the same.
fn by_worth(spec: &PodSpec) -> PodSpec {
    fn list(list: &mut Option<BTreeMap<String, Written>>) {
        for written in list.iter_mut().flat_map(|list| list.values_mut()) {
            written.0 = worth(written).plain();
        }
    }
    fn both(resources: &mut Option<ResourceRequirements>) {
        if let Some(resources) = resources {
            list(&mut resources.limits);
            list(&mut resources.requests);
        }
    }
    let mut spec = spec.clone();
    spec.containers.iter_mut().for_each(|container| both(&mut container.resources));
    spec.init_containers.iter_mut().flatten().for_each(|container| both(&mut container.resources));
    both(&mut spec.resources);
    list(&mut spec.overhead);
    for limit in spec.volumes.iter_mut().flatten().filter_map(|v| v.empty_dir.as_mut()?.size_limit.as_mut()) {
        limit.0 = worth(limit).plain();
    }
    spec
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::manifest::default;

    fn made(mut spec: serde_json::Value) -> Pod {
        let list = json!([{"name": "m", "image": "i:1", "resources": {"limits": {"cpu": "1"}}}]);
        spec.as_object_mut().unwrap().entry("containers").or_insert(list);
        let mut pod = serde_json::from_value(json!({"metadata": {"name": "x"}, "spec": spec})).unwrap();
        default::pod(&mut pod);
        pod
    }

    fn errors(new: serde_json::Value, old: serde_json::Value) -> Vec<String> {
        pod(&made(new), &made(old)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_may_change_in_place() {
        let none: Vec<String> = Vec::new();
        let image = json!({"containers": [{"name": "m", "image": "i:2", "resources": {"limits": {"cpu": "1000m"}}}]});
        assert_eq!(errors(image, json!({})), none);
        assert_eq!(errors(json!({"activeDeadlineSeconds": 5}), json!({"activeDeadlineSeconds": 9})), none);
        assert_eq!(errors(json!({"tolerations": [{"key": "a", "operator": "Exists"}]}), json!({})), none);
        assert_eq!(errors(json!({}), json!({"nodeName": "here"})), none);
    }

    #[test]
    fn what_may_change_of_a_gated_pod() {
        let gated = |more: serde_json::Value| {
            let mut spec = json!({"schedulingGates": [{"name": "g"}]});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            spec
        };
        let affinity = |terms: serde_json::Value| {
            let required = json!({"nodeSelectorTerms": terms});
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}})
        };
        let exists = |key: &str| json!({"key": key, "operator": "Exists"});
        let none: Vec<String> = Vec::new();
        let one = affinity(json!([{"matchExpressions": [exists("a")]}]));
        let more = affinity(json!([{"matchExpressions": [exists("a"), exists("b")]}]));
        assert_eq!(errors(gated(json!({"nodeSelector": {"a": "b"}})), gated(json!({}))), none);
        assert_eq!(errors(gated(one.clone()), gated(json!({}))), none);
        assert_eq!(errors(gated(more.clone()), gated(one.clone())), none);
        assert_eq!(
            errors(gated(json!({"nodeSelector": {"a": "c"}})), gated(json!({"nodeSelector": {"a": "b"}}))),
            [
                r#"spec.nodeSelector: Invalid value: {"a":"c"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)"#
            ]
        );
        const TERMS: &str =
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
        const TERM: &str = r#"{"MatchExpressions":[{"Key":"a","Operator":"Exists","Values":null}],"MatchFields":null}"#;
        assert_eq!(
            errors(gated(one.clone()), gated(more)),
            [format!("{TERMS}[0]: Invalid value: {TERM}: only additions are allowed (no mutations or deletions)")]
        );
        assert_eq!(
            errors(gated(one.clone()), gated(affinity(json!([{"matchExpressions": [exists("a")]}, {}])))),
            [format!(
                "{TERMS}: Invalid value: [{TERM}]: no additions/deletions to non-empty NodeSelectorTerms list are allowed"
            )]
        );
        assert!(errors(one, json!({}))[0].starts_with("spec: Forbidden: "));
    }

    #[test]
    fn immutable_objects() {
        let map = |value: serde_json::Value| -> ConfigMap { serde_json::from_value(value).unwrap() };
        let texts = |errors: Vec<FieldError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
        let none: Vec<String> = Vec::new();
        let free = map(json!({"data": {"a": "1"}}));
        let fixed = map(json!({"data": {"a": "1"}, "immutable": true}));
        assert_eq!(texts(config_map(&map(json!({"data": {"a": "2"}})), &free)), none);
        assert_eq!(texts(config_map(&fixed, &free)), none);
        assert_eq!(
            texts(config_map(&map(json!({"data": {"a": "1"}, "binaryData": {}, "immutable": true})), &fixed)),
            none
        );
        assert_eq!(
            texts(config_map(&map(json!({"data": {"a": "2"}, "binaryData": {"b": "eA=="}})), &fixed)),
            ["immutable", "data", "binaryData"]
                .map(|field| format!("{field}: Forbidden: field is immutable when `immutable` is set"))
        );
        let made = |value: serde_json::Value| -> Secret { serde_json::from_value(value).unwrap() };
        let old = made(json!({"type": "Opaque", "data": {"a": "eA=="}, "immutable": true}));
        assert_eq!(
            texts(secret(&made(json!({"type": "kubernetes.io/tls", "data": {"a": "eQ=="}, "immutable": true})), &old)),
            [
                "type: Invalid value: \"kubernetes.io/tls\": field is immutable",
                "data: Forbidden: field is immutable when `immutable` is set"
            ]
        );
    }

    #[test]
    fn what_may_not() {
        assert_eq!(
            errors(json!({"activeDeadlineSeconds": 9}), json!({"activeDeadlineSeconds": 5})),
            ["spec.activeDeadlineSeconds: Invalid value: 9: must be less than or equal to previous value"]
        );
        assert_eq!(
            errors(json!({}), json!({"activeDeadlineSeconds": 5})),
            ["spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"]
        );
        let two = json!({"containers": [{"name": "m", "image": "i"}, {"name": "n", "image": "i"}]});
        assert_eq!(
            errors(two, json!({})),
            ["spec.containers: Forbidden: pod updates may not add or remove containers"]
        );
        assert_eq!(
            errors(json!({}), json!({"tolerations": [{"key": "a", "operator": "Exists"}]})),
            ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]
        );
        let refused = errors(json!({"hostNetwork": true, "hostname": "b"}), json!({"hostname": "a"}));
        let text = refused.first().unwrap();
        assert!(text.starts_with(&format!("spec: Forbidden: {UPDATABLE}\n@@ -")), "{text}");
        for line in [
            "-  \"HostNetwork\": false,\n+  \"HostNetwork\": true,\n",
            "- \"Hostname\": \"a\",\n+ \"Hostname\": \"b\",\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
