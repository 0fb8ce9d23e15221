//! `docs/scenarios.md`, made from the JSON Schema of the format (which is made from its types), the words of happenings and
//! the variables of expressions.

use std::fmt::Write;

use podlet::simulation::scenario::{SCHEMA, VARIABLES};
use podlet::simulation::story::{EVENT_REASONS, WORDS};
use serde_json::Value;

const HEAD: &str = "\
# Scenario files: every field

<!-- Made from src/simulation/scenario/ by `PODLET_WRITE_DOCS=1 cargo test --test docs`. Change it there. -->

What may stand in a file that [`podlet test`](testing.md) plays. A duration is written `250ms`, `10s`, `1m30s`; a number is
seconds. Words are taken in any case. `podlet test --schema` prints the same as a JSON Schema for editors.
What of it `podlet test --real` cannot do is told [there](testing.md#with-real-processes).
";

/// The objects in the order in which a reader meets them: the definition's name, the heading.
const SECTIONS: &[(&str, &str)] = &[
    ("", "Scenario"),
    ("Metadata", "metadata"),
    ("Spec", "spec"),
    ("Kubelet", "spec.kubelet"),
    ("Actor", "spec.actors.NAME: how a container behaves"),
    ("ExitFull", "exit"),
    ("Oom", "oom"),
    ("ReactionEnd", "onSignal.NAME"),
    ("StartErrorFull", "startError"),
    ("ImageErrorFull", "imageError"),
    ("Probes", "probes"),
    ("AnswerFull", "an answer of a probe"),
    ("Hook", "postStart, preStop"),
    ("Fault", "spec.faults[]: what happens to the pod"),
    ("Kill", "kill"),
    ("ExitNow", "exit, of a fault"),
    ("OnContainer", "oom, lost"),
    ("ProbeFault", "probe"),
    ("NextStart", "startError, of a fault"),
    ("NextImage", "imageError, of a fault"),
    ("NextSandbox", "sandboxError"),
    ("NextVolume", "volumeError"),
    ("Down", "supervisorDeath"),
    ("Delete", "delete"),
    ("Stop", "stop"),
    ("Node", "node"),
    ("NextResize", "resizeError"),
    ("Debug", "debug"),
    ("StorageUse", "storage"),
    ("Assert", "spec.asserts[]: what must be so"),
    ("Condition", "a condition"),
    ("NumberBounds", "bounds of a number"),
    ("SpanBounds", "bounds of a duration"),
    ("TextBounds", "what a text must be like"),
    ("EventBound", "event"),
    ("Count", "count"),
    ("Cause", "cause"),
    ("RuleBound", "rule"),
];

/// Objects that have no section: they are told where they are used.
const WITHOUT: &[&str] = &["Nothing", "Instance", "CrashLoopBackOff"];

fn kind(schema: &Value, all: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/")) {
        let heading = SECTIONS.iter().find(|(known, _)| *known == name).map(|(_, heading)| *heading);
        return match heading {
            Some(heading) => format!("[{}](#{})", heading.split(':').next().unwrap(), anchor(heading)),
            None => kind(&all["$defs"][name], all),
        };
    }
    if schema.get("format").and_then(Value::as_str) == Some("duration") {
        return "duration".to_owned();
    }
    let words = |list: &Value| {
        let word = |option: &Value| option.as_str().or(option["const"].as_str()).map(|word| format!("`{word}`"));
        list.as_array().unwrap().iter().map(word).collect::<Option<Vec<String>>>()
    };
    for key in ["enum", "oneOf", "anyOf"] {
        let Some(list) = schema.get(key) else { continue };
        if let Some(words) = words(list) {
            return words.join(", ");
        }
        let mut kinds: Vec<String> = Vec::new();
        for option in list.as_array().unwrap().iter().filter(|option| option["type"] != "null") {
            let kind = kind(option, all);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        return kinds.join(" or ");
    }
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return format!("`{word}`");
    }
    let name = match &schema["type"] {
        Value::String(name) => name.as_str(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("any"),
        _ => "any",
    };
    match name {
        "array" => format!("list of {}", kind(&schema["items"], all)),
        "object" if schema["additionalProperties"].is_object() => {
            format!("name: {}", kind(&schema["additionalProperties"], all))
        }
        "object" => "object".to_owned(),
        "integer" => "number".to_owned(),
        "boolean" => "`true`, `false`".to_owned(),
        "string" => "text".to_owned(),
        _ => "anything".to_owned(),
    }
}

/// As a heading's anchor is made.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

pub fn page() -> String {
    let all: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut page = HEAD.to_owned();
    for (name, heading) in SECTIONS {
        let schema = if name.is_empty() { &all } else { &all["$defs"][*name] };
        let about = schema["description"].as_str().unwrap();
        write!(page, "\n## {heading}\n\n{about}\n\n| field | what it holds | meaning |\n|---|---|---|\n").unwrap();
        for (field, row) in schema["properties"].as_object().unwrap() {
            let about = row["description"].as_str().unwrap_or_else(|| panic!("{name}.{field} says nothing"));
            let kind = kind(row, &all).replace('|', "\\|");
            writeln!(page, "| `{field}` | {kind} | {} |", about.replace('|', "\\|")).unwrap();
        }
    }
    page.push_str("\n## What happens\n\nThe words of `sequence`, `count` and `after`: `app.Started`, `pod.Removed`, `Started` of any container; with a part of\nthe detail in parentheses, `app.Exited(code 1)`.\n\n| word | meaning |\n|---|---|\n");
    for (word, about) in WORDS {
        writeln!(page, "| `{word}` | {about} |").unwrap();
    }
    let reasons: Vec<String> = EVENT_REASONS.iter().map(|reason| format!("`{reason}`")).collect();
    write!(
        page,
        "\nAnd the reasons of events, each time that one is recorded; the detail is its text: {}.\n",
        reasons.join(", ")
    )
    .unwrap();
    page.push_str("\n## Variables of expressions\n\n| variable | meaning |\n|---|---|\n");
    for (name, about) in VARIABLES {
        writeln!(page, "| `{name}` | {about} |").unwrap();
    }
    page
}

#[test]
fn every_object_of_the_format_has_its_section() {
    let all: Value = serde_json::from_str(SCHEMA).unwrap();
    for (name, schema) in all["$defs"].as_object().unwrap() {
        let told = SECTIONS.iter().any(|(known, _)| known == name) || WITHOUT.contains(&name.as_str());
        assert!(told || schema.get("properties").is_none(), "{name} has no section in docs/scenarios.md");
    }
}
