//! How containers are stopped and what they leave (T066, T098 to T101), and the supervisor's own deaths, memory, messages and
//! what is printed of all that (T112 to T123).

use std::time::Duration;

use podlet::cli::print::{age, event_row};
use podlet::plan::resources;
use podlet::pod::hook::HookKind::{PostStart, PreStop};
use podlet::pod::input::{Exit, Fact, ImageFacts, ImageFailure, ProbeOutcome, StartStage, TerminationMessage};
use podlet::pod::probe::ProbeKind::{Readiness, Startup};
use podlet::pod::storage::Usage;
use podlet::simulation::{End, ImageOutcome, Run, Script};
use serde_json::{Value, json};

use super::Row;
use super::phases::printed_restarts;
use super::world::{World, pod, small};

pub const ROWS: &[Row] = &[
    Row {
        number: "T066",
        says: "a pod's cgroup has the larger of what runs side by side and of each step before",
        play: t066,
    },
    Row { number: "T098", says: "a preStop hook that was answered, however, has not failed", play: t098 },
    Row {
        number: "T099",
        says: "delete's own grace period; a second one only shortens (podlet: also a running stop)",
        play: t099,
    },
    Row { number: "T100", says: "the manifest's stop signal", play: t100 },
    Row { number: "T101", says: "the image's stop signal where the manifest names none", play: t101 },
    Row {
        number: "T112",
        says: "a restart of the supervisor restarts no container and takes no readiness",
        play: t112,
    },
    Row {
        number: "T113",
        says: "an exit while no supervisor is there is told with its code, and restarted once",
        play: t113,
    },
    Row { number: "T114", says: "podlet: a grace period goes on over a supervisor's death", play: t114 },
    Row { number: "T115", says: "the termination message: file, log, and limits", play: t115 },
    Row { number: "T116", says: "OOMKilled with whatever code; Succeeded with 0", play: t116 },
    Row {
        number: "T117",
        says: "an emptyDir beyond its sizeLimit evicts the pod: Failed, Evicted, also with Always",
        play: t117,
    },
    Row { number: "T120", says: "what is not there yet keeps a container waiting, without a count", play: t120 },
    Row { number: "T121", says: "ages, and RESTARTS with the time of the last", play: t121 },
    Row { number: "4.5", says: "a failed pull is tried again after 10, 20, 40 s from the failure", play: pulls },
    Row { number: "6.2", says: "readiness is probed as soon as the startup probe has succeeded", play: ready_at_once },
    Row {
        number: "7",
        says: "a container whose postStart hook failed is stopped with its grace period, and backed off",
        play: failed_hook,
    },
    Row {
        number: "9.2",
        says: "what has exited 0 under OnFailure is not started in a new sandbox; one that dies again at once waits",
        play: sandbox_again,
    },
    Row { number: "9.4", says: "after a reboot all has ended as Unknown, 255, and begins anew", play: reboot },
    Row { number: "T123", says: "equal events are one with a count", play: t123 },
];

fn one(policy: &str, grace: i64, fields: Value, script: Script) -> World {
    let mut container = json!({"name": "c"});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let spec = json!({"restartPolicy": policy, "terminationGracePeriodSeconds": grace, "containers": [container]});
    World::with(spec, script, small())
}

fn t066() {
    let with = |name: &str, cpu: &str| json!({"name": name, "resources": {"requests": {"cpu": cpu}}});
    let mut sidecar = with("s", "100m");
    sidecar["restartPolicy"] = json!("Always");
    let spec =
        json!({"initContainers": [with("a", "500m"), sidecar, with("b", "800m")], "containers": [with("m", "300m")]});
    assert_eq!(resources::of_pod(&pod(spec)).cpu_shares, resources::shares(900));
}

fn t098() {
    let hook = json!({"lifecycle": {"preStop": {"httpGet": {"port": 80}}}});
    let mut world =
        one("Always", 10, hook, Script::default().container("c", [Run::forever().hook(PreStop, Some(1_000), None)]));
    world.until(5.0).delete(10).until(20.0);
    assert!(world.events("FailedPreStopHook").is_empty());
    assert_eq!(world.times("signal/"), [6.0]);
}

