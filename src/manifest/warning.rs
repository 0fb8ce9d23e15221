//! The API server's warnings: what it accepts and still calls a mistake. Printed as `Warning: …`.
//!
//! `load` asks for them whether or not the pod is valid. The texts and their order are those of `pkg/api/pod/warnings.go`
//! and of the pod strategy of Kubernetes 1.36; where the server walks a Go map the order here is that of the keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{
    ContainerPort, KeyToPath, NodeSelectorTerm, Pod, PodAffinityTerm, PodSpec, ProjectedVolumeSource, Volume,
    VolumeProjection, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::field::{FieldPath, quote};
use super::resources::worth;
use super::validate::{Address, names, other_spelling, parse_address, visit_containers};

const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// The warnings of a defaulted pod, in the server's order.
pub fn pod(pod: &Pod) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(spec) = &pod.spec else { return warnings };
    let path = FieldPath::new("spec");
    apparmor_annotations(&mut warnings, pod, spec);
    let messages = names::dns_label(pod.metadata.name.as_deref().unwrap_or_default());
    if !messages.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is \
             recommended: [{}]",
            messages.join(" ")
        ));
    }
    node_labels(&mut warnings, &path, spec);
    annotations(&mut warnings, pod);
    for (i, volume) in spec.volumes.iter().flatten().enumerate() {
        volume_types(&mut warnings, &path.child("volumes").index(i), volume);
    }
    spec.volumes.iter().flatten().for_each(|volume| overlapping_paths(&mut warnings, volume));
    duplicates(&mut warnings, &path, spec);
    fractional_bytes(&mut warnings, &path.child("overhead"), spec.overhead.as_ref(), "memory");
    fractional_bytes(&mut warnings, &path.child("overhead"), spec.overhead.as_ref(), "ephemeral-storage");
    seccomp_annotations_and_containers(&mut warnings, &path, pod, spec);
    ports(&mut warnings, &path, spec);
    if spec.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0) {
        warn(
            &mut warnings,
            &path.child("terminationGracePeriodSeconds"),
            "must be >= 0; negative values are invalid and will be treated as 1",
        );
    }
    null_selectors(&mut warnings, &path, spec);
    addresses(&mut warnings, &path, spec);
    warnings
}

