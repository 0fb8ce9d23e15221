//! The status as JSON, byte for byte where a program could read it.

use std::time::Duration;

use super::*;
use crate::pod::input::{Fact, ImageFacts, ImageFailure, TerminationMessage};
use crate::simulation::{ImageOutcome, Run};

#[test]
pub(super) fn a_crash_looping_pod_shows_the_reference_status() {
    let script = Script { ips: vec!["10.88.0.5".to_owned()], ..Script::default() };
    let driver = run_one("Always", script.container("c", [Run::exits(1, 0)]), 40);
    let status = serde_json::to_value(driver.machine.pod().status.unwrap()).unwrap();
    let id = status["containerStatuses"][0]["containerID"].clone();
    assert!(id.as_str().unwrap().starts_with("podlet://"));
    assert_eq!(id.as_str().unwrap().len(), "podlet://".len() + 64);
    let condition = |kind: &str, words: Value, since: &str| {
        let mut all = words;
        let map = all.as_object_mut().unwrap();
        map.insert("type".to_owned(), json!(kind));
        map.insert("lastTransitionTime".to_owned(), json!(since));
        map.insert("observedGeneration".to_owned(), json!(1));
        all
    };
    let unready =
        || json!({"status": "False", "reason": "ContainersNotReady", "message": "containers with unready status: [c]"});
    assert_eq!(
        status,
        json!({
            "phase": "Running",
            "startTime": "2026-01-01T00:00:00Z",
            "qosClass": "BestEffort",
            "resources": {},
            "podIP": "10.88.0.5",
            "podIPs": [{"ip": "10.88.0.5"}],
            "observedGeneration": 1,
            "conditions": [
                condition("PodReadyToStartContainers", json!({"status": "True"}), "2026-01-01T00:00:00Z"),
                condition("Initialized", json!({"status": "True"}), "2026-01-01T00:00:00Z"),
                condition("Ready", unready(), "2026-01-01T00:00:30Z"),
                condition("ContainersReady", unready(), "2026-01-01T00:00:30Z"),
                condition("PodScheduled", json!({"status": "True"}), "2026-01-01T00:00:00Z"),
            ],
            "containerStatuses": [{
                "name": "c", "ready": false, "started": false, "restartCount": 3, "containerID": id,
                "image": "localhost/busybox:1",
                "imageID": format!("localhost/busybox:1@sha256:{}", "0".repeat(64)),
                "resources": {},
                "user": {"linux": {"uid": 0, "gid": 0, "supplementalGroups": [0]}},
                "state": {"waiting": {
                    "reason": "CrashLoopBackOff",
                    "message": "back-off 40s restarting failed container=c pod=p_default(u-1)"
                }},
                "lastState": {"terminated": {
                    "exitCode": 1, "reason": "Error", "containerID": id,
                    "startedAt": "2026-01-01T00:00:30Z", "finishedAt": "2026-01-01T00:00:30Z"
                }},
            }],
        })
    );
}

