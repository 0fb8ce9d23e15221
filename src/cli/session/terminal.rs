//! The caller's own terminal while a process in a container has it: raw, so that every key goes there, and given back as it
//! was, however the session ends. Signals that would end the caller become readable descriptors for that time.

use std::io;

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};

use super::super::signals::Told;

/// The terminal in raw mode; dropping gives it back.
pub struct Raw {
    before: Termios,
    /// The window was made larger or smaller.
    pub resized: Told,
    /// The caller is to end.
    pub ends: Vec<Told>,
}

impl Raw {
    /// Takes the terminal on standard input.
    pub fn take() -> io::Result<Raw> {
        let before = tcgetattr(io::stdin())?;
        // Before the mode changes: from then on nothing may end this process without giving the terminal back.
        let ends = [SIGHUP, SIGINT, SIGQUIT, SIGTERM].into_iter().map(Told::new).collect::<io::Result<_>>()?;
        let resized = Told::new(SIGWINCH)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?;
        Ok(Raw { before, resized, ends })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Not TCSADRAIN: a terminal whose reader is stuck must not keep this process.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}
