//! The pod of a scenario as real processes play it. Every container runs `podlet.local/actor`, which takes a line of its part at
//! each start; probes and hooks are programs in the container that do likewise. What a pod says of its lifecycle stays, what
//! podlet's own image has no use for goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Container, EphemeralContainer, ExecAction, HostPathVolumeSource, Lifecycle, LifecycleHandler, Pod, PodSpec, Probe,
    Volume, VolumeMount,
};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::ills::{self, Ills, Lack, memory_limit};
use crate::pod::hook::HookKind;
use crate::pod::input::{Exit, ProbeOutcome};
use crate::pod::probe::ProbeKind;
use crate::pod::storage::is_on_disk;
use crate::simulation::answers::{Answers, Forced, Length};
use crate::simulation::scenario::Case;
use crate::simulation::scenario::faults::{Deed, container_spec};
use crate::simulation::script::{End, HookRun, ImageOutcome, OnSignal, Run, Start};

/// Where the containers see the parts.
pub const MOUNT: &str = "/podlet.test";
/// podlet's own image (`docs/actor.md`), in which every container runs.
pub const ACTOR: &str = "podlet.local/actor";
/// The same by another name.
const ACTOR_TOO: &str = "podlet.local/actor:latest";
/// What a container may have that is to run out of it and has no limit of its own, and how fast it takes it.
const MEMORY: &str = "64Mi";
const GREED: &str = "1Gi/s";
/// So many bytes more than it may have.
const BEYOND: i64 = 64 << 20;
/// Beside the directory of the parts: the one of a volume that may be missing.
pub const DIRECTORY: &str = "volume";
/// Its name, and where the containers see it.
const MISSING: &str = "podlet-test-volume";
const SEEN: &str = "/podlet.test.volume";
/// The signal at which a container takes all its memory: nothing else sends it.
const XCPU: i32 = 24;
/// The signals at which a container uses so much memory that its limit cannot be lowered, and at which it does not any more.
pub const HOLD: i32 = 25;
/// See there.
pub const RELEASE: i32 = 26;
/// The volume's name.
const VOLUME: &str = "podlet-test";
/// An answer is not written more often than this.
const MOST: u32 = 10_000;
const PROBES: [ProbeKind; 3] = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness];

/// What is to be set up, and what is to be done then.
#[derive(Debug)]
pub struct Stage {
    /// The pod.
    pub pod: Pod,
    /// What stands in which file of the directory that the containers see, by relative paths.
    pub files: BTreeMap<String, String>,
    /// What is missing at some time.
    pub ills: Ills,
    /// In order.
    pub steps: Vec<(Duration, Step)>,
}

/// Something that is done from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A container's first process is sent this signal.
    Signal(String, i32),
    /// The pause process is killed.
    KillPause,
    /// The supervisor does nothing any more, and is killed after so long.
    KillSupervisor(Duration),
    /// A container's first process is killed, and all of podlet's own with it: nobody is left who could know how it ended.
    Lose(String),
    /// All processes are killed, and what is not kept over a reboot is gone; then pods are started as at boot.
    Reboot,
    /// The user deletes the pod, with this grace and force.
    Delete(Option<i64>, bool),
    /// The pod is stopped, with at most this grace.
    Stop(Option<i64>),
    /// A file of the stage is replaced.
    Put(String, String),
    /// The user asks for a restart of a container, or of all.
    Restart(Option<String>),
    /// The pod is applied as it is now.
    Apply(Box<Pod>),
    /// An ephemeral container is added, in the place of another one perhaps.
    Debug(Box<EphemeralContainer>, Option<String>),
    /// So many bytes lie in an emptyDir.
    Fill(String, u64),
    /// So many bytes lie in a container's root file system.
    FillContainer(String, u64),
    /// Something is missing for so many starts.
    Miss(Lack, u32),
}

