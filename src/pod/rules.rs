//! Every rule by which the machine decides, once, by name: `R-4.4-b` is the second rule of section 4.4 (restart back-off)
//! of the lifecycle reference. The machine puts a rule's name on each effect and note; `why`, `timeline` and the docs
//! print its text and source from here. A rule that differs from the kubelet's says so in its text.

use super::effect::RuleId;

/// One rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, `R-4.4-b`.
    pub name: &'static str,
    /// What it says.
    pub text: &'static str,
    /// Where it is written: a file of Kubernetes 1.36, or `podlet` for a difference of our own.
    pub source: &'static str,
}

impl Rule {
    /// The name as effects carry it.
    pub fn id(&self) -> RuleId {
        RuleId(self.name.to_owned())
    }
}

/// The rule of that name.
pub fn find(name: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.name == name)
}

macro_rules! rules {
    ($($constant:ident = $name:literal, $source:literal, $text:literal;)*) => {
        $(#[doc = $text] pub const $constant: &Rule = &Rule { name: $name, text: $text, source: $source };)*

        /// All rules, in the order of the reference's sections.
        pub const RULES: &[&Rule] = &[$($constant),*];
    };
}

rules! {
    R_0_5_A = "R-0.5-a", "pkg/kubelet/kuberuntime/kuberuntime_manager.go SyncPod",
        "Containers are started one after another in list order; each start is image, configuration, creation, start; a failed one does not stop the others.";
    R_0_6_A = "R-0.6-a", "pkg/util/goroutinemap/exponentialbackoff; podlet",
        "A volume that cannot be set up keeps the pod from its sandbox and its containers in ContainerCreating; it is set up again after 0.5 s, doubling up to 2 min 2 s (a kubelet keeps that time volume by volume).";
    R_1_1_A = "R-1.1-a", "pkg/kubelet/kubelet_pods.go getPhase; podlet",
        "When every regular container has ended and none may be started again, the pod ends (a kubelet first starts a sidecar again that is in back-off).";
    R_1_1_B = "R-1.1-b", "pkg/kubelet/status/status_manager.go mergePodStatus",
        "Phase Succeeded or Failed is published only after the sandbox is stopped; a terminal phase is never left.";
    R_1_3_A = "R-1.3-a", "pkg/kubelet/status/status_manager.go TerminatePod",
        "After the tear-down a container that never ended is shown terminated, 137, ContainerStatusUnknown, and a phase that is not terminal becomes Failed.";
    R_3_2_A = "R-3.2-a", "pkg/kubelet/kuberuntime/kuberuntime_container.go startContainer",
        "A configuration or creation error makes no record, raises no restart count and no back-off; tried again after a fixed 10 s (a kubelet: 10 to 15 s).";
    R_3_2_B = "R-3.2-b", "pkg/kubelet/images/image_manager.go",
        "An image that is absent under policy Never, has an invalid name or cannot be inspected is looked for again after a fixed 10 s (a kubelet: 10 to 15 s).";
    R_3_2_C = "R-3.2-c", "pkg/kubelet/kuberuntime/kuberuntime_container.go startContainer",
        "A program that cannot be started leaves a record, StartError with exit code 128, and is treated as a crash.";
    R_3_3_A = "R-3.3-a", "pkg/kubelet/kubelet_pods.go convertToAPIContainerStatuses; podlet",
        "A container that cannot be found is ContainerStatusUnknown, 137; whatever may be left of it is killed, and restart policy decides as for any exit (a kubelet starts it again even under Never).";
    R_4_1_A = "R-4.1-a", "pkg/kubelet/container/helpers.go ShouldContainerBeRestarted",
        "A container that has no record is started under every policy.";
    R_4_2_A = "R-4.2-a", "pkg/api/v1/pod/util.go ContainerShouldRestart",
        "The first of the container's restartPolicyRules that matches the exit code decides: restart.";
    R_4_2_B = "R-4.2-b", "pkg/api/v1/pod/util.go ContainerShouldRestart",
        "Where no rule matches, the container's own restartPolicy decides.";
    R_4_2_C = "R-4.2-c", "pkg/api/v1/pod/util.go ContainerShouldRestart",
        "Where the container has no restartPolicy, the pod's decides: Always, OnFailure for an exit code other than 0, Never.";
    R_4_3_A = "R-4.3-a", "pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodActions",
        "A running container whose image was changed is stopped and started anew, whatever its policy; a sidecar not before its startup probe has succeeded.";
    R_4_3_B = "R-4.3-b", "pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodActions",
        "A running container whose liveness probe has failed is stopped, with the probe's own grace period if it has one; it is started anew unless its policy is Never.";
    R_4_3_C = "R-4.3-c", "pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodActions",
        "A running container whose startup probe has failed is stopped, with the probe's own grace period if it has one; it is started anew unless its policy is Never.";
    R_4_3_D = "R-4.3-d", "pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodActions",
        "When a probe stops the last container that runs, and none is to be started, the whole pod is stopped instead, with the pod's grace period.";
    R_4_4_A = "R-4.4-a", "pkg/kubelet/kuberuntime/kuberuntime_manager.go doBackOff",
        "A container with no back-off entry is started at once, and the entry begins at the initial back-off (10 s).";
    R_4_4_B = "R-4.4-b", "pkg/kubelet/kuberuntime/kuberuntime_manager.go doBackOff; podlet",
        "Less than the back-off after its last exit a container is not started: CrashLoopBackOff, shown at once (a kubelet shows it at its next look).";
    R_4_4_C = "R-4.4-c", "staging/src/k8s.io/client-go/util/flowcontrol/backoff.go Next",
        "When the back-off since its last exit is over a container is started, and the back-off doubles up to the maximum (300 s).";
    R_4_4_D = "R-4.4-d", "staging/src/k8s.io/client-go/util/flowcontrol/backoff.go hasExpired",
        "A container that ran for more than 10 minutes is started at once, and its back-off begins anew.";
    R_4_4_E = "R-4.4-e", "pkg/kubelet/kuberuntime/helpers.go GetBackoffKey",
        "The back-off belongs to a container's image and resources: with others it begins anew.";
    R_4_4_F = "R-4.4-f", "pkg/kubelet/kuberuntime/kuberuntime_manager.go SyncPod",
        "A container that was stopped in order to be started anew waits from the exit of the instance before it, if there was one.";
    R_4_5_A = "R-4.5-a", "pkg/kubelet/images/image_manager.go",
        "A failed pull is ErrImagePull; its back-off begins at 10 s and doubles up to 300 s, until 600 s have passed since the last.";
    R_4_5_B = "R-4.5-b", "pkg/kubelet/images/image_manager.go",
        "Less than the back-off after the last failed pull of an image it is not pulled: ImagePullBackOff.";
    R_4_5_C = "R-4.5-c", "pkg/kubelet/images/image_manager.go",
        "When the back-off since the last failed pull is over the image is pulled again.";
    R_4_6_A = "R-4.6-a", "pkg/kubelet/container/helpers.go ShouldAllContainersRestart; podlet",
        "A container that ends with a code for which a rule restarts all containers has all others stopped, without grace and all at once (a kubelet: one after another).";
    R_4_6_B = "R-4.6-b", "pkg/kubelet/kuberuntime/kuberuntime_manager.go SyncPod; podlet",
        "When all have ended their records count as removed, and everything begins anew in the same sandbox from the first init container; only the container whose exit it was waits for its crash back-off (a kubelet has none here).";
    R_4_6_C = "R-4.6-c", "podlet",
        "A container whose restart the user asked for is stopped with the grace period of the spec and started anew, whatever its policy, without back-off (a kubelet has no such request).";
    R_4_6_D = "R-4.6-d", "podlet",
        "When a restart of all containers was asked for and all have ended, everything begins anew in the same sandbox from the first init container (a kubelet has no such request).";
    R_5_1_A = "R-5.1-a", "pkg/kubelet/kuberuntime/kuberuntime_container.go computeInitContainerActions",
        "Init containers run one at a time in list order: the next begins when the one before has exited 0, the regular ones when the last has.";
    R_5_1_B = "R-5.1-b", "pkg/kubelet/kuberuntime/helpers.go isInitContainerFailed",
        "An init container that has exited 0, and nothing in it was killed for memory, is done under every policy.";
    R_5_1_C = "R-5.1-c", "pkg/kubelet/kuberuntime/kuberuntime_container.go computeInitContainerActions",
        "An init container that has failed and is not started again by rules and policy ends the pod: Failed.";
    R_5_1_D = "R-5.1-d", "pkg/kubelet/kuberuntime/kuberuntime_container.go purgeInitContainers",
        "In a new sandbox init containers and sidecars begin anew from the first; then the normal rules decide about the regular containers.";
    R_5_2_A = "R-5.2-a", "pkg/kubelet/kuberuntime/kuberuntime_container.go computeInitContainerActions",
        "A sidecar (an init container with restartPolicy Always) starts in the order of the init containers; the next begins when it is started, not when it ends.";
    R_5_2_B = "R-5.2-b", "pkg/kubelet/kuberuntime/kuberuntime_container.go computeInitContainerActions",
        "A sidecar that ends is started again, whatever its exit code and the pod's policy, with the crash back-off, as long as the pod has work.";
    R_6_2_A = "R-6.2-a", "pkg/kubelet/prober/worker.go; podlet",
        "A container is probed for the first time initialDelaySeconds after its start, but not in its first second (a kubelet: up to a period later).";
    R_6_2_B = "R-6.2-b", "pkg/kubelet/prober/worker.go; podlet",
        "Then it is probed every periodSeconds, counted from the first time; a probe that outlasts its period is followed at once by the next, and what was missed is not made up for.";
    R_6_2_C = "R-6.2-c", "pkg/kubelet/prober/prober_manager.go UpdatePodStatus; podlet",
        "Readiness is probed as soon as the startup probe has succeeded, or the postStart hook is over (a kubelet also probes what is not ready whenever it looks at the pod).";
    R_6_2_D = "R-6.2-d", "pkg/kubelet/prober/worker.go doProbe",
        "After successThreshold successes in a row a probe has passed: the container is started, or ready.";
    R_6_2_E = "R-6.2-e", "pkg/kubelet/prober/worker.go doProbe",
        "After failureThreshold failures in a row a probe has failed: the container is not ready, or is stopped. Only another result begins the count anew, a restart does not; an error of the probe itself counts neither way.";
    R_7_A = "R-7-a", "pkg/kubelet/kuberuntime/kuberuntime_container.go startContainer",
        "A postStart hook is run as soon as the container's process runs; until it is over the container is not shown as running, not probed, and no other is started.";
    R_7_B = "R-7-b", "pkg/kubelet/kuberuntime/kuberuntime_container.go startContainer",
        "A container whose postStart hook has failed is stopped with the grace period of the spec, and treated as a crash: PostStartHookError.";
    R_7_C = "R-7-c", "pkg/kubelet/kuberuntime/kuberuntime_container.go killContainer",
        "A container that is told to stop, with a grace period of more than nothing, runs its preStop hook first.";
    R_7_D = "R-7-d", "pkg/kubelet/kuberuntime/kuberuntime_container.go killContainer",
        "When the preStop hook is over, however it ended, or the grace period is, the stop signal is sent; the whole seconds that it took are deducted from the grace period, of which at least 2 s are left.";
    R_8_1_A = "R-8.1-a", "pkg/registry/core/pod/strategy.go CheckGracefulDelete",
        "A deleted pod's containers are told to stop, with the grace period of the request, else of the spec.";
    R_8_1_B = "R-8.1-b", "pkg/kubelet/kuberuntime/kuberuntime_container.go setTerminationGracePeriod",
        "Containers that are stopped for another reason than deletion have the grace period of the spec.";
    R_8_1_C = "R-8.1-c", "staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go BeforeDelete; podlet",
        "A delete shortens each stop that is under way, and a second, shorter one the first, never below 2 s from now (a kubelet \
         finishes the stop that is under way).";
    R_8_2_A = "R-8.2-a", "pkg/kubelet/kuberuntime/kuberuntime_container.go killContainer",
        "What has not ended when its grace period is over is killed with SIGKILL.";
    R_8_2_B = "R-8.2-b", "pkg/kubelet/kuberuntime/kuberuntime_container.go killContainer",
        "A grace period is never less than 2 s; what has not ended then is killed with SIGKILL.";
    R_8_2_C = "R-8.2-c", "pkg/kubelet/kuberuntime/kuberuntime_container.go killContainersWithSyncResult",
        "When all containers have ended the sandbox is stopped.";
    R_8_3_A = "R-8.3-a", "pkg/kubelet/kubelet.go SyncTerminatedPod",
        "When the sandbox is gone the pod's mounts and cgroups are removed.";
    R_8_3_B = "R-8.3-b", "pkg/kubelet/status/status_manager.go canBeDeleted",
        "A deleted pod that is torn down is removed.";
    R_8_4_A = "R-8.4-a", "pkg/kubelet/kuberuntime/kuberuntime_termination_order.go",
        "When a pod ends, a sidecar's stop signal is held back until all regular containers and the sidecars declared after it have ended.";
    R_8_4_B = "R-8.4-b", "pkg/kubelet/kuberuntime/kuberuntime_termination_order.go",
        "When those before it have ended a sidecar is told to stop; the whole seconds that it waited are taken off its grace period, of which at least 2 s are left.";
    R_8_4_C = "R-8.4-c", "pkg/kubelet/kuberuntime/kuberuntime_termination_order.go",
        "When the grace period has gone by with waiting all remaining sidecars are told to stop, with 2 s.";
    R_9_1_A = "R-9.1-a", "pkg/kubelet/active_deadline.go; podlet",
        "A pod that has been active for activeDeadlineSeconds has failed, DeadlineExceeded: its containers are stopped with the grace period of the spec (a kubelet also fails one that has just ended well).";
    R_9_2_A = "R-9.2-a", "pkg/kubelet/kuberuntime/util/util.go PodSandboxChanged",
        "A pod without a sandbox gets one.";
    R_9_2_B = "R-9.2-b", "pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodActions",
        "When the sandbox is gone the containers are stopped, then it is made anew and they are started in it.";
    R_9_2_C = "R-9.2-c", "pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodActions",
        "With pod policy Never a sandbox is not made anew once a container has a record: the pod is stopped.";
    R_9_2_D = "R-9.2-d", "pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodActions",
        "A container with policy OnFailure that exited 0 is not started in a new sandbox, unless it was stopped in order to be started anew.";
    R_9_2_E = "R-9.2-e", "pkg/kubelet/kuberuntime/kuberuntime_manager.go SyncPod",
        "A sandbox that could not be made is tried again after a fixed 10 s (a kubelet: 10 to 15 s).";
    R_9_2_F = "R-9.2-f", "podlet",
        "A sandbox that was made anew and is gone within 10 s is made again only 10 s after it stood (a kubelet is slowed by its own look, once a second).";
    R_9_4_A = "R-9.4-a", "pkg/kubelet/kubelet.go; podlet",
        "After a reboot nothing runs: containers are ended as Unknown with exit code 255, the sandbox is gone, and all back-off begins anew.";
    R_9_4_B = "R-9.4-b", "pkg/kubelet/nodeshutdown/nodeshutdown_manager.go; podlet",
        "When the machine is shut down, or the pod is stopped, its containers are told to stop with the grace period of the spec, or what the machine's leaves of it; the pod is set going again afterwards, as after a reboot (a kubelet brings back only static pods).";
    R_9_6_A = "R-9.6-a", "pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodActions",
        "An ephemeral container is started at once, before init containers have come to their end; phase, readiness and restarts of the pod do not depend on it.";
    R_9_6_B = "R-9.6-b", "pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodActions",
        "An ephemeral container that has ended is not started again.";
    R_9_6_C = "R-9.6-c", "podlet",
        "A container that an ephemeral one stands in for (podlet debug --hold) is not started until that has ended; then its policy and back-off decide as ever (a kubelet has no such thing).";
    R_9_7_A = "R-9.7-a", "pkg/kubelet/kuberuntime/kuberuntime_manager.go doPodResizeAction; podlet",
        "Other amounts of cpu and memory of a pod that runs are written into its cgroups, memory before cpu, the pod's before its containers' where it grows and after them where it shrinks.";
    R_9_7_B = "R-9.7-b", "pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodResizeAction",
        "A running container whose resizePolicy for a changed resource is RestartContainer is stopped, with the grace period of the spec, and started with the new amounts, whatever its policy and without back-off.";
    R_9_7_C = "R-9.7-c", "pkg/kubelet/kuberuntime/kuberuntime_manager.go validateMemoryResizeAction",
        "A memory limit at or below what is in use is not set, nor anything else of the resize; it is tried again after a fixed 10 s (a kubelet: at each of its looks).";
    R_9_7_D = "R-9.7-d", "pkg/kubelet/allocation/allocation_manager.go handlePodResourcesResize; pkg/kubelet/lifecycle/predicate.go InsufficientResourceError",
        "A resize for which the machine has not enough cpu or memory beside what other pods hold waits: PodResizePending, Deferred, and what the pod was given before holds meanwhile, also for what is started; every 10 s it is looked whether there is room (a kubelet: when others go or shrink, and every 3 min). What does not grow needs no room.";
    R_9_9_A = "R-9.9-a", "pkg/kubelet/eviction/eviction_manager.go emptyDirLimitEviction",
        "A pod with an emptyDir on disk that holds more than its sizeLimit is evicted: it has failed, Evicted, whatever its policy. What it uses is measured every 10 s.";
    R_9_9_B = "R-9.9-b", "pkg/kubelet/eviction/eviction_manager.go podEphemeralStorageLimitEviction",
        "A pod whose containers and emptyDirs together use more local storage than the limits of its containers allow is evicted.";
    R_9_9_C = "R-9.9-c", "pkg/kubelet/eviction/eviction_manager.go containerEphemeralStorageLimitEviction",
        "A pod of which a regular container uses more local storage, in its root file system and its logs, than its limit is evicted.";
    R_9_9_D = "R-9.9-d", "pkg/kubelet/eviction/eviction_manager.go evictPod; podlet",
        "The containers of a pod that is evicted are told to stop with a grace period of 1 s, whatever the spec and their probes say; what is being stopped already is shortened to that (a kubelet finishes the stop that is under way).";
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_unique_well_formed_and_in_order() {
        let mut seen = std::collections::BTreeSet::new();
        for rule in RULES {
            let mut parts = rule.name.split('-');
            assert_eq!(parts.next(), Some("R"), "{}", rule.name);
            let section = parts.next().unwrap();
            assert!(section.split('.').all(|n| n.parse::<u32>().is_ok()), "{}", rule.name);
            let letter = parts.next().unwrap();
            assert!(letter.len() == 1 && letter.as_bytes()[0].is_ascii_lowercase(), "{}", rule.name);
            assert!(seen.insert(rule.name), "{} is listed twice", rule.name);
            assert!(rule.text.ends_with('.') && !rule.source.is_empty());
            assert_eq!(find(rule.name), Some(*rule));
        }
        assert!(RULES.is_sorted_by_key(|rule| rule.name));
    }
}
