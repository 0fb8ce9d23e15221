//! Containers, init containers and ephemeral containers, but for what has its own file.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, ContainerResizePolicy, PodSpec};

use super::errors::Errors;
use super::mounts::{self, Volumes};
use super::probes::ProbeKind;
use super::resources::Owner;
use super::{env, names, ports, probes, resources, security};
use crate::manifest::containers::of_ephemeral;
use crate::manifest::field::{FieldPath, Shown};

/// What the checks of a container need to know of its pod.
pub struct Context<'a> {
    /// The pod.
    pub spec: &'a PodSpec,
    /// Its valid volumes.
    pub volumes: &'a Volumes<'a>,
    /// The names in `resourceClaims`.
    pub claims: &'a BTreeSet<&'a str>,
    /// Whether the pod shares the machine's user namespace.
    pub host_users: bool,
}

impl Context<'_> {
    fn grace(&self) -> Option<i64> {
        self.spec.termination_grace_period_seconds
    }
}

/// `containers`.
pub fn containers(errors: &mut Errors, path: &FieldPath, context: &Context) {
    let containers = &context.spec.containers;
    if containers.is_empty() {
        return errors.required(path, "");
    }
    let mut seen = BTreeSet::new();
    for (i, container) in containers.iter().enumerate() {
        let path = path.index(i);
        common(errors, &path, container, context);
        if !seen.insert(container.name.as_str()) {
            errors.duplicate(&path.child("name"), &container.name);
        }
        hooks_and_probes(errors, &path, container, context);
        restart_policy(errors, &path, container);
        restart_rules(errors, &path.child("restartPolicyRules"), container);
    }
    ports::host_port_conflicts(errors, path, containers.iter());
}

/// `initContainers`, sidecars among them.
pub fn init_containers(errors: &mut Errors, path: &FieldPath, context: &Context) {
    let mut seen: BTreeSet<&str> = context.spec.containers.iter().map(|c| c.name.as_str()).collect();
    for (i, container) in context.spec.init_containers.iter().flatten().enumerate() {
        let entry = path.index(i);
        common(errors, &entry, container, context);
        restart_policy(errors, &entry, container);
        // Without a policy the rules are not looked at, unlike those of other containers: a quirk of the server.
        if container.restart_policy.is_some() {
            restart_rules(errors, &entry.child("restartPolicyRules"), container);
        }
        if seen.contains(container.name.as_str()) {
            errors.duplicate(&entry.child("name"), &container.name);
        } else if !container.name.is_empty() {
            seen.insert(&container.name);
        }
        // Each alone, and therefore with the index 0: a quirk of the server.
        ports::host_port_conflicts(errors, path, std::iter::once(container));

        let sidecar = container.restart_policy.as_deref() == Some("Always");
        if sidecar {
            hooks_and_probes(errors, &entry, container, context);
        } else {
            for (name, given) in [
                ("lifecycle", container.lifecycle.is_some()),
                ("livenessProbe", container.liveness_probe.is_some()),
                ("readinessProbe", container.readiness_probe.is_some()),
                ("startupProbe", container.startup_probe.is_some()),
            ] {
                if given {
                    errors.forbidden(
                        &entry.child(name),
                        "may not be set for init containers without restartPolicy=Always",
                    );
                }
            }
            for (j, policy) in container.resize_policy.iter().flatten().enumerate() {
                if policy.restart_policy == "RestartContainer" {
                    errors.invalid(
                        &entry.child("resizePolicy").index(j).child("restartPolicy"),
                        Shown::json(&policy.restart_policy),
                        "must not be set to 'RestartContainer' for non-sidecar initContainers",
                    );
                }
            }
        }
    }
}

/// `ephemeralContainers`.
pub fn ephemeral_containers(errors: &mut Errors, path: &FieldPath, context: &Context) {
    const NOT_HERE: &str = "cannot be set for an Ephemeral Container";
    let spec = context.spec;
    let others: BTreeSet<&str> =
        spec.containers.iter().chain(spec.init_containers.iter().flatten()).map(|c| c.name.as_str()).collect();
    let mut seen = others.clone();
    for (i, ephemeral) in spec.ephemeral_containers.iter().flatten().enumerate() {
        let path = path.index(i);
        let container = of_ephemeral(ephemeral);
        common(errors, &path, &container, context);
        image_without_blanks(errors, &path, &container);
        if !seen.insert(ephemeral.name.as_str()) {
            errors.duplicate(&path.child("name"), &ephemeral.name);
        }
        if let Some(target) = ephemeral.target_container_name.as_deref()
            && !target.is_empty()
            && !others.contains(target)
        {
            errors.not_found(&path.child("targetContainerName"), target);
        }
        let has_resources = container.resources.as_ref().is_some_and(|r| *r != Default::default());
        for (name, given) in [
            ("ports", container.ports.is_some()),
            ("resources", has_resources),
            ("resizePolicy", container.resize_policy.is_some()),
            ("restartPolicy", container.restart_policy.is_some()),
            ("restartPolicyRules", container.restart_policy_rules.is_some()),
            ("livenessProbe", container.liveness_probe.is_some()),
            ("readinessProbe", container.readiness_probe.is_some()),
            ("startupProbe", container.startup_probe.is_some()),
            ("lifecycle", container.lifecycle.is_some()),
        ] {
            if given {
                errors.forbidden(&path.child(name), NOT_HERE);
            }
        }
        let mounts = path.child("volumeMounts");
        for (j, mount) in container.volume_mounts.iter().flatten().enumerate() {
            let mount_path = mounts.index(j);
            if mount.sub_path.is_some() {
                errors.forbidden(&mount_path.child("subPath"), NOT_HERE);
            }
            if mount.sub_path_expr.is_some() {
                errors.forbidden(&mount_path.child("subPathExpr"), NOT_HERE);
            }
        }
    }
}

