//! Files and directories of the store, with errors that name them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::ImageError;
use super::removal::remove_tree;

/// What went wrong with a path, for the user.
pub fn io_error(doing: &str, path: &Path, error: &io::Error) -> ImageError {
    ImageError::Unreadable(format!("could not {doing} {path:?}: {error}"))
}

/// A whole file or none: written aside, synced, renamed.
pub fn write_file(aside: &Path, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let failed = |error: &io::Error| io_error("write", path, error);
    let temporary = aside.join("file");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(|e| failed(&e))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| failed(&e))?;
    fs::rename(&temporary, path).map_err(|e| failed(&e))?;
    let directory = path.parent().unwrap_or(aside);
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|e| failed(&e))
}

/// Directories of mode 0700 down to this one.
pub fn make_directories(path: &Path) -> Result<(), ImageError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| io_error("make", path, &error))
}

/// Removes a directory with all below it.
pub fn remove_path(path: &Path) -> Result<(), ImageError> {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let directory = File::open(above).map_err(|error| io_error("open", above, &error))?;
    match remove_tree(&directory.as_fd(), name) {
        Ok(()) | Err(nix::errno::Errno::ENOENT) => Ok(()),
        Err(errno) => Err(io_error("remove", path, &errno.into())),
    }
}