fn warn(warnings: &mut Vec<String>, path: &FieldPath, text: impl Display) {
    warnings.push(format!("{path}: {text}"));
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

fn node_labels(warnings: &mut Vec<String>, path: &FieldPath, spec: &PodSpec) {
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

fn selector_term(warnings: &mut Vec<String>, path: &FieldPath, term: &NodeSelectorTerm, preferred: bool) {
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

fn annotations(warnings: &mut Vec<String>, pod: &Pod) {
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

fn annotation(warnings: &mut Vec<String>, key: &str, text: &str) {
    warn(warnings, &FieldPath::new("metadata").child("annotations").key(key), text);
}

/// The old annotation, unless a field or the pod's profile says all of it. The server warns while it copies the
/// annotation into the field, which defaulting has done by now: a field that says the same stems from it, as far as can
/// be seen, and one that says something else is refused by validation.
fn apparmor_annotations(warnings: &mut Vec<String>, pod: &Pod, spec: &PodSpec) {
    let Some(annotations) = &pod.metadata.annotations else { return };
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return;
    }
    let of_pod = spec.security_context.as_ref().and_then(|sc| sc.app_armor_profile.as_ref());
    visit_containers(spec, &FieldPath::new("spec"), &mut |container, _| {
        let key = format!("{APPARMOR}{}", container.name);
        let own = container.security_context.and_then(|sc| sc.app_armor_profile.as_ref());
        // No field of its own and yet a pod's profile: the two say the same, or defaulting had made a field.
        let silent = own.is_none() && of_pod.is_some();
        if annotations.contains_key(&key) && !silent {
            annotation(warnings, &key, r#"deprecated since v1.30; use the "appArmorProfile" field instead"#);
        }
    });
}

fn volume_types(warnings: &mut Vec<String>, path: &FieldPath, volume: &Volume) {
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

/// A file of a volume and, in projected ones, where it comes from.
#[derive(Clone, PartialEq, Eq)]
struct Item {
    path: String,
    source: String,
}

impl Item {
    fn new(path: &str, source: &str) -> Self {
        Self { path: path.trim_end_matches('/').into(), source: source.into() }
    }

    /// Whether one is the other, or lies within it.
    fn overlaps(&self, other: &Item) -> bool {
        let within = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
        !self.path.is_empty()
            && !other.path.is_empty()
            && (within(&self.path, &other.path) || within(&other.path, &self.path))
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&quote(&self.path))?;
        if self.source.is_empty() { Ok(()) } else { write!(f, " ({})", self.source) }
    }
}

fn overlapping_paths(warnings: &mut Vec<String>, volume: &Volume) {
    let keys = |items: &Option<Vec<KeyToPath>>| -> Vec<Item> {
        items.iter().flatten().map(|item| Item::new(&item.path, "")).collect()
    };
    let mut lists = Vec::new();
    if let Some(map) = &volume.config_map {
        lists.push((format!("ConfigMap {}", quote(&map.name)), keys(&map.items)));
    }
    if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        lists.push((format!("Secret {}", quote(name)), keys(&secret.items)));
    }
    if let Some(downward) = &volume.downward_api {
        let items = downward.items.iter().flatten().map(|file| Item::new(&file.path, "")).collect();
        lists.push(("DownwardAPI".into(), items));
    }
    for (description, items) in lists {
        overlaps(warnings, &volume.name, &description, items, &mut Vec::new());
    }
    if let Some(projected) = &volume.projected {
        projected_paths(warnings, &volume.name, projected);
    }
}

fn overlaps(warnings: &mut Vec<String>, volume: &str, description: &str, items: Vec<Item>, seen: &mut Vec<Item>) {
    for item in items {
        for other in seen.iter().filter(|other| item.overlaps(other)) {
            let volume = quote(volume);
            warnings.push(format!("volume {volume} ({description}): overlapping paths: {item} with {other}"));
        }
        seen.push(item);
    }
}

fn projected_paths(warnings: &mut Vec<String>, volume: &str, projected: &ProjectedVolumeSource) {
    let mut seen = Vec::new();
    for source in projected.sources.iter().flatten() {
        if *source == VolumeProjection::default() {
            warnings.push(format!("volume {} (Projected) has no sources provided", quote(volume)));
            continue;
        }
        overlaps(warnings, volume, "Projected", projection_items(source), &mut seen);
    }
}

/// The files of one source; of several in one entry, which is an error, the first that has any.
fn projection_items(source: &VolumeProjection) -> Vec<Item> {
    let keys = |items: &[KeyToPath], of: String| items.iter().map(|item| Item::new(&item.path, &of)).collect();
    if let Some((map, items)) = source.config_map.as_ref().and_then(|map| Some((map, map.items.as_ref()?))) {
        return keys(items, format!("ConfigMap {}", quote(&map.name)));
    }
    if let Some((secret, items)) = source.secret.as_ref().and_then(|secret| Some((secret, secret.items.as_ref()?))) {
        return keys(items, format!("Secret {}", quote(&secret.name)));
    }
    if let Some(items) = source.downward_api.as_ref().and_then(|downward| downward.items.as_ref()) {
        return items.iter().map(|file| Item::new(&file.path, "DownwardAPI")).collect();
    }
    if let Some(token) = &source.service_account_token {
        return vec![Item::new(&token.path, "ServiceAccountToken")];
    }
    if let Some(bundle) = &source.cluster_trust_bundle {
        let name = bundle.name.as_ref().or(bundle.signer_name.as_ref()).map(String::as_str).unwrap_or_default();
        return vec![Item::new(&bundle.path, &format!("ClusterTrustBundle {}", quote(name)))];
    }
    let Some(certificate) = &source.pod_certificate else { return Vec::new() };
    [
        (&certificate.certificate_chain_path, "PodCertificate chain"),
        (&certificate.key_path, "PodCertificate key"),
        (&certificate.credential_bundle_path, "PodCertificate credential bundle"),
    ]
    .into_iter()
    .filter_map(|(path, what)| Some(Item::new(path.as_deref().filter(|path| !path.is_empty())?, what)))
    .collect()
}

fn duplicates(warnings: &mut Vec<String>, path: &FieldPath, spec: &PodSpec) {
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
    warnings: &mut Vec<String>,
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

fn seccomp_annotations_and_containers(warnings: &mut Vec<String>, path: &FieldPath, pod: &Pod, spec: &PodSpec) {
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

fn ports(warnings: &mut Vec<String>, path: &FieldPath, spec: &PodSpec) {
    struct Seen {
        path: String,
        host_ip: String,
        host_port: i32,
    }
    let mut all: BTreeMap<(i32, String), Vec<Seen>> = BTreeMap::new();
    visit_containers(spec, path, &mut |container, path| {
        let list = path.child("ports");
        for (i, port) in container.ports.iter().enumerate() {
            let path = list.index(i);
            let (host_ip, host_port) = (port.host_ip.clone().unwrap_or_default(), port.host_port.unwrap_or_default());
            if !host_ip.is_empty() && host_port == 0 {
                warn(warnings, &path, format_args!("hostIP set without hostPort: {}", go_port(port)));
            }
            let key = (port.container_port, port.protocol.clone().unwrap_or_default());
            let others = all.entry(key).or_default();
            for other in others.iter() {
                let kind = if host_ip == other.host_ip && host_port == other.host_port {
                    "duplicate"
                } else if host_port == 0 || other.host_port == 0 {
                    "overlapping"
                } else if host_port == other.host_port && (host_ip.is_empty() != other.host_ip.is_empty()) {
                    "dangerously ambiguous"
                } else {
                    continue;
                };
                warn(warnings, &path, format_args!("{kind} port definition with {}", other.path));
            }
            others.push(Seen { path: path.to_string(), host_ip, host_port });
        }
    });
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    visit_containers(spec, path, &mut |container, path| {
        let list = path.child("ports");
        for (i, port) in container.ports.iter().enumerate() {
            let Some(name) = port.name.as_ref().filter(|name| !name.is_empty()) else { continue };
            let path = list.index(i);
            match names.get(name) {
                Some(other) => {
                    let name = quote(name);
                    let text = format!(
                        "duplicate port name {name} with {other}, services and probes that select ports by name will use {other}"
                    );
                    warn(warnings, &path, text);
                }
                None => {
                    names.insert(name.clone(), path.to_string());
                }
            }
        }
    });
}

/// A port as Go's `%+v` prints the struct.
fn go_port(port: &ContainerPort) -> String {
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        port.name.as_deref().unwrap_or_default(),
        port.host_port.unwrap_or_default(),
        port.container_port,
        port.protocol.as_deref().unwrap_or_default(),
        port.host_ip.as_deref().unwrap_or_default(),
    )
}

fn null_selector(warnings: &mut Vec<String>, path: &FieldPath) {
    warn(warnings, path, "a null labelSelector results in matching no pod");
}

fn null_selectors(warnings: &mut Vec<String>, path: &FieldPath, spec: &PodSpec) {
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

fn addresses(warnings: &mut Vec<String>, path: &FieldPath, spec: &PodSpec) {
    let servers = path.child("dnsConfig.nameservers");
    for (i, server) in spec.dns_config.iter().flat_map(|config| config.nameservers.iter().flatten()).enumerate() {
        address(warnings, &servers.index(i), server);
    }
    let aliases = path.child("hostAliases");
    for (i, alias) in spec.host_aliases.iter().flatten().enumerate() {
        address(warnings, &aliases.index(i).child("ip"), &alias.ip);
    }
}

fn address(warnings: &mut Vec<String>, path: &FieldPath, text: &str) {
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
