//! The driver: a queue of facts to come, the machine, and the clock that jumps from one to the next.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::answers::{Answered, Forced};
use super::script::{End, ImageOutcome, OnSignal, Run, Script, Start};
use super::timeline::{Entry, Line, View};
use crate::manifest::containers::find_container;
use crate::pod::effect::{Action, Decision, Effect};
use crate::pod::hook::HookKind;
use crate::pod::input::{Exit, Fact, Input, LinuxUser, TerminationMessage};
use crate::pod::machine::{Machine, Settings};
use crate::pod::probe::ProbeKind;
use crate::pod::prober::Prober;
use crate::pod::room::Room;
use crate::pod::storage::Usage;
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
    /// What is to come of the world around the machine; what is changed in it holds for all that is asked for from then on.
    pub script: Script,
    /// What the machine asked for first.
    first: Decision,
    /// What the machine began with, and all that it was told: what a supervisor keeps.
    pub(super) admitted: (Box<Pod>, Settings),
    pub(super) journal: Vec<Input>,
    /// Nobody hears anything until then.
    pub(super) down_until: Duration,
    /// When the machine on which all runs was started: boot time is counted from [`UPTIME`] there.
    pub(super) booted: Duration,
    /// How far the wall clock was set forward, in nanoseconds.
    pub(super) wall_offset: i64,
    /// Inputs at the present instant.
    pub(super) at_once: u32,
    /// When probes are run.
    pub(super) prober: Prober,
    pub(super) now: Duration,
    /// Facts to come, by time and order of asking.
    pub(super) queue: BTreeMap<(Duration, u64), Fact>,
    pub(super) asked: u64,
    /// The instances that run, with what each will do.
    pub(super) live: BTreeMap<(String, u32), Live>,
    pub(super) starts: BTreeMap<String, usize>,
    pub(super) looks: BTreeMap<String, usize>,
    pub(super) sandboxes: usize,
    pub(super) mounts: usize,
    /// A fault that the tests put into the machine.
    #[cfg(test)]
    pub(super) mutant: Option<&'static super::explore::Mutant>,
    /// What is in use of local storage, and when it is measured next: only when it has changed since.
    pub(super) storage: Usage,
    pub(super) storage_due: Option<Duration>,
    /// How much room the machine has, where that was said.
    pub(super) room: Option<Room>,
    /// What probes are to find whatever their instance would answer, by container and probe.
    pub(super) forced: BTreeMap<(String, ProbeKind), Vec<Forced>>,
}

/// An instance that runs.
#[derive(Clone, Debug)]
pub(super) struct Live {
    /// What it does.
    pub(super) run: Run,
    /// Since when it runs.
    pub(super) since: Duration,
    /// How far the answers of its probes are.
    pub(super) answered: BTreeMap<ProbeKind, Answered>,
}

impl Driver {
    /// Admits a pod.
    pub fn new(pod: Pod, settings: Settings, script: Script) -> Driver {
        let mut driver = Driver::idle(pod, settings, script);
        driver.begin();
        driver
    }

    /// With a fault in the machine.
    #[cfg(test)]
    pub fn with_mutant(
        mut pod: Pod,
        mut settings: Settings,
        script: Script,
        mutant: &'static super::explore::Mutant,
    ) -> Driver {
        (mutant.pod)(&mut pod);
        (mutant.settings)(&mut settings);
        let mut driver = Driver { mutant: Some(mutant), ..Driver::idle(pod, settings, script) };
        driver.begin();
        driver
    }

    /// Before the first effects are carried out.
    fn idle(pod: Pod, settings: Settings, script: Script) -> Driver {
        let admitted = (Box::new(pod.clone()), settings.clone());
        let (machine, first) = Machine::admit(pod, settings, beginning());
        Driver {
            machine,
            first,
            timeline: Vec::new(),
            removed: false,
            prober: Prober::default(),
            script,
            admitted,
            journal: Vec::new(),
            down_until: Duration::ZERO,
            booted: Duration::ZERO,
            wall_offset: 0,
            at_once: 0,
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            asked: 0,
            live: BTreeMap::new(),
            starts: BTreeMap::new(),
            looks: BTreeMap::new(),
            sandboxes: 0,
            mounts: 0,
            storage: Usage::default(),
            storage_due: None,
            room: None,
            forced: BTreeMap::new(),
            #[cfg(test)]
            mutant: None,
        }
    }

