//! Turns a directory into the tar stream of a layer, so that a directory goes through the same unpacking as an archive and
//! the same content has the same diff ID everywhere: names are sorted, times are the files' own. Called by `import`.
//! Follows no link and leaves the file system of the directory nowhere.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use tar::{Builder, EntryType, Header};

use super::below::Below;
use super::limits::{Limits, Spent};
use super::unpack::unpack;
use super::{ImageError, ahead};

/// What a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A root file system.
    Root,
    /// A layer of the store: overlayfs' whiteouts in it become those of image-spec `layer.md`.
    Layer,
}

/// Calls `take` with the stream of the directory; gives its result and notes of what was left out.
pub fn stream<T>(
    root: &Path,
    content: Content,
    take: impl FnOnce(&mut (dyn Read + Send)) -> Result<T, ImageError>,
) -> Result<(T, Vec<String>), ImageError> {
    let (sender, mut reader) = ahead::stream();
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let mut walk = Walk { root, content, device: 0, links: HashMap::new(), notes: Vec::new() };
            let output = BufWriter::with_capacity(128 << 10, sender.clone());
            if let Err(error) = walk.write(output) {
                sender.fail(io::Error::other(error));
            }
            walk.notes
        });
        let result = take(&mut reader);
        drop(reader);
        let notes = writer.join().map_err(|_| ImageError::Unreadable(format!("could not read {root:?}")))?;
        Ok((result?, notes))
    })
}

/// Copies what is in a directory of a root file system into one that is empty, with owners, modes, times, links, and the
/// attributes that images have. Gives notes of what was left out.
pub fn copy(from: &Path, to: &OwnedFd) -> Result<Vec<String>, ImageError> {
    // It is in the store already, within the limits of its image.
    let limits = Limits { bytes: u64::MAX, files: u64::MAX, layers: usize::MAX, ratio: u64::MAX };
    let (spent, mut notes) = (Spent::default(), Vec::new());
    let nothing_below = || Ok::<Vec<PathBuf>, ImageError>(Vec::new());
    let (_, left_out) = stream(from, Content::Root, |reader| {
        unpack(reader, to, Below::new(&nothing_below), &limits, &spent, None, &mut notes)
    })?;
    notes.extend(left_out);
    Ok(notes)
}

struct Walk<'a> {
    root: &'a Path,
    content: Content,
    device: u64,
    /// First path of each file that has several.
    links: HashMap<(u64, u64), PathBuf>,
    notes: Vec<String>,
}

impl Walk<'_> {
    fn write(&mut self, output: impl Write) -> Result<(), ImageError> {
        let metadata = fs::metadata(self.root).map_err(|error| failure(self.root, &error))?;
        self.device = metadata.dev();
        let mut builder = Builder::new(output);
        // An explicit stack: depth is the directory's choice. Names are popped in order.
        let mut waiting = vec![PathBuf::new()];
        while let Some(path) = waiting.pop() {
            let full = if path.as_os_str().is_empty() { self.root.to_owned() } else { self.root.join(&path) };
            let metadata = if path.as_os_str().is_empty() { fs::metadata(&full) } else { fs::symlink_metadata(&full) };
            let metadata = metadata.map_err(|error| failure(&full, &error))?;
            self.append(&mut builder, &path, &full, &metadata).map_err(|error| failure(&full, &error))?;
            if !metadata.is_dir() {
                continue;
            }
            if metadata.dev() != self.device {
                self.notes.push(format!("content of {full:?} left out: another file system is mounted there"));
                continue;
            }
            let mut below = Vec::new();
            for entry in fs::read_dir(&full).map_err(|error| failure(&full, &error))? {
                below.push(path.join(entry.map_err(|error| failure(&full, &error))?.file_name()));
            }
            below.sort_by(|a, b| b.cmp(a));
            waiting.append(&mut below);
        }
        let flushed = builder.into_inner().and_then(|mut output| output.flush());
        flushed.map_err(|error| failure(self.root, &error))
    }

    fn append<W: Write>(
        &mut self,
        builder: &mut Builder<W>,
        path: &Path,
        full: &Path,
        metadata: &Metadata,
    ) -> io::Result<()> {
        let kind = metadata.file_type();
        let mut header = Header::new_gnu();
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(metadata.uid().into());
        header.set_gid(metadata.gid().into());
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
        header.set_size(0);
        let name = if path.as_os_str().is_empty() { Path::new("./") } else { path };
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            return builder.append_link(&mut header, name, fs::read_link(full)?);
        }
        if kind.is_socket() {
            self.notes.push(format!("socket {path:?} left out"));
            return Ok(());
        }
        let layer = self.content == Content::Layer;
        if layer && kind.is_char_device() && metadata.rdev() == 0 {
            let mut hidden = OsString::from(".wh.");
            hidden.push(path.file_name().unwrap_or_default());
            header.set_entry_type(EntryType::Regular);
            return builder.append_data(&mut header, path.with_file_name(hidden), io::empty());
        }
        if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() {
            // What becomes of devices is the unpacker's rule.
            header.set_entry_type(if kind.is_fifo() { EntryType::Fifo } else { EntryType::Char });
            return builder.append_data(&mut header, name, io::empty());
        }
        if kind.is_file() && metadata.nlink() > 1 {
            match self.links.get(&(metadata.dev(), metadata.ino())) {
                Some(first) => {
                    header.set_entry_type(EntryType::Link);
                    return builder.append_link(&mut header, name, first);
                }
                None => {
                    self.links.insert((metadata.dev(), metadata.ino()), path.to_owned());
                }
            }
        }
        append_xattrs(builder, full)?;
        if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            builder.append_data(&mut header, name, io::empty())?;
            if layer && xattr::get(full, "trusted.overlay.opaque")?.is_some() {
                header.set_entry_type(EntryType::Regular);
                builder.append_data(&mut header, path.join(".wh..wh..opq"), io::empty())?;
            }
            return Ok(());
        }
        let file =
            fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK).open(full)?;
        header.set_entry_type(EntryType::Regular);
        header.set_size(metadata.len());
        builder.append_data(&mut header, name, Exactly { file, left: metadata.len() })
    }
}

/// The attributes that belong to a file's content; the machine's own (SELinux labels, ACLs) stay.
fn append_xattrs<W: Write>(builder: &mut Builder<W>, full: &Path) -> io::Result<()> {
    // A file system without attributes has none.
    let Ok(names) = xattr::list(full) else { return Ok(()) };
    let mut records = Vec::new();
    for name in names {
        let text = name.to_string_lossy().into_owned();
        if (text == "security.capability" || text.starts_with("user."))
            && let Some(value) = xattr::get(full, &name)?
        {
            records.push((format!("SCHILY.xattr.{text}"), value));
        }
    }
    records.sort();
    if records.is_empty() {
        return Ok(());
    }
    builder.append_pax_extensions(records.iter().map(|(key, value)| (key.as_str(), value.as_slice())))
}

/// A file of the length that its header says; one that shrinks meanwhile is an error, one that grows is cut.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read(buffer.get_mut(..wanted).unwrap_or_default())?;
        if n == 0 && wanted > 0 {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        self.left -= n as u64;
        Ok(n)
    }
}

fn failure(path: &Path, error: &io::Error) -> ImageError {
    ImageError::Unreadable(format!("could not read {path:?}: {error}"))
}
