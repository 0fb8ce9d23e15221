//! YAML and JSON to typed objects, as the API server takes them: parse with positions, default, validate.
//! (Skeleton: the outward signatures.)

mod base64;
pub mod default;
pub mod field;
pub mod fields;
mod image_tag;
pub mod node;
pub mod quantity;
pub mod resources;
mod scalar;
pub mod validate;
pub mod warning;
mod zero;

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;

/// Bytes to be read, and what to call them in messages (`pod.yaml`, `<stdin>`).
pub struct Source {
    /// The name in messages.
    pub name: String,
    /// The text.
    pub bytes: Vec<u8>,
}

/// What the caller allows.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-n`; objects without a namespace get it, objects with another are refused. `default` when absent.
    pub namespace: Option<String>,
    /// Fields not carried out yet that are to be passed over aloud.
    pub allow_unsupported: Vec<String>,
}

/// One object, defaulted and valid.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A pod.
    Pod(Box<Pod>),
    /// A ConfigMap.
    ConfigMap(Box<ConfigMap>),
    /// A Secret, `stringData` merged into `data`.
    Secret(Box<Secret>),
}

/// What was read, when all of it is good.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// In the order of the documents.
    pub objects: Vec<Object>,
    /// The API server's warnings, each printed as `Warning: …`.
    pub warnings: Vec<String>,
    /// podlet's own notices, a line each.
    pub notices: Vec<String>,
}

/// What was wrong, all of it.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// For people: `file:line:column: path: text` with the source line and a caret, an entry each.
    pub diagnostics: Vec<Diagnostic>,
    /// For programs: the API's Status of the first bad document.
    pub status: Box<Status>,
    /// Warnings that came along.
    pub warnings: Vec<String>,
}

/// One thing that is wrong and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The source's name.
    pub source: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// `spec.containers[0].image`; empty for the document as a whole.
    pub path: String,
    /// What, expected, found, and the way out.
    pub text: String,
    /// The source line, for the caret.
    pub excerpt: String,
}

/// Reads all documents of all sources; nothing is accepted unless everything is good.
pub fn load(sources: &[Source], options: &Options) -> Result<Loaded, Rejected> {
    let _ = (sources, options);
    unimplemented!()
}

/// Reads files, directories (`*.yaml`, `*.yml`, `*.json`, in name order, not below) and `-` for standard input.
pub fn read_sources(names: &[PathBuf]) -> std::io::Result<Vec<Source>> {
    let _ = names;
    unimplemented!()
}
