//! A scenario with real processes: a pod of podlet's own image in directories of its own, what is done to it at its times, and
//! afterwards its journal. Nothing of it stays, however it ends.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::crash::Crash;
use super::journals::Journals;
use super::missing::Missing;
use crate::cli::ending::{self, Asked, Way};
use crate::cli::everywhere::Everywhere;
use crate::cli::signals::Told;
use crate::cli::{Caller, Failure, files, replace, require};
use crate::linux::cgroup::Cgroup;
use crate::linux::privilege::Work;
use crate::linux::{pidfd, process};
use crate::manifest::{self, Object, Source, default};
use crate::paths::Paths;
use crate::pod::backoff::go_duration;
use crate::pod::machine::Settings;
use crate::recorded::trial::{self, Besides};
use crate::simulation::scenario::real::{Stage, Step};
use crate::simulation::scenario::{Case, Outcome};
use crate::supervisor::control::Request;
use crate::supervisor::history::History;
use crate::supervisor::kept::{self, Claim};
use crate::supervisor::orders::Choices;
use crate::supervisor::{clock, launch};

/// How often the journal's files are looked for.
const LOOK: Duration = Duration::from_millis(100);
/// It is over for the user.
pub const INTERRUPTED: u8 = 130;

/// What ends a run before its time.
pub struct Interrupts(Vec<Told>);

impl Interrupts {
    /// From here on these signals end the run, and not this process.
    pub fn new() -> Result<Interrupts, Failure> {
        let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter();
        let told: io::Result<Vec<Told>> = signals.map(|signal| Told::new(signal as i32)).collect();
        told.map(Interrupts).map_err(|error| Failure::Error(format!("could not take up signals: {error}")))
    }

    /// Waits so long; false when a signal came.
    fn sleep(&self, time: Duration) -> bool {
        let mut polled: Vec<PollFd<'_>> =
            self.0.iter().map(|told| PollFd::new(told.as_fd(), PollFlags::POLLIN)).collect();
        // A time of less than a millisecond is one: nothing is done before its time.
        let milliseconds = u16::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u16::MAX);
        // Interrupted by the signal itself, it is told at the next look.
        !matches!(poll(&mut polled, PollTimeout::from(milliseconds)), Ok(1..))
    }
}

/// Whether scenarios can be run with real processes here.
pub fn possible(caller: &mut Caller<'_>) -> Result<(), Failure> {
    require(Work::Pods, caller)
}

/// Runs one; none when it was interrupted.
pub fn run(
    case: Case,
    tolerance: Duration,
    interrupts: &Interrupts,
    everywhere: &Everywhere,
    caller: &mut Caller<'_>,
) -> Result<Option<Outcome>, Failure> {
    let place = Place::new(&caller.paths.run)?;
    let usual = std::mem::replace(&mut caller.paths, place.paths());
    let run = Trial { case, tolerance, place: &place, interrupts }.run(everywhere, caller);
    let cleared = clear(caller);
    caller.paths = usual;
    // What still runs has its files there.
    cleared?;
    place.remove()?;
    run
}

/// Ends what still runs, at once.
fn clear(caller: &mut Caller<'_>) -> Result<(), Failure> {
    let claims = kept::list(&caller.paths, None).map_err(|error| Failure::Error(error.to_string()))?;
    for claim in &claims {
        ending::ask(&caller.paths, claim, Way { grace_seconds: Some(0), force: true })?;
        ending::wait_gone(claim, None, caller)?;
    }
    Ok(())
}

/// The directories of one run.
struct Place {
    root: PathBuf,
    /// The directory above was made for it.
    alone: bool,
}

impl Place {
    /// Beside those of usual pods, which are not touched.
    fn new(run: &Path) -> Result<Place, Failure> {
        let place = Place { root: run.join(format!("test-{}", std::process::id())), alone: !run.exists() };
        let make = |directory: &Path, recursive: bool| {
            let made = DirBuilder::new().recursive(recursive).mode(0o700).create(directory);
            made.map_err(|error| failure("make", directory, &error))
        };
        make(run, true)?;
        for directory in [&place.root, &place.stage()] {
            // One that is there already is another run's, whose podlet was killed: its pod may still run.
            make(directory, false)?;
        }
        Ok(place)
    }

