//! kubectl's page of a field: what it is, its description, its fields.

use super::schema::{Field, Schema, object_of};
use crate::manifest::fields::Type;

/// A page that is being written.
#[derive(Default)]
pub struct Page(String);

impl Page {
    /// The field that was asked for.
    pub fn field(&mut self, name: &str, kind: &str, values: &[&str]) {
        self.0.push_str(&format!("FIELD: {name} <{kind}>\n"));
        if !values.is_empty() {
            self.0.push_str(&format!("ENUM:\n    {}", values.join("\n    ")));
        }
        self.0.push_str("\n\n");
    }

    /// What the API says of it.
    pub fn description(&mut self, text: &str) {
        let text = if text.is_empty() { "<empty>" } else { text };
        self.0.push_str(&format!("DESCRIPTION:\n{}\n", indented(&wrapped(text, 76), 4)));
    }

    /// Its fields, if it has any.
    pub fn fields(&mut self, schema: &Schema, field: &Field<'_>, kind: Option<&Type>, recursive: bool) {
        let mut list = String::new();
        write_fields(schema, field, kind, recursive, 1, &mut list);
        if !list.is_empty() {
            self.0.push_str(&format!("FIELDS:\n{list}"));
        }
    }

    /// The text.
    pub fn finish(mut self) -> String {
        self.0.push('\n');
        self.0
    }
}

/// In a line of a list only so many values are named.
const VALUES_IN_A_LINE: usize = 4;

fn write_fields(
    schema: &Schema,
    field: &Field<'_>,
    kind: Option<&Type>,
    recursive: bool,
    level: usize,
    list: &mut String,
) {
    let Some(inside) = schema.inside(field) else { return };
    let object = kind.and_then(object_of);
    for name in schema.names(&inside) {
        let Some(property) = schema.property(&inside, name) else { continue };
        let row = object.and_then(|object| object.row(name));
        let indent = " ".repeat(level * 2);
        list.push_str(&format!("{indent}{name}\t<{}>", schema.type_of(&property)));
        if schema.is_required(&inside, name) {
            list.push_str(" -required-");
        }
        let values = schema.values_of(row);
        if !values.is_empty() {
            let shown = values.get(..VALUES_IN_A_LINE.min(values.len())).unwrap_or_default().join(", ");
            let more = if values.len() > VALUES_IN_A_LINE { ", ...." } else { "" };
            list.push_str(&format!("\n{indent}enum: {shown}{more}"));
        }
        list.push('\n');
        if recursive {
            write_fields(schema, &property, row.map(|row| &row.kind), recursive, level + 1, list);
        } else {
            let text = schema.own_description(&property).unwrap_or("<no description>");
            let text = wrapped(text, 78 - level * 2);
            list.push_str(&format!("{}\n\n", indented(&text, level * 2 + 2)));
        }
    }
}

/// Every line behind so many blanks.
pub fn indented(text: &str, by: usize) -> String {
    let blanks = " ".repeat(by);
    format!("{blanks}{}", text.replace('\n', &format!("\n{blanks}")))
}

/// Lines of at most so many characters, broken at blanks as Go's wordwrap does it; a longer word stays whole.
pub fn wrapped(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let (mut column, mut word, mut gap) = (0, String::new(), String::new());
    let length = |text: &str| text.chars().count();
    for character in text.chars() {
        if character == '\n' {
            if !word.is_empty() || column + length(&gap) <= limit {
                out.push_str(&gap);
            }
            out.push_str(&word);
            out.push('\n');
            (column, word, gap) = (0, String::new(), String::new());
        } else if character.is_whitespace() && character != '\u{a0}' {
            if gap.is_empty() || !word.is_empty() {
                column += length(&gap) + length(&word);
                out.push_str(&gap);
                out.push_str(&word);
                gap.clear();
                word.clear();
            }
            gap.push(character);
        } else {
            word.push(character);
            if column + length(&gap) + length(&word) > limit && length(&word) < limit {
                out.push('\n');
                column = 0;
                gap.clear();
            }
        }
    }
    if !word.is_empty() || column + length(&gap) <= limit {
        out.push_str(&gap);
    }
    out.push_str(&word);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_and_indented_as_kubectl_does() {
        assert_eq!(wrapped("one two three", 7), "one two\nthree");
        assert_eq!(wrapped("one\n\ntwo", 7), "one\n\ntwo");
        assert_eq!(wrapped("abcdefghij", 4), "abcdefghij");
        assert_eq!(indented("a\nb\n", 2), "  a\n  b\n  ");
    }
}
