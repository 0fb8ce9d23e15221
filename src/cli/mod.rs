//! The command line: one file a verb; parses words, asks, prints; decides nothing. (Skeleton.)

use std::process::ExitCode;

/// Runs the verb that the words name.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
