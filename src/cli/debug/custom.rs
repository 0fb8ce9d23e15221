//! `--custom FILE`: a part of a container's spec that is merged into the debugging container, over what its profile gives it.

use std::path::Path;

use k8s_openapi::api::core::v1::Container;
use serde_json::{Map, Value};

use super::super::Failure;
use super::super::failure::in_go;
use crate::manifest::node::Position;
use crate::manifest::{self, Source, tree};

/// What the words of `debug` say themselves, or podlet.
const NOT_CUSTOM: [&str; 5] = ["name", "command", "image", "lifecycle", "volumeDevices"];

/// What stands in the file; without one nothing.
#[derive(Debug, Default)]
pub struct Custom(Map<String, Value>);

impl Custom {
    /// Reads the file. It must be a part of a container.
    pub fn read(path: Option<&Path>) -> Result<Custom, Failure> {
        let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else { return Ok(Custom::default()) };
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|error| {
            let why = in_go(&error);
            Failure::Error(format!("must pass a container spec json file for custom profile: open {shown}: {why}"))
        })?;
        let invalid = |why: String| Failure::Error(format!("{shown} does not contain a valid container spec: {why}"));
        let source = Source { name: shown.to_string(), bytes };
        let trees = tree::trees(&source).map_err(|faults| {
            let told: Vec<String> = faults.iter().map(|fault| format!("line {}: {}", fault.line, fault.text)).collect();
            invalid(told.join("; "))
        })?;
        let Some(Value::Object(fields)) = trees.first().map(tree::json) else {
            return Err(invalid("it is no object".to_owned()));
        };
        if fields.iter().any(|(name, value)| NOT_CUSTOM.contains(&name.as_str()) && !value.is_null()) {
            return Err(Failure::error(
                "name, command, image, lifecycle and volume devices are not modifiable via custom profile",
            ));
        }
        let mut whole = fields.clone();
        whole.insert("name".to_owned(), Value::from("custom"));
        serde_json::from_value::<Container>(Value::Object(whole)).map_err(|error| invalid(error.to_string()))?;
        Ok(Custom(fields))
    }

    /// Merges it into a container as a strategic patch.
    pub fn apply(&self, container: &mut Map<String, Value>) {
        if self.0.is_empty() {
            return;
        }
        let at = Position::default();
        let node = |fields: &Map<String, Value>| tree::node(&Value::Object(fields.clone()), at);
        let merged = tree::json(&manifest::patch::strategic(node(container), &node(&self.0)));
        if let Value::Object(merged) = merged {
            *container = merged;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Custom, String> {
        let path = std::env::temp_dir().join(format!("podlet-custom-{}-{}", std::process::id(), text.len()));
        std::fs::write(&path, text).unwrap();
        let read = Custom::read(Some(&path)).map_err(|failure| failure.text().unwrap());
        std::fs::remove_file(path).unwrap();
        read
    }

    #[test]
    fn a_part_of_a_container_is_merged() {
        let custom = read("env: [{name: B, value: two}]\nsecurityContext: {privileged: null, runAsUser: 7}").unwrap();
        let container = json!({
            "name": "debugger", "image": "x", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "securityContext": {"privileged": true},
        });
        let Value::Object(mut container) = container else { panic!() };
        custom.apply(&mut container);
        assert_eq!(container["image"], "x");
        assert_eq!(container["securityContext"], json!({"runAsUser": 7}));
        let env = container["env"].as_array().unwrap();
        assert!(env.len() == 2 && env.contains(&json!({"name": "B", "value": "two"})), "{env:?}");
        let refused = read("image: y").unwrap_err();
        assert!(refused.ends_with("image, lifecycle and volume devices are not modifiable via custom profile"));
        for wrong in ["- a", "env: 5", "a: [", ""] {
            assert!(read(wrong).unwrap_err().contains("does not contain a valid container spec"), "{wrong}");
        }
        assert!(Custom::read(None).unwrap().0.is_empty());
    }
}
