//! Volumes of ConfigMaps and Secrets over time: missing, made, changed, removed while the pod runs.

#![allow(clippy::unwrap_used)]

mod common;

use common::kills::{Part, kill_at_once, uid};
use common::podlet::{Podlet, container, until};
use serde_json::{Value, json};

fn object(kind: &str, name: &str, key: &str, value: &str) -> String {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name},
        (if kind == "Secret" { "stringData" } else { "data" }): {key: value}})
    .to_string()
}

fn pod() -> String {
    let container = json!({
        "name": "a", "image": "podlet.local/host", "command": ["sleep", "1000"],
        "env": [{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "colour"}}}],
        "volumeMounts": [{"name": "conf", "mountPath": "/conf"}, {"name": "key", "mountPath": "/key"}]
    });
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {
            "hostNetwork": true, "terminationGracePeriodSeconds": 1,
            "containers": [container],
            "volumes": [
                {"name": "conf", "configMap": {"name": "conf"}},
                {"name": "key", "secret": {"secretName": "key", "defaultMode": 0o400}}
            ]
        }
    })
    .to_string()
}

fn read(podlet: &Podlet, script: &str) -> String {
    podlet.succeed(&["exec", "web", "--", "sh", "-c", script])
}

#[test]
fn a_missing_one_is_waited_for_and_a_change_reaches_the_pod_that_runs() {
    let podlet = Podlet::new();
    podlet.apply(&pod());
    let events = || podlet.succeed(&["events", "--for", "pod/web"]);
    for text in [
        "MountVolume.SetUp failed for volume \"conf\" : configmap \"conf\" not found",
        "MountVolume.SetUp failed for volume \"key\" : secret \"key\" not found",
    ] {
        until("FailedMount", || {
            events().lines().any(|line| line.contains("Warning   FailedMount") && line.contains(text))
        });
    }
    assert!(!events().contains("sandbox"), "{}", events());
    let state = podlet.pod("web");
    assert_eq!(container(&state, "a")["state"], json!({"waiting": {"reason": "ContainerCreating"}}));
    let sandbox =
        state["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "PodReadyToStartContainers");
    assert_eq!(sandbox.unwrap()["status"], "False");

    podlet.apply(&object("ConfigMap", "conf", "colour", "green"));
    podlet.apply(&object("Secret", "key", "word", "sesame"));
    let runs = |pod: &Value| container(pod, "a")["state"]["running"].is_object();
    podlet.wait("web", runs);
    let before =
        read(&podlet, "cat /conf/colour /key/word; readlink /conf/..data; stat -L -c %a /conf/colour /key/word");
    let lines: Vec<&str> = before.lines().collect();
    let dated = lines[0].strip_prefix("greensesame").unwrap();
    assert_eq!(lines[1..], ["644", "400"]);

    // The same again changes nothing.
    podlet.apply(&object("ConfigMap", "conf", "colour", "green"));
    assert_eq!(read(&podlet, "readlink /conf/..data").trim(), dated);

    podlet.apply(&object("ConfigMap", "conf", "colour", "blue"));
    podlet.apply(&object("Secret", "key", "pass", "open"));
    let after = read(
        &podlet,
        "cat /conf/colour /key/pass; echo \" $COLOUR $TERM\"; ls /key; stat -L -c %a /conf/colour /key/pass",
    );
    // Files change, a variable does not; what is not in the object any more is gone.
    assert_eq!(after, "blueopen green \npass\n644\n400\n");
    assert_ne!(read(&podlet, "readlink /conf/..data").trim(), dated);

    // A removed object leaves the files as they are, aloud.
    podlet.succeed(&["delete", "configmap", "conf"]);
    // A further process has the environment that the container was started with, though its source is gone.
    assert_eq!(read(&podlet, "cat /conf/colour; echo \" $COLOUR\""), "blue green\n");
    kill_at_once(&uid(&podlet.pod("web")), &[Part::Supervisor]);
    assert_eq!(read(&podlet, "echo $COLOUR"), "green\n");
    let told = events();
    let line = told.lines().find(|line| line.contains("configmap \"conf\" not found")).unwrap();
    assert!(line.contains("FailedMount"), "{line}");
    assert_eq!(container(&podlet.pod("web"), "a")["restartCount"], 0);
    podlet.succeed(&["delete", "secret", "key"]);
    podlet.finish();
}
