//! Unpacks one layer beneath one directory. The archive is taken for hostile.
//!
//! - Every path is resolved by openat2(2) with `RESOLVE_IN_ROOT`: symbolic links of the layer lead somewhere within the
//!   layer, absolute ones and `..` too; nothing outside of the directory is ever opened.
//! - What stands in the way is unlinked before anything is written, and files are made with `O_EXCL|O_NOFOLLOW`: no write
//!   goes through a link that the archive made.
//! - Whiteouts (image-spec `layer.md`) become those of overlayfs (Documentation/filesystems/overlayfs.rst, "whiteouts and
//!   opaque directories"): a character device 0/0, and `trusted.overlay.opaque` on a directory.
//! - Devices are never made, `trusted.*` attributes refused, bytes, files and the ratio of compression are limited.
//! - Directories that the archive leaves out are as the layers below have them, and a hard link to a file of those is a copy
//!   of it ([`Below`]). Such a layer belongs to what it stands on, and is told from others ([`Reach`]).
//!
//! Called by the store's [`super::stage`] with an empty directory of mode 0755 below directories of mode 0700; never with a
//! directory that anyone else uses.

mod attributes;
mod lower;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmod, fchmodat, futimens, mkdirat, mknodat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};
use xattr::FileExt;

use super::ImageError;
use super::archive::{Entry, Kind, Sparse, for_each};
use super::below::Below;
use super::limits::{Limits, Spent};
use super::node::{is_directory, is_whiteout, open_directory, stat};
use super::removal::remove_tree;
use super::skeleton::Skeleton;
use attributes::timespec;

/// How files are made: never through a link, never over what is there.
const CREATE: OFlag =
    OFlag::O_WRONLY.union(OFlag::O_CREAT).union(OFlag::O_EXCL).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Whether a layer means the same wherever it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All that it has is its own.
    Alone,
    /// It has taken something of the layers below it: above others it would be another one.
    Below,
}

/// The layer being made.
struct Layer<'a> {
    root: &'a OwnedFd,
    below: Below<'a>,
    /// Directories that no entry has described yet, made for what is in them.
    implied: BTreeSet<PathBuf>,
    /// Where in this layer the copy of a lower layer's file is, by device and inode of that.
    copied: HashMap<(u64, u64), PathBuf>,
    reach: Reach,
    buffer: Vec<u8>,
    /// The directory of the last entry; most entries have it too.
    parent: Option<(PathBuf, Rc<OwnedFd>)>,
    /// Set at the end, since making an entry changes its directory's time.
    directory_times: HashMap<PathBuf, (i64, i64)>,
    spent: &'a Spent,
    limits: &'a Limits,
    /// Is told which bytes of the stream are a file's.
    skeleton: Option<&'a RefCell<Skeleton>>,
    notes: &'a mut Vec<String>,
}

/// Unpacks the tar stream beneath `root`. `spent` counts over the layers of an image; `skeleton` sees the same stream pass.
/// Notes say what was left out.
pub fn unpack(
    reader: impl Read,
    root: &OwnedFd,
    below: Below<'_>,
    limits: &Limits,
    spent: &Spent,
    skeleton: Option<&RefCell<Skeleton>>,
    notes: &mut Vec<String>,
) -> Result<Reach, ImageError> {
    let mut layer = Layer {
        root,
        below,
        implied: BTreeSet::new(),
        copied: HashMap::new(),
        reach: Reach::Alone,
        buffer: vec![0; 128 << 10],
        parent: None,
        directory_times: HashMap::new(),
        spent,
        limits,
        skeleton,
        notes,
    };
    for_each(reader, |entry, _, content| layer.apply(entry, content))?;
    layer.describe_implied()?;
    layer.set_directory_times()?;
    Ok(layer.reach)
}

