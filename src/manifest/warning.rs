//! The API server's warnings: what it accepts and still calls a mistake. Printed as `Warning: …`.
//!
//! `verdict` asks for them. The texts and their order are those of `pkg/api/pod/warnings.go`
//! and of the pod strategy of Kubernetes 1.36; where the server walks a Go map the order here is that of the keys.

mod overlaps;
mod ports;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{NodeSelectorTerm, Pod, PodAffinityTerm, PodSpec, Volume, WeightedPodAffinityTerm};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::default::apparmor_profile;
use super::field::{FieldPath, quote};
use super::resources::worth;
use super::validate::{Address, names, other_spelling, parse_address, visit_containers};

const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// What the server warns of while it fills in defaults, so of a pod without them, and whether or not it takes the pod:
/// an AppArmor annotation beside no field of its container, unless the pod's own profile says the same.
pub fn while_defaulting(pod: &Pod) -> Vec<String> {
    let mut warnings = Warnings::default();
    if let (Some(annotations), Some(spec)) = (&pod.metadata.annotations, &pod.spec)
        && spec.os.as_ref().is_none_or(|os| os.name != "windows")
    {
        let of_pod = spec.security_context.as_ref().and_then(|sc| sc.app_armor_profile.as_ref());
        visit_containers(spec, &FieldPath::new("spec"), &mut |container, _| {
            let key = format!("{APPARMOR}{}", container.name);
            let Some(text) = annotations.get(&key) else { return };
            let has_field = container.security_context.is_some_and(|sc| sc.app_armor_profile.is_some());
            let said_by_pod = apparmor_profile(text).is_some_and(|profile| of_pod == Some(&profile));
            if !has_field && !said_by_pod {
                annotation(&mut warnings, &key, r#"deprecated since v1.30; use the "appArmorProfile" field instead"#);
            }
        });
    }
    warnings.list
}

/// The warnings of a defaulted pod that the server takes, in its order.
pub fn pod(pod: &Pod) -> Vec<String> {
    let mut warnings = Warnings::default();
    let Some(spec) = &pod.spec else { return warnings.list };
    let path = FieldPath::new("spec");
    let messages = names::dns_label(pod.metadata.name.as_deref().unwrap_or_default());
    if !messages.is_empty() {
        let text = format!(
            "this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [{}]",
            messages.join(" ")
        );
        warn(&mut warnings, &FieldPath::new("metadata").child("name"), text);
    }
    node_labels(&mut warnings, &path, spec);
    annotations(&mut warnings, pod);
    for (i, volume) in spec.volumes.iter().flatten().enumerate() {
        volume_types(&mut warnings, &path.child("volumes").index(i), volume);
    }
    spec.volumes.iter().flatten().for_each(|volume| overlaps::overlapping_paths(&mut warnings, volume));
    duplicates(&mut warnings, &path, spec);
    fractional_bytes(&mut warnings, &path.child("overhead"), spec.overhead.as_ref(), "memory");
    fractional_bytes(&mut warnings, &path.child("overhead"), spec.overhead.as_ref(), "ephemeral-storage");
    seccomp_annotations_and_containers(&mut warnings, &path, pod, spec);
    ports::ports(&mut warnings, &path, spec);
    if spec.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0) {
        warn(
            &mut warnings,
            &path.child("terminationGracePeriodSeconds"),
            "must be >= 0; negative values are invalid and will be treated as 1",
        );
    }
    null_selectors(&mut warnings, &path, spec);
    addresses(&mut warnings, &path, spec);
    warnings.list
}

/// How much text the warnings of one pod may hold: pairs of ports or paths that clash can be as many as the square of
/// what a file holds.
const TEXT_MAX: usize = 256 * 1024;

/// The warnings so far.
#[derive(Default)]
struct Warnings {
    list: Vec<String>,
    text: usize,
}

impl Warnings {
    fn add(&mut self, text: String) {
        if !self.is_full() {
            self.text += text.len();
            self.list.push(text);
        }
    }

