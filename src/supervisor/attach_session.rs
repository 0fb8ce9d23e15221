//! The command line's side of `attach`: asks to be shown what a container writes, and goes on asking whoever succeeds a
//! supervisor that dies meanwhile. Copying is `cli`'s; the descriptors are this process's own.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::client::{Client, ClientError, again};
use super::control::{Answer, Request, Resume};
use crate::paths::Paths;

/// What became of an attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The supervisor died, and its successor goes on. So many bytes came between that are not shown; they are in the log.
    Resumed {
        /// Bytes.
        missed: u64,
    },
    /// The container has ended, and all that it wrote is in the pipes, unless that happened while no supervisor was there to tell.
    Ended {
        /// All was shown.
        whole: bool,
    },
}

/// One attachment and the connection over which it is told of.
pub struct AttachSession {
    paths: Paths,
    uid: String,
    container: String,
    /// The caller has the container's standard input.
    stdin: bool,
    /// The writing ends for stdout and stderr.
    pipes: [OwnedFd; 2],
    client: Client,
    /// What was read of what was shown.
    at: Resume,
}

impl AttachSession {
    /// Begins. With `stdin` the container's standard input comes, too, if it has one.
    pub fn start(
        paths: &Paths,
        uid: &str,
        container: &str,
        stdin: bool,
        pipes: [OwnedFd; 2],
    ) -> Result<(AttachSession, Option<OwnedFd>), ClientError> {
        let client = Client::connect(paths, uid)?;
        let at = Resume { attempt: 0, positions: [0; 2] };
        let (paths, uid, container) = (paths.clone(), uid.to_owned(), container.to_owned());
        let mut session = AttachSession { paths, uid, container, stdin, pipes, client, at };
        session.ask(None)?;
        loop {
            match session.client.receive()? {
                Answer::Attached { attempt, positions, .. } => {
                    session.at = Resume { attempt, positions };
                    let input = session.client.take_descriptor();
                    session.stdin = input.is_some();
                    return Ok((session, input));
                }
                Answer::Refused { message } => return Err(ClientError::Refused(message)),
                Answer::AttachEnded => {
                    return Err(ClientError::Refused(format!("container not found (\"{}\")", session.container)));
                }
                other => tracing::debug!("passed over {}", other.name()),
            }
        }
    }

    fn ask(&self, resume: Option<Resume>) -> Result<(), ClientError> {
        let pipes = self.pipes.each_ref().map(AsFd::as_fd);
        let container = self.container.clone();
        self.client.send(&Request::Attach { container, stdin: self.stdin, resume }, &pipes)
    }

    /// Which instance is shown, and how many bytes of its stdout and stderr came before what is shown.
    pub fn begun(&self) -> Resume {
        self.at
    }

    /// So many bytes were read of stdout (`false`) or stderr.
    pub fn received(&mut self, stderr: bool, bytes: u64) {
        let [out, err] = &mut self.at.positions;
        *if stderr { err } else { out } += bytes;
    }

    /// The caller's input has ended.
    pub fn close_stdin(&mut self) -> Result<(), ClientError> {
        self.stdin = false;
        self.client.send(&Request::CloseStdin, &[])
    }

    /// Waits for what happens next; when this descriptor is readable it does not wait, but for a supervisor that died. All that
    /// lay in the pipes must have been read and told of.
    pub fn step(&mut self) -> Result<Step, ClientError> {
        let mut whole = true;
        loop {
            match self.client.receive() {
                Ok(Answer::Attached { positions, .. }) => {
                    let missed =
                        positions.iter().zip(&self.at.positions).map(|(now, then)| now.saturating_sub(*then)).sum();
                    self.at.positions = positions;
                    return Ok(Step::Resumed { missed });
                }
                Ok(Answer::AttachEnded) => return Ok(Step::Ended { whole }),
                Ok(Answer::Refused { message }) => return Err(ClientError::Refused(message)),
                Ok(other) => tracing::debug!("passed over {}", other.name()),
                Err(ClientError::HungUp) => match self.resume() {
                    Ok(()) => whole = false,
                    // The pod is over.
                    Err(ClientError::NotRunning | ClientError::HungUp) => return Ok(Step::Ended { whole: false }),
                    Err(error) => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
    }

    fn resume(&mut self) -> Result<(), ClientError> {
        again(|| {
            self.client = Client::connect(&self.paths, &self.uid)?;
            self.ask(Some(self.at))
        })
    }
}

impl AsFd for AttachSession {
    /// For poll(2): readable when [`AttachSession::step`] has something to say, or must connect again.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}

/// The two pipes over which a client is shown what comes: reading and writing ends, for stdout and stderr.
pub fn pipes() -> io::Result<([OwnedFd; 2], [OwnedFd; 2])> {
    let ((out, out_writer), (err, err_writer)) = (io::pipe()?, io::pipe()?);
    Ok(([out.into(), err.into()], [out_writer.into(), err_writer.into()]))
}
