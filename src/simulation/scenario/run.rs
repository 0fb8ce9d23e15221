//! A case is played: the driver goes from one thing to the next, deeds are done at their times, and the judge looks at every
//! moment.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Event, Pod};
use serde_json::Value as Json;

use super::case::{Case, place};
use super::faults::Deed;
use super::judge::{Assertion, Judge, Verdict};
use super::moment::Seen;
use super::properties::Watch;
use crate::pod::input::Fact;
use crate::pod::rules;
use crate::simulation::driver::Driver;
use crate::simulation::story::{Happening, Story};
use crate::simulation::timeline::Entry;

/// What became of a case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The scenario, with its variant.
    pub title: String,
    /// Its file.
    pub file: String,
    /// Which values of the matrix.
    pub variant: Vec<(String, Json)>,
    /// The scenario's seed.
    pub seed: Option<u64>,
    /// Each assertion and what became of it, in the file's order; a fault of the machine itself comes last.
    pub judged: Vec<Judged>,
    /// All that happened.
    pub story: Vec<Happening>,
    /// What was done to the pod and had nothing to act on.
    pub notes: Vec<String>,
    /// How long it lasted in virtual time.
    pub duration: Duration,
    /// How many inputs the machine took.
    pub inputs: usize,
    /// Where it ran.
    pub world: World,
    /// The driver as it stands at the end, for timelines; of a real run, which had none, as it is at the beginning.
    pub driver: Box<Driver>,
}

/// Where a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// In virtual time.
    Virtual,
    /// On this machine, with real processes.
    Real {
        /// So much later everything may be.
        tolerance: Duration,
    },
}

/// An assertion and what became of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// As the file has it.
    pub shown: String,
    /// `line:column` in the file.
    pub place: String,
    /// Its path in the file.
    pub path: String,
    /// What became of it.
    pub verdict: Verdict,
}

impl Outcome {
    /// Whether every assertion holds.
    pub fn passed(&self) -> bool {
        self.judged.iter().all(|judged| judged.verdict.passed)
    }

    /// The decision that led to what was found: the latest before it that is about the same container, or about any where
    /// none is named.
    pub fn decided(&self, verdict: &Verdict) -> Option<&Happening> {
        let before =
            || self.story.iter().rev().filter(|happening| happening.at <= verdict.at && happening.rule.is_some());
        let same = |happening: &&Happening| verdict.about.as_ref().is_none_or(|about| *about == happening.about);
        before().find(same).or_else(|| before().next())
    }
}

impl Case {
    /// Plays it.
    pub fn run(&self) -> Outcome {
        let mut play = Play::new(self, Telling::All);
        play.play();
        let endless = play.endless_init();
        let mut outcome = play.outcome();
        // Where all that is asserted holds, it was meant so.
        if outcome.judged.is_empty() || !outcome.passed() {
            outcome.notes.extend(endless);
        }
        outcome
    }

    /// Plays it for its verdicts alone, in the order of the assertions, a fault of the machine itself last; and says what was
    /// reached on the way.
    pub fn verdicts(&self, reached: &mut Reached) -> Vec<Verdict> {
        let mut play = Play::new(self, Telling::Needed);
        play.reached = Some(std::mem::take(reached));
        play.play();
        if let Some(more) = play.reached.take() {
            *reached = more;
        }
        play.verdicts()
    }
}

/// What was reached in some runs.
#[derive(Clone, Debug, Default)]
pub struct Reached {
    /// The rules that decided something, by their names.
    pub rules: BTreeSet<&'static str>,
    /// What users saw of pods, as hashes: phase, conditions, states, reasons, exit codes, without times, counts and texts.
    pub states: HashSet<u64>,
}

impl Reached {
    /// Both together.
    pub fn add(&mut self, other: Reached) {
        self.rules.extend(other.rules);
        self.states.extend(other.states);
    }
}

/// How much of a run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    /// All that happens.
    All,
    /// What an assertion asks for.
    Needed,
}

/// More than this takes too much of a small machine's memory; a day of three containers that crash and are probed is less.
const MOST_LINES: usize = 500_000;

struct Play<'c> {
    case: &'c Case,
    driver: Driver,
    story: Story,
    /// Whether the story is told.
    telling: bool,
    judge: Judge<'c>,
    /// Looks whether the properties hold that are asserted.
    watch: Option<Watch>,
    reached: Option<Reached>,
    /// How much of the driver's timeline was looked at for that.
    counted: usize,
    watches_time: bool,
    /// Whether conditions are judged.
    looks: bool,
    /// Inputs that the machine had taken then.
    told: usize,
    /// The pod as it was looked at last.
    pod: Pod,
    notes: Vec<String>,
    /// What went wrong with the machine itself.
    broken: Option<String>,
}

