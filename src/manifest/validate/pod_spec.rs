//! `spec` of a pod: the order of all checks, and those fields that have no file of their own.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, HostAlias, Pod, PodDNSConfig, PodSpec, ResourceRequirements, SecurityContext,
    Volume, VolumeDevice,
};

use super::containers::{self, Context};
use super::errors::Errors;
use super::{address, metadata, names, resources, scheduling, security, volumes, windows};
use crate::manifest::field::{FieldPath, Shown};

/// Everything beneath `spec`, in the server's order.
pub fn pod_spec(errors: &mut Errors, path: &FieldPath, pod: &Pod, spec: &PodSpec) {
    if spec.termination_grace_period_seconds.is_none() {
        errors.required(&path.child("terminationGracePeriodSeconds"), "");
    }
    let list = spec.volumes.as_deref().unwrap_or_default();
    let valid = volumes::volumes(errors, &path.child("volumes"), list, pod.metadata.name.as_deref());
    let claims: BTreeSet<&str> = spec
        .resource_claims
        .iter()
        .flatten()
        .map(|claim| claim.name.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    let static_pod = pod.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(metadata::MIRROR));
    let list = spec.resource_claims.as_deref().unwrap_or_default();
    if static_pod {
        let nowhere = FieldPath::new("");
        list.iter().for_each(|_| errors.forbidden(&nowhere, "static pods do not support resource claims"));
    } else {
        scheduling::claims(errors, &path.child("resourceClaims"), list);
    }
    let host_users = spec.host_users != Some(false);
    let context = Context { spec, volumes: &valid, claims: &claims, host_users };
    containers::containers(errors, &path.child("containers"), &context);
    containers::init_containers(errors, &path.child("initContainers"), &context);
    containers::ephemeral_containers(errors, &path.child("ephemeralContainers"), &context);
    resources::pod_level(errors, &path.child("resources"), spec, &claims);
    host_network_ports(errors, path, spec);
    errors.required_one_of(
        &path.child("restartPolicy"),
        spec.restart_policy.as_deref(),
        &["Always", "OnFailure", "Never"],
    );
    errors.required_one_of(
        &path.child("dnsPolicy"),
        spec.dns_policy.as_deref(),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    errors.labels(&path.child("nodeSelector"), spec.node_selector.as_ref());
    security::pod(errors, &path.child("securityContext"), spec);
    if let Some(affinity) = &spec.affinity {
        scheduling::affinity(errors, &path.child("affinity"), affinity);
    }
    dns_config(errors, &path.child("dnsConfig"), spec.dns_config.as_ref(), spec.dns_policy.as_deref());
    let gates = path.child("readinessGates");
    for (i, gate) in spec.readiness_gates.iter().flatten().enumerate() {
        let path = gates.index(i);
        errors.each(&path.child("conditionType"), &gate.condition_type, names::qualified_name(&gate.condition_type));
    }
    let gates = spec.scheduling_gates.as_deref().unwrap_or_default();
    scheduling::gates(errors, &path.child("schedulingGates"), gates);
    let constraints = spec.topology_spread_constraints.as_deref().unwrap_or_default();
    scheduling::topology_spread(errors, &path.child("topologySpreadConstraints"), constraints);
    windows::host_process(errors, path, spec);
    if !host_users {
        own_user_namespace(errors, path, spec);
    }
    hostname_override(errors, &path.child("hostnameOverride"), spec);
    subdomain(errors, &path.child("serviceAccountName"), spec.service_account_name.as_deref());
    subdomain(errors, &path.child("nodeName"), spec.node_name.as_deref());
    if let Some(seconds) = spec.active_deadline_seconds
        && !(1..=i64::from(i32::MAX)).contains(&seconds)
    {
        errors.invalid(&path.child("activeDeadlineSeconds"), seconds, "must be between 1 and 2147483647, inclusive");
    }
    for (name, label) in [("hostname", &spec.hostname), ("subdomain", &spec.subdomain)] {
        if let Some(label) = label.as_deref().filter(|label| !label.is_empty()) {
            errors.each(&path.child(name), label, names::dns_label(label));
        }
    }
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    scheduling::tolerations(errors, &path.child("tolerations"), tolerations);
    host_aliases(errors, &path.child("hostAliases"), spec.host_aliases.as_deref().unwrap_or_default());
    subdomain(errors, &path.child("priorityClassName"), spec.priority_class_name.as_deref());
    if let Some(class) = &spec.runtime_class_name {
        errors.each(&path.child("runtimeClassName"), class, names::dns_subdomain(class));
    }
    if let Some(policy) = &spec.preemption_policy {
        errors.required_one_of(&path.child("preemptionPolicy"), Some(policy), &["PreemptLowerPriority", "Never"]);
    }
    if let Some(overhead) = &spec.overhead {
        resources::overhead(errors, &path.child("overhead"), overhead);
    }
    operating_system(errors, path, spec);
    file_key_volumes(errors, path, spec);
}

/// A name that, where it is given, is a subdomain.
fn subdomain(errors: &mut Errors, path: &FieldPath, name: Option<&str>) {
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        errors.each(path, name, names::dns_subdomain(name));
    }
}

