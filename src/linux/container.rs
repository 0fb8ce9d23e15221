//! From a container of a Pod to what the keeper is asked for: finds out all that the plan needs, compiles the plan, makes
//! the descriptors that it uses, lowers it to the stage's table. The supervisor calls it; it never decides about lives.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use nix::mount::{MntFlags, umount2};

use super::call::{self, EncodeError};
use super::cgroup::{Cgroup, Layout};
use super::lower::{LowerError, clone_flag};
use super::machine::Machine;
use super::program::{self, Files};
use super::resolve::{Root, is_pipe_or_terminal, shape_of};
use super::rootfs;
use crate::image::Image;
use crate::network;
use crate::paths::Paths;
use crate::plan::container::{Bind, CgroupView, Inputs, PidNamespace, on_root};
use crate::plan::credentials::{Credentials, Program};
pub use crate::plan::environment::Objects;
use crate::plan::environment::{self, Surroundings, Variables};
use crate::plan::identity::{self, Identity};
use crate::plan::paths::{clean, depth};
use crate::plan::security::{self, Seccomp};
use crate::plan::{
    Capabilities, FIRST_DESCRIPTOR, MountFlags, Namespace, Plan, Propagation, Secrets, Shape, Text, exec, resources,
    sandbox,
};
use crate::pod::input::{LinuxUser, StartStage};
use crate::volume;

/// What the filter is for a container whose manifest names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum SeccompDefault {
    /// As a kubelet with `seccompDefault: true`.
    #[default]
    RuntimeDefault,
    /// As a plain kubelet.
    Unconfined,
}

/// What is the same for all processes of one pod.
pub struct PodContext<'a> {
    /// Defaulted, with uid.
    pub pod: &'a Pod,
    /// Roots on disk.
    pub paths: &'a Paths,
    /// For a silent manifest.
    pub seccomp_default: SeccompDefault,
    /// ConfigMaps and Secrets.
    pub objects: &'a dyn Objects,
}

/// A process that is ready to be asked for.
#[derive(Debug)]
pub struct Prepared {
    /// The steps, for `plan`, `--trace` and messages.
    pub plan: Plan,
    /// The stage's table, lowered from the plan. The stage writes results into it.
    pub table: OwnedFd,
    /// Further descriptors and the numbers that the table expects them at.
    pub descriptors: Vec<(OwnedFd, u32)>,
    /// For [`super::keeper::Spawn`].
    pub clone_flags: u64,
    /// For [`super::keeper::Spawn`].
    pub second: bool,
    /// As whom it runs.
    pub user: LinuxUser,
    /// What a user should know, a line each; empty as a rule.
    pub notices: Vec<String>,
}

/// Why nothing can be started, at which stage, in the kubelet's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StartFailure {
    /// Decides the waiting reason.
    pub stage: StartStage,
    /// For the user.
    pub message: String,
}

/// A failure at a stage.
fn failure(stage: StartStage, message: impl Into<String>) -> StartFailure {
    StartFailure { stage, message: message.into() }
}

/// A failure of podlet's own work, named by what it was about.
fn create(what: &str) -> impl Fn(io::Error) -> StartFailure + '_ {
    move |error| failure(StartStage::Create, format!("{what}: {error}"))
}

impl From<LowerError> for StartFailure {
    fn from(error: LowerError) -> StartFailure {
        failure(StartStage::Create, error.to_string())
    }
}

impl From<EncodeError> for StartFailure {
    fn from(error: EncodeError) -> StartFailure {
        failure(StartStage::Create, error.to_string())
    }
}

