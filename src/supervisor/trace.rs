//! `apply --trace`: what the stages recorded, one file a start, in kept state: a pod may be over before `apply` has read
//! them. A start whose supervisor was killed in the middle of it leaves none: its plan is gone with that supervisor.

use std::path::Path;

use super::files::{self, Durability};
use super::run::{Starting, Supervisor};
use crate::linux::trace::{self, End, Trace};
use crate::pod::effect::EffectId;

impl Supervisor {
    /// Writes what a start that is over has recorded, when that was asked for at `apply`.
    pub(super) fn write_trace(&self, id: &EffectId, starting: &Starting) {
        if !self.world.orders.choices.trace {
            return;
        }
        let Some(prepared) = &starting.prepared else { return };
        let end = if starting.failed.is_some() { End::Failed } else { End::Executed };
        let directory = self.world.paths().traces(self.world.uid());
        let path = directory.join(format!("{}.json", id.0.replace('/', ".")));
        let written = trace::read(&prepared.plan, std::os::fd::AsFd::as_fd(&prepared.table), end).and_then(|trace| {
            files::private_directory(&directory)?;
            files::replace(&path, &serde_json::to_vec(&trace)?, Durability::Process)
        });
        if let Err(error) = written {
            tracing::warn!("could not write {}: {error}", path.display());
        }
    }
}

/// The traces of a pod, in the order in which its starts were over.
pub fn read_all(directory: &Path) -> std::io::Result<Vec<Trace>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "json") {
            found.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    found.sort();
    found.into_iter().map(|(_, path)| Ok(serde_json::from_slice(&std::fs::read(path)?)?)).collect()
}
