//! Commands that probes and hooks run in a container: their output in pipes, their timeout.
//!
//! A probe's command is run by a zygote, which belongs to its supervisor: one that takes over kills what its predecessor was
//! running, and probes anew. A hook's command is a process of the keeper's and goes on: its spawn has the effect's id, the keeper
//! holds its pipes, and its end is told to whoever is the supervisor then.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use super::zygote::Zygote;
use crate::linux::watch;
use crate::pod::hook::HookKind;
use crate::pod::probe::ProbeKind;
use crate::pod::time::BootTime;
use crate::supervisor::run::Happening;

/// So much of a command's output is shown.
const OUTPUT_MAX: usize = 10 * 1024;
/// What ends sooner needs nobody who reads meanwhile: a pipe holds more than most commands write.
const PATIENCE: Duration = Duration::from_millis(50);

/// Commands by the ids of their spawns, a hook's own or a zygote's.
pub type Commands = HashMap<String, Command>;

/// What a command is run for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// A probe.
    Probe {
        /// Of which container.
        container: String,
        /// Of which instance.
        attempt: u32,
        /// Which.
        kind: ProbeKind,
        /// When it was begun.
        begun: BootTime,
    },
    /// A hook.
    Hook {
        /// Of which container.
        container: String,
        /// Of which instance.
        attempt: u32,
        /// Which.
        hook: HookKind,
    },
}

impl Purpose {
    /// Of which container.
    pub fn container(&self) -> &str {
        match self {
            Purpose::Probe { container, .. } | Purpose::Hook { container, .. } => container,
        }
    }
}

/// A command that runs.
pub struct Command {
    /// For what.
    pub purpose: Purpose,
    /// What it is, expanded.
    pub words: Vec<String>,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Its time was over, and it was killed.
    pub timed_out: bool,
    /// Whose run it is.
    pub zygote: Option<Rc<Zygote>>,
    output: Rc<RefCell<Output>>,
    /// Reads the output and watches the time.
    task: Option<JoinHandle<()>>,
}

impl Drop for Command {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Command {
    /// Of which this is the output.
    pub fn new(purpose: Purpose, words: Vec<String>, timeout: Option<Duration>, output: Output) -> Command {
        let output = Rc::new(RefCell::new(output));
        Command { purpose, words, timeout, timed_out: false, zygote: None, output, task: None }
    }

    /// Reads from now on what it writes, so that it never waits for that; tells when its time is over.
    pub fn follow(&mut self, id: &str, happenings: &UnboundedSender<Happening>) {
        let (id, happenings) = (id.to_owned(), happenings.clone());
        let (output, timeout) = (Rc::clone(&self.output), self.timeout);
        self.task = Some(tokio::task::spawn_local(async move {
            let over = timeout.map(|timeout| tokio::time::Instant::now() + timeout);
            tokio::time::sleep(PATIENCE.min(timeout.unwrap_or(PATIENCE))).await;
            let reading = read_on(&output);
            match over {
                None => reading.await,
                Some(over) => {
                    if tokio::time::timeout_at(over, reading).await.is_ok() {
                        tokio::time::sleep_until(over).await;
                    }
                    let _ = happenings.send(Happening::CommandTimedOut { id });
                    read_on(&output).await;
                }
            }
        }));
    }

    /// All that it has written, as far as it is shown: standard output, then standard error.
    pub fn output(&self) -> String {
        let mut output = self.output.borrow_mut();
        output.drain();
        let mut bytes = output.kept.concat();
        bytes.truncate(OUTPUT_MAX);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What it has written to standard error.
    pub fn errors(&self) -> String {
        let mut output = self.output.borrow_mut();
        output.drain();
        String::from_utf8_lossy(&output.kept[1]).into_owned()
    }
}

/// The pipes of standard output and standard error, and what was read from them. A command that could not be run has none.
#[derive(Default)]
pub struct Output {
    pipes: Option<[OwnedFd; 2]>,
    kept: [Vec<u8>; 2],
    ended: [bool; 2],
}

impl Output {
    /// New pipes: the reading ends, and the writing ends for the command.
    pub fn new() -> io::Result<(Output, [OwnedFd; 2])> {
        let (out, out_end) = pipe2(OFlag::O_CLOEXEC)?;
        let (errors, errors_end) = pipe2(OFlag::O_CLOEXEC)?;
        Ok((Output::of([out, errors]), [out_end, errors_end]))
    }

    /// Pipes that a predecessor made.
    pub fn of(pipes: [OwnedFd; 2]) -> Output {
        Output { pipes: Some(pipes), ..Output::default() }
    }

    /// The reading ends, for the keeper to hold.
    pub fn pipes(&self) -> impl Iterator<Item = &OwnedFd> {
        self.pipes.iter().flatten()
    }

    /// Takes what is there.
    fn drain(&mut self) {
        let streams = self.pipes.iter().flatten().zip(&mut self.kept).zip(&mut self.ended);
        for ((pipe, kept), ended) in streams.filter(|(_, ended)| !**ended) {
            // Of this end alone: the command's own end stays as programs expect it. Not before there is something to be read
            // for: nobody asks for the output of most.
            if nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).is_err() {
                *ended = true;
                continue;
            }
            let mut buffer = [0; 4096];
            loop {
                match nix::unistd::read(pipe, &mut buffer) {
                    Ok(0) => {
                        *ended = true;
                        break;
                    }
                    Ok(count) => {
                        let room = OUTPUT_MAX.saturating_sub(kept.len()).min(count);
                        kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
                    }
                    Err(Errno::EINTR) => {}
                    Err(Errno::EAGAIN) => break,
                    Err(_) => {
                        *ended = true;
                        break;
                    }
                }
            }
        }
    }
}

/// Reads until both streams have ended.
async fn read_on(output: &RefCell<Output>) {
    let watched = {
        let output = output.borrow();
        let Some([out, errors]) = &output.pipes else { return };
        let watch = |pipe: &OwnedFd| pipe.as_fd().try_clone_to_owned().and_then(watch::input);
        match (watch(out), watch(errors)) {
            (Ok(out), Ok(errors)) => [out, errors],
            _ => return,
        }
    };
    let [out, errors] = &watched;
    loop {
        output.borrow_mut().drain();
        let [out_ended, errors_ended] = output.borrow().ended;
        if out_ended && errors_ended {
            return;
        }
        tokio::select! {
            Ok(mut ready) = out.readable(), if !out_ended => ready.clear_ready(),
            Ok(mut ready) = errors.readable(), if !errors_ended => ready.clear_ready(),
            else => return,
        }
    }
}

/// The tag of one of a hook's pipes among what the keeper holds.
pub fn output_tag(id: &str, which: usize) -> String {
    format!("output/{id}/{which}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs::File;
    use std::io::Write;

    #[test]
    fn output_is_read_in_order_and_to_its_limit() {
        let (output, [out, errors]) = Output::new().unwrap();
        let purpose = Purpose::Hook { container: "c".to_owned(), attempt: 0, hook: HookKind::PreStop };
        let command = Command::new(purpose, Vec::new(), None, output);
        File::from(errors).write_all(b"second").unwrap();
        let mut out = File::from(out);
        out.write_all(b"first ").unwrap();
        assert_eq!(command.output(), "first second");
        out.write_all(&[b'x'; 20_000]).unwrap();
        assert_eq!(command.output().len(), OUTPUT_MAX);
        assert_eq!(command.errors(), "second");
    }

    #[test]
    fn names_fit_into_the_keepers() {
        assert!(output_tag(&format!("hook/{}/{}/postStart", "a".repeat(63), u32::MAX), 1).len() <= 120);
    }
}
