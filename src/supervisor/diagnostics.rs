//! The supervisor's own log: `supervisor.log` in the run directory, a line an event, put aside once at 1 MiB. Its level is
//! what `-v` or `PODLET_LOG` said at `apply`. Values that come from Secrets are never given to it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tracing::level_filters::LevelFilter;

use super::files::{self, Durability};
use super::orders::Orders;
use crate::event_lines::EventLines;
use crate::paths::Paths;

const MAXIMUM: u64 = 1024 * 1024;
/// What is kept of a pod that is over, of its earlier lives, too.
const KEPT: usize = 4 * 1024 * 1024;

/// Sends tracing's events to the log from here on. A log that cannot be written stops nothing.
pub fn begin(orders: &Orders) {
    let level = orders.choices.log_level.parse().unwrap_or(LevelFilter::INFO);
    let path = orders.paths.supervisor_log(&orders.uid);
    EventLines::begin(level, RotatingFile { path, file: None, length: 0 });
}

/// A file and one older part of it.
struct RotatingFile {
    path: PathBuf,
    file: Option<File>,
    length: u64,
}

impl RotatingFile {
    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_some() && self.length > MAXIMUM {
            std::fs::rename(&self.path, older(&self.path))?;
            self.file = None;
        }
        if self.file.is_none() {
            let file = File::options().append(true).create(true).mode(0o600).open(&self.path)?;
            self.length = file.metadata()?.len();
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("not open"))
    }
}

impl Write for RotatingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.open()?.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The part that was put aside.
fn older(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// All that there is of a supervisor's log, oldest first: of lives that are over, and of the one that goes on.
pub fn read(paths: &Paths, uid: &str) -> io::Result<Vec<u8>> {
    let live = paths.supervisor_log(uid);
    let mut kept = read_if_there(&paths.kept_supervisor_log(uid))?;
    let mut text = read_if_there(&older(&live))?;
    text.extend(read_if_there(&live)?);
    // Where a life's end was kept already, by a supervisor that was killed behind that: its lines come once.
    let first = text.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    if let Some(again) = memchr::memmem::find(&kept, first).filter(|_| !first.is_empty()) {
        kept.truncate(again);
    }
    kept.extend(text);
    Ok(kept)
}

/// Puts it where it outlives the run directory.
pub fn keep(paths: &Paths, uid: &str) -> io::Result<()> {
    let text = read(paths, uid)?;
    let mut last = text.get(text.len().saturating_sub(KEPT)..).unwrap_or_default();
    if last.len() < text.len() {
        let begin = memchr::memchr(b'\n', last).map_or(0, |end| end + 1);
        last = last.get(begin..).unwrap_or_default();
    }
    files::replace(&paths.kept_supervisor_log(uid), last, Durability::Process)
}

fn read_if_there(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => {
            read.map_err(|error| io::Error::new(error.kind(), format!("could not read {}: {error}", path.display())))
        }
    }
}

/// The end of a supervisor's log, for an error message of the command line.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_log_of_all_lives_is_kept_once() {
        let root = std::env::temp_dir().join(format!("podlet-diagnostics-{}", std::process::id()));
        let paths = Paths { run: root.join("run"), state: root.join("state"), logs: root.join("logs") };
        let live = paths.supervisor_log("u");
        for directory in [live.parent().unwrap(), &paths.history("u")] {
            std::fs::create_dir_all(directory).unwrap();
        }
        let all = || String::from_utf8(read(&paths, "u").unwrap()).unwrap();
        assert_eq!(all(), "");
        std::fs::write(older(&live), "1\n").unwrap();
        std::fs::write(&live, "2\n").unwrap();
        keep(&paths, "u").unwrap();
        // Killed behind that, and again.
        std::fs::write(&live, "2\n3\n").unwrap();
        assert_eq!(all(), "1\n2\n3\n");
        keep(&paths, "u").unwrap();
        // Another life.
        std::fs::remove_file(older(&live)).unwrap();
        std::fs::write(&live, "4\n").unwrap();
        assert_eq!(all(), "1\n2\n3\n4\n");
        std::fs::write(&live, format!("{}\n5\n", "x".repeat(KEPT - 3))).unwrap();
        keep(&paths, "u").unwrap();
        std::fs::remove_file(&live).unwrap();
        assert_eq!(all(), "5\n");
        std::fs::remove_dir_all(root).unwrap();
    }
}
