//! `podlet timeline`: what happened to a pod, or happens in a scenario, as lanes, one a container: text that fits the terminal,
//! JSON, SVG.

pub mod svg;
pub mod text;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::everywhere::Everywhere;
use super::files::render;
use super::{Caller, Failure, ask, happenings, print, runs};
use crate::linux::privilege::Work;
use crate::manifest;
use crate::recorded::run::Run;
use crate::simulation::lanes::Lanes;
use crate::simulation::scenario::{self, Options, Outcome};
use crate::simulation::story::Happening;
use crate::supervisor::clock;
use crate::supervisor::history::History;
use crate::supervisor::kept::Standing;

/// The words of `timeline`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet timeline web                       what the containers of the pod web
                                            have done since it was applied
  podlet timeline web --last 10m --events   the last ten minutes, and all that
                                            happened, line by line
  podlet timeline scenario.yaml             what its containers do, drawn to the
                                            terminal's width
  podlet timeline scenario.yaml --events    and all that happens, line by line
  podlet timeline scenario.yaml -o svg > timeline.svg
  podlet timeline scenarios/ --run backoff  only scenarios whose name has this
                                            word

Of a real pod those results of probes are shown that changed something: failures, and the successes that count. A run that \
`podlet replay --save` has put into a file is drawn, too.")]
pub struct Words {
    /// Pods; or scenarios: files, directories, or - for standard input.
    #[arg(value_name = "POD|FILE", required = true)]
    files: Vec<String>,
    /// Only scenarios whose name contains this.
    #[arg(long, value_name = "WORD")]
    run: Option<String>,
    /// Of pods only so much up to now.
    #[arg(long, value_name = "TIME", value_parser = crate::duration::parse)]
    last: Option<Duration>,
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

/// Draws what pods have done, and what scenarios do.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let (runs, files): (Vec<&String>, Vec<&String>) =
        words.files.iter().partition(|word| is_run(word, everywhere, caller));
    let chosen = |title: &str| words.run.as_ref().is_none_or(|word| title.contains(word.as_str()));
    let mut drawn = Vec::new();
    for word in runs {
        let (one, note) = of_run(word, words.last, everywhere, caller)?;
        note.iter().for_each(|note| caller.notice(&format!("Note: {note}")));
        drawn.push(one);
    }
    if !files.is_empty() {
        let files: Vec<PathBuf> = files.into_iter().map(PathBuf::from).collect();
        let sources = manifest::read_sources(&files).map_err(|error| Failure::Error(error.to_string()))?;
        let options = Options { namespace: everywhere.namespace.clone(), ..Options::default() };
        let read = match scenario::read(&sources, &options) {
            Ok(read) => read,
            Err(diagnostics) => {
                let colour = caller.colour && caller.err_terminal;
                diagnostics.iter().for_each(|diagnostic| caller.notice(&render(diagnostic, colour)));
                return Err(Failure::Told);
            }
        };
        let cases = read.cases.iter().filter(|case| chosen(&case.title()));
        drawn.extend(cases.map(|case| Drawn::from(case.run())));
    }
    if drawn.is_empty() {
        return Err(Failure::error(match words.run {
            Some(_) => "there is no such scenario in these files",
            None => {
                "there is no scenario in these files; `podlet simulate FILE` draws what a pod's manifest does, and \
                 `podlet timeline POD` what a pod has done"
            }
        }));
    }
    draw(&drawn, &words.drawing, words.events, caller)
}

/// Whether a word means what has happened, to a pod or in a saved run, and not a scenario.
fn is_run(word: &str, everywhere: &Everywhere, caller: &Caller<'_>) -> bool {
    let path = Path::new(word);
    match path.exists() {
        true if path.is_file() => History::open(path).is_ok(),
        true => false,
        false => {
            !runs::is_path(word)
                && (word.starts_with("pod/")
                    || ask::find_claim(&caller.paths, everywhere.namespace(), word).is_ok_and(|claim| claim.is_some())
                    || path.extension().is_none())
        }
    }
}

