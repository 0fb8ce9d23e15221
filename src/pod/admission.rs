//! A pod that is not admitted never has a container: it is Failed from the beginning, and an event says why (lifecycle 10,
//! `rejectPod` of `pkg/kubelet/kubelet.go`).

use k8s_openapi::api::core::v1::{Event, Pod, PodStatus};

use super::events::EventLog;
use super::machine::Settings;
use super::time::Moment;
use crate::manifest::resources::qos_class;

/// The pod and its events when so many pods as there may be (`maxPods`) are there already, as the API server would have them
/// (`InsufficientResourceError` of `pkg/kubelet/lifecycle/predicate.go`).
pub fn reject_out_of_pods(
    mut pod: Pod,
    settings: &Settings,
    at: Moment,
    used: u64,
    capacity: u64,
) -> (Pod, Vec<Event>) {
    let reason = "OutOfpods";
    let message = format!("Node didn't have enough resource: pods, requested: 1, used: {used}, capacity: {capacity}");
    let mut events = EventLog::new(&settings.numbers);
    events.record_scheduled(&pod.metadata, settings, at);
    events.record_rejection(reason, message.clone(), settings, at);
    pod.metadata.generation.get_or_insert(1);
    if let Some(spec) = &mut pod.spec {
        spec.node_name = Some(settings.node_name.clone()).filter(|name| !name.is_empty());
    }
    pod.status = Some(PodStatus {
        phase: Some("Failed".to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(format!("Pod was rejected: {message}")),
        qos_class: pod.spec.as_ref().map(|spec| qos_class(spec).to_owned()),
        ..PodStatus::default()
    });
    let shown = events.shown(&pod, &settings.node_name);
    (pod, shown)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::time::{BootTime, WallTime};
    use super::*;

    #[test]
    fn a_pod_too_many_is_failed_with_the_kubelets_words() {
        let pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "u-1"},
            "spec": {"containers": [{"name": "a", "image": "i"}]}
        }))
        .unwrap();
        let settings = Settings { node_name: "here".into(), ..Settings::default() };
        let at = Moment { boot: BootTime(1), wall: WallTime(1) };
        let (pod, events) = reject_out_of_pods(pod, &settings, at, 3, 3);
        let status = pod.status.unwrap();
        let message = "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3";
        assert_eq!((pod.spec.unwrap().node_name.as_deref(), pod.metadata.generation), (Some("here"), Some(1)));
        assert_eq!(status.phase.unwrap(), "Failed");
        assert_eq!(status.reason.unwrap(), "OutOfpods");
        assert_eq!(status.message.unwrap(), format!("Pod was rejected: {message}"));
        assert_eq!(status.qos_class.unwrap(), "BestEffort");
        assert_eq!(status.container_statuses, None);
        let last = events.last().unwrap();
        assert_eq!(last.reason.as_deref(), Some("OutOfpods"));
        assert_eq!((last.type_.as_deref(), last.message.as_deref()), (Some("Warning"), Some(message)));
    }
}
