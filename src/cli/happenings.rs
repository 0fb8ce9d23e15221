//! Happenings as lines, shared by `test`, `simulate` and `timeline`.

use std::time::Duration;

use crate::simulation::story::{Happening, Source};

/// A line each; what happens again and again with nothing between is one line.
pub fn lines<'h>(happenings: impl Iterator<Item = &'h Happening>) -> Vec<String> {
    let mut lines: Vec<(&Happening, usize, Duration)> = Vec::new();
    for happening in happenings {
        match lines.last_mut() {
            Some((first, count, last)) if alike(first, happening) => {
                (*count, *last) = (*count + 1, happening.at);
            }
            _ => lines.push((happening, 1, happening.at)),
        }
    }
    let shown = |(first, count, last): &(&Happening, usize, Duration)| match count {
        1 => line(first),
        _ => format!("{}  {count} times up to {:.3}", line(first), last.as_secs_f64()),
    };
    lines.iter().map(shown).collect()
}

fn alike(one: &Happening, other: &Happening) -> bool {
    one.word.starts_with("Probe") && (&one.about, &one.word, &one.detail) == (&other.about, &other.word, &other.detail)
}

/// Whether a reader wants to see it: what is shown twice (a fact and the status that follows from it, an event and its
/// fact) is shown once, and probes that find what is known are not.
pub fn told(happening: &Happening) -> bool {
    match happening.source {
        Source::Status => {
            happening.word == "Waiting"
                || matches!(happening.word.as_str(), "Ready" | "NotReady")
                || happening.about.is_empty()
        }
        Source::Event => {
            !matches!(happening.word.as_str(), "Scheduled" | "Pulled" | "Created" | "BackOff" | "Unhealthy" | "Pulling")
        }
        Source::Fact => !matches!(happening.word.as_str(), "ImageReady" | "ProbeSucceeded"),
        Source::Effect => true,
        Source::Note => true,
    }
}

/// `   12.000  app  Starting instance 2  R-4.4-c backoff=10s`.
pub fn line(happening: &Happening) -> String {
    let about = if happening.about.is_empty() { "pod" } else { &happening.about };
    let because =
        || happening.because.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
    let what = match happening.source {
        Source::Note => because(),
        _ => [happening.word.as_str(), happening.detail.as_str()].join(" ").trim_end().to_owned(),
    };
    let rule = match (&happening.rule, happening.source) {
        (Some(rule), Source::Note) => format!("{}  ", rule.0),
        (Some(rule), _) => format!("  {} {}", rule.0, because()),
        (None, _) => String::new(),
    };
    match happening.source {
        Source::Note => format!("{:>10.3}  {about:<10} {rule}{what}", happening.at.as_secs_f64()),
        _ => format!("{:>10.3}  {about:<10} {what}{}", happening.at.as_secs_f64(), rule.trim_end()),
    }
}
