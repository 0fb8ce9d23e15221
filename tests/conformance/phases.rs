//! Phases, rows and conditions by policy and exit code (T003 to T019, T023 to T026), and what the API server refuses.

use podlet::cli::print::pod_row;
use podlet::manifest::verdict::{self, Kind};
use podlet::pod::input::{Exit, Fact, ImageFailure, StartStage};
use podlet::simulation::{End, Entry, ImageOutcome, Run, Script};
use serde_json::{Value, json};
use std::time::Duration;

use super::Row;
use super::world::{World, pod, small};

pub const ROWS: &[Row] = &[
    Row { number: "T003", says: "OnFailure, exit 0: Succeeded without a restart", play: t003 },
    Row { number: "T004", says: "OnFailure restarts until it exits 0", play: t004 },
    Row { number: "T005", says: "Always, exit 0: backed off like a crash, Running all the time", play: t005 },
    Row { number: "T007", says: "the waiting message counts 10s to 5m0s", play: t007 },
    Row { number: "T008", says: "Never, one done and one running: NotReady; then the failure shows", play: t008 },
    Row { number: "T009", says: "OnFailure: the failed one restarts, the done one does not", play: t009 },
    Row { number: "T010", says: "Never: a failed container beside a running one", play: t010 },
    Row { number: "T011", says: "one container that cannot be made keeps the pod Pending", play: t011 },
    Row {
        number: "T012",
        says: "Never and an image that is absent: Pending for ever, tried again and again",
        play: t012,
    },
    Row { number: "T013", says: "a deleted pod that obeys: Terminating, then Completed", play: t013 },
    Row { number: "T014", says: "a deleted pod that does not hear is killed at its grace period", play: t014 },
    Row { number: "T015", says: "a fault ends with 139", play: t015 },
    Row { number: "T016", says: "kill -9 from outside is an Error, and restarted at once", play: t016 },
    Row { number: "T017", says: "exit 255 is 255", play: t017 },
    Row {
        number: "T018",
        says: "a program that is not there: RunContainerError, StartError 128, back-off, Running",
        play: t018,
    },
    Row { number: "T019", says: "a pod that is over stays over", play: t019 },
    Row { number: "T023", says: "without init containers Initialized is True at once", play: t023 },
    Row { number: "T025", says: "observedGeneration follows the spec and the deletion", play: t025 },
    Row { number: "T026", says: "conditions in their order", play: t026 },
    Row { number: "T042", says: "rules are checked", play: t042 },
    Row { number: "T055", says: "hooks and probes only on sidecars and regular containers", play: t055 },
    Row { number: "T085", says: "readiness has no grace period of its own", play: t085 },
];

fn of(policy: &str, grace: i64, containers: Value, script: Script) -> World {
    let spec = json!({"restartPolicy": policy, "terminationGracePeriodSeconds": grace, "containers": containers});
    World::with(spec, script, small())
}

fn one(policy: &str, runs: &[Run]) -> World {
    of(policy, 2, json!([{"name": "c"}]), Script::default().container("c", runs))
}

fn two(policy: &str, a: Run, b: &[Run]) -> World {
    of(policy, 2, json!([{"name": "a"}, {"name": "b"}]), Script::default().container("a", [a]).container("b", b))
}

fn absent() -> ImageOutcome {
    let message = "Container image \"x\" is not present with pull policy of Never";
    ImageOutcome::Missing(ImageFailure::ErrImageNeverPull, message.to_owned())
}

fn t003() {
    let mut world = one("OnFailure", &[Run::exits(0, 0)]);
    world.until(5.0);
    assert_eq!((world.phase().as_str(), world.row().as_str()), ("Succeeded", "0/1 Completed 0"));
}

fn t004() {
    let mut world = one("OnFailure", &[Run::exits(1, 0), Run::exits(1, 0), Run::exits(0, 0)]);
    world.until(10.0);
    assert_eq!(world.times("start/"), [0.0, 0.0, 1.0]);
    assert_eq!((world.phase().as_str(), world.row().as_str()), ("Succeeded", "0/1 Completed 2"));
    assert_eq!(world.last("c"), ("Error".to_owned(), 1));
}

