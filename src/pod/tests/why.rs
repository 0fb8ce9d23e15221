//! What holds of a pod, by which rule, and what comes next: each state that a user asks about.

use super::init::{pod_with_init, sidecar};
use super::*;
use crate::pod::effect::RuleId;
use crate::pod::hook::HookKind;
use crate::pod::input::{Fact, ImageFacts, ImageFailure, ProbeOutcome, Pulled, StartStage};
use crate::pod::probe::ProbeKind;
use crate::pod::why::Standing;
use crate::simulation::{ImageOutcome, Run};

/// Of this container (or, without a name, of the pod) at that time.
fn of(driver: &mut Driver, about: &str, milliseconds: u64) -> Standing {
    driver.run_until(Duration::from_millis(milliseconds)).unwrap();
    driver.machine.standings().into_iter().find(|standing| standing.about == about).unwrap()
}

fn rule(standing: &Standing) -> &'static str {
    standing.rule.map_or("", |rule| rule.name)
}

/// What comes next, with its rule, and in so many milliseconds.
fn next(driver: &Driver, standing: &Standing, index: usize) -> (String, &'static str, Option<u128>) {
    let next = &standing.next[index];
    let left = next.at.map(|at| at.since(driver.machine.clock().boot).as_millis());
    (next.what.clone(), next.rule.map_or("", |rule| rule.name), left)
}

fn one(spec: Value, policy: &str, script: Script) -> Driver {
    let mut spec = spec;
    spec["name"] = json!("c");
    Driver::new(pod(policy, json!([spec])), settings(), script)
}

#[test]
fn each_back_off_is_counted_and_said_how_long() {
    let mut driver = one(json!({}), "Always", Script::default().container("c", [Run::exits(3, 1000)]));
    let waits = of(&mut driver, "c", 2_000);
    assert_eq!((waits.state.as_str(), rule(&waits)), ("waiting: CrashLoopBackOff", "R-4.4-b"));
    assert_eq!(waits.because, ["it ended with exit code 3, Error"]);
    let (what, by, left) = next(&driver, &waits, 0);
    assert_eq!((what.as_str(), by, left), ("it is started again: the 1st back-off, of 10s", "R-4.4-c", Some(10_000)));
    for (at, words) in [
        (13_500, "the 2nd back-off, of 20s"),
        (40_000, "the 3rd back-off, of 40s"),
        (90_000, "the 4th back-off, of 80s"),
        (200_000, "the 5th back-off, of 160s"),
        (500_000, "the longest back-off, of 300s"),
    ] {
        let standing = of(&mut driver, "c", at);
        assert_eq!(standing.next[0].what, format!("it is started again: {words}"), "at {at}");
    }
    let pod = of(&mut driver, "", 500_000);
    assert_eq!(pod.state, "Running, not Ready");
    assert_eq!(pod.because, ["ContainersNotReady: containers with unready status: [c]"]);
}

#[test]
fn what_runs_says_what_would_follow_its_end() {
    let script = || Script::default().container("c", [Run::exits(0, 1000), Run::forever()]);
    let runs = |policy: &str| {
        let mut driver = one(json!({}), policy, script());
        let standing = of(&mut driver, "c", 500);
        let (what, rule, _) = next(&driver, &standing, 0);
        (standing.state.clone(), what, rule)
    };
    let ready = "running, ready".to_owned();
    assert_eq!(runs("Always"), (ready.clone(), "if it ends it is started again, at once".to_owned(), "R-4.2-c"));
    let text = "if it fails it is started again, at once; with exit code 0 it is done".to_owned();
    assert_eq!(runs("OnFailure"), (ready.clone(), text, "R-4.2-c"));
    assert_eq!(runs("Never"), (ready, "if it ends it is not started again".to_owned(), "R-4.2-c"));
    let mut driver = one(json!({}), "Always", script());
    let again = of(&mut driver, "c", 5_000);
    assert_eq!(again.next[0].what, "if it ends it is started again, 10s after that");
    assert_eq!(of(&mut driver, "", 5_000).state, "Running, Ready");
}

