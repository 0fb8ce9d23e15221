//! One YAML document to a positioned tree: events of the parser, scalars by `scalar`, aliases and merges expanded.
//!
//! The meaning is go-yaml v2's in strict mode, as the API server uses it: keys set twice (a merge's too) are told, the
//! last one counts for what follows. Called by `load`; knows nothing of Kubernetes' fields.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag};

use super::budget::{Budget, Exhausted, MAX_DEPTH, MAX_FAULTS};
use super::field::quote;
use super::node::{Entry, Node, Position, Value};
use super::scalar::{self, ScalarError, float_text};
use super::yaml_error::{self, Problem};

/// A key that was set before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Of the value that comes too late, as go-yaml counts.
    pub position: Position,
    /// Of the key.
    pub key_position: Position,
    /// Where the map is: `spec.containers[0]`.
    pub path: String,
    /// The key as Go prints it: `"name"`, `1`, `true`.
    pub key: String,
    /// Where it was set first.
    pub first: Position,
}

impl Duplicate {
    /// The field's path, and what is to be said of it.
    pub fn finding(&self) -> (String, String) {
        let key = self.key.trim_matches('"');
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        (path, format!("set a second time; it was set first at line {}", self.first.line))
    }
}

/// A document's tree and what strictness holds against it.
#[derive(Debug)]
pub struct Parsed {
    /// The tree.
    pub root: Node,
    /// Keys set twice.
    pub duplicates: Vec<Duplicate>,
    /// Whether another document follows in the same text, after a `...` line.
    pub more: Option<Position>,
}

/// The tag namespace of YAML itself.
const NAMESPACE: &str = "tag:yaml.org,2002:";

/// Reads the first document of a text whose first line is line `first_line` of its file.
pub fn parse(text: &str, first_line: u32, budget: &mut Budget) -> Result<Parsed, Problem> {
    let mut options = Options::default();
    options.emit_comments = false;
    options.emit_unresolved_aliases = true;
    options.emit_anchor_events = true;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut builder = Builder {
        first_line,
        budget,
        stack: Vec::new(),
        root: None,
        anchors: HashMap::new(),
        duplicates: Vec::new(),
        names: HashMap::new(),
    };
    let mut more = None;
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| yaml_error::describe(&error, text, first_line))?;
        match event {
            Event::DocumentStart(..) if builder.root.is_some() => {
                more = Some(builder.position(&span));
                break;
            }
            event => builder.take(event, &span)?,
        }
    }
    let root =
        builder.root.take().unwrap_or(Node { position: Position { line: first_line, column: 1 }, value: Value::Null });
    Ok(Parsed { root, duplicates: builder.duplicates, more })
}

/// A key before its value is known.
#[derive(Debug)]
struct Key {
    position: Position,
    text: Box<str>,
    /// As Go prints it; empty for a merge key.
    shown: String,
    merge: bool,
}

/// A collection that is still open.
struct Open {
    position: Position,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, index: HashMap<Box<str>, usize>, key: Option<Key> },
}

struct Builder<'b> {
    first_line: u32,
    budget: &'b mut Budget,
    stack: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    names: HashMap<usize, String>,
    duplicates: Vec<Duplicate>,
}

