//! The reading end of a stage's status pipe: tells whether the program came to be executed. The keeper holds it too (tag
//! `status/<id>`), so that a supervisor that takes over in the middle of a start learns how it went.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::errno::Errno;
use nix::unistd::read;
use pause::table::{FAILED, Status};

use crate::linux::watch;

/// How a start went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The pipe was closed by exec (or by the stage's death, which its exit tells).
    Executed,
    /// A step of the table failed.
    Failed {
        /// Which.
        entry: u32,
        /// Why.
        errno: i32,
    },
}

/// One status pipe. Clones share it: a failure that one has read the others see too.
#[derive(Clone, Debug)]
pub struct StatusPipe {
    descriptor: Rc<OwnedFd>,
    failed: Rc<Cell<Option<Outcome>>>,
}

impl StatusPipe {
    /// Of this descriptor, which must be non-blocking.
    pub fn new(descriptor: OwnedFd) -> StatusPipe {
        StatusPipe { descriptor: Rc::new(descriptor), failed: Rc::default() }
    }

    /// What the stage has said by now; `None`: nothing yet.
    pub fn look(&self) -> Option<Outcome> {
        if let Some(failed) = self.failed.get() {
            return Some(failed);
        }
        let mut packet = [0u8; size_of::<Status>()];
        loop {
            return match read(&self.descriptor, &mut packet) {
                Ok(0) => Some(Outcome::Executed),
                Ok(length) => match failed_step(packet.get(..length).unwrap_or_default()) {
                    Some((entry, errno)) => {
                        let failed = Outcome::Failed { entry, errno: i32::try_from(errno).unwrap_or(0) };
                        self.failed.set(Some(failed));
                        Some(failed)
                    }
                    None => continue,
                },
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => None,
                // A pipe that cannot be read tells nothing; the exit will.
                Err(_) => Some(Outcome::Executed),
            };
        }
    }
}

/// The step that a stage says has failed, and its errno; `None` for what is no such packet.
pub fn failed_step(packet: &[u8]) -> Option<(u32, i64)> {
    let kind = u32::from_ne_bytes(packet.get(..4)?.try_into().ok()?);
    let entry = u32::from_ne_bytes(packet.get(4..8)?.try_into().ok()?);
    let value = i64::from_ne_bytes(packet.get(8..16)?.try_into().ok()?);
    (kind == FAILED).then_some((entry, value))
}

/// Waits until the stage has said how it went.
pub async fn wait(pipe: StatusPipe) -> io::Result<Outcome> {
    let watched = watch::input(pipe.descriptor.try_clone()?)?;
    loop {
        let mut ready = watched.readable().await?;
        if let Some(outcome) = pipe.look() {
            return Ok(outcome);
        }
        ready.clear_ready();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use nix::fcntl::OFlag;
    use nix::unistd::{pipe2, write};

    #[test]
    fn a_failure_is_told_from_an_exec() {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        let pipe = StatusPipe::new(reader);
        assert_eq!(pipe.look(), None);
        let mut packet = Vec::new();
        packet.extend(FAILED.to_ne_bytes());
        packet.extend(17u32.to_ne_bytes());
        packet.extend(2i64.to_ne_bytes());
        write(&writer, &packet).unwrap();
        let other = pipe.clone();
        assert_eq!(pipe.look(), Some(Outcome::Failed { entry: 17, errno: 2 }));
        drop(writer);
        assert_eq!(
            other.look(),
            Some(Outcome::Failed { entry: 17, errno: 2 }),
            "the end that follows hides no failure"
        );
    }

    #[test]
    fn the_end_alone_is_an_exec() {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
        drop(writer);
        assert_eq!(StatusPipe::new(reader).look(), Some(Outcome::Executed));
    }
}
