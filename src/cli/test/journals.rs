//! The journal of a pod under test, kept beside it: a pod that is removed takes its own with it, and so does a machine that is started anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::paths::Paths;
use crate::pod::input::Fact;
use crate::supervisor::history::History;

/// What is kept, a directory for each boot: after one the numbers of segments may come again.
pub struct Journals {
    root: PathBuf,
    /// How often the machine was started anew.
    boots: u32,
    /// The first number of a segment that is of this boot.
    first: u64,
}

impl Journals {
    /// In a directory that is made.
    pub fn new(root: PathBuf) -> Result<Journals, Failure> {
        let journals = Journals { root, boots: 0, first: 0 };
        journals.make()?;
        Ok(journals)
    }

    fn make(&self) -> Result<(), Failure> {
        let directory = self.directory(self.boots);
        fs::create_dir_all(&directory).map_err(|error| super::real::failure("make", &directory, &error))
    }

    fn directory(&self, boot: u32) -> PathBuf {
        self.root.join(boot.to_string())
    }

    /// The pod, as admitted, from which its first journal begins.
    pub fn begin(&self, paths: &Paths, uid: &str) -> Result<(), Failure> {
        let (from, to) = (paths.pod_manifest(uid), self.directory(0).join("admitted.json"));
        fs::copy(&from, &to).map(drop).map_err(|error| super::real::failure("copy", &from, &error))
    }

    /// A second name for each of the journal's files.
    pub fn keep(&self, paths: &Paths, uid: &str) -> Result<(), Failure> {
        for directory in [paths.pod_run(uid), paths.history(uid)] {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let name = entry.file_name();
                if name.to_str().and_then(segment).is_none_or(|number| number < self.first) {
                    continue;
                }
                match fs::hard_link(entry.path(), self.directory(self.boots).join(&name)) {
                    // It is there already, or was moved just now.
                    Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {}
                    linked => linked.map_err(|error| super::real::failure("link", &entry.path(), &error))?,
                }
            }
        }
        Ok(())
    }

    /// The machine is about to be started anew: what is written from then on is of another boot.
    pub fn boot(&mut self, paths: &Paths, uid: &str) -> Result<(), Failure> {
        let kept = fs::read_dir(paths.history(uid)).into_iter().flatten().flatten();
        let newest = kept.filter_map(|entry| segment(entry.file_name().to_str()?)).max();
        self.first = newest.map_or(0, |number| number + 1);
        self.boots += 1;
        self.make()
    }

    /// All that is kept, in order.
    pub fn history(&self) -> Result<History, Failure> {
        let mut history = History { parts: Vec::new() };
        for boot in 0..=self.boots {
            match History::open(&self.directory(boot)) {
                Ok(of_boot) => history.parts.extend(of_boot.parts),
                // Nothing was written yet.
                Err(_) if boot > 0 && is_empty(&self.directory(boot)) => {}
                Err(error) => return Err(Failure::Error(error.to_string())),
            }
        }
        Ok(history)
    }

    /// How often something was told of which this holds.
    pub fn count(&self, told: impl Fn(&Fact) -> bool) -> Result<usize, Failure> {
        let history = self.history()?;
        let inputs = history.parts.iter().flat_map(|part| &part.entries).filter_map(|entry| entry.input.as_ref());
        Ok(inputs.filter(|input| told(&input.fact)).count())
    }
}

/// The number of a segment, or of the snapshot before it.
fn segment(name: &str) -> Option<u64> {
    let of_snapshot = || name.strip_prefix("snapshot.")?.strip_suffix(".json");
    name.strip_prefix("journal.").or_else(of_snapshot)?.parse().ok()
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}
