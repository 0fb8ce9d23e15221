//! How containers behave in a simulation: per container a list of images' and runs' outcomes, of which the last repeats.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answers::Answers;
use crate::image::Reference;
use crate::pod::hook::HookKind;
use crate::pod::input::{Exit, ImageFacts, ImageFailure, ProbeOutcome, Pulled, StartStage, TerminationMessage};
use crate::pod::probe::ProbeKind;

/// The behaviour of everything outside the machine. What it does not mention runs for ever and obeys SIGTERM.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What the tries to resize the pod fail with, one after the other; those behind the list succeed.
    pub resizes: Vec<String>,
    /// What becomes of each sandbox that is asked for: an error message, or it stands. Beyond the list: it stands.
    pub sandboxes: Vec<Result<(), String>>,
    /// What the volumes have against being set up, each time a sandbox is asked for; nothing beyond the list.
    pub volumes: Vec<Vec<String>>,
    /// The addresses of a sandbox.
    pub ips: Vec<String>,
    /// What becomes of each look for a container's image.
    pub images: BTreeMap<String, Vec<ImageOutcome>>,
    /// How each instance of a container behaves.
    pub runs: BTreeMap<String, Vec<Run>>,
    /// How long everything that is asked for takes.
    pub latency: Duration,
}

/// What becomes of a look for an image.
#[derive(Clone, Debug)]
pub enum ImageOutcome {
    /// It is there.
    Present(ImageFacts),
    /// It was pulled.
    Pulled(ImageFacts, Pulled),
    /// It cannot be had.
    Missing(ImageFailure, String),
}

/// How one instance behaves.
#[derive(Clone, Debug)]
pub struct Run {
    /// Whether it starts.
    pub start: Start,
    /// When and how it ends by itself.
    pub end: Option<End>,
    /// How long the start takes beyond the script's latency.
    pub start_delay: Duration,
    /// What becomes of the look for its image, where that is not for [`Script::images`] to say. A look that ends badly is
    /// all that there is of this instance.
    pub image: Option<ImageOutcome>,
    /// What it does when told to stop.
    pub on_signal: OnSignal,
    /// What it does on other signals, by their names (`SIGHUP`).
    pub signals: BTreeMap<String, OnSignal>,
    /// Whether the memory controller kills something in it.
    pub oom_killed: bool,
    /// What it leaves behind.
    pub message: TerminationMessage,
    /// What its probes find, by its age: the latest answer that has begun holds. Without any they succeed at once.
    pub probes: BTreeMap<ProbeKind, Vec<ProbeAnswer>>,
    /// What its probes find, attempt by attempt, where that is told so: it goes before `probes`.
    pub answers: BTreeMap<ProbeKind, Vec<Answers>>,
    /// How its hooks end. Those that are not mentioned end well at once; sleeps are the machine's own.
    pub hooks: BTreeMap<HookKind, HookRun>,
}

/// What a probe finds from an age of its instance on.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeAnswer {
    /// From this age on.
    pub from: Duration,
    /// What it finds.
    pub outcome: ProbeOutcome,
    /// How long it takes.
    pub takes: Duration,
}

/// How a hook ends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HookRun {
    /// After so long; `None`: not by itself.
    pub takes: Option<Duration>,
    /// What went wrong, if anything.
    pub failure: Option<String>,
}

/// Whether an instance starts.
#[derive(Clone, Debug)]
pub enum Start {
    /// It does.
    Runs,
    /// It does not.
    Fails(StartStage, String),
}

/// How an instance ends by itself.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// So long after its start.
    pub after: Duration,
    /// So.
    pub exit: Exit,
}

/// What an instance does when told to stop.
#[derive(Clone, Copy, Debug)]
pub enum OnSignal {
    /// Nothing: only SIGKILL ends it.
    Ignores,
    /// It ends so.
    Ends(End),
}

impl Run {
    /// Runs for ever, and ends with 0 when told to stop.
    pub fn forever() -> Run {
        Run {
            start: Start::Runs,
            end: None,
            start_delay: Duration::ZERO,
            image: None,
            signals: BTreeMap::new(),
            on_signal: OnSignal::Ends(End { after: Duration::ZERO, exit: Exit::Code(0) }),
            oom_killed: false,
            message: TerminationMessage::default(),
            probes: BTreeMap::new(),
            answers: BTreeMap::new(),
            hooks: BTreeMap::new(),
        }
    }

