//! In-place resize (lifecycle 9.7): cpu and memory of a pod that runs are changed where they are in force, in its cgroups, or
//! by starting a container anew where its `resizePolicy` says so. `room` begins one, `decide` and `termination` go on
//! with it, `conditions` and `status` show it.

use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod, PodCondition, ResourceRequirements};
use serde::{Deserialize, Serialize};

use super::because;
use super::container::{Container, Step};
use super::effect::EffectName;
use super::events::EventType::{Normal, Warning};
use super::machine::{Course, State, Turn};
use super::rules;
use super::sandbox::SandboxState;
use super::status::rfc3339;
use super::time::{BootTime, WallTime};
use crate::manifest::containers::{find_container, lasting};
use crate::manifest::quantity::Quantity;
use crate::manifest::resources::{Kind, list, worth};

/// A resize that is not over: the condition PodResizeInProgress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resize {
    /// Which spec it comes from; `observedGeneration`.
    pub generation: i64,
    /// `lastTransitionTime`.
    since: WallTime,
    /// `lastProbeTime`.
    probed: WallTime,
    /// What went wrong at the last try.
    error: Option<String>,
    /// How often it was tried.
    tries: u32,
    /// It is being tried.
    asked: bool,
    /// Not before this.
    until: BootTime,
}

impl Resize {
    /// As shown.
    pub fn condition(&self) -> PodCondition {
        PodCondition {
            type_: "PodResizeInProgress".to_owned(),
            status: "True".to_owned(),
            reason: self.error.as_ref().map(|_| "Error".to_owned()),
            message: self.error.clone(),
            last_probe_time: rfc3339(self.probed),
            last_transition_time: rfc3339(self.since),
            observed_generation: Some(self.generation),
        }
    }
}

/// What can be resized.
const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// One amount of a container; what it does not name is the pod's, as far as limits go.
fn amount(
    container: Option<&ResourceRequirements>,
    of_pod: Option<&ResourceRequirements>,
    kind: Kind,
    name: &str,
) -> Quantity {
    let own = |resources| list(resources, kind).and_then(|list| list.get(name)).map(worth);
    let of_pod = || own(of_pod).filter(|_| kind == Kind::Limits);
    own(container).or_else(of_pod).unwrap_or(Quantity::ZERO)
}

fn differs(one: &Of<'_>, other: &Of<'_>, name: &str) -> bool {
    let amount = |of: &Of<'_>, kind| amount(of.container, of.pod, kind, name);
    [Kind::Requests, Kind::Limits].into_iter().any(|kind| amount(one, kind) != amount(other, kind))
}

/// What holds for a container: its own resources and the pod's.
struct Of<'a> {
    container: Option<&'a ResourceRequirements>,
    pod: Option<&'a ResourceRequirements>,
}

/// Whether the amounts of cpu or memory of two specs of one pod are not the same.
pub fn is_resized(before: &Pod, after: &Pod) -> bool {
    let of_pod = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.resources.clone());
    let (pod_before, pod_after) = (of_pod(before), of_pod(after));
    let both = |one: Option<&ResourceRequirements>, other: Option<&ResourceRequirements>| {
        let (one, other) = (Of { container: one, pod: None }, Of { container: other, pod: None });
        RESOURCES.iter().any(|name| differs(&one, &other, name))
    };
    let same_name =
        |container: &ContainerSpec| find_container(after, &container.name).and_then(|c| c.resources.clone());
    both(pod_before.as_ref(), pod_after.as_ref())
        || lasting(before).any(|container| both(container.resources.as_ref(), same_name(container).as_ref()))
}

/// Whether a running container must be started anew for the resources that its spec now names.
fn requires_restart(pod: &Pod, container: &Container) -> bool {
    let Some(before) = container.resized_from.as_ref().filter(|_| container.running()) else { return false };
    let Some(spec) = find_container(pod, &container.name) else { return false };
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let (before, after) =
        (Of { container: Some(before), pod: of_pod }, Of { container: spec.resources.as_ref(), pod: of_pod });
    let restarts = |name: &str| {
        let mut policies = spec.resize_policy.iter().flatten();
        policies.any(|policy| policy.resource_name == name && policy.restart_policy == "RestartContainer")
    };
    RESOURCES.iter().any(|name| restarts(name) && differs(&before, &after, name))
}

impl State {
    /// Whether this container is to be stopped because of a resize.
    pub fn resize_requires_restart(&self, pod: &Pod, index: usize) -> bool {
        let restart = |container| requires_restart(&self.allocated(pod), container);
        self.resize.is_some() && self.containers.get(index).is_some_and(restart)
    }

