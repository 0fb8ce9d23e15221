//! The format, its schema, and what assertions find.
#![allow(clippy::unwrap_used)]

use serde_json::{Value as Json, json};

use super::format::Scenario;
use super::*;
use crate::manifest::Source;

mod schema;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - {name: app, image: 'localhost/app:1'}
";

const TWO: &str = "
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  volumes: [{name: v, emptyDir: {sizeLimit: 1Mi}}]
  containers:
  - name: app
    image: localhost/app:1
    resources: {limits: {memory: 32Mi}}
    livenessProbe: {exec: {command: [check]}, periodSeconds: 1}
    readinessProbe: {httpGet: {port: 80}, periodSeconds: 1}
    lifecycle: {postStart: {exec: {command: [hello]}}}
  - {name: proxy, image: localhost/proxy:1}
";

fn read_text(spec: &str, pod: &str) -> Result<Vec<Case>, Vec<String>> {
    let text = format!("apiVersion: podlet.dev/v1alpha1\nkind: Scenario\nspec:\n{spec}\n---{pod}");
    let source = Source { name: "t.yaml".to_owned(), bytes: text.into_bytes() };
    match read(&[source], &Options::default()) {
        Ok(read) => Ok(read.cases),
        Err(diagnostics) => Err(diagnostics
            .iter()
            .map(|found| format!("{}:{}: {}: {}", found.line, found.column, found.path, found.text))
            .collect()),
    }
}

/// What became of the single assertion of a scenario whose `app` behaves so.
fn judge_one(actor: &str, faults: &str, assert: &str, pod: &str) -> Result<(), String> {
    let spec = format!("  actors: {{app: {actor}}}\n  faults: {faults}\n  asserts:\n  - {assert}");
    let cases = read_text(&spec, pod).unwrap_or_else(|errors| panic!("{assert}: {errors:?}"));
    let outcome = cases[0].run();
    let judged = &outcome.judged[0];
    match judged.verdict.passed {
        true => Ok(()),
        false => Err(format!("{}: {}", Span(judged.verdict.at), judged.verdict.found)),
    }
}

