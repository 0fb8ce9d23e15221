//! The machine's settings: where each comes from, what is wrong with a file, and what a real pod makes of them.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/directory.rs"]
mod directory;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::podlet::{PROGRAM, Podlet, container, text, until};
use directory::Directory;

const HEAD: &str = "kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\n";

/// A settings file of its own, in a directory that goes with it.
struct File(PathBuf, #[expect(dead_code, reason = "kept for its end")] Directory);

impl File {
    fn new(name: &str, settings: &str) -> File {
        let directory = Directory::new("config");
        let path = directory.file(&format!("{name}.yaml"), &format!("{HEAD}{settings}"));
        File(path, directory)
    }

    fn podlet(&self, words: &[&str]) -> Output {
        Command::new(PROGRAM).args(words).env("PODLET_CONFIG", &self.0).env_remove("PODLET_LOG").output().unwrap()
    }
}

#[test]
fn view_names_the_origin_of_each_value_and_its_yaml_can_be_read_again() {
    let file = File::new(
        "view",
        "containerLogMaxFiles: 3\nport: 10250\ncrashLoopBackOff:\n  maxContainerRestartPeriod: 90s\n",
    );
    let output = file.podlet(&["config", "view", "--seccomp-default=Unconfined"]);
    assert!(output.status.success(), "{output:?}");
    let place = file.0.display();
    let lines: Vec<String> =
        text(&output.stdout).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "SETTING VALUE ORIGIN".to_owned(),
            "seccompDefault false flag --seccomp-default".to_owned(),
            "containerLogMaxSize 10Mi default".to_owned(),
            format!("containerLogMaxFiles 3 {place}:3"),
            "podLogsDir /var/log/podlet/pods default".to_owned(),
            "maxPods 0 default".to_owned(),
            "podPidsLimit -1 default".to_owned(),
            format!("crashLoopBackOff.maxContainerRestartPeriod 1m30s {place}:6"),
            "logging.verbosity 0 default".to_owned(),
            "shutdownGracePeriod 0s default".to_owned(),
            "shutdownGracePeriodCriticalPods 0s default".to_owned(),
            "shutdownGracePeriodByPodPriority [] default".to_owned(),
            "podlet.images.ignoreVolumes false default".to_owned(),
            "podlet.images.maxBytes 64Gi default".to_owned(),
            "podlet.images.maxFiles 4000000 default".to_owned(),
            "podlet.images.maxLayers 128 default".to_owned(),
            "podlet.images.maxRatio 200 default".to_owned(),
            "podlet.images.stallTimeout 30s default".to_owned(),
            "--sleep-after 5s default".to_owned(),
        ]
    );
    assert_eq!(text(&output.stderr), format!("Note: {place}: without meaning for podlet: port\n"));

    let json = file.podlet(&["config", "view", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["kubeletconfig"]["crashLoopBackOff"]["maxContainerRestartPeriod"], "1m30s");
    assert_eq!(json["origins"]["containerLogMaxFiles"], format!("{place}:3"));

    let whole = text(&file.podlet(&["config", "view", "-o", "yaml"]).stdout);
    fs::write(&file.0, &whole).unwrap();
    let again = file.podlet(&["config", "view", "-o", "json"]);
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["kubeletconfig"], json["kubeletconfig"], "{whole}");
    let origins: Vec<_> = again["origins"].as_object().unwrap().values().collect();
    assert!(origins.iter().all(|origin| origin.as_str().unwrap().starts_with(&place.to_string())), "{origins:?}");
}

#[test]
fn a_bad_file_is_told_with_its_place_and_nothing_is_begun() {
    let file = File::new("bad", "seccompDefault: yes please\npodPidLimit: 5\n");
    let output = file.podlet(&["config", "view"]);
    assert_eq!(output.status.code(), Some(1));
    let place = file.0.display();
    assert_eq!(
        text(&output.stderr),
        format!(
            "{place}:3:17: seccompDefault: expected true or false, found the string \"yes please\"; write it without quotes\n\
             \x20 3 | seccompDefault: yes please\n\
             \x20   |                 ^\n\
             {place}:4:1: podPidLimit: unknown field (did you mean \"podPidsLimit\"?)\n\
             \x20 4 | podPidLimit: 5\n\
             \x20   | ^\n"
        )
    );
    assert_eq!(text(&output.stdout), "");

    let missing =
        Command::new(PROGRAM).args(["config", "view"]).env("PODLET_CONFIG", "/nonexistent/podlet.yaml").output();
    assert_eq!(
        text(&missing.unwrap().stderr),
        "error: could not read the settings /nonexistent/podlet.yaml: No such file or directory (os error 2)\n"
    );

    let podlet = Podlet::new();
    let manifest = podlet.root.join("pod.yaml");
    fs::write(&manifest, POD).unwrap();
    let apply = podlet.command(&["apply", manifest.to_str().unwrap()]).env("PODLET_CONFIG", &file.0).output().unwrap();
    assert_eq!(apply.status.code(), Some(1));
    assert!(text(&apply.stderr).contains("podPidLimit: unknown field"), "{apply:?}");
    assert_eq!(podlet.succeed(&["get", "pods", "-o", "name"]), "");
    podlet.finish();
}

