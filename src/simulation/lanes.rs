//! A run as lanes, one a container: what it did when, and what happened to it. Made from the story; drawn by the command
//! line.

use std::time::Duration;

use super::story::{Happening, Source};
use crate::duration;

/// All lanes of a run.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// How long it lasts.
    pub duration: Duration,
    /// In the status' order.
    pub lanes: Vec<Lane>,
}

/// One container.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Its name.
    pub name: String,
    /// What it did, one after another without gaps.
    pub stretches: Vec<Stretch>,
    /// What happened at an instant.
    pub marks: Vec<Mark>,
}

/// What a container does for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// From then.
    pub from: Duration,
    /// To then.
    pub to: Duration,
    /// What.
    pub what: What,
    /// The reason of waiting; the grace period; how it ended.
    pub detail: String,
    /// When what it waits for comes, where that is known: the end of a back-off or of a grace period.
    pub until: Option<Duration>,
}

/// What a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It waits to be started.
    Waiting,
    /// It has ended, for good or for now.
    Ended,
    /// It runs and is ready.
    Ready,
    /// It runs and is not ready.
    Running,
    /// It waits because it crashed, or because its image could not be pulled.
    BackOff,
    /// It was told to stop.
    Stopping,
}

impl What {
    /// As data has it.
    pub fn word(self) -> &'static str {
        match self {
            What::Waiting => "waiting",
            What::Ended => "ended",
            What::Ready => "ready",
            What::Running => "running",
            What::BackOff => "backOff",
            What::Stopping => "stopping",
        }
    }
}

/// What happened to a container at an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When.
    pub at: Duration,
    /// What.
    pub kind: MarkKind,
    /// What there is to say.
    pub detail: String,
}

/// Of which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkKind {
    /// A probe succeeded.
    Passed,
    /// A hook began or ended.
    Hook,
    /// A probe failed.
    Failed,
    /// It was started.
    Start,
    /// It ended.
    Exit,
}

impl MarkKind {
    /// As data has it.
    pub fn word(self) -> &'static str {
        match self {
            MarkKind::Passed => "probeSucceeded",
            MarkKind::Hook => "hook",
            MarkKind::Failed => "probeFailed",
            MarkKind::Start => "start",
            MarkKind::Exit => "exit",
        }
    }
}

impl Lanes {
    /// Of a run.
    pub fn new(story: &[Happening], duration: Duration) -> Lanes {
        let mut names: Vec<&str> = Vec::new();
        for happening in story.iter().filter(|happening| !happening.about.is_empty()) {
            if !names.contains(&happening.about.as_str()) {
                names.push(&happening.about);
            }
        }
        Lanes { duration, lanes: names.into_iter().map(|name| lane(name, story, duration)).collect() }
    }
}

fn lane(name: &str, story: &[Happening], duration: Duration) -> Lane {
    let mut lane = Lane { name: name.to_owned(), stretches: Vec::new(), marks: Vec::new() };
    let mut ready = false;
    for happening in story.iter().filter(|happening| happening.about == name) {
        lane.mark(happening);
        let now = lane.stretches.last().map(|stretch| stretch.what);
        let running = matches!(now, Some(What::Ready | What::Running));
        match (happening.source, happening.word.as_str()) {
            (Source::Status, "Waiting") => {
                let what = if happening.detail.ends_with("BackOff") { What::BackOff } else { What::Waiting };
                lane.begin(happening.at, what, happening.detail.clone(), None);
            }
            // The decision says for how long.
            (Source::Note, _) if now == Some(What::BackOff) => {
                let wait = happening.because.get("wait").and_then(|wait| duration::parse(wait).ok());
                if let (Some(stretch), Some(wait)) = (lane.stretches.last_mut(), wait) {
                    stretch.until = Some(happening.at + wait);
                }
            }
            (Source::Status, "Terminated") => lane.begin(happening.at, What::Ended, happening.detail.clone(), None),
            (Source::Status, "Running") | (Source::Fact, "Started") if !running && now != Some(What::Stopping) => {
                lane.begin(happening.at, if ready { What::Ready } else { What::Running }, String::new(), None);
            }
            (Source::Status, "Ready" | "NotReady") => {
                ready = happening.word == "Ready";
                if running {
                    lane.begin(happening.at, if ready { What::Ready } else { What::Running }, String::new(), None);
                }
            }
            (Source::Effect, "Signalled") => {
                let grace = happening.because.get("grace").cloned().unwrap_or_default();
                let until = duration::parse(&grace).ok().map(|grace| happening.at + grace);
                lane.begin(happening.at, What::Stopping, format!("grace {grace}"), until);
            }
            (Source::Fact, "Exited" | "Lost") => lane.begin(happening.at, What::Ended, happening.detail.clone(), None),
            _ => {}
        }
    }
    if let Some(last) = lane.stretches.last_mut() {
        last.to = duration.max(last.from);
    }
    lane
}

impl Lane {
    fn begin(&mut self, at: Duration, what: What, detail: String, until: Option<Duration>) {
        if let Some(last) = self.stretches.last_mut() {
            if last.what == what && last.detail == detail && last.until == until {
                return;
            }
            last.to = at;
        }
        self.stretches.retain(|stretch| stretch.to > stretch.from);
        self.stretches.push(Stretch { from: at, to: at, what, detail, until });
    }

    fn mark(&mut self, happening: &Happening) {
        let kind = match (happening.source, happening.word.as_str()) {
            (Source::Fact, "Started") => MarkKind::Start,
            (Source::Fact, "Exited" | "Lost" | "StartFailed") => MarkKind::Exit,
            (Source::Fact, "ProbeSucceeded") => MarkKind::Passed,
            (Source::Fact, "ProbeFailed" | "ProbeErrored") => MarkKind::Failed,
            (_, "HookStarted" | "HookEnded") => MarkKind::Hook,
            _ => return,
        };
        self.marks.push(Mark { at: happening.at, kind, detail: happening.detail.clone() });
    }
}
