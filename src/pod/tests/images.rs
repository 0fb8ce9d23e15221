//! Images, configuration and start errors: waiting reasons, their messages, retries and events.

use std::time::Duration;

use super::*;
use crate::pod::input::{Fact, ImageFacts, ImageFailure, Pulled, StartStage};
use crate::simulation::{ImageOutcome, Run};

fn missing(failure: ImageFailure, message: &str) -> ImageOutcome {
    ImageOutcome::Missing(failure, message.to_owned())
}

/// The waiting reasons that were shown, one after another.
fn reasons(driver: &Driver) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for line in &driver.timeline {
        let Entry::Status(view) = &line.entry else { continue };
        let reason = view.containers[0].reason.clone().unwrap_or("running".to_owned());
        if seen.last() != Some(&reason) {
            seen.push(reason);
        }
    }
    seen
}

#[test]
pub(super) fn a_failed_pull_backs_off_10_20_40_seconds_from_the_failure() {
    let pulled = Pulled { milliseconds: 1200, with_waiting_milliseconds: 1500, size: 4096 };
    let image = ImageFacts { image: "localhost/busybox:1".to_owned(), ..ImageFacts::default() };
    let fails = missing(ImageFailure::ErrImagePull, "no such host");
    let script =
        Script::default().image("c", [fails.clone(), fails.clone(), fails, ImageOutcome::Pulled(image, pulled)]);
    let driver = run_one("Never", script.clone(), 15);
    let seen = container(&driver, "c");
    assert_eq!(seen.reason.as_deref(), Some("ImagePullBackOff"));
    let message = "Back-off pulling image \"localhost/busybox:1\": ErrImagePull: no such host";
    assert_eq!(seen.message.as_deref(), Some(message));
    assert_eq!((seen.restart_count, view(&driver).phase.as_str()), (0, "Pending"));

    let driver = run_one("Never", script, 100);
    assert_eq!(times(&driver, "image/c/0"), [0.0, 10.0, 30.0, 70.0]);
    assert!(effects(&driver).contains(&"image/c/0#4 R-4.5-c".to_owned()));
    assert_eq!(
        reasons(&driver),
        [
            "ContainerCreating",
            "ErrImagePull",
            "ImagePullBackOff",
            "ErrImagePull",
            "ImagePullBackOff",
            "ErrImagePull",
            "ImagePullBackOff",
            "running"
        ]
    );
    let events = events(&driver);
    for event in [
        "Warning Failed Failed to pull image \"localhost/busybox:1\": no such host x3",
        "Warning Failed Error: ErrImagePull x3",
        "Normal BackOff Back-off pulling image \"localhost/busybox:1\" x3",
        "Warning Failed Error: ImagePullBackOff x3",
        "Normal Pulling Pulling image \"localhost/busybox:1\" x1",
        "Normal Pulled Successfully pulled image \"localhost/busybox:1\" in 1.2s (1.5s including waiting). Image size: 4096 bytes. x1",
    ] {
        assert!(events.contains(&event.to_owned()), "{event} not in {events:#?}");
    }
}

#[test]
pub(super) fn the_image_back_off_is_capped_at_five_minutes() {
    let driver = run_one("Always", Script::default().image("c", [missing(ImageFailure::ErrImagePull, "no")]), 1300);
    assert_eq!(times(&driver, "image/c/0"), [0.0, 10.0, 30.0, 70.0, 150.0, 310.0, 610.0, 910.0, 1210.0]);
}

#[test]
pub(super) fn a_pull_that_succeeds_does_not_make_the_back_off_forgotten() {
    // Fails at 0 and 10 s, is there at 30 s, and gone when the container has run.
    let looks = |run: u64| {
        let missing = || missing(ImageFailure::ErrImagePull, "no");
        let there =
            ImageOutcome::Present(ImageFacts { image: "localhost/busybox:1".to_owned(), ..ImageFacts::default() });
        let images = [missing(), missing(), there, missing(), missing(), missing()];
        let script = Script::default().image("c", images).container("c", [Run::exits(1, run)]);
        // No crash back-off comes in between.
        let settings = Settings { backoff_initial_milliseconds: 1, backoff_maximum_milliseconds: 1, ..settings() };
        let mut driver = Driver::new(pod("Always", json!([{"name": "c"}])), settings, script);
        driver.run_until(Duration::from_secs(700)).unwrap();
        times(&driver, "image/c/")[3..].to_vec()
    };
    assert_eq!(looks(550_000), [580.0, 620.0, 700.0]);
    assert_eq!(looks(600_000), [630.0, 640.0, 660.0, 700.0]);
}

