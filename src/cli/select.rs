//! Label selectors (`-l`), field selectors and `--sort-by`: which objects, in which order.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Failure;
use super::print::jsonpath::{Found, Template, go, relaxed};
use super::print::sort_like_go;
use super::resource::Kind;

/// One requirement of a label selector.
#[derive(Clone, Debug, PartialEq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

/// What has to be so for an object to be listed.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

impl Selector {
    /// Reads both selectors, for objects of this kind.
    pub fn parse(kind: Kind, labels: Option<&str>, fields: Option<&str>) -> Result<Selector, Failure> {
        let (labels_text, fields_text) = (labels.unwrap_or_default(), fields.unwrap_or_default());
        let refuse = |why: String| {
            Failure::bad_request(format!(
                "Unable to find \"/v1, Resource={}\" that match label selector {labels_text:?}, field selector \
                 {fields_text:?}: {why}",
                kind.plural()
            ))
        };
        let labels = Words::new(labels_text).requirements().map_err(refuse)?;
        let fields = field_requirements(kind, fields_text).map_err(refuse)?;
        Ok(Selector { labels, fields })
    }

    /// Whether the object (as the API server sends it, where fields are asked for) is meant.
    pub fn matches<'a>(&self, labels: &BTreeMap<String, String>, object: impl Fn() -> &'a Value) -> bool {
        self.labels.iter().all(|requirement| requirement.holds(labels))
            && self.fields.iter().all(|(path, equal, value)| (field(object(), path) == *value) == *equal)
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let number = |key: &String| labels.get(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            // A label that is not there is in no set.
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
            Requirement::Greater(key, than) => number(key).is_some_and(|n| n > *than),
            Requirement::Less(key, than) => number(key).is_some_and(|n| n < *than),
        }
    }
}

/// The words of a label selector: marks, and what stands between them.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Words<'a> {
        Words { rest: text }
    }

    fn peek(&self) -> &'a str {
        let text = self.rest.trim_start();
        for mark in ["==", "!=", "=", "!", ",", "(", ")", ">", "<"] {
            if text.starts_with(mark) {
                return text.get(..mark.len()).unwrap_or_default();
            }
        }
        let end = text.find(|c: char| c.is_whitespace() || "=!,()><".contains(c)).unwrap_or(text.len());
        text.get(..end).unwrap_or_default()
    }

    fn next(&mut self) -> &'a str {
        let word = self.peek();
        let text = self.rest.trim_start();
        self.rest = text.get(word.len()..).unwrap_or_default();
        word
    }

    fn requirements(mut self) -> Result<Vec<Requirement>, String> {
        let mut all = Vec::new();
        if self.peek().is_empty() {
            return Ok(all);
        }
        loop {
            all.push(self.requirement()?);
            match self.next() {
                "" => return Ok(all),
                "," if self.peek().is_empty() => return Err("found '', expected: identifier after ','".to_owned()),
                "," => {}
                found => return Err(format!("found '{found}', expected: ',' or 'end of string'")),
            }
        }
    }

    fn identifier(&mut self) -> Result<String, String> {
        match self.next() {
            found @ ("" | "=" | "==" | "!=" | "!" | "," | "(" | ")" | ">" | "<") => {
                Err(format!("found '{found}', expected: identifier"))
            }
            word => Ok(word.to_owned()),
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        if self.peek() == "!" {
            self.next();
            return Ok(Requirement::Absent(self.identifier()?));
        }
        let key = self.identifier()?;
        match self.peek() {
            "" | "," => return Ok(Requirement::Exists(key)),
            _ => {}
        }
        match self.next() {
            "=" | "==" => Ok(Requirement::In(key, vec![self.value()])),
            "!=" => Ok(Requirement::NotIn(key, vec![self.value()])),
            "in" => Ok(Requirement::In(key, self.set()?)),
            "notin" => Ok(Requirement::NotIn(key, self.set()?)),
            mark @ (">" | "<") => {
                let word = self.value();
                let number = word
                    .parse()
                    .map_err(|_| format!("for 'Gt', 'Lt' operators, the value must be an integer: {word}"))?;
                Ok(if mark == ">" { Requirement::Greater(key, number) } else { Requirement::Less(key, number) })
            }
            found => Err(format!("found '{found}', expected: in, notin, =, ==, !=, gt, lt")),
        }
    }

    /// A value may be empty: `app=`.
    fn value(&mut self) -> String {
        match self.peek() {
            "" | "," => String::new(),
            _ => self.next().to_owned(),
        }
    }

    fn set(&mut self) -> Result<Vec<String>, String> {
        match self.next() {
            "(" => {}
            found => return Err(format!("found '{found}', expected: '('")),
        }
        let mut values = Vec::new();
        loop {
            match self.peek() {
                "," | ")" => values.push(String::new()),
                _ => values.push(self.identifier()?),
            }
            match self.next() {
                "," => {}
                ")" => return Ok(values),
                found => return Err(format!("found '{found}', expected: ',' or ')'")),
            }
        }
    }
}

