//! CEL over a pod: `containers.app.restarts <= 3 && pod.status.phase == 'Running'`. Standard CEL with the strings extension,
//! and one addition: a duration may be written as it is everywhere else in a scenario, `300s` for `duration('300s')`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cel::objects::{Key, Map};
use cel::{Context, Env, Program, Value};
use serde_json::Value as Json;

use super::moment::Seen;
use crate::manifest::suggest;

/// What an expression may speak of.
pub const VARIABLES: &[(&str, &str)] = &[
    ("pod", "the pod as `podlet get pod -o json` prints it"),
    ("self", "the same"),
    ("object", "the same"),
    ("metadata", "`pod.metadata`"),
    ("spec", "`pod.spec`"),
    ("status", "`pod.status`"),
    (
        "containers",
        "by name, all of them: `state` (`Waiting`, `Running`, `Terminated`), `reason`, `message`, `exitCode`, `ready`, `started`, \
         `restarts`, `backoff` (a duration, 0s while it does not wait), `lastReason`, `lastExitCode`",
    ),
    ("conditions", "by type, their `status`: `conditions.Ready == 'True'`"),
    ("events", "the pod's events, as `podlet get events -o json` prints them"),
    ("time", "how long ago the pod was admitted, a duration"),
    ("now", "the wall clock, a timestamp"),
    ("deleted", "whether the pod object is gone"),
];

/// No expression is longer.
const LONGEST: usize = 4096;
/// None nests deeper.
const DEEPEST: usize = 48;

/// A compiled expression.
pub struct Expression {
    text: String,
    program: Program,
    variables: Vec<&'static str>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

fn environment() -> &'static Arc<Env> {
    static MADE: OnceLock<Arc<Env>> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut environment = Env::stdlib();
        // It can only fail where a name is taken, and none is.
        let _ = environment.add_extension(cel::extensions::strings);
        Arc::new(environment)
    })
}

impl Expression {
    /// Compiles one; says what is wrong with it.
    pub fn read(text: &str) -> Result<Expression, String> {
        if text.len() > LONGEST {
            return Err(format!("an expression of more than {LONGEST} bytes"));
        }
        if deepest(text) > DEEPEST {
            return Err(format!("an expression that nests deeper than {DEEPEST} levels"));
        }
        let program = environment().compile(&with_durations(text)).map_err(|errors| {
            let first = errors.errors.first().map(|error| error.msg.clone()).unwrap_or_else(|| errors.to_string());
            format!("not a CEL expression: {first}")
        })?;
        let own = local_names(text);
        let mut variables = Vec::new();
        for name in program.references().variables() {
            match VARIABLES.iter().find(|(known, _)| *known == name) {
                Some((known, _)) => variables.push(*known),
                // What `all(x, …)` and its like name themselves.
                None if own.iter().any(|own| own == name) => {}
                None if environment_knows(name) => {}
                None => {
                    let known = || VARIABLES.iter().map(|(known, _)| *known);
                    let hint = match suggest::nearest(name, known()) {
                        Some(near) => format!("did you mean {near:?}?"),
                        None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
                    };
                    return Err(format!("nothing is called {name:?} ({hint})"));
                }
            }
        }
        variables.sort_unstable();
        Ok(Expression { text: text.to_owned(), program, variables })
    }

    /// Whether what it says changes although nothing that a user sees of the pod does.
    pub fn watches_time(&self) -> bool {
        self.variables.iter().any(|name| matches!(*name, "time" | "now" | "events"))
    }

    /// Whether it speaks of a pod that is gone.
    pub fn knows_deletion(&self) -> bool {
        self.variables.contains(&"deleted")
    }

