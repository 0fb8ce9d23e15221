//! Rows of `status`, which only a server writes.

use k8s_openapi::api::core::v1;

use super::Keep::{Always, OmitEmpty, Pointer};
use super::Treatment::Supported;
use super::Type::{Bool, Int32, Int64, List, Map, Object, Quantity, Text, Time};
use super::container::RESOURCE_REQUIREMENTS;
use super::{STRING, Struct, row};

/// `PodStatus`.
pub static POD_STATUS: Struct = Struct {
    name: "PodStatus",
    size: size_of::<v1::PodStatus>(),
    rows: &[
        row("observedGeneration", Int64, OmitEmpty, Supported),
        row("phase", Text("v1.PodPhase"), OmitEmpty, Supported),
        row("conditions", List(&Object(&POD_CONDITION)), OmitEmpty, Supported),
        row("message", STRING, OmitEmpty, Supported),
        row("reason", STRING, OmitEmpty, Supported),
        row("nominatedNodeName", STRING, OmitEmpty, Supported),
        row("hostIP", STRING, OmitEmpty, Supported),
        row("hostIPs", List(&Object(&HOST_IP)), OmitEmpty, Supported),
        row("podIP", STRING, OmitEmpty, Supported),
        row("podIPs", List(&Object(&POD_IP)), OmitEmpty, Supported),
        row("startTime", Time, Pointer, Supported),
        row("initContainerStatuses", List(&Object(&CONTAINER_STATUS)), OmitEmpty, Supported),
        row("containerStatuses", List(&Object(&CONTAINER_STATUS)), OmitEmpty, Supported),
        row("qosClass", Text("v1.PodQOSClass"), OmitEmpty, Supported),
        row("ephemeralContainerStatuses", List(&Object(&CONTAINER_STATUS)), OmitEmpty, Supported),
        row("resize", Text("v1.PodResizeStatus"), OmitEmpty, Supported),
        row("resourceClaimStatuses", List(&Object(&POD_RESOURCE_CLAIM_STATUS)), OmitEmpty, Supported),
        row("extendedResourceClaimStatus", Object(&POD_EXTENDED_RESOURCE_CLAIM_STATUS), Pointer, Supported),
        row("allocatedResources", Map("v1.ResourceList", &Quantity), OmitEmpty, Supported),
        row("resources", Object(&RESOURCE_REQUIREMENTS), Pointer, Supported),
        row(
            "nodeAllocatableResourceClaimStatuses",
            List(&Object(&NODE_ALLOCATABLE_RESOURCE_CLAIM_STATUS)),
            OmitEmpty,
            Supported,
        ),
    ],
};

/// `PodCondition`.
pub static POD_CONDITION: Struct = Struct {
    name: "PodCondition",
    size: size_of::<v1::PodCondition>(),
    rows: &[
        row("type", Text("v1.PodConditionType"), Always, Supported),
        row("observedGeneration", Int64, OmitEmpty, Supported),
        row("status", Text("v1.ConditionStatus"), Always, Supported),
        row("lastProbeTime", Time, OmitEmpty, Supported),
        row("lastTransitionTime", Time, OmitEmpty, Supported),
        row("reason", STRING, OmitEmpty, Supported),
        row("message", STRING, OmitEmpty, Supported),
    ],
};

/// `HostIP`.
pub static HOST_IP: Struct =
    Struct { name: "HostIP", size: size_of::<v1::HostIP>(), rows: &[row("ip", STRING, Always, Supported)] };

/// `PodIP`.
pub static POD_IP: Struct =
    Struct { name: "PodIP", size: size_of::<v1::PodIP>(), rows: &[row("ip", STRING, Always, Supported)] };

/// `ContainerStatus`.
pub static CONTAINER_STATUS: Struct = Struct {
    name: "ContainerStatus",
    size: size_of::<v1::ContainerStatus>(),
    rows: &[
        row("name", STRING, Always, Supported),
        row("state", Object(&CONTAINER_STATE), OmitEmpty, Supported),
        row("lastState", Object(&CONTAINER_STATE), OmitEmpty, Supported),
        row("ready", Bool, Always, Supported),
        row("restartCount", Int32, Always, Supported),
        row("image", STRING, Always, Supported),
        row("imageID", STRING, Always, Supported),
        row("containerID", STRING, OmitEmpty, Supported),
        row("started", Bool, Pointer, Supported),
        row("allocatedResources", Map("v1.ResourceList", &Quantity), OmitEmpty, Supported),
        row("resources", Object(&RESOURCE_REQUIREMENTS), Pointer, Supported),
        row("volumeMounts", List(&Object(&VOLUME_MOUNT_STATUS)), OmitEmpty, Supported),
        row("user", Object(&CONTAINER_USER), Pointer, Supported),
        row("allocatedResourcesStatus", List(&Object(&RESOURCE_STATUS)), OmitEmpty, Supported),
        row("stopSignal", Text("v1.Signal"), Pointer, Supported),
    ],
};

/// `PodResourceClaimStatus`.
pub static POD_RESOURCE_CLAIM_STATUS: Struct = Struct {
    name: "PodResourceClaimStatus",
    size: size_of::<v1::PodResourceClaimStatus>(),
    rows: &[row("name", STRING, Always, Supported), row("resourceClaimName", STRING, Pointer, Supported)],
};

/// `PodExtendedResourceClaimStatus`.
pub static POD_EXTENDED_RESOURCE_CLAIM_STATUS: Struct = Struct {
    name: "PodExtendedResourceClaimStatus",
    size: size_of::<v1::PodExtendedResourceClaimStatus>(),
    rows: &[
        row("requestMappings", List(&Object(&CONTAINER_EXTENDED_RESOURCE_REQUEST)), Always, Supported),
        row("resourceClaimName", STRING, Always, Supported),
    ],
};

