//! Rows of containers: ports, environment, resources, mounts, probes, hooks.

use k8s_openapi::api::core::v1;

use super::Keep::{Always, OmitEmpty, Pointer};
use super::Treatment::{Forbidden, Later, LaterFor, LaterUnlessHostNetwork, Refused, ResourceNames, Supported};
use super::Type::{Bool, Int32, Int64, IntOrString, List, Map, Object, Quantity, Text};
use super::security::SECURITY_CONTEXT;
use super::{STRING, Struct, embedded, row};

/// `Container`.
pub static CONTAINER: Struct = Struct {
    name: "Container",
    size: size_of::<v1::Container>(),
    rows: &[
        row("name", STRING, Always, Supported),
        row("image", STRING, OmitEmpty, Supported),
        row("command", List(&STRING), OmitEmpty, Supported),
        row("args", List(&STRING), OmitEmpty, Supported),
        row("workingDir", STRING, OmitEmpty, Supported),
        row("ports", List(&Object(&CONTAINER_PORT)), OmitEmpty, Supported),
        row("envFrom", List(&Object(&ENV_FROM_SOURCE)), OmitEmpty, Supported),
        row("env", List(&Object(&ENV_VAR)), OmitEmpty, Supported),
        row("resources", Object(&RESOURCE_REQUIREMENTS), OmitEmpty, Supported),
        row("resizePolicy", List(&Object(&CONTAINER_RESIZE_POLICY)), OmitEmpty, Supported),
        row("restartPolicy", Text("v1.ContainerRestartPolicy"), Pointer, Supported),
        row("restartPolicyRules", List(&Object(&CONTAINER_RESTART_RULE)), OmitEmpty, Supported),
        row("volumeMounts", List(&Object(&VOLUME_MOUNT)), OmitEmpty, Supported),
        row("volumeDevices", List(&Object(&VOLUME_DEVICE)), OmitEmpty, Later),
        row("livenessProbe", Object(&PROBE), Pointer, Supported),
        row("readinessProbe", Object(&PROBE), Pointer, Supported),
        row("startupProbe", Object(&PROBE), Pointer, Supported),
        row("lifecycle", Object(&LIFECYCLE), Pointer, Supported),
        row("terminationMessagePath", STRING, OmitEmpty, Supported),
        row("terminationMessagePolicy", Text("v1.TerminationMessagePolicy"), OmitEmpty, Supported),
        row("imagePullPolicy", Text("v1.PullPolicy"), OmitEmpty, Supported),
        row("securityContext", Object(&SECURITY_CONTEXT), Pointer, Supported),
        row("stdin", Bool, OmitEmpty, Supported),
        row("stdinOnce", Bool, OmitEmpty, Supported),
        row("tty", Bool, OmitEmpty, Supported),
    ],
};

/// `EphemeralContainer`.
pub static EPHEMERAL_CONTAINER: Struct = Struct {
    name: "EphemeralContainer",
    size: size_of::<v1::EphemeralContainer>(),
    rows: &[
        embedded("EphemeralContainerCommon", "name", STRING, Always, Supported),
        embedded("EphemeralContainerCommon", "image", STRING, OmitEmpty, Supported),
        embedded("EphemeralContainerCommon", "command", List(&STRING), OmitEmpty, Supported),
        embedded("EphemeralContainerCommon", "args", List(&STRING), OmitEmpty, Supported),
        embedded("EphemeralContainerCommon", "workingDir", STRING, OmitEmpty, Supported),
        embedded("EphemeralContainerCommon", "ports", List(&Object(&CONTAINER_PORT)), OmitEmpty, Forbidden),
        embedded("EphemeralContainerCommon", "envFrom", List(&Object(&ENV_FROM_SOURCE)), OmitEmpty, Supported),
        embedded("EphemeralContainerCommon", "env", List(&Object(&ENV_VAR)), OmitEmpty, Supported),
        embedded("EphemeralContainerCommon", "resources", Object(&RESOURCE_REQUIREMENTS), OmitEmpty, Forbidden),
        embedded(
            "EphemeralContainerCommon",
            "resizePolicy",
            List(&Object(&CONTAINER_RESIZE_POLICY)),
            OmitEmpty,
            Forbidden,
        ),
        embedded("EphemeralContainerCommon", "restartPolicy", Text("v1.ContainerRestartPolicy"), Pointer, Forbidden),
        embedded(
            "EphemeralContainerCommon",
            "restartPolicyRules",
            List(&Object(&CONTAINER_RESTART_RULE)),
            OmitEmpty,
            Forbidden,
        ),
        embedded("EphemeralContainerCommon", "volumeMounts", List(&Object(&VOLUME_MOUNT)), OmitEmpty, Supported),
        embedded("EphemeralContainerCommon", "volumeDevices", List(&Object(&VOLUME_DEVICE)), OmitEmpty, Later),
        embedded("EphemeralContainerCommon", "livenessProbe", Object(&PROBE), Pointer, Forbidden),
        embedded("EphemeralContainerCommon", "readinessProbe", Object(&PROBE), Pointer, Forbidden),
        embedded("EphemeralContainerCommon", "startupProbe", Object(&PROBE), Pointer, Forbidden),
        embedded("EphemeralContainerCommon", "lifecycle", Object(&LIFECYCLE), Pointer, Forbidden),
        embedded("EphemeralContainerCommon", "terminationMessagePath", STRING, OmitEmpty, Supported),
        embedded(
            "EphemeralContainerCommon",
            "terminationMessagePolicy",
            Text("v1.TerminationMessagePolicy"),
            OmitEmpty,
            Supported,
        ),
        embedded("EphemeralContainerCommon", "imagePullPolicy", Text("v1.PullPolicy"), OmitEmpty, Supported),
        embedded("EphemeralContainerCommon", "securityContext", Object(&SECURITY_CONTEXT), Pointer, Supported),
        embedded("EphemeralContainerCommon", "stdin", Bool, OmitEmpty, Supported),
        embedded("EphemeralContainerCommon", "stdinOnce", Bool, OmitEmpty, Supported),
        embedded("EphemeralContainerCommon", "tty", Bool, OmitEmpty, Supported),
        row("targetContainerName", STRING, OmitEmpty, Supported),
    ],
};

