//! The tiny programs' way to the kernel: each system call that they use with what it is used for, the structures it needs,
//! and what a program without a library has to bring along. A call returns its result, or an errno below zero.

#[cfg(target_arch = "aarch64")]
#[path = "sys/aarch64.rs"]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "sys/x86_64.rs"]
mod arch;
pub use arch::{call, number};

/// What fits a register: numbers, and references, which keep the safe wrappers below safe.
pub trait Word {
    /// As the kernel gets it.
    fn word(self) -> usize;
}
macro_rules! words { ($($type:ty)*) => { $(impl Word for $type { fn word(self) -> usize { self as usize } })* } }
words!(i32 u32 u64 usize);
impl<T> Word for &T {
    fn word(self) -> usize {
        self as *const T as usize
    }
}
impl<T> Word for &mut T {
    fn word(self) -> usize {
        self as *mut T as usize
    }
}

#[rustfmt::skip]
macro_rules! six {
    () => { [0; 6] };
    ($a:expr) => { [$a, 0, 0, 0, 0, 0] };
    ($a:expr, $b:expr) => { [$a, $b, 0, 0, 0, 0] };
    ($a:expr, $b:expr, $c:expr) => { [$a, $b, $c, 0, 0, 0] };
    ($a:expr, $b:expr, $c:expr, $d:expr) => { [$a, $b, $c, $d, 0, 0] };
    ($a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => { [$a, $b, $c, $d, $e, 0] };
}
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) = $number:ident;)*) => { $(
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        pub fn $name($($argument: $type),*) -> isize {
            // SAFETY: what the kernel reads or writes is behind references or lies in memory that is this program's own.
            unsafe { call(number::$number, six!($($argument.word()),*)) }
        }
    )* };
}
calls! {
    /// Only to empty the signalfd: which signal it was does not matter.
    read(fd: i32, into: &mut [u64; 16], size: usize) = READ;
    /// The stage's last words.
    write(fd: i32, status: &crate::table::Status, size: usize) = WRITE;
    /// Reads the second process's pid out of a stage's table.
    pread(fd: i32, into: &mut i32, size: usize, offset: usize) = PREAD64;
    /// Lets go of a descriptor.
    close(fd: i32) = CLOSE;
    /// CLOSE_RANGE_CLOEXEC: whatever came in over exec leaves at the next one.
    close_range(first: u32, last: u32, flags: u32) = CLOSE_RANGE;
    /// F_DUPFD_CLOEXEC: the lowest free number from a given one on. F_SETFD 0: this one passes exec.
    fcntl(fd: i32, command: i32, argument: i32) = FCNTL;
    /// Puts a descriptor at the number its program expects; EINVAL when both are the same.
    dup3(fd: i32, target: i32, flags: i32) = DUP3;
    /// SIG_DFL for a signal: a disposition of "ignore" passes exec, `nohup` and Rust programs leave some. The kernel's
    /// structure is three or four words of zeros.
    rt_sigaction(signal: i32, new: &[usize; 4], old: usize, size: usize) = RT_SIGACTION;
    /// Blocks or frees signals; the mask passes exec.
    rt_sigprocmask(how: i32, new: &u64, old: usize, size: usize) = RT_SIGPROCMASK;
    /// Waits for a blocked signal. Blocked ones stay pending, for PID 1 of a namespace too, so none is missed.
    rt_sigtimedwait(set: &u64, info: usize, timeout: usize, size: usize) = RT_SIGTIMEDWAIT;
    /// A descriptor that is readable while a signal of the set is pending in whoever looks at it.
    signalfd4(fd: i32, set: &u64, size: usize, flags: i32) = SIGNALFD4;
    /// Waits for descriptors.
    ppoll(fds: &mut [PollFd; 2], count: usize, timeout: Option<&[i64; 2]>, mask: usize) = PPOLL;
    /// PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_GET_NO_NEW_PRIVS.
    prctl(option: i32, argument: usize, b: usize, c: usize, d: usize) = PRCTL;
    /// The name that ps shows; a program run from a memfd would be called after that.
    prctl_name(option: i32, name: &[u8; 16]) = PRCTL;
    /// What this process may do.
    capget(header: &[u32; 2], sets: &mut [[u32; 3]; 2]) = CAPGET;
    /// Gives up the rest.
    capset(header: &[u32; 2], sets: &[[u32; 3]; 2]) = CAPSET;
    /// This process's number.
    getpid() = GETPID;
    /// Looks at or reaps an ended child. WNOWAIT looks; WNOHANG does not wait, and gives pid 0 when there is none.
    waitid(which: i32, pid: i32, info: &mut Siginfo, options: i32, usage: usize) = WAITID;
    /// A descriptor for a process: of an own child not yet reaped, no other can be meant.
    pidfd_open(pid: i32, flags: u32) = PIDFD_OPEN;
    /// Time of a clock, as seconds and nanoseconds.
    clock_gettime(clock: i32, time: &mut [i64; 2]) = CLOCK_GETTIME;
    /// Ends the process.
    exit_group(code: i32) = EXIT_GROUP;
}

