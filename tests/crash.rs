//! podlet's own processes are killed, one by one and together, while real containers run: no container is lost or doubled, no
//! exit status forgotten, no log byte missing or doubled.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::kills::{self, Part};
use common::podlet::{Podlet, container, until};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A pod that shows what happens to it: `beat` writes a heartbeat and 1,000 numbered lines within a second, `ender` exits with
/// 42 at SIGTERM.
fn telling_pod(podlet: &Podlet, name: &str, policy: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 2
  containers:
  - name: beat
    image: podlet.local/actor
    args: [heartbeat, /data/{name}, every=20ms, ",", log, "1000", rate=1000/s, size=64]
    volumeMounts: [{{name: data, mountPath: /data}}]
  - name: ender
    image: podlet.local/actor
    args: ["on", TERM, exit, "42", ",", sleep, forever]
  volumes:
  - name: data
    hostPath: {{path: {data}, type: DirectoryOrCreate}}
"#,
        data = podlet.root.join("data").display()
    )
}

fn both_run(pod: &Value) -> bool {
    ["beat", "ender"].iter().all(|name| container(pod, name)["state"]["running"].is_object())
}

fn exit_code(pod: &Value, name: &str) -> Option<i64> {
    container(pod, name)["state"]["terminated"]["exitCode"].as_i64()
}

/// While the machine is busy a beat may be late; a stop and start of a container takes no beat away, it makes another instance.
const LATE: Duration = Duration::from_secs(2);

/// Beats come, and from one instance only.
fn assert_one_instance(podlet: &Podlet, name: &str) {
    let file = podlet.root.join("data").join(name);
    let seen = kills::heartbeats(&file).concat().len();
    until("more beats", || kills::heartbeats(&file).concat().len() > seen + 5);
    let instances = kills::heartbeats(&file);
    assert_eq!(instances.len(), 1, "{name}: instances of one container");
    let gap = kills::longest_gap(&instances[0]);
    assert!(gap < LATE, "{name}: no beat for {gap:?}");
}

#[test]
fn podlets_processes_are_killed_and_the_pod_does_not_notice() {
    let podlet = Podlet::new();
    let cases: [(&str, &[Part]); 5] = [
        ("supervisor", &[Part::Supervisor]),
        ("keeper", &[Part::Keeper]),
        ("guard", &[Part::Guard]),
        ("supervisor-keeper", &[Part::Supervisor, Part::Keeper]),
        ("supervisor-guard", &[Part::Supervisor, Part::Guard]),
    ];
    for (name, _) in cases {
        podlet.apply(&telling_pod(&podlet, name, "Never"));
    }
    for (name, parts) in cases {
        let uid = kills::uid(&podlet.wait(name, both_run));
        // What is stopped sees nothing of the container's end.
        let pids: Vec<i32> = parts.iter().map(|part| part.wait(&uid)).collect();
        for pid in &pids {
            kills::send(*pid, Signal::SIGSTOP);
        }
        kills::send(kills::program(&uid, "ender"), Signal::SIGTERM);
        kills::kill_at_once(&uid, parts);

        let pod = podlet.wait(name, |pod| exit_code(pod, "ender").is_some());
        assert_eq!(exit_code(&pod, "ender"), Some(42), "{name}: {:#}", container(&pod, "ender"));
        assert!(container(&pod, "beat")["state"]["running"].is_object(), "{name}: {:#}", pod["status"]);
        assert_one_instance(&podlet, name);
        let log = kills::log_file(&podlet, name, &uid, "beat", 0);
        until("all lines", || kills::written(&log).lines().count() >= 1000);

        kills::send(kills::program(&uid, "beat"), Signal::SIGTERM);
        let pod = podlet.wait(name, |pod| pod["status"]["phase"] == "Failed");
        assert_eq!(exit_code(&pod, "beat"), Some(0), "{name}");
        for entry in ["beat", "ender"] {
            assert_eq!(container(&pod, entry)["restartCount"], 0, "{name}");
        }
        assert_eq!(kills::numbered(&kills::written(&log), 64), 1000, "{name}");
    }
    podlet.finish();
}

