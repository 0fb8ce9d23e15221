//! What is kept of a pod's run: the segments of its journal, from which it can be told and replayed.
//!
//! Two halves. The supervisor moves here what it does not need for going on ([`put`]): 16 MiB a pod at most, the oldest
//! goes first. Whoever wants to know reads it, together with what still lies in the run directory, or from a file in
//! which it was saved ([`History`]).
//!
//! A segment is told from the one before it by folding that, so few snapshots are kept: where no fold leads (another boot,
//! another version, damage), and one for each eight times as many bytes of segments, so that something is left to begin from
//! when the oldest have gone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use serde::{Deserialize, Serialize};

use super::files;
use super::journal::{self, Header, SNAPSHOT_FACTOR, Tail, line};
use super::state::{self, Record, Snapshot};
use crate::paths::Paths;
use crate::pod::effect::{Action, EffectId};
use crate::pod::input::Input;
use crate::pod::machine::{self, Machine, Settings};
use crate::pod::time::Moment;

/// Bytes of one pod's.
pub(super) const MOST: u64 = 16 * 1024 * 1024;

/// How often a directory is listed again in which a supervisor has just moved something.
const LOOKS: u32 = 20;

fn journal_name(number: u64) -> String {
    format!("journal.{number:08}")
}

fn snapshot_name(number: u64) -> String {
    format!("snapshot.{number:08}.json")
}

/// What a directory holds of a run.
#[derive(Debug, Default)]
struct Listing {
    journals: BTreeMap<u64, (PathBuf, u64)>,
    snapshots: BTreeMap<u64, (PathBuf, u64)>,
    /// Bytes of all that lies there.
    total: u64,
}

impl Listing {
    fn of(directory: &Path) -> io::Result<Listing> {
        let mut listing = Listing::default();
        let entries = match std::fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            // Removed or moved just now.
            let Ok(metadata) = entry.metadata() else { continue };
            listing.total += metadata.len();
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let place = (entry.path(), metadata.len());
            let snapshot = name.strip_prefix("snapshot.").and_then(|rest| rest.strip_suffix(".json"));
            if let Some(number) = name.strip_prefix("journal.").and_then(|number| number.parse().ok()) {
                listing.journals.insert(number, place);
            } else if let Some(number) = snapshot.and_then(|number| number.parse().ok()) {
                listing.snapshots.insert(number, place);
            }
        }
        Ok(listing)
    }

    /// Bytes of the segments that are folded over the newest snapshot, or over the admission.
    fn since_snapshot(&self) -> u64 {
        let newest = self.snapshots.keys().next_back().copied().unwrap_or(0);
        self.journals.range(newest..).map(|(_, (_, length))| length).sum()
    }
}

/// The highest number of a segment that was put here.
pub(super) fn newest(history: &Path) -> io::Result<Option<u64>> {
    Ok(Listing::of(history)?.journals.keys().next_back().copied())
}

/// Copies the snapshot before a segment, which stays where it is.
pub(super) fn keep_snapshot(paths: &Paths, uid: &str, number: u64) -> io::Result<()> {
    let history = paths.history(uid);
    files::private_directory(&history)?;
    std::fs::copy(paths.snapshot(uid, number), history.join(snapshot_name(number))).map(drop)
}

/// Moves a segment here. The run directory is on another file system as a rule: copied, then removed; done twice it is the
/// same.
pub(super) fn put(paths: &Paths, uid: &str, number: u64) -> io::Result<()> {
    let history = paths.history(uid);
    files::private_directory(&history)?;
    let snapshot = paths.snapshot(uid, number);
    let length = std::fs::metadata(&snapshot).map(|metadata| metadata.len()).unwrap_or(0);
    if length > 0 && Listing::of(&history)?.since_snapshot() >= SNAPSHOT_FACTOR * length {
        keep_snapshot(paths, uid, number)?;
    }
    let journal = paths.journal(uid, number);
    match std::fs::copy(&journal, history.join(journal_name(number))) {
        Ok(_) => files::remove_file(&journal)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    files::remove_file(&snapshot)?;
    forget_oldest(&history)
}

/// Removes what is too much, and what cannot be told any more without it.
fn forget_oldest(history: &Path) -> io::Result<()> {
    let listing = Listing::of(history)?;
    let mut total = listing.total;
    let mut removed = false;
    for (number, (path, length)) in &listing.journals {
        let snapshot = listing.snapshots.get(number);
        if total <= MOST && (!removed || snapshot.is_some()) {
            break;
        }
        removed = true;
        files::remove_file(path)?;
        total -= length;
        if let Some((path, length)) = snapshot {
            files::remove_file(path)?;
            total -= length;
        }
    }
    Ok(())
}

/// A pod's run, as far as it is kept.
#[derive(Clone, Debug)]
pub struct History {
    /// In order. Between two of them something may be missing.
    pub parts: Vec<Part>,
}

/// One segment.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its number.
    pub number: u64,
    /// By which program, in which boot.
    pub header: Header,
    /// From what it goes on.
    pub begin: Begin,
    /// What stands in it, in order.
    pub entries: Vec<Entry>,
    /// Lines that this version does not understand.
    pub unread: usize,
    records: Vec<Record>,
}

