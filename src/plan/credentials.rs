//! The last part of every plan: filter, capabilities, groups, user, and the program.
//!
//! Without no_new_privs the kernel takes a filter only while CAP_SYS_ADMIN is held (seccomp(2)), so it is loaded before
//! anything is given up, and lets the calls that follow pass. With no_new_privs it is the last step before the program, or
//! before the processes that become it.

use super::capability::Capabilities;
use super::identity::Identity;
use super::{Step, Text};

/// Who the program is to be.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// User and groups.
    pub identity: Identity,
    /// Effective, permitted and bounding set.
    pub capabilities: Capabilities,
    /// What podlet has, and therefore has to take away.
    pub available: Capabilities,
    /// Load the RuntimeDefault filter.
    pub seccomp: bool,
    /// `allowPrivilegeEscalation: false`.
    pub no_new_privileges: bool,
}

/// The program and how it is reached.
#[derive(Clone, Debug)]
pub struct Program {
    /// Paths tried in order.
    pub candidates: Vec<String>,
    /// Arguments.
    pub arguments: Vec<Text>,
    /// Environment.
    pub environment: Vec<Text>,
    /// stdin is a terminal, to be the controlling one.
    pub terminal: bool,
    /// Whose it becomes.
    pub process: Process,
}

/// Which process becomes the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// The stage itself.
    This,
    /// A second one, which alone is in the PID namespace that was entered.
    Second,
    /// Each time that it is asked for another one, which alone is in the PID namespace that was entered.
    ForEach,
}

/// The steps that make what the program finds around it its own: stdio for its user, its limit of open files (`RLIMIT_NOFILE`
/// soft and hard), the usual umask.
pub fn surroundings(own_stdio: &[u32], open_files: Option<(u64, u64)>, identity: &Identity) -> Vec<Step> {
    let mut steps = Vec::new();
    if !own_stdio.is_empty() {
        steps.push(Step::OwnStdio { descriptors: own_stdio.to_vec(), uid: identity.uid, gid: identity.gid });
    }
    if let Some((soft, hard)) = open_files {
        steps.push(Step::SetResourceLimit { resource: "RLIMIT_NOFILE".into(), soft, hard });
    }
    steps.push(Step::SetUmask { mask: 0o022 });
    steps
}

/// The steps from the credentials to the program.
pub fn steps(credentials: &Credentials, program: Program) -> Vec<Step> {
    let Credentials { identity, capabilities, available, seccomp, no_new_privileges } = credentials;
    let filter = Step::LoadSeccomp { capabilities: *capabilities };
    let mut steps = Vec::new();
    if *seccomp && !no_new_privileges {
        steps.push(filter.clone());
    }
    let dropped = available.without(*capabilities);
    if dropped != Capabilities::default() {
        steps.push(Step::DropBoundingCapabilities { capabilities: dropped });
    }
    steps.push(Step::SetGroups { groups: identity.groups.clone() });
    steps.push(Step::SetGroup { gid: identity.gid });
    steps.push(Step::SetUser { uid: identity.uid });
    // Another user than root has lost the permitted set with setresuid; what `add` gives it, it gets from file
    // capabilities within the bounding set.
    let held = if identity.uid == 0 { *capabilities } else { Capabilities::default() };
    steps.push(Step::SetCapabilities { capabilities: held });
    if *no_new_privileges {
        steps.push(Step::SetNoNewPrivileges);
    }
    let mut last = vec![Step::CloseOnExec];
    if *seccomp && *no_new_privileges {
        last.push(filter);
    }
    match program.process {
        Process::This => {}
        Process::Second => steps.push(Step::CloneSecond),
        Process::ForEach => {
            steps.append(&mut last);
            steps.push(Step::ForkForEach);
        }
    }
    steps.push(Step::NewSession);
    if program.terminal {
        steps.push(Step::SetControllingTerminal);
    }
    steps.push(Step::ClearSignalMask);
    steps.append(&mut last);
    steps.push(Step::Execute {
        candidates: program.candidates,
        arguments: program.arguments,
        environment: program.environment,
    });
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(no_new_privileges: bool) -> Vec<String> {
        let identity = Identity { uid: 0, gid: 0, groups: vec![0], home: "/".into() };
        let credentials = Credentials {
            identity,
            capabilities: Capabilities::DEFAULT,
            available: Capabilities(u64::MAX >> 23),
            seccomp: true,
            no_new_privileges,
        };
        let program = Program {
            candidates: vec!["/bin/x".into()],
            arguments: vec![],
            environment: vec![],
            terminal: false,
            process: Process::Second,
        };
        steps(&credentials, program).iter().map(|step| step.name().to_owned()).collect()
    }

    #[test]
    fn the_filter_is_first_or_last() {
        let first = order(false);
        assert_eq!(first.first().map(String::as_str), Some("loadSeccomp"));
        assert!(!first.contains(&"setNoNewPrivileges".to_owned()));
        let last = order(true);
        assert_eq!(last.iter().rev().nth(1).map(String::as_str), Some("loadSeccomp"));
        let at = |name: &str| last.iter().position(|step| step == name);
        assert!(at("setNoNewPrivileges") < at("cloneSecond"));
        assert!(at("dropBoundingCapabilities") < at("setUser"));
        assert!(at("setGroups") < at("setUser") && at("setUser") < at("setCapabilities"));
    }
}
