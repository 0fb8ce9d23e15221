//! `podlet upgrade`: running pods go on under another program, and no container notices; command lines and supervisors of
//! different versions talk to each other.
//!
//! The other program is this one with another version number: its text is replaced in a copy of the file, to the same length.
//! What an older or newer wire would say is said here by hand.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use common::kills::{self, Part, both_run, telling_pod};
use common::podlet::{PROGRAM, Podlet, container, text, until};
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept, bind, connect, listen, recv, send, socket,
};
use serde_json::{Value, json};

const OURS: &str = podlet::VERSION;
/// As long as ours.
const OTHER: &str = "9.9.9";

/// A copy of podlet that calls itself by another version; its name is podlet, as everybody's.
fn other_podlet(podlet: &Podlet) -> PathBuf {
    assert_eq!(OURS.len(), OTHER.len(), "choose another number");
    let mut bytes = fs::read(PROGRAM).unwrap();
    let mut from = 0;
    while let Some(at) = find(&bytes, from, OURS.as_bytes()) {
        bytes[at..at + OTHER.len()].copy_from_slice(OTHER.as_bytes());
        from = at + OTHER.len();
    }
    let directory = podlet.root.join("other");
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("podlet");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn find(bytes: &[u8], from: usize, text: &[u8]) -> Option<usize> {
    bytes[from..].windows(text.len()).position(|window| window == text).map(|at| from + at)
}

fn run_other(podlet: &Podlet, program: &PathBuf, words: &[&str]) -> Output {
    Command::new(program).args(words).stdin(Stdio::null()).envs(podlet.environment()).output().unwrap()
}

fn upgrade(podlet: &Podlet, program: &PathBuf, words: &[&str]) -> String {
    let output = run_other(podlet, program, words);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// It is said where it is another one than that of the command line, which in these tests is ours.
fn version_of(pod: &Value) -> &str {
    pod["metadata"]["annotations"]["podlet.dev/version"].as_str().unwrap_or(OURS)
}

fn program_of(pid: i32) -> u64 {
    fs::metadata(format!("/proc/{pid}/exe")).unwrap().ino()
}

#[test]
fn a_running_pod_goes_on_under_another_program() {
    let podlet = Podlet::new();
    let other = other_podlet(&podlet);
    assert!(upgrade(&podlet, &other, &["version"]).starts_with(&format!("podlet {OTHER} ")));
    podlet.apply(&telling_pod(&podlet, "web", "OnFailure", 3000));
    let pod = podlet.wait("web", both_run);
    let uid = kills::uid(&pod);
    assert_eq!(version_of(&pod), OURS);
    let (guard, keeper) = (Part::Guard.wait(&uid), Part::Keeper.wait(&uid));
    let of_containers = || ["beat", "ender"].map(|name| kills::program(&uid, name));
    let programs = of_containers();
    let pause = Part::Pause.wait(&uid);

    assert_eq!(podlet.succeed(&["upgrade", "web"]), format!("pod/web unchanged ({OURS})\n"));
    assert_eq!((Part::Guard.pid(&uid), Part::Keeper.pid(&uid)), (Some(guard), Some(keeper)));
    assert_eq!(
        upgrade(&podlet, &other, &["version"]),
        format!("podlet {OTHER} (Kubernetes 1.36)\npod/web runs on podlet {OURS} (podlet upgrade)\n")
    );
    let before = program_of(keeper);
    assert_eq!(
        upgrade(&podlet, &other, &["upgrade", "--all"]),
        format!("pod/web upgraded ({OURS} \u{2192} {OTHER})\n")
    );
    // The guard, parent of what the keeper left, is the keeper; everything else is as it was.
    assert_eq!(Part::Keeper.wait(&uid), guard);
    assert_ne!(program_of(guard), before, "the keeper's program is another");
    assert_eq!(program_of(Part::Supervisor.wait(&uid)), fs::metadata(&other).unwrap().ino());
    assert_eq!((of_containers(), Part::Pause.wait(&uid)), (programs, pause));
    let pod = podlet.wait("web", |pod| version_of(pod) == OTHER);
    assert!(both_run(&pod));
    assert!(podlet.succeed(&["describe", "pod", "web"]).contains(&format!("podlet.dev/version: {OTHER}\n")));
    let versions: Value = serde_json::from_str(&podlet.succeed(&["version", "-o", "json"])).unwrap();
    assert_eq!(versions["pods"], json!([{"namespace": "default", "name": "web", "podlet": OTHER}]));

    // Back, though its file is gone: what runs holds it open. The older command line understands what the newer has written.
    fs::remove_file(&other).unwrap();
    let there_and_back = other_podlet(&podlet);
    assert_eq!(podlet.succeed(&["upgrade", "pod/web"]), format!("pod/web upgraded ({OTHER} \u{2192} {OURS})\n"));
    assert_eq!(Part::Keeper.wait(&uid), guard, "in place again");
    // What ends is reaped by whoever is its parent, and started again.
    kills::send_when_heard(kills::program(&uid, "ender"), Signal::SIGTERM);
    let again = |pod: &Value| both_run(pod) && container(pod, "ender")["restartCount"] == 1;
    let pod = podlet.wait("web", again);
    assert_eq!(container(&pod, "ender")["lastState"]["terminated"]["exitCode"], 42);
    upgrade(&podlet, &there_and_back, &["upgrade", "web"]);
    assert_eq!(podlet.succeed(&["exec", "web", "-c", "beat", "--", "/actor", "print", "hello"]), "hello\n");
    kills::send_when_heard(kills::program(&uid, "ender"), Signal::SIGTERM);
    let pod = podlet.wait("web", |pod| container(pod, "ender")["restartCount"] == 2 || !both_run(pod));
    assert_eq!(container(&pod, "beat")["restartCount"], 0);

    let beats = podlet.root.join("data/web");
    let seen = kills::heartbeats(&beats).concat().len();
    until("more beats", || kills::heartbeats(&beats).concat().len() > seen + 5);
    let instances = kills::heartbeats(&beats);
    assert_eq!(instances.len(), 1, "one instance from the beginning");
    kills::assert_no_gap(&instances[0], "web");
    let log = kills::log_file(&podlet, "web", &uid, "beat", 0);
    until("all lines", || kills::written(&log).lines().count() >= 3000);
    assert_eq!(kills::numbered(&kills::written(&log), 64), 3000);
    podlet.finish();
}

/// A pod of two containers, the exit of one of which falls into the upgrade: who was its parent does not matter.
#[test]
fn exits_during_upgrades_are_counted_each_once() {
    let podlet = Podlet::new();
    let programs = [other_podlet(&podlet), PathBuf::from(PROGRAM)];
    let manifest = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "busy"},
        "spec": {"restartPolicy": "Always", "terminationGracePeriodSeconds": 1, "containers": [
            {"name": "runs", "image": "podlet.local/actor", "args": ["sleep", "forever"]},
            {"name": "ends", "image": "podlet.local/actor", "args": ["sleep", "30ms", ",", "exit", "7"]},
        ]},
    });
    let words = ["--crash-backoff-initial=1", "--crash-backoff-max=1"];
    let output = podlet.try_apply(&manifest.to_string(), &words);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let uid = kills::uid(&podlet.wait("busy", |pod| container(pod, "ends")["restartCount"] == 1));
    for round in 0..6 {
        let said = upgrade(&podlet, &programs[round % 2], &["upgrade", "busy"]);
        assert!(said.starts_with("pod/busy upgraded ("), "{said}");
        let before = container(&podlet.pod("busy"), "ends")["restartCount"].as_u64().unwrap();
        let pod = podlet.wait("busy", |pod| container(pod, "ends")["restartCount"].as_u64() > Some(before));
        assert_eq!(container(&pod, "runs")["restartCount"], 0);
        assert_eq!(container(&pod, "ends")["lastState"]["terminated"]["exitCode"], 7);
    }
    let pod = podlet.pod("busy");
    let restarts = container(&pod, "ends")["restartCount"].as_u64().unwrap();
    let logs = fs::read_dir(podlet.root.join(format!("logs/pods/default_busy_{uid}/ends"))).unwrap().count();
    assert!(logs > 0 && restarts >= 7, "{restarts} restarts, {logs} logs");
    podlet.finish();
}