impl Builder<'_> {
    fn position(&self, span: &Span) -> Position {
        let line = u32::try_from(span.start.line()).unwrap_or(u32::MAX);
        let column = u32::try_from(span.start.col()).unwrap_or(u32::MAX);
        Position { line: line.saturating_add(self.first_line).saturating_sub(1), column: column.saturating_add(1) }
    }

    fn problem(&self, position: Position, text: impl Into<String>, server: impl Into<String>) -> Problem {
        Problem { position, text: text.into(), server: server.into() }
    }

    fn exhausted(&self, position: Position, what: Exhausted) -> Problem {
        let server = match what {
            Exhausted::Depth => "yaml: exceeded max depth".to_string(),
            _ => "yaml: document contains excessive aliasing".to_string(),
        };
        self.problem(position, what.to_string(), server)
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Problem> {
        let position = self.position(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(position, &text, style, anchor, tag.as_deref()),
            Event::SequenceStart(_, anchor, _) => self.open(position, anchor, Content::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                self.open(position, anchor, Content::Map { entries: Vec::new(), index: HashMap::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => self.alias(position, id),
            Event::UnresolvedAlias(name) => {
                let name: String = name.chars().take(MAX_FAULTS).collect();
                let server = format!("yaml: unknown anchor '{name}' referenced");
                Err(self.problem(position, format!("*{name} refers to nothing: no &{name} comes before it"), server))
            }
            Event::Anchor(id, name) => {
                self.names.insert(id, name.chars().take(MAX_FAULTS).collect());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, position: Position, anchor: usize, content: Content) -> Result<(), Problem> {
        self.budget.node(0).map_err(|what| self.exhausted(position, what))?;
        if self.stack.len() >= MAX_DEPTH {
            return Err(self.exhausted(position, Exhausted::Depth));
        }
        self.stack.push(Open { position, anchor, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        self.value(Node { position: open.position, value }, open.anchor)
    }

    fn scalar(
        &mut self,
        position: Position,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), Problem> {
        self.budget.node(text.len()).map_err(|what| self.exhausted(position, what))?;
        let plain = style == ScalarStyle::Plain;
        let own = tag.and_then(|tag| tag.suffix_in_namespace(NAMESPACE));
        let is_key = matches!(self.stack.last(), Some(Open { content: Content::Map { key: None, .. }, .. }));
        if is_key && text == "<<" && (plain && tag.is_none() || own.as_deref() == Some("merge")) {
            return self.key(Key { position, text: text.into(), shown: String::new(), merge: true });
        }
        let resolved = match (tag, &own) {
            (None, _) if plain => scalar::resolve_plain(text),
            (Some(_), Some(name)) => scalar::resolve_tagged(name, text),
            // A foreign tag leaves the text, `!` too.
            _ => Ok(Value::String(text.into())),
        };
        let value = resolved.map_err(|error| match error {
            ScalarError::Tag(words) => self.problem(position, words.clone(), format!("yaml: {words}")),
            ScalarError::NotJson(number) => self.problem(
                position,
                format!("{text} is no number that an API object can hold; quote it if it is meant as text"),
                format!("json: unsupported value: {number}"),
            ),
        })?;
        self.value(Node { position, value }, anchor)
    }

    fn alias(&mut self, position: Position, id: usize) -> Result<(), Problem> {
        let Some(target) = self.anchors.get(&id) else {
            let name = self.names.get(&id).cloned().unwrap_or_default();
            return Err(self.problem(
                position,
                format!("*{name} stands inside of what &{name} names, and would contain itself"),
                format!("yaml: anchor '{name}' value contains itself"),
            ));
        };
        spend(target, self.budget).map_err(|what| self.exhausted(position, what))?;
        if depth(target) + self.stack.len() > MAX_DEPTH {
            return Err(self.exhausted(position, Exhausted::Depth));
        }
        let copy = Node { position, value: target.value.clone() };
        self.value(copy, 0)
    }

    /// A finished value: a key, a key's value, a list's item, or the document.
    fn value(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        if anchor != 0 {
            spend(&node, self.budget).map_err(|what| self.exhausted(node.position, what))?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut().map(|open| &mut open.content) {
            None => {
                self.root = Some(node);
                Ok(())
            }
            Some(Content::List(items)) => {
                items.push(node);
                Ok(())
            }
            Some(Content::Map { key, .. }) => match key.take() {
                None => self.key_of(node),
                Some(key) if key.merge => self.merge(&key, node),
                Some(key) => {
                    let entry = Entry { key: key.text, position: key.position, value: node };
                    self.set(entry, key.shown);
                    Ok(())
                }
            },
        }
    }

    fn key(&mut self, key: Key) -> Result<(), Problem> {
        if let Some(Open { content: Content::Map { key: slot, .. }, .. }) = self.stack.last_mut() {
            *slot = Some(key);
        }
        Ok(())
    }

    /// A key is text in JSON: booleans and numbers become their text (`on:` becomes `"true"`).
    fn key_of(&mut self, node: Node) -> Result<(), Problem> {
        let position = node.position;
        let (text, shown): (Box<str>, String) = match node.value {
            Value::String(text) => {
                let shown = quote(&text);
                (text, shown)
            }
            Value::Bool(value) => (value.to_string().into(), value.to_string()),
            Value::Int(value) => (value.to_string().into(), value.to_string()),
            Value::Uint(value) => (value.to_string().into(), value.to_string()),
            Value::Float(value) => {
                let text = float_key(value);
                (text.clone().into(), text)
            }
            Value::Null => {
                let server = "unsupported map key of type: %!s(<nil>), key: <nil>, value: <nil>";
                return Err(self.problem(position, "a key must be a string, and this one is null", server));
            }
            value @ (Value::List(_) | Value::Map(_)) => {
                let hint = "a key must be a string; \"{{ … }}\" of a template must be filled in or quoted";
                return Err(self.problem(position, hint, format!("yaml: invalid map key: {}", go_syntax(&value))));
            }
        };
        self.key(Key { position, text, shown, merge: false })
    }

    fn merge(&mut self, key: &Key, node: Node) -> Result<(), Problem> {
        let mut maps = match node.value {
            Value::Map(entries) => vec![entries],
            Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => items
                .into_iter()
                .filter_map(|item| if let Value::Map(entries) = item.value { Some(entries) } else { None })
                .collect(),
            _ => {
                let server = "yaml: map merge requires map or sequence of maps as the value";
                let text = "<< needs a mapping or a list of mappings, such as *name of one";
                return Err(self.problem(key.position, text, server));
            }
        };
        // Backwards, as of several maps the first has precedence.
        while let Some(entries) = maps.pop() {
            for entry in entries {
                let shown = quote(&entry.key);
                self.set(entry, shown);
            }
        }
        Ok(())
    }

    /// Puts an entry into the innermost map; a key set before is told, and the new value counts.
    fn set(&mut self, entry: Entry, shown: String) {
        let Some(Open { content: Content::Map { entries, index, .. }, .. }) = self.stack.last_mut() else { return };
        // An index only for maps that are wide: most have a handful of keys.
        let found = if entries.len() < 16 {
            entries.iter().position(|other| other.key == entry.key)
        } else {
            if index.is_empty() {
                index.extend(entries.iter().enumerate().map(|(at, other)| (other.key.clone(), at)));
            }
            index.get(&entry.key).copied()
        };
        match found.and_then(|at| entries.get_mut(at)) {
            None => {
                if !index.is_empty() {
                    index.insert(entry.key.clone(), entries.len());
                }
                entries.push(entry);
            }
            Some(old) => {
                let duplicate = Duplicate {
                    position: entry.value.position,
                    key_position: entry.position,
                    path: String::new(),
                    key: shown,
                    first: old.position,
                };
                *old = entry;
                if self.duplicates.len() < MAX_FAULTS {
                    let path = self.path();
                    self.duplicates.push(Duplicate { path, ..duplicate });
                }
            }
        }
    }

    /// Where the innermost open collection is.
    fn path(&self) -> String {
        let mut path = String::new();
        let outer = self.stack.len().saturating_sub(1);
        for open in self.stack.iter().take(outer) {
            match &open.content {
                Content::List(items) => path.push_str(&format!("[{}]", items.len())),
                Content::Map { key, .. } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key.as_ref().map_or("", |key| &key.text));
                }
            }
        }
        path
    }
}

/// Spends what a copy of a tree costs.
fn spend(node: &Node, budget: &mut Budget) -> Result<(), Exhausted> {
    match &node.value {
        Value::String(text) => budget.node(text.len()),
        Value::List(items) => {
            budget.node(0)?;
            items.iter().try_for_each(|item| spend(item, budget))
        }
        Value::Map(entries) => {
            budget.node(0)?;
            entries.iter().try_for_each(|entry| {
                budget.text(entry.key.len())?;
                spend(&entry.value, budget)
            })
        }
        _ => budget.node(0),
    }
}

/// How deep a tree is; its depth is bounded by `MAX_DEPTH`, so recursion is safe.
fn depth(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => 1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// A number as a key: the shortest text of its 32-bit form, as `sigs.k8s.io/yaml` writes it.
fn float_key(value: f64) -> String {
    let value = value as f32;
    let size = value.abs();
    if size == 0.0 || (1e-4..1e6).contains(&size) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// A value as Go's `%#v` prints it, for keys that are collections.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => format!("{value:#x}"),
        Value::Float(value) => float_text(*value),
        Value::String(text) => quote(text),
        Value::List(items) => {
            let items: Vec<_> = items.iter().take(MAX_FAULTS).map(|item| go_syntax(&item.value)).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .take(MAX_FAULTS)
                .map(|entry| format!("{}:{}", quote(&entry.key), go_syntax(&entry.value.value)))
                .collect();
            format!("map[interface {{}}]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}