    fn begin(&mut self) {
        let first = std::mem::take(&mut self.first);
        self.record_status();
        self.carry_out(first);
        self.prober.follow(&self.machine);
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

    /// Lets all happen up to and including that time.
    pub fn run_until(&mut self, time: Duration) -> Result<(), Stuck> {
        while self.step(time)? {}
        Ok(())
    }

    /// Lets the next thing happen, if it comes by that time; else time passes up to there, and nothing is left to happen.
    pub fn step(&mut self, time: Duration) -> Result<bool, Stuck> {
        let Some(next) = self.next_time().filter(|next| *next <= time) else {
            self.now = self.now.max(time);
            return Ok(false);
        };
        self.at_once = if next > self.now { 0 } else { self.at_once + 1 };
        if self.at_once > MOST_AT_ONCE {
            return Err(Stuck { at: self.now });
        }
        self.now = self.now.max(next);
        self.advance();
        Ok(true)
    }

    /// When something happens next.
    pub fn next_time(&self) -> Option<Duration> {
        let since_admission = |wake: BootTime| (Duration::from_nanos(wake.0) + self.booted).saturating_sub(UPTIME);
        let wakes = [self.machine.wake(), self.prober.wake()].into_iter().flatten().map(since_admission);
        let fact = self.queue.keys().next().map(|(time, _)| *time);
        wakes.chain(fact).chain(self.storage_due).min().map(|next| next.max(self.down_until))
    }

    /// What a clock on the wall shows now.
    pub fn wall(&self) -> WallTime {
        self.moment(self.now).wall
    }

    pub(super) fn moment(&self, now: Duration) -> Moment {
        let boot = now.saturating_sub(self.booted) + UPTIME;
        let wall = WALL.saturating_add_unsigned(nanoseconds(now)).saturating_add(self.wall_offset);
        Moment { boot: BootTime(nanoseconds(boot)), wall: WallTime(wall) }
    }

    /// Takes one fact that is due, else begins the probes that are, else a tick.
    fn advance(&mut self) {
        if self.storage_due.is_some_and(|due| due <= self.now) {
            return self.measure_storage();
        }
        let now = self.moment(self.now).boot;
        let due = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now);
        if due.is_none() && self.machine.wake().is_none_or(|wake| wake > now) {
            let probes = self.prober.begin_due(now);
            if !probes.is_empty() {
                return self.carry_out(Decision { effects: probes, ..Decision::default() });
            }
        }
        let ((when, _), fact) = due.map_or(((self.now, 0), Fact::Tick), |entry| entry.remove_entry());
        if let Fact::ContainerExited { container, attempt, .. } = &fact {
            // An instance ends once, however many causes were on their way.
            let ended = self.live.remove(&(container.clone(), *attempt));
            if ended.is_none() {
                return;
            }
        }
        if fact == Fact::Rebooted {
            return self.reboot();
        }
        if matches!(fact, Fact::RoomMeasured { .. }) && !self.machine.is_news(&fact) {
            return;
        }
        // The kernel's record of an exit tells when it was, however late it is read.
        let when = if matches!(fact, Fact::ContainerExited { .. }) { when } else { self.now };
        if when < self.now && self.machine.clock().boot < now {
            // What follows from what is heard late is reckoned from now on.
            self.tell(self.moment(self.now), Fact::Tick);
        }
        self.tell(self.moment(when), fact);
    }

    /// The local storage is measured, as a supervisor does it.
    fn measure_storage(&mut self) {
        self.storage_due = None;
        let fact = Fact::StorageMeasured { usage: self.storage.clone() };
        if self.machine.is_news(&fact) {
            self.tell(self.moment(self.now), fact);
        }
    }

    /// Tells the machine at once, past the queue.
    pub fn input(&mut self, fact: Fact) {
        self.tell(self.moment(self.now), fact);
    }

    fn tell(&mut self, at: Moment, fact: Fact) {
        if let Fact::ProbeResult { container, attempt, probe, .. } = &fact {
            self.prober.ended(container, *attempt, *probe);
            if !self.machine.is_news(&fact) {
                return self.timeline.push(Line { at: self.now, entry: Entry::Input(fact) });
            }
        }
        self.timeline.push(Line { at: self.now, entry: Entry::Input(fact.clone()) });
        #[cfg(test)]
        let Some(fact) = (match self.mutant {
            Some(mutant) => (mutant.hears)(fact),
            None => Some(fact),
        }) else {
            return;
        };
        let input = Input { at, fact };
        let decision = self.machine.step(&input);
        self.journal.push(input);
        self.record_status();
        self.carry_out(decision);
        self.prober.follow(&self.machine);
    }

    fn record_status(&mut self) {
        let view = View::of_status(self.machine.status());
        #[cfg(test)]
        let view = {
            let mut view = view;
            self.mutant.inspect(|mutant| (mutant.shows)(&mut view));
            view
        };
        let last = self.timeline.iter().rev().find_map(|line| match &line.entry {
            Entry::Status(view) => Some(view),
            _ => None,
        });
        if last != Some(&view) {
            self.timeline.push(Line { at: self.now, entry: Entry::Status(view) });
        }
    }

