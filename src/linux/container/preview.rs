//! The plans of a pod without anything being made: what `podlet plan` shows.

use k8s_openapi::api::core::v1::Container;

use super::super::cgroup::Cgroup;
use super::super::{program, rootfs};
use super::inputs::{arguments, container_inputs, find_program, resolve_identity, variables, working_directory};
use super::mounts::{Volumes, binds};
use super::sandbox::sandbox_plan;
use super::{PodContext, StartFailure};
use crate::image::Image;
use crate::plan::Plan;
use crate::plan::container::Inputs;

/// The plans of a pod as they would be, for `podlet plan`: nothing is made or mounted, and no privilege is needed.
/// `images` are those of the containers, in order.
pub fn preview(context: &PodContext<'_>, images: &[Image]) -> Result<Vec<Plan>, StartFailure> {
    let hierarchies = Cgroup::of_pause(context.uid()).hierarchies();
    let mut plans = vec![sandbox_plan(context, hierarchies)?];
    let containers = context.pod.spec.iter().flat_map(|spec| &spec.containers);
    for (container, image) in containers.zip(images) {
        plans.push(preview_container(context, container, image)?);
    }
    Ok(plans)
}

fn preview_container(context: &PodContext<'_>, container: &Container, image: &Image) -> Result<Plan, StartFailure> {
    let (variables, _) = variables(context, container, image)?;
    let words = arguments(container, image, &variables)?;
    let layers = program::Layers(&image.layers);
    let identity = resolve_identity(context, container, image, &layers)?;
    let working_directory = working_directory(container, image)?;
    let (binds, user_targets) = binds(context, container, 0, image, Volumes::Planned)?;
    let targets: Vec<&str> = binds.iter().map(|bind| bind.target.as_str()).collect();
    let program = find_program(&variables, words, &identity, &working_directory, &targets, container.tty, &layers)?;
    let cgroup = Cgroup::of_container(context.uid(), &container.name);
    let directory = context.paths.container_state(context.uid(), &container.name, 0);
    let inputs = Inputs {
        root_about: rootfs::about(image.layers.len(), &directory),
        ..container_inputs(context, container, &cgroup, binds, user_targets, working_directory, identity, program)?
    };
    Ok(crate::plan::container::plan(inputs))
}
