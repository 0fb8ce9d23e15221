//! What holds for every sequence of inputs, sensible or not: answers to what was asked for, answers to what was not, exits
//! of unknown instances, duplicates, time that goes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::PodStatus;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::pod::effect::{Action, Decision, Effect};
use crate::pod::hook::HookKind;
use crate::pod::input::{
    ErrorState, Exit, Fact, ImageFacts, ImageFailure, Input, ProbeOutcome, StartStage, TerminationMessage,
};
use crate::pod::machine::Machine;
use crate::pod::probe::ProbeKind;
use crate::pod::room::{Room, Share};
use crate::pod::rules;
use crate::pod::storage::Usage;
use crate::pod::time::{BootTime, Moment, WallTime};

/// One thing to do to a machine.
#[derive(Clone, Debug)]
enum Op {
    /// Answer the nth effect that waits for an answer, well or badly.
    Answer { nth: usize, how: u8 },
    /// Say something that nobody may have asked for.
    Say(Fact),
    /// Wake it when it wants to be woken.
    Wake,
    /// Kill what runs.
    Crash { nth: usize, code: i32 },
}

/// Sensible or not.
pub(crate) fn arbitrary_fact() -> impl Strategy<Value = Fact> {
    let name = prop_oneof![Just("a"), Just("b"), Just("i"), Just("s"), Just("nobody")].prop_map(str::to_owned);
    let attempt = 0..3u32;
    (name, attempt, 0..20u8, any::<i32>(), -2..100i64).prop_map(
        |(container, attempt, which, code, grace)| match which {
            0 => Fact::SandboxStarted { attempt, ips: vec![] },
            1 => Fact::SandboxFailed { attempt, message: "no".to_owned() },
            2 | 3 => Fact::SandboxExited { attempt },
            4 => Fact::ImageReady { container, attempt, image: ImageFacts::default(), pulled: None },
            5 => Fact::ImageFailed { container, attempt, reason: ImageFailure::ErrImagePull, message: "no".to_owned() },
            6 => Fact::ContainerStarted { container, attempt, id: "0".repeat(64), user: None },
            7 => Fact::StartFailed {
                container,
                attempt,
                stage: StartStage::Run,
                message: "x".to_owned(),
                id: None,
                user: None,
            },
            8 | 9 => exited(container, attempt, Exit::Code(code)),
            10 => exited(container, attempt, Exit::Signal(code)),
            11 => Fact::ContainerLost { container, attempt, message: String::new() },
            12 if grace == 50 => Fact::StopRequested { most_seconds: Some(5) },
            12 if grace > 50 => Fact::DeleteRequested { grace_seconds: Some(grace - 50), force: grace % 2 == 0 },
            13 => Fact::TornDown,
            14 if grace % 2 == 0 => Fact::LogDropping { container, message: "full".to_owned() },
            14 if grace % 7 == 0 => {
                let volumes = [("v".to_owned(), code.unsigned_abs().into())].into();
                Fact::StorageMeasured { usage: Usage { volumes, ..Usage::default() } }
            }
            14 if grace % 11 == 0 => {
                let memory = Share { capacity: 256 << 20, used: u64::from(code.unsigned_abs() % 3) << 26 };
                Fact::RoomMeasured { room: Room { cpu: Share { capacity: 4000, used: 0 }, memory } }
            }
            14 if grace % 3 == 0 => Fact::KillStuck { container, message: "process 1 (sh)".to_owned() },
            14 if grace % 5 == 0 => {
                let holds = (grace % 2 == 0).then(|| container.clone());
                super::live::debug(&format!("e{}", code.rem_euclid(3)), holds.as_deref())
            }
            14 => Fact::ImagePulling { container, attempt, missing_secrets: Vec::new() },
            15 => changed_image(code),
            16 if grace > 80 => Fact::Rebooted,
            16 if grace > 60 => {
                Fact::RestartRequested { container: (grace % 2 == 0 && container != "i").then_some(container) }
            }
            16 => Fact::MountFailed { attempt: (grace > 0).then_some(attempt), messages: vec!["no".to_owned()] },
            17 | 18 => {
                let probe = ProbeKind::ALL[code.rem_euclid(3) as usize];
                let outcome = match grace % 4 {
                    0 => ProbeOutcome::Success,
                    1 | 2 => ProbeOutcome::Failure("no".to_owned()),
                    _ => ProbeOutcome::Error { state: ErrorState::Unknown, message: "no".to_owned() },
                };
                Fact::ProbeResult { container, attempt, probe, begun: BootTime(grace.unsigned_abs()), outcome }
            }
            19 => {
                let hook = if code % 2 == 0 { HookKind::PostStart } else { HookKind::PreStop };
                let failure = (grace % 2 == 0).then(|| "no".to_owned());
                Fact::HookEnded { container, attempt, hook, failure, fell_back: None }
            }
            _ => Fact::Tick,
        },
    )
}

