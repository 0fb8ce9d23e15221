//! The one program: every verb of the command line, and `supervise`, which the keeper starts.

use std::process::ExitCode;

fn main() -> ExitCode {
    podlet::cli::main()
}
