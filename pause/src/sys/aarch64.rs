//! aarch64: entry, the system call instruction, and the numbers of include/uapi/asm-generic/unistd.h.

/// The kernel enters with an aligned stack pointer; x29 and x30 0 end a debugger's backtrace.
#[macro_export]
macro_rules! entry {
    () => {
        core::arch::global_asm!(".globl _start", "_start: mov x29, #0", "mov x30, #0", "b {}", sym start);
    };
}

/// # Safety
/// As the call and its arguments ask for.
pub unsafe fn call(number: usize, a: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel's calling convention; all registers but x0 are kept.
    unsafe {
        core::arch::asm!("svc 0", in("x8") number, inlateout("x0") a[0] => result, in("x1") a[1], in("x2") a[2],
            in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    result
}

/// System call numbers.
#[rustfmt::skip]
#[allow(missing_docs)]
pub mod number {
    pub const FCNTL: usize = 25; pub const DUP3: usize = 24; pub const CLOSE: usize = 57; pub const READ: usize = 63;
    pub const WRITE: usize = 64; pub const PREAD64: usize = 67; pub const PPOLL: usize = 73; pub const SIGNALFD4: usize = 74;
    pub const CAPGET: usize = 90; pub const CAPSET: usize = 91; pub const EXIT_GROUP: usize = 94; pub const WAITID: usize = 95;
    pub const CLOCK_GETTIME: usize = 113; pub const RT_SIGACTION: usize = 134; pub const RT_SIGPROCMASK: usize = 135;
    pub const RT_SIGTIMEDWAIT: usize = 137; pub const PRCTL: usize = 167; pub const GETPID: usize = 172;
    pub const SENDMSG: usize = 211; pub const RECVMSG: usize = 212; pub const CLONE: usize = 220; pub const MMAP: usize = 222;
    pub const EXECVEAT: usize = 281; pub const PIDFD_OPEN: usize = 434; pub const CLONE3: usize = 435;
    pub const CLOSE_RANGE: usize = 436;
}
