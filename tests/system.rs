//! `podlet system df` and `prune`, and what an ordinary user is told of root's pods.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, SystemTime};

use common::podlet::{Podlet, text};

fn pod(name: &str, arguments: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  containers:\n  \
         - {{name: a, image: podlet.local/actor, args: [{arguments}]}}\n"
    )
}

fn usage(podlet: &Podlet, kind: &str) -> serde_json::Value {
    let shown: serde_json::Value = serde_json::from_str(&podlet.succeed(&["system", "df", "-o", "json"])).unwrap();
    shown["usage"].as_array().unwrap().iter().find(|line| line["type"] == kind).unwrap().clone()
}

#[test]
fn what_belongs_to_no_pod_is_found_and_removed_and_nothing_else() {
    let podlet = Podlet::new();
    podlet.apply(&pod("runs", "print, hello, \",\", sleep, forever"));
    podlet.apply(&pod("ended", "exit, \"0\""));
    podlet.wait("ended", |pod| pod["status"]["phase"] == "Succeeded");
    podlet.wait("runs", |pod| pod["status"]["phase"] == "Running");
    assert_eq!(podlet.succeed(&["system", "prune", "--force"]), "");

    // An old directory of no pod, in each place, and a young one that may be one's that is being made.
    let old = ["state/pods/11111111-1", "run/pods/11111111-1", "logs/pods/default_gone_11111111-1"];
    for name in old.iter().chain(&["state/pods/22222222-2"]) {
        fs::create_dir_all(podlet.root.join(name)).unwrap();
        fs::write(podlet.root.join(name).join("file"), vec![b'x'; 10_000]).unwrap();
    }
    // A name that a killed writer has not got to write.
    let half = "state/names/default/.gone.4711.new";
    fs::write(podlet.root.join(half), "x").unwrap();
    for name in old.iter().chain(&[half]) {
        let hour = SystemTime::now() - Duration::from_secs(3600);
        fs::File::open(podlet.root.join(name)).unwrap().set_modified(hour).unwrap();
    }
    let remains = usage(&podlet, "Remains");
    assert_eq!(remains["count"], 4);
    assert!(remains["size"].as_u64().unwrap() >= 30_000 && remains["size"] == remains["reclaimable"], "{remains}");
    let (pods, logs) = (usage(&podlet, "Pods"), usage(&podlet, "Logs"));
    assert_eq!((&pods["count"], &logs["count"]), (&2.into(), &2.into()));
    assert!(pods["size"].as_u64() > pods["reclaimable"].as_u64() && pods["reclaimable"].as_u64() > Some(0), "{pods}");
    let table = podlet.succeed(&["system", "df"]);
    assert!(table.starts_with("TYPE      COUNT   SIZE"), "{table}");

    let said = podlet.fail(&["system", "prune"]);
    assert!(said.contains("nobody can be asked; use --force"), "{said}");
    let would = podlet.succeed(&["system", "prune", "--dry-run"]);
    assert_eq!(would.lines().count(), 4, "{would}");
    let removed = podlet.succeed(&["system", "prune", "--force"]);
    assert_eq!(
        removed,
        would
            .lines()
            .map(|line| format!("{} removed\n", line.strip_prefix("would remove ").unwrap()))
            .collect::<String>()
    );
    assert!(old.iter().all(|name| !podlet.root.join(name).exists()));
    assert!(podlet.root.join("state/pods/22222222-2/file").exists());
    fs::remove_dir_all(podlet.root.join("state/pods/22222222-2")).unwrap();

    // A pod that runs keeps its image; one that is over goes when asked for, its image with the next.
    let removed = podlet.succeed(&["system", "prune", "--pods", "--images", "--force", "-o", "json"]);
    let removed: serde_json::Value = serde_json::from_str(&removed).unwrap();
    assert_eq!(removed["removed"], serde_json::json!(["pod/ended in namespace default"]));
    assert_eq!(podlet.succeed(&["get", "pods", "-o", "name"]), "pod/runs\n");
    podlet.succeed(&["delete", "pod", "runs", "--now"]);
    let removed = podlet.succeed(&["system", "prune", "--images", "--force"]);
    assert!(removed.lines().all(|line| line.starts_with("image ")), "{removed}");
    podlet.finish();
}

#[test]
fn an_ordinary_user_is_told_whose_pods_cannot_be_shown() {
    let podlet = Podlet::new();
    podlet.apply(&pod("runs", "sleep, forever"));
    // The program lies where only its builder may look.
    let program = podlet.root.join("podlet");
    fs::copy(common::podlet::PROGRAM, &program).unwrap();
    for words in [&["get", "pods"][..], &["logs", "runs"], &["system", "df"]] {
        let mut command = Command::new(&program);
        let output = command.args(words).envs(podlet.environment()).uid(65534).gid(65534).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        let begin =
            format!("error: the pods in {} are root's and cannot be shown to you", podlet.root.join("run").display());
        assert!(said.starts_with(&begin), "{said}");
        assert!(said.contains("type: sudo env PODLET_LOG_DIR="), "{said}");
    }
    podlet.finish();
}
