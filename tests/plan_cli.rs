//! `podlet plan` through the binary: nothing is made, secrets are references, the page and the data say the same.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::podlet::{Podlet, text};
use serde_json::Value;

const MANIFEST: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: hunter2}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  volumes: [{name: cache, emptyDir: {}}, {name: creds, secret: {secretName: db}}]
  containers:
  - name: app
    image: podlet.local/actor
    env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}]
    securityContext: {runAsUser: 1000}
    volumeMounts: [{name: cache, mountPath: /cache}, {name: creds, mountPath: /creds}]
    resources: {limits: {memory: 64Mi}}
  - name: sh
    image: podlet.local/host
    command: [sh, -c, 'echo $(GREETING)']
    env: [{name: GREETING, value: hello}]
";

fn planned(podlet: &Podlet, words: &[&str]) -> String {
    let path = podlet.root.join("pod.yaml");
    fs::write(&path, MANIFEST).unwrap();
    let path = path.display().to_string();
    podlet.succeed(&[&["plan", &path], words].concat())
}

fn calls<'a>(plan: &'a Value, name: &str) -> Vec<&'a Value> {
    plan["calls"].as_array().unwrap().iter().filter(|call| call["call"] == name).collect()
}

#[test]
fn the_data_has_every_call() {
    let podlet = Podlet::new();
    let data = planned(&podlet, &["-o", "json"]);
    assert!(!data.contains("hunter2") && !data.contains("aHVudGVyMg"), "a secret's value is in the plan");
    let data: Value = serde_json::from_str(&data).unwrap();
    let pod = &data["pods"][0];
    assert_eq!((&pod["name"], &pod["namespace"]), (&Value::from("web"), &Value::from("default")));
    let plans = pod["plans"].as_array().unwrap();
    let titles: Vec<&Value> = plans.iter().map(|plan| &plan["title"]).collect();
    assert_eq!(titles, ["sandbox", "container app", "container sh"]);

    assert_eq!(calls(&plans[0], "execveat").len(), 1);
    let app = &plans[1];
    assert_eq!(calls(app, "pivot_root").len(), 1);
    assert_eq!(calls(app, "setresuid")[0]["arguments"], serde_json::json!(["1000", "1000", "1000"]));
    let execve = calls(app, "execve")[0]["arguments"].to_string();
    assert!(execve.contains("/actor") && execve.contains("PASSWORD=") && execve.contains("db"), "{execve}");
    // Each call names its step, and each step has a call.
    for plan in plans {
        let steps = plan["steps"].as_array().unwrap().len() as u64;
        let named: std::collections::BTreeSet<u64> =
            plan["calls"].as_array().unwrap().iter().map(|call| call["step"].as_u64().unwrap()).collect();
        assert_eq!(named, (0..steps).collect(), "{}", plan["title"]);
    }
    assert!(calls(&plans[2], "execve").last().unwrap()["arguments"].to_string().contains("echo hello"));
    podlet.finish();
}

#[test]
fn the_page_shows_steps_with_their_calls() {
    let podlet = Podlet::new();
    let page = planned(&podlet, &[]);
    assert!(!page.contains("hunter2"));
    for line in [
        "pod default/web",
        "  volume creds: ",
        "container app",
        "make it the root; drop the old one",
        "pivot_root(\".\", \".\")",
        "setresuid(1000, 1000, 1000)",
        "/kubernetes.io~empty-dir/cache",
        "memory at most 67108864 bytes",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    let steps = planned(&podlet, &["--steps"]);
    assert!(steps.contains("make it the root") && !steps.contains("pivot_root("), "{steps}");
    podlet.finish();
}

#[test]
fn nothing_is_made() {
    let podlet = Podlet::new();
    planned(&podlet, &[]);
    let left: Vec<_> = fs::read_dir(&podlet.root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["pod.yaml"]);
    podlet.finish();
}

#[test]
fn what_could_not_start_is_told() {
    let podlet = Podlet::new();
    let path = podlet.root.join("pod.yaml");
    let path = path.display().to_string();
    let plan = |container: &str| {
        let pod =
            format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  containers:\n  - {container}\n");
        fs::write(&path, pod).unwrap();
        let output = podlet.run(&["plan", &path]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        text(&output.stderr)
    };
    let said = plan("{name: a, image: 'localhost/none:1'}");
    assert!(
        said.contains("localhost/none:1 is not in podlet's image store") && said.contains("image import"),
        "{said}"
    );
    let said = plan("{name: a, image: podlet.local/actor, securityContext: {runAsNonRoot: true}}");
    assert!(said.contains("container has runAsNonRoot and image will run as root"), "{said}");
    let said = plan("{name: a, image: podlet.local/actor, envFrom: [{configMapRef: {name: none}}]}");
    assert!(said.contains("configmap \"none\" not found"), "{said}");
    podlet.finish();
}
