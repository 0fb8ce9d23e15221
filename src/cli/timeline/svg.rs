//! Lanes as a picture: a bar a container, hover tells what each stretch and mark is. It stands alone: no script, no font, no
//! reference to anything outside.

use std::fmt::Write;
use std::time::Duration;

use crate::pod::backoff::go_duration;
use crate::simulation::lanes::{Lanes, MarkKind, What};

const WIDTH: f64 = 1000.0;
const NAME: f64 = 120.0;
const LANE: f64 = 44.0;
const TOP: f64 = 56.0;

fn colour(what: What) -> &'static str {
    match what {
        What::Waiting => "#d9d9d9",
        What::Ended => "#f4f4f4",
        What::Ready => "#3a9d5d",
        What::Running => "#a8d5b6",
        What::BackOff => "#e8923a",
        What::Stopping => "#8a63b8",
    }
}

fn mark(kind: MarkKind) -> (&'static str, f64) {
    match kind {
        MarkKind::Passed => ("#3a9d5d", 34.0),
        MarkKind::Failed => ("#c8323c", 34.0),
        MarkKind::Hook => ("#2f6fb5", 34.0),
        MarkKind::Start => ("#20603a", 28.0),
        MarkKind::Exit => ("#c8323c", 28.0),
    }
}

/// Draws lanes.
pub fn draw(title: &str, lanes: &Lanes) -> String {
    let height = TOP + LANE * lanes.lanes.len() as f64 + 40.0;
    let all = lanes.duration.as_secs_f64().max(f64::MIN_POSITIVE);
    let x = |at: Duration| NAME + (WIDTH - NAME - 20.0) * at.as_secs_f64() / all;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>{0}</title>\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\">{0}</text>\n",
        escaped(title)
    );
    for tick in 0..=10_u32 {
        let at = lanes.duration * tick / 10;
        let _ = writeln!(
            svg,
            "<line x1=\"{0:.1}\" y1=\"44\" x2=\"{0:.1}\" y2=\"{1:.1}\" stroke=\"#e0e0e0\"/><text x=\"{0:.1}\" y=\"40\" text-anchor=\"middle\" fill=\"#666666\">{2}</text>",
            x(at),
            height - 34.0,
            go_duration(at)
        );
    }
    for (index, lane) in lanes.lanes.iter().enumerate() {
        let top = TOP + LANE * index as f64;
        let _ = writeln!(svg, "<text x=\"12\" y=\"{:.1}\">{}</text>", top + 16.0, escaped(&lane.name));
        for stretch in &lane.stretches {
            let width = (x(stretch.to) - x(stretch.from)).max(0.5);
            let left = stretch.until.map(|until| format!(" until {}", go_duration(until))).unwrap_or_default();
            let told = format!(
                "{} {}: {} to {}{left}",
                stretch.what.word(),
                stretch.detail,
                go_duration(stretch.from),
                go_duration(stretch.to)
            );
            let _ = writeln!(
                svg,
                "<rect x=\"{:.2}\" y=\"{:.1}\" width=\"{width:.2}\" height=\"22\" fill=\"{}\"><title>{}</title></rect>",
                x(stretch.from),
                top,
                colour(stretch.what),
                escaped(&told)
            );
        }
        for found in &lane.marks {
            let (fill, down) = mark(found.kind);
            let told = format!("{} {} at {}", found.kind.word(), found.detail, go_duration(found.at));
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.2}\" cy=\"{:.1}\" r=\"2.5\" fill=\"{fill}\"><title>{}</title></circle>",
                x(found.at),
                top + down,
                escaped(&told)
            );
        }
    }
    let states = [What::Ready, What::Running, What::BackOff, What::Stopping, What::Waiting, What::Ended];
    for (index, what) in states.iter().enumerate() {
        let left = NAME + 110.0 * index as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{0:.1}\" width=\"14\" height=\"12\" fill=\"{1}\" stroke=\"#bbbbbb\"/><text x=\"{2:.1}\" y=\"{3:.1}\">{4}</text>",
            height - 24.0,
            colour(*what),
            left + 20.0,
            height - 14.0,
            what.word()
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
