//! What TAB offers: asked as a real bash asks, with a pod, a ConfigMap and the built-in images there.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::process::{Command, Stdio};

use common::podlet::{PROGRAM, Podlet, text};

const OBJECTS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: server
    image: podlet.local/actor
    args: [sleep, forever]
    ports: [{name: http, containerPort: 8080}, {containerPort: 9090}]
  - {name: client, image: podlet.local/actor, args: [sleep, forever]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: words, namespace: shop}
data: {a: b}
";

/// Loads the script as a user does, then calls its function as readline does: the words of the line, the last one being
/// where the cursor stands.
const ASK: &str = r#"
source <("$1" completion bash)
shift
COMP_WORDS=(podlet "$@")
COMP_CWORD=$#
COMP_TYPE=9
function=$(complete -p podlet | sed 's/.*-F \([^ ]*\) .*/\1/')
"$function" podlet "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

fn offered(podlet: &Podlet, words: &[&str]) -> Vec<String> {
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", ASK, "bash", PROGRAM]).args(words).envs(podlet.environment());
    // Beside a file: a name of a pod is never taken for one.
    let output = bash.current_dir(&podlet.root).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{words:?}");
    text(&output.stdout).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn names_of_the_moment_are_offered() {
    let podlet = Podlet::new();
    std::fs::write(podlet.root.join("pods-and-more.yaml"), "").unwrap();
    podlet.apply(OBJECTS);
    let asked: &[(&[&str], &[&str])] = &[
        (&["des"], &["describe"]),
        (&["get", "po"], &["pods"]),
        (&["get", ""], &["pods", "configmaps", "secrets", "events"]),
        (&["get", "-n", ""], &["default", "shop"]),
        (&["-n", "shop", "get", "pod", ""], &["web"]),
        (&["get", "-n", "shop", "cm", "w"], &["words"]),
        (&["delete", "--namespace=shop", "configmap/"], &["configmap/words"]),
        (&["delete", "pod", "-n", "shop", "x"], &[]),
        (&["describe", "pod", "web", "-n", "shop", "w"], &[]),
        (&["get", "pods", "--show"], &["--show-labels", "--show-kind"]),
        (&["logs", "-n", "shop", ""], &["web"]),
        (&["logs", "-n", "shop", "web", ""], &["server", "client"]),
        (&["logs", "-n", "shop", "pod/web", "-c", "s"], &["server"]),
        (&["exec", "-n", "shop", "-it", "web", "-c", ""], &["server", "client"]),
        (&["exec", "-n", "shop", "web", "--", ""], &[]),
        (&["start", "-n", "shop", ""], &["web"]),
        (&["cp", "-n", "shop", "w"], &["web:"]),
        (&["cp", "-n", "shop", "pods"], &["pods-and-more.yaml"]),
        (&["cp", "-n", "shop", "web:/x", "here", "-c", "s"], &["server"]),
        (&["port-forward", "-n", "shop", ""], &["web"]),
        (&["port-forward", "-n", "shop", "web", ""], &["http", "9090"]),
        (&["top", "pod", "-n", "shop", "w"], &["web"]),
        (&["top", "pod", "--sort-by", ""], &["cpu", "memory"]),
        (&["patch", "-n", "shop", "pod", "w"], &["web"]),
        (&["patch", "pod", "web", "--type", ""], &["json", "merge", "strategic"]),
        (&["create", "c"], &["configmap"]),
        (&["create", "secret", "t"], &["tls"]),
        (&["create", "configmap", "x", "--from-f"], &["--from-file"]),
        (&["create", "configmap", "x", "--from-file", "pod"], &["pods-and-more.yaml"]),
        (&["why", "-n", "shop", ""], &["web"]),
        (&["why", "-n", "shop", "web", "-c", "c"], &["client"]),
        (&["replay", "-n", "shop", "w"], &["web"]),
        (&["what-if", "-n", "shop", "po"], &["pods-and-more.yaml"]),
        (&["get", "pods", "-o", "js"], &["json", "jsonpath", "jsonpath-as-json", "jsonpath-file"]),
        (&["apply", "-o", ""], &["json", "kyaml", "name", "yaml"]),
        (&["apply", "pod"], &["pods-and-more.yaml"]),
        (&["apply", "-f", "pod"], &["pods-and-more.yaml"]),
        (&["image", "inspect", "podlet"], &["podlet.local/actor:latest"]),
        (&["completion", "z"], &["zsh"]),
    ];
    for (words, expected) in asked {
        assert_eq!(offered(&podlet, words), *expected, "podlet {}", words.join(" "));
    }
    podlet.succeed(&["delete", "pods", "--all", "-A", "--now"]);
    podlet.finish();
}
