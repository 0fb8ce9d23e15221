#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use std::time::Duration;

use super::mutants::{MUTANTS, Mutant};
use super::*;
use crate::manifest::Source;
use crate::simulation::scenario::{self, Options, Property};

fn pod(policy: &str, init: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 8
  {init}
  containers:
  - name: app
    image: localhost/app
    startupProbe: {{httpGet: {{port: 80}}, periodSeconds: 2, failureThreshold: 5}}
    livenessProbe: {{httpGet: {{port: 80}}, periodSeconds: 5, failureThreshold: 2}}
    readinessProbe: {{httpGet: {{port: 80}}, periodSeconds: 5, failureThreshold: 2}}
  - name: worker
    image: localhost/worker
    lifecycle: {{preStop: {{exec: {{command: [drain]}}}}, postStart: {{exec: {{command: [warm]}}}}}}
"
    )
}

const INIT: &str = "initContainers:
  - {name: migrate, image: localhost/migrate}
  - {name: seed, image: localhost/seed}
  - {name: proxy, image: localhost/proxy, restartPolicy: Always, startupProbe: {exec: {command: [up]}, periodSeconds: 1}}";

fn ground(text: &str, stated: &[&str]) -> Ground {
    let source = Source { name: "pod.yaml".to_owned(), bytes: text.into() };
    let stated: Vec<String> = stated.iter().map(|text| (*text).to_owned()).collect();
    Ground::read(&source, &stated, None).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn of_mutant(mutant: &'static Mutant) -> (Ground, Plan) {
    let policy = if mutant.name.contains("Never") { "Never" } else { "Always" };
    let init = if mutant.breaks == Property::InitOrder || mutant.name.contains("sidecar") { INIT } else { "" };
    let long = mutant.name.contains("ten good minutes");
    let plan = Plan { duration: Duration::from_secs(if long { 1800 } else { 300 }), budget: 4_000, ..Plan::default() };
    (Ground { mutant: Some(mutant), ..ground(&pod(policy, init), &[]) }, plan)
}

#[test]
fn each_mutant_is_found_and_shrunk_to_three_faults_or_fewer() {
    for mutant in MUTANTS {
        let (ground, plan) = of_mutant(mutant);
        let report = explore(&ground, &plan, &mut |_| {}).unwrap();
        let of_property =
            |found: &&Found| found.scenario.spec.asserts.iter().any(|a| a.property == Some(mutant.breaks));
        let found = report.found.iter().find(of_property);
        let Some(found) = found else {
            let shown: Vec<String> = report.found.iter().map(|found| scenario::yaml(&found.scenario)).collect();
            panic!("{}: {} is not found, but {}", mutant.name, mutant.breaks.word(), shown.join("---\n"))
        };
        let text = scenario::yaml(&found.scenario);
        println!("# {}: found in sequence {}\n{text}", mutant.name, found.sequence);
        assert!(found.left <= 3, "{}: {} faults are left\n{text}", mutant.name, found.left);

        // The file fails in the same way where the mutant is, and passes where it is not.
        let source = Source { name: "found.yaml".to_owned(), bytes: with_pod(found, &ground).into() };
        let case = scenario::read(&[source], &Options::default()).unwrap().cases.remove(0);
        let outcome = case.run();
        assert!(outcome.passed(), "{}: {:#?}\n{text}", mutant.name, outcome.judged);
        let outcome = case.with_mutant(Some(mutant)).run();
        assert_eq!(outcome.judged[0].verdict, found.verdict, "{}\n{text}", mutant.name);
    }
}

/// What was found, as a file and as it happened.
fn told(found: &Found, ground: &Ground) -> String {
    let case = scenario::case_of(&found.scenario, &ground.pod).unwrap();
    let story: Vec<String> = case.run().driver.timeline.iter().map(ToString::to_string).collect();
    let story: Vec<&String> = story.iter().filter(|line| !line.contains("effect probe/")).collect();
    let last = story.len().saturating_sub(40);
    format!("{:?}\n{}\n{:#?}", found.verdict, scenario::yaml(&found.scenario), &story[last..])
}

/// The file as it is written, with the pod in place.
fn with_pod(found: &Found, ground: &Ground) -> String {
    let mut scenario = found.scenario.clone();
    let pod = serde_json::to_value(&ground.pod).unwrap();
    scenario.spec.pod = Some(scenario::format::Source::Inline(pod.as_object().cloned().unwrap()));
    scenario::yaml(&scenario)
}

const WORKER: &str = "image: localhost/worker\n";
const LIMITED: &str = "image: localhost/worker
    resources: {limits: {memory: 64Mi, cpu: 100m, ephemeral-storage: 1Mi}}
    resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]\n";
