//! What the store keeps under a name.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::document::Digest;
use super::files::io_error;
use super::reference::Reference;
use super::{Config, ImageError};

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
    pub(super) fn is_among(&self, in_use: &[String]) -> bool {
        let id = self.id.to_string();
        in_use.iter().any(|used| *used == id || Some(used) == self.repo_digest.as_ref())
    }

    /// The name, parsed.
    pub fn reference(&self) -> Result<Reference, ImageError> {
        parse(&self.name)
    }
}

/// A name as a manifest or a user gives it.
pub fn parse(name: &str) -> Result<Reference, ImageError> {
    Reference::parse(name).map_err(|reason| ImageError::InvalidName { name: name.to_owned(), reason })
}

/// `None`: there is none.
pub fn read_record(path: &Path) -> Result<Option<Record>, ImageError> {
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