/// Killed in its midst an upgrade has happened or not; the pod runs, and the next one is as good as the first.
#[test]
fn whoever_is_killed_during_an_upgrade_the_pod_runs_on() {
    let podlet = Podlet::new();
    let programs = [other_podlet(&podlet), PathBuf::from(PROGRAM)];
    let parts = [Part::Supervisor, Part::Keeper, Part::Guard];
    for (number, part) in parts.into_iter().enumerate() {
        let name = format!("killed{number}");
        podlet.apply(&telling_pod(&podlet, &name, "Never", 3000));
        let uid = kills::uid(&podlet.wait(&name, both_run));
        let ours = ["beat", "ender"].map(|name| kills::program(&uid, name));
        let victim = part.wait(&uid);
        let mut command = Command::new(&programs[0]);
        command.args(["upgrade", &name]).envs(podlet.environment()).stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        kills::send(victim, Signal::SIGKILL);
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        println!("{part:?}: {said}");
        for round in 0..2 {
            let said = upgrade(&podlet, &programs[round], &["upgrade", &name]);
            assert!(said.contains(" upgraded (") || said.contains(" unchanged ("), "{said}");
            let pod = podlet.wait(&name, |pod| version_of(pod) == [OTHER, OURS][round]);
            assert!(both_run(&pod), "{part:?}: {:#}", pod["status"]);
            assert_eq!(["beat", "ender"].map(|name| kills::program(&uid, name)), ours);
        }
        kills::send_when_heard(ours[1], Signal::SIGTERM);
        let pod = podlet.wait(&name, |pod| container(pod, "ender")["state"]["terminated"].is_object());
        let ended = &container(&pod, "ender")["state"]["terminated"];
        // Once keeper and guard were both gone the code is known only if the kernel tells.
        let lost = ended["reason"] == "ContainerStatusUnknown";
        assert!(ended["exitCode"] == 42 || part != Part::Supervisor && lost, "{part:?}: {ended:#}");
        let log = kills::log_file(&podlet, &name, &uid, "beat", 0);
        until("all lines", || kills::written(&log).lines().count() >= 3000);
        assert_eq!(kills::numbered(&kills::written(&log), 64), 3000, "{part:?}");
    }
    podlet.finish();
}

