//! Sequences of faults, drawn from a seed: which seed and which number in it give which faults, on every machine.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};

use super::fault::fault;
use super::sketch::{Habit, Sketch, time};
use super::{Ground, Plan};
use crate::pod::hook::HookKind;
use crate::simulation::scenario::format::Fault;

const DEADLINE: &str = "activeDeadlineSeconds";

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): the same numbers for ever, which no
/// crate of random numbers promises of its generators.
pub(super) struct Lots(u64);

impl Lots {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, and without, this.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // The bias of a remainder is nothing beside what is drawn here.
        self.next() % end.max(1)
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn one_of<T: Clone>(&mut self, list: &[T]) -> Option<T> {
        let at = self.below(list.len() as u64);
        list.get(usize::try_from(at).ok()?).cloned()
    }

    pub(super) fn seconds(&mut self, list: &[u64]) -> Duration {
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
    // Where a scenario sets one itself another might be longer than it.
    let own_deadline = ground.scenario.spec.faults.iter().any(sets_deadline);
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
                let drawn = fault(&mut lots, &ground.pod, &containers, at, plan.duration);
                sketch.faults.extend(drawn.filter(|fault| !(own_deadline && sets_deadline(fault))));
            }
        }
    }
    sketch.faults.sort_by_key(time);
    shorten_deadlines(&mut sketch.faults);
    sketch
}

fn sets_deadline(fault: &Fault) -> bool {
    fault.apply.as_ref().is_some_and(|apply| apply.get("spec").is_some_and(|spec| spec.get(DEADLINE).is_some()))
}

/// A deadline that a pod has may only become shorter, and what was applied before holds.
fn shorten_deadlines(faults: &mut [Fault]) {
    let mut least = u64::MAX;
    let applied = faults.iter_mut().filter_map(|fault| fault.apply.as_mut());
    for deadline in applied.filter_map(|apply| apply.get_mut("spec")?.get_mut(DEADLINE)) {
        least = deadline.as_u64().map_or(least, |seconds| seconds.min(least));
        *deadline = least.into();
    }
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
