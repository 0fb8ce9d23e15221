//! Field paths and field errors with the API server's exact texts (apimachinery `field.Path`, `field.Error`).
//!
//! Validation makes these; `status` turns them into the causes of a Status, `diagnostic` into lines for people.
//! Nothing here decides whether a value is good.

use std::fmt;

use serde::Serialize;

/// Where a field is: `spec.containers[0].resources.limits[cpu]`. Cheap to extend, made into text only for an error.
#[derive(Clone, Copy, Debug)]
pub struct FieldPath<'a> {
    parent: Option<&'a FieldPath<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Child(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> FieldPath<'a> {
    /// A path of one name, such as `spec`.
    pub fn new(name: &'a str) -> Self {
        Self { parent: None, step: Step::Child(name) }
    }

    /// `.name` below this one. A name may hold dots (`valueFrom.fieldRef`).
    pub fn child(&'a self, name: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Child(name) }
    }

    /// `[index]`, an entry of a list.
    pub fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }

    /// `[key]`, an entry of a map.
    pub fn key(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Key(key) }
    }
}

impl fmt::Display for FieldPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Child(name) if self.parent.is_some() => write!(f, ".{name}"),
            Step::Child(name) => f.write_str(name),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => write!(f, "[{key}]"),
        }
    }
}

/// The kinds of field errors (apimachinery `field.ErrorType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A value is missing.
    Required,
    /// A value is malformed or out of range.
    Invalid,
    /// A value is not one of a known set.
    NotSupported,
    /// A value may not be given here.
    Forbidden,
    /// A value that must be unique is not.
    Duplicate,
    /// A name refers to nothing.
    NotFound,
    /// A value is too long.
    TooLong,
    /// A list has too many entries.
    TooMany,
    /// The server's own failure.
    Internal,
    /// A value has the wrong type.
    TypeInvalid,
}

impl ErrorKind {
    /// The words that begin the text.
    pub fn words(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::Duplicate => "Duplicate value",
            Self::NotFound => "Not found",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Internal => "Internal error",
        }
    }

    /// The `reason` of a `StatusCause`.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Internal => "InternalError",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }
}

/// A value as an error shows it: strings as Go's `%q`, numbers and booleans bare, all else as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// Anything of a Go type other than string, number, bool: structs, lists, absent pointers.
    pub fn json(value: &impl Serialize) -> Self {
        Self(escape_html(serde_json::to_string(value).unwrap_or_else(|_| "null".into())))
    }
}

impl From<&str> for Shown {
    fn from(value: &str) -> Self {
        Self(quote(value))
    }
}

impl From<&String> for Shown {
    fn from(value: &String) -> Self {
        Self(quote(value))
    }
}

impl From<i64> for Shown {
    fn from(value: i64) -> Self {
        Self(value.to_string())
    }
}

impl From<i32> for Shown {
    fn from(value: i32) -> Self {
        Self(value.to_string())
    }
}

impl From<bool> for Shown {
    fn from(value: bool) -> Self {
        Self(value.to_string())
    }
}

/// One field error; displays as `PATH: Invalid value: "x": detail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The path, as the API server writes it (quirks included).
    pub path: String,
    /// Which kind.
    pub kind: ErrorKind,
    /// The value as shown; `None` where the kind shows none.
    pub value: Option<Shown>,
    /// The rest of the text; may be empty.
    pub detail: String,
}

impl FieldError {
    fn new(path: &dyn fmt::Display, kind: ErrorKind, value: Option<Shown>, detail: impl Into<String>) -> Self {
        Self { path: path.to_string(), kind, value, detail: detail.into() }
    }

    /// `PATH: Required value[: detail]`.
    pub fn required(path: &dyn fmt::Display, detail: impl Into<String>) -> Self {
        Self::new(path, ErrorKind::Required, None, detail)
    }

    /// `PATH: Invalid value: V: detail`.
    pub fn invalid(path: &dyn fmt::Display, value: impl Into<Shown>, detail: impl Into<String>) -> Self {
        Self::new(path, ErrorKind::Invalid, Some(value.into()), detail)
    }

    /// `PATH: Unsupported value: V: supported values: "A", "B"`, the list in the order given.
    pub fn not_supported(path: &dyn fmt::Display, value: impl Into<Shown>, supported: &[&str]) -> Self {
        let list = supported.iter().map(|v| quote(v)).collect::<Vec<_>>().join(", ");
        let detail = if supported.is_empty() { String::new() } else { format!("supported values: {list}") };
        Self::new(path, ErrorKind::NotSupported, Some(value.into()), detail)
    }

