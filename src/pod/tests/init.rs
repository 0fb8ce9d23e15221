//! Init containers and sidecars (lifecycle 5), and the order in which a pod with sidecars ends (8.4).

use std::time::Duration;

use super::*;
use crate::pod::input::{Fact, ImageFailure};
use crate::pod::probe::ProbeKind::Startup;
use crate::simulation::{ImageOutcome, Run};

/// A defaulted pod with these init containers and containers.
pub(super) fn pod_with_init(policy: &str, init: Value, containers: Value) -> Pod {
    let mut pod = pod(policy, containers);
    pod.spec.as_mut().unwrap().init_containers = pod_specs(init);
    pod
}

fn pod_specs(containers: Value) -> Option<Vec<k8s_openapi::api::core::v1::Container>> {
    Some(pod("Always", containers).spec.unwrap().containers)
}

/// A sidecar of that name.
pub(super) fn sidecar(name: &str) -> Value {
    json!({"name": name, "restartPolicy": "Always"})
}

fn driver(policy: &str, init: Value, containers: Value, script: Script) -> Driver {
    Driver::new(pod_with_init(policy, init, containers), settings(), script)
}

fn run(mut driver: Driver, seconds: u64) -> Driver {
    driver.run_until(Duration::from_secs(seconds)).unwrap();
    driver
}

/// The ids of all effects that start or stop a container.
fn order(driver: &Driver) -> Vec<String> {
    let concerns = |id: &&String| id.starts_with("start/") || id.starts_with("signal/") || id.starts_with("kill/");
    let ids: Vec<String> = driver
        .timeline
        .iter()
        .filter_map(|line| match &line.entry {
            Entry::Effect(effect) => Some(effect.id.0.clone()),
            _ => None,
        })
        .collect();
    ids.iter().filter(concerns).cloned().collect()
}

fn phases(driver: &Driver) -> Vec<String> {
    let mut phases: Vec<String> = Vec::new();
    for line in &driver.timeline {
        if let Entry::Status(view) = &line.entry
            && phases.last() != Some(&view.phase)
        {
            phases.push(view.phase.clone());
        }
    }
    phases
}

fn condition(driver: &Driver, kind: &str) -> String {
    view(driver).conditions.into_iter().find(|(found, _)| found == kind).unwrap().1
}

#[test]
fn init_containers_run_one_after_the_other_then_the_regular_ones() {
    let script = Script::default().container("a", [Run::exits(0, 2000)]).container("b", [Run::exits(0, 1000)]);
    let init = json!([{"name": "a"}, {"name": "b"}]);
    let mut driver = run(driver("Always", init, json!([{"name": "app"}]), script), 1);
    assert_eq!(order(&driver), ["start/a/0"]);
    assert_eq!(container(&driver, "b").reason.as_deref(), Some("PodInitializing"));
    assert_eq!(container(&driver, "app").reason.as_deref(), Some("PodInitializing"));
    let a = container(&driver, "a");
    assert_eq!((a.state, a.ready, a.started), ("running", false, true));
    assert_eq!(condition(&driver, "Initialized"), "False/ContainersNotInitialized");
    let message = driver.machine.pod().status.unwrap().conditions.unwrap()[1].message.clone();
    assert_eq!(message.as_deref(), Some("containers with incomplete status: [a b]"));
    driver.run_until(Duration::from_millis(2500)).unwrap();
    let a = container(&driver, "a");
    assert_eq!((a.state, a.ready, a.started), ("terminated", true, false));
    driver.run_until(Duration::from_secs(10)).unwrap();
    assert_eq!(times(&driver, "start/"), [0.0, 2.0, 3.0]);
    assert_eq!(order(&driver), ["start/a/0", "start/b/0", "start/app/0"]);
    assert_eq!(phases(&driver), ["Pending", "Running"]);
    assert_eq!(condition(&driver, "Initialized"), "True");
    assert_eq!(condition(&driver, "Ready"), "True");
}

