//! The driver: a queue of facts to come, the machine, and the clock that jumps from one to the next.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::script::{End, ImageOutcome, OnSignal, Run, Script, Start};
use super::timeline::{Entry, Line, View};
use crate::pod::effect::{Action, Decision, Effect};
use crate::pod::input::{Exit, Fact, Input, LinuxUser, TerminationMessage};
use crate::pod::machine::{Machine, Settings};
use crate::pod::time::{BootTime, Moment, WallTime};

/// Where the virtual clocks begin: an uptime of 1,000 s, and 2026-01-01T00:00:00Z.
const UPTIME: Duration = Duration::from_secs(1_000);
const WALL: i64 = 1_767_225_600_000_000_000;
/// More inputs than this at one instant means that the machine asks for wake-ups that lead nowhere.
const MOST_AT_ONCE: u32 = 1_000;

/// The machine asked for wake-ups at one instant without end: a fault of the machine.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the machine does not come to rest at {at:?}")]
pub struct Stuck {
    /// When.
    pub at: Duration,
}

/// A pod in virtual time.
#[derive(Clone, Debug)]
pub struct Driver {
    /// The machine.
    pub machine: Machine,
    /// What happened so far.
    pub timeline: Vec<Line>,
    /// The machine has asked for its removal.
    pub removed: bool,
    script: Script,
    now: Duration,
    /// Facts to come, by time and order of asking.
    queue: BTreeMap<(Duration, u64), Fact>,
    asked: u64,
    /// The instances that run, with what each will do.
    live: BTreeMap<(String, u32), Run>,
    starts: BTreeMap<String, usize>,
    looks: BTreeMap<String, usize>,
    sandboxes: usize,
    mounts: usize,
}

impl Driver {
    /// Admits a pod.
    pub fn new(pod: Pod, settings: Settings, script: Script) -> Driver {
        let (machine, decision) = Machine::admit(pod, settings, moment(Duration::ZERO));
        let mut driver = Driver {
            machine,
            timeline: Vec::new(),
            removed: false,
            script,
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            asked: 0,
            live: BTreeMap::new(),
            starts: BTreeMap::new(),
            looks: BTreeMap::new(),
            sandboxes: 0,
            mounts: 0,
        };
        driver.record_status();
        driver.carry_out(decision);
        driver
    }

    /// The virtual time since admission.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Lets something happen at that time.
    pub fn at(&mut self, time: Duration, fact: Fact) {
        self.asked += 1;
        self.queue.insert((time.max(self.now), self.asked), fact);
    }

    /// Lets a running instance end now, as if by `kill -9` or of itself.
    pub fn end_instance(&mut self, name: &str, exit: Exit) {
        let instance = self.live.keys().find(|(container, _)| container == name).cloned();
        if let Some((name, attempt)) = instance {
            self.at(self.now, exited(&name, attempt, exit, &Run::forever()));
        }
    }

    /// Lets all happen up to and including that time.
    pub fn run_until(&mut self, time: Duration) -> Result<(), Stuck> {
        let mut at_once = 0;
        while let Some(next) = self.next_time().filter(|next| *next <= time) {
            at_once = if next > self.now { 0 } else { at_once + 1 };
            if at_once > MOST_AT_ONCE {
                return Err(Stuck { at: self.now });
            }
            self.now = self.now.max(next);
            self.advance();
        }
        self.now = self.now.max(time);
        Ok(())
    }

    /// When something happens next.
    fn next_time(&self) -> Option<Duration> {
        let wake = self.machine.wake().map(|wake| Duration::from_nanos(wake.0).saturating_sub(UPTIME));
        let fact = self.queue.keys().next().map(|(time, _)| *time);
        [wake, fact].into_iter().flatten().min()
    }

