//! A container's root file system: an overlay of the image's layers with a fresh writable layer, built as a detached mount
//! that no namespace shows until the stage attaches it.

use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
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
/// Set once the kernel has refused `lowerdir+` (before Linux 6.5).
static NO_APPEND: AtomicBool = AtomicBool::new(false);

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Makes a directory with these permission bits whatever the umask; there already is no error, something else in its place is.
pub fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if path.symlink_metadata().is_ok_and(|found| found.is_dir()) { Ok(()) } else { Err(error) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            }
            DirBuilder::new().mode(mode).create(path)
        }
        done => done,
    }
}

/// What the root file system of an instance is. So many layers with [`mount_points`].
pub fn about(layers: usize, directory: &Path) -> String {
    let upper = directory.join("upper");
    format!(
        "overlay of {layers} layers, the lowest of mount points, volatile, detached; upper layer {}",
        upper.display()
    )
}

/// What every container has something mounted on.
const MOUNTED_ON: [(&str, &[&str]); 4] =
    [("proc", &[]), ("sys", &[]), ("dev", &[]), ("etc", &["hosts", "hostname", "resolv.conf"])];

/// The lowest layer of every container, made once: empty mount points. Whatever an image has at these places lies over it, so
/// it shows only where an image has none, and need not be made there anew for each instance.
pub fn mount_points(place: &Path) -> io::Result<PathBuf> {
    // Made in this order: where the last one is they all are.
    if place.join("etc/resolv.conf").symlink_metadata().is_err() {
        for (directory, files) in MOUNTED_ON {
            make_directory(place, 0o755)?;
            make_directory(&place.join(directory), 0o755)?;
            for file in files {
                let path = place.join(directory).join(file);
                fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(path)?;
            }
        }
    }
    Ok(place.to_owned())
}

/// Builds the root file system of a new instance in `directory`.
pub fn build(layers: &[PathBuf], directory: &Path) -> io::Result<RootFs> {
    build_unless(&UPPER_REFUSED, layers, directory)
}

fn build_unless(upper_refused: &AtomicBool, layers: &[PathBuf], directory: &Path) -> io::Result<RootFs> {
    remove(directory)?;
    make_directory(directory, 0o700)?;
    if !upper_refused.load(Ordering::Relaxed) {
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
    upper_refused.store(true, Ordering::Relaxed);
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
    // Overlayfs takes a backslash in a path for an escape; by their descriptors directories have none.
    let escapes = |path: &Path| path.as_os_str().as_bytes().contains(&b'\\');
    let escaped = lower.iter().copied().chain([upper.as_path(), work.as_path()]).any(escapes);
    if escaped || NO_APPEND.load(Ordering::Relaxed) {
        return configure_in_one(&lower, &upper, &work);
    }
    match configure(&lower, &upper, &work) {
        // Before Linux 6.5 a file system's options were looked at as late as at its creation, so that this EINVAL may be
        // about `lowerdir+` as well as about the upper layer.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let mount = configure_in_one(&lower, &upper, &work)?;
            NO_APPEND.store(true, Ordering::Relaxed);
            Ok(mount)
        }
        done => done,
    }
}

fn begin() -> io::Result<OwnedFd> {
    let context = fsopen(c"overlay")?;
    // What mount(8) shows as the device.
    fsconfig_string(context.as_fd(), c"source", c"overlay")?;
    Ok(context)
}

fn finish(context: &OwnedFd, upper: &CStr, work: &CStr) -> io::Result<OwnedFd> {
    let context = context.as_fd();
    fsconfig_string(context, c"upperdir", upper)?;
    fsconfig_string(context, c"workdir", work)?;
    // No sync when it goes: the layer is thrown away with its instance (and could not be used again).
    fsconfig_flag(context, c"volatile")?;
    fsmount(context, 0)
}

/// Layer by layer, Linux 6.5.
fn configure(lower: &[&Path], upper: &Path, work: &Path) -> io::Result<OwnedFd> {
    let context = begin()?;
    for layer in lower {
        fsconfig_string(context.as_fd(), c"lowerdir+", &c_path(layer)?)?;
    }
    finish(&context, &c_path(upper)?, &c_path(work)?)
}

