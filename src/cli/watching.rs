//! Looking at one pod until something is so: `apply --wait`, `up`, `delete`, `logs -f` and `get -w` stand on it. The
//! supervisor tells each change; where none answers, kept state is looked at.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, Pod};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Failure;
use super::ask::kept_failure;
use crate::paths::Paths;
use crate::supervisor::client::{Client, ClientError};
use crate::supervisor::control::{Answer, Request};
use crate::supervisor::kept::{self, Seen, Standing};

/// How long a supervisor that hung up has to be started again by its keeper before kept state is believed.
const RETURN: Duration = Duration::from_millis(50);

/// What was seen of a pod.
#[derive(Debug)]
pub enum Sight {
    /// It is, or has become, so.
    State(Box<Pod>, Vec<Event>),
    /// It is in its final phase, or nobody vouches for it; nothing will change by itself.
    Still(Box<Seen>),
    /// There is no such pod any more.
    Gone,
}

/// A pod under watch.
pub struct Watch {
    paths: Paths,
    uid: String,
    client: Option<Client>,
}

impl Watch {
    /// Of the pod with this uid.
    pub fn start(paths: &Paths, uid: &str) -> Watch {
        Watch { paths: paths.clone(), uid: uid.to_owned(), client: None }
    }

    /// For poll(2): readable when there is something to be seen. None: look by [`Watch::next`] now.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.client.as_ref().map(AsFd::as_fd)
    }

    /// The next sight; waits for it. After a `Still` or `Gone` it is the same again.
    pub fn next(&mut self) -> Result<Sight, Failure> {
        loop {
            let answer = match &self.client {
                Some(client) => client.receive(),
                None => match Client::connect(&self.paths, &self.uid).and_then(|client| {
                    client.send(&Request::Watch, &[])?;
                    Ok(client)
                }) {
                    Ok(client) => {
                        self.client = Some(client);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match answer {
                Ok(Answer::State { pod, events }) => return Ok(Sight::State(pod, events)),
                Ok(Answer::Removed) => return Ok(Sight::Gone),
                Ok(Answer::Refused { message }) => {
                    return Err(Failure::Server { reason: "InternalError", message });
                }
                Ok(other) => tracing::debug!("passed over {}", other.name()),
                Err(ClientError::HungUp) => {
                    self.client = None;
                    std::thread::sleep(RETURN);
                }
                Err(ClientError::NotRunning) => {
                    self.client = None;
                    return self.kept();
                }
                Err(error) => return Err(Failure::Server { reason: "InternalError", message: error.to_string() }),
            }
        }
    }

    fn kept(&self) -> Result<Sight, Failure> {
        let seen = kept::see(&self.paths, &self.uid).map_err(|e| kept_failure(&e))?;
        Ok(match seen {
            None => Sight::Gone,
            // It came back between the two looks.
            Some(seen) if seen.standing == Standing::Live => Sight::State(Box::new(seen.pod), seen.events),
            Some(seen) => Sight::Still(Box::new(seen)),
        })
    }

    /// The next sight, when there is one before the deadline.
    pub fn next_before(&mut self, deadline: Option<Instant>) -> Result<Option<Sight>, Failure> {
        if let (Some(descriptor), Some(deadline)) = (self.descriptor(), deadline)
            && !wait_readable(&[descriptor], deadline.saturating_duration_since(Instant::now()))
        {
            return Ok(None);
        }
        self.next().map(Some)
    }
}

/// How long it is until then; without a deadline for ever.
pub fn left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
}

/// Waits until one of them is readable (or has hung up); says whether one is.
pub fn wait_readable(descriptors: &[BorrowedFd<'_>], patience: Duration) -> bool {
    poll_until(&mut readable(descriptors).collect::<Vec<_>>(), patience)
}

/// Waits for something to print, until one of them is readable or whoever reads stdout has gone: `podlet get pods -w | grep -m1
/// Running` ends when grep does, and not with the next change. Answers which are readable.
pub fn wait_for_news(descriptors: &[BorrowedFd<'_>], patience: Duration) -> Result<Vec<bool>, Failure> {
    let stdout = std::io::stdout();
    // Nothing is asked of it; that its other end is closed, poll(2) says unasked.
    let mut polled = vec![PollFd::new(stdout.as_fd(), PollFlags::empty())];
    polled.extend(readable(descriptors));
    let any = poll_until(&mut polled, patience);
    let mut ready = polled.iter().map(|fd| any && fd.any() == Some(true));
    if ready.next() == Some(true) {
        return Err(Failure::Output(std::io::ErrorKind::BrokenPipe.into()));
    }
    Ok(ready.collect())
}

fn readable<'fd>(descriptors: &[BorrowedFd<'fd>]) -> impl Iterator<Item = PollFd<'fd>> {
    descriptors.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
}

/// poll(2), gone on with after a signal: EINTR, which comes without any wait, too, says nothing of the descriptors. Who waits
/// for a signal has a descriptor of it among them ([`super::signals::Told`]).
fn poll_until(polled: &mut [PollFd<'_>], patience: Duration) -> bool {
    // None: beyond the clock's end.
    let deadline = Instant::now().checked_add(patience);
    loop {
        match poll(polled, PollTimeout::try_from(left(deadline)).unwrap_or(PollTimeout::MAX)) {
            Err(Errno::EINTR) => {}
            found => return found.is_ok_and(|ready| ready > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::sys::pthread::{pthread_kill, pthread_self};
    use nix::sys::signal::Signal;

    use super::super::signals::Told;
    use super::*;

    #[test]
    fn a_signal_does_not_make_readable_what_is_not() {
        let told = Told::new(Signal::SIGUSR2 as i32).unwrap();
        let (nothing, _writer) = std::io::pipe().unwrap();
        let (waiter, over) = (pthread_self(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    pthread_kill(waiter, Signal::SIGUSR2).unwrap();
                }
            });
            let (mut heard, mut wrong) = (0, 0);
            while heard < 10_000 {
                wrong += usize::from(wait_readable(&[nothing.as_fd()], Duration::ZERO));
                wrong += usize::from(wait_for_news(&[nothing.as_fd()], Duration::ZERO).unwrap() != [false]);
                heard += told.take();
            }
            // What the signal itself is told by, is readable.
            let is_told = wait_readable(&[nothing.as_fd(), told.as_fd()], Duration::MAX);
            // Before any assertion: the thread is waited for.
            over.store(true, Ordering::Relaxed);
            assert_eq!((wrong, is_told), (0, true));
        });
    }
}
