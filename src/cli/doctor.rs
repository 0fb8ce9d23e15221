//! `podlet doctor`: what this machine can and cannot do, and what to do about it.

use clap::Args;

use super::{Caller, Failure};

/// The words of `doctor`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet doctor
  podlet doctor -o json")]
pub struct Words {
    /// json.
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<String>,
}

/// Looks and says.
pub fn run(words: &Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let _ = (words, caller);
    Err(Failure::error("doctor is not carried out yet"))
}
