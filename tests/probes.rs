//! Probes of real containers: what each kind asks and what is told of the answer, what follows from it, and that nothing is
//! left or forgotten when a supervisor is killed in the midst of one.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::kills::{self, Part, zygotes};
use common::podlet::{Podlet, container, processes_of, text, until};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A pod of these containers, in flow style.
fn apply(podlet: &Podlet, name: &str, containers: &str, words: &[&str]) -> String {
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 2\n  \
         containers:\n{containers}"
    );
    let output = podlet.try_apply(&manifest, words);
    assert!(output.status.success(), "{}", text(&output.stderr));
    kills::uid(&podlet.pod(name))
}

/// The events of a pod: reason, message, count.
fn events(podlet: &Podlet, pod: &str) -> Vec<(String, String, u64)> {
    let json = podlet.succeed(&["events", "--for", &format!("pod/{pod}"), "-o", "json"]);
    let list: Value = serde_json::from_str(&json).unwrap();
    let word = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|event| (word(event, "reason"), word(event, "message"), event["count"].as_u64().unwrap_or(1))).collect()
}

/// Waits until an event of that reason begins so; answers its message.
fn event(podlet: &Podlet, pod: &str, reason: &str, begins: &str) -> String {
    let mut found = None;
    until(&format!("the event {reason}: {begins}"), || {
        let events = events(podlet, pod).into_iter();
        found = events.filter(|(r, _, _)| r == reason).map(|(_, message, _)| message).find(|m| m.starts_with(begins));
        found.is_some()
    });
    found.unwrap()
}

fn is_ready(pod: &Value, name: &str) -> bool {
    container(pod, name)["ready"] == true
}

/// The processes of a pod that run this, as /proc shows their command lines.
fn running(uid: &str, words: &str) -> Vec<i32> {
    let is_it = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(words)
    };
    processes_of(uid).into_iter().filter(is_it).collect()
}

#[test]
fn each_kind_of_probe_finds_a_healthy_container_ready() {
    let podlet = Podlet::new();
    apply(
        &podlet,
        "healthy",
        r#"
  - name: web
    image: podlet.local/actor
    args: [serve-http, "8080", status=204, ",", serve-tcp, "7070", ",", serve-grpc, "9090", service=db]
    ports: [{name: web, containerPort: 8080}, {name: plain, containerPort: 7070}]
    startupProbe: {tcpSocket: {port: plain}, periodSeconds: 1}
    livenessProbe: {httpGet: {path: /status/399, port: web}, periodSeconds: 1, failureThreshold: 1}
    readinessProbe: {grpc: {port: 9090, service: db}, periodSeconds: 1}
  - name: command
    image: podlet.local/host
    command: [sleep, "1000"]
    env: [{name: GREETING, value: hello}]
    startupProbe: {httpGet: {port: 8080, host: 127.0.0.1}, periodSeconds: 1}
    readinessProbe: {exec: {command: [sh, -c, "test $(GREETING) = hello && test $$(NONE)x = x && test -z $UNSET"]}, periodSeconds: 1}
"#,
        &[],
    );
    let pod = podlet.wait("healthy", |pod| is_ready(pod, "web") && is_ready(pod, "command"));
    for name in ["web", "command"] {
        assert_eq!(
            (&container(&pod, name)["started"], &container(&pod, name)["restartCount"]),
            (&true.into(), &0.into())
        );
    }
    assert!(podlet.succeed(&["get", "pods"]).contains("2/2"));
    let described = podlet.succeed(&["describe", "pod", "healthy"]);
    assert!(
        described.contains("Liveness:       http-get http://:web/status/399 delay=0s timeout=1s period=1s"),
        "{described}"
    );
    podlet.finish();
}

/// A pod with servers that answer badly, and one container for each of these probes, each run once: a recorder lets few
/// warnings through, and combines what is too much alike.
fn each_is_told(podlet: &Podlet, name: &str, probes: &[(&str, &str)]) {
    let server = "  - name: server\n    image: podlet.local/actor\n    args: [serve-http, \"8080\", \",\", serve-http, \
                  \"8081\", wrong=yes, \",\", serve-grpc, \"9090\", status=NOT_SERVING, service=db]\n";
    let mut containers = server.to_owned();
    for (number, (probe, _)) in probes.iter().enumerate() {
        containers += &format!(
            "  - name: c{number}\n    image: podlet.local/host\n    command: [sleep, \"1000\"]\n    readinessProbe: {{{probe}, \
             initialDelaySeconds: 3, periodSeconds: 600, timeoutSeconds: 1}}\n"
        );
    }
    apply(podlet, name, &containers, &[]);
    for (_, message) in probes {
        event(podlet, name, "Unhealthy", message);
    }
    let pod = podlet.pod(name);
    assert!(!is_ready(&pod, "c0") && is_ready(&pod, "server"));
    let ready = pod["status"]["conditions"].as_array().unwrap().iter().find(|condition| condition["type"] == "Ready");
    assert_eq!(ready.unwrap()["reason"], "ContainersNotReady");
}

