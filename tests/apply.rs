//! `podlet apply` through the program: `--dry-run`, `--trace`, `--wait`, and several objects at once.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use common::podlet::{Podlet, container, text};
use common::tracer::{self, Last};
use serde_json::{Value, json};

fn pod(name: &str, policy: &str, containers: Value) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"restartPolicy": policy, "hostNetwork": true, "terminationGracePeriodSeconds": 1, "containers": containers}
    })
    .to_string()
}

fn actor(name: &str, arguments: &[&str]) -> Value {
    json!({"name": name, "image": "podlet.local/actor", "args": arguments})
}

fn sleeper(name: &str) -> String {
    pod(name, "Always", json!([actor("a", &["sleep", "1000s"])]))
}

/// The words of one `apply -f -`: exit code, stdout, stderr.
fn apply(podlet: &Podlet, manifest: &str, words: &[&str]) -> (Option<i32>, String, String) {
    let output = podlet.try_apply(manifest, words);
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let podlet = Podlet::new();
    let config = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"a": "1"}}"#;
    let both = format!("{}\n---\n{config}\n", sleeper("web"));
    for (words, note) in
        [("--dry-run", "dry run"), ("--dry-run=client", "dry run"), ("--dry-run=server", "server dry run")]
    {
        let (code, out, err) = apply(&podlet, &both, &[words]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        assert_eq!(out, format!("pod/web created ({note})\nconfigmap/conf created ({note})\n"));
    }
    // What a server takes and podlet does not is told.
    let other = sleeper("web").replace("\"spec\":{", "\"spec\":{\"runtimeClassName\":\"gvisor\",");
    let (code, out, err) = apply(&podlet, &other, &["--dry-run=server"]);
    assert_eq!((code, out.as_str()), (Some(0), "pod/web created (server dry run)\n"));
    assert!(err.contains("podlet will not: spec.runtimeClassName: "), "{err}");
    let (_, out, _) = apply(&podlet, &both, &["--dry-run=server", "-o", "name"]);
    assert_eq!(out, "pod/web\nconfigmap/conf\n");
    assert_eq!(text(&podlet.run(&["get", "pods,configmaps"]).stdout), "");

    // The object as a server would store it: with its defaults, and nothing that only a pod that runs has.
    let (_, out, _) = apply(&podlet, &sleeper("web"), &["--dry-run=server", "-o", "json"]);
    let object: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(object["spec"]["dnsPolicy"], "ClusterFirst");
    assert_eq!(object["spec"]["containers"][0]["terminationMessagePath"], "/dev/termination-log");
    assert_eq!(object["metadata"]["generation"], 1);
    assert_eq!(object["metadata"].get("uid"), None);
    let (_, out, _) = apply(&podlet, &both, &["--dry-run=client", "-o", "yaml"]);
    assert!(out.starts_with("apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n"), "{out}");

    // Against what is there.
    podlet.apply(&both);
    let (_, out, _) = apply(&podlet, &both, &["--dry-run=server"]);
    assert_eq!(out, "pod/web unchanged (server dry run)\nconfigmap/conf unchanged (server dry run)\n");
    let image = sleeper("web").replace("podlet.local/actor", "podlet.local/host");
    let (_, out, _) =
        apply(&podlet, &format!("{image}\n---\n{}", config.replace("\"1\"", "\"2\"")), &["--dry-run=client"]);
    assert_eq!(out, "pod/web configured (dry run)\nconfigmap/conf configured (dry run)\n");
    let refused = pod("web", "Never", json!([actor("a", &["sleep", "1000s"])]));
    let (code, out, err) = apply(&podlet, &refused, &["--dry-run=server", "-o", "json"]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("The Pod \"web\" is invalid: spec: Forbidden: pod updates may not change fields"), "{err}");
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&status["kind"], &status["reason"], &status["code"]),
        (&json!("Status"), &json!("Invalid"), &json!(422))
    );
    let (code, out, _) = apply(&podlet, &refused, &["--dry-run=server", "--replace"]);
    assert_eq!((code, out.as_str()), (Some(0), "pod/web replaced (server dry run)\n"));

    let now = podlet.pod("web");
    assert_eq!(now["spec"]["containers"][0]["image"], "podlet.local/actor");
    assert_eq!((&now["metadata"]["generation"], &now["spec"]["restartPolicy"]), (&json!(1), &json!("Always")));
    assert!(podlet.succeed(&["get", "configmap", "conf", "-o", "yaml"]).contains("a: \"1\""));

    let (code, out, err) = apply(&podlet, &sleeper("Web"), &["--dry-run=server", "-o", "json"]);
    assert_eq!(code, Some(1));
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status["details"]["causes"][0]["field"], "metadata.name", "{err}");
    // It is told before anything is read.
    let err = podlet.fail(&["apply", "--dry-run=perhaps", "no-such-file.yaml"]);
    assert_eq!(err, "error: Invalid dry-run value (perhaps). Must be \"none\", \"server\", or \"client\".\n");
    podlet.succeed(&["delete", "configmap", "conf"]);
    podlet.finish();
}

