//! Fills the store from what lies on the machine: a directory, a tar file, an OCI layout.

use std::path::Path;

use super::{Config, ImageError, Limits, Record, Store};

/// What the command line says about the configuration; what is `None` or empty is left as the source has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--entrypoint`; `Some(vec![])` takes the image's away.
    pub entrypoint: Option<Vec<String>>,
    /// `--cmd`.
    pub cmd: Option<Vec<String>>,
    /// `--env KEY=value`, replacing those of the same key.
    pub env: Vec<String>,
    /// `--user`.
    pub user: Option<String>,
    /// `--workdir`.
    pub working_dir: Option<String>,
    /// `--stop-signal`.
    pub stop_signal: Option<String>,
}

/// An image that came in.
#[derive(Clone, Debug)]
pub struct Imported {
    /// As stored.
    pub record: Record,
    /// What was left out, for standard error.
    pub notes: Vec<String>,
}

impl Store {
    /// Takes an image in from a directory (a root file system or an OCI layout), a tar file (of either, gzip or not), or
    /// `-`, a tar stream on standard input. Without a name an OCI layout's own is taken.
    pub fn import(
        &self,
        source: &Path,
        name: Option<&str>,
        overrides: &Overrides,
        limits: Limits,
    ) -> Result<Imported, ImageError> {
        let _ = (source, name, overrides, limits, Config::default());
        unimplemented!()
    }
}
