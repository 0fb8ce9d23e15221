//! Lanes as text: a line a container, a column a stretch of time, beneath it what happened in that stretch, and in words
//! what each container waits for at the end.

use std::fmt::Write;
use std::time::Duration;

use crate::pod::backoff::go_duration;
use crate::simulation::lanes::{Lane, Lanes, MarkKind, What};

/// What is drawn for each state and mark.
struct Glyphs {
    waiting: char,
    ended: char,
    ready: char,
    running: char,
    back_off: char,
    stopping: char,
    passed: char,
    failed: char,
    hook: char,
    start: char,
    exit: char,
}

const UNICODE: Glyphs = Glyphs {
    waiting: '·',
    ended: ' ',
    ready: '━',
    running: '─',
    back_off: '░',
    stopping: '▒',
    passed: '✓',
    failed: '✗',
    hook: 'h',
    start: '▲',
    exit: '▼',
};

const ASCII: Glyphs = Glyphs {
    waiting: '.',
    ended: ' ',
    ready: '=',
    running: '-',
    back_off: '~',
    stopping: '#',
    passed: '+',
    failed: 'x',
    hook: 'h',
    start: '^',
    exit: 'v',
};

impl Glyphs {
    fn of(&self, what: What) -> char {
        match what {
            What::Waiting => self.waiting,
            What::Ended => self.ended,
            What::Ready => self.ready,
            What::Running => self.running,
            What::BackOff => self.back_off,
            What::Stopping => self.stopping,
        }
    }

    fn of_mark(&self, kind: MarkKind) -> char {
        match kind {
            MarkKind::Passed => self.passed,
            MarkKind::Failed => self.failed,
            MarkKind::Hook => self.hook,
            MarkKind::Start => self.start,
            MarkKind::Exit => self.exit,
        }
    }
}

/// Draws lanes into so many columns.
pub fn draw(lanes: &Lanes, width: usize, ascii: bool, colour: bool) -> String {
    let glyphs = if ascii { &ASCII } else { &UNICODE };
    let longest = lanes.lanes.iter().map(|lane| lane.name.chars().count()).max().unwrap_or_default().clamp(4, 20);
    let columns = width.saturating_sub(longest + 2).max(10);
    let mut text = axis(lanes.duration, columns, longest);
    for lane in &lanes.lanes {
        let name: String = lane.name.chars().take(longest).collect();
        let (states, marks) = rows(lane, lanes.duration, columns, glyphs);
        let states = if colour { painted(&states, glyphs) } else { states.into_iter().collect() };
        let _ = writeln!(text, "{name:<longest$}  {}", states.trim_end());
        let marks: String = marks.into_iter().collect();
        if !marks.trim().is_empty() {
            let _ = writeln!(text, "{:<longest$}  {}", "", marks.trim_end());
        }
    }
    for line in legend(glyphs, column(lanes.duration, columns, 1), columns) {
        let _ = writeln!(text, "{:<longest$}  {line}", "");
    }
    for lane in &lanes.lanes {
        let _ = writeln!(text, "{}", now(lane, lanes.duration));
    }
    text
}

/// What the signs mean, in lines of so many columns.
fn legend(glyphs: &Glyphs, column: Duration, columns: usize) -> Vec<String> {
    let g = glyphs;
    let pieces = [
        format!("{} ready", g.ready),
        format!("{} running", g.running),
        format!("{} back-off", g.back_off),
        format!("{} stopping", g.stopping),
        format!("{} waiting", g.waiting),
        format!("{} start", g.start),
        format!("{} exit", g.exit),
        format!("{}{} probe", g.passed, g.failed),
        format!("{} hook", g.hook),
        format!("a column is {}", go_duration(column)),
    ];
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 2 + piece.chars().count() <= columns => {
                line.push_str("  ");
                line.push_str(&piece);
            }
            _ => lines.push(piece),
        }
    }
    lines
}

/// When a column begins.
fn column(duration: Duration, columns: usize, index: usize) -> Duration {
    let nanoseconds = duration.as_nanos().max(1) * index as u128 / columns.max(1) as u128;
    Duration::from_millis(u64::try_from(nanoseconds / 1_000_000).unwrap_or(u64::MAX))
}

