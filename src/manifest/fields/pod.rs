//! Rows of `spec`.

use k8s_openapi::api::core::v1;

use super::Keep::{Always, OmitEmpty, Pointer};
use super::Treatment::{Later, LaterFor, NoMeaning, OneMachine, Refused, RefusedFor, RefusedUnless, Supported};
use super::Type::{Bool, Int32, Int64, List, Map, Object, Quantity, Text};
use super::container::{CONTAINER, EPHEMERAL_CONTAINER, RESOURCE_REQUIREMENTS};
use super::placement::{AFFINITY, TOLERATION, TOPOLOGY_SPREAD_CONSTRAINT};
use super::security::POD_SECURITY_CONTEXT;
use super::volume::VOLUME;
use super::{STRING, Struct, row};

/// `PodSpec`.
pub static POD_SPEC: Struct = Struct {
    name: "PodSpec",
    size: size_of::<v1::PodSpec>(),
    rows: &[
        row("volumes", List(&Object(&VOLUME)), OmitEmpty, Supported),
        row("initContainers", List(&Object(&CONTAINER)), OmitEmpty, Supported),
        row("containers", List(&Object(&CONTAINER)), Always, Supported),
        row("ephemeralContainers", List(&Object(&EPHEMERAL_CONTAINER)), OmitEmpty, Supported),
        row("restartPolicy", Text("v1.RestartPolicy"), OmitEmpty, Supported),
        row("terminationGracePeriodSeconds", Int64, Pointer, Supported),
        row("activeDeadlineSeconds", Int64, Pointer, Supported),
        row("dnsPolicy", Text("v1.DNSPolicy"), OmitEmpty, OneMachine),
        row("nodeSelector", Map("", &STRING), OmitEmpty, NoMeaning),
        row("serviceAccountName", STRING, OmitEmpty, NoMeaning),
        row("serviceAccount", STRING, OmitEmpty, NoMeaning),
        row("automountServiceAccountToken", Bool, Pointer, NoMeaning),
        row("nodeName", STRING, OmitEmpty, OneMachine),
        row("hostNetwork", Bool, OmitEmpty, Supported),
        row("hostPID", Bool, OmitEmpty, Supported),
        row("hostIPC", Bool, OmitEmpty, Supported),
        row("shareProcessNamespace", Bool, Pointer, Supported),
        row("securityContext", Object(&POD_SECURITY_CONTEXT), Pointer, Supported),
        row("imagePullSecrets", List(&Object(&LOCAL_OBJECT_REFERENCE)), OmitEmpty, Supported),
        row("hostname", STRING, OmitEmpty, Supported),
        row("subdomain", STRING, OmitEmpty, OneMachine),
        row("affinity", Object(&AFFINITY), Pointer, NoMeaning),
        row("schedulerName", STRING, OmitEmpty, NoMeaning),
        row("tolerations", List(&Object(&TOLERATION)), OmitEmpty, NoMeaning),
        row("hostAliases", List(&Object(&HOST_ALIAS)), OmitEmpty, Supported),
        row("priorityClassName", STRING, OmitEmpty, OneMachine),
        row("priority", Int32, Pointer, NoMeaning),
        row("dnsConfig", Object(&POD_DNS_CONFIG), Pointer, Supported),
        row("readinessGates", List(&Object(&POD_READINESS_GATE)), OmitEmpty, Supported),
        row("runtimeClassName", STRING, Pointer, RefusedUnless(&["podlet"])),
        row("enableServiceLinks", Bool, Pointer, NoMeaning),
        row("preemptionPolicy", Text("v1.PreemptionPolicy"), Pointer, NoMeaning),
        row("overhead", Map("v1.ResourceList", &Quantity), OmitEmpty, Supported),
        row("topologySpreadConstraints", List(&Object(&TOPOLOGY_SPREAD_CONSTRAINT)), OmitEmpty, NoMeaning),
        row("setHostnameAsFQDN", Bool, Pointer, Supported),
        row("os", Object(&POD_OS), Pointer, Supported),
        row("hostUsers", Bool, Pointer, LaterFor(&["false"])),
        row("schedulingGates", List(&Object(&POD_SCHEDULING_GATE)), OmitEmpty, Later),
        row("resourceClaims", List(&Object(&POD_RESOURCE_CLAIM)), OmitEmpty, Refused),
        row("resources", Object(&RESOURCE_REQUIREMENTS), Pointer, Supported),
        row("hostnameOverride", STRING, Pointer, Supported),
        row("schedulingGroup", Object(&POD_SCHEDULING_GROUP), Pointer, NoMeaning),
    ],
};

/// `LocalObjectReference`.
pub static LOCAL_OBJECT_REFERENCE: Struct = Struct {
    name: "LocalObjectReference",
    size: size_of::<v1::LocalObjectReference>(),
    rows: &[row("name", STRING, OmitEmpty, Supported)],
};

/// `HostAlias`.
pub static HOST_ALIAS: Struct = Struct {
    name: "HostAlias",
    size: size_of::<v1::HostAlias>(),
    rows: &[row("ip", STRING, Always, Supported), row("hostnames", List(&STRING), OmitEmpty, Supported)],
};

/// `PodDNSConfig`.
pub static POD_DNS_CONFIG: Struct = Struct {
    name: "PodDNSConfig",
    size: size_of::<v1::PodDNSConfig>(),
    rows: &[
        row("nameservers", List(&STRING), OmitEmpty, Supported),
        row("searches", List(&STRING), OmitEmpty, Supported),
        row("options", List(&Object(&POD_DNS_CONFIG_OPTION)), OmitEmpty, Supported),
    ],
};

/// `PodReadinessGate`.
pub static POD_READINESS_GATE: Struct = Struct {
    name: "PodReadinessGate",
    size: size_of::<v1::PodReadinessGate>(),
    rows: &[row("conditionType", Text("v1.PodConditionType"), Always, Supported)],
};

/// `PodOS`.
pub static POD_OS: Struct = Struct {
    name: "PodOS",
    size: size_of::<v1::PodOS>(),
    rows: &[row("name", Text("v1.OSName"), Always, RefusedFor(&["windows"]))],
};

/// `PodSchedulingGate`.
pub static POD_SCHEDULING_GATE: Struct = Struct {
    name: "PodSchedulingGate",
    size: size_of::<v1::PodSchedulingGate>(),
    rows: &[row("name", STRING, Always, Supported)],
};

/// `PodResourceClaim`.
pub static POD_RESOURCE_CLAIM: Struct = Struct {
    name: "PodResourceClaim",
    size: size_of::<v1::PodResourceClaim>(),
    rows: &[
        row("name", STRING, Always, Supported),
        row("resourceClaimName", STRING, Pointer, Supported),
        row("resourceClaimTemplateName", STRING, Pointer, Supported),
    ],
};

/// `PodSchedulingGroup`.
pub static POD_SCHEDULING_GROUP: Struct = Struct {
    name: "PodSchedulingGroup",
    size: size_of::<v1::PodSchedulingGroup>(),
    rows: &[row("podGroupName", STRING, Pointer, Supported)],
};

/// `PodDNSConfigOption`.
pub static POD_DNS_CONFIG_OPTION: Struct = Struct {
    name: "PodDNSConfigOption",
    size: size_of::<v1::PodDNSConfigOption>(),
    rows: &[row("name", STRING, OmitEmpty, Supported), row("value", STRING, Pointer, Supported)],
};
