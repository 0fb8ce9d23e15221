//! `podlet exec` through the program, with real pods: over pipes, and killed. Terminals are in `exec_terminal.rs`.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use common::podlet::{Podlet, container, processes_of, text, until};

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: a, image: podlet.local/host, command: [sleep, '1000']}
  - {name: b, image: podlet.local/actor, args: [sleep, forever]}
";

fn started() -> (Podlet, String) {
    let podlet = Podlet::new();
    podlet.apply(POD);
    let pod =
        podlet.wait("web", |pod| ["a", "b"].iter().all(|name| container(pod, name)["state"]["running"].is_object()));
    let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
    (podlet, uid)
}

/// Whether a process of the pod was started with this word.
fn runs(uid: &str, word: &str) -> bool {
    processes_of(uid).iter().any(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|there| there == word.as_bytes())
    })
}

#[test]
fn output_errors_input_and_exit_codes_are_passed_on() {
    let (podlet, uid) = started();
    let output = podlet.run(&["exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 42"]);
    assert_eq!(output.status.code(), Some(42));
    assert_eq!(text(&output.stdout), "out\n");
    assert_eq!(
        text(&output.stderr),
        "Defaulted container \"a\" out of: a, b\nerr\ncommand terminated with exit code 42\n"
    );
    let output = podlet.run(&["exec", "web", "-c", "a", "--", "sh", "-c", "kill -TERM $$"]);
    assert_eq!(output.status.code(), Some(128 + 15));

    // Without -i there is nothing to be read; with it everything comes, in both directions at once.
    assert_eq!(podlet.succeed(&["exec", "web", "-c", "a", "--", "cat"]), "");
    let mut command = podlet.command(&["exec", "-i", "web", "-c", "a", "--", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = sent.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let mut received = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut received).unwrap();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(received == sent, "{} bytes came back of {}", received.len(), sent.len());

    let refused = podlet.fail(&["exec", "web", "-c", "x", "--", "true"]);
    assert_eq!(refused, "error: container x is not valid for pod web out of: a, b\n");
    let refused = podlet.fail(&["exec", "web", "-c", "a", "--", "no-such-program"]);
    assert!(refused.contains("no-such-program"), "{refused}");
    until("nothing of the commands is left", || !runs(&uid, "cat") && !runs(&uid, "sh"));
    podlet.finish();
}

#[test]
fn a_killed_client_leaves_no_process() {
    let (podlet, uid) = started();
    let mut command: Command = podlet.command(&["exec", "-i", "web", "-c", "a", "--", "sleep", "4321"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    until("the command runs", || runs(&uid, "4321"));
    child.kill().unwrap();
    child.wait().unwrap();
    until("the command is gone", || !runs(&uid, "4321"));
    podlet.finish();
}
