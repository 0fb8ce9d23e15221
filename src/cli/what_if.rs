//! `podlet what-if`: a recorded run under a changed manifest. The world stays as it was recorded, as far as it is known; the
//! machine of rules decides anew.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::everywhere::Everywhere;
use super::files::render;
use super::{Caller, Failure, print, record, runs, timeline};
use crate::manifest::{self, Source, tree};
use crate::pod::backoff::go_duration;
use crate::recorded::behaviour::Instance;
use crate::recorded::scenario::Recording;
use crate::simulation::View;
use crate::simulation::scenario::{self, Outcome};
use crate::simulation::story::{Happening, Source as From};

/// The words of `what-if`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet what-if web --set 'spec.containers[0].livenessProbe.failureThreshold=5'
  podlet what-if web --set restartPolicy=OnFailure \\
      --set 'spec.containers[app].livenessProbe.periodSeconds=20'
  podlet what-if web -f patch.yaml  a piece of a Pod, merged as `kubectl patch
                                    --type=strategic` does
  podlet what-if web.run -f patch.yaml -o json

What containers did is known for as long as they did it: one that would have lived longer is taken to go on as it was last \
seen, and a start that did not happen then to go like the last one. Where the answer stands on that, it says so.")]
pub struct Words {
    /// A pod, or a file in which a run was saved.
    #[arg(value_name = "POD|FILE")]
    pod: String,
    /// A field of the pod and its value: a field of its spec, or a path.
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// A piece of a Pod that is merged into it.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    filenames: Vec<PathBuf>,
    /// As data.
    #[arg(short, long, value_name = "json")]
    output: Option<Format>,
    /// How both runs are drawn.
    #[arg(long, value_name = "COLUMNS")]
    width: Option<u16>,
    /// Draws with ASCII alone.
    #[arg(long)]
    ascii: bool,
}

/// As what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One object.
    Json,
}

/// Plays the run as it was and as it would have been, and compares.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    if words.set.is_empty() && words.filenames.is_empty() {
        return Err(Failure::usage("say what is changed: --set PATH=VALUE or -f PATCH", "what-if"));
    }
    let recorded = runs::find(&words.pod, everywhere, caller)?;
    let recording = record::recording(&recorded, caller)?;
    let changed = changed(&recording.pod, words, caller)?;
    let play = |pod: &Value| recording.case(pod, &[]).map(|case| case.run());
    let before = play(&recording.pod).map_err(|text| Failure::Error(format!("the run cannot be played: {text}")))?;
    let after = play(&changed).map_err(|text| Failure::Error(format!("the changed pod is refused: {text}")))?;
    let mut limits = limits(&recording, &before);
    limits.extend(assumed(&recording, &after));
    let rows = rows(&before, &after);
    if words.output == Some(Format::Json) {
        let row = |row: &Row| {
            let same = row.recorded == row.what_if;
            json!({"about": row.about, "what": row.what, "recorded": row.recorded, "whatIf": row.what_if, "same": same})
        };
        let data = json!({
            "apiVersion": "podlet.dev/v1alpha1",
            "kind": "WhatIf",
            "run": recorded.title,
            "seconds": recording.duration.as_secs_f64(),
            "differences": rows.iter().map(row).collect::<Vec<_>>(),
            "assumed": limits,
        });
        print::json(&data, caller.out)?;
        return Ok(0);
    }
    let mut table = vec!["\tWHAT\tRECORDED\tWHAT IF".to_owned()];
    for row in &rows {
        let mark = if row.recorded == row.what_if { "" } else { "  *" };
        table.push(format!("{}\t{}\t{}\t{}{mark}", row.about, row.what, row.recorded, row.what_if));
    }
    let mut widths = print::columns::Widths::new();
    caller.print(&format!(
        "{}, {} of it; * marks what differs\n",
        recorded.title,
        go_duration(whole(recording.duration))
    ))?;
    caller.print(&print::columns::align_after(&(table.join("\n") + "\n"), print::columns::TABLE, &mut widths))?;
    for limit in &limits {
        caller.print(&format!("assumed: {limit}\n"))?;
    }
    caller.print("\n")?;
    let drawing = timeline::Drawing { output: None, width: words.width, ascii: words.ascii };
    let titled = |mut outcome: Outcome, title: &str| {
        outcome.title = title.to_owned();
        outcome.into()
    };
    timeline::draw(&[titled(before, "as recorded"), titled(after, "what if")], &drawing, false, caller)
}

