//! The sandbox: made, not made, lost; and the reboot of the machine.

use std::time::Duration;

use super::*;
use crate::pod::input::{Exit, Fact, ImageFacts, Pulled, StartStage};
use crate::simulation::{ImageOutcome, Run};

fn lose(driver: &mut Driver, attempt: u32, at: u64) {
    driver.at(Duration::from_secs(at), Fact::SandboxExited { attempt });
}

fn two(policy: &str, script: Script) -> Driver {
    Driver::new(pod(policy, json!([{"name": "a"}, {"name": "b"}])), settings(), script)
}

#[test]
fn a_restart_that_was_asked_for_is_done_although_the_sandbox_is_lost_meanwhile() {
    let mut driver = run_one("OnFailure", Script::default().container("c", [Run::forever().stops(0, 2_000)]), 5);
    driver.input(Fact::RestartRequested { container: None });
    driver.input(Fact::SandboxExited { attempt: 0 });
    driver.run_until(Duration::from_secs(60)).unwrap();
    let seen = container(&driver, "c");
    assert_eq!((seen.state, seen.restart_count, view(&driver).phase.as_str()), ("running", 1, "Running"));
}

#[test]
pub(super) fn a_sandbox_that_cannot_be_made_is_tried_again_after_ten_seconds() {
    let sandboxes = vec![Err("no address".to_owned()), Err("no address".to_owned())];
    let driver = run_one("Never", Script { sandboxes, ..Script::default() }, 30);
    assert_eq!(times(&driver, "sandbox/0"), [0.0, 10.0, 20.0]);
    assert!(effects(&driver).contains(&"sandbox/0#3 R-9.2-e".to_owned()));
    assert_eq!(container(&driver, "c").state, "running");
    let event = "Warning FailedCreatePodSandBox Failed to create pod sandbox: no address x2";
    assert!(events(&driver).contains(&event.to_owned()));
}

#[test]
pub(super) fn a_volume_that_cannot_be_set_up_keeps_the_pod_from_its_sandbox_and_is_tried_again_sooner() {
    let message = "MountVolume.SetUp failed for volume \"v\" : configmap \"x\" not found";
    let script = Script { volumes: vec![vec![message.to_owned()]; 12], ..Script::default() };
    let driver = run_one("Never", script, 600);
    // 0.5 s, doubling up to 2 min 2 s.
    let asked = [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 127.5, 249.5, 371.5, 493.5];
    assert_eq!(times(&driver, "sandbox/0"), asked);
    assert!(effects(&driver).contains(&"sandbox/0#2 R-0.6-a".to_owned()));
    let seen = view(&driver);
    assert_eq!(
        (seen.phase.as_str(), container(&driver, "c").reason.as_deref()),
        ("Pending", Some("ContainerCreating"))
    );
    assert_eq!(seen.conditions[0], ("PodReadyToStartContainers".to_owned(), "False".to_owned()));
    assert_eq!(events(&driver)[1..], [format!("Warning FailedMount {message} x12")]);

    // However often one text comes, another is not combined with it.
    let volumes = vec![vec![message.to_owned()], vec![message.to_owned()], vec!["another".to_owned()]];
    let volumes = [vec![vec![message.to_owned()]; 10], volumes].concat();
    let driver = run_one("Never", Script { volumes, ..Script::default() }, 900);
    assert!(events(&driver).contains(&"Warning FailedMount another x1".to_owned()));

    let script = Script { volumes: vec![vec![message.to_owned(), "another".to_owned()]], ..Script::default() };
    let driver = run_one("Never", script, 5);
    assert_eq!(container(&driver, "c").state, "running");
    assert_eq!(
        events(&driver)[1..3],
        [format!("Warning FailedMount {message} x1"), "Warning FailedMount another x1".to_owned()]
    );
}

#[test]
pub(super) fn a_lost_sandbox_is_made_anew_and_its_containers_are_started_in_it() {
    let script = Script::default().container("b", [Run::forever().stops(0, 2000)]);
    let mut driver = two("Always", script);
    lose(&mut driver, 0, 10);
    driver.run_until(Duration::from_secs(11)).unwrap();
    let seen = view(&driver);
    assert_eq!(seen.conditions[0], ("PodReadyToStartContainers".to_owned(), "False".to_owned()));
    driver.run_until(Duration::from_secs(20)).unwrap();
    assert_eq!(times(&driver, "signal/"), [10.0, 10.0]);
    assert!(effects(&driver).contains(&"signal/a/0/SIGTERM R-9.2-b".to_owned()));
    assert_eq!(times(&driver, "sandbox/1"), [12.0]);
    for name in ["a", "b"] {
        let seen = container(&driver, name);
        assert_eq!((seen.state, seen.restart_count), ("running", 1));
        assert_eq!(seen.last, Some(("Completed".to_owned(), 0, None)));
    }
    let seen = view(&driver);
    assert_eq!((seen.phase.as_str(), seen.conditions[0].1.as_str()), ("Running", "True"));
    let changed = "Normal SandboxChanged Pod sandbox changed, it will be killed and re-created. x1";
    assert!(events(&driver).contains(&changed.to_owned()));
    assert!(events(&driver).contains(&"Normal Killing Stopping container a x1".to_owned()));
}

