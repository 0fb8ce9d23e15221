//! Each volume type: what is made on the machine before a container mounts it, and where. Called by `linux::container`
//! once a pod; finding everything in place is the ordinary case of a supervisor that takes over.
//!
//! podlet's own files in a volume are written where no container can write (CVE-2025-9566); what containers may write is
//! never followed by path.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{HostPathVolumeSource, Pod, Volume};

use crate::linux::tmpfs;
use crate::manifest::quantity::Quantity;
use crate::paths::Paths;
use crate::plan::environment::Objects;

mod payload;

pub use payload::write as write_payload;

/// Where a volume is on the machine, ready to be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The directory (or, of a hostPath, the file).
    pub path: PathBuf,
    /// Mounted read-only whatever the mount says: configMap, secret.
    pub read_only: bool,
}

/// Where a volume is. The error says that its type is not carried out.
pub fn source(paths: &Paths, uid: &str, volume: &Volume) -> Result<Source, String> {
    let at = |kind: &str, read_only: bool| Ok(Source { path: paths.volume(uid, kind, &volume.name), read_only });
    if volume.empty_dir.is_some() {
        at("empty-dir", false)
    } else if volume.config_map.is_some() {
        at("configmap", true)
    } else if volume.secret.is_some() {
        at("secret", true)
    } else if let Some(host) = &volume.host_path {
        Ok(Source { path: PathBuf::from(&host.path), read_only: false })
    } else {
        Err(format!("volume \"{}\": podlet does not carry out this type of volume yet", volume.name))
    }
}

/// Which volumes of a pod are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// All of them, before the pod's sandbox.
    All,
    /// Those that show this ConfigMap. It has changed since they were made: their files change all at once, and a
    /// container that runs sees the new ones at its next look (never in a variable, as on a kubelet).
    OfConfigMap(&'a str),
    /// The same for a Secret.
    OfSecret(&'a str),
}

impl Which<'_> {
    /// Whether this volume is meant.
    pub fn means(&self, volume: &Volume) -> bool {
        match self {
            Which::All => true,
            Which::OfConfigMap(name) => volume.config_map.as_ref().is_some_and(|map| map.name == *name),
            Which::OfSecret(name) => {
                volume.secret.as_ref().is_some_and(|secret| secret.secret_name.as_deref() == Some(*name))
            }
        }
    }
}

/// Makes volumes of a pod ready. The errors are the messages of the event FailedMount, one for each volume that cannot be
/// made: a kubelet sets them up side by side, and one that fails keeps it from none of the others.
pub fn prepare(
    paths: &Paths,
    pod: &Pod,
    objects: &dyn Objects,
    memory: u64,
    which: Which<'_>,
) -> Result<(), Vec<String>> {
    let mut failed = Vec::new();
    for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        if which.means(volume)
            && let Err(error) = prepare_and_give(paths, pod, volume, objects, memory)
        {
            failed.push(format!("MountVolume.SetUp failed for volume \"{}\" : {error}", volume.name));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed) }
}

fn prepare_and_give(
    paths: &Paths,
    pod: &Pod,
    volume: &Volume,
    objects: &dyn Objects,
    memory: u64,
) -> Result<(), String> {
    let place = source(paths, pod.metadata.uid.as_deref().unwrap_or_default(), volume)?;
    prepare_one(&place.path, pod, volume, objects, memory)?;
    match fs_group(pod) {
        Some(group) if volume.host_path.is_none() => {
            give(&place.path, group, place.read_only).map_err(|error| error.to_string())
        }
        _ => Ok(()),
    }
}

fn fs_group(pod: &Pod) -> Option<i64> {
    pod.spec.as_ref()?.security_context.as_ref()?.fs_group
}

