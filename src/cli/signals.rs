//! Signals as readable descriptors, for verbs that must put something in order before they end: `exec` gives the terminal
//! back, `up` ends its pods, `apply --wait` says 130.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::low_level::{pipe, unregister};

/// A signal that is told by a descriptor.
pub struct Told {
    /// Its number.
    pub signal: i32,
    socket: UnixStream,
    id: signal_hook::SigId,
}

impl Told {
    /// From here on this signal does nothing but make a descriptor readable.
    pub fn new(signal: i32) -> io::Result<Told> {
        let (socket, writer) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        Ok(Told { signal, socket, id: pipe::register(signal, writer)? })
    }

    /// How often it came since.
    pub fn take(&self) -> usize {
        let mut bytes = [0; 64];
        io::Read::read(&mut &self.socket, &mut bytes).unwrap_or(0)
    }
}

impl AsFd for Told {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        unregister(self.id);
    }
}
