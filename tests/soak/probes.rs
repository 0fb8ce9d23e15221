//! Commands of probes are run ten thousand times; afterwards nothing has piled up: no zombie, no descriptor, no process.
//! `PODLET_TEST_BUDGET=all cargo test --test soak probes -- --ignored --nocapture`, four minutes.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::common::kills::{self, Part};
use crate::common::podlet::{Podlet, container, text, until};
use crate::restarts::Holdings;

/// Containers with two probes a second each.
const PROBED: usize = 20;
/// Probes before the first look: what is made once is made by then.
const BEFORE: usize = 4 * PROBED;

fn manifest(data: &Path) -> String {
    // Each probe leaves one byte.
    let probe = "{exec: {command: [sh, -c, echo >> /data/count]}, periodSeconds: 1, failureThreshold: 1000000, timeoutSeconds: 60}";
    let mut text = "apiVersion: v1\nkind: Pod\nmetadata: {name: probed}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
                    containers:\n"
        .to_owned();
    for number in 0..PROBED {
        text += &format!(
            "  - name: c{number}\n    image: podlet.local/host\n    command: [sleep, \"100000\"]\n    \
             volumeMounts: [{{name: data, mountPath: /data}}]\n    livenessProbe: {probe}\n    readinessProbe: {probe}\n"
        );
    }
    text + &format!("  volumes:\n  - name: data\n    hostPath: {{path: {}, type: DirectoryOrCreate}}\n", data.display())
}

/// Children of these that have ended and were not waited for.
fn zombies(parents: &[i32]) -> usize {
    let listing = fs::read_dir("/proc").unwrap().flatten();
    let stats = listing.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let dead = |stat: &String| {
        let mut fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        let (state, parent) = (fields.next(), fields.next().and_then(|parent| parent.parse().ok()));
        state == Some("Z") && parent.is_some_and(|parent| parents.contains(&parent))
    };
    stats.filter(dead).count()
}

/// The least of each that the pod holds at some looks: between two probes.
fn at_rest(podlet: &Podlet, uid: &str) -> (Holdings, usize) {
    let parts = [Part::Supervisor, Part::Keeper, Part::Guard].map(|part| part.wait(uid));
    let parents: Vec<i32> = parts.into_iter().chain(kills::zygotes(uid)).collect();
    let look = || {
        sleep(Duration::from_millis(20));
        (Holdings::of(podlet, uid), zombies(&parents))
    };
    (0..10).fold(look(), |(least, dead), _| {
        let (now, zombies) = look();
        (least.least(now), dead.min(zombies))
    })
}

#[ignore = "minutes of one probe after another: cargo test --test soak -- --ignored"]
#[test]
fn many_commands_of_probes_pile_nothing_up() {
    let podlet = Podlet::new();
    let probes = match kills::budget(10) {
        usize::MAX => 10_000,
        number => number * 20,
    };
    println!("{probes} probes");
    let data = podlet.root.join("data");
    let output = podlet.try_apply(&manifest(&data), &["--sleep-after=never"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let pod =
        podlet.wait("probed", |pod| (0..PROBED).all(|number| container(pod, &format!("c{number}"))["ready"] == true));
    let uid = kills::uid(&pod);
    let count = || fs::metadata(data.join("count")).map_or(0, |file| usize::try_from(file.len()).unwrap());
    // However slow the machine: only one that does not go on at all is given up.
    let probed = |wanted: usize| {
        while count() < wanted {
            let before = count();
            until("another probe", || count() > before);
        }
    };
    probed(BEFORE);
    let (before, dead) = at_rest(&podlet, &uid);
    assert_eq!(dead, 0, "zombies: {before:?}");
    probed(BEFORE + probes);
    until(&format!("no more than {before:?}"), || {
        let (now, dead) = at_rest(&podlet, &uid);
        let piled = dead > 0 || !now.is_within(&before);
        println!("{} probes, {dead} zombies, {now:?}", count());
        !piled
    });
    let pod = podlet.pod("probed");
    assert!((0..PROBED).all(|number| container(&pod, &format!("c{number}"))["restartCount"] == 0), "{pod:#}");
    podlet.finish();
}
