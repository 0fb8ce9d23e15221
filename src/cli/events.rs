//! `podlet events`: what happened, in the order of time.

use std::collections::BTreeMap;

use clap::Args;
use k8s_openapi::api::core::v1::Event;

use super::everywhere::Everywhere;
use super::lookout::{Lookout, News, Scope};
use super::output::{Output, TemplateWords};
use super::print::columns::Widths;
use super::print::event_row;
use super::resource::{self, Kind, Wanted};
use super::{Caller, Failure, ask, print};

/// The words of `events`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet events                     of the namespace
  podlet events --for pod/web       of one pod
  podlet events --types=Warning")]
pub struct Words {
    /// Nothing; kubectl passes over words here, too.
    #[arg(hide = true)]
    pub rest: Vec<String>,
    /// Of this object only: pod/web.
    #[arg(long = "for", value_name = "TYPE/NAME")]
    pub object: Option<String>,
    /// Of these types only: Normal, Warning.
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub types: Vec<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Goes on with what comes.
    #[arg(short, long)]
    pub watch: bool,
    /// Without the line of headings.
    #[arg(long)]
    pub no_headers: bool,
    /// json, yaml, name or jsonpath=TEMPLATE.
    #[arg(short, long, value_name = "json|kyaml|name|yaml")]
    pub output: Option<String>,
    /// And its template.
    #[command(flatten)]
    pub template: TemplateWords,
}

/// Lists events.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let choice = Choice::parse(words)?;
    let output = Output::of_change(words.output.as_deref(), &words.template)?;
    let namespace = if words.all_namespaces { None } else { Some(everywhere.namespace()) };
    if words.watch {
        return watch(words, &choice, namespace, &output, caller);
    }
    let mut events = ask::events(&caller.paths, namespace)?;
    events.retain(|event| choice.takes(event));
    if events.is_empty() {
        caller.notice(&match namespace {
            Some(namespace) => format!("No events found in {namespace} namespace."),
            None => "No events found.".to_owned(),
        });
        return Ok(0);
    }
    event_row::sort_by_last_seen(&mut events);
    match output {
        Output::Table => {
            let now = caller.now();
            let table =
                event_row::events_table(&events, !words.no_headers, words.all_namespaces, now, &mut Widths::new());
            caller.print(&table)?;
        }
        Output::Name => {
            for event in &events {
                output.print_change(&print::wire::event(event), "", caller)?;
            }
        }
        output => output.print_change(&print::wire::event_list(&events), "", caller)?,
    }
    Ok(0)
}

/// Which events are meant.
struct Choice {
    object: Option<(Kind, String)>,
    types: Vec<String>,
}

impl Choice {
    fn parse(words: &Words) -> Result<Choice, Failure> {
        let object = match words.object.as_deref() {
            None => None,
            Some(word) if !word.contains('/') => {
                return Err(Failure::error("--for must be in resource/name form"));
            }
            Some(word) => match resource::parse(&[word.to_owned()], "show events for")? {
                Wanted::Named(names) => names.into_iter().next(),
                Wanted::All(_) => None,
            },
        };
        let known = |word: &String| word.eq_ignore_ascii_case("Normal") || word.eq_ignore_ascii_case("Warning");
        if !words.types.iter().all(known) {
            return Err(Failure::error("valid --types are Normal or Warning"));
        }
        Ok(Choice { object, types: words.types.clone() })
    }

    fn takes(&self, event: &Event) -> bool {
        let about = &event.involved_object;
        let of_object = self.object.as_ref().is_none_or(|(kind, name)| {
            about.name.as_ref() == Some(name)
                && about.kind.as_deref().is_some_and(|k| k.eq_ignore_ascii_case(kind.singular()))
        });
        let type_ = event.type_.as_deref().unwrap_or_default();
        of_object && (self.types.is_empty() || self.types.iter().any(|t| t.eq_ignore_ascii_case(type_)))
    }
}

fn watch(
    words: &Words,
    choice: &Choice,
    namespace: Option<&str>,
    output: &Output,
    caller: &mut Caller<'_>,
) -> Result<u8, Failure> {
    let scope = Scope { namespace: namespace.map(str::to_owned), name: None };
    let mut lookout = Lookout::start(&caller.paths, scope)?;
    let mut shown: BTreeMap<(String, String), Event> = BTreeMap::new();
    let (mut widths, mut headings, mut documents) = (Widths::new(), !words.no_headers, 0);
    loop {
        let mut events = Vec::new();
        for news in lookout.next()? {
            // A removed pod's events go with it and are not told one by one.
            let News::Changed(seen) = news else { continue };
            for event in seen.events.into_iter().filter(|event| choice.takes(event)) {
                let text = |field: &Option<String>| field.clone().unwrap_or_default();
                let key = (text(&event.metadata.namespace), text(&event.metadata.name));
                if shown.get(&key) != Some(&event) {
                    shown.insert(key, event.clone());
                    events.push(event);
                }
            }
        }
        event_row::sort_by_last_seen(&mut events);
        for event in events {
            match output {
                Output::Table => {
                    let headings = std::mem::take(&mut headings);
                    let (event, now) = ([event], caller.now());
                    let rows = event_row::events_table(&event, headings, words.all_namespaces, now, &mut widths);
                    caller.print(&rows)?;
                }
                output => {
                    if matches!(output, Output::Yaml | Output::Kyaml) && std::mem::replace(&mut documents, 1) > 0 {
                        caller.print("---\n")?;
                    }
                    output.print_change(&print::wire::event(&event), "", caller)?;
                }
            }
        }
        caller.out.flush()?;
    }
}
