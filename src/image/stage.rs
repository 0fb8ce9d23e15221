//! Puts an image together beside the store and moves it in when all is verified.
//!
//! A staging directory lies in the store's `tmp/` and is held by an flock(2) of its own, so that what a crash leaves is
//! told from what another process is working on, and removed by the next writer. Publishing takes the store's lock,
//! renames the layers, writes configuration and manifest, and the name last: a reader sees the old image or the new one.
//! Called by `import` and `builtin`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use flate2::read::MultiGzDecoder;
use nix::fcntl::{Flock, FlockArg};

use super::below::Below;
use super::document::{self, Descriptor, Digest, Manifest};
use super::files::{io_error, make_directories, remove_path, write_file};
use super::limits::{Limits, Spent};
use super::measured::{Limit, Measured, copy};
use super::packing::{Packing, sniff};
use super::record::Record;
use super::skeleton::{Skeleton, Watched};
use super::store::LayerLock;
use super::unpack::{Reach, unpack};
use super::zstd::Frames;
use super::{ImageError, Store, ahead};

/// Layers that are fetched and unpacked at the same time (containerd's `max_concurrent_downloads`).
const PARALLEL: usize = 3;

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
    /// What of them is in place, for those above that need it.
    standing: Mutex<Standing>,
    stands: Condvar,
    notes: Mutex<Vec<String>>,
    /// Of layers that others wait for.
    locks: Mutex<Vec<LayerLock>>,
}

/// Layers that are in place, while others are not yet.
#[derive(Default)]
struct Standing {
    /// The directory of each, by number.
    directories: BTreeMap<usize, PathBuf>,
    /// One of them came to nothing, so that nobody need wait for it.
    given_up: bool,
}

