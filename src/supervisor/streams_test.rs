//! A log's thread and the task that looks after it, with the waiting in virtual time.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::super::log::Outputs;
use super::*;

fn place(name: &str) -> Place {
    let directory = std::env::temp_dir().join(format!("podlet-streams-{name}-{}", std::process::id()));
    super::super::files::remove_tree(&directory).unwrap();
    super::super::files::private_directory(&directory).unwrap();
    let rotation = Rotation::default();
    Place { container: "a".to_owned(), attempt: 0, directory, name: "0.log".to_owned(), rotation }
}

fn held() -> (Held, [File; 2]) {
    let (out, out_writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let (err, err_writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    (
        Held::new(Outputs { pipes: [out, err], terminal: None }).unwrap(),
        [out_writer, err_writer].map(|writer: OwnedFd| File::from(writer)),
    )
}

fn start(name: &str) -> (Copying, PathBuf, [File; 2], UnboundedReceiver<Happening>) {
    let place = place(name);
    let directory = place.directory.clone();
    // No log can be opened here.
    std::os::unix::fs::symlink("nowhere", directory.join("0.log")).unwrap();
    let (held, writers) = held();
    let (happenings, happened) = unbounded_channel();
    let copying = Copying::start(held, place, &happenings).unwrap();
    (copying, directory, writers, happened)
}

async fn in_virtual_time(test: impl AsyncFnOnce()) {
    tokio::task::LocalSet::new().run_until(test()).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_waits_ten_seconds_for_its_log_and_then_goes_on() {
    in_virtual_time(async || {
        let (copying, directory, [mut out, err], mut happened) = start("patience");
        let begun = tokio::time::Instant::now();
        // The thread lives in real time; while this task yields, virtual time stands.
        while copying.trouble().is_none() {
            tokio::task::yield_now().await;
        }
        let Some(Happening::LogFailed { container, message }) = happened.recv().await else { panic!("not told") };
        assert_eq!(container, "a");
        assert!(message.contains("symbolic link"), "{message}");
        assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
        let Some(Happening::LogDropping { .. }) = happened.recv().await else { panic!("not told") };
        assert!(begun.elapsed().abs_diff(PATIENCE) <= LOOK, "{:?}", begun.elapsed());
        assert!(copying.drain().await.unwrap_err().contains("symbolic link"));

        // Far more than the pipe holds: it is taken as it comes.
        let written = std::thread::spawn(move || {
            out.write_all(&vec![b'x'; 1_000_000]).unwrap();
            out
        });
        while !written.is_finished() {
            tokio::time::sleep(LOOK).await;
        }
        let mut out = written.join().unwrap();
        while copying.trouble().is_none_or(|trouble| !trouble.ends_with("; 1000000 bytes dropped so far")) {
            tokio::time::sleep(LOOK).await;
        }

        std::fs::remove_file(directory.join("0.log")).unwrap();
        // Rings the bell until the thread has found out that the disk is well.
        while copying.drain().await.is_err() {}
        let Some(Happening::LogRecovered { dropped, .. }) = happened.recv().await else { panic!("not told") };
        assert_eq!(dropped, Some(1_000_000));
        assert_eq!((copying.trouble(), copying.unwritten()), (None, 0));
        writeln!(out, "after").unwrap();
        drop((out, err));
        let container = loop {
            match happened.try_recv() {
                Ok(Happening::LogEnded { container, attempt: 0 }) => break container,
                // While `drain` was waited for, virtual time ran ahead of the thread, whose disk then seems not to answer.
                Ok(Happening::LogFailed { .. } | Happening::LogRecovered { dropped: None, .. }) => {}
                Ok(_) => panic!("something else is told"),
                // Virtual time stands.
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(container, "a");
        assert!(copying.ended());
        let log = std::fs::read_to_string(directory.join("0.log")).unwrap();
        let lines: Vec<&str> = log.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap()).collect();
        let gap = "F podlet: 1000000 bytes are missing here: the log's disk was full or did not answer";
        assert_eq!(lines, [gap, "F after"]);
        super::super::files::remove_tree(&directory).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_disk_that_comes_back_in_time_loses_nothing() {
    in_virtual_time(async || {
        let (copying, directory, [mut out, err], mut happened) = start("in-time");
        writeln!(out, "kept").unwrap();
        let Some(Happening::LogFailed { .. }) = happened.recv().await else { panic!("not told") };
        std::fs::remove_file(directory.join("0.log")).unwrap();
        while copying.drain().await.is_err() {}
        let Some(Happening::LogRecovered { dropped: None, .. }) = happened.recv().await else { panic!("not told") };
        assert!(std::fs::read_to_string(directory.join("0.log")).unwrap().ends_with(" stdout F kept\n"));
        drop((out, err));
        let Some(Happening::LogEnded { .. }) = happened.recv().await else { panic!("not ended") };
        super::super::files::remove_tree(&directory).unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_a_predecessor_dropped_is_told_by_who_writes_again() {
    in_virtual_time(async || {
        let place = place("inherited");
        let directory = place.directory.clone();
        let (held, [mut out, _err]) = held();
        let twin = Held {
            outputs: Outputs {
                pipes: held.outputs.pipes.each_ref().map(|pipe| pipe.try_clone().unwrap()),
                terminal: None,
            },
            staging: held.staging.each_ref().map(|staging| staging.try_clone().unwrap()),
            record: held.record.try_clone().unwrap(),
        };
        writeln!(out, "lost").unwrap();
        assert_eq!(Books::open(twin).unwrap().drop_waiting(Stream::Stdout).unwrap(), 5);

        let (happenings, mut happened) = unbounded_channel();
        let copying = Copying::start(held, place, &happenings).unwrap();
        let Some(Happening::LogRecovered { dropped: Some(5), .. }) = happened.recv().await else { panic!("not told") };
        assert_eq!((copying.trouble(), copying.unwritten()), (None, 0));
        let log = std::fs::read_to_string(directory.join("0.log")).unwrap();
        assert!(log.contains(" F podlet: 5 bytes are missing here: "), "{log}");
        super::super::files::remove_tree(&directory).unwrap();
    })
    .await;
}
