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
//! one of them has a batch in flight**, and nothing is begun before that one is finished. A full disk leaves its batch in
//! flight, the pipes fill, and the writers wait.
//!
//! Rotation happens between batches: {stamp} is committed first, so that the rotated file's name is known to whoever has to
//! finish the work; at no moment is there no `<n>.log`.
//!
//! Called by [`super::streams`] whenever a pipe is readable. Never waits for a pipe.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FallocateFlags, OFlag, SpliceFFlags, fallocate, open, openat, renameat, splice};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::clock;
use super::cri::{self, Rest, Stream};
use super::fault::{self, Point};
use crate::pod::time::WallTime;

/// The most that one splice takes: a pipe's default capacity (pipe(7)).
const BATCH: usize = 64 * 1024;
/// M is rewound before a batch would end beyond this.
const STAGING: u64 = 3 * BATCH as u64;
/// An idle stream whose M holds more than this gives its memory back.
const IDLE_STAGING: u64 = 32 * 1024;
/// Formatted records are written in pieces of about this size: short lines grow manifold.
const WRITE: usize = 128 * 1024;

/// When a log file is put aside, and how many are kept (kubelet: containerLogMaxSize, containerLogMaxFiles).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes.
    pub size: u64,
    /// The current one included.
    pub files: usize,
}

impl Default for Rotation {
    fn default() -> Rotation {
        Rotation { size: 10 * 1024 * 1024, files: 5 }
    }
}

/// Where one stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct StreamSlot {
    /// Bytes of M that are in the log already.
    consumed: u64,
    /// A batch in flight ends here; 0: none is.
    n: u64,
    /// The batch's time.
    time: i64,
    /// 1 + the length of the rest that has been copied to M's front; 0: no rewind is under way.
    wrap: u64,
    /// The pipe has ended.
    ended: bool,
}

/// Everything that must survive, as of one commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    /// The log file's committed length.
    offset: u64,
    /// When a rotation under way began (it makes the name); 0: none is.
    stamp: i64,
    /// stdout, stderr.
    streams: [StreamSlot; 2],
}

const WORDS: usize = 12;
const SLOT_AT: [u64; 2] = [64, 64 + 8 * WORDS as u64 + 32];

impl Slot {
    fn to_bytes(self) -> [u8; 8 * WORDS] {
        let [a, b] = self.streams;
        let words = [
            self.offset,
            self.stamp as u64,
            a.consumed,
            a.n,
            a.time as u64,
            a.wrap,
            u64::from(a.ended),
            b.consumed,
            b.n,
            b.time as u64,
            b.wrap,
            u64::from(b.ended),
        ];
        let mut bytes = [0; 8 * WORDS];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; 8 * WORDS]) -> Slot {
        let mut words = [0u64; WORDS];
        for (word, from) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(from.try_into().unwrap_or_default());
        }
        let [offset, stamp, ac, an, at, aw, ae, bc, bn, bt, bw, be] = words;
        let stream =
            |consumed, n, time, wrap, ended| StreamSlot { consumed, n, time: time as i64, wrap, ended: ended != 0 };
        Slot { offset, stamp: stamp as i64, streams: [stream(ac, an, at, aw, ae), stream(bc, bn, bt, bw, be)] }
    }
}

/// R: the record page.
struct RecordPage {
    page: File,
    /// Which slot counts.
    index: u32,
    slot: Slot,
}

impl RecordPage {
    /// A page of zeros is the record of a log that has not begun.
    fn read(page: File) -> io::Result<RecordPage> {
        let mut index = [0; 4];
        page.read_exact_at(&mut index, 0)?;
        let index = u32::from_le_bytes(index) & 1;
        let mut bytes = [0; 8 * WORDS];
        page.read_exact_at(&mut bytes, SLOT_AT[index as usize & 1])?;
        Ok(RecordPage { page, index, slot: Slot::from_bytes(&bytes) })
    }

    fn commit(&mut self, slot: Slot) -> io::Result<()> {
        let other = (self.index ^ 1) & 1;
        self.page.write_all_at(&slot.to_bytes(), SLOT_AT[other as usize])?;
        self.page.write_all_at(&other.to_le_bytes(), 0)?;
        self.index = other;
        self.slot = slot;
        Ok(())
    }
}

