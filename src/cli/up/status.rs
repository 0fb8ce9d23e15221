//! The live line below the logs of `up`: what the pods are now. On a terminal only; it is wiped before each log line.

use super::super::Caller;
use super::super::live_line::LiveLine;
use super::super::logs::follow::Follower;
use super::super::print::pod_row;

/// A line for the caller's terminal. It is written to stderr and wiped before stdout is written to: both must be terminals.
pub fn line(caller: &Caller<'_>) -> LiveLine {
    LiveLine::new(caller.err_terminal && caller.out_terminal)
}

/// Shows what the pods are.
pub fn show(line: &mut LiveLine, follower: &Follower, ending: bool, caller: &mut Caller<'_>) {
    // An unfinished log line must not be written over.
    if follower.lines.is_unfinished() {
        return;
    }
    let pods = follower.pods.iter().map(|followed| {
        let name = followed.pod.metadata.name.as_deref().unwrap_or_default();
        let summary = pod_row::summary(&followed.pod);
        format!("pod/{name}: {} ({}/{} ready)", summary.reason, summary.ready, summary.total)
    });
    let help = if ending { " - Ctrl-C ends at once" } else { " - Ctrl-C ends" };
    line.show(&pods.collect::<Vec<_>>().join(", "), help, caller);
}
