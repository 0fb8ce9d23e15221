//! Rows of the volumes and of the sources that one machine has; others are in `driver`.

use k8s_openapi::api::core::v1;

use super::Keep::{Always, OmitEmpty, Pointer};
use super::Treatment::{Later, LaterFor, Refused, Supported};
use super::Type::{Bool, Int32, Int64, List, Map, Object, Quantity, Text};
use super::container::{OBJECT_FIELD_SELECTOR, RESOURCE_FIELD_SELECTOR};
use super::driver::*;
use super::object::{LABEL_SELECTOR, OBJECT_META};
use super::{STRING, Struct, embedded, row};

/// `Volume`.
pub static VOLUME: Struct = Struct {
    name: "Volume",
    size: size_of::<v1::Volume>(),
    rows: &[
        row("name", STRING, Always, Supported),
        embedded("VolumeSource", "hostPath", Object(&HOST_PATH_VOLUME_SOURCE), Pointer, Supported),
        embedded("VolumeSource", "emptyDir", Object(&EMPTY_DIR_VOLUME_SOURCE), Pointer, Supported),
        embedded("VolumeSource", "gcePersistentDisk", Object(&GCE_PERSISTENT_DISK_VOLUME_SOURCE), Pointer, Refused),
        embedded(
            "VolumeSource",
            "awsElasticBlockStore",
            Object(&AWS_ELASTIC_BLOCK_STORE_VOLUME_SOURCE),
            Pointer,
            Refused,
        ),
        embedded("VolumeSource", "gitRepo", Object(&GIT_REPO_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "secret", Object(&SECRET_VOLUME_SOURCE), Pointer, Supported),
        embedded("VolumeSource", "nfs", Object(&NFS_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "iscsi", Object(&ISCSI_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "glusterfs", Object(&GLUSTERFS_VOLUME_SOURCE), Pointer, Refused),
        embedded(
            "VolumeSource",
            "persistentVolumeClaim",
            Object(&PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE),
            Pointer,
            Later,
        ),
        embedded("VolumeSource", "rbd", Object(&RBD_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "flexVolume", Object(&FLEX_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "cinder", Object(&CINDER_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "cephfs", Object(&CEPH_FS_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "flocker", Object(&FLOCKER_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "downwardAPI", Object(&DOWNWARD_API_VOLUME_SOURCE), Pointer, Later),
        embedded("VolumeSource", "fc", Object(&FC_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "azureFile", Object(&AZURE_FILE_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "configMap", Object(&CONFIG_MAP_VOLUME_SOURCE), Pointer, Supported),
        embedded("VolumeSource", "vsphereVolume", Object(&VSPHERE_VIRTUAL_DISK_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "quobyte", Object(&QUOBYTE_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "azureDisk", Object(&AZURE_DISK_VOLUME_SOURCE), Pointer, Refused),
        embedded(
            "VolumeSource",
            "photonPersistentDisk",
            Object(&PHOTON_PERSISTENT_DISK_VOLUME_SOURCE),
            Pointer,
            Refused,
        ),
        embedded("VolumeSource", "projected", Object(&PROJECTED_VOLUME_SOURCE), Pointer, Later),
        embedded("VolumeSource", "portworxVolume", Object(&PORTWORX_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "scaleIO", Object(&SCALE_IO_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "storageos", Object(&STORAGE_OS_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "csi", Object(&CSI_VOLUME_SOURCE), Pointer, Refused),
        embedded("VolumeSource", "ephemeral", Object(&EPHEMERAL_VOLUME_SOURCE), Pointer, Later),
        embedded("VolumeSource", "image", Object(&IMAGE_VOLUME_SOURCE), Pointer, Later),
    ],
};

/// `HostPathVolumeSource`.
pub static HOST_PATH_VOLUME_SOURCE: Struct = Struct {
    name: "HostPathVolumeSource",
    size: size_of::<v1::HostPathVolumeSource>(),
    rows: &[row("path", STRING, Always, Supported), row("type", Text("v1.HostPathType"), Pointer, Supported)],
};

/// `EmptyDirVolumeSource`.
pub static EMPTY_DIR_VOLUME_SOURCE: Struct = Struct {
    name: "EmptyDirVolumeSource",
    size: size_of::<v1::EmptyDirVolumeSource>(),
    rows: &[
        row("medium", Text("v1.StorageMedium"), OmitEmpty, LaterFor(&["HugePages", "HugePages-*"])),
        row("sizeLimit", Quantity, Pointer, Supported),
    ],
};

/// `SecretVolumeSource`.
pub static SECRET_VOLUME_SOURCE: Struct = Struct {
    name: "SecretVolumeSource",
    size: size_of::<v1::SecretVolumeSource>(),
    rows: &[
        row("secretName", STRING, OmitEmpty, Supported),
        row("items", List(&Object(&KEY_TO_PATH)), OmitEmpty, Supported),
        row("defaultMode", Int32, Pointer, Supported),
        row("optional", Bool, Pointer, Supported),
    ],
};

/// `PersistentVolumeClaimVolumeSource`.
pub static PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE: Struct = Struct {
    name: "PersistentVolumeClaimVolumeSource",
    size: size_of::<v1::PersistentVolumeClaimVolumeSource>(),
    rows: &[row("claimName", STRING, Always, Supported), row("readOnly", Bool, OmitEmpty, Supported)],
};

/// `DownwardAPIVolumeSource`.
pub static DOWNWARD_API_VOLUME_SOURCE: Struct = Struct {
    name: "DownwardAPIVolumeSource",
    size: size_of::<v1::DownwardAPIVolumeSource>(),
    rows: &[
        row("items", List(&Object(&DOWNWARD_API_VOLUME_FILE)), OmitEmpty, Supported),
        row("defaultMode", Int32, Pointer, Supported),
    ],
};

/// `ConfigMapVolumeSource`.
pub static CONFIG_MAP_VOLUME_SOURCE: Struct = Struct {
    name: "ConfigMapVolumeSource",
    size: size_of::<v1::ConfigMapVolumeSource>(),
    rows: &[
        embedded("LocalObjectReference", "name", STRING, OmitEmpty, Supported),
        row("items", List(&Object(&KEY_TO_PATH)), OmitEmpty, Supported),
        row("defaultMode", Int32, Pointer, Supported),
        row("optional", Bool, Pointer, Supported),
    ],
};

/// `ProjectedVolumeSource`.
pub static PROJECTED_VOLUME_SOURCE: Struct = Struct {
    name: "ProjectedVolumeSource",
    size: size_of::<v1::ProjectedVolumeSource>(),
    rows: &[
        row("sources", List(&Object(&VOLUME_PROJECTION)), Always, Supported),
        row("defaultMode", Int32, Pointer, Supported),
    ],
};

/// `EphemeralVolumeSource`.
pub static EPHEMERAL_VOLUME_SOURCE: Struct = Struct {
    name: "EphemeralVolumeSource",
    size: size_of::<v1::EphemeralVolumeSource>(),
    rows: &[row("volumeClaimTemplate", Object(&PERSISTENT_VOLUME_CLAIM_TEMPLATE), Pointer, Supported)],
};

/// `ImageVolumeSource`.
pub static IMAGE_VOLUME_SOURCE: Struct = Struct {
    name: "ImageVolumeSource",
    size: size_of::<v1::ImageVolumeSource>(),
    rows: &[
        row("reference", STRING, OmitEmpty, Supported),
        row("pullPolicy", Text("v1.PullPolicy"), OmitEmpty, Supported),
    ],
};

/// `KeyToPath`.
pub static KEY_TO_PATH: Struct = Struct {
    name: "KeyToPath",
    size: size_of::<v1::KeyToPath>(),
    rows: &[
        row("key", STRING, Always, Supported),
        row("path", STRING, Always, Supported),
        row("mode", Int32, Pointer, Supported),
    ],
};

/// `DownwardAPIVolumeFile`.
pub static DOWNWARD_API_VOLUME_FILE: Struct = Struct {
    name: "DownwardAPIVolumeFile",
    size: size_of::<v1::DownwardAPIVolumeFile>(),
    rows: &[
        row("path", STRING, Always, Supported),
        row("fieldRef", Object(&OBJECT_FIELD_SELECTOR), Pointer, Supported),
        row("resourceFieldRef", Object(&RESOURCE_FIELD_SELECTOR), Pointer, Supported),
        row("mode", Int32, Pointer, Supported),
    ],
};

/// `VolumeProjection`.
pub static VOLUME_PROJECTION: Struct = Struct {
    name: "VolumeProjection",
    size: size_of::<v1::VolumeProjection>(),
    rows: &[
        row("secret", Object(&SECRET_PROJECTION), Pointer, Supported),
        row("downwardAPI", Object(&DOWNWARD_API_PROJECTION), Pointer, Supported),
        row("configMap", Object(&CONFIG_MAP_PROJECTION), Pointer, Supported),
        row("serviceAccountToken", Object(&SERVICE_ACCOUNT_TOKEN_PROJECTION), Pointer, Supported),
        row("clusterTrustBundle", Object(&CLUSTER_TRUST_BUNDLE_PROJECTION), Pointer, Supported),
        row("podCertificate", Object(&POD_CERTIFICATE_PROJECTION), Pointer, Supported),
    ],
};

/// `PersistentVolumeClaimTemplate`.
pub static PERSISTENT_VOLUME_CLAIM_TEMPLATE: Struct = Struct {
    name: "PersistentVolumeClaimTemplate",
    size: size_of::<v1::PersistentVolumeClaimTemplate>(),
    rows: &[
        row("metadata", Object(&OBJECT_META), OmitEmpty, Supported),
        row("spec", Object(&PERSISTENT_VOLUME_CLAIM_SPEC), Always, Supported),
    ],
};

/// `SecretProjection`.
pub static SECRET_PROJECTION: Struct = Struct {
    name: "SecretProjection",
    size: size_of::<v1::SecretProjection>(),
    rows: &[
        embedded("LocalObjectReference", "name", STRING, OmitEmpty, Supported),
        row("items", List(&Object(&KEY_TO_PATH)), OmitEmpty, Supported),
        row("optional", Bool, Pointer, Supported),
    ],
};

/// `DownwardAPIProjection`.
pub static DOWNWARD_API_PROJECTION: Struct = Struct {
    name: "DownwardAPIProjection",
    size: size_of::<v1::DownwardAPIProjection>(),
    rows: &[row("items", List(&Object(&DOWNWARD_API_VOLUME_FILE)), OmitEmpty, Supported)],
};

/// `ConfigMapProjection`.
pub static CONFIG_MAP_PROJECTION: Struct = Struct {
    name: "ConfigMapProjection",
    size: size_of::<v1::ConfigMapProjection>(),
    rows: &[
        embedded("LocalObjectReference", "name", STRING, OmitEmpty, Supported),
        row("items", List(&Object(&KEY_TO_PATH)), OmitEmpty, Supported),
        row("optional", Bool, Pointer, Supported),
    ],
};

/// `ServiceAccountTokenProjection`.
pub static SERVICE_ACCOUNT_TOKEN_PROJECTION: Struct = Struct {
    name: "ServiceAccountTokenProjection",
    size: size_of::<v1::ServiceAccountTokenProjection>(),
    rows: &[
        row("audience", STRING, OmitEmpty, Supported),
        row("expirationSeconds", Int64, Pointer, Supported),
        row("path", STRING, Always, Supported),
    ],
};

/// `ClusterTrustBundleProjection`.
pub static CLUSTER_TRUST_BUNDLE_PROJECTION: Struct = Struct {
    name: "ClusterTrustBundleProjection",
    size: size_of::<v1::ClusterTrustBundleProjection>(),
    rows: &[
        row("name", STRING, Pointer, Supported),
        row("signerName", STRING, Pointer, Supported),
        row("labelSelector", Object(&LABEL_SELECTOR), Pointer, Supported),
        row("optional", Bool, Pointer, Supported),
        row("path", STRING, Always, Supported),
    ],
};

/// `PodCertificateProjection`.
pub static POD_CERTIFICATE_PROJECTION: Struct = Struct {
    name: "PodCertificateProjection",
    size: size_of::<v1::PodCertificateProjection>(),
    rows: &[
        row("signerName", STRING, OmitEmpty, Supported),
        row("keyType", STRING, OmitEmpty, Supported),
        row("maxExpirationSeconds", Int32, Pointer, Supported),
        row("credentialBundlePath", STRING, OmitEmpty, Supported),
        row("keyPath", STRING, OmitEmpty, Supported),
        row("certificateChainPath", STRING, OmitEmpty, Supported),
        row("userAnnotations", Map("", &STRING), OmitEmpty, Supported),
    ],
};

/// `PersistentVolumeClaimSpec`.
pub static PERSISTENT_VOLUME_CLAIM_SPEC: Struct = Struct {
    name: "PersistentVolumeClaimSpec",
    size: size_of::<v1::PersistentVolumeClaimSpec>(),
    rows: &[
        row("accessModes", List(&Text("v1.PersistentVolumeAccessMode")), OmitEmpty, Supported),
        row("selector", Object(&LABEL_SELECTOR), Pointer, Supported),
        row("resources", Object(&VOLUME_RESOURCE_REQUIREMENTS), OmitEmpty, Supported),
        row("volumeName", STRING, OmitEmpty, Supported),
        row("storageClassName", STRING, Pointer, Supported),
        row("volumeMode", Text("v1.PersistentVolumeMode"), Pointer, Supported),
        row("dataSource", Object(&TYPED_LOCAL_OBJECT_REFERENCE), Pointer, Supported),
        row("dataSourceRef", Object(&TYPED_OBJECT_REFERENCE), Pointer, Supported),
        row("volumeAttributesClassName", STRING, Pointer, Supported),
    ],
};

/// `VolumeResourceRequirements`.
pub static VOLUME_RESOURCE_REQUIREMENTS: Struct = Struct {
    name: "VolumeResourceRequirements",
    size: size_of::<v1::VolumeResourceRequirements>(),
    rows: &[
        row("limits", Map("v1.ResourceList", &Quantity), OmitEmpty, Supported),
        row("requests", Map("v1.ResourceList", &Quantity), OmitEmpty, Supported),
    ],
};

/// `TypedLocalObjectReference`.
pub static TYPED_LOCAL_OBJECT_REFERENCE: Struct = Struct {
    name: "TypedLocalObjectReference",
    size: size_of::<v1::TypedLocalObjectReference>(),
    rows: &[
        row("apiGroup", STRING, Pointer, Supported),
        row("kind", STRING, Always, Supported),
        row("name", STRING, Always, Supported),
    ],
};

/// `TypedObjectReference`.
pub static TYPED_OBJECT_REFERENCE: Struct = Struct {
    name: "TypedObjectReference",
    size: size_of::<v1::TypedObjectReference>(),
    rows: &[
        row("apiGroup", STRING, Pointer, Supported),
        row("kind", STRING, Always, Supported),
        row("name", STRING, Always, Supported),
        row("namespace", STRING, Pointer, Supported),
    ],
};
