//! `-o jsonpath=…`: kubectl's template language (`k8s.io/client-go/util/jsonpath`), which is neither Goessner's JSONPath nor
//! RFC 9535: text and `{…}` in turn, `range` and `end`, quoted text, one comparison in a filter. No library speaks it.
//!
//! | what | file |
//! |---|---|
//! | from text to nodes | `parse` |
//! | what the nodes find in an object | `find` |
//! | values as Go prints them | `go` |

mod find;
pub mod go;
mod parse;

use std::io::{self, Write};

use serde_json::Value;

use find::Finder;
pub use find::Found;
use parse::Node;

/// A template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    text: String,
    nodes: Vec<Node>,
    missing: Missing,
}

/// What a field is that is nowhere there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Nothing.
    #[default]
    Allowed,
    /// An error (`--allow-missing-template-keys=false`).
    Refused,
}

/// What a template that was found in an object prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Values with blanks between them; objects and lists as JSON.
    Text,
    /// `jsonpath-as-json`: what each part of the template finds as a JSON list.
    Json,
}

impl Template {
    /// From its text. The error is the parser's.
    pub fn parse(text: &str) -> Result<Template, String> {
        Ok(Template { text: text.to_owned(), nodes: parse::parse(text)?, missing: Missing::Allowed })
    }

    /// The same, to which a field that is not there is this.
    pub fn with(self, missing: Missing) -> Template {
        Template { missing, ..self }
    }

    /// What each part of it finds. The error is without kubectl's frame.
    pub fn find<'a>(&self, object: &'a Value) -> Result<Vec<Vec<Found<'a>>>, String> {
        Finder::new(&self.nodes, self.missing).find(object)
    }

    /// Prints what it finds. An error that is not of the output has kubectl's frame around it, with the object.
    pub fn print(&self, object: &Value, form: Form, out: &mut dyn Write) -> io::Result<Result<(), String>> {
        let parts = match self.find(object) {
            Ok(parts) => parts,
            Err(error) => {
                let text = &self.text;
                let shown = go::syntax(object);
                return Ok(Err(format!(
                    "error executing jsonpath {}: Error executing template: {error}. Printing more information for \
                     debugging the template:\n\ttemplate was:\n\t\t{text}\n\tobject given to jsonpath engine was:\n\t\t\
                     {shown}\n\n",
                    go::quoted(text)
                )));
            }
        };
        for part in parts {
            match form {
                Form::Json => super::json(&Value::Array(part.iter().map(Found::json).collect()), out)?,
                Form::Text => {
                    let words: Vec<String> = part.iter().map(Found::text).collect();
                    out.write_all(words.join(" ").as_bytes())?;
                }
            }
        }
        Ok(Ok(()))
    }
}

/// What `-o custom-columns` and `--sort-by` take: `metadata.name`, `.metadata.name`, `{metadata.name}` or `{.metadata.name}`.
pub fn relaxed(expression: &str) -> Result<String, String> {
    if expression.is_empty() {
        return Ok(String::new());
    }
    let inner = expression.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(expression);
    let field = inner.strip_prefix('.').unwrap_or(inner);
    if field.is_empty() || field.contains(['{', '}']) {
        return Err("unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or \
                    '{.name1.name2}'"
            .to_owned());
    }
    Ok(format!("{{.{field}}}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn print(template: &str, object: &Value) -> Result<String, String> {
        let mut out = Vec::new();
        Template::parse(template)?.print(object, Form::Text, &mut out).unwrap()?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn ranges_go_on_after_their_end_and_may_lie_in_each_other() {
        let object = json!({"a": [{"n": 1, "b": ["x", "y"]}, {"n": 2, "b": []}], "z": null});
        for (template, expected) in [
            ("{range .a[*]}{.n}:{range .b[*]}<{}>{end};{end}!{.a[0].n}", "1:<x><y>;2:;!1"),
            ("{range .nothing[*]}{range .b[*]}x{end}{end}after", "after"),
            ("{.z}{.z.deeper}|{.a[0].b}", "null|[\"x\",\"y\"]"),
            ("{.a[1:].n} {.a[:-1].n} {.a[-1].n}", "2 1 2"),
            ("{.a[?(@.n<2)].b[0]}", "x"),
            ("{.a[?(@.n!=1)].n}{.a[?( @.b )].n}", "21 2"),
            ("{'it\\'s'} {\"\\u00e9\\x41\\t\"}", "it's \u{e9}A\t"),
        ] {
            assert_eq!(print(template, &object).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn bad_ones_are_refused_with_kubectls_words() {
        let said = |template: &str| print(template, &json!({"a": [1], "s": "t"})).unwrap_err();
        for (template, expected) in [
            ("{.a", "unclosed action"),
            ("{....a}", "invalid multiple recursive descent"),
            ("{.a[x]}", "invalid array index x"),
            ("{.a[99999999999999999999]}", "array index 99999999999999999999 is not a number"),
            ("{.a[?(@.x==1)}", "unclosed array expect ]"),
            ("{1.2.3}", "cannot parse number 1.2.3"),
            ("{&}", "unrecognized character in action: U+0026 '&'"),
        ] {
            assert_eq!(said(template), expected, "{template}");
        }
        for (template, expected) in [
            ("{.a[?(@==\"x\")]}", "incompatible types for comparison"),
            ("{.a[?(@ =! 1)]}", "unrecognized filter operator =!"),
            ("{nope .a}", "unrecognized identifier nope"),
            ("{.a[0:0:0]}{.a[0:1:0]}", "step must be > 0"),
            ("{.s[0]}", "string is not array or slice"),
        ] {
            let text = said(template);
            assert!(text.contains(&format!("Error executing template: {expected}. Printing")), "{template}: {text}");
        }
        let ranges = |times: usize| said(&"{range .a}".repeat(times));
        assert!(ranges(70).contains("more than 64 ranges lie in each other"), "{}", ranges(70));
        assert!(said(&"{range .a[0,0,0,0]}".repeat(20)).contains("the template looks at too much"));
        assert_eq!(relaxed("a{b").unwrap_err().split(',').next(), Some("unexpected path string"));
        assert_eq!(relaxed("{a.b}").as_deref(), Ok("{.a.b}"));
    }

    proptest! {
        #[test]
        fn no_template_makes_it_panic_or_run_for_ever(template in "[{}\\[\\]().:*?@'\"ab01\\\\, rangeend<=!-]{0,40}") {
            let object = json!({"a": [{"b": 1}, {"b": [0, "a"]}], "b": {"a": "ab", "range": null}});
            let _ = print(&template, &object);
        }
    }
}
