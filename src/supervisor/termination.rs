//! What a container leaves as its message (lifecycle 3.5): the end of its termination-log file, or of its log. The file is
//! writable by the container: nothing of what is read here is trusted, and reading never follows, waits or reads much.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::cri;
use crate::pod::input::TerminationMessage;
use crate::pod::numbers::Numbers;

/// The most that is read of a termination-log file or a log: what may be shown of it.
const NUMBERS: Numbers = Numbers::KUBERNETES;
/// As much of a log's end as could hold that, records' heads included.
const LOG_WINDOW: u64 = 256 * 1024;

/// Reads what an instance left. `shown_path` is the path inside the container, for the kubelet's message. The log is read
/// only where the policy asks for it.
pub fn read(file: &Path, shown_path: &str, log: Option<&Path>) -> TerminationMessage {
    let mut message = TerminationMessage::default();
    match file_end(file) {
        Ok(text) => message.file = text,
        // Never made (a start that failed early), or removed: no message.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => message.error = Some(format!("Error on reading termination log {shown_path}: {error}")),
    }
    if message.file.is_empty()
        && let Some(log) = log
    {
        match log_end(log) {
            Ok(text) => message.log_tail = text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                message.error = Some(format!("Error on reading termination message from logs: {error}"));
            }
        }
    }
    message
}

/// Opens a plain file; O_NONBLOCK so that a FIFO put in its place does not hold the supervisor.
fn open_plain(path: &Path) -> io::Result<File> {
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

fn end_of(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut file = open_plain(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut end = Vec::new();
    file.take(bytes).read_to_end(&mut end)?;
    Ok(end)
}

fn file_end(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&end_of(path, NUMBERS.message_file_bytes)?).into_owned())
}

fn log_end(path: &Path) -> io::Result<String> {
    let window = end_of(path, LOG_WINDOW)?;
    let mut lines: VecDeque<Vec<u8>> = VecDeque::new();
    let mut continues = false;
    // The first line of the window may be cut: then it does not parse, or its content is short, which the limit of bytes hides.
    for line in window.split(|byte| *byte == b'\n') {
        let Some(record) = cri::parse(line) else { continue };
        match lines.back_mut().filter(|_| continues) {
            Some(last) => last.extend_from_slice(record.content),
            None => lines.push_back(record.content.to_vec()),
        }
        if record.full
            && let Some(last) = lines.back_mut()
        {
            last.push(b'\n');
        }
        continues = !record.full;
        if lines.len() as u64 > NUMBERS.message_log_lines {
            lines.pop_front();
        }
    }
    let text: Vec<u8> = lines.into_iter().flatten().collect();
    let most = usize::try_from(NUMBERS.message_log_bytes).unwrap_or(usize::MAX);
    let end = text.get(text.len().saturating_sub(most)..).unwrap_or_default();
    Ok(String::from_utf8_lossy(end).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::PathBuf;

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("podlet-termination-{name}-{}", std::process::id()));
        super::super::files::private_directory(&directory).unwrap();
        directory
    }

    #[test]
    fn the_end_of_the_file_comes_first_and_the_log_only_without_it() {
        let directory = directory("order");
        let (file, log) = (directory.join("termination-log"), directory.join("0.log"));
        std::fs::write(&log, "t stdout F from the log\nt stderr P par\nt stderr F tial\n").unwrap();
        assert_eq!(read(&file, "/dev/termination-log", None), TerminationMessage::default());
        assert_eq!(read(&file, "/dev/termination-log", Some(&log)).log_tail, "from the log\npartial\n");
        std::fs::write(&file, format!("{}{}", "x".repeat(5000), "end")).unwrap();
        let message = read(&file, "/dev/termination-log", Some(&log));
        assert_eq!((message.file.len(), message.file.ends_with("xend")), (4096, true));
        assert_eq!((message.log_tail.as_str(), message.error), ("", None));
        super::super::files::remove_tree(&directory).unwrap();
    }

    #[test]
    fn eighty_lines_and_of_these_two_kibibytes() {
        let directory = directory("lines");
        let log = directory.join("0.log");
        let lines: String = (0..200).map(|n| format!("t stdout F {n}\n")).collect();
        std::fs::write(&log, lines).unwrap();
        let tail = log_end(&log).unwrap();
        assert!(tail.starts_with("120\n") && tail.ends_with("199\n"), "{tail}");
        let lines: String = (0..200).map(|n| format!("t stdout F {n} {}\n", "y".repeat(100))).collect();
        std::fs::write(&log, lines).unwrap();
        assert_eq!(log_end(&log).unwrap().len(), 2048);
        super::super::files::remove_tree(&directory).unwrap();
    }

    #[test]
    fn links_and_pipes_are_not_read() {
        let directory = directory("links");
        let (link, pipe) = (directory.join("link"), directory.join("pipe"));
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [link, pipe] {
            let message = read(&path, "/dev/termination-log", None);
            assert_eq!(message.file, "");
            assert!(message.error.unwrap().starts_with("Error on reading termination log /dev/termination-log: "));
        }
        super::super::files::remove_tree(&directory).unwrap();
    }
}