impl<'c> Play<'c> {
    fn new(case: &'c Case, telling: Telling) -> Play<'c> {
        let driver = case.driver();
        let judge = Judge::new(&case.assertions);
        let watch = |within| Watch::new(&case.pod, &case.settings, &case.script, within, Duration::ZERO);
        let watch = judge.properties().map(watch);
        let pod = driver.machine.pod();
        Play {
            case,
            driver,
            story: Story::default(),
            telling: telling == Telling::All || judge.reads_story(),
            watches_time: judge.watches_time(),
            looks: judge.looks(),
            judge,
            watch,
            reached: None,
            counted: 0,
            told: 0,
            pod,
            notes: Vec::new(),
            broken: None,
        }
    }

    fn play(&mut self) {
        self.look(true);
        let mut times = self.judge.times();
        times.extend(self.case.deeds.iter().map(|(time, _)| *time));
        times.push(self.case.duration);
        times.retain(|time| *time <= self.case.duration);
        times.sort_unstable();
        times.dedup();
        let mut deeds = self.case.deeds.iter().peekable();
        for time in times {
            // What others do at a time they do before all else that happens then.
            while self.driver.next_time().is_some_and(|next| next < time) {
                if !self.step(time) {
                    return self.look(true);
                }
            }
            while let Some((_, deed)) = deeds.next_if(|(at, _)| *at <= time) {
                self.pass_to(time);
                self.do_deed(deed);
                self.look(true);
            }
            loop {
                let happens = self.driver.next_time().is_some_and(|next| next <= time);
                if !self.step(time) {
                    return self.look(true);
                }
                if !happens {
                    break;
                }
            }
            let (driver, pod) = (&self.driver, &self.pod);
            let events = || driver.machine.events();
            self.judge.at(&Seen::new(time, driver.wall(), pod, driver.removed, &events));
        }
        self.look(true);
    }

    /// Time passes, and nothing happens meanwhile.
    fn pass_to(&mut self, time: Duration) {
        self.driver.pass_to(time);
    }

    /// The next thing happens; false when the machine does not come to rest, or when there is no end of what happens.
    fn step(&mut self, time: Duration) -> bool {
        if self.driver.timeline.len() > MOST_LINES {
            self.broken = Some(format!(
                "more than {MOST_LINES} things happened: shorten the scenario, or let probes rest longer"
            ));
            return false;
        }
        match self.driver.step(time) {
            Ok(happened) => {
                if happened {
                    self.look(false);
                }
                true
            }
            Err(stuck) => {
                self.broken = Some(stuck.to_string());
                false
            }
        }
    }

    /// Looks at what has just happened.
    fn look(&mut self, anyway: bool) {
        self.watch();
        let from = if self.telling { self.story.follow(&self.driver) } else { 0 };
        let news = self.story.happenings.get(from..).unwrap_or_default();
        // Only what the machine is told changes a pod: a probe that finds what is known is not even told.
        let told = self.driver.inputs() != self.told;
        self.told = self.driver.inputs();
        if !self.looks {
            return;
        }
        if told || anyway {
            self.pod = self.driver.machine.pod();
        } else if !self.watches_time && (news.is_empty() || !self.judge.listens()) {
            return;
        }
        let driver = &self.driver;
        let events: &dyn Fn() -> Vec<Event> = &|| driver.machine.events();
        let seen = Seen::new(driver.now(), driver.wall(), &self.pod, driver.removed, events);
        self.judge.see(&seen, news);
    }

    /// Whether the properties hold, and what was reached.
    fn watch(&mut self) {
        if let Some(watch) = &mut self.watch {
            for (breach, within) in watch.follow(&self.driver) {
                self.judge.breached(&breach, within);
            }
        }
        let Some(reached) = &mut self.reached else { return };
        let lines = self.driver.timeline.get(self.counted..).unwrap_or_default();
        self.counted = self.driver.timeline.len();
        for line in lines {
            match &line.entry {
                Entry::Effect(effect) => reached.rules.extend(rules::find(&effect.rule.0).map(|rule| rule.name)),
                Entry::Note(note) => reached.rules.extend(rules::find(&note.rule.0).map(|rule| rule.name)),
                Entry::Status(view) => drop(reached.states.insert(view.shape())),
                Entry::Input(_) => {}
            }
        }
    }

    fn note(&mut self, text: String) {
        self.notes.push(format!("at {}: {text}", crate::pod::backoff::go_duration(self.driver.now())));
    }

    /// Behind an init container that runs for ever nothing of the pod is ever started, which nobody means who says nothing of it.
    fn endless_init(&self) -> Option<String> {
        let spec = self.case.pod.spec.as_ref();
        let inits = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
        let unsaid = |init: &&Container| {
            init.restart_policy.as_deref() != Some("Always") && !self.case.script.runs.contains_key(&init.name)
        };
        let name = &inits.iter().filter(unsaid).find(|init| self.driver.runs(&init.name))?.name;
        Some(format!(
            "{name} is an init container and runs: nothing says when it ends, and what comes behind it waits; let it end: \
             actors: {{{name}: {{exit: 0}}}}, or --exit {name}=0"
        ))
    }

    fn do_deed(&mut self, deed: &Deed) {
        match deed {
            Deed::End(container, exit, oom) => {
                if !self.driver.runs(container) {
                    return self.note(format!("{container} does not run, so nothing could end it"));
                }
                match oom {
                    true => self.driver.end_by_memory(container),
                    false => self.driver.end_instance(container, *exit),
                }
            }
            Deed::Lose(container) => match self.driver.lose_instance(container) {
                true => {}
                false => self.note(format!("{container} does not run, so it could not be lost")),
            },
            Deed::NextStarts(container, run, times) => self.driver.interpose(container, run, *times),
            // Foreseen.
            Deed::NextSandboxes(..) | Deed::NextVolumes(..) if self.driver.now().is_zero() => {}
            Deed::NextSandboxes(message, times) => self.driver.fail_sandboxes(message, *times),
            Deed::NextVolumes(message, times) => self.driver.fail_volumes(message, *times),
            Deed::ForceProbe(container, kind, forced) => self.driver.force_probe(container, *kind, forced.clone()),
            Deed::LoseSandbox => match self.driver.lose_sandbox() {
                true => {}
                false => self.note("there is no sandbox that could be lost".to_owned()),
            },
            Deed::KillSupervisor(away) => {
                self.story.tell(self.driver.now(), "SupervisorDied", String::new());
                if let Err(diverged) = self.driver.restart_supervisor(*away) {
                    self.broken.get_or_insert(diverged.to_string());
                }
            }
            Deed::Reboot => self.driver.reboot(),
            Deed::Delete(grace_seconds, force) => {
                self.driver.input(Fact::DeleteRequested { grace_seconds: *grace_seconds, force: *force });
            }
            Deed::Stop(most_seconds) => self.driver.input(Fact::StopRequested { most_seconds: *most_seconds }),
            Deed::SetClock(forward, by) => {
                let sign = if *forward { "+" } else { "-" };
                let detail = format!("{sign}{}", crate::pod::backoff::go_duration(*by));
                self.story.tell(self.driver.now(), "ClockSet", detail);
                self.driver.set_clock(*forward, *by);
            }
            Deed::Apply(pod) => self.driver.apply(pod),
            Deed::MakeRoom(room, at_once) => self.driver.make_room(*room, *at_once),
            Deed::NextResizes(message, times) => self.driver.fail_resizes(message, *times),
            Deed::Restart(container) => self.driver.input(Fact::RestartRequested { container: container.clone() }),
            Deed::Debug(container, holds, lasts) => self.driver.debug(container, holds.as_deref(), *lasts),
            Deed::UseStorage(usage, at_once) => self.driver.use_storage(usage, *at_once),
        }
    }

    fn verdicts(self) -> Vec<Verdict> {
        let Play { driver, story, judge, pod, broken, .. } = self;
        verdicts(judge, &driver, &pod, &story.happenings, broken)
    }

    fn outcome(self) -> Outcome {
        let Play { case, driver, story, judge, pod, notes, broken, .. } = self;
        let (end, inputs) = (driver.now(), driver.inputs());
        let mut verdicts = verdicts(judge, &driver, &pod, &story.happenings, broken).into_iter();
        let one = |(assertion, verdict): (&Assertion, Verdict)| Judged {
            shown: assertion.shown.clone(),
            place: place(assertion.position),
            path: assertion.path.clone(),
            verdict,
        };
        let mut judged: Vec<Judged> = case.assertions.iter().zip(verdicts.by_ref()).map(one).collect();
        judged.extend(verdicts.map(|verdict| Judged {
            shown: "the machine keeps its own promises".to_owned(),
            place: String::new(),
            path: String::new(),
            verdict,
        }));
        Outcome {
            title: case.title(),
            file: case.file.clone(),
            variant: case.variant.clone(),
            seed: case.seed,
            judged,
            story: story.happenings,
            notes,
            duration: end,
            inputs,
            world: World::Virtual,
            driver: Box::new(driver),
        }
    }
}

/// What has become of each assertion, and what went wrong with the machine itself.
fn verdicts(judge: Judge<'_>, driver: &Driver, pod: &Pod, story: &[Happening], broken: Option<String>) -> Vec<Verdict> {
    let end = driver.now();
    let events = || driver.machine.events();
    let mut verdicts = judge.end(&Seen::new(end, driver.wall(), pod, driver.removed, &events), story);
    verdicts.extend(broken.map(|found| Verdict { passed: false, at: end, found, about: None, vacuous: false }));
    verdicts
}
