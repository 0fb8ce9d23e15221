//! Objects that are there, changed in place: `label`, `annotate`, `set`, `edit`, `replace` and `diff` stand on it. What may
//! change is for the API server's rules ([`crate::manifest::update`]); a pod that runs hears of it through its supervisor.

use serde_json::Value;

use super::apply::change::{self, Change, compare};
use super::apply::{object, pod};
use super::ask::{self, kept_failure};
use super::print::wire;
use super::resource::{Kind, is_name};
use super::targets::Target;
use super::{Caller, Failure, edit, files, stored};
use crate::manifest::field::FieldError;
use crate::manifest::{Object, Options, Source, update, verdict};
use crate::paths::Paths;
use crate::supervisor::kept::{self, Standing};

/// Why an object was not changed.
#[derive(Debug)]
pub enum Refused {
    /// The API server would not have it so.
    Invalid(Vec<FieldError>),
    /// All else.
    Otherwise(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused::Otherwise(failure)
    }
}

impl Refused {
    /// As kubectl says it.
    pub fn failure(self, kind: Kind, name: &str) -> Failure {
        match self {
            Refused::Invalid(errors) => Failure::Text(change::invalid(kind.name(), name, &errors)),
            Refused::Otherwise(failure) => failure,
        }
    }

    /// As it stands within a sentence of kubectl's.
    pub fn message(&self, kind: Kind, name: &str) -> String {
        match self {
            Refused::Invalid(errors) => match verdict::Kind::named(kind.name()) {
                Some(kind) => verdict::refusal(kind, name, errors).message.unwrap_or_default(),
                None => String::new(),
            },
            Refused::Otherwise(Failure::Server { message, .. } | Failure::Error(message)) => message.clone(),
            Refused::Otherwise(other) => other.text().unwrap_or_default(),
        }
    }
}

/// The object as it was last applied; none if there is none.
pub fn read(paths: &Paths, target: &Target) -> Result<Option<Object>, Failure> {
    let Target { kind, namespace, name } = target;
    Ok(match kind {
        Kind::Pod => {
            let Some(claim) = ask::find_claim(paths, namespace, name)? else { return Ok(None) };
            match kept::manifest(paths, &claim.uid).map_err(|e| kept_failure(&e))? {
                Some(pod) => Some(Object::Pod(Box::new(pod))),
                None => kept::see(paths, &claim.uid).map_err(|e| kept_failure(&e))?.map(|mut seen| {
                    if let Some(annotations) = &mut seen.pod.metadata.annotations {
                        annotations.retain(|key, _| !key.starts_with("podlet.dev/"));
                    }
                    seen.pod.status = None;
                    Object::Pod(Box::new(seen.pod))
                }),
            }
        }
        Kind::ConfigMap if is_name(namespace) && is_name(name) => {
            stored::find(paths, *kind, namespace, name)?.map(|map| Object::ConfigMap(Box::new(map)))
        }
        Kind::Secret if is_name(namespace) && is_name(name) => {
            stored::find(paths, *kind, namespace, name)?.map(|secret| Object::Secret(Box::new(secret)))
        }
        Kind::ConfigMap | Kind::Secret => None,
        Kind::Event => return Err(Failure::error("events are kept with their pod and cannot be changed")),
    })
}

/// Why the one may not become the other; nothing when it may.
pub fn judge(old: &Object, new: &Object) -> Vec<FieldError> {
    match (old, new) {
        (Object::Pod(old), Object::Pod(new)) => match compare(old, new) {
            Change::Refused(errors) => errors,
            Change::None | Change::InPlace => Vec::new(),
        },
        (Object::ConfigMap(old), Object::ConfigMap(new)) => update::config_map(new, old),
        (Object::Secret(old), Object::Secret(new)) => update::secret(new, old),
        _ => Vec::new(),
    }
}

