//! postStart and preStop (lifecycle 7).

use std::time::Duration;

use super::probes::probed;
use super::*;
use crate::pod::hook::HookKind::{PostStart, PreStop};
use crate::pod::input::Fact;
use crate::pod::input::ProbeOutcome;
use crate::pod::probe::ProbeKind::Liveness;
use crate::simulation::Run;

fn hooked(policy: &str, lifecycle: Value, runs: &[Run], seconds: u64) -> Driver {
    probed(policy, json!({"lifecycle": lifecycle}), runs, seconds)
}

fn command() -> Value {
    json!({"exec": {"command": ["true"]}})
}

fn delete(driver: &mut Driver, grace: i64, seconds: u64) {
    driver.input(Fact::DeleteRequested { grace_seconds: Some(grace), force: false });
    driver.run_until(driver.now() + Duration::from_secs(seconds)).unwrap();
}

fn has_event(driver: &Driver, words: &str) -> bool {
    events(driver).contains(&words.to_owned())
}

#[test]
pub(super) fn until_its_post_start_hook_is_over_a_container_is_not_running_and_no_other_is_started() {
    for hook in [json!({"sleep": {"seconds": 3}}), command()] {
        let containers = json!([{"name": "c", "lifecycle": {"postStart": hook}}, {"name": "d"}]);
        let run = Run::forever().hook(PostStart, Some(3_000), None);
        let script = Script::default().container("c", [run]);
        let mut driver = Driver::new(pod("Always", containers), settings(), script);
        driver.run_until(Duration::from_millis(2_900)).unwrap();
        let seen = container(&driver, "c");
        assert_eq!((seen.state, seen.reason.as_deref()), ("waiting", Some("ContainerCreating")));
        assert_eq!((view(&driver).phase.as_str(), seen.started, seen.ready), ("Pending", false, false));
        driver.run_until(Duration::from_secs(4)).unwrap();
        assert_eq!(container(&driver, "c").state, "running");
        assert_eq!(times(&driver, "start/d/0"), [3.0]);
        assert_eq!(view(&driver).phase, "Running");
    }
}

#[test]
pub(super) fn a_container_whose_post_start_hook_fails_is_stopped_and_backed_off() {
    let failing = Run::forever().hook(PostStart, Some(1_000), Some("it did not work"));
    let lifecycle = json!({"postStart": command(), "preStop": command()});
    let driver = hooked("Always", lifecycle.clone(), std::slice::from_ref(&failing), 3);
    assert!(has_event(&driver, "Warning FailedPostStartHook PostStartHook failed x2"));
    assert!(has_event(&driver, "Normal Killing FailedPostStartHook x2"));
    assert_eq!(times(&driver, "hook/c/0/preStop"), [1.0], "the preStop hook runs");
    assert_eq!(times(&driver, "start/c/"), [0.0, 1.0]);
    let states: Vec<(&str, Option<String>)> = driver
        .timeline
        .iter()
        .filter_map(|line| match &line.entry {
            Entry::Status(view) => Some((view.containers[0].state, view.containers[0].reason.clone())),
            _ => None,
        })
        .collect();
    assert!(states.iter().all(|(state, _)| *state != "running"), "{states:?}");
    assert!(states.contains(&("waiting", Some("PostStartHookError".to_owned()))), "{states:?}");
    let seen = container(&driver, "c");
    assert_eq!((seen.state, seen.reason.as_deref()), ("waiting", Some("CrashLoopBackOff")));

    let driver = hooked("Never", lifecycle, &[failing], 10);
    assert_eq!(view(&driver).phase, "Succeeded", "the process obeyed: the hook's failure does not count");
}

