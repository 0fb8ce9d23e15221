//! Waiting for something to be made, replaced or removed in directories, some of which are not there yet: names of pods,
//! stored objects, kept states, log files. By inotify(7), which tells nothing about what was before: look after watching.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::Failure;

/// Directories (and files) under watch.
pub struct Directories {
    inotify: Inotify,
}

impl Directories {
    /// None yet.
    pub fn new() -> Result<Directories, Failure> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).map_err(|errno| {
            let hint = if errno == Errno::EMFILE { "; fs.inotify.max_user_instances limits it" } else { "" };
            Failure::Error(format!("could not watch directories (inotify_init1): {}{hint}", io::Error::from(errno)))
        })?;
        Ok(Directories { inotify })
    }

    /// Watches a directory's entries; where it is not there yet, the nearest one above it: call again after each
    /// [`Directories::drain`]. Watching twice is watching once.
    pub fn watch(&self, directory: &Path) -> Result<(), Failure> {
        let changes = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        for candidate in directory.ancestors().filter(|path| !path.as_os_str().is_empty()) {
            match self.inotify.add_watch(candidate, changes) {
                Ok(_) => {
                    // What lies between may have been made just now, before there was a watch.
                    let below = directory.ancestors().take_while(|path| *path != candidate).last();
                    if below.is_some_and(Path::exists) {
                        return self.watch(directory);
                    }
                    return Ok(());
                }
                Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(errno) => return Err(watch_error(candidate, errno)),
            }
        }
        Ok(())
    }

    /// Watches what is written to one file, whatever its name will be. A file that has gone is no error.
    pub fn watch_writes(&self, file: &Path) -> Result<(), Failure> {
        match self.inotify.add_watch(file, AddWatchFlags::IN_MODIFY) {
            Ok(_) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(watch_error(file, errno)),
        }
    }

    /// Takes what was told; says whether anything was.
    pub fn drain(&self) -> bool {
        let mut told = false;
        loop {
            match self.inotify.read_events() {
                Ok(events) if events.is_empty() => return told,
                Ok(_) => told = true,
                Err(Errno::EINTR) => {}
                Err(_) => return told,
            }
        }
    }
}

impl AsFd for Directories {
    /// For poll(2): readable when something has happened.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

fn watch_error(path: &Path, errno: Errno) -> Failure {
    let hint = if errno == Errno::ENOSPC { "; fs.inotify.max_user_watches limits it" } else { "" };
    Failure::Error(format!("could not watch {} (inotify_add_watch): {}{hint}", path.display(), io::Error::from(errno)))
}
