//! How records are printed: as a kubelet writes them into a log request's answer, with kubectl's prefixes before lines.

use std::io;

use jiff::Timestamp;

use super::super::Caller;
use super::files::Flow;
use crate::supervisor::cri::Record;

/// What of records is printed, and how.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// `--timestamps`.
    pub timestamps: bool,
    /// `--since`, `--since-time`: earlier records are passed over.
    pub since: Option<Timestamp>,
}

/// One container's share of the output.
#[derive(Clone, Debug, Default)]
pub struct Share {
    /// Before each line: `[pod/web/app] `; empty without `--prefix`.
    pub prefix: String,
    /// `--limit-bytes`: so many are left. Prefixes do not count.
    pub left: Option<u64>,
}

/// What several containers print to, line by line.
pub struct Lines {
    shape: Shape,
    /// Whose line has begun and not ended.
    unfinished: Option<usize>,
}

impl Lines {
    /// At the start of a line.
    pub fn new(shape: Shape) -> Lines {
        Lines { shape, unfinished: None }
    }

    /// Prints one record of the container of this number.
    pub fn print(
        &mut self,
        number: usize,
        share: &mut Share,
        record: &Record<'_>,
        caller: &mut Caller<'_>,
    ) -> io::Result<Flow> {
        if let Some(since) = self.shape.since
            && record.time.parse::<Timestamp>().is_ok_and(|time| time < since)
        {
            return Ok(Flow::On);
        }
        let begins = self.unfinished != Some(number);
        if begins && self.unfinished.is_some() {
            // Another container's unfinished line does not become the start of this one's.
            caller.print("\n")?;
        }
        let mut line = Vec::with_capacity(record.content.len() + 40);
        if begins && self.shape.timestamps {
            line.extend_from_slice(record.time.as_bytes());
            line.push(b' ');
        }
        line.extend_from_slice(record.content);
        if record.full {
            line.push(b'\n');
        }
        let mut flow = Flow::On;
        if let Some(left) = &mut share.left {
            let allowed = usize::try_from(*left).unwrap_or(usize::MAX);
            if line.len() >= allowed {
                line.truncate(allowed);
                flow = Flow::Enough;
            }
            *left = left.saturating_sub(line.len() as u64);
        }
        if begins {
            caller.print(&share.prefix)?;
        }
        caller.out.write_all(&line)?;
        self.unfinished = (!line.ends_with(b"\n")).then_some(number);
        Ok(flow)
    }

    /// Whether a line has begun and not ended.
    pub fn is_unfinished(&self) -> bool {
        self.unfinished.is_some()
    }

    /// Ends a line that has begun, so that something else can be printed.
    pub fn finish(&mut self, caller: &mut Caller<'_>) -> io::Result<()> {
        if self.unfinished.take().is_some() { caller.print("\n") } else { Ok(()) }
    }
}
