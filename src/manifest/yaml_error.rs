//! The parser's errors in two tongues: for people, and in the words of the YAML library inside the API server.
//!
//! The two libraries find the same faults but not always at the same character, so the server's line may differ by
//! one in odd cases; the verdict does not.

use granit_parser::{ErrorKind, ScanError};

use super::budget::Exhausted;
use super::node::Position;

/// Why there is no tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub position: Position,
    /// For people: what is wrong and what to do.
    pub text: String,
    /// As the API server words it, without the position in the file: `yaml: line 3: …`.
    pub server: String,
}

/// Whether libyaml finds it while scanning (it then counts lines from one) or while parsing (from zero).
enum Finder {
    Scanner,
    Parser,
}

/// An error of the parser, with its place in the file.
pub fn describe(error: &ScanError, text: &str, first_line: u32) -> Problem {
    let marker = error.marker();
    let line = u32::try_from(marker.line()).unwrap_or(u32::MAX);
    let column = u32::try_from(marker.col()).unwrap_or(u32::MAX).saturating_add(1);
    let position = Position { line: line.saturating_add(first_line).saturating_sub(1), column };
    let (finder, words, hint) = words_of(error.kind(), line_of(text, line));
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return Problem { position, text: Exhausted::Depth.to_string(), server: "yaml: exceeded max depth".into() };
    }
    let shown_line = match finder {
        Finder::Scanner => line,
        Finder::Parser => line.saturating_sub(1),
    };
    let place = if shown_line > 0 && line > 1 { format!("line {shown_line}: ") } else { String::new() };
    let text = if hint.is_empty() { format!("not YAML: {words}") } else { format!("not YAML: {words}; {hint}") };
    Problem { position, text, server: format!("yaml: {place}{words}") }
}

fn line_of(text: &str, line: u32) -> &str {
    text.lines().nth(line.saturating_sub(1) as usize).unwrap_or("")
}

fn words_of(kind: &ErrorKind, line: &str) -> (Finder, String, &'static str) {
    use ErrorKind as K;
    use Finder::{Parser, Scanner};
    let (finder, words, hint) = match kind {
        K::TabNotAllowed | K::TabInBlockIndentation | K::TabInIndentation if line.starts_with('\t') => {
            (Scanner, "found character that cannot start any token", "indent with blanks, not with tabs")
        }
        K::TabNotAllowed | K::TabInBlockIndentation | K::TabInIndentation => {
            (Scanner, "found a tab character that violates indentation", "indent with blanks, not with tabs")
        }
        K::TabAtBlockScalarStart => (
            Scanner,
            "found a tab character where an indentation space is expected",
            "indent with blanks, not with tabs",
        ),
        K::UnexpectedCharacter { .. } => {
            (Scanner, "found character that cannot start any token", "quote text that begins with @, ` or %")
        }
        K::MappingValueNotAllowed | K::InvalidColonPlacement | K::InvalidMappingValueWhitespace => (
            Scanner,
            "mapping values are not allowed in this context",
            "quote text that holds `: `, and indent keys of one mapping alike",
        ),
        K::MappingKeyNotAllowed => (Scanner, "mapping keys are not allowed in this context", ""),
        K::BlockSequenceEntryNotAllowed => (
            Scanner,
            "block sequence entries are not allowed in this context",
            "a list begins on its own line, below its key",
        ),
        K::BlockEntryInFlowCollection => (Parser, "did not find expected node content", "quote a single `-`"),
        K::SimpleKeyExpected | K::InvalidSimpleKey => (Scanner, "could not find expected ':'", "every key needs `: `"),
        K::ExpectedBlockMappingKey | K::InvalidIndentation | K::UnexpectedEofBlockMapping => {
            (Parser, "did not find expected key", "indent the keys of one mapping alike")
        }
        K::ExpectedBlockSequenceEntry | K::UnexpectedEofBlockSequence => {
            (Parser, "did not find expected '-' indicator", "indent the entries of one list alike")
        }
        K::ExpectedFlowMappingSeparator | K::UnexpectedEofFlowMapping | K::UnexpectedEofImplicitFlowMapping => {
            (Parser, "did not find expected ',' or '}'", "")
        }
        K::ExpectedFlowSequenceSeparator | K::UnexpectedEofFlowSequence => {
            (Parser, "did not find expected ',' or ']'", "")
        }
        K::UnclosedFlowCollection { open: '{' } => {
            (Parser, "did not find expected ',' or '}'", "a `{` is never closed")
        }
        K::UnclosedFlowCollection { .. } => (Parser, "did not find expected ',' or ']'", "a `[` is never closed"),
        K::MismatchedFlowCollectionEnd { open: '{', .. } => (Parser, "did not find expected ',' or '}'", ""),
        K::MismatchedFlowCollectionEnd { .. } => (Parser, "did not find expected ',' or ']'", ""),
        K::MisplacedFlowCollectionEnd | K::ExpectedNodeContent => (Parser, "did not find expected node content", ""),
        K::ExpectedDocumentStart => (Parser, "did not find expected <document start>", ""),
        K::UnclosedQuotedScalar => (Scanner, "found unexpected end of stream", "a quote is never closed"),
        K::DocumentIndicatorInQuotedScalar => {
            (Scanner, "found unexpected document indicator", "a quote is never closed")
        }
        K::UnknownQuotedScalarEscape => (
            Scanner,
            "found unknown escape character",
            "in double quotes a backslash is written twice; single quotes take it as it is",
        ),
        K::InvalidQuotedScalarHexEscape => (Scanner, "did not find expected hexdecimal number", ""),
        K::InvalidUnicodeEscape
        | K::InvalidLowSurrogate
        | K::InvalidLowSurrogateHexEscape
        | K::MissingLowSurrogate
        | K::UnpairedLowSurrogate => (Scanner, "found invalid Unicode character escape code", ""),
        K::MissingAnchorOrAliasName => {
            (Scanner, "did not find expected alphabetic or numeric character", "quote text that begins with * or &")
        }
        K::UndeclaredTagHandle => (Parser, "found undefined tag handle", ""),
        K::InvalidTrailingSingleQuotedScalar | K::InvalidTrailingDoubleQuotedScalar => {
            (Parser, "did not find expected key", "text goes on after its closing quote: quote all of it")
        }
        K::ZeroBlockScalarIndent => (Scanner, "found an indentation indicator equal to 0", ""),
        K::InvalidBlockScalarHeader => (Scanner, "did not find expected comment or line break", ""),
        K::UnsupportedYamlMajorVersion => (Parser, "found incompatible YAML document", ""),
        other => return (Scanner, other.to_string(), ""),
    };
    (finder, words.to_string(), hint)
}
