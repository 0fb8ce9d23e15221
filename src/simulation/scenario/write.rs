//! A scenario as a file that people read: what is not said is left out, a pod stands in lines, and each fault and assertion on one.

use serde_json::{Map, Value as Json};

use super::format::Scenario;

/// The document, with `---` before it left to whoever writes several.
pub fn yaml(scenario: &Scenario) -> String {
    let mut all = serde_json::to_value(scenario).unwrap_or_default();
    let mut spec = all.get_mut("spec").map(Json::take).unwrap_or_default();
    let metadata = all.get("metadata").and_then(said).unwrap_or_default();
    let mut text = format!("apiVersion: podlet.dev/v1alpha1\nkind: Scenario\nmetadata: {}\nspec:\n", flow(&metadata));
    // What a reader asks first stands first.
    let first = [
        "description",
        "pod",
        "overlays",
        "matrix",
        "kubelet",
        "seed",
        "duration",
        "latency",
        "podIPs",
        "actors",
        "faults",
        "asserts",
    ];
    let mut fields = spec.as_object_mut().map(std::mem::take).unwrap_or_default();
    for name in first {
        if let Some(value) = fields.remove(name) {
            text.push_str(&field(name, &value));
        }
    }
    for (name, value) in &fields {
        text.push_str(&field(name, value));
    }
    text
}

fn field(name: &str, value: &Json) -> String {
    if name == "latency" && value == "0s" {
        return String::new();
    }
    if name == "pod" && value.is_object() {
        return format!("  pod:\n{}", block(value, 4));
    }
    match said(value) {
        None => String::new(),
        Some(Json::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| format!("  - {}\n", flow(item))).collect();
            format!("  {name}:\n{}", items.concat())
        }
        Some(Json::Object(fields)) if matches!(name, "actors" | "matrix") => {
            let line = |(name, value): (&String, &Json)| format!("    {}: {}\n", word(name), flow(value));
            format!("  {name}:\n{}", fields.iter().map(line).collect::<String>())
        }
        Some(value) => format!("  {name}: {}\n", flow(&value)),
    }
}

/// What is said of it: no null, nothing empty, and no `false`, which is what is meant where nothing stands.
fn said(value: &Json) -> Option<Json> {
    match value {
        Json::Null | Json::Bool(false) => None,
        Json::String(text) if text.is_empty() => None,
        Json::Array(items) if items.is_empty() => None,
        Json::Array(items) => {
            Some(Json::Array(items.iter().map(|item| said(item).unwrap_or_else(|| item.clone())).collect()))
        }
        Json::Object(fields) => {
            let fields: Map<String, Json> =
                fields.iter().filter_map(|(name, value)| Some((name.clone(), kept(name, value)?))).collect();
            (!fields.is_empty()).then_some(Json::Object(fields))
        }
        other => Some(other.clone()),
    }
}

/// What is true or false by itself stays so; a switch that says nothing more is `true`.
fn kept(name: &str, value: &Json) -> Option<Json> {
    let spoken = ["ready", "started", "deleted", "terminating"].contains(&name);
    let switch = ["sandboxLoss", "supervisorDeath", "reboot", "delete", "stop"].contains(&name);
    match value {
        Json::Bool(_) if spoken => Some(value.clone()),
        Json::Object(_) if switch => {
            Some(said(value).filter(|said| *said != serde_json::json!({"downFor": "0s"})).unwrap_or(Json::Bool(true)))
        }
        // A piece of a pod means what it says.
        Json::Object(_) if name == "apply" => Some(value.clone()),
        _ => said(value),
    }
}

/// Of a pod, what is said: nulls are not.
fn block(value: &Json, indent: usize) -> String {
    let text = serde_yaml::to_string(&without_nulls(value)).unwrap_or_default();
    text.lines().map(|line| format!("{:indent$}{line}\n", "")).collect()
}

fn without_nulls(value: &Json) -> Json {
    match value {
        Json::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Json::Object(kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// On one line, as YAML's flow style has it.
fn flow(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) => {
            // When comes first, then what.
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_by_key(|name| !["at", "every", "by", "name", "container"].contains(&name.as_str()));
            let entry = |name: &String| format!("{}: {}", word(name), flow(fields.get(name).unwrap_or(&Json::Null)));
            format!("{{{}}}", names.into_iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Json::String(text) => word(text),
        other => other.to_string(),
    }
}

/// A text as it must stand in flow style: plain where no reader of YAML 1.1 or 1.2 takes it for something else.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '/' | '@' | '(' | ')');
    let path = text.starts_with("./") || text.starts_with("../");
    let letter = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') || path;
    let time = text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(['s', 'm', 'h']) && !text.contains(' ');
    let other =
        ["true", "false", "yes", "no", "on", "off", "y", "n", "null"].contains(&text.to_ascii_lowercase().as_str());
    let whole = !text.ends_with(' ') && text.chars().all(plain);
    if (letter || time) && whole && !other { text.to_owned() } else { Json::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::manifest::Source;
    use crate::simulation::scenario::ground;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let text = "
apiVersion: podlet.dev/v1alpha1
kind: Scenario
metadata: {name: \"1\"}
spec:
  description: 'yes: it''s #1'
  pod:
    metadata: {name: web, labels: {on: \"true\", a: '012'}}
    spec:
      containers:
      - {name: app, image: a, env: [{name: A, value: '1e3'}, {name: B, value: ''}], livenessProbe: {exec: {command: [a]}}}
  duration: 90
  actors: {app: {instances: [{exit: 1@2s}, {run: forever, ignoreSignals: [TERM], readyAfter: 0}]}}
  faults:
  - {at: [1s, 2s], kill: app}
  - {at: 3s, supervisorDeath: true}
  - {at: 3s, supervisorDeath: {downFor: 2s}}
  - {every: 10s, from: 1s, to: 20s, probe: {kind: liveness, flap: [ok, fail]}}
  - {at: 4s, delete: {gracePeriodSeconds: 0}}
  asserts:
  - {always: 'containers.app.backoff <= 300s'}
  - {at: 5s, ready: false}
  - {property: ready-again, within: 2m}
  - {count: {of: '*.Killing', is: {le: 3}}}
";
        let read = |text: &str| {
            let source = Source { name: "a".to_owned(), bytes: text.into() };
            let (scenario, pod, _) = ground(&source, None).unwrap_or_else(|found| panic!("{text}\n{found:#?}"));
            (serde_json::to_value(scenario).unwrap(), serde_json::to_value(pod).unwrap())
        };
        let source = Source { name: "a".to_owned(), bytes: text.into() };
        let (scenario, _, _) = ground(&source, None).unwrap();
        let written = yaml(&scenario);
        let (one, pod) = read(text);
        let (other, same_pod) = read(&written);
        assert_eq!(pod, same_pod, "{written}");
        // How a fault without more to say is written is not what it says.
        let tidy =
            |json: &Json| json.to_string().replace("{\"downFor\":\"0s\"}", "true").replace("\"force\":false,", "");
        assert_eq!(tidy(&one), tidy(&other), "{written}");
        assert!(written.contains("  - {at: 3s, supervisorDeath: {downFor: 2s}}\n"), "{written}");
    }
}
