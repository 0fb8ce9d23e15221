//! `podlet up` and `apply --wait` through the program, with real pods.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use common::podlet::{Podlet, text};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn start(podlet: &Podlet, words: &[&str], manifest: &str) -> Child {
    let mut command = podlet.command(words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
    child
}

fn interrupt(child: &Child) {
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
}

#[test]
fn a_pod_that_ends_by_itself_is_shown_and_removed() {
    let podlet = Podlet::new();
    let manifest = "
apiVersion: v1
kind: Pod
metadata: {name: job}
spec:
  restartPolicy: Never
  containers:
  - {name: first, image: podlet.local/actor, args: [print, one, ',', sleep, 200ms, ',', print, last]}
  - {name: b, image: podlet.local/actor, args: [print, other, ',', exit, '7']}
";
    let output = start(&podlet, &["up", "-"], manifest).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    let mut lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.remove(0), "pod/job created");
    lines.sort_unstable();
    assert_eq!(lines, ["b     | other", "first | last", "first | one"]);
    assert!(!shown.contains('\x1b'), "no colours in a pipe");
    assert_eq!(podlet.succeed(&["get", "pods", "-o", "name"]), "");

    let output = start(&podlet, &["up", "-", "--keep"], manifest).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(podlet.logs("job", "b"), "other\n");
    podlet.finish();
}

#[test]
fn ctrl_c_ends_the_pod_in_order_and_twice_at_once() {
    let podlet = Podlet::new();
    let manifest = |seconds: u32| {
        format!(
            "
apiVersion: v1
kind: Pod
metadata: {{name: long}}
spec:
  terminationGracePeriodSeconds: {seconds}
  containers:
  - {{name: a, image: podlet.local/actor, args: ['on', TERM, report, ',', print, ready, ',', sleep, forever]}}
"
        )
    };
    // In order: the container hears SIGTERM, and what it says then is still shown.
    let mut child = start(&podlet, &["up", "-"], &manifest(1));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "a | ready"));
    interrupt(&child);
    assert!(lines.any(|line| line.contains("received SIGTERM")));
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(podlet.succeed(&["get", "pods", "-o", "name"]), "");

    // At once: an hour of grace is not waited for.
    let mut child = start(&podlet, &["up", "-"], &manifest(3600));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "a | ready"));
    interrupt(&child);
    assert!(lines.any(|line| line.contains("received SIGTERM")));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(podlet.succeed(&["get", "pods", "-o", "name"]), "");
    podlet.finish();
}

#[test]
fn ctrl_c_ends_the_wait_of_apply_and_leaves_the_pod() {
    let podlet = Podlet::new();
    let manifest = "
apiVersion: v1
kind: Pod
metadata: {name: never}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: a, image: 'localhost/absent:1'}
";
    let mut child = start(&podlet, &["apply", "-", "--wait"], manifest);
    // An image that may come yet is no answer, and nothing of the pod is ever ready.
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "pod/never created\n");
    interrupt(&child);
    let code = child.wait().unwrap().code();
    assert_eq!(podlet.succeed(&["get", "pods", "-o", "name"]), "pod/never\n");
    assert_eq!(code, Some(130));
    podlet.finish();
}
