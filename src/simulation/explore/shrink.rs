//! The least that breaks the same property: pieces are taken out, what is left is made simpler and comes at rounder times, as long
//! as the same assertion fails.

use std::time::Duration;

use super::ground::Ground;
use super::sketch::{Sketch, set_time, time};
use super::{Found, Plan, Played};
use crate::pod::backoff::go_duration;
use crate::simulation::scenario::Span;
use crate::simulation::scenario::format::{Down, ExitNow, Fault, Restart, Switch, Target, Times};
use crate::simulation::scenario::words::Answer;
use crate::simulation::scenario::{Reached, Verdict};

/// More attempts than this are not made; what is found by then is small enough.
const MOST: u32 = 1_500;

struct Shrinking<'g> {
    ground: &'g Ground,
    /// How long the sequence lasts.
    duration: Duration,
    seed: u64,
    /// Which assertion fails.
    assertion: usize,
    attempts: u32,
    /// The smallest so far, and what was found in it.
    sketch: Sketch,
    verdict: Verdict,
}

/// The least of a sequence that breaks this assertion.
pub fn shrink(ground: &Ground, plan: &Plan, played: &Played, assertion: usize) -> Result<Found, String> {
    let sketch = played.sketch.clone();
    let verdict = broken(ground, &sketch, plan.duration, assertion)?;
    let verdict = verdict.ok_or("a sequence does not go the same way twice")?;
    let mut shrinking =
        Shrinking { ground, duration: plan.duration, seed: plan.seed, assertion, attempts: 0, sketch, verdict };
    shrinking.take_out();
    shrinking.simplify();
    shrinking.come_sooner();
    shrinking.take_out();
    Ok(shrinking.found(played))
}

/// What is found of the assertion in a sequence, if it fails. The machine's own promises come behind all assertions.
fn broken(ground: &Ground, sketch: &Sketch, duration: Duration, assertion: usize) -> Result<Option<Verdict>, String> {
    let asserts = ground.scenario.spec.asserts.len();
    let only = (assertion < asserts).then_some(assertion);
    let mut reached = Reached::default();
    let verdicts = ground.play(sketch, duration, only, &mut reached)?;
    let place = if only.is_some() { 0 } else { asserts };
    Ok(verdicts.into_iter().nth(place).filter(|verdict| !verdict.passed))
}

