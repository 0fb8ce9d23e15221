//! `-o custom-columns=HEADING:FIELD,…`: a table of the user's own.

use serde_json::Value;

use super::columns::{TABLE, Widths, align_after, escape};
use super::jsonpath::{Template, relaxed};

/// The columns: heading and expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns(Vec<(String, String)>);

impl Columns {
    /// From `HEADING:FIELD,…`.
    pub fn parse(spec: &str) -> Result<Columns, String> {
        if spec.is_empty() {
            return Err("custom-columns format specified but no custom columns given".to_owned());
        }
        let column = |part: &str| {
            let (heading, field) = part
                .split_once(':')
                .ok_or_else(|| format!("unexpected custom-columns spec: {part}, expected <header>:<json-path-expr>"))?;
            Ok((heading.to_owned(), relaxed(field)?))
        };
        spec.split(',').map(column).collect::<Result<_, String>>().map(Columns)
    }

    /// From a file: a line of headings, a line of fields.
    pub fn parse_file(text: &str) -> Result<Columns, String> {
        const EXPECTED: &str =
            "Expected format is one line of space separated headers, one line of space separated column specs.";
        let mut lines = text.lines();
        let missing = |what: &str| format!("invalid template, missing {what} line. {EXPECTED}");
        let headings: Vec<&str> = lines.next().ok_or_else(|| missing("header"))?.split_whitespace().collect();
        let fields: Vec<&str> = lines.next().ok_or_else(|| missing("spec"))?.split_whitespace().collect();
        if headings.len() != fields.len() {
            let (headings, fields) = (headings.len(), fields.len());
            return Err(format!("number of headers ({headings}) and field specifications ({fields}) don't match"));
        }
        let column = |(heading, field): (&str, &str)| Ok((heading.to_owned(), relaxed(field)?));
        headings.into_iter().zip(fields).map(column).collect::<Result<_, String>>().map(Columns)
    }

    /// A line an object, as far as there is no error; with the headings before the first.
    pub fn print(&self, objects: &[&Value], headings: bool, earlier: &mut Widths) -> (String, Result<(), String>) {
        let mut text = String::new();
        if headings {
            text.push_str(&self.0.iter().map(|(heading, _)| heading.as_str()).collect::<Vec<_>>().join("\t"));
            text.push('\n');
        }
        let printed = self.rows(objects, &mut text);
        (align_after(&text, TABLE, earlier), printed)
    }

    fn rows(&self, objects: &[&Value], text: &mut String) -> Result<(), String> {
        let templates: Vec<Template> =
            self.0.iter().map(|(_, field)| Template::parse(field)).collect::<Result<_, _>>()?;
        for object in objects {
            let mut cells = Vec::new();
            for template in &templates {
                let parts = template.find(object)?;
                let nothing = parts.first().is_none_or(Vec::is_empty);
                let found = parts.iter().flatten().map(|found| escape(&found.plain()));
                cells.push(nothing.then(|| "<none>".to_owned()).into_iter().chain(found).collect::<Vec<_>>().join(","));
            }
            text.push_str(&cells.join("\t"));
            text.push('\n');
        }
        Ok(())
    }
}
