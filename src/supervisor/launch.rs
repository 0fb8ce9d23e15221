//! What `podlet apply` does to set a pod going: the name is claimed, the manifest kept, the run directory made, the
//! control socket bound and listening, the keeper started; then it waits until the supervisor has journalled the
//! admission. From there on the pod is the keeper's and supervisor's; this process may go.

use std::io;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Event, Pod};
use serde::{Deserialize, Serialize};

use super::client::ClientError;
use super::kept::KeptError;
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
    /// For tests (`--fault-point=NAME:N`): the supervisor kills itself the Nth time that it comes to this point, once.
    pub fault_point: Option<String>,
}

/// What a supervisor is started with: `orders.json` in the run directory. Its environment is empty.
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
    /// See there.
    pub choices: Choices,
}

/// A pod that has been set going.
#[derive(Clone, Debug)]
pub struct Launched {
    /// Its uid.
    pub uid: String,
    /// As first published.
    pub pod: Pod,
    /// Its first events.
    pub events: Vec<Event>,
}

/// Why a pod was not set going. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Another pod has the name (another `apply` may have been quicker); compare with it.
    #[error("pods \"{name}\" already exists")]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        uid: String,
    },
    /// A file or directory could not be made.
    #[error("could not {action} {}: {source}", path.display())]
    File {
        /// `make`, `write`, `bind`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Kept state.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The keeper could not be started.
    #[error("could not start the pod's keeper: {0}")]
    Keeper(io::Error),
    /// It was started, but never got as far as admitting the pod.
    #[error("the pod's supervisor did not come up: {source}{log}")]
    Supervisor {
        /// What the control socket said.
        source: ClientError,
        /// The end of its log, on lines of its own.
        log: String,
    },
}

/// Sets a defaulted and valid pod going. A uid and a creation time are given to it here.
pub fn launch(paths: &Paths, pod: Pod, choices: &Choices) -> Result<Launched, LaunchError> {
    let _ = (paths, pod, choices);
    unimplemented!()
}

/// Sets a pod going again of which nothing runs although it has not ended (its machine was started anew, or keeper, twin
/// and supervisor were all killed): the same uid and manifest.
pub fn relaunch(paths: &Paths, uid: &str, choices: &Choices) -> Result<Launched, LaunchError> {
    let _ = (paths, uid, choices);
    unimplemented!()
}
