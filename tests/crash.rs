//! podlet's own processes are killed, one by one and together, while real containers run: no container is lost or doubled, no
//! exit status forgotten, no log byte missing or doubled.

#![allow(clippy::unwrap_used)]

mod common;

use std::os::fd::AsFd;
use std::path::Path;

use common::kills::{self, Part, both_run, telling_pod};
use common::podlet::{Podlet, container, text, until};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use serde_json::Value;

fn exit_code(pod: &Value, name: &str) -> Option<i64> {
    container(pod, name)["state"]["terminated"]["exitCode"].as_i64()
}

/// The pid of `ender` once it does what its words say; what it hears last is the last of them.
fn ender(uid: &str) -> i32 {
    let pid = kills::program(uid, "ender");
    kills::hears(pid, Signal::SIGUSR1);
    pid
}

/// Beats come, and from one instance only.
fn assert_one_instance(podlet: &Podlet, name: &str) {
    let file = podlet.root.join("data").join(name);
    let seen = kills::heartbeats(&file).concat().len();
    until("more beats", || kills::heartbeats(&file).concat().len() > seen + 5);
    let instances = kills::heartbeats(&file);
    assert_eq!(instances.len(), 1, "{name}: instances of one container");
    kills::assert_no_gap(&instances[0], name);
}

#[test]
fn podlets_processes_are_killed_and_the_pod_does_not_notice() {
    each_part_is_killed(Podlet::new());
}

#[test]
fn podlets_processes_are_killed_where_the_kernel_forgets_ends() {
    each_part_is_killed(Podlet::on_kernel_that_forgets_ends());
}

fn each_part_is_killed(podlet: Podlet) {
    let cases: [(&str, &[Part]); 5] = [
        ("supervisor", &[Part::Supervisor]),
        ("keeper", &[Part::Keeper]),
        ("guard", &[Part::Guard]),
        ("supervisor-keeper", &[Part::Supervisor, Part::Keeper]),
        ("supervisor-guard", &[Part::Supervisor, Part::Guard]),
    ];
    for (name, _) in cases {
        podlet.apply(&telling_pod(&podlet, name, "Never", 1000));
    }
    for (name, parts) in cases {
        let uid = kills::uid(&podlet.wait(name, both_run));
        let ender = ender(&uid);
        // What is stopped sees nothing of the container's end.
        let pids: Vec<i32> = parts.iter().map(|part| part.wait(&uid)).collect();
        for pid in &pids {
            kills::send(*pid, Signal::SIGSTOP);
        }
        kills::send(ender, Signal::SIGTERM);
        kills::kill_at_once(&uid, parts);

        let pod = podlet.wait(name, |pod| exit_code(pod, "ender").is_some());
        assert_eq!(exit_code(&pod, "ender"), Some(42), "{name}: {:#}", container(&pod, "ender"));
        assert!(container(&pod, "beat")["state"]["running"].is_object(), "{name}: {:#}", pod["status"]);
        assert_one_instance(&podlet, name);
        let log = kills::log_file(&podlet, name, &uid, "beat", 0);
        until("all lines", || kills::written(&log).lines().count() >= 1000);

        kills::send_when_heard(kills::program(&uid, "beat"), Signal::SIGTERM);
        let pod = podlet.wait(name, |pod| pod["status"]["phase"] == "Failed");
        assert_eq!(exit_code(&pod, "beat"), Some(0), "{name}");
        for entry in ["beat", "ender"] {
            assert_eq!(container(&pod, entry)["restartCount"], 0, "{name}");
        }
        assert_eq!(kills::numbered(&kills::written(&log), 64), 1000, "{name}");
    }
    podlet.finish();
}

/// Who reaps a container that lost its parents may do so or not: its code is known, or it is said that it is not.
fn assert_ended_with_42_or_unknown(ended: &Value) {
    match ended["exitCode"].as_i64() {
        Some(42) => assert_eq!(ended["reason"], "Error"),
        code => {
            assert_eq!(code, Some(137), "{ended:#}");
            assert_eq!(ended["reason"], "ContainerStatusUnknown");
            assert!(ended["message"].as_str().unwrap().contains("twin were killed"), "{ended:#}");
        }
    }
}

fn keeper_was_lost(pod: &Value) -> Option<&str> {
    pod["metadata"]["annotations"]["podlet.dev/keeper-lost"].as_str()
}