#[test]
pub(super) fn a_restarted_container_shows_how_it_was_until_its_hook_is_over() {
    let run = Run::exits(1, 10_000).hook(PostStart, Some(2_000), None);
    let limit = json!({"limits": {"memory": "100M"}});
    let spec = json!({"lifecycle": {"postStart": command()}, "resources": limit});
    let mut driver = probed("Always", spec, &[run], 9);
    let id = |driver: &Driver| driver.machine.pod().status.unwrap().container_statuses.unwrap().remove(0).container_id;
    let first = id(&driver);
    driver.run_until(Duration::from_secs(11)).unwrap();
    // The instance's ten seconds run from its process's start.
    let seen = container(&driver, "c");
    assert_eq!((seen.state, seen.exit_code, seen.restart_count), ("terminated", Some(1), 0));
    let pod = view(&driver);
    assert_eq!(pod.phase, "Running");
    assert!(pod.conditions.contains(&("Ready".to_owned(), "False/ContainersNotReady".to_owned())), "{pod:?}");
    assert_eq!(id(&driver), first);
    // As its spec words it: no runtime reports of what has ended.
    let status = driver.machine.pod().status.unwrap().container_statuses.unwrap().remove(0);
    assert_eq!(serde_json::to_value(status.resources).unwrap(), limit);
    driver.run_until(Duration::from_secs(13)).unwrap();
    let seen = container(&driver, "c");
    assert_eq!((seen.state, seen.restart_count, seen.last.unwrap().1), ("running", 1, 1));
}

#[test]
pub(super) fn a_deletion_does_not_wait_for_a_post_start_hook() {
    let mut driver =
        hooked("Always", json!({"postStart": command()}), &[Run::forever().hook(PostStart, None, None)], 5);
    delete(&mut driver, 30, 5);
    assert!(driver.removed);
    assert_eq!(times(&driver, "signal/c/0/SIGTERM"), [5.0]);
}

#[test]
pub(super) fn the_pre_stop_hook_comes_before_the_signal_and_its_time_is_deducted() {
    for (hook, takes) in [(json!({"sleep": {"seconds": 4}}), 4.0), (command(), 3.7)] {
        let run = Run::forever().deaf().hook(PreStop, Some(3_700), None);
        let mut driver = hooked("Always", json!({"preStop": hook}), &[run], 5);
        delete(&mut driver, 10, 20);
        assert_eq!(times(&driver, "signal/c/0/SIGTERM"), [5.0 + takes]);
        // Whole seconds are deducted.
        let killed = 5.0 + takes + (10.0 - f64::floor(takes));
        assert_eq!(times(&driver, "kill/c/0"), [killed]);
        assert!(has_event(&driver, "Normal Killing Stopping container c x1"));
    }
}

#[test]
pub(super) fn a_pre_stop_hook_is_abandoned_when_the_grace_period_is_over_and_two_seconds_follow() {
    let run = Run::forever().deaf().hook(PreStop, None, None);
    let mut driver = hooked("Always", json!({"preStop": command()}), &[run], 5);
    delete(&mut driver, 5, 20);
    assert_eq!(times(&driver, "signal/c/0/SIGTERM"), [10.0]);
    assert_eq!(times(&driver, "kill/c/0"), [12.0]);
}

#[test]
pub(super) fn a_pre_stop_hook_that_fails_is_told_and_the_signal_is_sent() {
    let run = Run::forever().hook(PreStop, Some(500), Some("it did not work"));
    let mut driver = hooked("Always", json!({"preStop": command()}), &[run], 5);
    delete(&mut driver, 5, 20);
    assert!(has_event(&driver, "Warning FailedPreStopHook PreStopHook failed x1"));
    assert_eq!(times(&driver, "signal/c/0/SIGTERM"), [5.5]);
    assert!(driver.removed);
}

#[test]
pub(super) fn a_hook_by_tcp_socket_fails_as_with_a_kubelet() {
    let socket = json!({"tcpSocket": {"port": 80}});
    let mut driver = hooked("Always", json!({"preStop": socket}), &[Run::forever()], 5);
    delete(&mut driver, 5, 1);
    assert!(has_event(&driver, "Warning FailedPreStopHook PreStopHook failed x1"));
    assert_eq!(times(&driver, "signal/c/0/SIGTERM"), [5.0]);
    let driver = hooked("Always", json!({"postStart": socket}), &[Run::forever()], 5);
    assert!(has_event(&driver, "Warning FailedPostStartHook PostStartHook failed x2"));
}

