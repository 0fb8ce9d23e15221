//! Documents of a cluster that are no pods: of a Deployment, a Job and their like the template runs as one pod; what means
//! nothing on one machine is passed over. And what a cluster has put into a pod that was asked back from it (`get -o yaml`).
//!
//! Called by `load` on the tree, before anything is judged; each change has a notice, which `load` tells.

use super::field::FieldError;
use super::node::{Entry, Node, Position, Value};
use super::verdict;

/// What becomes of a document.
#[derive(Debug, PartialEq)]
pub enum Fate {
    /// It is judged as it is.
    Own,
    /// It is judged as this pod.
    Pod {
        /// The pod.
        root: Node,
        /// Where its template stands in the document; nothing when it is a pod already.
        prefix: &'static str,
        /// What is to be said of it.
        notices: Vec<String>,
    },
    /// It is passed over.
    Passed {
        /// Why.
        why: &'static str,
    },
    /// It would be one of those, but cannot be.
    Refused {
        /// Where.
        position: Position,
        /// Why.
        error: FieldError,
    },
}

/// A kind that makes pods of a template.
struct Workload {
    kind: &'static str,
    version: &'static str,
    /// Where the template is.
    template: &'static str,
    /// The restart policies that it takes; the first is what an absent one means, if that is allowed.
    policies: &'static [&'static str],
    /// What stands behind its name in that of the pod.
    ordinal: &'static str,
}

const LONG_RUNNING: &[&str] = &["Always"];
const TO_AN_END: &[&str] = &["OnFailure", "Never"];

const WORKLOADS: &[Workload] = &[
    workload("Deployment", "apps/v1", "spec.template", LONG_RUNNING, ""),
    workload("ReplicaSet", "apps/v1", "spec.template", LONG_RUNNING, ""),
    workload("DaemonSet", "apps/v1", "spec.template", LONG_RUNNING, ""),
    workload("StatefulSet", "apps/v1", "spec.template", LONG_RUNNING, "-0"),
    workload("ReplicationController", "v1", "spec.template", LONG_RUNNING, ""),
    workload("Job", "batch/v1", "spec.template", TO_AN_END, ""),
    workload("CronJob", "batch/v1", "spec.jobTemplate.spec.template", TO_AN_END, ""),
];

const fn workload(
    kind: &'static str,
    version: &'static str,
    template: &'static str,
    policies: &'static [&'static str],
    ordinal: &'static str,
) -> Workload {
    Workload { kind, version, template, policies, ordinal }
}

/// What becomes of a document.
pub fn fate(root: &Node) -> Fate {
    let word = |field: &str| root.get(field).and_then(Node::as_str).unwrap_or_default();
    let (version, kind) = (word("apiVersion"), word("kind"));
    if let Some(workload) = WORKLOADS.iter().find(|known| known.kind == kind && known.version == version) {
        return workload.pod(root);
    }
    if (version, kind) == ("v1", "Pod") {
        if is_helm_test(root) {
            return Fate::Passed { why: "it is a test of Helm's, which helm test runs" };
        }
        let mut root = root.clone();
        let mut notices = take_out_tokens(&mut root);
        notices.extend(take_out_ephemeral(&mut root));
        return if notices.is_empty() { Fate::Own } else { Fate::Pod { root, prefix: "", notices } };
    }
    match passed(version, kind) {
        Some(why) => Fate::Passed { why },
        None => Fate::Own,
    }
}

/// Why a kind means nothing here; none for one that Kubernetes does not have, which may be a slip.
fn passed(version: &str, kind: &str) -> Option<&'static str> {
    let core = match kind {
        "Service" | "Endpoints" => {
            "nothing here answers to its name; a pod's ports are reached at the pod's own address"
        }
        "Namespace" => "namespaces need not be made",
        "ServiceAccount" => "there is no API server that it could be an account of",
        "PersistentVolumeClaim" | "PersistentVolume" => "claims are not bound here; a pod that names one is refused",
        "LimitRange" | "ResourceQuota" | "Node" | "Event" | "PodTemplate" => "it means nothing on one machine",
        _ => "",
    };
    if version == "v1" {
        return Some(core).filter(|why| !why.is_empty());
    }
    // A workload of a version that is served no longer is a slip, too.
    let (group, _) = version.split_once('/')?;
    let own = verdict::Kind::named(kind).is_some() || kind.ends_with("List");
    if own || kind.is_empty() || WORKLOADS.iter().any(|known| known.kind == kind) && !group.contains('.') {
        return None;
    }
    Some(match kind {
        "Ingress" | "HTTPRoute" | "Gateway" => "nothing here routes to it",
        "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding" => {
            "there is no API server at which it could allow anything"
        }
        "NetworkPolicy" => "nothing here filters between pods: they are NOT protected as it asks for",
        _ => "it means nothing on one machine",
    })
}

