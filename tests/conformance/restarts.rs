//! Container policies and rules, restarts of all containers, the deadline (T037 to T044, T110, T111); and restarts on request.

use podlet::pod::hook::HookKind::PostStart;
use podlet::pod::input::Fact;
use podlet::simulation::{Entry, Run, Script};
use serde_json::{Value, json};

use super::Row;
use super::world::World;

pub const ROWS: &[Row] = &[
    Row { number: "T001", says: "Never, exit 0: Succeeded", play: t001 },
    Row { number: "T002", says: "Never, exit 3: Failed", play: t002 },
    Row { number: "T006", says: "Always, exit 1: restarts after 0, 10, 20 s", play: t006 },
    Row { number: "T037", says: "a rule restarts under Never until another code comes", play: t037 },
    Row { number: "T038", says: "a code that no rule names is left to the policy", play: t038 },
    Row { number: "T039", says: "NotIn; the first rule that matches wins", play: t039 },
    Row { number: "T040", says: "a container's own Always in a Never pod", play: t040 },
    Row { number: "T041", says: "a container's own Never in an Always pod", play: t041 },
    Row { number: "T043", says: "RestartAllContainers begins everything anew in place", play: t043 },
    Row {
        number: "T043b",
        says: "until its postStart hook is over, a container shows that all are restarted",
        play: t043b,
    },
    Row { number: "T044", says: "RestartAllContainers runs again what has exited 0 under Never", play: t044 },
    Row { number: "4.6", says: "podlet: whoever asks again and again for all waits for its back-off", play: trigger },
    Row { number: "T110", says: "a deadline ends the pod: Failed once all is stopped", play: t110 },
    Row { number: "T111", says: "a deadline counts while init containers run", play: t111 },
    Row { number: "9.1", says: "podlet: a pod that ended before its deadline has not failed", play: ended_before },
    Row { number: "restart", says: "podlet restart: all, in order, without back-off", play: restart_all },
    Row { number: "restart-c", says: "podlet restart -c: one container alone, whatever its policy", play: restart_one },
];

fn of(spec: Value, script: Script, seconds: f64) -> World {
    let mut world = World::new(spec, script);
    world.until(seconds);
    world
}

fn one(policy: &str, container: Value, runs: &[Run], seconds: f64) -> World {
    let mut container = container;
    container["name"] = json!("c");
    let spec = json!({"restartPolicy": policy, "terminationGracePeriodSeconds": 2, "containers": [container]});
    of(spec, Script::default().container("c", runs), seconds)
}

fn rules(rules: Value) -> Value {
    json!({"restartPolicy": "Never", "restartPolicyRules": rules})
}

fn t001() {
    let world = one("Never", json!({}), &[Run::exits(0, 0)], 5.0);
    assert_eq!((world.phase().as_str(), world.state("c").as_str()), ("Succeeded", "terminated Completed 0"));
    assert_eq!(world.condition("Ready"), "False PodCompleted");
    assert!(world.events("Killing").is_empty() && world.events("BackOff").is_empty());
}

fn t002() {
    let world = one("Never", json!({}), &[Run::exits(3, 0)], 5.0);
    assert_eq!((world.phase().as_str(), world.state("c").as_str()), ("Failed", "terminated Error 3"));
}

fn t006() {
    let world = one("Always", json!({}), &[Run::exits(1, 0)], 80.0);
    assert_eq!(world.times("start/"), [0.0, 0.0, 10.0, 30.0, 70.0]);
}

fn t037() {
    let rule = rules(json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]));
    let world = one("Never", rule, &[Run::exits(42, 0), Run::exits(42, 0), Run::exits(0, 0)], 60.0);
    assert_eq!((world.phase().as_str(), world.restarts("c")), ("Succeeded", 2));
    assert_eq!(world.times("start/"), [0.0, 0.0, 10.0]);
}

fn t038() {
    let rule = rules(json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]));
    let world = one("Never", rule, &[Run::exits(42, 0), Run::exits(7, 0)], 60.0);
    assert_eq!((world.phase().as_str(), world.restarts("c")), ("Failed", 1));
    assert_eq!(world.state("c"), "terminated Error 7");
}

