//! Init containers, sidecars, and the order of the end (T050 to T067).

use podlet::pod::input::Fact;
use podlet::simulation::{Run, Script};
use serde_json::{Value, json};

use super::Row;
use super::world::World;

pub const ROWS: &[Row] = &[
    Row { number: "T022", says: "a readiness gate without a condition keeps a pod from Ready", play: t022 },
    Row { number: "T024", says: "Initialized is False until the init container has ended, then True", play: t024 },
    Row { number: "T050", says: "a, b, app, strictly one after the other", play: t050 },
    Row { number: "T051", says: "Always: a failing init container loops with back-off, app is never made", play: t051 },
    Row { number: "T052", says: "Never: a failing init container fails the pod", play: t052 },
    Row { number: "T053", says: "a crash of app runs no init container again", play: t053 },
    Row { number: "T054", says: "a lost sandbox runs init containers again, but not under Never", play: t054 },
    Row { number: "T057", says: "a sidecar that crashes before it is started keeps the pod Pending", play: t057 },
    Row { number: "T058", says: "a sidecar is restarted alone", play: t058 },
    Row { number: "T059", says: "Never: the pod ends with app, its deaf sidecar is killed, Succeeded", play: t059 },
    Row { number: "T060", says: "OnFailure: a sidecar is not restarted between attempts of app", play: t060 },
    Row { number: "T061", says: "Never: a sidecar that exits 0 is restarted", play: t061 },
    Row { number: "T063", says: "deletion: app, then s2, then s1, each after the one before has ended", play: t063 },
    Row { number: "T064", says: "deletion: app uses up the grace period, the sidecars have 2 s", play: t064 },
    Row { number: "T065", says: "a sidecar's preStop runs at once although its signal waits", play: t065 },
    Row { number: "T067", says: "Never: a failing init container ends the sidecar before it", play: t067 },
];

fn sidecar(name: &str) -> Value {
    json!({"name": name, "restartPolicy": "Always"})
}

fn pod(policy: &str, grace: i64, init: Value, script: Script) -> World {
    World::new(
        json!({"restartPolicy": policy, "terminationGracePeriodSeconds": grace, "initContainers": init,
            "containers": [{"name": "app"}]}),
        script,
    )
}

fn t022() {
    let gates = json!([{"conditionType": "x.io/g"}]);
    let spec = json!({"restartPolicy": "Always", "readinessGates": gates, "containers": [{"name": "c"}]});
    let mut world = World::new(spec, Script::default());
    world.until(5.0);
    assert_eq!(world.condition("ContainersReady"), "True");
    let expected =
        "False ReadinessGatesNotReady corresponding condition of pod readiness gate \"x.io/g\" does not exist.";
    assert_eq!(world.condition("Ready"), expected);
}

fn t024() {
    let mut world = pod("Always", 2, json!([{"name": "i"}]), Script::default().container("i", [Run::exits(0, 3000)]));
    world.until(2.0);
    let expected = "False ContainersNotInitialized containers with incomplete status: [i]";
    assert_eq!(world.condition("Initialized"), expected);
    assert_eq!(world.until(4.0).condition("Initialized"), "True");
}

fn t050() {
    let script = Script::default().container("a", [Run::exits(0, 2000)]).container("b", [Run::exits(0, 0)]);
    let mut world = pod("Always", 2, json!([{"name": "a"}, {"name": "b"}]), script);
    world.until(1.0);
    assert_eq!(world.state("b"), "waiting PodInitializing");
    world.until(10.0);
    assert_eq!(world.order(), ["start/a/0", "start/b/0", "start/app/0"]);
    assert_eq!(world.phases(), ["Pending", "Running"]);
}

fn t051() {
    let mut world = pod("Always", 2, json!([{"name": "i"}]), Script::default().container("i", [Run::exits(1, 0)]));
    world.until(75.0);
    assert_eq!(world.times("start/i"), [0.0, 0.0, 10.0, 30.0, 70.0]);
    assert_eq!(world.state("i"), "waiting CrashLoopBackOff");
    assert_eq!((world.restarts("i"), world.phases()), (4, vec!["Pending".to_owned()]));
    assert!(world.times("start/app").is_empty());
}

fn t052() {
    let mut world = pod("Never", 2, json!([{"name": "i"}]), Script::default().container("i", [Run::exits(1, 0)]));
    world.until(5.0);
    assert_eq!((world.phase().as_str(), world.state("i").as_str()), ("Failed", "terminated Error 1"));
    assert_eq!(world.state("app"), "waiting PodInitializing");
    assert!(world.events("BackOff").is_empty());
}

fn t053() {
    let script = Script::default().container("i", [Run::exits(0, 0)]).container("app", [Run::exits(1, 0)]);
    let mut world = pod("Always", 2, json!([{"name": "i"}]), script);
    world.until(60.0);
    assert_eq!((world.times("start/i").len(), world.restarts("app")), (1, 3));
}