#[test]
pub(super) fn without_a_grace_period_there_is_no_pre_stop_hook_but_a_deletion_always_has_one_second() {
    let run = Run::forever().deaf().hook(PreStop, None, None);
    let mut driver = hooked("Always", json!({"preStop": command()}), &[run], 5);
    delete(&mut driver, 0, 20);
    assert_eq!(times(&driver, "hook/c/0/preStop"), [5.0]);
    assert_eq!(times(&driver, "signal/c/0/SIGTERM"), [6.0]);
    assert_eq!(times(&driver, "kill/c/0"), [8.0]);

    let mut spec = pod("Always", json!([{"name": "c", "lifecycle": {"preStop": command()}}]));
    spec.spec.as_mut().unwrap().termination_grace_period_seconds = Some(0);
    let mut driver = Driver::new(spec, settings(), Script::default());
    driver.run_until(Duration::from_secs(5)).unwrap();
    driver.input(Fact::StopRequested { most_seconds: None });
    driver.run_until(Duration::from_secs(9)).unwrap();
    assert!(times(&driver, "hook/").is_empty());
    assert_eq!(times(&driver, "signal/c/0/SIGTERM"), [5.0]);
}

#[test]
pub(super) fn a_container_that_ends_by_itself_runs_no_pre_stop_hook_and_one_that_a_probe_stops_does() {
    let driver = hooked("Never", json!({"preStop": command()}), &[Run::exits(0, 1_000)], 5);
    assert!(times(&driver, "hook/").is_empty());
    let probes = json!({"lifecycle": {"preStop": command()}, "livenessProbe":
        {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}});
    let run = Run::forever().probe(Liveness, 0, ProbeOutcome::Failure(String::new())).hook(PreStop, Some(1_500), None);
    let driver = probed("Always", probes, &[run, Run::forever()], 5);
    assert_eq!(times(&driver, "hook/c/0/preStop"), [1.0]);
    assert_eq!(times(&driver, "signal/c/0/SIGTERM"), [2.5]);
    assert!(has_event(&driver, "Normal Killing Container c failed liveness probe, will be restarted x1"));
    assert_eq!(container(&driver, "c").restart_count, 1);
}

#[test]
pub(super) fn a_shorter_delete_cuts_a_pre_stop_hook_short() {
    let run = Run::forever().deaf().hook(PreStop, None, None);
    let mut driver = hooked("Always", json!({"preStop": command()}), &[run], 5);
    delete(&mut driver, 60, 5);
    delete(&mut driver, 8, 20);
    assert_eq!(times(&driver, "signal/c/0/SIGTERM"), [13.0]);
    assert_eq!(times(&driver, "kill/c/0"), [15.0]);
}

#[test]
pub(super) fn hooks_and_grace_periods_go_on_over_a_snapshot() {
    let run = Run::forever().deaf().hook(PreStop, Some(4_000), None);
    let mut driver = hooked("Always", json!({"preStop": command()}), &[run], 5);
    delete(&mut driver, 10, 2);
    let json = serde_json::to_vec(&driver.machine).unwrap();
    driver.machine = serde_json::from_slice(&json).unwrap();
    driver.run_until(Duration::from_secs(30)).unwrap();
    assert_eq!((times(&driver, "signal/c/0/SIGTERM"), times(&driver, "kill/c/0")), (vec![9.0], vec![15.0]));
}

#[test]
fn an_https_hook_that_was_answered_with_http_is_told() {
    let mut driver = hooked("Always", json!({"preStop": command()}), &[Run::forever()], 5);
    let fact = Fact::HookEnded {
        container: "c".to_owned(),
        attempt: 0,
        hook: PreStop,
        failure: None,
        fell_back: Some("10.0.0.1:80".to_owned()),
    };
    driver.input(fact);
    let text = "request to HTTPS lifecycle hook 10.0.0.1:80 got HTTP response, retry with HTTP succeeded";
    assert!(has_event(&driver, &format!("Warning LifecycleHTTPFallback {text} x1")));
}