#[test]
pub(super) fn with_policy_never_a_lost_sandbox_ends_the_pod() {
    let mut driver = two("Never", Script::default().container("b", [Run::exits(0, 100)]));
    lose(&mut driver, 0, 10);
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!(times(&driver, "sandbox/"), [0.0]);
    assert_eq!(view(&driver).phase, "Succeeded");
    // The sandbox is gone already: it is not asked to stop.
    assert!(times(&driver, "stop-sandbox").is_empty());
    assert!(!events(&driver).iter().any(|event| event.contains("SandboxChanged")));
}

#[test]
pub(super) fn with_policy_on_failure_what_has_succeeded_is_not_run_again() {
    let mut driver = two("OnFailure", Script::default().container("b", [Run::exits(0, 100)]));
    lose(&mut driver, 0, 10);
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!(container(&driver, "a").restart_count, 1);
    assert_eq!((container(&driver, "b").restart_count, container(&driver, "b").state), (0, "terminated"));
    assert_eq!(view(&driver).phase, "Running");
}

#[test]
pub(super) fn a_sandbox_that_dies_again_at_once_is_not_made_in_a_busy_loop() {
    let mut driver = run_one("Always", Script::default(), 20);
    for attempt in 0..3 {
        let now = driver.now();
        driver.at(now, Fact::SandboxExited { attempt });
        driver.run_until(now).unwrap();
    }
    driver.run_until(Duration::from_secs(100)).unwrap();
    assert_eq!(times(&driver, "sandbox/"), [0.0, 20.0, 30.0]);
}

#[test]
pub(super) fn a_container_in_back_off_keeps_it_over_a_lost_sandbox() {
    let mut driver = run_one("Always", Script::default().container("c", [Run::exits(1, 0)]), 35);
    // The fourth start was at 30 s; the next is due at 70 s.
    lose(&mut driver, 0, 36);
    driver.run_until(Duration::from_secs(80)).unwrap();
    assert_eq!(times(&driver, "start/c/"), [0.0, 0.0, 10.0, 30.0, 70.0]);
    assert_eq!(times(&driver, "sandbox/1"), [36.0]);
}

#[test]
pub(super) fn after_a_reboot_a_pod_goes_on_with_its_restart_count() {
    let mut driver = run_one("Always", Script::default(), 100);
    driver.input(Fact::Rebooted);
    driver.run_until(Duration::from_secs(200)).unwrap();
    let seen = container(&driver, "c");
    assert_eq!((seen.state, seen.restart_count), ("running", 1));
    assert_eq!(seen.last, Some(("Unknown".to_owned(), 255, None)));

    let mut driver = run_one("Never", Script::default(), 100);
    driver.input(Fact::Rebooted);
    driver.run_until(Duration::from_secs(200)).unwrap();
    assert_eq!(view(&driver).phase, "Failed");
}

#[test]
pub(super) fn a_container_killed_from_outside_is_restarted_at_once() {
    let mut driver = run_one("Always", Script::default(), 14);
    driver.end_instance("c", Exit::Signal(9));
    driver.run_until(Duration::from_secs(15)).unwrap();
    let seen = container(&driver, "c");
    assert_eq!((seen.state, seen.restart_count), ("running", 1));
    assert_eq!(seen.last, Some(("Error".to_owned(), 137, None)));
    assert_eq!(times(&driver, "start/c/1"), [14.0]);
}

#[test]
fn the_first_sandbox_may_be_short_lived_and_a_later_one_that_stood_long_enough_is_replaced_at_once() {
    let mut driver = run_one("Always", Script::default(), 0);
    lose(&mut driver, 0, 2);
    lose(&mut driver, 1, 12);
    driver.run_until(Duration::from_secs(100)).unwrap();
    assert_eq!(times(&driver, "sandbox/"), [0.0, 2.0, 12.0]);
    let made: Vec<String> = effects(&driver).into_iter().filter(|effect| effect.starts_with("sandbox/")).collect();
    assert_eq!(made, ["sandbox/0 R-9.2-a", "sandbox/1 R-9.2-b", "sandbox/2 R-9.2-b"]);
    assert!(!notes(&driver).contains(&"R-9.2-f".to_owned()));
}