fn t005() {
    let mut world = one("Always", &[Run::exits(0, 200)]);
    world.until(0.3);
    assert_eq!(world.row(), "1/1 Running 1");
    world.until(0.5);
    assert_eq!(world.row(), "0/1 CrashLoopBackOff 1");
    assert_eq!(world.message("c"), "back-off 1s restarting failed container=c pod=p_default(u-1)");
    world.until(30.0);
    assert_eq!(world.phases(), ["Pending", "Running"]);
    assert!(world.restarts("c") >= 5);
}

fn t007() {
    let script = Script::default().container("c", [Run::exits(1, 0)]);
    let mut world = World::new(json!({"restartPolicy": "Always", "containers": [{"name": "c"}]}), script);
    world.until(1_300.0);
    let mut said = Vec::new();
    for line in &world.driver.timeline {
        let Entry::Status(view) = &line.entry else { continue };
        let message = view.containers[0].message.clone().unwrap_or_default();
        if let Some(words) = message.strip_prefix("back-off ") {
            said.push(words.split(' ').next().unwrap().to_owned());
        }
    }
    said.dedup();
    assert_eq!(said, ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s"]);
    assert_eq!(world.times("start/"), [0.0, 0.0, 10.0, 30.0, 70.0, 150.0, 310.0, 610.0, 910.0, 1_210.0]);
}

fn t008() {
    let mut world = two("Never", Run::exits(0, 0), &[Run::exits(1, 2000)]);
    world.until(1.0);
    assert_eq!((world.phase().as_str(), world.row().as_str()), ("Running", "1/2 NotReady 0"));
    world.until(5.0);
    assert_eq!((world.phase().as_str(), world.row().as_str()), ("Failed", "0/2 Error 0"));
}

fn t009() {
    let mut world = two("OnFailure", Run::exits(0, 0), &[Run::exits(1, 0)]);
    world.until(10.0);
    assert_eq!((world.phase().as_str(), world.restarts("a")), ("Running", 0));
    assert!(world.restarts("b") >= 3);
}

fn t010() {
    let mut world = two("Never", Run::exits(1, 0), &[Run::exits(0, 5000)]);
    world.until(2.0);
    assert_eq!((world.phase().as_str(), world.row().as_str()), ("Running", "1/2 Error 0"));
    assert_eq!(world.until(8.0).phase(), "Failed");
}

fn t011() {
    let script = Script::default().image("b", [absent()]);
    let mut world = of("Always", 2, json!([{"name": "a"}, {"name": "b"}]), script);
    world.until(60.0);
    assert_eq!((world.phase().as_str(), world.state("a").as_str()), ("Pending", "running"));
    assert_eq!((world.state("b").as_str(), world.restarts("a")), ("waiting ErrImageNeverPull", 0));
}

fn t012() {
    let mut world = of("Never", 2, json!([{"name": "c"}]), Script::default().image("c", [absent()]));
    world.until(100.0);
    assert_eq!((world.phase().as_str(), world.row().as_str()), ("Pending", "0/1 ErrImageNeverPull 0"));
    assert_eq!(world.times("image/").len(), 11, "a try each ten seconds");
    assert_eq!(world.events("ErrImageNeverPull").len(), 1);
    assert_eq!(world.events("Failed"), ["Error: ErrImageNeverPull"]);
}

fn t013() {
    let mut world = one("Always", &[Run::forever().stops(0, 500)]);
    world.until(5.0).delete(2).until(5.2);
    assert_eq!(world.row(), "1/1 Terminating 0");
    world.until(10.0);
    assert_eq!((world.phase().as_str(), world.row().as_str()), ("Succeeded", "0/1 Completed 0"));
    assert!(world.driver.removed);
}

fn t014() {
    let mut world = of("Always", 3, json!([{"name": "c"}]), Script::default().container("c", [Run::forever().deaf()]));
    world.until(5.0).delete(3).until(20.0);
    assert_eq!((world.phase().as_str(), world.state("c").as_str()), ("Failed", "terminated Error 137"));
    assert_eq!(world.times("kill/"), [8.0]);
    assert_eq!(world.events("Killing"), ["Stopping container c"]);
}

fn t015() {
    let end = Some(End { after: Duration::from_secs(1), exit: Exit::Signal(11) });
    let mut world = one("Never", &[Run { end, ..Run::forever() }]);
    assert_eq!(world.until(5.0).state("c"), "terminated Error 139");
}

fn t016() {
    let mut world = one("Always", &[Run::forever()]);
    world.until(10.0).driver.end_instance("c", Exit::Signal(9));
    world.until(20.0);
    assert_eq!((world.last("c"), world.restarts("c")), (("Error".to_owned(), 137), 1));
    assert_eq!(world.times("start/"), [0.0, 10.0]);
}

fn t017() {
    assert_eq!(one("Never", &[Run::exits(255, 0)]).until(5.0).state("c"), "terminated Error 255");
}

fn t018() {
    let told = "exec: \"/no/such\": stat /no/such: no such file or directory";
    let mut world = one("Always", &[Run::fails(StartStage::Run, told)]);
    world.until(0.5);
    assert_eq!(world.shown("c")[1..], ["waiting RunContainerError", "waiting CrashLoopBackOff"]);
    let last = world.container("c").last_state.unwrap().terminated.unwrap();
    assert_eq!((last.reason.as_deref(), last.exit_code), (Some("StartError"), 128));
    assert!(last.message.unwrap().contains("/no/such"));
    assert_eq!(last.started_at.unwrap().0.to_string(), "1970-01-01T00:00:00Z");
    assert_eq!(world.events("Failed"), [format!("Error: {told}")]);
    assert_eq!((world.events("Created").len(), world.events("Started").len()), (1, 0));
    assert_eq!(world.phase(), "Running");
}

fn t019() {
    let mut world = one("Never", &[Run::exits(0, 0)]);
    world.until(5.0).restart_supervisor(3).until(60.0);
    assert_eq!((world.phase().as_str(), world.times("start/").len()), ("Succeeded", 1));
}

fn t023() {
    let world = one("Always", &[Run::forever()]);
    assert_eq!(world.condition("Initialized"), "True");
    assert_eq!(world.condition("PodReadyToStartContainers"), "False");
}

fn generations(world: &World) -> Vec<i64> {
    let status = world.pod().status.unwrap();
    let conditions = status.conditions.unwrap().into_iter();
    let conditions = conditions.filter(|condition| condition.type_ != "AllContainersRestarting");
    conditions.map(|condition| condition.observed_generation.unwrap()).chain(status.observed_generation).collect()
}

fn t025() {
    let mut world = one("Always", &[Run::forever()]);
    assert!(generations(world.until(5.0)).iter().all(|generation| *generation == 1));
    let mut changed = pod(json!({"restartPolicy": "Always", "containers": [{"name": "c"}]}));
    changed.spec.as_mut().unwrap().containers[0].image = Some("localhost/busybox:2".to_owned());
    world.tell(Fact::SpecChanged { pod: Box::new(serde_json::to_value(changed).unwrap()) }).until(10.0);
    assert!(generations(&world).iter().all(|generation| *generation == 2));
    world.delete(2);
    assert!(generations(&world).iter().all(|generation| *generation == 3));
}

fn t026() {
    let kinds = |world: &World| {
        let conditions = world.pod().status.unwrap().conditions.unwrap().into_iter();
        conditions.map(|condition| condition.type_).collect::<Vec<_>>()
    };
    let usual = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let mut world = one("Always", &[Run::forever()]);
    assert_eq!(kinds(&world), usual);
    world.until(5.0);
    assert_eq!(kinds(&world), usual);
    assert_eq!(world.condition("PodReadyToStartContainers"), "True");
    let rule = json!([{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}}]);
    let containers = json!([{"name": "c", "restartPolicy": "Never", "restartPolicyRules": rule}]);
    let with_rule = of("Always", 2, containers, Script::default());
    assert_eq!(kinds(&with_rule), [&usual[..], &["AllContainersRestarting"]].concat());
}

