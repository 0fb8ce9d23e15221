//! Scenarios: tests of a pod's lifecycle as files. [`read`] makes [`Case`]s of them, [`Case::run`] plays one in virtual time on
//! the same machine that runs real pods and judges every assertion after every input.
//!
//! ```
//! use podlet::manifest::Source;
//! use podlet::simulation::scenario::{Options, read};
//!
//! let text = "
//! apiVersion: podlet.dev/v1alpha1
//! kind: Scenario
//! spec:
//!   pod: {metadata: {name: web}, spec: {containers: [{name: app, image: localhost/app}]}}
//!   actors: {app: {instances: [{exit: 1@2s}, {exit: 1@2s}, {run: forever}]}}
//!   asserts:
//!   - {startsAt: [0s, 2s, 14s], exactly: true}
//!   - {at: 10s, reason: CrashLoopBackOff, container: app}
//! ";
//! let source = Source { name: "backoff.yaml".to_owned(), bytes: text.into() };
//! let read = read(&[source], &Options::default()).expect("a good file");
//! for case in read.cases {
//!     let outcome = case.run();
//!     assert!(outcome.passed(), "{:#?}", outcome.judged);
//! }
//! ```
//!
//! | question | file |
//! |---|---|
//! | what may stand in a file | `format`, `words`; `scenario.schema.json` is made from them |
//! | is it well formed | `form` |
//! | which pod, which variants | `pods`, `overlay` |
//! | what it means | `case`, `actors`, `probes`, `faults`, `assertions` |
//! | does a condition hold | `condition`, `expression`, `moment` |
//! | is an assertion met, at each moment and in hindsight; do the properties of every pod hold | `judge`, `hindsight`; `properties` |
//! | what happens | `run` |
//! | what of it real processes can do, and how their run is judged | `real` |

mod actors;
mod assertions;
mod case;
mod condition;
mod expression;
mod faults;
mod form;
pub mod format;
mod hindsight;
mod judge;
mod moment;
mod overlay;
mod pods;
mod probes;
mod properties;
pub mod real;
mod run;
#[cfg(test)]
mod tests;
pub(super) mod words;
mod write;

pub use case::{Case, Options, Read, read};
pub(crate) use case::{assertion, case_of, ground};
pub use expression::VARIABLES;
pub use form::SCHEMA;
pub use judge::Verdict;
pub use overlay::set;
pub use properties::Property;
pub use run::{Judged, Outcome, Reached, World};
pub use words::Span;
pub use write::yaml;

/// Signals by their numbers, as Linux has them on all machines that podlet runs on.
const SIGNALS: &[(i32, &str)] = &[
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (10, "SIGUSR1"),
    (11, "SIGSEGV"),
    (12, "SIGUSR2"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
    (16, "SIGSTKFLT"),
    (17, "SIGCHLD"),
    (18, "SIGCONT"),
    (19, "SIGSTOP"),
    (20, "SIGTSTP"),
    (21, "SIGTTIN"),
    (22, "SIGTTOU"),
    (23, "SIGURG"),
    (24, "SIGXCPU"),
    (25, "SIGXFSZ"),
    (26, "SIGVTALRM"),
    (27, "SIGPROF"),
    (28, "SIGWINCH"),
    (29, "SIGIO"),
    (30, "SIGPWR"),
    (31, "SIGSYS"),
];

/// `SIGTERM` for 15.
pub fn signal_name(number: i32) -> Option<&'static str> {
    SIGNALS.iter().find(|(other, _)| *other == number).map(|(_, name)| *name)
}

/// 15 for `TERM`, `SIGTERM`, `15`.
pub fn signal_number(name: &str) -> Option<i32> {
    let upper = name.trim().to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let by_name = SIGNALS.iter().find(|(_, known)| known.strip_prefix("SIG") == Some(bare)).map(|(number, _)| *number);
    by_name.or_else(|| upper.parse().ok().filter(|number| (1..=64).contains(number)))
}
