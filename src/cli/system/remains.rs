//! Directories in podlet's places that belong to no pod: an interrupted launch or removal has left them, or somebody has
//! removed half of a pod by hand. Finds them; removes nothing.

use std::collections::HashSet;
use std::fs::{self, DirEntry, FileType};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::linux::cgroup::Cgroup;
use crate::paths::Paths;
use crate::supervisor::files::stray;
use crate::supervisor::kept::Claim;

/// A pod's directories are made before its name is claimed, and go after it is given up: what is younger than this may be
/// one's that comes or goes.
const AGE: Duration = Duration::from_secs(600);

/// State, run and log directories of no pod that has a name, with no process of theirs, and names that are half written; none of
/// them young.
pub fn find(paths: &Paths, claims: &[Claim]) -> Vec<PathBuf> {
    let uids: HashSet<&str> = claims.iter().map(|claim| claim.uid.as_str()).collect();
    let mut found = Vec::new();
    for entry in [paths.state.join("pods"), paths.run.join("pods"), paths.logs.join("pods")]
        .iter()
        .flat_map(|directory| entries(directory))
    {
        let name = entry.file_name();
        // Of a log directory the uid is the last part: neither namespaces nor names have an underscore.
        let Some(uid) = name.to_str().and_then(|name| name.rsplit('_').next()) else { continue };
        let lives =
            || [Cgroup::of_pod(uid), Cgroup::of_keeper(uid)].iter().any(|cgroup| !cgroup.processes().is_empty());
        if is_old(&entry, |kind| kind.is_dir()) && !uids.contains(uid) && !lives() {
            found.push(entry.path());
        }
    }
    for entry in entries(&paths.names()).flat_map(|namespace| entries(&namespace.path())) {
        if entry.file_name().to_str().is_some_and(|name| stray(name).is_some()) && is_old(&entry, |kind| kind.is_file())
        {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// Removes what [`find`] has found.
pub fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

fn entries(directory: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    fs::read_dir(directory).into_iter().flatten().flatten()
}

fn is_old(entry: &DirEntry, kind: impl Fn(FileType) -> bool) -> bool {
    let age = |time| SystemTime::now().duration_since(time).unwrap_or_default();
    entry
        .metadata()
        .is_ok_and(|metadata| kind(metadata.file_type()) && metadata.modified().is_ok_and(|time| age(time) >= AGE))
}
