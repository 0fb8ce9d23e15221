//! Local storage: how much is too much, and how a pod ends that uses it (lifecycle 9.9).

use super::*;
use crate::pod::hook::HookKind;
use crate::pod::input::Fact;
use crate::pod::storage::{ContainerUsage, Scope, Usage};
use crate::simulation::Run;

const MIB: u64 = 1 << 20;

fn limited(mebibytes: u64) -> Value {
    json!({"limits": {"ephemeral-storage": format!("{mebibytes}Mi")}})
}

/// Volume `v` of at most 1Mi, `w` without a limit, `m` in memory; `c` may use 50Mi, `d` 10Mi.
pub(super) fn limited_pod() -> Pod {
    let mut pod =
        pod("Always", json!([{"name": "c", "resources": limited(50)}, {"name": "d", "resources": limited(10)}]));
    let volumes = json!([{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "w", "emptyDir": {}},
        {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]);
    pod.spec.as_mut().unwrap().volumes = Some(serde_json::from_value(volumes).unwrap());
    pod
}

pub(super) fn volume(name: &str, bytes: u64) -> Usage {
    Usage { volumes: [(name.to_owned(), bytes)].into(), ..Usage::default() }
}

pub(super) fn of_container(name: &str, layer: u64, logs: u64) -> Usage {
    Usage { containers: [(name.to_owned(), ContainerUsage { layer, logs })].into(), ..Usage::default() }
}

fn both(one: Usage, other: Usage) -> Usage {
    let mut both = one;
    both.volumes.extend(other.volumes);
    both.containers.extend(other.containers);
    both
}

/// What becomes of a pod that uses so much from its sixth second on.
fn used(pod: Pod, usage: &Usage, script: Script) -> Driver {
    let mut driver = Driver::new(pod, settings(), script);
    driver.run_until(Duration::from_secs(6)).unwrap();
    driver.use_storage(usage, false);
    driver.run_until(Duration::from_secs(60)).unwrap();
    driver
}

fn message(usage: &Usage) -> Option<String> {
    used(limited_pod(), usage, Script::default()).machine.pod().status.unwrap().message
}

#[test]
pub(super) fn a_pod_that_uses_too_much_is_evicted_at_the_next_measurement_and_for_good() {
    let script = Script::default().container("c", [Run::forever().deaf()]);
    let driver = used(limited_pod(), &volume("v", 3 * MIB), script);
    assert_eq!((times(&driver, "signal/c/"), times(&driver, "kill/c/")), (vec![10.0], vec![12.0]));
    assert_eq!(times(&driver, "start/"), [0.0, 0.0]);
    assert!(effects(&driver).contains(&"signal/c/0/SIGTERM R-9.9-d".to_owned()), "{:?}", effects(&driver));
    let text = "Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". ";
    let status = driver.machine.pod().status.unwrap();
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Failed"), Some("Evicted")));
    assert_eq!(status.message.as_deref(), Some(text));
    assert!(status.conditions.unwrap().iter().all(|condition| condition.type_ != "DisruptionTarget"));
    assert!(events(&driver).contains(&format!("Warning Evicted {text} x1")), "{:?}", events(&driver));
    assert!(!driver.removed && driver.machine.is_torn_down());
    let why = driver.machine.standings();
    assert_eq!(why[0].rule.unwrap().name, "R-9.9-a");
}

#[test]
pub(super) fn limits_of_volumes_come_first_then_the_pods_then_the_containers() {
    assert_eq!(message(&volume("v", MIB)), None);
    assert!(message(&volume("v", MIB + 1)).unwrap().starts_with("Usage of EmptyDir volume \"v\""));
    // Without a limit, or in memory, a volume counts only towards the pod, or not at all.
    assert_eq!(message(&volume("w", 59 * MIB)), None);
    assert_eq!(message(&volume("w", 60 * MIB)), None);
    // R-9.9-b.
    let pods = "Pod ephemeral local storage usage exceeds the total limit of containers 60Mi. ";
    assert_eq!(message(&volume("w", 60 * MIB + 1)).as_deref(), Some(pods));
    assert_eq!(message(&both(volume("w", 55 * MIB), of_container("d", 3 * MIB, 3 * MIB))).as_deref(), Some(pods));
    // R-9.9-c.
    assert_eq!(message(&of_container("d", 5 * MIB, 5 * MIB)), None);
    assert_eq!(
        message(&of_container("d", 5 * MIB, 5 * MIB + 1)).as_deref(),
        Some("Container d exceeded its local ephemeral storage limit \"10Mi\". ")
    );
    assert!(message(&both(volume("v", 2 * MIB), of_container("d", 90 * MIB, 0))).unwrap().starts_with("Usage"));
    // `sizeLimit: "0"` limits nothing.
    let mut pod = limited_pod();
    let nothing = serde_json::from_value(json!({"sizeLimit": "0"})).unwrap();
    pod.spec.as_mut().unwrap().volumes.as_mut().unwrap()[0].empty_dir = Some(nothing);
    assert_eq!(used(pod, &volume("v", 3 * MIB), Script::default()).machine.pod().status.unwrap().reason, None);
}

#[test]
pub(super) fn only_what_is_too_much_is_told() {
    let machine = Driver::new(limited_pod(), settings(), Script::default()).machine;
    let told = |bytes| machine.is_news(&Fact::StorageMeasured { usage: volume("v", bytes) });
    assert_eq!((told(MIB), told(MIB + 1)), (false, true));
}

#[test]
pub(super) fn what_is_not_limited_critical_or_ending_is_not_measured() {
    let all = Scope::of(&limited_pod()).unwrap();
    assert_eq!((all.volumes, all.containers), (vec!["v".to_owned(), "w".to_owned()], true));
    let mut one = limited_pod();
    one.spec.as_mut().unwrap().containers.iter_mut().for_each(|container| container.resources = None);
    let only = Scope::of(&one).unwrap();
    assert_eq!((only.volumes, only.containers), (vec!["v".to_owned()], false));
    assert_eq!(Scope::of(&pod("Always", json!([{"name": "c"}]))), None);
    let mut critical = limited_pod();
    critical.spec.as_mut().unwrap().priority = Some(2_000_000_000);
    assert_eq!(Scope::of(&critical), None);
    assert_eq!(used(critical, &volume("v", 3 * MIB), Script::default()).machine.pod().status.unwrap().reason, None);
    let mut driver = Driver::new(limited_pod(), settings(), Script::default().container("c", [Run::forever().deaf()]));
    driver.run_until(Duration::from_secs(5)).unwrap();
    driver.input(Fact::DeleteRequested { grace_seconds: Some(30), force: false });
    driver.use_storage(&volume("v", 3 * MIB), false);
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!(times(&driver, "kill/c/"), [35.0]);
}

/// The limited pod, whose `c` is deaf and has a preStop hook that does not end.
fn hooked_pod() -> (Pod, Script) {
    let mut pod = limited_pod();
    let hook = json!({"preStop": {"exec": {"command": ["a"]}}});
    pod.spec.as_mut().unwrap().containers[0].lifecycle = Some(serde_json::from_value(hook).unwrap());
    let run = Run::forever().deaf().hook(HookKind::PreStop, None, None);
    (pod, Script::default().container("c", [run]))
}

#[test]
pub(super) fn an_evicted_container_has_one_second_for_its_hook_whatever_its_spec_says() {
    let (pod, script) = hooked_pod();
    let driver = used(pod, &volume("v", 3 * MIB), script);
    assert_eq!((times(&driver, "signal/c/"), times(&driver, "kill/c/")), (vec![11.0], vec![13.0]));
}

#[test]
pub(super) fn a_stop_that_is_under_way_is_shortened_and_what_waits_is_not_started_again() {
    let mut driver = Driver::new(
        limited_pod(),
        settings(),
        Script::default().container("c", [Run::forever().deaf()]).container("d", [Run::exits(1, 0)]),
    );
    driver.run_until(Duration::from_secs(6)).unwrap();
    driver.input(Fact::RestartRequested { container: Some("c".to_owned()) });
    driver.use_storage(&volume("v", 3 * MIB), false);
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!(times(&driver, "kill/c/"), [12.0]);
    // It waited in its back-off: nobody can say how it would have ended.
    let ended = &container(&driver, "d");
    assert_eq!((ended.state, ended.reason.as_deref()), ("terminated", Some("ContainerStatusUnknown")));
    assert!(times(&driver, "start/d/").iter().all(|at| *at < 10.5), "{:?}", times(&driver, "start/d/"));
}

#[test]
pub(super) fn a_hook_that_runs_when_the_pod_is_evicted_has_one_second_more() {
    let (pod, script) = hooked_pod();
    let mut driver = Driver::new(pod, settings(), script);
    driver.run_until(Duration::from_secs(6)).unwrap();
    driver.input(Fact::RestartRequested { container: Some("c".to_owned()) });
    driver.use_storage(&volume("v", 3 * MIB), false);
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!((times(&driver, "signal/c/"), times(&driver, "kill/c/")), (vec![11.0], vec![13.0]));
}
