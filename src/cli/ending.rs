//! Ending a pod: `delete`, `apply --replace` and `up` do it the same way. The supervisor carries it out; a pod of which
//! nothing runs is removed here.

use std::collections::BTreeSet;
use std::time::Instant;

use super::ask::kept_failure;
use super::choices;
use super::watching::{Sight, Watch};
use super::{Caller, Failure};
use crate::paths::Paths;
use crate::supervisor::client::{Client, ClientError};
use crate::supervisor::control::Request;
use crate::supervisor::kept::{self, Claim, Standing};
use crate::supervisor::launch;

/// How a pod is to end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// Seconds between SIGTERM and SIGKILL; the pod's own when absent.
    pub grace_seconds: Option<i64>,
    /// At once.
    pub force: bool,
}

/// The reason of the event that names what is killed and does not end.
const KILL_STUCK: &str = "FailedKillPod";

/// How often to look again at a pod that ends by itself between one look and the next.
const LOOKS: u32 = 5;

/// Asks for the pod's end. What has ended already, or did not survive a reboot, is removed here and now.
pub fn ask(paths: &Paths, claim: &Claim, way: Way) -> Result<(), Failure> {
    let request = Request::Delete { grace_seconds: way.grace_seconds, force: way.force };
    // Somebody has to find out what is left of it and clear that away: a supervisor can. The pod may end by that.
    let needed = |standing| matches!(standing, Standing::Rebooted | Standing::Unattended);
    match put(paths, claim, &request, needed).map_err(server)? {
        Asked::Accepted | Asked::Gone => Ok(()),
        Asked::Nobody => remove(paths, claim),
    }
}

fn server(message: String) -> Failure {
    Failure::Server { reason: "InternalError", message }
}

/// What became of a request for a pod's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Its supervisor has it in hand.
    Accepted,
    /// There is no such pod any more.
    Gone,
    /// Nothing of it runs, and nobody is needed to find that out.
    Nobody,
}

/// Puts a request to the pod's supervisor; where none attends to the pod and `needed` says that one must, one is started.
pub fn put(
    paths: &Paths,
    claim: &Claim,
    request: &Request,
    needed: impl Fn(Standing) -> bool,
) -> Result<Asked, String> {
    let mut looks = 0;
    loop {
        match Client::connect(paths, &claim.uid).and_then(|client| client.ask(request)) {
            Ok(()) => return Ok(Asked::Accepted),
            // It has just ended, or its supervisor was killed and is started again.
            Err(ClientError::NotRunning | ClientError::HungUp) if looks < LOOKS => looks += 1,
            Err(error) => return Err(error.to_string()),
        }
        match kept::see(paths, &claim.uid).map_err(|error| error.to_string())?.map(|seen| seen.standing) {
            None => return Ok(Asked::Gone),
            Some(Standing::Live) => {}
            Some(standing) if needed(standing) => {
                launch::relaunch(paths, &claim.uid, &choices::usual()).map_err(|error| error.to_string())?;
            }
            Some(_) => return Ok(Asked::Nobody),
        }
    }
}

fn remove(paths: &Paths, claim: &Claim) -> Result<(), Failure> {
    let _lock = kept::lock_name(paths, &claim.namespace, &claim.name).map_err(|e| kept_failure(&e))?;
    kept::remove(paths, claim).map_err(|e| kept_failure(&e))
}

/// Waits until nothing of the pod is left; false when that was not so before the deadline. What hangs meanwhile is told.
pub fn wait_gone(claim: &Claim, deadline: Option<Instant>, caller: &mut Caller<'_>) -> Result<bool, Failure> {
    match wait_still(claim, deadline, caller)? {
        None => return Ok(false),
        // Asked to go, and ended before it could be removed by its supervisor.
        Some(Sight::Still(_)) => remove(&caller.paths, claim)?,
        Some(_) => {}
    }
    Ok(true)
}

/// Waits until nothing of the pod runs and says how it stands then; nothing when that was not so before the deadline. What hangs
/// meanwhile is told.
pub fn wait_still(claim: &Claim, deadline: Option<Instant>, caller: &mut Caller<'_>) -> Result<Option<Sight>, Failure> {
    let mut watch = Watch::start(&caller.paths, &claim.uid);
    let mut told = BTreeSet::new();
    loop {
        match watch.next_before(deadline)? {
            Some(Sight::State(_, events)) => {
                for hangs in events.into_iter().filter(|event| event.reason.as_deref() == Some(KILL_STUCK)) {
                    let text = format!("Note: pod/{} still ends: {}", claim.name, hangs.message.unwrap_or_default());
                    if !told.contains(&text) {
                        caller.notice(&text);
                        told.insert(text);
                    }
                }
            }
            end => return Ok(end),
        }
    }
}
