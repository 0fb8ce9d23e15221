//! `get -w`: prints again after each change.

use super::super::ask::{self, Object};
use super::super::changes::Changes;
use super::super::everywhere::Everywhere;
use super::super::print::columns::Widths;
use super::super::resource::{Kind, Wanted};
use super::super::select::{self, Selector};
use super::super::{Caller, Failure, print};
use super::{Output, Words};

/// Prints what is there, then what changes, until Ctrl-C; one object that was named, until it is removed.
pub fn run(words: &Words, wanted: &Wanted, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = Output::parse(words.output.as_deref())?;
    let (kind, name) = one(wanted)?;
    let namespace = if words.all_namespaces { None } else { Some(everywhere.namespace()) };
    if let Some(name) = name {
        if words.selector.is_some() {
            return Err(Failure::error("name cannot be provided when a selector is specified"));
        }
        let Some(namespace) = namespace else {
            return Err(Failure::error("a resource cannot be retrieved by name across all namespaces"));
        };
        if ask::find(&caller.paths, kind, namespace, name)?.is_none() {
            return Err(Failure::not_found(kind.plural(), name));
        }
    }
    let selector = Selector::parse(kind, words.selector.as_deref(), words.field_selector.as_deref())?;
    let mut source = Changes::of(kind, namespace, name, &caller.paths)?;
    let mut printer = Printer { words, output, kind, earlier: Widths::new(), headed: words.no_headers, documents: 0 };
    let mut first = true;
    loop {
        let mut changes = source.next()?;
        changes.retain(|change| {
            name.is_none_or(|name| change.object.name() == name)
                && selector.matches(&change.object.labels, || change.object.wire())
        });
        let named_is_gone = name.is_some() && changes.iter().any(|change| change.gone);
        let objects: Vec<Object> = changes.into_iter().map(|change| change.object).collect();
        if std::mem::take(&mut first) {
            if !words.watch_only {
                printer.print_first(objects, caller)?;
            }
        } else {
            // A line an object: each is a change of its own.
            objects.iter().try_for_each(|object| printer.print(std::slice::from_ref(object), caller))?;
        }
        caller.out.flush()?;
        if named_is_gone {
            return Ok(0);
        }
    }
}

/// kubectl watches one kind, or one object.
fn one(wanted: &Wanted) -> Result<(Kind, Option<&str>), Failure> {
    match wanted {
        Wanted::All(kinds) => match kinds.as_slice() {
            [kind] => Ok((*kind, None)),
            _ => Err(Failure::error("you may only specify a single resource type")),
        },
        Wanted::Named(names) => match names.as_slice() {
            [(kind, name)] => Ok((*kind, Some(name))),
            several => Err(Failure::Error(format!(
                "watch is only supported on individual resources and resource collections - {} resources were found",
                several.len()
            ))),
        },
    }
}

struct Printer<'a> {
    words: &'a Words,
    output: Output,
    kind: Kind,
    earlier: Widths,
    headed: bool,
    documents: u64,
}

impl Printer<'_> {
    fn print_first(&mut self, mut objects: Vec<Object>, caller: &mut Caller<'_>) -> Result<(), Failure> {
        if let Some(field) = &self.words.sort_by {
            select::sort_by(&mut objects, field, |object| object.wire())?;
        }
        self.print(&objects, caller)
    }

    /// A document an object; of a table, rows, with headings before the first.
    fn print(&mut self, objects: &[Object], caller: &mut Caller<'_>) -> Result<(), Failure> {
        if matches!(self.output, Output::Table | Output::Wide) {
            if objects.is_empty() {
                return Ok(());
            }
            let mut shape = super::shape(
                self.words,
                self.output == Output::Wide,
                self.words.show_kind.then(|| self.kind.singular()),
            );
            shape.no_headers = std::mem::replace(&mut self.headed, true);
            let now = caller.now();
            caller.print(&super::table(self.kind, objects, now).print_after(&shape, &mut self.earlier))?;
            return Ok(());
        }
        for object in objects {
            match &self.output {
                Output::JsonPath(template, form) => {
                    template.print(object.wire(), *form, caller.out)?.map_err(Failure::Error)?;
                }
                Output::Columns(columns) => {
                    let headings = !std::mem::replace(&mut self.headed, true);
                    let (text, printed) = columns.print(&[object.wire()], headings, &mut self.earlier);
                    caller.print(&text)?;
                    printed.map_err(Failure::Error)?;
                }
                Output::Json => print::json(object.wire(), caller.out)?,
                Output::Yaml => {
                    if self.documents > 0 {
                        caller.print("---\n")?;
                    }
                    print::yaml(object.wire(), caller.out)?;
                }
                _ => caller.print(&format!("{}/{}\n", self.kind.singular(), object.name()))?,
            }
            self.documents += 1;
        }
        Ok(())
    }
}
