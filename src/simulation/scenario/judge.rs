//! The judge: every assertion of a scenario, held against each moment and each happening as they come. It never changes
//! what happens.

use std::collections::BTreeSet;
use std::time::Duration;

use super::condition::{Demand, Miss};
use super::hindsight::{cause, counted, sequence};
use super::moment::Seen;
use super::properties::{Breach, Property};
use super::words::{Number, Text};
use crate::manifest::node::Position;
use crate::pod::backoff::go_duration;
use crate::simulation::story::{Happening, Pattern};

/// An assertion made ready.
#[derive(Debug)]
pub struct Assertion {
    /// As the report names it.
    pub shown: String,
    /// Where it stands in its file.
    pub position: Position,
    /// Its path in its file.
    pub path: String,
    /// What is demanded.
    pub wish: Wish,
}

/// What an assertion demands.
#[derive(Debug)]
pub enum Wish {
    /// The condition holds at each of these times.
    At(Vec<Duration>, Demand),
    /// The condition holds at some moment of each of these stretches: [`Wish::At`] of a run in real time.
    Within(Vec<Stretch>, Demand),
    /// The condition holds at some moment no later than this.
    By(Duration, Demand),
    /// The condition holds at every moment of a stretch.
    Always(Demand, Stretch),
    /// The condition holds at no moment of a stretch.
    Never(Demand, Stretch),
    /// The condition comes to hold.
    Eventually {
        /// The condition.
        demand: Demand,
        /// Within this.
        within: Option<Duration>,
        /// Counted from here, or from each of these happenings.
        from: Duration,
        /// See `from`.
        after: Option<Pattern>,
    },
    /// These happen in this order.
    Sequence(Vec<Pattern>, Stretch, Strictness),
    /// Something happens so often, or at these times.
    Count {
        /// What.
        pattern: Pattern,
        /// How often.
        number: Option<Number>,
        /// When, one after another.
        times: Option<Vec<Duration>>,
        /// Give or take this.
        within: Duration,
        /// And so much later: what real time is allowed.
        late: Duration,
        /// There are no others beyond `times`.
        exactly: bool,
        /// Where it is looked for.
        stretch: Stretch,
    },
    /// Why an instance ended, was started or stopped.
    Cause {
        /// Of which container.
        container: String,
        /// Which instance, from 1.
        instance: u32,
        /// Why it ended.
        is: Option<Text>,
        /// The rule that started it.
        started_by: Option<String>,
        /// The rule that stopped it.
        stopped_by: Option<String>,
    },
    /// A rule decided so often.
    Rule(String, Option<String>, Number),
    /// A property holds all the time; [`Property::ReadyAgain`] within a time.
    Property(Property, Option<Duration>),
}

/// From when to when.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// From then on.
    pub from: Duration,
    /// Up to then.
    pub to: Duration,
}

impl Stretch {
    pub(super) fn holds(&self, at: Duration) -> bool {
        self.from <= at && at <= self.to
    }
}

/// Whether something else may come between the steps of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// It may.
    Loose,
    /// Nothing that one of the patterns names with another detail.
    Strict,
}

/// What became of an assertion.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Whether it holds.
    pub passed: bool,
    /// When that was known.
    pub at: Duration,
    /// Of a violated one: what was found instead.
    pub found: String,
    /// The container that it is about, for finding the rule that decided.
    pub about: Option<String>,
    /// The condition held from the beginning, so that waiting for it says little.
    pub vacuous: bool,
}

/// An assertion that is being judged.
#[derive(Debug)]
struct Open {
    verdict: Option<Verdict>,
    /// What was found last.
    last: String,
    /// The condition could be held against at least one moment.
    clear: bool,
    /// Moments looked at.
    looks: u32,
    /// When each occurrence of `after` must have been answered.
    deadlines: Vec<Duration>,
    occurred: bool,
    /// Of which stretches of [`Wish::Within`] there was a moment, by their numbers.
    met: BTreeSet<usize>,
}

/// The judge of one run.
#[derive(Debug)]
pub struct Judge<'s> {
    assertions: &'s [Assertion],
    open: Vec<Open>,
    /// The pod object was seen to be gone.
    gone: bool,
}

