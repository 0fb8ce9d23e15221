//! Bad manifests, bad images, bad commands, full disks, missing rights, two commands at once: each is answered with what is
//! wrong, and nothing of it stays on the host.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::podlet::{PROGRAM, Podlet, container, processes_of, text, until};
use serde_json::{Value, json};

/// A pod with one container of these fields and this restart policy.
fn pod(name: &str, policy: &str, fields: Value) -> String {
    let mut container = json!({"name": "a", "image": "podlet.local/host", "command": ["sleep", "1000"]});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"restartPolicy": policy, "hostNetwork": true, "terminationGracePeriodSeconds": 1, "containers": [container]}
    })
    .to_string()
}

fn refused(podlet: &Podlet, manifest: &str) -> String {
    let output = podlet.try_apply(manifest, &[]);
    assert_eq!(output.status.code(), Some(1), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
    text(&output.stderr)
}

fn waiting(pod: &Value) -> &str {
    container(pod, "a")["state"]["waiting"]["reason"].as_str().unwrap_or_default()
}

fn is_running(pod: &Value) -> bool {
    container(pod, "a")["state"]["running"].is_object()
}

fn mount(what: &[&str]) {
    let output = Command::new("mount").args(what).output().unwrap();
    assert!(output.status.success(), "mount {what:?}: {}", text(&output.stderr));
}

fn unmount(place: &Path) {
    let output = Command::new("umount").arg(place).output().unwrap();
    assert!(output.status.success(), "umount: {}", text(&output.stderr));
}

/// All files and directories below, but for the roots that every command may make.
fn files_below(directory: &Path) -> Vec<String> {
    let output =
        Command::new("find").arg(directory).args(["-mindepth", "2", "-not", "-path", "*/state/images*"]).output();
    text(&output.unwrap().stdout).lines().map(str::to_owned).collect()
}

#[test]
fn what_is_no_pod_is_refused_and_nothing_is_made() {
    let podlet = Podlet::new();
    let twice = json!([{"name": "a", "image": "x"}, {"name": "a", "image": "x"}]);
    let object = |name: &str, containers: Value| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers}})
            .to_string()
    };
    for (manifest, words) in [
        ("a: [b", "not YAML"),
        ("just text", "just text"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: x}", "is passed over: nothing here answers to its name"),
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}", "spec.template: Required value"),
        ("apiVersion: apps/v1\nkind: Pod\nmetadata: {name: x}", "write `apiVersion: v1`"),
        ("services: {web: {image: nginx}}", "Compose file"),
        ("apiVersion: v1\nkind: Pod\nmetadata:\n\tname: x", "not with tabs"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Release.Name }}}", "template"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: 3}", "containers"),
        (&object("web", twice), "Duplicate value: \"a\""),
        (&object("Web_1", json!([{"name": "a", "image": "x"}])), "RFC 1123"),
        (&object("web", json!([{"name": "A B", "image": "x"}])), "RFC 1123"),
        (&object("web", json!([])), "Required value"),
    ] {
        let said = refused(&podlet, manifest);
        assert!(said.contains(words), "{manifest}\nwas answered with\n{said}\nwhich does not name {words}");
    }
    assert_eq!(files_below(&podlet.root), Vec::<String>::new());
    podlet.finish();
}

/// What has not the right form, what is unknown, what is set twice, what podlet refuses and what a server finds wrong are
/// told together, each once, and nothing that only follows from another.
#[test]
fn all_that_is_wrong_is_told_at_once() {
    const WRONG: &str = "
apiVersion: v1
kind: Pod
metadata: {name: Web}
spec:
  restartPolicy: Sometimes
  containers:
  - name: app
    image: a
    imagePullPolcy: Always
    env: [{name: MODE, value: yes}, {name: '', value: x}]
    ports: [{containerPort: 70000}]
    resources: {limits: {memory: 12Q}}
    command: [a]
    command: [b]
    volumeMounts: [{name: data, mountPath: /data, subPath: off}, {name: data, mountPath: ''}]
    terminationMessagePath: /message
  - {name: app, image: [b]}
  - {name: 3, image: ''}
  volumes: [{name: yes, emptyDir: {}}]
  hostUsers: false
";
    let podlet = Podlet::new();
    let said = refused(&podlet, WRONG);
    let told = said.lines().filter_map(|line| line.strip_prefix("<stdin>:")).map(|line| {
        let (place, text) = line.split_once(' ').unwrap();
        let end = text.match_indices(": ").nth(1).map_or(text.len(), |(at, _)| at);
        format!("{place} {}", &text[..end])
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "4:12: metadata.name: Invalid value",
            "6:3: spec.restartPolicy: Unsupported value",
            "10:5: spec.containers[0].imagePullPolcy: unknown field (did you mean \"imagePullPolicy\"?)",
            "11:31: spec.containers[0].env[0].value: expected a string, found the boolean true; yes, no, on, off, y, n, \
             true and false are booleans in Kubernetes' YAML",
            "11:38: spec.containers[0].env[1].name: Required value",
            "12:14: spec.containers[0].ports[0].containerPort: Invalid value",
            "13:34: spec.containers[0].resources.limits[memory]: expected a quantity such as 500m or 64Mi, found the \
             string \"12Q\"",
            "15:5: spec.containers[0].command: set a second time; it was set first at line 14",
            "16:60: spec.containers[0].volumeMounts[0].subPath: expected a string, found the boolean false; yes, no, on, \
             off, y, n, true and false are booleans in Kubernetes' YAML",
            "16:79: spec.containers[0].volumeMounts[1].mountPath: Required value",
            "18:6: spec.containers[1].name: Duplicate value",
            "18:24: spec.containers[1].image: expected a string, found a list",
            "19:12: spec.containers[2].name: expected a string, found the number 3; quote it",
            "19:15: spec.containers[2].image: Required value",
            "20:20: spec.volumes[0].name: expected a string, found the boolean true; yes, no, on, off, y, n, true and \
             false are booleans in Kubernetes' YAML",
            "21:3: spec.hostUsers: hostUsers false is not carried out by podlet yet; --allow-unsupported=hostUsers runs \
             the pod without it",
        ]
    );
    podlet.finish();
}

