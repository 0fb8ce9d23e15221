//! The rules of time held against the clock with real containers: the numbers that a user waits for. The lower bounds are
//! exact, the upper ones leave seconds to a busy machine but no room for another constant. The waits of the
//! defaults are in `tests/soak/waits.rs`.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::kills;
use common::podlet::{Podlet, container, until};

/// The container's words; `BEAT` stands for those of a heartbeat.
fn manifest(podlet: &Podlet, name: &str, arguments: &str) -> String {
    let arguments = arguments.replace("BEAT", &format!("heartbeat, /data/{name}, every=20ms"));
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  containers:
  - name: main
    image: podlet.local/actor
    args: [{arguments}]
    volumeMounts: [{{name: data, mountPath: /data}}]
  volumes:
  - name: data
    hostPath: {{path: {data}, type: DirectoryOrCreate}}
"#,
        data = podlet.root.join("data").display()
    )
}

/// The times between an instance's last beat and the next one's first: not shorter than the container was away.
fn pauses(podlet: &Podlet, name: &str) -> Vec<Duration> {
    let instances = kills::heartbeats(&podlet.root.join("data").join(name));
    let pairs = instances.windows(2).map(|pair| pair[1][0] - pair[0].last().unwrap());
    pairs.map(Duration::from_nanos).collect()
}

fn between(pause: Duration, least: u64, most: u64) {
    let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
    assert!(least <= pause && pause < most, "{pause:?} is not between {least:?} and {most:?}");
}

/// Rules R-4.4 a, c and d: doubled from the exit on up to the maximum, forgotten after a long run.
#[test]
fn restarts_wait_as_long_as_their_owner_says() {
    let podlet = Podlet::new();
    let apply = |name: &str, run: &str, words: &[&str]| {
        let output =
            podlet.try_apply(&manifest(&podlet, name, &format!(r#"BEAT, ",", sleep, {run}, ",", exit, "1""#)), words);
        assert!(output.status.success(), "{name}: {}", common::podlet::text(&output.stderr));
    };
    apply("short", "30ms", &["--crash-backoff-initial=4000", "--crash-backoff-max=11000"]);
    apply("long-run", "1500ms", &["--crash-backoff-initial=60000", "--crash-backoff-reset=1000"]);

    until("four restarts of the short series", || pauses(&podlet, "short").len() >= 4);
    // Not doubled to 16 s the last time.
    let series = [(0, 4_000), (4_000, 8_000), (8_000, 11_000), (11_000, 16_000)];
    for (pause, (least, most)) in pauses(&podlet, "short").into_iter().zip(series) {
        between(pause, least, most);
    }
    // Each run is longer than what clears the back-off: the wait of a minute never comes.
    until("three restarts after long runs", || pauses(&podlet, "long-run").len() >= 3);
    for pause in pauses(&podlet, "long-run") {
        between(pause, 0, 30_000);
    }
    podlet.finish();
}

/// The numbers of the termination message, and the largest back-off, as the real program shows them: the last 4096 bytes of
/// the file, 2048 bytes of the log, 80 lines of it, 12 KiB shared by the pod's containers; `5m0s`.
#[test]
fn messages_and_the_largest_back_off_have_their_limits() {
    let podlet = Podlet::new();
    // Each writes what is longer than its limit, and how much of that is shown: `from`, `count` lines of so many bytes.
    let shell = |name: &str, policy: &str, script: &str| {
        format!(
            "\n  - {{name: {name}, image: podlet.local/host, terminationMessagePolicy: {policy}, command: [sh, -c, \"{script}; exit 1\"]}}"
        )
    };
    let file = "seq -w 1 1000 > /dev/termination-log";
    let containers = [
        shell("file", "File", file),
        shell("bytes", "FallbackToLogsOnError", "seq -w 1 1000 | sed 's/$/ wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww/'"),
        shell("lines", "FallbackToLogsOnError", "seq -w 1 1000"),
    ];
    let pod = |name: &str, containers: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  containers:{containers}\n"
        )
    };
    podlet.apply(&pod("three", &containers.concat()));
    let four: String = ["a", "b", "c", "d"].iter().map(|name| shell(name, "File", file)).collect();
    podlet.apply(&pod("four", &four));
    let capped = pod("capped", &shell("main", "File", "true")).replace("Never", "Always");
    let output = podlet.try_apply(&capped, &["--crash-backoff-initial=1000000000"]);
    assert!(output.status.success(), "{}", common::podlet::text(&output.stderr));

    let ended = podlet.wait("three", |pod| pod["status"]["phase"] == "Failed");
    let message = |pod: &serde_json::Value, name: &str| {
        container(pod, name)["state"]["terminated"]["message"].as_str().unwrap_or_default().to_owned()
    };
    // 5 bytes a line.
    let numbers = |from: usize| (from..=1000).map(|number| format!("{number:04}\n")).collect::<String>();
    assert_eq!(message(&ended, "file"), numbers(1)[5000 - 4096..]);
    assert_eq!(message(&ended, "lines"), numbers(1000 - 80 + 1));
    let bytes = message(&ended, "bytes");
    assert_eq!(bytes.len(), 2048);
    assert!(bytes.ends_with("1000 wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww\n"), "{bytes}");
    let ended = podlet.wait("four", |pod| pod["status"]["phase"] == "Failed");
    for name in ["a", "b", "c", "d"] {
        assert_eq!(message(&ended, name), numbers(1)[5000 - 4096..][..12 * 1024 / 4], "{name}");
    }
    let waits = |pod: &serde_json::Value| container(pod, "main")["state"]["waiting"]["reason"] == "CrashLoopBackOff";
    let pod = podlet.wait("capped", waits);
    let words = container(&pod, "main")["state"]["waiting"]["message"].as_str().unwrap().to_owned();
    assert!(words.starts_with("back-off 5m0s restarting failed container=main pod=capped_default("), "{words}");
    podlet.finish();
}

/// Rule R-8.2: however short the grace period, two seconds pass between SIGTERM and SIGKILL.
#[test]
fn the_shortest_grace_period_is_two_seconds() {
    let podlet = Podlet::new();
    podlet.apply(&manifest(&podlet, "deaf", r#""on", TERM, ignore, ",", BEAT, ",", sleep, forever"#));
    let pod = podlet.wait("deaf", |pod| container(pod, "main")["state"]["running"].is_object());
    // It beats after it has gone deaf.
    until("the first beat", || !kills::heartbeats(&podlet.root.join("data/deaf")).is_empty());
    let program = kills::program(&kills::uid(&pod), "main");
    let begun = Instant::now();
    let mut delete = podlet.command(&["delete", "pod", "deaf", "--grace-period=1"]).spawn().unwrap();
    until("its end", || kills::is_gone(program));
    // The signal came after `begun`, so that this is never shorter than the time between the signals; 30 s are the default.
    between(begun.elapsed(), 2_000, 20_000);
    assert!(delete.wait().unwrap().success());
    podlet.finish();
}
