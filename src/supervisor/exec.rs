//! `exec`: a further process in a running container. The client owns its pipes or terminal and copies; the supervisor asks
//! the keeper for the process and reports its code. When the client's connection ends, so does what it was running: its
//! session is hung up as by a lost terminal, and what is left of it after [`HANG_UP_GRACE`] is killed.
//!
//! An exec survives its supervisor: the keeper knows it by the id that the client has given it, the code of one that has
//! ended is in the journal, and the client connects again and asks ([`super::exec_session`]). One whose client does not
//! come back in time is ended as one whose client is gone.
//!
//! The ids of these spawns (`exec/<the client's>`) are no effects of the machine, which knows nothing of them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use super::clock;
use super::control::Answer;
use super::effects::not_asked_for;
use super::run::{Happening, Supervisor};
use crate::image::Image;
use crate::linux::cgroup::Cgroup;
use crate::linux::container::{self, Prepared, Session};
use crate::linux::{pidfd, process, session};
use crate::manifest::containers::find_container;
use crate::pod::effect::EffectId;
use crate::pod::input::Exit;

/// Before the client's id.
const TAG: &str = "exec/";

/// How long clients have to come back after their supervisor's death.
const RETURN: Duration = Duration::from_secs(10);

/// Between SIGHUP and SIGKILL for a command whose client is gone.
const HANG_UP_GRACE: Duration = Duration::from_secs(10);

/// One exec.
#[derive(Debug, Default)]
pub struct Exec {
    /// Its client's; none when that has not come back (yet).
    connection: Option<u64>,
    /// Known when the keeper has made it.
    pid: Option<i32>,
    /// Its program runs.
    started: bool,
    /// The kernel tells its session of the terminal's end.
    tty: bool,
    /// Its client is gone.
    hung_up: bool,
}

/// The session of an exec whose client is gone: what is left of it in the end.
#[derive(Debug)]
pub struct HungUp {
    leader: OwnedFd,
    pid: i32,
}

/// A running container that a further process is put into.
pub(super) struct Entered<'s> {
    /// A pidfd of its first process.
    pub init: Rc<OwnedFd>,
    /// The image that it was started from.
    pub image: &'s Image,
    /// That of its start, where it had one.
    pub environment: Option<BorrowedFd<'s>>,
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
                let exec = Exec { connection: Some(connection), tty: what.2, ..Exec::default() };
                self.execs.insert(id.clone(), exec);
                if let Err(error) = self.spawn(&EffectId(id.clone()), prepared).await {
                    self.exec_failed(&id, not_asked_for(error));
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
        let Entered { init, image, environment } = self.enter(name)?;
        let [stdin, stdout, stderr] = &descriptors[..] else {
            return Err(format!("an exec comes with three descriptors, not with {}", descriptors.len()));
        };
        let stdio = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let context = self.world.context(&pod);
        let session = Session { command, tty, stdio, environment };
        container::prepare_exec(&context, &spec, image, init.as_fd(), &session).map_err(|failure| failure.message)
    }

    /// What a further process in a running container is made of.
    pub(super) fn enter(&self, name: &str) -> Result<Entered<'_>, String> {
        let (attempt, init) = self.running_container(name)?;
        let Some((_, image)) = self.state.images.get(name) else {
            return Err(format!("the image of container {name} is not known any more"));
        };
        let environment = self.environments.get(name).filter(|(of, _)| *of == attempt).map(|(_, kept)| kept.as_fd());
        Ok(Entered { init, image, environment })
    }

    pub(super) fn running_container(&self, name: &str) -> Result<(u32, Rc<OwnedFd>), String> {
        // The kubelet's words for one of which nothing runs.
        let found = self.state.containers.get(name);
        let found = found.and_then(|running| Some((running.attempt, self.first_process(name, running.attempt)?)));
        found.ok_or_else(|| format!("container not found (\"{name}\")"))
    }

    pub(super) fn tell_process(&mut self, connection: u64, container: &str) {
        let pid = self.running_container(container).and_then(|(_, first)| {
            process::pid_of(first.as_fd()).map_err(|_| format!("container not found (\"{container}\")"))
        });
        let answer = pid.map_or_else(|message| Answer::Refused { message }, |pid| Answer::Process { pid });
        self.connections.answer(connection, &answer);
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
        if !self.execs.is_empty() || !self.unclaimed_stdin().is_empty() {
            let happenings = self.happenings.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(RETURN).await;
                let _ = happenings.send(Happening::SessionsUnclaimed);
            });
        }
    }

    pub(super) fn exec_spawned(&mut self, id: &str, pid: i32) {
        if let Some(exec) = self.execs.get_mut(id) {
            exec.pid = Some(pid);
            if exec.hung_up {
                self.hang_up_session(id);
            }
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
        if let Some(Exec { connection: Some(connection), pid: Some(pid), started: true, .. }) = self.execs.get(id) {
            self.connections.answer(*connection, &Answer::ExecStarted { pid: *pid });
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

    /// The client is gone, and what it was running is to go.
    pub(super) fn end_exec(&mut self, connection: u64) {
        self.end_execs_of(Some(connection));
    }

    pub(super) fn end_unclaimed_execs(&mut self) {
        self.end_execs_of(None);
    }

    fn end_execs_of(&mut self, connection: Option<u64>) {
        let gone = self.execs.iter_mut().filter(|(_, exec)| exec.connection == connection && !exec.hung_up);
        let ids: Vec<String> = gone
            .map(|(id, exec)| {
                (exec.connection, exec.hung_up) = (None, true);
                id.clone()
            })
            .collect();
        for id in ids {
            self.hang_up_session(&id);
        }
    }

    /// What the kernel does when a terminal is taken away, done for pipes too: SIGHUP, and SIGCONT so that what is stopped
    /// hears it. One that is not made yet is hung up when it is.
    fn hang_up_session(&mut self, id: &str) {
        let Some((pid, tty)) = self.execs.get(id).and_then(|exec| Some((exec.pid?, exec.tty))) else { return };
        let Some(leader) = self.processes.get(id).and_then(|pidfd| pidfd.try_clone().ok()) else { return };
        let hung_up = HungUp { leader, pid };
        if !tty {
            for signal in [nix::libc::SIGHUP, nix::libc::SIGCONT] {
                hung_up.session().signal(&self.pod_processes(), signal);
            }
        }
        self.hanging_up += 1;
        let happenings = self.happenings.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(HANG_UP_GRACE).await;
            let _ = happenings.send(Happening::HungUpLongEnough(hung_up));
        });
    }

    /// What has not gone by itself is killed.
    pub(super) fn kill_session(&mut self, hung_up: &HungUp) {
        self.hanging_up -= 1;
        hung_up.session().kill(|| self.pod_processes());
    }

    fn pod_processes(&self) -> Vec<i32> {
        Cgroup::of_pod(self.world.uid()).processes()
    }
}

impl HungUp {
    fn session(&self) -> session::Session<'_> {
        session::Session { leader: self.leader.as_fd(), number: self.pid }
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
