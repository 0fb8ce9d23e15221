//! When probes are run (lifecycle 6.2): a grid for each, which begins with its first probe. The owner of a machine keeps one
//! beside it. It is in memory only: what a supervisor has found out is in the machine, and one that takes over probes at
//! once what is due and what its predecessor had begun.

use super::backoff::go_duration;
use super::because;
use super::effect::{Action, Effect, EffectName};
use super::machine::Machine;
use super::probe::{ProbeKind, Schedule};
use super::rules;
use super::time::BootTime;

/// The probes of a pod that may run, and how far each is.
#[derive(Clone, Debug, Default)]
pub struct Prober {
    probes: Vec<Paced>,
}

#[derive(Clone, Debug)]
struct Paced {
    schedule: Schedule,
    /// When the latest was begun.
    begun: Option<BootTime>,
    /// It has not ended yet.
    running: bool,
}

impl Paced {
    /// When it is due next: on its first probe's grid, once for all that was missed.
    fn due(&self) -> BootTime {
        let Schedule { first, period, .. } = &self.schedule;
        match self.begun.max(self.schedule.begun) {
            Some(begun) if begun >= *first => first.after(period.saturating_mul(self.cell(begun).saturating_add(1))),
            _ => *first,
        }
    }

    /// How many periods lie between the first probe and this time.
    fn cell(&self, time: BootTime) -> u32 {
        let period = self.schedule.period.as_nanos().max(1);
        u32::try_from(time.since(self.schedule.first).as_nanos() / period).unwrap_or(u32::MAX)
    }

    fn is(&self, container: &str, attempt: u32, kind: ProbeKind) -> bool {
        let schedule = &self.schedule;
        schedule.kind == kind && schedule.attempt == attempt && schedule.container == container
    }

    /// Begins the probe that is due.
    fn begin(&mut self, now: BootTime) -> Effect {
        let due = self.due();
        let Schedule { container, attempt, kind, first, at_once, .. } = &self.schedule;
        let rule = match (due > *first, at_once) {
            (true, _) => rules::R_6_2_B,
            (false, true) => rules::R_6_2_C,
            (false, false) => rules::R_6_2_A,
        };
        let because = because! {"late": go_duration(now.since(due))};
        let name = EffectName::Probe {
            container: container.clone(),
            attempt: *attempt,
            probe: *kind,
            number: self.cell(now).saturating_add(1),
        };
        let action = Action::RunProbe { container: container.clone(), attempt: *attempt, probe: *kind };
        (self.begun, self.running) = (Some(now), true);
        Effect { id: name.id(), action, rule: rule.id(), because }
    }
}

impl Prober {
    /// The machine was told something: other probes may run now.
    pub fn follow(&mut self, machine: &Machine) {
        let mut before = std::mem::take(&mut self.probes);
        self.probes = machine
            .probes()
            .into_iter()
            .map(|schedule| {
                let known =
                    before.iter().position(|paced| paced.is(&schedule.container, schedule.attempt, schedule.kind));
                match known.map(|index| before.swap_remove(index)) {
                    Some(paced) => Paced { schedule, ..paced },
                    None => Paced { schedule, begun: None, running: false },
                }
            })
            .collect();
    }

    /// When a probe is due next.
    pub fn wake(&self) -> Option<BootTime> {
        self.probes.iter().filter(|paced| !paced.running).map(Paced::due).min()
    }

    /// Begins what is due. Each is answered by a [`super::input::Fact::ProbeResult`] and by [`Prober::ended`].
    pub fn begin_due(&mut self, now: BootTime) -> Vec<Effect> {
        let due = self.probes.iter_mut().filter(|paced| !paced.running && paced.due() <= now);
        due.map(|paced| paced.begin(now)).collect()
    }

    /// A probe has ended, however it did.
    pub fn ended(&mut self, container: &str, attempt: u32, kind: ProbeKind) {
        if let Some(paced) = self.probes.iter_mut().find(|paced| paced.is(container, attempt, kind)) {
            paced.running = false;
        }
    }

    /// Whether it may run.
    pub fn has(&self, container: &str, attempt: u32, kind: ProbeKind) -> bool {
        self.probes.iter().any(|paced| paced.is(container, attempt, kind))
    }

    /// Whether one has been begun and has not ended.
    pub fn is_probing(&self) -> bool {
        self.probes.iter().any(|paced| paced.running)
    }
}
