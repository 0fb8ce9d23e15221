//! Ends what runs, and clears away what is left of it: of an instance, of the pod, of the object.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::files::{self, Durability};
use super::kept::{self, Claim};
use super::run::{Happening, Over, Supervisor};
use super::state::Asked;
use super::tags::{environment_tag, stdin_tag, stdin_taken_tag};
use super::{clock, old_logs};
use crate::linux::container;
use crate::linux::{pidfd, process, signal as signals};
use crate::pod::input::Fact;

/// How long a removal waits for the logs' disk.
const LOGS_REMOVAL: Duration = Duration::from_secs(2);

/// How long what was killed may take to go before it is asked why.
const STUCK: Duration = Duration::from_secs(5);

/// A container that was sent SIGKILL.
pub struct Killed {
    container: String,
    attempt: u32,
    at: Instant,
    /// The user knows what it hangs in.
    told: bool,
}

impl Killed {
    /// Its name.
    pub fn container(&self) -> &str {
        &self.container
    }
}

impl Supervisor {
    /// Sends the signal by which an instance is asked to end.
    pub(super) fn signal_container(&self, container: &str, attempt: u32, signal: &str) {
        let Some(number) = signals::number(signal) else {
            tracing::error!(signal, "no such signal");
            return;
        };
        let Some(pidfd) = self.first_process(container, attempt) else { return };
        if let Err(error) = pidfd::signal(pidfd.as_fd(), number) {
            tracing::warn!(container, signal, "could not send a signal: {error}");
        }
    }

    /// Kills all of an instance.
    pub(super) fn kill_container(&mut self, container: &str, attempt: u32) {
        // The first process too, by its pidfd: one that has not joined its cgroup yet is not found there.
        if let Some(pidfd) = self.first_process(container, attempt) {
            end(&pidfd);
        }
        self.kill_again(Killed { container: container.to_owned(), attempt, at: Instant::now(), told: false });
    }

