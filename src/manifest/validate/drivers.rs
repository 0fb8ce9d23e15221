//! Volume sources that need a storage driver. podlet refuses them, but a wrong one is first told what is wrong with it,
//! as a cluster would. The functions are called between the sources that `volumes` checks, in the server's order.

use k8s_openapi::api::core::v1::{AzureDiskVolumeSource, CSIVolumeSource, ISCSIVolumeSource, Volume};

use super::errors::Errors;
use super::mounts::descending_path;
use super::names;
use super::volumes::Sources;
use crate::manifest::field::{FieldPath, Shown};

/// gitRepo, gcePersistentDisk, awsElasticBlockStore.
pub fn before_secret(errors: &mut Errors, path: &FieldPath, volume: &Volume, sources: &mut Sources) {
    if let Some(git) = &volume.git_repo {
        let path = path.child("gitRepo");
        if sources.is_first(errors, &path) {
            errors.require_text(&path.child("repository"), &git.repository);
            descending_path(errors, &path.child("directory"), git.directory.as_deref().unwrap_or_default());
        }
    }
    if let Some(disk) = &volume.gce_persistent_disk
        && sources.is_first(errors, &path.child("gcePersistentDisk"))
    {
        // By another name than that of the field: a quirk of the server.
        let path = path.child("persistentDisk");
        errors.require_text(&path.child("pdName"), &disk.pd_name);
        partition(errors, &path.child("partition"), disk.partition);
    }
    if let Some(disk) = &volume.aws_elastic_block_store {
        let path = path.child("awsElasticBlockStore");
        if sources.is_first(errors, &path) {
            errors.require_text(&path.child("volumeID"), &disk.volume_id);
            partition(errors, &path.child("partition"), disk.partition);
        }
    }
}

fn partition(errors: &mut Errors, path: &FieldPath, partition: Option<i32>) {
    if let Some(number) = partition.filter(|number| !(0..=255).contains(number)) {
        errors.invalid(path, number, "must be between 1 and 255, inclusive");
    }
}

/// nfs, iscsi, glusterfs, flocker.
pub fn before_claim(errors: &mut Errors, path: &FieldPath, volume: &Volume, sources: &mut Sources) {
    if let Some(nfs) = &volume.nfs {
        let path = path.child("nfs");
        if sources.is_first(errors, &path) {
            errors.require_text(&path.child("server"), &nfs.server);
            errors.require_text(&path.child("path"), &nfs.path);
            if !nfs.path.starts_with('/') {
                errors.invalid(&path.child("path"), &nfs.path, "must be an absolute path");
            }
        }
    }
    if let Some(target) = &volume.iscsi {
        if sources.is_first(errors, &path.child("iscsi")) {
            iscsi(errors, &path.child("iscsi"), target);
        }
        if target.initiator_name.is_some() && volume.name.len() + 1 + target.target_portal.len() > 64 {
            errors.invalid(
                &path.child("name"),
                &volume.name,
                "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.",
            );
        }
    }
    if let Some(gluster) = &volume.glusterfs {
        let path = path.child("glusterfs");
        if sources.is_first(errors, &path) {
            errors.require_text(&path.child("endpoints"), &gluster.endpoints);
            errors.require_text(&path.child("path"), &gluster.path);
        }
    }
    if let Some(flocker) = &volume.flocker {
        let path = path.child("flocker");
        if sources.is_first(errors, &path) {
            let name = flocker.dataset_name.as_deref().unwrap_or_default();
            let uuid = flocker.dataset_uuid.as_deref().unwrap_or_default();
            if name.is_empty() && uuid.is_empty() {
                errors.required(&path, "one of datasetName and datasetUUID is required");
            }
            if !name.is_empty() && !uuid.is_empty() {
                errors.invalid(&path, "resource", "datasetName and datasetUUID can not be specified simultaneously");
            }
            if name.contains('/') {
                errors.invalid(&path.child("datasetName"), name, "must not contain '/'");
            }
        }
    }
}

fn iscsi(errors: &mut Errors, path: &FieldPath, target: &ISCSIVolumeSource) {
    errors.require_text(&path.child("targetPortal"), &target.target_portal);
    if errors.require_text(&path.child("iqn"), &target.iqn) {
        initiator(errors, &path.child("iqn"), &target.iqn);
    }
    if !(0..=255).contains(&target.lun) {
        errors.invalid(&path.child("lun"), target.lun, "must be between 0 and 255, inclusive");
    }
    if (target.chap_auth_discovery == Some(true) || target.chap_auth_session == Some(true))
        && target.secret_ref.is_none()
    {
        errors.required(&path.child("secretRef"), "");
    }
    if let Some(name) = &target.initiator_name {
        initiator(errors, &path.child("initiatorname"), name);
    }
}