#[test]
fn a_failing_init_container_is_run_again_with_backoff_and_keeps_the_others_waiting() {
    let script = Script::default().container("a", [Run::exits(0, 0)]).container("b", [Run::exits(2, 1000)]);
    let driver = run(driver("Always", json!([{"name": "a"}, {"name": "b"}]), json!([{"name": "app"}]), script), 60);
    assert_eq!(times(&driver, "start/b"), [0.0, 1.0, 12.0, 33.0]);
    assert_eq!(times(&driver, "start/a"), [0.0]);
    assert_eq!(times(&driver, "start/app"), [0.0; 0]);
    let b = container(&driver, "b");
    assert_eq!((b.state, b.reason.as_deref(), b.restart_count), ("waiting", Some("CrashLoopBackOff"), 3));
    assert!(b.message.unwrap().starts_with("back-off 40s restarting failed container=b"));
    assert_eq!(phases(&driver), ["Pending"]);
}

#[test]
fn a_failed_init_container_under_never_fails_the_pod_and_ends_the_sidecars() {
    let script =
        Script::default().container("i", [Run::exits(1, 1000)]).container("s", [Run::forever().stops(0, 1000)]);
    let init = json!([sidecar("s"), {"name": "i"}, {"name": "j"}]);
    let mut driver = run(driver("Never", init, json!([{"name": "app"}]), script), 1);
    assert_eq!(view(&driver).phase, "Pending");
    assert_eq!(condition(&driver, "Ready"), "False/PodFailed");
    driver.run_until(Duration::from_secs(5)).unwrap();
    assert_eq!(phases(&driver), ["Pending", "Failed"]);
    assert_eq!(order(&driver), ["start/s/0", "start/i/0", "signal/s/0/SIGTERM"]);
    for never in ["j", "app"] {
        let seen = container(&driver, never);
        assert_eq!((seen.state, seen.reason.as_deref()), ("waiting", Some("PodInitializing")), "{never}");
    }
    assert_eq!(condition(&driver, "Initialized"), "False/ContainersNotInitialized");
    assert!(events(&driver).iter().all(|event| !event.contains("BackOff")));
}

#[test]
fn an_init_containers_own_policy_and_rules_decide_before_the_pods() {
    let own = json!([{"name": "i", "restartPolicy": "Never"}]);
    let fails = || Script::default().container("i", [Run::exits(1, 100)]);
    assert_eq!(view(&run(driver("Always", own, json!([{"name": "app"}]), fails()), 5)).phase, "Failed");
    let rule = json!([{"name": "i", "restartPolicy": "Never", "restartPolicyRules": [
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]}]);
    let script = Script::default().container("i", [Run::exits(1, 100), Run::exits(0, 100)]);
    let driver = run(driver("Never", rule, json!([{"name": "app"}]), script), 5);
    assert_eq!(order(&driver), ["start/i/0", "start/i/1", "start/app/0"]);
}

#[test]
fn an_init_container_in_which_something_was_killed_for_memory_has_failed() {
    let killed = Run { oom_killed: true, ..Run::exits(0, 100) };
    let script = Script::default().container("i", [killed, Run::exits(0, 100)]);
    let driver = run(driver("Always", json!([{"name": "i"}]), json!([{"name": "app"}]), script), 5);
    assert_eq!(order(&driver), ["start/i/0", "start/i/1", "start/app/0"]);
}

#[test]
fn a_crash_of_a_regular_container_runs_no_init_container_again() {
    let script = Script::default().container("i", [Run::exits(0, 0)]).container("app", [Run::exits(1, 100)]);
    let driver = run(driver("Always", json!([{"name": "i"}]), json!([{"name": "app"}]), script), 60);
    assert_eq!(times(&driver, "start/i"), [0.0]);
    assert!(times(&driver, "start/app").len() > 3);
}

#[test]
fn a_sidecar_starts_in_order_and_lets_the_next_begin_while_it_runs() {
    let script = Script::default().container("a", [Run::exits(0, 1000)]).container("b", [Run::exits(0, 1000)]);
    let init = json!([{"name": "a"}, sidecar("s"), {"name": "b"}]);
    let driver = run(driver("Never", init, json!([{"name": "app"}]), script), 10);
    assert_eq!(order(&driver), ["start/a/0", "start/s/0", "start/b/0", "start/app/0"]);
    assert_eq!(phases(&driver), ["Pending", "Running"]);
    let sidecar = container(&driver, "s");
    assert_eq!((sidecar.ready, sidecar.started), (true, true));
}

