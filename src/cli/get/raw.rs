//! `podlet get --raw PATH`: what an API server answers for a path, of what podlet keeps. Scripts read it where they would have a
//! library for the API. One line of JSON.

use serde_json::{Value, json};

use super::super::ask::{self, Object};
use super::super::resource::Kind;
use super::super::select::Selector;
use super::super::version::KUBERNETES;
use super::super::{Caller, Failure};
use super::Words;

const KINDS: [Kind; 4] = [Kind::ConfigMap, Kind::Event, Kind::Pod, Kind::Secret];

/// Answers.
pub fn run(path: &str, words: &Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    if !words.resources.is_empty() {
        return Err(Failure::error("arguments may not be passed when --raw is specified"));
    }
    let filters = words.selector.is_some() || words.field_selector.is_some() || words.sort_by.is_some();
    if filters || words.watch || words.watch_only || !words.label_columns.is_empty() || !words.filenames.is_empty() {
        return Err(Failure::error(
            "--raw may not be specified with other flags that filter the server request or alter the output",
        ));
    }
    if words.output.as_deref().is_some_and(|output| !output.is_empty()) {
        return Err(Failure::error("--raw and --output are mutually exclusive"));
    }
    if !path.starts_with('/') {
        return Err(Failure::Error(format!("--raw must be a valid URL path: parse {path:?}: invalid URI for request")));
    }
    if path.contains('?') {
        return Err(Failure::error("podlet answers --raw for paths without a query; -l and --field-selector select"));
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let value = match parts.as_slice() {
        ["healthz" | "livez" | "readyz"] => {
            caller.print("ok")?;
            return Ok(0);
        }
        ["version"] => version(),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"]}),
        ["apis"] => json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}),
        ["api", "v1"] => resources(),
        ["api", "v1", kind] => list(kind, None, caller)?,
        ["api", "v1", "namespaces", namespace, kind] => list(kind, Some(namespace), caller)?,
        ["api", "v1", "namespaces", namespace, kind, name] => one(kind, namespace, name, caller)?,
        ["api", "v1", "namespaces", namespace, "pods", name, part] if is_part(Kind::Pod, part) => {
            one("pods", namespace, name, caller)?
        }
        _ => return Err(not_there()),
    };
    caller.print(&format!("{value}\n"))?;
    Ok(0)
}

/// Whether objects of a kind have this subresource to be read.
pub fn is_part(kind: Kind, subresource: &str) -> bool {
    kind == Kind::Pod && matches!(subresource, "status" | "resize" | "ephemeralcontainers")
}

/// What an API server says of a path that it does not have.
pub fn not_there() -> Failure {
    Failure::Server { reason: "NotFound", message: "the server could not find the requested resource".to_owned() }
}

fn kind_of(plural: &str) -> Result<Kind, Failure> {
    KINDS.into_iter().find(|kind| kind.plural() == plural).ok_or_else(not_there)
}

fn list(plural: &str, namespace: Option<&str>, caller: &Caller<'_>) -> Result<Value, Failure> {
    let kind = kind_of(plural)?;
    let objects = ask::list(&caller.paths, kind, namespace, &Selector::default())?;
    // The list says what its items are.
    let bare = |object: &Object| {
        let mut item = object.wire().clone();
        if let Some(fields) = item.as_object_mut() {
            fields.retain(|name, _| name != "kind" && name != "apiVersion");
        }
        item
    };
    let items: Vec<Value> = objects.iter().map(bare).collect();
    Ok(json!({"kind": format!("{}List", kind.name()), "apiVersion": "v1", "metadata": {}, "items": items}))
}

fn one(plural: &str, namespace: &str, name: &str, caller: &Caller<'_>) -> Result<Value, Failure> {
    let kind = kind_of(plural)?;
    let found = ask::find(&caller.paths, kind, namespace, name)?;
    found.map(|object| object.wire().clone()).ok_or_else(|| Failure::not_found(plural, name))
}

fn version() -> Value {
    let (major, minor) = KUBERNETES.split_once('.').unwrap_or((KUBERNETES, ""));
    json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("v{KUBERNETES}.0+podlet-{}", crate::VERSION),
        "platform": format!("{}/{}", std::env::consts::OS, crate::image::architecture()),
    })
}

fn resources() -> Value {
    let resource = |kind: &Kind| {
        let mut resource = json!({
            "name": kind.plural(), "singularName": kind.singular(), "namespaced": true, "kind": kind.name(),
            "verbs": ["get", "list"],
        });
        if let (short, Some(fields)) = (kind.short(), resource.as_object_mut())
            && !short.is_empty()
        {
            fields.insert("shortNames".to_owned(), json!([short]));
        }
        resource
    };
    let all: Vec<Value> = KINDS.iter().map(resource).collect();
    json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": all})
}
