//! `podlet label` and `podlet annotate`: kubectl's words, rules and texts.

use std::collections::BTreeMap;

use clap::Args;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::apply::change::MARKS;
use super::dry_run::{ChangeWords, DryRun};
use super::everywhere::Everywhere;
use super::output::Output;
use super::pairs::{self, Pairs};
use super::print::wire;
use super::targets::{Selection, Target, Targets};
use super::{Caller, Failure, ask, files, revision};
use crate::manifest::Object;
use crate::manifest::validate::names;

/// The words of both.
#[derive(Args, Clone, Debug)]
pub struct MarkWords {
    /// TYPE NAME … or TYPE/NAME …, then KEY=VALUE … to set and KEY- to remove.
    #[arg(value_name = "TYPE[/NAME]")]
    pub words: Vec<String>,
    /// Or which.
    #[command(flatten)]
    pub selection: Selection,
    /// A key that has another value already gets the new one.
    #[arg(long)]
    pub overwrite: bool,
    /// Shows what there is, and the changes if any, but changes nothing.
    #[arg(long)]
    pub list: bool,
    /// Changes what the manifests of -f say, prints it, and asks for no object that is there.
    #[arg(long)]
    pub local: bool,
    /// How far, and what is printed of it.
    #[command(flatten)]
    pub change: ChangeWords,
}

/// The words of `label`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet label pod web tier=front                  a new label
  podlet label pods --all stage=test --overwrite   whatever value it had
  podlet label pod web tier-                       without it
  podlet label pod web --list")]
pub struct Label {
    /// Which, and what.
    #[command(flatten)]
    pub words: MarkWords,
}

/// The words of `annotate`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet annotate pod web note='seen by Ann'
  podlet annotate pods -l app=web note-            without it
  podlet annotate configmap conf --list")]
pub struct Annotate {
    /// Which, and what.
    #[command(flatten)]
    pub words: MarkWords,
}

/// What of the metadata is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Labels,
    Annotations,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            What::Labels => "label",
            What::Annotations => "annotation",
        }
    }

    fn of(self, metadata: &mut ObjectMeta) -> &mut BTreeMap<String, String> {
        match self {
            What::Labels => metadata.labels.get_or_insert_default(),
            What::Annotations => metadata.annotations.get_or_insert_default(),
        }
    }
}

/// Labels.
pub fn label(words: &Label, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    run(What::Labels, &words.words, everywhere, caller)
}

/// Annotates.
pub fn annotate(words: &Annotate, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    run(What::Annotations, &words.words, everywhere, caller)
}

fn run(what: What, words: &MarkWords, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let (selection, (dry_run, output)) = (&words.selection, words.change.read()?);
    let (resources, pairs) = pairs::part(&words.words, what.word())?;
    let pairs = match what {
        What::Labels => labels(&pairs)?,
        What::Annotations => Pairs::read(&pairs, "annotation", true)?,
    };
    if words.list && words.change.output.is_some() {
        return Err(Failure::error("--list and --output may not be specified together"));
    }
    for (selector, flag) in [(&selection.selector, "--selector"), (&selection.field_selector, "--field-selector")] {
        if selection.all && selector.as_deref().is_some_and(|selector| !selector.is_empty()) {
            return Err(Failure::Error(format!("cannot set --all and {flag} at the same time")));
        }
    }
    if words.local && dry_run == DryRun::Server {
        return Err(Failure::error("cannot specify --local and --dry-run=server - did you mean --dry-run=client?"));
    }
    if words.local && (!resources.is_empty() || selection.filenames.is_empty()) {
        return Err(Failure::error(
            "can only use local files by -f pod.yaml or --filename=pod.json when --local=true is set",
        ));
    }
    if resources.is_empty() && selection.filenames.is_empty() {
        return Err(Failure::error(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    }
    if pairs.is_empty() && !words.list {
        return Err(Failure::Error(format!("at least one {} update is required", what.word())));
    }
    let both: Vec<&String> =
        pairs.removed.iter().filter(|key| pairs.set.iter().any(|(other, _)| other == *key)).collect();
    if !both.is_empty() {
        let keys = both.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Failure::Error(match what {
            What::Labels => "can not both modify and remove a label in the same command".to_owned(),
            What::Annotations => {
                format!("can not both modify and remove the following annotation(s) in the same command: {keys}")
            }
        }));
    }
    if words.local {
        for (_, object) in files::load_with_sources(&selection.filenames, everywhere, what.word(), caller)? {
            let target = revision::target(&object);
            let marked = mark(what, words.overwrite, &pairs, object)?;
            match words.list {
                true => list(what, &target, true, marked, caller)?,
                false => output.print_change(&wire::object(&marked.object), marked.sentence(what), caller)?,
            }
        }
        return Ok(0);
    }
    let targets = match selection.find(&resources, what.word(), everywhere, caller)? {
        Targets::Named(targets) | Targets::Found(targets) => targets,
    };
    let one = targets.len() == 1;
    let mut failures = Vec::new();
    for target in &targets {
        let missing = || Failure::not_found(target.kind.plural(), &target.name);
        let object = revision::read(&caller.paths, target).and_then(|object| object.ok_or_else(missing));
        let marked = object.and_then(|object| mark(what, words.overwrite, &pairs, object));
        let outcome = marked.and_then(|change| match words.list {
            true => list(what, target, one, change, caller),
            false => put(what, change, dry_run, &output, target, caller),
        });
        failures.extend(outcome.err());
    }
    Failure::all(failures).map(|()| 0)
}

/// kubectl takes no second `=` in a label, and judges its value before it asks anybody.
fn labels(words: &[String]) -> Result<Pairs, Failure> {
    let mut pairs = Pairs::default();
    for word in words {
        match word.split_once('=') {
            Some((_, value)) if value.contains('=') => {
                return Err(Failure::Error(format!("invalid label spec: {word}")));
            }
            Some((key, value)) => {
                let faults = names::label_value(value);
                if !faults.is_empty() {
                    let faults = faults.join(";");
                    return Err(Failure::Error(format!("invalid label value: {word:?}: {faults}")));
                }
                pairs.put(key, value);
            }
            None => match word.strip_suffix('-') {
                Some(key) => pairs.removed.push(key.to_owned()),
                None => return Err(Failure::Error(format!("unknown label spec: {word}"))),
            },
        }
    }
    Ok(pairs)
}

/// An object with its new marks.
struct Marked {
    object: Object,
    added: bool,
    removed: bool,
    absent: Vec<String>,
}

impl Marked {
    /// kubectl's word for what was done.
    fn sentence(&self, what: What) -> &'static str {
        match (what, self.added, self.removed) {
            (What::Annotations, ..) => "annotated",
            (What::Labels, true, true) => "modified",
            (What::Labels, true, false) => "labeled",
            (What::Labels, false, true) => "unlabeled",
            (What::Labels, false, false) => "not labeled",
        }
    }
}

