//! Probes, lifecycle hooks and the handlers that both have.

use k8s_openapi::api::core::v1::{
    ExecAction, GRPCAction, HTTPGetAction, Lifecycle, LifecycleHandler, PodOS, Probe, SleepAction, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::errors::Errors;
use super::names;
use crate::manifest::field::FieldPath;

/// Linux' signals by the names that `stopSignal` takes, in the server's (alphabetical) order.
const LINUX_SIGNALS: [&str; 65] = [
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMAX-1",
    "SIGRTMAX-10",
    "SIGRTMAX-11",
    "SIGRTMAX-12",
    "SIGRTMAX-13",
    "SIGRTMAX-14",
    "SIGRTMAX-2",
    "SIGRTMAX-3",
    "SIGRTMAX-4",
    "SIGRTMAX-5",
    "SIGRTMAX-6",
    "SIGRTMAX-7",
    "SIGRTMAX-8",
    "SIGRTMAX-9",
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];
const WINDOWS_SIGNALS: [&str; 2] = ["SIGKILL", "SIGTERM"];

/// Which of the three probes of a container is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// `livenessProbe`.
    Liveness,
    /// `readinessProbe`.
    Readiness,
    /// `startupProbe`.
    Startup,
}

/// One of the probes.
pub fn probe(errors: &mut Errors, path: &FieldPath, probe: Option<&Probe>, kind: ProbeKind) {
    let Some(probe) = probe else { return };
    let action = Handler {
        exec: probe.exec.as_ref(),
        http_get: probe.http_get.as_ref(),
        tcp_socket: probe.tcp_socket.as_ref(),
        grpc: probe.grpc.as_ref(),
        sleep: None,
    };
    handler(errors, path, action, None);
    for (name, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        errors.not_negative(&path.child(name), value.unwrap_or_default().into());
    }
    let grace = path.child("terminationGracePeriodSeconds");
    if let Some(seconds) = probe.termination_grace_period_seconds.filter(|seconds| *seconds <= 0) {
        errors.invalid(&grace, seconds, "must be greater than 0");
    }
    match kind {
        ProbeKind::Readiness => {
            if let Some(seconds) = probe.termination_grace_period_seconds {
                errors.invalid(&grace, seconds, "must not be set for readinessProbes");
            }
        }
        ProbeKind::Liveness | ProbeKind::Startup => {
            let threshold = probe.success_threshold.unwrap_or(1);
            if threshold != 1 {
                errors.invalid(&path.child("successThreshold"), threshold, "must be 1");
            }
        }
    }
}

/// `lifecycle`; `grace` is the pod's grace period, which no sleep may exceed.
pub fn lifecycle(errors: &mut Errors, path: &FieldPath, lifecycle: &Lifecycle, grace: Option<i64>, os: Option<&PodOS>) {
    let of = |hook: &LifecycleHandler, errors: &mut Errors, path: &FieldPath| {
        let action = Handler {
            exec: hook.exec.as_ref(),
            http_get: hook.http_get.as_ref(),
            tcp_socket: hook.tcp_socket.as_ref(),
            grpc: None,
            sleep: hook.sleep.as_ref(),
        };
        handler(errors, path, action, grace);
    };
    if let Some(hook) = &lifecycle.post_start {
        of(hook, errors, &path.child("postStart"));
    }
    if let Some(hook) = &lifecycle.pre_stop {
        of(hook, errors, &path.child("preStop"));
    }
    if let Some(signal) = &lifecycle.stop_signal {
        // A server with the alpha feature wants `spec.os` as well; one machine knows what system it is.
        let windows = os.is_some_and(|os| os.name == "windows");
        let known: &[&str] = if windows { &WINDOWS_SIGNALS } else { &LINUX_SIGNALS };
        errors.one_of(&path.child("stopSignal"), signal, known);
    }
}

struct Handler<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HTTPGetAction>,
    tcp_socket: Option<&'a TCPSocketAction>,
    grpc: Option<&'a GRPCAction>,
    sleep: Option<&'a SleepAction>,
}

/// Exactly one action; each one after the first is refused unread.
fn handler(errors: &mut Errors, path: &FieldPath, handler: Handler, grace: Option<i64>) {
    let mut first = true;
    let mut takes = |errors: &mut Errors, path: &FieldPath| {
        if !std::mem::take(&mut first) {
            errors.forbidden(path, "may not specify more than 1 handler type");
            return false;
        }
        true
    };
    if let Some(exec) = handler.exec {
        let path = path.child("exec");
        if takes(errors, &path) && exec.command.as_ref().is_none_or(Vec::is_empty) {
            errors.required(&path.child("command"), "");
        }
    }
    if let Some(action) = handler.http_get {
        let path = path.child("httpGet");
        if takes(errors, &path) {
            http_get(errors, &path, action);
        }
    }
    if let Some(action) = handler.tcp_socket {
        let path = path.child("tcpSocket");
        if takes(errors, &path) {
            port(errors, &path.child("port"), &action.port);
        }
    }
    if let Some(action) = handler.grpc {
        let path = path.child("grpc");
        if takes(errors, &path) {
            errors.each_number(&path.child("port"), action.port.into(), names::port_number(action.port.into()));
        }
    }
    if let Some(sleep) = handler.sleep {
        let path = path.child("sleep");
        if takes(errors, &path)
            && let Some(grace) = grace
            && !(0..=grace).contains(&sleep.seconds)
        {
            let text = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
            errors.invalid(&path, sleep.seconds, text);
        }
    }
    if first {
        errors.required(path, "must specify a handler type");
    }
}

fn http_get(errors: &mut Errors, path: &FieldPath, action: &HTTPGetAction) {
    errors.require_text(&path.child("path"), action.path.as_deref().unwrap_or_default());
    port(errors, &path.child("port"), &action.port);
    errors.one_of(&path.child("scheme"), action.scheme.as_deref().unwrap_or_default(), &["HTTP", "HTTPS"]);
    for header in action.http_headers.iter().flatten() {
        errors.each(&path.child("httpHeaders"), &header.name, names::http_header(&header.name));
    }
}

/// A number, or the name of a port.
fn port(errors: &mut Errors, path: &FieldPath, port: &IntOrString) {
    match port {
        IntOrString::Int(number) => errors.each_number(path, (*number).into(), names::port_number((*number).into())),
        IntOrString::String(name) => errors.each(path, name, names::port_name(name)),
    }
}
