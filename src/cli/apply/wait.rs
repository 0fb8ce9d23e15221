//! `apply --wait`: until the pods are ready, or until it is known that they never will be.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use nix::sys::signal::Signal;

use super::super::print::pod_row;
use super::super::signals::Told;
use super::super::watching::{Sight, Watch, wait_readable};
use super::super::{Caller, Failure};
use super::Applied;

/// So many back-offs in a row are taken for an answer.
const BACKOFFS: u32 = 3;
/// After Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Ctrl-C from here on ends the wait, and nothing else: the pods stay as they are.
pub fn interruptible() -> Result<Told, Failure> {
    Told::new(Signal::SIGINT as i32).map_err(|error| Failure::Error(format!("could not take up signals: {error}")))
}

/// Waits for all of them, one after the other; the first that fails ends the wait.
pub fn until_ready(
    pods: &[Applied],
    timeout: Option<Duration>,
    interrupt: &Told,
    caller: &mut Caller<'_>,
) -> Result<u8, Failure> {
    let deadline = timeout.filter(|t| !t.is_zero()).and_then(|t| Instant::now().checked_add(t));
    let mut code = 0;
    for pod in pods {
        let verdict = wait_for(pod, deadline, interrupt, caller)?;
        let name = &pod.name;
        match verdict {
            Verdict::Ready => caller.print(&format!("pod/{name} is ready\n"))?,
            Verdict::Succeeded => caller.print(&format!("pod/{name} has succeeded\n"))?,
            Verdict::Never(why, failed) => {
                caller.notice(&format!("error: pod/{name} will not become ready: {why}"));
                code = if code == 0 { failed } else { code };
            }
            Verdict::Late => {
                return Err(Failure::Error(format!("timed out waiting for the condition on pods/{name}")));
            }
            Verdict::Interrupted => return Ok(INTERRUPTED),
            Verdict::Gone => return Err(Failure::Error(format!("pod/{name} was deleted while it was waited for"))),
        }
        caller.out.flush()?;
    }
    Ok(code)
}

/// What is known of a pod's future.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Its condition Ready is True.
    Ready,
    /// Phase Succeeded.
    Succeeded,
    /// Why it never will be ready, and the exit code that says so.
    Never(String, u8),
    /// The time is up.
    Late,
    /// It was removed.
    Gone,
    /// Ctrl-C.
    Interrupted,
}

fn wait_for(
    applied: &Applied,
    deadline: Option<Instant>,
    interrupt: &Told,
    caller: &mut Caller<'_>,
) -> Result<Verdict, Failure> {
    let mut watch = Watch::start(&caller.paths, &applied.uid);
    let mut line = String::new();
    loop {
        if let Some(descriptor) = watch.descriptor() {
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
            wait_readable(&[descriptor, interrupt.as_fd()], left);
        }
        let interrupted = interrupt.take() > 0;
        let verdict = match if interrupted { None } else { watch.next_before(deadline)? } {
            None if interrupted => Some(Verdict::Interrupted),
            None => Some(Verdict::Late),
            Some(Sight::Gone) => Some(Verdict::Gone),
            Some(Sight::State(pod, _)) => {
                progress(&pod, &mut line, caller);
                judge(&pod)
            }
            Some(Sight::Still(seen)) => Some(judge(&seen.pod).unwrap_or_else(|| {
                let why = seen.pod.status.as_ref().and_then(|s| s.message.clone());
                Verdict::Never(why.unwrap_or_else(|| "nothing of it runs".to_owned()), 1)
            })),
        };
        if let Some(verdict) = verdict {
            if !line.is_empty() {
                let _ = write!(caller.err, "\r\x1b[K");
            }
            return Ok(verdict);
        }
    }
}

/// One line that is written over, on a terminal only.
fn progress(pod: &Pod, line: &mut String, caller: &mut Caller<'_>) {
    let summary = pod_row::summary(pod);
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let text = format!("pod/{name}: {} ({}/{} ready)", summary.reason, summary.ready, summary.total);
    if caller.err_terminal && text != *line {
        let _ = write!(caller.err, "\r\x1b[K{text}");
        *line = text;
    }
}

