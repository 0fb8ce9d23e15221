//! What a user sees of a pod at one moment: what conditions are held against.

use std::cell::OnceCell;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use serde_json::Value as Json;

use super::words::StateWord;
use crate::cli::print::pod_row::{self, Summary};
use crate::duration;
use crate::pod::time::WallTime;

/// A moment.
pub struct Seen<'d> {
    /// Since the pod was admitted.
    pub at: Duration,
    /// The wall clock.
    pub wall: WallTime,
    /// The pod.
    pub pod: &'d Pod,
    /// The pod object is gone.
    pub gone: bool,
    events_of: &'d dyn Fn() -> Vec<Event>,
    json: OnceCell<Json>,
    events: OnceCell<Vec<Event>>,
    containers: OnceCell<Vec<ContainerSeen>>,
}

/// One container.
#[derive(Clone, Debug)]
pub struct ContainerSeen {
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: StateWord,
    /// `state.*.reason`.
    pub reason: Option<String>,
    /// `state.*.message`.
    pub message: Option<String>,
    /// `state.terminated.exitCode`.
    pub exit_code: Option<i32>,
    /// `lastState.terminated.reason`.
    pub last_reason: Option<String>,
    /// `lastState.terminated.message`.
    pub last_message: Option<String>,
    /// `lastState.terminated.exitCode`.
    pub last_exit_code: Option<i32>,
    /// `ready`.
    pub ready: bool,
    /// `started`.
    pub started: bool,
    /// `restartCount`.
    pub restarts: i32,
    /// The crash back-off that keeps it waiting.
    pub backoff: Duration,
}

impl<'d> Seen<'d> {
    /// A pod at a moment; its events are looked up only when they are asked for.
    pub fn new(
        at: Duration,
        wall: WallTime,
        pod: &'d Pod,
        gone: bool,
        events_of: &'d dyn Fn() -> Vec<Event>,
    ) -> Seen<'d> {
        let (json, events, containers) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Seen { at, wall, pod, gone, events_of, json, events, containers }
    }

    /// The same of a pod object that is gone, while it was still there.
    pub fn before_it_went(&self) -> Seen<'d> {
        Seen::new(self.at, self.wall, self.pod, false, self.events_of)
    }

    /// The pod as JSON.
    pub fn json(&self) -> &Json {
        self.json.get_or_init(|| serde_json::to_value(self.pod).unwrap_or_default())
    }

    /// Its events.
    pub fn events(&self) -> &[Event] {
        self.events.get_or_init(|| (self.events_of)())
    }

    /// Its containers, init containers first.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerSeen> {
        self.all().iter()
    }

    /// The container of that name.
    pub fn container(&self, name: &str) -> Option<&ContainerSeen> {
        self.containers().find(|container| container.name == name)
    }

    fn all(&self) -> &[ContainerSeen] {
        self.containers.get_or_init(|| {
            let status = self.pod.status.as_ref();
            let lists = [
                status.and_then(|status| status.init_container_statuses.as_deref()),
                status.and_then(|status| status.container_statuses.as_deref()),
                status.and_then(|status| status.ephemeral_container_statuses.as_deref()),
            ];
            lists.into_iter().flatten().flatten().map(container).collect()
        })
    }

    /// A condition's status and reason.
    pub fn condition(&self, kind: &str) -> Option<(&str, Option<&str>)> {
        let conditions = self.pod.status.as_ref()?.conditions.as_deref()?;
        let condition = conditions.iter().find(|condition| condition.type_ == kind)?;
        Some((condition.status.as_str(), condition.reason.as_deref()))
    }

    /// What the columns of `get pods` are made from.
    pub fn summary(&self) -> Summary {
        pod_row::summary(self.pod)
    }

    /// The cells of these columns of `get pods -o wide`.
    pub fn columns(&self, headings: &[String]) -> Vec<String> {
        let now = Timestamp::from_nanosecond(i128::from(self.wall.0)).unwrap_or_default();
        let row = pod_row::pod_row(self.pod, now);
        let columns = pod_row::pod_columns();
        let cell = |heading: &String| {
            let at = columns.iter().position(|column| column.heading == heading.as_str());
            at.and_then(|at| row.cells.get(at)).cloned().unwrap_or_default()
        };
        headings.iter().map(cell).collect()
    }
}

fn container(status: &ContainerStatus) -> ContainerSeen {
    let state = status.state.as_ref();
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let ended = state.and_then(|state| state.terminated.as_ref());
    let (word, reason, message) = match (waiting, ended) {
        (Some(waiting), _) => (StateWord::Waiting, waiting.reason.clone(), waiting.message.clone()),
        (None, Some(ended)) => (StateWord::Terminated, ended.reason.clone(), ended.message.clone()),
        (None, None) if state.is_some_and(|state| state.running.is_some()) => (StateWord::Running, None, None),
        (None, None) => (StateWord::Waiting, None, None),
    };
    let backoff = message.as_deref().filter(|_| reason.as_deref() == Some("CrashLoopBackOff")).and_then(|message| {
        let (words, _) = message.strip_prefix("back-off ")?.split_once(' ')?;
        duration::parse(words).ok()
    });
    ContainerSeen {
        name: status.name.clone(),
        state: word,
        reason,
        message,
        exit_code: ended.map(|ended| ended.exit_code),
        last_reason: last.and_then(|last| last.reason.clone()),
        last_message: last.and_then(|last| last.message.clone()),
        last_exit_code: last.map(|last| last.exit_code),
        ready: status.ready,
        started: status.started.unwrap_or_default(),
        restarts: status.restart_count,
        backoff: backoff.unwrap_or_default(),
    }
}
