//! Start, policies, crash back-off.

use std::time::Duration;

use super::*;
use crate::pod::input::{Fact, StartStage};
use crate::pod::probe::ProbeKind;
use crate::simulation::Run;

#[test]
pub(super) fn a_pod_that_never_restarts_ends_as_its_container_did() {
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
pub(super) fn a_crashing_container_waits_0_10_20_to_300_seconds_from_its_exit() {
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
pub(super) fn a_run_of_more_than_ten_minutes_clears_the_back_off() {
    let runs = [Run::exits(1, 0), Run::exits(1, 0), Run::exits(1, 0), Run::exits(1, 600_001), Run::exits(1, 0)];
    let driver = run_one("Always", Script::default().container("c", runs), 700);
    // The fourth instance starts at 30 s and runs 600.001 s; the fifth follows at once, the sixth after 10 s.
    assert_eq!(times(&driver, "start/c/"), [0.0, 0.0, 10.0, 30.0, 630.001, 640.001, 660.001]);
}

/// Restart counts after the container exited with each of these codes in turn, and whether it ended for good.
fn restarts(container_spec: Value, policy: &str, codes: &[i32]) -> (i32, &'static str) {
    let runs: Vec<Run> = codes.iter().map(|code| Run::exits(*code, 0)).chain([Run::forever()]).collect();
    let script = Script::default().container("c", runs).container("d", [Run::forever()]);
    let mut driver = Driver::new(pod(policy, json!([container_spec, {"name": "d"}])), settings(), script);
    driver.run_until(Duration::from_secs(1000)).unwrap();
    let seen = container(&driver, "c");
    (seen.restart_count, seen.state)
}

#[test]
pub(super) fn policies_and_rules_decide_as_in_the_table() {
    let plain = json!({"name": "c"});
    assert_eq!(restarts(plain.clone(), "Always", &[0, 1]), (2, "running"));
    assert_eq!(restarts(plain.clone(), "OnFailure", &[1, 0]), (1, "terminated"));
    assert_eq!(restarts(plain, "Never", &[1]), (0, "terminated"));
    let own = |policy: &str| json!({"name": "c", "restartPolicy": policy});
    assert_eq!(restarts(own("Always"), "Never", &[0, 1]), (2, "running"));
    assert_eq!(restarts(own("OnFailure"), "Never", &[1, 0]), (1, "terminated"));
    assert_eq!(restarts(own("Never"), "Always", &[1]), (0, "terminated"));
    let rule = |policy: &str, operator: &str, value: i32| {
        json!({"name": "c", "restartPolicy": policy, "restartPolicyRules": [
            {"action": "Restart", "exitCodes": {"operator": operator, "values": [value]}}]})
    };
    assert_eq!(restarts(rule("Never", "In", 42), "Never", &[42, 42, 0]), (2, "terminated"));
    assert_eq!(restarts(rule("Never", "In", 42), "Never", &[42, 7]), (1, "terminated"));
    assert_eq!(restarts(rule("OnFailure", "NotIn", 0), "Never", &[5, 0]), (1, "terminated"));
    // Without a match the container's own policy decides.
    assert_eq!(restarts(rule("Always", "NotIn", 7), "Never", &[7, 7]), (2, "running"));
    let without_codes = json!({"name": "c", "restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart"}]});
    assert_eq!(restarts(without_codes, "Always", &[1]), (0, "terminated"));
}

#[test]
pub(super) fn waiting_does_not_count_as_running_for_the_reset() {
    // Each run takes 100 s: much more than ten minutes pass in all, but no run is long.
    let driver = run_one("Always", Script::default().container("c", [Run::exits(1, 100_000)]), 3000);
    let starts = times(&driver, "start/c/");
    let waits: Vec<f64> = starts.windows(2).map(|pair| pair[1] - pair[0] - 100.0).collect();
    assert_eq!(waits[..8], [0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]);
}

#[test]
pub(super) fn the_owner_may_set_the_back_off() {
    let settings = |initial: u64, maximum: u64| Settings {
        backoff_initial_milliseconds: initial,
        backoff_maximum_milliseconds: maximum,
        ..settings()
    };
    let starts = |settings: Settings, count: usize| {
        let script = Script::default().container("c", [Run::exits(1, 0)]);
        let mut driver = Driver::new(pod("Always", json!([{"name": "c"}])), settings, script);
        driver.run_until(Duration::from_secs(400)).unwrap();
        times(&driver, "start/c/")[1..=count].to_vec()
    };
    assert_eq!(starts(settings(10_000, 100_000), 7), [0.0, 10.0, 30.0, 70.0, 150.0, 250.0, 350.0]);
    // A maximum below the initial one lowers it.
    assert_eq!(starts(settings(10_000, 2_000), 4), [0.0, 2.0, 4.0, 6.0]);
}

fn changed(image: &str) -> Fact {
    let pod = pod("Never", json!([{"name": "c", "image": image}]));
    applied(&pod)
}

