//! `securityContext` of pods and containers, and the annotations that came before seccomp and AppArmor had fields.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Pod, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext, Sysctl,
};

use super::errors::Errors;
use super::mounts::descending_path;
use super::pod_spec::visit_containers;
use super::{names, windows};
use crate::manifest::field::{FieldPath, Shown};
use crate::manifest::go;

/// The pod's seccomp profile, before 1.19.
pub const SECCOMP_POD_ANNOTATION: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// A container's seccomp profile, before 1.19; its name follows.
pub const SECCOMP_CONTAINER_ANNOTATION: &str = "container.seccomp.security.alpha.kubernetes.io/";
/// A container's AppArmor profile, before 1.30; its name follows.
pub const APPARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

const PROFILE_TYPES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
/// PATH_MAX without its end.
const APPARMOR_NAME_MAX: usize = 4095;

/// The pod's context.
pub fn pod(errors: &mut Errors, path: &FieldPath, spec: &PodSpec) {
    let Some(sc) = &spec.security_context else { return };
    for (name, id) in [("fsGroup", sc.fs_group), ("runAsUser", sc.run_as_user), ("runAsGroup", sc.run_as_group)] {
        if let Some(id) = id {
            errors.each_number(&path.child(name), id, names::id(id));
        }
    }
    let groups = path.child("supplementalGroups");
    for (i, group) in sc.supplemental_groups.iter().flatten().enumerate() {
        errors.each_number(&groups.index(i), *group, names::id(*group));
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        // The server keeps the field in its security context, and says so.
        errors.invalid(
            &path.child("shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    sysctls(errors, &path.child("sysctls"), sc.sysctls.as_deref().unwrap_or_default(), spec);
    if let Some(policy) = &sc.fs_group_change_policy {
        errors.one_of(&path.child("fsGroupChangePolicy"), policy, &["Always", "OnRootMismatch"]);
    }
    seccomp_profile(errors, &path.child("seccompProfile"), sc.seccomp_profile.as_ref());
    windows::options(errors, &path.child("windowsOptions"), sc.windows_options.as_ref());
    apparmor_profile(errors, &path.child("appArmorProfile"), sc.app_armor_profile.as_ref());
    if let Some(policy) = &sc.supplemental_groups_policy {
        errors.one_of(&path.child("supplementalGroupsPolicy"), policy, &["Merge", "Strict"]);
    }
    if let Some(policy) = &sc.se_linux_change_policy {
        errors.one_of(&path.child("seLinuxChangePolicy"), policy, &["MountOption", "Recursive"]);
    }
}

fn sysctls(errors: &mut Errors, path: &FieldPath, sysctls: &[Sysctl], spec: &PodSpec) {
    let mut seen = BTreeSet::new();
    for (i, sysctl) in sysctls.iter().enumerate() {
        let entry = path.index(i);
        let (path, name) = (entry.child("name"), sysctl.name.as_str());
        if name.is_empty() {
            errors.required(&path, "");
        } else if !names::is_sysctl(name) {
            errors.invalid(
                &path,
                name,
                "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            );
        } else if seen.contains(name) {
            errors.duplicate(&path, name);
        }
        match sysctl_namespace(name) {
            Some(Namespace::Net) if spec.host_network == Some(true) => {
                errors.invalid(&path, name, "may not be specified when 'hostNetwork' is true");
            }
            Some(Namespace::Ipc) if spec.host_ipc == Some(true) => {
                errors.invalid(&path, name, "may not be specified when 'hostIPC' is true");
            }
            _ => {}
        }
        seen.insert(name);
    }
}

enum Namespace {
    Ipc,
    Net,
}

/// Which namespace has its own value of a sysctl (component-helpers `util/sysctl`).
fn sysctl_namespace(name: &str) -> Option<Namespace> {
    // Of the two separators the one that comes first is the separator; a slash form is turned around.
    let dotted = match name.find(['.', '/']).and_then(|at| name.as_bytes().get(at)) {
        Some(b'/') => name
            .chars()
            .map(|c| match c {
                '/' => '.',
                '.' => '/',
                c => c,
            })
            .collect(),
        _ => name.to_string(),
    };
    let dotted = dotted.split('*').next().unwrap_or_default();
    const IPC: [&str; 10] = [
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.shm",
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.msg",
    ];
    if IPC.contains(&dotted) || dotted.starts_with("fs.mqueue.") {
        Some(Namespace::Ipc)
    } else if dotted.starts_with("net.") {
        Some(Namespace::Net)
    } else {
        None
    }
}

/// A container's context.
pub fn container(errors: &mut Errors, path: &FieldPath, sc: &SecurityContext, host_users: bool) {
    for (name, id) in [("runAsUser", sc.run_as_user), ("runAsGroup", sc.run_as_group)] {
        if let Some(id) = id {
            errors.each_number(&path.child(name), id, names::id(id));
        }
    }
    if let Some(proc_mount) = &sc.proc_mount {
        let path = path.child("procMount");
        errors.one_of(&path, proc_mount, &["Default", "Unmasked"]);
        if host_users && proc_mount == "Unmasked" {
            errors.invalid(&path, Shown::json(proc_mount), "`hostUsers` must be false to use `Unmasked`");
        }
    }
    seccomp_profile(errors, &path.child("seccompProfile"), sc.seccomp_profile.as_ref());
    if sc.allow_privilege_escalation == Some(false) {
        let whole = || Shown::json(&go::security_context(sc));
        if sc.privileged == Some(true) {
            errors.invalid(path, whole(), "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        }
        for capability in sc.capabilities.iter().flat_map(|c| &c.add).flatten() {
            // Only with the prefix that no runtime takes: a quirk of the server.
            if capability == "CAP_SYS_ADMIN" && !errors.is_full() {
                errors.invalid(
                    path,
                    whole(),
                    "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
                );
            }
        }
    }
    windows::options(errors, &path.child("windowsOptions"), sc.windows_options.as_ref());
    apparmor_profile(errors, &path.child("appArmorProfile"), sc.app_armor_profile.as_ref());
}

fn seccomp_profile(errors: &mut Errors, path: &FieldPath, profile: Option<&SeccompProfile>) {
    let Some(profile) = profile else { return };
    match profile.type_.as_str() {
        "" => errors.required(&path.child("type"), "type is required when seccompProfile is set"),
        other => errors.one_of(&path.child("type"), other, &PROFILE_TYPES),
    }
    let file = path.child("localhostProfile");
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("Localhost", None) => errors.required(&file, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(name)) => descending_path(errors, &file, name),
        (_, Some(_)) => errors.invalid(
            &file,
            Shown::json(&go::seccomp_profile(profile)),
            "can only be set when seccomp type is Localhost",
        ),
        (_, None) => {}
    }
}

fn apparmor_profile(errors: &mut Errors, path: &FieldPath, profile: Option<&AppArmorProfile>) {
    let Some(profile) = profile else { return };
    let name_path = path.child("localhostProfile");
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("", _) => errors.required(&path.child("type"), "type is required when appArmorProfile is set"),
        ("Localhost", None) => errors.required(&name_path, "must be set when AppArmor type is Localhost"),
        ("Localhost", Some(name)) => {
            if name.trim() != name {
                errors.invalid(&name_path, name, "must not be padded with whitespace");
            } else if name.is_empty() {
                errors.required(&name_path, "must be set when AppArmor type is Localhost");
            }
            if name.len() > APPARMOR_NAME_MAX {
                errors.too_long(&name_path, APPARMOR_NAME_MAX);
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(name)) => {
            errors.invalid(&name_path, name, "can only be set when AppArmor type is Localhost");
        }
        (other, _) => errors.one_of(&path.child("type"), other, &PROFILE_TYPES),
    }
}

/// The form of a seccomp annotation.
pub fn seccomp_annotation(errors: &mut Errors, path: &FieldPath, profile: &str) {
    if let Some(file) = profile.strip_prefix("localhost/") {
        descending_path(errors, path, file);
    } else if !matches!(profile, "runtime/default" | "docker/default" | "unconfined") {
        errors.invalid(path, profile, "must be a valid seccomp profile");
    }
}

/// The form of an AppArmor annotation.
pub fn is_apparmor_annotation(profile: &str) -> bool {
    matches!(profile, "" | "runtime/default" | "unconfined") || profile.starts_with("localhost/")
}

/// Where both an annotation and a field are given they must say the same.
pub fn annotations_match_fields(errors: &mut Errors, path: &FieldPath, pod: &Pod, spec: &PodSpec) {
    let Some(annotations) = &pod.metadata.annotations else { return };
    let pod_context: Option<&PodSecurityContext> = spec.security_context.as_ref();
    if let Some(profile) = pod_context.and_then(|sc| sc.seccomp_profile.as_ref())
        && let Some(annotation) = annotations.get(SECCOMP_POD_ANNOTATION)
    {
        let path = path.child("securityContext");
        seccomp_match(errors, &path.child("seccompProfile"), annotation, profile);
    }
    visit_containers(spec, path, &mut |container, path| {
        let Some(profile) = container.security_context.and_then(|sc| sc.seccomp_profile.as_ref()) else { return };
        if let Some(annotation) = annotations.get(&format!("{SECCOMP_CONTAINER_ANNOTATION}{}", container.name)) {
            let path = path.child("securityContext");
            seccomp_match(errors, &path.child("seccompProfile"), annotation, profile);
        }
    });
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return;
    }
    visit_containers(spec, path, &mut |container, path| {
        let own = container.security_context.and_then(|sc| sc.app_armor_profile.as_ref());
        let Some(profile) = own.or(pod_context.and_then(|sc| sc.app_armor_profile.as_ref())) else { return };
        let Some(annotation) = annotations.get(&format!("{APPARMOR_ANNOTATION}{}", container.name)) else { return };
        let path = path.child("securityContext");
        let path = path.child("appArmorProfile");
        let type_matches = match profile.type_.as_str() {
            "Unconfined" => annotation == "unconfined",
            "RuntimeDefault" => annotation == "runtime/default",
            "Localhost" => annotation.starts_with("localhost/"),
            _ => return,
        };
        if !type_matches {
            errors.forbidden(&path.child("type"), "apparmor type in annotation and field must match");
        } else if profile.type_ == "Localhost"
            && annotation.strip_prefix("localhost/") != profile.localhost_profile.as_deref()
        {
            errors.forbidden(&path.child("localhostProfile"), "apparmor profile in annotation and field must match");
        }
    });
}

fn seccomp_match(errors: &mut Errors, path: &FieldPath, annotation: &str, profile: &SeccompProfile) {
    let type_matches = match profile.type_.as_str() {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => matches!(annotation, "runtime/default" | "docker/default"),
        "Localhost" => annotation.starts_with("localhost/"),
        _ => return,
    };
    if !type_matches {
        errors.forbidden(&path.child("type"), "seccomp type in annotation and field must match");
    } else if profile.type_ == "Localhost"
        && annotation.strip_prefix("localhost/") != profile.localhost_profile.as_deref()
    {
        errors.forbidden(&path.child("localhostProfile"), "seccomp profile in annotation and field must match");
    }
}