#[test]
pub(super) fn an_image_that_cannot_be_had_is_looked_for_every_ten_seconds() {
    for (failure, reason, event) in [
        (ImageFailure::ErrImageNeverPull, "ErrImageNeverPull", "ErrImageNeverPull"),
        (ImageFailure::InvalidImageName, "InvalidImageName", "InspectFailed"),
        (ImageFailure::ImageInspectError, "ImageInspectError", "InspectFailed"),
    ] {
        let driver = run_one("Never", Script::default().image("c", [missing(failure, "why")]), 25);
        assert_eq!(times(&driver, "image/c/0"), [0.0, 10.0, 20.0]);
        assert_eq!(reasons(&driver), ["ContainerCreating", reason]);
        assert_eq!(container(&driver, "c").message.as_deref(), Some("why"));
        assert!(events(&driver).contains(&format!("Warning {event} why x3")));
        assert!(events(&driver).contains(&format!("Warning Failed Error: {reason} x3")));
    }
}

#[test]
pub(super) fn a_configuration_error_is_tried_again_without_record_or_back_off() {
    for (stage, reason) in
        [(StartStage::Config, "CreateContainerConfigError"), (StartStage::Create, "CreateContainerError")]
    {
        let runs = [Run::fails(stage, "configmap \"x\" not found"), Run::fails(stage, "no"), Run::forever()];
        let driver = run_one("Never", Script::default().container("c", runs), 30);
        assert_eq!(times(&driver, "start/c/0"), [0.0, 10.0, 20.0]);
        assert!(effects(&driver).contains(&"start/c/0#2 R-0.5-a".to_owned()));
        assert!(effects(&driver).contains(&"image/c/0#3 R-3.2-a".to_owned()));
        assert_eq!(reasons(&driver), ["ContainerCreating", reason, "running"]);
        assert_eq!(container(&driver, "c").restart_count, 0);
        assert!(events(&driver).contains(&"Warning Failed Error: configmap \"x\" not found x1".to_owned()));
    }
}

#[test]
pub(super) fn a_program_that_cannot_be_started_is_a_crash() {
    let script = Script::default().container("c", [Run::fails(StartStage::Run, "exec: no such file")]);
    let driver = run_one("Always", script, 15);
    assert_eq!(times(&driver, "start/c/"), [0.0, 0.0, 10.0]);
    assert_eq!(
        reasons(&driver),
        ["ContainerCreating", "RunContainerError", "CrashLoopBackOff", "RunContainerError", "CrashLoopBackOff"]
    );
    let pod = driver.machine.pod();
    let status = pod.status.unwrap();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let last = status.container_statuses.unwrap().remove(0).last_state.unwrap().terminated.unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (128, Some("StartError")));
    assert_eq!(last.message.as_deref(), Some("exec: no such file"));
    assert_eq!(serde_json::to_value(&last).unwrap()["startedAt"], "1970-01-01T00:00:00Z");
    assert_eq!(serde_json::to_value(&last).unwrap()["finishedAt"], "2026-01-01T00:00:10Z");
}

#[test]
pub(super) fn a_container_that_cannot_start_does_not_stop_the_others() {
    let script = Script::default().container("a", [Run::fails(StartStage::Config, "no")]);
    let pod = pod("Always", json!([{"name": "a"}, {"name": "b"}]));
    let mut driver = Driver::new(pod, settings(), script);
    driver.run_until(Duration::from_secs(5)).unwrap();
    assert_eq!(container(&driver, "b").state, "running");
    // One that never ran keeps the whole pod Pending.
    assert_eq!(view(&driver).phase, "Pending");
}