fn t099() {
    let deaf = || Script::default().container("c", [Run::forever().deaf()]);
    let mut world = one("Always", 30, json!({}), deaf());
    world.until(5.0).delete(1).until(60.0);
    assert_eq!(world.times("kill/"), [7.0]);
    let mut world = one("Always", 10, json!({}), deaf());
    world.until(5.0).delete(10).until(7.0).delete(30).until(60.0);
    assert_eq!(world.times("kill/"), [15.0]);
    let mut world = one("Always", 30, json!({}), deaf());
    world.until(5.0).delete(30).until(7.0).delete(4).until(60.0);
    // Counted from the first one, as the API server does.
    assert_eq!(world.times("kill/"), [9.0]);
}

/// The signals that a pod is stopped with; its image has SIGQUIT.
fn stop_signals(fields: Value) -> Vec<String> {
    let image = ImageFacts { stop_signal: Some("SIGQUIT".to_owned()), ..ImageFacts::default() };
    let mut world = one("Always", 5, fields, Script::default().image("c", [ImageOutcome::Present(image)]));
    world.until(5.0).delete(5).until(20.0);
    world.order().split_off(1)
}

fn t100() {
    assert_eq!(stop_signals(json!({"lifecycle": {"stopSignal": "SIGUSR1"}})), ["signal/c/0/SIGUSR1"]);
}

fn t101() {
    assert_eq!(stop_signals(json!({})), ["signal/c/0/SIGQUIT"]);
}

fn t112() {
    let probe = json!({"readinessProbe": {"exec": {"command": ["a"]}, "periodSeconds": 1}});
    let mut world = one("Always", 5, probe, Script::default());
    world.until(20.0);
    let id = world.container("c").container_id;
    let ready = |world: &World| {
        let conditions = world.pod().status.unwrap().conditions.unwrap();
        conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap()
    };
    let before = ready(&world);
    world.restart_supervisor(5).until(60.0);
    assert_eq!((world.container("c").container_id, ready(&world)), (id, before));
    assert_eq!((world.row().as_str(), world.times("start/").len()), ("1/1 Running 0", 1));
}

fn t113() {
    let mut world =
        one("Always", 5, json!({}), Script::default().container("c", [Run::exits(7, 12_000), Run::forever()]));
    world.until(10.0).restart_supervisor(5).until(30.0);
    assert_eq!((world.last("c"), world.restarts("c")), (("Error".to_owned(), 7), 1));
}

fn t114() {
    let mut world = one("Always", 10, json!({}), Script::default().container("c", [Run::forever().deaf()]));
    world.until(5.0).delete(10).until(9.0).restart_supervisor(2).until(60.0);
    assert_eq!(world.times("kill/"), [15.0]);
    assert_eq!(world.times("signal/"), [5.0]);
}

fn t115() {
    let leaves = |fields: Value, code: i32, message: TerminationMessage| {
        let run = Run { message, ..Run::exits(code, 0) };
        one("Never", 2, fields, Script::default().container("c", [run])).until(5.0).message("c")
    };
    let file = |text: &str| TerminationMessage { file: text.to_owned(), ..TerminationMessage::default() };
    let log = || TerminationMessage { log_tail: "the end of a log\n".to_owned(), ..TerminationMessage::default() };
    assert_eq!(leaves(json!({}), 0, file("ten bytes.")), "ten bytes.");
    let long = format!("{}{}", "a".repeat(4096), "b".repeat(4096));
    assert_eq!(leaves(json!({}), 0, file(&long)), "b".repeat(4096));
    let fallback = json!({"terminationMessagePolicy": "FallbackToLogsOnError"});
    assert_eq!(leaves(fallback.clone(), 1, log()), "the end of a log\n");
    assert_eq!(leaves(fallback, 0, log()), "");
    assert_eq!(leaves(json!({}), 1, log()), "");
    let containers: Vec<Value> = (0..4).map(|number| json!({"name": format!("c{number}")})).collect();
    let mut script = Script::default();
    for number in 0..4 {
        let run = Run { message: file(&"x".repeat(4096)), ..Run::exits(0, 0) };
        script = script.container(&format!("c{number}"), [run]);
    }
    let mut world = World::new(json!({"restartPolicy": "Never", "containers": containers}), script);
    assert_eq!(world.until(5.0).message("c3").len(), 3072);
}