#[test]
fn a_sidecar_is_restarted_under_every_policy_and_alone() {
    for policy in ["Always", "OnFailure", "Never"] {
        for code in [0, 1] {
            let script = Script::default().container("s", [Run::exits(code, 5000)]);
            let driver = run(driver(policy, json!([sidecar("s")]), json!([{"name": "app"}]), script), 30);
            assert_eq!(times(&driver, "start/s"), [0.0, 5.0, 20.0], "{policy} {code}");
            assert_eq!(times(&driver, "start/app"), [0.0]);
            assert_eq!(view(&driver).phase, "Running");
            assert_eq!(condition(&driver, "Initialized"), "True");
            assert_eq!(condition(&driver, "Ready"), "False/ContainersNotReady");
        }
    }
}

#[test]
fn a_sidecar_that_never_comes_up_keeps_the_pod_pending() {
    let script = Script::default().container("s", [Run::fails(crate::pod::input::StartStage::Run, "no")]);
    let driver = run(driver("Never", json!([sidecar("s")]), json!([{"name": "app"}]), script), 60);
    assert_eq!(phases(&driver), ["Pending"]);
    assert_eq!(times(&driver, "start/app"), [0.0; 0]);
    assert!(times(&driver, "start/s").len() > 2);
}

#[test]
fn a_sidecar_that_crashes_while_a_later_init_container_runs_is_started_beside_it() {
    let script =
        Script::default().container("s", [Run::exits(1, 2000), Run::forever()]).container("i", [Run::exits(0, 10_000)]);
    let driver = run(driver("Always", json!([sidecar("s"), {"name": "i"}]), json!([{"name": "app"}]), script), 20);
    assert_eq!(order(&driver), ["start/s/0", "start/i/0", "start/s/1", "start/app/0"]);
    assert_eq!(times(&driver, "start/app"), [10.0]);
}

#[test]
fn the_pod_ends_with_its_regular_containers_whatever_its_sidecars_end_with() {
    for (code, phase) in [(0, "Succeeded"), (1, "Failed")] {
        let script = Script::default()
            .container("app", [Run::exits(code, 2000)])
            .container("s1", [Run::forever().stops(7, 1000)])
            .container("s2", [Run::forever().stops(0, 1000)]);
        let init = json!([sidecar("s1"), sidecar("s2")]);
        let mut driver = run(driver("Never", init, json!([{"name": "app"}]), script), 2);
        assert_eq!(view(&driver).phase, "Running");
        driver.run_until(Duration::from_secs(10)).unwrap();
        assert_eq!(view(&driver).phase, phase);
        assert_eq!(times(&driver, "signal/"), [2.0, 3.0]);
        assert_eq!(order(&driver)[3..], ["signal/s2/0/SIGTERM", "signal/s1/0/SIGTERM"]);
        assert_eq!(container(&driver, "s1").exit_code, Some(7));
        let killing: Vec<String> = events(&driver).into_iter().filter(|event| event.contains("Killing")).collect();
        assert_eq!(killing, ["Normal Killing Stopping container s1 x1", "Normal Killing Stopping container s2 x1"]);
    }
}

#[test]
fn a_pod_whose_work_is_done_ends_though_its_sidecar_is_in_backoff() {
    let script = Script::default()
        .container("app", [Run::exits(0, 5000)])
        .container("s", [Run::exits(1, 0), Run::exits(1, 3000), Run::exits(1, 0)]);
    let driver = run(driver("Never", json!([sidecar("s")]), json!([{"name": "app"}]), script), 6);
    assert_eq!(view(&driver).phase, "Succeeded");
}

#[test]
fn a_deleted_pod_ends_in_order_within_one_grace_period() {
    // The regular container is deaf: it uses up all the time, and the sidecars get the least grace period after it.
    let deaf = || Script::default().container("app", [Run::forever().deaf()]);
    let init = json!([sidecar("s1"), sidecar("s2")]);
    let delete = |grace| Fact::DeleteRequested { grace_seconds: Some(grace), force: false };
    let ends = |script: Script, grace| {
        let mut driver = run(driver("Always", init.clone(), json!([{"name": "app"}]), script), 10);
        driver.input(delete(grace));
        run(driver, 100)
    };
    let obedient = ends(deaf(), 4);
    assert_eq!(times(&obedient, "kill/"), [14.0]);
    assert_eq!(times(&obedient, "signal/"), [10.0, 14.0, 14.0]);
    assert_eq!(view(&obedient).phase, "Failed");
    let all_deaf = ends(deaf().container("s1", [Run::forever().deaf()]).container("s2", [Run::forever().deaf()]), 4);
    assert_eq!(times(&all_deaf, "kill/"), [14.0, 16.0, 16.0]);
    // Whole seconds of waiting are taken off, and 2 s are always left.
    let slow = Script::default()
        .container("app", [Run::forever().stops(0, 1500)])
        .container("s2", [Run::forever().deaf()])
        .container("s1", [Run::forever().deaf()]);
    let driver = ends(slow, 10);
    assert_eq!(times(&driver, "signal/"), [10.0, 11.5, 20.0]);
    assert_eq!(times(&driver, "kill/"), [20.5, 22.0]);
    assert!(driver.removed);
}

