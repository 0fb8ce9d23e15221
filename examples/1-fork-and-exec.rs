//! A process begins by fork(2), as a copy, and becomes another program by execve(2). Its end is kept by the kernel until
//! the parent asks for it with wait(2); until then it is a zombie. `cargo run --example 1-fork-and-exec`
//!
//! podlet's keeper is this parent: nobody else can ask how a container ended. Watch the calls with
//! `strace -f -e trace=process target/*/debug/examples/1-fork-and-exec`.

use std::error::Error;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

fn state_of(pid: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("State:"));
    line.map_or("gone", |line| line.trim_start_matches("State:").trim()).to_owned()
}

fn main() -> Result<(), Box<dyn Error>> {
    // std forks (or calls vfork, which is the same with borrowed memory) and executes.
    let mut child = Command::new("sleep").arg("0.2").spawn()?;
    sleep(Duration::from_millis(50));
    println!("pid {} while it runs: {}", child.id(), state_of(child.id()));

    sleep(Duration::from_millis(400));
    println!("pid {} after its end: {}", child.id(), state_of(child.id()));

    let status = child.wait()?;
    println!("pid {} after wait: {}; exit code {:?}", child.id(), state_of(child.id()), status.code());

    // An end by a signal has no exit code. Shells and Kubernetes say 128 + the signal's number.
    let status = Command::new("sh").args(["-c", "kill -KILL $$"]).status()?;
    let signal = status.signal().unwrap_or(0);
    println!("killed: exit code {:?}, signal {signal}, which Kubernetes shows as {}", status.code(), 128 + signal);
    Ok(())
}
