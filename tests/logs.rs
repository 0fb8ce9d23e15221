//! `podlet logs` through the program, with real pods.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

use common::kills;
use common::podlet::{Podlet, container};

/// `logs -f` under way.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn start(podlet: &Podlet, words: &[&str]) -> Following {
        let mut child = podlet.command(words).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Following { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("a line").unwrap()
    }

    /// The lines up to its end by itself, which must be a success.
    fn rest(mut self) -> Vec<String> {
        let lines: Vec<String> = self.lines.by_ref().map(Result::unwrap).collect();
        assert!(self.child.wait().unwrap().success());
        lines
    }
}

#[test]
fn the_log_of_one_and_of_all_containers() {
    let podlet = Podlet::new();
    podlet.apply(
        "
apiVersion: v1
kind: Pod
metadata: {name: two, labels: {app: two}}
spec:
  restartPolicy: Never
  containers:
  - {name: a, image: podlet.local/actor, args: [print, one, ',', print, two, ',', print, three]}
  - {name: b, image: podlet.local/actor, args: [print-error, complaint, ',', exit, '3']}
",
    );
    podlet.wait("two", |pod| pod["status"]["phase"] == "Failed");

    let output = podlet.run(&["logs", "two"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ntwo\nthree\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "Defaulted container \"a\" out of: a, b\n");
    assert_eq!(podlet.succeed(&["logs", "two", "b"]), "complaint\n");
    assert_eq!(podlet.succeed(&["logs", "two", "-c", "a", "--tail=2"]), "two\nthree\n");
    assert_eq!(podlet.succeed(&["logs", "two", "-c", "a", "--tail=0"]), "");
    assert_eq!(podlet.succeed(&["logs", "two", "-c", "a", "--limit-bytes=5"]), "one\nt");
    assert_eq!(podlet.succeed(&["logs", "two", "-c", "a", "--since-time=2999-01-01T00:00:00Z"]), "");
    assert_eq!(podlet.succeed(&["logs", "two", "-c", "a", "--since=24h"]), "one\ntwo\nthree\n");
    assert_eq!(
        podlet.succeed(&["logs", "-l", "app=two", "--all-containers", "--prefix"]),
        "[pod/two/a] one\n[pod/two/a] two\n[pod/two/a] three\n[pod/two/b] complaint\n"
    );
    let stamped = podlet.succeed(&["logs", "two", "-c", "a", "--timestamps"]);
    for (line, text) in stamped.lines().zip(["one", "two", "three"]) {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        assert_eq!(rest, text);
    }
    // Following what has ended comes to an end by itself.
    assert_eq!(Following::start(&podlet, &["logs", "-f", "two", "-c", "a"]).rest(), ["one", "two", "three"]);

    let refusal = "Error from server (BadRequest): previous terminated container \"a\" in pod \"two\" not found\n";
    assert_eq!(podlet.fail(&["logs", "-p", "two", "-c", "a"]), refusal);
    let refusal = "error: container x is not valid for pod two out of: a, b\n";
    assert_eq!(podlet.fail(&["logs", "two", "-c", "x"]), refusal);
    podlet.finish();
}

#[test]
fn following_goes_on_over_a_restart_and_ends_with_the_pod() {
    let podlet = Podlet::new();
    podlet.apply(
        "
apiVersion: v1
kind: Pod
metadata: {name: again}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: a
    image: podlet.local/actor
    args: ['on', TERM, exit, '1', ',', print, begun, ',', sleep, forever]
",
    );
    let pod = podlet.wait("again", |pod| container(pod, "a")["state"]["running"].is_object());
    let uid = kills::uid(&pod);
    let mut following = Following::start(&podlet, &["logs", "-f", "again"]);
    // Each instance ends when its first line has been followed.
    for _ in 0..2 {
        assert_eq!(following.line(), "begun");
        kills::send(kills::program(&uid, "a"), nix::sys::signal::Signal::SIGTERM);
        assert_eq!(following.line(), "received SIGTERM");
    }
    podlet.wait("again", |pod| {
        container(pod, "a")["restartCount"] == 1 && container(pod, "a")["state"]["waiting"].is_object()
    });
    // While it waits for its next start the last instance is both the current one and the previous one.
    assert_eq!(podlet.logs("again", "a"), "begun\nreceived SIGTERM\n");
    assert_eq!(podlet.succeed(&["logs", "-p", "again"]), "begun\nreceived SIGTERM\n");
    podlet.succeed(&["delete", "pod", "again"]);
    assert_eq!(following.rest(), Vec::<String>::new());
    podlet.finish();
}

#[test]
fn following_comes_through_rotation_without_a_gap() {
    let podlet = Podlet::new();
    // Lines of a thousand bytes, more than two files' worth; each begins with its number.
    podlet.apply(
        "
apiVersion: v1
kind: Pod
metadata: {name: much}
spec:
  restartPolicy: Never
  containers:
  - {name: a, image: podlet.local/actor, args: [log, '22000', size=1000]}
",
    );
    let begun = |pod: &serde_json::Value| !container(pod, "a")["containerID"].is_null();
    podlet.wait("much", begun);
    let followed = Following::start(&podlet, &["logs", "-f", "much"]).rest();
    podlet.wait("much", |pod| pod["status"]["phase"] == "Succeeded");
    let uid = podlet.pod("much")["metadata"]["uid"].as_str().unwrap().to_owned();
    let files = std::fs::read_dir(podlet.root.join(format!("logs/pods/default_much_{uid}/a"))).unwrap();
    assert!(files.count() > 1, "it was rotated");
    assert_eq!(followed.len(), 22_000);
    let numbers: Vec<u64> = followed.iter().map(|line| line.get(..8).unwrap().trim().parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "in order, none missing, none twice");
    let whole = podlet.logs("much", "a");
    assert!(whole.lines().eq(followed.iter()), "afterwards the same is read from the files");
    podlet.finish();
}

#[test]
fn a_container_that_waits_says_why_there_is_no_log() {
    let podlet = Podlet::new();
    podlet.apply(
        "
apiVersion: v1
kind: Pod
metadata: {name: wait}
spec:
  containers:
  - {name: a, image: localhost/none, imagePullPolicy: Never}
",
    );
    podlet.wait("wait", |pod| container(pod, "a")["state"]["waiting"]["reason"] == "ErrImageNeverPull");
    let refusal =
        "Error from server (BadRequest): container \"a\" in pod \"wait\" is waiting to start: ErrImageNeverPull\n";
    assert_eq!(podlet.fail(&["logs", "wait", "-c", "a"]), refusal);
    podlet.finish();
}
