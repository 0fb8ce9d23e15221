//! A recorded run as a scenario: the same pod, containers that behave as they did, what was done to the pod at its times, and
//! what was seen as assertions. Played, it takes the machine the same way; with another manifest it shows what would have been.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use serde_json::{Map, Value, json};

use super::behaviour::{Behaviour, Changed, Deed, End, Instance, Start};
use crate::manifest::Source;
use crate::manifest::quantity::{Format, Quantity};
use crate::pod::backoff::go_duration;
use crate::pod::hook::HookKind;
use crate::pod::input::{Exit, ImageFailure, ProbeOutcome, StartStage};
use crate::pod::machine::Settings;
use crate::pod::probe::ProbeKind;
use crate::pod::room::{Room, Share};
use crate::pod::time::BootTime;
use crate::simulation::scenario::{self, Case, Options, signal_name};
use crate::simulation::story::{Happening, Source as From};

/// No more starts of a container are named one by one.
const MOST_STARTS: usize = 50;
/// Starts are compared no more closely than this: a real one takes its time.
const LEAST_TOLERANCE: Duration = Duration::from_secs(1);
/// What is about to be decided at the end is kept out of the assertions by this much.
const MARGIN: Duration = Duration::from_secs(1);

/// The parts of a scenario, as JSON.
#[derive(Debug)]
pub struct Recording {
    /// The pod's name.
    pub name: String,
    /// As it was admitted, without what a server sets.
    pub pod: Value,
    /// How long it lasts.
    pub duration: Duration,
    /// Of the run.
    pub behaviour: Behaviour,
    /// How it ended.
    end: Option<Pod>,
}

impl Recording {
    /// Of a run that has lasted so long by now; none when that is over.
    pub fn new(behaviour: Behaviour, now: Option<BootTime>) -> Recording {
        let mut pod = serde_json::to_value(&behaviour.pod).unwrap_or_default();
        strip(&mut pod);
        let end = behaviour.outcome.machine.as_ref().map(|machine| machine.pod());
        let duration = duration(&behaviour, now);
        Recording { name: behaviour.pod.metadata.name.clone().unwrap_or_default(), pod, duration, behaviour, end }
    }

    /// The scenario's `spec` without assertions, for this pod (the recorded one, or another one's spec).
    pub fn spec(&self, pod: &Value) -> Map<String, Value> {
        let mut spec = Map::new();
        spec.insert("pod".to_owned(), pod.clone());
        let kubelet = kubelet(&self.behaviour.settings);
        if !kubelet.is_empty() {
            spec.insert("kubelet".to_owned(), Value::Object(kubelet));
        }
        if !self.behaviour.ips.is_empty() {
            spec.insert("podIPs".to_owned(), json!(self.behaviour.ips));
        }
        let typed: Pod = serde_json::from_value(pod.clone()).unwrap_or_default();
        let mut actors = Map::new();
        let mut begun = false;
        for container in containers(&typed) {
            let instances = self.behaviour.instances.get(&container.name).map(Vec::as_slice).unwrap_or_default();
            let mut list: Vec<Value> = instances.iter().map(|one| instance(one, container)).collect();
            // The sandbox stood before the first start; here it takes no time of its own, but it may be waited for.
            if let Some(first) = instances.first().filter(|_| !begun) {
                begun = true;
                lengthen(list.first_mut(), first.asked.saturating_sub(self.behaviour.retried));
            }
            if !list.is_empty() {
                actors.insert(container.name.clone(), json!({"instances": list}));
            }
        }
        spec.insert("actors".to_owned(), Value::Object(actors));
        let mut faults: Vec<(Duration, Value)> = Vec::new();
        for (at, deed) in &self.behaviour.deeds {
            self.faults(*at, deed, &mut faults);
        }
        // What is to fail the next time is said before that.
        faults.sort_by_key(|(at, fault)| (*at, fault.get("resizeError").is_none()));
        let faults: Vec<Value> = faults.into_iter().map(|(_, fault)| fault).collect();
        if !faults.is_empty() {
            spec.insert("faults".to_owned(), Value::Array(faults));
        }
        spec.insert("duration".to_owned(), json!(span(self.duration)));
        spec
    }

