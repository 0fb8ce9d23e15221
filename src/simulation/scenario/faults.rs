//! What happens to the pod, from the words of a file to deeds at their times.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod};

use super::actors::{image_failure, signal_of, start_failure};
use super::case::Options;
use super::condition::Faults;
use super::format::{
    Amount, Delete, Down, ExitNow, Fault, Kill, Node, OnContainer, Restart, Stop, StorageUse, Switch, Target, Times,
};
use super::{pods, probes};
use crate::manifest::node::Position;
use crate::manifest::quantity::Quantity;
use crate::manifest::{patch, suggest, tree, update};
use crate::pod::input::Exit;
use crate::pod::probe::ProbeKind;
use crate::pod::room::{Room, Share};
use crate::pod::storage::{ContainerUsage, Usage, is_on_disk};
use crate::simulation::answers::Forced;
use crate::simulation::script::{ImageOutcome, Run, Script, Start};

/// More times than this a fault does not come again.
const MOST: usize = 100_000;

/// Something that is done to the pod.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A container's process ends so; whether the memory controller did it.
    End(String, Exit, bool),
    /// A container cannot be found any more.
    Lose(String),
    /// The next starts of a container go so.
    NextStarts(String, Box<Run>, u32),
    /// The next sandboxes cannot be made.
    NextSandboxes(String, u32),
    /// The next times the volumes cannot be set up.
    NextVolumes(String, u32),
    /// The pause process dies.
    LoseSandbox,
    /// The supervisor dies and is back after so long.
    KillSupervisor(Duration),
    /// The machine is started anew.
    Reboot,
    /// The user deletes the pod.
    Delete(Option<i64>, bool),
    /// The pod is stopped.
    Stop(Option<i64>),
    /// The wall clock is set forward, or back.
    SetClock(bool, Duration),
    /// A probe finds this, whatever its instance would answer.
    ForceProbe(String, ProbeKind, Forced),
    /// A re-apply.
    Apply(Box<Pod>),
    /// The machine has so much room; whether a resize that waits is looked at at once.
    MakeRoom(Room, bool),
    /// The next times other cpu and memory cannot be put in force.
    NextResizes(String, u32),
    /// The user asks for a restart of a container, or of all.
    Restart(Option<String>),
    /// An ephemeral container is added, in the place of another one perhaps, and ends after so long.
    Debug(Box<EphemeralContainer>, Option<String>, Option<Duration>),
    /// So much local storage is in use; whether it is measured at once.
    UseStorage(Usage, bool),
}

impl Deed {
    /// What is done at the beginning to the first sandbox and volumes is in the script: these are asked for before anything else
    /// can happen.
    pub fn foresee(&self, script: &mut Script) {
        match self {
            Deed::NextSandboxes(message, times) => {
                script.sandboxes.splice(0..0, std::iter::repeat_n(Err(message.clone()), *times as usize));
            }
            Deed::NextVolumes(message, times) => {
                script.volumes.splice(0..0, std::iter::repeat_n(vec![message.clone()], *times as usize));
            }
            _ => {}
        }
    }
}

/// The times of a fault up to the end of the scenario, in order.
pub fn times(fault: &Fault, end: Duration, path: &str, faults: &mut Faults<'_>) -> Vec<Duration> {
    match (&fault.at, fault.every) {
        (Some(Times::One(at)), None) => vec![at.0],
        (Some(Times::Many(times)), None) => times.iter().map(|time| time.0).collect(),
        (None, Some(every)) if every.0.is_zero() => {
            faults.add(&format!("{path}.every"), "must be more than 0s");
            Vec::new()
        }
        (None, Some(every)) => {
            let from = fault.from.unwrap_or(every).0;
            let to = fault.to.map_or(end, |to| to.0);
            let time = |turn: usize| every.0.checked_mul(u32::try_from(turn).ok()?).map(|more| from + more);
            (0..MOST).map_while(time).take_while(|time| *time <= to).collect()
        }
        (Some(_), Some(_)) => {
            faults.add(&format!("{path}.every"), "a fault comes `at` times or `every` so often, not both");
            Vec::new()
        }
        (None, None) => {
            faults.add(path, "says no time: add `at` or `every`");
            Vec::new()
        }
    }
}

