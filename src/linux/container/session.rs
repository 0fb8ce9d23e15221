//! A further process in a running container: `exec`, probes and hooks by command.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Container;

use super::super::cgroup::{Cgroup, Entrance};
use super::super::machine::Machine;
use super::super::process;
use super::super::program;
use super::super::resolve::Root;
use super::inputs::{
    cgroup_view, credentials, find_program, kept_environment, own_stdio, resolve_identity, search_path, variables,
    working_directory,
};
use super::{PodContext, Prepared, StartFailure, Template, create, failure};
use crate::image::Image;
use crate::plan::container::{CgroupView, PidNamespace};
use crate::plan::identity::Identity;
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
    let copy = |descriptor: BorrowedFd<'_>| descriptor.try_clone_to_owned().map_err(create(NOT_COPIED));
    let [stdin, stdout, stderr] = session.stdio;
    let stdio = [copy(stdin)?, copy(stdout)?, copy(stderr)?].map(Arc::new);
    let surroundings = Surroundings::of(context, container, init)?;
    Command::new(context, container, image, &surroundings, session)?.prepare(stdio)
}

const NOT_COPIED: &str = "a descriptor cannot be copied";

/// What all commands in an instance of a container are put into.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// A pidfd of its first process.
    init: Arc<OwnedFd>,
    entrance: Entrance,
}

impl Surroundings {
    /// Of the instance whose first process is `init` (a pidfd).
    pub fn of(
        context: &PodContext<'_>,
        container: &Container,
        init: BorrowedFd<'_>,
    ) -> Result<Surroundings, StartFailure> {
        let cgroup = Cgroup::of_container(context.uid(), &container.name);
        let entrance = cgroup.entrance().map_err(create("the container's cgroup cannot be opened"))?;
        let init = init.try_clone_to_owned().map_err(create(NOT_COPIED))?;
        Ok(Surroundings { init: Arc::new(init), entrance })
    }
}

/// A command that is run again and again in an instance of a container, and what was found out for it: as long as container
/// and instance are these, only a look at its `PATH` is left to be done.
#[derive(Debug)]
pub struct Command {
    template: Template,
    /// Of a command that is sought in `PATH`.
    search: Option<Search>,
}

/// Where a command's program was found, and by what.
#[derive(Debug)]
struct Search {
    root: fs::File,
    name: String,
    path: String,
    working_directory: String,
    identity: Identity,
    found: Vec<String>,
}

impl Command {
    /// Finds out all that the session needs. Its stdio is only looked at.
    pub fn new(
        context: &PodContext<'_>,
        container: &Container,
        image: &Image,
        surroundings: &Surroundings,
        session: &Session<'_>,
    ) -> Result<Command, StartFailure> {
        let Surroundings { init, entrance } = surroundings.clone();
        let Session { command, tty, stdio, environment } = *session;
        let run =
            |error: io::Error| failure(StartStage::Run, format!("the container's root cannot be opened: {error}"));
        let (mut variables, secrets) = match environment {
            Some(kept) => kept_environment(kept)?,
            None => variables(context, container, image)?,
        };
        if tty {
            variables.replace("TERM", "xterm");
        }
        // The root as the container sees it now, through the pidfd's process; only looked at, never entered.
        let pid = process::pid_of(init.as_fd()).map_err(run)?;
        let root = fs::File::open(format!("/proc/{pid}/root")).map_err(run)?;
        process::still_alive(init.as_fd()).map_err(run)?;
        let files = Root(root.as_fd());
        let identity = resolve_identity(context, container, image, &files)?;
        let working_directory = working_directory(container, image)?;
        let words: Vec<Text> = command.iter().map(|word| Text::from(word.as_str())).collect();
        let program = find_program(&variables, words, &identity, &working_directory, &[], Some(tty), &files)?;
        let search = command.first().filter(|name| !name.contains('/')).map(|name| Search {
            root,
            name: name.clone(),
            path: search_path(&variables).to_owned(),
            working_directory: working_directory.clone(),
            identity: identity.clone(),
            found: program.candidates.clone(),
        });
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
        let template = Template::of(plan, entrance, vec![init], &secrets, &identity, false)?;
        Ok(Command { template, search })
    }

    /// Whether its program is found where it was: `PATH` is searched each time that a command is run.
    pub fn is_found_again(&self) -> bool {
        self.search.as_ref().is_none_or(|search| {
            let Search { root, name, path, working_directory, identity, found } = search;
            let again = program::candidates(name, path, working_directory, identity, &[], &Root(root.as_fd()));
            again.as_ref() == Ok(found)
        })
    }

    /// One run of it, with stdin, stdout and stderr of the kind that its session had.
    pub fn prepare(&self, stdio: [Arc<OwnedFd>; 3]) -> Result<Prepared, StartFailure> {
        self.template.prepare(stdio.into_iter().zip(0..).collect())
    }
}
