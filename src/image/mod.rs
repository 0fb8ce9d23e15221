//! References, the content-addressed store, import and unpacking. (Skeleton: the outward signatures.)

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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
    /// Entrypoint, Cmd, Env, User, WorkingDir, StopSignal, ExposedPorts, Labels, Volumes of the OCI configuration.
    pub config: Config,
    /// Unpacked layers, lowest first: directories for overlay's `lowerdir`, never written to.
    pub layers: Vec<PathBuf>,
    /// Host trees to be mounted read-only inside the root (only `podlet.local/host`): (host path, path in the container).
    pub binds: Vec<(PathBuf, PathBuf)>,
    /// Bytes of all layers.
    pub size: u64,
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
    /// The store or an archive cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

impl Store {
    /// The store at this root; made when something is first written to it.
    pub fn open(root: &Path) -> Store {
        Store { root: root.to_owned() }
    }

    /// Finds an image by name as a manifest gives it. The two built-in images are made on first use.
    pub fn find(&self, name: &str) -> Result<Image, ImageError> {
        let _ = (&self.root, name);
        unimplemented!()
    }
}
