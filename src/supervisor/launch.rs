//! What `podlet apply` does to set a pod going: the name is claimed, the manifest kept, the run directory made, the
//! control socket bound and listening, the keeper started; then it waits until the supervisor has journalled the
//! admission. From there on the pod is the keeper's and supervisor's; this process may go.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, listen, socket};

use super::client::{self, Client, ClientError};
use super::files::{self, Durability};
use super::kept::{self, Claim, KeptError};
use super::orders::{Choices, ORDERS_VERSION, Orders};
use super::tags::CONTROL_TAG;
use super::{clock, diagnostics};
use crate::linux::cgroup::{Cgroup, Entrance};
use crate::linux::keeper;
use crate::paths::{Paths, way_out};
use crate::pod::admission;

/// A pod that has been set going.
#[derive(Clone, Debug)]
pub struct Launched {
    /// Its uid.
    pub uid: String,
    /// As first published.
    pub pod: Pod,
    /// Its first events.
    pub events: Vec<Event>,
    /// It was this call that set it going, and no quicker one.
    pub here: bool,
}

/// Why a pod was not set going. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Another pod has the name (another `apply` may have been quicker); compare with it.
    #[error("pods \"{name}\" already exists")]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        uid: String,
    },
    /// A file or directory could not be made.
    #[error("could not {action} {}: {source}{}", path.display(), way_out(source))]
    File {
        /// `make`, `write`, `bind`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Kept state.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// It was removed in the meantime.
    #[error("the pod with uid {uid} is gone")]
    Gone {
        /// Which.
        uid: String,
    },
    /// The keeper could not be started.
    #[error("could not start the pod's keeper: {0}")]
    Keeper(io::Error),
    /// It was started, but never got as far as admitting the pod.
    #[error("the pod's supervisor did not come up: {source}{log}")]
    Supervisor {
        /// What the control socket said.
        source: ClientError,
        /// The end of its log, on lines of its own.
        log: String,
    },
}

/// Sets a defaulted and valid pod going. A uid and a creation time are given to it here.
pub fn launch(paths: &Paths, pod: Pod, choices: &Choices) -> Result<Launched, LaunchError> {
    launch_as(paths, &new_uid()?, pod, choices)
}

/// The same with a uid of the caller's, that of no other pod: for who lays something where the pod will look for it.
pub fn launch_as(paths: &Paths, uid: &str, mut pod: Pod, choices: &Choices) -> Result<Launched, LaunchError> {
    let claim = Claim::of(&pod, uid);
    // Held until the pod is admitted: of two at once the second finds a pod that runs, not half a one.
    let lock = kept::lock_name(paths, &claim.namespace, &claim.name)?;
    if let Some(uid) = kept::find(paths, &claim.namespace, &claim.name)? {
        return Err(LaunchError::NameTaken { name: claim.name, uid });
    }
    let uid = claim.uid.clone();
    pod.metadata.uid = Some(uid.clone());
    let now = jiff::Timestamp::from_second(clock::now().wall.0 / 1_000_000_000).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    pod.metadata.creation_timestamp = Some(Time(now));
    let launched = write_manifest(paths, &uid, &pod)
        .and_then(|()| Ok(kept::claim(&lock, paths, &claim)?))
        .and_then(|()| set_going(paths, &uid, &claim, choices));
    if launched.is_err() {
        clear_failed(paths, &claim);
    }
    launched
}

/// Sets a pod going again of which nothing runs although it has not ended (its machine was started anew, or keeper, twin
/// and supervisor were all killed): the same uid and manifest.
pub fn relaunch(paths: &Paths, uid: &str, choices: &Choices) -> Result<Launched, LaunchError> {
    let gone = || LaunchError::Gone { uid: uid.to_owned() };
    let pod = kept::manifest(paths, uid)?.ok_or_else(gone)?;
    let claim = Claim::of(&pod, uid);
    let _lock = kept::lock_name(paths, &claim.namespace, &claim.name)?;
    if kept::find(paths, &claim.namespace, &claim.name)?.as_deref() != Some(uid) {
        return Err(gone());
    }
    // Another command may have been quicker.
    match Client::connect(paths, uid).and_then(|client| client.state()) {
        Ok((pod, events)) => return Ok(Launched { uid: uid.to_owned(), pod, events, here: false }),
        Err(ClientError::NotRunning) => {}
        Err(source) => return Err(LaunchError::Supervisor { source, log: log_tail(paths, uid) }),
    }
    set_going(paths, uid, &claim, choices)
}

