//! What a real pod's journal is good for: `replay`, `record`, `what-if`, `timeline` and `why`, on real runs with crashes,
//! probes, deletions and killed supervisors.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::Value;

use common::kills::{self, Part};
use common::podlet::{Podlet, container, text, until};
use podlet::pod::input::Input;
use podlet::recorded::replay::{Care, go_over};
use podlet::supervisor::history::History;

/// A container whose liveness fails after a while, one that crashes, one that is never ready.
const TROUBLED: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: troubled}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: sick
    image: podlet.local/actor
    args: [serve-http, "8080", fail-after=3s]
    livenessProbe: {httpGet: {port: 8080}, periodSeconds: 1, failureThreshold: 2}
    lifecycle: {postStart: {exec: {command: [/actor, print, hello]}}}
  - name: crashes
    image: podlet.local/actor
    args: [print, "about to fail", ",", sleep, 500ms, ",", exit, "3"]
  - name: unready
    image: podlet.local/actor
    args: ["on", TERM, exit, "7", after, 100ms, ",", sleep, forever]
    readinessProbe: {tcpSocket: {port: 9}, periodSeconds: 1}
"#;

fn path(podlet: &Podlet, name: &str) -> PathBuf {
    podlet.root.join(name)
}

/// `podlet WORDS`, its exit code and what it printed.
fn outcome(podlet: &Podlet, words: &[&str]) -> (i32, String, String) {
    let output = podlet.run(words);
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// An input with each leaf of its fact changed a little, and with another time; those that are still inputs. So that a long run
/// does not take for ever, of each leaf no more than a few are tried.
fn flipped(input: &Input, tried: &mut BTreeMap<String, usize>) -> Vec<Input> {
    const MOST: usize = 3;
    let json = serde_json::to_value(input).unwrap();
    let mut later = input.clone();
    later.at.wall.0 += 1;
    let mut flipped = vec![later];
    let mut paths = Vec::new();
    leaves(&json["fact"], String::from("/fact"), &mut paths);
    for at in paths {
        let mut whole = json.clone();
        let leaf = whole.pointer_mut(&at).unwrap();
        *leaf = match &*leaf {
            Value::Bool(is) => (!is).into(),
            Value::Number(number) => number.as_i64().map_or(Value::Null, |number| (number + 1).into()),
            Value::String(word) => format!("{word}x").into(),
            _ => continue,
        };
        let so_often = tried.entry(at).or_default();
        if let (Ok(input), true) = (serde_json::from_value(whole), *so_often < MOST) {
            *so_often += 1;
            flipped.push(input);
        }
    }
    flipped
}

fn leaves(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| leaves(value, format!("{at}/{}", name.replace('/', "~1")), into));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| leaves(value, format!("{at}/{index}"), into));
        }
        Value::Null => {}
        _ => into.push(at),
    }
}

fn line(json: &[u8]) -> Vec<u8> {
    let mut line = format!("1 {} {:08x} ", json.len(), crc32fast::hash(json)).into_bytes();
    line.extend_from_slice(json);
    line.push(b'\n');
    line
}

/// Every input of a saved run, changed: no such journal may agree.
fn every_flipped_input_disagrees(saved: &Path) {
    let history = History::open(saved).unwrap();
    let agrees = |history: &History| go_over(history, Care::Compare, &mut |_| {}).difference.is_none();
    assert!(agrees(&history));
    let (mut inputs, mut tried) = (0, BTreeMap::new());
    for part in 0..history.parts.len() {
        for entry in 0..history.parts[part].entries.len() {
            let Some(input) = history.parts[part].entries[entry].input.clone() else { continue };
            inputs += 1;
            // What comes later cannot make up for it.
            let mut prefix = history.clone();
            prefix.parts.truncate(part + 1);
            prefix.parts[part].entries.truncate(entry + 1);
            for other in flipped(&input, &mut tried) {
                prefix.parts[part].entries[entry].input = Some(other.clone());
                assert!(!agrees(&prefix), "not noticed: {other:?} instead of {input:?}");
            }
        }
    }
    assert!(inputs > 20 && tried.len() > 20, "{inputs} inputs: that was no run");
}

