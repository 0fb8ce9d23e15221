//! A cgroup is a directory: made by mkdir, limited by writing to its files, filled by writing process numbers. A program that
//! wants more memory than its cgroup may have is killed by the kernel, and a counter says so. `sudo` is needed.
//!
//! A program killed by hand looks the same (signal 9, 137): only the counter tells OOMKilled from Error, in podlet as here.
//! cgroups(7); files of version 2: memory.max, memory.events; of version 1: memory.limit_in_bytes, memory.oom_control.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A fresh cgroup that limits memory: where, and its files for the limit and the counter.
fn make(limit: &str) -> std::io::Result<(PathBuf, &'static str)> {
    let old = Path::new("/sys/fs/cgroup/memory");
    if old.exists() {
        let cgroup = old.join("podlet/example");
        fs::create_dir_all(&cgroup)?;
        fs::write(cgroup.join("memory.limit_in_bytes"), limit)?;
        return Ok((cgroup, "memory.oom_control"));
    }
    let root = Path::new("/sys/fs/cgroup");
    let cgroup = root.join("podlet/example");
    fs::create_dir_all(&cgroup)?;
    // A cgroup has a controller's files only when each one above it passes the controller on.
    for above in [root, &root.join("podlet")] {
        fs::write(above.join("cgroup.subtree_control"), "+memory")?;
    }
    fs::write(cgroup.join("memory.max"), limit)?;
    // Without this a machine with swap would only become slow.
    let swap = cgroup.join("memory.swap.max");
    if swap.exists() {
        fs::write(swap, "0")?;
    }
    Ok((cgroup, "memory.events"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (cgroup, counter) = make("33554432")?;
    // The shell waits for a line, so that it is in the cgroup before it wants anything.
    let script = "read line; exec tail /dev/zero";
    let mut child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn()?;
    fs::write(cgroup.join("cgroup.procs"), child.id().to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(b"go\n")?;
    }
    let status = child.wait()?;
    println!("ended by signal {:?}", status.signal());
    print!("{}", fs::read_to_string(cgroup.join(counter))?);
    fs::remove_dir(&cgroup)?;
    Ok(())
}
