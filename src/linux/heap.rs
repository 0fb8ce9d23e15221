//! Heap, stack and the program itself, of which a process that lives long should keep no more than it needs.

/// One heap for all threads. Without this glibc gives each thread that allocates an arena of its own (mallopt(3)), whose pages
/// stay with the process. Before the first thread begins.
pub fn share() {
    // SAFETY: sets a number of the allocator's. Elsewhere than in glibc there are no arenas.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives the kernel back what nobody uses: in the midst of the heap, too (malloc_trim(3)), the stack beneath here, which was deep
/// once, and the program. Only for a process's first thread, whose stack has nothing beneath it.
pub fn give_back() {
    // SAFETY: takes no memory that is in use.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    give_back_stack();
    give_back_program();
}

/// The program's code and constants are others' too, but each two mebibytes of them that were touched have a page of tables that is
/// this process's alone. What is used again comes from the file's cache, sixteen pages at a time. A kernel before 6.14 keeps the
/// tables, and nothing is gained.
fn give_back_program() {
    unsafe extern "C" {
        /// Where the linker has put the program's first byte.
        static __executable_start: u8;
        /// And the first one behind its code. Nothing before it is ever written.
        static etext: u8;
    }
    let (start, end) = (&raw const __executable_start, &raw const etext);
    let length = (end as usize).saturating_sub(start as usize) & !(PAGE - 1);
    // SAFETY: pages of a file that nobody writes to, neither there nor here: as they are read again, so they were.
    unsafe { libc::madvise(start.cast_mut().cast(), length, libc::MADV_DONTNEED) };
}

const PAGE: usize = 4096;

#[inline(never)]
fn give_back_stack() {
    /// So deep the stack is looked for. The kernel keeps a mebibyte beneath a stack free of everything else
    /// (`stack_guard_gap` in the kernel's parameters).
    const DEPTH: usize = 512 << 10;
    let here = 0u8;
    // Well beneath what this function and the call use.
    let end = (&raw const here as usize & !(PAGE - 1)) - PAGE;
    // SAFETY: nothing there is read again before it is written. What is no stack is passed over with ENOMEM.
    unsafe { libc::madvise((end - DEPTH) as *mut libc::c_void, DEPTH, libc::MADV_DONTNEED) };
}