#[test]
fn a_failing_request_is_told_in_a_kubelets_words() {
    let podlet = Podlet::new();
    each_is_told(
        &podlet,
        "asked",
        &[
            (
                "httpGet: {path: /status/500, port: 8080}",
                "Readiness probe failed: HTTP probe failed with statuscode: 500",
            ),
            (
                "httpGet: {path: /delay/30s, port: 8080}",
                "Readiness probe failed: Get \"http://127.0.0.1:8080/delay/30s\": context deadline exceeded \
                 (Client.Timeout exceeded while awaiting headers)",
            ),
            (
                "httpGet: {port: 8081}",
                "Readiness probe failed: Get \"http://127.0.0.1:8081/\": net/http: HTTP/1.x transport connection broken: \
                 malformed HTTP response",
            ),
            (
                "httpGet: {port: 81, path: '/x?y=z'}",
                "Readiness probe failed: Get \"http://127.0.0.1:81/x?y=z\": dial tcp 127.0.0.1:81: connect: connection \
                 refused",
            ),
            (
                "tcpSocket: {port: nothing}",
                "Readiness probe errored and resulted in unknown state: strconv.Atoi: parsing \"nothing\": invalid syntax",
            ),
            ("tcpSocket: {port: 81}", "Readiness probe failed: dial tcp 127.0.0.1:81: connect: connection refused"),
        ],
    );
    podlet.finish();
}

#[test]
fn a_failing_service_or_command_is_told_in_a_kubelets_words() {
    let podlet = Podlet::new();
    each_is_told(
        &podlet,
        "called",
        &[
            (
                "grpc: {port: 9090, service: db}",
                "Readiness probe failed: service unhealthy (responded with \"NOT_SERVING\")",
            ),
            (
                "grpc: {port: 9090, service: other}",
                "Readiness probe failed: error: health rpc probe failed: rpc error: code = NotFound desc = ",
            ),
            (
                "grpc: {port: 81}",
                "Readiness probe failed: timeout: failed to connect service \"127.0.0.1:81\" within 1s: context deadline \
                 exceeded",
            ),
            ("exec: {command: [sh, -c, 'echo out; echo err >&2; exit 3']}", "Readiness probe failed: out\nerr\n"),
            (
                "exec: {command: ['echo $HOME && false']}",
                "Readiness probe errored and resulted in unknown state: exec: \"echo $HOME && false\"",
            ),
        ],
    );
    podlet.finish();
}

#[test]
fn a_container_whose_liveness_fails_is_killed_and_started_anew() {
    let podlet = Podlet::new();
    apply(
        &podlet,
        "sick",
        r#"
  - name: web
    image: podlet.local/actor
    args: [serve-http, "8080", fail-after=3s]
    livenessProbe: {httpGet: {port: 8080}, periodSeconds: 1, failureThreshold: 2}
"#,
        &[],
    );
    let pod = podlet.wait("sick", |pod| container(pod, "web")["restartCount"] == 1);
    assert_eq!(container(&pod, "web")["lastState"]["terminated"]["exitCode"], 0);
    let killing = event(&podlet, "sick", "Killing", "");
    assert_eq!(killing, "Container web failed liveness probe, will be restarted");
    event(&podlet, "sick", "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 503");
    podlet.finish();
}

#[test]
fn readiness_flaps_and_the_container_runs_on() {
    let podlet = Podlet::new();
    apply(
        &podlet,
        "flapping",
        r#"
  - name: web
    image: podlet.local/actor
    args: [serve-http, "8080", flap=2s]
    readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1, failureThreshold: 1}
"#,
        &[],
    );
    let mut changes = 0;
    let mut last = false;
    let pod = podlet.wait("flapping", |pod| {
        let ready = is_ready(pod, "web");
        changes += usize::from(ready != std::mem::replace(&mut last, ready));
        changes == 4
    });
    assert_eq!(container(&pod, "web")["restartCount"], 0);
    podlet.finish();
}