#[test]
fn a_probe_that_keeps_it_from_being_ready_or_alive_is_named_with_its_count() {
    let failing = |kind| Run::forever().probe(kind, 0, ProbeOutcome::Failure("no".to_owned()));
    let probe = json!({"tcpSocket": {"port": 1}, "periodSeconds": 1, "failureThreshold": 5});
    let script = Script::default().container("c", [failing(ProbeKind::Readiness)]);
    let mut driver = one(json!({"readinessProbe": probe}), "Always", script);
    let unready = of(&mut driver, "c", 2_500);
    assert_eq!((unready.state.as_str(), rule(&unready)), ("running, not ready", "R-6.2-d"));
    assert_eq!(unready.because, ["readiness probe: failed twice in a row, failureThreshold 5"]);
    assert_eq!(unready.next[0].what, "it is ready when its readiness probe succeeds");
    let script = Script::default().container("c", [failing(ProbeKind::Startup)]);
    let both = json!({"startupProbe": probe, "readinessProbe": probe});
    let mut driver = one(both, "Always", script);
    let unstarted = of(&mut driver, "c", 3_500);
    assert_eq!((unstarted.state.as_str(), rule(&unstarted)), ("running, not started", "R-6.2-d"));
    assert_eq!(unstarted.because, ["startup probe: failed 3 times in a row, failureThreshold 5"]);
    let (what, by, _) = next(&driver, &unstarted, 1);
    assert_eq!((what.as_str(), by), ("it is stopped if that probe fails 2 more in a row", "R-4.3-c"));
    let script = Script::default().container("c", [failing(ProbeKind::Liveness)]);
    let mut driver = one(json!({"livenessProbe": probe}), "Always", script);
    let dying = of(&mut driver, "c", 1_500);
    assert_eq!(dying.state, "running, ready");
    assert_eq!(dying.because, ["liveness probe: failed once in a row, failureThreshold 5"]);
    let (what, by, _) = next(&driver, &dying, 0);
    assert_eq!((what.as_str(), by), ("it is stopped if that probe fails 4 more in a row", "R-4.3-b"));
}

#[test]
fn a_stop_says_its_phase_and_what_remains_of_the_grace_period() {
    let hook = json!({"lifecycle": {"preStop": {"exec": {"command": ["x"]}}}});
    let run = Run::forever().deaf().hook(HookKind::PreStop, Some(4_000), None);
    let mut driver = one(hook, "Always", Script::default().container("c", [run]));
    driver.at(Duration::from_secs(1), Fact::DeleteRequested { grace_seconds: Some(20), force: false });
    let hooked = of(&mut driver, "c", 2_000);
    assert_eq!((hooked.state.as_str(), rule(&hooked)), ("stopping: its preStop hook runs", "R-7-c"));
    let (_, by, left) = next(&driver, &hooked, 0);
    assert_eq!((by, left), ("R-7-d", Some(20_000)));
    let pod = of(&mut driver, "", 2_000);
    assert_eq!((pod.state.as_str(), rule(&pod)), ("Terminating", "R-8.1-a"));
    assert_eq!(pod.because, ["deleted with a grace period of 20s"]);
    assert_eq!(pod.next[0].what, "its sandbox is stopped when c has ended");
    let signalled = of(&mut driver, "c", 6_000);
    assert_eq!(signalled.state, "stopping: the stop signal was sent");
    let (what, by, left) = next(&driver, &signalled, 0);
    assert_eq!((what.as_str(), by, left), ("SIGKILL, unless it ends before", "R-8.2-a", Some(16_000)));
}