#[test]
fn a_trace_shows_each_step_with_its_calls_results_and_times() {
    let podlet = Podlet::new();
    let (code, out, err) = apply(&podlet, &sleeper("web"), &["--trace"]);
    assert_eq!(code, Some(0), "{err}");
    let mut parts = out.split("\n\n");
    assert_eq!(parts.next(), Some("pod/web created"));
    let titles: Vec<&str> = parts.map(|part| part.lines().next().unwrap()).collect();
    assert_eq!(titles, ["sandbox", "container a"], "{out}");
    // Steps are numbered from 1 without a gap; each has calls, and each call a result and a time.
    let container = out.split_once("\ncontainer a\n").unwrap().1;
    let is_step = |line: &&str| !line.starts_with("         ");
    let numbers: Vec<usize> = container
        .lines()
        .filter(is_step)
        .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len()) && numbers.len() > 20, "{numbers:?}");
    let calls: Vec<&str> = container.lines().filter(|line| !is_step(line)).map(str::trim).collect();
    let (last, others) = calls.split_last().unwrap();
    for call in others {
        assert!(call.contains(") = ") && (call.ends_with(" us>") || call.ends_with(" ms>")), "{call}");
    }
    assert!(
        last.starts_with("execve(\"/actor\", [\"/actor\", \"sleep\", \"1000s\"]")
            && last.ends_with("(the program runs)"),
        "{last}"
    );
    assert!(others.iter().any(|call| call.starts_with("pivot_root(")), "{out}");

    // A pod that was made without it has none, and that is no error.
    podlet.apply(&sleeper("plain"));
    let (code, out, err) = apply(&podlet, &sleeper("plain"), &["--trace"]);
    assert_eq!((code, out.as_str()), (Some(0), "pod/plain unchanged\n"));
    assert!(err.contains("Note: no trace of pod/plain: it was set going without --trace"), "{err}");

    // A start that fails is traced up to where it failed, also when the pod is over before its trace is read.
    let broken = pod("broken", "Never", json!([{"name": "a", "image": "podlet.local/actor", "command": ["/no/such"]}]));
    let (code, out, _) = apply(&podlet, &broken, &["--trace"]);
    assert_eq!(code, Some(0));
    let last = out.lines().last().unwrap();
    assert!(last.trim().starts_with("execve(\"/no/such\"") && last.contains("= -1 ENOENT"), "{out}");
    podlet.finish();
}

#[test]
fn wait_comes_back_with_what_became_of_the_pod() {
    let podlet = Podlet::new();
    let (code, out, _) = apply(&podlet, &sleeper("web"), &["--wait"]);
    assert_eq!((code, out.as_str()), (Some(0), "pod/web created\npod/web is ready\n"));
    let job = pod("job", "Never", json!([actor("a", &["exit", "0"])]));
    let (code, out, err) = apply(&podlet, &job, &["--wait"]);
    // Such a short one may be seen ready before it has succeeded.
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("pod/job created\npod/job "), "{out}");

    let two = |name: &str, arguments: &[&str]| {
        pod(
            name,
            "Always",
            json!([actor("crash", arguments), {
                "name": "never-there", "image": "localhost/no-such:1", "imagePullPolicy": "IfNotPresent"
            }]),
        )
    };
    let words = ["--wait", "--crash-backoff-initial=50", "--crash-backoff-max=100"];
    let (code, out, err) = apply(&podlet, &two("loop", &["exit", "9"]), &words);
    assert_eq!((code, out.as_str()), (Some(9), "pod/loop created\n"), "{err}");
    let why = "error: pod/loop will not become ready: container crash keeps ending (exit code 9): back-off 100ms restarting \
               failed container=crash";
    assert!(err.contains(why), "{err}");
    // What it had seen before this apply does not count: the third back-off from here on is waited for.
    let seen = container(&podlet.pod("loop"), "crash")["restartCount"].as_u64().unwrap();
    let (code, _, err) = apply(&podlet, &two("loop", &["exit", "9"]), &words);
    assert_eq!(code, Some(9), "{err}");
    let now = container(&podlet.pod("loop"), "crash")["restartCount"].as_u64().unwrap();
    assert!(now >= seen + 2, "three back-offs are two restarts apart: {seen}, {now}");

    let (code, _, err) =
        apply(&podlet, &sleeper("late").replace("podlet.local/actor", "localhost/no:1"), &["--wait", "--timeout=1s"]);
    assert_eq!(code, Some(1));
    assert!(err.ends_with("error: timed out waiting for the condition on pods/late\n"), "{err}");
    podlet.finish();
}

