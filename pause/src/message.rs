//! What a pod's keeper and its supervisor share: packets over one `SOCK_SEQPACKET` pair, and a page of memory that outlives
//! either. Whoever starts a keeper writes the page; the keeper alone changes it; a supervisor reads it.
//!
//! Every change is ordered so that a keeper killed at any instruction leaves a page from which its twin goes on: a request
//! stays in its queue until it was carried out and answered, a child's pid is stored by the kernel as the child is made
//! (CLONE_PARENT_SETTID), an exit's number is stored before its record is sent. So a packet may come twice, never not.

use core::ptr::null;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering::SeqCst};

/// That a process has exited by itself, and by no signal (waitid(2)).
const CLD_EXITED: i32 = 1;

/// First word of a page.
pub const MAGIC: u32 = 0x6b65_6570;
/// Of the page's and the packets' layout. A pod may be older than the program that looks at it, and its keeper may become a
/// newer one (`UPGRADE`) with the page that it has: so fields keep their places and meanings, new ones are taken from
/// [`Page::spare`] (0 is what an older one has there) and raise this number.
pub const VERSION: u32 = 4;
/// The oldest that this program's keeper can go on with, and its supervisor speaks.
pub const OLDEST: u32 = 4;

/// Descriptor of the page, in keeper and supervisor.
pub const PAGE_DESCRIPTOR: i32 = 3;
/// Descriptor of the supervisor's program, in the keeper.
pub const PROGRAM_DESCRIPTOR: i32 = 4;
/// The supervisor's end of the socket pair, in keeper and supervisor: so the queue outlives every supervisor.
pub const SUPERVISOR_SOCKET: i32 = 5;
/// The keeper's end.
pub const KEEPER_SOCKET: i32 = 6;
/// Held descriptors lie at this number and above.
pub const FIRST_HELD: i32 = 64;

/// How many descriptors come with one spawn besides the program (SCM_MAX_FD is 253).
pub const DESCRIPTORS_MAX: usize = 252;
/// How many spawns a keeper remembers.
pub const CHILDREN_MAX: usize = 8192;
/// How many descriptors a keeper holds.
pub const HELD_MAX: usize = 512;
/// How many bytes the arguments of both have in all, each with its NUL.
pub const ARGUMENTS_MAX: usize = 2048;
/// How many arguments supervisor and keeper have together.
pub const ARGUMENTS_COUNT: usize = 24;
/// How many of them the keeper has: what `ps` shows.
pub const KEEPER_ARGUMENTS: usize = 2;

/// The exit code of a child that could not place its descriptors or execute its program.
pub const NOT_EXECUTED_EXIT: i32 = 110;
/// The exit code of a supervisor whose pod is over: keeper and twin end, once they have no child left. After any other end
/// the keeper starts another, with a back-off unless it is [`ASLEEP_EXIT`].
pub const OVER_EXIT: i32 = 0;
/// The exit code of a supervisor that sleeps: the keeper starts the next one when the descriptor that it holds as [`ALARM`]
/// is readable, and at once if there is none. The alarm is an epoll set of the supervisor's making, in which are the queue
/// of reports, the control socket, log pipes and a timer. All of them are looked at as they are, whenever that is, so what
/// happens between the making of the set and the supervisor's end is not missed.
pub const ASLEEP_EXIT: i32 = 3;
/// The shortest wait before a supervisor is started again, nanoseconds; doubled at each failure.
pub const BACKOFF_MIN: u64 = 20_000_000;
/// The longest. A supervisor that ran longer begins anew at the shortest.
pub const BACKOFF_MAX: u64 = 10_000_000_000;

/// Words in a [`Name`].
pub const NAME_WORDS: usize = 15;
/// An effect's id or a tag: UTF-8, padded with NULs, at most [`NAME_MAX`] bytes.
pub type Name = [u64; NAME_WORDS];
/// `start/`, a container's name of 63 bytes and a count fit well.
pub const NAME_MAX: usize = NAME_WORDS * 8;

