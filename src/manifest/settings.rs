//! podlet's settings file: a `KubeletConfiguration`, read as manifests are, by the same parser, decoder and field table, and
//! with the same diagnostics. Called by [`crate::config`], which gives the values their meaning; nothing here knows what a
//! setting does.

use serde_json::Value as Json;

use super::budget::Budget;
use super::decode;
use super::diagnostic::{Diagnostic, Lines};
use super::document;
use super::fields::{KUBELET_CONFIGURATION, Struct, Type};
use super::node::{Node, Position};
use super::yaml;
use super::yaml_error::Problem;
use super::{Source, treatment};

/// What the file says it is.
pub const KIND: &str = "KubeletConfiguration";
/// Of which version.
pub const API_VERSION: &str = "kubelet.config.k8s.io/v1beta1";

/// A settings file of which every field is known, has the right form, and is one that podlet does not refuse.
pub struct Settings {
    name: String,
    text: String,
    root: Node,
    json: Json,
    /// What is passed over, a line each.
    pub notices: Vec<String>,
}

impl Settings {
    /// A value by its path: `crashLoopBackOff.maxContainerRestartPeriod`.
    pub fn get(&self, path: &str) -> Option<&Json> {
        path.split('.').try_fold(&self.json, |value, name| value.get(name)).filter(|value| !value.is_null())
    }

    /// The line that sets it.
    pub fn line(&self, path: &str) -> u32 {
        self.root.locate(path).line
    }

    /// Something is wrong with a value.
    pub fn fault(&self, path: &str, text: impl Into<String>) -> Diagnostic {
        Diagnostic::new(&self.name, &Lines::new(&self.text), self.root.locate(path), path, text)
    }
}

/// Reads a settings file. An empty one sets nothing.
pub fn read(source: &Source) -> Result<Settings, Vec<Diagnostic>> {
    let one = |problem: Problem, text: &str| {
        vec![Diagnostic::new(&source.name, &Lines::new(text), problem.position, "", problem.text)]
    };
    let text = match document::text_of(&source.bytes) {
        Ok(text) => text,
        Err(problem) => return Err(one(problem, &String::from_utf8_lossy(&source.bytes))),
    };
    let lines = Lines::new(text);
    let mut documents = document::split(text).into_iter().filter(|document| !document.is_empty());
    let first = documents.next();
    if let Some(second) = documents.next() {
        let position = Position { line: second.first_line, column: 1 };
        let text = "a second document; a settings file has one";
        return Err(vec![Diagnostic::new(&source.name, &lines, position, "", text)]);
    }
    let Some(document) = first else {
        let (text, root) = (text.to_owned(), Node::absent());
        return Ok(Settings { name: source.name.clone(), text, root, json: Json::Null, notices: Vec::new() });
    };
    let mut budget = Budget::default();
    let parsed = document
        .check_size()
        .and_then(|()| yaml::parse(document.text, document.first_line, &mut budget))
        .map_err(|problem| one(problem, text))?;
    let root = parsed.root;
    let mut found: Vec<(Position, String, String)> = Vec::new();
    if let Some(position) = parsed.more {
        found.push((position, String::new(), "another document begins here; a settings file has one".to_owned()));
    }
    for twice in &parsed.duplicates {
        let (path, text) = twice.finding();
        found.push((twice.key_position, path, text));
    }
    for (field, expected) in [("kind", KIND), ("apiVersion", API_VERSION)] {
        let written = root.get(field).and_then(Node::as_str);
        if written != Some(expected) {
            let what = written.map_or("nothing".to_owned(), |word| format!("{word:?}"));
            found.push((root.locate(field), field.to_owned(), format!("expected {expected}, found {what}")));
        }
    }
    let decoded = decode::decode(&root, &KUBELET_CONFIGURATION, &mut budget)
        .map_err(|exhausted| vec![Diagnostic::new(&source.name, &lines, root.position, "", exhausted.to_string())])?;
    found.extend(decoded.faults.into_iter().map(|fault| (fault.position, fault.path, fault.text)));
    check_durations(&root, &KUBELET_CONFIGURATION, "", &mut found);
    let review = treatment::review_settings(&root, &KUBELET_CONFIGURATION);
    found.extend(review.refused.into_iter().map(|refusal| (refusal.position, refusal.path, refusal.text)));
    if !found.is_empty() {
        found.sort();
        let diagnostic = |(position, path, text): (Position, String, String)| {
            Diagnostic::new(&source.name, &lines, position, &path, text)
        };
        return Err(found.into_iter().map(diagnostic).collect());
    }
    let mut notices = Vec::new();
    if !review.meaningless.is_empty() {
        notices.push(format!("{}: without meaning for podlet: {}", source.name, review.meaningless.join(", ")));
    }
    notices.extend(review.notices.into_iter().map(|text| format!("{}: {text}", source.name)));
    let told = |(paths, instead): (Vec<String>, &str)| format!("{}: {}: {instead}", source.name, paths.join(", "));
    notices.extend(review.told.into_iter().map(told));
    Ok(Settings { name: source.name.clone(), text: text.to_owned(), root, json: decoded.json, notices })
}

