//! What `install` has written: files with their digests, and the directories that were made for them. A file of its own, so
//! that an uninstall of another version finds what is to be removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The record's place.
pub const PLACE: &str = "/usr/local/share/podlet/installed.json";

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// SHA-256 by path.
    pub files: BTreeMap<PathBuf, String>,
    /// Made for the files; removed when nothing else is in them.
    pub directories: BTreeSet<PathBuf>,
    /// Which init was made to start pods.
    pub init: String,
}

impl Record {
    /// As it lies there; empty when nothing is installed.
    pub fn read() -> Result<Record, String> {
        match fs::read(PLACE) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| format!("{PLACE} is not what podlet install writes: {error}; move it away")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Record::default()),
            Err(error) => Err(format!("could not read {PLACE}: {error}")),
        }
    }

    /// Whether a file is podlet's as install left it; one that was changed since is somebody's work.
    pub fn has(&self, path: &Path) -> bool {
        let Some(digest) = self.files.get(path) else { return false };
        fs::read(path).is_ok_and(|bytes| super::files::digest(&bytes) == *digest)
    }

    /// Whether a file that install has written has another content by now.
    pub fn was_changed(&self, path: &Path) -> bool {
        self.files.contains_key(path) && path.symlink_metadata().is_ok() && !self.has(path)
    }

    /// Makes the directory of a file that is to be written, and remembers what was made for it.
    pub fn make_directory_of(&mut self, file: &Path) -> Result<(), (PathBuf, io::Error)> {
        let directory = file.parent().unwrap_or(Path::new("/"));
        let mut missing: Vec<&Path> = directory.ancestors().take_while(|path| !path.exists()).collect();
        missing.reverse();
        for path in missing {
            fs::create_dir(path).map_err(|error| (path.to_owned(), error))?;
            self.directories.insert(path.to_owned());
        }
        Ok(())
    }

    /// Writes it, making its directory.
    pub fn write(&mut self) -> io::Result<()> {
        let place = Path::new(PLACE);
        self.make_directory_of(place).map_err(|(_, error)| error)?;
        let beside = place.with_extension("new");
        fs::write(&beside, serde_json::to_vec_pretty(self).map_err(io::Error::from)?)?;
        fs::rename(&beside, place)
    }

    /// Removes it, and the directories that were made; one with something else in it stays.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_file(PLACE) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The deepest first: a path sorts before what is below it.
        for directory in self.directories.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
        Ok(())
    }
}
