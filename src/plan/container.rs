//! The plan of one container instance: cgroups, the pod's namespaces, its own root file system, credentials, program.

use super::credentials::{self, Credentials, Process, Program};
use super::paths;
use super::{Descriptor, Held, MountFlags, Namespace, Plan, Propagation, Shape, Step, join_cgroups};

/// One thing of the machine that appears in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Where it is on the machine.
    pub source: String,
    /// Where it appears; clean.
    pub target: String,
    /// Set on top of what the source has.
    pub flags: MountFlags,
    /// With mounts below the source, and their flags too.
    pub recursive: bool,
    /// Flags count for the mounts below too (`recursiveReadOnly`).
    pub recursive_flags: bool,
    /// `mountPropagation`.
    pub propagation: Propagation,
    /// What its mount point must be.
    pub shape: Shape,
}

/// What is at /sys/fs/cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupView {
    /// cgroup v2 in a namespace of its own.
    Unified,
    /// cgroup v1: a directory with the container's cgroup of each controller (name, path on the machine).
    Controllers(Vec<(String, String)>),
    /// Nothing.
    Absent,
}

/// All that the plan needs and that was found out before.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The container's name.
    pub name: String,
    /// Hierarchies to be in; the descriptors of the v1 ones come first among those handed over.
    pub cgroups: Vec<String>,
    /// The view at /sys/fs/cgroup.
    pub cgroup_view: CgroupView,
    /// `oom_score_adj`.
    pub oom_score: i32,
    /// Namespaces of the sandbox to be entered.
    pub join: Vec<Namespace>,
    /// The PID namespace.
    pub pid: PidNamespace,
    /// Where the root file system is attached before it becomes the root.
    pub root_at: String,
    /// How the root file system was made, for readers.
    pub root_about: String,
    /// Everything mounted into it besides kernel file systems.
    pub binds: Vec<Bind>,
    /// Targets of `binds` that the manifest asked for; they replace defaults of the same path.
    pub user_targets: Vec<String>,
    /// Hidden paths that exist on this machine.
    pub masked: Vec<(String, Shape)>,
    /// Paths made read-only that exist on this machine.
    pub read_only: Vec<String>,
    /// `privileged: true`: /sys is writable, and every device of the machine is there.
    pub privileged: bool,
    /// `readOnlyRootFilesystem: true`.
    pub read_only_root: bool,
    /// Directory that the program starts in; clean.
    pub working_directory: String,
    /// `RLIMIT_NOFILE` soft and hard.
    pub open_files: Option<(u64, u64)>,
    /// `tty: true`: its terminals were made beforehand, and the first of them is the program's.
    pub terminal: bool,
    /// Which of 0, 1, 2 are podlet's pipes or a pty, to be given to the user.
    pub own_stdio: Vec<u32>,
    /// Credentials.
    pub credentials: Credentials,
    /// Program.
    pub program: Program,
}

/// Which PID namespace the program runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PidNamespace {
    /// A new one; the stage is its first process.
    Own,
    /// The sandbox's (`shareProcessNamespace`).
    Sandbox,
    /// The machine's (`hostPID`).
    Host,
    /// That of another container, which is to be looked at (`targetContainerName`).
    Target,
}

impl PidNamespace {
    /// The descriptor of whose namespace it is, where it is entered.
    fn of(self) -> Option<Descriptor> {
        match self {
            PidNamespace::Sandbox => Some(Descriptor::new("sandbox")),
            PidNamespace::Target => Some(Descriptor::new(TARGET)),
            PidNamespace::Own | PidNamespace::Host => None,
        }
    }
}

/// The first process of the container that another one looks at, among what is handed over.
const TARGET: &str = "target";

/// The devices that every container has: name, major, minor; all 0666.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// The links of /dev.
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// The devpts that a container's terminal is of, among what is handed over.
const TERMINALS: &str = "terminals";