/// The latest time that a fault names.
pub fn latest(fault: &Fault) -> Duration {
    let at = match &fault.at {
        Some(Times::One(at)) => at.0,
        Some(Times::Many(times)) => times.iter().map(|time| time.0).max().unwrap_or_default(),
        None => Duration::ZERO,
    };
    [Some(at), fault.from.map(|from| from.0), fault.to.map(|to| to.0)].into_iter().flatten().max().unwrap_or_default()
}

/// What is done, and when.
pub fn deeds(
    fault: &Fault,
    pod: &Pod,
    times: &[Duration],
    path: &str,
    faults: &mut Faults<'_>,
) -> Vec<(Duration, Deed)> {
    let deed = deed(fault, pod, path, faults);
    if let (Some(words), None) = (&fault.probe, &deed) {
        let path = format!("{path}.probe");
        let container = faults.container(&words.container, &path);
        let spec = container_spec(pod, &container);
        return spec.map(|spec| probes::forced(fault, words, spec, times, &path, faults)).unwrap_or_default();
    }
    deed.map(|deed| times.iter().map(|time| (*time, deed.clone())).collect()).unwrap_or_default()
}

/// What is done; nothing for a probe, of which each turn may find another thing, and for what is wrong.
fn deed(fault: &Fault, pod: &Pod, path: &str, faults: &mut Faults<'_>) -> Option<Deed> {
    let inside = |field: &str| format!("{path}.{field}");
    let said = [
        ("kill", fault.kill.is_some()),
        ("exit", fault.exit.is_some()),
        ("oom", fault.oom.is_some()),
        ("lost", fault.lost.is_some()),
        ("probe", fault.probe.is_some()),
        ("startError", fault.start_error.is_some()),
        ("imageError", fault.image_error.is_some()),
        ("sandboxError", fault.sandbox_error.is_some()),
        ("volumeError", fault.volume_error.is_some()),
        ("sandboxLoss", fault.sandbox_loss.is_some()),
        ("supervisorDeath", fault.supervisor_death.is_some()),
        ("reboot", fault.reboot.is_some()),
        ("delete", fault.delete.is_some()),
        ("stop", fault.stop.is_some()),
        ("clock", fault.clock.is_some()),
        ("apply", fault.apply.is_some()),
        ("node", fault.node.is_some()),
        ("resizeError", fault.resize_error.is_some()),
        ("restart", fault.restart.is_some()),
        ("debug", fault.debug.is_some()),
        ("storage", fault.storage.is_some()),
    ];
    let names: Vec<&str> = said.iter().filter(|(_, said)| *said).map(|(name, _)| *name).collect();
    match names.as_slice() {
        [_] => {}
        [] => {
            let all: Vec<&str> = said.iter().map(|(name, _)| *name).collect();
            faults.add(path, format!("says not what happens: add one of {}", all.join(", ")));
            return None;
        }
        [_, second, ..] => {
            faults.add(&inside(second), "a fault is one thing: make this a fault of its own");
            return None;
        }
    }
    for (name, off) in [
        ("sandboxError", is_off(fault.sandbox_error.as_ref())),
        ("volumeError", is_off(fault.volume_error.as_ref())),
        ("resizeError", is_off(fault.resize_error.as_ref())),
        ("sandboxLoss", is_off(fault.sandbox_loss.as_ref())),
        ("supervisorDeath", is_off(fault.supervisor_death.as_ref())),
        ("reboot", is_off(fault.reboot.as_ref())),
        ("delete", is_off(fault.delete.as_ref())),
        ("stop", is_off(fault.stop.as_ref())),
        ("restart", matches!(fault.restart, Some(Restart::All(false)))),
    ] {
        if off {
            faults.add(&inside(name), "false says nothing: leave the fault out");
        }
    }
    for (name, times) in [
        ("startError", fault.start_error.as_ref().and_then(|error| error.times)),
        ("imageError", fault.image_error.as_ref().and_then(|error| error.times)),
        ("sandboxError", fault.sandbox_error.as_ref().and_then(|error| switched(error).times)),
        ("volumeError", fault.volume_error.as_ref().and_then(|error| switched(error).times)),
        ("resizeError", fault.resize_error.as_ref().and_then(|error| switched(error).times)),
    ] {
        if times == Some(0) {
            faults.add(&inside(&format!("{name}.times")), "0 times is never: leave the fault out");
        }
    }
    if let Some(kill) = &fault.kill {
        let path = inside("kill");
        let kill = full(kill, |container| Kill { container, signal: None });
        let container = faults.container(&kill.container, &path);
        let number = kill.signal.as_ref().map_or(9, |signal| signal_of(signal, &path, faults));
        return Some(Deed::End(container, Exit::Signal(number), false));
    }
    if let Some(exit) = &fault.exit {
        let exit = full(exit, |container| ExitNow { container, code: 0 });
        if !(0..=255).contains(&exit.code) {
            faults.add(&inside("exit.code"), format!("{} is no exit code: they go from 0 to 255", exit.code));
        }
        return Some(Deed::End(faults.container(&exit.container, &inside("exit")), Exit::Code(exit.code), false));
    }
    if let Some(oom) = &fault.oom {
        let oom = full(oom, |container| OnContainer { container });
        return Some(Deed::End(faults.container(&oom.container, &inside("oom")), Exit::Signal(9), true));
    }
    if let Some(lost) = &fault.lost {
        let lost = full(lost, |container| OnContainer { container });
        return Some(Deed::Lose(faults.container(&lost.container, &inside("lost"))));
    }
    if let Some(error) = &fault.start_error {
        let container = faults.container(&error.container, &inside("startError"));
        let run = Run { start: start_failure(error.reason, error.message.clone()), ..Run::forever() };
        return Some(Deed::NextStarts(container, Box::new(run), error.times.unwrap_or(1)));
    }
    if let Some(error) = &fault.image_error {
        let container = faults.container(&error.container, &inside("imageError"));
        let image: ImageOutcome = image_failure(error.reason, error.message.clone(), &image_of(pod, &container));
        let run = Run { image: Some(image), start: Start::Runs, ..Run::forever() };
        return Some(Deed::NextStarts(container, Box::new(run), error.times.unwrap_or(1)));
    }
    if let Some(error) = fault.sandbox_error.as_ref().map(switched) {
        let message = error.message.unwrap_or_else(|| "plugin type=\"bridge\" failed (add)".to_owned());
        return Some(Deed::NextSandboxes(message, error.times.unwrap_or(1)));
    }
    if let Some(error) = fault.volume_error.as_ref().map(switched) {
        let usual = "MountVolume.SetUp failed for volume \"config\" : configmap \"config\" not found";
        let message = error.message.unwrap_or_else(|| usual.to_owned());
        return Some(Deed::NextVolumes(message, error.times.unwrap_or(1)));
    }
    if fault.sandbox_loss.is_some() {
        return Some(Deed::LoseSandbox);
    }
    if let Some(death) = &fault.supervisor_death {
        let Down { down_for } = switched(death);
        return Some(Deed::KillSupervisor(down_for.0));
    }
    if fault.reboot.is_some() {
        return Some(Deed::Reboot);
    }
    if let Some(delete) = &fault.delete {
        let Delete { grace_period_seconds, force } = switched(delete);
        if grace_period_seconds.is_some_and(|grace| grace < 0) {
            faults.add(&inside("delete.gracePeriodSeconds"), "must not be negative");
        }
        return Some(Deed::Delete(grace_period_seconds, force));
    }
    if let Some(stop) = &fault.stop {
        let Stop { grace_period_seconds } = switched(stop);
        if grace_period_seconds.is_some_and(|grace| grace < 0) {
            faults.add(&inside("stop.gracePeriodSeconds"), "must not be negative");
        }
        return Some(Deed::Stop(grace_period_seconds));
    }
    if let Some(clock) = &fault.clock {
        return clock_deed(clock, &inside("clock"), faults);
    }
    if fault.apply.is_some() {
        // What becomes of the pod depends on those before it: `applies`.
        return None;
    }
    if let Some(words) = &fault.node {
        return Some(Deed::MakeRoom(room(words, &inside("node"), faults), words.at_once));
    }
    if let Some(error) = fault.resize_error.as_ref().map(switched) {
        let message = error.message.unwrap_or_else(|| "failed to update the pod's cgroups".to_owned());
        return Some(Deed::NextResizes(message, error.times.unwrap_or(1)));
    }
    if let Some(restart) = &fault.restart {
        let mut named = |name: &str| Some(faults.container(name, &inside("restart")));
        return Some(Deed::Restart(match restart {
            Restart::All(_) => None,
            Restart::Name(name) => named(name),
            Restart::Full(full) => named(&full.container),
        }));
    }
    if let Some(words) = &fault.debug {
        let held = words.holds.as_ref().map(|held| faults.container(held, &inside("debug.holds")));
        if container_spec(pod, words.name()).is_some() {
            let text = format!("the pod has a container {:?} already", words.name());
            faults.add(&inside("debug.name"), text);
        }
        let image = Some("podlet.local/host".to_owned());
        let container = EphemeralContainer { name: words.name().to_owned(), image, ..EphemeralContainer::default() };
        return Some(Deed::Debug(Box::new(container), held, words.lasts.map(|span| span.0)));
    }
    if let Some(words) = &fault.storage {
        return storage(words, pod, &inside("storage"), faults);
    }
    None
}