/// One that has nothing but its program, and one that has all else.
fn containers() -> Value {
    let probe = json!({"exec": {"command": ["a"]}, "failureThreshold": 2, "periodSeconds": 1});
    json!([{"name": "a"}, {"name": "b", "startupProbe": probe, "livenessProbe": probe, "readinessProbe": probe,
        "lifecycle": {"postStart": {"exec": {"command": ["a"]}}, "preStop": {"exec": {"command": ["a"]}}}}])
}

fn exited(container: String, attempt: u32, exit: Exit) -> Fact {
    Fact::ContainerExited { container, attempt, exit, oom_killed: false, message: TerminationMessage::default() }
}

fn sized(code: i32) -> Value {
    let amounts = json!({"memory": format!("{}Mi", 64 + code.rem_euclid(4)), "cpu": "1"});
    json!({"limits": amounts, "requests": amounts})
}

fn changed_image(code: i32) -> Fact {
    let image = format!("localhost/busybox:{}", code.rem_euclid(3));
    let mut containers = containers();
    containers[0]["image"] = json!(image);
    containers[0]["resources"] = sized(code);
    let pod = pod("Always", containers);
    applied(&pod)
}

fn arbitrary_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..4usize, any::<u8>()).prop_map(|(nth, how)| Op::Answer { nth, how }),
        2 => arbitrary_fact().prop_map(Op::Say),
        3 => Just(Op::Wake),
        2 => (0..4usize, 0..3i32).prop_map(|(nth, code)| Op::Crash { nth, code }),
    ]
}

/// A machine and all that was asked of and told to it, seen from outside.
struct Watched {
    machine: Machine,
    now: u64,
    ids: BTreeSet<String>,
    /// Effects without an answer.
    open: Vec<Effect>,
    /// Instances asked to start, without an answer.
    starting: BTreeSet<(String, u32)>,
    /// Instances that run.
    live: BTreeSet<(String, u32)>,
    restarts: BTreeMap<String, i32>,
    terminal: Option<String>,
    told: usize,
    shape: Shape,
    /// Of a pod with init containers: the init container has done its work for this sandbox.
    initialized: bool,
}

/// What a pod has beside its containers `a` and `b`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shape {
    /// The init container `i`, then the sidecar `s`.
    with_init: bool,
    /// Own restart policies, and rules: an exit with 1 restarts `a`, one with 2 restarts all but for `b`'s.
    with_rules: bool,
    /// `activeDeadlineSeconds`.
    deadline: Option<i64>,
    /// A readiness gate, which nobody ever opens.
    with_gate: bool,
}

impl Shape {
    fn pod(self, policy: &str, image: &str) -> Pod {
        let mut regular = containers();
        regular[0]["image"] = json!(image);
        if self.with_rules {
            regular[0]["restartPolicy"] = json!("Never");
            regular[0]["restartPolicyRules"] = json!([rule("Restart", 1), rule("RestartAllContainers", 2)]);
            regular[1]["restartPolicy"] = json!("OnFailure");
        }
        let mut pod = if self.with_init {
            let (mut side, mut init) = (containers()[1].clone(), json!({"name": "i"}));
            (side["name"], side["restartPolicy"], side["image"]) = (json!("s"), json!("Always"), json!(image));
            if self.with_rules {
                side["restartPolicyRules"] = json!([rule("RestartAllContainers", 2)]);
                init["restartPolicy"] = json!("Never");
                init["restartPolicyRules"] = json!([rule("Restart", 1), rule("RestartAllContainers", 2)]);
            }
            super::init::pod_with_init(policy, json!([init, side]), regular)
        } else {
            pod(policy, regular)
        };
        let spec = pod.spec.as_mut().unwrap();
        spec.active_deadline_seconds = self.deadline;
        if self.with_gate {
            let gates = json!([{"conditionType": "example.com/gate"}]);
            spec.readiness_gates = serde_json::from_value(gates).unwrap();
        }
        pod
    }
}

