//! A container start as data: typed steps resolved to the last path and flag. Pure. (Skeleton.)

use serde::Serialize;

/// A list of typed steps with a name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What it starts: `sandbox`, `container web`.
    pub title: String,
    /// In order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step")]
#[non_exhaustive]
pub enum Step {}
