//! Log files as they lie on disk: rotated, growing, cut within a line, replaced by something else.
#![allow(clippy::unwrap_used)]

use super::*;
use std::io::Write;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("podlet-logs-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn append(&self, name: &str, text: &str) {
        File::options().append(true).create(true).open(self.0.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn rotate(&self, stamp: &str) {
        std::fs::rename(self.0.join("0.log"), self.0.join(format!("0.log.{stamp}"))).unwrap();
        self.append("0.log", "");
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn line(text: &str) -> String {
    format!("2026-01-01T00:00:00.000000000Z stdout F {text}\n")
}

fn read(reader: &mut Reader) -> Vec<String> {
    let mut lines = Vec::new();
    reader
        .read(&mut |record| {
            lines.push(String::from_utf8_lossy(record.content).into_owned());
            Ok(Flow::On)
        })
        .unwrap();
    lines
}

#[test]
fn rotated_files_come_first_and_a_growing_one_is_read_on() {
    let directory = Directory::new("rotated");
    let mut reader = Reader::new(&directory.0, 0);
    assert_eq!(read(&mut reader), Vec::<String>::new());
    directory.append("0.log", &line("a"));
    directory.append("1.log", &line("of another instance"));
    directory.append("10.log", &line("of another instance"));
    assert_eq!(read(&mut reader), ["a"]);
    directory.append("0.log", &line("b"));
    directory.rotate("20260101-000000.000000001");
    directory.append("0.log", &line("c"));
    directory.rotate("20260101-000000.000000002");
    directory.append("0.log", &line("d"));
    assert_eq!(read(&mut reader), ["b", "c", "d"]);
    assert_eq!(read(&mut reader), Vec::<String>::new());
    assert_eq!(read(&mut Reader::new(&directory.0, 0)), ["a", "b", "c", "d"]);
    // What was removed in between is lost, what is there is read once.
    directory.append("0.log", &line("e"));
    directory.rotate("20260101-000000.000000003");
    std::fs::remove_file(directory.0.join("0.log.20260101-000000.000000003")).unwrap();
    std::fs::remove_file(directory.0.join("0.log.20260101-000000.000000002")).unwrap();
    std::fs::remove_file(directory.0.join("0.log.20260101-000000.000000001")).unwrap();
    directory.append("0.log", &line("f"));
    assert_eq!(read(&mut reader), ["e", "f"]);
}

#[test]
fn half_a_line_waits_for_its_end() {
    let directory = Directory::new("half");
    let mut reader = Reader::new(&directory.0, 0);
    let whole = line("whole");
    let (start, end) = whole.split_at(40);
    directory.append("0.log", start);
    assert_eq!(read(&mut reader), Vec::<String>::new());
    directory.append("0.log", end);
    assert_eq!(read(&mut reader), ["whole"]);
}

#[test]
fn a_tail_counts_lines_over_files() {
    let directory = Directory::new("tail");
    directory.append("0.log", &(line("a") + &line("b")));
    directory.rotate("20260101-000000.000000001");
    directory.append("0.log", "2026-01-01T00:00:00.000000000Z stdout P c1\n");
    directory.append("0.log", &(line("c2") + &line("d")));
    for (lines, expected) in [
        (0, &[][..]),
        (1, &["d"]),
        (2, &["c1", "c2", "d"]),
        (3, &["b", "c1", "c2", "d"]),
        (99, &["a", "b", "c1", "c2", "d"]),
    ] {
        let mut reader = Reader::new(&directory.0, 0);
        reader.skip_to_tail(lines).unwrap();
        assert_eq!(read(&mut reader), expected, "--tail={lines}");
    }
    assert_eq!(newest_attempt(&directory.0, 5), Some(0));
    assert_eq!(newest_attempt(&directory.0.join("none"), 5), None);
}

#[test]
fn links_and_fifos_are_refused_and_garbage_is_passed_over() {
    let directory = Directory::new("hostile");
    directory.append("0.log", &format!("garbage\n{}\n{}", "x".repeat(LONGEST + 1), line("a")));
    assert_eq!(read(&mut Reader::new(&directory.0, 0)), ["a"]);
    std::os::unix::fs::symlink("/etc/passwd", directory.0.join("1.log")).unwrap();
    nix::unistd::mkfifo(&directory.0.join("2.log"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    for attempt in [1, 2] {
        let said = Reader::new(&directory.0, attempt).read(&mut |_| Ok(Flow::On)).unwrap_err().text().unwrap();
        assert!(said.contains(&format!("{attempt}.log")), "{said}");
    }
}
