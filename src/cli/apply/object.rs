//! A ConfigMap or Secret is stored: new, in the place of the one of its name, or not at all, as the API server's rules say.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::print::wire;
use super::super::resource::Kind;
use super::super::{Caller, Failure, stored};
use super::change;
use super::outcome::Outcome;
use crate::manifest::field::FieldError;
use crate::manifest::{Object, update};

/// Stores a ConfigMap or Secret; answers what became of it, and it as it is now.
pub fn keep_as_it_is(
    object: &Object,
    replace: bool,
    caller: &mut Caller<'_>,
) -> Result<Option<(Outcome, serde_json::Value)>, Failure> {
    Ok(match object {
        Object::ConfigMap(map) => {
            let mut map = (**map).clone();
            let outcome =
                store(Kind::ConfigMap, &mut map, |map| &mut map.metadata, update::config_map, replace, caller)?;
            Some((outcome, wire::config_map(&map)))
        }
        Object::Secret(secret) => {
            let mut secret = (**secret).clone();
            let outcome =
                store(Kind::Secret, &mut secret, |secret| &mut secret.metadata, update::secret, replace, caller)?;
            Some((outcome, wire::secret(&secret)))
        }
        Object::Pod(_) => None,
    })
}

/// Whether two objects are the same but for what podlet itself writes into metadata.
pub fn same_object(old: &impl Serialize, new: &impl Serialize) -> bool {
    let plain = |object: serde_json::Result<serde_json::Value>| {
        let mut object = object.ok()?;
        let metadata = object.get_mut("metadata")?.as_object_mut()?;
        for own in ["uid", "creationTimestamp", "resourceVersion"] {
            metadata.remove(own);
        }
        Some(object)
    };
    plain(serde_json::to_value(old)) == plain(serde_json::to_value(new))
}

fn store<T: Serialize + DeserializeOwned>(
    kind: Kind,
    object: &mut T,
    metadata: impl Fn(&mut T) -> &mut ObjectMeta,
    refusal: impl Fn(&T, &T) -> Vec<FieldError>,
    replace: bool,
    caller: &mut Caller<'_>,
) -> Result<Outcome, Failure> {
    let of_new = metadata(object);
    let name = of_new.name.clone().unwrap_or_default();
    let namespace = of_new.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let old: Option<T> = stored::find(&caller.paths, kind, &namespace, &name)?;
    let outcome = match &old {
        None => Outcome::Created,
        Some(old) if same_object(old, object) => Outcome::Unchanged,
        Some(old) => match refusal(object, old) {
            errors if errors.is_empty() => Outcome::Configured,
            _ if replace => Outcome::Replaced,
            errors => {
                let invalid = change::invalid(kind.name(), &name, &errors);
                let text = format!("{invalid}\nTo put the new one in its place: podlet apply --replace");
                return Err(Failure::Text(text));
            }
        },
    };
    match old {
        Some(mut old) if outcome != Outcome::Replaced => {
            let of_old = metadata(&mut old).clone();
            let of_new = metadata(object);
            (of_new.creation_timestamp, of_new.uid) = (of_old.creation_timestamp, of_old.uid);
        }
        _ => {
            // To the second, as the API server has it.
            let now = jiff::Timestamp::from_second(caller.now().as_second()).unwrap_or_default();
            metadata(object).creation_timestamp = Some(Time(now));
            metadata(object).uid = Some(new_uid()?);
        }
    }
    if outcome == Outcome::Unchanged {
        return Ok(outcome);
    }
    stored::store(&caller.paths, kind, &namespace, &name, object)?;
    for line in stored::tell_pods(&caller.paths, kind, &namespace, &name) {
        caller.notice(&format!("Note: {line}"));
    }
    Ok(outcome)
}

/// The kernel makes random UUIDs.
fn new_uid() -> Result<String, Failure> {
    let path = "/proc/sys/kernel/random/uuid";
    let uid =
        std::fs::read_to_string(path).map_err(|error| Failure::Error(format!("could not read {path}: {error}")))?;
    Ok(uid.trim().to_owned())
}
