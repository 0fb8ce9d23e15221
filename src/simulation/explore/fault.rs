//! One fault, drawn: each kind as often as its weight says, where the pod has what it needs.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use serde_json::{Value as Json, json};

use super::draw::Lots;
use crate::manifest::quantity::{Format, Quantity};
use crate::manifest::resources::{self, list, worth};
use crate::pod::amounts::requested;
use crate::pod::probe::ProbeKind;
use crate::pod::storage::is_on_disk;
use crate::simulation::scenario::Span;
use crate::simulation::scenario::format::{
    Amount, Debug, Delete, Down, ExitNow, Fault, Kill, NextImage, NextResize, NextSandbox, NextStart, NextVolume, Node,
    Nothing, OnContainer, ProbeFault, Restart, SignalName, Stop, StorageUse, Switch, Target, Times,
};
use crate::simulation::scenario::words::{Answer, ImageReason, Kind, StartReason};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Exit,
    Kill,
    Oom,
    Lost,
    Probe,
    StartError,
    ImageError,
    SandboxError,
    VolumeError,
    SandboxLoss,
    SupervisorDeath,
    Reboot,
    Clock,
    Image,
    Resize,
    ResizeError,
    Node,
    Deadline,
    Restart,
    Debug,
    Storage,
    Stop,
    Delete,
}

/// How often each is drawn. What the pod has no use for leaves its share to the others.
const WEIGHTS: &[(What, u64)] = &[
    (What::Exit, 18),
    (What::Kill, 9),
    (What::Oom, 4),
    (What::Lost, 2),
    (What::Probe, 21),
    (What::StartError, 7),
    (What::ImageError, 7),
    (What::SandboxError, 3),
    (What::VolumeError, 2),
    (What::SandboxLoss, 5),
    (What::SupervisorDeath, 9),
    (What::Reboot, 3),
    (What::Clock, 3),
    (What::Image, 3),
    (What::Resize, 4),
    (What::ResizeError, 2),
    (What::Node, 2),
    (What::Deadline, 1),
    (What::Restart, 6),
    (What::Debug, 3),
    (What::Storage, 2),
    (What::Stop, 1),
    (What::Delete, 3),
];