#[test]
pub(super) fn without_a_network_there_is_no_pod_ip_and_statuses_are_sorted_by_name() {
    let pod = pod("Always", json!([{"name": "z"}, {"name": "a"}]));
    let mut driver = Driver::new(pod, settings(), Script::default());
    driver.run_until(Duration::from_secs(1)).unwrap();
    let shown = serde_json::to_value(driver.machine.pod()).unwrap();
    assert_eq!(shown["status"].get("podIP"), None);
    assert_eq!(shown["spec"]["nodeName"], "node");
    let names = shown["status"]["containerStatuses"].as_array().unwrap().iter().map(|status| &status["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["a", "z"]);
    // They were started in list order.
    assert_eq!(
        effects(&driver)[1..5].join(" "),
        "image/z/0 R-4.1-a start/z/0 R-0.5-a image/a/0 R-4.1-a start/a/0 R-0.5-a"
    );
}

#[test]
pub(super) fn resources_and_mounts_are_shown_as_a_kubelet_shows_them() {
    let pod = pod(
        "Always",
        json!([{
            "name": "c",
            "resources": {"limits": {"cpu": "1", "memory": "64Mi"}, "requests": {"cpu": "1", "memory": "64Mi"}},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w", "readOnly": true}]
        }]),
    );
    let mounts = json!([
        {"name": "v", "mountPath": "/v"},
        {"name": "w", "mountPath": "/w", "readOnly": true, "recursiveReadOnly": "Disabled"}
    ]);
    let mut driver = Driver::new(pod, settings(), Script::default());
    // A container that only waits already shows where its volumes will be.
    let waiting = serde_json::to_value(driver.machine.pod().status.unwrap()).unwrap();
    assert_eq!(waiting["containerStatuses"][0]["volumeMounts"], mounts);
    assert_eq!(waiting["containerStatuses"][0]["allocatedResources"], json!(null));
    driver.run_until(Duration::from_secs(1)).unwrap();
    let status = serde_json::to_value(driver.machine.pod().status.unwrap()).unwrap();
    assert_eq!(status["qosClass"], "Guaranteed");
    let container = &status["containerStatuses"][0];
    assert_eq!(container["allocatedResources"], json!({"cpu": "1", "memory": "64Mi"}));
    assert_eq!(container["resources"]["limits"], json!({"cpu": "1", "memory": "64Mi"}));
    assert_eq!(container["volumeMounts"], mounts);
}

#[test]
fn amounts_of_pod_and_container_are_those_that_a_kubelet_shows() {
    let pod = pod(
        "Never",
        json!([
            {"name": "a", "resources": {"limits": {"cpu": "1", "memory": "100M"}, "requests": {"cpu": "250m"}}},
            {"name": "b", "resources": {"limits": {"cpu": "500m"}, "requests": {"cpu": "250m", "memory": "64Mi"}}}
        ]),
    );
    let script = Script::default().container("a", [Run::exits(0, 1000)]).container("b", [Run::exits(0, 1000)]);
    let mut driver = Driver::new(pod, settings(), script);
    let status = |driver: &Driver| serde_json::to_value(driver.machine.pod().status.unwrap()).unwrap();
    driver.run_until(Duration::from_millis(500)).unwrap();
    let running = status(&driver);
    let requests = json!({"cpu": "500m", "memory": "64Mi"});
    assert_eq!(running["allocatedResources"], requests);
    // Its cgroup has no memory limit: b may take what it likes.
    assert_eq!(running["resources"], json!({"limits": {"cpu": "1500m"}, "requests": requests}));
    assert_eq!(running["containerStatuses"][0]["resources"]["limits"], json!({"cpu": "1", "memory": "100000000"}));
    driver.run_until(Duration::from_secs(5)).unwrap();
    let ended = status(&driver);
    assert_eq!(ended["resources"], json!({"limits": {"cpu": "1500m", "memory": "100M"}, "requests": requests}));
    assert_eq!(ended["containerStatuses"][0]["resources"]["limits"], json!({"cpu": "1", "memory": "100M"}));
}

#[test]
fn a_pod_in_the_machines_network_has_its_address_from_the_beginning() {
    let mut pod = pod("Always", json!([{"name": "c"}]));
    pod.spec.as_mut().unwrap().host_network = Some(true);
    let settings = Settings { host_ip: Some("192.0.2.7".to_owned()), ..settings() };
    let driver = Driver::new(pod, settings, Script::default());
    let status = serde_json::to_value(driver.machine.pod().status.unwrap()).unwrap();
    assert_eq!((&status["podIP"], &status["hostIP"]), (&json!("192.0.2.7"), &json!("192.0.2.7")));
    assert_eq!(status["podIPs"], json!([{"ip": "192.0.2.7"}]));
}

#[test]
fn a_program_that_could_not_be_started_shows_as_whom_it_would_have_run() {
    use crate::pod::input::StartStage;
    let driver = run_one("Never", Script::default().container("c", [Run::fails(StartStage::Run, "no")]), 5);
    let status = serde_json::to_value(driver.machine.pod().status.unwrap()).unwrap();
    let user = &status["containerStatuses"][0]["user"];
    assert_eq!(*user, json!({"linux": {"uid": 0, "gid": 0, "supplementalGroups": [0]}}));
}

#[test]
fn what_never_ran_in_a_deleted_pod_waits_for_nothing_and_the_pod_fails_with_its_conditions_as_they_were() {
    use crate::pod::input::ImageFailure;
    use crate::simulation::ImageOutcome;
    let pod = pod("Always", json!([{"name": "c"}, {"name": "d"}]));
    let missing = ImageOutcome::Missing(ImageFailure::ErrImagePull, "no".to_owned());
    let script = Script::default().container("c", [Run::forever().stops(0, 3000)]).image("d", [missing]);
    let mut driver = Driver::new(pod, settings(), script);
    driver.run_until(Duration::from_secs(5)).unwrap();
    assert_eq!(container(&driver, "d").reason.as_deref(), Some("ImagePullBackOff"));
    driver.input(Fact::DeleteRequested { grace_seconds: None, force: false });
    driver.run_until(Duration::from_secs(6)).unwrap();
    let seen = container(&driver, "d");
    assert_eq!((seen.state, seen.reason.as_deref(), seen.message), ("waiting", Some("ContainerCreating"), None));
    driver.run_until(Duration::from_secs(20)).unwrap();
    let status = driver.machine.pod().status.unwrap();
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    let ready = status.conditions.unwrap().into_iter().find(|condition| condition.type_ == "Ready").unwrap();
    assert_eq!(ready.reason.as_deref(), Some("ContainersNotReady"));
    assert_eq!(container(&driver, "d").reason.as_deref(), Some("ContainerStatusUnknown"));
}

fn message_of(policy: &str, code: i32, found: TerminationMessage) -> Option<String> {
    let pod = pod("Never", json!([{"name": "c", "terminationMessagePolicy": policy}]));
    let script = Script::default().container("c", [Run { message: found, ..Run::exits(code, 0) }]);
    let mut driver = Driver::new(pod, settings(), script);
    driver.run_until(Duration::from_secs(1)).unwrap();
    container(&driver, "c").message
}

#[test]
pub(super) fn a_termination_message_is_the_files_end_or_on_failure_the_logs() {
    let file = |file: &str| TerminationMessage { file: file.to_owned(), ..Default::default() };
    let log = |log_tail: String| TerminationMessage { log_tail, ..Default::default() };
    assert_eq!(message_of("File", 0, file("done\n")).as_deref(), Some("done\n"));
    let long = format!("{}{}", "x".repeat(5000), "é".repeat(1000));
    let shown = message_of("File", 1, file(&long)).unwrap();
    assert!(long.ends_with(&shown) && shown.len() == 4096);
    assert_eq!(message_of("File", 1, log("line\n".to_owned())), None);
    assert_eq!(message_of("FallbackToLogsOnError", 0, log("line\n".to_owned())), None);
    assert_eq!(message_of("FallbackToLogsOnError", 1, log("line\n".to_owned())).as_deref(), Some("line\n"));
    assert_eq!(message_of("FallbackToLogsOnError", 1, file("of the file")).as_deref(), Some("of the file"));
    let lines: String = (0..200).map(|number| format!("{number}\n")).collect();
    let shown = message_of("FallbackToLogsOnError", 1, log(lines)).unwrap();
    assert_eq!((shown.lines().count(), shown.lines().next()), (80, Some("120")));
    let shown = message_of("FallbackToLogsOnError", 1, log("y".repeat(3000))).unwrap();
    assert_eq!(shown.len(), 2048);
    let error = Some("Error on reading termination log /x: permission denied".to_owned());
    let unreadable = TerminationMessage { error: error.clone(), ..Default::default() };
    assert_eq!(message_of("File", 0, unreadable), error);
}

#[test]
pub(super) fn all_containers_of_a_pod_share_twelve_kibibytes_of_messages() {
    let names = ["a", "b", "c", "d"];
    let pod = pod("Never", names.iter().map(|name| json!({"name": name})).collect());
    let message =
        TerminationMessage { file: format!("{}{}", "a".repeat(3000), "b".repeat(1096)), ..Default::default() };
    let run = Run { message, ..Run::exits(1, 0) };
    let script = names.iter().fold(Script::default(), |script, name| script.container(name, [run.clone()]));
    let mut driver = Driver::new(pod, settings(), script);
    driver.run_until(Duration::from_secs(1)).unwrap();
    for name in names {
        assert_eq!(container(&driver, name).message, Some(format!("{}{}", "a".repeat(3000), "b".repeat(72))));
    }
}

#[test]
pub(super) fn a_memory_kill_is_told_whatever_the_exit_code() {
    for (code, phase) in [(0, "Succeeded"), (137, "Failed")] {
        let run = Run { oom_killed: true, ..Run::exits(code, 0) };
        let driver = run_one("Never", Script::default().container("c", [run]), 1);
        let seen = view(&driver);
        assert_eq!((seen.containers[0].reason.as_deref(), seen.phase.as_str()), (Some("OOMKilled"), phase));
    }
}

#[test]
pub(super) fn a_terminal_phase_is_published_after_the_conditions_tell_of_it() {
    let driver = run_one(
        "Never",
        Script { latency: Duration::from_millis(5), ..Script::default() }.container("c", [Run::exits(1, 0)]),
        5,
    );
    let seen = driver.timeline.iter().filter_map(|line| match &line.entry {
        Entry::Status(view) => Some((view.phase.clone(), view.conditions[2].1.clone(), view.conditions[0].1.clone())),
        _ => None,
    });
    let seen: Vec<_> = seen.collect();
    let words = |phase: &str, ready: &str, sandbox: &str| (phase.to_owned(), ready.to_owned(), sandbox.to_owned());
    assert_eq!(
        seen[seen.len() - 2..],
        [words("Running", "False/PodFailed", "True"), words("Failed", "False/PodFailed", "False")]
    );
}

#[test]
pub(super) fn generation_is_raised_by_a_changed_spec_and_by_the_first_delete() {
    let mut driver = run_one("Always", Script::default(), 1);
    let generation = |driver: &Driver| {
        let pod = driver.machine.pod();
        let status = pod.status.unwrap();
        let condition = status.conditions.unwrap()[0].observed_generation;
        (pod.metadata.generation, status.observed_generation, condition)
    };
    assert_eq!(generation(&driver), (Some(1), Some(1), Some(1)));
    let mut changed = pod("Always", json!([{"name": "c", "image": "localhost/busybox:2"}]));
    changed.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
    driver.input(applied(&changed));
    assert_eq!(generation(&driver), (Some(2), Some(2), Some(2)));
    assert_eq!(driver.machine.pod().metadata.labels, changed.metadata.labels);
    driver.input(Fact::DeleteRequested { grace_seconds: Some(5), force: false });
    driver.input(Fact::DeleteRequested { grace_seconds: Some(3), force: false });
    assert_eq!(generation(&driver), (Some(3), Some(3), Some(3)));
}

#[test]
fn what_the_sandbox_takes_is_asked_for_and_makes_no_limit() {
    let mut pod = pod("Always", json!([{"name": "c", "resources": {"requests": {"cpu": "100m"}}}]));
    pod.spec.as_mut().unwrap().overhead = serde_json::from_value(json!({"cpu": "50m", "memory": "8Mi"})).unwrap();
    let driver = Driver::new(pod, settings(), Script::default());
    let status = serde_json::to_value(driver.machine.pod().status.unwrap()).unwrap();
    let requests = json!({"cpu": "150m", "memory": "8Mi"});
    assert_eq!(status["allocatedResources"], requests);
    assert_eq!(status["resources"], json!({"requests": requests}));
}

#[test]
fn every_event_is_recorded_with_its_number_and_whom_it_is_about() {
    let driver = run_one("Never", Script::default(), 1);
    let recorded: Vec<_> = driver.machine.recorded_events().collect();
    let image = "Container image \"localhost/busybox:1\" already present on machine and can be accessed by the pod";
    assert_eq!(
        recorded,
        [
            (1, None, "Scheduled", "Successfully assigned default/p to node", 1),
            (2, Some("c"), "Pulled", image, 1),
            (3, Some("c"), "Created", "Container created", 1),
            (4, Some("c"), "Started", "Container started", 1),
        ]
    );
}

#[test]
fn each_instance_has_its_number() {
    let script = Script::default().container("c", [Run::exits(1, 0), Run::exits(1, 0), Run::forever()]);
    let instances = |seconds| run_one("Always", script.clone(), seconds).machine.instances();
    assert_eq!(instances(5), [("c".to_owned(), 2)]);
    assert_eq!(instances(15), [("c".to_owned(), 2)]);
    assert_eq!(
        Driver::new(pod("Always", json!([{"name": "c"}])), settings(), script.clone()).machine.instances(),
        [("c".to_owned(), 0)]
    );
}

#[test]
fn an_event_says_whose_it_is_and_who_tells_it() {
    let driver = run_one("Never", Script::default(), 1);
    let events: Vec<Value> = driver.machine.events().iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    let started = events.last().unwrap();
    let about = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": "default", "uid": "u-1",
        "fieldPath": "spec.containers{c}"});
    assert_eq!(started["involvedObject"], about);
    assert_eq!((&started["reportingComponent"], &started["reportingInstance"]), (&json!("kubelet"), &json!("node")));
    assert_eq!(started["source"], json!({"component": "kubelet", "host": "node"}));
    let metadata = &started["metadata"];
    assert_eq!(
        (&metadata["namespace"], &metadata["creationTimestamp"]),
        (&json!("default"), &json!("2026-01-01T00:00:00Z"))
    );
    let uid = started["metadata"]["uid"].as_str().unwrap();
    let parts: Vec<usize> = uid.split('-').map(str::len).collect();
    assert_eq!((parts.as_slice(), &uid[14..15]), ([8, 4, 4, 4, 12].as_slice(), "4"));
    assert!("89ab".contains(&uid[19..20]), "{uid}");
    // No part of it is the same for all.
    let part =
        |event: &Value, range: std::ops::Range<usize>| event["metadata"]["uid"].as_str().unwrap()[range].to_owned();
    for range in [0..8, 9..13, 15..18, 19..23, 24..36] {
        let parts: std::collections::BTreeSet<String> = events.iter().map(|event| part(event, range.clone())).collect();
        assert!(parts.len() > 1, "{parts:?}");
    }
}

