//! `--dry-run`: how far a change goes. Shared by all verbs that make one.

use clap::Args;

use super::Failure;
use super::output::{Output, TemplateWords};

/// What a change is told by verbs that change objects, beside what is changed.
#[derive(Args, Clone, Debug)]
pub struct ChangeWords {
    /// Changes nothing, prints what would be done: client or server.
    #[arg(long, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: Option<String>,
    /// Prints the object in place of the sentence: json, yaml, name, jsonpath=TEMPLATE.
    #[arg(short, long, value_name = "json|kyaml|name|yaml")]
    pub output: Option<String>,
    /// And its template.
    #[command(flatten)]
    pub template: TemplateWords,
}

impl ChangeWords {
    /// How far it goes, and in which form the object is printed.
    pub fn read(&self) -> Result<(DryRun, Output), Failure> {
        Ok((DryRun::parse(self.dry_run.as_deref())?, Output::of_change(self.output.as_deref(), &self.template)?))
    }
}

impl ChangeWords {
    /// What `--raw` answers has one form.
    pub fn not_with_raw(&self) -> Result<(), Failure> {
        match self.output.as_deref() {
            None | Some("") => Ok(()),
            Some(_) => Err(Failure::error("--raw and --output are mutually exclusive")),
        }
    }
}

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
