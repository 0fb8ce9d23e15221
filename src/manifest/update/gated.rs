//! What more may change while scheduling gates hold a pod back: `nodeSelector` and the required node affinity may grow.

use k8s_openapi::api::core::v1::{NodeAffinity, NodeSelectorTerm, PodSpec};

use crate::manifest::field::{FieldPath, Shown};
use crate::manifest::go;
use crate::manifest::validate::Errors;

/// Checks the changes that only a gated pod may have, and puts them back in `masked`.
pub fn changes(errors: &mut Errors, path: &FieldPath, masked: &mut PodSpec, old: &PodSpec) {
    if old.scheduling_gates.as_ref().is_none_or(Vec::is_empty) {
        return;
    }
    node_selector(errors, &path.child("nodeSelector"), masked, old);
    let of = |spec: &PodSpec| spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
    let (new_affinity, old_affinity) = (of(masked), of(old));
    if new_affinity == old_affinity {
        return;
    }
    let affinity_path = path.child("affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
    let terms_path = affinity_path.child("nodeSelectorTerms");
    terms(errors, &terms_path, &required(new_affinity.as_ref()), &required(old_affinity.as_ref()));
    let alone = masked.affinity.as_ref().is_some_and(|a| a.pod_affinity.is_none() && a.pod_anti_affinity.is_none());
    if old.affinity.is_none() && alone {
        masked.affinity = None;
    } else {
        masked.affinity.get_or_insert_default().node_affinity = old_affinity;
    }
}

fn node_selector(errors: &mut Errors, path: &FieldPath, masked: &mut PodSpec, old: &PodSpec) {
    let new = std::mem::replace(&mut masked.node_selector, old.node_selector.clone()).unwrap_or_default();
    if old.node_selector.iter().flatten().any(|(key, value)| new.get(key) != Some(value)) {
        let text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        let shown = if new.is_empty() { Shown::json(&None::<()>) } else { Shown::json(&new) };
        errors.invalid(path, shown, text);
    }
}

fn required(affinity: Option<&NodeAffinity>) -> Vec<NodeSelectorTerm> {
    affinity
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref())
        .map(|selector| selector.node_selector_terms.clone())
        .unwrap_or_default()
}

/// Terms are alternatives, so that another one would widen the choice; a further requirement in one narrows it.
fn terms(errors: &mut Errors, path: &FieldPath, new: &[NodeSelectorTerm], old: &[NodeSelectorTerm]) {
    if old.is_empty() {
        return;
    }
    if old.len() != new.len() {
        let shown = if new.is_empty() { Shown::json(&None::<()>) } else { Shown::json(&go::selector_terms(new)) };
        return errors.invalid(path, shown, "no additions/deletions to non-empty NodeSelectorTerms list are allowed");
    }
    for (i, (new, old)) in new.iter().zip(old).enumerate() {
        if !only_grown(new, old) {
            let shown = Shown::json(&go::selector_term(new));
            errors.invalid(&path.index(i), shown, "only additions are allowed (no mutations or deletions)");
        }
    }
}

fn only_grown(new: &NodeSelectorTerm, old: &NodeSelectorTerm) -> bool {
    let lists = [(&new.match_expressions, &old.match_expressions), (&new.match_fields, &old.match_fields)]
        .map(|(new, old)| (new.as_deref().unwrap_or_default(), old.as_deref().unwrap_or_default()));
    // A term without requirements matches nothing; with one it would match something.
    let was_empty = lists.iter().all(|(_, old)| old.is_empty());
    lists.iter().all(|(new, old)| if was_empty { new.is_empty() } else { new.starts_with(old) })
}
