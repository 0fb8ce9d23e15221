//! What a log is made of in the kernel, as the keeper holds it: pipes or a terminal, M of each stream, R.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::pipe2;

use super::record::{RecordPage, Slot};

/// Where a container's output comes from.
pub struct Outputs {
    /// The pipes' reading ends; they are set non-blocking.
    pub pipes: [OwnedFd; 2],
    /// The master of a terminal. What comes from it goes through the first pipe, and nothing comes by the second.
    pub terminal: Option<OwnedFd>,
}

impl Outputs {
    /// Those of a terminal, with pipes of their own.
    pub fn of_terminal(master: OwnedFd) -> io::Result<Outputs> {
        let (out, err) = (pipe2(OFlag::O_CLOEXEC)?.0, pipe2(OFlag::O_CLOEXEC)?.0);
        Ok(Outputs { pipes: [out, err], terminal: Some(master) })
    }
}

/// The descriptors of one container instance's log, as the keeper holds them.
pub struct Held {
    /// What is read.
    pub outputs: Outputs,
    /// M of each.
    pub staging: [OwnedFd; 2],
    /// R.
    pub record: OwnedFd,
}

impl Held {
    /// Makes M and R for new outputs.
    pub fn new(outputs: Outputs) -> io::Result<Held> {
        let record = memfd_create("podlet-log-record", MFdFlags::MFD_CLOEXEC)?;
        File::from(record.try_clone()?).set_len(4096)?;
        Ok(Held {
            outputs,
            staging: [
                memfd_create("podlet-log-stdout", MFdFlags::MFD_CLOEXEC)?,
                memfd_create("podlet-log-stderr", MFdFlags::MFD_CLOEXEC)?,
            ],
            record,
        })
    }

    /// For outputs whose M and R are lost: goes on at this length of the log.
    pub fn onward(outputs: Outputs, length: u64) -> io::Result<Held> {
        let held = Held::new(outputs)?;
        let slot = Slot { offset: length, ..Slot::default() };
        RecordPage::read(File::from(held.record.try_clone()?))?.commit(slot)?;
        Ok(held)
    }
}
