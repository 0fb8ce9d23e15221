//! `--raw PATH` of `get`, `create`, `replace` and `delete`: what an API server does and answers for a path, of what podlet keeps.
//! Scripts use it where they would have a library for the API. One line of JSON.

use serde_json::{Value, json};

use super::ask::{self, Object};
use super::ending::Way;
use super::everywhere::Everywhere;
use super::files;
use super::replace::{make, usual_choices};
use super::resource::Kind;
use super::revision;
use super::select::Selector;
use super::subresource::{self, Part};
use super::version::KUBERNETES;
use super::{Caller, Failure, delete};
use crate::manifest::{self, Options, Source};

const KINDS: [Kind; 4] = [Kind::ConfigMap, Kind::Event, Kind::Pod, Kind::Secret];

/// The parts of a path. Queries are for verbs' own flags.
fn parts(path: &str) -> Result<Vec<&str>, Failure> {
    if !path.starts_with('/') {
        return Err(Failure::Error(format!("--raw must be a valid URL path: parse {path:?}: invalid URI for request")));
    }
    if path.contains('?') {
        return Err(Failure::error("podlet answers --raw for paths without a query; -l and --field-selector select"));
    }
    Ok(path.trim_matches('/').split('/').collect())
}

fn answer(value: &Value, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    caller.print(&format!("{value}\n"))?;
    Ok(0)
}

/// `get --raw`.
pub fn get(path: &str, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let value = match parts(path)?.as_slice() {
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
    answer(&value, caller)
}

/// `create --raw`: POST.
pub fn post(path: &str, source: Source, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let parts = parts(path)?;
    let ["api", "v1", "namespaces", namespace, plural] = parts.as_slice() else { return Err(not_there()) };
    let object = sent(source, kind_of(plural)?, namespace, caller)?;
    let choices = usual_choices(everywhere, caller)?;
    make(&object, &choices, caller)?;
    let name = object.metadata().name.clone().unwrap_or_default();
    answer(&one(plural, namespace, &name, caller)?, caller)
}

/// `replace --raw`: PUT.
pub fn put(path: &str, source: Source, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let parts = parts(path)?;
    let (plural, namespace, name, part) = match parts.as_slice() {
        ["api", "v1", "namespaces", namespace, plural, name] => (plural, namespace, name, Part::Whole),
        ["api", "v1", "namespaces", namespace, plural @ "pods", name, "resize"] => {
            (plural, namespace, name, Part::Resources)
        }
        _ => return Err(not_there()),
    };
    let kind = kind_of(plural)?;
    let mut object = sent(source, kind, namespace, caller)?;
    let found = object.metadata().name.clone().unwrap_or_default();
    if found != *name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({found}) does not match the name on the URL ({name})"
        )));
    }
    if part == Part::Resources {
        object = subresource::resized(&object, caller)?;
    }
    revision::put(&object, caller).map_err(|refused| refused.failure(kind, name))?;
    answer(&one(plural, namespace, name, caller)?, caller)
}

/// `delete --raw`: DELETE, with the options of a body if there is one.
pub fn delete(path: &str, body: Option<Source>, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let parts = parts(path)?;
    let ["api", "v1", "namespaces", namespace, plural, name] = parts.as_slice() else { return Err(not_there()) };
    let kind = kind_of(plural)?;
    let grace_seconds = match body.filter(|body| !body.bytes.is_empty()) {
        None => None,
        Some(body) => {
            let options: Value = serde_json::from_slice(&body.bytes)
                .map_err(|error| Failure::bad_request(format!("the options are not JSON: {error}")))?;
            options.get("gracePeriodSeconds").and_then(Value::as_i64).filter(|grace| *grace >= 0)
        }
    };
    let before = one(plural, namespace, name, caller)?;
    let way = Way { grace_seconds, force: grace_seconds == Some(0) };
    delete::object(kind, namespace, name, way, caller)?;
    // A pod that has its grace is still there, and says so.
    let after = ask::find(&caller.paths, kind, namespace, name)?.filter(|_| kind == Kind::Pod);
    answer(
        &after.map_or_else(
            || {
                let uid = before.pointer("/metadata/uid").cloned().unwrap_or_default();
                let details = json!({"name": name, "kind": plural, "uid": uid});
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
            },
            |after| after.wire().clone(),
        ),
        caller,
    )
}

/// The object that is sent to a path.
fn sent(source: Source, kind: Kind, namespace: &str, caller: &mut Caller<'_>) -> Result<manifest::Object, Failure> {
    let options = Options { namespace: Some(namespace.to_owned()), ..Options::default() };
    let mut objects = files::accept(source, &options, caller)?;
    match (objects.pop(), objects.is_empty()) {
        (Some(object), true) if object.kind() == kind.name() => Ok(object),
        (Some(object), true) => Err(Failure::bad_request(format!(
            "{} in version \"v1\" cannot be handled as a {}",
            object.kind(),
            kind.name()
        ))),
        _ => Err(Failure::bad_request("one object is to be sent")),
    }
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
            "verbs": if *kind == Kind::Event { json!(["get", "list"]) } else { json!(["create", "delete", "get", "list", "update"]) },
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
