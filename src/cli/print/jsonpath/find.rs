//! What the nodes of a template find in an object.

use serde_json::{Number, Value};

use super::parse::{Filter, Node, Slice};
use super::{Missing, go};

/// More than an object can hold: recursive descents after one another multiply.
const MOST: usize = 1 << 20;
/// More looks than a template for people takes: ranges within ranges multiply, too.
const MOST_LOOKS: u32 = 1 << 22;
/// Each range within a range takes a bit of stack.
const DEEPEST: usize = 64;

/// Something that was found, or that the template itself names.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<'a> {
    /// In the object.
    Value(&'a Value),
    /// Text, a number or a truth of the template, or one byte of a text of the object.
    Own(Value),
    /// Nothing: what a range without elements is looked at with.
    Nothing,
}

impl Found<'_> {
    fn value(&self) -> Option<&Value> {
        match self {
            Found::Value(value) => Some(value),
            Found::Own(value) => Some(value),
            Found::Nothing => None,
        }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        self.value().cloned().unwrap_or(Value::Null)
    }

    /// As `jsonpath` prints it.
    pub fn text(&self) -> String {
        match self.value() {
            None => "<no value>".to_owned(),
            Some(value @ (Value::Object(_) | Value::Array(_))) => go::compact_json(value),
            Some(Value::Null) => "null".to_owned(),
            Some(other) => go::plain(other),
        }
    }

    /// As `custom-columns` prints it.
    pub fn plain(&self) -> String {
        self.value().map_or_else(|| "<nil>".to_owned(), go::plain)
    }
}

type All<'a> = Vec<Found<'a>>;

/// One look at an object.
pub struct Finder<'t> {
    nodes: &'t [Node],
    missing: Missing,
    begin: usize,
    inside: usize,
    end: usize,
    last_end: Option<usize>,
    looks: u32,
}

