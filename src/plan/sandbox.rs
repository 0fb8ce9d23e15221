//! The plan of a pod's sandbox: the stage is cloned into the pod's new namespaces, furnishes them, gives everything up
//! and becomes pause, which does nothing but keep them.

use super::credentials::Credentials;
use super::{Descriptor, Held, MountFlags, Namespace, Plan, Propagation, Step, join_cgroups};

/// What was found out before.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Namespaces that the pod does not share with the machine.
    pub new_namespaces: Vec<Namespace>,
    /// Hierarchies to join.
    pub cgroups: Vec<String>,
    /// Host name; none when the machine's is shared.
    pub hostname: Option<String>,
    /// An empty directory, for the root of a pause that containers can see.
    pub root_at: String,
    /// Who pause is.
    pub credentials: Credentials,
}

/// Compiles the plan.
pub fn plan(inputs: &Inputs) -> Plan {
    let mut steps = Vec::new();
    let mut descriptors = Vec::new();
    let into_cgroup = join_cgroups(&inputs.cgroups, "the sandbox", &mut steps, &mut descriptors);
    descriptors.push(Held { name: "pause".into(), about: "the pause program in a sealed memfd".into() });
    // The OOM killer's last choice, as containerd has it: with pause go the pod's namespaces.
    steps.push(Step::SetOomScore { score: -998 });
    steps.push(Step::SetUndumpable);
    steps.push(Step::NewSessionKeyring);
    let new = |namespace| inputs.new_namespaces.contains(&namespace);
    if let (Some(name), true) = (&inputs.hostname, new(Namespace::Uts)) {
        steps.push(Step::SetHostname { name: name.clone() });
    }
    if new(Namespace::Network) {
        steps.push(Step::SetLinkUp { interface: "lo".into() });
        // Ports below 1024 and ping for everyone, as containerd sets up a pod's network.
        steps.push(Step::WriteSysctl { name: "net/ipv4/ip_unprivileged_port_start".into(), value: "0".into() });
        steps.push(Step::WriteSysctl { name: "net/ipv4/ping_group_range".into(), value: "0 2147483647".into() });
    }
    if new(Namespace::Mount) {
        // Containers that share the PID namespace see pause: its root holds nothing but the pod's /proc.
        steps.push(Step::SetPropagation { propagation: Propagation::Private });
        steps.push(Step::Mount {
            kind: "tmpfs".into(),
            target: inputs.root_at.clone(),
            flags: MountFlags::KERNEL,
            options: "mode=755,size=4k".into(),
        });
        steps.push(Step::MakeDirectory { path: format!("{}/proc", inputs.root_at), mode: 0o755 });
        steps.push(Step::OpenTree {
            source: inputs.root_at.clone(),
            recursive: false,
            bind: Descriptor::new("empty root"),
        });
        steps.push(Step::AttachRoot { tree: Descriptor::new("empty root"), at: inputs.root_at.clone() });
        steps.push(Step::PivotRoot);
        steps.push(Step::Mount {
            kind: "proc".into(),
            target: "/proc".into(),
            flags: MountFlags::KERNEL,
            options: String::new(),
        });
        steps.push(Step::SetRootReadOnly);
    }
    let credentials = &inputs.credentials;
    steps.push(Step::DropBoundingCapabilities { capabilities: credentials.available });
    steps.push(Step::SetGroups { groups: Vec::new() });
    steps.push(Step::SetGroup { gid: credentials.identity.gid });
    steps.push(Step::SetUser { uid: credentials.identity.uid });
    steps.push(Step::SetCapabilities { capabilities: credentials.capabilities });
    steps.push(Step::SetNoNewPrivileges);
    steps.push(Step::NewSession);
    steps.push(Step::ClearSignalMask);
    steps.push(Step::CloseOnExec);
    steps.push(Step::LoadSeccomp { capabilities: credentials.capabilities });
    steps.push(Step::ExecuteDescriptor { program: Descriptor::new("pause"), arguments: vec!["/pause".into()] });
    Plan { title: "sandbox".into(), new_namespaces: inputs.new_namespaces.clone(), into_cgroup, descriptors, steps }
}
