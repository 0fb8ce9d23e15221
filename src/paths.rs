//! Where podlet keeps things on disk. Every path is made here and nowhere else.
//!
//! Names that come from a user or a manifest are checked before they reach these functions (DNS names hold neither `/`
//! nor `..`); a uid is podlet's own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The roots below which everything of podlet's lies. `PODLET_RUN_DIR`, `PODLET_STATE_DIR` and `PODLET_LOG_DIR`
/// move them, for tests and for several installations on one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paths {
    /// Run state, gone after a reboot: `/run/podlet`.
    pub run: PathBuf,
    /// Kept state: `/var/lib/podlet`.
    pub state: PathBuf,
    /// Container logs and podlet's own: `/var/log/podlet`.
    pub logs: PathBuf,
}

/// The machine's settings. `PODLET_CONFIG` names another file.
pub const CONFIG: &str = "/etc/podlet/config.yaml";

impl Paths {
    /// The roots as the environment says, else the usual ones.
    pub fn from_environment() -> Paths {
        Paths::named_by(|variable| std::env::var_os(variable))
    }

    fn named_by(variable: impl Fn(&str) -> Option<OsString>) -> Paths {
        let root = |name: &str, usual: &str| match variable(name).filter(|value| !value.is_empty()) {
            // A supervisor has another working directory.
            Some(named) => std::path::absolute(&named).unwrap_or(named.into()),
            None => PathBuf::from(usual),
        };
        Paths {
            run: root("PODLET_RUN_DIR", "/run/podlet"),
            state: root("PODLET_STATE_DIR", "/var/lib/podlet"),
            logs: root("PODLET_LOG_DIR", "/var/log/podlet"),
        }
    }

    /// Those of the roots that nobody has moved: they are removed when nothing is in them any more, one that somebody named stays.
    pub fn usual_roots(&self) -> Vec<&Path> {
        let usual = [(&self.run, "/run/podlet"), (&self.state, "/var/lib/podlet"), (&self.logs, "/var/log/podlet")];
        usual
            .into_iter()
            .filter(|(root, usual)| root.as_path() == Path::new(usual))
            .map(|(root, _)| root.as_path())
            .collect()
    }

    /// Run state of one pod: control socket, journal, lock. Mode 0700.
    pub fn pod_run(&self, uid: &str) -> PathBuf {
        self.run.join("pods").join(uid)
    }

    /// What a supervisor was started with: [`crate::supervisor::orders::Orders`].
    pub fn orders(&self, uid: &str) -> PathBuf {
        self.pod_run(uid).join("orders.json")
    }

    /// Whose removal has begun: what is gone by then cannot be asked any more.
    pub fn removal(&self, uid: &str) -> PathBuf {
        self.pod_run(uid).join("removal.json")
    }

    /// One segment of a pod's journal, from 0; it follows the snapshot of the same number.
    pub fn journal(&self, uid: &str, segment: u64) -> PathBuf {
        self.pod_run(uid).join(format!("journal.{segment}"))
    }

    /// The state before the journal's segment of this number; segment 0 has none.
    pub fn snapshot(&self, uid: &str, segment: u64) -> PathBuf {
        self.pod_run(uid).join(format!("snapshot.{segment}.json"))
    }

    /// Journal segments that a later snapshot has made unnecessary for going on; kept, within bounds, for `timeline`, `replay`
    /// and the like ([`crate::supervisor::history`]).
    pub fn history(&self, uid: &str) -> PathBuf {
        self.pod_state(uid).join("history")
    }

    /// The manifest with which a pod was admitted, once it was changed since: its journal begins there.
    pub fn admitted_manifest(&self, uid: &str) -> PathBuf {
        self.history(uid).join("admitted.json")
    }

    /// What a pod's supervisor has to say of itself.
    pub fn supervisor_log(&self, uid: &str) -> PathBuf {
        self.pod_run(uid).join("supervisor.log")
    }

    /// The same of a pod that is over, or stopped: what was said before its run directory went.
    pub fn kept_supervisor_log(&self, uid: &str) -> PathBuf {
        self.history(uid).join("supervisor.log")
    }

    /// What the starts of a pod's containers had to say to the user, a line each.
    pub fn notices(&self, uid: &str) -> PathBuf {
        self.pod_run(uid).join("notices")
    }

    /// How a pull for the pod went, by the name of its effect, until that is in the journal.
    pub fn pull(&self, uid: &str, name: &str) -> PathBuf {
        self.pod_run(uid).join(format!("pull.{name}.json"))
    }

    /// Inputs that made a supervisor panic, a line each.
    pub fn panics(&self, uid: &str) -> PathBuf {
        self.pod_run(uid).join("panics")
    }

