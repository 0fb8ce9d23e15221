//! The manifests that a real API server (Kubernetes 1.36.2) was asked about, and podlet's verdict on the same bytes:
//! the object as defaulted, or the Status with its causes, and the warnings, all exactly.
//!
//! `tests/data/golden/apiserver.jsonl` holds a recording a line: `yaml/…` scalars, tags, aliases and merges,
//! `verdicts/<family>…` edge cases of fields, `cases/…` pods that run. Left out: uid and creationTimestamp.
#![allow(clippy::unwrap_used)]

use podlet::manifest::Object;
use podlet::manifest::verdict::{self, Kind};
use serde_json::Value;

/// Recordings where podlet differs on purpose, each with its reason.
const DIFFERENT: &[(&str, &str)] = &[];

/// podlet's verdict in the form of a recording.
fn verdict_on(manifest: &str) -> Value {
    let verdict = verdict::of_body(manifest.as_bytes(), Kind::Pod, "default");
    let warnings: Vec<String> = verdict.warnings.iter().map(|text| format!("299 - {text:?}")).collect();
    let (code, body) = match (&verdict.object, &verdict.status) {
        (Some(Object::Pod(pod)), None) => (201, serde_json::to_value(pod).unwrap()),
        (None, Some(status)) => (status.code.unwrap(), serde_json::to_value(status).unwrap()),
        other => panic!("neither an object nor a Status: {other:?}"),
    };
    assert_eq!(verdict.findings.is_empty(), verdict.status.is_none(), "what people are told fits the Status");
    serde_json::json!({"code": code, "warnings": warnings, "body": body})
}

/// Where two values differ, as path and both sides.
fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let nothing = Value::Null;
                let path = format!("{path}.{key}");
                differences(&path, a.get(key).unwrap_or(&nothing), b.get(key).unwrap_or(&nothing), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{index}]"), a, b, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{path}\n      podlet: {ours}\n      server: {theirs}")),
    }
}

#[test]
fn verdicts_are_the_api_servers() {
    let recordings = include_str!("data/golden/apiserver.jsonl");
    let mut faults = Vec::new();
    let mut compared = 0;
    for line in recordings.lines() {
        let recording: Value = serde_json::from_str(line).unwrap();
        let name = recording["name"].as_str().unwrap();
        let mut found = Vec::new();
        differences("", &verdict_on(recording["manifest"].as_str().unwrap()), &recording["answer"], &mut found);
        let expected = DIFFERENT.iter().any(|(different, _)| *different == name);
        if found.is_empty() == expected {
            faults
                .push(format!("{name}: {}", if expected { "no longer differs".into() } else { found.join("\n    ") }));
        }
        compared += 1;
    }
    assert!(compared >= 140, "only {compared} recordings were compared");
    assert!(faults.is_empty(), "{} of {compared} differ:\n  {}", faults.len(), faults.join("\n  "));
}
