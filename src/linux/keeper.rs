//! The supervisor's side of its keeper: asks for spawns, reads reports, gives descriptors to hold. (Skeleton: signatures.)

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The connection that a supervisor inherits from its keeper.
pub struct Keeper {}

/// One process to be made.
pub struct Spawn<'a> {
    /// The effect's id. A request with a known id spawns nothing and is answered with the child that exists.
    pub id: &'a str,
    /// Flags for clone3 (`CLONE_NEWPID | CLONE_NEWNS` …).
    pub clone_flags: u64,
    /// A sealed memfd to be executed: stage, pause, or another tiny program.
    pub program: BorrowedFd<'a>,
    /// The child's descriptors: each lands at the number beside it, close-on-exec except where the program clears it.
    pub descriptors: &'a [(BorrowedFd<'a>, u32)],
    /// The program makes a second process by `clone(CLONE_PARENT)` and ends; the second is the one that the id means.
    pub second: bool,
}

/// What the keeper has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The child of this id lives (or is not reaped yet).
    Spawned {
        /// The id of the request.
        id: String,
        /// As the keeper sees it.
        pid: i32,
    },
    /// It could not be made.
    SpawnFailed {
        /// The id of the request.
        id: String,
        /// Why.
        errno: i32,
    },
    /// A child has ended and was reaped.
    Exited {
        /// Given by the keeper, rising; a number that is journalled already is dropped.
        sequence: u64,
        /// The id of its spawn; empty for an orphan that fell to the keeper.
        id: String,
        /// As the keeper saw it.
        pid: i32,
        /// As waitid(2) has it: si_code (CLD_EXITED, CLD_KILLED, CLD_DUMPED) and si_status.
        code: i32,
        /// The exit code or signal number.
        status: i32,
        /// CLOCK_REALTIME, nanoseconds.
        wall: i64,
        /// CLOCK_BOOTTIME, nanoseconds.
        boot: u64,
    },
}

impl Keeper {
    /// Takes over the connection and held descriptors that this process was started with.
    pub fn inherited() -> io::Result<Keeper> {
        unimplemented!()
    }

    /// The socket, to be watched for input.
    pub fn socket(&self) -> BorrowedFd<'_> {
        unimplemented!()
    }

    /// Asks for a process. The answer comes as a report.
    pub fn spawn(&self, request: &Spawn<'_>) -> io::Result<()> {
        let _ = request;
        unimplemented!()
    }

    /// Looks at the first report without taking it, so that it can be journalled first.
    pub fn peek(&self) -> io::Result<Option<Report>> {
        unimplemented!()
    }

    /// Takes the report that was peeked.
    pub fn take(&self) -> io::Result<()> {
        unimplemented!()
    }

    /// The keeper may forget this id: its exit is journalled.
    pub fn forget(&self, id: &str) -> io::Result<()> {
        let _ = id;
        unimplemented!()
    }

    /// Gives a descriptor to hold under a tag (`log/web/4/stdout`, at most 63 bytes), beyond this supervisor's life.
    pub fn hold(&self, tag: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let _ = (tag, descriptor);
        unimplemented!()
    }

    /// Lets go of what is held under a tag.
    pub fn release(&self, tag: &str) -> io::Result<()> {
        let _ = tag;
        unimplemented!()
    }

    /// What was held when this supervisor started: tag and descriptor.
    pub fn held(&mut self) -> Vec<(String, OwnedFd)> {
        unimplemented!()
    }

    /// Live children by id and pid, from the page that keeper and twin share.
    pub fn children(&self) -> Vec<(String, i32)> {
        unimplemented!()
    }
}
