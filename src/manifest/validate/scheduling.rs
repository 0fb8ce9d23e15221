//! What only a scheduler reads: affinity, tolerations, spreading, gates. Checked in full, though one machine has nothing
//! to choose from: a manifest that a cluster would refuse is refused here too.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, PodResourceClaim,
    PodSchedulingGate, Toleration, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::errors::Errors;
use super::names;
use crate::manifest::field::{FieldPath, Shown};
use crate::manifest::go;

/// `affinity`.
pub fn affinity(errors: &mut Errors, path: &FieldPath, affinity: &Affinity) {
    if let Some(node) = &affinity.node_affinity {
        node_affinity(errors, &path.child("nodeAffinity"), node);
    }
    if let Some(pod) = &affinity.pod_affinity {
        let path = path.child("podAffinity");
        required_terms(errors, &path, pod.required_during_scheduling_ignored_during_execution.as_deref());
        preferred_terms(errors, &path, pod.preferred_during_scheduling_ignored_during_execution.as_deref());
    }
    if let Some(anti) = &affinity.pod_anti_affinity {
        let path = path.child("podAntiAffinity");
        required_terms(errors, &path, anti.required_during_scheduling_ignored_during_execution.as_deref());
        preferred_terms(errors, &path, anti.preferred_during_scheduling_ignored_during_execution.as_deref());
    }
}

fn node_affinity(errors: &mut Errors, path: &FieldPath, affinity: &NodeAffinity) {
    if let Some(selector) = &affinity.required_during_scheduling_ignored_during_execution {
        let path = path.child("requiredDuringSchedulingIgnoredDuringExecution");
        let path = path.child("nodeSelectorTerms");
        if selector.node_selector_terms.is_empty() {
            errors.required(&path, "must have at least one node selector term");
        }
        for (i, term) in selector.node_selector_terms.iter().enumerate() {
            selector_term(errors, &path.index(i), term, Values::Checked);
        }
    }
    let path = path.child("preferredDuringSchedulingIgnoredDuringExecution");
    for (i, term) in affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten().enumerate() {
        let path = path.index(i);
        weight(errors, &path, term.weight);
        selector_term(errors, &path.child("preference"), &term.preference, Values::OnlyWarned);
    }
}

fn weight(errors: &mut Errors, path: &FieldPath, weight: i32) {
    if !(1..=100).contains(&weight) {
        errors.invalid(&path.child("weight"), weight, "must be in the range 1-100");
    }
}

/// Whether the values of a requirement must be label values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    Checked,
    /// Preferences get a warning instead.
    OnlyWarned,
}

fn selector_term(errors: &mut Errors, path: &FieldPath, term: &NodeSelectorTerm, values: Values) {
    let expressions = path.child("matchExpressions");
    for (i, requirement) in term.match_expressions.iter().flatten().enumerate() {
        expression(errors, &expressions.index(i), requirement, values);
    }
    let fields = path.child("matchFields");
    for (i, requirement) in term.match_fields.iter().flatten().enumerate() {
        node_field(errors, &fields.index(i), requirement);
    }
}

