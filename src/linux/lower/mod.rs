//! Lowers a plan's steps to system calls. `podlet plan` and the stage's table come from the same list, so what is shown is
//! what is run. Nothing is done here.

use std::collections::BTreeMap;

use super::call::{Argument, Call, MayFail};
use super::syscall::{AT_RECURSIVE, MOVE_MOUNT_F_EMPTY_PATH, OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE};
use crate::plan::{
    Capabilities, Descriptor, FIRST_DESCRIPTOR, MountFlags, Namespace, Plan, Propagation, Shape, Step, Text,
};

mod arguments;
mod calls;

use arguments::{flag_names, here, hexadecimal, mount_flags, named, namespace_flags, number, octal, text, words};

/// Why a plan cannot be lowered: a fault of podlet's own.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LowerError {
    /// A step uses a descriptor that nothing provides.
    #[error("step {step} uses the descriptor \"{name}\", which neither podlet nor an earlier step provides")]
    Descriptor {
        /// The step's index.
        step: usize,
        /// The name.
        name: String,
    },
    /// The seccomp table does not compile.
    #[error("the system call filter cannot be compiled: {0}")]
    Filter(String),
}

impl Plan {
    /// The system calls of the plan, one by one, as the stage makes them.
    pub fn calls(&self) -> Result<Vec<Call>, LowerError> {
        let mut lowering = Lowering { calls: Vec::with_capacity(192), bound: BTreeMap::new(), step: 0 };
        for (held, number) in self.descriptors.iter().zip(FIRST_DESCRIPTOR..) {
            lowering.bound.insert(held.name.as_str(), Argument::Descriptor(number, held.name.clone()));
        }
        for (index, step) in self.steps.iter().enumerate() {
            lowering.step = index;
            lowering.lower(step)?;
        }
        Ok(lowering.calls)
    }
}

/// clone3(2)'s flag of a namespace.
pub fn clone_flag(namespace: Namespace) -> u64 {
    let flag = match namespace {
        Namespace::Mount => libc::CLONE_NEWNS,
        Namespace::Pid => libc::CLONE_NEWPID,
        Namespace::Network => libc::CLONE_NEWNET,
        Namespace::Ipc => libc::CLONE_NEWIPC,
        Namespace::Uts => libc::CLONE_NEWUTS,
        Namespace::Cgroup => libc::CLONE_NEWCGROUP,
    };
    u64::from(flag.cast_unsigned())
}

struct Lowering<'a> {
    calls: Vec<Call>,
    bound: BTreeMap<&'a str, Argument>,
    step: usize,
}

impl<'a> Lowering<'a> {
    fn push(&mut self, name: &'static str, number: libc::c_long, arguments: Vec<Argument>) -> usize {
        self.calls.push(Call { name, number, arguments, may_fail: None, condition: None, step: self.step });
        self.calls.len() - 1
    }

    fn may_fail(&mut self, what: MayFail) {
        if let Some(call) = self.calls.last_mut() {
            call.may_fail = Some(what);
        }
    }

    /// The latest call is made only if an earlier one's result was zero (`true`) or was not (`false`).
    fn only_if(&mut self, condition: (usize, bool)) {
        if let Some(call) = self.calls.last_mut() {
            call.condition = Some(condition);
        }
    }

    fn descriptor(&self, descriptor: &Descriptor) -> Result<Argument, LowerError> {
        let missing = || LowerError::Descriptor { step: self.step, name: descriptor.0.clone() };
        self.bound.get(descriptor.0.as_str()).cloned().ok_or_else(missing)
    }

    fn bind(&mut self, descriptor: &'a Descriptor, entry: usize) {
        self.bound.insert(&descriptor.0, Argument::Result(entry, descriptor.0.clone()));
    }

