//! Outcomes for people: a line a scenario, and for each violated assertion where it stands, what was found instead, what
//! happened around it, and the rule that decided so.

use std::fmt::Write;
use std::time::Duration;

use super::reports::Report;
use crate::cli::happenings::{line, lines, told};
use crate::pod::backoff::go_duration;
use crate::pod::rules;
use crate::simulation::scenario::{Judged, Outcome, World};
use crate::simulation::story::Happening;

/// How much is told.
pub struct Shown {
    /// All that happened.
    pub timeline: bool,
    /// Nothing of what passed.
    pub quiet: bool,
}

/// So many happenings before a violation are shown, and so many after it.
const BEFORE: usize = 12;
const AFTER: usize = 3;

/// One scenario.
pub fn outcome(outcome: &Outcome, shown: &Shown, colour: bool) -> String {
    let (good, bad, faint, plain) =
        if colour { ("\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m") } else { ("", "", "", "") };
    let passed = outcome.passed();
    if passed && shown.quiet {
        return String::new();
    }
    let (mark, paint) = if passed { ("✓", good) } else { ("✗", bad) };
    let count = outcome.judged.len();
    let many = if count == 1 { "" } else { "s" };
    let lasted = go_duration(outcome.duration);
    let real = match outcome.world {
        World::Virtual => String::new(),
        World::Real { tolerance } => format!(" with real processes, up to {} late", go_duration(tolerance)),
    };
    let mut text =
        format!("{paint}{mark}{plain} {} {faint}{count} assertion{many}, {lasted}{real}{plain}\n", outcome.title);
    for judged in outcome.judged.iter().filter(|judged| !judged.verdict.passed) {
        text.push_str(&violated(outcome, judged, (bad, faint, plain)));
    }
    for judged in outcome.judged.iter().filter(|judged| judged.verdict.vacuous) {
        let _ = writeln!(text, "  note: {}:{}: held from the beginning: {}", outcome.file, judged.place, judged.shown);
    }
    for note in &outcome.notes {
        let _ = writeln!(text, "  note: {note}");
    }
    if shown.timeline {
        for line in lines(outcome.story.iter().filter(|happening| told(happening))) {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

/// How it went in all.
pub fn summary(report: &Report, quiet: bool) -> String {
    let (all, failed) = (report.outcomes().len(), report.failed());
    if quiet && failed == 0 {
        return String::new();
    }
    let many = |count: usize| if count == 1 { "" } else { "s" };
    let lasted: Duration = report.outcomes().iter().map(|outcome| outcome.duration).sum();
    let took = report.took().as_secs_f64() * 1000.0;
    let assertions: usize = report.outcomes().iter().map(|outcome| outcome.judged.len()).sum();
    let failed = if failed == 0 { "all passed".to_owned() } else { format!("{failed} failed") };
    let time = match report.outcomes().iter().all(|outcome| outcome.world == World::Virtual) {
        true => format!("{} of virtual time in {took:.0} ms", go_duration(lasted)),
        false => format!("{} with real processes", go_duration(Duration::from_millis(took as u64))),
    };
    format!("{all} scenario{}, {assertions} assertion{}: {failed}; {time}\n", many(all), many(assertions))
}

fn violated(outcome: &Outcome, judged: &Judged, (bad, faint, plain): (&str, &str, &str)) -> String {
    let verdict = &judged.verdict;
    let mut text = String::new();
    let place =
        if judged.place.is_empty() { outcome.file.clone() } else { format!("{}:{}", outcome.file, judged.place) };
    let _ = writeln!(text, "  {place}: {}", judged.path);
    let _ = writeln!(text, "    - {}", judged.shown);
    let _ = writeln!(text, "    {bad}at {}: {}{plain}", go_duration(verdict.at), verdict.found);
    if let Some(decision) = outcome.decided(verdict) {
        let name = decision.rule.as_ref().map(|rule| rule.0.as_str()).unwrap_or_default();
        let because: Vec<String> = decision.because.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let because = if because.is_empty() { String::new() } else { format!(" ({})", because.join(" ")) };
        let _ = writeln!(text, "    decided at {} by {name}{because}:", go_duration(decision.at));
        if let Some(rule) = rules::find(name) {
            let _ = writeln!(text, "      {}", rule.text);
        }
    }
    let happenings: Vec<&Happening> = outcome.story.iter().filter(|happening| told(happening)).collect();
    let until = happenings.partition_point(|happening| happening.at <= verdict.at);
    let around = happenings.iter().enumerate().skip(until.saturating_sub(BEFORE)).take(BEFORE.min(until) + AFTER);
    for (index, happening) in around {
        let mark = if index + 1 == until { ">" } else { " " };
        let paint = if index >= until { faint } else { "" };
        let _ = writeln!(text, "    {mark} {paint}{}{plain}", line(happening));
    }
    text
}
