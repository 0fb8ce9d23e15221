//! What others do to a pod in virtual time: processes end, the supervisor dies, clocks jump, the next starts fail. The driver
//! then goes on as it would.

use std::time::Duration;

use k8s_openapi::api::core::v1::{EphemeralContainer, Pod};

use super::answers::Forced;
use super::driver::{Driver, beginning, exited};
use super::script::{End, Run};
use crate::pod::input::{Exit, Fact};
use crate::pod::machine::Machine;
use crate::pod::probe::ProbeKind;
use crate::pod::prober::Prober;
use crate::pod::room::Room;
use crate::pod::storage::Usage;

/// A machine made from the journal anew is not the machine that wrote it: a fault of the machine.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the journal folded again gives another state than the one that died (digests {before:016x} and {after:016x})")]
pub struct Diverged {
    /// The digest of the machine that died.
    pub before: u64,
    /// That of the one that folded its journal.
    pub after: u64,
}

impl Driver {
    /// How many inputs the machine took.
    pub fn inputs(&self) -> usize {
        self.journal.len()
    }

    /// Until when a supervisor that was killed is away.
    pub fn down_until(&self) -> Duration {
        self.down_until
    }

    /// Time passes up to there; nothing happens meanwhile.
    pub fn pass_to(&mut self, time: Duration) {
        self.now = self.now.max(time);
    }

    /// The number of the instance of a container that runs, if one does: what is being started does not until the machine was told.
    fn running(&self, name: &str) -> Option<u32> {
        let untold = |number: u32| {
            self.queue.values().any(|fact| {
                matches!(fact, Fact::ContainerStarted { container, attempt, .. } if container == name && *attempt == number)
            })
        };
        let mut instances = self.live.keys().filter(|(container, _)| container == name).map(|(_, attempt)| *attempt);
        instances.find(|attempt| !untold(*attempt))
    }

    /// Whether an instance of this container runs.
    pub fn runs(&self, name: &str) -> bool {
        self.running(name).is_some()
    }

    /// Lets a running instance end now, as if by `kill -9` or of itself.
    pub fn end_instance(&mut self, name: &str, exit: Exit) {
        if let Some(attempt) = self.running(name) {
            self.at(self.now, exited(name, attempt, exit, &Run::forever()));
        }
    }

    /// Lets the memory controller kill a running instance now.
    pub fn end_by_memory(&mut self, name: &str) {
        if let Some(attempt) = self.running(name) {
            let run = Run { oom_killed: true, ..Run::forever() };
            self.at(self.now, exited(name, attempt, Exit::Signal(9), &run));
        }
    }

    /// A running instance cannot be found any more; false when none runs.
    pub fn lose_instance(&mut self, name: &str) -> bool {
        let Some(attempt) = self.running(name) else { return false };
        self.live.remove(&(name.to_owned(), attempt));
        let message = "its keeper is gone".to_owned();
        self.input(Fact::ContainerLost { container: name.to_owned(), attempt, message });
        true
    }

    /// The pause process dies; false when there is none.
    pub fn lose_sandbox(&mut self) -> bool {
        let Some(attempt) = self.machine.standing_sandbox() else { return false };
        self.input(Fact::SandboxExited { attempt });
        true
    }

    /// From now on so much of the pod's local storage is in use besides what was: what this names, and the rest as it was. It is
    /// measured at once, or at the next turn of a clock that began with the pod.
    pub fn use_storage(&mut self, usage: &Usage, at_once: bool) {
        self.storage.volumes.extend(usage.volumes.clone());
        self.storage.containers.extend(usage.containers.clone());
        let turn = self.next_turn(self.machine.settings().numbers.storage_period());
        self.storage_due = Some(if at_once { self.now } else { turn });
    }

    /// The manifest is applied again. Whether there is room for a resize is looked at before.
    pub fn apply(&mut self, pod: &Pod) {
        let room = self.room.filter(|_| self.machine.asks_for_room(pod)).map(|room| Fact::RoomMeasured { room });
        if let Some(fact) = room.filter(|fact| self.machine.is_news(fact)) {
            self.input(fact);
        }
        self.input(Fact::SpecChanged { pod: Box::new(serde_json::to_value(pod).unwrap_or_default()) });
    }

    /// The machine has so much room from now on. A resize that waits is looked at at once, or at the next turn of a clock that
    /// began with the pod.
    pub fn make_room(&mut self, room: Room, at_once: bool) {
        self.room = Some(room);
        if self.machine.awaits_room() {
            let turn = self.next_turn(self.machine.settings().numbers.retry());
            self.at(if at_once { self.now } else { turn }, Fact::RoomMeasured { room });
        }
    }