impl Stage {
    /// Of a case that nothing is refused of, whose files lie in this directory.
    pub fn of(case: &Case, directory: &Path) -> Stage {
        let ills = Ills::of(&case.pod, &case.script.runs, &case.deeds);
        let mut stage = Stage { pod: (*case.pod).clone(), files: BTreeMap::new(), ills, steps: Vec::new() };
        let (codes, starved) = (exit_codes(&case.deeds), starved(&case.deeds));
        stage.pod.metadata.uid = None;
        stage.pod.metadata.creation_timestamp = None;
        stage.pod.status = None;
        if let Some(spec) = stage.pod.spec.take() {
            let mut cast = Cast { files: &mut stage.files, codes: &codes, starved: &starved, ills: &stage.ills };
            let mut containers = |list: Vec<Container>| -> Vec<Container> {
                let part = |container: Container| {
                    let silent = [Run::forever()];
                    let runs = case.script.runs.get(&container.name).map_or(&silent[..], Vec::as_slice);
                    cast.container(container, runs)
                };
                list.into_iter().map(part).collect()
            };
            let init_containers = spec.init_containers.map(&mut containers);
            let path = directory.to_string_lossy().into_owned();
            let volume = |name: &str, path: String| {
                let source = HostPathVolumeSource { path, type_: Some("Directory".to_owned()) };
                Volume { name: name.to_owned(), host_path: Some(source), ..Volume::default() }
            };
            let own = volume(VOLUME, path);
            let missing = stage.ills.all.contains(&Lack::Directory).then(|| {
                let directory = directory.with_file_name(DIRECTORY);
                volume(MISSING, directory.to_string_lossy().into_owned())
            });
            stage.pod.spec = Some(PodSpec {
                containers: containers(spec.containers),
                init_containers,
                volumes: Some(
                    spec.volumes.into_iter().flatten().filter(is_on_disk).chain([own]).chain(missing).collect(),
                ),
                security_context: None,
                host_network: None,
                host_users: None,
                image_pull_secrets: None,
                ..spec
            });
        }
        // What the first attempts lack is missing before anything is begun; of what happens at one time this comes first.
        let lacks = ills::lacks(&case.pod, &case.deeds).into_iter().filter(|(time, ..)| !time.is_zero());
        stage.steps.extend(lacks.map(|(time, lack, times)| (time, Step::Miss(lack, times))));
        let (mut applied, mut staged) = (&*case.pod, stage.pod.clone());
        for (time, deed) in &case.deeds {
            if let Deed::Apply(pod) = deed {
                change(&mut staged, applied, pod);
                applied = &**pod;
                stage.steps.push((*time, Step::Apply(Box::new(staged.clone()))));
            }
            stage.steps.extend(steps(*time, deed, &codes, &mut stage.files));
        }
        stage.steps.sort_by_key(|(time, _)| *time);
        stage
    }
}

/// What a re-apply changes from one of the scenario's pods to the next is changed in the staged one: for another image the other of
/// the two names that podlet's own has, and all else that may change as it is.
fn change(staged: &mut Pod, before: &Pod, after: &Pod) {
    staged.metadata.labels.clone_from(&after.metadata.labels);
    staged.metadata.annotations.clone_from(&after.metadata.annotations);
    let (Some(spec), Some(new)) = (&mut staged.spec, &after.spec) else { return };
    spec.active_deadline_seconds = new.active_deadline_seconds;
    spec.termination_grace_period_seconds = new.termination_grace_period_seconds;
    spec.tolerations.clone_from(&new.tolerations);
    spec.resources.clone_from(&new.resources);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        let (Some(old), Some(new)) = (container_spec(before, &container.name), container_spec(after, &container.name))
        else {
            continue;
        };
        if old.image != new.image {
            let other = if container.image.as_deref() == Some(ACTOR) { ACTOR_TOO } else { ACTOR };
            container.image = Some(other.to_owned());
        }
        if old.resources != new.resources {
            container.resources.clone_from(&new.resources);
        }
    }
}

