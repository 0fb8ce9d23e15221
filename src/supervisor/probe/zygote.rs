//! Zygotes: each runs the command of one probe in one instance of a container, again and again. What such a process has to be
//! before the program (namespaces, cgroups, filter, user, environment) it has been made once, by the table of its stage
//! ([`crate::plan::Step::ForkForEach`]); a run is a request with two pipes, a fork, an exec, and a word about its end.
//!
//! A zygote belongs to its supervisor: it ends when that closes its socket or dies. In the middle of a run it does not look at
//! its socket; then whoever is the next supervisor kills it, with all that it was running ([`Supervisor::kill_zygote`]).

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recv, sendmsg, socketpair};
use pause::table::Status;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use crate::linux::cgroup::Cgroup;
use crate::linux::container::{self, Prepared};
use crate::linux::session::Session;
use crate::linux::{process, watch};
use crate::pod::input::{ErrorState, Exit, ProbeOutcome};
use crate::pod::probe::ProbeKind;
use crate::pod::time::BootTime;
use crate::supervisor::clock;
use crate::supervisor::reports::End;
use crate::supervisor::run::{Happening, Supervisor};
use crate::supervisor::status_pipe::failed_step;

/// Before the name of a zygote's spawn.
const PROBE: &str = "probe/";

/// Whether a spawn is a zygote.
pub fn is_zygote(id: &str) -> bool {
    id.starts_with(PROBE)
}

/// The id of a zygote's spawn. Boot time makes it one that was never used.
pub fn zygote_spawn(container: &str, attempt: u32, kind: ProbeKind, begun: BootTime) -> String {
    format!("{PROBE}{container}/{attempt}/{}/{}", kind.word(), begun.0 / 1_000)
}

/// What a zygote tells of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// A step of its table failed, this one with this errno; its end follows.
    Failed(u32, i32),
    /// It has ended.
    Ended(Exit),
    /// Nothing more: the zygote is gone.
    Gone,
}

/// One zygote. It ends when this is dropped.
#[derive(Debug)]
pub struct Zygote {
    /// The id of its spawn.
    pub id: String,
    socket: Rc<AsyncFd<OwnedFd>>,
    /// For what is to be said of a step that failed.
    prepared: Prepared,
    failed: Cell<Option<(u32, i32)>>,
    listener: JoinHandle<()>,
}

impl Drop for Zygote {
    fn drop(&mut self) {
        // It has the socket, too.
        self.listener.abort();
    }
}

impl Zygote {
    /// Asks for a run that writes to these pipes. The end of the one before must have been told.
    pub fn run(&self, pipes: &[OwnedFd; 2]) -> io::Result<()> {
        let pipes = pipes.each_ref().map(AsRawFd::as_raw_fd);
        let rights = [ControlMessage::ScmRights(&pipes)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.socket.get_ref().as_raw_fd(), &[IoSlice::new(&[1])], &rights, flags, None)?;
        Ok(())
    }
}

/// The next word, if there is one.
fn hear(socket: &OwnedFd) -> Option<Word> {
    let mut packet = [0; size_of::<Status>()];
    loop {
        return match recv(socket.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => None,
            // Of what is no word nothing more can be understood.
            Ok(length) => Some(packet.get(..length).and_then(understand).unwrap_or(Word::Gone)),
            Err(_) => Some(Word::Gone),
        };
    }
}

/// A [`Status`], or what wait4(2) has stored.
fn understand(packet: &[u8]) -> Option<Word> {
    if let Ok(ended) = packet.try_into().map(i32::from_ne_bytes) {
        let exited = nix::libc::WIFEXITED(ended);
        let exit = || Exit::Code(nix::libc::WEXITSTATUS(ended));
        return Some(Word::Ended(if exited { exit() } else { Exit::Signal(nix::libc::WTERMSIG(ended)) }));
    }
    let (entry, errno) = failed_step(packet)?;
    Some(Word::Failed(entry, i32::try_from(errno).ok()?))
}

/// Passes on what is said, to its last word.
async fn listen(id: String, socket: Rc<AsyncFd<OwnedFd>>, happenings: UnboundedSender<Happening>) {
    while let Ok(mut ready) = socket.readable().await {
        let Some(word) = hear(socket.get_ref()) else {
            ready.clear_ready();
            continue;
        };
        if happenings.send(Happening::ZygoteSaid { id: id.clone(), word }).is_err() || word == Word::Gone {
            return;
        }
    }
}

