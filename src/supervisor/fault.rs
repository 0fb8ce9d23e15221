//! Points at which a test has the supervisor killed (`apply --fault-point=[PHASE/]NAME:N`, hidden): the Nth time that it
//! comes to the point NAME it sends itself SIGKILL, once. With a phase it counts from the first request of that kind on.
//! `--fault-point=count` kills nothing and writes down each point as it is reached, so that a test knows what there is to
//! try. Always compiled in, never active unless asked for: what is tested is the program that is used.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pod::input::Fact;

macro_rules! named {
    ($(#[$about:meta])* $kind:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $kind {
            $($(#[$doc])* $variant,)*
        }

        impl $kind {
            /// All of them.
            pub const ALL: &[$kind] = &[$($kind::$variant),*];

            /// As on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $($kind::$variant => $name,)*
                }
            }
        }
    };
}

named! {
    /// A place between two steps of the crash-only protocols.
    Point {
        /// The machine has decided; nothing of it is in the journal.
        Decided = "decided",
        /// It is in the journal; no effect was begun.
        Journalled = "journalled",
        /// The descriptors of a start are held by the keeper; the process is not asked for.
        Held = "held",
        /// The process is asked for; nobody has heard of it.
        Asked = "asked",
        /// A report of the keeper's was looked at; it is not in the journal.
        Peeked = "peeked",
        /// It is in the journal and still in the keeper's queue.
        Told = "told",
        /// It is taken; the keeper has not been told to forget the child.
        Taken = "taken",
        /// A signal was sent; that is not in the journal.
        Signalled = "signalled",
        /// What an ended container has left in its log's pipes is written; its end is not told.
        Drained = "drained",
        /// Its end is told and its cgroup is gone; its files are not.
        Cleared = "cleared",
        /// A log's pipe was emptied; no record says so.
        Spliced = "spliced",
        /// The record says so; nothing of it is in the log.
        Batched = "batched",
        /// It is in the log; the record does not say so.
        Written = "written",
        /// `kept.json` is new.
        Kept = "kept",
        /// The client of an exec was answered.
        Answered = "answered",
        /// A new snapshot has its name; the segment after it does not exist.
        Snapshotted = "snapshotted",
        /// The keeper holds what is to wake the next supervisor; this one has not ended.
        Alarmed = "alarmed",
        /// The pod is marked as asleep, too.
        Marked = "marked",
        /// A supervisor that was woken has taken the mark away, and nothing else is done.
        Unmarked = "unmarked",
        /// The pod's cgroups, mounts and volumes are gone; the machine does not know.
        TornDown = "torn-down",
        /// The final status is kept; the supervisor has not ended.
        Published = "published",
        /// The name of a pod that is being removed is free; its directories exist.
        Unnamed = "unnamed",
        /// Kept state and logs are gone as well; the run directory exists.
        Unkept = "unkept",
        /// The run directory has no orders any more.
        Orderless = "orderless",
    }
}

impl Point {
    /// How often it is reached depends on how the kernel cuts what is written and on what is gathered: a test that asks for
    /// the fifth time may get only four.
    pub fn varies(self) -> bool {
        matches!(self, Point::Spliced | Point::Batched | Point::Written | Point::Kept)
    }
}

named! {
    /// From when on it is counted.
    Phase {
        /// From the pod's admission.
        Life = "life",
        /// From the first re-apply.
        Change = "change",
        /// From the first exec.
        Exec = "exec",
        /// From the deletion.
        Delete = "delete",
    }
}

/// What `--fault-point` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// To die there, at that time.
    Die(Phase, Point, u32),
    /// To write down what is reached.
    Count,
    /// To panic when the machine is told that a container's Nth instance has ended.
    Panic(u32),
}