/// Durations are strings to the decoder; that they are durations is seen to here, also of those that mean nothing.
fn check_durations(node: &Node, object: &'static Struct, path: &str, found: &mut Vec<(Position, String, String)>) {
    for row in object.rows {
        let Some(value) = node.get(row.name) else { continue };
        let path = if path.is_empty() { row.name.to_owned() } else { format!("{path}.{}", row.name) };
        match row.kind {
            Type::Text("v1.Duration") => {
                if let Some(Err(error)) = value.as_str().map(crate::duration::parse) {
                    let text = format!("expected a duration such as 10s or 1m30s, found {error}");
                    found.push((value.position, path, text));
                }
            }
            Type::Object(inner) => check_durations(value, inner, &path, found),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEAD: &str = "kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\n";

    fn wrong(text: &str) -> Vec<String> {
        let source = Source { name: "config.yaml".into(), bytes: text.as_bytes().to_vec() };
        let told = read(&source).err().unwrap_or_default();
        told.iter().map(|one| format!("{}:{}: {}: {}", one.line, one.column, one.path, one.text)).collect()
    }

    fn below(text: &str) -> Vec<String> {
        wrong(&format!("{HEAD}{text}"))
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        assert_eq!(
            wrong("seccompDefault: true\n"),
            [
                "1:1: apiVersion: expected kubelet.config.k8s.io/v1beta1, found nothing",
                "1:1: kind: expected KubeletConfiguration, found nothing"
            ]
        );
        assert_eq!(
            below("seccompdefault: true\n"),
            ["3:1: seccompdefault: unknown field (did you mean \"seccompDefault\"?)"]
        );
        assert_eq!(below("seccompDefault: 1\n"), ["3:17: seccompDefault: expected true or false, found the number 1"]);
        assert_eq!(
            below("seccompDefault: true\nseccompDefault: true\n"),
            ["4:1: seccompDefault: set a second time; it was set first at line 3"]
        );
        assert_eq!(
            below("cpuManagerPolicy: static\n"),
            ["3:1: cpuManagerPolicy: cpuManagerPolicy \"static\" is not carried out by podlet yet; take it out"]
        );
        assert_eq!(
            below("crashLoopBackOff: {maxContainerRestartPeriod: 10}\n"),
            ["3:47: crashLoopBackOff.maxContainerRestartPeriod: expected a string, found the number 10; quote it"]
        );
        assert_eq!(
            below("syncFrequency: soon\n"),
            ["3:16: syncFrequency: expected a duration such as 10s or 1m30s, found time: invalid duration \"soon\""]
        );
        assert_eq!(below("---\nkind: Pod\n"), ["3:1: : a second document; a settings file has one"]);
        assert_eq!(wrong("- a\n").len(), 3);
        assert_eq!(wrong("a: [\n").len(), 1);
    }

    #[test]
    fn what_means_nothing_here_is_noted_and_the_rest_can_be_asked_for() {
        let text =
            format!("# mine\n{HEAD}containerLogMaxFiles: 3\nport: 10250\nclusterDNS: [10.0.0.10]\nfailSwapOn: false\n");
        let source = Source { name: "config.yaml".into(), bytes: text.into_bytes() };
        let Ok(settings) = read(&source) else { panic!("it is refused") };
        assert_eq!(settings.get("containerLogMaxFiles"), Some(&Json::from(3)));
        assert_eq!((settings.line("containerLogMaxFiles"), settings.get("seccompDefault")), (4, None));
        assert_eq!(
            settings.notices,
            [
                "config.yaml: without meaning for podlet: port",
                "config.yaml: clusterDNS has no effect here and is passed over"
            ]
        );
    }

    /// The names are those of the types of Kubernetes 1.36 (`k8s.io/kubelet/config/v1beta1` and what it embeds).
    #[test]
    fn every_field_of_a_kubelet_configuration_has_a_row() {
        fn walk(object: &'static Struct, rows: &mut std::collections::BTreeSet<String>) {
            for row in object.rows {
                if rows.insert(format!("{}.{}", object.name, row.name)) {
                    let mut kind = &row.kind;
                    while let Type::List(inner) | Type::Map(_, inner) = kind {
                        kind = inner;
                    }
                    if let Type::Object(inner) = kind {
                        walk(inner, rows);
                    }
                }
            }
        }
        let mut rows = std::collections::BTreeSet::new();
        walk(&KUBELET_CONFIGURATION, &mut rows);
        rows.retain(|row| row != "KubeletConfiguration.podlet" && !row.starts_with("Podlet"));
        let known = include_str!("../../tests/data/kubelet-configuration.txt");
        let known: std::collections::BTreeSet<String> = known.lines().map(str::to_owned).collect();
        assert_eq!(rows, known);
    }
}
