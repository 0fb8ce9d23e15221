//! x86-64: the entry and the system call instruction.

/// Which of the two numbers of a system call is meant.
pub const COLUMN: usize = 0;

/// The kernel enters with the stack pointer at argc, which is at rsp, and argv[0] at rsp + 8. The stack begins anew beneath the
/// text of argv[0] (see `sys::rest`), aligned as Rust wants it; rbp 0 ends a debugger's backtrace. Without arguments (null)
/// it stays where it is.
#[macro_export]
macro_rules! entry {
    () => {
        core::arch::global_asm!(".globl _start", "_start: xor ebp, ebp", "mov rax, [rsp + 8]", "test rax, rax",
            "cmovne rsp, rax", "and rsp, -16", "call {}", sym start);
    };
}

/// The lowest address that whoever asks may be using: a function that calls none has 128 bytes beneath its stack pointer.
#[inline(always)]
pub fn stack_end() -> usize {
    let end;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("lea {}, [rsp - 128]", out(reg) end, options(nomem, nostack)) };
    end
}

/// # Safety
/// As the call and its arguments ask for.
#[inline(always)]
pub unsafe fn call(number: usize, a: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel's calling convention; rcx and r11 are lost by the instruction itself.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number => result, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}