#[test]
fn in_a_new_sandbox_init_containers_begin_anew() {
    let script = || {
        Script::default()
            .container("i", [Run::exits(0, 1000)])
            .container("app", [Run::forever().stops(0, 0)])
            .container("s", [Run::forever()])
    };
    let lose = |policy| {
        let init = json!([{"name": "i"}, sidecar("s")]);
        let mut driver = run(driver(policy, init, json!([{"name": "app"}]), script()), 20);
        driver.input(Fact::SandboxExited { attempt: 0 });
        run(driver, 60)
    };
    let always = lose("Always");
    let after: Vec<String> = order(&always).split_off(3);
    let expected = ["signal/app/0/SIGTERM", "signal/s/0/SIGTERM", "start/i/1", "start/s/1", "start/app/1"];
    assert_eq!(after, expected);
    assert_eq!(phases(&always), ["Pending", "Running", "Pending", "Running"]);
    assert_eq!(condition(&always, "Initialized"), "True");
    for name in ["i", "s", "app"] {
        assert_eq!(container(&always, name).restart_count, 1, "{name}");
    }
    // Under OnFailure a container that ends well when told to stop is not started again: the pod is over then.
    let on_failure = lose("OnFailure");
    assert_eq!(view(&on_failure).phase, "Succeeded");
    assert_eq!(times(&on_failure, "start/i").len(), 2);
    assert_eq!(times(&on_failure, "start/app").len(), 1);
    let never = lose("Never");
    assert_eq!(view(&never).phase, "Succeeded");
    assert_eq!(times(&never, "start/").len(), 3);
}

#[test]
fn a_pod_deleted_while_it_initializes_shows_what_came_to_be() {
    let script = Script::default().container("i", [Run::forever().stops(3, 0)]);
    let init = json!([{"name": "i"}, {"name": "j"}]);
    let mut driver = run(driver("Always", init, json!([{"name": "app"}]), script), 5);
    driver.input(Fact::DeleteRequested { grace_seconds: None, force: false });
    let driver = run(driver, 60);
    assert_eq!(view(&driver).phase, "Failed");
    assert_eq!(container(&driver, "i").exit_code, Some(3));
    assert_eq!(container(&driver, "j").state, "waiting");
    assert_eq!(container(&driver, "app").reason.as_deref(), Some("PodInitializing"));
}

#[test]
fn initialized_is_for_good_although_init_containers_run_again() {
    let missing = ImageOutcome::Missing(ImageFailure::ErrImageNeverPull, "no".to_owned());
    let script = Script::default().container("i", [Run::exits(0, 0), Run::forever()]).image("c", [missing]);
    let mut driver = driver("Always", json!([{"name": "i"}]), json!([{"name": "c"}]), script);
    driver.at(Duration::from_secs(5), Fact::SandboxExited { attempt: 0 });
    let driver = run(driver, 10);
    assert_eq!(container(&driver, "i").state, "running");
    assert!(view(&driver).conditions.contains(&("Initialized".to_owned(), "True".to_owned())));
}

#[test]
fn a_pod_that_has_begun_is_running_while_its_sidecar_starts_anew() {
    let sidecar = json!({"name": "s", "restartPolicy": "Always",
        "startupProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1, "failureThreshold": 100}});
    let failing = Run::forever().probe(Startup, 0, super::probes::fails());
    let script = Script::default().container("s", [Run::exits(1, 10_000), failing]);
    let driver = run(driver("Always", json!([sidecar]), json!([{"name": "c"}]), script), 15);
    assert_eq!((container(&driver, "s").state, container(&driver, "s").started), ("running", false));
    assert_eq!(view(&driver).phase, "Running");
}
