//! Going on from whatever a killed, torn, damaged, older or rebooted predecessor has left on disk.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::linux::container::SeccompDefault;
use crate::paths::Paths;
use crate::pod::input::Input;
use crate::pod::machine::Settings;
use crate::pod::time::{BootTime, Moment, WallTime};
use crate::supervisor::orders::{Choices, Rotation};

struct Place {
    orders: Orders,
}

impl Place {
    fn new(name: &str) -> Place {
        let root = std::env::temp_dir().join(format!("podlet-recover-{name}-{}", std::process::id()));
        files::remove_tree(&root).unwrap();
        let paths = Paths { run: root.join("run"), state: root.join("state"), logs: root.join("logs") };
        let choices = Choices {
            settings: Settings::default(),
            seccomp_default: SeccompDefault::default(),
            log_level: "info".into(),
            trace: false,
            panic_at_exit: None,
            rotation: Rotation::default(),
            pod_pids_limit: None,
            max_pods: None,
            pod_logs_dir: None,
            environment: Default::default(),
            image_limits: Default::default(),
            ignore_image_volumes: false,
            registry_patience: crate::http::PATIENCE,
            sleep_after: None,
        };
        let orders =
            Orders { version: 1, boot_id: clock::boot_id(), paths, uid: "u-1".into(), launch: String::new(), choices };
        files::private_directory(&orders.paths.pod_run("u-1")).unwrap();
        files::private_directory(&orders.paths.pod_state("u-1")).unwrap();
        let pod = serde_json::json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web", "namespace": "default", "uid": "u-1", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
                "containers": [{"name": "a", "image": "localhost/a:1", "imagePullPolicy": "IfNotPresent"}]}
        });
        std::fs::write(orders.paths.pod_manifest("u-1"), serde_json::to_vec(&pod).unwrap()).unwrap();
        Place { orders }
    }

    fn journal(&self, segment: u64) -> std::path::PathBuf {
        self.orders.paths.journal("u-1", segment)
    }

    fn find(&self) -> Found {
        find(&self.orders).unwrap()
    }

    /// A pod whose sandbox stands, as its journal tells.
    fn with_sandbox(&self) -> Found {
        let mut found = self.find();
        tell(&mut found, Fact::SandboxStarted { attempt: 0, ips: vec![] }, 1);
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = files::remove_tree(self.orders.paths.run.parent().unwrap());
    }
}

fn tell(found: &mut Found, fact: Fact, seconds: u64) {
    let at = Moment {
        boot: BootTime(clock::now().boot.0 + seconds * 1_000_000_000),
        wall: WallTime(clock::now().wall.0 + i64::try_from(seconds).unwrap() * 1_000_000_000),
    };
    let record = found.state.tell(Input { at, fact }, None, None);
    found.journal.append(&serde_json::to_vec(&record).unwrap()).unwrap();
}

fn pending(found: &Found) -> Vec<String> {
    found.state.pending.iter().map(|asked| asked.id.0.clone()).collect()
}

#[test]
fn a_new_pod_is_admitted_once_and_its_first_effects_wait() {
    let place = Place::new("new");
    let first = place.find();
    assert_eq!(pending(&first), ["sandbox/0"]);
    let second = place.find();
    assert_eq!(second.state, first.state);
    assert!(!second.rebooted);
}

#[test]
fn the_fold_of_the_journal_is_the_state_that_was() {
    let place = Place::new("fold");
    let before = place.with_sandbox();
    assert!(before.state.sandbox.is_some());
    let after = place.find();
    assert_eq!(after.state, before.state);
    assert_eq!(after.segment, 0);
    assert_eq!(pending(&after), ["image/a/0"]);
}

#[test]
fn a_torn_record_is_cut_off_and_told_again() {
    let place = Place::new("torn");
    let admitted = place.find().state;
    let length = std::fs::metadata(place.journal(0)).unwrap().len();
    place.with_sandbox();
    // A record's length varies with the time in it, so the last byte is looked for each time.
    let last_byte = || std::fs::metadata(place.journal(0)).unwrap().len() - 1;
    for cut in [&(|| length + 1) as &dyn Fn() -> u64, &last_byte] {
        let cut = cut();
        File::options().write(true).open(place.journal(0)).unwrap().set_len(cut).unwrap();
        let mut found = place.find();
        assert_eq!(found.state, admitted);
        tell(&mut found, Fact::SandboxStarted { attempt: 0, ips: vec![] }, 1);
        assert_eq!(place.find().state, found.state);
    }
}