#[test]
fn a_real_run_is_decided_again_as_it_was_and_no_flipped_input_is_believed() {
    let podlet = Podlet::new();
    podlet.apply(TROUBLED);
    let pod = podlet.wait("troubled", |pod| container(pod, "crashes")["restartCount"].as_i64() >= Some(1));
    let uid = kills::uid(&pod);
    for restarts in [1, 2] {
        kills::send(Part::Supervisor.wait(&uid), Signal::SIGKILL);
        podlet.wait("troubled", |pod| container(pod, "sick")["restartCount"].as_i64() >= Some(restarts));
    }
    // A change in place, and a restart that is asked for.
    podlet.succeed(&["label", "pod", "troubled", "changed=yes"]);
    podlet.succeed(&["restart", "troubled", "-c", "unready"]);
    kills::send(Part::Supervisor.wait(&uid), Signal::SIGKILL);
    podlet.wait("troubled", |pod| container(pod, "unready")["restartCount"].as_i64() >= Some(1));
    let saved = path(&podlet, "troubled.run");
    let saved_word = saved.to_str().unwrap();
    let (code, told, error) = outcome(&podlet, &["replay", "troubled", "--save", saved_word]);
    assert_eq!((code, error.as_str()), (0, ""), "{told}");
    assert!(told.contains("decided again, all the same"), "{told}");
    // The deletion while a supervisor is killed, too: the run is read up to the end.
    let mut delete = podlet.command(&["delete", "pod", "troubled"]).spawn().unwrap();
    until("the deletion is heard", || {
        let output = podlet.run(&["get", "pod", "troubled", "-o", "jsonpath={.metadata.deletionTimestamp}"]);
        !output.stdout.is_empty() || !output.status.success()
    });
    if let Some(pid) = Part::Supervisor.pid(&uid) {
        kills::send(pid, Signal::SIGKILL);
    }
    let (code, told, _) = outcome(&podlet, &["replay", "troubled"]);
    assert!(code == 0 || podlet.run(&["get", "pod", "troubled"]).status.code() == Some(1), "{told}");
    assert!(delete.wait().unwrap().success());

    let (code, told, _) = outcome(&podlet, &["replay", saved_word, "-o", "json"]);
    let data: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &data["verdict"], &data["fromAdmission"]), (0, &"same".into(), &true.into()), "{told}");
    every_flipped_input_disagrees(&saved);
    // And so the command says, with the first difference.
    let text = std::fs::read_to_string(&saved).unwrap();
    let exit = text.lines().find(|line| line.contains("ContainerExited")).unwrap();
    let json: Value = serde_json::from_str(exit.splitn(4, ' ').nth(3).unwrap()).unwrap();
    let mut changed = json.clone();
    changed["input"]["fact"]["ContainerExited"]["exit"] = serde_json::json!({"Code": 0});
    let changed = text.replace(&format!("{exit}\n"), &String::from_utf8(line(changed.to_string().as_bytes())).unwrap());
    std::fs::write(&saved, changed).unwrap();
    let (code, told, _) = outcome(&podlet, &["replay", saved_word]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("decides otherwise") && told.contains("ContainerExited"), "{told}");
    podlet.finish();
}

