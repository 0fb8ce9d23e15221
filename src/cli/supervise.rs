//! `podlet supervise RUN-DIRECTORY`: how a pod's keeper starts the pod's supervisor. Not for people and none of the verbs:
//! it is looked for before the command line is built up, which would take longer than all that a supervisor does first.

use std::ffi::OsString;
use std::path::Path;

/// The pod's run directory, if these are a keeper's words (the first is the program's name).
pub fn run_directory(words: &[OsString]) -> Option<&Path> {
    match words {
        [_, verb, run_directory] if verb == "supervise" => Some(Path::new(run_directory)),
        _ => None,
    }
}
