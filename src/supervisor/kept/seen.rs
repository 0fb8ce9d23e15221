//! A pod as it can be seen now, by whoever can tell.

use std::mem;

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, Event, Pod, PodCondition, PodStatus,
};
use serde::Deserialize;

use super::error::KeptError;
use super::{manifest, read_as};
use crate::paths::Paths;
use crate::supervisor::client::{self, Client, ClientError};
use crate::supervisor::{clock, vouch};

/// Who vouches for what is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The pod's supervisor answered, or sleeps.
    Live,
    /// The pod is in its final phase; nothing of it runs.
    Ended,
    /// It was stopped; nothing of it runs until it is started again.
    Stopped,
    /// The machine has been started anew since; nothing of the pod runs until it is started again.
    Rebooted,
    /// It should run, but its supervisor and keepers are gone. What became of its containers is not known.
    Unattended,
}

/// A pod as it can be seen now.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// `v1.Pod` with status.
    pub pod: Pod,
    /// Oldest first.
    pub events: Vec<Event>,
    /// Who vouches for it.
    pub standing: Standing,
}

/// Of `kept.json` what is to be seen: the half of it that is for a supervisor need not be understood for a look.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    boot_id: String,
    ended: bool,
    #[serde(default)]
    stopped: bool,
    pod: Pod,
    events: Vec<Event>,
}

impl Shown {
    /// What is written of an end or a stop holds, whoever is there; of a pod that is to run, it is what `otherwise` makes of it.
    fn seen(self, otherwise: Standing) -> Seen {
        let Shown { ended, stopped, pod, events, .. } = self;
        match otherwise {
            _ if ended => Seen { pod, events, standing: Standing::Ended },
            _ if stopped => as_stopped(pod, events),
            Standing::Live => Seen { pod, events, standing: Standing::Live },
            _ => unattended(pod, events, otherwise),
        }
    }
}

/// A pod that has not ended and was not stopped, as it was published last, or as it was applied where it never was; `None` for
/// others, and for one that nobody has looked after since the machine was started.
pub fn at_work(paths: &Paths, uid: &str) -> Result<Option<Pod>, KeptError> {
    if !paths.pod_run(uid).exists() {
        return Ok(None);
    }
    match read_as::<Shown>(paths, uid)? {
        Some(shown) => Ok((!shown.ended && !shown.stopped).then_some(shown.pod)),
        None => manifest(paths, uid),
    }
}

/// A pod as it can be seen now: its supervisor is asked, unless all that is to be said is published ([`vouch`]); where none
/// answers, kept state is read, and what it cannot vouch for is shown as unknown. `None`: no such pod (it may have gone just
/// now).
///
/// What the supervisor has not been told yet is not seen: a container whose end has just shown otherwise, in its output or
/// in `ps`, may be running here for as long as the keeper's report is under way. A kubelet sees it up to a second later.
pub fn see(paths: &Paths, uid: &str) -> Result<Option<Seen>, KeptError> {
    if vouch::is_current(paths, uid)
        && let Ok(Some(kept)) = read_as::<Shown>(paths, uid)
    {
        // It may be newer than that answer: the pod may have ended in between.
        return Ok(Some(kept.seen(Standing::Live)));
    }
    match client::again(|| Client::see(paths, uid)) {
        Ok((pod, events)) => return Ok(Some(Seen { pod, events, standing: Standing::Live })),
        // It has ended with its pod, and there is no socket any more; or none was started again in time.
        Err(ClientError::NotRunning | ClientError::HungUp) => {}
        Err(error) => return Err(KeptError::Supervisor(error)),
    }
    let Some(kept) = read_as::<Shown>(paths, uid)? else {
        // Claimed, but killed before its supervisor published anything.
        return Ok(manifest(paths, uid)?.map(|pod| unattended(pod, Vec::new(), Standing::Unattended)));
    };
    let rebooted = kept.boot_id != clock::boot_id();
    Ok(Some(kept.seen(if rebooted { Standing::Rebooted } else { Standing::Unattended })))
}

/// The pod waits to be set going again. Its containers are as they ended: none waits for its back-off any more.
fn as_stopped(mut pod: Pod, events: Vec<Event>) -> Seen {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let status = pod.status.get_or_insert_with(PodStatus::default);
    status.phase = Some("Pending".to_owned());
    status.reason = Some("Stopped".to_owned());
    status.message = Some(format!("The pod was stopped; podlet start {name} sets it going again"));
    for container in status.container_statuses.iter_mut().chain(&mut status.init_container_statuses).flatten() {
        if let (Some(state), Some(last)) = (&mut container.state, &mut container.last_state)
            && state.waiting.is_some()
            && last.terminated.is_some()
        {
            *state = mem::take(last);
        }
    }
    Seen { pod, events, standing: Standing::Stopped }
}

