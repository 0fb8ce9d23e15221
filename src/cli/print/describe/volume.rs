//! The volumes' part of a pod's description. Most volume types are a title and some fields: these stand in one table; the
//! few with a form of their own have a function each. Types that podlet does not carry out are here, too: a pod that was
//! read from elsewhere is described like any other.

use k8s_openapi::api::core::v1::{EphemeralVolumeSource, ProjectedVolumeSource, Volume};
use serde_json::Value;

use super::page::{Page, shorten};

/// How a field of a volume is shown.
#[derive(Clone, Copy)]
enum Form {
    /// Text, number or truth; what is absent is shown as this.
    Plain(&'static str),
    /// `[a b]`.
    List,
    /// `a, b`.
    Joined,
    /// `map[a:1 b:2]`.
    Map,
    /// `&LocalObjectReference{Name:x,}`; what is absent is shown as `nil`.
    Reference,
    /// A quantity above zero.
    Size,
}

const TEXT: Form = Form::Plain("");
const TRUTH: Form = Form::Plain("false");
const NUMBER: Form = Form::Plain("0");
const NONE: Form = Form::Plain("<none>");

/// A volume type: its key, its title, its fields as label, key and form.
type Type = (&'static str, &'static str, &'static [(&'static str, &'static str, Form)]);

#[rustfmt::skip]
const TYPES: &[Type] = &[
    ("hostPath", "HostPath (bare host directory volume)",
        &[("Path:", "path", TEXT), ("HostPathType:", "type", NONE)]),
    ("emptyDir", "EmptyDir (a temporary directory that shares a pod's lifetime)",
        &[("Medium:", "medium", TEXT), ("SizeLimit:", "sizeLimit", Form::Size)]),
    ("gcePersistentDisk", "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        &[("PDName:", "pdName", TEXT), ("FSType:", "fsType", TEXT), ("Partition:", "partition", NUMBER), ("ReadOnly:", "readOnly", TRUTH)]),
    ("awsElasticBlockStore", "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        &[("VolumeID:", "volumeID", TEXT), ("FSType:", "fsType", TEXT), ("Partition:", "partition", NUMBER), ("ReadOnly:", "readOnly", TRUTH)]),
    ("gitRepo", "GitRepo (a volume that is pulled from git when the pod is created)",
        &[("Repository:", "repository", TEXT), ("Revision:", "revision", TEXT)]),
    ("secret", "Secret (a volume populated by a Secret)",
        &[("SecretName:", "secretName", TEXT), ("Optional:", "optional", TRUTH)]),
    ("configMap", "ConfigMap (a volume populated by a ConfigMap)",
        &[("Name:", "name", TEXT), ("Optional:", "optional", TRUTH)]),
    ("nfs", "NFS (an NFS mount that lasts the lifetime of a pod)",
        &[("Server:", "server", TEXT), ("Path:", "path", TEXT), ("ReadOnly:", "readOnly", TRUTH)]),
    // kubectl's label of the interface has no colon.
    ("iscsi", "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)",
        &[("TargetPortal:", "targetPortal", TEXT), ("IQN:", "iqn", TEXT), ("Lun:", "lun", NUMBER), ("ISCSIInterface", "iscsiInterface", TEXT),
          ("FSType:", "fsType", TEXT), ("ReadOnly:", "readOnly", TRUTH), ("Portals:", "portals", Form::List),
          ("DiscoveryCHAPAuth:", "chapAuthDiscovery", TRUTH), ("SessionCHAPAuth:", "chapAuthSession", TRUTH),
          ("SecretRef:", "secretRef", Form::Reference), ("InitiatorName:", "initiatorName", NONE)]),
    ("glusterfs", "Glusterfs (a Glusterfs mount on the host that shares a pod's lifetime)",
        &[("EndpointsName:", "endpoints", TEXT), ("Path:", "path", TEXT), ("ReadOnly:", "readOnly", TRUTH)]),
    ("persistentVolumeClaim", "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        &[("ClaimName:", "claimName", TEXT), ("ReadOnly:", "readOnly", TRUTH)]),
    ("rbd", "RBD (a Rados Block Device mount on the host that shares a pod's lifetime)",
        &[("CephMonitors:", "monitors", Form::List), ("RBDImage:", "image", TEXT), ("FSType:", "fsType", TEXT), ("RBDPool:", "pool", TEXT),
          ("RadosUser:", "user", TEXT), ("Keyring:", "keyring", TEXT), ("SecretRef:", "secretRef", Form::Reference), ("ReadOnly:", "readOnly", TRUTH)]),
    ("quobyte", "Quobyte (a Quobyte mount on the host that shares a pod's lifetime)",
        &[("Registry:", "registry", TEXT), ("Volume:", "volume", TEXT), ("ReadOnly:", "readOnly", TRUTH)]),
    ("azureDisk", "AzureDisk (an Azure Data Disk mount on the host and bind mount to the pod)",
        &[("DiskName:", "diskName", TEXT), ("DiskURI:", "diskURI", TEXT), ("Kind: ", "kind", TEXT), ("FSType:", "fsType", TEXT),
          ("CachingMode:", "cachingMode", TEXT), ("ReadOnly:", "readOnly", TRUTH)]),
    ("vsphereVolume", "vSphereVolume (a Persistent Disk resource in vSphere)",
        &[("VolumePath:", "volumePath", TEXT), ("FSType:", "fsType", TEXT), ("StoragePolicyName:", "storagePolicyName", TEXT)]),
    ("cinder", "Cinder (a Persistent Disk resource in OpenStack)",
        &[("VolumeID:", "volumeID", TEXT), ("FSType:", "fsType", TEXT), ("ReadOnly:", "readOnly", TRUTH), ("SecretRef:", "secretRef", Form::Reference)]),
    ("photonPersistentDisk", "PhotonPersistentDisk (a Persistent Disk resource in photon platform)",
        &[("PdID:", "pdID", TEXT), ("FSType:", "fsType", TEXT)]),
    ("portworxVolume", "PortworxVolume (a Portworx Volume resource)",
        &[("VolumeID:", "volumeID", TEXT)]),
    ("scaleIO", "ScaleIO (a persistent volume backed by a block device in ScaleIO)",
        &[("Gateway:", "gateway", TEXT), ("System:", "system", TEXT), ("Protection Domain:", "protectionDomain", TEXT),
          ("Storage Pool:", "storagePool", TEXT), ("Storage Mode:", "storageMode", TEXT), ("VolumeName:", "volumeName", TEXT),
          ("FSType:", "fsType", TEXT), ("ReadOnly:", "readOnly", TRUTH)]),
    ("cephfs", "CephFS (a CephFS mount on the host that shares a pod's lifetime)",
        &[("Monitors:", "monitors", Form::List), ("Path:", "path", TEXT), ("User:", "user", TEXT), ("SecretFile:", "secretFile", TEXT),
          ("SecretRef:", "secretRef", Form::Reference), ("ReadOnly:", "readOnly", TRUTH)]),
    ("storageos", "StorageOS (a StorageOS Persistent Disk resource)",
        &[("VolumeName:", "volumeName", TEXT), ("VolumeNamespace:", "volumeNamespace", TEXT), ("FSType:", "fsType", TEXT), ("ReadOnly:", "readOnly", TRUTH)]),
    ("fc", "FC (a Fibre Channel disk)",
        &[("TargetWWNs:", "targetWWNs", Form::Joined), ("LUN:", "lun", NONE), ("FSType:", "fsType", TEXT), ("ReadOnly:", "readOnly", TRUTH)]),
    ("azureFile", "AzureFile (an Azure File Service mount on the host and bind mount to the pod)",
        &[("SecretName:", "secretName", TEXT), ("ShareName:", "shareName", TEXT), ("ReadOnly:", "readOnly", TRUTH)]),
    ("flexVolume", "FlexVolume (a generic volume resource that is provisioned/attached using an exec based plugin)",
        &[("Driver:", "driver", TEXT), ("FSType:", "fsType", TEXT), ("SecretRef:", "secretRef", Form::Reference), ("ReadOnly:", "readOnly", TRUTH),
          ("Options:", "options", Form::Map)]),
    ("flocker", "Flocker (a Flocker volume mounted by the Flocker agent)",
        &[("DatasetName:", "datasetName", TEXT), ("DatasetUUID:", "datasetUUID", TEXT)]),
    ("image", "Image (a container image or OCI artifact)",
        &[("Reference:", "reference", TEXT), ("PullPolicy:", "pullPolicy", TEXT)]),
    ("csi", "CSI (a Container Storage Interface (CSI) volume source)",
        &[("Driver:", "driver", TEXT), ("FSType:", "fsType", TEXT), ("ReadOnly:", "readOnly", TRUTH)]),
];

/// Longer attributes of a CSI volume are cut.
const LONGEST_ATTRIBUTE: usize = 140;

/// All volumes.
pub fn volumes(page: &mut Page, volumes: &[Volume]) {
    if volumes.is_empty() {
        return page.field(0, "Volumes", "<none>");
    }
    page.line(0, "Volumes:");
    for volume in volumes {
        page.line(1, format_args!("{}:", volume.name));
        if let Some(projected) = &volume.projected {
            self::projected(page, projected);
        } else if let Some(ephemeral) = &volume.ephemeral {
            self::ephemeral(page, ephemeral);
        } else if let Some(downward) = &volume.downward_api {
            page.field(2, "Type", "DownwardAPI (a volume populated by information about the pod)\n    Items:");
            for item in downward.items.iter().flatten() {
                if let Some(field) = &item.field_ref {
                    page.line(3, format_args!("{} -> {}", field.field_path, item.path));
                }
                if let Some(field) = &item.resource_field_ref {
                    page.line(3, format_args!("{} -> {}", field.resource, item.path));
                }
            }
        } else {
            from_table(page, &serde_json::to_value(volume).unwrap_or_default());
        }
    }
}

fn from_table(page: &mut Page, volume: &Value) {
    let found = TYPES.iter().find_map(|(key, title, fields)| Some((volume.get(key)?, title, fields)));
    let Some((source, title, fields)) = found else { return page.line(1, "<unknown>") };
    page.field(2, "Type", title);
    for (label, key, form) in *fields {
        page.line(2, format_args!("{label}\t{}", show(source.get(key), *form)));
    }
    if volume.get("csi").is_some() {
        attributes(page, source.get("volumeAttributes"));
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn show(value: Option<&Value>, form: Form) -> String {
    let items = |value: Option<&Value>| -> Vec<String> {
        value.and_then(Value::as_array).map(|items| items.iter().map(plain).collect()).unwrap_or_default()
    };
    match form {
        Form::Plain(absent) => value.map_or_else(|| absent.to_owned(), plain),
        Form::List => format!("[{}]", items(value).join(" ")),
        Form::Joined => items(value).join(", "),
        Form::Map => {
            let pairs = value.and_then(Value::as_object).into_iter().flatten();
            let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}:{}", plain(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        Form::Reference => match value {
            Some(reference) => format!("&LocalObjectReference{{Name:{},}}", show(reference.get("name"), TEXT)),
            None => "nil".to_owned(),
        },
        Form::Size => value.map(plain).filter(|size| size != "0").unwrap_or_else(|| "<unset>".to_owned()),
    }
}

fn attributes(page: &mut Page, attributes: Option<&Value>) {
    let attributes = attributes.and_then(Value::as_object).into_iter().flatten();
    let line = |(key, value): (&String, &Value)| shorten(&format!("{key}={}", plain(value)), LONGEST_ATTRIBUTE);
    page.list(2, "VolumeAttributes", attributes.map(line));
}

fn projected(page: &mut Page, projected: &ProjectedVolumeSource) {
    page.field(2, "Type", "Projected (a volume that contains injected data from multiple sources)");
    for source in projected.sources.iter().flatten() {
        if let Some(secret) = &source.secret {
            page.field(2, "SecretName", &secret.name);
            page.field(2, "Optional", secret.optional.unwrap_or(false));
        } else if source.downward_api.is_some() {
            page.field(2, "DownwardAPI", true);
        } else if let Some(map) = &source.config_map {
            page.field(2, "ConfigMapName", &map.name);
            page.field(2, "Optional", map.optional.unwrap_or(false));
        } else if let Some(token) = &source.service_account_token {
            page.field(2, "TokenExpirationSeconds", token.expiration_seconds.unwrap_or_default());
        }
    }
}

fn ephemeral(page: &mut Page, ephemeral: &EphemeralVolumeSource) {
    let title = "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)";
    page.field(2, "Type", title);
    let Some(template) = &ephemeral.volume_claim_template else { return };
    let metadata = template.metadata.as_ref();
    page.field(2, "StorageClass", template.spec.storage_class_name.as_deref().unwrap_or_default());
    page.field(2, "Volume", template.spec.volume_name.as_deref().unwrap_or_default());
    page.map(2, "Labels", metadata.and_then(|m| m.labels.as_ref()));
    page.annotations(2, metadata.and_then(|m| m.annotations.as_ref()));
    page.field(2, "Capacity", "");
    page.field(2, "Access Modes", "");
    if let Some(mode) = template.spec.volume_mode.as_deref() {
        page.field(2, "VolumeMode", mode);
    }
    if let Some(source) = &template.spec.data_source {
        page.line(2, "DataSource:");
        if let Some(group) = &source.api_group {
            page.field(3, "APIGroup", group);
        }
        page.field(3, "Kind", &source.kind);
        page.field(3, "Name", &source.name);
    }
}
