//! Each recorded case in virtual time: podlet's machine, the programs of the manifest as a script.

use std::collections::BTreeMap;
use std::time::Duration;

use podlet::pod::input::{Exit, Fact};
use podlet::pod::machine::Settings;
use podlet::simulation::Driver;

use super::comparer::{Reach, disagreements};
use super::recording::{Case, Sight, Story};
use super::{programs, reached};

/// podlet's own story of a case, as long as the recording and somewhat longer.
pub fn simulated(case: &Case) -> Story {
    let settings = Settings { node_name: "node".to_owned(), ..Settings::default() };
    let mut driver = Driver::new(case.pod(), settings, programs::script(case));
    let mut story = Story::default();
    // What the recorder did to be rid of a pod is not part of its story, but for what is told of the stop.
    let mut see = |driver: &Driver| {
        let pod = driver.machine.pod();
        if pod.metadata.deletion_grace_period_seconds != Some(0) {
            story.see(Sight::of(driver.now().as_secs_f64(), &pod));
        }
    };
    let mut play = |driver: &mut Driver, until: f64| {
        see(driver);
        while driver.step(Duration::from_secs_f64(until)).unwrap() {
            see(driver);
        }
    };
    let end = case.story.sights.last().unwrap().t;
    for (at, interference) in interferences(case) {
        play(&mut driver, at);
        match interference {
            Interference::Delete(grace) => {
                driver.input(Fact::DeleteRequested { grace_seconds: Some(grace), force: grace == 0 });
            }
            Interference::KillSandbox => driver.input(Fact::SandboxExited { attempt: 0 }),
            Interference::Kill(container) => driver.end_instance(container, Exit::Signal(9)),
        }
    }
    play(&mut driver, end + 60.0);
    story.hear(driver.machine.events());
    reached::note(&driver);
    story
}

/// What the recorder did to a pod.
#[derive(Clone, Copy, Debug)]
pub enum Interference {
    /// `kubectl delete`, with this grace period; 0 is by force.
    Delete(i64),
    /// `kill -9` of the pause process.
    KillSandbox,
    /// `kill -9` of a container's main process.
    Kill(&'static str),
}

/// What the recorder did to the pod, and when.
pub fn interferences(case: &Case) -> Vec<(f64, Interference)> {
    let sights = &case.story.sights;
    let mut found: Vec<(f64, Interference)> = Vec::new();
    if case.number() == "i03" {
        found.push((sights.iter().find(|sight| sight.t > 10.0).unwrap().t, Interference::KillSandbox));
    }
    if case.number() == "i04" {
        found.push((sights.iter().find(|sight| sight.t > 10.0).unwrap().t, Interference::Kill("m")));
    }
    let deletion = sights.iter().find_map(|sight| Some((sight.t, Interference::Delete(sight.grace?))));
    found.extend(deletion);
    found
}

/// Where podlet differs from a recording on purpose: the case, the beginning of what the comparer says, and why. Each must
/// be found (`docs/differences.md` has the reasons at length).
pub const DIFFERENT: &[(&str, &str, &str)] = &[
    ("d01-liveness-exec-fail", "m at ", JITTER),
    ("i03-pausekill-always", "phases", LOOKS),
    ("i03-pausekill-always", "phase Pending", LOOKS),
    ("i03-pausekill-always", "phase Running", LOOKS),
    ("i03-pausekill-always", "side at ", HOW_IT_ENDED),
    ("i03-pausekill-always", "side: ", HOW_IT_ENDED),
];

const JITTER: &str =
    "the fifth restart was let through at once, a kubelet's jitter having outlasted the back-off; podlet waits for it";
const LOOKS: &str = "a kubelet shows phases of what it has only half looked at";
const HOW_IT_ENDED: &str = "after a lost sandbox podlet shows how a sidecar ended";

/// What the comparer says of a case beyond the known differences.
pub fn unexpected(case: &Case, mine: &Story, reach: Reach) -> Vec<String> {
    let mut found = disagreements(&case.story, mine, reach);
    for (_, begins, why) in DIFFERENT.iter().filter(|(name, ..)| *name == case.name) {
        let before = found.len();
        found.retain(|said| !said.starts_with(begins));
        if found.len() == before && reach == Reach::Whole {
            found.push(format!("no longer differs in {begins} ({why})"));
        }
    }
    found
}

#[test]
fn each_recorded_case_goes_as_it_went_in_virtual_time() {
    let cases = Case::all();
    assert_eq!(cases.len(), 41, "a case was lost");
    let mut faults = Vec::new();
    for case in &cases {
        let found = unexpected(case, &simulated(case), Reach::Whole);
        faults.extend(found.iter().map(|said| format!("{}: {said}", case.name)));
    }
    assert!(faults.is_empty(), "{} disagreements:\n  {}", faults.len(), faults.join("\n  "));
}

/// A kubelet restarts at the back-off or up to half a minute and 2 s later; podlet at the back-off.
#[test]
fn recorded_restarts_fall_into_the_window_that_begins_where_podlet_restarts() {
    let looped = [
        "a04-onfailure-exit1",
        "a05-always-exit0",
        "a06-always-exit1",
        "b03-init-fail-always",
        "c02-sidecar-crash",
        "g06-restart-rules",
    ];
    let mut compared = 0;
    for case in Case::all().iter().filter(|case| looped.contains(&case.name.as_str())) {
        let mine = simulated(case);
        let name = case.story.last().states().find(|state| state.restart_count > 0).unwrap().name.clone();
        let starts = |story: &Story| {
            let states = story.sights.iter().flat_map(|sight| sight.states().map(move |state| (sight.t, state)));
            let runs = states.filter(|(_, state)| state.name == name && state.state == "running");
            let mut starts: BTreeMap<i64, f64> = BTreeMap::new();
            runs.for_each(|(at, state)| {
                starts.entry(state.restart_count).or_insert(at);
            });
            starts
        };
        // The recording shows an end only from the kubelet's look on: count from the run before to the run after.
        let (theirs, mine) = (starts(&case.story), starts(&mine));
        for (restarts, at) in theirs.iter().filter(|(restarts, _)| **restarts > 0) {
            let (gap, wait) = (at - theirs[&(restarts - 1)], mine[restarts] - mine[&(restarts - 1)]);
            let latest = wait + 0.5 * wait.min(60.0) + 3.0;
            assert!(gap >= wait && gap <= latest, "{}: restart {restarts} after {gap} s, podlet {wait} s", case.name);
            compared += 1;
        }
    }
    assert!(compared >= 25, "only {compared} restarts were compared");
}
