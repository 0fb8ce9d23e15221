//! A reader that has had enough (`| head -1`, `| grep -m1 …`): no verb complains, and those that go on end when it does.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use common::podlet::{PROGRAM, Podlet, container, text, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: a, image: podlet.local/actor, args: [print, ready, ',', sleep, forever]}
";

fn started() -> (Podlet, String) {
    let podlet = Podlet::new();
    let path = podlet.root.join("pod.yaml");
    fs::write(&path, POD).unwrap();
    let path = path.display().to_string();
    podlet.succeed(&["apply", &path]);
    podlet.wait("web", |pod| container(pod, "a")["state"]["running"].is_object());
    until("the container has written", || podlet.logs("web", "a") == "ready\n");
    (podlet, path)
}

fn ended(child: &mut Child, words: &[&str]) -> std::process::ExitStatus {
    let mut status = None;
    until(&format!("podlet {} ends", words.join(" ")), || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

#[test]
fn no_verb_complains_of_a_closed_pipe() {
    let (podlet, path) = started();
    let verbs: &[&[&str]] = &[
        &["--help"],
        &["exec", "--help"],
        &["version"],
        &["completion", "bash"],
        &["get", "pods"],
        &["get", "pods", "-o", "json"],
        &["get", "pods", "-o", "yaml"],
        &["get", "pods", "-o", "name"],
        &["get", "events"],
        &["get", "pods", "-w"],
        &["describe", "pod", "web"],
        &["events"],
        &["events", "-w"],
        &["logs", "web"],
        &["logs", "-f", "web"],
        &["exec", "web", "--", "/actor", "print", "said"],
        &["plan", &path],
        &["plan", &path, "-o", "json"],
        &["image", "ls"],
        &["apply", &path],
    ];
    for words in verbs {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = podlet.command(words).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let status = ended(&mut child, words);
        let mut said = Vec::new();
        child.stderr.take().unwrap().read_to_end(&mut said).unwrap();
        let said = text(&said);
        assert_eq!(status.code(), Some(0), "podlet {}: {said}", words.join(" "));
        // Notes are no complaints.
        assert!(said.lines().all(|line| line.starts_with("Note: ")), "podlet {}: {said}", words.join(" "));
    }
    podlet.finish();
}

/// podlet, with a SIGINT that ends it: a shell starts what it puts in the background with SIGINT ignored, and these tests may
/// be there.
fn interruptible(podlet: &Podlet, words: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal=INT").arg(PROGRAM).args(words);
    command.stdin(Stdio::null()).envs(podlet.environment());
    command
}

#[test]
fn what_goes_on_ends_with_its_reader_or_by_ctrl_c() {
    let (podlet, _) = started();
    let verbs: &[&[&str]] = &[
        &["get", "pods", "-w"],
        &["get", "pod", "web", "-w", "-o", "json"],
        &["get", "events", "-w"],
        &["events", "-w"],
        &["logs", "-f", "web"],
    ];
    for words in verbs {
        // Nothing more happens to the pod: it is the reader's end that ends it.
        let mut child = podlet.command(words).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 5]).unwrap();
        drop(stdout);
        assert_eq!(ended(&mut child, words).code(), Some(0), "podlet {}", words.join(" "));

        let mut child = interruptible(&podlet, words).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 5]).unwrap();
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
        // As a shell wants it, which ends its script by that, too.
        assert_eq!(ended(&mut child, words).signal(), Some(2), "podlet {}", words.join(" "));
    }
    podlet.finish();
}
