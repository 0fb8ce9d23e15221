//! What a pod's supervisor does when keeper and twin were both killed: what they made runs on under another parent, and must
//! go on being the pod's. Called by `recover` and `reports`; starts no container and restarts none.
//!
//! A supervisor that lives has another keeper started, with all that the old one held and a pidfd of each process; that
//! keeper starts a supervisor, which takes over as ever, and this one ends. A supervisor that was killed too is started by
//! the next command: it finds the processes by the numbers and start times in its journal. Either way they are *adopted*:
//! no keeper reports their ends, so each is watched by its pidfd.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::rc::Rc;

use super::log::{Held, Outputs};
use super::reports::End;
use super::run::{Supervisor, watch_process};
use super::{clock, launch};
use crate::linux::pidfd::{self, Ended};
use crate::linux::process;
use crate::pod::effect::EffectId;
use crate::pod::input::{Exit, Fact};

/// Before the id, among what the keeper holds: the pidfd of a process that is not its child.
const PROCESS_TAG: &str = "process/";

/// How much of a log's end is searched for the last whole line: more than a line is ever long.
const LOG_END: u64 = 64 * 1024;

impl Supervisor {
    /// Keeper and twin are gone. Comes back only if no other keeper could be started: then what runs is followed from here, and
    /// nothing can be started.
    pub(super) fn lose_keeper(&mut self, error: &io::Error) {
        tracing::error!("the pod's keeper and its twin are gone, another is started: {error}");
        match self.replace_keeper() {
            // At once: from here on another supervisor waits for the lock, and no task of this one may touch a log any more.
            Ok(()) => std::process::exit(super::run::BADLY.into()),
            Err(error) => tracing::error!("going on without a keeper: {error}"),
        }
        self.keeper_lost = true;
        self.has_changed();
        for (id, pidfd) in &self.processes {
            watch_process(id, pidfd, &self.happenings);
        }
    }

