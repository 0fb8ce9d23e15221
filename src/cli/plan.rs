//! `podlet plan`: the steps that a start would take, with their system calls. Starts nothing.

use clap::Args;

use super::files::FileWords;
use super::line::Everywhere;
use super::{Caller, Failure};

/// The words of `plan`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet plan pod.yaml                 sandbox and containers, step by step
  podlet plan pod.yaml -o json         the same list as data")]
pub struct Words {
    /// Which manifests.
    #[command(flatten)]
    pub files: FileWords,
    /// json.
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<String>,
}

/// Shows plans.
pub fn run(words: Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    words.files.load(everywhere, words.output.as_deref() == Some("json"), caller)?;
    Err(Failure::error("plan is not carried out yet"))
}