#[test]
fn a_pull_that_is_under_way_when_the_sandbox_is_lost_is_asked_for_again() {
    let pulled = Pulled { milliseconds: 20_000, with_waiting_milliseconds: 20_000, size: 1 };
    let script = Script::default().image("c", [ImageOutcome::Pulled(ImageFacts::default(), pulled)]);
    let mut driver = run_one("Always", script, 1);
    lose(&mut driver, 0, 5);
    driver.run_until(Duration::from_secs(100)).unwrap();
    assert_eq!(times(&driver, "image/c/0"), [0.0, 5.0]);
    assert_eq!(container(&driver, "c").state, "running");
}

#[test]
fn an_answer_that_comes_late_changes_no_sandbox_that_stands() {
    let mut driver = run_one("Always", Script::default(), 5);
    driver.input(Fact::MountFailed { attempt: Some(0), messages: vec!["late".to_owned()] });
    driver.input(Fact::SandboxFailed { attempt: 0, message: "late".to_owned() });
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!(times(&driver, "sandbox/"), [0.0]);
    assert_eq!(container(&driver, "c").state, "running");
    assert!(!events(&driver).iter().any(|event| event.contains("late")));
}

#[test]
fn with_its_sandbox_a_container_that_had_ended_for_good_runs_again() {
    let containers = json!([{"name": "a", "restartPolicy": "Never"}, {"name": "b"}]);
    let script = Script::default().container("a", [Run::exits(1, 100), Run::forever()]);
    let mut driver = Driver::new(pod("Always", containers), settings(), script);
    lose(&mut driver, 0, 10);
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!((container(&driver, "a").restart_count, times(&driver, "start/a/1")), (1, vec![10.0]));
}

#[test]
fn after_a_reboot_events_come_as_often_as_before() {
    let script = Script::default().container("c", [Run::fails(StartStage::Config, "no")]);
    let mut driver = run_one("Always", script, 596);
    let shown = |driver: &Driver| {
        let failed = driver.machine.events().into_iter().find(|event| event.reason.as_deref() == Some("Failed"));
        failed.unwrap().count.unwrap()
    };
    let before = shown(&driver);
    driver.reboot();
    driver.run_until(Duration::from_secs(640)).unwrap();
    assert!(shown(&driver) > before + 1, "{} and {before}", shown(&driver));
}

#[test]
fn a_pod_that_is_being_torn_down_when_the_machine_goes_down_is_torn_down_afterwards() {
    let mut driver = run_one("Always", Script::default(), 5);
    driver.input(Fact::DeleteRequested { grace_seconds: None, force: false });
    // Nothing runs after the first one: what was asked for then is lost at the second.
    driver.reboot();
    driver.reboot();
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert!(driver.removed && driver.machine.is_torn_down());
    // Its final phase was shown before the second, and is never left.
    let phases = driver.timeline.iter().filter_map(|line| match &line.entry {
        Entry::Status(view) => Some(view.phase.clone()),
        _ => None,
    });
    let mut phases: Vec<String> = phases.collect();
    phases.dedup();
    assert_eq!(phases, ["Pending", "Running", "Failed"]);
}

#[test]
fn a_deadline_counts_over_a_reboot() {
    let mut short = pod("Always", json!([{"name": "c"}]));
    short.spec.as_mut().unwrap().active_deadline_seconds = Some(600);
    let mut driver = Driver::new(short, settings(), Script::default());
    driver.run_until(Duration::from_secs(100)).unwrap();
    driver.reboot();
    driver.run_until(Duration::from_secs(599)).unwrap();
    assert_eq!(view(&driver).phase, "Running");
    driver.run_until(Duration::from_secs(650)).unwrap();
    assert_eq!(view(&driver).phase, "Failed");
}

#[test]
fn after_a_reboot_a_sandbox_that_could_not_be_made_is_made_at_once() {
    let script = Script { sandboxes: vec![Err("no".to_owned())], ..Script::default() };
    let mut driver = run_one("Always", script, 3);
    driver.reboot();
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!(times(&driver, "sandbox/0"), [0.0, 3.0]);
    assert!(!events(&driver).iter().any(|event| event.contains("SandboxChanged")), "there was none");
    assert_eq!(container(&driver, "c").restart_count, 0);
}
