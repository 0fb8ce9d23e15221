//! The tiny programs' way to the kernel: each system call that they use with what it is used for, and what a program without
//! a library has to bring along. A call returns its result, or an errno below zero.

#[cfg_attr(target_arch = "aarch64", path = "sys/aarch64.rs")]
#[cfg_attr(target_arch = "x86_64", path = "sys/x86_64.rs")]
mod arch;

/// What fits a register: numbers, and references, which keep the wrappers below safe.
trait Word {
    fn word(self) -> usize;
}
#[rustfmt::skip]
macro_rules! words { ($($type:ty)*) => { $(impl Word for $type { fn word(self) -> usize { self as usize } })* } }
words!(i32 u32 u64 usize);
#[rustfmt::skip]
impl<T> Word for &T { fn word(self) -> usize { self as *const T as usize } }
#[rustfmt::skip]
impl<T> Word for &mut T { fn word(self) -> usize { self as *mut T as usize } }

/// A system call with up to six arguments.
///
/// # Safety
/// As the call and its arguments ask for.
#[inline(always)]
pub unsafe fn call(number: usize, arguments: &[usize]) -> isize {
    let at = |i| arguments.get(i).copied().unwrap_or(0);
    // SAFETY: the caller's promise.
    unsafe { arch::call(number, [at(0), at(1), at(2), at(3), at(4), at(5)]) }
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) = $number:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name($($argument: $type),*) -> isize {
            // SAFETY: what the kernel reads or writes is behind references.
            unsafe { call($number[arch::COLUMN], &[$($argument.word()),*]) }
        }
    )* };
}
// Behind each its numbers: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h (aarch64).
calls! {
    /// Only to empty the signalfd: which signal it was does not matter.
    read(fd: i32, into: &mut [u64; 16], size: usize) = [0, 63];
    /// The stage's last words.
    write(fd: i32, status: &crate::table::Status, size: usize) = [1, 64];
    /// Reads the second process's pid out of a stage's table.
    pread(fd: i32, into: &mut i32, size: usize, offset: usize) = [17, 67];
    /// Puts a packet into a queue, whole or not at all.
    sendto(fd: i32, report: &crate::message::Report, size: usize, flags: i32, address: usize, length: usize) = [44, 206];
    /// Takes a packet out of its queue without looking at it: into no bytes, the rest goes.
    recvfrom(fd: i32, into: usize, size: usize, flags: i32, address: usize, length: usize) = [45, 207];
    /// Lets go of a descriptor.
    close(fd: i32) = [3, 57];
    /// CLOSE_RANGE_CLOEXEC: whatever came in over exec leaves at the next one.
    close_range(first: u32, last: u32, flags: u32) = [436, 436];
    /// F_DUPFD_CLOEXEC: the lowest free number from a given one on. F_SETFD 0: this one passes exec.
    fcntl(fd: i32, command: i32, argument: i32) = [72, 25];
    /// Puts a descriptor at the number its program expects; EINVAL when both are the same.
    dup3(fd: i32, target: i32, flags: i32) = [292, 24];
    /// Blocks or frees signals; the mask passes exec.
    rt_sigprocmask(how: i32, new: &u64, old: usize, size: usize) = [14, 135];
    /// Waits for a blocked signal. Blocked ones stay pending, for PID 1 of a namespace too, so none is missed.
    rt_sigtimedwait(set: &u64, info: usize, timeout: usize, size: usize) = [128, 137];
    /// A descriptor that is readable while a signal of the set is pending in whoever looks at it.
    signalfd4(fd: i32, set: &u64, size: usize, flags: i32) = [289, 74];
    /// Waits for descriptors.
    ppoll(fds: &mut [PollFd; 3], count: usize, timeout: &[u64; 2], mask: usize) = [271, 73];
    /// PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_GET_NO_NEW_PRIVS.
    prctl(option: i32, argument: usize, b: usize, c: usize, d: usize) = [157, 167];
    /// The name that ps shows; a program run from a memfd would be called after that.
    prctl_name(option: i32, name: &[u8; 16]) = [157, 167];
    /// Gives up all capabilities but these.
    capset(header: &[u32; 2], sets: &[[u32; 3]; 2]) = [126, 91];
    /// This process's number.
    getpid() = [39, 172];
    /// Whose child this process is: the twin's, while that lives.
    getppid() = [110, 173];
    /// Looks at or reaps an ended child. WNOWAIT looks; WNOHANG does not wait, and gives pid 0 when there is none.
    waitid(which: i32, pid: i32, info: &mut Siginfo, options: i32, usage: usize) = [247, 95];
    /// Time of a clock, as seconds and nanoseconds.
    clock_gettime(clock: i32, time: &mut [u64; 2]) = [228, 113];
}

