//! What a real kubelet was recorded doing (`tests/data/golden`), replayed in virtual time: the programs of each case's
//! manifest as a script, and all that a user sees compared with the recording.
//!
//! Left out, as the recording's README says: times (but a restart's window), states that only lag (a kubelet shows
//! `terminated` until its next look where podlet shows CrashLoopBackOff at once, misses a run that is shorter than its
//! look, and is late with a terminal phase), conditions in between.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::pod::hook::HookKind::PreStop;
use crate::pod::input::{Exit, Fact, ImageFailure, ProbeOutcome, StartStage, TerminationMessage};
use crate::pod::probe::ProbeKind::{Liveness, Readiness, Startup};
use crate::simulation::{End, ImageOutcome, Run, Script};

/// What the programs of a case's manifest do; for the rest the recording's text is given (a runtime's own words).
fn script(case: &str, text: &str) -> Script {
    let exits = |code| Script::default().container("m", [Run::exits(code, 100)]);
    let leaves = |message| Script::default().container("m", [Run { message, ..Run::exits(1, 100) }]);
    match case.split('-').next().unwrap() {
        "a01" | "a03" | "a05" | "g01" | "g04" | "i02" => exits(0),
        "a02" => exits(3),
        "a04" | "a06" => exits(1),
        "a07" => Script::default().container("ok", [Run::exits(0, 4000)]).container("bad", [Run::exits(1, 100)]),
        "a08" => Script::default().container("ok", [Run::exits(0, 100)]),
        "d01" => {
            let fails = ProbeOutcome::Failure("cat: can't open '/tmp/h': No such file or directory\n".to_owned());
            Script::default().container("m", [Run::forever().deaf().probe(Liveness, 6_500, fails)])
        }
        "d03" => {
            let fails = || ProbeOutcome::Failure("cat: can't open '/tmp/r': No such file or directory\n".to_owned());
            let run = Run::forever().probe(Readiness, 0, fails());
            let run = run.probe(Readiness, 3_000, ProbeOutcome::Success).probe(Readiness, 8_000, fails());
            Script::default().container("m", [run])
        }
        "d04" => {
            let fails = ProbeOutcome::Failure(String::new());
            Script::default().container("m", [Run::forever().probe(Startup, 0, fails)])
        }
        "d05" => {
            let fails = ProbeOutcome::Failure("dial tcp 10.78.0.27:8080: connect: connection refused".to_owned());
            let run = Run::forever().deaf().probe(Readiness, 0, fails);
            Script::default().container("m", [run.probe(Readiness, 1_500, ProbeOutcome::Success)])
        }
        "e05" => Script::default().container("m", [Run::forever().hook(PreStop, Some(2_000), None)]),
        "e07" | "h05" | "h06" => Script::default().container("m", [Run::forever().deaf()]),
        "f01" => leaves(TerminationMessage { file: "hello\n".to_owned(), ..Default::default() }),
        "f02" => leaves(TerminationMessage { log_tail: "from-log\n".to_owned(), ..Default::default() }),
        "f04" => Script::default().container("m", [Run::fails(StartStage::Run, text)]),
        "f06" => {
            Script::default().image("m", [ImageOutcome::Missing(ImageFailure::ErrImageNeverPull, text.to_owned())])
        }
        "f08" | "f10" => Script::default().container("m", [Run::fails(StartStage::Config, text)]),
        "f09" => {
            let end = Some(End { after: Duration::from_millis(500), exit: Exit::Signal(9) });
            Script::default().container("m", [Run { oom_killed: true, end, ..Run::forever() }])
        }
        "g03" => Script::default().container("m1", [Run::exits(0, 1000)]).container("m2", [Run::exits(0, 3000)]),
        "g06" => Script::default().container("m", [Run::exits(42, 100), Run::exits(42, 100), Run::exits(0, 100)]),
        "h09" => Script::default(),
        "i04" => Script::default().container("m", [Run::forever()]),
        "i08" => Script::default()
            .container("a", [Run::exits(0, 10)])
            .container("b", [Run::exits(0, 10)])
            .container("z", [Run::exits(0, 1000)]),
        other => panic!("{other} has no script"),
    }
}

/// One container's state as compared.
#[derive(Clone, Debug, PartialEq)]
struct State {
    state: String,
    reason: String,
    message: String,
    exit_code: Option<i64>,
    restarts: i64,
    ready: bool,
    started: bool,
    last: Option<(String, i64, String)>,
}

/// What was seen of a pod, recorded or simulated, in one form.
#[derive(Debug, Default)]
struct Seen {
    phases: Vec<String>,
    containers: BTreeMap<String, Vec<(f64, State)>>,
    conditions: BTreeMap<String, String>,
}

