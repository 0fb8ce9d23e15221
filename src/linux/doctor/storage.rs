//! Where podlet keeps things: whether it may write there, whether overlay works on that file system, and whether programs
//! can be executed from memory. Overlay is tried with a detached mount in a directory that is removed again.

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{AccessFlags, access};

use super::super::programs::Program;
use super::super::rootfs;
use super::Finding;
use crate::paths::Paths;

/// Looks.
pub fn examine(paths: &Paths) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, path) in
        [("run directory", &paths.run), ("state directory", &paths.state), ("log directory", &paths.logs)]
    {
        findings.push(directory(name, path));
    }
    findings.push(overlay(&paths.state));
    findings.push(memory());
    findings
}

fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"))
}

fn directory(name: &str, path: &Path) -> Finding {
    let found = nearest(path);
    match access(found, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Finding::good(name, path.display().to_string()),
        Err(errno) => Finding::missing(
            name,
            format!("{}: {}", found.display(), errno.desc()),
            "podlet cannot keep anything there",
            "run podlet as root, or name another place in PODLET_RUN_DIR, PODLET_STATE_DIR and PODLET_LOG_DIR",
        ),
    }
}

fn overlay(state: &Path) -> Finding {
    let place: PathBuf = nearest(state).join(format!(".podlet-doctor-{}", std::process::id()));
    let tried = rootfs::build(&[], &place).map(|root| root.in_memory);
    if let Err(error) = rootfs::remove(&place) {
        tracing::warn!("could not remove {}: {error}", place.display());
    }
    match tried {
        Ok(false) => Finding::good("overlay", format!("works on the file system of {}", state.display())),
        Ok(true) => Finding::lesser(
            "overlay",
            format!("the file system of {} cannot hold a writable layer", state.display()),
            &format!("what containers write to their root file system is in memory, at most {}", rootfs::TMPFS_SIZE),
            "put the state directory on ext4, xfs or btrfs (PODLET_STATE_DIR), or use volumes for what is large",
        ),
        Err(error) => Finding::missing(
            "overlay",
            error.to_string(),
            "no container can have a root file system",
            "run podlet as root; where that is not it: modprobe overlay, or a kernel with CONFIG_OVERLAY_FS",
        ),
    }
}

/// Executes the stage from a sealed memfd. Without a table it ends at once; that it did so means that it ran.
fn memory() -> Finding {
    let ran = || -> io::Result<()> {
        let program = Program::Stage.sealed_memfd()?;
        let path = format!("/proc/self/fd/{}", program.as_raw_fd());
        let mut command = Command::new(path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().map(drop)
    };
    match ran() {
        Ok(()) => Finding::good("programs in memory", "can be executed"),
        Err(error) => Finding::lesser(
            "programs in memory",
            format!("cannot be executed: {error}"),
            "podlet's tiny programs are executed from read-only mounts of files in the pod's run directory instead",
            "sysctl -w vm.memfd_noexec=1 or 0, where it is 2; nothing has to be done",
        ),
    }
}