fn hooks_and_probes(errors: &mut Errors, path: &FieldPath, container: &Container, context: &Context) {
    if let Some(lifecycle) = &container.lifecycle {
        probes::lifecycle(errors, &path.child("lifecycle"), lifecycle, context.grace(), context.spec.os.as_ref());
    }
    for (name, probe, kind) in [
        ("livenessProbe", &container.liveness_probe, ProbeKind::Liveness),
        ("readinessProbe", &container.readiness_probe, ProbeKind::Readiness),
        ("startupProbe", &container.startup_probe, ProbeKind::Startup),
    ] {
        probes::probe(errors, &path.child(name), probe.as_ref(), kind);
    }
}

/// What all kinds of containers share, in the server's order.
fn common(errors: &mut Errors, path: &FieldPath, container: &Container, context: &Context) {
    let name = path.child("name");
    if errors.require_text(&name, &container.name) {
        errors.each(&name, &container.name, names::dns_label(&container.name));
    }
    errors.require_text(&path.child("image"), container.image.as_deref().unwrap_or_default());
    errors.required_one_of(
        &path.child("terminationMessagePolicy"),
        container.termination_message_policy.as_deref(),
        &["File", "FallbackToLogsOnError"],
    );
    let (mount_list, device_list) = (
        container.volume_mounts.as_deref().unwrap_or_default(),
        container.volume_devices.as_deref().unwrap_or_default(),
    );
    ports::ports(errors, &path.child("ports"), container.ports.as_deref().unwrap_or_default());
    env::variables(errors, &path.child("env"), container.env.as_deref().unwrap_or_default());
    env::sources(errors, &path.child("envFrom"), container.env_from.as_deref().unwrap_or_default());
    let privileged = container.security_context.as_ref().is_some_and(|sc| sc.privileged == Some(true));
    mounts::mounts(errors, &path.child("volumeMounts"), mount_list, device_list, context.volumes, privileged);
    mounts::devices(errors, &path.child("volumeDevices"), device_list, mount_list, context.volumes);
    pull_policy(errors, &path.child("imagePullPolicy"), container.image_pull_policy.as_deref());
    if let Some(resources) = &container.resources {
        resources::requirements(errors, &path.child("resources"), resources, context.claims, Owner::Container);
    }
    let policies = container.resize_policy.as_deref().unwrap_or_default();
    resize_policy(errors, &path.child("resizePolicy"), policies, context.spec.restart_policy.as_deref());
    if let Some(sc) = &container.security_context {
        security::container(errors, &path.child("securityContext"), sc, context.host_users);
    }
}

/// `imagePullPolicy` of containers, `pullPolicy` of image volumes.
pub fn pull_policy(errors: &mut Errors, path: &FieldPath, policy: Option<&str>) {
    errors.required_one_of(path, policy, &["Always", "IfNotPresent", "Never"]);
}

fn resize_policy(errors: &mut Errors, path: &FieldPath, policies: &[ContainerResizePolicy], restart: Option<&str>) {
    let mut seen = BTreeSet::new();
    for (i, policy) in policies.iter().enumerate() {
        if !seen.insert(policy.resource_name.as_str()) {
            errors.duplicate(&path.index(i), Shown::json(&policy.resource_name));
        }
        // Without the index: a quirk of the server.
        errors.required_one_of(path, Some(&policy.resource_name), &["cpu", "memory"]);
        errors.required_one_of(path, Some(&policy.restart_policy), &["NotRequired", "RestartContainer"]);
        if restart == Some("Never") && policy.restart_policy != "NotRequired" {
            errors.invalid(
                path,
                Shown::json(&policy.restart_policy),
                "must be 'NotRequired' when pod `restartPolicy` is 'Never'",
            );
        }
    }
}

fn restart_policy(errors: &mut Errors, path: &FieldPath, container: &Container) {
    let path = path.child("restartPolicy");
    match &container.restart_policy {
        Some(policy) => errors.one_of(&path, policy, &["Always", "Never", "OnFailure"]),
        None if container.restart_policy_rules.as_ref().is_none_or(Vec::is_empty) => {}
        None => errors.required(&path, "must specify restartPolicy when restart rules are used"),
    }
}

fn restart_rules(errors: &mut Errors, list: &FieldPath, container: &Container) {
    let rules = container.restart_policy_rules.as_deref().unwrap_or_default();
    if rules.len() > 20 {
        errors.too_many(list, rules.len(), 20);
    }
    for (i, rule) in rules.iter().enumerate() {
        let path = list.index(i);
        errors.one_of(&path.child("action"), &rule.action, &["Restart", "RestartAllContainers"]);
        let codes = path.child("exitCodes");
        match &rule.exit_codes {
            None => errors.required(&codes, "must be specified"),
            Some(exit_codes) => {
                errors.one_of(&codes.child("operator"), &exit_codes.operator, &["In", "NotIn"]);
                let count = exit_codes.values.as_ref().map_or(0, Vec::len);
                if count > 255 {
                    errors.too_many(&codes.child("values"), count, 255);
                }
            }
        }
    }
}

/// Names of images may not begin or end with blanks; asked of pods alone, after all else.
pub fn image_without_blanks(errors: &mut Errors, path: &FieldPath, container: &Container) {
    if let Some(image) = &container.image
        && image.trim().len() != image.len()
    {
        errors.invalid(&path.child("image"), image, "must not have leading or trailing whitespace");
    }
}
