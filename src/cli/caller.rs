//! Who asks: where the answer goes, what the clock says, where podlet's files are. [`super::main`] makes one for the
//! process, tests make others. It holds no state of any pod.

use std::io::{self, Write};

use jiff::Timestamp;

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

    /// Writes data.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }
}