    /// `PATH: Forbidden: detail`.
    pub fn forbidden(path: &dyn fmt::Display, detail: impl Into<String>) -> Self {
        Self::new(path, ErrorKind::Forbidden, None, detail)
    }

    /// `PATH: Duplicate value: V`.
    pub fn duplicate(path: &dyn fmt::Display, value: impl Into<Shown>) -> Self {
        Self::new(path, ErrorKind::Duplicate, Some(value.into()), "")
    }

    /// `PATH: Not found: V`.
    pub fn not_found(path: &dyn fmt::Display, value: impl Into<Shown>) -> Self {
        Self::new(path, ErrorKind::NotFound, Some(value.into()), "")
    }

    /// `PATH: Too long: may not be more than N bytes`.
    pub fn too_long(path: &dyn fmt::Display, max: usize) -> Self {
        Self::new(path, ErrorKind::TooLong, None, format!("may not be more than {max} bytes"))
    }

    /// `PATH: Too many: K: must have at most N items`.
    pub fn too_many(path: &dyn fmt::Display, actual: usize, max: usize) -> Self {
        let items = if max == 1 { "item" } else { "items" };
        let detail = format!("must have at most {max} {items}");
        Self::new(path, ErrorKind::TooMany, Some(Shown(actual.to_string())), detail)
    }

    /// `PATH: Internal error: detail`.
    pub fn internal(path: &dyn fmt::Display, detail: impl Into<String>) -> Self {
        Self::new(path, ErrorKind::Internal, None, detail)
    }

    /// How much text it holds.
    pub fn size(&self) -> usize {
        self.path.len() + self.value.as_ref().map_or(0, |Shown(value)| value.len()) + self.detail.len()
    }

    /// The text without the path: the `message` of a `StatusCause`.
    pub fn body(&self) -> String {
        let mut text = self.kind.words().to_string();
        if let Some(Shown(value)) = &self.value {
            text.push_str(": ");
            text.push_str(value);
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

/// JSON as Go's encoder writes it: these characters, which can stand only within strings, are escaped.
pub fn escape_html(json: String) -> String {
    if !json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return json;
    }
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// A string as Go's `%q` prints it: double quotes, Go's escapes, printable text as it is.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            c if (c as u32) < 0x20 || c == '\x7f' => quoted.push_str(&format!("\\x{:02x}", c as u32)),
            c if is_unprintable(c) && (c as u32) < 0x10000 => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            c if is_unprintable(c) => quoted.push_str(&format!("\\U{:08x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Go's `strconv.IsPrint` in the part that matters: controls, spaces other than U+0020, format and private characters.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || (c != ' ' && c.is_whitespace())
        || matches!(c as u32, 0xad | 0x600..=0x605 | 0x61c | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f
            | 0xe000..=0xf8ff | 0xfeff | 0xfff9..=0xfffb | 0xffff | 0xfffe | 0xe0000..=0x10ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_the_server_writes_them() {
        let spec = FieldPath::new("spec");
        let containers = spec.child("containers");
        let first = containers.index(0);
        let limits = first.child("resources.limits");
        assert_eq!(limits.key("cpu").to_string(), "spec.containers[0].resources.limits[cpu]");
    }

    #[test]
    fn errors_render_as_go_does() {
        let path = FieldPath::new("spec");
        let name = path.child("name");
        assert_eq!(FieldError::required(&name, "").to_string(), "spec.name: Required value");
        assert_eq!(FieldError::invalid(&name, "a\"b", "no").to_string(), r#"spec.name: Invalid value: "a\"b": no"#);
        assert_eq!(
            FieldError::not_supported(&name, "x", &["A", "B"]).to_string(),
            r#"spec.name: Unsupported value: "x": supported values: "A", "B""#
        );
        assert_eq!(FieldError::too_many(&name, 21, 20).body(), "Too many: 21: must have at most 20 items");
        assert_eq!(FieldError::invalid(&name, Shown::json(&None::<i32>), "nil").body(), "Invalid value: null: nil");
        assert_eq!(quote("a\u{200b}\u{1}é"), "\"a\\u200b\\x01é\"");
    }
}
