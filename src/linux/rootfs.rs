//! A container's root file system: an overlay of the image's layers with a fresh writable layer, built as a detached mount
//! that no namespace shows until the stage attaches it.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::syscall::{fsconfig_flag, fsconfig_string, fsmount, fsopen};

/// Size of the writable layer where the state directory's file system cannot hold one.
pub const TMPFS_SIZE: &str = "512m";

/// A root file system that is ready.
pub struct RootFs {
    /// The detached mount.
    pub mount: OwnedFd,
    /// What it is, for readers of the plan.
    pub about: String,
    /// The writable layer is in memory, for the notice.
    pub in_memory: bool,
}

/// Set once the state directory's file system has refused to be an upper layer.
static UPPER_REFUSED: AtomicBool = AtomicBool::new(false);
/// Set once the kernel has refused `lowerdir+` (before Linux 6.8).
static NO_APPEND: AtomicBool = AtomicBool::new(false);

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Makes a directory with these permission bits whatever the umask; there already is no error.
pub fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            }
            DirBuilder::new().mode(mode).create(path)
        }
        done => done,
    }
}

/// What the root file system of an instance is.
pub fn about(layers: usize, directory: &Path) -> String {
    format!("overlay of {layers} layer(s), volatile, detached; upper layer {}/upper", directory.display())
}

/// Builds the root file system of a new instance in `directory`.
pub fn build(layers: &[PathBuf], directory: &Path) -> io::Result<RootFs> {
    remove(directory)?;
    make_directory(directory, 0o700)?;
    if !UPPER_REFUSED.load(Ordering::Relaxed) {
        match overlay(layers, directory) {
            Ok(mount) => {
                return Ok(RootFs { mount, about: about(layers.len(), directory), in_memory: false });
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | libc::EREMOTE)) => {}
            Err(error) => return Err(error),
        }
    }
    // As inside a container, where / is an overlay itself: a tmpfs can always be an upper layer.
    let memory = directory.join("memory");
    make_directory(&memory, 0o700)?;
    let options = format!("mode=0700,size={TMPFS_SIZE}");
    mount(Some("tmpfs"), &memory, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options.as_str()))?;
    let mount = overlay(layers, &memory)?;
    UPPER_REFUSED.store(true, Ordering::Relaxed);
    let about = format!("overlay of {} layers, detached; upper layer in a tmpfs of {TMPFS_SIZE}", layers.len());
    Ok(RootFs { mount, about, in_memory: true })
}

fn overlay(layers: &[PathBuf], directory: &Path) -> io::Result<OwnedFd> {
    let (upper, work) = (directory.join("upper"), directory.join("work"));
    make_directory(&upper, 0o755)?;
    make_directory(&work, 0o700)?;
    let empty = directory.join("empty");
    let mut lower: Vec<&Path> = layers.iter().rev().map(PathBuf::as_path).collect();
    if lower.is_empty() {
        make_directory(&empty, 0o755)?;
        lower.push(&empty);
    }
    if !NO_APPEND.load(Ordering::Relaxed) {
        match configure(&lower, &upper, &work, true) {
            Ok(mount) => return Ok(mount),
            Err((true, error)) if error.raw_os_error() == Some(libc::EINVAL) => {
                NO_APPEND.store(true, Ordering::Relaxed)
            }
            Err((_, error)) => return Err(error),
        }
    }
    configure(&lower, &upper, &work, false).map_err(|(_, error)| error)
}

/// One attempt; an error says whether it was `lowerdir+` itself that was refused.
fn configure(lower: &[&Path], upper: &Path, work: &Path, append: bool) -> Result<OwnedFd, (bool, io::Error)> {
    let plain = |error: io::Error| (false, error);
    let context = fsopen(c"overlay").map_err(plain)?;
    let context = context.as_fd();
    // What mount(8) shows as the device.
    fsconfig_string(context, c"source", c"overlay").map_err(plain)?;
    if append {
        for layer in lower {
            fsconfig_string(context, c"lowerdir+", &c_path(layer).map_err(plain)?).map_err(|error| (true, error))?;
        }
    } else {
        // In the one string a colon separates layers and a backslash escapes.
        let mut joined: Vec<u8> = Vec::new();
        for (index, layer) in lower.iter().enumerate() {
            if index > 0 {
                joined.push(b':');
            }
            for byte in layer.as_os_str().as_bytes() {
                if matches!(byte, b':' | b'\\') {
                    joined.push(b'\\');
                }
                joined.push(*byte);
            }
        }
        let joined = CString::new(joined).map_err(|_| plain(io::Error::from_raw_os_error(libc::EINVAL)))?;
        fsconfig_string(context, c"lowerdir", &joined).map_err(plain)?;
    }
    fsconfig_string(context, c"upperdir", &c_path(upper).map_err(plain)?).map_err(plain)?;
    fsconfig_string(context, c"workdir", &c_path(work).map_err(plain)?).map_err(plain)?;
    // No sync when it goes: the layer is thrown away with its instance (and could not be used again).
    fsconfig_flag(context, c"volatile").map_err(plain)?;
    fsmount(context, 0).map_err(plain)
}

/// Removes what an instance's directory holds, mounts first. Gone already is no error.
pub fn remove(directory: &Path) -> io::Result<()> {
    let memory = directory.join("memory");
    if memory.exists() {
        // EINVAL: not mounted.
        let _ = umount2(&memory, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
