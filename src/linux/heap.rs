//! The C library's heap, of which a process that lives long should keep no more than it needs.

/// One heap for all threads. Without this glibc gives each thread that allocates an arena of its own (mallopt(3)), whose pages
/// stay with the process. Before the first thread begins.
pub fn share() {
    // SAFETY: sets a number of the allocator's. Elsewhere than in glibc there are no arenas.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives the kernel back what nobody uses, in the midst of the heap, too (malloc_trim(3)).
pub fn give_back() {
    // SAFETY: takes no memory that is in use.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
