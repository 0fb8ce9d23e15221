//! KYAML as kubectl writes it (sigs.k8s.io/yaml/kyaml): YAML in which nothing depends on indentation and no text can be taken
//! for something else. Braces and brackets as in JSON, every value that is a text in double quotes, keys bare where that is safe,
//! texts of several lines a line each.

use serde_json::Value;

use super::jsonpath::go;
use crate::manifest::field::is_unprintable;

/// The value as one document, its head line included.
pub fn to_text(value: &Value) -> String {
    let mut text = "---\n".to_owned();
    node(value, 0, &mut text);
    text.push('\n');
    text
}

fn node(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str("{}"),
        Value::Array(list) if list.is_empty() => out.push_str("[]"),
        Value::Object(map) => {
            out.push_str("{\n");
            for (key, value) in map {
                step(indent + 1, out);
                match needs_quotes(key) {
                    true => quoted(key, indent + 2, false, out),
                    false => out.push_str(key),
                }
                out.push_str(": ");
                node(value, indent + 1, out);
                out.push_str(",\n");
            }
            step(indent, out);
            out.push('}');
        }
        // What has brackets of its own stands behind those of its list.
        Value::Array(list) if list.iter().all(|item| item.is_object() || item.is_array()) => {
            out.push('[');
            for (at, item) in list.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                node(item, indent, out);
            }
            out.push(']');
        }
        Value::Array(list) => {
            out.push_str("[\n");
            for item in list {
                step(indent + 1, out);
                node(item, indent + 1, out);
                out.push_str(",\n");
            }
            step(indent, out);
            out.push(']');
        }
        Value::String(text) => quoted(text, indent + 1, true, out),
        other => out.push_str(&go::compact_json(other)),
    }
}

fn step(level: usize, out: &mut String) {
    (0..level).for_each(|_| out.push_str("  "));
}

/// A text in double quotes; where `lines` are kept apart, each of several stands on its own, folded by a backslash.
fn quoted(text: &str, indent: usize, lines: bool, out: &mut String) {
    const FOLD: &str = "\\\n";
    let several = lines && text.contains('\n');
    out.push('"');
    if several {
        out.push_str(FOLD);
    }
    for c in text.chars() {
        if out.ends_with('\n') {
            step(indent, out);
            // Blanks at the beginning would be lost; a blank before all else keeps lines beneath each other.
            out.push(if c.is_whitespace() && c != '\n' { '\\' } else { ' ' });
        }
        escaped(c, lines, out);
    }
    if several {
        if !out.ends_with('\n') {
            out.push_str(FOLD);
        }
        step(indent, out);
    }
    out.push('"');
}

fn escaped(c: char, lines: bool, out: &mut String) {
    match c {
        '\n' if lines => out.push_str("\\n\\\n"),
        '\t' if lines => out.push('\t'),
        '"' | '\\' => out.extend(['\\', c]),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0b' => out.push_str("\\v"),
        '\x0c' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        '\0' => out.push_str("\\0"),
        '\x1b' => out.push_str("\\e"),
        '\u{85}' => out.push_str("\\N"),
        '\u{a0}' => out.push_str("\\_"),
        '\u{2028}' => out.push_str("\\L"),
        '\u{2029}' => out.push_str("\\P"),
        c if !is_unprintable(c) => out.push(c),
        c => match u32::from(c) {
            code @ ..=0x1f | code @ 0x7f => out.push_str(&format!("\\x{code:02x}")),
            code @ ..=0xffff => out.push_str(&format!("\\u{code:04x}")),
            code => out.push_str(&format!("\\U{code:08x}")),
        },
    }
}

/// Whether a bare key could be read as something else, by any YAML.
fn needs_quotes(key: &str) -> bool {
    let last = key.chars().count().saturating_sub(1);
    let safe = |(at, c): (usize, char)| {
        c.is_alphanumeric() || c == '_' || (at > 0 && at < last && matches!(c, '-' | '.' | '/'))
    };
    key.is_empty() || is_ambiguous(key) || !key.chars().enumerate().all(safe)
}

fn is_ambiguous(key: &str) -> bool {
    const WORDS: [&str; 12] = ["null", "~", "true", "t", "y", "yes", "on", "false", "f", "n", "no", "off"];
    let lower = key.to_lowercase();
    WORDS.contains(&lower.as_str()) || is_number(&lower.replace('_', "")) || is_time(key)
}

/// Go's integers of any base, and its other numbers.
fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    let based = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .any(|(prefix, base)| digits.strip_prefix(prefix).is_some_and(|rest| i64::from_str_radix(rest, *base).is_ok()));
    based || text.parse::<f64>().is_ok()
}

/// A date, or a date with a time: what YAML 1.1 has a type for.
fn is_time(text: &str) -> bool {
    let date = text.split(['T', 't', ' ']).next().unwrap_or_default();
    let parts: Vec<&str> = date.split('-').collect();
    let number = |part: &&str, longest: usize| {
        !part.is_empty() && part.len() <= longest && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    matches!(parts.as_slice(), [year, month, day] if year.len() == 4 && number(year, 4) && number(month, 2) && number(day, 2))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_written_as_kubectl_writes_it() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "labels": {"app.kubernetes.io/n": "1", "no": "yes", "1": "", "a b": "t\ta"}},
            "data": {"f": "one\n  two\n", "g": "a\nb", "t": "a\tb \"q\" \u{1}"}, "list": [{"a": 1, "b": true}, {"c": null}], "words": ["x", "y"], "e": [], "m": {}});
        let expected = "---\n{\n  apiVersion: \"v1\",\n  data: {\n    \"f\": \"\\\n       one\\n\\\n      \\  two\\n\\\n      \",\n    \
             g: \"\\\n       a\\n\\\n       b\\\n      \",\n    \"t\": \"a\tb \\\"q\\\" \\x01\",\n  },\n  e: [],\n  kind: \"ConfigMap\",\n  \
             list: [{\n    a: 1,\n    b: true,\n  }, {\n    c: null,\n  }],\n  m: {},\n  metadata: {\n    labels: {\n      \"1\": \"\",\n      \
             \"a b\": \"t\ta\",\n      app.kubernetes.io/n: \"1\",\n      \"no\": \"yes\",\n    },\n    name: \"x\",\n  },\n  \
             words: [\n    \"x\",\n    \"y\",\n  ],\n}\n";
        assert_eq!(to_text(&object), expected);
    }

    #[test]
    fn keys_are_bare_where_nothing_reads_them_otherwise() {
        for key in ["name", "tls.crt", "a/b", "_x", "é", "x1", "10m", "app-1"] {
            assert!(!needs_quotes(key), "{key}");
        }
        for key in [
            "",
            "no",
            "Y",
            "TRUE",
            "t",
            "null",
            "0",
            "1_000",
            "0x1f",
            "0b1",
            "1e3",
            "inf",
            "NaN",
            "2026-01-02",
            ".x",
            "x.",
            "-",
            "a:b",
            "$x",
        ] {
            assert!(needs_quotes(key), "{key}");
        }
    }
}
