//! The plans of a pod without anything being made: what `podlet plan` shows.

use k8s_openapi::api::core::v1::Container;

use super::super::cgroup::Cgroup;
use super::super::{program, rootfs};
use super::inputs::{arguments, container_inputs, find_program, resolve_identity, variables, working_directory};
use super::mounts::{Volumes, binds};
use super::sandbox::sandbox_plan;
use super::{PodContext, StartFailure, failure};
use crate::image::Image;
use crate::plan::Plan;
use crate::plan::container::Inputs;
use crate::pod::input::StartStage;

/// The plans of a pod as they would be, for `podlet plan`: nothing is made or mounted, and no privilege is needed.
/// `images` are those of the init containers, then of the others, in order.
pub fn preview(context: &PodContext<'_>, images: &[Image]) -> Result<Vec<Plan>, StartFailure> {
    let hierarchies = Cgroup::of_pause(context.uid()).hierarchies();
    let mut plans = vec![sandbox_plan(context, hierarchies)?];
    let spec = context.pod.spec.iter();
    let init = spec.clone().flat_map(|spec| spec.init_containers.iter().flatten());
    for (container, image) in init.chain(spec.flat_map(|spec| &spec.containers)).zip(images) {
        plans.push(preview_container(context, container, 0, image, OwnStdio::Unknown)?);
    }
    Ok(plans)
}

/// What a failed step of a stage means to a user, for a supervisor that took over in the middle of a start and has no more
/// of it than the number of the call: the plan is made again, from what it was made from.
pub fn explain_failure_of(
    context: &PodContext<'_>,
    container: &Container,
    attempt: u32,
    image: &Image,
    entry: u32,
    errno: i32,
) -> StartFailure {
    let plan = preview_container(context, container, attempt, image, OwnStdio::Pipes);
    let message = match plan {
        Ok(plan) => program::explain(&plan, None, entry, errno),
        Err(_) => format!("call {entry} of its start failed: {}", std::io::Error::from_raw_os_error(errno)),
    };
    failure(StartStage::Run, message)
}

/// Whether stdin, stdout and stderr are podlet's own, to be given to another user than root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OwnStdio {
    /// A plan that is only shown says nothing of it.
    Unknown,
    /// Pipes, as a supervisor makes them.
    Pipes,
}

fn preview_container(
    context: &PodContext<'_>,
    container: &Container,
    attempt: u32,
    image: &Image,
    stdio: OwnStdio,
) -> Result<Plan, StartFailure> {
    let (variables, secrets) = variables(context, container, image)?;
    let words = arguments(container, image, &variables, &secrets)?;
    let layers = program::Layers(&image.layers);
    let identity = resolve_identity(context, container, image, &layers)?;
    let working_directory = working_directory(container, image)?;
    let (binds, user_targets) = binds(context, container, attempt, image, Volumes::Planned)?;
    let targets: Vec<&str> = binds.iter().map(|bind| bind.target.as_str()).collect();
    let program = find_program(&variables, words, &identity, &working_directory, &targets, container.tty, &layers)?;
    let cgroup = Cgroup::of_container(context.uid(), &container.name);
    let directory = context.paths.container_state(context.uid(), &container.name, attempt);
    let terminal = container.tty == Some(true);
    let own_stdio = match stdio {
        OwnStdio::Pipes if identity.uid != 0 && (container.stdin == Some(true) || terminal) => vec![0, 1, 2],
        OwnStdio::Pipes if identity.uid != 0 => vec![1, 2],
        _ => Vec::new(),
    };
    let inputs = Inputs {
        root_about: rootfs::about(image.layers.len() + 1, &directory),
        terminal,
        own_stdio,
        ..container_inputs(context, container, &cgroup, binds, user_targets, working_directory, identity, program)?
    };
    Ok(crate::plan::container::plan(inputs))
}
