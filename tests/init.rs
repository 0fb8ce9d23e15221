//! Init containers and sidecars with real processes: the order in which they come and go, what a user reads meanwhile, and
//! that podlet's own death changes nothing of it.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::kills::{self, Part};
use common::podlet::{Podlet, container, init_container, until};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A pod whose containers tell each begin and end, in order, in one file of the test's directory. `LOG name words` in a
/// command stands for such a line.
fn apply(podlet: &Podlet, name: &str, spec: &str) {
    let data = podlet.root.join("data");
    let common = "image: podlet.local/host, volumeMounts: [{name: data, mountPath: /data}]";
    let spec = spec.replace("COMMON", common).replace("LOG", &format!("echo >> /data/{name}"));
    podlet.apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  volumes:\n  - name: data\n    \
         hostPath: {{path: {}, type: DirectoryOrCreate}}\n{spec}",
        data.display()
    ));
}

fn told(podlet: &Podlet, name: &str) -> Vec<String> {
    let text = fs::read_to_string(podlet.root.join("data").join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn running(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running"
}

/// An init container of [`IN_ORDER`] may end.
fn release(podlet: &Podlet, name: &str) {
    fs::write(podlet.root.join("data").join(name), "").unwrap();
}

const IN_ORDER: &str = r#"
  terminationGracePeriodSeconds: 20
  initContainers:
  - {name: one, COMMON, command: [sh, -c, "LOG one begins; until test -e /data/one; do sleep 0.05; done; LOG one ends"]}
  - {name: side1, COMMON, restartPolicy: Always, command: [sh, -c, "trap 'LOG side1 ends; exit 3' TERM; echo I am side1; LOG side1 begins; while :; do sleep 0.1; done"]}
  - {name: two, COMMON, command: [sh, -c, "LOG two begins; until test -e /data/two; do sleep 0.05; done; LOG two ends"]}
  - {name: side2, COMMON, restartPolicy: Always, command: [sh, -c, "trap 'sleep 0.3; LOG side2 ends; exit 0' TERM; LOG side2 begins; while :; do sleep 0.1; done"]}
  containers:
  - {name: app, COMMON, command: [sh, -c, "trap 'sleep 0.3; LOG app ends; exit 0' TERM; LOG app begins; while :; do sleep 0.1; done"]}
"#;

const ORDER: [&str; 10] = [
    "one begins",
    "one ends",
    "side1 begins",
    "two begins",
    "two ends",
    "side2 begins",
    "app begins",
    "app ends",
    "side2 ends",
    "side1 ends",
];

#[test]
fn containers_come_in_order_and_go_in_reverse() {
    let podlet = Podlet::new();
    apply(&podlet, "web", IN_ORDER);
    for (columns, released) in [("0/3 Init:0/4", Some("one")), ("1/3 Init:2/4", Some("two")), ("3/3 Running", None)] {
        until(columns, || {
            let row = podlet.succeed(&["get", "pod", "web", "--no-headers"]);
            row.split_whitespace().collect::<Vec<_>>()[1..3].join(" ") == columns
        });
        if let Some(name) = released {
            release(&podlet, name);
        }
    }

    let pod = podlet.wait("web", |pod| container(pod, "app")["ready"] == true);
    let one = init_container(&pod, "one");
    assert_eq!((&one["ready"], &one["started"]), (&true.into(), &false.into()), "{one:#}");
    assert_eq!(one["state"]["terminated"]["reason"], "Completed");
    assert_eq!(init_container(&pod, "side1")["started"], true);
    let described = podlet.succeed(&["describe", "pod", "web"]);
    assert!(described.contains("\nInit Containers:\n  one:\n"), "{described}");
    assert!(described.contains("spec.initContainers{side1}: Container started"), "{described}");

    assert_eq!(podlet.logs("web", "side1"), "I am side1\n");
    let all = podlet.succeed(&["logs", "web", "--all-containers", "--prefix"]);
    assert_eq!(all, "[pod/web/side1] I am side1\n");
    assert_eq!(podlet.succeed(&["exec", "web", "-c", "side1", "--", "sh", "-c", "echo inside"]), "inside\n");
    let refused = podlet.fail(&["exec", "web", "-c", "one", "--", "true"]);
    assert!(refused.contains("one"), "{refused}");

    podlet.succeed(&["delete", "pod", "web"]);
    assert_eq!(told(&podlet, "web"), ORDER);
    podlet.finish();
}

/// The supervisor is killed in each phase of the pod's life: the one that takes over goes on where it stood.
#[test]
fn a_supervisor_killed_in_the_midst_starts_nothing_twice_and_forgets_no_order() {
    let podlet = Podlet::new();
    apply(&podlet, "web", IN_ORDER);
    let uid = kills::uid(&podlet.pod("web"));
    let reached = |what: &str| told(&podlet, "web").iter().any(|line| line == what);
    let moments =
        [("one begins", Some("one")), ("side1 begins", None), ("two begins", Some("two")), ("app begins", None)];
    for (moment, released) in moments {
        until(moment, || reached(moment));
        kills::kill_at_once(&uid, &[Part::Supervisor]);
        if let Some(name) = released {
            release(&podlet, name);
        }
    }
    let pod = podlet.wait("web", |pod| running(pod) && container(pod, "app")["ready"] == true);
    let statuses = pod["status"]["initContainerStatuses"].as_array().unwrap();
    assert!(statuses.iter().all(|status| status["restartCount"] == 0), "{statuses:#?}");
    podlet.succeed(&["delete", "pod", "web", "--wait=false"]);
    until("the stop", || podlet.succeed(&["events", "--for", "pod/web"]).contains("Killing"));
    kills::kill_at_once(&uid, &[Part::Supervisor]);
    until("app's end", || reached("app ends"));
    kills::kill_at_once(&uid, &[Part::Supervisor]);
    until("the pod's end", || !podlet.run(&["get", "pod", "web"]).status.success());
    assert_eq!(told(&podlet, "web"), ORDER);
    podlet.finish();
}

#[test]
fn a_failed_init_container_is_tried_again_or_fails_the_pod() {
    let podlet = Podlet::new();
    let spec = r#"
  restartPolicy: POLICY
  initContainers:
  - {name: good, COMMON, command: [sh, -c, "LOG good"]}
  - {name: bad, COMMON, command: [sh, -c, "LOG bad; exit 4"]}
  containers:
  - {name: app, COMMON, command: [sh, -c, "LOG app"]}
"#;
    apply(&podlet, "never", &spec.replace("POLICY", "Never"));
    apply(&podlet, "always", &spec.replace("POLICY", "Always"));
    let failed = podlet.wait("never", |pod| pod["status"]["phase"] == "Failed");
    assert_eq!(init_container(&failed, "bad")["state"]["terminated"]["exitCode"], 4);
    assert_eq!(container(&failed, "app")["state"]["waiting"]["reason"], "PodInitializing");
    assert!(podlet.succeed(&["get", "pod", "never"]).contains("0/1     Init:Error"));
    assert_eq!(told(&podlet, "never"), ["good", "bad"]);
    let waited = podlet.run(&["wait", "--for=condition=Ready", "pod/never", "--timeout=60s"]);
    assert!(!waited.status.success(), "{waited:?}");

    let waits = |pod: &Value| init_container(pod, "bad")["state"]["waiting"]["reason"] == "CrashLoopBackOff";
    let waiting = podlet.wait("always", waits);
    assert_eq!(waiting["status"]["phase"], "Pending");
    assert_eq!(init_container(&waiting, "bad")["restartCount"], 1);
    assert!(podlet.succeed(&["get", "pod", "always"]).contains("Init:CrashLoopBackOff"));
    assert_eq!(told(&podlet, "always"), ["good", "bad", "bad"]);
    podlet.finish();
}

#[test]
fn a_job_ends_with_its_regular_container_and_takes_its_sidecar_along() {
    let podlet = Podlet::new();
    apply(
        &podlet,
        "job",
        r#"
  restartPolicy: Never
  terminationGracePeriodSeconds: 120
  initContainers:
  - {name: side, COMMON, restartPolicy: Always, command: [sh, -c, "LOG side; trap 'until test -e /data/end; do sleep 0.05; done; exit 9' TERM; while :; do sleep 0.1; done"]}
  containers:
  - {name: app, COMMON, command: [sh, -c, "until test -e /data/go; do sleep 0.05; done"]}
"#,
    );
    let uid = kills::uid(&podlet.wait("job", running));
    // A sidecar is restarted under Never, and alone.
    until("the sidecar", || told(&podlet, "job").len() == 1);
    kills::send(kills::program(&uid, "side"), Signal::SIGKILL);
    let again = podlet.wait("job", |pod| init_container(pod, "side")["restartCount"] == 1 && running(pod));
    assert_eq!(container(&again, "app")["restartCount"], 0);
    until("the sidecar's second instance", || told(&podlet, "job").len() == 2);
    kills::hears(kills::program(&uid, "side"), Signal::SIGTERM);
    fs::write(podlet.root.join("data/go"), "").unwrap();
    // The sidecar is asked to end when the job has, and takes its time.
    let outlived = podlet.wait("job", |pod| container(pod, "app")["state"]["terminated"].is_object());
    assert!(running(&outlived), "{outlived}");
    assert!(init_container(&outlived, "side")["state"]["running"].is_object(), "{outlived}");
    fs::write(podlet.root.join("data/end"), "").unwrap();
    podlet.wait("job", |pod| pod["status"]["phase"] == "Succeeded");
    assert_eq!(init_container(&podlet.pod("job"), "side")["state"]["terminated"]["exitCode"], 9);
    assert!(podlet.succeed(&["get", "pod", "job"]).contains("0/2     Completed"));
    podlet.finish();
}

#[test]
fn a_restart_on_request_is_counted_and_told() {
    let podlet = Podlet::new();
    apply(
        &podlet,
        "web",
        r#"
  restartPolicy: Never
  terminationGracePeriodSeconds: 20
  initContainers:
  - {name: init, COMMON, command: [sh, -c, "LOG init"]}
  containers:
  - {name: app, COMMON, command: [sh, -c, "trap 'LOG app ends; exit 0' TERM; LOG app begins; while :; do sleep 0.1; done"]}
  - {name: other, COMMON, command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]}
"#,
    );
    // `other` is started after `app`: what app tells is no word of it.
    let begun = |times: usize, other: usize| {
        until("app", || told(&podlet, "web").iter().filter(|line| *line == "app begins").count() == times);
        let restarts = [("app", times - 1), ("other", other)];
        podlet.wait("web", |pod| {
            restarts.iter().all(|(name, restarts)| {
                let container = container(pod, name);
                container["restartCount"] == *restarts && container["state"]["running"].is_object()
            })
        })
    };
    begun(1, 0);
    assert_eq!(podlet.succeed(&["restart", "web", "-c", "app"]), "pod/web restarted\n");
    begun(2, 0);
    let refused = podlet.fail(&["restart", "web", "-c", "init"]);
    assert!(refused.contains("has done its work"), "{refused}");
    assert_eq!(podlet.succeed(&["restart", "pod/web"]), "pod/web restarted\n");
    let pod = begun(3, 1);
    assert_eq!(init_container(&pod, "init")["restartCount"], 1);
    let described = podlet.succeed(&["describe", "pod", "web"]);
    assert!(described.contains("RestartRequested"), "{described}");
    let expected = ["init", "app begins", "app ends", "app begins", "app ends", "init", "app begins"];
    assert_eq!(told(&podlet, "web"), expected);
    podlet.finish();
}
