//! Removes the trees that an image's archive made.
//!
//! Called while a layer is unpacked, when an entry takes the place of a directory, and by the store and its
//! [`super::stage`] for layers and what crashed writers left. Never leaves the tree: no link is followed.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::node::open_directory;

/// Removes a directory and all below it without following any link.
///
/// How deep a tree is is the archive's choice (through its own links deeper than PATH_MAX), so nothing here recurses or
/// holds a descriptor a level: each directory's directories are moved up to the top one and wait there for their turn.
pub fn remove_tree(parent: &impl AsFd, name: &OsStr) -> nix::Result<()> {
    let top = open_directory(parent, name)?;
    let mut moved = 0u64;
    let mut more = true;
    while more {
        more = false;
        for child in names(&top)? {
            if unlink_file(&top, &child)? {
                continue;
            }
            let directory = open_directory(&top, &child)?;
            for item in names(&directory)? {
                while !unlink_file(&directory, &item)? {
                    moved += 1;
                    more = true;
                    match renameat(&directory, item.as_os_str(), &top, format!(".{moved}").as_str()) {
                        Ok(()) => break,
                        // The name is taken; the next one.
                        Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
                        Err(errno) => return Err(errno),
                    }
                }
            }
            unlinkat(&top, child.as_os_str(), UnlinkatFlags::RemoveDir)?;
        }
    }
    unlinkat(parent, name, UnlinkatFlags::RemoveDir)
}

/// False: it is a directory.
fn unlink_file(directory: &OwnedFd, name: &OsStr) -> nix::Result<bool> {
    match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::EISDIR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn names(directory: &OwnedFd) -> nix::Result<Vec<OsString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut listing = nix::dir::Dir::openat(directory, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for item in listing.iter() {
        let item = item?;
        let bytes = item.file_name().to_bytes();
        if bytes != b"." && bytes != b".." {
            names.push(OsString::from_vec(bytes.to_vec()));
        }
    }
    Ok(names)
}
