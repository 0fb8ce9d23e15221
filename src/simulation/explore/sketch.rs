//! A sequence of faults in the making: what happens to the pod and when, and habits of its containers that are no good. Each is a
//! piece that can be taken out alone.

use std::time::Duration;

use crate::simulation::scenario::Span;
use crate::simulation::scenario::format::{Actor, Fault, Hook, Instance, Reaction, ReactionEnd, Spec, Times};

/// Pieces.
#[derive(Clone, Debug, Default)]
pub struct Sketch {
    /// What happens to the pod, in the order of its times.
    pub faults: Vec<Fault>,
    /// What containers do.
    pub habits: Vec<(String, Habit)>,
}

/// What a container does, from its beginning.
#[derive(Clone, Debug, PartialEq)]
pub enum Habit {
    /// It does not react to SIGTERM.
    Deaf,
    /// It takes so long to end when it is told to.
    StopsSlowly(Duration),
    /// Its preStop hook does not end.
    PreStopHangs,
    /// Its preStop hook fails.
    PreStopFails,
    /// Its postStart hook takes so long.
    PostStartIsSlow(Duration),
    /// Its first instance's postStart hook fails.
    PostStartFails,
    /// Its start takes so long.
    StartsSlowly(Duration),
    /// It is ready only after so long.
    ReadyLate(Duration),
}

impl Sketch {
    /// How many pieces.
    pub fn len(&self) -> usize {
        self.faults.len() + self.habits.len()
    }

    /// Without the piece at this place: faults come first.
    pub fn without(&self, place: usize) -> Sketch {
        let mut less = self.clone();
        match place.checked_sub(self.faults.len()) {
            None => drop(less.faults.remove(place)),
            Some(habit) if habit < self.habits.len() => drop(less.habits.remove(habit)),
            Some(_) => {}
        }
        less
    }

    /// Puts all of it into a scenario.
    pub fn put_into(&self, spec: &mut Spec) {
        spec.faults.extend(self.faults.iter().cloned());
        for (container, habit) in &self.habits {
            habit.put_into(spec.actors.entry(container.clone()).or_default());
        }
    }
}

impl Habit {
    fn put_into(&self, actor: &mut Actor) {
        let each = &mut actor.each;
        match self {
            Habit::Deaf => each.ignore_signals = Some(vec!["TERM".to_owned()]),
            Habit::StopsSlowly(after) => {
                let end = ReactionEnd { exit: Some(0), signal: None, after: Span(*after) };
                each.on_signal = Some([("TERM".to_owned(), Reaction::Ends(end))].into());
            }
            Habit::PreStopHangs => each.pre_stop = Some(Hook { takes: Span(Duration::from_secs(3600)), fail: None }),
            Habit::PreStopFails => each.pre_stop = Some(failing()),
            Habit::PostStartIsSlow(takes) => each.post_start = Some(Hook { takes: Span(*takes), fail: None }),
            Habit::PostStartFails => {
                let first = Instance { post_start: Some(failing()), ..Instance::default() };
                actor.instances = vec![first, Instance::default()];
            }
            Habit::StartsSlowly(delay) => each.start_delay = Some(Span(*delay)),
            Habit::ReadyLate(after) => each.ready_after = Some(Span(*after)),
        }
    }

    /// The same, but less of it; none where there is nothing less.
    pub fn less(&self) -> Option<Habit> {
        let half = |time: &Duration| Some(Duration::from_secs(time.as_secs() / 2)).filter(|time| !time.is_zero());
        Some(match self {
            Habit::StopsSlowly(time) => Habit::StopsSlowly(half(time)?),
            Habit::PostStartIsSlow(time) => Habit::PostStartIsSlow(half(time)?),
            Habit::StartsSlowly(time) => Habit::StartsSlowly(half(time)?),
            Habit::ReadyLate(time) => Habit::ReadyLate(half(time)?),
            Habit::PreStopHangs => Habit::StopsSlowly(Duration::from_secs(5)),
            Habit::Deaf | Habit::PreStopFails | Habit::PostStartFails => return None,
        })
    }
}

fn failing() -> Hook {
    Hook { takes: Span(Duration::ZERO), fail: Some("command failed with exit code 1".to_owned()) }
}

/// When a fault comes first.
pub fn time(fault: &Fault) -> Duration {
    match (&fault.at, fault.from) {
        (Some(Times::One(at)), _) => at.0,
        (Some(Times::Many(times)), _) => times.first().map_or(Duration::ZERO, |time| time.0),
        (None, from) => from.unwrap_or_default().0,
    }
}

/// Lets it come then.
pub fn set_time(fault: &mut Fault, time: Duration) {
    match (&fault.at, fault.from, fault.to) {
        (Some(_), ..) => fault.at = Some(Times::One(Span(time))),
        (None, Some(from), Some(to)) => {
            fault.to = Some(Span(time + to.0.saturating_sub(from.0)));
            fault.from = Some(Span(time));
        }
        _ => {}
    }
}
