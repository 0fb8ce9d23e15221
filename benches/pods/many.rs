//! Many pods on one machine: set going by one call and by one call each, looked at, at rest. What a sleep and a wake cost.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use podlet::paths::Paths;
use podlet::supervisor::client::Client;
use podlet::supervisor::is_asleep;

use crate::figures::{Figure, Table, now};
use crate::memory;
use crate::subject::{Subject, between, clocks, until_return, wait_for};

/// Pods of the rows that start them.
const STARTED: usize = 50;
/// Pods that are alive at once when they are looked at.
const ALIVE: usize = 500;
/// Quiet ones, of whom it is told what they cost.
const IDLE: usize = 1000;
/// For how long their processors' time is watched, and for how long if the word [`HOUR`] is there, too.
const WATCHED: Duration = Duration::from_secs(100);
const WHOLE_HOUR: Duration = Duration::from_secs(3600);

const ONE_CALL: &str = "**50 pods** by one call, to the last one's first instruction";
const FIFTY_CALLS: &str = "**50 pods** by fifty calls, to the last one's first instruction";
const COMPLETION: &str = "**completion**, TAB behind `podlet get pod` with 50 pods";
const AWAKE: &str = "**get pods -A** of 500 pods whose supervisors are awake";
const ASLEEP: &str = "**get pods -A** of 500 pods whose supervisors sleep";
const SHOWN: &str = "**a state change**, one of 500 asleep: SIGKILL of its program to the `get pod` that shows it";
const WAKE: &str = "**wake**, connect to a sleeping supervisor to its answer";
const NO_WAKE: &str = "the same of one that is awake";
/// Has to be asked for by name: it takes minutes.
const IDLE_ROW: &str = "idle";
const HOUR: &str = "hour";

/// All of it that was asked for; rows of the memory table.
pub fn measure(subject: &Subject, table: &mut Table) -> Vec<String> {
    let mut memory = Vec::new();
    starts(subject, table);
    wakes(subject, table);
    if table.wants("memory") {
        let manifest = manifests(subject, "one-of", 0..STARTED);
        subject.run(&["apply", "--wait", "--sleep-after=never", &manifest.to_string_lossy()]);
        // What a start has taken is given back when its log has been quiet for a second.
        std::thread::sleep(Duration::from_secs(3));
        memory.extend(memory::rows(&[], &memory::of_pods(&subject.root)));
        subject.run(&["delete", "pod", "--all", "--force"]);
    }
    completion(subject, table);
    looks(subject, table);
    let said = |wanted: &str| std::env::args().any(|word| word == wanted);
    if said(IDLE_ROW) {
        memory.extend(idle(subject, if said(HOUR) { WHOLE_HOUR } else { WATCHED }));
    }
    memory
}

/// One file with so many pods.
fn manifests(subject: &Subject, name: &str, numbers: std::ops::Range<usize>) -> PathBuf {
    let texts: Vec<String> = numbers
        .map(|number| {
            let path = subject.manifest(&format!("{name}-{number}"), 1, "['clock,', sleep, forever]", "Always");
            fs::read_to_string(path).expect("a manifest")
        })
        .collect();
    let path = subject.root.join(format!("{name}.yaml"));
    fs::write(&path, texts.join("---\n")).expect("manifests are written");
    path
}

