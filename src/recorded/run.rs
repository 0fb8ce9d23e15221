//! A recorded run as a story: what happened, what was decided and by which rule, as of a scenario.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::replay::{self, Care, Outcome, Step};
use super::telling::Telling;
use crate::pod::machine::Machine;
use crate::pod::time::{BootTime, Moment, WallTime};
use crate::simulation::story::Happening;
use crate::supervisor::history::History;

/// What is known of a pod's run.
#[derive(Debug)]
pub struct Run {
    /// All that happened, as far as it is known.
    pub story: Vec<Happening>,
    /// How it was gone over, and the machine at its end.
    pub outcome: Outcome,
    /// The last thing happened then.
    pub last: Duration,
}

impl Run {
    /// Goes over what is kept.
    pub fn of(history: &History) -> Run {
        let (mut telling, mut last) = (Telling::default(), Duration::ZERO);
        let outcome = replay::go_over(history, Care::Tell, &mut |step: &Step<'_>| {
            telling.take(step, &step.machine.pod());
            last = step.at;
        });
        Run { story: telling.story.happenings, outcome, last }
    }

    /// The pod as it was then.
    pub fn pod(&self) -> Option<Pod> {
        self.outcome.machine.as_ref().map(Machine::pod)
    }

    /// When that was, on the wall, by the clock as it went at the end.
    pub fn wall(&self, at: Duration) -> WallTime {
        let clock = self.outcome.machine.as_ref().map(Machine::clock).unwrap_or_default();
        let back = i64::try_from(self.last.saturating_sub(at).as_nanos()).unwrap_or(i64::MAX);
        let on = i64::try_from(at.saturating_sub(self.last).as_nanos()).unwrap_or(i64::MAX);
        WallTime(clock.wall.0.saturating_sub(back).saturating_add(on))
    }

    /// How long the run has lasted by then, within the boot of its end.
    pub fn since_beginning(&self, now: BootTime) -> Duration {
        let clock: Moment = self.outcome.machine.as_ref().map(Machine::clock).unwrap_or_default();
        self.last + now.since(clock.boot)
    }
}
