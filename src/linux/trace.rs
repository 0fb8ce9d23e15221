//! What a stage recorded of its steps: each call with its result and duration, beside the step that it belongs to. The
//! supervisor reads it from the table when a start is over and writes it into the pod's run directory; `apply --trace`
//! prints it. Nothing is decided by it.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use pause::table;
use serde::{Deserialize, Serialize};

use super::call::Call;
use crate::plan::Plan;

/// How the steps of one process went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// As in the plan: `container web`.
    pub title: String,
    /// In order.
    pub steps: Vec<TracedStep>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedStep {
    /// For people.
    pub step: String,
    /// Its calls.
    pub calls: Vec<TracedCall>,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedCall {
    /// As `plan` shows it; values of Secrets are references.
    pub call: String,
    /// How it went.
    pub outcome: Outcome,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It came back.
    Returned {
        /// What it returned; a negative errno on failure.
        result: i64,
        /// How long it took.
        nanoseconds: u64,
    },
    /// It did not come back: the program runs.
    Became,
    /// It was not made: its condition did not hold, or an earlier step failed or had done already what it is for.
    NotMade,
}

/// How a start ended, which the table alone does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The program runs.
    Executed,
    /// A step failed.
    Failed,
}

/// Reads what the stage has written into the table that was lowered from this plan.
pub fn read(plan: &Plan, table: BorrowedFd<'_>, end: End) -> io::Result<Trace> {
    let calls = plan.calls().map_err(io::Error::other)?;
    let file = File::from(table.try_clone_to_owned()?);
    let mut entries = Vec::with_capacity(calls.len());
    for index in 0..calls.len() {
        entries.push(Times::read(&file, index)?);
    }
    Ok(Trace { title: plan.title.clone(), steps: steps(plan, &calls, &entries, end) })
}

/// What an entry of the table says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times {
    result: i64,
    began: u64,
    ended: u64,
}

impl Times {
    fn read(file: &File, index: usize) -> io::Result<Times> {
        let entry = size_of::<table::Header>() + index * size_of::<table::Entry>();
        let word = |field: usize| {
            let mut bytes = [0; 8];
            file.read_exact_at(&mut bytes, (entry + field) as u64).map(|()| u64::from_ne_bytes(bytes))
        };
        Ok(Times {
            result: word(std::mem::offset_of!(table::Entry, result))?.cast_signed(),
            began: word(std::mem::offset_of!(table::Entry, began))?,
            ended: word(std::mem::offset_of!(table::Entry, ended))?,
        })
    }
}

fn steps(plan: &Plan, calls: &[Call], entries: &[Times], end: End) -> Vec<TracedStep> {
    let mut steps: Vec<TracedStep> =
        plan.steps.iter().map(|step| TracedStep { step: step.to_string(), calls: Vec::new() }).collect();
    // execve does not come back when it succeeds: of those that the stage may have tried it is the first without an end.
    let became = calls
        .iter()
        .zip(entries)
        .position(|(call, times)| end == End::Executed && call.name.starts_with("execve") && times.ended == 0);
    for (index, (call, times)) in calls.iter().zip(entries).enumerate() {
        let outcome = if became == Some(index) {
            Outcome::Became
        } else if times.ended == 0 {
            Outcome::NotMade
        } else {
            Outcome::Returned { result: times.result, nanoseconds: times.ended.saturating_sub(times.began) }
        };
        if let Some(step) = steps.get_mut(call.step) {
            step.calls.push(TracedCall { call: call.to_string(), outcome });
        }
    }
    steps
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Returned { result, nanoseconds } => {
                match i32::try_from(-result) {
                    Ok(errno) if (1..4096).contains(&errno) => write!(f, "-1 {:?}", Errno::from_raw(errno))?,
                    _ => write!(f, "{result}")?,
                }
                write!(f, " <{}.{:03} us>", nanoseconds / 1000, nanoseconds % 1000)
            }
            Outcome::Became => f.write_str("0 (the program runs)"),
            Outcome::NotMade => f.write_str("(not made)"),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {:>3}  {}", number + 1, step.step)?;
            for call in &step.calls {
                writeln!(f, "         {} = {}", call.call, call.outcome)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::fd::AsFd;

    use super::*;
    use crate::linux::call::encode;
    use crate::plan::{Secrets, Step, Text};

    fn plan() -> Plan {
        let execute = Step::Execute {
            candidates: vec!["/bin/a".to_owned(), "/usr/bin/a".to_owned()],
            arguments: vec![Text::from("a")],
            environment: Vec::new(),
        };
        let steps = vec![Step::SetUmask { mask: 0o22 }, execute];
        Plan {
            title: "container web".to_owned(),
            new_namespaces: Vec::new(),
            into_cgroup: false,
            descriptors: Vec::new(),
            steps,
        }
    }

    /// As a stage leaves it: (index, result, began, ended).
    fn table(plan: &Plan, written: &[(usize, i64, u64, u64)]) -> File {
        let bytes = encode(&plan.calls().unwrap(), &Secrets::default(), true).unwrap();
        let memfd = nix::sys::memfd::memfd_create(c"t", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap();
        let file = File::from(memfd);
        file.write_all_at(&bytes, 0).unwrap();
        for (index, result, began, ended) in written {
            let entry = size_of::<table::Header>() + index * size_of::<table::Entry>();
            let put = |field: usize, word: [u8; 8]| file.write_all_at(&word, (entry + field) as u64).unwrap();
            put(std::mem::offset_of!(table::Entry, result), result.to_ne_bytes());
            put(std::mem::offset_of!(table::Entry, began), began.to_ne_bytes());
            put(std::mem::offset_of!(table::Entry, ended), ended.to_ne_bytes());
        }
        file
    }

    #[test]
    fn a_start_as_it_ran() {
        let plan = plan();
        let enoent = i64::from(libc::ENOENT);
        let table = table(&plan, &[(0, 0o77, 1_000, 2_500), (1, -enoent, 2_500, 12_502)]);
        let trace = read(&plan, table.as_fd(), End::Executed).unwrap();
        assert_eq!(
            trace.to_string(),
            "container web\n    1  umask 022\n         umask(022) = 63 <1.500 us>\n    2  execute /bin/a or /usr/bin/a: \
             [\"a\"]\n         execve(\"/bin/a\", [\"a\"], []) = -1 ENOENT <10.002 us>\n         \
             execve(\"/usr/bin/a\", [\"a\"], []) = 0 (the program runs)\n"
        );
        let json = serde_json::to_string(&trace).unwrap();
        assert_eq!(serde_json::from_str::<Trace>(&json).unwrap(), trace);
    }

    #[test]
    fn a_start_that_failed() {
        let plan = plan();
        let table = table(&plan, &[(0, 0, 1, 2)]);
        let trace = read(&plan, table.as_fd(), End::Failed).unwrap();
        let last: Vec<Outcome> = trace.steps[1].calls.iter().map(|call| call.outcome).collect();
        assert_eq!(last, [Outcome::NotMade, Outcome::NotMade]);
    }
}