/// The descriptors of one container instance's log, as the keeper holds them.
pub struct Held {
    /// The pipes' reading ends; they are set non-blocking.
    pub pipes: [OwnedFd; 2],
    /// M of each.
    pub staging: [OwnedFd; 2],
    /// R.
    pub record: OwnedFd,
}

impl Held {
    /// Makes M and R for two new pipes.
    pub fn new(pipes: [OwnedFd; 2]) -> io::Result<Held> {
        let record = memfd_create("podlet-log-record", MFdFlags::MFD_CLOEXEC)?;
        File::from(record.try_clone()?).set_len(4096)?;
        Ok(Held {
            pipes,
            staging: [
                memfd_create("podlet-log-stdout", MFdFlags::MFD_CLOEXEC)?,
                memfd_create("podlet-log-stderr", MFdFlags::MFD_CLOEXEC)?,
            ],
            record,
        })
    }

    /// For pipes whose M and R are lost: goes on at this length of the log.
    pub fn onward(pipes: [OwnedFd; 2], length: u64) -> io::Result<Held> {
        let held = Held::new(pipes)?;
        let slot = Slot { offset: length, ..Slot::default() };
        // The index of a new page is zero.
        File::from(held.record.try_clone()?).write_all_at(&slot.to_bytes(), SLOT_AT[0])?;
        Ok(held)
    }
}

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

/// One container instance's log.
pub struct ContainerLog {
    pipes: [OwnedFd; 2],
    staging: [File; 2],
    record: RecordPage,
    directory: OwnedFd,
    name: String,
    file: File,
    rotation: Rotation,
}

impl ContainerLog {
    /// Opens the log file (`<directory>/<name>`; both are made when missing) and finishes what a killed predecessor left.
    pub fn open(held: Held, directory: &Path, name: &str, rotation: Rotation) -> io::Result<ContainerLog> {
        super::files::private_directory(directory)?;
        let directory = open(directory, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let file = open_log(directory.as_fd(), name)?;
        for pipe in &held.pipes {
            nonblocking(pipe.as_fd())?;
        }
        let [a, b] = held.staging;
        let mut log = ContainerLog {
            pipes: held.pipes,
            staging: [File::from(a), File::from(b)],
            record: RecordPage::read(File::from(held.record))?,
            directory,
            name: name.to_owned(),
            file,
            rotation,
        };
        if log.record.slot.stamp != 0 {
            log.finish_rotation()?;
        }
        for which in Stream::BOTH {
            if log.state(which).wrap != 0 {
                log.finish_rewind(which)?;
            }
        }
        Ok(log)
    }

    /// The pipe of a stream, to be watched for input.
    pub fn pipe(&self, which: Stream) -> BorrowedFd<'_> {
        let [stdout, stderr] = &self.pipes;
        match which {
            Stream::Stdout => stdout.as_fd(),
            Stream::Stderr => stderr.as_fd(),
        }
    }

    /// Whether both pipes have ended and all is written.
    pub fn ended(&self) -> bool {
        Stream::BOTH.iter().all(|which| self.state(*which).ended && self.state(*which).n == 0)
    }

    /// Takes one batch from a pipe and writes it. After an error (a full disk) nothing is lost: call again later.
    pub fn pump(&mut self, which: Stream) -> io::Result<Pumped> {
        self.finish_batches()?;
        if self.record.slot.offset >= self.rotation.size {
            self.rotate()?;
        }
        if self.state(which).ended {
            return Ok(Pumped::Ended);
        }
        let position = self.staging(which).stream_position()?;
        if position > self.state(which).consumed && self.batch_waits(which, position)? {
            return Ok(Pumped::More);
        }
        if position + BATCH as u64 > STAGING {
            self.rewind(which, position)?;
        }
        let taken = loop {
            let [stdout, stderr] = &self.pipes;
            let [staging_out, staging_err] = &self.staging;
            let (pipe, staging) = match which {
                Stream::Stdout => (stdout, staging_out),
                Stream::Stderr => (stderr, staging_err),
            };
            match splice(pipe, None, staging, None, BATCH, SpliceFFlags::SPLICE_F_NONBLOCK) {
                Err(Errno::EINTR) => {}
                other => break other,
            }
        };
        match taken {
            Err(Errno::EAGAIN) => {
                let position = self.staging(which).stream_position()?;
                if position > IDLE_STAGING && self.state(which).consumed == position {
                    self.rewind(which, position)?;
                    // Pages of M are charged to podlet's own cgroup; an idle stream needs none.
                    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
                    let _ = fallocate(self.staging(which), hole, 0, 2 * STAGING as i64);
                }
                Ok(Pumped::Idle)
            }
            Err(errno) => Err(errno.into()),
            Ok(0) => {
                self.begin_batch(which, Rest::Ends)?;
                self.finish_batches()?;
                Ok(Pumped::Ended)
            }
            Ok(_) => {
                fault::at(Point::Spliced);
                self.begin_batch(which, Rest::MayFollow)?;
                self.finish_batches()?;
                Ok(Pumped::More)
            }
        }
    }

