//! What can be wrong with kept state.

use std::io;
use std::path::{Path, PathBuf};

use crate::paths::way_out;
use crate::supervisor::client::ClientError;

/// Why kept state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// A file or directory.
    #[error("could not {action} {}: {source}{}", path.display(), way_out(source))]
    File {
        /// `read`, `write`, `remove`, `lock`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Not what podlet writes there.
    #[error("{} does not hold what podlet writes there: {reason}; move it away and apply the pod again", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The supervisor answers, but not with the pod.
    #[error(transparent)]
    Supervisor(ClientError),
}

/// For a failed step at a path.
pub(in crate::supervisor) fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeptError {
    move |source| KeptError::File { action, path: path.to_owned(), source }
}
