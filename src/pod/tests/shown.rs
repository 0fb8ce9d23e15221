//! Phase and conditions, computed a second time and from another end: from nothing but the container statuses that are shown,
//! as a kubelet does it (lifecycle 1.1, 2). The machine computes them from its own records; [`property`](super::property)
//! holds the two together after every input.

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus,
};

use crate::pod::machine::{Course, Machine};
use crate::pod::restart::{RestartPolicy, container_restart_decision};
use crate::pod::sandbox::SandboxState;

/// Panics where what is shown does not follow from the statuses that are shown.
pub(super) fn check(machine: &Machine, before: &PodStatus) {
    let pod = machine.pod();
    let status = pod.status.clone().unwrap();
    // At the very end what never ran is shown as terminated, and nothing is computed any more.
    if machine.final_course() >= Course::TornDown {
        return;
    }
    let terminal = |phase: &str| ["Succeeded", "Failed"].contains(&phase);
    let (was, is) = (before.phase.as_deref().unwrap_or("Pending"), status.phase.as_deref().unwrap());
    let failed = machine.state.failure.is_some();
    let nothing_runs = machine.final_course() >= Course::TearingDown;
    let computed = if failed { "Failed" } else { phase(machine, &pod, &status) };
    let expected = match (terminal(was), terminal(computed)) {
        (true, _) => was,
        (false, true) if !nothing_runs => was,
        _ => computed,
    };
    let seen = || serde_json::to_string(&(&status.init_container_statuses, &status.container_statuses)).unwrap();
    assert_eq!(is, expected, "phase of {} with {:?}", seen(), pod.spec.as_ref().unwrap().restart_policy);

    let reached = if terminal(was) && terminal(computed) { was } else { computed };
    for (kind, expected) in [
        ("Initialized", initialized(machine, &status, before, reached)),
        ("ContainersReady", containers_ready(&pod, &status, reached)),
    ] {
        let condition = status.conditions.iter().flatten().find(|condition| condition.type_ == kind).unwrap();
        let shown = [&condition.status, condition.reason.as_ref().unwrap_or(&String::new())]
            .into_iter()
            .chain(&condition.message)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("/");
        assert_eq!(shown.trim_end_matches('/'), expected, "{kind} of {}", seen());
    }
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn of<'a>(statuses: &'a Option<Vec<ContainerStatus>>, name: &str) -> &'a ContainerStatus {
    statuses.iter().flatten().find(|status| status.name == name).unwrap()
}

/// The end that counts: that of the state, or of a container that waits, of the instance before.
fn ended(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let state = status.state.as_ref().unwrap();
    let waits = state.waiting.is_some();
    let last = || status.last_state.as_ref().and_then(|last| last.terminated.as_ref()).filter(|_| waits);
    state.terminated.as_ref().or_else(last)
}

