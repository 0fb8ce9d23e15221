//! Files that are there whole or not at all: written beside their name and renamed over it (rename(2) is atomic).
//! Used for kept state, snapshots, and for ConfigMaps and Secrets. A reader never sees half a file, whatever dies when.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a power cut may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The process may be killed; the machine must not fall. For the run directory, which a reboot clears anyway.
    Process,
    /// The content and the name are on the disk when the call returns.
    Power,
}

/// Replaces `path` by these bytes, mode 0600. The directory must exist.
pub fn replace(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let directory = parent(path)?;
    let temporary = beside(path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| match durability {
        Durability::Process => Ok(()),
        Durability::Power => file.sync_all(),
    });
    if let Err(error) = written.and_then(|()| std::fs::rename(&temporary, path)) {
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    match durability {
        Durability::Process => Ok(()),
        // The rename itself lives in the directory: without this a power cut may bring the old file back.
        Durability::Power => File::open(directory)?.sync_all(),
    }
}

/// Makes a directory and its missing parents, mode 0700. That it exists already is no error.
pub fn private_directory(path: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match DirBuilder::new().recursive(true).mode(0o700).create(path) {
            // A parent was removed as empty by the end of another pod, just before it got its child.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 10 => tries += 1,
            done => return done,
        }
    }
}

/// Removes directories in which nothing is, in this order; those with something in them stay.
pub fn remove_empty(directories: &[&Path]) {
    for directory in directories {
        // Looked at first: rmdir(2) of a directory with something in it, too, waits for a disk that does not answer.
        if std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none()) {
            // EBUSY of a mount point, or gone, or filled in between: in each case there is nothing to be done.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

/// Removes a file; that it is gone already is no error.
pub fn remove_file(path: &Path) -> io::Result<()> {
    absent_is_fine(std::fs::remove_file(path))
}

/// Removes a directory with all in it, following no link; that it is gone already is no error.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    absent_is_fine(std::fs::remove_dir_all(path))
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{} has no directory", path.display())))
}

/// A hidden name in the same directory, one for each process: two writers do not share a half-written file. DNS names
/// do not start with a dot, so no name of a pod is taken for it.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

/// Removes what killed writers have left beside `path`. Only for whoever keeps all others from writing it.
pub fn remove_strays(path: &Path) {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return;
    };
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let writer = file.to_str().and_then(stray).filter(|(of, _)| *of == name);
        if writer.is_some() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Of the name of a file that is being written, or was: of which file, and by which process.
pub fn stray(file: &str) -> Option<(&str, u32)> {
    let (name, writer) = file.strip_prefix('.')?.strip_suffix(".new")?.rsplit_once('.')?;
    Some((name, writer.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let directory = std::env::temp_dir().join(format!("podlet-files-{}", std::process::id()));
        private_directory(&directory).unwrap();
        let path = directory.join("kept.json");
        for (content, durability) in [("first, longer", Durability::Power), ("second", Durability::Process)] {
            replace(&path, content.as_bytes(), durability).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "no temporary file is left");
        remove_tree(&directory).unwrap();
        remove_tree(&directory).unwrap();
    }
}
