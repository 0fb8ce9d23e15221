//! The edges of the numbers that longer tests pass far from: what happens exactly at them, and what one step beyond.

use super::*;
use crate::pod::input::{Fact, ImageFailure, StartStage};
use crate::simulation::{ImageOutcome, Run};

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[test]
pub(super) fn a_run_of_ten_minutes_exactly_keeps_the_back_off() {
    let starts = |run: u64| {
        let runs = [Run::exits(1, 0), Run::exits(1, run), Run::exits(1, 0)];
        times(&run_one("Always", Script::default().container("c", runs), 650), "start/c/")
    };
    assert_eq!(starts(600_000), [0.0, 0.0, 610.0, 630.0]);
    assert_eq!(starts(600_001), [0.0, 0.0, 600.001, 610.001, 630.001]);
}

#[test]
pub(super) fn a_failed_pull_of_ten_minutes_ago_exactly_is_remembered() {
    let looks = |latency: u64| {
        let missing = ImageOutcome::Missing(ImageFailure::ErrImagePull, "no".to_owned());
        let script = Script { latency: milliseconds(latency), ..Script::default().image("c", [missing]) };
        let looks = times(&run_one("Always", script, 2000), "image/c/");
        // From the second failure to the third look.
        (1000.0 * (looks[2] - looks[1])).round() as u64 - latency
    };
    assert_eq!(looks(590_000), 20_000);
    assert_eq!(looks(590_001), 10_000);
}

#[test]
pub(super) fn a_pod_that_names_no_grace_period_has_thirty_seconds() {
    let mut silent = pod("Always", json!([{"name": "c"}]));
    silent.spec.as_mut().unwrap().termination_grace_period_seconds = None;
    let script = Script::default().container("c", [Run::forever().deaf()]);
    let mut driver = Driver::new(silent, settings(), script);
    driver.run_until(Duration::from_secs(5)).unwrap();
    driver.input(Fact::DeleteRequested { grace_seconds: None, force: false });
    driver.run_until(Duration::from_secs(60)).unwrap();
    assert_eq!(times(&driver, "kill/c/"), [35.0]);
}

/// A container whose configuration fails with these texts, one every ten seconds.
fn failing(texts: usize, then: &[Run]) -> Script {
    let runs = (0..texts).map(|number| Run::fails(StartStage::Config, &format!("no {number}")));
    let runs: Vec<Run> = runs.chain(then.iter().cloned()).collect();
    Script::default().container("c", runs)
}

fn combined(driver: &Driver) -> usize {
    events(driver).iter().filter(|event| event.contains("(combined from similar events)")).count()
}

#[test]
pub(super) fn the_tenth_of_similar_events_is_combined_with_those_that_follow() {
    assert_eq!(combined(&run_one("Always", failing(9, &[Run::forever()]), 200)), 0);
    assert_eq!(combined(&run_one("Always", failing(10, &[Run::forever()]), 200)), 1);
    // After a pause of more than ten minutes they are counted anew.
    let paused = |pause: u64| {
        let then = [Run::exits(1, pause), Run::fails(StartStage::Config, "other"), Run::forever()];
        // The ninth text comes at 80 s, the run begins at 90 s.
        combined(&run_one("Always", failing(9, &then), 1000))
    };
    assert_eq!(paused(590_000), 1);
    assert_eq!(paused(590_001), 0);
}

#[test]
pub(super) fn twenty_five_events_of_a_type_may_come_at_once_and_then_one_in_five_minutes() {
    let shown = |seconds: u64| {
        let driver = run_one("Always", failing(1, &[]), seconds);
        let failed = driver.machine.events().into_iter().find(|event| event.reason.as_deref() == Some("Failed"));
        failed.unwrap().count.unwrap()
    };
    assert_eq!(shown(235), 24);
    assert_eq!(shown(245), 25);
    // The bucket has gained one token since the first at 300 s: the 31st passes, and its count tells of those held back.
    assert_eq!(shown(295), 25);
    assert_eq!(shown(305), 31);
    assert_eq!(shown(595), 31);
    assert_eq!(shown(605), 61);
}

#[test]
pub(super) fn the_oldest_of_more_than_256_events_is_dropped() {
    let names: Vec<String> = (0..85).map(|number| format!("c{number}")).collect();
    let containers: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    let first = |crashes: &[Run]| {
        let script = Script::default().container("c0", crashes);
        let mut driver = Driver::new(pod("Always", json!(containers)), settings(), script);
        driver.run_until(Duration::from_secs(5)).unwrap();
        events(&driver).first().unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    // Scheduled, and of each container Pulled, Created, Started: 256.
    assert_eq!(first(&[Run::forever()]), "Scheduled");
    assert_eq!(first(&[Run::exits(1, 100)]), "Pulled", "BackOff is the 257th");
}

#[test]
fn combined_events_are_of_no_single_container() {
    let names: Vec<String> = (0..12).map(|number| format!("c{number:02}")).collect();
    let containers: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    let mut driver = Driver::new(pod("Always", json!(containers)), settings(), Script::default());
    driver.run_until(Duration::from_secs(1)).unwrap();
    driver.input(Fact::DeleteRequested { grace_seconds: None, force: false });
    driver.run_until(Duration::from_secs(2)).unwrap();
    let killing: Vec<String> =
        events(&driver).into_iter().filter(|event| event.starts_with("Normal Killing")).collect();
    // The spam filter has let through 25 of the 36 that came with the start, and so none of these but their count.
    assert_eq!(killing, Vec::<String>::new());
    let mut driver = Driver::new(pod("Always", json!(containers)), settings(), Script::default());
    driver.run_until(Duration::from_secs(6000)).unwrap();
    driver.input(Fact::DeleteRequested { grace_seconds: None, force: false });
    driver.run_until(Duration::from_secs(6001)).unwrap();
    let killing: Vec<String> =
        events(&driver).into_iter().filter(|event| event.starts_with("Normal Killing")).collect();
    assert_eq!(killing.len(), 10);
    assert_eq!(killing[9], "Normal Killing (combined from similar events): Stopping container c11 x3");
}

#[test]
fn texts_of_another_reason_are_not_similar() {
    let volumes = vec![(0..6).map(|number| format!("no volume {number}")).collect()];
    let script = Script { volumes, ..failing(6, &[Run::forever()]) };
    let driver = run_one("Always", script, 200);
    let warnings = events(&driver).iter().filter(|event| event.starts_with("Warning ")).count();
    assert_eq!((warnings, combined(&driver)), (12, 0));
}
