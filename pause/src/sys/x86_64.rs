//! x86-64: entry, the system call instruction, and the numbers of arch/x86/entry/syscalls/syscall_64.tbl.

/// The kernel enters with the stack pointer at argc; Rust wants it aligned, and rbp 0 ends a debugger's backtrace.
#[macro_export]
macro_rules! entry {
    () => {
        core::arch::global_asm!(".globl _start", "_start: xor ebp, ebp", "and rsp, -16", "call {}", sym start);
    };
}

/// # Safety
/// As the call and its arguments ask for.
pub unsafe fn call(number: usize, a: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel's calling convention; rcx and r11 are lost by the instruction itself.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number => result, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// System call numbers.
#[rustfmt::skip]
#[allow(missing_docs)]
pub mod number {
    pub const READ: usize = 0; pub const WRITE: usize = 1; pub const CLOSE: usize = 3; pub const MMAP: usize = 9;
    pub const RT_SIGACTION: usize = 13; pub const RT_SIGPROCMASK: usize = 14; pub const PREAD64: usize = 17;
    pub const GETPID: usize = 39; pub const SENDMSG: usize = 46; pub const RECVMSG: usize = 47; pub const CLONE: usize = 56;
    pub const FCNTL: usize = 72; pub const CAPGET: usize = 125; pub const CAPSET: usize = 126;
    pub const RT_SIGTIMEDWAIT: usize = 128; pub const PRCTL: usize = 157; pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231; pub const WAITID: usize = 247; pub const PPOLL: usize = 271;
    pub const SIGNALFD4: usize = 289; pub const DUP3: usize = 292; pub const EXECVEAT: usize = 322;
    pub const PIDFD_OPEN: usize = 434; pub const CLONE3: usize = 435; pub const CLOSE_RANGE: usize = 436;
}
