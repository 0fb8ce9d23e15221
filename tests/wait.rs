//! `podlet wait`: what it prints, when it comes back, and with which exit code.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::process::Stdio;

use common::podlet::{Podlet, text};
use serde_json::json;

fn pod(name: &str, policy: &str, image: &str, arguments: &[&str]) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": policy, "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "a", "image": image, "args": arguments}]
        }
    })
    .to_string()
}

fn said(podlet: &Podlet, words: &[&str]) -> (Option<i32>, String) {
    let output = podlet.run(words);
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

fn met(what: &str) -> (Option<i32>, String) {
    (Some(0), format!("{what} condition met\n"))
}

fn failed(what: &str) -> (Option<i32>, String) {
    (Some(1), format!("{what}\n"))
}

#[test]
fn it_comes_back_when_the_wish_is_met() {
    let podlet = Podlet::new();
    let words = ["wait", "--for=create", "--for=condition=Ready", "pod/web", "--timeout=-1s"];
    let early = podlet.command(&words).stdout(Stdio::piped()).spawn().unwrap();
    podlet.apply(&pod("web", "Always", "podlet.local/actor", &["sleep", "forever"]));
    let output = early.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), "pod/web condition met\npod/web condition met\n");

    let web = |wish: &str| said(&podlet, &["wait", wish, "pod", "web", "--timeout=0"]);
    assert_eq!(web("--for=condition=containersready=true"), met("pod/web"));
    assert_eq!(web("--for=jsonpath={.status.phase}=Running"), met("pod/web"));
    assert_eq!(web("--for=jsonpath={.status.phase}=Failed"), failed("error: condition not met for pods/web"));
    assert_eq!(web("--for=delete"), failed("error: condition not met for pods/web"));
    assert_eq!(web("--for=Ready"), failed("error: unrecognized condition: \"Ready\""));
    let named = ["wait", "--for=condition=Ready", "pods", "-l", "app=web", "-o", "name", "--timeout=-1s"];
    assert_eq!(said(&podlet, &named), (Some(0), "pod/web\n".to_owned()));

    let gone = podlet.command(&["wait", "--for=delete", "pod/web", "--timeout=-1s"]).stdout(Stdio::piped()).spawn();
    podlet.succeed(&["delete", "pod", "web", "--wait=false"]);
    let output = gone.unwrap().wait_with_output().unwrap();
    assert!(output.status.success());
    // It may have been gone before the first look, of which kubectl says nothing.
    assert!(["", "pod/web condition met\n"].contains(&text(&output.stdout).as_str()), "{output:?}");
    assert_eq!(said(&podlet, &["wait", "--for=delete", "pod/web"]), (Some(0), String::new()));
    podlet.finish();
}

#[test]
fn it_says_when_it_never_will_be() {
    let podlet = Podlet::new();
    podlet.apply(&pod("done", "Never", "podlet.local/actor", &["exit", "0"]));
    podlet.apply(&pod("nameless", "Always", "UPPER", &[]));
    let for_ever = |wish: &str, name: &str| said(&podlet, &["wait", wish, name, "--timeout=-1s"]);
    let never =
        |name: &str, why: &str| failed(&format!("error: the condition on pods/{name} will never be met: {why}"));
    assert_eq!(for_ever("--for=jsonpath={.status.phase}=Succeeded", "pod/done"), met("pod/done"));
    assert_eq!(for_ever("--for=condition=Ready", "pod/done"), never("done", "it has succeeded"));
    assert_eq!(
        for_ever("--for=jsonpath={.status.phase}=Running", "pod/done"),
        never("done", "its phase is Succeeded, for good")
    );
    assert_eq!(
        for_ever("--for=jsonpath={.status.phase}=Ready", "pod/done"),
        never("done", "a pod has no phase \"Ready\"; there are Pending, Running, Succeeded, Failed, Unknown")
    );
    let (code, text) = for_ever("--for=condition=Ready", "pod/nameless");
    assert!(code == Some(1) && text.contains("never be met: container a: InvalidImageName: "), "{text}");
    assert_eq!(
        for_ever("--for=jsonpath={.status.phase}=Succeeded", "pod/nameless"),
        never("nameless", "with restartPolicy Always it is never over")
    );
    podlet.finish();
}

#[test]
fn what_is_not_there_or_not_in_time_is_told_in_kubectls_words() {
    let podlet = Podlet::new();
    podlet.apply(&pod("web", "Always", "podlet.local/actor", &["sleep", "forever"]));
    podlet.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: words}, data: {a: b}}");
    let wait = |words: &[&str]| said(&podlet, &[&["wait", "--timeout=10ms"], words].concat());
    for (words, text) in [
        (&["--for=condition=Ready", "pod/none"][..], "Error from server (NotFound): pods \"none\" not found"),
        (&["--for=condition=Ready", "pods", "-l", "app=none"], "error: no matching resources found"),
        (&["--for=create", "pod/none"], "error: timed out waiting for the condition"),
        (&["--for=condition=Ready=False", "pod/web"], "error: timed out waiting for the condition on pods/web"),
        (&["--for=delete", "cm/words"], "error: timed out waiting for the condition on configmaps/words"),
        (&["pod/web"], "error: unrecognized condition: []"),
        (&["--for=condition=Ready", "pods"], "error: resource(s) were provided, but no name was specified"),
    ] {
        assert_eq!(wait(words), failed(text), "{words:?}");
    }
    assert_eq!(wait(&["--for=jsonpath={.data.a}=b", "cm/words"]), met("configmap/words"));
    podlet.finish();
}