/// The tag of what a sleeping supervisor is woken by.
pub const ALARM_TAG: &str = "alarm";
/// The same as a name.
pub const ALARM: Name = [u64::from_ne_bytes(*b"alarm\0\0\0"), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A name in the page.
#[repr(C)]
pub struct Stored([AtomicU64; NAME_WORDS]);

impl Stored {
    /// Whether it is this one.
    pub fn is(&self, name: &Name) -> bool {
        self.0.iter().zip(name).all(|(stored, word)| stored.load(SeqCst) == *word)
    }

    /// Changes it.
    pub fn store(&self, name: &Name) {
        self.0.iter().zip(name).for_each(|(stored, word)| stored.store(*word, SeqCst));
    }

    /// Reads it.
    pub fn load(&self) -> Name {
        let mut name = Name::default();
        self.0.iter().zip(&mut name).for_each(|(stored, word)| *word = stored.load(SeqCst));
        name
    }
}

/// `Request::kind`: make a process. Descriptors: the program, one for each target, and with CLONE_INTO_CGROUP the cgroup.
pub const SPAWN: u32 = 1;
/// `Request::kind`: forget an id whose exit was reported.
pub const FORGET: u32 = 2;
/// `Request::kind`: hold the one descriptor under this name, in place of one held under it before.
pub const HOLD: u32 = 3;
/// `Request::kind`: close what is held under this name.
pub const RELEASE: u32 = 4;
/// `Request::kind`: become the keeper's program that is the second descriptor, and start supervisors from the first.
/// `Request::second` is a number that no such request had before ([`Page::upgrade`]), and not 0.
pub const UPGRADE: u32 = 5;

/// From supervisor to keeper. Only the part up to the last target in use is sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// [`SPAWN`] …
    pub kind: u32,
    /// 1: the program makes a second process, which is the one that the id means (`table::Header::second`). With
    /// [`UPGRADE`] its number.
    pub second: u32,
    /// For clone3; namespaces, and CLONE_INTO_CGROUP (clone3 with which a cgroup v2 directory comes as the last descriptor).
    pub clone_flags: u64,
    /// How many targets follow.
    pub count: u32,
    /// Explicit padding.
    pub pad: u32,
    /// Id or tag.
    pub name: Name,
    /// The numbers at which the child gets its descriptors, without close-on-exec.
    pub targets: [i32; DESCRIPTORS_MAX],
}

impl Default for Request {
    fn default() -> Request {
        let (name, targets) = (Name::default(), [0; DESCRIPTORS_MAX]);
        Request { kind: 0, second: 0, clone_flags: 0, count: 0, pad: 0, name, targets }
    }
}

/// `Report::kind`: the child of this id is `pid`. While its entry in the page is [`LIVE`] it is not reaped.
pub const SPAWNED: u32 = 1;
/// `Report::kind`: it could not be made; `status` is the errno, nothing is remembered.
pub const SPAWN_FAILED: u32 = 2;
/// `Report::kind`: a child has ended.
pub const EXITED: u32 = 3;
/// `Report::kind`: the descriptor of this tag is not held; `status` is the errno.
pub const HOLD_FAILED: u32 = 4;
/// `Report::kind`: the keeper runs the program that it was to become, or, where `status` is an errno, could not.
pub const UPGRADED: u32 = 5;

/// From keeper to supervisor.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// [`SPAWNED`] …
    pub kind: u32,
    /// As the keeper sees it.
    pub pid: i32,
    /// si_code of waitid(2).
    pub code: i32,
    /// si_status of waitid(2), or an errno.
    pub status: i32,
    /// Of exits alone: rising. A number that comes twice is the same exit.
    pub sequence: u64,
    /// CLOCK_REALTIME when the keeper saw the exit, nanoseconds.
    pub wall: i64,
    /// CLOCK_BOOTTIME, nanoseconds.
    pub boot: u64,
    /// Id or tag; all zero for an orphan that fell to the keeper.
    pub name: Name,
}

/// `Child::state`: not in use.
pub const FREE: u32 = 0;
/// `Child::state`: being made, or alive, or its exit not yet reported.
pub const LIVE: u32 = 1;
/// `Child::state`: its exit is reported; kept until forgotten.
pub const ENDED: u32 = 2;

/// One spawn that the keeper remembers.
#[repr(C)]
pub struct Child {
    /// [`FREE`], [`LIVE`] or [`ENDED`].
    pub state: AtomicU32,
    /// The process that the id means; 0 until it is known.
    pub pid: AtomicI32,
    /// The process that is to make it, while that is not reaped.
    pub first: AtomicI32,
    /// The descriptor of the table of `first`.
    pub table: AtomicI32,
    /// 1: the request was answered.
    pub answered: AtomicU32,
    /// Explicit padding.
    pub pad: u32,
    /// Its id.
    pub name: Stored,
}