/// Nobody watches this pod: phase Unknown with a message that says why and what to do, containers that ran are in a
/// state as a kubelet shows after its runtime has lost them (lifecycle 9.4: 255, `Unknown`), and nothing is ready.
fn unattended(mut pod: Pod, events: Vec<Event>, standing: Standing) -> Seen {
    let why = match standing {
        Standing::Rebooted => "The machine was started anew while this pod ran",
        _ => "This pod's supervisor and its keepers are gone",
    };
    let name = pod.metadata.name.clone().unwrap_or_default();
    let status = pod.status.get_or_insert_with(PodStatus::default);
    status.phase = Some("Unknown".to_owned());
    status.message = Some(format!("{why}; apply {name} again to start it, or delete it"));
    for list in [&mut status.init_container_statuses, &mut status.container_statuses] {
        for container in list.iter_mut().flatten() {
            forget_running(container, why);
        }
    }
    for condition in status.conditions.iter_mut().flatten() {
        if matches!(condition.type_.as_str(), "Ready" | "ContainersReady") {
            not_ready(condition);
        }
    }
    Seen { pod, events, standing }
}

fn not_ready(condition: &mut PodCondition) {
    condition.status = "False".to_owned();
    condition.reason = Some("PodStatusUnknown".to_owned());
}

fn forget_running(container: &mut ContainerStatus, why: &str) {
    container.ready = false;
    container.started = Some(false);
    let Some(running) = container.state.as_mut().and_then(|state| state.running.take()) else { return };
    container.state = Some(ContainerState {
        terminated: Some(ContainerStateTerminated {
            container_id: container.container_id.clone(),
            exit_code: 255,
            reason: Some("Unknown".to_owned()),
            message: Some(format!("{why}; how the container ended cannot be known")),
            started_at: running.started_at,
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{clear, paths};
    use super::super::{KEPT_VERSION, Kept};
    use super::*;
    use crate::supervisor::files::{self, Durability};
    use crate::supervisor::vouch::Mark;

    fn running_pod() -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "u-1"},
            "status": {"phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
                "containerStatuses": [{"name": "a", "image": "i", "imageID": "", "ready": true, "restartCount": 3,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}
        }))
        .unwrap()
    }

    #[test]
    fn what_a_reboot_left_is_shown_as_unknown_and_never_as_running() {
        let paths = paths("reboot");
        files::private_directory(&paths.pod_state("u-1")).unwrap();
        for (boot_id, standing) in
            [("another boot".to_owned(), Standing::Rebooted), (clock::boot_id(), Standing::Unattended)]
        {
            let kept = Kept {
                version: KEPT_VERSION,
                boot_id,
                ended: false,
                stopped: false,
                pod: running_pod(),
                events: vec![],
                resume: None,
            };
            files::replace(&paths.pod_kept("u-1"), &serde_json::to_vec(&kept).unwrap(), Durability::Process).unwrap();
            let seen = see(&paths, "u-1").unwrap().unwrap();
            assert_eq!(seen.standing, standing);
            let status = seen.pod.status.unwrap();
            assert_eq!(status.phase.as_deref(), Some("Unknown"));
            assert!(status.message.unwrap().contains("apply web again"));
            let container = &status.container_statuses.unwrap()[0];
            assert!(!container.ready);
            assert_eq!(container.restart_count, 3);
            assert_eq!(container.state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 255);
            assert_eq!(status.conditions.unwrap()[0].status, "False");
        }
        clear(&paths);
    }

    #[test]
    fn an_ended_pod_is_shown_as_it_ended() {
        let paths = paths("ended");
        files::private_directory(&paths.pod_state("u-1")).unwrap();
        let kept = Kept {
            version: KEPT_VERSION,
            boot_id: "x".into(),
            ended: true,
            stopped: false,
            pod: running_pod(),
            events: vec![],
            resume: None,
        };
        files::replace(&paths.pod_kept("u-1"), &serde_json::to_vec(&kept).unwrap(), Durability::Power).unwrap();
        let seen = see(&paths, "u-1").unwrap().unwrap();
        assert_eq!((seen.pod, seen.standing), (running_pod(), Standing::Ended));
        assert_eq!(see(&paths, "u-2").unwrap(), None);
        clear(&paths);
    }

    #[test]
    fn an_end_that_is_written_while_a_running_pod_is_looked_at_is_an_end() {
        let paths = paths("between");
        files::private_directory(&paths.pod_state("u-1")).unwrap();
        files::private_directory(&paths.pod_run("u-1")).unwrap();
        let mark = Mark::make(&paths.current("u-1")).unwrap();
        mark.lock().unwrap();
        for (ended, stopped, standing) in
            [(false, false, Standing::Live), (true, false, Standing::Ended), (false, true, Standing::Stopped)]
        {
            let (boot_id, pod) = (clock::boot_id(), running_pod());
            let kept = Kept { version: KEPT_VERSION, boot_id, ended, stopped, pod, events: vec![], resume: None };
            files::replace(&paths.pod_kept("u-1"), &serde_json::to_vec(&kept).unwrap(), Durability::Process).unwrap();
            assert_eq!(see(&paths, "u-1").unwrap().unwrap().standing, standing);
        }
        clear(&paths);
    }

    #[test]
    fn a_damaged_file_is_named_with_the_way_out() {
        let paths = paths("damaged");
        files::private_directory(&paths.pod_state("u-1")).unwrap();
        std::fs::write(paths.pod_kept("u-1"), "{").unwrap();
        let error = see(&paths, "u-1").unwrap_err().to_string();
        assert!(error.contains("kept.json") && error.contains("move it away"), "{error}");
        clear(&paths);
    }
}
