//! The clients that see what a container writes as it comes (`attach`): what was taken from its pipes is written into theirs,
//! too, before it goes into the log. Called by a log's own thread.
//!
//! As with every runtime, a client that does not read holds the container back, as a terminal does at Ctrl-S. The log itself
//! waits for nobody: what came before is in it. Once the container has ended nothing is held back any more.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::unistd::write;

use super::Stream;
use super::books::{Books, nonblocking};

/// One client.
pub struct Attached {
    /// Which.
    pub connection: u64,
    outputs: [Output; 2],
}

/// One stream as this client has it.
struct Output {
    /// None once nobody reads it.
    pipe: Option<OwnedFd>,
    /// How far into the stream it has been given.
    position: u64,
    /// Given, but not yet taken by the pipe.
    waiting: VecDeque<u8>,
}

impl Attached {
    /// `pipes` are the writing ends for stdout and stderr; `positions` is how far the client has seen the streams already: from
    /// there it goes on, if that is still here. Without, it begins at the start of the line that has not ended.
    pub fn new(
        connection: u64,
        pipes: [OwnedFd; 2],
        positions: Option<[u64; 2]>,
        books: &Books,
    ) -> io::Result<Attached> {
        for pipe in &pipes {
            nonblocking(pipe.as_fd())?;
        }
        let [at_out, at_err] = positions.unwrap_or_else(|| Stream::BOTH.map(|which| books.line_begins(which)));
        let [out, err] = pipes;
        let output = |pipe, position, which| {
            let position = books.oldest(which).max(position);
            Output { pipe: Some(pipe), position, waiting: VecDeque::new() }
        };
        let outputs = [output(out, at_out, Stream::Stdout), output(err, at_err, Stream::Stderr)];
        Ok(Attached { connection, outputs })
    }

    /// How far into the streams it has been given.
    pub fn positions(&self) -> [u64; 2] {
        self.outputs.each_ref().map(|output| output.position)
    }

    /// Gives it what has come of a stream.
    pub fn show(&mut self, which: Stream, books: &Books) -> io::Result<()> {
        let output = self.output(which);
        let (bytes, position) = books.since(which, output.position)?;
        output.position = output.position.max(position);
        output.waiting.extend(bytes);
        output.flush();
        Ok(())
    }

    /// Bytes were dropped up to this position of a stream.
    pub fn skip(&mut self, which: Stream, position: u64) {
        let output = self.output(which);
        output.position = output.position.max(position);
    }

    /// Writes what waits, as far as it is taken; whether some still waits.
    pub fn flush(&mut self, which: Stream) -> bool {
        self.output(which).flush();
        self.waits_for(which).is_some()
    }

    /// The pipe that must take something before this client can be given more.
    pub fn waits_for(&self, which: Stream) -> Option<BorrowedFd<'_>> {
        let [out, err] = &self.outputs;
        let output = if which == Stream::Stdout { out } else { err };
        output.pipe.as_ref().filter(|_| !output.waiting.is_empty()).map(AsFd::as_fd)
    }

    fn output(&mut self, which: Stream) -> &mut Output {
        let [out, err] = &mut self.outputs;
        if which == Stream::Stdout { out } else { err }
    }
}

impl Output {
    fn flush(&mut self) {
        while let Some(pipe) = &self.pipe {
            let (next, _) = self.waiting.as_slices();
            if next.is_empty() {
                return;
            }
            match write(pipe, next) {
                Ok(taken) => drop(self.waiting.drain(..taken)),
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                // The client reads no more.
                Err(_) => self.pipe = None,
            }
        }
        self.waiting.clear();
    }
}
