//! What a log's thread and the supervisor share: the pipes, M and R. Nothing here goes to a disk, so nothing here waits, and
//! one lock around it is held for microseconds. The thread takes batches out of it and writes them; the supervisor drops
//! bytes from it when the thread has been stuck at the disk for too long.
//!
//! **Dropping** keeps the count by the same trick as copying: the pipe is still spliced into M, whose file position the
//! kernel moves, and the pages are given back at once. R says from where on (`dropping`); how much was dropped is the
//! distance to M's position, exact whoever is killed when. Once the disk takes bytes again, what was kept and then a line
//! that tells of the gap are written as one batch (`gap`), and copying goes on behind it.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, OFlag, SpliceFFlags, fallocate, fcntl, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::clock;
use super::super::cri::{self, Rest};
use super::held::{Held, Outputs};
use super::record::{RecordPage, Slot, StreamSlot};
use super::{Pumped, Stream};

/// A pipe's default capacity (pipe(7)), and so the most that one splice takes.
pub const BATCH: usize = 64 * 1024;
/// That of a pipe that was found full: writer and reader wake each other less often. Beyond it processor caches are too small.
const LARGE_BATCH: usize = 256 * 1024;
/// M's memory comes in pages.
const PAGE: u64 = 4096;

/// A batch in flight, ready to be formatted.
pub struct Batch {
    /// Of which stream.
    pub which: Stream,
    /// Its one time, in nanoseconds.
    pub time: i64,
    /// The bytes up to its end or its gap.
    pub bytes: Vec<u8>,
    /// Whether the stream goes on behind `bytes`.
    pub rest: Rest,
    /// Bytes dropped behind them.
    pub dropped: u64,
}

/// A terminal that lives.
struct Terminal {
    master: OwnedFd,
    /// The writing end of the first pipe.
    into: OwnedFd,
}

/// See the module.
pub struct Books {
    pipes: [OwnedFd; 2],
    /// None where there is none, and when it has been hung up by the last of its users.
    terminal: Option<Terminal>,
    staging: [File; 2],
    /// The pipes' capacities.
    batches: [usize; 2],
    record: RecordPage,
    /// The streams of which all that is in M has been looked at.
    looked_through: Vec<Stream>,
}

impl Books {
    /// Reads the record; a rewind that a killed predecessor has begun is finished.
    pub fn open(held: Held) -> io::Result<Books> {
        let Outputs { pipes, terminal } = held.outputs;
        for end in pipes.iter().chain(&terminal) {
            nonblocking(end.as_fd())?;
        }
        // The writing end is held by nobody else: without a supervisor nobody sees that it is not there.
        let [out, _] = &pipes;
        let terminal =
            terminal.map(|master| io::Result::Ok(Terminal { master, into: writing_end(out)? })).transpose()?;
        let [a, b] = held.staging;
        let record = RecordPage::read(File::from(held.record))?;
        let batches = pipes.each_ref().map(|pipe| capacity(pipe, FcntlArg::F_GETPIPE_SZ).unwrap_or(BATCH));
        let mut books = Books {
            pipes,
            terminal,
            staging: [File::from(a), File::from(b)],
            batches,
            record,
            looked_through: Vec::new(),
        };
        for which in Stream::BOTH {
            if books.state(which).wrap != 0 {
                books.finish_rewind(which)?;
            }
        }
        Ok(books)
    }

