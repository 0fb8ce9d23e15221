//! Values as Go's fmt and encoding/json print them, since kubectl's output is theirs.

use serde::Serialize;
use serde_json::Value;

use crate::cli::print::CompactGo;

/// JSON without blanks, `<`, `>` and `&` escaped.
pub fn compact_json(value: &Value) -> String {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, CompactGo);
    // A value of serde_json has text keys only: this does not fail.
    let _ = value.serialize(&mut serializer);
    String::from_utf8(text).unwrap_or_default()
}

/// `%v`: `map[a:1 b:[x y]]`.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", plain(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}

/// `%#v`: `map[string]interface {}{"a":1}`.
pub fn syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quoted(text),
        Value::Array(list) => {
            format!("[]interface {{}}{{{}}}", list.iter().map(syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| format!("{}:{}", quoted(key), syntax(value));
            format!("map[string]interface {{}}{{{}}}", map.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// `%T`.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// `%q`.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 || u32::from(c) == 0x7f => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What stands between two quotes (`strconv.UnquoteChar`, one character after another). None for bad syntax.
pub fn unquote(text: &str, quote: char) -> Option<String> {
    let mut bytes = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let value = match character {
            '\\' => match characters.next()? {
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                '\\' => '\\',
                'x' => {
                    bytes.push(u8::try_from(digits(&mut characters, "", 2, 16)?).ok()?);
                    continue;
                }
                'u' => char::from_u32(digits(&mut characters, "", 4, 16)?)?,
                'U' => char::from_u32(digits(&mut characters, "", 8, 16)?)?,
                first @ '0'..='7' => {
                    bytes.push(u8::try_from(digits(&mut characters, &first.to_string(), 2, 8)?).ok()?);
                    continue;
                }
                mark if mark == quote => mark,
                _ => return None,
            },
            mark if mark == quote => return None,
            other => other,
        };
        bytes.extend(value.encode_utf8(&mut [0; 4]).bytes());
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A number of so many more digits.
fn digits(characters: &mut std::str::Chars<'_>, first: &str, count: usize, base: u32) -> Option<u32> {
    let text: String = first.chars().chain(characters.take(count)).collect();
    let whole = text.len() == first.len() + count && text.chars().all(|digit| digit.is_digit(base));
    whole.then(|| u32::from_str_radix(&text, base).ok()).flatten()
}