/// Compiles the plan.
pub fn plan(inputs: Inputs) -> Plan {
    let mut steps = Vec::new();
    let mut descriptors = Vec::new();
    let into_cgroup = join_cgroups(&inputs.cgroups, "the container", &mut steps, &mut descriptors);
    descriptors.push(Held { name: "rootfs".into(), about: inputs.root_about.clone() });
    if inputs.terminal {
        descriptors.push(Held { name: TERMINALS.into(), about: "devpts of the container's own, detached".into() });
    }
    descriptors.push(Held { name: "sandbox".into(), about: "pidfd of the pod's pause process".into() });
    if inputs.pid == PidNamespace::Target {
        descriptors.push(Held { name: TARGET.into(), about: "pidfd of the target's first process".into() });
    }
    steps.push(Step::SetOomScore { score: inputs.oom_score });
    steps.push(Step::SetUndumpable);
    steps.push(Step::NewSessionKeyring);
    steps.push(Step::SetUmask { mask: 0 });
    let sandbox = Descriptor::new("sandbox");
    if !inputs.join.is_empty() {
        steps.push(Step::EnterNamespaces { of: sandbox, namespaces: inputs.join.clone() });
    }
    if inputs.cgroup_view == CgroupView::Unified {
        steps.push(Step::NewCgroupNamespace);
    }
    if let Some(of) = inputs.pid.of() {
        // /proc shows the PID namespace of whoever mounts it, and this process enters the other only at the very end: so the
        // mount is copied, from pause, whose own mount namespace holds nothing else, or from the container that is looked at.
        let own = Descriptor::new("own mount namespace");
        steps.push(Step::OpenMountNamespace { bind: own.clone() });
        steps.push(Step::EnterNamespaces { of, namespaces: vec![Namespace::Mount] });
        steps.push(Step::OpenTree {
            source: "/proc".into(),
            recursive: false,
            bind: Descriptor::new("proc of the pod"),
        });
        steps.push(Step::ReturnToMountNamespace { namespace: own });
    }
    let slave = inputs.binds.iter().any(|bind| bind.propagation == Propagation::Slave);
    steps.push(Step::SetPropagation { propagation: if slave { Propagation::Slave } else { Propagation::Private } });
    open_binds(&inputs, slave, &mut steps);
    if let CgroupView::Controllers(controllers) = &inputs.cgroup_view {
        for (name, source) in controllers {
            let bind = Descriptor::new(format!("cgroup {name}"));
            steps.push(Step::OpenTree { source: source.clone(), recursive: false, bind: bind.clone() });
            let mut flags = MountFlags::KERNEL;
            flags.read_only = !inputs.privileged;
            steps.push(Step::SetMountAttributes { tree: bind, flags, propagation: None, recursive: false });
        }
    }
    steps.push(Step::AttachRoot { tree: Descriptor::new("rootfs"), at: inputs.root_at.clone() });
    steps.push(Step::PivotRoot);
    kernel_file_systems(&inputs, &mut steps);
    attach_binds(&inputs, &mut steps);
    if inputs.read_only_root {
        steps.push(Step::SetRootReadOnly);
    }
    steps.extend(credentials::surroundings(&inputs.own_stdio, inputs.open_files, &inputs.credentials.identity));
    let targets: Vec<&str> = inputs.binds.iter().map(|bind| bind.target.as_str()).collect();
    let missing = nearest_above(&inputs.working_directory, &targets)
        .map_or_else(Vec::new, |above| paths::prefixes_below(&inputs.working_directory, above));
    steps.push(Step::ChangeDirectory { path: inputs.working_directory.clone(), missing });
    let mut program = inputs.program;
    if let Some(of) = inputs.pid.of() {
        steps.push(Step::EnterNamespaces { of, namespaces: vec![Namespace::Pid] });
        program.process = Process::Second;
    }
    steps.extend(credentials::steps(&inputs.credentials, program));
    let mut new_namespaces = vec![Namespace::Mount];
    if inputs.pid == PidNamespace::Own {
        new_namespaces.push(Namespace::Pid);
    }
    Plan { title: format!("container {}", inputs.name), new_namespaces, into_cgroup, descriptors, steps }
}

fn tree_name(bind: &Bind) -> Descriptor {
    Descriptor::new(format!("tree {}", bind.target))
}

fn open_binds(inputs: &Inputs, slave: bool, steps: &mut Vec<Step>) {
    for bind in &inputs.binds {
        let tree = tree_name(bind);
        steps.push(Step::OpenTree { source: bind.source.clone(), recursive: bind.recursive, bind: tree.clone() });
        // A copy is what its source is: private, unless some other volume needed the machine's mounts to come through.
        let propagation = (slave && bind.propagation == Propagation::Private).then_some(Propagation::Private);
        if bind.flags != MountFlags::default() {
            steps.push(Step::SetMountAttributes {
                tree: tree.clone(),
                flags: bind.flags,
                propagation: propagation.filter(|_| bind.recursive_flags),
                recursive: bind.recursive_flags,
            });
        }
        if propagation.is_some() && !(bind.flags != MountFlags::default() && bind.recursive_flags) {
            steps.push(Step::SetMountAttributes { tree, flags: MountFlags::default(), propagation, recursive: true });
        }
    }
}

/// Whether the manifest puts something of its own at this place.
fn replaced(inputs: &Inputs, target: &str) -> bool {
    inputs.user_targets.iter().any(|user| user == target || (user == "/dev" && paths::is_below(target, user)))
}

