//! What is changed of a pod that runs: ephemeral containers and `podlet debug`, in-place resize, re-apply; over a supervisor
//! that is killed, too.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::kills::{self, Part};
use common::podlet::{Podlet, container, text};
use serde_json::Value;

const LIVES: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// A pod of one container of the host's programs.
fn pod(policy: &str, script: &str, fields: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 2
  volumes: [{{name: v, emptyDir: {{}}}}]
  containers:
  - name: app
    image: podlet.local/host
    command: [sh, -c, {}]
    env: [{{name: GREETING, value: hello}}]
    volumeMounts: [{{name: v, mountPath: /v}}]
    {fields}
",
        serde_json::to_string(script).unwrap()
    )
}

/// Applies a pod whose supervisor is always there to be killed.
fn awake(podlet: &Podlet, manifest: &str) {
    let output = podlet.try_apply(manifest, &["--sleep-after=never"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn running(podlet: &Podlet, name: &str) -> Value {
    podlet.wait("web", |pod| container(pod, name)["state"]["running"].is_object())
}

fn ephemeral<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let list = pod["status"]["ephemeralContainerStatuses"].as_array();
    list.and_then(|list| list.iter().find(|status| status["name"] == name)).unwrap_or(&Value::Null)
}

fn ended(podlet: &Podlet, name: &str) -> Value {
    podlet.wait("web", |pod| ephemeral(pod, name)["state"]["terminated"].is_object())
}

#[test]
fn debug_looks_at_a_pod_that_runs() {
    let podlet = Podlet::new();
    podlet.apply(&pod("Always", &format!("echo mark > /file; {LIVES}"), ""));
    let before = running(&podlet, "app");
    let own =
        ["debug", "web", "--image=podlet.local/host", "-c", "own", "--attach", "--", "sh", "-c", "ps ax; hostname"];
    let seen = podlet.succeed(&own);
    assert!(seen.contains("web") && !seen.contains("sleep 0.1"), "{seen}");
    // The processes of another container, and its files through them.
    podlet.succeed(&["exec", "web", "--", "sh", "-c", "until test -s /file; do sleep 0.05; done"]);
    let look = "tr '\\0' ' ' < /proc/1/cmdline; cat /proc/1/root/file";
    let words =
        ["debug", "web", "--image=podlet.local/host", "--target=app", "-c", "eye", "--attach", "--", "sh", "-c", look];
    let seen = podlet.succeed(&words);
    assert!(seen.contains("Targeting container \"app\".") && seen.contains("trap") && seen.contains("mark"), "{seen}");
    let after = ended(&podlet, "eye");
    assert_eq!(after["spec"]["ephemeralContainers"][1]["targetContainerName"], "app");
    assert_eq!(ephemeral(&after, "eye")["ready"], false);
    assert_eq!(container(&after, "app")["containerID"], container(&before, "app")["containerID"]);
    assert_eq!(container(&after, "app")["restartCount"], 0);
    // A pod that a manifest names, and a part of the container's spec from a file.
    let (manifest, custom) = (podlet.root.join("web.yaml"), podlet.root.join("custom.yaml"));
    std::fs::write(&manifest, pod("Always", LIVES, "")).unwrap();
    std::fs::write(&custom, "env: [{name: FROM, value: file}]\nsecurityContext: {runAsUser: 7}\n").unwrap();
    let (manifest, custom) = (manifest.to_str().unwrap(), custom.to_str().unwrap());
    let words =
        ["debug", "-f", manifest, "--custom", custom, "--image=podlet.local/host", "-c", "made", "--attach", "--"];
    let seen = podlet.succeed(&[&words[..], &["sh", "-c", "echo $FROM $(id -u)"]].concat());
    assert!(seen.ends_with("file 7\n"), "{seen}");
    let described = podlet.succeed(&["describe", "pod", "web"]);
    assert!(described.contains("Ephemeral Containers:\n  own:"), "{described}");
    assert_eq!(podlet.logs("web", "own").lines().last(), Some("web"));
    // A manifest applied again leaves them alone.
    assert_eq!(podlet.apply(&pod("Always", &format!("echo mark > /file; {LIVES}"), "")), "pod/web unchanged\n");
    for (words, text) in [
        (vec!["-c", "own", "--image=podlet.local/host"], "spec.ephemeralContainers[3].name: Duplicate value: \"own\""),
        (vec!["--target=no", "--image=podlet.local/host"], "targetContainerName: Not found: \"no\""),
        (vec!["-i"], "you must specify --image when not using --copy-to."),
        (vec!["--image=podlet.local/host", "--profile=all"], "unknown profile: all"),
        (vec!["--hold=no"], "container no is not valid for pod web"),
        (vec!["--hold=own"], "own is an ephemeral container"),
    ] {
        let said = podlet.fail(&[vec!["debug", "web"], words].concat());
        assert!(said.contains(text), "{said}");
    }
    podlet.finish();
}

#[test]
fn an_ephemeral_container_lives_on_over_its_supervisors_death() {
    let podlet = Podlet::new();
    awake(&podlet, &pod("Always", LIVES, ""));
    let uid = kills::uid(&running(&podlet, "app"));
    podlet.succeed(&["debug", "web", "--image=podlet.local/host", "-c", "eye", "--", "sh", "-c", LIVES]);
    podlet.wait("web", |pod| ephemeral(pod, "eye")["state"]["running"].is_object());
    let before = podlet.pod("web");
    kills::kill_at_once(&uid, &[Part::Supervisor]);
    podlet.succeed(&["exec", "web", "-c", "eye", "--", "true"]);
    let after = podlet.pod("web");
    for path in ["/metadata/creationTimestamp", "/spec/ephemeralContainers", "/status/containerStatuses"] {
        assert_eq!(after.pointer(path), before.pointer(path), "{path}");
    }
    assert_eq!(ephemeral(&after, "eye")["containerID"], ephemeral(&before, "eye")["containerID"]);
    podlet.finish();
}

#[test]
fn hold_puts_a_shell_in_the_place_of_what_crashes() {
    let podlet = Podlet::new();
    awake(&podlet, &pod("Always", "echo left > /left; echo kept > /v/file; exit 3", ""));
    podlet.wait("web", |pod| container(pod, "app")["lastState"]["terminated"]["exitCode"] == 3);
    let look = "cat /left /v/file; echo $GREETING; id -u; until test -e /v/done; do sleep 0.1; done";
    let said = podlet.run(&["debug", "web", "--hold=app", "-c", "shell", "--", "sh", "-c", look]);
    assert!(said.status.success() && text(&said.stderr).contains("app"), "{said:?}");
    podlet.wait("web", |pod| {
        let waits = container(pod, "app")["state"]["waiting"]["reason"] == "Held";
        waits && ephemeral(pod, "shell")["state"]["running"].is_object()
    });
    let count = container(&podlet.pod("web"), "app")["restartCount"].clone();
    common::podlet::until("what the shell has read", || podlet.logs("web", "shell") == "left\nkept\nhello\n0\n");
    // It is held over its supervisor's death as well.
    let uid = kills::uid(&podlet.pod("web"));
    kills::kill_at_once(&uid, &[Part::Supervisor]);
    podlet.succeed(&["exec", "web", "-c", "shell", "--", "sh", "-c", "echo gone > /left; touch /v/done"]);
    let after = ended(&podlet, "shell");
    assert_eq!(ephemeral(&after, "shell")["state"]["terminated"]["exitCode"], 0);
    assert_eq!(podlet.logs("web", "shell"), "left\nkept\nhello\n0\n");
    podlet.wait("web", |pod| container(pod, "app")["restartCount"].as_i64() > count.as_i64());
    podlet.finish();
}

#[test]
fn a_copy_has_another_command() {
    let podlet = Podlet::new();
    podlet.apply(&pod("Always", "exit 3", ""));
    podlet.wait("web", |pod| container(pod, "app")["lastState"]["terminated"].is_object());
    let script = format!("echo copied; {LIVES}");
    podlet.succeed(&["debug", "web", "--copy-to=copy", "-c", "app", "--", "sh", "-c", &script]);
    let copy = podlet.wait("copy", |pod| container(pod, "app")["state"]["running"].is_object());
    assert_eq!(
        (copy["spec"]["shareProcessNamespace"].as_bool(), &copy["metadata"]["labels"]),
        (Some(true), &Value::Null)
    );
    common::podlet::until("what the copy says", || podlet.logs("copy", "app") == "copied\n");
    podlet.finish();
}

/// A file of a cgroup of the pod's, by its names in v1 and v2.
fn cgroup(pod: &Value, container: Option<&str>, controller: &str, legacy: &str, unified: &str) -> String {
    let below = format!("podlet/pod{}/{}", kills::uid(pod), container.unwrap_or_default());
    let v1 = Path::new("/sys/fs/cgroup").join(controller).join(&below).join(legacy);
    let places: [PathBuf; 2] = [v1, Path::new("/sys/fs/cgroup").join(&below).join(unified)];
    let found = places.iter().find_map(|path| fs::read_to_string(path).ok());
    found.unwrap_or_else(|| panic!("none of {places:?}")).split_whitespace().next().unwrap().to_owned()
}

fn memory(pod: &Value, container: Option<&str>) -> String {
    cgroup(pod, container, "memory", "memory.limit_in_bytes", "memory.max")
}

fn quota(pod: &Value, container: Option<&str>) -> String {
    cgroup(pod, container, "cpu", "cpu.cfs_quota_us", "cpu.max")
}

fn sized(memory: &str, cpu: &str, policy: &str) -> String {
    pod(
        "Always",
        LIVES,
        &format!(
            "resources: {{limits: {{memory: {memory}, cpu: {cpu}}}}}\n    resizePolicy: [{{resourceName: memory, \
             restartPolicy: {policy}}}]"
        ),
    )
}

fn is_resized(pod: &Value, memory: &str, cpu: &str) -> bool {
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let resources = &container(pod, "app")["resources"]["limits"];
    let under_way = conditions.iter().any(|condition| condition["type"] == "PodResizeInProgress");
    !under_way && resources["memory"] == memory && resources["cpu"] == cpu
}

#[test]
fn cpu_and_memory_change_in_the_cgroups_of_what_runs() {
    let podlet = Podlet::new();
    podlet.apply(&sized("64Mi", "200m", "NotRequired"));
    let before = running(&podlet, "app");
    assert_eq!((memory(&before, Some("app")), quota(&before, None)), ("67108864".to_owned(), "20000".to_owned()));
    // Up, down, and by each way.
    assert_eq!(podlet.apply(&sized("128Mi", "400m", "NotRequired")), "pod/web configured\n");
    let pod = podlet.wait("web", |pod| is_resized(pod, "128Mi", "400m"));
    for whose in [Some("app"), None] {
        assert_eq!((memory(&pod, whose), quota(&pod, whose)), ("134217728".to_owned(), "40000".to_owned()));
    }
    assert_eq!(pod["status"]["containerStatuses"][0]["allocatedResources"]["memory"], "128Mi");
    let down = ["set", "resources", "pod/web", "--limits=memory=32Mi,cpu=100m", "--requests=memory=32Mi,cpu=100m"];
    assert_eq!(podlet.succeed(&down), "pod/web resource requirements updated\n");
    let pod = podlet.wait("web", |pod| is_resized(pod, "32Mi", "100m"));
    for whose in [Some("app"), None] {
        assert_eq!((memory(&pod, whose), quota(&pod, whose)), ("33554432".to_owned(), "10000".to_owned()));
    }
    assert_eq!(container(&pod, "app")["containerID"], container(&before, "app")["containerID"]);
    assert_eq!(container(&pod, "app")["restartCount"], 0);
    let events = podlet.succeed(&["events", "--for=pod/web"]);
    assert!(events.contains("Pod resize started: {\"containers\":[{\"name\":\"app\""), "{events}");
    assert!(events.contains("Pod resize completed: "), "{events}");
    // What the API server would not have.
    for (words, text) in [
        (["--limits=memory=64Mi", "--requests=memory=32Mi"], "Pod QOS Class may not change as a result of resizing"),
        (["--limits=memory=16Mi", "--requests=memory=32Mi"], "must be less than or equal to memory limit"),
    ] {
        let said = podlet.fail(&[&["set", "resources", "pod/web"][..], &words].concat());
        assert!(said.contains(text), "{said}");
    }
    let taken = podlet.try_apply(&sized("32Mi", "100m", "NotRequired").replace(", cpu: 100m", ""), &[]);
    assert!(
        text(&taken.stderr)
            .contains("spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed")
    );
    podlet.finish();
}

#[test]
fn a_limit_below_what_is_in_use_is_not_set() {
    let podlet = Podlet::new();
    podlet.apply(&sized("64Mi", "200m", "NotRequired"));
    let before = running(&podlet, "app");
    podlet.succeed(&["exec", "web", "--", "dd", "if=/dev/zero", "of=/dev/shm/filled", "bs=1M", "count=24"]);
    podlet.apply(&sized("16Mi", "100m", "NotRequired"));
    let pod = podlet.wait("web", |pod| pod["status"]["conditions"][0]["reason"] == "Error");
    let condition = &pod["status"]["conditions"][0];
    assert_eq!(condition["type"], "PodResizeInProgress");
    let message = condition["message"].as_str().unwrap();
    let begins = "cannot decrease memory limits: ";
    let names = "attempting to set container \"app\" memory limit (16777216) below current usage (";
    assert!(message.starts_with(begins) && message.contains(names), "{message}");
    // Nothing of it was done.
    assert_eq!((memory(&pod, Some("app")), quota(&pod, Some("app"))), ("67108864".to_owned(), "20000".to_owned()));
    assert_eq!(container(&pod, "app")["resources"]["limits"]["memory"], "64Mi");
    podlet.succeed(&["exec", "web", "--", "rm", "/dev/shm/filled"]);
    let pod = podlet.wait("web", |pod| is_resized(pod, "16Mi", "100m"));
    assert_eq!(memory(&pod, Some("app")), "16777216");
    assert_eq!(container(&pod, "app")["containerID"], container(&before, "app")["containerID"]);
    podlet.finish();
}

#[test]
fn a_resize_for_which_there_is_no_room_waits_until_another_pod_goes() {
    // R-9.7-d.
    let podlet = Podlet::new();
    let asks = |cpu: &str, memory: &str| {
        pod(
            "Always",
            LIVES,
            &format!("resources: {{limits: {{memory: {memory}}}, requests: {{cpu: {cpu}, memory: 8Mi}}}}"),
        )
    };
    // More than any machine has.
    podlet.apply(&asks("9000", "64Mi").replace("name: web", "name: other"));
    podlet.wait("other", |pod| container(pod, "app")["state"]["running"].is_object());
    awake(&podlet, &asks("100m", "64Mi"));
    let before = running(&podlet, "app");
    podlet.apply(&asks("200m", "128Mi"));
    let pending = |pod: &Value| pod["status"]["conditions"][0]["type"] == "PodResizePending";
    let shown = podlet.wait("web", pending);
    let condition = &shown["status"]["conditions"][0];
    assert_eq!((condition["reason"].as_str(), condition["status"].as_str()), (Some("Deferred"), Some("True")));
    assert_eq!(condition["observedGeneration"], shown["metadata"]["generation"]);
    let message = condition["message"].as_str().unwrap();
    let begins = "Node didn't have enough resource: cpu, requested: 200, used: 9000000, capacity: ";
    assert!(message.starts_with(begins), "{message}");
    assert!(podlet.succeed(&["describe", "pod", "web"]).contains("PodResizePending"));
    assert!(
        podlet
            .succeed(&["events", "--for=pod/web"])
            .contains("Pod resize OutOfcpu: {\"containers\":[{\"name\":\"app\"")
    );
    // What it was given holds, for the next instance of the container and for the next supervisor, too.
    podlet.succeed(&["restart", "web", "-c", "app"]);
    podlet.wait("web", |pod| {
        container(pod, "app")["restartCount"] == 1 && container(pod, "app")["state"]["running"].is_object()
    });
    kills::kill_at_once(&kills::uid(&before), &[Part::Supervisor]);
    podlet.succeed(&["exec", "web", "--", "true"]);
    let shown = podlet.pod("web");
    assert!(pending(&shown), "{}", shown["status"]["conditions"]);
    assert_eq!(memory(&shown, Some("app")), "67108864");
    assert_eq!(container(&shown, "app")["allocatedResources"]["cpu"], "100m");
    assert_eq!(shown["spec"]["containers"][0]["resources"]["requests"]["cpu"], "200m");
    podlet.succeed(&["delete", "pod", "other", "--now"]);
    let grown =
        podlet.wait("web", |pod| !pending(pod) && container(pod, "app")["resources"]["limits"]["memory"] == "128Mi");
    assert_eq!(memory(&grown, Some("app")), "134217728");
    assert_eq!(container(&grown, "app")["allocatedResources"]["cpu"], "200m");
    assert_eq!(container(&grown, "app")["containerID"], container(&shown, "app")["containerID"]);
    podlet.finish();
}

#[test]
fn a_container_is_started_anew_where_its_resize_policy_says_so() {
    let podlet = Podlet::new();
    podlet.apply(&sized("64Mi", "200m", "RestartContainer"));
    running(&podlet, "app");
    // The other resource has no policy.
    podlet.apply(&sized("64Mi", "300m", "RestartContainer"));
    let pod = podlet.wait("web", |pod| is_resized(pod, "64Mi", "300m"));
    assert_eq!(container(&pod, "app")["restartCount"], 0);
    podlet.apply(&sized("96Mi", "300m", "RestartContainer"));
    let pod = podlet.wait("web", |pod| {
        let status = container(pod, "app");
        status["restartCount"] == 1 && status["state"]["running"].is_object() && is_resized(pod, "96Mi", "300m")
    });
    assert_eq!((memory(&pod, Some("app")), memory(&pod, None)), ("100663296".to_owned(), "100663296".to_owned()));
    let events = podlet.succeed(&["events", "--for=pod/web"]);
    assert!(events.contains("Container app resize requires restart"), "{events}");
    podlet.finish();
}

#[test]
fn what_has_ended_has_no_cgroup() {
    let podlet = Podlet::new();
    let manifest = pod("Always", LIVES, "").replace(
        "  containers:\n",
        "  initContainers: [{name: first, image: podlet.local/host, command: [\"true\"]}]\n  containers:\n",
    );
    podlet.apply(&manifest);
    let pod = podlet.wait("web", |pod| {
        let init = &pod["status"]["initContainerStatuses"][0];
        init["state"]["terminated"].is_object() && container(pod, "app")["state"]["running"].is_object()
    });
    // Asked something, the supervisor has done with what was before.
    podlet.succeed(&["exec", "web", "--", "true"]);
    let roots = fs::read_dir("/sys/fs/cgroup").unwrap().map(|entry| entry.unwrap().path());
    for root in roots.chain(["/sys/fs/cgroup".into()]) {
        let left = root.join(format!("podlet/pod{}/first", kills::uid(&pod)));
        assert!(!left.exists(), "{}", left.display());
    }
    podlet.finish();
}