impl PodContext<'_> {
    fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    fn spec(&self) -> PodSpecView<'_> {
        PodSpecView(self.pod.spec.as_ref())
    }

    fn names(&self) -> Result<network::Names, String> {
        network::names(self.pod, &Machine::get().hostname)
    }

    /// The files that containers of the pod share: hosts, hostname, resolv.conf, termination logs.
    fn files(&self) -> PathBuf {
        self.paths.pod_state(self.uid()).join("etc")
    }

    fn shm(&self) -> PathBuf {
        self.paths.pod_state(self.uid()).join("shm")
    }

    /// An empty directory: where a root file system is attached before it becomes the root.
    fn root_at(&self) -> PathBuf {
        self.paths.pod_state(self.uid()).join("root")
    }

    /// The file behind a container's `terminationMessagePath`.
    pub fn termination_log(&self, container: &str, attempt: u32) -> PathBuf {
        self.files().join(format!("{container}.{attempt}.termination-log"))
    }
}

/// Short questions to a spec that may be absent.
struct PodSpecView<'a>(Option<&'a PodSpec>);

impl PodSpecView<'_> {
    fn host_network(&self) -> bool {
        self.0.and_then(|spec| spec.host_network) == Some(true)
    }

    fn host_ipc(&self) -> bool {
        self.0.and_then(|spec| spec.host_ipc) == Some(true)
    }

    fn pid(&self) -> PidNamespace {
        if self.0.and_then(|spec| spec.host_pid) == Some(true) {
            PidNamespace::Host
        } else if self.0.and_then(|spec| spec.share_process_namespace) == Some(true) {
            PidNamespace::Sandbox
        } else {
            PidNamespace::Own
        }
    }

    /// The namespaces that pause keeps for the pod and containers join.
    fn of_sandbox(&self) -> Vec<Namespace> {
        let mut namespaces = Vec::new();
        if !self.host_network() {
            namespaces.extend([Namespace::Network, Namespace::Uts]);
        }
        if !self.host_ipc() {
            namespaces.push(Namespace::Ipc);
        }
        namespaces
    }
}

/// Makes the pod's cgroups with its limits, its directories, /dev/shm and volumes. Called once a pod, and again (finding all
/// in place) by a supervisor that takes over. The message is for the event FailedMount or FailedCreatePodContainer.
pub fn prepare_pod(context: &PodContext<'_>) -> Result<Cgroup, StartFailure> {
    let uid = context.uid();
    let cgroup = Cgroup::of_pod(uid);
    cgroup.create().map_err(create("the pod's cgroup cannot be made"))?;
    cgroup.limit(&resources::of_pod(context.pod)).map_err(create("the pod's cgroup refuses its limits"))?;
    super::device::restrict(context.pod, &cgroup).map_err(create("the pod's cgroup refuses its device rules"))?;
    rootfs::make_directory(&context.root_at(), 0o700).map_err(create("the pod's directory cannot be made"))?;
    // Containers write to these files: a small file system of their own bounds what they can fill (CVE-2020-8557).
    let files = context.files();
    rootfs::make_directory(&files, 0o755).map_err(create("the pod's directory cannot be made"))?;
    volume::tmpfs(&files, "mode=0755,size=1m").map_err(create("the pod's /etc files cannot be mounted"))?;
    write_files(context)?;
    if !context.spec().host_ipc() {
        let shm = context.shm();
        rootfs::make_directory(&shm, 0o777).map_err(create("the pod's /dev/shm cannot be made"))?;
        volume::tmpfs(&shm, "mode=1777,size=67108864").map_err(create("the pod's /dev/shm cannot be mounted"))?;
    }
    volume::prepare(context.paths, context.pod, context.objects, Machine::get().memory)
        .map_err(|message| failure(StartStage::Config, message))?;
    Ok(cgroup)
}

