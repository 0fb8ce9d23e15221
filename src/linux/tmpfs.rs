//! File systems in memory, for volumes and for the files that a pod's containers share.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::mount::MsFlags;

/// Whether something is mounted at a directory: its device is not its parent's.
pub fn is_mount_point(path: &Path) -> bool {
    match (fs::symlink_metadata(path), path.parent().map(fs::symlink_metadata)) {
        (Ok(own), Some(Ok(parent))) => own.dev() != parent.dev(),
        _ => false,
    }
}

/// A tmpfs at a directory, unless one is there. `noswap` where the kernel takes it (Linux 6.4).
pub fn mount(path: &Path, options: &str) -> io::Result<()> {
    if is_mount_point(path) {
        return Ok(());
    }
    let with = |options: &str| nix::mount::mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options));
    match with(&format!("{options},noswap")) {
        Err(nix::errno::Errno::EINVAL) => with(options).map_err(io::Error::from),
        done => done.map_err(io::Error::from),
    }
}
