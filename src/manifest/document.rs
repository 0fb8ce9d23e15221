//! A source's bytes to documents: encoding, size, and the splitting of a stream at `---` lines as kubectl does it.
//!
//! Called by `load`; looks at no content.

use super::budget::MAX_DOCUMENT_BYTES;
use super::node::Position;
use super::yaml_error::Problem;

/// A document of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document<'t> {
    /// Its text, a `---` line at its beginning included.
    pub text: &'t str,
    /// The line of the source that it begins with.
    pub first_line: u32,
}

/// The text of a source, without a byte order mark.
pub fn text_of(bytes: &[u8]) -> Result<&str, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let (before, after) = bytes.split_at(error.valid_up_to());
            let utf_16 = matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
            let text = if utf_16 {
                "the file is in UTF-16; save it as UTF-8".to_string()
            } else {
                format!("not UTF-8: byte 0x{:02x}", after.first().copied().unwrap_or_default())
            };
            let server = match error.error_len() {
                None => "yaml: incomplete UTF-8 octet sequence",
                Some(1) => "yaml: invalid leading UTF-8 octet",
                Some(_) => "yaml: invalid trailing UTF-8 octet",
            };
            return Err(Problem { position: place(before), text, server: server.into() });
        }
    };
    let control = |c: &char| {
        (*c < ' ' && !matches!(c, '\t' | '\n' | '\r'))
            || matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')
    };
    if let Some((at, found)) = text.char_indices().find(|(_, c)| control(c)) {
        return Err(Problem {
            position: place(&bytes[..at]),
            text: format!(
                "not YAML: the control character U+{:04X} is not allowed; write it as an escape in \"\"",
                found as u32
            ),
            server: "yaml: control characters are not allowed".into(),
        });
    }
    Ok(text)
}

/// The place after some bytes.
fn place(before: &[u8]) -> Position {
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count();
    let number = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
    Position { line: number(line), column: number(column) }
}

/// The documents of a stream. What precedes the first `---` counts only if it holds more than comments and directives.
pub fn split(text: &str) -> Vec<Document<'_>> {
    if let Some(documents) = json_stream(text) {
        return documents;
    }
    let mut documents = Vec::new();
    let (mut start, mut first_line) = (0, 1);
    let mut begun = false;
    let mut at = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if is_separator(line) {
            if begun {
                documents.push(Document { text: &text[start..at], first_line });
                (start, first_line) = (at, number);
            }
            begun = true;
        } else if !begun {
            let content = line.trim();
            begun = !content.is_empty() && !content.starts_with('#') && !line.starts_with('%');
        }
        at += line.len();
    }
    documents.push(Document { text: &text[start..], first_line });
    documents
}

/// JSON values one after another, as `jq` writes them: kubectl takes them without anything between. Each begins on a line of its
/// own, else its places could not be told.
fn json_stream(text: &str) -> Option<Vec<Document<'_>>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    let newlines = |from: usize, to: usize| Some(text.get(from..to)?.matches('\n').count());
    let (mut documents, mut end, mut line) = (Vec::new(), 0, 1);
    while let Some(value) = values.next() {
        value.ok()?;
        let (before, whole) = (end, text.get(end..values.byte_offset())?);
        end = values.byte_offset();
        let value_begins = before + (whole.len() - whole.trim_start().len());
        let line_begins = text.get(..value_begins)?.rfind('\n').map_or(0, |at| at + 1);
        if line_begins < before {
            return None;
        }
        line += newlines(before, line_begins)?;
        documents.push(Document { text: text.get(line_begins..end)?, first_line: u32::try_from(line).ok()? });
        line += newlines(line_begins, end)?;
    }
    (documents.len() > 1).then_some(documents)
}

/// A `---` at the beginning of a line, alone or followed by a blank.
fn is_separator(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

impl Document<'_> {
    /// Whether it holds nothing but comments.
    pub fn is_empty(&self) -> bool {
        let text = self.text.strip_prefix("---").unwrap_or(self.text);
        text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'))
    }

    /// Refuses a document that is larger than a request to the API server may be.
    pub fn check_size(&self) -> Result<(), Problem> {
        if self.text.len() <= MAX_DOCUMENT_BYTES {
            return Ok(());
        }
        Err(Problem {
            position: Position { line: self.first_line, column: 1 },
            text: format!("the document is larger than {MAX_DOCUMENT_BYTES} bytes, the most that Kubernetes takes"),
            server: format!("Request entity too large: limit is {MAX_DOCUMENT_BYTES}"),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_stream_is_split_at_its_separators() {
        let lines = |text| split(text).iter().map(|d| (d.first_line, d.text.to_string())).collect::<Vec<_>>();
        assert_eq!(lines("a: 1\n"), [(1, "a: 1\n".into())]);
        assert_eq!(lines("---\na: 1\n"), [(1, "---\na: 1\n".into())]);
        assert_eq!(lines("# c\n%YAML 1.1\n---\na: 1\n"), [(1, "# c\n%YAML 1.1\n---\na: 1\n".into())]);
        assert_eq!(lines("a: 1\n---\nb: 2"), [(1, "a: 1\n".into()), (2, "---\nb: 2".into())]);
        assert_eq!(lines("a: |\n  ---\n  x\n--- # c\r\nb: 2")[1].0, 4);
        assert_eq!(lines("---x: 1\n").len(), 1);
        assert_eq!(lines("{\"a\":\n1}\n\n {\"b\":2}\n"), [(1, "{\"a\":\n1}".into()), (4, " {\"b\":2}".into())]);
        for one in ["{\"a\":1}{\"b\":2}", "{a: 1}\n", "{\"a\":1}\n", "{\"a\":1}\n---\n{\"b\":2}\n", "{\"a\":1}\nb: 2"] {
            assert!(json_stream(one).is_none(), "{one}");
        }
    }

    #[test]
    fn encodings_are_checked() {
        assert_eq!(text_of(b"\xef\xbb\xbfa: 1"), Ok("a: 1"));
        assert_eq!(text_of(b"a: \xff").unwrap_err().server, "yaml: invalid leading UTF-8 octet");
        assert_eq!(text_of(b"a:\n b\0").unwrap_err().position, Position { line: 2, column: 3 });
    }
}
