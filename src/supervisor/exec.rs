//! `exec`: a further process in a running container. The client owns its pipes or terminal and copies; the supervisor asks
//! the keeper for the process and reports its code. When the client's connection ends, so does what it was running.
//!
//! An exec survives its supervisor: the keeper knows it by the id that the client has given it, the code of one that has
//! ended is in the journal, and the client connects again and asks ([`super::exec_session`]). One whose client does not
//! come back in time is killed.
//!
//! The ids of these spawns (`exec/<the client's>`) are no effects of the machine, which knows nothing of them.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::clock;
use super::control::Answer;
use super::fault::{self, Point};
use super::run::{Happening, Supervisor};
use super::world::find_container;
use crate::linux::container::{self, Prepared, Session};
use crate::linux::pidfd;
use crate::pod::effect::EffectId;
use crate::pod::input::Exit;

/// Before the client's id.
const TAG: &str = "exec/";

/// How long clients have to come back after their supervisor's death.
const RETURN: Duration = Duration::from_secs(10);

/// One exec.
#[derive(Debug, Default)]
pub struct Exec {
    /// Its client's; none when that has not come back (yet).
    connection: Option<u64>,
    /// Known when the keeper has made it.
    pid: Option<i32>,
    /// Its program runs.
    started: bool,
}

/// Whether a spawn is an exec.
pub fn is_exec(id: &str) -> bool {
    id.starts_with(TAG)
}

/// As a shell has it: 128 + n by signal n.
pub fn exit_code(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => 128 + signal,
    }
}

/// The id of a spawn for the id that a client has given; it becomes a name of the keeper's, which holds 120 bytes.
fn spawn_id(given: &str) -> Option<String> {
    let fits = (1..=64).contains(&given.len()) && given.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    fits.then(|| format!("{TAG}{given}"))
}

impl Supervisor {
    pub(super) async fn exec(
        &mut self,
        connection: u64,
        given: &str,
        what: (&str, &[String], bool),
        descriptors: Vec<OwnedFd>,
    ) {
        // Boot time makes it an id that no predecessor of this supervisor has used.
        let id = spawn_id(given).unwrap_or_else(|| format!("{TAG}{}-{connection}", clock::now().boot.0));
        // Asked for again, since the answer was lost with a predecessor.
        if self.take_up(connection, &id) {
            return;
        }
        match self.prepare_exec(what, descriptors) {
            Ok(prepared) => {
                self.execs.insert(id.clone(), Exec { connection: Some(connection), ..Exec::default() });
                if let Err(error) = self.spawn(&EffectId(id.clone()), prepared, &[]).await {
                    self.exec_failed(&id, format!("could not ask the keeper for a process: {error}"));
                }
            }
            Err(message) => self.connections.answer(connection, &Answer::Refused { message }),
        }
    }

    fn prepare_exec(
        &self,
        (name, command, tty): (&str, &[String], bool),
        descriptors: Vec<OwnedFd>,
    ) -> Result<Prepared, String> {
        let pod = self.pod();
        let spec = find_container(&pod, name).ok_or_else(|| format!("container {name} is not valid for pod"))?;
        let running = self.state.containers.get(name).ok_or_else(|| format!("container not found (\"{name}\")"))?;
        let init =
            self.first_process(name, running.attempt).ok_or_else(|| format!("container {name} is not running"))?;
        let Some((_, image)) = self.state.images.get(name) else {
            return Err(format!("the image of container {name} is not known any more"));
        };
        let [stdin, stdout, stderr] = &descriptors[..] else {
            return Err(format!("an exec comes with three descriptors, not with {}", descriptors.len()));
        };
        let stdio = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let context = self.world.context(&pod);
        let environment = self.environments.get(name).filter(|(attempt, _)| *attempt == running.attempt);
        let environment = environment.map(|(_, kept)| kept.as_fd());
        let session = Session { command, tty, stdio, environment };
        container::prepare_exec(&context, spec, image, init.as_fd(), &session).map_err(|failure| failure.message)
    }

    /// A client whose supervisor died asks this one.
    pub(super) fn resume_exec(&mut self, connection: u64, given: &str) {
        if !spawn_id(given).is_some_and(|id| self.take_up(connection, &id)) {
            let message = format!("no exec {given} is known: it was never begun, or nobody asked for it in time");
            self.connections.answer(connection, &Answer::Refused { message });
        }
    }

