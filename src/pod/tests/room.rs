//! A resize that waits for room.

use super::live::memory;
use super::*;
use crate::pod::input::{Exit, Fact};
use crate::pod::room::{Room, Share};
use crate::simulation::Run;

/// So many MiB of the machine's memory, of which other pods hold so many.
fn mebibytes(capacity: u64, used: u64) -> Room {
    let all = Share { capacity: 64_000, used: 0 };
    Room { cpu: all, memory: Share { capacity: capacity << 20, used: used << 20 } }
}

fn apply(driver: &mut Driver, fact: Fact) {
    let Fact::SpecChanged { pod } = fact else { panic!("no re-apply") };
    driver.apply(&serde_json::from_value(*pod).unwrap());
}

fn pass(driver: &mut Driver, seconds: u64) {
    driver.run_until(driver.now() + Duration::from_secs(seconds)).unwrap();
}

/// A container of 64Mi, which runs, on a machine of 200 MiB of which others hold 100.
fn crowded(policy: &str) -> Driver {
    let mut driver = run_one("Always", Script::default(), 5);
    for policy in ["NotRequired", policy] {
        apply(&mut driver, memory("64Mi", policy));
        pass(&mut driver, 5);
    }
    driver.make_room(mebibytes(200, 100), false);
    driver
}

/// A resize that waits.
pub(super) fn deferred() -> Driver {
    let mut driver = crowded("NotRequired");
    apply(&mut driver, memory("128Mi", "NotRequired"));
    pass(&mut driver, 5);
    driver
}

/// The amount asked for, the amount given, the limit in force.
fn amounts(driver: &Driver) -> [String; 3] {
    let pod = serde_json::to_value(driver.machine.pod()).unwrap();
    let text = |path: &str| pod.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    [
        text("/spec/containers/0/resources/limits/memory"),
        text("/status/containerStatuses/0/allocatedResources/memory"),
        text("/status/containerStatuses/0/resources/limits/memory"),
    ]
}

/// Type, reason and message of the conditions of a resize, with the generation that they are about.
fn conditions(driver: &Driver) -> Vec<(String, String, String, i64)> {
    let conditions = driver.machine.pod().status.unwrap().conditions.unwrap();
    let of_resize = conditions.into_iter().filter(|condition| condition.type_.starts_with("PodResize"));
    let words = |one: k8s_openapi::api::core::v1::PodCondition| {
        assert_eq!(one.status, "True");
        let text = Option::unwrap_or_default;
        (one.type_, text(one.reason), text(one.message), one.observed_generation.unwrap())
    };
    of_resize.map(words).collect()
}

fn told(driver: &Driver, reason: &str) -> Vec<String> {
    events(driver).into_iter().filter(|event| event.contains(reason)).collect()
}

const LACK: &str =
    "Node didn't have enough resource: memory, requested: 134217728, used: 104857600, capacity: 209715200";

#[test]
fn a_resize_for_which_there_is_no_room_waits_and_what_was_given_holds() {
    // R-9.7-d.
    let mut driver = crowded("NotRequired");
    let asked = effects(&driver).len();
    apply(&mut driver, memory("128Mi", "NotRequired"));
    pass(&mut driver, 60);
    let generation = driver.machine.pod().metadata.generation.unwrap();
    let deferred = ("PodResizePending".to_owned(), "Deferred".to_owned(), LACK.to_owned(), generation);
    assert_eq!(conditions(&driver), [deferred]);
    assert_eq!(amounts(&driver), ["128Mi", "64Mi", "64Mi"]);
    let status = driver.machine.pod().status.unwrap();
    assert_eq!(status.allocated_resources.unwrap()["memory"].0, "64Mi");
    assert_eq!(effects(&driver).len(), asked, "nothing is done for it");
    let summary = format!(
        r#"{{"containers":[{{"name":"c","resources":{{"limits":{{"memory":"128Mi"}},"requests":{{"memory":"128Mi"}}}}}}],"generation":{generation},"error":"{LACK}"}}"#
    );
    assert_eq!(
        told(&driver, "ResizeDeferred"),
        [format!("Warning ResizeDeferred Pod resize OutOfmemory: {summary} x1")]
    );
    // What is started meanwhile is started with what was given.
    driver.end_instance("c", Exit::Code(1));
    pass(&mut driver, 60);
    assert_eq!(container(&driver, "c").restart_count, 1);
    assert_eq!(amounts(&driver), ["128Mi", "64Mi", "64Mi"]);
    assert_eq!(
        driver.machine.allocated().spec.as_ref().unwrap().containers[0]
            .resources
            .as_ref()
            .unwrap()
            .limits
            .as_ref()
            .unwrap()["memory"]
            .0,
        "64Mi"
    );
}

