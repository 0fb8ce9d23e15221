//! `apply --wait`: until the pods are ready, or until it is known that they never will be.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use nix::sys::signal::Signal;

use super::super::live_line::LiveLine;
use super::super::notices::Notices;
use super::super::outlook::{Judge, Outlook};
use super::super::print::pod_row;
use super::super::signals::Told;
use super::super::watching::{Sight, Watch, left, wait_readable};
use super::super::{Caller, Failure};
use super::Applied;

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
    notices: &mut Notices,
    caller: &mut Caller<'_>,
) -> Result<u8, Failure> {
    let deadline = timeout.filter(|t| !t.is_zero()).and_then(|t| Instant::now().checked_add(t));
    let mut code = 0;
    for pod in pods {
        let verdict = wait_for(pod, deadline, interrupt, notices, caller)?;
        let name = &pod.name;
        match verdict {
            Verdict::Known(Outlook::Ready) => caller.print(&format!("pod/{name} is ready\n"))?,
            Verdict::Known(Outlook::Succeeded) => caller.print(&format!("pod/{name} has succeeded\n"))?,
            Verdict::Known(Outlook::Never(why, failed)) => {
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

/// How a wait has ended.
enum Verdict {
    /// Something is known of the pod's future.
    Known(Outlook),
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
    notices: &mut Notices,
    caller: &mut Caller<'_>,
) -> Result<Verdict, Failure> {
    let mut watch = Watch::start(&caller.paths, &applied.uid);
    let mut line = LiveLine::new(caller.err_terminal);
    let mut judge = Judge::default();
    loop {
        if let Some(descriptor) = watch.descriptor() {
            wait_readable(&[descriptor, interrupt.as_fd()], left(deadline));
        }
        let interrupted = interrupt.take() > 0;
        let verdict = match if interrupted { None } else { watch.next_before(deadline)? } {
            None if interrupted => Some(Verdict::Interrupted),
            None => Some(Verdict::Late),
            Some(Sight::Gone) => Some(Verdict::Gone),
            Some(Sight::State(pod, events)) => {
                let mut news = notices.new_ones(&pod);
                news.extend(notices.new_obstacles(&pod, &events));
                if !news.is_empty() {
                    line.clear(caller);
                    news.iter().for_each(|text| caller.notice(text));
                }
                progress(&pod, &mut line, caller);
                judge.look(&pod).map(Verdict::Known)
            }
            Some(Sight::Still(seen)) => Some(Verdict::Known(judge.look_for_good(&seen.pod))),
        };
        if let Some(verdict) = verdict {
            line.clear(caller);
            return Ok(verdict);
        }
    }
}

fn progress(pod: &Pod, line: &mut LiveLine, caller: &mut Caller<'_>) {
    let summary = pod_row::summary(pod);
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    line.show(&format!("pod/{name}: {} ({}/{} ready)", summary.reason, summary.ready, summary.total), "", caller);
}
