//! The removal of all that is kept of a pod.

use std::io;

use nix::fcntl::FlockArg;

use super::error::{KeptError, file_error};
use super::names::{Claim, read_claim, try_lock_name};
use crate::linux::cgroup::Cgroup;
use crate::paths::Paths;
use crate::supervisor::files;

/// Removes all of a pod of which nothing runs: its name, its directories, its logs, the keeper's cgroup. What is gone already
/// is no error. The name goes first: a pod half removed is no longer listed; the run directory goes last: a supervisor that
/// is killed in between is started again in it and goes on.
pub fn remove(paths: &Paths, claim: &Claim) -> Result<(), KeptError> {
    remove_logs(paths, claim)?;
    remove_all_but_logs(paths, claim)
}

/// Removes a pod's logs. They may lie on a disk of their own, which may not answer.
pub(in crate::supervisor) fn remove_logs(paths: &Paths, claim: &Claim) -> Result<(), KeptError> {
    let logs = paths.pod_logs(&claim.namespace, &claim.name, &claim.uid);
    if let Ok(place) = std::fs::read_link(&logs) {
        files::remove_tree(&place).map_err(file_error("remove", &place))?;
        files::remove_file(&logs).map_err(file_error("remove", &logs))?;
    }
    files::remove_tree(&logs).map_err(file_error("remove", &logs))?;
    files::remove_empty(&[&paths.logs.join("pods")]);
    Ok(())
}

/// See [`remove`].
pub(in crate::supervisor) fn remove_all_but_logs(paths: &Paths, claim: &Claim) -> Result<(), KeptError> {
    let name = paths.name(&claim.namespace, &claim.name);
    // The name may have been claimed by another pod since.
    if read_claim(&name)?.as_deref() == Some(claim.uid.as_str()) {
        files::remove_file(&name).map_err(file_error("remove", &name))?;
    }
    // For the lock's file. Whoever holds it now removes it himself if the name is still free then.
    drop(try_lock_name(paths, &claim.namespace, &claim.name, FlockArg::LockExclusiveNonblock)?);
    let state = paths.pod_state(&claim.uid);
    files::remove_tree(&state).map_err(file_error("remove", &state))?;
    let run = paths.pod_run(&claim.uid);
    remove_run(paths, &claim.uid).map_err(file_error("remove", &run))?;
    files::remove_empty(&[&paths.state.join("pods")]);
    files::remove_empty(&paths.usual_roots());
    Ok(())
}

/// Removes a pod's run directory, and before it the keeper's cgroup, so that a pod of which no run directory is left has
/// left nothing. The orders go first: without them nobody takes a half removed directory for that of a new pod.
pub(in crate::supervisor) fn remove_run(paths: &Paths, uid: &str) -> io::Result<()> {
    if let Err(error) = Cgroup::of_keeper(uid).vacate() {
        tracing::warn!("could not remove the keeper's cgroup: {error}");
    }
    files::remove_file(&paths.orders(uid))?;
    files::remove_tree(&paths.pod_run(uid))?;
    files::remove_empty(&[&paths.run.join("pods")]);
    files::remove_empty(&paths.usual_roots());
    Ok(())
}
