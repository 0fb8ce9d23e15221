//! The run of a scenario with real processes, as its assertions look at it: the pod, its events and what happened, after each
//! input.

use std::time::Duration;

use super::replay::{self, Care, Outcome, Step};
use crate::pod::effect::Action;
use crate::simulation::scenario::real::Sighting;
use crate::simulation::story::Story;
use crate::simulation::{Entry, Line, View};
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
    let mut story = Story::default();
    let (mut sightings, mut shown, mut gone) = (Vec::<Sighting>::new(), None, false);
    let mut killed = besides.killed.iter().peekable();
    let outcome = replay::go_over(history, Care::Compare, &mut |step: &Step<'_>| {
        let from = story.happenings.len();
        while let Some(at) = killed.next_if(|at| **at <= step.at) {
            story.tell(*at, "SupervisorDied", String::new());
        }
        let mut lines = Vec::new();
        let mut line = |entry| lines.push(Line { at: step.at, entry });
        if let Some(input) = step.input {
            line(Entry::Input(input.fact.clone()));
        }
        let pod = step.machine.pod();
        let view = View::of(&pod);
        if shown.as_ref() != Some(&view) {
            shown = Some(view.clone());
            line(Entry::Status(view));
        }
        if let Some(decision) = step.decision {
            decision.notes.iter().for_each(|note| line(Entry::Note(note.clone())));
            decision.effects.iter().for_each(|effect| line(Entry::Effect(effect.clone())));
        }
        story.take(&lines);
        story.take_events(step.at, step.machine);
        gone |= step.effects.iter().any(|(_, action)| *action == Action::Remove);
        let news = story.happenings.get(from..).unwrap_or_default().to_vec();
        let (wall, events) = (step.machine.clock().wall, step.machine.events());
        sightings.push(Sighting { at: step.at, wall, pod, events, gone, news });
    });
    let from = story.happenings.len();
    killed.for_each(|at| story.tell(*at, "SupervisorDied", String::new()));
    if let Some(last) = sightings.last_mut() {
        last.news.extend(story.happenings.drain(from..));
    }
    if let (Some(at), Some(last), false) = (besides.gone, sightings.last(), gone) {
        let from = story.happenings.len();
        ["DeleteRequested", "Removed"].into_iter().for_each(|word| story.tell(at, word, String::new()));
        let news = story.happenings.drain(from..).collect();
        let (wall, pod, events) = (last.wall, last.pod.clone(), last.events.clone());
        sightings.push(Sighting { at, wall, pod, events, gone: true, news });
    }
    (sightings, outcome)
}
