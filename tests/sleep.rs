//! A pod in which nothing happens has no supervisor, and nobody notices: whatever happens wakes it, at whichever moment.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use common::kills::{self, Part, Random};
use common::podlet::{Podlet, container, text, until};
use common::tracer::{Last, Tracer, Whom};
use nix::sys::signal::Signal;
use podlet::paths::Paths;
use podlet::supervisor::client::{Client, ClientError};
use podlet::supervisor::{is_asleep, is_current};
use serde_json::Value;

/// For a supervisor that sleeps as soon as it can.
const AT_ONCE: &str = "--sleep-after=0";

/// A pod of one container with these words.
fn apply(podlet: &Podlet, name: &str, policy: &str, arguments: &str, words: &[&str]) -> String {
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: {policy}\n  \
         terminationGracePeriodSeconds: 2\n  containers:\n  - name: main\n    image: podlet.local/actor\n    \
         args: [{arguments}]\n"
    );
    let output = podlet.try_apply(&manifest, words);
    assert!(output.status.success(), "{}", text(&output.stderr));
    kills::uid(&podlet.pod(name))
}

fn paths(podlet: &Podlet) -> Paths {
    let [run, state, logs] = podlet.environment().map(|(_, directory)| directory);
    Paths { run, state, logs }
}

/// Waits until the supervisor has gone to sleep.
fn sleeps(podlet: &Podlet, uid: &str) {
    until("the supervisor sleeps", || is_asleep(&paths(podlet), uid) && Part::Supervisor.pid(uid).is_none());
}

/// How often the supervisor has been woken by now.
fn wakes(podlet: &Podlet, uid: &str) -> usize {
    supervisor_log(podlet, uid).matches(" awake ").count()
}

fn supervisor_log(podlet: &Podlet, uid: &str) -> String {
    fs::read_to_string(podlet.root.join("run/pods").join(uid).join("supervisor.log")).unwrap_or_default()
}

fn exit_code(pod: &Value) -> Option<i64> {
    container(pod, "main")["state"]["terminated"]["exitCode"].as_i64()
}

const WAITS: &str = r#""on", TERM, exit, "42", ",", "on", USR1, report, ",", sleep, forever"#;