impl Shrinking<'_> {
    /// Keeps these pieces if they still break it.
    fn keeps(&mut self, sketch: Sketch) -> bool {
        if self.attempts >= MOST {
            return false;
        }
        self.attempts += 1;
        match broken(self.ground, &sketch, self.duration, self.assertion) {
            Ok(Some(verdict)) => {
                (self.sketch, self.verdict) = (sketch, verdict);
                true
            }
            _ => false,
        }
    }

    /// Piece by piece, from the last, until none can be taken out.
    fn take_out(&mut self) {
        loop {
            let before = self.sketch.len();
            for place in (0..before).rev() {
                let less = self.sketch.without(place);
                self.keeps(less);
            }
            // Two that only cancel each other out go together.
            let many = self.sketch.len();
            for (first, second) in
                (0..many).flat_map(|first| (first + 1..many).map(move |second| (first, second))).rev()
            {
                if second < self.sketch.len() {
                    let less = self.sketch.without(second).without(first);
                    self.keeps(less);
                }
            }
            if self.sketch.len() == before && !self.trade() {
                return;
            }
        }
    }

    /// Two pieces for one crash of the container in question; whether that did.
    fn trade(&mut self) -> bool {
        let Some(container) = self.verdict.about.clone().filter(|_| self.sketch.len() > 1) else { return false };
        let many = self.sketch.len();
        for (place, gone) in (0..self.sketch.faults.len()).flat_map(|place| (0..many).map(move |gone| (place, gone))) {
            let mut sketch = self.sketch.clone();
            let Some(fault) = sketch.faults.get_mut(place).filter(|_| place != gone) else { continue };
            let at = Some(Times::One(Span(time(fault))));
            let exit = Some(Target::Full(ExitNow { container: container.clone(), code: 1 }));
            *fault = Fault { at, exit, ..Fault::default() };
            if self.keeps(sketch.without(gone)) {
                return true;
            }
        }
        false
    }

    fn simplify(&mut self) {
        for place in 0..self.sketch.faults.len() {
            while let Some(simpler) = self.sketch.faults.get(place).map(simpler)
                && simpler.into_iter().any(|fault| {
                    let mut sketch = self.sketch.clone();
                    sketch.faults.splice(place..=place, [fault]);
                    self.keeps(sketch)
                })
            {}
        }
        for place in 0..self.sketch.habits.len() {
            while let Some((container, less)) =
                self.sketch.habits.get(place).and_then(|(container, habit)| Some((container.clone(), habit.less()?)))
            {
                let mut sketch = self.sketch.clone();
                sketch.habits.splice(place..=place, [(container, less)]);
                if !self.keeps(sketch) {
                    break;
                }
            }
        }
    }

    /// Earlier and rounder times, each alone, and what lies between two faults.
    fn come_sooner(&mut self) {
        for place in 0..self.sketch.faults.len() {
            let Some(now) = self.sketch.faults.get(place).map(time) else { continue };
            let before =
                place.checked_sub(1).and_then(|before| self.sketch.faults.get(before)).map_or(Duration::ZERO, time);
            let after = [0, 1, 2, 5, 10, 20, 30, 60, 120, 300].map(|gap| before + Duration::from_secs(gap));
            let rounded = [60, 10, 5, 1].map(|unit| Duration::from_secs(now.as_secs() / unit * unit));
            for sooner in after.into_iter().chain(rounded).filter(|sooner| *sooner < now && *sooner >= before) {
                // All that follows comes sooner by as much, else this alone.
                let mut all = self.sketch.clone();
                for fault in all.faults.iter_mut().skip(place) {
                    let then = time(fault).saturating_sub(now - sooner);
                    set_time(fault, then);
                }
                let mut alone = self.sketch.clone();
                if let Some(fault) = alone.faults.get_mut(place) {
                    set_time(fault, sooner);
                }
                if self.keeps(all) || self.keeps(alone) {
                    break;
                }
            }
        }
    }

    fn found(self, played: &Played) -> Found {
        let asserts = self.ground.scenario.spec.asserts.len();
        let only = (self.assertion < asserts).then_some(self.assertion);
        // A breach is seen when the time has gone by.
        let end = Duration::from_secs(self.verdict.at.as_secs() + 2).min(self.duration);
        let ends = broken(self.ground, &self.sketch, end, self.assertion).ok().flatten();
        let (duration, verdict) = match ends {
            Some(verdict) => (end, verdict),
            None => (self.duration, self.verdict),
        };
        let mut scenario = self.ground.scenario(&self.sketch, duration, only);
        if only.is_none() {
            scenario.spec.asserts.clear();
        }
        let name = self.ground.pod.metadata.name.clone().unwrap_or_else(|| "pod".to_owned());
        let what =
            scenario.spec.asserts.first().and_then(|assert| assert.property).map_or("broken".to_owned(), |p| p.word());
        scenario.metadata.name = format!("{name}-{what}");
        scenario.spec.seed = Some(self.seed);
        scenario.spec.description = format!(
            "Found in sequence {} of seed {}: {} (at {}).",
            played.sequence,
            self.seed,
            verdict.found,
            go_duration(verdict.at)
        );
        Found { sequence: played.sequence, faults: played.sketch.len(), left: self.sketch.len(), verdict, scenario }
    }
}

