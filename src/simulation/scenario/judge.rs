//! The judge: every assertion of a scenario, held against each moment and each happening as they come. It never changes
//! what happens.

use std::time::Duration;

use super::condition::{Demand, Miss};
use super::moment::Seen;
use super::words::{Number, Span, Text};
use crate::manifest::node::Position;
use crate::pod::backoff::go_duration;
use crate::simulation::story::{Happening, Pattern, Source};

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
    fn holds(&self, at: Duration) -> bool {
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
}

/// The judge of one run.
#[derive(Debug)]
pub struct Judge<'s> {
    assertions: &'s [Assertion],
    open: Vec<Open>,
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
        };
        Judge { assertions, open: assertions.iter().map(open).collect() }
    }

    /// The times at which something must be judged although nothing happens, in no order.
    pub fn times(&self) -> Vec<Duration> {
        let mut times = Vec::new();
        for assertion in self.assertions {
            match &assertion.wish {
                Wish::At(at, _) => times.extend(at),
                Wish::By(time, _) => times.push(*time),
                Wish::Eventually { within, from, after: None, .. } => {
                    times.push(*from);
                    times.extend(within.map(|within| *from + within));
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
                Wish::By(time, demand) if *time <= seen.at => {
                    open.verdict = Some(failed(seen.at, format!("never so; at last {}", open.last), demand));
                }
                Wish::Eventually { demand, within: Some(within), from, after: None } if *from + *within <= seen.at => {
                    open.verdict = Some(failed(seen.at, format!("never so; at last {}", open.last), demand));
                }
                _ => {}
            }
        }
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

fn passed(at: Duration) -> Verdict {
    Verdict { passed: true, at, found: String::new(), about: None, vacuous: false }
}

fn failed(at: Duration, found: String, demand: &Demand) -> Verdict {
    Verdict { passed: false, at, found, about: demand.container.clone(), vacuous: false }
}

fn wrong(at: Duration, found: String, about: &str) -> Verdict {
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
                open.deadlines.push(seen.at + within.unwrap_or(Duration::MAX - seen.at));
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
        Wish::By(_, demand) => failed(end, format!("never so; at last {}", open.last), demand),
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
        Wish::Count { pattern, number, times, within, exactly, stretch } => {
            let found: Vec<Duration> = story
                .iter()
                .filter(|happening| stretch.holds(happening.at) && pattern.fits(happening))
                .map(|happening| happening.at)
                .collect();
            counted(pattern, number.as_ref(), times.as_deref(), (*within, *exactly), &found, end)
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

fn sequence(
    patterns: &[Pattern],
    stretch: Stretch,
    strictness: Strictness,
    end: Duration,
    story: &[Happening],
) -> Verdict {
    let mut wanted = patterns.iter();
    let mut next = wanted.next();
    let mut last = "the beginning".to_owned();
    for happening in story.iter().filter(|happening| stretch.holds(happening.at)) {
        let Some(pattern) = next else { return passed(end) };
        if pattern.fits(happening) {
            last = format!("{happening} at {}", go_duration(happening.at));
            next = wanted.next();
        } else if strictness == Strictness::Strict && patterns.iter().any(|pattern| pattern.fits_kind(happening)) {
            let found = format!("{happening} where {pattern} was to come, after {last}");
            return wrong(happening.at, found, &happening.about);
        }
    }
    match next {
        None => passed(end),
        Some(pattern) => wrong(end.min(stretch.to), format!("{pattern} did not come after {last}"), ""),
    }
}

fn counted(
    pattern: &Pattern,
    number: Option<&Number>,
    times: Option<&[Duration]>,
    (within, exactly): (Duration, bool),
    found: &[Duration],
    end: Duration,
) -> Verdict {
    let shown = |times: &[Duration]| times.iter().map(|time| go_duration(*time)).collect::<Vec<_>>().join(", ");
    let about = pattern.to_string().split('.').next().unwrap_or_default().to_owned();
    let all = format!("{} at {}", pattern, if found.is_empty() { "no time".to_owned() } else { shown(found) });
    if let Some(number) = number
        && !number.holds(i64::try_from(found.len()).unwrap_or(i64::MAX))
    {
        return wrong(
            found.last().copied().unwrap_or(end),
            format!("{} times, not {number}: {all}", found.len()),
            &about,
        );
    }
    for (index, wanted) in times.into_iter().flatten().enumerate() {
        match found.get(index) {
            Some(time) if time.abs_diff(*wanted) <= within => {}
            Some(time) => {
                let found = format!("number {} at {}, not {}: {all}", index + 1, go_duration(*time), Span(*wanted));
                return wrong((*time).max(*wanted).min(end), found, &about);
            }
            None => {
                return wrong(
                    (*wanted).min(end),
                    format!("no number {} (at {}): {all}", index + 1, Span(*wanted)),
                    &about,
                );
            }
        }
    }
    match (times, exactly, found.get(times.map_or(0, <[Duration]>::len))) {
        (Some(_), true, Some(more)) => wrong(*more, format!("one more at {}: {all}", go_duration(*more)), &about),
        _ => passed(end),
    }
}

/// The happenings of one instance: from the decision to start it to the next one.
fn of_instance<'h>(story: &'h [Happening], container: &str, instance: u32) -> Vec<&'h Happening> {
    let number = format!("instance {instance}");
    let next = format!("instance {}", instance.saturating_add(1));
    let starting = |happening: &&Happening, number: &str| happening.word == "Starting" && happening.detail == number;
    let mine = || story.iter().filter(|happening| happening.about == container);
    // A start that was tried again is told again: the last one led to the instance.
    let Some(first) = mine().rposition_of(|happening| starting(&happening, &number)) else { return Vec::new() };
    mine().skip(first).take_while(|happening| !starting(happening, &next)).collect()
}

trait RightmostPosition: Iterator + Sized {
    /// The place of the last item that fits.
    fn rposition_of(self, fits: impl Fn(Self::Item) -> bool) -> Option<usize>;
}

impl<I: Iterator> RightmostPosition for I {
    fn rposition_of(self, fits: impl Fn(I::Item) -> bool) -> Option<usize> {
        self.enumerate().filter_map(|(at, item)| fits(item).then_some(at)).last()
    }
}

fn cause(
    container: &str,
    instance: u32,
    is: Option<&Text>,
    (started_by, stopped_by): (&Option<String>, &Option<String>),
    end: Duration,
    story: &[Happening],
) -> Verdict {
    let life = of_instance(story, container, instance);
    let Some(first) = life.first() else {
        return wrong(end, format!("{container} has no instance {instance}"), container);
    };
    let rule = |happening: &Happening| happening.rule.as_ref().map(|rule| rule.0.clone()).unwrap_or_default();
    if let Some(wanted) = started_by
        && rule(first) != *wanted
    {
        return wrong(first.at, format!("{container} instance {instance} was started by {}", rule(first)), container);
    }
    let stops: Vec<&&Happening> = life.iter().filter(|h| matches!(h.word.as_str(), "Signalled" | "Killed")).collect();
    if let Some(wanted) = stopped_by
        && !stops.iter().any(|stop| rule(stop) == *wanted)
    {
        let by: Vec<String> = stops.iter().map(|stop| rule(stop)).collect();
        let by = if by.is_empty() { "no rule".to_owned() } else { by.join(", ") };
        let at = stops.first().map_or(end, |stop| stop.at);
        return wrong(at, format!("{container} instance {instance} was stopped by {by}"), container);
    }
    let Some(is) = is else { return passed(end) };
    let mut words: Vec<String> = Vec::new();
    let mut at = end;
    for happening in &life {
        match (happening.source, happening.word.as_str()) {
            (Source::Status, "Terminated") => {
                at = happening.at;
                words.extend(happening.detail.split(' ').map(str::to_owned));
            }
            (Source::Fact, "Exited") => {
                at = happening.at;
                words.extend(exit_words(&happening.detail));
            }
            (Source::Fact, "StartFailed") if happening.detail.starts_with("RunContainerError") => {
                at = happening.at;
                words.extend(["StartError".to_owned(), "128".to_owned()]);
            }
            (Source::Fact, "Lost") => {
                at = happening.at;
                words.extend(["ContainerStatusUnknown".to_owned(), "137".to_owned()]);
            }
            (Source::Event, "Killing") => {
                let text = happening.detail.to_ascii_lowercase();
                for (part, word) in [("liveness probe", "Liveness"), ("startup probe", "Startup")] {
                    words.extend(text.contains(part).then(|| word.to_owned()));
                }
            }
            _ => {}
        }
    }
    let mut told = std::collections::BTreeSet::new();
    words.retain(|word| told.insert(word.clone()));
    if words.iter().any(|word| is.holds(word)) {
        return passed(end);
    }
    let found = match words.is_empty() {
        true => format!("{container} instance {instance} has not ended"),
        false => format!("{container} instance {instance} ended: {}", words.join(", ")),
    };
    wrong(at, found, container)
}

/// All names of an end: `code 1`: 1, Error; `signal 11`: SIGSEGV, SEGV, 139, Error.
fn exit_words(detail: &str) -> Vec<String> {
    let killed = detail.strip_prefix("OOMKilled, ");
    let how = killed.unwrap_or(detail);
    let mut words = vec![how.to_owned()];
    words.extend(how.strip_prefix("code ").map(str::to_owned));
    if let Some(number) = how.strip_prefix("signal ").and_then(|number| number.parse::<i32>().ok()) {
        words.push((128 + number).to_string());
        if let Some(name) = super::signal_name(number) {
            words.extend([name.to_owned(), name.trim_start_matches("SIG").to_owned()]);
        }
    }
    words.push(match (killed, how) {
        (Some(_), _) => "OOMKilled".to_owned(),
        (None, "code 0") => "Completed".to_owned(),
        (None, _) => "Error".to_owned(),
    });
    words
}
