//! What users observe of the machine, in virtual time.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::input::Fact;
use super::machine::Settings;
use crate::simulation::{ContainerView, Driver, Entry, Script, View};

mod coverage;
mod hooks;
mod images;
mod init;
mod limits;
mod live;
mod mutations;
mod probes;
pub(crate) mod property;
mod purity;
mod restarts;
mod room;
mod sandboxes;
mod shown;
mod status;
mod stops;
mod storage;
mod upgrade;
mod why;

/// A defaulted pod with these containers.
pub(crate) fn pod(policy: &str, containers: Value) -> Pod {
    let mut containers = containers;
    for container in containers.as_array_mut().unwrap() {
        container.as_object_mut().unwrap().entry("image").or_insert(json!("localhost/busybox:1"));
    }
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default", "uid": "u-1", "generation": 1},
        "spec": {"restartPolicy": policy, "terminationGracePeriodSeconds": 30, "containers": containers}
    }))
    .unwrap()
}

/// The pod is applied anew as this one.
pub(crate) fn applied(pod: &Pod) -> Fact {
    Fact::SpecChanged { pod: Box::new(serde_json::to_value(pod).unwrap()) }
}

/// The usual numbers, or, while [`mutations`] looks who notices, one of them changed.
pub(crate) fn settings() -> Settings {
    let numbers = mutations::changed().unwrap_or_default();
    Settings { node_name: "node".to_owned(), ..numbers }
}

/// A pod with one container `c`, run for so many seconds.
pub(super) fn run_one(policy: &str, script: Script, seconds: u64) -> Driver {
    let mut driver = Driver::new(pod(policy, json!([{"name": "c"}])), settings(), script);
    driver.run_until(Duration::from_secs(seconds)).unwrap();
    driver
}

pub(super) fn view(driver: &Driver) -> View {
    View::of(&driver.machine.pod())
}

pub(super) fn container(driver: &Driver, name: &str) -> ContainerView {
    view(driver).containers.into_iter().find(|container| container.name == name).unwrap()
}

/// The times of the effects whose id begins so, in seconds.
pub(super) fn times(driver: &Driver, prefix: &str) -> Vec<f64> {
    let effect = |entry: &Entry| matches!(entry, Entry::Effect(effect) if effect.id.0.starts_with(prefix));
    driver.timeline.iter().filter(|line| effect(&line.entry)).map(|line| line.at.as_secs_f64()).collect()
}

/// The ids of all effects, with their rules.
pub(super) fn effects(driver: &Driver) -> Vec<String> {
    let named = |entry: &Entry| match entry {
        Entry::Effect(effect) => Some(format!("{} {}", effect.id.0, effect.rule.0)),
        _ => None,
    };
    driver.timeline.iter().filter_map(|line| named(&line.entry)).collect()
}

/// Each event as `Type Reason message xcount`.
pub(super) fn events(driver: &Driver) -> Vec<String> {
    let words = |event: k8s_openapi::api::core::v1::Event| {
        format!(
            "{} {} {} x{}",
            event.type_.unwrap(),
            event.reason.unwrap(),
            event.message.unwrap(),
            event.count.unwrap()
        )
    };
    driver.machine.events().into_iter().map(words).collect()
}

/// What the rule saw that led to this effect.
pub(super) fn because(driver: &Driver, id: &str, name: &str) -> String {
    let found = driver.timeline.iter().find_map(|line| match &line.entry {
        Entry::Effect(effect) if effect.id.0 == id => effect.because.get(name).cloned(),
        _ => None,
    });
    found.unwrap()
}

/// The rules that decided that nothing is to be done.
pub(super) fn notes(driver: &Driver) -> Vec<String> {
    let noted = |entry: &Entry| match entry {
        Entry::Note(note) => Some(note.rule.0.clone()),
        _ => None,
    };
    driver.timeline.iter().filter_map(|line| noted(&line.entry)).collect()
}
