//! Images: references, the content-addressed store, import and unpacking, and the two images that podlet brings along.
//!
//! A container start asks [`Store::find`] and gets an [`Image`]: a configuration and directories for overlay's
//! `lowerdir`. What comes in is taken for hostile ([`unpack`]); what is in the store is whole and is never changed.
//!
//! ```text
//! import (directory, tar, OCI layout) ─┐
//! pull (a registry) ───────────────────┼─▶ stage (verify, unpack aside) ─▶ store ─▶ find
//! builtin (podlet.local/host, …/actor) ┘
//! ```

mod ahead;
mod archive;
mod below;
mod builtin;
mod directory;
mod document;
mod files;
mod import;
mod layout;
mod limits;
mod measured;
mod node;
mod packing;
mod pull;
mod record;
mod reference;
mod removal;
mod save;
mod skeleton;
mod stage;
mod store;
mod unpack;
mod zstd;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use builtin::{HOST_NOTE, actor_as, damage, forget};
pub use directory::copy as copy_directory;
pub use document::{Digest, architecture};
pub use import::{Imported, Overrides};
pub use limits::Limits;
pub use pull::{Credential, How, Keyring, LayerProgress, Progress, Pulled};
pub use record::Record;
pub use reference::Reference;
pub use store::{Inspection, Prune, Removed};

/// The store below `Paths::images()`.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// One image as a container start needs it: an OCI image configuration and its unpacked layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// The reference as resolved: `docker.io/library/busybox:1`, `localhost/busybox:1`.
    pub reference: String,
    /// `sha256:…` of the configuration; the image's ID.
    pub id: String,
    /// `docker.io/library/busybox@sha256:…`, if it came from a registry.
    #[serde(default)]
    pub repo_digest: Option<String>,
    /// What of the OCI configuration a container start uses.
    pub config: Config,
    /// Unpacked layers, lowest first: directories for overlay's `lowerdir`, never written to. The topmost one's own mode and
    /// owner are those of `/` where there is no upper directory; an upper directory should copy them.
    pub layers: Vec<PathBuf>,
    /// Host trees to be mounted inside the root (only `podlet.local/host`): (host path, path in the container), with
    /// AT_RECURSIVE, read-only and nosuid. Files as well as directories; the mount points exist in the layer.
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// Bytes of all layers.
    pub size: u64,
}

impl Image {
    /// What a pod's status calls its `imageID`: as containerd and so a kubelet have it, the digest in the registry that it came
    /// from, else the ID.
    pub fn shown_id(&self) -> &str {
        self.repo_digest.as_deref().unwrap_or(&self.id)
    }
}

/// The part of an OCI image configuration that a container start uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    /// `USER`.
    pub user: Option<String>,
    /// `KEY=value` lines.
    pub env: Vec<String>,
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub cmd: Vec<String>,
    /// `WORKDIR`.
    pub working_dir: Option<String>,
    /// `STOPSIGNAL`.
    pub stop_signal: Option<String>,
    /// `VOLUME`: paths in the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
}

/// Why an image cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The reference does not parse; the text is the parser's.
    #[error("couldn't parse image name \"{name}\": {reason}")]
    InvalidName {
        /// As given.
        name: String,
        /// Why.
        reason: String,
    },
    /// Not in the store.
    #[error("{0} is not in podlet's image store")]
    Absent(String),
    /// A pod uses it.
    #[error("{0} is in use by a pod; delete the pod first")]
    InUse(String),
    /// A registry does not give it; containerd's words.
    #[error("{0}")]
    Pull(String),
    /// An archive holds what podlet does not take, or is damaged.
    #[error("{0}")]
    Refused(String),
    /// The store or an archive cannot be read or written.
    #[error("{0}")]
    Unreadable(String),
}
