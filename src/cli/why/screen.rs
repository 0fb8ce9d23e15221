//! What `why` prints: a block for the pod and one for each container, wrapped to the terminal's width.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Now, Told, wall};
use crate::cli::print::age;
use crate::pod::backoff::go_duration;
use crate::pod::rules::Rule;
use crate::pod::why::Next;
use crate::simulation::story::{Happening, Source};
use crate::supervisor::kept::{Seen, Standing};

/// Where the text of a line begins.
const INDENT: usize = 11;

/// What stands below kubectl's lines in `describe`.
pub fn below_describe(told: &[Told], now: Now) -> String {
    let mut text = "Why:\n".to_owned();
    for one in told {
        text.push_str(&format!("  {}:\n", one.holds.about));
        let mut line = |label: &str, what: &str| text.push_str(&format!("    {label:<10}{what}\n"));
        line("State:", &one.holds.state);
        if let Some(rule) = one.holds.rule {
            line("Rule:", &format!("{}: {}", rule.name, rule.text));
        }
        for because in &one.holds.because {
            line("Because:", because);
        }
        for next in &one.holds.next {
            line("Next:", &then(next, now, one.holds.rule));
        }
        for (index, words) in one.wrote.iter().enumerate() {
            line(if index == 0 { "Last log:" } else { "" }, words);
        }
    }
    text
}

/// Draws it.
pub fn draw(title: &str, seen: &Seen, told: &[Told], now: Now, width: usize, colour: bool) -> String {
    let mut page = Page { text: String::new(), width, colour, told: Vec::new() };
    for one in told {
        let about = &one.holds.about;
        if about.is_empty() {
            page.heading(title, &pod_state(seen, one));
        } else {
            page.text.push('\n');
            let restarts = one.restarts.filter(|count| *count > 0);
            let restarts = restarts.map(|count| format!(", restarted {}", times(count))).unwrap_or_default();
            page.heading(about, &format!("{}{restarts}", one.holds.state));
        }
        page.block(one, now);
    }
    page.text
}

fn pod_state(seen: &Seen, told: &Told) -> String {
    let message = || seen.pod.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default();
    match seen.standing {
        Standing::Live | Standing::Ended => told.holds.state.clone(),
        Standing::Stopped => format!("stopped ({})", message()),
        Standing::Rebooted | Standing::Unattended => format!("Unknown ({})", message()),
    }
}

fn times(count: i32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

struct Page {
    text: String,
    width: usize,
    colour: bool,
    /// The rules whose sentences have been printed: once is enough.
    told: Vec<&'static str>,
}

impl Page {
    fn heading(&mut self, name: &str, state: &str) {
        let name = if self.colour { format!("\x1b[1m{name}\x1b[0m") } else { name.to_owned() };
        // The escape codes take no columns.
        let extra = if self.colour { 8 } else { 0 };
        for line in wrap(&format!("{name}: {state}"), self.width + extra, 2) {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    fn block(&mut self, told: &Told, now: Now) {
        if let Some(rule) = told.holds.rule {
            let again = self.told.contains(&rule.name);
            self.told.push(rule.name);
            self.line(rule.name, if again { "as above" } else { rule.text });
        }
        for (index, because) in told.holds.because.iter().filter(|text| !text.is_empty()).enumerate() {
            self.line(if index == 0 { "because" } else { "" }, because);
        }
        for (index, (at, happening)) in told.seen.iter().enumerate() {
            let text = format!("{}  {}", clock(wall(*at), now.wall), happened(happening));
            self.line(if index == 0 { "seen" } else { "" }, &text);
        }
        for (index, words) in told.wrote.iter().enumerate() {
            self.line(if index == 0 { "last log" } else { "" }, words);
        }
        for (index, next) in told.holds.next.iter().enumerate() {
            self.line(if index == 0 { "next" } else { "" }, &then(next, now, told.holds.rule));
        }
    }

    fn line(&mut self, label: &str, text: &str) {
        let lines = wrap(text, self.width.saturating_sub(INDENT), 0);
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.text.push_str(format!("  {label:<width$}{line}", width = INDENT - 2).trim_end());
            self.text.push('\n');
        }
    }
}

/// `in 1m20s, at 08:19:06: it is started again: the 5th back-off, of 160s (R-4.4-c)`.
fn then(next: &Next, now: Now, shown: Option<&'static Rule>) -> String {
    let when = next.at.map(|at| match now.until(at) {
        left if left.is_zero() => "now: ".to_owned(),
        left => {
            let whole = std::time::Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
            format!("in {}, at {}: ", go_duration(whole), clock(now.wall_at(at), now.wall))
        }
    });
    let rule = next.rule.filter(|rule| shown != Some(*rule)).map(|rule| format!(" ({})", rule.name));
    format!("{}{}{}", when.unwrap_or_default(), next.what, rule.unwrap_or_default())
}

/// The time of day; with the day, and how long ago, when it is not today's.
fn clock(at: Timestamp, now: Timestamp) -> String {
    let (zoned, today) = (at.to_zoned(TimeZone::system()), now.to_zoned(TimeZone::system()));
    if zoned.date() == today.date() {
        return zoned.strftime("%H:%M:%S").to_string();
    }
    format!("{} ({} ago)", zoned.strftime("%F %T"), age::human(now.duration_since(at).as_secs()))
}

fn happened(happening: &Happening) -> String {
    let rule = happening.rule.as_ref().map(|rule| format!(" ({})", rule.0)).unwrap_or_default();
    let what = match happening.source {
        Source::Note => {
            let because = |name: &str| happening.because.get(name).cloned().unwrap_or_default();
            let (probe, row) = (because("probe"), because("inARow"));
            let how = if happening.rule.as_ref().is_some_and(|rule| rule.0 == "R-6.2-d") { "passed" } else { "failed" };
            format!("{probe} probe has {how}: {row} in a row")
        }
        _ => {
            let word = spaced(&happening.word);
            let detail = happening.detail.lines().next().unwrap_or_default();
            match (word.strip_prefix("probe "), detail.split_once(' ')) {
                (Some(how), Some((probe, text))) => format!("{probe} probe {how}: {text}"),
                (Some(how), None) => format!("{detail} probe {how}"),
                (None, _) if detail.is_empty() => word,
                (None, _) => format!("{word}, {detail}"),
            }
        }
    };
    format!("{what}{rule}")
}

/// `ProbeFailed` as `probe failed`.
fn spaced(word: &str) -> String {
    let mut text = String::new();
    for (index, letter) in word.chars().enumerate() {
        if index > 0 && letter.is_uppercase() {
            text.push(' ');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// Words into lines of so many columns; lines after the first begin with so many blanks. A word that is longer is cut nowhere.
fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    let mut blank = true;
    for word in text.split_inclusive(' ').flat_map(|word| word.split_inclusive('\n')) {
        let Some(line) = lines.last_mut() else { break };
        let bare = word.trim_end();
        if !blank && line.chars().count() + bare.chars().count() > width {
            lines.push(format!("{}{word}", " ".repeat(indent)));
        } else {
            line.push_str(word);
        }
        blank = false;
    }
    lines.iter().map(|line| line.trim_end().replace('\n', " ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_long_ones_are_kept_whole() {
        assert_eq!(wrap("one two three", 8, 2), ["one two", "  three"]);
        assert_eq!(wrap("abcdefghij kl", 4, 0), ["abcdefghij", "kl"]);
        assert_eq!(wrap("", 4, 0), [""]);
    }
}
