//! The stage's table: system calls as data, in one memfd that the stage maps at its start.
//!
//! Layout: [`Header`], then `entries` × [`Entry`], then `relocations` × `u32` (byte offsets, from the table's start, of
//! 8-byte words to which the table's address is added), then data. Any pointer (a path, argv, a `sock_fprog`, an `iovec`)
//! is a word in the relocation list that holds an offset into the table; all else is plain data.

/// First word of a table.
pub const MAGIC: u32 = 0x706f_646c;
/// Changed whenever the layout does.
pub const VERSION: u32 = 2;
/// No table is larger: the stage maps this much without asking for the size. It holds argv and environment, which
/// execve(2) limits to a quarter of the 8 MiB stack.
pub const SIZE_MAX: usize = 4 << 20;
/// How many entries a table may have.
pub const ENTRIES_MAX: u32 = 512;

/// The stage's fixed descriptors: the table, and the status pipe's writing end. They come without close-on-exec (they
/// had to pass the stage's own exec), so a table that ends in execve has `close_range(3, !0, CLOSE_RANGE_CLOEXEC)` before
/// it: then end of file on the status pipe means that the program runs, or that the process ended after a [`Status`].
/// (It may be no pipe but a socket by which a table is told to go on.)
/// Descriptors that a table uses come at [`FIRST_DESCRIPTOR`] and above.
pub const TABLE_DESCRIPTOR: u32 = 3;
/// See [`TABLE_DESCRIPTOR`].
pub const STATUS_DESCRIPTOR: u32 = 4;
/// The first descriptor number free for a table's own use.
pub const FIRST_DESCRIPTOR: u32 = 64;

/// The head of a table. A table is executed once: its relocations are made in place.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: u32,
    /// [`VERSION`].
    pub version: u32,
    /// Number of entries, at most 512.
    pub entries: u32,
    /// Number of relocations.
    pub relocations: u32,
    /// Size of the whole table in bytes.
    pub size: u32,
    /// 1: record each entry's times in its own `began` and `ended` (CLOCK_MONOTONIC). The map is shared with whoever made
    /// the table; `result` is filled in always.
    pub trace: u32,
    /// The second process's pid as the keeper sees it, else 0. The kernel itself stores it before that process runs: a
    /// table that makes one does so by `clone(CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD, 0, &second)`, the third
    /// argument being a relocated [`SECOND_OFFSET`]. The keeper reads it from the table, whatever becomes of the first.
    pub second: u32,
    /// For a table that makes a process and waits for it: what wait4(2) stores of its end.
    pub ended: u32,
}

/// Where [`Header::second`] lies in a table.
pub const SECOND_OFFSET: usize = core::mem::offset_of!(Header, second);
/// Where [`Header::ended`] does.
pub const ENDED_OFFSET: usize = core::mem::offset_of!(Header, ended);

/// One system call.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The system call's number on this architecture.
    pub number: u16,
    /// An errno that counts as success (EEXIST of a mkdirat), 0 for none; [`ANY_ERRNO`] for all.
    pub may_fail: u16,
    /// When to run it at all. An entry that is not run keeps the `result` that it was written with.
    pub condition: u16,
    /// The entry whose result the condition looks at.
    pub condition_entry: u16,
    /// Bit i: argument i is the index of an earlier entry whose result is to be passed.
    pub results: u8,
    /// Explicit padding.
    pub pad: [u8; 7],
    /// The arguments.
    pub arguments: [u64; 6],
    /// Filled in by the stage: what the call returned (a negative errno on failure). Write 0.
    pub result: i64,
    /// Filled in when tracing, nanoseconds.
    pub began: u64,
    /// Filled in when tracing, nanoseconds.
    pub ended: u64,
}

/// `Entry::number` of what is no system call: the entry whose number is the first argument comes next.
pub const GO_TO: u16 = u16::MAX;

/// `may_fail`: whatever the errno.
pub const ANY_ERRNO: u16 = u16::MAX;
/// `condition`: always.
pub const ALWAYS: u16 = 0;
/// `condition`: only if the result of `condition_entry` was zero.
pub const IF_ZERO: u16 = 1;
/// `condition`: only if it was not zero.
pub const IF_NOT_ZERO: u16 = 2;

/// What the stage writes to its status pipe when a step fails; the process then ends with [`FAILED_EXIT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// [`FAILED`].
    pub kind: u32,
    /// The entry that failed; [`BAD_TABLE`] when the table itself is not one.
    pub entry: u32,
    /// The errno.
    pub value: i64,
}

/// `Status::kind`: a step failed.
pub const FAILED: u32 = 1;
/// `Status::entry`: no entry failed but the table (magic, version, sizes).
pub const BAD_TABLE: u32 = u32::MAX;
/// The exit code of a stage with a failed step.
pub const FAILED_EXIT: i32 = 111;
