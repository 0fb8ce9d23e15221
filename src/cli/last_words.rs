//! The last lines of a dead container's log. `why` and `describe` show them.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::logs::files::{Flow, Reader};
use super::logs::{choose, follow};
use crate::paths::Paths;

/// So many lines.
const LINES: u64 = 5;
/// Each of so many characters.
const CHARACTERS: usize = 300;

/// Whether a container is dead and should not be: it has ended badly, or it keeps ending and waits for another start.
pub fn is_dead(status: &ContainerStatus) -> bool {
    let state = status.state.as_ref();
    let ended = state.and_then(|state| state.terminated.as_ref());
    let waiting = state.and_then(|state| state.waiting.as_ref());
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let crashes = waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"));
    let badly = ended.or(last.filter(|_| waiting.is_some())).is_some_and(|ended| ended.exit_code != 0);
    crashes || badly
}

/// The last lines that it wrote; none when it lives, wrote nothing, or its log is gone.
pub fn of(paths: &Paths, pod: &Pod, status: &ContainerStatus) -> Vec<String> {
    if !is_dead(status) {
        return Vec::new();
    }
    let Ok(attempt) = choose::attempt(pod, &status.name, false) else { return Vec::new() };
    let mut reader = Reader::new(&follow::directory(paths, pod, &status.name), attempt);
    let mut text: Vec<u8> = Vec::new();
    let read = reader.skip_to_tail(LINES).and_then(|()| {
        reader.read(&mut |record| {
            text.extend_from_slice(record.content);
            if record.full {
                text.push(b'\n');
            }
            Ok(Flow::On)
        })
    });
    // A log that cannot be read is nothing that belongs here: `podlet logs` says so.
    if read.is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&text);
    let plain = |line: &str| line.chars().filter(|c| !c.is_control()).take(CHARACTERS).collect();
    text.lines().map(plain).collect()
}
