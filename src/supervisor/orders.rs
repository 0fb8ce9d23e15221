//! What a pod is set going with: the user's choices, and what its supervisor is told.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use super::log::Rotation;
use crate::http::{self, Environment};
use crate::image::Limits;
use crate::linux::container::SeccompDefault;
use crate::paths::Paths;
use crate::pod::machine::Settings;

/// What the user chose at `apply`; the same for the pod's whole life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choices {
    /// Numbers of the lifecycle.
    pub settings: Settings,
    /// The filter for containers whose manifest names none.
    pub seccomp_default: SeccompDefault,
    /// For the supervisor's own log: `error`, `warn`, `info`, `debug`, `trace`.
    pub log_level: String,
    /// `apply --trace`: the stage records each step's result and times.
    pub trace: bool,
    /// For a test: the machine panics when it is told that a container's instance of this number has ended.
    #[serde(default)]
    pub panic_at_exit: Option<u32>,
    /// When its log files are put aside.
    #[serde(default)]
    pub rotation: Rotation,
    /// The most processes and threads that it may have.
    #[serde(default)]
    pub pod_pids_limit: Option<u64>,
    /// The most pods that may run at once, this one included.
    #[serde(default)]
    pub max_pods: Option<u32>,
    /// Where its logs lie; the usual place when absent.
    #[serde(default)]
    pub pod_logs_dir: Option<PathBuf>,
    /// Proxies, certificate authorities and files of credentials, for pulls.
    #[serde(default)]
    pub environment: Environment,
    /// What its images may cost.
    #[serde(default)]
    pub image_limits: Limits,
    /// Nothing is made of its images' VOLUMEs.
    #[serde(default)]
    pub ignore_image_volumes: bool,
    /// How long a registry may say nothing.
    #[serde(default = "usual_patience")]
    pub registry_patience: Duration,
    /// After how many milliseconds in which nothing happens its supervisor falls asleep; never when absent.
    #[serde(default)]
    pub sleep_after: Option<u64>,
}

/// Of orders that were written before it could be chosen.
fn usual_patience() -> Duration {
    http::PATIENCE
}

/// What a supervisor is started with: `orders.json` in the run directory. Its environment has nothing of the caller's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// Of this format.
    pub version: u32,
    /// In which boot of the machine the pod was set going.
    pub boot_id: String,
    /// Roots on disk.
    pub paths: Paths,
    /// Which pod.
    pub uid: String,
    /// A name for this setting going, and so for the keeper that came with it: it counts its reports anew.
    #[serde(default)]
    pub launch: String,
    /// See there.
    pub choices: Choices,
}

/// [`Orders::version`] written by this program.
pub(super) const ORDERS_VERSION: u32 = 1;

impl Orders {
    /// As they lie in a run directory.
    pub fn read(run_directory: &Path) -> io::Result<Orders> {
        let path = run_directory.join("orders.json");
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("could not read {}: {error}", path.display()));
        serde_json::from_slice(&std::fs::read(&path).map_err(named)?).map_err(|error| named(error.into()))
    }
}
