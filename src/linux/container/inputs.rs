//! What a plan needs to know of a container: its environment, user, capabilities and filter, working directory, program. All
//! of it is found out by reading; nothing is made here.

use std::fs;
use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use k8s_openapi::api::core::v1::Container;

use super::super::cgroup::{Cgroup, Layout};
use super::super::machine::Machine;
use super::super::program::{self, Files};
use super::super::resolve::is_pipe_or_terminal;
use super::{PodContext, SeccompDefault, StartFailure, create, failure};
use crate::image::Image;
use crate::plan::container::{Bind, CgroupView, Inputs};
use crate::plan::credentials::{Credentials, Process, Program};
use crate::plan::environment::{self, Surroundings, Variables};
use crate::plan::expansion::{Room, expand};
use crate::plan::identity::{self, Identity};
use crate::plan::paths::clean;
use crate::plan::security::{self, Seccomp};
use crate::plan::{Secrets, Text, command, resources};
use crate::pod::input::StartStage;

/// The environment, and the values of Secrets in it.
pub(super) fn variables(
    context: &PodContext<'_>,
    container: &Container,
    image: &Image,
) -> Result<(Variables, Secrets), StartFailure> {
    let machine = Machine::get();
    let names = context.names().map_err(|message| failure(StartStage::Config, message))?;
    let status = context.pod.status.as_ref();
    let storage = || {
        let found = nix::sys::statvfs::statvfs(&context.paths.state).ok()?;
        i64::try_from(found.blocks().checked_mul(found.fragment_size())?).ok()
    };
    let surroundings = Surroundings {
        pod: context.pod,
        objects: context.objects,
        hostname: &names.kernel,
        node_name: &machine.hostname,
        host_ip: status.and_then(|status| status.host_ip.as_deref()).or(Some("127.0.0.1")),
        machine: environment::Machine {
            cpu_milli: machine.cpu_milli,
            memory: i64::try_from(machine.memory).unwrap_or(i64::MAX),
            storage: if mentions_storage(container) { storage().unwrap_or(0) } else { 0 },
        },
        image: &image.config.env,
    };
    let mut secrets = Secrets::default();
    let variables = environment::build(&surroundings, container, &mut secrets)
        .map_err(|message| failure(StartStage::Config, message))?;
    Ok((variables, secrets))
}

/// Keeps the environment of a start for `exec`, which sees what the container was started with, whatever has become of the
/// objects that it was made of. In memory, since Secrets may be in it.
pub(super) fn keep_environment(
    container: &Container,
    lines: &[Text],
    secrets: &Secrets,
) -> Result<Option<OwnedFd>, StartFailure> {
    if !environment::may_change(container) {
        return Ok(None);
    }
    let failed = create("the container's environment cannot be kept");
    let memory = nix::sys::memfd::memfd_create(c"podlet environment", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)
        .map_err(|errno| failed(errno.into()))?;
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend(line.reveal(secrets));
        bytes.push(0);
    }
    let mut file = fs::File::from(memory);
    file.write_all(&bytes).map_err(&failed)?;
    Ok(Some(file.into()))
}

/// The environment that [`keep_environment`] kept.
pub(super) fn kept_environment(kept: BorrowedFd<'_>) -> Result<(Variables, Secrets), StartFailure> {
    let failed = create("the container's environment cannot be read");
    let file = fs::File::from(kept.try_clone_to_owned().map_err(&failed)?);
    let length = file.metadata().map_err(&failed)?.len();
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    // By place: the position is shared with whoever else has it.
    file.read_exact_at(&mut bytes, 0).map_err(&failed)?;
    let mut secrets = Secrets::default();
    let variables = Variables::of_start(&bytes, &mut secrets);
    Ok((variables, secrets))
}

pub(super) fn mentions_storage(container: &Container) -> bool {
    let sources = container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref());
    sources.filter_map(|source| source.resource_field_ref.as_ref()).any(|r| r.resource.ends_with("ephemeral-storage"))
}

/// Which capabilities and filter a container gets.
pub(super) fn credentials(
    context: &PodContext<'_>,
    container: &Container,
    identity: Identity,
) -> Result<Credentials, StartFailure> {
    let available = Machine::get().capabilities;
    let silent = match context.seccomp_default {
        SeccompDefault::RuntimeDefault => Seccomp::RuntimeDefault,
        SeccompDefault::Unconfined => Seccomp::Unconfined,
    };
    let seccomp = match security::seccomp(context.pod, container, silent) {
        Seccomp::RuntimeDefault => true,
        Seccomp::Unconfined => false,
        Seccomp::Localhost(profile) => {
            let message = format!("seccomp profile \"{profile}\": podlet does not load profiles from files yet");
            return Err(failure(StartStage::Create, message));
        }
    };
    Ok(Credentials {
        identity,
        capabilities: security::capabilities(container, available),
        available,
        seccomp,
        no_new_privileges: security::no_new_privileges(container),
    })
}