/// The column of a time.
fn place(duration: Duration, columns: usize, at: Duration) -> usize {
    let index = at.as_nanos() * columns as u128 / duration.as_nanos().max(1);
    usize::try_from(index).unwrap_or(usize::MAX).min(columns.saturating_sub(1))
}

/// Times on round numbers, as far apart as they need.
fn axis(duration: Duration, columns: usize, longest: usize) -> String {
    const STEPS: &[u64] = &[
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 172_800, 604_800,
        2_592_000,
    ];
    let fits = |step: &&u64| duration.as_secs_f64() / (**step as f64) * 9.0 <= columns as f64;
    let step = STEPS.iter().find(fits).or(STEPS.last()).copied().unwrap_or(1);
    let mut row = vec![' '; columns + 10];
    let mut at = 0_u64;
    while Duration::from_secs(at) <= duration {
        let start = place(duration, columns, Duration::from_secs(at));
        let label = format!("|{}", short(at));
        if start + label.chars().count() <= columns {
            for (offset, c) in label.chars().enumerate() {
                if let Some(cell) = row.get_mut(start + offset) {
                    *cell = c;
                }
            }
        }
        at += step;
    }
    let row: String = row.into_iter().collect();
    format!("{:<longest$}  {}\n", "", row.trim_end())
}

/// `90s`, `5m`, `2h30m`.
fn short(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, 0) => format!("{m}m"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, 0, _) => format!("{h}h"),
        (h, m, _) => format!("{h}h{m}m"),
    }
}

/// The states and the marks, a character a column: of several in one column the one that says most.
fn rows(lane: &Lane, duration: Duration, columns: usize, glyphs: &Glyphs) -> (Vec<char>, Vec<char>) {
    let mut states: Vec<Option<What>> = vec![None; columns];
    for stretch in &lane.stretches {
        let (first, last) = (place(duration, columns, stretch.from), place(duration, columns, stretch.to));
        // What ends where a column begins is not in that column.
        let last = if last > first && column(duration, columns, last) >= stretch.to { last - 1 } else { last };
        for cell in states.iter_mut().take(last + 1).skip(first) {
            *cell = (*cell).max(Some(stretch.what));
        }
    }
    let mut marks: Vec<Option<MarkKind>> = vec![None; columns];
    for mark in &lane.marks {
        if let Some(cell) = marks.get_mut(place(duration, columns, mark.at)) {
            *cell = (*cell).max(Some(mark.kind));
        }
    }
    (
        states.into_iter().map(|state| state.map_or(' ', |what| glyphs.of(what))).collect(),
        marks.into_iter().map(|mark| mark.map_or(' ', |kind| glyphs.of_mark(kind))).collect(),
    )
}

fn painted(states: &[char], glyphs: &Glyphs) -> String {
    let paint = |c: char| match c {
        c if c == glyphs.ready => "\x1b[32m",
        c if c == glyphs.running || c == glyphs.waiting => "\x1b[33m",
        c if c == glyphs.back_off => "\x1b[31m",
        c if c == glyphs.stopping => "\x1b[35m",
        _ => "",
    };
    let mut text = String::new();
    let mut last = "";
    for c in states {
        let colour = paint(*c);
        if colour != last {
            text.push_str(if last.is_empty() { "" } else { "\x1b[0m" });
            text.push_str(colour);
            last = colour;
        }
        text.push(*c);
    }
    text.push_str(if last.is_empty() { "" } else { "\x1b[0m" });
    text
}

/// `app: 4 starts; back-off (CrashLoopBackOff), 1m20s left`.
fn now(lane: &Lane, end: Duration) -> String {
    let starts = lane.marks.iter().filter(|mark| mark.kind == MarkKind::Start).count();
    let many = if starts == 1 { "" } else { "s" };
    let Some(last) = lane.stretches.last() else { return format!("{}: never started", lane.name) };
    let detail = if last.detail.is_empty() { String::new() } else { format!(" ({})", last.detail) };
    let what = match last.what {
        What::BackOff => "back-off",
        other => other.word(),
    };
    let left = match last.until.filter(|until| *until > end) {
        Some(until) => format!(", {} left", go_duration(until - end)),
        None => format!(" since {}", go_duration(last.from)),
    };
    format!("{}: {starts} start{many}; at the end {what}{detail}{left}", lane.name)
}
