//! `--dry-run`: how far a change goes. Shared by all verbs that make one.

use super::Failure;

/// How far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DryRun {
    /// All the way.
    #[default]
    None,
    /// Nothing is changed.
    Client,
    /// Nothing is changed, but all is judged.
    Server,
}

impl DryRun {
    /// Reads kubectl's words; the flag alone is `client`.
    pub fn parse(word: Option<&str>) -> Result<DryRun, Failure> {
        match word.unwrap_or("none") {
            "none" => Ok(DryRun::None),
            "client" => Ok(DryRun::Client),
            "server" => Ok(DryRun::Server),
            other => Err(Failure::Error(format!(
                "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
            ))),
        }
    }

    /// What a sentence about the change ends with.
    pub fn note(self) -> &'static str {
        match self {
            DryRun::None => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        }
    }
}
