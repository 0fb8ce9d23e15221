//! A tree against the format's JSON Schema, the one that editors use: every field known, every value of its type, with
//! positions and suggestions. What comes out is JSON that the types of `format` take. The schema is made from these types
//! (a test writes and compares it), so that a field has one place where it is described.
//!
//! More is let pass than a schema can say: words in another case, numbers for durations, and null for a field that is left
//! out.

use std::sync::OnceLock;

use serde_json::{Map, Value as Json};

use super::words::Span;
use crate::manifest::node::{Entry, Node, Position, Value};
use crate::manifest::verdict::Finding;
use crate::manifest::{suggest, tree};

/// The schema as it is printed for editors.
pub const SCHEMA: &str = include_str!("scenario.schema.json");

/// The schema as data.
pub fn schema() -> &'static Json {
    static READ: OnceLock<Json> = OnceLock::new();
    READ.get_or_init(|| serde_json::from_str(SCHEMA).unwrap_or_default())
}

/// Holds a whole document against the schema.
pub fn check(root: &Node) -> Result<Json, Vec<Finding>> {
    let mut form = Form { findings: Vec::new() };
    let json = form.value(root, schema(), "");
    match form.findings.is_empty() {
        true => Ok(json.unwrap_or_default()),
        false => Err(form.findings),
    }
}

struct Form {
    findings: Vec<Finding>,
}

impl Form {
    fn finding(&mut self, position: Position, path: &str, text: String) {
        self.findings.push(Finding { position, path: path.to_owned(), text });
    }

    /// The value of a node, if it has the right form; none for null where a field may be left out.
    fn value(&mut self, node: &Node, schema: &Json, path: &str) -> Option<Json> {
        let schema = resolve(schema);
        if schema.get("properties").is_some() {
            return self.object(node, schema, path);
        }
        let options: Vec<&Json> = options(schema).into_iter().filter(|option| fits(node, option)).collect();
        match options.as_slice() {
            [] if node.is_null() => None,
            [] => {
                let text = format!("expected {}, found {}", in_words(schema), tree::in_words(node));
                self.finding(node.position, path, text);
                None
            }
            [only] => self.one(node, only, path),
            several => {
                // The first that has nothing against it; else what the last one has, as it says most.
                let mut last = Vec::new();
                for option in several {
                    let mut tried = Form { findings: Vec::new() };
                    let json = tried.one(node, option, path);
                    if tried.findings.is_empty() {
                        return json;
                    }
                    last = tried.findings;
                }
                self.findings.extend(last);
                None
            }
        }
    }

    /// A node whose kind is right.
    fn one(&mut self, node: &Node, schema: &Json, path: &str) -> Option<Json> {
        match &node.value {
            // Where anything may stand null is a value, too: one of a matrix takes the field out.
            Value::Null => (*schema == Json::Bool(true)).then_some(Json::Null),
            _ if schema.get("format").and_then(Json::as_str) == Some("duration") => self.duration(node, path),
            Value::String(text) => self.word(node, text, schema, path),
            Value::Int(_) | Value::Uint(_) | Value::Float(_) => self.number(node, schema, path),
            Value::List(items) if schema.get("items").is_some() => {
                let inner = schema.get("items")?;
                let item = |(index, item): (usize, &Node)| self.value(item, inner, &format!("{path}[{index}]"));
                Some(Json::Array(items.iter().enumerate().filter_map(item).collect()))
            }
            Value::Map(_) if schema.get("properties").is_some() => self.object(node, schema, path),
            Value::Map(entries) if schema.get("additionalProperties").is_some_and(Json::is_object) => {
                let inner = schema.get("additionalProperties")?;
                let each = |Entry { key, value, .. }: &Entry| {
                    let name = key.to_string();
                    let inside =
                        if name.contains(['.', '[']) { format!("{path}[{name}]") } else { format!("{path}.{name}") };
                    Some((name, self.value(value, inner, &inside)?))
                };
                Some(Json::Object(entries.iter().filter_map(each).collect()))
            }
            _ => Some(tree::json(node)),
        }
    }

    fn object(&mut self, node: &Node, schema: &Json, path: &str) -> Option<Json> {
        let fields = schema.get("properties")?.as_object()?;
        let Value::Map(entries) = &node.value else {
            if !node.is_null() {
                self.finding(
                    node.position,
                    path,
                    format!("expected a mapping (field: value), found {}", tree::in_words(node)),
                );
            }
            return None;
        };
        let mut json = Map::new();
        for Entry { key, position, value } in entries {
            let inside = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
            match fields.get(&**key) {
                Some(field) => {
                    if let Some(found) = self.value(value, field, &inside) {
                        json.insert(key.to_string(), found);
                    }
                }
                None => {
                    let text = match hint(key, fields) {
                        Some(hint) => format!("unknown field ({hint})"),
                        None => format!("unknown field; there are {}", list(fields.keys().map(String::as_str))),
                    };
                    self.finding(*position, &inside, text);
                }
            }
        }
        for required in schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
            if node.get(required).is_none_or(Node::is_null) {
                let inside = if path.is_empty() { required.to_owned() } else { format!("{path}.{required}") };
                self.finding(node.position, &inside, "required, and not set".to_owned());
            }
        }
        Some(Json::Object(json))
    }

    fn duration(&mut self, node: &Node, path: &str) -> Option<Json> {
        let json = tree::json(node);
        let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
        match Span::read(text.trim()) {
            Ok(_) => Some(if json.is_string() { Json::from(text.trim()) } else { json }),
            Err(error) => {
                self.finding(node.position, path, format!("{error}: write a duration such as 250ms, 10s or 1m30s"));
                None
            }
        }
    }

    fn word(&mut self, node: &Node, text: &str, schema: &Json, path: &str) -> Option<Json> {
        let words = words(schema);
        if words.is_empty() {
            return Some(Json::from(text));
        }
        if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
            return Some(Json::from(*word));
        }
        let hint = suggest::nearest(text, words.iter().copied());
        let hint = hint.map(|word| format!(" (did you mean {word:?}?)")).unwrap_or_default();
        self.finding(node.position, path, format!("{text:?} is none of {}{hint}", list(words.iter().copied())));
        None
    }

    fn number(&mut self, node: &Node, schema: &Json, path: &str) -> Option<Json> {
        let json = tree::json(node);
        let kinds = schema.get("type").map(|kind| kind.to_string()).unwrap_or_default();
        if kinds.contains("\"integer\"") {
            let (least, most) = match schema.get("format").and_then(Json::as_str) {
                Some("uint32") => (0, i64::from(u32::MAX)),
                Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
                Some("uint64") => (0, i64::MAX),
                _ => (i64::MIN, i64::MAX),
            };
            if json.as_i64().is_none_or(|number| number < least || number > most) {
                self.finding(node.position, path, format!("{json} is not a whole number from {least} to {most}"));
                return None;
            }
        }
        Some(json)
    }
}

