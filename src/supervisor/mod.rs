//! One pod's owner at run time: feeds the machine, carries out effects, journals, serves the control socket.
//!
//! Crash-only: it may be killed at any instruction, and starting is the same code path as recovering. It is one thread
//! and never forks; every process is made by the pod's keeper. For the command line there are [`launch`] (sets a pod
//! going), [`client`] (asks its supervisor) and [`kept`] (what can be seen of pods, running or not).

pub mod client;
pub mod clock;
pub mod control;
pub mod cri;
mod files;
pub mod kept;
pub mod launch;
mod log;
