//! The API's Status object for what was refused, in the server's words (apimachinery `api/errors`).
//!
//! `load` makes these for programs (`-o json`); people get `Diagnostic`s. Nothing is decided here.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, Status, StatusCause, StatusDetails};

use super::decode::{Fault, Gravity};
use super::field::{FieldError, quote};
use super::yaml::Duplicate;

/// 422: the object's form is right, its values are not.
pub fn invalid(kind: &str, name: &str, errors: &[FieldError]) -> Status {
    let causes = errors
        .iter()
        .map(|error| StatusCause {
            field: Some(error.path.clone()),
            message: Some(error.body()),
            reason: Some(error.kind.cause().into()),
        })
        .collect();
    // The message tells each text once; the causes tell all.
    let mut texts: Vec<String> = Vec::with_capacity(errors.len());
    let mut seen = std::collections::HashSet::new();
    for error in errors {
        let text = error.to_string();
        if seen.insert(text.clone()) {
            texts.push(text);
        }
    }
    let list = match texts.as_slice() {
        [one] => one.clone(),
        _ => format!("[{}]", texts.join(", ")),
    };
    let details = StatusDetails {
        name: Some(name.to_string()).filter(|name| !name.is_empty()),
        kind: Some(kind.into()),
        causes: Some(causes),
        ..StatusDetails::default()
    };
    Status { details: Some(details), ..failure(422, "Invalid", format!("{kind} {} is invalid: {list}", quote(name))) }
}

/// 400: the object cannot be read as what it says it is.
pub fn bad_request(message: String) -> Status {
    failure(400, "BadRequest", message)
}

fn failure(code: i32, reason: &str, message: String) -> Status {
    Status {
        code: Some(code),
        details: None,
        message: Some(message),
        metadata: ListMeta::default(),
        reason: Some(reason.into()),
        status: Some("Failure".into()),
    }
}

/// What the server says of a document's form: the worst fault, or all strict ones.
pub fn decoding(faults: &[Fault], duplicates: &[Duplicate], first_line: u32) -> Option<String> {
    for gravity in [Gravity::Fatal, Gravity::Type] {
        if let Some(fault) = faults.iter().find(|fault| fault.gravity == gravity) {
            return Some(fault.server.clone());
        }
    }
    let mut strict: Vec<String> = Vec::new();
    if !duplicates.is_empty() {
        let lines: Vec<_> = duplicates
            .iter()
            .map(|duplicate| {
                let line = duplicate.position.line.saturating_sub(first_line).saturating_add(1);
                format!("  line {line}: key {} already set in map", duplicate.key)
            })
            .collect();
        strict.push(format!("yaml: unmarshal errors:\n{}", lines.join("\n")));
    }
    strict.extend(faults.iter().map(|fault| fault.server.clone()));
    (!strict.is_empty()).then(|| format!("strict decoding error: {}", strict.join(", ")))
}

/// The beginning of a body, for a message about one that could not be read: JSON as text, all else in hex.
pub fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 30;
    let head = &body[..body.len().min(SHOWN)];
    let more = if body.len() > SHOWN { " ..." } else { "" };
    match body.first() {
        None => "<empty>".into(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(head)),
        Some(_) => {
            let hex: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex}{more}")
        }
    }
}