fn rule(action: &str, code: i32) -> Value {
    json!({"action": action, "exitCodes": {"operator": "In", "values": [code]}})
}

fn shapes() -> impl Strategy<Value = Shape> {
    (any::<bool>(), any::<bool>(), prop_oneof![2 => Just(None), 1 => (1..120i64).prop_map(Some)], any::<bool>())
        .prop_map(|(with_init, with_rules, deadline, with_gate)| Shape { with_init, with_rules, deadline, with_gate })
}

impl Watched {
    fn new(policy: &str, shape: Shape) -> Watched {
        let pod = shape.pod(policy, "localhost/busybox:1");
        let (machine, decision) = Machine::admit(pod, settings(), at(1_000_000_000_000));
        let mut watched = Watched {
            machine,
            now: 1_000_000_000_000,
            ids: BTreeSet::new(),
            open: Vec::new(),
            starting: BTreeSet::new(),
            live: BTreeSet::new(),
            restarts: BTreeMap::new(),
            terminal: None,
            told: policy.len(),
            shape,
            initialized: false,
        };
        watched.asked(decision);
        watched
    }

    fn run(&mut self, op: &Op, time: u64) {
        match op {
            Op::Wake => {
                let wake = self.machine.wake().map_or(self.now, |wake| wake.0);
                self.tell(Fact::Tick, wake.max(self.now));
            }
            Op::Say(Fact::SpecChanged { pod }) => {
                let first = &pod["spec"]["containers"][0];
                let image = first["image"].as_str().unwrap();
                let mut pod = self.shape.pod(pod["spec"]["restartPolicy"].as_str().unwrap(), image);
                let regular = &mut pod.spec.as_mut().unwrap().containers;
                for (container, policy) in regular.iter_mut().zip(["RestartContainer", "NotRequired"]) {
                    container.resources = serde_json::from_value(first["resources"].clone()).unwrap();
                    let policy = json!([{"resourceName": "memory", "restartPolicy": policy}]);
                    container.resize_policy = serde_json::from_value(policy).unwrap();
                }
                self.tell(applied(&pod), time);
            }
            Op::Say(fact) => self.tell(fact.clone(), time),
            Op::Crash { nth, code } => {
                if let Some((name, attempt)) = self.live.iter().nth(*nth).cloned() {
                    self.tell(exited(name, attempt, Exit::Code(*code)), time);
                }
            }
            Op::Answer { nth, how } if !self.open.is_empty() => {
                let effect = self.open.remove(nth % self.open.len());
                if let Some(fact) = answer(&effect.action, *how) {
                    self.tell(fact, time);
                }
            }
            Op::Answer { .. } => {}
        }
    }

    /// Tells the machine; now and then also a copy of it made from its snapshot: both decide the same.
    fn tell(&mut self, fact: Fact, time: u64) {
        self.now = if fact == Fact::Rebooted { time } else { self.now.max(time) };
        self.follow(&fact);
        let before = self.machine.status();
        let input = Input { at: at(time), fact };
        self.told += 1;
        if !self.told.is_multiple_of(8) {
            let decision = self.machine.step(&input);
            self.asked(decision);
            return self.check(&before);
        }
        let snapshot = serde_json::to_vec(&self.machine).unwrap();
        let mut copy: Machine = serde_json::from_slice(&snapshot).unwrap();
        assert_eq!(copy, self.machine, "a snapshot gives the same machine back");
        let decision = self.machine.step(&input);
        assert_eq!(copy.step(&input), decision, "a machine from a snapshot decides the same");
        assert_eq!(copy.digest(), self.machine.digest());
        self.asked(decision);
        self.check(&before);
    }

