//! The API server's verdict on one document: what it would store, or the Status with which it would refuse it.
//!
//! Parse, decode, default, validate, in the server's order and words; podlet's own treatment of fields is no part of
//! it. Called by `load` for each document, and by `apply --dry-run=server` through it.

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Status};
use serde_json::Value as Json;

use super::budget::Budget;
use super::decode::{self, Decoded, Gravity};
use super::document::{self, Document};
use super::field::{ErrorKind, FieldError, quote};
use super::fields::{self, Struct};
use super::node::{Locator, Node, Position, Value};
use super::yaml::{self, Parsed};
use super::yaml_error::Problem;
use super::{Object, default, status, validate, warning};

/// The kinds that podlet reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `v1.Pod`.
    Pod,
    /// `v1.ConfigMap`.
    ConfigMap,
    /// `v1.Secret`.
    Secret,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Pod, Kind::ConfigMap, Kind::Secret];

    /// The word in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    /// The kind of a word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == word)
    }

    /// Its rows in the field table.
    pub fn rows(self) -> &'static Struct {
        match self {
            Self::Pod => &fields::POD,
            Self::ConfigMap => &fields::CONFIG_MAP,
            Self::Secret => &fields::SECRET,
        }
    }
}

/// One thing that is wrong with a document, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub position: Position,
    /// Which field; empty for the document.
    pub path: String,
    /// What.
    pub text: String,
}

/// The verdict on one document.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The object as the server would store it, if it would.
    pub object: Option<Object>,
    /// Everything that is wrong; empty exactly when there is an object.
    pub findings: Vec<Finding>,
    /// The server's refusal.
    pub status: Option<Box<Status>>,
    /// The server's warnings.
    pub warnings: Vec<String>,
}

impl Verdict {
    /// A refusal for one reason.
    pub fn refused(position: Position, path: &str, text: impl Into<String>, status: Status) -> Self {
        let finding = Finding { position, path: path.into(), text: text.into() };
        Self { findings: vec![finding], status: Some(Box::new(status)), ..Self::default() }
    }
}

/// The server's verdict when a body is sent to the address of `kind`; only its first document is read, and it need
/// not say its kind.
pub fn of_body(body: &[u8], kind: Kind, namespace: &str) -> Verdict {
    let unrecognized = |problem: &Problem| unrecognized(problem, kind, body);
    let text = match document::text_of(body) {
        Ok(text) => text,
        Err(problem) => return unrecognized(&problem),
    };
    let Some(document) = document::split(text).first().copied() else { return Verdict::default() };
    let mut budget = Budget::default();
    match document.check_size().and_then(|()| yaml::parse(document.text, document.first_line, &mut budget)) {
        Ok(parsed) => of_tree(&parsed, document, Some(kind), body, namespace, &mut budget),
        Err(problem) => unrecognized(&problem),
    }
}

/// A document that is no tree.
pub fn unrecognized(problem: &Problem, kind: Kind, body: &[u8]) -> Verdict {
    let message = format!(
        "the object provided is unrecognized (must be of type {}): {} ({})",
        kind.name(),
        problem.server,
        status::summary(body)
    );
    Verdict::refused(problem.position, "", problem.text.clone(), status::bad_request(message))
}

/// The verdict on a tree. Without `expected` the tree must say its kind, as kubectl demands.
pub fn of_tree(
    parsed: &Parsed,
    document: Document<'_>,
    expected: Option<Kind>,
    body: &[u8],
    namespace: &str,
    budget: &mut Budget,
) -> Verdict {
    let root = &parsed.root;
    let kind = match kind_of(root, expected, body) {
        Ok(kind) => kind,
        Err(refusal) => return *refusal,
    };
    let decoded = match decode::decode(root, kind.rows(), budget) {
        Ok(decoded) => decoded,
        Err(exhausted) => {
            let text = exhausted.to_string();
            return Verdict::refused(root.position, "", text.clone(), status::bad_request(text));
        }
    };
    let mut verdict = Verdict::default();
    for duplicate in &parsed.duplicates {
        let (path, text) = duplicate.finding();
        verdict.findings.push(Finding { position: duplicate.key_position, path, text });
    }
    for fault in &decoded.faults {
        let finding = Finding { position: fault.position, path: fault.path.clone(), text: fault.text.clone() };
        verdict.findings.push(finding);
    }
    if let Some(words) = status::decoding(&decoded.faults, &parsed.duplicates, document.first_line) {
        let message = format!("{0} in version \"v1\" cannot be handled as a {0}: {words}", kind.name());
        verdict.status = Some(Box::new(status::bad_request(message)));
    }
    judge(kind, decoded, root, namespace, &mut verdict);
    verdict.findings.sort_by_key(|finding| finding.position);
    verdict
}

