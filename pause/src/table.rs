//! The stage's table: system calls as data, in one memfd that the stage maps at its start.
//!
//! Layout: [`Header`], then `entries` × [`Entry`], then `relocations` × `u32` (byte offsets, from the table's start, of
//! 8-byte words to which the table's address is added), then data. Any pointer (a path, argv, a `sock_fprog`, an `iovec`)
//! is a word in the relocation list that holds an offset into the table; all else is plain data.

/// First word of a table.
pub const MAGIC: u32 = 0x706f_646c;
/// Changed whenever the layout does.
pub const VERSION: u32 = 1;

/// The stage's fixed descriptors: the table, and the status pipe's writing end (close-on-exec: end of file means that
/// the program runs). Descriptors that a table uses come at [`FIRST_DESCRIPTOR`] and above.
pub const TABLE_DESCRIPTOR: u32 = 3;
/// See [`TABLE_DESCRIPTOR`].
pub const STATUS_DESCRIPTOR: u32 = 4;
/// The first descriptor number free for a table's own use.
pub const FIRST_DESCRIPTOR: u32 = 64;

/// The head of a table.
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
    /// 1: record each entry's result and times in its own `result`, `began`, `ended` (CLOCK_MONOTONIC); the map is shared.
    pub trace: u32,
}

/// One system call.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The system call's number on this architecture.
    pub number: u16,
    /// An errno that counts as success (EEXIST of a mkdirat), 0 for none; [`ANY_ERRNO`] for all.
    pub may_fail: u16,
    /// When to run it at all.
    pub condition: u16,
    /// The entry whose result the condition looks at.
    pub condition_entry: u16,
    /// Bit i: argument i is the index of an earlier entry whose result is to be passed.
    pub results: u8,
    /// Explicit padding.
    pub pad: [u8; 7],
    /// The arguments.
    pub arguments: [u64; 6],
    /// Filled in by the stage: what the call returned (a negative errno on failure).
    pub result: i64,
    /// Filled in when tracing, nanoseconds.
    pub began: u64,
    /// Filled in when tracing, nanoseconds.
    pub ended: u64,
}

/// `may_fail`: whatever the errno.
pub const ANY_ERRNO: u16 = u16::MAX;
/// `condition`: always.
pub const ALWAYS: u16 = 0;
/// `condition`: only if the result of `condition_entry` was zero.
pub const IF_ZERO: u16 = 1;
/// `condition`: only if it was not zero.
pub const IF_NOT_ZERO: u16 = 2;

/// What the stage writes to its status pipe, a packet each: kind, entry index, value.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// [`FAILED`] or [`SECOND`].
    pub kind: u32,
    /// Of the entry concerned.
    pub entry: u32,
    /// The errno, or the second process's pid.
    pub value: i64,
}

/// `Status::kind`: a step failed; the process ends with 111.
pub const FAILED: u32 = 1;
/// `Status::kind`: `clone(CLONE_PARENT)` made the second process of this pid (as the keeper sees it).
pub const SECOND: u32 = 2;