/// Follows a reference.
pub fn resolve(schema: &Json) -> &Json {
    let Some(name) = schema.get("$ref").and_then(Json::as_str) else { return schema };
    let found = name.strip_prefix("#/$defs/").and_then(|name| self::schema().get("$defs")?.get(name));
    found.map_or(schema, resolve)
}

/// The alternatives that a schema allows; itself where it has none.
fn options(schema: &Json) -> Vec<&Json> {
    match schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
        // Words with a description each are one alternative, not many.
        Some(list) if list.iter().all(|option| resolve(option).get("const").is_some()) => vec![schema],
        Some(list) => list.iter().map(resolve).flat_map(options).collect(),
        None => vec![schema],
    }
}

/// Whether a node is of the kind that this alternative wants.
fn fits(node: &Node, option: &Json) -> bool {
    let kinds: Vec<&str> = match option.get("type") {
        Some(Json::String(kind)) => vec![kind],
        Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
        _ if !words(option).is_empty() => vec!["string"],
        // Anything.
        _ => return true,
    };
    let kind = match &node.value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) | Value::Uint(_) => return kinds.contains(&"integer") || kinds.contains(&"number"),
        Value::Float(_) => "number",
        Value::String(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    };
    kinds.contains(&kind)
}

/// The words that a schema allows; none where it allows any.
fn words(schema: &Json) -> Vec<&str> {
    let list = |key: &str| schema.get(key).and_then(Json::as_array).into_iter().flatten();
    let one = |schema: &'_ Json| -> Option<String> { Some(schema.get("const")?.as_str()?.to_owned()) };
    if one(schema).is_some() {
        return schema.get("const").and_then(Json::as_str).into_iter().collect();
    }
    let consts = list("oneOf").chain(list("anyOf")).filter_map(|option| option.get("const")?.as_str());
    list("enum").filter_map(Json::as_str).chain(consts).collect()
}

/// What a schema allows, in words.
pub fn in_words(schema: &Json) -> String {
    let mut texts: Vec<String> = Vec::new();
    for option in options(resolve(schema)) {
        let words = words(option);
        let kind = option.get("type").map(|kind| kind.as_str().map_or_else(|| "string".to_owned(), str::to_owned));
        let text = match kind.as_deref() {
            _ if option.get("format").and_then(Json::as_str) == Some("duration") => {
                "a duration such as 1m30s".to_owned()
            }
            _ if !words.is_empty() => list(words.into_iter()),
            Some("null") => continue,
            Some("boolean") => "true or false".to_owned(),
            Some("integer") => "a whole number".to_owned(),
            Some("number") => "a number".to_owned(),
            Some("string") => "a string".to_owned(),
            Some("array") => format!("a list ({})", option.get("items").map(in_words).unwrap_or_default()),
            Some("object") if option.get("properties").is_some() => "a mapping (field: value)".to_owned(),
            Some("object") => "a mapping (key: value)".to_owned(),
            _ => "anything".to_owned(),
        };
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join(" or ")
}

fn list<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// What an unknown field may have been meant to be.
fn hint(key: &str, fields: &Map<String, Json>) -> Option<String> {
    const OTHERS: &[(&str, &str)] = &[
        ("assertions", "asserts"),
        ("assert", "asserts"),
        ("fault", "faults"),
        ("actor", "actors"),
        ("containers", "actors"),
        ("overlay", "overlays"),
        ("for", "duration"),
        ("timeout", "within"),
        ("restartCount", "restarts"),
        ("until", "to"),
        ("when", "at"),
        ("tolerance", "within"),
        ("timeoutSeconds", "within"),
        ("code", "exitCode"),
        ("restart", "restarts"),
        ("sandboxDeath", "sandboxLoss"),
        ("supervisorRestart", "supervisorDeath"),
        ("signal", "kill"),
    ];
    if let Some(near) = suggest::nearest(key, fields.keys().map(String::as_str)) {
        return Some(format!("did you mean {near:?}?"));
    }
    let (_, ours) = OTHERS.iter().find(|(theirs, ours)| *theirs == key && fields.contains_key(*ours))?;
    Some(format!("did you mean {ours:?}?"))
}
