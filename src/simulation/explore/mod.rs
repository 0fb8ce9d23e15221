//! Random faults against a pod in virtual time: sequences of them are drawn from a seed, played on the machine that runs real
//! pods, and whatever breaks a property is shrunk to a scenario that `podlet test` replays. The same seed gives the same
//! result on however many threads.
//!
//! ```
//! use podlet::manifest::Source;
//! use podlet::simulation::explore::{Ground, Plan, explore};
//!
//! let pod = "
//! apiVersion: v1
//! kind: Pod
//! metadata: {name: web}
//! spec: {containers: [{name: app, image: localhost/app}]}
//! ";
//! let source = Source { name: "pod.yaml".to_owned(), bytes: pod.into() };
//! let ground = Ground::read(&source, &[], None).expect("a good file");
//! let report = explore(&ground, &Plan { budget: 100, ..Plan::default() }, &mut |_| {}).expect("a playable pod");
//! assert!(report.found.is_empty(), "{:#?}", report.found);
//! ```
//!
//! | question | file |
//! |---|---|
//! | which pod, which properties | `ground` |
//! | which faults | `draw`, `fault`, `sketch` |
//! | what is the least that does the same | `shrink` |

mod draw;
mod fault;
mod ground;
#[cfg(test)]
mod mutants;
mod shrink;
mod sketch;
#[cfg(test)]
mod tests;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::scenario::format::Scenario;
use super::scenario::{Reached, Verdict};
pub use ground::{Ground, Refusal};
#[cfg(test)]
pub(crate) use mutants::{MUTANTS, Mutant};
use sketch::Sketch;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// So many sequences.
    pub budget: u32,
    /// Other sequences for another seed.
    pub seed: u64,
    /// How long each lasts in virtual time.
    pub duration: Duration,
    /// How many faults each has, at least and at most.
    pub faults: (usize, usize),
    /// On so many threads; as many as there are cores where it is 0. Changes nothing but the time it takes.
    pub threads: usize,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { budget: 10_000, seed: 1, duration: Duration::from_secs(600), faults: (5, 8), threads: 0 }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Sequences that were played. With a finding it ends early: after the batch in which it was made.
    pub tried: u32,
    /// Faults in them.
    pub faults: u64,
    /// Virtual time.
    pub time: Duration,
    /// Rules and states that were reached.
    pub reached: Reached,
    /// One for each property that was broken, in the order of the properties.
    pub found: Vec<Found>,
}

/// A broken property.
#[derive(Debug)]
pub struct Found {
    /// The sequence in which it was found.
    pub sequence: u32,
    /// How many faults that had.
    pub faults: usize,
    /// How many are left.
    pub left: usize,
    /// What was found in the shrunk one.
    pub verdict: Verdict,
    /// The shrunk one, with the one assertion that fails.
    pub scenario: Scenario,
}

/// After so many sequences it is looked whether anything was found: where it stops must not depend on threads.
const BATCH: u32 = 100;

/// What one sequence came to.
struct Played {
    sequence: u32,
    sketch: Sketch,
    /// The assertions that failed, by their places.
    broken: Vec<usize>,
}

/// Explores; `progress` hears from time to time how many sequences are done. An error is podlet's own: a sequence that cannot be
/// played.
pub fn explore(ground: &Ground, plan: &Plan, progress: &mut dyn FnMut(u32)) -> Result<Report, String> {
    let mut report = Report::default();
    while report.tried < plan.budget && report.found.is_empty() {
        let end = report.tried.saturating_add(BATCH).min(plan.budget);
        let mut broken = batch(ground, plan, report.tried..end, &mut report)?;
        progress(end);
        broken.sort_by_key(|played| played.sequence);
        report.tried = end;
        let mut told = std::collections::BTreeSet::new();
        for played in broken {
            for assertion in &played.broken {
                if told.insert(*assertion) {
                    report.found.push(shrink::shrink(ground, plan, &played, *assertion)?);
                }
            }
        }
    }
    report.found.sort_by_key(|found| found.sequence);
    Ok(report)
}

/// Plays some sequences on all threads; answers those that broke something.
fn batch(
    ground: &Ground,
    plan: &Plan,
    sequences: std::ops::Range<u32>,
    report: &mut Report,
) -> Result<Vec<Played>, String> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if plan.threads == 0 { cores() } else { plan.threads };
    let (next, end) = (AtomicU32::new(sequences.start), sequences.end);
    let total = Mutex::new((Vec::new(), Reached::default(), 0_u64, None));
    let work = || {
        let (mut broken, mut reached, mut faults, mut error) = (Vec::new(), Reached::default(), 0, None);
        loop {
            let sequence = next.fetch_add(1, Ordering::Relaxed);
            if sequence >= end {
                break;
            }
            let sketch = draw::sketch(ground, plan, sequence);
            faults += sketch.len() as u64;
            match ground.play(&sketch, plan.duration, None, &mut reached) {
                Ok(verdicts) => {
                    let failed = |(at, verdict): (usize, &Verdict)| (!verdict.passed).then_some(at);
                    let failed: Vec<usize> = verdicts.iter().enumerate().filter_map(failed).collect();
                    if !failed.is_empty() {
                        broken.push(Played { sequence, sketch, broken: failed });
                    }
                }
                Err(found) => error = error.or(Some(format!("sequence {sequence}: {found}"))),
            }
        }
        // A thread that panicked has ended the process.
        if let Ok(mut total) = total.lock() {
            total.0.append(&mut broken);
            total.1.add(reached);
            total.2 += faults;
            total.3 = total.3.take().or(error);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let (broken, reached, faults, error) = total.into_inner().unwrap_or_default();
    report.reached.add(reached);
    report.faults += faults;
    report.time += plan.duration * sequences.len().try_into().unwrap_or(u32::MAX);
    error.map_or(Ok(broken), Err)
}
