//! What `-o` says: in which form objects are printed.

use clap::{ArgAction, Args};
use serde_json::Value;

use super::failure::in_go;
use super::print::custom_columns::Columns;
use super::print::jsonpath::{Form, Missing, Template};
use super::{Caller, Failure, print};

/// Beside the table: kubectl's words. Those of Go's templates are answered with what takes their place.
pub const FORMATS: [&str; 14] = [
    "custom-columns",
    "custom-columns-file",
    "go-template",
    "go-template-file",
    "json",
    "jsonpath",
    "jsonpath-as-json",
    "jsonpath-file",
    "kyaml",
    "name",
    "template",
    "templatefile",
    "wide",
    "yaml",
];

/// Those of verbs that change objects, which have no tables.
pub const FORMATS_OF_CHANGES: [&str; 11] = [
    "go-template",
    "go-template-file",
    "json",
    "jsonpath",
    "jsonpath-as-json",
    "jsonpath-file",
    "kyaml",
    "name",
    "template",
    "templatefile",
    "yaml",
];

/// What belongs to `-o jsonpath`.
#[derive(Args, Clone, Debug)]
pub struct TemplateWords {
    /// The template, when -o jsonpath or -o custom-columns does not hold it.
    #[arg(long, value_name = "TEMPLATE")]
    pub template: Option<String>,
    /// With =false it is an error when a field of a jsonpath is not there.
    #[arg(
        long,
        value_name = "TRUTH",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        hide_default_value = true,
        action = ArgAction::Set
    )]
    pub allow_missing_template_keys: bool,
}

impl Default for TemplateWords {
    fn default() -> TemplateWords {
        TemplateWords { template: None, allow_missing_template_keys: true }
    }
}

impl TemplateWords {
    fn missing(&self) -> Missing {
        if self.allow_missing_template_keys { Missing::Allowed } else { Missing::Refused }
    }
}

/// How objects are printed.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// kubectl's columns.
    Table,
    /// More of them.
    Wide,
    /// The object.
    Json,
    /// The object.
    Yaml,
    /// The object.
    Kyaml,
    /// `pod/web`.
    Name,
    /// What a template finds.
    JsonPath(Template, Form),
    /// A table of the user's own.
    Columns(Columns),
}

impl Output {
    /// Reads `-o` and what belongs to it.
    pub fn parse(word: Option<&str>, words: &TemplateWords) -> Result<Output, Failure> {
        let word = word.unwrap_or_default();
        let separate = words.template.as_deref().filter(|template| !template.is_empty());
        let json_path = |text: &str, form| json_path(text, form, words.missing());
        if word.is_empty() && separate.is_some() {
            return Err(no_go_templates("go-template"));
        }
        let (format, given) = match separate {
            Some(template) => (word, Some(template)),
            None => word.split_once('=').map_or((word, None), |(format, given)| (format, Some(given))),
        };
        let given = given.filter(|given| !given.is_empty());
        let needed = || given.ok_or_else(|| Failure::error("template format specified but no template given"));
        match format {
            "jsonpath" => return json_path(needed()?, Form::Text),
            "jsonpath-as-json" => return json_path(needed()?, Form::Json),
            "jsonpath-file" => {
                let text = file("--template", needed()?)?;
                return json_path(text.trim_start_matches('\u{feff}'), Form::Text);
            }
            "go-template" | "go-template-file" | "template" | "templatefile" => {
                needed()?;
                return Err(no_go_templates(format));
            }
            "custom-columns" => {
                return Columns::parse(given.unwrap_or_default()).map(Output::Columns).map_err(Failure::Error);
            }
            "custom-columns-file" => {
                let none = || Failure::error("custom-columns format specified but no custom columns given");
                let text = file("template", given.ok_or_else(none)?)?;
                return Columns::parse_file(&text).map(Output::Columns).map_err(Failure::Error);
            }
            _ => {}
        }
        Ok(match (word, word.to_lowercase().as_str()) {
            ("", _) => Output::Table,
            ("wide", _) => Output::Wide,
            (_, "json") => Output::Json,
            (_, "yaml") => Output::Yaml,
            (_, "kyaml") => Output::Kyaml,
            (_, "name") => Output::Name,
            (other, _) => return Err(Failure::no_printer(other, &FORMATS)),
        })
    }

    /// Reads `-o` of a verb that changes objects; the table stands for its sentence.
    pub fn of_change(word: Option<&str>, words: &TemplateWords) -> Result<Output, Failure> {
        match word.unwrap_or_default() {
            columns if columns == "wide" || columns.starts_with("custom-columns") => {
                Err(Failure::no_printer(columns, &FORMATS_OF_CHANGES))
            }
            word => Output::parse(Some(word), words).map_err(|failure| match failure {
                // The list in the text is that of `get`.
                Failure::Error(text) if text.starts_with("unable to match") => {
                    Failure::no_printer(word, &FORMATS_OF_CHANGES)
                }
                other => other,
            }),
        }
    }

    /// Prints an object that a verb has changed: `pod/web labeled`, or the object.
    pub fn print_change(&self, object: &Value, sentence: &str, caller: &mut Caller<'_>) -> Result<(), Failure> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let name = format!("{}/{}", text("/kind").to_lowercase(), text("/metadata/name"));
        match self {
            Output::Json => print::json(object, caller.out)?,
            Output::Yaml => print::yaml(object, caller.out)?,
            Output::Kyaml => print::kyaml(object, caller.out)?,
            Output::Name => caller.print(&format!("{name}\n"))?,
            Output::JsonPath(template, form) => template.print(object, *form, caller.out)?.map_err(Failure::Error)?,
            _ => caller.print(&format!("{name} {sentence}\n"))?,
        }
        // Each is there as soon as it is so.
        caller.out.flush()?;
        Ok(())
    }

    /// Whether it is one of kubectl's tables.
    pub fn is_table(&self) -> bool {
        matches!(self, Output::Table | Output::Wide)
    }
}

fn json_path(text: &str, form: Form, missing: Missing) -> Result<Output, Failure> {
    let parsed = Template::parse(text);
    parsed
        .map(|template| Output::JsonPath(template.with(missing), form))
        .map_err(|error| Failure::Error(format!("error parsing jsonpath {text}, {error}")))
}

fn no_go_templates(format: &str) -> Failure {
    Failure::Error(format!(
        "podlet reads no Go templates (-o {format}); -o jsonpath='{{.status.phase}}' and \
         -o custom-columns=NAME:.metadata.name do most of what they do, -o json leaves it to another program"
    ))
}

/// A template's file.
fn file(what: &str, path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let why = in_go(&error);
        Failure::Error(format!("error reading {what} {path}, open {path}: {why}"))
    })
}
