//! What holds of every pod, whatever happens to it: properties that a scenario may assert and `podlet explore` looks for
//! breaches of. They are watched from outside, by what the machine was told, what it asked for and what a user saw, with a
//! reckoning of its own ([`ledger`]): nothing here asks the machine whether it is right.

mod demands;
mod heard;
mod known;
mod ledger;

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde::{Deserialize, Serialize};

#[cfg(test)]
use schemars::JsonSchema;

use crate::pod::machine::Settings;
use crate::simulation::driver::Driver;
use crate::simulation::script::Script;
use crate::simulation::timeline::{Entry, Line};
use ledger::Ledger;

/// Something that holds of every pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Property {
    /// See [`Property::text`].
    ReadyAgain,
    /// See [`Property::text`].
    HealthyLeftAlone,
    /// See [`Property::text`].
    UnhealthyStopped,
    /// See [`Property::text`].
    GraceKept,
    /// See [`Property::text`].
    PreStopFirst,
    /// See [`Property::text`].
    RestartCountKept,
    /// See [`Property::text`].
    BackOffKept,
    /// See [`Property::text`].
    PolicyKept,
    /// See [`Property::text`].
    InitOrder,
    /// See [`Property::text`].
    ReadyIsTrue,
    /// See [`Property::text`].
    EndsInTime,
    /// See [`Property::text`].
    FinalStays,
}

impl Property {
    /// All of them, with what each says.
    pub const ALL: &[(Property, &str)] = &[
        (
            Property::ReadyAgain,
            "after each fault the pod becomes Ready again: within `within` where that is said, else as soon as back-offs, probes and hooks allow",
        ),
        (Property::HealthyLeftAlone, "a container that does well is never stopped"),
        (Property::UnhealthyStopped, "a container whose liveness or startup probe has failed is stopped at once"),
        (
            Property::GraceKept,
            "a container that is told to stop has its whole grace period, and is killed when it is over",
        ),
        (Property::PreStopFirst, "the stop signal comes after the preStop hook"),
        (Property::RestartCountKept, "a restart count never goes down, whoever dies"),
        (
            Property::BackOffKept,
            "a crashed container is started again when its back-off is over, no sooner and no later",
        ),
        (Property::PolicyKept, "what the restart policy lets lie is not started again, and nothing is started twice"),
        (Property::InitOrder, "init containers and sidecars are started in their order, the others after them"),
        (Property::ReadyIsTrue, "what is shown Ready runs, and its readiness probe has passed"),
        (Property::EndsInTime, "a pod that is deleted, or has no work left, has ended within its grace period"),
        (Property::FinalStays, "a pod that has Succeeded or Failed stays so"),
    ];

    /// `ready-again`.
    pub fn word(self) -> String {
        let word = serde_json::to_value(self).unwrap_or_default();
        word.as_str().unwrap_or_default().to_owned()
    }

    /// The property of that name.
    pub fn read(word: &str) -> Option<Property> {
        Property::ALL.iter().map(|(property, _)| *property).find(|property| property.word() == word)
    }

    /// What it says.
    pub fn text(self) -> &'static str {
        Property::ALL.iter().find(|(property, _)| *property == self).map_or("", |(_, text)| *text)
    }
}

/// A breach of a property.
#[derive(Clone, Debug, PartialEq)]
pub struct Breach {
    /// Which.
    pub property: Property,
    /// When.
    pub at: Duration,
    /// The container; empty for the pod.
    pub about: String,
    /// What was found.
    pub found: String,
}

/// Watches a run.
#[derive(Debug)]
pub struct Watch {
    ledger: Ledger,
    /// How soon the pod must be Ready again after a fault, for each wish that says so.
    within: Vec<Duration>,
    /// What was not Ready again within such a time.
    late: Vec<(Breach, Option<Duration>)>,
    /// How much of the driver's timeline was read.
    read: usize,
    /// The supervisor is away until then, as far as was noticed.
    away: Duration,
}

impl Watch {
    /// Of a pod that has just been admitted; `within` are the wishes for [`Property::ReadyAgain`] that name a time. Nothing may come
    /// before its time; by `tolerance` it may be later.
    pub fn new(pod: &Pod, settings: &Settings, script: &Script, within: Vec<Duration>, tolerance: Duration) -> Watch {
        let ledger = Ledger::new(pod, settings, script, tolerance);
        Watch { ledger, within, late: Vec::new(), read: 0, away: Duration::ZERO }
    }

    /// Reads what is new of a driver's timeline.
    pub fn follow(&mut self, driver: &Driver) -> Vec<(Breach, Option<Duration>)> {
        if driver.down_until() > self.away {
            self.supervisor_died(driver.now(), driver.down_until());
        }
        let lines = driver.timeline.get(self.read..).unwrap_or_default();
        self.read = driver.timeline.len();
        self.take(lines);
        self.breaches(driver.now())
    }

    /// The supervisor died, and nobody does anything until then.
    pub fn supervisor_died(&mut self, at: Duration, until: Duration) {
        self.pass(at);
        self.away = until;
        self.ledger.supervisor_died(at, until);
    }

    /// These happened.
    pub fn take(&mut self, lines: &[Line]) {
        for line in lines {
            self.pass(line.at);
            match &line.entry {
                Entry::Input(fact) => self.ledger.fact(fact),
                Entry::Effect(effect) => self.ledger.effect(effect),
                Entry::Status(view) => self.ledger.view(view),
                Entry::Note(note) => self.ledger.note(note),
            }
        }
    }

    /// Nothing else has happened up to there: what was found since the last time. A breach of [`Property::ReadyAgain`] within a time
    /// says which wish it is about.
    pub fn breaches(&mut self, to: Duration) -> Vec<(Breach, Option<Duration>)> {
        self.pass(to);
        let found = std::mem::take(&mut self.ledger.found).into_iter().map(|breach| (breach, None));
        found.chain(std::mem::take(&mut self.late)).collect()
    }

    /// Time passes up to there, and nothing happens meanwhile.
    fn pass(&mut self, to: Duration) {
        for within in &self.within {
            if let Some(breach) = self.ledger.not_ready_within(*within, to) {
                self.late.push((breach, Some(*within)));
            }
        }
        self.ledger.pass(to);
    }
}
