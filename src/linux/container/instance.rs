//! One container instance, from its spec to a process that is ready to be asked for; and the removal of what it leaves.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Container;

use super::super::cgroup::Cgroup;
use super::super::resolve::Root;
use super::super::rootfs::RootFs;
use super::super::{device, rootfs};
use super::image_volumes;
use super::inputs::{
    arguments, container_inputs, find_program, keep_environment, own_stdio, resolve_identity, variables,
    working_directory,
};
use super::mounts::{Volumes, binds};
use super::pod::{write_file, write_hosts};
use super::{PodContext, Prepared, StartFailure, Stdio, assemble, create, failure};
use crate::image::Image;
use crate::plan::container::{Bind, Inputs, on_root};
use crate::plan::environment::Variables;
use crate::plan::{FIRST_DESCRIPTOR, Secrets, Shape, Text, identity, resources};
use crate::pod::input::StartStage;

/// One container instance. `stdio` are its ends of stdin (or /dev/null), stdout and stderr. `sandbox` is a pidfd of pause.
pub fn prepare_container(
    context: &PodContext<'_>,
    container: &Container,
    attempt: u32,
    image: &Image,
    sandbox: BorrowedFd<'_>,
    stdio: [BorrowedFd<'_>; 3],
) -> Result<Prepared, StartFailure> {
    let root = || prepare_root(context, container, attempt, image);
    let mut prepared = prepare_instance(context, container, attempt, image, root, stdio.into())?;
    prepared.join(sandbox).map_err(create("a descriptor cannot be copied"))?;
    Ok(prepared)
}

/// The root file system of a new instance, which needs nothing of the pod's surroundings.
pub fn prepare_root(
    context: &PodContext<'_>,
    container: &Container,
    attempt: u32,
    image: &Image,
) -> Result<RootFs, StartFailure> {
    let directory = context.paths.container_state(context.uid(), &container.name, attempt);
    let failed = create("the root file system cannot be made");
    let mut layers = vec![rootfs::mount_points(&context.paths.images().join("mount-points")).map_err(&failed)?];
    layers.extend_from_slice(&image.layers);
    let root = rootfs::build(&layers, &directory).map_err(&failed)?;
    image_volumes::make(&image_volumes::of(context, container, attempt, image), &root)?;
    Ok(root)
}

/// An instance on its root file system, before the sandbox need be there: [`Prepared::join`] completes it.
pub fn prepare_instance(
    context: &PodContext<'_>,
    container: &Container,
    attempt: u32,
    image: &Image,
    root: impl FnOnce() -> Result<RootFs, StartFailure>,
    stdio: Stdio<'_>,
) -> Result<Prepared, StartFailure> {
    let (variables, secrets) = variables(context, container, image)?;
    identity::check_non_root(context.pod, container, image.config.user.as_deref())
        .map_err(|text| failure(StartStage::Config, text))?;
    let words = arguments(container, image, &variables, &secrets)?;
    let names = context.names().map_err(|message| failure(StartStage::Config, message))?;
    write_hosts(context, &names).map_err(create("the pod's /etc/hosts cannot be written"))?;
    write_file(&context.termination_log(&container.name, attempt), "", 0o666)
        .map_err(create("the termination message file cannot be made"))?;
    let (binds, user_targets) = binds(context, container, attempt, image, Volumes::Prepared)?;
    let found = Found { variables, secrets, words, binds, user_targets, root: root()? };
    let result = finish_instance(context, container, image, found, stdio);
    if result.is_err() {
        let _ = remove_instance(context, &container.name, attempt);
    }
    result
}

/// What [`prepare_instance`] has found out before anything of the instance exists in the kernel but its root.
struct Found {
    variables: Variables,
    secrets: Secrets,
    words: Vec<Text>,
    binds: Vec<Bind>,
    user_targets: Vec<String>,
    root: RootFs,
}

fn finish_instance(
    context: &PodContext<'_>,
    container: &Container,
    image: &Image,
    found: Found,
    stdio: Stdio<'_>,
) -> Result<Prepared, StartFailure> {
    let root = Root(found.root.mount.as_fd());
    let identity = resolve_identity(context, container, image, &root)?;
    let targets: Vec<&str> = found.binds.iter().map(|bind| bind.target.as_str()).collect();
    let working_directory = working_directory(container, image)?;
    for name in ["/proc", "/sys", "/dev"] {
        root.make_real_directory(name).map_err(|error| {
            failure(StartStage::Create, format!("{name} of the image must be a directory, not a link: {error}"))
        })?;
    }
    for (index, bind) in found.binds.iter().enumerate() {
        if on_root(&bind.target, targets.get(..index).unwrap_or_default()) {
            root.make_mount_point(&bind.target, bind.shape).map_err(|error| {
                failure(
                    StartStage::Create,
                    format!("mount point \"{}\" cannot be made in the image: {error}", bind.target),
                )
            })?;
        }
    }
    if on_root(&working_directory, &targets) && !targets.contains(&working_directory.as_str()) {
        root.make_mount_point(&working_directory, Shape::Directory).map_err(|error| {
            failure(StartStage::Run, format!("workingDir \"{working_directory}\" cannot be made in the image: {error}"))
        })?;
    }
    let program =
        find_program(&found.variables, found.words, &identity, &working_directory, &targets, container.tty, &root)?;
    let environment = keep_environment(container, &program.environment, &found.secrets)?;
    let cgroup = Cgroup::of_container(context.uid(), &container.name);
    let inputs = Inputs {
        root_about: found.root.about.clone(),
        terminal: stdio.terminals.is_some(),
        own_stdio: own_stdio(&stdio.ends, &identity),
        ..container_inputs(
            context,
            container,
            &cgroup,
            found.binds,
            found.user_targets,
            working_directory,
            identity.clone(),
            program,
        )?
    };
    let plan = crate::plan::container::plan(inputs);
    cgroup.create_fresh().map_err(create("the container's cgroup cannot be made"))?;
    cgroup.limit(&resources::of_container(context.pod, container)).map_err(create("the cgroup refuses its limits"))?;
    cgroup.kill_together();
    device::restrict_container(context.pod, container, &cgroup)
        .map_err(create("the container's cgroup refuses its device rules"))?;
    let entrance = cgroup.entrance().map_err(create("the container's cgroup cannot be opened"))?;
    let copy =
        |descriptor: BorrowedFd<'_>| descriptor.try_clone_to_owned().map_err(create("a descriptor cannot be copied"));
    let mut held = vec![found.root.mount];
    held.extend(stdio.terminals.map(copy).transpose()?);
    let mut behind = (FIRST_DESCRIPTOR..).skip(entrance.tasks.len() + held.len());
    let (sandbox_at, target_at) = (behind.next(), behind.next());
    let mut descriptors = Vec::new();
    for (descriptor, number) in stdio.ends.into_iter().zip(0..) {
        descriptors.push((copy(descriptor)?, number));
    }
    let mut prepared = assemble(plan, entrance, held, descriptors, &found.secrets, &identity, context.trace)?;
    prepared.environment = environment;
    prepared.sandbox_at = sandbox_at;
    prepared.target_at = target_at.filter(|_| super::target_of(context.pod, &container.name).is_some());
    if found.root.in_memory {
        prepared.notices.push(format!(
            "the file system of {} cannot hold a container's writable layer; it is in memory, at most {}",
            context.paths.state.display(),
            rootfs::TMPFS_SIZE
        ));
    }
    Ok(prepared)
}

/// The numbers of the instances of a container of which something lies on the disk.
pub fn instances(context: &PodContext<'_>, container: &str) -> Vec<u32> {
    let of_instance = context.paths.container_state(context.uid(), container, 0);
    let listing = of_instance.parent().and_then(|directory| fs::read_dir(directory).ok());
    listing.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The layer that an ended instance has written, of which another can be made that sees it; none when it is gone.
pub fn layer_left(context: &PodContext<'_>, container: &str, attempt: u32) -> Option<PathBuf> {
    rootfs::layer_left(&context.paths.container_state(context.uid(), container, attempt))
}

/// Takes away what an ended instance leaves: its writable layer, termination-log file, mounts.
pub fn remove_instance(context: &PodContext<'_>, container: &str, attempt: u32) -> io::Result<()> {
    let _ = fs::remove_file(context.termination_log(container, attempt));
    rootfs::remove(&context.paths.container_state(context.uid(), container, attempt))
}