#[test]
fn it_is_carried_out_when_there_is_room() {
    let mut driver = crowded("NotRequired");
    apply(&mut driver, memory("128Mi", "NotRequired"));
    pass(&mut driver, 3);
    // Somebody else goes, but not far enough: the message says so, and nothing is told twice.
    driver.make_room(mebibytes(200, 80), false);
    pass(&mut driver, 15);
    assert!(conditions(&driver)[0].2.contains("used: 83886080, capacity"), "{:?}", conditions(&driver));
    driver.make_room(mebibytes(200, 10), false);
    let at = driver.now();
    assert_eq!(conditions(&driver)[0].0, "PodResizePending");
    pass(&mut driver, 11);
    assert_eq!(conditions(&driver), []);
    assert_eq!(amounts(&driver), ["128Mi", "128Mi", "128Mi"]);
    let begun = times(&driver, "resize/").pop().unwrap();
    assert!(begun - at.as_secs_f64() <= 10.0, "looked for every 10 s: {begun}");
    let counts = ["ResizeDeferred", "ResizeStarted", "ResizeCompleted"].map(|reason| told(&driver, reason).len());
    // Two of each came of the beginning, when the container was given its first amounts.
    assert_eq!((counts[0], counts[1], counts[2]), (1, 2, 2), "{:#?}", events(&driver));
}

#[test]
fn a_container_that_must_restart_for_it_does_so_when_there_is_room() {
    let mut driver = crowded("RestartContainer");
    apply(&mut driver, memory("128Mi", "RestartContainer"));
    pass(&mut driver, 30);
    assert_eq!(container(&driver, "c").restart_count, 0);
    driver.make_room(mebibytes(300, 100), true);
    pass(&mut driver, 5);
    assert_eq!(
        (container(&driver, "c").restart_count, amounts(&driver)),
        (1, ["128Mi", "128Mi", "128Mi"].map(str::to_owned))
    );
}

#[test]
fn what_is_taken_back_or_shrinks_needs_no_room() {
    let mut driver = crowded("NotRequired");
    apply(&mut driver, memory("128Mi", "NotRequired"));
    pass(&mut driver, 5);
    apply(&mut driver, memory("64Mi", "NotRequired"));
    pass(&mut driver, 5);
    assert_eq!((conditions(&driver), amounts(&driver)), (vec![], ["64Mi"; 3].map(str::to_owned)));
    driver.make_room(mebibytes(200, 200), false);
    apply(&mut driver, memory("128Mi", "NotRequired"));
    pass(&mut driver, 5);
    apply(&mut driver, memory("32Mi", "NotRequired"));
    pass(&mut driver, 5);
    assert_eq!((conditions(&driver), amounts(&driver)), (vec![], ["32Mi"; 3].map(str::to_owned)));
}

