//! `podlet attach`: a running container's output as it comes, and its standard input. kubectl's words and messages.

mod keys;

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::Args;
use k8s_openapi::api::core::v1::Pod;

use super::everywhere::Everywhere;
use super::logs::files::{Flow, Reader};
use super::logs::{choose, follow};
use super::session::{End, Filter, Peer, Raw, Session, To, Told};
use super::watching::{Sight, Watch};
use super::{Caller, Failure, ask, duration, outlook, resource};
use crate::manifest::containers::find_container;
use crate::supervisor::attach_session::{self, AttachSession, Step};
use crate::supervisor::client::ClientError;
use crate::supervisor::control::Resume;
use crate::supervisor::cri::Stream;
use keys::DetachKeys;

/// How often a log is looked at again for what has been counted as written.
const PATIENCE_FOR_THE_LOG: u32 = 100;

/// The words of `attach`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet attach web                  what the container writes from now on
  podlet attach -it web              and type into it, if it has a terminal;
                                     Ctrl-P Ctrl-Q lets go
  echo hello | podlet attach -i web  what it reads, if it has stdin: true

What came before is in its log: podlet logs web. Exit code: 0 when the container ends, or is let go of.")]
pub struct Words {
    /// POD or pod/POD.
    #[arg(value_name = "POD")]
    pub words: Vec<String>,
    /// This container.
    #[arg(short, long, value_name = "CONTAINER")]
    pub container: Option<String>,
    /// Passes standard input on.
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Standard input is a terminal.
    #[arg(short, long)]
    pub tty: bool,
    /// Says nothing of podlet's own.
    #[arg(short, long)]
    pub quiet: bool,
    /// Keys that let go of the container, which goes on.
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub detach_keys: String,
    /// How long it may take until the container runs.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration::parse)]
    pub pod_running_timeout: Duration,
}

/// Attaches.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let name = match words.words.as_slice() {
        [] => return Err(Failure::error("at least 1 argument is required for attach")),
        [name] => resource::pod_name(name)?,
        [kind, name] => resource::pod_name(&format!("{kind}/{name}"))?,
        more => {
            return Err(Failure::Error(format!(
                "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {}: {more:?}",
                more.len()
            )));
        }
    };
    if words.pod_running_timeout.is_zero() {
        return Err(Failure::error("--pod-running-timeout must be higher than zero"));
    }
    DetachKeys::parse(&words.detach_keys).map_err(Failure::Error)?;
    let pod = ask::pod(&caller.paths, everywhere.namespace(), &name)?.pod;
    let container = container(&pod, words, caller)?;
    let pod = wait_until_it_runs(pod, &container, words.pod_running_timeout, caller)?;
    session(&pod, &container, words, Beginning::Now, caller)
}

/// From where on output is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// What is written from now on.
    Now,
    /// All that this instance has written, for whoever has just set it going (`run`), and is not told how to come back.
    OfInstance,
}

/// Attaches to a container that runs.
pub fn session(
    pod: &Pod,
    container: &str,
    words: &Words,
    beginning: Beginning,
    caller: &mut Caller<'_>,
) -> Result<u8, Failure> {
    let keys = DetachKeys::parse(&words.detach_keys).map_err(Failure::Error)?;
    let spec = find_container(pod, container).unwrap_or_default().into_owned();
    let has_terminal = spec.tty == Some(true);
    let typed = is_typed(has_terminal, container, words, caller);
    if !words.quiet {
        caller.notice(
            "All commands and output from this session will be recorded in container logs, including credentials and \
             sensitive information passed through the command prompt.",
        );
        caller.notice("If you don't see a command prompt, try pressing enter.");
    }
    let failed = |error: io::Error| Failure::Error(format!("could not attach: {error}"));
    let talk = |error: ClientError| match error {
        // The kubelet's words for a container of which nothing runs, as the API server passes them on.
        ClientError::Refused(message) if message.starts_with("container not found") => {
            Failure::Error(format!("Internal error occurred: unable to upgrade connection: {message}"))
        }
        error => Failure::Error(error.to_string()),
    };
    let (outputs, ends) = attach_session::pipes().map_err(failed)?;
    let mut session = Session::of_outputs(outputs).map_err(failed)?;
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let (attached, input) = AttachSession::start(&caller.paths, uid, container, words.stdin, ends).map_err(talk)?;
    if beginning == Beginning::OfInstance {
        show_before(pod, container, &attached, caller)?;
    }
    let raw = if typed { Some(Raw::take().map_err(failed)?) } else { None };
    match input {
        Some(terminal) if has_terminal => {
            let keys = typed.then(|| Box::new(keys) as Box<dyn Filter>);
            session.type_into(terminal, keys).map_err(failed)?;
        }
        Some(pipe) => session.pass_to(pipe).map_err(failed)?,
        None if words.stdin && !words.quiet => {
            caller
                .notice(&format!("container {container} has no standard input: its manifest does not say stdin: true"));
        }
        None => {}
    }
    let closes = spec.stdin_once == Some(true) && !has_terminal;
    let end = session.run(Attachment { attached, closes }, raw.as_ref(), caller)?;
    drop(raw);
    match end {
        End::Refused(message) => return Err(Failure::Error(message)),
        End::Signal(signal) => return Ok(u8::try_from(128 + signal).unwrap_or(1)),
        End::Code(_) | End::Unknown => {}
    }
    if typed && !words.quiet && beginning == Beginning::Now {
        let metadata = &pod.metadata;
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        caller.print(&format!(
            "Session ended, resume using 'podlet attach {} -c {container} -n {} -i -t' command\n",
            text(&metadata.name),
            text(&metadata.namespace)
        ))?;
    }
    Ok(0)
}

