//! A pod that fills its disk beyond what its manifest allows is evicted, and nobody else is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::kills::{self, Part};
use common::podlet::{Podlet, container, text};
use serde_json::{Value, json};

const LIVES: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
/// Hears no SIGTERM.
const DEAF: &str = "trap '' TERM; while :; do sleep 0.1; done";

fn mib(words: &str) -> String {
    format!("dd if=/dev/zero of={words} bs=1048576 status=none; {LIVES}")
}

/// A pod of the host's programs with an emptyDir `v`, in which each container runs its script under its limit.
fn pod(name: &str, size_limit: Option<&str>, containers: &[(&str, &str, Option<&str>)]) -> String {
    let containers: Vec<Value> = containers
        .iter()
        .map(|(name, script, limit)| {
            let mut container = json!({"name": name, "image": "podlet.local/host", "command": ["sh", "-c", script],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}]});
            if let Some(limit) = limit {
                container["resources"] = json!({"limits": {"ephemeral-storage": limit}});
            }
            container
        })
        .collect();
    let volume = json!({"name": "v", "emptyDir": size_limit.map_or(json!({}), |limit| json!({"sizeLimit": limit}))});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 60, "volumes": [volume], "containers": containers}})
    .to_string()
}

/// A time of the API's, in whole seconds: what lies between two of them is never shown shorter than it was by a second.
fn second(time: &Value) -> i64 {
    time.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second()
}

fn evicted(podlet: &Podlet, name: &str) -> Value {
    podlet.wait(name, |pod| pod["status"]["phase"] == "Failed")
}

#[test]
fn a_pod_beyond_its_limits_is_evicted() {
    let podlet = Podlet::new();
    let apply = |manifest: String| {
        let output = podlet.try_apply(&manifest, &[]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(!text(&output.stderr).contains("ephemeral-storage"), "{}", text(&output.stderr));
    };
    apply(pod("volume", Some("1Mi"), &[("app", &mib("/v/file count=3"), None), ("deaf", DEAF, None)]));
    let write = mib("/file count=3");
    apply(pod("whole", None, &[("app", &mib("/v/file count=3"), Some("2Mi")), ("idle", LIVES, None)]));
    apply(pod("layer", None, &[("app", &write, Some("2Mi")), ("idle", LIVES, Some("50Mi"))]));
    let speak = format!("head -c 3000000 /dev/zero | tr '\\0' x | fold -w 100; {LIVES}");
    apply(pod("logs", None, &[("app", &speak, Some("2Mi")), ("idle", LIVES, Some("50Mi"))]));

    for (name, message, rule) in [
        ("volume", "Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". ", "R-9.9-a"),
        ("whole", "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. ", "R-9.9-b"),
        ("layer", "Container app exceeded its local ephemeral storage limit \"2Mi\". ", "R-9.9-c"),
        ("logs", "Container app exceeded its local ephemeral storage limit \"2Mi\". ", "R-9.9-c"),
    ] {
        let pod = evicted(&podlet, name);
        let status = &pod["status"];
        assert_eq!((&status["reason"], &status["message"]), (&json!("Evicted"), &json!(message)), "{status:#}");
        let conditions = status["conditions"].as_array().unwrap();
        assert!(conditions.iter().all(|condition| condition["type"] != "DisruptionTarget"), "{status:#}");
        assert_eq!(container(&pod, "app")["restartCount"], 0);
        assert!(container(&pod, "app")["state"]["terminated"].is_object(), "{status:#}");
        let events = podlet.succeed(&["events", "--for", &format!("pod/{name}"), "-o", "json"]);
        let events: Value = serde_json::from_str(&events).unwrap();
        let told: Vec<&Value> =
            events["items"].as_array().unwrap().iter().filter(|event| event["reason"] == "Evicted").collect();
        assert_eq!(told.len(), 1, "{events:#}");
        assert_eq!((&told[0]["type"], &told[0]["message"]), (&json!("Warning"), &json!(message)));
        // It is measured every 10 s, not before.
        let at = second(&told[0]["lastTimestamp"]);
        assert!(at - second(&status["startTime"]) >= 10, "{events:#}\n{status:#}");
        if name == "volume" {
            // A second's grace is two, the least there is, and no minute as its spec has it.
            let ended = &container(&pod, "deaf")["state"]["terminated"];
            let took = second(&ended["finishedAt"]) - at;
            assert!(ended["exitCode"] == 137 && (2..40).contains(&took), "{took} s: {ended:#}");
        }
        let described = podlet.succeed(&["describe", "pod", name]);
        let field = |name: &str| {
            let line = described.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let fields = [field("Status:"), field("Reason:"), field("Message:")];
        assert_eq!(fields, ["Failed", "Evicted", message.trim_end()], "{described}");
        // Its lines are broken for a screen.
        let why = podlet.succeed(&["why", name]).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(why.contains(rule) && why.contains(message.trim_end()), "{why}");
    }
    podlet.finish();
}

#[test]
fn what_is_within_its_limits_or_only_seems_beyond_them_lives_on() {
    let podlet = Podlet::new();
    // Holes take nothing, links lead nowhere, and what lies in memory is no disk.
    let script = format!(
        "truncate -s 1G /v/hole; ln -s /usr /v/usr; ln -s / /v/root; dd if=/dev/zero of=/v/a bs=1024 count=100; {LIVES}"
    );
    podlet.apply(&pod("within", Some("1Mi"), &[("app", &script, Some("5Mi"))]));
    let before = podlet.wait("within", |pod| container(pod, "app")["state"]["running"].is_object());
    let uid = kills::uid(&before);
    // When another pod, applied later, was found out, this one was measured before.
    podlet.apply(&pod("beyond", Some("1Mi"), &[("app", &mib("/v/file count=3"), None)]));
    evicted(&podlet, "beyond");
    let after = podlet.pod("within");
    assert_eq!(after["status"]["phase"], "Running", "{:#}", after["status"]);
    assert_eq!(container(&after, "app")["restartCount"], 0);
    // Who is measured has a supervisor that is awake; the next one goes on measuring.
    assert!(Part::Supervisor.pid(&uid).is_some());
    kills::kill_at_once(&uid, &[Part::Supervisor]);
    podlet.succeed(&["exec", "within", "--", "dd", "if=/dev/zero", "of=/v/b", "bs=1048576", "count=2"]);
    let pod = evicted(&podlet, "within");
    assert_eq!(pod["status"]["reason"], "Evicted", "{:#}", pod["status"]);
    podlet.finish();
}