/// One layer, verified and unpacked.
#[derive(Debug)]
pub struct Layer {
    diff_id: Digest,
    /// Under which digest the store has it: its own, or the chain's of which it is the top.
    key: Digest,
    size: u64,
    /// Where it was unpacked; `None` when the store has it already.
    unpacked: Option<PathBuf>,
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
        Ok(Staging {
            store,
            path,
            _held: held,
            limits,
            spent: Spent::default(),
            layers: Vec::new(),
            standing: Mutex::default(),
            stands: Condvar::new(),
            notes: Mutex::default(),
            locks: Mutex::default(),
        })
    }

    /// A copy of an archive that can be read only once or is compressed: a plain tar file, within the limits.
    pub fn spool(&self, input: impl Read + Send) -> Result<File, ImageError> {
        let path = self.path.join("archive");
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let mut file = file.map_err(|error| io_error("make", &path, &error))?;
        let packed = Arc::<AtomicU64>::default();
        let (packing, input) = sniff(Measured::new(input, Limit::Archive(self.limits.bytes), Arc::clone(&packed)))?;
        let spent = AtomicU64::new(0);
        let limit = Limit::Unpacked { limits: self.limits, spent: &spent, packed };
        let input: Box<dyn Read> = match packing {
            Packing::Plain => input,
            Packing::Gzip => Box::new(Measured::new(MultiGzDecoder::new(input), limit, Arc::default())),
            Packing::Zstd => Box::new(Measured::new(Frames::new(input), limit, Arc::default())),
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
        hold(&self.notes).extend(notes);
    }

    /// Holds these until the image is in the store, or is given up.
    pub fn keep(&self, locks: Vec<LayerLock>) {
        hold(&self.locks).extend(locks);
    }

    /// What was left out of the layers, for the user.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *hold(&self.notes))
    }

    /// Adds the only layer of an image whose source says nothing of it.
    pub fn add_layer(&mut self, tar: impl Read + Send) -> Result<(), ImageError> {
        let layer = self.unpack(0, tar, Packing::Plain, None, &[])?;
        self.layers = vec![layer];
        Ok(())
    }

    /// Takes all layers in, a few at a time, lowest first: `each` unpacks the one of a number.
    pub fn add_layers(
        &mut self,
        count: usize,
        each: impl Fn(&Staging<'_>, usize) -> Result<Layer, ImageError> + Sync,
    ) -> Result<(), ImageError> {
        let next = AtomicUsize::new(0);
        let (done, failed) = (Mutex::<BTreeMap<usize, Layer>>::default(), Mutex::<Option<ImageError>>::default());
        let staging = &*self;
        let work = || {
            while !staging.standing().given_up {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return;
                }
                match each(staging, number) {
                    Ok(layer) => {
                        let directory = layer.directory(staging.store);
                        hold(&done).insert(number, layer);
                        staging.standing().directories.insert(number, directory);
                    }
                    Err(error) => {
                        // What fails because another one did says less than that one.
                        hold(&failed).get_or_insert(error);
                        staging.standing().given_up = true;
                    }
                }
                staging.stands.notify_all();
            }
        };
        std::thread::scope(|scope| {
            (1..PARALLEL.min(count)).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        self.layers = done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect();
        Ok(())
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        hold(&self.standing)
    }

    /// Waits until all layers below this one are in place. They do not wait for it, so that there is always one that goes on.
    fn wait_for_lower(&self, number: usize) -> Result<Vec<PathBuf>, ImageError> {
        let mut standing = self.standing();
        while standing.directories.range(..number).count() < number {
            if standing.given_up {
                return Err(ImageError::Pull("a lower layer could not be had".to_owned()));
            }
            standing = self.stands.wait(standing).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(standing.directories.range(..number).map(|(_, directory)| directory.clone()).collect())
    }

    /// The layer of this number, if the store has it as this image needs it.
    pub fn known(&self, diff_ids: &[Digest], number: usize) -> Result<Option<Layer>, ImageError> {
        let Some(key) = self.store.layer_key(diff_ids, number) else { return Ok(None) };
        let Some(diff_id) = diff_ids.get(number).cloned() else { return Ok(None) };
        Ok(Some(Layer { diff_id, size: self.store.layer_size(&key)?, key, unpacked: None }))
    }

    /// Unpacks the layer of this number. With a descriptor the blob's size and digest are verified, with diff IDs (all of the
    /// image's) the stream's. Several threads may do this at once.
    pub fn unpack(
        &self,
        number: usize,
        blob: impl Read + Send,
        packing: Packing,
        descriptor: Option<&Descriptor>,
        diff_ids: &[Digest],
    ) -> Result<Layer, ImageError> {
        if number >= self.limits.layers {
            return Err(ImageError::Refused(format!("the image has more than {} layers", self.limits.layers)));
        }
        let packed = Arc::<AtomicU64>::default();
        let blob_limit =
            descriptor.map_or(Limit::Archive(self.limits.bytes), |descriptor| Limit::Blob(descriptor.size));
        let mut blob = Measured::new(blob, blob_limit, Arc::clone(&packed));
        let layer = match self.known(diff_ids, number)? {
            Some(known) => {
                self.spent.bytes.fetch_add(known.size, Ordering::Relaxed);
                known
            }
            None => {
                let (layer, reach) = match packing {
                    Packing::Plain => self.unpack_stream(number, &mut blob, &packed)?,
                    Packing::Gzip => self.unpack_stream(number, MultiGzDecoder::new(&mut blob), &packed)?,
                    Packing::Zstd => self.unpack_stream(number, Frames::new(&mut blob), &packed)?,
                };
                match reach {
                    Reach::Alone => layer,
                    Reach::Below => Layer { key: document::chain_id(diff_ids, number).unwrap_or(layer.key), ..layer },
                }
            }
        };
        blob.drain()?;
        if let Some(descriptor) = descriptor {
            let found = packed.load(Ordering::Relaxed);
            if found != descriptor.size {
                return Err(ImageError::Refused(format!(
                    "layer {} should have {} bytes and has {found}",
                    descriptor.digest, descriptor.size,
                )));
            }
            let found = blob.digest();
            if found != descriptor.digest {
                return Err(ImageError::Refused(format!("layer {} has the digest {found}", descriptor.digest)));
            }
        }
        if let Some(expected) = diff_ids.get(number)
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

    fn unpack_stream(
        &self,
        number: usize,
        stream: impl Read + Send,
        packed: &Arc<AtomicU64>,
    ) -> Result<(Layer, Reach), ImageError> {
        let path = self.path.join(format!("layer-{number}"));
        let root = path.join("fs");
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| io_error("make", &path, &error))?;
        fs::DirBuilder::new().create(&root).map_err(|error| io_error("make", &root, &error))?;
        // The mode that `/` has in a container unless the image says another; not what the umask made of it.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755))
            .map_err(|error| io_error("set the mode of", &root, &error))?;
        let limit = Limit::Unpacked { limits: self.limits, spent: &self.spent.bytes, packed: Arc::clone(packed) };
        let size = Arc::<AtomicU64>::default();
        let mut stream = Measured::new(stream, limit, Arc::clone(&size));
        let root_fd = OwnedFd::from(File::open(&root).map_err(|error| io_error("open", &root, &error))?);
        let mut notes = Vec::new();
        let wait = || self.wait_for_lower(number);
        let skeleton = Skeleton::begin(&path)?;
        let reach = std::thread::scope(|scope| {
            let (sender, reader) = ahead::stream();
            scope.spawn(|| sender.send_all(&mut stream));
            let mut reader = Watched::new(reader, &skeleton);
            let below = Below::new(&wait);
            let reach = unpack(&mut reader, &root_fd, below, &self.limits, &self.spent, Some(&skeleton), &mut notes)?;
            // The diff ID covers the whole stream, also what stands behind the end mark.
            copy(reader, &mut io::sink(), &root)?;
            Ok::<_, ImageError>(reach)
        })?;
        skeleton.into_inner().end()?;
        self.note(notes);
        let size = size.load(Ordering::Relaxed);
        let size_path = path.join("size");
        fs::write(&size_path, size.to_string()).map_err(|error| io_error("write", &size_path, &error))?;
        let diff_id = stream.digest();
        Ok((Layer { key: diff_id.clone(), diff_id, size, unpacked: Some(path) }, reach))
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
            let destination = self.store.layer(&layer.key);
            match &layer.unpacked {
                Some(path) => match fs::rename(path, &destination) {
                    Ok(()) => {}
                    // Another writer was first with the same content; its copy may be in use, this one is not.
                    Err(error)
                        if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {}
                    Err(error) => return Err(io_error("make", &destination, &error)),
                },
                None if self.store.has_layer(&layer.key) => {}
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
        if !self.store.has_layers(&record.layers) {
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

impl Layer {
    /// Where its files are until the image is in the store, or where the store has them.
    fn directory(&self, store: &Store) -> PathBuf {
        self.unpacked.clone().unwrap_or_else(|| store.layer(&self.key)).join("fs")
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is found by the next writer.
        if let Err(error) = remove_path(&self.path) {
            tracing::warn!("could not remove {:?}: {error}", self.path);
        }
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
