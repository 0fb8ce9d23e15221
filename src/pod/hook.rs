//! postStart and preStop (lifecycle 7). A sleep is a deadline of the machine's own; a command or a request is asked for and
//! answered with [`super::input::Fact::HookEnded`]. The stop that a preStop hook belongs to is in `termination`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container as ContainerSpec, LifecycleHandler};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

use super::because;
use super::container::{Container, Stop};
use super::effect::EffectName;
use super::events::EventType::Warning;
use super::machine::Turn;
use super::rules::{self, Rule};
use super::time::BootTime;

/// Which hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HookKind {
    /// When the process runs.
    PostStart,
    /// Before it is told to stop.
    PreStop,
}

impl HookKind {
    /// As the manifest has it.
    pub fn word(self) -> &'static str {
        match self {
            HookKind::PostStart => "postStart",
            HookKind::PreStop => "preStop",
        }
    }

    /// The kind of that word.
    pub fn read(word: &str) -> Option<HookKind> {
        [HookKind::PostStart, HookKind::PreStop].into_iter().find(|kind| kind.word() == word)
    }

    /// What a container's spec says of it.
    pub fn of(self, spec: &ContainerSpec) -> Option<&LifecycleHandler> {
        let lifecycle = spec.lifecycle.as_ref()?;
        match self {
            HookKind::PostStart => lifecycle.post_start.as_ref(),
            HookKind::PreStop => lifecycle.pre_stop.as_ref(),
        }
    }
}

/// How far an instance's postStart hook is. While there is one the instance is not shown, as with a kubelet that has not come
/// back from its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartHook {
    /// It is still to be asked for.
    Wanted,
    /// It runs; a sleep until then.
    Runs {
        /// Of a sleep, its end.
        until: Option<BootTime>,
    },
    /// It failed: the container is stopped.
    Failed {
        /// For the waiting message.
        message: String,
    },
}

/// A preStop hook that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopHook {
    /// Of a sleep, its end.
    pub until: Option<BootTime>,
}

/// What becomes of a hook at its beginning.
enum Begun {
    /// It is asked for.
    Asked,
    /// It is over at that time.
    Sleeps(BootTime),
    /// No kubelet runs it.
    Invalid(String),
}

