//! What a user asks for changes the state: a deletion, a stop, another spec. As in `facts`, nothing is decided here.

use std::time::Duration;

use k8s_openapi::api::core::v1::{EphemeralContainer, Pod};

use super::because;
use super::container::{Container, Kind, RecordState};
use super::events::EventType::Normal;
use super::facts::plus_seconds;
use super::machine::{Course, Deletion, Halt, Turn, container_names, hash_json};
use super::resize::is_resized;
use super::rules;
use crate::manifest::containers::{find_container, lasting};

impl Turn<'_> {
    /// The user deletes the pod.
    pub(super) fn delete_requested(&mut self, grace_seconds: Option<i64>, force: bool) {
        let clock = self.state.clock;
        let spec_grace = self.spec_grace();
        let asked = if force { 0 } else { grace_seconds.unwrap_or(spec_grace) };
        let asked = if asked < 0 { 1 } else { asked };
        let grace = if self.state.course >= Course::TearingDown { 0 } else { asked };
        match self.state.deletion {
            None => {
                let timestamp = plus_seconds(clock.wall, grace);
                self.state.deletion = Some(Deletion { requested: clock, grace_seconds: grace, timestamp });
                self.state.course = self.state.course.max(Course::Ending);
                self.state.round.clear();
                self.shorten_stops(clock.boot.after(Duration::from_secs(u64::try_from(grace).unwrap_or(0))));
                if grace > 0 {
                    self.raise_generation();
                }
            }
            Some(first) if grace < first.grace_seconds => self.shorten_deletion(first, grace),
            Some(_) => {}
        }
    }

    /// The machine is to be shut down, or the user stops the pod.
    pub(super) fn stop_requested(&mut self, most_seconds: Option<i64>) {
        if self.state.course >= Course::Ending {
            return;
        }
        self.state.halt = Some(Halt { most_seconds });
        self.state.course = Course::Ending;
        self.state.round.clear();
    }

    pub(super) fn raise_generation(&mut self) {
        let generation = self.pod.metadata.generation.unwrap_or(1);
        self.pod.metadata.generation = Some(generation.saturating_add(1));
        self.state.pod_hash = hash_json(self.pod);
    }

    /// The user wants a container, or all of them, restarted.
    pub(super) fn restart_requested(&mut self, name: Option<&str>) {
        if self.state.course != Course::Serving {
            return;
        }
        let reason = "RestartRequested";
        let Some(name) = name else {
            self.event(None, Normal, reason, "A restart of all containers was requested".to_owned());
            self.state.course = Course::Restarting;
            self.state.round.clear();
            return;
        };
        let Some(container) = self.state.containers.iter_mut().find(|container| container.name == name) else { return };
        if container.kind == Kind::Ephemeral || container.kind == Kind::Init && container.has_completed() {
            return;
        }
        match container.record.as_ref().map(|record| &record.state) {
            Some(RecordState::Running { stop: Some(_), .. }) => return,
            Some(RecordState::Running { .. }) => container.restart_requested = true,
            // What waits is tried at once, and no back-off is asked.
            Some(RecordState::Exited(_)) => container.begin_anew(None),
            None => container.waiting = None,
        }
        self.event(Some(name), Normal, reason, format!("A restart of container {name} was requested"));
    }

    /// A container is added to look at the pod, if that is not on its way out and the name is free.
    pub(super) fn ephemeral_added(&mut self, added: &serde_json::Value, holds: Option<&str>) {
        let Ok(added) = serde_json::from_value::<EphemeralContainer>(added.clone()) else { return };
        if self.state.course >= Course::Ending || find_container(self.pod, &added.name).is_some() {
            return;
        }
        let mut container = Container::new(&added.name, Kind::Ephemeral);
        container.holds = holds.map(str::to_owned);
        self.state.containers.push(container);
        if let Some(held) = holds {
            self.note(held, rules::R_9_6_C, because! {"by": added.name});
        }
        if let Some(spec) = &mut self.pod.spec {
            spec.ephemeral_containers.get_or_insert_default().push(added);
        }
        self.raise_generation();
    }

    /// Takes the spec, labels and annotations of a changed manifest; what only a server sets stays. A spec with other
    /// containers cannot come here (validation refuses it) and would be left alone.
    pub(super) fn spec_changed(&mut self, changed: &serde_json::Value) {
        let Ok(changed) = serde_json::from_value::<Pod>(changed.clone()) else { return };
        if container_names(&changed) != container_names(self.pod) {
            return;
        }
        let node_name = self.spec().and_then(|spec| spec.node_name.clone());
        let ephemeral = self.spec().and_then(|spec| spec.ephemeral_containers.clone());
        let mut spec = changed.spec;
        if let Some(spec) = &mut spec {
            spec.node_name = node_name;
            spec.ephemeral_containers = ephemeral;
        }
        self.pod.metadata.labels = changed.metadata.labels;
        self.pod.metadata.annotations = changed.metadata.annotations;
        if self.pod.spec == spec {
            self.state.pod_hash = hash_json(self.pod);
            return;
        }
        let images = |pod: &Pod| -> Vec<(String, Option<String>)> {
            lasting(pod).map(|c| (c.name.clone(), c.image.clone())).collect()
        };
        let before = images(self.pod);
        let (old, held) = (self.pod.clone(), self.allocated().into_owned());
        self.pod.spec = spec;
        let after = images(self.pod);
        self.raise_generation();
        if is_resized(&old, self.pod) {
            self.resize(&held);
        }
        for container in &mut self.state.containers {
            let image = |list: &[(String, Option<String>)]| {
                list.iter().find(|(name, _)| *name == container.name).and_then(|(_, image)| image.clone())
            };
            if image(&before) != image(&after) {
                // Another image is another subject: neither its pull nor its start waits for the old one's back-off.
                container.waiting = None;
            }
        }
        self.state.images.retain(|image, _| after.iter().any(|(_, used)| used.as_ref() == Some(image)));
    }
}
