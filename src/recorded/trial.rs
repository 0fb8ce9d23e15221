//! The run of a scenario with real processes, as its assertions look at it: the pod, its events and what happened, after each
//! input.

use std::time::Duration;

use super::replay::{self, Care, Outcome, Step};
use super::telling::Telling;
use crate::pod::effect::Action;
use crate::simulation::scenario::real::Sighting;
use crate::supervisor::history::History;

/// What no journal tells: who did it knows it.
#[derive(Debug, Default)]
pub struct Besides {
    /// The supervisor was killed at these times.
    pub killed: Vec<Duration>,
    /// The pod was found to be gone then. One that had ended has no supervisor to hear of a delete.
    pub gone: Option<Duration>,
}

/// What there was to see, and how the journal was gone over.
pub fn sightings(history: &History, besides: &Besides) -> (Vec<Sighting>, Outcome) {
    let mut telling = Telling::default();
    let (mut sightings, mut gone) = (Vec::<Sighting>::new(), false);
    let mut killed = besides.killed.iter().peekable();
    let outcome = replay::go_over(history, Care::Compare, &mut |step: &Step<'_>| {
        let from = telling.story.happenings.len();
        while let Some(at) = killed.next_if(|at| **at <= step.at) {
            telling.story.tell(*at, "SupervisorDied", String::new());
        }
        let pod = step.machine.pod();
        telling.take(step, &pod);
        gone |= step.effects.iter().any(|(_, action)| *action == Action::Remove);
        let news = telling.story.happenings.get(from..).unwrap_or_default().to_vec();
        let (wall, events) = (step.machine.clock().wall, step.machine.events());
        sightings.push(Sighting { at: step.at, wall, pod, events, gone, news });
    });
    let from = telling.story.happenings.len();
    killed.for_each(|at| telling.story.tell(*at, "SupervisorDied", String::new()));
    if let Some(last) = sightings.last_mut() {
        last.news.extend(telling.story.happenings.drain(from..));
    }
    if let (Some(at), Some(last), false) = (besides.gone, sightings.last(), gone) {
        let from = telling.story.happenings.len();
        ["DeleteRequested", "Removed"].into_iter().for_each(|word| telling.story.tell(at, word, String::new()));
        let news = telling.story.happenings.drain(from..).collect();
        let (wall, pod, events) = (last.wall, last.pod.clone(), last.events.clone());
        sightings.push(Sighting { at, wall, pod, events, gone: true, news });
    }
    (sightings, outcome)
}
