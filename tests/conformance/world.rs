//! A pod in virtual time, and what a user sees of it.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use podlet::cli::print::pod_row;
use podlet::pod::input::Fact;
use podlet::pod::machine::Settings;
use podlet::simulation::{Driver, Entry, Script};
use serde_json::{Value, json};

/// A pod that is played.
pub struct World {
    pub driver: Driver,
}

impl Drop for World {
    fn drop(&mut self) {
        super::reached::note(&self.driver);
    }
}

/// A defaulted pod of this spec; its containers' image is there.
pub fn pod(spec: Value) -> Pod {
    let mut spec = spec;
    for list in ["initContainers", "containers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            container["image"] = json!("localhost/busybox:1");
        }
    }
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default", "uid": "u-1", "generation": 1}, "spec": spec
    }))
    .unwrap()
}

fn settings_of_node(settings: Settings) -> Settings {
    Settings { node_name: "node".to_owned(), ..settings }
}

fn with_address(script: Script) -> Script {
    Script { ips: vec!["10.0.0.1".to_owned()], ..script }
}

/// Back-off of one second, at most eight, forgotten after a run of twenty: the long series in little time.
pub fn small() -> Settings {
    Settings {
        backoff_initial_milliseconds: 1_000,
        backoff_maximum_milliseconds: 8_000,
        backoff_reset_milliseconds: 20_000,
        ..Settings::default()
    }
}

impl World {
    /// A defaulted pod of this spec, admitted.
    pub fn new(spec: Value, script: Script) -> World {
        World::with(spec, script, Settings::default())
    }

    /// The same under these settings.
    pub fn with(spec: Value, script: Script, settings: Settings) -> World {
        World { driver: Driver::new(pod(spec), settings_of_node(settings), with_address(script)) }
    }

    /// Lets all happen up to that second.
    pub fn until(&mut self, seconds: f64) -> &mut World {
        self.driver.run_until(Duration::from_secs_f64(seconds)).unwrap();
        self
    }

    /// Something happens now.
    pub fn tell(&mut self, fact: Fact) -> &mut World {
        self.driver.input(fact);
        self
    }

    /// `delete` with this grace period.
    pub fn delete(&mut self, grace: i64) -> &mut World {
        self.tell(Fact::DeleteRequested { grace_seconds: Some(grace), force: false })
    }

    pub fn pod(&self) -> Pod {
        self.driver.machine.pod()
    }

    pub fn phase(&self) -> String {
        self.pod().status.unwrap().phase.unwrap()
    }

    /// `status/reason message` of a condition.
    pub fn condition(&self, kind: &str) -> String {
        let conditions = self.pod().status.unwrap().conditions.unwrap();
        let found: PodCondition = conditions.into_iter().find(|condition| condition.type_ == kind).unwrap();
        let words = [Some(found.status), found.reason, found.message];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// `0/1 Completed 2`: READY, STATUS and RESTARTS of `get pods`.
    pub fn row(&self) -> String {
        let summary = pod_row::summary(&self.pod());
        format!("{}/{} {} {}", summary.ready, summary.total, summary.reason, summary.restarts)
    }

    /// The message of a waiting or ended container.
    pub fn message(&self, name: &str) -> String {
        let state = self.container(name).state.unwrap();
        let waiting = state.waiting.and_then(|waiting| waiting.message);
        waiting.or(state.terminated.and_then(|ended| ended.message)).unwrap_or_default()
    }

    /// How the instance before the present one ended: reason and code.
    pub fn last(&self, name: &str) -> (String, i32) {
        let ended = self.container(name).last_state.unwrap().terminated.unwrap();
        (ended.reason.unwrap(), ended.exit_code)
    }

    /// Lets the supervisor die and come back after so many seconds.
    pub fn restart_supervisor(&mut self, away: u64) -> &mut World {
        self.driver.restart_supervisor(Duration::from_secs(away)).unwrap();
        self
    }

    /// Everything that was ever shown of a container: each `waiting CrashLoopBackOff`, `running`, once in a row.
    pub fn shown(&self, name: &str) -> Vec<String> {
        let mut shown: Vec<String> = Vec::new();
        for line in &self.driver.timeline {
            let Entry::Status(view) = &line.entry else { continue };
            let state = view.containers.iter().find(|container| container.name == name).unwrap();
            let words = [state.state.to_owned(), state.reason.clone().unwrap_or_default()].join(" ");
            if shown.last().map(String::as_str) != Some(words.trim()) {
                shown.push(words.trim().to_owned());
            }
        }
        shown
    }

    /// The status of a container of any kind.
    pub fn container(&self, name: &str) -> ContainerStatus {
        let status = self.pod().status.unwrap();
        let init = status.init_container_statuses.into_iter().flatten();
        let ephemeral = status.ephemeral_container_statuses.into_iter().flatten();
        init.chain(status.container_statuses.into_iter().flatten())
            .chain(ephemeral)
            .find(|status| status.name == name)
            .unwrap()
    }

    /// `waiting PodInitializing`, `running`, `terminated Error 1`.
    pub fn state(&self, name: &str) -> String {
        let state = self.container(name).state.unwrap();
        match (state.waiting, state.terminated) {
            (Some(waiting), _) => format!("waiting {}", waiting.reason.unwrap()),
            (_, Some(ended)) => format!("terminated {} {}", ended.reason.unwrap(), ended.exit_code),
            _ => "running".to_owned(),
        }
    }

    pub fn restarts(&self, name: &str) -> i32 {
        self.container(name).restart_count
    }

    /// The seconds at which what begins so was asked for: `start/app`, `signal/s1/0`, `kill/`.
    pub fn times(&self, begins: &str) -> Vec<f64> {
        let asked = |entry: &Entry| matches!(entry, Entry::Effect(effect) if effect.id.0.starts_with(begins));
        let lines = self.driver.timeline.iter().filter(|line| asked(&line.entry));
        lines.map(|line| line.at.as_secs_f64()).collect()
    }

    /// All that was started and stopped, in order.
    pub fn order(&self) -> Vec<String> {
        let ids = self.driver.timeline.iter().filter_map(|line| match &line.entry {
            Entry::Effect(effect) => Some(effect.id.0.clone()),
            _ => None,
        });
        let concerns = ["start/", "signal/", "kill/"];
        ids.filter(|id| concerns.iter().any(|concern| id.starts_with(concern))).collect()
    }

    /// The phases, one after the other.
    pub fn phases(&self) -> Vec<String> {
        let mut phases: Vec<String> = Vec::new();
        for line in &self.driver.timeline {
            if let Entry::Status(view) = &line.entry
                && phases.last() != Some(&view.phase)
            {
                phases.push(view.phase.clone());
            }
        }
        phases
    }

    /// Each event of that reason: its message.
    pub fn events(&self, reason: &str) -> Vec<String> {
        let events = self.driver.machine.events().into_iter();
        events.filter(|event| event.reason.as_deref() == Some(reason)).map(|event| event.message.unwrap()).collect()
    }
}
