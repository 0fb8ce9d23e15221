//! Probes (T070 to T087), hooks and what they do to a stop (T090 to T102).

use podlet::pod::hook::HookKind::{PostStart, PreStop};
use podlet::pod::input::{ErrorState, Fact, ProbeOutcome};
use podlet::pod::probe::ProbeKind::{Liveness, Readiness, Startup};
use podlet::simulation::{Run, Script};
use serde_json::{Value, json};

use super::Row;
use super::world::World;

pub const ROWS: &[Row] = &[
    Row { number: "T020", says: "a container that is not ready keeps the pod from Ready, by name", play: t020 },
    Row { number: "T021", says: "readiness that comes makes the pod Ready", play: t021 },
    Row { number: "T056", says: "a sidecar's startup probe gates what comes after it", play: t056 },
    Row {
        number: "T056b",
        says: "a sidecar whose startup probe fails is killed and started anew, under Never too",
        play: t056b,
    },
    Row { number: "T062", says: "a sidecar that is not ready keeps the pod from Ready, by name", play: t062 },
    Row { number: "T070", says: "three failures of liveness restart the container", play: t070 },
    Row {
        number: "T071",
        says: "Never: the last container that fails ends the pod, one of two ends alone",
        play: t071,
    },
    Row {
        number: "T072",
        says: "a startup probe that never succeeds kills after its budget; no other probe ran",
        play: t072,
    },
    Row { number: "T073", says: "after the startup probe's success the others begin", play: t073 },
    Row {
        number: "T074",
        says: "readiness takes Ready away and restarts nothing; successThreshold counts",
        play: t074,
    },
    Row { number: "T079", says: "a probe that errs is told and not counted", play: t079 },
    Row { number: "T083", says: "initialDelaySeconds counts from each instance's start", play: t083 },
    Row { number: "T084", says: "a probe's own grace period holds when it kills the container alone", play: t084 },
    Row { number: "T086", says: "one failure below the threshold is an event and nothing else", play: t086 },
    Row { number: "T087", says: "failures are counted over a restart", play: t087 },
    Row { number: "T090", says: "postStart holds back running, started and the next container", play: t090 },
    Row {
        number: "T091",
        says: "a failed postStart hook is told, kills and backs off; running was never shown",
        play: t091,
    },
    Row { number: "T092", says: "preStop is over before the signal", play: t092 },
    Row { number: "T093", says: "a preStop hook that fails is told, and the signal is sent", play: t093 },
    Row {
        number: "T094",
        says: "a preStop hook is abandoned when the grace period is over; SIGKILL 2 s later",
        play: t094,
    },
    Row { number: "T095", says: "preStop's time is deducted from the grace period", play: t095 },
    Row { number: "T096", says: "deleted with 0: preStop has 1 s; a spec of 0 without deletion: none", play: t096 },
    Row { number: "T097", says: "what exits by itself runs no preStop hook", play: t097 },
    Row { number: "T102", says: "a container that a probe kills runs its preStop hook first", play: t102 },
];

fn probe(period: i32, failures: i32) -> Value {
    json!({"exec": {"command": ["a"]}, "periodSeconds": period, "failureThreshold": failures})
}

fn fails() -> ProbeOutcome {
    ProbeOutcome::Failure("no".to_owned())
}

fn command() -> Value {
    json!({"exec": {"command": ["a"]}})
}

/// A pod of one container `c` with these fields.
fn one(policy: &str, fields: Value, runs: &[Run]) -> World {
    let mut container = json!({"name": "c"});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let spec = json!({"restartPolicy": policy, "terminationGracePeriodSeconds": 30, "containers": [container]});
    World::new(spec, Script::default().container("c", runs))
}

fn with_sidecar(policy: &str, fields: Value, run: Run) -> World {
    let mut sidecar = json!({"name": "s", "restartPolicy": "Always"});
    sidecar.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let spec = json!({"restartPolicy": policy, "terminationGracePeriodSeconds": 2, "initContainers": [sidecar, {"name": "b"}],
        "containers": [{"name": "c"}]});
    World::new(spec, Script::default().container("s", [run]).container("b", [Run::exits(0, 0)]))
}

