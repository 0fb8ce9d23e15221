//! What is changed of a pod that runs: ephemeral containers, held containers, resizes.

use super::*;
use crate::pod::input::{Exit, Fact};
use crate::simulation::Run;

/// `podlet debug`, with `--hold`.
pub(super) fn debug(name: &str, holds: Option<&str>) -> Fact {
    let container = Box::new(json!({"name": name, "image": "localhost/busybox:1"}));
    Fact::EphemeralContainerAdded { container, holds: holds.map(str::to_owned) }
}

/// The pod of [`run_one`] with a memory limit, as changed.
pub(super) fn memory(limit: &str, policy: &str) -> Fact {
    let amounts = json!({"limits": {"memory": limit}, "requests": {"memory": limit}});
    let policy = json!([{"resourceName": "memory", "restartPolicy": policy}]);
    let pod = pod("Always", json!([{"name": "c", "resources": amounts, "resizePolicy": policy}]));
    applied(&pod)
}

fn later(driver: &mut Driver, fact: Fact, seconds: u64) {
    driver.input(fact);
    driver.run_until(driver.now() + Duration::from_secs(seconds)).unwrap();
}

fn started(driver: &Driver) -> Vec<String> {
    effects(driver).into_iter().filter(|effect| effect.starts_with("start/")).collect()
}

#[test]
pub(super) fn an_ephemeral_container_changes_nothing_of_its_pod() {
    let mut driver = run_one("Always", Script::default().container("d", [Run::exits(3, 5_000)]), 5);
    later(&mut driver, debug("d", None), 2);
    let pod = driver.machine.pod();
    let status = pod.status.clone().unwrap();
    let ephemeral = status.ephemeral_container_statuses.unwrap().remove(0);
    assert_eq!((ephemeral.ready, ephemeral.started, ephemeral.restart_count), (false, None, 0));
    assert!(ephemeral.state.unwrap().running.is_some());
    assert_eq!((pod.metadata.generation, status.container_statuses.unwrap().len()), (Some(2), 1));
    let told = driver.machine.events().into_iter().filter(|event| event.reason.as_deref() == Some("Started"));
    let paths: Vec<_> = told.filter_map(|event| event.involved_object.field_path).collect();
    assert_eq!(paths, ["spec.containers{c}", "spec.ephemeralContainers{d}"]);
    later(&mut driver, Fact::Tick, 60);
    let status = driver.machine.pod().status.unwrap();
    let ended = status.ephemeral_container_statuses.unwrap().remove(0).state.unwrap().terminated.unwrap();
    assert_eq!((ended.exit_code, status.phase.as_deref()), (3, Some("Running")));
    assert_eq!(started_of(&driver, "d"), 1);
    let ready = status.conditions.unwrap().into_iter().find(|condition| condition.type_ == "Ready").unwrap();
    assert_eq!(ready.status, "True");
    // A name that is taken, and a pod that is on its way out.
    later(&mut driver, debug("c", None), 1);
    later(&mut driver, Fact::DeleteRequested { grace_seconds: Some(3), force: false }, 0);
    later(&mut driver, debug("e", None), 60);
    assert!(!started(&driver).iter().any(|id| id.contains("start/e")));
    assert!(driver.removed);
}

fn started_of(driver: &Driver, name: &str) -> usize {
    started(driver).iter().filter(|id| id.starts_with(&format!("start/{name}/"))).count()
}

#[test]
pub(super) fn an_ephemeral_container_starts_before_init_containers_are_done_and_outlives_restarts() {
    let pod = super::init::pod_with_init("Always", json!([{"name": "i"}]), json!([{"name": "c"}]));
    let mut driver = Driver::new(pod, settings(), Script::default());
    driver.run_until(Duration::from_secs(5)).unwrap();
    later(&mut driver, debug("d", None), 5);
    assert_eq!((started_of(&driver, "d"), started_of(&driver, "c")), (1, 0));
    assert_eq!(view(&driver).phase, "Pending");
    later(&mut driver, Fact::RestartRequested { container: None }, 60);
    assert_eq!((started_of(&driver, "i"), started_of(&driver, "d")), (2, 1));
    assert!(!effects(&driver).iter().any(|effect| effect.starts_with("signal/d")));
    // With its sandbox it goes, and does not come again.
    later(&mut driver, Fact::SandboxExited { attempt: 0 }, 60);
    assert_eq!(started_of(&driver, "d"), 1);
}