    /// The same, but one of its probes finds this from so many milliseconds of its age on; it takes no time.
    pub fn probe(self, kind: ProbeKind, milliseconds: u64, outcome: ProbeOutcome) -> Run {
        self.slow_probe(kind, milliseconds, outcome, 0)
    }

    /// The same, but one of its probes finds this from so many milliseconds of its age on, and takes so many for it.
    pub fn slow_probe(mut self, kind: ProbeKind, milliseconds: u64, outcome: ProbeOutcome, takes: u64) -> Run {
        let answers = self.probes.entry(kind).or_default();
        let (from, takes) = (Duration::from_millis(milliseconds), Duration::from_millis(takes));
        answers.push(ProbeAnswer { from, outcome, takes });
        self
    }

    /// The same, but one of its hooks takes so many milliseconds (`None`: for ever), and fails with this text, if any.
    pub fn hook(mut self, kind: HookKind, milliseconds: Option<u64>, failure: Option<&str>) -> Run {
        let run = HookRun { takes: milliseconds.map(Duration::from_millis), failure: failure.map(str::to_owned) };
        self.hooks.insert(kind, run);
        self
    }

    /// What a probe finds at this age.
    pub(super) fn probe_answer(&self, kind: ProbeKind, age: Duration) -> (ProbeOutcome, Duration) {
        let mut answers = self.probes.get(&kind).into_iter().flatten();
        let found = answers.rfind(|answer| answer.from <= age);
        found.map_or((ProbeOutcome::Success, Duration::ZERO), |answer| (answer.outcome.clone(), answer.takes))
    }

    /// How a hook ends.
    pub(super) fn hook_run(&self, kind: HookKind) -> HookRun {
        self.hooks.get(&kind).cloned().unwrap_or(HookRun { takes: Some(Duration::ZERO), failure: None })
    }

    /// Ends with this code after so many milliseconds.
    pub fn exits(code: i32, milliseconds: u64) -> Run {
        let end = End { after: Duration::from_millis(milliseconds), exit: Exit::Code(code) };
        Run { end: Some(end), ..Run::forever() }
    }

    /// Does not start.
    pub fn fails(stage: StartStage, message: &str) -> Run {
        Run { start: Start::Fails(stage, message.to_owned()), ..Run::forever() }
    }

    /// The same, but deaf to the stop signal.
    pub fn deaf(self) -> Run {
        Run { on_signal: OnSignal::Ignores, ..self }
    }

    /// The same, but ending so long after the stop signal, with this code.
    pub fn stops(self, code: i32, milliseconds: u64) -> Run {
        let end = End { after: Duration::from_millis(milliseconds), exit: Exit::Code(code) };
        Run { on_signal: OnSignal::Ends(end), ..self }
    }
}

impl Script {
    /// This container's instances behave so, one after another; the last repeats.
    pub fn container(mut self, name: &str, runs: impl Into<Vec<Run>>) -> Script {
        self.runs.insert(name.to_owned(), runs.into());
        self
    }

    /// The looks for this container's image end so, one after another; the last repeats.
    pub fn image(mut self, name: &str, outcomes: impl Into<Vec<ImageOutcome>>) -> Script {
        self.images.insert(name.to_owned(), outcomes.into());
        self
    }

    /// How the `nth` started instance of a container behaves.
    pub(super) fn run(&self, name: &str, nth: usize) -> Run {
        nth_or_last(self.runs.get(name), nth).unwrap_or_else(Run::forever)
    }

    /// How the `nth` look for a container's image ends; present under its own name where the script is silent, if that is one.
    pub(super) fn image_outcome(&self, name: &str, image: &str, nth: usize) -> ImageOutcome {
        nth_or_last(self.images.get(name), nth).unwrap_or_else(|| {
            if let Some(error) = Reference::parse(image).err().filter(|_| !image.is_empty()) {
                let error = format!("couldn't parse image name \"{image}\": {error}");
                let text = format!("Failed to apply default image tag \"{image}\": {error}");
                return ImageOutcome::Missing(ImageFailure::InvalidImageName, text);
            }
            ImageOutcome::Present(ImageFacts {
                image: image.to_owned(),
                image_id: format!("{image}@sha256:{}", "0".repeat(64)),
                stop_signal: None,
            })
        })
    }
}

fn nth_or_last<T: Clone>(list: Option<&Vec<T>>, nth: usize) -> Option<T> {
    let list = list?;
    list.get(nth).or(list.last()).cloned()
}