#[test]
fn what_has_ended_for_good_says_why() {
    let mut driver = one(json!({}), "Never", Script::default().container("c", [Run::exits(4, 1000)]));
    let ended = of(&mut driver, "c", 2_000);
    assert_eq!((ended.state.as_str(), rule(&ended)), ("ended: Error", "R-4.2-c"));
    assert_eq!(ended.because, ["it ended with exit code 4, Error", "restartPolicy Never"]);
    assert_eq!(ended.next[0].what, "nothing: it stays ended");
    let pod = of(&mut driver, "", 2_000);
    assert_eq!((pod.state.as_str(), rule(&pod)), ("Failed", "R-1.1-a"));
    assert_eq!(pod.because, ["Failed is for good (R-1.1-b)"]);
    // A signal is told as such.
    let mut driver = one(json!({}), "Never", Script::default().container("c", [Run::exits(137, 1000)]));
    assert_eq!(of(&mut driver, "c", 2_000).because[0], "it ended with exit code 137 (signal 9), Error");
}

#[test]
fn what_cannot_be_started_says_when_it_is_tried_again() {
    let missing = |reason| ImageOutcome::Missing(reason, "gone".to_owned());
    let at = |script: Script, milliseconds| {
        let mut driver = one(json!({}), "Always", script);
        let standing = of(&mut driver, "c", milliseconds);
        let (_, by, left) = next(&driver, &standing, 0);
        (standing.state.clone(), rule(&standing), standing.because.join(" "), by, left)
    };
    let config = Script::default().container("c", [Run::fails(StartStage::Config, "no configmap")]);
    let told = at(config, 1_000);
    let expected = ("waiting: CreateContainerConfigError".to_owned(), "R-3.2-a", "no configmap".to_owned(), "R-3.2-a");
    assert_eq!((told.0, told.1, told.2, told.3), expected);
    assert_eq!(told.4, Some(10_000));
    let never = at(Script::default().image("c", [missing(ImageFailure::ErrImageNeverPull)]), 1_000);
    assert_eq!((never.0.as_str(), never.1, never.3), ("waiting: ErrImageNeverPull", "R-3.2-b", "R-3.2-b"));
    let pull = at(Script::default().image("c", [missing(ImageFailure::ErrImagePull)]), 1_000);
    assert_eq!((pull.0.as_str(), pull.1, pull.3), ("waiting: ImagePullBackOff", "R-4.5-b", "R-4.5-c"));
    assert_eq!(pull.4, Some(10_000));
}

#[test]
fn what_has_not_begun_names_whom_it_waits_for() {
    let init = json!([sidecar("s"), {"name": "i"}]);
    let pod = pod_with_init("Always", init, json!([{"name": "c"}]));
    let mut driver = Driver::new(pod.clone(), settings(), Script::default().container("i", [Run::forever()]));
    let waits = of(&mut driver, "c", 1_000);
    assert_eq!((waits.state.as_str(), rule(&waits)), ("waiting: not started yet", "R-5.1-a"));
    assert_eq!(waits.next[0].what, "it is started when i has ended with exit code 0");
    let mut slow = pod;
    let probe = json!({"tcpSocket": {"port": 1}, "periodSeconds": 1, "failureThreshold": 100});
    let spec = slow.spec.as_mut().unwrap().init_containers.as_mut().unwrap();
    spec[0].startup_probe = serde_json::from_value(probe).unwrap();
    let never = Run::forever().probe(ProbeKind::Startup, 0, ProbeOutcome::Failure(String::new()));
    let mut driver = Driver::new(slow, settings(), Script::default().container("s", [never]));
    let waits = of(&mut driver, "i", 1_000);
    assert_eq!((rule(&waits), waits.next[0].what.as_str()), ("R-5.2-a", "it is started when s is started"));
    // When all ends the sidecar waits for the others.
    driver.at(Duration::from_secs(2), Fact::DeleteRequested { grace_seconds: None, force: false });
    let never_begun = of(&mut driver, "c", 2_000);
    assert_eq!(never_begun.next[0].what, "nothing: the pod ends");
}

#[test]
fn a_sidecar_that_waits_for_the_others_to_end_says_so() {
    let pod = pod_with_init("Always", json!([sidecar("s")]), json!([{"name": "c"}]));
    let mut driver = Driver::new(pod, settings(), Script::default().container("c", [Run::forever().deaf()]));
    driver.at(Duration::from_secs(1), Fact::DeleteRequested { grace_seconds: None, force: false });
    let held = of(&mut driver, "s", 5_000);
    assert_eq!((held.state.as_str(), rule(&held)), ("stopping: it waits for others to end first", "R-8.4-a"));
    let (_, by, left) = next(&driver, &held, 0);
    assert_eq!((by, left), ("R-8.4-c", Some(30_000)));
}