#[test]
fn what_became_of_a_log_is_told_by_an_event() {
    let mut driver = run_one("Never", Script::default(), 1);
    let container = || "c".to_owned();
    driver.input(Fact::LogDropping { container: container(), message: "no space".to_owned() });
    driver.input(Fact::LogResumed { container: container(), dropped: 7 });
    driver.input(Fact::KillStuck { container: container(), message: "process 1 (sh)".to_owned() });
    let dropping = "Warning LogDropping The log cannot be written, output is dropped until it can: no space x1";
    let resumed = "Warning LogResumed The log is written again, 7 bytes of output are missing in it x1";
    driver.input(Fact::LogLost { container: container(), lost: 3, message: "no space".to_owned() });
    let lost = "Warning LogLost The end of the log could not be written, 3 bytes are lost: no space x1";
    let stuck = "Warning FailedKillPod error killing pod: process 1 (sh): it ends when the kernel lets go of it x1";
    assert_eq!(events(&driver)[4..], [dropping, resumed, stuck, lost]);
}

#[test]
fn what_its_owner_asks_of_a_machine_is_answered() {
    let script = Script { ips: vec!["10.88.0.5".to_owned()], ..Script::default() };
    let mut driver = Driver::new(pod("Always", json!([{"name": "c"}])), settings(), script);
    assert_eq!((driver.machine.address(), driver.machine.settings().node_name.as_str()), (None, "node"));
    assert!(!driver.machine.is_ending());
    let before = driver.machine.digest();
    driver.run_until(Duration::from_secs(1)).unwrap();
    assert_eq!(driver.machine.address().as_deref(), Some("10.88.0.5"));
    assert_ne!(driver.machine.digest(), before);
    driver.input(Fact::DeleteRequested { grace_seconds: None, force: false });
    assert!(driver.machine.is_ending() && !driver.machine.is_removed() && !driver.machine.is_torn_down());
    driver.run_until(Duration::from_secs(9)).unwrap();
    assert!(driver.machine.is_removed());
}

