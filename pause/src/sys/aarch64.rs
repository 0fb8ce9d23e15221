//! aarch64: the entry and the system call instruction.

/// Which of the two numbers of a system call is meant.
pub const COLUMN: usize = 1;

/// The kernel enters with the stack pointer at argc, and argv[0] behind it. The stack begins anew beneath the text of argv[0]
/// (see `sys::rest`), aligned by 16; x29 and x30 0 end a debugger's backtrace. Without arguments (null) it stays where it is.
#[macro_export]
macro_rules! entry {
    () => {
        core::arch::global_asm!(".globl _start", "_start: mov x29, #0", "mov x30, #0", "ldr x1, [sp, #8]",
            "and x1, x1, #-16", "mov x2, sp", "cmp x1, #0", "csel x1, x2, x1, eq", "mov sp, x1", "b {}", sym start);
    };
}

/// The lowest address that whoever asks may be using. Nothing lies beneath the stack pointer here.
#[inline(always)]
pub fn stack_end() -> usize {
    let end;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, sp", out(reg) end, options(nomem, nostack)) };
    end
}

/// # Safety
/// As the call and its arguments ask for.
#[inline(always)]
pub unsafe fn call(number: usize, a: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel's calling convention; all registers but x0 are kept.
    unsafe {
        core::arch::asm!("svc 0", in("x8") number, inlateout("x0") a[0] => result, in("x1") a[1], in("x2") a[2],
            in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    result
}
