//! Steps of a recorded run, told as those of a scenario are.

use k8s_openapi::api::core::v1::Pod;

use super::replay::Step;
use crate::simulation::story::Story;
use crate::simulation::{Entry, Line, View};

/// The story so far.
#[derive(Default)]
pub(super) struct Telling {
    /// What happened.
    pub story: Story,
    /// How the pod was shown last.
    shown: Option<View>,
}

impl Telling {
    /// Tells a step: its input, what is shown of the pod if that is new, what was decided, and the events. Answers it as lines.
    pub fn take(&mut self, step: &Step<'_>, pod: &Pod) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut line = |entry| lines.push(Line { at: step.at, entry });
        if let Some(input) = step.input {
            line(Entry::Input(input.fact.clone()));
        }
        let view = View::of(pod);
        if self.shown.as_ref() != Some(&view) {
            self.shown = Some(view.clone());
            line(Entry::Status(view));
        }
        if let Some(decision) = step.decision {
            decision.notes.iter().for_each(|note| line(Entry::Note(note.clone())));
            decision.effects.iter().for_each(|effect| line(Entry::Effect(effect.clone())));
        }
        self.story.take(&lines);
        self.story.take_events(step.at, step.machine);
        lines
    }
}
