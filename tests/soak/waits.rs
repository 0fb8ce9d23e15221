//! The numbers of the rules that take time, held against the clock by real pods, all at once: an ordinary run looks at the
//! first forty seconds, `PODLET_TEST_BUDGET=all` goes on to the largest waits, a quarter of an hour. No wait is ever shorter
//! than its number (so much is exact, whatever the machine does), nor longer than what tells it from the next number.
//!
//! Each number stands here again, as Kubernetes has it: who changes one in `src/pod/numbers.rs` is told so by a test in
//! virtual time (`src/pod/tests/mutations.rs` makes sure of that) and by the real one that [`REAL`] names.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::kills::{self, budget};
use crate::common::podlet::{Podlet, container, text, until_within};

/// Which real test holds a number. `tests/lifecycle.rs` has those that take no time.
const REAL: &[(&str, &str)] = &[
    ("backoff_initial_milliseconds", "crash: 0, 10, 20, 40 …"),
    (
        "backoff_maximum_milliseconds",
        "crash: … 160, 300, 300 (all); lifecycle: messages_and_the_largest_back_off_have_their_limits",
    ),
    ("backoff_reset_milliseconds", "crash-long and crash-short: a run of 610 s and one of 580 s (all)"),
    ("retry_milliseconds", "config and never: every 10 s"),
    ("least_grace_milliseconds", "lifecycle: the_shortest_grace_period_is_two_seconds"),
    ("storage_milliseconds", "storage: a_pod_beyond_its_limits_is_evicted"),
    ("eviction_grace_seconds", "storage: a_pod_beyond_its_limits_is_evicted"),
    // A pod that came through the API's defaults names one, and podlet knows no other way: the defaults' number is held.
    ("default_grace_seconds", "deaf: 30 s"),
    ("volume_initial_milliseconds", "volume: 0.5, 1, 2, 4 …"),
    ("volume_maximum_milliseconds", "volume: … 64, 122, 122 (all)"),
    ("first_probe_milliseconds", "probe: 1 s after the container's start"),
    ("image_initial_milliseconds", "image: 10, 20, 40 …"),
    ("image_maximum_milliseconds", "image: … 160, 300, 300 (all)"),
    ("image_reset_milliseconds", "image-late and image-early: the last failure 620 s and 570 s ago (all)"),
    ("message_file_bytes", "lifecycle: messages_and_the_largest_back_off_have_their_limits"),
    ("message_log_bytes", "lifecycle: messages_and_the_largest_back_off_have_their_limits"),
    ("message_log_lines", "lifecycle: messages_and_the_largest_back_off_have_their_limits"),
    ("message_pod_bytes", "lifecycle: messages_and_the_largest_back_off_have_their_limits"),
    ("events_similar", "similar: the tenth text is combined"),
    ("events_similar_milliseconds", "similar-long and similar-short: a pause of 610 s and one of 580 s (all)"),
    ("events_burst", "config: no more than 25 warnings before the sixth minute (all)"),
    ("events_refill_milliseconds", "config: another one after 300 s (all)"),
    // With 25 at once and one in five minutes, real time comes to 256 after nine hours.
    ("events_most", "in virtual time only"),
];

#[test]
fn each_number_is_held_in_real_time() {
    let mut numbers = serde_json::to_value(podlet::pod::numbers::Numbers::KUBERNETES).unwrap();
    let settings = serde_json::to_value(podlet::pod::machine::Settings::default()).unwrap();
    numbers.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let numbers = numbers.as_object().unwrap().iter().filter(|(_, value)| value.is_number());
    let mut names: Vec<&str> = numbers.map(|(name, _)| name.as_str()).collect();
    let mut held: Vec<&str> = REAL.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    held.sort_unstable();
    assert_eq!(held, names);
}

/// What happened when, in seconds since the test began; of events, at or after the instant itself.
type Happened = BTreeMap<(String, String), Vec<(u64, f64)>>;

/// Watches the events of all pods: of each pod and text, when its count was seen to have risen to what.
struct Recorder {
    seen: Arc<Mutex<Happened>>,
    child: std::process::Child,
}