/// One descriptor that the keeper holds.
#[repr(C)]
pub struct Held {
    /// Its number in keeper and supervisor, 0 when this is not in use.
    pub descriptor: AtomicI32,
    /// Explicit padding.
    pub pad: u32,
    /// Its tag.
    pub name: Stored,
}

/// The page. Much of it is never touched and costs nothing: whoever looks through a list looks no further than its `used`.
#[repr(C)]
pub struct Page {
    /// [`MAGIC`].
    pub magic: u32,
    /// [`VERSION`].
    pub version: u32,
    /// The keeper's pid.
    pub keeper: AtomicI32,
    /// Its twin's, 0 when that has become the keeper. (A dead twin's number stays: the keeper's parent tells.)
    pub guard: AtomicI32,
    /// The supervisor's, 0 while none runs.
    pub supervisor: AtomicI32,
    /// 1: a supervisor ended with [`OVER_EXIT`].
    pub over: AtomicU32,
    /// How many supervisors were started.
    pub starts: AtomicU32,
    /// How many ended badly one after the other, each within [`BACKOFF_MAX`] of its start.
    pub failures: AtomicU32,
    /// si_code of the last end.
    pub ended_code: AtomicI32,
    /// si_status of the last end.
    pub ended_status: AtomicI32,
    /// When the supervisor was started, CLOCK_BOOTTIME.
    pub started_at: AtomicU64,
    /// When the next may be.
    pub restart_at: AtomicU64,
    /// The number last given to an exit.
    pub sequence: AtomicU64,
    /// The process that has it and is not yet reaped, else 0.
    pub pending: AtomicI32,
    /// How many [`Page::children`] were ever in use.
    pub children_used: AtomicU32,
    /// How many [`Page::held`] were ever in use.
    pub held_used: AtomicU32,
    /// How many arguments the supervisor has; the keeper's own, [`KEEPER_ARGUMENTS`] in number, come behind them.
    pub arguments_count: u32,
    /// The number of the [`UPGRADE`] that was begun last; 0 when there was none, or it came to nothing.
    pub upgrade: AtomicU32,
    /// For later versions; all 0.
    pub spare: [AtomicU32; 31],
    /// Where each begins in `arguments`.
    pub arguments_at: [u16; ARGUMENTS_COUNT],
    /// The arguments, each ended by NUL.
    pub arguments: [u8; ARGUMENTS_MAX],
    /// What is held.
    pub held: [Held; HELD_MAX],
    /// What was spawned.
    pub children: [Child; CHILDREN_MAX],
}

impl Page {
    /// Whether the last supervisor fell asleep.
    pub fn asleep(&self) -> bool {
        self.ended_code.load(SeqCst) == CLD_EXITED && self.ended_status.load(SeqCst) == ASLEEP_EXIT
    }

    /// The descriptor by which a sleeping one is to be woken; -1 when the next one is not to wait.
    pub fn alarm(&self) -> i32 {
        let is = |held: &&Held| held.descriptor.load(SeqCst) != 0 && held.name.is(&ALARM);
        let alarm = self.held().find(|held| self.asleep() && is(held));
        alarm.map_or(-1, |held| held.descriptor.load(SeqCst))
    }

    /// Children that are or were in use.
    pub fn children(&self) -> impl Iterator<Item = &Child> {
        self.children.iter().take(self.children_used.load(SeqCst) as usize)
    }

    /// Frees the place of a child whose end is reported. True: it is done, whether or not there was one.
    pub fn forget(&self, name: &Name) -> bool {
        let over = |child: &&Child| child.state.load(SeqCst) == ENDED && child.first.load(SeqCst) == 0;
        self.child(name).filter(over).into_iter().for_each(|child| child.state.store(FREE, SeqCst));
        true
    }

    /// A supervisor is about to be started. Should that not come about, it is tried again after [`BACKOFF_MAX`].
    pub fn supervisor_starts(&self, now: u64) {
        self.starts.fetch_add(1, SeqCst);
        self.started_at.store(now, SeqCst);
        self.restart_at.store(now + BACKOFF_MAX, SeqCst);
    }