#[test]
fn a_pod_is_over_when_the_start_of_its_changed_container_fails_and_its_policy_starts_it_no_more() {
    // lifecycle 4.4, last block: from the refusal on the normal rules count.
    let image = ImageFacts { image: "localhost/busybox:1".to_owned(), ..ImageFacts::default() };
    let had = ImageOutcome::Pulled(image, Pulled { milliseconds: 1, with_waiting_milliseconds: 1, size: 1 });
    let fails = missing(ImageFailure::ErrImagePull, "no such host");
    let stops = || Run::forever().stops(0, 0);
    let script = Script::default().container("c", [stops(), stops(), stops()]);
    let mut driver = run_one("Never", script.image("c", [had.clone(), had, fails.clone(), fails]), 1);
    for image in ["localhost/changed:1", "localhost/changed:2"] {
        let pod = pod("Never", json!([{"name": "c", "image": image}]));
        driver.input(applied(&pod));
        driver.run_until(driver.now() + Duration::from_secs(1)).unwrap();
    }
    assert!(events(&driver).iter().any(|event| event.contains("Back-off restarting")), "{:?}", events(&driver));
    assert_eq!((view(&driver).phase.as_str(), container(&driver, "c").restart_count), ("Succeeded", 1));
}

#[test]
fn a_changed_container_whose_pull_fails_is_tried_again_whatever_its_policy() {
    let image = ImageFacts { image: "localhost/busybox:1".to_owned(), ..ImageFacts::default() };
    let had = ImageOutcome::Pulled(image, Pulled { milliseconds: 1, with_waiting_milliseconds: 1, size: 1 });
    let script = Script::default().container("c", [Run::forever().stops(0, 0), Run::forever()]);
    let fails = missing(ImageFailure::ErrImagePull, "no such host");
    let mut driver = run_one("Never", script.image("c", [had.clone(), fails, had]), 1);
    let pod = pod("Never", json!([{"name": "c", "image": "localhost/changed:1"}]));
    driver.input(applied(&pod));
    driver.run_until(Duration::from_secs(5)).unwrap();
    assert_eq!(container(&driver, "c").state, "waiting");
    driver.run_until(Duration::from_secs(30)).unwrap();
    assert_eq!((view(&driver).phase.as_str(), container(&driver, "c").state), ("Running", "running"));
}

#[test]
fn an_image_that_is_left_and_come_back_to_is_pulled_at_once() {
    let script = Script::default().image("c", [missing(ImageFailure::ErrImagePull, "no such host")]);
    let mut driver = run_one("Never", script, 12);
    for image in ["localhost/changed:1", "localhost/busybox:1"] {
        let pod = pod("Never", json!([{"name": "c", "image": image}]));
        driver.input(applied(&pod));
        driver.run_until(driver.now() + Duration::from_secs(2)).unwrap();
    }
    assert_eq!(times(&driver, "image/c/0"), [0.0, 10.0, 12.0, 14.0]);
}

#[test]
fn a_change_of_something_else_keeps_an_images_back_off() {
    let script = Script::default().image("c", [missing(ImageFailure::ErrImagePull, "no such host")]);
    let mut driver = run_one("Never", script, 12);
    let mut changed = pod("Never", json!([{"name": "c"}]));
    changed.spec.as_mut().unwrap().active_deadline_seconds = Some(1000);
    driver.input(applied(&changed));
    driver.run_until(Duration::from_secs(100)).unwrap();
    assert_eq!(times(&driver, "image/c/0"), [0.0, 10.0, 30.0, 70.0]);
}

#[test]
fn while_an_image_is_pulled_only_news_of_that_pull_are_heard() {
    let pulled = Pulled { milliseconds: 20_000, with_waiting_milliseconds: 20_000, size: 1 };
    let script = Script::default().image("c", [ImageOutcome::Pulled(ImageFacts::default(), pulled)]);
    let mut driver = run_one("Always", script, 5);
    let secrets = |driver: &Driver| {
        events(driver).iter().filter(|event| event.contains("FailedToRetrieveImagePullSecret")).count()
    };
    assert_eq!(secrets(&driver), 0);
    let failed = Fact::ImageFailed {
        container: "c".to_owned(),
        attempt: 5,
        reason: ImageFailure::ErrImagePull,
        message: "late".to_owned(),
    };
    driver.input(failed);
    assert_eq!(container(&driver, "c").reason.as_deref(), Some("ContainerCreating"));
    let missing_secrets = vec!["s".to_owned()];
    driver.input(Fact::ImagePulling { container: "c".to_owned(), attempt: 0, missing_secrets });
    assert_eq!(secrets(&driver), 1);
    driver.run_until(Duration::from_secs(30)).unwrap();
    assert_eq!(times(&driver, "start/c/0"), [20.0]);
}