    fn paths(&self) -> Paths {
        let below = |name: &str| self.root.join(name);
        Paths { run: below("run"), state: below("state"), logs: below("logs") }
    }

    /// What the containers see.
    fn stage(&self) -> PathBuf {
        self.root.join("stage")
    }

    fn put(&self, file: &str, text: &str) -> Result<(), Failure> {
        let path = self.stage().join(file);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|error| failure("make", directory, &error))?;
        }
        // Whoever reads it meanwhile has the one or the other.
        let new = path.with_extension("new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).map_err(|error| failure("write", &path, &error))
    }

    fn remove(&self) -> Result<(), Failure> {
        fs::remove_dir_all(&self.root).map_err(|error| failure("remove", &self.root, &error))?;
        if let Some(run) = self.root.parent().filter(|_| self.alone) {
            // Others may have come to need it.
            let _ = fs::remove_dir(run);
        }
        Ok(())
    }
}

/// So many bytes are in a file. Written, not only made so long: a hole takes nothing.
fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    fs::write(path, vec![b'x'; usize::try_from(bytes).unwrap_or(usize::MAX)])
}

/// A supervisor that is away: its keeper would start another at once, so it is stopped, hears and does nothing, and is killed
/// when its time is over. Who does that waits for nobody: whatever else is done meanwhile.
fn stop_and_kill(pid: i32, away: Duration) -> io::Result<()> {
    let process = pidfd::open(pid)?;
    pidfd::signal(process.as_fd(), Signal::SIGSTOP as i32)?;
    let kill = move || {
        std::thread::sleep(away);
        // It may have been ended with its pod.
        let _ = pidfd::signal(process.as_fd(), Signal::SIGKILL as i32);
    };
    std::thread::Builder::new().name("podlet-kill".to_owned()).spawn(kill).map(drop)
}

pub fn failure(action: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::Error(format!("could not {action} {}: {error}", path.display()))
}

/// A run.
struct Trial<'t> {
    case: Case,
    tolerance: Duration,
    place: &'t Place,
    interrupts: &'t Interrupts,
}