fn kernel_file_systems(inputs: &Inputs, steps: &mut Vec<Step>) {
    let mount = |kind: &str, target: &str, flags: MountFlags, options: &str| Step::Mount {
        kind: kind.into(),
        target: target.into(),
        flags,
        options: options.into(),
    };
    if !replaced(inputs, "/proc") {
        steps.push(match inputs.pid {
            PidNamespace::Sandbox | PidNamespace::Target => Step::Attach {
                tree: Descriptor::new("proc of the pod"),
                target: "/proc".into(),
                missing: Vec::new(),
                shape: Shape::Directory,
            },
            _ => mount("proc", "/proc", MountFlags::KERNEL, ""),
        });
    }
    let system = if inputs.privileged { MountFlags::KERNEL } else { MountFlags::KERNEL.and_read_only() };
    if !replaced(inputs, "/sys") {
        steps.push(mount("sysfs", "/sys", system, ""));
        match &inputs.cgroup_view {
            CgroupView::Unified => steps.push(mount("cgroup2", "/sys/fs/cgroup", system, "")),
            CgroupView::Controllers(controllers) => {
                steps.push(mount("tmpfs", "/sys/fs/cgroup", MountFlags::KERNEL, "mode=755,size=64k"));
                for (name, _) in controllers {
                    let target = format!("/sys/fs/cgroup/{name}");
                    steps.push(Step::MakeDirectory { path: target.clone(), mode: 0o755 });
                    steps.push(Step::Attach {
                        tree: Descriptor::new(format!("cgroup {name}")),
                        target,
                        missing: Vec::new(),
                        shape: Shape::Directory,
                    });
                }
                steps.push(Step::SetReadOnly { path: "/sys/fs/cgroup".into(), mounted: true });
            }
            CgroupView::Absent => {}
        }
    }
    if !replaced(inputs, "/dev") {
        let flags = MountFlags { nosuid: true, strictatime: true, ..MountFlags::default() };
        steps.push(mount("tmpfs", "/dev", flags, "mode=755,size=65536k"));
        for (name, major, minor) in DEVICES {
            steps.push(Step::MakeDevice { path: format!("/dev/{name}"), mode: 0o666, major, minor });
        }
        for (name, to) in LINKS {
            steps.push(Step::MakeLink { path: format!("/dev/{name}"), to: to.into() });
        }
        for name in ["pts", "mqueue", "shm"] {
            steps.push(Step::MakeDirectory { path: format!("/dev/{name}"), mode: 0o755 });
        }
    }
    let terminals = MountFlags { nosuid: true, noexec: true, ..MountFlags::default() };
    if !replaced(inputs, "/dev/pts") {
        steps.push(if inputs.terminal {
            Step::Attach {
                tree: Descriptor::new(TERMINALS),
                target: "/dev/pts".into(),
                missing: Vec::new(),
                shape: Shape::Directory,
            }
        } else {
            mount("devpts", "/dev/pts", terminals, "newinstance,ptmxmode=0666,mode=0620,gid=5")
        });
        if inputs.terminal && !replaced(inputs, CONSOLE) {
            steps.extend(console());
        }
    }
    if !replaced(inputs, "/dev/mqueue") {
        steps.push(mount("mqueue", "/dev/mqueue", MountFlags::KERNEL, ""));
    }
    let kept = |path: &str| {
        let top = if path.starts_with("/sys") { "/sys" } else { "/proc" };
        !replaced(inputs, top)
    };
    for (path, shape) in inputs.masked.iter().filter(|(path, _)| kept(path)) {
        steps.push(Step::Mask { path: path.clone(), shape: *shape });
    }
    for path in inputs.read_only.iter().filter(|path| kept(path)) {
        steps.push(Step::SetReadOnly { path: path.clone(), mounted: false });
    }
}

/// What a program finds its terminal by that knows of no other.
const CONSOLE: &str = "/dev/console";

/// The terminal again, by that name; it is the first of its devpts.
fn console() -> [Step; 2] {
    let tree = Descriptor::new("console");
    [
        Step::OpenTree { source: "/dev/pts/0".into(), recursive: false, bind: tree.clone() },
        Step::Attach { tree, target: CONSOLE.into(), missing: vec![CONSOLE.into()], shape: Shape::File },
    ]
}

/// Where kernel file systems are.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The deepest of `mounts` that a path lies below.
fn nearest_above<'a>(path: &str, mounts: &[&'a str]) -> Option<&'a str> {
    mounts.iter().copied().filter(|above| paths::is_below(path, above)).max_by_key(|above| above.len())
}

/// Whether a path lies on the root file system itself, not on a mount of the list or of the kernel.
pub fn on_root(path: &str, mounts: &[&str]) -> bool {
    nearest_above(path, mounts).is_none() && nearest_above(path, &KERNEL).is_none()
}

fn attach_binds(inputs: &Inputs, steps: &mut Vec<Step>) {
    let mut done: Vec<&str> = KERNEL.into_iter().filter(|path| !replaced(inputs, path)).collect();
    for bind in &inputs.binds {
        // The root file system itself was made ready beforehand; what lies on another mount can be looked at only here.
        let mut missing = nearest_above(&bind.target, &done)
            .map_or_else(Vec::new, |above| paths::prefixes_below(&bind.target, above));
        if bind.target == "/dev/shm" {
            missing.clear();
        }
        steps.push(Step::Attach { tree: tree_name(bind), target: bind.target.clone(), missing, shape: bind.shape });
        done.push(&bind.target);
    }
}