/// The fields that the API server can select by.
fn selectable(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Pod => &[
            "metadata.name",
            "metadata.namespace",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        Kind::Event => &[
            "metadata.name",
            "metadata.namespace",
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        Kind::Secret => &["metadata.name", "metadata.namespace", "type"],
        Kind::ConfigMap => &["metadata.name", "metadata.namespace"],
    }
}

fn field_requirements(kind: Kind, text: &str) -> Result<Vec<(String, bool, String)>, String> {
    let mut all = Vec::new();
    for term in text.split(',').filter(|term| !term.is_empty()) {
        let split = |mark: &str| term.split_once(mark).map(|(path, value)| (path.to_owned(), value.to_owned()));
        let (path, value, equal) = if let Some((path, value)) = split("!=") {
            (path, value, false)
        } else if let Some((path, value)) = split("==").or_else(|| split("=")) {
            (path, value, true)
        } else {
            return Err(format!("invalid selector: '{term}'; can't understand '{term}'"));
        };
        if !selectable(kind).contains(&path.as_str()) {
            return Err(format!("field label not supported: {path}"));
        }
        all.push((path, equal, value));
    }
    Ok(all)
}

/// A field as text; what is absent is empty (a truth: false).
fn field(object: &Value, path: &str) -> String {
    let path = match path {
        "source" => "source.component",
        "status.podIPs" => "status.podIP",
        other => other,
    };
    match path.split('.').try_fold(object, |value, key| value.get(key)) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None if path == "spec.hostNetwork" => "false".to_owned(),
        None => String::new(),
    }
}

/// Sorts by what an expression finds first in each object, `.metadata.name`; those in which it finds nothing come first.
pub fn sort_by<T>(items: &mut [T], expression: &str, object: impl Fn(&T) -> &Value) -> Result<(), Unsorted> {
    if items.is_empty() {
        return Ok(());
    }
    let field = relaxed(expression).map_err(Unsorted::Expression)?;
    let template = Template::parse(&field).map_err(Unsorted::Expression)?;
    let find = |item: &T| -> Result<Option<Value>, String> {
        let parts = template.find(object(item))?;
        Ok(parts.first().and_then(|found| found.first()).map(Found::json))
    };
    let found = items.iter().map(find).collect::<Result<Vec<_>, _>>().map_err(Unsorted::Expression)?;
    if found.iter().all(Option::is_none) {
        return Err(Unsorted::Expression(format!(
            "couldn't find any field with path {field:?} in the list of objects"
        )));
    }
    let mut unsortable = None;
    sort_like_go(items, |a, b| {
        let (Ok(a), Ok(b)) = (find(a), find(b)) else { return false };
        less(a.as_ref(), b.as_ref()).unwrap_or_else(|why| {
            unsortable.get_or_insert(why);
            false
        })
    });
    match unsortable {
        Some(why) => Err(Unsorted::Values { field, why }),
        None => Ok(()),
    }
}

/// Why objects could not be sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsorted {
    /// The expression is wrong, or finds nothing in any of them.
    Expression(String),
    /// What it finds has no order.
    Values {
        /// The expression.
        field: String,
        /// Which kind of value it is.
        why: String,
    },
}

impl Unsorted {
    /// kubectl's text for a list; in its tables the objects are of another Go type.
    pub fn failure(&self, in_a_table: bool) -> Failure {
        match self {
            Unsorted::Expression(text) => Failure::Error(text.clone()),
            Unsorted::Values { field, why } => {
                let of = if in_a_table { "[][][]reflect.Value" } else { "*unstructured.Unstructured" };
                Failure::Text(format!("Field {field} in {of} is an unsortable type: interface, err: {why}"))
            }
        }
    }
}

fn less(a: Option<&Value>, b: Option<&Value>) -> Result<bool, String> {
    Ok(match (a, b) {
        // Also when both lack it: kubectl's order among those comes from this.
        (None, _) => true,
        (Some(_), None) => false,
        (Some(Value::Null), Some(b)) => !b.is_null(),
        (Some(_), Some(Value::Null)) => false,
        (Some(Value::Number(a)), Some(Value::Number(b))) if a.is_f64() == b.is_f64() => {
            match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => a < b,
                _ => a.as_f64() < b.as_f64(),
            }
        }
        (Some(Value::String(a)), Some(Value::String(b))) => {
            use crate::manifest::quantity::Quantity;
            match (Quantity::parse(a), Quantity::parse(b)) {
                (Ok(a), Ok(b)) => a < b,
                _ => a < b,
            }
        }
        (Some(Value::Number(_) | Value::String(_)), Some(_)) => {
            return Err("unsortable interface: interface".to_owned());
        }
        (Some(a), Some(_)) => return Err(format!("unsortable type: {}", go::type_name(a))),
    })
}

/// What kubectl says when a list is empty.
pub fn nothing(namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("No resources found in {namespace} namespace."),
        None => "No resources found".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Selector::parse(Kind::Pod, Some(selector), None).unwrap().matches(&labels, || &Value::Null)
    }

    #[test]
    fn labels_are_selected_as_the_api_server_does() {
        let web = [("app", "web"), ("tier", "front"), ("n", "5")];
        for selector in [
            "",
            "app",
            "app=web",
            "app==web,tier",
            "app in (web, db)",
            "!gone",
            "tier!=back",
            "gone notin (x)",
            "n>4",
            "n<6,app",
        ] {
            assert!(matches(selector, &web), "{selector}");
        }
        for selector in ["app=db", "!app", "app notin (web)", "gone", "n>5", "app=", "x in (a)"] {
            assert!(!matches(selector, &web), "{selector}");
        }
    }

    #[test]
    fn a_bad_selector_is_answered_with_the_servers_text() {
        let said = |labels, fields| Selector::parse(Kind::Pod, labels, fields).unwrap_err().text().unwrap();
        assert_eq!(
            said(Some("a==b=c"), None),
            "Error from server (BadRequest): Unable to find \"/v1, Resource=pods\" that match label selector \"a==b=c\", \
             field selector \"\": found '=', expected: ',' or 'end of string'"
        );
        assert!(said(None, Some("nope=1")).ends_with("field label not supported: nope"));
        for bad in ["a=b,", "(", "a in b", "a in (b", "=", "a b"] {
            said(Some(bad), None);
        }
    }
}