fn t039() {
    let rule = rules(json!([{"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [0]}}]));
    let world = one("Never", rule, &[Run::exits(5, 0), Run::exits(0, 0)], 60.0);
    assert_eq!((world.phase().as_str(), world.restarts("c")), ("Succeeded", 1));
    let first = rules(json!([
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}},
        {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [1]}}]));
    let world = one("Never", first, &[Run::exits(1, 0), Run::exits(0, 0)], 60.0);
    assert_eq!((world.phase().as_str(), world.restarts("c")), ("Succeeded", 1));
    assert_ne!(world.container("c").last_state.unwrap().terminated.unwrap().exit_code, 137);
}

fn t040() {
    let world = one("Never", json!({"restartPolicy": "Always"}), &[Run::exits(0, 0)], 60.0);
    assert_eq!((world.phase().as_str(), world.restarts("c")), ("Running", 3));
}

fn t041() {
    let containers = json!([{"name": "c", "restartPolicy": "Never"}, {"name": "d"}]);
    let spec = json!({"restartPolicy": "Always", "containers": containers});
    let world = of(spec, Script::default().container("c", [Run::exits(1, 0)]), 60.0);
    assert_eq!((world.phase().as_str(), world.state("c").as_str()), ("Running", "terminated Error 1"));
}

/// Rule for exit code 88.
fn all() -> Value {
    json!([{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}}])
}

fn t043() {
    let hook = json!({"preStop": {"exec": {"command": ["x"]}}});
    let spec = json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
        "initContainers": [{"name": "i"}, {"name": "w", "restartPolicy": "Always", "restartPolicyRules": all()}],
        "containers": [{"name": "m", "lifecycle": hook}]});
    let script = Script::default()
        .container("i", [Run::exits(0, 1000)])
        .container("w", [Run::exits(88, 10_000), Run::forever()])
        .container("m", [Run::forever().deaf()]);
    let mut world = of(spec, script, 12.0);
    let expected = "True RestartAllContainersStarted container exited with restart policy rule";
    assert_eq!(world.condition("AllContainersRestarting"), expected);
    world.until(60.0);
    assert_eq!(world.order()[3..6], ["signal/m/0/SIGTERM", "kill/m/0", "start/i/1"]);
    assert_eq!(world.times("kill/m"), [13.0]);
    assert!(world.times("hook/").is_empty());
    for name in ["i", "w", "m"] {
        assert_eq!(world.restarts(name), 1, "{name}");
        let last = world.container(name).last_state.unwrap().terminated.unwrap();
        assert_eq!((last.exit_code, last.reason.as_deref()), (137, Some("RestartingAllContainers")), "{name}");
        assert!(last.started_at.is_none() && last.finished_at.is_none(), "{name}");
    }
    assert_eq!(world.events("Killing"), ["killing"]);
    assert_eq!(
        (world.condition("Initialized").as_str(), world.condition("AllContainersRestarting").as_str()),
        ("True", "False")
    );
    assert_eq!(world.phases(), ["Pending", "Running", "Pending", "Running"]);
    assert_eq!(world.times("sandbox/").len(), 1);
    let conditions = world.pod().status.unwrap().conditions.unwrap();
    let last = conditions.last().unwrap();
    assert_eq!((last.type_.as_str(), last.observed_generation), ("AllContainersRestarting", None));
}

fn t043b() {
    let hook = json!({"postStart": {"exec": {"command": ["x"]}}});
    let spec = json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "containers": [
        {"name": "a", "lifecycle": hook}, {"name": "b", "restartPolicy": "Never", "restartPolicyRules": all()}]});
    let script = Script::default()
        .container("a", [Run::forever().hook(PostStart, Some(3000), None)])
        .container("b", [Run::exits(88, 5000), Run::forever()]);
    let mut world = of(spec, script, 9.0);
    assert_eq!((world.state("a").as_str(), world.restarts("a")), ("waiting RestartingAllContainers", 1));
    world.until(20.0);
    assert_eq!((world.state("a").as_str(), world.restarts("a"), world.restarts("b")), ("running", 1, 1));
    let counts = world.driver.timeline.iter().filter_map(|line| match &line.entry {
        Entry::Status(view) => Some(view.containers[0].restart_count),
        _ => None,
    });
    assert!(counts.is_sorted());
}

