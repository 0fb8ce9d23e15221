//! The two security contexts of a container as one: the container's field wins over the pod's, field by field.

use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SeccompProfile, SecurityContext};

use super::capability::Capabilities;

fn of_pod(pod: &Pod) -> Option<&PodSecurityContext> {
    pod.spec.as_ref()?.security_context.as_ref()
}

fn of_container(container: &Container) -> Option<&SecurityContext> {
    container.security_context.as_ref()
}

/// `name_namespace(uid)`, as the kubelet writes a pod in messages.
pub fn pod_name(pod: &Pod) -> String {
    let metadata = &pod.metadata;
    format!(
        "{}_{}({})",
        metadata.name.as_deref().unwrap_or_default(),
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.uid.as_deref().unwrap_or_default()
    )
}

/// The effective `runAsUser`.
pub fn run_as_user(pod: &Pod, container: &Container) -> Option<i64> {
    of_container(container).and_then(|s| s.run_as_user).or_else(|| of_pod(pod)?.run_as_user)
}

/// The effective `runAsGroup`.
pub fn run_as_group(pod: &Pod, container: &Container) -> Option<i64> {
    of_container(container).and_then(|s| s.run_as_group).or_else(|| of_pod(pod)?.run_as_group)
}

/// The effective `runAsNonRoot`.
pub fn run_as_non_root(pod: &Pod, container: &Container) -> Option<bool> {
    of_container(container).and_then(|s| s.run_as_non_root).or_else(|| of_pod(pod)?.run_as_non_root)
}

/// `privileged: true`.
pub fn privileged(container: &Container) -> bool {
    of_container(container).and_then(|s| s.privileged) == Some(true)
}

/// `readOnlyRootFilesystem: true`.
pub fn read_only_root(container: &Container) -> bool {
    of_container(container).and_then(|s| s.read_only_root_filesystem) == Some(true)
}

/// `allowPrivilegeEscalation: false`. Silent means that escalation is possible.
pub fn no_new_privileges(container: &Container) -> bool {
    of_container(container).and_then(|s| s.allow_privilege_escalation) == Some(false)
}

/// Whether /proc and /sys keep everything visible and writable.
pub fn unmasked(container: &Container) -> bool {
    privileged(container) || of_container(container).and_then(|s| s.proc_mount.as_deref()) == Some("Unmasked")
}

/// The capabilities of a container, of those that podlet has to give.
pub fn capabilities(container: &Container, available: Capabilities) -> Capabilities {
    if privileged(container) {
        return available;
    }
    let asked = of_container(container).and_then(|s| s.capabilities.as_ref());
    Capabilities::of_container(
        available,
        asked.and_then(|c| c.add.as_deref()).unwrap_or_default(),
        asked.and_then(|c| c.drop.as_deref()).unwrap_or_default(),
    )
}

/// Which filter a container runs under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seccomp {
    /// podlet's own table.
    RuntimeDefault,
    /// None.
    Unconfined,
    /// A file named in the manifest.
    Localhost(String),
}

/// The effective filter; `silent` is what holds when neither context says anything. Privileged is never filtered.
pub fn seccomp(pod: &Pod, container: &Container, silent: Seccomp) -> Seccomp {
    if privileged(container) {
        return Seccomp::Unconfined;
    }
    let profile: Option<&SeccompProfile> = of_container(container)
        .and_then(|s| s.seccomp_profile.as_ref())
        .or_else(|| of_pod(pod).and_then(|s| s.seccomp_profile.as_ref()));
    match profile {
        None => silent,
        Some(profile) => match profile.type_.as_str() {
            "Unconfined" => Seccomp::Unconfined,
            "Localhost" => Seccomp::Localhost(profile.localhost_profile.clone().unwrap_or_default()),
            // Validation lets nothing else through; the stricter way for what is unknown.
            _ => Seccomp::RuntimeDefault,
        },
    }
}
