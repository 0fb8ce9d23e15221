//! How fast a container's output comes into its log, and what that costs: lines of 80 bytes, written in blocks as fast as they
//! are taken, rotated at 10 MiB. The clock runs from a first look at the file until its last line is there; CPU time is that of
//! the whole process that copies, its start included: podlet's supervisor, or conmon under podman.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::figures::Figure;
use crate::memory;
use crate::subject::{Subject, wait_for};

/// Lines in a run: 400 MB.
const LINES: usize = 5_000_000;

/// A file that was not changed for so long is complete.
const QUIET: Duration = Duration::from_millis(500);

/// What the actor is told.
pub const ARGUMENTS: [&str; 6] = ["log", "5000000", "size=79", "block=64Ki", ",", "sleep"];

/// One run: the speed in MB/s, and the CPU time of a line in microseconds.
pub struct Run {
    speed: f64,
    cpu: f64,
}

/// Follows what [`ARGUMENTS`] write to its end, which is the last change of the file; `copier` finds the process that copies.
pub fn watch(log: &Path, copier: impl FnOnce() -> i32) -> Run {
    let (first, began) = (wait_for(|| last_number(log)), SystemTime::now());
    let ended = wait_for(|| {
        let changed = std::fs::metadata(log).ok()?.modified().ok()?;
        (changed.elapsed().ok()? > QUIET).then_some(changed)
    });
    let took = ended.duration_since(began).expect("lines behind the first look").as_secs_f64();
    let bytes = (LINES - first) as f64 * 80.0;
    Run { speed: bytes / 1e6 / took, cpu: memory::cpu_of(copier()) * 1e6 / LINES as f64 }
}

/// The number of the last whole line in the file: `<time> stdout F <eight digits> xxx...`. conmon cuts lines anywhere.
fn last_number(log: &Path) -> Option<usize> {
    let file = File::open(log).ok()?;
    let mut bytes = [0; 512];
    let length = file.read_at(&mut bytes, file.metadata().ok()?.len().saturating_sub(512)).ok()?;
    let text = String::from_utf8_lossy(bytes.get(..length)?).into_owned();
    let (whole, _) = text.rsplit_once('\n')?;
    whole.rsplit_once('\n')?.1.split(' ').nth(3).filter(|number| number.len() == 8)?.parse().ok()
}

/// podlet's runs.
pub fn measure(subject: &Subject, runs: usize) -> Vec<Run> {
    let words: Vec<String> = ARGUMENTS.iter().chain(&["forever"]).map(|word| format!("{word:?}")).collect();
    let manifest = subject.manifest("loud", 1, &format!("[{}]", words.join(", ")), "Never");
    let run = |_| {
        subject.run(&["apply", &manifest.to_string_lossy()]);
        let log = subject.log("loud", "c0", 0);
        let run = watch(&log, || *memory::supervisors(&subject.root).first().expect("the pod's supervisor"));
        assert_eq!(last_number(&log), Some(LINES), "the last line is the last");
        subject.run(&["delete", "pod", "loud", "--now"]);
        run
    };
    (0..runs).map(run).collect()
}

/// A row of the table.
pub fn row(name: &str, runs: &[Run]) -> String {
    let speed = Figure::of(name, runs.iter().map(|run| run.speed).collect());
    let cpu = Figure::of(name, runs.iter().map(|run| run.cpu).collect());
    let (median, least, most) = speed.spread();
    format!("| {name} | {median:.0} | {least:.0} | {most:.0} | {:.3} | {} |", cpu.median(), runs.len())
}

/// For the program that measures the peers, and back.
pub fn to_text(runs: &[Run]) -> String {
    runs.iter().map(|run| format!("{}/{}", run.speed, run.cpu)).collect::<Vec<_>>().join(" ")
}

/// See [`to_text`].
pub fn from_text(text: &str) -> Vec<Run> {
    let run = |word: &str| {
        let (speed, cpu) = word.split_once('/')?;
        Some(Run { speed: speed.parse().ok()?, cpu: cpu.parse().ok()? })
    };
    text.split(' ').filter_map(run).collect()
}
