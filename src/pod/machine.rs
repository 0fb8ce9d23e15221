//! The machine itself. (Skeleton: signatures only.)

use k8s_openapi::api::core::v1::Pod;
use serde::{Deserialize, Serialize};

use super::effect::Decision;
use super::input::Input;
use super::time::Moment;

/// Numbers that a machine's owner may set; the defaults are the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// First crash back-off, milliseconds (lifecycle 4.4: 10 s).
    pub backoff_initial_milliseconds: u64,
    /// Largest crash back-off, milliseconds (300 s).
    pub backoff_maximum_milliseconds: u64,
    /// A run longer than this clears the back-off, milliseconds (600 s).
    pub backoff_reset_milliseconds: u64,
    /// The node's name as shown: the host name.
    pub node_name: String,
    /// The node's address as shown, if any.
    pub host_ip: Option<String>,
}

/// Everything that is known of one pod, and what follows from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {}

impl Machine {
    /// A machine for a defaulted, validated pod (with uid, namespace and creationTimestamp set), admitted at `at`;
    /// and its first effects.
    pub fn admit(pod: Pod, settings: Settings, at: Moment) -> (Machine, Decision) {
        let _ = (pod, settings, at);
        unimplemented!()
    }

    /// Takes one fact; answers what is to be done.
    pub fn step(&mut self, input: &Input) -> Decision {
        let _ = input;
        unimplemented!()
    }

    /// The `v1.Pod` as published: the spec as applied and the status computed from the state.
    pub fn pod(&self) -> Pod {
        unimplemented!()
    }

    /// The events so far, merged and counted as the API server's are, oldest first.
    pub fn events(&self) -> Vec<k8s_openapi::api::core::v1::Event> {
        unimplemented!()
    }

    /// A hash of the whole state; two machines of one version that saw the same inputs agree.
    pub fn digest(&self) -> u64 {
        unimplemented!()
    }

    /// When a `Tick` is wanted next.
    pub fn wake(&self) -> Option<super::time::BootTime> {
        unimplemented!()
    }
}