impl Layer<'_> {
    fn apply(&mut self, entry: Entry, content: &mut dyn Read) -> Result<(), ImageError> {
        if self.spent.files.fetch_add(1, Ordering::Relaxed) >= self.limits.files {
            return Err(ImageError::Refused(format!("the image has more than {} files", self.limits.files)));
        }
        let failed = |doing: &str, errno: Errno| failure(doing, &entry.path, errno);
        let Some(name) = entry.path.file_name().map(OsStr::to_owned) else {
            return self.apply_root(&entry);
        };
        let directory = entry.path.parent().unwrap_or(Path::new(""));
        if name.as_bytes().starts_with(WHITEOUT) {
            return self.whiteout(directory, &name, &entry);
        }
        match &entry.kind {
            Kind::HardLink(target) => return self.link(&entry, target, directory, &name),
            Kind::Device => return self.leave_out_device(&entry),
            _ => {}
        }
        let parent = self.directory(directory)?;
        match &entry.kind {
            Kind::Directory => {
                let mode = Mode::from_bits_truncate(0o700);
                let mut was_whiteout = false;
                if let Err(errno) = mkdirat(&*parent, name.as_os_str(), mode) {
                    let existing = stat(&parent, &name).map_err(|e| failed("look at", e))?;
                    if errno != Errno::EEXIST || !existing.as_ref().is_some_and(is_directory) {
                        was_whiteout = existing.as_ref().is_some_and(is_whiteout);
                        let make = || mkdirat(&*parent, name.as_os_str(), mode);
                        self.make(&parent, &name, &entry.path, make).map_err(|e| failed("make", e))?;
                    }
                }
                let made = File::from(open_directory(&parent, &name).map_err(|e| failed("open", e))?);
                if was_whiteout {
                    self.make_opaque(&made, &entry.path)?;
                }
                self.implied.remove(&entry.path);
                self.set_attributes(&made, &entry)?;
                self.directory_times.insert(entry.path.clone(), entry.mtime);
            }
            Kind::File => {
                let make = || openat(&*parent, name.as_os_str(), CREATE, Mode::from_bits_truncate(0o600));
                let made = self.make(&parent, &name, &entry.path, make);
                let mut made = File::from(made.map_err(|e| failed("make", e))?);
                match &entry.sparse {
                    None => {
                        self.of_file(&entry, 0, entry.size)?;
                        copy(content, &mut made, &entry, entry.size, &mut self.buffer)?;
                    }
                    Some(sparse) => self.copy_pieces(content, &mut made, &entry, sparse)?,
                }
                self.set_attributes(&made, &entry)?;
                let time = timespec(entry.mtime);
                futimens(&made, &time, &time).map_err(|e| failed("set the time of", e))?;
            }
            Kind::Symlink(target) => {
                let make = || symlinkat(target.as_os_str(), &*parent, name.as_os_str());
                self.make(&parent, &name, &entry.path, make).map_err(|e| failed("make the link", e))?;
                self.set_owner_and_time(&parent, &name, &entry)?;
            }
            Kind::Fifo => {
                let make = || mknodat(&*parent, name.as_os_str(), SFlag::S_IFIFO, Mode::from_bits_truncate(0o600), 0);
                self.make(&parent, &name, &entry.path, make).map_err(|e| failed("make the pipe", e))?;
                self.set_owner_and_time(&parent, &name, &entry)?;
                let mode = Mode::from_bits_truncate(entry.mode);
                fchmodat(&*parent, name.as_os_str(), mode, FchmodatFlags::FollowSymlink)
                    .map_err(|e| failed("set the mode of", e))?;
            }
            Kind::HardLink(_) | Kind::Device => {}
        }
        Ok(())
    }

    /// So many bytes that come next are a file's own.
    fn of_file(&self, entry: &Entry, offset: u64, length: u64) -> Result<(), ImageError> {
        self.skeleton.map_or(Ok(()), |skeleton| skeleton.borrow_mut().content(&entry.path, offset, length))
    }

    /// As [`copy`] for a file with holes, which it keeps. Its whole size counts as if there were none.
    fn copy_pieces(
        &mut self,
        content: &mut dyn Read,
        file: &mut File,
        entry: &Entry,
        sparse: &Sparse,
    ) -> Result<(), ImageError> {
        if sparse.size > self.limits.bytes {
            let (size, limit) = (sparse.size, self.limits.bytes);
            return Err(ImageError::Refused(format!(
                "{:?} in the archive has {size} bytes with its holes, more than {limit}, the image's limit",
                entry.path
            )));
        }
        for (offset, length) in &sparse.pieces {
            file.seek(SeekFrom::Start(*offset)).map_err(|error| io_failure("write", &entry.path, &error))?;
            self.of_file(entry, *offset, *length)?;
            copy(content, file, entry, *length, &mut self.buffer)?;
        }
        file.set_len(sparse.size).map_err(|error| io_failure("write", &entry.path, &error))
    }

    /// Makes something; what has its name already is removed first. A directory goes with all below it.
    fn make<T>(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        path: &Path,
        make: impl Fn() -> nix::Result<T>,
    ) -> nix::Result<T> {
        match make() {
            Err(Errno::EEXIST) => {}
            result => return result,
        }
        // A remembered directory may be the one that goes, or be reached through the link that goes.
        self.parent = None;
        if stat(parent, name)?.as_ref().is_some_and(is_directory) {
            self.directory_times.retain(|known, _| !known.starts_with(path));
            self.implied.retain(|known| !known.starts_with(path));
            remove_tree(parent, name)?;
        } else {
            unlinkat(parent, name, UnlinkatFlags::NoRemoveDir)?;
        }
        make()
    }

    /// `./` in an archive: the attributes of the image's root directory.
    fn apply_root(&mut self, entry: &Entry) -> Result<(), ImageError> {
        if entry.kind != Kind::Directory {
            return Err(ImageError::Refused("the archive's root is not a directory".to_owned()));
        }
        let root = open_directory(self.root, OsStr::new(".")).map_err(|e| failure("open", &entry.path, e))?;
        self.set_attributes(&File::from(root), entry)?;
        self.directory_times.insert(PathBuf::new(), entry.mtime);
        Ok(())
    }

    /// The directory of a path in the layer, with those above it made if need be (0755, root's, as containerd).
    fn directory(&mut self, path: &Path) -> Result<Rc<OwnedFd>, ImageError> {
        if let Some((known, directory)) = &self.parent
            && known == path
        {
            return Ok(Rc::clone(directory));
        }
        let directory = match self.resolve(path) {
            Ok(directory) => directory,
            // ENOTDIR: a whiteout of this layer, perhaps.
            Err(Errno::ENOENT | Errno::ENOTDIR) => self.make_directories(path)?,
            Err(errno) => return Err(failure("enter", path, errno)),
        };
        let directory = Rc::new(directory);
        self.parent = Some((path.to_owned(), Rc::clone(&directory)));
        Ok(directory)
    }

    fn make_directories(&mut self, path: &Path) -> Result<OwnedFd, ImageError> {
        let mut above = self.resolve(Path::new("")).map_err(|e| failure("open", path, e))?;
        let mut so_far = PathBuf::new();
        for part in path {
            so_far.push(part);
            let failed = |doing: &str, errno: Errno| failure(doing, &so_far, errno);
            let removed = match self.resolve(&so_far) {
                Ok(directory) => {
                    above = directory;
                    continue;
                }
                Err(Errno::ENOENT) => false,
                Err(errno) => match stat(&above, part).map_err(|e| failed("look at", e))? {
                    Some(existing) if is_whiteout(&existing) => true,
                    _ => return Err(failed("enter", errno)),
                },
            };
            if removed {
                unlinkat(&above, part, UnlinkatFlags::NoRemoveDir).map_err(|e| failed("replace", e))?;
            }
            // Through a link that leads nowhere mkdirat(2) does not go: EEXIST.
            mkdirat(&above, part, Mode::from_bits_truncate(0o700)).map_err(|e| failed("make", e))?;
            let made = open_directory(&above, part).map_err(|e| failed("open", e))?;
            fchmod(&made, Mode::from_bits_truncate(0o755)).map_err(|e| failed("set the mode of", e))?;
            if removed {
                // Removed and made anew in one layer: what lower layers have in it is gone.
                self.make_opaque(
                    &File::from(made.try_clone().map_err(|error| io_failure("open", &so_far, &error))?),
                    &so_far,
                )?;
            } else {
                self.implied.insert(so_far.clone());
            }
            above = made;
        }
        Ok(above)
    }

    /// Opens a directory below the root, links followed within the root only.
    fn resolve(&self, path: &Path) -> nix::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS | ResolveFlag::RESOLVE_NO_XDEV);
        // EAGAIN: something on the machine was renamed while a ".." of a link was followed (openat2(2)).
        for _ in 0..64 {
            match openat2(self.root, path, how) {
                Err(Errno::EAGAIN) => {}
                result => return result,
            }
        }
        Err(Errno::EAGAIN)
    }

    fn leave_out_device(&mut self, entry: &Entry) -> Result<(), ImageError> {
        if entry.path.starts_with("dev") {
            self.notes.push(format!("device {:?} left out: a container gets a /dev of its own", entry.path));
            return Ok(());
        }
        Err(ImageError::Refused(format!(
            "{:?} in the archive is a device; podlet makes no devices (leave it out of the archive)",
            entry.path
        )))
    }

    /// `.wh.x` hides x of the lower layers, `.wh..wh..opq` all that they have in this directory. Neither touches what this
    /// layer itself brings, before or after it (`layer.md`: whiteouts apply to lower layers only).
    fn whiteout(&mut self, directory: &Path, name: &OsStr, entry: &Entry) -> Result<(), ImageError> {
        let failed = |doing: &str, errno: Errno| failure(doing, &entry.path, errno);
        if name.as_bytes() == OPAQUE {
            let parent = self.directory(directory)?;
            let opened = open_directory(&parent, OsStr::new(".")).map_err(|e| failed("open", e))?;
            return self.make_opaque(&File::from(opened), directory);
        }
        let hidden = name.as_bytes().get(WHITEOUT.len()..).unwrap_or_default();
        // `.wh..wh.plnk` and the like are notes of aufs to itself.
        if hidden.starts_with(WHITEOUT) {
            self.notes.push(format!("{:?} left out: a name that only aufs understands", entry.path));
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(ImageError::Refused(format!("{:?} in the archive is a whiteout of no file", entry.path)));
        }
        let hidden = OsString::from_vec(hidden.to_vec());
        let parent = self.directory(directory)?;
        match stat(&parent, &hidden).map_err(|e| failed("look at", e))? {
            None => mknodat(&*parent, hidden.as_os_str(), SFlag::S_IFCHR, Mode::empty(), 0)
                .map_err(|e| failed("make the whiteout", e)),
            Some(existing) if is_directory(&existing) => {
                // What lower layers have there is gone, with its owner and mode.
                self.implied.remove(&directory.join(&hidden));
                let opened = open_directory(&parent, &hidden).map_err(|e| failed("open", e))?;
                self.make_opaque(&File::from(opened), &directory.join(&hidden))
            }
            Some(_) => Ok(()),
        }
    }

    fn make_opaque(&self, directory: &File, path: &Path) -> Result<(), ImageError> {
        directory.set_xattr("trusted.overlay.opaque", b"y").map_err(|error| io_failure("mark as opaque", path, &error))
    }
}