#[test]
pub(super) fn another_image_restarts_a_running_container_whatever_its_policy_and_without_back_off() {
    let mut driver = run_one("Never", Script::default(), 10);
    driver.at(Duration::from_secs(10), changed("localhost/busybox:2"));
    driver.run_until(Duration::from_secs(20)).unwrap();
    let seen = container(&driver, "c");
    assert_eq!((seen.state, seen.restart_count), ("running", 1));
    assert!(effects(&driver).contains(&"signal/c/0/SIGTERM R-4.3-a".to_owned()));
    assert_eq!(times(&driver, "start/c/1"), [10.0]);
    let event = "Normal Killing Container c definition changed, will be restarted x1";
    assert!(events(&driver).contains(&event.to_owned()));
    assert_eq!(view(&driver).phase, "Running");
}

#[test]
pub(super) fn another_image_ends_a_back_off() {
    let mut driver = run_one("Always", Script::default().container("c", [Run::exits(1, 0)]), 35);
    driver.at(Duration::from_secs(36), {
        let pod = pod("Always", json!([{"name": "c", "image": "localhost/busybox:2"}]));
        applied(&pod)
    });
    driver.run_until(Duration::from_secs(50)).unwrap();
    // At once, and then the series begins anew with 10 s: the start under the new key made the entry.
    assert_eq!(times(&driver, "start/c/"), [0.0, 0.0, 10.0, 30.0, 36.0, 46.0]);
}

#[test]
pub(super) fn a_lost_container_is_killed_and_then_treated_as_an_exit_with_137() {
    for (policy, state) in [("Always", "running"), ("Never", "terminated")] {
        let mut driver = run_one(policy, Script::default(), 10);
        let message = "the keeper is gone".to_owned();
        driver.at(Duration::from_secs(10), Fact::ContainerLost { container: "c".to_owned(), attempt: 0, message });
        driver.run_until(Duration::from_secs(20)).unwrap();
        let seen = container(&driver, "c");
        assert_eq!(seen.state, state);
        assert_eq!(times(&driver, "kill/c/0"), [10.0]);
        let message = "The container could not be located when the pod was terminated: the keeper is gone";
        let ended = match state {
            "running" => seen.last,
            _ => Some((seen.reason.unwrap(), seen.exit_code.unwrap(), seen.message)),
        };
        assert_eq!(ended, Some(("ContainerStatusUnknown".to_owned(), 137, Some(message.to_owned()))));
    }
}

#[test]
pub(super) fn events_are_merged_and_warnings_that_come_too_often_held_back() {
    let driver = run_one("Always", Script::default().container("c", [Run::exits(1, 0)]), 10_000);
    let starts = container(&driver, "c").restart_count + 1;
    assert!(starts > 30);
    let events = driver.machine.events();
    let named = |reason: &str| events.iter().find(|event| event.reason.as_deref() == Some(reason)).unwrap();
    // One event of a type passes each five minutes once 25 came: of Pulled, Created, Started the first in line.
    assert_eq!(named("Pulled").count, Some(starts));
    assert!((5..20).contains(&named("Started").count.unwrap()));
    assert_eq!(named("Started").involved_object.field_path.as_deref(), Some("spec.containers{c}"));
    assert!(named("Started").first_timestamp < named("Started").last_timestamp);
    assert_eq!(events.len(), 5, "{events:#?}");
    let names: std::collections::BTreeSet<_> = events.iter().map(|event| event.metadata.name.clone()).collect();
    assert_eq!(names.len(), 5);
    // Each is an object of its own, with a uid in the form of a random one, and about this pod.
    let uids: std::collections::BTreeSet<_> = events.iter().map(|event| event.metadata.uid.clone().unwrap()).collect();
    assert_eq!(uids.len(), 5);
    for uid in &uids {
        let lengths: Vec<usize> = uid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{uid}");
        assert!(uid.as_bytes()[14] == b'4' && b"89ab".contains(&uid.as_bytes()[19]), "{uid}");
    }
    assert!(events.iter().all(|event| event.involved_object.uid.as_deref() == Some("u-1")));
}

#[test]
fn a_start_tells_how_long_the_next_would_wait() {
    let driver = run_one("Always", Script::default().container("c", [Run::exits(1, 0)]), 100);
    assert_eq!(because(&driver, "image/c/1", "nextBackoff"), "10s");
    assert_eq!(because(&driver, "image/c/3", "nextBackoff"), "40s");
}