/// In the machine's network a host port is the container's port.
fn host_network_ports(errors: &mut Errors, path: &FieldPath, spec: &PodSpec) {
    if spec.host_network != Some(true) {
        return;
    }
    let list = path.child("containers");
    for (c, container) in spec.containers.iter().enumerate() {
        let container_path = list.index(c);
        let ports = container_path.child("ports");
        for (i, port) in container.ports.iter().flatten().enumerate() {
            let host = port.host_port.unwrap_or_default();
            if host != port.container_port {
                errors.invalid(
                    &ports.index(i).child("hostPort"),
                    host,
                    "must match `containerPort` when `hostNetwork` is true",
                );
            }
        }
    }
}

fn dns_config(errors: &mut Errors, path: &FieldPath, config: Option<&PodDNSConfig>, policy: Option<&str>) {
    let none = policy == Some("None");
    let Some(config) = config else {
        if none {
            errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        return;
    };
    let servers = config.nameservers.as_deref().unwrap_or_default();
    let list = path.child("nameservers");
    if none && servers.is_empty() {
        return errors.required(&list, "must provide at least one DNS nameserver when `dnsPolicy` is None");
    }
    if servers.len() > 3 {
        errors.invalid(&list, Shown::json(&servers), "must not have more than 3 nameservers");
    }
    for (i, server) in servers.iter().enumerate() {
        address::check(errors, &list.index(i), server);
    }
    let searches = config.searches.as_deref().unwrap_or_default();
    let list = path.child("searches");
    if searches.len() > 32 {
        errors.invalid(&list, Shown::json(&searches), "must not have more than 32 search paths");
    }
    let characters = searches.iter().map(String::len).sum::<usize>() + searches.len().saturating_sub(1);
    if characters > 2048 {
        errors.invalid(
            &list,
            Shown::json(&searches),
            "must not have more than 2048 characters (including spaces) in the search list",
        );
    }
    for (i, search) in searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        let search = search.strip_suffix('.').unwrap_or(search);
        errors.each(&list.index(i), search, names::dns_subdomain_with_underscore(search));
    }
    let list = path.child("options");
    for (i, option) in config.options.iter().flatten().enumerate() {
        if option.name.as_ref().is_none_or(|name| name.is_empty()) {
            errors.required(&list.index(i), "must not be empty");
        }
    }
}

/// What does not go together with a user namespace of the pod's own.
fn own_user_namespace(errors: &mut Errors, path: &FieldPath, spec: &PodSpec) {
    const TEXT: &str = "when `hostUsers` is false";
    // With capital letters: a quirk of the server.
    for (name, given) in [("hostNetwork", spec.host_network), ("HostPID", spec.host_pid), ("HostIPC", spec.host_ipc)] {
        if given == Some(true) {
            errors.forbidden(&path.child(name), TEXT);
        }
    }
    visit_containers(spec, path, &mut |container, path| {
        if !container.volume_devices.is_empty() {
            errors.forbidden(&path.child("volumeDevices"), TEXT);
        }
    });
}

fn hostname_override(errors: &mut Errors, path: &FieldPath, spec: &PodSpec) {
    let Some(name) = &spec.hostname_override else { return };
    if spec.set_hostname_as_fqdn == Some(true) {
        errors.forbidden(path, "may not be specified when setHostnameAsFQDN is true");
    }
    if spec.host_network == Some(true) {
        errors.forbidden(path, "may not be specified when hostNetwork is true");
    }
    if name.len() > 64 {
        errors.too_long(path, 64);
    }
    errors.each(path, name, names::dns_subdomain(name));
}

