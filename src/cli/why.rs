//! `podlet why`: what state a pod and each of its containers is in, by which rule, on what evidence, and what happens next
//! and when.

mod screen;

use std::os::fd::AsFd;
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::everywhere::Everywhere;
use super::logs::choose;
use super::{Caller, Failure, happenings, last_words, print, runs};
use crate::paths::Paths;
use crate::pod::time::{BootTime, WallTime};
use crate::pod::why::{Next, Standing as Holds};
use crate::recorded::run::Run;
use crate::simulation::story::{Happening, Source};
use crate::supervisor::clock;
use crate::supervisor::history::History;
use crate::supervisor::kept::{Seen, Standing};

/// The words of `why`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet why web         each container: its state, the rule, the evidence, what
                         comes next and when
  podlet why web -c app  this one alone
  podlet why web -o json

Rules are named as in docs/rules.md. What is told comes from the pod's journal: the same inputs and decisions that ran it.")]
pub struct Words {
    /// POD or pod/POD.
    #[arg(value_name = "POD")]
    pod: String,
    /// This container alone.
    #[arg(short, long, value_name = "CONTAINER")]
    container: Option<String>,
    /// As data.
    #[arg(short, long, value_name = "json")]
    output: Option<Format>,
}

/// As what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One object.
    Json,
}

/// What `describe` adds to kubectl's lines: of each container that is dead the cause, its last words, and what comes next.
/// None where every container is well, or nothing of the run is kept.
pub fn of_the_dead(seen: &Seen, caller: &Caller<'_>) -> Option<String> {
    let uid = seen.pod.metadata.uid.as_deref()?;
    let status = seen.pod.status.as_ref()?;
    let mut all = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    if !all.any(last_words::is_dead) {
        return None;
    }
    let run = Run::of(&History::read(&caller.paths, uid).ok()?.latest());
    let dead = |holds: &Holds| choose::status(&seen.pod, &holds.about).is_some_and(last_words::is_dead);
    let standings = run.outcome.machine.as_ref()?.standings().into_iter().filter(dead);
    let told: Vec<Told> = standings.map(|holds| told(holds, seen, &run, &caller.paths)).collect();
    Some(screen::below_describe(&told, Now::of(caller)))
}

/// What has happened to one container, or to the pod, lately.
const MOST_SEEN: usize = 6;

/// What is to be said of one thing.
pub struct Told {
    holds: Holds,
    restarts: Option<i32>,
    /// When it was seen, on the wall.
    seen: Vec<(WallTime, Happening)>,
    /// The last lines of its log, if it is dead.
    wrote: Vec<String>,
}

/// Tells why.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let mut recorded = runs::of_pod(&words.pod, everywhere, caller)?;
    let Some(seen) = recorded.seen.take() else { return Err(Failure::not_found("pods", &words.pod)) };
    if let Some(container) = &words.container {
        choose::check_container(&seen.pod, container)?;
    }
    let run = Run::of(&recorded.history.latest());
    let Some(machine) = &run.outcome.machine else {
        return Err(Failure::Error(format!("nothing is known of the run of {}", recorded.title)));
    };
    let told: Vec<Told> = machine
        .standings()
        .into_iter()
        .filter(|holds| words.container.as_ref().is_none_or(|name| holds.about.is_empty() || holds.about == *name))
        .map(|holds| told(holds, &seen, &run, &caller.paths))
        .collect();
    let now = Now::of(caller);
    match words.output {
        Some(Format::Json) => print::json(&data(&seen, &told, now), caller.out)?,
        None => {
            let width = if caller.out_terminal { terminal_width() } else { 80 };
            let colour = caller.colour && caller.out_terminal;
            caller.print(&screen::draw(&recorded.title, &seen, &told, now, width, colour))?;
        }
    }
    Ok(0)
}

fn terminal_width() -> usize {
    let size = crate::linux::terminal::size(std::io::stdout().as_fd());
    size.map(|size| usize::from(size.ws_col)).ok().filter(|columns| *columns >= 40).unwrap_or(80).min(120)
}

/// The time on both clocks.
#[derive(Clone, Copy)]
pub struct Now {
    wall: Timestamp,
    boot: BootTime,
}

impl Now {
    fn of(caller: &Caller<'_>) -> Now {
        Now { wall: caller.now(), boot: clock::now().boot }
    }

    /// How long until then; zero when that is past.
    fn until(self, at: BootTime) -> Duration {
        at.since(self.boot)
    }