    /// When a clock that began with the pod comes round next.
    fn next_turn(&self, period: Duration) -> Duration {
        let turns = self.now.as_nanos() / period.as_nanos().max(1) + 1;
        period.saturating_mul(u32::try_from(turns).unwrap_or(u32::MAX))
    }

    /// An ephemeral container is added, in the place of another one perhaps; it ends well after so long, or not before it must.
    pub fn debug(&mut self, container: &EphemeralContainer, holds: Option<&str>, lasts: Option<Duration>) {
        let run = lasts.map_or_else(Run::forever, |lasts| Run {
            end: Some(End { after: lasts, exit: Exit::Code(0) }),
            ..Run::forever()
        });
        self.script.runs.insert(container.name.clone(), vec![run]);
        let container = Box::new(serde_json::to_value(container).unwrap_or_default());
        self.input(Fact::EphemeralContainerAdded { container, holds: holds.map(str::to_owned) });
    }

    /// The next times that other cpu and memory are to be put in force, it does not work.
    pub fn fail_resizes(&mut self, message: &str, times: u32) {
        self.script.resizes.extend(std::iter::repeat_n(message.to_owned(), times as usize));
    }

    /// The next starts of a container go so, before what was to come.
    pub fn interpose(&mut self, name: &str, run: &Run, times: u32) {
        let next = self.starts.get(name).copied().unwrap_or_default();
        let runs = self.script.runs.entry(name.to_owned()).or_default();
        let last = runs.last().cloned().unwrap_or_else(Run::forever);
        while runs.len() <= next {
            runs.push(last.clone());
        }
        runs.splice(next..next, std::iter::repeat_n(run.clone(), times as usize));
    }

    /// The next sandboxes cannot be made.
    pub fn fail_sandboxes(&mut self, message: &str, times: u32) {
        let list = &mut self.script.sandboxes;
        list.resize(list.len().max(self.sandboxes), Ok(()));
        list.splice(self.sandboxes..self.sandboxes, std::iter::repeat_n(Err(message.to_owned()), times as usize));
    }

    /// The next times the volumes cannot be set up.
    pub fn fail_volumes(&mut self, message: &str, times: u32) {
        let list = &mut self.script.volumes;
        list.resize(list.len().max(self.mounts), Vec::new());
        list.splice(self.mounts..self.mounts, std::iter::repeat_n(vec![message.to_owned()], times as usize));
    }

    /// From now on a probe finds this, whatever its instance would answer; what was said so before is over.
    pub fn force_probe(&mut self, name: &str, kind: ProbeKind, forced: Forced) {
        self.forced.insert((name.to_owned(), kind), vec![forced]);
    }

    /// The supervisor is killed, and started again so long afterwards: the machine is made anew from what it had journalled,
    /// and must be the same. What happens meanwhile is heard then.
    pub fn restart_supervisor(&mut self, away: Duration) -> Result<(), Diverged> {
        let (pod, settings) = self.admitted.clone();
        let (mut machine, _) = Machine::admit(*pod, settings, beginning());
        for input in &self.journal {
            machine.step(input);
        }
        if machine != self.machine {
            return Err(Diverged { before: self.machine.digest(), after: machine.digest() });
        }
        self.machine = machine;
        #[cfg(test)]
        self.mutant.inspect(|mutant| (mutant.folds)(&mut self.machine));
        // Who takes over probes anew; what a predecessor's probes find is heard by nobody.
        self.queue.retain(|_, fact| !matches!(fact, Fact::ProbeResult { .. }));
        self.prober = Prober::default();
        self.prober.follow(&self.machine);
        self.down_until = self.now + away;
        Ok(())
    }

    /// The wall clock is set forward or back by so much.
    pub fn set_clock(&mut self, forward: bool, by: Duration) {
        let nanoseconds = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        let by = if forward { nanoseconds } else { -nanoseconds };
        self.wall_offset = self.wall_offset.saturating_add(by);
    }

    /// The machine on which all runs is started anew: nothing of the pod is left, and boot time begins again.
    pub fn reboot(&mut self) {
        // What was on its way came from processes that are no more; what users are about to ask for they still ask for.
        self.queue.retain(|_, fact| {
            matches!(
                fact,
                Fact::DeleteRequested { .. }
                    | Fact::StopRequested { .. }
                    | Fact::RestartRequested { .. }
                    | Fact::SpecChanged { .. }
                    | Fact::EphemeralContainerAdded { .. }
                    | Fact::RoomMeasured { .. }
                    | Fact::Rebooted
            )
        });
        self.booted = self.now;
        self.live.clear();
        self.input(Fact::Rebooted);
    }
}
