//! A real run is judged: the same assertions, each with some time more. No rule lets anything come early, and no machine does
//! anything at once: so what is to be at a time may come until so long after it.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};

use crate::pod::time::WallTime;
use crate::simulation::scenario::case::place;
use crate::simulation::scenario::judge::{Assertion, Judge, Stretch, Verdict, Wish};
use crate::simulation::scenario::moment::Seen;
use crate::simulation::scenario::properties::Watch;
use crate::simulation::scenario::run::World;
use crate::simulation::scenario::{Case, Judged, Outcome};
use crate::simulation::story::Happening;
use crate::simulation::timeline::Line;

/// A real pod after one input.
#[derive(Debug)]
pub struct Sighting {
    /// Since its admission.
    pub at: Duration,
    /// On the wall.
    pub wall: WallTime,
    /// The pod.
    pub pod: Pod,
    /// Its events.
    pub events: Vec<Event>,
    /// The pod object is gone.
    pub gone: bool,
    /// What happened.
    pub news: Vec<Happening>,
    /// The same as the machine was told it, what it asked for, and what users see since.
    pub lines: Vec<Line>,
    /// The supervisor died then, and was away for so long.
    pub deaths: Vec<(Duration, Duration)>,
}

impl Sighting {
    /// It is looked at at this time, as nothing has happened since.
    fn held_against<T>(&self, at: Duration, look: impl FnOnce(&Seen<'_>) -> T) -> T {
        let later = i64::try_from(at.saturating_sub(self.at).as_nanos()).unwrap_or(i64::MAX);
        let wall = WallTime(self.wall.0.saturating_add(later));
        look(&Seen::new(at, wall, &self.pod, self.gone, &|| self.events.clone()))
    }

    /// What happened is held against the properties.
    fn watched(&self, watch: &mut Watch, tolerance: Duration) {
        let died = |watch: &mut Watch, before: bool| {
            for (at, away) in self.deaths.iter().filter(|(at, _)| (*at <= self.at) == before) {
                watch.supervisor_died(*at, at.saturating_add(*away).saturating_add(tolerance));
            }
        };
        died(watch, true);
        watch.take(&self.lines);
        died(watch, false);
    }
}

impl Case {
    /// Judges a real run. `notes` are for the report; `broken` says what went wrong with the machine itself.
    pub fn judge(
        self,
        sightings: Vec<Sighting>,
        tolerance: Duration,
        notes: Vec<String>,
        broken: Option<String>,
    ) -> Outcome {
        let (title, driver) = (self.title(), Box::new(self.driver()));
        let end = self.duration.saturating_add(tolerance);
        let assertions: Vec<Assertion> =
            self.assertions.into_iter().map(|one| Assertion { wish: loosened(one.wish, tolerance), ..one }).collect();
        let mut judge = Judge::new(&assertions);
        let mut times = judge.times();
        times.push(end);
        times.retain(|time| *time <= end);
        times.sort_unstable();
        times.dedup();
        let inputs = sightings.len();
        // The pod as it was really admitted: with the probes and hooks of a real one.
        let mut watch = judge
            .properties()
            .zip(sightings.first())
            .map(|(within, first)| Watch::new(&first.pod, &self.settings, &self.script, within, tolerance));
        let mut sightings = sightings.into_iter().filter(|sighting| sighting.at <= end).peekable();
        let (mut story, mut last) = (Vec::new(), None::<Sighting>);
        for time in times {
            while let Some(sighting) = sightings.next_if(|sighting| sighting.at <= time) {
                sighting.held_against(sighting.at, |seen| judge.see(seen, &sighting.news));
                if let Some(watch) = &mut watch {
                    sighting.watched(watch, tolerance);
                }
                story.extend(sighting.news.iter().cloned());
                last = Some(sighting);
            }
            if let Some(last) = &last {
                last.held_against(time, |seen| judge.at(seen));
            }
        }
        for (breach, within) in watch.iter_mut().flat_map(|watch| watch.breaches(end)) {
            judge.breached(&breach, within);
        }
        let verdicts = last.map(|last| last.held_against(end, |seen| judge.end(seen, &story))).unwrap_or_default();
        let one = |(assertion, verdict): (&Assertion, Verdict)| Judged {
            shown: assertion.shown.clone(),
            place: place(assertion.position),
            path: assertion.path.clone(),
            verdict,
        };
        let mut judged: Vec<Judged> = assertions.iter().zip(verdicts).map(one).collect();
        judged.extend(broken.map(|found| Judged {
            shown: "the machine keeps its own promises".to_owned(),
            place: String::new(),
            path: String::new(),
            verdict: Verdict { passed: false, at: end, found, about: None, vacuous: false },
        }));
        Outcome {
            title,
            file: self.file,
            variant: self.variant,
            seed: self.seed,
            judged,
            story,
            notes,
            duration: end,
            inputs,
            world: World::Real { tolerance },
            driver,
        }
    }
}

/// The same wish, with some time more.
fn loosened(wish: Wish, more: Duration) -> Wish {
    // What is so from a time on may become so a little later; at the admission all begins.
    let later = |stretch: Stretch| {
        let from = if stretch.from.is_zero() { stretch.from } else { stretch.from.saturating_add(more) };
        Stretch { from: from.min(stretch.to), to: stretch.to }
    };
    let longer = |stretch: Stretch| Stretch { to: stretch.to.saturating_add(more), ..stretch };
    match wish {
        Wish::At(times, demand) => Wish::Within(
            times.into_iter().map(|from| Stretch { from, to: from.saturating_add(more) }).collect(),
            demand,
        ),
        Wish::By(time, demand) => Wish::By(time.saturating_add(more), demand),
        Wish::Always(demand, stretch) => Wish::Always(demand, later(stretch)),
        Wish::Never(demand, stretch) => Wish::Never(demand, later(stretch)),
        Wish::Eventually { demand, within, from, after } => {
            Wish::Eventually { demand, within: within.map(|within| within.saturating_add(more)), from, after }
        }
        Wish::Sequence(patterns, stretch, strictness) => Wish::Sequence(patterns, longer(stretch), strictness),
        Wish::Count { pattern, number, times, within, late, exactly, stretch } => Wish::Count {
            pattern,
            number,
            times,
            within,
            late: late.saturating_add(more),
            exactly,
            stretch: longer(stretch),
        },
        wish @ (Wish::Within(..) | Wish::Cause { .. } | Wish::Rule(..) | Wish::Property(..)) => wish,
    }
}