/// Constants, by the manual page that explains them.
#[rustfmt::skip]
#[allow(missing_docs, reason = "names of the kernel's headers")]
pub mod constant {
    pub const EINVAL: i32 = 22; pub const EMFILE: i32 = 24; pub const ENOSPC: i32 = 28; pub const SIG_SETMASK: i32 = 2;
    pub const SIGINT: isize = 2; pub const SIGTERM: isize = 15; pub const SIGCHLD: usize = 17; pub const WNOHANG: i32 = 1;
    pub const WEXITED: i32 = 4; pub const WNOWAIT: i32 = 0x01000000; pub const P_ALL: i32 = 0;
    pub const P_PID: i32 = 1; pub const O_CLOEXEC: i32 = 0o2000000; pub const NONBLOCK_CLOEXEC: i32 = 0o4000 | O_CLOEXEC;
    pub const CLOSE_RANGE_CLOEXEC: u32 = 4; pub const F_DUPFD_CLOEXEC: i32 = 1030; pub const F_SETFD: i32 = 2;
    pub const PR_SET_DUMPABLE: i32 = 4; pub const PR_SET_NAME: i32 = 15; pub const PR_SET_CHILD_SUBREAPER: i32 = 36;
    pub const PR_GET_NO_NEW_PRIVS: i32 = 39; pub const CAP_SYS_ADMIN: u32 = 1 << 21; pub const CAP_VERSION_3: u32 = 0x20080522;
    /// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME.
    pub const CLONE_NAMESPACES: u64 = 0x7e020080; pub const CLONE_FILES: u64 = 0x400; pub const CLONE_INTO_CGROUP: u64 = 1 << 33;
    pub const CLOCK_REALTIME: i32 = 0; pub const CLOCK_MONOTONIC: i32 = 1; pub const CLOCK_BOOTTIME: i32 = 7; pub const POLLIN: i16 = 1;
    pub const POLLOUT: i16 = 4; pub const MSG_TRUNC: i32 = 0x20; pub const MSG_DONTWAIT: i32 = 0x40; pub const MSG_NOSIGNAL: i32 = 0x4000;
}

/// A clock's time in nanoseconds.
pub fn now(clock: i32) -> u64 {
    let mut time = [0; 2];
    clock_gettime(clock, &mut time);
    time[0] * 1_000_000_000 + time[1]
}

/// struct pollfd: descriptor, events asked for, events found.
#[repr(C)]
pub struct PollFd(pub i32, pub i16, pub i16);

/// siginfo_t as waitid fills it in: SIGCHLD and 0; CLD_EXITED …; whose end it is; its user; code or signal.
#[repr(C)]
#[derive(Default)]
#[allow(missing_docs, reason = "the line above has them all")]
#[rustfmt::skip]
pub struct Siginfo { pub head: [i32; 2], pub code: i32, pub pad: i32, pub pid: i32, pub uid: u32, pub status: i32, pub rest: [i32; 25] }

/// One SCM_RIGHTS message: its size (16 and four for each descriptor), SOL_SOCKET and SCM_RIGHTS (1, 1), the descriptors.
#[repr(C)]
pub struct Rights(pub usize, pub [i32; 2], pub [i32; crate::message::DESCRIPTORS_MAX + 2]);

/// recvmsg(2) of a request that stays in its queue (MSG_PEEK): its descriptors come each time that it is looked at.
pub fn look(fd: i32, request: &mut crate::message::Request, rights: &mut Rights) -> isize {
    let part = [request.word(), size_of_val(request)];
    let header = [0, 0, part.as_ptr() as usize, 1, rights.word(), size_of_val(rights), 0];
    // MSG_CMSG_CLOEXEC, MSG_DONTWAIT and MSG_PEEK.
    // SAFETY: struct msghdr, with one struct iovec. Both structures are numbers, any bytes will do.
    unsafe { call([47, 212][arch::COLUMN], &[fd.word(), header.as_ptr() as usize, 0x40000042]) }
}

