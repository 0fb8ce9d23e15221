//! A container start as data: typed steps resolved to the last path and flag.
//!
//! [`container`], [`sandbox`] and [`exec`] compile a pod's spec and what was found out about it into a [`Plan`];
//! `linux::lower` turns the same plan into the system calls that the stage makes; `podlet plan` prints it. Pure: no
//! clock, no file, no socket. Values of Secrets are in a plan as references only ([`Text`]).

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use serde::Serialize;

pub mod capability;
mod chapter;
pub mod command;
pub mod container;
pub mod credentials;
pub mod environment;
pub mod exec;
pub mod expansion;
pub mod helper;
pub mod identity;
pub mod paths;
mod render;
pub mod resources;
pub mod sandbox;
pub mod security;
pub mod text;

pub use capability::Capabilities;
pub use chapter::Chapter;
pub use text::{Secrets, Text};

/// The first number of a descriptor that podlet hands to a stage; the same as the stage's own constant.
pub const FIRST_DESCRIPTOR: u32 = 64;

/// The hierarchy of cgroup v2, among those of v1, which are called by a controller.
pub const UNIFIED: &str = "unified";

/// A list of typed steps with a name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What it starts: `sandbox`, `container web`.
    pub title: String,
    /// The namespaces that the keeper's clone3 makes for the stage.
    pub new_namespaces: Vec<Namespace>,
    /// clone3 makes it in the v2 cgroup (CLONE_INTO_CGROUP).
    pub into_cgroup: bool,
    /// What podlet makes ready before, and hands over as open descriptors. Number 64 is the first.
    pub descriptors: Vec<Held>,
    /// In order.
    pub steps: Vec<Step>,
}

/// The steps into the cgroups (v1) of `whose`, with their descriptors; and whether there is a v2 one to be made in.
fn join_cgroups(hierarchies: &[String], whose: &str, steps: &mut Vec<Step>, descriptors: &mut Vec<Held>) -> bool {
    for hierarchy in hierarchies.iter().filter(|name| *name != UNIFIED) {
        let name = format!("tasks {hierarchy}");
        steps.push(Step::JoinCgroup { hierarchy: hierarchy.clone(), tasks: Descriptor::new(name.clone()) });
        descriptors.push(Held { name, about: format!("tasks of {whose}'s cgroup ({hierarchy})") });
    }
    hierarchies.iter().any(|name| name == UNIFIED)
}

/// A descriptor that the stage is started with. Its number is [`FIRST_DESCRIPTOR`] plus its place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// By which steps call it: `rootfs`, `sandbox`.
    pub name: String,
    /// What it is and how it came to be.
    pub about: String,
}

/// The name of a descriptor: of a held one, or of one that an earlier step opens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Descriptor(pub String);

impl Descriptor {
    /// By name.
    pub fn new(name: impl Into<String>) -> Descriptor {
        Descriptor(name.into())
    }
}

/// A kind of namespace, namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Namespace {
    /// Mounts.
    Mount,
    /// Process ids.
    Pid,
    /// Network.
    Network,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host name.
    Uts,
    /// cgroups.
    Cgroup,
}

/// Whether mounts made on the machine later appear inside, mount_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// Neither way: `mountPropagation: None`.
    Private,
    /// From the machine to the container: `HostToContainer`. (`Bidirectional` would need podlet's own namespace to be the
    /// machine's; it is refused.)
    Slave,
}

/// Flags of a mount. Absent ones are off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MountFlags {
    /// No write.
    pub read_only: bool,
    /// set-user-ID bits and file capabilities are without effect.
    pub nosuid: bool,
    /// Device nodes cannot be opened.
    pub nodev: bool,
    /// Programs cannot be executed.
    pub noexec: bool,
    /// Always update access times.
    pub strictatime: bool,
}

impl MountFlags {
    /// `nosuid,nodev,noexec`: what belongs on every kernel file system.
    pub const KERNEL: MountFlags =
        MountFlags { read_only: false, nosuid: true, nodev: true, noexec: true, strictatime: false };

    /// These flags and read-only.
    pub const fn and_read_only(mut self) -> MountFlags {
        self.read_only = true;
        self
    }
}