#[test]
fn only_a_delete_that_leaves_time_is_another_generation() {
    for (grace, generation) in [(0, 1), (1, 2)] {
        let mut driver = run_one("Always", Script::default(), 1);
        driver.input(Fact::DeleteRequested { grace_seconds: Some(grace), force: grace == 0 });
        assert_eq!(driver.machine.pod().metadata.generation, Some(generation));
    }
}

#[test]
fn a_node_with_an_address_is_shown_with_it_and_what_has_not_begun_with_its_image() {
    let missing = ImageOutcome::Missing(ImageFailure::ErrImageNeverPull, "no".to_owned());
    let script = Script::default().image("c", [missing]);
    let settings = Settings { host_ip: Some("192.0.2.1".to_owned()), ..settings() };
    let mut driver = Driver::new(pod("Always", json!([{"name": "c"}])), settings, script);
    driver.run_until(Duration::from_secs(1)).unwrap();
    let status = serde_json::to_value(driver.machine.pod().status.unwrap()).unwrap();
    assert_eq!((&status["hostIP"], &status["hostIPs"]), (&json!("192.0.2.1"), &json!([{"ip": "192.0.2.1"}])));
    assert_eq!(status["containerStatuses"][0]["image"], "localhost/busybox:1");
}

#[test]
fn what_was_restarted_with_all_shows_that_and_no_times() {
    let containers = json!([{"name": "c", "restartPolicy": "Never", "restartPolicyRules": super::restarts::all_by_seven()}, {"name": "d"}]);
    let script = Script::default().container("c", [Run::exits(7, 1_000), Run::forever()]);
    let mut driver = Driver::new(pod("Always", containers), settings(), script);
    driver.run_until(Duration::from_secs(60)).unwrap();
    let status = serde_json::to_value(driver.machine.pod().status.unwrap()).unwrap();
    let last = &status["containerStatuses"][1]["lastState"]["terminated"];
    assert_eq!((&last["exitCode"], &last["reason"]), (&json!(137), &json!("RestartingAllContainers")));
    assert_eq!(last["message"], "The container is removed because RestartAllContainers in place");
    assert_eq!(last["startedAt"], Value::Null);
}