fn room(words: &Node, path: &str, faults: &mut Faults<'_>) -> Room {
    let mut amount = |said: &Option<Amount>, field: &str, usual: u64, in_milli: bool| {
        let Some(said) = said.as_ref().map(Amount::to_string) else { return usual };
        let worth = |amount: Quantity| if in_milli { amount.milli_value() } else { amount.value() };
        let amount = Quantity::parse(&said).ok().and_then(|amount| u64::try_from(worth(amount)).ok());
        let example = if in_milli { "cpu such as 500m" } else { "memory such as 3Gi" };
        amount.unwrap_or_else(|| {
            faults.add(&format!("{path}.{field}"), format!("{said:?} is no amount of {example}"));
            usual
        })
    };
    Room {
        cpu: Share {
            capacity: amount(&words.cpu, "cpu", u64::MAX, true),
            used: amount(&words.cpu_used, "cpuUsed", 0, true),
        },
        memory: Share {
            capacity: amount(&words.memory, "memory", u64::MAX, false),
            used: amount(&words.memory_used, "memoryUsed", 0, false),
        },
    }
}

fn storage(words: &StorageUse, pod: &Pod, path: &str, faults: &mut Faults<'_>) -> Option<Deed> {
    let used = Quantity::parse(&words.used.to_string()).ok().and_then(|used| u64::try_from(used.value()).ok());
    let Some(used) = used else {
        faults
            .add(&format!("{path}.used"), format!("{:?} is no amount of storage such as 3Mi", words.used.to_string()));
        return None;
    };
    let mut usage = Usage::default();
    match (&words.volume, &words.container) {
        (Some(volume), None) => {
            let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
            let names: Vec<&str> = volumes.filter(|one| is_on_disk(one)).map(|one| one.name.as_str()).collect();
            if !names.contains(&volume.as_str()) {
                let near = suggest::nearest(volume, names.iter().copied());
                let hint = near.map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
                faults.add(&format!("{path}.volume"), format!("the pod has no emptyDir {volume:?} on disk{hint}"));
            }
            usage.volumes.insert(volume.clone(), used);
        }
        (None, container) => {
            let name = faults.container(container.as_deref().unwrap_or_default(), &format!("{path}.container"));
            usage.containers.insert(name, ContainerUsage { layer: used, logs: 0 });
        }
        (Some(_), Some(_)) => {
            faults.add(&format!("{path}.container"), "a volume or a container, not both: make it a fault of its own");
        }
    }
    Some(Deed::UseStorage(usage, words.at_once))
}

