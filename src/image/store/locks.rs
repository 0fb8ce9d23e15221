//! The store's locks: of whoever changes it, and of whoever fetches a layer.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};

use crate::image::document::Digest;
use crate::image::files::{io_error, make_directories};
use crate::image::{ImageError, Store};

/// The right to fetch a layer, until it is dropped.
#[derive(Debug)]
pub struct LayerLock {
    diff_id: Digest,
    path: PathBuf,
    _file: Flock<File>,
}

impl LayerLock {
    /// Of which layer.
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }
}

impl Drop for LayerLock {
    fn drop(&mut self) {
        // Whoever waits for this file finds that the name leads to another one by then, and begins anew.
        let _ = fs::remove_file(&self.path);
    }
}

impl Store {
    /// Waits for the right to fetch each of these layers; other processes that fetch one of them are done with it then. All take
    /// their locks in the same order, so that no two wait for each other. `ended` says that nobody wants to wait any more.
    pub(in crate::image) fn lock_layers(
        &self,
        layers: &[Digest],
        ended: impl Fn() -> bool,
    ) -> Result<Vec<LayerLock>, ImageError> {
        /// How often a lock that another process holds is tried.
        const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
        let directory = self.root.join("locks");
        make_directories(&directory)?;
        let layers: std::collections::BTreeSet<&Digest> = layers.iter().collect();
        let mut held = Vec::new();
        for diff_id in layers {
            let path = directory.join(diff_id.hex());
            loop {
                let failed = |error: &io::Error| io_error("lock", &path, error);
                let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
                match Flock::lock(file.map_err(|e| failed(&e))?, FlockArg::LockExclusiveNonblock) {
                    Ok(file) => {
                        let own = file.metadata().map_err(|e| failed(&e))?.ino();
                        // Its last holder may have removed the file between our opening and our locking it.
                        if fs::metadata(&path).is_ok_and(|named| named.ino() == own) {
                            held.push(LayerLock { diff_id: diff_id.clone(), path, _file: file });
                            break;
                        }
                    }
                    Err((_, nix::errno::Errno::EWOULDBLOCK)) if ended() => {
                        return Err(ImageError::Pull("the pull was ended".to_owned()));
                    }
                    Err((_, nix::errno::Errno::EWOULDBLOCK)) => std::thread::sleep(PAUSE),
                    Err((_, errno)) => return Err(failed(&errno.into())),
                }
            }
        }
        Ok(held)
    }

    /// Makes the store if need be, and waits for the right to change it.
    pub(in crate::image) fn lock(&self) -> Result<Flock<File>, ImageError> {
        for directory in ["blobs/sha256", "layers", "names", "tmp"] {
            make_directories(&self.root.join(directory))?;
        }
        // Who else may write here chooses what containers run as root.
        let root = fs::symlink_metadata(&self.root).map_err(|error| io_error("look at", &self.root, &error))?;
        if !root.is_dir() || root.uid() != nix::unistd::geteuid().as_raw() || root.mode() & 0o022 != 0 {
            return Err(ImageError::Unreadable(format!(
                "the image store {:?} should be a directory that only its owner {} may write to; it is owned by {} and has the mode {:o}",
                self.root,
                nix::unistd::geteuid(),
                root.uid(),
                root.mode() & 0o7777
            )));
        }
        let path = self.root.join("lock");
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|error| io_error("open", &path, &error))?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| io_error("lock", &path, &errno.into()))
    }
}