/// `ender` is told to end, and is started again as the child of the keeper that there is now.
fn assert_restarts_under_another_keeper(podlet: &Podlet, name: &str, uid: &str) {
    let before = container(&podlet.pod(name), "ender")["restartCount"].as_u64().unwrap();
    kills::send(ender(uid), Signal::SIGTERM);
    let pod = podlet.wait(name, |pod| both_run(pod) && container(pod, "ender")["restartCount"] == before + 1);
    let ended = &container(&pod, "ender")["lastState"]["terminated"];
    assert_ended_with_42_or_unknown(ended);
    if ends_are_told(podlet) {
        assert_eq!(ended["exitCode"], 42);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", kills::program(uid, "ender"))).unwrap();
    let keeper = Part::Keeper.wait(uid).to_string();
    assert_eq!(status.lines().find_map(|line| line.strip_prefix("PPid:")).map(str::trim), Some(keeper.as_str()));
}

/// Whether this kernel tells how a process ended that somebody else has reaped.
fn ends_are_told(podlet: &Podlet) -> bool {
    text(&podlet.run(&["doctor"]).stdout)
        .lines()
        .any(|line| line.starts_with("good") && line.contains("PIDFD_GET_INFO"))
}

#[test]
fn keeper_and_twin_are_killed_at_once_and_another_keeper_goes_on() {
    both_are_killed(Podlet::new());
}

#[test]
fn keeper_and_twin_are_killed_where_the_kernel_forgets_ends() {
    let podlet = Podlet::on_kernel_that_forgets_ends();
    assert!(!ends_are_told(&podlet));
    both_are_killed(podlet);
}

fn both_are_killed(podlet: Podlet) {
    let words = ["--crash-backoff-initial=100", "--crash-backoff-max=200"];
    let output = podlet.try_apply(&telling_pod(&podlet, "web", "Always", 1000), &words);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let uid = kills::uid(&podlet.wait("web", both_run));
    // The second time what runs is partly the first keeper's, partly the second's.
    for _ in 0..2 {
        let beat = kills::program(&uid, "beat");
        kills::kill_at_once(&uid, &[Part::Keeper, Part::Guard]);
        let pod = podlet.wait("web", |pod| keeper_was_lost(pod).is_some_and(|text| text.contains("ender")));
        assert!(both_run(&pod), "{:#}", pod["status"]);
        assert_eq!(kills::program(&uid, "beat"), beat);
        assert_one_instance(&podlet, "web");
        assert_restarts_under_another_keeper(&podlet, "web", &uid);
        assert!(podlet.succeed(&["exec", "web", "-c", "beat", "--", "/actor", "print", "hello"]).contains("hello"));
        let text = keeper_was_lost(&podlet.pod("web")).unwrap_or_default().to_owned();
        assert!(text.contains("beat") && !text.contains("ender"), "{text}");
    }
    let log = kills::log_file(&podlet, "web", &uid, "beat", 0);
    until("all lines", || kills::written(&log).lines().count() >= 1000);
    assert_eq!(kills::numbered(&kills::written(&log), 64), 1000);
    assert_one_instance(&podlet, "web");

    // A new sandbox is the new keeper's child, as is all that joins it: nothing is left to be said.
    kills::send(Part::Pause.wait(&uid), Signal::SIGKILL);
    let again = |pod: &Value| both_run(pod) && container(pod, "beat")["restartCount"] == 1;
    assert_eq!(keeper_was_lost(&podlet.wait("web", again)), None);
    podlet.finish();
}

/// As [`telling_pod`], but nothing writes to its log without being asked to: what a killed supervisor has in its hands is lost.
fn quiet_pod(podlet: &Podlet, name: &str, policy: &str) -> String {
    telling_pod(podlet, name, policy, 1000).replace(", \",\", log, \"1000\", rate=1000/s, size=64", "")
}

/// Nobody is left who could do anything: what runs goes on, and the next command takes it up.
#[test]
fn keeper_twin_and_supervisor_are_killed_and_apply_takes_up_what_runs() {
    let podlet = Podlet::new();
    let manifest = quiet_pod(&podlet, "web", "Always");
    podlet.apply(&manifest);
    let uid = kills::uid(&podlet.wait("web", both_run));
    let log = kills::log_file(&podlet, "web", &uid, "ender", 0);
    let mut reports = 0;
    let mut report = || {
        reports += 1;
        kills::send(ender(&uid), Signal::SIGUSR1);
        until("a line in its log", || kills::written(&log).lines().count() == reports);
    };
    report();
    let programs = ["beat", "ender"].map(|name| kills::program(&uid, name));
    for parts in [[Part::Guard, Part::Keeper, Part::Supervisor], [Part::Supervisor, Part::Keeper, Part::Guard]] {
        kills::kill_at_once(&uid, &parts);
        assert_eq!(podlet.pod("web")["status"]["phase"], "Unknown");
        podlet.apply(&manifest);
        let pod = podlet.wait("web", both_run);
        for name in ["beat", "ender"] {
            assert_eq!(container(&pod, name)["restartCount"], 0, "{:#}", container(&pod, name));
        }
        let text = keeper_was_lost(&pod).unwrap().to_owned();
        assert!(text.contains("beat, ender, the sandbox"), "{text}");
        assert_eq!(["beat", "ender"].map(|name| kills::program(&uid, name)), programs);
        assert_one_instance(&podlet, "web");
        report();
    }
    assert_restarts_under_another_keeper(&podlet, "web", &uid);
    assert_one_instance(&podlet, "web");
    // A supervisor that takes over from the one that adopted knows them, too.
    let pid = Part::Supervisor.wait(&uid);
    kills::send(pid, Signal::SIGKILL);
    until("another supervisor", || Part::Supervisor.pid(&uid).is_some_and(|other| other != pid));
    assert!(keeper_was_lost(&podlet.wait("web", both_run)).is_some_and(|text| text.contains("beat")));
    assert_one_instance(&podlet, "web");
    podlet.finish();
}

/// A pipe whose reader has gone would end its writer.
#[test]
fn a_container_that_writes_waits_for_the_next_supervisor() {
    let podlet = Podlet::new();
    let manifest = "
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: loud, image: podlet.local/actor, args: [log, forever, rate=2000/s, size=1000]}
";
    podlet.apply(manifest);
    let runs = |pod: &Value| container(pod, "loud")["state"]["running"].is_object();
    let uid = kills::uid(&podlet.wait("web", runs));
    let program = kills::program(&uid, "loud");
    let log = kills::log_file(&podlet, "web", &uid, "loud", 0);
    until("a line in its log", || !kills::written(&log).is_empty());
    kills::kill_at_once(&uid, &[Part::Guard, Part::Keeper, Part::Supervisor]);
    let is_full = || {
        let pipe = std::fs::OpenOptions::new().write(true).open(format!("/proc/{program}/fd/1")).unwrap();
        let mut polled = [PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO).unwrap() == 0
    };
    until("a full pipe", is_full);
    let before = std::fs::metadata(&log).unwrap().len();
    podlet.apply(manifest);
    let pod = podlet.wait("web", runs);
    assert_eq!(container(&pod, "loud")["restartCount"], 0);
    assert_eq!(kills::program(&uid, "loud"), program);
    until("further lines in its log", || std::fs::metadata(&log).unwrap().len() > before + 100_000);
    podlet.finish();
}

