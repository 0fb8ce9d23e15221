//! `podlet explore` as a user types it. Nothing runs; no privilege is needed.
#![allow(clippy::unwrap_used)]

#[path = "common/directory.rs"]
mod directory;

use std::path::Path;
use std::process::{Command, Output};

use directory::Directory;
use serde_json::Value;

fn podlet(directory: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_podlet")).args(words).env_clear().current_dir(directory).output().unwrap()
}

fn out(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: app
    image: a
    livenessProbe: {httpGet: {port: 80}, periodSeconds: 5}
    readinessProbe: {httpGet: {port: 80}, periodSeconds: 5}
";

const SMALL: [&str; 4] = ["--budget", "100", "--for", "3m"];

#[test]
fn a_pod_as_it_is_breaks_nothing_and_says_what_was_reached() {
    let directory = Directory::new("explore-sound");
    directory.file("pod.yaml", POD);
    let text = out(&podlet(&directory.0, &[&["explore", "pod.yaml"][..], &SMALL].concat()), 0);
    assert!(text.starts_with("100 sequences of faults (seed 1): nothing found; "), "{text}");
    assert!(text.contains(" states of the pod and ") && text.ends_with(" rules\n"), "{text}");

    let words = [&["explore", "pod.yaml", "-o", "json"][..], &SMALL].concat();
    let report: Value = serde_json::from_str(&out(&podlet(&directory.0, &words), 0)).unwrap();
    assert_eq!((&report["passed"], &report["sequences"]), (&Value::from(true), &Value::from(100)));
    let rules = report["rules"].as_array().unwrap();
    assert!(rules.contains(&Value::from("R-4.4-a")), "{rules:?}");
    assert!(report["rulesNotReached"].as_array().unwrap().iter().all(|rule| !rules.contains(rule)));
}

#[test]
fn what_is_found_is_a_file_that_fails_the_same_way() {
    let directory = Directory::new("explore-found");
    directory.file("pod.yaml", POD);
    let stated = ["--property", "{never: {restarts: {ge: 2}}}", "--property", "ready-again=8s"];
    std::fs::create_dir(directory.0.join("found")).unwrap();
    let words = [&["explore", "pod.yaml", "-o", "found/all.yaml"][..], &stated, &SMALL].concat();
    let text = out(&podlet(&directory.0, &words), 1);
    assert!(text.contains("written to found/all.yaml; podlet test found/all.yaml fails the same way"), "{text}");
    let written = std::fs::read_to_string(directory.0.join("found/all.yaml")).unwrap();
    assert_eq!(written.matches("\n  pod: ../pod.yaml\n").count(), 2, "{written}");

    let report = out(&podlet(&directory.0, &["test", "found/all.yaml"]), 1);
    let violations = |text: &str| -> Vec<String> {
        text.lines().map(str::trim).filter(|line| line.starts_with("at ")).map(str::to_owned).collect()
    };
    assert_eq!(violations(&text), violations(&report), "{text}\n{report}");
    assert_eq!(violations(&text).len(), 2, "{text}");

    // Two crashes are the least that restarts twice.
    assert!(written.contains("Found in sequence "), "{written}");
    let first = written.split("---\n").find(|text| text.contains("never")).unwrap();
    assert_eq!(first.lines().filter(|line| line.starts_with("  - {at: ")).count(), 2, "{first}");
}

#[test]
fn a_seed_is_a_seed_on_any_number_of_threads() {
    let directory = Directory::new("explore-seed");
    directory.file("pod.yaml", POD);
    let told = |seed: &str, threads: &str| {
        let stated = ["--property", "{never: {restarts: {ge: 2}}}", "--seed", seed, "--threads", threads, "-o", "json"];
        let words = [&["explore", "pod.yaml"][..], &stated, &SMALL].concat();
        let mut report: Value = serde_json::from_str(&out(&podlet(&directory.0, &words), 1)).unwrap();
        report.as_object_mut().unwrap().remove("seconds");
        report
    };
    assert_eq!(told("7", "1"), told("7", "3"));
    assert_ne!(told("7", "1")["scenario"], told("8", "1")["scenario"]);
}

#[test]
fn a_scenario_is_explored_with_its_actors_and_what_it_asserts_for_all_times() {
    let directory = Directory::new("explore-scenario");
    directory.file("pod.yaml", POD);
    let file = "apiVersion: podlet.dev/v1alpha1
kind: Scenario
spec:
  pod: pod.yaml
  actors: {app: {exit: 3@20s}}
  asserts:
  - {at: 1s, ready: false}
  - {never: {lastExitCode: 3}}
";
    directory.file("scenario.yaml", file);
    let text = out(&podlet(&directory.0, &[&["explore", "scenario.yaml"][..], &SMALL].concat()), 1);
    assert!(text.contains("    app: {exit: 3@20s}\n") && text.contains("shrunk to 0 faults"), "{text}");

    // Of a matrix the first pod, and what is demanded of it.
    let matrix = "  matrix: {restartPolicy: [Always, Never]}\n  asserts:\n  \
                  - {only: {restartPolicy: [Never]}, never: {phase: Running}}\n  \
                  - {only: {restartPolicy: [Always]}, never: {restarts: {gt: 1000}}}\n";
    let matrix = format!("{}{matrix}", file.split("  asserts:").next().unwrap());
    directory.file("matrix.yaml", &matrix);
    out(&podlet(&directory.0, &[&["explore", "matrix.yaml"][..], &SMALL].concat()), 0);
    directory.file("wrong.yaml", &matrix.replace("only: {restart", "only: {rstart"));
    let output = podlet(&directory.0, &["explore", "wrong.yaml"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("the matrix has no \"rstartPolicy\" (did you mean \"restartPolicy\"?)"), "{text}");
}

#[test]
fn what_cannot_be_explored_is_told() {
    let directory = Directory::new("explore-bad");
    directory.file("pod.yaml", POD);
    directory.file("wrong.yaml", &POD.replace("image", "imagee"));
    directory.file("two.yaml", &format!("{POD}---\n{}", POD.replace("web", "other")));
    for (words, told) in [
        (vec!["nosuch.yaml"], "nosuch.yaml"),
        (vec!["wrong.yaml"], "did you mean \"image\"?"),
        (vec!["two.yaml"], "the file holds 2 Pods"),
        (vec!["pod.yaml", "--property", "ready"], "is no property"),
        (vec!["pod.yaml", "--property", "{never: {phse: Failed}}"], "did you mean \"phase\"?"),
        (vec!["pod.yaml", "--faults", "9-5"], "write 5 or 5-8"),
        (vec!["pod.yaml", "--for", "soon"], "--for soon"),
        (vec!["pod.yaml", "-o", "a.yaml", "-o", "b.yaml"], "there is one file already"),
    ] {
        let output = podlet(&directory.0, &[vec!["explore"], words.clone()].concat());
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(told), "{words:?}: {text}");
    }
    let text = out(&podlet(&directory.0, &["explore", "--properties"]), 0);
    assert_eq!(text.lines().count(), 12, "{text}");
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/testing.md")).unwrap();
    for line in text.lines() {
        let (name, what) = line.split_once("  ").unwrap();
        let row = format!("| `{name}` | {} |", what.trim().replace("`", ""));
        assert!(guide.replace("`within`", "within").contains(&row), "docs/testing.md lacks {row}");
    }
}
