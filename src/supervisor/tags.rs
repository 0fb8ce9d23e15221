//! The tags of what the keeper holds for an instance: whoever takes over finds each descriptor by its own.

/// The tag of the control socket among what the keeper holds.
pub const CONTROL_TAG: &str = "control";

/// Before the id, among what the keeper holds: a stage's status pipe.
pub const STATUS_TAG: &str = "status/";

/// The tag of one part of an instance's log among what the keeper holds.
pub fn log_tag(container: &str, attempt: u32, what: &str) -> String {
    format!("log/{container}/{attempt}/{what}")
}

/// The parts, each held under its own tag.
pub const LOG_PARTS: [&str; 5] = ["record", "stdout", "stderr", "stdout-staging", "stderr-staging"];
/// Of a container with a terminal, its master.
pub const TERMINAL_PART: &str = "terminal";

/// The instance whose log this tag is the record of.
pub fn log_of_tag(tag: &str) -> Option<(String, u32)> {
    let (container, rest) = tag.strip_prefix("log/")?.split_once('/')?;
    let attempt = rest.strip_suffix("/record")?.parse().ok()?;
    Some((container.to_owned(), attempt))
}

/// The tag of the environment that an instance was started with.
pub fn environment_tag(container: &str, attempt: u32) -> String {
    format!("environment/{container}/{attempt}")
}

/// The instance whose environment this tag is of.
pub fn environment_of_tag(tag: &str) -> Option<(String, u32)> {
    let (container, attempt) = tag.strip_prefix("environment/")?.split_once('/')?;
    Some((container.to_owned(), attempt.parse().ok()?))
}

/// The tag of the writing end of an instance's standard input.
pub fn stdin_tag(container: &str, attempt: u32) -> String {
    format!("stdin/{container}/{attempt}")
}

/// What the tags of inputs begin with that a first client has taken, whose end is theirs (`stdinOnce`).
pub const STDIN_TAKEN: &str = "stdin-taken/";

/// The tag of such a one.
pub fn stdin_taken_tag(container: &str, attempt: u32) -> String {
    format!("{STDIN_TAKEN}{container}/{attempt}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_back() {
        assert_eq!(log_of_tag(&log_tag("web", 4, "record")), Some(("web".to_owned(), 4)));
        assert_eq!(log_of_tag(&log_tag("web", 4, "stdout")), None);
        assert_eq!(environment_of_tag(&environment_tag("web", 4)), Some(("web".to_owned(), 4)));
        assert_eq!(environment_of_tag(&stdin_tag("web", 4)), None);
        assert!(log_tag(&"a".repeat(63), u32::MAX, "stdout-staging").len() <= 120);
    }
}