/// The pod with what is changed in it.
fn changed(pod: &Value, words: &Words, caller: &mut Caller<'_>) -> Result<Value, Failure> {
    let place = manifest::node::Position::default();
    let mut root = tree::node(pod, place);
    if !words.filenames.is_empty() {
        let sources = manifest::read_sources(&words.filenames).map_err(|error| Failure::Error(error.to_string()))?;
        for source in &sources {
            let trees = tree::manifests(source).map_err(|diagnostics| {
                let colour = caller.colour && caller.err_terminal;
                diagnostics.iter().for_each(|diagnostic| caller.notice(&render(diagnostic, colour)));
                Failure::Told
            })?;
            root = trees.iter().fold(root, manifest::patch::strategic);
        }
    }
    for text in &words.set {
        let (field, value) = text
            .split_once('=')
            .filter(|(field, _)| !field.is_empty())
            .ok_or_else(|| Failure::Error(format!("--set {text}: write PATH=VALUE such as restartPolicy=Never")))?;
        let source = Source { name: "--set".to_owned(), bytes: value.as_bytes().to_vec() };
        let trees = tree::trees(&source).unwrap_or_default();
        let value = trees.into_iter().next().unwrap_or_else(|| tree::node(&Value::from(value), place));
        let path = if field.contains(['.', '[']) { field.to_owned() } else { format!("spec.{field}") };
        scenario::set(&mut root, &path, value).map_err(|error| Failure::Error(format!("--set {text}: {error}")))?;
    }
    Ok(tree::json(&root))
}

/// One line of the comparison.
struct Row {
    about: String,
    what: &'static str,
    recorded: String,
    what_if: String,
}

