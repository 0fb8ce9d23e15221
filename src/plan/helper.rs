//! The plan of a process of podlet's own beside the supervisor: a pull. It has what podlet has, a session of its own and no
//! environment.

use super::{Descriptor, Held, Plan, Step, join_cgroups};

/// Compiles the plan. `cgroups` are the hierarchies of podlet's own cgroup for the pod.
pub fn plan(title: String, cgroups: &[String], arguments: Vec<String>) -> Plan {
    let mut steps = Vec::new();
    let mut descriptors = Vec::new();
    let into_cgroup = join_cgroups(cgroups, "podlet's own processes", &mut steps, &mut descriptors);
    descriptors.push(Held { name: "podlet".into(), about: "podlet itself".into() });
    steps.push(Step::NewSession);
    steps.push(Step::ClearSignalMask);
    steps.push(Step::CloseOnExec);
    steps.push(Step::ExecuteDescriptor { program: Descriptor::new("podlet"), arguments });
    Plan { title, new_namespaces: Vec::new(), into_cgroup, descriptors, steps }
}
