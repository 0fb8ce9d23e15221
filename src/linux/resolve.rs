//! The one resolver of paths beneath a root that podlet does not trust: an image, a volume, a running container. The kernel walks
//! (openat2, `RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS`): `..` and absolute links stay inside, /proc's magic links are refused.

use std::ffi::{CString, OsStr};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use nix::sys::stat::{Mode, SFlag, mkdirat, mknodat};

use super::syscall::openat2;
use crate::plan::Shape;
use crate::plan::paths;

/// How often a path is walked anew: a container that renames all the time must not keep podlet walking.
const TRIES: usize = 1_000;
const IN_ROOT: u64 = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;

/// A root directory that is not trusted.
pub struct Root<'a>(pub BorrowedFd<'a>);

fn c_string(path: impl AsRef<OsStr>) -> io::Result<CString> {
    CString::new(path.as_ref().as_bytes())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a path holds a NUL byte"))
}

impl Root<'_> {
    /// Opens a path; `flags` of open(2).
    pub fn open(&self, path: impl AsRef<OsStr>, flags: i32) -> io::Result<OwnedFd> {
        let (path, flags) = (c_string(path)?, u64::from(flags.cast_unsigned()));
        let open = || openat2(self.0.as_raw_fd(), &path, flags, 0, IN_ROOT);
        // EAGAIN: a rename somewhere on the machine raced with `..`; the kernel asks to try again (openat2(2)).
        let raced =
            |done: &io::Result<OwnedFd>| matches!(done, Err(error) if error.raw_os_error() == Some(libc::EAGAIN));
        std::iter::repeat_with(open).take(TRIES).find(|done| !raced(done)).unwrap_or_else(open)
    }

    /// What is at a path, links followed inside the root.
    pub fn metadata(&self, path: impl AsRef<OsStr>) -> io::Result<std::fs::Metadata> {
        std::fs::File::from(self.open(path, libc::O_PATH)?).metadata()
    }

    /// A regular file's text of at most `limit` bytes; empty when there is none. Never blocks on a pipe or device.
    pub fn read_text(&self, path: &str, limit: u64) -> io::Result<String> {
        let file = match self.open(path, libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY) {
            Ok(file) => std::fs::File::from(file),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
                return Ok(String::new());
            }
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other(format!("{path} of the image is no regular file")));
        }
        if metadata.len() > limit {
            return Err(io::Error::other(format!(
                "{path} of the image has {} bytes; podlet reads at most {limit}",
                metadata.len()
            )));
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Makes sure that a mount point is there: directories on the way (0755), then a directory or an empty file.
    pub fn make_mount_point(&self, path: &str, shape: Shape) -> io::Result<()> {
        let found = self.metadata(path);
        match (found, shape) {
            (Ok(metadata), Shape::Directory) if metadata.is_dir() => return Ok(()),
            (Ok(metadata), Shape::File) if !metadata.is_dir() => return Ok(()),
            (Ok(_), Shape::Directory) => return Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
            (Ok(_), Shape::File) => return Err(io::Error::from_raw_os_error(libc::EISDIR)),
            (Err(error), _) if error.raw_os_error() == Some(libc::ENOENT) => {}
            (Err(error), _) => return Err(error),
        }
        let prefixes = paths::prefixes_below(path, "/");
        for (index, prefix) in prefixes.iter().enumerate() {
            let last = index + 1 == prefixes.len();
            let (parent, name) = paths::split(prefix);
            let parent = self.open(parent, libc::O_PATH | libc::O_DIRECTORY)?;
            let made = if last && shape == Shape::File {
                mknodat(parent.as_fd(), name, SFlag::S_IFREG, Mode::from_bits_truncate(0o644), 0)
            } else {
                mkdirat(parent.as_fd(), name, Mode::from_bits_truncate(0o755))
            };
            match made {
                Ok(()) | Err(nix::errno::Errno::EEXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        // A link that leads nowhere is met here.
        self.metadata(path).map(drop)
    }

    /// Requires a real directory (no link): where /proc, /sys and /dev are mounted. Made when missing.
    pub fn make_real_directory(&self, name: &str) -> io::Result<()> {
        let relative = name.trim_start_matches('/');
        let resolve = IN_ROOT | libc::RESOLVE_NO_SYMLINKS;
        let flags = u64::from((libc::O_PATH | libc::O_DIRECTORY).cast_unsigned());
        match openat2(self.0.as_raw_fd(), &c_string(relative)?, flags, 0, resolve) {
            Ok(_) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                mkdirat(self.0, relative, Mode::from_bits_truncate(0o755)).map_err(io::Error::from)
            }
            Err(error) => Err(error),
        }
    }
}

/// The shape of a mount point for a source on the machine.
pub fn shape_of(metadata: &std::fs::Metadata) -> Shape {
    if metadata.is_dir() { Shape::Directory } else { Shape::File }
}

/// Whether a user may execute a file, by its permission bits.
pub fn executable_by(metadata: &std::fs::Metadata, uid: u32, groups: &[u32]) -> bool {
    let mode = metadata.mode();
    if uid == 0 {
        return mode & 0o111 != 0;
    }
    let bits = if metadata.uid() == uid {
        mode >> 6
    } else if groups.contains(&metadata.gid()) {
        mode >> 3
    } else {
        mode
    };
    bits & 1 != 0
}

/// Whether a descriptor is a pipe or terminal: something that podlet made for a container's stdio.
pub fn is_pipe_or_terminal(metadata: &std::fs::Metadata) -> bool {
    let kind = metadata.file_type();
    // Major 136 to 143 are pseudo-terminal slaves.
    kind.is_fifo() || (kind.is_char_device() && (136..=143).contains(&libc::major(metadata.rdev())))
}

#[cfg(test)]
mod tests;
