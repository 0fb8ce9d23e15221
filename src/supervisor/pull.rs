//! Pulls for a pod. A pull is a process of its own, `podlet pull-for-pod RUN-DIRECTORY ID`, made by the pod's keeper under the
//! effect's id: it goes on while supervisors die and sleep, and what memory it needs goes with it. It finds all that it has to
//! know in the pod's files, nothing secret is among its words, and leaves how it went in a file of the run directory.
//!
//! The first half of this file is the supervisor's; [`work`] is what the process does.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Pod, Secret};
use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::effects::not_asked_for;
use super::files::{self, Durability};
use super::orders::Orders;
use super::reports::End;
use super::run::{Happening, Supervisor};
use super::state::Asked;
use super::world::KeptObjects;
use super::{clock, diagnostics, kept};
use crate::image::{How, ImageError, Keyring, Progress, Store};
use crate::linux::container::{self, Objects};
use crate::linux::pidfd;
use crate::manifest::containers::find_container;
use crate::paths::Paths;
use crate::pod::effect::{Action, EffectId, EffectName};
use crate::pod::input::{Fact, ImageFacts, ImageFailure, Pulled};

/// The word by which the process knows what it is.
const VERB: &str = "pull-for-pod";
/// How long a pull that is to end may take to clear away what it has begun.
const ENDING: Duration = Duration::from_secs(5);

/// How a pull went.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Outcome {
    error: Option<String>,
    milliseconds: u64,
    /// Of these spent waiting for another pull of the same layers.
    #[serde(default)]
    waited_milliseconds: u64,
    size: u64,
    notes: Vec<String>,
}

impl Supervisor {
    /// Begins a pull, unless a predecessor has.
    pub(super) async fn begin_pull(&mut self, id: &EffectId, container: String, attempt: u32) {
        if self.processes.contains_key(&id.0) || self.starting.contains_key(id) {
            return;
        }
        let pod = self.pod();
        let (_, missing) = pull_secrets(&pod, self.world.paths());
        let fact = Fact::ImagePulling { container: container.clone(), attempt, missing_secrets: missing };
        self.tell(fact, clock::now(), None, None).await;
        // The machine may have given up the start in between.
        if !self.state.is_pending(id) {
            return;
        }
        if let Err(message) = self.spawn_pull(id).await {
            self.pull_failed(container, attempt, message, None).await;
        }
    }

    async fn spawn_pull(&mut self, id: &EffectId) -> Result<(), String> {
        let paths = self.world.paths();
        let run = paths.pod_run(self.world.uid());
        let run = run.to_str().ok_or("the run directory's name is not UTF-8")?;
        let words = ["podlet", VERB, run, &id.0].map(str::to_owned).to_vec();
        let log = File::options().append(true).create(true).open(paths.supervisor_log(self.world.uid()));
        let log = log.map_err(|error| format!("could not open the supervisor's log: {error}"))?;
        let pod = self.pod();
        let prepared = container::prepare_helper(&self.world.context(&pod), "pull", words, &log);
        let prepared = prepared.map_err(|failure| failure.message)?;
        self.spawn(id, prepared).await.map_err(not_asked_for)
    }

    /// The container and instance that this spawn pulls for, if it is a pull.
    pub(super) fn pull_of(&self, id: &EffectId) -> Option<(String, u32)> {
        let asked = self.state.pending.iter().find(|asked| asked.id == *id)?;
        match &asked.action {
            Action::EnsureImage { container, attempt } => Some((container.clone(), *attempt)),
            _ => None,
        }
    }

    /// Its process has ended; what it has left tells how, and is kept until that is in the journal.
    pub(super) async fn pull_ended(&mut self, id: &EffectId, container: String, attempt: u32, end: End) {
        let path = self.world.paths().pull(self.world.uid(), &file_name(id));
        let outcome = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        self.tell_outcome(outcome, container, attempt, end).await;
        let _ = files::remove_file(&path);
        self.release_status(id);
    }

    async fn tell_outcome(&mut self, outcome: Option<Outcome>, container: String, attempt: u32, end: End) {
        let Some(outcome) = outcome else {
            let message = format!("the process that pulled was ended ({:?})", end.exit);
            return self.pull_failed(container, attempt, message, Some(end)).await;
        };
        self.notice(&outcome.notes);
        if let Some(message) = outcome.error {
            return self.pull_failed(container, attempt, message, Some(end)).await;
        }
        let pod = self.pod();
        let name = find_container(&pod, &container).and_then(|spec| spec.image.clone()).unwrap_or_default();
        match self.world.images.find(&name) {
            Ok(image) => {
                let pulled = Pulled {
                    milliseconds: outcome.milliseconds.saturating_sub(outcome.waited_milliseconds),
                    with_waiting_milliseconds: outcome.milliseconds,
                    size: outcome.size,
                };
                let facts = ImageFacts {
                    image: image.reference.clone(),
                    image_id: image.shown_id().to_owned(),
                    stop_signal: image.config.stop_signal.clone(),
                };
                let fact = Fact::ImageReady { container, attempt, image: facts, pulled: Some(pulled) };
                self.tell(fact, end.at, end.report, Some(Box::new(image))).await;
            }
            // Removed since, or the container has another image by now.
            Err(error) => self.pull_failed(container, attempt, error.to_string(), Some(end)).await,
        }
    }

