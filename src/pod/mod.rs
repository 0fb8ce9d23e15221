//! The lifecycle of a Pod as a pure function: inputs with their time go in, effects with the rule that caused them come
//! out. No clock, no file, no socket, no randomness. The supervisor runs it for real, `simulation` in virtual time.
//!
//! | question | file |
//! |---|---|
//! | what can happen, what can be asked for | `input`, `effect`, `time` |
//! | by which rule | `rules` |
//! | what is kept | `machine`, `container`, `sandbox` |
//! | how a fact changes that; how what a user asks for | `facts`; `requests` |
//! | what follows: sandboxes and starts; stops and the end | `decide`; `termination` |
//! | is a container started again, and when; are all | `restart`, `backoff`; `reset` |
//! | cpu and memory are changed while it runs | `resize`, `room` |
//! | local storage: what is used, and that it is too much | `storage` |
//! | probes: what they find; when they are run | `probe`; `prober` |
//! | postStart and preStop | `hook` |
//! | what holds now, by which rule, and what comes next | `why` |
//! | what a user sees | `status`, `phase`, `conditions`, `amounts`, `events`, `message` |

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod admission;
pub(crate) mod amounts;
pub mod backoff;
pub mod conditions;
pub mod container;
mod decide;
pub mod effect;
pub mod events;
mod facts;
pub mod hook;
mod init;
pub mod input;
pub mod machine;
pub mod message;
pub mod numbers;
pub mod phase;
pub mod probe;
pub mod prober;
mod requests;
mod reset;
pub mod resize;
pub mod restart;
pub mod room;
pub mod rules;
pub mod sandbox;
mod status;
pub mod storage;
mod termination;
pub mod time;
pub mod why;

#[cfg(test)]
pub(crate) mod tests;

use machine::because;
