//! The few calls of the C library that the actor needs and the standard library does not have, and the program's entry.
//! All of the actor's `unsafe` is here.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicPtr, AtomicU64, Ordering};

// The entry point reads the two clocks before the C library's own start runs: its first store is the program's first
// page fault in its data, nothing else has happened. `bench` programs compare it with a reading before podlet's fork.
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".globl actor_start",
    "actor_start:",
    "mov r12, rdx", // what the kernel hands to _start in rdx
    "mov eax, 228", // clock_gettime
    "mov edi, 1",   // CLOCK_MONOTONIC
    "lea rsi, [rip + actor_first_clocks]",
    "syscall",
    "mov eax, 228",
    "mov edi, 7", // CLOCK_BOOTTIME
    "lea rsi, [rip + actor_first_clocks + 16]",
    "syscall",
    "mov rdx, r12",
    "xor r12d, r12d",
    "jmp _start",
);
#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".globl actor_start",
    "actor_start:",
    "mov x19, x0",
    "mov x8, 113", // clock_gettime
    "mov x0, 1",   // CLOCK_MONOTONIC
    "adrp x1, actor_first_clocks",
    "add x1, x1, :lo12:actor_first_clocks",
    "svc 0",
    "mov x8, 113",
    "mov x0, 7", // CLOCK_BOOTTIME
    "adrp x1, actor_first_clocks",
    "add x1, x1, :lo12:actor_first_clocks",
    "add x1, x1, 16",
    "svc 0",
    "mov x0, x19",
    "b _start",
);

/// Called by the C library. The standard library's own `main` would first look at its stack in /proc/self/maps, poll the
/// standard descriptors and catch SIGSEGV; none of it is needed here.
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const u8) -> c_int {
    crate::run();
    0
}

/// Two `timespec`: seconds, nanoseconds, of CLOCK_MONOTONIC and of CLOCK_BOOTTIME. Written before `main` only.
#[unsafe(no_mangle)]
static actor_first_clocks: [AtomicI64; 4] = [const { AtomicI64::new(0) }; 4];

/// The clocks in nanoseconds at the program's first instruction.
pub fn first_clocks() -> (i64, i64) {
    let [a, b, c, d] = &actor_first_clocks;
    let nanoseconds =
        |s: &AtomicI64, n: &AtomicI64| s.load(Ordering::Relaxed) * 1_000_000_000 + n.load(Ordering::Relaxed);
    (nanoseconds(a, b), nanoseconds(c, d))
}

#[repr(C)]
struct TimeSpec {
    seconds: i64,
    nanoseconds: i64,
}

unsafe extern "C" {
    fn clock_gettime(clock: c_int, time: *mut TimeSpec) -> c_int;
    fn signal(number: c_int, handler: usize) -> usize;
    fn kill(pid: c_int, number: c_int) -> c_int;
    fn fork() -> c_int;
    fn _exit(code: c_int) -> !;
    fn write(descriptor: c_int, bytes: *const u8, length: usize) -> isize;
    fn nanosleep(time: *const TimeSpec, rest: *mut TimeSpec) -> c_int;
    fn setrlimit(resource: c_int, limit: *const [u64; 2]) -> c_int;
    fn munmap(address: *mut u8, length: usize) -> c_int;
    fn mmap(address: usize, length: usize, protection: c_int, flags: c_int, descriptor: c_int, offset: i64) -> *mut u8;
}

/// CLOCK_MONOTONIC in nanoseconds.
pub fn monotonic() -> i64 {
    let mut time = TimeSpec { seconds: 0, nanoseconds: 0 };
    // SAFETY: the pointer is to a timespec of this frame, which the call fills in.
    unsafe { clock_gettime(1, &mut time) };
    time.seconds * 1_000_000_000 + time.nanoseconds
}

/// The signals by name; the numbers are those of x86-64 and arm64.
const SIGNALS: [(&str, c_int); 22] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("XCPU", 24),
    ("WINCH", 28),
    ("SYS", 31),
];

/// A signal's number from its name (with or without SIG) or its number.
pub fn signal_number(text: &str) -> Option<c_int> {
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    known.or_else(|| text.parse().ok().filter(|number| (1..=64).contains(number)))
}