impl Seen {
    fn add(&mut self, at: f64, phase: &str, conditions: BTreeMap<String, String>, states: Vec<(String, State)>) {
        if self.phases.last().map(String::as_str) != Some(phase) {
            self.phases.push(phase.to_owned());
        }
        for (name, state) in states {
            let list = self.containers.entry(name).or_default();
            match list.last() {
                Some((_, last)) if *last == state => continue,
                // Shown waiting at once or only at the next look, or not any more because the pod was deleted: the same.
                Some((_, last)) if last.restarts == state.restarts && shows_an_end(last) && shows_an_end(&state) => {
                    list.pop();
                }
                _ => {}
            }
            list.push((at, state));
        }
        self.conditions = conditions;
    }
}

/// Whether it says that an instance has ended: how, or that the next one waits.
fn shows_an_end(state: &State) -> bool {
    state.state == "terminated" || state.reason == "CrashLoopBackOff"
}

fn recorded(case: &Value) -> Seen {
    let mut seen = Seen::default();
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for entry in case["sequence"].as_array().unwrap() {
        let states = entry["containers"].as_array().unwrap().iter().map(|container| {
            let last = container.get("last");
            let state = State {
                state: words(&container["state"]),
                reason: words(&container["reason"]),
                message: words(&container["message"]),
                exit_code: container["exitCode"].as_i64(),
                restarts: container["restartCount"].as_i64().unwrap(),
                ready: container["ready"].as_bool().unwrap(),
                started: container["started"].as_bool().unwrap(),
                last: last
                    .map(|last| (words(&last["reason"]), last["exitCode"].as_i64().unwrap(), words(&last["message"]))),
            };
            (words(&container["name"]), state)
        });
        let conditions = entry["conditions"].as_object().unwrap().iter();
        let conditions = conditions.map(|(kind, value)| (kind.clone(), words(value))).collect();
        seen.add(entry["t"].as_f64().unwrap(), entry["phase"].as_str().unwrap(), conditions, states.collect());
    }
    seen
}

fn simulated(driver: &Driver) -> Seen {
    let mut seen = Seen::default();
    for line in &driver.timeline {
        let Entry::Status(view) = &line.entry else { continue };
        let states = view.containers.iter().map(|container| {
            let last = container.last.clone();
            let state = State {
                state: container.state.to_owned(),
                reason: container.reason.clone().unwrap_or_default(),
                message: container.message.clone().unwrap_or_default(),
                exit_code: container.exit_code.map(i64::from),
                restarts: i64::from(container.restart_count),
                ready: container.ready,
                started: container.started,
                last: last.map(|(reason, code, message)| (reason, i64::from(code), message.unwrap_or_default())),
            };
            (container.name.clone(), state)
        });
        let conditions = view.conditions.iter().cloned().collect();
        seen.add(line.at.as_secs_f64(), &view.phase, conditions, states.collect());
    }
    seen
}

/// Runs shorter than a kubelet's look, which it therefore did not show.
fn without_missed_runs(mine: Vec<(f64, State)>, theirs: &[(f64, State)]) -> Vec<(f64, State)> {
    let showed = |restarts: i64| theirs.iter().any(|(_, state)| state.state == "running" && state.restarts == restarts);
    mine.into_iter().filter(|(_, state)| state.state != "running" || showed(state.restarts)).collect()
}

/// Ends that a kubelet did not show, since it killed and started anew in one go.
fn without_missed_ends(mine: Vec<(f64, State)>, theirs: &[(f64, State)]) -> Vec<(f64, State)> {
    let showed = |restarts: i64| theirs.iter().any(|(_, state)| shows_an_end(state) && state.restarts == restarts);
    let over = theirs.last().map_or(0, |(_, state)| state.restarts);
    mine.into_iter()
        .filter(|(_, state)| !shows_an_end(state) || state.restarts >= over || showed(state.restarts))
        .collect()
}

/// When each restart came after the end before it: (restart count, seconds).
fn gaps(states: &[(f64, State)]) -> Vec<(i64, f64)> {
    let ended = |state: &State| state.state != "running";
    states
        .windows(2)
        .filter(|pair| ended(&pair[0].1) && pair[1].1.state == "running" && pair[1].1.restarts > 0)
        .map(|pair| (pair[1].1.restarts, pair[1].0 - pair[0].0))
        .collect()
}