impl<'t> Finder<'t> {
    pub fn new(nodes: &'t [Node], missing: Missing) -> Finder<'t> {
        Finder { nodes, missing, begin: 0, inside: 0, end: 0, last_end: None, looks: 0 }
    }

    /// A list for each part of the template.
    pub fn find<'a>(mut self, object: &'a Value) -> Result<Vec<All<'a>>, String> {
        self.from(0, Found::Value(object))
    }

    fn from<'a>(&mut self, first: usize, object: Found<'a>) -> Result<Vec<All<'a>>, String> {
        let mut parts = Vec::new();
        let mut index = first;
        while let Some(node) = self.nodes.get(index) {
            let results = self.walk(vec![object.clone()], node)?;
            if self.end > 0 && self.end <= self.inside {
                self.end -= 1;
                self.last_end = Some(index);
                break;
            }
            if self.begin > 0 {
                self.begin -= 1;
                self.inside += 1;
                if self.inside > DEEPEST {
                    return Err(format!("more than {DEEPEST} ranges lie in each other"));
                }
                if results.is_empty() {
                    // Only to know where the end is.
                    self.from(index + 1, Found::Nothing)?;
                }
                for element in results {
                    parts.extend(self.from(index + 1, element)?);
                    bounded(parts.len())?;
                }
                self.inside -= 1;
                // On after the end; where there is none, what follows is looked at once more, with this object.
                index = self.last_end.filter(|end| *end > index).unwrap_or(index) + 1;
                continue;
            }
            parts.push(results);
            index += 1;
        }
        Ok(parts)
    }

    fn walk<'a>(&mut self, input: All<'a>, node: &Node) -> Result<All<'a>, String> {
        self.looks += 1;
        if self.looks > MOST_LOOKS {
            return Err("the template looks at too much".to_owned());
        }
        let own = |value: Value| Ok(input.iter().map(|_| Found::Own(value.clone())).collect());
        match node {
            Node::Text(text) => Ok(vec![Found::Own(Value::String(text.clone()))]),
            Node::List(nodes) => self.list(input, nodes),
            Node::Field(name) => {
                let found: All<'a> = input.into_iter().filter_map(|value| field(value, name)).collect();
                match (self.missing, found.is_empty()) {
                    (Missing::Refused, true) => Err(format!("{name} is not found")),
                    _ => Ok(found),
                }
            }
            Node::Wildcard => Ok(input.into_iter().flat_map(children).collect()),
            Node::Recursive => {
                let mut all = Vec::new();
                for value in input {
                    descend(value, &mut all)?;
                }
                Ok(all)
            }
            Node::Slice(slice) => {
                let mut all = Vec::new();
                for value in input {
                    all.extend(elements(value, *slice)?);
                }
                Ok(all)
            }
            Node::Union(lists) => {
                let mut all = Vec::new();
                for nodes in lists {
                    all.extend(self.list(input.clone(), nodes)?);
                    bounded(all.len())?;
                }
                Ok(all)
            }
            Node::Filter(filter) => self.filter(input, filter),
            Node::Identifier(word) => match word.as_str() {
                "range" => {
                    self.begin += 1;
                    Ok(input)
                }
                "end" if self.inside > 0 => {
                    self.end += 1;
                    Ok(Vec::new())
                }
                "end" => Err("not in range, nothing to end".to_owned()),
                other => Err(format!("unrecognized identifier {other}")),
            },
            Node::Int(number) => own(Value::from(*number)),
            Node::Float(number) => own(Number::from_f64(*number).map_or(Value::Null, Value::Number)),
            Node::Bool(truth) => own(Value::Bool(*truth)),
        }
    }

    fn list<'a>(&mut self, input: All<'a>, nodes: &[Node]) -> Result<All<'a>, String> {
        nodes.iter().try_fold(input, |found, node| self.walk(found, node))
    }

    /// Whether something is found, or was before a node that fails: kubectl counts that, too.
    fn finds_anything(&mut self, element: &Found<'_>, nodes: &[Node]) -> bool {
        let mut found = vec![element.clone()];
        for node in nodes {
            match self.walk(found.clone(), node) {
                Ok(next) => found = next,
                Err(_) => break,
            }
        }
        !found.is_empty()
    }

    fn filter<'a>(&mut self, input: All<'a>, filter: &Filter) -> Result<All<'a>, String> {
        let mut all = Vec::new();
        for value in input {
            let Some(elements) = list_of(&value) else {
                return Err(format!("{} is not array or slice and cannot be filtered", value.plain()));
            };
            for element in elements {
                let Some(operator) = &filter.operator else {
                    all.extend(self.finds_anything(&element, &filter.left).then_some(element));
                    continue;
                };
                let Some(left) = only(self.list(vec![element.clone()], &filter.left)?)? else { continue };
                let Some(right) = only(self.list(vec![element.clone()], &filter.right)?)? else { continue };
                if compare(&left, operator, &right)? {
                    all.push(element);
                }
            }
        }
        Ok(all)
    }
}

fn bounded(length: usize) -> Result<(), String> {
    if length > MOST { Err(format!("the template finds more than {MOST} values")) } else { Ok(()) }
}

fn only(mut found: All<'_>) -> Result<Option<Found<'_>>, String> {
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err("can only compare one element at a time".to_owned()),
    }
}

fn field<'a>(value: Found<'a>, name: &str) -> Option<Found<'a>> {
    match value {
        Found::Value(Value::Object(map)) => map.get(name).map(Found::Value),
        _ => None,
    }
}

/// The elements of a list; of what is null or was not found none.
fn list_of<'a>(value: &Found<'a>) -> Option<Vec<Found<'a>>> {
    match value {
        Found::Value(Value::Array(list)) => Some(list.iter().map(Found::Value).collect()),
        _ => None,
    }
}

