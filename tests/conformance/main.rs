//! The scenarios of the lifecycle by their numbers, in virtual time: each row is one scenario, what it says, and what is seen
//! of it. The same machine runs real pods.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod init;
mod live;
mod probes;
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

#[test]
fn each_scenario_goes_as_it_is_written() {
    let rows: Vec<&Row> = [init::ROWS, live::ROWS, probes::ROWS, restarts::ROWS].into_iter().flatten().collect();
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
