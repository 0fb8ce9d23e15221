//! Takes names away, and with the last name of an image all that nothing else needs.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::image::document::{self, Digest};
use crate::image::files::{io_error, remove_path};
use crate::image::record::parse;
use crate::image::{ImageError, Store};

/// What [`Store::prune`] removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prune {
    /// What no name leads to.
    Nameless,
    /// All that no pod uses.
    Unused,
}

/// What a removal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The full name that is gone.
    pub name: String,
    /// The image's ID, if no other name had it.
    pub deleted: Option<String>,
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

impl Store {
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
}

/// Names of all directories in which these layers may lie.
fn keys(diff_ids: &[Digest]) -> impl Iterator<Item = String> {
    let chains = (0..diff_ids.len()).filter_map(|number| document::chain_id(diff_ids, number));
    diff_ids.iter().cloned().chain(chains).map(|key| key.hex().to_owned())
}
