//! The termination message: from the file, or from the log's end, within the kubelet's limits (lifecycle 3.5). `facts`
//! chooses it when a container ends; `status` cuts it to the pod's share when it is shown.

use super::input::TerminationMessage;
use super::numbers::Numbers;

/// `terminationMessagePolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessagePolicy {
    /// Only the file.
    File,
    /// The log's end where the file is empty and the container failed.
    FallbackToLogsOnError,
}

impl MessagePolicy {
    /// From the manifest's word; absent means File.
    pub fn read(word: Option<&str>) -> MessagePolicy {
        match word {
            Some("FallbackToLogsOnError") => MessagePolicy::FallbackToLogsOnError,
            _ => MessagePolicy::File,
        }
    }
}

/// What `terminated.message` says of a container that ended with `exit_code`.
pub fn termination_message(
    policy: MessagePolicy,
    exit_code: i32,
    found: &TerminationMessage,
    numbers: &Numbers,
) -> Option<String> {
    let (file_bytes, log_bytes) = (bound(numbers.message_file_bytes), bound(numbers.message_log_bytes));
    let text = match (policy, &found.error) {
        _ if !found.file.is_empty() => last_bytes(&found.file, file_bytes),
        (_, Some(error)) => last_bytes(error, file_bytes),
        (MessagePolicy::FallbackToLogsOnError, None) if exit_code != 0 => {
            last_bytes(last_lines(&found.log_tail, bound(numbers.message_log_lines)), log_bytes)
        }
        _ => "",
    };
    (!text.is_empty()).then(|| text.to_owned())
}

/// The start of a message that fits one container's share of what a pod may show.
pub fn share<'a>(message: &'a str, containers: usize, numbers: &Numbers) -> &'a str {
    first_bytes(message, bound(numbers.message_pod_bytes) / containers.max(1))
}

fn bound(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The first bytes, whole characters only (a kubelet cuts within one and JSON then shows U+FFFD).
fn first_bytes(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The last bytes, whole characters only.
fn last_bytes(text: &str, most: usize) -> &str {
    let mut from = text.len().saturating_sub(most);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or_default()
}

/// The last lines; a line end at the very end begins no further line.
fn last_lines(text: &str, most: usize) -> &str {
    let body = text.strip_suffix('\n').unwrap_or(text);
    match body.rmatch_indices('\n').nth(most.saturating_sub(1)) {
        Some((at, _)) => text.get(at + 1..).unwrap_or_default(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_cut_in_two() {
        assert_eq!((first_bytes("aéb", 1), first_bytes("aéb", 2), first_bytes("aéb", 3)), ("a", "a", "aé"));
        assert_eq!((last_bytes("aéb", 1), last_bytes("aéb", 2), last_bytes("aéb", 3)), ("b", "b", "éb"));
        assert_eq!((first_bytes("aéb", 9), last_bytes("aéb", 9)), ("aéb", "aéb"));
    }
}