    /// Where a stream's next bytes come from, to be watched for input.
    pub fn source(&self, which: Stream) -> BorrowedFd<'_> {
        match &self.terminal {
            Some(terminal) if which == Stream::Stdout => terminal.master.as_fd(),
            _ => self.pipe(which),
        }
    }

    /// The master of the terminal.
    pub fn terminal(&self) -> Option<BorrowedFd<'_>> {
        self.terminal.as_ref().map(|terminal| terminal.master.as_fd())
    }

    fn pipe(&self, which: Stream) -> BorrowedFd<'_> {
        let [stdout, stderr] = &self.pipes;
        match which {
            Stream::Stdout => stdout.as_fd(),
            Stream::Stderr => stderr.as_fd(),
        }
    }

    /// All that is committed.
    pub fn slot(&self) -> Slot {
        self.record.slot()
    }

    /// Whether both pipes have ended and all is written.
    pub fn ended(&self) -> bool {
        self.slot().streams.iter().all(|state| state.ended && state.n == 0 && state.dropping == 0)
    }

    /// Whether nothing is under way, what was taken from the pipes is in the log but for the start of a line, and what was
    /// needed to be quick is given back ([`Books::rest`]).
    pub fn is_at_rest(&self) -> bool {
        let rests = |which: &Stream| {
            let state = self.state(*which);
            let done = (state.n, state.gap, state.dropping, state.wrap) == (0, 0, 0, 0);
            let tidy = state.consumed == 0 || self.position(*which).is_ok_and(|position| position > state.consumed);
            // What a killed predecessor has left in M is looked at first. Of a terminal the pipe is not what wakes.
            let known = state.ended || self.looked_through.contains(which);
            let empty = || poll(&mut [PollFd::new(self.pipe(*which), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(0);
            done && tidy && known && self.batch(*which) <= BATCH && (self.terminal.is_none() || state.ended || empty())
        };
        self.slot().stamp == 0 && !self.ended() && Stream::BOTH.iter().all(rests)
    }

    /// Whether a stream has ended; what it said may still be on its way.
    pub fn stream_ended(&self, which: Stream) -> bool {
        self.state(which).ended
    }

    /// Takes what there is of a stream as the next batch. There must be none in flight.
    pub fn take(&mut self, which: Stream) -> io::Result<Pumped> {
        if self.state(which).dropping != 0 {
            let rest = if self.state(which).ended { Rest::Ends } else { Rest::MayFollow };
            self.begin_batch(which, rest)?;
            return Ok(if rest == Rest::Ends { Pumped::Ended } else { Pumped::More });
        }
        if self.state(which).ended {
            return Ok(Pumped::Ended);
        }
        let position = self.position(which)?;
        if !self.looked_through.contains(&which) {
            // What a killed predecessor has spliced but not committed is a new batch.
            if self.is_worth_a_batch(which, position - self.state(which).consumed)? {
                self.begin_batch(which, Rest::MayFollow)?;
                return Ok(Pumped::More);
            }
            self.looked_through.push(which);
        }
        // At two batches and the rest of one.
        let batch = self.batch(which);
        if position > 2 * batch as u64 {
            self.rewind(which, position)?;
        }
        self.feed(which);
        match self.splice(which)? {
            None => Ok(Pumped::Idle),
            Some(0) => {
                self.begin_batch(which, Rest::Ends)?;
                Ok(Pumped::Ended)
            }
            Some(taken) => {
                if 2 * taken > batch && batch < LARGE_BATCH {
                    self.resize_pipe(which, LARGE_BATCH);
                }
                // The rest of the line is waited for; who writes it in a thousand pieces does not make it read a thousand times.
                if self.is_worth_a_batch(which, taken as u64)? {
                    self.begin_batch(which, Rest::MayFollow)?;
                }
                Ok(Pumped::More)
            }
        }
    }

    /// When nothing has come for a while: pages of M are charged to podlet's own cgroup, and a user's pipes have a limit in all
    /// (pipe(7)); an idle stream needs neither.
    pub fn rest(&mut self) -> io::Result<()> {
        for which in Stream::BOTH {
            let (state, position) = (self.state(which), self.position(which)?);
            if self.batch(which) > BATCH {
                self.resize_pipe(which, BATCH);
            }
            if state.n == 0 && state.dropping == 0 && state.consumed == position {
                self.rewind(which, position)?;
                // It was longer before, perhaps.
                self.give_back(which, 0, 4 * LARGE_BATCH as u64);
            }
        }
        Ok(())
    }

    /// Refused where the user's pipes have reached their limit, or where what is in it does not fit: then it stays.
    fn resize_pipe(&mut self, which: Stream, size: usize) {
        let wanted = FcntlArg::F_SETPIPE_SZ(i32::try_from(size).unwrap_or(i32::MAX));
        if let Some(size) = capacity(self.pipe(which), wanted) {
            let [stdout, stderr] = &mut self.batches;
            *match which {
                Stream::Stdout => stdout,
                Stream::Stderr => stderr,
            } = size;
        }
    }

    fn batch(&self, which: Stream) -> usize {
        let [stdout, stderr] = self.batches;
        match which {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        }
    }

    /// Moves what a terminal holds into the first pipe, as far as it goes; what is in one of the two is never lost.
    fn feed(&mut self, which: Stream) {
        while let Some(Terminal { master, into }) = self.terminal.as_ref().filter(|_| which == Stream::Stdout) {
            match splice(master, None, into, None, LARGE_BATCH, SpliceFFlags::SPLICE_F_NONBLOCK) {
                Ok(moved) if moved > 0 => {}
                // It is empty, or the pipe is full.
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                // EIO: nobody has it open any more. The kernel says so when all that was written is read.
                Ok(_) | Err(_) => self.terminal = None,
            }
        }
    }

    /// Moves bytes from a pipe to its M. `None`: the pipe is empty for now; 0: it has ended.
    fn splice(&self, which: Stream) -> io::Result<Option<usize>> {
        loop {
            let batch = self.batch(which);
            match splice(self.pipe(which), None, self.staging(which), None, batch, SpliceFFlags::SPLICE_F_NONBLOCK) {
                Ok(taken) => return Ok(Some(taken)),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Whether a batch could be written, now that so many bytes have come: they end a line, or fill a record.
    fn is_worth_a_batch(&self, which: Stream, came: u64) -> io::Result<bool> {
        let position = self.position(which)?;
        if position - self.state(which).consumed > cri::MAXIMUM_CONTENT as u64 {
            return Ok(true);
        }
        Ok(memchr::memchr(b'\n', &self.bytes(which, position - came, position)?).is_some())
    }

    /// Step 2 of a batch.
    fn begin_batch(&mut self, which: Stream, rest: Rest) -> io::Result<()> {
        let position = self.position(which)?;
        self.commit(which, |state| {
            // Nothing to write: no batch (n = 0), even at the end of a stream that never said anything.
            state.n = if position > state.consumed { position } else { 0 };
            state.gap = if position >= state.dropping { state.dropping } else { 0 };
            state.dropping = 0;
            state.ended = rest == Rest::Ends;
            state.time = clock::now().wall.0;
        })
    }

    /// The batch that is in flight; its bytes are in this memory, which it takes.
    pub fn in_flight(&self, memory: &mut Vec<u8>) -> io::Result<Option<Batch>> {
        let Some(which) = Stream::BOTH.into_iter().find(|which| self.state(*which).n != 0) else { return Ok(None) };
        let state = self.state(which);
        let end = if state.gap == 0 { state.n } else { state.gap - 1 };
        let last = state.ended || state.gap != 0;
        let mut bytes = std::mem::take(memory);
        bytes.resize(usize::try_from(end.saturating_sub(state.consumed)).unwrap_or(0), 0);
        self.staging(which).read_exact_at(&mut bytes, state.consumed)?;
        Ok(Some(Batch {
            which,
            time: state.time,
            bytes,
            rest: if last { Rest::Ends } else { Rest::MayFollow },
            dropped: state.n.saturating_sub(end),
        }))
    }

    /// Step 4 of a batch: the log is so long now, so many bytes of the batch are in it.
    pub fn finish_batch(&mut self, batch: &Batch, offset: u64, used: usize) -> io::Result<()> {
        let mut slot = self.slot();
        slot.offset = offset;
        let stream = slot.stream(batch.which);
        stream.consumed = if stream.gap == 0 { stream.consumed + used as u64 } else { stream.n };
        (stream.n, stream.gap) = (0, 0);
        self.record.commit(slot)
    }

    /// A rotation is under way; its stamp.
    pub fn begin_rotation(&mut self) -> io::Result<i64> {
        let mut slot = self.slot();
        // One that could not be finished goes on under its name, or the file would be put aside under two.
        if slot.stamp == 0 {
            slot.stamp = clock::now().wall.0.max(1);
        }
        self.record.commit(slot)?;
        Ok(slot.stamp)
    }

    /// The new file is in place.
    pub fn finish_rotation(&mut self) -> io::Result<()> {
        let mut slot = self.slot();
        (slot.offset, slot.stamp) = (0, 0);
        self.record.commit(slot)
    }

    /// Drops what lies in a pipe: takes it as far as it goes, counts it, gives its memory back. Answers how much that was.
    /// Only for a log whose thread is stuck at its disk.
    pub fn drop_waiting(&mut self, which: Stream) -> io::Result<u64> {
        let before = self.position(which)?;
        if self.state(which).ended {
            return Ok(0);
        }
        if self.state(which).dropping == 0 {
            // All before this is kept: a batch in flight, and the start of a line.
            self.commit(which, |state| state.dropping = before + 1)?;
        }
        let mut dropped = 0;
        // A pipe's capacity at a time, so that a quick writer does not hold the supervisor.
        for _ in 0..4 {
            self.feed(which);
            match self.splice(which)? {
                None => break,
                Some(0) => {
                    self.commit(which, |state| state.ended = true)?;
                    break;
                }
                Some(taken) => dropped += taken as u64,
            }
        }
        // Whole pages: of the last one the last drop has left a part.
        let from = (self.state(which).dropping - 1).next_multiple_of(PAGE).max(before / PAGE * PAGE);
        let to = self.position(which)?;
        self.give_back(which, from, to.saturating_sub(from));
        Ok(dropped)
    }

    /// How many bytes have been dropped and not yet been told of in the log.
    pub fn dropped(&self, which: Stream) -> u64 {
        let state = self.state(which);
        let position = self.position(which).unwrap_or(0);
        let open = if state.dropping == 0 { 0 } else { position.saturating_sub(state.dropping - 1) };
        let in_flight = if state.gap == 0 { 0 } else { state.n.saturating_sub(state.gap - 1) };
        open + in_flight
    }

    /// Whether bytes of either stream are dropped.
    pub fn is_dropping(&self) -> bool {
        self.slot().streams.iter().any(|state| state.dropping != 0 || state.gap != 0)
    }

    /// Bytes taken from the pipe that are not in the log.
    pub fn unwritten(&self, which: Stream) -> u64 {
        self.position(which).unwrap_or(0).saturating_sub(self.state(which).consumed)
    }

    /// Where in the whole stream the line begins that has not ended yet.
    pub fn line_begins(&self, which: Stream) -> u64 {
        self.state(which).base + self.state(which).consumed
    }

    /// So many clients are shown what comes; a successor waits for them.
    pub fn set_attached(&mut self, count: usize) -> io::Result<()> {
        let slot = self.slot();
        self.record.commit(Slot { attached: count as u64, ..slot })
    }

    /// From where on a stream is still here.
    pub fn oldest(&self, which: Stream) -> u64 {
        self.state(which).base
    }

    /// What has come of a stream from this position on, and the position behind it; of what was dropped nothing. What came
    /// long ago is not here any more.
    pub fn since(&self, which: Stream, position: u64) -> io::Result<(Vec<u8>, u64)> {
        let state = self.state(which);
        let end = match (state.dropping, state.gap) {
            (0, 0) => self.position(which)?,
            (dropping, 0) => dropping - 1,
            (_, gap) => gap - 1,
        };
        let from = position.saturating_sub(state.base).min(end);
        Ok((self.bytes(which, from, end)?, state.base + end))
    }

    fn give_back(&self, which: Stream, from: u64, length: u64) {
        let (Ok(from), Ok(length)) = (i64::try_from(from), i64::try_from(length)) else { return };
        if length > 0 {
            let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            // Memory that is not given back now is given back at the next rewind.
            let _ = fallocate(self.staging(which), hole, from, length);
        }
    }

    /// Moves what is left of M to its front. The rest is an unfinished line, shorter than what lies before it, so copying
    /// it destroys nothing that a second copy would need.
    fn rewind(&mut self, which: Stream, position: u64) -> io::Result<()> {
        let consumed = self.state(which).consumed;
        let length = position - consumed;
        if length > consumed {
            return Ok(());
        }
        let rest = self.bytes(which, consumed, position)?;
        self.staging(which).write_all_at(&rest, 0)?;
        self.commit(which, |state| state.wrap = length + 1)?;
        self.finish_rewind(which)
    }

    fn finish_rewind(&mut self, which: Stream) -> io::Result<()> {
        let length = self.state(which).wrap - 1;
        let mut staging = self.staging(which);
        staging.seek(SeekFrom::Start(length))?;
        self.commit(which, |state| {
            state.base += state.consumed;
            state.consumed = 0;
            state.wrap = 0;
        })
    }

    fn bytes(&self, which: Stream, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
        self.staging(which).read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    }

    fn position(&self, which: Stream) -> io::Result<u64> {
        let mut staging = self.staging(which);
        staging.stream_position()
    }

    fn state(&self, which: Stream) -> StreamSlot {
        *self.slot().stream(which)
    }

    /// Seeking, reading and writing at offsets ask for no more than a shared file.
    fn staging(&self, which: Stream) -> &File {
        let [stdout, stderr] = &self.staging;
        match which {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        }
    }

    fn commit(&mut self, which: Stream, change: impl FnOnce(&mut StreamSlot)) -> io::Result<()> {
        let mut slot = self.slot();
        change(slot.stream(which));
        self.record.commit(slot)
    }
}

fn writing_end(reader: &OwnedFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    Ok(File::options().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?.into())
}

fn capacity(pipe: impl AsFd, ask: FcntlArg<'_>) -> Option<usize> {
    fcntl(pipe, ask).ok().and_then(|size| usize::try_from(size).ok())
}

pub(super) fn nonblocking(pipe: BorrowedFd<'_>) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