/// What can be said of the pod now; none while it may still become ready.
pub fn judge(pod: &Pod) -> Option<Verdict> {
    let status = pod.status.as_ref()?;
    match status.phase.as_deref() {
        Some("Succeeded") => return Some(Verdict::Succeeded),
        Some("Failed") => {
            let why = status.message.clone().or_else(|| status.reason.clone());
            let (container, code) = first_failure(pod).unwrap_or_default();
            let why = why.unwrap_or_else(|| format!("container {container} ended with exit code {code}"));
            return Some(Verdict::Never(why, exit_code(pod)));
        }
        _ => {}
    }
    if status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True") {
        return Some(Verdict::Ready);
    }
    let statuses = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    statuses.into_iter().find_map(|container| hopeless(pod, container)).map(|why| Verdict::Never(why, exit_code(pod)))
}

/// The exit code that stands for the pod's end: of the first container in list order that failed, 1 when none started.
pub fn exit_code(pod: &Pod) -> u8 {
    match first_failure(pod) {
        Some((_, code)) => u8::try_from(code).ok().filter(|code| *code != 0).unwrap_or(1),
        None => 1,
    }
}

fn first_failure(pod: &Pod) -> Option<(String, i32)> {
    let spec = pod.spec.as_ref()?;
    let status = pod.status.as_ref()?;
    let in_order = spec.init_containers.iter().flatten().chain(&spec.containers);
    in_order.into_iter().find_map(|container| {
        let statuses =
            status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
        let status = statuses.into_iter().find(|s| s.name == container.name)?;
        let terminated = |state: &Option<ContainerState>| state.as_ref().and_then(|s| s.terminated.clone());
        let ended = terminated(&status.state).or_else(|| terminated(&status.last_state))?;
        // A record of a program that never ran (StartError) stands for none that started.
        let code = if ended.reason.as_deref() == Some("StartError") { 1 } else { ended.exit_code };
        (code != 0).then(|| (container.name.clone(), code))
    })
}

fn hopeless(pod: &Pod, status: &ContainerStatus) -> Option<String> {
    let name = &status.name;
    let state = status.state.as_ref()?;
    if let Some(ended) = &state.terminated {
        if ended.reason.as_deref() == Some("StartError") {
            let message = ended.message.clone().unwrap_or_default();
            return Some(format!("container {name} could not be started: {message}"));
        }
        return (is_never(pod, name) && !is_init(pod, name))
            .then(|| format!("container {name} has ended with exit code {} and is not restarted", ended.exit_code));
    }
    let waiting = state.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or_default();
    let message = waiting.message.as_deref().unwrap_or_default();
    let last = status.last_state.as_ref().and_then(|s| s.terminated.as_ref());
    match reason {
        "InvalidImageName" | "ErrImageNeverPull" | "CreateContainerConfigError" => {
            Some(format!("container {name}: {reason}: {message}"))
        }
        "RunContainerError" => Some(format!("container {name} could not be started: {message}")),
        "CrashLoopBackOff" if last.is_some_and(|l| l.reason.as_deref() == Some("StartError")) => {
            let message = last.and_then(|l| l.message.clone()).unwrap_or_default();
            Some(format!("container {name} could not be started: {message}"))
        }
        // The count of restarts at the nth back-off in a row is n - 1.
        "CrashLoopBackOff" if u32::try_from(status.restart_count).unwrap_or(0) + 1 >= BACKOFFS => {
            let code = last.map_or(0, |l| l.exit_code);
            Some(format!("container {name} keeps ending (exit code {code}): {message}"))
        }
        _ => None,
    }
}

fn is_init(pod: &Pod, name: &str) -> bool {
    pod.spec.as_ref().is_some_and(|s| s.init_containers.iter().flatten().any(|c| c.name == name))
}

/// The container's own policy, else the pod's.
fn is_never(pod: &Pod, name: &str) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let own = spec.containers.iter().find(|c| c.name == name).and_then(|c| c.restart_policy.as_deref());
    own.or(spec.restart_policy.as_deref()) == Some("Never")
}
