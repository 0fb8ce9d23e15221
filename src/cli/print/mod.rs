//! Objects as text: kubectl's tables, `describe`, JSON and YAML, byte for byte. Pure but for the writer: time comes in as
//! an argument, nothing is read.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

/// JSON as kubectl writes it: four blanks, sorted keys, a newline at the end.
pub fn json(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    value.serialize(&mut serializer)?;
    text.push(b'\n');
    out.write_all(&text)
}

/// YAML as kubectl writes it: sorted keys, lists at their key's indentation; a YAML 1.1 reader gets the same values back.
pub fn yaml(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    let text = serde_yaml::to_string(value).map_err(io::Error::other)?;
    out.write_all(text.as_bytes())
}
