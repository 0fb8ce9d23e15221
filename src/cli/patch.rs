//! `podlet patch`: fields of objects changed by a strategic merge, a merge (RFC 7386) or a list of operations (RFC 6902).
//! What may change is for the API server's rules, as with `edit`. kubectl's texts.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::dry_run::{ChangeWords, DryRun};
use super::everywhere::Everywhere;
use super::failure::in_go;
use super::files::Filenames;
use super::print::wire;
use super::revision::{self, Refused};
use super::subresource::Part;
use super::targets::{Selection, Target, Targets};
use super::{Caller, Failure, ask, files};
use crate::manifest::node::Position;
use crate::manifest::{self, Source, tree};

/// The words of `patch`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet patch pod web -p '{\"spec\":{\"activeDeadlineSeconds\":600}}'
  podlet patch pod web \\
      -p '{\"spec\":{\"containers\":[{\"name\":\"app\",\"image\":\"shop/app:2\"}]}}'
  podlet patch configmap conf --type=merge -p 'data: {mode: test, old: null}'
  podlet patch pod web --subresource=resize \\
      -p 'spec: {containers: [{name: app, resources: {limits: {cpu: 2}}}]}'
  podlet patch pod web --type=json \\
      -p '[{op: replace, path: /spec/containers/0/image, value: shop/app:2}]'

What may change on a live pod: images, the deadline, tolerations that are added, labels and annotations; cpu and memory with \
--subresource=resize.")]
pub struct Words {
    /// TYPE NAME … or TYPE/NAME ….
    #[arg(value_name = "TYPE[/NAME]")]
    pub resources: Vec<String>,
    /// The objects of these manifests.
    #[command(flatten)]
    pub filenames: Filenames,
    /// The patch: JSON or YAML.
    #[arg(short, long, value_name = "PATCH")]
    pub patch: Option<String>,
    /// A file with the patch.
    #[arg(long, value_name = "FILE")]
    pub patch_file: Option<PathBuf>,
    /// Of which kind it is: json (RFC 6902), merge (RFC 7386) or strategic (lists by the names of their items).
    #[arg(long = "type", value_name = "json|merge|strategic", default_value = "strategic")]
    pub kind: String,
    /// Changes what the manifests of -f say, prints it, and asks for no object that is there.
    #[arg(long)]
    pub local: bool,
    /// Takes of the patch what this part of a pod has: resize, resources of containers. All else stays as it is.
    #[arg(long, value_name = "resize")]
    pub subresource: Option<String>,
    /// How far, and what is printed of it.
    #[command(flatten)]
    pub change: ChangeWords,
}

/// The ways to read a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Lists are merged by the names of their items.
    Strategic,
}

impl Way {
    /// By its word.
    pub fn parse(word: &str) -> Option<Way> {
        match word.to_lowercase().as_str() {
            "json" => Some(Way::Json),
            "merge" => Some(Way::Merge),
            "strategic" | "" => Some(Way::Strategic),
            _ => None,
        }
    }
}

/// Patches.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let (dry_run, output) = words.change.read()?;
    let given = words.patch.as_deref().filter(|patch| !patch.is_empty());
    let text = match (given, &words.patch_file) {
        (Some(_), Some(_)) => return Err(Failure::error("cannot specify --patch and --patch-file together")),
        (None, None) => {
            return Err(Failure::error("must specify --patch or --patch-file containing the contents of the patch"));
        }
        (Some(text), None) => text.to_owned(),
        (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| {
            Failure::Error(format!("unable to read patch file: open {}: {}", path.display(), in_go(&error)))
        })?,
    };
    if words.local && !words.resources.is_empty() {
        return Err(Failure::error("cannot specify --local and server resources"));
    }
    if words.local && dry_run == DryRun::Server {
        return Err(Failure::error("cannot specify --local and --dry-run=server - did you mean --dry-run=client?"));
    }
    let way = Way::parse(&words.kind)
        .ok_or_else(|| Failure::Error(format!("--type must be one of [json merge strategic], not {:?}", words.kind)))?;
    let part = Part::parse(words.subresource.as_deref())?;
    let patch = parse(&text)?;
    if words.local {
        for (_, object) in files::load_with_sources(&words.filenames, everywhere, "patch", caller)? {
            let before = wire::object(&object);
            let after = patched(way, &before, &patch)?;
            output.print_change(&after, sentence(before != after), caller)?;
        }
        return Ok(0);
    }
    let selection = Selection { filenames: words.filenames.clone(), ..Selection::default() };
    let (Targets::Named(targets) | Targets::Found(targets)) =
        selection.find(&words.resources, "patch", everywhere, caller)?;
    let mut failures = Vec::new();
    for target in &targets {
        let changed = change((way, part), &patch, target, dry_run, caller);
        let shown = changed.and_then(|(object, changed)| {
            output.print_change(&object, &format!("{}{}", sentence(changed), dry_run.note()), caller)
        });
        failures.extend(shown.err());
    }
    Failure::all(failures).map(|()| 0)
}

