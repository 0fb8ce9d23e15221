//! What makes several containers a pod: one process that does nothing owns the namespaces that they share, and each of them
//! joins these by setns(2). Any of them may end and come back; the network stays. `sudo` is needed.
//!
//! Here the process is `sleep`, in podlet `pause/src/bin/pause.rs`. namespaces(7) lists what can be shared.

use std::error::Error;
use std::fs::File;
use std::process::{Child, Command};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::sethostname;

/// Namespaces of a pod, by their names in /proc/PID/ns.
const SHARED: [(&str, CloneFlags); 3] =
    [("net", CloneFlags::CLONE_NEWNET), ("ipc", CloneFlags::CLONE_NEWIPC), ("uts", CloneFlags::CLONE_NEWUTS)];

/// unshare and setns change the calling thread, not the program: a thread that ends is a way to keep this from the rest.
fn in_a_thread<T: Send>(work: impl FnOnce() -> std::io::Result<T> + Send) -> std::io::Result<T> {
    thread::scope(|scope| {
        scope.spawn(work).join().unwrap_or_else(|_| Err(std::io::Error::other("the thread panicked")))
    })
}

fn pause() -> std::io::Result<Child> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS)?;
    sethostname("pod")?;
    Command::new("sleep").arg("60").spawn()
}

fn container(pause: u32, name: &str) -> std::io::Result<()> {
    for (namespace, flag) in SHARED {
        setns(File::open(format!("/proc/{pause}/ns/{namespace}"))?, flag)?;
    }
    let script = format!("echo {name} on $(hostname): $(readlink /proc/self/ns/net /proc/self/ns/ipc)");
    Command::new("sh").args(["-c", &script]).status().map(drop)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut pause = in_a_thread(pause)?;
    let pid = pause.id();
    in_a_thread(|| container(pid, "web"))?;
    in_a_thread(|| container(pid, "proxy"))?;
    Command::new("sh").args(["-c", "echo this program on $(hostname): $(readlink /proc/self/ns/net)"]).status()?;
    // With its last process a network namespace is gone.
    pause.kill()?;
    pause.wait()?;
    Ok(())
}
