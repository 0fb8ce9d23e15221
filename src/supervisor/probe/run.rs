//! Begins probes and hooks, and tells the machine what comes of them.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ExecAction, LifecycleHandler, Probe};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::command::{self, Command, Output, Purpose};
use super::dial::{Dialer, join, port_of};
use super::{grpc, http};
use crate::linux::container::{self, Session};
use crate::manifest::containers::find_container;
use crate::manifest::field::quote;
use crate::plan::expansion::{Room, expand};
use crate::plan::{Secrets, Text};
use crate::pod::backoff::go_duration;
use crate::pod::effect::{Action, EffectId};
use crate::pod::hook::HookKind;
use crate::pod::input::{ErrorState, Exit, Fact, ProbeOutcome};
use crate::pod::probe::ProbeKind;
use crate::supervisor::clock;
use crate::supervisor::effects::not_asked_for;
use crate::supervisor::exec::{Entered, exit_code};
use crate::supervisor::reports::End;
use crate::supervisor::run::{Happening, Supervisor};
use crate::supervisor::state::{Asked, ReportName};

/// Requests of hooks that are under way, by their effects.
#[derive(Default)]
pub struct Requests(HashMap<EffectId, Request>);

struct Request {
    container: String,
    attempt: u32,
    task: JoinHandle<()>,
}

impl Drop for Request {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Requests {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The instance has ended: nobody waits for its hooks any more.
    pub fn end_of(&mut self, container: &str, attempt: u32) {
        self.0.retain(|_, request| request.container != container || request.attempt != attempt);
    }
}

impl Supervisor {
    /// Begins the probes that are due.
    pub(in crate::supervisor) async fn begin_due_probes(&mut self) {
        let now = clock::now().boot;
        for effect in self.prober.begin_due(now) {
            tracing::trace!(id = effect.id.0, "probed");
            if let Action::RunProbe { container, attempt, probe } = effect.action {
                let purpose = Purpose::Probe { container, attempt, kind: probe, begun: now };
                self.begin_probe(purpose, probe).await;
            }
        }
    }

    async fn begin_probe(&mut self, purpose: Purpose, kind: ProbeKind) {
        let pod = self.pod();
        let Some(spec) = find_container(&pod, purpose.container()) else { return };
        let Some(probe) = kind.of(&spec) else { return };
        let limit = Duration::from_secs(probe.timeout_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(1).max(1));
        if let Some(action) = &probe.exec {
            if let Err(message) = self.run_probe(&spec, &purpose, action, (kind, limit)).await {
                self.ready.forget(&spec.name);
                self.probed(purpose, ProbeOutcome::Error { state: ErrorState::Unknown, message }).await;
            }
            return;
        }
        match self.request(probe, &spec, limit) {
            Ok(request) => {
                let happenings = self.happenings.clone();
                tokio::task::spawn_local(async move {
                    let outcome = request.await;
                    let _ = happenings.send(Happening::Probed { purpose, outcome });
                });
            }
            Err(message) => {
                self.probed(purpose, ProbeOutcome::Error { state: ErrorState::Unknown, message }).await;
            }
        }
    }

    /// A probe over the network, ready to be begun.
    fn request(
        &self,
        probe: &Probe,
        spec: &Container,
        limit: Duration,
    ) -> Result<std::pin::Pin<Box<dyn Future<Output = ProbeOutcome>>>, String> {
        let dialer = self.dialer()?;
        if let Some(action) = &probe.http_get {
            let get = http::Get::new(action, spec, &dialer.address, "probe")?;
            return Ok(Box::pin(async move { get.probe(&dialer, limit).await }));
        }
        if let Some(action) = &probe.tcp_socket {
            let port = port_of(&action.port, spec)?;
            let host = action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| dialer.address.clone());
            return Ok(Box::pin(async move {
                match timeout(limit, dialer.connect(&host, port)).await {
                    Ok(Ok(_)) => ProbeOutcome::Success,
                    Ok(Err(message)) => ProbeOutcome::Failure(message),
                    Err(_) => ProbeOutcome::Failure(format!("dial tcp {}: i/o timeout", join(&host, port))),
                }
            }));
        }
        if let Some(action) = &probe.grpc {
            let port = u16::try_from(action.port).map_err(|_| format!("invalid port number: {}", action.port))?;
            let service = action.service.clone().unwrap_or_default();
            return Ok(Box::pin(async move { grpc::probe(&dialer, port, &service, limit).await }));
        }
        Err(format!("missing probe handler for {}:{}", self.pod_words(), spec.name))
    }

