//! What a real pod's journal tells: its run once more, through the same machine that decided it.
//!
//! | question | file |
//! |---|---|
//! | does the machine decide again as it did | `replay` |
//! | what happened, and by which rules | `run` |
//! | how its containers behaved, and what happened to it | `behaviour` |
//! | the same as a scenario that plays so | `scenario` |
//! | each step told as a scenario's driver would | `telling` |
//! | a scenario's own run with real processes, to be judged | `trial` |
//!
//! Nothing here touches a pod; what is read is [`crate::supervisor::history`].

pub mod behaviour;
pub mod replay;
pub mod run;
pub mod scenario;
mod telling;
pub mod trial;