/// `ResourceRequirements`.
pub static RESOURCE_REQUIREMENTS: Struct = Struct {
    name: "ResourceRequirements",
    size: size_of::<v1::ResourceRequirements>(),
    rows: &[
        row("limits", Map("v1.ResourceList", &Quantity), OmitEmpty, ResourceNames),
        row("requests", Map("v1.ResourceList", &Quantity), OmitEmpty, ResourceNames),
        row("claims", List(&Object(&RESOURCE_CLAIM)), OmitEmpty, Refused),
    ],
};

/// `ContainerPort`.
pub static CONTAINER_PORT: Struct = Struct {
    name: "ContainerPort",
    size: size_of::<v1::ContainerPort>(),
    rows: &[
        row("name", STRING, OmitEmpty, Supported),
        row("hostPort", Int32, OmitEmpty, LaterUnlessHostNetwork),
        row("containerPort", Int32, Always, Supported),
        row("protocol", Text("v1.Protocol"), OmitEmpty, Supported),
        row("hostIP", STRING, OmitEmpty, Supported),
    ],
};

/// `EnvFromSource`.
pub static ENV_FROM_SOURCE: Struct = Struct {
    name: "EnvFromSource",
    size: size_of::<v1::EnvFromSource>(),
    rows: &[
        row("prefix", STRING, OmitEmpty, Supported),
        row("configMapRef", Object(&CONFIG_MAP_ENV_SOURCE), Pointer, Supported),
        row("secretRef", Object(&SECRET_ENV_SOURCE), Pointer, Supported),
    ],
};

/// `EnvVar`.
pub static ENV_VAR: Struct = Struct {
    name: "EnvVar",
    size: size_of::<v1::EnvVar>(),
    rows: &[
        row("name", STRING, Always, Supported),
        row("value", STRING, OmitEmpty, Supported),
        row("valueFrom", Object(&ENV_VAR_SOURCE), Pointer, Supported),
    ],
};

/// `ContainerResizePolicy`.
pub static CONTAINER_RESIZE_POLICY: Struct = Struct {
    name: "ContainerResizePolicy",
    size: size_of::<v1::ContainerResizePolicy>(),
    rows: &[
        row("resourceName", Text("v1.ResourceName"), Always, Supported),
        row("restartPolicy", Text("v1.ResourceResizeRestartPolicy"), Always, Supported),
    ],
};

/// `ContainerRestartRule`.
pub static CONTAINER_RESTART_RULE: Struct = Struct {
    name: "ContainerRestartRule",
    size: size_of::<v1::ContainerRestartRule>(),
    rows: &[
        row("action", Text("v1.ContainerRestartRuleAction"), OmitEmpty, Supported),
        row("exitCodes", Object(&CONTAINER_RESTART_RULE_ON_EXIT_CODES), Pointer, Supported),
    ],
};

