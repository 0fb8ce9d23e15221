//! A log's files: the one that is written, and those that rotation has put aside. Every call here goes to the disk and may
//! wait for it as long as the disk likes: only a log's own thread ([`super::super::streams`]) comes here.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use serde::{Deserialize, Serialize};

use super::super::files;

/// When a log file is put aside, and how many are kept (kubelet: containerLogMaxSize, containerLogMaxFiles).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// `<directory>/<name>` and its predecessors.
pub struct LogFile {
    directory: OwnedFd,
    name: String,
    file: File,
    rotation: Rotation,
}

impl LogFile {
    /// Opens it; both directory and file are made when missing.
    pub fn open(directory: &Path, name: &str, rotation: Rotation) -> io::Result<LogFile> {
        files::private_directory(directory)?;
        let directory = open(directory, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let file = open_log(directory.as_fd(), name)?;
        Ok(LogFile { directory, name: name.to_owned(), file, rotation })
    }

    /// Writes at an offset. After an error any part of it may be there; the same bytes are written again.
    pub fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Whether a file of this length is to be put aside.
    pub fn is_full(&self, length: u64) -> bool {
        length >= self.rotation.size
    }

    /// Puts the file aside under the name that this stamp makes, and begins an empty one. Done again after a kill it comes to
    /// the same; at no moment is there no file of the name.
    pub fn rotate(&mut self, stamp: i64) -> io::Result<()> {
        let rotated = format!("{}.{}", self.name, rotation_stamp(stamp));
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
        Ok(())
    }

    fn inode(&self, name: &str) -> io::Result<u64> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(File::from(openat(&self.directory, name, flags, Mode::empty())?).metadata()?.ino())
    }

    /// Removes the oldest rotated files. What cannot be removed now is tried again after the next rotation.
    pub fn prune(&self) {
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

    /// For tests: writes go to another file from now on.
    #[cfg(test)]
    pub fn replace(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }
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
