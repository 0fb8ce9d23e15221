//! The field table: every field of a Pod, ConfigMap, Secret and KubeletConfiguration has exactly one row, with its type, how the API keeps
//! its zero value, and what podlet does with it. `decode` reads types from it, `treatment` what to refuse or note.
//!
//! The rows follow Kubernetes 1.36's `core/v1` and `meta/v1` types; a test walks the schema of `k8s-openapi` and finds
//! a field without a row, or a row without a field.

mod container;
mod driver;
mod kubelet;
mod object;
mod placement;
mod pod;
mod security;
mod status;
#[cfg(test)]
mod tests;
mod volume;

pub use kubelet::{DURATION, KUBELET_CONFIGURATION};
pub use object::{CONFIG_MAP, POD, SECRET};

/// What podlet does with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Carried out, as far as the rows beneath it say.
    Supported,
    /// Carried out with the meaning that it has on one machine.
    OneMachine,
    /// Accepted and kept; it can mean nothing on one machine. All of them make one notice.
    NoMeaning,
    /// Accepted with a notice of its own, as its writer would expect an effect.
    Warned,
    /// Accepted with a notice that says what holds instead.
    Told(&'static str),
    /// `Told` when it has one of these values.
    ToldFor(&'static [&'static str], &'static str),
    /// Not carried out yet: refused, unless it is allowed by name.
    Later,
    /// `Later` when it has one of these values (`X-*` is a prefix).
    LaterFor(&'static [&'static str]),
    /// `Later` when it has another value than these.
    LaterUnless(&'static [&'static str]),
    /// `Later` for another value than zero, but for a pod in the machine's own network, where it is only a word.
    LaterUnlessHostNetwork,
    /// Not to be set here, in Kubernetes neither: validation refuses it.
    Forbidden,
    /// Refused: one machine cannot honour it.
    Refused,
    /// `Refused` when it has one of these values.
    RefusedFor(&'static [&'static str]),
    /// `Refused` when it has another value than these.
    RefusedUnless(&'static [&'static str]),
    /// Amounts by resource name: cpu and memory are carried out, of ephemeral-storage the limits, others are refused.
    ResourceNames,
}

/// What a field's value must be, in the terms in which Go names it in its messages.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// `bool`.
    Bool,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// A string, with the name of its Go type.
    Text(&'static str),
    /// Bytes, written in base64.
    Bytes,
    /// An amount such as `500m`; a string or a number.
    Quantity,
    /// A whole number or a string.
    IntOrString,
    /// An RFC 3339 time.
    Time,
    /// Anything.
    Raw,
    /// A struct.
    Object(&'static Struct),
    /// A list.
    List(&'static Type),
    /// A map with string keys; its Go name where it has one.
    Map(&'static str, &'static Type),
}

/// The plain string.
pub const STRING: Type = Type::Text("string");

impl Type {
    /// The name in Go's messages: `[]v1.Container`, `map[string]string`.
    pub fn go_name(&self) -> String {
        match self {
            Self::Bool => "bool".into(),
            Self::Int32 => "int32".into(),
            Self::Int64 => "int64".into(),
            Self::Text(name) => (*name).into(),
            Self::Bytes => "[]uint8".into(),
            Self::Quantity => "resource.Quantity".into(),
            Self::IntOrString => "intstr.IntOrString".into(),
            Self::Time => "v1.Time".into(),
            Self::Raw => "v1.FieldsV1".into(),
            Self::Object(object) => format!("v1.{}", object.name),
            Self::List(item) => format!("[]{}", item.go_name()),
            Self::Map("", item) => format!("map[string]{}", item.go_name()),
            Self::Map(name, _) => (*name).into(),
        }
    }

    /// What it is in words, for people.
    pub fn in_words(&self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int32 | Self::Int64 => "a whole number",
            Self::Text(_) => "a string",
            Self::Bytes => "a string in base64",
            Self::Quantity => "a quantity such as 500m or 64Mi",
            Self::IntOrString => "a whole number or a string",
            Self::Time => "a time such as 2026-01-31T12:00:00Z",
            Self::Raw => "anything",
            Self::Object(_) => "a mapping (field: value)",
            Self::List(_) => "a list",
            Self::Map(..) => "a mapping (key: value)",
        }
    }
}

/// How the API keeps a field whose value is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The Go field is a pointer: what was written is kept, zero too.
    Pointer,
    /// Zero is the same as absent; a struct by value is always there.
    OmitEmpty,
    /// Always written.
    Always,
}

/// A struct of the API.
#[derive(Debug)]
pub struct Struct {
    /// Its Go name.
    pub name: &'static str,
    /// The size of the typed object, for the memory budget.
    pub size: usize,
    /// Its fields, in the API's order.
    pub rows: &'static [Row],
}

impl Struct {
    /// The row of a field.
    pub fn row(&self, name: &str) -> Option<&'static Row> {
        self.rows.iter().find(|row| row.name == name)
    }
}

/// A field.
#[derive(Debug)]
pub struct Row {
    /// Its name in JSON.
    pub name: &'static str,
    /// The Go struct embedded in this one that holds it (Go puts it into the path of a message), or nothing.
    pub embedded: &'static str,
    /// Its type.
    pub kind: Type,
    /// How zero is kept.
    pub keep: Keep,
    /// What podlet does with it.
    pub treatment: Treatment,
}

const fn row(name: &'static str, kind: Type, keep: Keep, treatment: Treatment) -> Row {
    Row { name, embedded: "", kind, keep, treatment }
}

const fn embedded(embedded: &'static str, name: &'static str, kind: Type, keep: Keep, treatment: Treatment) -> Row {
    Row { name, embedded, kind, keep, treatment }
}