fn host_aliases(errors: &mut Errors, path: &FieldPath, aliases: &[HostAlias]) {
    for (i, alias) in aliases.iter().enumerate() {
        let path = path.index(i);
        address::check(errors, &path.child("ip"), &alias.ip);
        let list = path.child("hostnames");
        for (j, name) in alias.hostnames.iter().flatten().enumerate() {
            errors.each(&list.index(j), name, names::dns_subdomain(name));
        }
    }
}

fn operating_system(errors: &mut Errors, path: &FieldPath, spec: &PodSpec) {
    let Some(os) = &spec.os else { return };
    let os_path = path.child("os");
    match os.name.as_str() {
        "" => errors.required(&os_path.child("name"), ""),
        "linux" => windows::linux_pod(errors, path, spec),
        "windows" => windows::windows_pod(errors, path, spec),
        other => errors.one_of(&os_path, other, &["linux", "windows"]),
    }
}

/// Files from which the environment is read lie in an emptyDir.
fn file_key_volumes(errors: &mut Errors, path: &FieldPath, spec: &PodSpec) {
    let volumes: BTreeMap<&str, &Volume> = spec.volumes.iter().flatten().map(|v| (v.name.as_str(), v)).collect();
    visit_containers(spec, path, &mut |container, path| {
        let list = path.child("env");
        for (i, variable) in container.env.iter().enumerate() {
            let Some(file) = variable.value_from.as_ref().and_then(|source| source.file_key_ref.as_ref()) else {
                continue;
            };
            let entry = list.index(i);
            let path = entry.child("valueFrom.fileKeyRef.volumeName");
            match volumes.get(file.volume_name.as_str()) {
                None => errors.not_found(&path, &file.volume_name),
                Some(volume) if volume.empty_dir.is_none() => {
                    errors.invalid(&path, &file.volume_name, "referenced volume must be of type emptyDir");
                }
                Some(_) => {}
            }
        }
    });
}

/// What all three kinds of containers have.
#[derive(Clone, Copy)]
pub struct AnyContainer<'a> {
    /// Its name.
    pub name: &'a str,
    /// `env`.
    pub env: &'a [EnvVar],
    /// `ports`.
    pub ports: &'a [ContainerPort],
    /// `resources`.
    pub resources: Option<&'a ResourceRequirements>,
    /// `securityContext`.
    pub security_context: Option<&'a SecurityContext>,
    /// `volumeDevices`.
    pub volume_devices: &'a [VolumeDevice],
}

impl<'a> From<&'a Container> for AnyContainer<'a> {
    fn from(container: &'a Container) -> Self {
        Self {
            name: &container.name,
            env: container.env.as_deref().unwrap_or_default(),
            ports: container.ports.as_deref().unwrap_or_default(),
            resources: container.resources.as_ref(),
            security_context: container.security_context.as_ref(),
            volume_devices: container.volume_devices.as_deref().unwrap_or_default(),
        }
    }
}

/// Looks at all containers with their paths: init containers, containers, ephemeral containers, as the server does.
pub fn visit_containers<'a>(spec: &'a PodSpec, path: &FieldPath, visit: &mut dyn FnMut(AnyContainer<'a>, &FieldPath)) {
    let list = path.child("initContainers");
    for (i, container) in spec.init_containers.iter().flatten().enumerate() {
        visit(container.into(), &list.index(i));
    }
    let list = path.child("containers");
    for (i, container) in spec.containers.iter().enumerate() {
        visit(container.into(), &list.index(i));
    }
    let list = path.child("ephemeralContainers");
    for (i, container) in spec.ephemeral_containers.iter().flatten().enumerate() {
        let any = AnyContainer {
            name: &container.name,
            env: container.env.as_deref().unwrap_or_default(),
            ports: container.ports.as_deref().unwrap_or_default(),
            resources: container.resources.as_ref(),
            security_context: container.security_context.as_ref(),
            volume_devices: container.volume_devices.as_deref().unwrap_or_default(),
        };
        visit(any, &list.index(i));
    }
}

/// The names of all containers.
pub fn container_names(spec: &PodSpec) -> impl Iterator<Item = &str> {
    spec.init_containers
        .iter()
        .flatten()
        .chain(&spec.containers)
        .map(|container| container.name.as_str())
        .chain(spec.ephemeral_containers.iter().flatten().map(|container| container.name.as_str()))
}