impl Turn<'_> {
    fn begin_hook(&self, handler: &LifecycleHandler) -> Begun {
        if let Some(sleep) = &handler.sleep {
            let seconds = Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0));
            return Begun::Sleeps(self.now().after(seconds));
        }
        if handler.exec.is_some() || handler.http_get.is_some() {
            return Begun::Asked;
        }
        // The API accepts tcpSocket, and a kubelet has no such handler.
        let socket = handler.tcp_socket.as_ref().map_or("nil".to_owned(), |socket| {
            let port = match &socket.port {
                IntOrString::Int(number) => format!("{{0 {number} }}"),
                IntOrString::String(name) => format!("{{1 0 {name}}}"),
            };
            format!("&TCPSocketAction{{Port:{port},Host:{},}}", socket.host.as_deref().unwrap_or_default())
        });
        let handler = format!("&LifecycleHandler{{Exec:nil,HTTPGet:nil,TCPSocket:{socket},Sleep:nil,}}");
        Begun::Invalid(format!("Cannot run handler: invalid handler: {handler}"))
    }

    pub(super) fn hook_handler(&self, index: usize, kind: HookKind) -> Option<LifecycleHandler> {
        self.container_spec(index).and_then(|spec| kind.of(&spec).cloned())
    }

    /// Begins the postStart hooks of what has just been started, and ends those that only slept.
    pub(super) fn run_start_hooks(&mut self) {
        let now = self.now();
        for index in 0..self.state.containers.len() {
            let Some(container) = self.state.containers.get(index) else { continue };
            let (name, attempt) = (container.name.clone(), container.restart_count());
            match &container.start_hook {
                Some(StartHook::Wanted) => self.begin_start_hook(index, name, attempt),
                Some(StartHook::Runs { until: Some(until) }) if *until <= now => {
                    self.hook_ended(&name, attempt, HookKind::PostStart, None);
                }
                _ => {}
            }
        }
    }

    fn begin_start_hook(&mut self, index: usize, name: String, attempt: u32) {
        let Some(handler) = self.hook_handler(index, HookKind::PostStart) else { return };
        let begun = self.begin_hook(&handler);
        let because = because! {"attempt": attempt};
        if matches!(begun, Begun::Asked) {
            let hook = EffectName::Hook { container: name, attempt, hook: HookKind::PostStart };
            return self.ask(hook, rules::R_7_A, because);
        }
        let Some(container) = self.state.containers.get_mut(index) else { return };
        let until = if let Begun::Sleeps(until) = begun { Some(until) } else { None };
        container.start_hook = Some(StartHook::Runs { until });
        self.note(&name, rules::R_7_A, because);
        if let Begun::Invalid(message) = begun {
            self.hook_ended(&name, attempt, HookKind::PostStart, Some(message));
        }
    }

    /// Begins the stop of a container that has a preStop hook, and time for it; false for one that has not.
    pub(super) fn begin_stop_hook(&mut self, index: usize, attempt: u32, rule: &'static Rule) -> bool {
        let Some(handler) = self.hook_handler(index, HookKind::PreStop) else { return false };
        let grace = self.stop_grace(index);
        let Some(name) = self.state.containers.get(index).map(|container| container.name.clone()) else { return false };
        if grace.is_zero() {
            return false;
        }
        let grace_words = super::backoff::go_duration(grace);
        let because = because! {"attempt": attempt, "grace": grace_words, "stop": rule.name};
        match self.begin_hook(&handler) {
            Begun::Asked => {
                let hook = EffectName::Hook { container: name, attempt, hook: HookKind::PreStop };
                self.ask(hook, rules::R_7_C, because);
            }
            Begun::Sleeps(until) => {
                self.hold_signal(index, Some(StopHook { until: Some(until) }));
                self.note(&name, rules::R_7_C, because);
            }
            Begun::Invalid(message) => {
                self.hold_signal(index, Some(StopHook { until: None }));
                self.note(&name, rules::R_7_C, because);
                self.hook_ended(&name, attempt, HookKind::PreStop, Some(message));
                let stop = self.state.containers.get(index).and_then(Container::stop).copied();
                if let Some(stop) = stop {
                    self.go_on_stopping(index, attempt, stop);
                }
            }
        }
        true
    }

    /// A stop begins whose signal is still to come.
    pub(super) fn hold_signal(&mut self, index: usize, hook: Option<StopHook>) {
        let (now, grace) = (self.now(), self.stop_grace(index));
        let text = self.stop_text(index);
        let Some(container) = self.state.containers.get_mut(index) else { return };
        let name = container.name.clone();
        let stop = Stop { kill_at: now.after(grace), raised: false, killed: false, held: Some(now), hook };
        if container.begin_stop(stop) {
            self.event(Some(&name), super::events::EventType::Normal, "Killing", text);
        }
    }

    /// A hook has ended, well or not.
    pub(super) fn hook_ended(&mut self, name: &str, attempt: u32, kind: HookKind, failure: Option<String>) {
        let now = self.now();
        let Some(index) = self.state.containers.iter().position(|container| container.name == name) else { return };
        let Some(container) = self.state.containers.get_mut(index) else { return };
        if container.running_attempt() != Some(attempt) {
            return;
        }
        match kind {
            HookKind::PostStart => {
                if !matches!(container.start_hook, Some(StartHook::Runs { .. })) {
                    return;
                }
                match failure {
                    None => {
                        container.start_hook = None;
                        container.waiting = None;
                        container.probes.begin_serving(now);
                    }
                    Some(message) => {
                        container.start_hook = Some(StartHook::Failed { message });
                        self.event(Some(name), Warning, "FailedPostStartHook", "PostStartHook failed".to_owned());
                    }
                }
            }
            HookKind::PreStop => {
                let Some(stop) = container.stop_mut().filter(|stop| stop.hook.is_some()) else { return };
                stop.hook = None;
                if failure.is_some() {
                    self.event(Some(name), Warning, "FailedPreStopHook", "PreStopHook failed".to_owned());
                }
            }
        }
    }

    /// Marks a hook as asked for; false when the state has no place for it.
    pub(super) fn mark_hook(&mut self, name: &str, attempt: u32, kind: HookKind) -> bool {
        let Some(index) = self.state.containers.iter().position(|container| container.name == name) else {
            return false;
        };
        let Some(container) = self.state.containers.get_mut(index) else { return false };
        if container.running_attempt() != Some(attempt) {
            return false;
        }
        match kind {
            HookKind::PostStart if container.start_hook == Some(StartHook::Wanted) => {
                container.start_hook = Some(StartHook::Runs { until: None });
                true
            }
            HookKind::PreStop if container.stop().is_none() => {
                self.hold_signal(index, Some(StopHook { until: None }));
                true
            }
            _ => false,
        }
    }
}
