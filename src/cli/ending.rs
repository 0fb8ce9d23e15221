//! Ending a pod: `delete`, `apply --replace` and `up` do it the same way. The supervisor carries it out; a pod of which
//! nothing runs is removed here.

use std::time::Instant;

use super::Failure;
use super::ask::kept_failure;
use super::choices;
use super::watching::{Sight, Watch};
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

/// How often to look again at a pod that ends by itself between one look and the next.
const LOOKS: u32 = 5;

/// Asks for the pod's end. What has ended already, or did not survive a reboot, is removed here and now.
pub fn ask(paths: &Paths, claim: &Claim, way: Way) -> Result<(), Failure> {
    let mut looks = 0;
    loop {
        match request(paths, claim, way) {
            Ok(()) => return Ok(()),
            Err(ClientError::NotRunning | ClientError::HungUp) if looks < LOOKS => looks += 1,
            Err(error) => return Err(server(error.to_string())),
        }
        let Some(seen) = kept::see(paths, &claim.uid).map_err(|e| kept_failure(&e))? else { return Ok(()) };
        match seen.standing {
            Standing::Live => {}
            Standing::Ended | Standing::Stopped => return remove(paths, claim),
            // Somebody has to find out what is left of it and clear that away: a supervisor can. The pod may end by that.
            Standing::Rebooted | Standing::Unattended => {
                launch::relaunch(paths, &claim.uid, &choices::usual()).map_err(|error| server(error.to_string()))?;
            }
        }
    }
}

fn server(message: String) -> Failure {
    Failure::Server { reason: "InternalError", message }
}

fn request(paths: &Paths, claim: &Claim, way: Way) -> Result<(), ClientError> {
    let request = Request::Delete { grace_seconds: way.grace_seconds, force: way.force };
    Client::connect(paths, &claim.uid)?.ask(&request)
}

fn remove(paths: &Paths, claim: &Claim) -> Result<(), Failure> {
    let _lock = kept::lock_name(paths, &claim.namespace, &claim.name).map_err(|e| kept_failure(&e))?;
    kept::remove(paths, claim).map_err(|e| kept_failure(&e))
}

/// Waits until nothing of the pod is left; false when that was not so before the deadline.
pub fn wait_gone(paths: &Paths, claim: &Claim, deadline: Option<Instant>) -> Result<bool, Failure> {
    let mut watch = Watch::start(paths, &claim.uid);
    loop {
        match watch.next_before(deadline)? {
            None => return Ok(false),
            Some(Sight::Gone) => return Ok(true),
            // Asked to go, and ended before it could be removed by its supervisor.
            Some(Sight::Still(_)) => {
                remove(paths, claim)?;
                return Ok(true);
            }
            Some(Sight::State(..)) => {}
        }
    }
}
