//! A pod's row in `get pods`: the algorithm of lifecycle §11.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::age;
use super::table::{Column, Row, columns};

/// The columns.
pub fn pod_columns() -> Vec<Column> {
    columns(&["NAME", "READY", "STATUS", "RESTARTS", "AGE"], &["IP", "NODE", "NOMINATED NODE", "READINESS GATES"])
}

/// The row.
pub fn pod_row(pod: &Pod, now: Timestamp) -> Row {
    let metadata = &pod.metadata;
    let summary = summary(pod);
    let restarts = match &summary.last_restart {
        Some(last) if summary.restarts != 0 => format!("{} ({} ago)", summary.restarts, age::since(Some(last), now)),
        _ => summary.restarts.to_string(),
    };
    let or_none =
        |text: Option<&String>| text.filter(|t| !t.is_empty()).cloned().unwrap_or_else(|| "<none>".to_owned());
    let status = pod.status.as_ref();
    Row {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        labels: metadata.labels.clone().unwrap_or_default(),
        cells: vec![
            metadata.name.clone().unwrap_or_default(),
            format!("{}/{}", summary.ready, summary.total),
            summary.reason,
            restarts,
            age::since(metadata.creation_timestamp.as_ref(), now),
            or_none(status.and_then(|s| s.pod_ips.as_ref()).and_then(|ips| ips.first()).map(|ip| &ip.ip)),
            or_none(pod.spec.as_ref().and_then(|s| s.node_name.as_ref())),
            or_none(status.and_then(|s| s.nominated_node_name.as_ref())),
            readiness_gates(pod),
        ],
    }
}

/// What READY, STATUS and RESTARTS show; `up`'s status line shows it, too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Ready containers.
    pub ready: usize,
    /// Containers that count: regular ones and sidecars.
    pub total: usize,
    /// The STATUS word.
    pub reason: String,
    /// All restarts that count.
    pub restarts: i32,
    /// When the newest ended instance ended.
    pub last_restart: Option<Time>,
}

impl Summary {
    fn count(&mut self, status: &ContainerStatus) {
        self.restarts = self.restarts.saturating_add(status.restart_count);
        let last = status.last_state.as_ref().and_then(|s| s.terminated.as_ref()).and_then(|t| t.finished_at.clone());
        self.last_restart = self.last_restart.take().max(last);
    }
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The columns' algorithm.
pub fn summary(pod: &Pod) -> Summary {
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let init = pod.spec.as_ref().and_then(|s| s.init_containers.as_deref()).unwrap_or_default();
    let sidecar = |name: &str| init.iter().any(|c| c.name == name && is_sidecar(c));
    let phase = status.phase.clone().unwrap_or_default();
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let mut all = Summary {
        total: pod.spec.as_ref().map_or(0, |s| s.containers.len()) + init.iter().filter(|c| is_sidecar(c)).count(),
        reason: status.reason.clone().filter(|r| !r.is_empty()).unwrap_or_else(|| phase.clone()),
        ..Summary::default()
    };
    if conditions.iter().any(|c| c.type_ == "PodScheduled" && c.reason.as_deref() == Some("SchedulingGated")) {
        "SchedulingGated".clone_into(&mut all.reason);
    }
    let mut sidecars = Summary::default();
    let mut initializing = false;
    for (index, container) in status.init_container_statuses.iter().flatten().enumerate() {
        all.count(container);
        if sidecar(&container.name) {
            sidecars.count(container);
        }
        if let Some(reason) = init_reason(container, sidecar(&container.name), index, init.len(), &mut all.ready) {
            all.reason = reason;
            initializing = true;
            break;
        }
    }
    let initialized = conditions.iter().any(|c| c.type_ == "Initialized" && c.status == "True");
    if !initializing || initialized {
        // From here on only sidecars' restarts count among the init containers'.
        (all.restarts, all.last_restart) = (sidecars.restarts, sidecars.last_restart);
        let ready = conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True");
        look_at_containers(status.container_statuses.as_deref().unwrap_or_default(), ready, &mut all);
    }
    let final_phase = phase == "Succeeded" || phase == "Failed";
    if pod.metadata.deletion_timestamp.is_some() {
        if status.reason.as_deref() == Some("NodeLost") {
            "Unknown".clone_into(&mut all.reason);
        } else if !final_phase {
            "Terminating".clone_into(&mut all.reason);
        }
    }
    all
}

/// `reason` of a terminated state, or what stands for it when it is empty.
fn ended(reason: Option<&str>, signal: i32, code: i32) -> String {
    match reason {
        Some(reason) if !reason.is_empty() => reason.to_owned(),
        _ if signal != 0 => format!("Signal:{signal}"),
        _ => format!("ExitCode:{code}"),
    }
}

/// Why the pod is still initializing at this init container; none when it is past it.
fn init_reason(
    container: &ContainerStatus,
    sidecar: bool,
    index: usize,
    of: usize,
    ready: &mut usize,
) -> Option<String> {
    let state = container.state.as_ref();
    let terminated = state.and_then(|s| s.terminated.as_ref());
    if terminated.is_some_and(|t| t.exit_code == 0) {
        return None;
    }
    if sidecar && container.started == Some(true) {
        *ready += usize::from(container.ready);
        return None;
    }
    if let Some(t) = terminated {
        return Some(format!("Init:{}", ended(t.reason.as_deref(), t.signal.unwrap_or(0), t.exit_code)));
    }
    let waiting = state.and_then(|s| s.waiting.as_ref()).and_then(|w| w.reason.as_deref()).unwrap_or_default();
    Some(match waiting {
        "" | "PodInitializing" => format!("Init:{index}/{of}"),
        reason => format!("Init:{reason}"),
    })
}

/// The last one looked at wins, and that is the first in the status' order.
fn look_at_containers(statuses: &[ContainerStatus], pod_ready: bool, all: &mut Summary) {
    let mut running = false;
    let mut error = String::new();
    for container in statuses.iter().rev() {
        all.count(container);
        let state = container.state.as_ref();
        let waiting = state.and_then(|s| s.waiting.as_ref()).and_then(|w| w.reason.as_deref()).unwrap_or_default();
        if !waiting.is_empty() {
            waiting.clone_into(&mut all.reason);
        } else if let Some(t) = state.and_then(|s| s.terminated.as_ref()) {
            all.reason = ended(t.reason.as_deref(), t.signal.unwrap_or(0), t.exit_code);
            if t.exit_code != 0 {
                error.clone_from(&all.reason);
            }
        } else if container.ready && state.is_some_and(|s| s.running.is_some()) {
            running = true;
            all.ready += 1;
        }
    }
    if all.reason == "Completed" {
        if running && pod_ready {
            "Running".clone_into(&mut all.reason);
        } else if !error.is_empty() {
            all.reason = error;
        } else if running {
            "NotReady".clone_into(&mut all.reason);
        }
    }
}

fn readiness_gates(pod: &Pod) -> String {
    let gates = pod.spec.as_ref().and_then(|s| s.readiness_gates.as_deref()).unwrap_or_default();
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let met = |gate: &str| conditions.iter().find(|c| c.type_ == gate).is_some_and(|c| c.status == "True");
    format!("{}/{}", gates.iter().filter(|g| met(&g.condition_type)).count(), gates.len())
}