#[test]
fn a_pod_that_was_stopped_and_set_going_again_is_replayed_as_one_run() {
    let podlet = Podlet::new();
    podlet.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: again}\nspec:\n  containers:\n  - {name: app, image: podlet.local/actor, args: [sleep, forever]}\n",
    );
    podlet.wait("again", |pod| container(pod, "app")["ready"] == true);
    for _ in 0..2 {
        podlet.succeed(&["stop", "again"]);
        until("it is stopped", || podlet.pod("again")["status"]["reason"] == "Stopped");
        podlet.succeed(&["start", "again"]);
        podlet.wait("again", |pod| container(pod, "app")["ready"] == true);
    }
    let (code, told, _) = outcome(&podlet, &["replay", "again", "-o", "json"]);
    let data: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &data["fromAdmission"]), (0, &true.into()), "{told}");
    assert_eq!(data["gaps"], serde_json::json!([]), "{told}");
    let lanes: Value = serde_json::from_str(&podlet.succeed(&["timeline", "again", "-o", "json"])).unwrap();
    let marks = lanes["runs"][0]["containers"][0]["marks"].as_array().unwrap();
    assert_eq!(marks.iter().filter(|mark| mark["what"] == "start").count(), 3, "{lanes:#}");
    podlet.finish();
}

#[test]
fn a_real_run_becomes_a_scenario_that_passes_and_fails_with_another_manifest() {
    let podlet = Podlet::new();
    podlet.apply(TROUBLED);
    podlet.wait("troubled", |pod| {
        container(pod, "sick")["restartCount"].as_i64() >= Some(1)
            && container(pod, "sick")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    });
    let scenario = path(&podlet, "troubled.yaml");
    let word = scenario.to_str().unwrap();
    let (code, _, error) = outcome(&podlet, &["record", "troubled", "-o", word]);
    let written = std::fs::read_to_string(&scenario).unwrap();
    assert_eq!(code, 0, "{error}\n{written}\n{}", podlet.succeed(&["timeline", "troubled", "--events"]));
    let (code, told, error) = outcome(&podlet, &["test", word]);
    assert_eq!(code, 0, "{told}{error}\n{written}");
    // With more patience it would not have been restarted then.
    assert!(written.contains("failureThreshold: 2\n"), "{written}");
    let other = path(&podlet, "patient.yaml");
    std::fs::write(&other, written.replace("failureThreshold: 2\n", "failureThreshold: 1000\n")).unwrap();
    let (code, told, _) = outcome(&podlet, &["test", other.to_str().unwrap()]);
    assert_eq!(code, 1, "{told}");
    // What-if says the same of the pod itself.
    let patience = "spec.containers[sick].livenessProbe.failureThreshold=1000";
    let data: Value =
        serde_json::from_str(&podlet.succeed(&["what-if", "troubled", "--set", patience, "-o", "json"])).unwrap();
    let row = |about: &str, what: &str| {
        let rows = data["differences"].as_array().unwrap();
        rows.iter().find(|row| row["about"] == about && row["what"] == what).cloned().unwrap()
    };
    assert_ne!(row("sick", "restarts")["recorded"], "0");
    assert_eq!(row("sick", "restarts")["whatIf"], "0");
    assert_eq!(row("crashes", "restarts")["same"], true, "{data:#}");
    let assumed = data["assumed"].to_string();
    assert!(assumed.contains("sick: of its starts these were stopped then: 1 after"), "{assumed}");
    let patch = path(&podlet, "patch.yaml");
    std::fs::write(&patch, "spec: {restartPolicy: Never}\n").unwrap();
    let told = podlet.succeed(&["what-if", "troubled", "-f", patch.to_str().unwrap(), "--width", "80"]);
    assert!(told.contains("as recorded") && told.contains("what if") && told.contains("RECORDED"), "{told}");
    assert!(podlet.fail(&["what-if", "troubled", "--set", "spec.containers[9].image=x"]).contains("no such item"));
    assert!(podlet.fail(&["what-if", "troubled"]).contains("--set"));
    podlet.finish();
}

