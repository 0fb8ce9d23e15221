//! What a YAML scalar means, as Kubernetes reads it: YAML 1.1 in the way of go-yaml v2 (`sigs.k8s.io/yaml`).
//!
//! `yes`, `on` and `y` are booleans, `0644` is octal, `1_000` a number, `1:30` and dates stay strings. Called by `yaml`
//! for each scalar; knows nothing of fields.

use super::node::Value;

/// Why a scalar cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScalarError {
    /// A tag that its text does not fit; go-yaml's words.
    Tag(String),
    /// A number that JSON does not have: `+Inf`, `-Inf` or `NaN`.
    NotJson(&'static str),
}

/// A plain scalar without a tag.
pub fn resolve_plain(text: &str) -> Result<Value, ScalarError> {
    let Some(&first) = text.as_bytes().first() else { return Ok(Value::Null) };
    if let Some(value) = word(text) {
        return Ok(value);
    }
    match first {
        b'.' => match text {
            ".nan" | ".NaN" | ".NAN" => return Err(ScalarError::NotJson("NaN")),
            ".inf" | ".Inf" | ".INF" => return Err(ScalarError::NotJson("+Inf")),
            _ => {
                if let Some(value) = float(text, true) {
                    return Ok(value);
                }
            }
        },
        b'+' | b'-' | b'0'..=b'9' => match text {
            "+.inf" | "+.Inf" | "+.INF" => return Err(ScalarError::NotJson("+Inf")),
            "-.inf" | "-.Inf" | "-.INF" => return Err(ScalarError::NotJson("-Inf")),
            _ => {
                if let Some(value) = number(text) {
                    return Ok(value);
                }
            }
        },
        _ => {}
    }
    Ok(Value::String(text.into()))
}

/// A scalar with a tag (`!!int`, `!!binary` …; the short name after `tag:yaml.org,2002:`), plain or quoted.
pub fn resolve_tagged(tag: &str, text: &str) -> Result<Value, ScalarError> {
    match tag {
        "str" => return Ok(Value::String(text.into())),
        "binary" => return binary(text),
        "bool" | "int" | "float" | "null" | "timestamp" => {}
        // A tag that means nothing to Kubernetes leaves the text.
        _ => return Ok(Value::String(text.into())),
    }
    let value = resolve_plain(text)?;
    let found = match &value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Uint(_) => "int",
        Value::Float(_) => "float",
        _ => "str",
    };
    match (tag, value) {
        // A date is text, whatever its tag says.
        ("timestamp", value @ Value::String(_)) => Ok(value),
        ("float", Value::Int(number)) => Ok(Value::Float(number as f64)),
        (_, value) if tag == found => Ok(value),
        _ => Err(ScalarError::Tag(format!("cannot decode !!{found} `{text}` as a !!{tag}"))),
    }
}

/// Booleans and null.
fn word(text: &str) -> Option<Value> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        "~" | "null" | "Null" | "NULL" => Value::Null,
        _ => return None,
    })
}

/// A number that begins with a digit or a sign; none if it is text after all.
fn number(text: &str) -> Option<Value> {
    if looks_like_date(text) {
        return None;
    }
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let (sign, digits) = match plain.as_bytes().first()? {
        b'+' => ("", &plain[1..]),
        b'-' => ("-", &plain[1..]),
        _ => ("", plain.as_str()),
    };
    let lower = |prefix: &str| digits.get(..2).is_some_and(|p| p.eq_ignore_ascii_case(prefix));
    // Go's ParseInt with base 0: 0x, 0o, 0b, and a leading zero for octal.
    let (radix, body) = if lower("0x") {
        (16, &digits[2..])
    } else if lower("0o") {
        (8, &digits[2..])
    } else if lower("0b") {
        (2, &digits[2..])
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, &digits[1..])
    } else {
        (10, digits)
    };
    if !body.is_empty() && body.bytes().all(|b| (b as char).is_digit(radix)) {
        if let Ok(value) = i64::from_str_radix(&format!("{sign}{body}"), radix) {
            return Some(Value::Int(value));
        }
        // ParseUint takes no sign, so that `+18446744073709551615` becomes a float.
        if plain.len() == digits.len()
            && let Ok(value) = u64::from_str_radix(body, radix)
        {
            return Some(Value::Uint(value));
        }
    }
    float(&plain, false)
}