/// A container of any kind.
pub fn container_spec<'p>(pod: &'p Pod, name: &str) -> Option<&'p Container> {
    let spec = pod.spec.as_ref()?;
    spec.containers.iter().chain(spec.init_containers.iter().flatten()).find(|container| container.name == name)
}

fn image_of(pod: &Pod, name: &str) -> String {
    container_spec(pod, name).and_then(|container| container.image.clone()).unwrap_or_default()
}

fn full<T: Clone>(target: &Target<T>, named: impl Fn(String) -> T) -> T {
    match target {
        Target::Name(name) => named(name.clone()),
        Target::Full(full) => full.clone(),
    }
}

fn is_off<T>(switch: Option<&Switch<T>>) -> bool {
    matches!(switch, Some(Switch::On(false)))
}

fn switched<T: Clone + Default>(switch: &Switch<T>) -> T {
    match switch {
        Switch::On(_) => T::default(),
        Switch::Full(full) => full.clone(),
    }
}

fn clock_deed(clock: &str, path: &str, faults: &mut Faults<'_>) -> Option<Deed> {
    let text = clock.trim();
    let (forward, rest) = match text.strip_prefix('-') {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix('+').unwrap_or(text)),
    };
    match crate::duration::parse(rest) {
        Ok(by) => Some(Deed::SetClock(forward, by)),
        Err(error) => {
            faults.add(path, format!("{error}: write by how much the clock jumps, 1h or -30m"));
            None
        }
    }
}