/// The manifest and its directory; not synced yet: that is done while the supervisor starts.
fn write_manifest(paths: &Paths, uid: &str, pod: &Pod) -> Result<(), LaunchError> {
    let directory = paths.pod_state(uid);
    files::private_directory(&directory).map_err(file_error("make", &directory))?;
    let path = paths.pod_manifest(uid);
    let json = serde_json::to_vec(pod).map_err(io::Error::from).map_err(file_error("write", &path))?;
    files::replace(&path, &json, Durability::Process).map_err(file_error("write", &path))
}

/// From kept state to an admitted pod: run directory, orders, control socket, keeper.
fn set_going(paths: &Paths, uid: &str, claim: &Claim, choices: &Choices) -> Result<Launched, LaunchError> {
    if let Some(taken) = take_place(paths, uid, choices.max_pods)? {
        return reject(paths, uid, choices, taken);
    }
    if let Some(directory) = &choices.pod_logs_dir {
        kept::place_logs(paths, claim, directory)?;
    }
    let orders = Orders {
        version: ORDERS_VERSION,
        boot_id: clock::boot_id(),
        paths: paths.clone(),
        uid: uid.to_owned(),
        launch: new_uid()?,
        choices: choices.clone(),
    };
    // Cgroups and files wait for different things in the kernel: each takes as long as the other.
    let (socket, entrance) = std::thread::scope(|scope| {
        let entrance = scope.spawn(|| keeper_entrance(uid));
        let socket = write_orders(&orders).and_then(|()| bind(paths, uid));
        (socket, entrance.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))))
    });
    let socket = socket?;
    start_keeper(paths, uid, claim, entrance, &[(CONTROL_TAG, socket.as_fd())])?;
    // The keeper has it now; were it kept here, a keeper that ends at once would not be noticed.
    drop(socket);
    let manifest = paths.pod_manifest(uid);
    let synced = File::open(&manifest).and_then(|file| file.sync_all());
    synced.and_then(|()| File::open(paths.pod_state(uid))?.sync_all()).map_err(file_error("write", &manifest))?;
    let (pod, events) = wait_for_admission(paths, uid)?;
    Ok(Launched { uid: uid.to_owned(), pod, events, here: true })
}

/// Makes the pod's run directory, by which it counts as one that runs. If there are as many of these as there may be, it is not
/// made, and how many there are is answered.
fn take_place(paths: &Paths, uid: &str, most: Option<u32>) -> Result<Option<u64>, LaunchError> {
    let run = paths.pod_run(uid);
    let make = || files::private_directory(&run).map_err(file_error("make", &run));
    let Some(most) = most else { return make().map(|()| None) };
    let all = paths.run.join("pods");
    loop {
        files::private_directory(&all).map_err(file_error("make", &all))?;
        // Of two at once the second counts the first. The directory goes when it is empty, and another one may be there by now.
        let Ok(directory) = File::open(&all) else { continue };
        let _lock = Flock::lock(directory, FlockArg::LockExclusive)
            .map_err(|(_, errno)| file_error("lock", &all)(errno.into()))?;
        let Ok(entries) = std::fs::read_dir(&all) else { continue };
        let taken = entries.flatten().filter(|entry| entry.file_name() != uid).count() as u64;
        if taken >= u64::from(most) {
            return Ok(Some(taken));
        }
        return make().map(|()| None);
    }
}

/// Of a pod that is one too many the end is kept, as of one that has ended; it never has a process.
fn reject(paths: &Paths, uid: &str, choices: &Choices, taken: u64) -> Result<Launched, LaunchError> {
    let pod = kept::manifest(paths, uid)?.ok_or_else(|| LaunchError::Gone { uid: uid.to_owned() })?;
    let most = u64::from(choices.max_pods.unwrap_or_default());
    let (pod, events) = admission::reject_out_of_pods(pod, &choices.settings, clock::now(), taken, most);
    kept::write_ended(paths, uid, &pod, &events)?;
    Ok(Launched { uid: uid.to_owned(), pod, events, here: true })
}

fn write_orders(orders: &Orders) -> Result<(), LaunchError> {
    let path = orders.paths.orders(&orders.uid);
    let json = serde_json::to_vec(orders).map_err(io::Error::from).map_err(file_error("write", &path))?;
    files::replace(&path, &json, Durability::Process).map_err(file_error("write", &path))
}