    /// What makes this happen in a scenario.
    fn faults(&self, at: Duration, deed: &Deed, into: &mut Vec<(Duration, Value)>) {
        let when = span(at);
        match deed {
            Deed::Debug(name, holds) => {
                let instance = self.behaviour.instances.get(name).and_then(|instances| instances.first());
                let end = instance.filter(|one| one.signalled.is_none()).and_then(|one| one.end.as_ref());
                let mut debug = json!({"name": name});
                if let Some(fields) = debug.as_object_mut() {
                    fields.extend(holds.as_ref().map(|held| ("holds".to_owned(), json!(held))));
                    fields.extend(end.map(|end| ("lasts".to_owned(), json!(span(end.after)))));
                }
                into.push((at, json!({"at": when, "debug": debug})));
            }
            Deed::UseStorage(usage) => {
                let mut used = |what: &str, name: &str, bytes: u64| {
                    let storage = json!({what: name, "used": bytes.to_string(), "atOnce": true});
                    into.push((at, json!({"at": when, "storage": storage})));
                };
                for (name, bytes) in &usage.volumes {
                    used("volume", name, *bytes);
                }
                for (name, one) in &usage.containers {
                    used("container", name, one.layer.saturating_add(one.logs));
                }
            }
            deed => into.extend(fault(&when, deed).map(|fault| (at, fault))),
        }
    }

    /// What was seen, as assertions: starts give or take a tolerance, and how all was at the end.
    pub fn asserts(&self, tolerance: Duration) -> Vec<Value> {
        let mut asserts = Vec::new();
        for (name, instances) in &self.behaviour.instances {
            let starts: Vec<Duration> = instances.iter().filter_map(Instance::started).collect();
            if starts.is_empty() {
                continue;
            }
            let shown: Vec<String> = starts.iter().take(MOST_STARTS).map(|at| span(*at)).collect();
            let mut assert = json!({"container": name, "startsAt": shown, "within": span(tolerance)});
            if let (true, Some(fields)) = (starts.len() <= MOST_STARTS, assert.as_object_mut()) {
                fields.insert("exactly".to_owned(), json!(true));
            }
            asserts.push(assert);
        }
        let at = span(self.duration);
        let removed = self.behaviour.outcome.machine.as_ref().is_some_and(|machine| machine.is_removed());
        if removed {
            asserts.push(json!({"at": at, "deleted": true}));
            return asserts;
        }
        let Some(status) = self.end.as_ref().and_then(|pod| pod.status.as_ref()) else { return asserts };
        let ready = status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
        asserts.push(json!({"at": at, "phase": status.phase, "ready": ready}));
        let init = status.init_container_statuses.iter().flatten();
        for container in init.chain(status.container_statuses.iter().flatten()) {
            let state = container.state.clone().unwrap_or_default();
            let mut assert = json!({"at": at, "container": container.name, "restarts": container.restart_count});
            let Some(fields) = assert.as_object_mut() else { continue };
            let mut set = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
            if let Some(waiting) = &state.waiting {
                set("state", json!("Waiting"));
                set("reason", json!(waiting.reason));
            } else if let Some(ended) = &state.terminated {
                set("state", json!("Terminated"));
                set("reason", json!(ended.reason));
                set("exitCode", json!(ended.exit_code));
            } else {
                set("state", json!("Running"));
                set("ready", json!(container.ready));
            }
            if let Some(last) = container.last_state.as_ref().and_then(|state| state.terminated.as_ref()) {
                set("lastExitCode", json!(last.exit_code));
            }
            asserts.push(assert);
        }
        asserts
    }

    /// A case to be played: this pod, and these assertions.
    pub fn case(&self, pod: &Value, asserts: &[Value]) -> Result<Case, String> {
        let mut spec = self.spec(pod);
        if !asserts.is_empty() {
            spec.insert("asserts".to_owned(), json!(asserts));
        }
        let document = json!({
            "apiVersion": "podlet.dev/v1alpha1", "kind": "Scenario", "metadata": {"name": self.name}, "spec": spec,
        });
        let source = Source { name: self.name.clone(), bytes: document.to_string().into_bytes() };
        let read = scenario::read(&[source], &Options::default()).map_err(|diagnostics| {
            let told = diagnostics.iter().map(|found| format!("{}: {}", found.path, found.text));
            told.collect::<Vec<_>>().join("\n")
        })?;
        read.cases.into_iter().next().ok_or_else(|| "there is nothing to be played".to_owned())
    }

