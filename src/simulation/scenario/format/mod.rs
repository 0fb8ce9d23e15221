//! What a scenario file may say, as types: the doc comments are the reference (`docs/scenarios.md`), the JSON Schema for
//! editors (`scenario.schema.json`) is made from them, and the parser holds a file against that schema.

mod actor;
mod assertion;
mod fault;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use actor::*;
pub use assertion::*;
pub use fault::*;

use super::words::Span;

#[cfg(test)]
use schemars::JsonSchema;

/// A test of a pod's lifecycle: a pod, how its containers behave, what happens to it, and what must be so.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// `podlet.dev/v1alpha1`.
    pub api_version: ApiVersion,
    /// `Scenario`.
    pub kind: ScenarioKind,
    /// Its name.
    #[serde(default)]
    pub metadata: Metadata,
    /// What is tested.
    pub spec: Spec,
}

/// The version of the format.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub enum ApiVersion {
    /// The only one there is.
    #[default]
    #[serde(rename = "podlet.dev/v1alpha1")]
    V1Alpha1,
}

/// The kind of the document.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub enum ScenarioKind {
    /// The only one there is.
    #[default]
    Scenario,
}

/// The scenario's name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Shown in reports; the file's name where it is absent.
    pub name: String,
    /// For the reader.
    pub labels: BTreeMap<String, String>,
    /// For the reader.
    pub annotations: BTreeMap<String, String>,
}

/// What is tested.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    /// What the test is about, for the reader and the report.
    pub description: String,
    /// The pod: a manifest's path, relative to this file, or a whole v1.Pod. Absent: the one Pod among this file's documents.
    pub pod: Option<Source>,
    /// Changes to the pod, merged one after another as `kubectl patch --type=strategic` does (lists of containers, volumes,
    /// ports, env and the like by their keys, `$patch: delete` and `null` take out): paths or pieces of a Pod.
    pub overlays: Vec<Source>,
    /// Values for fields of the pod; the scenario runs once for each combination: `restartPolicy: [Always, Never]`. A name
    /// without a dot is a field of the pod's `spec`; others are paths such as `spec.containers[0].livenessProbe.failureThreshold`.
    pub matrix: BTreeMap<String, Vec<Json>>,
    /// Settings of the machine, named as in KubeletConfiguration.
    pub kubelet: Kubelet,
    /// How long the scenario lasts in virtual time. Absent: up to the last time that a fault or an assertion names, and half
    /// an hour longer where an assertion has no end of its own (`always` without `to`, `sequence`, `count`, `cause` …).
    pub duration: Option<Span>,
    /// How long each answer takes that the machine waits for (a sandbox, an image, a start): 0s.
    pub latency: Span,
    /// For what is drawn by lot; carried through to the report.
    pub seed: Option<u64>,
    /// The pod's addresses: 10.88.0.5.
    #[serde(rename = "podIPs")]
    pub pod_ips: Option<Vec<String>>,
    /// How each container's processes behave, by the container's name. A container that is not named runs until it is told
    /// to stop, and then ends with 0 at once.
    pub actors: BTreeMap<String, Actor>,
    /// What happens to the pod.
    pub faults: Vec<Fault>,
    /// What must be so. Each is judged after every input; the report tells each alone.
    pub asserts: Vec<Assert>,
}

/// A file's path, or the object itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(untagged)]
pub enum Source {
    /// Relative to the scenario's file.
    Path(String),
    /// In place.
    Inline(serde_json::Map<String, Json>),
}

/// Settings of the machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Kubelet {
    /// The largest crash back-off (300s), 1s to 300s as a kubelet takes it.
    pub max_container_restart_period: Option<Span>,
    /// The same, where KubeletConfiguration has it.
    pub crash_loop_back_off: CrashLoopBackOff,
    /// The first crash back-off (10s); no kubelet lets it be chosen.
    pub initial_container_restart_period: Option<Span>,
    /// A run longer than this clears the back-off (10m); no kubelet lets it be chosen.
    pub container_restart_reset: Option<Span>,
    /// The node's name as shown: `node`.
    pub node_name: Option<String>,
}

/// `crashLoopBackOff` of KubeletConfiguration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct CrashLoopBackOff {
    /// The largest crash back-off.
    pub max_container_restart_period: Option<Span>,
}