fn signal_name(number: c_int) -> &'static str {
    SIGNALS.iter().find(|(_, known)| *known == number).map_or("?", |(name, _)| name)
}

/// What a caught signal does, by its number: the exit code (-1: go on), and how long it waits before.
static EXIT_CODES: [AtomicI32; 65] = [const { AtomicI32::new(-1) }; 65];
static DELAYS: [AtomicU64; 65] = [const { AtomicU64::new(0) }; 65];
/// So many bytes of memory it takes (0: none; [`GIVES_BACK`]).
static GREED: [AtomicU64; 65] = [const { AtomicU64::new(0) }; 65];
/// What was taken so is given back.
const GIVES_BACK: u64 = u64::MAX;
/// The last piece of memory that was taken by a signal. Each holds the address of the one before it.
static TAKEN: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
/// So much is taken at a time.
const PIECE: usize = 1 << 20;
/// Bit n: say so when signal n comes.
static LOUD: AtomicU64 = AtomicU64::new(0);

/// Only calls that signal-safety(7) allows: write, nanosleep, _exit; and mmap and munmap, which are bare system calls here.
extern "C" fn caught(number: c_int) {
    let Ok(index) = usize::try_from(number) else { return };
    if LOUD.load(Ordering::Relaxed) >> index & 1 == 1 {
        for part in ["received SIG", signal_name(number), "\n"] {
            // SAFETY: pointer and length are those of a str.
            unsafe { write(1, part.as_ptr(), part.len()) };
        }
    }
    if let Some(bytes) = GREED.get(index).map(|greed| greed.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0) {
        return if bytes == GIVES_BACK { give_back() } else { take(bytes) };
    }
    let (Some(code), Some(delay)) = (EXIT_CODES.get(index), DELAYS.get(index)) else { return };
    let code = code.load(Ordering::Relaxed);
    if code < 0 {
        return;
    }
    let delay = delay.load(Ordering::Relaxed);
    let mut rest = TimeSpec { seconds: (delay / 1000) as i64, nanoseconds: (delay % 1000) as i64 * 1_000_000 };
    // SAFETY: both pointers are to a timespec of this frame; on EINTR the call stores there what is left to wait.
    while delay > 0 && unsafe { nanosleep(&raw const rest, &raw mut rest) } != 0 {}
    // SAFETY: ends the process; no destructor is relied on.
    unsafe { _exit(code) }
}

/// Takes so much memory and touches all of it, or as much as there is.
fn take(bytes: u64) {
    for _ in 0..bytes.div_ceil(PIECE as u64) {
        // SAFETY: PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS: new memory of its own that nobody else knows.
        let piece = unsafe { mmap(0, PIECE, 3, 0x22, -1, 0) };
        if piece as isize == -1 {
            return;
        }
        for page in (0..PIECE).step_by(4096) {
            // SAFETY: within the piece.
            unsafe { piece.add(page).write_volatile(1) };
        }
        // SAFETY: a piece begins at a page, and so a pointer may lie there.
        unsafe { piece.cast::<*mut u8>().write(TAKEN.swap(piece, Ordering::Relaxed)) };
    }
}

/// Gives all of it back.
fn give_back() {
    let mut piece = TAKEN.swap(std::ptr::null_mut(), Ordering::Relaxed);
    while !piece.is_null() {
        // SAFETY: `take` has written it there.
        let before = unsafe { piece.cast::<*mut u8>().read() };
        // SAFETY: a piece of `take`'s, which nothing leads to any more.
        unsafe { munmap(piece, PIECE) };
        piece = before;
    }
}

/// What to do with a signal.
pub enum Reaction {
    /// SIG_IGN.
    Ignore,
    /// Say so and go on.
    Report,
    /// End with this code after this many milliseconds.
    Exit { code: i32, after: u64, loud: bool },
    /// Take so many bytes of memory and go on.
    Allocate(u64),
    /// Give all back that was taken so, and go on.
    Release,
}