fn t044() {
    let spec = json!({"restartPolicy": "Never", "containers": [
        {"name": "a"}, {"name": "b", "restartPolicy": "Never", "restartPolicyRules": all()}]});
    let script =
        Script::default().container("a", [Run::exits(0, 0)]).container("b", [Run::exits(88, 5000), Run::exits(0, 0)]);
    let world = of(spec, script, 30.0);
    assert_eq!((world.restarts("a"), world.restarts("b"), world.phase().as_str()), (1, 1, "Succeeded"));
}

fn trigger() {
    let container = json!({"restartPolicy": "Never", "restartPolicyRules": all()});
    let world = one("Never", container, &[Run::exits(88, 0)], 80.0);
    assert_eq!(world.times("start/"), [0.0, 0.0, 10.0, 30.0, 70.0]);
}

fn t110() {
    let spec = json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 4, "activeDeadlineSeconds": 3,
        "containers": [{"name": "c"}]});
    let mut world = World::new(spec.clone(), Script::default());
    world.until(4.0);
    assert_eq!((world.phase().as_str(), world.state("c").as_str()), ("Failed", "terminated Completed 0"));
    let mut world = World::new(spec, Script::default().container("c", [Run::forever().deaf()]));
    world.until(5.0);
    assert_eq!((world.phase().as_str(), world.condition("Ready").as_str()), ("Running", "False PodFailed"));
    assert_eq!(world.pod().status.unwrap().reason, None);
    world.until(10.0);
    let status = world.pod().status.unwrap();
    assert_eq!((world.phase().as_str(), status.reason.as_deref()), ("Failed", Some("DeadlineExceeded")));
    let text = "Pod was active on the node longer than the specified deadline";
    assert_eq!((status.message.as_deref(), world.events("DeadlineExceeded")), (Some(text), vec![text.to_owned()]));
    assert_eq!(world.times("kill/"), [7.0]);
}

fn t111() {
    let spec = json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 2, "activeDeadlineSeconds": 15,
        "initContainers": [{"name": "i"}], "containers": [{"name": "c"}]});
    let world = of(spec, Script::default().container("i", [Run::exits(1, 0)]), 30.0);
    assert_eq!((world.phase().as_str(), world.times("start/c").len()), ("Failed", 0));
    assert_eq!(world.pod().status.unwrap().reason.as_deref(), Some("DeadlineExceeded"));
}

fn ended_before() {
    let spec = json!({"restartPolicy": "Never", "activeDeadlineSeconds": 4, "containers": [{"name": "c"}]});
    let world = of(spec, Script::default().container("c", [Run::exits(0, 1000)]), 30.0);
    assert_eq!((world.phase().as_str(), world.pod().status.unwrap().reason), ("Succeeded", None));
}

fn restart_all() {
    let spec = json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 10,
        "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}], "containers": [{"name": "m"}]});
    let script =
        Script::default().container("i", [Run::exits(0, 1000)]).container("m", [Run::forever().stops(5, 1000)]);
    let mut world = of(spec, script, 10.0);
    world.tell(Fact::RestartRequested { container: None }).until(30.0);
    let expected = ["signal/m/0/SIGTERM", "signal/s/0/SIGTERM", "start/i/1", "start/s/1", "start/m/1"];
    assert_eq!(world.order()[3..], expected);
    assert_eq!(world.phase(), "Running");
    assert_eq!(world.container("m").last_state.unwrap().terminated.unwrap().exit_code, 5);
    assert_eq!(world.events("RestartRequested"), ["A restart of all containers was requested"]);
    assert_eq!(world.times("sandbox/").len(), 1);
}

fn restart_one() {
    let containers = json!([{"name": "c"}, {"name": "d"}]);
    let spec = json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 10, "containers": containers});
    let mut world = of(spec, Script::default(), 10.0);
    world.tell(Fact::RestartRequested { container: Some("c".to_owned()) }).until(20.0);
    assert_eq!((world.restarts("c"), world.restarts("d"), world.phase().as_str()), (1, 0, "Running"));
    assert_eq!(world.events("Killing"), ["Container c restart requested, will be restarted"]);
    // One that waits for its back-off is started at once.
    let mut world = one("Always", json!({}), &[Run::exits(1, 0), Run::exits(1, 0), Run::forever()], 5.0);
    world.tell(Fact::RestartRequested { container: Some("c".to_owned()) }).until(6.0);
    assert_eq!(world.times("start/"), [0.0, 0.0, 5.0]);
}