    fn lower(&mut self, step: &'a Step) -> Result<(), LowerError> {
        match step {
            Step::JoinCgroup { tasks, .. } => {
                let tasks = self.descriptor(tasks)?;
                self.push("write", libc::SYS_write, vec![tasks, text("0"), number(1)]);
            }
            Step::SetOomScore { score } => {
                // Lowering it needs CAP_SYS_RESOURCE; without, the machine's own value stays.
                self.write_file("/proc/self/oom_score_adj", &score.to_string(), Some(MayFail::Errno(libc::EACCES)));
            }
            Step::SetUndumpable => self.prctl(libc::PR_SET_DUMPABLE, "PR_SET_DUMPABLE", named(0, "SUID_DUMP_DISABLE")),
            Step::NewSessionKeyring => {
                let join = Argument::Named(1, "KEYCTL_JOIN_SESSION_KEYRING".into());
                self.push("keyctl", libc::SYS_keyctl, vec![join, Argument::Null]);
                // Kernels without keyrings, and users at their quota.
                self.may_fail(MayFail::Any);
            }
            Step::SetUmask { mask } => {
                self.push("umask", libc::SYS_umask, vec![octal(*mask)]);
            }
            Step::EnterNamespaces { of, namespaces } => {
                let of = self.descriptor(of)?;
                self.push("setns", libc::SYS_setns, vec![of, namespace_flags(namespaces)]);
            }
            Step::NewCgroupNamespace => {
                self.push("unshare", libc::SYS_unshare, vec![namespace_flags(&[Namespace::Cgroup])]);
            }
            Step::SetPropagation { propagation } => {
                let spread = match propagation {
                    Propagation::Private => (libc::MS_PRIVATE, "MS_PRIVATE"),
                    Propagation::Slave => (libc::MS_SLAVE, "MS_SLAVE"),
                };
                let flags = flag_names([(libc::MS_REC, "MS_REC"), spread].into_iter());
                self.mount(Argument::Null, "/", Argument::Null, flags, Argument::Null);
            }
            Step::OpenMountNamespace { bind } => {
                let flags = named((libc::O_RDONLY | libc::O_CLOEXEC).cast_unsigned(), "O_RDONLY|O_CLOEXEC");
                let entry = self.push("openat", libc::SYS_openat, vec![here(), text("/proc/self/ns/mnt"), flags]);
                self.bind(bind, entry);
            }
            Step::ReturnToMountNamespace { namespace } => {
                let namespace = self.descriptor(namespace)?;
                self.push("setns", libc::SYS_setns, vec![namespace, namespace_flags(&[Namespace::Mount])]);
            }
            Step::OpenTree { source, recursive, bind } => {
                let deep = recursive.then_some((u64::from(AT_RECURSIVE), "AT_RECURSIVE"));
                let flags = [
                    (u64::from(OPEN_TREE_CLONE), "OPEN_TREE_CLONE"),
                    (u64::from(OPEN_TREE_CLOEXEC), "OPEN_TREE_CLOEXEC"),
                ];
                let flags = flag_names(flags.into_iter().chain(deep));
                let entry = self.push("open_tree", libc::SYS_open_tree, vec![here(), text(source), flags]);
                self.bind(bind, entry);
            }
            Step::SetMountAttributes { tree, flags, propagation, recursive } => {
                let tree = self.descriptor(tree)?;
                let mut at = vec![(libc::AT_EMPTY_PATH.cast_unsigned(), "AT_EMPTY_PATH")];
                if *recursive {
                    at.push((AT_RECURSIVE, "AT_RECURSIVE"));
                }
                self.mount_setattr((tree, "", at), *flags, *propagation);
            }
            Step::AttachRoot { tree, at } => {
                let tree = self.descriptor(tree)?;
                let flags = named(MOVE_MOUNT_F_EMPTY_PATH, "MOVE_MOUNT_F_EMPTY_PATH");
                let arguments = vec![tree.clone(), text(""), here(), text(at), flags];
                self.push("move_mount", libc::SYS_move_mount, arguments);
                self.push("fchdir", libc::SYS_fchdir, vec![tree]);
            }
            Step::PivotRoot => {
                // The old root ends up on top of the new one; the working directory still means the new one beneath it,
                // and "." for umount2 means what is mounted over it (pivot_root(2), NOTES).
                self.push("pivot_root", libc::SYS_pivot_root, vec![text("."), text(".")]);
                self.push("umount2", libc::SYS_umount2, vec![text("."), named(libc::MNT_DETACH, "MNT_DETACH")]);
                self.push("chdir", libc::SYS_chdir, vec![text("/")]);
            }
            Step::Mount { kind, target, flags, options } => {
                let data = if options.is_empty() { Argument::Null } else { text(options) };
                self.mount(text(kind), target, text(kind), mount_flags(*flags, &[]), data);
            }
            Step::MakeDirectory { path, mode } => {
                self.push("mkdirat", libc::SYS_mkdirat, vec![here(), text(path), octal(*mode)]);
            }
            Step::MakeDevice { path, mode, major, minor } => {
                let shown = Argument::Named(u64::from(libc::S_IFCHR | mode), format!("S_IFCHR|0{mode:o}"));
                let device = libc::makedev(*major, *minor);
                let device =
                    Argument::Named(device, format!("makedev({}, {})", hexadecimal(*major), hexadecimal(*minor)));
                self.push("mknodat", libc::SYS_mknodat, vec![here(), text(path), shown, device]);
            }
            Step::MakeLink { path, to } => {
                self.push("symlinkat", libc::SYS_symlinkat, vec![text(to), here(), text(path)]);
            }
            Step::Mask { path, shape: Shape::File } => {
                let flags = mount_flags(MountFlags::default(), &[(libc::MS_BIND, "MS_BIND")]);
                self.mount(text("/dev/null"), path, Argument::Null, flags, Argument::Null);
            }
            Step::Mask { path, shape: Shape::Directory } => {
                let flags = mount_flags(MountFlags::KERNEL.and_read_only(), &[]);
                self.mount(text("tmpfs"), path, text("tmpfs"), flags, text("size=0k"));
            }
            Step::SetReadOnly { path, mounted: false } => {
                let bind = [(libc::MS_BIND, "MS_BIND"), (libc::MS_REC, "MS_REC")];
                let bind = mount_flags(MountFlags::default(), &bind);
                self.mount(text(path), path, Argument::Null, bind, Argument::Null);
                // A remount that leaves out nosuid, nodev and noexec would switch them off.
                let again = [(libc::MS_REMOUNT, "MS_REMOUNT"), (libc::MS_BIND, "MS_BIND")];
                let again = mount_flags(MountFlags::KERNEL.and_read_only(), &again);
                self.mount(Argument::Null, path, Argument::Null, again, Argument::Null);
            }
            Step::SetReadOnly { path, mounted: true } => {
                let flags = MountFlags { read_only: true, ..MountFlags::default() };
                self.mount_setattr((here(), path, Vec::new()), flags, None);
            }
            Step::SetRootReadOnly => {
                let flags = MountFlags { read_only: true, ..MountFlags::default() };
                self.mount_setattr((here(), "/", Vec::new()), flags, None);
            }
            Step::Attach { tree, target, missing, shape } => {
                let tree = self.descriptor(tree)?;
                self.make_missing(missing, *shape);
                let target = self.resolve_path(target);
                self.attach(tree, target);
            }
            Step::OwnStdio { descriptors, uid, gid } => {
                for descriptor in descriptors {
                    let arguments = vec![number(i64::from(*descriptor)), number(*uid), number(*gid)];
                    self.push("fchown", libc::SYS_fchown, arguments);
                }
            }
            Step::SetHostname { name } => {
                let length = i64::try_from(name.len()).unwrap_or_default();
                self.push("sethostname", libc::SYS_sethostname, vec![text(name), number(length)]);
            }
            Step::SetLinkUp { interface } => {
                let kind = named((libc::SOCK_DGRAM | libc::SOCK_CLOEXEC).cast_unsigned(), "SOCK_DGRAM|SOCK_CLOEXEC");
                let family = named(libc::AF_INET, "AF_INET");
                let socket = self.push("socket", libc::SYS_socket, vec![family, kind, named(0u32, "IPPROTO_IP")]);
                // struct ifreq: the name in 16 bytes, then the flags; 40 bytes in all.
                let mut request = interface.as_bytes().to_vec();
                request.resize(16, 0);
                let up = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
                request.extend_from_slice(&up.to_ne_bytes());
                request.resize(40, 0);
                let shown = format!("{{ifr_name={interface:?}, ifr_flags=IFF_UP|IFF_RUNNING}}");
                let socket = Argument::Result(socket, "socket".into());
                let arguments =
                    vec![socket.clone(), named(libc::SIOCSIFFLAGS, "SIOCSIFFLAGS"), Argument::Bytes(request, shown)];
                self.push("ioctl", libc::SYS_ioctl, arguments);
                self.push("close", libc::SYS_close, vec![socket]);
            }
            Step::WriteSysctl { name, value } => {
                self.write_file(&format!("/proc/sys/{name}"), value, Some(MayFail::Any));
            }
            Step::NewSession => {
                self.push("setsid", libc::SYS_setsid, Vec::new());
                // A process that leads its group already (the keeper made it so) may not.
                self.may_fail(MayFail::Errno(libc::EPERM));
            }
            Step::SetControllingTerminal => {
                let request = named(libc::TIOCSCTTY, "TIOCSCTTY");
                self.push("ioctl", libc::SYS_ioctl, vec![number(0), request, number(0)]);
            }
            Step::ChangeDirectory { path, missing } => {
                self.make_missing(missing, Shape::Directory);
                // By descriptor: a working directory such as /proc/self/fd/7 must not lead out (CVE-2024-21626).
                let directory = self.resolve_directory(path);
                self.push("fchdir", libc::SYS_fchdir, vec![directory]);
            }
            Step::SetResourceLimit { resource, soft, hard } => {
                let which = match resource.as_str() {
                    "RLIMIT_CORE" => libc::RLIMIT_CORE,
                    _ => libc::RLIMIT_NOFILE,
                };
                let shown = format!("{{rlim_cur={soft}, rlim_max={hard}}}");
                let limits = Argument::Bytes(words(&[*soft, *hard]), shown);
                let arguments = vec![number(0), named(which, resource), limits, Argument::Null];
                self.push("prlimit64", libc::SYS_prlimit64, arguments);
                // Raising a hard limit needs CAP_SYS_RESOURCE.
                self.may_fail(MayFail::Errno(libc::EPERM));
            }
            Step::LoadSeccomp { capabilities } => self.load_seccomp(*capabilities)?,
            Step::DropBoundingCapabilities { capabilities } => {
                for capability in capabilities.numbers() {
                    let value = named(capability, &Capabilities::name(capability));
                    self.prctl(libc::PR_CAPBSET_DROP, "PR_CAPBSET_DROP", value);
                }
            }
            Step::SetGroups { groups } => {
                let list: Vec<u8> = groups.iter().flat_map(|group| group.to_ne_bytes()).collect();
                let names: Vec<String> = groups.iter().map(ToString::to_string).collect();
                let length = i64::try_from(groups.len()).unwrap_or_default();
                let list = if groups.is_empty() {
                    Argument::Null
                } else {
                    Argument::Bytes(list, format!("[{}]", names.join(", ")))
                };
                self.push("setgroups", libc::SYS_setgroups, vec![number(length), list]);
            }
            Step::SetGroup { gid } => {
                self.push("setresgid", libc::SYS_setresgid, vec![number(*gid), number(*gid), number(*gid)]);
            }
            Step::SetUser { uid } => {
                self.push("setresuid", libc::SYS_setresuid, vec![number(*uid), number(*uid), number(*uid)]);
            }
            Step::SetCapabilities { capabilities } => self.set_capabilities(*capabilities),
            Step::SetNoNewPrivileges => {
                self.prctl(libc::PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS", number(1));
            }
            Step::CloneSecond => {
                self.close_what_was_used();
                // The kernel writes the second process's pid into the table, where the keeper reads it.
                let flags = libc::CLONE_PARENT | libc::CLONE_PARENT_SETTID | libc::SIGCHLD;
                let flags = named(flags.cast_unsigned(), "CLONE_PARENT|CLONE_PARENT_SETTID|SIGCHLD");
                let second = Argument::Within(pause::table::SECOND_OFFSET, "&table.second".into());
                let arguments = vec![flags, Argument::Null, second, Argument::Null, Argument::Null];
                let clone = self.push("clone", libc::SYS_clone, arguments);
                self.push("exit_group", libc::SYS_exit_group, vec![number(0)]);
                self.only_if((clone, false));
            }
            Step::ForkForEach => {
                self.close_what_was_used();
                self.fork_for_each();
            }
            Step::ReturnToDirectory { path } => {
                let root = self.open_root();
                self.may_fail(MayFail::Any);
                let directory = self.resolve_directory_below(root, path);
                self.may_fail(MayFail::Any);
                self.push("fchdir", libc::SYS_fchdir, vec![directory]);
                self.may_fail(MayFail::Any);
            }
            Step::ClearSignalMask => {
                let how = named(libc::SIG_SETMASK, "SIG_SETMASK");
                let none = Argument::Bytes(words(&[0]), "[]".into());
                self.push("rt_sigprocmask", libc::SYS_rt_sigprocmask, vec![how, none, Argument::Null, number(8)]);
            }
            Step::CloseOnExec => {
                const CLOSE_RANGE_CLOEXEC: u32 = 4;
                let all = Argument::Named(u64::from(u32::MAX), "4294967295".into());
                let flags = named(CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC");
                self.push("close_range", libc::SYS_close_range, vec![number(3), all, flags]);
            }
            Step::Execute { candidates, arguments, environment } => {
                for (index, candidate) in candidates.iter().enumerate() {
                    let words = Argument::Texts(arguments.clone());
                    let environment = Argument::Texts(environment.clone());
                    self.push("execve", libc::SYS_execve, vec![text(candidate), words, environment]);
                    if index + 1 < candidates.len() {
                        self.may_fail(MayFail::Any);
                    }
                }
            }
            Step::ExecuteDescriptor { program, arguments } => {
                let program = self.descriptor(program)?;
                let words = Argument::Texts(arguments.iter().map(|word| Text::from(word.as_str())).collect());
                let flags = named(libc::AT_EMPTY_PATH.cast_unsigned(), "AT_EMPTY_PATH");
                let empty = Argument::Texts(Vec::new());
                self.push("execveat", libc::SYS_execveat, vec![program, text(""), words, empty, flags]);
            }
        }
        Ok(())
    }
}
