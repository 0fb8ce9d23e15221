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
                    if let Some(sight) = self.kept()? {
                        return Ok(sight);
                    }
                    std::thread::sleep(RETURN);
                }
                Err(error) => return Err(Failure::Server { reason: "InternalError", message: error.to_string() }),
            }
        }
    }

    /// None: a supervisor came between the two looks. It is connected to, as else nobody would tell of what comes after.
    fn kept(&self) -> Result<Option<Sight>, Failure> {
        let seen = kept::see(&self.paths, &self.uid).map_err(|e| kept_failure(&e))?;
        Ok(match seen {
            None => Some(Sight::Gone),
            Some(seen) if seen.standing == Standing::Live => None,
            Some(seen) => Some(Sight::Still(Box::new(seen))),
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
    use std::fs::{self, File};
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixListener;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;
    use nix::sys::pthread::{pthread_kill, pthread_self};
    use nix::sys::signal::Signal;
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use serde_json::json;

    use super::super::signals::Told;
    use super::*;
    use crate::supervisor::control::Hello;

    fn pod(name: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": name, "uid": "u-1"}})).unwrap()
    }

    /// Nobody listened at the first look, and somebody vouched for the pod at the second: the state alone, without a
    /// connection, would be the last that is ever heard of it.
    #[test]
    fn a_supervisor_that_comes_between_two_looks_is_connected_to() {
        let root = std::env::temp_dir().join(format!("podlet-watch-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let paths = Paths { run: root.join("run"), state: root.join("state"), logs: root.join("logs") };
        fs::create_dir_all(paths.pod_run("u-1")).unwrap();
        fs::create_dir_all(paths.pod_state("u-1")).unwrap();
        // A sleeping supervisor vouches for kept state by the lock of this file; here it is the test.
        let mark = File::create(paths.asleep("u-1")).unwrap();
        let lock = libc::flock { l_type: libc::F_WRLCK as i16, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
        fcntl(&mark, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
        // Opened for writing as soon as the watch, refused before, reads it.
        mkfifo(&paths.pod_kept("u-1"), Mode::S_IRWXU).unwrap();
        let there = paths.clone();
        std::thread::spawn(move || {
            let mut kept = File::options().write(true).open(there.pod_kept("u-1")).unwrap();
            let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
            bind(listener.as_raw_fd(), &UnixAddr::new(&there.control_socket("u-1")).unwrap()).unwrap();
            listen(&listener, Backlog::new(1).unwrap()).unwrap();
            let seen = json!({"bootId": "", "ended": false, "pod": pod("kept"), "events": []});
            kept.write_all(seen.to_string().as_bytes()).unwrap();
            drop(kept);
            let (mut client, _) = UnixListener::from(listener).accept().unwrap();
            client.write_all(&serde_json::to_vec(&Hello::ours()).unwrap()).unwrap();
            for packet in (Answer::State { pod: Box::new(pod("live")), events: vec![] }).packets().unwrap() {
                client.write_all(&packet).unwrap();
            }
            // Until the client hangs up.
            let _ = client.read_to_end(&mut Vec::new());
        });
        let mut watch = Watch::start(&paths, "u-1");
        let Sight::State(seen, _) = watch.next().unwrap() else { panic!("nobody vouches for it") };
        assert_eq!((*seen, watch.descriptor().is_some()), (pod("live"), true));
        fs::remove_dir_all(&root).unwrap();
    }

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
