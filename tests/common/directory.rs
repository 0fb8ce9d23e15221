//! A directory of a test's own: `#[path = "common/directory.rs"] mod directory;`.
//!
//! It lies below the build's own directory: what comes and goes in /tmp would be taken for what another test, which looks
//! at the whole host at that moment (`residue.rs`), has left.

#![allow(dead_code, reason = "not every test writes files")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// It goes with the test.
pub struct Directory(pub PathBuf);

impl Directory {
    /// Made, under a name that no other test has.
    pub fn new(name: &str) -> Directory {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    /// Writes a file in it, and answers where.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
