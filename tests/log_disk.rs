//! The disk of the logs is full, or does not answer: containers wait ten seconds for it and then go on, the rest of the pod
//! never does, and what is missing in a log is counted to the byte, over a kill of the supervisor too.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::kills::{self, Part, events, kill_at_once};
use common::podlet::{Podlet, container, processes_of, until};
use serde_json::Value;

/// A file system at a place of the test's; gone with it, thawed if need be.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, words: &[&str]) -> Disk {
        fs::create_dir_all(at).unwrap();
        run("mount", &[words, &[at.to_str().unwrap()]].concat());
        Disk(at.to_owned())
    }

    fn freeze(&self, word: &str) {
        run("fsfreeze", &[word, self.0.to_str().unwrap()]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("fsfreeze").arg("-u").arg(&self.0).output();
        if !Command::new("umount").arg(&self.0).status().is_ok_and(|status| status.success()) {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
}

fn run(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn trouble(pod: &Value) -> String {
    pod["metadata"]["annotations"]["podlet.dev/log-not-written"].as_str().unwrap_or_default().to_owned()
}

/// Waits for an event and answers its message.
fn event(podlet: &Podlet, pod: &Value, reason: &str) -> String {
    let mut found = None;
    until(reason, || {
        found = events(podlet, pod).into_iter().find(|line| line.split(' ').nth(1) == Some(reason));
        found.is_some()
    });
    found.unwrap()
}

/// What the container has written so far, as it counts itself.
fn count(podlet: &Podlet) -> u64 {
    fs::read_to_string(podlet.root.join("beat/count")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// A container that writes numbered lines of ten bytes and keeps count beside. It rests now and then: what a slow machine
/// makes of the time between two looks must not be more than the files of a log hold.
fn pod(podlet: &Podlet) -> String {
    let beat = podlet.root.join("beat");
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  volumes: [{{name: beat, hostPath: {{path: {}, type: DirectoryOrCreate}}}}]
  containers:
  - name: loud
    image: podlet.local/host
    volumeMounts: [{{name: beat, mountPath: /beat}}]
    command:
    - sh
    - -c
    - |
      i=0
      until [ -e /beat/end ]; do
        seq -f %09.0f $i $((i + 999))
        i=$((i + 1000))
        echo $i > /beat/count
        sleep 0.02
      done
      touch /beat/ended
      sleep 1000
  - {{name: quiet, image: podlet.local/host, command: [sleep, '1000']}}
",
        beat.display()
    )
}

#[test]
fn a_full_disk_makes_a_container_wait_ten_seconds_and_costs_counted_bytes() {
    let podlet = Podlet::new();
    let logs = podlet.root.join("logs");
    let disk = Disk::mount(&logs, &["-t", "tmpfs", "-o", "size=200k", "tmpfs"]);
    podlet.apply(&pod(&podlet));
    let shown = podlet.wait("web", |pod| trouble(pod).contains("No space left on device"));
    let uid = kills::uid(&shown);
    let stopped = count(&podlet);
    let event_text = event(&podlet, &shown, "LogDropping");
    assert!(event_text.contains("spec.containers{loud}") && event_text.contains("No space left"), "{event_text}");
    // It goes on, and the status says at which price.
    until("the container goes on", || count(&podlet) > stopped + 20_000);
    assert!(trouble(&podlet.pod("web")).contains(" bytes dropped so far"), "{}", trouble(&podlet.pod("web")));

    kill_at_once(&uid, &[Part::Supervisor]);
    let before = count(&podlet);
    until("the container goes on under the next supervisor", || count(&podlet) > before + 20_000);
    // That one has met the disk, too: it takes some of the output before it writes for the first time.
    podlet.wait("web", |pod| trouble(pod).contains("No space left on device"));

    run("mount", &["-o", "remount,size=64m", logs.to_str().unwrap()]);
    let told = event(&podlet, &shown, "LogResumed");
    assert_eq!(trouble(&podlet.pod("web")), "");
    fs::write(podlet.root.join("beat/end"), "").unwrap();
    until("the container's last line", || podlet.root.join("beat/ended").exists());
    let total = count(&podlet) * 10;

    // Each byte is in the log, or among those that are said to be missing at just this place.
    let log = podlet.logs("web", "loud");
    let (mut at, mut missing) = (0, Vec::new());
    for line in log.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("podlet: ") {
            let bytes: u64 = rest.split(' ').next().unwrap().parse().unwrap();
            missing.push(bytes);
            at += bytes;
            continue;
        }
        // A line that was cut by the gap before it, or by the one after it: that one is ended where it is cut.
        let expected = format!("{:09}\n", at / 10);
        let expected = &expected[usize::try_from(at % 10).unwrap()..];
        if expected != line {
            let cut = line.trim_end_matches('\n');
            assert!(expected.starts_with(cut), "at byte {at}: {line:?} instead of {expected:?}");
            at += cut.len() as u64;
            continue;
        }
        at += expected.len() as u64;
    }
    assert_eq!(at, total, "after gaps of {missing:?}");
    assert!(missing.iter().any(|bytes| told.contains(&format!("{bytes} bytes"))), "{told}: {missing:?}");

    podlet.succeed(&["delete", "pod", "web", "--now"]);
    until("the end of all its processes", || processes_of(&uid).is_empty());
    drop(disk);
    podlet.finish();
}

#[test]
fn a_disk_that_does_not_answer_holds_nothing_but_its_log() {
    let podlet = Podlet::new();
    let (image, logs) = (podlet.root.join("disk"), podlet.root.join("logs"));
    fs::File::create(&image).unwrap().set_len(32 * 1024 * 1024).unwrap();
    run("mkfs.ext4", &["-q", image.to_str().unwrap()]);
    let disk = Disk::mount(&logs, &["-o", "loop", image.to_str().unwrap()]);
    podlet.apply(&pod(&podlet));
    let shown = podlet
        .wait("web", |pod| ["loud", "quiet"].iter().all(|name| container(pod, name)["state"]["running"].is_object()));
    let uid = kills::uid(&shown);
    until("it writes", || count(&podlet) > 0);

    disk.freeze("-f");
    podlet.wait("web", |pod| trouble(pod).contains("loud: the disk does not answer"));
    let stopped = count(&podlet);
    // Meanwhile: a command, a crash, a restart.
    assert_eq!(podlet.succeed(&["exec", "web", "-c", "quiet", "--", "echo", "here"]), "here\n");
    kills::send(kills::program(&uid, "quiet"), nix::sys::signal::Signal::SIGKILL);
    let again = |pod: &Value| {
        container(pod, "quiet")["restartCount"] == 1 && container(pod, "quiet")["state"]["running"].is_object()
    };
    podlet.wait("web", again);
    event(&podlet, &shown, "LogDropping");
    until("the container goes on", || count(&podlet) > stopped + 20_000);

    disk.freeze("-u");
    let told = event(&podlet, &shown, "LogResumed");
    assert!(podlet.logs("web", "loud").contains(" bytes are missing here: "), "{told}");

    // And a deletion: what cannot be removed now is, when the disk answers.
    disk.freeze("-f");
    podlet.succeed(&["delete", "pod", "web", "--now"]);
    assert!(fs::read_dir(logs.join("pods")).unwrap().count() > 0);
    disk.freeze("-u");
    until("the end of all its processes", || processes_of(&uid).is_empty());
    // The supervisor has left its cgroup by then, and may still be at the logs.
    until("the removal of the logs", || !logs.join("pods").exists());
    drop(disk);
    fs::remove_file(&image).unwrap();
    podlet.finish();
}
