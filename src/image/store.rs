//! The content-addressed store: names lead to images, images to unpacked layers.
//!
//! ```text
//! <state>/images/                         0700
//! ├── lock                                flock(2) of whoever changes anything; readers take none
//! ├── names/docker.io/library/busybox/_tags/1.36.json     a record: all that a container start needs
//! ├── blobs/sha256/<hex>                  configurations and manifests
//! ├── layers/<hex of the diff ID>/fs      an unpacked layer, shared by all images that have it; one that has taken something
//! │                              /size    of those below it lies under its chain ID. size: bytes of its tar stream
//! │                              /skeleton.gz    what that stream is beside the files' contents
//! ├── mount-points                        the lowest layer of every container, whatever its image (`linux::rootfs`)
//! ├── locks/<hex of a diff ID>            flock(2) of whoever fetches the layer; gone afterwards
//! └── tmp/<pid>-<n>                       images on their way in
//! ```
//!
//! A component of a name never begins with `_` or a dot, so `_tags` cannot be taken by a name. All files are written aside
//! and renamed: a reader sees a whole file or none, which is why reading needs no lock. Layers are never changed; they are
//! removed with the last image that has them, and never while a pod uses it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::document::{self, Digest};
use super::reference::Reference;
use super::stage::{Staging, make_directories, remove_path};
use super::{Config, Image, ImageError, Limits, Store, builtin};

/// What the store keeps under a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The full reference.
    pub name: String,
    /// Digest of the configuration.
    pub id: Digest,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Digest of what the registry has under the name, where that is an index of manifests for several machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// `docker.io/library/busybox@sha256:…`: the repository that it was pulled from, and the digest that it has there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_digest: Option<String>,
    /// How to run it.
    pub config: Config,
    /// Diff IDs, lowest first.
    pub layers: Vec<Digest>,
    /// Bytes of the layers' tar streams.
    pub size: u64,
    /// When it came into the store, RFC 3339.
    pub imported: String,
    /// What it was made from, for people.
    pub source: String,
    /// Of a built-in image: what it was made by. Another value means that it must be made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
}

impl Record {
    /// A record to be completed by [`super::stage::Staging::publish`].
    pub fn new(reference: &Reference, config: Config, source: String) -> Record {
        let nothing = Digest::of(b"");
        Record {
            name: reference.to_string(),
            id: nothing.clone(),
            digest: nothing,
            index: None,
            repo_digest: None,
            config,
            layers: Vec::new(),
            size: 0,
            imported: jiff::Timestamp::now().to_string(),
            source,
            made_by: None,
        }
    }

    /// Whether a registry would give this image for a digest.
    pub fn has_digest(&self, digest: &str) -> bool {
        self.digest.to_string() == digest || self.index.as_ref().is_some_and(|index| index.to_string() == digest)
    }

    /// Whether one of these, which pods' statuses name, is this image.
    fn is_among(&self, in_use: &[String]) -> bool {
        let id = self.id.to_string();
        in_use.iter().any(|used| *used == id || Some(used) == self.repo_digest.as_ref())
    }

    /// The name, parsed.
    pub fn reference(&self) -> Result<Reference, ImageError> {
        parse(&self.name)
    }
}

/// What `image inspect` shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// As stored.
    #[serde(flatten)]
    pub record: Record,
    /// Directories of the unpacked layers, lowest first.
    pub layer_directories: Vec<PathBuf>,
    /// The whole configuration, labels and history too.
    pub configuration: serde_json::Value,
    /// Host trees bound into the root: host path, path in the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// What should be known about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

/// What an index, a manifest or a configuration leads to, whichever of the three it is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    #[serde(deserialize_with = "lenient")]
    config: Option<document::Descriptor>,
    manifests: Vec<document::Descriptor>,
    rootfs: document::RootFs,
}

/// A configuration has something else under the name by which a manifest leads to it.
fn lenient<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<document::Descriptor>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(serde_json::from_value(value).ok())
}

