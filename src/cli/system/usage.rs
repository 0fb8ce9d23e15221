//! How much disk a directory takes, as du(1) counts it. Called by `system df`; changes nothing.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The bytes of all blocks below a path on its own file system; a file with several names counts once. What is not there, or
/// goes away meanwhile, takes nothing.
pub fn disk_usage(path: &Path) -> u64 {
    let Ok(root) = path.symlink_metadata() else { return 0 };
    let mut seen = HashSet::new();
    let mut left = vec![path.to_owned()];
    let mut bytes = 0;
    while let Some(path) = left.pop() {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        // What is mounted below (a volume in memory, a root file system) lies elsewhere.
        if metadata.dev() != root.dev() || (metadata.nlink() > 1 && !metadata.is_dir() && !seen.insert(metadata.ino()))
        {
            continue;
        }
        // st_blocks is in units of 512 bytes whatever the file system (stat(2)).
        bytes += metadata.blocks() * 512;
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    bytes
}
