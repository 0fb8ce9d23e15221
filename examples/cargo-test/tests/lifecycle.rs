//! The pod's lifecycle, in virtual time: no process is started, no privilege is needed, hours take milliseconds.

use std::path::PathBuf;
use std::time::Duration;

use podlet::manifest::{Source, read_sources};
use podlet::simulation::explore::{Ground, Plan, explore};
use podlet::simulation::scenario::{Options, read, yaml};

fn file(name: &str) -> Vec<Source> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    read_sources(&[path]).expect("a file")
}

/// Files that people write and `podlet test` plays, too.
#[test]
fn scenarios() {
    let read = read(&file("scenarios.yaml"), &Options::default()).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
    assert_eq!(read.cases.len(), 2);
    for case in read.cases {
        let outcome = case.run();
        let failed = outcome.judged.iter().filter(|judged| !judged.verdict.passed);
        let told =
            failed.map(|judged| format!("{}: {} at {:?}", judged.shown, judged.verdict.found, judged.verdict.at));
        let told: Vec<String> = told.collect();
        assert!(told.is_empty(), "{}: {}", outcome.title, told.join("\n"));
    }
}

/// A scenario made by the test, and what happened in it.
#[test]
fn a_migration_that_fails_keeps_the_server_from_starting() {
    let pod = String::from_utf8(file("pod.yaml").remove(0).bytes).expect("text");
    let scenario = "apiVersion: podlet.dev/v1alpha1
kind: Scenario
spec: {duration: 10m, actors: {migrate: {exit: 1@1s}}}";
    let source = Source { name: "test".to_owned(), bytes: format!("{pod}---\n{scenario}\n").into_bytes() };
    let case = read(&[source], &Options::default()).unwrap_or_else(|wrong| panic!("{wrong:#?}")).cases.remove(0);
    let outcome = case.run();
    let starts = |name: &str| outcome.story.iter().filter(|h| h.about == name && h.word == "Started").count();
    assert_eq!((starts("migrate"), starts("web")), (7, 0));
}

/// What nobody thought of: random faults, the same ones each time.
#[test]
fn no_two_faults_keep_the_shop_closed_for_a_minute() {
    let pod = file("pod.yaml").remove(0);
    let ground = Ground::read(&pod, &["ready-again=1m".to_owned()], None).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let plan = Plan { budget: 200, faults: (1, 2), duration: Duration::from_secs(300), ..Plan::default() };
    let report = explore(&ground, &plan, &mut |_| {}).expect("a pod that can be played");
    let found = report.found.iter().map(|found| format!("{}\n{}", found.verdict.found, yaml(&found.scenario)));
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
