//! The sandbox: pause, which keeps the namespaces that the pod's containers join. Called once a pod, before any container.

use std::fs;
use std::os::fd::OwnedFd;

use super::super::cgroup::Cgroup;
use super::super::machine::Machine;
use super::super::programs::Program;
use super::{PodContext, Prepared, StartFailure, assemble, create, failure};
use crate::plan::container::PidNamespace;
use crate::plan::credentials::Credentials;
use crate::plan::identity::Identity;
use crate::plan::{Capabilities, Namespace, Plan, Secrets, sandbox};
use crate::pod::input::StartStage;

/// The pause process in new network, IPC and UTS namespaces (those that the pod does not share with the machine).
pub fn prepare_sandbox(context: &PodContext<'_>) -> Result<Prepared, StartFailure> {
    let cgroup = Cgroup::of_pause(context.uid());
    let plan = sandbox_plan(context, cgroup.hierarchies())?;
    cgroup.create_fresh().map_err(create("the sandbox's cgroup cannot be made"))?;
    let entrance = cgroup.entrance().map_err(create("the sandbox's cgroup cannot be opened"))?;
    let pause = Program::Pause.open(&context.paths.programs(context.uid()));
    let held = vec![pause.map_err(create("the pause program cannot be made ready"))?];
    let null = || fs::OpenOptions::new().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    let mut descriptors = Vec::new();
    for number in 0..3 {
        descriptors.push((null().map_err(create("/dev/null"))?, number));
    }
    let identity = pause_identity();
    assemble(plan, entrance, held, descriptors, &Secrets::default(), &identity, context.trace)
}

/// pause's user, as in the usual pause image: nobody's.
pub(super) fn pause_identity() -> Identity {
    const NOBODY: u32 = 65_535;
    Identity { uid: NOBODY, gid: NOBODY, groups: Vec::new(), home: "/".into() }
}

pub(super) fn sandbox_plan(context: &PodContext<'_>, cgroups: Vec<String>) -> Result<Plan, StartFailure> {
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
