//! What is changed of a pod that runs (T118, T119).

use podlet::pod::input::Fact;
use podlet::simulation::{Run, Script};
use serde_json::{Value, json};

use super::Row;
use super::world::World;

pub const ROWS: &[Row] = &[
    Row { number: "T118", says: "an ephemeral container: not restarted, phase and READY unchanged", play: t118 },
    Row { number: "T119", says: "cpu is resized in place, memory by a restart without back-off", play: t119 },
    Row { number: "9.6", says: "podlet: a held container waits until the one in its place has ended", play: held },
];

fn debug(holds: Option<&str>) -> Fact {
    let container = Box::new(json!({"name": "d", "image": "localhost/busybox:1"}));
    Fact::EphemeralContainerAdded { container, holds: holds.map(str::to_owned) }
}

fn t118() {
    let spec = json!({"restartPolicy": "Always", "containers": [{"name": "c"}]});
    let mut world = World::new(spec, Script::default().container("d", [Run::exits(3, 5_000)]));
    world.until(5.0).tell(debug(None)).until(7.0);
    assert_eq!((world.state("d").as_str(), world.phase().as_str()), ("running", "Running"));
    assert_eq!(world.pod().status.unwrap().container_statuses.unwrap().len(), 1);
    world.until(60.0);
    assert_eq!((world.state("d").as_str(), world.restarts("d")), ("terminated Error 3", 0));
    assert_eq!((world.phase().as_str(), world.condition("Ready").as_str()), ("Running", "True"));
    assert_eq!(world.times("start/d").len(), 1);
}

fn sized(cpu: &str, memory: &str) -> Value {
    let amounts = json!({"cpu": cpu, "memory": memory});
    let policy = json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"},
        {"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 10, "containers": [{"name": "c",
        "image": "localhost/busybox:1", "resizePolicy": policy, "resources": {"limits": amounts, "requests": amounts}}]})
}

fn changed(world: &World, spec: Value) -> Fact {
    let mut pod = serde_json::to_value(world.pod()).unwrap();
    pod["spec"] = spec;
    Fact::SpecChanged { pod: Box::new(pod) }
}

fn t119() {
    let script = Script::default().container("c", [Run::exits(1, 1_000), Run::forever()]);
    let mut world = World::new(sized("100m", "64Mi"), script);
    world.until(5.0);
    let id = world.container("c").container_id;
    let cpu = changed(&world, sized("200m", "64Mi"));
    world.tell(cpu).until(6.0);
    assert_eq!((world.container("c").container_id, world.restarts("c")), (id, 1));
    let resources = world.container("c").resources.unwrap();
    assert_eq!(resources.limits.unwrap()["cpu"].0, "200m");
    let memory = changed(&world, sized("200m", "32Mi"));
    world.tell(memory).until(8.0);
    assert_eq!(world.events("Killing"), ["Container c resize requires restart"]);
    assert_eq!((world.restarts("c"), world.state("c").as_str()), (2, "running"));
    assert_eq!(world.times("start/c/2"), [6.0]);
    assert_eq!(world.events("ResizeCompleted").len(), 2);
}

fn held() {
    let spec = json!({"restartPolicy": "Always", "containers": [{"name": "c"}]});
    let script = Script::default().container("c", [Run::exits(1, 0)]).container("d", [Run::exits(0, 100_000)]);
    let mut world = World::new(spec, script);
    world.until(5.0).tell(debug(Some("c"))).until(100.0);
    assert_eq!((world.state("c").as_str(), world.state("d").as_str()), ("waiting Held", "running"));
    assert_eq!(world.times("start/c"), [0.0, 0.0]);
    world.until(120.0);
    assert!(world.times("start/c").len() > 2);
}