#[test]
pub(super) fn a_held_container_is_not_started_until_the_one_in_its_place_has_ended() {
    let script = Script::default().container("c", [Run::exits(1, 0)]).container("d", [Run::exits(0, 500_000)]);
    let mut driver = run_one("Always", script, 15);
    let before = started_of(&driver, "c");
    later(&mut driver, debug("d", Some("c")), 400);
    assert_eq!((started_of(&driver, "c"), started_of(&driver, "d")), (before, 1));
    let waiting =
        driver.machine.pod().status.unwrap().container_statuses.unwrap().remove(0).state.unwrap().waiting.unwrap();
    let message = "held by the ephemeral container d; it may start when that has ended";
    assert_eq!((waiting.reason.as_deref(), waiting.message.as_deref()), (Some("Held"), Some(message)));
    assert_eq!(driver.machine.left_by_held("d"), Some(("c", u32::try_from(before - 1).unwrap())));
    later(&mut driver, Fact::Tick, 200);
    assert!(started_of(&driver, "c") > before);
}

#[test]
pub(super) fn what_runs_is_held_once_it_ends_and_so_is_the_end_of_its_pod() {
    let script = Script::default().container("c", [Run::exits(1, 20_000)]).container("d", [Run::exits(0, 60_000)]);
    let mut driver = run_one("Never", script, 5);
    later(&mut driver, debug("d", Some("c")), 10);
    assert_eq!((started_of(&driver, "d"), container(&driver, "c").state), (0, "running"));
    later(&mut driver, Fact::Tick, 10);
    assert_eq!((started_of(&driver, "d"), view(&driver).phase.as_str()), (1, "Running"));
    later(&mut driver, Fact::Tick, 100);
    assert_eq!((started_of(&driver, "c"), view(&driver).phase.as_str()), (1, "Failed"));
}

/// One container with these resources and policies for memory, which runs.
fn limited(policy: &str, script: Script) -> Driver {
    let mut driver = run_one("Always", script, 5);
    later(&mut driver, memory("64Mi", "NotRequired"), 5);
    later(&mut driver, memory("64Mi", policy), 5);
    driver
}

fn resources(driver: &Driver) -> (String, String) {
    let status = driver.machine.pod().status.unwrap().container_statuses.unwrap().remove(0);
    let amount = |list: Option<
        std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
    >| { list.and_then(|mut list| list.remove("memory")).map(|amount| amount.0).unwrap_or_default() };
    (amount(status.allocated_resources), amount(status.resources.unwrap().limits))
}

#[test]
pub(super) fn other_amounts_are_written_while_the_container_runs() {
    let mut driver = limited("NotRequired", Script::default());
    driver.input(memory("128Mi", "NotRequired"));
    // Asked for, and not done yet.
    let conditions = driver.machine.pod().status.unwrap().conditions.unwrap();
    assert_eq!((conditions[0].type_.as_str(), conditions[0].status.as_str()), ("PodResizeInProgress", "True"));
    assert_eq!(conditions[0].observed_generation, driver.machine.pod().metadata.generation);
    assert_eq!(resources(&driver), ("128Mi".to_owned(), "64Mi".to_owned()));
    driver.run_until(driver.now() + Duration::from_secs(5)).unwrap();
    assert_eq!(resources(&driver), ("128Mi".to_owned(), "128Mi".to_owned()));
    let seen = container(&driver, "c");
    assert_eq!((seen.state, seen.restart_count), ("running", 0));
    let conditions = driver.machine.pod().status.unwrap().conditions.unwrap();
    assert!(conditions.iter().all(|condition| condition.type_ != "PodResizeInProgress"));
    let events: Vec<String> = events(&driver).into_iter().filter(|event| event.contains("Resize")).collect();
    let summary = r#"{"containers":[{"name":"c","resources":{"limits":{"memory":"128Mi"},"requests":{"memory":"128Mi"}}}],"generation":"#;
    assert!(
        events.iter().any(|e| e.starts_with(&format!("Normal ResizeStarted Pod resize started: {summary}"))),
        "{events:#?}"
    );
    assert!(
        events.iter().any(|e| e.starts_with(&format!("Normal ResizeCompleted Pod resize completed: {summary}"))),
        "{events:#?}"
    );
}

