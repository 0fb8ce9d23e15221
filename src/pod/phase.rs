//! The phase of a pod from the states of its containers (lifecycle 1.1). `conditions` asks.

use serde::{Deserialize, Serialize};

use super::container::{Container, Kind, RecordState};
use super::machine::{Course, Machine};
use super::sandbox::SandboxState;

/// `status.phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Something has not run yet.
    #[default]
    Pending,
    /// Something runs, or will again.
    Running,
    /// All ended, with exit code 0.
    Succeeded,
    /// All ended, not all with exit code 0.
    Failed,
}

impl Phase {
    /// Kubernetes' word.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
        }
    }

    /// Whether it is never left.
    pub fn is_terminal(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed)
    }
}

/// How many containers are in which state.
#[derive(Default)]
struct Counts {
    /// Init containers that have not ended yet.
    pending_init: usize,
    /// Init containers that have failed and are not run again.
    failed_init: usize,
    /// Sidecars that are not started.
    pending_sidecars: usize,
    /// Regular containers and sidecars that never ran.
    waiting: usize,
    /// Regular containers and sidecars that run.
    running: usize,
    /// Regular containers that have ended; of these, with exit code 0, and to be started again.
    stopped: usize,
    succeeded: usize,
    restartable: usize,
}

impl Machine {
    /// The phase that the containers' states make.
    pub(super) fn computed_phase(&self) -> Phase {
        if self.state.failure.is_some() {
            return Phase::Failed;
        }
        let mut counts = Counts::default();
        for container in &self.state.containers {
            match container.kind {
                Kind::Init => self.count_init(container, &mut counts),
                Kind::Sidecar => self.count_sidecar(container, &mut counts),
                Kind::Regular => self.count(container, &mut counts),
                Kind::Ephemeral => {}
            }
        }
        let ended = if counts.stopped == counts.succeeded { Phase::Succeeded } else { Phase::Failed };
        let nothing_can_run = self.final_course() >= Course::TearingDown;
        let begun = self.state.sandbox.state == SandboxState::Ready && self.state.has_begun();
        match counts {
            Counts { failed_init: 1.., .. } => Phase::Failed,
            Counts { pending_init: 1.., .. } => Phase::Pending,
            Counts { pending_sidecars: 1.., .. } if !begun => Phase::Pending,
            Counts { waiting: 1.., .. } => Phase::Pending,
            Counts { running: 1.., .. } => Phase::Running,
            Counts { stopped: 1.., .. } if nothing_can_run => ended,
            Counts { stopped: 1.., restartable: 1.., .. } => Phase::Running,
            Counts { stopped: 1.., .. } => ended,
            _ => Phase::Pending,
        }
    }

    fn count_init(&self, container: &Container, counts: &mut Counts) {
        match container.record.as_ref().map(|record| &record.state) {
            None | Some(RecordState::Running { .. }) => counts.pending_init += 1,
            Some(RecordState::Exited(ended)) => {
                let failed = ended.exit_code != 0 && !super::decide::wants_start(&self.pod, container);
                counts.failed_init += usize::from(failed);
            }
        }
    }

    fn count_sidecar(&self, container: &Container, counts: &mut Counts) {
        let hidden = container.start_hook.is_some();
        match container.record.as_ref().map(|record| &record.state) {
            Some(RecordState::Running { .. }) if !hidden => {
                let started = super::probe::is_started(&self.pod, container);
                counts.pending_sidecars += usize::from(!started);
                counts.running += 1;
            }
            Some(RecordState::Exited(_)) => {}
            Some(RecordState::Running { .. }) if container.last.is_some() => {}
            None | Some(RecordState::Running { .. }) => {
                counts.pending_sidecars += 1;
                counts.waiting += 1;
            }
        }
    }

    fn count(&self, container: &Container, counts: &mut Counts) {
        match container.record.as_ref().map(|record| &record.state) {
            None => counts.waiting += 1,
            // Until its postStart hook is over an instance is not shown.
            Some(RecordState::Running { .. }) if container.start_hook.is_some() => match container.last {
                None => counts.waiting += 1,
                Some(_) => {
                    counts.stopped += 1;
                    counts.restartable += 1;
                }
            },
            Some(RecordState::Running { .. }) => counts.running += 1,
            Some(RecordState::Exited(ended)) => {
                counts.stopped += 1;
                // One that is shown waiting never counts as succeeded, even if it exited 0.
                counts.succeeded += usize::from(ended.exit_code == 0 && !self.is_shown_waiting(container));
                counts.restartable += usize::from(super::decide::wants_start(&self.pod, container));
            }
        }
    }

    /// The phase as published: a terminal one only once nothing can run any more, and then for good (1.1 rules 7 and 10);
    /// after the tear-down a pod that did not come to one has failed (1.3).
    pub(super) fn published_phase(&self, computed: Phase) -> Phase {
        let before = self.state.published.phase;
        if before.is_terminal() {
            return before;
        }
        let course = self.final_course();
        match computed.is_terminal() {
            true if course >= Course::TearingDown => computed,
            true => before,
            false if course >= Course::TornDown => Phase::Failed,
            false => computed,
        }
    }
}