/// From what a segment goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Begin {
    /// From the admission of this pod, which is its first entry.
    Admission {
        /// As applied.
        pod: Box<Pod>,
    },
    /// From this machine.
    Snapshot(Box<Machine>),
    /// From where the segment before it ends.
    Before,
}

/// What a segment tells of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What the machine was told; none for the admission.
    pub input: Option<Input>,
    /// When.
    pub at: Moment,
    /// With which numbers a pod was admitted.
    pub settings: Option<Settings>,
    /// What it asked for.
    pub effects: Vec<(EffectId, Action)>,
    /// What the journal says of the input and of the machine afterwards.
    pub digest: u64,
}

impl Part {
    /// Whether this program's machine is the one that decided what stands here.
    pub fn is_of_this_machine(&self) -> bool {
        self.header.machine == machine::VERSION && self.header.format == state::FORMAT
    }

    fn new(number: u64, header: Header, begin: Begin, records: Vec<Record>, unread: usize) -> Part {
        let entries = records.iter().filter_map(entry).collect();
        Part { number, header, begin, entries, unread, records }
    }
}

/// What is to be found at [`Entry::digest`].
pub fn digest(input: Option<&Input>, machine: &Machine) -> u64 {
    input.map_or_else(|| machine.digest(), |input| state::digest(input, machine))
}

fn entry(record: &Record) -> Option<Entry> {
    let asked =
        |effects: &[state::Asked]| effects.iter().map(|asked| (asked.id.clone(), asked.action.clone())).collect();
    Some(match record {
        Record::Admitted { at, settings, effects, digest } => Entry {
            input: None,
            at: *at,
            settings: settings.as_deref().cloned(),
            effects: asked(effects),
            digest: *digest,
        },
        Record::Told { input, effects, digest, .. } => {
            Entry { input: Some(input.clone()), at: input.at, settings: None, effects: asked(effects), digest: *digest }
        }
        Record::Taken { .. } | Record::Spawned { .. } | Record::Done { .. } | Record::SetAside { .. } => return None,
    })
}

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A file or directory.
    #[error("could not read {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It holds no run.
    #[error("{} holds no run of a pod: name a file that `podlet replay --save FILE POD` wrote, or a directory with journal.N", path.display())]
    Content {
        /// Which.
        path: PathBuf,
    },
}

/// The first line of each part in a file in which a run was saved. The journal's records follow.
#[derive(Serialize, Deserialize)]
struct Saved {
    part: u64,
    header: Header,
    begin: Begin,
}

impl History {
    /// What is kept of a pod, whether it runs or not. It goes on meanwhile.
    pub fn read(paths: &Paths, uid: &str) -> Result<History, HistoryError> {
        let manifest = || super::kept::admitted_manifest(paths, uid).ok().flatten();
        History::gather(&[paths.history(uid), paths.pod_run(uid)], manifest)
    }