/// What happens at that time; nothing where the pod has no container.
pub(super) fn fault(
    lots: &mut Lots,
    pod: &Pod,
    containers: &[&Container],
    at: Duration,
    end: Duration,
) -> Option<Fault> {
    let one = lots.one_of(containers)?;
    let container = one.name.clone();
    let what = what(lots, pod, one);
    let mut fault = Fault { at: Some(Times::One(Span(at))), ..Fault::default() };
    match what {
        What::Exit => {
            let code = lots.one_of(&[0, 1, 1, 2, 137]).unwrap_or(1);
            fault.exit = Some(Target::Full(ExitNow { container, code }));
        }
        What::Kill => {
            let signal = lots.one_of(&["SEGV", "KILL", "ABRT"]).map(|name| SignalName::Name(name.to_owned()));
            fault.kill = Some(Target::Full(Kill { container, signal }));
        }
        What::Oom => fault.oom = Some(Target::Full(OnContainer { container })),
        What::Lost => fault.lost = Some(Target::Full(OnContainer { container })),
        What::Probe => probe(lots, &mut fault, one, (at, end)),
        What::StartError => {
            let reasons = [
                StartReason::CreateContainerConfigError,
                StartReason::CreateContainerError,
                StartReason::RunContainerError,
            ];
            let (reason, times) = (lots.one_of(&reasons).unwrap_or_default(), some_times(lots));
            fault.start_error = Some(NextStart { container, reason, message: None, times });
        }
        What::ImageError => {
            let reasons = [
                ImageReason::ErrImagePull,
                ImageReason::ErrImagePull,
                ImageReason::ErrImageNeverPull,
                ImageReason::InvalidImageName,
                ImageReason::ImageInspectError,
            ];
            let (reason, times) = (lots.one_of(&reasons).unwrap_or_default(), some_times(lots));
            fault.image_error = Some(NextImage { container, reason, message: None, times });
        }
        What::SandboxError => {
            fault.sandbox_error = Some(Switch::Full(NextSandbox { message: None, times: some_times(lots) }))
        }
        What::VolumeError => {
            fault.volume_error = Some(Switch::Full(NextVolume { message: None, times: some_times(lots) }))
        }
        What::SandboxLoss => fault.sandbox_loss = Some(Switch::Full(Nothing {})),
        What::SupervisorDeath => {
            let down_for = Span(lots.seconds(&[0, 0, 1, 5, 30]));
            fault.supervisor_death = Some(Switch::Full(Down { down_for }));
        }
        What::Reboot => fault.reboot = Some(Switch::Full(Nothing {})),
        What::Clock => fault.clock = lots.one_of(&["1h", "-1h", "30s", "-5m"]).map(str::to_owned),
        What::Image => {
            let image = format!("localhost/changed:{}", lots.below(3));
            fault.apply = changed(pod, one, "image", &json!(image));
        }
        What::Resize => {
            let times = lots.one_of(&[1, 2, 3]).unwrap_or(2);
            fault.apply = changed(pod, one, "resources", &json!(multiplied(one.resources.as_ref(), times)));
        }
        What::ResizeError => {
            fault.resize_error = Some(Switch::Full(NextResize { message: None, times: some_times(lots) }))
        }
        What::Node => {
            // As much as it asks for once, twice, or three times; others hold nothing, or all of it.
            let memory = lots.below(4).saturating_mul(requested(pod).memory);
            let held = if lots.chance(30) { memory } else { 0 };
            fault.node = Some(Node {
                memory: Some(Amount::Number(memory)),
                memory_used: Some(Amount::Number(held)),
                at_once: lots.chance(50),
                ..Node::default()
            });
        }
        What::Deadline => {
            let deadline = at.as_secs().saturating_add(lots.one_of(&[1, 20, 100]).unwrap_or(20));
            // One that is there may only become shorter.
            let own = pod.spec.as_ref().and_then(|spec| u64::try_from(spec.active_deadline_seconds?).ok());
            let deadline = own.map_or(deadline, |own| own.min(deadline));
            fault.apply = json!({"spec": {"activeDeadlineSeconds": deadline}}).as_object().cloned();
        }
        What::Restart => {
            let all = lots.chance(30);
            fault.restart = Some(if all { Restart::All(true) } else { Restart::Full(OnContainer { container }) });
        }
        What::Debug => {
            let holds = lots.chance(50).then_some(container);
            let lasts = lots.chance(80).then(|| Span(lots.seconds(&[1, 5, 30, 90])));
            fault.debug = Some(Debug { name: Some(format!("debugger-{}", at.as_millis())), holds, lasts });
        }
        What::Storage => fault.storage = storage(lots, pod),
        What::Stop => {
            let grace_period_seconds = lots.one_of(&[None, Some(0), Some(5)]).flatten();
            fault.stop = Some(Switch::Full(Stop { grace_period_seconds }));
        }
        What::Delete => {
            let grace_period_seconds = lots.one_of(&[None, None, Some(0), Some(1), Some(5), Some(60)]).flatten();
            fault.delete = Some(Switch::Full(Delete { grace_period_seconds, force: lots.chance(10) }));
        }
    }
    Some(fault)
}

/// Which kind, of those that the pod or the container has a use for.
fn what(lots: &mut Lots, pod: &Pod, one: &Container) -> What {
    let spec = pod.spec.as_ref();
    let is_init =
        || spec.iter().flat_map(|spec| spec.init_containers.iter().flatten()).any(|init| init.name == one.name);
    let has_use = |what: What| match what {
        What::Probe => ProbeKind::ALL.into_iter().any(|kind| kind.of(one).is_some()),
        What::VolumeError => spec.and_then(|spec| spec.volumes.as_ref()).is_some_and(|volumes| !volumes.is_empty()),
        What::Image => !is_init(),
        What::Resize | What::ResizeError | What::Node => {
            // Beside amounts of the pod itself those of its containers do not change at will.
            let of_pod = spec.is_some_and(|spec| spec.resources.is_some());
            !of_pod && !is_init() && !amounts(one.resources.as_ref()).is_empty()
        }
        What::Storage => !storages(pod).is_empty(),
        _ => true,
    };
    let useful = || WEIGHTS.iter().filter(|(what, _)| has_use(*what));
    let mut left = lots.below(useful().map(|(_, weight)| weight).sum());
    for (what, weight) in useful() {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return *what,
        }
    }
    What::Exit
}

/// A piece of the pod in which one field of the container is another.
fn changed(pod: &Pod, one: &Container, field: &str, value: &Json) -> Option<serde_json::Map<String, Json>> {
    let regular = pod.spec.iter().flat_map(|spec| &spec.containers).any(|container| container.name == one.name);
    let list = if regular { "containers" } else { "initContainers" };
    json!({"spec": {list: [{"name": one.name, field: value}]}}).as_object().cloned()
}