/// The same fault, simpler in one way or another.
fn simpler(fault: &Fault) -> Vec<Fault> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Fault)| {
        let mut other = fault.clone();
        change(&mut other);
        all.push(other);
    };
    if let Some(Target::Full(kill)) = &fault.kill {
        let name = kill.container.clone();
        with(&|fault| fault.kill = Some(Target::Name(name.clone())));
    }
    if let Some(Target::Full(oom)) = &fault.oom {
        let name = oom.container.clone();
        with(&|fault| (fault.oom, fault.kill) = (None, Some(Target::Name(name.clone()))));
        with(&|fault| fault.oom = Some(Target::Name(name.clone())));
    }
    if let Some(Target::Full(lost)) = &fault.lost {
        let name = lost.container.clone();
        with(&|fault| fault.lost = Some(Target::Name(name.clone())));
    }
    if let Some(probe) = &fault.probe {
        if let Some(fail) = probe.fail.filter(|fail| *fail > 1) {
            for less in [1, fail / 2, fail - 1] {
                with(&|fault| fault.probe.iter_mut().for_each(|probe| probe.fail = Some(less)));
            }
        }
        if let Some(time) = probe.duration.filter(|time| time.0 > Duration::from_secs(1)) {
            let half = Duration::from_secs(time.0.as_secs() / 2);
            with(&|fault| fault.probe.iter_mut().for_each(|probe| probe.duration = Some(Span(half))));
        }
        if probe.answer == Some(Answer::Timeout) {
            with(&|fault| fault.probe.iter_mut().for_each(|probe| probe.answer = Some(Answer::Fail)));
        }
    }
    if let Some(times) = fault.start_error.as_ref().and_then(|error| error.times) {
        let less = (times > 2).then_some(times - 1);
        with(&|fault| fault.start_error.iter_mut().for_each(|error| error.times = less));
    }
    if let Some(times) = fault.image_error.as_ref().and_then(|error| error.times) {
        let less = (times > 2).then_some(times - 1);
        with(&|fault| fault.image_error.iter_mut().for_each(|error| error.times = less));
    }
    if let Some(Switch::Full(_)) = &fault.sandbox_error {
        with(&|fault| fault.sandbox_error = Some(Switch::On(true)));
    }
    if let Some(Switch::Full(_)) = &fault.volume_error {
        with(&|fault| fault.volume_error = Some(Switch::On(true)));
    }
    if let Some(Switch::Full(down)) = &fault.supervisor_death {
        let half = Duration::from_secs(down.down_for.0.as_secs() / 2);
        with(&|fault| fault.supervisor_death = Some(Switch::On(true)));
        if !half.is_zero() {
            let down = Down { down_for: Span(half) };
            with(&|fault| fault.supervisor_death = Some(Switch::Full(down.clone())));
        }
    }
    if let Some(Switch::Full(_)) = &fault.resize_error {
        with(&|fault| fault.resize_error = Some(Switch::On(true)));
    }
    if let Some(Restart::Full(on)) = &fault.restart {
        let name = on.container.clone();
        with(&|fault| fault.restart = Some(Restart::Name(name.clone())));
    }
    if let Some(debug) = &fault.debug {
        if debug.name.as_deref() != Some("debugger") {
            with(&|fault| fault.debug.iter_mut().for_each(|debug| debug.name = Some("debugger".to_owned())));
        }
        if debug.holds.is_some() {
            with(&|fault| fault.debug.iter_mut().for_each(|debug| debug.holds = None));
        }
        if debug.lasts.is_some() {
            with(&|fault| fault.debug.iter_mut().for_each(|debug| debug.lasts = None));
        }
    }
    if fault.storage.as_ref().is_some_and(|used| !used.at_once) {
        with(&|fault| fault.storage.iter_mut().for_each(|used| used.at_once = true));
    }
    if let Some(Switch::Full(_)) = &fault.stop {
        with(&|fault| fault.stop = Some(Switch::On(true)));
    }
    if let Some(Switch::Full(_)) = &fault.delete {
        with(&|fault| fault.delete = Some(Switch::On(true)));
    }
    if let Some(Switch::Full(_)) = &fault.sandbox_loss {
        with(&|fault| fault.sandbox_loss = Some(Switch::On(true)));
    }
    if let Some(Switch::Full(_)) = &fault.reboot {
        with(&|fault| fault.reboot = Some(Switch::On(true)));
    }
    all
}
