//! pause: the process that owns a pod's namespaces. It does nothing but reap orphans, as PID 1 must where containers share
//! its PID namespace, and ends at SIGTERM or SIGINT. Containers may see it, so it holds nothing: no descriptor, no secret.
#![no_std]
#![no_main]

use pause::sys::{Siginfo, prctl_name, rt_sigprocmask, rt_sigtimedwait, waitid};

pause::program!();

const PR_SET_NAME: i32 = 15;
const SIG_SETMASK: i32 = 2;
const SIGINT: isize = 2;
const SIGTERM: isize = 15;
const SIGCHLD: isize = 17;
const P_ALL: i32 = 0;
const WNOHANG_WEXITED: i32 = 1 | 4;

fn main() -> i32 {
    prctl_name(PR_SET_NAME, b"pause\0\0\0\0\0\0\0\0\0\0\0");
    // All are blocked, so what the kernel would drop for a PID 1 without handlers is kept and can be waited for.
    rt_sigprocmask(SIG_SETMASK, &!0, 0, 8);
    let awaited = [SIGINT, SIGTERM, SIGCHLD].iter().fold(0, |set, signal| set | 1 << (signal - 1));
    loop {
        match rt_sigtimedwait(&awaited, 0, 0, 8) {
            SIGINT | SIGTERM => return 0,
            _ => while_ended(),
        }
    }
}

/// SIGCHLD stands for any number of ends.
fn while_ended() {
    let mut info = Siginfo::default();
    while waitid(P_ALL, 0, &mut info, WNOHANG_WEXITED, 0) == 0 && info.pid != 0 {
        info.pid = 0;
    }
}