impl Recorder {
    fn start(podlet: &Podlet, began: Instant) -> Recorder {
        let mut command = podlet.command(&["events", "-w", "-o", "json"]);
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let output = std::io::BufReader::new(child.stdout.take().unwrap());
        let seen = Arc::new(Mutex::new(Happened::new()));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for event in serde_json::Deserializer::from_reader(output).into_iter::<Value>().map_while(Result::ok) {
                let at = began.elapsed().as_secs_f64();
                let field = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let key = (field(&event["involvedObject"]["name"]), field(&event["message"]));
                shared.lock().unwrap().entry(key).or_default().push((event["count"].as_u64().unwrap_or(1), at));
            }
        });
        Recorder { seen, child }
    }

    /// The times at which the event of this pod whose text begins so was seen.
    fn times(&self, pod: &str, text: &str) -> Vec<(u64, f64)> {
        let seen = self.seen.lock().unwrap();
        let found = seen.iter().find(|((of, message), _)| of == pod && message.starts_with(text));
        found.map(|(_, times)| times.clone()).unwrap_or_default()
    }

    /// Waits until it has happened so many times; answers when each was seen, by count.
    fn wait(&self, pod: &str, text: &str, count: u64, patience: f64) -> Vec<(u64, f64)> {
        let reached = || self.times(pod, text).last().is_some_and(|(last, _)| *last >= count);
        until_within(Duration::from_secs_f64(patience) + SLOW, &format!("{pod}: {count} times {text:?}"), reached);
        self.times(pod, text)
    }

    /// The n-th time came when the waits before it were over, and before the last of them could have been over twice.
    fn assert_waits(&self, pod: &str, text: &str, applied: f64, waits: &[f64]) {
        let total: f64 = waits.iter().sum();
        let times = self.wait(pod, text, waits.len() as u64 + 1, total);
        let first = times[0].1;
        println!("{pod}: {times:.2?}");
        for (count, at) in times.into_iter().filter(|(count, _)| (2..=waits.len() as u64 + 1).contains(count)) {
            let before = &waits[..count as usize - 1];
            let (sum, last) = (before.iter().sum::<f64>(), before[before.len() - 1]);
            // It cannot have begun before it was applied, nor after it was first seen.
            assert!(
                at - applied >= sum,
                "{pod}: time {count} came {} s after it was applied, not {sum} s",
                at - applied
            );
            let late = at - first - sum;
            assert!(late < slack(last), "{pod}: time {count} came {late} s later than {sum} s after the first");
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a busy machine may take beside.
const SLOW: Duration = Duration::from_secs(180);

/// How much later than its number something may be: less than another such wait, and than what tells 300 s from 320 s, and
/// 122 s from 128 s, the next of their series.
fn slack(wait: f64) -> f64 {
    match wait {
        122.0 => 6.0,
        300.0 => 20.0,
        _ => wait.max(10.0),
    }
}

/// A container that writes down when it begins and ends; in between a script is run, in which `n` is the number of the
/// instance, from 1 on.
fn stamping(podlet: &Podlet, name: &str, script: &str) -> Value {
    let script = format!(
        "n=$(cat /data/{name}.count 2>/dev/null || echo 0); n=$((n + 1)); echo $n > /data/{name}.count; \
         read t rest < /proc/uptime; echo begin $t >> /data/{name}; {script}; \
         read t rest < /proc/uptime; echo end $t >> /data/{name}; exit 1"
    );
    let data = podlet.root.join("data");
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "hostNetwork": true, "terminationGracePeriodSeconds": 1,
            "volumes": [{"name": "data", "hostPath": {"path": data.to_str(), "type": "DirectoryOrCreate"}}],
            "containers": [{"name": "a", "image": "podlet.local/host", "command": ["sh", "-c", script],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]
        }
    })
}

/// Writes when its process was made (proc_pid_stat(5), in hundredths), and then when it is probed.
fn probed(podlet: &Podlet, name: &str) -> Value {
    let made =
        format!("set -- $(cat /proc/1/stat); echo end ${{22%??}}.${{22#${{22%??}}}} > /data/{name}; exec sleep 100000");
    let mut pod = stamping(podlet, name, "");
    let container = &mut pod["spec"]["containers"][0];
    container["command"][2] = json!(made);
    let now = format!("read up idle < /proc/uptime; echo begin $up >> /data/{name}");
    container["readinessProbe"] = json!({"exec": {"command": ["sh", "-c", now]}});
    pod
}

fn with_the_usual_grace(mut pod: Value) -> Value {
    pod["spec"].as_object_mut().unwrap().remove("terminationGracePeriodSeconds");
    pod
}

/// From each end to the next beginning, by the container's own account: not shorter than it was away.
fn pauses(data: &Path, name: &str) -> Vec<f64> {
    let text = fs::read_to_string(data.join(name)).unwrap_or_default();
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let lines: Vec<(&str, f64)> = whole
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(word, time)| (word, time.parse().unwrap()))
        .collect();
    let pairs = lines.windows(2).filter(|pair| pair[0].0 == "end");
    pairs.map(|pair| pair[1].1 - pair[0].1).collect()
}

