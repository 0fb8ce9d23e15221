//! One line on a terminal that is written over: how a pod is now, below the logs of `up` and during `apply --wait`. It goes to
//! stderr, is never wider than the terminal, and leaves nothing behind.

use std::io;
use std::os::fd::AsFd;

use super::Caller;
use crate::linux::terminal;

/// Where the terminal does not say how wide it is.
const USUAL_WIDTH: usize = 80;

/// The line, if there is a terminal for it.
pub struct LiveLine {
    wanted: bool,
    shown: String,
}

impl LiveLine {
    /// Nothing is shown yet.
    pub fn new(wanted: bool) -> LiveLine {
        LiveLine { wanted, shown: String::new() }
    }

    /// Shows `text`, and `end` behind it, which is kept when there is not room for both.
    pub fn show(&mut self, text: &str, end: &str, caller: &mut Caller<'_>) {
        if !self.wanted {
            return;
        }
        let line = fitting(text, end, width());
        self.clear(caller);
        let (dim, plain) = if caller.colour { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        // The cursor rests at its beginning: a terminal that is made narrower and breaks the line in two keeps it there, and all
        // of it can be wiped from there on.
        let _ = write!(caller.err, "{dim}{line}{plain}\r");
        let _ = caller.err.flush();
        self.shown = line;
    }

    /// Wipes it.
    pub fn clear(&mut self, caller: &mut Caller<'_>) {
        let shown = std::mem::take(&mut self.shown);
        if shown.is_empty() {
            return;
        }
        if caller.colour {
            let _ = write!(caller.err, "\r\x1b[J");
        } else {
            // One who wants no colour gets no escape codes at all.
            let _ = write!(caller.err, "\r{:width$}\r", "", width = shown.chars().count());
        }
        let _ = caller.err.flush();
    }
}

/// How wide the terminal of stderr is.
pub fn width() -> usize {
    let columns = terminal::size(io::stderr().as_fd()).map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { USUAL_WIDTH } else { columns }
}

/// Not to the last column: a cursor behind it is in the next line on some terminals.
fn fitting(text: &str, end: &str, width: usize) -> String {
    let room = width.saturating_sub(1);
    let (length, kept) = (text.chars().count(), end.chars().count());
    if length + kept <= room || kept >= room {
        return text.chars().chain(end.chars()).take(room).collect();
    }
    let cut: String = text.chars().take(room.saturating_sub(kept + 1)).collect();
    format!("{cut}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_and_keeps_its_end() {
        assert_eq!(fitting("pod/web: Running", " - Ctrl-C ends", 80), "pod/web: Running - Ctrl-C ends");
        assert_eq!(fitting("pod/web: Running", " - Ctrl-C ends", 24), "pod/web:… - Ctrl-C ends");
        assert_eq!(fitting("pod/web: Running", " - Ctrl-C ends", 9), "pod/web:");
        assert_eq!(fitting("pod/web: Running", "", 10), "pod/web:…");
        assert_eq!(fitting("a", "b", 0), "");
        for width in 0..40 {
            assert!(fitting("pod/web: Running", " - Ctrl-C ends", width).chars().count() <= width.saturating_sub(1));
        }
    }
}
