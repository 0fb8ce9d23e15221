//! Machines that break a rule: what one is told, asks for or shows is bent on its way, where the driver stands between it and the
//! world. Nothing of this is in the program; each must be found by its name's property.

use std::fmt;

use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::json;

use crate::pod::effect::{Action, Decision};
use crate::pod::input::{Fact, ProbeOutcome};
use crate::pod::machine::{Machine, Settings};
use crate::pod::probe::ProbeKind;
use crate::simulation::scenario::Property;
use crate::simulation::timeline::View;

/// A machine that breaks a rule.
pub struct Mutant {
    /// What it does.
    pub name: &'static str,
    /// What it breaks.
    pub breaks: Property,
    /// The pod that it takes for the one that was admitted.
    pub pod: fn(&mut Pod),
    /// The settings that it takes for its own.
    pub settings: fn(&mut Settings),
    /// What it hears; nothing: it does not.
    pub hears: fn(Fact) -> Option<Fact>,
    /// What it asks for.
    pub asks: fn(&mut Decision),
    /// What it shows.
    pub shows: fn(&mut View),
    /// What a supervisor finds that folded its journal.
    pub folds: fn(&mut Machine),
}

impl fmt::Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const SOUND: Mutant = Mutant {
    name: "",
    breaks: Property::ReadyAgain,
    pod: |_| {},
    settings: |_| {},
    hears: Some,
    asks: |_| {},
    shows: |_| {},
    folds: |_| {},
};

/// The mutants.
pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "back-off does not double",
        breaks: Property::BackOffKept,
        settings: |settings| settings.backoff_maximum_milliseconds = settings.backoff_initial_milliseconds,
        ..SOUND
    },
    Mutant {
        name: "back-off is not cleared by ten good minutes",
        breaks: Property::BackOffKept,
        settings: |settings| settings.backoff_reset_milliseconds = u64::MAX,
        ..SOUND
    },
    Mutant {
        name: "readiness is ignored",
        breaks: Property::ReadyIsTrue,
        hears: |fact| {
            Some(match fact {
                Fact::ProbeResult { container, attempt, probe: ProbeKind::Readiness, begun, .. } => {
                    let (probe, outcome) = (ProbeKind::Readiness, ProbeOutcome::Success);
                    Fact::ProbeResult { container, attempt, probe, begun, outcome }
                }
                other => other,
            })
        },
        ..SOUND
    },
    Mutant {
        name: "liveness needs one failure more",
        breaks: Property::UnhealthyStopped,
        pod: |pod| {
            for probe in containers(pod).filter_map(|container| container.liveness_probe.as_mut()) {
                probe.failure_threshold = probe.failure_threshold.map(|threshold| threshold + 1);
            }
        },
        ..SOUND
    },
    Mutant {
        name: "restarts under Never",
        breaks: Property::PolicyKept,
        pod: |pod| spec(pod).restart_policy = Some("Always".to_owned()),
        ..SOUND
    },
    Mutant {
        name: "a sidecar is not started again",
        breaks: Property::BackOffKept,
        asks: |decision| {
            let again = |action: &Action| matches!(action, Action::EnsureImage { container, attempt } if container == "proxy" && *attempt > 0);
            decision.effects.retain(|effect| !again(&effect.action));
        },
        ..SOUND
    },
    Mutant {
        name: "the grace period is cut",
        breaks: Property::GraceKept,
        pod: |pod| spec(pod).termination_grace_period_seconds = Some(3),
        ..SOUND
    },
    Mutant {
        name: "preStop is skipped",
        breaks: Property::PreStopFirst,
        pod: |pod| {
            for lifecycle in containers(pod).filter_map(|container| container.lifecycle.as_mut()) {
                lifecycle.pre_stop = None;
            }
        },
        ..SOUND
    },
    Mutant {
        name: "init containers run in the wrong order",
        breaks: Property::InitOrder,
        pod: |pod| spec(pod).init_containers.iter_mut().for_each(|init| init.reverse()),
        ..SOUND
    },
    Mutant {
        name: "a restart count is lost with the supervisor",
        breaks: Property::RestartCountKept,
        folds: |machine| {
            let mut json = serde_json::to_value(&*machine).unwrap_or_default();
            for container in json["state"]["containers"].as_array_mut().into_iter().flatten() {
                if container["record"].is_object() {
                    container["record"]["attempt"] = json!(0);
                }
            }
            if let Ok(other) = serde_json::from_value(json) {
                *machine = other;
            }
        },
        ..SOUND
    },
    Mutant {
        name: "a delete is lost",
        breaks: Property::EndsInTime,
        hears: |fact| (!matches!(fact, Fact::DeleteRequested { .. })).then_some(fact),
        ..SOUND
    },
    Mutant {
        name: "Ready while a container is down",
        breaks: Property::ReadyIsTrue,
        shows: |view| {
            for (_, words) in view.conditions.iter_mut().filter(|(kind, _)| kind == "Ready" && view.phase == "Running")
            {
                *words = "True".to_owned();
            }
        },
        ..SOUND
    },
    Mutant {
        name: "one failed liveness probe is enough",
        breaks: Property::HealthyLeftAlone,
        pod: |pod| {
            for probe in containers(pod).filter_map(|container| container.liveness_probe.as_mut()) {
                probe.failure_threshold = Some(1);
            }
        },
        ..SOUND
    },
];

fn spec(pod: &mut Pod) -> &mut k8s_openapi::api::core::v1::PodSpec {
    pod.spec.get_or_insert_default()
}

fn containers(pod: &mut Pod) -> impl Iterator<Item = &mut Container> {
    let spec = spec(pod);
    spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten())
}
