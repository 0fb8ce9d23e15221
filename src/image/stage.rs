//! Puts an image together beside the store and moves it in when all is verified.
//!
//! A staging directory lies in the store's `tmp/` and is held by an flock(2) of its own, so that what a crash leaves is
//! told from what another process is working on, and removed by the next writer. Publishing takes the store's lock,
//! renames the layers, writes configuration and manifest, and the name last: a reader sees the old image or the new one.
//! Called by `import` and `builtin`.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest as _, Sha256};

use super::document::{self, Descriptor, Digest, Manifest};
use super::layout::sniff;
use super::removal::remove_tree;
use super::store::{LayerLock, Record, io_error};
use super::unpack::{Limits, unpack};
use super::zstd::Frames;
use super::{ImageError, Store};

/// One image on its way into the store.
pub struct Staging<'s> {
    store: &'s Store,
    path: PathBuf,
    /// Says that this directory is in use; taken before anyone else could see it as garbage.
    _held: Flock<File>,
    limits: Limits,
    /// Of all layers, which may be unpacked by several threads.
    spent: Spent,
    layers: Vec<Layer>,
    notes: Mutex<Vec<String>>,
    /// Of layers that others wait for.
    locks: Mutex<Vec<LayerLock>>,
}

/// What an image has cost so far.
#[derive(Default)]
pub struct Spent {
    /// Files, directories and links.
    pub files: AtomicU64,
    /// Bytes of the tar streams.
    pub bytes: AtomicU64,
}

/// One layer, verified and unpacked.
pub struct Layer {
    diff_id: Digest,
    size: u64,
    /// Where it was unpacked; `None` when the store has it already.
    unpacked: Option<PathBuf>,
}

/// How a layer's blob is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Plain,
    /// gzip, several members too.
    Gzip,
    /// zstd, several frames too.
    Zstd,
}

impl<'s> Staging<'s> {
    /// Begins an image. Removes what crashed writers left.
    pub fn begin(store: &'s Store, limits: Limits) -> Result<Staging<'s>, ImageError> {
        let _lock = store.lock()?;
        let tmp = store.tmp();
        remove_abandoned(&tmp)?;
        let mut number = 0u32;
        let path = loop {
            let path = tmp.join(format!("{}-{number}", std::process::id()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(io_error("make", &path, &error)),
            }
        };
        let directory = File::open(&path).map_err(|error| io_error("open", &path, &error))?;
        let held = Flock::lock(directory, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| io_error("lock", &path, &errno.into()))?;
        let (layers, notes, locks) = (Vec::new(), Mutex::default(), Mutex::default());
        Ok(Staging { store, path, _held: held, limits, spent: Spent::default(), layers, notes, locks })
    }

    /// A copy of an archive that can be read only once or is compressed: a plain tar file, within the limits.
    pub fn spool(&self, input: impl Read) -> Result<File, ImageError> {
        let path = self.path.join("archive");
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let mut file = file.map_err(|error| io_error("make", &path, &error))?;
        let packed = Rc::new(Cell::new(0));
        let (packing, input) = sniff(Measured::new(input, Limit::Archive(self.limits.bytes), Rc::clone(&packed)))?;
        let spent = AtomicU64::new(0);
        let limit = Limit::Unpacked { limits: self.limits, spent: &spent, packed };
        let input: Box<dyn Read> = match packing {
            Packing::Plain => input,
            Packing::Gzip => Box::new(Measured::new(MultiGzDecoder::new(input), limit, Rc::default())),
            Packing::Zstd => Box::new(Measured::new(Frames::new(input), limit, Rc::default())),
        };
        copy(input, &mut file, &path)?;
        file.rewind().map_err(|error| io_error("read", &path, &error))?;
        Ok(file)
    }

    /// Whether the layers so far hold nothing at all.
    pub fn is_empty(&self) -> bool {
        self.spent.files.load(Ordering::Relaxed) == 0
    }

    /// Says what was left out of the image.
    pub fn note(&self, notes: Vec<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).extend(notes);
    }

    /// Holds these until the image is in the store, or is given up.
    pub fn keep(&self, locks: Vec<LayerLock>) {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).extend(locks);
    }