/// Copies so many bytes of a file's content; an archive that ends early is damaged.
fn copy(
    content: &mut dyn Read,
    file: &mut File,
    entry: &Entry,
    length: u64,
    buffer: &mut [u8],
) -> Result<(), ImageError> {
    let mut copied = 0u64;
    while copied < length {
        let wanted = usize::try_from(length - copied).unwrap_or(usize::MAX).min(buffer.len());
        let n = match content.read(buffer.get_mut(..wanted).unwrap_or_default()) {
            Ok(0) => {
                return Err(ImageError::Refused(format!(
                    "the archive ends within {:?}: {copied} of {length} bytes are there",
                    entry.path
                )));
            }
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(match error.downcast::<ImageError>() {
                    Ok(own) => own,
                    Err(error) => ImageError::Refused(format!("the archive is damaged in {:?}: {error}", entry.path)),
                });
            }
        };
        file.write_all(buffer.get(..n).unwrap_or_default())
            .map_err(|error| io_failure("write", &entry.path, &error))?;
        copied += n as u64;
    }
    Ok(())
}

fn failure(doing: &str, path: &Path, errno: Errno) -> ImageError {
    ImageError::Unreadable(format!("could not {doing} {path:?} of the image: {}", errno.desc()))
}

fn io_failure(doing: &str, path: &Path, error: &std::io::Error) -> ImageError {
    ImageError::Unreadable(format!("could not {doing} {path:?} of the image: {error}"))
}
