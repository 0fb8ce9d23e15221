//! What others see of the pod: watchers hear of each change; `kept.json` is written when it changes what a reader without a
//! supervisor, or a reboot, must know.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::clock;
use super::control::Answer;
use super::files::{self, Durability};
use super::kept::{self, KEPT_VERSION, Kept};
use super::run::{Happening, Over};
use super::state::{Snapshot, header};
use super::vouch::Mark;
use crate::pod::effect::Action;

/// How long changes are gathered before `kept.json` is written: a start makes half a dozen within a few milliseconds, and
/// whoever asks meanwhile gets the truth from the supervisor.
const GATHER: Duration = Duration::from_millis(50);

/// Why `kept.json` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Something changed.
    Changed,
    /// The pod has ended; nothing more will come.
    Ended,
    /// Nothing of the pod runs, but it is to be set going again.
    Stopped,
}

/// What was published last.
#[derive(Debug, Default)]
pub struct Publication {
    /// A writing is due.
    due: bool,
    /// A hash of what was written last.
    written: Option<u64>,
    /// That is how the pod is.
    current: bool,
    /// What a reboot must know, as it stands on the disk: synced only when this changes.
    durable: Option<u64>,
    /// Locked from a publication to the next change, for those who look.
    mark: Option<Mark>,
}

impl Publication {
    /// Goes on from what a predecessor has written; `current` when nothing can have changed since.
    pub fn of_predecessor(written: &[u8], current: bool) -> Publication {
        Publication { written: Some(hash(written)), current, ..Publication::default() }
    }

    /// Whether what is written is how the pod is.
    pub fn is_current(&self) -> bool {
        self.current
    }
}

/// The annotation that holds what a user should know of how the pod runs on this machine, a line each. `apply` prints it.
pub const NOTICES: &str = "podlet.dev/notices";

/// The annotation that holds the version of the podlet that runs the pod, or ran it last.
pub const PROGRAM: &str = "podlet.dev/version";

impl super::run::Supervisor {
    /// What the starts that predecessors have seen had to say.
    pub(super) fn read_notices(&mut self) {
        let earlier = std::fs::read_to_string(self.world.paths().notices(self.world.uid())).unwrap_or_default();
        self.notices.extend(earlier.lines().map(str::to_owned));
    }

    /// A start has something to say.
    pub(super) fn notice(&mut self, lines: &[String]) {
        let before = self.notices.len();
        self.notices.extend(lines.iter().cloned());
        if self.notices.len() == before {
            return;
        }
        let text: Vec<&str> = self.notices.iter().map(String::as_str).collect();
        let path = self.world.paths().notices(self.world.uid());
        if let Err(error) = files::replace(&path, text.join("\n").as_bytes(), Durability::Process) {
            tracing::warn!("could not write {}: {error}", path.display());
        }
        self.has_changed();
    }

    /// The pod as shown: the machine's, with what only podlet knows in annotations.
    pub(super) fn shown(&self) -> Pod {
        let mut pod = self.state.machine.pod();
        let mut notes = BTreeMap::from([(PROGRAM.to_owned(), crate::VERSION.to_owned())]);
        if !self.state.set_aside.is_empty() {
            let facts: Vec<String> = self
                .state
                .set_aside
                .iter()
                .map(|aside| format!("{}: {}", serde_json::to_string(&aside.fact).unwrap_or_default(), aside.panic))
                .collect();
            notes.insert("podlet.dev/set-aside".to_owned(), facts.join("\n"));
        }
        let troubles = self.logs.iter().filter_map(|((container, _), log)| Some((container, log.trouble()?)));
        let mut failures: Vec<String> =
            troubles.map(|(container, message)| format!("{container}: {message}")).collect();
        failures.sort();
        if !failures.is_empty() {
            notes.insert("podlet.dev/log-not-written".to_owned(), failures.join("\n"));
        }
        if !self.notices.is_empty() {
            let lines: Vec<&str> = self.notices.iter().map(String::as_str).collect();
            notes.insert(NOTICES.to_owned(), lines.join("\n"));
        }
        if self.keeper_lost {
            let text = "keeper and twin were killed and no other could be started (see supervisor.log): what runs goes on, \
                        nothing can be started; delete the pod and apply it again";
            notes.insert("podlet.dev/keeper-lost".to_owned(), text.to_owned());
        } else if let Some(text) = self.describe_adopted() {
            notes.insert("podlet.dev/keeper-lost".to_owned(), text);
        }
        pod.metadata.annotations.get_or_insert_with(BTreeMap::new).extend(notes);
        pod
    }