#[test]
fn pods_that_do_not_run_are_told_from_those_that_do() {
    let podlet = Podlet::new();
    podlet.apply(
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "over"}, "spec": {"restartPolicy": "Never",
            "containers": [{"name": "a", "image": "podlet.local/actor", "args": ["exit", "0"]}]}}"#,
    );
    podlet.wait("over", |pod| pod["status"]["phase"] == "Succeeded");
    assert_eq!(podlet.succeed(&["upgrade", "over"]), "pod/over unchanged (it does not run)\n");
    assert_eq!(podlet.succeed(&["upgrade", "--all"]), "");
    assert!(podlet.fail(&["upgrade", "no"]).contains("pods \"no\" not found"));
    assert!(podlet.fail(&["upgrade"]).contains("expected 'upgrade POD …' or 'upgrade --all'"));
    podlet.finish();
}

/// One packet each way.
fn exchange(socket: &OwnedFd, packet: &Value) -> Value {
    say(socket, packet);
    hear(socket).expect("an answer")
}

fn say(socket: &OwnedFd, packet: &Value) {
    send(socket.as_raw_fd(), packet.to_string().as_bytes(), MsgFlags::MSG_NOSIGNAL).unwrap();
}

fn hear(socket: &OwnedFd) -> Option<Value> {
    let mut bytes = vec![0; 1 << 18];
    let length = recv(socket.as_raw_fd(), &mut bytes, MsgFlags::empty()).unwrap();
    (length > 0).then(|| serde_json::from_slice(&bytes[..length]).unwrap())
}