#[test]
fn numbers_that_are_changed_at_a_start_of_the_machine_hold_from_then_on() {
    let mut driver = run_one("Always", Script::default().container("c", [Run::exits(1, 0)]), 5);
    driver.machine.take_settings(Settings { backoff_maximum_milliseconds: 1_000, ..settings() });
    assert_eq!(driver.machine.settings().backoff_maximum_milliseconds, 1_000);
    driver.run_until(Duration::from_secs(13)).unwrap();
    // What is being waited for already was said to be 10 s.
    assert_eq!(times(&driver, "start/c/"), [0.0, 0.0, 10.0, 11.0, 12.0, 13.0]);
}

#[test]
fn an_image_is_shown_by_the_name_that_it_was_found_by() {
    let found = ImageFacts { image: "docker.io/library/busybox:1".to_owned(), ..ImageFacts::default() };
    let shown = |found: ImageFacts| {
        let driver = run_one("Always", Script::default().image("c", [ImageOutcome::Present(found)]), 1);
        driver.machine.pod().status.unwrap().container_statuses.unwrap().remove(0).image
    };
    assert_eq!(shown(found), "docker.io/library/busybox:1");
    assert_eq!(shown(ImageFacts::default()), "localhost/busybox:1", "it was found by its digest alone");
}
