//! The supervisor's own log: `supervisor.log` in the run directory, a line an event, put aside once at 1 MiB. Its level is
//! what `-v` or `PODLET_LOG` said at `apply`. Values that come from Secrets are never given to it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Mutex;

use tracing_subscriber::filter::LevelFilter;

use super::launch::Orders;

const MAXIMUM: u64 = 1024 * 1024;

/// Sends tracing's events to the log from here on. A log that cannot be written stops nothing.
pub fn begin(orders: &Orders) {
    let level = orders.choices.log_level.parse().unwrap_or(LevelFilter::INFO);
    let path = orders.paths.supervisor_log(&orders.uid);
    let writer = Mutex::new(RotatingFile { path, file: None, length: 0 });
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_target(false)
        .with_writer(writer)
        .finish();
    // Fails only where one is set already, in a test.
    let _ = tracing::subscriber::set_global_default(subscriber);
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
            let mut older = self.path.clone().into_os_string();
            older.push(".1");
            std::fs::rename(&self.path, older)?;
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

/// The end of a supervisor's log, for an error message of the command line.
pub fn tail(path: &std::path::Path, lines: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}
