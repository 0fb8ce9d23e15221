//! `podlet get`: lists pods, ConfigMaps, Secrets and events as kubectl does.

mod watch;

use clap::Args;
use jiff::Timestamp;

use super::ask::{self, Object, Typed};
use super::everywhere::Everywhere;
use super::files;
use super::files::Filenames;
use super::output::{Output, TemplateWords};
use super::print::columns::Widths;
use super::print::table::{Shape, Table};
use super::print::{event_row, object_row, pod_row};
use super::resource::{self, Kind, Wanted};
use super::select::{self, Selector, Unsorted};
use super::targets::Target;
use super::{Caller, Failure, print, raw};

/// The words of `get`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet get pods                all pods of the namespace
  podlet get pods -A -o wide     of all namespaces, with address and node
  podlet get pod web -o yaml     one pod, as the API server would give it
  podlet get pod web -o jsonpath='{.status.phase}'
  podlet get pods \\
      -o custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[*].image
  podlet get pods -w             and again after each change
  podlet get pods -l app=web     by label
  podlet get configmaps,secrets  several kinds
  podlet get events              what happened")]
pub struct Words {
    /// TYPE [NAME …] or TYPE/NAME …, where TYPE is pods, configmaps, secrets or events (po, cm, ev for short).
    #[arg(value_name = "TYPE[/NAME]")]
    pub resources: Vec<String>,
    /// json, yaml, name, wide, jsonpath=TEMPLATE, jsonpath-as-json=, jsonpath-file=, custom-columns=HEADING:FIELD,…,
    /// custom-columns-file=.
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<String>,
    /// What belongs to -o.
    #[command(flatten)]
    pub template: TemplateWords,
    /// What an API server answers for this path, as JSON: /api/v1/namespaces/default/pods.
    #[arg(long, value_name = "PATH")]
    pub raw: Option<String>,
    /// This part of a pod, which is given whole: status, resize or ephemeralcontainers.
    #[arg(long, value_name = "PART")]
    pub subresource: Option<String>,
    /// The objects of these manifests.
    #[command(flatten)]
    pub filenames: Filenames,
    /// Prints again after each change, until Ctrl-C.
    #[arg(short, long)]
    pub watch: bool,
    /// Prints changes only, not what is there at the beginning.
    #[arg(long)]
    pub watch_only: bool,
    /// With --watch: says of each line or object whether it is ADDED, MODIFIED or DELETED.
    #[arg(long)]
    pub output_watch_events: bool,
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
}

impl Words {
    /// An empty one is none, as for kubectl.
    fn sort_field(&self) -> Option<&str> {
        self.sort_by.as_deref().filter(|field| !field.is_empty())
    }

    /// kubectl's rules of what `--raw` goes with.
    fn alone_with_raw(&self) -> Result<(), Failure> {
        if !self.resources.is_empty() {
            return Err(Failure::error("arguments may not be passed when --raw is specified"));
        }
        let filters = self.selector.is_some() || self.field_selector.is_some() || self.sort_by.is_some();
        if filters || self.watch || self.watch_only || !self.label_columns.is_empty() || !self.filenames.is_empty() {
            return Err(Failure::error(
                "--raw may not be specified with other flags that filter the server request or alter the output",
            ));
        }
        match self.output.as_deref() {
            None | Some("") => Ok(()),
            Some(_) => Err(Failure::error("--raw and --output are mutually exclusive")),
        }
    }

    fn part(&self) -> Option<&str> {
        self.subresource.as_deref().filter(|part| !part.is_empty())
    }
}