/// A file of podlet's own that containers see; rewritten in place, so that those which have it mounted see the change.
fn write_file(path: &std::path::Path, text: &str, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

fn write_files(context: &PodContext<'_>) -> Result<(), StartFailure> {
    let names = context.names().map_err(|message| failure(StartStage::Config, message))?;
    let files = context.files();
    let failed = create("the pod's /etc files cannot be written");
    write_file(&files.join("hostname"), &format!("{}\n", names.kernel), 0o644).map_err(&failed)?;
    let machine = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let behind = fs::read_to_string(network::BEHIND_THE_STUB).ok();
    let resolver = network::resolver(context.pod, &machine, behind.as_deref());
    write_file(&files.join("resolv.conf"), &resolver.text, 0o644).map_err(&failed)
}

/// Written at each container start, as a kubelet does: what a container changed in it is lost.
fn write_hosts(context: &PodContext<'_>, names: &network::Names) -> io::Result<()> {
    let machine = if context.spec().host_network() {
        fs::read_to_string("/etc/hosts").unwrap_or_default()
    } else {
        String::new()
    };
    let status = context.pod.status.as_ref();
    let addresses: Vec<String> =
        status.iter().flat_map(|status| status.pod_ips.iter().flatten()).map(|ip| ip.ip.clone()).collect();
    write_file(&context.files().join("hosts"), &network::hosts(context.pod, names, &addresses, &machine), 0o644)
}

/// What a user should know of the pod's name resolution and cgroups, a line each.
pub fn notices(context: &PodContext<'_>) -> Vec<String> {
    let machine = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let behind = fs::read_to_string(network::BEHIND_THE_STUB).ok();
    let mut notices = network::resolver(context.pod, &machine, behind.as_deref()).notices;
    notices.extend(Layout::of_machine().notices.iter().cloned());
    notices
}

/// The pause process in new network, IPC and UTS namespaces (those that the pod does not share with the machine).
pub fn prepare_sandbox(context: &PodContext<'_>) -> Result<Prepared, StartFailure> {
    let cgroup = Cgroup::of_pause(context.uid());
    let plan = sandbox_plan(context, cgroup.hierarchies())?;
    cgroup.create_fresh().map_err(create("the sandbox's cgroup cannot be made"))?;
    let mut held = cgroup.procs().map_err(create("the sandbox's cgroup cannot be opened"))?;
    held.push(
        super::programs::Program::Pause
            .open(&context.paths.state.join("programs"))
            .map_err(create("the pause program cannot be made ready"))?,
    );
    let null = || fs::OpenOptions::new().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    let mut descriptors = Vec::new();
    for number in 0..3 {
        descriptors.push((null().map_err(create("/dev/null"))?, number));
    }
    let identity = pause_identity();
    assemble(plan, held, descriptors, &Secrets::default(), &identity)
}

/// pause's user, as in the usual pause image: nobody's.
fn pause_identity() -> Identity {
    const NOBODY: u32 = 65_535;
    Identity { uid: NOBODY, gid: NOBODY, groups: Vec::new(), home: "/".into() }
}

fn sandbox_plan(context: &PodContext<'_>, cgroups: Vec<String>) -> Result<Plan, StartFailure> {
    let spec = context.spec();
    let mut new_namespaces = spec.of_sandbox();
    if spec.pid() == PidNamespace::Sandbox {
        new_namespaces.extend([Namespace::Pid, Namespace::Mount]);
    }
    let names = context.names().map_err(|message| failure(StartStage::Config, message))?;
    let credentials = Credentials {
        identity: pause_identity(),
        capabilities: Capabilities::default(),
        available: Machine::get().capabilities,
        seccomp: true,
        no_new_privileges: true,
    };
    Ok(sandbox::plan(&sandbox::Inputs {
        new_namespaces,
        cgroups,
        hostname: (!spec.host_network()).then_some(names.kernel),
        root_at: context.root_at().display().to_string(),
        credentials,
    }))
}

/// Lowers a plan and puts everything together. `held` are the plan's descriptors, in its order.
fn assemble(
    plan: Plan,
    held: Vec<OwnedFd>,
    mut descriptors: Vec<(OwnedFd, u32)>,
    secrets: &Secrets,
    identity: &Identity,
) -> Result<Prepared, StartFailure> {
    let calls = plan.calls()?;
    let bytes = call::encode(&calls, secrets, false)?;
    let failed = create("the stage's table cannot be made");
    let table = nix::sys::memfd::memfd_create(c"podlet table", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)
        .map_err(|errno| failed(errno.into()))?;
    let mut file = fs::File::from(table);
    file.write_all(&bytes).map_err(&failed)?;
    descriptors.extend(held.into_iter().zip(FIRST_DESCRIPTOR..));
    let clone_flags = plan.new_namespaces.iter().fold(0, |all, namespace| all | clone_flag(*namespace));
    let second = plan.steps.contains(&crate::plan::Step::CloneSecond);
    let user = LinuxUser {
        uid: identity.uid.into(),
        gid: identity.gid.into(),
        supplemental_groups: identity.groups.iter().map(|group| i64::from(*group)).collect(),
    };
    Ok(Prepared { plan, table: file.into(), descriptors, clone_flags, second, user, notices: Vec::new() })
}

/// The environment, and the values of Secrets in it.
fn variables(
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

fn mentions_storage(container: &Container) -> bool {
    let sources = container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref());
    sources.filter_map(|source| source.resource_field_ref.as_ref()).any(|r| r.resource.ends_with("ephemeral-storage"))
}

/// Which capabilities and filter a container gets.
fn credentials(
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
fn resolve_identity(
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

/// Everything that is mounted into a container besides kernel file systems: (in mount order, targets of the manifest).
fn binds(
    context: &PodContext<'_>,
    container: &Container,
    attempt: u32,
    image: &Image,
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
        let path = fs::canonicalize(&source.path).map_err(|error| {
            config(format!(
                "volume \"{}\" for \"{}\": {}: {error}",
                mount.name,
                mount.mount_path,
                source.path.display()
            ))
        })?;
        let found = fs::metadata(&path).map_err(create("a volume cannot be looked at"))?;
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
            ..plain(path, &mount.mount_path, shape_of(&found))
        };
        user_targets.push(bind.target.clone());
        mine.push(bind);
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

fn working_directory(container: &Container, image: &Image) -> Result<String, StartFailure> {
    let given = container.working_dir.as_deref().filter(|path| !path.is_empty());
    let path = given.or(image.config.working_dir.as_deref().filter(|path| !path.is_empty())).unwrap_or("/");
    if !path.starts_with('/') {
        let message = format!("workingDir \"{path}\" is relative; a container's working directory must start with /");
        return Err(failure(StartStage::Create, message));
    }
    Ok(clean(path))
}

/// The arguments, expanded, and where the program is sought.
fn arguments(container: &Container, image: &Image, variables: &Variables) -> Result<Vec<Text>, StartFailure> {
    let expand = |word: &str| crate::plan::expansion::expand(word, |name| variables.for_expansion(name));
    crate::plan::command::arguments(container, &image.config.entrypoint, &image.config.cmd, expand).ok_or_else(|| {
        failure(StartStage::Create, "no command specified: neither the manifest nor the image names one")
    })
}

fn cgroup_view(cgroup: &Cgroup) -> CgroupView {
    if Layout::of_machine().is_unified() {
        return CgroupView::Unified;
    }
    let controllers: Vec<(String, String)> = ["cpu", "memory"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), cgroup.directory(name)?.display().to_string())))
        .collect();
    if controllers.is_empty() { CgroupView::Absent } else { CgroupView::Controllers(controllers) }
}