impl Workload {
    fn pod(&self, root: &Node) -> Fate {
        let metadata = root.get("metadata");
        if is_helm_test(root) {
            return Fate::Passed { why: "it is a test of Helm's, which helm test runs" };
        }
        let template = self.template.split('.').try_fold(root, |node, field| node.get(field));
        let Some((template, spec)) = template.and_then(|template| Some((template, template.get("spec")?))) else {
            let position = root.locate(self.template);
            return Fate::Refused { position, error: FieldError::required(&self.template, "") };
        };
        if let Some(refused) = self.judge_policy(spec) {
            return refused;
        }
        let name = metadata.and_then(|metadata| metadata.get("name"));
        let shown = name.and_then(Node::as_str).unwrap_or_default();
        let position = name.map_or(root.position, |name| name.position);
        let pod_name = format!("{shown}{}", self.ordinal);
        let mut of_pod = vec![text("name", &pod_name, position)];
        of_pod.extend(metadata.and_then(|metadata| metadata.entry("namespace")).cloned());
        for field in ["labels", "annotations"] {
            of_pod.extend(template.get("metadata").and_then(|metadata| metadata.entry(field)).cloned());
        }
        let mut spec = spec.clone();
        if self.kind == "StatefulSet" {
            self.name_of_member(root, &mut spec, &pod_name, position);
        }
        let at = template.position;
        let node = |entries| Node { position: at, value: Value::Map(entries) };
        let mut pod = node(vec![
            text("apiVersion", "v1", at),
            text("kind", "Pod", at),
            Entry { key: "metadata".into(), position, value: node(of_pod) },
            Entry { key: "spec".into(), position: spec.position, value: spec },
        ]);
        let mut notices = vec![self.notice(root, shown, &pod_name)];
        notices.extend(take_out_tokens(&mut pod));
        Fate::Pod { root: pod, prefix: self.template, notices }
    }

    /// A cluster refuses a Job that would never end, and a Deployment that would.
    fn judge_policy(&self, spec: &Node) -> Option<Fate> {
        let written = spec.get("restartPolicy").and_then(Node::as_str).unwrap_or_default();
        let path = format!("{}.spec.restartPolicy", self.template);
        let error = match written {
            "" if self.policies == LONG_RUNNING => return None,
            "" => FieldError::required(&path, "valid values: \"OnFailure\", \"Never\""),
            policy if self.policies.contains(&policy) => return None,
            policy => FieldError::not_supported(&path, policy, self.policies),
        };
        Some(Fate::Refused { position: spec.locate("restartPolicy"), error })
    }

    /// A member of a StatefulSet is called by its number, and found under the set's service.
    fn name_of_member(&self, root: &Node, spec: &mut Node, pod_name: &str, position: Position) {
        let service = root.get("spec").and_then(|spec| spec.get("serviceName")).cloned();
        let Value::Map(entries) = &mut spec.value else { return };
        entries.retain(|entry| !matches!(&*entry.key, "hostname" | "subdomain"));
        entries.push(text("hostname", pod_name, position));
        if let Some(service) = service {
            entries.push(Entry { key: "subdomain".into(), position: service.position, value: service });
        }
    }

    /// What runs, and what of the document does not hold.
    fn notice(&self, root: &Node, name: &str, pod_name: &str) -> String {
        let mut left_out = Vec::new();
        self.left_out(root.get("spec"), "", &mut left_out);
        let kind = self.kind;
        let once = if kind == "CronJob" { " now, once" } else { "" };
        let mut notice = format!("{kind} {name:?} runs{once} as one pod of its template, pod/{pod_name}");
        if !left_out.is_empty() {
            notice.push_str(&format!("; left out: {}", left_out.join(", ")));
        }
        notice
    }

