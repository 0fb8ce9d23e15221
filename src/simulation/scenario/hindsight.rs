//! Assertions about all that happened, judged when a scenario is over: what came after what, how often and when, and why.

use std::time::Duration;

use super::judge::{Stretch, Strictness, Verdict, passed, wrong};
use super::words::{Number, Span, Text};
use crate::pod::backoff::go_duration;
use crate::simulation::story::{Happening, Pattern, Source};

/// These happen in this order.
pub fn sequence(
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

/// Something happens so often, or at these times: no more than that early or late. What was found outside of `surely` may be left out:
/// it may have come too late to be meant.
pub fn counted(
    pattern: &Pattern,
    number: Option<&Number>,
    times: Option<&[Duration]>,
    (early, late): (Duration, Duration),
    exactly: bool,
    (found, surely): (&[Duration], Stretch),
    end: Duration,
) -> Verdict {
    let shown = |times: &[Duration]| times.iter().map(|time| go_duration(*time)).collect::<Vec<_>>().join(", ");
    let about = pattern.to_string().split('.').next().unwrap_or_default().to_owned();
    let all = format!("{} at {}", pattern, if found.is_empty() { "no time".to_owned() } else { shown(found) });
    let least = found.iter().filter(|time| surely.holds(**time)).count();
    let meant =
        |number: &Number| (least..=found.len()).any(|many| number.holds(i64::try_from(many).unwrap_or(i64::MAX)));
    if let Some(number) = number.filter(|number| !meant(number)) {
        return wrong(
            found.last().copied().unwrap_or(end),
            format!("{} times, not {number}: {all}", found.len()),
            &about,
        );
    }
    for (index, wanted) in times.into_iter().flatten().enumerate() {
        match found.get(index) {
            Some(time) if *wanted <= time.saturating_add(early) && *time <= wanted.saturating_add(late) => {}
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
        (Some(_), true, Some(more)) if surely.holds(*more) => {
            wrong(*more, format!("one more at {}: {all}", go_duration(*more)), &about)
        }
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

/// Why an instance ended, was started or stopped.
pub fn cause(
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
