//! What depends on cgroups, on whatever version this machine has. The same program runs in a virtual machine with version 2
//! alone (`tests/vm/boot`), so nothing here needs more than podlet itself: the image is `podlet.local/actor`.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::podlet::{Podlet, container, processes_of, until};
use serde_json::Value;

fn manifest(name: &str, policy: &str, arguments: &str, limits: &str) -> String {
    format!(
        r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "{name}"}}, "spec": {{"restartPolicy": "{policy}",
        "terminationGracePeriodSeconds": 2, "containers": [{{"name": "app", "image": "podlet.local/actor",
        "args": {arguments}, "resources": {{"limits": {limits}}}}}]}}}}"#
    )
}

fn running(pod: &Value) -> bool {
    container(pod, "app")["state"]["running"].is_object()
}

fn ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

#[test]
fn a_pod_runs_in_its_own_cgroups_and_leaves_none() {
    let podlet = Podlet::new();
    podlet.apply(&manifest("plain", "Never", r#"["sleep", "forever"]"#, r#"{"cpu": "500m", "memory": "64Mi"}"#));
    let pod = podlet.wait("plain", running);
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    assert!(!processes_of(uid).is_empty(), "no process is in a cgroup that names the pod {uid}");
    podlet.succeed(&["delete", "pod", "plain"]);
    assert_eq!(processes_of(uid), Vec::<i32>::new());
    podlet.finish();
}

#[test]
fn limits_reach_the_kernel() {
    let podlet = Podlet::new();
    podlet.apply(&manifest("limits", "Never", r#"["sleep", "forever"]"#, r#"{"cpu": "500m", "memory": "64Mi"}"#));
    let pod = podlet.wait("limits", running);
    let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
    let values: Vec<String> = limit_files(&uid);
    assert!(values.contains(&"memory 67108864".to_owned()), "{values:?}");
    assert!(values.contains(&"cpu 50000/100000".to_owned()), "{values:?}");
    podlet.finish();
}

/// The memory and cpu limits of every cgroup below the pod's, read from the hierarchies themselves.
fn limit_files(uid: &str) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut found = Vec::new();
    for mount in mounts.lines().filter(|line| line.contains(" - cgroup")) {
        let root = mount.split_whitespace().nth(4).unwrap();
        let mut stack = vec![std::path::PathBuf::from(root)];
        while let Some(directory) = stack.pop() {
            if directory.to_string_lossy().contains(uid) || directory.to_string_lossy().contains(&uid.replace('-', "_"))
            {
                let read =
                    |name: &str| fs::read_to_string(directory.join(name)).ok().map(|text| text.trim().to_owned());
                found.extend(
                    read("memory.max").or(read("memory.limit_in_bytes")).map(|bytes| format!("memory {bytes}")),
                );
                found.extend(read("cpu.max").map(|text| format!("cpu {}", text.replace(' ', "/"))));
                if let (Some(quota), Some(period)) = (read("cpu.cfs_quota_us"), read("cpu.cfs_period_us")) {
                    found.push(format!("cpu {quota}/{period}"));
                }
            }
            stack.extend(
                fs::read_dir(&directory).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.is_dir()),
            );
        }
    }
    found
}

#[test]
fn a_container_beyond_its_memory_limit_is_oom_killed() {
    let podlet = Podlet::new();
    podlet.apply(&manifest("greedy", "Never", r#"["allocate", "1Gi/s"]"#, r#"{"memory": "32Mi"}"#));
    let pod = podlet.wait("greedy", ended);
    let terminated = &container(&pod, "app")["state"]["terminated"];
    assert_eq!(terminated["reason"], "OOMKilled");
    assert_eq!(terminated["exitCode"], 137);
    assert_eq!(pod["status"]["phase"], "Failed");
    podlet.finish();
}

#[test]
fn a_killed_container_is_an_error_and_no_oom() {
    let podlet = Podlet::new();
    podlet.apply(&manifest("killed", "Never", r#"["sleep", "forever"]"#, r#"{"memory": "32Mi"}"#));
    let pod = podlet.wait("killed", running);
    let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
    kill_containers(&uid);
    let pod = podlet.wait("killed", ended);
    let terminated = &container(&pod, "app")["state"]["terminated"];
    assert_eq!((&terminated["reason"], &terminated["exitCode"]), (&"Error".into(), &137.into()));
    podlet.finish();
}

/// SIGKILLs every process of the pod's containers: those that run the actor in a cgroup naming the pod.
fn kill_containers(uid: &str) {
    for pid in processes_of(uid) {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if words.starts_with("/actor") {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        }
    }
}

#[test]
fn deleting_a_pod_that_ignores_sigterm_kills_it_after_its_grace_period() {
    let podlet = Podlet::new();
    podlet.apply(&manifest(
        "stubborn",
        "Always",
        r#"["on", "TERM", "ignore,", "print", "deaf,", "sleep", "forever"]"#,
        r#"{"memory": "32Mi"}"#,
    ));
    podlet.wait("stubborn", running);
    until("it is deaf", || podlet.logs("stubborn", "app") == "deaf\n");
    let begin = std::time::Instant::now();
    podlet.succeed(&["delete", "pod", "stubborn"]);
    assert!(begin.elapsed() >= std::time::Duration::from_secs(2), "killed before its grace period was over");
    let stderr = podlet.fail(&["get", "pod", "stubborn"]);
    assert_eq!(stderr.trim(), r#"Error from server (NotFound): pods "stubborn" not found"#);
    podlet.finish();
}
