//! `podlet upgrade`: the pod goes on under another program, its supervisor's and its keeper's, and no process of a container
//! hears of it.
//!
//! The command line *is* the new program. It reads what this pod's supervisor has written, to see that it understands it
//! (`readable`), then gives two descriptors to the supervisor that runs: itself and its keeper. The
//! keeper becomes the new one in place (`pause/src/bin/keeper.rs`), so it stays the parent of all, with every descriptor; the
//! supervisor ends, and the keeper starts the new one, which takes over as after any end. Asked again, that one answers that
//! there is nothing to do: so the command line knows that it has come about.
//!
//! Pause runs on as it is: it is the pod's namespaces, and does nothing.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::client::{Client, ClientError, PATIENCE};
use super::control::{Answer, Layouts, Request};
use super::launch;
use super::orders::Orders;
use super::run::{Over, Supervisor};
use super::state::{Record, Snapshot};
use super::{journal, recover};
use crate::linux::programs::Program;
use crate::paths::Paths;

/// The first version of the control socket that knows of this.
const FIRST_VERSION: u32 = 2;

/// How often a pod is asked: once; again of the new supervisor; and for each that has died on the way.
const TRIES: u32 = 5;

/// Why a pod goes on as it was.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// Nobody is there to be asked.
    #[error("nothing of this pod runs")]
    NotRunning,
    /// Its supervisor is from before there was such a request.
    #[error(
        "its podlet {0} is too old to be replaced while it runs; stop the pod and start it with this one (podlet stop, podlet \
         start)"
    )]
    TooOld(String),
    /// This program would not understand what it takes over.
    #[error("podlet {ours} does not understand what the pod's podlet has written, which runs on: {0}", ours = crate::VERSION)]
    Unreadable(String),
    /// The program and its keeper, as they are to be handed over.
    #[error("could not open this program: {0}")]
    Program(io::Error),
    /// The supervisor said no.
    #[error("{0}")]
    Refused(String),
    /// The old supervisor has ended, and nobody answers in its place.
    #[error("its containers run on, but its new supervisor did not come up: {source}{log}")]
    Supervisor {
        /// What the control socket said.
        source: ClientError,
        /// The end of its log, on lines of its own.
        log: String,
    },
}

/// Puts a running pod on this program. Answers the version that it ran on, or nothing when it ran on this very program.
pub fn upgrade(paths: &Paths, uid: &str) -> Result<Option<String>, UpgradeError> {
    let program = File::open("/proc/self/exe").map_err(UpgradeError::Program)?;
    let keeper = Program::Keeper.open(&paths.programs(uid)).map_err(UpgradeError::Program)?;
    let layouts = Layouts { oldest: pause::message::OLDEST, newest: pause::message::VERSION };
    let mut before = None;
    let mut asked = 0;
    loop {
        asked += 1;
        let ask = || {
            let client = Client::connect(paths, uid)?;
            if client.server().version < FIRST_VERSION {
                return Ok(Err(UpgradeError::TooOld(client.server().program.clone())));
            }
            if let Err(message) = readable(paths, uid) {
                return Ok(Err(UpgradeError::Unreadable(message)));
            }
            client.send(&Request::Upgrade { keeper: layouts }, &[program.as_fd(), keeper.as_fd()])?;
            Ok(Ok((client.receive_within(PATIENCE)?, client.server().program.clone())))
        };
        match ask() {
            Ok(Ok((Answer::Unchanged, _))) => return Ok(before),
            Ok(Ok((Answer::Accepted, version))) if asked < TRIES => drop(before.get_or_insert(version)),
            Ok(Ok((Answer::Refused { message }, _))) => return Err(UpgradeError::Refused(message)),
            Ok(Ok((other, version))) => {
                let reason = other.name().to_owned();
                return Err(UpgradeError::Refused(ClientError::Unexpected { program: version, reason }.to_string()));
            }
            Ok(Err(error)) => return Err(error),
            Err(ClientError::NotRunning) if before.is_none() => return Err(UpgradeError::NotRunning),
            // Killed on the way; the keeper starts another.
            Err(ClientError::HungUp) if asked < TRIES => {}
            Err(source) => return Err(UpgradeError::Supervisor { source, log: launch::log_tail(paths, uid) }),
        }
    }
}

/// Whether this program understands all that the pod's supervisor has written for its successor. It goes on writing: a
/// segment that is gone was followed by another, so it is looked at again.
fn readable(paths: &Paths, uid: &str) -> Result<(), String> {
    let mut looks = 0;
    loop {
        match read_all(paths, uid) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && looks < TRIES => looks += 1,
            other => return other.map_err(|error| error.to_string()),
        }
    }
}

