//! `windowsOptions`: checked as the server does, although no pod that needs them can run here.

use k8s_openapi::api::core::v1::{PodSpec, WindowsSecurityContextOptions};

use super::errors::Errors;
use super::names;
use super::pod_spec::visit_containers;
use crate::manifest::field::FieldPath;

const CREDENTIAL_MAX: usize = 64 * 1024;

/// The options of a pod or a container.
pub fn options(errors: &mut Errors, path: &FieldPath, options: Option<&WindowsSecurityContextOptions>) {
    let Some(options) = options else { return };
    if let Some(name) = &options.gmsa_credential_spec_name {
        errors.each(&path.child("gmsaCredentialSpecName"), name, names::dns_subdomain(name));
    }
    if let Some(spec) = &options.gmsa_credential_spec {
        let path = path.child("gmsaCredentialSpec");
        if spec.is_empty() {
            errors.invalid(&path, spec, "gmsaCredentialSpec cannot be an empty string");
        } else if spec.len() > CREDENTIAL_MAX {
            errors.invalid(&path, spec, "gmsaCredentialSpec size must be under 64 KiB");
        }
    }
    if let Some(name) = &options.run_as_user_name {
        user_name(errors, &path.child("runAsUserName"), name);
    }
}

fn user_name(errors: &mut Errors, path: &FieldPath, name: &str) {
    if name.is_empty() {
        return errors.invalid(path, name, "runAsUserName cannot be an empty string");
    }
    if name.bytes().any(|b| b.is_ascii_control()) {
        return errors.invalid(path, name, "runAsUserName cannot contain control characters");
    }
    if name.matches('\\').count() > 1 {
        return errors.invalid(path, name, "runAsUserName cannot contain more than one backslash");
    }
    let (domain, user) = match name.split_once('\\') {
        Some((domain, user)) => (Some(domain), user),
        None => (None, name),
    };
    if let Some(domain) = domain {
        if domain.len() >= 256 {
            errors.invalid(path, name, "runAsUserName's Domain length must be under 256 characters");
        }
        if !is_net_bios(domain) && !is_dns_domain(domain) {
            errors.invalid(path, name, "runAsUserName's Domain doesn't match the NetBios nor the DNS format");
        }
    }
    if user.is_empty() {
        errors.invalid(path, name, "runAsUserName's User cannot be empty");
    } else if user.len() > 104 {
        errors.invalid(path, name, "runAsUserName's User length must not be longer than 104 characters");
    }
    if !user.is_empty() && user.bytes().all(|b| matches!(b, b'.' | b' ')) {
        errors.invalid(path, name, "runAsUserName's User cannot contain only periods or spaces");
    }
    if user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        errors.invalid(path, name, "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    }
}

fn is_net_bios(domain: &str) -> bool {
    let bad = ['\\', '/', ':', '*', '?', '"', '<', '>', '|'];
    (1..=15).contains(&domain.chars().count()) && !domain.starts_with('.') && !domain.contains(bad)
}

fn is_dns_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        let bytes = label.as_bytes();
        bytes.len() <= 63
            && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    })
}

/// Host process containers: all or none, and only in the machine's network.
pub fn host_process(errors: &mut Errors, path: &FieldPath, spec: &PodSpec) {
    let of_pod = spec.security_context.as_ref().and_then(|sc| sc.windows_options.as_ref()).and_then(|w| w.host_process);
    let (mut containers, mut host_process) = (0, 0);
    visit_containers(spec, path, &mut |container, path| {
        containers += 1;
        let own = container.security_context.and_then(|sc| sc.windows_options.as_ref()).and_then(|w| w.host_process);
        if let (Some(pod), Some(own)) = (of_pod, own)
            && pod != own
        {
            let text = format!("pod hostProcess value must be identical if both are specified, was {pod}");
            errors.invalid(&path.child("securityContext.windowsOptions.hostProcess"), own, text);
        }
        host_process += i32::from(own.or(of_pod) == Some(true));
    });
    if host_process == 0 {
        return;
    }
    if host_process != containers {
        errors.invalid(
            path,
            "",
            "If pod contains any hostProcess containers then all containers must be HostProcess containers",
        );
    }
    if spec.host_network != Some(true) {
        errors.invalid(
            &path.child("hostNetwork"),
            false,
            "hostNetwork must be true if pod contains any hostProcess containers",
        );
    }
}

/// What a pod that says `os: linux` may not have.
pub fn linux_pod(errors: &mut Errors, path: &FieldPath, spec: &PodSpec) {
    const TEXT: &str = "windows options cannot be set for a linux pod";
    if spec.security_context.as_ref().is_some_and(|sc| sc.windows_options.is_some()) {
        errors.forbidden(&path.child("securityContext.windowsOptions"), TEXT);
    }
    visit_containers(spec, path, &mut |container, path| {
        if container.security_context.is_some_and(|sc| sc.windows_options.is_some()) {
            errors.forbidden(&path.child("securityContext.windowsOptions"), TEXT);
        }
    });
}

/// What a pod that says `os: windows` may not have.
pub fn windows_pod(errors: &mut Errors, path: &FieldPath, spec: &PodSpec) {
    const TEXT: &str = "cannot be set for a windows pod";
    let refuse = |errors: &mut Errors, path: &FieldPath, list: &[(&str, bool)]| {
        for (name, given) in list {
            if *given {
                errors.forbidden(&path.child(name), TEXT);
            }
        }
    };
    if let Some(sc) = &spec.security_context {
        refuse(
            errors,
            path,
            &[
                ("securityContext.appArmorProfile", sc.app_armor_profile.is_some()),
                ("securityContext.seLinuxOptions", sc.se_linux_options.is_some()),
                ("hostUsers", spec.host_users.is_some()),
                ("hostPID", spec.host_pid == Some(true)),
                ("hostIPC", spec.host_ipc == Some(true)),
                ("securityContext.seccompProfile", sc.seccomp_profile.is_some()),
                ("securityContext.fsGroup", sc.fs_group.is_some()),
                ("securityContext.fsGroupChangePolicy", sc.fs_group_change_policy.is_some()),
                ("securityContext.sysctls", sc.sysctls.as_ref().is_some_and(|list| !list.is_empty())),
                ("shareProcessNamespace", spec.share_process_namespace.is_some()),
                ("securityContext.runAsUser", sc.run_as_user.is_some()),
                ("securityContext.runAsGroup", sc.run_as_group.is_some()),
                ("securityContext.supplementalGroups", sc.supplemental_groups.is_some()),
                ("securityContext.supplementalGroupsPolicy", sc.supplemental_groups_policy.is_some()),
                ("securityContext.seLinuxChangePolicy", sc.se_linux_change_policy.is_some()),
            ],
        );
    }
    visit_containers(spec, path, &mut |container, path| {
        let Some(sc) = container.security_context else { return };
        refuse(
            errors,
            &path.child("securityContext"),
            &[
                ("appArmorProfile", sc.app_armor_profile.is_some()),
                ("seLinuxOptions", sc.se_linux_options.is_some()),
                ("seccompProfile", sc.seccomp_profile.is_some()),
                ("capabilities", sc.capabilities.is_some()),
                ("readOnlyRootFilesystem", sc.read_only_root_filesystem.is_some()),
                ("privileged", sc.privileged.is_some()),
                ("allowPrivilegeEscalation", sc.allow_privilege_escalation.is_some()),
                ("procMount", sc.proc_mount.is_some()),
                ("runAsUser", sc.run_as_user.is_some()),
                ("runAsGroup", sc.run_as_group.is_some()),
            ],
        );
    });
}
