//! The command line's side of an exec, over the death of the pod's supervisor: when that hangs up, its successor is asked
//! for the same exec by the id that was given to it here. The stdio is the caller's and goes on meanwhile. Called by `exec`
//! (and what is built on it); never copies a byte itself.
//!
//! ```ignore
//! let mut session = ExecSession::start(&paths, uid, "web", &command, false, [stdin, stdout, stderr])?;
//! loop { // poll(2) on the session beside the caller's own descriptors
//!     if let Step::Ended(code) = session.step()? { break code }
//! }
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::client::{Client, ClientError, again};
use super::control::{Answer, Request};
use crate::paths::Paths;

/// What became of an exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its program runs; the container's ends of the stdio are closed on this side, so that the end of a stream can be seen.
    Started {
        /// As the host sees it.
        pid: i32,
    },
    /// The supervisor died and its successor was asked; [`Step::Started`] comes again, or the end.
    Resumed,
    /// It has ended: its exit code, 128 + n by signal n.
    Ended(i32),
}

/// The first process of a running container, as the host sees it. By the time that it is used it may have ended.
pub fn first_process(paths: &Paths, uid: &str, container: &str) -> Result<i32, ClientError> {
    again(|| {
        let client = Client::connect(paths, uid)?;
        match client.answer_to(&Request::Process { container: container.to_owned() })? {
            Answer::Process { pid } => Ok(pid),
            other => Err(client.unexpected(other.name().to_owned())),
        }
    })
}

/// One exec and the connection over which it is told of.
#[derive(Debug)]
pub struct ExecSession {
    paths: Paths,
    uid: String,
    id: String,
    request: Request,
    client: Client,
    /// The container's ends, until it surely has them: a supervisor may die before it has passed them on.
    stdio: Option<[OwnedFd; 3]>,
}

impl ExecSession {
    /// Asks for a process in a running container. `stdio` is what becomes its stdin, stdout and stderr; with `tty` each is
    /// the slave of one pty.
    pub fn start(
        paths: &Paths,
        uid: &str,
        container: &str,
        command: &[String],
        tty: bool,
        stdio: [OwnedFd; 3],
    ) -> Result<ExecSession, ClientError> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned();
        let client = again(|| Client::connect(paths, uid))?;
        let request = Request::Exec { id: id.clone(), container: container.to_owned(), command: command.to_vec(), tty };
        let mut session =
            ExecSession { paths: paths.clone(), uid: uid.to_owned(), id, request, client, stdio: Some(stdio) };
        match session.ask() {
            Err(ClientError::HungUp) => session.resume()?,
            done => done?,
        }
        Ok(session)
    }

    fn ask(&self) -> Result<(), ClientError> {
        let stdio: Vec<BorrowedFd<'_>> = self.stdio.iter().flatten().map(AsFd::as_fd).collect();
        self.client.send(&self.request, &stdio)
    }

    /// Waits for what happens next; when this descriptor is readable it does not wait, but for a supervisor that died.
    /// [`ClientError::Refused`] says why the program could not be started, [`ClientError::NotRunning`] and
    /// [`ClientError::HungUp`] that the pod has ended meanwhile.
    pub fn step(&mut self) -> Result<Step, ClientError> {
        loop {
            match self.client.receive() {
                Ok(Answer::ExecStarted { pid }) => {
                    self.stdio = None;
                    return Ok(Step::Started { pid });
                }
                Ok(Answer::ExecEnded { code }) => return Ok(Step::Ended(code)),
                Ok(Answer::Refused { message }) => return Err(ClientError::Refused(message)),
                Ok(other) => tracing::debug!("passed over {}", other.name()),
                Err(ClientError::HungUp) => {
                    self.resume()?;
                    return Ok(Step::Resumed);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends it by a signal, or passes one on.
    pub fn signal(&self, signal: i32) -> Result<(), ClientError> {
        self.client.send(&Request::ExecSignal { signal }, &[])
    }

    fn resume(&mut self) -> Result<(), ClientError> {
        again(|| {
            self.client = Client::connect(&self.paths, &self.uid)?;
            match self.stdio {
                // Not known to have started. It is the same exec by its id, and never becomes two.
                Some(_) => self.ask(),
                None => self.client.send(&Request::ExecResume { id: self.id.clone() }, &[]),
            }
        })
    }
}

impl AsFd for ExecSession {
    /// For poll(2): readable when [`ExecSession::step`] has something to say, or must connect again.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}
