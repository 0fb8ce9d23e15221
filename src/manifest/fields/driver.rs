//! Rows of the volume sources that need a storage driver.

use k8s_openapi::api::core::v1;

use super::Keep::{Always, OmitEmpty, Pointer};
use super::Treatment::Supported;
use super::Type::{Bool, Int32, List, Map, Object, Text};
use super::pod::LOCAL_OBJECT_REFERENCE;
use super::{STRING, Struct, row};

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