#[test]
fn whatever_happens_wakes_it_and_looking_does_not() {
    let podlet = Podlet::new();
    let uid = apply(&podlet, "quiet", "Never", WAITS, &[AT_ONCE]);
    sleeps(&podlet, &uid);
    let program = kills::program(&uid, "main");
    kills::hears(program, Signal::SIGUSR1);

    // Looked at, it sleeps on.
    let before = wakes(&podlet, &uid);
    let pod = podlet.pod("quiet");
    assert!(container(&pod, "main")["state"]["running"].is_object(), "{:#}", pod["status"]);
    assert!(podlet.succeed(&["get", "pods"]).contains("1/1"));
    let described = podlet.succeed(&["describe", "pod", "quiet"]);
    assert!(described.contains("podlet.dev/supervisor: asleep"), "{described}");
    podlet.succeed(&["events"]);
    podlet.succeed(&["logs", "quiet"]);
    assert!(is_asleep(&paths(&podlet), &uid));
    assert_eq!(wakes(&podlet, &uid), before);

    // A line of the container's comes into its log.
    let log = kills::log_file(&podlet, "quiet", &uid, "main", 0);
    let length = kills::written(&log).len();
    kills::send(program, Signal::SIGUSR1);
    until("the line", || kills::written(&log).len() > length);
    sleeps(&podlet, &uid);

    // A client.
    let output = podlet.run(&["exec", "quiet", "--", "/actor", "exit", "7"]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    sleeps(&podlet, &uid);

    // Its keeper is killed: the twin wakes it.
    kills::kill_at_once(&uid, &[Part::Keeper]);
    let output = podlet.run(&["exec", "quiet", "--", "/actor", "exit", "8"]);
    assert_eq!(output.status.code(), Some(8), "{}", text(&output.stderr));
    sleeps(&podlet, &uid);

    // The end of the container, told by no client: what is seen without any changes.
    kills::send(program, Signal::SIGTERM);
    until("the end is published", || exit_code(&podlet.pod("quiet")) == Some(42));
    assert_eq!(container(&podlet.pod("quiet"), "main")["restartCount"], 0);
    let log = podlet.succeed(&["logs", "quiet", "--supervisor"]);
    assert!(log.contains("asleep") && log.contains("awake"), "{log}");
    podlet.finish();
}

/// A verb that goes on, and what it has printed.
struct Following {
    child: Child,
    output: std::path::PathBuf,
}

impl Following {
    fn start(podlet: &Podlet, words: &[&str]) -> Following {
        let output = podlet.root.join(format!("{}.out", words.join("_").replace('/', "_")));
        let file = fs::File::create(&output).unwrap();
        Following { child: podlet.command(words).stdout(file).spawn().unwrap(), output }
    }

    fn printed(&self) -> String {
        fs::read_to_string(&self.output).unwrap()
    }

    fn ends(&mut self) -> ExitStatus {
        until("it ends by itself", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whoever follows a pod lets it sleep, and is told of everything once.
#[test]
fn followers_let_it_sleep_and_miss_nothing() {
    let podlet = Podlet::new();
    let uid = apply(&podlet, "quiet", "Never", WAITS, &[AT_ONCE]);
    let program = kills::program(&uid, "main");
    kills::hears(program, Signal::SIGUSR1);
    let states = Following::start(&podlet, &["get", "pod", "quiet", "-w", "--no-headers"]);
    let events = Following::start(&podlet, &["events", "-w", "--no-headers"]);
    let mut lines = Following::start(&podlet, &["logs", "-f", "quiet"]);
    let mut wait = Following::start(&podlet, &["wait", "--for=jsonpath={.status.phase}=Failed", "pod/quiet"]);
    let gone = Following::start(&podlet, &["get", "pods", "-w"]);
    until("all have looked", || {
        let first = [&states, &events, &gone].iter().all(|follower| !follower.printed().is_empty());
        first && supervisor_log(&podlet, &uid).contains("asleep")
    });
    sleeps(&podlet, &uid);
    let before = wakes(&podlet, &uid);
    // One that goes wakes nobody.
    drop(gone);
    let log = kills::log_file(&podlet, "quiet", &uid, "main", 0);
    for _ in 0..3 {
        sleeps(&podlet, &uid);
        let length = kills::written(&log).len();
        kills::send(program, Signal::SIGUSR1);
        until("the line", || kills::written(&log).len() > length);
    }
    sleeps(&podlet, &uid);
    assert_eq!(wakes(&podlet, &uid), before + 3, "{}", supervisor_log(&podlet, &uid));
    kills::send(program, Signal::SIGTERM);
    assert!(wait.ends().success(), "{}", wait.printed());
    assert!(lines.ends().success());
    assert_eq!(lines.printed(), podlet.logs("quiet", "main"));
    until("the end is told", || states.printed().lines().last().is_some_and(|line| line.contains("Error")));
    let column = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().nth(2).unwrap_or_default().to_owned()).collect()
    };
    let mut told = column(&states.printed());
    // Its conditions change, too.
    told.dedup();
    assert_eq!(told, ["Running", "Error"], "{}", states.printed());
    let all = podlet.succeed(&["events", "--no-headers"]);
    let reasons = |text: &str| {
        let mut all: Vec<String> = text
            .lines()
            .filter_map(|line| {
                line.split_whitespace()
                    .find(|word| word.len() > 5 && word.starts_with(char::is_uppercase) && *word != "Normal")
            })
            .map(str::to_owned)
            .collect();
        all.sort();
        all
    };
    until("all events are told", || reasons(&events.printed()) == reasons(&all));
    drop((states, events));
    podlet.finish();
}

#[test]
fn a_deadline_wakes_it() {
    let podlet = Podlet::new();
    let words = [AT_ONCE, "--crash-backoff-initial=8000", "--crash-backoff-max=8000"];
    let uid = apply(&podlet, "again", "Always", r#"sleep, 10ms, ",", exit, "1""#, &words);
    sleeps(&podlet, &uid);
    let restarts = |pod: &Value| container(pod, "main")["restartCount"].as_i64().unwrap_or_default();
    let first = restarts(&podlet.pod("again"));
    until("the back-off is over", || restarts(&podlet.pod("again")) > first);
    assert!(wakes(&podlet, &uid) > 0);
    podlet.finish();
}

#[test]
fn never_means_never_and_a_deletion_finds_it_asleep() {
    let podlet = Podlet::new();
    let asleep = apply(&podlet, "asleep", "Always", WAITS, &[AT_ONCE]);
    let awake = apply(&podlet, "awake", "Always", WAITS, &["--sleep-after=never"]);
    sleeps(&podlet, &asleep);
    assert!(Part::Supervisor.pid(&awake).is_some());
    // Both keepers gone, nobody is left to be woken, and nobody says otherwise.
    kills::kill_at_once(&asleep, &[Part::Keeper, Part::Guard]);
    assert_eq!(podlet.pod("asleep")["status"]["phase"], "Unknown");
    podlet.succeed(&["delete", "pod", "asleep"]);
    podlet.succeed(&["delete", "pod", "awake"]);
    podlet.finish();
}

/// Awake, too, a pod is looked at without anybody being asked, once all that is to be said of it is published; and what somebody
/// was told is done is seen by whoever looks next.
#[test]
fn what_is_published_is_seen_without_asking_and_never_stale() {
    let podlet = Podlet::new();
    let uid = apply(&podlet, "awake", "Always", WAITS, &["--sleep-after=never"]);
    let ready = |pod: &Value| container(pod, "main")["ready"] == true;
    podlet.wait("awake", ready);
    let supervisor = Part::Supervisor.wait(&uid);
    // Stopped before it has published it could not answer, and published nothing either.
    until("it is stopped, and all is published", || {
        kills::send(supervisor, Signal::SIGSTOP);
        until("it is stopped", || kills::is_stopped(supervisor));
        let current = is_current(&paths(&podlet), &uid);
        if !current {
            kills::send(supervisor, Signal::SIGCONT);
        }
        current
    });
    assert!(ready(&podlet.pod("awake")));
    assert!(podlet.succeed(&["get", "pods"]).contains("1/1"));
    kills::send(supervisor, Signal::SIGCONT);

    for number in 0..50 {
        podlet.succeed(&["label", "pod", "awake", "--overwrite", &format!("number={number}")]);
        assert_eq!(podlet.pod("awake")["metadata"]["labels"]["number"], number.to_string());
    }

    // Nobody vouches for what a dead supervisor has published, until the next one has published, too.
    kills::send(supervisor, Signal::SIGKILL);
    until("it is gone", || kills::is_gone(supervisor));
    assert!(ready(&podlet.pod("awake")));
    until("the next one has published", || is_current(&paths(&podlet), &uid));
    podlet.finish();
}

/// Clients come at every moment of falling asleep and waking: each is answered. Lines come in between: each is written.
#[test]
fn no_client_and_no_line_is_missed_while_it_falls_asleep() {
    let podlet = Podlet::new();
    let uid = apply(&podlet, "crowd", "Never", WAITS, &[AT_ONCE]);
    sleeps(&podlet, &uid);
    let paths = paths(&podlet);
    let program = kills::program(&uid, "main");
    kills::hears(program, Signal::SIGUSR1);
    let seed = kills::seed();
    println!("PODLET_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let rounds = kills::budget(600).min(20_000);
    for round in 0..rounds {
        std::thread::sleep(Duration::from_micros(random.below(6000)));
        match Client::connect(&paths, &uid).and_then(|client| client.state()) {
            Ok((pod, _)) => assert_eq!(pod.metadata.uid.as_deref(), Some(uid.as_str())),
            Err(error) => panic!("round {round}: {error}"),
        }
    }
    let woken = wakes(&podlet, &uid);
    println!("{rounds} clients, {woken} wakes");
    assert!(woken > rounds / 10, "it hardly slept: {woken} wakes");
    // A line at a moment near that at which a log has been quiet for long enough.
    let log = kills::log_file(&podlet, "crowd", &uid, "main", 0);
    let lines = || kills::written(&log).lines().count();
    for _ in 0..rounds.div_ceil(60) {
        let before = lines();
        kills::send(program, Signal::SIGUSR1);
        until("the line", || lines() > before);
        std::thread::sleep(Duration::from_micros(995_000 + random.below(20_000)));
    }
    podlet.finish();
}

/// Killed at any call of waking up and of falling asleep again, it goes on.
#[test]
fn killed_in_the_hand_over_it_goes_on() {
    let podlet = Podlet::new();
    let uid = apply(&podlet, "point", "Never", WAITS, &[AT_ONCE]);
    let follower = Following::start(&podlet, &["get", "pod", "point", "-w", "--no-headers"]);
    until("it has looked", || !follower.printed().is_empty());
    let (keeper, paths) = (Part::Keeper.wait(&uid), paths(&podlet));
    let wake = |last| {
        sleeps(&podlet, &uid);
        let tracer = Tracer::start(Whom::NextSupervisorOf(keeper), last);
        match Client::connect(&paths, &uid).and_then(|client| client.state()) {
            Ok(_) | Err(ClientError::HungUp) => {}
            Err(error) => panic!("{last:?}: {error}"),
        }
        sleeps(&podlet, &uid);
        tracer.finish().len()
    };
    let (all, seed) = (wake(None), kills::seed());
    let mut random = Random::new(seed);
    // The last ones are those of the hand-over.
    let mut calls: Vec<usize> = (1..=all).collect();
    while calls.len() > kills::budget(20) {
        calls.remove(random.below(calls.len() as u64 - 8) as usize);
    }
    println!("{} of {all} calls, seed {seed}", calls.len());
    for number in calls {
        wake(Some(Last::Call(number)));
        let pod = podlet.pod("point");
        assert!(container(&pod, "main")["state"]["running"].is_object(), "{number}: {:#}", pod["status"]);
        assert_eq!(container(&pod, "main")["restartCount"], 0, "{number}");
    }
    kills::send_when_heard(kills::program(&uid, "main"), Signal::SIGTERM);
    until("the end", || exit_code(&podlet.pod("point")) == Some(42));
    until("whoever follows hears of it", || follower.printed().contains("Error"));
    drop(follower);
    podlet.finish();
}
