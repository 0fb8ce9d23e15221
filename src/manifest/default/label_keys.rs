//! `matchLabelKeys` of affinity and spreading, which the server writes into the selectors when a pod is made.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, PodAffinityTerm};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

/// `matchLabelKeys` and `mismatchLabelKeys` become part of the selector, as the server writes it on creation.
pub fn merge_label_keys(affinity: &mut Affinity, labels: Option<&BTreeMap<String, String>>) {
    let merge = |term: &mut PodAffinityTerm| {
        let (keys, others) = (term.match_label_keys.clone(), term.mismatch_label_keys.clone());
        add_label_keys(&mut term.label_selector, keys.as_deref(), "In", labels);
        add_label_keys(&mut term.label_selector, others.as_deref(), "NotIn", labels);
    };
    if let Some(pod) = &mut affinity.pod_affinity {
        let preferred = pod.preferred_during_scheduling_ignored_during_execution.iter_mut().flatten();
        preferred.for_each(|weighted| merge(&mut weighted.pod_affinity_term));
        pod.required_during_scheduling_ignored_during_execution.iter_mut().flatten().for_each(merge);
    }
    if let Some(anti) = &mut affinity.pod_anti_affinity {
        let preferred = anti.preferred_during_scheduling_ignored_during_execution.iter_mut().flatten();
        preferred.for_each(|weighted| merge(&mut weighted.pod_affinity_term));
        anti.required_during_scheduling_ignored_during_execution.iter_mut().flatten().for_each(merge);
    }
}

/// The keys with the pod's own values, as expressions of the selector.
pub fn add_label_keys(
    selector: &mut Option<LabelSelector>,
    keys: Option<&[String]>,
    operator: &str,
    labels: Option<&BTreeMap<String, String>>,
) {
    let (Some(selector), Some(labels)) = (selector, labels) else { return };
    for key in keys.unwrap_or_default() {
        if let Some(value) = labels.get(key) {
            selector.match_expressions.get_or_insert_default().push(LabelSelectorRequirement {
                key: key.clone(),
                operator: operator.into(),
                values: Some(vec![value.clone()]),
            });
        }
    }
}
