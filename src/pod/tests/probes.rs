//! Probes (lifecycle 6): when they run, what is counted, what follows.

use std::time::Duration;

use super::*;
use crate::pod::hook::HookKind;
use crate::pod::input::{ErrorState, Exit, Fact, ProbeOutcome};
use crate::pod::probe::ProbeKind::{self, Liveness, Readiness, Startup};
use crate::pod::prober::Prober;
use crate::simulation::Run;

pub(super) fn fails() -> ProbeOutcome {
    ProbeOutcome::Failure("no".to_owned())
}

/// A pod whose container `c` has these probes.
pub(super) fn probed(policy: &str, probes: Value, runs: &[Run], seconds: u64) -> Driver {
    let mut container = json!({"name": "c"});
    container.as_object_mut().unwrap().extend(probes.as_object().unwrap().clone());
    let script = Script::default().container("c", runs);
    let mut driver = Driver::new(pod(policy, json!([container])), settings(), script);
    driver.run_until(Duration::from_secs(seconds)).unwrap();
    driver
}

fn exec(period: i32, failure: i32) -> Value {
    json!({"exec": {"command": ["true"]}, "periodSeconds": period, "failureThreshold": failure})
}

fn messages(driver: &Driver, reason: &str) -> Vec<String> {
    let events = driver.machine.events().into_iter();
    let of_reason = events.filter(|event| event.reason.as_deref() == Some(reason));
    of_reason.map(|event| format!("{} x{}", event.message.unwrap(), event.count.unwrap())).collect()
}

/// When a container's readiness changed, and to what.
fn readiness(driver: &Driver) -> Vec<(f64, bool)> {
    let mut changes: Vec<(f64, bool)> = Vec::new();
    for line in &driver.timeline {
        let Entry::Status(view) = &line.entry else { continue };
        let ready = view.containers[0].ready;
        if changes.last().is_none_or(|(_, last)| *last != ready) {
            changes.push((line.at.as_secs_f64(), ready));
        }
    }
    changes
}

