//! podlet runs a Kubernetes Pod on one Linux machine, and shows how.
//!
//! Data flows one way through the rooms:
//!
//! ```text
//! pod.yaml ─ manifest ─▶ typed Pod ─▶ pod::Machine ◀── inputs (journalled, timed) ──────┐
//!            parse, default,             │ effects                                     │
//!            validate, spans             ▼                                             │
//!                                    supervisor ──▶ plan ──▶ linux ──▶ kernel ─────────┘
//!                                        │                     (or simulation, in virtual time)
//!                                        ▼
//!                   status, events, logs ──▶ control socket ──▶ cli
//! ```
//!
//! `pod` and `plan` are pure: no clock, no file, no socket. Whoever changes a rule of Kubernetes opens `pod`; a way of
//! Linux, `plan` and `linux`; what a user sees, `cli`. `recorded` reads a real run's journal again.

pub mod cli;
pub mod config;
pub mod duration;
pub mod event_lines;
pub mod http;
pub mod image;
pub mod lint;
pub mod linux;
pub mod manifest;
pub mod network;
pub mod paths;
pub mod plan;
pub mod pod;
pub mod recorded;
pub mod simulation;
pub mod supervisor;
pub mod volume;

/// podlet's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
