//! A scenario with real processes: what of it a machine can be made to do ([`refusals`]), the pod and the files that make it do
//! that ([`Stage`]), what is missing at times ([`ills`]), and how its run is judged ([`Sighting`]). Nothing is carried out here: `cli` does that, and `recorded` reads
//! the run.

mod hearing;
pub mod ills;
mod refusals;
mod stage;
#[cfg(test)]
mod tests;

pub use hearing::Sighting;
pub use refusals::{Real, refusals};
pub use stage::{ACTOR, DIRECTORY, HOLD, MOUNT, RELEASE, Stage, Step};
