//! A timeline as people and assertions speak of it: who, a word, and what there is to say about it. Made from the lines that
//! the driver records (facts, effects, notes, visible changes) and from the pod's events; every happening keeps the rule
//! that caused it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::driver::Driver;
use super::timeline::{ContainerView, Entry, Line, View};
use crate::manifest::quantity::{Format, Quantity};
use crate::pod::effect::{Action, Effect, RuleId};
use crate::pod::input::{Exit, Fact, ProbeOutcome, StartStage};
use crate::pod::machine::Machine;
use crate::pod::room::{Room, Share};
use crate::pod::storage::Usage;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// When, since the pod was admitted.
    pub at: Duration,
    /// The container; empty for the pod.
    pub about: String,
    /// `Started`, `Exited`, `BackOff` …
    pub word: String,
    /// What there is to say about it: an exit code, a reason, an event's text.
    pub detail: String,
    /// The rule that caused it, where one did.
    pub rule: Option<RuleId>,
    /// What the rule saw.
    pub because: BTreeMap<String, String>,
    /// Where it comes from.
    pub source: Source,
}

/// Where a happening comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The world told it.
    Fact,
    /// The machine asked for it.
    Effect,
    /// The machine decided it.
    Note,
    /// A user sees it.
    Status,
    /// An event tells it.
    Event,
}

/// The words of facts, effects and visible changes; those of events are their reasons.
pub const WORDS: &[(&str, &str)] = &[
    ("Starting", "a start was decided; the rule says why"),
    ("Pulling", "its image is being pulled"),
    ("ImageReady", "its image is at hand"),
    ("ImageFailed", "its image cannot be had; the detail is the reason and the message"),
    ("Started", "its program runs"),
    ("StartFailed", "it could not be started; the detail is the reason and the message"),
    ("Exited", "it has ended; the detail is `code N`, `signal N` or `OOMKilled`"),
    ("ProbeSucceeded", "the detail is the probe: `liveness`, `readiness`, `startup`"),
    ("ProbeFailed", "the detail is the probe and what it found"),
    ("ProbeErrored", "it could not be carried out, and counts neither way"),
    (
        "HookStarted",
        "the detail is `postStart` or `preStop`; a hook that only sleeps is the machine's own and not told",
    ),
    ("HookEnded", "the detail is the hook and, where it failed, why"),
    ("Lost", "it cannot be found any more"),
    ("Signalled", "it was told to stop; the detail is the signal"),
    ("Killed", "it was killed with SIGKILL"),
    ("Waiting", "it is shown waiting; the detail is the reason"),
    ("Running", "it is shown running; of the pod: its phase"),
    ("Terminated", "it is shown terminated; the detail is the reason and the code"),
    ("Ready", "it became ready; of the pod: its condition Ready became True"),
    ("NotReady", "it is not ready any more"),
    ("Pending", "the pod's phase"),
    ("Succeeded", "the pod's phase"),
    ("Failed", "the pod's phase; of a container: the event"),
    ("SandboxStarting", "a sandbox was decided"),
    ("SandboxStarted", "the sandbox stands"),
    ("SandboxFailed", "the sandbox could not be made"),
    ("SandboxStopping", "the sandbox is being stopped"),
    ("SandboxExited", "the pause process is gone"),
    ("MountFailed", "volumes could not be set up"),
    ("DeleteRequested", "the user deleted the pod"),
    ("StopRequested", "the pod was stopped"),
    ("RestartRequested", "the user asked for a restart"),
    ("SpecChanged", "a re-apply changed the pod"),
    ("RoomMeasured", "it was looked how much cpu and memory there is for a resize; the detail is how much"),
    ("StorageMeasured", "it uses more local storage than it may; the detail is all that it uses"),
    ("Rebooted", "the machine was started anew"),
    ("TearingDown", "the pod is being torn down"),
    ("TornDown", "the pod is torn down"),
    ("Removed", "the pod object is gone"),
    ("SupervisorDied", "the supervisor was killed and folds its journal"),
    ("ClockSet", "the wall clock was set"),
];