const DONE: &str = "apiVersion: v1
kind: Pod
metadata: {name: done}
spec:
  terminationGracePeriodSeconds: 10
  volumes: [{name: v, emptyDir: {sizeLimit: 1Mi}}]
  containers:
  - name: app
    image: podlet.local/host
    command: [sh, -c, \"trap 'exit 0' TERM; while :; do sleep 0.1; done\"]
    volumeMounts: [{name: v, mountPath: /v}]
    resources: {limits: {memory: 128Mi}, requests: {memory: 64Mi}}
";

#[test]
fn what_users_did_and_what_was_too_much_are_recorded() {
    let podlet = Podlet::new();
    podlet.apply(DONE);
    let runs = |restarts: i64| {
        podlet.wait("done", |pod| {
            let app = container(pod, "app");
            app["state"]["running"].is_object() && app["restartCount"] == restarts
        });
    };
    runs(0);
    podlet.succeed(&["restart", "done", "-c", "app"]);
    runs(1);
    podlet.succeed(&["set", "resources", "pod/done", "-c", "app", "--limits=memory=96Mi"]);
    podlet.wait("done", |pod| container(pod, "app")["resources"]["limits"]["memory"] == "96Mi");
    podlet.succeed(&["debug", "done", "--image=podlet.local/host", "-c", "eye", "--", "sleep", "1"]);
    podlet.wait("done", |pod| pod["status"]["ephemeralContainerStatuses"][0]["state"]["terminated"].is_object());
    podlet.succeed(&["exec", "done", "--", "dd", "if=/dev/zero", "of=/v/file", "bs=1048576", "count=3"]);
    podlet.wait("done", |pod| pod["status"]["reason"] == "Evicted");
    let scenario = path(&podlet, "done.yaml");
    let (code, _, error) = outcome(&podlet, &["record", "done", "-o", scenario.to_str().unwrap()]);
    let written = std::fs::read_to_string(&scenario).unwrap();
    assert_eq!(code, 0, "{error}\n{written}\n{}", podlet.succeed(&["timeline", "done", "--events"]));
    assert!(!error.contains("left out"), "{error}");
    for word in ["restart: app", "memory: 96Mi", "name: eye", "volume: v"] {
        assert!(written.contains(word), "{word}\n{written}");
    }
    podlet.finish();
}

#[test]
fn what_kept_the_first_sandbox_waiting_is_recorded() {
    let podlet = Podlet::new();
    let late = path(&podlet, "late");
    podlet.apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: late}}\nspec:\n  volumes: [{{name: v, hostPath: {{path: {}, type: \
         Directory}}}}]\n  containers: [{{name: app, image: podlet.local/actor, args: [sleep, forever]}}]\n",
        late.display()
    ));
    until("the volume has failed twice", || {
        let events: Value = serde_json::from_str(&podlet.succeed(&["get", "events", "-o", "json"])).unwrap();
        let failed = |event: &&Value| event["reason"] == "FailedMount";
        let counts = events["items"].as_array().unwrap().iter().filter(failed).map(|event| event["count"].as_i64());
        counts.map(|count| count.unwrap_or(1)).sum::<i64>() >= 2
    });
    std::fs::create_dir(&late).unwrap();
    podlet.wait("late", |pod| container(pod, "app")["state"]["running"].is_object());
    let scenario = path(&podlet, "late.yaml");
    let word = scenario.to_str().unwrap();
    let (code, _, error) = outcome(&podlet, &["record", "late", "-o", word]);
    let written = std::fs::read_to_string(&scenario).unwrap();
    assert_eq!(code, 0, "{error}\n{written}");
    assert!(written.contains("at: 0s\n") && written.contains("volumeError:"), "{written}");
    let (code, told, error) = outcome(&podlet, &["test", word]);
    assert_eq!(code, 0, "{told}{error}\n{written}");
    podlet.finish();
}

