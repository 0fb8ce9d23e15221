//! podlet beside a kubelet. The scenarios of the lifecycle by their numbers, in virtual time: each row is one scenario, what it
//! says, and what is seen of it; the same machine runs real pods. And what a real kubelet was recorded to do
//! (`tests/data/golden`), in virtual time and with real processes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod backoff;
#[path = "../common/mod.rs"]
mod common;
mod comparer;
mod comparer_test;
mod elsewhere;
mod ends;
#[path = "../common/image.rs"]
mod images;
mod init;
mod live;
mod page;
mod phases;
mod probes;
mod programs;
mod reached;
mod real;
mod recorded;
mod recording;
mod restarts;
mod world;

/// One scenario.
pub struct Row {
    /// Its number.
    pub number: &'static str,
    /// What it says.
    pub says: &'static str,
    /// Plays it and looks.
    pub play: fn(),
}

/// All scenarios.
pub fn rows() -> Vec<&'static Row> {
    let tables = [phases::ROWS, backoff::ROWS, restarts::ROWS, init::ROWS, probes::ROWS, ends::ROWS, live::ROWS];
    tables.into_iter().flatten().collect()
}

#[test]
fn each_scenario_goes_as_it_is_written() {
    let rows = rows();
    let mut numbers: Vec<&str> = rows.iter().map(|row| row.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), rows.len(), "a number stands twice");
    let failed: Vec<String> = rows
        .iter()
        .filter(|row| std::panic::catch_unwind(row.play).is_err())
        .map(|row| format!("{}: {}", row.number, row.says))
        .collect();
    assert!(failed.is_empty(), "{} of {} scenarios:\n{}", failed.len(), rows.len(), failed.join("\n"));
}
