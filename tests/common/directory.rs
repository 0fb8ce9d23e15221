//! A directory of a test's own: `#[path = "common/directory.rs"] mod directory;`.

use std::path::PathBuf;

/// It goes with the test.
pub struct Directory(pub PathBuf);

impl Directory {
    /// Made, under a name that no other test has.
    pub fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("podlet-{name}-{}", std::process::id()));
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
