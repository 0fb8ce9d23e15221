//! Rows of both security contexts.

use k8s_openapi::api::core::v1;

use super::Keep::{Always, OmitEmpty, Pointer};
use super::Treatment::{Later, LaterFor, NoMeaning, Refused, Supported, Warned};
use super::Type::{Bool, Int64, List, Object, Text};
use super::{STRING, Struct, row};

/// `PodSecurityContext`.
pub static POD_SECURITY_CONTEXT: Struct = Struct {
    name: "PodSecurityContext",
    size: size_of::<v1::PodSecurityContext>(),
    rows: &[
        row("seLinuxOptions", Object(&SE_LINUX_OPTIONS), Pointer, Warned),
        row("windowsOptions", Object(&WINDOWS_SECURITY_CONTEXT_OPTIONS), Pointer, Refused),
        row("runAsUser", Int64, Pointer, Supported),
        row("runAsGroup", Int64, Pointer, Supported),
        row("runAsNonRoot", Bool, Pointer, Supported),
        row("supplementalGroups", List(&Int64), OmitEmpty, Supported),
        row("supplementalGroupsPolicy", Text("v1.SupplementalGroupsPolicy"), Pointer, Supported),
        row("fsGroup", Int64, Pointer, Supported),
        row("sysctls", List(&Object(&SYSCTL)), OmitEmpty, Later),
        row("fsGroupChangePolicy", Text("v1.PodFSGroupChangePolicy"), Pointer, Supported),
        row("seccompProfile", Object(&SECCOMP_PROFILE), Pointer, Supported),
        row("appArmorProfile", Object(&APP_ARMOR_PROFILE), Pointer, Supported),
        row("seLinuxChangePolicy", Text("v1.PodSELinuxChangePolicy"), Pointer, NoMeaning),
    ],
};

/// `SecurityContext`.
pub static SECURITY_CONTEXT: Struct = Struct {
    name: "SecurityContext",
    size: size_of::<v1::SecurityContext>(),
    rows: &[
        row("capabilities", Object(&CAPABILITIES), Pointer, Supported),
        row("privileged", Bool, Pointer, Supported),
        row("seLinuxOptions", Object(&SE_LINUX_OPTIONS), Pointer, Warned),
        row("windowsOptions", Object(&WINDOWS_SECURITY_CONTEXT_OPTIONS), Pointer, Refused),
        row("runAsUser", Int64, Pointer, Supported),
        row("runAsGroup", Int64, Pointer, Supported),
        row("runAsNonRoot", Bool, Pointer, Supported),
        row("readOnlyRootFilesystem", Bool, Pointer, Supported),
        row("allowPrivilegeEscalation", Bool, Pointer, Supported),
        row("procMount", Text("v1.ProcMountType"), Pointer, Supported),
        row("seccompProfile", Object(&SECCOMP_PROFILE), Pointer, Supported),
        row("appArmorProfile", Object(&APP_ARMOR_PROFILE), Pointer, Supported),
    ],
};

/// `SELinuxOptions`.
pub static SE_LINUX_OPTIONS: Struct = Struct {
    name: "SELinuxOptions",
    size: size_of::<v1::SELinuxOptions>(),
    rows: &[
        row("user", STRING, OmitEmpty, Supported),
        row("role", STRING, OmitEmpty, Supported),
        row("type", STRING, OmitEmpty, Supported),
        row("level", STRING, OmitEmpty, Supported),
    ],
};

/// `WindowsSecurityContextOptions`.
pub static WINDOWS_SECURITY_CONTEXT_OPTIONS: Struct = Struct {
    name: "WindowsSecurityContextOptions",
    size: size_of::<v1::WindowsSecurityContextOptions>(),
    rows: &[
        row("gmsaCredentialSpecName", STRING, Pointer, Supported),
        row("gmsaCredentialSpec", STRING, Pointer, Supported),
        row("runAsUserName", STRING, Pointer, Supported),
        row("hostProcess", Bool, Pointer, Supported),
    ],
};

/// `Sysctl`.
pub static SYSCTL: Struct = Struct {
    name: "Sysctl",
    size: size_of::<v1::Sysctl>(),
    rows: &[row("name", STRING, Always, Supported), row("value", STRING, Always, Supported)],
};

/// `SeccompProfile`.
pub static SECCOMP_PROFILE: Struct = Struct {
    name: "SeccompProfile",
    size: size_of::<v1::SeccompProfile>(),
    rows: &[
        row("type", Text("v1.SeccompProfileType"), Always, LaterFor(&["Localhost"])),
        row("localhostProfile", STRING, Pointer, Supported),
    ],
};

/// `AppArmorProfile`.
pub static APP_ARMOR_PROFILE: Struct = Struct {
    name: "AppArmorProfile",
    size: size_of::<v1::AppArmorProfile>(),
    rows: &[
        row("type", Text("v1.AppArmorProfileType"), Always, LaterFor(&["Localhost", "RuntimeDefault"])),
        row("localhostProfile", STRING, Pointer, Supported),
    ],
};

/// `Capabilities`.
pub static CAPABILITIES: Struct = Struct {
    name: "Capabilities",
    size: size_of::<v1::Capabilities>(),
    rows: &[
        row("add", List(&Text("v1.Capability")), OmitEmpty, Supported),
        row("drop", List(&Text("v1.Capability")), OmitEmpty, Supported),
    ],
};