    /// Answers what is known of an exec, and from here on answers this client; false when nothing is known.
    fn take_up(&mut self, connection: u64, id: &str) -> bool {
        if let Some((_, code)) = self.state.exec_codes.iter().find(|(ended, _)| ended == id) {
            self.connections.answer(connection, &Answer::ExecEnded { code: *code });
            return true;
        }
        let Some(exec) = self.execs.get_mut(id) else { return false };
        exec.connection = Some(connection);
        self.tell_started(id);
        true
    }

    /// Takes over what a predecessor's clients are running, and waits for them.
    pub(super) fn adopt_execs(&mut self, children: &[(String, i32)]) {
        for (id, pid) in children.iter().filter(|(id, _)| is_exec(id)) {
            let started = !self.starting.contains_key(&EffectId(id.clone()));
            let exec = self.execs.entry(id.clone()).or_default();
            // Before that the keeper may not know yet which process the stage has made.
            exec.pid = exec.pid.or(started.then_some(*pid));
            exec.started |= started;
        }
        if !self.execs.is_empty() {
            let happenings = self.happenings.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(RETURN).await;
                let _ = happenings.send(Happening::ExecsUnclaimed);
            });
        }
    }

    pub(super) fn exec_spawned(&mut self, id: &str, pid: i32) {
        if let Some(exec) = self.execs.get_mut(id) {
            exec.pid = Some(pid);
        }
        self.tell_started(id);
    }

    pub(super) fn exec_started(&mut self, id: &str) {
        if let Some(exec) = self.execs.get_mut(id) {
            exec.started = true;
        }
        self.tell_started(id);
    }

    /// The program runs when its stage's status pipe has closed, and has a pid when the keeper has reported it: either may
    /// come first.
    fn tell_started(&mut self, id: &str) {
        if let Some(Exec { connection: Some(connection), pid: Some(pid), started: true }) = self.execs.get(id) {
            self.connections.answer(*connection, &Answer::ExecStarted { pid: *pid });
            fault::at(Point::Answered);
        }
    }

    pub(super) fn exec_failed(&mut self, id: &str, message: String) {
        if let Some(connection) = self.execs.remove(id).and_then(|exec| exec.connection) {
            self.connections.answer(connection, &Answer::Refused { message });
        }
    }

    pub(super) fn exec_ended(&mut self, id: &str, code: i32) {
        if let Some(connection) = self.execs.remove(id).and_then(|exec| exec.connection) {
            self.connections.answer(connection, &Answer::ExecEnded { code });
            fault::at(Point::Answered);
        }
    }

    pub(super) fn signal_exec(&mut self, connection: u64, signal: i32) {
        for (id, _) in self.execs.iter().filter(|(_, exec)| exec.connection == Some(connection)) {
            if let Some(pidfd) = self.processes.get(id)
                && let Err(error) = pidfd::signal(pidfd.as_fd(), signal)
            {
                tracing::info!(id, signal, "could not send a signal: {error}");
            }
        }
    }

    /// The client is gone: what it was running is killed.
    pub(super) fn end_exec(&mut self, connection: u64) {
        self.end_execs_of(Some(connection));
    }

    pub(super) fn end_unclaimed_execs(&mut self) {
        self.end_execs_of(None);
    }

    /// Kills processes, and the sessions that they lead.
    fn end_execs_of(&mut self, connection: Option<u64>) {
        let ids: Vec<String> =
            self.execs.iter().filter(|(_, exec)| exec.connection == connection).map(|(id, _)| id.clone()).collect();
        for id in ids {
            let Some(exec) = self.execs.remove(&id) else { continue };
            let Some(pidfd) = self.processes.get(&id).map(Rc::clone) else { continue };
            // The group first: as long as its leader was not reaped (it is still in `processes`), its number is its own.
            if let Some(pid) = exec.pid {
                let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
            }
            let _ = pidfd::signal(pidfd.as_fd(), nix::libc::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_clients_give_are_names_of_spawns_or_nothing() {
        assert_eq!(spawn_id("a-1").as_deref(), Some("exec/a-1"));
        for given in ["", "a/b", "\0", &"x".repeat(65)] {
            assert_eq!(spawn_id(given), None);
        }
        assert!(is_exec("exec/a-1") && !is_exec("start/exec/1"));
        assert_eq!((exit_code(Exit::Code(3)), exit_code(Exit::Signal(9))), (3, 137));
    }
}