/// Defaults and validates what has the right form.
fn judge(kind: Kind, decoded: Decoded, root: &Node, namespace: &str, verdict: &mut Verdict) {
    let Decoded { json, faults } = decoded;
    let formless: Vec<&str> =
        faults.iter().filter(|fault| fault.gravity != Gravity::Strict).map(|fault| fault.path.as_str()).collect();
    let outcome = match kind {
        Kind::Pod => typed(json).map(|mut pod: Pod| {
            prepare(&mut pod.metadata, namespace);
            let mut warnings = warning::while_defaulting(&pod);
            default::pod(&mut pod);
            let errors = validate::pod(&pod);
            // Of all else the server warns only when it takes the pod.
            if errors.is_empty() {
                warnings.extend(warning::pod(&pod));
            }
            (Object::Pod(Box::new(pod)), errors, warnings)
        }),
        Kind::ConfigMap => typed(json).map(|mut map: ConfigMap| {
            prepare(&mut map.metadata, namespace);
            default::config_map(&mut map);
            let errors = validate::config_map(&map);
            (Object::ConfigMap(Box::new(map)), errors, Vec::new())
        }),
        Kind::Secret => typed(json).map(|mut secret: Secret| {
            prepare(&mut secret.metadata, namespace);
            default::secret(&mut secret);
            let errors = validate::secret(&secret);
            (Object::Secret(Box::new(secret)), errors, Vec::new())
        }),
    };
    let (object, errors, warnings) = match outcome {
        Ok(outcome) => outcome,
        Err(_) if !formless.is_empty() => return,
        Err(text) => {
            // The field table and the typed object disagree: a fault of podlet's own, told rather than hidden.
            verdict.findings.push(Finding { position: root.position, path: String::new(), text: text.clone() });
            verdict.status.get_or_insert_with(|| Box::new(status::bad_request(text)));
            return;
        }
    };
    let mut places = Locator::new(root);
    verdict.findings.extend(errors.iter().filter(|error| !follows(error, &formless)).map(|error| Finding {
        position: places.locate(&error.path),
        path: error.path.clone(),
        text: error.body(),
    }));
    if verdict.status.is_some() {
        return;
    }
    verdict.warnings = warnings;
    if errors.is_empty() {
        verdict.object = Some(object);
    } else {
        let name = object.metadata().name.as_deref().unwrap_or("");
        verdict.status = Some(Box::new(status::invalid(kind.name(), name, &errors)));
    }
}

/// Whether an error may come of a value that has not the right form, which is left out of the object: it is about that
/// value, about what holds it, about something in it or, since places in a list have moved, about another item. A volume
/// that is left out is not there for its mounts.
fn follows(error: &FieldError, formless: &[&str]) -> bool {
    let within = |path: &str, place: &str| {
        path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    formless.iter().any(|path| {
        let list = path.strip_suffix(']').and_then(|path| path.rsplit_once('[')).map_or(*path, |(list, _)| list);
        let volume = within(path, "spec.volumes") && error.kind == ErrorKind::NotFound;
        path.is_empty() || within(&error.path, list) || within(path, &error.path) || volume
    })
}

fn typed<T: serde::de::DeserializeOwned>(json: Json) -> Result<T, String> {
    serde_json::from_value(json).map_err(|error| format!("podlet could not decode the object: {error}"))
}

/// What a server does to metadata before it validates: its own fields are taken out, the namespace filled, a name made.
fn prepare(metadata: &mut ObjectMeta, namespace: &str) {
    metadata.uid = None;
    metadata.resource_version = None;
    metadata.generation = None;
    metadata.creation_timestamp = None;
    metadata.managed_fields = None;
    if metadata.namespace.as_ref().is_none_or(String::is_empty) {
        metadata.namespace = Some(namespace.to_string());
    }
    let unnamed = metadata.name.as_ref().is_none_or(String::is_empty);
    if let Some(prefix) = metadata.generate_name.as_deref().filter(|prefix| unnamed && !prefix.is_empty()) {
        metadata.name = Some(generated_name(prefix));
    }
}

/// A prefix of at most 58 bytes and five letters by chance (apiserver `names.SimpleNameGenerator`).
fn generated_name(prefix: &str) -> String {
    use std::hash::{BuildHasher, Hasher};
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    const LONGEST: usize = 58;
    let end = (0..=prefix.len().min(LONGEST)).rev().find(|at| prefix.is_char_boundary(*at)).unwrap_or(0);
    let mut name = prefix[..end].to_string();
    // Each RandomState has keys of its own, made from the system's random numbers.
    let mut chance = std::collections::hash_map::RandomState::new().build_hasher().finish();
    for _ in 0..5 {
        name.push(char::from(LETTERS[(chance % 27) as usize]));
        chance /= 27;
    }
    name
}

/// The kind of a tree, or why it has none that can be read.
fn kind_of(root: &Node, expected: Option<Kind>, body: &[u8]) -> Result<Kind, Box<Verdict>> {
    let shown = expected.unwrap_or(Kind::Pod);
    let garbled = |position: Position, path: &str, text: String, server: String| {
        let server = format!("couldn't get version/kind; json parse error: json: cannot unmarshal {server}");
        let mut verdict = unrecognized(&Problem { position, text, server }, shown, body);
        verdict.findings.iter_mut().for_each(|finding| finding.path = path.to_string());
        Box::new(verdict)
    };
    let word_for = |node: &Node| match node.value {
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
        Value::Null => "null",
        _ => "number",
    };
    if !matches!(root.value, Value::Map(_) | Value::Null) {
        let what = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \
                    \"json:\\\"kind,omitempty\\\"\" }";
        let server = format!("{} into Go value of type {what}", word_for(root));
        return Err(garbled(
            root.position,
            "",
            "not a Kubernetes object: expected `apiVersion: v1` and `kind: Pod`".into(),
            server,
        ));
    }
    let word = |field: &'static str| -> Result<&str, Box<Verdict>> {
        match root.get(field) {
            None => Ok(""),
            Some(node) => match &node.value {
                Value::Null => Ok(""),
                Value::String(text) => Ok(text),
                _ => {
                    let server = format!("{} into Go struct field .{field} of type string", word_for(node));
                    Err(garbled(node.position, field, "expected a string; quote it".into(), server))
                }
            },
        }
    };
    let (version, kind) = (word("apiVersion")?, word("kind")?);
    if expected.is_none() && (version.is_empty() || kind.is_empty()) {
        return Err(Box::new(unsaid(root, version.is_empty(), kind.is_empty())));
    }
    let version = if version.is_empty() { "v1" } else { version };
    let kind = if kind.is_empty() { shown.name() } else { kind };
    let place = |field| root.get(field).map_or(root.position, |node| node.position);
    if version.matches('/').count() > 1 {
        let text = format!("{version:?} is no API version: expected v1");
        let server = format!("unexpected GroupVersion string: {version}");
        return Err(Box::new(unrecognized(&Problem { position: place("apiVersion"), text, server }, shown, body)));
    }
    match (version, Kind::named(kind), expected) {
        ("v1", Some(found), None) => Ok(found),
        ("v1", Some(found), Some(wanted)) if found == wanted => Ok(found),
        ("v1", Some(found), Some(wanted)) => {
            let (found, wanted) = (found.name(), wanted.name());
            let message = format!(
                "{found} in version \"v1\" cannot be handled as a {wanted}: converting (v1.{found}) to (core.{wanted}): \
                 unknown conversion"
            );
            let text = format!("expected kind: {wanted}, found {found}");
            Err(Box::new(Verdict::refused(place("kind"), "kind", text, status::bad_request(message))))
        }
        (_, named, _) => {
            let message = format!(
                "{kind} in version {version:?} cannot be handled as a {}: no kind {kind:?} is registered for version \
                 {version:?} in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
                shown.name()
            );
            let field = if named.is_some() { "apiVersion" } else { "kind" };
            let text = format!(
                "no matches for kind {} in version {}: podlet reads Pod, ConfigMap, Secret and List of apiVersion v1{}",
                quote(kind),
                quote(version),
                instead_of(kind)
            );
            Err(Box::new(Verdict::refused(place(field), field, text, status::bad_request(message))))
        }
    }
}

