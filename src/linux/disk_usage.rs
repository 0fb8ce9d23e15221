//! How many bytes lie beneath a directory on its disk: what `du -x` says, for the limits of a pod's storage and for
//! `system df`. A container may write there meanwhile, and what it writes may be made to mislead: no link is followed, no
//! other file system entered, nothing read but directories, and neither the depth nor the number of names costs memory or
//! descriptors without a bound.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use nix::dir::{Dir, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, fstat, fstatat, lstat};

/// So many directories within each other are gone into, each with a descriptor; what lies deeper does not count.
const DEEPEST: usize = 256;
/// `st_blocks` counts these, whatever the file system's own are (stat(2)).
const BLOCK: u64 = 512;

const HOW: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC)
    // Neither a pipe nor a device is ever opened; should one take a directory's place, it is not waited for.
    .union(OFlag::O_NONBLOCK);

/// Bytes allocated beneath a directory, its own included, or those of a file; 0 where there is neither. A file that goes or
/// comes meanwhile counts or does not; one of several names counts once, if all of them are here. What is deleted and still
/// open is not seen.
pub fn allocated(root: &Path) -> io::Result<u64> {
    let root = match Dir::open(root, HOW, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(0),
        Err(Errno::ENOTDIR) => match lstat(root)? {
            file if file.st_mode & libc::S_IFMT == libc::S_IFREG => return Ok(share(&file)),
            _ => return Err(Errno::ENOTDIR.into()),
        },
        opened => opened?,
    };
    let own = fstat(root.as_fd())?;
    let device = own.st_dev;
    let mut bytes = share(&own);
    let mut path = vec![root.into_iter()];
    loop {
        let depth = path.len();
        let Some(entries) = path.last_mut() else { return Ok(bytes) };
        let entry = match entries.next() {
            None | Some(Err(Errno::ENOENT)) => {
                path.pop();
                continue;
            }
            Some(entry) => entry?,
        };
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let found = match fstatat(descriptor(entries), name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => continue,
            found => found?,
        };
        if found.st_dev != device {
            continue;
        }
        bytes = bytes.saturating_add(share(&found));
        if found.st_mode & libc::S_IFMT == libc::S_IFDIR && depth < DEEPEST {
            match Dir::openat(descriptor(entries), name, HOW, Mode::empty()) {
                Ok(below) => path.push(below.into_iter()),
                // Gone, or something else by now.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

fn descriptor(entries: &OwningIter) -> BorrowedFd<'_> {
    // SAFETY: the iterator owns the descriptor, and is borrowed for as long as the answer is.
    unsafe { BorrowedFd::borrow_raw(entries.as_raw_fd()) }
}

/// What one name of a file counts: its bytes, divided among its names. So none need be remembered.
#[allow(clippy::useless_conversion, reason = "the number of links has 64 bits on x86-64 and 32 on aarch64")]
fn share(found: &FileStat) -> u64 {
    let bytes = u64::try_from(found.st_blocks).unwrap_or(0).saturating_mul(BLOCK);
    let is_directory = found.st_mode & libc::S_IFMT == libc::S_IFDIR;
    // A directory's links are its subdirectories.
    if is_directory { bytes } else { bytes / u64::try_from(found.st_nlink).unwrap_or(1).max(1) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let root = std::env::temp_dir().join(format!("podlet-disk-usage-{name}-{}", std::process::id()));
            fs::create_dir(&root).unwrap();
            Place(root)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// So much, and not more than what directories and a file system's own blocks add.
    fn about(found: u64, expected: u64) -> bool {
        (expected..expected + 256 * 1024).contains(&found)
    }

    #[test]
    fn what_is_written_counts_and_each_file_once() {
        let place = Place::new("files");
        let root = &place.0;
        assert_eq!(allocated(&root.join("none")).unwrap(), 0);
        let empty = allocated(root).unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/one"), vec![1_u8; 1 << 20]).unwrap();
        fs::hard_link(root.join("a/b/one"), root.join("two")).unwrap();
        assert!(about(allocated(root).unwrap() - empty, 1 << 20));
        // A hole takes nothing.
        fs::File::create(root.join("sparse")).unwrap().set_len(1 << 40).unwrap();
        assert!(about(allocated(root).unwrap() - empty, 1 << 20));
    }

    #[test]
    fn links_and_other_file_systems_lead_nowhere() {
        let place = Place::new("links");
        let (root, other) = (place.0.join("root"), place.0.join("other"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("big"), vec![1_u8; 4 << 20]).unwrap();
        for (name, to) in [("file", "../other/big"), ("directory", "../other"), ("self", "."), ("proc", "/proc")] {
            symlink(to, root.join(name)).unwrap();
        }
        assert!(about(allocated(&root).unwrap(), 0));
        // The root itself may be no link, but a file.
        assert!(allocated(&root.join("directory")).is_err() && allocated(&root.join("file")).is_err());
        assert!(about(allocated(&other.join("big")).unwrap(), 4 << 20));
        // /dev/pts, /dev/shm and the like are other file systems than /dev.
        assert!(allocated(Path::new("/dev")).is_ok());
    }

    #[test]
    fn neither_depth_nor_breadth_is_without_a_bound() {
        let place = Place::new("deep");
        let mut deep = place.0.clone();
        for _ in 0..DEEPEST + 50 {
            deep.push("d");
        }
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("unseen"), vec![1_u8; 4 << 20]).unwrap();
        fs::write(place.0.join("d/d/seen"), vec![1_u8; 1 << 20]).unwrap();
        let found = allocated(&place.0).unwrap();
        assert!(((1 << 20)..(4 << 20)).contains(&found), "{found}");
    }
}
