//! Pods as they can be seen, whether or not anything of them runs: `kept.json` is written by a pod's supervisor
//! ([`super::publish`]) and read here by every verb of the command line. Names are claimed and given up here.
//!
//! Nothing here starts or ends a process.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::mem;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, Event, Pod, PodCondition, PodStatus,
};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::client::{self, Client, ClientError};
use super::clock;
use super::files::{self, Durability};
use super::state::Snapshot;
use super::vouch;
use crate::linux::cgroup::Cgroup;
use crate::paths::{Paths, way_out};

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

/// Who vouches for what is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The pod's supervisor answered, or sleeps.
    Live,
    /// The pod is in its final phase; nothing of it runs.
    Ended,
    /// It was stopped; nothing of it runs until it is started again.
    Stopped,
    /// The machine has been started anew since; nothing of the pod runs until it is started again.
    Rebooted,
    /// It should run, but its supervisor and keepers are gone. What became of its containers is not known.
    Unattended,
}

/// A pod as it can be seen now.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// `v1.Pod` with status.
    pub pod: Pod,
    /// Oldest first.
    pub events: Vec<Event>,
    /// Who vouches for it.
    pub standing: Standing,
}

/// A claimed name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claim {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
}

/// Why kept state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// A file or directory.
    #[error("could not {action} {}: {source}{}", path.display(), way_out(source))]
    File {
        /// `read`, `write`, `remove`, `lock`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Not what podlet writes there.
    #[error("{} does not hold what podlet writes there: {reason}; move it away and apply the pod again", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The supervisor answers, but not with the pod.
    #[error(transparent)]
    Supervisor(ClientError),
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeptError {
    move |source| KeptError::File { action, path: path.to_owned(), source }
}

/// The uid that holds a name, if any does.
pub fn find(paths: &Paths, namespace: &str, name: &str) -> Result<Option<String>, KeptError> {
    read_claim(&paths.name(namespace, name))
}

fn read_claim(path: &Path) -> Result<Option<String>, KeptError> {
    match std::fs::read_to_string(path) {
        Ok(uid) if is_uid(uid.trim()) => Ok(Some(uid.trim().to_owned())),
        Ok(_) => Err(KeptError::Content { path: path.to_owned(), reason: "not a uid".to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error("read", path)(error)),
    }
}

/// A uid becomes part of paths: nothing but letters, digits and dashes.
fn is_uid(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// All pods known, of one namespace or of all, in the order of namespace and name.
pub fn list(paths: &Paths, namespace: Option<&str>) -> Result<Vec<Claim>, KeptError> {
    let mut claims = Vec::new();
    let namespaces = match namespace {
        Some(namespace) => vec![namespace.to_owned()],
        None => entries(&paths.names())?,
    };
    for namespace in namespaces {
        for name in entries(&paths.names().join(&namespace))? {
            // A claim given up between the two calls is no error.
            if let Some(uid) = find(paths, &namespace, &name)? {
                claims.push(Claim { namespace: namespace.clone(), name, uid });
            }
        }
    }
    claims.sort();
    Ok(claims)
}

fn entries(directory: &Path) -> Result<Vec<String>, KeptError> {
    let listing = match std::fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file_error("read", directory)(error)),
    };
    let mut names = Vec::new();
    for entry in listing {
        let name = entry.map_err(file_error("read", directory))?.file_name();
        // Locks and files being written begin with a dot.
        if let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// What is kept of one pod; `None` when it was never published.
pub fn read(paths: &Paths, uid: &str) -> Result<Option<Kept>, KeptError> {
    read_as(paths, uid)
}

/// Of `kept.json` what is to be seen: the half of it that is for a supervisor need not be understood for a look.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    boot_id: String,
    ended: bool,
    #[serde(default)]
    stopped: bool,
    pod: Pod,
    events: Vec<Event>,
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

/// A pod as it can be seen now: its supervisor is asked, unless all that is to be said is published ([`vouch`]); where none
/// answers, kept state is read, and what it cannot vouch for is shown as unknown. `None`: no such pod (it may have gone just
/// now).
pub fn see(paths: &Paths, uid: &str) -> Result<Option<Seen>, KeptError> {
    if vouch::is_current(paths, uid)
        && let Ok(Some(kept)) = read_as::<Shown>(paths, uid)
    {
        return Ok(Some(Seen { pod: kept.pod, events: kept.events, standing: Standing::Live }));
    }
    match client::again(|| Client::see(paths, uid)) {
        Ok((pod, events)) => return Ok(Some(Seen { pod, events, standing: Standing::Live })),
        // It has ended with its pod, and there is no socket any more; or none was started again in time.
        Err(ClientError::NotRunning | ClientError::HungUp) => {}
        Err(error) => return Err(KeptError::Supervisor(error)),
    }
    let Some(kept) = read_as::<Shown>(paths, uid)? else {
        // Claimed, but killed before its supervisor published anything.
        return Ok(manifest(paths, uid)?.map(|pod| unattended(pod, Vec::new(), Standing::Unattended)));
    };
    Ok(Some(if kept.ended {
        Seen { pod: kept.pod, events: kept.events, standing: Standing::Ended }
    } else if kept.stopped {
        stopped(kept.pod, kept.events)
    } else if kept.boot_id != clock::boot_id() {
        unattended(kept.pod, kept.events, Standing::Rebooted)
    } else {
        unattended(kept.pod, kept.events, Standing::Unattended)
    }))
}

/// The pod waits to be set going again. Its containers are as they ended: none waits for its back-off any more.
fn stopped(mut pod: Pod, events: Vec<Event>) -> Seen {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let status = pod.status.get_or_insert_with(PodStatus::default);
    status.phase = Some("Pending".to_owned());
    status.reason = Some("Stopped".to_owned());
    status.message = Some(format!("The pod was stopped; podlet start {name} sets it going again"));
    for container in status.container_statuses.iter_mut().chain(&mut status.init_container_statuses).flatten() {
        if let (Some(state), Some(last)) = (&mut container.state, &mut container.last_state)
            && state.waiting.is_some()
            && last.terminated.is_some()
        {
            *state = mem::take(last);
        }
    }
    Seen { pod, events, standing: Standing::Stopped }
}

/// Nobody watches this pod: phase Unknown with a message that says why and what to do, containers that ran are in a
/// state as a kubelet shows after its runtime has lost them (lifecycle 9.4: 255, `Unknown`), and nothing is ready.
fn unattended(mut pod: Pod, events: Vec<Event>, standing: Standing) -> Seen {
    let why = match standing {
        Standing::Rebooted => "The machine was started anew while this pod ran",
        _ => "This pod's supervisor and its keepers are gone",
    };
    let name = pod.metadata.name.clone().unwrap_or_default();
    let status = pod.status.get_or_insert_with(PodStatus::default);
    status.phase = Some("Unknown".to_owned());
    status.message = Some(format!("{why}; apply {name} again to start it, or delete it"));
    for list in [&mut status.init_container_statuses, &mut status.container_statuses] {
        for container in list.iter_mut().flatten() {
            forget_running(container, why);
        }
    }
    for condition in status.conditions.iter_mut().flatten() {
        if matches!(condition.type_.as_str(), "Ready" | "ContainersReady") {
            not_ready(condition);
        }
    }
    Seen { pod, events, standing }
}

fn not_ready(condition: &mut PodCondition) {
    condition.status = "False".to_owned();
    condition.reason = Some("PodStatusUnknown".to_owned());
}

fn forget_running(container: &mut ContainerStatus, why: &str) {
    container.ready = false;
    container.started = Some(false);
    let Some(running) = container.state.as_mut().and_then(|state| state.running.take()) else { return };
    container.state = Some(ContainerState {
        terminated: Some(ContainerStateTerminated {
            container_id: container.container_id.clone(),
            exit_code: 255,
            reason: Some("Unknown".to_owned()),
            message: Some(format!("{why}; how the container ended cannot be known")),
            started_at: running.started_at,
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    });
}

/// The lock of one name, held while it is claimed, given up, or a pod of it is set going. Freed when dropped; when nobody
/// has the name then, the lock's file and directory go with it.
pub struct NameLock {
    lock: Flock<File>,
    /// The lock's file.
    path: PathBuf,
    /// The claim's.
    name: PathBuf,
}

/// Waits for the lock of a name. Two `apply` of one pod at once: the second sees what the first has done.
pub fn lock_name(paths: &Paths, namespace: &str, name: &str) -> Result<NameLock, KeptError> {
    loop {
        if let Some(lock) = try_lock_name(paths, namespace, name, FlockArg::LockExclusive)? {
            return Ok(lock);
        }
    }
}

/// `None`: another has it, or had it and has removed its file.
fn try_lock_name(paths: &Paths, namespace: &str, name: &str, how: FlockArg) -> Result<Option<NameLock>, KeptError> {
    let path = paths.name_lock(namespace, name);
    if let Some(directory) = path.parent() {
        files::private_directory(directory).map_err(file_error("make", directory))?;
    }
    let file = match File::options().create(true).truncate(false).write(true).mode(0o600).open(&path) {
        Ok(file) => file,
        // Its directory was removed as empty just now.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error("open", &path)(error)),
    };
    match Flock::lock(file, how) {
        Ok(lock) => {
            let lock = NameLock { lock, path, name: paths.name(namespace, name) };
            Ok(lock.is_named().then_some(lock))
        }
        Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => Ok(None),
        Err((_, errno)) => Err(file_error("lock", &path)(errno.into())),
    }
}

impl NameLock {
    /// A lock on a file that was removed meanwhile keeps nobody out: others lock the new one.
    fn is_named(&self) -> bool {
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        match (self.lock.metadata().map(identity), std::fs::metadata(&self.path).map(identity)) {
            (Ok(locked), Ok(named)) => locked == named,
            _ => false,
        }
    }
}

impl Drop for NameLock {
    fn drop(&mut self) {
        // Looked at under the lock: whoever claims the name holds it.
        let unclaimed = matches!(self.name.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound);
        if unclaimed {
            // Whoever writes the name has its lock: a half-written one is of somebody who was killed.
            files::remove_strays(&self.name);
        }
        if unclaimed && self.is_named() && files::remove_file(&self.path).is_ok() {
            let directories: Vec<&Path> = self.path.ancestors().skip(1).take(2).collect();
            files::remove_empty(&directories);
        }
    }
}

/// Claims a name for a uid, once: the first claim stands.
pub(super) fn claim(_lock: &NameLock, paths: &Paths, claim: &Claim) -> Result<(), KeptError> {
    let path = paths.name(&claim.namespace, &claim.name);
    files::replace(&path, claim.uid.as_bytes(), Durability::Process).map_err(file_error("write", &path))
}

/// Removes all of a pod of which nothing runs: its name, its directories, its logs, the keeper's cgroup. What is gone already
/// is no error. The name goes first: a pod half removed is no longer listed; the run directory goes last: a supervisor that
/// is killed in between is started again in it and goes on.
pub fn remove(paths: &Paths, claim: &Claim) -> Result<(), KeptError> {
    remove_logs(paths, claim)?;
    remove_all_but_logs(paths, claim)
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

/// Removes a pod's logs. They may lie on a disk of their own, which may not answer.
pub(super) fn remove_logs(paths: &Paths, claim: &Claim) -> Result<(), KeptError> {
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
pub(super) fn remove_all_but_logs(paths: &Paths, claim: &Claim) -> Result<(), KeptError> {
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
pub(super) fn remove_run(paths: &Paths, uid: &str) -> io::Result<()> {
    if let Err(error) = Cgroup::of_keeper(uid).vacate() {
        tracing::warn!("could not remove the keeper's cgroup: {error}");
    }
    files::remove_file(&paths.orders(uid))?;
    files::remove_tree(&paths.pod_run(uid))?;
    files::remove_empty(&[&paths.run.join("pods")]);
    files::remove_empty(&paths.usual_roots());
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn paths(name: &str) -> Paths {
        let root = std::env::temp_dir().join(format!("podlet-kept-{name}-{}", std::process::id()));
        Paths { run: root.join("run"), state: root.join("state"), logs: root.join("logs") }
    }

    fn clear(paths: &Paths) {
        files::remove_tree(paths.run.parent().unwrap()).unwrap();
    }

    fn running_pod() -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "u-1"},
            "status": {"phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
                "containerStatuses": [{"name": "a", "image": "i", "imageID": "", "ready": true, "restartCount": 3,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}
        }))
        .unwrap()
    }

    #[test]
    fn names_are_claimed_listed_and_given_up() {
        let paths = paths("names");
        let web = Claim { namespace: "default".into(), name: "web".into(), uid: "u-1".into() };
        assert_eq!(list(&paths, None).unwrap(), vec![]);
        {
            let lock = lock_name(&paths, "default", "web").unwrap();
            claim(&lock, &paths, &web).unwrap();
        }
        assert_eq!(find(&paths, "default", "web").unwrap().as_deref(), Some("u-1"));
        assert_eq!(list(&paths, None).unwrap(), vec![web.clone()]);
        assert_eq!(list(&paths, Some("other")).unwrap(), vec![]);
        // Another pod has the name by now: removing the old one leaves it.
        remove(&paths, &Claim { uid: "u-0".into(), ..web.clone() }).unwrap();
        assert_eq!(find(&paths, "default", "web").unwrap().as_deref(), Some("u-1"));
        remove(&paths, &web).unwrap();
        assert_eq!(list(&paths, None).unwrap(), vec![]);
        clear(&paths);
    }

    #[test]
    fn what_a_killed_writer_left_of_a_name_goes_with_the_next_who_has_it() {
        let paths = paths("strays");
        let names = paths.names().join("default");
        files::private_directory(&names).unwrap();
        for stray in [".web.4711.new", ".web.1.4711.new", ".web.x.new"] {
            std::fs::write(names.join(stray), "u-").unwrap();
        }
        assert_eq!(list(&paths, None).unwrap(), vec![]);
        drop(lock_name(&paths, "default", "web").unwrap());
        let mut left: Vec<_> = std::fs::read_dir(&names).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".web.1.4711.new", ".web.x.new"]);
        clear(&paths);
    }

    #[test]
    fn what_a_reboot_left_is_shown_as_unknown_and_never_as_running() {
        let paths = paths("reboot");
        files::private_directory(&paths.pod_state("u-1")).unwrap();
        for (boot_id, standing) in
            [("another boot".to_owned(), Standing::Rebooted), (clock::boot_id(), Standing::Unattended)]
        {
            let kept = Kept {
                version: KEPT_VERSION,
                boot_id,
                ended: false,
                stopped: false,
                pod: running_pod(),
                events: vec![],
                resume: None,
            };
            files::replace(&paths.pod_kept("u-1"), &serde_json::to_vec(&kept).unwrap(), Durability::Process).unwrap();
            let seen = see(&paths, "u-1").unwrap().unwrap();
            assert_eq!(seen.standing, standing);
            let status = seen.pod.status.unwrap();
            assert_eq!(status.phase.as_deref(), Some("Unknown"));
            assert!(status.message.unwrap().contains("apply web again"));
            let container = &status.container_statuses.unwrap()[0];
            assert!(!container.ready);
            assert_eq!(container.restart_count, 3);
            assert_eq!(container.state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 255);
            assert_eq!(status.conditions.unwrap()[0].status, "False");
        }
        clear(&paths);
    }

    #[test]
    fn an_ended_pod_is_shown_as_it_ended() {
        let paths = paths("ended");
        files::private_directory(&paths.pod_state("u-1")).unwrap();
        let kept = Kept {
            version: KEPT_VERSION,
            boot_id: "x".into(),
            ended: true,
            stopped: false,
            pod: running_pod(),
            events: vec![],
            resume: None,
        };
        files::replace(&paths.pod_kept("u-1"), &serde_json::to_vec(&kept).unwrap(), Durability::Power).unwrap();
        let seen = see(&paths, "u-1").unwrap().unwrap();
        assert_eq!((seen.pod, seen.standing), (running_pod(), Standing::Ended));
        assert_eq!(see(&paths, "u-2").unwrap(), None);
        clear(&paths);
    }

    #[test]
    fn a_damaged_file_is_named_with_the_way_out() {
        let paths = paths("damaged");
        files::private_directory(&paths.pod_state("u-1")).unwrap();
        std::fs::write(paths.pod_kept("u-1"), "{").unwrap();
        let error = see(&paths, "u-1").unwrap_err().to_string();
        assert!(error.contains("kept.json") && error.contains("move it away"), "{error}");
        clear(&paths);
    }
}