/// Sets the reaction to a signal.
pub fn react(number: c_int, reaction: Reaction) {
    let Ok(index) = usize::try_from(number) else { return };
    let (code, delay, loud) = match reaction {
        Reaction::Ignore => {
            // SAFETY: SIG_IGN is 1.
            unsafe { signal(number, 1) };
            return;
        }
        Reaction::Report => (-1, 0, true),
        Reaction::Exit { code, after, loud } => (code, after, loud),
        Reaction::Allocate(_) | Reaction::Release => {
            let bytes = if let Reaction::Allocate(bytes) = reaction { bytes } else { GIVES_BACK };
            if let Some(slot) = GREED.get(index) {
                slot.store(bytes, Ordering::Relaxed);
            }
            (-1, 0, true)
        }
    };
    if let (Some(code_slot), Some(delay_slot)) = (EXIT_CODES.get(index), DELAYS.get(index)) {
        code_slot.store(code, Ordering::Relaxed);
        delay_slot.store(delay, Ordering::Relaxed);
    }
    if loud {
        LOUD.fetch_or(1u64.checked_shl(number as u32).unwrap_or(0), Ordering::Relaxed);
    }
    let handler: extern "C" fn(c_int) = caught;
    // SAFETY: the handler has the type that signal(2) wants and calls only what signal-safety(7) allows.
    unsafe { signal(number, handler as usize) };
}

/// Dies by a signal, or says why it cannot. PID 1 of a PID namespace ignores what itself or its children send it
/// (pid_namespaces(7)); what the kernel forces on it for a fault, it does not, nor the SIGKILL at the end of RLIMIT_CPU.
pub fn die(number: c_int) -> String {
    // SAFETY: SIG_DFL is 0.
    unsafe { signal(number, 0) };
    match number {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: each faults at once: a read of page 0, an undefined instruction, a division by zero, a breakpoint.
        4 | 5 | 8 | 11 => unsafe {
            match number {
                4 => std::arch::asm!("ud2"),
                5 => std::arch::asm!("int3"),
                8 => {
                    std::arch::asm!("xor edx, edx", "xor ecx, ecx", "mov eax, 1", "div ecx", out("eax") _, out("ecx") _, out("edx") _)
                }
                _ => std::arch::asm!("mov rax, qword ptr [0]", out("rax") _),
            }
        },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: each faults at once: a read of page 0, an undefined instruction, a breakpoint.
        4 | 5 | 11 => unsafe {
            match number {
                4 => std::arch::asm!("udf #0"),
                5 => std::arch::asm!("brk #1"),
                _ => std::arch::asm!("ldr {0}, [{1}]", out(reg) _, in(reg) 0u64),
            }
        },
        9 if std::process::id() == 1 => {
            // One second of CPU time, then the kernel kills (getrlimit(2); 0 would mean 1 as well).
            // SAFETY: the pointer is to a struct rlimit.
            if unsafe { setrlimit(0, &[1, 1]) } == 0 {
                loop {
                    std::hint::spin_loop();
                }
            }
        }
        // SAFETY: no memory is involved.
        _ => unsafe {
            kill(std::process::id() as c_int, number);
        },
    }
    // A signal to oneself is delivered before kill(2) returns; so this one was ignored.
    format!(
        "still alive after SIG{}: PID 1 ignores the signals that it sends itself; die by SEGV, ILL, FPE, TRAP or KILL, or kill it from outside",
        signal_name(number)
    )
}

/// Makes a child that ends at once and is not waited for. With `orphan` the child makes the one that stays, and ends.
pub fn make_child(orphan: bool) -> Result<(), std::io::Error> {
    // SAFETY: the child calls only async-signal-safe functions, as it must if the actor has threads.
    match unsafe { fork() } {
        -1 => Err(std::io::Error::last_os_error()),
        0 => {
            // SAFETY: as above; the grandchild sleeps a little so that it is an orphan when it ends.
            unsafe {
                if orphan && fork() == 0 {
                    nanosleep(&TimeSpec { seconds: 0, nanoseconds: 50_000_000 }, std::ptr::null_mut());
                }
                _exit(0)
            }
        }
        _ => Ok(()),
    }
}
