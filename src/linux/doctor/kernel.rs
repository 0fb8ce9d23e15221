//! The kernel: its version, and each system call that podlet builds on.

use std::os::fd::{AsFd, AsRawFd};

use super::super::kernel::{calls, is_new_enough, own_pidfd, release};
use super::super::machine::Machine;
use super::Finding;

/// What is said of a call that is not there.
const NO_CALL: &str = "no pod can be started";
const NEWER: &str = "use a kernel from Linux 5.14 on; in a container, one whose seccomp profile allows the call \
                     (--security-opt seccomp=unconfined)";
/// seccomp(2) is in every such kernel, if it was built with it.
const FILTERS: &str = "use a kernel with CONFIG_SECCOMP_FILTER; in a container, one whose seccomp profile allows the call \
                       (--security-opt seccomp=unconfined)";

/// Looks.
pub fn examine() -> Vec<Finding> {
    let found = release();
    let version = format!("Linux {found}");
    let mut findings = vec![match is_new_enough(&found) {
        true => Finding::good("kernel", version),
        false => Finding::missing("kernel", version, "podlet is made for Linux 5.14 and newer", "use a newer kernel"),
    }];
    let tried = calls(Machine::get().capabilities.has("SYS_ADMIN"));
    let (all, there) = (tried.len(), tried.iter().filter(|(_, tried)| tried.is_ok()).count());
    findings.push(Finding::good("system calls", format!("{there} of {all} that pods need")));
    for (name, tried) in tried {
        match tried {
            Ok(()) if name == "seccomp" => findings.push(Finding::good(name, "filters can be loaded")),
            Ok(()) => {}
            Err(error) => {
                let remedy = if name == "seccomp" { FILTERS } else { NEWER };
                findings.push(Finding::missing(name, error.to_string(), NO_CALL, remedy));
            }
        }
    }
    findings.push(match exit_by_pidfd() {
        true => Finding::good("PIDFD_GET_INFO", "the end of a process is told by its descriptor"),
        false => Finding::lesser(
            "PIDFD_GET_INFO",
            "not known to this kernel",
            "should a pod's keeper and its twin both be killed, exit codes of its containers cannot be known",
            "Linux 6.15 or newer has it; nothing has to be done",
        ),
    });
    findings
}

fn exit_by_pidfd() -> bool {
    let Ok(own) = own_pidfd() else { return false };
    // SAFETY: a structure of plain numbers, for which zeros are a value.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = u64::from(libc::PIDFD_INFO_EXIT);
    // SAFETY: the structure is as long as the request's number says and lives during the call.
    unsafe { libc::ioctl(own.as_fd().as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) == 0 }
}
