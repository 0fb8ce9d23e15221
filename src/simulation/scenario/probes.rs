//! What probes and hooks answer, from the words of a file to what the machine is told: each answer in the words that a
//! probe of that kind finds.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};

use super::condition::Faults;
use super::faults::Deed;
use super::format::{AnswerFull, AnswerItem, Answers as AnswerWords, Fault, Hook, Instance, ProbeFault};
use super::words::{Answer, Kind};
use crate::pod::hook::HookKind;
use crate::pod::input::{ErrorState, ProbeOutcome};
use crate::pod::probe::ProbeKind;
use crate::simulation::answers::{Answers, Forced, Length};
use crate::simulation::script::HookRun;

/// The machine's word.
fn kind_of(kind: Kind) -> ProbeKind {
    match kind {
        Kind::Liveness => ProbeKind::Liveness,
        Kind::Readiness => ProbeKind::Readiness,
        Kind::Startup => ProbeKind::Startup,
    }
}

/// What such a probe finds, and how long that takes.
fn finding(answer: Answer, output: Option<&str>, probe: &Probe) -> (ProbeOutcome, Duration) {
    let seconds = probe.timeout_seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
    let timeout = Duration::from_secs(seconds.unwrap_or(1));
    let or = |usual: String| output.map_or(usual, str::to_owned);
    match answer {
        Answer::Ok => (ProbeOutcome::Success, Duration::ZERO),
        Answer::Fail if probe.http_get.is_some() => {
            (ProbeOutcome::Failure(or("HTTP probe failed with statuscode: 503".to_owned())), Duration::ZERO)
        }
        Answer::Fail if probe.tcp_socket.is_some() => {
            (ProbeOutcome::Failure(or("dial tcp 10.88.0.5:80: connect: connection refused".to_owned())), Duration::ZERO)
        }
        Answer::Fail if probe.grpc.is_some() => {
            let usual = "service unhealthy (responded with \"NOT_SERVING\")";
            (ProbeOutcome::Failure(or(usual.to_owned())), Duration::ZERO)
        }
        Answer::Fail => (ProbeOutcome::Failure(or(String::new())), Duration::ZERO),
        Answer::Timeout => {
            let command = probe.exec.as_ref().and_then(|exec| exec.command.as_ref()).map(|words| words.join(" "));
            let usual = match command {
                Some(command) => format!("command timed out: {command:?} timed out after {}s", timeout.as_secs()),
                None => "context deadline exceeded".to_owned(),
            };
            (ProbeOutcome::Failure(or(usual)), timeout)
        }
        Answer::Error => {
            let message = or("the probe could not be begun".to_owned());
            (ProbeOutcome::Error { state: ErrorState::Unknown, message }, Duration::ZERO)
        }
    }
}

/// What an instance's probes answer, attempt by attempt.
pub fn answers(
    instance: &Instance,
    spec: &Container,
    path: &str,
    faults: &mut Faults<'_>,
) -> BTreeMap<ProbeKind, Vec<Answers>> {
    let probes = instance.probes.clone().unwrap_or_default();
    let kinds =
        [(Kind::Startup, probes.startup), (Kind::Liveness, probes.liveness), (Kind::Readiness, probes.readiness)];
    let mut all = BTreeMap::new();
    let mut waits = false;
    for (kind, words) in kinds {
        let Some(probe) = kind_of(kind).of(spec) else {
            if words.is_some() {
                let inside = format!("{path}.probes.{}", kind.word());
                faults.add(&inside, format!("container {} has no {}Probe", spec.name, kind.word()));
            }
            continue;
        };
        let mut list = Vec::new();
        if let Some(after) = instance.ready_after.filter(|_| kind != Kind::Liveness) {
            waits = true;
            let (outcome, takes) = finding(Answer::Fail, None, probe);
            list.push(Answers { outcome, takes, length: Length::For(after.0) });
        }
        let items = match words {
            Some(AnswerWords::One(answer)) => vec![AnswerItem::One(answer)],
            Some(AnswerWords::Many(items)) if items.is_empty() => {
                faults.add(&format!("{path}.probes.{}", kind.word()), "says nothing: name answers");
                Vec::new()
            }
            Some(AnswerWords::Many(items)) => items,
            None if list.is_empty() => continue,
            None => vec![AnswerItem::One(Answer::Ok)],
        };
        for (index, item) in items.into_iter().enumerate() {
            let full = match item {
                AnswerItem::One(answer) => AnswerFull { answer, ..AnswerFull::default() },
                AnswerItem::Full(full) => full,
            };
            if full.times.is_some() && full.duration.is_some() {
                let inside = format!("{path}.probes.{}[{index}].for", kind.word());
                faults.add(&inside, "lasts so many times or so long, not both");
            }
            let (outcome, takes) = finding(full.answer, full.output.as_deref(), probe);
            let length = full.duration.map_or(Length::Times(full.times.unwrap_or(1)), |time| Length::For(time.0));
            list.push(Answers { outcome, takes, length });
        }
        all.insert(kind_of(kind), list);
    }
    if instance.ready_after.is_some() && !waits {
        let text =
            format!("container {} has neither a readinessProbe nor a startupProbe: it is ready at once", spec.name);
        faults.add(&format!("{path}.readyAfter"), text);
    }
    all
}