    fn left_out(&self, spec: Option<&Node>, path: &str, fields: &mut Vec<String>) {
        let Some(Node { value: Value::Map(entries), .. }) = spec else { return };
        for Entry { key, value, .. } in entries {
            let here = format!("{path}{key}");
            match (&**key, &value.value) {
                // One pod is what there is; what chooses pods chooses this one.
                ("replicas" | "completions" | "parallelism", Value::Int(1))
                | ("template" | "selector" | "serviceName", _)
                | (_, Value::Null) => {}
                ("jobTemplate", _) => self.left_out(value.get("spec"), "jobTemplate.spec.", fields),
                (_, Value::Int(number)) => fields.push(format!("{here}: {number}")),
                (_, Value::Bool(truth)) => fields.push(format!("{here}: {truth}")),
                (_, Value::String(text)) => fields.push(format!("{here}: {text}")),
                _ => fields.push(here),
            }
        }
    }
}

fn text(key: &str, text: &str, position: Position) -> Entry {
    Entry { key: key.into(), position, value: Node { position, value: Value::String(text.into()) } }
}

/// Helm's chart tests come with `helm template`, but no one who installs a chart runs them.
fn is_helm_test(root: &Node) -> bool {
    let annotations = root.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let hook = annotations.and_then(|annotations| annotations.get("helm.sh/hook")).and_then(Node::as_str);
    hook.is_some_and(|hook| hook.split(',').any(|hook| hook.trim().starts_with("test")))
}

/// Takes out of a pod the volume with a service account's token that an API server has put there, and its mounts.
fn take_out_tokens(pod: &mut Node) -> Vec<String> {
    let Some(spec) = get_mut(pod, "spec") else { return Vec::new() };
    let volumes = spec.get("volumes").map(items).unwrap_or_default();
    let tokens: Vec<String> = volumes.iter().filter(|volume| is_token(volume)).filter_map(name).collect();
    if tokens.is_empty() {
        return Vec::new();
    }
    if let Some(volumes) = get_mut(spec, "volumes").and_then(items_mut) {
        volumes.retain(|volume| !is_token(volume));
    }
    for kind in ["containers", "initContainers", "ephemeralContainers"] {
        for container in get_mut(spec, kind).and_then(items_mut).into_iter().flatten() {
            if let Some(mounts) = get_mut(container, "volumeMounts").and_then(items_mut) {
                mounts.retain(|mount| !name(mount).is_some_and(|name| tokens.contains(&name)));
            }
        }
    }
    let left_out = |token: &String| {
        format!("volume {token:?}, a service account's token, is left out: there is no API server to show it to")
    };
    tokens.iter().map(left_out).collect()
}

/// Takes out of a pod that was shown what `debug` has added to it: it belongs to that pod alone, whose it stays.
fn take_out_ephemeral(pod: &mut Node) -> Vec<String> {
    if pod.get("metadata").and_then(|metadata| metadata.get("uid")).is_none() {
        return Vec::new();
    }
    let Some(Node { value: Value::Map(entries), .. }) = get_mut(pod, "spec") else { return Vec::new() };
    let before = entries.len();
    entries.retain(|entry| &*entry.key != "ephemeralContainers");
    let text = "spec.ephemeralContainers is left out: what debug has added to a pod stays with that pod alone";
    if entries.len() < before { vec![text.to_owned()] } else { Vec::new() }
}

/// As the admission of service accounts makes it.
fn is_token(volume: &Node) -> bool {
    let sources = volume.get("projected").and_then(|projected| projected.get("sources"));
    let by_name = name(volume).is_some_and(|name| name.starts_with("kube-api-access-"));
    by_name && sources.map(items).unwrap_or_default().iter().any(|source| source.get("serviceAccountToken").is_some())
}

fn name(node: &Node) -> Option<String> {
    node.get("name").and_then(Node::as_str).map(str::to_owned)
}

fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => &[],
    }
}

fn items_mut(node: &mut Node) -> Option<&mut Vec<Node>> {
    match &mut node.value {
        Value::List(items) => Some(items),
        _ => None,
    }
}

fn get_mut<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().find(|entry| &*entry.key == key).map(|entry| &mut entry.value),
        _ => None,
    }
}
