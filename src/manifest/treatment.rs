//! podlet's own view of a document that the API accepts: what it cannot carry out is refused, what means nothing on
//! one machine is noted. Read from the field table; called by `load` after validation, on what was written.

use super::budget::MAX_FAULTS;
use super::field::FieldPath;
use super::fields::{Struct, Treatment, Type};
use super::node::{Entry, Node, Position, Value};
use crate::duration;

/// A field that podlet will not pass over in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where.
    pub position: Position,
    /// Which field.
    pub path: String,
    /// Why, and the way out.
    pub text: String,
}

/// What podlet makes of a document.
#[derive(Debug, Default)]
pub struct Review {
    /// Fields that stop the pod, as many as are told.
    pub refused: Vec<Refusal>,
    /// How many more there are.
    pub untold: usize,
    /// Fields without meaning on one machine.
    pub meaningless: Vec<String>,
    /// Fields that have no effect, and what holds instead.
    pub told: Vec<(Vec<String>, &'static str)>,
    /// Notices of their own.
    pub notices: Vec<String>,
}

/// What its writer can do about a refused field.
#[derive(Clone, Copy, Debug)]
enum WayOut<'a> {
    /// Pass over aloud those that are named so: a path, with or without indices, or a field's name.
    Allow(&'a [String]),
    /// Nothing but to take the line out.
    TakeOut,
}

/// Reviews a document. `allowed` are fields to pass over aloud: a path, with or without indices, or a field's name.
pub fn review(root: &Node, object: &'static Struct, allowed: &[String]) -> Review {
    let host_network = root.get("spec").and_then(|spec| spec.get("hostNetwork"));
    let host_network = host_network.is_some_and(|node| node.value == Value::Bool(true));
    reviewed(root, object, WayOut::Allow(allowed), host_network)
}

/// Reviews podlet's own settings: what is refused there can only be taken out.
pub fn review_settings(root: &Node, object: &'static Struct) -> Review {
    reviewed(root, object, WayOut::TakeOut, false)
}

fn reviewed(root: &Node, object: &'static Struct, way_out: WayOut<'_>, host_network: bool) -> Review {
    let mut reviewer = Reviewer { way_out, host_network, review: Review::default() };
    reviewer.object(root, object, None);
    reviewer.review
}

struct Reviewer<'a> {
    way_out: WayOut<'a>,
    host_network: bool,
    review: Review,
}

impl Reviewer<'_> {
    fn object(&mut self, node: &Node, object: &'static Struct, path: Option<&FieldPath<'_>>) {
        let Value::Map(entries) = &node.value else { return };
        for entry in entries {
            let Some(row) = object.row(&entry.key) else { continue };
            let here = match path {
                Some(path) => path.child(row.name),
                None => FieldPath::new(row.name),
            };
            if !is_said(&entry.value, &row.kind) {
                continue;
            }
            match row.treatment {
                Treatment::NoMeaning => self.review.meaningless.push(without_indices(&here.to_string())),
                Treatment::Warned => {
                    self.review.notices.push(format!("{here} has no effect here and is passed over"));
                }
                Treatment::Told(instead) => self.tell(&here, instead),
                Treatment::ToldFor(values, instead) if is_one_of(&entry.value, values) => self.tell(&here, instead),
                Treatment::Later => self.refuse(entry, &here, LATER),
                Treatment::Refused => self.refuse(entry, &here, NEVER),
                Treatment::LaterFor(values) if is_one_of(&entry.value, values) => self.refuse(entry, &here, LATER),
                Treatment::LaterUnless(values) if !is_one_of(&entry.value, values) => self.refuse(entry, &here, LATER),
                Treatment::RefusedFor(values) if is_one_of(&entry.value, values) => self.refuse(entry, &here, NEVER),
                Treatment::RefusedUnless(values) if !is_one_of(&entry.value, values) => {
                    self.refuse(entry, &here, NEVER);
                }
                Treatment::LaterUnlessHostNetwork if !self.host_network => self.refuse(entry, &here, LATER),
                Treatment::ResourceNames => self.resources(&entry.value, &here),
                _ => self.beneath(&entry.value, &row.kind, &here),
            }
        }
    }

    fn beneath(&mut self, node: &Node, kind: &'static Type, path: &FieldPath<'_>) {
        match (kind, &node.value) {
            (Type::Object(object), _) => self.object(node, object, Some(path)),
            (Type::List(item), Value::List(items)) => {
                for (index, value) in items.iter().enumerate() {
                    self.beneath(value, item, &path.index(index));
                }
            }
            _ => {}
        }
    }

    fn resources(&mut self, node: &Node, path: &FieldPath<'_>) {
        let Value::Map(entries) = &node.value else { return };
        let is_limits = path.to_string().ends_with("limits");
        for entry in entries {
            let here = path.key(&entry.key);
            match &*entry.key {
                "cpu" | "memory" => {}
                "ephemeral-storage" if is_limits => {}
                "ephemeral-storage" => {
                    let text = "is noted: there is no other machine to go to, and pods are not weighed by it";
                    self.review.notices.push(format!("{here} {text}"));
                }
                _ => self.refuse(entry, &here, NEVER),
            }
        }
    }

    /// What holds instead of several fields is told once.
    fn tell(&mut self, path: &FieldPath<'_>, instead: &'static str) {
        let path = path.to_string();
        match self.review.told.iter_mut().find(|(_, known)| *known == instead) {
            Some((paths, _)) => paths.push(path),
            None => self.review.told.push((vec![path], instead)),
        }
    }

    fn refuse(&mut self, entry: &Entry, path: &FieldPath<'_>, why: &str) {
        let path = path.to_string();
        let bare = without_indices(&path);
        let name = bare.rsplit('.').next().unwrap_or(&bare);
        let is_meant = |field: &String| *field == path || *field == bare || field == name;
        if let WayOut::Allow(allowed) = self.way_out
            && allowed.iter().any(is_meant)
        {
            self.review.notices.push(format!("{path} is passed over, as --allow-unsupported={name} says"));
            return;
        }
        // A resource may have tens of thousands of names.
        if self.review.refused.len() >= MAX_FAULTS {
            self.review.untold += 1;
            return;
        }
        let value = match &entry.value.value {
            Value::String(text) if text.len() < 64 => format!(" {text:?}"),
            Value::Bool(value) => format!(" {value}"),
            _ => String::new(),
        };
        let text = match self.way_out {
            WayOut::Allow(_) => format!("{name}{value} {why}; --allow-unsupported={name} runs the pod without it"),
            WayOut::TakeOut => format!("{name}{value} {why}; take it out"),
        };
        self.review.refused.push(Refusal { position: entry.position, path, text });
    }
}