fn t116() {
    let killed =
        |exit: Exit| Run { oom_killed: true, end: Some(End { after: Duration::from_secs(1), exit }), ..Run::forever() };
    let script = |exit| Script::default().container("c", [killed(exit)]);
    let mut world = one("Never", 2, json!({}), script(Exit::Signal(9)));
    assert_eq!((world.until(5.0).state("c").as_str(), world.phase().as_str()), ("terminated OOMKilled 137", "Failed"));
    let mut world = one("Never", 2, json!({}), script(Exit::Code(0)));
    assert_eq!((world.until(5.0).state("c").as_str(), world.phase().as_str()), ("terminated OOMKilled 0", "Succeeded"));
    let mut world = one("Always", 2, json!({}), script(Exit::Signal(9)));
    world.until(10.0);
    assert_eq!(world.times("start/"), [0.0, 1.0, 3.0, 6.0]);
}

fn t117() {
    let spec = json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "containers": [{"name": "c"}],
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]});
    let mut world = World::new(spec, Script::default().container("c", [Run::forever().deaf()]));
    world.until(12.0).driver.use_storage(&holds("v", 3 << 20), false);
    world.until(19.0);
    assert_eq!(world.phase(), "Running");
    world.until(21.0);
    assert_eq!((world.phase().as_str(), world.condition("Ready").as_str()), ("Running", "False PodFailed"));
    world.until(60.0);
    let text = "Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". ";
    let status = serde_json::to_value(world.pod().status).unwrap();
    for (field, value) in [("phase", "Failed"), ("reason", "Evicted"), ("message", text)] {
        assert_eq!(status[field], value, "{status:#}");
    }
    assert!(!status["conditions"].to_string().contains("DisruptionTarget"), "{status:#}");
    assert_eq!(world.events("Evicted"), [text]);
    assert_eq!(
        (world.times("signal/"), world.times("kill/"), world.times("start/")),
        (vec![20.0], vec![22.0], vec![0.0])
    );
    // A container's own reason is shown before the pod's; where there is none, that.
    assert_eq!(world.row(), "0/1 Error 0");
    assert!(!world.driver.removed);
}

/// So much lies in a volume.
fn holds(volume: &str, bytes: u64) -> Usage {
    Usage { volumes: [(volume.to_owned(), bytes)].into(), ..Usage::default() }
}

fn t120() {
    let missing = || Run::fails(StartStage::Config, "configmap \"x\" not found");
    let script = Script::default().container("c", [missing(), missing(), Run::forever()]);
    let mut world = one("Never", 2, json!({}), script);
    world.until(5.0);
    assert_eq!(
        (world.state("c").as_str(), world.message("c").as_str()),
        ("waiting CreateContainerConfigError", "configmap \"x\" not found")
    );
    assert_eq!((world.phase().as_str(), world.restarts("c")), ("Pending", 0));
    world.until(30.0);
    assert_eq!(
        (world.times("start/"), world.restarts("c"), world.state("c").as_str()),
        (vec![0.0, 10.0, 20.0], 0, "running")
    );
}

