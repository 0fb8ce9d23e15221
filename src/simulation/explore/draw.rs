//! Sequences of faults, drawn from a seed: which seed and which number in it give which faults, on every machine.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::json;

use super::sketch::{Habit, Sketch, time};
use super::{Ground, Plan};
use crate::pod::hook::HookKind;
use crate::pod::probe::ProbeKind;
use crate::simulation::scenario::Span;
use crate::simulation::scenario::format::{
    Delete, Down, ExitNow, Fault, Kill, NextImage, NextSandbox, NextStart, NextVolume, Nothing, OnContainer,
    ProbeFault, SignalName, Switch, Target, Times,
};
use crate::simulation::scenario::words::{Answer, ImageReason, Kind, StartReason};

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): the same numbers for ever, which no
/// crate of random numbers promises of its generators.
struct Lots(u64);

impl Lots {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, and without, this.
    fn below(&mut self, end: u64) -> u64 {
        // The bias of a remainder is nothing beside what is drawn here.
        self.next() % end.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one_of<T: Clone>(&mut self, list: &[T]) -> Option<T> {
        let at = self.below(list.len() as u64);
        list.get(usize::try_from(at).ok()?).cloned()
    }

    fn seconds(&mut self, list: &[u64]) -> Duration {
        Duration::from_secs(self.one_of(list).unwrap_or_default())
    }
}

/// The sequence of that number.
pub fn sketch(ground: &Ground, plan: &Plan, sequence: u32) -> Sketch {
    let mut lots = Lots(plan.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ u64::from(sequence));
    lots.0 = lots.next();
    let (least, most) = plan.faults;
    let many = least + usize::try_from(lots.below((most.max(least) - least + 1) as u64)).unwrap_or_default();
    let containers = containers(&ground.pod);
    let mut sketch = Sketch::default();
    // Some sequences leave the end to see what becomes of it, others go on to the last moment.
    let span = if lots.chance(60) { plan.duration / 2 } else { plan.duration };
    let mut before = Duration::ZERO;
    while sketch.len() < many {
        let habit = if lots.chance(15) { habit(&mut lots, ground, &containers) } else { None };
        match habit {
            Some((container, habit)) if !sketch.habits.iter().any(|(other, _)| *other == container) => {
                sketch.habits.push((container, habit));
            }
            _ => {
                let at = moment(&mut lots, before, span);
                before = at;
                sketch.faults.push(fault(&mut lots, ground, &containers, at, plan.duration));
            }
        }
    }
    sketch.faults.sort_by_key(time);
    sketch
}

fn containers(pod: &Pod) -> Vec<&Container> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    spec.containers.iter().chain(spec.init_containers.iter().flatten()).collect()
}

/// Near the one before, or anywhere.
fn moment(lots: &mut Lots, before: Duration, span: Duration) -> Duration {
    let whole = span.as_secs().max(1);
    let at = match lots.chance(45) {
        true => before + lots.seconds(&[0, 0, 1, 1, 2, 3, 5, 8, 10, 12, 20, 30]),
        false => Duration::from_secs(lots.below(whole)),
    };
    let parts = if lots.chance(20) { lots.below(10) * 100 } else { 0 };
    (at + Duration::from_millis(parts)).min(span)
}

/// A habit that goes with the container; none where the scenario says itself how it behaves.
fn habit(lots: &mut Lots, ground: &Ground, containers: &[&Container]) -> Option<(String, Habit)> {
    let container = lots.one_of(containers)?;
    if ground.scenario.spec.actors.contains_key(&container.name) {
        return None;
    }
    let mut all = vec![
        Habit::Deaf,
        Habit::StopsSlowly(lots.seconds(&[1, 3, 10, 60])),
        Habit::StartsSlowly(lots.seconds(&[1, 5, 20])),
    ];
    let exec = |kind: HookKind| kind.of(container).is_some_and(|hook| hook.sleep.is_none());
    if exec(HookKind::PreStop) {
        all.extend([Habit::PreStopHangs, Habit::PreStopFails, Habit::PreStopHangs]);
    }
    if exec(HookKind::PostStart) {
        all.extend([Habit::PostStartIsSlow(lots.seconds(&[2, 10, 40])), Habit::PostStartFails]);
    }
    if let Some(late) = ready_late(lots, container) {
        all.push(Habit::ReadyLate(late));
    }
    Some((container.name.clone(), lots.one_of(&all)?))
}

