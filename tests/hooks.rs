//! postStart and preStop hooks of real containers, and what becomes of them when a supervisor is killed in the midst.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::kills::{self, Part};
use common::podlet::{Podlet, container, text, until};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A pod of these containers, which share the directory `/data` with the test.
fn apply(podlet: &Podlet, name: &str, policy: &str, containers: &str) -> String {
    let data = data(podlet);
    fs::create_dir_all(&data).unwrap();
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: {policy}\n  \
         terminationGracePeriodSeconds: 60\n  volumes: [{{name: data, hostPath: {{path: {}}}}}]\n  containers:\n{containers}",
        data.display()
    );
    let output = podlet.try_apply(&manifest, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    kills::uid(&podlet.pod(name))
}

fn data(podlet: &Podlet) -> PathBuf {
    podlet.root.join("data")
}

fn written(podlet: &Podlet, file: &str) -> String {
    fs::read_to_string(data(podlet).join(file)).unwrap_or_default()
}

fn messages(podlet: &Podlet, pod: &str, reason: &str) -> Vec<String> {
    let json = podlet.succeed(&["events", "--for", &format!("pod/{pod}"), "-o", "json"]);
    let list: Value = serde_json::from_str(&json).unwrap();
    let items = list["items"].as_array().unwrap().iter().filter(|event| event["reason"] == reason);
    items.map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect()
}

/// A program that writes a line when it hears SIGTERM, and what it mounts.
const HEARS: &str = r#"
    image: podlet.local/host
    command: [sh, -c, "trap 'echo term >> /data/told; exit 0' TERM; touch /data/up; while :; do sleep 0.1; done"]
    volumeMounts: [{name: data, mountPath: /data}]
"#;

#[test]
fn until_its_post_start_hook_is_over_a_container_is_not_shown_and_the_next_not_started() {
    let podlet = Podlet::new();
    let waits = "while ! [ -e /data/go ]; do sleep 0.05; done; echo hook >> /data/told";
    let uid = apply(
        &podlet,
        "starting",
        "Always",
        &format!(
            "  - name: first{HEARS}    lifecycle: {{postStart: {{exec: {{command: [sh, -c, \"{waits}\"]}}}}}}\n  - name: \
             second\n    image: podlet.local/actor\n    args: [sleep, forever]\n"
        ),
    );
    until("its program runs", || data(&podlet).join("up").exists());
    let shown = |pod: &Value| {
        assert_eq!(container(pod, "first")["state"]["waiting"]["reason"], "ContainerCreating", "{pod}");
        assert_eq!(container(pod, "second")["state"]["waiting"]["reason"], "ContainerCreating", "{pod}");
        assert_eq!(pod["status"]["phase"], "Pending");
    };
    shown(&podlet.pod("starting"));
    // The hook goes on over a supervisor's death, and runs once.
    kills::send(Part::Supervisor.wait(&uid), Signal::SIGKILL);
    Part::Supervisor.wait(&uid);
    shown(&podlet.pod("starting"));
    fs::write(data(&podlet).join("go"), "").unwrap();
    let pod = podlet.wait("starting", |pod| pod["status"]["phase"] == "Running");
    assert!(container(&pod, "first")["state"]["running"].is_object());
    podlet.wait("starting", |pod| container(pod, "second")["state"]["running"].is_object());
    assert_eq!(written(&podlet, "told"), "hook\n");
    podlet.finish();
}

#[test]
fn a_post_start_hook_that_fails_ends_its_container() {
    let podlet = Podlet::new();
    apply(
        &podlet,
        "failing",
        "Always",
        &format!(
            "  - name: main{HEARS}    lifecycle:\n      postStart: {{exec: {{command: [sh, -c, \"echo said; echo why >&2; exit \
             7\"]}}}}\n      preStop: {{exec: {{command: [sh, -c, \"echo stop >> /data/told\"]}}}}\n"
        ),
    );
    let mut seen = Vec::new();
    podlet.wait("failing", |pod| {
        let state = &container(pod, "main")["state"];
        assert!(state["running"].is_null(), "{state}");
        seen.extend(state["waiting"]["message"].as_str().map(str::to_owned));
        state["waiting"]["reason"] == "CrashLoopBackOff"
    });
    let expected = "failed - error: command 'sh -c echo said; echo why >&2; exit 7' exited with 7: why\n, message: \"said\\nwhy\\n\"";
    let hook = seen.iter().find(|message| message.contains("lifecycle hook")).expect("PostStartHookError is shown");
    assert!(
        hook.starts_with("Exec lifecycle hook ([sh -c echo said; echo why >&2; exit 7]) for Container \"main\" in Pod")
    );
    assert!(hook.ends_with(expected), "{hook}");
    assert_eq!(messages(&podlet, "failing", "FailedPostStartHook"), ["PostStartHook failed"]);
    assert_eq!(messages(&podlet, "failing", "Killing"), ["FailedPostStartHook"]);
    assert!(written(&podlet, "told").starts_with("stop\n"), "{:?}", written(&podlet, "told"));
    podlet.finish();
}