/// The causes for which a pod of this spec is refused: field and text.
fn refusals(spec: Value) -> Vec<String> {
    let body = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}).to_string();
    let verdict = verdict::of_body(body.as_bytes(), Kind::Pod, "default");
    let causes = verdict.status.and_then(|status| status.details).and_then(|details| details.causes);
    let words = |cause: k8s_openapi::apimachinery::pkg::apis::meta::v1::StatusCause| {
        format!("{}: {}", cause.field.unwrap_or_default(), cause.message.unwrap_or_default())
    };
    causes.unwrap_or_default().into_iter().map(words).collect()
}

fn assert_refused(spec: Value, field: &str, text: &str) {
    let refusals = refusals(spec);
    assert!(refusals.iter().any(|told| told.starts_with(field) && told.contains(text)), "{refusals:#?}");
}

fn t042() {
    let with = |rules: Value, policy: Value| json!({"containers": [{"name": "c", "image": "x", "restartPolicy": policy, "restartPolicyRules": rules}]});
    let rule = |action: &str, values: usize| json!({"action": action, "exitCodes": {"operator": "In", "values": (0..values).map(|value| value % 256).collect::<Vec<_>>()}});
    let never = || json!("Never");
    let field = "spec.containers[0].restartPolicy";
    assert_refused(
        with(json!([rule("Restart", 1)]), Value::Null),
        field,
        "must specify restartPolicy when restart rules are used",
    );
    assert_refused(with(json!(vec![rule("Restart", 1); 21]), never()), field, "must have at most 20 items");
    assert_refused(with(json!([rule("Restart", 256)]), never()), field, "must have at most 255 items");
    assert_refused(with(json!([rule("Foo", 1)]), never()), field, "Unsupported value: \"Foo\"");
    assert!(refusals(with(json!(vec![rule("Restart", 255); 20]), never())).is_empty());
    assert!(refusals(with(json!([rule("RestartAllContainers", 1)]), never())).is_empty());
}

