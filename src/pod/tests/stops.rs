//! Deletion, grace periods, the end.

use std::time::Duration;

use super::*;
use crate::pod::input::{Exit, Fact};
use crate::simulation::Run;

fn delete(grace_seconds: Option<i64>) -> Fact {
    Fact::DeleteRequested { grace_seconds, force: false }
}

#[test]
pub(super) fn a_deaf_container_is_killed_when_its_grace_is_over() {
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
pub(super) fn an_obeying_container_makes_a_deleted_pod_succeed() {
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

/// Seconds from the delete at 10 s to the kill.
fn killed_after(fact: Fact) -> f64 {
    let mut driver = run_one("Always", Script::default().container("c", [Run::forever().deaf()]), 10);
    driver.at(Duration::from_secs(10), fact);
    driver.run_until(Duration::from_secs(200)).unwrap();
    assert!(driver.removed);
    times(&driver, "kill/c/0")[0] - 10.0
}

#[test]
fn what_is_stopped_for_an_exit_that_is_heard_late_has_its_whole_grace_period() {
    let rule = json!([{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}}]);
    let containers =
        json!([{"name": "c", "restartPolicy": "Never", "restartPolicyRules": rule}, {"name": "d", "image": "i"}]);
    let script = Script::default().container("d", [Run::forever().stops(0, 1_000)]);
    let mut driver = Driver::new(pod("Always", containers), settings(), script);
    driver.run_until(Duration::from_secs(5)).unwrap();
    driver.restart_supervisor(Duration::from_secs(60)).unwrap();
    driver.run_until(Duration::from_secs(6)).unwrap();
    driver.end_instance("c", Exit::Code(88));
    driver.run_until(Duration::from_secs(90)).unwrap();
    assert_eq!((times(&driver, "signal/d/0"), times(&driver, "kill/d")), (vec![65.0], vec![]));
    assert_eq!(times(&driver, "start/d/1"), [66.0]);
}

#[test]
pub(super) fn no_grace_period_is_shorter_than_two_seconds() {
    assert_eq!(killed_after(delete(None)), 30.0);
    assert_eq!(killed_after(delete(Some(7))), 7.0);
    for short in [-1, 0, 1, 2] {
        assert_eq!(killed_after(delete(Some(short))), 2.0);
    }
    assert_eq!(killed_after(Fact::DeleteRequested { grace_seconds: Some(60), force: true }), 2.0);
}

#[test]
pub(super) fn a_second_shorter_delete_shortens_and_a_longer_one_does_nothing() {
    for (second, at, killed) in [(5, 12, 15.0), (5, 20, 22.0), (1, 11, 13.0), (0, 25, 27.0), (60, 12, 40.0)] {
        let mut driver = run_one("Always", Script::default().container("c", [Run::forever().deaf()]), 10);
        driver.at(Duration::from_secs(10), delete(Some(30)));
        driver.at(Duration::from_secs(at), delete(Some(second)));
        driver.run_until(Duration::from_secs(200)).unwrap();
        assert_eq!(times(&driver, "kill/c/0"), [killed], "second delete with {second} s at {at} s");
        assert_eq!(times(&driver, "signal/c/0").len(), 1);
    }
}

#[test]
pub(super) fn deletion_is_shown_in_the_metadata() {
    let mut driver = run_one("Always", Script::default().container("c", [Run::forever().deaf()]), 10);
    driver.at(Duration::from_secs(10), delete(Some(30)));
    driver.run_until(Duration::from_secs(11)).unwrap();
    let metadata = driver.machine.pod().metadata;
    assert_eq!(metadata.deletion_grace_period_seconds, Some(30));
    assert_eq!(serde_json::to_value(metadata.deletion_timestamp).unwrap(), "2026-01-01T00:00:40Z");
    // Still running and ready until it has ended.
    assert!(container(&driver, "c").ready);
}

#[test]
pub(super) fn a_pod_deleted_in_back_off_shows_how_its_container_ended_and_is_gone_at_once() {
    for (code, phase) in [(0, "Succeeded"), (1, "Failed")] {
        let mut driver = run_one("Always", Script::default().container("c", [Run::exits(code, 0)]), 5);
        assert_eq!(container(&driver, "c").reason.as_deref(), Some("CrashLoopBackOff"));
        driver.at(Duration::from_secs(5), delete(None));
        driver.run_until(Duration::from_secs(5)).unwrap();
        let seen = view(&driver);
        assert_eq!((seen.phase.as_str(), seen.containers[0].exit_code), (phase, Some(code)));
        assert!(driver.removed);
        assert!(!events(&driver).iter().any(|event| event.contains("Killing")));
    }
}

#[test]
pub(super) fn a_pod_deleted_before_anything_ran_fails_with_containers_that_cannot_be_located() {
    use crate::pod::input::ImageFailure;
    use crate::simulation::ImageOutcome;
    let missing = ImageOutcome::Missing(ImageFailure::ErrImageNeverPull, "absent".to_owned());
    let mut driver = run_one("Always", Script::default().image("c", [missing]), 5);
    driver.at(Duration::from_secs(5), delete(None));
    driver.run_until(Duration::from_secs(6)).unwrap();
    let seen = view(&driver);
    assert_eq!((seen.phase.as_str(), seen.containers[0].exit_code), ("Failed", Some(137)));
    assert_eq!(seen.containers[0].reason.as_deref(), Some("ContainerStatusUnknown"));
    assert_eq!(
        seen.containers[0].message.as_deref(),
        Some("The container could not be located when the pod was terminated")
    );
    assert!(driver.removed);
}

#[test]
pub(super) fn a_container_that_is_being_started_when_the_pod_is_deleted_is_stopped_once_it_runs() {
    let script = Script { latency: Duration::from_secs(3), ..Script::default() };
    let mut driver = run_one("Always", script, 7);
    // Sandbox at 3 s, image at 6 s, the container itself at 9 s.
    driver.at(Duration::from_secs(7), delete(None));
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!(times(&driver, "signal/c/0/SIGTERM"), [9.0]);
    assert!(driver.removed);
}

#[test]
pub(super) fn the_stop_signal_is_the_specs_then_the_images_then_sigterm() {
    use crate::pod::input::ImageFacts;
    use crate::simulation::ImageOutcome;
    let image = ImageFacts { stop_signal: Some("SIGQUIT".to_owned()), ..ImageFacts::default() };
    let script = Script::default().image("a", [ImageOutcome::Present(image.clone())]);
    let script = script.image("b", [ImageOutcome::Present(image)]);
    let containers = json!([{"name": "a", "lifecycle": {"stopSignal": "SIGUSR1"}}, {"name": "b"}, {"name": "c"}]);
    let mut driver = Driver::new(pod("Always", containers), settings(), script);
    driver.at(Duration::from_secs(5), delete(None));
    driver.run_until(Duration::from_secs(60)).unwrap();
    let signals = effects(&driver).into_iter().filter(|effect| effect.starts_with("signal/"));
    assert_eq!(
        signals.collect::<Vec<_>>(),
        ["signal/a/0/SIGUSR1 R-8.1-a", "signal/b/0/SIGQUIT R-8.1-a", "signal/c/0/SIGTERM R-8.1-a"]
    );
}

#[test]
pub(super) fn a_finished_pod_is_removed_at_once_when_deleted_and_keeps_its_phase() {
    let mut driver = run_one("Never", Script::default().container("c", [Run::exits(0, 0)]), 5);
    assert!(driver.machine.is_torn_down() && !driver.removed);
    driver.at(Duration::from_secs(9), delete(None));
    driver.run_until(Duration::from_secs(9)).unwrap();
    assert!(driver.removed);
    assert_eq!(view(&driver).phase, "Succeeded");
    assert_eq!(driver.machine.pod().metadata.deletion_grace_period_seconds, Some(0));
    assert_eq!(times(&driver, "teardown").len(), 1);
}

/// R-1.1-b: a container that is shown waiting does not count as succeeded, and in a deleted pod none is shown waiting; but what has
/// Failed stays so.
#[test]
fn a_pod_that_failed_does_not_succeed_by_its_deletion() {
    let containers = json!([{"name": "c"}, {"name": "d", "restartPolicy": "Always"}]);
    let script = Script::default().container("d", [Run::exits(0, 1_000)]);
    let mut driver = Driver::new(pod("Never", containers), settings(), script);
    driver.run_until(Duration::from_millis(2_500)).unwrap();
    assert!(driver.lose_sandbox());
    driver.run_until(Duration::from_secs(20)).unwrap();
    let seen = view(&driver);
    let codes: Vec<Option<i32>> = seen.containers.iter().map(|one| one.exit_code).collect();
    assert_eq!((seen.phase.as_str(), codes), ("Failed", vec![Some(0), Some(137)]));
    driver.input(delete(None));
    assert_eq!(view(&driver).phase, "Failed");
}

/// R-9.4-b: a stop is no end, and the machine's grace bounds the pod's.
#[test]
fn a_stopped_pod_waits_to_be_set_going_again() {
    let mut driver = run_one("Always", Script::default().container("c", [Run::forever().deaf(), Run::forever()]), 10);
    driver.at(Duration::from_secs(10), Fact::StopRequested { most_seconds: Some(5) });
    driver.run_until(Duration::from_secs(100)).unwrap();
    assert_eq!(times(&driver, "kill/c/0"), [15.0]);
    assert_eq!(times(&driver, "teardown"), [15.0]);
    assert!(!driver.removed);
    assert_eq!(view(&driver).phase, "Running");
    driver.at(Duration::from_secs(100), Fact::Rebooted);
    driver.run_until(Duration::from_secs(200)).unwrap();
    let seen = view(&driver);
    assert_eq!((seen.phase.as_str(), seen.containers[0].restart_count), ("Running", 1));
}

#[test]
fn a_stopped_pod_that_nothing_starts_again_is_over() {
    let mut driver = run_one("Never", Script::default().container("c", [Run::forever().deaf()]), 10);
    driver.at(Duration::from_secs(10), Fact::StopRequested { most_seconds: None });
    driver.run_until(Duration::from_secs(100)).unwrap();
    assert_eq!(times(&driver, "kill/c/0"), [40.0]);
    assert_eq!(view(&driver).phase, "Failed");
}

#[test]
fn a_shorter_delete_is_shown_as_it_is_counted() {
    let shown = |after: u64, grace: i64| {
        let mut driver = run_one("Always", Script::default().container("c", [Run::forever().deaf()]), 0);
        driver.input(Fact::DeleteRequested { grace_seconds: Some(60), force: false });
        driver.run_until(Duration::from_secs(after)).unwrap();
        driver.input(Fact::DeleteRequested { grace_seconds: Some(grace), force: false });
        let metadata = serde_json::to_value(driver.machine.pod().metadata).unwrap();
        let shortened = notes(&driver).contains(&"R-8.1-c".to_owned());
        driver.run_until(Duration::from_secs(100)).unwrap();
        let killed = times(&driver, "kill/c/0")[0];
        let raised = effects(&driver).contains(&"kill/c/0 R-8.2-b".to_owned());
        let seconds = metadata["deletionGracePeriodSeconds"].clone();
        (seconds, metadata["deletionTimestamp"].clone(), shortened, killed, raised)
    };
    let at = |second: u32| json!(format!("2026-01-01T00:00:{second:02}Z"));
    assert_eq!(shown(10, 20), (json!(20), at(20), true, 20.0, false));
    assert_eq!(shown(30, 20), (json!(1), at(30), true, 32.0, true), "its time was over");
    assert_eq!(shown(18, 20), (json!(20), at(20), true, 20.0, false), "two seconds are left");
    assert!(!shown(10, 60).2, "the same again shortens nothing");
    assert_eq!(shown(10, 0), (json!(0), at(10), true, 12.0, true), "by force");
}

#[test]
fn a_pod_that_is_deleted_while_it_is_stopped_ends_like_any_that_is_deleted() {
    for (code, phase) in [(0, "Succeeded"), (1, "Failed")] {
        let script = Script::default().container("c", [Run::forever().stops(code, 1_000)]);
        let mut driver = run_one("Always", script, 5);
        driver.input(Fact::StopRequested { most_seconds: None });
        driver.input(delete(None));
        driver.run_until(Duration::from_secs(60)).unwrap();
        assert!(driver.removed);
        assert_eq!(view(&driver).phase, phase);
    }
}

#[test]
fn what_never_ran_of_a_pod_that_had_begun_cannot_be_located_at_its_end() {
    use crate::pod::input::ImageFailure;
    use crate::simulation::ImageOutcome;
    let missing = || [ImageOutcome::Missing(ImageFailure::ErrImageNeverPull, "absent".to_owned())];
    let ended = |script: Script| {
        let pod = super::init::pod_with_init("Always", json!([{"name": "i"}, {"name": "j"}]), json!([{"name": "c"}]));
        let mut driver = Driver::new(pod, settings(), script);
        driver.run_until(Duration::from_secs(5)).unwrap();
        driver.input(delete(None));
        driver.run_until(Duration::from_secs(60)).unwrap();
        assert!(driver.removed);
        ["i", "j", "c"].map(|name| container(&driver, name).reason.unwrap())
    };
    // Of the init containers the first is missed in any case, the others when one behind them was seen (lifecycle 1.3).
    assert_eq!(
        ended(Script::default().image("i", missing())),
        ["ContainerStatusUnknown", "PodInitializing", "PodInitializing"]
    );
    let done = || Script::default().container("i", [Run::exits(0, 0)]).container("j", [Run::exits(0, 0)]);
    assert_eq!(ended(done().image("c", missing())), ["Completed", "Completed", "ContainerStatusUnknown"]);
}

#[test]
fn a_delete_shortens_a_stop_that_is_under_way_for_another_reason() {
    let mut driver = run_one("Always", Script::default().container("c", [Run::forever().deaf()]), 10);
    driver.input(Fact::RestartRequested { container: Some("c".to_owned()) });
    driver.at(Duration::from_secs(12), delete(Some(5)));
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!((times(&driver, "signal/c/0"), times(&driver, "kill/c/0")), (vec![10.0], vec![17.0]));
}
