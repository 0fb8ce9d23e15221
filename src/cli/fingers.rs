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

/// What fingers from elsewhere are answered with.
#[derive(Debug, PartialEq, Eq)]
pub enum Finger {
    /// The line in podlet's words, and what to say about that.
    Line(Vec<OsString>, String),
    /// What is missing, in the words that were typed.
    Missing(String),
}

/// What is to be done in place of the line; none when it is in podlet's words already.
pub fn translated(words: &[OsString]) -> Option<Finger> {
    let typed = |at: usize| words.get(at).and_then(|word| word.to_str());
    let (alias, own) =
        ALIASES.iter().find(|(alias, _)| alias.iter().enumerate().all(|(at, word)| typed(at + 1) == Some(*word)))?;
    let rest = words.get(alias.len() + 1..).unwrap_or_default();
    let asked_for_help = rest.iter().any(|word| word == "--help" || word == "-h");
    let says = |rest: &[OsString]| rest.iter().any(|word| word == "-" || !word.to_string_lossy().starts_with('-'));
    let missing = |what: &str| Some(Finger::Missing(format!("podlet {}: {what}", alias.join(" "))));
    let mut line: Vec<OsString> = words.first().cloned().into_iter().collect();
    match own {
        // Of the verb that it becomes, whose flags need no values for that.
        [verb, ..] if asked_for_help => line.extend([OsString::from(verb), "--help".into()]),
        ["delete", ..] => {
            let files = without_filename(rest);
            if !says(&files) {
                return missing("name the manifest whose pods are to end; one by its name: podlet delete pod POD");
            }
            line.extend(own.iter().map(OsString::from));
            line.extend(files);
        }
        // podman's older word for the opposite.
        ["apply"] if rest.iter().any(|word| word == "--down") => {
            line.extend(["delete", "-f"].map(OsString::from));
            line.extend(rest.iter().filter(|word| *word != "--down").cloned());
        }
        [.., "json", "pod"] => match inspect(own, rest) {
            Some(words) if says(rest) => line.extend(words),
            Some(_) => return missing("name a pod"),
            None => return missing("--format needs a template; -o jsonpath='{.status.phase}' prints a field"),
        },
        ["get" | "top" | "image", ..] => {
            line.extend(own.iter().map(OsString::from));
            line.extend(look(own, rest));
        }
        _ => {
            line.extend(own.iter().map(OsString::from));
            line.extend(rest.iter().cloned());
        }
    }
    let shown: Vec<String> = line.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    Some(Finger::Line(line, format!("Note: here that is: podlet {}", shown.join(" "))))
}

/// `down -f FILE` and `down FILE` are the same.
fn without_filename(rest: &[OsString]) -> Vec<OsString> {
    rest.iter().filter(|word| *word != "-f" && *word != "--filename").cloned().collect()
}

/// Flags of what is looked at: `-q` asks for names, `--format` for a template, and some for what is so anyway.
fn look(own: &[&str], rest: &[OsString]) -> Vec<OsString> {
    let mut line = Vec::new();
    let mut rest = rest.iter().filter(|word| !word.to_str().is_some_and(|word| ALWAYS.contains(&word)));
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy();
        match (text.as_ref(), own) {
            ("-q" | "--quiet", ["get", ..]) => line.extend(["-o", "name"].map(OsString::from)),
            ("--format", _) => line.extend(rest.next().map(|format| template(&format.to_string_lossy()))),
            (text, _) if text.starts_with("--format=") => {
                line.push(template(text.strip_prefix("--format=").unwrap_or_default()));
            }
            _ => line.push(word.clone()),
        }
    }
    line
}

/// podlet reads no Go templates, and says what to use.
fn template(format: &str) -> OsString {
    match format {
        "json" => "-ojson".into(),
        format => format!("-ogo-template={format}").into(),
    }
}

/// `--format` asks for a field, in a language of its own; `get` refuses what stands in no table, and says what to use. None
/// when it asks for nothing.
fn inspect(own: &[&str], rest: &[OsString]) -> Option<Vec<OsString>> {
    let mut line: Vec<OsString> = own.iter().map(OsString::from).collect();
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let text = word.to_string_lossy().into_owned();
        let format = match text.as_str() {
            "-f" | "--format" => Some(rest.next()?.to_string_lossy().into_owned()),
            _ => text.strip_prefix("--format=").map(str::to_owned),
        };
        let Some(format) = format else {
            line.push(word.clone());
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
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_looks_is_translated() {
        let line = |typed: &str| {
            let words: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
            translated(&words).map(|finger| match finger {
                Finger::Line(line, _) => line.join(" ".as_ref()).to_string_lossy().into_owned(),
                Finger::Missing(what) => what,
            })
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
        assert_eq!(line("podlet down -f pod.yaml --now").as_deref(), Some("podlet delete -f pod.yaml --now"));
        assert_eq!(line("podlet play kube --down pod.yaml").as_deref(), Some("podlet delete -f pod.yaml"));
        assert_eq!(line("podlet down --help").as_deref(), Some("podlet delete --help"));
        assert_eq!(line("podlet ps -q").as_deref(), Some("podlet get pods -o name"));
        assert_eq!(line("podlet ps --format {{.Names}}").as_deref(), Some("podlet get pods -ogo-template={{.Names}}"));
        assert_eq!(line("podlet images -q").as_deref(), Some("podlet image ls -q"));
        for typed in ["down", "down -f", "kube down --force", "inspect", "inspect -f", "pod inspect --format"] {
            let said = line(&format!("podlet {typed}")).unwrap_or_default();
            let verb = typed.split(" -").next().unwrap_or_default();
            assert!(said.starts_with(&format!("podlet {verb}: ")), "{said}");
        }
        assert_eq!(line("podlet get ps"), None);
    }
}