/// What has ended meanwhile is said to be unknown, and started again as its policy says.
#[test]
fn what_ends_while_nobody_looks_is_said_to_be_unknown() {
    let podlet = Podlet::new();
    let manifest = quiet_pod(&podlet, "web", "OnFailure");
    podlet.apply(&manifest);
    let uid = kills::uid(&podlet.wait("web", both_run));
    kills::kill_at_once(&uid, &[Part::Guard, Part::Keeper, Part::Supervisor]);
    let ender = ender(&uid);
    kills::send(ender, Signal::SIGTERM);
    until("the end of ender", || kills::is_gone(ender));
    podlet.apply(&manifest);
    let pod = podlet.wait("web", |pod| both_run(pod) && container(pod, "ender")["restartCount"] == 1);
    let ended = &container(&pod, "ender")["lastState"]["terminated"];
    // A zombie that nobody has reaped still tells.
    if ended["exitCode"] != 42 {
        assert_eq!(
            (&ended["exitCode"], &ended["reason"]),
            (&137.into(), &"ContainerStatusUnknown".into()),
            "{ended:#}"
        );
    }
    assert_eq!(container(&pod, "beat")["restartCount"], 0);
    assert_one_instance(&podlet, "web");
    podlet.finish();
}

/// It hung once: a sandbox that was taken up was killed, and its end was waited for by nobody.
#[test]
fn what_was_taken_up_can_be_deleted() {
    let podlet = Podlet::new();
    let manifest = quiet_pod(&podlet, "web", "Always");
    for again in [true, false] {
        podlet.apply(&manifest);
        let uid = kills::uid(&podlet.wait("web", both_run));
        kills::kill_at_once(&uid, &[Part::Guard, Part::Keeper, Part::Supervisor]);
        if again {
            podlet.apply(&manifest);
            podlet.wait("web", both_run);
        }
        podlet.succeed(&["delete", "pod", "web"]);
        // Who reaps what lost its parents is not podlet's to say.
        let left = common::podlet::processes_of(&uid).into_iter().filter(|pid| !kills::is_gone(*pid));
        assert_eq!(left.collect::<Vec<i32>>(), Vec::<i32>::new());
    }
    podlet.finish();
}

