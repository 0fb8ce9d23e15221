use std::path::Path;
use std::time::Duration;

use super::{Real, Sighting, Stage, Step};
use crate::manifest::Source;
use crate::simulation::explore::{MUTANTS, Mutant};
use crate::simulation::scenario::{Case, Options, read};
use crate::simulation::story::Story;

const CRASH: &str = "
apiVersion: podlet.dev/v1alpha1
kind: Scenario
metadata: {name: crash}
spec:
  duration: 20s
  pod:
    metadata: {name: web}
    spec: {containers: [{name: app, image: x, readinessProbe: {httpGet: {port: 80}, periodSeconds: 1}}]}
  actors:
    app:
      instances:
      - {exit: 1@2s, probes: {readiness: [fail, {answer: fail, times: 2}, ok]}}
      - {readyAfter: 1s, onSignal: {TERM: {exit: 5, after: 3s}}}
  faults:
  - {at: 19s, exit: {container: app, code: 7}}
  asserts:
  - {container: app, startsAt: [0s, 2s]}
  - {at: 2s, container: app, restarts: 1}
  - {at: 19s, container: app, lastExitCode: 7}
  - {always: {container: app, ready: true}, from: 5s, to: 18s}
  - {eventually: {container: app, ready: true}, within: 4s}
  - {sequence: [app.Exited, app.Started, app.Ready]}
  - {count: {of: app.Started, is: 1}, to: 1900ms}
  - {count: {of: app.Started, is: 1}, from: 1s, to: 4s}
";

fn case(text: &str) -> Case {
    let source = Source { name: "crash.yaml".to_owned(), bytes: text.into() };
    let real = Real { patience: Duration::from_secs(60), tolerance: Duration::from_millis(500) };
    let options = Options { real: Some(real), ..Options::default() };
    read(&[source], &options).expect("a good file").cases.remove(0)
}

/// A run in virtual time as if it were a real one whose every input from a time on came so much later.
fn sightings(case: &Case, from_then_on: Duration, late: Duration) -> Vec<Sighting> {
    let (mut driver, mut story, mut all, mut read) = (case.driver(), Story::default(), Vec::new(), 0);
    let mut deeds = case.deeds.iter().peekable();
    loop {
        let from = story.follow(&driver);
        let in_time = all.is_empty() || driver.now() < from_then_on;
        let at = if in_time { driver.now() } else { driver.now() + late };
        let news = story.happenings.get(from..).unwrap_or_default().iter().cloned();
        let news = news.map(|mut one| {
            one.at = at;
            one
        });
        let (pod, events) = (driver.machine.pod(), driver.machine.events());
        let lines = driver.timeline.get(read..).unwrap_or_default().iter().cloned();
        let lines = lines.map(|mut line| {
            line.at = at;
            line
        });
        let (lines, news, deaths) = (lines.collect(), news.collect(), Vec::new());
        read = driver.timeline.len();
        all.push(Sighting { at, wall: driver.wall(), pod, events, gone: driver.removed, news, lines, deaths });
        let until = deeds.peek().map_or(case.duration, |(time, _)| *time);
        if driver.next_time().is_some_and(|next| next < until) {
            driver.step(until).expect("the machine rests");
        } else if deeds.next().is_some() {
            driver.pass_to(until);
            driver.end_instance("app", crate::pod::input::Exit::Code(7));
        } else if !driver.step(until).expect("the machine rests") {
            return all;
        }
    }
}

fn holds(late: u64, tolerance: u64) -> Vec<bool> {
    let case = case(CRASH);
    let sightings = sightings(&case, Duration::ZERO, Duration::from_millis(late));
    let outcome = case.judge(sightings, Duration::from_millis(tolerance), Vec::new(), None);
    outcome.judged.iter().map(|judged| judged.verdict.passed).collect()
}

#[test]
fn what_holds_in_virtual_time_holds_of_a_run_that_is_late_within_the_tolerance() {
    assert!(case(CRASH).run().passed());
    assert_eq!(holds(300, 500), [true; 8]);
    assert_eq!(holds(0, 0), [true; 8]);
    assert_eq!(holds(300, 100), [false, false, false, true, true, true, true, true]);
}

