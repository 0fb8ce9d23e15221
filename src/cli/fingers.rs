//! Words that fingers know from podman and Docker: what only looks becomes podlet's own word; what changes something is
//! answered with the word that does it ([`super::usage`]).

use std::ffi::OsString;

/// Typed words and what they become. Words behind them stay, but for flags that mean nothing here.
const ALIASES: &[(&[&str], &[&str])] = &[
    (&["ps"], &["get", "pods"]),
    (&["images"], &["image", "ls"]),
    (&["inspect"], &["get", "-o", "json", "pod"]),
    (&["kube", "play"], &["apply"]),
    (&["play", "kube"], &["apply"]),
    (&["kube", "down"], &["delete", "-f"]),
    (&["down"], &["delete", "-f"]),
];

/// Flags of `ps` that ask for what podlet shows anyway.
const ALL: &[&str] = &["-a", "--all"];

/// The line in podlet's words, and what to say about that; none when it is in them already.
pub fn translated(words: &[OsString]) -> Option<(Vec<OsString>, String)> {
    let typed = |at: usize| words.get(at).and_then(|word| word.to_str());
    let (alias, own) =
        ALIASES.iter().find(|(alias, _)| alias.iter().enumerate().all(|(at, word)| typed(at + 1) == Some(*word)))?;
    let rest = words.get(alias.len() + 1..).unwrap_or_default();
    let is_ps = alias.first() == Some(&"ps");
    let mut line: Vec<OsString> = words.first().cloned().into_iter().collect();
    line.extend(own.iter().map(OsString::from));
    line.extend(rest.iter().filter(|word| !is_ps || !word.to_str().is_some_and(|word| ALL.contains(&word))).cloned());
    let shown: Vec<String> = line.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    Some((line, format!("Note: here that is: podlet {}", shown.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_looks_is_translated() {
        let line = |typed: &str| {
            let words: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
            translated(&words).map(|(line, _)| line.join(" ".as_ref()).to_string_lossy().into_owned())
        };
        assert_eq!(line("podlet ps -a -o wide").as_deref(), Some("podlet get pods -o wide"));
        assert_eq!(line("podlet kube play pod.yaml").as_deref(), Some("podlet apply pod.yaml"));
        assert_eq!(line("podlet down pod.yaml").as_deref(), Some("podlet delete -f pod.yaml"));
        assert_eq!(line("podlet inspect web").as_deref(), Some("podlet get -o json pod web"));
        assert_eq!(line("podlet get ps"), None);
    }
}
