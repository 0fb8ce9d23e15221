//! aarch64: the entry and the system call instruction.

/// Which of the two numbers of a system call is meant.
pub const COLUMN: usize = 1;

/// The kernel enters with the stack pointer at argc, and argv[0] 8 bytes above, which whoever executes these programs gives. The
/// stack begins anew beneath its text (see `sys::rest`), aligned by 16; x29 and x30 0 end a debugger's backtrace.
#[macro_export]
macro_rules! entry {
    () => {
        core::arch::global_asm!(".globl _start; _start: mov x29, 0", "mov x30, 0", "ldr x0, [sp, 8]", "and sp, x0, -16", "b {}", sym main);
    };
}

/// # Safety
/// As the call and its arguments ask for.
#[inline(always)]
pub unsafe fn call(number: usize, mut a: [usize; 6]) -> isize {
    // SAFETY: the kernel's calling convention; the result comes in place of the first argument; all registers but x0 are kept.
    unsafe {
        core::arch::asm!("svc 0", in("x8") number, inlateout("x0") a[0], in("x1") a[1], in("x2") a[2],
            in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    a[0] as isize
}