#[test]
fn a_pod_that_has_no_sandbox_or_little_time_says_so() {
    let script = Script { volumes: vec![vec!["no such secret".to_owned()]; 3], ..Script::default() };
    let mut driver = one(json!({}), "Always", script);
    let pod = of(&mut driver, "", 600);
    assert_eq!((pod.state.as_str(), rule(&pod)), ("Pending", "R-0.6-a"));
    assert_eq!(pod.because, ["its volumes could not be set up, twice in a row"]);
    assert_eq!(next(&driver, &pod, 0).1, "R-0.6-a");
    let container = of(&mut driver, "c", 600);
    assert_eq!((rule(&container), container.because.join("").as_str()), ("R-9.2-a", "the pod has no sandbox"));
    let script = Script { sandboxes: vec![Err("no".to_owned())], ..Script::default() };
    let mut driver = one(json!({}), "Always", script);
    let pod = of(&mut driver, "", 600);
    assert_eq!((rule(&pod), pod.because.join("").as_str()), ("R-9.2-e", "its sandbox could not be made, once so far"));
    let mut short = super::pod("Always", json!([{"name": "c"}]));
    short.spec.as_mut().unwrap().active_deadline_seconds = Some(60);
    let mut driver = Driver::new(short, settings(), Script::default());
    let pod = of(&mut driver, "", 0);
    let (what, by, left) = next(&driver, &pod, 0);
    assert_eq!((what.as_str(), by, left), ("it fails: activeDeadlineSeconds are over", "R-9.1-a", Some(60_000)));
    let failed = of(&mut driver, "", 61_000);
    assert_eq!(rule(&failed), "R-9.1-a");
}

#[test]
fn every_rule_that_is_named_is_one() {
    let mut driver = one(json!({}), "Always", Script::default().container("c", [Run::exits(1, 100)]));
    for at in (0..60_000).step_by(500) {
        driver.run_until(Duration::from_millis(at)).unwrap();
        for standing in driver.machine.standings() {
            assert!(!standing.state.is_empty(), "{standing:?}");
            let rules = standing.next.iter().filter_map(|next| next.rule).chain(standing.rule);
            rules.for_each(|rule| assert_eq!(crate::pod::rules::find(&RuleId(rule.name.to_owned()).0), Some(rule)));
        }
    }
}

#[test]
fn what_is_on_its_way_says_how_far_it_is() {
    let pulled = Pulled { milliseconds: 5_000, with_waiting_milliseconds: 5_000, size: 1 };
    let pulls = Script::default().image("c", [ImageOutcome::Pulled(ImageFacts::default(), pulled)]);
    let probe = json!({"tcpSocket": {"port": 1}, "periodSeconds": 1});
    let mut driver = one(json!({"readinessProbe": probe}), "Always", pulls);
    assert_eq!(of(&mut driver, "c", 1_000).state, "starting: its image is seen to");
    let ready = of(&mut driver, "c", 9_000);
    assert_eq!((ready.state.as_str(), ready.because), ("running, ready", Vec::<String>::new()));

    let mut driver = one(json!({}), "Always", Script::default().container("c", [Run::forever().deaf()]));
    driver.at(Duration::from_secs(1), Fact::RestartRequested { container: None });
    let restarted = of(&mut driver, "", 2_000);
    assert_eq!((rule(&restarted), next(&driver, &restarted, 0).1), ("R-4.6-c", "R-4.6-d"));

    let mut driver = one(json!({}), "Always", Script::default());
    driver.at(Duration::from_secs(2), Fact::SandboxExited { attempt: 0 });
    driver.at(Duration::from_secs(4), Fact::SandboxExited { attempt: 1 });
    let gone = of(&mut driver, "", 6_000);
    assert_eq!((rule(&gone), gone.because.join("").as_str()), ("R-9.2-f", "its sandbox is gone"));

    let mut driver = one(json!({}), "Always", Script::default());
    driver.at(Duration::from_secs(2), Fact::StopRequested { most_seconds: None });
    let stopped = of(&mut driver, "", 60_000);
    assert_eq!(
        next(&driver, &stopped, 0),
        ("it waits to be set going again: podlet start".to_owned(), "R-9.4-b", None)
    );
}