/// For a supervisor whose keeper and twin were killed: another keeper, which holds what those held and starts another
/// supervisor. That one cannot begin before the caller has ended, who has the lock.
pub(super) fn replace_keeper(orders: &Orders, pod: &Pod, held: &[(&str, BorrowedFd<'_>)]) -> Result<(), LaunchError> {
    // The new keeper counts its reports anew.
    write_orders(&Orders { launch: new_uid()?, ..orders.clone() })?;
    start_keeper(&orders.paths, &orders.uid, &Claim::of(pod, &orders.uid), keeper_entrance(&orders.uid), held)
}

/// The control socket, listening, mode 0600. It listens before anything runs: a client that comes early waits in its
/// backlog and is not turned away.
fn bind(paths: &Paths, uid: &str) -> Result<OwnedFd, LaunchError> {
    let path = paths.control_socket(uid);
    let error = |error: io::Error| file_error("bind", &path)(error);
    files::remove_file(&path).map_err(error)?;
    let directory = File::open(paths.pod_run(uid)).map_err(error)?;
    let bound = || -> nix::Result<OwnedFd> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        // A path of any length, by way of its directory's descriptor (sockaddr_un holds 108 bytes, unix(7)).
        let address = UnixAddr::new(format!("/proc/self/fd/{}/control.sock", directory.as_raw_fd()).as_str())?;
        nix::sys::socket::bind(socket.as_raw_fd(), &address)?;
        listen(&socket, Backlog::new(128)?)?;
        Ok(socket)
    };
    let socket = bound().map_err(|errno| error(errno.into()))?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(error)?;
    Ok(socket)
}

/// Makes the cgroup of the pod's keeper. One that is empty is made anew: what is cloned into a cgroup that was once killed by its
/// `cgroup.kill` is killed, too (seen on Linux 6.18).
fn keeper_entrance(uid: &str) -> io::Result<Entrance> {
    let cgroup = Cgroup::of_keeper(uid);
    if cgroup.exists() && cgroup.processes().is_empty() {
        cgroup.remove()?;
    }
    cgroup.create()?;
    cgroup.entrance()
}

fn start_keeper(
    paths: &Paths,
    uid: &str,
    claim: &Claim,
    entrance: io::Result<Entrance>,
    held: &[(&str, BorrowedFd<'_>)],
) -> Result<(), LaunchError> {
    let run = paths.pod_run(uid);
    // Not the name that the command was typed by: that file may be replaced, this descriptor stays what it is.
    let program = File::open("/proc/self/exe").map_err(LaunchError::Keeper)?;
    let log_path = paths.supervisor_log(uid);
    let log =
        File::options().append(true).create(true).mode(0o600).open(&log_path).map_err(file_error("make", &log_path))?;
    let entrance = entrance.map_err(LaunchError::Keeper)?;
    let run_text = run.to_str().ok_or_else(|| LaunchError::File {
        action: "use",
        path: run.clone(),
        source: io::Error::other("its name is not UTF-8"),
    })?;
    let started = keeper::start(&keeper::Start {
        name: &format!("{}/{}", claim.namespace, claim.name),
        program: program.as_fd(),
        arguments: &["podlet", "supervise", run_text],
        log: Some(log.as_fd()),
        cgroup: &entrance,
        held,
        programs: &paths.programs(uid),
    });
    started.map(|_| ()).map_err(LaunchError::Keeper)
}

/// Asks until the supervisor answers: its answer comes only when the admission is in the journal. One that dies before that
/// is started again by the keeper and finds the next question in the backlog.
fn wait_for_admission(paths: &Paths, uid: &str) -> Result<(Pod, Vec<Event>), LaunchError> {
    client::again(|| Client::see(paths, uid)).or_else(|source| match source {
        // A pod can be over before it was asked after: its program ended within milliseconds.
        ClientError::NotRunning | ClientError::HungUp if ended(paths, uid).is_some() => {
            ended(paths, uid).ok_or_else(|| LaunchError::Gone { uid: uid.to_owned() })
        }
        source => Err(LaunchError::Supervisor { source, log: log_tail(paths, uid) }),
    })
}

fn ended(paths: &Paths, uid: &str) -> Option<(Pod, Vec<Event>)> {
    kept::read(paths, uid).ok().flatten().filter(|kept| kept.ended).map(|kept| (kept.pod, kept.events))
}

pub(super) fn log_tail(paths: &Paths, uid: &str) -> String {
    let tail = diagnostics::tail(&paths.supervisor_log(uid), 10);
    if tail.is_empty() { tail } else { format!("\nThe end of its log:\n{tail}") }
}

/// A launch that failed leaves nothing: its processes, all in the keeper's own cgroup, its files and its name.
fn clear_failed(paths: &Paths, claim: &Claim) {
    let _ = Cgroup::of_keeper(&claim.uid).kill();
    let _ = kept::remove(paths, claim);
}

/// A random UUID, of the kernel's making (random(4)).
pub fn new_uid() -> Result<String, LaunchError> {
    let path = Path::new("/proc/sys/kernel/random/uuid");
    Ok(std::fs::read_to_string(path).map_err(file_error("read", path))?.trim().to_owned())
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LaunchError {
    move |source| LaunchError::File { action, path: path.to_owned(), source }
}
