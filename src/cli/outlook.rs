//! What is known of a pod's future: that it is ready, that it never will be, and why. `apply --wait` and `wait` stand on it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodStatus,
};

use crate::pod::container::Kind;
use crate::pod::restart::{RestartPolicy, restart_decision};

/// So many back-offs in a row are taken for an answer.
const BACKOFFS: u32 = 3;

/// What is known of a pod's future.
#[derive(Clone, Debug, PartialEq)]
pub enum Outlook {
    /// Its condition Ready is True.
    Ready,
    /// Phase Succeeded.
    Succeeded,
    /// Why it never will be ready, and the exit code that says so.
    Never(String, u8),
}

/// `status.phase`, empty where there is none yet.
pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// Looks at a pod again and again, and remembers what it has seen.
#[derive(Debug, Default)]
pub struct Judge {
    /// By container: after which restart it was last seen in CrashLoopBackOff, and how often in a row.
    backoffs: BTreeMap<String, (i32, u32)>,
}

impl Judge {
    /// What can be said of the pod now; none while it may still become ready.
    pub fn look(&mut self, pod: &Pod) -> Option<Outlook> {
        pod.status.iter().flat_map(statuses).for_each(|container| self.count(container));
        self.outlook(pod)
    }

    /// What can be said of a pod that nobody changes any more.
    pub fn look_for_good(&mut self, pod: &Pod) -> Outlook {
        self.look(pod).unwrap_or_else(|| {
            let why = pod.status.as_ref().and_then(|status| status.message.clone());
            Outlook::Never(why.unwrap_or_else(|| "nothing of it runs".to_owned()), 1)
        })
    }

    /// Counts back-offs that were seen, not those that a restart count tells of: they may have been long ago. Another
    /// reason to wait breaks the row.
    fn count(&mut self, status: &ContainerStatus) {
        let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
        match waiting.map(|waiting| waiting.reason.as_deref().unwrap_or_default()) {
            Some("CrashLoopBackOff") => {
                let (last, count) = self.backoffs.entry(status.name.clone()).or_insert((-1, 0));
                if *last != status.restart_count {
                    (*last, *count) = (status.restart_count, *count + 1);
                }
            }
            Some(_) => drop(self.backoffs.remove(&status.name)),
            None => {}
        }
    }

    fn outlook(&self, pod: &Pod) -> Option<Outlook> {
        let status = pod.status.as_ref()?;
        if let Some(outlook) = outlook_of_phase(pod, status) {
            return Some(outlook);
        }
        // All has ended, and the phase that says how follows when the sandbox is gone.
        let over = |reason: &str| reason == "PodCompleted" || reason == "PodFailed";
        if ready_condition(status).is_some_and(|ready| ready.reason.as_deref().is_some_and(over)) {
            return None;
        }
        let hopeless = statuses(status).find_map(|container| self.hopeless(pod, container));
        hopeless.map(|why| Outlook::Never(why, exit_code(pod)))
    }
}

/// Those of the init containers, then of the regular ones.
fn statuses(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
}

fn outlook_of_phase(pod: &Pod, status: &PodStatus) -> Option<Outlook> {
    match status.phase.as_deref() {
        Some("Succeeded") => return Some(Outlook::Succeeded),
        Some("Failed") => {
            let why = status.message.clone().or_else(|| status.reason.clone());
            let why = why.or_else(|| first_failure(pod).map(|(container, ended)| failure_text(&container, &ended)));
            return Some(Outlook::Never(why.unwrap_or_else(|| "its phase is Failed".to_owned()), exit_code(pod)));
        }
        _ => {}
    }
    let ready = ready_condition(status)?;
    match ready.reason.as_deref() {
        Some("ReadinessGatesNotReady") => {
            let why = ready.message.as_deref().unwrap_or_default();
            Some(Outlook::Never(format!("{why} Nobody sets it on this machine"), 1))
        }
        _ => (ready.status == "True").then_some(Outlook::Ready),
    }
}

