//! Verbs that change what is there: `label`, `annotate`, `set`, `patch`, `edit`, `replace`, `create`, `diff`, and `run`, against
//! real pods.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use common::podlet::{Podlet, text};
use serde_json::{Value, json};

fn web(name: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [
            {"name": "a", "image": "podlet.local/actor", "args": ["sleep", "forever"]}]}
    })
    .to_string()
}

const CONFIG: &str = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"k": "v"}}"#;

/// Exit code, stdout, stderr.
fn run(podlet: &Podlet, words: &[&str]) -> (Option<i32>, String, String) {
    let output = podlet.run(words);
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The same with this standard input.
fn run_with(podlet: &Podlet, words: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = podlet.command(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn marks(podlet: &Podlet, kind: &str, name: &str) -> (Value, Value) {
    let object: Value = serde_json::from_str(&podlet.succeed(&["get", kind, name, "-o", "json"])).unwrap();
    let mut annotations = object["metadata"]["annotations"].clone();
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.retain(|key, _| !key.starts_with("podlet.dev/"));
    }
    (object["metadata"]["labels"].clone(), annotations)
}

#[test]
fn marks_are_set_removed_and_outlive_the_manifest() {
    let podlet = Podlet::new();
    podlet.apply(&format!("{}\n---\n{CONFIG}\n", web("web")));
    for (words, out) in [
        (&["label", "pod", "web", "tier=front"][..], "pod/web labeled\n"),
        (&["label", "pod/web", "app=shop", "tier-", "--overwrite"], "pod/web modified\n"),
        (&["label", "pod", "web", "tier=x", "--dry-run=client"], "pod/web labeled (dry run)\n"),
        (&["label", "pods", "--all", "more=1", "-o", "name"], "pod/web\n"),
        (&["label", "configmap", "conf", "kept=yes"], "configmap/conf labeled\n"),
        (&["annotate", "pod", "web", "note=hello world"], "pod/web annotated\n"),
        (&["annotate", "pod", "web", "--list"], "note=hello world\n"),
    ] {
        assert_eq!(run(&podlet, words), (Some(0), out.to_owned(), String::new()), "{words:?}");
    }
    let (code, _, err) = run(&podlet, &["label", "pod", "web", "more=2"]);
    assert_eq!((code, err.as_str()), (Some(1), "error: 'more' already has a value (1), and --overwrite is false\n"));
    assert_eq!(marks(&podlet, "pod", "web").0, json!({"app": "shop", "more": "1"}));
    // The manifest says again what it says, and nothing of what it never said.
    assert_eq!(
        podlet.apply(&format!("{}\n---\n{CONFIG}\n", web("web"))),
        "pod/web configured\nconfigmap/conf unchanged\n"
    );
    assert_eq!(marks(&podlet, "pod", "web"), (json!({"app": "web", "more": "1"}), json!({"note": "hello world"})));
    assert_eq!(marks(&podlet, "configmap", "conf").0, json!({"kept": "yes"}));
    podlet.succeed(&["label", "pod", "web", "more-"]);
    podlet.succeed(&["label", "configmap", "conf", "kept-"]);
    assert_eq!(
        podlet.apply(&format!("{}\n---\n{CONFIG}\n", web("web"))),
        "pod/web unchanged\nconfigmap/conf unchanged\n"
    );
    assert_eq!(marks(&podlet, "pod", "web").0, json!({"app": "web"}));
    assert_eq!(marks(&podlet, "configmap", "conf").0, Value::Null);
    podlet.succeed(&["delete", "pod/web", "configmap/conf"]);
    podlet.finish();
}

#[test]
fn an_ended_pod_is_marked_where_it_lies() {
    let podlet = Podlet::new();
    let ended = web("job")
        .replace("\"sleep\",\"forever\"", "\"exit\",\"0\"")
        .replace("\"spec\":{", "\"spec\":{\"restartPolicy\":\"Never\",");
    podlet.apply(&ended);
    podlet.wait("job", |pod| pod["status"]["phase"] == "Succeeded");
    assert_eq!(podlet.succeed(&["label", "pod", "job", "seen=1"]), "pod/job labeled\n");
    assert_eq!(marks(&podlet, "pod", "job").0, json!({"app": "web", "seen": "1"}));
    assert_eq!(podlet.pod("job")["status"]["phase"], "Succeeded");
    podlet.succeed(&["delete", "pod", "job"]);
    podlet.finish();
}

#[test]
fn an_image_is_set_and_what_may_not_change_is_refused() {
    let podlet = Podlet::new();
    podlet.apply(&web("web"));
    assert_eq!(podlet.succeed(&["set", "image", "pod/web", "a=podlet.local/host"]), "pod/web image updated\n");
    podlet.wait("web", |pod| pod["status"]["containerStatuses"][0]["restartCount"].as_u64() > Some(0));
    assert_eq!(podlet.pod("web")["spec"]["containers"][0]["image"], "podlet.local/host");
    assert_eq!(podlet.fail(&["set", "image", "pod/web", "b=x"]), "error: unable to find container named \"b\"\n");
    let refused = podlet.fail(&["set", "env", "pod/web", "A=b"]);
    assert!(
        refused
            .starts_with("error: failed to patch env update to pod template: Pod \"web\" is invalid: spec: Forbidden"),
        "{refused}"
    );
    assert!(refused.ends_with("| podlet replace --force -f -\n"), "{refused}");
    let changed = podlet.succeed(&["set", "env", "pod/web", "A=b", "--dry-run=client", "-o", "yaml"]);
    let (code, out, err) = run_with(&podlet, &["replace", "--force", "-f", "-"], &changed);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "pod \"web\" deleted from default namespace\npod/web replaced\n"),
        "{err}"
    );
    assert_eq!(podlet.succeed(&["set", "env", "pod/web", "--list"]), "# Pod web, container a\nA=b\n");
    podlet.succeed(&["delete", "pod", "web"]);
    podlet.finish();
}

