//! One segment of the journal: a file of lines, appended to, each with its own length and checksum.
//!
//! A line is `1 <length> <crc32> <JSON>` and a newline: the line format's version, the JSON's length in bytes, its CRC-32 in
//! hexadecimal. The first line is the [`Header`]. A line counts when all of it agrees. A bad *last* line is what a kill in
//! the middle of write(2) leaves: it is cut off, and what it told is told again by whoever told it (the keeper's queue). A
//! bad line *before* the last is damage: the file is to be put aside.
//!
//! Nothing is synced: a killed process loses nothing that write(2) has taken, and the run directory does not outlive the
//! machine. One writer at a time: [`super::recover`] holds the run directory's lock.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Of the line format.
const LINE_VERSION: &str = "1";

/// How many times as long as its last snapshot a segment, or what is kept of earlier ones, may become until another is worth
/// its writing.
pub const SNAPSHOT_FACTOR: u64 = 8;

/// The first line of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Of the records.
    pub format: u32,
    /// Which machine decided what follows ([`crate::pod::VERSION`]).
    pub machine: u32,
    /// In which boot; times in records mean nothing in another.
    pub boot_id: String,
    /// podlet's version, for people.
    pub program: String,
}

/// A segment open for appending.
pub struct Journal {
    file: File,
    length: u64,
}

impl Journal {
    /// Begins a segment. A file that is there already is replaced: it was begun and never used.
    pub fn create(path: &Path, header: &Header) -> io::Result<Journal> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let mut journal = Journal { file, length: 0 };
        journal.append(&serde_json::to_vec(header).map_err(io::Error::from)?)?;
        Ok(journal)
    }

    /// Goes on with a segment that was read, behind its good lines.
    pub fn reopen(path: &Path, good: u64) -> io::Result<Journal> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(good)?;
        Ok(Journal { file, length: good })
    }

    /// Appends a record. When the call returns, the record survives this process. After an error nothing of it remains.
    pub fn append(&mut self, json: &[u8]) -> io::Result<()> {
        let line = line(json);
        // One pwrite; a second one only after a short write (a full file system), where the tail is then cut off again.
        if let Err(error) = self.file.write_all_at(&line, self.length) {
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// A line with this JSON.
pub fn line(json: &[u8]) -> Vec<u8> {
    let mut line = format!("{LINE_VERSION} {} {:08x} ", json.len(), crc32fast::hash(json)).into_bytes();
    line.extend_from_slice(json);
    line.push(b'\n');
    line
}

/// What a segment holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment {
    /// `None`: not even the first line was written whole.
    pub header: Option<Header>,
    /// The JSON of each good record, in order, the header left out.
    pub records: Vec<Vec<u8>>,
    /// Bytes up to the end of the last good line before any bad one.
    pub good: u64,
    /// What was found behind them.
    pub tail: Tail,
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// With a good line.
    Clean,
    /// With a line that was being written.
    Torn,
    /// A bad line is followed by others.
    Damaged,
}

/// Reads a segment. Any content is answered; only the file itself can fail.
pub fn read(path: &Path) -> io::Result<Segment> {
    Ok(parse(&std::fs::read(path)?))
}

fn parse(bytes: &[u8]) -> Segment {
    let lines = lines(bytes);
    let mut segment = Segment { header: None, records: Vec::new(), good: lines.good, tail: lines.tail };
    let mut json = lines.json.into_iter();
    let Some(first) = json.next() else { return segment };
    match serde_json::from_slice(first) {
        Ok(header) => segment.header = Some(header),
        Err(_) => return Segment { good: 0, tail: Tail::Damaged, ..segment },
    }
    segment.records = json.map(<[u8]>::to_vec).collect();
    segment
}

/// What stands in a file of such lines.
pub struct Lines<'b> {
    /// The JSON of each good line, in order.
    pub json: Vec<&'b [u8]>,
    /// Bytes up to the end of the last good line before any bad one.
    pub good: u64,
    /// What was found behind them.
    pub tail: Tail,
}

/// Takes a file of such lines apart.
pub fn lines(bytes: &[u8]) -> Lines<'_> {
    let mut lines = Lines { json: Vec::new(), good: 0, tail: Tail::Clean };
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = end.and_then(|end| rest.get(..end));
        let after = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
        let Some(json) = line.and_then(checked) else {
            lines.tail = if after.is_empty() { Tail::Torn } else { Tail::Damaged };
            break;
        };
        lines.json.push(json);
        lines.good += (rest.len() - after.len()) as u64;
        rest = after;
    }
    lines
}

/// The JSON of a line whose version, length and checksum are right.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let text = |field: &'_ [u8]| std::str::from_utf8(field).ok().map(str::to_owned);
    if text(fields.next()?)? != LINE_VERSION {
        return None;
    }
    let length: usize = text(fields.next()?)?.parse().ok()?;
    let crc = u32::from_str_radix(&text(fields.next()?)?, 16).ok()?;
    let json = fields.next()?;
    (json.len() == length && crc32fast::hash(json) == crc).then_some(json)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::path::PathBuf;

    fn header() -> Header {
        Header { format: 1, machine: 7, boot_id: "b".into(), program: "0".into() }
    }

    fn file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("podlet-journal-{name}-{}", std::process::id()))
    }

    fn written(name: &str, records: &[Vec<u8>]) -> (PathBuf, Vec<u8>) {
        let path = file(name);
        let mut journal = Journal::create(&path, &header()).unwrap();
        for record in records {
            journal.append(record).unwrap();
        }
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(journal.length(), bytes.len() as u64);
        (path, bytes)
    }

    fn three() -> Vec<Vec<u8>> {
        vec![b"{\"a\":1}".to_vec(), b"{}".to_vec(), b"{\"b\":\"x y z\"}".to_vec()]
    }

    #[test]
    fn cut_anywhere_it_is_a_prefix_and_goes_on() {
        let (path, bytes) = written("cut", &three());
        for end in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..end]).unwrap();
            let segment = read(&path).unwrap();
            assert_ne!(segment.tail, Tail::Damaged, "cut at {end}");
            assert_eq!(segment.records, three()[..segment.records.len()], "cut at {end}");
            let Some(_) = segment.header else { continue };
            let mut journal = Journal::reopen(&path, segment.good).unwrap();
            journal.append(b"{\"next\":true}").unwrap();
            let again = read(&path).unwrap();
            assert_eq!((again.tail, again.records.len()), (Tail::Clean, segment.records.len() + 1));
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn damage_before_the_last_line_is_told_from_a_torn_tail() {
        let (path, bytes) = written("damage", &three());
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let mut at = 0;
        for (number, line) in lines.iter().enumerate() {
            let mut damaged = bytes.clone();
            damaged[at + line.len() - 3] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            let segment = read(&path).unwrap();
            let expected = if number + 1 == lines.len() { Tail::Torn } else { Tail::Damaged };
            assert_eq!(segment.tail, expected, "line {number}");
            assert_eq!(segment.good, at as u64);
            at += line.len();
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_record_that_cannot_be_written_leaves_nothing() {
        let mut journal = Journal { file: File::options().write(true).open("/dev/full").unwrap(), length: 0 };
        assert!(journal.append(b"{}").is_err());
        assert_eq!(journal.length(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let segment = parse(&bytes);
            prop_assert!(segment.good <= bytes.len() as u64);
        }
    }
}
