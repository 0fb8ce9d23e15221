//! The checks. Each looks at one thing, says why it matters and what to do. What only looks like it (a program's name, a
//! word of a shell) is a guess and said as one.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Pod, PodSpec, Probe};

use super::times::{in_force, period, timeout, until_failed};
use super::{Finding, Weight};
use crate::image::Reference;
use crate::pod::backoff::go_duration;
use crate::pod::restart::{RestartPolicy, effective_policy};

/// Programs that do their work and end.
const SHORT: &[&str] = &[
    "echo", "true", "false", "date", "ls", "cat", "env", "printenv", "id", "hostname", "migrate", "curl", "wget", "cp",
    "mv",
];
/// Programs that serve until they are told to stop.
const ENDLESS: &[&str] =
    &["nginx", "httpd", "envoy", "redis-server", "haproxy", "caddy", "fluentd", "fluent-bit", "filebeat", "promtail"];
/// Shells.
const SHELLS: &[&str] = &["sh", "bash", "ash", "dash", "zsh"];

/// What was found so far.
struct Found {
    findings: Vec<Finding>,
}

impl Found {
    fn add(&mut self, name: &'static str, weight: Weight, path: String, text: String, fix: &str) {
        self.findings.push(Finding { name, weight, path, text, fix: fix.to_owned() });
    }
}

/// All checks of a pod.
pub fn all(pod: &Pod) -> Vec<Finding> {
    let mut found = Found { findings: Vec::new() };
    let Some(spec) = &pod.spec else { return found.findings };
    let policy = RestartPolicy::read(spec.restart_policy.as_deref());
    let grace = in_force(spec.termination_grace_period_seconds);
    if let Some(seconds) = spec.termination_grace_period_seconds.filter(|seconds| *seconds < 2) {
        let text = format!("{seconds} s are raised: nothing is killed earlier than 2 s after its signal");
        found.add(
            "grace-below-two-seconds",
            Weight::Note,
            "spec.terminationGracePeriodSeconds".to_owned(),
            text,
            "write 2 or more",
        );
    }
    if let (Some(seconds), RestartPolicy::Always) = (spec.active_deadline_seconds, policy) {
        let text =
            format!("after {seconds} s the pod is Failed for good, although restartPolicy Always says that it goes on");
        let fix = "leave the deadline out, or make it a pod that ends: restartPolicy OnFailure or Never";
        found.add("deadline-under-always", Weight::Warning, "spec.activeDeadlineSeconds".to_owned(), text, fix);
    }
    let init = spec.init_containers.as_deref().unwrap_or_default();
    for (index, container) in init.iter().enumerate() {
        let path = format!("spec.initContainers[{index}]");
        image(container, &path, &mut found);
        command(container, &path, &mut found);
        if container.restart_policy.as_deref() == Some("Always") {
            probes(container, policy, &path, &mut found);
            hooks(container, grace, &path, &mut found);
        }
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let path = format!("spec.containers[{index}]");
        image(container, &path, &mut found);
        command(container, &path, &mut found);
        endings(container, spec, policy, &path, &mut found);
        probes(container, policy, &path, &mut found);
        hooks(container, grace, &path, &mut found);
    }
    ports(spec, &mut found);
    found.findings
}

fn image(container: &Container, path: &str, found: &mut Found) {
    let Some(name) = container.image.as_deref().filter(|name| !name.is_empty()) else { return };
    if let Err(error) = Reference::parse(name) {
        let text = format!("{error}: the container waits for ever, with InvalidImageName");
        found.add("invalid-image-name", Weight::Warning, format!("{path}.image"), text, "write REGISTRY/NAME:TAG");
    }
}

/// The program and its words.
fn words(container: &Container) -> Vec<&str> {
    container.command.iter().flatten().chain(container.args.iter().flatten()).map(String::as_str).collect()
}