/// How late it may be ready without being killed for it, each time.
fn ready_late(lots: &mut Lots, container: &Container) -> Option<Duration> {
    let late = lots.seconds(&[2, 5, 15]);
    let Some(startup) = &container.startup_probe else { return container.readiness_probe.as_ref().map(|_| late) };
    let number = |field: Option<i32>, usual: u64| field.and_then(|number| u64::try_from(number).ok()).unwrap_or(usual);
    let allowed = number(startup.period_seconds, 10) * number(startup.failure_threshold, 3).saturating_sub(1);
    (allowed > 0).then(|| late.min(Duration::from_secs(allowed)))
}

/// What happens at that time.
fn fault(lots: &mut Lots, ground: &Ground, containers: &[&Container], at: Duration, end: Duration) -> Fault {
    let mut fault = Fault { at: Some(Times::One(Span(at))), ..Fault::default() };
    let Some(one) = lots.one_of(containers) else { return fault };
    let container = one.name.clone();
    let volumes =
        ground.pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref()).is_some_and(|volumes| !volumes.is_empty());
    let probes: Vec<ProbeKind> = ProbeKind::ALL.into_iter().filter(|kind| kind.of(one).is_some()).collect();
    match lots.below(100) {
        0..=17 => {
            let code = lots.one_of(&[0, 1, 1, 2, 137]).unwrap_or(1);
            fault.exit = Some(Target::Full(ExitNow { container, code }));
        }
        18..=26 => {
            let signal = lots.one_of(&["SEGV", "KILL", "ABRT"]).map(|name| SignalName::Name(name.to_owned()));
            fault.kill = Some(Target::Full(Kill { container, signal }));
        }
        27..=30 => fault.oom = Some(Target::Full(OnContainer { container })),
        31..=32 => fault.lost = Some(Target::Full(OnContainer { container })),
        33..=54 if !probes.is_empty() => probe(lots, &mut fault, one, &probes, (at, end)),
        33..=61 => {
            let reasons = [
                StartReason::CreateContainerConfigError,
                StartReason::CreateContainerError,
                StartReason::RunContainerError,
            ];
            let (reason, times) = (lots.one_of(&reasons).unwrap_or_default(), some_times(lots));
            fault.start_error = Some(NextStart { container, reason, message: None, times });
        }
        62..=68 => {
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
        69..=71 => fault.sandbox_error = Some(NextSandbox { message: None, times: some_times(lots) }),
        72..=73 if volumes => fault.volume_error = Some(NextVolume { message: None, times: some_times(lots) }),
        72..=78 => fault.sandbox_loss = Some(Switch::Full(Nothing {})),
        79..=87 => {
            let down_for = Span(lots.seconds(&[0, 0, 1, 5, 30]));
            fault.supervisor_death = Some(Switch::Full(Down { down_for }));
        }
        88..=90 => fault.reboot = Some(Switch::Full(Nothing {})),
        91..=93 => fault.clock = lots.one_of(&["1h", "-1h", "30s", "-5m"]).map(str::to_owned),
        94..=96 => {
            let image = format!("localhost/changed:{}", lots.below(3));
            let piece = json!({"spec": {"containers": [{"name": container, "image": image}]}});
            let init = ground
                .pod
                .spec
                .iter()
                .flat_map(|spec| spec.init_containers.iter().flatten())
                .any(|init| init.name == container);
            match piece.as_object().filter(|_| !init) {
                Some(piece) => fault.apply = Some(piece.clone()),
                None => fault.sandbox_loss = Some(Switch::Full(Nothing {})),
            }
        }
        _ => {
            let grace_period_seconds = lots.one_of(&[None, None, Some(0), Some(1), Some(5), Some(60)]).flatten();
            fault.delete = Some(Switch::Full(Delete { grace_period_seconds, force: lots.chance(10) }));
        }
    }
    fault
}

fn some_times(lots: &mut Lots) -> Option<u32> {
    lots.one_of(&[None, None, Some(2), Some(3)]).flatten()
}

/// What a probe finds: so many failures, a time of one answer, or now this and now that.
fn probe(lots: &mut Lots, fault: &mut Fault, one: &Container, kinds: &[ProbeKind], (at, end): (Duration, Duration)) {
    let kind = lots.one_of(kinds).unwrap_or(ProbeKind::Liveness);
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