fn whole(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The most starts that are named.
const MOST_STARTS: usize = 8;

fn rows(before: &Outcome, after: &Outcome) -> Vec<Row> {
    let views = [before, after].map(|outcome| View::of(&outcome.driver.machine.pod()));
    let mut rows = Vec::new();
    let mut add = |about: &str, what, values: [String; 2]| {
        let [recorded, what_if] = values;
        rows.push(Row { about: about.to_owned(), what, recorded, what_if });
    };
    let removed = [before, after].map(|outcome| outcome.driver.removed);
    let [one, other] = &views;
    let phase = |view: &View, removed: bool| if removed { "removed".to_owned() } else { view.phase.clone() };
    add("pod", "phase at the end", [phase(one, removed[0]), phase(other, removed[1])]);
    add("pod", "ready first", [before, after].map(|outcome| first(&outcome.story, "", "Ready")));
    add("pod", "ready for", [before, after].map(|outcome| go_duration(whole(ready_for(outcome)))));
    let mut names: Vec<String> = one.containers.iter().map(|container| container.name.clone()).collect();
    names.extend(
        other
            .containers
            .iter()
            .map(|container| container.name.clone())
            .filter(|name| !one.containers.iter().any(|c| c.name == *name)),
    );
    for name in &names {
        let of = |view: &View| view.containers.iter().find(|container| container.name == *name).cloned();
        let restarts = |view: &View| of(view).map_or("-".to_owned(), |container| container.restart_count.to_string());
        let state = |view: &View| {
            of(view).map_or("-".to_owned(), |container| match container.reason {
                Some(reason) => format!("{} {reason}", container.state),
                None => container.state.to_owned(),
            })
        };
        add(name, "restarts", [restarts(one), restarts(other)]);
        add(name, "starts", [before, after].map(|outcome| starts(&outcome.story, name)));
        add(name, "ready first", [before, after].map(|outcome| first(&outcome.story, name, "Ready")));
        add(name, "state at the end", [state(one), state(other)]);
    }
    rows
}

fn first(story: &[Happening], about: &str, word: &str) -> String {
    let found = story.iter().find(|h| h.about == about && h.word == word && h.source == From::Status);
    found.map_or("never".to_owned(), |happening| go_duration(whole(happening.at)))
}

fn ready_for(outcome: &Outcome) -> Duration {
    let (mut since, mut total) = (None, Duration::ZERO);
    for happening in outcome.story.iter().filter(|h| h.about.is_empty() && h.source == From::Status) {
        match happening.word.as_str() {
            "Ready" => since = since.or(Some(happening.at)),
            "NotReady" => total += since.take().map_or(Duration::ZERO, |since| happening.at.saturating_sub(since)),
            _ => {}
        }
    }
    total + since.map_or(Duration::ZERO, |since| outcome.duration.saturating_sub(since))
}

fn started<'s>(story: &'s [Happening], name: &'s str) -> impl Iterator<Item = Duration> + 's {
    let started = move |h: &&Happening| h.about == name && h.word == "Started" && h.source == From::Fact;
    story.iter().filter(started).map(|happening| happening.at)
}

fn starts(story: &[Happening], name: &str) -> String {
    let all: Vec<Duration> = started(story, name).collect();
    let shown: Vec<String> =
        all.iter().take(MOST_STARTS).map(|at| go_duration(Duration::from_secs(at.as_secs()))).collect();
    let more = if all.len() > MOST_STARTS { " …" } else { "" };
    format!("{}{more}", shown.join(" "))
}

/// Where the recorded run, played again, is not what was recorded.
fn limits(recording: &Recording, before: &Outcome) -> Vec<String> {
    let tolerance = Recording::tolerance(Duration::ZERO);
    match recording.deviation(&before.story) {
        None => vec!["played again the recorded run has other starts: compare with `podlet timeline`".to_owned()],
        Some(deviation) if deviation > tolerance => {
            vec![format!("played again the recorded run's starts are up to {} off", go_duration(whole(deviation)))]
        }
        Some(_) => Vec::new(),
    }
}

/// What could not have happened in the recorded run: instances that live longer than theirs did, and starts that there were none
/// of.
fn assumed(recording: &Recording, after: &Outcome) -> Vec<String> {
    let mut texts = Vec::new();
    let last = recording.behaviour.last.max(recording.duration);
    for (name, instances) in &recording.behaviour.instances {
        let ran: Vec<&Instance> = instances.iter().filter(|instance| instance.started().is_some()).collect();
        let begun: Vec<Duration> = started(&after.story, name).collect();
        let ended: Vec<Duration> = after
            .story
            .iter()
            .filter(|h| h.about == *name && h.source == From::Fact && matches!(h.word.as_str(), "Exited" | "Lost"))
            .map(|happening| happening.at)
            .collect();
        let mut stopped: Vec<String> = Vec::new();
        for (index, at) in begun.iter().enumerate().take(ran.len()) {
            let Some(instance) = ran.get(index) else { break };
            let end = ended.iter().find(|end| *end >= at).copied().unwrap_or(after.duration);
            let (lived, known) = (end.saturating_sub(*at), instance.known_for(last));
            // What ended of itself ends so again; what was stopped then is not known further.
            let open = instance.signalled.is_some() || instance.killed;
            if open && lived > known + Duration::from_secs(1) {
                stopped.push(format!("{} after {}", index + 1, go_duration(whole(known))));
            }
        }
        if !stopped.is_empty() {
            texts.push(format!(
                "{name}: of its starts these were stopped then: {}; beyond that it goes on as it was last seen, its probes, too",
                stopped.join(", ")
            ));
        }
        if let Some(at) = begun.get(ran.len()) {
            texts.push(format!(
                "{name}: from {} on there are more starts than there were; they go like the last one",
                go_duration(whole(*at))
            ));
        }
    }
    texts
}
