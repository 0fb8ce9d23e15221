//! Points at which a test has the supervisor killed (`apply --fault-point=NAME:N`, hidden): the Nth time that it comes to
//! the point NAME it sends itself SIGKILL, once. Always compiled in, never active unless asked for: what is tested is the
//! program that is used.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pod::input::Fact;

/// A place between two steps of the crash-only protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The machine has decided; nothing of it is in the journal.
    Decided,
    /// It is in the journal; no effect was begun.
    Journalled,
    /// The descriptors of a start are held by the keeper; the process is not asked for.
    Held,
    /// The process is asked for; nobody has heard of it.
    Asked,
    /// A report of the keeper's was looked at; it is not in the journal.
    Peeked,
    /// It is in the journal and still in the keeper's queue.
    Told,
    /// It is taken; the keeper has not been told to forget the child.
    Taken,
    /// A signal was sent; that is not in the journal.
    Signalled,
    /// A new snapshot has its name; the segment after it does not exist.
    Snapshotted,
    /// The pod's cgroups, mounts and volumes are gone; the machine does not know.
    TornDown,
    /// The final status is kept; the supervisor has not ended.
    Published,
}

impl Point {
    /// All of them.
    pub const ALL: [Point; 11] = [
        Point::Decided,
        Point::Journalled,
        Point::Held,
        Point::Asked,
        Point::Peeked,
        Point::Told,
        Point::Taken,
        Point::Signalled,
        Point::Snapshotted,
        Point::TornDown,
        Point::Published,
    ];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Point::Decided => "decided",
            Point::Journalled => "journalled",
            Point::Held => "held",
            Point::Asked => "asked",
            Point::Peeked => "peeked",
            Point::Told => "told",
            Point::Taken => "taken",
            Point::Signalled => "signalled",
            Point::Snapshotted => "snapshotted",
            Point::TornDown => "torn-down",
            Point::Published => "published",
        }
    }
}

struct Armed {
    point: Point,
    left: AtomicU32,
    /// Made just before the kill: the next supervisor finds it and lives.
    fired: PathBuf,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Reads `NAME:N`; what is wrong with it is said in words for the user.
pub fn parse(text: &str) -> Result<(Point, u32), String> {
    let (name, count) = text.split_once(':').unwrap_or((text, "1"));
    let names = || Point::ALL.map(Point::name).join(", ");
    let point = Point::ALL.into_iter().find(|point| point.name() == name);
    let count = count.parse().ok().filter(|count| *count > 0);
    point
        .zip(count)
        .ok_or_else(|| format!("--fault-point={text}: expected NAME:N with N from 1 and NAME one of {}", names()))
}

/// Makes the point active for this process, unless it has done its work already, which a file in the pod's kept state tells:
/// it stays when the pod has ended.
pub fn arm(text: &str, directory: &Path) {
    let fired = directory.join("fault-point-fired");
    if let Some(instance) = text.strip_prefix(PANIC) {
        let _ = PANICS_AT.set(instance.parse().unwrap_or(0));
    }
    if let Ok((point, count)) = parse(text)
        && !fired.exists()
    {
        let _ = ARMED.set(Armed { point, left: AtomicU32::new(count), fired });
    }
}

/// `--fault-point=panic:N`: the machine panics whenever it is told that a container's Nth instance has ended.
const PANIC: &str = "panic:";

static PANICS_AT: OnceLock<u32> = OnceLock::new();

/// The machine is being told this.
pub fn panic_if_asked(fact: &Fact) {
    if let (Some(instance), Fact::ContainerExited { attempt, .. }) = (PANICS_AT.get(), fact) {
        assert_ne!(*instance, attempt + 1, "a fault point asked for this");
    }
}

/// The supervisor is at this point.
pub fn at(point: Point) {
    let Some(armed) = ARMED.get().filter(|armed| armed.point == point) else { return };
    if armed.left.fetch_sub(1, Ordering::Relaxed) == 1 && std::fs::write(&armed.fired, point.name()).is_ok() {
        let _ = kill(Pid::this(), Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn points_are_read_by_their_names() {
        for point in Point::ALL {
            assert_eq!(parse(&format!("{}:3", point.name())).unwrap(), (point, 3));
        }
        for text in ["", "nowhere:1", "asked:0", "asked:x"] {
            assert!(parse(text).unwrap_err().contains("torn-down"), "{text}");
        }
    }
}
