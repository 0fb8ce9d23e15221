//! `podlet test` as a user types it: exit codes, what is said, and the forms for programs. Nothing runs; no privilege is needed.
#![allow(clippy::unwrap_used)]

#[path = "common/directory.rs"]
mod directory;
#[path = "common/typed.rs"]
mod typed;

use std::path::Path;
use std::process::Output;

use directory::Directory;
use serde_json::Value;

fn podlet(words: &[&str]) -> Output {
    typed::podlet(words, "")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const FAILING: &str = "apiVersion: podlet.dev/v1alpha1
kind: Scenario
metadata: {name: crash <1> & \"2\"}
spec:
  pod: {metadata: {name: web}, spec: {containers: [{name: app, image: x}]}}
  actors: {app: {exit: 1@2s}}
  asserts:
  - {at: 1s, state: Running}
  - {at: 8s, state: Running}
";

#[test]
fn the_examples_pass() {
    let output = podlet(&["test", "examples/scenarios"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    assert!(out(&output).contains(": all passed; "), "{}", out(&output));
    assert!(!out(&output).contains("note:"), "{}", out(&output));
}

/// What the tests of Kubernetes itself play on a cluster, and what their tables say of a kubelet.
#[test]
fn the_cases_of_kubernetes_own_tests_hold() {
    let output = podlet(&["test", "tests/data/kubernetes"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    assert_eq!(err(&output), "");
    assert!(!out(&output).contains("note:"), "{}", out(&output));
}

#[test]
fn a_failure_tells_where_what_and_by_which_rule() {
    let directory = Directory::new("scenarios-failure");
    let file = directory.file("crash.yaml", FAILING);
    let output = podlet(&["test", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let text = out(&output);
    for told in [
        "✗ crash <1> & \"2\" 2 assertions, 8s".to_owned(),
        format!("{}:9:5: spec.asserts[1]", file.display()),
        "- {at: 8s, state: Running}".to_owned(),
        "at 8s: app is Waiting (CrashLoopBackOff)".to_owned(),
        "by R-4.4-b (backoff=10s wait=10s):".to_owned(),
        "a container is not started: CrashLoopBackOff".to_owned(),
        "app        Exited code 1".to_owned(),
        "1 scenario, 2 assertions: 1 failed; 8s of virtual time in".to_owned(),
    ] {
        assert!(text.contains(&told), "{told}\n{text}");
    }
}

#[test]
fn programs_read_json_tap_and_junit() {
    let directory = Directory::new("scenarios-forms");
    let file = directory.file("crash.yaml", FAILING);
    let name = file.to_str().unwrap();
    let report: Value = serde_json::from_slice(&podlet(&["test", name, "-o", "json"]).stdout).unwrap();
    assert_eq!((&report["passed"], &report["failed"]), (&Value::from(false), &Value::from(1)));
    let scenario = &report["scenarios"][0];
    assert_eq!(scenario["assertions"][0]["passed"], true);
    assert_eq!(scenario["assertions"][1]["found"], "app is Waiting (CrashLoopBackOff)");
    assert_eq!(scenario["assertions"][1]["decided"]["rule"], "R-4.4-b");
    assert!(scenario["timeline"].as_array().unwrap().len() > 10);

    let tap = out(&podlet(&["test", name, "-o", "tap"]));
    assert!(tap.starts_with("TAP version 14\n1..1\n"), "{tap}");
    assert!(tap.contains("    ok 1 - {at: 1s, state: Running}\n    not ok 2 - {at: 8s, state: Running}\n"), "{tap}");
    assert!(tap.ends_with("not ok 1 - crash <1> & \"2\"\n"), "{tap}");

    let junit = out(&podlet(&["test", name, "-o", "junit"]));
    assert!(junit.contains("<testsuites name=\"podlet test\" tests=\"2\" failures=\"1\" errors=\"0\">"), "{junit}");
    assert!(junit.contains("name=\"crash &lt;1&gt; &amp; &quot;2&quot;\""), "{junit}");
    assert!(junit.contains("<failure message=\"app is Waiting (CrashLoopBackOff)\""), "{junit}");
}

#[test]
fn a_bad_file_is_2_and_told_with_its_place() {
    let directory = Directory::new("scenarios-bad");
    let file =
        directory.file("bad.yaml", &FAILING.replace("state: Running}\n  - {at: 8s", "stat: Running}\n  - {at: 8s"));
    let output = podlet(&["test", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let told = format!("{}:8:14: spec.asserts[0].stat: unknown field (did you mean \"state\"?)", file.display());
    assert!(err(&output).contains(&told), "{}", err(&output));
    assert_eq!(out(&output), "");

    let pod = directory.file(
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: b}]}\n",
    );
    for words in [
        vec!["test", "nosuch.yaml"],
        vec!["test", pod.to_str().unwrap()],
        vec!["test", "examples/scenarios", "--run", "nosuch"],
        vec!["test", "examples/scenarios", "--matrix", "restartPolicy"],
        vec!["test", "examples/scenarios", "--matrix", "restartPolicy=Sometimes"],
        vec!["test", "src"],
    ] {
        let output = podlet(&words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", err(&output));
        assert!(!err(&output).is_empty(), "{words:?}");
    }
}

#[test]
fn a_file_without_a_scenario_is_passed_over_in_a_directory_and_refused_where_it_is_named() {
    let directory = Directory::new("scenarios-beside");
    let file = directory.file("crash.yaml", &FAILING.replace("  - {at: 8s, state: Running}\n", ""));
    let pod = directory.file(
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: b}]}\n",
    );
    let whole = podlet(&["test", file.parent().unwrap().to_str().unwrap()]);
    assert_eq!((whole.status.code(), err(&whole).as_str()), (Some(0), ""), "{}", out(&whole));
    let named = podlet(&["test", file.to_str().unwrap(), pod.to_str().unwrap()]);
    assert_eq!((named.status.code(), out(&named).as_str()), (Some(2), ""));
    for told in [format!("{} holds no scenario", pod.display()), "spec: {pod: pod.yaml}".to_owned()] {
        assert!(err(&named).contains(&told), "{told}\n{}", err(&named));
    }
}

#[test]
fn a_scenario_that_asserts_nothing_passes_and_is_said_to() {
    let directory = Directory::new("scenarios-nothing");
    let text = FAILING.split("  asserts:").next().unwrap().replace("crash <1> & \"2\"", "idle");
    let file = directory.file("idle.yaml", &text);
    let told = format!("Note: {}: idle asserts nothing, and so passes whatever its pod does", file.display());
    for form in [&["-o", "json"][..], &["-o", "tap"], &[]] {
        let output = podlet(&[&["test", file.to_str().unwrap()], form].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert!(err(&output).contains(&told), "{}", err(&output));
    }
    let quiet = podlet(&["test", "--quiet", file.to_str().unwrap()]);
    assert_eq!((quiet.status.code(), err(&quiet).as_str()), (Some(0), ""));
}

#[test]
fn a_matrix_on_the_command_line_makes_variants() {
    let directory = Directory::new("scenarios-matrix");
    let scenario = FAILING.replace("  - {at: 8s, state: Running}\n", "");
    let file = directory.file("crash.yaml", &scenario);
    let words = ["test", file.to_str().unwrap(), "--matrix", "restartPolicy=Always,OnFailure,Never"];
    let output = podlet(&words);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    for policy in ["Always", "OnFailure", "Never"] {
        assert!(out(&output).contains(&format!("(restartPolicy={policy})")), "{}", out(&output));
    }
}

#[test]
fn the_schema_is_one_and_editors_find_every_field_in_it() {
    let output = podlet(&["test", "--schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["$defs"]["Assert"]["properties"]["startsAt"]["description"].is_string());
    let there = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/simulation/scenario/scenario.schema.json");
    assert_eq!(out(&output), std::fs::read_to_string(there).unwrap());
}

#[test]
fn standard_input_and_quiet() {
    let good = FAILING.replace("  - {at: 8s, state: Running}\n", "");
    let output = typed::podlet(&["test", "-", "--quiet"], &good);
    assert_eq!((output.status.code(), out(&output)), (Some(0), String::new()));
}