#[test]
fn why_says_state_rule_evidence_and_what_comes_next() {
    let podlet = Podlet::new();
    podlet.apply(TROUBLED);
    podlet.wait("troubled", |pod| container(pod, "crashes")["state"]["waiting"]["reason"] == "CrashLoopBackOff");
    let told = podlet.succeed(&["why", "troubled", "-c", "crashes"]);
    assert!(told.contains("crashes: waiting: CrashLoopBackOff") || told.contains("crashes: running"), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
    podlet.wait("troubled", |pod| container(pod, "unready")["state"]["running"].is_object());
    let why = || -> Value { serde_json::from_str(&podlet.succeed(&["why", "troubled", "-o", "json"])).unwrap() };
    let of = |why: &Value, name: &str| {
        why["containers"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap()
    };
    until("the crashed one waits in its back-off, of which is said how long", || {
        let crashes = of(&why(), "crashes");
        let next = &crashes["next"][0];
        crashes["rule"]["name"] == "R-4.4-b"
            && next["rule"]["name"] == "R-4.4-c"
            && next["what"].as_str().is_some_and(|what| what.contains("back-off, of"))
            && next["inSeconds"].as_f64().is_some_and(|left| left <= 300.0)
    });
    until("the probe that fails is named", || {
        let unready = of(&why(), "unready");
        unready["state"] == "running, not ready" && unready["because"].to_string().contains("readiness probe: failed")
    });
    assert!(of(&why(), "unready")["seen"].to_string().contains("ProbeFailed"));
    // describe has the cause of what is dead, and its last words, below kubectl's lines.
    until("describe says why", || {
        let told = podlet.succeed(&["describe", "pod", "troubled"]);
        let why = told.split_once("\nWhy:\n").map(|(_, why)| why).unwrap_or_default();
        why.contains("  crashes:\n") && why.contains("R-4.4-b") && why.contains("Last log: about to fail")
    });
    assert!(podlet.fail(&["why", "troubled", "-c", "none"]).contains("none"));
    assert!(podlet.fail(&["why", "nobody"]).contains("NotFound"));
    // What cannot be configured, and what waits for it.
    podlet.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: pending}\nspec:\n  initContainers:\n  - {name: setup, image: podlet.local/actor, envFrom: [{configMapRef: {name: missing}}]}\n  containers:\n  - {name: app, image: podlet.local/actor}\n",
    );
    podlet.wait("pending", |pod| {
        pod["status"]["initContainerStatuses"][0]["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    });
    let told = podlet.succeed(&["why", "pending"]);
    assert!(told.contains("R-3.2-a") && told.contains("missing"), "{told}");
    assert!(told.contains("it is started when setup has ended with exit code 0"), "{told}");
    podlet.finish();
}

#[test]
fn a_pods_lanes_fit_the_screen_and_are_to_be_had_as_data_and_picture() {
    let podlet = Podlet::new();
    podlet.apply(TROUBLED);
    podlet.wait("troubled", |pod| container(pod, "sick")["restartCount"].as_i64() >= Some(1));
    let told = podlet.succeed(&["timeline", "troubled", "--width", "80", "--ascii"]);
    assert!(told.starts_with("pod/troubled, from "), "{told}");
    for name in ["sick", "crashes", "unready"] {
        assert!(told.lines().any(|line| line.starts_with(name)), "{told}");
    }
    assert!(podlet.succeed(&["timeline", "troubled", "-o", "svg"]).starts_with("<svg "));
    let lanes: Value = serde_json::from_str(&podlet.succeed(&["timeline", "pod/troubled", "-o", "json"])).unwrap();
    let containers = lanes["runs"][0]["containers"].as_array().unwrap();
    let sick = containers.iter().find(|lane| lane["name"] == "sick").unwrap();
    let marks = sick["marks"].as_array().unwrap();
    let count = |what: &str| marks.iter().filter(|mark| mark["what"] == what).count();
    assert!(count("start") >= 2 && count("exit") >= 1 && count("probeFailed") >= 2 && count("hook") >= 2, "{sick:#}");
    let short: Value =
        serde_json::from_str(&podlet.succeed(&["timeline", "troubled", "--last", "1s", "-o", "json"])).unwrap();
    assert!(short["runs"][0]["seconds"].as_f64().unwrap() <= 1.0);
    assert!(podlet.succeed(&["timeline", "troubled", "--events"]).contains("R-4.3-b"));
    podlet.finish();
}