fn t020() {
    let run = Run::forever().probe(Readiness, 0, fails());
    let mut world = one("Always", json!({"readinessProbe": probe(1, 1)}), &[run]);
    world.until(5.0);
    assert_eq!((world.phase().as_str(), world.state("c").as_str()), ("Running", "running"));
    let expected = "False ContainersNotReady containers with unready status: [c]";
    assert_eq!((world.condition("Ready").as_str(), world.condition("ContainersReady").as_str()), (expected, expected));
}

fn t021() {
    let run = Run::forever().probe(Readiness, 0, fails()).probe(Readiness, 3_500, ProbeOutcome::Success);
    let mut world = one("Always", json!({"readinessProbe": probe(2, 1)}), &[run]);
    world.until(4.9);
    assert!(!world.container("c").ready);
    world.until(5.0);
    assert_eq!((world.condition("Ready").as_str(), world.restarts("c")), ("True", 0));
}

fn t056() {
    let run = Run::forever().probe(Startup, 0, fails()).probe(Startup, 2_500, ProbeOutcome::Success);
    let mut world = with_sidecar("Always", json!({"startupProbe": probe(1, 30)}), run);
    world.until(2.9);
    assert_eq!((world.state("s").as_str(), world.container("s").started), ("running", Some(false)));
    assert_eq!((world.state("b"), world.phase()), ("waiting PodInitializing".to_owned(), "Pending".to_owned()));
    world.until(5.0);
    assert_eq!((world.times("start/b"), world.times("start/c")), (vec![3.0], vec![3.0]));
    assert_eq!(world.phase(), "Running");
}

fn t056b() {
    let run = Run::forever().probe(Startup, 0, fails());
    let mut world = with_sidecar("Never", json!({"startupProbe": probe(1, 2)}), run);
    world.until(4.5);
    assert_eq!((world.restarts("s"), world.times("start/s")), (2, vec![0.0, 2.0, 4.0]));
    assert_eq!(world.state("c"), "waiting PodInitializing");
    assert_eq!(world.events("Killing"), ["Init container s failed startup probe"]);
}

fn t062() {
    let run = Run::forever().probe(Readiness, 0, fails());
    let mut world = with_sidecar("Always", json!({"readinessProbe": probe(1, 1)}), run);
    world.until(5.0);
    assert_eq!((world.container("s").ready, world.container("c").ready), (false, true));
    assert_eq!(world.condition("Ready"), "False ContainersNotReady containers with unready status: [s]");
}

fn t070() {
    let run = Run::forever().probe(Liveness, 5_000, fails());
    let mut world = one("Always", json!({"livenessProbe": probe(1, 3)}), &[run, Run::forever()]);
    world.until(30.0);
    assert_eq!(world.times("signal/c/0"), [7.0]);
    assert_eq!(world.events("Unhealthy"), ["Liveness probe failed: no"]);
    assert_eq!(world.events("Killing"), ["Container c failed liveness probe, will be restarted"]);
    assert_eq!(world.restarts("c"), 1);
}

fn t071() {
    let run = Run::forever().probe(Liveness, 0, fails());
    for (run, phase) in [(run.clone(), "Succeeded"), (run.clone().deaf(), "Failed")] {
        let mut world = one("Never", json!({"livenessProbe": probe(1, 1)}), &[run]);
        world.until(60.0);
        assert_eq!(world.events("Killing"), ["Stopping container c"]);
        assert_eq!((world.phase().as_str(), world.restarts("c")), (phase, 0));
    }
    let spec = json!({"restartPolicy": "Never", "terminationGracePeriodSeconds": 30, "containers": [
        {"name": "c", "livenessProbe": probe(1, 1)}, {"name": "d"}]});
    let mut world = World::new(spec, Script::default().container("c", [run]));
    world.until(60.0);
    assert_eq!(world.events("Killing"), ["Container c failed liveness probe"]);
    assert_eq!((world.phase(), world.state("c")), ("Running".to_owned(), "terminated Completed 0".to_owned()));
}