#[test]
fn pause_is_killed_and_the_sandbox_is_made_anew() {
    let podlet = Podlet::new();
    for (name, policy) in [("always", "Always"), ("never", "Never")] {
        podlet.apply(&telling_pod(&podlet, name, policy, 1000));
    }
    let link = |uid: &str, container: &str| format!("/proc/{}/ns/net", kills::program(uid, container));
    let network = |uid: &str, container: &str| std::fs::read_link(link(uid, container)).unwrap();
    let uid = kills::uid(&podlet.wait("always", both_run));
    let before = network(&uid, "beat");
    // Open, it lives on: else the next one may be given its number.
    let kept = std::fs::File::open(link(&uid, "beat")).unwrap();
    // podlet ends what runs in the old sandbox; here both do as they are told.
    let both_hear = |uid: &str| {
        kills::hears(kills::program(uid, "beat"), Signal::SIGTERM);
        ender(uid);
    };
    both_hear(&uid);
    kills::send(Part::Pause.wait(&uid), Signal::SIGKILL);
    let again = |pod: &Value| both_run(pod) && container(pod, "beat")["restartCount"] == 1;
    let pod = podlet.wait("always", again);
    assert_eq!(container(&pod, "ender")["restartCount"], 1, "{:#}", pod["status"]);
    assert_eq!(container(&pod, "ender")["lastState"]["terminated"]["exitCode"], 42, "{:#}", pod["status"]);
    let (beat, ender) = (network(&uid, "beat"), network(&uid, "ender"));
    assert_ne!(before, beat, "another sandbox has another network namespace");
    drop(kept);
    assert_eq!(beat, ender, "both joined the new sandbox");
    let events = kills::events(&podlet, &pod);
    let changed = "Normal SandboxChanged 1  Pod sandbox changed, it will be killed and re-created.";
    assert!(events.iter().any(|event| event == changed), "{events:#?}");
    let file = podlet.root.join("data/always");
    until("beats of the second instance", || kills::heartbeats(&file).len() == 2);

    let uid = kills::uid(&podlet.wait("never", both_run));
    both_hear(&uid);
    kills::send(Part::Pause.wait(&uid), Signal::SIGKILL);
    let pod = podlet.wait("never", |pod| pod["status"]["phase"] == "Failed");
    assert_eq!(exit_code(&pod, "ender"), Some(42), "{:#}", pod["status"]);
    assert_eq!(exit_code(&pod, "beat"), Some(0), "the actor ends with 0 at SIGTERM: {:#}", pod["status"]);
    assert_eq!(kills::heartbeats(&podlet.root.join("data/never")).len(), 1);
    podlet.finish();
}

/// A pod with every kind of step: one container crashes and waits in its back-off, one runs on, one has ended.
fn mixed_pod(podlet: &Podlet, name: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: OnFailure
  terminationGracePeriodSeconds: 2
  containers:
  - name: crash
    image: podlet.local/actor
    args: [heartbeat, /data/{name}, every=5ms, ",", log, "20", rate=10000/s, size=64, ",", sleep, 100ms, ",", exit, "3"]
    volumeMounts: [{{name: data, mountPath: /data}}]
  - name: steady
    image: podlet.local/actor
    args: [log, "200", rate=2000/s, size=64, ",", sleep, forever]
  - name: done
    image: podlet.local/actor
    args: [print, done]
  volumes:
  - name: data
    hostPath: {{path: {data}, type: DirectoryOrCreate}}
"#,
        data = podlet.root.join("data").display()
    )
}