impl<'s> Judge<'s> {
    /// Of these assertions.
    pub fn new(assertions: &'s [Assertion]) -> Judge<'s> {
        let open = |_: &Assertion| Open {
            verdict: None,
            last: String::new(),
            clear: false,
            looks: 0,
            deadlines: Vec::new(),
            occurred: false,
            met: BTreeSet::new(),
        };
        Judge { assertions, open: assertions.iter().map(open).collect(), gone: false }
    }

    /// The times at which something must be judged although nothing happens, in no order.
    pub fn times(&self) -> Vec<Duration> {
        let mut times = Vec::new();
        for assertion in self.assertions {
            match &assertion.wish {
                Wish::At(at, _) => times.extend(at),
                Wish::Within(stretches, _) => {
                    times.extend(stretches.iter().flat_map(|stretch| [stretch.from, stretch.to]));
                }
                Wish::By(time, _) => times.push(*time),
                Wish::Eventually { within, from, after: None, .. } => {
                    times.push(*from);
                    times.extend(within.map(|within| from.saturating_add(within)));
                }
                Wish::Always(_, stretch) | Wish::Never(_, stretch) => times.push(stretch.from),
                _ => {}
            }
        }
        times
    }

    /// Whether any condition may change although a user sees no change of the pod.
    pub fn watches_time(&self) -> bool {
        self.assertions.iter().any(|assertion| match &assertion.wish {
            Wish::By(_, demand)
            | Wish::Within(_, demand)
            | Wish::Always(demand, _)
            | Wish::Never(demand, _)
            | Wish::Eventually { demand, .. } => demand.watches_time(),
            _ => false,
        })
    }

    /// Whether any assertion waits for something to happen.
    pub fn listens(&self) -> bool {
        self.assertions.iter().any(|assertion| matches!(&assertion.wish, Wish::Eventually { after: Some(_), .. }))
    }

    /// Something was told to the machine, or the world changed; `news` happened.
    pub fn see(&mut self, seen: &Seen<'_>, news: &[Happening]) {
        if seen.gone && !std::mem::replace(&mut self.gone, true) {
            // Its last status is published before the object goes: whoever watches a pod sees it.
            self.look(&seen.before_it_went(), &[]);
        }
        self.look(seen, news);
    }

    fn look(&mut self, seen: &Seen<'_>, news: &[Happening]) {
        for (assertion, open) in self.assertions.iter().zip(&mut self.open) {
            if open.verdict.is_none() {
                look(&assertion.wish, open, seen, news);
            }
        }
    }

    /// All that happens at this time has happened.
    pub fn at(&mut self, seen: &Seen<'_>) {
        for (assertion, open) in self.assertions.iter().zip(&mut self.open) {
            if open.verdict.is_some() {
                continue;
            }
            // A stretch begins with what is so then, whether anything happens in it or not.
            let begins = match &assertion.wish {
                Wish::Always(_, stretch) | Wish::Never(_, stretch) => stretch.from == seen.at,
                Wish::Within(stretches, _) => stretches.iter().any(|stretch| stretch.holds(seen.at)),
                Wish::Eventually { from, after: None, .. } => *from == seen.at && !from.is_zero(),
                _ => false,
            };
            if begins {
                look(&assertion.wish, open, seen, &[]);
            }
            if open.verdict.is_some() {
                continue;
            }
            match &assertion.wish {
                Wish::At(times, demand) if times.contains(&seen.at) => {
                    if let Err(miss) = guarded(demand, seen) {
                        open.verdict = Some(failed(seen.at, miss.found, demand));
                    }
                }
                Wish::Within(stretches, demand) => {
                    let over =
                        |(index, stretch): (usize, &Stretch)| stretch.to <= seen.at && !open.met.contains(&index);
                    if stretches.iter().enumerate().any(over) {
                        open.verdict = Some(failed(seen.at, open.last.clone(), demand));
                    }
                }
                Wish::By(time, demand) if *time <= seen.at => {
                    open.verdict = Some(failed(seen.at, format!("never so; at last {}", open.last), demand));
                }
                Wish::Eventually { demand, within: Some(within), from, after: None }
                    if from.saturating_add(*within) <= seen.at =>
                {
                    open.verdict = Some(failed(seen.at, format!("never so; at last {}", open.last), demand));
                }
                _ => {}
            }
        }
    }

    /// The times within which the pod is to be Ready again; none when no property is asserted.
    pub fn properties(&self) -> Option<Vec<Duration>> {
        let wishes = self.assertions.iter().filter_map(|assertion| match &assertion.wish {
            Wish::Property(_, within) => Some(*within),
            _ => None,
        });
        let all: Vec<Option<Duration>> = wishes.collect();
        (!all.is_empty()).then(|| all.into_iter().flatten().collect())
    }

    /// A property was breached; of [`Property::ReadyAgain`] the wish with that time.
    pub fn breached(&mut self, breach: &Breach, time: Option<Duration>) {
        for (assertion, open) in self.assertions.iter().zip(&mut self.open) {
            let meant = matches!(&assertion.wish, Wish::Property(property, within) if *property == breach.property && *within == time);
            if meant && open.verdict.is_none() {
                let about = Some(breach.about.clone()).filter(|about| !about.is_empty());
                open.verdict =
                    Some(Verdict { passed: false, at: breach.at, found: breach.found.clone(), about, vacuous: false });
            }
        }
    }

    /// Whether the story is needed for a verdict.
    pub fn reads_story(&self) -> bool {
        let reads = |wish: &Wish| {
            matches!(
                wish,
                Wish::Sequence(..)
                    | Wish::Count { .. }
                    | Wish::Cause { .. }
                    | Wish::Rule(..)
                    | Wish::Eventually { after: Some(_), .. }
            )
        };
        self.assertions.iter().any(|assertion| reads(&assertion.wish))
    }

    /// Whether a condition is judged, beside properties.
    pub fn looks(&self) -> bool {
        self.assertions.iter().any(|assertion| !matches!(&assertion.wish, Wish::Property(..)))
    }

    /// The scenario is over.
    pub fn end(mut self, seen: &Seen<'_>, story: &[Happening]) -> Vec<Verdict> {
        for (assertion, open) in self.assertions.iter().zip(&mut self.open) {
            if open.verdict.is_none() {
                open.verdict = Some(at_end(&assertion.wish, open, seen.at, story));
            }
        }
        self.open.into_iter().filter_map(|open| open.verdict).collect()
    }
}

pub(super) fn passed(at: Duration) -> Verdict {
    Verdict { passed: true, at, found: String::new(), about: None, vacuous: false }
}

fn failed(at: Duration, found: String, demand: &Demand) -> Verdict {
    Verdict { passed: false, at, found, about: demand.container.clone(), vacuous: false }
}

pub(super) fn wrong(at: Duration, found: String, about: &str) -> Verdict {
    Verdict { passed: false, at, found, about: Some(about.to_owned()), vacuous: false }
}

/// With what stands beside it as `while`.
fn guarded(demand: &Demand, seen: &Seen<'_>) -> Result<(), Miss> {
    if let Some(guard) = &demand.holding {
        guard.holds(seen)?;
    }
    demand.holds(seen)
}

/// Whether something is demanded at this moment: `while` holds.
fn demanded(demand: &Demand, seen: &Seen<'_>) -> bool {
    demand.holding.as_ref().is_none_or(|guard| guard.holds(seen).is_ok())
}

/// Nothing can be said of a pod that is gone, but that.
fn too_late(demand: &Demand, seen: &Seen<'_>) -> bool {
    seen.gone && !demand.knows_deletion()
}

fn look(wish: &Wish, open: &mut Open, seen: &Seen<'_>, news: &[Happening]) {
    match wish {
        Wish::Within(stretches, demand) if stretches.iter().any(|stretch| stretch.holds(seen.at)) => {
            let now =
                stretches.iter().enumerate().filter(|(_, stretch)| stretch.holds(seen.at)).map(|(index, _)| index);
            match guarded(demand, seen) {
                Ok(()) => open.met.extend(now),
                Err(miss) => open.last = miss.found,
            }
        }
        Wish::By(time, demand) if seen.at <= *time => come_true(demand, open, seen),
        Wish::Always(demand, stretch)
            if stretch.holds(seen.at) && !too_late(demand, seen) && demanded(demand, seen) =>
        {
            open.clear = true;
            if let Err(miss) = demand.holds(seen) {
                open.verdict = Some(failed(seen.at, miss.found, demand));
            }
        }
        Wish::Never(demand, stretch) if stretch.holds(seen.at) && !too_late(demand, seen) => {
            match guarded(demand, seen) {
                Ok(()) => open.verdict = Some(failed(seen.at, "it is so".to_owned(), demand)),
                Err(miss) => {
                    open.clear |= !miss.unclear;
                    if miss.unclear {
                        open.last = miss.found;
                    }
                }
            }
        }
        Wish::Eventually { demand, from, after: None, .. } if seen.at >= *from => come_true(demand, open, seen),
        Wish::Eventually { demand, within, after: Some(pattern), from } => {
            if news.iter().any(|news| news.at >= *from && pattern.fits(news)) {
                open.occurred = true;
                open.deadlines.push(seen.at.saturating_add(within.unwrap_or(Duration::MAX)));
            }
            if open.deadlines.is_empty() {
                return;
            }
            match guarded(demand, seen) {
                Ok(()) if open.deadlines.iter().all(|deadline| seen.at <= *deadline) => open.deadlines.clear(),
                Ok(()) => {}
                Err(miss) => open.last = miss.found,
            }
            if let Some(deadline) = open.deadlines.iter().find(|deadline| **deadline < seen.at) {
                open.verdict = Some(failed(*deadline, format!("not so within that time; {}", open.last), demand));
            }
        }
        _ => {}
    }
}

fn come_true(demand: &Demand, open: &mut Open, seen: &Seen<'_>) {
    open.looks += 1;
    match guarded(demand, seen) {
        Ok(()) => open.verdict = Some(Verdict { vacuous: open.looks == 1, ..passed(seen.at) }),
        Err(miss) => open.last = miss.found,
    }
}

fn at_end(wish: &Wish, open: &Open, end: Duration, story: &[Happening]) -> Verdict {
    match wish {
        Wish::At(times, demand) => match times.iter().find(|time| **time > end) {
            Some(time) => failed(end, format!("the scenario ends before {}", go_duration(*time)), demand),
            None => passed(end),
        },
        Wish::Within(stretches, demand) => {
            match stretches.iter().enumerate().find(|(index, _)| !open.met.contains(index)) {
                Some((_, stretch)) => {
                    failed(end, format!("the scenario ends before {}", go_duration(stretch.to)), demand)
                }
                None => passed(end),
            }
        }
        Wish::By(_, demand) => failed(end, format!("never so; at last {}", open.last), demand),
        Wish::Property(..) => passed(end),
        Wish::Always(demand, stretch) | Wish::Never(demand, stretch) => match (open.clear, demand.holding.is_some()) {
            (true, _) | (false, true) => passed(end),
            (false, false) if stretch.from > end => failed(end, "the scenario ends before `from`".to_owned(), demand),
            (false, false) if open.last.is_empty() => failed(end, "there was no moment to look at".to_owned(), demand),
            (false, false) => failed(end, format!("it could not be found out at any moment: {}", open.last), demand),
        },
        Wish::Eventually { demand, after: None, .. } => failed(end, format!("never so; at last {}", open.last), demand),
        Wish::Eventually { demand, after: Some(pattern), .. } => match open.deadlines.iter().min() {
            _ if !open.occurred => failed(end, format!("{pattern} never happened"), demand),
            None => passed(end),
            Some(deadline) if *deadline < end => {
                failed(*deadline, format!("not so within that time; {}", open.last), demand)
            }
            Some(_) => failed(end, format!("not so when the scenario ends; {}", open.last), demand),
        },
        Wish::Sequence(patterns, stretch, strictness) => sequence(patterns, *stretch, *strictness, end, story),
        Wish::Count { pattern, number, times, within, late, exactly, stretch } => {
            let found: Vec<Duration> = story
                .iter()
                .filter(|happening| stretch.holds(happening.at) && pattern.fits(happening))
                .map(|happening| happening.at)
                .collect();
            let from = if stretch.from.is_zero() { stretch.from } else { stretch.from.saturating_add(*late) };
            let surely = Stretch { from, to: stretch.to.min(end).saturating_sub(*late) };
            let around = (*within, *within + *late);
            counted(pattern, number.as_ref(), times.as_deref(), around, *exactly, (&found, surely), end)
        }
        Wish::Cause { container, instance, is, started_by, stopped_by } => {
            cause(container, *instance, is.as_ref(), (started_by, stopped_by), end, story)
        }
        Wish::Rule(name, container, number) => {
            let fits = |happening: &&Happening| {
                happening.rule.as_ref().is_some_and(|rule| rule.0 == *name)
                    && container.as_ref().is_none_or(|container| *container == happening.about)
            };
            let count = story.iter().filter(fits).count();
            if number.holds(i64::try_from(count).unwrap_or(i64::MAX)) {
                return passed(end);
            }
            wrong(end, format!("it decided {count} times, not {number}"), container.as_deref().unwrap_or_default())
        }
    }
}
