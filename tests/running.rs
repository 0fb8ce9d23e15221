//! `podlet stop` and `podlet start`, a reboot between them, and what can be read of a pod afterwards: supervisor's log, bug
//! report.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Read;
use std::path::Path;

use common::podlet::{Podlet, container, processes_of, text, until};

/// The container's words; `BEAT` stands for those of a heartbeat.
fn pod(podlet: &Podlet, name: &str, policy: &str, arguments: &str) -> String {
    let arguments = arguments.replace("BEAT", &format!("heartbeat, /data/{name}, every=20ms"));
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: {policy}\n  \
         terminationGracePeriodSeconds: 20\n  containers:\n  - name: main\n    image: podlet.local/actor\n    \
         args: [{arguments}]\n    \
         volumeMounts: [{{name: data, mountPath: /data}}, {{name: own, mountPath: /own}}]\n  \
         volumes:\n  - name: data\n    hostPath: {{path: {}, type: DirectoryOrCreate}}\n  - name: own\n    emptyDir: {{}}\n",
        podlet.root.join("data").display()
    )
}

fn uid(podlet: &Podlet, name: &str) -> String {
    podlet.pod(name)["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// Its supervisor has heard of the start.
fn runs(pod: &serde_json::Value) -> bool {
    container(pod, "main")["state"]["running"].is_object()
}

/// Waits until the instance is there and has beaten: what its words say before that is done.
fn beats(podlet: &Podlet, name: &str, instances: usize) {
    let file = podlet.root.join("data").join(name);
    until("a heartbeat", || common::kills::heartbeats(&file).len() >= instances);
}

#[test]
fn stopped_pods_are_set_going_again_as_their_policies_say() {
    let podlet = Podlet::new();
    podlet.apply(&pod(&podlet, "always", "Always", r#"BEAT, ",", write, /own/file, kept"#));
    podlet.apply(&pod(&podlet, "on-failure", "OnFailure", r#""on", TERM, exit, "3", ",", BEAT, ",", sleep, forever"#));
    podlet.apply(&pod(&podlet, "never", "Never", r#""on", TERM, exit, "0", ",", BEAT, ",", sleep, forever"#));
    let names = ["always", "on-failure", "never"];
    names.iter().for_each(|name| beats(&podlet, name, 1));
    podlet.apply(&pod(&podlet, "crashing", "Always", r#"exit, "7""#));
    podlet.wait("crashing", |pod| container(pod, "main")["state"]["waiting"]["reason"] == "CrashLoopBackOff");
    let uids = names.map(|name| uid(&podlet, name));

    let said = podlet.succeed(&["stop", "--all"]);
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["pod/always stopped", "pod/crashing stopped", "pod/never stopped", "pod/on-failure stopped"]);
    for uid in &uids {
        until("no process of the pod is left", || processes_of(uid).is_empty());
    }
    let stopped = podlet.pod("always");
    assert_eq!(stopped["status"]["phase"], "Pending");
    assert_eq!(stopped["status"]["reason"], "Stopped");
    assert!(stopped["status"]["message"].as_str().unwrap().contains("podlet start always"));
    let main = container(&stopped, "main");
    assert_eq!((&main["ready"], &main["state"]["terminated"]["exitCode"]), (&false.into(), &0.into()));
    assert_eq!(container(&podlet.pod("on-failure"), "main")["state"]["terminated"]["exitCode"], 3);
    // It waits for no back-off any more.
    let crashed = podlet.pod("crashing");
    assert_eq!(container(&crashed, "main")["state"]["terminated"]["exitCode"], 7, "{crashed:#}");
    podlet.succeed(&["delete", "pod", "crashing"]);
    // Nothing would start this one again: it is over.
    assert_eq!(podlet.pod("never")["status"]["phase"], "Succeeded");
    assert_eq!(podlet.succeed(&["stop", "always"]), "pod/always unchanged\n");
    assert_eq!(podlet.succeed(&["stop", "--all"]), "");

    assert_eq!(podlet.succeed(&["start", "--all"]), "pod/always started\npod/on-failure started\n");
    for (name, uid_before) in names.iter().zip(&uids).take(2) {
        let again = podlet.wait(name, runs);
        assert_eq!(again["metadata"]["uid"].as_str().unwrap(), uid_before);
        assert_eq!(container(&again, "main")["restartCount"], 1, "{again:#}");
        beats(&podlet, name, 2);
    }
    let before = container(&podlet.pod("on-failure"), "main")["lastState"]["terminated"]["exitCode"].clone();
    assert_eq!(before, 3);
    assert_eq!(podlet.succeed(&["start", "always"]), "pod/always unchanged\n");

    // A stopped pod can be deleted, and one that is not there is named.
    podlet.succeed(&["stop", "pod/always"]);
    podlet.succeed(&["delete", "pod", "always"]);
    assert!(podlet.fail(&["start", "always"]).contains("pods \"always\" not found"));
    assert!(podlet.fail(&["stop"]).contains("expected 'stop POD …' or 'stop --all'"));
    podlet.finish();
}

/// What a reboot does to podlet: no process is left, the run directory is gone, the boot is another one.
fn reboot(podlet: &Podlet, uid: &str) {
    use nix::sys::signal::{Signal, kill};
    until("all processes are gone", || {
        let processes = processes_of(uid);
        for pid in &processes {
            // One that has ended meanwhile is what is wanted.
            let _ = kill(nix::unistd::Pid::from_raw(*pid), Signal::SIGKILL);
        }
        processes.is_empty()
    });
    fs::remove_dir_all(podlet.root.join("run/pods").join(uid)).unwrap();
    let path = podlet.root.join("state/pods").join(uid).join("kept.json");
    let mut kept: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    kept["bootId"] = "another".into();
    fs::write(&path, serde_json::to_vec(&kept).unwrap()).unwrap();
}

#[test]
fn after_a_reboot_pods_go_on_with_their_restart_counts() {
    let podlet = Podlet::new();
    let output = podlet.try_apply(
        &pod(&podlet, "crashes", "Always", r#"BEAT, ",", sleep, 50ms, ",", exit, "1""#),
        &["--crash-backoff-initial=600000", "--crash-backoff-max=600000"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    // One restart comes at once; then it waits.
    let waits = |pod: &serde_json::Value, restarts: u32| {
        let main = container(pod, "main");
        main["restartCount"] == restarts && main["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    };
    podlet.wait("crashes", |pod| waits(pod, 1));
    let uid = uid(&podlet, "crashes");
    let path = podlet.root.join("state/pods").join(&uid).join("kept.json");
    until("the restart is kept", || fs::read_to_string(&path).unwrap_or_default().contains("\"restartCount\":1"));
    reboot(&podlet, &uid);
    let seen = podlet.pod("crashes");
    assert_eq!(seen["status"]["phase"], "Unknown");
    let said = podlet.succeed(&["start", "--all", "--crash-backoff-initial=600000", "--crash-backoff-max=600000"]);
    assert_eq!(said, "pod/crashes started\n");
    // The back-off begins anew: one start at once, then it waits again.
    let again = podlet.wait("crashes", |pod| waits(pod, 2));
    assert_eq!(again["metadata"]["uid"].as_str().unwrap(), uid);
    podlet.finish();
}

#[test]
fn the_supervisors_log_can_be_read_of_a_pod_that_runs_and_of_one_that_is_over() {
    let podlet = Podlet::new();
    let output = podlet.try_apply(&pod(&podlet, "talks", "Never", r#"BEAT, ",", sleep, forever"#), &["-v=4"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    podlet.wait("talks", runs);
    let log = podlet.succeed(&["logs", "--supervisor", "talks"]);
    assert!(log.contains("DEBUG") && log.contains("ContainerStarted"), "{log}");
    let last = podlet.succeed(&["logs", "--supervisor", "talks", "--tail=1"]);
    assert_eq!(last.lines().count(), 1, "{last}");
    assert!(podlet.fail(&["logs", "--supervisor", "talks", "-f"]).contains("--follow cannot go with --supervisor"));
    assert!(podlet.fail(&["logs", "--supervisor", "nobody"]).contains("pods \"nobody\" not found"));
    podlet.succeed(&["stop", "talks"]);
    assert!(podlet.succeed(&["logs", "--supervisor", "talks"]).contains("ContainerExited"));
    podlet.finish();
}

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: correct-horse-battery}\n---\n";

fn unpacked(archive: &Path) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(archive).unwrap()));
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        files.push((path.split_once('/').unwrap().1.to_owned(), text(&bytes)));
    }
    files
}

#[test]
fn a_bug_report_holds_what_is_needed_and_no_secret() {
    let podlet = Podlet::new();
    // The container tells its secret in its termination message, which stands in status, events and journal.
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: tells}\nspec:\n  restartPolicy: Never\n  containers:\n  \
                    - name: main\n    image: podlet.local/host\n    command: [sh, -c, 'echo $PASSWORD $PLAIN > \
                    /dev/termination-log']\n    env:\n    - {name: PLAIN, value: plain-but-mine}\n    - name: PASSWORD\n      \
                    valueFrom: {secretKeyRef: {name: s, key: password}}\n";
    podlet.apply(&format!("{SECRET}{manifest}"));
    podlet.apply(&pod(&podlet, "runs", "Always", r#"BEAT, ",", sleep, forever"#));
    podlet.wait("runs", runs);
    let told = podlet.wait("tells", |pod| container(pod, "main")["state"]["terminated"].is_object());
    let message = container(&told, "main")["state"]["terminated"]["message"].as_str().unwrap().to_owned();
    assert_eq!(message, "correct-horse-battery plain-but-mine\n");

    let archive = podlet.root.join("report.tar.gz");
    let path = archive.to_str().unwrap();
    assert_eq!(podlet.succeed(&["bug-report", "-o", path]), format!("{path}\n"));
    let files = unpacked(&archive);
    for (name, content) in &files {
        assert!(!content.contains("correct-horse-battery"), "{name}: {content}");
        assert!(!content.contains("Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"), "{name}: {content}");
    }
    let find = |end: &str| {
        let found = files.iter().find(|(name, _)| name.ends_with(end));
        &found.unwrap_or_else(|| panic!("no {end} among {:?}", files.iter().map(|f| &f.0).collect::<Vec<_>>())).1
    };
    let tells: serde_json::Value =
        serde_json::from_str(&files.iter().find(|(n, _)| n.contains("_tells_") && n.ends_with("/pod.json")).unwrap().1)
            .unwrap();
    assert_eq!(tells["spec"]["containers"][0]["env"][0], serde_json::json!({"name": "PLAIN", "value": "<redacted>"}));
    assert_eq!(container(&tells, "main")["state"]["terminated"]["message"], "<redacted> plain-but-mine\n");
    let uid = uid(&podlet, "runs");
    assert!(find("README.txt").contains(&format!("default/runs {uid}")));
    assert!(find("version.json").contains("\"kubernetes\": \"1.36\""));
    assert!(find("doctor.json").contains("podsCanRun"));
    assert!(find("settings.txt").contains("containerLogMaxSize"));
    let of_runs = |end: &str| find(&format!("pods/default_runs_{uid}/{end}"));
    assert!(of_runs("journal.0").contains("ContainerStarted"));
    assert!(of_runs("supervisor.log").lines().count() < 1000);
    assert!(of_runs("processes.txt").contains("actor") && of_runs("processes.txt").contains("net: net:["));
    assert!(of_runs("cgroups.txt").contains("cgroup.procs:"));
    assert!(of_runs("mounts.txt").contains("/own"));
    assert!(of_runs("files.txt").contains("pod.json") && of_runs("logs.txt").contains("0.log"));

    assert!(podlet.fail(&["bug-report", "-o", path]).contains("File exists"));
    assert!(podlet.fail(&["bug-report", "nobody"]).contains("pods \"nobody\" not found"));
    podlet.finish();
}