#[test]
fn a_pre_stop_hook_runs_before_the_signal_and_goes_on_over_a_supervisors_death() {
    let podlet = Podlet::new();
    let hook = "echo begun >> /data/told; while ! [ -e /data/go ]; do sleep 0.05; done; echo over >> /data/told";
    let uid = apply(
        &podlet,
        "stopping",
        "Always",
        &format!("  - name: main{HEARS}    lifecycle: {{preStop: {{exec: {{command: [sh, -c, \"{hook}\"]}}}}}}\n"),
    );
    until("its program runs", || data(&podlet).join("up").exists());
    podlet.succeed(&["delete", "pod", "stopping", "--wait=false"]);
    until("the hook runs", || written(&podlet, "told") == "begun\n");
    kills::send(Part::Supervisor.wait(&uid), Signal::SIGKILL);
    Part::Supervisor.wait(&uid);
    assert_eq!(written(&podlet, "told"), "begun\n");
    fs::write(data(&podlet).join("go"), "").unwrap();
    until("the pod is removed", || !podlet.run(&["get", "pod", "stopping"]).status.success());
    assert_eq!(written(&podlet, "told"), "begun\nover\nterm\n");
    podlet.finish();
}

#[test]
fn a_pre_stop_hook_that_outlasts_the_grace_period_is_abandoned() {
    let podlet = Podlet::new();
    apply(
        &podlet,
        "slow",
        "Always",
        &format!("  - name: main{HEARS}    lifecycle: {{preStop: {{exec: {{command: [sleep, \"98763\"]}}}}}}\n"),
    );
    until("its program runs", || data(&podlet).join("up").exists());
    podlet.succeed(&["delete", "pod", "slow", "--grace-period=3"]);
    assert_eq!(written(&podlet, "told"), "term\n");
    podlet.finish();
}

#[test]
fn hooks_of_each_kind_run_before_a_probe_restarts_their_container() {
    let podlet = Podlet::new();
    let main = |name: &str, hook: &str| {
        format!(
            "  - name: {name}\n    image: podlet.local/actor\n    args: [sleep, forever]\n    livenessProbe: {{exec: {{command: \
             [/actor, exit, \"1\"]}}, periodSeconds: 1, failureThreshold: 1}}\n    lifecycle: {{preStop: {{{hook}}}}}\n"
        )
    };
    let server = "  - name: server\n    image: podlet.local/actor\n    args: [serve-http, \"8080\"]\n    lifecycle: {postStart: \
                  {sleep: {seconds: 1}}}\n";
    let containers = [
        server.to_owned(),
        main("well", "httpGet: {path: /status/500, port: 8080}"),
        main("nobody", "httpGet: {path: /x, port: 81}"),
        main("socket", "tcpSocket: {port: 8080}"),
        main("sleeps", "sleep: {seconds: 1}"),
    ];
    apply(&podlet, "each", "Always", &containers.concat());
    let all = ["well", "nobody", "socket", "sleeps"];
    podlet.wait("each", |pod| all.iter().all(|name| container(pod, name)["restartCount"].as_u64() >= Some(1)));
    let json = podlet.succeed(&["events", "--for", "pod/each", "-o", "json"]);
    let list: Value = serde_json::from_str(&json).unwrap();
    let of_hook = list["items"].as_array().unwrap().iter().filter(|event| event["reason"] == "FailedPreStopHook");
    let mut failed: Vec<&str> = of_hook.map(|event| event["involvedObject"]["fieldPath"].as_str().unwrap()).collect();
    failed.sort_unstable();
    // Any answer will do; nobody there, and a handler that no kubelet has, will not.
    assert_eq!(failed, ["spec.containers{nobody}", "spec.containers{socket}"]);
    podlet.finish();
}