fn expression(errors: &mut Errors, path: &FieldPath, requirement: &NodeSelectorRequirement, check: Values) {
    let (list, values) = (path.child("values"), requirement.values.as_deref().unwrap_or_default());
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => {
            errors.required(&list, "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            errors.forbidden(&list, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        "Gt" | "Lt" if values.len() != 1 => {
            errors.required(&list, "must be specified single value when `operator` is 'Lt' or 'Gt'");
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => errors.invalid(&path.child("operator"), Shown::json(&other), "not a valid selector operator"),
    }
    errors.each(&path.child("key"), &requirement.key, names::qualified_name(&requirement.key));
    if check == Values::Checked {
        errors.label_values(&list, values);
    }
}

fn node_field(errors: &mut Errors, path: &FieldPath, requirement: &NodeSelectorRequirement) {
    let (list, values) = (path.child("values"), requirement.values.as_deref().unwrap_or_default());
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.len() != 1 => {
            errors.required(&list, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")
        }
        "In" | "NotIn" => {}
        other => errors.invalid(&path.child("operator"), Shown::json(&other), "not a valid selector operator"),
    }
    if requirement.key == "metadata.name" {
        for (i, value) in values.iter().enumerate() {
            errors.each(&list.index(i), value, names::dns_subdomain(value));
        }
    } else {
        errors.invalid(&path.child("key"), &requirement.key, "not a valid field selector key");
    }
}

fn required_terms(errors: &mut Errors, path: &FieldPath, terms: Option<&[PodAffinityTerm]>) {
    let path = path.child("requiredDuringSchedulingIgnoredDuringExecution");
    for (i, term) in terms.unwrap_or_default().iter().enumerate() {
        pod_term(errors, &path.index(i), term);
    }
}

fn preferred_terms(errors: &mut Errors, path: &FieldPath, terms: Option<&[WeightedPodAffinityTerm]>) {
    let path = path.child("preferredDuringSchedulingIgnoredDuringExecution");
    for (i, term) in terms.unwrap_or_default().iter().enumerate() {
        let path = path.index(i);
        weight(errors, &path, term.weight);
        pod_term(errors, &path.child("podAffinityTerm"), &term.pod_affinity_term);
    }
}

fn pod_term(errors: &mut Errors, path: &FieldPath, term: &PodAffinityTerm) {
    errors.label_selector(&path.child("labelSelector"), term.label_selector.as_ref());
    errors.label_selector(&path.child("namespaceSelector"), term.namespace_selector.as_ref());
    for namespace in term.namespaces.iter().flatten() {
        errors.each(&path.child("namespace"), namespace, names::dns_label(namespace));
    }
    label_keys(
        errors,
        path,
        term.match_label_keys.as_deref().unwrap_or_default(),
        term.mismatch_label_keys.as_deref().unwrap_or_default(),
        term.label_selector.as_ref(),
    );
    if term.topology_key.is_empty() {
        errors.required(&path.child("topologyKey"), "can not be empty");
    }
    errors.each(&path.child("topologyKey"), &term.topology_key, names::qualified_name(&term.topology_key));
}

/// `matchLabelKeys` and `mismatchLabelKeys` against each other and against the selector. The server has by then
/// merged the keys into the selector, so that only a key given twice there is a clash.
fn label_keys(
    errors: &mut Errors,
    path: &FieldPath,
    keys: &[String],
    mismatch: &[String],
    selector: Option<&LabelSelector>,
) {
    for (name, list) in [("matchLabelKeys", keys), ("mismatchLabelKeys", mismatch)] {
        let path = path.child(name);
        if !list.is_empty() && selector.is_none() {
            errors.forbidden(&path, "must not be specified when labelSelector is not set");
            continue;
        }
        for (i, key) in list.iter().enumerate() {
            errors.each(&path.index(i), key, names::qualified_name(key));
        }
    }
    if let Some(selector) = selector {
        let mut seen: BTreeSet<&str> = selector.match_labels.iter().flatten().map(|(key, _)| key.as_str()).collect();
        let places: BTreeMap<&str, usize> = keys.iter().enumerate().map(|(i, key)| (key.as_str(), i)).collect();
        for requirement in selector.match_expressions.iter().flatten() {
            let key = requirement.key.as_str();
            if let Some(i) = places.get(key)
                && seen.contains(key)
            {
                errors.invalid(&path.index(*i), key, "exists in both matchLabelKeys and labelSelector");
            }
            seen.insert(key);
        }
    }
    let mismatch: BTreeSet<&String> = mismatch.iter().collect();
    let list = path.child("matchLabelKeys");
    for (i, key) in keys.iter().enumerate().filter(|(_, key)| mismatch.contains(key)) {
        errors.invalid(&list.index(i), key, "exists in both matchLabelKeys and mismatchLabelKeys");
    }
}

/// `tolerations`.
pub fn tolerations(errors: &mut Errors, path: &FieldPath, tolerations: &[Toleration]) {
    for (i, toleration) in tolerations.iter().enumerate() {
        let path = path.index(i);
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let (key, operator) = (text(&toleration.key), text(&toleration.operator));
        let (value, effect) = (text(&toleration.value), text(&toleration.effect));
        if !key.is_empty() {
            errors.each(&path.child("key"), &key, names::qualified_name(&key));
        } else if operator != "Exists" {
            errors.invalid(
                &path.child("operator"),
                Shown::json(&operator),
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            errors.invalid(
                &path.child("effect"),
                Shown::json(&effect),
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            );
        }
        match operator.as_str() {
            "Equal" | "" => {
                let messages = names::label_value(&value);
                if !messages.is_empty() {
                    errors.invalid(&path.child("operator"), &value, messages.join(";"));
                }
            }
            "Exists" if !value.is_empty() => {
                errors.invalid(&path.child("operator"), &value, "value must be empty when `operator` is 'Exists'")
            }
            "Exists" => {}
            // Known, but behind a feature that is off; so the list names them although they are refused.
            "Lt" | "Gt" => errors.add(|| {
                crate::manifest::field::FieldError::not_supported(
                    &path.child("operator"),
                    Shown::json(&operator),
                    &["Equal", "Exists", "Lt", "Gt"],
                )
            }),
            other => errors.one_of(&path.child("operator"), other, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            errors.one_of(&path.child("effect"), &effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        }
    }
}

/// `topologySpreadConstraints`.
pub fn topology_spread(errors: &mut Errors, path: &FieldPath, constraints: &[TopologySpreadConstraint]) {
    let pair = |constraint: &'_ TopologySpreadConstraint| {
        (constraint.topology_key.clone(), constraint.when_unsatisfiable.clone())
    };
    let last: BTreeMap<(String, String), usize> = constraints.iter().enumerate().map(|(i, c)| (pair(c), i)).collect();
    for (i, constraint) in constraints.iter().enumerate() {
        let path = path.index(i);
        if constraint.max_skew <= 0 {
            errors.invalid(&path.child("maxSkew"), i64::from(constraint.max_skew), "must be greater than zero");
        }
        if constraint.topology_key.is_empty() {
            errors.required(&path.child("topologyKey"), "can not be empty");
        }
        let action = constraint.when_unsatisfiable.as_str();
        errors.one_of(&path.child("whenUnsatisfiable"), action, &["DoNotSchedule", "ScheduleAnyway"]);
        // All but the last of those that are alike.
        if last.get(&pair(constraint)).is_some_and(|last| *last > i) {
            let pair = format!("{{{}, {action}}}", constraint.topology_key);
            errors.duplicate(&path.child("{topologyKey, whenUnsatisfiable}"), pair.as_str());
        }
        if let Some(domains) = constraint.min_domains {
            let path = path.child("minDomains");
            if domains <= 0 {
                errors.invalid(&path, domains, "must be greater than zero");
            }
            if action != "DoNotSchedule" {
                let text = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                errors.invalid(&path, domains, text);
            }
        }
        for (name, policy) in [
            ("nodeAffinityPolicy", &constraint.node_affinity_policy),
            ("nodeTaintsPolicy", &constraint.node_taints_policy),
        ] {
            if let Some(policy) = policy {
                errors.one_of(&path.child(name), policy, &["Honor", "Ignore"]);
            }
        }
        let keys = constraint.match_label_keys.as_deref().unwrap_or_default();
        label_keys(errors, &path, keys, &[], constraint.label_selector.as_ref());
        errors.label_selector(&path.child("labelSelector"), constraint.label_selector.as_ref());
    }
}

/// `schedulingGates`.
pub fn gates(errors: &mut Errors, path: &FieldPath, gates: &[PodSchedulingGate]) {
    let mut seen = BTreeSet::new();
    for (i, gate) in gates.iter().enumerate() {
        let path = path.index(i);
        errors.each(&path, &gate.name, names::qualified_name(&gate.name));
        if !seen.insert(gate.name.as_str()) {
            errors.duplicate(&path, &gate.name);
        }
    }
}

/// `resourceClaims`; static pods have none.
pub fn claims(errors: &mut Errors, path: &FieldPath, claims: &[PodResourceClaim]) {
    let mut seen = BTreeSet::new();
    for (i, claim) in claims.iter().enumerate() {
        let path = path.index(i);
        let name = path.child("name");
        if claim.name.is_empty() {
            errors.required(&name, "");
        } else if !seen.insert(claim.name.as_str()) {
            errors.duplicate(&name, &claim.name);
        } else {
            errors.each(&name, &claim.name, names::dns_label(&claim.name));
        }
        match (&claim.resource_claim_name, &claim.resource_claim_template_name) {
            (Some(_), Some(_)) => errors.invalid(
                &path,
                Shown::json(&go::resource_claim(claim)),
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            ),
            (None, None) => errors.invalid(
                &path,
                Shown::json(&go::resource_claim(claim)),
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            ),
            _ => {}
        }
        for (field, value) in [
            ("resourceClaimName", &claim.resource_claim_name),
            ("resourceClaimTemplateName", &claim.resource_claim_template_name),
        ] {
            if let Some(value) = value {
                errors.each(&path.child(field), value, names::dns_subdomain(value));
            }
        }
    }
}
