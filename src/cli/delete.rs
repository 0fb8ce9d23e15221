//! `podlet delete`: ends pods and removes objects.

use std::path::PathBuf;

use clap::Args;

use super::line::Everywhere;
use super::{Caller, Failure};

/// The words of `delete`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet delete pod web                    SIGTERM, the grace period, SIGKILL; comes back when it is gone
  podlet delete -f pod.yaml                what a file names
  podlet delete pods --all
  podlet delete pod web --now              with one second of grace
  podlet delete pod web --force --grace-period=0     at once")]
pub struct Words {
    /// TYPE NAME … or TYPE/NAME ….
    #[arg(value_name = "TYPE[/NAME]")]
    pub resources: Vec<String>,
    /// The objects of these manifests.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub filenames: Vec<PathBuf>,
    /// All of the type.
    #[arg(long)]
    pub all: bool,
    /// Those with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Seconds between SIGTERM and SIGKILL; the pod's own when absent or negative.
    #[arg(long, value_name = "SECONDS", default_value_t = -1, allow_negative_numbers = true)]
    pub grace_period: i64,
    /// At once, without waiting for the processes to end by themselves.
    #[arg(long)]
    pub force: bool,
    /// With one second of grace.
    #[arg(long)]
    pub now: bool,
    /// Comes back when the pods are gone; --wait=false at once.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub wait: bool,
    /// How long to wait; 0 for ever.
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// An object that is not there is no error.
    #[arg(long)]
    pub ignore_not_found: bool,
    /// Changes nothing, prints what would be done: client or server.
    #[arg(long, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: Option<String>,
    /// name prints names only.
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<String>,
}

/// Deletes.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let _ = (words, everywhere, caller);
    Err(Failure::error("delete is not carried out yet"))
}
