//! What this machine can and cannot do for pods, found out by trying it, with what each thing means and what to do.
//! `podlet doctor` asks; nothing that is tried is left behind. Nothing here starts a pod.

mod cgroups;
mod kernel;
mod namespaces;
mod storage;

use serde::Serialize;

use super::machine::Machine;
use super::privilege::{FOR_PODS, Need, lacking};
use crate::paths::Paths;

/// How it is with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Pods run, with less of something.
    Lesser,
    /// No pod runs without it.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `kernel`, `CAP_SYS_ADMIN`, `overlay`.
    pub subject: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What it means for a pod; where all is good there is nothing to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub means: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn good(subject: &str, found: impl Into<String>) -> Finding {
        Finding { subject: subject.to_owned(), verdict: Verdict::Good, found: found.into(), means: None, remedy: None }
    }

    fn lesser(subject: &str, found: impl Into<String>, means: &str, remedy: &str) -> Finding {
        Finding {
            verdict: Verdict::Lesser,
            means: Some(means.to_owned()),
            remedy: Some(remedy.to_owned()),
            ..Finding::good(subject, found)
        }
    }

    fn missing(subject: &str, found: impl Into<String>, means: &str, remedy: &str) -> Finding {
        Finding { verdict: Verdict::Missing, ..Finding::lesser(subject, found, means, remedy) }
    }
}

/// Looks at everything.
pub fn examine(paths: &Paths) -> Vec<Finding> {
    let mut findings = kernel::examine();
    findings.extend(privileges());
    findings.extend(namespaces::examine());
    findings.extend(cgroups::examine());
    findings.extend(storage::examine(paths));
    findings
}

/// Whether pods can run.
pub fn pods_can_run(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.verdict != Verdict::Missing)
}

/// Capabilities without which pods run, but with less.
const WELCOME: [Need; 2] = [
    Need { capability: "SYS_RESOURCE", purpose: "limits of open files cannot be raised, nor oom_score_adj be lowered" },
    Need {
        capability: "NET_RAW",
        purpose: "ping and raw sockets do not work in containers that do without ping_group_range",
    },
];

fn privileges() -> Vec<Finding> {
    let has = Machine::get().capabilities;
    let remedy = "run podlet as root (sudo); in a container start that with --privileged or --cap-add";
    let mut findings: Vec<Finding> = Vec::new();
    for need in lacking(&FOR_PODS, has) {
        let subject = format!("CAP_{}", need.capability);
        let means = format!("no pod can be started: {}", need.purpose);
        findings.push(Finding::missing(&subject, "not permitted", &means, remedy));
    }
    if findings.is_empty() {
        findings.push(Finding::good("privileges", "all that pods need"));
    }
    for need in lacking(&WELCOME, has) {
        let subject = format!("CAP_{}", need.capability);
        findings.push(Finding::lesser(&subject, "not permitted", need.purpose, remedy));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_missing_thing_is_enough() {
        let good = Finding::good("a", "x");
        let lesser = Finding::lesser("b", "x", "y", "z");
        let missing = Finding::missing("c", "x", "y", "z");
        assert!(pods_can_run(&[good.clone(), lesser.clone()]));
        assert!(!pods_can_run(&[good, missing, lesser]));
    }
}