fn prepare_one(path: &Path, pod: &Pod, volume: &Volume, objects: &dyn Objects, memory: u64) -> Result<(), String> {
    let text = |error: io::Error| format!("{}: {error}", path.display());
    if let Some(empty) = &volume.empty_dir {
        make(path, 0o777).map_err(text)?;
        return match empty.medium.as_deref().unwrap_or_default() {
            "" => Ok(()),
            "Memory" => {
                let limit = empty
                    .size_limit
                    .as_ref()
                    .and_then(|q| Some(Quantity::parse(&q.0).ok()?.value()))
                    .filter(|size| *size > 0);
                let pod_limit = crate::plan::resources::of_pod(pod).memory;
                let size = [limit.and_then(|size| u64::try_from(size).ok()), pod_limit, Some(memory)];
                let size = size.into_iter().flatten().min().unwrap_or(memory);
                tmpfs::mount(path, &format!("size={size}")).map_err(text)
            }
            other => Err(format!("unknown storage medium \"{other}\"")),
        };
    }
    if let Some(host) = &volume.host_path {
        return host_path(host);
    }
    if let Some(map) = &volume.config_map {
        make(path, 0o777).map_err(text)?;
        let found = objects.config_map(&map.name);
        let optional = map.optional == Some(true);
        if found.is_none() && !optional {
            return Err(format!("configmap \"{}\" not found", map.name));
        }
        let found = found.unwrap_or_default();
        let mut keys: payload::Keys =
            found.data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.into_bytes())).collect();
        keys.extend(found.binary_data.unwrap_or_default().into_iter().map(|(k, v)| (k, v.0)));
        let files = payload::project(&keys, map.items.as_deref(), map.default_mode, optional)
            .map_err(|key| format!("configmap references non-existent config key: {key}"))?;
        return payload::write(path, &files, &nested(pod, volume), |made| own_new(made, pod)).map_err(text);
    }
    if let Some(secret) = &volume.secret {
        make(path, 0o777).map_err(text)?;
        tmpfs::mount(path, &format!("size={memory}")).map_err(text)?;
        let name = secret.secret_name.as_deref().unwrap_or_default();
        let found = objects.secret(name);
        let optional = secret.optional == Some(true);
        if found.is_none() && !optional {
            return Err(format!("secret \"{name}\" not found"));
        }
        let keys: payload::Keys =
            found.and_then(|found| found.data).unwrap_or_default().into_iter().map(|(k, v)| (k, v.0)).collect();
        let files = payload::project(&keys, secret.items.as_deref(), secret.default_mode, optional)
            .map_err(|key| format!("references non-existent secret key: {key}"))?;
        return payload::write(path, &files, &nested(pod, volume), |made| own_new(made, pod)).map_err(text);
    }
    Ok(())
}

/// Directories below this read-only volume at which other volumes are mounted: they must exist in it.
fn nested(pod: &Pod, volume: &Volume) -> Vec<String> {
    use crate::plan::paths::{clean, is_below};
    let mut found = Vec::new();
    let containers = pod.spec.iter().flat_map(|s| s.containers.iter().chain(s.init_containers.iter().flatten()));
    for container in containers {
        let mounts: Vec<_> = container.volume_mounts.iter().flatten().collect();
        for outer in mounts.iter().filter(|mount| mount.name == volume.name) {
            let outer = clean(&outer.mount_path);
            for inner in mounts.iter().map(|mount| clean(&mount.mount_path)).filter(|path| is_below(path, &outer)) {
                found.extend(inner.get(outer.trim_end_matches('/').len() + 1..).map(str::to_owned));
            }
        }
    }
    found
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o750).create(parent)?;
    }
    fs::DirBuilder::new().mode(mode).create(path)?;
    // The umask must not count.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Checks or makes a hostPath as its type says.
