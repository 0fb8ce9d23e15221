//! `podlet simulate` and `podlet timeline` as a user types them. Nothing runs; no privilege is needed.
#![allow(clippy::unwrap_used)]

#[path = "common/typed.rs"]
mod typed;

use std::process::Output;

use serde_json::Value;

const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: app, image: a}]}
";

fn podlet(words: &[&str]) -> Output {
    typed::podlet(words, POD)
}

fn out(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_crash_loop_is_drawn_with_what_happens_and_what_comes_next() {
    let text = out(&podlet(&["simulate", "-", "--exit", "1@2s", "--for", "10m", "--width", "60"]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "web, restartPolicy Always");
    assert!(lines[1].starts_with("      |0s") && lines[1].contains("|2m"), "{}", lines[1]);
    assert_eq!(lines[2].chars().filter(|c| *c == '░').count(), 54, "{}", lines[2]);
    assert!(lines.contains(&"app: 7 starts; at the end back-off (CrashLoopBackOff), 24s left"), "{text}");
    assert!(lines.contains(&"    14.000  app        Starting instance 3  R-4.4-c attempt=2 exitCode=1 nextBackoff=20s sinceExit=10s try=1"), "{text}");
    assert!(lines.iter().take(7).all(|line| line.chars().count() <= 140), "{text}");
}

#[test]
fn ascii_is_ascii_and_fits_its_width() {
    let text =
        out(&podlet(&["timeline", "examples/scenarios/shutdown.yaml", "--run", "deaf", "--ascii", "--width", "70"]));
    assert!(text.is_ascii(), "{text}");
    let lanes: Vec<&str> = text.lines().skip(1).take(5).collect();
    assert!(lanes.iter().all(|line| line.len() <= 70), "{lanes:?}");
    assert!(lanes.iter().any(|line| line.starts_with("proxy  ==#")), "{lanes:?}");
}

#[test]
fn lanes_are_data_too() {
    let words = [
        "simulate",
        "-",
        "--exit",
        "app=1@2s",
        "--exit",
        "app=OOM@3s",
        "--exit",
        "forever",
        "--delete",
        "1m",
        "-o",
        "json",
    ];
    let found: Value = serde_json::from_str(&out(&podlet(&words))).unwrap();
    let lane = &found["runs"][0]["containers"][0];
    assert_eq!(lane["name"], "app");
    let stretches: Vec<String> = lane["stretches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stretch| format!("{} {}", stretch["what"].as_str().unwrap(), stretch["from"]))
        .collect();
    assert_eq!(stretches, ["ready 0.0", "ready 2.0", "backOff 5.0", "ready 15.0", "ended 60.0"]);
    assert_eq!(lane["stretches"][2]["until"], 15.0);
    let exits = lane["marks"].as_array().unwrap().iter().filter(|mark| mark["what"] == "exit").count();
    assert_eq!(exits, 3);
}

#[test]
fn a_picture_stands_alone() {
    let svg = out(&podlet(&["simulate", "-", "--exit", "1@2s", "-o", "svg"]));
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.ends_with("</svg>\n"));
    assert!(
        svg.contains("<title>backOff CrashLoopBackOff: 4s to 14s until 14s</title>")
            || svg.contains("backOff CrashLoopBackOff: 4s to 14s"),
        "{svg}"
    );
    for outside in ["<script", "href", "<image", "url("] {
        assert!(!svg.contains(outside), "{outside}");
    }
    let several = podlet(&["timeline", "examples/scenarios/shutdown.yaml", "-o", "svg"]);
    assert_eq!(several.status.code(), Some(1));
}

#[test]
fn others_rules_stand_beside_the_kubelets() {
    let text = out(&podlet(&["simulate", "-", "--exit", "1@1s", "--for", "1m", "--as", "podman,docker,systemd"]));
    let cells = |name: &str| {
        let line = text.lines().find(|line| line.split_whitespace().nth(1) == Some(name)).unwrap();
        line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(cells("kubelet")[3..5], ["3", "0s 1s 12s 33s"]);
    assert_eq!(cells("podman")[3..5], ["60", "0s 1s 2s 3s 4s 5s …"]);
    assert_eq!(cells("docker")[4], "0s 1.1s 2.3s 3.7s 5.5s 8.1s …");
    assert_eq!(cells("systemd")[3..5], ["4", "0s 1.1s 2.2s 3.3s 4.4s, gives up"]);
    assert!(text.contains("docker Engine 23: moby restartmanager/restartmanager.go"), "{text}");
}

#[test]
fn what_cannot_be_simulated_is_told() {
    for (words, told) in [
        (vec!["simulate", "-", "--exit", "db=1"], "--exit db=1: the pod has no container \"db\""),
        (
            vec!["simulate", "-", "--exit", "1@1s", "--exit", "x@1s"],
            "--exit x@1s: \"x@1s\": write a code or a signal and a time: 1@2s, SEGV@1m",
        ),
        (
            vec!["simulate", "-", "--fault", "{at: 1s, kil: app}"],
            "--fault '{at: 1s, kil: app}': unknown field (did you mean \"kill\"?)",
        ),
        (vec!["simulate", "-", "--for", "soon"], "--for soon: time: invalid duration"),
        (vec!["simulate", "-", "--as", "docker"], "no container ends by itself"),
        (vec!["simulate", "nosuch.yaml"], "nosuch.yaml"),
        (
            vec!["timeline", "examples/scenarios/web.yaml"],
            "there is no scenario in these files; `podlet simulate FILE`",
        ),
    ] {
        let output = podlet(&words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(told), "{words:?}: {text}");
    }
}

#[test]
fn the_pod_of_a_workload_is_simulated_and_an_init_container_without_an_end_is_told_of() {
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec:\n  template:\n    spec:\n      restartPolicy: \
               Never\n      initContainers: [{name: first, image: a}]\n      containers: [{name: app, image: a}]\n";
    let output = typed::podlet(&["simulate", "-", "--for", "10s", "--quiet"], job);
    let told = "first is an init container and runs: nothing says when it ends";
    assert!(String::from_utf8_lossy(&output.stderr).contains(told), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(out(&output).starts_with("j, restartPolicy Never\n"));
    let output = typed::podlet(&["simulate", "-", "--for", "10s", "--quiet", "--exit", "first=0"], job);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(out(&output).contains("app: 1 start; at the end ready since 0s"));
    for (manifest, told) in
        [("", "holds no Pod (nor a Deployment"), ("kind: ConfigMap\napiVersion: v1\n", "holds no Pod")]
    {
        let output = typed::podlet(&["simulate", "-"], manifest);
        assert!(String::from_utf8_lossy(&output.stderr).contains(told));
        let output = typed::podlet(&["explore", "-"], manifest);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("<stdin>:1:1: the file holds no scenario, and no Pod")
        );
    }
}
