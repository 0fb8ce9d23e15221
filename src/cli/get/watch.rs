//! `get -w`: prints again after each change.

use std::collections::BTreeSet;

use serde_json::json;

use super::super::ask::{self, Object};
use super::super::changes::Changes;
use super::super::print::columns::Widths;
use super::super::print::jsonpath::go;
use super::super::resource::{Kind, Wanted};
use super::super::select::{self, Selector};
use super::super::{Caller, Failure, print};
use super::{Output, Words};

/// What has become of an object, as a watch of the API calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Added,
    Modified,
    Deleted,
}

impl Event {
    fn word(self) -> &'static str {
        match self {
            Event::Added => "ADDED",
            Event::Modified => "MODIFIED",
            Event::Deleted => "DELETED",
        }
    }

    /// As wide as the widest, so that a table's column does not jump.
    fn cell(self) -> &'static str {
        match self {
            Event::Added => "ADDED   ",
            Event::Modified => "MODIFIED",
            Event::Deleted => "DELETED ",
        }
    }
}

/// Prints what is there, then what changes, until Ctrl-C; one object that was named, until it is removed.
pub fn run(
    words: &Words,
    output: Output,
    wanted: &Wanted,
    namespace: Option<&str>,
    caller: &mut Caller<'_>,
) -> Result<u8, Failure> {
    if words.sort_field().is_some() {
        caller.notice(if words.watch {
            "warning: --watch requested, --sort-by will be ignored for watch events received"
        } else {
            "warning: --watch-only requested, --sort-by will be ignored"
        });
    }
    let (kind, names) = of_one_kind(wanted)?;
    if !names.is_empty() {
        if words.selector.is_some() {
            return Err(Failure::error("name cannot be provided when a selector is specified"));
        }
        let Some(namespace) = namespace else {
            return Err(Failure::error("a resource cannot be retrieved by name across all namespaces"));
        };
        let mut found = Vec::new();
        for name in &names {
            match ask::find(&caller.paths, kind, namespace, name)? {
                Some(object) => found.push(object),
                None if words.ignore_not_found => return Ok(0),
                None => return Err(Failure::not_found(kind.plural(), name)),
            }
        }
        if names.len() > 1 {
            // kubectl notices only when it has shown them.
            let mut printer = Printer::new(words, output, kind);
            if !words.watch_only {
                printer.print_first(found, caller)?;
            }
            return Err(Failure::error("you may only watch a single resource or type of resource at a time"));
        }
    }
    let name = names.first().copied();
    let selector = Selector::parse(kind, words.selector.as_deref(), words.field_selector.as_deref())?;
    let mut source = Changes::of(kind, namespace, name, &caller.paths)?;
    let mut printer = Printer::new(words, output, kind);
    let mut chosen = BTreeSet::new();
    let mut first = true;
    loop {
        let mut events = Vec::new();
        let mut named_is_gone = false;
        for change in source.next()? {
            let object = change.object;
            if name.is_some_and(|name| object.name() != name) {
                continue;
            }
            named_is_gone |= change.gone && name.is_some();
            let key = (object.namespace().to_owned(), object.name().to_owned());
            // What no longer fits the selector has gone as far as this watch is concerned.
            let fits = !change.gone && selector.matches(&object.labels, || object.wire());
            match (fits, chosen.contains(&key)) {
                (true, false) => {
                    chosen.insert(key);
                    events.push((Event::Added, object));
                }
                (true, true) => events.push((Event::Modified, object)),
                (false, true) => {
                    chosen.remove(&key);
                    events.push((Event::Deleted, object));
                }
                (false, false) => {}
            }
        }
        if std::mem::take(&mut first) {
            if !words.watch_only {
                printer.print_first(events.into_iter().map(|(_, object)| object).collect(), caller)?;
            }
        } else {
            // A line an object: each is a change of its own.
            events
                .iter()
                .try_for_each(|(event, object)| printer.print(*event, std::slice::from_ref(object), caller))?;
        }
        caller.out.flush()?;
        if named_is_gone {
            return Ok(0);
        }
    }
}

/// The kind, and the names if there are any.
fn of_one_kind(wanted: &Wanted) -> Result<(Kind, Vec<&str>), Failure> {
    let single = || Failure::error("you may only specify a single resource type");
    match wanted {
        Wanted::All(kinds) => match kinds.as_slice() {
            [kind] => Ok((*kind, Vec::new())),
            _ => Err(single()),
        },
        Wanted::Named(names) => {
            let kind = names.first().map_or(Kind::Pod, |(kind, _)| *kind);
            if names.iter().any(|(other, _)| *other != kind) {
                return Err(single());
            }
            Ok((kind, names.iter().map(|(_, name)| name.as_str()).collect()))
        }
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
    fn new(words: &Words, output: Output, kind: Kind) -> Printer<'_> {
        Printer { words, output, kind, earlier: Widths::new(), headed: words.no_headers, documents: 0 }
    }

    fn print_first(&mut self, mut objects: Vec<Object>, caller: &mut Caller<'_>) -> Result<(), Failure> {
        if let Some(field) = self.words.sort_field() {
            let sorted = select::sort_by(&mut objects, field, |object| object.wire());
            sorted.map_err(|why| why.failure(self.output.is_table()))?;
        }
        self.print(Event::Added, &objects, caller)
    }

    /// A document an object; of a table, rows, with headings before the first.
    fn print(&mut self, event: Event, objects: &[Object], caller: &mut Caller<'_>) -> Result<(), Failure> {
        let with_event = self.words.output_watch_events;
        if self.output.is_table() {
            if objects.is_empty() {
                return Ok(());
            }
            let kind = self.words.show_kind.then(|| self.kind.singular());
            let mut shape = super::shape(self.words, self.output == Output::Wide, kind);
            shape.no_headers = std::mem::replace(&mut self.headed, true);
            shape.event = with_event.then(|| event.cell());
            let now = caller.now();
            caller.print(&super::table(self.kind, objects, now).print_after(&shape, &mut self.earlier))?;
            return Ok(());
        }
        for object in objects {
            let framed = with_event.then(|| json!({"type": event.word(), "object": object.wire()}));
            let value = framed.as_ref().unwrap_or(object.wire());
            match &self.output {
                Output::JsonPath(template, form) => {
                    template.print(value, *form, caller.out)?.map_err(Failure::Error)?;
                }
                Output::Columns(columns) => {
                    let headings = !std::mem::replace(&mut self.headed, true);
                    let (text, printed) = columns.print(&[object.wire()], headings, &mut self.earlier);
                    caller.print(&text)?;
                    printed.map_err(Failure::Error)?;
                }
                // An event with its object is one line of JSON, so that a program can read line by line.
                Output::Json if with_event => {
                    let object = go::compact_json(object.wire());
                    caller.print(&format!("{{\"type\":\"{}\",\"object\":{object}}}\n", event.word()))?;
                }
                Output::Json => print::json(value, caller.out)?,
                Output::Kyaml => print::kyaml(value, caller.out)?,
                Output::Yaml => {
                    if self.documents > 0 {
                        caller.print("---\n")?;
                    }
                    print::yaml(value, caller.out)?;
                }
                _ => caller.print(&format!("{}/{}\n", self.kind.singular(), object.name()))?,
            }
            self.documents += 1;
        }
        Ok(())
    }
}