const LIMITED_FOR_EVER: &str = "image: localhost/worker
    resources: {limits: {memory: 64Mi, ephemeral-storage: 1Mi}}\n";

#[test]
fn the_machine_as_it_is_breaks_nothing() {
    let reset = "restartPolicy: Never\n    restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [2]}}]\n    lifecycle:";
    let mut all = Vec::new();
    for (policy, init, change) in [
        ("Always", "", ("", "")),
        ("OnFailure", INIT, ("", "")),
        ("Always", INIT, ("", "")),
        ("Never", INIT, ("", "")),
        ("Never", "", ("", "")),
        ("Always", INIT, ("preStop: {exec: {command: [drain]}}", "preStop: {sleep: {seconds: 3}}")),
        ("Always", "", ("postStart: {exec: {command: [warm]}}", "postStart: {sleep: {seconds: 3}}")),
        ("OnFailure", "", ("lifecycle:", reset)),
        ("Always", "activeDeadlineSeconds: 200", ("", "")),
        ("Always", "", (WORKER, LIMITED)),
        ("OnFailure", INIT, (WORKER, LIMITED)),
        ("Never", INIT, (WORKER, LIMITED_FOR_EVER)),
    ] {
        let text = pod(policy, init).replace(change.0, change.1);
        let ground = ground(&text, &[]);
        for seed in [1, 2] {
            let plan = Plan { budget: 150, seed, duration: Duration::from_secs(400), faults: (1, 9), threads: 0 };
            let report = explore(&ground, &plan, &mut |_| {}).unwrap();
            all.extend(report.found.iter().map(|found| format!("{text}\n{}", told(found, &ground))));
        }
    }
    assert!(all.is_empty(), "{} are broken\n{}", all.len(), all.join("\n"));
}

/// What was found once and was no breach: each with the rule of the reference by which the machine is right.
const NO_BREACHES: &str = "
# 4.4: the key holds image and resources. A start that the user asked for took no step; its retry says so of none.
spec:
  faults:
  - {at: 1s, exit: {container: app, code: 2}}
  - {at: 2s, startError: {container: app, reason: CreateContainerError, times: 2}}
  - {at: 2s, restart: app}
  - {at: 3s, apply: {spec: {containers: [{name: app, image: 'localhost/changed:2'}]}}}
  - {at: 20s, kill: app}
---
# The same, the retry itself ending in a crash.
spec:
  faults:
  - {at: 1s, startError: {container: app, reason: RunContainerError}}
  - {at: 1s, startError: {container: app, reason: CreateContainerError, times: 2}}
  - {at: 1s, exit: {container: app, code: 1}}
  - {at: 2s, restart: true}
  - {at: 2s, apply: {spec: {containers: [{name: app, image: 'localhost/changed:0'}]}}}
---
# 4.4, last block: what was to be started anew under Never is left to the policy when the back-off has refused it.
spec:
  matrix: {restartPolicy: [Never, OnFailure]}
  faults:
  - {at: 1s, restart: app}
  - {at: 2s, imageError: {container: app, reason: ErrImagePull, times: 3}}
  - {at: 2s, apply: {spec: {containers: [{name: app, image: 'localhost/changed:1'}]}}}
---
# 4.4: the back-off doubles at the start decision, before the image's back-off refuses the pull.
spec:
  actors: {proxy: {startDelay: 5s}}
  faults:
  - {at: 0s, imageError: {container: app, reason: ErrImagePull}}
  - {at: 10s, exit: {container: proxy, code: 1}}
  - {at: 310s, exit: {container: proxy, code: 2}}
---
# 8.2: nobody kills while the supervisor is away; who was told to stop then has the least grace period once it is back.
spec:
  actors: {app: {ignoreSignals: [TERM]}}
  overlays: [{spec: {terminationGracePeriodSeconds: 10, containers: [{name: app, lifecycle: {preStop: {exec: {command: [drain]}}}}]}}]
  faults:
  - {at: 1s, supervisorDeath: {downFor: 30s}}
  - {at: 1s, restart: app}
  - {at: 31300ms, imageError: {container: app, reason: InvalidImageName}}
";

