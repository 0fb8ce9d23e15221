//! `podlet events`: what happened, in the order of time.

use clap::Args;

use super::line::Everywhere;
use super::{Caller, Failure};

/// The words of `events`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet events                     of the namespace
  podlet events --for pod/web       of one pod
  podlet events --types=Warning")]
pub struct Words {
    /// Nothing; kubectl passes over words here, too.
    #[arg(hide = true)]
    pub rest: Vec<String>,
    /// Of this object only: pod/web.
    #[arg(long = "for", value_name = "TYPE/NAME")]
    pub object: Option<String>,
    /// Of these types only: Normal, Warning.
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub types: Vec<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Goes on with what comes.
    #[arg(short, long)]
    pub watch: bool,
    /// Without the line of headings.
    #[arg(long)]
    pub no_headers: bool,
    /// json or yaml.
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<String>,
}

/// Lists events.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let _ = (words, everywhere, caller);
    Err(Failure::error("events is not carried out yet"))
}