/// The three kinds of iSCSI names.
fn initiator(errors: &mut Errors, path: &FieldPath, name: &str) {
    let alphanumeric = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_alphanumeric());
    // The character after the kind may be any: the server's expression has an unescaped point there.
    let after_point = |rest: &str| rest.char_indices().nth(1).map(|(at, _)| rest.split_at(at).1.to_string());
    let good = if name.starts_with("iqn") {
        has_iqn(name)
    } else if let Some(rest) = name.strip_prefix("eui") {
        after_point(rest).is_some_and(|id| alphanumeric(&id, 16))
    } else if let Some(rest) = name.strip_prefix("naa") {
        after_point(rest).is_some_and(|id| alphanumeric(&id, 32))
    } else {
        return errors.invalid(path, name, "must be valid format starting with iqn, eui, or naa");
    };
    if !good {
        errors.invalid(path, name, "must be valid format");
    }
}

/// Whether the text ends in `iqn.YYYY-MM.authority:name`.
fn has_iqn(text: &str) -> bool {
    text.match_indices("iqn.").any(|(at, found)| {
        let rest = text.get(at + found.len()..).unwrap_or_default();
        let (Some(date), Some(rest)) = (rest.get(..8), rest.get(8..)) else { return false };
        let is_date = date.bytes().enumerate().all(|(i, b)| match i {
            4 => b == b'-',
            7 => b == b'.',
            _ => b.is_ascii_digit(),
        });
        let Some((authority, name)) = rest.split_once(':') else { return false };
        is_date
            && !authority.is_empty()
            && authority.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
            && !name.is_empty()
            && !name.contains([',', ';', '*', '&', '$', '|', ' ', '\t', '\n', '\r', '\x0c'])
    })
}

/// rbd, cinder, cephfs, quobyte.
pub fn before_downward(errors: &mut Errors, path: &FieldPath, volume: &Volume, sources: &mut Sources) {
    if let Some(rbd) = &volume.rbd {
        let path = path.child("rbd");
        if sources.is_first(errors, &path) {
            if rbd.monitors.is_empty() {
                errors.required(&path.child("monitors"), "");
            }
            errors.require_text(&path.child("image"), &rbd.image);
        }
    }
    if let Some(cinder) = &volume.cinder {
        let path = path.child("cinder");
        if sources.is_first(errors, &path) {
            errors.require_text(&path.child("volumeID"), &cinder.volume_id);
            if let Some(secret) = &cinder.secret_ref {
                errors.require_text(&path.child("secretRef.name"), &secret.name);
            }
        }
    }
    if let Some(ceph) = &volume.cephfs
        && sources.is_first(errors, &path.child("cephFS"))
        && ceph.monitors.is_empty()
    {
        errors.required(&path.child("cephfs").child("monitors"), "");
    }
    if let Some(quobyte) = &volume.quobyte {
        let path = path.child("quobyte");
        if sources.is_first(errors, &path) {
            const REGISTRY: &str = "must be a host:port pair or multiple pairs separated by commas";
            if quobyte.registry.is_empty() {
                errors.required(&path.child("registry"), REGISTRY);
            } else if quobyte.tenant.as_ref().is_some_and(|tenant| tenant.len() >= 65) {
                errors.required(&path.child("tenant"), "must be a UUID and may not exceed a length of 64 characters");
            } else {
                let bad = quobyte.registry.split(',').filter(|pair| !is_host_port(pair)).count();
                for _ in 0..bad {
                    // Each shows all of them.
                    if errors.is_full() {
                        break;
                    }
                    errors.invalid(&path.child("registry"), &quobyte.registry, REGISTRY);
                }
            }
            errors.require_text(&path.child("volume"), &quobyte.volume);
        }
    }
}

/// `host:port`, `[address]:port`; a port may be empty, as Go splits them.
fn is_host_port(pair: &str) -> bool {
    match pair.strip_prefix('[') {
        Some(rest) => rest.split_once(']').is_some_and(|(host, port)| {
            !host.contains('[') && port.starts_with(':') && !port.contains(['[', ']']) && port.matches(':').count() == 1
        }),
        None => pair.matches(':').count() == 1 && !pair.contains(['[', ']']),
    }
}

/// fc, flexVolume.
pub fn before_config_map(errors: &mut Errors, path: &FieldPath, volume: &Volume, sources: &mut Sources) {
    if let Some(fc) = &volume.fc {
        let path = path.child("fc");
        if sources.is_first(errors, &path) {
            let targets = fc.target_wwns.as_deref().unwrap_or_default();
            let wwids = fc.wwids.as_deref().unwrap_or_default();
            if targets.is_empty() && wwids.is_empty() {
                errors.required(&path.child("targetWWNs"), "must specify either targetWWNs or wwids, but not both");
            }
            if !targets.is_empty() && !wwids.is_empty() {
                errors.invalid(
                    &path.child("targetWWNs"),
                    Shown::json(&targets),
                    "targetWWNs and wwids can not be specified simultaneously",
                );
            }
            match fc.lun {
                None if !targets.is_empty() => {
                    errors.required(&path.child("lun"), "lun is required if targetWWNs is specified");
                }
                Some(lun) if !targets.is_empty() && !(0..=255).contains(&lun) => {
                    errors.invalid(&path.child("lun"), lun, "must be between 0 and 255, inclusive");
                }
                _ => {}
            }
        }
    }
    if let Some(flex) = &volume.flex_volume {
        let path = path.child("flexVolume");
        if sources.is_first(errors, &path) {
            errors.require_text(&path.child("driver"), &flex.driver);
            let options = path.child("options");
            for key in flex.options.iter().flatten().map(|(key, _)| key) {
                let namespace = format!(".{}", key.split('/').next().unwrap_or_default().to_lowercase());
                if namespace.ends_with(".kubernetes.io") || namespace.ends_with(".k8s.io") {
                    errors.invalid(&options.key(key), key, "kubernetes.io and k8s.io namespaces are reserved");
                }
            }
        }
    }
}

