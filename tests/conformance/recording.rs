//! What was seen of a pod, in one form for a recorded kubelet's, a simulated podlet's and a real podlet's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Event, Pod};
use podlet::manifest::Object;
use podlet::manifest::verdict::{self, Kind};
use podlet::simulation::View;
use serde::Deserialize;

/// A case of `tests/data/golden/cases`.
pub struct Case {
    pub name: String,
    /// As it was given to the API server.
    pub manifest: String,
    /// What the kubelet was seen to do.
    pub story: Story,
}

/// Everything that was seen of one pod.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Story {
    /// Each different sight, from the first container status on.
    #[serde(rename = "sequence")]
    pub sights: Vec<Sight>,
    /// Type, reason, message and field path of each event, in the order in which they first came.
    pub events: Vec<[String; 4]>,
}

/// A pod at a glance.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Sight {
    /// Seconds since the pod was first seen.
    pub t: f64,
    pub phase: String,
    /// `status.reason` and `status.message`.
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub message: String,
    /// `True`, `False` or `False/Reason`, by type.
    pub conditions: BTreeMap<String, String>,
    /// Init containers and sidecars in the manifest's order.
    pub init: Vec<State>,
    /// The others by name.
    pub containers: Vec<State>,
    pub qos: String,
    #[serde(rename = "deletionGracePeriodSeconds")]
    pub grace: Option<i64>,
}

/// A container at a glance.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub name: String,
    pub state: String,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub message: String,
    pub exit_code: Option<i64>,
    pub restart_count: i64,
    pub ready: bool,
    pub started: bool,
    pub last: Option<Ended>,
}

/// How an instance ended.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    pub reason: String,
    pub exit_code: i64,
    #[serde(default)]
    pub message: String,
}

impl Case {
    /// All recorded cases, by name.
    pub fn all() -> Vec<Case> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden/cases");
        let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        paths.sort();
        paths
            .iter()
            .map(|path| Case {
                name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
                manifest: fs::read_to_string(path).unwrap(),
                story: serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap(),
            })
            .collect()
    }

    /// The pod as the API server gives it to a kubelet.
    pub fn pod(&self) -> Pod {
        let verdict = verdict::of_body(self.manifest.as_bytes(), Kind::Pod, "default");
        let Some(Object::Pod(mut pod)) = verdict.object else { panic!("{}: {:?}", self.name, verdict.findings) };
        pod.metadata.uid = Some("UID".to_owned());
        *pod
    }

    /// What it begins with: a letter and digits.
    pub fn number(&self) -> &str {
        self.name.split('-').next().unwrap()
    }
}

impl Story {
    /// Adds what is seen now, unless it is as before.
    pub fn see(&mut self, sight: Sight) {
        let same = |last: &Sight| Sight { t: sight.t, ..last.clone() } == sight;
        if !self.sights.last().is_some_and(same) {
            self.sights.push(sight);
        }
    }

    /// Sets the events: all that there are now.
    pub fn hear(&mut self, events: Vec<Event>) {
        let uid = |event: &Event| event.involved_object.uid.clone().unwrap();
        let words = |event: Event| {
            let message = event.message.clone().unwrap().replace(&uid(&event), "UID");
            let path = event.involved_object.field_path.unwrap_or_default();
            [event.type_.unwrap(), event.reason.unwrap(), message, path]
        };
        self.events = events.into_iter().map(words).filter(|words| words[1] != "Scheduled").collect();
    }

    /// The sight at the end. The recorder's own deletion is none.
    pub fn last(&self) -> &Sight {
        self.sights.iter().rfind(|sight| sight.grace != Some(0)).unwrap()
    }
}

impl Sight {
    /// What a user sees of this pod.
    pub fn of(t: f64, pod: &Pod) -> Sight {
        let uid = pod.metadata.uid.clone().unwrap();
        let view = View::of(pod);
        let status = pod.status.clone().unwrap();
        let count = status.init_container_statuses.map_or(0, |list| list.len());
        let text = |message: Option<String>| message.unwrap_or_default().replace(&uid, "UID");
        let state = |container: podlet::simulation::ContainerView| State {
            name: container.name,
            state: container.state.to_owned(),
            reason: container.reason.unwrap_or_default(),
            message: text(container.message),
            exit_code: container.exit_code.map(i64::from),
            restart_count: i64::from(container.restart_count),
            ready: container.ready,
            started: container.started,
            last: container.last.map(|(reason, code, message)| Ended {
                reason,
                exit_code: i64::from(code),
                message: text(message),
            }),
        };
        let mut containers: Vec<State> = view.containers.into_iter().map(state).collect();
        let regular = containers.split_off(count);
        Sight {
            t,
            phase: view.phase,
            reason: status.reason.unwrap_or_default(),
            message: status.message.unwrap_or_default(),
            conditions: view.conditions.into_iter().collect(),
            init: containers,
            containers: regular,
            qos: status.qos_class.unwrap_or_default(),
            grace: pod.metadata.deletion_grace_period_seconds,
        }
    }

    /// All containers.
    pub fn states(&self) -> impl Iterator<Item = &State> {
        self.init.iter().chain(&self.containers)
    }

    pub fn states_mut(&mut self) -> impl Iterator<Item = &mut State> {
        self.init.iter_mut().chain(&mut self.containers)
    }
}

impl State {
    /// How the instance ended that is the latest to have ended here, if this says it of the present one.
    pub fn end(&self) -> Option<Ended> {
        match self.state.as_str() {
            "terminated" => Some(Ended {
                reason: self.reason.clone(),
                exit_code: self.exit_code.unwrap_or_default(),
                message: self.message.clone(),
            }),
            "waiting" if self.reason == "CrashLoopBackOff" => self.last.clone(),
            _ => None,
        }
    }
}
