//! In a PID namespace of its own a program is number 1. Number 1 is special: the kernel sends it no signal that it has no
//! handler for, when the sender is inside; and when it ends, everything in the namespace is killed.
//! `sudo` is needed: `cargo build --example 2-pid-namespace && sudo target/*/debug/examples/2-pid-namespace`
//!
//! This is why a container's main program does not die of `kill 1` typed in the container, and why `kill -9` of it from
//! outside leaves nothing behind. See pid_namespaces(7).

use std::error::Error;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

fn main() -> Result<(), Box<dyn Error>> {
    println!("outside, this program is {}", std::process::id());

    // unshare(CLONE_NEWPID) does not move the caller: the next child is the first process of the new namespace.
    unshare(CloneFlags::CLONE_NEWPID)?;

    let script = "echo inside, this shell is $$; kill -KILL 1; echo and survives its own kill -KILL 1";
    Command::new("sh").args(["-c", script]).status()?;

    // The namespace has died with its first process: there can be no second one after it.
    match Command::new("true").status() {
        Ok(status) => println!("a second first process: {status}"),
        Err(error) => println!("after its end, fork says: {error}"),
    }
    Ok(())
}