#[test]
pub(super) fn a_container_that_does_not_live_any_more_is_stopped_and_started_anew() {
    let run = Run::forever().probe(Liveness, 5_000, fails());
    let driver = probed("Always", json!({"livenessProbe": exec(1, 3)}), &[run.clone(), Run::forever()], 30);
    assert_eq!(times(&driver, "probe/c/0/liveness/")[..5], [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(times(&driver, "signal/c/0/SIGTERM"), [7.0]);
    assert_eq!(times(&driver, "start/c/1"), [7.0]);
    assert_eq!(messages(&driver, "Unhealthy"), ["Liveness probe failed: no x3"]);
    assert_eq!(messages(&driver, "Killing"), ["Container c failed liveness probe, will be restarted x1"]);
    assert_eq!(container(&driver, "c").restart_count, 1);
    // Killed although it obeyed and exited 0: OnFailure starts it anew, too.
    let driver = probed("OnFailure", json!({"livenessProbe": exec(1, 3)}), &[run, Run::forever()], 30);
    assert_eq!(container(&driver, "c").restart_count, 1);
}

#[test]
pub(super) fn with_policy_never_the_last_container_that_fails_its_probe_ends_the_pod() {
    let mut probe = exec(1, 1);
    probe["terminationGracePeriodSeconds"] = json!(1);
    let deaf = Run::forever().deaf().probe(Liveness, 0, fails());
    let driver = probed("Never", json!({"livenessProbe": probe.clone()}), &[deaf], 60);
    assert_eq!(messages(&driver, "Killing"), ["Stopping container c x1"]);
    assert_eq!(times(&driver, "kill/c/0"), [31.0], "the pod's grace period holds");
    assert_eq!(view(&driver).phase, "Failed");
    let obeys = Run::forever().probe(Liveness, 0, fails());
    assert_eq!(
        view(&probed("Never", json!({"livenessProbe": probe.clone()}), std::slice::from_ref(&obeys), 60)).phase,
        "Succeeded"
    );

    // With another one that runs, the container alone is stopped, with the probe's grace period.
    let containers = json!([{"name": "c", "livenessProbe": probe}, {"name": "d"}]);
    let script = Script::default().container("c", [obeys.deaf()]).container("d", [Run::exits(0, 20_000)]);
    let mut driver = Driver::new(pod("Never", containers), settings(), script);
    driver.run_until(Duration::from_secs(10)).unwrap();
    assert_eq!(messages(&driver, "Killing"), ["Container c failed liveness probe x1"]);
    assert_eq!(times(&driver, "kill/c/0"), [3.0]);
    assert_eq!((view(&driver).phase.as_str(), container(&driver, "c").restart_count), ("Running", 0));
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!(view(&driver).phase, "Failed");
}

#[test]
pub(super) fn a_probes_own_grace_period_holds_for_the_restart_it_causes() {
    for (grace, killed) in [(json!(1), 3.0), (json!(60), 61.0), (Value::Null, 31.0)] {
        let mut probe = exec(1, 1);
        probe["terminationGracePeriodSeconds"] = grace;
        let deaf = Run::forever().deaf().probe(Liveness, 0, fails());
        let driver = probed("Always", json!({"livenessProbe": probe}), &[deaf, Run::forever()], 100);
        assert_eq!(times(&driver, "kill/c/0"), [killed]);
        assert_eq!(container(&driver, "c").last.unwrap().1, 137);
    }
}

#[test]
pub(super) fn a_deletion_counts_before_a_probes_grace_period() {
    let mut probe = exec(1, 1);
    probe["terminationGracePeriodSeconds"] = json!(60);
    let run = Run::forever().deaf().probe(Liveness, 5_000, fails());
    let mut driver = probed("Always", json!({"livenessProbe": probe}), &[run], 4);
    driver.input(Fact::DeleteRequested { grace_seconds: Some(4), force: false });
    driver.run_until(Duration::from_secs(30)).unwrap();
    assert_eq!(times(&driver, "kill/c/0"), [8.0]);
    assert!(messages(&driver, "Unhealthy").is_empty(), "liveness is not probed any more");
}

#[test]
pub(super) fn nothing_else_is_probed_before_the_startup_probe_has_succeeded() {
    let probes = json!({"startupProbe": exec(1, 5), "livenessProbe": exec(1, 3), "readinessProbe": exec(10, 3)});
    let never = Run::forever().probe(Startup, 0, fails());
    let driver = probed("Always", probes.clone(), &[never, Run::forever()], 6);
    assert_eq!(times(&driver, "probe/c/0/startup/"), [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(messages(&driver, "Killing"), ["Container c failed startup probe, will be restarted x1"]);
    assert!(times(&driver, "probe/c/0/liveness/").is_empty() && times(&driver, "probe/c/0/readiness/").is_empty());

    let late = Run::forever().probe(Startup, 0, fails()).probe(Startup, 2_500, ProbeOutcome::Success);
    let driver = probed("Always", probes, &[late], 15);
    assert_eq!(times(&driver, "probe/c/0/startup/"), [1.0, 2.0, 3.0]);
    assert_eq!(times(&driver, "probe/c/0/liveness/")[..2], [3.0, 4.0], "on the grid that began with the process");
    assert_eq!(times(&driver, "probe/c/0/readiness/"), [3.0, 13.0], "at once");
    assert!(container(&driver, "c").started);
    assert_eq!(readiness(&driver), [(0.0, false), (3.0, true)]);
}

#[test]
pub(super) fn readiness_comes_and_goes_and_restarts_nothing() {
    let run = Run::forever().probe(Readiness, 0, fails()).probe(Readiness, 2_500, ProbeOutcome::Success).probe(
        Readiness,
        7_500,
        fails(),
    );
    let mut probe = exec(1, 3);
    probe["successThreshold"] = json!(2);
    let driver = probed("Always", json!({"readinessProbe": probe}), &[run], 20);
    // Two successes, at 3 and 4 s; three failures, at 8, 9 and 10 s.
    assert_eq!(readiness(&driver), [(0.0, false), (4.0, true), (10.0, false)]);
    assert_eq!(messages(&driver, "Killing"), Vec::<String>::new());
    let seen = view(&driver);
    assert_eq!((seen.containers[0].restart_count, seen.phase.as_str()), (0, "Running"));
    assert!(seen.conditions.contains(&("Ready".to_owned(), "False/ContainersNotReady".to_owned())));
    assert!(seen.containers[0].started);
}

#[test]
pub(super) fn the_first_probe_waits_for_its_delay_of_each_instance() {
    let probe = json!({"exec": {"command": ["true"]}, "initialDelaySeconds": 5, "periodSeconds": 3});
    let run = Run::exits(1, 20_000);
    let driver = probed("Always", json!({"livenessProbe": probe}), &[run], 35);
    assert_eq!(times(&driver, "probe/c/0/liveness/"), [5.0, 8.0, 11.0, 14.0, 17.0]);
    assert_eq!(times(&driver, "probe/c/1/liveness/"), [25.0, 28.0, 31.0, 34.0]);
}

#[test]
pub(super) fn one_failure_below_the_threshold_does_nothing_but_an_event() {
    let run = Run::forever().probe(Liveness, 2_500, fails()).probe(Liveness, 3_500, ProbeOutcome::Success);
    let driver = probed("Always", json!({"livenessProbe": exec(1, 2)}), &[run], 20);
    assert_eq!(messages(&driver, "Unhealthy"), ["Liveness probe failed: no x1"]);
    assert_eq!(container(&driver, "c").restart_count, 0);
}

#[test]
pub(super) fn failures_are_counted_over_a_restart() {
    // Two of three failures, then it crashes by itself: the first failure of the next instance is the third.
    let crashes = Run::exits(1, 2_500).probe(Liveness, 0, fails());
    let next = Run::forever().probe(Liveness, 0, fails());
    let driver = probed("Always", json!({"livenessProbe": exec(1, 3)}), &[crashes, next, Run::forever()], 20);
    assert_eq!(times(&driver, "signal/c/1/SIGTERM"), [3.5]);
    // A kill begins the count anew.
    assert_eq!(container(&driver, "c").state, "running");
    assert_eq!(container(&driver, "c").restart_count, 2);
}

#[test]
pub(super) fn a_probe_that_cannot_be_run_counts_neither_way() {
    let error = |state| ProbeOutcome::Error { state, message: "no such port".to_owned() };
    let run = Run::forever()
        .probe(Liveness, 0, error(ErrorState::Unknown))
        .probe(Liveness, 30_500, error(ErrorState::Failure))
        .probe(Readiness, 0, error(ErrorState::Unknown));
    let probes = json!({"livenessProbe": exec(10, 1), "readinessProbe": exec(10, 1)});
    let driver = probed("Always", probes, &[run], 45);
    assert_eq!(
        messages(&driver, "Unhealthy"),
        [
            "Liveness probe errored and resulted in unknown state: no such port x3",
            "Readiness probe errored and resulted in unknown state: no such port x5",
            "Liveness probe errored and resulted in failure state: no such port x2",
        ]
    );
    assert!(!container(&driver, "c").ready);
    assert_eq!(container(&driver, "c").restart_count, 0);
}

#[test]
pub(super) fn a_warning_is_a_success() {
    let warning = ProbeOutcome::Warning("Probe terminated redirects, Response body: moved".to_owned());
    let driver =
        probed("Always", json!({"readinessProbe": exec(1, 1)}), &[Run::forever().probe(Readiness, 0, warning)], 3);
    let text = "Readiness probe warning: Probe terminated redirects, Response body: moved x3";
    assert_eq!(messages(&driver, "ProbeWarning"), [text]);
    assert!(container(&driver, "c").ready);
}

#[test]
pub(super) fn a_slow_probe_is_followed_at_once_and_keeps_to_its_grid() {
    let run = Run::forever().slow_probe(Liveness, 0, ProbeOutcome::Success, 2_500);
    let driver = probed("Always", json!({"livenessProbe": exec(1, 3)}), &[run], 12);
    // Begun at 1, over at 3.5; one tick was missed and is made up for, then again.
    assert_eq!(times(&driver, "probe/c/0/liveness/"), [1.0, 3.5, 6.0, 8.5, 11.0]);
}

#[test]
pub(super) fn readiness_is_probed_to_the_end_and_the_others_are_not() {
    let probes = json!({"livenessProbe": exec(1, 1), "readinessProbe": exec(1, 1)});
    let run = Run::forever().deaf().probe(Liveness, 3_500, fails()).probe(Readiness, 3_500, fails());
    let mut driver = probed("Always", probes, &[run], 3);
    driver.input(Fact::DeleteRequested { grace_seconds: Some(5), force: false });
    driver.run_until(Duration::from_secs(20)).unwrap();
    assert_eq!(messages(&driver, "Unhealthy"), ["Readiness probe failed: no x4"]);
    assert_eq!(readiness(&driver), [(0.0, false), (1.0, true), (4.0, false)]);
    assert_eq!(times(&driver, "kill/c/0"), [8.0]);
}

#[test]
pub(super) fn probe_kills_restart_at_once_while_the_instance_before_ended_long_enough_ago() {
    // As recorded of a kubelet: 0, 0, then the back-off, since the one before had ended 3 s ago.
    let run = Run::forever().probe(Startup, 0, fails());
    let driver = probed("Always", json!({"startupProbe": exec(1, 3)}), &[run], 120);
    assert_eq!(times(&driver, "start/c/"), [0.0, 3.0, 6.0, 19.0, 42.0, 85.0]);
}

#[test]
fn a_result_that_nobody_waits_for_is_no_news() {
    let mut driver = probed("Always", json!({"livenessProbe": exec(1, 1)}), &[Run::forever()], 3);
    let result = |attempt, probe: ProbeKind, outcome| Fact::ProbeResult {
        container: "c".to_owned(),
        attempt,
        probe,
        begun: crate::pod::time::BootTime(0),
        outcome,
    };
    for fact in [
        result(0, Liveness, ProbeOutcome::Success),
        result(1, Liveness, fails()),
        result(0, Readiness, fails()),
        result(0, Startup, fails()),
    ] {
        assert!(!driver.machine.is_news(&fact), "{fact:?}");
        let before = driver.machine.digest();
        driver.machine.step(&crate::pod::input::Input { at: driver.machine.state.clock, fact });
        assert_eq!(driver.machine.digest(), before);
    }
    assert!(driver.machine.is_news(&result(0, Liveness, fails())));
    driver.end_instance("c", Exit::Code(1));
    driver.run_until(Duration::from_millis(3_500)).unwrap();
    assert!(!driver.machine.is_news(&result(0, Liveness, fails())));
}

#[test]
fn half_an_hour_of_probes_leaves_no_larger_state() {
    let probes = json!({"startupProbe": exec(1, 3), "livenessProbe": exec(1, 3), "readinessProbe": exec(1, 3)});
    let mut driver = probed("Always", probes, &[Run::forever()], 60);
    let size = |driver: &Driver| serde_json::to_vec(&driver.machine).unwrap().len();
    let (early, digest) = (size(&driver), driver.machine.digest());
    driver.run_until(Duration::from_secs(1_860)).unwrap();
    assert_eq!((size(&driver), driver.machine.digest()), (early, digest));
    assert_eq!(times(&driver, "probe/c/0/readiness/").len(), 1_860);
}

#[test]
fn a_sidecar_of_a_pod_that_ends_is_not_asked_whether_it_lives() {
    let sidecar =
        json!({"name": "s", "restartPolicy": "Always", "livenessProbe": exec(1, 3), "readinessProbe": exec(1, 3)});
    let pod = super::init::pod_with_init("Always", json!([sidecar]), json!([{"name": "c"}]));
    let script = Script::default().container("c", [Run::forever().stops(0, 10_000)]);
    let mut driver = Driver::new(pod, settings(), script);
    driver.run_until(Duration::from_millis(5_500)).unwrap();
    driver.input(Fact::DeleteRequested { grace_seconds: None, force: false });
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!(times(&driver, "probe/s/0/liveness/").last(), Some(&5.0));
    assert_eq!(times(&driver, "probe/s/0/readiness/").last(), Some(&15.0));
}

#[test]
fn the_first_probe_comes_by_another_rule_than_those_behind_it() {
    let driver = probed("Always", json!({"livenessProbe": exec(1, 3)}), &[Run::forever()], 3);
    let probes: Vec<String> = effects(&driver).into_iter().filter(|effect| effect.starts_with("probe/")).collect();
    assert_eq!(probes[..2], ["probe/c/0/liveness/1 R-6.2-a", "probe/c/0/liveness/2 R-6.2-b"]);
}

#[test]
fn a_probe_is_under_way_until_it_has_ended() {
    let driver = probed("Always", json!({"livenessProbe": exec(10, 3)}), &[Run::forever()], 0);
    let mut prober = Prober::default();
    prober.follow(&driver.machine);
    assert!(!prober.is_probing());
    let due = prober.wake().unwrap();
    assert_eq!(prober.begin_due(due).len(), 1);
    assert!(prober.is_probing());
    prober.ended("c", 0, Liveness);
    assert!(!prober.is_probing());
    assert_eq!(prober.wake(), Some(due.after(Duration::from_secs(10))));
}

#[test]
fn only_readiness_is_probed_at_once_when_a_container_is_found_started() {
    let run = Run::forever().probe(Startup, 0, fails()).probe(Startup, 4_500, ProbeOutcome::Success);
    let probes = json!({"startupProbe": exec(1, 30), "livenessProbe": exec(10, 3), "readinessProbe": exec(10, 3)});
    let driver = probed("Always", probes, &[run], 12);
    let first = |kind: &str| {
        let id = format!("probe/c/0/{kind}/");
        let effect = effects(&driver).into_iter().find(|effect| effect.starts_with(&id)).unwrap();
        (times(&driver, &id)[0], effect.split(' ').nth(1).unwrap().to_owned())
    };
    assert_eq!(first("readiness"), (5.0, "R-6.2-c".to_owned()));
    assert_ne!(first("liveness").1, "R-6.2-c");
}

#[test]
fn zero_is_as_good_as_nothing_said() {
    let probe = json!({"exec": {"command": ["true"]}, "periodSeconds": 0, "failureThreshold": 0});
    let driver = probed("Always", json!({"livenessProbe": probe}), &[Run::forever().probe(Liveness, 0, fails())], 100);
    assert_eq!(times(&driver, "probe/c/0/liveness/"), [1.0, 11.0, 21.0]);
    assert_eq!(times(&driver, "signal/c/0"), [21.0]);
}

#[test]
fn nothing_is_probed_while_the_post_start_hook_runs() {
    let spec = json!({"startupProbe": exec(1, 3), "lifecycle": {"postStart": {"exec": {"command": ["true"]}}}});
    let driver = probed("Always", spec, &[Run::forever().hook(HookKind::PostStart, Some(5_500), None)], 8);
    assert_eq!(times(&driver, "probe/c/0/startup/"), [5.5]);
}

#[test]
fn what_is_being_stopped_is_asked_only_whether_it_is_ready() {
    let restart = Fact::RestartRequested { container: Some("c".to_owned()) };
    let last = |probes: Value, kind: ProbeKind, run: Run| {
        let mut driver = probed("Always", probes, &[run.deaf()], 0);
        driver.at(Duration::from_millis(5_500), restart.clone());
        driver.run_until(Duration::from_secs(30)).unwrap();
        times(&driver, &format!("probe/c/0/{}/", kind.word())).pop()
    };
    let never = Run::forever().probe(Startup, 0, fails());
    assert_eq!(last(json!({"startupProbe": exec(1, 100)}), Startup, never), Some(5.0));
    assert_eq!(last(json!({"livenessProbe": exec(1, 3)}), Liveness, Run::forever()), Some(5.0));
    assert_eq!(last(json!({"readinessProbe": exec(1, 3)}), Readiness, Run::forever()), Some(30.0));
}
