//! What a layer stands on: the layers below it, seen as overlayfs will show them.
//!
//! An archive may speak of what is not in it: it leaves out the directories above its files, whose owner and mode are then
//! those that lower layers give them (containerd's `mkparent`), or it links to a file of a lower layer. Called by
//! [`super::unpack`], which waits here until the lower layers are in place. Every component is opened by itself and without
//! following: a link is read, and walked within the root.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, readlinkat};
use nix::sys::stat::{FileStat, SFlag, fstatat};
use xattr::FileExt;

use super::ImageError;
use super::files::io_error;
use super::node::{is_directory, is_whiteout, kind_of, open_directory};

/// Components that one path may have with all links on its way; a chain of links could have them without end.
const STEPS_MAX: u32 = 10_000;

/// The lower layers of one that is being unpacked.
pub struct Below<'a> {
    /// Waits for them: their directories, lowest first.
    wait: &'a (dyn Fn() -> Result<Vec<PathBuf>, ImageError> + 'a),
    /// Topmost first, once somebody has asked.
    roots: Option<Vec<OwnedFd>>,
}

/// A name as the layers together have it.
#[derive(Debug)]
pub struct Found {
    /// The directory that has it in the topmost layer which has it.
    pub parent: OwnedFd,
    /// Its name there.
    pub name: OsString,
    /// What it is.
    pub stat: FileStat,
}

impl<'a> Below<'a> {
    /// Asks for nothing yet.
    pub fn new(wait: &'a dyn Fn() -> Result<Vec<PathBuf>, ImageError>) -> Below<'a> {
        Below { wait, roots: None }
    }

    /// What `layer` and those below it together have under a path. The last component is not followed.
    pub fn find(&mut self, layer: &OwnedFd, path: &Path) -> Result<Option<Found>, ImageError> {
        let lower = self.roots()?;
        let roots: Vec<&OwnedFd> = [layer].into_iter().chain(lower).collect();
        look_up(&roots, path).map_err(|errno| failure(path, errno))
    }

    /// The same without the layer itself.
    pub fn find_lower(&mut self, path: &Path) -> Result<Option<Found>, ImageError> {
        let roots: Vec<&OwnedFd> = self.roots()?.iter().collect();
        look_up(&roots, path).map_err(|errno| failure(path, errno))
    }

    fn roots(&mut self) -> Result<&[OwnedFd], ImageError> {
        let roots = match self.roots.take() {
            Some(roots) => roots,
            None => {
                let open = |path: &PathBuf| {
                    File::open(path).map(OwnedFd::from).map_err(|error| io_error("open", path, &error))
                };
                (self.wait)()?.iter().rev().map(open).collect::<Result<_, _>>()?
            }
        };
        Ok(self.roots.insert(roots))
    }
}

fn failure(path: &Path, errno: Errno) -> ImageError {
    ImageError::Unreadable(format!("could not look at {path:?} in the lower layers: {}", errno.desc()))
}

/// `None`: it is not there, or hidden.
fn look_up(roots: &[&OwnedFd], path: &Path) -> nix::Result<Option<Found>> {
    let at_root = || roots.iter().map(|root| open_directory(root, OsStr::new("."))).collect::<nix::Result<Vec<_>>>();
    let mut here = at_root()?;
    let mut so_far: Vec<OsString> = Vec::new();
    let mut to_go: VecDeque<OsString> = path.iter().map(OsStr::to_owned).collect();
    let mut steps = 0;
    while let Some(part) = to_go.pop_front() {
        steps += 1;
        if steps > STEPS_MAX {
            return Err(Errno::ELOOP);
        }
        match part.as_bytes() {
            b"" | b"." | b"/" => continue,
            b".." => {
                // Walked anew instead of holding each directory on the way: these are plain directories.
                so_far.pop();
                here = at_root()?;
                for part in std::mem::take(&mut so_far).into_iter().rev() {
                    to_go.push_front(part);
                }
                continue;
            }
            _ => {}
        }
        let Some(found) = step(&here, &part)? else { return Ok(None) };
        if to_go.is_empty() {
            return Ok(Some(found));
        }
        if is_directory(&found.stat) {
            here = directories(&here, &part)?;
            so_far.push(part);
        } else if is_link(&found.stat) {
            let target = PathBuf::from(readlinkat(&found.parent, found.name.as_os_str())?);
            if target.has_root() {
                here = at_root()?;
                so_far.clear();
            }
            for part in target.iter().collect::<Vec<_>>().into_iter().rev() {
                to_go.push_front(part.to_owned());
            }
        } else {
            return Ok(None);
        }
    }
    Ok(None)
}

/// The topmost thing of that name.
fn step(here: &[OwnedFd], name: &OsStr) -> nix::Result<Option<Found>> {
    for directory in here {
        match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) if is_whiteout(&stat) => return Ok(None),
            Ok(stat) => {
                let parent = open_directory(directory, OsStr::new("."))?;
                return Ok(Some(Found { parent, name: name.to_owned(), stat }));
            }
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(None)
}

/// The directories that overlayfs merges under this name: down to the first that is opaque, or that something else hides.
fn directories(here: &[OwnedFd], name: &OsStr) -> nix::Result<Vec<OwnedFd>> {
    let mut merged = Vec::new();
    for directory in here {
        match open_directory(directory, name) {
            Ok(found) => {
                let found = File::from(found);
                let opaque = found.get_xattr("trusted.overlay.opaque").is_ok_and(|value| value.is_some());
                merged.push(OwnedFd::from(found));
                if opaque {
                    break;
                }
            }
            Err(Errno::ENOENT) => {}
            // O_DIRECTORY with O_NOFOLLOW on a link or a file.
            Err(Errno::ENOTDIR | Errno::ELOOP) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(merged)
}

fn is_link(stat: &FileStat) -> bool {
    kind_of(stat) == SFlag::S_IFLNK
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_walked_within_the_layers() {
        let root = std::env::temp_dir().join(format!("podlet-below-{}", std::process::id()));
        let (top, bottom) = (root.join("top"), root.join("bottom"));
        for directory in [top.join("a"), bottom.join("usr/bin"), bottom.join("a")] {
            std::fs::create_dir_all(directory).unwrap();
        }
        std::fs::write(bottom.join("usr/bin/sh"), "sh").unwrap();
        std::fs::write(bottom.join("a/low"), "low").unwrap();
        std::fs::write(top.join("a/high"), "high").unwrap();
        symlink("/usr/bin", bottom.join("bin")).unwrap();
        symlink("../../../../bin/../bin", top.join("up")).unwrap();
        symlink("loop", top.join("loop")).unwrap();
        let open = |path: &Path| OwnedFd::from(File::open(path).unwrap());
        let (top, bottom) = (open(&top), open(&bottom));
        let find = |path: &str| look_up(&[&top, &bottom], Path::new(path));
        for path in ["usr/bin/sh", "bin/sh", "up/sh", "a/low", "a/high", "/bin/../bin/sh"] {
            assert_eq!(find(path).unwrap().unwrap().stat.st_nlink, 1, "{path}");
        }
        // The last one itself, not where it leads.
        assert!(is_link(&find("bin").unwrap().unwrap().stat));
        for path in ["", "nothing", "a/nothing", "a/low/x", "up/../etc"] {
            assert!(find(path).unwrap().is_none(), "{path}");
        }
        assert_eq!(find("loop/x").unwrap_err(), Errno::ELOOP);
        std::fs::remove_dir_all(root).unwrap();
    }
}
