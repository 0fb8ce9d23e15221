//! What integration tests share.

#![allow(dead_code, clippy::unwrap_used)]

pub mod podlet;
pub mod residue;
