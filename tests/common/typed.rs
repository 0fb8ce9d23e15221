//! podlet as a user types it, for what needs no privilege and starts nothing: `#[path = "common/typed.rs"] mod typed;`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// `podlet WORDS…` in the project's directory, with an empty environment and this on standard input.
pub fn podlet(words: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_podlet"))
        .args(words)
        .env_clear()
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("podlet starts");
    // Who reads no manifest has gone before it is written.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(input.as_bytes()));
    child.wait_with_output().expect("podlet ends")
}