/// Reasons of events that may come from a pod (lifecycle 10), for telling a misspelt word from one that never happens.
pub const EVENT_REASONS: &[&str] = &[
    "AllocationFailed",
    "BackOff",
    "CNIConfigMissing",
    "Created",
    "DeadlineExceeded",
    "ErrImageNeverPull",
    "Evicted",
    "ExceededGracePeriod",
    "Failed",
    "FailedCreatePodSandBox",
    "FailedKillPod",
    "FailedMount",
    "FailedPostStartHook",
    "FailedPreStopHook",
    "FailedPrepareDynamicResources",
    "FailedSync",
    "InspectFailed",
    "Killing",
    "LogDropping",
    "LogLost",
    "LogResumed",
    "NetworkNotReady",
    "PodReadyToStartContainers",
    "ProbeWarning",
    "Pulled",
    "ResizeCompleted",
    "ResizeDeferred",
    "ResizeError",
    "ResizeInfeasible",
    "ResizeStarted",
    "SandboxChanged",
    "Scheduled",
    "Unhealthy",
];

/// Follows a driver.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// All so far.
    pub happenings: Vec<Happening>,
    /// How much of the driver's timeline was read.
    read: usize,
    view: Option<View>,
    events: BTreeMap<u64, u32>,
    /// Inputs that the driver's machine had taken.
    told: Option<usize>,
}

impl Story {
    /// Reads what is new; answers from which happening on.
    pub fn follow(&mut self, driver: &Driver) -> usize {
        let from = self.happenings.len();
        let lines = driver.timeline.get(self.read..).unwrap_or_default();
        self.read = driver.timeline.len();
        self.take(lines);
        // Events come with inputs alone.
        if self.told != Some(driver.inputs()) {
            self.told = Some(driver.inputs());
            self.take_events(driver.now(), &driver.machine);
        }
        from
    }

    /// Takes in lines of a timeline.
    pub fn take(&mut self, lines: &[Line]) {
        for line in lines {
            match &line.entry {
                Entry::Input(fact) => self.fact(line.at, fact),
                Entry::Effect(effect) => self.effect(line.at, effect),
                Entry::Note(note) => {
                    let because = note.because.clone();
                    let detail = because.iter().map(|(name, value)| format!("{name}={value}"));
                    let detail = detail.collect::<Vec<_>>().join(" ");
                    let rule = Some(note.rule.clone());
                    let (at, about) = (line.at, note.about.clone());
                    let word = "Decided".to_owned();
                    self.happenings.push(Happening { at, about, word, detail, rule, because, source: Source::Note });
                }
                Entry::Status(view) => self.status(line.at, view),
            }
        }
    }

    /// Puts in what the driver's timeline does not hold.
    pub fn tell(&mut self, at: Duration, word: &str, detail: String) {
        self.push(at, "", word, detail, Source::Fact);
    }

    fn push(&mut self, at: Duration, about: &str, word: &str, detail: String, source: Source) {
        let (about, word, because) = (about.to_owned(), word.to_owned(), BTreeMap::new());
        self.happenings.push(Happening { at, about, word, detail, rule: None, because, source });
    }