#[test]
pub(super) fn a_container_that_must_restart_for_it_does_so_without_back_off() {
    let script =
        Script::default().container("c", [Run::exits(1, 1_000), Run::exits(1, 1_000), Run::forever().stops(0, 2_000)]);
    let mut driver = limited("RestartContainer", script);
    later(&mut driver, Fact::Tick, 30);
    let restarts = container(&driver, "c").restart_count;
    let at = driver.now();
    later(&mut driver, memory("32Mi", "RestartContainer"), 1);
    assert!(!effects(&driver).iter().any(|effect| effect.starts_with("resize/4")), "{:#?}", effects(&driver));
    later(&mut driver, Fact::Tick, 5);
    let seen = container(&driver, "c");
    assert_eq!((seen.state, seen.restart_count), ("running", restarts + 1));
    let start = times(&driver, &format!("start/c/{}", restarts + 1))[0];
    assert!((start - at.as_secs_f64() - 2.0).abs() < 0.1, "{start}");
    assert!(events(&driver).contains(&"Normal Killing Container c resize requires restart x1".to_owned()));
    assert_eq!(resources(&driver), ("32Mi".to_owned(), "32Mi".to_owned()));
}

#[test]
pub(super) fn a_resize_that_fails_is_told_once_and_tried_again() {
    // R-9.7-c.
    let refused =
        "cannot decrease memory limits: attempting to set container \"c\" memory limit (1) below current usage (2)";
    let mut driver = limited("NotRequired", Script::default());
    driver.script.resizes = vec![refused.to_owned(), refused.to_owned()];
    later(&mut driver, memory("16Mi", "NotRequired"), 15);
    let condition = driver.machine.pod().status.unwrap().conditions.unwrap().remove(0);
    assert_eq!(
        (condition.type_.as_str(), condition.reason.as_deref(), condition.message.as_deref()),
        ("PodResizeInProgress", Some("Error"), Some(refused))
    );
    let told = |driver: &Driver| events(driver).iter().filter(|event| event.contains("ResizeError")).count();
    assert_eq!((told(&driver), resources(&driver).1.as_str()), (1, "64Mi"));
    later(&mut driver, Fact::Tick, 10);
    assert_eq!((told(&driver), resources(&driver).1.as_str()), (1, "16Mi"));
    let tries: Vec<String> = effects(&driver).into_iter().filter(|effect| effect.starts_with("resize/3")).collect();
    assert_eq!(tries, ["resize/3 R-9.7-a", "resize/3#2 R-9.7-c", "resize/3#3 R-9.7-c"]);
}

#[test]
pub(super) fn the_same_amounts_in_other_words_are_no_resize() {
    let mut driver = limited("NotRequired", Script::default());
    let before = effects(&driver).iter().filter(|effect| effect.starts_with("resize/")).count();
    later(&mut driver, memory("65536Ki", "NotRequired"), 5);
    assert_eq!(effects(&driver).iter().filter(|effect| effect.starts_with("resize/")).count(), before);
}

