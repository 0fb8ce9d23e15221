//! Start, policies, crash back-off.

use super::*;
use crate::simulation::Run;

#[test]
fn a_pod_that_never_restarts_ends_as_its_container_did() {
    for (code, phase, reason) in [(0, "Succeeded", "Completed"), (3, "Failed", "Error")] {
        let driver = run_one("Never", Script::default().container("c", [Run::exits(code, 100)]), 5);
        let seen = view(&driver);
        assert_eq!(seen.phase, phase);
        assert_eq!(seen.containers[0].reason.as_deref(), Some(reason));
        assert_eq!(seen.containers[0].exit_code, Some(code));
        assert_eq!(
            effects(&driver),
            [
                "sandbox/0 R-9.2-a",
                "image/c/0 R-4.1-a",
                "start/c/0 R-0.5-a",
                "stop-sandbox/0 R-8.2-c",
                "teardown R-8.3-a"
            ]
        );
        assert_eq!(
            events(&driver),
            [
                "Normal Scheduled Successfully assigned default/p to node x1",
                "Normal Pulled Container image \"localhost/busybox:1\" already present on machine and can be accessed by the pod x1",
                "Normal Created Container created x1",
                "Normal Started Container started x1"
            ]
        );
    }
}

#[test]
fn a_crashing_container_waits_0_10_20_to_300_seconds_from_its_exit() {
    let driver = run_one("Always", Script::default().container("c", [Run::exits(1, 0)]), 1300);
    assert_eq!(times(&driver, "start/c/"), [0.0, 0.0, 10.0, 30.0, 70.0, 150.0, 310.0, 610.0, 910.0, 1210.0]);
    let seen = container(&driver, "c");
    assert_eq!((seen.state, seen.reason.as_deref()), ("waiting", Some("CrashLoopBackOff")));
    assert_eq!(seen.message.as_deref(), Some("back-off 5m0s restarting failed container=c pod=p_default(u-1)"));
    assert_eq!(seen.restart_count, 9);
    assert_eq!(seen.last, Some(("Error".to_owned(), 1, None)));
    assert_eq!(view(&driver).phase, "Running");
}

#[test]
fn a_run_of_more_than_ten_minutes_clears_the_back_off() {
    let runs = [Run::exits(1, 0), Run::exits(1, 0), Run::exits(1, 0), Run::exits(1, 600_001), Run::exits(1, 0)];
    let driver = run_one("Always", Script::default().container("c", runs), 700);
    // The fourth instance starts at 30 s and runs 600.001 s; the fifth follows at once, the sixth after 10 s.
    assert_eq!(times(&driver, "start/c/"), [0.0, 0.0, 10.0, 30.0, 630.001, 640.001, 660.001]);
}
