//! The same machine under a virtual clock. Tests (and later `podlet simulate` and `podlet test`) give a pod and a script of
//! how its containers behave; the driver feeds the machine, carries out its effects by the script and records a timeline.
//! It never starts a process and reads no clock: an hour of back-off takes microseconds and always ends the same.

mod answers;
mod driver;
pub mod explore;
mod interference;
pub mod lanes;
pub mod peers;
pub mod scenario;
mod script;
pub mod story;
mod timeline;

pub use answers::{Answers, Forced, Length};
pub use driver::{Driver, Stuck};
pub use interference::Diverged;
pub use script::{End, HookRun, ImageOutcome, OnSignal, ProbeAnswer, Run, Script, Start};
pub use timeline::{ContainerView, Entry, Line, View};