/// Each kind of assertion as it passes, and as it fails with what it says then. The container crashes after 2 s, is started
/// at once, is killed for memory 5 s later, waits 10 s from 7 s on, and then runs.
#[test]
fn every_assertion_passes_when_it_holds_and_says_what_is_so_when_it_does_not() {
    let actor = "{instances: [{exit: 1@2s}, {oom: {after: 5s}}, {run: forever}]}";
    let mut wrong = Vec::new();
    for (holds, fails, found) in [
        ("{at: 1s, state: Running}", "{at: 8s, state: Running}", "8s: app is Waiting (CrashLoopBackOff)"),
        (
            "{at: 8s, reason: CrashLoopBackOff, backoff: 10s}",
            "{at: 8s, reason: Error, backoff: 10s}",
            "8s: app is Waiting (CrashLoopBackOff), reason \"CrashLoopBackOff\"",
        ),
        (
            "{at: 8s, phase: Running, reason: ''}",
            "{at: 8s, phase: Running, reason: CrashLoopBackOff}",
            "8s: phase Running, STATUS CrashLoopBackOff; the pod has no reason, and `container: NAME` asks for a container's",
        ),
        (
            "{at: 8s, backoff: {ge: 10s, lt: 11s}}",
            "{at: 8s, backoff: 20s}",
            "8s: app is Waiting (CrashLoopBackOff), backoff 10s",
        ),
        (
            "{at: 8s, lastReason: OOMKilled, lastExitCode: 137}",
            "{at: 8s, lastExitCode: 1}",
            "8s: app is Waiting (CrashLoopBackOff), lastExitCode 137",
        ),
        (
            "{at: [1s, 3s], ready: true}",
            "{at: [1s, 8s], ready: true}",
            "8s: phase Running, STATUS CrashLoopBackOff, Ready is False",
        ),
        ("{at: 18s, restarts: 2}", "{at: 18s, restarts: {gt: 2}}", "18s: 2 restarts"),
        (
            "{at: 8s, container: app, message: {contains: back-off 10s}}",
            "{at: 8s, container: app, message: {matches: '^5'}}",
            "8s: app is Waiting (CrashLoopBackOff), message \"back-off 10s restarting failed container=app pod=web_default(00000000-0000-4000-8000-000000000001)\"",
        ),
        (
            "{by: 7s, phase: Running}",
            "{by: 7s, phase: Failed}",
            "7s: never so; at last phase Running, STATUS CrashLoopBackOff",
        ),
        ("{by: 17s, restarts: 2}", "{by: 16s, restarts: 2}", "16s: never so; at last 1 restarts"),
        ("{always: {restarts: {le: 2}}}", "{always: {restarts: {le: 1}}}", "17s: 2 restarts"),
        (
            "{always: {restarts: {le: 1}}, to: 16s}",
            "{always: {ready: true}, from: 1s, to: 6s}",
            "2s: phase Running, STATUS Error, Ready is False",
        ),
        (
            "{always: 'containers.app.backoff <= 300s'}",
            "{always: containers.app.backoff < 10s}",
            "7s: containers.app.backoff < 10s is false",
        ),
        (
            "{always: {ready: false, while: {state: Waiting}}}",
            "{always: {restarts: 0, while: {state: Waiting}}}",
            "7s: 1 restarts",
        ),
        ("{never: {phase: Failed}}", "{never: {status: CrashLoopBackOff}}", "7s: it is so"),
        (
            "{never: {restarts: {gt: 2}}}",
            "{never: pod.status.nosuch == 1}",
            "30m0s: it could not be found out at any moment: pod.status.nosuch == 1: No such key: nosuch",
        ),
        (
            "{eventually: {restarts: 2}, within: 17s}",
            "{eventually: {restarts: 2}, within: 16s}",
            "16s: never so; at last 1 restarts",
        ),
        (
            "{eventually: {ready: true}, from: 8s, within: 9s}",
            "{eventually: {ready: true}, from: 8s, within: 8s}",
            "16s: never so; at last phase Running, STATUS CrashLoopBackOff, Ready is False",
        ),
        (
            "{after: app.Exited, eventually: {state: Running}, within: 10s}",
            "{after: app.Exited, eventually: {state: Running}, within: 9s}",
            "16s: not so within that time; app is Waiting (CrashLoopBackOff)",
        ),
        (
            "{after: 'app.Exited(1)', eventually: {state: Running}, within: 0s}",
            "{after: app.Killing, eventually: {state: Running}}",
            "30m0s: app.Killing never happened",
        ),
        (
            "{sequence: [app.Started, 'app.Exited(code 1)', app.Started, 'app.Exited(oomkilled)', app.BackOff]}",
            "{sequence: [app.Started, 'app.Exited(0)']}",
            "30m0s: app.Exited(0) did not come after app.Started(instance 1) at 0s",
        ),
        (
            "{sequence: [app.Started, app.Exited], strict: true}",
            "{sequence: [app.Started, 'app.Exited(137)'], strict: true}",
            "2s: app.Exited(code 1) where app.Exited(137) was to come, after app.Started(instance 1) at 0s",
        ),
        (
            "{startsAt: [0s, 2s, 17s]}",
            "{startsAt: [0s, 2s, 16s]}",
            "17s: number 3 at 17s, not 16s: app.Started at 0s, 2s, 17s",
        ),
        (
            "{startsAt: [0s, 3s], within: 1s}",
            "{startsAt: [0s, 2s], exactly: true}",
            "17s: one more at 17s: app.Started at 0s, 2s, 17s",
        ),
        (
            "{startsAt: [0s, 2s, 17s], exactly: true}",
            "{startsAt: [0s, 2s, 17s, 20s]}",
            "20s: no number 4 (at 20s): app.Started at 0s, 2s, 17s",
        ),
        (
            "{count: {of: app.Exited, is: 2}}",
            "{count: {of: app.Exited, is: {ge: 3}}}",
            "7s: 2 times, not at least 3: app.Exited at 2s, 7s",
        ),
        (
            "{count: {of: app.Exited, at: [2s, 7s]}}",
            "{count: {of: app.Exited, at: [2s, 6s]}}",
            "7s: number 2 at 7s, not 6s: app.Exited at 2s, 7s",
        ),
        (
            "{count: {of: app.Exited, is: 1}, to: 5s}",
            "{count: {of: app.Killing, is: 1}}",
            "30m0s: 0 times, not 1: app.Killing at no time",
        ),
        (
            "{cause: {instance: 2, is: OOMKilled}}",
            "{cause: {instance: 1, is: OOMKilled}}",
            "2s: app instance 1 ended: code 1, 1, Error",
        ),
        (
            "{cause: {instance: 3, startedBy: R-4.4-c}}",
            "{cause: {instance: 2, startedBy: R-4.4-c}}",
            "2s: app instance 2 was started by R-4.4-a",
        ),
        ("{cause: {is: '1'}}", "{cause: {instance: 3, is: Error}}", "30m0s: app instance 3 has not ended"),
        ("{cause: {is: Error}}", "{cause: {instance: 9, is: Error}}", "30m0s: app has no instance 9"),
        ("{rule: R-4.4-b}", "{rule: R-4.4-d}", "30m0s: it decided 0 times, not at least 1"),
        ("{rule: {name: R-4.4-d, is: 0}}", "{rule: {name: R-4.2-c, is: 1}}", "30m0s: it decided 2 times, not 1"),
        (
            "{at: 15s, get: NAME READY STATUS RESTARTS, equals: web 0/1 CrashLoopBackOff 1 (8s ago)}",
            "{at: 15s, get: ready status, equals: 1/1 Running}",
            "15s: get shows \"0/1 CrashLoopBackOff\"",
        ),
        (
            "{at: 15s, event: {reason: BackOff, type: Warning, count: 1}}",
            "{at: 15s, event: {reason: Killing}}",
            "15s: there were 0 such events",
        ),
        (
            "{at: 15s, conditions: {Ready: False/ContainersNotReady, Initialized: true}}",
            "{at: 15s, conditions: {Ready: 'True'}}",
            "15s: condition Ready is False/ContainersNotReady",
        ),
        (
            "{at: 15s, not: {ready: true}, any: [{phase: Failed}, {state: Waiting}]}",
            "{at: 15s, any: [{phase: Failed}, {state: Running}]}",
            "15s: phase Running, STATUS CrashLoopBackOff; app is Waiting (CrashLoopBackOff)",
        ),
        (
            "{at: 15s, cel: \"status.containerStatuses[0].restartCount == 1 && conditions.Ready == 'False' && time == 15s\"}",
            "{at: 15s, expression: \"size(pod.spec.containers)\"}",
            "15s: size(pod.spec.containers): it gives 1, not true or false",
        ),
        ("{at: 15s, deleted: false, terminating: false}", "{at: 15s, deleted: true}", "15s: the pod is still there"),
        (
            "{property: back-off-kept}",
            "{property: ready-again, within: 5s}",
            "12s: the pod is not Ready 5s after the last fault, at 7s",
        ),
    ] {
        let (good, bad) = (judge_one(actor, "[]", holds, POD), judge_one(actor, "[]", fails, POD));
        if good != Ok(()) || bad != Err(found.to_owned()) {
            wrong.push(format!("{holds}: {good:?}\n{fails}: {bad:?}\n  and not {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fault_does_what_it_says() {
    let forever = "{run: forever}";
    let mut wrong = Vec::new();
    for (actor, faults, assert) in [
        (forever, "[{at: 1m, kill: app}]", "{cause: {container: app, is: SIGKILL}}"),
        (forever, "[{at: 1m, kill: {container: app, signal: SEGV}}]", "{cause: {container: app, is: '139'}}"),
        (
            forever,
            "[{at: [1m, 2m], exit: {container: app, code: 3}}]",
            "{count: {of: 'app.Exited(code 3)', at: [1m, 2m]}}",
        ),
        (forever, "[{at: 1m, oom: {container: app}}]", "{cause: {container: app, is: OOMKilled}}"),
        (forever, "[{at: 1m, lost: app}]", "{cause: {container: app, is: ContainerStatusUnknown}}"),
        (
            "{onSignal: {TERM: {after: 30s, exit: 0}}}",
            "[{at: 1m, sandboxLoss: true}, {at: 1m, delete: {gracePeriodSeconds: 1}}]",
            "{property: ends-in-time}",
        ),
        // It is just being started, and nothing that could be lost yet.
        ("{startDelay: 1s}", "[{at: 1s, lost: app}]", "{property: policy-kept}"),
        (
            forever,
            "[{at: 1m, sandboxLoss: true}]",
            "{sequence: [pod.SandboxExited, app.Signalled, pod.SandboxStarted, app.Started]}",
        ),
        (forever, "[{at: 1m, reboot: true}]", "{sequence: [pod.Rebooted, pod.SandboxStarted, app.Started]}"),
        (forever, "[{at: 1m, stop: true}]", "{sequence: [pod.StopRequested, app.Exited, pod.TornDown]}"),
        (forever, "[{at: 1m, delete: {gracePeriodSeconds: 3}}]", "{eventually: {deleted: true}, within: 63s}"),
        (
            forever,
            "[{every: 10s, from: 1m, to: 90s, kill: app}]",
            "{count: {of: 'app.Exited(signal 9)', at: [60s, 70s]}}",
        ),
        (
            "{exit: 1}",
            "[{at: 5s, startError: {container: app, reason: CreateContainerConfigError, times: 2}}]",
            "{count: {of: 'app.StartFailed(CreateContainerConfigError)', at: [10s, 20s]}}",
        ),
        (
            "{exit: 1}",
            "[{at: 5s, imageError: {container: app, reason: ErrImagePull}}]",
            "{count: {of: 'app.ImageFailed(ErrImagePull)', at: [10s]}}",
        ),
        (
            forever,
            "[{at: 0s, sandboxError: {times: 2}}, {at: 1m, sandboxLoss: true}]",
            "{count: {of: pod.SandboxFailed, at: [0s, 10s]}}",
        ),
        (
            forever,
            "[{at: 30s, sandboxError: {times: 2}}, {at: 1m, sandboxLoss: true}]",
            "{count: {of: pod.SandboxFailed, at: [1m, 1m10s]}}",
        ),
        (
            forever,
            "[{at: 0s, volumeError: {times: 2}}]",
            "{sequence: [pod.MountFailed, pod.MountFailed, pod.SandboxStarted, app.Started]}",
        ),
        (
            forever,
            "[{at: 0s, startError: {container: app, reason: CreateContainerConfigError}}]",
            "{container: app, startsAt: [10s]}",
        ),
        (
            forever,
            "[{at: 30s, volumeError: {times: 3}}, {at: 1m, sandboxLoss: true}]",
            "{count: {of: pod.MountFailed, is: 3}}",
        ),
        (
            "{exit: 1}",
            "[{at: 15s, clock: 1h}, {at: 40s, clock: -2h}]",
            "{container: app, startsAt: [0s, 0s, 10s, 30s, 70s]}",
        ),
        (
            "{exit: 1}",
            "[{at: [5s, 15s, 100s], supervisorDeath: {downFor: 1s}}]",
            "{container: app, startsAt: [0s, 0s, 10s, 30s, 70s, 150s]}",
        ),
        (
            forever,
            "[{at: 1m, apply: {spec: {containers: [{name: app, image: 'localhost/app:2'}]}}}]",
            "{cause: {container: app, stoppedBy: R-4.3-a}}",
        ),
        (
            forever,
            "[{at: 2m, apply: {spec: {activeDeadlineSeconds: 500}}},
              {at: 1m, apply: {spec: {containers: [{name: app, image: 'localhost/app:2'}]}}}]",
            "{at: 3m, expression: \"spec.containers[0].image == 'localhost/app:2' && spec.activeDeadlineSeconds == 500\"}",
        ),
        (
            "{imageError: ErrImageNeverPull}",
            "[{at: 1m, delete: true}]",
            "{eventually: {phase: Failed, container: app, reason: ContainerStatusUnknown, exitCode: 137}}",
        ),
        (
            forever,
            "[{at: 1m, apply: {spec: {containers: [{name: app, resources: {limits: {memory: 64Mi}}}]}}}]",
            "{count: {of: pod.ResizeCompleted, at: [1m]}}",
        ),
        // Another one changes what the one before it has made.
        (
            forever,
            "[{at: 2m, apply: {spec: {containers: [{name: app, resources: {limits: {memory: 64Mi}}}]}}},
              {at: 1m, apply: {spec: {containers: [{name: app, image: 'localhost/app:2'}]}}}]",
            "{at: 3m, expression: \"spec.containers.exists(c, c.image == 'localhost/app:2' && c.resources.limits.memory == '64Mi')\"}",
        ),
        (
            forever,
            "[{at: 1m, resizeError: {message: full, times: 2}},
              {at: 1m, apply: {spec: {containers: [{name: app, resources: {limits: {memory: 64Mi}}}]}}}]",
            "{count: {of: pod.ResizeCompleted, at: [80s]}}",
        ),
        (
            forever,
            "[{at: 30s, node: {cpu: 4, memory: 64Mi, memoryUsed: 40Mi}}, {at: 2m, node: {memory: 64Mi}},
              {at: 1m, apply: {spec: {containers: [{name: app, resources: {requests: {memory: 32Mi}}}]}}},
              {at: 1m, apply: {spec: {containers: [{name: app, resources: {limits: {memory: 64Mi}, requests: {memory: 48Mi}}}]}}}]",
            "{sequence: [pod.RoomMeasured, pod.ResizeDeferred, pod.RoomMeasured, pod.ResizeStarted, pod.ResizeCompleted]}",
        ),
        (
            forever,
            "[{at: 30s, node: {cpu: 4, memory: 64Mi, memoryUsed: 40Mi}}, {at: 2m, node: {memory: 64Mi}},
              {at: 1m, apply: {spec: {containers: [{name: app, resources: {limits: {memory: 64Mi}, requests: {memory: 48Mi}}}]}}}]",
            "{count: {of: pod.ResizeCompleted, at: [130s]}}",
        ),
        (
            forever,
            "[{at: 30s, node: {memory: 48Mi, memoryUsed: 1}}, {at: 2m, node: {memory: 48Mi, atOnce: true}},
              {at: 1m, apply: {spec: {containers: [{name: app, resources: {limits: {memory: 64Mi}, requests: {memory: 48Mi}}}]}}}]",
            "{count: {of: pod.ResizeCompleted, at: [2m]}}",
        ),
        (forever, "[{at: 30s, debug: {name: eye}}, {at: 1m, restart: true}]", "{property: restart-count-kept}"),
        (forever, "[{at: 1m, restart: app}]", "{sequence: [app.RestartRequested, app.Exited, app.Started]}"),
        (
            forever,
            "[{at: 1m, restart: true}]",
            "{sequence: [pod.RestartRequested, app.Exited, app.Started, proxy.Started]}",
        ),
        (forever, "[{at: 1m, debug: {lasts: 5s}}]", "{count: {of: debugger.Exited, at: [65s]}}"),
        (
            "{exit: 1}",
            "[{at: 15s, debug: {name: eye, holds: app, lasts: 1m}}]",
            "{sequence: [eye.Started, eye.Exited, app.Started]}",
        ),
        (forever, "[{at: 61s, storage: {volume: v, used: 3Mi}}]", "{count: {of: pod.Evicted, at: [70s]}}"),
        (
            forever,
            "[{at: 61s, storage: {volume: v, used: 3Mi, atOnce: true}}]",
            "{at: 61s, phase: Failed, status: Completed}",
        ),
        (
            forever,
            "[{at: 61s, storage: {volume: v, used: 3Mi}}, {at: 65s, storage: {volume: v, used: 1Mi}},
              {at: 80s, storage: {container: app, used: 3Gi}}]",
            "{never: {phase: Failed}}",
        ),
        (
            forever,
            "[{at: 1m, probe: {container: app, kind: liveness, fail: 3}}]",
            "{cause: {container: app, is: Liveness}}",
        ),
        (
            forever,
            "[{at: 1m, probe: {container: app, kind: liveness, fail: 2}}]",
            "{always: {container: app, restarts: 0}}",
        ),
        (
            forever,
            "[{at: 1m, probe: {container: app, kind: readiness, answer: fail, for: 10s}}]",
            "{count: {of: 'app.ProbeFailed(HTTP probe failed with statuscode: 503)', is: 10}}",
        ),
        (
            "{probes: {liveness: [ok, timeout, error, fail, ok]}}",
            "[]",
            "{count: {of: 'app.ProbeFailed(liveness)', is: 2}}",
        ),
        (
            "{probes: {liveness: [{answer: ok, for: 5s}, {answer: fail, times: 3, output: burning}, ok]}}",
            "[]",
            "{at: 9s, event: {reason: Unhealthy, message: 'Liveness probe failed: burning', count: 3}}",
        ),
        (
            "{postStart: {takes: 3s, fail: refused}}",
            "[]",
            "{at: 4s, container: app, reason: PostStartHookError, event: {reason: FailedPostStartHook}}",
        ),
        ("{readyAfter: 20s}", "[]", "{eventually: {container: app, ready: true}, from: 20s, within: 1s}"),
        ("{exit: 1@2s, onSignal: {USR1: ignore}}", "[{at: 1s, delete: true}]", "{at: 1s, deleted: true}"),
        (
            "{onSignal: {TERM: {exit: 7, after: 2s}}}",
            "[{at: 1s, delete: true}]",
            "{count: {of: 'app.Exited(code 7)', at: [3s]}}",
        ),
        ("{onSignal: {TERM: die}}", "[{at: 1s, delete: true}]", "{count: {of: 'app.Exited(signal 15)', at: [1s]}}"),
        (
            "{ignoreSignals: [SIGTERM]}",
            "[{at: 1s, delete: {gracePeriodSeconds: 5}}]",
            "{count: {of: app.Killed, at: [6s]}}",
        ),
        ("{pull: 3s}", "[]", "{startsAt: [3s], container: app}"),
        ("{startDelay: 2s}", "[]", "{sequence: ['app.Started', 'proxy.Started']}"),
        ("{exit: {code: 2, message: bad luck}}", "[]", "{at: 1s, container: app, lastMessage: bad luck}"),
        (
            "{instances: [{startError: RunContainerError}, {imageError: ErrImagePull, times: 2}, {run: forever}]}",
            "[]",
            "{sequence: ['app.StartFailed(RunContainerError)', app.ImageFailed, app.ImageFailed, app.Started]}",
        ),
    ] {
        if let Err(found) = judge_one(actor, faults, assert, TWO) {
            wrong.push(format!("{actor} {faults} {assert}: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a file is told where it stands, all of it at once, with what may have been meant.
#[test]
fn a_bad_file_is_told_with_its_places() {
    let mut wrong = Vec::new();
    for (spec, told) in [
        ("  actor: {}", "spec.actor: unknown field (did you mean \"actors\"?)"),
        (
            "  asserts: [{at: 3s, state: Runing}]",
            "spec.asserts[0].state: \"Runing\" is none of Waiting, Running, Terminated (did you mean \"Running\"?)",
        ),
        (
            "  asserts: [{at: soon, ready: true}]",
            "spec.asserts[0].at: time: invalid duration \"soon\": write a duration such as 250ms, 10s or 1m30s",
        ),
        (
            "  asserts: [{at: 3s}]",
            "spec.asserts[0]: says nothing: name what must hold (container and state, phase, status, an expression …)",
        ),
        (
            "  asserts: [{ready: true}]",
            "spec.asserts[0]: says not when: add one of at, by, always, never, eventually, sequence, startsAt, count, cause, rule",
        ),
        (
            "  asserts: [{at: 3s, by: 4s, ready: true}]",
            "spec.asserts[0].by: there is at already: make this an assertion of its own",
        ),
        (
            "  asserts: [{always: {ready: true}, phase: Running}]",
            "spec.asserts[0].phase: means nothing beside `always`: put it inside of it",
        ),
        (
            "  asserts: [{at: 3s, ready: true, within: 2s}]",
            "spec.asserts[0].within: means nothing beside `at`; it goes with eventually, startsAt, count",
        ),
        (
            "  asserts: [{always: 'pods.x'}]",
            "spec.asserts[0].always: nothing is called \"pods\" (did you mean \"pod\"?)",
        ),
        ("  asserts: [{always: '1 +'}]", "spec.asserts[0].always: not a CEL expression"),
        (
            "  asserts: [{sequence: [app.Strated]}]",
            "spec.asserts[0].sequence[0]: nothing that happens is called \"Strated\" (did you mean \"Started\"?)",
        ),
        (
            "  asserts: [{sequence: [ap.Started]}]",
            "spec.asserts[0].sequence[0]: the pod has no container \"ap\" (did you mean \"app\"?); there are app",
        ),
        ("  asserts: [{rule: R-4.4-z}]", "spec.asserts[0].rule: there is no rule \"R-4.4-z\" (did you mean"),
        (
            "  asserts: [{at: 3s, container: web, state: Running}]",
            "spec.asserts[0].container: the pod has no container \"web\"; there are app",
        ),
        ("  asserts: [{at: 3s, message: {matches: '('}}]", "spec.asserts[0].message: not a regular expression"),
        (
            "  asserts: [{at: 3s, phase: Runnin}]",
            "spec.asserts[0].phase: \"Runnin\" is no phase: there are Pending, Running, Succeeded, Failed, Unknown",
        ),
        ("  asserts: [{at: 3s, get: NAME RADY, equals: x}]", "spec.asserts[0].get: get pods has no column RADY"),
        (
            "  asserts: [{at: 1h, ready: true}]\n  duration: 5m",
            "spec.asserts[0].at: comes after the end of the scenario (spec.duration)",
        ),
        (
            "  asserts: [{at: 3s, ready: true, only: {policy: [a]}}]",
            "spec.asserts[0].only.policy: the matrix has no \"policy\"",
        ),
        (
            "  actors: {ap: {exit: 1}}",
            "spec.actors.ap: the pod has no container \"ap\" (did you mean \"app\"?); there are app",
        ),
        (
            "  actors: {app: {exit: 1@2x}}",
            "spec.actors.app.exit: \"1@2x\": time: unknown unit \"x\" in duration \"2x\"",
        ),
        ("  actors: {app: {exit: 300}}", "spec.actors.app.exit: 300 is no exit code: they go from 0 to 255"),
        (
            "  actors: {app: {exit: 1, oom: {}}}",
            "spec.actors.app.oom: there is exit already, and an instance ends in one way",
        ),
        ("  actors: {app: {ignoreSignals: [KILL]}}", "spec.actors.app.ignoreSignals: no process can react to SIGKILL"),
        (
            "  actors: {app: {onSignal: {TREM: ignore}}}",
            "spec.actors.app.onSignal.TREM: \"TREM\" is no signal: write TERM, SIGTERM or 15",
        ),
        (
            "  actors: {app: {readyAfter: 3s}}",
            "spec.actors.app.readyAfter: container app has neither a readinessProbe nor a startupProbe: it is ready at once",
        ),
        (
            "  actors: {app: {probes: {liveness: fail}}}",
            "spec.actors.app.probes.liveness: container app has no livenessProbe",
        ),
        ("  actors: {app: {preStop: {takes: 3s}}}", "spec.actors.app.preStop: container app has no such hook"),
        ("  faults: [{at: 3s}]", "spec.faults[0]: says not what happens: add one of kill, exit, oom"),
        ("  faults: [{kill: app}]", "spec.faults[0]: says no time: add `at` or `every`"),
        (
            "  faults: [{at: 1s, kill: app, exit: app}]",
            "spec.faults[0].exit: a fault is one thing: make this a fault of its own",
        ),
        ("  faults: [{at: 1s, clock: x}]", "spec.faults[0].clock: time: invalid duration"),
        (
            "  faults: [{at: 1s, probe: {container: app, fail: 1}}]",
            "spec.faults[0].probe.kind: container app has no livenessProbe",
        ),
        (
            "  kubelet: {maxContainerRestartPeriod: 10m}",
            "spec.kubelet.maxContainerRestartPeriod: 10m0s is not between 1s and 300s",
        ),
        ("  matrix: {restartPolicy: [Sometimes]}", "spec.restartPolicy: "),
        ("  pod: nosuch.yaml", "spec.pod: nosuch.yaml: "),
        (
            "  overlays: [{spec: {containers: [{name: app, comand: [x]}]}}]",
            "spec.containers[0].comand: unknown field (did you mean \"command\"?)",
        ),
        (
            "  asserts: [{property: final-stays, within: 3s}]",
            "spec.asserts[0].within: of the properties only ready-again takes a time",
        ),
        (
            "  asserts: [{property: ready-agan}]",
            "spec.asserts[0].property: \"ready-agan\" is none of ready-again, healthy-left-alone",
        ),
        ("  seed: -1", "spec.seed: -1 is not a whole number from 0 to"),
        ("  asserts: {}", "spec.asserts: expected a list (a mapping (field: value)), found a mapping"),
    ] {
        let errors = read_text(spec, POD).map(|_| ()).unwrap_err();
        if !errors.iter().any(|error| error.splitn(3, ':').nth(2).is_some_and(|text| text.trim().starts_with(told))) {
            wrong.push(format!("{spec}: {errors:#?}\n  and not {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let errors = read_text("  asserts: [{at: 3s, state: Runing}]", POD).map(|_| ()).unwrap_err();
    assert!(errors[0].starts_with("4:29: spec.asserts[0].state: "), "{errors:?}");
    let errors = read_text("  actor: {}\n  asserts: [{at: x}]\n  faults: 3", POD).map(|_| ()).unwrap_err();
    assert_eq!(errors.len(), 3, "{errors:#?}");
}

/// The sketch of the format that came before it, word for word but for its times.
#[test]
fn a_scenario_with_something_of_everything_is_read_and_passes() {
    let spec = "  kubelet: {maxContainerRestartPeriod: 300s}
  seed: 7
  actors:
    app:
      instances:
      - {exit: {code: 1, after: 2s}}
      - {oom: {after: 5s}}
      - {run: forever, ignoreSignals: [TERM], readyAfter: 20s}
    proxy: {run: forever, onSignal: {TERM: {exit: 0, after: 3s}}}
  faults:
  - {at: 1m,  probe: {container: app, kind: liveness, fail: 3}}
  - {every: 10s, from: 2m, to: 5m, probe: {container: app, kind: readiness, flap: [ok, fail]}}
  - {at: 6m,  kill: {container: app, signal: SEGV}}
  - {at: 7m,  startError: {container: app, reason: CreateContainerConfigError}}
  - {at: 20m, delete: {gracePeriodSeconds: 10}}
  asserts:
  - {at: 12s, container: app, state: Waiting, reason: CrashLoopBackOff}
  - {container: app, startsAt: [0s, 2s, 17s], within: 1s}
  - {by: 19m, container: app, restarts: {ge: 3, le: 5}}
  - {always: \"containers.app.backoff <= 300s\"}
  - {never: {status: Ready, while: {container: proxy, state: Waiting}}}
  - {eventually: {deleted: true}, within: 20m12s}
  - {sequence: [proxy.Started, app.Started, app.Killing(Liveness), app.Started]}
  - {cause: {container: app, instance: 2, is: OOMKilled}}
  - {get: \"NAME READY STATUS RESTARTS\", at: 15s, equals: \"p 1/2 CrashLoopBackOff 1 (8s ago)\"}";
    let cases = read_text(spec, TWO).unwrap();
    let outcome = cases[0].run();
    let failed: Vec<_> = outcome.judged.iter().filter(|judged| !judged.verdict.passed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!((outcome.judged.len(), cases[0].seed), (9, Some(7)));
}

/// A run is the same each time, to the last word.
#[test]
fn two_runs_of_a_case_are_equal() {
    let cases =
        read_text("  actors: {app: {exit: 1@3s}}\n  faults: [{every: 37s, kill: proxy}]\n  duration: 1h", TWO).unwrap();
    let (one, other) = (cases[0].run(), cases[0].run());
    assert_eq!(one.story, other.story);
    assert!(one.story.len() > 100);
}

#[test]
fn a_matrix_makes_all_combinations_and_assertions_may_be_for_some() {
    let spec = "  matrix: {restartPolicy: [Always, Never], 'spec.terminationGracePeriodSeconds': [1, 2, null]}
  actors: {app: {exit: 1}}
  asserts:
  - {at: 1m, phase: Running, only: {restartPolicy: [Always], 'spec.terminationGracePeriodSeconds': [1, 2, null]}}
  - {at: 1m, phase: Failed, only: {restartPolicy: [Never]}}";
    let cases = read_text(spec, POD).unwrap();
    assert_eq!(cases.len(), 6);
    assert!(cases.iter().all(|case| case.run().passed() && case.run().judged.len() == 1));
    assert!(
        cases[0].title().contains("(restartPolicy=Always, spec.terminationGracePeriodSeconds=1)"),
        "{}",
        cases[0].title()
    );
}

/// A fault of what a scenario names, at the place in the file that it stands in.
#[test]
fn what_is_wrong_with_a_pod_is_told_in_the_pods_file() {
    let directory = tempdir();
    let pod = directory.join("pod.yaml");
    std::fs::write(&pod, POD.replace("image", "imagee")).unwrap();
    let text = "apiVersion: podlet.dev/v1alpha1\nkind: Scenario\nspec: {pod: pod.yaml}\n";
    let name = directory.join("scenario.yaml").display().to_string();
    let found = read(&[Source { name, bytes: text.into() }], &Options::default()).unwrap_err();
    std::fs::remove_dir_all(&directory).unwrap();
    let unknown = found.iter().find(|found| found.text.contains("did you mean \"image\"?")).unwrap();
    assert_eq!((unknown.source.as_str(), unknown.line), (pod.display().to_string().as_str(), 7));
}

fn tempdir() -> std::path::PathBuf {
    let directory = std::env::temp_dir().join(format!("podlet-scenario-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// What would not fit a memory is told, not tried.
#[test]
fn a_scenario_without_measure_is_stopped() {
    let probes = "  duration: 5000h\n  asserts: [{always: {restarts: 0}}]";
    let pod = POD.replace("}\n", ", livenessProbe: {exec: {command: [x]}, periodSeconds: 1}}\n");
    let outcome =
        read_text(probes, &pod.replacen("web, livenessProbe: {exec: {command: [x]}, periodSeconds: 1}", "web", 1))
            .unwrap()[0]
            .run();
    let last = outcome.judged.last().unwrap();
    assert!(!last.verdict.passed && last.verdict.found.starts_with("more than 500000 things happened"), "{last:?}");
}

/// Whatever stands in a file, it is answered.
#[test]
fn hostile_files_are_answered() {
    let deep = format!("{}{}", "{not: ".repeat(60), "}".repeat(60));
    for spec in [
        format!("  asserts: [{{at: 1s, not: {deep}}}]"),
        "  matrix: {a: [1,2,3,4,5,6,7,8,9,10], b: [1,2,3,4,5,6,7,8,9,10], c: [1,2,3,4,5,6,7,8,9,10], d: [1, 2]}"
            .to_owned(),
        "  duration: 9999999h".to_owned(),
        "  faults: [{every: 1ns, kill: app}]".to_owned(),
        "  faults: [{at: 1s, kill: [app]}]".to_owned(),
        "  actors: {app: {instances: [{times: 4000000000}]}}".to_owned(),
        "  asserts: [{at: 1s, message: {matches: '(a*)*b'}}]".to_owned(),
        "  pod: {}".to_owned(),
        "  pod: .".to_owned(),
        "  pod: /dev/null".to_owned(),
        "  overlays: [null]".to_owned(),
        "  asserts: [null]".to_owned(),
        "  latency: 1e308".to_owned(),
    ] {
        let _ = read_text(&spec, POD);
    }
}
