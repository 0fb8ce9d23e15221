//! Rows of the volumes and their sources.

use k8s_openapi::api::core::v1;

use super::Keep::{Always, OmitEmpty, Pointer};
use super::Treatment::{Later, LaterFor, Refused, Supported};
use super::Type::{Bool, Int32, Int64, List, Map, Object, Quantity, Text};
use super::container::{OBJECT_FIELD_SELECTOR, RESOURCE_FIELD_SELECTOR};
use super::object::{LABEL_SELECTOR, OBJECT_META};
use super::pod::LOCAL_OBJECT_REFERENCE;
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

/// `GCEPersistentDiskVolumeSource`.
pub static GCE_PERSISTENT_DISK_VOLUME_SOURCE: Struct = Struct {
    name: "GCEPersistentDiskVolumeSource",
    size: size_of::<v1::GCEPersistentDiskVolumeSource>(),
    rows: &[
        row("pdName", STRING, Always, Supported),
        row("fsType", STRING, OmitEmpty, Supported),
        row("partition", Int32, OmitEmpty, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
    ],
};

/// `AWSElasticBlockStoreVolumeSource`.
pub static AWS_ELASTIC_BLOCK_STORE_VOLUME_SOURCE: Struct = Struct {
    name: "AWSElasticBlockStoreVolumeSource",
    size: size_of::<v1::AWSElasticBlockStoreVolumeSource>(),
    rows: &[
        row("volumeID", STRING, Always, Supported),
        row("fsType", STRING, OmitEmpty, Supported),
        row("partition", Int32, OmitEmpty, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
    ],
};

/// `GitRepoVolumeSource`.
pub static GIT_REPO_VOLUME_SOURCE: Struct = Struct {
    name: "GitRepoVolumeSource",
    size: size_of::<v1::GitRepoVolumeSource>(),
    rows: &[
        row("repository", STRING, Always, Supported),
        row("revision", STRING, OmitEmpty, Supported),
        row("directory", STRING, OmitEmpty, Supported),
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

/// `NFSVolumeSource`.
pub static NFS_VOLUME_SOURCE: Struct = Struct {
    name: "NFSVolumeSource",
    size: size_of::<v1::NFSVolumeSource>(),
    rows: &[
        row("server", STRING, Always, Supported),
        row("path", STRING, Always, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
    ],
};

/// `ISCSIVolumeSource`.
pub static ISCSI_VOLUME_SOURCE: Struct = Struct {
    name: "ISCSIVolumeSource",
    size: size_of::<v1::ISCSIVolumeSource>(),
    rows: &[
        row("targetPortal", STRING, Always, Supported),
        row("iqn", STRING, Always, Supported),
        row("lun", Int32, Always, Supported),
        row("iscsiInterface", STRING, OmitEmpty, Supported),
        row("fsType", STRING, OmitEmpty, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
        row("portals", List(&STRING), OmitEmpty, Supported),
        row("chapAuthDiscovery", Bool, OmitEmpty, Supported),
        row("chapAuthSession", Bool, OmitEmpty, Supported),
        row("secretRef", Object(&LOCAL_OBJECT_REFERENCE), Pointer, Supported),
        row("initiatorName", STRING, Pointer, Supported),
    ],
};

/// `GlusterfsVolumeSource`.
pub static GLUSTERFS_VOLUME_SOURCE: Struct = Struct {
    name: "GlusterfsVolumeSource",
    size: size_of::<v1::GlusterfsVolumeSource>(),
    rows: &[
        row("endpoints", STRING, Always, Supported),
        row("path", STRING, Always, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
    ],
};

/// `PersistentVolumeClaimVolumeSource`.
pub static PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE: Struct = Struct {
    name: "PersistentVolumeClaimVolumeSource",
    size: size_of::<v1::PersistentVolumeClaimVolumeSource>(),
    rows: &[row("claimName", STRING, Always, Supported), row("readOnly", Bool, OmitEmpty, Supported)],
};

/// `RBDVolumeSource`.
pub static RBD_VOLUME_SOURCE: Struct = Struct {
    name: "RBDVolumeSource",
    size: size_of::<v1::RBDVolumeSource>(),
    rows: &[
        row("monitors", List(&STRING), Always, Supported),
        row("image", STRING, Always, Supported),
        row("fsType", STRING, OmitEmpty, Supported),
        row("pool", STRING, OmitEmpty, Supported),
        row("user", STRING, OmitEmpty, Supported),
        row("keyring", STRING, OmitEmpty, Supported),
        row("secretRef", Object(&LOCAL_OBJECT_REFERENCE), Pointer, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
    ],
};

/// `FlexVolumeSource`.
pub static FLEX_VOLUME_SOURCE: Struct = Struct {
    name: "FlexVolumeSource",
    size: size_of::<v1::FlexVolumeSource>(),
    rows: &[
        row("driver", STRING, Always, Supported),
        row("fsType", STRING, OmitEmpty, Supported),
        row("secretRef", Object(&LOCAL_OBJECT_REFERENCE), Pointer, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
        row("options", Map("", &STRING), OmitEmpty, Supported),
    ],
};

/// `CinderVolumeSource`.
pub static CINDER_VOLUME_SOURCE: Struct = Struct {
    name: "CinderVolumeSource",
    size: size_of::<v1::CinderVolumeSource>(),
    rows: &[
        row("volumeID", STRING, Always, Supported),
        row("fsType", STRING, OmitEmpty, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
        row("secretRef", Object(&LOCAL_OBJECT_REFERENCE), Pointer, Supported),
    ],
};

/// `CephFSVolumeSource`.
pub static CEPH_FS_VOLUME_SOURCE: Struct = Struct {
    name: "CephFSVolumeSource",
    size: size_of::<v1::CephFSVolumeSource>(),
    rows: &[
        row("monitors", List(&STRING), Always, Supported),
        row("path", STRING, OmitEmpty, Supported),
        row("user", STRING, OmitEmpty, Supported),
        row("secretFile", STRING, OmitEmpty, Supported),
        row("secretRef", Object(&LOCAL_OBJECT_REFERENCE), Pointer, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
    ],
};

/// `FlockerVolumeSource`.
pub static FLOCKER_VOLUME_SOURCE: Struct = Struct {
    name: "FlockerVolumeSource",
    size: size_of::<v1::FlockerVolumeSource>(),
    rows: &[row("datasetName", STRING, OmitEmpty, Supported), row("datasetUUID", STRING, OmitEmpty, Supported)],
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

/// `FCVolumeSource`.
pub static FC_VOLUME_SOURCE: Struct = Struct {
    name: "FCVolumeSource",
    size: size_of::<v1::FCVolumeSource>(),
    rows: &[
        row("targetWWNs", List(&STRING), OmitEmpty, Supported),
        row("lun", Int32, Pointer, Supported),
        row("fsType", STRING, OmitEmpty, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
        row("wwids", List(&STRING), OmitEmpty, Supported),
    ],
};

/// `AzureFileVolumeSource`.
pub static AZURE_FILE_VOLUME_SOURCE: Struct = Struct {
    name: "AzureFileVolumeSource",
    size: size_of::<v1::AzureFileVolumeSource>(),
    rows: &[
        row("secretName", STRING, Always, Supported),
        row("shareName", STRING, Always, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
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

/// `VsphereVirtualDiskVolumeSource`.
pub static VSPHERE_VIRTUAL_DISK_VOLUME_SOURCE: Struct = Struct {
    name: "VsphereVirtualDiskVolumeSource",
    size: size_of::<v1::VsphereVirtualDiskVolumeSource>(),
    rows: &[
        row("volumePath", STRING, Always, Supported),
        row("fsType", STRING, OmitEmpty, Supported),
        row("storagePolicyName", STRING, OmitEmpty, Supported),
        row("storagePolicyID", STRING, OmitEmpty, Supported),
    ],
};

/// `QuobyteVolumeSource`.
pub static QUOBYTE_VOLUME_SOURCE: Struct = Struct {
    name: "QuobyteVolumeSource",
    size: size_of::<v1::QuobyteVolumeSource>(),
    rows: &[
        row("registry", STRING, Always, Supported),
        row("volume", STRING, Always, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
        row("user", STRING, OmitEmpty, Supported),
        row("group", STRING, OmitEmpty, Supported),
        row("tenant", STRING, OmitEmpty, Supported),
    ],
};

/// `AzureDiskVolumeSource`.
pub static AZURE_DISK_VOLUME_SOURCE: Struct = Struct {
    name: "AzureDiskVolumeSource",
    size: size_of::<v1::AzureDiskVolumeSource>(),
    rows: &[
        row("diskName", STRING, Always, Supported),
        row("diskURI", STRING, Always, Supported),
        row("cachingMode", Text("v1.AzureDataDiskCachingMode"), Pointer, Supported),
        row("fsType", STRING, Pointer, Supported),
        row("readOnly", Bool, Pointer, Supported),
        row("kind", Text("v1.AzureDataDiskKind"), Pointer, Supported),
    ],
};

/// `PhotonPersistentDiskVolumeSource`.
pub static PHOTON_PERSISTENT_DISK_VOLUME_SOURCE: Struct = Struct {
    name: "PhotonPersistentDiskVolumeSource",
    size: size_of::<v1::PhotonPersistentDiskVolumeSource>(),
    rows: &[row("pdID", STRING, Always, Supported), row("fsType", STRING, OmitEmpty, Supported)],
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

/// `PortworxVolumeSource`.
pub static PORTWORX_VOLUME_SOURCE: Struct = Struct {
    name: "PortworxVolumeSource",
    size: size_of::<v1::PortworxVolumeSource>(),
    rows: &[
        row("volumeID", STRING, Always, Supported),
        row("fsType", STRING, OmitEmpty, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
    ],
};

/// `ScaleIOVolumeSource`.
pub static SCALE_IO_VOLUME_SOURCE: Struct = Struct {
    name: "ScaleIOVolumeSource",
    size: size_of::<v1::ScaleIOVolumeSource>(),
    rows: &[
        row("gateway", STRING, Always, Supported),
        row("system", STRING, Always, Supported),
        row("secretRef", Object(&LOCAL_OBJECT_REFERENCE), Pointer, Supported),
        row("sslEnabled", Bool, OmitEmpty, Supported),
        row("protectionDomain", STRING, OmitEmpty, Supported),
        row("storagePool", STRING, OmitEmpty, Supported),
        row("storageMode", STRING, OmitEmpty, Supported),
        row("volumeName", STRING, OmitEmpty, Supported),
        row("fsType", STRING, OmitEmpty, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
    ],
};

/// `StorageOSVolumeSource`.
pub static STORAGE_OS_VOLUME_SOURCE: Struct = Struct {
    name: "StorageOSVolumeSource",
    size: size_of::<v1::StorageOSVolumeSource>(),
    rows: &[
        row("volumeName", STRING, OmitEmpty, Supported),
        row("volumeNamespace", STRING, OmitEmpty, Supported),
        row("fsType", STRING, OmitEmpty, Supported),
        row("readOnly", Bool, OmitEmpty, Supported),
        row("secretRef", Object(&LOCAL_OBJECT_REFERENCE), Pointer, Supported),
    ],
};

/// `CSIVolumeSource`.
pub static CSI_VOLUME_SOURCE: Struct = Struct {
    name: "CSIVolumeSource",
    size: size_of::<v1::CSIVolumeSource>(),
    rows: &[
        row("driver", STRING, Always, Supported),
        row("readOnly", Bool, Pointer, Supported),
        row("fsType", STRING, Pointer, Supported),
        row("volumeAttributes", Map("", &STRING), OmitEmpty, Supported),
        row("nodePublishSecretRef", Object(&LOCAL_OBJECT_REFERENCE), Pointer, Supported),
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