/// `NodeAllocatableResourceClaimStatus`.
pub static NODE_ALLOCATABLE_RESOURCE_CLAIM_STATUS: Struct = Struct {
    name: "NodeAllocatableResourceClaimStatus",
    size: size_of::<v1::NodeAllocatableResourceClaimStatus>(),
    rows: &[
        row("resourceClaimName", STRING, Always, Supported),
        row("containers", List(&STRING), OmitEmpty, Supported),
        row("resources", Map("", &Quantity), Always, Supported),
    ],
};

/// `ContainerState`.
pub static CONTAINER_STATE: Struct = Struct {
    name: "ContainerState",
    size: size_of::<v1::ContainerState>(),
    rows: &[
        row("waiting", Object(&CONTAINER_STATE_WAITING), Pointer, Supported),
        row("running", Object(&CONTAINER_STATE_RUNNING), Pointer, Supported),
        row("terminated", Object(&CONTAINER_STATE_TERMINATED), Pointer, Supported),
    ],
};

/// `VolumeMountStatus`.
pub static VOLUME_MOUNT_STATUS: Struct = Struct {
    name: "VolumeMountStatus",
    size: size_of::<v1::VolumeMountStatus>(),
    rows: &[
        row("name", STRING, Always, Supported),
        row("mountPath", STRING, Always, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
        row("recursiveReadOnly", Text("v1.RecursiveReadOnlyMode"), Pointer, Supported),
        row("volumeStatus", Object(&VOLUME_STATUS), Pointer, Supported),
    ],
};

/// `ContainerUser`.
pub static CONTAINER_USER: Struct = Struct {
    name: "ContainerUser",
    size: size_of::<v1::ContainerUser>(),
    rows: &[row("linux", Object(&LINUX_CONTAINER_USER), Pointer, Supported)],
};

/// `ResourceStatus`.
pub static RESOURCE_STATUS: Struct = Struct {
    name: "ResourceStatus",
    size: size_of::<v1::ResourceStatus>(),
    rows: &[
        row("name", Text("v1.ResourceName"), Always, Supported),
        row("resources", List(&Object(&RESOURCE_HEALTH)), OmitEmpty, Supported),
    ],
};

/// `ContainerExtendedResourceRequest`.
pub static CONTAINER_EXTENDED_RESOURCE_REQUEST: Struct = Struct {
    name: "ContainerExtendedResourceRequest",
    size: size_of::<v1::ContainerExtendedResourceRequest>(),
    rows: &[
        row("containerName", STRING, Always, Supported),
        row("resourceName", STRING, Always, Supported),
        row("requestName", STRING, Always, Supported),
    ],
};

/// `ContainerStateWaiting`.
pub static CONTAINER_STATE_WAITING: Struct = Struct {
    name: "ContainerStateWaiting",
    size: size_of::<v1::ContainerStateWaiting>(),
    rows: &[row("reason", STRING, OmitEmpty, Supported), row("message", STRING, OmitEmpty, Supported)],
};

/// `ContainerStateRunning`.
pub static CONTAINER_STATE_RUNNING: Struct = Struct {
    name: "ContainerStateRunning",
    size: size_of::<v1::ContainerStateRunning>(),
    rows: &[row("startedAt", Time, OmitEmpty, Supported)],
};

/// `ContainerStateTerminated`.
pub static CONTAINER_STATE_TERMINATED: Struct = Struct {
    name: "ContainerStateTerminated",
    size: size_of::<v1::ContainerStateTerminated>(),
    rows: &[
        row("exitCode", Int32, Always, Supported),
        row("signal", Int32, OmitEmpty, Supported),
        row("reason", STRING, OmitEmpty, Supported),
        row("message", STRING, OmitEmpty, Supported),
        row("startedAt", Time, OmitEmpty, Supported),
        row("finishedAt", Time, OmitEmpty, Supported),
        row("containerID", STRING, OmitEmpty, Supported),
    ],
};

/// `VolumeStatus`.
pub static VOLUME_STATUS: Struct = Struct {
    name: "VolumeStatus",
    size: size_of::<v1::VolumeStatus>(),
    rows: &[row("image", Object(&IMAGE_VOLUME_STATUS), Pointer, Supported)],
};

/// `LinuxContainerUser`.
pub static LINUX_CONTAINER_USER: Struct = Struct {
    name: "LinuxContainerUser",
    size: size_of::<v1::LinuxContainerUser>(),
    rows: &[
        row("uid", Int64, Always, Supported),
        row("gid", Int64, Always, Supported),
        row("supplementalGroups", List(&Int64), OmitEmpty, Supported),
    ],
};

/// `ResourceHealth`.
pub static RESOURCE_HEALTH: Struct = Struct {
    name: "ResourceHealth",
    size: size_of::<v1::ResourceHealth>(),
    rows: &[
        row("resourceID", Text("v1.ResourceID"), Always, Supported),
        row("health", Text("v1.ResourceHealthStatus"), OmitEmpty, Supported),
        row("message", STRING, Pointer, Supported),
    ],
};

/// `ImageVolumeStatus`.
pub static IMAGE_VOLUME_STATUS: Struct = Struct {
    name: "ImageVolumeStatus",
    size: size_of::<v1::ImageVolumeStatus>(),
    rows: &[row("imageRef", STRING, OmitEmpty, Supported)],
};