#[test]
fn what_has_ended_beside_others_that_run_says_whether_it_stays_so() {
    let pod = |policy| pod(policy, json!([{"name": "c"}, {"name": "d"}]));
    let script = |code| Script::default().container("c", [Run::exits(code, 1_000), Run::forever()]);
    let mut driver = Driver::new(pod("Never"), settings(), script(4));
    let ended = of(&mut driver, "c", 5_000);
    assert_eq!((ended.state.as_str(), rule(&ended)), ("ended: Error", "R-4.2-c"));
    assert_eq!(ended.next[0].what, "nothing: it stays ended");
    let mut driver = Driver::new(pod("OnFailure"), settings(), script(0));
    assert_eq!(of(&mut driver, "c", 5_000).next[0].what, "nothing: it stays ended");
}

#[test]
fn one_waits_for_another_that_is_being_started() {
    let pulled = Pulled { milliseconds: 5_000, with_waiting_milliseconds: 5_000, size: 1 };
    let script = Script::default().image("c", [ImageOutcome::Pulled(ImageFacts::default(), pulled)]);
    let mut driver = Driver::new(pod("Always", json!([{"name": "c"}, {"name": "d"}])), settings(), script);
    let waits = of(&mut driver, "d", 1_000);
    assert_eq!((rule(&waits), waits.next[0].what.as_str()), ("R-0.5-a", "it is started when c is: one at a time"));
}

#[test]
fn what_has_crashed_waits_for_its_turn_while_another_is_started() {
    let pulled = Pulled { milliseconds: 9_000, with_waiting_milliseconds: 9_000, size: 1 };
    let script = Script::default().image("d", [ImageOutcome::Pulled(ImageFacts::default(), pulled)]);
    let script = script.container("c", [Run::exits(1, 1_000)]);
    let mut driver = Driver::new(pod("Always", json!([{"name": "c"}, {"name": "d"}])), settings(), script);
    let crashed = of(&mut driver, "c", 5_000);
    let turn = "it is started in its turn: one container of a pod is started at a time";
    assert_eq!((crashed.state.as_str(), crashed.next[0].what.as_str()), ("ended: Error", turn));
}

#[test]
fn a_stopped_pod_that_nothing_starts_again_is_over_and_not_stopped() {
    let mut driver = one(json!({}), "Never", Script::default());
    driver.at(Duration::from_secs(2), Fact::StopRequested { most_seconds: None });
    let over = of(&mut driver, "", 60_000);
    assert_eq!((over.state.as_str(), rule(&over)), ("Succeeded", "R-1.1-a"));
    assert_eq!(over.because, ["Succeeded is for good (R-1.1-b)"]);
}

#[test]
fn what_waits_in_a_back_off_goes_with_its_pod() {
    let containers = json!([{"name": "c"}, {"name": "d"}]);
    let script = Script::default().container("c", [Run::exits(1, 0)]).container("d", [Run::forever().deaf()]);
    let said = |fact: Fact| {
        let mut driver = Driver::new(pod("Always", containers.clone()), settings(), script.clone());
        driver.at(Duration::from_secs(2), fact);
        let waits = of(&mut driver, "c", 3_000);
        assert_eq!(waits.state, "waiting: CrashLoopBackOff");
        waits.next.into_iter().map(|next| next.what).collect::<Vec<_>>()
    };
    assert_eq!(said(Fact::RestartRequested { container: None }), ["it is started anew with the others"]);
    assert_eq!(said(Fact::DeleteRequested { grace_seconds: None, force: false }), ["nothing: the pod ends"]);
}