#[test]
fn each_start_has_its_line_and_each_probe_its_answers() {
    let stage = Stage::of(&case(CRASH), Path::new("/stage"));
    let file = |name: &str| stage.files.get(name).map(String::as_str).unwrap_or_default();
    let own = "copy /podlet.test/app/0.readiness.0 /podlet.test/app/readiness.own";
    let second = "copy /podlet.test/app/1.readiness.0 /podlet.test/app/readiness.own , sleep 1000ms , \
                  copy /podlet.test/app/1.readiness.1 /podlet.test/app/readiness.own";
    assert_eq!(
        file("app/parts"),
        format!(
            "on SIGTERM exit 0 after 0ms , on USR1 exit 7 , {own} , sleep 2000ms , exit 1\n\
             on SIGTERM exit 5 after 3000ms , on USR1 exit 7 , {second} , sleep forever\n"
        )
    );
    assert_eq!(file("app/readiness"), "next /podlet.test/app/readiness.own\n");
    let answers: Vec<&str> = file("app/0.readiness.0").lines().collect();
    assert!(matches!(answers.as_slice(), [first, _, _, "exit 0"] if first.ends_with(" , exit 1")), "{answers:?}");
    let container = stage.pod.spec.as_ref().and_then(|spec| spec.containers.first()).expect("a container");
    assert_eq!(container.image.as_deref(), Some("podlet.local/actor"));
    assert!(container.readiness_probe.as_ref().is_some_and(|probe| probe.http_get.is_none() && probe.exec.is_some()));
}

#[test]
fn a_pod_applied_anew_has_all_that_may_change() {
    let changes =
        "{metadata: {labels: {tier: web}}, spec: {activeDeadlineSeconds: 9, containers: [{name: app, image: z}]}}";
    let text = CRASH.replace("  asserts:", &format!("  - {{at: 5s, apply: {changes}}}\n  asserts:"));
    let stage = Stage::of(&case(&text), Path::new("/stage"));
    let applied = stage.steps.iter().find_map(|(_, step)| match step {
        Step::Apply(pod) => Some(pod),
        _ => None,
    });
    let applied = applied.expect("it is applied anew");
    assert!(applied.metadata.labels.iter().flatten().any(|(key, value)| key == "tier" && value == "web"));
    let spec = applied.spec.as_ref().expect("a spec");
    assert_eq!(spec.active_deadline_seconds, Some(9));
    let container = spec.containers.first().expect("a container");
    assert_eq!(container.image.as_deref(), Some("podlet.local/actor:latest"));
}

#[test]
fn a_scenario_may_last_as_long_as_is_waited() {
    let told = |duration: &str| {
        let unreal = case(&CRASH.replace("duration: 20s", &format!("duration: {duration}"))).unreal;
        unreal.into_iter().map(|found| found.path).collect::<Vec<_>>()
    };
    assert_eq!(told("1m"), Vec::<String>::new());
    assert_eq!(told("60.001s"), ["spec.duration"]);
}

#[test]
fn what_cannot_be_done_has_its_place() {
    let text = CRASH
        .replace("duration: 20s", "duration: 2m")
        .replace("exit: 1@2s", "exit: TERM@2s, pull: 1s")
        .replace("exit: {container: app, code: 7}", "kill: {container: app, signal: TERM}");
    let unreal = case(&text).unreal;
    let told: Vec<(usize, &str)> = unreal.iter().map(|found| (found.line, found.path.as_str())).collect();
    assert_eq!(
        told,
        [
            (6, "spec.duration"),
            (13, "spec.actors.app.instances[0].exit"),
            (13, "spec.actors.app.instances[0].pull"),
            (16, "spec.faults[0].kill.signal"),
        ]
    );
}

const CRASHES: &str = "
apiVersion: podlet.dev/v1alpha1
kind: Scenario
metadata: {name: crashes}
spec:
  duration: 60s
  pod: {metadata: {name: web}, spec: {containers: [{name: app, image: x}]}}
  actors: {app: {instances: [{exit: 1@2s}, {exit: 1@2s}, {exit: 1@2s}, {run: forever}]}}
  asserts:
  - {property: back-off-kept}
  - {property: policy-kept}
  - {property: ready-again, within: 21s}
";

/// What is found of each property in a run that is so late from the third start on, and the mutant's rules are kept in it.
fn properties(mutant: Option<&'static Mutant>, late: u64, tolerance: u64) -> Vec<String> {
    let case = case(CRASHES).with_mutant(mutant);
    assert_eq!(case.unreal.len(), 0);
    let sightings = sightings(&case, Duration::from_secs(14), Duration::from_millis(late));
    let outcome = case.judge(sightings, Duration::from_millis(tolerance), Vec::new(), None);
    outcome.judged.into_iter().map(|judged| judged.verdict.found).collect()
}

#[test]
fn properties_hold_of_a_real_run_that_is_late_within_the_tolerance_and_never_of_one_that_is_early() {
    let holds = ["", "", ""];
    assert_eq!(properties(None, 0, 0), holds);
    assert_eq!(properties(None, 300, 500), holds);
    let late = properties(None, 300, 100);
    assert_eq!(late.first().map(String::as_str), Some("app has crashed, its back-off is over, and it is not started"));
    let hasty = MUTANTS.iter().find(|mutant| mutant.name == "back-off does not double");
    let early = properties(hasty, 0, 500);
    let found = "instance 4 of app is started 10s after the crash, 10s too early";
    assert_eq!(early.first().map(String::as_str), Some(found));
}