fn assert_pauses(data: &Path, name: &str, expected: &[f64], runs: f64) {
    let patience = Duration::from_secs_f64(expected.iter().sum::<f64>() + runs) + SLOW;
    until_within(patience, &format!("{name}: {} restarts", expected.len()), || {
        pauses(data, name).len() >= expected.len()
    });
    let pauses = pauses(data, name);
    println!("{name}: {pauses:.2?}");
    for (number, (pause, wait)) in pauses.iter().zip(expected).enumerate() {
        // /proc/uptime tells hundredths.
        assert!(pause + 0.02 >= *wait, "{name}: restart {number} came after {pause} s, not {wait} s");
        assert!(pause - wait < slack(*wait), "{name}: restart {number} came after {pause} s, not {wait} s");
    }
}

fn waiting_for(name: &str, fields: Value) -> Value {
    let mut container = json!({"name": "a", "image": "podlet.local/host", "command": ["sleep", "100000"]});
    container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"hostNetwork": true, "terminationGracePeriodSeconds": 1, "containers": [container]}
    })
}

fn config_map(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"x": "1"}}).to_string()
}

const NOT_FOUND: &str = "Error: configmap \"";

/// Ten containers that each want a ConfigMap of their own: their errors are ten texts, of which the tenth is combined with
/// what may follow. Then they get them and run, the first for so long. What it wants besides is gone when it is started
/// again: an eleventh text.
fn ten_similar_and_one_later(podlet: &Podlet, recorder: &Recorder, name: &str, run: u32) {
    let map = |number: usize| format!("{name}-{number}");
    podlet.apply(&config_map(&map(10)));
    let containers: Vec<Value> = (0..10)
        .map(|number| {
            let from = [number, 10].map(|number| json!({"configMapRef": {"name": map(number)}}));
            let seconds = if number == 0 { run } else { 100_000 };
            json!({"name": format!("c{number}"), "image": "podlet.local/host",
                "command": ["sh", "-c", format!("sleep {seconds}; exit 1")],
                "envFrom": if number == 0 { &from[..] } else { &from[..1] }})
        })
        .collect();
    let mut pod = waiting_for(name, json!({}));
    pod["spec"]["containers"] = json!(containers);
    podlet.apply(&pod.to_string());
    recorder.wait(name, &format!("(combined from similar events): {NOT_FOUND}{}\" not found", map(9)), 1, 10.0);
    assert!(
        !recorder.times(name, &format!("{NOT_FOUND}{}\" not found", map(8))).is_empty(),
        "the ninth is not combined"
    );
    let maps: Vec<String> = (0..10).map(|number| config_map(&map(number))).collect();
    podlet.apply(&maps.join("\n---\n"));
    podlet.wait(name, |pod| {
        containers.iter().all(|c| container(pod, c["name"].as_str().unwrap())["state"]["running"].is_object())
    });
    podlet.succeed(&["delete", "configmap", &map(10)]);
}

/// An image that a pod finds after two failed looks, and that is gone when its container is started again after so long.
fn image_that_comes_and_goes(podlet: &Podlet, recorder: &Recorder, name: &str, run: u32) {
    let image = format!("localhost/{name}:1");
    let command = json!(["/bin/busybox", "sh", "-c", format!("sleep {run}; exit 1")]);
    let fields = json!({"image": image, "imagePullPolicy": "IfNotPresent", "command": command});
    // Only the image is waited for.
    let words = ["--crash-backoff-initial=1", "--crash-backoff-max=1"];
    let output = podlet.try_apply(&waiting_for(name, fields).to_string(), &words);
    assert!(output.status.success(), "{name}: {}", text(&output.stderr));
    recorder.wait(name, "Failed to pull image", 2, 10.0);
    let root = podlet.root.join("data/rootfs");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("the package busybox-static is installed");
    podlet.succeed(&["image", "import", root.to_str().unwrap(), &image]);
    podlet.wait(name, |pod| container(pod, "a")["state"]["running"].is_object());
    // podlet would not do it, a pod having that name in its manifest.
    fs::remove_file(podlet.root.join(format!("state/images/names/localhost/{name}/_tags/1.json"))).unwrap();
}