fn t072() {
    let fields = json!({"startupProbe": probe(1, 5), "livenessProbe": probe(1, 1), "readinessProbe": probe(1, 1)});
    let run = Run::forever().probe(Startup, 0, fails());
    let mut world = one("Always", fields, &[run]);
    world.until(5.5);
    let killed = world.times("signal/c/0");
    assert!(killed == [5.0], "{killed:?}");
    assert_eq!(world.events("Killing"), ["Container c failed startup probe, will be restarted"]);
    assert!(world.times("probe/c/0/liveness").is_empty() && world.times("probe/c/0/readiness").is_empty());
}

fn t073() {
    let fields = json!({"startupProbe": probe(1, 9), "livenessProbe": probe(1, 1)});
    let run = Run::forever().probe(Startup, 0, fails()).probe(Startup, 1_500, ProbeOutcome::Success);
    let mut world = one("Always", fields, &[run]);
    world.until(1.9);
    assert_eq!(world.container("c").started, Some(false));
    world.until(5.0);
    assert_eq!(world.container("c").started, Some(true));
    assert_eq!(world.times("probe/c/0/startup"), [1.0, 2.0]);
    assert_eq!(world.times("probe/c/0/liveness"), [2.0, 3.0, 4.0, 5.0]);
}

fn t074() {
    let mut twice = probe(1, 3);
    twice["successThreshold"] = json!(2);
    let run = Run::forever().probe(Readiness, 4_500, fails());
    let mut world = one("Always", json!({"readinessProbe": twice}), &[run]);
    assert_eq!(world.until(1.5).condition("Ready"), "False ContainersNotReady containers with unready status: [c]");
    assert_eq!(world.until(2.5).condition("Ready"), "True");
    assert_eq!(world.until(6.5).condition("Ready"), "True");
    assert_eq!(world.until(7.5).condition("Ready"), "False ContainersNotReady containers with unready status: [c]");
    world.until(60.0);
    assert!(world.events("Killing").is_empty());
    assert_eq!(world.restarts("c"), 0);
}

fn t079() {
    let error = ProbeOutcome::Error { state: ErrorState::Unknown, message: "no such port".to_owned() };
    let run = Run::forever().probe(Liveness, 0, error);
    let mut world = one("Always", json!({"livenessProbe": probe(1, 1)}), &[run]);
    world.until(20.0);
    assert_eq!(world.events("Unhealthy"), ["Liveness probe errored and resulted in unknown state: no such port"]);
    assert_eq!(world.restarts("c"), 0);
}

fn t083() {
    let mut late = probe(5, 1);
    late["initialDelaySeconds"] = json!(5);
    let mut world = one("Always", json!({"livenessProbe": late}), &[Run::exits(1, 12_000)]);
    world.until(23.0);
    assert_eq!(world.times("probe/c/0"), [5.0, 10.0]);
    assert_eq!(world.times("probe/c/1"), [17.0, 22.0]);
}

fn t084() {
    let mut own = probe(1, 1);
    own["terminationGracePeriodSeconds"] = json!(1);
    let run = Run::forever().deaf().probe(Liveness, 0, fails());
    for (policy, killed) in [("Always", 3.0), ("Never", 31.0)] {
        let mut world = one(policy, json!({"livenessProbe": own}), &[run.clone(), Run::forever()]);
        world.until(60.0);
        assert_eq!(world.times("kill/c/0"), [killed], "{policy}");
    }
}

fn t086() {
    let run = Run::forever().probe(Liveness, 1_500, fails()).probe(Liveness, 2_500, ProbeOutcome::Success);
    let mut world = one("Always", json!({"livenessProbe": probe(1, 2)}), &[run]);
    world.until(20.0);
    assert_eq!(world.events("Unhealthy").len(), 1);
    assert!(world.events("Killing").is_empty());
}

fn t087() {
    let crashes = Run::exits(1, 2_500).probe(Liveness, 0, fails());
    let next = Run::forever().probe(Liveness, 0, fails());
    let mut world = one("Always", json!({"livenessProbe": probe(1, 3)}), &[crashes, next, Run::forever()]);
    world.until(10.0);
    assert_eq!(world.times("signal/c/1"), [3.5]);
}

