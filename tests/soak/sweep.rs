//! The supervisor is killed once at every system call that it makes in a part of a pod's life, before the call is carried
//! out; whoever looks afterwards sees what an undisturbed run shows.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::common::kills;
use crate::common::podlet::Podlet;
use crate::common::tracer::{Call, Last};
use crate::scenario::Scenario;

/// What an undisturbed run shows, and the calls that others can tell were made.
struct Undisturbed {
    scenario: Scenario,
    seen: Value,
    calls: Vec<Call>,
}

fn undisturbed(podlet: &Podlet, scenario: Scenario) -> Undisturbed {
    let name = format!("{}-undisturbed", scenario.name());
    let (seen, calls) = scenario.run(podlet, &name, None);
    clear(podlet, scenario, &name);
    println!("{}: {} public calls: {}", scenario.name(), calls.len(), tally(&calls));
    Undisturbed { scenario, seen, calls }
}

/// `412 read, 97 pwrite64, …`, the most frequent first.
fn tally(calls: &[Call]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    calls.iter().for_each(|call| *counts.entry(call.to_string()).or_default() += 1);
    let mut counts: Vec<(usize, String)> = counts.into_iter().map(|(name, count)| (count, name)).collect();
    counts.sort_by(|a, b| b.cmp(a));
    counts.into_iter().map(|(count, name)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}

fn clear(podlet: &Podlet, scenario: Scenario, name: &str) {
    if scenario != Scenario::Delete {
        podlet.succeed(&["delete", "pod", name]);
    }
}

/// A scenario and the number of the call, from 1.
type Case = (usize, usize);

/// Of each scenario in turn, in an order that the seed gives.
fn sample(runs: &[Undisturbed], seed: u64, budget: usize) -> Vec<Case> {
    let mut random = kills::Random::new(seed);
    let mut stacks: Vec<Vec<Case>> = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let mut left: Vec<Case> = (1..=run.calls.len()).map(|call| (number, call)).collect();
        let mut shuffled = Vec::new();
        while !left.is_empty() {
            shuffled.push(left.swap_remove(random.below(left.len() as u64) as usize));
        }
        stacks.push(shuffled);
    }
    let mut chosen = Vec::new();
    while chosen.len() < budget && stacks.iter().any(|stack| !stack.is_empty()) {
        for stack in &mut stacks {
            chosen.extend(stack.pop());
        }
    }
    chosen.truncate(budget);
    chosen
}

/// One case, compared. How many calls the run had, if there were not so many.
fn killed_at(podlet: &Podlet, undisturbed: &Undisturbed, number: usize, last: usize) -> Option<usize> {
    let Undisturbed { scenario, seen: expected, .. } = undisturbed;
    let name = format!("{}-{last}", scenario.name());
    let (seen, calls) = scenario.run(podlet, &name, Some(Last::Call(last)));
    let at = calls.last().map_or_else(String::new, Call::to_string);
    let reached = calls.len() >= last;
    println!("{number} {name} {}", if reached { &at } else { "did not come about" });
    kills::assert_same(&seen, expected, &format!("{name}, killed at {at}"));
    clear(podlet, *scenario, &name);
    (!reached).then_some(calls.len())
}

#[test]
fn a_supervisor_that_dies_at_any_call_leaves_what_an_undisturbed_run_leaves() {
    let podlet = Podlet::new();
    let runs: Vec<Undisturbed> = Scenario::ALL.into_iter().map(|scenario| undisturbed(&podlet, scenario)).collect();
    let (seed, budget) = (kills::seed(), kills::budget(14));
    let all: usize = runs.iter().map(|run| run.calls.len()).sum();
    let cases = sample(&runs, seed, budget);
    println!("{} of {all} calls, seed {seed}", cases.len());
    for (number, (run, call)) in cases.into_iter().enumerate() {
        let mut last = call;
        // How the kernel cuts what is read and written differs from run to run: of a run that had fewer calls one that it had
        // is taken in the next one.
        while let Some(had) = killed_at(&podlet, &runs[run], number, last) {
            assert!(had > 0, "{} made no call", runs[run].scenario.name());
            last = 1 + last % had;
        }
    }
    podlet.finish();
}
