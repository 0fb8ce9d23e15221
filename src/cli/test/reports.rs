//! Outcomes for programs: JSON, TAP 14, JUnit's XML.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json as object};

use super::verdict;
use crate::pod::backoff::go_duration;
use crate::simulation::scenario::{Judged, Outcome, World};
use crate::simulation::story::Happening;

/// What was played so far.
pub struct Report {
    outcomes: Vec<Outcome>,
    /// Whether all that happened is told, too.
    timelines: bool,
    began: Instant,
}

impl Report {
    /// Nothing yet.
    pub fn new() -> Report {
        Report { outcomes: Vec::new(), timelines: false, began: Instant::now() }
    }

    /// One more.
    pub fn add(&mut self, outcome: Outcome, timeline: bool) {
        self.timelines |= timeline;
        self.outcomes.push(outcome);
    }

    /// All of them.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// How many failed.
    pub fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| !outcome.passed()).count()
    }

    /// Whether none did.
    pub fn passed(&self) -> bool {
        self.failed() == 0
    }

    /// How long it took so far.
    pub fn took(&self) -> Duration {
        self.began.elapsed()
    }
}

/// One object with everything.
pub fn json(report: &Report) -> String {
    let scenarios: Vec<Value> = report.outcomes.iter().map(|outcome| scenario(outcome, report.timelines)).collect();
    let all = object!({
        "apiVersion": "podlet.dev/v1alpha1",
        "kind": "ScenarioReport",
        "passed": report.passed(),
        "scenarios": scenarios,
        "total": report.outcomes.len(),
        "failed": report.failed(),
    });
    let mut text = Vec::new();
    // A Vec takes all that is written.
    let _ = crate::cli::print::json(&all, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn scenario(outcome: &Outcome, timelines: bool) -> Value {
    let assertions: Vec<Value> = outcome.judged.iter().map(|judged| assertion(outcome, judged)).collect();
    let matrix: serde_json::Map<String, Value> = outcome.variant.iter().cloned().collect();
    let mut shown = object!({
        "name": outcome.title,
        "file": outcome.file,
        "passed": outcome.passed(),
        "seconds": outcome.duration.as_secs_f64(),
        "inputs": outcome.inputs,
        "assertions": assertions,
        "notes": outcome.notes,
        "matrix": matrix,
        "seed": outcome.seed,
    });
    if let (World::Real { tolerance }, Some(fields)) = (outcome.world, shown.as_object_mut()) {
        fields.insert("real".to_owned(), Value::from(true));
        fields.insert("toleranceSeconds".to_owned(), Value::from(tolerance.as_secs_f64()));
    }
    if let Some(fields) = shown.as_object_mut().filter(|_| timelines || !outcome.passed()) {
        fields.insert("timeline".to_owned(), Value::Array(outcome.story.iter().map(happening).collect()));
    }
    shown
}

fn assertion(outcome: &Outcome, judged: &Judged) -> Value {
    let verdict = &judged.verdict;
    let mut shown = object!({
        "assertion": judged.shown,
        "path": judged.path,
        "place": judged.place,
        "passed": verdict.passed,
        "seconds": verdict.at.as_secs_f64(),
    });
    if let Some(fields) = shown.as_object_mut().filter(|_| !verdict.passed) {
        fields.insert("found".to_owned(), Value::from(verdict.found.clone()));
        if let Some(decision) = outcome.decided(verdict) {
            fields.insert("decided".to_owned(), happening(decision));
        }
    }
    shown
}

/// A happening as data.
pub fn happening(happening: &Happening) -> Value {
    object!({
        "seconds": happening.at.as_secs_f64(),
        "about": happening.about,
        "what": happening.word,
        "detail": happening.detail,
        "rule": happening.rule.as_ref().map(|rule| rule.0.clone()),
        "because": happening.because,
    })
}

/// TAP 14: a scenario is a subtest, an assertion a test point.
pub fn tap(report: &Report) -> String {
    let mut text = format!("TAP version 14\n1..{}\n", report.outcomes.len());
    let name = |text: &str| text.replace('\\', "\\\\").replace('#', "\\#").replace('\n', " ");
    for (index, outcome) in report.outcomes.iter().enumerate() {
        let _ = writeln!(text, "# Subtest: {}", name(&outcome.title));
        if let World::Real { tolerance } = outcome.world {
            let _ = writeln!(text, "    # with real processes, up to {} late", go_duration(tolerance));
        }
        let _ = writeln!(text, "    1..{}", outcome.judged.len());
        for (number, judged) in outcome.judged.iter().enumerate() {
            let ok = if judged.verdict.passed { "ok" } else { "not ok" };
            let _ = writeln!(text, "    {ok} {} - {}", number + 1, name(&judged.shown));
            if !judged.verdict.passed {
                let quoted = |text: &str| Value::from(text).to_string();
                let place = format!("{}:{}", outcome.file, judged.place);
                let rule = outcome.decided(&judged.verdict).and_then(|decision| decision.rule.clone());
                let rule = rule.map(|rule| rule.0).unwrap_or_default();
                let _ = writeln!(text, "      ---");
                let _ = writeln!(text, "      at: {}", quoted(&place));
                let _ = writeln!(text, "      time: {}", judged.verdict.at.as_secs_f64());
                let _ = writeln!(text, "      found: {}", quoted(&judged.verdict.found));
                let _ = writeln!(text, "      rule: {}", quoted(&rule));
                let _ = writeln!(text, "      ...");
            }
        }
        let ok = if outcome.passed() { "ok" } else { "not ok" };
        let _ = writeln!(text, "{ok} {} - {}", index + 1, name(&outcome.title));
    }
    text
}

/// JUnit's XML: a scenario is a suite, an assertion a case.
pub fn junit(report: &Report) -> String {
    let tests: usize = report.outcomes.iter().map(|outcome| outcome.judged.len()).sum();
    let failed = |outcome: &Outcome| outcome.judged.iter().filter(|judged| !judged.verdict.passed).count();
    let failures: usize = report.outcomes.iter().map(failed).sum();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(text, "<testsuites name=\"podlet test\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">");
    for outcome in &report.outcomes {
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" file=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\" time=\"{}\">",
            xml(&outcome.title),
            xml(&outcome.file),
            outcome.judged.len(),
            failed(outcome),
            outcome.duration.as_secs_f64(),
        );
        if let World::Real { tolerance } = outcome.world {
            let _ = writeln!(
                text,
                "    <properties><property name=\"real\" value=\"true\"/><property name=\"tolerance\" value=\"{}\"/></properties>",
                go_duration(tolerance)
            );
        }
        for judged in &outcome.judged {
            let line = judged.place.split(':').next().unwrap_or_default();
            let _ = write!(
                text,
                "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" line=\"{}\" time=\"{}\"",
                xml(&judged.shown),
                xml(&outcome.title),
                xml(&outcome.file),
                xml(line),
                judged.verdict.at.as_secs_f64(),
            );
            if judged.verdict.passed {
                text.push_str("/>\n");
                continue;
            }
            let shown = super::people::Shown { timeline: false, quiet: false };
            let alone = Outcome { judged: vec![judged.clone()], ..outcome.clone() };
            let told = super::people::outcome(&alone, &shown, false);
            let _ = writeln!(
                text,
                ">\n      <failure message=\"{}\" type=\"{}\">{}</failure>\n    </testcase>",
                xml(&judged.verdict.found),
                verdict(outcome),
                xml(&told)
            );
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// Text as XML has it; what XML cannot hold is left out.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}
