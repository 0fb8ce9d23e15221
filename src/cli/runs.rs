//! Which recorded run is meant: that of a pod, or one that was saved in a file. `why`, `replay`, `timeline`, `record` and
//! `what-if` stand on it.

use std::path::Path;

use super::everywhere::Everywhere;
use super::{Caller, Failure, ask, resource};
use crate::supervisor::history::{History, HistoryError};
use crate::supervisor::kept::Seen;

/// A run, and whose it is.
pub struct Recorded {
    /// `pod/web`, `pod/web in namespace other`, or the file.
    pub title: String,
    /// The pod as it can be seen now; none of a file.
    pub seen: Option<Box<Seen>>,
    /// What is kept.
    pub history: History,
}

/// A pod's run by its name.
pub fn of_pod(word: &str, everywhere: &Everywhere, caller: &Caller<'_>) -> Result<Recorded, Failure> {
    let name = resource::pod_name(word)?;
    let namespace = everywhere.namespace();
    let claim = ask::find_claim(&caller.paths, namespace, &name)?.ok_or_else(|| Failure::not_found("pods", &name))?;
    let seen = ask::pod(&caller.paths, namespace, &name)?;
    let history = History::read(&caller.paths, &claim.uid).map_err(|error| match error {
        HistoryError::Content { .. } => {
            Failure::Error(format!("nothing is kept of the run of pod/{name}: it was begun by a podlet that kept none"))
        }
        error => failure(&error),
    })?;
    let title = super::running::title(&claim);
    Ok(Recorded { title, seen: Some(Box::new(seen)), history })
}

/// The run of a pod, or one that was saved. A word that names both a pod and a file means the pod.
pub fn find(word: &str, everywhere: &Everywhere, caller: &Caller<'_>) -> Result<Recorded, Failure> {
    let is_pod = !is_path(word) && ask::find_claim(&caller.paths, everywhere.namespace(), word)?.is_some();
    if is_pod || word.starts_with("pod/") || word.starts_with("pods/") || !Path::new(word).exists() {
        return of_pod(word, everywhere, caller);
    }
    let history = History::open(Path::new(word)).map_err(|error| failure(&error))?;
    Ok(Recorded { title: word.to_owned(), seen: None, history })
}

/// Whether a word can be nothing but a path.
pub fn is_path(word: &str) -> bool {
    word == "-"
        || word.starts_with('.')
        || (word.contains('/') && !word.starts_with("pod/") && !word.starts_with("pods/"))
}

fn failure(error: &HistoryError) -> Failure {
    Failure::Error(error.to_string())
}