    /// The resize that can be tried, now or when its time comes: what must be started anew for it has ended.
    fn resize_to_try(&self, pod: &Pod) -> Option<&Resize> {
        let stands = self.course == Course::Serving && self.sandbox.state == SandboxState::Ready;
        let resize = self.resize.as_ref().filter(|resize| stands && !resize.asked)?;
        // One that is being started may have been made with the amounts of before: once it runs it is among those to be changed.
        let starts = |container: &Container| matches!(container.step, Step::Starting { .. });
        let pod = self.allocated(pod);
        let waits = |container: &Container| starts(container) || requires_restart(&pod, container);
        (!self.containers.iter().any(waits)).then_some(resize)
    }

    /// When a resize that has failed is tried again.
    pub fn resize_wake(&self, pod: &Pod) -> Option<BootTime> {
        self.resize_to_try(pod).map(|resize| resize.until)
    }
}

impl Turn<'_> {
    /// The pod is given other amounts than it held.
    pub(super) fn begin_resize(&mut self, before: &Pod) {
        for container in &mut self.state.containers {
            let has_process = container.running() || matches!(container.step, Step::Starting { .. });
            let of =
                |pod: &Pod| find_container(pod, &container.name).map(|spec| spec.resources.clone().unwrap_or_default());
            let of_before = of(before);
            // Other resources are another subject: the back-off of before is not waited for (4.4).
            if of_before != of(self.pod) {
                container.waiting = None;
            }
            if has_process && container.resized_from.is_none() {
                container.resized_from = of_before;
            }
        }
        let now = self.state.clock.wall;
        let generation = self.pod.metadata.generation.unwrap_or(1);
        self.state.resize = Some(Resize {
            generation,
            since: now,
            probed: now,
            error: None,
            tries: 0,
            asked: false,
            until: BootTime::default(),
        });
        let summary = self.resize_summary(self.pod, generation, None);
        self.event(None, Normal, "ResizeStarted", format!("Pod resize started: {summary}"));
    }

    /// Asks for the resize once what must be started anew for it has ended.
    pub(super) fn go_on_resizing(&mut self) {
        let now = self.now();
        let Some(resize) = self.state.resize_to_try(self.pod).filter(|resize| resize.until <= now) else { return };
        let (generation, tries) = (resize.generation, resize.tries.saturating_add(1));
        let rule = if tries > 1 { rules::R_9_7_C } else { rules::R_9_7_A };
        self.ask(EffectName::Resize { generation, tries }, rule, because! {"generation": generation, "try": tries});
    }

    pub(super) fn mark_resize(&mut self, of: i64, tries: u32) -> bool {
        let Some(resize) = self.state.resize.as_mut().filter(|resize| resize.generation == of) else { return false };
        (resize.asked, resize.tries) = (true, tries);
        true
    }

    /// The cgroups are as the spec of that generation wants them, or could not be made so.
    pub(super) fn resized(&mut self, generation: i64, failure: Option<&str>) {
        let (now, retry) = (self.state.clock.wall, self.now().after(self.numbers().retry()));
        let Some(resize) = self.state.resize.as_mut().filter(|resize| resize.generation == generation) else { return };
        resize.asked = false;
        resize.probed = now;
        let Some(failure) = failure else {
            let summary = self.resize_summary(&self.allocated(), generation, None);
            self.state.resize = None;
            for container in &mut self.state.containers {
                container.resized_from = None;
            }
            return self.event(None, Normal, "ResizeCompleted", format!("Pod resize completed: {summary}"));
        };
        resize.until = retry;
        if resize.error.is_none() {
            resize.since = now;
        }
        // A kubelet tells of it again only when it has something else to tell.
        if resize.error.as_deref() != Some(failure) {
            resize.error = Some(failure.to_owned());
            let summary = self.resize_summary(&self.allocated(), generation, Some(failure));
            self.event(None, Warning, "ResizeError", format!("Pod resize error: {summary}"));
        }
    }

    /// The containers' resources as the kubelet's events have them.
    pub(super) fn resize_summary(&self, pod: &Pod, generation: i64, error: Option<&str>) -> String {
        #[derive(Serialize)]
        struct One<'a> {
            name: &'a str,
            resources: ResourceRequirements,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Summary<'a> {
            #[serde(skip_serializing_if = "Vec::is_empty")]
            init_containers: Vec<One<'a>>,
            containers: Vec<One<'a>>,
            generation: i64,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a str>,
        }
        fn one(container: &ContainerSpec) -> One<'_> {
            One { name: &container.name, resources: container.resources.clone().unwrap_or_default() }
        }
        let Some(spec) = &pod.spec else { return String::new() };
        let summary = Summary {
            init_containers: spec.init_containers.iter().flatten().map(one).collect(),
            containers: spec.containers.iter().map(one).collect(),
            generation,
            error,
        };
        serde_json::to_string(&summary).unwrap_or_default()
    }
}
