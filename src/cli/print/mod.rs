//! Objects as text: kubectl's tables, `describe`, JSON and YAML, byte for byte. Pure but for the writer: time comes in as
//! an argument, nothing is read.

pub mod age;
pub mod columns;
pub mod custom_columns;
pub mod describe;
pub mod event_row;
pub mod jsonpath;
mod kyaml;
pub mod object_row;
pub mod pod_row;
pub mod table;
pub mod wire;

mod order;
mod yaml;
mod yaml_scalar;

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, PrettyFormatter};

pub use order::sort_like_go;

/// JSON as kubectl writes it: four blanks, sorted keys, `<`, `>` and `&` escaped as Go does, a newline at the end.
pub fn json(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    let mut text = Vec::new();
    let formatter = GoFormatter { pretty: PrettyFormatter::with_indent(b"    ") };
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    value.serialize(&mut serializer)?;
    text.push(b'\n');
    out.write_all(&text)
}

struct GoFormatter {
    pretty: PrettyFormatter<'static>,
}

/// Everything but strings as the pretty formatter has it.
impl Formatter for GoFormatter {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(out)
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        write_escaped(out, fragment)
    }
}

/// The same on one line without blanks.
pub struct CompactGo;

impl Formatter for CompactGo {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        write_escaped(out, fragment)
    }
}

/// Go writes JSON that may stand in HTML.
fn write_escaped<W: ?Sized + Write>(out: &mut W, fragment: &str) -> io::Result<()> {
    let mut rest = fragment;
    while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        let (before, from) = rest.split_at(at);
        out.write_all(before.as_bytes())?;
        let mut characters = from.chars();
        if let Some(character) = characters.next() {
            write!(out, "\\u{:04x}", u32::from(character))?;
        }
        rest = characters.as_str();
    }
    out.write_all(rest.as_bytes())
}

/// YAML as kubectl writes it.
pub fn yaml(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(yaml::to_text(value).as_bytes())
}

/// KYAML as kubectl writes it.
pub fn kyaml(value: &Value, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(kyaml::to_text(value).as_bytes())
}

/// YAML of what only podlet has: settings, images, what lies on disk.
pub fn own_yaml(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let options = serde_yaml::ser_options! { compact_list_indent: true, yaml_12: false, folded_wrap_chars: usize::MAX };
    let mut text = String::new();
    serde_yaml::to_fmt_writer_with_options(&mut text, value, options).map_err(io::Error::other)?;
    out.write_all(text.as_bytes())
}