    /// Takes one fact that is due, else a tick.
    fn advance(&mut self) {
        let due = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now);
        let fact = due.map_or(Fact::Tick, |entry| entry.remove());
        if let Fact::ContainerExited { container, attempt, .. } = &fact {
            // An instance ends once, however many causes were on their way.
            let ended = self.live.remove(&(container.clone(), *attempt));
            if ended.is_none() {
                return;
            }
        }
        if fact == Fact::Rebooted {
            self.live.clear();
        }
        self.input(fact);
    }

    /// Tells the machine at once, past the queue.
    pub fn input(&mut self, fact: Fact) {
        let input = Input { at: moment(self.now), fact };
        let decision = self.machine.step(&input);
        self.timeline.push(Line { at: self.now, entry: Entry::Input(input.fact) });
        self.record_status();
        self.carry_out(decision);
    }

    fn record_status(&mut self) {
        let view = View::of(&self.machine.pod());
        let last = self.timeline.iter().rev().find_map(|line| match &line.entry {
            Entry::Status(view) => Some(view),
            _ => None,
        });
        if last != Some(&view) {
            self.timeline.push(Line { at: self.now, entry: Entry::Status(view) });
        }
    }

    fn carry_out(&mut self, decision: Decision) {
        for note in decision.notes {
            self.timeline.push(Line { at: self.now, entry: Entry::Note(note) });
        }
        for effect in decision.effects {
            self.answer(&effect);
            self.timeline.push(Line { at: self.now, entry: Entry::Effect(effect) });
        }
    }

    /// Puts what an effect leads to into the queue.
    fn answer(&mut self, effect: &Effect) {
        let soon = self.now + self.script.latency;
        match &effect.action {
            Action::StartSandbox { attempt } => {
                let attempt = *attempt;
                let messages = self.script.volumes.get(self.mounts).cloned().unwrap_or_default();
                self.mounts += 1;
                if !messages.is_empty() {
                    return self.at(soon, Fact::MountFailed { attempt: Some(attempt), messages });
                }
                let outcome = self.script.sandboxes.get(self.sandboxes).cloned().unwrap_or(Ok(()));
                self.sandboxes += 1;
                let fact = match outcome {
                    Ok(()) => Fact::SandboxStarted { attempt, ips: self.script.ips.clone() },
                    Err(message) => Fact::SandboxFailed { attempt, message },
                };
                self.at(soon, fact);
            }
            Action::StopSandbox { attempt } => self.at(soon, Fact::SandboxExited { attempt: *attempt }),
            Action::EnsureImage { container, attempt } => self.look_for_image(container, *attempt),
            Action::StartContainer { container, attempt } => self.start(container, *attempt),
            Action::SignalContainer { container, attempt, .. } => {
                let Some(run) = self.live.get(&(container.clone(), *attempt)).cloned() else { return };
                if let OnSignal::Ends(End { after, exit }) = run.on_signal {
                    self.at(self.now + after, exited(container, *attempt, exit, &run));
                }
            }
            Action::KillContainer { container, attempt } => {
                let Some(run) = self.live.get(&(container.clone(), *attempt)).cloned() else { return };
                self.at(soon, exited(container, *attempt, Exit::Signal(9), &run));
            }
            Action::TearDown => self.at(soon, Fact::TornDown),
            Action::Remove => self.removed = true,
        }
    }

    fn look_for_image(&mut self, container: &str, attempt: u32) {
        let spec = self.machine.pod().spec.unwrap_or_default();
        let image = spec.containers.into_iter().find(|spec| spec.name == container).and_then(|spec| spec.image);
        let looks = self.looks.entry(container.to_owned()).or_default();
        let outcome = self.script.image_outcome(container, &image.unwrap_or_default(), *looks);
        *looks += 1;
        let container = container.to_owned();
        let fact = match outcome {
            ImageOutcome::Present(image) => Fact::ImageReady { container, attempt, image, pulled: None },
            ImageOutcome::Pulled(image, pulled) => {
                self.at(self.now, Fact::ImagePulling { container: container.clone(), attempt });
                Fact::ImageReady { container, attempt, image, pulled: Some(pulled) }
            }
            ImageOutcome::Missing(reason, message) => Fact::ImageFailed { container, attempt, reason, message },
        };
        self.at(self.now + self.script.latency, fact);
    }

    fn start(&mut self, name: &str, attempt: u32) {
        let starts = self.starts.entry(name.to_owned()).or_default();
        let run = self.script.run(name, *starts);
        *starts += 1;
        let soon = self.now + self.script.latency;
        let (container, id) = (name.to_owned(), instance_id(name, attempt));
        match &run.start {
            Start::Fails(stage, message) => {
                let (stage, message) = (*stage, message.clone());
                let user = Some(LinuxUser { uid: 0, gid: 0, supplemental_groups: vec![0] });
                self.at(soon, Fact::StartFailed { container, attempt, stage, message, id: Some(id), user });
            }
            Start::Runs => {
                let user = Some(LinuxUser { uid: 0, gid: 0, supplemental_groups: vec![0] });
                self.at(soon, Fact::ContainerStarted { container, attempt, id, user });
                if let Some(End { after, exit }) = run.end {
                    self.at(soon + after, exited(name, attempt, exit, &run));
                }
                self.live.insert((name.to_owned(), attempt), run);
            }
        }
    }
}

fn moment(now: Duration) -> Moment {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let wall = WALL.saturating_add_unsigned(nanoseconds(now));
    Moment { boot: BootTime(nanoseconds(now + UPTIME)), wall: WallTime(wall) }
}

fn exited(name: &str, attempt: u32, exit: Exit, run: &Run) -> Fact {
    Fact::ContainerExited {
        container: name.to_owned(),
        attempt,
        exit,
        oom_killed: run.oom_killed,
        message: TerminationMessage { ..run.message.clone() },
    }
}

/// 64 hexadecimal digits that differ from instance to instance.
fn instance_id(name: &str, attempt: u32) -> String {
    let hash = name.bytes().fold(u64::from(attempt), |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    format!("{hash:032x}{attempt:032x}")
}