    /// What a fact means to somebody who knows only what was asked for.
    fn follow(&mut self, fact: &Fact) {
        match fact {
            Fact::ContainerStarted { container, attempt, .. } => {
                let key = (container.clone(), *attempt);
                if self.starting.remove(&key) {
                    self.live.insert(key);
                }
            }
            Fact::StartFailed { container, attempt, .. } => {
                self.starting.remove(&(container.clone(), *attempt));
            }
            Fact::ContainerExited { container, attempt, exit, .. } => {
                let ended = self.live.remove(&(container.clone(), *attempt));
                let success = matches!(exit, Exit::Code(code) if code & 0xff == 0);
                self.initialized |= ended && success && container == "i";
            }
            Fact::ContainerLost { container, attempt, .. } => {
                let key = (container.clone(), *attempt);
                self.live.remove(&key);
                self.starting.remove(&key);
            }
            Fact::Rebooted => {
                // One that was stopped is set going again, and torn down once more at its end; and nobody has answered what
                // was asked for in the other boot.
                self.ids.remove("teardown");
                self.ids.remove("remove");
                self.live.clear();
                self.starting.clear();
            }
            _ => {}
        }
    }

    fn asked(&mut self, decision: Decision) {
        for note in &decision.notes {
            assert!(rules::find(&note.rule.0).is_some(), "{note:?}");
            // All begins anew.
            self.initialized &= !["R-4.6-b", "R-4.6-d"].contains(&note.rule.0.as_str());
        }
        for effect in decision.effects {
            assert!(rules::find(&effect.rule.0).is_some(), "{effect:?}");
            assert!(self.ids.insert(effect.id.0.clone()), "{} was asked for twice", effect.id.0);
            if let Action::StartContainer { container, attempt } = &effect.action {
                let none_of = |set: &BTreeSet<(String, u32)>| !set.iter().any(|(name, _)| name == container);
                assert!(none_of(&self.live), "{} while it runs", effect.id.0);
                assert!(self.starting.is_empty(), "{} while {:?} starts", effect.id.0, self.starting);
                self.check_order(container);
                self.starting.insert((container.clone(), *attempt));
            }
            if let Action::SignalContainer { container, .. } = &effect.action
                && container == "s"
                && self.regular_lives()
            {
                let why = effect.rule.0.as_str();
                assert!(
                    ["R-8.4-c", "R-4.3-a", "R-4.3-b", "R-4.3-c", "R-4.6-a", "R-4.6-c", "R-7-b", "R-7-d", "R-9.7-b"]
                        .contains(&why),
                    "{} before the others ended: {why}",
                    effect.id.0
                );
            }
            if matches!(effect.action, Action::StartSandbox { .. }) {
                self.initialized = false;
            }
            if matches!(effect.action, Action::StopSandbox { .. } | Action::TearDown) {
                assert!(self.live.is_empty() && self.starting.is_empty(), "{} but {:?} runs", effect.id.0, self.live);
            }
            self.open.push(effect);
        }
    }

    fn regular_lives(&self) -> bool {
        self.live.iter().any(|(name, _)| name == "a" || name == "b")
    }

    /// An init container runs until it has done its work, and once for each sandbox; the sidecar comes after it, the others
    /// come when the sidecar runs.
    fn check_order(&self, container: &str) {
        if !self.shape.with_init {
            return;
        }
        let side = self.live.iter().any(|(name, _)| name == "s");
        match container {
            "i" => assert!(!self.initialized && !self.regular_lives(), "i is run again"),
            "s" => assert!(self.initialized || self.regular_lives(), "s before i is done"),
            // Ephemeral ones wait for nobody.
            "e0" | "e1" | "e2" => {}
            _ => assert!(self.initialized && side || self.regular_lives(), "{container} too early"),
        }
    }

    fn check(&mut self, before: &PodStatus) {
        super::shown::check(&self.machine, before);
        let pod = self.machine.pod();
        let seen = View::of(&pod);
        for container in &seen.containers {
            let runs = self.live.iter().any(|(name, _)| *name == container.name);
            // While its postStart hook runs, a container that runs does not show it.
            let shows = container.state == "running";
            assert!(
                shows == runs || runs && ["b", "s"].contains(&container.name.as_str()),
                "{} in {seen:?}",
                container.name
            );
            let before = self.restarts.insert(container.name.clone(), container.restart_count).unwrap_or_default();
            assert!(before <= container.restart_count, "a restart count went back");
        }
        if let Some(terminal) = &self.terminal {
            assert_eq!(*terminal, seen.phase, "a terminal phase was left");
        }
        let ready = seen.conditions.iter().any(|(kind, status)| kind == "Ready" && status == "True");
        assert!(!ready || !self.shape.with_gate, "Ready although its gate is shut");
        if ["Succeeded", "Failed"].contains(&seen.phase.as_str()) {
            self.terminal = Some(seen.phase);
        }
        if let Some(BootTime(wake)) = self.machine.wake() {
            assert!(wake >= self.now, "asks for a wake-up in the past");
            assert!(wake - self.now <= 300_000_000_000, "waits longer than the cap");
        }
    }

