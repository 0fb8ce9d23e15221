//! x86-64: the entry and the system call instruction.

/// Which of the two numbers of a system call is meant.
pub const COLUMN: usize = 0;

/// The kernel enters with the stack pointer at argc, and argv[0] 8 bytes above, which whoever executes these programs gives. The
/// stack begins anew beneath its text (see `sys::rest`), aligned as Rust wants it; rbp 0 ends a debugger's backtrace.
#[macro_export]
macro_rules! entry {
    () => {
        core::arch::global_asm!(".globl _start; _start: xor ebp, ebp", "mov rsp, [rsp + 8]", "and rsp, -16", "call {}", sym main);
    };
}

/// # Safety
/// As the call and its arguments ask for.
#[inline(always)]
pub unsafe fn call(mut number: usize, a: [usize; 6]) -> isize {
    // SAFETY: the kernel's calling convention; the result comes in place of the number; rcx and r11 are lost by the instruction itself.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    number as isize
}