    /// Where the pod is reached.
    fn dialer(&self) -> Result<Dialer, String> {
        let pod = self.pod();
        let on_host = pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true);
        let sandbox = self.state.sandbox.as_ref().and_then(|running| self.processes.get(&running.id.0)).cloned();
        if sandbox.is_none() && !on_host {
            return Err("the pod's sandbox is gone".to_owned());
        }
        let address = self.state.machine.address().unwrap_or_else(|| "127.0.0.1".to_owned());
        Ok(Dialer { sandbox: sandbox.filter(|_| !on_host), address })
    }

    /// A probe has ended.
    pub(in crate::supervisor) async fn probed(&mut self, purpose: Purpose, outcome: ProbeOutcome) {
        let Purpose::Probe { container, attempt, kind, begun } = purpose else { return };
        self.prober.ended(&container, attempt, kind);
        let fact = Fact::ProbeResult { container, attempt, probe: kind, begun, outcome };
        if self.state.machine.is_news(&fact) {
            self.tell(fact, clock::now(), None, None).await;
        }
    }

    /// Begins a hook. A command that a predecessor began goes on; a request is sent again.
    pub(in crate::supervisor) async fn run_hook(&mut self, asked: &Asked) {
        let Action::RunHook { container, attempt, hook } = &asked.action else { return };
        let pod = self.pod();
        let Some(spec) = find_container(&pod, container) else { return };
        let Some(handler) = hook.of(&spec) else { return };
        let purpose = Purpose::Hook { container: container.clone(), attempt: *attempt, hook: *hook };
        if let Some(action) = &handler.exec {
            let words = action.command.clone().unwrap_or_default();
            return self.run_hook_command(&asked.id, &spec, purpose, words).await;
        }
        let Some(action) = &handler.http_get else { return };
        let pod_words = self.pod_words();
        let path = action.path.clone().unwrap_or_default();
        let failed = move |name: &str, error: &str| {
            let (container, pod) = (quote(name), quote(&pod_words));
            format!("HTTP lifecycle hook ({path}) for Container {container} in Pod {pod} failed - error: {error}")
        };
        let ready =
            self.dialer().and_then(|dialer| Ok((http::Get::new(action, &spec, &dialer.address, "lifecycle")?, dialer)));
        let (container, attempt, hook) = (container.clone(), *attempt, *hook);
        match ready {
            Err(error) => {
                let failure = Some(failed(&container, &error));
                let fact = Fact::HookEnded { container, attempt, hook, failure, fell_back: None };
                self.tell(fact, clock::now(), None, None).await;
            }
            Ok((get, dialer)) => {
                let (id, happenings, name) = (asked.id.clone(), self.happenings.clone(), container.clone());
                let task = tokio::task::spawn_local(async move {
                    let address = get.authority();
                    let (result, fell_back) = get.hook(&dialer).await;
                    let failure = result.err().map(|error| failed(&name, &error));
                    let fell_back = fell_back.then_some(address);
                    let fact = Fact::HookEnded { container: name, attempt, hook, failure, fell_back };
                    let _ = happenings.send(Happening::HookRan { id, fact });
                });
                self.requests.0.insert(asked.id.clone(), Request { container, attempt, task });
            }
        }
    }

    /// The request of a hook has ended.
    pub(in crate::supervisor) async fn hook_ran(&mut self, id: &EffectId, fact: Fact) {
        self.requests.0.remove(id);
        if self.state.is_pending(id) {
            self.tell(fact, clock::now(), None, None).await;
        }
    }

    /// Runs the command of a hook in a process of its own.
    async fn run_hook_command(&mut self, id: &EffectId, spec: &Container, purpose: Purpose, words: Vec<String>) {
        let (output, made) = match self.prepare_hook(&id.0, spec, &words) {
            Ok((output, prepared)) => (output, Ok(prepared)),
            Err(message) => (Output::default(), Err(message)),
        };
        let mut command = Command::new(purpose, words, None, output);
        command.follow(&id.0, &self.happenings);
        self.commands.insert(id.0.clone(), command);
        let spawned = match made {
            Ok(prepared) => self.spawn(id, prepared).await.map_err(not_asked_for),
            Err(message) => Err(message),
        };
        if let Err(message) = spawned {
            self.command_failed(&id.0, message, None).await;
        }
    }

    /// Runs the command of a probe in its zygote.
    async fn run_probe(
        &mut self,
        spec: &Container,
        purpose: &Purpose,
        action: &ExecAction,
        (kind, limit): (ProbeKind, Duration),
    ) -> Result<(), String> {
        let (output, ends) = Output::new().map_err(no_pipes)?;
        let mut ready = self.ready_command(spec, kind, action).await?;
        ready.command.own(&ends).map_err(no_pipes)?;
        if ready.zygote.run(&ends).is_err() {
            // It has ended since, and that is not heard of yet.
            self.ready.forget_zygote(&ready.zygote.id);
            ready = self.ready_command(spec, kind, action).await?;
            ready.zygote.run(&ends).map_err(|error| format!("could not ask for a process: {error}"))?;
        }
        let mut command = Command::new(purpose.clone(), ready.words.clone(), Some(limit), output);
        command.zygote = Some(Rc::clone(&ready.zygote));
        command.follow(&ready.zygote.id, &self.happenings);
        self.commands.insert(ready.zygote.id.clone(), command);
        Ok(())
    }

    /// Makes ready what the keeper is asked for, and has it hold the pipes: who takes over reads on.
    fn prepare_hook(
        &self,
        id: &str,
        spec: &Container,
        words: &[String],
    ) -> Result<(Output, container::Prepared), String> {
        let pod = self.pod();
        let Entered { init, image, environment } = self.enter(&spec.name)?;
        let (output, [out, errors]) = Output::new().map_err(no_pipes)?;
        let nothing = File::open("/dev/null").map_err(no_pipes)?;
        for (which, pipe) in output.pipes().enumerate() {
            self.keeper.hold(&command::output_tag(id, which), pipe.as_fd()).map_err(no_pipes)?;
        }
        let stdio = [nothing.as_fd(), out.as_fd(), errors.as_fd()];
        let session = Session { command: words, tty: false, stdio, environment };
        let prepared = container::prepare_exec(&self.world.context(&pod), spec, image, init.as_fd(), &session);
        Ok((output, prepared.map_err(|failure| failure.message)?))
    }

    /// The keeper has made a command's process.
    pub(in crate::supervisor) fn command_spawned(&self, id: &str) {
        if self.commands.get(id).is_some_and(|command| command.timed_out) {
            self.kill_zygote(id);
        }
    }

    /// The time of a probe's command is over.
    pub(in crate::supervisor) fn command_timed_out(&mut self, id: &str) {
        let Some(command) = self.commands.get_mut(id) else { return };
        command.timed_out = true;
        self.ready.forget_zygote(id);
        self.kill_zygote(id);
    }

    /// A command could not be run; false when it is none.
    pub(in crate::supervisor) async fn command_failed(
        &mut self,
        id: &str,
        message: String,
        report: Option<ReportName>,
    ) -> bool {
        let Some(command) = self.take_command(id) else { return false };
        match command.purpose.clone() {
            purpose @ Purpose::Probe { .. } => {
                self.ready.forget(purpose.container());
                self.probed(purpose, ProbeOutcome::Error { state: ErrorState::Unknown, message }).await;
            }
            Purpose::Hook { container, attempt, hook } => {
                let failure = Some(self.exec_hook_failure(&command, &message));
                let fact = Fact::HookEnded { container, attempt, hook, failure, fell_back: None };
                self.tell(fact, clock::now(), report, None).await;
            }
        }
        true
    }

    /// A command has ended; false when it is none.
    pub(in crate::supervisor) async fn command_ended(&mut self, id: &str, end: &End) -> bool {
        let Some(command) = self.take_command(id) else { return false };
        let code = exit_code(end.exit);
        match command.purpose.clone() {
            purpose @ Purpose::Probe { .. } => {
                let outcome = match code {
                    _ if command.timed_out => {
                        let (words, limit) = (quote(&command.words.join(" ")), command.timeout.unwrap_or_default());
                        let text = format!("command timed out: {words} timed out after {}", go_duration(limit));
                        ProbeOutcome::Failure(text)
                    }
                    0 => ProbeOutcome::Success,
                    _ => ProbeOutcome::Failure(command.output()),
                };
                self.probed(purpose, outcome).await;
            }
            Purpose::Hook { container, attempt, hook } => {
                let failed = (end.exit != Exit::Code(0)).then(|| {
                    let (words, errors) = (command.words.join(" "), command.errors());
                    self.exec_hook_failure(&command, &format!("command '{words}' exited with {code}: {errors}"))
                });
                let fact = Fact::HookEnded { container, attempt, hook, failure: failed, fell_back: None };
                self.tell(fact, end.at, end.report.clone(), None).await;
                for which in 0..2 {
                    let _ = self.keeper.release(&command::output_tag(id, which));
                }
            }
        }
        true
    }

    /// The command of this spawn: one of this supervisor's, or a hook's that a predecessor began.
    fn take_command(&mut self, id: &str) -> Option<Command> {
        if let Some(command) = self.commands.remove(id) {
            return Some(command);
        }
        let asked = self.state.pending.iter().find(|asked| asked.id.0 == id)?;
        let Action::RunHook { container, attempt, hook } = &asked.action else { return None };
        self.hook_of_predecessor(id, container, *attempt, *hook)
    }

    fn hook_of_predecessor(&self, id: &str, container: &str, attempt: u32, hook: HookKind) -> Option<Command> {
        let pod = self.pod();
        let spec = find_container(&pod, container)?;
        let handler: &LifecycleHandler = hook.of(&spec)?;
        let words = handler.exec.as_ref()?.command.clone().unwrap_or_default();
        let held = |which| self.keeper.held_as(&command::output_tag(id, which));
        let output = match (held(0), held(1)) {
            (Ok(out), Ok(errors)) => Output::of([out, errors]),
            _ => Output::default(),
        };
        let purpose = Purpose::Hook { container: container.to_owned(), attempt, hook };
        Some(Command::new(purpose, words, None, output))
    }

    /// Goes on with the commands of hooks that a predecessor began.
    pub(in crate::supervisor) fn adopt_hooks(&mut self, children: &[(String, i32)]) {
        let hooks: Vec<(String, String, u32, HookKind)> = self
            .state
            .pending
            .iter()
            .filter_map(|asked| match &asked.action {
                Action::RunHook { container, attempt, hook } => {
                    Some((asked.id.0.clone(), container.clone(), *attempt, *hook))
                }
                _ => None,
            })
            .collect();
        for (id, container, attempt, hook) in hooks {
            if self.commands.contains_key(&id) || children.iter().all(|(child, _)| *child != id) {
                continue;
            }
            if let Some(mut command) = self.hook_of_predecessor(&id, &container, attempt, hook) {
                command.follow(&id, &self.happenings);
                self.commands.insert(id, command);
            }
        }
    }

    /// As a kubelet logs it; of a postStart hook the waiting message.
    fn exec_hook_failure(&self, command: &Command, error: &str) -> String {
        let (container, pod) = (quote(command.purpose.container()), quote(&self.pod_words()));
        let (words, output) = (command.words.join(" "), quote(&command.output()));
        format!(
            "Exec lifecycle hook ([{words}]) for Container {container} in Pod {pod} failed - error: {error}, message: {output}"
        )
    }

    fn pod_words(&self) -> String {
        let pod = self.pod();
        let word = |field: &Option<String>| field.clone().unwrap_or_default();
        let metadata = &pod.metadata;
        format!("{}_{}({})", word(&metadata.name), word(&metadata.namespace), word(&metadata.uid))
    }
}

fn no_pipes(error: std::io::Error) -> String {
    format!("could not make its pipes: {error}")
}

/// A probe's command: variables that the manifest gives as plain text are put in, others stay as written (lifecycle 6.3).
pub(super) fn static_words(words: &[String], container: &Container) -> Vec<String> {
    let value = |name: &str| {
        let variable = container.env.iter().flatten().rfind(|variable| variable.name == name)?;
        Some(Text::from(variable.value.as_deref().unwrap_or_default()))
    };
    let mut room = Room::default();
    let secrets = Secrets::default();
    // What would be too long for Linux is passed on as it is, and found there.
    let expanded = |word: &String| {
        let text = expand(word, value, &secrets, &mut room);
        text.ok().and_then(|text| text.plain().map(str::to_owned)).unwrap_or_else(|| word.clone())
    };
    words.iter().map(expanded).collect()
}
