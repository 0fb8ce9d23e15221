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
    /// The supervisor died at these times, and was away for so long.
    pub killed: Vec<(Duration, Duration)>,
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
        let mut deaths = Vec::new();
        while let Some((at, away)) = killed.next_if(|(at, _)| *at <= step.at) {
            telling.story.tell(*at, "SupervisorDied", String::new());
            deaths.push((*at, *away));
        }
        let pod = step.machine.pod();
        let lines = telling.take(step, &pod);
        gone |= step.effects.iter().any(|(_, action)| *action == Action::Remove);
        let news = telling.story.happenings.get(from..).unwrap_or_default().to_vec();
        let (wall, events) = (step.machine.clock().wall, step.machine.events());
        sightings.push(Sighting { at: step.at, wall, pod, events, gone, news, lines, deaths });
    });
    let from = telling.story.happenings.len();
    let after: Vec<(Duration, Duration)> = killed.copied().collect();
    after.iter().for_each(|(at, _)| telling.story.tell(*at, "SupervisorDied", String::new()));
    if let Some(last) = sightings.last_mut() {
        last.deaths.extend(after);
        last.news.extend(telling.story.happenings.drain(from..));
    }
    if let (Some(at), Some(last), false) = (besides.gone, sightings.last(), gone) {
        let from = telling.story.happenings.len();
        ["DeleteRequested", "Removed"].into_iter().for_each(|word| telling.story.tell(at, word, String::new()));
        let news = telling.story.happenings.drain(from..).collect();
        let (wall, pod, events) = (last.wall, last.pod.clone(), last.events.clone());
        let (lines, deaths) = (Vec::new(), Vec::new());
        sightings.push(Sighting { at, wall, pod, events, gone: true, news, lines, deaths });
    }
    (sightings, outcome)
}