/// mmap(2) of a descriptor's file, shared, for reading and writing. The address, or an errno below zero.
pub fn map(fd: i32, size: usize) -> isize {
    // SAFETY: a new mapping, where nothing else is.
    unsafe { call([9, 222][arch::COLUMN], &[0, size, 1 | 2, 1, fd.word(), 0]) }
}

/// Gives the kernel back what lies unused beneath the stack's page in use, before a long wait. By the kernel's will a program
/// begins with two to four pages of stack: argv's texts at the top, and argc at a random distance beneath them. Ours begin
/// anew in the page of those texts (`entry!`), which `/proc/<pid>/cmdline` is read from: so that one page is all there is.
#[inline(never)]
pub fn rest() {
    // Beneath it all that this function uses of the stack, and no other is under way.
    let mut here = 0u8;
    let below = (&raw mut here as usize - 512) & !4095;
    // SAFETY: nothing there is read again before it is written. 4 is MADV_DONTNEED. EINVAL where a page is larger, ENOMEM
    // where there is less of a stack (and the rest is done): no matter.
    unsafe { call([28, 233][arch::COLUMN], &[below - 0x10000, 0x10000, 4]) };
}

/// clone3(2): like fork, with namespaces, CLONE_FILES, or in the cgroup of a directory (v2). CLONE_PARENT_SETTID: the kernel
/// stores the pid before the child runs, so it is known whatever happens to us.
pub fn clone3(flags: u64, pid: &core::sync::atomic::AtomicI32, cgroup: i32) -> isize {
    // struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack (2), tls, set_tid (2), cgroup.
    let arguments =
        [flags | 0x100000, 0, 0, pid.as_ptr() as u64, constant::SIGCHLD as u64, 0, 0, 0, 0, 0, cgroup as u64];
    // SAFETY: the child has a copy of all memory that is not shared by intention.
    unsafe { call(435, &[arguments.as_ptr() as usize, 88]) }
}

/// All the environment of a program that is podlet's own. glibc keeps small pieces of memory that were freed for whoever wants the
/// same size next; of what the pod's start has freed that is 50 kB in the midst of a supervisor's heap, for good, and only this
/// word, which glibc reads before the program begins, has them given back. Another C library does not know it.
const ENVIRONMENT: &core::ffi::CStr = c"GLIBC_TUNABLES=glibc.malloc.tcache_count=0";

/// execveat(2) of a descriptor, with [`ENVIRONMENT`]; `arguments` end with null. Comes back only with an errno.
pub fn execveat(program: i32, arguments: &[*const u8]) -> isize {
    let environment = [ENVIRONMENT.as_ptr() as usize, 0];
    let (path, argv) = (c"".as_ptr() as usize, arguments.as_ptr() as usize);
    // SAFETY: all lists end. 0x1000 is AT_EMPTY_PATH.
    unsafe { call([322, 281][arch::COLUMN], &[program.word(), path, argv, environment.as_ptr() as usize, 0x1000]) }
}

/// In a child: becomes a program, with all signals free again.
pub fn execute(program: i32, arguments: &[*const u8]) -> ! {
    rt_sigprocmask(constant::SIG_SETMASK, &0, 0, 8);
    execveat(program, arguments);
    exit(crate::message::NOT_EXECUTED_EXIT)
}

/// exit_group(2).
pub fn exit(code: i32) -> ! {
    loop {
        // SAFETY: does not come back.
        unsafe { call([231, 94][arch::COLUMN], &[code.word()]) };
    }
}

/// What every program needs: where the kernel enters, what a panic does (there is none), and the two functions that the
/// compiler may call for copies and loops. They use volatile accesses, else their own loops became calls to themselves.
#[macro_export]
macro_rules! program {
    () => {
        $crate::entry!();
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            $crate::sys::exit(112)
        }
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
            // SAFETY: the caller's promise.
            (0..size).for_each(|i| unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) });
            to
        }
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memset(to: *mut u8, byte: i32, size: usize) -> *mut u8 {
            // SAFETY: the caller's promise.
            (0..size).for_each(|i| unsafe { to.add(i).write_volatile(byte as u8) });
            to
        }
    };
}
