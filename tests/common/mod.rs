//! What integration tests share.

#![allow(dead_code, clippy::unwrap_used)]

pub mod kills;
pub mod old_kernel;
pub mod podlet;
pub mod pty;
pub mod residue;
pub mod screen;
pub mod tracer;
