//! YAML as kubectl writes it. It marshals by go-yaml 2, whose output is libyaml's: lists at their key's indentation, keys in
//! an order that counts numbers as numbers, quotes where YAML 1.1 would read something else than a text, long lines folded at
//! the first blank behind column 80, texts of several lines as they are behind `|`. Programs and people compare these bytes.

use std::cmp::Ordering;

use serde_json::Value;

use super::jsonpath::go;
use super::sort_like_go;
use super::yaml_scalar::{self, Style};

/// Lines are folded behind this column.
const WIDTH: usize = 80;
/// What a level is further in.
const STEP: usize = 2;
/// A longer key stands behind a `?` of its own.
const LONGEST_KEY: usize = 128;

/// The value as one document.
pub fn to_text(value: &Value) -> String {
    let mut emitter = Emitter { text: String::new(), column: 0, whitespace: true, indention: true };
    emitter.node(value, None, Place::Root);
    emitter.new_line(0);
    emitter.text
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    /// A key that stands on one line with its value.
    Key,
    /// A value, or a key behind a `?`.
    Mapped,
}

struct Emitter {
    text: String,
    /// Characters of the last line.
    column: usize,
    /// The last character parts what follows from what came before.
    whitespace: bool,
    /// Nothing but indentation and marks of lists stand on the last line.
    indention: bool,
}

impl Emitter {
    fn put(&mut self, character: char) {
        self.text.push(character);
        self.column = if character == '\n' { 0 } else { self.column + 1 };
    }

    /// Goes to this indentation, on a new line unless it is not needed.
    fn new_line(&mut self, indent: usize) {
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        (self.whitespace, self.indention) = (true, true);
    }

    fn mark(&mut self, mark: &str, parted: bool, keeps_indention: bool) {
        if parted && !self.whitespace {
            self.put(' ');
        }
        mark.chars().for_each(|character| self.put(character));
        self.whitespace = false;
        self.indention &= keeps_indention;
    }

    /// `indent` is that of the collection around; none at the root.
    fn node(&mut self, value: &Value, indent: Option<usize>, place: Place) {
        match value {
            Value::Object(map) if map.is_empty() => self.mark("{}", true, false),
            Value::Array(list) if list.is_empty() => self.mark("[]", true, false),
            Value::Object(map) => {
                let mut entries: Vec<(&String, &Value)> = map.iter().collect();
                // The order has circles (9a, 11, 99): what sorts by it must bear that.
                sort_like_go(&mut entries, |(a, _), (b, _)| by_nature(a, b) == Ordering::Less);
                self.mapping(&entries, indent.map_or(0, |indent| indent + STEP));
            }
            Value::Array(list) => {
                // A list that begins on the line after its key is no further in than the key.
                let beside = place == Place::Mapped && !self.indention;
                let indent = indent.map_or(0, |indent| if beside { indent } else { indent + STEP });
                for item in list {
                    self.new_line(indent);
                    self.mark("-", true, true);
                    self.node(item, Some(indent), Place::Item);
                }
            }
            Value::String(text) => self.scalar(text, yaml_scalar::wished(text), indent, place),
            Value::Number(_) => self.scalar(&go::plain(value), Style::Plain, indent, place),
            Value::Bool(truth) => self.scalar(if *truth { "true" } else { "false" }, Style::Plain, indent, place),
            Value::Null => self.scalar("null", Style::Plain, indent, place),
        }
    }

    fn mapping(&mut self, entries: &[(&String, &Value)], indent: usize) {
        for (key, value) in entries {
            self.new_line(indent);
            let style = yaml_scalar::wished(key);
            if key.len() <= LONGEST_KEY && !yaml_scalar::has_breaks(key) {
                self.scalar(key, style, Some(indent), Place::Key);
                self.mark(":", false, false);
            } else {
                self.mark("?", true, true);
                self.scalar(key, style, Some(indent), Place::Mapped);
                self.new_line(indent);
                self.mark(":", true, true);
            }
            self.node(value, Some(indent), Place::Mapped);
        }
    }

    fn scalar(&mut self, text: &str, wished: Style, indent: Option<usize>, place: Place) {
        let indent = indent.unwrap_or(0) + STEP;
        let folds = place != Place::Key;
        match yaml_scalar::possible(text, wished, place == Place::Key) {
            Style::Plain => {
                if !self.whitespace {
                    self.put(' ');
                }
                self.folded(text, indent, folds, Style::Plain);
            }
            Style::Single => {
                self.mark("'", true, false);
                self.folded(text, indent, folds, Style::Single);
                self.mark("'", false, false);
            }
            Style::Double => {
                self.mark("\"", true, false);
                self.escaped(text, indent, folds);
                self.mark("\"", false, false);
            }
            Style::Literal => return self.literal(text, indent),
        }
        (self.whitespace, self.indention) = (false, false);
    }