/// A pod of which each container shows a setting.
const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: settings}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: forks
    image: podlet.local/host
    command: [sh, -c]
    args:
    - |
      grep Seccomp: /proc/self/status
      for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
        ( sleep 1000 & ) 2>/dev/null || break
      done
      echo forked
      exec sleep 1000
  - name: crashes
    image: podlet.local/actor
    args: [exit, "1"]
  - name: talks
    image: podlet.local/actor
    args: [log, "20000", rate=1000000/s, size=100, ",", sleep, forever]
"#;

#[test]
fn a_pod_lives_by_the_settings() {
    let settings = "seccompDefault: false\ncontainerLogMaxSize: 64Ki\ncontainerLogMaxFiles: 3\npodPidsLimit: 20\n\
                    crashLoopBackOff: {maxContainerRestartPeriod: 1s}\n";
    let file = File::new("pod", settings);
    let podlet = Podlet::new();
    let manifest = podlet.root.join("pod.yaml");
    fs::write(&manifest, POD).unwrap();
    let apply = podlet.command(&["apply", manifest.to_str().unwrap()]).env("PODLET_CONFIG", &file.0).output().unwrap();
    assert!(apply.status.success(), "{apply:?}");
    assert!(!text(&apply.stderr).contains("podPidsLimit is without effect"), "{apply:?}");

    // The first back-off is ten seconds but for the largest, which is one.
    podlet.wait("settings", |pod| {
        let state = &container(pod, "crashes")["state"]["waiting"];
        state["reason"] == "CrashLoopBackOff" && state["message"].as_str().unwrap().starts_with("back-off 1s ")
    });
    until("no process can be made any more", || podlet.logs("settings", "forks").contains("forked"));
    assert!(podlet.logs("settings", "forks").starts_with("Seccomp:\t0\n"));
    let uid = podlet.pod("settings")["metadata"]["uid"].as_str().unwrap().to_owned();
    let processes = common::podlet::processes_of(&uid).len();
    // Keeper, twin and supervisor have a cgroup of their own, which names the uid, too.
    assert!((15..=23).contains(&processes), "{processes} processes");

    let directory = podlet.root.join(format!("logs/pods/default_settings_{uid}/talks"));
    // It may be the last of a file that is full: then 0.log is a new one, and empty.
    let last = |path: &Path| {
        let lines = fs::read_to_string(path).unwrap_or_default();
        lines.contains(" 00019999 ") || lines.contains(" 00020000 ")
    };
    let files = || fs::read_dir(&directory).into_iter().flatten().flatten().map(|entry| entry.path());
    until("the last line is written", || files().any(|path| last(&path)));
    // Nothing is written any more; the oldest may still be about to go.
    until("three files are left", || fs::read_dir(&directory).unwrap().count() == 3);
    podlet.finish();
}

/// Two pods may run; the third is what a kubelet makes of it. Their logs lie where the settings say.
#[test]
fn one_pod_too_many_is_failed_and_logs_lie_where_they_are_wanted() {
    let podlet = Podlet::new();
    let elsewhere = podlet.root.join("elsewhere");
    let settings = podlet.root.join("settings.yaml");
    let head = "kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\n";
    fs::write(&settings, format!("{head}maxPods: 2\npodLogsDir: {}\n", elsewhere.display())).unwrap();
    let apply = |name: &str, words: &[&str]| {
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
             - {{name: a, image: podlet.local/actor, args: [print, hello, \",\", sleep, forever]}}\n"
        );
        let manifest = podlet.root.join(format!("{name}.yaml"));
        fs::write(&manifest, pod).unwrap();
        let mut command = podlet.command(&["apply", manifest.to_str().unwrap()]);
        command.args(words).env("PODLET_CONFIG", &settings).output().unwrap()
    };
    for name in ["one", "two"] {
        assert!(apply(name, &["--wait"]).status.success());
    }
    let third = apply("three", &[]);
    assert!(third.status.success(), "{third:?}");
    let pod = podlet.pod("three");
    let message = "Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2";
    assert_eq!(pod["status"]["phase"], "Failed");
    assert_eq!(pod["status"]["reason"], "OutOfpods");
    assert_eq!(pod["status"]["message"], format!("Pod was rejected: {message}"));
    assert!(podlet.succeed(&["get", "pod", "three"]).contains("OutOfpods"));
    assert!(podlet.succeed(&["events", "--for=pod/three"]).contains(message));
    assert!(text(&apply("three", &[]).stdout).contains("unchanged"));

    until("its line", || podlet.logs("one", "a") == "hello\n");
    let uid = podlet.pod("one")["metadata"]["uid"].as_str().unwrap().to_owned();
    let place = elsewhere.join(format!("default_one_{uid}"));
    assert!(place.join("a/0.log").is_file());
    podlet.succeed(&["delete", "pod", "one", "three"]);
    assert!(!place.exists());
    assert!(!podlet.root.join(format!("logs/pods/default_one_{uid}")).is_symlink());
    // There is room again.
    assert!(apply("three", &["--wait"]).status.success());
    podlet.finish();
}
