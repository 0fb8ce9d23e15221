//! One pod of `apply`: new, the same, changed, finished, on its way out, or left over from before a reboot.

use std::io;

use k8s_openapi::api::core::v1::Pod;

use super::super::ask::kept_failure;
use super::super::ending::{self, Way};
use super::super::watching::{Sight, Watch};
use super::super::{Caller, Failure};
use super::change::{Change, compare, keep_marks};
use super::outcome::{Applied, Outcome};
use crate::paths::Paths;
use crate::supervisor::client::{Client, ClientError};
use crate::supervisor::control::Request;
use crate::supervisor::kept::{self, Claim, Seen, Standing};
use crate::supervisor::launch::{self, LaunchError, Launched};
use crate::supervisor::orders::Choices;
use crate::supervisor::trace;

/// How often the pod under a name may turn out to be another one before this gives up.
const TRIES: usize = 5;

/// The manifest of the pod of this name as it was applied.
pub fn manifest(paths: &Paths, namespace: &str, name: &str) -> Result<Option<Pod>, Failure> {
    match kept::find(paths, namespace, name).map_err(|e| kept_failure(&e))? {
        Some(uid) => kept::manifest(paths, &uid).map_err(|e| kept_failure(&e)),
        None => Ok(None),
    }
}

/// Applies one pod, which may have been set going already; answers what became of it and the pod as published.
pub fn apply(
    pod: &Pod,
    begun: Option<Result<Launched, LaunchError>>,
    replace: bool,
    choices: &Choices,
    caller: &mut Caller<'_>,
) -> Result<(Outcome, Pod), Failure> {
    if let Some(launched) = begun {
        let launched = launched.map_err(|error| server("InternalError", error.to_string()))?;
        return Ok((Outcome::Created, launched.pod));
    }
    let name = pod.metadata.name.clone().unwrap_or_default();
    let namespace = pod.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let mut replaced = false;
    for _ in 0..TRIES {
        let Some(uid) = kept::find(&caller.paths, &namespace, &name).map_err(|e| kept_failure(&e))? else {
            match launch::launch(&caller.paths, pod.clone(), choices) {
                Ok(launched) => {
                    let outcome = if replaced { Outcome::Replaced } else { Outcome::Created };
                    return Ok((outcome, launched.pod));
                }
                // Another apply was quicker: compare with what it made.
                Err(LaunchError::NameTaken { .. }) => continue,
                Err(error) => return Err(server("InternalError", error.to_string())),
            }
        };
        let claim = Claim { namespace: namespace.clone(), name: name.clone(), uid };
        let Some(seen) = kept::see(&caller.paths, &claim.uid).map_err(|e| kept_failure(&e))? else { continue };
        match onto(pod, &seen, &claim, replace, choices, caller)? {
            Some(done) => return Ok(done),
            None => replaced = true,
        }
    }
    Err(server("Conflict", format!("pods {name:?} was made and removed by others again and again; try once more")))
}

fn server(reason: &'static str, message: String) -> Failure {
    Failure::Server { reason, message }
}

/// Applies onto a pod that is there. None: it was ended so that the new one can be made.
fn onto(
    pod: &Pod,
    seen: &Seen,
    claim: &Claim,
    replace: bool,
    choices: &Choices,
    caller: &mut Caller<'_>,
) -> Result<Option<(Outcome, Pod)>, Failure> {
    let name = &claim.name;
    let end = |caller: &mut Caller<'_>| {
        ending::ask(&caller.paths, claim, Way::default())?;
        ending::wait_gone(claim, None, caller).map(|_| None)
    };
    if seen.pod.metadata.deletion_timestamp.is_some() && seen.standing == Standing::Live {
        if replace {
            return end(caller);
        }
        return Err(server(
            "Conflict",
            format!(
                "pods {name:?} is being deleted; wait until it is gone (podlet delete pod {name} waits for it), or use \
                 --replace"
            ),
        ));
    }
    let old = kept::manifest(&caller.paths, &claim.uid).map_err(|e| kept_failure(&e))?;
    let old = old.as_ref().unwrap_or(&seen.pod);
    let mut pod = pod.clone();
    keep_marks(&mut pod.metadata, &old.metadata);
    let pod = &pod;
    match (compare(old, pod), seen.standing) {
        (Change::None, Standing::Live | Standing::Ended) => Ok(Some((Outcome::Unchanged, seen.pod.clone()))),
        (Change::None, Standing::Rebooted | Standing::Unattended | Standing::Stopped) => {
            let launched = launch::relaunch(&caller.paths, &claim.uid, choices);
            let launched = launched.map_err(|error| server("InternalError", error.to_string()))?;
            // An apply at the same time may just have made it: then it was seen before it ran.
            let outcome = if launched.here { Outcome::Restarted } else { Outcome::Unchanged };
            Ok(Some((outcome, launched.pod)))
        }
        _ if replace => end(caller),
        (Change::Refused(errors), _) => Err(Failure::Text(format!(
            "{}\nTo end the pod and set the new one going: podlet apply --replace",
            super::change::invalid("Pod", name, &errors)
        ))),
        (Change::InPlace, Standing::Live) => change(pod, claim, caller).map(Some),
        (Change::InPlace, _) => Err(server(
            "Conflict",
            format!("pods {name:?} does not run any more; to end it and set the new one going use --replace"),
        )),
    }
}

/// Hands the new manifest to the supervisor.
pub fn change(pod: &Pod, claim: &Claim, caller: &mut Caller<'_>) -> Result<(Outcome, Pod), Failure> {
    let mut pod = pod.clone();
    pod.metadata.uid = Some(claim.uid.clone());
    let asked = Client::connect(&caller.paths, &claim.uid).and_then(|client| {
        client.ask(&Request::Apply { pod: Box::new(pod) })?;
        client.state()
    });
    match asked {
        Ok((published, _)) => Ok((Outcome::Configured, published)),
        Err(ClientError::Refused(message)) => Err(server("Invalid", message)),
        Err(error) => Err(server("InternalError", error.to_string())),
    }
}

/// `apply --trace`: what the stages recorded of their steps, once each container has been started or is known not to be.
pub fn print_trace(pods: &[Applied], caller: &mut Caller<'_>) -> Result<(), Failure> {
    for applied in pods {
        let mut watch = Watch::start(&caller.paths, &applied.uid);
        loop {
            match watch.next()? {
                Sight::State(pod, _) if !is_begun(&pod) => {}
                Sight::State(..) | Sight::Still(_) | Sight::Gone => break,
            }
        }
        let directory = caller.paths.traces(&applied.uid);
        match trace::read_all(&directory) {
            Ok(traces) => traces.iter().try_for_each(|trace| caller.print(&format!("\n{trace}")))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => caller.notice(&format!(
                "Note: no trace of pod/{}: it was set going without --trace, or is gone already",
                applied.name
            )),
            Err(error) => {
                return Err(Failure::Error(format!("could not read the traces in {}: {error}", directory.display())));
            }
        }
    }
    Ok(())
}

/// Every container has been started once, or waits for another reason than being made.
fn is_begun(pod: &Pod) -> bool {
    let Some(statuses) = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()) else {
        return false;
    };
    statuses.iter().all(|container| {
        let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
        match (waiting, &container.state) {
            (Some(waiting), _) => !matches!(waiting.reason.as_deref(), Some("ContainerCreating" | "PodInitializing")),
            (None, state) => state.is_some(),
        }
    })
}
