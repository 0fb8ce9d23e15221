//! What podlet says of its own accord of how a pod runs on this machine, once a command: `apply` and `up` tell it on stderr as
//! soon as a supervisor has published it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Event, Pod};

use super::Caller;
use crate::supervisor::NOTICES;

/// Events that keep a pod from beginning although none of its containers shows why.
const IN_THE_WAY: &[&str] = &["FailedMount", "FailedCreatePodSandBox"];

/// What has been told.
#[derive(Debug, Default)]
pub struct Notices {
    told: BTreeSet<String>,
}

impl Notices {
    /// Tells the notices of a pod that are new, each once, however many pods it is said of.
    pub fn tell(&mut self, pod: &Pod, caller: &mut Caller<'_>) {
        for line in self.new_ones(pod) {
            caller.notice(&line);
        }
    }

    /// The lines that [`Notices::tell`] would print; they count as told.
    pub fn new_ones(&mut self, pod: &Pod) -> Vec<String> {
        let notices = pod.metadata.annotations.as_ref().and_then(|all| all.get(NOTICES));
        let lines = notices.map(|text| text.lines()).into_iter().flatten();
        lines.map(|line| format!("Note: {line}")).filter(|line| self.told.insert(line.clone())).collect()
    }

    /// The same for what keeps a pod from beginning.
    pub fn new_obstacles(&mut self, pod: &Pod, events: &[Event]) -> Vec<String> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let of_reason = events.iter().filter(|event| event.reason.as_deref().is_some_and(|r| IN_THE_WAY.contains(&r)));
        let lines = of_reason.filter_map(|event| {
            let message = event.message.as_deref()?;
            Some(format!("Note: pod/{name}: {}: {message}", event.reason.as_deref()?))
        });
        lines.filter(|line| self.told.insert(line.clone())).collect()
    }
}
