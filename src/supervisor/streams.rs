//! The tasks that copy container logs: one for each pipe, woken when it is readable, both of one instance over one
//! [`ContainerLog`]. Here is when to copy; how is in [`super::log`].

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::unix::AsyncFdReadyGuard;
use tokio::sync::mpsc::UnboundedSender;

use super::cri::Stream;
use super::log::{ContainerLog, Pumped};
use super::run::Happening;
use crate::linux::watch;

/// A log that its tasks and the supervisor share.
pub type SharedLog = Rc<RefCell<ContainerLog>>;

/// Batches that one stream may copy before others get their turn.
const TURN: usize = 8;
/// How long to wait before a full or failing disk is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Batches that may still lie in a pipe when its container has ended: a pipe of the largest size, and one in staging.
const LAST_BATCHES: usize = 32;

/// Starts copying both streams of an instance; [`Happening::LogEnded`] tells when all writers are gone.
pub fn copy(log: &SharedLog, container: &str, attempt: u32, happenings: &UnboundedSender<Happening>) -> io::Result<()> {
    for which in Stream::BOTH {
        let pipe = log.borrow().pipe(which).as_fd().try_clone_to_owned()?;
        let pipe = watch::input(pipe)?;
        // Weak: when the supervisor lets go of the log (the pod is over), its tasks end.
        let (log, happenings, container) = (Rc::downgrade(log), happenings.clone(), container.to_owned());
        tokio::task::spawn_local(async move {
            let mut failing = false;
            // The first turn waits for nothing: a killed predecessor may have left a batch half done, and no more may come.
            let mut ready: Option<AsyncFdReadyGuard<'_, OwnedFd>> = None;
            loop {
                let Some(log) = log.upgrade() else { return };
                let pumped = match turn(&log, which) {
                    Ok(pumped) => pumped,
                    Err(error) => {
                        drop(log);
                        if !failing {
                            let message = error.to_string();
                            let _ = happenings.send(Happening::LogFailed { container: container.clone(), message });
                        }
                        failing = true;
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                };
                if std::mem::take(&mut failing) {
                    let _ = happenings.send(Happening::LogRecovered { container: container.clone() });
                }
                match pumped {
                    Pumped::More => tokio::task::yield_now().await,
                    Pumped::Idle => {
                        drop(log);
                        if let Some(mut empty) = ready.take() {
                            empty.clear_ready();
                        }
                        match pipe.readable().await {
                            Ok(guard) => ready = Some(guard),
                            Err(_) => return,
                        }
                    }
                    Pumped::Ended => {
                        if log.borrow().ended() {
                            let _ = happenings.send(Happening::LogEnded { container, attempt });
                        }
                        return;
                    }
                }
            }
        });
    }
    Ok(())
}

fn turn(log: &SharedLog, which: Stream) -> io::Result<Pumped> {
    let mut log = log.borrow_mut();
    for _ in 0..TURN {
        match log.pump(which)? {
            Pumped::More => {}
            other => return Ok(other),
        }
    }
    Ok(Pumped::More)
}

/// Copies what an ended container has left in its pipes, without waiting.
pub fn drain(log: &SharedLog) -> io::Result<()> {
    let mut log = log.borrow_mut();
    for which in Stream::BOTH {
        for _ in 0..LAST_BATCHES {
            if log.pump(which)? != Pumped::More {
                break;
            }
        }
    }
    Ok(())
}
