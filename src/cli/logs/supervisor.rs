//! `podlet logs --supervisor`: what a pod's supervisor has to say of itself. It is no container's log: its lines have no
//! stream and no rotation of the kubelet's.

use super::super::{Caller, Failure, ask};
use super::Words;
use crate::supervisor::diagnostics;

/// Prints it: the older part first, all of it or its last lines.
pub fn print(name: &str, namespace: &str, words: &Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let others = [
        ("--follow", words.follow),
        ("--previous", words.previous),
        ("--container", words.container.is_some()),
        ("--all-containers", words.all_containers),
        ("--since", words.since.is_some()),
        ("--since-time", words.since_time.is_some()),
        ("--timestamps", words.timestamps),
        ("--prefix", words.prefix),
        ("--limit-bytes", words.limit_bytes.is_some()),
    ];
    if let Some((flag, _)) = others.iter().find(|(_, given)| *given) {
        return Err(Failure::Error(format!("{flag} cannot go with --supervisor, which takes --tail alone")));
    }
    let claim = ask::find_claim(&caller.paths, namespace, name)?;
    let uid = claim.ok_or_else(|| Failure::not_found("pods", name))?.uid;
    let text = diagnostics::read(&caller.paths, &uid).map_err(|error| Failure::Error(error.to_string()))?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let wanted = words.tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(lines.len());
    for line in lines.iter().skip(lines.len().saturating_sub(wanted)) {
        caller.print(&format!("{line}\n"))?;
    }
    Ok(0)
}
