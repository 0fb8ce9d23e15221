//! `describe` of a pod, in kubectl's layout (lifecycle §12). The parts of it stand in the files beside this one.

mod container;
mod object;
mod page;
mod volume;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod, PodSpec, PodStatus, Toleration, TopologySpreadConstraint};

pub use object::{config_map, event, secret};
use page::Page;

use super::age::{rfc1123, since};
use super::event_row::{interval, message};
use super::order::sort_like_go;
use crate::manifest::containers::of_ephemeral;
use crate::manifest::resources::qos_class;

/// The pod's description; without the events' part when none are given.
pub fn pod(pod: &Pod, events: Option<&[Event]>, now: Timestamp) -> String {
    let mut page = Page::new();
    let no_spec = PodSpec::default();
    let no_status = PodStatus::default();
    let spec = pod.spec.as_ref().unwrap_or(&no_spec);
    let status = pod.status.as_ref().unwrap_or(&no_status);
    head(&mut page, pod, spec, status);
    state(&mut page, pod, spec, status, now);
    if let Some(resources) = &spec.resources {
        page.line(0, "Resources:");
        container::resources(&mut page, 1, resources.limits.as_ref(), resources.requests.as_ref());
    }
    if let Some(init) = spec.init_containers.as_deref().filter(|c| !c.is_empty()) {
        let statuses = status.init_container_statuses.as_deref().unwrap_or_default();
        container::containers(&mut page, "Init Containers", init, statuses, pod);
    }
    let statuses = status.container_statuses.as_deref().unwrap_or_default();
    container::containers(&mut page, "Containers", &spec.containers, statuses, pod);
    if let Some(ephemeral) = spec.ephemeral_containers.as_deref().filter(|c| !c.is_empty()) {
        let common: Vec<_> = ephemeral.iter().map(of_ephemeral).collect();
        let statuses = status.ephemeral_container_statuses.as_deref().unwrap_or_default();
        container::containers(&mut page, "Ephemeral Containers", &common, statuses, pod);
    }
    conditions(&mut page, spec, status);
    volume::volumes(&mut page, spec.volumes.as_deref().unwrap_or_default());
    page.field(0, "QoS Class", status.qos_class.as_deref().unwrap_or_else(|| qos_class(spec)));
    page.map(0, "Node-Selectors", spec.node_selector.as_ref());
    tolerations(&mut page, spec.tolerations.as_deref().unwrap_or_default());
    spread(&mut page, spec.topology_spread_constraints.as_deref().unwrap_or_default());
    if let Some(group) = &spec.scheduling_group {
        page.line(0, "SchedulingGroup:");
        page.field(1, "PodGroupName", group.pod_group_name.as_deref().unwrap_or_default());
    }
    if let Some(events) = events {
        self::events(&mut page, events, now);
    }
    page.finish()
}

fn head(page: &mut Page, pod: &Pod, spec: &PodSpec, status: &PodStatus) {
    let metadata = &pod.metadata;
    page.field(0, "Name", metadata.name.as_deref().unwrap_or_default());
    page.field(0, "Namespace", metadata.namespace.as_deref().unwrap_or_default());
    if let Some(priority) = spec.priority {
        page.field(0, "Priority", priority);
    }
    page.field_if(0, "Priority Class Name", spec.priority_class_name.as_deref());
    page.field_if(0, "Runtime Class Name", spec.runtime_class_name.as_deref());
    page.field_if(0, "Service Account", spec.service_account_name.as_deref());
    match spec.node_name.as_deref().unwrap_or_default() {
        "" => page.field(0, "Node", "<none>"),
        node => page.field(0, "Node", format_args!("{node}/{}", status.host_ip.as_deref().unwrap_or_default())),
    }
    if status.start_time.is_some() {
        page.field(0, "Start Time", rfc1123(status.start_time.as_ref()));
    }
    page.map(0, "Labels", metadata.labels.as_ref());
    page.annotations(0, metadata.annotations.as_ref());
}

