//! Whether an exited container is to be started again (lifecycle 4.2). `decide` and the status ask; nothing is kept here.

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule};

use super::container::{EndReason, Kind};
use super::rules::{self, Rule};

/// `restartPolicy` of a pod or a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Whatever the exit code.
    Always,
    /// For an exit code other than 0.
    OnFailure,
    /// Not at all.
    Never,
}

impl RestartPolicy {
    /// From the manifest's word; a validated manifest has no other, and absent means Always.
    pub fn read(word: Option<&str>) -> RestartPolicy {
        match word {
            Some("Never") => RestartPolicy::Never,
            Some("OnFailure") => RestartPolicy::OnFailure,
            _ => RestartPolicy::Always,
        }
    }

    /// The manifest's word.
    pub fn word(self) -> &'static str {
        match self {
            RestartPolicy::Always => "Always",
            RestartPolicy::OnFailure => "OnFailure",
            RestartPolicy::Never => "Never",
        }
    }

    fn restarts(self, exit_code: i32) -> bool {
        match self {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => exit_code != 0,
            RestartPolicy::Never => false,
        }
    }
}

/// What was decided about an exited container, and by which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// To be started again.
    pub restart: bool,
    /// The rule that decided.
    pub rule: &'static Rule,
    /// The policy in force.
    pub policy: RestartPolicy,
}

/// The container's own policy, else the pod's.
pub fn effective_policy(container: &Container, pod_policy: RestartPolicy) -> RestartPolicy {
    container.restart_policy.as_deref().map_or(pod_policy, |word| RestartPolicy::read(Some(word)))
}

/// Decides on a container that exited with `exit_code`: its rules, its own policy, the pod's; the first that speaks wins.
pub fn container_restart_decision(container: &Container, pod_policy: RestartPolicy, exit_code: i32) -> Verdict {
    let policy = effective_policy(container, pod_policy);
    if container.restart_policy.is_none() {
        return Verdict { restart: policy.restarts(exit_code), rule: rules::R_4_2_C, policy };
    }
    let exit_rules = container.restart_policy_rules.as_deref().unwrap_or_default();
    if exit_rules.iter().any(|rule| matches(rule, exit_code)) {
        // Both actions restart the container; RestartAllContainers restarts the others, too (`reset`).
        return Verdict { restart: true, rule: rules::R_4_2_A, policy };
    }
    Verdict { restart: policy.restarts(exit_code), rule: rules::R_4_2_B, policy }
}

/// Decides on an ended container of any kind: a sidecar is always started again, an init container only when it failed.
/// `reason` is that of `state.terminated`.
pub fn restart_decision(
    kind: Kind,
    container: &Container,
    pod_policy: RestartPolicy,
    exit_code: i32,
    reason: &str,
) -> Verdict {
    match kind {
        Kind::Sidecar => Verdict { restart: true, rule: rules::R_5_2_B, policy: RestartPolicy::Always },
        Kind::Init if exit_code == 0 && reason != EndReason::OOMKilled.word() => {
            Verdict { restart: false, rule: rules::R_5_1_B, policy: effective_policy(container, pod_policy) }
        }
        Kind::Ephemeral => Verdict { restart: false, rule: rules::R_9_6_B, policy: RestartPolicy::Never },
        Kind::Init | Kind::Regular => container_restart_decision(container, pod_policy, exit_code),
    }
}

/// Whether the first of the container's rules that matches this code restarts all containers of the pod (lifecycle 4.6).
pub fn restarts_all(container: &Container, exit_code: i32) -> bool {
    let rules = container.restart_policy.as_ref().and(container.restart_policy_rules.as_deref()).unwrap_or_default();
    rules.iter().find(|rule| matches(rule, exit_code)).is_some_and(|rule| rule.action == "RestartAllContainers")
}

/// Whether a rule's `exitCodes` name this code; a rule without them never matches.
fn matches(rule: &ContainerRestartRule, exit_code: i32) -> bool {
    let Some(codes) = &rule.exit_codes else { return false };
    let named = codes.values.as_deref().unwrap_or_default().contains(&exit_code);
    match codes.operator.as_str() {
        "In" => named,
        "NotIn" => !named,
        _ => false,
    }
}