/// One container instance. `stdio` are its ends of stdin (or /dev/null), stdout and stderr. `sandbox` is a pidfd of pause.
pub fn prepare_container(
    context: &PodContext<'_>,
    container: &Container,
    attempt: u32,
    image: &Image,
    sandbox: BorrowedFd<'_>,
    stdio: [BorrowedFd<'_>; 3],
) -> Result<(Prepared, Cgroup), StartFailure> {
    let (variables, secrets) = variables(context, container, image)?;
    identity::check_non_root(context.pod, container, image.config.user.as_deref())
        .map_err(|text| failure(StartStage::Config, text))?;
    let words = arguments(container, image, &variables)?;
    let names = context.names().map_err(|message| failure(StartStage::Config, message))?;
    write_hosts(context, &names).map_err(create("the pod's /etc/hosts cannot be written"))?;
    write_file(&context.termination_log(&container.name, attempt), "", 0o666)
        .map_err(create("the termination message file cannot be made"))?;
    let (binds, user_targets) = binds(context, container, attempt, image)?;
    let directory = context.paths.container_state(context.uid(), &container.name, attempt);
    let root = rootfs::build(&image.layers, &directory).map_err(create("the root file system cannot be made"))?;
    let result = finish_container(
        context,
        container,
        image,
        Found { variables, secrets, words, binds, user_targets, root },
        sandbox,
        stdio,
    );
    if result.is_err() {
        let _ = remove_instance(context, &container.name, attempt);
    }
    result
}

/// What [`prepare_container`] has found out before anything of the instance exists in the kernel but its root.
struct Found {
    variables: Variables,
    secrets: Secrets,
    words: Vec<Text>,
    binds: Vec<Bind>,
    user_targets: Vec<String>,
    root: rootfs::RootFs,
}

fn finish_container(
    context: &PodContext<'_>,
    container: &Container,
    image: &Image,
    found: Found,
    sandbox: BorrowedFd<'_>,
    stdio: [BorrowedFd<'_>; 3],
) -> Result<(Prepared, Cgroup), StartFailure> {
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
    let cgroup = Cgroup::of_container(context.uid(), &container.name);
    let inputs = Inputs {
        root_about: found.root.about.clone(),
        own_stdio: own_stdio(&stdio, &identity),
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
    super::device::restrict_container(context.pod, container, &cgroup)
        .map_err(create("the container's cgroup refuses its device rules"))?;
    let mut held = cgroup.procs().map_err(create("the container's cgroup cannot be opened"))?;
    let copy =
        |descriptor: BorrowedFd<'_>| descriptor.try_clone_to_owned().map_err(create("a descriptor cannot be copied"));
    held.push(found.root.mount);
    held.push(copy(sandbox)?);
    let mut descriptors = Vec::new();
    for (descriptor, number) in stdio.into_iter().zip(0..) {
        descriptors.push((copy(descriptor)?, number));
    }
    let mut prepared = assemble(plan, held, descriptors, &found.secrets, &identity)?;
    if found.root.in_memory {
        prepared.notices.push(format!(
            "the file system of {} cannot hold a container's writable layer; it is in memory, at most {}",
            context.paths.state.display(),
            rootfs::TMPFS_SIZE
        ));
    }
    Ok((prepared, cgroup))
}

#[expect(clippy::too_many_arguments, reason = "each is a different thing; a struct would only rename them")]
fn container_inputs(
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
        pid: spec.pid(),
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
        own_stdio: Vec::new(),
        credentials: credentials(context, container, identity)?,
        program,
    })
}

/// stdin, stdout and stderr that are podlet's pipes or terminals, to be given to another user than root: else it could not
/// open /dev/stdout.
fn own_stdio(stdio: &[BorrowedFd<'_>; 3], identity: &Identity) -> Vec<u32> {
    if identity.uid == 0 {
        return Vec::new();
    }
    let is_ours = |descriptor: &BorrowedFd<'_>| {
        let copy = descriptor.try_clone_to_owned().map(fs::File::from);
        copy.and_then(|file| file.metadata()).is_ok_and(|metadata| is_pipe_or_terminal(&metadata))
    };
    stdio.iter().zip(0..).filter(|(descriptor, _)| is_ours(descriptor)).map(|(_, number)| number).collect()
}

fn find_program(
    variables: &Variables,
    words: Vec<Text>,
    identity: &Identity,
    working_directory: &str,
    mounts: &[&str],
    terminal: Option<bool>,
    files: &dyn Files,
) -> Result<Program, StartFailure> {
    let path = variables.get("PATH").and_then(Text::plain).unwrap_or(environment::DEFAULT_PATH);
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
        second: false,
    })
}

