//! The live line below the logs of `up`: what the pods are now. On a terminal only; it is wiped before each log line.

use super::super::Caller;
use super::super::logs::follow::Follower;
use super::super::print::pod_row;

/// The line, if there is a terminal for it.
pub struct Status {
    wanted: bool,
    shown: bool,
}

impl Status {
    /// Nothing is shown yet.
    pub fn new(caller: &Caller<'_>) -> Status {
        // Written to stderr, wiped before stdout is written to: both must be the terminal.
        Status { wanted: caller.err_terminal && caller.out_terminal, shown: false }
    }

    /// Wipes it.
    pub fn clear(&mut self, caller: &mut Caller<'_>) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(caller.err, "\r\x1b[K");
            let _ = caller.err.flush();
        }
    }

    /// Shows what the pods are.
    pub fn show(&mut self, follower: &Follower, ending: bool, caller: &mut Caller<'_>) {
        // An unfinished log line must not be written over.
        if !self.wanted || follower.lines.is_unfinished() {
            return;
        }
        let pods = follower.pods.iter().map(|followed| {
            let name = followed.pod.metadata.name.as_deref().unwrap_or_default();
            let summary = pod_row::summary(&followed.pod);
            format!("pod/{name}: {} ({}/{} ready)", summary.reason, summary.ready, summary.total)
        });
        let text = pods.collect::<Vec<_>>().join(", ");
        let help = if ending { "Ctrl-C ends at once" } else { "Ctrl-C ends" };
        // Longer than the terminal is wide it could not be wiped by going to the line's beginning.
        let line: String = format!("{text} - {help}").chars().take(79).collect();
        let (dim, plain) = if caller.colour { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let _ = write!(caller.err, "\r\x1b[K{dim}{line}{plain}");
        let _ = caller.err.flush();
        self.shown = true;
    }
}