    /// What hears SIGKILL is not always gone at once: everything else of the pod goes on meanwhile. A process that the kernel
    /// does not let go of is named to the user, once.
    pub(super) fn kill_again(&mut self, mut killed: Killed) {
        let Killed { container, attempt, at, told } = &mut killed;
        // The next instance has the same cgroup.
        if self.first_process(container, *attempt).is_none() {
            return;
        }
        let pod = self.pod();
        let left = container::container_cgroup(&self.world.context(&pod), container).kill_once();
        if left.is_empty() {
            return;
        }
        let wait = (at.elapsed() / 2).clamp(Duration::from_millis(10), Duration::from_secs(1));
        let stuck = at.elapsed() > STUCK && left.iter().any(|pid| process::is_uninterruptible(*pid));
        let happening = if stuck && !std::mem::replace(told, true) {
            let stuck = left.into_iter().filter(|pid| process::is_uninterruptible(*pid));
            let message = stuck.map(process::describe_uninterruptible).collect::<Vec<_>>().join(", ");
            Happening::StuckAfterKill { killed, message }
        } else {
            Happening::StillThere(killed)
        };
        let happenings = self.happenings.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(wait).await;
            let _ = happenings.send(happening);
        });
    }

    /// Clears away all of a pod of which nothing runs any more, its logs written to their ends.
    pub(super) async fn tear_down(&mut self, asked: Asked) {
        if self.end_pulls(&asked) {
            return;
        }
        let pod = self.pod();
        for (name, attempt) in self.logs.keys().cloned().collect::<Vec<_>>() {
            let Some(log) = self.logs.get(&(name.clone(), attempt)) else { continue };
            if let Err(message) = log.drain().await {
                // Nobody will read the logs of a pod that is being deleted; others are waited for, as a container waits.
                let unwritten = log.unwritten();
                if pod.metadata.deletion_timestamp.is_none() && !log.is_given_up() {
                    return self.again(asked);
                }
                tracing::error!(container = name, unwritten, "the end of its log cannot be written: {message}");
                let fact = Fact::LogLost { container: name.clone(), lost: unwritten, message };
                self.tell(fact, clock::now(), None, None).await;
            }
            if let Some(log) = self.logs.get(&(name.clone(), attempt)) {
                log.say_last_words().await;
            }
            self.let_go_of_log(&name, attempt);
        }
        self.remains.clear();
        self.ahead = None;
        if let Err(error) = container::tear_down(&self.world.context(&pod)) {
            tracing::error!("could not clear what the pod leaves, trying again in a second: {error}");
            return self.again(asked);
        }
        self.tell(Fact::TornDown, clock::now(), None, None).await;
    }

    /// Removes the object with all that is kept of it.
    pub(super) async fn remove(&mut self, asked: Asked) {
        let pod = self.pod();
        let claim = Claim::of(&pod, self.world.uid());
        // Who watches hears how it ended before it hears that it is gone.
        if self.connections.any_watches() {
            let state = self.shown_state();
            self.connections.tell_watchers(&state);
        }
        // The manifest goes before the run directory does: a supervisor that is started in between goes on by this file.
        let removal = self.world.paths().removal(self.world.uid());
        let begun = serde_json::to_vec(&claim).map_err(io::Error::from);
        if let Err(error) = begun.and_then(|json| files::replace(&removal, &json, Durability::Process)) {
            tracing::warn!("could not write {}: {error}", removal.display());
        }
        // The logs' disk may be one that does not answer: then they stay until it does, or until this process is ended.
        let (paths, logs_of) = (self.world.paths().clone(), claim.clone());
        let logs = tokio::task::spawn_blocking(move || kept::remove_logs(&paths, &logs_of));
        let removed = match tokio::time::timeout(LOGS_REMOVAL, logs).await {
            Ok(Ok(removed)) => removed,
            Ok(Err(_)) | Err(_) => {
                tracing::error!("the logs are removed when their disk answers");
                Ok(())
            }
        };
        match removed.and_then(|()| kept::remove_all_but_logs(self.world.paths(), &claim)) {
            Ok(()) => {
                self.connections.removed();
                self.over = Some(Over::Removed);
            }
            Err(error) => {
                tracing::error!("{error}, trying again in a second");
                self.again(asked);
            }
        }
    }

    /// Clears what an ended instance has left: its writable layer and files.
    pub(super) fn clear_remains(&mut self, container: &str, attempt: u32) {
        let pod = self.pod();
        // What a container has left that is to be started again may still be looked at (`podlet debug --hold`).
        if !self.state.machine.may_be_looked_at(container, attempt)
            && let Err(error) = container::remove_instance(&self.world.context(&pod), container, attempt)
        {
            tracing::warn!(container, attempt, "could not clear what an ended instance leaves: {error}");
        }
        // This one's log and the one before it can still be asked for (`logs`, `logs --previous`).
        let log = self.world.paths().container_log(&self.world.logs(&pod), container, attempt);
        // A disk in trouble is not waited for: the end of the next instance comes here again.
        let trouble = self.logs.values().any(|log| log.trouble().is_some());
        if let Some(directory) = log.parent().filter(|_| !trouble)
            && let Err(error) = old_logs::remove_before(attempt.saturating_sub(1), directory)
        {
            tracing::warn!(container, "could not remove logs of older instances: {error}");
        }
        self.let_go_of_start(container, attempt);
    }

    /// What was held for an instance from its start on.
    pub(super) fn let_go_of_start(&mut self, container: &str, attempt: u32) {
        self.let_go_of_stdin(container, attempt);
        let _ = self.keeper.release(&environment_tag(container, attempt));
        self.environments.retain(|name, (kept, _)| name != container || *kept != attempt);
    }

    /// The input of an instance ends, as far as it is held here.
    pub(super) fn let_go_of_stdin(&self, container: &str, attempt: u32) {
        for tag in [stdin_tag(container, attempt), stdin_taken_tag(container, attempt)] {
            let _ = self.keeper.release(&tag);
        }
    }
}

/// Kills what is in nobody's cgroup but its own: pause, or a container's first process.
pub(super) fn end(pidfd: &Rc<OwnedFd>) {
    if let Err(error) = pidfd::signal(pidfd.as_fd(), nix::libc::SIGKILL) {
        tracing::warn!(descriptor = pidfd.as_raw_fd(), "could not kill a process: {error}");
    }
}