#[test]
fn keeper_and_twin_are_killed_at_once_and_what_runs_goes_on() {
    let podlet = Podlet::new();
    podlet.apply(&telling_pod(&podlet, "web", "Never"));
    let uid = kills::uid(&podlet.wait("web", both_run));
    kills::kill_at_once(&uid, &[Part::Keeper, Part::Guard]);

    let lost = |pod: &Value| pod["metadata"]["annotations"]["podlet.dev/keeper-lost"].is_string();
    let pod = podlet.wait("web", lost);
    assert!(both_run(&pod), "{:#}", pod["status"]);
    assert_one_instance(&podlet, "web");

    // Whoever is the parent now may reap it or not: the code is known either way, or it is said that it is not.
    kills::send(kills::program(&uid, "ender"), Signal::SIGTERM);
    let pod = podlet.wait("web", |pod| exit_code(pod, "ender").is_some());
    let ended = &container(&pod, "ender")["state"]["terminated"];
    match ended["exitCode"].as_i64() {
        Some(42) => assert_eq!(ended["reason"], "Error"),
        code => {
            assert_eq!(code, Some(137));
            assert_eq!(ended["reason"], "ContainerStatusUnknown");
            assert!(ended["message"].as_str().unwrap().contains("twin were killed"), "{ended:#}");
        }
    }
    let log = kills::log_file(&podlet, "web", &uid, "beat", 0);
    until("all lines", || kills::written(&log).lines().count() >= 1000);
    assert_eq!(kills::numbered(&kills::written(&log), 64), 1000);
    podlet.finish();
}

#[test]
fn keeper_twin_and_supervisor_are_killed_and_delete_clears_up() {
    let podlet = Podlet::new();
    podlet.apply(&telling_pod(&podlet, "web", "Never"));
    let uid = kills::uid(&podlet.wait("web", both_run));
    kills::kill_at_once(&uid, &[Part::Guard, Part::Keeper, Part::Supervisor]);
    assert_one_instance(&podlet, "web");
    assert_eq!(podlet.pod("web")["metadata"]["uid"], *uid);
    podlet.finish();
}

#[test]
fn pause_is_killed_and_the_sandbox_is_made_anew() {
    let podlet = Podlet::new();
    for (name, policy) in [("always", "Always"), ("never", "Never")] {
        podlet.apply(&telling_pod(&podlet, name, policy));
    }
    let network = |uid: &str, container: &str| {
        std::fs::read_link(format!("/proc/{}/ns/net", kills::program(uid, container))).unwrap()
    };
    let uid = kills::uid(&podlet.wait("always", both_run));
    let before = network(&uid, "beat");
    kills::send(Part::Pause.wait(&uid), Signal::SIGKILL);
    let again = |pod: &Value| both_run(pod) && container(pod, "beat")["restartCount"] == 1;
    let pod = podlet.wait("always", again);
    assert_eq!(container(&pod, "ender")["restartCount"], 1, "{:#}", pod["status"]);
    assert_eq!(container(&pod, "ender")["lastState"]["terminated"]["exitCode"], 42, "{:#}", pod["status"]);
    let (beat, ender) = (network(&uid, "beat"), network(&uid, "ender"));
    assert_ne!(before, beat, "another sandbox has another network namespace");
    assert_eq!(beat, ender, "both joined the new sandbox");
    let events = kills::events(&podlet, &pod);
    let changed = "Normal SandboxChanged 1  Pod sandbox changed, it will be killed and re-created.";
    assert!(events.iter().any(|event| event == changed), "{events:#?}");
    let file = podlet.root.join("data/always");
    until("beats of the second instance", || kills::heartbeats(&file).len() == 2);

    let uid = kills::uid(&podlet.wait("never", both_run));
    kills::send(Part::Pause.wait(&uid), Signal::SIGKILL);
    let pod = podlet.wait("never", |pod| pod["status"]["phase"] == "Failed");
    assert_eq!(exit_code(&pod, "ender"), Some(42), "{:#}", pod["status"]);
    assert_eq!(exit_code(&pod, "beat"), Some(0), "the actor ends with 0 at SIGTERM: {:#}", pod["status"]);
    assert_eq!(kills::heartbeats(&podlet.root.join("data/never")).len(), 1);
    podlet.finish();
}
