//! `podlet test --real`: scenario files with real processes, as a user types it. What they say of times is judged with a tolerance
//! that a busy machine keeps, too.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;
use std::process::Stdio;

use common::podlet::{Podlet, text, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use podlet::simulation::scenario::Property;
use serde_json::Value;

/// A tolerance for a machine that does other things, too.
const REAL: [&str; 5] = ["test", "--real", "--tolerance=30s", "-o", "json"];

/// A crash, a restart at once, a back-off, a probe, a supervisor that dies, a kill, a message, a delete.
const LIFE: &str = "apiVersion: podlet.dev/v1alpha1
kind: Scenario
metadata: {name: life}
spec:
  duration: 23s
  kubelet: {initialContainerRestartPeriod: 1s}
  pod:
    metadata: {name: web}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: app
        image: shop/app:1
        readinessProbe: {httpGet: {port: 80}, initialDelaySeconds: 3, periodSeconds: 1, timeoutSeconds: 20}
      - {name: deaf, image: shop/deaf:1}
  actors:
    app:
      probes: {readiness: [fail, ok]}
      instances: [{exit: 3@1s, terminationMessage: no database}, {exit: SEGV@1s}, {run: forever}]
    deaf: {ignoreSignals: [TERM]}
  faults:
  - {at: 6s, supervisorDeath: true}
  - {at: 8s, kill: deaf}
  - {at: 20s, delete: true}
  asserts:
  - {container: app, startsAt: [0s, 1s, 3s], exactly: true}
  - {cause: {container: app, instance: 1, is: Error}}
  - {by: 5s, container: app, lastExitCode: 3, lastMessage: {contains: no database}}
  - {sequence: [app.Exited(code 3), app.Exited(signal 11), app.ProbeFailed, app.Ready]}
  - {sequence: [SupervisorDied, deaf.Exited(signal 9), DeleteRequested, deaf.Signalled, deaf.Killed, pod.Removed]}
  - {never: {container: app, restarts: {gt: 2}}}
  - {eventually: {deleted: true}, from: 20s, within: 2s}
";

const SHORT: &str = "apiVersion: podlet.dev/v1alpha1
kind: Scenario
metadata: {name: short}
spec:
  duration: 1s
  pod: {metadata: {name: web}, spec: {restartPolicy: Never, containers: [{name: app, image: x}]}}
  actors: {app: {exit: 4, startDelay: 20ms}}
  asserts:
  - {at: 1s, phase: Failed}
  - {at: 1s, container: app, exitCode: 5}
";

/// All that holds of every pod, asserted of this scenario, too.
fn with_properties(scenario: &str) -> String {
    let all = Property::ALL.iter().map(|(property, _)| format!("  - {{property: {}}}\n", property.word()));
    all.fold(scenario.to_owned(), |text, line| text + &line)
}

fn file(podlet: &Podlet, name: &str, text: &str) -> String {
    let path = podlet.root.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Where the directories of a real run would be.
fn places(podlet: &Podlet) -> Vec<PathBuf> {
    std::fs::read_dir(podlet.root.join("run")).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[test]
fn a_life_goes_with_real_processes_as_in_virtual_time() {
    let podlet = Podlet::new();
    let life = file(&podlet, "life.yaml", &with_properties(LIFE));
    podlet.succeed(&["test", &life]);
    let output = podlet.run(&[&REAL[..], &[&life]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report:#}{}", text(&output.stderr));
    let scenario = &report["scenarios"][0];
    assert_eq!((&scenario["real"], &scenario["toleranceSeconds"]), (&Value::from(true), &Value::from(30.0)));
    assert_eq!(scenario["notes"], serde_json::json!([]));
    assert_eq!(places(&podlet), Vec::<PathBuf>::new());
    podlet.finish();
}

/// A restart that is asked for, a re-apply, who looks on, memory that runs out, and a volume that is filled.
const DEEDS: &str = "apiVersion: podlet.dev/v1alpha1
kind: Scenario
metadata: {name: deeds}
spec:
  duration: 55s
  pod:
    metadata: {name: web}
    spec:
      terminationGracePeriodSeconds: 2
      volumes: [{name: v, emptyDir: {sizeLimit: 1Mi}}]
      containers:
      - {name: app, image: shop/app:1}
      - {name: greedy, image: shop/greedy:1}
      - {name: full, image: shop/full:1, resources: {limits: {memory: 96Mi}}}
  actors:
    greedy: {instances: [{oom: {after: 1s}}, {run: forever}]}
  faults:
  - {at: 3s, restart: app}
  - {at: 6s, debug: {lasts: 2s}}
  - {at: 9s, apply: {spec: {containers: [{name: app, image: 'shop/app:2'}]}}}
  - {at: 15s, resizeError: true}
  - at: 15s
    apply: {spec: {containers: [{name: full, resources: {limits: {memory: 64Mi}, requests: {memory: 64Mi}}}]}}
  - {at: 40s, storage: {volume: v, used: 3Mi}}
  asserts:
  - {cause: {container: greedy, instance: 1, is: OOMKilled}}
  - {sequence: [app.Started, app.RestartRequested, app.Exited, app.Started]}
  - {sequence: [debugger.Started, 'debugger.Exited(code 0)']}
  - {sequence: [pod.SpecChanged, app.Exited, app.Started, pod.Evicted, app.Exited]}
  - {sequence: [ResizeStarted, ResizeError, ResizeCompleted, pod.Evicted]}
  - {never: {container: full, restarts: {gt: 0}}}
  - {at: 55s, phase: Failed}
  - {at: 55s, container: app, restarts: 2}
";

#[test]
fn what_users_do_and_what_runs_out_is_real() {
    plays_the_same(DEEDS);
}

#[test]
fn a_failure_is_1_and_told_as_in_virtual_time() {
    let podlet = Podlet::new();
    let short = file(&podlet, "short.yaml", SHORT);
    let output = podlet.run(&["test", "--real", "--tolerance=10s", &short]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    for told in [
        "✗ short 2 assertions, 11s with real processes, up to 10s late".to_owned(),
        format!("{short}:10:5: spec.asserts[1]"),
        "app        Exited code 4".to_owned(),
        "1 scenario, 2 assertions: 1 failed; ".to_owned(),
    ] {
        assert!(text(&output.stdout).contains(&told), "{told}\n{}", text(&output.stdout));
    }
    podlet.finish();
}

#[test]
fn what_cannot_be_done_is_3_and_told_with_its_place_before_anything_starts() {
    let podlet = Podlet::new();
    let faults = "  faults:\n  - {at: 1s, clock: 1h}\n  - {at: 1s, node: {cpu: 4}}\n  asserts:";
    let unreal = file(&podlet, "unreal.yaml", &SHORT.replace("  asserts:", faults).replace("1s\n", "3m\n"));
    let short = file(&podlet, "short.yaml", SHORT);
    let output = podlet.run(&["test", "--real", &short, &unreal]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stdout));
    assert_eq!(text(&output.stdout), "");
    for told in [
        format!("{unreal}:5:3: spec.duration: lasts 3m0s, and real time is waited for 2m0s at most"),
        format!("{unreal}:9:14: spec.faults[0].clock: the wall clock is the whole machine's: Linux gives no pod one"),
        format!("{unreal}:10:14: spec.faults[1].node: a real machine has what it has"),
    ] {
        assert!(text(&output.stderr).contains(&told), "{told}\n{}", text(&output.stderr));
    }
    podlet.finish();
}

#[test]
fn interrupted_it_leaves_nothing() {
    let podlet = Podlet::new();
    let long = file(&podlet, "long.yaml", &SHORT.replace("1s\n", "1m\n").replace("{exit: 4, startDelay: 20ms}", "{}"));
    let child =
        podlet.command(&["test", "--real", &long]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the run's journal", || places(&podlet).iter().any(|place| place.join("journal/0/admitted.json").exists()));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert_eq!(places(&podlet), Vec::<PathBuf>::new());
    podlet.finish();
}

/// What is not there when it is wanted, and comes or does not: a program, a ConfigMap, images; and what is taken from what runs:
/// its supervisor for some time, its memory, its volumes' directory, its disk.
const MISSING: &str = "apiVersion: podlet.dev/v1alpha1
kind: Scenario
metadata: {name: missing}
spec:
  duration: 38s
  pod:
    metadata: {name: web}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - {name: program, image: x}
      - {name: config, image: x}
      - {name: image, image: z}
      - {name: never, image: w}
      - {name: app, image: x}
      - {name: greedy, image: x}
      - {name: writer, image: x, resources: {limits: {ephemeral-storage: 1Mi}}}
  actors:
    program: {instances: [{startError: RunContainerError, times: 2}, {run: forever}]}
    config: {instances: [{startError: CreateContainerConfigError}, {run: forever}]}
    image: {instances: [{imageError: ErrImagePull}, {run: forever}]}
    never: {imageError: ErrImageNeverPull}
  faults:
  - {at: 13s, supervisorDeath: {downFor: 3s}}
  - {at: 14s, exit: {container: app, code: 3}}
  - {at: 18s, oom: greedy}
  - {at: 20s, volumeError: {times: 2}}
  - {at: 21s, sandboxLoss: true}
  - {at: 26s, storage: {container: writer, used: 3Mi}}
  asserts:
  - {sequence: [program.StartFailed, program.StartFailed, program.Started]}
  - {sequence: [config.StartFailed, config.Started]}
  - {sequence: [image.ImageFailed, image.Started]}
  - {eventually: {container: config, reason: CreateContainerConfigError}, within: 10s}
  - {eventually: {container: image, reason: ErrImagePull}, within: 10s}
  - {eventually: {container: never, reason: ErrImageNeverPull}, within: 10s}
  - {eventually: {container: program, lastReason: StartError}, within: 13s}
  - {sequence: [SupervisorDied, 'app.Exited(code 3)', app.Started]}
  - {cause: {container: greedy, instance: 1, is: OOMKilled}}
  - {sequence: [pod.SandboxExited, pod.MountFailed, pod.MountFailed, pod.SandboxStarted]}
  - {sequence: [pod.StorageMeasured, pod.Evicted, writer.Exited]}
  - {at: 38s, phase: Failed}
";

#[test]
fn what_is_missing_or_taken_away_is_so_for_real() {
    plays_the_same(MISSING);
}

/// Starts that fail and do not, in turn: of each reason that there is.
const LATER: &str = "apiVersion: podlet.dev/v1alpha1
kind: Scenario
metadata: {name: later}
spec:
  duration: 26s
  kubelet: {initialContainerRestartPeriod: 5s}
  pod:
    metadata: {name: web}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - {name: program, image: x}
      - {name: config, image: x}
      - {name: create, image: x}
      - {name: pull, image: x}
      - {name: damaged, image: x}
      - {name: invalid, image: x}
  actors:
    program: {instances: [{exit: 1@1s}, {startError: RunContainerError}, {run: forever}]}
    config: {instances: [{exit: 0@1s}, {startError: CreateContainerConfigError}, {run: forever}]}
    create: {instances: [{startError: CreateContainerError}, {exit: 2}, {startError: CreateContainerError}, {run: forever}]}
    pull: {instances: [{exit: 3@1s}, {imageError: ErrImagePull}, {run: forever}]}
    damaged: {instances: [{exit: 3@1s}, {imageError: ImageInspectError}, {run: forever}]}
    invalid: {imageError: InvalidImageName}
  asserts:
  - {sequence: [program.Exited(code 1), program.StartFailed(RunContainerError), program.Started]}
  - {sequence: [config.Exited(code 0), config.StartFailed(CreateContainerConfigError), config.Started]}
  - sequence: [create.StartFailed(CreateContainerError), create.Started, create.Exited(code 2),
      create.StartFailed(CreateContainerError), create.Started]
  - {sequence: [pull.Exited(code 3), pull.ImageFailed(ErrImagePull), pull.Started]}
  - {sequence: [damaged.Exited(code 3), damaged.ImageFailed(ImageInspectError), damaged.Started]}
  - {at: 26s, container: invalid, reason: InvalidImageName}
  - {eventually: {container: program, lastReason: StartError}, within: 10s}
  - {count: {of: program.Started, is: 2}}
  - {count: {of: config.Started, is: 2}}
  - {count: {of: create.Started, is: 2}}
  - {count: {of: pull.Started, is: 2}}
  - {count: {of: damaged.Started, is: 2}}
";

#[test]
fn a_later_start_fails_for_real_too() {
    plays_the_same(LATER);
}

/// All of podlet's own die with a container, so that its end is not known; the machine is started anew, and the first sandbox
/// after that cannot be made.
const CRASHES: &str = "apiVersion: podlet.dev/v1alpha1
kind: Scenario
metadata: {name: crashes}
spec:
  duration: 28s
  pod:
    metadata: {name: web}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - {name: app, image: x}
      - {name: other, image: x}
  actors:
    app: {instances: [{exit: 1@1s}, {run: forever}]}
  faults:
  - {at: 8s, lost: app}
  - {at: 15s, sandboxError: true}
  - {at: 16s, reboot: true}
  asserts:
  - {sequence: [app.Started, app.Exited(code 1), app.Started, app.Lost, pod.Rebooted, app.Started]}
  - {eventually: {container: app, lastReason: ContainerStatusUnknown, lastExitCode: 137}, from: 7s, within: 8s}
  - {always: {container: other, restarts: 0}, to: 15s}
  - {sequence: [pod.Rebooted, pod.SandboxFailed, pod.SandboxStarted, other.Started]}
  - {at: 28s, container: app, state: Running, restarts: 2}
  - {at: 28s, container: other, state: Running, restarts: 1}
";

#[test]
fn a_crash_of_all_and_a_reboot_are_real() {
    plays_the_same(CRASHES);
}

/// What is asserted holds in virtual time and with real processes, nothing was left undone, and nothing stays.
fn plays_the_same(scenario: &str) {
    let podlet = Podlet::new();
    let scenario = &*file(&podlet, "scenario.yaml", &with_properties(scenario));
    podlet.succeed(&["test", scenario]);
    let output = podlet.run(&[&REAL[..], &[scenario]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{report:#}{}", text(&output.stderr));
    assert_eq!(report["scenarios"][0]["notes"], serde_json::json!([]));
    assert_eq!(places(&podlet), Vec::<PathBuf>::new());
    podlet.finish();
}