/// azureFile, vsphereVolume, photonPersistentDisk, portworxVolume, azureDisk, storageos.
pub fn before_projected(errors: &mut Errors, path: &FieldPath, volume: &Volume, sources: &mut Sources) {
    if let Some(azure) = &volume.azure_file {
        let path = path.child("azureFile");
        if sources.is_first(errors, &path) {
            errors.require_text(&path.child("secretName"), &azure.secret_name);
            errors.require_text(&path.child("shareName"), &azure.share_name);
        }
    }
    for (name, id_name, id) in [
        ("vsphereVolume", "volumePath", volume.vsphere_volume.as_ref().map(|v| &v.volume_path)),
        ("photonPersistentDisk", "pdID", volume.photon_persistent_disk.as_ref().map(|v| &v.pd_id)),
        ("portworxVolume", "volumeID", volume.portworx_volume.as_ref().map(|v| &v.volume_id)),
    ] {
        let path = path.child(name);
        if let Some(id) = id
            && sources.is_first(errors, &path)
        {
            errors.require_text(&path.child(id_name), id);
        }
    }
    if let Some(disk) = &volume.azure_disk {
        let path = path.child("azureDisk");
        if sources.is_first(errors, &path) {
            azure_disk(errors, &path, disk);
        }
    }
    if let Some(storage) = &volume.storageos {
        let path = path.child("storageos");
        if sources.is_first(errors, &path) {
            let name = storage.volume_name.as_deref().unwrap_or_default();
            if errors.require_text(&path.child("volumeName"), name) {
                errors.each(&path.child("volumeName"), name, names::dns_label(name));
            }
            if let Some(namespace) = storage.volume_namespace.as_deref().filter(|text| !text.is_empty()) {
                errors.each(&path.child("volumeNamespace"), namespace, names::dns_label(namespace));
            }
            if let Some(secret) = &storage.secret_ref {
                errors.require_text(&path.child("secretRef.name"), &secret.name);
            }
        }
    }
}

fn azure_disk(errors: &mut Errors, path: &FieldPath, disk: &AzureDiskVolumeSource) {
    errors.require_text(&path.child("diskName"), &disk.disk_name);
    errors.require_text(&path.child("diskURI"), &disk.disk_uri);
    if let Some(mode) = &disk.caching_mode {
        errors.one_of(&path.child("cachingMode"), mode, &["None", "ReadOnly", "ReadWrite"]);
    }
    let Some(kind) = disk.kind.as_deref() else { return };
    errors.one_of(&path.child("kind"), kind, &["Dedicated", "Managed", "Shared"]);
    let (start, form) = if kind == "Managed" {
        (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        )
    } else {
        ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd")
    };
    if !disk.disk_uri.starts_with(start) {
        errors.text_not_supported(&path.child("diskURI"), &disk.disk_uri, &[form]);
    }
}

/// scaleIO, csi.
pub fn before_ephemeral(errors: &mut Errors, path: &FieldPath, volume: &Volume, sources: &mut Sources) {
    if let Some(scale) = &volume.scale_io {
        let path = path.child("scaleIO");
        if sources.is_first(errors, &path) {
            errors.require_text(&path.child("gateway"), &scale.gateway);
            errors.require_text(&path.child("system"), &scale.system);
            errors.require_text(&path.child("volumeName"), scale.volume_name.as_deref().unwrap_or_default());
        }
    }
    if let Some(source) = &volume.csi {
        let path = path.child("csi");
        if sources.is_first(errors, &path) {
            csi(errors, &path, source);
        }
    }
}

fn csi(errors: &mut Errors, path: &FieldPath, source: &CSIVolumeSource) {
    let driver = path.child("driver");
    if errors.require_text(&driver, &source.driver) {
        if source.driver.len() > 63 {
            errors.too_long(&driver, 63);
        }
        errors.each(&driver, &source.driver, names::dns_subdomain(&source.driver.to_lowercase()));
    }
    if let Some(secret) = &source.node_publish_secret_ref
        && errors.require_text(&path.child("nodePublishSecretRef.name"), &secret.name)
    {
        errors.each(&path.child("name"), &secret.name, names::dns_subdomain(&secret.name));
    }
}