    pub(super) async fn pull_failed(&mut self, container: String, attempt: u32, message: String, end: Option<End>) {
        let fact = Fact::ImageFailed { container, attempt, reason: ImageFailure::ErrImagePull, message };
        match end {
            Some(end) => self.tell(fact, end.at, end.report, None).await,
            None => self.tell(fact, clock::now(), None, None).await,
        }
    }

    /// Whether a pull is under way. It is told to end; after a while it is killed, and the store's next writer clears away what
    /// it had begun.
    pub(super) fn end_pulls(&mut self, asked: &Asked) -> bool {
        let pulls = self.state.pending.iter().filter(|asked| matches!(asked.action, Action::EnsureImage { .. }));
        let pulls: Vec<_> = pulls.filter_map(|asked| self.processes.get(&asked.id.0).cloned()).collect();
        if pulls.is_empty() {
            self.ending_pulls = None;
            return false;
        }
        let since = *self.ending_pulls.get_or_insert_with(Instant::now);
        let signal = if since.elapsed() < ENDING { SIGTERM } else { nix::libc::SIGKILL };
        for pull in pulls {
            // ESRCH: it has ended, and its report is on its way.
            let _ = pidfd::signal(pull.as_fd(), signal);
        }
        let (happenings, asked) = (self.happenings.clone(), asked.clone());
        tokio::task::spawn_local(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let _ = happenings.send(Happening::Again(asked));
        });
        true
    }
}

/// An effect's id as the name of a file: containers' names hold neither dots nor slashes.
fn file_name(id: &EffectId) -> String {
    id.0.replace(['/', '#'], ".")
}

/// The Secrets of `imagePullSecrets`, and the names of those that are not there.
fn pull_secrets(pod: &Pod, paths: &Paths) -> (Vec<Secret>, Vec<String>) {
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let objects = KeptObjects { paths: paths.clone(), namespace };
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for reference in pod.spec.iter().flat_map(|spec| spec.image_pull_secrets.iter().flatten()) {
        match objects.secret(&reference.name) {
            Some(secret) => found.push(secret),
            None => missing.push(reference.name.clone()),
        }
    }
    (found, missing)
}

/// The run directory and the effect's id, if these are such a process's words.
pub fn words(words: &[OsString]) -> Option<(PathBuf, EffectId)> {
    match words {
        [_, verb, run, id] if verb == VERB => Some((PathBuf::from(run), EffectId(id.to_str()?.to_owned()))),
        _ => None,
    }
}

/// Pulls the image of the container that the id names, and leaves how it went.
pub fn work(run_directory: &Path, id: &EffectId) -> u8 {
    let orders = match Orders::read(run_directory) {
        Ok(orders) => orders,
        Err(error) => {
            eprintln!("podlet: {error}");
            return 1;
        }
    };
    // Else it would be called as the supervisor is, in ps and top.
    let _ = nix::sys::prctl::set_name(c"podlet-pull");
    diagnostics::begin(&orders);
    let began = Instant::now();
    let progress = Arc::new(Progress::default());
    end_on_signal(&progress);
    let mut outcome = pull(&orders, id, &progress).unwrap_or_else(|error| {
        tracing::info!(id = id.0, "{error}");
        Outcome { error: Some(error.to_string()), ..Outcome::default() }
    });
    outcome.milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let path = orders.paths.pull(&orders.uid, &file_name(id));
    let written = serde_json::to_vec(&outcome).map_err(io::Error::from);
    match written.and_then(|json| files::replace(&path, &json, Durability::Process)) {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("could not write {}: {error}", path.display());
            1
        }
    }
}

fn pull(orders: &Orders, id: &EffectId, progress: &Progress) -> Result<Outcome, ImageError> {
    let unreadable = |why: String| ImageError::Unreadable(why);
    let pod = kept::manifest(&orders.paths, &orders.uid).map_err(|error| unreadable(error.to_string()))?;
    let pod = pod.ok_or_else(|| unreadable("the pod is gone".to_owned()))?;
    let Some(EffectName::Image { container, .. }) = EffectName::read(id) else {
        return Err(unreadable(format!("{:?} is the id of no pull", id.0)));
    };
    let spec = find_container(&pod, &container);
    let name = spec.and_then(|spec| spec.image.clone()).unwrap_or_default();
    let (secrets, _) = pull_secrets(&pod, &orders.paths);
    let how = How {
        environment: orders.choices.environment.clone(),
        keyring: Keyring { secrets, ..Keyring::default() },
        insecure: false,
        limits: orders.choices.image_limits,
        patience: orders.choices.registry_patience,
    };
    let store = Store::open(&orders.paths.images());
    let pulled = store.pull(&name, &how, progress)?;
    let waited_milliseconds = u64::try_from(pulled.waited.as_millis()).unwrap_or(u64::MAX);
    Ok(Outcome { size: pulled.packed_size, waited_milliseconds, notes: pulled.notes, ..Outcome::default() })
}

/// A signal ends the pull, which clears away what it had begun.
fn end_on_signal(progress: &Arc<Progress>) {
    let progress = Arc::clone(progress);
    let wait = move |mut signals: signal_hook::iterator::Signals| {
        signals.forever().take(1).for_each(|_| progress.end());
    };
    match signal_hook::iterator::Signals::new([SIGTERM, SIGINT]) {
        Ok(signals) => drop(std::thread::spawn(move || wait(signals))),
        Err(error) => tracing::warn!("this pull can only be killed: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_name_of_a_file() {
        assert_eq!(file_name(&EffectId("image/web/3#12".to_owned())), "image.web.3.12");
    }
}
