//! What a layer takes of those below it: the targets of its hard links, and directories that its archive leaves out.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmod, fchmodat, futimens, mknodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, linkat, symlinkat};

use super::attributes::copy_attributes;
use super::{CREATE, Layer, Reach, failure, io_failure};
use crate::image::ImageError;
use crate::image::archive::Entry;
use crate::image::below::Found;
use crate::image::node::{identity, is_directory, kind_of, open_directory, stat};

impl Layer<'_> {
    /// A hard link, to what this layer or one below it has. To itself it is nothing.
    pub(super) fn link(
        &mut self,
        entry: &Entry,
        target: &Path,
        directory: &Path,
        name: &OsStr,
    ) -> Result<(), ImageError> {
        if target == entry.path {
            return Ok(());
        }
        let failed = |doing: &str, errno: Errno| failure(doing, &entry.path, errno);
        let refuse = |why: &str| {
            ImageError::Refused(format!("{:?} in the archive is a hard link to {target:?}, which {why}", entry.path))
        };
        let target_name = target.file_name().ok_or_else(|| refuse("is the root"))?;
        // Looked up before anything is removed.
        let own = match self.resolve(target.parent().unwrap_or(Path::new(""))) {
            Ok(parent) => {
                let stat = stat(&parent, target_name).map_err(|e| failure("look at", target, e))?;
                stat.map(|stat| Found { parent, name: target_name.to_owned(), stat })
            }
            Err(Errno::ENOENT | Errno::ENOTDIR) => None,
            Err(errno) => return Err(failure("enter", target, errno)),
        };
        let (found, is_own) = match own {
            Some(own) => (own, true),
            None => {
                let lower = self.below.find(self.root, target)?;
                (lower.ok_or_else(|| refuse("is in no layer of the image"))?, false)
            }
        };
        if !matches!(kind_of(&found.stat), SFlag::S_IFREG | SFlag::S_IFLNK | SFlag::S_IFIFO) {
            return Err(refuse("is no file"));
        }
        let parent = self.directory(directory)?;
        let found = if is_own { found } else { self.copy_up(found, &parent, name, &entry.path)? };
        let existing = stat(&parent, name).map_err(|e| failed("look at", e))?;
        if existing.is_some_and(|existing| identity(&existing) == identity(&found.stat)) {
            return Ok(());
        }
        // Without AT_SYMLINK_FOLLOW: a link to a symbolic link links the link.
        let link = || linkat(&found.parent, found.name.as_os_str(), &*parent, name, AtFlags::empty());
        self.make(&parent, name, &entry.path, link).map_err(|e| failed("link", e))
    }

    /// Gives this layer a file of a lower one, under the name of the link to it; a second link leads to the first one's copy.
    /// Overlayfs would do the same if the link were made in a container.
    fn copy_up(&mut self, lower: Found, parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<Found, ImageError> {
        let failed = |doing: &str, errno: Errno| failure(doing, path, errno);
        self.reach = Reach::Below;
        if let Some(first) = self.copied.get(&identity(&lower.stat))
            && let Some(first_name) = first.file_name()
            && let Ok(directory) = self.resolve(first.parent().unwrap_or(Path::new("")))
            && let Ok(Some(found)) = stat(&directory, first_name)
            // It may have been replaced meanwhile.
            && (found.st_size, found.st_mtime, found.st_mode)
                == (lower.stat.st_size, lower.stat.st_mtime, lower.stat.st_mode)
        {
            return Ok(Found { parent: directory, name: first_name.to_owned(), stat: found });
        }
        let bytes = u64::try_from(lower.stat.st_size).unwrap_or(0);
        if self.spent.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > self.limits.bytes {
            let limit = self.limits.bytes;
            return Err(ImageError::Refused(format!("the image unpacks to more than {limit} bytes, its limit")));
        }
        let time = TimeSpec::new(lower.stat.st_mtime, lower.stat.st_mtime_nsec);
        let owner = (Some(Uid::from_raw(lower.stat.st_uid)), Some(Gid::from_raw(lower.stat.st_gid)));
        let mode = Mode::from_bits_truncate(lower.stat.st_mode);
        if kind_of(&lower.stat) == SFlag::S_IFREG {
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let from = openat(&lower.parent, lower.name.as_os_str(), flags, Mode::empty());
            let mut from = File::from(from.map_err(|e| failed("read the target of", e))?);
            let make = || openat(parent, name, CREATE, Mode::from_bits_truncate(0o600));
            let mut made = File::from(self.make(parent, name, path, make).map_err(|e| failed("make", e))?);
            std::io::copy(&mut from, &mut made).map_err(|error| io_failure("write", path, &error))?;
            fchown(&made, owner.0, owner.1).map_err(|e| failed("set the owner of", e))?;
            fchmod(&made, mode).map_err(|e| failed("set the mode of", e))?;
            copy_attributes(&from, &made).map_err(|error| io_failure("set an attribute of", path, &error))?;
            futimens(&made, &time, &time).map_err(|e| failed("set the time of", e))?;
        } else {
            let target = match kind_of(&lower.stat) {
                SFlag::S_IFLNK => {
                    Some(readlinkat(&lower.parent, lower.name.as_os_str()).map_err(|e| failed("read", e))?)
                }
                _ => None,
            };
            let make = || match &target {
                Some(target) => symlinkat(target.as_os_str(), parent, name),
                None => mknodat(parent, name, SFlag::S_IFIFO, mode, 0),
            };
            self.make(parent, name, path, make).map_err(|e| failed("make", e))?;
            fchownat(parent, name, owner.0, owner.1, AtFlags::AT_SYMLINK_NOFOLLOW)
                .map_err(|e| failed("set the owner of", e))?;
            if target.is_none() {
                // mknod(2) leaves out what the umask says.
                fchmodat(parent, name, mode, FchmodatFlags::FollowSymlink).map_err(|e| failed("set the mode of", e))?;
            }
            utimensat(parent, name, &time, &time, UtimensatFlags::NoFollowSymlink)
                .map_err(|e| failed("set the time of", e))?;
        }
        self.copied.insert(identity(&lower.stat), path.to_owned());
        let parent = open_directory(parent, OsStr::new(".")).map_err(|e| failed("open", e))?;
        let stat = stat(&parent, name).map_err(|e| failed("look at", e))?;
        let stat = stat.ok_or_else(|| failed("look at", Errno::ENOENT))?;
        Ok(Found { parent, name: name.to_owned(), stat })
    }

    /// Directories that the archive leaves out are as the lower layers have them; where those have none they stay as made.
    pub(super) fn describe_implied(&mut self) -> Result<(), ImageError> {
        for path in std::mem::take(&mut self.implied) {
            self.reach = Reach::Below;
            let failed = |doing: &str, errno: Errno| failure(doing, &path, errno);
            let Some(lower) = self.below.find_lower(&path)?.filter(|lower| is_directory(&lower.stat)) else { continue };
            let Ok(made) = self.resolve(&path).and_then(|made| open_directory(&made, OsStr::new("."))) else {
                continue;
            };
            let (from, made) =
                (open_directory(&lower.parent, &lower.name).map_err(|e| failed("open", e))?, File::from(made));
            fchown(&made, Some(Uid::from_raw(lower.stat.st_uid)), Some(Gid::from_raw(lower.stat.st_gid)))
                .map_err(|e| failed("set the owner of", e))?;
            fchmod(&made, Mode::from_bits_truncate(lower.stat.st_mode)).map_err(|e| failed("set the mode of", e))?;
            copy_attributes(&File::from(from), &made)
                .map_err(|error| io_failure("set an attribute of", &path, &error))?;
            self.directory_times.entry(path).or_insert((lower.stat.st_mtime, lower.stat.st_mtime_nsec));
        }
        Ok(())
    }
}