fn state(page: &mut Page, pod: &Pod, spec: &PodSpec, status: &PodStatus, now: Timestamp) {
    let metadata = &pod.metadata;
    let phase = status.phase.as_deref().unwrap_or_default();
    if metadata.deletion_timestamp.is_some() && phase != "Failed" && phase != "Succeeded" {
        let lasts = since(metadata.deletion_timestamp.as_ref(), now);
        page.field(0, "Status", format_args!("Terminating (lasts {lasts})"));
        let grace = metadata.deletion_grace_period_seconds.unwrap_or_default();
        page.field(0, "Termination Grace Period", format_args!("{grace}s"));
    } else {
        page.field(0, "Status", phase);
    }
    page.field_if(0, "Reason", status.reason.as_deref());
    page.field_if(0, "Message", status.message.as_deref());
    if let Some(profile) = spec.security_context.as_ref().and_then(|c| c.seccomp_profile.as_ref()) {
        page.field(0, "SeccompProfile", &profile.type_);
        if profile.type_ == "Localhost" {
            page.field(0, "LocalhostProfile", profile.localhost_profile.as_deref().unwrap_or_default());
        }
    }
    page.field(0, "IP", status.pod_ip.as_deref().unwrap_or_default());
    match status.pod_ips.as_deref().unwrap_or_default() {
        [] => page.field(0, "IPs", "<none>"),
        ips => {
            page.line(0, "IPs:");
            ips.iter().for_each(|ip| page.field(1, "IP", &ip.ip));
        }
    }
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    if let Some(owner) = owners.iter().find(|o| o.controller == Some(true)) {
        page.field(0, "Controlled By", format_args!("{}/{}", owner.kind, owner.name));
    }
    page.field_if(0, "NominatedNodeName", status.nominated_node_name.as_deref());
}

fn conditions(page: &mut Page, spec: &PodSpec, status: &PodStatus) {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let gates = spec.readiness_gates.as_deref().unwrap_or_default();
    let row = |page: &mut Page, name: &str, status: &str| page.line(1, format_args!("{name} \t{status} "));
    if !gates.is_empty() {
        page.line(0, "Readiness Gates:\n  Type\tStatus");
        for gate in gates {
            let met = conditions.iter().find(|c| c.type_ == gate.condition_type);
            row(page, &gate.condition_type, met.map_or("<none>", |c| c.status.as_str()));
        }
    }
    if !conditions.is_empty() {
        page.line(0, "Conditions:\n  Type\tStatus");
        conditions.iter().for_each(|c| row(page, &c.type_, &c.status));
    }
}

fn tolerations(page: &mut Page, tolerations: &[Toleration]) {
    let mut sorted: Vec<&Toleration> = tolerations.iter().collect();
    sort_like_go(&mut sorted, |a, b| a.key.as_deref().unwrap_or_default() < b.key.as_deref().unwrap_or_default());
    page.list(0, "Tolerations", sorted.into_iter().map(toleration));
}

fn toleration(toleration: &Toleration) -> String {
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    let (key, value, effect) = (or_empty(&toleration.key), or_empty(&toleration.value), or_empty(&toleration.effect));
    let mut text = key.clone();
    if !value.is_empty() {
        text.push_str(&format!("={value}"));
    }
    if !effect.is_empty() {
        text.push_str(&format!(":{effect}"));
    }
    if toleration.operator.as_deref() == Some("Exists") && value.is_empty() {
        let alone = key.is_empty() && effect.is_empty();
        text.push_str(if alone { "op=Exists" } else { " op=Exists" });
    }
    if let Some(seconds) = toleration.toleration_seconds {
        text.push_str(&format!(" for {seconds}s"));
    }
    text
}

fn spread(page: &mut Page, constraints: &[TopologySpreadConstraint]) {
    if constraints.is_empty() {
        return;
    }
    let mut sorted: Vec<&TopologySpreadConstraint> = constraints.iter().collect();
    sort_like_go(&mut sorted, |a, b| a.topology_key < b.topology_key);
    page.list(
        0,
        "Topology Spread Constraints",
        sorted.into_iter().map(|c| {
            let selector = c.label_selector.as_ref().map(page::selector);
            let selector = selector.map(|s| format!(" for selector {s}")).unwrap_or_default();
            let (key, unsatisfiable, skew) = (&c.topology_key, &c.when_unsatisfiable, c.max_skew);
            format!("{key}:{unsatisfiable} when max skew {skew} is exceeded{selector}")
        }),
    );
}

/// The table of events at the end of a description.
fn events(page: &mut Page, events: &[Event], now: Timestamp) {
    if events.is_empty() {
        return page.field(0, "Events", "<none>");
    }
    let mut sorted: Vec<&Event> = events.iter().collect();
    let last = |event: &Event| event.last_timestamp.as_ref().map(|t| t.0);
    sort_like_go(&mut sorted, |a, b| last(a) < last(b));
    page.line(0, "Events:\n  Type\tReason\tAge\tFrom\tMessage");
    page.line(1, "----\t------\t----\t----\t-------");
    for event in sorted {
        let component = event.source.as_ref().and_then(|s| s.component.as_deref()).filter(|c| !c.is_empty());
        let from = component.or(event.reporting_component.as_deref()).unwrap_or_default();
        let path = event.involved_object.field_path.as_deref().filter(|p| !p.is_empty());
        let path = path.map(|p| format!("{p}: ")).unwrap_or_default();
        page.line(
            1,
            format_args!(
                "{}\t{}\t{}\t{from}\t{path}{}",
                event.type_.as_deref().unwrap_or_default(),
                event.reason.as_deref().unwrap_or_default(),
                interval(event, now),
                message(event),
            ),
        );
    }
}
