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

mod locks;
mod removal;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::document::{self, Digest};
use super::files::io_error;
use super::record::{Record, parse, read_record};
use super::reference::Reference;
use super::stage::Staging;
use super::{Config, Image, ImageError, Limits, Store, builtin};
pub use locks::LayerLock;
pub use removal::{Prune, Removed};

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
}