#[test]
fn images_that_are_not_there() {
    let podlet = Podlet::new();
    podlet.apply(&pod("missing", "Always", json!({"image": "nowhere.example/no/such:1"})));
    podlet.apply(&pod("never", "Always", json!({"image": "nowhere.example/no/such:1", "imagePullPolicy": "Never"})));
    podlet.apply(&pod("badname", "Always", json!({"image": "UPPER/Case:x:y"})));
    let state = podlet.wait("missing", |pod| matches!(waiting(pod), "ErrImagePull" | "ImagePullBackOff"));
    let message = container(&state, "a")["state"]["waiting"]["message"].as_str().unwrap();
    assert!(message.contains("nowhere.example/no/such:1"), "{message}");
    podlet.wait("missing", |pod| waiting(pod) == "ImagePullBackOff");
    podlet.wait("never", |pod| waiting(pod) == "ErrImageNeverPull");
    podlet.wait("badname", |pod| waiting(pod) == "InvalidImageName");
    let events = podlet.succeed(&["events"]);
    assert!(events.contains("ErrImageNeverPull") && events.contains("BackOff"), "{events}");
    podlet.finish();
}

#[test]
fn commands_that_cannot_be_run() {
    let podlet = Podlet::new();
    for (name, command) in [("missing", "/no/such/program"), ("directory", "/usr")] {
        podlet.apply(&pod(name, "Never", json!({"command": [command]})));
        let state = podlet.wait(name, |pod| pod["status"]["phase"] == "Failed");
        let ended = &container(&state, "a")["state"]["terminated"];
        assert_eq!((&ended["reason"], &ended["exitCode"]), (&json!("StartError"), &json!(128)), "{ended}");
        assert_eq!(ended["startedAt"], "1970-01-01T00:00:00Z");
        assert!(ended["message"].as_str().unwrap().contains(command), "{ended}");
        assert!(podlet.succeed(&["describe", "pod", name]).contains("Thu, 01 Jan 1970 00:00:00 +0000"));
    }
    podlet.apply(&pod("again", "Always", json!({"command": ["/no/such/program"]})));
    podlet.wait("again", |pod| waiting(pod) == "RunContainerError");
    let state = podlet.wait("again", |pod| waiting(pod) == "CrashLoopBackOff");
    let last = &container(&state, "a")["lastState"]["terminated"];
    assert_eq!((&last["reason"], &last["exitCode"]), (&json!("StartError"), &json!(128)), "{last}");
    podlet.finish();
}