/// What was found out for a command holds as long as its program is found where it was.
#[test]
fn the_program_of_a_command_is_sought_in_path_each_time() {
    let podlet = Podlet::new();
    apply(
        &podlet,
        "sought",
        r#"
  - name: c
    image: podlet.local/host
    command: [sleep, "1000"]
    env: [{name: PATH, value: "/first:/second:/bin:/usr/bin"}]
    readinessProbe: {exec: {command: [check]}, periodSeconds: 1, failureThreshold: 1}
"#,
        &[],
    );
    until("it runs", || container(&podlet.pod("sought"), "c")["state"]["running"].is_object());
    let place = |directory: &str, code: u32| {
        let script = format!(
            "mkdir -p /{directory} && printf '#!/bin/sh\nexit {code}\n' > /{directory}/new && chmod +x /{directory}/new && \
             mv /{directory}/new /{directory}/check"
        );
        podlet.succeed(&["exec", "sought", "--", "sh", "-c", &script]);
    };
    let becomes = |ready: bool| {
        until(&format!("ready is {ready}"), || is_ready(&podlet.pod("sought"), "c") == ready);
    };
    place("second", 0);
    becomes(true);
    place("first", 1);
    becomes(false);
    podlet.succeed(&["exec", "sought", "--", "rm", "/first/check"]);
    becomes(true);
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_all_that_it_started() {
    let podlet = Podlet::new();
    let uid = apply(
        &podlet,
        "stuck",
        r#"
  - name: main
    image: podlet.local/host
    command: [sh, -c, "trap '' CHLD; while :; do sleep 1; done"]
    readinessProbe:
      exec: {command: [sh, -c, "sleep 98765 & setsid sleep 98765 & (sleep 98765 & sleep 98765) & sleep 98765"]}
      periodSeconds: 1
      timeoutSeconds: 1
      failureThreshold: 1
"#,
        &[],
    );
    until("the probe's processes run", || running(&uid, "sleep 98765").len() >= 5);
    let text = event(&podlet, "stuck", "Unhealthy", "Readiness probe failed: command timed out: ");
    assert!(text.ends_with("& sleep 98765\" timed out after 1s"), "{text}");
    // Others come with the next probe, so look at one that is over: no more run at a time than one probe starts.
    for _ in 0..200 {
        assert!(running(&uid, "sleep 98765").len() <= 7, "probes pile up");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    podlet.finish();
}

#[test]
fn counting_goes_on_over_the_death_of_a_supervisor() {
    let podlet = Podlet::new();
    let uid = apply(
        &podlet,
        "counted",
        r#"
  - name: main
    image: podlet.local/actor
    args: [sleep, forever]
    livenessProbe: {exec: {command: [/actor, exit, "1"]}, periodSeconds: 2, failureThreshold: 5}
"#,
        &[],
    );
    let failures =
        || events(&podlet, "counted").iter().filter(|(r, _, _)| r == "Unhealthy").map(|(_, _, n)| *n).sum::<u64>();
    for seen in [1, 2, 4] {
        until("another failure", || failures() >= seen);
        kills::send(Part::Supervisor.wait(&uid), Signal::SIGKILL);
    }
    let pod = podlet.wait("counted", |pod| container(pod, "main")["restartCount"] == 1);
    assert_eq!(container(&pod, "main")["lastState"]["terminated"]["exitCode"], 0);
    let counted = events(&podlet, "counted");
    let killed = counted.iter().find(|(reason, _, _)| reason == "Killing").unwrap();
    assert_eq!(killed.1, "Container main failed liveness probe, will be restarted");
    assert!((5..=6).contains(&failures()), "{counted:?}");
    podlet.finish();
}

#[test]
fn a_probe_that_runs_when_its_supervisor_dies_is_ended_and_run_anew() {
    let podlet = Podlet::new();
    let uid = apply(
        &podlet,
        "probed",
        r#"
  - name: main
    image: podlet.local/host
    command: [sleep, "1000"]
    readinessProbe: {exec: {command: [sh, -c, "sleep 98764 & sleep 98764; exit 1"]}, timeoutSeconds: 600}
"#,
        &[],
    );
    let runs = || running(&uid, "sleep 98764").into_iter().collect::<std::collections::BTreeSet<i32>>();
    until("the probe runs", || runs().len() == 3);
    let first = runs();
    kills::send(Part::Supervisor.wait(&uid), Signal::SIGKILL);
    until("another probe runs", || runs().len() == 3 && runs().is_disjoint(&first));
    assert_eq!(container(&podlet.pod("probed"), "main")["restartCount"], 0);
    podlet.finish();
}

#[test]
fn a_supervisor_that_sleeps_is_woken_for_the_next_probe() {
    let podlet = Podlet::new();
    let uid = apply(
        &podlet,
        "rare",
        r#"
  - name: main
    image: podlet.local/actor
    args: [sleep, forever]
    readinessProbe: {exec: {command: [/actor, exit, "0"]}, initialDelaySeconds: 8}
"#,
        &["--sleep-after=0"],
    );
    until("the supervisor sleeps", || Part::Supervisor.pid(&uid).is_none());
    let pod = podlet.wait("rare", |pod| is_ready(pod, "main"));
    assert_eq!(container(&pod, "main")["started"], true);
    podlet.finish();
}

fn status_line(pid: i32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().to_owned()
}

/// What runs a probe's command has of the container all but a number in its PID namespace, and lives as long as the probe does.
#[test]
fn a_zygote_is_out_of_the_containers_reach_and_goes_with_the_probe() {
    let podlet = Podlet::new();
    let uid = apply(
        &podlet,
        "forked",
        r#"
  - name: main
    image: podlet.local/host
    command: [sleep, "1000"]
    workingDir: /work
    securityContext: {runAsUser: 1000, allowPrivilegeEscalation: false}
    startupProbe: {exec: {command: ["true"]}, periodSeconds: 1, timeoutSeconds: 60}
    readinessProbe:
      exec: {command: [sh, -c, "ls /proc | grep -c '^[0-9]*$' >/dev/stdout; cat here; exit 1"]}
      periodSeconds: 1
      timeoutSeconds: 60
      failureThreshold: 1
  - name: root
    image: podlet.local/host
    command: [sleep, "1000"]
    workingDir: /place
    readinessProbe: {exec: {command: [sh, -c, "cat here; exit 1"]}, periodSeconds: 1, timeoutSeconds: 60, failureThreshold: 1}
"#,
        &[],
    );
    // Its own first process, sh, ls and grep: nothing else is seen there. What it writes to is its own.
    event(&podlet, "forked", "Unhealthy", "Readiness probe failed: 4\n");
    // The startup probe's has gone: one for each of the others.
    until("one zygote for each probe", || zygotes(&uid).len() == 2);
    let main = kills::program(&uid, "main");
    let forked = |pid: i32, name: &str| fs::read_link(format!("/proc/{pid}/ns/{name}")).unwrap();
    let of_main = zygotes(&uid).into_iter().find(|pid| forked(*pid, "mnt") == forked(main, "mnt")).unwrap();
    for line in ["Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp"] {
        assert_eq!(status_line(of_main, line), status_line(main, line), "{line}");
    }
    for name in ["net", "ipc", "uts", "cgroup"] {
        assert_eq!(forked(of_main, name), forked(main, name), "{name}");
    }
    assert_eq!(forked(of_main, "pid_for_children"), forked(main, "pid"));
    assert_eq!((status_line(of_main, "NSpid"), of_main.to_string()), (of_main.to_string(), of_main.to_string()));
    assert_eq!(status_line(main, "NSpid").split_whitespace().nth(1), Some("1"));

    // A working directory that is another one now is gone to.
    let script = "mv /place /old && mkdir /place && echo second >/place/here";
    podlet.succeed(&["exec", "forked", "-c", "root", "--", "sh", "-c", script]);
    event(&podlet, "forked", "Unhealthy", "Readiness probe failed: second");

    // One that was killed is made anew.
    let killed = zygotes(&uid);
    killed.iter().for_each(|pid| kills::send(*pid, Signal::SIGKILL));
    until("others are there", || zygotes(&uid).len() == 2 && zygotes(&uid).iter().all(|pid| !killed.contains(pid)));
    assert_eq!(container(&podlet.pod("forked"), "main")["restartCount"], 0);

    // With the container's end, and with the pod's, they go.
    let before = zygotes(&uid);
    kills::send(main, Signal::SIGKILL);
    podlet.wait("forked", |pod| container(pod, "main")["restartCount"] == 1);
    until("those of the ended one are gone", || zygotes(&uid).iter().filter(|pid| before.contains(pid)).count() == 1);
    podlet.finish();
}

/// What a run that ended well has left behind is no part of the next one.
#[test]
fn what_a_command_leaves_running_outlives_the_next_ones_timeout() {
    let podlet = Podlet::new();
    let script = "if [ -e /once ]; then sleep 98763; else touch /once; sleep 98762 & fi";
    let uid = apply(
        &podlet,
        "leaving",
        &format!(
            "  - name: main\n    image: podlet.local/host\n    command: [sleep, \"1000\"]\n    readinessProbe:\n      exec: \
             {{command: [sh, -c, \"{script}\"]}}\n      periodSeconds: 1\n      timeoutSeconds: 5\n"
        ),
        &[],
    );
    event(&podlet, "leaving", "Unhealthy", "Readiness probe failed: command timed out: ");
    let line = |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert_eq!(processes_of(&uid).iter().filter(|pid| line(pid) == b"sleep\x0098762\0").count(), 1);
    podlet.finish();
}