/// Lists.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    if let Some(path) = words.raw.as_deref().filter(|path| !path.is_empty()) {
        words.alone_with_raw()?;
        return raw::get(path, caller);
    }
    let watches = words.watch || words.watch_only;
    match words.output.as_deref().unwrap_or_default() {
        "" | "wide" => {}
        printer if words.show_labels => {
            return Err(Failure::Error(format!("--show-labels option cannot be used with {printer} printer")));
        }
        _ => {}
    }
    if words.output_watch_events && !watches {
        return Err(Failure::error("--output-watch-events option can only be used with --watch or --watch-only"));
    }
    let output = Output::parse(words.output.as_deref(), &words.template)?;
    if words.resources.is_empty() && words.filenames.is_empty() && !watches {
        return Err(Failure::Text(
            "You must specify the type of resource to get. Use \"podlet api-resources\" for a complete list of supported \
             resources.\n\nerror: Required resource not specified.\nUse \"podlet explain <resource>\" for a detailed \
             description of that resource (e.g. podlet explain pods).\nSee 'podlet get -h' for help and examples"
                .to_owned(),
        ));
    }
    let namespace = if words.all_namespaces { None } else { Some(everywhere.namespace()) };
    if !words.filenames.is_empty() {
        let targets = of_files(words, everywhere, caller)?;
        return match targets.as_slice() {
            [one] if watches => {
                let wanted = Wanted::Named(vec![(one.kind, one.name.clone())]);
                watch::run(words, output, &wanted, Some(&one.namespace), caller)
            }
            _ if watches => Err(Failure::error("you may only watch a single resource or type of resource at a time")),
            targets => named(words, targets, &output, everywhere, caller),
        };
    }
    let wanted = resource::parse(&words.resources, "get")?;
    if let (Some(_), Wanted::All(_)) = (words.part(), &wanted) {
        return Err(Failure::error("subresource cannot be used when bulk resources are specified"));
    }
    if watches {
        return watch::run(words, output, &wanted, namespace, caller);
    }
    match wanted {
        Wanted::Named(names) => {
            let namespace = everywhere.namespace();
            let target = |(kind, name)| Target { kind, namespace: namespace.to_owned(), name };
            let targets: Vec<Target> = names.into_iter().map(target).collect();
            named(words, &targets, &output, everywhere, caller)
        }
        Wanted::All(kinds) => all(words, &kinds, namespace, &output, caller),
    }
}

/// The objects of `-f`.
fn of_files(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<Vec<Target>, Failure> {
    if !words.resources.is_empty() {
        return Err(Failure::error(
            "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
        ));
    }
    let named = files::names(&words.filenames, everywhere, caller)?;
    Ok(named.into_iter().map(|(kind, namespace, name)| Target { kind, namespace, name }).collect())
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
        let mut objects = ask::list(&caller.paths, *kind, namespace, &selector)?;
        if output.is_table() {
            sort_for_table(words, &mut objects)?;
        }
        found.extend(objects);
    }
    if let (Some(field), false) = (words.sort_field(), output.is_table()) {
        select::sort_by(&mut found, field, |object| object.wire()).map_err(|why| why.failure(false))?;
    }
    let empty = found.is_empty();
    // One kind that was asked for by its own name needs none before the objects' names.
    let with_kind = kinds.len() > 1 || words.resources.iter().any(|word| word == "all");
    print_objects(words, &found, output, with_kind, false, caller)?;
    if empty && output.is_table() && !words.ignore_not_found {
        caller.notice(&select::nothing(namespace));
    }
    Ok(0)
}

/// Each list that kubectl gets for a table is sorted by itself. What it cannot sort by it does not print, and goes on.
fn sort_for_table(words: &Words, objects: &mut Vec<Object>) -> Result<(), Failure> {
    let Some(field) = words.sort_field() else { return Ok(()) };
    match select::sort_by(objects, field, |object| object.wire()) {
        Ok(()) => Ok(()),
        Err(Unsorted::Expression(_)) => {
            objects.clear();
            Ok(())
        }
        Err(why) => Err(why.failure(true)),
    }
}

fn named(
    words: &Words,
    targets: &[Target],
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
    for Target { kind, namespace, name } in targets {
        if words.part().is_some_and(|part| !raw::is_part(*kind, part)) {
            return Err(raw::not_there());
        }
        match ask::find(&caller.paths, *kind, namespace, name)? {
            Some(object) => {
                let mut one = vec![object];
                if output.is_table() {
                    sort_for_table(words, &mut one)?;
                }
                found.extend(one);
            }
            None if words.ignore_not_found => {}
            None => missing.push(Failure::not_found(kind.plural(), name)),
        }
    }
    if let (Some(field), false, true) = (words.sort_field(), output.is_table(), targets.len() > 1) {
        select::sort_by(&mut found, field, |object| object.wire()).map_err(|why| why.failure(false))?;
    }
    let several_kinds = targets.iter().any(|target| Some(target.kind) != targets.first().map(|first| first.kind));
    // With a name missing and nothing found, kubectl prints no empty list.
    if !found.is_empty() {
        print_objects(words, &found, output, several_kinds, targets.len() == 1, caller)?;
    }
    if missing.is_empty() {
        if found.is_empty() && output.is_table() && !words.ignore_not_found {
            caller.notice(&select::nothing(Some(everywhere.namespace())));
        }
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
        Output::Kyaml => print::kyaml(&as_value(), caller.out)?,
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
        event: None,
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