    /// Whether no more are told; asked before what is costly to find.
    fn is_full(&self) -> bool {
        self.text >= TEXT_MAX
    }
}

fn warn(warnings: &mut Warnings, path: &FieldPath, text: impl Display) {
    warnings.add(format!("{path}: {text}"));
}

/// What is said about labels of nodes that have a new name.
fn deprecated_label(key: &str) -> Option<&'static str> {
    Some(match key {
        "beta.kubernetes.io/arch" => r#"deprecated since v1.14; use "kubernetes.io/arch" instead"#,
        "beta.kubernetes.io/os" => r#"deprecated since v1.14; use "kubernetes.io/os" instead"#,
        "failure-domain.beta.kubernetes.io/region" => {
            r#"deprecated since v1.17; use "topology.kubernetes.io/region" instead"#
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            r#"deprecated since v1.17; use "topology.kubernetes.io/zone" instead"#
        }
        "beta.kubernetes.io/instance-type" => {
            r#"deprecated since v1.17; use "node.kubernetes.io/instance-type" instead"#
        }
        "app.kubernetes.io/created-by" => "deprecated since v1.9",
        "scheduler.alpha.kubernetes.io/preferAvoidPods" => "deprecated since v1.22; use Taints and Tolerations instead",
        "node-role.kubernetes.io/master" => r#"use "node-role.kubernetes.io/control-plane" instead"#,
        _ => return None,
    })
}

fn node_labels(warnings: &mut Warnings, path: &FieldPath, spec: &PodSpec) {
    let selector = path.child("nodeSelector");
    for (key, _) in spec.node_selector.iter().flatten() {
        if let Some(text) = deprecated_label(key) {
            warn(warnings, &selector.key(key), text);
        }
    }
    if let Some(affinity) = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref()) {
        let path = path.child("affinity.nodeAffinity");
        let terms = path.child("requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
        let required = affinity.required_during_scheduling_ignored_during_execution.as_ref();
        for (i, term) in required.iter().flat_map(|selector| &selector.node_selector_terms).enumerate() {
            selector_term(warnings, &terms.index(i), term, false);
        }
        let preferred = path.child("preferredDuringSchedulingIgnoredDuringExecution");
        let list = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        for (i, term) in list.enumerate() {
            selector_term(warnings, &preferred.index(i).child("preference"), &term.preference, true);
        }
    }
    let constraints = path.child("topologySpreadConstraints");
    for (i, constraint) in spec.topology_spread_constraints.iter().flatten().enumerate() {
        let path = constraints.index(i);
        if let Some(text) = deprecated_label(&constraint.topology_key) {
            warn(warnings, &path.child("topologyKey"), format_args!("{} is {text}", constraint.topology_key));
        }
        if constraint.label_selector.is_none() {
            null_selector(warnings, &path.child("labelSelector"));
        }
    }
}

fn selector_term(warnings: &mut Warnings, path: &FieldPath, term: &NodeSelectorTerm, preferred: bool) {
    let list = path.child("matchExpressions");
    for (i, expression) in term.match_expressions.iter().flatten().enumerate() {
        let path = list.index(i);
        if let Some(text) = deprecated_label(&expression.key) {
            warn(warnings, &path.child("key"), format_args!("{} is {text}", expression.key));
        }
        if preferred {
            let values = path.child("values");
            for (j, value) in expression.values.iter().flatten().enumerate() {
                for message in names::label_value(value) {
                    warn(warnings, &values.index(j), format_args!("{value} is invalid, {message}"));
                }
            }
        }
    }
}

