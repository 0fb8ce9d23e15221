//! Directories in podlet's places that belong to no pod: an interrupted launch or removal has left them, or somebody has
//! removed half of a pod by hand. Finds them; removes nothing.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::linux::cgroup::Cgroup;
use crate::paths::Paths;
use crate::supervisor::kept::Claim;

/// A pod's directories are made before its name is claimed, and go after it is given up: what is younger than this may be
/// one's that comes or goes.
const AGE: Duration = Duration::from_secs(600);

/// State, run and log directories of no pod that has a name, with no process of theirs, and not young.
pub fn find(paths: &Paths, claims: &[Claim]) -> Vec<PathBuf> {
    let uids: HashSet<&str> = claims.iter().map(|claim| claim.uid.as_str()).collect();
    let mut found = Vec::new();
    for directory in [paths.state.join("pods"), paths.run.join("pods"), paths.logs.join("pods")] {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            // Of a log directory the uid is the last part: neither namespaces nor names have an underscore.
            let Some(uid) = name.to_str().and_then(|name| name.rsplit('_').next()) else { continue };
            let old = entry.metadata().is_ok_and(|metadata| {
                metadata.is_dir()
                    && metadata
                        .modified()
                        .is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age >= AGE))
            });
            let lives =
                || [Cgroup::of_pod(uid), Cgroup::of_keeper(uid)].iter().any(|cgroup| !cgroup.processes().is_empty());
            if old && !uids.contains(uid) && !lives() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}