/// What [`Store::prune`] removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prune {
    /// What no name leads to.
    Nameless,
    /// All that no pod uses.
    Unused,
}

/// The right to fetch a layer, until it is dropped.
#[derive(Debug)]
pub struct LayerLock {
    diff_id: Digest,
    path: PathBuf,
    _file: Flock<File>,
}

impl LayerLock {
    /// Of which layer.
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }
}

impl Drop for LayerLock {
    fn drop(&mut self) {
        // Whoever waits for this file finds that the name leads to another one by then, and begins anew.
        let _ = fs::remove_file(&self.path);
    }
}

/// What a removal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The full name that is gone.
    pub name: String,
    /// The image's ID, if no other name had it.
    pub deleted: Option<String>,
}

impl Store {
    /// The store at this root; made when something is first written to it.
    pub fn open(root: &Path) -> Store {
        Store { root: root.to_owned() }
    }

    /// Finds an image by name as a manifest gives it. The two built-in images are made on first use.
    pub fn find(&self, name: &str) -> Result<Image, ImageError> {
        let reference = parse(name)?;
        match builtin::of(&reference) {
            Some(which) => which.find(self),
            None => self.record(&reference).map(|record| self.image(record, Vec::new())),
        }
    }

    /// The same without making anything: a built-in image that was not used yet is answered as it would be, its layer under
    /// a name that says so. For plans that are only shown.
    pub fn look(&self, name: &str) -> Result<Image, ImageError> {
        let reference = parse(name)?;
        match builtin::of(&reference) {
            Some(which) => Ok(which.look(self)),
            None => self.record(&reference).map(|record| self.image(record, Vec::new())),
        }
    }