fn t121() {
    let table = [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (14_460, "4h1m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (176_400, "2d1h"),
        (691_200, "8d"),
        (63_071_999, "729d"),
        (63_072_000, "2y"),
        (94_694_400, "3y1d"),
        (252_288_000, "8y"),
    ];
    for (seconds, shown) in table {
        assert_eq!(age::human(seconds), shown, "{seconds} s");
    }
    let mut world = one("Always", 2, json!({}), Script::default().container("c", [Run::exits(1, 0), Run::forever()]));
    world.until(5.0);
    assert_eq!(printed_restarts(&world, "2026-01-01T00:00:45Z"), "1 (45s ago)");
    let mut world = one("Always", 2, json!({}), Script::default());
    assert_eq!(printed_restarts(world.until(5.0), "2026-01-01T00:00:45Z"), "0");
}

fn t123() {
    let probe = json!({"readinessProbe": {"exec": {"command": ["a"]}, "periodSeconds": 10}});
    let run = Run::forever().probe(Readiness, 0, ProbeOutcome::Failure("no".to_owned()));
    let mut world = one("Always", 2, probe, Script::default().container("c", [run]));
    world.until(25.0);
    let event =
        world.driver.machine.events().into_iter().find(|event| event.reason.as_deref() == Some("Unhealthy")).unwrap();
    assert_eq!(event.count, Some(3));
    let shown = event_row::interval(&event, "2026-01-01T00:00:31Z".parse().unwrap());
    assert_eq!(shown, "10s (x3 over 30s)");
    world.tell(Fact::Tick);
}

fn pulls() {
    let missing = || ImageOutcome::Missing(ImageFailure::ErrImagePull, "no such host".to_owned());
    let mut world = one("Never", 2, json!({}), Script::default().image("c", [missing()]));
    world.until(5.0);
    assert_eq!((world.state("c").as_str(), world.phase().as_str()), ("waiting ImagePullBackOff", "Pending"));
    assert_eq!(world.message("c"), "Back-off pulling image \"localhost/busybox:1\": ErrImagePull: no such host");
    world.until(100.0);
    assert_eq!((world.times("image/"), world.restarts("c")), (vec![0.0, 10.0, 30.0, 70.0], 0));
    assert_eq!(
        world.shown("c")[..3],
        ["waiting ContainerCreating", "waiting ErrImagePull", "waiting ImagePullBackOff"]
    );
}

fn ready_at_once() {
    let probe = |period: i32| json!({"exec": {"command": ["a"]}, "periodSeconds": period, "failureThreshold": 30});
    let probes = json!({"startupProbe": probe(1), "readinessProbe": probe(60)});
    let run = Run::forever().probe(Startup, 0, ProbeOutcome::Failure(String::new()));
    let run = run.probe(Startup, 5_000, ProbeOutcome::Success);
    let mut world = one("Always", 2, probes, Script::default().container("c", [run]));
    assert_eq!(world.until(4.5).row(), "0/1 Running 0");
    assert_eq!(world.until(7.0).row(), "1/1 Running 0");
}

fn failed_hook() {
    let hook = json!({"lifecycle": {"postStart": {"exec": {"command": ["a"]}}}});
    let run = Run::forever().deaf().hook(PostStart, Some(1_000), Some("no"));
    let mut world = one("Always", 5, hook, Script::default().container("c", [run]));
    world.until(12.5);
    assert_eq!((world.times("signal/"), world.times("kill/")), (vec![1.0, 7.0], vec![6.0, 12.0]));
    assert_eq!(world.events("Killing"), ["FailedPostStartHook"]);
    assert_eq!((world.state("c").as_str(), world.restarts("c")), ("waiting CrashLoopBackOff", 1));
}

fn sandbox_again() {
    let spec = json!({"restartPolicy": "OnFailure", "terminationGracePeriodSeconds": 2,
        "containers": [{"name": "a"}, {"name": "b"}]});
    let mut world = World::new(spec, Script::default().container("a", [Run::exits(0, 1000)]));
    world.until(20.0).driver.lose_sandbox();
    world.until(22.0).driver.lose_sandbox();
    world.until(60.0);
    assert_eq!(world.times("sandbox/"), [0.0, 20.0, 30.0]);
    assert_eq!((world.restarts("a"), world.state("a").as_str()), (0, "terminated Completed 0"));
    assert_eq!((world.restarts("b"), world.state("b").as_str()), (2, "running"));
}

fn reboot() {
    let mut world = one("Always", 2, json!({}), Script::default());
    world.until(20.0).driver.reboot();
    world.until(40.0);
    assert_eq!(
        (world.last("c"), world.restarts("c"), world.state("c").as_str()),
        (("Unknown".to_owned(), 255), 1, "running")
    );
}
