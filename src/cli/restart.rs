//! `podlet restart`: a container, or all of a pod, is stopped and started anew in place. The machine counts it as what it is: a
//! restart that was asked for, without back-off.

use clap::Args;

use super::ending::{self, Asked};
use super::everywhere::Everywhere;
use super::logs::choose;
use super::outlook::phase;
use super::running::title;
use super::{Caller, Failure, ask};
use crate::manifest::containers;
use crate::supervisor::control::Request;
use crate::supervisor::kept::{Claim, Standing};

/// The words of `restart`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet restart web           all containers, beginning with the first init
                               container
  podlet restart web -c proxy  this one alone, whatever its restart policy

Containers are stopped as when the pod ends: preStop hooks, sidecars last, within the pod's grace period. The sandbox, the \
address and emptyDir volumes stay; restart counts go up by one, and no back-off is waited for. The command comes back when the \
pod's supervisor has it in hand.")]
pub struct Words {
    /// POD or pod/POD.
    #[arg(value_name = "POD", required = true)]
    pub names: Vec<String>,
    /// This container alone.
    #[arg(short, long, value_name = "CONTAINER")]
    pub container: Option<String>,
}

/// Asks each pod's supervisor. One that cannot be restarted is told, and the others go on.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let claims = ask::named(&caller.paths, everywhere.namespace(), &words.names)?;
    let mut failed = false;
    for claim in claims {
        match restart(&claim, words.container.as_deref(), caller) {
            Ok(()) => caller.print(&format!("{} restarted\n", title(&claim)))?,
            Err(text) => {
                failed = true;
                caller.notice(&format!("error: {}: {text}", title(&claim)));
            }
        }
    }
    if failed { Err(Failure::Told) } else { Ok(0) }
}

fn restart(claim: &Claim, container: Option<&str>, caller: &Caller<'_>) -> Result<(), String> {
    let text = |failure: Failure| failure.text().unwrap_or_default();
    let seen = ask::find_pod(&caller.paths, &claim.namespace, &claim.name).map_err(text)?;
    let Some(seen) = seen else { return Err("it is gone".to_owned()) };
    let name = &claim.name;
    match phase(&seen.pod) {
        over @ ("Succeeded" | "Failed") => {
            return Err(format!("it has ended ({over}); podlet apply --replace -f FILE runs it anew"));
        }
        _ if seen.pod.metadata.deletion_timestamp.is_some() => return Err("it is being deleted".to_owned()),
        _ => {}
    }
    if let Some(container) = container {
        choose::check_container(&seen.pod, container).map_err(text)?;
        if containers::ephemeral(&seen.pod).any(|one| one.name == container) {
            return Err(format!("{container} is an ephemeral container, which is never started again"));
        }
        let init = seen.pod.status.iter().flat_map(|status| status.init_container_statuses.iter().flatten());
        let done = |state: &k8s_openapi::api::core::v1::ContainerState| {
            state.terminated.as_ref().is_some_and(|ended| ended.exit_code == 0)
        };
        let spec = seen.pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
        let is_sidecar = spec.clone().any(|c| c.name == container && c.restart_policy.as_deref() == Some("Always"));
        if !is_sidecar && init.into_iter().any(|c| c.name == container && c.state.as_ref().is_some_and(done)) {
            return Err(format!(
                "its init container {container} has done its work; podlet restart {name} runs all of them again"
            ));
        }
    }
    let request = Request::Restart { container: container.map(str::to_owned) };
    let needed = |standing| standing == Standing::Unattended;
    match ending::put(&caller.paths, claim, &request, needed)? {
        Asked::Accepted => Ok(()),
        Asked::Gone => Err("it is gone".to_owned()),
        Asked::Nobody => Err(format!("nothing of it runs; podlet start {name} sets it going")),
    }
}