#[test]
fn one_that_is_under_way_goes_on_while_the_next_one_waits() {
    let mut driver = crowded("NotRequired");
    driver.script.resizes = vec!["busy".to_owned()];
    apply(&mut driver, memory("80Mi", "NotRequired"));
    pass(&mut driver, 1);
    let first = driver.machine.pod().metadata.generation.unwrap();
    apply(&mut driver, memory("128Mi", "NotRequired"));
    let both: Vec<(String, String, i64)> =
        conditions(&driver).into_iter().map(|(kind, reason, _, of)| (kind, reason, of)).collect();
    assert_eq!(
        both,
        [
            ("PodResizePending".to_owned(), "Deferred".to_owned(), first + 1),
            ("PodResizeInProgress".to_owned(), "Error".to_owned(), first)
        ]
    );
    assert_eq!(amounts(&driver), ["128Mi", "80Mi", "64Mi"]);
    pass(&mut driver, 15);
    assert_eq!(conditions(&driver).len(), 1);
    assert_eq!(amounts(&driver), ["128Mi", "80Mi", "80Mi"]);
    assert!(told(&driver, "ResizeCompleted").iter().any(|event| event.contains(r#""memory":"80Mi""#)));
}

#[test]
fn it_waits_on_over_deaths_of_the_supervisor_and_reboots_and_ends_with_its_pod() {
    let mut driver = crowded("NotRequired");
    apply(&mut driver, memory("128Mi", "NotRequired"));
    pass(&mut driver, 5);
    driver.restart_supervisor(Duration::from_secs(1)).unwrap();
    pass(&mut driver, 5);
    driver.reboot();
    pass(&mut driver, 5);
    assert_eq!((conditions(&driver).len(), amounts(&driver)), (1, ["128Mi", "64Mi", "64Mi"].map(str::to_owned)));
    assert!(driver.machine.awaits_room());
    driver.script = Script::default().container("c", [Run::forever().deaf()]);
    driver.input(Fact::DeleteRequested { grace_seconds: Some(3), force: false });
    assert!(!driver.machine.awaits_room());
    let begun = told(&driver, "ResizeStarted");
    driver.input(Fact::RoomMeasured { room: mebibytes(900, 0) });
    assert_eq!(told(&driver, "ResizeStarted"), begun);
}

#[test]
fn cpu_is_counted_in_thousandths_and_comes_first() {
    let cpu = |amount: &str| {
        let amounts = json!({"requests": {"cpu": amount, "memory": "1Gi"}});
        let pod = pod("Always", json!([{"name": "c", "resources": amounts}]));
        applied(&pod)
    };
    let mut driver = run_one("Always", Script::default(), 5);
    let room = Room { cpu: Share { capacity: 2_000, used: 700 }, ..mebibytes(100, 0) };
    driver.make_room(room, false);
    apply(&mut driver, cpu("1.5"));
    assert_eq!(
        conditions(&driver)[0].2,
        "Node didn't have enough resource: cpu, requested: 1500, used: 700, capacity: 2000"
    );
    assert!(told(&driver, "ResizeDeferred")[0].starts_with("Warning ResizeDeferred Pod resize OutOfcpu: {"));
    apply(&mut driver, cpu("1300m"));
    assert!(conditions(&driver)[0].2.contains(": memory, requested: 1073741824, used: 0"), "{:?}", conditions(&driver));
}

#[test]
fn what_stays_as_it_is_needs_no_room() {
    let changed = |memory: &str| {
        let amounts = json!({"requests": {"cpu": "500m", "memory": memory}});
        pod("Always", json!([{"name": "c", "resources": amounts}]))
    };
    let mut driver = Driver::new(changed("64Mi"), settings(), Script::default());
    driver.run_until(Duration::from_secs(5)).unwrap();
    let full = Share { capacity: 1_000, used: 1_000 };
    driver.make_room(Room { cpu: full, ..mebibytes(200, 0) }, false);
    driver.apply(&changed("128Mi"));
    pass(&mut driver, 5);
    assert_eq!(conditions(&driver), []);
    assert_eq!(told(&driver, "ResizeCompleted").len(), 1);
}

#[test]
fn room_is_asked_for_by_other_amounts_and_told_when_it_is_another() {
    let mut driver = crowded("NotRequired");
    let spec = |fact| match fact {
        Fact::SpecChanged { pod } => serde_json::from_value::<Pod>(*pod).unwrap(),
        _ => panic!("no re-apply"),
    };
    let asks = |limit, policy| driver.machine.asks_for_room(&spec(memory(limit, policy)));
    assert_eq!((asks("64Mi", "RestartContainer"), asks("65Mi", "NotRequired")), (false, true));
    let room = mebibytes(200, 100);
    driver.input(Fact::RoomMeasured { room });
    let news = |room| driver.machine.is_news(&Fact::RoomMeasured { room });
    assert_eq!((news(room), news(mebibytes(200, 101))), (false, true));
}
