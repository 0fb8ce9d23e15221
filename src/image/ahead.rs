//! A stream that one thread makes while another reads it, a mebibyte ahead at most. Decompression and digests on one side and
//! files on the other cost about the same, so that a layer is in place in little more than the time of the slower one.
//! Called by [`super::stage`] for layers and by [`super::directory`].

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes that travel at a time.
const PIECE: usize = 128 << 10;
/// Pieces that wait for the reader.
const WAITING: usize = 8;

/// The end that is written to.
#[derive(Clone)]
pub struct Sending(SyncSender<io::Result<Vec<u8>>>);

/// The end that is read from.
pub struct Receiving {
    receiver: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    read: usize,
}

/// Both ends of a stream.
pub fn stream() -> (Sending, Receiving) {
    let (sender, receiver) = sync_channel(WAITING);
    (Sending(sender), Receiving { receiver, piece: Vec::new(), read: 0 })
}

impl Sending {
    /// Sends all that comes from a reader, and its error if it has one. Ends early when nobody reads any more.
    pub fn send_all(self, mut from: impl Read) {
        loop {
            let mut piece = vec![0; PIECE];
            let sent = match fill(&mut from, &mut piece) {
                Ok(0) => return,
                Ok(n) => {
                    piece.truncate(n);
                    self.0.send(Ok(piece))
                }
                Err(error) => return self.fail(error),
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// Has the reader end with this error.
    pub fn fail(&self, error: io::Error) {
        // Refused: the reader has gone, and has an error of its own.
        let _ = self.0.send(Err(error));
    }
}

/// A whole piece unless the stream ends, or fails behind what was read so far.
fn fill(from: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match from.read(piece.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(Ok(bytes.to_vec())).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Receiving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read >= self.piece.len() {
            match self.receiver.recv() {
                Ok(piece) => (self.piece, self.read) = (piece?, 0),
                Err(_) => return Ok(0),
            }
        }
        let left = self.piece.get(self.read..).unwrap_or_default();
        let n = left.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), left.get(..n)) {
            to.copy_from_slice(from);
        }
        self.read += n;
        Ok(n)
    }
}
