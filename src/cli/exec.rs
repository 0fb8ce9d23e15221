//! `podlet exec`: a command in a running container. The client owns the pipes or the pty; the supervisor only starts the
//! process and reports its code.

use std::io::{self, IsTerminal};

use clap::Args;
use k8s_openapi::api::core::v1::Pod;

use super::everywhere::Everywhere;
use super::files::Filenames;
use super::logs::choose;
use super::resource::Kind;
use super::session::{End, Peer, Raw, Session, Told};
use super::{Caller, Failure, ask, files, outlook, resource};
use crate::supervisor::client::ClientError;
use crate::supervisor::exec_session::{self, ExecSession, Step};

/// The words of `exec`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet exec web -- ls /                    in the first container
  podlet exec -it web -c app -- sh           a shell
  tar c . | podlet exec -i web -- tar x      with standard input

Exit code: the command's; 1 when it could not be run.")]
pub struct Words {
    /// POD or pod/POD.
    #[arg(value_name = "POD")]
    pub words: Vec<String>,
    /// In the pod of this manifest.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub filename: Vec<std::path::PathBuf>,
    /// In this container.
    #[arg(short, long, value_name = "CONTAINER")]
    pub container: Option<String>,
    /// Passes standard input on.
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// Standard input is a terminal.
    #[arg(short, long)]
    pub tty: bool,
    /// Says nothing of podlet's own on stderr.
    #[arg(short, long)]
    pub quiet: bool,
    /// The command and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Runs a command.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let mut namespace = everywhere.namespace().to_owned();
    let name = match words.words.as_slice() {
        [] if !words.filename.is_empty() => {
            let filenames = Filenames { names: words.filename.clone(), recursive: false };
            let named = files::names(&filenames, everywhere, caller)?;
            let Some((_, within, name)) = named.into_iter().find(|(kind, ..)| *kind == Kind::Pod) else {
                return Err(Failure::error("there is no Pod in the manifest"));
            };
            namespace = within;
            name
        }
        [] => return Err(Failure::error("pod, type/name or --filename must be specified")),
        [name] => resource::pod_name(name)?,
        _ => {
            return Err(Failure::error(
                "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\n\
                 See 'podlet exec -h' for help and examples",
            ));
        }
    };
    if words.command.is_empty() {
        return Err(Failure::error("you must specify at least one command for the container"));
    }
    let pod = ask::pod(&caller.paths, &namespace, &name)?.pod;
    let phase = outlook::phase(&pod);
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Failure::Error(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    let container = container(&pod, words, caller)?;
    let tty = wants_terminal(words, caller);
    match session(&pod, &container, tty, words, caller)? {
        End::Code(0) => Ok(0),
        End::Code(code) => {
            if !words.quiet {
                caller.notice(&format!("command terminated with exit code {code}"));
            }
            // Exit codes have eight bits; a code that none can stand for is still no success.
            Ok(u8::try_from(code).unwrap_or(1))
        }
        End::Signal(signal) => Ok(u8::try_from(128 + signal).unwrap_or(1)),
        // The kubelet's words for a container of which nothing runs, as the API server passes them on; others are podlet's own.
        End::Refused(message) if message.starts_with("container not found") => {
            Err(Failure::Error(format!("Internal error occurred: unable to upgrade connection: {message}")))
        }
        End::Refused(message) => Err(Failure::Error(message)),
        End::Unknown => Err(Failure::error(
            "the pod's supervisor was started anew while the command ran; how the command ended is not known",
        )),
    }
}

fn container(pod: &Pod, words: &Words, caller: &mut Caller<'_>) -> Result<String, Failure> {
    match words.container.as_deref().filter(|name| !name.is_empty()) {
        None => choose::default_container(pod, words.quiet, caller),
        Some(name) => choose::check_container(pod, name).map(|()| name.to_owned()),
    }
}

/// A terminal is only made for one who has one to type on; kubectl's rule and words.
fn wants_terminal(words: &Words, caller: &mut Caller<'_>) -> bool {
    if !words.tty || !words.stdin {
        return false;
    }
    let there = io::stdin().is_terminal();
    if !there && !words.quiet {
        caller.notice("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    there
}

fn session(pod: &Pod, container: &str, tty: bool, words: &Words, caller: &mut Caller<'_>) -> Result<End, Failure> {
    let talk = |error: ClientError| Failure::Error(error.to_string());
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let made = if tty {
        match exec_session::first_process(&caller.paths, uid, container) {
            Ok(pid) => Session::over_terminal(pid),
            Err(ClientError::Refused(message)) => return Ok(End::Refused(message)),
            Err(error) => return Err(talk(error)),
        }
    } else {
        Session::over_pipes(words.stdin)
    };
    let (session, ends) =
        made.map_err(|error| Failure::Error(format!("could not make the command's streams: {error}")))?;
    let running = ExecSession::start(&caller.paths, uid, container, &words.command, tty, ends).map_err(talk)?;
    let raw = if tty {
        Some(Raw::take().map_err(|error| Failure::Error(format!("could not take the terminal: {error}")))?)
    } else {
        None
    };
    session.run(running, raw.as_ref(), caller)
}

impl Peer for ExecSession {
    fn step(&mut self) -> Result<Told, ClientError> {
        Ok(match ExecSession::step(self)? {
            Step::Started { .. } | Step::Resumed => Told::GoesOn(None),
            Step::Ended(code) => Told::Ended(code, None),
        })
    }
}
