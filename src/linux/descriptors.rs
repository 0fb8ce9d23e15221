//! Descriptors that come from elsewhere: over exec, or beside a packet (unix(7), SCM_RIGHTS). They arrive as bare numbers;
//! here they become owned, once. Called by `supervisor` for its control socket and by tests.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recv, recvmsg};

/// Takes over a descriptor that this process was started with, and makes it close-on-exec. The caller sees to it that each
/// number is taken once.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: borrowed for the two fcntl calls only, which fail with EBADF if it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_GETFD)?;
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, and the caller's contract says that nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Lets this process have as many as its hard limit permits: the usual soft limit, 1024, is there for select(2).
pub fn allow_many() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let allowed =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = allowed {
        tracing::warn!("could not raise the limit of descriptors: {error}");
    }
}

/// A packet and what came beside it.
#[derive(Debug)]
pub struct Packet {
    /// How many bytes of the buffer it fills.
    pub length: usize,
    /// Close-on-exec.
    pub descriptors: Vec<OwnedFd>,
    /// It did not fit into the buffer, or its descriptors did not (at most three): what is here is not all of it.
    pub truncated: bool,
}

/// Receives one packet of at most so many bytes without waiting, into as much memory as it needs: a buffer for the largest would
/// be mapped and unmapped each time. `EAGAIN` when there is none.
pub fn receive_whole(socket: BorrowedFd<'_>, most: usize) -> io::Result<(Vec<u8>, Packet)> {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
    // With MSG_TRUNC the length of the packet, and not of what was taken (recv(2)).
    let length = recv(socket.as_raw_fd(), &mut [], flags)?;
    let mut bytes = vec![0; length.clamp(1, most)];
    let packet = receive(socket, &mut bytes)?;
    bytes.truncate(packet.length);
    Ok((bytes, packet))
}

/// Receives one packet without waiting; `EAGAIN` when there is none.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Packet> {
    let mut space = cmsg_space!([RawFd; 3]);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = loop {
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(message) => break message,
        }
    };
    let mut descriptors = Vec::new();
    // An error here means a truncated control part; `truncated` says so.
    for part in message.cmsgs().into_iter().flatten() {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            // SAFETY: the kernel has just made these descriptors for this process; nothing else knows them.
            descriptors.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    let truncated = message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
    Ok(Packet { length: message.bytes, descriptors, truncated })
}
