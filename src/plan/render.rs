//! A plan for people: one line a step, in the words of the manual pages.

use std::fmt;

use super::{MountFlags, Namespace, Plan, Propagation, Shape, Step};

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Namespace::Mount => "mount",
            Namespace::Pid => "PID",
            Namespace::Network => "network",
            Namespace::Ipc => "IPC",
            Namespace::Uts => "UTS",
            Namespace::Cgroup => "cgroup",
        })
    }
}

impl fmt::Display for MountFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (self.read_only, "ro"),
            (self.nosuid, "nosuid"),
            (self.nodev, "nodev"),
            (self.noexec, "noexec"),
            (self.strictatime, "strictatime"),
        ];
        let on: Vec<&str> = words.into_iter().filter_map(|(on, word)| on.then_some(word)).collect();
        f.write_str(&on.join(","))
    }
}

fn list(namespaces: &[Namespace]) -> String {
    namespaces.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Step {
    /// The step's name, as in JSON: `joinCgroup`.
    pub fn name(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value.get("step").and_then(|name| name.as_str()).unwrap_or_default().to_owned()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::JoinCgroup { hierarchy, .. } => write!(f, "join the {hierarchy} cgroup"),
            Step::SetOomScore { score } => write!(f, "oom_score_adj {score}"),
            Step::SetUndumpable => f.write_str("no ptrace, no look into /proc/<pid> until the program runs"),
            Step::NewSessionKeyring => f.write_str("a session keyring of its own"),
            Step::SetUmask { mask } => write!(f, "umask {mask:03o}"),
            Step::EnterNamespaces { of, namespaces } => {
                write!(f, "enter the {} namespace of {}", list(namespaces), of.0)?;
                if namespaces.contains(&Namespace::Pid) {
                    f.write_str(" (PID: counts for children only)")?;
                }
                Ok(())
            }
            Step::NewCgroupNamespace => f.write_str("a cgroup namespace rooted here"),
            Step::SetPropagation { propagation: Propagation::Private } => {
                f.write_str("cut this mount namespace off from the machine's")
            }
            Step::SetPropagation { propagation: Propagation::Slave } => {
                f.write_str("mounts made here stay here; those of the machine still come in")
            }
            Step::OpenMountNamespace { bind } => write!(f, "keep {} open", bind.0),
            Step::ReturnToMountNamespace { namespace } => write!(f, "return to {}", namespace.0),
            Step::OpenTree { source, recursive, bind } => {
                let below = if *recursive { " and what is mounted below" } else { "" };
                write!(f, "copy the mount of {source}{below}: {}", bind.0)
            }
            Step::SetMountAttributes { tree, flags, propagation, recursive } => {
                write!(f, "{}: {flags}", tree.0)?;
                match propagation {
                    Some(Propagation::Private) => f.write_str(" private")?,
                    Some(Propagation::Slave) => f.write_str(" slave")?,
                    None => {}
                }
                if *recursive { f.write_str(", all the way down") } else { Ok(()) }
            }
            Step::AttachRoot { tree, at } => write!(f, "attach {} at {at} and go there", tree.0),
            Step::PivotRoot => f.write_str("make it the root; drop the old one"),
            Step::Mount { kind, target, flags, options } => {
                write!(f, "mount {kind} on {target}")?;
                let flags = flags.to_string();
                let both: Vec<&str> = [flags.as_str(), options].into_iter().filter(|s| !s.is_empty()).collect();
                if both.is_empty() { Ok(()) } else { write!(f, " ({})", both.join(",")) }
            }
            Step::MakeDirectory { path, mode } => write!(f, "directory {path} {mode:04o}"),
            Step::MakeDevice { path, mode, major, minor } => {
                write!(f, "character device {path} {major}:{minor} {mode:04o}")
            }
            Step::MakeLink { path, to } => write!(f, "link {path} -> {to}"),
            Step::Mask { path, shape: Shape::File } => write!(f, "hide {path} under /dev/null"),
            Step::Mask { path, shape: Shape::Directory } => write!(f, "hide {path} under an empty directory"),
            Step::SetReadOnly { path, .. } => write!(f, "{path} read-only"),
            Step::Attach { tree, target, .. } => write!(f, "attach {} at {target}", tree.0),
            Step::SetRootReadOnly => f.write_str("root file system read-only"),
            Step::OwnStdio { descriptors, uid, gid } => {
                let numbers: Vec<String> = descriptors.iter().map(ToString::to_string).collect();
                write!(f, "give descriptors {} to {uid}:{gid}", numbers.join(", "))
            }
            Step::SetHostname { name } => write!(f, "host name {name}"),
            Step::SetLinkUp { interface } => write!(f, "interface {interface} up"),
            Step::WriteSysctl { name, value } => write!(f, "{} = {value}", name.replace('/', ".")),
            Step::NewSession => f.write_str("a session of its own"),
            Step::SetControllingTerminal => f.write_str("stdin is the controlling terminal"),
            Step::ChangeDirectory { path, .. } => write!(f, "working directory {path}"),
            Step::SetResourceLimit { resource, soft, hard } => write!(f, "{resource} {soft}:{hard}"),
            Step::LoadSeccomp { .. } => f.write_str("load the system call filter RuntimeDefault"),
            Step::DropBoundingCapabilities { capabilities } => {
                write!(f, "take {} capabilities out of the bounding set", capabilities.numbers().count())
            }
            Step::SetGroups { groups } => {
                let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
                write!(f, "supplementary groups [{}]", groups.join(" "))
            }
            Step::SetGroup { gid } => write!(f, "group {gid}"),
            Step::SetUser { uid } => write!(f, "user {uid}"),
            Step::SetCapabilities { capabilities } => {
                write!(f, "capabilities {:016x} ({capabilities})", capabilities.0)
            }
            Step::SetNoNewPrivileges => f.write_str("no new privileges"),
            Step::CloneSecond => f.write_str("the program's own process, a child of the keeper; this one ends"),
            Step::ForkForEach => f.write_str("for each run a process of its own; this one waits for the next"),
            Step::ReturnToDirectory { path } => write!(f, "working directory {path}, as it is now"),
            Step::ClearSignalMask => f.write_str("no signal blocked"),
            Step::CloseOnExec => f.write_str("every descriptor above 2 closes with exec"),
            Step::Execute { candidates, arguments, .. } => {
                let words: Vec<String> = arguments.iter().map(|word| format!("{:?}", word.to_string())).collect();
                write!(f, "execute {}: [{}]", candidates.join(" or "), words.join(", "))
            }
            Step::ExecuteDescriptor { program, arguments } => {
                write!(f, "execute {} as {}", program.0, arguments.join(" "))
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        match self.new_namespaces.as_slice() {
            [] => {}
            namespaces => writeln!(f, "  cloned into a new {} namespace", list(namespaces))?,
        }
        if self.into_cgroup {
            writeln!(f, "  cloned into the unified cgroup")?;
        }
        for held in &self.descriptors {
            writeln!(f, "  given: {} ({})", held.name, held.about)?;
        }
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {:>3}  {step}", number + 1)?;
        }
        Ok(())
    }
}