impl Word for Option<&[i64; 2]> {
    fn word(self) -> usize {
        self.map_or(0, Word::word)
    }
}

/// struct pollfd.
#[repr(C)]
pub struct PollFd {
    /// Which.
    pub fd: i32,
    /// Asked for.
    pub events: i16,
    /// Found.
    pub found: i16,
}

/// siginfo_t as waitid fills it in.
#[repr(C)]
#[derive(Default)]
pub struct Siginfo {
    /// SIGCHLD, 0.
    pub head: [i32; 2],
    /// CLD_EXITED …
    pub code: i32,
    /// Explicit padding.
    pub pad: i32,
    /// Whose.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Code or signal.
    pub status: i32,
    /// The rest of its 128 bytes.
    pub rest: [i32; 25],
}

/// One SCM_RIGHTS message: struct cmsghdr and its descriptors.
#[repr(C)]
pub struct Rights {
    /// 16 and four for each descriptor.
    pub size: usize,
    /// SOL_SOCKET, SCM_RIGHTS: 1, 1.
    pub kind: [i32; 2],
    /// The descriptors.
    pub fds: [i32; crate::message::DESCRIPTORS_MAX + 2],
}

/// sendmsg or recvmsg of one packet, and descriptors with it. With MSG_PEEK a packet stays in its queue, and descriptors come
/// each time that it is looked at.
///
/// # Safety
/// `part` is of `size` bytes, which recvmsg may fill with any.
pub unsafe fn packet(
    number: usize,
    fd: i32,
    part: *mut u8,
    size: usize,
    rights: Option<(&mut Rights, usize)>,
    flags: i32,
) -> isize {
    let iovec = [part as usize, size];
    let (control, control_size) = rights.map_or((0, 0), |(rights, size)| (rights.word(), size));
    let header = [0, 0, iovec.as_ptr() as usize, 1, control, control_size, 0];
    // SAFETY: struct msghdr, with one struct iovec; the rest is the caller's promise.
    unsafe { call(number, [fd as usize, header.as_ptr() as usize, flags as usize, 0, 0, 0]) }
}

/// struct clone_args, as of its first version.
#[repr(C)]
#[derive(Default)]
pub struct CloneArguments {
    /// CLONE_…
    pub flags: u64,
    /// Not used: pidfd, child_tid.
    pub unused: [u64; 2],
    /// Where CLONE_PARENT_SETTID stores the pid before the child runs.
    pub parent_tid: u64,
    /// SIGCHLD.
    pub exit_signal: u64,
    /// Not used: stack, its size, tls. The child goes on on its copy of the stack, as after fork.
    pub none: [u64; 3],
}

/// What every program needs: where the kernel enters, what a panic does (there is none), and the four functions that the
/// compiler may call for copies and loops. They use volatile accesses, else their own loops became calls to themselves.
#[macro_export]
macro_rules! program {
    () => {
        $crate::entry!();
        extern "C" fn start() -> ! {
            let code = main();
            loop {
                $crate::sys::exit_group(code);
            }
        }
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            loop {
                $crate::sys::exit_group(112);
            }
        }
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
            for i in 0..size {
                // SAFETY: the caller's promise.
                unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) }
            }
            to
        }
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memset(to: *mut u8, byte: i32, size: usize) -> *mut u8 {
            for i in 0..size {
                // SAFETY: the caller's promise.
                unsafe { to.add(i).write_volatile(byte as u8) }
            }
            to
        }
    };
}