    fn fact(&mut self, at: Duration, fact: &Fact) {
        let (about, word, detail) = match fact {
            Fact::Tick => return,
            Fact::SandboxStarted { attempt, .. } => ("", "SandboxStarted", format!("sandbox {attempt}")),
            Fact::SandboxFailed { message, .. } => ("", "SandboxFailed", message.clone()),
            Fact::MountFailed { messages, .. } => ("", "MountFailed", messages.join("; ")),
            Fact::SandboxExited { attempt } => ("", "SandboxExited", format!("sandbox {attempt}")),
            Fact::ImagePulling { container, .. } => (container.as_str(), "Pulling", String::new()),
            Fact::ImageReady { container, image, .. } => (container.as_str(), "ImageReady", image.image.clone()),
            Fact::ImageFailed { container, reason, message, .. } => {
                (container.as_str(), "ImageFailed", format!("{reason:?} {message}"))
            }
            Fact::ContainerStarted { container, attempt, .. } => {
                (container.as_str(), "Started", format!("instance {}", attempt + 1))
            }
            Fact::StartFailed { container, stage, message, .. } => {
                let reason = match stage {
                    StartStage::Config => "CreateContainerConfigError",
                    StartStage::Create => "CreateContainerError",
                    StartStage::Run => "RunContainerError",
                };
                (container.as_str(), "StartFailed", format!("{reason} {message}"))
            }
            Fact::ContainerExited { container, exit, oom_killed, .. } => {
                let how = match exit {
                    Exit::Code(code) => format!("code {code}"),
                    Exit::Signal(signal) => format!("signal {signal}"),
                };
                let how = if *oom_killed { format!("OOMKilled, {how}") } else { how };
                (container.as_str(), "Exited", how)
            }
            Fact::ContainerLost { container, message, .. } => (container.as_str(), "Lost", message.clone()),
            Fact::ProbeResult { container, probe, outcome, .. } => {
                let (word, text) = match outcome {
                    ProbeOutcome::Success => ("ProbeSucceeded", ""),
                    ProbeOutcome::Warning(text) => ("ProbeSucceeded", text.as_str()),
                    ProbeOutcome::Failure(text) => ("ProbeFailed", text.as_str()),
                    ProbeOutcome::Error { message, .. } => ("ProbeErrored", message.as_str()),
                };
                let blank = if text.is_empty() { "" } else { " " };
                (container.as_str(), word, format!("{}{blank}{text}", probe.word()))
            }
            Fact::HookEnded { container, hook, failure, .. } => {
                let how = failure.as_ref().map(|failure| format!(" failed: {failure}")).unwrap_or_default();
                (container.as_str(), "HookEnded", format!("{}{how}", hook.word()))
            }
            Fact::DeleteRequested { grace_seconds, force } => {
                let grace =
                    grace_seconds.map_or("the pod's own grace period".to_owned(), |g| format!("grace period {g}s"));
                let force = if *force { ", force" } else { "" };
                ("", "DeleteRequested", format!("{grace}{force}"))
            }
            Fact::StopRequested { .. } => ("", "StopRequested", String::new()),
            Fact::RestartRequested { container } => {
                (container.as_deref().unwrap_or_default(), "RestartRequested", String::new())
            }
            Fact::SpecChanged { .. } => ("", "SpecChanged", String::new()),
            Fact::RoomMeasured { room } => ("", "RoomMeasured", room_words(room)),
            Fact::StorageMeasured { usage } => ("", "StorageMeasured", storage_words(usage)),
            Fact::Rebooted => ("", "Rebooted", String::new()),
            Fact::TornDown => ("", "TornDown", String::new()),
            other => {
                let (about, word, detail) = in_general(other);
                return self.push(at, &about, &word, detail, Source::Fact);
            }
        };
        let about = about.to_owned();
        self.push(at, &about, word, detail, Source::Fact);
    }

    fn effect(&mut self, at: Duration, effect: &Effect) {
        let (about, word, detail) = match &effect.action {
            Action::StartSandbox { attempt } => (String::new(), "SandboxStarting", format!("sandbox {attempt}")),
            Action::StopSandbox { attempt } => (String::new(), "SandboxStopping", format!("sandbox {attempt}")),
            Action::EnsureImage { container, attempt } => {
                (container.clone(), "Starting", format!("instance {}", attempt + 1))
            }
            // The image is at hand; what was decided was told with `Starting`.
            Action::StartContainer { .. } => return,
            Action::SignalContainer { container, signal, .. } => (container.clone(), "Signalled", signal.clone()),
            Action::KillContainer { container, .. } => (container.clone(), "Killed", "SIGKILL".to_owned()),
            // What it finds is told.
            Action::RunProbe { .. } => return,
            Action::RunHook { container, hook, .. } => (container.clone(), "HookStarted", hook.word().to_owned()),
            Action::ResizePod { generation } => (String::new(), "Resizing", format!("generation {generation}")),
            Action::TearDown => (String::new(), "TearingDown", String::new()),
            Action::Remove => (String::new(), "Removed", String::new()),
        };
        let (rule, because) = (Some(effect.rule.clone()), effect.because.clone());
        let word = word.to_owned();
        self.happenings.push(Happening { at, about, word, detail, rule, because, source: Source::Effect });
    }

