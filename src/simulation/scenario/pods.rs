//! The pod of a scenario: its file or what stands in place, overlays merged into it, one pod for each combination of the
//! matrix. Every node keeps the place in the file that it comes from, so that what is wrong with the merged pod is told
//! where it stands.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value as Json;

use super::case::Options;
use super::format::{Source as From, Spec};
use super::overlay;
use crate::manifest::node::{Node, Value};
use crate::manifest::verdict::Finding;
use crate::manifest::{self, Diagnostic, Source, patch, tree};

/// Lines of the second, third … file of a merged tree begin here, twice here …: no file has as many.
const STRIDE: u32 = 1 << 26;

/// A pod, and which values of the matrix it has.
pub struct Variant {
    /// Field and value, in the matrix' order.
    pub values: Vec<(String, Json)>,
    /// The pod.
    pub pod: Box<Pod>,
}

/// The files that a scenario is made of.
pub struct Files<'s> {
    /// The scenario's own first.
    sources: Vec<std::borrow::Cow<'s, Source>>,
    directory: PathBuf,
}

impl<'s> Files<'s> {
    /// Those of a scenario in this source.
    pub fn new(source: &'s Source) -> Files<'s> {
        let directory = Path::new(&source.name).parent().map(Path::to_owned).unwrap_or_default();
        Files { sources: vec![std::borrow::Cow::Borrowed(source)], directory }
    }

    /// Findings, each with the lines of the file that it is in.
    pub fn diagnostics(&self, findings: Vec<Finding>) -> Vec<Diagnostic> {
        let one = |mut finding: Finding| {
            let index = (finding.position.line / STRIDE) as usize;
            finding.position.line %= STRIDE;
            let source = self.sources.get(index).or(self.sources.first());
            source.map(|source| tree::diagnostics(source, vec![finding])).unwrap_or_default()
        };
        findings.into_iter().flat_map(one).collect()
    }

    /// The documents of another file.
    fn open(&mut self, path: &str) -> Result<Vec<Node>, Result<String, Vec<Diagnostic>>> {
        let path = self.directory.join(path);
        let sources = match path.is_dir() {
            true => return Err(Ok(format!("{} is a directory: name a file", path.display()))),
            false => manifest::read_sources(&[path]).map_err(|error| Ok(error.to_string()))?,
        };
        let Some(source) = sources.into_iter().next() else { return Ok(Vec::new()) };
        let trees = tree::manifests(&source).map_err(Err)?;
        let by = STRIDE.saturating_mul(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        self.sources.push(std::borrow::Cow::Owned(source));
        Ok(trees.into_iter().map(|tree| shifted(tree, by)).collect())
    }
}

fn shifted(mut node: Node, by: u32) -> Node {
    node.position.line = node.position.line.saturating_add(by);
    match &mut node.value {
        Value::List(items) => {
            items.iter_mut().for_each(|item| *item = shifted(std::mem::replace(item, Node::absent()), by))
        }
        Value::Map(entries) => entries.iter_mut().for_each(|entry| {
            entry.position.line = entry.position.line.saturating_add(by);
            entry.value = shifted(std::mem::replace(&mut entry.value, Node::absent()), by);
        }),
        _ => {}
    }
    node
}

/// Whether a document is a Pod.
pub fn is_pod(node: &&Node) -> bool {
    node.get("kind").and_then(Node::as_str) == Some("Pod")
}

fn finding(node: &Node, path: &str, text: String) -> Finding {
    Finding { position: node.position, path: path.to_owned(), text }
}

/// The pods of a scenario whose tree is `root`; `beside` are the other documents of its file.
pub fn variants(
    root: &Node,
    spec: &Spec,
    beside: &[Node],
    files: &mut Files<'_>,
    options: &Options,
) -> Result<Vec<Variant>, Vec<Diagnostic>> {
    let at = |path: &str| root.get("spec").and_then(|spec| spec.get(path)).unwrap_or(root);
    let mut base = base(at("pod"), spec, beside, files)?;
    for (index, source) in spec.overlays.iter().enumerate() {
        let node = at("overlays").index(index).unwrap_or(root);
        let path = format!("spec.overlays[{index}]");
        match source {
            From::Inline(_) => base = patch::strategic(base, node),
            From::Path(name) => {
                let trees = opened(name, node, &path, files)?;
                base = trees.iter().fold(base, patch::strategic);
            }
        }
    }
    let matrix: Vec<(String, Vec<Node>)> = match options.matrix.is_empty() {
        false => {
            let place = root.position;
            let nodes = |values: &Vec<Json>| values.iter().map(|value| tree::node(value, place)).collect();
            options.matrix.iter().map(|(field, values)| (field.clone(), nodes(values))).collect()
        }
        true => spec.matrix.keys().map(|field| (field.clone(), listed(at("matrix").get(field)))).collect(),
    };
    let mut variants = Vec::new();
    for values in combinations(&matrix) {
        let mut tree = base.clone();
        for (field, value) in &values {
            let path = if field.contains(['.', '[']) { field.clone() } else { format!("spec.{field}") };
            overlay::set(&mut tree, &path, value.clone()).map_err(|error| {
                let path = format!("spec.matrix.{field}");
                files.diagnostics(vec![Finding { position: value.position, path, text: error }])
            })?;
        }
        let pod = pod(tree, options).map_err(|findings| files.diagnostics(findings))?;
        let values = values.into_iter().map(|(field, value)| (field, tree::json(&value))).collect();
        variants.push(Variant { values, pod });
    }
    Ok(variants)
}

fn listed(node: Option<&Node>) -> Vec<Node> {
    match node.map(|node| &node.value) {
        Some(Value::List(items)) => items.clone(),
        _ => Vec::new(),
    }
}

fn combinations(matrix: &[(String, Vec<Node>)]) -> Vec<Vec<(String, Node)>> {
    matrix.iter().fold(vec![Vec::new()], |combinations, (field, values)| {
        let with = |combination: &Vec<(String, Node)>, value: &Node| {
            let mut combination = combination.clone();
            combination.push((field.clone(), value.clone()));
            combination
        };
        combinations.iter().flat_map(|combination| values.iter().map(move |value| with(combination, value))).collect()
    })
}

fn opened(name: &str, node: &Node, path: &str, files: &mut Files<'_>) -> Result<Vec<Node>, Vec<Diagnostic>> {
    files.open(name).map_err(|error| match error {
        Ok(text) => files.diagnostics(vec![finding(node, path, text)]),
        Err(diagnostics) => diagnostics,
    })
}

/// The pod before overlays.
fn base(node: &Node, spec: &Spec, beside: &[Node], files: &mut Files<'_>) -> Result<Node, Vec<Diagnostic>> {
    let (trees, what) = match &spec.pod {
        Some(From::Inline(_)) => return Ok(node.clone()),
        Some(From::Path(name)) => (opened(name, node, "spec.pod", files)?, format!("{name} holds")),
        None => (beside.to_vec(), "the documents beside this one hold".to_owned()),
    };
    let pods: Vec<&Node> = trees.iter().filter(is_pod).collect();
    match pods.as_slice() {
        [pod] => Ok((*pod).clone()),
        [] if spec.pod.is_none() => {
            let text = "required, and not set: a manifest's path, a Pod in place, or a Pod among this file's documents";
            Err(files.diagnostics(vec![finding(node, "spec.pod", text.to_owned())]))
        }
        pods => {
            let text = format!("{what} {} Pods, where there must be one", pods.len());
            Err(files.diagnostics(vec![finding(node, "spec.pod", text)]))
        }
    }
}

/// The typed pod, as it is when it has just been admitted.
fn pod(tree: Node, options: &Options) -> Result<Box<Pod>, Vec<Finding>> {
    let mut pod = tree::pod(tree, options.namespace.as_deref())?;
    admit(&mut pod);
    Ok(pod)
}

/// What a server fills in when it takes a pod; here it is always the same.
pub fn admit(pod: &mut Pod) {
    pod.metadata.uid = Some("00000000-0000-4000-8000-000000000001".to_owned());
    pod.metadata.generation = Some(1);
    pod.metadata.creation_timestamp = jiff::Timestamp::from_second(1_767_225_600).ok().map(Time);
}