/// The first restart of `crash` comes at once, the second after so long that nothing more happens during the test.
const LONG_BACKOFF: &str = "--crash-backoff-initial=600000";

fn mixed_pod_rests(pod: &Value) -> bool {
    container(pod, "crash")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        && container(pod, "steady")["state"]["running"].is_object()
        && container(pod, "done")["state"]["terminated"].is_object()
}

/// All that a user sees of a pod that rests: status, events, logs.
fn seen(podlet: &Podlet, name: &str, wanted: fn(&Value) -> bool, logs: &[(&str, u64, usize)]) -> (Value, Vec<String>) {
    let pod = podlet.wait(name, wanted);
    let uid = kills::uid(&pod);
    for (container, attempt, lines) in logs {
        let file = kills::log_file(podlet, name, &uid, container, *attempt);
        until(&format!("{lines} lines of {container}"), || kills::written(&file).lines().count() >= *lines);
        let count = kills::numbered(&kills::written(&file), 64);
        assert_eq!(count, *lines, "{name}: {container}");
    }
    (kills::comparable(&pod), kills::events(podlet, &pod))
}

/// Its exit is the first thing that the next supervisor hears of, and what follows from that is begun once: a second start of
/// the same instance would take the first one's log and kill it.
#[test]
fn a_container_that_ends_while_no_supervisor_looks_is_started_again_once() {
    let podlet = Podlet::new();
    const LOGS: [(&str, u64, usize); 2] = [("crash", 1, 20), ("steady", 0, 200)];
    let apply = |name: &str| {
        // `crash` ends when it is killed.
        let manifest = mixed_pod(&podlet, name).replace("sleep, 100ms, \",\", exit, \"3\"", "sleep, forever");
        let output = podlet.try_apply(&manifest, &[LONG_BACKOFF]);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        kills::uid(&podlet.wait(name, |pod| container(pod, "steady")["state"]["running"].is_object()))
    };
    let uids = ["undisturbed", "web"].map(apply);
    // The pid of an instance that has come to its last word.
    let crash = |name: &str, uid: &str, attempt: u64| {
        let log = kills::log_file(&podlet, name, uid, "crash", attempt);
        until("its lines", || kills::written(&log).lines().count() == 20);
        kills::program(uid, "crash")
    };
    kills::send(crash("undisturbed", &uids[0], 0), Signal::SIGKILL);
    let first = crash("web", &uids[1], 0);
    replace_supervisor(&podlet, &uids[1], |_| {
        kills::send(first, Signal::SIGKILL);
        until("the end of crash", || !Path::new(&format!("/proc/{first}")).exists());
    });
    for (name, uid) in ["undisturbed", "web"].into_iter().zip(&uids) {
        kills::send(crash(name, uid, 1), Signal::SIGKILL);
    }
    let expected = seen(&podlet, "undisturbed", mixed_pod_rests, &LOGS);
    assert_eq!(seen(&podlet, "web", mixed_pod_rests, &LOGS), expected);
    assert_eq!(kills::heartbeats(&podlet.root.join("data/web")).len(), 2);
    podlet.finish();
}

/// The supervisor is stopped, then something happens that it does not see (the pod's run directory is given), then it is
/// killed. Comes back when there is another one.
fn replace_supervisor(podlet: &Podlet, uid: &str, meanwhile: impl FnOnce(&Path)) {
    let pid = Part::Supervisor.wait(uid);
    kills::send(pid, Signal::SIGSTOP);
    // The signal is sent when kill(2) returns, and the process stops a moment later.
    until("its stop", || kills::is_stopped(pid));
    meanwhile(&podlet.root.join("run/pods").join(uid));
    kills::send(pid, Signal::SIGKILL);
    until("another supervisor", || Part::Supervisor.pid(uid).is_some_and(|other| other != pid));
}