fn annotations(warnings: &mut Warnings, pod: &Pod) {
    let Some(annotations) = &pod.metadata.annotations else { return };
    for (key, text) in [
        (
            "scheduler.alpha.kubernetes.io/critical-pod",
            r#"non-functional in v1.16+; use the "priorityClassName" field instead"#,
        ),
        ("security.alpha.kubernetes.io/sysctls", r#"non-functional in v1.11+; use the "sysctls" field instead"#),
        ("security.alpha.kubernetes.io/unsafe-sysctls", r#"non-functional in v1.11+; use the "sysctls" field instead"#),
    ] {
        if annotations.contains_key(key) {
            annotation(warnings, key, text);
        }
    }
}

fn annotation(warnings: &mut Warnings, key: &str, text: &str) {
    warn(warnings, &FieldPath::new("metadata").child("annotations").key(key), text);
}

fn volume_types(warnings: &mut Warnings, path: &FieldPath, volume: &Volume) {
    for (given, name, text) in [
        (
            volume.photon_persistent_disk.is_some(),
            "photonPersistentDisk",
            "deprecated in v1.11, non-functional in v1.16+",
        ),
        (volume.git_repo.is_some(), "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
        (volume.scale_io.is_some(), "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
        (volume.flocker.is_some(), "flocker", "deprecated in v1.22, non-functional in v1.25+"),
        (volume.storageos.is_some(), "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
        (volume.quobyte.is_some(), "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
        (volume.glusterfs.is_some(), "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ] {
        if given {
            warn(warnings, &path.child(name), text);
        }
    }
    let template = volume.ephemeral.as_ref().and_then(|ephemeral| ephemeral.volume_claim_template.as_ref());
    if let Some(resources) = template.and_then(|template| template.spec.resources.as_ref()) {
        let path = path.child("ephemeral.volumeClaimTemplate.spec.resources");
        fractional_bytes(warnings, &path.child("requests"), resources.requests.as_ref(), "storage");
        fractional_bytes(warnings, &path.child("limits"), resources.limits.as_ref(), "storage");
    }
    for (given, name) in [(volume.cephfs.is_some(), "cephfs"), (volume.rbd.is_some(), "rbd")] {
        if given {
            warn(warnings, &path.child(name), "deprecated in v1.28, non-functional in v1.31+");
        }
    }
}

fn duplicates(warnings: &mut Warnings, path: &FieldPath, spec: &PodSpec) {
    let mut seen = BTreeSet::new();
    let aliases = path.child("hostAliases");
    for (i, alias) in spec.host_aliases.iter().flatten().enumerate() {
        if !seen.insert(alias.ip.as_str()) {
            warn(warnings, &aliases.index(i).child("ip"), format_args!("duplicate ip {}", quote(&alias.ip)));
        }
    }
    let (mut seen, secrets) = (BTreeSet::new(), path.child("imagePullSecrets"));
    let names = || spec.image_pull_secrets.iter().flatten().map(|secret| secret.name.as_str()).enumerate();
    for (i, name) in names() {
        if !seen.insert(name) {
            warn(warnings, &secrets.index(i).child("name"), format_args!("duplicate name {}", quote(name)));
        }
    }
    for (i, _) in names().filter(|(_, name)| name.is_empty()) {
        warn(warnings, &secrets.index(i).child("name"), "invalid empty name \"\"");
    }
}

fn fractional_bytes(
    warnings: &mut Warnings,
    path: &FieldPath,
    list: Option<&BTreeMap<String, Written>>,
    resource: &str,
) {
    let Some(amount) = list.and_then(|list| list.get(resource)).map(worth) else { return };
    if !amount.is_integer() {
        let amount = quote(&amount.to_string());
        let text = format!("fractional byte value {amount} is invalid, must be an integer");
        warn(warnings, &path.key(resource), text);
    }
}

fn seccomp_annotations_and_containers(warnings: &mut Warnings, path: &FieldPath, pod: &Pod, spec: &PodSpec) {
    const SECCOMP: &str = r#"non-functional in v1.27+; use the "seccompProfile" field instead"#;
    let annotated = |key: &str| pod.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(key));
    if spec.security_context.as_ref().is_none_or(|sc| sc.seccomp_profile.is_none()) && annotated(SECCOMP_POD) {
        annotation(warnings, SECCOMP_POD, SECCOMP);
    }
    visit_containers(spec, path, &mut |container, path| {
        if container.security_context.is_none_or(|sc| sc.seccomp_profile.is_none()) {
            let key = format!("{SECCOMP_CONTAINER}{}", container.name);
            if annotated(&key) {
                annotation(warnings, &key, SECCOMP);
            }
        }
        if let Some(resources) = container.resources {
            let resources_path = path.child("resources");
            for name in ["memory", "ephemeral-storage"] {
                fractional_bytes(warnings, &resources_path.child("limits"), resources.limits.as_ref(), name);
                fractional_bytes(warnings, &resources_path.child("requests"), resources.requests.as_ref(), name);
            }
        }
        let (mut seen, list) = (BTreeSet::new(), path.child("env"));
        for (i, variable) in container.env.iter().enumerate() {
            if seen.insert(variable.name.as_str()) {
                continue;
            }
            // A later value that builds upon the earlier one is meant so.
            let reference = format!("$({})", variable.name);
            let value = variable.value.as_deref().unwrap_or_default();
            if variable.value_from.is_some() || value == reference || !value.contains(&reference) {
                let name = quote(&variable.name);
                let text = format!("hides previous definition of {name}, which may be dropped when using apply");
                warn(warnings, &list.index(i), text);
            }
        }
    });
}

fn null_selector(warnings: &mut Warnings, path: &FieldPath) {
    warn(warnings, path, "a null labelSelector results in matching no pod");
}

fn null_selectors(warnings: &mut Warnings, path: &FieldPath, spec: &PodSpec) {
    let Some(affinity) = &spec.affinity else { return };
    let mut both =
        |name: &str, required: &Option<Vec<PodAffinityTerm>>, preferred: &Option<Vec<WeightedPodAffinityTerm>>| {
            let affinity_path = path.child("affinity");
            let path = affinity_path.child(name);
            let list = path.child("requiredDuringSchedulingIgnoredDuringExecution");
            for (i, _) in required.iter().flatten().enumerate().filter(|(_, term)| term.label_selector.is_none()) {
                null_selector(warnings, &list.index(i).child("labelSelector"));
            }
            let list = path.child("preferredDuringSchedulingIgnoredDuringExecution");
            let terms = preferred.iter().flatten().enumerate();
            for (i, _) in terms.filter(|(_, term)| term.pod_affinity_term.label_selector.is_none()) {
                null_selector(warnings, &list.index(i).child("podAffinityTerm.labelSelector"));
            }
        };
    if let Some(pod) = &affinity.pod_affinity {
        both(
            "podAffinity",
            &pod.required_during_scheduling_ignored_during_execution,
            &pod.preferred_during_scheduling_ignored_during_execution,
        );
    }
    if let Some(anti) = &affinity.pod_anti_affinity {
        both(
            "podAntiAffinity",
            &anti.required_during_scheduling_ignored_during_execution,
            &anti.preferred_during_scheduling_ignored_during_execution,
        );
    }
}

fn addresses(warnings: &mut Warnings, path: &FieldPath, spec: &PodSpec) {
    let servers = path.child("dnsConfig.nameservers");
    for (i, server) in spec.dns_config.iter().flat_map(|config| config.nameservers.iter().flatten()).enumerate() {
        address(warnings, &servers.index(i), server);
    }
    let aliases = path.child("hostAliases");
    for (i, alias) in spec.host_aliases.iter().flatten().enumerate() {
        address(warnings, &aliases.index(i).child("ip"), &alias.ip);
    }
}

fn address(warnings: &mut Warnings, path: &FieldPath, text: &str) {
    let better = match parse_address(text) {
        Some(Address::LeadingZeros(better)) => better,
        Some(Address::Mapped(better)) => IpAddr::V4(better),
        Some(Address::Strict(_)) => {
            if let Some(better) = other_spelling(text) {
                let text = quote(text);
                let text = format!("IPv6 address {text} should be in RFC 5952 canonical format (\"{better}\")");
                warn(warnings, path, text);
            }
            return;
        }
        None => return,
    };
    let text = quote(text);
    warn(warnings, path, format_args!("non-standard IP address {text} is invalid: use \"{better}\""));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::manifest::default;

    fn of(metadata: Value, spec: Value) -> Vec<String> {
        let mut object = json!({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "m", "image": "i"}]}});
        object["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let mut pod = serde_json::from_value(object).unwrap();
        let mut warnings = while_defaulting(&pod);
        default::pod(&mut pod);
        warnings.extend(super::pod(&pod));
        warnings
    }

    #[test]
    fn an_apparmor_annotation_is_warned_of_unless_a_field_or_the_pod_says_it() {
        const OLD: &str = r#"metadata.annotations[container.apparmor.security.beta.kubernetes.io/m]: deprecated since v1.30; use the "appArmorProfile" field instead"#;
        let with = |annotation: &str, pod: Value, container: Value| {
            of(
                json!({"annotations": {"container.apparmor.security.beta.kubernetes.io/m": annotation}}),
                json!({"securityContext": pod, "containers": [{"name": "m", "image": "i", "securityContext": container}]}),
            )
        };
        let default = json!({"appArmorProfile": {"type": "RuntimeDefault"}});
        for (annotation, pod, container, expected) in [
            ("runtime/default", json!({}), json!({}), &[OLD][..]),
            ("runtime/default", json!({}), default.clone(), &[]),
            ("runtime/default", default.clone(), json!({}), &[]),
            ("unconfined", default.clone(), json!({}), &[OLD]),
            ("localhost/", default.clone(), json!({}), &[OLD]),
        ] {
            assert_eq!(with(annotation, pod.clone(), container.clone()), expected, "{annotation} {pod} {container}");
        }
    }

    #[test]
    fn ports_clash_in_four_ways() {
        let ports = json!([
            {"containerPort": 80, "hostPort": 1, "hostIP": "10.0.0.1", "name": "a"},
            {"containerPort": 80, "hostPort": 1},
            {"containerPort": 80, "hostPort": 2},
            {"containerPort": 80, "hostIP": "10.0.0.2", "name": "a"},
            {"containerPort": 80, "hostPort": 1},
        ]);
        let found = of(json!({}), json!({"containers": [{"name": "m", "image": "i", "ports": ports}]}));
        let path = |i: usize| format!("spec.containers[0].ports[{i}]");
        let clash = |i, kind: &str, other| format!("{}: {kind} port definition with {}", path(i), path(other));
        assert_eq!(
            found,
            [
                clash(1, "dangerously ambiguous", 0),
                format!(
                    "{}: hostIP set without hostPort: {{Name:a HostPort:0 ContainerPort:80 Protocol:TCP HostIP:10.0.0.2}}",
                    path(3)
                ),
                clash(3, "overlapping", 0),
                clash(3, "overlapping", 1),
                clash(3, "overlapping", 2),
                clash(4, "dangerously ambiguous", 0),
                clash(4, "duplicate", 1),
                clash(4, "overlapping", 3),
                format!(
                    "{0}: duplicate port name \"a\" with {1}, services and probes that select ports by name will use {1}",
                    path(3),
                    path(0)
                ),
            ]
        );
    }

    #[test]
    fn overlaps_and_empty_sources_come_in_the_order_of_the_sources() {
        let sources = json!([
            {"configMap": {"name": "c", "items": [{"key": "k", "path": "a"}]}},
            {"clusterTrustBundle": {"name": "n", "path": "a"}},
            {"secret": {"name": "s", "items": [{"key": "k", "path": "a/b"}]}},
        ]);
        assert_eq!(
            of(json!({}), json!({"volumes": [{"name": "v", "projected": {"sources": sources}}]})),
            [
                r#"volume "v" (Projected) has no sources provided"#,
                r#"volume "v" (Projected): overlapping paths: "a/b" (Secret "s") with "a" (ConfigMap "c")"#,
            ]
        );
    }
}
