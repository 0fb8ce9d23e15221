//! `podlet logs`: what containers have written, read from the CRI log files.

use clap::Args;

use super::line::Everywhere;
use super::{Caller, Failure};

/// The words of `logs`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet logs web                        the one container's output so far
  podlet logs -f web -c app              and what comes, over restarts
  podlet logs -p web                     of the instance before the last restart
  podlet logs web --all-containers --prefix --timestamps
  podlet logs web --since=5m --tail=20")]
pub struct Words {
    /// POD or pod/POD, and perhaps a container.
    #[arg(value_name = "POD")]
    pub words: Vec<String>,
    /// Goes on with what comes.
    #[arg(short, long)]
    pub follow: bool,
    /// Of the previous instance.
    #[arg(short, long)]
    pub previous: bool,
    /// Of this container.
    #[arg(short, long, value_name = "CONTAINER")]
    pub container: Option<String>,
    /// Of all containers.
    #[arg(long)]
    pub all_containers: bool,
    /// Of all pods with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Only lines newer than this duration: 5s, 2m, 3h.
    #[arg(long, value_name = "DURATION")]
    pub since: Option<String>,
    /// Only lines since this time: 2026-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub since_time: Option<String>,
    /// Only so many lines from the end; -1 for all.
    #[arg(long, value_name = "LINES", allow_negative_numbers = true)]
    pub tail: Option<i64>,
    /// Puts its time before each line.
    #[arg(long)]
    pub timestamps: bool,
    /// Puts pod and container before each line.
    #[arg(long)]
    pub prefix: bool,
    /// At most so many bytes.
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub limit_bytes: Option<i64>,
}

/// Prints logs.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let _ = (words, everywhere, caller);
    Err(Failure::error("logs is not carried out yet"))
}