/// All layers in one string, as before. It is bounded by a page and cannot hold a comma, so each is named by an open
/// descriptor, whatever its path.
fn configure_in_one(lower: &[&Path], upper: &Path, work: &Path) -> io::Result<OwnedFd> {
    let open = |path: &Path| {
        fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(path).map(OwnedFd::from)
    };
    let name = |layer: &OwnedFd| format!("/proc/self/fd/{}", layer.as_raw_fd());
    let text = |text: String| CString::new(text).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
    let layers = lower.iter().map(|layer| open(layer)).collect::<io::Result<Vec<_>>>()?;
    let (upper, work) = (open(upper)?, open(work)?);
    let context = begin()?;
    let joined = layers.iter().map(name).collect::<Vec<_>>().join(":");
    fsconfig_string(context.as_fd(), c"lowerdir", &text(joined)?)?;
    finish(&context, &text(name(&upper))?, &text(name(&work))?)
}

/// Where the upper layer in an instance's directory is, unless it is in memory.
pub fn layer_on_disk(directory: &Path) -> PathBuf {
    directory.join("upper")
}

/// The upper layer in an instance's directory, as a layer for another one.
pub fn layer_left(directory: &Path) -> Option<PathBuf> {
    [directory.join("upper"), directory.join("memory/upper")].into_iter().find(|upper| upper.is_dir())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// An empty tmpfs in a mount namespace of this thread's own.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            // SAFETY: unshares this thread's mount namespace and its file system attributes; no pointers.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNS) }, 0, "this test needs root");
            let none: Option<&str> = None;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
            let root = std::env::temp_dir().join(format!("podlet-rootfs-{}-{name}", std::process::id()));
            make_directory(&root, 0o755).unwrap();
            mount(Some("tmpfs"), &root, Some("tmpfs"), MsFlags::empty(), none).unwrap();
            Place(root)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = umount2(&self.0, MntFlags::MNT_DETACH);
            let _ = fs::remove_dir(&self.0);
        }
    }

    #[test]
    fn a_writable_layer_in_memory_where_the_state_directory_cannot_hold_one() {
        let place = Place::new("upper");
        for name in ["layer", "below", "upper", "work", "state"] {
            fs::create_dir(place.0.join(name)).unwrap();
        }
        fs::write(place.0.join("layer/file"), "image").unwrap();
        // An overlay cannot be the upper layer of another.
        let path = |name: &str| place.0.join(name).display().to_string();
        let options = format!("lowerdir={},upperdir={},workdir={}", path("below"), path("upper"), path("work"));
        let state = place.0.join("state");
        mount(Some("overlay"), &state, Some("overlay"), MsFlags::empty(), Some(options.as_str())).unwrap();
        let (refused, directory) = (AtomicBool::new(false), state.join("c"));
        for _ in 0..2 {
            let root = build_unless(&refused, &[place.0.join("layer")], &directory).unwrap();
            assert!(root.in_memory && root.about.contains("in a tmpfs of 512m"), "{}", root.about);
            assert!(refused.load(Ordering::Relaxed));
            let file = PathBuf::from(format!("/proc/self/fd/{}/file", root.mount.as_raw_fd()));
            assert_eq!(fs::read_to_string(&file).unwrap(), "image");
            fs::write(&file, "written").unwrap();
            assert_eq!(fs::read_to_string(place.0.join("layer/file")).unwrap(), "image");
        }
        remove(&directory).unwrap();
        assert!(!directory.exists());
        umount2(&state, MntFlags::MNT_DETACH).unwrap();
    }

    #[test]
    fn layers_in_one_string_whatever_their_names() {
        let place = Place::new("names");
        let root = &place.0;
        let layer = |name: &str| {
            fs::create_dir(root.join(name)).unwrap();
            fs::write(root.join(name).join("file"), name).unwrap();
            root.join(name)
        };
        let (below, above) = (layer("a:b,c\\d"), layer("top"));
        for name in ["upper", "work"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let made = configure_in_one(&[&above, &below], &root.join("upper"), &root.join("work")).unwrap();
        let seen = fs::read_to_string(format!("/proc/self/fd/{}/file", made.as_raw_fd()));
        drop(made);
        assert_eq!(seen.unwrap(), "top");
        let directory = root.join("state\\of");
        fs::create_dir(&directory).unwrap();
        let made = overlay(&[below, above], &directory).unwrap();
        let seen = fs::read_to_string(format!("/proc/self/fd/{}/file", made.as_raw_fd()));
        drop(made);
        assert_eq!(seen.unwrap(), "top");
    }
}
