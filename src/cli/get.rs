//! `podlet get`: lists pods, ConfigMaps, Secrets and events as kubectl does.

mod watch;

use clap::Args;
use jiff::Timestamp;

use super::ask::{self, Object, Typed};
use super::everywhere::Everywhere;
use super::print::columns::Widths;
use super::print::custom_columns::Columns;
use super::print::jsonpath::{Form, Template};
use super::print::table::{Shape, Table};
use super::print::{event_row, object_row, pod_row};
use super::resource::{self, Kind, Wanted};
use super::select::{self, Selector};
use super::{Caller, Failure, print};

/// Beside the table.
pub const FORMATS: [&str; 9] = [
    "custom-columns",
    "custom-columns-file",
    "json",
    "jsonpath",
    "jsonpath-as-json",
    "jsonpath-file",
    "name",
    "wide",
    "yaml",
];

/// The words of `get`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet get pods                   all pods of the namespace
  podlet get pods -A -o wide        of all namespaces, with address and node
  podlet get pod web -o yaml        one pod, as the API server would give it
  podlet get pod web -o jsonpath='{.status.phase}'
  podlet get pods -o custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[*].image
  podlet get pods -w                and again after each change
  podlet get pods -l app=web        by label
  podlet get configmaps,secrets     several kinds
  podlet get events                 what happened")]
pub struct Words {
    /// TYPE [NAME …] or TYPE/NAME …, where TYPE is pods, configmaps, secrets or events (po, cm, ev for short).
    #[arg(value_name = "TYPE[/NAME]")]
    pub resources: Vec<String>,
    /// json, yaml, name, wide, jsonpath=TEMPLATE, jsonpath-as-json=, jsonpath-file=, custom-columns=HEADING:FIELD,…,
    /// custom-columns-file=.
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<String>,
    /// Prints again after each change, until Ctrl-C.
    #[arg(short, long)]
    pub watch: bool,
    /// Prints changes only, not what is there at the beginning.
    #[arg(long)]
    pub watch_only: bool,
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Without the line of headings.
    #[arg(long)]
    pub no_headers: bool,
    /// With a column of all labels.
    #[arg(long)]
    pub show_labels: bool,
    /// With a column for each of these labels.
    #[arg(short = 'L', long, value_name = "LABEL", value_delimiter = ',')]
    pub label_columns: Vec<String>,
    /// Only objects with these labels: app=web,tier!=front,env in (a,b),!gone.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Only objects with these fields: status.phase=Running, metadata.name!=web.
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,
    /// In the order of this field: .metadata.creationTimestamp.
    #[arg(long, value_name = "FIELD")]
    pub sort_by: Option<String>,
    /// With the kind before each name, also when there is one kind only.
    #[arg(long)]
    pub show_kind: bool,
    /// A name that is not there is no error.
    #[arg(long)]
    pub ignore_not_found: bool,
    /// For kubectl's users: podlet's lists come whole, and it keeps no managed fields.
    #[arg(long, hide = true, value_name = "COUNT", allow_negative_numbers = true)]
    pub chunk_size: Option<i64>,
    /// See `chunk_size`.
    #[arg(long, hide = true)]
    pub show_managed_fields: bool,
}

/// How objects are printed.
#[derive(Clone, Debug, PartialEq)]
enum Output {
    Table,
    Wide,
    Json,
    Yaml,
    Name,
    JsonPath(Template, Form),
    Columns(Columns),
}

impl Output {
    fn parse(word: Option<&str>) -> Result<Output, Failure> {
        let word = word.unwrap_or_default();
        let (format, given) = word.split_once('=').map_or((word, None), |(format, given)| (format, Some(given)));
        let given = || given.filter(|given| !given.is_empty());
        let template = |text: &str, form| {
            let parsed = Template::parse(text.trim_start_matches('\u{feff}'));
            parsed
                .map(|template| Output::JsonPath(template, form))
                .map_err(|error| Failure::Error(format!("error parsing jsonpath {text}, {error}")))
        };
        let no_template = || Failure::error("template format specified but no template given");
        match format {
            "jsonpath" => return template(given().ok_or_else(no_template)?, Form::Text),
            "jsonpath-as-json" => return template(given().ok_or_else(no_template)?, Form::Json),
            "jsonpath-file" => return template(&file(given().ok_or_else(no_template)?)?, Form::Text),
            "custom-columns" => {
                return Columns::parse(given().unwrap_or_default()).map(Output::Columns).map_err(Failure::Error);
            }
            "custom-columns-file" => {
                let text =
                    file(given().ok_or_else(|| {
                        Failure::error("custom-columns format specified but no custom columns given")
                    })?)?;
                return Columns::parse_file(&text).map(Output::Columns).map_err(Failure::Error);
            }
            _ => {}
        }
        Ok(match word {
            "" => Output::Table,
            "wide" => Output::Wide,
            "json" => Output::Json,
            "yaml" => Output::Yaml,
            "name" => Output::Name,
            other => return Err(Failure::no_printer(other, &FORMATS)),
        })
    }
}

/// A template's file.
fn file(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::Error(format!("error reading --template {path}, {error}")))
}