/// A further process in a running container, whose first process is `init` (a pidfd).
#[expect(clippy::too_many_arguments, reason = "each is a different thing; a struct would only rename them")]
pub fn prepare_exec(
    context: &PodContext<'_>,
    container: &Container,
    attempt: u32,
    image: &Image,
    init: BorrowedFd<'_>,
    command: &[String],
    tty: bool,
    stdio: [BorrowedFd<'_>; 3],
) -> Result<Prepared, StartFailure> {
    let _ = attempt;
    let run = |error: io::Error| failure(StartStage::Run, format!("the container's root cannot be opened: {error}"));
    let (variables, secrets) = variables(context, container, image)?;
    // The root as the container sees it now, through the pidfd's process; only looked at, never entered.
    let pid = super::process::pid_of(init).map_err(run)?;
    let root = fs::File::open(format!("/proc/{pid}/root")).map_err(run)?;
    super::process::still_alive(init).map_err(run)?;
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
    let mut held = cgroup.procs().map_err(create("the container's cgroup cannot be opened"))?;
    let copy =
        |descriptor: BorrowedFd<'_>| descriptor.try_clone_to_owned().map_err(create("a descriptor cannot be copied"));
    held.push(copy(init)?);
    let mut descriptors = Vec::new();
    for (descriptor, number) in stdio.into_iter().zip(0..) {
        descriptors.push((copy(descriptor)?, number));
    }
    assemble(plan, held, descriptors, &secrets, &identity)
}

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
    let (binds, user_targets) = binds(context, container, 0, image)?;
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

/// The cgroup of a container that runs, for a supervisor that takes over.
pub fn container_cgroup(context: &PodContext<'_>, container: &str) -> Cgroup {
    Cgroup::of_container(context.uid(), container)
}

/// What a failed step of the stage means to a user: `exec: "x": executable file not found in $PATH`.
pub fn explain_failure(prepared: &Prepared, entry: u32, errno: i32) -> StartFailure {
    failure(StartStage::Run, program::explain(&prepared.plan, prepared.table.as_fd(), entry, errno))
}

/// Takes away what an ended instance leaves: its writable layer, termination-log file, mounts.
pub fn remove_instance(context: &PodContext<'_>, container: &str, attempt: u32) -> io::Result<()> {
    let _ = fs::remove_file(context.termination_log(container, attempt));
    rootfs::remove(&context.paths.container_state(context.uid(), container, attempt))
}

/// Takes away all that `prepare_pod` made and what instances left; called when nothing of the pod runs.
pub fn tear_down(context: &PodContext<'_>) -> io::Result<()> {
    let state = context.paths.pod_state(context.uid());
    let mut mounts = vec![context.files(), context.shm()];
    for volume in context.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        if volume.host_path.is_none()
            && let Ok(source) = volume::source(context.paths, context.uid(), volume)
        {
            mounts.push(source.path);
        }
    }
    for mount in mounts.iter().filter(|path| volume::is_mount_point(path)) {
        umount2(mount, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?;
    }
    if let Ok(containers) = fs::read_dir(state.join("containers")) {
        for instance in
            containers.flatten().flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten())
        {
            rootfs::remove(&instance.path())?;
        }
    }
    for name in ["containers", "volumes", "etc", "shm", "root"] {
        match fs::remove_dir_all(state.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Cgroup::of_pod(context.uid()).remove()
}

/// The environment of a container as a map, for `describe` of `podlet plan` and for expansion of exec probes' commands.
pub type Environment = BTreeMap<String, String>;

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