fn program(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The script of `sh -c SCRIPT`.
fn script(container: &Container) -> Option<(&str, String)> {
    let words = words(container);
    let shell = words.first().map(|word| program(word)).filter(|word| SHELLS.contains(word))?;
    let at = words.iter().position(|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'))?;
    Some((shell, (*words.get(at + 1)?).to_owned()))
}

fn field(container: &Container) -> &'static str {
    if container.command.is_some() { "command" } else { "args" }
}

fn command(container: &Container, path: &str, found: &mut Found) {
    let Some((shell, script)) = script(container) else { return };
    let path = format!("{path}.{}", field(container));
    if script.contains("$$") {
        let text =
            "Kubernetes turns $$ into $ before the shell sees it: the shell's own process number is never asked for"
                .to_owned();
        found.add(
            "double-dollar",
            Weight::Warning,
            path.clone(),
            text,
            "write $$$$ for the shell's $$, or take the number from elsewhere",
        );
    }
    let several = script.contains([';', '|', '\n']) || script.contains("&&");
    let handles = script.split_whitespace().any(|word| word == "exec" || word == "trap");
    if several && !handles {
        let text = format!(
            "{shell} is process 1 and passes no signal on: SIGTERM has no effect, and each stop takes the whole grace period and \
             ends with 137"
        );
        let fix = "begin the last command with exec, or set a trap";
        found.add("shell-as-process-1", Weight::Warning, path, text, fix);
    }
}

/// Whether a container's program seems to end by itself, and how it shows.
fn seems_to_end(container: &Container) -> Option<String> {
    if let Some((_, script)) = script(container) {
        let last = script.rsplit([';', '\n']).map(str::trim).find(|part| !part.is_empty())?.to_owned();
        let first = last.split_whitespace().next()?;
        let ends = first == "exit" || SHORT.contains(&program(first));
        return (ends && !script.contains("while ")).then_some(last);
    }
    let words = words(container);
    let first = program(words.first()?);
    let sleeps = first == "sleep" && words.get(1).is_some_and(|time| *time != "infinity" && *time != "inf");
    (sleeps || SHORT.contains(&first)).then(|| words.join(" "))
}

/// Whether a container's program seems to have no end.
fn seems_endless(container: &Container) -> Option<String> {
    let text = match script(container) {
        Some((_, script)) => script,
        None => words(container).join(" "),
    };
    let first = program(text.split_whitespace().next()?);
    let endless = ENDLESS.contains(&first)
        || text.contains("sleep infinity")
        || text.contains("tail -f")
        || text.contains("tail -F")
        || text.contains("while true")
        || text.contains("while :");
    endless.then_some(text)
}

fn endings(container: &Container, spec: &PodSpec, policy: RestartPolicy, path: &str, found: &mut Found) {
    let own = effective_policy(container, policy);
    let path = format!("{path}.{}", field(container));
    if let Some(command) = seems_to_end(container).filter(|_| own == RestartPolicy::Always) {
        let text = format!(
            "{command:?} seems to end by itself, and under restartPolicy Always an end with 0 is restarted, too: it becomes \
             CrashLoopBackOff"
        );
        let fix = "restartPolicy OnFailure for work that ends; a program that stays for one that serves";
        found.add("ends-under-always", Weight::Warning, path.clone(), text, fix);
    }
    let helper = spec.containers.len() > 1 && policy != RestartPolicy::Always;
    if let Some(command) = seems_endless(container).filter(|_| helper) {
        let text = format!(
            "{command:?} seems to have no end, and under restartPolicy {} the pod succeeds only when every container has ended",
            policy.word()
        );
        let fix = "make it a sidecar: an initContainer with restartPolicy Always, which ends with the others";
        found.add("helper-without-end", Weight::Warning, path, text, fix);
    }
}

/// What a probe asks, whatever its timing.
fn handler(probe: &Probe) -> Probe {
    Probe {
        exec: probe.exec.clone(),
        grpc: probe.grpc.clone(),
        http_get: probe.http_get.clone(),
        tcp_socket: probe.tcp_socket.clone(),
        ..Probe::default()
    }
}

fn probes(container: &Container, policy: RestartPolicy, path: &str, found: &mut Found) {
    let (startup, liveness, readiness) =
        (&container.startup_probe, &container.liveness_probe, &container.readiness_probe);
    for (name, probe) in [("startupProbe", startup), ("livenessProbe", liveness), ("readinessProbe", readiness)] {
        let Some(probe) = probe else { continue };
        if timeout(probe) > period(probe) {
            let text = format!(
                "timeoutSeconds {} is above periodSeconds {}: an attempt that hangs keeps the next ones waiting, and \
                 failureThreshold takes longer than it says",
                timeout(probe).as_secs(),
                period(probe).as_secs()
            );
            let fix = "a timeout below the period";
            found.add("timeout-above-period", Weight::Warning, format!("{path}.{name}.timeoutSeconds"), text, fix);
        }
        if name != "startupProbe" && startup.is_some() && probe.initial_delay_seconds.unwrap_or(0) > 0 {
            let text =
                "it waits for the startupProbe anyway; the delay counts from the start of the container".to_owned();
            let fix = "leave initialDelaySeconds out";
            found.add(
                "delay-beside-startup-probe",
                Weight::Note,
                format!("{path}.{name}.initialDelaySeconds"),
                text,
                fix,
            );
        }
    }
    let Some(liveness) = liveness else { return };
    if readiness.as_ref().is_some_and(|readiness| handler(readiness) == handler(liveness)) {
        let text = "it asks the same as the readinessProbe: what should only take the container out of service for a while (a slow \
                    database, a queue that is full) restarts it instead"
            .to_owned();
        let fix = "let the livenessProbe ask only what a restart would mend, and more patiently";
        found.add("liveness-equals-readiness", Weight::Warning, format!("{path}.livenessProbe"), text, fix);
    }
    if startup.is_none() {
        let allowed = until_failed(liveness);
        let weight = if allowed < Duration::from_secs(60) { Weight::Warning } else { Weight::Note };
        let text = format!(
            "without a startupProbe a start that takes longer than {} is killed, each time",
            go_duration(allowed)
        );
        let fix = "a startupProbe with the same handler and a failureThreshold for the slowest start";
        found.add("liveness-without-startup", weight, format!("{path}.livenessProbe"), text, fix);
    }
    if effective_policy(container, policy) == RestartPolicy::Never {
        let text = "under restartPolicy Never what it kills stays dead: the probe ends the container's work for good"
            .to_owned();
        found.add(
            "liveness-under-never",
            Weight::Note,
            format!("{path}.livenessProbe"),
            text,
            "OnFailure, if it is to be started again",
        );
    }
}

/// How long a hook sleeps, where that can be read from it.
fn sleeps(hook: &LifecycleHandler) -> Option<Duration> {
    if let Some(sleep) = &hook.sleep {
        return u64::try_from(sleep.seconds).ok().map(Duration::from_secs);
    }
    let words = hook.exec.as_ref()?.command.as_ref()?.join(" ");
    let (_, rest) = words.split_once("sleep ")?;
    let number: String = rest.chars().take_while(|c| c.is_ascii_digit()).collect();
    number.parse().ok().map(Duration::from_secs)
}

fn hooks(container: &Container, grace: Duration, path: &str, found: &mut Found) {
    let Some(lifecycle) = &container.lifecycle else { return };
    if let Some(time) = lifecycle.pre_stop.as_ref().and_then(sleeps).filter(|time| *time >= grace) {
        let text = format!(
            "it takes {} of a grace period of {}, which it shares with the program: nothing is left after SIGTERM but 2 s",
            go_duration(time),
            go_duration(grace)
        );
        let fix = "a longer terminationGracePeriodSeconds: the hook's time and what the program needs after SIGTERM";
        found.add("pre-stop-eats-the-grace-period", Weight::Warning, format!("{path}.lifecycle.preStop"), text, fix);
    }
    if let Some(time) = lifecycle.post_start.as_ref().and_then(sleeps).filter(|time| *time >= Duration::from_secs(10)) {
        let text = format!(
            "for {} the container is not shown as running, and no container after it is started",
            go_duration(time)
        );
        let fix = "a startupProbe, if the wait is for the program to come up";
        found.add("post-start-blocks", Weight::Note, format!("{path}.lifecycle.postStart"), text, fix);
    }
}

fn ports(spec: &PodSpec, found: &mut Found) {
    let mut seen: Vec<(i32, String, &str)> = Vec::new();
    for (index, container) in spec.containers.iter().enumerate() {
        for (at, port) in container.ports.iter().flatten().enumerate() {
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            let other = seen.iter().find(|(number, kind, name)| {
                (*number, kind.as_str()) == (port.container_port, protocol.as_str()) && *name != container.name
            });
            if let Some((number, _, name)) = other {
                let text = format!(
                    "container {name} names port {number}, too: containers of a pod share one network, and the second cannot listen"
                );
                let path = format!("spec.containers[{index}].ports[{at}].containerPort");
                found.add("port-named-twice", Weight::Warning, path, text, "another port for one of them");
            }
            seen.push((port.container_port, protocol, &container.name));
        }
    }
}
