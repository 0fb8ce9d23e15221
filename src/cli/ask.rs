//! What podlet knows of objects: pods from their supervisors or from kept state, ConfigMaps and Secrets from the store,
//! events from the pods that they are about. Reads only.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::Failure;
use super::apply::change::MARKS;
use super::print::wire;
use super::resource::{Kind, is_name, pod_name};
use super::select::Selector;
use crate::paths::Paths;
use crate::supervisor::PROGRAM;
use crate::supervisor::kept::{self, Claim, KeptError, Seen};

use super::stored;

/// One object of any kind.
#[derive(Clone, Debug)]
pub struct Object {
    /// Typed.
    pub typed: Typed,
    /// [`Object::wire`], once it was asked for: a table of hundreds does without.
    wire: OnceCell<Value>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
}

/// One object, typed.
#[derive(Clone, Debug)]
pub enum Typed {
    /// With its events.
    Pod(Box<Seen>),
    /// A ConfigMap.
    ConfigMap(Box<ConfigMap>),
    /// A Secret.
    Secret(Box<Secret>),
    /// An event.
    Event(Box<Event>),
}

impl Object {
    /// A pod. Which podlet runs it is said where that is another one.
    pub fn pod(mut seen: Seen) -> Object {
        if let Some(annotations) = &mut seen.pod.metadata.annotations {
            annotations.retain(|key, version| key != PROGRAM || version != crate::VERSION);
        }
        hide_marks(&mut seen.pod.metadata);
        Object {
            wire: OnceCell::new(),
            labels: seen.pod.metadata.labels.clone().unwrap_or_default(),
            typed: Typed::Pod(Box::new(seen)),
        }
    }

    /// An event.
    pub fn event(event: Event) -> Object {
        Object {
            wire: OnceCell::new(),
            labels: event.metadata.labels.clone().unwrap_or_default(),
            typed: Typed::Event(Box::new(event)),
        }
    }

    fn config_map(mut map: ConfigMap) -> Object {
        hide_marks(&mut map.metadata);
        Object {
            wire: OnceCell::new(),
            labels: map.metadata.labels.clone().unwrap_or_default(),
            typed: Typed::ConfigMap(Box::new(map)),
        }
    }