    fn status(&mut self, at: Duration, view: &View) {
        let before = self.view.replace(view.clone());
        let none = View { phase: String::new(), conditions: Vec::new(), containers: Vec::new() };
        let before = before.unwrap_or(none);
        if before.phase != view.phase {
            self.push(at, "", &view.phase, String::new(), Source::Status);
        }
        let ready = |view: &View| {
            view.conditions.iter().find(|(kind, _)| kind == "Ready").map(|(_, words)| words.clone()).unwrap_or_default()
        };
        let (was, is) = (ready(&before), ready(view));
        if (was == "True") != (is == "True") {
            let word = if is == "True" { "Ready" } else { "NotReady" };
            self.push(at, "", word, is, Source::Status);
        }
        for container in &view.containers {
            let old = before.containers.iter().find(|old| old.name == container.name);
            self.container(at, old, container);
        }
    }

    fn container(&mut self, at: Duration, old: Option<&ContainerView>, new: &ContainerView) {
        let same = |old: &ContainerView| {
            (old.state, &old.reason, old.exit_code, old.restart_count)
                == (new.state, &new.reason, new.exit_code, new.restart_count)
        };
        if !old.is_some_and(same) {
            let reason = new.reason.clone().unwrap_or_default();
            let (word, detail) = match new.state {
                "waiting" => ("Waiting", reason),
                "terminated" => ("Terminated", format!("{reason} {}", new.exit_code.unwrap_or_default())),
                _ => ("Running", String::new()),
            };
            self.push(at, &new.name, word, detail, Source::Status);
        }
        if old.is_some_and(|old| old.ready) != new.ready {
            let word = if new.ready { "Ready" } else { "NotReady" };
            self.push(at, &new.name, word, String::new(), Source::Status);
        }
    }

    /// Takes in the events that a machine has recorded since the last look.
    pub fn take_events(&mut self, at: Duration, machine: &Machine) {
        let mut news = Vec::new();
        for (serial, container, reason, message, count) in machine.recorded_events() {
            let seen = self.events.entry(serial).or_default();
            // A start is told by its fact.
            for _ in *seen..count {
                if reason != "Started" {
                    let about = container.unwrap_or_default().to_owned();
                    news.push((about, reason.to_owned(), message.to_owned()));
                }
            }
            *seen = count;
        }
        for (about, reason, message) in news {
            self.push(at, &about, &reason, message, Source::Event);
        }
    }
}

/// A fact that has no words of its own here, by the names of its fields.
/// `cpu 1500m of 2, memory 1Gi of 4Gi held by other pods`.
fn room_words(room: &Room) -> String {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let cpu = |amount: u64| Quantity::from_milli(number(amount)).to_string();
    let memory = |amount: u64| Quantity::from_value(number(amount), Format::BinarySi).to_string();
    let words = |name: &str, share: Share, shown: &dyn Fn(u64) -> String| {
        (share.capacity < u64::MAX).then(|| format!("{name} {} of {}", shown(share.used), shown(share.capacity)))
    };
    let all = [words("cpu", room.cpu, &cpu), words("memory", room.memory, &memory)];
    let all: Vec<String> = all.into_iter().flatten().collect();
    if all.is_empty() { "enough".to_owned() } else { format!("{} held by other pods", all.join(", ")) }
}

fn storage_words(usage: &Usage) -> String {
    let size = |bytes: u64| Quantity::from_value(i64::try_from(bytes).unwrap_or(i64::MAX), Format::BinarySi);
    let volumes = usage.volumes.iter().map(|(name, used)| format!("volume {name} {}", size(*used)));
    let containers = usage.containers.iter().map(|(name, used)| {
        format!("container {name} {} in its root file system, {} of logs", size(used.layer), size(used.logs))
    });
    volumes.chain(containers).collect::<Vec<_>>().join(", ")
}

