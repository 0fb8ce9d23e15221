//! Words that fingers know from podman and Docker: what only looks becomes podlet's own word; what changes something is
//! answered with the word that does it ([`super::usage`]).

use std::ffi::OsString;

/// Typed words and what they become. Words behind them stay, but for flags that mean nothing here.
const ALIASES: &[(&[&str], &[&str])] = &[
    (&["ps"], &["get", "pods"]),
    (&["pod", "ps"], &["get", "pods"]),
    (&["pod", "ls"], &["get", "pods"]),
    (&["pod", "list"], &["get", "pods"]),
    (&["container", "ls"], &["get", "pods"]),
    (&["container", "ps"], &["get", "pods"]),
    (&["container", "list"], &["get", "pods"]),
    (&["compose", "ps"], &["get", "pods"]),
    (&["images"], &["image", "ls"]),
    (&["stats"], &["top", "pod"]),
    (&["pod", "stats"], &["top", "pod"]),
    (&["container", "stats"], &["top", "pod", "--containers"]),
    (&["pod", "logs"], &["logs"]),
    (&["container", "logs"], &["logs"]),
    (&["pod", "inspect"], &["get", "-o", "json", "pod"]),
    (&["container", "inspect"], &["get", "-o", "json", "pod"]),
    (&["inspect"], &["get", "-o", "json", "pod"]),
    (&["kube", "play"], &["apply"]),
    (&["play", "kube"], &["apply"]),
    (&["kube", "down"], &["delete", "-f"]),
    (&["down"], &["delete", "-f"]),
];

/// Flags that ask for what podlet does anyway, of what is looked at.
const ALWAYS: &[&str] = &["-a", "--all", "--no-stream"];

/// What `inspect --format` is asked for most, and where it stands in a pod.
const FORMATS: &[(&str, &str)] = &[
    ("{{.State.Status}}", "jsonpath={.status.phase}"),
    ("{{.State.ExitCode}}", "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"),
    ("{{.State.StartedAt}}", "jsonpath={.status.startTime}"),
    ("{{.RestartCount}}", "jsonpath={.status.containerStatuses[0].restartCount}"),
    ("{{.Id}}", "jsonpath={.metadata.uid}"),
    ("{{.Name}}", "jsonpath={.metadata.name}"),
    ("{{.Image}}", "jsonpath={.status.containerStatuses[0].imageID}"),
    ("{{.Config.Image}}", "jsonpath={.spec.containers[0].image}"),
    ("{{.ImageName}}", "jsonpath={.spec.containers[0].image}"),
    ("{{.Config.Labels}}", "jsonpath={.metadata.labels}"),
    ("{{.NetworkSettings.IPAddress}}", "jsonpath={.status.podIP}"),
    ("{{json .}}", "json"),
];

/// The line in podlet's words, and what to say about that; none when it is in them already.
pub fn translated(words: &[OsString]) -> Option<(Vec<OsString>, String)> {
    let typed = |at: usize| words.get(at).and_then(|word| word.to_str());
    let (alias, own) =
        ALIASES.iter().find(|(alias, _)| alias.iter().enumerate().all(|(at, word)| typed(at + 1) == Some(*word)))?;
    let rest = words.get(alias.len() + 1..).unwrap_or_default();
    let looks = matches!(own.first(), Some(&("get" | "top")));
    let mut line: Vec<OsString> = words.first().cloned().into_iter().collect();
    line.extend(own.iter().map(OsString::from));
    let rest = rest.iter().filter(|word| !looks || !word.to_str().is_some_and(|word| ALWAYS.contains(&word))).cloned();
    match alias.last() {
        Some(&"inspect") => inspect(&mut line, rest),
        _ => line.extend(rest),
    }
    let shown: Vec<String> = line.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    Some((line, format!("Note: here that is: podlet {}", shown.join(" "))))
}

/// `--format` asks for a field, in a language of its own; `get` refuses what stands in no table, and says what to use.
fn inspect(line: &mut Vec<OsString>, rest: impl Iterator<Item = OsString>) {
    let mut rest = rest;
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy().into_owned();
        let format = match text.as_str() {
            "-f" | "--format" => rest.next().map(|format| format.to_string_lossy().into_owned()),
            _ => text.strip_prefix("--format=").map(str::to_owned),
        };
        let Some(format) = format else {
            line.push(word);
            continue;
        };
        let bare: String = format.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let bare = bare.replace("{{ ", "{{").replace(" }}", "}}");
        let known = FORMATS.iter().find(|(theirs, _)| *theirs == bare).map(|(_, own)| (*own).to_owned());
        let output = known.unwrap_or_else(|| format!("go-template={format}"));
        if let Some(place) = line.iter_mut().find(|word| word.as_os_str() == "json") {
            *place = output.into();
        }
    }
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
        assert_eq!(line("podlet pod ps -a").as_deref(), Some("podlet get pods"));
        assert_eq!(line("podlet stats --no-stream").as_deref(), Some("podlet top pod"));
        assert_eq!(
            line("podlet inspect --format {{.State.Status}} web").as_deref(),
            Some("podlet get -o jsonpath={.status.phase} pod web")
        );
        assert_eq!(
            line("podlet inspect web -f {{.Foo}}").as_deref(),
            Some("podlet get -o go-template={{.Foo}} pod web")
        );
        assert_eq!(line("podlet get ps"), None);
    }
}
