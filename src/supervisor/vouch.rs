//! Whether what is published of a pod, `kept.json`, is how the pod is now: then a look at it is the read of a file, and
//! hundreds of pods can be looked at without waking or asking anybody.
//!
//! Two say so, each by a file in the run directory that it holds locked: an awake supervisor by `current`, from each
//! publication to the next change; of a sleeping one ([`super::sleep`]) the keeper by `asleep`. A lock ends with its holder, so a
//! file without a lock means nothing, and none has to be cleared up.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::paths::Paths;

/// Whether the pod's supervisor sleeps, so that what it has published is how the pod is. Wakes nobody.
pub fn is_asleep(paths: &Paths, uid: &str) -> bool {
    is_vouched_for(&paths.asleep(uid))
}

/// Whether what is published of a pod is how it is. Asks nobody. It is to be read after this, not before: what is read then is
/// as new as this answer, or newer.
pub fn is_current(paths: &Paths, uid: &str) -> bool {
    is_vouched_for(&paths.current(uid)) || is_asleep(paths, uid)
}

fn is_vouched_for(path: &Path) -> bool {
    // The lock is only looked at: were it taken, another one who looks would see it.
    File::open(path).is_ok_and(|file| is_locked(file.as_fd()))
}

/// What is asked of and told about a lock of a whole file (fcntl(2), open file description locks).
fn whole_file(kind: i32) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 }
}

fn is_locked(file: BorrowedFd<'_>) -> bool {
    let mut lock = whole_file(libc::F_WRLCK);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).is_ok() && lock.l_type != libc::F_UNLCK as i16
}

/// A file whose lock says something. The lock is that of the descriptor: it lasts as long as somebody has it open.
#[derive(Debug)]
pub struct Mark(File);

impl Mark {
    /// Makes the file, empty, without the lock.
    pub fn make(path: &Path) -> io::Result<Mark> {
        Ok(Mark(File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?))
    }

    /// Takes the lock.
    pub fn lock(&self) -> io::Result<()> {
        fcntl(&self.0, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK)))?;
        Ok(())
    }

    /// Gives it up; nothing happens when it is not held.
    pub fn unlock(&self) -> io::Result<()> {
        fcntl(&self.0, FcntlArg::F_OFD_SETLK(&whole_file(libc::F_UNLCK)))?;
        Ok(())
    }

    /// The file, to be written to or handed on with its lock.
    pub fn into_file(self) -> File {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_mark_says_something_while_it_is_locked_and_its_holder_is_there() {
        let path = std::env::temp_dir().join(format!("podlet-vouch-{}", std::process::id()));
        assert!(!is_vouched_for(&path));
        let mark = Mark::make(&path).unwrap();
        assert!(!is_vouched_for(&path));
        mark.lock().unwrap();
        assert!(is_vouched_for(&path) && is_vouched_for(&path));
        mark.unlock().unwrap();
        assert!(!is_vouched_for(&path));
        mark.lock().unwrap();
        // As after SIGKILL: the file is there, its holder is not; and the next one takes it over.
        drop(mark);
        assert!(!is_vouched_for(&path));
        let next = Mark::make(&path).unwrap();
        next.lock().unwrap();
        assert!(is_vouched_for(&path));
        std::fs::remove_file(&path).unwrap();
    }
}
