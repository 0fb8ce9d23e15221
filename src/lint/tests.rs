//! Each check finds what it is for, and nothing in a manifest that is well made; the sums are what the simulated machine does.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;
use crate::manifest::Source;
use crate::simulation::scenario::{Options, read};

fn pod(spec: Value) -> Pod {
    let document = json!({"metadata": {"name": "p"}, "spec": spec});
    let tree = crate::manifest::tree::node(&document, Default::default());
    *crate::manifest::tree::pod(tree, None).unwrap()
}

fn names(spec: Value) -> Vec<String> {
    look(&pod(spec)).findings.into_iter().map(|finding| format!("{} {}", finding.name, finding.path)).collect()
}

fn one(container: Value) -> Vec<String> {
    let mut container = container;
    container.as_object_mut().unwrap().insert("name".to_owned(), json!("c"));
    container.as_object_mut().unwrap().insert("image".to_owned(), json!("i"));
    names(json!({"containers": [container]}))
}

#[test]
fn a_well_made_pod_has_nothing_to_tell() {
    let probe = |path: &str, failure: i32| json!({"httpGet": {"path": path, "port": 80}, "failureThreshold": failure});
    let container = json!({"command": ["sh", "-c", "prepare; exec serve"], "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "startupProbe": probe("/up", 30), "livenessProbe": probe("/alive", 3), "readinessProbe": probe("/ready", 3)});
    assert_eq!(one(container), Vec::<String>::new());
}

#[test]
fn each_check_finds_what_it_is_for() {
    let exec = |probe: Value| {
        let mut all = json!({"exec": {"command": ["check"]}});
        all.as_object_mut().unwrap().extend(probe.as_object().unwrap().clone());
        all
    };
    for (container, found) in [
        (json!({"command": ["sh", "-c", "a; b"]}), "shell-as-process-1 spec.containers[0].command"),
        (json!({"command": ["/bin/bash", "-ec", "exec a $$"]}), "double-dollar spec.containers[0].command"),
        (json!({"command": ["sleep", "60"]}), "ends-under-always spec.containers[0].command"),
        (json!({"args": ["/bin/echo", "hello"]}), "ends-under-always spec.containers[0].args"),
        (json!({"livenessProbe": exec(json!({}))}), "liveness-without-startup spec.containers[0].livenessProbe"),
        (
            json!({"livenessProbe": exec(json!({})), "readinessProbe": exec(json!({"periodSeconds": 3}))}),
            "liveness-equals-readiness spec.containers[0].livenessProbe",
        ),
        (
            json!({"readinessProbe": exec(json!({"timeoutSeconds": 20}))}),
            "timeout-above-period spec.containers[0].readinessProbe.timeoutSeconds",
        ),
        (
            json!({"startupProbe": exec(json!({})), "readinessProbe": exec(json!({"initialDelaySeconds": 3}))}),
            "delay-beside-startup-probe spec.containers[0].readinessProbe.initialDelaySeconds",
        ),
        (
            json!({"lifecycle": {"preStop": {"sleep": {"seconds": 30}}}}),
            "pre-stop-eats-the-grace-period spec.containers[0].lifecycle.preStop",
        ),
        (
            json!({"lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "sleep 45"]}}}}),
            "pre-stop-eats-the-grace-period spec.containers[0].lifecycle.preStop",
        ),
        (
            json!({"lifecycle": {"postStart": {"sleep": {"seconds": 20}}}}),
            "post-start-blocks spec.containers[0].lifecycle.postStart",
        ),
    ] {
        let all = one(container.clone());
        assert!(all.iter().any(|name| name == found), "{container}: {all:?}");
    }
    let two = |policy: &str, second: Value| {
        names(json!({"restartPolicy": policy, "containers": [
            {"name": "a", "image": "i", "ports": [{"containerPort": 80}]}, second]}))
    };
    let helper =
        json!({"name": "b", "image": "i", "command": ["tail", "-f", "/dev/null"], "ports": [{"containerPort": 80}]});
    assert_eq!(
        two("OnFailure", helper.clone()),
        ["helper-without-end spec.containers[1].command", "port-named-twice spec.containers[1].ports[0].containerPort"]
    );
    assert_eq!(two("Always", helper), ["port-named-twice spec.containers[1].ports[0].containerPort"]);
    let base = json!([{"name": "a", "image": "i"}]);
    assert_eq!(
        names(json!({"activeDeadlineSeconds": 60, "terminationGracePeriodSeconds": 1, "containers": base})),
        [
            "grace-below-two-seconds spec.terminationGracePeriodSeconds",
            "deadline-under-always spec.activeDeadlineSeconds"
        ]
    );
    for image in ["UPPER", "http://registry.example/app", "app:no:such"] {
        let spec = json!({"containers": [{"name": "c", "image": image}]});
        assert_eq!(names(spec), ["invalid-image-name spec.containers[0].image"]);
    }
    let never = json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "i", "livenessProbe": exec(json!({}))}]});
    assert!(names(never).contains(&"liveness-under-never spec.containers[0].livenessProbe".to_owned()));
}

/// When the simulated machine does what a sum is about.
fn simulated(spec: &Value, actors: &Value, faults: &Value, word: &str) -> Duration {
    let document = json!({"apiVersion": "podlet.dev/v1alpha1", "kind": "Scenario", "spec": {
        "pod": {"metadata": {"name": "p"}, "spec": spec}, "actors": actors, "faults": faults, "duration": "10m"}});
    let source = Source { name: "lint".to_owned(), bytes: document.to_string().into_bytes() };
    let outcome = read(&[source], &Options::default()).unwrap().cases[0].run();
    outcome.story.iter().find(|happening| happening.word == word && happening.about == "c").unwrap().at
}

#[test]
fn the_sums_are_what_the_machine_does_at_worst() {
    let startup = json!({"exec": {"command": ["a"]}, "initialDelaySeconds": 4, "periodSeconds": 7, "failureThreshold": 5, "timeoutSeconds": 2});
    let liveness = json!({"exec": {"command": ["b"]}, "periodSeconds": 6, "failureThreshold": 3, "timeoutSeconds": 2});
    let spec = json!({"terminationGracePeriodSeconds": 9, "containers": [
        {"name": "c", "image": "i", "startupProbe": startup, "livenessProbe": liveness}]});
    let times = look(&pod(spec.clone())).times;
    let container = &times.containers[0];
    let none = json!([]);
    // It never comes up, and each attempt runs into its timeout.
    let at = simulated(&spec, &json!({"c": {"probes": {"startup": "timeout"}}}), &none, "Signalled");
    assert_eq!(container.start_allowed, Some(at));
    // It hangs just after an attempt has begun: the sum is what comes after that, at worst.
    let hang = json!([{"at": "60001ms", "probe": {"container": "c", "answer": "timeout"}}]);
    let at = simulated(&spec, &json!({}), &hang, "Signalled") - Duration::from_secs(60);
    let sum = container.found_dead.unwrap();
    assert!(at <= sum && at + Duration::from_secs(6) > sum, "{at:?} {sum:?}");
    // It is deaf.
    let deaf = json!({"c": {"ignoreSignals": ["TERM"]}});
    let delete = json!([{"at": "60s", "delete": true}]);
    assert_eq!(simulated(&spec, &deaf, &delete, "Exited") - Duration::from_secs(60), times.delete);
}