#[test]
fn a_missing_config_map_is_waited_for() {
    let podlet = Podlet::new();
    let from = json!({"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "x"}}}]});
    podlet.apply(&pod("web", "Always", from));
    let state = podlet.wait("web", |pod| waiting(pod) == "CreateContainerConfigError");
    assert_eq!(container(&state, "a")["state"]["waiting"]["message"], "configmap \"later\" not found");
    podlet.apply(r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "later"}, "data": {"x": "1"}}"#);
    podlet.wait("web", is_running);
    podlet.succeed(&["delete", "configmap", "later"]);
    podlet.finish();
}

#[test]
fn root_is_no_non_root_user() {
    let podlet = Podlet::new();
    podlet.apply(&pod("web", "Always", json!({"securityContext": {"runAsNonRoot": true}})));
    let state = podlet.wait("web", |pod| waiting(pod) == "CreateContainerConfigError");
    let message = container(&state, "a")["state"]["waiting"]["message"].as_str().unwrap();
    assert!(message.contains("runAsNonRoot"), "{message}");
    podlet.finish();
}

/// Refuses a pod on one of podlet's directories that is full or read-only, says which and the way out, and leaves nothing.
fn is_refused_without_room(directory: &str, variable: &str) {
    let podlet = Podlet::new();
    let path = podlet.root.join(directory);
    let place = path.to_str().unwrap();
    fs::create_dir(&path).unwrap();
    for (options, words) in [
        // One page, which the file takes.
        ("size=4k", "No space left on device"),
        // One for the root, one for the file.
        ("nr_inodes=2", "No space left on device"),
        ("ro", "Read-only file system"),
    ] {
        mount(&["-t", "tmpfs", "-o", options, "tmpfs", place]);
        if options != "ro" {
            fs::write(path.join("full"), vec![0; 4096]).unwrap();
        }
        let said = refused(&podlet, &pod("web", "Never", json!({})));
        assert!(said.contains(words) && said.contains(place) && said.contains(variable), "{options}: {said}");
        let left: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "full"), "{options}: {left:?}");
        unmount(&path);
        assert_eq!(podlet.succeed(&["get", "pods", "-o", "name"]), "");
        assert_eq!(files_below(&podlet.root), Vec::<String>::new());
    }
    podlet.finish();
}

#[test]
fn a_state_directory_that_cannot_be_written_to() {
    is_refused_without_room("state", "PODLET_STATE_DIR");
}

#[test]
fn a_run_directory_that_cannot_be_written_to() {
    is_refused_without_room("run", "PODLET_RUN_DIR");
}

/// A pod whose directories cannot be made runs as soon as they can.
#[test]
fn a_state_directory_that_is_full_to_the_last_inode() {
    let podlet = Podlet::new();
    let state = podlet.root.join("state");
    let place = state.to_str().unwrap();
    fs::create_dir(&state).unwrap();
    // The root, names/default with lock and name, pods/UID with manifest and kept state: not one more.
    mount(&["-t", "tmpfs", "-o", "nr_inodes=9", "tmpfs", place]);
    podlet.apply(&pod("web", "Never", json!({})));
    until("the event that says why", || podlet.succeed(&["events"]).contains("FailedCreatePodSandBox"));
    let events = podlet.succeed(&["events"]);
    assert!(events.contains(place) && events.contains("No space left on device"), "{events}");
    assert!(events.contains("df -i"), "{events}");
    mount(&["-o", "remount,nr_inodes=0", place]);
    podlet.wait("web", is_running);
    podlet.succeed(&["delete", "pod", "web", "--now"]);
    unmount(&state);
    podlet.finish();
}

/// A script in namespaces of its own, after `prepare` has taken something from the machine there. Its `podlet` is this
/// test's; answers its exit code and all that it printed.
fn on_a_machine_without(podlet: &Podlet, prepare: &str, script: &str) -> (Option<i32>, String) {
    let mut command = Command::new("unshare");
    let words = ["--mount", "--propagation=private", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"];
    command.args(words).arg(format!("set -e; exec 2>&1; podlet() {{ {PROGRAM} \"$@\"; }}; {prepare}; {script}"));
    command.envs(podlet.environment());
    let output = command.stdin(Stdio::null()).output().unwrap();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn without_cgroups_one_line_says_so() {
    let podlet = Podlet::new();
    let manifest = podlet.root.join("pod.yaml");
    fs::write(&manifest, pod("web", "Never", json!({}))).unwrap();
    let apply = format!("podlet apply {}", manifest.display());
    // Below the one that is mounted over it the others are in mountinfo as ever.
    let hide = "mount -t tmpfs none /sys/fs/cgroup";
    let (code, said) = on_a_machine_without(&podlet, hide, &apply);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("error: no cgroup hierarchy is at hand") && said.lines().count() == 1, "{said}");
    assert!(said.contains("mount -t cgroup2 cgroup2 /sys/fs/cgroup"), "{said}");
    let (code, said) = on_a_machine_without(&podlet, hide, "podlet doctor");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("missing  cgroups ") && said.ends_with("one thing is missing.\n"), "{said}");
    fs::remove_file(&manifest).unwrap();
    assert_eq!(fs::read_dir(&podlet.root).unwrap().count(), 0);
    podlet.finish();
}

