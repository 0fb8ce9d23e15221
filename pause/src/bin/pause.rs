//! pause: the process that owns a pod's namespaces. It does nothing but reap orphans, as PID 1 must where containers share
//! its PID namespace, and ends at SIGTERM or SIGINT. Containers may see it, so it holds nothing: no descriptor, no secret.
#![no_std]
#![no_main]

use pause::sys::{Siginfo, constant::*, exit, prctl_name, rest, rt_sigprocmask, rt_sigtimedwait, waitid};

pause::program!();

extern "C" fn main() -> ! {
    prctl_name(PR_SET_NAME, b"pause\0\0\0\0\0\0\0\0\0\0\0");
    // All are blocked, so what the kernel would drop for a PID 1 without handlers is kept and can be waited for.
    rt_sigprocmask(SIG_SETMASK, &!0, 0, 8);
    let awaited = 1 << (SIGINT - 1) | 1 << (SIGTERM - 1) | 1 << (SIGCHLD - 1);
    rest();
    loop {
        let signal = rt_sigtimedwait(&awaited, 0, 0, 8);
        if signal == SIGINT || signal == SIGTERM {
            exit(0);
        }
        // One SIGCHLD stands for any number of ends.
        let mut info = Siginfo::default();
        while waitid(P_ALL, 0, &mut info, WNOHANG | WEXITED, 0) == 0 && info.pid != 0 {
            info.pid = 0;
        }
    }
}