/// As bash asks at TAB (`podlet completion bash`), by the environment.
fn completion(subject: &Subject, table: &mut Table) {
    if !table.wants(COMPLETION) {
        return;
    }
    set_going(subject, STARTED, "--sleep-after=0");
    table.take(COMPLETION, || {
        let mut asks = subject.command(&["--", "podlet", "get", "pod", ""]);
        asks.env("PODLET_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "3").env("_CLAP_IFS", "\n");
        asks.env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true");
        until_return(asks)
    });
    subject.run(&["delete", "pod", "--all", "--force"]);
}

/// The latest first clock of all pods, once each has one.
fn last_clock(subject: &Subject, count: usize) -> u64 {
    wait_for(|| {
        let logs = fs::read_dir(subject.root.join("logs/pods")).ok()?.flatten();
        let firsts: Vec<u64> = logs.filter_map(|pod| clocks(&pod.path().join("c0/0.log")).first().copied()).collect();
        (firsts.len() == count).then(|| firsts.into_iter().max())?
    })
}

fn starts(subject: &Subject, table: &mut Table) {
    let runs = table.runs.min(5);
    for (row, name, each) in [(ONE_CALL, "together", STARTED), (FIFTY_CALLS, "singly", 1)] {
        if !table.wants(row) {
            continue;
        }
        let files: Vec<PathBuf> = (0..STARTED)
            .step_by(each)
            .map(|first| manifests(subject, &format!("{name}-{first}"), first..first + each))
            .collect();
        let samples = (0..runs).map(|_| {
            let begin = now();
            for file in &files {
                subject.run(&["apply", &file.to_string_lossy()]);
            }
            let last = last_clock(subject, STARTED);
            subject.run(&["delete", "pod", "--all", "--force"]);
            between(begin, last)
        });
        let figure = Figure::of(row, samples.collect());
        table.figures.push(figure);
    }
}

fn paths(root: &Path) -> Paths {
    Paths { run: root.join("run"), state: root.join("state"), logs: root.join("logs") }
}

fn uids(subject: &Subject) -> Vec<String> {
    let pods = fs::read_dir(subject.root.join("run/pods")).into_iter().flatten().flatten();
    pods.map(|pod| pod.file_name().to_string_lossy().into_owned()).collect()
}

fn asleep(subject: &Subject, uid: &str) -> Option<()> {
    is_asleep(&paths(&subject.root), uid).then_some(())
}

/// Each sample is a client of its own.
fn wakes(subject: &Subject, table: &mut Table) {
    for (row, word) in [(WAKE, "--sleep-after=0"), (NO_WAKE, "--sleep-after=never")] {
        if !table.wants(row) {
            continue;
        }
        let manifest = subject.manifest("wakes", 1, "['clock,', sleep, forever]", "Always");
        subject.run(&["apply", "--wait", word, &manifest.to_string_lossy()]);
        let uid = uids(subject).pop().expect("a pod");
        let (paths, samples) = (paths(&subject.root), 10 * table.runs);
        let samples = (0..samples).map(|_| {
            if row == WAKE {
                wait_for(|| asleep(subject, &uid));
                // The mark is there a moment before the end.
                std::thread::sleep(Duration::from_millis(5));
            }
            let begin = now();
            Client::connect(&paths, &uid).and_then(|client| client.state()).expect("an answer");
            between(begin, now())
        });
        let figure = Figure::of(row, samples.collect());
        table.figures.push(figure);
        subject.run(&["delete", "pod", "wakes", "--force"]);
    }
}

fn set_going(subject: &Subject, count: usize, word: &str) {
    for first in (0..count).step_by(STARTED) {
        let manifest = manifests(subject, &format!("many-{first}"), first..first + STARTED);
        subject.run(&["apply", word, &manifest.to_string_lossy()]);
    }
    last_clock(subject, count);
}

fn looks(subject: &Subject, table: &mut Table) {
    if ![AWAKE, ASLEEP, SHOWN].iter().any(|row| table.wants(row)) {
        return;
    }
    for (row, word) in [(AWAKE, "--sleep-after=never"), (ASLEEP, "--sleep-after=0")] {
        if !(table.wants(row) || row == ASLEEP && table.wants(SHOWN)) {
            continue;
        }
        set_going(subject, ALIVE, word);
        if row == ASLEEP {
            uids(subject).iter().for_each(|uid| wait_for_long(|| asleep(subject, uid)));
        } else {
            std::thread::sleep(Duration::from_secs(3));
        }
        table.take(row, || until_return(subject.command(&["get", "pods", "-A"])));
        if row == ASLEEP && table.wants(SHOWN) {
            shown(subject, table);
        }
        subject.run(&["delete", "pod", "--all", "--force"]);
    }
}

/// From the kill of a container's program to the end of the first `get pod` that shows its restart, one look after the other.
fn shown(subject: &Subject, table: &mut Table) {
    let programs = memory::containers_anywhere(&subject.root).into_iter().take(table.runs);
    let samples = programs.map(|program| {
        let pod = memory::pod_of(program);
        let restarts = || subject.run(&["get", "pod", &pod, "-o", "jsonpath={..restartCount}"]).stdout;
        let before = restarts();
        let begin = now();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(program), nix::sys::signal::Signal::SIGKILL).expect("a kill");
        while restarts() == before {}
        between(begin, now())
    });
    let figure = Figure::of(SHOWN, samples.collect());
    table.figures.push(figure);
}

/// Quiet pods: the memory of all that is podlet's, and the processors' time that it takes.
fn idle(subject: &Subject, watched: Duration) -> Vec<String> {
    set_going(subject, IDLE, "--sleep-after=1s");
    uids(subject).iter().for_each(|uid| wait_for_long(|| asleep(subject, uid)));
    let families = memory::keepers(&subject.root);
    let processes: Vec<i32> = families.iter().flatten().copied().collect();
    let sum = |of: fn(&memory::Resident) -> u64| processes.iter().map(|pid| of(&memory::resident(*pid))).sum::<u64>();
    let (pss, private) = (sum(|process| process.pss), sum(|process| process.private));
    let ticks = || processes.iter().map(|pid| memory::switches(*pid)).sum::<u64>();
    let cpu = || processes.iter().map(|pid| memory::run_time(*pid)).sum::<f64>();
    let (before, switches, begin) = (cpu(), ticks(), Instant::now());
    std::thread::sleep(watched);
    let hours = begin.elapsed().as_secs_f64() / 3600.0;
    let (took, switched) = (cpu() - before, ticks() - switches);
    let begin = now();
    subject.run(&["get", "pods", "-A"]);
    let look = between(begin, now());
    subject.run(&["delete", "pod", "--all", "--force"]);
    vec![format!(
        "| guard, keeper and pause of {} pods whose supervisors sleep ({} processes); {:.3} s of a processor in an hour, {} \
         switches to them in {} s; get pods -A {look:.0} ms | {pss} | {private} |",
        families.len(),
        processes.len(),
        took / hours,
        switched,
        watched.as_secs(),
    )]
}

fn wait_for_long(mut look: impl FnMut() -> Option<()>) {
    let begin = Instant::now();
    while look().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(120), "a supervisor does not fall asleep");
        std::thread::sleep(Duration::from_millis(20));
    }
}
