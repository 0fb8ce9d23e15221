//! `podlet completion`: scripts that complete podlet's words in bash, zsh and fish.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::line::Line;
use super::{Caller, Failure};

/// The words of `completion`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  source <(podlet completion bash)
  podlet completion zsh > \"${fpath[1]}/_podlet\"
  podlet completion fish > ~/.config/fish/completions/podlet.fish")]
pub struct Words {
    /// bash, zsh or fish.
    #[arg(value_name = "SHELL")]
    pub shell: Option<String>,
}

/// Prints the script.
pub fn run(words: &Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let shell = match words.shell.as_deref() {
        Some("bash") => Shell::Bash,
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        Some(other) => {
            return Err(Failure::Error(format!("Unsupported shell type {other:?}: expected bash, zsh or fish")));
        }
        None => {
            let text = "Shell not specified.\nSee 'podlet completion -h' for help and examples";
            return Err(Failure::error(text));
        }
    };
    // clap_complete panics when it cannot write; a closed pipe is no reason to.
    let mut script = Vec::new();
    generate(shell, &mut Line::command(), "podlet", &mut script);
    caller.out.write_all(&script)?;
    Ok(0)
}