fn ready_condition(status: &PodStatus) -> Option<&PodCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready")
}

/// The exit code that stands for the pod's end: of the first container in list order that failed, 1 when none started.
pub fn exit_code(pod: &Pod) -> u8 {
    match first_failure(pod) {
        // A record of a program that never ran stands for none that started.
        Some((_, ended)) if !never_ran(&ended) => u8::try_from(ended.exit_code).unwrap_or(1),
        _ => 1,
    }
}

/// The first container in list order that failed, and how; what a sidecar ends with says nothing of the pod.
fn first_failure(pod: &Pod) -> Option<(String, ContainerStateTerminated)> {
    let spec = pod.spec.as_ref()?;
    let status = pod.status.as_ref()?;
    let init = spec.init_containers.iter().flatten().filter(|container| Kind::of_init(container) != Kind::Sidecar);
    init.chain(&spec.containers).find_map(|container| {
        let status = statuses(status).find(|s| s.name == container.name)?;
        let terminated = |state: &Option<ContainerState>| state.as_ref().and_then(|s| s.terminated.clone());
        let ended = terminated(&status.state).or_else(|| terminated(&status.last_state))?;
        (ended.exit_code != 0).then(|| (container.name.clone(), ended))
    })
}

fn never_ran(ended: &ContainerStateTerminated) -> bool {
    ended.reason.as_deref() == Some("StartError")
}

fn failure_text(container: &str, ended: &ContainerStateTerminated) -> String {
    match &ended.message {
        Some(message) if never_ran(ended) => format!("container {container} could not be started: {message}"),
        _ => format!("container {container} ended with exit code {}", ended.exit_code),
    }
}

impl Judge {
    fn hopeless(&self, pod: &Pod, status: &ContainerStatus) -> Option<String> {
        let name = &status.name;
        let state = status.state.as_ref()?;
        if let Some(ended) = &state.terminated {
            if never_ran(ended) {
                return Some(failure_text(name, ended));
            }
            return is_over(pod, name, ended).then(|| {
                format!("container {name} has ended with exit code {} and is not restarted", ended.exit_code)
            });
        }
        let waiting = state.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().unwrap_or_default();
        let message = waiting.message.as_deref().unwrap_or_default();
        let last = status.last_state.as_ref().and_then(|s| s.terminated.as_ref());
        match reason {
            "InvalidImageName" | "ErrImageNeverPull" | "CreateContainerConfigError" => {
                Some(format!("container {name}: {reason}: {message}"))
            }
            "RunContainerError" => Some(format!("container {name} could not be started: {message}")),
            "CrashLoopBackOff" if last.is_some_and(never_ran) => last.map(|last| failure_text(name, last)),
            "CrashLoopBackOff" if self.backoffs.get(name).is_some_and(|(_, count)| *count >= BACKOFFS) => {
                let code = last.map_or(0, |l| l.exit_code);
                Some(format!("container {name} keeps ending (exit code {code}): {message}"))
            }
            _ => None,
        }
    }
}