    /// What was left out of the layers, for the user.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a layer on top; see [`Staging::unpack`].
    pub fn add_layer(
        &mut self,
        blob: impl Read,
        packing: Packing,
        descriptor: Option<&Descriptor>,
        diff_id: Option<&Digest>,
    ) -> Result<(), ImageError> {
        let layer = self.unpack(self.layers.len(), blob, packing, descriptor, diff_id)?;
        self.push(layer);
        Ok(())
    }

    /// Puts an unpacked layer on top of the others.
    pub fn push(&mut self, layer: Layer) {
        self.layers.push(layer);
    }

    /// A layer that the store has, if it has it.
    pub fn known(&self, diff_id: &Digest) -> Result<Option<Layer>, ImageError> {
        if !self.store.has_layer(diff_id) {
            return Ok(None);
        }
        Ok(Some(Layer { diff_id: diff_id.clone(), size: self.store.layer_size(diff_id)?, unpacked: None }))
    }

    /// Unpacks the layer that is to have this number. With a descriptor the blob's size and digest are verified, with a diff ID
    /// the stream's. Several threads may do this at once.
    pub fn unpack(
        &self,
        number: usize,
        blob: impl Read,
        packing: Packing,
        descriptor: Option<&Descriptor>,
        diff_id: Option<&Digest>,
    ) -> Result<Layer, ImageError> {
        if number >= self.limits.layers {
            return Err(ImageError::Refused(format!("the image has more than {} layers", self.limits.layers)));
        }
        let packed = Rc::new(Cell::new(0));
        let blob_limit =
            descriptor.map_or(Limit::Archive(self.limits.bytes), |descriptor| Limit::Blob(descriptor.size));
        let mut blob = Measured::new(blob, blob_limit, Rc::clone(&packed));
        let layer = match diff_id.map(|diff_id| self.known(diff_id)).transpose()?.flatten() {
            Some(known) => {
                self.spent.bytes.fetch_add(known.size, Ordering::Relaxed);
                known
            }
            None => match packing {
                Packing::Plain => self.unpack_stream(number, &mut blob, &packed)?,
                Packing::Gzip => self.unpack_stream(number, MultiGzDecoder::new(&mut blob), &packed)?,
                Packing::Zstd => self.unpack_stream(number, Frames::new(&mut blob), &packed)?,
            },
        };
        blob.drain()?;
        if let Some(descriptor) = descriptor {
            if packed.get() != descriptor.size {
                return Err(ImageError::Refused(format!(
                    "layer {} should have {} bytes and has {}",
                    descriptor.digest,
                    descriptor.size,
                    packed.get()
                )));
            }
            let found = blob.digest();
            if found != descriptor.digest {
                return Err(ImageError::Refused(format!("layer {} has the digest {found}", descriptor.digest)));
            }
        }
        if let Some(expected) = diff_id
            && *expected != layer.diff_id
        {
            return Err(ImageError::Refused(format!(
                "the configuration says that layer {} unpacks to {expected}, it unpacks to {}",
                number + 1,
                layer.diff_id
            )));
        }
        Ok(layer)
    }