/// Prints from the log what the instance wrote before the attachment: the two meet at a byte.
fn show_before(pod: &Pod, container: &str, attached: &AttachSession, caller: &mut Caller<'_>) -> Result<(), Failure> {
    let directory = follow::directory(&caller.paths, pod, container);
    let Resume { attempt, positions } = attached.begun();
    let mut left = positions;
    let mut reader = Reader::new(&directory, attempt);
    // What was counted is in the file, or will be in an instant; a log that cannot be written holds nobody up.
    for _ in 0..PATIENCE_FOR_THE_LOG {
        reader.read(&mut |record| {
            let [out, err] = &mut left;
            let (left, to_stderr) = if record.stream == Stream::Stderr { (err, true) } else { (out, false) };
            let mut bytes = record.content.to_vec();
            bytes.extend(record.full.then_some(b'\n'));
            bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left = left.saturating_sub(bytes.len() as u64);
            if to_stderr {
                caller.err.write_all(&bytes)?
            } else {
                caller.out.write_all(&bytes)?
            }
            Ok(Flow::On)
        })?;
        if left == [0, 0] {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    caller.out.flush()?;
    Ok(())
}

fn container(pod: &Pod, words: &Words, caller: &mut Caller<'_>) -> Result<String, Failure> {
    let prefixed = |failure: Failure| match failure {
        Failure::Error(text) => Failure::Error(format!("cannot attach to the container: {text}")),
        other => other,
    };
    match words.container.as_deref().filter(|name| !name.is_empty()) {
        None => choose::default_container(pod, words.quiet, caller),
        Some(name) => choose::check_container(pod, name).map(|()| name.to_owned()).map_err(prefixed),
    }
}

fn wait_until_it_runs(pod: Pod, container: &str, patience: Duration, caller: &Caller<'_>) -> Result<Pod, Failure> {
    let deadline = Instant::now().checked_add(patience);
    let mut watch = Watch::start(&caller.paths, pod.metadata.uid.as_deref().unwrap_or_default());
    let mut pod = pod;
    loop {
        let phase = outlook::phase(&pod);
        if matches!(phase, "Succeeded" | "Failed") {
            return Err(Failure::Error(format!(
                "cannot attach a container in a completed pod; current phase is {phase}"
            )));
        }
        let status = choose::status(&pod, container).and_then(|status| status.state.as_ref());
        if status.is_some_and(|state| state.running.is_some()) {
            return Ok(pod);
        }
        match watch.next_before(deadline)? {
            Some(Sight::State(seen, _)) => pod = *seen,
            Some(Sight::Still(seen)) if !matches!(outlook::phase(&seen.pod), "Succeeded" | "Failed") => {
                return Err(Failure::error("nothing of this pod runs; podlet start sets it going again"));
            }
            Some(Sight::Still(seen)) => pod = seen.pod,
            Some(Sight::Gone) => {
                return Err(Failure::not_found("pods", pod.metadata.name.as_deref().unwrap_or_default()));
            }
            None => return Err(Failure::error("timed out waiting for the condition")),
        }
    }
}

/// Whether the caller types into the container's terminal from one of its own; kubectl's rules and words.
fn is_typed(has_terminal: bool, container: &str, words: &Words, caller: &mut Caller<'_>) -> bool {
    if words.tty && !has_terminal {
        if !words.quiet {
            caller.notice(&format!("error: Unable to use a TTY - container {container} did not allocate one"));
        }
        return false;
    }
    if !has_terminal || !words.stdin {
        return false;
    }
    let there = io::stdin().is_terminal();
    if !there && !words.quiet {
        caller.notice("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    there
}

/// An attachment as a session knows it.
struct Attachment {
    attached: AttachSession,
    /// The end of the caller's input is that of the container's, and the session goes on.
    closes: bool,
}

impl AsFd for Attachment {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.attached.as_fd()
    }
}

impl Peer for Attachment {
    fn step(&mut self) -> Result<Told, ClientError> {
        Ok(match self.attached.step()? {
            Step::Resumed { missed: 0 } => Told::GoesOn(None),
            Step::Resumed { missed } => Told::GoesOn(Some(format!(
                "{missed} bytes came while the pod's supervisor was started anew; they are in the log"
            ))),
            Step::Ended { whole: true } => Told::Ended(0, None),
            Step::Ended { whole: false } => Told::Ended(
                0,
                Some(
                    "the container ended while the pod's supervisor was started anew; its last output is in the log"
                        .into(),
                ),
            ),
        })
    }

    fn copied(&mut self, to: To, bytes: usize) {
        self.attached.received(to == To::Err, bytes as u64);
    }

    fn input_ended(&mut self) -> bool {
        if self.closes {
            // A supervisor that is just being started anew is told by the end of this process.
            let _ = self.attached.close_stdin();
        }
        !self.closes
    }
}
