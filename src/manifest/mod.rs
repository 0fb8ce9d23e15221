//! YAML and JSON to typed objects, as the API server takes them: parse with positions, default, validate.
//!
//! ```text
//! bytes ─ document ─▶ text ─ yaml, scalar ─▶ Node ─ decode, fields ─▶ JSON ─▶ typed ─ default ─ validate ─▶ verdict
//!                                                                                   treatment, load ─▶ Loaded
//! ```
//!
//! Form and presence are settled on the tree of [`node::Node`]s, which know their positions; values on the typed
//! object. `cli` calls [`read_sources`] and [`load`] (or [`dry_run`]); nothing here touches a running pod.

pub(crate) mod base64;
mod budget;
pub mod containers;
mod decode;
pub mod default;
mod diagnostic;
mod document;
pub mod field;
pub mod fields;
mod foreign;
mod go;
mod image_tag;
mod load;
pub mod node;
pub mod patch;
pub mod quantity;
pub mod resources;
mod scalar;
pub mod settings;
mod status;
pub mod suggest;
mod treatment;
pub mod tree;
mod unified_diff;
pub mod update;
pub mod validate;
pub mod verdict;
pub mod warning;
pub mod yaml;
mod yaml_error;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Status};

pub use diagnostic::Diagnostic;
pub use load::{dry_run, files_beneath, load, read_sources};
pub use unified_diff::unified_diff;

/// Bytes to be read, and what to call them in messages (`pod.yaml`, `<stdin>`).
#[derive(Clone, Debug)]
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
    /// Documents of kinds that podlet does not keep are faults, and not passed over.
    pub strict: bool,
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

impl Object {
    /// Its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pod(_) => "Pod",
            Self::ConfigMap(_) => "ConfigMap",
            Self::Secret(_) => "Secret",
        }
    }

    /// Its metadata, to be changed.
    pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Pod(pod) => &mut pod.metadata,
            Self::ConfigMap(map) => &mut map.metadata,
            Self::Secret(secret) => &mut secret.metadata,
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Pod(pod) => &pod.metadata,
            Self::ConfigMap(map) => &map.metadata,
            Self::Secret(secret) => &secret.metadata,
        }
    }
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