fn t054() {
    let play = |policy: &str| {
        let script = Script::default().container("i", [Run::exits(0, 1000)]);
        let mut world = pod(policy, 2, json!([{"name": "i"}]), script);
        world.until(20.0).tell(Fact::SandboxExited { attempt: 0 }).until(60.0);
        world
    };
    let always = play("Always");
    assert_eq!(always.phases(), ["Pending", "Running", "Pending", "Running"]);
    assert_eq!((always.restarts("i"), always.restarts("app")), (1, 1));
    assert_eq!(always.condition("Initialized"), "True");
    assert_eq!(always.events("SandboxChanged").len(), 1);
    let on_failure = play("OnFailure");
    assert_eq!((on_failure.restarts("i"), on_failure.phase().as_str()), (1, "Succeeded"));
    let never = play("Never");
    assert_eq!((never.restarts("i"), never.phase().as_str()), (0, "Succeeded"));
}

fn t057() {
    let mut world = pod(
        "Always",
        2,
        json!([sidecar("s")]),
        Script::default().container("s", [Run::fails(podlet::pod::input::StartStage::Run, "no")]),
    );
    world.until(100.0);
    assert_eq!(world.phases(), ["Pending"]);
    assert!(world.times("start/app").is_empty() && world.state("s") == "waiting CrashLoopBackOff");
}

fn t058() {
    let script = Script::default().container("s", [Run::exits(1, 5000), Run::forever()]);
    let mut world = pod("Always", 2, json!([sidecar("s")]), script);
    world.until(20.0);
    assert_eq!((world.restarts("s"), world.restarts("app"), world.phase().as_str()), (1, 0, "Running"));
}

fn t059() {
    let script = Script::default().container("app", [Run::exits(0, 2000)]).container("s", [Run::forever().deaf()]);
    let mut world = pod("Never", 3, json!([sidecar("s")]), script);
    world.until(4.0);
    assert_eq!((world.phase().as_str(), world.state("s").as_str()), ("Running", "running"));
    world.until(10.0);
    assert_eq!(world.times("kill/s"), [5.0]);
    assert_eq!((world.phase().as_str(), world.state("s").as_str()), ("Succeeded", "terminated Error 137"));
}

fn t060() {
    let script = Script::default().container("app", [Run::exits(1, 1000), Run::exits(0, 1000)]);
    let mut world = pod("OnFailure", 2, json!([sidecar("s")]), script);
    world.until(10.0);
    assert_eq!((world.restarts("s"), world.restarts("app"), world.phase().as_str()), (0, 1, "Succeeded"));
}

fn t061() {
    let script = Script::default().container("s", [Run::exits(0, 3000), Run::forever()]);
    let mut world = pod("Never", 2, json!([sidecar("s")]), script);
    assert_eq!(world.until(10.0).restarts("s"), 1);
}

fn t063() {
    let slow = || [Run::forever().stops(0, 1000)];
    let script = Script::default().container("app", slow()).container("s1", slow()).container("s2", slow());
    let mut world = pod("Always", 30, json!([sidecar("s1"), sidecar("s2")]), script);
    world.until(10.0).delete(30).until(20.0);
    assert_eq!(world.order()[3..], ["signal/app/0/SIGTERM", "signal/s2/0/SIGTERM", "signal/s1/0/SIGTERM"]);
    assert_eq!(world.times("signal/"), [10.0, 11.0, 12.0]);
}

fn t064() {
    let script = Script::default()
        .container("app", [Run::forever().deaf()])
        .container("s1", [Run::forever().deaf()])
        .container("s2", [Run::forever().deaf()]);
    let mut world = pod("Always", 4, json!([sidecar("s1"), sidecar("s2")]), script);
    world.until(10.0).delete(4).until(30.0);
    assert_eq!(world.times("signal/s"), [14.0, 14.0]);
    assert_eq!(world.times("kill/"), [14.0, 16.0, 16.0]);
}

fn t065() {
    let hook = json!({"preStop": {"exec": {"command": ["x"]}}});
    let side = json!([{"name": "s", "restartPolicy": "Always", "lifecycle": hook}]);
    let script = Script::default().container("app", [Run::forever().stops(0, 3000)]);
    let mut world = pod("Always", 10, side, script);
    world.until(10.0).delete(10).until(30.0);
    assert_eq!(world.times("hook/"), [10.0]);
    assert_eq!(world.times("signal/s"), [13.0]);
    assert_eq!(world.events("Killing").len(), 2);
}

fn t067() {
    let script =
        Script::default().container("i", [Run::exits(1, 1000)]).container("s", [Run::forever().stops(0, 1000)]);
    let mut world = pod("Never", 10, json!([sidecar("s"), {"name": "i"}]), script);
    world.until(1.5);
    assert_eq!((world.phase().as_str(), world.condition("Ready").as_str()), ("Pending", "False PodFailed"));
    assert_eq!(world.until(5.0).phase(), "Failed");
    assert_eq!(world.order(), ["start/s/0", "start/i/0", "signal/s/0/SIGTERM"]);
}
