//! `podlet supervise`: how a pod's keeper starts the pod's supervisor. Not for people, not in the help.

use std::ffi::OsString;

use clap::Args;

use super::Failure;
use super::everywhere::Everywhere;

/// The words of `supervise`; the supervisor reads them itself.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Words {
    /// As the keeper gives them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}

/// Becomes the supervisor. What it has to say goes to its own log.
pub fn run(words: Words, everywhere: &Everywhere) -> Result<u8, Failure> {
    let _ = everywhere;
    let [run_directory] = &words.words[..] else {
        return Err(Failure::error(
            "supervise is for a pod's keeper, which gives it the pod's run directory; use apply",
        ));
    };
    Ok(crate::supervisor::supervise(run_directory.as_ref()))
}
