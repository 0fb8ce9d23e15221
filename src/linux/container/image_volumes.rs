//! What an image's VOLUMEs become, as with containerd's CRI: for each path that the manifest mounts nothing on, a directory of
//! the instance's own on the machine's file system, with what the image has at the path. It can be written to though the root
//! is read-only, it is no overlay (a container engine in the container needs that), and it goes with the instance.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Container;

use super::super::resolve::Root;
use super::super::rootfs::{RootFs, make_directory};
use super::{PodContext, StartFailure, create, failure};
use crate::image::{self, Image};
use crate::plan::paths::{clean, is_below};
use crate::pod::input::StartStage;

/// What podlet itself furnishes is no image's to replace.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The volumes that a container's instance gets of its image: where each appears, and where it is on the machine.
pub(super) fn of(
    context: &PodContext<'_>,
    container: &Container,
    attempt: u32,
    image: &Image,
) -> Vec<(String, PathBuf)> {
    if context.ignore_image_volumes {
        return Vec::new();
    }
    let directory = context.paths.container_state(context.uid(), &container.name, attempt);
    let targets = targets(container, image).into_iter().enumerate();
    targets.map(|(number, target)| (target, directory.join("volumes").join(number.to_string()))).collect()
}

/// Where in the container.
fn targets(container: &Container, image: &Image) -> Vec<String> {
    let mounted: Vec<String> = container.volume_mounts.iter().flatten().map(|mount| clean(&mount.mount_path)).collect();
    let is_kernels = |target: &str| KERNEL.iter().any(|place| target == *place || is_below(target, place));
    let mut targets: Vec<String> = image.config.volumes.iter().map(|path| clean(&format!("/{path}"))).collect();
    targets.retain(|target| target != "/" && !is_kernels(target) && !mounted.contains(target));
    targets.sort();
    targets.dedup();
    targets
}

/// Makes them, once the instance has its root.
pub(super) fn make(volumes: &[(String, PathBuf)], root: &RootFs) -> Result<(), StartFailure> {
    for (target, place) in volumes {
        let failed = |error: io::Error| create(&format!("the image's volume {target:?} cannot be made"))(error);
        make_directory(place, 0o755).map_err(failed)?;
        let in_image = match Root(root.mount.as_fd()).open(target, libc::O_PATH | libc::O_DIRECTORY) {
            Ok(directory) => directory,
            // The image has nothing there, or a file.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => continue,
            Err(error) => return Err(failed(error)),
        };
        let from = PathBuf::from(format!("/proc/self/fd/{}", in_image.as_raw_fd()));
        let to = OwnedFd::from(fs::File::open(place).map_err(failed)?);
        let copied = image::copy_directory(&from, &to);
        let told =
            |error| failure(StartStage::Create, format!("the image's volume {target:?} cannot be made: {error}"));
        copied.map_err(told)?.iter().for_each(|note| tracing::info!("volume {target:?} of the image: {note}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::VolumeMount;

    #[test]
    fn a_path_that_the_manifest_mounts_on_is_no_volume_of_the_image() {
        let mount = |path: &str| VolumeMount { mount_path: path.into(), name: "v".into(), ..VolumeMount::default() };
        let mounts = Some(vec![mount("/data/"), mount("/deep/er")]);
        let container = Container { volume_mounts: mounts, ..Container::default() };
        let volumes = ["/data", "deep", "/var//lib/x/", "/", "/sys/fs/cgroup", "/proc", "/devices", "/deep"];
        let config = image::Config { volumes: volumes.map(String::from).to_vec(), ..image::Config::default() };
        let image = Image {
            reference: String::new(),
            id: String::new(),
            repo_digest: None,
            config,
            layers: Vec::new(),
            binds: Vec::new(),
            size: 0,
        };
        assert_eq!(targets(&container, &image), ["/deep", "/devices", "/var/lib/x"]);
    }
}