fn t055() {
    let init = |extra: Value| {
        let mut init = json!({"name": "i", "image": "x"});
        init.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"initContainers": [init], "containers": [{"name": "c", "image": "x"}]})
    };
    let (probe, hook) = (json!({"exec": {"command": ["a"]}}), json!({"preStop": {"exec": {"command": ["a"]}}}));
    let text = "may not be set for init containers without restartPolicy=Always";
    assert_refused(init(json!({"livenessProbe": probe})), "spec.initContainers[0].livenessProbe", text);
    assert_refused(init(json!({"readinessProbe": probe})), "spec.initContainers[0].readinessProbe", text);
    assert_refused(init(json!({"startupProbe": probe})), "spec.initContainers[0].startupProbe", text);
    assert_refused(init(json!({"lifecycle": hook})), "spec.initContainers[0].lifecycle", text);
    let sidecar = json!({"restartPolicy": "Always", "livenessProbe": probe, "readinessProbe": probe, "startupProbe": probe,
        "lifecycle": hook});
    assert!(refusals(init(sidecar)).is_empty());
}

fn t085() {
    let with = |kind: &str| {
        let probe = json!({"exec": {"command": ["a"]}, "terminationGracePeriodSeconds": 5});
        json!({"containers": [{"name": "c", "image": "x", kind: probe}]})
    };
    let field = "spec.containers[0].readinessProbe.terminationGracePeriodSeconds";
    assert_refused(with("readinessProbe"), field, "must not be set for readinessProbes");
    assert!(refusals(with("livenessProbe")).is_empty() && refusals(with("startupProbe")).is_empty());
}

/// RESTARTS as printed.
pub fn printed_restarts(world: &World, now: &str) -> String {
    pod_row::pod_row(&world.pod(), now.parse().unwrap()).cells[3].clone()
}