fn seqpacket() -> OwnedFd {
    socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap()
}

/// What an older and a newer command line may say to this supervisor.
#[test]
fn a_supervisor_understands_older_and_newer_command_lines() {
    let podlet = Podlet::new();
    podlet.apply(
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"terminationGracePeriodSeconds": 1,
            "containers": [{"name": "a", "image": "podlet.local/actor", "args": ["sleep", "forever"]}]}}"#,
    );
    let pod = podlet.wait("web", |pod| container(pod, "a")["state"]["running"].is_object());
    let path = podlet.root.join(format!("run/pods/{}/control.sock", kills::uid(&pod)));
    let address = UnixAddr::new(&path).unwrap();
    for hello in
        [json!({"version": 1, "program": "0.0.9"}), json!({"version": 99, "program": "9.9.9", "features": ["colour"]})]
    {
        let client = seqpacket();
        connect(client.as_raw_fd(), &address).unwrap();
        let ours = exchange(&client, &hello);
        assert_eq!(ours, json!({"version": podlet::supervisor::control::VERSION, "program": OURS}));
        // A field that is unknown here is passed over.
        let state = exchange(&client, &json!({"request": "get", "colour": "blue"}));
        assert_eq!((&state["answer"], &state["pod"]["metadata"]["name"]), (&"state".into(), &"web".into()));
        // A request that is unknown is refused by name, and so is one that lacks what it needs; both may go on.
        for packet in [json!({"request": "paint", "colour": "blue"}), json!({"request": "process"})] {
            let refused = exchange(&client, &packet);
            assert_eq!(refused["answer"], "refused", "{refused}");
            let message = refused["message"].as_str().unwrap();
            assert!(
                message.contains(packet["request"].as_str().unwrap()) && message.contains("podlet upgrade"),
                "{message}"
            );
        }
        // Without what belongs to it, or with layouts that this keeper's memory is none of, nothing is changed.
        let layouts = |oldest: u32, newest: u32| json!({"oldest": oldest, "newest": newest});
        let refused = exchange(&client, &json!({"request": "upgrade", "keeper": layouts(1, 99)}));
        assert!(refused["message"].as_str().unwrap().contains("found 0 descriptors"), "{refused}");
        let state = exchange(&client, &json!({"request": "get"}));
        assert_eq!(state["answer"], "state");
        // What is no request at all ends the connection.
        say(&client, &json!({"nonsense": true}));
        assert_eq!(hear(&client), None);
    }
    podlet.finish();
}