    fn unpack_stream(&self, number: usize, stream: impl Read, packed: &Rc<Cell<u64>>) -> Result<Layer, ImageError> {
        let path = self.path.join(format!("layer-{number}"));
        let root = path.join("fs");
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| io_error("make", &path, &error))?;
        fs::DirBuilder::new().create(&root).map_err(|error| io_error("make", &root, &error))?;
        // The mode that `/` has in a container unless the image says another; not what the umask made of it.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755))
            .map_err(|error| io_error("set the mode of", &root, &error))?;
        let limit = Limit::Unpacked { limits: self.limits, spent: &self.spent.bytes, packed: Rc::clone(packed) };
        let size = Rc::new(Cell::new(0));
        let mut stream = Measured::new(stream, limit, Rc::clone(&size));
        let root_fd = OwnedFd::from(File::open(&root).map_err(|error| io_error("open", &root, &error))?);
        let mut notes = Vec::new();
        unpack(&mut stream, &root_fd, &self.limits, &self.spent.files, &mut notes)?;
        self.note(notes);
        // The diff ID covers the whole stream, also what stands behind the end mark.
        stream.drain()?;
        let size_path = path.join("size");
        fs::write(&size_path, size.get().to_string()).map_err(|error| io_error("write", &size_path, &error))?;
        Ok(Layer { diff_id: stream.digest(), size: size.get(), unpacked: Some(path) })
    }

    /// Diff IDs of the layers so far, lowest first.
    pub fn diff_ids(&self) -> Vec<Digest> {
        self.layers.iter().map(|layer| layer.diff_id.clone()).collect()
    }

    /// For sources without a manifest: one whose layers are the uncompressed streams.
    pub fn make_manifest(&self, configuration: &[u8]) -> Result<Vec<u8>, ImageError> {
        let descriptor = |kind: &str, digest: Digest, size: u64| Descriptor {
            media_type: kind.to_owned(),
            digest,
            size,
            platform: None,
            annotations: None,
        };
        document::write(&Manifest {
            schema_version: 2,
            media_type: document::MANIFEST.to_owned(),
            config: descriptor(document::CONFIG, Digest::of(configuration), configuration.len() as u64),
            layers: self
                .layers
                .iter()
                .map(|layer| descriptor(document::LAYER, layer.diff_id.clone(), layer.size))
                .collect(),
        })
    }

    /// Moves all into the store and gives it the record's name; what had the name before loses it.
    /// `index` is what led to the manifest, if one did.
    pub fn publish(
        self,
        configuration: &[u8],
        manifest: &[u8],
        index: Option<&[u8]>,
        mut record: Record,
    ) -> Result<Record, ImageError> {
        record.id = Digest::of(configuration);
        record.digest = Digest::of(manifest);
        record.layers = self.diff_ids();
        record.size = self.layers.iter().map(|layer| layer.size).sum();
        if self.layers.iter().any(|layer| layer.unpacked.is_some()) {
            // A layer whose name is on disk must have its content there too, after a power failure as well.
            let here = File::open(&self.path).map_err(|error| io_error("open", &self.path, &error))?;
            nix::unistd::syncfs(&here).map_err(|errno| io_error("write out", &self.path, &errno.into()))?;
        }
        let _lock = self.store.lock()?;
        for layer in &self.layers {
            let destination = self.store.layer(&layer.diff_id);
            match &layer.unpacked {
                Some(path) => match fs::rename(path, &destination) {
                    Ok(()) => {}
                    // Another writer was first with the same content; its copy may be in use, this one is not.
                    Err(error)
                        if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {}
                    Err(error) => return Err(io_error("make", &destination, &error)),
                },
                None if self.store.has_layer(&layer.diff_id) => {}
                None => {
                    return Err(ImageError::Unreadable(format!(
                        "layer {} was removed from the store meanwhile; do it again",
                        layer.diff_id
                    )));
                }
            }
        }
        for blob in [Some(configuration), Some(manifest), index].into_iter().flatten() {
            write_file(&self.path, &self.store.blob(&Digest::of(blob)), blob)?;
        }
        self.write_name(&record)?;
        Ok(record)
    }

    /// Gives an image that the store has a record's name, unless it went meanwhile.
    pub fn publish_name(self, record: &Record) -> Result<(), ImageError> {
        let _lock = self.store.lock()?;
        if !record.layers.iter().all(|layer| self.store.has_layer(layer)) {
            return Err(ImageError::Absent(record.name.clone()));
        }
        self.write_name(record)
    }

    /// Under the lock.
    fn write_name(&self, record: &Record) -> Result<(), ImageError> {
        let name = self.store.record_path(&record.reference()?);
        make_directories(name.parent().unwrap_or(&self.path))?;
        write_file(&self.path, &name, &document::write(record)?)
    }

    /// A directory of this image's own, which goes with it.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is found by the next writer.
        if let Err(error) = remove_path(&self.path) {
            tracing::warn!("could not remove {:?}: {error}", self.path);
        }
    }
}