/// A fault's time, its place among all of them, and what it merges into the pod.
pub type Piece<'f> = (Duration, usize, &'f serde_json::Map<String, serde_json::Value>);

/// The re-applies of a scenario: each changes the pod as those before it have left it.
pub fn applies(
    mut pieces: Vec<Piece<'_>>,
    pod: &Pod,
    options: &Options,
    faults: &mut Faults<'_>,
) -> Vec<(Duration, usize, Deed)> {
    pieces.sort_by_key(|(time, index, _)| (*time, *index));
    let (mut pod, mut last) = (Box::new(pod.clone()), None);
    let mut deeds = Vec::new();
    for (time, index, piece) in pieces {
        // Once more the same changes nothing.
        if last != Some(index) {
            let path = format!("spec.faults[{index}].apply");
            let Some(changed) = apply(piece, &pod, &path, options, faults) else { continue };
            (pod, last) = (changed, Some(index));
        }
        deeds.push((time, index, Deed::Apply(pod.clone())));
    }
    deeds
}

/// The pod with this piece merged into it.
fn apply(
    piece: &serde_json::Map<String, serde_json::Value>,
    pod: &Pod,
    path: &str,
    options: &Options,
    faults: &mut Faults<'_>,
) -> Option<Box<Pod>> {
    let place = Position::default();
    let before = tree::node(&serde_json::to_value(pod).unwrap_or_default(), place);
    let change = tree::node(&serde_json::Value::Object(piece.clone()), place);
    match tree::pod(patch::strategic(before, &change), options.namespace.as_deref()) {
        Ok(mut changed) => {
            pods::admit(&mut changed);
            for error in update::pod_or_resize(&changed, pod) {
                // Behind the first line both specs are compared, which here stand in one file.
                let text = error.body().lines().next().unwrap_or_default().to_owned();
                faults.add(&format!("{path}.{}", error.path), text);
            }
            Some(changed)
        }
        Err(findings) => {
            for finding in findings {
                faults.add(&format!("{path}.{}", finding.path), finding.text);
            }
            None
        }
    }
}
