//! `exec`: a further process in a running container. The client owns its pipes or terminal and copies; the supervisor asks
//! the keeper for the process and reports its code. When the client's connection ends, so does what it was running.
//!
//! The ids of these spawns (`exec/<time>/<number>`) are no effects of the machine, which knows nothing of them.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::clock;
use super::control::Answer;
use super::run::Supervisor;
use super::world::find_container;
use crate::linux::container::{self, Prepared};
use crate::linux::pidfd;
use crate::pod::effect::EffectId;
use crate::pod::input::Exit;

/// One exec of one client.
#[derive(Debug, Default)]
pub struct Exec {
    connection: u64,
    /// Known when the keeper has made it.
    pid: Option<i32>,
}

impl Supervisor {
    pub(super) async fn exec(
        &mut self,
        connection: u64,
        name: &str,
        command: &[String],
        tty: bool,
        descriptors: Vec<OwnedFd>,
    ) {
        match self.prepare_exec(name, command, tty, descriptors) {
            Ok(prepared) => {
                // Boot time makes it an id that no predecessor of this supervisor has used.
                let id = EffectId(format!("exec/{}/{connection}", clock::now().boot.0));
                self.execs.insert(id.0.clone(), Exec { connection, pid: None });
                if let Err(error) = self.spawn(&id, prepared, &[]).await {
                    self.exec_failed(&id.0, format!("could not ask the keeper for a process: {error}"));
                }
            }
            Err(message) => self.connections.answer(connection, &Answer::Refused { message }),
        }
    }

    fn prepare_exec(
        &self,
        name: &str,
        command: &[String],
        tty: bool,
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
        container::prepare_exec(&context, spec, image, init.as_fd(), command, tty, stdio)
            .map_err(|failure| failure.message)
    }

    pub(super) fn exec_spawned(&mut self, id: &str, pid: i32) {
        if let Some(exec) = self.execs.get_mut(id) {
            exec.pid = Some(pid);
        }
    }

    pub(super) fn exec_started(&mut self, id: &str) {
        if let Some(exec) = self.execs.get(id) {
            self.connections.answer(exec.connection, &Answer::ExecStarted { pid: exec.pid.unwrap_or(0) });
        }
    }

    pub(super) fn exec_failed(&mut self, id: &str, message: String) {
        if let Some(exec) = self.execs.remove(id) {
            self.connections.answer(exec.connection, &Answer::Refused { message });
        }
    }

    pub(super) fn exec_ended(&mut self, id: &str, exit: Exit) {
        if let Some(exec) = self.execs.remove(id) {
            let code = match exit {
                Exit::Code(code) => code,
                Exit::Signal(signal) => 128 + signal,
            };
            self.connections.answer(exec.connection, &Answer::ExecEnded { code });
        }
    }

    pub(super) fn signal_exec(&mut self, connection: u64, signal: i32) {
        for (id, _) in self.execs.iter().filter(|(_, exec)| exec.connection == connection) {
            if let Some(pidfd) = self.processes.get(id)
                && let Err(error) = pidfd::signal(pidfd.as_fd(), signal)
            {
                tracing::info!(id, signal, "could not send a signal: {error}");
            }
        }
    }

    /// Kills what this client was running: its process, and the session that it leads.
    pub(super) fn end_exec(&mut self, connection: u64) {
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