/// A whole file or none: written aside, synced, renamed.
fn write_file(aside: &Path, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
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

/// What nobody holds a lock on was left by a crash. Called under the store's lock, under which directories are made and
/// locked in one go.
fn remove_abandoned(tmp: &Path) -> Result<(), ImageError> {
    for entry in fs::read_dir(tmp).map_err(|error| io_error("list", tmp, &error))? {
        let path = entry.map_err(|error| io_error("list", tmp, &error))?.path();
        let Ok(file) = File::open(&path) else { continue };
        if Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok() {
            remove_path(&path)?;
        }
    }
    Ok(())
}

/// Copies to the end, telling what is wrong with the archive from what is wrong with the disk.
fn copy(mut from: impl Read, to: &mut impl Write, path: &Path) -> Result<(), ImageError> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                let written = to.write_all(buffer.get(..n).unwrap_or_default());
                written.map_err(|error| io_error("write", path, &error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(match error.downcast::<ImageError>() {
                    Ok(own) => own,
                    Err(error) => ImageError::Refused(format!("the archive is damaged: {error}")),
                });
            }
        }
    }
}

/// What a stream may grow to.
enum Limit<'a> {
    /// A blob: its size in bytes.
    Blob(u64),
    /// An archive that nobody gave a size: bytes.
    Archive(u64),
    /// A layer's tar stream; `spent` counts over all of the image.
    Unpacked { limits: Limits, spent: &'a AtomicU64, packed: Rc<Cell<u64>> },
}

/// Counts and hashes what passes, and stops it at its limit. The error travels inside an `io::Error` through the tar and
/// gzip readers.
struct Measured<'a, R> {
    inner: R,
    hasher: Sha256,
    count: Rc<Cell<u64>>,
    limit: Limit<'a>,
}

impl<'a, R: Read> Measured<'a, R> {
    fn new(inner: R, limit: Limit<'a>, count: Rc<Cell<u64>>) -> Measured<'a, R> {
        Measured { inner, hasher: Sha256::new(), count, limit }
    }

    fn drain(&mut self) -> Result<(), ImageError> {
        copy(self, &mut io::sink(), Path::new("nowhere"))
    }

    fn digest(self) -> Digest {
        Digest::finish(self.hasher)
    }

    fn check(&self) -> Result<(), ImageError> {
        let count = self.count.get();
        match &self.limit {
            Limit::Blob(size) if count > *size => {
                Err(ImageError::Refused(format!("a layer's blob is longer than the {size} bytes that it should have")))
            }
            Limit::Archive(bytes) if count > *bytes => {
                Err(ImageError::Refused(format!("the archive has more than {bytes} bytes, its limit")))
            }
            Limit::Unpacked { limits, spent, .. } if spent.load(Ordering::Relaxed) > limits.bytes => {
                Err(ImageError::Refused(format!("the image unpacks to more than {} bytes, its limit", limits.bytes)))
            }
            Limit::Unpacked { limits, packed, .. }
                if count > Limits::RATIO_FROM && count / limits.ratio.max(1) > packed.get() =>
            {
                Err(ImageError::Refused(format!(
                    "{} compressed bytes unpack to {count}, more than {} times as many: taken for a bomb",
                    packed.get(),
                    limits.ratio
                )))
            }
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for Measured<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..n).unwrap_or_default());
        self.count.set(self.count.get() + n as u64);
        if let Limit::Unpacked { spent, .. } = &self.limit {
            spent.fetch_add(n as u64, Ordering::Relaxed);
        }
        self.check().map_err(io::Error::other)?;
        Ok(n)
    }
}
