//! Deletion, grace periods, the end.

use std::time::Duration;

use super::*;
use crate::pod::input::Fact;
use crate::simulation::Run;

fn delete(grace_seconds: Option<i64>) -> Fact {
    Fact::DeleteRequested { grace_seconds, force: false }
}

#[test]
fn a_deaf_container_is_killed_when_its_grace_is_over() {
    let mut driver = run_one("Always", Script::default().container("c", [Run::forever().deaf()]), 10);
    driver.at(Duration::from_secs(10), delete(Some(3)));
    driver.run_until(Duration::from_secs(100)).unwrap();
    assert_eq!(times(&driver, "signal/c/0/SIGTERM"), [10.0]);
    assert_eq!(times(&driver, "kill/c/0"), [13.0]);
    assert_eq!(times(&driver, "remove"), [13.0]);
    assert!(driver.removed);
    let seen = view(&driver);
    assert_eq!((seen.phase.as_str(), seen.containers[0].exit_code), ("Failed", Some(137)));
}

#[test]
fn an_obeying_container_makes_a_deleted_pod_succeed() {
    let mut driver = run_one("Always", Script::default(), 10);
    driver.at(Duration::from_secs(10), delete(None));
    driver.run_until(Duration::from_secs(100)).unwrap();
    assert_eq!(view(&driver).phase, "Succeeded");
    assert!(events(&driver).contains(&"Normal Killing Stopping container c x1".to_owned()));
    assert_eq!(
        &effects(&driver)[3..],
        ["signal/c/0/SIGTERM R-8.1-a", "stop-sandbox/0 R-8.2-c", "teardown R-8.3-a", "remove R-8.3-b"]
    );
}
