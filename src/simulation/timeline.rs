//! What a simulation recorded: each input, decision and visible change with its virtual time.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerState, Pod, PodStatus};

use crate::pod::effect::{Effect, Note};
use crate::pod::input::Fact;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Time since the pod was admitted.
    pub at: Duration,
    /// What happened.
    pub entry: Entry,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Entry {
    /// The machine was told.
    Input(Fact),
    /// The machine asked.
    Effect(Effect),
    /// The machine decided that nothing is to be done.
    Note(Note),
    /// What a user sees changed.
    Status(View),
}

/// What a user sees of a pod at a glance; equal views are one line.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// `status.phase`.
    pub phase: String,
    /// Each condition as `True`, `False` or `False/Reason`, by type.
    pub conditions: Vec<(String, String)>,
    /// In the status's order, init containers and sidecars first.
    pub containers: Vec<ContainerView>,
}

/// What a user sees of one container.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerView {
    /// Its name.
    pub name: String,
    /// `waiting`, `running` or `terminated`.
    pub state: &'static str,
    /// `state.*.reason`.
    pub reason: Option<String>,
    /// `state.*.message`.
    pub message: Option<String>,
    /// `state.terminated.exitCode`.
    pub exit_code: Option<i32>,
    /// `lastState.terminated`: reason, exit code, message.
    pub last: Option<(String, i32, Option<String>)>,
    /// `restartCount`.
    pub restart_count: i32,
    /// `ready`.
    pub ready: bool,
    /// `started`.
    pub started: bool,
}

impl View {
    /// A hash of it without times, counts and texts: views of one kind have one shape.
    pub fn shape(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        (&self.phase, &self.conditions).hash(&mut hash);
        for container in &self.containers {
            (container.state, &container.reason, container.exit_code, container.ready, container.started)
                .hash(&mut hash);
            container.last.as_ref().map(|(reason, code, _)| (reason, code)).hash(&mut hash);
        }
        hash.finish()
    }

    /// What a user sees of this pod.
    pub fn of(pod: &Pod) -> View {
        View::of_status(pod.status.clone().unwrap_or_default())
    }

    /// What a user sees of a pod with this status.
    pub fn of_status(status: PodStatus) -> View {
        let conditions = status.conditions.unwrap_or_default().into_iter().map(|condition| {
            let words = match condition.reason {
                Some(reason) => format!("{}/{reason}", condition.status),
                None => condition.status,
            };
            (condition.type_, words)
        });
        let init = status.init_container_statuses.unwrap_or_default().into_iter();
        let containers = init.chain(status.container_statuses.unwrap_or_default()).map(|container| {
            let state = container.state.unwrap_or_default();
            let last = container.last_state.unwrap_or_default().terminated;
            let (word, reason, message, exit_code) = state_words(&state);
            ContainerView {
                name: container.name,
                state: word,
                reason,
                message,
                exit_code,
                last: last.map(|last| (last.reason.unwrap_or_default(), last.exit_code, last.message)),
                restart_count: container.restart_count,
                ready: container.ready,
                started: container.started.unwrap_or_default(),
            }
        });
        View {
            phase: status.phase.unwrap_or_default(),
            conditions: conditions.collect(),
            containers: containers.collect(),
        }
    }
}

fn state_words(state: &ContainerState) -> (&'static str, Option<String>, Option<String>, Option<i32>) {
    if let Some(waiting) = &state.waiting {
        return ("waiting", waiting.reason.clone(), waiting.message.clone(), None);
    }
    if let Some(ended) = &state.terminated {
        return ("terminated", ended.reason.clone(), ended.message.clone(), Some(ended.exit_code));
    }
    ("running", None, None, None)
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3} ", self.at.as_secs_f64())?;
        match &self.entry {
            Entry::Input(fact) => write!(f, "input  {fact:?}"),
            Entry::Effect(effect) => write!(f, "effect {} {} {:?}", effect.id.0, effect.rule.0, effect.because),
            Entry::Note(note) => write!(f, "note   {} {} {:?}", note.about, note.rule.0, note.because),
            Entry::Status(view) => {
                write!(f, "status {}", view.phase)?;
                for container in &view.containers {
                    let reason = container.reason.as_deref().unwrap_or_default();
                    write!(f, " {}={}/{reason}", container.name, container.state)?;
                    if let Some(code) = container.exit_code {
                        write!(f, "/{code}")?;
                    }
                    write!(f, " rc{}", container.restart_count)?;
                }
                Ok(())
            }
        }
    }
}