/// The containers that are to run out of memory by a fault.
fn starved(deeds: &[(Duration, Deed)]) -> BTreeSet<String> {
    let starved = |(_, deed): &(Duration, Deed)| match deed {
        Deed::End(container, _, true) => Some(container.clone()),
        _ => None,
    };
    deeds.iter().filter_map(starved).collect()
}

/// The codes with which each container is told to end, by its SIGUSR1 and SIGUSR2.
type Codes = BTreeMap<String, Vec<i32>>;

fn exit_codes(deeds: &[(Duration, Deed)]) -> Codes {
    let mut codes = Codes::new();
    for (_, deed) in deeds {
        if let Deed::End(container, Exit::Code(code), _) = deed {
            let known = codes.entry(container.clone()).or_default();
            if !known.contains(code) {
                known.push(*code);
            }
        }
    }
    codes
}

/// SIGUSR1 for the first code, SIGUSR2 for the second.
fn steps(time: Duration, deed: &Deed, codes: &Codes, files: &mut BTreeMap<String, String>) -> Vec<(Duration, Step)> {
    let step = match deed {
        Deed::End(container, _, true) => Step::Signal(container.clone(), XCPU),
        Deed::End(container, Exit::Code(code), _) => {
            let second = codes.get(container).and_then(|codes| codes.first()) != Some(code);
            Step::Signal(container.clone(), if second { 12 } else { 10 })
        }
        Deed::End(container, Exit::Signal(signal), _) => Step::Signal(container.clone(), *signal),
        Deed::LoseSandbox => Step::KillPause,
        Deed::KillSupervisor(away) => Step::KillSupervisor(*away),
        Deed::Lose(container) => Step::Lose(container.clone()),
        Deed::Reboot => Step::Reboot,
        Deed::Delete(grace, force) => Step::Delete(*grace, *force),
        Deed::Stop(most) => Step::Stop(*most),
        Deed::ForceProbe(container, kind, forced) => return force(time, container, *kind, forced, files),
        Deed::Restart(container) => Step::Restart(container.clone()),
        Deed::Debug(container, holds, lasts) => {
            let lasts = lasts.map_or_else(|| "forever".to_owned(), |lasts| format!("{}ms", lasts.as_millis()));
            let container = EphemeralContainer {
                image: Some(ACTOR.to_owned()),
                args: Some(vec!["sleep".to_owned(), lasts]),
                ..(**container).clone()
            };
            Step::Debug(Box::new(container), holds.clone())
        }
        Deed::UseStorage(usage, _) => {
            let volumes = usage.volumes.iter().map(|(name, bytes)| Step::Fill(name.clone(), *bytes));
            let containers = usage.containers.iter();
            let containers = containers.map(|(name, used)| Step::FillContainer(name.clone(), used.layer));
            return volumes.chain(containers).map(|step| (time, step)).collect();
        }
        // Their steps are there.
        Deed::Apply(_) => return Vec::new(),
        Deed::NextStarts(..) | Deed::NextVolumes(..) | Deed::NextSandboxes(..) | Deed::NextResizes(..) => {
            return Vec::new();
        }
        // Refused.
        Deed::SetClock(..) | Deed::MakeRoom(..) => return Vec::new(),
    };
    vec![(time, step)]
}

/// A probe looks first into a file that says, unless something is forced, to look into the instance's own.
fn force(
    time: Duration,
    container: &str,
    kind: ProbeKind,
    forced: &Forced,
    files: &mut BTreeMap<String, String>,
) -> Vec<(Duration, Step)> {
    let file = first_file(container, kind);
    let text = format!("{container}/forced.{}.{}", kind.word(), files.len());
    let answer = answer(&forced.outcome, forced.takes, &text, files);
    let usual = usual(container, kind);
    let lines = match forced.left {
        Some(times) => format!("{}{usual}\n", format!("{answer}\n").repeat(times.min(MOST) as usize)),
        None => format!("{answer}\n"),
    };
    let mut steps = vec![(time, Step::Put(file.clone(), lines))];
    steps.extend(forced.until.map(|until| (until, Step::Put(file, format!("{usual}\n")))));
    steps
}

