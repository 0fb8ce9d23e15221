//! A further process in a running container: `exec`, probes and hooks by command.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

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
use super::{PodContext, Prepared, StartFailure, assemble, create, failure};
use crate::image::Image;
use crate::plan::container::{CgroupView, PidNamespace};
use crate::plan::identity::Identity;
use crate::plan::{Namespace, Plan, Secrets, Text, exec, resources};
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
    Found::of(context, container, image, init, session, false)?.prepare(init, session.stdio)
}

/// A process that runs a command each time that it is asked to ([`crate::plan::Step::ForkForEach`]), with all that was found out
/// for it; the command as [`Session`] has it.
pub fn prepare_zygote(
    context: &PodContext<'_>,
    container: &Container,
    image: &Image,
    init: BorrowedFd<'_>,
    command: &[String],
    environment: Option<BorrowedFd<'_>>,
) -> Result<(Prepared, Command), StartFailure> {
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null").map_err(create("/dev/null"))?;
    let session = Session { command, tty: false, stdio: [null.as_fd(); 3], environment };
    let mut found = Found::of(context, container, image, init, &session, true)?;
    let (search, identity) = (found.search.take(), found.identity.clone());
    let prepared = found.prepare(init, session.stdio)?;
    Ok((prepared, Command { search, identity }))
}

/// What is left to be looked at for each run of a command that is run again and again.
#[derive(Debug)]
pub struct Command {
    search: Option<Search>,
    identity: Identity,
}

/// Where a command without a slash in its name was found, and by what.
#[derive(Debug)]
struct Search {
    root: fs::File,
    name: String,
    path: String,
    working_directory: String,
    found: Vec<String>,
}

impl Command {
    /// Whether its program is found where it was: `PATH` is searched each time that a command is run.
    pub fn is_found_again(&self) -> bool {
        self.search.as_ref().is_none_or(|search| {
            let Search { root, name, path, working_directory, found } = search;
            let root = Root(root.as_fd());
            program::candidates(name, path, working_directory, &self.identity, &[], &root).as_ref() == Ok(found)
        })
    }

    /// Gives pipes to its user, if that is another than root: else it could not open /dev/stdout.
    pub fn own(&self, pipes: &[OwnedFd; 2]) -> io::Result<()> {
        let Identity { uid, gid, .. } = self.identity;
        for pipe in pipes.iter().filter(|_| uid != 0) {
            std::os::unix::fs::fchown(pipe, Some(uid), Some(gid))?;
        }
        Ok(())
    }
}

/// What was found out for a command.
struct Found {
    plan: Plan,
    entrance: Entrance,
    secrets: Secrets,
    identity: Identity,
    search: Option<Search>,
}

impl Found {
    fn of(
        context: &PodContext<'_>,
        container: &Container,
        image: &Image,
        init: BorrowedFd<'_>,
        session: &Session<'_>,
        again: bool,
    ) -> Result<Found, StartFailure> {
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
        let pid = process::pid_of(init).map_err(run)?;
        let root = fs::File::open(format!("/proc/{pid}/root")).map_err(run)?;
        process::still_alive(init).map_err(run)?;
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
            again,
        });
        let entrance = cgroup.entrance().map_err(create("the container's cgroup cannot be opened"))?;
        Ok(Found { plan, entrance, secrets, identity, search })
    }

    fn prepare(self, init: BorrowedFd<'_>, stdio: [BorrowedFd<'_>; 3]) -> Result<Prepared, StartFailure> {
        let copy = |descriptor: BorrowedFd<'_>| {
            descriptor.try_clone_to_owned().map_err(create("a descriptor cannot be copied"))
        };
        let held = vec![copy(init)?];
        let mut descriptors = Vec::new();
        for (descriptor, number) in stdio.into_iter().zip(0..) {
            descriptors.push((copy(descriptor)?, number));
        }
        assemble(self.plan, self.entrance, held, descriptors, &self.secrets, &self.identity, false)
    }
}
