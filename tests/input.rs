//! Manifests as people have them: what Helm renders, what a cluster gives back, lists, addresses.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;

use common::podlet::{Podlet, text};
use serde_json::{Value, json};

/// Exit code, stdout, stderr of one `apply -f -`.
fn apply(podlet: &Podlet, manifest: &str, words: &[&str]) -> (Option<i32>, String, String) {
    let output = podlet.try_apply(manifest, words);
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

const CHART: &str = "\
---
# Source: shop/templates/serviceaccount.yaml
apiVersion: v1
kind: ServiceAccount
metadata:
  name: shop
---
# Source: shop/templates/config.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: shop
data:
  greeting: hello
---
# Source: shop/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: shop
spec:
  ports: [{port: 80}]
---
# Source: shop/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  labels: {chart: shop-1}
spec:
  replicas: 3
  revisionHistoryLimit: 5
  selector: {matchLabels: {app: shop}}
  template:
    metadata:
      labels: {app: shop}
      annotations: {checksum/config: abc}
    spec:
      serviceAccountName: shop
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: podlet.local/actor
        args: [sleep, forever]
        envFrom: [{configMapRef: {name: shop}}]
---
# Source: shop/templates/ingress.yaml
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
---
# Source: shop/templates/tests/test-connection.yaml
apiVersion: v1
kind: Pod
metadata:
  name: shop-test-connection
  annotations:
    helm.sh/hook: test
spec:
  containers: [{name: wget, image: busybox}]
";

#[test]
fn what_helm_renders_runs_as_one_pod_and_the_rest_is_told() {
    let podlet = Podlet::new();
    let (code, out, err) = apply(&podlet, CHART, &[]);
    assert_eq!((code, out.as_str()), (Some(0), "configmap/shop created\npod/shop created\n"), "{err}");
    for said in [
        "Note: <stdin>: ServiceAccount \"shop\" is passed over: there is no API server",
        "Note: <stdin>: Service \"shop\" is passed over: nothing here answers to its name",
        "Note: <stdin>: Deployment \"shop\" runs as one pod of its template, pod/shop; left out: replicas: 3, revisionHistoryLimit: 5\n",
        "Note: <stdin>: Ingress \"shop\" is passed over: nothing here routes to it",
        "Note: <stdin>: Pod \"shop-test-connection\" is passed over: it is a test of Helm's",
    ] {
        assert!(err.contains(said), "{said} is not in\n{err}");
    }
    let pod = podlet.wait("shop", |pod| pod["status"]["phase"] == "Running");
    assert_eq!(pod["metadata"]["labels"], json!({"app": "shop"}));
    assert_eq!(pod["metadata"]["annotations"]["checksum/config"], "abc");
    assert_eq!(apply(&podlet, CHART, &[]).1, "configmap/shop unchanged\npod/shop unchanged\n");
    // With --strict what would be passed over is an error, and nothing changes.
    let (code, out, err) = apply(&podlet, &CHART.replace("greeting: hello", "greeting: bye"), &["--strict"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("<stdin>:4:7: kind: no matches for kind \"ServiceAccount\" in version \"v1\""), "{err}");
    assert!(podlet.succeed(&["get", "configmap", "shop", "-o", "yaml"]).contains("greeting: hello"));
    // What was applied by a file is deleted by it.
    let file = podlet.root.join("chart.yaml");
    std::fs::write(&file, CHART).unwrap();
    podlet.succeed(&["delete", "-f", file.to_str().unwrap()]);
    podlet.finish();
}

#[test]
fn templates_are_judged_where_they_stand() {
    let podlet = Podlet::new();
    let workload = |version: &str, kind: &str, path: &str, spec: serde_json::Value| {
        let mut inner = json!({"template": {"metadata": {"labels": {"a": "b"}}, "spec": spec}, "selector": {"matchLabels": {"a": "b"}}});
        if path == "jobTemplate" {
            inner = json!({"schedule": "0 3 * * *", "jobTemplate": {"spec": inner}});
        }
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": "w"}, "spec": inner}).to_string()
    };
    let container = json!([{"name": "c", "image": "podlet.local/actor"}]);
    let rehearse = |manifest: &str| apply(&podlet, manifest, &["--dry-run=client"]);
    for (version, kind, path, policy, pod) in [
        ("apps/v1", "Deployment", "", None, "w"),
        ("apps/v1", "StatefulSet", "", None, "w-0"),
        ("apps/v1", "DaemonSet", "", Some("Always"), "w"),
        ("apps/v1", "ReplicaSet", "", None, "w"),
        ("v1", "ReplicationController", "", None, "w"),
        ("batch/v1", "Job", "", Some("Never"), "w"),
        ("batch/v1", "CronJob", "jobTemplate", Some("OnFailure"), "w"),
    ] {
        let spec = match policy {
            Some(policy) => json!({"restartPolicy": policy, "containers": container}),
            None => json!({"containers": container}),
        };
        let (code, out, err) = rehearse(&workload(version, kind, path, spec));
        assert_eq!((code, out), (Some(0), format!("pod/{pod} created (dry run)\n")), "{kind}: {err}");
        assert!(err.contains(&format!("{kind} \"w\" runs")), "{err}");
    }
    for (manifest, said) in [
        (
            workload("batch/v1", "Job", "", json!({"containers": container})),
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ),
        (
            workload("apps/v1", "Deployment", "", json!({"restartPolicy": "Never", "containers": container})),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ),
        (
            workload("apps/v1", "Deployment", "", json!({"containers": [{"name": "c", "imagee": "x"}]})),
            "spec.template.spec.containers[0].imagee: unknown field",
        ),
        (
            workload("extensions/v1beta1", "Deployment", "", json!({"containers": container})),
            "no matches for kind \"Deployment\"",
        ),
    ] {
        let (code, out, err) = rehearse(&manifest);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains(said), "{said} is not in\n{err}");
    }
    podlet.finish();
}

#[test]
fn a_pod_that_a_cluster_gives_back_runs_without_what_the_cluster_put_in() {
    let podlet = Podlet::new();
    let token = "kube-api-access-x7k2p";
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web", "namespace": "default", "uid": "4fd691c7-f3ae-479b-ae7f-b6cd54a66af1", "resourceVersion": "6610",
            "creationTimestamp": "2026-11-23T23:31:55Z", "generation": 1,
            "managedFields": [{"manager": "kubectl-run", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                "time": "2026-11-23T23:31:55Z", "fieldsV1": {"f:spec": {}}}],
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u"}]
        },
        "spec": {
            "nodeName": "node-7", "serviceAccount": "default", "serviceAccountName": "default", "priority": 0,
            "preemptionPolicy": "PreemptLowerPriority", "schedulerName": "default-scheduler", "enableServiceLinks": true,
            "terminationGracePeriodSeconds": 1, "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "securityContext": {},
            "tolerations": [{"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}],
            "containers": [{
                "name": "a", "image": "podlet.local/actor", "args": ["sleep", "forever"], "imagePullPolicy": "IfNotPresent",
                "resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                "volumeMounts": [
                    {"mountPath": "/data", "name": "data"},
                    {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": token, "readOnly": true}]
            }],
            "volumes": [
                {"name": "data", "emptyDir": {}},
                {"name": token, "projected": {"defaultMode": 420, "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}]}}]
        },
        "status": {"phase": "Running", "podIP": "10.1.2.3", "startTime": "2026-11-23T23:31:55Z"}
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [pod]});
    let (code, out, err) = apply(&podlet, &list.to_string(), &[]);
    assert_eq!((code, out.as_str()), (Some(0), "pod/web created\n"), "{err}");
    assert!(err.contains(&format!("volume \"{token}\", a service account's token, is left out: ")), "{err}");
    for field in ["metadata.managedFields", "metadata.uid", "metadata.resourceVersion", "spec.nodeName", "status"] {
        let told = err.lines().find(|line| line.contains("without meaning on one machine")).unwrap();
        assert!(told.contains(field), "{field} is not in {told}");
    }
    let runs = podlet.wait("web", |pod| pod["status"]["phase"] == "Running");
    assert_ne!(runs["metadata"]["uid"], pod["metadata"]["uid"]);
    assert_ne!(runs["spec"]["nodeName"], "node-7");
    assert_eq!(runs["spec"]["volumes"], json!([{"name": "data", "emptyDir": {}}]));
    assert_eq!(runs["spec"]["containers"][0]["volumeMounts"], json!([{"mountPath": "/data", "name": "data"}]));
    // And what podlet gives back, podlet takes.
    let own = podlet.succeed(&["get", "pod", "web", "-o", "yaml"]);
    assert_eq!(apply(&podlet, &own, &[]).1, "pod/web unchanged\n");
    podlet.succeed(&["delete", "pod", "web"]);
    podlet.finish();
}

#[test]
fn an_address_is_fetched_from_whom_it_names() {
    let podlet = Podlet::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/conf.yaml", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\n";
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    });
    // This machine may be asked without encryption, no other.
    assert_eq!(podlet.succeed(&["apply", "-f", &address]), "configmap/conf created\n");
    served.join().unwrap();
    let said = podlet.fail(&["apply", "-f", "http://198.51.100.1/conf.yaml"]);
    assert!(said.contains("podlet fetches manifests by https only"), "{said}");
    assert!(said.contains("curl -fsSL http://198.51.100.1/conf.yaml | podlet apply -f -"), "{said}");
    let said = podlet.fail(&["apply", "-f", &address]);
    assert!(said.starts_with("error: unable to read URL \"http://127.0.0.1:"), "{said}");
    podlet.succeed(&["delete", "configmap", "conf"]);
    podlet.finish();
}

/// What `jq` writes, and a List in a List, as kubectl takes them.
#[test]
fn json_values_in_a_row_and_lists_in_lists_are_taken_apart() {
    let podlet = Podlet::new();
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let row = format!("{}\n{}\n", map("a"), serde_json::to_string_pretty(&map("b")).unwrap());
    let list = |items: Value| json!({"apiVersion": "v1", "kind": "List", "items": items});
    let nested = list(json!([list(json!([map("d")])), map("c")]));
    for (manifest, out) in [
        (row.clone(), "configmap/a created\nconfigmap/b created\n"),
        (nested.to_string(), "configmap/c created\nconfigmap/d created\n"),
    ] {
        assert_eq!(apply(&podlet, &manifest, &[]), (Some(0), out.to_owned(), String::new()));
    }
    let (_, _, said) = apply(&podlet, &row.replace("\"b\"", "\"B\""), &[]);
    assert!(said.starts_with("<stdin>:6:5: metadata.name: "), "{said}");
    podlet.finish();
}