    /// How far the starts of a played run are from those of the recorded one at the most; none when there are more or fewer.
    pub fn deviation(&self, story: &[Happening]) -> Option<Duration> {
        let mut most = Duration::ZERO;
        for (name, instances) in &self.behaviour.instances {
            let played = story.iter().filter(|h| h.source == From::Fact && h.word == "Started" && h.about == *name);
            let played: Vec<Duration> = played.map(|happening| happening.at).collect();
            let recorded: Vec<Duration> = instances.iter().filter_map(Instance::started).collect();
            if played.len() != recorded.len() {
                return None;
            }
            most = played.iter().zip(&recorded).map(|(one, other)| one.abs_diff(*other)).chain([most]).max()?;
        }
        Some(most)
    }

    /// The tolerance that goes with a deviation: twice as much, a second at least.
    pub fn tolerance(deviation: Duration) -> Duration {
        let tenths = u64::try_from((deviation * 2).as_millis().div_ceil(100)).unwrap_or(u64::MAX);
        Duration::from_millis(tenths.saturating_mul(100)).max(LEAST_TOLERANCE)
    }
}

/// What a server sets, and what podlet puts on.
fn strip(pod: &mut Value) {
    let Some(pod) = pod.as_object_mut() else { return };
    pod.remove("status");
    if let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["uid", "creationTimestamp", "generation", "resourceVersion", "managedFields", "deletionTimestamp"]
        {
            metadata.remove(field);
        }
        metadata.remove("deletionGracePeriodSeconds");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations
                .retain(|key, _| !key.starts_with("podlet.dev/") && !key.starts_with("kubectl.kubernetes.io/last"));
        }
        if metadata.get("annotations").and_then(Value::as_object).is_some_and(Map::is_empty) {
            metadata.remove("annotations");
        }
    }
    if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("nodeName");
    }
}

/// Up to a moment at which nothing is about to be decided: what comes a little earlier in a played run must not have come yet,
/// and what comes a little later must have.
fn duration(behaviour: &Behaviour, now: Option<BootTime>) -> Duration {
    let last = behaviour.last;
    let Some(machine) = &behaviour.outcome.machine else { return last };
    let since = |at: BootTime| last + at.since(machine.clock().boot);
    let end = now.map_or(last, since).max(last + MARGIN);
    match machine.wake().map(since) {
        Some(wake) if wake < end + MARGIN => last + (wake.max(last) - last) / 2,
        _ => end,
    }
}

fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers))
}