fn sentence(changed: bool) -> &'static str {
    if changed { "patched" } else { "patched (no change)" }
}

fn parse(text: &str) -> Result<Value, Failure> {
    let unreadable = |why: String| Failure::Error(format!("unable to parse {text:?}: {why}"));
    let source = Source { name: "patch".to_owned(), bytes: text.as_bytes().to_vec() };
    match tree::trees(&source) {
        Ok(trees) => trees.first().map(tree::json).ok_or_else(|| unreadable("it is empty".to_owned())),
        Err(faults) => {
            let fault = |fault: &manifest::Diagnostic| format!("line {}: {}", fault.line, fault.text);
            Err(unreadable(faults.iter().map(fault).collect::<Vec<_>>().join("; ")))
        }
    }
}

/// The object with the patch.
pub fn patched(way: Way, before: &Value, patch: &Value) -> Result<Value, Failure> {
    let invalid = |why: String| Failure::Text(format!("The request is invalid: {why}"));
    let mut after = before.clone();
    match way {
        Way::Json => {
            let patch: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|error| invalid(format!("it is no list of operations: {error}")))?;
            json_patch::patch(&mut after, &patch).map_err(|error| invalid(error.to_string()))?;
        }
        Way::Merge | Way::Strategic if !patch.is_object() => {
            return Err(Failure::bad_request(format!("the patch is no object: {patch}")));
        }
        Way::Merge => json_patch::merge(&mut after, patch),
        Way::Strategic => {
            let at = Position::default();
            after = tree::json(&manifest::patch::strategic(tree::node(before, at), &tree::node(patch, at)));
        }
    }
    Ok(after)
}

/// The object as it is, or would be, and whether that is something else.
fn change(
    (way, part): (Way, Part),
    patch: &Value,
    target: &Target,
    dry_run: DryRun,
    caller: &mut Caller<'_>,
) -> Result<(Value, bool), Failure> {
    let Target { kind, namespace, name } = target;
    let missing = || Failure::not_found(kind.plural(), name);
    let live = ask::find(&caller.paths, *kind, namespace, name)?.ok_or_else(missing)?;
    let before = live.wire();
    let mut after = patched(way, before, patch)?;
    for (field, wanted, what) in [("name", name, "name"), ("namespace", namespace, "namespace")] {
        let found = after.pointer(&format!("/metadata/{field}")).and_then(Value::as_str).unwrap_or_default();
        if found != wanted {
            return Err(Failure::bad_request(format!(
                "the {what} of the object ({found}) does not match the {what} on the URL ({wanted})"
            )));
        }
    }
    after = part.of(*kind, before, after)?;
    if dry_run == DryRun::Client {
        return Ok((after.clone(), *before != after));
    }
    let new = revision::from_wire(&after, caller)?;
    let old = revision::read(&caller.paths, target)?.ok_or_else(missing)?;
    let errors = revision::judge(&old, &new);
    if !errors.is_empty() {
        return Err(Refused::Invalid(errors).failure(*kind, name));
    }
    let foreseen = revision::foreseen(before, &new);
    let changed = foreseen != *before;
    if dry_run == DryRun::Server || !changed {
        return Ok((foreseen, changed));
    }
    revision::put(&new, caller).map_err(|refused| refused.failure(*kind, name))?;
    let now = ask::find(&caller.paths, *kind, namespace, name)?;
    Ok((now.map_or(after, |now| now.wire().clone()), true))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_patch_does_what_it_says() {
        let before =
            json!({"spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y"}], "k": 1}});
        let strategic = parse("spec:\n  containers:\n  - {name: a, image: x:2}").unwrap();
        let containers = json!([{"name": "a", "image": "x:2"}, {"name": "b", "image": "y"}]);
        assert_eq!(patched(Way::Strategic, &before, &strategic).unwrap()["spec"]["containers"], containers);
        let merged = patched(Way::Merge, &before, &json!({"spec": {"containers": [], "k": null}})).unwrap();
        assert_eq!(merged, json!({"spec": {"containers": []}}));
        let operations =
            json!([{"op": "test", "path": "/spec/k", "value": 1}, {"op": "remove", "path": "/spec/containers/1"}]);
        let done = patched(Way::Json, &before, &operations).unwrap();
        assert_eq!(done["spec"]["containers"], json!([{"name": "a", "image": "x:1"}]));
        for wrong in [json!([{"op": "remove", "path": "/nope"}]), json!({"op": "remove"}), json!("x")] {
            assert!(patched(Way::Json, &before, &wrong).is_err(), "{wrong}");
        }
        assert!(patched(Way::Merge, &before, &json!([1])).is_err());
        assert!(parse("a: [").is_err() && parse("").is_err());
    }
}