#[test]
fn where_no_memfd_may_be_executed_pods_run_all_the_same() {
    let setting = "/proc/sys/vm/memfd_noexec";
    if !Path::new(setting).exists() {
        println!("not tried: this kernel has no vm.memfd_noexec");
        return;
    }
    let podlet = Podlet::new();
    let manifest = podlet.root.join("pod.yaml");
    fs::write(&manifest, pod("web", "Never", json!({}))).unwrap();
    // The setting is the PID namespace's own (the kernel's Documentation/admin-guide/sysctl/vm.rst).
    let script = format!(
        "podlet doctor; podlet apply --wait {}; podlet exec web -- echo inside; podlet delete pod web",
        manifest.display()
    );
    let (code, said) = on_a_machine_without(&podlet, &format!("echo 2 >{setting}"), &script);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("lesser   programs in memory") && said.contains("Pods can run here."), "{said}");
    let end = "pod/web created\npod/web is ready\ninside\npod \"web\" deleted from default namespace\n";
    assert!(said.ends_with(end), "{said}");
    fs::remove_file(&manifest).unwrap();
    assert_eq!(files_below(&podlet.root), Vec::<String>::new());
    podlet.finish();
}

#[test]
fn without_rights_one_line_says_what_to_type() {
    let podlet = Podlet::new();
    let manifest = podlet.root.join("pod.yaml");
    fs::write(&manifest, pod("web", "Never", json!({}))).unwrap();
    // Where everybody may execute it.
    let program = podlet.root.join("podlet");
    fs::copy(PROGRAM, &program).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).arg("apply").arg(&manifest);
    let output = command.envs(podlet.environment()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.lines().count() == 1 && said.contains("sudo "), "{said}");
    fs::remove_file(&program).unwrap();
    fs::remove_file(&manifest).unwrap();
    assert_eq!(fs::read_dir(&podlet.root).unwrap().count(), 0);
    podlet.finish();
}

#[test]
fn apply_while_the_pod_of_that_name_is_being_deleted() {
    let podlet = Podlet::new();
    // sh as PID 1 ignores the SIGTERM that it has no handler for: the grace period is waited for.
    let stubborn = pod("web", "Never", json!({"command": ["sh", "-c", "while :; do sleep 1; done"]}));
    let stubborn = stubborn.replace("\"terminationGracePeriodSeconds\":1", "\"terminationGracePeriodSeconds\":600");
    podlet.apply(&stubborn);
    podlet.wait("web", is_running);
    podlet.succeed(&["delete", "pod", "web", "--wait=false"]);
    let said = refused(&podlet, &stubborn);
    assert!(said.contains("is being deleted") && said.contains("--replace"), "{said}");
    podlet.finish();
}

#[test]
fn of_many_applies_at_once_exactly_one_creates() {
    let podlet = Podlet::new();
    let manifest = podlet.root.join("pod.yaml");
    fs::write(&manifest, pod("web", "Never", json!({}))).unwrap();
    let spawn = |_| {
        let mut command = podlet.command(&["apply", "-f", manifest.to_str().unwrap()]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(spawn).collect();
    let outputs: Vec<Output> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    let mut said: Vec<String> = outputs.iter().map(|output| text(&output.stdout) + &text(&output.stderr)).collect();
    said.sort();
    let unchanged = "pod/web unchanged\n";
    assert_eq!(said, ["pod/web created\n", unchanged, unchanged, unchanged]);
    fs::remove_file(&manifest).unwrap();
    podlet.finish();
}

#[test]
fn what_an_earlier_boot_left_is_shown_as_unknown_and_started_again_by_apply() {
    let podlet = Podlet::new();
    let manifest = pod("web", "Always", json!({}));
    podlet.apply(&manifest);
    let state = podlet.wait("web", is_running);
    let uid = state["metadata"]["uid"].as_str().unwrap();
    let kept = podlet.root.join("state/pods").join(uid).join("kept.json");
    let is_kept = |word: &str| fs::read_to_string(&kept).is_ok_and(|text| text.contains(word));
    until("the running pod is kept", || is_kept("\"running\""));
    // As a power cut would: everything at once, keepers first.
    until("nothing of the pod runs", || {
        let left = processes_of(uid);
        for pid in &left {
            // One that has ended meanwhile is what is wanted.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), nix::sys::signal::SIGKILL);
        }
        left.is_empty()
    });
    for file in [kept.clone(), podlet.root.join("run/pods").join(uid).join("orders.json")] {
        let mut content: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        for key in ["bootId", "boot_id"] {
            if content.get(key).is_some() {
                content[key] = json!("00000000-0000-0000-0000-000000000000");
            }
        }
        fs::write(&file, content.to_string()).unwrap();
    }
    let seen = podlet.pod("web");
    assert_eq!(seen["status"]["phase"], "Unknown");
    assert!(seen["status"]["message"].as_str().unwrap().contains("started anew"), "{}", seen["status"]);
    assert!(podlet.apply(&manifest).contains("started again"));
    let state = podlet.wait("web", is_running);
    assert_eq!(state["metadata"]["uid"], uid);
    assert_eq!(container(&state, "a")["restartCount"], 1);
    podlet.finish();
}
