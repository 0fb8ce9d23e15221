//! `podlet logs --supervisor`: what a pod's supervisor has to say of itself. It is no container's log: its lines have no
//! stream and no rotation of the kubelet's.

use std::path::PathBuf;

use super::super::{Caller, Failure, ask};
use super::Words;

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
    // A pod that is over has it in kept state.
    let live = caller.paths.supervisor_log(&uid);
    let places = [caller.paths.kept_supervisor_log(&uid), live.with_extension("log.1"), live];
    let mut text = String::new();
    for path in &places {
        text.push_str(&read(path)?);
    }
    let lines: Vec<&str> = text.lines().collect();
    let wanted = words.tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(lines.len());
    for line in lines.iter().skip(lines.len().saturating_sub(wanted)) {
        caller.print(&format!("{line}\n"))?;
    }
    Ok(0)
}

fn read(path: &PathBuf) -> Result<String, Failure> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Failure::Error(format!("could not read {}: {error}", path.display()))),
    }
}
