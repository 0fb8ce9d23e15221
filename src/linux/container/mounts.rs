//! What is mounted into a container besides kernel file systems: the image's own, the pod's /etc files, /dev/shm, volumes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Volume};

use super::super::resolve::shape_of;
use super::{PodContext, StartFailure, failure, image_volumes};
use crate::image::Image;
use crate::plan::container::Bind;
use crate::plan::paths::{clean, depth};
use crate::plan::{MountFlags, Propagation, Shape, security};
use crate::pod::input::StartStage;
use crate::volume;

/// Whether the pod's volumes are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volumes {
    /// They are.
    Prepared,
    /// They would be made: for a plan that is only shown.
    Planned,
}

/// Where a volume really is, links resolved, and what it is.
fn place_of(source: &Path, volume: &Volume, volumes: Volumes) -> io::Result<(PathBuf, Shape)> {
    let made = match volume.host_path.as_ref().map(|host| host.type_.as_deref().unwrap_or_default()) {
        None | Some("DirectoryOrCreate") => Some(Shape::Directory),
        Some("FileOrCreate") => Some(Shape::File),
        Some(_) => None,
    };
    let looked = || -> io::Result<(PathBuf, Shape)> {
        let path = fs::canonicalize(source)?;
        let shape = shape_of(&fs::metadata(&path)?);
        Ok((path, shape))
    };
    match (looked(), made) {
        (Err(error), Some(shape)) if volumes == Volumes::Planned && error.kind() == io::ErrorKind::NotFound => {
            Ok((source.to_owned(), shape))
        }
        (looked, _) => looked,
    }
}

/// Everything that is mounted into a container besides kernel file systems: (in mount order, targets of the manifest).
pub(super) fn binds(
    context: &PodContext<'_>,
    container: &Container,
    attempt: u32,
    image: &Image,
    state: Volumes,
) -> Result<(Vec<Bind>, Vec<String>), StartFailure> {
    let config = |message: String| failure(StartStage::Config, message);
    let plain = |source: PathBuf, target: &str, shape: Shape| Bind {
        source: source.display().to_string(),
        target: clean(target),
        flags: MountFlags::default(),
        recursive: false,
        recursive_flags: false,
        propagation: Propagation::Private,
        shape,
    };
    let mut mine = Vec::new();
    let mut user_targets = Vec::new();
    let none = Vec::new();
    let volumes = context.pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref()).unwrap_or(&none);
    for mount in container.volume_mounts.iter().flatten() {
        if mount.sub_path.is_some() || mount.sub_path_expr.is_some() {
            return Err(config(format!("volumeMount \"{}\": podlet does not carry out subPath yet", mount.name)));
        }
        let volume = volumes.iter().find(|volume| volume.name == mount.name).ok_or_else(|| {
            config(format!("cannot find volume \"{}\" to mount into container \"{}\"", mount.name, container.name))
        })?;
        let source = volume::source(context.paths, context.uid(), volume).map_err(config)?;
        let (path, shape) = place_of(&source.path, volume, state).map_err(|error| {
            config(format!(
                "volume \"{}\" for \"{}\": {}: {error}",
                mount.name,
                mount.mount_path,
                source.path.display()
            ))
        })?;
        let propagation = match mount.mount_propagation.as_deref() {
            None | Some("None") => Propagation::Private,
            Some("HostToContainer") => Propagation::Slave,
            Some(other) => {
                return Err(config(format!(
                    "volumeMount \"{}\": podlet does not carry out mountPropagation {other}",
                    mount.name
                )));
            }
        };
        let read_only = source.read_only || mount.read_only == Some(true);
        let bind = Bind {
            flags: MountFlags { read_only, ..MountFlags::default() },
            recursive: volume.host_path.is_some(),
            recursive_flags: matches!(mount.recursive_read_only.as_deref(), Some("Enabled" | "IfPossible")),
            propagation,
            ..plain(path, &mount.mount_path, shape)
        };
        user_targets.push(bind.target.clone());
        mine.push(bind);
    }
    for (target, place) in image_volumes::of(context, container, attempt, image) {
        mine.push(plain(place, &target, Shape::Directory));
    }
    let files = context.files();
    let mut shared = vec![
        plain(files.join("hosts"), "/etc/hosts", Shape::File),
        plain(files.join("hostname"), "/etc/hostname", Shape::File),
        plain(files.join("resolv.conf"), "/etc/resolv.conf", Shape::File),
    ];
    for bind in &mut shared {
        bind.flags.read_only = security::read_only_root(container);
    }
    let message_path = container.termination_message_path.as_deref().filter(|path| !path.is_empty());
    let message_path = message_path.unwrap_or("/dev/termination-log");
    shared.push(plain(context.termination_log(&container.name, attempt), message_path, Shape::File));
    let shm = if context.spec().host_ipc() { PathBuf::from("/dev/shm") } else { context.shm() };
    let mut shm = plain(shm, "/dev/shm", Shape::Directory);
    shm.flags = MountFlags { read_only: false, ..MountFlags::KERNEL };
    shared.push(shm);
    // A device of the manifest's own /dev is not podlet's to furnish.
    let over_dev = user_targets.iter().any(|target| target == "/dev");
    shared.retain(|bind| !(user_targets.contains(&bind.target) || over_dev && bind.target.starts_with("/dev/")));
    let mut ordered: Vec<Bind> = shared.into_iter().chain(mine).collect();
    ordered.sort_by_key(|bind| depth(&bind.target));
    let system = image.binds.iter().map(|(source, target)| {
        let shape = fs::metadata(source).map_or(Shape::Directory, |found| shape_of(&found));
        let flags = MountFlags { read_only: true, nosuid: true, ..MountFlags::default() };
        Bind {
            flags,
            recursive: true,
            recursive_flags: true,
            ..plain(source.clone(), &target.display().to_string(), shape)
        }
    });
    Ok((system.chain(ordered).collect(), user_targets))
}