    /// A run from a file in which it was saved, or from a directory.
    pub fn open(path: &Path) -> Result<History, HistoryError> {
        if path.is_dir() {
            let read = |name: &str| {
                let bytes = std::fs::read(path.join(name)).ok()?;
                serde_json::from_slice(&bytes).ok()
            };
            return History::gather(&[path.to_owned()], || read("admitted.json").or_else(|| read("../pod.json")));
        }
        let failed = |source| HistoryError::File { path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(failed)?;
        let mut parts: Vec<Part> = Vec::new();
        let mut current: Option<(Saved, Vec<Record>, usize)> = None;
        let lines = journal::lines(&bytes);
        let finish = |(saved, records, unread): (Saved, Vec<Record>, usize)| {
            Part::new(saved.part, saved.header, saved.begin, records, unread)
        };
        for json in &lines.json {
            if let Ok(saved) = serde_json::from_slice::<Saved>(json) {
                parts.extend(current.replace((saved, Vec::new(), 0)).map(finish));
            } else if let Some((_, records, unread)) = &mut current {
                match serde_json::from_slice(json) {
                    Ok(record) => records.push(record),
                    Err(_) => *unread += 1,
                }
            }
        }
        if let (Some((_, _, unread)), false) = (&mut current, lines.tail == Tail::Clean) {
            *unread += 1;
        }
        parts.extend(current.map(finish));
        History { parts }.or_nothing(path)
    }

    fn or_nothing(self, path: &Path) -> Result<History, HistoryError> {
        if self.parts.is_empty() { Err(HistoryError::Content { path: path.to_owned() }) } else { Ok(self) }
    }

    /// From directories, of which a later one knows better.
    fn gather(directories: &[PathBuf], manifest: impl Fn() -> Option<Pod>) -> Result<History, HistoryError> {
        let mut looks = 0;
        loop {
            looks += 1;
            match gather_once(directories, &manifest) {
                // Moved between the look into the directory and that into the file.
                Err(HistoryError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound && looks < LOOKS => {
                }
                Err(error) => return Err(error),
                Ok(parts) => {
                    let last = directories.last().cloned().unwrap_or_default();
                    return History { parts }.or_nothing(&last);
                }
            }
        }
    }

    /// Writes it into one file, which [`History::open`] reads.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        for part in &self.parts {
            let saved = Saved { part: part.number, header: part.header.clone(), begin: part.begin.clone() };
            file.write_all(&line(&serde_json::to_vec(&saved)?))?;
            for record in &part.records {
                file.write_all(&line(&serde_json::to_vec(record)?))?;
            }
        }
        Ok(())
    }

    /// The last parts: those which come after the last snapshot but one, which is enough to tell what holds now.
    pub fn latest(mut self) -> History {
        let begins = |part: &Part| !matches!(part.begin, Begin::Before);
        let from = self.parts.iter().enumerate().rev().filter(|(_, part)| begins(part)).nth(1).map_or(0, |(at, _)| at);
        self.parts.drain(..from);
        self
    }
}

fn gather_once(directories: &[PathBuf], manifest: &impl Fn() -> Option<Pod>) -> Result<Vec<Part>, HistoryError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| HistoryError::File { path, source }
    };
    let (mut journals, mut snapshots) = (BTreeMap::new(), BTreeMap::new());
    for directory in directories {
        let listing = Listing::of(directory).map_err(failed(directory))?;
        journals.extend(listing.journals);
        snapshots.extend(listing.snapshots);
    }
    let mut parts: Vec<Part> = Vec::new();
    for (number, (path, _)) in &journals {
        let segment = journal::read(path).map_err(failed(path))?;
        let mut unread = usize::from(segment.tail == Tail::Damaged);
        let mut records = Vec::new();
        for json in &segment.records {
            match serde_json::from_slice::<Record>(json) {
                Ok(record) => records.push(record),
                Err(_) => unread += 1,
            }
        }
        let snapshot = match snapshots.get(number) {
            Some((path, _)) => {
                let bytes = std::fs::read(path).map_err(failed(path))?;
                serde_json::from_slice::<Snapshot>(&bytes).ok()
            }
            None => None,
        };
        let header = segment.header.or_else(|| snapshot.as_ref().map(|snapshot| snapshot.header.clone()));
        let Some(header) = header else { continue };
        let admitted = matches!(records.first(), Some(Record::Admitted { .. }));
        let follows = parts.last().is_some_and(|before| before.number + 1 == *number);
        let begin = match snapshot {
            Some(snapshot) => Begin::Snapshot(Box::new(snapshot.state.machine)),
            None if admitted => match manifest() {
                Some(pod) => Begin::Admission { pod: Box::new(pod) },
                None => continue,
            },
            None if follows => Begin::Before,
            // What came before it has gone, and with it what it goes on from.
            None => continue,
        };
        parts.push(Part::new(*number, header, begin, records, unread));
    }
    Ok(parts)
}

#[cfg(test)]
#[path = "history_test.rs"]
mod tests;
