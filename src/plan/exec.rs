//! The plan of a further process in a running container. It is seen in the container's PID namespace only when nothing of
//! the machine is left in it: that namespace is entered last, by a second process.
//!
//! For a command that is run again and again all but the last steps are done once, by a *zygote*, which forks for each run. It
//! is the container's in all but one thing: it is in no PID namespace of the container's, so nothing in there can reach it.

use super::credentials::{self, Credentials, Process, Program};
use super::{Descriptor, Held, Namespace, Plan, Step, join_cgroups};

/// What was found out before.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The container's name.
    pub name: String,
    /// Hierarchies to join.
    pub cgroups: Vec<String>,
    /// `oom_score_adj`.
    pub oom_score: i32,
    /// The namespaces that the container does not share with the machine.
    pub join: Vec<Namespace>,
    /// Directory that the program starts in; clean.
    pub working_directory: String,
    /// `RLIMIT_NOFILE` soft and hard.
    pub open_files: Option<(u64, u64)>,
    /// Which of 0, 1, 2 are to be given to the user.
    pub own_stdio: Vec<u32>,
    /// Credentials.
    pub credentials: Credentials,
    /// Program.
    pub program: Program,
    /// It is run again and again.
    pub again: bool,
}

/// Compiles the plan.
pub fn plan(inputs: Inputs) -> Plan {
    let mut steps = Vec::new();
    let mut descriptors = Vec::new();
    let into_cgroup = join_cgroups(&inputs.cgroups, "the container", &mut steps, &mut descriptors);
    descriptors.push(Held { name: "container".into(), about: "pidfd of the container's first process".into() });
    steps.push(Step::SetOomScore { score: inputs.oom_score });
    steps.push(Step::SetUndumpable);
    steps.push(Step::NewSessionKeyring);
    steps.push(Step::EnterNamespaces { of: Descriptor::new("container"), namespaces: inputs.join.clone() });
    steps.extend(credentials::surroundings(&inputs.own_stdio, inputs.open_files, &inputs.credentials.identity));
    steps.push(Step::ChangeDirectory { path: inputs.working_directory.clone(), missing: Vec::new() });
    let mut program = inputs.program;
    program.process = if inputs.again { Process::ForEach } else { Process::Second };
    for step in credentials::steps(&inputs.credentials, program) {
        let forked = step == Step::ForkForEach;
        steps.push(step);
        if forked && inputs.working_directory != "/" {
            steps.push(Step::ReturnToDirectory { path: inputs.working_directory.clone() });
        }
    }
    Plan { title: format!("exec {}", inputs.name), new_namespaces: Vec::new(), into_cgroup, descriptors, steps }
}