#[test]
fn create_wants_a_free_name_and_replace_a_taken_one() {
    let podlet = Podlet::new();
    let file = podlet.root.join("web.json");
    fs::write(&file, web("web")).unwrap();
    let file = file.to_str().unwrap();
    let (code, _, err) = run(&podlet, &["replace", "-f", file]);
    assert_eq!(code, Some(1));
    assert_eq!(err, format!("Error from server (NotFound): error when replacing {file:?}: pods \"web\" not found\n"));
    assert_eq!(podlet.succeed(&["create", "-f", file]), "pod/web created\n");
    let (code, _, err) = run(&podlet, &["create", "-f", file]);
    assert_eq!(code, Some(1));
    assert_eq!(
        err,
        format!("Error from server (AlreadyExists): error when creating {file:?}: pods \"web\" already exists\n")
    );
    assert_eq!(run(&podlet, &["diff", "-f", file]), (Some(0), String::new(), String::new()));
    fs::write(file, web("web").replace("\"app\":\"web\"", "\"app\":\"shop\"")).unwrap();
    let (code, out, _) = run(&podlet, &["diff", "-f", file]);
    assert_eq!(code, Some(1));
    assert!(out.contains("\n-    app: web\n+    app: shop\n"), "{out}");
    assert_eq!(run(&podlet, &["diff", "-f", "/nope.yaml"]).0, Some(2));
    let uid = podlet.pod("web")["metadata"]["uid"].clone();
    assert_eq!(podlet.succeed(&["replace", "-f", file]), "pod/web replaced\n");
    assert_eq!(podlet.pod("web")["metadata"]["uid"], uid);
    assert_eq!(podlet.pod("web")["metadata"]["labels"], json!({"app": "shop"}));
    podlet.succeed(&["delete", "-f", file]);
    podlet.finish();
}