/// `VolumeMount`.
pub static VOLUME_MOUNT: Struct = Struct {
    name: "VolumeMount",
    size: size_of::<v1::VolumeMount>(),
    rows: &[
        row("name", STRING, Always, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
        row("recursiveReadOnly", Text("v1.RecursiveReadOnlyMode"), Pointer, Supported),
        row("mountPath", STRING, Always, Supported),
        row("subPath", STRING, OmitEmpty, Later),
        row(
            "mountPropagation",
            Text("v1.MountPropagationMode"),
            Pointer,
            LaterFor(&["HostToContainer", "Bidirectional"]),
        ),
        row("subPathExpr", STRING, OmitEmpty, Later),
    ],
};

/// `VolumeDevice`.
pub static VOLUME_DEVICE: Struct = Struct {
    name: "VolumeDevice",
    size: size_of::<v1::VolumeDevice>(),
    rows: &[row("name", STRING, Always, Supported), row("devicePath", STRING, Always, Supported)],
};

/// `Probe`.
pub static PROBE: Struct = Struct {
    name: "Probe",
    size: size_of::<v1::Probe>(),
    rows: &[
        embedded("ProbeHandler", "exec", Object(&EXEC_ACTION), Pointer, Supported),
        embedded("ProbeHandler", "httpGet", Object(&HTTP_GET_ACTION), Pointer, Supported),
        embedded("ProbeHandler", "tcpSocket", Object(&TCP_SOCKET_ACTION), Pointer, Supported),
        embedded("ProbeHandler", "grpc", Object(&GRPC_ACTION), Pointer, Supported),
        row("initialDelaySeconds", Int32, OmitEmpty, Supported),
        row("timeoutSeconds", Int32, OmitEmpty, Supported),
        row("periodSeconds", Int32, OmitEmpty, Supported),
        row("successThreshold", Int32, OmitEmpty, Supported),
        row("failureThreshold", Int32, OmitEmpty, Supported),
        row("terminationGracePeriodSeconds", Int64, Pointer, Supported),
    ],
};

/// `Lifecycle`.
pub static LIFECYCLE: Struct = Struct {
    name: "Lifecycle",
    size: size_of::<v1::Lifecycle>(),
    rows: &[
        row("postStart", Object(&LIFECYCLE_HANDLER), Pointer, Supported),
        row("preStop", Object(&LIFECYCLE_HANDLER), Pointer, Supported),
        row("stopSignal", Text("v1.Signal"), Pointer, Supported),
    ],
};

/// `ResourceClaim`.
pub static RESOURCE_CLAIM: Struct = Struct {
    name: "ResourceClaim",
    size: size_of::<v1::ResourceClaim>(),
    rows: &[row("name", STRING, Always, Supported), row("request", STRING, OmitEmpty, Supported)],
};

/// `ConfigMapEnvSource`.
pub static CONFIG_MAP_ENV_SOURCE: Struct = Struct {
    name: "ConfigMapEnvSource",
    size: size_of::<v1::ConfigMapEnvSource>(),
    rows: &[
        embedded("LocalObjectReference", "name", STRING, OmitEmpty, Supported),
        row("optional", Bool, Pointer, Supported),
    ],
};

/// `SecretEnvSource`.
pub static SECRET_ENV_SOURCE: Struct = Struct {
    name: "SecretEnvSource",
    size: size_of::<v1::SecretEnvSource>(),
    rows: &[
        embedded("LocalObjectReference", "name", STRING, OmitEmpty, Supported),
        row("optional", Bool, Pointer, Supported),
    ],
};

/// `EnvVarSource`.
pub static ENV_VAR_SOURCE: Struct = Struct {
    name: "EnvVarSource",
    size: size_of::<v1::EnvVarSource>(),
    rows: &[
        row("fieldRef", Object(&OBJECT_FIELD_SELECTOR), Pointer, Supported),
        row("resourceFieldRef", Object(&RESOURCE_FIELD_SELECTOR), Pointer, Supported),
        row("configMapKeyRef", Object(&CONFIG_MAP_KEY_SELECTOR), Pointer, Supported),
        row("secretKeyRef", Object(&SECRET_KEY_SELECTOR), Pointer, Supported),
        row("fileKeyRef", Object(&FILE_KEY_SELECTOR), Pointer, Later),
    ],
};

/// `ContainerRestartRuleOnExitCodes`.
pub static CONTAINER_RESTART_RULE_ON_EXIT_CODES: Struct = Struct {
    name: "ContainerRestartRuleOnExitCodes",
    size: size_of::<v1::ContainerRestartRuleOnExitCodes>(),
    rows: &[
        row("operator", Text("v1.ContainerRestartRuleOnExitCodesOperator"), OmitEmpty, Supported),
        row("values", List(&Int32), OmitEmpty, Supported),
    ],
};

/// `ExecAction`.
pub static EXEC_ACTION: Struct = Struct {
    name: "ExecAction",
    size: size_of::<v1::ExecAction>(),
    rows: &[row("command", List(&STRING), OmitEmpty, Supported)],
};

/// `HTTPGetAction`.
pub static HTTP_GET_ACTION: Struct = Struct {
    name: "HTTPGetAction",
    size: size_of::<v1::HTTPGetAction>(),
    rows: &[
        row("path", STRING, OmitEmpty, Supported),
        row("port", IntOrString, Always, Supported),
        row("host", STRING, OmitEmpty, Supported),
        row("scheme", Text("v1.URIScheme"), OmitEmpty, Supported),
        row("httpHeaders", List(&Object(&HTTP_HEADER)), OmitEmpty, Supported),
    ],
};

/// `TCPSocketAction`.
pub static TCP_SOCKET_ACTION: Struct = Struct {
    name: "TCPSocketAction",
    size: size_of::<v1::TCPSocketAction>(),
    rows: &[row("port", IntOrString, Always, Supported), row("host", STRING, OmitEmpty, Supported)],
};

/// `GRPCAction`.
pub static GRPC_ACTION: Struct = Struct {
    name: "GRPCAction",
    size: size_of::<v1::GRPCAction>(),
    rows: &[row("port", Int32, Always, Supported), row("service", STRING, Pointer, Supported)],
};

/// `LifecycleHandler`.
pub static LIFECYCLE_HANDLER: Struct = Struct {
    name: "LifecycleHandler",
    size: size_of::<v1::LifecycleHandler>(),
    rows: &[
        row("exec", Object(&EXEC_ACTION), Pointer, Supported),
        row("httpGet", Object(&HTTP_GET_ACTION), Pointer, Supported),
        row("tcpSocket", Object(&TCP_SOCKET_ACTION), Pointer, Supported),
        row("sleep", Object(&SLEEP_ACTION), Pointer, Supported),
    ],
};

/// `ObjectFieldSelector`.
pub static OBJECT_FIELD_SELECTOR: Struct = Struct {
    name: "ObjectFieldSelector",
    size: size_of::<v1::ObjectFieldSelector>(),
    rows: &[
        row("apiVersion", STRING, OmitEmpty, Supported),
        row(
            "fieldPath",
            STRING,
            Always,
            LaterFor(&["status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs"]),
        ),
    ],
};

/// `ResourceFieldSelector`.
pub static RESOURCE_FIELD_SELECTOR: Struct = Struct {
    name: "ResourceFieldSelector",
    size: size_of::<v1::ResourceFieldSelector>(),
    rows: &[
        row("containerName", STRING, OmitEmpty, Supported),
        row("resource", STRING, Always, Supported),
        row("divisor", Quantity, OmitEmpty, Supported),
    ],
};

/// `ConfigMapKeySelector`.
pub static CONFIG_MAP_KEY_SELECTOR: Struct = Struct {
    name: "ConfigMapKeySelector",
    size: size_of::<v1::ConfigMapKeySelector>(),
    rows: &[
        embedded("LocalObjectReference", "name", STRING, OmitEmpty, Supported),
        row("key", STRING, Always, Supported),
        row("optional", Bool, Pointer, Supported),
    ],
};

/// `SecretKeySelector`.
pub static SECRET_KEY_SELECTOR: Struct = Struct {
    name: "SecretKeySelector",
    size: size_of::<v1::SecretKeySelector>(),
    rows: &[
        embedded("LocalObjectReference", "name", STRING, OmitEmpty, Supported),
        row("key", STRING, Always, Supported),
        row("optional", Bool, Pointer, Supported),
    ],
};

/// `FileKeySelector`.
pub static FILE_KEY_SELECTOR: Struct = Struct {
    name: "FileKeySelector",
    size: size_of::<v1::FileKeySelector>(),
    rows: &[
        row("volumeName", STRING, Always, Supported),
        row("path", STRING, Always, Supported),
        row("key", STRING, Always, Supported),
        row("optional", Bool, Pointer, Supported),
    ],
};

/// `HTTPHeader`.
pub static HTTP_HEADER: Struct = Struct {
    name: "HTTPHeader",
    size: size_of::<v1::HTTPHeader>(),
    rows: &[row("name", STRING, Always, Supported), row("value", STRING, Always, Supported)],
};

/// `SleepAction`.
pub static SLEEP_ACTION: Struct = Struct {
    name: "SleepAction",
    size: size_of::<v1::SleepAction>(),
    rows: &[row("seconds", Int64, Always, Supported)],
};
