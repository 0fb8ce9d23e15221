//! What must not leave the machine: values of environment variables in objects, and every value of a stored Secret wherever it
//! turns up.

use k8s_openapi::api::core::v1::Secret;
use memchr::memmem;
use serde_json::Value;

use super::super::resource::Kind;
use super::super::stored;
use crate::paths::Paths;

/// A shorter value would be found in innocent text everywhere.
pub const SHORTEST: usize = 4;

const REPLACED: &str = "<redacted>";

/// The values of all stored Secrets, in the spellings in which they may turn up.
pub struct Secrets {
    needles: Vec<Vec<u8>>,
}

impl Secrets {
    /// Of all namespaces; and why some could not be read: then what they hold is not looked for, and that is said.
    pub fn of_store(paths: &Paths) -> (Secrets, Option<String>) {
        match stored::list::<Secret>(paths, Kind::Secret, None) {
            Ok(secrets) => {
                let values = secrets.into_iter().flat_map(|secret| secret.data.unwrap_or_default().into_values());
                (Secrets::of_values(values.map(|value| value.0)), None)
            }
            Err(failure) => {
                let why = failure.text().unwrap_or_default();
                (Secrets::of_values([]), Some(format!("values of Secrets were not looked for: {why}")))
            }
        }
    }

    fn of_values(values: impl IntoIterator<Item = Vec<u8>>) -> Secrets {
        let mut needles = Vec::new();
        for value in values {
            // With its last newline, which a file has and a variable often not, and each line of a text of many: a log shows
            // them one by one.
            let text = String::from_utf8_lossy(&value).into_owned();
            let lines = text.lines().map(str::to_owned).filter(|line| line.len() >= 2 * SHORTEST);
            for part in lines.chain([text.trim_end_matches('\n').to_owned()]) {
                // As JSON writes it, once and (a message within a message) twice.
                let once = quoted(&part);
                needles.extend([part.into_bytes(), quoted(&once).into_bytes(), once.into_bytes()]);
            }
            let base64 = serde_json::to_value(k8s_openapi::ByteString(value.clone())).unwrap_or_default();
            needles.extend(base64.as_str().map(|text| text.as_bytes().to_vec()));
            needles.push(value);
        }
        needles.retain(|needle| needle.len() >= SHORTEST);
        // The longest first: a value may be a part of another one.
        needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        needles.dedup();
        Secrets { needles }
    }

    /// The bytes without them.
    pub fn redact(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for needle in &self.needles {
            let places: Vec<usize> = memmem::find_iter(&bytes, needle).collect();
            if places.is_empty() {
                continue;
            }
            let mut out = Vec::with_capacity(bytes.len());
            let mut done = 0;
            for place in places {
                out.extend_from_slice(bytes.get(done..place).unwrap_or_default());
                out.extend_from_slice(REPLACED.as_bytes());
                done = place + needle.len();
            }
            out.extend_from_slice(bytes.get(done..).unwrap_or_default());
            bytes = out;
        }
        bytes
    }
}

fn quoted(text: &str) -> String {
    let json = Value::from(text).to_string();
    json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// An object with the values of environment variables replaced, at whatever depth a pod stands in it.
pub fn pod(value: &Value) -> Value {
    let mut value = value.clone();
    take_out(&mut value);
    value
}

fn take_out(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object.iter_mut() {
                if matches!(key.as_str(), "env" | "environment") {
                    hide_values(inner);
                } else {
                    take_out(inner);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(take_out),
        _ => {}
    }
}

/// `env` of a container (`name` and `value`), and of an image's configuration (`NAME=value`).
fn hide_values(list: &mut Value) {
    let Value::Array(items) = list else { return };
    for item in items {
        match item {
            Value::Object(variable) => {
                if let Some(value) = variable.get_mut("value") {
                    *value = Value::from(REPLACED);
                }
            }
            Value::String(text) => {
                if let Some((name, _)) = text.split_once('=') {
                    *text = format!("{name}={REPLACED}");
                }
            }
            _ => {}
        }
    }
}

/// A file of JSON, whole or a value a line, perhaps behind a header of other text on the line (as the journal has one).
pub fn json_lines(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let start = line.iter().position(|byte| *byte == b'{').unwrap_or(line.len());
        let (head, json) = line.split_at(start);
        out.extend_from_slice(head);
        match serde_json::from_slice::<Value>(json) {
            Ok(value) => {
                out.extend_from_slice(pod(&value).to_string().as_bytes());
                out.extend(line.last().filter(|byte| **byte == b'\n'));
            }
            // A line cut off while it was written, or one of another version: what is in it cannot be told apart.
            Err(_) if json.is_empty() => {}
            Err(error) => {
                out.extend_from_slice(format!("<not JSON: {error}; {} bytes left out>\n", json.len()).as_bytes())
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn values_of_secrets_go_in_every_spelling() {
        let secrets =
            Secrets::of_values([b"pa\"ss wort\n".to_vec(), b"abc".to_vec(), b"-----KEY-----\nMIIEow\n".to_vec()]);
        let text = "a pa\"ss wort b pa\\\"ss wort c cGEic3Mgd29ydAo= abc -----KEY-----";
        let redacted = String::from_utf8(secrets.redact(text.as_bytes().to_vec())).unwrap();
        assert_eq!(redacted, "a <redacted> b <redacted> c <redacted> abc <redacted>");
    }

    #[test]
    fn values_of_variables_go_and_names_stay() {
        let object = json!({"spec": {"containers": [{"env": [
            {"name": "A", "value": "x"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]},
            "image": {"config": {"env": ["PATH=/bin"]}}});
        let line = format!("17 abcd {object}\n17 {{\"cut\n");
        let text = String::from_utf8(json_lines(line.as_bytes())).unwrap();
        assert!(text.starts_with("17 abcd {") && text.contains("\"value\":\"<redacted>\""), "{text}");
        assert!(text.contains("PATH=<redacted>") && text.contains("secretKeyRef") && !text.contains("\"cut"), "{text}");
        assert_eq!(text.lines().count(), 2);
    }
}