    /// A plain or single-quoted text.
    fn folded(&mut self, text: &str, indent: usize, folds: bool, style: Style) {
        let quoted = style == Style::Single;
        let mut characters = text.char_indices().peekable();
        let (mut blanks, mut breaks) = (false, false);
        while let Some((at, character)) = characters.next() {
            let next_is_blank = characters.peek().is_some_and(|(_, next)| *next == ' ');
            if character == ' ' {
                let inside = !quoted || at > 0 && at + 1 < text.len();
                let fold = folds && !blanks && self.column > WIDTH && !next_is_blank && inside;
                if fold {
                    self.new_line(indent)
                } else {
                    self.put(' ')
                }
                blanks = true;
            } else if yaml_scalar::is_break(character) {
                if !breaks && character == '\n' {
                    self.put('\n');
                }
                self.put_break(character);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.new_line(indent);
                }
                if character == '\'' && quoted {
                    self.put('\'');
                }
                self.put(character);
                self.indention = false;
                (blanks, breaks) = (false, false);
            }
        }
    }

    fn put_break(&mut self, character: char) {
        self.put(character);
        self.column = 0;
    }

    fn escaped(&mut self, text: &str, indent: usize, folds: bool) {
        let mut characters = text.char_indices().peekable();
        let mut blanks = false;
        // go-yaml looks for the mark at the beginning at each character, so that all of them are escaped.
        let marked = text.starts_with('\u{feff}');
        while let Some((at, character)) = characters.next() {
            if character == ' ' && !marked {
                let inside = at > 0 && at + 1 < text.len();
                if folds && !blanks && self.column > WIDTH && inside {
                    self.new_line(indent);
                    if characters.peek().is_some_and(|(_, next)| *next == ' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                blanks = true;
                continue;
            }
            if !marked
                && yaml_scalar::is_printable(character)
                && !yaml_scalar::is_break(character)
                && !matches!(character, '"' | '\\')
            {
                self.put(character);
            } else {
                yaml_scalar::escape(character).chars().for_each(|character| self.put(character));
            }
            blanks = false;
        }
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.mark("|", true, false);
        let hints = yaml_scalar::hints(text, STEP);
        self.mark(&hints, false, false);
        self.put('\n');
        (self.whitespace, self.indention) = (true, true);
        let mut breaks = true;
        for character in text.chars() {
            if yaml_scalar::is_break(character) {
                self.put_break(character);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.new_line(indent);
                }
                self.put(character);
                self.indention = false;
                breaks = false;
            }
        }
    }
}

/// go-yaml's order of keys: letters after all else, and a number within a text by its worth.
fn by_nature(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else { return a.len().cmp(&b.len()) };
    let (Some(&left), Some(&right)) = (a.get(at), b.get(at)) else { return Ordering::Equal };
    match (left.is_alphabetic(), right.is_alphabetic()) {
        (true, true) => return left.cmp(&right),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // Zeros within a number that began before count.
    let before = a.get(..at).unwrap_or_default().iter().rev().take_while(|c| c.is_ascii_digit());
    let begun = (left == '0' || right == '0') && before.into_iter().any(|digit| *digit != '0');
    let number = |text: &[char]| {
        let digits: Vec<u32> = text.get(at..).unwrap_or_default().iter().map_while(|c| c.to_digit(10)).collect();
        let worth =
            digits.iter().fold(u64::from(begun), |worth, digit| worth.wrapping_mul(10).wrapping_add(u64::from(*digit)));
        (worth, digits.len())
    };
    number(&a).cmp(&number(&b)).then(left.cmp(&right))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_yaml_1_1_would_misread_is_quoted() {
        let text = |text: &str| to_text(&json!({"k": text}));
        for (value, written) in [
            ("10.88.0.7", "k: 10.88.0.7\n"),
            ("1", "k: \"1\"\n"),
            ("0x1F", "k: \"0x1F\"\n"),
            ("1.5e3", "k: \"1.5e3\"\n"),
            ("08", "k: \"08\"\n"),
            ("1:30", "k: \"1:30\"\n"),
            ("yes", "k: \"yes\"\n"),
            ("yesterday", "k: yesterday\n"),
            ("", "k: \"\"\n"),
            ("~", "k: \"~\"\n"),
            ("2026-11-24T00:23:35Z", "k: \"2026-11-24T00:23:35Z\"\n"),
            ("2026-11-24", "k: \"2026-11-24\"\n"),
            ("2026-13-24", "k: 2026-13-24\n"),
            ("a: b", "k: 'a: b'\n"),
            ("it's: b", "k: 'it''s: b'\n"),
            ("- a", "k: '- a'\n"),
            ("-a", "k: -a\n"),
            ("a #b", "k: 'a #b'\n"),
            (" a", "k: ' a'\n"),
            ("a\tb", "k: \"a\\tb\"\n"),
            ("ü", "k: ü\n"),
            ("\u{1f600}", "k: \"\\U0001F600\"\n"),
            ("a\nb", "k: |-\n  a\n  b\n"),
            ("a\nb\n", "k: |\n  a\n  b\n"),
            ("a\n\n", "k: |+\n  a\n\n"),
            (" a\nb", "k: |2-\n   a\n  b\n"),
            ("a \nb", "k: \"a \\nb\"\n"),
        ] {
            assert_eq!(text(value), written, "{value:?}");
        }
    }

    #[test]
    fn collections_and_long_lines_are_laid_out_as_libyaml_does() {
        let value = json!({"b": [], "a": {}, "list": [{"x": 1, "y": [1, [2, 3]]}, "t"], "f10": null, "f9": true});
        let written = "a: {}\nb: []\nf9: true\nf10: null\nlist:\n- x: 1\n  \"y\":\n  - 1\n  - - 2\n    - 3\n- t\n";
        assert_eq!(to_text(&value), written);
        let words = ["word"; 30].join(" ");
        let written = to_text(&json!({"k": words}));
        let first = written.lines().next().map_or(0, |line| line.chars().count());
        assert!(first > WIDTH && first <= WIDTH + 5, "{written}");
        assert!(written.lines().skip(1).all(|line| line.starts_with("  word")), "{written}");
        let key = "k".repeat(200);
        assert_eq!(to_text(&json!({(&*key): "v"})), format!("? {key}\n: v\n"));
    }
}
