//! Measures how much cpu and memory there is for a resize: what the machine has, and what its other pods hold, each by what it
//! was given last, as its supervisor has published it. Before a re-apply that is a resize, and then about every 10 s while it
//! waits; only what is new is told to the machine, and journalled: [`crate::pod::room`] has the rule.
//!
//! A pod whose resize waits keeps its supervisor awake, as one whose storage is measured does.

use k8s_openapi::api::core::v1::Pod;

use super::clock;
use super::kept::{self, KeptError};
use super::run::Supervisor;
use crate::linux::machine::Machine;
use crate::manifest::resources::worth;
use crate::paths::Paths;
use crate::pod::amounts::{Requested, requested};
use crate::pod::input::Fact;
use crate::pod::room::{Room, Share};

/// What a pod holds: what it was given, whatever it waits for.
fn held(pod: &Pod) -> Requested {
    let given = pod.status.as_ref().and_then(|status| status.allocated_resources.as_ref());
    let Some(given) = given else { return requested(pod) };
    let amount = |name: &str| given.get(name).map(worth);
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    Requested {
        cpu: amount("cpu").map_or(0, |amount| number(amount.milli_value())),
        memory: amount("memory").map_or(0, |amount| number(amount.value())),
    }
}

/// The room that there is for this pod.
fn measure(paths: &Paths, uid: &str) -> Result<Room, KeptError> {
    let machine = Machine::get();
    let mut used = Requested::default();
    for claim in kept::list(paths, None)?.into_iter().filter(|claim| claim.uid != uid) {
        if let Some(pod) = kept::at_work(paths, &claim.uid)? {
            let more = held(&pod);
            used.cpu = used.cpu.saturating_add(more.cpu);
            used.memory = used.memory.saturating_add(more.memory);
        }
    }
    let capacity = u64::try_from(machine.cpu_milli).unwrap_or(0);
    Ok(Room { cpu: Share { capacity, used: used.cpu }, memory: Share { capacity: machine.memory, used: used.memory } })
}

impl Supervisor {
    /// The machine was told something: a resize may wait for room now, or not any more.
    pub(super) fn follow_room(&mut self) {
        let retry = || clock::now().boot.after(self.state.machine.settings().numbers.retry());
        self.room_due = self.state.machine.awaits_room().then(|| self.room_due.unwrap_or_else(retry));
    }

    /// Looks whether there is room for a resize that waits, if it is time.
    pub(super) async fn look_for_room_if_due(&mut self) {
        if self.room_due.is_some_and(|due| due <= clock::now().boot) {
            self.room_due = None;
            self.look_for_room().await;
            self.follow_room();
        }
    }

    /// Tells the machine how much room there is. Where that cannot be found out it goes by what it knows.
    pub(super) async fn look_for_room(&mut self) {
        match measure(self.world.paths(), self.world.uid()) {
            Ok(room) => {
                let fact = Fact::RoomMeasured { room };
                if self.state.machine.is_news(&fact) {
                    self.tell(fact, clock::now(), None, None).await;
                    self.hold_what_was_given();
                }
            }
            Err(error) => tracing::warn!("could not find out what other pods hold: {error}"),
        }
    }

    /// What is started, and what the cgroups hold, is what the pod was given: not what it waits for.
    pub(super) fn hold_what_was_given(&mut self) {
        let spec = self.state.machine.allocated().spec.clone();
        if self.pod.spec != spec {
            self.pod = std::sync::Arc::new(Pod { spec, ..Pod::clone(&self.pod) });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pod_holds_what_it_was_given_and_one_that_is_new_what_it_asks_for() {
        let pod = |status: serde_json::Value| -> Pod {
            serde_json::from_value(serde_json::json!({
                "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "2", "memory": "1Gi"}}}]},
                "status": status
            }))
            .unwrap()
        };
        let given = serde_json::json!({"allocatedResources": {"cpu": "500m", "memory": "64Mi"}});
        assert_eq!(held(&pod(given)), Requested { cpu: 500, memory: 64 << 20 });
        assert_eq!(held(&pod(serde_json::json!({}))), Requested { cpu: 2000, memory: 1 << 30 });
    }
}
