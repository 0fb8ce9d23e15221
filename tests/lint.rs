//! `podlet lint` as a user types it.
#![allow(clippy::unwrap_used)]

#[path = "common/typed.rs"]
mod typed;

use std::process::Output;

use serde_json::Value;

const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: app
    image: a
    command: [sh, -c, 'prepare; serve']
    livenessProbe: {httpGet: {port: 80}, periodSeconds: 5}
";

fn lint(words: &[&str], pod: &str) -> Output {
    typed::podlet(&[&["lint"], words].concat(), pod)
}

#[test]
fn sums_come_first_and_each_finding_has_its_place_reason_and_fix() {
    let output = lint(&["-"], POD);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    for told in [
        "<stdin>: pod web\n",
        "CONTAINER   START ALLOWED   READY WITHIN   FOUND DEAD WITHIN   KILLED WITHIN\n",
        "app         12s             0s             16s                 30s\n",
        "a delete takes 30s at most\n",
        "<stdin>:8:5: spec.containers[0].command: warning: sh is process 1 and passes no signal on",
        "  fix: begin the last command with exec, or set a trap [shell-as-process-1]\n",
        "<stdin>:9:5: spec.containers[0].livenessProbe: warning: without a startupProbe a start that takes longer than 12s is killed",
    ] {
        assert!(text.contains(told), "{told}\n{text}");
    }
}

#[test]
fn programs_read_json_and_exit_codes() {
    let report: Value = serde_json::from_slice(&lint(&["-", "-o", "json"], POD).stdout).unwrap();
    let pod = &report["pods"][0];
    assert_eq!((&pod["name"], &pod["deleteWithinSeconds"]), (&Value::from("web"), &Value::from(30.0)));
    assert_eq!(pod["containers"][0]["foundDeadWithinSeconds"], 16.0);
    assert_eq!(
        (&pod["findings"][0]["name"], &pod["findings"][0]["line"]),
        (&Value::from("shell-as-process-1"), &Value::from(8))
    );

    let good = POD
        .replace("command: [sh, -c, 'prepare; serve']", "")
        .replace("    livenessProbe: {httpGet: {port: 80}, periodSeconds: 5}\n", "");
    assert_eq!(lint(&["-"], &good).status.code(), Some(0));
    let noted = good.replace("spec:\n", "spec:\n  terminationGracePeriodSeconds: 1\n");
    assert_eq!(lint(&["-"], &noted).status.code(), Some(0));
    assert_eq!(lint(&["-", "--strict"], &noted).status.code(), Some(1));
    let bad = lint(&["-"], &POD.replace("image", "imagee"));
    assert_eq!(bad.status.code(), Some(2));
    assert!(String::from_utf8(bad.stderr).unwrap().contains("did you mean \"image\"?"));
    assert_eq!(lint(&["nosuch.yaml"], "").status.code(), Some(2));
}

/// What `apply` takes is looked at, too: Lists, and of a Deployment and its like the pod in it.
#[test]
fn lists_and_workloads_hold_pods() {
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", POD.trim_end().replace('\n', "\n  "));
    let workload = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec:\n  template:\n    spec:\n      \
                    containers:\n      - {name: app, image: a, command: [sh, -c, 'prepare; serve']}\n";
    let output = lint(&["-"], &format!("{list}\n---\n{workload}"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    for told in [
        "<stdin>: pod web\n",
        "<stdin>:11:7: spec.containers[0].command: warning: sh is process 1",
        "<stdin>: pod shop\n",
        "<stdin>:21:31: spec.containers[0].command: warning: sh is process 1",
    ] {
        assert!(text.contains(told), "{told}\n{text}");
    }
    let output = lint(&["-"], "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no Pod in these files (nor a Deployment"));
}