#[test]
fn what_a_hook_leaves_of_the_grace_period_is_raised_only_when_it_is_less_than_two_seconds() {
    let killed = |driver: &Driver| {
        effects(driver).into_iter().find_map(|effect| Some(effect.strip_prefix("kill/c/0 ")?.to_owned())).unwrap()
    };
    for (takes, rule) in [(27_000, "R-8.2-a"), (28_000, "R-8.2-a"), (29_000, "R-8.2-b")] {
        let run = Run::forever().deaf().hook(PreStop, Some(takes), None);
        let mut driver = hooked("Always", json!({"preStop": command()}), &[run], 5);
        delete(&mut driver, 30, 60);
        assert_eq!(killed(&driver), rule, "{takes}");
    }
    for (grace, rule) in [(1, "R-8.2-b"), (2, "R-8.2-a"), (3, "R-8.2-a")] {
        let mut driver = run_one("Always", Script::default().container("c", [Run::forever().deaf()]), 5);
        delete(&mut driver, grace, 60);
        assert_eq!(killed(&driver), rule, "{grace}");
    }
}

#[test]
fn a_pod_is_pending_while_its_only_container_has_not_come_past_its_post_start_hook() {
    let run = Run::forever().hook(PostStart, Some(3_000), None);
    let driver = hooked("Always", json!({"postStart": command()}), &[run], 1);
    assert_eq!(view(&driver).phase, "Pending");
}

#[test]
fn a_hook_that_sleeps_is_not_woken_by_what_else_happens() {
    let containers = json!([{"name": "c", "lifecycle": {"postStart": {"sleep": {"seconds": 3}}}}]);
    let mut driver = Driver::new(pod("Always", containers), settings(), Script::default());
    driver.run_until(Duration::from_secs(1)).unwrap();
    driver.input(Fact::Tick);
    assert_eq!(container(&driver, "c").state, "waiting");
    driver.run_until(Duration::from_secs(4)).unwrap();
    assert_eq!(container(&driver, "c").state, "running");
}

#[test]
fn a_signal_that_a_hook_held_back_says_so() {
    let run = Run::forever().hook(PreStop, Some(2_000), None);
    let mut driver = hooked("Always", json!({"preStop": command()}), &[run], 5);
    delete(&mut driver, 30, 60);
    assert!(effects(&driver).contains(&"signal/c/0/SIGTERM R-7-d".to_owned()));
}

#[test]
fn a_pod_is_pending_while_one_of_its_containers_has_not_come_past_its_first_post_start_hook() {
    let containers = json!([{"name": "d"}, {"name": "c", "lifecycle": {"postStart": command()}}]);
    let script = Script::default().container("c", [Run::forever().hook(PostStart, Some(3_000), None)]);
    let mut driver = Driver::new(pod("Always", containers), settings(), script);
    driver.run_until(Duration::from_secs(1)).unwrap();
    assert_eq!((container(&driver, "d").state, view(&driver).phase.as_str()), ("running", "Pending"));
    driver.run_until(Duration::from_secs(4)).unwrap();
    assert_eq!(view(&driver).phase, "Running");
}

#[test]
fn a_pod_that_has_begun_is_running_while_its_sidecar_comes_past_its_post_start_hook_again() {
    let mut sidecar = super::init::sidecar("s");
    sidecar["lifecycle"] = json!({"postStart": command()});
    let pod = super::init::pod_with_init("Always", json!([sidecar]), json!([{"name": "c"}]));
    let run = Run::exits(1, 10_000).hook(PostStart, Some(3_000), None);
    let mut driver = Driver::new(pod, settings(), Script::default().container("s", [run]));
    driver.run_until(Duration::from_secs(1)).unwrap();
    assert_eq!(view(&driver).phase, "Pending");
    driver.run_until(Duration::from_secs(11)).unwrap();
    assert_eq!((container(&driver, "s").state, container(&driver, "s").restart_count), ("terminated", 0));
    assert_eq!(view(&driver).phase, "Running");
}
