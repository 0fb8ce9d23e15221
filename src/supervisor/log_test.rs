//! The log protocol under SIGKILL: a child process copies, is killed at random moments, and its successor goes on with the
//! same descriptors, as a supervisor does with those that the keeper holds.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::pipe2;

use super::*;
use crate::linux::descriptors::inherited;

const CHILD: &str = "PODLET_LOG_TEST";

/// Not a test of its own: what the killed processes run. Does nothing in an ordinary run.
#[test]
fn copy_until_both_streams_end() {
    let Ok(arguments) = std::env::var(CHILD) else { return };
    let mut words = arguments.splitn(3, ' ');
    let descriptors: Vec<i32> = words.next().unwrap().split(',').map(|n| n.parse().unwrap()).collect();
    let size = words.next().unwrap().parse().unwrap();
    let directory = PathBuf::from(words.next().unwrap());
    let mut owned = descriptors.into_iter().map(|number| inherited(number).unwrap());
    let mut next = || owned.next().unwrap();
    let outputs = Outputs { pipes: [next(), next()], terminal: None };
    let held = Held { outputs, staging: [next(), next()], record: next() };
    let mut log = open_log(held, &directory, "0.log", Rotation { size, files: usize::MAX });
    while !log.ended() {
        for which in Stream::BOTH {
            log.pump(which).unwrap();
        }
    }
    println!("ended");
}

fn open_log(held: Held, directory: &Path, name: &str, rotation: Rotation) -> ContainerLog {
    let books = Arc::new(Mutex::new(Books::open(held).unwrap()));
    ContainerLog::open(books, directory, name, rotation).unwrap()
}

/// As the keeper hands them to the next supervisor.
fn again(held: &Held) -> Held {
    Held {
        outputs: Outputs {
            pipes: held.outputs.pipes.each_ref().map(|pipe| pipe.try_clone().unwrap()),
            terminal: held.outputs.terminal.as_ref().map(|master| master.try_clone().unwrap()),
        },
        staging: [held.staging[0].try_clone().unwrap(), held.staging[1].try_clone().unwrap()],
        record: held.record.try_clone().unwrap(),
    }
}

/// Answers each write with ENOSPC.
fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// One copying process over the held descriptors.
fn start(held: &Held, size: u64, directory: &Path) -> std::process::Child {
    let all = [&held.outputs.pipes[0], &held.outputs.pipes[1], &held.staging[0], &held.staging[1], &held.record];
    for descriptor in all {
        fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    }
    let numbers: Vec<String> = all.iter().map(|descriptor| descriptor.as_raw_fd().to_string()).collect();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "supervisor::log::tests::copy_until_both_streams_end", "--nocapture"])
        .env(CHILD, format!("{} {size} {}", numbers.join(","), directory.display()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn directory(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("podlet-log-{name}-{}", std::process::id()));
    super::super::files::remove_tree(&directory).unwrap();
    directory
}

/// A stream of lines of many lengths, all byte values, not ending in a newline. Each kind once in a while.
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes = Vec::with_capacity(length + 70_000);
    while bytes.len() < length {
        let line = match random() % 20 {
            0 => random() % 60_000,
            1 => 0,
            _ => random() % 200,
        };
        for _ in 0..line {
            let byte = (random() >> 24) as u8;
            bytes.push(if byte == b'\n' { 0 } else { byte });
        }
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(b"no newline at the end");
    bytes
}

/// All files of a log, oldest first, put together as the container wrote each stream.
fn read_back(directory: &Path) -> [Vec<u8>; 2] {
    let mut names: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    // 0.log itself is the newest.
    names.sort_by_key(|name| (name == "0.log", name.clone()));
    let mut streams = [Vec::new(), Vec::new()];
    for name in names {
        let bytes = std::fs::read(directory.join(&name)).unwrap();
        assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "{name:?} ends within a record");
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record = cri::parse(line).unwrap_or_else(|| panic!("{name:?}: {}", String::from_utf8_lossy(line)));
            let stream = if record.stream == Stream::Stdout { &mut streams[0] } else { &mut streams[1] };
            stream.extend_from_slice(record.content);
            if record.full {
                stream.push(b'\n');
            }
        }
    }
    streams
}