impl Supervisor {
    /// Makes a zygote. How it goes is told at its first run.
    pub(super) async fn spawn_zygote(&mut self, id: String, mut prepared: Prepared) -> io::Result<Zygote> {
        let (own, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        self.spawn_stage(&id, &mut prepared, theirs.as_fd()).await?;
        let socket = Rc::new(watch::input(own)?);
        let listening = listen(id.clone(), Rc::clone(&socket), self.happenings.clone());
        let listener = tokio::task::spawn_local(listening);
        Ok(Zygote { id, socket, prepared, failed: Cell::new(None), listener })
    }

    /// A zygote has told something.
    pub(in crate::supervisor) async fn zygote_said(&mut self, id: &str, word: Word) {
        let running = self.commands.get(id).and_then(|command| command.zygote.clone());
        let Some(zygote) = running else {
            // It is gone, or speaks though it was not asked: not this one again.
            return self.ready.forget_zygote(id);
        };
        match word {
            Word::Failed(entry, errno) => zygote.failed.set(Some((entry, errno))),
            Word::Ended(exit) => self.run_ended(&zygote, Some(exit)).await,
            Word::Gone => {
                self.ready.forget_zygote(id);
                self.run_ended(&zygote, None).await;
            }
        }
    }

    /// A run has ended; how is not known when the zygote went with it.
    async fn run_ended(&mut self, zygote: &Zygote, exit: Option<Exit>) {
        if let Some((entry, errno)) = zygote.failed.take() {
            let failure = container::explain_failure(&zygote.prepared, entry, errno);
            self.command_failed(&zygote.id, failure.message, None).await;
            return;
        }
        let timed_out = self.commands.get(&zygote.id).is_some_and(|command| command.timed_out);
        let killed = timed_out.then_some(Exit::Signal(nix::libc::SIGKILL));
        if let Some(exit) = exit.or(killed) {
            self.command_ended(&zygote.id, &End { exit, at: clock::now(), report: None }).await;
        } else if let Some(command) = self.commands.remove(&zygote.id) {
            let message = "the process that ran the command was killed".to_owned();
            self.probed(command.purpose.clone(), ProbeOutcome::Error { state: ErrorState::Unknown, message }).await;
        }
    }

    /// The keeper tells that a zygote has ended. Should anybody else have its socket, that says nothing more either.
    pub(in crate::supervisor) fn zygote_exited(&mut self, id: &str) {
        let zygote = self.commands.get(id).and_then(|command| command.zygote.clone());
        let words = zygote.iter().flat_map(|zygote| std::iter::from_fn(|| hear(zygote.socket.get_ref())));
        // Behind what is on its way.
        for word in words.take_while(|word| *word != Word::Gone).chain([Word::Gone]) {
            let _ = self.happenings.send(Happening::ZygoteSaid { id: id.to_owned(), word });
        }
    }

    /// Kills a zygote with all that its run has started. One that is not made yet is killed when it is.
    pub(in crate::supervisor) fn kill_zygote(&self, id: &str) {
        let container = id.split('/').nth(1).unwrap_or_default();
        let Some(zygote) = self.processes.get(id) else { return };
        let Ok(number) = process::pid_of(zygote.as_fd()) else { return };
        let cgroup: Cgroup = self.cgroup_of(&self.pod(), container);
        Session { leader: zygote.as_fd(), number }.kill_tree(|| cgroup.processes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pause::table::FAILED;

    #[test]
    fn names_fit_into_the_keepers() {
        let id = zygote_spawn(&"a".repeat(63), u32::MAX, ProbeKind::Readiness, BootTime(u64::MAX));
        assert!(id.len() <= 120, "{}", id.len());
        assert!(is_zygote(&id) && !is_zygote("start/probe/0"));
    }

    #[test]
    fn words_are_understood_or_the_last() {
        let status = |kind: u32, entry: u32, value: i64| {
            [&kind.to_ne_bytes()[..], &entry.to_ne_bytes(), &value.to_ne_bytes()].concat()
        };
        assert_eq!(understand(&status(FAILED, 7, 2)), Some(Word::Failed(7, 2)));
        assert_eq!(understand(&(3i32 << 8).to_ne_bytes()), Some(Word::Ended(Exit::Code(3))));
        assert_eq!(understand(&9i32.to_ne_bytes()), Some(Word::Ended(Exit::Signal(9))));
        for garbage in [status(9, 0, 0), status(FAILED, 1, i64::MAX), vec![1; 15], Vec::new()] {
            assert_eq!(understand(&garbage), None);
        }
    }
}