#[test]
fn wait_tells_what_is_in_the_way() {
    let podlet = Podlet::new();
    let mounted = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "a", "image": "podlet.local/actor", "args": ["sleep", "1000s"],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
            "volumes": [{"name": "v", "configMap": {"name": "conf"}}]
        }
    })
    .to_string();
    let config = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"a": "1"}}"#;
    let mut command = podlet.command(&["apply", "-f", "-", "--wait"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(mounted.as_bytes()).unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(|line| line.unwrap());
    let obstacle =
        "Note: pod/web: FailedMount: MountVolume.SetUp failed for volume \"v\" : configmap \"conf\" not found";
    assert!(said.by_ref().any(|line| line == obstacle));
    podlet.apply(config);
    // Once is enough, however often it is tried again.
    assert!(said.all(|line| line != obstacle));
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "pod/web created\npod/web is ready\n"));
    podlet.succeed(&["delete", "configmap", "conf"]);
    podlet.succeed(&["delete", "pod", "web"]);

    // In one file the order does not count: the object is there before the pod looks for it.
    let (code, out, err) = apply(&podlet, &format!("{mounted}\n---\n{config}\n"), &["--wait"]);
    assert_eq!((code, out.as_str()), (Some(0), "pod/web created\nconfigmap/conf created\npod/web is ready\n"), "{err}");
    // A notice is told once, whether it came with the sandbox or later with a container's start.
    let mut notices: Vec<&str> = err.lines().filter(|line| line.starts_with("Note: ")).collect();
    let annotation = podlet.pod("web")["metadata"]["annotations"]["podlet.dev/notices"].as_str().unwrap().to_owned();
    let mut published: Vec<String> = annotation.lines().map(|line| format!("Note: {line}")).collect();
    notices.sort_unstable();
    published.sort_unstable();
    assert_eq!(notices, published);
    podlet.succeed(&["delete", "configmap", "conf"]);
    podlet.finish();
}

/// The supervisor that prepared a start dies when the process has just been made: the next one has only the number of the
/// call that failed, and still tells what it was.
#[test]
fn a_start_that_is_taken_over_and_fails_says_what_failed() {
    let podlet = Podlet::new();
    for (name, user) in [("root", 0), ("user", 1000)] {
        let mut broken = json!([{"name": "a", "image": "podlet.local/actor", "command": ["/no/such"]}]);
        broken[0]["securityContext"] = json!({"runAsUser": user});
        // The first that is made is pause.
        let (output, tracer) = tracer::apply(&podlet, &pod(name, "Never", broken), &[], Some(Last::Start(2)));
        assert!(output.status.success(), "{}", text(&output.stderr));
        let state = podlet.wait(name, |pod| pod["status"]["phase"] == "Failed");
        let ended = &container(&state, "a")["state"]["terminated"];
        assert_eq!(ended["message"], "exec: \"/no/such\": stat /no/such: no such file or directory", "{ended}");
        assert_eq!(ended["reason"], "StartError");
        assert_eq!(container(&state, "a")["user"]["linux"]["uid"], user);
        tracer.finish();
    }
    podlet.finish();
}

/// Set going a few at a time, told in the order of the file; those that are there already among them.
#[test]
fn many_pods_of_one_file_are_told_in_its_order() {
    let podlet = Podlet::new();
    let pod = |number: usize| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: many-{number}}}\nspec:\n  containers:\n  - name: main\n    \
             image: podlet.local/actor\n    args: [sleep, forever]\n"
        )
    };
    podlet.apply(&pod(3));
    let file = (0..12).map(pod).collect::<Vec<_>>().join("---\n");
    let said = |number: usize| format!("pod/many-{number} {}\n", if number == 3 { "unchanged" } else { "created" });
    assert_eq!(podlet.apply(&file), (0..12).map(said).collect::<String>());
    assert_eq!(podlet.succeed(&["get", "pods", "-o", "name"]).lines().count(), 12);
    podlet.finish();
}