/// What a value is made of: of a text, its bytes.
fn children(value: Found<'_>) -> All<'_> {
    match value {
        Found::Value(Value::Object(map)) => map.values().map(Found::Value).collect(),
        Found::Value(Value::Array(list)) => list.iter().map(Found::Value).collect(),
        Found::Value(Value::String(text)) => text.bytes().map(|byte| Found::Own(Value::from(byte))).collect(),
        Found::Own(Value::String(text)) => text.bytes().map(|byte| Found::Own(Value::from(byte))).collect(),
        _ => Vec::new(),
    }
}

/// Everything that is made of something, itself first.
fn descend<'a>(value: Found<'a>, all: &mut All<'a>) -> Result<(), String> {
    let parts = children(value.clone());
    if parts.is_empty() {
        return Ok(());
    }
    all.push(value);
    bounded(all.len())?;
    // The bytes of a text are made of nothing.
    parts.into_iter().filter(|part| matches!(part, Found::Value(_))).try_for_each(|part| descend(part, all))
}

fn elements<'a>(value: Found<'a>, slice: Slice) -> Result<All<'a>, String> {
    let list = match &value {
        Found::Value(Value::Array(list)) => list,
        Found::Nothing | Found::Value(Value::Null) | Found::Own(Value::Null) => return Ok(Vec::new()),
        Found::Value(other) => return Err(format!("{} is not array or slice", go::type_name(other))),
        Found::Own(other) => return Err(format!("{} is not array or slice", go::type_name(other))),
    };
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let mut from = slice.from.unwrap_or(0);
    if from < 0 {
        from = from.saturating_add(length);
    }
    let mut to = slice.to.unwrap_or(length);
    if to < 0 || (to == 0 && slice.one) {
        to = to.saturating_add(length);
    }
    if from == to {
        return Ok(Vec::new());
    }
    let outside = |index: i64| Err(format!("array index out of bounds: index {index}, length {length}"));
    if from >= length || from < 0 {
        return outside(from);
    }
    if to > length || to < 0 {
        return outside(to.saturating_sub(1));
    }
    if from > to {
        return Err(format!("starting index {from} is greater than ending index {to}"));
    }
    let step = match slice.step {
        None => 1,
        Some(step) if step <= 0 => return Err("step must be > 0".to_owned()),
        Some(step) => usize::try_from(step).unwrap_or(usize::MAX),
    };
    let bound = |index: i64| usize::try_from(index).unwrap_or(0);
    let chosen = list.get(bound(from)..bound(to)).unwrap_or_default();
    Ok(chosen.iter().step_by(step).map(Found::Value).collect())
}

/// Values of one kind only are compared; a whole number and one with a point are of two kinds.
fn compare(left: &Found<'_>, operator: &str, right: &Found<'_>) -> Result<bool, String> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (Some(left), Some(right)) = (left.value(), right.value()) else {
        return Err("invalid type for comparison".to_owned());
    };
    let ordering = match (left, right) {
        (Value::Bool(a), Value::Bool(b)) if matches!(operator, "==" | "!=") => Some(a.cmp(b)),
        (Value::Bool(_), Value::Bool(_)) => return Err("invalid type for comparison".to_owned()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            (None, None) => a.as_f64().partial_cmp(&b.as_f64()),
            _ => return Err("incompatible types for comparison".to_owned()),
        },
        (Value::Null | Value::Object(_) | Value::Array(_), _)
        | (_, Value::Null | Value::Object(_) | Value::Array(_)) => {
            return Err("invalid type for comparison".to_owned());
        }
        _ => return Err("incompatible types for comparison".to_owned()),
    };
    Ok(match operator {
        "<" => ordering == Some(Less),
        ">" => ordering == Some(Greater),
        "==" => ordering == Some(Equal),
        "!=" => ordering != Some(Equal),
        "<=" => matches!(ordering, Some(Less | Equal)),
        ">=" => matches!(ordering, Some(Greater | Equal)),
        other => return Err(format!("unrecognized filter operator {other}")),
    })
}