fn first_file(container: &str, kind: ProbeKind) -> String {
    format!("{container}/{}", kind.word())
}

fn own_file(container: &str, kind: ProbeKind) -> String {
    format!("{container}/{}.own", kind.word())
}

fn usual(container: &str, kind: ProbeKind) -> String {
    format!("next {MOUNT}/{}", own_file(container, kind))
}

/// The words of a program that answers a probe so.
fn answer(outcome: &ProbeOutcome, takes: Duration, text: &str, files: &mut BTreeMap<String, String>) -> String {
    match outcome {
        ProbeOutcome::Success | ProbeOutcome::Warning(_) => "exit 0".to_owned(),
        ProbeOutcome::Failure(_) | ProbeOutcome::Error { .. } if !takes.is_zero() => "sleep forever".to_owned(),
        ProbeOutcome::Failure(said) | ProbeOutcome::Error { message: said, .. } => {
            files.insert(text.to_owned(), said.clone());
            format!("read {MOUNT}/{text} , exit 1")
        }
    }
}

/// Gives out the parts.
struct Cast<'s> {
    files: &'s mut BTreeMap<String, String>,
    codes: &'s Codes,
    starved: &'s BTreeSet<String>,
    ills: &'s Ills,
}

impl Cast<'_> {
    fn container(&mut self, mut container: Container, runs: &[Run]) -> Container {
        // What does not start takes no part.
        let starts =
            |run: &Run| matches!(run.start, Start::Runs) && !matches!(run.image, Some(ImageOutcome::Missing(..)));
        let numbered = runs.iter().cloned().enumerate();
        let (numbers, mut playing): (Vec<usize>, Vec<Run>) = numbered.filter(|(_, run)| starts(run)).unzip();
        if playing.is_empty() {
            playing.push(Run::forever());
        }
        let runs = &playing;
        if runs.iter().any(|run| run.oom_killed) || self.starved.contains(&container.name) {
            let limits = container.resources.get_or_insert_default().limits.get_or_insert_default();
            limits.entry("memory".to_owned()).or_insert_with(|| Quantity(MEMORY.to_owned()));
        }
        let lines: Vec<String> =
            runs.iter().enumerate().map(|(index, run)| self.part(&container, index, run, numbers.get(index))).collect();
        let name = container.name.clone();
        self.put(format!("{name}/parts"), &lines);
        let mut probe = |kind: ProbeKind, probe: Option<Probe>| {
            let probe = probe?;
            self.put(first_file(&name, kind), &[usual(&name, kind)]);
            let exec = Some(command(&first_file(&name, kind)));
            Some(Probe { exec, http_get: None, tcp_socket: None, grpc: None, ..probe })
        };
        let startup_probe = probe(ProbeKind::Startup, container.startup_probe.clone());
        let liveness_probe = probe(ProbeKind::Liveness, container.liveness_probe.clone());
        let readiness_probe = probe(ProbeKind::Readiness, container.readiness_probe.clone());
        let lifecycle = container.lifecycle.clone().map(|lifecycle| {
            let starts: Vec<String> = runs.iter().map(|run| self.hook(run, HookKind::PostStart, &name)).collect();
            self.put(format!("{name}/{}", HookKind::PostStart.word()), &starts);
            let own = |handler: Option<LifecycleHandler>, kind: HookKind| match handler {
                Some(handler) if handler.sleep.is_none() => {
                    let exec = Some(command(&format!("{name}/{}", kind.word())));
                    Some(LifecycleHandler { exec, ..LifecycleHandler::default() })
                }
                handler => handler,
            };
            Lifecycle {
                post_start: own(lifecycle.post_start, HookKind::PostStart),
                pre_stop: own(lifecycle.pre_stop, HookKind::PreStop),
                ..lifecycle
            }
        });
        let mount = |name: &str, path: &str| VolumeMount {
            name: name.to_owned(),
            mount_path: path.to_owned(),
            ..VolumeMount::default()
        };
        let missing = self.ills.all.contains(&Lack::Directory).then(|| mount(MISSING, SEEN));
        let mut container = Container {
            image: Some(ACTOR.to_owned()),
            image_pull_policy: Some("IfNotPresent".to_owned()),
            command: None,
            args: Some(vec!["next".to_owned(), format!("{MOUNT}/{name}/parts")]),
            working_dir: None,
            env: None,
            env_from: None,
            ports: None,
            security_context: None,
            volume_mounts: Some([mount(VOLUME, MOUNT)].into_iter().chain(missing).collect()),
            startup_probe,
            liveness_probe,
            readiness_probe,
            lifecycle,
            ..container
        };
        self.ills.dress(&mut container);
        container
    }

    fn put(&mut self, file: String, lines: &[String]) {
        let text = lines.iter().map(|line| format!("{line}\n")).collect();
        self.files.insert(file, text);
    }

    /// All that one instance does, as one line of the actor's language. `start` is its number among all starts of the container, of
    /// which some fail.
    fn part(&mut self, spec: &Container, index: usize, run: &Run, start: Option<&usize>) -> String {
        let name = &spec.name;
        let mut actions: Vec<String> = run.signals.iter().map(|(signal, reaction)| on(signal, reaction)).collect();
        let stop = spec.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.as_deref()).unwrap_or("SIGTERM");
        if !run.signals.contains_key(stop) {
            actions.push(on(stop, &run.on_signal));
        }
        let codes = self.codes.get(name).into_iter().flatten().enumerate();
        actions.extend(codes.map(|(index, code)| format!("on USR{} exit {code}", index + 1)));
        if self.starved.contains(name) {
            actions.push(format!("on XCPU allocate {}", memory_limit(spec).saturating_add(BEYOND)));
        }
        for lack in &self.ills.all {
            if let Lack::Memory(container, bytes) = lack
                && container == name
            {
                actions.push(format!("on {HOLD} allocate {bytes} , on {RELEASE} release"));
            }
        }
        let put_text = |files: &mut BTreeMap<String, String>, what: &str, text: &str| {
            let file = format!("{name}/{index}.{what}");
            files.insert(file.clone(), text.to_owned());
            format!("{MOUNT}/{file}")
        };
        if !run.message.file.is_empty() {
            let from = put_text(self.files, "message", &run.message.file);
            let to = spec.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
            actions.push(format!("copy {from} {to}"));
        }
        if !run.message.log_tail.is_empty() {
            actions.push(format!("read {}", put_text(self.files, "log", &run.message.log_tail)));
        }
        if HookKind::PreStop.of(spec).is_some_and(|handler| handler.sleep.is_none()) {
            let words = self.hook(run, HookKind::PreStop, name);
            if index == 0 {
                self.put(format!("{name}/{}", HookKind::PreStop.word()), std::slice::from_ref(&words));
            }
            let from = put_text(self.files, "preStop", &format!("{words}\n"));
            actions.push(format!("copy {from} {MOUNT}/{name}/{}", HookKind::PreStop.word()));
        }
        let mut changes: Vec<(Duration, String)> = Vec::new();
        for kind in PROBES.into_iter().filter(|kind| kind.of(spec).is_some()) {
            let pieces = self.answers(run.answers.get(&kind).map_or(&[], Vec::as_slice), name);
            for (number, (age, lines)) in pieces.into_iter().enumerate() {
                if index == 0 && number == 0 {
                    self.put(own_file(name, kind), &lines);
                }
                let file = format!("{name}/{index}.{}.{number}", kind.word());
                self.put(file.clone(), &lines);
                changes.push((age, format!("copy {MOUNT}/{file} {MOUNT}/{}", own_file(name, kind))));
            }
        }
        changes.sort_by_key(|(age, _)| *age);
        let mut now = Duration::ZERO;
        let mut pass_to = |age: Duration, actions: &mut Vec<String>| {
            if age > now {
                actions.push(format!("sleep {}ms", (age - now).as_millis()));
                now = age;
            }
        };
        for (age, change) in changes {
            if run.end.is_none_or(|end| age <= end.after) {
                pass_to(age, &mut actions);
                actions.push(change);
            }
        }
        if let Some(End { after, .. }) = run.end {
            pass_to(after, &mut actions);
            // What the next start is to lack is taken away while this one runs.
            let next = start.map(|start| start + 1).filter(|next| self.ills.of_start(name, *next).is_some());
            actions.extend(next.map(|next| format!("await {MOUNT}/{}", ills::taken(name, next))));
        }
        match run.end {
            None => actions.push("sleep forever".to_owned()),
            Some(_) if run.oom_killed => {
                // Where nothing limits it, it stops by itself and takes not all that the machine has.
                actions.push(format!("allocate {GREED} until={}", memory_limit(spec).saturating_add(BEYOND)));
            }
            Some(End { exit: Exit::Code(code), .. }) => actions.push(format!("exit {code}")),
            Some(End { exit: Exit::Signal(signal), .. }) => actions.push(format!("die {signal}")),
        }
        actions.join(" , ")
    }

    /// What a probe answers from which age on, a line an attempt, of which the last repeats.
    fn answers(&mut self, list: &[Answers], name: &str) -> Vec<(Duration, Vec<String>)> {
        let mut pieces: Vec<(Duration, Vec<String>)> = Vec::new();
        let (mut age, mut counting) = (Duration::ZERO, false);
        for one in list {
            let text = format!("{name}/said.{}", self.files.len());
            let line = answer(&one.outcome, one.takes, &text, self.files);
            let times = match one.length {
                Length::Times(times) => times.min(MOST) as usize,
                Length::For(_) => 1,
            };
            let lines = std::iter::repeat_n(line, times);
            match pieces.last_mut().filter(|_| counting) {
                Some((_, last)) => last.extend(lines),
                None => pieces.push((age, lines.collect())),
            }
            counting = matches!(one.length, Length::Times(_));
            if let Length::For(time) = one.length {
                age += time;
            }
        }
        if pieces.is_empty() {
            pieces.push((Duration::ZERO, vec!["exit 0".to_owned()]));
        }
        pieces
    }

    /// The words of a program that does what a hook does.
    fn hook(&mut self, run: &Run, kind: HookKind, name: &str) -> String {
        let HookRun { takes, failure } = run.hook_run(kind);
        let lasts = takes.map_or_else(|| "forever".to_owned(), |takes| format!("{}ms", takes.as_millis()));
        match failure {
            None => format!("sleep {lasts} , exit 0"),
            Some(failure) => {
                let text = format!("{name}/said.{}", self.files.len());
                self.files.insert(text.clone(), failure);
                format!("sleep {lasts} , read {MOUNT}/{text} , exit 1")
            }
        }
    }
}

fn command(file: &str) -> ExecAction {
    ExecAction { command: Some(vec!["/actor".to_owned(), "next".to_owned(), format!("{MOUNT}/{file}")]) }
}

fn on(signal: &str, reaction: &OnSignal) -> String {
    match reaction {
        OnSignal::Ignores => format!("on {signal} ignore"),
        OnSignal::Ends(End { after, exit }) => {
            // What ends by a signal is refused.
            let code = match exit {
                Exit::Code(code) => *code,
                Exit::Signal(signal) => 128 + signal,
            };
            format!("on {signal} exit {code} after {}ms", after.as_millis())
        }
    }
}
