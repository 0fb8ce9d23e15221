//! What the arithmetic of the lifecycle says of a manifest before anything runs: how long a pod may take to become ready, to
//! be found dead and to be deleted, and what in it will not do what its writer seems to mean. Pure; `podlet lint` prints it.
//! Whether a manifest is valid is not asked here: that is `manifest`'s.

mod checks;
mod times;

use k8s_openapi::api::core::v1::Pod;

pub use times::{ContainerTimes, Times};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Good to know.
    Note,
    /// It will surprise.
    Warning,
}

impl Weight {
    /// `note` or `warning`.
    pub fn word(self) -> &'static str {
        match self {
            Weight::Note => "note",
            Weight::Warning => "warning",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name: `shell-as-process-1`.
    pub name: &'static str,
    /// How much it matters.
    pub weight: Weight,
    /// Which field.
    pub path: String,
    /// What is so, and why that matters.
    pub text: String,
    /// What to do.
    pub fix: String,
}

/// What there is to say of a pod.
#[derive(Clone, Debug)]
pub struct Report {
    /// Sums.
    pub times: Times,
    /// In the order of the pod's fields.
    pub findings: Vec<Finding>,
}

/// Looks at a defaulted, valid pod.
pub fn look(pod: &Pod) -> Report {
    Report { times: times::of(pod), findings: checks::all(pod) }
}

#[cfg(test)]
mod tests;
