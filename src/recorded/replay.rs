//! A journal through the machine again. What the machine asked for then is taken away and must come again, input by input:
//! the same effects, and the same state.

use std::time::Duration;

use crate::pod::effect::{Action, Decision, EffectId};
use crate::pod::input::Input;
use crate::pod::machine::Machine;
use crate::pod::time::Moment;
use crate::supervisor::history::{Begin, Entry, History, Part, digest};

/// One input as it is gone over.
pub struct Step<'s> {
    /// Since the first thing that is known.
    pub at: Duration,
    /// What the machine was told; none for the admission, and where a part goes on from a snapshot.
    pub input: Option<&'s Input>,
    /// What it decided; none where another version did.
    pub decision: Option<&'s Decision>,
    /// What it asked for then, as the journal has it.
    pub effects: &'s [(EffectId, Action)],
    /// The machine afterwards.
    pub machine: &'s Machine,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Inputs, the admission among them, of which the machine decided again.
    pub decided: usize,
    /// Inputs of which another version of the machine has decided: taken as facts.
    pub assumed: usize,
    /// The first decision that is another one now.
    pub difference: Option<Difference>,
    /// What is not known: where the journal has gaps.
    pub gaps: Vec<Gap>,
    /// When the first thing happened that is known.
    pub begun: Option<Moment>,
    /// The pod's admission is known.
    pub from_admission: bool,
    /// The machine at the end; none when nothing is known.
    pub machine: Option<Machine>,
}

/// A stretch of the run of which nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// From then.
    pub from: Moment,
    /// To then.
    pub to: Moment,
}

/// A decision that is another one now.
#[derive(Clone, Debug)]
pub struct Difference {
    /// In which segment.
    pub segment: u64,
    /// At which input of it, from 1.
    pub input: usize,
    /// When.
    pub at: Moment,
    /// What the machine was told; none for the admission, or for a segment's beginning.
    pub told: Option<Input>,
    /// What differs.
    pub what: What,
}

/// What differs.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// What the machine asks for.
    Effects {
        /// As the journal has it.
        recorded: Vec<(EffectId, Action)>,
        /// As it comes now.
        decided: Vec<(EffectId, Action)>,
    },
    /// Not what it asks for, but what it knows then, or what it was told.
    State {
        /// As the journal has it.
        recorded: u64,
        /// As it comes now.
        decided: u64,
    },
    /// The next segment goes on from another state than this one ends with.
    Snapshot,
}

/// How closely the decisions are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// Effects and states are compared.
    Compare,
    /// What happened is of interest alone.
    Tell,
}