const LATER: &str = "is not carried out by podlet yet";
const NEVER: &str = "cannot be honoured on one machine";

/// Whether a value says anything: zero values are what is not there.
fn is_said(node: &Node, kind: &Type) -> bool {
    let is_zero = |text: &str| duration::parse(text).is_ok_and(|duration| duration.is_zero());
    match &node.value {
        Value::String(text) if matches!(kind, Type::Text("v1.Duration")) => !is_zero(text),
        Value::Null => false,
        Value::Int(value) => *value != 0,
        Value::String(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        _ => true,
    }
}

fn is_one_of(node: &Node, values: &[&str]) -> bool {
    let text = match &node.value {
        Value::String(text) => text.to_string(),
        Value::Bool(value) => value.to_string(),
        _ => return false,
    };
    values.iter().any(|value| match value.strip_suffix('*') {
        Some(prefix) => text.starts_with(prefix),
        None => text == *value,
    })
}

/// `spec.containers[0].tty` as `spec.containers.tty`.
fn without_indices(path: &str) -> String {
    let mut bare = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            c if !inside => bare.push(c),
            _ => {}
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::budget::Budget;
    use super::super::fields::POD;
    use super::super::yaml;
    use super::*;

    fn reviewed(spec: &str, allowed: &[&str]) -> Review {
        let root = yaml::parse(&format!("spec: {spec}"), 1, &mut Budget::default()).unwrap().root;
        review(&root, &POD, &allowed.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    fn refused(spec: &str) -> Vec<String> {
        reviewed(spec, &[]).refused.into_iter().map(|refusal| refusal.path).collect()
    }

    #[test]
    fn what_orders_feeds_watches_or_protects_is_refused_until_it_works() {
        for (spec, path) in [
            ("{containers: [{volumeDevices: [{name: a}]}]}", "spec.containers[0].volumeDevices"),
            ("{containers: [{volumeMounts: [{subPath: a}]}]}", "spec.containers[0].volumeMounts[0].subPath"),
            ("{securityContext: {sysctls: [{name: a}]}}", "spec.securityContext.sysctls"),
            ("{volumes: [{name: v, nfs: {server: a}}]}", "spec.volumes[0].nfs"),
            ("{containers: [{ports: [{hostPort: 80}]}]}", "spec.containers[0].ports[0].hostPort"),
            ("{hostUsers: false}", "spec.hostUsers"),
            ("{os: {name: windows}}", "spec.os.name"),
            ("{runtimeClassName: gvisor}", "spec.runtimeClassName"),
            ("{containers: [{resources: {limits: {gpu: 1}}}]}", "spec.containers[0].resources.limits[gpu]"),
            (
                "{containers: [{env: [{valueFrom: {fieldRef: {fieldPath: status.podIP}}}]}]}",
                "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath",
            ),
        ] {
            assert_eq!(refused(spec), [path], "{spec}");
        }
        for spec in [
            "{initContainers: [{name: a, restartPolicy: Always}]}",
            "{containers: [{restartPolicyRules: [{action: RestartAllContainers}]}]}",
            "{activeDeadlineSeconds: 5, readinessGates: [{conditionType: a/b}]}",
            "{hostUsers: true}",
            "{os: {name: linux}}",
            "{hostNetwork: true, containers: [{ports: [{hostPort: 80}]}]}",
            "{containers: [{lifecycle: {stopSignal: SIGUSR1, preStop: {sleep: {seconds: 1}}}, tty: false}]}",
            "{containers: [{livenessProbe: {exec: {command: [a]}}}]}",
            "{volumes: [{name: v, emptyDir: {medium: Memory}}, {name: w, hostPath: {path: /x}}]}",
            "{containers: [{restartPolicyRules: [{action: Restart}], resources: {limits: {cpu: 1}}}]}",
        ] {
            assert_eq!(refused(spec), Vec::<String>::new(), "{spec}");
        }
    }

    #[test]
    fn an_allowed_field_is_passed_over_aloud() {
        let spec = "{containers: [{volumeDevices: [{name: a}]}]}";
        for name in ["volumeDevices", "spec.containers.volumeDevices", "spec.containers[0].volumeDevices"] {
            let review = reviewed(spec, &[name]);
            assert_eq!(review.refused, []);
            assert_eq!(
                review.notices,
                ["spec.containers[0].volumeDevices is passed over, as --allow-unsupported=volumeDevices says"]
            );
        }
    }

    #[test]
    fn what_means_nothing_here_is_only_noted() {
        let review = reviewed("{tolerations: [{key: a}], priority: 5, affinity: {nodeAffinity: {}}}", &[]);
        assert_eq!(review.refused, []);
        assert_eq!(review.meaningless, ["spec.tolerations", "spec.priority", "spec.affinity"]);
    }
}