fn span(time: Duration) -> String {
    go_duration(Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

fn kubelet(settings: &Settings) -> Map<String, Value> {
    let usual = Settings::default();
    let mut kubelet = Map::new();
    let mut set = |name: &str, own: u64, usual: u64| {
        if own != usual {
            kubelet.insert(name.to_owned(), json!(span(Duration::from_millis(own))));
        }
    };
    set(
        "maxContainerRestartPeriod",
        settings.backoff_maximum_milliseconds.max(1000),
        usual.backoff_maximum_milliseconds,
    );
    set("initialContainerRestartPeriod", settings.backoff_initial_milliseconds, usual.backoff_initial_milliseconds);
    set("containerRestartReset", settings.backoff_reset_milliseconds, usual.backoff_reset_milliseconds);
    kubelet
}

/// Adds to what a start takes.
fn lengthen(instance: Option<&mut Value>, by: Duration) {
    let Some(fields) = instance.and_then(Value::as_object_mut) else { return };
    if by < Duration::from_millis(1) || fields.contains_key("imageError") {
        return;
    }
    let own = fields.get("startDelay").and_then(Value::as_str).and_then(|text| crate::duration::parse(text).ok());
    fields.insert("startDelay".to_owned(), json!(span(own.unwrap_or_default() + by)));
}

fn instance(instance: &Instance, spec: &Container) -> Value {
    let mut fields = Map::new();
    match &instance.start {
        Start::NoImage(reason, message) => {
            let reason = match reason {
                ImageFailure::ErrImagePull => "ErrImagePull",
                ImageFailure::ErrImageNeverPull => "ErrImageNeverPull",
                ImageFailure::InvalidImageName => "InvalidImageName",
                ImageFailure::ImageInspectError => "ImageInspectError",
            };
            fields.insert("imageError".to_owned(), json!({"reason": reason, "message": message}));
            return Value::Object(fields);
        }
        Start::Failed(stage, message) => {
            let reason = match stage {
                StartStage::Config => "CreateContainerConfigError",
                StartStage::Create => "CreateContainerError",
                StartStage::Run => "RunContainerError",
            };
            fields.insert("startError".to_owned(), json!({"reason": reason, "message": message}));
            return Value::Object(fields);
        }
        Start::UnderWay => return json!({"run": "forever"}),
        Start::Started(at) => {
            let pulled = instance.pulled.unwrap_or_default();
            let delay = at.saturating_sub(instance.asked).saturating_sub(pulled);
            if delay >= Duration::from_millis(1) {
                fields.insert("startDelay".to_owned(), json!(span(delay)));
            }
        }
    }
    fields.extend(instance.pulled.map(|pulled| ("pull".to_owned(), json!(span(pulled)))));
    ending(instance, &mut fields);
    let probes: Map<String, Value> = ProbeKind::ALL
        .into_iter()
        .filter_map(|kind| {
            let found = instance.probes.get(&kind)?;
            Some((kind.word().to_owned(), json!(answers(found, kind.of(spec)?))))
        })
        .collect();
    if !probes.is_empty() {
        fields.insert("probes".to_owned(), Value::Object(probes));
    }
    for (kind, run) in &instance.hooks {
        // A sleep is the machine's own.
        let asked = kind.of(spec).is_some_and(|handler| handler.sleep.is_none());
        if let (true, Some(took)) = (asked, run.took) {
            let mut hook = json!({"takes": span(took)});
            if let (Some(failure), Some(fields)) = (&run.failure, hook.as_object_mut()) {
                fields.insert("fail".to_owned(), json!(failure));
            }
            fields.insert(HookKind::word(*kind).to_owned(), hook);
        }
    }
    Value::Object(fields)
}

/// How an instance ends of itself, or what it does when it is told to.
fn ending(instance: &Instance, fields: &mut Map<String, Value>) {
    if let Some(End { message, .. }) = &instance.end {
        if !message.file.is_empty() {
            fields.insert("terminationMessage".to_owned(), json!(message.file));
        }
        if !message.log_tail.is_empty() {
            fields.insert("log".to_owned(), json!(message.log_tail));
        }
    }
    match (&instance.signalled, &instance.end) {
        (None, Some(end)) if !instance.killed => {
            let after = span(end.after);
            if end.oom_killed {
                let mut oom = json!({"after": after});
                if let (Exit::Code(code), Some(fields)) = (end.exit, oom.as_object_mut()) {
                    fields.insert("code".to_owned(), json!(code));
                }
                fields.insert("oom".to_owned(), oom);
                return;
            }
            let exit = match end.exit {
                Exit::Code(code) => format!("{code}@{after}"),
                Exit::Signal(number) => format!("{}@{after}", signal(number)),
            };
            fields.insert("exit".to_owned(), json!(exit));
        }
        (Some((told, name)), Some(end)) if !instance.killed => {
            let mut reaction = match end.exit {
                Exit::Code(code) => json!({"exit": code}),
                Exit::Signal(number) => json!({"signal": signal(number)}),
            };
            if let Some(reaction) = reaction.as_object_mut() {
                reaction.insert("after".to_owned(), json!(span(end.after.saturating_sub(*told))));
            }
            fields.insert("run".to_owned(), json!("forever"));
            fields.insert("onSignal".to_owned(), json!({name: reaction}));
        }
        (told, _) => {
            fields.insert("run".to_owned(), json!("forever"));
            if let Some((_, name)) = told {
                fields.insert("ignoreSignals".to_owned(), json!([name]));
            }
        }
    }
}

fn signal(number: i32) -> String {
    signal_name(number).map_or_else(|| number.to_string(), str::to_owned)
}

/// What a probe found, as stretches of an instance's life. A result that changed nothing is not in the journal: between two that
/// are, the earlier one holds, up to half a period before the later one.
fn answers(found: &[(Duration, ProbeOutcome)], probe: &Probe) -> Vec<Value> {
    let period = probe.period_seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
    let half = Duration::from_secs(period.unwrap_or(10)) / 2;
    let mut stretches: Vec<(Duration, Value)> = Vec::new();
    let mut before: Option<Duration> = None;
    for (age, outcome) in found {
        let answer = answer(outcome);
        if stretches.last().is_none_or(|(_, last)| *last != answer) {
            let from = before.map_or(Duration::ZERO, |before| *age - half.min((*age).saturating_sub(before) / 2));
            stretches.push((from, answer));
        }
        before = Some(*age);
    }
    let next: Vec<Duration> = stretches.iter().skip(1).map(|(from, _)| *from).collect();
    let lasts = |(index, (from, mut answer)): (usize, (Duration, Value))| {
        if let (Some(to), Some(fields)) = (next.get(index), answer.as_object_mut()) {
            fields.insert("for".to_owned(), json!(span(to.saturating_sub(from))));
        }
        answer
    };
    stretches.into_iter().enumerate().map(lasts).collect()
}

fn answer(outcome: &ProbeOutcome) -> Value {
    match outcome {
        ProbeOutcome::Success | ProbeOutcome::Warning(_) => json!({"answer": "ok"}),
        ProbeOutcome::Failure(text) if text.contains("timed out") || text.contains("deadline exceeded") => {
            json!({"answer": "timeout", "output": text})
        }
        ProbeOutcome::Failure(text) => json!({"answer": "fail", "output": text}),
        ProbeOutcome::Error { message, .. } => json!({"answer": "error", "output": message}),
    }
}

/// What was measured, as it was.
fn room_fault(at: &str, room: &Room) -> Value {
    let mut node = Map::new();
    let mut say = |name: &str, share: Share, shown: &dyn Fn(i64) -> Quantity| {
        let mut say = |field: String, amount: u64| {
            let amount = shown(i64::try_from(amount).unwrap_or(i64::MAX)).to_string();
            node.insert(field, json!(amount));
        };
        if share.capacity < u64::MAX {
            say(name.to_owned(), share.capacity);
            say(format!("{name}Used"), share.used);
        }
    };
    say("cpu", room.cpu, &Quantity::from_milli);
    say("memory", room.memory, &|bytes| Quantity::from_value(bytes, Format::BinarySi));
    node.insert("atOnce".to_owned(), json!(true));
    json!({"at": at, "node": node})
}

fn fault(at: &str, deed: &Deed) -> Option<Value> {
    Some(match deed {
        Deed::Delete(grace, force) => {
            let mut delete = Map::new();
            delete.extend(grace.map(|grace| ("gracePeriodSeconds".to_owned(), json!(grace))));
            delete.extend(force.then(|| ("force".to_owned(), json!(true))));
            let delete = if delete.is_empty() { json!(true) } else { Value::Object(delete) };
            json!({"at": at, "delete": delete})
        }
        Deed::Stop(Some(grace)) => json!({"at": at, "stop": {"gracePeriodSeconds": grace}}),
        Deed::Stop(None) => json!({"at": at, "stop": true}),
        Deed::Reboot => json!({"at": at, "reboot": true}),
        Deed::LoseSandbox => json!({"at": at, "sandboxLoss": true}),
        Deed::Lose(container) => json!({"at": at, "lost": container}),
        Deed::SandboxError(message, 1) => json!({"at": at, "sandboxError": {"message": message}}),
        Deed::SandboxError(message, times) => json!({"at": at, "sandboxError": {"message": message, "times": times}}),
        Deed::VolumeError(message, 1) => json!({"at": at, "volumeError": {"message": message}}),
        Deed::VolumeError(message, times) => json!({"at": at, "volumeError": {"message": message, "times": times}}),
        Deed::Apply(changed) => {
            let piece = |(name, Changed { image, resources }): &(String, Changed)| {
                let mut piece = json!({"name": name, "image": image});
                if let (Some(resources), Some(fields)) = (resources, piece.as_object_mut()) {
                    fields.insert("resources".to_owned(), json!(resources));
                }
                piece
            };
            json!({"at": at, "apply": {"spec": {"containers": changed.iter().map(piece).collect::<Vec<_>>()}}})
        }
        Deed::ResizeError(message) => json!({"at": at, "resizeError": {"message": message}}),
        Deed::MakeRoom(room) => room_fault(at, room),
        Deed::Restart(None) => json!({"at": at, "restart": true}),
        Deed::Restart(Some(container)) => json!({"at": at, "restart": container}),
        Deed::Debug(..) | Deed::UseStorage(_) => return None,
    })
}