    /// All images, by name.
    pub fn list(&self) -> Result<Vec<Record>, ImageError> {
        let mut records = Vec::new();
        let mut directories = vec![self.root.join("names")];
        while let Some(directory) = directories.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io_error("list", &directory, &error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| io_error("list", &directory, &error))?;
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    directories.push(entry.path());
                } else {
                    records.extend(read_record(&entry.path())?);
                }
            }
        }
        records.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(records)
    }

    /// All that is known of an image.
    pub fn inspect(&self, name: &str) -> Result<Inspection, ImageError> {
        let image = self.find(name)?;
        let record = self.record(&parse(name)?)?;
        let path = self.blob(&record.id);
        let bytes = fs::read(&path).map_err(|error| io_error("read", &path, &error))?;
        Ok(Inspection {
            configuration: document::read(&bytes, &format!("{path:?}"))?,
            layer_directories: image.layers,
            note: (!image.binds.is_empty()).then_some(builtin::HOST_NOTE),
            binds: image.binds,
            record,
        })
    }

    /// Takes a name away, and the image with its layers when no other name has it. `in_use` are the images that pods use, as
    /// their statuses have them ([`Image::shown_id`]): an overlay whose lower directory vanishes has undefined content, so these are refused.
    pub fn remove(&self, name: &str, in_use: &[String]) -> Result<Removed, ImageError> {
        let reference = parse(name)?;
        self.record(&reference)?;
        let _lock = self.lock()?;
        let (path, record) = self.locate(&reference)?;
        let others = self.list()?.iter().filter(|other| other.id == record.id).count() > 1;
        if !others && record.is_among(in_use) {
            return Err(ImageError::InUse(record.name));
        }
        fs::remove_file(&path).map_err(|error| io_error("remove", &path, &error))?;
        self.remove_empty_directories(&path);
        if others {
            return Ok(Removed { name: record.name, deleted: None });
        }
        self.collect(in_use)?;
        Ok(Removed { name: record.name, deleted: Some(record.id.to_string()) })
    }

    /// Gives an image of the store another name; what had that name before loses it.
    pub fn tag(&self, name: &str, new: &str) -> Result<Record, ImageError> {
        let record = self.record(&parse(name)?)?;
        let new = parse(new)?;
        if new.digest.is_some() {
            return Err(ImageError::Refused(format!(
                "{new} has a digest, which is not for anybody to choose; give a tag"
            )));
        }
        if [&new, &parse(&record.name)?].into_iter().any(|name| builtin::of(name).is_some()) {
            return Err(ImageError::Refused("podlet's own images have one name only".to_owned()));
        }
        self.give_name(record, &new)
    }

    /// The same record under another name.
    pub(super) fn give_name(&self, mut record: Record, new: &Reference) -> Result<Record, ImageError> {
        if record.name == new.to_string() {
            return Ok(record);
        }
        record.name = new.to_string();
        let staging = Staging::begin(self, Limits::default())?;
        staging.publish_name(&record)?;
        Ok(record)
    }

    /// Removes what no name leads to any more, and with [`Prune::Unused`] every image that no pod uses. Answers the names that are
    /// gone, and how many bytes.
    pub fn prune(&self, which: Prune, in_use: &[String]) -> Result<(Vec<String>, u64), ImageError> {
        let _lock = self.lock()?;
        let mut names = Vec::new();
        if which == Prune::Unused {
            for record in self.list()?.into_iter().filter(|record| !record.is_among(in_use)) {
                let path = self.record_path(&record.reference()?);
                fs::remove_file(&path).map_err(|error| io_error("remove", &path, &error))?;
                self.remove_empty_directories(&path);
                names.push(record.name);
            }
        }
        Ok((names, self.collect(in_use)?))
    }

    /// Removes layers and blobs that no name and no pod needs, and answers their bytes. Called under the lock.
    fn collect(&self, in_use: &[String]) -> Result<u64, ImageError> {
        let mut freed = 0;
        let mut layers = HashSet::new();
        let mut blobs = HashSet::new();
        for record in self.list()? {
            layers.extend(keys(&record.layers));
            blobs.extend(
                [Some(record.id), Some(record.digest), record.index]
                    .into_iter()
                    .flatten()
                    .map(|digest| digest.hex().to_owned()),
            );
        }
        // An image that lost its name to a newer one may still run; its configuration says what it consists of.
        for used in in_use {
            let digest = used.rsplit('@').next().unwrap_or_default();
            let mut blobs_to_read: Vec<Digest> = Digest::parse(digest).into_iter().collect();
            while let Some(digest) = blobs_to_read.pop() {
                // A machine's index names manifests for others, which are not here.
                let Ok(bytes) = fs::read(self.blob(&digest)) else { continue };
                if !blobs.insert(digest.hex().to_owned()) {
                    continue;
                }
                let parts: Parts = document::read(&bytes, &digest.to_string())?;
                blobs_to_read.extend(parts.config.into_iter().chain(parts.manifests).map(|part| part.digest));
                layers.extend(keys(&parts.rootfs.diff_ids));
            }
        }
        for (directory, kept) in [(self.root.join("layers"), layers), (self.root.join("blobs/sha256"), blobs)] {
            for entry in fs::read_dir(&directory).map_err(|error| io_error("list", &directory, &error))? {
                let path = entry.map_err(|error| io_error("list", &directory, &error))?.path();
                if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| kept.contains(name)) {
                    continue;
                }
                if path.is_dir() {
                    freed += self.layer_bytes(&path);
                    // Out of its place first: half a layer must not be taken for a whole one after a crash.
                    let doomed = self.tmp().join(path.file_name().unwrap_or_default());
                    fs::rename(&path, &doomed).map_err(|error| io_error("remove", &path, &error))?;
                    remove_path(&doomed)?;
                } else {
                    freed += fs::metadata(&path).map_or(0, |metadata| metadata.len());
                    fs::remove_file(&path).map_err(|error| io_error("remove", &path, &error))?;
                }
            }
        }
        Ok(freed)
    }

    /// As far as it is known: the directory is about to go.
    fn layer_bytes(&self, layer: &Path) -> u64 {
        fs::read_to_string(layer.join("size")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    fn remove_empty_directories(&self, path: &Path) {
        let names = self.root.join("names");
        for above in path.ancestors().skip(1).take_while(|above| *above != names) {
            // Not empty: another tag or image lives there.
            if fs::remove_dir(above).is_err() {
                break;
            }
        }
    }

    /// The record of a name.
    pub(super) fn record(&self, reference: &Reference) -> Result<Record, ImageError> {
        self.locate(reference).map(|(_, record)| record)
    }

    fn locate(&self, reference: &Reference) -> Result<(PathBuf, Record), ImageError> {
        let path = self.record_path(reference);
        if let Some(record) = read_record(&path)? {
            return Ok((path, record));
        }
        let absent = || ImageError::Absent(reference.to_string());
        let Some(digest) = &reference.digest else { return Err(absent()) };
        // A digest names what any tag of the repository may lead to (containerd ignores the tag beside it).
        let tags = self.repository(reference).join("_tags");
        for entry in fs::read_dir(&tags).map_err(|_| absent())? {
            let path = entry.map_err(|error| io_error("list", &tags, &error))?.path();
            if let Some(record) = read_record(&path)?.filter(|record| record.has_digest(digest)) {
                return Ok((path, record));
            }
        }
        Err(absent())
    }

    /// The image that a record describes.
    pub(super) fn image(&self, record: Record, binds: Vec<(PathBuf, PathBuf)>) -> Image {
        Image {
            reference: record.name,
            id: record.id.to_string(),
            repo_digest: record.repo_digest,
            config: record.config,
            layers: (record.layers.iter().enumerate())
                .map(|(number, diff_id)| {
                    let key = self.layer_key(&record.layers, number);
                    self.layer(key.as_ref().unwrap_or(diff_id)).join("fs")
                })
                .collect(),
            binds,
            size: record.size,
        }
    }

    fn repository(&self, reference: &Reference) -> PathBuf {
        let domain = if reference.domain.is_empty() { "_" } else { &reference.domain };
        self.root.join("names").join(domain).join(&reference.path)
    }

    /// A built-in image that is not made yet.
    pub(super) fn unmade(&self, reference: String, config: Config, binds: Vec<(PathBuf, PathBuf)>) -> Image {
        let layers = vec![self.root.join("layers/<made at first use>/fs")];
        Image { reference, id: String::new(), repo_digest: None, config, layers, binds, size: 0 }
    }

    /// Where the record of a name is.
    pub(super) fn record_path(&self, reference: &Reference) -> PathBuf {
        let repository = self.repository(reference);
        match (&reference.digest, &reference.tag) {
            (Some(digest), _) => repository.join("_digests").join(format!("{digest}.json")),
            (None, tag) => repository.join("_tags").join(format!("{}.json", tag.as_deref().unwrap_or("latest"))),
        }
    }

    /// Where a blob is.
    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// A configuration, manifest or index.
    pub(super) fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let path = self.blob(digest);
        fs::read(&path).map_err(|error| io_error("read", &path, &error))
    }

    /// Where a layer is, by its key.
    pub(super) fn layer(&self, key: &Digest) -> PathBuf {
        self.root.join("layers").join(key.hex())
    }

    /// Under which digest the store has an image's layer of this number, if it has it.
    pub(super) fn layer_key(&self, diff_ids: &[Digest], number: usize) -> Option<Digest> {
        let chain = document::chain_id(diff_ids, number);
        [chain.as_ref(), diff_ids.get(number)].into_iter().flatten().find(|key| self.has_layer(key)).cloned()
    }

    /// Whether all layers of an image are there.
    pub(super) fn has_layers(&self, diff_ids: &[Digest]) -> bool {
        (0..diff_ids.len()).all(|number| self.layer_key(diff_ids, number).is_some())
    }

    /// Where images are put together.
    pub(super) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Whether a layer is there; it is there as a whole or not at all.
    pub(super) fn has_layer(&self, key: &Digest) -> bool {
        self.layer(key).is_dir()
    }

    /// Bytes of a layer's tar stream.
    pub(super) fn layer_size(&self, key: &Digest) -> Result<u64, ImageError> {
        let path = self.layer(key).join("size");
        let text = fs::read_to_string(&path).map_err(|error| io_error("read", &path, &error))?;
        text.trim()
            .parse()
            .map_err(|_| ImageError::Unreadable(format!("{path:?} should hold a number and holds {text:?}")))
    }

    /// Waits for the right to fetch each of these layers; other processes that fetch one of them are done with it then. All take
    /// their locks in the same order, so that no two wait for each other. `ended` says that nobody wants to wait any more.
    pub(super) fn lock_layers(
        &self,
        layers: &[Digest],
        ended: impl Fn() -> bool,
    ) -> Result<Vec<LayerLock>, ImageError> {
        /// How often a lock that another process holds is tried.
        const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
        let directory = self.root.join("locks");
        make_directories(&directory)?;
        let layers: std::collections::BTreeSet<&Digest> = layers.iter().collect();
        let mut held = Vec::new();
        for diff_id in layers {
            let path = directory.join(diff_id.hex());
            loop {
                let failed = |error: &io::Error| io_error("lock", &path, error);
                let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
                match Flock::lock(file.map_err(|e| failed(&e))?, FlockArg::LockExclusiveNonblock) {
                    Ok(file) => {
                        let own = file.metadata().map_err(|e| failed(&e))?.ino();
                        // Its last holder may have removed the file between our opening and our locking it.
                        if fs::metadata(&path).is_ok_and(|named| named.ino() == own) {
                            held.push(LayerLock { diff_id: diff_id.clone(), path, _file: file });
                            break;
                        }
                    }
                    Err((_, nix::errno::Errno::EWOULDBLOCK)) if ended() => {
                        return Err(ImageError::Pull("the pull was ended".to_owned()));
                    }
                    Err((_, nix::errno::Errno::EWOULDBLOCK)) => std::thread::sleep(PAUSE),
                    Err((_, errno)) => return Err(failed(&errno.into())),
                }
            }
        }
        Ok(held)
    }

    /// Makes the store if need be, and waits for the right to change it.
    pub(super) fn lock(&self) -> Result<Flock<File>, ImageError> {
        for directory in ["blobs/sha256", "layers", "names", "tmp"] {
            make_directories(&self.root.join(directory))?;
        }
        // Who else may write here chooses what containers run as root.
        let root = fs::symlink_metadata(&self.root).map_err(|error| io_error("look at", &self.root, &error))?;
        if !root.is_dir() || root.uid() != nix::unistd::geteuid().as_raw() || root.mode() & 0o022 != 0 {
            return Err(ImageError::Unreadable(format!(
                "the image store {:?} should be a directory that only its owner {} may write to; it is owned by {} and has the mode {:o}",
                self.root,
                nix::unistd::geteuid(),
                root.uid(),
                root.mode() & 0o7777
            )));
        }
        let path = self.root.join("lock");
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|error| io_error("open", &path, &error))?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| io_error("lock", &path, &errno.into()))
    }
}

/// Names of all directories in which these layers may lie.
fn keys(diff_ids: &[Digest]) -> impl Iterator<Item = String> {
    let chains = (0..diff_ids.len()).filter_map(|number| document::chain_id(diff_ids, number));
    diff_ids.iter().cloned().chain(chains).map(|key| key.hex().to_owned())
}

pub(super) fn parse(name: &str) -> Result<Reference, ImageError> {
    Reference::parse(name).map_err(|reason| ImageError::InvalidName { name: name.to_owned(), reason })
}

fn read_record(path: &Path) -> Result<Option<Record>, ImageError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(io_error("read", path, &error)),
    };
    let record = serde_json::from_slice(&bytes);
    record.map(Some).map_err(|error| {
        ImageError::Unreadable(format!(
            "{path:?} is no record of an image ({error}); remove it and import the image again"
        ))
    })
}

pub(super) fn io_error(doing: &str, path: &Path, error: &io::Error) -> ImageError {
    ImageError::Unreadable(format!("could not {doing} {path:?}: {error}"))
}