/// The amounts of cpu and memory that it names: what can be resized without another QoS class.
fn amounts(resources: Option<&ResourceRequirements>) -> Vec<(resources::Kind, &'static str, Quantity)> {
    let kinds = [resources::Kind::Requests, resources::Kind::Limits];
    let names = kinds.into_iter().flat_map(|kind| ["cpu", "memory"].map(|name| (kind, name)));
    let named = |(kind, name)| list(resources, kind)?.get(name).map(|amount| (kind, name, worth(amount)));
    names.filter_map(named).collect()
}

/// All of them so many times as much.
fn multiplied(resources: Option<&ResourceRequirements>, times: i64) -> Json {
    let (mut requests, mut limits) = (serde_json::Map::new(), serde_json::Map::new());
    for (kind, name, amount) in amounts(resources) {
        let more = match name {
            "cpu" => Quantity::from_milli(amount.milli_value().saturating_mul(times)),
            _ => Quantity::from_value(amount.value().saturating_mul(times), Format::BinarySi),
        };
        let into = if kind == resources::Kind::Limits { &mut limits } else { &mut requests };
        into.insert(name.to_owned(), json!(more.to_string()));
    }
    json!({"requests": requests, "limits": limits})
}

/// What of local storage is limited: a volume, or a container, and how much it may hold.
fn storages(pod: &Pod) -> Vec<(Option<String>, Option<String>, Quantity)> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let volumes = spec.volumes.iter().flatten().filter(|volume| is_on_disk(volume)).filter_map(|volume| {
        let limit = worth(volume.empty_dir.as_ref()?.size_limit.as_ref()?);
        Some((Some(volume.name.clone()), None, limit))
    });
    let containers = spec.containers.iter().filter_map(|container| {
        let limit = worth(list(container.resources.as_ref(), resources::Kind::Limits)?.get("ephemeral-storage")?);
        Some((None, Some(container.name.clone()), limit))
    });
    volumes.chain(containers).collect()
}

/// Half of what it may hold, or twice as much.
fn storage(lots: &mut Lots, pod: &Pod) -> Option<StorageUse> {
    let (volume, container, limit) = lots.one_of(&storages(pod))?;
    let used = if lots.chance(50) { limit.value() / 2 } else { limit.value().saturating_mul(2) };
    Some(StorageUse { volume, container, used: Amount::Text(used.to_string()), at_once: lots.chance(30) })
}

fn some_times(lots: &mut Lots) -> Option<u32> {
    lots.one_of(&[None, None, Some(2), Some(3)]).flatten()
}

/// What a probe finds: so many failures, a time of one answer, or now this and now that.
fn probe(lots: &mut Lots, fault: &mut Fault, one: &Container, (at, end): (Duration, Duration)) {
    let kinds: Vec<ProbeKind> = ProbeKind::ALL.into_iter().filter(|kind| kind.of(one).is_some()).collect();
    let kind = lots.one_of(&kinds).unwrap_or(ProbeKind::Liveness);
    let threshold = kind.of(one).and_then(|probe| probe.failure_threshold).unwrap_or(3);
    let kind = match kind {
        ProbeKind::Startup => Kind::Startup,
        ProbeKind::Liveness => Kind::Liveness,
        ProbeKind::Readiness => Kind::Readiness,
    };
    let mut words = ProbeFault { container: one.name.clone(), kind, ..ProbeFault::default() };
    match lots.below(10) {
        0..=5 => {
            let more = u32::try_from(lots.below(u64::try_from(threshold).unwrap_or(3) + 2)).unwrap_or_default();
            words.fail = Some(more + 1);
        }
        6..=8 => {
            words.answer = lots.one_of(&[Answer::Fail, Answer::Timeout, Answer::Error]);
            words.duration = Some(Span(lots.seconds(&[5, 15, 40, 90])));
        }
        _ => {
            let period = kind_of(kind).of(one).and_then(|probe| probe.period_seconds).unwrap_or(10);
            let every = Duration::from_secs(u64::try_from(period).unwrap_or(10).max(1));
            words.flap = Some(vec![Answer::Fail, Answer::Ok]);
            fault.at = None;
            fault.every = Some(Span(every));
            fault.from = Some(Span(at));
            fault.to = Some(Span((at + every * 6).min(end)));
        }
    }
    fault.probe = Some(words);
}

fn kind_of(kind: Kind) -> ProbeKind {
    match kind {
        Kind::Startup => ProbeKind::Startup,
        Kind::Liveness => ProbeKind::Liveness,
        Kind::Readiness => ProbeKind::Readiness,
    }
}