#[test]
fn an_input_at_which_the_machine_panics_is_set_aside_and_named() {
    let podlet = Podlet::new();
    let output = podlet.try_apply(&mixed_pod(&podlet, "web"), &[LONG_BACKOFF, "--panic-at-exit=1"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let note = |pod: &Value| pod["metadata"]["annotations"]["podlet.dev/set-aside"].as_str().map(str::to_owned);
    let pod = podlet.wait("web", |pod| note(pod).is_some());
    let note = note(&pod).unwrap();
    assert!(note.contains("\"container\":\"crash\"") && note.contains("a test asked for this"), "{note}");
    assert!(container(&pod, "steady")["state"]["running"].is_object(), "{:#}", pod["status"]);
    assert_eq!(container(&pod, "done")["state"]["terminated"]["exitCode"], 0);
    podlet.finish();
}

#[test]
fn a_torn_last_line_of_the_journal_is_cut_off() {
    let podlet = Podlet::new();
    let output = podlet.try_apply(&mixed_pod(&podlet, "web"), &[LONG_BACKOFF]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let pod = podlet.wait("web", mixed_pod_rests);
    let (uid, before) = (kills::uid(&pod), kills::comparable(&pod));
    replace_supervisor(&podlet, &uid, |run| {
        let journal = std::fs::read_dir(run).unwrap().flatten().map(|entry| entry.path());
        let journal = journal.filter(|path| path.file_stem().is_some_and(|stem| stem == "journal")).max().unwrap();
        let whole = std::fs::read(&journal).unwrap();
        let half = whole.len() - whole.iter().rev().skip(1).position(|byte| *byte == b'\n').unwrap() / 2;
        let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().append(true).open(&journal).unwrap();
        file.write_all(&whole[last..half]).unwrap();
    });
    assert_eq!(kills::comparable(&podlet.wait("web", mixed_pod_rests)), before);
    let log = std::fs::read_to_string(podlet.root.join("run/pods").join(&uid).join("supervisor.log")).unwrap();
    assert!(log.contains("last line was cut off"), "{log}");
    podlet.finish();
}

/// A segment of the journal as an older version of the machine would have written it: its number in the first line is lower,
/// and the states that it came to (the digests) are not this version's.
fn make_older(journal: &Path) {
    let text = std::fs::read_to_string(journal).unwrap();
    let mut older = String::new();
    for line in text.lines() {
        let mut record: Value = serde_json::from_str(line.splitn(4, ' ').nth(3).unwrap()).unwrap();
        if let Some(machine) = record["machine"].as_u64() {
            record["machine"] = (machine - 1).into();
        }
        if let Some(digest) = record["digest"].as_u64() {
            record["digest"] = (digest ^ 1).into();
        }
        let json = record.to_string();
        older += &format!("1 {} {:08x} {json}\n", json.len(), crc32fast::hash(json.as_bytes()));
    }
    std::fs::write(journal, older).unwrap();
}

#[test]
fn a_newer_machine_version_takes_over_what_an_older_one_has_begun() {
    let podlet = Podlet::new();
    const LOGS: [(&str, u64, usize); 2] = [("crash", 1, 20), ("steady", 0, 200)];
    for (name, backoff) in [("web", LONG_BACKOFF), ("goes-on", "--crash-backoff-initial=3000")] {
        let output = podlet.try_apply(&mixed_pod(&podlet, name), &[backoff]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let age = |run: &Path| make_older(&run.join("journal.0"));
    let uid = kills::uid(&podlet.wait("web", mixed_pod_rests));
    let before = seen(&podlet, "web", mixed_pod_rests, &LOGS);
    let steady = kills::program(&uid, "steady");
    replace_supervisor(&podlet, &uid, age);

    // Nothing was decided again: the same status and events, the same process.
    assert_eq!(seen(&podlet, "web", mixed_pod_rests, &LOGS), before);
    assert_eq!(kills::program(&uid, "steady"), steady);
    let run = podlet.root.join("run/pods").join(&uid);
    assert!(run.join("snapshot.1.json").exists(), "a new segment of this version begins over a snapshot");
    let log = std::fs::read_to_string(run.join("supervisor.log")).unwrap();
    assert!(!log.contains("ERROR"), "{log}");

    // And it goes on: the back-off that the older version began is over in time, and its restart is counted on.
    let uid = kills::uid(&podlet.wait("goes-on", mixed_pod_rests));
    replace_supervisor(&podlet, &uid, age);
    let restarts = |pod: &Value| container(pod, "crash")["restartCount"].as_u64().unwrap();
    let taken_over = podlet.pod("goes-on");
    assert!(restarts(&taken_over) >= 1, "{:#}", container(&taken_over, "crash"));
    let pod = podlet.wait("goes-on", |pod| restarts(pod) > restarts(&taken_over));
    assert_eq!(container(&pod, "crash")["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(container(&pod, "steady")["restartCount"], 0);
    podlet.finish();
}
