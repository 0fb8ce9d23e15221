//! A document as a tree in which every node knows where it stands in its file.
//!
//! `yaml` and `json` build it, scalars already resolved as Kubernetes resolves them, aliases and merges expanded;
//! `decode` turns it into typed objects; `validate` may ask it what was written (absent, null or empty).

use std::collections::HashMap;

/// A place in a file, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub position: Position,
    /// What it is.
    pub value: Value,
}

/// What a node can be: JSON's kinds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer that fits 64 bits with sign.
    Int(i64),
    /// An integer that fits only 64 bits without sign.
    Uint(u64),
    /// Any other finite number.
    Float(f64),
    /// A string.
    String(Box<str>),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in written order; keys are strings and unique.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Box<str>,
    /// Where the key stands.
    pub position: Position,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// A node without content at the start of a file: stands for a document that is not there.
    pub fn absent() -> Self {
        Self { position: Position { line: 1, column: 1 }, value: Value::Null }
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key, if this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| &*entry.key == key),
            _ => None,
        }
    }

    /// The entry of a list.
    pub fn index(&self, index: usize) -> Option<&Node> {
        match &self.value {
            Value::List(items) => items.get(index),
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The place of one path; see [`Locator`].
    pub fn locate(&self, path: &str) -> Position {
        Locator::new(self).locate(path)
    }
}

/// Finds the places of paths in a tree, quickly for many paths into wide mappings.
pub struct Locator<'n> {
    root: &'n Node,
    /// The entries of wide mappings by key, made when they are first asked for; by the mapping's address.
    wide: HashMap<*const Node, HashMap<&'n str, &'n Entry>>,
}

impl<'n> Locator<'n> {
    /// Mappings with more entries are worth an index.
    const NARROW: usize = 32;

    /// For the paths of one tree.
    pub fn new(root: &'n Node) -> Self {
        Self { root, wide: HashMap::new() }
    }

    /// The node that a path such as `spec.containers[0].resources.limits[cpu]` names, or else the deepest one on the
    /// way that exists: the place to show for an error about something missing. A key has the position of its name.
    pub fn locate(&mut self, path: &str) -> Position {
        let mut node = self.root;
        let mut position = node.position;
        let mut rest = path;
        while !rest.is_empty() {
            let next = if let Some(inner) = rest.strip_prefix('[') {
                match &node.value {
                    Value::List(_) => {
                        let Some((index, after)) = inner.split_once(']') else { break };
                        rest = after;
                        index.parse().ok().and_then(|index| node.index(index)).map(|n| (n, n.position))
                    }
                    _ => {
                        let Some((entry, after)) = self.bracketed(node, inner) else { break };
                        rest = after;
                        Some((&entry.value, entry.position))
                    }
                }
            } else {
                let trimmed = rest.strip_prefix('.').unwrap_or(rest);
                let end = trimmed.find(['.', '[']).unwrap_or(trimmed.len());
                let (name, after) = trimmed.split_at(end);
                rest = after;
                self.entry(node, name).map(|e| (&e.value, e.position))
            };
            let Some((found, at)) = next else { break };
            node = found;
            position = at;
        }
        position
    }

    fn entry(&mut self, node: &'n Node, key: &str) -> Option<&'n Entry> {
        match &node.value {
            Value::Map(entries) if entries.len() > Self::NARROW => {
                let index = || entries.iter().map(|entry| (&*entry.key, entry)).collect();
                self.wide.entry(node).or_insert_with(index).get(key).copied()
            }
            _ => node.entry(key),
        }
    }

    /// The entry of `key].rest`, and the rest. A key may itself hold brackets: the shortest that the node has is meant.
    fn bracketed<'p>(&mut self, node: &'n Node, inner: &'p str) -> Option<(&'n Entry, &'p str)> {
        const FEW: usize = 8;
        for (end, _) in inner.match_indices(']').take(FEW) {
            let (key, after) = inner.split_at(end);
            if let Some(entry) = self.entry(node, key) {
                return Some((entry, after.strip_prefix(']').unwrap_or(after)));
            }
        }
        // A key of many brackets is compared with each of the node's, so that no number of them takes long.
        let Value::Map(entries) = &node.value else { return None };
        entries.iter().find_map(|entry| Some((entry, inner.strip_prefix(&*entry.key)?.strip_prefix(']')?)))
    }
}
