//! A terminal's size, ioctl_tty(2). For `exec -t`, whose terminal in the container is as large as the caller's.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::pty::Winsize;

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
