//! The supervisor is killed at random moments while a container crashes again and again and all three of the pod write to their
//! logs; what is seen afterwards is what is seen of a pod that nobody disturbed.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::kills::{self, Part};
use crate::common::podlet::{Podlet, container, text, until};

/// So often `crash` is started; the last time it goes on.
const RUNS: usize = 5;
/// Who is to be killed must be there.
const WORDS: [&str; 3] = ["--crash-backoff-initial=3000", "--crash-backoff-max=3000", "--sleep-after=never"];
const LINES: usize = 4000;
const LOUD_LINES: usize = 40_000;
const PODS: usize = 4;
/// Of each pod's supervisor: one that keeps ending is started ever later.
const KILLS: usize = 5;

fn manifest(podlet: &Podlet, name: &str) -> String {
    let count = format!("/data/{name}.count");
    let script = format!(
        "n=$(cat {count} 2>/dev/null || echo 0); n=$((n + 1)); echo $n > {count}; echo instance $n; sleep 0.1; \
         [ $n -ge {RUNS} ] || exit 3; exec sleep 100000"
    );
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: crash
    image: podlet.local/host
    command: [sh, -c, "{script}"]
    volumeMounts: [{{name: data, mountPath: /data}}]
  - name: steady
    image: podlet.local/actor
    args: [heartbeat, /data/{name}.steady, every=20ms, ",", log, "{LINES}", rate=500/s, size=64]
    volumeMounts: [{{name: data, mountPath: /data}}]
  - name: loud
    image: podlet.local/actor
    args: [heartbeat, /data/{name}.loud, every=20ms, ",", log, "{LOUD_LINES}", rate=5000/s, size=200, stream=stderr]
    volumeMounts: [{{name: data, mountPath: /data}}]
  volumes:
  - name: data
    hostPath: {{path: {data}, type: DirectoryOrCreate}}
"#,
        data = podlet.root.join("data").display()
    )
}

fn apply(podlet: &Podlet, name: &str) -> String {
    let output = podlet.try_apply(&manifest(podlet, name), &WORDS);
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    kills::uid(&podlet.pod(name))
}

/// All that a user sees once `crash` goes on.
fn seen(podlet: &Podlet, name: &str) -> Value {
    let runs_on = |pod: &Value| {
        let crash = container(pod, "crash");
        crash["state"]["running"].is_object() && crash["restartCount"] == RUNS - 1
    };
    let pod = podlet.wait(name, runs_on);
    let uid = kills::uid(&pod);
    let logged = |container: &str, lines: usize, size: usize| {
        let file = kills::log_file(podlet, name, &uid, container, 0);
        until("all lines", || kills::written(&file).lines().count() >= lines);
        kills::numbered(&kills::written(&file), size)
    };
    let lines = [logged("steady", LINES, 64), logged("loud", LOUD_LINES, 200)];
    let last = kills::log_file(podlet, name, &uid, "crash", RUNS as u64 - 1);
    until("the last instance's line", || !kills::written(&last).is_empty());
    let logs: Vec<String> = (0..RUNS as u64)
        .map(|attempt| kills::log_file(podlet, name, &uid, "crash", attempt))
        .map(|file| if file.exists() { kills::written(&file) } else { "-".to_owned() })
        .collect();
    let data = podlet.root.join("data");
    let instances = ["steady", "loud"].map(|container| {
        let beats = kills::heartbeats(&data.join(format!("{name}.{container}")));
        beats.iter().for_each(|beats| kills::assert_no_gap(beats, name));
        beats.len()
    });
    // What came due while no supervisor looked (one that keeps ending is started ever later) is done at once, without the
    // event BackOff; the sweep has a back-off that outlasts everything.
    let events: Vec<String> =
        kills::events(podlet, &pod).into_iter().filter(|event| !event.starts_with("Warning BackOff ")).collect();
    json!({"status": kills::comparable(&pod), "events": events, "crash": logs,
        "lines": lines, "instances": instances,
        "count": std::fs::read_to_string(data.join(format!("{name}.count"))).unwrap()})
}

#[test]
fn random_kills_during_a_crash_loop_change_nothing() {
    let podlet = Podlet::new();
    let rounds = if kills::budget(1) == usize::MAX { 10 } else { 1 };
    let seed = kills::seed();
    println!("{rounds} rounds of {} kills, seed {seed}", PODS * KILLS);
    let mut random = kills::Random::new(seed);
    for round in 0..rounds {
        let calm = format!("calm-{round}");
        apply(&podlet, &calm);
        let names: Vec<String> = (0..PODS).map(|number| format!("storm-{round}-{number}")).collect();
        let uids: Vec<String> = names.iter().map(|name| apply(&podlet, name)).collect();
        for uid in uids.iter().cycle().take(PODS * KILLS) {
            let pid = Part::Supervisor.wait(uid);
            std::thread::sleep(Duration::from_millis(random.below(400)));
            kills::send(pid, Signal::SIGKILL);
            until("the end of the supervisor", || Part::Supervisor.pid(uid) != Some(pid));
        }
        let expected = seen(&podlet, &calm);
        assert_eq!(expected["instances"], json!([1, 1]));
        for name in &names {
            kills::assert_same(&seen(&podlet, name), &expected, name);
        }
        podlet.succeed(&["delete", "pod", "--all", "--now"]);
    }
    podlet.finish();
}