#[test]
fn an_edit_is_put_back_and_opened_again_when_it_is_refused() {
    let podlet = Podlet::new();
    podlet.apply(&web("web"));
    let seen = podlet.root.join("seen");
    let edit = |script: &str| {
        let editor = podlet.root.join("editor");
        fs::write(
            &editor,
            format!("#!/bin/sh\nn=$(ls {0}.* 2>/dev/null | wc -l)\ncp \"$1\" {0}.$n\n{script}\n", seen.display()),
        )
        .unwrap();
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
        let output = podlet
            .command(&["edit", "pod", "web"])
            .env("KUBE_EDITOR", &editor)
            .env("TMPDIR", &podlet.root)
            .output()
            .unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let looks = || (0..).map_while(|n| fs::read_to_string(format!("{}.{n}", seen.display())).ok()).collect::<Vec<_>>();
    assert_eq!(edit("true"), (Some(0), String::new(), "Edit cancelled, no changes made.\n".to_owned()));
    let first = looks().remove(0);
    assert!(
        first.starts_with("# Please edit the object below. Lines beginning with a '#' will be ignored,\n"),
        "{first}"
    );
    assert!(first.contains("\n#\napiVersion: v1\nkind: Pod\n"), "{first}");
    assert_eq!(edit(": > \"$1\"").2, "Edit cancelled, saved file was empty.\n");
    assert_eq!(edit("sed -i 's/app: web/app: shop/' \"$1\"").1, "pod/web edited\n");
    assert_eq!(podlet.pod("web")["metadata"]["labels"]["app"], "shop");
    // Refused at first, mended at the second look.
    let before = looks().len();
    let (code, out, err) = edit(
        "case $n in 3) sed -i 's/restartPolicy: Always/restartPolicy: Never/' \"$1\" ;; \
                                 *) sed -i 's/restartPolicy: Never/restartPolicy: Always/; s/app: shop/app: again/' \"$1\" ;; esac",
    );
    assert_eq!((code, out.as_str()), (Some(0), "pod/web edited\n"), "{err}");
    assert_eq!(err, "error: pods \"web\" is invalid\n");
    let again = looks().remove(before + 1);
    assert!(
        again.contains("# pods \"web\" was not valid:\n# * spec: Forbidden: pod updates may not change fields"),
        "{again}"
    );
    assert_eq!(again.matches("# Please edit").count(), 1, "{again}");
    // What cannot be mended is kept for its writer.
    let (code, _, err) = edit("sed -i 's/^kind: Pod/kind: [/' \"$1\"");
    assert_eq!(code, Some(1));
    assert!(err.contains("A copy of your changes has been stored to \""), "{err}");
    assert!(err.ends_with("error: Edit cancelled, no valid changes were saved.\n"), "{err}");
    podlet.succeed(&["delete", "pod", "web"]);
    podlet.finish();
}

#[test]
fn run_is_a_pod_from_the_command_line() {
    let podlet = Podlet::new();
    let image = "--image=podlet.local/actor";
    assert_eq!(podlet.succeed(&["run", "web", image, "--port=80", "--", "sleep", "forever"]), "pod/web created\n");
    let pod = podlet.wait("web", |pod| pod["status"]["phase"] == "Running");
    assert_eq!(pod["metadata"]["labels"], json!({"run": "web"}));
    assert_eq!(pod["spec"]["containers"][0]["ports"][0]["containerPort"], 80);
    assert_eq!(pod["spec"]["restartPolicy"], "Always");
    let (code, _, err) = run(&podlet, &["run", "web", image]);
    assert_eq!((code, err.as_str()), (Some(1), "Error from server (AlreadyExists): pods \"web\" already exists\n"));
    podlet.succeed(&["delete", "pod", "web", "--now"]);

    // Attached: its output, its input, its exit code, and nothing of it left.
    let host = "--image=podlet.local/host";
    let script = "echo out; echo err >&2; read line; echo got $line; exit 7";
    let words = ["run", "job", host, "-i", "--rm", "-q", "--", "sh", "-c", script];
    let (code, out, err) = run_with(&podlet, &words, "hello\n");
    assert_eq!((code, out.as_str()), (Some(7), "out\ngot hello\n"), "{err}");
    assert!(err.ends_with("err\n"), "{err}");
    assert_eq!(run(&podlet, &["get", "pods"]).2, "No resources found in default namespace.\n");
    // What has ended before anybody could attach is shown from its log.
    let words = ["run", "short", host, "--attach", "--rm", "--", "sh", "-c", "echo short; exit 1"];
    let (code, out, err) = run(&podlet, &words);
    assert_eq!((code, out.as_str()), (Some(1), "short\npod \"short\" deleted from default namespace\n"), "{err}");
    assert!(err.contains("pod default/short terminated (Error)\n"), "{err}");
    // Why it cannot run is said.
    let words = ["run", "none", "--image=podlet.local/none", "-i", "--rm", "--pod-running-timeout=3s"];
    let (code, _, err) = run(&podlet, &words);
    assert_eq!(code, Some(1));
    assert!(err.contains("podlet.local/none"), "{err}");
    for (words, said) in [
        (&["run", image][..], "error: NAME is required for run\nSee 'podlet run -h' for help and examples\n"),
        (&["run", "x"], "error: required flag(s) \"image\" not set\n"),
        (
            &["run", "x", image, "-t"],
            "error: -i/--stdin is required for containers with -t/--tty=true\nSee 'podlet run -h' for help and examples\n",
        ),
        (
            &["run", "x", image, "--rm"],
            "error: --rm should only be used for attached containers\nSee 'podlet run -h' for help and examples\n",
        ),
        (
            &["run", "x", image, "--restart=Maybe"],
            "error: invalid restart policy: Maybe\nSee 'podlet run -h' for help and examples\n",
        ),
    ] {
        assert_eq!(run(&podlet, words), (Some(1), String::new(), said.to_owned()), "{words:?}");
    }
    podlet.finish();
}

#[test]
fn fields_are_patched() {
    let podlet = Podlet::new();
    podlet.apply(&format!("{}\n---\n{CONFIG}\n", web("web")));
    let file = podlet.root.join("patch.yaml");
    fs::write(&file, "data:\n  more: '1'\n").unwrap();
    let file = file.to_str().unwrap();
    for (words, out) in [
        (&["patch", "pod", "web", "-p", r#"{"spec":{"activeDeadlineSeconds":600}}"#][..], "pod/web patched\n"),
        (&["patch", "pod/web", "-p", "spec: {activeDeadlineSeconds: 600}"], "pod/web patched (no change)\n"),
        (&["patch", "cm", "conf", "--patch-file", file], "configmap/conf patched\n"),
        (
            &["patch", "cm", "conf", "--type=merge", "-p", "data: {k: null}", "-o", "jsonpath={.data}"],
            r#"{"more":"1"}"#,
        ),
        (
            &[
                "patch",
                "pod",
                "web",
                "--type",
                "json",
                "-p",
                r#"[{"op":"add","path":"/metadata/labels/tier","value":"front"}]"#,
            ],
            "pod/web patched\n",
        ),
        (
            &["patch", "pod", "web", "-p", "metadata: {labels: {x: z}}", "--dry-run=server"],
            "pod/web patched (server dry run)\n",
        ),
        (
            &["patch", "pod", "web", "-p", "metadata: {labels: {x: z}}", "--dry-run=client"],
            "pod/web patched (dry run)\n",
        ),
    ] {
        assert_eq!(run(&podlet, words), (Some(0), out.to_owned(), String::new()), "{words:?}");
    }
    // The part for resources takes nothing else, and says nothing of it.
    let resize = ["patch", "pod", "web", "--subresource=resize", "-p"];
    let marked = [&resize[..], &["metadata: {labels: {x: z}}"]].concat();
    assert_eq!(run(&podlet, &marked), (Some(0), "pod/web patched (no change)\n".to_owned(), String::new()));
    let pod = podlet.pod("web");
    assert_eq!(pod["spec"]["activeDeadlineSeconds"], 600);
    assert_eq!(pod["metadata"]["labels"], json!({"app": "web", "tier": "front"}));
    for (words, said) in [
        (
            &["patch", "pod", "web", "-p", "spec: {hostname: x}"][..],
            "The Pod \"web\" is invalid: spec: Forbidden: pod updates may not",
        ),
        (
            &["patch", "pod", "web", "-p", "metadata: {name: x}"],
            "the name of the object (x) does not match the name on the URL (web)",
        ),
        (&["patch", "pod", "nope", "-p", "{}"], "Error from server (NotFound): pods \"nope\" not found"),
        (&["patch", "pod", "web", "-p", "a: ["], "error: unable to parse \"a: [\": "),
        (&["patch", "pod", "web", "-p", "{}", "--subresource=x"], "invalid subresource value: \"x\"."),
        (
            &["patch", "cm", "conf", "-p", "{}", "--subresource=resize"],
            "Error from server (NotFound): the server could not find the requested resource",
        ),
        (&["patch", "pod", "web"], "error: must specify --patch or --patch-file containing the contents of the patch"),
        (
            &["patch", "pod", "web", "-p", "{}", "--type=x"],
            "error: --type must be one of [json merge strategic], not \"x\"",
        ),
        (
            &["patch", "pod", "web", "--type=json", "-p", r#"[{"op":"remove","path":"/nope"}]"#],
            "The request is invalid: ",
        ),
    ] {
        let (code, out, err) = run(&podlet, words);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{words:?}: {err}");
        assert!(err.contains(said), "{words:?}: {err}");
    }
    podlet.finish();
}

/// What scripts read that speak to an API server.
#[test]
fn raw_paths_and_parts_are_read() {
    let podlet = Podlet::new();
    podlet.apply(&format!("{}\n---\n{CONFIG}\n", web("web")));
    let raw = |path: &str| serde_json::from_str::<Value>(&podlet.succeed(&["get", "--raw", path])).unwrap();
    let list = raw("/api/v1/namespaces/default/pods");
    assert_eq!((&list["kind"], &list["items"][0]["metadata"]["name"]), (&json!("PodList"), &json!("web")));
    assert_eq!(list["items"][0]["kind"], Value::Null);
    assert_eq!(raw("/api/v1/configmaps")["items"][0]["data"], json!({"k": "v"}));
    assert_eq!(raw("/api/v1/namespaces/other/pods")["items"], json!([]));
    for path in ["/api/v1/namespaces/default/pods/web", "/api/v1/namespaces/default/pods/web/status"] {
        assert_eq!((&raw(path)["kind"], &raw(path)["metadata"]["name"]), (&json!("Pod"), &json!("web")));
    }
    assert_eq!((&raw("/version")["major"], &raw("/version")["minor"]), (&json!("1"), &json!("36")));
    let pods = raw("/api/v1")["resources"].as_array().unwrap().iter().find(|one| one["name"] == "pods").cloned();
    assert_eq!(pods.unwrap()["shortNames"], json!(["po"]));
    assert_eq!(podlet.succeed(&["get", "--raw", "/readyz"]), "ok");
    let whole = podlet.succeed(&["get", "pod", "web", "--no-headers"]);
    let part = podlet.succeed(&["get", "pod", "web", "--subresource=status", "--no-headers"]);
    assert_eq!(whole.split_whitespace().next(), part.split_whitespace().next());
    assert_eq!(podlet.succeed(&["get", "pod", "web", "--subresource", "resize", "-o", "name"]), "pod/web\n");
    let not_there = "Error from server (NotFound): the server could not find the requested resource\n";
    for (words, said) in [
        (&["get", "--raw", "/apis/apps/v1"][..], not_there),
        (&["get", "--raw", "/api/v1/namespaces/default/services"], not_there),
        (
            &["get", "--raw", "/api/v1/namespaces/default/pods/no"],
            "Error from server (NotFound): pods \"no\" not found\n",
        ),
        (&["get", "pods", "--raw", "/api"], "error: arguments may not be passed when --raw is specified\n"),
        (&["get", "--raw", "/api", "-o", "json"], "error: --raw and --output are mutually exclusive\n"),
        (
            &["get", "--raw", "/api", "-l", "a=b"],
            "error: --raw may not be specified with other flags that filter the server request or alter the output\n",
        ),
        (&["get", "--raw", "api"], "error: --raw must be a valid URL path: parse \"api\": invalid URI for request\n"),
        (&["get", "pod", "web", "--subresource=scale"], not_there),
        (&["get", "cm", "conf", "--subresource=status"], not_there),
        (
            &["get", "pods", "--subresource=status"],
            "error: subresource cannot be used when bulk resources are specified\n",
        ),
    ] {
        assert_eq!(run(&podlet, words), (Some(1), String::new(), said.to_owned()), "{words:?}");
    }
    podlet.finish();
}

#[test]
fn config_maps_and_secrets_are_made_from_words() {
    let podlet = Podlet::new();
    let directory = podlet.root.join("conf.d");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("a.conf"), "x = 1\n").unwrap();
    fs::write(directory.join("b.bin"), b"\xff\x00").unwrap();
    let env = podlet.root.join("login.env");
    fs::write(&env, "# who\nUSER=ann\n WORD=a=b\n").unwrap();
    let from = format!("--from-file={}", directory.display());
    let (code, out, err) =
        run(&podlet, &["create", "configmap", "conf", &from, "--from-literal=k=v", "--dry-run=client", "-o", "yaml"]);
    let expected = "apiVersion: v1\nbinaryData:\n  b.bin: /wA=\ndata:\n  a.conf: |\n    x = 1\n  k: v\nkind: ConfigMap\nmetadata:\n  name: conf\n";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), expected, ""));
    assert!(podlet.fail(&["get", "cm", "conf"]).contains("not found"));
    let from_env = format!("--from-env-file={}", env.display());
    for (words, out) in [
        (&["create", "cm", "conf", &from][..], "configmap/conf created\n"),
        (&["create", "secret", "generic", "login", &from_env, "-n", "shop"], "secret/login created\n"),
        (
            &[
                "create",
                "secret",
                "docker-registry",
                "pull",
                "--docker-server=r",
                "--docker-username=u",
                "--docker-password=p",
            ],
            "secret/pull created\n",
        ),
        (
            &[
                "create",
                "secret",
                "generic",
                "x",
                "--from-literal=a=b",
                "--append-hash",
                "--dry-run=client",
                "-o",
                "name",
            ],
            "secret/x-k694gm4m9h\n",
        ),
        (&["get", "secret", "login", "-n", "shop", "-o", "jsonpath={.data.WORD} {.type}"], "YT1i Opaque"),
        (
            &["get", "secret", "pull", "-o", "jsonpath={.type} {.data.\\.dockerconfigjson}"],
            "kubernetes.io/dockerconfigjson eyJhdXRocyI6eyJyIjp7InVzZXJuYW1lIjoidSIsInBhc3N3b3JkIjoicCIsImF1dGgiOiJkVHB3In19fQ==",
        ),
    ] {
        assert_eq!(run(&podlet, words), (Some(0), out.to_owned(), String::new()), "{words:?}");
    }
    for (words, said) in [
        (&["create", "cm", "conf"][..], "error: failed to create configmap: configmaps \"conf\" already exists\n"),
        (&["create", "secret", "generic", "pull"], "error: failed to create secret secrets \"pull\" already exists\n"),
        (
            &["create", "cm"],
            "error: exactly one NAME is required, got 0\nSee 'podlet create configmap -h' for help and examples\n",
        ),
        (&["create", "cm", "x", "--from-literal=a"], "error: invalid literal source a, expected key=value\n"),
        (&["create", "cm", "x", "--from-file=/nope"], "error: error reading /nope: no such file or directory\n"),
        (
            &["create", "cm", "x", "--from-literal=a=1", "--from-literal=a=2"],
            "error: cannot add key \"a\", another key by that name already exists in Data for ConfigMap \"x\"\n",
        ),
        (&["create", "secret", "tls", "x"], "error: key and cert must be specified\n"),
        (
            &["create", "secret", "docker-registry", "x"],
            "error: either --from-file or the combination of --docker-username, --docker-password and --docker-server is required\n",
        ),
    ] {
        assert_eq!(run(&podlet, words), (Some(1), String::new(), said.to_owned()), "{words:?}");
    }
    podlet.succeed(&["delete", "cm,secret", "--all", "-A"]);
    podlet.finish();
}