/// The image's user database, read within the image.
pub(super) fn resolve_identity(
    context: &PodContext<'_>,
    container: &Container,
    image: &Image,
    files: &dyn Files,
) -> Result<Identity, StartFailure> {
    let user = image.config.user.as_deref();
    identity::check_non_root(context.pod, container, user).map_err(|text| failure(StartStage::Config, text))?;
    let failed = create("the image's users cannot be read");
    let passwd = files.text("/etc/passwd").map_err(&failed)?;
    let group = files.text("/etc/group").map_err(&failed)?;
    identity::resolve(context.pod, container, user, &passwd, &group).map_err(|text| failure(StartStage::Create, text))
}

pub(super) fn working_directory(container: &Container, image: &Image) -> Result<String, StartFailure> {
    let given = container.working_dir.as_deref().filter(|path| !path.is_empty());
    let path = given.or(image.config.working_dir.as_deref().filter(|path| !path.is_empty())).unwrap_or("/");
    if !path.starts_with('/') {
        let message = format!("workingDir \"{path}\" is relative; a container's working directory must start with /");
        return Err(failure(StartStage::Create, message));
    }
    Ok(clean(path))
}

/// The arguments, expanded, and where the program is sought.
pub(super) fn arguments(
    container: &Container,
    image: &Image,
    variables: &Variables,
    secrets: &Secrets,
) -> Result<Vec<Text>, StartFailure> {
    let mut room = Room::default();
    let expand = |word: &str| expand(word, |name| variables.for_expansion(name), secrets, &mut room);
    let words = command::arguments(container, &image.config.entrypoint, &image.config.cmd, expand);
    words.map_err(|text| failure(StartStage::Create, text))?.ok_or_else(|| {
        failure(StartStage::Create, "no command specified: neither the manifest nor the image names one")
    })
}

pub(super) fn cgroup_view(cgroup: &Cgroup) -> CgroupView {
    if Layout::of_machine().is_unified() {
        return CgroupView::Unified;
    }
    let controllers: Vec<(String, String)> = ["cpu", "memory"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), cgroup.directory(name)?.display().to_string())))
        .collect();
    if controllers.is_empty() { CgroupView::Absent } else { CgroupView::Controllers(controllers) }
}

#[expect(clippy::too_many_arguments, reason = "each is a different thing; a struct would only rename them")]
pub(super) fn container_inputs(
    context: &PodContext<'_>,
    container: &Container,
    cgroup: &Cgroup,
    binds: Vec<Bind>,
    user_targets: Vec<String>,
    working_directory: String,
    identity: Identity,
    program: Program,
) -> Result<Inputs, StartFailure> {
    let machine = Machine::get();
    let unmasked = security::unmasked(container);
    let spec = context.spec();
    Ok(Inputs {
        name: container.name.clone(),
        cgroups: cgroup.hierarchies(),
        cgroup_view: cgroup_view(cgroup),
        oom_score: resources::oom_score(context.pod, container, machine.memory),
        join: spec.of_sandbox(),
        pid: spec.pid_of(&container.name),
        root_at: context.root_at().display().to_string(),
        root_about: String::new(),
        binds,
        user_targets,
        masked: if unmasked { Vec::new() } else { machine.masked.clone() },
        read_only: if unmasked { Vec::new() } else { machine.read_only.clone() },
        privileged: security::privileged(container),
        read_only_root: security::read_only_root(container),
        working_directory,
        open_files: machine.open_files.map(|limit| (limit, limit)),
        terminal: false,
        own_stdio: Vec::new(),
        credentials: credentials(context, container, identity)?,
        program,
    })
}

/// stdin, stdout and stderr that are podlet's pipes or terminals, to be given to another user than root: else it could not
/// open /dev/stdout.
pub(super) fn own_stdio(stdio: &[BorrowedFd<'_>; 3], identity: &Identity) -> Vec<u32> {
    if identity.uid == 0 {
        return Vec::new();
    }
    let is_ours = |descriptor: &BorrowedFd<'_>| {
        let copy = descriptor.try_clone_to_owned().map(fs::File::from);
        copy.and_then(|file| file.metadata()).is_ok_and(|metadata| is_pipe_or_terminal(&metadata))
    };
    stdio.iter().zip(0..).filter(|(descriptor, _)| is_ours(descriptor)).map(|(_, number)| number).collect()
}

/// Where a program without a slash in its name is sought.
pub(super) fn search_path(variables: &Variables) -> &str {
    variables.get("PATH").and_then(Text::plain).unwrap_or(environment::DEFAULT_PATH)
}

pub(super) fn find_program(
    variables: &Variables,
    words: Vec<Text>,
    identity: &Identity,
    working_directory: &str,
    mounts: &[&str],
    terminal: Option<bool>,
    files: &dyn Files,
) -> Result<Program, StartFailure> {
    let path = search_path(variables);
    let command = words.first().map(ToString::to_string).unwrap_or_default();
    let candidates = program::candidates(&command, path, working_directory, identity, mounts, files)
        .map_err(|message| failure(StartStage::Run, message))?;
    let mut variables = variables.clone();
    variables.set_default("HOME", &identity.home);
    Ok(Program {
        candidates,
        arguments: words,
        environment: variables.lines(),
        terminal: terminal == Some(true),
        process: Process::This,
    })
}