    /// What stages recorded of their steps (`apply --trace`): a file a start.
    pub fn traces(&self, uid: &str) -> PathBuf {
        self.pod_state(uid).join("traces")
    }

    /// The control socket of one pod's supervisor. Mode 0600.
    pub fn control_socket(&self, uid: &str) -> PathBuf {
        self.pod_run(uid).join("control.sock")
    }

    /// Locked while a pod is as its awake supervisor has published it.
    pub fn current(&self, uid: &str) -> PathBuf {
        self.pod_run(uid).join("current")
    }

    /// There, and locked, while a pod's supervisor sleeps.
    pub fn asleep(&self, uid: &str) -> PathBuf {
        self.pod_run(uid).join("asleep")
    }

    /// Kept state of one pod.
    pub fn pod_state(&self, uid: &str) -> PathBuf {
        self.state.join("pods").join(uid)
    }

    /// The manifest of one pod as applied, with its defaults: a `v1.Pod` in JSON.
    pub fn pod_manifest(&self, uid: &str) -> PathBuf {
        self.pod_state(uid).join("pod.json")
    }

    /// The last published `v1.Pod` with its status, and its events: what is read when no supervisor runs.
    pub fn pod_kept(&self, uid: &str) -> PathBuf {
        self.pod_state(uid).join("kept.json")
    }

    /// One container's own directory in the pod's kept state; instances are numbered below it.
    pub fn container_state(&self, uid: &str, container: &str, attempt: u32) -> PathBuf {
        self.pod_state(uid).join("containers").join(container).join(attempt.to_string())
    }

    /// An empty directory: where a root file system is attached before it becomes the root.
    pub fn sandbox_root(&self, uid: &str) -> PathBuf {
        self.pod_state(uid).join("root")
    }

    /// A volume's directory, in the kubelet's shape: `volumes/kubernetes.io~<type>/<name>`.
    pub fn volume(&self, uid: &str, kind: &str, name: &str) -> PathBuf {
        self.pod_state(uid).join("volumes").join(format!("kubernetes.io~{kind}")).join(name)
    }

    /// Where the tiny programs lie on machines that execute no memfds.
    pub fn programs(&self, uid: &str) -> PathBuf {
        self.pod_run(uid).join("programs")
    }

    /// The file that says which uid holds the name `namespace/name`.
    pub fn name(&self, namespace: &str, name: &str) -> PathBuf {
        self.state.join("names").join(namespace).join(name)
    }

    /// All claimed names: a directory a namespace, in it a file a pod.
    pub fn names(&self) -> PathBuf {
        self.state.join("names")
    }

    /// Held (flock) by whoever claims, gives up or replaces the name. Names of pods do not start with a dot.
    pub fn name_lock(&self, namespace: &str, name: &str) -> PathBuf {
        self.state.join("names").join(namespace).join(format!(".{name}.lock"))
    }

    /// A stored ConfigMap or Secret (`kind` is `configmaps` or `secrets`).
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> PathBuf {
        self.state.join(kind).join(namespace).join(format!("{name}.json"))
    }

    /// All stored ConfigMaps or Secrets: a directory a namespace, in it a file an object.
    pub fn objects(&self, kind: &str) -> PathBuf {
        self.state.join(kind)
    }

    /// The image store.
    pub fn images(&self) -> PathBuf {
        self.state.join("images")
    }

    /// A pod's log directory, in the kubelet's shape.
    pub fn pod_logs(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.logs.join("pods").join(format!("{namespace}_{name}_{uid}"))
    }

    /// One container instance's log file.
    pub fn container_log(&self, pod_logs: &Path, container: &str, attempt: u32) -> PathBuf {
        pod_logs.join(container).join(format!("{attempt}.log"))
    }
}

/// What to do when one of podlet's directories cannot be written to, to stand behind the system's answer; nothing where it
/// is not the place that is at fault.
pub fn way_out(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => {
            "; free bytes or inodes there (df, df -i), or name another place in PODLET_RUN_DIR, PODLET_STATE_DIR and \
             PODLET_LOG_DIR"
        }
        ReadOnlyFilesystem | PermissionDenied => {
            "; name another place in PODLET_RUN_DIR, PODLET_STATE_DIR and PODLET_LOG_DIR"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn roots_that_are_named_from_here_mean_the_same_elsewhere() {
        let paths = Paths::named_by(|variable| match variable {
            "PODLET_RUN_DIR" => Some("try/run".into()),
            "PODLET_STATE_DIR" => Some("".into()),
            _ => None,
        });
        assert_eq!(paths.run, std::env::current_dir().unwrap().join("try/run"));
        assert_eq!((paths.state, paths.logs), ("/var/lib/podlet".into(), "/var/log/podlet".into()));
    }
}
