//! Owners, modes, times and extended attributes.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{Mode, UtimensatFlags, fchmod, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat};
use xattr::FileExt;

use super::{Layer, failure, io_failure};
use crate::image::ImageError;
use crate::image::archive::Entry;

impl Layer<'_> {
    /// Owner first: chown(2) takes set-user-ID bits and file capabilities away.
    pub(super) fn set_attributes(&mut self, file: &File, entry: &Entry) -> Result<(), ImageError> {
        let failed = |doing: &str, errno: Errno| failure(doing, &entry.path, errno);
        fchown(file, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))
            .map_err(|e| failed("set the owner of", e))?;
        fchmod(file, Mode::from_bits_truncate(entry.mode)).map_err(|e| failed("set the mode of", e))?;
        for (name, value) in &entry.xattrs {
            let bytes = name.as_bytes();
            if bytes.starts_with(b"trusted.") || bytes.starts_with(b"user.overlay.") {
                return Err(ImageError::Refused(format!(
                    "{:?} in the archive has the attribute {name:?}, by which overlayfs is steered",
                    entry.path
                )));
            }
            if is_taken(bytes) {
                file.set_xattr(name, value).map_err(|error| io_failure("set an attribute of", &entry.path, &error))?;
            } else {
                self.notes.push(format!("attribute {name:?} of {:?} left out", entry.path));
            }
        }
        Ok(())
    }

    pub(super) fn set_owner_and_time(&self, parent: &OwnedFd, name: &OsStr, entry: &Entry) -> Result<(), ImageError> {
        let failed = |doing: &str, errno: Errno| failure(doing, &entry.path, errno);
        let owner = (Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)));
        fchownat(parent, name, owner.0, owner.1, AtFlags::AT_SYMLINK_NOFOLLOW)
            .map_err(|e| failed("set the owner of", e))?;
        let time = timespec(entry.mtime);
        utimensat(parent, name, &time, &time, UtimensatFlags::NoFollowSymlink).map_err(|e| failed("set the time of", e))
    }

    pub(super) fn set_directory_times(&self) -> Result<(), ImageError> {
        for (path, mtime) in &self.directory_times {
            let time = timespec(*mtime);
            let result = match (path.parent(), path.file_name()) {
                (Some(above), Some(name)) => self
                    .resolve(above)
                    .and_then(|above| utimensat(&above, name, &time, &time, UtimensatFlags::NoFollowSymlink)),
                _ => utimensat(self.root, ".", &time, &time, UtimensatFlags::NoFollowSymlink),
            };
            match result {
                // Replaced meanwhile, under another name that a link gave it.
                Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
                Err(errno) => return Err(failure("set the time of", path, errno)),
            }
        }
        Ok(())
    }
}

/// Whether an image may bring this attribute: those of overlayfs steer it, others are the machine's own.
fn is_taken(name: &[u8]) -> bool {
    name == b"security.capability" || name.starts_with(b"user.")
}

/// Gives a file those of another that an image may bring.
pub(super) fn copy_attributes(from: &File, to: &File) -> std::io::Result<()> {
    for name in from.list_xattr()?.filter(|name| is_taken(name.as_bytes())) {
        if let Some(value) = from.get_xattr(&name)? {
            to.set_xattr(&name, &value)?;
        }
    }
    Ok(())
}

/// As utimensat(2) wants it.
pub(super) fn timespec((seconds, nanoseconds): (i64, i64)) -> TimeSpec {
    TimeSpec::new(seconds, nanoseconds)
}