/// What to do with an object of Kubernetes that podlet does not know.
fn instead_of(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicationController" => {
            "; make a Pod of its spec.template"
        }
        "CronJob" => "; make a Pod of its spec.jobTemplate.spec.template",
        "PersistentVolumeClaim" | "PersistentVolume" | "StorageClass" => {
            "; use a hostPath or emptyDir volume, and leave this document out"
        }
        "Service"
        | "Ingress"
        | "Namespace"
        | "ServiceAccount"
        | "NetworkPolicy"
        | "HorizontalPodAutoscaler"
        | "PodDisruptionBudget" => "; it means nothing on one machine: leave this document out",
        _ if Kind::named(kind).is_some() => "; write `apiVersion: v1`",
        _ if kind.eq_ignore_ascii_case("Pod") => "; write `kind: Pod`",
        _ => "",
    }
}

/// A document that does not say what it is.
fn unsaid(root: &Node, no_version: bool, no_kind: bool) -> Verdict {
    let mut missing = Vec::new();
    if no_version {
        missing.push(("apiVersion", "apiVersion: v1"));
    }
    if no_kind {
        missing.push(("kind", "kind: Pod"));
    }
    let words: Vec<_> = missing.iter().map(|(field, _)| format!("{field} not set")).collect();
    let message = format!("error validating data: [{}]", words.join(", "));
    let message = if words.len() == 1 { message.replace(['[', ']'], "") } else { message };
    let is_compose = root.get("services").is_some();
    let compose = if is_compose { " (this looks like a Compose file; podlet runs Pods of Kubernetes)" } else { "" };
    let findings = missing
        .into_iter()
        .map(|(field, example)| Finding {
            position: root.get(field).map_or(root.position, |node| node.position),
            path: field.into(),
            text: format!("not set; write `{example}`{compose}"),
        })
        .collect();
    Verdict { findings, status: Some(Box::new(status::bad_request(message))), ..Verdict::default() }
}

/// A refusal of podlet's own, in the form of the API's.
pub fn refusal(kind: Kind, name: &str, errors: &[FieldError]) -> Box<Status> {
    Box::new(status::invalid(kind.name(), name, errors))
}