/// Lists.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = Output::parse(words.output.as_deref())?;
    let wanted = resource::parse(&words.resources, "get")?;
    if words.watch || words.watch_only {
        return watch::run(words, &wanted, everywhere, caller);
    }
    let namespace = if words.all_namespaces { None } else { Some(everywhere.namespace()) };
    match wanted {
        Wanted::Named(names) => named(words, &names, &output, everywhere, caller),
        Wanted::All(kinds) => all(words, &kinds, namespace, &output, caller),
    }
}

fn all(
    words: &Words,
    kinds: &[Kind],
    namespace: Option<&str>,
    output: &Output,
    caller: &mut Caller<'_>,
) -> Result<u8, Failure> {
    let mut found = Vec::new();
    for kind in kinds {
        let selector = Selector::parse(*kind, words.selector.as_deref(), words.field_selector.as_deref())?;
        found.extend(ask::list(&caller.paths, *kind, namespace, &selector)?);
    }
    if let Some(field) = &words.sort_by {
        select::sort_by(&mut found, field, |object| object.wire())?;
    }
    let empty = found.is_empty();
    // One kind that was asked for by its own name needs none before the objects' names.
    let with_kind = kinds.len() > 1 || words.resources.iter().any(|word| word == "all");
    print_objects(words, &found, output, with_kind, false, caller)?;
    if empty && matches!(output, Output::Table | Output::Wide) && !words.ignore_not_found {
        caller.notice(&select::nothing(namespace));
    }
    Ok(0)
}

fn named(
    words: &Words,
    names: &[(Kind, String)],
    output: &Output,
    everywhere: &Everywhere,
    caller: &mut Caller<'_>,
) -> Result<u8, Failure> {
    if words.selector.is_some() {
        return Err(Failure::error("name cannot be provided when a selector is specified"));
    }
    if words.all_namespaces {
        return Err(Failure::error("a resource cannot be retrieved by name across all namespaces"));
    }
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for (kind, name) in names {
        match ask::find(&caller.paths, *kind, everywhere.namespace(), name)? {
            Some(object) => found.push(object),
            None if words.ignore_not_found => {}
            None => missing.push(Failure::not_found(kind.plural(), name)),
        }
    }
    if let Some(field) = &words.sort_by {
        select::sort_by(&mut found, field, |object| object.wire())?;
    }
    let several_kinds = names.iter().any(|(kind, _)| Some(kind) != names.first().map(|(kind, _)| kind));
    // With a name missing and nothing found, kubectl prints no empty list.
    if !found.is_empty() {
        print_objects(words, &found, output, several_kinds, names.len() == 1, caller)?;
    }
    if missing.is_empty() {
        return Ok(0);
    }
    caller.out.flush()?;
    for failure in missing {
        caller.notice(&failure.text().unwrap_or_default());
    }
    Err(Failure::Told)
}

fn print_objects(
    words: &Words,
    objects: &[Object],
    output: &Output,
    with_kind: bool,
    single: bool,
    caller: &mut Caller<'_>,
) -> Result<(), Failure> {
    let as_value = || match objects {
        [one] if single => one.wire().clone(),
        several => print::wire::list(several.iter().map(|object| object.wire().clone()).collect()),
    };
    match output {
        Output::JsonPath(template, form) => {
            template.print(&as_value(), *form, caller.out)?.map_err(Failure::Error)?;
        }
        Output::Columns(columns) => {
            let values: Vec<&serde_json::Value> = objects.iter().map(|object| object.wire()).collect();
            let (text, printed) = columns.print(&values, !words.no_headers, &mut Widths::new());
            caller.print(&text)?;
            printed.map_err(Failure::Error)?;
        }
        Output::Json => print::json(&as_value(), caller.out)?,
        Output::Yaml => print::yaml(&as_value(), caller.out)?,
        Output::Name => {
            for object in objects {
                caller.print(&format!("{}/{}\n", object.kind().singular(), object.name()))?;
            }
        }
        Output::Table | Output::Wide => {
            let now = caller.now();
            let mut first = true;
            for group in objects.chunk_by(|a, b| a.kind() == b.kind()) {
                if !std::mem::take(&mut first) {
                    caller.print("\n")?;
                }
                let kind = group.first().map_or(Kind::Pod, Object::kind);
                let with_kind = with_kind || words.show_kind;
                let shape = shape(words, *output == Output::Wide, with_kind.then(|| kind.singular()));
                caller.print(&table(kind, group, now).print(&shape))?;
            }
        }
    }
    Ok(())
}

fn shape(words: &Words, wide: bool, kind: Option<&'static str>) -> Shape {
    Shape {
        wide,
        no_headers: words.no_headers,
        namespace: words.all_namespaces,
        kind,
        label_columns: words.label_columns.clone(),
        show_labels: words.show_labels,
    }
}

/// The table of objects of one kind.
fn table(kind: Kind, objects: &[Object], now: Timestamp) -> Table {
    let columns = match kind {
        Kind::Pod => pod_row::pod_columns(),
        Kind::Event => event_row::event_columns(),
        Kind::ConfigMap => object_row::config_map_columns(),
        Kind::Secret => object_row::secret_columns(),
    };
    let rows = objects.iter().map(|object| match &object.typed {
        Typed::Pod(seen) => pod_row::pod_row(&seen.pod, now),
        Typed::Event(event) => event_row::event_row(event, now),
        Typed::ConfigMap(map) => object_row::config_map_row(map, now),
        Typed::Secret(secret) => object_row::secret_row(secret, now),
    });
    Table { columns, rows: rows.collect() }
}