/// A decimal fraction. `go` allows what Go's own parser takes after a leading point.
fn float(text: &str, go: bool) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let fraction_fits = match fraction {
        Some(fraction) => digits(fraction) && !(whole.is_empty() && fraction.is_empty()),
        None => !whole.is_empty(),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !unsigned.is_empty() && digits(unsigned)
    });
    if !digits(whole) || !fraction_fits || !exponent_fits || (go && !text.starts_with('.')) {
        return None;
    }
    // Out of range is text, as Go's parser fails there.
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Value::Float)
}

/// `YYYY-M-D…`: go-yaml takes it for a time and Kubernetes for its text, never for a number.
fn looks_like_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 4 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-'
}

/// `!!binary`: the decoded bytes, as a string. Bytes that are no UTF-8 become U+FFFD, as in Go's JSON.
fn binary(text: &str) -> Result<Value, ScalarError> {
    match super::base64::decode(text) {
        Ok(bytes) => Ok(Value::String(String::from_utf8_lossy(&bytes).into())),
        Err(_) => Err(ScalarError::Tag("!!binary value contains invalid base64 data".into())),
    }
}

/// A number as Go writes it in JSON: shortest digits, an exponent below 1e-6 and from 1e21.
pub fn float_text(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        // Rust writes 1e21 and 1e-7, Go 1e+21 and 1e-07, which JSON shortens to 1e-7.
        match text.split_once('e') {
            Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
            _ => text,
        }
    } else {
        // Display never uses an exponent, and gives whole numbers without a point.
        format!("{value}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn scalars_are_those_of_yaml_1_1() {
        let int = |n: i64| Value::Int(n);
        let text = |t: &str| Value::String(t.into());
        for (written, meant) in [
            ("yes", Value::Bool(true)),
            ("N", Value::Bool(false)),
            ("On", Value::Bool(true)),
            ("tRue", text("tRue")),
            ("~", Value::Null),
            ("Null", Value::Null),
            ("nUll", text("nUll")),
            ("0644", int(420)),
            ("0o17", int(15)),
            ("0O17", int(15)),
            ("0x1F", int(31)),
            ("0b11", int(3)),
            ("-0b11", int(-3)),
            ("08", Value::Float(8.0)),
            ("0888", Value::Float(888.0)),
            ("0o8", text("0o8")),
            ("0x", text("0x")),
            ("1_000", int(1000)),
            ("+1", int(1)),
            ("-1", int(-1)),
            ("1e3", Value::Float(1000.0)),
            ("15.", Value::Float(15.0)),
            (".5", Value::Float(0.5)),
            ("5.5", Value::Float(5.5)),
            ("1e400", text("1e400")),
            ("1:30", text("1:30")),
            ("2024-01-01", text("2024-01-01")),
            ("=", text("=")),
            ("1.2.3", text("1.2.3")),
            ("1.", Value::Float(1.0)),
            (".", text(".")),
            ("-", text("-")),
            ("_1", text("_1")),
            ("18446744073709551615", Value::Uint(u64::MAX)),
            ("-9223372036854775808", int(i64::MIN)),
            ("9999999999999999999999", Value::Float(1e22)),
        ] {
            assert_eq!(resolve_plain(written), Ok(meant), "{written}");
        }
        assert_eq!(resolve_plain(".inf"), Err(ScalarError::NotJson("+Inf")));
        assert_eq!(resolve_plain("-.INF"), Err(ScalarError::NotJson("-Inf")));
        assert_eq!(resolve_plain(".NaN"), Err(ScalarError::NotJson("NaN")));
    }

    #[test]
    fn tags_are_honoured_or_ignored() {
        assert_eq!(resolve_tagged("str", "5"), Ok(Value::String("5".into())));
        assert_eq!(resolve_tagged("int", "5"), Ok(Value::Int(5)));
        assert_eq!(resolve_tagged("float", "5"), Ok(Value::Float(5.0)));
        assert_eq!(resolve_tagged("binary", "aGk="), Ok(Value::String("hi".into())));
        assert_eq!(resolve_tagged("something", "5"), Ok(Value::String("5".into())));
        assert_eq!(resolve_tagged("int", "x"), Err(ScalarError::Tag("cannot decode !!str `x` as a !!int".into())));
        assert_eq!(
            resolve_tagged("binary", "?"),
            Err(ScalarError::Tag("!!binary value contains invalid base64 data".into()))
        );
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        assert_eq!(float_text(5.0), "5");
        assert_eq!(float_text(0.5), "0.5");
        assert_eq!(float_text(1e21), "1e+21");
        assert_eq!(float_text(1e20), "100000000000000000000");
        assert_eq!(float_text(1e-7), "1e-7");
        assert_eq!(float_text(-2.5e-10), "-2.5e-10");
    }
}
