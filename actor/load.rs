//! What burdens a machine: memory, log lines, and a heartbeat that shows any gap.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::script::Log;
use crate::system::monotonic;

const MIB: u64 = 1 << 20;

/// Touches so much memory a second, to the goal or for ever; gives it to the caller to keep.
pub fn allocate(per_second: u64, until: Option<u64>) -> Vec<Vec<u8>> {
    let mut kept = Vec::new();
    let mut total = 0u64;
    let began = Instant::now();
    while until.is_none_or(|until| total < until) {
        let piece = MIB.min(until.map_or(MIB, |until| until - total)).min(per_second);
        // Not zero: zeros would be had without touching a page.
        kept.push(vec![1u8; piece as usize]);
        total += piece;
        let due = Duration::from_secs_f64(total as f64 / per_second as f64);
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
    kept
}

/// Writes lines that a test can tell apart: an eight-digit number from 1, a space, filling up to the size.
pub fn log(log: &Log) {
    let mut output: Box<dyn Write> = if log.error { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) };
    let began = Instant::now();
    let mut number = 0u64;
    if log.block > 0 {
        return log_in_blocks(log, &mut *output);
    }
    while log.count.is_none_or(|count| number < count) {
        number += 1;
        let line = line(log, number);
        let written = if log.partial {
            let (first, second) = line.split_at(line.len() / 2);
            output.write_all(first).and_then(|()| output.flush()).and_then(|()| {
                thread::sleep(Duration::from_millis(10));
                output.write_all(second)
            })
        } else {
            output.write_all(&line)
        };
        if written.and_then(|()| output.flush()).is_err() {
            std::process::exit(1);
        }
        if log.rate > 0 {
            let due = Duration::from_secs_f64(number as f64 / log.rate as f64);
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }
}

fn line(log: &Log, number: u64) -> Vec<u8> {
    let mut line = format!("{number:08} ").into_bytes();
    while line.len() < log.size {
        // All bytes but the line end, in turn.
        let byte = if log.binary { ((line.len() as u64 + number) % 256) as u8 } else { b'x' };
        line.push(if byte == b'\n' { 0 } else { byte });
    }
    line.truncate(log.size.max(8));
    if log.newline {
        line.push(b'\n');
    }
    line
}

/// As many whole lines at each write(2) as the block holds, as fast as they are taken: their reader is to be the slower one.
fn log_in_blocks(log: &Log, output: &mut dyn Write) {
    let (mut line, mut block) = (line(log, 0), Vec::with_capacity(log.block));
    let mut number = 0u64;
    while log.count.is_none_or(|count| number < count) {
        number += 1;
        // Counted in the text itself; after 99999999 comes 0.
        for digit in line.iter_mut().take(8).rev() {
            *digit = if *digit == b'9' { b'0' } else { *digit + 1 };
            if *digit != b'0' {
                break;
            }
        }
        block.extend_from_slice(&line);
        if block.len() + line.len() > log.block || log.count == Some(number) {
            if output.write_all(&block).and_then(|()| output.flush()).is_err() {
                std::process::exit(1);
            }
            block.clear();
        }
    }
}

/// Writes all of it as fast as it is taken.
pub fn write_all(pieces: impl Iterator<Item = Vec<u8>>, output: &mut File) {
    for piece in pieces {
        if output.write_all(&piece).is_err() {
            std::process::exit(1);
        }
    }
}

/// Appends a line at each beat: who, which, when. Two instances at once, or a pause, can be seen afterwards.
pub struct Heartbeat {
    file: File,
    every: Duration,
    id: String,
    began: Instant,
}

impl Heartbeat {
    /// The id of an instance is drawn by the kernel unless given. The first beat is written here: an instance shows itself
    /// however soon its end comes.
    pub fn open(path: &str, every: Duration, id: Option<String>) -> Result<Heartbeat, String> {
        let drawn = || std::fs::read_to_string("/proc/sys/kernel/random/uuid").map(|text| text.trim().to_owned());
        let id = id.map_or_else(drawn, Ok).map_err(|error| format!("could not draw an id: {error}"))?;
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(|error| format!("could not open {path}: {error}"))?;
        let mut heart = Heartbeat { file, every, id, began: Instant::now() };
        heart.write(1);
        Ok(heart)
    }

    /// For ever.
    pub fn beat(mut self) {
        for count in 2u32.. {
            thread::sleep((self.every * (count - 1)).saturating_sub(self.began.elapsed()));
            self.write(count);
        }
    }

    fn write(&mut self, count: u32) {
        // One write(2) a line: with O_APPEND lines of several instances do not mix.
        if let Err(error) = self.file.write_all(format!("{} {count} {}\n", self.id, monotonic()).as_bytes()) {
            crate::complain(&format!("heartbeat: {error}"));
        }
    }
}