    /// However often it is woken at one instant, it comes to rest at once.
    fn comes_to_rest(&mut self) {
        for _ in 0..4 {
            self.tell(Fact::Tick, self.now);
        }
        let before = self.machine.clone();
        let decision = self.machine.step(&Input { at: at(self.now), fact: Fact::Tick });
        assert!(decision.effects.is_empty() && decision.notes.is_empty(), "{decision:?}");
        assert_eq!(before.digest(), self.machine.digest());
        assert_ne!(self.machine.wake(), Some(BootTime(self.now)), "would be woken for ever");
    }
}

pub(crate) fn at(nanoseconds: u64) -> Moment {
    Moment { boot: BootTime(nanoseconds), wall: WallTime(nanoseconds.cast_signed()) }
}

/// An answer that the owner of a machine may give: good for an even `how`.
pub(crate) fn answer(action: &Action, how: u8) -> Option<Fact> {
    let good = !how.is_multiple_of(3);
    Some(match action.clone() {
        Action::StartSandbox { attempt } if good => Fact::SandboxStarted { attempt, ips: vec!["10.0.0.1".to_owned()] },
        Action::StartSandbox { attempt } if how.is_multiple_of(2) => {
            Fact::MountFailed { attempt: Some(attempt), messages: vec!["no".to_owned()] }
        }
        Action::StartSandbox { attempt } => Fact::SandboxFailed { attempt, message: "no".to_owned() },
        Action::StopSandbox { attempt } => Fact::SandboxExited { attempt },
        Action::EnsureImage { container, attempt } if good => {
            Fact::ImageReady { container, attempt, image: ImageFacts::default(), pulled: None }
        }
        Action::EnsureImage { container, attempt } => {
            let reason = match how % 4 {
                0 => ImageFailure::ErrImagePull,
                1 => ImageFailure::ErrImageNeverPull,
                2 => ImageFailure::InvalidImageName,
                _ => ImageFailure::ImageInspectError,
            };
            Fact::ImageFailed { container, attempt, reason, message: "no".to_owned() }
        }
        Action::StartContainer { container, attempt } if good => {
            Fact::ContainerStarted { container, attempt, id: "1".repeat(64), user: None }
        }
        Action::StartContainer { container, attempt } => {
            let stage = match how % 4 {
                0 => StartStage::Config,
                1 => StartStage::Create,
                _ => StartStage::Run,
            };
            Fact::StartFailed { container, attempt, stage, message: "no".to_owned(), id: None, user: None }
        }
        Action::SignalContainer { container, attempt, .. } if good => exited(container, attempt, Exit::Code(0)),
        Action::SignalContainer { .. } | Action::Remove => return None,
        Action::KillContainer { container, attempt } => exited(container, attempt, Exit::Signal(9)),
        Action::RunHook { container, attempt, hook } => {
            let failure = (!good).then(|| "no".to_owned());
            Fact::HookEnded { container, attempt, hook, failure, fell_back: None }
        }
        Action::ResizePod { generation } => Fact::Resized { generation, failure: (!good).then(|| "no".to_owned()) },
        // Not asked for by a machine itself.
        Action::RunProbe { .. } => return None,
        Action::TearDown => Fact::TornDown,
    })
}

/// Nanoseconds.
const YEAR: i64 = 365 * 24 * 3600 * 1_000_000_000;

