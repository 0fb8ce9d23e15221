//! A supervisor may die after any record. What the next one folds is what the dead one knew, whatever had happened until then;
//! and what follows from what is known is the same, so nothing that happens later can differ either.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::pod::tests::property::{answer, arbitrary_fact, at};
use crate::pod::tests::{pod, settings};

/// One thing that happens to a supervisor.
#[derive(Clone, Debug)]
enum Op {
    /// The nth effect that waits for it is answered, well or badly.
    Answer { nth: usize, how: u8 },
    /// A fact that nobody may have asked for.
    Say(Fact),
    /// The alarm rings.
    Wake,
    /// The keeper tells of a process that was made for the nth effect.
    Spawned(usize),
    /// The nth effect is one that no fact answers.
    Done(usize),
    /// An end that means nothing to the machine.
    Taken(Option<i32>),
    /// The machine has panicked at this twice.
    SetAside(Fact),
}

fn arbitrary_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..4usize, any::<u8>()).prop_map(|(nth, how)| Op::Answer { nth, how }),
        3 => arbitrary_fact().prop_map(Op::Say),
        3 => Just(Op::Wake),
        2 => (0..4usize).prop_map(Op::Spawned),
        1 => (0..4usize).prop_map(Op::Done),
        1 => any::<Option<i32>>().prop_map(Op::Taken),
        1 => arbitrary_fact().prop_map(Op::SetAside),
    ]
}

/// Does it; answers the record that is journalled.
fn happen(state: &mut State, op: Op, now: u64, sequence: u64) -> Option<Record> {
    let report = |id: &str| ReportName { launch: "l".to_owned(), sequence, id: id.to_owned() };
    let pending = |state: &State, nth: usize| state.pending.get(nth % state.pending.len().max(1)).cloned();
    let (fact, of_keeper) = match op {
        Op::Say(fact) => (fact, sequence.is_multiple_of(2)),
        Op::Wake => (Fact::Tick, false),
        Op::Answer { nth, how } => (answer(&pending(state, nth)?.action, how)?, how.is_multiple_of(2)),
        Op::Spawned(nth) => {
            let process = Process { pid: i32::try_from(sequence).unwrap() + 1, started: now };
            let record = Record::Spawned { id: pending(state, nth)?.id, process };
            state.note(&record);
            return Some(record);
        }
        Op::Done(nth) => {
            let record = Record::Done { id: pending(state, nth)?.id };
            state.note(&record);
            return Some(record);
        }
        Op::Taken(code) => {
            let record = Record::Taken { report: report("exec/1"), code };
            state.note(&record);
            return Some(record);
        }
        Op::SetAside(fact) => {
            let report = sequence.is_multiple_of(2).then(|| report("start/a/0"));
            let record = Record::SetAside { fact: Box::new(fact), report, panic: "no".to_owned() };
            state.note(&record);
            return Some(record);
        }
    };
    let report = of_keeper.then(|| report("start/a/0"));
    let image = matches!(fact, Fact::ImageReady { .. }).then(|| Box::new(image()));
    Some(state.tell(Input { at: at(now), fact }, report, image))
}

fn image() -> Image {
    serde_json::from_value(json!({"reference": "localhost/busybox:1", "id": "sha256:0", "config": {}, "layers": [],
        "binds": [], "size": 0}))
    .unwrap()
}

/// As it comes out of a file.
fn read_back<T: Serialize + for<'a> Deserialize<'a>>(value: &T) -> T {
    serde_json::from_slice(&serde_json::to_vec(value).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_after_any_record_folds_to_the_same_state(
        policy in prop_oneof![Just("Always"), Just("OnFailure"), Just("Never")],
        ops in vec((arbitrary_op(), 0u64..20_000_000_000), 1..60),
    ) {
        let pod = pod(policy, json!([{"name": "a"}, {"name": "b"}]));
        let mut now = 1_000_000_000_000;
        let (mut state, record) = State::admit(pod.clone(), settings(), at(now));
        let Record::Admitted { at: admitted, .. } = read_back(&record) else { unreachable!() };
        // One successor has only the journal, another goes on from a snapshot of the record before.
        let (mut folded, _) = State::admit(pod, settings(), admitted);
        prop_assert_eq!(&folded, &state);
        for (sequence, (op, step)) in (0u64..).zip(ops) {
            let snapshot = read_back(&state);
            now = match (&op, state.machine.wake()) {
                (Op::Wake, Some(wake)) => wake.0.max(now),
                _ => now + step,
            };
            let Some(record) = happen(&mut state, op, now, sequence) else { continue };
            let record = read_back(&record);
            for successor in [&mut folded, &mut { snapshot }] {
                prop_assert_eq!(successor.fold(&record), Ok(()), "{:?}", record);
                prop_assert_eq!(&*successor, &state, "after {:?}", record);
            }
        }
    }
}