/// What has happened, and what is not known of it.
fn of_run(
    word: &str,
    last: Option<Duration>,
    everywhere: &Everywhere,
    caller: &Caller<'_>,
) -> Result<(Drawn, Option<String>), Failure> {
    if word.starts_with("pod/") || !Path::new(word).exists() {
        super::require(Work::State, caller)?;
    }
    let recorded = runs::find(word, everywhere, caller)?;
    let run = Run::of(&recorded.history);
    // What has ended draws no more; what lives does so up to now.
    let lives = recorded.seen.as_ref().is_some_and(|seen| seen.standing == Standing::Live);
    let end = if lives { run.since_beginning(clock::now().boot) } else { run.last };
    let outcome = &run.outcome;
    let note = match (outcome.from_admission, outcome.gaps.len()) {
        (true, 0) => None,
        (true, gaps) => Some(format!("the pod's journal has {gaps} gaps, where its machine fell")),
        (false, _) => Some("what came before is not kept any more".to_owned()),
    };
    let from = last.map_or(Duration::ZERO, |last| end.saturating_sub(last));
    let begun = run.wall(from);
    let begun = jiff::Timestamp::from_nanosecond(i128::from(begun.0)).unwrap_or_default();
    let begun = begun.to_zoned(jiff::tz::TimeZone::system()).strftime("%F %T %:z");
    let title = format!("{}, from {begun}", recorded.title);
    Ok((Drawn { title, story: run.story, duration: end, from }, note))
}

/// A run to be drawn.
pub struct Drawn {
    title: String,
    story: Vec<Happening>,
    duration: Duration,
    /// What came before this is not shown.
    from: Duration,
}

impl From<Outcome> for Drawn {
    fn from(outcome: Outcome) -> Drawn {
        Drawn { title: outcome.title, story: outcome.story, duration: outcome.duration, from: Duration::ZERO }
    }
}

impl Drawn {
    /// Its lanes, from the time on that is shown.
    fn lanes(&self) -> Lanes {
        let from = self.from;
        let mut lanes = Lanes::new(&self.story, self.duration);
        lanes.duration = lanes.duration.saturating_sub(from);
        for lane in &mut lanes.lanes {
            lane.stretches.retain(|stretch| stretch.to > from);
            lane.marks.retain(|mark| mark.at >= from);
            for stretch in &mut lane.stretches {
                stretch.from = stretch.from.saturating_sub(from);
                stretch.to = stretch.to.saturating_sub(from);
                stretch.until = stretch.until.map(|until| until.saturating_sub(from));
            }
            lane.marks.iter_mut().for_each(|mark| mark.at -= from);
        }
        lanes
    }
}

/// Draws runs.
pub fn draw(drawn: &[Drawn], drawing: &Drawing, events: bool, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    match drawing.output {
        Some(Format::Json) => {
            let shown: Vec<Value> = drawn.iter().map(data).collect();
            print::json(&json!({"apiVersion": "podlet.dev/v1alpha1", "kind": "Timeline", "runs": shown}), caller.out)?;
        }
        Some(Format::Svg) => match drawn {
            [one] => caller.print(&svg::draw(&one.title, &one.lanes()))?,
            several => {
                let names: Vec<&str> = several.iter().map(|one| one.title.as_str()).collect();
                return Err(Failure::Error(format!(
                    "a picture shows one run; choose with --run: {}",
                    names.join(", ")
                )));
            }
        },
        None => {
            let width = usize::from(drawing.width.unwrap_or_else(terminal_width)).clamp(40, 1000);
            let colour = caller.colour && caller.out_terminal;
            for (index, one) in drawn.iter().enumerate() {
                if index > 0 {
                    caller.print("\n")?;
                }
                let lanes = one.lanes();
                caller.print(&format!("{}\n", one.title))?;
                caller.print(&text::draw(&lanes, width, drawing.ascii, colour))?;
                if events {
                    let shown = one.story.iter().filter(|happening| happening.at >= one.from);
                    let told = shown.filter(|happening| happenings::told(happening));
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

fn data(drawn: &Drawn) -> Value {
    let lanes = drawn.lanes();
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
    json!({"name": drawn.title, "seconds": lanes.duration.as_secs_f64(), "containers": shown})
}
