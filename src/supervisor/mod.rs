//! One pod's owner at run time: feeds the machine, carries out effects, journals, serves the control socket.
//!
//! Crash-only: it may be killed at any instruction, and starting is the same code path as recovering. One thread decides;
//! others copy logs and make containers ready, and decide nothing. None forks; every process is made by the pod's keeper.
//! For the command line there are [`launch`] (sets a pod going), [`client`] (asks its supervisor) and [`kept`] (what can be
//! seen of pods, running or not).

mod adopt;
mod ahead;
mod attach;
pub mod attach_session;
pub mod client;
pub mod clock;
pub mod control;
pub mod cri;
pub mod diagnostics;
mod effects;
mod ends;
mod exec;
pub mod exec_session;
pub mod files;
pub mod history;
mod journal;
pub mod kept;
pub mod launch;
mod log;
mod old_logs;
pub mod orders;
mod poison;
mod probe;
mod publish;
pub mod pull;
mod recover;
mod reports;
mod requests;
mod room;
mod run;
mod server;
mod sleep;
mod state;
mod status_pipe;
mod storage;
mod streams;
mod tags;
mod termination;
pub mod trace;
pub mod upgrade;
mod vouch;
mod world;

pub use publish::{NOTICES, PROGRAM};
pub use run::supervise;
pub use vouch::{is_asleep, is_current};
pub use world::KeptObjects;