#[test]
fn whoever_looks_does_not_wait_for_the_rest() {
    let mut driver = Driver::new(pod("Always", json!([{"name": "a"}, {"name": "b"}])), settings(), Script::default());
    driver.input(debug("d", None));
    driver.run_until(Duration::from_secs(5)).unwrap();
    let order: Vec<String> = started(&driver).iter().map(|id| id.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(order, ["start/d/0", "start/a/0", "start/b/0"]);
}

#[test]
fn what_is_left_of_a_held_container_can_be_looked_at_as_long_as_another_would_follow() {
    let deaf = [Run::forever().deaf()];
    let crashing = || Script::default().container("c", [Run::forever().stops(3, 0)]).container("d", deaf.clone());
    let mut driver = run_one("Always", crashing(), 5);
    assert!(!driver.machine.may_be_looked_at("c", 0), "it runs");
    later(&mut driver, debug("d", Some("c")), 1);
    assert_eq!(driver.machine.left_by_held("d"), None);
    driver.end_instance("c", Exit::Code(3));
    later(&mut driver, Fact::Tick, 1);
    assert_eq!(driver.machine.left_by_held("d"), Some(("c", 0)));
    assert!(driver.machine.may_be_looked_at("c", 0) && !driver.machine.may_be_looked_at("c", 1));
    assert_eq!(container(&driver, "c").state, "waiting");
    later(&mut driver, Fact::DeleteRequested { grace_seconds: Some(30), force: false }, 0);
    assert!(!driver.machine.may_be_looked_at("c", 0), "the pod ends");
    assert_eq!(container(&driver, "c").state, "terminated", "nobody holds it any more");
    let mut driver = run_one("Never", crashing(), 5);
    driver.end_instance("c", Exit::Code(3));
    later(&mut driver, Fact::Tick, 0);
    assert!(!driver.machine.may_be_looked_at("c", 0), "nothing follows");
    let mut driver = run_one("Never", crashing(), 5);
    later(&mut driver, debug("d", Some("c")), 1);
    driver.end_instance("c", Exit::Code(3));
    later(&mut driver, Fact::Tick, 1);
    assert!(driver.machine.may_be_looked_at("c", 0), "one has come in its place");
}

#[test]
fn a_restart_is_asked_for_only_of_what_can_be_restarted() {
    let pod = super::init::pod_with_init("Always", json!([{"name": "i"}]), json!([{"name": "c"}]));
    let script = Script::default().container("i", [Run::exits(0, 5_000)]);
    let mut driver = Driver::new(pod, settings(), script);
    let asked = |driver: &Driver| events(driver).iter().filter(|event| event.contains("RestartRequested")).count();
    let restart = |name: &str| Fact::RestartRequested { container: Some(name.to_owned()) };
    later(&mut driver, debug("d", None), 2);
    later(&mut driver, restart("i"), 20);
    assert_eq!((asked(&driver), started_of(&driver, "i")), (1, 2));
    later(&mut driver, restart("i"), 20);
    later(&mut driver, restart("d"), 20);
    assert_eq!((asked(&driver), started_of(&driver, "i"), started_of(&driver, "d")), (1, 2, 1));
    later(&mut driver, restart("c"), 20);
    assert_eq!((asked(&driver), started_of(&driver, "c")), (2, 2));
}

#[test]
fn another_image_of_one_container_ends_no_back_off_of_another() {
    let containers = |image: &str| json!([{"name": "a"}, {"name": "b", "image": image}]);
    let changed = |containers: Value| Fact::SpecChanged {
        pod: Box::new(serde_json::to_value(pod("Always", containers)).unwrap()),
    };
    let script = Script::default().container("a", [Run::exits(1, 0)]);
    let mut driver = Driver::new(pod("Always", containers("x:1")), settings(), script);
    driver.run_until(Duration::from_secs(15)).unwrap();
    later(&mut driver, changed(containers("x:2")), 1);
    assert_eq!((started_of(&driver, "a"), started_of(&driver, "b")), (3, 2));
    assert_eq!(container(&driver, "a").reason.as_deref(), Some("CrashLoopBackOff"));
    // Other containers than the pod's are none of its spec.
    let generation = driver.machine.pod().metadata.generation;
    later(&mut driver, changed(json!([{"name": "a"}, {"name": "z"}])), 1);
    assert_eq!(driver.machine.pod().metadata.generation, generation);
    assert_eq!(view(&driver).containers.len(), 2);
}

#[test]
fn what_has_done_its_work_is_restarted_when_that_is_asked_for() {
    let containers = json!([{"name": "c"}, {"name": "d"}]);
    let script = Script::default().container("c", [Run::exits(0, 1_000)]);
    let mut driver = Driver::new(pod("OnFailure", containers), settings(), script);
    driver.run_until(Duration::from_secs(5)).unwrap();
    later(&mut driver, Fact::RestartRequested { container: Some("c".to_owned()) }, 5);
    assert_eq!(started_of(&driver, "c"), 2);
}

#[test]
fn other_resources_end_the_back_off_of_their_container_and_of_no_other() {
    let containers = |memory: &str| json!([{"name": "a", "resources": {"limits": {"memory": memory}}}, {"name": "b"}]);
    let script = Script::default().container("a", [Run::exits(1, 0)]).container("b", [Run::exits(1, 0)]);
    let mut driver = Driver::new(pod("Always", containers("64Mi")), settings(), script);
    driver.run_until(Duration::from_secs(36)).unwrap();
    let other = pod("Always", containers("128Mi"));
    driver.input(applied(&other));
    let status = driver.machine.pod().status.unwrap().container_statuses.unwrap().remove(0);
    assert_eq!(status.resources.unwrap().limits.unwrap()["memory"].0, "128Mi", "nothing holds the one of before");
    let waits = |driver: &Driver, name: &str| container(driver, name).reason;
    assert_eq!(waits(&driver, "b").as_deref(), Some("CrashLoopBackOff"));
    driver.run_until(Duration::from_secs(50)).unwrap();
    assert_eq!(times(&driver, "start/a/")[3..], [30.0, 36.0, 46.0]);
    assert_eq!(times(&driver, "start/b/")[3..], [30.0]);
    let told = events(&driver).into_iter().filter(|event| event.contains("BackOff"));
    assert_eq!(told.filter(|event| event.contains("container b ")).count(), 1);
}

#[test]
fn a_limit_that_was_its_pods_already_restarts_no_container() {
    let limited = |own: Value| {
        let policy = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
        let mut pod = pod("Always", json!([{"name": "c", "resources": own, "resizePolicy": policy}]));
        let amounts = json!({"limits": {"memory": "64Mi"}, "requests": {"memory": "32Mi"}});
        pod.spec.as_mut().unwrap().resources = Some(serde_json::from_value(amounts).unwrap());
        pod
    };
    let restarts = |own: Value| {
        let mut driver = Driver::new(limited(json!({})), settings(), Script::default());
        driver.run_until(Duration::from_secs(5)).unwrap();
        later(&mut driver, applied(&limited(own)), 5);
        container(&driver, "c").restart_count
    };
    assert_eq!(restarts(json!({"limits": {"memory": "64Mi"}})), 0);
    assert_eq!(restarts(json!({"limits": {"memory": "48Mi"}})), 1);
    assert_eq!(restarts(json!({"requests": {"memory": "32Mi"}})), 1, "what its pod asks for is not its own");
}

#[test]
fn a_resize_waits_for_its_sandbox() {
    let mut driver = run_one("Always", Script { sandboxes: vec![Err("no".to_owned())], ..Script::default() }, 5);
    later(&mut driver, memory("64Mi", "NotRequired"), 60);
    assert_eq!((times(&driver, "sandbox/"), times(&driver, "resize/")), (vec![0.0, 10.0], vec![10.0]));
}
