//! A newer machine over an older one's journal: it takes the recorded effects as facts and asks for none of them again.

use std::time::Duration;

use super::*;
use crate::pod::effect::EffectId;
use crate::pod::input::{Fact, Input};
use crate::pod::machine::Machine;
use crate::pod::time::{BootTime, Moment, WallTime};
use crate::simulation::Run;

/// A life with restarts, a lost sandbox and a deletion, as a journal: each input with its time and recorded effects.
fn life() -> (Driver, Vec<(Duration, Fact, Vec<EffectId>)>) {
    let mut driver = run_one("Always", Script::default().container("c", [Run::exits(1, 500).deaf()]), 45);
    driver.at(Duration::from_secs(46), Fact::SandboxExited { attempt: 0 });
    let deletion = Fact::DeleteRequested { grace_seconds: Some(3), force: false };
    driver.at(Duration::from_millis(100_200), deletion);
    driver.run_until(Duration::from_secs(200)).unwrap();
    let mut journal: Vec<(Duration, Fact, Vec<EffectId>)> = Vec::new();
    for line in &driver.timeline {
        match &line.entry {
            Entry::Input(fact) => journal.push((line.at, fact.clone(), Vec::new())),
            Entry::Effect(effect) => {
                if let Some((_, _, ids)) = journal.last_mut() {
                    ids.push(effect.id.clone());
                }
            }
            Entry::Note(_) | Entry::Status(_) => {}
        }
    }
    (driver, journal)
}

fn at(time: Duration) -> Moment {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap() + 1_000_000_000_000;
    Moment { boot: BootTime(nanoseconds), wall: WallTime(nanoseconds.cast_signed()) }
}

#[test]
fn recorded_effects_are_facts_wherever_the_newer_machine_takes_over() {
    let (driver, journal) = life();
    assert!(driver.removed && journal.len() > 15);
    for taken in 0..=journal.len() {
        let (mut machine, first) =
            Machine::admit(pod("Always", json!([{"name": "c"}])), settings(), at(Duration::ZERO));
        let mut asked: Vec<EffectId> = first.effects.into_iter().map(|effect| effect.id).collect();
        for (time, fact, ids) in &journal[..taken] {
            let input = Input { at: at(*time), fact: fact.clone() };
            assert!(machine.assume(&input, ids).is_empty(), "{fact:?} {ids:?}");
            asked.extend(ids.iter().cloned());
        }
        for (time, fact, _) in &journal[taken..] {
            let decision = machine.step(&Input { at: at(*time), fact: fact.clone() });
            asked.extend(decision.effects.into_iter().map(|effect| effect.id));
        }
        let unique: std::collections::BTreeSet<_> = asked.iter().collect();
        assert_eq!(unique.len(), asked.len(), "asked for something twice after taking over at {taken}: {asked:?}");
        let expected: Vec<&str> = ["sandbox/0"].into_iter().chain(journal_ids(&journal)).collect();
        let asked: Vec<&str> = asked.iter().map(|id| id.0.as_str()).collect();
        assert_eq!(asked, expected, "taking over at {taken}");
        assert_eq!(machine.pod().status.unwrap().phase.as_deref(), Some("Failed"));
    }
}

fn journal_ids(journal: &[(Duration, Fact, Vec<EffectId>)]) -> impl Iterator<Item = &str> {
    journal.iter().flat_map(|(_, _, ids)| ids).map(|id| id.0.as_str())
}

#[test]
fn an_id_that_cannot_be_read_is_given_back() {
    let (mut machine, _) = Machine::admit(pod("Always", json!([{"name": "c"}])), settings(), at(Duration::ZERO));
    let strange = EffectId("warm/c/0".to_owned());
    let input = Input { at: at(Duration::from_secs(1)), fact: Fact::Tick };
    assert_eq!(machine.assume(&input, std::slice::from_ref(&strange)), [strange]);
}
