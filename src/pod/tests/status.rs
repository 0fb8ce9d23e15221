//! The status as JSON, byte for byte where a program could read it.

use std::time::Duration;

use super::*;
use crate::pod::input::{Fact, TerminationMessage};
use crate::simulation::Run;

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
    let mut driver = Driver::new(pod, settings(), Script::default());
    driver.run_until(Duration::from_secs(1)).unwrap();
    let status = serde_json::to_value(driver.machine.pod().status.unwrap()).unwrap();
    assert_eq!(status["qosClass"], "Guaranteed");
    let container = &status["containerStatuses"][0];
    assert_eq!(container["allocatedResources"], json!({"cpu": "1", "memory": "64Mi"}));
    assert_eq!(container["resources"]["limits"], json!({"cpu": "1", "memory": "64Mi"}));
    assert_eq!(
        container["volumeMounts"],
        json!([
            {"name": "v", "mountPath": "/v"},
            {"name": "w", "mountPath": "/w", "readOnly": true, "recursiveReadOnly": "Disabled"}
        ])
    );
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
    driver.input(Fact::SpecChanged { pod: Box::new(serde_json::to_value(&changed).unwrap()) });
    assert_eq!(generation(&driver), (Some(2), Some(2), Some(2)));
    assert_eq!(driver.machine.pod().metadata.labels, changed.metadata.labels);
    driver.input(Fact::DeleteRequested { grace_seconds: Some(5), force: false });
    driver.input(Fact::DeleteRequested { grace_seconds: Some(3), force: false });
    assert_eq!(generation(&driver), (Some(3), Some(3), Some(3)));
}