/// More of them: PROPTEST_CASES=20000 cargo test --lib pod::tests::property
#[allow(clippy::disallowed_methods, reason = "a setting of the test's, not of the machine's")]
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(200)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_sequence_of_inputs_breaks_the_machine(
        policy in prop_oneof![Just("Always"), Just("OnFailure"), Just("Never")],
        shape in shapes(),
        ops in vec((arbitrary_op(), -5_000_000_000i64..20_000_000_000), 1..60),
    ) {
        let mut watched = Watched::new(policy, shape);
        for (op, step) in ops {
            let time = watched.now.saturating_add_signed(step);
            watched.run(&op, time);
        }
        watched.comes_to_rest();
    }

    /// The wall clock may jump by years, either way: its times are shown, and no decision comes of them.
    #[test]
    fn the_wall_clock_decides_nothing(
        policy in prop_oneof![Just("Always"), Just("OnFailure"), Just("Never")],
        shape in shapes(),
        ops in vec((arbitrary_op(), 0u64..20_000_000_000, -10 * YEAR..10 * YEAR), 1..60),
    ) {
        // After a reboot only the wall clock knows since when a pod has been active.
        let rebooted = ops.iter().any(|(op, ..)| matches!(op, Op::Say(Fact::Rebooted)));
        let shape = Shape { deadline: shape.deadline.filter(|_| !rebooted), ..shape };
        let pod = shape.pod(policy, "localhost/busybox:1");
        let mut now = 1_000_000_000_000;
        let (mut steady, decision) = Machine::admit(pod.clone(), settings(), at(now));
        let (mut jumping, _) = Machine::admit(pod, settings(), Moment { wall: WallTime(50 * YEAR), ..at(now) });
        let mut open: Vec<Action> = decision.effects.into_iter().map(|effect| effect.action).collect();
        for (op, step, jump) in ops {
            let wake = steady.wake();
            let fact = match op {
                Op::Wake => {
                    now = wake.map_or(now, |wake| wake.0.max(now));
                    Fact::Tick
                }
                Op::Say(fact) => fact,
                Op::Crash { nth, code } => exited(["a", "b", "i", "s"][nth % 4].to_owned(), 0, Exit::Code(code)),
                Op::Answer { nth, how } if !open.is_empty() => {
                    let action = open.remove(nth % open.len());
                    let Some(fact) = answer(&action, how) else { continue };
                    fact
                }
                Op::Answer { .. } => continue,
            };
            now += step;
            let expected = steady.step(&Input { at: at(now), fact: fact.clone() });
            let wall = WallTime(50 * YEAR + now.cast_signed() + jump);
            let decision = jumping.step(&Input { at: Moment { wall, ..at(now) }, fact });
            prop_assert_eq!(&decision, &expected);
            prop_assert_eq!(View::of(&jumping.pod()), View::of(&steady.pod()));
            let counts = |machine: &Machine| -> Vec<Option<i32>> {
                machine.events().iter().map(|event| event.count).collect()
            };
            prop_assert_eq!(counts(&jumping), counts(&steady), "events");
            open.extend(expected.effects.into_iter().map(|effect| effect.action));
        }
    }

    /// Left alone with an owner that answers, every deleted pod is removed, whatever it did before.
    #[test]
    fn a_deleted_pod_is_always_removed(
        policy in prop_oneof![Just("Always"), Just("OnFailure"), Just("Never")],
        shape in shapes(),
        ops in vec((arbitrary_op(), 0i64..20_000_000_000), 1..40),
    ) {
        let mut watched = Watched::new(policy, shape);
        for (op, step) in ops {
            let time = watched.now.saturating_add_signed(step);
            watched.run(&op, time);
        }
        watched.tell(Fact::DeleteRequested { grace_seconds: Some(5), force: false }, watched.now);
        for _ in 0..200 {
            if watched.ids.contains("remove") {
                break;
            }
            if watched.open.is_empty() {
                watched.run(&Op::Wake, watched.now);
            }
            watched.run(&Op::Answer { nth: 0, how: 1 }, watched.now);
        }
        prop_assert!(watched.ids.contains("remove"), "{:?}", watched.ids);
    }
}

#[test]
fn ten_thousand_restarts_leave_no_larger_state() {
    let mut driver = run_one("Always", Script::default().container("c", [crate::simulation::Run::exits(1, 0)]), 40_000);
    let size = |driver: &Driver| serde_json::to_vec(&driver.machine).unwrap().len();
    let early = size(&driver);
    driver.timeline.clear();
    driver.run_until(Duration::from_secs(3_010_000)).unwrap();
    assert!(container(&driver, "c").restart_count > 10_000);
    // A few digits more in counts and times.
    assert!(size(&driver) < early + 100, "{early} grew to {}", size(&driver));
    assert!(size(&driver) < 8_000, "{}", size(&driver));
}