struct Armed {
    choice: Choice,
    left: AtomicU32,
    /// The phase has begun.
    begun: AtomicBool,
    /// Made just before the kill: the next supervisor finds it and lives.
    fired: PathBuf,
    count: Option<File>,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Reads the words; what is wrong with them is said for the user.
pub fn parse(text: &str) -> Result<Choice, String> {
    if text == "count" {
        return Ok(Choice::Count);
    }
    if let Some(instance) = text.strip_prefix("panic:").and_then(|number| number.parse().ok()) {
        return Ok(Choice::Panic(instance));
    }
    let (place, count) = text.split_once(':').unwrap_or((text, "1"));
    let (phase, name) = place.split_once('/').unwrap_or((Phase::Life.name(), place));
    let phase = Phase::ALL.iter().find(|known| known.name() == phase);
    let point = Point::ALL.iter().find(|known| known.name() == name);
    let count: Option<u32> = count.parse().ok().filter(|count| *count > 0);
    match (phase, point, count) {
        (Some(phase), Some(point), Some(count)) => Ok(Choice::Die(*phase, *point, count)),
        _ => {
            let points: Vec<&str> = Point::ALL.iter().map(|point| point.name()).collect();
            let phases: Vec<&str> = Phase::ALL.iter().map(|phase| phase.name()).collect();
            Err(format!(
                "--fault-point={text}: expected count, panic:N or [PHASE/]NAME:N with N from 1, PHASE one of {}, NAME one of {}",
                phases.join(", "),
                points.join(", ")
            ))
        }
    }
}

/// The files of a pod's fault point, in kept state but not in the pod's own, which goes with it: whether it has fired, and
/// what was counted.
fn files(state: &Path, uid: &str) -> (PathBuf, PathBuf) {
    (state.join(format!("fault-fired.{uid}")), state.join(format!("fault-count.{uid}")))
}

/// Makes the point active for this process, unless it has done its work already.
pub fn arm(text: &str, state: &Path, uid: &str) {
    let (fired, counted) = files(state, uid);
    let Ok(choice) = parse(text) else { return };
    let left = if let Choice::Die(_, _, count) = choice { count } else { 0 };
    let begun = matches!(choice, Choice::Die(Phase::Life, ..) | Choice::Count);
    let count = match choice {
        Choice::Count => OpenOptions::new().create(true).append(true).open(counted).ok(),
        _ => None,
    };
    if !fired.exists() {
        let _ = ARMED.set(Armed { choice, left: left.into(), begun: begun.into(), fired, count });
    }
}

/// The machine is being told this.
pub fn panic_if_asked(fact: &Fact) {
    if let (Some(Armed { choice: Choice::Panic(instance), .. }), Fact::ContainerExited { attempt, .. }) =
        (ARMED.get(), fact)
    {
        assert_ne!(*instance, attempt + 1, "a fault point asked for this");
    }
}

/// A client has asked for what begins this phase.
pub fn begin(phase: Phase) {
    match ARMED.get() {
        Some(Armed { choice: Choice::Die(wanted, ..), begun, .. }) if *wanted == phase => {
            begun.store(true, Ordering::Relaxed);
        }
        Some(Armed { count: Some(file), .. }) => write_down(file, &format!("{}/", phase.name())),
        _ => {}
    }
}

/// The supervisor is at this point.
pub fn at(point: Point) {
    match ARMED.get() {
        Some(Armed { choice: Choice::Die(_, wanted, _), left, begun, fired, .. })
            if *wanted == point
                && begun.load(Ordering::Relaxed)
                && left.fetch_sub(1, Ordering::Relaxed) == 1
                && std::fs::write(fired, point.name()).is_ok() =>
        {
            let _ = kill(Pid::this(), Signal::SIGKILL);
        }
        Some(Armed { count: Some(file), .. }) => write_down(file, point.name()),
        _ => {}
    }
}

fn write_down(mut file: &File, word: &str) {
    let _ = file.write_all(format!("{word}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn points_are_read_by_their_names() {
        for point in Point::ALL {
            let name = point.name();
            assert_eq!(parse(&format!("{name}:3")).unwrap(), Choice::Die(Phase::Life, *point, 3));
            assert_eq!(parse(&format!("exec/{name}")).unwrap(), Choice::Die(Phase::Exec, *point, 1));
        }
        assert_eq!(parse("panic:2").unwrap(), Choice::Panic(2));
        assert_eq!(parse("count").unwrap(), Choice::Count);
        for text in ["", "nowhere:1", "asked:0", "asked:x", "exec/:1", "sleep/asked:1", "panic:"] {
            assert!(parse(text).unwrap_err().contains("torn-down"), "{text}");
        }
    }
}