/// What an older supervisor says to this command line: the pod's place is made by hand, and a thread answers there.
#[test]
fn a_command_line_understands_older_supervisors() {
    let podlet = Podlet::new();
    podlet.apply(
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "old"}, "spec": {"restartPolicy": "Never",
            "containers": [{"name": "a", "image": "podlet.local/actor", "args": ["exit", "0"]}]}}"#,
    );
    let pod = podlet.wait("old", |pod| pod["status"]["phase"] == "Succeeded");
    let run = podlet.root.join(format!("run/pods/{}", kills::uid(&pod)));
    until("the end of its supervisor", || !run.exists());
    fs::DirBuilder::new().mode(0o700).recursive(true).create(&run).unwrap();
    let listening = seqpacket();
    bind(listening.as_raw_fd(), &UnixAddr::new(&run.join("control.sock")).unwrap()).unwrap();
    listen(&listening, Backlog::new(8).unwrap()).unwrap();
    let mut shown = pod.clone();
    shown["status"]["phase"] = "Running".into();
    // A field of a later Kubernetes, and no event.
    shown["spec"]["sandbox"] = "fast".into();
    let server = std::thread::spawn(move || {
        let mut heard = Vec::new();
        while heard.len() < 2 {
            // SAFETY: a new descriptor that nobody else owns.
            let client =
                unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(accept(listening.as_raw_fd()).unwrap()) };
            hear(&client);
            say(&client, &json!({"version": 1, "program": "0.0.9"}));
            let Some(request) = hear(&client) else {
                heard.push("nothing".to_owned());
                continue;
            };
            heard.push(request["request"].as_str().unwrap().to_owned());
            say(&client, &json!({"answer": "state", "pod": shown, "events": [], "mood": "good"}));
        }
        heard
    });
    assert_eq!(podlet.pod("old")["status"]["phase"], "Running");
    let said = podlet.fail(&["upgrade", "old"]);
    assert!(
        said.starts_with("error: pod/old: its podlet 0.0.9 is too old to be replaced while it runs; stop the pod"),
        "{said}"
    );
    assert_eq!(server.join().unwrap(), ["get", "nothing"]);
    fs::remove_dir_all(&run).unwrap();
    podlet.finish();
}

/// An exec goes on over an upgrade: its client connects again.
#[test]
fn an_exec_goes_on_over_an_upgrade() {
    let podlet = Podlet::new();
    let other = other_podlet(&podlet);
    podlet.apply(
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"terminationGracePeriodSeconds": 1,
            "containers": [{"name": "a", "image": "podlet.local/host", "command": ["sleep", "1000"]}]}}"#,
    );
    podlet.wait("web", |pod| container(pod, "a")["state"]["running"].is_object());
    let mut command =
        podlet.command(&["exec", "-i", "web", "--", "sh", "-c", "read a; echo $a; read b; echo $b; exit 5"]);
    let mut session = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut into, mut from) = (session.stdin.take().unwrap(), session.stdout.take().unwrap());
    let mut line = [0; 4];
    into.write_all(b"one\n").unwrap();
    from.read_exact(&mut line).unwrap();
    upgrade(&podlet, &other, &["upgrade", "web"]);
    into.write_all(b"two\n").unwrap();
    from.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"two\n");
    assert_eq!(session.wait().unwrap().code(), Some(5));
    podlet.finish();
}

/// A supervisor that sleeps is woken for it, and the new one falls asleep as the old one did.
#[test]
fn a_sleeping_pod_is_upgraded() {
    let podlet = Podlet::new();
    let other = other_podlet(&podlet);
    let manifest = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "quiet"}, "spec": {"restartPolicy": "Never",
        "containers": [{"name": "a", "image": "podlet.local/actor", "args": ["on", "TERM", "exit", "42", ",", "sleep", "forever"]}]}}"#;
    let output = podlet.try_apply(manifest, &["--sleep-after=0"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let uid = kills::uid(&podlet.wait("quiet", |pod| container(pod, "a")["state"]["running"].is_object()));
    let program = kills::program(&uid, "a");
    let sleeps = || Part::Supervisor.pid(&uid).is_none();
    for (version, path) in [(OTHER, other.clone()), (OURS, PathBuf::from(PROGRAM)), (OTHER, other)] {
        until("its supervisor sleeps", sleeps);
        let said = upgrade(&podlet, &path, &["upgrade", "quiet"]);
        assert!(said.ends_with(&format!("\u{2192} {version})\n")), "{said}");
        until("the new one sleeps", sleeps);
        assert_eq!(version_of(&podlet.pod("quiet")), version);
    }
    kills::send_when_heard(program, Signal::SIGTERM);
    let pod = podlet.wait("quiet", |pod| pod["status"]["phase"] == "Failed");
    assert_eq!(container(&pod, "a")["state"]["terminated"]["exitCode"], 42);
    podlet.finish();
}
