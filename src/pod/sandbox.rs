//! What the machine keeps of the pod's sandbox: the namespaces that pause owns (lifecycle 9.2).

use serde::{Deserialize, Serialize};

use super::time::BootTime;

/// The newest sandbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Which, counted from 0.
    pub attempt: u32,
    /// How often it was tried to make this one.
    pub tries: u32,
    /// What is known of it.
    pub state: SandboxState,
    /// The pod's addresses; kept after the sandbox is gone, as the final status shows them.
    pub ips: Vec<String>,
    /// When it stood.
    pub stood: Option<BootTime>,
    /// How often in a row the pod's volumes could not be set up for it.
    #[serde(default)]
    pub mounts_failed: u32,
}

/// What is known of the newest sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SandboxState {
    /// It is to be made, not before this.
    Wanted {
        /// The earliest time.
        not_before: BootTime,
    },
    /// It was asked for.
    Starting,
    /// It stands.
    Ready,
    /// Its end was asked for.
    Stopping,
    /// It is gone.
    Gone,
}

impl Sandbox {
    /// Before the first one.
    pub fn none() -> Sandbox {
        Sandbox {
            attempt: 0,
            tries: 0,
            state: SandboxState::Wanted { not_before: BootTime(0) },
            ips: Vec::new(),
            stood: None,
            mounts_failed: 0,
        }
    }
}