    /// It has ended, as waitid(2) tells: when the next one may be.
    pub fn supervisor_ended(&self, code: i32, status: i32, now: u64) {
        self.ended_code.store(code, SeqCst);
        self.ended_status.store(status, SeqCst);
        self.over.store((code == CLD_EXITED && status == OVER_EXIT) as u32, SeqCst);
        let (ran, asleep) = (now - self.started_at.load(SeqCst), self.asleep());
        let failures = if asleep || ran > BACKOFF_MAX { 0 } else { self.failures.load(SeqCst) };
        self.failures.store(failures + !asleep as u32, SeqCst);
        let back_off = if asleep { 0 } else { (BACKOFF_MIN << failures.min(9)).min(BACKOFF_MAX) };
        self.restart_at.store(now + back_off, SeqCst);
        self.supervisor.store(0, SeqCst);
    }

    /// The one of this id.
    pub fn child(&self, name: &Name) -> Option<&Child> {
        self.children().find(|child| child.state.load(SeqCst) != FREE && child.name.is(name))
    }

    /// All that a keeper needs to go on: these, what is held, the tables of second processes that are still to be made.
    pub fn descriptors(&self) -> impl Iterator<Item = i32> {
        let tables = self.children().filter(|child| child.first.load(SeqCst) != 0);
        let tables = tables.map(|child| child.table.load(SeqCst));
        let held = self.held().map(|held| held.descriptor.load(SeqCst));
        (PAGE_DESCRIPTOR..=KEEPER_SOCKET).chain(held.chain(tables).filter(|fd| *fd > KEEPER_SOCKET))
    }

    /// What a supervisor is started with.
    pub fn supervisor_arguments(&self) -> [*const u8; ARGUMENTS_COUNT + 1] {
        self.list(0, self.arguments_count as usize)
    }

    /// What the keeper was started with.
    pub fn keeper_arguments(&self) -> [*const u8; ARGUMENTS_COUNT + 1] {
        self.list(self.arguments_count as usize, KEEPER_ARGUMENTS)
    }

    fn list(&self, first: usize, count: usize) -> [*const u8; ARGUMENTS_COUNT + 1] {
        let mut list = [null(); ARGUMENTS_COUNT + 1];
        for (to, at) in list.iter_mut().zip(self.arguments_at.iter().skip(first).take(count)) {
            *to = self.arguments.as_ptr().wrapping_add(*at as usize);
        }
        list
    }

    /// The one that this process is of.
    pub fn child_of(&self, pid: i32) -> Option<&Child> {
        let is = |of: &AtomicI32| of.load(SeqCst) == pid;
        self.children().find(|child| is(&child.first) || child.state.load(SeqCst) == LIVE && is(&child.pid))
    }

    /// A place for one more.
    pub fn free_child(&self) -> Option<&Child> {
        let free = |child: &Child| child.state.load(SeqCst) == FREE;
        first_free(&self.children, &self.children_used, free)
    }

    /// Places of descriptors that are or were in use.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.iter().take(self.held_used.load(SeqCst) as usize)
    }

    /// A place for one more.
    pub fn free_held(&self) -> Option<&Held> {
        first_free(&self.held, &self.held_used, |held| held.descriptor.load(SeqCst) == 0)
    }
}

fn first_free<'a, T>(list: &'a [T], used: &AtomicU32, free: impl Fn(&T) -> bool) -> Option<&'a T> {
    let (index, place) = list.iter().enumerate().find(|(_, place)| free(place))?;
    used.fetch_max(index as u32 + 1, SeqCst);
    Some(place)
}

impl Child {
    /// A new one, or one again whose keeper was killed before it made a process. From here on the id is known.
    pub fn begin(&self, name: &Name, table: i32) {
        self.pid.store(0, SeqCst);
        self.first.store(0, SeqCst);
        self.table.store(table, SeqCst);
        self.answered.store(0, SeqCst);
        self.name.store(name);
        self.state.store(LIVE, SeqCst);
    }
}

const _: () = assert!(size_of::<Request>() == 24 + NAME_MAX + 4 * DESCRIPTORS_MAX);
const _: () = assert!(size_of::<Report>() == 40 + NAME_MAX);