    /// Bytes that a killed predecessor has spliced but not committed are a new batch, if they hold more than the start of
    /// a line.
    fn batch_waits(&mut self, which: Stream, position: u64) -> io::Result<bool> {
        let before = self.state(which).consumed;
        // An unfinished line was looked at already when it came; it is never longer than one record.
        if position - before <= cri::MAXIMUM_CONTENT as u64 && !self.holds_a_line(which, before, position)? {
            return Ok(false);
        }
        self.begin_batch(which, Rest::MayFollow)?;
        self.finish_batches()?;
        Ok(true)
    }

    fn holds_a_line(&self, which: Stream, from: u64, to: u64) -> io::Result<bool> {
        let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(0)];
        self.staging(which).read_exact_at(&mut bytes, from)?;
        Ok(bytes.contains(&b'\n'))
    }

    /// Step 2 of a batch.
    fn begin_batch(&mut self, which: Stream, rest: Rest) -> io::Result<()> {
        let position = self.staging(which).stream_position()?;
        self.commit(which, |state| {
            // Nothing to write: no batch (n = 0), even at the end of a stream that never said anything.
            state.n = if position > state.consumed { position } else { 0 };
            state.time = clock::now().wall.0;
            state.ended = rest == Rest::Ends;
        })
    }

    /// Steps 3 and 4, for whichever stream has a batch in flight.
    fn finish_batches(&mut self) -> io::Result<()> {
        for which in Stream::BOTH {
            let state = self.state(which);
            if state.n == 0 {
                continue;
            }
            fault::at(Point::Batched);
            let mut input = vec![0; usize::try_from(state.n.saturating_sub(state.consumed)).unwrap_or(0)];
            self.staging(which).read_exact_at(&mut input, state.consumed)?;
            let time = clock::rfc3339_nanoseconds(WallTime(state.time));
            let mut offset = self.record.slot.offset;
            let (mut used, mut output) = (0, Vec::new());
            // In pieces that end on line ends, all but the last: the pieces are the same each time.
            while let Some(left) = input.get(used..).filter(|left| !left.is_empty()) {
                let piece = line_piece(left);
                let last = piece.len() == left.len();
                let rest = if last && state.ended { Rest::Ends } else { Rest::MayFollow };
                output.clear();
                let taken = cri::format(&time, which, piece, rest, &mut output);
                self.file.write_all_at(&output, offset)?;
                offset += output.len() as u64;
                used += taken;
                if last || taken == 0 {
                    break;
                }
            }
            fault::at(Point::Written);
            let mut slot = self.record.slot;
            slot.offset = offset;
            let stream = slot_of(&mut slot, which);
            stream.consumed += used as u64;
            stream.n = 0;
            self.record.commit(slot)?;
        }
        Ok(())
    }

    /// Moves what is left of M to its front. The rest is an unfinished line, shorter than what lies before it, so copying
    /// it destroys nothing that a second copy would need.
    fn rewind(&mut self, which: Stream, position: u64) -> io::Result<()> {
        let consumed = self.state(which).consumed;
        let length = position - consumed;
        if length > consumed {
            return Ok(());
        }
        let mut rest = vec![0; usize::try_from(length).unwrap_or(0)];
        self.staging(which).read_exact_at(&mut rest, consumed)?;
        self.staging(which).write_all_at(&rest, 0)?;
        self.commit(which, |state| state.wrap = length + 1)?;
        self.finish_rewind(which)
    }

    fn finish_rewind(&mut self, which: Stream) -> io::Result<()> {
        let length = self.state(which).wrap - 1;
        let [stdout, stderr] = &mut self.staging;
        let staging = if which == Stream::Stdout { stdout } else { stderr };
        staging.seek(SeekFrom::Start(length))?;
        self.commit(which, |state| {
            state.consumed = 0;
            state.wrap = 0;
        })
    }

    fn rotate(&mut self) -> io::Result<()> {
        let mut slot = self.record.slot;
        slot.stamp = clock::now().wall.0.max(1);
        self.record.commit(slot)?;
        self.finish_rotation()
    }

    fn finish_rotation(&mut self) -> io::Result<()> {
        let rotated = format!("{}.{}", self.name, rotation_stamp(self.record.slot.stamp));
        let directory = self.directory.as_fd();
        match linkat(directory, self.name.as_str(), directory, rotated.as_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        // The same inode under both names: the new file has not been renamed over the old name yet.
        let current = self.inode(&self.name)?;
        if self.inode(&rotated)? == current {
            let new = format!("{}.new", self.name);
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            openat(directory, new.as_str(), flags, Mode::from_bits_truncate(0o600))?;
            renameat(directory, new.as_str(), directory, self.name.as_str())?;
        }
        self.file = open_log(directory, &self.name)?;
        let mut slot = self.record.slot;
        slot.offset = 0;
        slot.stamp = 0;
        self.record.commit(slot)?;
        self.prune();
        Ok(())
    }

    fn inode(&self, name: &str) -> io::Result<u64> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(File::from(openat(&self.directory, name, flags, Mode::empty())?).metadata()?.ino())
    }

    /// Removes the oldest rotated files. What cannot be removed now is tried again after the next rotation.
    fn prune(&self) {
        let Ok(mut listing) = nix::dir::Dir::openat(
            &self.directory,
            ".",
            OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        ) else {
            return;
        };
        let prefix = format!("{}.2", self.name);
        let mut rotated: Vec<String> = listing
            .iter()
            .filter_map(|entry| Some(entry.ok()?.file_name().to_str().ok()?.to_owned()))
            .filter(|name| name.starts_with(&prefix))
            .collect();
        rotated.sort();
        let surplus = rotated.len().saturating_sub(self.rotation.files.saturating_sub(1));
        for name in rotated.iter().take(surplus) {
            let _ = unlinkat(&self.directory, name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }

    fn state(&self, which: Stream) -> StreamSlot {
        let [stdout, stderr] = self.record.slot.streams;
        match which {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        }
    }

    fn staging(&self, which: Stream) -> &File {
        let [stdout, stderr] = &self.staging;
        match which {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        }
    }

    fn commit(&mut self, which: Stream, change: impl FnOnce(&mut StreamSlot)) -> io::Result<()> {
        let mut slot = self.record.slot;
        change(slot_of(&mut slot, which));
        self.record.commit(slot)
    }
}

fn slot_of(slot: &mut Slot, which: Stream) -> &mut StreamSlot {
    let [stdout, stderr] = &mut slot.streams;
    match which {
        Stream::Stdout => stdout,
        Stream::Stderr => stderr,
    }
}

/// The part of a batch to be formatted at once: whole lines for as long as they fill about [`WRITE`] bytes when each has
/// its head of some fifty bytes, or everything.
fn line_piece(left: &[u8]) -> &[u8] {
    let mut formatted = 0;
    let mut end = 0;
    for line in left.split_inclusive(|byte| *byte == b'\n') {
        formatted += line.len() + 50;
        end += line.len();
        if formatted >= WRITE && line.ends_with(b"\n") {
            return left.get(..end).unwrap_or(left);
        }
    }
    left
}

/// `20260101-000000.000000000`: the kubelet's stamp with the nanoseconds added, so that two rotations within a second
/// have two names. Sorts as time does.
fn rotation_stamp(at: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(at)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{}.{:09}", time.strftime("%Y%m%d-%H%M%S"), at.rem_euclid(1_000_000_000))
}

/// Opens a log file for writing at offsets, making it when missing. What lies there must be a plain file that nobody has
/// linked elsewhere: the directory could have been given to a container as a volume (hardening T13).
fn open_log(directory: BorrowedFd<'_>, name: &str) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = File::from(openat(directory, name, flags, Mode::from_bits_truncate(0o600))?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other(format!("the log file {name} is not a regular file; remove it")));
    }
    Ok(file)
}

fn nonblocking(pipe: BorrowedFd<'_>) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

#[cfg(test)]
#[path = "log_test.rs"]
mod tests;