fn pipes() -> (Outputs, [File; 2]) {
    let (out, out_writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let (err, err_writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    (Outputs { pipes: [out, err], terminal: None }, [File::from(out_writer), File::from(err_writer)])
}

fn assert_same(got: &[u8], expected: &[u8], what: &str) {
    if got != expected {
        let at = got.iter().zip(expected).position(|(a, b)| a != b).unwrap_or(got.len().min(expected.len()));
        panic!("{what}: {} bytes in the log, {} written, first difference at {at}", got.len(), expected.len());
    }
}

#[test]
fn both_streams_are_exact_over_kills_and_rotations() {
    let directory = directory("kills");
    let (readers, writers) = pipes();
    let held = Held::new(readers).unwrap();
    const KILLS: usize = 40;
    let contents = [content(11, 12_000_000), content(23, 6_000_000)];
    // For each copying process there is a part of its own to copy: however fast it is, there is enough for all of them.
    let (gates, threads): (Vec<_>, Vec<_>) = writers
        .into_iter()
        .zip(contents.clone())
        .map(|(mut writer, bytes)| {
            let (gate, open) = std::sync::mpsc::channel();
            let thread = std::thread::spawn(move || {
                for part in bytes.chunks(bytes.len().div_ceil(KILLS + 1)) {
                    open.recv().unwrap();
                    for piece in part.chunks(7_001) {
                        writer.write_all(piece).unwrap();
                    }
                }
            });
            (gate, thread)
        })
        .unzip();
    let mut seed = 0x9E37_79B9_7F4A_7C15u64;
    let mut kills = 0;
    let status = loop {
        gates.iter().for_each(|gate| gate.send(()).unwrap());
        let mut child = start(&held, 1_000_000, &directory);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Most of it is the child's start; the rest falls anywhere within its copying.
        std::thread::sleep(Duration::from_micros(3_000 + (seed >> 33) % 12_000));
        if kills < KILLS {
            child.kill().unwrap();
            kills += 1;
        }
        let status = child.wait().unwrap();
        if status.code().is_some() {
            break status;
        }
    };
    assert!(status.success(), "{status}");
    for thread in threads {
        thread.join().unwrap();
    }
    let [stdout, stderr] = read_back(&directory);
    assert_same(&stdout, &contents[0], "stdout");
    assert_same(&stderr, &contents[1], "stderr");
    assert_eq!(kills, KILLS);
    assert!(std::fs::read_dir(&directory).unwrap().count() > 5, "it was rotated");
    super::super::files::remove_tree(&directory).unwrap();
}

#[test]
fn a_busy_stream_gets_a_larger_pipe_and_a_quiet_one_gives_its_memory_back() {
    let directory = directory("quiet");
    let (readers, [mut out, err]) = pipes();
    let held = Held::new(readers).unwrap();
    let mut log = open_log(again(&held), &directory, "0.log", Rotation { size: u64::MAX, files: 5 });
    let capacity = || fcntl(&held.outputs.pipes[0], FcntlArg::F_GETPIPE_SZ).unwrap();
    let memory = || File::from(held.staging[0].try_clone().unwrap()).metadata().unwrap().blocks() * 512;
    let usual = capacity();
    let line = format!("{}\n", "x".repeat(1023));
    let mut written = 0;
    for _ in 0..3 {
        // As much as it holds.
        for _ in 0..capacity() / 1024 {
            out.write_all(line.as_bytes()).unwrap();
            written += 1;
        }
        while log.pump(Stream::Stdout).unwrap() == Pumped::More {}
    }
    assert!(capacity() > usual && memory() > 0);
    log.rest().unwrap();
    assert_eq!((capacity(), memory()), (usual, 0));
    // It goes on as before, also under a successor.
    drop(log);
    let mut log = open_log(again(&held), &directory, "0.log", Rotation { size: u64::MAX, files: 5 });
    out.write_all(b"end\n").unwrap();
    drop((out, err));
    for which in Stream::BOTH {
        while log.pump(which).unwrap() != Pumped::Ended {}
    }
    assert!(log.ended());
    let log = std::fs::read_to_string(directory.join("0.log")).unwrap();
    assert_eq!(log.lines().count(), written + 1);
    assert!(log.lines().last().unwrap().ends_with(" stdout F end"));
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn the_same_descriptors_go_on_in_one_process_and_keep_five_files() {
    let directory = directory("rotation");
    let (readers, [mut out, err]) = pipes();
    let mut log = open_log(Held::new(readers).unwrap(), &directory, "3.log", Rotation { size: 100, files: 5 });
    assert_eq!(log.pump(Stream::Stdout).unwrap(), Pumped::Idle);
    for number in 0..20 {
        writeln!(out, "line {number} {}", "x".repeat(100)).unwrap();
        assert_eq!(log.pump(Stream::Stdout).unwrap(), Pumped::More);
        assert_eq!(log.pump(Stream::Stdout).unwrap(), Pumped::Idle);
    }
    drop((out, err));
    assert_eq!(log.pump(Stream::Stdout).unwrap(), Pumped::Ended);
    assert!(!log.ended());
    assert_eq!(log.pump(Stream::Stderr).unwrap(), Pumped::Ended);
    assert!(log.ended());
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 5);
    super::super::files::remove_tree(&directory).unwrap();
}

#[test]
fn a_full_disk_loses_nothing_and_holds_back_the_other_stream() {
    let directory = directory("full");
    let (readers, [mut out, mut err]) = pipes();
    let mut log = open_log(Held::new(readers).unwrap(), &directory, "0.log", Rotation::default());
    // /dev/full answers each write with ENOSPC.
    let good = log.file.replace(full());
    writeln!(out, "first").unwrap();
    writeln!(err, "second").unwrap();
    for which in [Stream::Stdout, Stream::Stderr, Stream::Stdout] {
        assert_eq!(log.pump(which).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
    log.file.replace(good);
    log.pump(Stream::Stderr).unwrap();
    drop((out, err));
    while !log.ended() {
        for which in Stream::BOTH {
            log.pump(which).unwrap();
        }
    }
    assert_eq!(read_back(&directory), [b"first\n".to_vec(), b"second\n".to_vec()]);
    super::super::files::remove_tree(&directory).unwrap();
}

#[test]
fn a_log_that_is_a_link_is_not_written_through() {
    let directory = directory("link");
    super::super::files::private_directory(&directory).unwrap();
    std::os::unix::fs::symlink("/dev/null", directory.join("0.log")).unwrap();
    let (readers, _writers) = pipes();
    let books = Arc::new(Mutex::new(Books::open(Held::new(readers).unwrap()).unwrap()));
    assert!(ContainerLog::open(books, &directory, "0.log", Rotation::default()).is_err());
    super::super::files::remove_tree(&directory).unwrap();
}

/// What a log says, without its times.
fn records(directory: &Path) -> Vec<String> {
    let text = String::from_utf8(std::fs::read(directory.join("0.log")).unwrap()).unwrap();
    text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

fn missing(bytes: u64) -> String {
    format!("stdout F podlet: {bytes} bytes are missing here: the log's disk was full or did not answer")
}

#[test]
fn what_a_full_disk_makes_drop_is_counted_over_kills_and_told_at_its_place() {
    let directory = directory("dropped");
    let (readers, [mut out, _err]) = pipes();
    let held = Held::new(readers).unwrap();
    let mut log = open_log(again(&held), &directory, "0.log", Rotation::default());
    write!(out, "one\nhalf a li").unwrap();
    assert_eq!(log.pump(Stream::Stdout).unwrap(), Pumped::More);
    log.file.replace(full());
    out.write_all(b"ne\ntwo\nthree quar").unwrap();
    assert!(log.pump(Stream::Stdout).is_err());
    let drop_all = |log: &ContainerLog, bytes: u64| {
        let mut dropped = 0;
        while dropped < bytes {
            dropped += log.books().drop_waiting(Stream::Stdout).unwrap();
        }
        assert_eq!(dropped, bytes);
    };
    // Far more than M ever holds otherwise, in pieces that end anywhere; its memory is given back.
    for _ in 0..100 {
        out.write_all(&[b'x'; 50_001]).unwrap();
        drop_all(&log, 50_001);
    }
    let blocks = File::from(held.staging[0].try_clone().unwrap()).metadata().unwrap().blocks();
    assert!(blocks * 512 < 128 * 1024, "{blocks}");
    assert_eq!(log.books().dropped(Stream::Stdout), 5_000_100);
    assert!(log.books().is_dropping());

    // A successor knows as much, and goes on counting.
    drop(log);
    let mut log = open_log(again(&held), &directory, "0.log", Rotation::default());
    let good = log.file.replace(full());
    out.write_all(b"yyy").unwrap();
    drop_all(&log, 3);
    assert_eq!(log.books().dropped(Stream::Stdout), 5_000_103);
    assert!(log.pump(Stream::Stdout).is_err());

    // The disk comes back, but fails again in the line that tells of it; what comes then is a gap of its own.
    log.file.replace(good);
    let batch = log.books().in_flight(&mut Vec::new()).unwrap().unwrap();
    assert_eq!((batch.dropped, batch.bytes.ends_with(b"three quar")), (0, true), "the batch from before comes first");
    log.finish_batches().unwrap();
    log.books().take(Stream::Stdout).unwrap();
    out.write_all(b"zz").unwrap();
    drop_all(&log, 2);
    assert_eq!(log.books().dropped(Stream::Stdout), 5_000_105);
    drop(log);
    let mut log = open_log(again(&held), &directory, "0.log", Rotation::default());
    while log.pump(Stream::Stdout).unwrap() != Pumped::Idle {}
    assert_eq!(log.books().dropped(Stream::Stdout), 0);
    assert!(!log.books().is_dropping());
    writeln!(out, " of a line\nlast").unwrap();
    drop(out);
    while log.pump(Stream::Stdout).unwrap() != Pumped::Ended {}
    let expected = [
        "stdout F one".to_owned(),
        "stdout F half a line".to_owned(),
        "stdout F two".to_owned(),
        "stdout P three quar".to_owned(),
        "stdout F ".to_owned(),
        missing(5_000_103),
        missing(2),
        "stdout F  of a line".to_owned(),
        "stdout F last".to_owned(),
    ];
    assert_eq!(records(&directory), expected);
    super::super::files::remove_tree(&directory).unwrap();
}

#[test]
fn a_stream_that_ends_while_it_is_dropped_ends() {
    let directory = directory("dropped-end");
    let (readers, [mut out, err]) = pipes();
    let mut log = open_log(Held::new(readers).unwrap(), &directory, "0.log", Rotation::default());
    out.write_all(b"gone").unwrap();
    drop((out, err));
    for which in Stream::BOTH {
        log.books().drop_waiting(which).unwrap();
    }
    assert!(!log.ended());
    for which in Stream::BOTH {
        assert_eq!(log.pump(which).unwrap(), Pumped::Ended);
    }
    assert!(log.ended());
    assert_eq!(records(&directory), [missing(4)], "nothing is said of the stream that lost nothing");
    super::super::files::remove_tree(&directory).unwrap();
}

#[test]
fn a_rotation_that_could_not_be_finished_goes_on_under_one_name() {
    let directory = directory("rotation-twice");
    let (readers, [mut out, _err]) = pipes();
    let mut log = open_log(Held::new(readers).unwrap(), &directory, "0.log", Rotation { size: 10, files: 5 });
    writeln!(out, "long enough to be put aside").unwrap();
    assert_eq!(log.pump(Stream::Stdout).unwrap(), Pumped::More);
    // A directory where the new file is to be made.
    std::fs::create_dir(directory.join("0.log.new")).unwrap();
    for _ in 0..3 {
        assert!(log.pump(Stream::Stdout).is_err());
    }
    std::fs::remove_dir(directory.join("0.log.new")).unwrap();
    assert_eq!(log.pump(Stream::Stdout).unwrap(), Pumped::Idle);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 2);
    super::super::files::remove_tree(&directory).unwrap();
}