#[test]
fn a_damaged_journal_is_kept_aside_and_its_good_part_counts() {
    let place = Place::new("damaged");
    let admitted = place.find().state;
    let good = usize::try_from(std::fs::metadata(place.journal(0)).unwrap().len()).unwrap();
    let mut found = place.with_sandbox();
    tell(&mut found, Fact::Tick, 2);
    let mut bytes = std::fs::read(place.journal(0)).unwrap();
    bytes[good + 20] ^= 1;
    std::fs::write(place.journal(0), bytes).unwrap();
    let after = place.find();
    assert_eq!(after.state, admitted);
    assert_eq!(after.segment, 1);
    let aside: Vec<_> = std::fs::read_dir(place.orders.paths.pod_run("u-1"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with("damaged"))
        .collect();
    assert_eq!(aside.len(), 1);
}

#[test]
fn a_newer_machine_takes_recorded_effects_as_facts() {
    let place = Place::new("version");
    let before = place.with_sandbox();
    let segment = journal::read(&place.journal(0)).unwrap();
    let older = journal::Header { machine: u32::MAX, ..segment.header.unwrap() };
    let mut journal = Journal::create(&place.journal(0), &older).unwrap();
    for record in &segment.records {
        journal.append(record).unwrap();
    }
    let after = place.find();
    assert_eq!(pending(&after), pending(&before), "what was asked for is asked for, no more and no less");
    assert_eq!(after.state.sandbox, before.state.sandbox);
    assert_eq!(after.segment, 1, "what follows stands under the new version's header");
    assert_eq!(place.find().state, after.state);
}

#[test]
fn a_machine_that_disagrees_with_its_journal_believes_the_journal() {
    let place = Place::new("disagree");
    let before = place.with_sandbox();
    let segment = journal::read(&place.journal(0)).unwrap();
    let mut journal = Journal::create(&place.journal(0), &segment.header.unwrap()).unwrap();
    for record in &segment.records {
        let mut record: serde_json::Value = serde_json::from_slice(record).unwrap();
        record["digest"] = 1.into();
        journal.append(&serde_json::to_vec(&record).unwrap()).unwrap();
    }
    let after = place.find();
    assert_eq!(pending(&after), pending(&before));
    assert_eq!(after.segment, 1);
}

#[test]
fn a_snapshot_is_gone_on_from_whether_or_not_its_segment_was_begun() {
    let place = Place::new("snapshot");
    let before = place.with_sandbox();
    begin_segment(&place.orders, 1, &before.state).unwrap();
    assert!(!place.journal(0).exists());
    assert!(place.orders.paths.history("u-1").join("journal.00000000").exists());
    assert_eq!(place.find().state, before.state);
    std::fs::remove_file(place.journal(1)).unwrap();
    let mut again = place.find();
    assert_eq!((again.segment, &again.state), (1, &before.state));
    tell(&mut again, Fact::Tick, 3);
    assert_eq!(place.find().state, again.state);
}

#[test]
fn history_is_bounded() {
    let place = Place::new("history");
    let state = place.find().state;
    for number in 1..8 {
        // Each a quarter of what is kept in all.
        let mut bytes = std::fs::read(place.journal(number - 1)).unwrap();
        bytes.resize(usize::try_from(history::MOST / 4).unwrap(), 0);
        std::fs::write(place.journal(number - 1), bytes).unwrap();
        begin_segment(&place.orders, number, &state).unwrap();
    }
    let kept: Vec<_> = std::fs::read_dir(place.orders.paths.history("u-1")).unwrap().map(Result::unwrap).collect();
    let bytes: u64 = kept.iter().map(|entry| entry.metadata().unwrap().len()).sum();
    assert!(bytes <= history::MOST, "{bytes}");
    let mut names: Vec<String> = kept.iter().map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    // Three and what they begin from: with a fourth it were a few bytes too much.
    let journals = ["journal.00000004", "journal.00000005", "journal.00000006"];
    assert_eq!(names[..3], journals);
    assert_eq!(names[3], "snapshot.00000004.json");
    assert_eq!(place.find().state, state);
}

#[test]
fn another_boots_journal_is_known_as_such() {
    let place = Place::new("reboot");
    place.with_sandbox();
    let segment = journal::read(&place.journal(0)).unwrap();
    let header = journal::Header { boot_id: "another".into(), ..segment.header.unwrap() };
    let mut journal = Journal::create(&place.journal(0), &header).unwrap();
    for record in &segment.records {
        journal.append(record).unwrap();
    }
    let mut found = place.find();
    assert!(found.rebooted);
    tell(&mut found, Fact::Rebooted, 4);
    assert_eq!(found.state.sandbox, None);
    assert!(!place.find().rebooted, "the fact was told; what follows is of this boot");
}
