//! Restart back-off: when it begins, grows and is forgotten (T030 to T036, T045).

use podlet::pod::input::{Fact, ProbeOutcome};
use podlet::pod::machine::Settings;
use podlet::pod::probe::ProbeKind::Liveness;
use podlet::simulation::{Run, Script};
use serde_json::{Value, json};

use super::Row;
use super::world::{World, pod, small};

pub const ROWS: &[Row] = &[
    Row { number: "T030", says: "the first crash restarts at once", play: t030 },
    Row { number: "T031", says: "a run longer than the reset time forgets the back-off", play: t031 },
    Row { number: "T032", says: "waiting forgets nothing", play: t032 },
    Row { number: "T033", says: "a maximum below the initial back-off is the back-off", play: t033 },
    Row { number: "T034", says: "kills by a probe count from the exit before", play: t034 },
    Row { number: "T035", says: "podlet: a restart of the supervisor forgets no back-off", play: t035 },
    Row { number: "T036", says: "another image ends a back-off, other words do not", play: t036 },
    Row { number: "T045", says: "podlet: a container that is lost ends as its policy says", play: t045 },
];

fn one(runs: &[Run], settings: Settings) -> World {
    let spec = json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 2, "containers": [{"name": "c"}]});
    World::with(spec, Script::default().container("c", runs), settings)
}

fn t030() {
    let mut world = one(&[Run::exits(1, 1000)], Settings::default());
    world.until(5.0);
    assert_eq!(world.times("start/"), [0.0, 1.0]);
}

fn t031() {
    let crash = || Run::exits(1, 0);
    let runs = [crash(), crash(), crash(), crash(), Run::exits(1, 25_000), crash(), crash()];
    let mut world = one(&runs, small());
    world.until(60.0);
    // 0, 1, 2, 4 s; then, after 25 s, at once and 1 s again.
    assert_eq!(world.times("start/")[..7], [0.0, 0.0, 1.0, 3.0, 7.0, 32.0, 33.0]);
}

fn t032() {
    let mut world = one(&[Run::exits(1, 2000)], small());
    world.until(80.0);
    assert_eq!(world.times("start/"), [0.0, 2.0, 5.0, 9.0, 15.0, 25.0, 35.0, 45.0, 55.0, 65.0, 75.0]);
}

fn t033() {
    let settings = Settings { backoff_maximum_milliseconds: 2_000, ..Settings::default() };
    let mut world = one(&[Run::exits(1, 0)], settings);
    world.until(7.0);
    assert_eq!(world.times("start/"), [0.0, 0.0, 2.0, 4.0, 6.0]);
}

/// A container that its liveness probe finds dead at this age, and that takes two seconds to die.
fn killed_at(age: u64, until: f64) -> World {
    let probe = json!({"exec": {"command": ["a"]}, "periodSeconds": 1, "failureThreshold": 1});
    let spec = json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 2,
        "containers": [{"name": "c", "livenessProbe": probe}]});
    let dead = ProbeOutcome::Failure("dead".to_owned());
    let run = Run::forever().deaf().probe(Liveness, age, dead);
    let mut world = World::new(spec, Script::default().container("c", [run]));
    world.until(until);
    world
}

/// How long each restart waited after the end before it.
fn waits(world: &World) -> Vec<f64> {
    let starts = world.times("start/");
    let ends = world.times("kill/");
    starts.iter().skip(1).zip(ends).map(|(start, end)| start - end).collect()
}

fn t034() {
    assert_eq!(waits(&killed_at(10_000, 500.0))[..7], [0.0, 0.0, 0.0, 20.0, 40.0, 80.0, 160.0]);
    assert_eq!(waits(&killed_at(43_000, 500.0))[..6], [0.0, 0.0, 0.0, 0.0, 0.0, 80.0]);
}

fn t035() {
    let mut world = one(&[Run::exits(1, 0)], small());
    // In the wait of eight seconds, which began at 7 s.
    world.until(9.0).restart_supervisor(2).until(20.0);
    assert_eq!(world.times("start/"), [0.0, 0.0, 1.0, 3.0, 7.0, 15.0]);
}

fn changed(with: impl Fn(&mut Value)) -> Fact {
    let pod =
        pod(json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 2, "containers": [{"name": "c"}]}));
    let mut pod = serde_json::to_value(pod).unwrap();
    with(&mut pod["spec"]["containers"][0]);
    Fact::SpecChanged { pod: Box::new(pod) }
}

fn t036() {
    let mut world = one(&[Run::exits(1, 0)], Settings::default());
    world.until(15.0).tell(changed(|container| container["image"] = json!("localhost/busybox:2"))).until(16.0);
    assert_eq!((world.times("start/"), world.restarts("c")), (vec![0.0, 0.0, 10.0, 15.0], 3));
    let mut world = one(&[Run::exits(1, 0)], Settings::default());
    world.until(15.0).tell(changed(|container| container["command"] = json!(["other"]))).until(16.0);
    assert_eq!(world.times("start/"), [0.0, 0.0, 10.0]);
}

fn t045() {
    for (policy, phase, restarts) in [("Never", "Failed", 0), ("Always", "Running", 1)] {
        let spec = json!({"restartPolicy": policy, "containers": [{"name": "c"}]});
        let mut world = World::new(spec, Script::default());
        world.until(5.0).driver.lose_instance("c");
        world.until(20.0);
        assert_eq!((world.phase().as_str(), world.restarts("c")), (phase, restarts));
    }
}
