//! `podlet timeline`: what happened in a scenario as lanes, one a container: text that fits the terminal, JSON, SVG.

pub mod svg;
pub mod text;

use std::os::fd::AsFd;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::everywhere::Everywhere;
use super::files::render;
use super::{Caller, Failure, happenings, print};
use crate::manifest;
use crate::simulation::lanes::Lanes;
use crate::simulation::scenario::{self, Options, Outcome};

/// The words of `timeline`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet timeline scenario.yaml                what its containers do, drawn to the terminal's width
  podlet timeline scenario.yaml --events       and all that happens, line by line
  podlet timeline scenario.yaml -o svg > timeline.svg
  podlet timeline scenarios/ --run backoff     only scenarios whose name has this word")]
pub struct Words {
    /// Scenarios: files, directories, or - for standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Only scenarios whose name contains this.
    #[arg(long, value_name = "WORD")]
    run: Option<String>,
    /// How it is drawn.
    #[command(flatten)]
    drawing: Drawing,
    /// All that happens, line by line, too.
    #[arg(long)]
    events: bool,
}

/// How lanes are drawn.
#[derive(Args, Clone, Debug)]
pub struct Drawing {
    /// As data, or as a picture.
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,
    /// Columns of the text; the terminal's, or 100.
    #[arg(long, value_name = "COLUMNS")]
    pub width: Option<u16>,
    /// Draws with ASCII alone.
    #[arg(long)]
    pub ascii: bool,
}

/// As what it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Stretches and marks of each container.
    Json,
    /// A picture.
    Svg,
}

/// Draws what scenarios do.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let sources = manifest::read_sources(&words.files).map_err(|error| Failure::Error(error.to_string()))?;
    let options = Options { namespace: everywhere.namespace.clone(), ..Options::default() };
    let read = match scenario::read(&sources, &options) {
        Ok(read) => read,
        Err(diagnostics) => {
            let colour = caller.colour && caller.err_terminal;
            diagnostics.iter().for_each(|diagnostic| caller.notice(&render(diagnostic, colour)));
            return Err(Failure::Told);
        }
    };
    let chosen = |title: &str| words.run.as_ref().is_none_or(|word| title.contains(word.as_str()));
    let outcomes: Vec<Outcome> =
        read.cases.iter().filter(|case| chosen(&case.title())).map(|case| case.run()).collect();
    if outcomes.is_empty() {
        return Err(Failure::error("there is no such scenario in these files"));
    }
    draw(&outcomes, &words.drawing, words.events, caller)
}

/// Draws outcomes.
pub fn draw(outcomes: &[Outcome], drawing: &Drawing, events: bool, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    match drawing.output {
        Some(Format::Json) => {
            let shown: Vec<Value> = outcomes.iter().map(data).collect();
            print::json(&json!({"apiVersion": "podlet.dev/v1alpha1", "kind": "Timeline", "runs": shown}), caller.out)?;
        }
        Some(Format::Svg) => match outcomes {
            [outcome] => caller.print(&svg::draw(&outcome.title, &Lanes::new(&outcome.story, outcome.duration)))?,
            several => {
                let names: Vec<&str> = several.iter().map(|outcome| outcome.title.as_str()).collect();
                return Err(Failure::Error(format!(
                    "a picture shows one run; choose with --run: {}",
                    names.join(", ")
                )));
            }
        },
        None => {
            let width = usize::from(drawing.width.unwrap_or_else(terminal_width)).clamp(40, 1000);
            let colour = caller.colour && caller.out_terminal;
            for (index, outcome) in outcomes.iter().enumerate() {
                if index > 0 {
                    caller.print("\n")?;
                }
                let lanes = Lanes::new(&outcome.story, outcome.duration);
                caller.print(&format!("{}\n", outcome.title))?;
                caller.print(&text::draw(&lanes, width, drawing.ascii, colour))?;
                if events {
                    let told = outcome.story.iter().filter(|happening| happenings::told(happening));
                    for line in happenings::lines(told) {
                        caller.print(&format!("{line}\n"))?;
                    }
                }
            }
        }
    }
    Ok(0)
}

/// Of standard output; 100 where it is no terminal.
fn terminal_width() -> u16 {
    let size = crate::linux::terminal::size(std::io::stdout().as_fd());
    size.map(|size| size.ws_col).ok().filter(|columns| *columns > 0).unwrap_or(100)
}

fn data(outcome: &Outcome) -> Value {
    let lanes = Lanes::new(&outcome.story, outcome.duration);
    let shown: Vec<Value> = lanes
        .lanes
        .iter()
        .map(|lane| {
            let stretches: Vec<Value> = lane
                .stretches
                .iter()
                .map(|stretch| {
                    json!({
                        "from": stretch.from.as_secs_f64(),
                        "to": stretch.to.as_secs_f64(),
                        "what": stretch.what.word(),
                        "detail": stretch.detail,
                        "until": stretch.until.map(|until| until.as_secs_f64()),
                    })
                })
                .collect();
            let marks: Vec<Value> = lane
                .marks
                .iter()
                .map(|mark| json!({"at": mark.at.as_secs_f64(), "what": mark.kind.word(), "detail": mark.detail}))
                .collect();
            json!({"name": lane.name, "stretches": stretches, "marks": marks})
        })
        .collect();
    json!({"name": outcome.title, "seconds": outcome.duration.as_secs_f64(), "containers": shown})
}