impl Trial<'_> {
    fn run(self, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<Option<Outcome>, Failure> {
        let stage = Stage::of(&self.case, &self.place.stage());
        for (file, text) in &stage.files {
            self.place.put(file, text)?;
        }
        let namespace = stage.pod.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let uid = launch::new_uid().map_err(|error| Failure::Error(error.to_string()))?;
        let mut missing = Missing::new(self.place.paths(), &namespace, &uid, &self.place.root, &stage.ills)?;
        let mut journals = Journals::new(self.place.root.join("journal"))?;
        let mut choices = replace::usual_choices(everywhere, caller)?;
        let host_ip = choices.settings.host_ip.take();
        choices.settings = Settings { host_ip, ..self.case.settings.clone() };
        choices.sleep_after = None;
        let claim = self.launch(&stage, &uid, &choices, caller)?;
        journals.begin(&caller.paths, &uid)?;
        let begun = History::read(&caller.paths, &claim.uid).map_err(|error| Failure::Error(error.to_string()))?;
        let begun = begun.parts.iter().flat_map(|part| &part.entries).map(|entry| entry.at.boot).next();
        let begun = begun.ok_or_else(|| Failure::error("the journal has no beginning"))?;
        let now = || clock::now().boot.since(begun);
        let (mut notes, mut besides) = (Vec::new(), Besides::default());
        let mut steps = stage.steps.iter().peekable();
        let end = self.case.duration.saturating_add(self.tolerance);
        // Whoever asks a supervisor that does nothing waits for its successor.
        let mut away = Duration::ZERO;
        loop {
            journals.keep(&caller.paths, &claim.uid)?;
            missing.look(&journals)?;
            while let Some((at, step)) = steps.next_if(|(at, _)| *at <= now()) {
                let when = now();
                let done = match step {
                    Step::Miss(lack, times) => missing.miss(lack, *times, &journals).map(Ok)?,
                    Step::Lose(container) => {
                        Crash { paths: &caller.paths, claim: &claim, choices: &choices }.lose(container)?
                    }
                    Step::Reboot => {
                        Crash { paths: &caller.paths, claim: &claim, choices: &choices }.reboot(&mut journals)?
                    }
                    step => self.perform(step, &claim, caller)?,
                };
                match (done, step) {
                    (Ok(()), Step::KillSupervisor(down)) => {
                        besides.killed.push((when, *down));
                        away = away.max(when + *down);
                    }
                    (Ok(()), Step::Lose(_)) => besides.killed.push((when, now().saturating_sub(when))),
                    (Ok(()), _) => {}
                    (Err(text), _) => notes.push(format!("at {}: {text}", go_duration(*at))),
                }
            }
            let next = steps.peek().map_or(end, |(at, _)| *at);
            let there = now() < away || {
                let seen = kept::see(&caller.paths, &claim.uid);
                seen.map_err(|error| Failure::Error(error.to_string()))?.is_some()
            };
            if !there {
                besides.gone.get_or_insert(now());
            }
            if now() >= end || (!there && steps.peek().is_none()) {
                break;
            }
            if !self.interrupts.sleep(next.saturating_sub(now()).min(LOOK)) {
                return Ok(None);
            }
        }
        journals.keep(&caller.paths, &claim.uid)?;
        let (sightings, replayed) = trial::sightings(&journals.history()?, &besides);
        let differs = replayed.difference.map(|difference| {
            format!("the journal folded again gives another decision at input {} of it", difference.input)
        });
        Ok(Some(self.case.judge(sightings, self.tolerance, notes, differs)))
    }

    fn launch(&self, stage: &Stage, uid: &str, choices: &Choices, caller: &mut Caller<'_>) -> Result<Claim, Failure> {
        let launched = launch::launch_as(&caller.paths, uid, *self.read(&stage.pod)?, choices);
        let launched =
            launched.map_err(|error| Failure::Server { reason: "InternalError", message: error.to_string() })?;
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let metadata = &launched.pod.metadata;
        Ok(Claim { namespace: text(&metadata.namespace), name: text(&metadata.name), uid: launched.uid })
    }

    /// With its defaults, and validated.
    fn read(&self, pod: &Pod) -> Result<Box<Pod>, Failure> {
        let namespace = pod.metadata.namespace.clone();
        let mut pod = serde_json::to_value(pod).unwrap_or_default();
        if let Some(fields) = pod.as_object_mut() {
            fields.insert("apiVersion".to_owned(), "v1".into());
            fields.insert("kind".to_owned(), "Pod".into());
        }
        let source = Source { name: self.case.title(), bytes: serde_json::to_vec(&pod).unwrap_or_default() };
        let options = manifest::Options { namespace, ..Default::default() };
        let loaded = manifest::load(&[source], &options).map_err(|rejected| files::refusal(&rejected))?;
        match loaded.objects.into_iter().next() {
            Some(Object::Pod(pod)) => Ok(pod),
            _ => Err(Failure::error("the scenario's pod is none")),
        }
    }

    /// Does it; else says why there was nothing to do.
    fn perform(&self, step: &Step, claim: &Claim, caller: &Caller<'_>) -> Result<Result<(), String>, Failure> {
        let signal = |found: Option<i32>, number: i32, what: &str| match found {
            None => Ok(Err(format!("{what}, so nothing was done"))),
            Some(pid) => {
                let sent = pidfd::open(pid).and_then(|process| pidfd::signal(process.as_fd(), number));
                Ok(sent.map_err(|error| format!("{what}: {error}")))
            }
        };
        let ask = |request: &Request| match ending::put(&caller.paths, claim, request, |_| false) {
            Ok(Asked::Accepted) => Ok(Ok(())),
            Ok(Asked::Gone | Asked::Nobody) => Ok(Err("the pod does not run any more, so nothing was done".to_owned())),
            Err(refused) => Ok(Err(refused)),
        };
        match step {
            Step::Signal(container, number) => {
                let cgroup = Cgroup::of_container(&claim.uid, container);
                signal(eldest(&cgroup, |_| true), *number, &format!("{container} does not run"))
            }
            Step::KillPause => signal(eldest(&Cgroup::of_pause(&claim.uid), |_| true), 9, "there is no sandbox"),
            Step::KillSupervisor(away) => {
                let is_podlet = |pid: i32| {
                    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "podlet")
                };
                let found = eldest(&Cgroup::of_keeper(&claim.uid), is_podlet);
                if away.is_zero() {
                    return signal(found, 9, "no supervisor runs");
                }
                Ok(match found {
                    None => Err("no supervisor runs, so nothing was done".to_owned()),
                    Some(pid) => stop_and_kill(pid, *away).map_err(|error| format!("the supervisor: {error}")),
                })
            }
            Step::Delete(grace_seconds, force) => {
                let way = Way { grace_seconds: *grace_seconds, force: *force };
                ending::ask(&caller.paths, claim, way).map(Ok)
            }
            Step::Stop(most_seconds) => {
                let request = Request::Stop { most_seconds: *most_seconds };
                let asked = ending::put(&caller.paths, claim, &request, |_| false);
                asked.map(|_| Ok(())).map_err(Failure::Error)
            }
            Step::Put(file, text) => self.place.put(file, text).map(Ok),
            Step::Restart(container) => ask(&Request::Restart { container: container.clone() }),
            Step::Apply(pod) => {
                let mut pod = self.read(pod)?;
                pod.metadata.uid = Some(claim.uid.clone());
                ask(&Request::Apply { pod })
            }
            Step::Debug(container, holds) => {
                let spec = PodSpec { ephemeral_containers: Some(vec![(**container).clone()]), ..PodSpec::default() };
                let mut pod = Pod { spec: Some(spec), ..Pod::default() };
                default::pod(&mut pod);
                let made = pod.spec.and_then(|spec| spec.ephemeral_containers).and_then(|mut list| list.pop());
                ask(&Request::Debug { container: Box::new(made.unwrap_or_default()), holds: holds.clone() })
            }
            // Done before it comes here.
            Step::Miss(..) | Step::Lose(_) | Step::Reboot => Ok(Ok(())),
            Step::FillContainer(container, bytes) => {
                let cgroup = Cgroup::of_container(&claim.uid, container);
                let Some(pid) = eldest(&cgroup, |_| true) else {
                    return Ok(Err(format!("{container} does not run, so it was not filled")));
                };
                // As its processes see it: nothing but podlet's own program runs there, which makes no links.
                let path = PathBuf::from(format!("/proc/{pid}/root/podlet-test"));
                Ok(fill(&path, *bytes).map_err(|error| format!("{container} could not be filled: {error}")))
            }
            Step::Fill(volume, bytes) => {
                let directory = caller.paths.volume(&claim.uid, "empty-dir", volume);
                if !directory.is_dir() {
                    return Ok(Err(format!("volume {volume} is not there, so it was not filled")));
                }
                let path = directory.join("podlet-test");
                fill(&path, *bytes).map(Ok).map_err(|error| failure("write", &path, &error))
            }
        }
    }
}

/// Of the processes that live in a cgroup the one that was there first: what probes and hooks are run by came later.
pub fn eldest(cgroup: &Cgroup, is_meant: impl Fn(i32) -> bool) -> Option<i32> {
    let lives = |pid: &i32| !process::is_dead(*pid) && is_meant(*pid);
    cgroup.processes().into_iter().filter(lives).min_by_key(|pid| (process::started_at(*pid).unwrap_or(u64::MAX), *pid))
}