/// Whether a container that has ended so keeps the pod from being ready for good: it is not restarted. An init container that
/// has done its work does not.
fn is_over(pod: &Pod, name: &str, ended: &ContainerStateTerminated) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let policy = RestartPolicy::read(spec.restart_policy.as_deref());
    let init = spec.init_containers.iter().flatten().map(|container| (Kind::of_init(container), container));
    let mut all = init.chain(spec.containers.iter().map(|container| (Kind::Regular, container)));
    let Some((kind, container)) = all.find(|(_, container)| container.name == name) else { return false };
    let (code, reason) = (ended.exit_code, ended.reason.as_deref().unwrap_or_default());
    let done = kind == Kind::Init && code == 0;
    !done && !restart_decision(kind, container, policy, code, reason).restart
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use serde_json::{Value, json};

    use super::*;

    fn pod(restarts: i32, state: Value) -> Pod {
        let status = json!({"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": restarts,
            "state": state, "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}}});
        serde_json::from_value(json!({
            "spec": {"containers": [{"name": "c"}]},
            "status": {"phase": "Running", "containerStatuses": [status]}
        }))
        .unwrap()
    }

    fn waits(restarts: i32, reason: &str) -> Pod {
        pod(restarts, json!({"waiting": {"reason": reason, "message": "back-off"}}))
    }

    fn runs(restarts: i32) -> Pod {
        pod(restarts, json!({"running": {}}))
    }

    #[test]
    fn one_that_is_not_restarted_keeps_the_pod_from_being_ready_until_all_have_ended() {
        let ended = |code: i32| json!({"terminated": {"exitCode": code, "reason": "Error"}});
        let with = |policy: &str, rules: Value, code: i32| {
            let mut pod = pod(0, ended(code));
            let spec = pod.spec.as_mut().unwrap();
            spec.containers[0].restart_policy = Some(policy.to_owned());
            spec.containers[0].restart_policy_rules = serde_json::from_value(rules).unwrap();
            pod
        };
        let look = |pod: &Pod| Judge::default().look(pod);
        let rule = json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]);
        assert!(matches!(look(&with("Never", json!(null), 42)), Some(Outlook::Never(_, 42))));
        assert_eq!(look(&with("Never", rule, 42)), None);
        assert_eq!(look(&with("OnFailure", json!(null), 1)), None);
        assert!(matches!(look(&with("OnFailure", json!(null), 0)), Some(Outlook::Never(_, 1))));
        // The final phase is about to come: Succeeded is no failure to become ready.
        let mut over = with("Never", json!(null), 0);
        let ready = json!([{"type": "Ready", "status": "False", "reason": "PodCompleted"}]);
        over.status.as_mut().unwrap().conditions = serde_json::from_value(ready).unwrap();
        assert_eq!(look(&over), None);
        over.status.as_mut().unwrap().phase = Some("Succeeded".to_owned());
        assert_eq!(look(&over), Some(Outlook::Succeeded));
    }

    #[test]
    fn a_program_that_never_ran_is_told_from_one_that_failed() {
        let failed = |reason: &str| {
            let mut pod = pod(0, json!({"terminated": {"exitCode": 128, "reason": reason, "message": "no such file"}}));
            pod.status.as_mut().unwrap().phase = Some("Failed".to_owned());
            Judge::default().look(&pod)
        };
        let text = "container c could not be started: no such file".to_owned();
        assert_eq!(failed("StartError"), Some(Outlook::Never(text, 1)));
        assert_eq!(failed("Error"), Some(Outlook::Never("container c ended with exit code 128".to_owned(), 128)));
    }

    #[test]
    fn three_back_offs_that_were_seen_in_a_row_are_an_answer() {
        let hopeless = |sights: &[Pod]| {
            let mut judge = Judge::default();
            sights.iter().map(|pod| judge.look(pod)).collect::<Vec<_>>().pop().unwrap()
        };
        let back_off = |restarts| waits(restarts, "CrashLoopBackOff");
        // Restarts of long ago are none that were seen; one back-off that is seen twice is one.
        assert_eq!(hopeless(&[back_off(40), back_off(40), runs(41), back_off(41)]), None);
        let why = "container c keeps ending (exit code 3): back-off".to_owned();
        assert_eq!(
            hopeless(&[back_off(40), runs(41), back_off(41), runs(42), back_off(42)]),
            Some(Outlook::Never(why.clone(), 3))
        );
        // Another reason to wait begins a new row.
        let row = [back_off(1), back_off(2), waits(3, "ImagePullBackOff"), back_off(3), back_off(4)];
        assert_eq!(hopeless(&row), None);
        assert_eq!(hopeless(&[&row[..], &[back_off(5)]].concat()), Some(Outlook::Never(why, 3)));
    }
}