    fn secret(mut secret: Secret) -> Object {
        hide_marks(&mut secret.metadata);
        Object {
            wire: OnceCell::new(),
            labels: secret.metadata.labels.clone().unwrap_or_default(),
            typed: Typed::Secret(Box::new(secret)),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self.typed {
            Typed::Pod(_) => Kind::Pod,
            Typed::ConfigMap(_) => Kind::ConfigMap,
            Typed::Secret(_) => Kind::Secret,
            Typed::Event(_) => Kind::Event,
        }
    }

    /// As the API server would send it.
    pub fn wire(&self) -> &Value {
        self.wire.get_or_init(|| match &self.typed {
            Typed::Pod(seen) => wire::pod(&seen.pod),
            Typed::ConfigMap(map) => wire::config_map(map),
            Typed::Secret(secret) => wire::secret(secret),
            Typed::Event(event) => wire::event(event),
        })
    }

    fn metadata(&self) -> &ObjectMeta {
        match &self.typed {
            Typed::Pod(seen) => &seen.pod.metadata,
            Typed::ConfigMap(map) => &map.metadata,
            Typed::Secret(secret) => &secret.metadata,
            Typed::Event(event) => &event.metadata,
        }
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`.
    pub fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }
}

/// Who set a label is podlet's own book-keeping.
fn hide_marks(metadata: &mut ObjectMeta) {
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(MARKS);
    }
    metadata.annotations.take_if(|annotations| annotations.is_empty());
}

/// Kept state that cannot be read is the server's failure, as far as a user of kubectl's words goes.
pub fn kept_failure(error: &KeptError) -> Failure {
    Failure::Server { reason: "InternalError", message: error.to_string() }
}

/// The pod of this name.
pub fn pod(paths: &Paths, namespace: &str, name: &str) -> Result<Seen, Failure> {
    find_pod(paths, namespace, name)?.ok_or_else(|| Failure::not_found("pods", name))
}

/// The pod of this name, if there is one.
pub fn find_pod(paths: &Paths, namespace: &str, name: &str) -> Result<Option<Seen>, Failure> {
    match find_claim(paths, namespace, name)? {
        Some(claim) => kept::see(paths, &claim.uid).map_err(|e| kept_failure(&e)),
        None => Ok(None),
    }
}

/// Who has this name, if anybody has.
pub fn find_claim(paths: &Paths, namespace: &str, name: &str) -> Result<Option<Claim>, Failure> {
    if !is_name(namespace) || !is_name(name) {
        return Ok(None);
    }
    let uid = kept::find(paths, namespace, name).map_err(|e| kept_failure(&e))?;
    Ok(uid.map(|uid| Claim { namespace: namespace.to_owned(), name: name.to_owned(), uid }))
}

/// The pods that the words of a verb for pods name (`web`, `pod/web`), all of which must be there.
pub fn named(paths: &Paths, namespace: &str, words: &[String]) -> Result<Vec<Claim>, Failure> {
    let claim = |word: &String| {
        let name = pod_name(word)?;
        find_claim(paths, namespace, &name)?.ok_or_else(|| Failure::not_found("pods", &name))
    };
    words.iter().map(claim).collect()
}

/// All names that pods have, of a namespace or of all.
pub fn claims(paths: &Paths, namespace: Option<&str>) -> Result<Vec<Claim>, Failure> {
    if namespace.is_some_and(|n| !is_name(n)) {
        return Ok(Vec::new());
    }
    kept::list(paths, namespace).map_err(|e| kept_failure(&e))
}

/// Looks that are under way at once: most of one is waiting for the supervisor that answers.
const LOOKS: usize = 8;
/// Fewer pods than this are not worth a thread.
const FEW: usize = 4;

/// All pods of a namespace, or of all, in the order of namespace and name, each as `into` makes it.
fn all_pods<T: Send>(
    paths: &Paths,
    namespace: Option<&str>,
    into: impl Fn(Seen) -> T + Sync,
) -> Result<Vec<T>, Failure> {
    let claims = claims(paths, namespace)?;
    // One that has gone since the list was made is not there.
    let look = |claim: &Claim| Ok(kept::see(paths, &claim.uid)?.map(&into));
    let look_at = |claims: &[Claim]| claims.iter().map(look).collect::<Result<Vec<Option<T>>, KeptError>>();
    let share = claims.len().div_ceil(LOOKS).max(FEW);
    let looks: Vec<Result<Vec<Option<T>>, KeptError>> = std::thread::scope(|scope| {
        let mut shares = claims.chunks(share);
        let first = shares.next().unwrap_or_default();
        let others: Vec<_> = shares.map(|claims| scope.spawn(|| look_at(claims))).collect();
        let first = [look_at(first)].into_iter();
        // A thread that panics ends the whole program.
        first.chain(others.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Ok(Vec::new())))).collect()
    });
    let mut pods = Vec::new();
    for seen in looks {
        pods.extend(seen.map_err(|error| kept_failure(&error))?.into_iter().flatten());
    }
    Ok(pods)
}

/// All pods of a namespace, or of all, in the order of namespace and name.
pub fn pods(paths: &Paths, namespace: Option<&str>) -> Result<Vec<Seen>, Failure> {
    all_pods(paths, namespace, |seen| seen)
}

/// All events of a namespace, or of all, in the order of namespace and name.
pub fn events(paths: &Paths, namespace: Option<&str>) -> Result<Vec<Event>, Failure> {
    let mut events: Vec<Event> = pods(paths, namespace)?.into_iter().flat_map(|seen| seen.events).collect();
    events.sort_by(|a, b| (&a.metadata.namespace, &a.metadata.name).cmp(&(&b.metadata.namespace, &b.metadata.name)));
    Ok(events)
}

/// The objects of one kind that a selector chooses.
pub fn list(paths: &Paths, kind: Kind, namespace: Option<&str>, selector: &Selector) -> Result<Vec<Object>, Failure> {
    let mut objects: Vec<Object> = match kind {
        Kind::Pod => all_pods(paths, namespace, Object::pod)?,
        Kind::Event => events(paths, namespace)?.into_iter().map(Object::event).collect(),
        Kind::ConfigMap => stored::list(paths, kind, namespace)?.into_iter().map(Object::config_map).collect(),
        Kind::Secret => stored::list(paths, kind, namespace)?.into_iter().map(Object::secret).collect(),
    };
    objects.retain(|object| selector.matches(&object.labels, || object.wire()));
    Ok(objects)
}

/// One object by name.
pub fn find(paths: &Paths, kind: Kind, namespace: &str, name: &str) -> Result<Option<Object>, Failure> {
    if !is_name(namespace) || !is_name(name) {
        return Ok(None);
    }
    Ok(match kind {
        Kind::Pod => find_pod(paths, namespace, name)?.map(Object::pod),
        Kind::Event => {
            let mut events = events(paths, Some(namespace))?;
            let at = events.iter().position(|event| event.metadata.name.as_deref() == Some(name));
            at.map(|at| Object::event(events.swap_remove(at)))
        }
        Kind::ConfigMap => stored::find(paths, kind, namespace, name)?.map(Object::config_map),
        Kind::Secret => stored::find(paths, kind, namespace, name)?.map(Object::secret),
    })
}

/// The names of a pod's containers in the order in which kubectl lists them, and what kind each is.
pub fn container_names(pod: &Pod) -> Vec<(String, &'static str)> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let mut names: Vec<(String, &'static str)> = spec.containers.iter().map(|c| (c.name.clone(), "")).collect();
    names.extend(spec.init_containers.iter().flatten().map(|c| (c.name.clone(), " (init)")));
    names.extend(spec.ephemeral_containers.iter().flatten().map(|c| (c.name.clone(), " (ephem)")));
    names
}
