//! Copies a container's stdout and stderr into its log file, each byte exactly once, whatever is killed when.
//!
//! For each stream there is a pipe and a memfd **M** (staging); for both together a memfd **R**, the record page. All of
//! them are held by the keeper, so they outlive the supervisor. What has been taken from a pipe is counted by M's *own
//! file position*, which the kernel keeps in the open file description and moves in the same splice(2): no kill can fall
//! between taking and counting. R has two slots and an index; a commit writes the other slot whole and then flips the
//! index (four bytes, aligned, in one page).
//!
//! A batch: 1. `splice(pipe → M)`. 2. commit {n = M's position, t = now}. 3. format `M[consumed..n)` with the one time t
//! and `pwrite` it at `offset`. 4. commit {offset += written, consumed += used, n = 0}. After a kill, n ≠ 0 means: do 3 and
//! 4 again, which writes the same bytes to the same place. Both streams share the file and so its one `offset`: **at most
//! one of them has a batch in flight**, and nothing is begun before that one is finished.
//!
//! Rotation happens between batches: {stamp} is committed first, so that the rotated file's name is known to whoever has to
//! finish the work; at no moment is there no `<n>.log`.
//!
//! A disk that is full or does not answer leaves its batch in flight; the pipes fill, and the container waits, for ten
//! seconds at most. Then the supervisor drops what comes and counts it ([`Books::drop_waiting`]), and the log says so, at
//! the place, once it can be written again.
//!
//! Clients that watch it live ([`attached`]) are given the same bytes.
//!
//! Three parts, by what may touch them: [`record`] is R; [`books`] is all that never waits, shared under a lock by the log's
//! thread and the supervisor; [`file`] is the disk, the thread's alone. The thread is in [`super::streams`].

mod attached;
mod books;
mod file;
mod held;
mod record;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use attached::Attached;
pub use books::Books;
pub use file::Rotation;
pub use held::{Held, Outputs};

use self::file::LogFile;
use self::record::Slot;
use super::clock;
use super::cri::{self, Stream};
use crate::pod::time::WallTime;

/// Formatted records are written in pieces that end at multiples of this in the file: short lines grow manifold, and caches
/// are small.
const PIECE: usize = 64 * 1024;

/// How long clients have to come back after their supervisor's death.
const RETURN: Duration = Duration::from_secs(5);

/// [`Books`] of one log, as two threads have them.
pub type SharedBooks = Arc<Mutex<Books>>;

/// What one look at a pipe came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pumped {
    /// There may be more.
    More,
    /// The pipe is empty for now.
    Idle,
    /// All writers are gone and all that they wrote is in the log.
    Ended,
}

/// The books, locked. A thread that panicked with the lock has committed whole slots or nothing: they are good.
pub fn lock(books: &SharedBooks) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One container instance's log, as its thread has it.
pub struct ContainerLog {
    books: SharedBooks,
    file: LogFile,
    attached: Vec<Attached>,
    /// The container has ended: nobody who watches holds it back.
    let_go: bool,
    /// A predecessor's clients have so long to come back before more is taken of the streams.
    awaited: Option<Instant>,
    /// Memory for a batch and for its records, kept from one to the next.
    spare: (Vec<u8>, Vec<u8>),
}

impl ContainerLog {
    /// Opens the log file (`<directory>/<name>`; both are made when missing) and finishes what a killed predecessor left.
    pub fn open(books: SharedBooks, directory: &Path, name: &str, rotation: Rotation) -> io::Result<ContainerLog> {
        let file = LogFile::open(directory, name, rotation)?;
        let spare = Default::default();
        let mut log = ContainerLog { books, file, attached: Vec::new(), let_go: false, awaited: None, spare };
        let Slot { stamp, attached, .. } = log.books().slot();
        if stamp != 0 {
            log.finish_rotation(stamp)?;
        }
        log.awaited = (attached > 0).then(|| Instant::now() + RETURN);
        Ok(log)
    }

    /// Whether both pipes have ended and all is written.
    pub fn ended(&self) -> bool {
        self.books().ended()
    }

    /// Takes one batch from a pipe and writes it. After an error (a full disk) nothing is lost: call again later.
    pub fn pump(&mut self, which: Stream) -> io::Result<Pumped> {
        self.finish_batches()?;
        let offset = self.books().slot().offset;
        if self.file.is_full(offset) {
            let stamp = self.books().begin_rotation()?;
            self.finish_rotation(stamp)?;
        }
        if self.is_held_back(which) {
            return Ok(Pumped::Idle);
        }
        let pumped = self.books().take(which)?;
        let books = lock(&self.books);
        for attached in &mut self.attached {
            attached.show(which, &books)?;
        }
        drop(books);
        self.finish_batches()?;
        Ok(pumped)
    }

