//! What is put aside of a run, and what is read of it.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::supervisor::journal::Journal;

fn place(name: &str) -> Paths {
    let root = std::env::temp_dir().join(format!("podlet-history-{name}-{}", std::process::id()));
    files::remove_tree(&root).unwrap();
    let paths = Paths { run: root.join("run"), state: root.join("state"), logs: root.join("logs") };
    files::private_directory(&paths.pod_run("u")).unwrap();
    files::private_directory(&paths.pod_state("u")).unwrap();
    paths
}

fn clear(paths: &Paths) {
    files::remove_tree(paths.run.parent().unwrap()).unwrap();
}

fn pod() -> Pod {
    crate::pod::tests::pod("Always", serde_json::json!([{"name": "a"}]))
}

fn machine() -> Machine {
    Machine::admit(pod(), Settings::default(), Moment::default()).0
}

/// A segment of so many bytes, after a snapshot unless it is the first.
fn segment(paths: &Paths, number: u64, bytes: usize) {
    let mut journal = Journal::create(&paths.journal("u", number), &state::header()).unwrap();
    if number == 0 {
        let (_, record) = state::State::admit(pod(), Settings::default(), Moment::default());
        journal.append(&serde_json::to_vec(&record).unwrap()).unwrap();
    } else {
        std::fs::write(paths.snapshot("u", number), vec![b'x'; 1000]).unwrap();
    }
    journal.append(format!("{{\"filling\":\"{}\"}}", "x".repeat(bytes)).as_bytes()).unwrap();
}

fn names(paths: &Paths) -> Vec<String> {
    let entries = std::fs::read_dir(paths.history("u")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_snapshot_is_kept_for_each_eight_times_its_length() {
    let paths = place("snapshots");
    for number in 0..6 {
        segment(&paths, number, 3000);
        put(&paths, "u", number).unwrap();
    }
    let snapshots: Vec<String> = names(&paths).into_iter().filter(|name| name.starts_with("snapshot")).collect();
    assert_eq!(snapshots, ["snapshot.00000003.json"]);
    assert_eq!(newest(&paths.history("u")).unwrap(), Some(5));
    clear(&paths);
}

#[test]
fn what_can_not_be_told_without_what_went_goes_with_it() {
    let paths = place("oldest");
    for number in 0..6 {
        segment(&paths, number, 3000);
        put(&paths, "u", number).unwrap();
    }
    // The first alone is too much.
    let file = File::options().write(true).open(paths.history("u").join("journal.00000000")).unwrap();
    file.set_len(MOST + 1).unwrap();
    forget_oldest(&paths.history("u")).unwrap();
    assert_eq!(names(&paths), ["journal.00000003", "journal.00000004", "journal.00000005", "snapshot.00000003.json"]);
    clear(&paths);
}

#[test]
fn a_run_is_read_over_both_directories_saved_and_read_again() {
    let paths = place("read");
    std::fs::write(paths.pod_manifest("u"), serde_json::to_vec(&pod()).unwrap()).unwrap();
    segment(&paths, 0, 10);
    put(&paths, "u", 0).unwrap();
    let mut journal = Journal::create(&paths.journal("u", 1), &state::header()).unwrap();
    journal.append(b"{\"record\":\"done\",\"id\":\"signal/a/0/SIGTERM\"}").unwrap();
    let history = History::read(&paths, "u").unwrap();
    let told = |history: &History| -> Vec<(u64, bool, usize, usize)> {
        let one =
            |part: &Part| (part.number, matches!(part.begin, Begin::Admission { .. }), part.entries.len(), part.unread);
        history.parts.iter().map(one).collect()
    };
    assert_eq!(told(&history), [(0, true, 1, 1), (1, false, 0, 0)]);
    let saved = paths.run.join("saved");
    history.save(&saved).unwrap();
    let again = History::open(&saved).unwrap();
    assert_eq!(again.parts.len(), 2);
    assert_eq!(again.parts[0].entries, history.parts[0].entries);
    let copied = History::open(&paths.history("u")).unwrap();
    assert_eq!(told(&copied), [(0, true, 1, 1)]);
    // A file that ends in the middle of a line tells so.
    let bytes = std::fs::read(&saved).unwrap();
    std::fs::write(&saved, &bytes[..bytes.len() - 3]).unwrap();
    assert_eq!(History::open(&saved).unwrap().parts[1].unread, 1);
    std::fs::write(&saved, "kind: Scenario\n").unwrap();
    assert!(matches!(History::open(&saved), Err(HistoryError::Content { .. })));
    clear(&paths);
}

#[test]
fn the_latest_parts_are_those_since_the_last_snapshot_but_one() {
    let part = |number, begin| Part::new(number, state::header(), begin, Vec::new(), 0);
    let snapshot = || Begin::Snapshot(Box::new(machine()));
    let history = History {
        parts: vec![
            part(0, Begin::Admission { pod: Box::new(pod()) }),
            part(1, Begin::Before),
            part(2, snapshot()),
            part(3, Begin::Before),
            part(4, snapshot()),
        ],
    };
    let numbers = |history: &History| history.parts.iter().map(|part| part.number).collect::<Vec<_>>();
    let latest = history.latest();
    assert_eq!(numbers(&latest), [2, 3, 4]);
    assert_eq!(numbers(&latest.latest()), [2, 3, 4]);
}
