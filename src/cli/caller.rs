//! Who asks: where the answer goes, what the clock says, where podlet's files are. [`super::main`] makes one for the
//! process, tests make others. It holds no state of any pod.

use std::borrow::Cow;
use std::io::{self, Write};
use std::os::fd::AsFd;

use jiff::Timestamp;

use crate::linux::terminal;
use crate::paths::Paths;

/// What time it is for the one who reads ages.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's.
    System,
    /// Always this instant: recorded output can be compared only at the instant of the recording.
    Fixed(Timestamp),
}

/// The one who typed the command, as far as verbs need to know.
pub struct Caller<'a> {
    /// Where podlet keeps things.
    pub paths: Paths,
    /// What ages are reckoned from.
    pub clock: Clock,
    /// Data. Buffered; flushed at the end, and by verbs that stream after each piece.
    pub out: &'a mut dyn Write,
    /// Notices and errors. Not buffered.
    pub err: &'a mut dyn Write,
    /// `out` is a terminal that can be written over.
    pub out_terminal: bool,
    /// `err` is a terminal that can be written over.
    pub err_terminal: bool,
    /// `NO_COLOR` is not set.
    pub colour: bool,
}

impl Caller<'_> {
    /// Now.
    pub fn now(&self) -> Timestamp {
        match self.clock {
            Clock::System => Timestamp::now(),
            Clock::Fixed(instant) => instant,
        }
    }

    /// A line for the person, on stderr. An stderr that cannot be written to is nobody's concern.
    pub fn notice(&mut self, text: &str) {
        let _ = writeln!(self.err, "{text}");
    }

    /// Writes rows of a table. On a terminal none is broken in two: what does not fit ends in `…`; a pipe gets all of it.
    pub fn print_table(&mut self, rows: &str) -> io::Result<()> {
        if !self.out_terminal {
            return self.print(rows);
        }
        let columns = terminal::size(io::stdout().as_fd()).map_or(0, |size| usize::from(size.ws_col));
        rows.split_inclusive('\n').try_for_each(|row| self.print(&fitting(row, columns)))
    }

    /// Writes data.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }
}

/// A row, cut to so many characters; as it is where the terminal does not say how wide it is.
fn fitting(row: &str, columns: usize) -> Cow<'_, str> {
    let text = row.strip_suffix('\n').unwrap_or(row).trim_end_matches(' ');
    if columns == 0 || text.chars().count() <= columns {
        return Cow::Borrowed(row);
    }
    let cut: String = text.chars().take(columns.saturating_sub(1)).collect();
    Cow::Owned(format!("{}…{}", cut.trim_end(), if row.ends_with('\n') { "\n" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_fits_the_terminal() {
        assert_eq!(fitting("web   1/1   Running\n", 80), "web   1/1   Running\n");
        assert_eq!(fitting("web   1/1   Running   \n", 19), "web   1/1   Running   \n");
        assert_eq!(fitting("web   1/1   Running\n", 18), "web   1/1   Runni…\n");
        assert_eq!(fitting("web   1/1   Running\n", 12), "web   1/1…\n");
        assert_eq!(fitting("web   1/1   Running", 0), "web   1/1   Running");
    }
}