fn t090() {
    let spec = json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 5, "containers": [
        {"name": "c", "lifecycle": {"postStart": {"sleep": {"seconds": 3}}}}, {"name": "d"}]});
    let mut world = World::new(spec, Script::default());
    world.until(2.9);
    assert_eq!((world.state("c"), world.container("c").started), ("waiting ContainerCreating".to_owned(), Some(false)));
    world.until(4.0);
    assert_eq!((world.state("c"), world.times("start/d")), ("running".to_owned(), vec![3.0]));
    assert_eq!(world.order(), ["start/c/0", "start/d/0"]);
}

fn t091() {
    let run = Run::forever().hook(PostStart, Some(0), Some("it failed")).hook(PreStop, Some(500), None);
    let mut world = one("Always", json!({"lifecycle": {"postStart": command(), "preStop": command()}}), &[run]);
    world.until(0.7);
    assert_eq!(world.events("FailedPostStartHook"), ["PostStartHook failed"]);
    assert_eq!(world.events("Killing"), ["FailedPostStartHook"]);
    assert_eq!(world.times("hook/c/0/preStop"), [0.0]);
    world.until(5.0);
    assert_eq!(world.state("c"), "waiting CrashLoopBackOff");
    assert!(!world.phases().is_empty() && world.restarts("c") == 1);
}

fn stopped(hook: Value, run: Run, grace: i64) -> World {
    let mut world = one("Always", json!({"lifecycle": {"preStop": hook}}), &[run]);
    world.until(5.0).delete(grace).until(60.0);
    world
}

fn t092() {
    let world = stopped(command(), Run::forever().hook(PreStop, Some(1_000), None), 30);
    assert_eq!((world.times("hook/c/0/preStop"), world.times("signal/c/0")), (vec![5.0], vec![6.0]));
}

fn t093() {
    let world = stopped(command(), Run::forever().hook(PreStop, Some(0), Some("it failed")), 30);
    assert_eq!((world.events("FailedPreStopHook").len(), world.times("signal/c/0")), (1, vec![5.0]));
}

fn t094() {
    let world = stopped(command(), Run::forever().deaf().hook(PreStop, Some(60_000), None), 5);
    assert_eq!((world.times("signal/c/0"), world.times("kill/c/0")), (vec![10.0], vec![12.0]));
}

fn t095() {
    let world = stopped(command(), Run::forever().deaf().hook(PreStop, Some(4_000), None), 10);
    assert_eq!((world.times("signal/c/0"), world.times("kill/c/0")), (vec![9.0], vec![15.0]));
}

fn t096() {
    let world = stopped(command(), Run::forever().deaf().hook(PreStop, None, None), 0);
    assert_eq!((world.times("signal/c/0"), world.times("kill/c/0")), (vec![6.0], vec![8.0]));
    let spec = json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 0, "containers": [
        {"name": "c", "lifecycle": {"preStop": command()}}]});
    let mut world = World::new(spec, Script::default());
    world.until(5.0).tell(Fact::StopRequested { most_seconds: None }).until(60.0);
    assert_eq!((world.times("hook/").len(), world.times("signal/c/0")), (0, vec![5.0]));
}

fn t097() {
    let mut world = one("Never", json!({"lifecycle": {"preStop": command()}}), &[Run::exits(0, 1_000)]);
    world.until(10.0);
    assert_eq!((world.times("hook/").len(), world.phase().as_str()), (0, "Succeeded"));
}

fn t102() {
    let fields = json!({"lifecycle": {"preStop": command()}, "livenessProbe": probe(1, 1)});
    let run = Run::forever().probe(Liveness, 0, fails()).hook(PreStop, Some(2_000), None);
    let mut world = one("Always", fields, &[run, Run::forever()]);
    world.until(10.0);
    assert_eq!((world.times("hook/c/0/preStop"), world.times("signal/c/0")), (vec![1.0], vec![3.0]));
    assert_eq!(world.restarts("c"), 1);
}