#[test]
fn a_start_does_not_tell_of_a_back_off_that_was_another_images() {
    // lifecycle 4.4: the key holds the image. A start that the user asked for takes no step, and the next crash finds no entry.
    let fails = Run::fails(StartStage::Create, "no such volume");
    let script = Script::default().container("c", [Run::exits(1, 100), Run::forever(), fails, Run::exits(1, 100)]);
    let mut driver = run_one("Always", script, 1);
    driver.input(Fact::RestartRequested { container: Some("c".to_owned()) });
    driver.run_until(Duration::from_secs(2)).unwrap();
    let pod = pod("Always", json!([{"name": "c", "image": "localhost/busybox:2"}]));
    driver.input(applied(&pod));
    driver.run_until(Duration::from_secs(3)).unwrap();
    let told: Vec<(&str, Option<&str>)> = driver
        .timeline
        .iter()
        .filter_map(|line| match &line.entry {
            Entry::Effect(effect) if effect.id.0.starts_with("image/") => {
                Some((effect.rule.0.as_str(), effect.because.get("nextBackoff").map(String::as_str)))
            }
            _ => None,
        })
        .collect();
    let first = [("R-4.1-a", None), ("R-4.4-a", Some("10s")), ("R-4.4-f", Some("10s"))];
    assert_eq!(told, [&first[..], &[("R-4.4-f", None), ("R-4.4-e", Some("10s"))]].concat());
    assert_eq!(times(&driver, "start/c/"), [0.0, 0.1, 1.0, 2.0, 2.1]);
}

/// Whoever ends with 7 has all restarted.
pub(super) fn all_by_seven() -> Value {
    json!([{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [7]}}])
}

#[test]
fn whoever_ends_with_the_code_for_all_while_the_pod_is_deleted_restarts_none() {
    let containers =
        json!([{"name": "c", "restartPolicy": "Never", "restartPolicyRules": all_by_seven()}, {"name": "d"}]);
    let script =
        Script::default().container("c", [Run::forever().stops(7, 0)]).container("d", [Run::forever().stops(0, 5_000)]);
    let mut driver = Driver::new(pod("Always", containers.clone()), settings(), script);
    driver.run_until(Duration::from_secs(5)).unwrap();
    driver.input(Fact::DeleteRequested { grace_seconds: None, force: false });
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert!(!notes(&driver).contains(&"R-4.6-a".to_owned()));
    assert!(driver.removed);

    // A pod that may restart all says at its end that it has ended.
    for (code, phase, reason) in [(0, "Succeeded", "False/PodCompleted"), (1, "Failed", "False/PodFailed")] {
        let ends = || [Run::exits(code, 1_000)];
        let script = Script::default().container("c", ends()).container("d", ends());
        let mut driver = Driver::new(pod("Never", containers.clone()), settings(), script);
        driver.run_until(Duration::from_secs(60)).unwrap();
        let seen = view(&driver);
        assert_eq!(seen.phase, phase);
        assert!(seen.conditions.contains(&("AllContainersRestarting".to_owned(), reason.to_owned())), "{seen:?}");
    }
}

/// A pod whose `c` runs, hears its stop signal with the code for which all are restarted, and has such a probe.
fn restarting_all(probe: Value) -> Driver {
    let mut c = json!({"name": "c", "restartPolicy": "Always", "restartPolicyRules": all_by_seven()});
    c.as_object_mut().unwrap().extend(probe.as_object().unwrap().clone());
    let sick = Run::forever().stops(7, 0).probe(ProbeKind::Liveness, 0, super::probes::fails());
    let well = Run::forever().stops(7, 0);
    let script = Script::default().container("c", [sick, well]);
    let mut driver = Driver::new(pod("Always", json!([c, {"name": "d"}])), settings(), script);
    driver.run_until(Duration::from_secs(20)).unwrap();
    driver
}

#[test]
fn a_rule_for_all_is_not_asked_of_what_was_stopped_by_a_probe() {
    let probe = json!({"livenessProbe": {"exec": {"command": ["x"]}, "periodSeconds": 1, "failureThreshold": 1}});
    let driver = restarting_all(probe);
    assert_eq!((container(&driver, "c").restart_count, container(&driver, "d").restart_count), (1, 0));
    assert!(!notes(&driver).contains(&"R-4.6-a".to_owned()));
}

#[test]
fn a_restart_that_is_asked_for_knows_no_back_off_whatever_its_containers_end_with() {
    let mut driver = restarting_all(json!({}));
    for at in [20, 21, 22] {
        driver.run_until(Duration::from_secs(at)).unwrap();
        driver.input(Fact::RestartRequested { container: None });
    }
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!(times(&driver, "start/c/"), [0.0, 20.0, 21.0, 22.0]);
    assert_eq!(times(&driver, "start/d/"), [0.0, 20.0, 21.0, 22.0]);
}

#[test]
fn of_all_that_are_restarted_only_who_asked_for_it_waits() {
    let containers =
        json!([{"name": "c", "restartPolicy": "Never", "restartPolicyRules": all_by_seven()}, {"name": "d"}]);
    let mut driver =
        Driver::new(pod("Always", containers), settings(), Script::default().container("c", [Run::exits(7, 1_000)]));
    driver.run_until(Duration::from_secs(20)).unwrap();
    assert_eq!(times(&driver, "start/c/"), [0.0, 1.0, 12.0]);
    assert_eq!(times(&driver, "start/d/"), [0.0, 1.0, 2.0, 13.0]);
}
