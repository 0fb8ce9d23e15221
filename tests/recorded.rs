//! What an older podlet left on disk is understood: its snapshots, journals and kept files, recorded in
//! `tests/data/recorded`, are put in place as after a power cut, and the pod is seen and set going again from there.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::podlet::{Podlet, container};
use serde_json::Value;

fn recordings() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recorded");
    let mut found: Vec<PathBuf> =
        fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Puts a recorded pod where podlet looks for it; answers its uid.
fn put_in_place(podlet: &Podlet, recording: &Path) -> String {
    let pod = json(&recording.join("pod.json"));
    let text = |field: &str| pod["metadata"][field].as_str().unwrap().to_owned();
    let (namespace, name, uid) = (text("namespace"), text("name"), text("uid"));
    let (run, state) = (podlet.root.join("run/pods").join(&uid), podlet.root.join("state/pods").join(&uid));
    let names = podlet.root.join("state/names").join(namespace);
    for directory in [&run, &state, &names] {
        fs::create_dir_all(directory).unwrap();
    }
    // podlet takes nothing from where others could write.
    let private = fs::Permissions::from_mode(0o700);
    for top in ["run", "run/pods", "state", "state/pods", "state/names"] {
        fs::set_permissions(podlet.root.join(top), private.clone()).unwrap();
    }
    for directory in [&run, &state, &names] {
        fs::set_permissions(directory, private.clone()).unwrap();
    }
    for entry in fs::read_dir(recording).unwrap() {
        let entry = entry.unwrap();
        let (path, file) = (entry.path(), entry.file_name());
        let copy = |directory: &Path| {
            fs::copy(&path, directory.join(&file)).unwrap();
        };
        match file.to_str().unwrap() {
            "kept.json" | "pod.json" => copy(&state),
            "orders.json" => {
                let mut orders = json(&path);
                for root in ["run", "state", "logs"] {
                    orders["paths"][root] = podlet.root.join(root).to_str().into();
                }
                fs::write(run.join(&file), orders.to_string()).unwrap();
            }
            "shown.json" => {}
            _ => copy(&run),
        }
    }
    fs::write(names.join(name), &uid).unwrap();
    uid
}

/// Type, reason, message and count of each event of the pod.
fn events(podlet: &Podlet) -> Vec<(Value, Value, Value, u64)> {
    let list: Value = serde_json::from_str(&podlet.succeed(&["events", "--for", "pod/web", "-o", "json"])).unwrap();
    let event = |event: &Value| {
        (event["type"].clone(), event["reason"].clone(), event["message"].clone(), event["count"].as_u64().unwrap_or(1))
    };
    list["items"].as_array().unwrap().iter().map(event).collect()
}

/// Each event that was shown then is there, with the count that it had or with more.
fn assert_knows_events(podlet: &Podlet, shown: &Value, exactly: bool) {
    let now = events(podlet);
    for event in shown["events"].as_array().unwrap() {
        let same = |(kind, reason, message, _): &&(Value, Value, Value, u64)| {
            (kind, reason, message) == (&event[0], &event[1], &event[3])
        };
        let (then, counts): (u64, Vec<u64>) =
            (event[2].as_u64().unwrap(), now.iter().filter(same).map(|(.., count)| *count).collect());
        let known = counts.iter().any(|count| if exactly { *count == then } else { *count >= then });
        assert!(known, "{event} is known as {counts:?}");
    }
}

#[test]
fn a_pod_that_an_older_podlet_left_is_seen_and_goes_on() {
    for recording in recordings() {
        let podlet = Podlet::new();
        let uid = put_in_place(&podlet, &recording);
        let shown = json(&recording.join("shown.json"));
        let then = |name: &str| {
            let mut statuses = shown["containerStatuses"].as_array().unwrap().iter();
            statuses.find(|status| status["name"] == name).unwrap().clone()
        };

        // Before anything runs: what was kept.
        let pod = podlet.pod("web");
        assert_eq!(pod["status"]["phase"], "Unknown", "{:#}", pod["status"]);
        for name in ["crash", "done", "absent"] {
            let (now, then) = (container(&pod, name), then(name));
            for field in ["restartCount", "lastState", "containerID", "imageID"] {
                assert_eq!(now[field], then[field], "{name}: {field}");
            }
        }
        assert_knows_events(&podlet, &shown, true);

        // From snapshot and journal: the counts go on, and what has ended well does not run again.
        let manifest = fs::read_to_string(recording.join("pod.json")).unwrap();
        let mut manifest: Value = serde_json::from_str(&manifest).unwrap();
        manifest["metadata"] = serde_json::json!({"name": "web", "labels": manifest["metadata"]["labels"]});
        manifest["spec"].as_object_mut().unwrap().remove("nodeName");
        let output = podlet.try_apply(&manifest.to_string(), &["--crash-backoff-initial=1", "--crash-backoff-max=1"]);
        assert!(output.status.success(), "{}", common::podlet::text(&output.stderr));
        let said = common::podlet::text(&output.stdout);
        assert_eq!(said, "pod/web started again\n");
        // Its volume is a new one, so it crashes as often as it did then.
        let before = then("crash")["restartCount"].as_u64().unwrap();
        let pod = podlet.wait("web", |pod| {
            let crash = container(pod, "crash");
            crash["state"]["running"].is_object() && crash["restartCount"] == before + 1 + 34
        });
        assert_eq!(pod["metadata"]["uid"], *uid);
        assert_eq!(container(&pod, "crash")["lastState"]["terminated"]["exitCode"], 3);
        let done = container(&pod, "done");
        for field in ["restartCount", "containerID", "state"] {
            assert_eq!(done[field], then("done")[field], "{field}");
        }
        assert_knows_events(&podlet, &shown, false);
        let log = fs::read_to_string(podlet.root.join("run/pods").join(&uid).join("supervisor.log")).unwrap();
        assert!(!log.contains("ERROR"), "{log}");
        podlet.finish();
    }
}