fn mark(what: What, overwrite: bool, pairs: &Pairs, mut object: Object) -> Result<Marked, Failure> {
    let marks = what.of(object.metadata_mut());
    let taken = |(key, value): &(String, String)| {
        // kubectl lets the cause of a change always be told anew.
        let free = overwrite || what == What::Annotations && key == "kubernetes.io/change-cause";
        let present = marks.get(key).filter(|present| *present != value && !free)?;
        Some(format!("'{key}' already has a value ({present})"))
    };
    let taken: Vec<String> = pairs.set.iter().filter_map(taken).collect();
    if !taken.is_empty() {
        return Err(match what {
            What::Labels => {
                let each = taken.iter().map(|text| Failure::Error(format!("{text}, and --overwrite is false")));
                Failure::all(each.collect()).err().unwrap_or(Failure::Told)
            }
            What::Annotations => {
                let all = taken.join("; ");
                Failure::Error(format!("--overwrite is false but found the following declared annotation(s): {all}"))
            }
        });
    }
    let mut marked = Marked { added: false, removed: false, absent: Vec::new(), object };
    let marks = what.of(marked.object.metadata_mut());
    for (key, value) in &pairs.set {
        marked.added |= marks.insert(key.clone(), value.clone()).as_ref() != Some(value);
    }
    for key in &pairs.removed {
        match marks.remove(key) {
            Some(_) => marked.removed = true,
            None => marked.absent.push(key.clone()),
        }
    }
    let metadata = marked.object.metadata_mut();
    metadata.labels.take_if(|labels| labels.is_empty());
    metadata.annotations.take_if(|annotations| annotations.is_empty());
    Ok(marked)
}

fn put(
    what: What,
    change: Marked,
    dry_run: DryRun,
    output: &Output,
    target: &Target,
    caller: &mut Caller<'_>,
) -> Result<(), Failure> {
    let sentence = change.sentence(what);
    if what == What::Labels && dry_run != DryRun::Client {
        change.absent.iter().try_for_each(|key| caller.print(&format!("label {key:?} not found.\n")))?;
    }
    let missing = || Failure::not_found(target.kind.plural(), &target.name);
    let live = ask::find(&caller.paths, target.kind, &target.namespace, &target.name)?.ok_or_else(missing)?;
    let mut shown = revision::foreseen(live.wire(), &change.object);
    match dry_run {
        DryRun::None if change.added || change.removed || what == What::Annotations => {
            let put = revision::put(&change.object, caller);
            put.map_err(|refused| refused.failure(target.kind, &target.name))?;
            if let Some(live) = ask::find(&caller.paths, target.kind, &target.namespace, &target.name)? {
                shown = live.wire().clone();
            }
        }
        DryRun::Server => {
            let old = revision::read(&caller.paths, target)?.ok_or_else(missing)?;
            let errors = revision::judge(&old, &change.object);
            if !errors.is_empty() {
                return Err(revision::Refused::Invalid(errors).failure(target.kind, &target.name));
            }
        }
        DryRun::None | DryRun::Client => {}
    }
    output.print_change(&shown, &format!("{sentence}{}", dry_run.note()), caller)
}

fn list(what: What, target: &Target, one: bool, mut marked: Marked, caller: &mut Caller<'_>) -> Result<(), Failure> {
    let mut text = String::new();
    if !one {
        let marks = format!("{}s", what.word());
        text.push_str(&format!("Listing {marks} for {}./{}:\n", target.kind.name(), target.name));
    }
    let indent = if one { "" } else { " " };
    for (key, value) in what.of(marked.object.metadata_mut()).iter().filter(|(key, _)| *key != MARKS) {
        text.push_str(&format!("{indent}{key}={value}\n"));
    }
    caller.print(&text)?;
    Ok(())
}
