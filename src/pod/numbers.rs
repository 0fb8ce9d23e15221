//! The numbers of the rules, each once. They are Kubernetes' own constants (or, where the word podlet stands, podlet's) and
//! no user's choice; those that a user may choose are in [`super::machine::Settings`], through which these reach the machine:
//! a test changes one and sees which of its expectations notices.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff::Limits;

/// See the module. Whole numbers with their unit in the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    /// How long podlet waits before it tries again what failed without a record: sandbox, configuration, creation, an image
    /// that cannot be had (R-3.2-a, R-3.2-b, R-9.2-e, R-9.2-f). A kubelet waits 10 to 15 s by chance.
    pub retry_milliseconds: u64,
    /// The least time between the signal and SIGKILL, of every stop (R-8.2-b; `minimumGracePeriodInSeconds` of
    /// `kuberuntime_container.go`).
    pub least_grace_milliseconds: u64,
    /// The grace period of a pod that names none (`DefaultTerminationGracePeriodSeconds`); a defaulted manifest names one.
    pub default_grace_seconds: i64,
    /// How long after its start a container is probed for the first time, at the least (R-6.2-a). podlet's own: a kubelet looks
    /// at its pods once a second.
    pub first_probe_milliseconds: u64,
    /// How often a pod's local storage is measured (`eviction_manager.go`: `evictionMonitoringPeriod` of `kubelet.go`).
    pub storage_milliseconds: u64,
    /// The grace period of a pod that is evicted at once (`eviction_manager.go`: `immediateEvictionGracePeriodSeconds`).
    pub eviction_grace_seconds: u64,
    /// First wait after volumes could not be set up (R-0.6-a; `exponentialbackoff.go`: `initialDurationBeforeRetry`).
    pub volume_initial_milliseconds: u64,
    /// The largest (`maxDurationBeforeRetry`).
    pub volume_maximum_milliseconds: u64,
    /// First back-off of image pulls (R-4.5-a; `kubelet.go`: `imageBackOff`).
    pub image_initial_milliseconds: u64,
    /// The largest.
    pub image_maximum_milliseconds: u64,
    /// A failure longer ago than this is forgotten: twice the largest (`backoff.go`: `hasExpired`).
    pub image_reset_milliseconds: u64,
    /// Most bytes of the termination message's file, counted from its end (`MaxContainerTerminationMessageLength`).
    pub message_file_bytes: u64,
    /// Most bytes of the log that stand for the message, counted from its end
    /// (`MaxContainerTerminationMessageLogLength`).
    pub message_log_bytes: u64,
    /// Most lines of it, counted from its end (`MaxContainerTerminationMessageLogLines`).
    pub message_log_lines: u64,
    /// What the messages of all containers of a pod share (`MaxPodTerminationMessageLogLength`).
    pub message_pod_bytes: u64,
    /// Of similar events with different texts the so-many-th is the first that is combined with those that follow
    /// (`events_cache.go`: `defaultAggregateMaxEvents`).
    pub events_similar: u64,
    /// When they come without a pause of this (`defaultAggregateIntervalInSeconds`).
    pub events_similar_milliseconds: u64,
    /// So many events of one type may come at once (`defaultSpamBurst`).
    pub events_burst: u64,
    /// Then one each so often (`defaultSpamQPS`).
    pub events_refill_milliseconds: u64,
    /// Most different events kept of a pod; podlet's own bound (an API server forgets events after an hour).
    pub events_most: u64,
}

impl Numbers {
    /// As Kubernetes 1.36 has them.
    pub const KUBERNETES: Numbers = Numbers {
        retry_milliseconds: 10_000,
        least_grace_milliseconds: 2_000,
        default_grace_seconds: 30,
        first_probe_milliseconds: 1_000,
        storage_milliseconds: 10_000,
        eviction_grace_seconds: 1,
        volume_initial_milliseconds: 500,
        volume_maximum_milliseconds: 122_000,
        image_initial_milliseconds: 10_000,
        image_maximum_milliseconds: 300_000,
        image_reset_milliseconds: 600_000,
        message_file_bytes: 4096,
        message_log_bytes: 2048,
        message_log_lines: 80,
        message_pod_bytes: 12 * 1024,
        events_similar: 10,
        events_similar_milliseconds: 600_000,
        events_burst: 25,
        events_refill_milliseconds: 300_000,
        events_most: 256,
    };

    /// See the field.
    pub fn retry(&self) -> Duration {
        Duration::from_millis(self.retry_milliseconds)
    }

    /// See the field.
    pub fn least_grace(&self) -> Duration {
        Duration::from_millis(self.least_grace_milliseconds)
    }

    /// See the field.
    pub fn first_probe(&self) -> Duration {
        Duration::from_millis(self.first_probe_milliseconds)
    }

    /// See the field.
    pub fn storage_period(&self) -> Duration {
        Duration::from_millis(self.storage_milliseconds)
    }

    /// See the field.
    pub fn eviction_grace(&self) -> Duration {
        Duration::from_secs(self.eviction_grace_seconds)
    }

    /// Of image pulls.
    pub fn image_limits(&self) -> Limits {
        Limits {
            initial: Duration::from_millis(self.image_initial_milliseconds),
            maximum: Duration::from_millis(self.image_maximum_milliseconds),
            reset: Duration::from_millis(self.image_reset_milliseconds),
        }
    }
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers::KUBERNETES
    }
}
