//! How a verb says that it could not do what was asked, in kubectl's two forms, and with which exit code.

use std::io;

use nix::errno::Errno;

/// Why a verb ended without doing what was asked.
#[derive(Debug)]
pub enum Failure {
    /// `error: …`: the words or the surroundings are wrong.
    Error(String),
    /// `Error from server (<reason>): …`: kubectl's words for what the API server refuses; here it is podlet.
    Server {
        /// `NotFound`, `BadRequest`, `Forbidden`, `Conflict`, `InternalError` …: the reason of the API's Status.
        reason: &'static str,
        /// The Status' message.
        message: String,
    },
    /// Printed as it stands.
    Text(String),
    /// Everything has been said already.
    Told,
    /// stdout could not be written to.
    Output(io::Error),
}

impl Failure {
    /// `error: <text>`.
    pub fn error(text: impl Into<String>) -> Failure {
        Failure::Error(text.into())
    }

    /// `Error from server (NotFound): pods "x" not found`.
    pub fn not_found(plural: &str, name: &str) -> Failure {
        Failure::Server { reason: "NotFound", message: format!("{plural} \"{name}\" not found") }
    }

    /// `Error from server (BadRequest): …`.
    pub fn bad_request(message: impl Into<String>) -> Failure {
        Failure::Server { reason: "BadRequest", message: message.into() }
    }

    /// Several at once: kubectl then leaves out its `error:`.
    pub fn all(mut failures: Vec<Failure>) -> Result<(), Failure> {
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => {
                let bare = |failure: &Failure| match failure {
                    Failure::Error(text) => Some(text.clone()),
                    other => other.text(),
                };
                Err(Failure::Text(failures.iter().filter_map(bare).collect::<Vec<_>>().join("\n")))
            }
        }
    }

    /// `error: <text>`, and where to read on.
    pub fn usage(text: impl std::fmt::Display, verb: &str) -> Failure {
        Failure::Error(format!("{text}\nSee 'podlet {verb} -h' for help and examples"))
    }

    /// kubectl's words for an output format that a verb does not have.
    pub fn no_printer(output: &str, allowed: &[&str]) -> Failure {
        Failure::Error(format!(
            "unable to match a printer suitable for the output format {output:?}, allowed formats are: {}",
            allowed.join(",")
        ))
    }

    /// What goes to stderr, without the last newline; none when nothing is left to be said.
    pub fn text(&self) -> Option<String> {
        match self {
            Failure::Error(text) => Some(format!("error: {text}")),
            Failure::Server { reason, message } => Some(format!("Error from server ({reason}): {message}")),
            Failure::Text(text) => Some(text.clone()),
            Failure::Told => None,
            // The reader has gone (`podlet get pods | head -1`): it has what it wanted.
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Failure::Output(error) => Some(format!("error: could not write the output: {error}")),
        }
    }

    /// kubectl's exit code: 1, and 0 for a reader that had enough.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            _ => 1,
        }
    }
}

/// Refuses an output format that is not among these; none is always allowed.
pub fn check_output(output: &str, allowed: &[&str]) -> Result<(), Failure> {
    if output.is_empty() || allowed.contains(&output) { Ok(()) } else { Err(Failure::no_printer(output, allowed)) }
}

/// Only output fails with a bare I/O error in verbs; whatever else can fail says what it was about.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

/// What the system says of an error, in the words of Go: `no such file or directory`.
pub fn in_go(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}
