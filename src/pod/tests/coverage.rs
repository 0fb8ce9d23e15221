//! Each rule of the table is reached, and nothing but the table's rules is.

use std::collections::BTreeSet;
use std::time::Duration;

use super::probes::fails;
use super::*;
use crate::pod::hook::HookKind;
use crate::pod::input::{Fact, ImageFailure, ProbeOutcome, StartStage};
use crate::pod::probe::ProbeKind;
use crate::pod::rules::{self, RULES};
use crate::pod::storage::Usage;
use crate::simulation::{ImageOutcome, Run};

/// Small lives of pods that between them come upon every rule.
fn lives() -> Vec<Driver> {
    let until = |mut driver: Driver, seconds: u64| {
        driver.run_until(Duration::from_secs(seconds)).unwrap();
        driver
    };
    let tell = |mut driver: Driver, fact: Fact, seconds: u64| {
        driver.input(fact);
        driver.run_until(driver.now() + Duration::from_secs(seconds)).unwrap();
        driver
    };
    let delete = |grace| Fact::DeleteRequested { grace_seconds: Some(grace), force: false };
    let runs = |runs: &[Run]| Script::default().container("c", runs);
    let missing = |failure| ImageOutcome::Missing(failure, "no".to_owned());
    let image = |failure| Script::default().image("c", [missing(failure)]);
    let changed = |image: &str| {
        let pod = pod("Always", json!([{"name": "c", "image": image}]));
        applied(&pod)
    };
    let with_rule = json!([{"name": "c", "restartPolicy": "Never", "restartPolicyRules": [
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]}]);
    let with_init = |policy| {
        super::init::pod_with_init(policy, json!([{"name": "i"}, super::init::sidecar("s")]), json!([{"name": "c"}]))
    };
    let initialized = |run: Run| {
        let script = Script::default().container("i", [Run::exits(0, 0)]).container("c", [run]);
        until(Driver::new(with_init("Always"), settings(), script), 5)
    };
    let with_all = pod(
        "Always",
        json!([{"name": "c", "restartPolicy": "Never", "restartPolicyRules": [
        {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}}]}]),
    );
    let mut with_deadline = pod("Always", json!([{"name": "c"}]));
    with_deadline.spec.as_mut().unwrap().active_deadline_seconds = Some(5);
    let stored = |usage: Usage| {
        let mut driver = Driver::new(super::storage::limited_pod(), settings(), Script::default());
        driver.use_storage(&usage, false);
        until(driver, 60)
    };
    let deaf = || run_one("Always", runs(&[Run::forever().deaf()]), 10);
    let sick = |run: Run, kind| run.probe(kind, 1_500, ProbeOutcome::Failure(String::new()));
    let probed = |policy, kind: ProbeKind, run: Run| {
        let probe = json!({"exec": {"command": ["a"]}, "periodSeconds": 1, "failureThreshold": 2});
        super::probes::probed(policy, json!({format!("{}Probe", kind.word()): probe}), &[run], 20)
    };
    let post_start = json!({"postStart": {"exec": {"command": ["a"]}}});
    let hooked = |lifecycle: &Value, failure| {
        let run = Run::forever().hook(HookKind::PostStart, Some(2_000), failure);
        let spec = json!({"lifecycle": lifecycle, "readinessProbe": {"exec": {"command": ["a"]}}});
        super::probes::probed("Always", spec, &[run], 20)
    };
    vec![
        probed("Always", ProbeKind::Liveness, sick(Run::forever(), ProbeKind::Liveness)),
        probed("Never", ProbeKind::Liveness, sick(Run::forever(), ProbeKind::Liveness)),
        probed("Always", ProbeKind::Startup, Run::forever().probe(ProbeKind::Startup, 0, fails())),
        hooked(&post_start, Some("no")),
        tell(hooked(&post_start, None), delete(5), 5),
        tell(hooked(&json!({"preStop": {"sleep": {"seconds": 1}}}), None), delete(5), 5),
        run_one("Never", runs(&[Run::exits(1, 0)]), 5),
        run_one("Always", runs(&[Run::exits(1, 0), Run::exits(1, 0), Run::exits(1, 700_000), Run::forever()]), 900),
        run_one("Always", runs(&[Run::fails(StartStage::Config, "no"), Run::fails(StartStage::Run, "no")]), 30),
        run_one("Always", image(ImageFailure::ErrImagePull), 30),
        run_one("Always", image(ImageFailure::ErrImageNeverPull), 30),
        until(Driver::new(pod("Always", with_rule), settings(), runs(&[Run::exits(42, 0), Run::exits(7, 0)])), 60),
        tell(run_one("Always", Script::default(), 5), changed("other"), 60),
        tell(run_one("Always", runs(&[Run::exits(1, 0)]), 5), changed("other"), 60),
        tell(tell(deaf(), delete(20), 5), delete(8), 60),
        tell(deaf(), delete(1), 60),
        tell(deaf(), Fact::ContainerLost { container: "c".into(), attempt: 0, message: String::new() }, 5),
        tell(deaf(), Fact::SandboxExited { attempt: 0 }, 60),
        tell(run_one("Never", Script::default(), 5), Fact::SandboxExited { attempt: 0 }, 60),
        tell(
            tell(run_one("Always", Script::default(), 5), Fact::SandboxExited { attempt: 0 }, 1),
            Fact::SandboxExited { attempt: 1 },
            60,
        ),
        tell(run_one("OnFailure", Script::default(), 5), Fact::Rebooted, 60),
        tell(run_one("Always", Script::default(), 5), Fact::StopRequested { most_seconds: None }, 60),
        tell(
            until(
                Driver::new(
                    pod("OnFailure", json!([{"name": "c"}, {"name": "d"}])),
                    settings(),
                    runs(&[Run::exits(0, 0)]),
                ),
                5,
            ),
            Fact::SandboxExited { attempt: 0 },
            60,
        ),
        until(
            Driver::new(
                with_init("Always"),
                settings(),
                Script::default().container("i", [Run::exits(0, 0)]).container("s", [Run::exits(0, 9)]),
            ),
            60,
        ),
        until(Driver::new(with_init("Never"), settings(), Script::default().container("i", [Run::exits(1, 0)])), 60),
        tell(initialized(Run::forever()), Fact::SandboxExited { attempt: 0 }, 60),
        tell(initialized(Run::forever()), delete(5), 60),
        tell(initialized(Run::forever()), Fact::RestartRequested { container: None }, 60),
        until(Driver::new(with_all, settings(), runs(&[Run::exits(88, 0), Run::forever()])), 60),
        until(Driver::new(with_deadline, settings(), Script::default()), 60),
        tell(initialized(Run::forever().deaf()), delete(5), 60),
        run_one("Always", Script { volumes: vec![vec!["no".to_owned()]], ..Script::default() }, 30),
        tell(tell(run_one("Always", Script::default(), 5), super::live::debug("d", None), 5), delete(5), 60),
        tell(run_one("Always", runs(&[Run::exits(1, 0)]), 5), super::live::debug("d", Some("c")), 60),
        tell(
            run_one("Always", Script::default().container("d", [Run::exits(0, 0)]), 5),
            super::live::debug("d", None),
            5,
        ),
        tell(
            run_one("Always", Script { resizes: vec!["no".to_owned()], ..Script::default() }, 5),
            super::live::memory("64Mi", "NotRequired"),
            60,
        ),
        tell(
            tell(run_one("Always", Script::default(), 5), super::live::memory("64Mi", "RestartContainer"), 60),
            super::live::memory("96Mi", "RestartContainer"),
            60,
        ),
        super::room::deferred(),
        stored(super::storage::volume("v", 1 << 30)),
        stored(super::storage::volume("w", 1 << 30)),
        stored(super::storage::of_container("d", 20 << 20, 0)),
        run_one("Always", Script { sandboxes: vec![Err("no".to_owned())], ..Script::default() }, 30),
    ]
}

#[test]
fn each_rule_is_reached_and_each_decision_has_its_rule() {
    let mut reached = BTreeSet::new();
    for driver in lives() {
        for line in &driver.timeline {
            let (rule, because) = match &line.entry {
                Entry::Effect(effect) => (effect.rule.0.clone(), &effect.because),
                Entry::Note(note) => (note.rule.0.clone(), &note.because),
                Entry::Input(_) | Entry::Status(_) => continue,
            };
            assert!(rules::find(&rule).is_some(), "{line}");
            assert!(!because.is_empty(), "{line}");
            assert!(because.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()), "{line}");
            reached.insert(rule);
        }
    }
    let missed: Vec<_> = RULES.iter().map(|rule| rule.name).filter(|name| !reached.contains(*name)).collect();
    assert!(missed.is_empty(), "no life comes upon {missed:?}");
}