fn phase(machine: &Machine, pod: &Pod, status: &PodStatus) -> &'static str {
    let spec = pod.spec.as_ref().unwrap();
    let policy = RestartPolicy::read(spec.restart_policy.as_deref());
    // A kubelet stops and starts what has changed in one go, and runs a postStart hook in it; it shows nothing meanwhile.
    let between = |name: &str| {
        let mut containers = machine.state.containers.iter();
        containers.any(|one| one.name == name && (one.anew.is_some() || one.start_hook.is_some()))
    };
    let restarts = |container: &Container, ended: &ContainerStateTerminated| {
        ended.reason.as_deref() == Some("RestartingAllContainers")
            || container_restart_decision(container, policy, ended.exit_code).restart
            || between(&container.name)
    };
    let terminal = machine.final_course() >= Course::TearingDown;
    let begun = machine.state.sandbox.state == SandboxState::Ready && machine.state.has_begun();
    let (mut pending_init, mut failed_init, mut pending_sidecars) = (0, 0, 0);
    let (mut running, mut waiting, mut stopped, mut for_good, mut succeeded) = (0, 0, 0, 0, 0);
    for container in spec.init_containers.iter().flatten() {
        let status = of(&status.init_container_statuses, &container.name);
        let state: &ContainerState = status.state.as_ref().unwrap();
        match (state.running.is_some(), ended(status)) {
            (true, _) if is_sidecar(container) => {
                running += 1;
                pending_sidecars += usize::from(status.started != Some(true));
            }
            (_, Some(_)) if is_sidecar(container) => {}
            _ if is_sidecar(container) => (pending_sidecars, waiting) = (pending_sidecars + 1, waiting + 1),
            (false, Some(ended)) => failed_init += usize::from(ended.exit_code != 0 && !restarts(container, ended)),
            _ => pending_init += 1,
        }
    }
    for container in &spec.containers {
        let status = of(&status.container_statuses, &container.name);
        let state: &ContainerState = status.state.as_ref().unwrap();
        match (state.running.is_some(), ended(status)) {
            (true, _) => running += 1,
            (_, None) => waiting += 1,
            (_, Some(ended)) => {
                stopped += 1;
                for_good += usize::from(!restarts(container, ended));
                succeeded += usize::from(ended.exit_code == 0 && state.terminated.is_some());
            }
        }
    }
    let ended = if stopped == succeeded { "Succeeded" } else { "Failed" };
    match () {
        () if failed_init > 0 => "Failed",
        () if pending_init > 0 || pending_sidecars > 0 && !begun || waiting > 0 => "Pending",
        () if running > 0 => "Running",
        () if stopped > 0 && (terminal || stopped == for_good) => ended,
        () if stopped > 0 => "Running",
        () => "Pending",
    }
}

/// podlet also waits for what is to run again; a kubelet that has lost its sandbox counts what has exited 0 as done.
fn initialized(machine: &Machine, status: &PodStatus, before: &PodStatus, phase: &str) -> String {
    let again = |name: &str| machine.state.containers.iter().any(|one| one.name == name && one.anew.is_some());
    let was = before.conditions.iter().flatten().any(|old| old.type_ == "Initialized" && old.status == "True");
    let has_run = status.container_statuses.iter().flatten().any(|one| {
        let state = one.state.as_ref().unwrap();
        state.running.is_some() || state.terminated.is_some()
    });
    let done = |container: &&Container| {
        let status = of(&status.init_container_statuses, &container.name);
        if is_sidecar(container) { status.started == Some(true) } else { status.ready && !again(&container.name) }
    };
    let pod = machine.pod();
    let spec = pod.spec.as_ref().unwrap();
    let incomplete = spec.init_containers.iter().flatten().filter(|container| !done(container));
    match incomplete.map(|container| container.name.as_str()).collect::<Vec<_>>() {
        _ if phase == "Succeeded" => "True/PodCompleted".to_owned(),
        names if names.is_empty() || has_run || was => "True".to_owned(),
        names => {
            format!("False/ContainersNotInitialized/containers with incomplete status: [{}]", names.join(" "))
        }
    }
}

fn containers_ready(pod: &Pod, status: &PodStatus, phase: &str) -> String {
    let spec = pod.spec.as_ref().unwrap();
    let sidecars = spec.init_containers.iter().flatten().filter(|container| is_sidecar(container));
    let sidecars = sidecars.map(|container| of(&status.init_container_statuses, &container.name));
    let regular = spec.containers.iter().map(|container| of(&status.container_statuses, &container.name));
    let unready: Vec<&str> = sidecars.chain(regular).filter(|one| !one.ready).map(|one| one.name.as_str()).collect();
    match phase {
        "Succeeded" => "False/PodCompleted".to_owned(),
        "Failed" => "False/PodFailed".to_owned(),
        _ if unready.is_empty() => "True".to_owned(),
        _ => format!("False/ContainersNotReady/containers with unready status: [{}]", unready.join(" ")),
    }
}