/// Goes over a history, and shows each step.
pub fn go_over(history: &History, care: Care, look: &mut dyn FnMut(&Step<'_>)) -> Outcome {
    let mut walk = Walk { machine: None, axis: Axis::default(), care, outcome: Outcome::default() };
    for part in &history.parts {
        walk.part(part, look);
    }
    walk.outcome.machine = walk.machine;
    walk.outcome
}

struct Walk {
    machine: Option<Machine>,
    axis: Axis,
    care: Care,
    outcome: Outcome,
}

impl Walk {
    fn part(&mut self, part: &Part, look: &mut dyn FnMut(&Step<'_>)) {
        self.axis.boot(&part.header.boot_id);
        let mut entries = part.entries.iter().enumerate();
        match &part.begin {
            Begin::Before => {}
            Begin::Snapshot(machine) => {
                self.goes_on(part, machine);
                let at = self.axis.resume(machine.clock());
                look(&Step { at, input: None, decision: None, effects: &[], machine });
                self.machine = Some((**machine).clone());
            }
            Begin::Admission { pod } => {
                let Some((_, entry)) = entries.next() else { return };
                let settings = entry.settings.clone().unwrap_or_default();
                let (machine, decision) = Machine::admit((**pod).clone(), settings, entry.at);
                self.outcome.from_admission = self.outcome.begun.is_none();
                self.outcome.begun.get_or_insert(entry.at);
                if part.is_of_this_machine() {
                    self.outcome.decided += 1;
                    self.compare(part, 1, entry, &decision, &machine);
                }
                let at = self.axis.since(entry.at);
                look(&Step { at, input: None, decision: Some(&decision), effects: &entry.effects, machine: &machine });
                self.machine = Some(machine);
            }
        }
        for (index, entry) in entries {
            let Some(input) = &entry.input else { continue };
            let Some(mut machine) = self.machine.take() else { return };
            self.outcome.begun.get_or_insert(entry.at);
            let at = self.axis.since(entry.at);
            // A machine that has once come to another state can only believe what stands there.
            let decides = part.is_of_this_machine() && self.outcome.difference.is_none();
            let decision = if decides {
                self.outcome.decided += 1;
                let decision = machine.step(input);
                self.compare(part, index + 1, entry, &decision, &machine);
                Some(decision)
            } else {
                self.outcome.assumed += 1;
                let ids: Vec<EffectId> = entry.effects.iter().map(|(id, _)| id.clone()).collect();
                machine.assume(input, &ids);
                None
            };
            look(&Step {
                at,
                input: Some(input),
                decision: decision.as_ref(),
                effects: &entry.effects,
                machine: &machine,
            });
            self.machine = Some(machine);
        }
    }

    fn compare(&mut self, part: &Part, number: usize, entry: &Entry, decision: &Decision, machine: &Machine) {
        if self.outcome.difference.is_some() {
            return;
        }
        let decided: Vec<(EffectId, Action)> =
            decision.effects.iter().map(|effect| (effect.id.clone(), effect.action.clone())).collect();
        let state = || digest(entry.input.as_ref(), machine);
        let what = if decided != entry.effects {
            What::Effects { recorded: entry.effects.clone(), decided }
        } else if self.care == Care::Compare && state() != entry.digest {
            What::State { recorded: entry.digest, decided: state() }
        } else {
            return;
        };
        let (at, told) = (entry.at, entry.input.clone());
        self.outcome.difference = Some(Difference { segment: part.number, input: number, at, told, what });
    }

    /// A part goes on from a snapshot: from where the part before it ended, if nothing is missing between them.
    fn goes_on(&mut self, part: &Part, snapshot: &Machine) {
        let (from, to) = (self.machine.as_ref().map(Machine::clock), snapshot.clock());
        self.outcome.begun.get_or_insert(to);
        let Some(before) = &mut self.machine else { return };
        if from != Some(to) {
            self.outcome.gaps.push(Gap { from: from.unwrap_or(to), to });
            return;
        }
        // Set going again, a pod gets the numbers of then.
        before.take_settings(snapshot.settings().clone());
        let comparable = self.care == Care::Compare && part.is_of_this_machine() && self.outcome.difference.is_none();
        if comparable && before.digest() != snapshot.digest() {
            let what = What::Snapshot;
            self.outcome.difference = Some(Difference { segment: part.number, input: 0, at: to, told: None, what });
        }
    }
}

/// Time since the first thing that is known, over boots: within one by the clock that no one sets, from one to the next by that
/// on the wall.
#[derive(Debug, Default)]
struct Axis {
    boot_id: Option<String>,
    /// Where this boot's time is reckoned from: that moment, and what it is since the beginning.
    anchor: Option<(Moment, Duration)>,
    last: (Option<Moment>, Duration),
}

impl Axis {
    fn boot(&mut self, boot_id: &str) {
        if self.boot_id.as_deref() != Some(boot_id) {
            self.boot_id = Some(boot_id.to_owned());
            self.anchor = None;
        }
    }

    /// A snapshot goes on from that moment, which may be of the boot before.
    fn resume(&mut self, at: Moment) -> Duration {
        self.last.0.get_or_insert(at);
        self.last.1
    }

    fn since(&mut self, at: Moment) -> Duration {
        let by_wall = match self.last {
            (Some(last), since) => {
                let later = u64::try_from(at.wall.0.saturating_sub(last.wall.0)).unwrap_or(0);
                since + Duration::from_nanos(later)
            }
            (None, _) => Duration::ZERO,
        };
        let (anchor, offset) = *self.anchor.get_or_insert((at, by_wall));
        // What is heard late keeps its time; the order stays that of the journal.
        let since = (offset + at.boot.since(anchor.boot)).max(self.last.1);
        self.last = (Some(at), since);
        since
    }
}
