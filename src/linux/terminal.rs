//! Terminals, ioctl_tty(2), of containers with `tty: true` and for `exec -t`: made in the container's own devpts, so that
//! programs in it find theirs by name (ttyname(3), tmux, `tty`), and as large as the caller's.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::fcntl::OFlag;
use nix::pty::Winsize;
use nix::sys::statfs::fstatfs;

use super::syscall::{MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, fsconfig_string, fsmount, fsopen};

/// `DEVPTS_SUPER_MAGIC` of statfs(2).
const DEVPTS: i64 = 0x1cd1;

/// Both ends of a new terminal.
#[derive(Debug)]
pub struct Pair {
    /// For who copies.
    pub master: OwnedFd,
    /// For the program.
    pub slave: OwnedFd,
}

/// Terminals of a container's own: a devpts that is attached nowhere yet, for its plan, and the first terminal of it.
pub fn make_own() -> io::Result<(OwnedFd, Pair)> {
    let context = fsopen(c"devpts")?;
    // What mount(8) shows as the device.
    fsconfig_string(context.as_fd(), c"source", c"devpts")?;
    for (key, value) in [(c"ptmxmode", c"0666"), (c"mode", c"0620"), (c"gid", c"5")] {
        fsconfig_string(context.as_fd(), key, value)?;
    }
    let mount = fsmount(context.as_fd(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)?;
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = File::from(nix::fcntl::openat(&mount, c"ptmx", flags, nix::sys::stat::Mode::empty())?);
    let slave = slave_of(&master)?;
    Ok((mount, Pair { master: master.into(), slave }))
}

/// A terminal among those of the container whose first process this is.
///
/// The container may have put anything in the place of its `/dev/pts/ptmx`: nothing is opened but the ptmx of a devpts, which
/// can give nothing but a terminal.
pub fn open_in(pid: i32) -> io::Result<Pair> {
    let place = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_NOFOLLOW)
        .open(format!("/proc/{pid}/root/dev/pts/ptmx"))?;
    if fstatfs(&place)?.filesystem_type().0 != DEVPTS || place.metadata()?.rdev() != libc::makedev(5, 2) {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    pair_of(&format!("/proc/self/fd/{}", place.as_raw_fd()))
}

/// A terminal of the caller's own devpts: where the container has none, or does not let it be reached.
pub fn open_here() -> io::Result<Pair> {
    pair_of("/dev/ptmx")
}

/// Not openpty(3), whose descriptors are not close-on-exec.
fn pair_of(ptmx: &str) -> io::Result<Pair> {
    let master = fs::OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(ptmx)?;
    let slave = slave_of(&master)?;
    Ok(Pair { master: master.into(), slave })
}

/// By descriptor (Linux 4.13): the name that a slave has where the master was opened says nothing here.
fn slave_of(master: &File) -> io::Result<OwnedFd> {
    let unlock: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK only reads one int; the pointer is to one that lives during the call.
    if unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes the flags by value and no pointer.
    let slave = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    if slave < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for this process.
    Ok(unsafe { OwnedFd::from_raw_fd(slave) })
}

/// Rows and columns of the terminal behind a descriptor.
pub fn size(terminal: BorrowedFd<'_>) -> io::Result<Winsize> {
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one struct winsize where the pointer says; `size` is one and outlives the call. On a
    // descriptor that is no terminal it writes nothing and fails with ENOTTY.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(size) }
}

/// Sets them; where that changes something the kernel sends SIGWINCH to the terminal's foreground processes.
pub fn set_size(terminal: BorrowedFd<'_>, size: &Winsize) -> io::Result<()> {
    // SAFETY: TIOCSWINSZ only reads one struct winsize; the reference is valid for the call.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, std::ptr::from_ref(size)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
