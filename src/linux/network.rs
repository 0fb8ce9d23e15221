//! Sockets in a pod's network. Called by the supervisor's probes and hooks: the only time that podlet is in a namespace of
//! a container's, and only in that one, for the length of one call of socket(2). A socket stays in the network in which it
//! was made.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// The network that this process is in, opened once: it never changes.
fn own_network() -> io::Result<BorrowedFd<'static>> {
    static OWN: OnceLock<File> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(own.as_fd());
    }
    let own = File::open("/proc/self/ns/net")?;
    Ok(OWN.get_or_init(|| own).as_fd())
}

/// A TCP socket that does not block. `process` is a pidfd of a process in the network where it is to be; without one it is
/// in this process's own. setns(2) moves the calling thread alone; should the way back fail, the process is ended: everything
/// that it did afterwards would be done in the wrong network.
pub fn tcp_socket(process: Option<BorrowedFd<'_>>, family: AddressFamily) -> io::Result<OwnedFd> {
    let make = || {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        socket(family, SockType::Stream, flags, None).map_err(io::Error::from)
    };
    let Some(process) = process else { return make() };
    let own = own_network()?;
    setns(process, CloneFlags::CLONE_NEWNET)?;
    let made = make();
    if let Err(errno) = setns(own, CloneFlags::CLONE_NEWNET) {
        tracing::error!("could not leave the pod's network: {errno}");
        std::process::abort();
    }
    made
}
