//! What became of what was applied.

use crate::supervisor::kept::Claim;

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created,
    /// It was there and has been changed.
    Configured,
    /// It was there and is the same.
    Unchanged,
    /// The one that was there was ended for it.
    Replaced,
    /// It was there, but did not run: its machine had been started anew.
    Restarted,
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Created => "created",
            Outcome::Configured => "configured",
            Outcome::Unchanged => "unchanged",
            Outcome::Replaced => "replaced",
            Outcome::Restarted => "started again",
        }
    }
}

/// A pod that was applied.
#[derive(Clone, Debug)]
pub struct Applied {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// The uid of the pod of that name now.
    pub uid: String,
}

impl Applied {
    /// As what ends it knows it.
    pub fn claim(&self) -> Claim {
        Claim { namespace: self.namespace.clone(), name: self.name.clone(), uid: self.uid.clone() }
    }
}