/// What a mount point is made as when it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// `mkdir`, 0755.
    Directory,
    /// An empty file, 0644.
    File,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Step {
    /// Goes into a cgroup of version 1, before anything large is allocated. `0` means the writer itself, cgroups(7).
    JoinCgroup {
        /// Which hierarchy: `memory`.
        hierarchy: String,
        /// Its `tasks`.
        tasks: Descriptor,
    },
    /// The kernel's preference among victims when memory runs out, proc_pid_oom_score_adj(5).
    SetOomScore {
        /// −1000 to 1000.
        score: i32,
    },
    /// Nobody may look into this process by ptrace(2) or /proc until its program runs.
    SetUndumpable,
    /// A session keyring of its own, so that the machine's is out of reach, session-keyring(7).
    NewSessionKeyring,
    /// The file mode creation mask.
    SetUmask {
        /// Bits to take away.
        mask: u32,
    },
    /// Joins namespaces of a process, setns(2).
    EnterNamespaces {
        /// A pidfd.
        of: Descriptor,
        /// Which. A PID namespace is entered by children only.
        namespaces: Vec<Namespace>,
    },
    /// A cgroup namespace rooted at the cgroup just joined.
    NewCgroupNamespace,
    /// Cuts the mounts of this namespace off from those of the machine.
    SetPropagation {
        /// For every mount below `/`.
        propagation: Propagation,
    },
    /// Opens a descriptor of this process's own mount namespace, to come back to.
    OpenMountNamespace {
        /// Its name.
        bind: Descriptor,
    },
    /// Comes back into a mount namespace.
    ReturnToMountNamespace {
        /// From [`Step::OpenMountNamespace`].
        namespace: Descriptor,
    },
    /// A detached copy of a mount, open_tree(2).
    OpenTree {
        /// Where it is, as this process sees it now.
        source: String,
        /// With the mounts below it.
        recursive: bool,
        /// Its name.
        bind: Descriptor,
    },
    /// Flags and propagation of a mount that is not attached yet, mount_setattr(2).
    SetMountAttributes {
        /// Which.
        tree: Descriptor,
        /// Set on top of what it has.
        flags: MountFlags,
        /// Changed when given.
        propagation: Option<Propagation>,
        /// For the mounts below it too.
        recursive: bool,
    },
    /// Attaches the root file system at a place of this namespace and goes there.
    AttachRoot {
        /// The mount.
        tree: Descriptor,
        /// An empty directory.
        at: String,
    },
    /// Makes the current directory the root and drops the old one, pivot_root(2).
    PivotRoot,
    /// A new mount at a path that nobody else can have changed, mount(2).
    Mount {
        /// File system type.
        kind: String,
        /// Absolute.
        target: String,
        /// Flags.
        flags: MountFlags,
        /// Options of the file system itself.
        options: String,
    },
    /// Makes a directory.
    MakeDirectory {
        /// Absolute.
        path: String,
        /// Permission bits.
        mode: u32,
    },
    /// Makes a character device.
    MakeDevice {
        /// Absolute.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// Makes a symbolic link.
    MakeLink {
        /// Absolute.
        path: String,
        /// Its content.
        to: String,
    },
    /// Hides a file or directory of /proc or /sys.
    Mask {
        /// Absolute.
        path: String,
        /// What it is.
        shape: Shape,
    },
    /// Makes a path of /proc or /sys read-only.
    SetReadOnly {
        /// Absolute.
        path: String,
        /// It is a mount already; else it is made one of itself first.
        mounted: bool,
    },
    /// Attaches a mount; the target is resolved inside the root, never through a magic link, and held by descriptor.
    Attach {
        /// The mount.
        tree: Descriptor,
        /// Absolute, in the container.
        target: String,
        /// Path prefixes that may be missing (below another volume), outermost first; each is made when it is.
        missing: Vec<String>,
        /// As what the last of them is made.
        shape: Shape,
    },
    /// No more writes to the root file system itself.
    SetRootReadOnly,
    /// Gives the pipes of stdin, stdout and stderr to the container's user.
    OwnStdio {
        /// Which of 0, 1, 2.
        descriptors: Vec<u32>,
        /// Their owner.
        uid: u32,
        /// Their group.
        gid: u32,
    },
    /// The name of the machine as the pod sees it.
    SetHostname {
        /// At most 64 bytes.
        name: String,
    },
    /// Switches a network interface on.
    SetLinkUp {
        /// `lo`.
        interface: String,
    },
    /// Writes a kernel parameter of this process's namespaces; without effect where the kernel lacks it.
    WriteSysctl {
        /// With slashes: `net/ipv4/ping_group_range`.
        name: String,
        /// As written.
        value: String,
    },
    /// A session of its own, setsid(2).
    NewSession,
    /// Makes stdin the controlling terminal.
    SetControllingTerminal,
    /// The working directory.
    ChangeDirectory {
        /// Absolute, in the container.
        path: String,
        /// Path prefixes that may be missing (below a volume), outermost first; each is made when it is.
        missing: Vec<String>,
    },
    /// A resource limit, setrlimit(2).
    SetResourceLimit {
        /// `RLIMIT_NOFILE`.
        resource: String,
        /// Soft.
        soft: u64,
        /// Hard.
        hard: u64,
    },
    /// Loads the system call filter, seccomp(2).
    LoadSeccomp {
        /// For a process with these capabilities.
        capabilities: Capabilities,
    },
    /// Takes capabilities away for good: no program executed later can have them.
    DropBoundingCapabilities {
        /// These.
        capabilities: Capabilities,
    },
    /// Supplementary groups.
    SetGroups {
        /// Group ids.
        groups: Vec<u32>,
    },
    /// Real, effective and saved group id.
    SetGroup {
        /// Group id.
        gid: u32,
    },
    /// Real, effective and saved user id.
    SetUser {
        /// User id.
        uid: u32,
    },
    /// Effective and permitted capabilities; none inheritable.
    SetCapabilities {
        /// These.
        capabilities: Capabilities,
    },
    /// No program executed later gains a privilege, PR_SET_NO_NEW_PRIVS.
    SetNoNewPrivileges,
    /// Makes the second process, a child of the keeper like this one, in the PID namespace entered; this one ends.
    CloneSecond,
    /// Waits to be asked, and makes another process each time, in the PID namespace entered, which alone goes on from here.
    ForkForEach,
    /// The working directory, should another one be there by now. Who may not go there stays.
    ReturnToDirectory {
        /// Absolute, in the container.
        path: String,
    },
    /// No signal blocked.
    ClearSignalMask,
    /// Every descriptor from 3 on closes when the program starts.
    CloseOnExec,
    /// Becomes the program.
    Execute {
        /// Paths tried in order.
        candidates: Vec<String>,
        /// Arguments, the first being the program's name.
        arguments: Vec<Text>,
        /// `NAME=value`.
        environment: Vec<Text>,
    },
    /// Becomes the program that a descriptor holds.
    ExecuteDescriptor {
        /// A sealed memfd.
        program: Descriptor,
        /// Arguments.
        arguments: Vec<String>,
    },
}