/// What API libraries and careful people use of kubectl: paths, questions, directories, and files that nothing is asked about.
#[test]
fn rarer_flags_do_what_kubectls_do() {
    let podlet = Podlet::new();
    let directory = podlet.root.join("manifests");
    fs::create_dir_all(directory.join("deeper")).unwrap();
    let labelled = CONFIG.replace(r#""name": "conf""#, r#""name": "conf", "labels": {"app": "conf"}"#);
    fs::write(directory.join("deeper/conf.json"), &labelled).unwrap();
    fs::write(directory.join("pod.json"), web("web")).unwrap();
    let here = directory.to_str().unwrap();
    for (words, out) in [
        (&["create", "-R", "-f", here, "-l", "app=conf"][..], "configmap/conf created\n"),
        (&["apply", "-R", "-f", here, "-l", "app in (conf)", "--server-side"], "configmap/conf unchanged\n"),
        (&["get", "-R", "-f", here, "-o", "name", "--ignore-not-found"], "configmap/conf\n"),
        (&["label", "--local", "-f", here, "x=y", "-o", "jsonpath={.metadata.labels}"], r#"{"app":"web","x":"y"}"#),
        (
            &["set", "image", "--local", "-f", here, "a=b", "-o", "jsonpath", "--template={.spec.containers[0].image}"],
            "b",
        ),
        (&["set", "env", "--local", "-f", here, "-e", "A=1", "-o", "jsonpath={.spec.containers[0].env[0].value}"], "1"),
    ] {
        assert_eq!(run(&podlet, words), (Some(0), out.to_owned(), String::new()), "{words:?}");
    }
    assert!(podlet.succeed(&["describe", "-R", "-f", &format!("{here}/deeper")]).starts_with("Name:         conf\n"));
    assert!(
        podlet
            .fail(&["get", "cm", "conf", "-o", "jsonpath={.x}", "--allow-missing-template-keys=false"])
            .contains("Error executing template: x is not found.")
    );
    let asked =
        "You are about to delete the following 1 resource(s):\nconfigmap/conf\nDo you want to continue? (y/N): ";
    let (code, out, _) = run_with(&podlet, &["delete", "-i", "cm", "conf"], "n\n");
    assert_eq!((code, out), (Some(0), format!("{asked}deletion is cancelled\n")));
    let (code, out, _) = run_with(&podlet, &["delete", "-i", "cm", "conf"], "Y\n");
    assert_eq!((code, out), (Some(0), format!("{asked}configmap \"conf\" deleted from default namespace\n")));
    let maps = "/api/v1/namespaces/default/configmaps";
    let conf = format!("{maps}/conf");
    for (words, input, expected) in [
        (&["create", "--raw", maps, "-f", "-"][..], CONFIG, Ok("v")),
        (&["create", "--raw", maps, "-f", "-"], CONFIG, Err("(AlreadyExists): configmaps \"conf\" already exists")),
        (
            &["create", "--raw", maps, "-f", "-"],
            &web("web"),
            Err("(BadRequest): Pod in version \"v1\" cannot be handled"),
        ),
        (&["replace", "--raw", &conf, "-f", "-"], &CONFIG.replace("\"v\"", "\"w\""), Ok("w")),
        (&["replace", "--raw", &format!("{maps}/x"), "-f", "-"], CONFIG, Err("does not match the name on the URL (x)")),
        (&["delete", "--raw", &format!("{maps}/x")], "", Err("(NotFound): configmaps \"x\" not found")),
    ] {
        let (code, out, said) = run_with(&podlet, words, input);
        match expected {
            Ok(value) => {
                let answer: Value = serde_json::from_str(&out).unwrap();
                assert_eq!((code, &answer["data"]["k"]), (Some(0), &json!(value)), "{words:?}: {said}");
            }
            Err(text) => assert!(code == Some(1) && said.contains(text), "{words:?}: {said}"),
        }
    }
    let deleted: Value = serde_json::from_str(&podlet.succeed(&["delete", "--raw", &conf])).unwrap();
    assert_eq!((&deleted["kind"], &deleted["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(podlet.succeed(&["get", "cm", "-o", "name"]), "");
    podlet.finish();
}

/// `--subresource=resize` takes cpu and memory of the file, and nothing else of it.
#[test]
fn a_replacement_can_be_of_resources_alone() {
    let podlet = Podlet::new();
    let pod = |memory: &str, tier: &str| {
        let mut pod: Value = serde_json::from_str(&web("web")).unwrap();
        pod["spec"]["containers"][0]["resources"]["limits"]["memory"] = json!(memory);
        pod["metadata"]["labels"]["tier"] = json!(tier);
        pod.to_string()
    };
    podlet.apply(&pod("64Mi", "front"));
    podlet.wait("web", |pod| pod["status"]["phase"] == "Running");
    let resize = ["replace", "--subresource=resize", "-f", "-"];
    let (code, out, said) = run_with(&podlet, &resize, &pod("80Mi", "back"));
    assert_eq!((code, out.as_str()), (Some(0), "pod/web replaced\n"), "{said}");
    let now = podlet.wait("web", |pod| pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "80Mi");
    assert_eq!(now["metadata"]["labels"]["tier"], "front");
    let (code, _, said) = run_with(&podlet, &resize, &pod("80Mi", "x").replace("\"web\"", "\"nope\""));
    assert!(code == Some(1) && said.contains("pods \"nope\" not found"), "{said}");
    let (_, _, said) = run_with(&podlet, &["replace", "--subresource=status", "-f", "-"], CONFIG);
    assert!(said.contains("podlet alone writes a pod's status"), "{said}");
    podlet.succeed(&["delete", "pod", "web", "--now"]);
    podlet.finish();
}