    /// What it says of this moment: true or false, or why it says neither.
    pub fn holds(&self, seen: &Seen<'_>) -> Result<bool, String> {
        let mut context = Context::with_env(Arc::clone(environment()));
        for name in &self.variables {
            context.add_variable_from_value(*name, variable(name, seen));
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(other) => Err(format!("it gives {}, not true or false", shown(&other))),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A value as somebody would write it.
fn shown(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Null => "null".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
        _ => "a value of another kind".to_owned(),
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Names of types that stand alone in an expression: `type(x) == int`.
fn environment_knows(name: &str) -> bool {
    matches!(
        name,
        "int"
            | "uint"
            | "double"
            | "bool"
            | "string"
            | "bytes"
            | "list"
            | "map"
            | "null_type"
            | "type"
            | "duration"
            | "timestamp"
            | "optional"
            | "google"
            | "math"
            | "strings"
    )
}

fn variable(name: &str, seen: &Seen<'_>) -> Value {
    let of_pod = |field: &str| value(seen.json().get(field).unwrap_or(&Json::Null));
    match name {
        "metadata" | "spec" | "status" => of_pod(name),
        "containers" => containers(seen),
        "conditions" => {
            let list = seen.json().pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten();
            let pair = |condition: &Json| Some((text(condition.get("type")?), value(condition.get("status")?)));
            map(list.filter_map(pair))
        }
        "events" => {
            let events = seen.events().iter().map(|event| value(&serde_json::to_value(event).unwrap_or_default()));
            Value::List(Arc::new(events.collect()))
        }
        "time" => duration(seen.at),
        "now" => {
            let wall = seen.wall.0;
            let (seconds, rest) = (wall.div_euclid(1_000_000_000), wall.rem_euclid(1_000_000_000));
            let time = chrono::DateTime::from_timestamp(seconds, u32::try_from(rest).unwrap_or_default());
            Value::Timestamp(time.unwrap_or_default().fixed_offset())
        }
        "deleted" => Value::Bool(seen.gone),
        _ => value(seen.json()),
    }
}

fn containers(seen: &Seen<'_>) -> Value {
    map(seen.containers().map(|container| {
        let text = |text: &Option<String>| Value::String(Arc::new(text.clone().unwrap_or_default()));
        let code = |code: Option<i32>| code.map_or(Value::Null, |code| Value::Int(i64::from(code)));
        let fields = [
            ("state", Value::String(Arc::new(container.state.word().to_owned()))),
            ("reason", text(&container.reason)),
            ("message", text(&container.message)),
            ("exitCode", code(container.exit_code)),
            ("ready", Value::Bool(container.ready)),
            ("started", Value::Bool(container.started)),
            ("restarts", Value::Int(i64::from(container.restarts))),
            ("restartCount", Value::Int(i64::from(container.restarts))),
            ("backoff", duration(container.backoff)),
            ("lastReason", text(&container.last_reason)),
            ("lastExitCode", code(container.last_exit_code)),
        ];
        (container.name.clone(), map(fields.into_iter().map(|(name, value)| (name.to_owned(), value))))
    }))
}

fn duration(time: Duration) -> Value {
    Value::Duration(chrono::Duration::nanoseconds(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)))
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn map(entries: impl Iterator<Item = (String, Value)>) -> Value {
    let entries = entries.map(|(name, value)| (Key::String(Arc::new(name)), value));
    Value::Map(Map { map: Arc::new(entries.collect()) })
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::UInt(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(value).collect())),
        Json::Object(fields) => map(fields.iter().map(|(name, field)| (name.clone(), value(field)))),
    }
}

/// The characters that are no text in quotes, with their places; and whether each begins a word.
fn outside_quotes(text: &str) -> Vec<(usize, char)> {
    let mut found = Vec::new();
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None => found.push((at, c)),
        }
    }
    found
}

/// How deep brackets nest, and how many signs or dots follow each other: what a parser recurses over.
fn deepest(text: &str) -> usize {
    let (mut depth, mut most, mut signs) = (0_usize, 0, 0_usize);
    for (_, c) in outside_quotes(text) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        signs = match c {
            '!' | '-' | '?' => signs + 1,
            c if c.is_whitespace() => signs,
            _ => 0,
        };
        most = most.max(depth).max(signs);
    }
    most
}

/// `300s` as `duration('300s')`.
fn with_durations(text: &str) -> String {
    let outside: BTreeMap<usize, char> = outside_quotes(text).into_iter().collect();
    let mut result = String::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let begins = before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '.');
        let first = rest.chars().next().unwrap_or(' ');
        if begins && first.is_ascii_digit() && outside.contains_key(&at) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
            let (word, _) = rest.split_at(end);
            let unit = word.ends_with(|c: char| c.is_ascii_alphabetic());
            if unit && crate::duration::parse(word).is_ok() {
                result.push_str(&format!("duration('{word}')"));
                at += end;
                continue;
            }
            result.push_str(word);
            at += end.max(1);
            continue;
        }
        result.push(first);
        at += first.len_utf8();
    }
    result
}

/// The names that comprehensions bring along: `x` of `list.all(x, …)`.
fn local_names(text: &str) -> Vec<String> {
    const MACROS: &[&str] = &[
        "all",
        "exists",
        "exists_one",
        "existsOne",
        "map",
        "filter",
        "transformList",
        "transformMap",
        "optMap",
        "optFlatMap",
    ];
    let mut names = Vec::new();
    for name in MACROS {
        for (at, _) in text.match_indices(&format!(".{name}(")) {
            let inside = text.get(at + name.len() + 2..).unwrap_or_default();
            for word in inside.split(',').take(2) {
                let word = word.trim();
                if !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_') {
                    names.push(word.to_owned());
                }
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_everywhere() {
        assert_eq!(with_durations("a.b <= 300s && x == 3"), "a.b <= duration('300s') && x == 3");
        assert_eq!(with_durations("'300s' == \"5m\" + a5s"), "'300s' == \"5m\" + a5s");
        assert_eq!(with_durations("1m30s < 1.5h"), "duration('1m30s') < duration('1.5h')");
        assert_eq!(with_durations("1.5 + 2u + 0x1f"), "1.5 + 2u + 0x1f");
    }

    #[test]
    fn what_is_no_expression_is_told() {
        assert!(Expression::read("1 +").is_err());
        assert!(Expression::read("pods.status").is_err_and(|text| text.contains("did you mean \"pod\"?")));
        assert!(Expression::read("pod.spec.containers.all(c, c.name != 'x')").is_ok());
        assert!(Expression::read("has(pod.status.podIP) && time > 5s").is_ok());
        for hostile in ["(", "[", "{", "!", "-", "a?", "a.b", "a&&", "a+", "a||", "\"", "a[0]", "f(", "a==", "a in "] {
            let many = hostile.repeat(5_000 / hostile.len());
            let _ = Expression::read(&many);
            let _ = Expression::read(many.get(..4000).unwrap_or_default());
        }
    }
}