fn replay(path: &Path) {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let case: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let theirs = recorded(&case);
    let text = |state: &State| Some(state.message.clone()).filter(|message| !message.is_empty());
    let text = theirs.containers.values().flatten().find_map(|(_, state)| text(state)).unwrap_or_default();
    let pod: Pod = serde_json::from_value(case["pod"].clone()).unwrap();
    let script = Script { latency: Duration::from_millis(10), ..script(name, &text) };
    let mut driver = Driver::new(pod, settings(), script);
    let sequence = case["sequence"].as_array().unwrap();
    let deletion = sequence.iter().find_map(|entry| Some((entry["t"].as_f64()?, entry["grace"].as_i64()?)));
    if let Some((at, grace)) = deletion {
        let fact = Fact::DeleteRequested { grace_seconds: Some(grace), force: false };
        driver.at(Duration::from_secs_f64(at), fact);
    }
    if name.starts_with("i04") {
        driver.run_until(Duration::from_secs(14)).unwrap();
        driver.end_instance("m", Exit::Signal(9));
    }
    let end = sequence.last().unwrap()["t"].as_f64().unwrap();
    let over = ["Succeeded", "Failed"].contains(&theirs.phases.last().unwrap().as_str());
    // What runs on is looked at for so long that it comes to where the recording ends.
    driver.run_until(Duration::from_secs_f64(end + if over { 5.0 } else { 60.0 })).unwrap();

    let mine = simulated(&driver);
    assert_eq!(mine.phases, theirs.phases, "{name}: phases");
    // A pod that is restarted over and over may be at another place by then: a kubelet is late each time.
    let last =
        |seen: &Seen| seen.containers.values().map(|states| states.last().unwrap().1.clone()).collect::<Vec<_>>();
    if over || last(&mine) == last(&theirs) {
        assert_eq!(mine.conditions, theirs.conditions, "{name}: conditions at the end");
    }
    assert_eq!(mine.containers.len(), theirs.containers.len());
    for (container, theirs) in &theirs.containers {
        let mine = without_missed_runs(mine.containers[container].clone(), theirs);
        let mut mine = without_missed_ends(mine, theirs);
        // podlet is on time where a kubelet is late, so at one time it may have restarted once more.
        if !over {
            mine.truncate(theirs.len());
        }
        let states = |list: &[(f64, State)]| list.iter().map(|(_, state)| state.clone()).collect::<Vec<_>>();
        assert_eq!(states(&mine), states(theirs), "{name}: states of {container}");
    }
    assert_eq!(event_words(&driver), recorded_events(&case), "{name}: events");
    let qos = driver.machine.pod().status.unwrap().qos_class.unwrap();
    assert_eq!(qos, sequence[0]["qos"].as_str().unwrap(), "{name}: QoS class");
}

fn recorded_events(case: &Value) -> Vec<Vec<String>> {
    let words =
        |event: &Value| event.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    case["events"].as_array().unwrap().iter().map(words).collect()
}

fn event_words(driver: &Driver) -> Vec<Vec<String>> {
    let words = |event: k8s_openapi::api::core::v1::Event| {
        let path = event.involved_object.field_path.unwrap_or_default();
        vec![event.type_.unwrap(), event.reason.unwrap(), event.message.unwrap(), path]
    };
    let events = driver.machine.events().into_iter().map(words);
    events.filter(|words: &Vec<String>| words[1] != "Scheduled").collect()
}

#[test]
pub(super) fn each_recorded_case_is_replayed_as_it_was() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden/cases");
    let mut paths: Vec<_> = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert_eq!(paths.len(), 31, "a case was lost or has no place in the script");
    for path in paths {
        replay(&path);
    }
}

/// A kubelet restarts at the back-off or up to half a minute and 2 s later; podlet at the back-off.
#[test]
pub(super) fn recorded_restarts_fall_into_the_window_that_begins_where_podlet_restarts() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden/cases");
    let mut compared = 0;
    for name in ["a04-onfailure-exit1", "a05-always-exit0", "a06-always-exit1", "g06-restart-rules"] {
        let case: Value =
            serde_json::from_str(&fs::read_to_string(cases.join(format!("{name}.json"))).unwrap()).unwrap();
        let pod: Pod = serde_json::from_value(case["pod"].clone()).unwrap();
        let mut driver = Driver::new(pod, settings(), script(name, ""));
        driver.run_until(Duration::from_secs(2000)).unwrap();
        let mine: BTreeMap<i64, f64> = gaps(&simulated(&driver).containers["m"]).into_iter().collect();
        // The recording shows the end only from the kubelet's look on: count from the run before to the run after.
        let starts: Vec<(i64, f64)> = recorded(&case).containers["m"]
            .iter()
            .filter(|(_, state)| state.state == "running")
            .map(|(at, state)| (state.restarts, *at))
            .collect();
        for pair in starts.windows(2) {
            let (restarts, gap) = (pair[1].0, pair[1].1 - pair[0].1);
            let backoff = mine[&restarts];
            let latest = backoff + 0.5 * backoff.min(60.0) + 3.0;
            assert!(gap >= backoff && gap <= latest, "{name}: restart {restarts} after {gap} s, podlet {backoff} s");
            compared += 1;
        }
    }
    assert!(compared >= 15, "only {compared} restarts were compared");
}