    fn carry_out(&mut self, decision: Decision) {
        #[cfg(test)]
        let decision = {
            let mut decision = decision;
            self.mutant.inspect(|mutant| (mutant.asks)(&mut decision));
            decision
        };
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
            Action::SignalContainer { container, attempt, signal } => {
                let Some(Live { run, .. }) = self.live.get(&(container.clone(), *attempt)).cloned() else { return };
                if let OnSignal::Ends(End { after, exit }) = *run.signals.get(signal).unwrap_or(&run.on_signal) {
                    self.at(self.now + after, exited(container, *attempt, exit, &run));
                }
            }
            Action::KillContainer { container, attempt } => {
                let Some(Live { run, .. }) = self.live.get(&(container.clone(), *attempt)).cloned() else { return };
                self.at(soon, exited(container, *attempt, Exit::Signal(9), &run));
            }
            Action::RunProbe { container, attempt, probe } => self.probe(container, *attempt, *probe),
            Action::RunHook { container, attempt, hook } => self.run_hook(container, *attempt, *hook),
            Action::ResizePod { generation } => {
                let failure = (!self.script.resizes.is_empty()).then(|| self.script.resizes.remove(0));
                self.at(soon, Fact::Resized { generation: *generation, failure });
            }
            Action::TearDown => self.at(soon, Fact::TornDown),
            Action::Remove => self.removed = true,
        }
    }

    fn probe(&mut self, name: &str, attempt: u32, kind: ProbeKind) {
        let container = name.to_owned();
        let forced = self.forced_answer(name, kind);
        let Some(live) = self.live.get_mut(&(container.clone(), attempt)) else { return };
        let age = self.now.saturating_sub(live.since);
        let scripted = live.run.answers.get(&kind).map(|list| live.answered.entry(kind).or_default().next(list, age));
        let (outcome, takes) = forced.or(scripted).unwrap_or_else(|| live.run.probe_answer(kind, age));
        let begun = self.moment(self.now).boot;
        self.at(self.now + takes, Fact::ProbeResult { container, attempt, probe: kind, begun, outcome });
    }

    fn run_hook(&mut self, name: &str, attempt: u32, hook: HookKind) {
        let container = name.to_owned();
        let Some(live) = self.live.get(&(container.clone(), attempt)) else { return };
        let run = live.run.hook_run(hook);
        if let Some(takes) = run.takes {
            let fact = Fact::HookEnded { container, attempt, hook, failure: run.failure, fell_back: None };
            self.at(self.now + takes, fact);
        }
    }

    fn look_for_image(&mut self, container: &str, attempt: u32) {
        let image = find_container(&self.machine.pod(), container).and_then(|spec| spec.image.clone());
        let starts = self.starts.entry(container.to_owned()).or_default();
        let looks = self.looks.entry(container.to_owned()).or_default();
        let outcome = match self.script.run(container, *starts).image {
            Some(outcome) => outcome,
            None => self.script.image_outcome(container, &image.unwrap_or_default(), *looks),
        };
        *looks += 1;
        let mut takes = self.script.latency;
        match &outcome {
            // A start that comes no further than here was one of the script's.
            ImageOutcome::Missing(..) => *starts += 1,
            ImageOutcome::Pulled(_, pulled) => takes += Duration::from_millis(pulled.milliseconds),
            ImageOutcome::Present(_) => {}
        }
        let container = container.to_owned();
        let fact = match outcome {
            ImageOutcome::Present(image) => Fact::ImageReady { container, attempt, image, pulled: None },
            ImageOutcome::Pulled(image, pulled) => {
                self.at(
                    self.now,
                    Fact::ImagePulling { container: container.clone(), attempt, missing_secrets: Vec::new() },
                );
                Fact::ImageReady { container, attempt, image, pulled: Some(pulled) }
            }
            ImageOutcome::Missing(reason, message) => Fact::ImageFailed { container, attempt, reason, message },
        };
        self.at(self.now + takes, fact);
    }

    fn start(&mut self, name: &str, attempt: u32) {
        let starts = self.starts.entry(name.to_owned()).or_default();
        let run = self.script.run(name, *starts);
        *starts += 1;
        let soon = self.now + self.script.latency + run.start_delay;
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
                self.live.insert((name.to_owned(), attempt), Live { run, since: soon, answered: BTreeMap::new() });
            }
        }
    }
}

/// When a pod is admitted.
pub(super) fn beginning() -> Moment {
    Moment { boot: BootTime(nanoseconds(UPTIME)), wall: WallTime(WALL) }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn exited(name: &str, attempt: u32, exit: Exit, run: &Run) -> Fact {
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