    /// The pod and its events, for whoever asks.
    pub(super) fn shown_state(&self) -> Answer {
        Answer::State { pod: Box::new(self.shown()), events: self.state.machine.events() }
    }

    /// Something changes: from now on whoever looks asks this supervisor. Before anything can be seen of the change elsewhere.
    pub(super) fn has_changed(&mut self) {
        self.changed = true;
        // One that cannot be unlocked is closed, which unlocks it.
        self.publication.mark.take_if(|mark| mark.unlock().is_err());
    }

    /// What is published is how the pod is: whoever looks need not ask. Where this cannot be said they do.
    fn vouch(&mut self) {
        let path = self.world.paths().current(self.world.uid());
        let mark = self.publication.mark.take().or_else(|| Mark::make(&path).ok());
        self.publication.mark = mark.filter(|mark| mark.lock().is_ok());
    }

    /// Something changed: those who watch hear it now, the file is written soon.
    pub(super) fn publish_change(&mut self) {
        self.publication.current = false;
        if self.connections.any_watches() {
            let state = self.shown_state();
            self.connections.tell_watchers(&state);
        }
        if !std::mem::replace(&mut self.publication.due, true) {
            let happenings = self.happenings.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(GATHER).await;
                let _ = happenings.send(Happening::PublishDue);
            });
        }
    }

    /// Writes `kept.json`. A full disk is tried again at the next change; readers ask the supervisor meanwhile.
    pub(super) fn publish(&mut self, reason: Reason) -> bool {
        self.publication.due = false;
        if self.over == Some(Over::Removed) {
            return true;
        }
        let (ended, stopped) = (reason == Reason::Ended, reason == Reason::Stopped);
        let pod = self.shown();
        let durable = must_survive(&pod, reason != Reason::Changed);
        let durability =
            if self.publication.durable == Some(durable) { Durability::Process } else { Durability::Power };
        let resume = (!ended).then(|| Snapshot { header: header(), state: self.state.clone() });
        let events = self.state.machine.events();
        let kept = Kept { version: KEPT_VERSION, boot_id: clock::boot_id(), ended, stopped, pod, events, resume };
        let path = self.world.paths().pod_kept(self.world.uid());
        let written = serde_json::to_vec(&kept).map_err(std::io::Error::from).and_then(|bytes| {
            let written = hash(&bytes);
            // Woken for something that changed nothing: so it stands there already.
            if self.publication.written != Some(written) {
                files::replace(&path, &bytes, durability)?;
            }
            Ok(written)
        });
        match written {
            Ok(written) => {
                self.publication.written = Some(written);
                self.publication.durable = Some(durable);
                self.publication.current = true;
                if reason == Reason::Changed && !self.changed {
                    self.vouch();
                }
                true
            }
            Err(error) => {
                tracing::error!("could not write {}: {error}", path.display());
                false
            }
        }
    }

    /// The pod is torn down and stays as an object, over or to be set going again: its last status is kept, its run
    /// directory goes, this process ends.
    pub(super) fn end_if_over(&mut self) {
        let removal = self.state.pending.iter().any(|asked| asked.action == Action::Remove);
        if self.over.is_some() || removal || !self.state.machine.is_torn_down() || !self.queue.is_empty() {
            return;
        }
        let reason = if self.state.machine.is_stopped() { Reason::Stopped } else { Reason::Ended };
        if !self.publish(reason) {
            // The disk is full: with the run directory the status would be lost. Tried again until there is room.
            let happenings = self.happenings.clone();
            self.has_changed();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let _ = happenings.send(Happening::PublishDue);
            });
            return;
        }
        self.keep_history();
        if let Err(error) = kept::remove_run(self.world.paths(), self.world.uid()) {
            tracing::warn!("could not remove the run directory: {error}");
        }
        self.over = Some(Over::Ended);
    }
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// A hash of what a reboot must know: deletion, phase, restart counts, the end.
fn must_survive(pod: &Pod, ended: bool) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    ended.hash(&mut hasher);
    pod.metadata.generation.hash(&mut hasher);
    pod.metadata.deletion_timestamp.as_ref().map(|time| time.0.to_string()).hash(&mut hasher);
    if let Some(status) = &pod.status {
        status.phase.hash(&mut hasher);
        let init = status.init_container_statuses.iter().flatten();
        for container in init.chain(status.container_statuses.iter().flatten()) {
            (&container.name, container.restart_count).hash(&mut hasher);
        }
    }
    hasher.finish()
}