    /// That time on the wall.
    fn wall_at(self, at: BootTime) -> Timestamp {
        let nanoseconds = i128::from(at.0) - i128::from(self.boot.0) + self.wall.as_nanosecond();
        Timestamp::from_nanosecond(nanoseconds).unwrap_or(self.wall)
    }
}

fn told(mut holds: Holds, seen: &Seen, run: &Run, paths: &Paths) -> Told {
    let status = choose::status(&seen.pod, &holds.about);
    // What the machine would do next is done by nobody.
    if !matches!(seen.standing, Standing::Live) {
        holds.next.retain(|next| next.at.is_none() && seen.standing == Standing::Ended);
    }
    let about = |happening: &&Happening| happening.about == holds.about;
    let of_it: Vec<&Happening> = run.story.iter().filter(about).filter(|happening| is_evidence(happening)).collect();
    // From the last start on, and how the one before ended.
    let started = of_it.iter().rposition(|happening| happening.word == "Starting");
    let from = match started.filter(|_| !holds.about.is_empty()) {
        Some(at) => of_it.get(..at).unwrap_or_default().iter().rposition(|h| h.word == "Exited").unwrap_or(at),
        None => 0,
    };
    let mut lately: Vec<&Happening> = Vec::new();
    for happening in of_it.get(from..).unwrap_or_default() {
        // Of a row of the same only the last is new.
        let same = |before: &&Happening| before.word == happening.word && before.detail == happening.detail;
        if lately.last().is_some_and(same) {
            lately.pop();
        }
        lately.push(happening);
    }
    let lately = lately.get(lately.len().saturating_sub(MOST_SEEN)..).unwrap_or_default();
    Told {
        restarts: status.map(|status| status.restart_count),
        wrote: status.map(|status| last_words::of(paths, &seen.pod, status)).unwrap_or_default(),
        seen: lately.iter().map(|happening| (run.wall(happening.at), (*happening).clone())).collect(),
        holds,
    }
}

/// Whether it tells how things came to be as they are: what was found and what was decided, each once. What holds now says the
/// status itself.
fn is_evidence(happening: &Happening) -> bool {
    let word = happening.word.as_str();
    let of_pod = happening.about.is_empty();
    match happening.source {
        Source::Status => false,
        Source::Event => {
            !matches!(word, "Started" | "Killing" | "Failed" | "FailedMount" | "FailedCreatePodSandBox")
                && happenings::told(happening)
        }
        // That a probe passes is told when it decides something.
        Source::Fact => !matches!(word, "ImageReady" | "ProbeSucceeded" | "SandboxStarted"),
        Source::Effect => !of_pod,
        Source::Note => happening.rule.as_ref().is_some_and(|rule| rule.0.starts_with("R-6.2")),
    }
}

fn data(seen: &Seen, told: &[Told], now: Now) -> Value {
    let rule = |rule: Option<&'static crate::pod::rules::Rule>| {
        rule.map(|rule| json!({"name": rule.name, "text": rule.text, "source": rule.source}))
    };
    let next = |next: &Next| {
        json!({
            "what": next.what,
            "at": next.at.map(|at| now.wall_at(at).to_string()),
            "inSeconds": next.at.map(|at| now.until(at).as_secs_f64()),
            "rule": rule(next.rule),
        })
    };
    let one = |told: &Told| {
        let happened = |(at, happening): &(WallTime, Happening)| {
            json!({
                "at": wall(*at).to_string(),
                "what": happening.word,
                "detail": happening.detail,
                "rule": happening.rule.as_ref().map(|rule| &rule.0),
                "because": happening.because,
            })
        };
        json!({
            "name": told.holds.about,
            "state": told.holds.state,
            "restartCount": told.restarts,
            "rule": rule(told.holds.rule),
            "because": told.holds.because,
            "seen": told.seen.iter().map(happened).collect::<Vec<_>>(),
            "lastLogLines": told.wrote,
            "next": told.holds.next.iter().map(next).collect::<Vec<_>>(),
        })
    };
    let (pods, containers): (Vec<&Told>, Vec<&Told>) = told.iter().partition(|told| told.holds.about.is_empty());
    let metadata = &seen.pod.metadata;
    json!({
        "apiVersion": "podlet.dev/v1alpha1",
        "kind": "Why",
        "metadata": {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid},
        "at": now.wall.to_string(),
        "standing": format!("{:?}", seen.standing),
        "message": seen.pod.status.as_ref().and_then(|status| status.message.clone()),
        "pod": pods.first().map(|told| one(told)),
        "containers": containers.into_iter().map(one).collect::<Vec<_>>(),
    })
}

fn wall(at: WallTime) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or_default()
}
