//! Long sweeps over real pods: the supervisor killed at every system call, killed at random many times,
//! ten thousand restarts and ten thousand commands of probes after which nothing has piled up, a gigabyte of output to the byte, and the waits of all rules up to the
//! longest. An ordinary test run tries a sample; whole they are run by
//!
//! ```text
//! PODLET_TEST_BUDGET=all cargo test --test soak -- --nocapture --test-threads=1
//! ```
//!
//! `PODLET_TEST_BUDGET` is the number of cases that the sweep tries (the others take it as many times their sample), or
//! `all`. `PODLET_TEST_SEED` chooses the sample; a test prints its seed and what it tries, so that a failure can be
//! repeated. What was tried and what was reached is printed, too.

#![allow(clippy::unwrap_used)]

#[path = "../../actor/noise.rs"]
mod actor_noise;
#[path = "../common/mod.rs"]
mod common;
mod output;
mod probes;
mod restarts;
mod scenario;
mod storm;
mod sweep;
mod waits;