fn host_path(host: &HostPathVolumeSource) -> Result<(), String> {
    let path = Path::new(&host.path);
    if !path.is_absolute() {
        return Err(format!("hostPath {} must be an absolute path", host.path));
    }
    let text = |error: io::Error| format!("{}: {error}", host.path);
    let kind = host.type_.as_deref().unwrap_or_default();
    let found = match fs::metadata(path) {
        Ok(found) => Some(found.file_type()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(text(error)),
    };
    let directory = |mode: u32| fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(text);
    let checked = |is: fn(&fs::FileType) -> bool, what: &str| match &found {
        Some(kind) if is(kind) => Ok(()),
        _ => Err(format!("hostPath type check failed: {} is not {what}", host.path)),
    };
    match kind {
        // As a runtime makes the missing source of a bind mount.
        "" if found.is_none() => directory(0o755),
        "" => Ok(()),
        "DirectoryOrCreate" if found.is_none() => directory(0o755),
        "FileOrCreate" if found.is_none() => {
            fs::OpenOptions::new().write(true).create_new(true).open(path).map(drop).map_err(text)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(text)
        }
        "Directory" | "DirectoryOrCreate" => checked(fs::FileType::is_dir, "a directory"),
        "File" | "FileOrCreate" => checked(fs::FileType::is_file, "a file"),
        "Socket" => checked(FileTypeExt::is_socket, "a socket file"),
        "CharDevice" => checked(FileTypeExt::is_char_device, "a character device"),
        "BlockDevice" => checked(FileTypeExt::is_block_device, "a block device"),
        other => Err(format!("unknown hostPath type \"{other}\"")),
    }
}

/// fsGroup. A writable volume is an emptyDir: nothing is in it before its containers start, and what they made since is
/// theirs, also where they lead a link. So its root alone is given, and the walk is for what podlet itself wrote.
fn give(path: &Path, group: i64, read_only: bool) -> io::Result<()> {
    own(path, group_of(group)?, read_only)
}

/// fsGroup for files that are not seen yet.
fn own_new(made: &Path, pod: &Pod) -> io::Result<()> {
    match fs_group(pod) {
        Some(group) => own(made, group_of(group)?, true),
        None => Ok(()),
    }
}

fn group_of(group: i64) -> io::Result<u32> {
    u32::try_from(group).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// fsGroup: the group owns everything in the volume, children before their directory, links themselves never followed.
fn own(path: &Path, group: u32, read_only: bool) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::symlink_metadata(path)?;
    if read_only && metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path(), group, read_only)?;
        }
    }
    if metadata.gid() != group {
        std::os::unix::fs::lchown(path, None, Some(group))?;
    }
    if metadata.is_symlink() {
        return Ok(());
    }
    let mut mode = metadata.mode() & 0o7777 | if read_only { 0o440 } else { 0o660 };
    if metadata.is_dir() {
        mode |= 0o2110;
    }
    if mode != metadata.mode() & 0o7777 {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_paths() {
        let root = std::env::temp_dir().join(format!("podlet-volume-{}", std::process::id()));
        let check = |name: &str, kind: &str| {
            let path = root.join(name).display().to_string();
            host_path(&HostPathVolumeSource { path, type_: Some(kind.to_owned()) })
        };
        let refused = |name: &str, what: &str| {
            Err(format!("hostPath type check failed: {} is not {what}", root.join(name).display()))
        };
        assert_eq!(check("d", "Directory"), refused("d", "a directory"));
        assert_eq!(check("d/e", "DirectoryOrCreate"), Ok(()));
        assert_eq!(check("d", "Directory"), Ok(()));
        assert_eq!(check("d", "File"), refused("d", "a file"));
        assert_eq!(check("d/f", "FileOrCreate"), Ok(()));
        assert_eq!(check("d/f", "Socket"), refused("d/f", "a socket file"));
        assert_eq!(check("d/f", "CharDevice"), refused("d/f", "a character device"));
        assert_eq!(check("d/f", "BlockDevice"), refused("d/f", "a block device"));
        assert!(check("none/f", "FileOrCreate").is_err());
        assert_eq!(check("any", ""), Ok(()));
        assert!(root.join("any").is_dir());
        assert!(host_path(&HostPathVolumeSource { path: "x".into(), type_: None }).is_err());
        let _ = fs::remove_dir_all(root);
    }
}