/// How an instance's hooks end.
pub fn hooks(
    instance: &Instance,
    spec: &Container,
    path: &str,
    faults: &mut Faults<'_>,
) -> BTreeMap<HookKind, HookRun> {
    let hooks = [(HookKind::PostStart, &instance.post_start), (HookKind::PreStop, &instance.pre_stop)];
    let mut all = BTreeMap::new();
    for (kind, hook) in hooks {
        let Some(Hook { takes, fail }) = hook else { continue };
        match kind.of(spec) {
            None => faults.add(&format!("{path}.{}", kind.word()), format!("container {} has no such hook", spec.name)),
            Some(handler) if handler.sleep.is_some() => {
                faults.add(&format!("{path}.{}", kind.word()), "the hook only sleeps: the machine knows how long");
            }
            Some(_) => drop(all.insert(kind, HookRun { takes: Some(takes.0), failure: fail.clone() })),
        }
    }
    all
}

/// What a fault of a probe forces, at each of its times.
pub fn forced(
    fault: &Fault,
    words: &ProbeFault,
    spec: &Container,
    times: &[Duration],
    path: &str,
    faults: &mut Faults<'_>,
) -> Vec<(Duration, Deed)> {
    let kind = kind_of(words.kind);
    let Some(probe) = kind.of(spec) else {
        faults.add(&format!("{path}.kind"), format!("container {} has no {}Probe", spec.name, kind.word()));
        return Vec::new();
    };
    let said = [words.fail.is_some(), words.succeed.is_some(), words.answer.is_some(), words.flap.is_some()];
    match said.iter().filter(|said| **said).count() {
        1 => {}
        0 => faults.add(path, "says not what is found: add fail, succeed, answer or flap"),
        _ => faults.add(path, "says more than one thing: fail, succeed, answer or flap"),
    }
    if words.duration.is_some() && words.answer.is_none() {
        faults.add(&format!("{path}.for"), "goes with `answer`");
    }
    if words.flap.is_some() && fault.every.is_none() {
        faults.add(&format!("{path}.flap"), "goes with `every`: what is found changes at each turn");
    }
    let output = words.output.as_deref();
    let make = |answer: Answer, left: Option<u32>, until: Option<Duration>| {
        let (outcome, takes) = finding(answer, output, probe);
        Deed::ForceProbe(spec.name.clone(), kind, Forced { outcome, takes, left, until })
    };
    let at = |(turn, time): (usize, &Duration)| {
        let deed = if let Some(times) = words.fail {
            make(Answer::Fail, Some(times), None)
        } else if let Some(times) = words.succeed {
            make(Answer::Ok, Some(times), None)
        } else if let Some(flap) = words.flap.as_ref().filter(|flap| !flap.is_empty()) {
            let every = fault.every.unwrap_or_default().0;
            make(flap.get(turn % flap.len()).copied().unwrap_or_default(), None, Some(*time + every))
        } else {
            make(words.answer.unwrap_or_default(), None, words.duration.map(|span| *time + span.0))
        };
        (*time, deed)
    };
    times.iter().enumerate().map(at).collect()
}