fn read_all(paths: &Paths, uid: &str) -> io::Result<()> {
    let run = paths.pod_run(uid);
    Orders::read(&run)?;
    let Some(number) = recover::segments(&run)?.first().copied() else { return Ok(()) };
    let told = |what: String| move |error| io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {error}"));
    if number > 0 {
        let bytes = std::fs::read(paths.snapshot(uid, number))?;
        serde_json::from_slice::<Snapshot>(&bytes).map_err(told(format!("snapshot {number}")))?;
    }
    let segment = match journal::read(&paths.journal(uid, number)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && number > 0 => return Ok(()),
        other => other?,
    };
    for (line, json) in segment.records.iter().enumerate() {
        serde_json::from_slice::<Record>(json).map_err(told(format!("record {line} of journal {number}")))?;
    }
    Ok(())
}

impl Supervisor {
    /// A client brings a program (the first descriptor) and its keeper.
    pub(super) fn upgrade(&mut self, connection: u64, keeper: Layouts, descriptors: &[OwnedFd]) {
        match self.begin_upgrade(keeper, descriptors) {
            Ok(None) => self.upgrading = Some(connection),
            Ok(Some(answer)) => self.connections.answer(connection, &answer),
            Err(message) => {
                tracing::warn!("not upgraded: {message}");
                self.connections.answer(connection, &Answer::Refused { message });
            }
        }
    }

    /// Nothing is answered yet when it was begun.
    fn begin_upgrade(&self, layouts: Layouts, descriptors: &[OwnedFd]) -> Result<Option<Answer>, String> {
        let [program, keeper] = descriptors else {
            return Err(format!(
                "expected a program and a keeper to go on with, found {} descriptors",
                descriptors.len()
            ));
        };
        if self.keeper_lost {
            return Err(
                "it has no keeper any more (see the annotation podlet.dev/keeper-lost); delete and apply it".into()
            );
        }
        let (own, _) = self.keeper.pids();
        let keepers = PathBuf::from(format!("/proc/{own}/exe"));
        let same =
            same_bytes(program, "/proc/self/exe".into()).and_then(|same| Ok(same && same_bytes(keeper, keepers)?));
        if same.map_err(|error| format!("could not compare the programs: {error}"))? {
            return Ok(Some(Answer::Unchanged));
        }
        let page = self.keeper.version();
        if !(layouts.oldest..=layouts.newest).contains(&page) {
            return Err(format!(
                "its keeper's memory has layout {page}, that program goes on with {} to {}; stop the pod and start it with that \
                 program (podlet stop, podlet start)",
                layouts.oldest, layouts.newest
            ));
        }
        if self.upgrading.is_some() {
            return Err("another upgrade is under way; try again".into());
        }
        tracing::info!("becoming another program");
        self.keeper
            .upgrade(program.as_fd(), keeper.as_fd())
            .map_err(|error| format!("could not ask the keeper: {error}; try again"))?;
        Ok(None)
    }

    /// The keeper runs its new program, or could not become it and is the old one.
    pub(super) fn upgraded(&mut self, errno: i32) {
        // A predecessor's, which was killed before it could end: this is the new program already.
        let Some(client) = self.upgrading.take() else { return };
        let answer = if errno == 0 {
            tracing::info!("the keeper is another program; it starts the next supervisor");
            self.over = Some(Over::Replaced);
            Answer::Accepted
        } else {
            let error = io::Error::from_raw_os_error(errno);
            tracing::error!("the keeper could not become another program: {error}");
            Answer::Refused {
                message: format!("its keeper could not become that program: {error}; it goes on as it was"),
            }
        };
        self.connections.answer(client, &answer);
    }
}

/// Whether an open file is the one at a path, or has the same bytes.
fn same_bytes(file: &OwnedFd, path: PathBuf) -> io::Result<bool> {
    let (mut a, mut b) = (File::from(file.try_clone()?), File::open(path)?);
    let (of_a, of_b) = (a.metadata()?, b.metadata()?);
    if (of_a.dev(), of_a.ino()) == (of_b.dev(), of_b.ino()) {
        return Ok(true);
    }
    if of_a.len() != of_b.len() {
        return Ok(false);
    }
    io::Seek::rewind(&mut a)?;
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    loop {
        of_a.clear();
        of_b.clear();
        a.by_ref().take(PIECE).read_to_end(&mut of_a)?;
        b.by_ref().take(PIECE).read_to_end(&mut of_b)?;
        if of_a != of_b {
            return Ok(false);
        }
        if of_a.is_empty() {
            return Ok(true);
        }
    }
}

/// Compared at once.
const PIECE: u64 = 64 * 1024;