    fn replace_keeper(&self) -> Result<(), Box<dyn std::error::Error>> {
        let mut held: HashMap<String, OwnedFd> = self.keeper.held()?.into_iter().collect();
        for (id, pidfd) in &self.processes {
            held.insert(format!("{PROCESS_TAG}{id}"), pidfd.try_clone()?);
        }
        let held: Vec<(&str, BorrowedFd<'_>)> = held.iter().map(|(tag, fd)| (tag.as_str(), fd.as_fd())).collect();
        Ok(launch::replace_keeper(&self.world.orders, &self.pod(), &held)?)
    }

    /// The processes that a predecessor gave to this keeper: those that the keeper before it had made.
    pub(super) fn adopt_held_processes(&mut self, held: &mut HashMap<String, OwnedFd>) {
        let tags: Vec<String> = held.keys().filter(|tag| tag.starts_with(PROCESS_TAG)).cloned().collect();
        for tag in tags {
            if let (Some(id), Some(pidfd)) = (tag.strip_prefix(PROCESS_TAG), held.remove(&tag)) {
                self.adopt(id, pidfd);
            }
        }
    }

    /// What should run as far as the journal knows, but is no child of the keeper's: found by number and start time.
    ///
    /// The pod's mounts were made in the mount namespace of the keeper that was killed, in which pause lives on; this keeper has
    /// another. So that more can be started, a third one is, from there, and this one's work is done.
    pub(super) fn adopt_found_processes(&mut self, is_child: impl Fn(&str) -> bool) {
        let lost = self.state.processes.keys().filter(|id| self.state.runs(id) && !is_child(id));
        let lost = lost.filter(|id| !self.adopted.contains(*id));
        let found: Vec<(String, OwnedFd)> = lost.filter_map(|id| Some((id.clone(), self.find_process(id)?))).collect();
        let sandbox = self.state.sandbox.as_ref().map(|running| running.id.0.as_str());
        let pause = found.iter().find(|(id, _)| Some(id.as_str()) == sandbox).map(|(_, pidfd)| pidfd.as_fd());
        if let Some(pause) = pause
            && let Err(error) = self.enter_mounts_of(pause)
        {
            tracing::error!("what runs of the pod cannot be taken up, it is ended: {error}");
            return;
        }
        let another_keeper = pause.is_some();
        for (id, pidfd) in found {
            tracing::info!(id, "it runs, though its keeper is gone");
            if let Err(error) = self.keeper.hold(&format!("{PROCESS_TAG}{id}"), pidfd.as_fd()) {
                tracing::error!(id, "the next supervisor will have to look for it, too: {error}");
            }
            let container = self.state.containers.iter().find(|(_, running)| running.id.0 == id);
            if let Some((container, attempt)) = container.map(|(name, running)| (name.clone(), running.attempt))
                && let Err(error) = self.go_on_with_log(&container, attempt, pidfd.as_fd())
            {
                tracing::error!(container, "its log does not go on: {error}");
            }
            self.adopt(&id, pidfd);
        }
        if another_keeper {
            match self.replace_keeper() {
                Ok(()) => {
                    self.end_own_keeper();
                    std::process::exit(super::run::WELL.into());
                }
                Err(error) => tracing::error!("no container can be started without the pod's mounts: {error}"),
            }
        }
    }

    /// A keeper ends by itself only without children, and the new one fell to it. First the twin: it would take over.
    fn end_own_keeper(&self) {
        let (keeper, guard) = self.keeper.pids();
        if keeper == nix::unistd::getppid().as_raw() {
            for pid in [guard, keeper].into_iter().filter(|pid| *pid > 0) {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
        }
    }

    /// With a shared PID namespace pause has a mount namespace of its own, and the one with the pod's mounts is gone.
    fn enter_mounts_of(&self, pause: BorrowedFd<'_>) -> io::Result<()> {
        if self.pod().spec.as_ref().is_some_and(|spec| spec.share_process_namespace == Some(true)) {
            return Err(io::Error::other("the mount namespace with the pod's volumes went with its keeper"));
        }
        Ok(nix::sched::setns(pause, nix::sched::CloneFlags::CLONE_NEWNS)?)
    }

    fn find_process(&self, id: &str) -> Option<OwnedFd> {
        let known = self.state.processes.get(id)?;
        let pidfd = pidfd::open(known.pid).ok()?;
        // Looked at after the pidfd was made: as long as that lives, it is what was looked at.
        let started = process::started_at(known.pid).ok()?;
        (started == known.started && process::still_alive(pidfd.as_fd()).is_ok()).then_some(pidfd)
    }

    fn adopt(&mut self, id: &str, pidfd: OwnedFd) {
        let pidfd = Rc::new(pidfd);
        watch_process(id, &pidfd, &self.happenings);
        self.processes.insert(id.to_owned(), pidfd);
        self.adopted.insert(id.to_owned());
    }

    /// Ids and pids of what was adopted and is not reaped.
    pub(super) fn adopted_processes(&self) -> Vec<(String, i32)> {
        let pid = |id: &String| process::pid_of(self.processes.get(id)?.as_fd()).ok();
        self.adopted.iter().filter_map(|id| Some((id.clone(), pid(id)?))).collect()
    }

    /// For the status, while something runs whose end may stay unknown.
    pub(super) fn describe_adopted(&self) -> Option<String> {
        let containers = self.state.containers.iter().map(|(name, running)| (name.as_str(), running));
        let all = containers.chain(self.state.sandbox.iter().map(|running| ("the sandbox", running)));
        let names: Vec<&str> =
            all.filter(|(_, running)| self.adopted.contains(&running.id.0)).map(|(name, _)| name).collect();
        if names.is_empty() {
            return None;
        }
        Some(format!(
            "keeper and twin were killed and another keeper was started; {} ran on meanwhile: how that ends is known only if \
             the kernel tells (Linux 6.15 or newer)",
            names.join(", ")
        ))
    }

    /// The supervisor was killed together with those who held the log's pipes: their reading ends are opened anew through the
    /// container's own descriptors. What was in podlet's hands is lost, what the pipes hold is not.
    fn go_on_with_log(&mut self, container: &str, attempt: u32, pidfd: BorrowedFd<'_>) -> io::Result<()> {
        let pid = process::pid_of(pidfd)?;
        let pipes = [reading_end(pid, 1)?, reading_end(pid, 2)?];
        process::still_alive(pidfd)?;
        let pod = self.pod();
        let path = self.world.paths().container_log(&self.world.logs(&pod), container, attempt);
        let held = Held::onward(Outputs { pipes, terminal: None }, cut_to_whole_lines(&path)?)?;
        self.hold_log(container, attempt, &held)?;
        self.open_log(container, attempt, held)?;
        Ok(())
    }

    /// A process has ended whose keeper is gone; whoever is its parent now reaps it.
    pub(super) async fn process_ended(&mut self, id: &str) {
        let Some(pidfd) = self.processes.get(id).cloned() else { return };
        let mut ended = pidfd::exit_status(pidfd.as_fd());
        for _ in 0..200 {
            // POLLIN comes at the exit, the status only when it was reaped.
            if ended.is_some() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            ended = pidfd::exit_status(pidfd.as_fd());
        }
        let at = clock::now();
        let effect = EffectId(id.to_owned());
        let container = self.state.containers.iter().find(|(_, running)| running.id == effect);
        let container = container.map(|(name, running)| (name.clone(), running.attempt));
        let exit = match ended {
            Some(Ended::Code(code)) => Exit::Code(code),
            Some(Ended::Signal(signal)) => Exit::Signal(signal),
            None => Exit::Signal(nix::libc::SIGKILL),
        };
        match container.filter(|_| ended.is_none()) {
            None => self.ended(id, End { exit, at, report: None }).await,
            Some((container, attempt)) => {
                self.processes.remove(id);
                let message = "the pod's keeper and its twin were killed; how the container ended cannot be known";
                let message = message.to_owned();
                self.remains.push((container.clone(), attempt));
                let fact = Fact::ContainerLost { container: container.clone(), attempt, message };
                self.tell(fact, at, None, None).await;
                self.clear_cgroup(&container);
            }
        }
        // Not before its end is in the journal: a supervisor that takes over must hear of it.
        if self.adopted.remove(id) {
            let _ = self.keeper.release(&format!("{PROCESS_TAG}{id}"));
        }
    }
}

/// The reading end of the pipe that a process writes to by this number. What else may be there, a container's own choice, is
/// an ended pipe here.
fn reading_end(pid: i32, number: i32) -> io::Result<OwnedFd> {
    let path = format!("/proc/{pid}/fd/{number}");
    // Looked at before it is opened for reading, which for another kind of file may wait or do something.
    let found = File::options().read(true).custom_flags(nix::libc::O_PATH).open(path);
    if let Ok(found) = found
        && found.metadata()?.file_type().is_fifo()
        && nix::sys::statfs::fstatfs(&found)?.filesystem_type() == PIPEFS
    {
        let path = format!("/proc/self/fd/{}", found.as_raw_fd());
        return Ok(File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?.into());
    }
    Ok(nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?.0)
}

/// PIPEFS_MAGIC of statfs(2): no FIFO of a file system, which others could write to.
const PIPEFS: nix::sys::statfs::FsType = nix::sys::statfs::FsType(0x5049_5045);

/// Takes a torn last line away; answers the length that is left. A log that was never written has none.
fn cut_to_whole_lines(path: &Path) -> io::Result<u64> {
    let file = match File::options().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LOG_END);
    let mut end = vec![0; usize::try_from(length - from).unwrap_or(0)];
    file.read_exact_at(&mut end, from)?;
    let whole = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
    file.set_len(from + whole)?;
    Ok(from + whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_pipe_is_read_on_through_its_writer() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        let pid = i32::try_from(std::process::id()).unwrap();
        let mut again = File::from(reading_end(pid, writer.as_raw_fd()).unwrap());
        writer.write_all(b"on").unwrap();
        let mut text = [0; 2];
        again.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"on");
        // Not a pipe, and nothing at all: ended.
        let file = File::open("/dev/null").unwrap();
        for number in [file.as_raw_fd(), 1 << 20] {
            assert_eq!(File::from(reading_end(pid, number).unwrap()).read(&mut text).unwrap(), 0);
        }
    }

    #[test]
    fn a_torn_line_is_taken_away() {
        let path = std::env::temp_dir().join(format!("podlet-adopt-{}", std::process::id()));
        for (text, whole) in [("a\nb\nto", "a\nb\n"), ("to", ""), ("", ""), ("a\n", "a\n")] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(cut_to_whole_lines(&path).unwrap(), whole.len() as u64);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(cut_to_whole_lines(&path).unwrap(), 0);
    }
}