/// Puts the new object in the place of the old one of its name, which must be there. What it changes of labels and
/// annotations stays when the manifest is applied again.
pub fn put(new: &Object, caller: &mut Caller<'_>) -> Result<(), Refused> {
    let target = target(new);
    let missing = || Failure::not_found(target.kind.plural(), &target.name);
    let old = read(&caller.paths, &target)?.ok_or_else(missing)?;
    let mut new = new.clone();
    change::note_marks(new.metadata_mut(), old.metadata());
    let new = &new;
    let errors = judge(&old, new);
    if !errors.is_empty() {
        return Err(Refused::Invalid(errors));
    }
    let Object::Pod(new) = new else {
        object::keep_as_it_is(new, false, caller)?;
        return Ok(());
    };
    let claim = ask::find_claim(&caller.paths, &target.namespace, &target.name)?.ok_or_else(missing)?;
    let seen = kept::see(&caller.paths, &claim.uid).map_err(|e| kept_failure(&e))?.ok_or_else(missing)?;
    match seen.standing {
        Standing::Live => drop(pod::change(new, &claim, caller)?),
        Standing::Ended => kept::revise(&caller.paths, &claim, new).map_err(|e| kept_failure(&e))?,
        Standing::Stopped | Standing::Rebooted | Standing::Unattended => {
            let name = &target.name;
            return Err(Refused::Otherwise(Failure::Server {
                reason: "Conflict",
                message: format!("nothing of pods {name:?} runs now; podlet start {name} sets it going again"),
            }));
        }
    }
    Ok(())
}

/// An object as it would be sent, judged as if it came in a file, without what podlet itself writes.
pub fn from_wire(value: &Value, caller: &mut Caller<'_>) -> Result<Object, Failure> {
    let source = Source { name: "object".to_owned(), bytes: value.to_string().into_bytes() };
    let Some(mut object) = files::accept(source, &Options::default(), caller)?.into_iter().next() else {
        return Err(Failure::bad_request("nothing is left of the object"));
    };
    edit::own(&mut object);
    Ok(object)
}

/// Where an object belongs.
pub fn target(object: &Object) -> Target {
    let kind = match object {
        Object::Pod(_) => Kind::Pod,
        Object::ConfigMap(_) => Kind::ConfigMap,
        Object::Secret(_) => Kind::Secret,
    };
    let metadata = object.metadata();
    let namespace = metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
    Target { kind, namespace, name: metadata.name.clone().unwrap_or_default() }
}

/// The object that is there as it would be sent if it were changed so: what only the server writes stays.
pub fn foreseen(live: &Value, new: &Object) -> Value {
    let mut foreseen = live.clone();
    let new = wire::object(new);
    let mut metadata = foreseen.get("metadata").cloned().unwrap_or_default();
    if let Some(metadata) = metadata.as_object_mut() {
        let own = metadata.get("annotations").and_then(Value::as_object).cloned().unwrap_or_default();
        for field in ["labels", "annotations"] {
            metadata.remove(field);
            if let Some(value) = new.pointer(&format!("/metadata/{field}")) {
                metadata.insert(field.to_owned(), value.clone());
            }
        }
        let kept: Vec<_> = own.into_iter().filter(|(key, _)| key.starts_with("podlet.dev/")).collect();
        if !kept.is_empty() {
            let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(serde_json::Map::new()));
            if let Some(annotations) = annotations.as_object_mut() {
                annotations.extend(kept);
            }
        }
    }
    if let (Some(object), Some(new)) = (foreseen.as_object_mut(), new.as_object()) {
        // Set by podlet where the manifest leaves it open, or added by `debug`.
        let own = ["nodeName", "ephemeralContainers"]
            .map(|field| (field, object.get("spec").and_then(|spec| spec.get(field)).cloned()));
        for field in ["spec", "data", "stringData", "binaryData", "immutable", "type"] {
            object.remove(field);
            if let Some(value) = new.get(field) {
                object.insert(field.to_owned(), value.clone());
            }
        }
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
            for (field, value) in own {
                if let Some(value) = value {
                    spec.entry(field).or_insert(value);
                }
            }
        }
        object.insert("metadata".to_owned(), metadata);
    }
    foreseen
}
