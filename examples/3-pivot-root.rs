//! A mount namespace is a private list of mounts; pivot_root(2) makes one of them the root. After that the old root is taken
//! off, and nothing outside can be named any more. `sudo` is needed, as in the example before.
//!
//! chroot(2) only changes where a path begins; pivot_root and umount take the rest away. The order here is podlet's
//! (`podlet plan` shows it): own namespace, no propagation, a root, pivot, take off.

use std::error::Error;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::pivot_root;

const NONE: Option<&str> = None;

fn main() -> Result<(), Box<dyn Error>> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    // The new namespace's mounts are copies that still tell each other of changes; from here on they do not.
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;

    // The new root: an empty file system in memory. It is seen in this namespace alone and needs no cleaning up.
    let root = Path::new("/mnt");
    mount(Some("root"), root, Some("tmpfs"), MsFlags::empty(), Some("size=1m"))?;
    fs::create_dir(root.join("usr"))?;
    mount(Some("/usr"), &root.join("usr"), NONE, MsFlags::MS_BIND, NONE)?;
    // A bind takes no other flags: read-only is a second call. mount(2), "Remounting an existing mount".
    let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(NONE, &root.join("usr"), NONE, read_only, NONE)?;
    for link in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.join(link))?;
    }

    // Both names the same: the old root is stacked upon the new one, at "/", and the topmost is taken off.
    std::env::set_current_dir(root)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")?;

    Command::new("/bin/sh").args(["-c", "echo all there is: /*; touch /usr/x; cd ../../..; pwd"]).status()?;
    Ok(())
}