    /// A client that is given what is here of what it has not seen, and what comes.
    pub fn attach(&mut self, mut attached: Attached) -> io::Result<()> {
        for which in Stream::BOTH {
            attached.show(which, &self.books())?;
        }
        self.attached.push(attached);
        let mut books = lock(&self.books);
        if self.attached.len() as u64 >= books.slot().attached {
            self.awaited = None;
            books.set_attached(self.attached.len())?;
        }
        Ok(())
    }

    /// How much longer clients of a predecessor are waited for.
    pub fn awaits(&self) -> Option<Duration> {
        let left = self.awaited?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Whether clients have all that came, or have had their time.
    pub fn is_shown(&mut self) -> bool {
        Stream::BOTH.into_iter().filter(|which| self.flush(*which)).count() == 0 && self.awaits().is_none()
    }

    /// The client of this connection is given nothing any more.
    pub fn detach(&mut self, connection: u64) {
        self.attached.retain(|attached| attached.connection != connection);
        if let Err(error) = self.books().set_attached(self.attached.len()) {
            tracing::error!("a client that has gone may be waited for: {error}");
        }
    }

    /// Whether a client must read before more is taken of a stream.
    fn is_held_back(&mut self, which: Stream) -> bool {
        (self.flush(which) || self.awaits().is_some()) && !self.let_go
    }

    /// Gives clients what waits for them; whether some still waits.
    pub fn flush(&mut self, which: Stream) -> bool {
        self.attached.iter_mut().filter_map(|attached| attached.flush(which).then_some(())).count() > 0
    }

    /// The pipes of clients that must read before more is taken of a stream.
    pub fn waits_for(&self, which: Stream) -> Vec<BorrowedFd<'_>> {
        self.attached.iter().filter_map(|attached| attached.waits_for(which)).collect()
    }

    /// The container has ended: what it has left is taken, whoever reads it.
    pub fn let_go(&mut self) {
        self.let_go = true;
    }

    /// Steps 3 and 4, for whichever stream has a batch in flight. The lock is not held while the disk is written to.
    fn finish_batches(&mut self) -> io::Result<()> {
        loop {
            let (mut memory, mut output) = std::mem::take(&mut self.spare);
            let (batch, mut offset) = {
                let books = self.books();
                (books.in_flight(&mut memory)?, books.slot().offset)
            };
            let Some(batch) = batch else {
                self.spare = (memory, output);
                return Ok(());
            };
            let time = clock::rfc3339_nanoseconds(WallTime(batch.time));
            let (mut used, mut gap) = (0, gap_records(&time, &batch));
            output.clear();
            loop {
                // A file's memory comes in large blocks where a write fills them, and each is touched once.
                let piece = PIECE - usize::try_from(offset % PIECE as u64).unwrap_or(0);
                let left = batch.bytes.get(used..).unwrap_or_default();
                used += cri::format(&time, batch.which, left, batch.rest, piece, &mut output);
                if used == batch.bytes.len() {
                    output.append(&mut gap);
                }
                let Some(bytes) = output.get(..piece.min(output.len())).filter(|bytes| !bytes.is_empty()) else {
                    break;
                };
                self.file.write(bytes, offset)?;
                offset += bytes.len() as u64;
                let written = bytes.len();
                output.drain(..written);
            }
            self.books().finish_batch(&batch, offset, used)?;
            if batch.dropped > 0 {
                let position = self.books().line_begins(batch.which);
                self.attached.iter_mut().for_each(|attached| attached.skip(batch.which, position));
            }
            self.spare = (batch.bytes, output);
        }
    }

    /// When nothing has come for a while.
    pub fn rest(&mut self) -> io::Result<()> {
        self.spare = Default::default();
        self.books().rest()
    }

    fn finish_rotation(&mut self, stamp: i64) -> io::Result<()> {
        self.file.rotate(stamp)?;
        self.books().finish_rotation()?;
        self.file.prune();
        Ok(())
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }
}

/// What the log says where bytes are missing, if any are. It depends on the batch alone: written again it is the same.
fn gap_records(time: &str, batch: &books::Batch) -> Vec<u8> {
    let mut records = Vec::new();
    if batch.dropped > 0 {
        // A line that was cut is ended here, or the next record would be read as its rest.
        let cut = batch.bytes.last().is_some_and(|byte| *byte != b'\n');
        let lines = format!(
            "{}podlet: {} bytes are missing here: the log's disk was full or did not answer\n",
            if cut { "\n" } else { "" },
            batch.dropped
        );
        cri::format(time, batch.which, lines.as_bytes(), cri::Rest::MayFollow, usize::MAX, &mut records);
    }
    records
}

#[cfg(test)]
#[path = "log_test.rs"]
mod tests;
