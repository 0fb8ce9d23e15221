//! `podlet exec`: a command in a running container. The client owns the pipes or the pty; the supervisor only starts the
//! process and reports its code.

use clap::Args;

use super::line::Everywhere;
use super::{Caller, Failure};

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
    let _ = (words, everywhere, caller);
    Err(Failure::error("exec is not carried out yet"))
}
