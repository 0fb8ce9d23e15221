//! Which objects a verb is meant for: `TYPE NAME …`, `TYPE/NAME …`, those of manifests, or all that a selector fits. `delete`
//! and `wait` stand on it.

use clap::Args;

use super::ask;
use super::everywhere::Everywhere;
use super::files;
use super::files::Filenames;
use super::resource::{self, Kind, Wanted};
use super::select::Selector;
use super::{Caller, Failure};

/// kubectl's words for a verb without any object.
pub const NOTHING_NAMED: &str = "You must provide one or more resources by argument or filename.\nExample resource specifications \
                                 include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";

/// The words that say it.
#[derive(Args, Clone, Debug)]
pub struct TargetWords {
    /// TYPE NAME … or TYPE/NAME ….
    #[arg(value_name = "TYPE[/NAME]")]
    pub resources: Vec<String>,
    /// Else which.
    #[command(flatten)]
    pub selection: Selection,
}

/// How objects are meant that are not named one by one.
#[derive(Args, Clone, Debug, Default)]
pub struct Selection {
    /// The objects of these manifests.
    #[command(flatten)]
    pub filenames: Filenames,
    /// All of the type.
    #[arg(long)]
    pub all: bool,
    /// In every namespace; with --all or a selector.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Those with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Those with these fields: status.phase=Failed.
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,
}

/// An object by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Of which kind.
    pub kind: Kind,
    /// Where.
    pub namespace: String,
    /// Which.
    pub name: String,
}

/// Which objects are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// These, whether they are there or not.
    Named(Vec<Target>),
    /// Those that are there now.
    Found(Vec<Target>),
}

impl TargetWords {
    /// Looks for what is meant; `verb` is for the messages.
    pub fn find(&self, verb: &str, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<Targets, Failure> {
        self.selection.find(&self.resources, verb, everywhere, caller)
    }
}

impl Selection {
    /// Looks for what is meant by it and by these words, `TYPE NAME …` or `TYPE/NAME …`; `verb` is for the messages.
    pub fn find(
        &self,
        resources: &[String],
        verb: &str,
        everywhere: &Everywhere,
        caller: &mut Caller<'_>,
    ) -> Result<Targets, Failure> {
        let namespace = everywhere.namespace();
        if !self.filenames.is_empty() {
            let names = files::names(&self.filenames, everywhere, caller)?;
            let target = |(kind, namespace, name)| Target { kind, namespace, name };
            return Ok(Targets::Named(names.into_iter().map(target).collect()));
        }
        if resources.is_empty() {
            return Err(Failure::error(NOTHING_NAMED));
        }
        let selected = self.selector.is_some() || self.field_selector.is_some();
        if self.all && selected {
            // The blank at the end is kubectl's.
            return Err(Failure::error("setting 'all' parameter but found a non empty selector. "));
        }
        match resource::parse(resources, verb)? {
            Wanted::Named(_) if self.all || selected => {
                Err(Failure::error("name cannot be provided when a selector is specified"))
            }
            Wanted::Named(_) if self.all_namespaces => {
                Err(Failure::error("a resource cannot be retrieved by name across all namespaces"))
            }
            Wanted::Named(names) => {
                let target = |(kind, name)| Target { kind, namespace: namespace.to_owned(), name };
                Ok(Targets::Named(names.into_iter().map(target).collect()))
            }
            Wanted::All(_) if !self.all && !selected => {
                Err(Failure::error("resource(s) were provided, but no name was specified"))
            }
            Wanted::All(kinds) => {
                let mut targets = Vec::new();
                for kind in kinds {
                    let selector = Selector::parse(kind, self.selector.as_deref(), self.field_selector.as_deref())?;
                    let within = (!self.all_namespaces).then_some(namespace);
                    targets.extend(ask::list(&caller.paths, kind, within, &selector)?.iter().map(|object| Target {
                        kind,
                        namespace: object.namespace().to_owned(),
                        name: object.name().to_owned(),
                    }));
                }
                Ok(Targets::Found(targets))
            }
        }
    }
}
