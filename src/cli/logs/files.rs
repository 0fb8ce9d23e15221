//! The log files of one container instance, read as one stream of records: `<n>.log.<stamp>`, oldest first, then
//! `<n>.log`. A file is told by its inode: rotation gives it another name while it is being read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::super::Failure;
use crate::supervisor::cri::{self, Record};

/// Read at once.
const PIECE: usize = 64 * 1024;
/// A line that is longer is no record of podlet's; it is passed over.
const LONGEST: usize = 4 * cri::MAXIMUM_CONTENT;

/// What the one who takes records wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next.
    On,
    /// None any more.
    Enough,
}

/// Reads the files of one instance.
pub struct Reader {
    directory: PathBuf,
    attempt: u32,
    open: Option<Open>,
    /// The start of a line whose end is not there yet.
    rest: Vec<u8>,
}

struct Open {
    file: File,
    identity: (u64, u64),
}

impl Reader {
    /// Of the instance `attempt` of the container whose logs lie in `directory`. Its files may not be there yet.
    pub fn new(directory: &Path, attempt: u32) -> Reader {
        Reader { directory: directory.to_owned(), attempt, open: None, rest: Vec::new() }
    }

    /// Passes over all but the last so many lines.
    pub fn skip_to_tail(&mut self, lines: u64) -> Result<(), Failure> {
        let files = self.files()?;
        let mut starts = std::collections::VecDeque::new();
        let keep = usize::try_from(lines).unwrap_or(usize::MAX);
        let mut in_line = false;
        let mut end = None;
        for path in &files {
            let Some(open) = self.open_file(path)? else { continue };
            let mut offset = 0;
            let mut reader = io::BufReader::with_capacity(PIECE, &open.file);
            let mut line = Vec::new();
            loop {
                line.clear();
                let length =
                    io::BufRead::read_until(&mut reader, b'\n', &mut line).map_err(|e| unreadable(path, &e))?;
                if line.pop() != Some(b'\n') {
                    break;
                }
                // A line in several records counts once, from its first.
                if let Some(record) = cri::parse(&line)
                    && !std::mem::replace(&mut in_line, !record.full)
                {
                    starts.push_back((path.clone(), offset));
                    if starts.len() > keep {
                        starts.pop_front();
                    }
                }
                offset += length as u64;
            }
            end = Some((path.clone(), offset));
        }
        let Some((path, offset)) = starts.pop_front().or(end) else { return Ok(()) };
        // Rotation in this moment: what was not found again is shown from its beginning.
        if let Some(mut open) = self.open_file(&path)? {
            open.file.seek(SeekFrom::Start(offset)).map_err(|e| unreadable(&path, &e))?;
            self.open = Some(open);
        }
        Ok(())
    }

    /// Hands on every whole record that is there.
    pub fn read(&mut self, take: &mut dyn FnMut(&Record<'_>) -> Result<Flow, Failure>) -> Result<Flow, Failure> {
        if self.open.is_none() && !self.open_next()? {
            return Ok(Flow::On);
        }
        loop {
            if self.read_file(take)? == Flow::Enough {
                return Ok(Flow::Enough);
            }
            if !self.open_next()? {
                return Ok(Flow::On);
            }
        }
    }

    /// The file that is being written, to be watched.
    pub fn current(&self) -> PathBuf {
        self.directory.join(format!("{}.log", self.attempt))
    }

    fn read_file(&mut self, take: &mut dyn FnMut(&Record<'_>) -> Result<Flow, Failure>) -> Result<Flow, Failure> {
        let Some(open) = &mut self.open else { return Ok(Flow::On) };
        let mut piece = vec![0; PIECE];
        loop {
            let length = match open.file.read(&mut piece) {
                Ok(0) => return Ok(Flow::On),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(unreadable(&self.directory.join(format!("{}.log", self.attempt)), &error));
                }
            };
            for line in piece.get(..length).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
                if self.rest.len() + line.len() <= LONGEST {
                    self.rest.extend_from_slice(line);
                }
                if !line.ends_with(b"\n") {
                    continue;
                }
                let whole = std::mem::take(&mut self.rest);
                let flow = match cri::parse(whole.strip_suffix(b"\n").unwrap_or(&whole)) {
                    Some(record) => take(&record)?,
                    None => Flow::On,
                };
                self.rest = whole;
                self.rest.clear();
                if flow == Flow::Enough {
                    return Ok(Flow::Enough);
                }
            }
        }
    }

    /// Goes on to the file after the open one, or to the first; false: there is none.
    fn open_next(&mut self) -> Result<bool, Failure> {
        let mut candidates = Vec::new();
        for path in self.files()? {
            candidates.extend(self.open_file(&path)?);
        }
        let after = match &self.open {
            // While a file is put aside it has two names for a moment; the later is meant.
            Some(open) => match candidates.iter().rposition(|candidate| candidate.identity == open.identity) {
                Some(at) => at + 1,
                // It has been removed meanwhile, and perhaps others behind it: on with the oldest that is there.
                None => 0,
            },
            None => 0,
        };
        match candidates.into_iter().nth(after) {
            Some(next) => {
                self.open = Some(next);
                // What a writer left unfinished before a file was put aside is not the start of the next one.
                self.rest.clear();
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// All files of the instance that are there, oldest first: the stamps sort as time does.
    fn files(&self) -> Result<Vec<PathBuf>, Failure> {
        let current = format!("{}.log", self.attempt);
        let rotated = format!("{current}.2");
        let listing = match std::fs::read_dir(&self.directory) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(&self.directory, &error)),
        };
        let names = listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| *name == current || name.starts_with(&rotated)).collect();
        // `0.log` would sort before `0.log.2026…`.
        names.sort_by_key(|name| (*name == current, name.clone()));
        Ok(names.into_iter().map(|name| self.directory.join(name)).collect())
    }

    /// Opens a file; none when it has gone. A container can have been given the directory as a volume and have put there
    /// what it likes: nothing but a plain file is read, and no link followed.
    fn open_file(&self, path: &Path) -> Result<Option<Open>, Failure> {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
        let file = match File::options().read(true).custom_flags(flags).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(path, &error)),
        };
        let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
        if !metadata.is_file() {
            return Err(unreadable(path, &io::Error::other("it is not a regular file")));
        }
        Ok(Some(Open { file, identity: (metadata.dev(), metadata.ino()) }))
    }
}

/// The greatest instance number of which there are log files, up to `at_most`.
pub fn newest_attempt(directory: &Path, at_most: u32) -> Option<u32> {
    let listing = std::fs::read_dir(directory).ok()?;
    let names = listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.split_once(".log")?.0.parse::<u32>().ok()).filter(|attempt| *attempt <= at_most).max()
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Error(format!("could not read the log {}: {error}", path.display()))
}

#[cfg(test)]
#[path = "files_test.rs"]
mod tests;
