//! A further process in a running container: `exec`, probes and hooks by command.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use k8s_openapi::api::core::v1::Container;

use super::super::cgroup::Cgroup;
use super::super::machine::Machine;
use super::super::process;
use super::super::resolve::Root;
use super::inputs::{
    cgroup_view, credentials, find_program, kept_environment, own_stdio, resolve_identity, variables, working_directory,
};
use super::{PodContext, Prepared, StartFailure, assemble, create, failure};
use crate::image::Image;
use crate::plan::container::{CgroupView, PidNamespace};
use crate::plan::{Namespace, Text, exec, resources};
use crate::pod::input::StartStage;

/// What is asked for, and what it gets.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// The command, not empty.
    pub command: &'a [String],
    /// The descriptors are a terminal: it becomes the controlling one, and the command is told so by `TERM`.
    pub tty: bool,
    /// stdin, stdout and stderr.
    pub stdio: [BorrowedFd<'a>; 3],
    /// [`Prepared::environment`] of the container's start, where it had one.
    pub environment: Option<BorrowedFd<'a>>,
}

/// A further process in a running container, whose first process is `init` (a pidfd).
pub fn prepare_exec(
    context: &PodContext<'_>,
    container: &Container,
    image: &Image,
    init: BorrowedFd<'_>,
    session: &Session<'_>,
) -> Result<Prepared, StartFailure> {
    let Session { command, tty, stdio, environment } = *session;
    let run = |error: io::Error| failure(StartStage::Run, format!("the container's root cannot be opened: {error}"));
    let (mut variables, secrets) = match environment {
        Some(kept) => kept_environment(kept)?,
        None => variables(context, container, image)?,
    };
    if tty {
        variables.replace("TERM", "xterm");
    }
    // The root as the container sees it now, through the pidfd's process; only looked at, never entered.
    let pid = process::pid_of(init).map_err(run)?;
    let root = fs::File::open(format!("/proc/{pid}/root")).map_err(run)?;
    process::still_alive(init).map_err(run)?;
    let root = Root(root.as_fd());
    let identity = resolve_identity(context, container, image, &root)?;
    let working_directory = working_directory(container, image)?;
    let words: Vec<Text> = command.iter().map(|word| Text::from(word.as_str())).collect();
    let program = find_program(&variables, words, &identity, &working_directory, &[], Some(tty), &root)?;
    let cgroup = Cgroup::of_container(context.uid(), &container.name);
    let spec = context.spec();
    let mut join = spec.of_sandbox();
    join.push(Namespace::Mount);
    if cgroup_view(&cgroup) == CgroupView::Unified {
        join.push(Namespace::Cgroup);
    }
    if spec.pid() != PidNamespace::Host {
        join.push(Namespace::Pid);
    }
    let machine = Machine::get();
    let plan = exec::plan(exec::Inputs {
        name: container.name.clone(),
        cgroups: cgroup.hierarchies(),
        oom_score: resources::oom_score(context.pod, container, machine.memory),
        join,
        working_directory,
        open_files: machine.open_files.map(|limit| (limit, limit)),
        own_stdio: own_stdio(&stdio, &identity),
        credentials: credentials(context, container, identity.clone())?,
        program,
    });
    let entrance = cgroup.entrance().map_err(create("the container's cgroup cannot be opened"))?;
    let copy =
        |descriptor: BorrowedFd<'_>| descriptor.try_clone_to_owned().map_err(create("a descriptor cannot be copied"));
    let held = vec![copy(init)?];
    let mut descriptors = Vec::new();
    for (descriptor, number) in stdio.into_iter().zip(0..) {
        descriptors.push((copy(descriptor)?, number));
    }
    assemble(plan, entrance, held, descriptors, &secrets, &identity, false)
}