#[test]
fn what_was_found_once_and_was_no_breach_is_found_no_more() {
    let pod = "{metadata: {name: web}, spec: {initContainers: [{name: proxy, image: localhost/app, restartPolicy: Always}], \
               containers: [{name: app, image: localhost/app}]}}";
    let all: String =
        Property::ALL.iter().map(|(property, _)| format!("\n  - {{property: {}}}", property.word())).collect();
    let scenarios = NO_BREACHES.replace("spec:\n", &format!("spec:\n  pod: {pod}\n  duration: 11m\n  asserts:{all}\n"));
    let scenarios = scenarios.replace("\nspec:", "\napiVersion: podlet.dev/v1alpha1\nkind: Scenario\nspec:");
    let source = Source { name: "found.yaml".to_owned(), bytes: scenarios.into() };
    let cases = scenario::read(&[source], &Options::default()).unwrap().cases;
    assert_eq!(cases.len(), 6);
    for case in cases {
        let outcome = case.run();
        assert!(outcome.passed(), "{:#?}", outcome.judged.iter().filter(|one| !one.verdict.passed).collect::<Vec<_>>());
    }
}

#[test]
fn a_seed_gives_the_same_on_any_number_of_threads() {
    let (ground, plan) = of_mutant(&MUTANTS[3]);
    let told = |threads| {
        let report = explore(&ground, &Plan { threads, ..plan }, &mut |_| {}).unwrap();
        let found: Vec<String> = report.found.iter().map(|found| scenario::yaml(&found.scenario)).collect();
        (report.tried, report.faults, report.reached.rules, report.reached.states.len(), found)
    };
    assert_eq!(told(1), told(3));
    let other = explore(&ground, &Plan { seed: 2, threads: 1, ..plan }, &mut |_| {}).unwrap();
    assert_ne!(other.faults, told(1).1);
}

#[test]
fn what_is_stated_is_looked_for_alone() {
    let text = pod("Always", "");
    let plan = Plan { budget: 300, duration: Duration::from_secs(300), ..Plan::default() };
    let report =
        explore(&ground(&text, &["{never: {container: app, restarts: {ge: 2}}}"]), &plan, &mut |_| {}).unwrap();
    assert_eq!((report.found.len(), report.found[0].left), (1, 2), "{:#?}", report.found);
    let report = explore(&ground(&text, &["ready-again=20s"]), &plan, &mut |_| {}).unwrap();
    let assert = &report.found[0].scenario.spec.asserts[0];
    assert_eq!(
        (assert.property, assert.within),
        (Some(Property::ReadyAgain), Some(scenario::Span(Duration::from_secs(20))))
    );

    let source = Source { name: "pod.yaml".to_owned(), bytes: text.into() };
    for (stated, told) in [
        ("ready-agan", "did you mean \"ready-again\"?"),
        ("{nver: {ready: true}}", "did you mean \"never\"?"),
        ("{at: 1h, ready: true}", "comes after the end"),
        ("{always: {container: db, ready: true}}", "has no container"),
        ("policy-kept=2m", "only ready-again takes a time"),
    ] {
        match Ground::read(&source, &[stated.to_owned()], None) {
            Err(Refusal::Words(text)) => assert!(text.contains(told), "{stated}: {text}"),
            other => panic!("{stated}: {other:?}"),
        }
    }
}

/// What is applied holds, and the API lets a deadline only become shorter: no sequence sets a longer one behind it.
#[test]
fn deadlines_only_become_shorter() {
    let deadline = |fault: &crate::simulation::scenario::format::Fault| {
        fault.apply.as_ref().and_then(|apply| apply.get("spec")?.get("activeDeadlineSeconds")?.as_u64())
    };
    let set = |ground: &Ground, sequence: u32| -> Vec<u64> {
        draw::sketch(ground, &Plan::default(), sequence).faults.iter().filter_map(deadline).collect()
    };
    let ground = ground(&pod("Always", ""), &[]);
    let all: Vec<Vec<u64>> = (0..3_000).map(|sequence| set(&ground, sequence)).collect();
    assert!(all.iter().any(|deadlines| deadlines.len() > 1), "none sets two");
    for deadlines in &all {
        assert!(deadlines.is_sorted_by(|one, next| one >= next), "{deadlines:?}");
    }
    let text = "apiVersion: podlet.dev/v1alpha1\nkind: Scenario\nmetadata: {name: own}\nspec:\n  pod:\n    apiVersion: v1\n    \
                kind: Pod\n    metadata: {name: p}\n    spec: {containers: [{name: a, image: a}]}\n  faults:\n  - {at: 5s, apply: \
                {spec: {activeDeadlineSeconds: 50}}}\n  asserts: [{property: final-stays}]\n";
    let own = self::ground(text, &[]);
    assert!((0..3_000).all(|sequence| set(&own, sequence).is_empty()));
}