fn in_general(fact: &Fact) -> (String, String, String) {
    let value = serde_json::to_value(fact).unwrap_or_default();
    let Some((word, fields)) = value.as_object().and_then(|map| map.iter().next()) else {
        return (String::new(), value.as_str().unwrap_or_default().to_owned(), String::new());
    };
    let field = |name: &str| fields.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let shown =
        fields.as_object().into_iter().flatten().filter(|(name, _)| !matches!(name.as_str(), "container" | "attempt"));
    let shown =
        shown.map(|(name, value)| format!("{name}={}", value.as_str().map_or(value.to_string(), str::to_owned)));
    (field("container"), word.clone(), shown.collect::<Vec<_>>().join(" "))
}

/// `app.Started`, `"*.Killing(Liveness)"`, `Removed`: who (any, where nobody is named), what, and a part of the detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    about: Option<String>,
    word: String,
    detail: Option<String>,
}

impl Pattern {
    /// Reads one; says what is wrong with it. `containers` are the names that there are.
    pub fn read(text: &str, containers: &[&str]) -> Result<Pattern, String> {
        let text = text.trim();
        let (head, detail) = match text.split_once('(') {
            Some((head, rest)) => {
                let detail = rest.strip_suffix(')').ok_or_else(|| format!("{text:?}: the ) at the end is missing"))?;
                (head, Some(detail.to_owned()))
            }
            None => (text, None),
        };
        let (about, word) = match head.rsplit_once('.') {
            Some(("*", word)) => (None, word),
            Some(("pod", word)) if !containers.contains(&"pod") => (Some(String::new()), word),
            Some((name, word)) => {
                if !containers.contains(&name) {
                    let near = crate::manifest::suggest::nearest(name, containers.iter().copied());
                    let hint = near.map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
                    return Err(format!(
                        "the pod has no container {name:?}{hint}; there are {}",
                        containers.join(", ")
                    ));
                }
                (Some(name.to_owned()), word)
            }
            None => (None, head),
        };
        let known = || WORDS.iter().map(|(word, _)| *word).chain(EVENT_REASONS.iter().copied());
        let Some(word) = known().find(|known| known.eq_ignore_ascii_case(word)) else {
            let near = crate::manifest::suggest::nearest(word, known());
            let hint =
                near.map_or("docs/testing.md lists the words".to_owned(), |near| format!("did you mean {near:?}?"));
            return Err(format!("nothing that happens is called {word:?} ({hint})"));
        };
        Ok(Pattern { about, word: word.to_owned(), detail })
    }

    /// Whether this is meant.
    pub fn fits(&self, happening: &Happening) -> bool {
        let lower = |text: &str| text.to_ascii_lowercase();
        self.fits_kind(happening)
            && self.detail.as_ref().is_none_or(|part| {
                // A number is a whole word: (1) is not (137).
                match part.trim().parse::<i64>() {
                    Ok(_) => happening
                        .detail
                        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                        .any(|w| w == part.trim()),
                    Err(_) => lower(&happening.detail).contains(&lower(part.trim())),
                }
            })
    }

    /// Whether it is this or the same with another detail.
    pub fn fits_kind(&self, happening: &Happening) -> bool {
        self.word == happening.word
            && happening.source != Source::Note
            && self.about.as_ref().is_none_or(|about| *about == happening.about)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.about.as_deref() {
            Some("") => write!(f, "pod.{}", self.word)?,
            Some(about) => write!(f, "{about}.{}", self.word)?,
            None => write!(f, "{}", self.word)?,
        }
        match &self.detail {
            Some(detail) => write!(f, "({detail})"),
            None => Ok(()),
        }
    }
}

/// `app.Exited(code 1)`.
impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.about.is_empty() { "pod" } else { &self.about };
        write!(f, "{about}.{}", self.word)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, "({})", self.detail) }
    }
}
