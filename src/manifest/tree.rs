//! Documents that are no objects of Kubernetes, as trees: scenarios, and the pods that stand in them.
//!
//! `simulation` calls it. The same parser, positions and verdict as for manifests, without what belongs to a list of objects.

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value as Json;

use super::budget::Budget;
use super::diagnostic::{Diagnostic, Lines};
use super::document::{self, Document};
use super::foreign::{self, Fate};
use super::load;
use super::node::{Node, Value};
use super::verdict::{self, Finding, Kind};
use super::yaml::{self, Parsed};
use super::{Object, Source, decode};

/// The trees of all documents of a source that hold anything, or what is wrong with its form.
pub fn trees(source: &Source) -> Result<Vec<Node>, Vec<Diagnostic>> {
    let mut findings = Vec::new();
    let mut trees = Vec::new();
    let text = match document::text_of(&source.bytes) {
        Ok(text) => text,
        Err(problem) => {
            let finding = Finding { position: problem.position, path: String::new(), text: problem.text };
            return Err(diagnostics(source, vec![finding]));
        }
    };
    let mut budget = Budget::default();
    for document in document::split(text).into_iter().filter(|document| !document.is_empty()) {
        let read = document.check_size().and_then(|()| yaml::parse(document.text, document.first_line, &mut budget));
        match read {
            Ok(Parsed { root, duplicates, more }) => {
                findings.extend(duplicates.iter().map(|duplicate| {
                    let (path, text) = duplicate.finding();
                    Finding { position: duplicate.key_position, path, text }
                }));
                findings.extend(more.map(|position| Finding {
                    position,
                    path: String::new(),
                    text: "another document begins here, after `...`; begin it with a `---` line".to_owned(),
                }));
                if !root.is_null() {
                    trees.push(root);
                }
            }
            Err(problem) => {
                findings.push(Finding { position: problem.position, path: String::new(), text: problem.text });
            }
        }
    }
    if findings.is_empty() { Ok(trees) } else { Err(diagnostics(source, findings)) }
}

/// The same, each item of a List as a document of its own, and of a Deployment, a Job and their like the pod that `apply` makes of
/// the template.
pub fn manifests(source: &Source) -> Result<Vec<Node>, Vec<Diagnostic>> {
    let (mut found, mut findings) = (Vec::new(), Vec::new());
    for root in trees(source)? {
        spread(root, &mut found, &mut findings);
    }
    if findings.is_empty() { Ok(found) } else { Err(diagnostics(source, findings)) }
}

/// Lists nest no deeper than documents do.
fn spread(root: Node, found: &mut Vec<Node>, findings: &mut Vec<Finding>) {
    if load::list_of(&root).is_some() {
        if let Some(Node { value: Value::List(items), .. }) = root.get("items") {
            items.iter().for_each(|item| spread(item.clone(), found, findings));
        }
        return;
    }
    match foreign::fate(&root) {
        Fate::Pod { root, .. } => found.push(root),
        Fate::Own | Fate::Passed { .. } => found.push(root),
        Fate::Refused { position, error } => {
            findings.push(Finding { position, path: error.path.clone(), text: error.body() });
        }
    }
}

/// Findings with their lines of the source.
pub fn diagnostics(source: &Source, findings: Vec<Finding>) -> Vec<Diagnostic> {
    let text = String::from_utf8_lossy(&source.bytes);
    let lines = Lines::new(&text);
    let told = |finding: Finding| Diagnostic::new(&source.name, &lines, finding.position, &finding.path, finding.text);
    findings.into_iter().map(told).collect()
}

/// A tree as plain JSON.
pub fn json(node: &Node) -> Json {
    decode::raw(node)
}

/// What stands there, in words.
pub fn in_words(node: &Node) -> String {
    decode::found(node)
}

/// Plain JSON as a tree all of which stands at one place.
pub fn node(value: &Json, position: super::node::Position) -> Node {
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::Uint(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::String(text.as_str().into()),
        Json::Array(items) => Value::List(items.iter().map(|item| node(item, position)).collect()),
        Json::Object(map) => Value::Map(
            map.iter()
                .map(|(key, value)| super::node::Entry {
                    key: key.as_str().into(),
                    position,
                    value: node(value, position),
                })
                .collect(),
        ),
    };
    Node { position, value }
}

/// A pod, defaulted and valid, or what is wrong with it: an API server's verdict. What podlet can carry out on this machine is
/// asked by nobody, as nothing is to be run.
pub fn pod(root: Node, namespace: Option<&str>) -> Result<Box<Pod>, Vec<Finding>> {
    let parsed = Parsed { root, duplicates: Vec::new(), more: None };
    let namespace = namespace.unwrap_or("default");
    let nowhere = Document { text: "", first_line: 1 };
    let judged = verdict::of_tree(&parsed, nowhere, Some(Kind::Pod), b"{}", namespace, &mut Budget::default());
    match judged.object {
        Some(Object::Pod(pod)) if judged.findings.is_empty() => Ok(pod),
        _ => Err(judged.findings),
    }
}
