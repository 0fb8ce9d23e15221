//! How fast virtual time is: a crash loop, probes, each the median of several runs in this process; and exploring.
//! `cargo bench --bench simulation` prints them; docs/performance.md tells what they were.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use podlet::manifest::Source;
use podlet::pod::machine::Settings;
use podlet::simulation::explore::{Ground, Plan, explore};
use podlet::simulation::scenario::{Case, Options, read};
use podlet::simulation::{Driver, Run, Script};
use serde_json::json;

/// The median of so many runs, in microseconds.
fn median(runs: usize, mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn case(spec: &serde_json::Value) -> Case {
    let document = json!({"apiVersion": "podlet.dev/v1alpha1", "kind": "Scenario", "spec": spec});
    let source = Source { name: "bench".to_owned(), bytes: document.to_string().into_bytes() };
    read(&[source], &Options::default()).unwrap().cases.remove(0)
}

fn main() {
    let pod = json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "app", "image": "a"}]}});
    let crash = case(&json!({"pod": pod, "actors": {"app": {"exit": "1@2s"}}, "duration": "30m"}));
    let typed = (*crash.pod).clone();
    let script = Script::default().container("app", [Run::exits(1, 2000)]);
    let machine = median(201, || {
        let mut driver = Driver::new(typed.clone(), Settings::default(), script.clone());
        driver.run_until(Duration::from_secs(1800)).unwrap();
    });
    println!("a crash loop of 30 minutes, the machine alone:   {machine:>10.0} µs");
    let whole = median(201, || drop(crash.run()));
    println!("the same as a scenario with its story:           {whole:>10.0} µs");

    let probe = json!({"exec": {"command": ["true"]}, "periodSeconds": 1});
    let container = |name: &str| json!({"name": name, "image": "a", "startupProbe": probe, "livenessProbe": probe, "readinessProbe": probe});
    let probed =
        json!({"metadata": {"name": "web"}, "spec": {"containers": [container("a"), container("b"), container("c")]}});
    let quiet = case(&json!({"pod": probed, "duration": "30m"}));
    let results = quiet.run().story.iter().filter(|happening| happening.word == "ProbeSucceeded").count();
    let time = median(21, || drop(quiet.run()));
    println!("30 minutes of three probed containers ({results} results): {time:>8.0} µs");
    let judged = case(&json!({"pod": probed, "duration": "30m", "asserts": [
        {"always": {"restarts": 0}}, {"always": "pod.status.phase != 'Failed'"}, {"never": {"phase": "Failed"}}]}));
    let time = median(21, || drop(judged.run()));
    println!("the same with three assertions:                  {time:>10.0} µs");
    let flap = json!({"every": "10s", "probe": {"container": "a", "kind": "readiness", "flap": ["fail", "ok"]}});
    let flapping =
        case(&json!({"pod": probed, "duration": "30m", "faults": [flap], "asserts": [{"always": {"restarts": 0}}]}));
    let time = median(11, || drop(flapping.run()));
    println!("the same with a readiness that flaps all the time: {time:>8.0} µs");
    for period in [10, 1] {
        explored(period);
    }
}

/// Ten thousand sequences of at least five faults over ten minutes of three containers with three probes each.
fn explored(period: u32) {
    let probe = json!({"exec": {"command": ["true"]}, "periodSeconds": period});
    let container = |name: &str| json!({"name": name, "image": "a", "startupProbe": probe, "livenessProbe": probe, "readinessProbe": probe});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
        "spec": {"containers": [container("a"), container("b"), container("c")]}});
    let source = Source { name: "pod".to_owned(), bytes: pod.to_string().into_bytes() };
    let ground = Ground::read(&source, &[], None).unwrap();
    let plan = Plan { threads: 2, ..Plan::default() };
    let begun = Instant::now();
    let report = explore(&ground, &plan, &mut |_| {}).unwrap();
    println!(
        "{} sequences of {} faults, probes every {period} s, two threads: {:.1} s; {} states, {} rules, {} found",
        report.tried,
        report.faults,
        begun.elapsed().as_secs_f64(),
        report.reached.states.len(),
        report.reached.rules.len(),
        report.found.len()
    );
}