#[test]
fn no_wait_is_shorter_than_its_number_nor_much_longer() {
    let podlet = Podlet::new();
    let all = budget(0) == usize::MAX;
    let (began, data) = (Instant::now(), podlet.root.join("data"));
    let now = || began.elapsed().as_secs_f64();
    let recorder = Recorder::start(&podlet, began);
    let mut applied = BTreeMap::new();
    let mut apply = |name: &'static str, manifest: Value| {
        applied.insert(name, now());
        podlet.apply(&manifest.to_string());
    };
    let deaf = stamping(&podlet, "deaf", "trap '' TERM; echo deaf > /data/is-deaf; while :; do sleep 1; done");
    apply("deaf", with_the_usual_grace(deaf));
    apply("crash", stamping(&podlet, "crash", "true"));
    apply("image", waiting_for("image", json!({"image": "localhost/absent:1", "imagePullPolicy": "IfNotPresent"})));
    apply("never", waiting_for("never", json!({"image": "localhost/absent:1", "imagePullPolicy": "Never"})));
    let absent = json!({"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "x"}}}]});
    apply("config", waiting_for("config", absent));
    apply("probe", probed(&podlet, "probe"));
    let mut volume = waiting_for("volume", json!({}));
    volume["spec"]["volumes"] = json!([{"name": "v", "configMap": {"name": "absent"}}]);
    volume["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": "/v"}]);
    apply("volume", volume);
    if all {
        for (name, run) in [("crash-long", 610), ("crash-short", 580)] {
            apply(name, stamping(&podlet, name, &format!("[ $n -ne 4 ] || sleep {run}")));
        }
    }
    let since = |name: &str| applied[name];

    // 30 s for a deaf one whose manifest names no grace period.
    until_within(SLOW, "it is deaf", || data.join("is-deaf").exists());
    let uid = kills::uid(&podlet.pod("deaf"));
    let program = kills::program(&uid, "a");
    let asked = now();
    let mut delete = podlet.command(&["delete", "pod", "deaf"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let end_of_deaf = std::thread::spawn(move || {
        until_within(Duration::from_secs(30) + SLOW, "its end", || kills::is_gone(program));
        began.elapsed().as_secs_f64()
    });

    if all {
        image_that_comes_and_goes(&podlet, &recorder, "image-late", 600);
        image_that_comes_and_goes(&podlet, &recorder, "image-early", 550);
        ten_similar_and_one_later(&podlet, &recorder, "similar-long", 610);
        ten_similar_and_one_later(&podlet, &recorder, "similar-short", 580);
    } else {
        ten_similar_and_one_later(&podlet, &recorder, "similar", 100_000);
    }

    let lived = end_of_deaf.join().unwrap() - asked;
    assert!((30.0..60.0).contains(&lived), "killed {lived} s after delete");
    assert!(delete.wait().unwrap().success());

    let few = |waits: &[f64], count: usize| waits[..if all { waits.len() } else { count }].to_vec();
    recorder.assert_waits("config", NOT_FOUND, since("config"), &few(&[10.0; 12], 3));
    recorder.assert_waits("never", "Container image", since("never"), &few(&[10.0; 6], 3));
    let volumes = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 122.0, 122.0];
    recorder.assert_waits("volume", "MountVolume.SetUp failed", since("volume"), &few(&volumes, 6));
    let doubled = [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0];
    recorder.assert_waits("image", "Failed to pull image", since("image"), &few(&doubled, 2));
    assert_pauses(&data, "crash", &few(&[&[0.0][..], &doubled].concat(), 3), 0.0);
    assert_pauses(&data, "probe", &[1.0], 0.0);

    if all {
        // A run of more than ten minutes is as a first one.
        assert_pauses(&data, "crash-long", &[0.0, 10.0, 20.0, 0.0, 10.0], 610.0);
        assert_pauses(&data, "crash-short", &[0.0, 10.0, 20.0, 40.0], 580.0);
        // The third failure: more than ten minutes after the second, or less.
        for (name, wait) in [("image-late", 10.0), ("image-early", 40.0)] {
            let times = recorder.wait(name, "Failed to pull image", 4, 700.0);
            let at = |count: u64| times.iter().find(|(seen, _)| *seen == count).unwrap().1;
            let waited = at(4) - at(3);
            println!("{name}: {times:.2?}");
            // The third may have been seen late.
            assert!((wait - 5.0..2.0 * wait).contains(&waited), "{name}: {waited} s after the third failure");
        }
        let eleventh = |name: &str| format!("{NOT_FOUND}{name}-10\" not found");
        recorder.wait("similar-long", &eleventh("similar-long"), 1, 700.0);
        recorder.wait(
            "similar-short",
            &format!("(combined from similar events): {}", eleventh("similar-short")),
            1,
            700.0,
        );
        // Warnings of `config` come every ten seconds. 25 are let through, then none until one is due again, which tells how
        // many there were meanwhile.
        let times = recorder.wait("config", NOT_FOUND, 26, 310.0);
        let (after, at) = *times.iter().find(|(count, _)| *count > 25).unwrap();
        println!("config: {times:.2?}");
        assert!(times.iter().any(|(count, _)| *count == 25) && after > 26, "{times:?}");
        assert!(at - since("config") >= 300.0 && at - since("config") < 600.0, "{times:?}");
    }
    drop(recorder);
    podlet.succeed(&["delete", "configmap", "--all"]);
    podlet.finish();
}
