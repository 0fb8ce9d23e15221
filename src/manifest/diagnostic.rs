//! What is wrong and where, for people: `file:line:column: path: text`, the source line and a caret.
//!
//! `load` makes them; `cli` prints them with `Display`.

use std::fmt;

use super::node::Position;

/// How much of a source line is shown around the place.
const SHOWN: usize = 100;

/// One thing that is wrong and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The source's name.
    pub source: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// `spec.containers[0].image`; empty for the document as a whole.
    pub path: String,
    /// What, expected, found, and the way out.
    pub text: String,
    /// The source line or, of a long one, the part around the place; empty where it must not be shown.
    pub excerpt: String,
    /// Where in the excerpt the caret belongs, in characters from 0.
    pub caret: usize,
}

impl Diagnostic {
    /// A diagnostic with its line of the source text.
    pub fn new(source: &str, lines: &Lines<'_>, position: Position, path: &str, text: impl Into<String>) -> Self {
        let (excerpt, caret) = lines.excerpt(position);
        Self {
            source: source.to_string(),
            line: position.line as usize,
            column: position.column as usize,
            path: path.to_string(),
            text: text.into(),
            excerpt,
            caret,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.source, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.text)?;
        if !self.excerpt.is_empty() {
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            write!(f, "\n  {number} | {}\n  {margin} | {}^", self.excerpt, " ".repeat(self.caret))?;
        }
        Ok(())
    }
}

/// A text that can find its lines.
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    /// Finds the beginnings of all lines.
    pub fn new(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// A text of which nothing may be shown.
    pub fn hidden() -> Self {
        Self { text: "", starts: Vec::new() }
    }

    /// The line of a place and the caret's offset in it, both safe for a terminal.
    fn excerpt(&self, position: Position) -> (String, usize) {
        let index = (position.line as usize).saturating_sub(1);
        let Some(&start) = self.starts.get(index) else { return (String::new(), 0) };
        let end = self.starts.get(index + 1).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r']);
        let column = (position.column as usize).saturating_sub(1);
        let skipped = if column > SHOWN { column - SHOWN / 2 } else { 0 };
        let part: String =
            line.chars().skip(skipped).take(SHOWN + 20).map(|c| if c.is_control() { ' ' } else { c }).collect();
        (part, column - skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_the_line_and_a_caret() {
        let lines = Lines::new("a: b\n  c: \u{1b}[31md\n");
        let place = Position { line: 2, column: 6 };
        let shown = Diagnostic::new("pod.yaml", &lines, place, "spec.c", "no").to_string();
        assert_eq!(shown, "pod.yaml:2:6: spec.c: no\n  2 |   c:  [31md\n    |      ^");
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("{}x{}", "a".repeat(5000), "b".repeat(5000));
        let place = Position { line: 1, column: 5001 };
        let found = Diagnostic::new("f", &Lines::new(&text), place, "", "t");
        assert_eq!(found.excerpt.chars().nth(found.caret), Some('x'));
        assert!(found.excerpt.len() < 200);
    }
}
