//! Pods as they can be seen, whether or not anything of them runs: `kept.json` is written by a pod's supervisor
//! ([`super::publish`]) and read here by every verb of the command line. Names are claimed and given up here.
//!
//! Nothing here starts or ends a process.

mod error;
mod names;
mod removal;
mod seen;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Event, Pod};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::clock;
use super::files::{self, Durability};
use super::state::Snapshot;
use crate::paths::Paths;
pub use error::KeptError;
use error::file_error;
pub(super) use names::claim;
pub use names::{Claim, NameLock, find, list, lock_name};
pub use removal::remove;
pub(super) use removal::{remove_all_but_logs, remove_logs, remove_run};
pub use seen::{Seen, Standing, at_work, see};

/// `kept.json`: the last published state of one pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Of this format.
    pub version: u32,
    /// In which boot of the machine it was written.
    pub boot_id: String,
    /// The pod is in its final phase and nothing of it runs.
    pub ended: bool,
    /// Nothing of it runs because it was stopped; it is to be set going again.
    #[serde(default)]
    pub stopped: bool,
    /// `v1.Pod` with status.
    pub pod: Pod,
    /// Oldest first.
    pub events: Vec<Event>,
    /// From what a supervisor goes on when the machine was started anew: restart counts, back-off, last states. None once
    /// the pod has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Snapshot>,
}

/// [`Kept::version`] written by this program.
pub const KEPT_VERSION: u32 = 1;

/// What is kept of one pod; `None` when it was never published.
pub fn read(paths: &Paths, uid: &str) -> Result<Option<Kept>, KeptError> {
    read_as(paths, uid)
}

fn read_as<T: DeserializeOwned>(paths: &Paths, uid: &str) -> Result<Option<T>, KeptError> {
    let path = paths.pod_kept(uid);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error("read", &path)(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| KeptError::Content { path, reason: error.to_string() })
}

/// The manifest of one pod as applied and defaulted; `None` when there is none.
pub fn manifest(paths: &Paths, uid: &str) -> Result<Option<Pod>, KeptError> {
    read_manifest(paths.pod_manifest(uid))
}

/// The manifest with which a pod was admitted, whatever was changed since.
pub fn admitted_manifest(paths: &Paths, uid: &str) -> Result<Option<Pod>, KeptError> {
    match read_manifest(paths.admitted_manifest(uid))? {
        Some(pod) => Ok(Some(pod)),
        None => manifest(paths, uid),
    }
}

/// Lets the manifest with which a pod was admitted stay under another name: it is about to be replaced.
pub fn keep_admitted_manifest(paths: &Paths, uid: &str) -> io::Result<()> {
    files::private_directory(&paths.history(uid))?;
    match std::fs::hard_link(paths.pod_manifest(uid), paths.admitted_manifest(uid)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        // It is not the first change.
        _ => Ok(()),
    }
}

fn read_manifest(path: PathBuf) -> Result<Option<Pod>, KeptError> {
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error("read", &path)(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| KeptError::Content { path, reason: error.to_string() })
}

/// Changes what was applied of a pod that has ended: its manifest, and what of it is shown.
pub fn revise(paths: &Paths, claim: &Claim, manifest: &Pod) -> Result<(), KeptError> {
    let _lock = lock_name(paths, &claim.namespace, &claim.name)?;
    let path = paths.pod_kept(&claim.uid);
    let gone = |reason: &str| KeptError::Content { path: path.clone(), reason: reason.to_owned() };
    let mut kept = read(paths, &claim.uid)?.ok_or_else(|| gone("it is gone"))?;
    if !kept.ended {
        return Err(gone("the pod has not ended"));
    }
    let own = kept.pod.metadata.annotations.take().unwrap_or_default();
    let own = own.into_iter().filter(|(key, _)| key.starts_with("podlet.dev/"));
    let annotations: BTreeMap<String, String> =
        manifest.metadata.annotations.clone().unwrap_or_default().into_iter().chain(own).collect();
    kept.pod.metadata.annotations = Some(annotations).filter(|annotations| !annotations.is_empty());
    kept.pod.metadata.labels.clone_from(&manifest.metadata.labels);
    let node = kept.pod.spec.take().and_then(|spec| spec.node_name);
    kept.pod.spec.clone_from(&manifest.spec);
    if let Some(spec) = &mut kept.pod.spec {
        spec.node_name = spec.node_name.take().or(node);
    }
    keep_admitted_manifest(paths, &claim.uid).map_err(file_error("keep", &paths.pod_manifest(&claim.uid)))?;
    for (path, bytes) in
        [(paths.pod_manifest(&claim.uid), serde_json::to_vec(manifest)), (path.clone(), serde_json::to_vec(&kept))]
    {
        let written = bytes.map_err(io::Error::from).and_then(|bytes| files::replace(&path, &bytes, Durability::Power));
        written.map_err(file_error("write", &path))?;
    }
    Ok(())
}

/// Keeps the end of a pod of which nothing has run.
pub(super) fn write_ended(paths: &Paths, uid: &str, pod: &Pod, events: &[Event]) -> Result<(), KeptError> {
    let (pod, events) = (pod.clone(), events.to_vec());
    let (boot_id, version) = (clock::boot_id(), KEPT_VERSION);
    let kept = Kept { version, boot_id, ended: true, stopped: false, pod, events, resume: None };
    let path = paths.pod_kept(uid);
    let json = serde_json::to_vec(&kept).map_err(io::Error::from).map_err(file_error("write", &path))?;
    files::replace(&path, &json, Durability::Power).map_err(file_error("write", &path))
}

/// The logs of a pod that is about to be set going are to lie in another directory (`podLogsDir`): a link leads there from their
/// usual place, by which everybody finds them. One that was set going before keeps them where they are.
pub(super) fn place_logs(paths: &Paths, claim: &Claim, directory: &Path) -> Result<(), KeptError> {
    let usual = paths.pod_logs(&claim.namespace, &claim.name, &claim.uid);
    let Some(place) = usual.file_name().map(|name| directory.join(name)) else { return Ok(()) };
    if place == usual || usual.symlink_metadata().is_ok() {
        return Ok(());
    }
    for made in usual.parent().into_iter().chain([place.as_path()]) {
        files::private_directory(made).map_err(file_error("make", made))?;
    }
    std::os::unix::fs::symlink(&place, &usual).map_err(file_error("make", &usual))
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub fn paths(name: &str) -> Paths {
        let root = std::env::temp_dir().join(format!("podlet-kept-{name}-{}", std::process::id()));
        Paths { run: root.join("run"), state: root.join("state"), logs: root.join("logs") }
    }

    pub fn clear(paths: &Paths) {
        files::remove_tree(paths.run.parent().unwrap()).unwrap();
    }
}
