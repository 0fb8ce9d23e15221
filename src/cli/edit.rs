//! `podlet edit`: objects in the caller's own editor, put back when it ends. kubectl's header, its texts, and the file opened
//! again with the reasons when what was saved is refused.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde_json::Value;

use super::apply::change::{Change, compare};
use super::everywhere::Everywhere;
use super::files::Filenames;
use super::output::Output;
use super::print::{self, wire};
use super::resource::{self, Wanted};
use super::revision::{self, Refused};
use super::select::Selector;
use super::subresource::Part;
use super::targets::{self, Target};
use super::{Caller, Failure, ask, files};
use crate::manifest::field::FieldError;
use crate::manifest::{self, Object, Options, Rejected, Source, update};

/// The words of `edit`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet edit pod web                      in $KUBE_EDITOR, $EDITOR or vi
  KUBE_EDITOR='code --wait' podlet edit configmap conf
  podlet edit pod web -o json
  podlet edit pod web --subresource=resize

What may not change on a live pod is refused, and the file opened again with the reason.")]
pub struct Words {
    /// TYPE NAME … or TYPE/NAME ….
    #[arg(value_name = "TYPE[/NAME]")]
    pub resources: Vec<String>,
    /// The objects of these manifests, as they are now.
    #[command(flatten)]
    pub filenames: Filenames,
    /// In which form they are edited: yaml or json.
    #[arg(short, long, value_name = "json|yaml")]
    pub output: Option<String>,
    /// Only this: `resize` lets cpu and memory be changed, and nothing else. (They may be changed without it, too.)
    #[arg(long, value_name = "resize")]
    pub subresource: Option<String>,
}

const HEADER: &str = "\
# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
";

/// Edits.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let json = match words.output.as_deref().unwrap_or("yaml") {
        "yaml" => false,
        "json" => true,
        other => return Err(Failure::no_printer(other, &["json", "yaml"])),
    };
    let only_resources = Part::parse(words.subresource.as_deref())? == Part::Resources;
    let targets = targets(words, everywhere, caller)?;
    let mut originals = Vec::new();
    for target in &targets {
        let live = ask::find(&caller.paths, target.kind, &target.namespace, &target.name)?
            .ok_or_else(|| Failure::not_found(target.kind.plural(), &target.name))?;
        originals.push(live.wire().clone());
    }
    let whole = match originals.as_slice() {
        [] => return Err(Failure::error("edit cancelled, no objects found")),
        [one] => one.clone(),
        several => wire::list(several.to_vec()),
    };
    let mut text = Vec::new();
    if json {
        print::json(&whole, &mut text)?
    } else {
        print::yaml(&whole, &mut text)?
    }
    let original = String::from_utf8_lossy(&text).into_owned();
    let mut edit = Edit { json, targets, originals, reasons: Vec::new(), file: None, only_resources };
    edit.run(&original, caller)
}

fn targets(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<Vec<Target>, Failure> {
    if !words.filenames.is_empty() {
        let named = files::names(&words.filenames, everywhere, caller)?;
        return Ok(named.into_iter().map(|(kind, namespace, name)| Target { kind, namespace, name }).collect());
    }
    let namespace = everywhere.namespace();
    if words.resources.is_empty() {
        return Err(Failure::error(targets::NOTHING_NAMED));
    }
    let target = |kind, name: &str| Target { kind, namespace: namespace.to_owned(), name: name.to_owned() };
    Ok(match resource::parse(&words.resources, "edit")? {
        Wanted::Named(names) => names.iter().map(|(kind, name)| target(*kind, name)).collect(),
        Wanted::All(kinds) => {
            let mut all = Vec::new();
            for kind in kinds {
                let objects = ask::list(&caller.paths, kind, Some(namespace), &Selector::default())?;
                all.extend(objects.iter().map(|object| target(kind, object.name())));
            }
            all
        }
    })
}

/// Why the file is opened again: a line, and points beneath it.
type Reason = (String, Vec<String>);

/// An edit that goes on until what was saved is taken, or given up.
struct Edit {
    json: bool,
    targets: Vec<Target>,
    originals: Vec<Value>,
    reasons: Vec<Reason>,
    /// What was saved last.
    file: Option<PathBuf>,
    /// `--subresource=resize`.
    only_resources: bool,
}

impl Edit {
    fn run(&mut self, original: &str, caller: &mut Caller<'_>) -> Result<u8, Failure> {
        let mut shown = original.to_owned();
        loop {
            let before = shown.clone();
            let (saved, path) = self.let_edit(&shown).map_err(|failure| self.preserved(failure, caller))?;
            let retrying = !self.reasons.is_empty();
            if let Some(earlier) = self.file.replace(path) {
                let _ = std::fs::remove_file(earlier);
            }
            if retrying && without_comments(&before) == without_comments(&saved) {
                return Err(self.preserved(Failure::error("Edit cancelled, no valid changes were saved."), caller));
            }
            if without_comments(original) == without_comments(&saved) {
                self.discard();
                caller.notice("Edit cancelled, no changes made.");
                return Ok(0);
            }
            if without_comments(&saved).trim().is_empty() {
                self.discard();
                caller.notice("Edit cancelled, saved file was empty.");
                return Ok(0);
            }
            self.reasons.clear();
            self.apply(&saved, caller).map_err(|failure| self.preserved(failure, caller))?;
            if self.reasons.is_empty() {
                self.discard();
                return Ok(0);
            }
            shown = without_header(&saved);
        }
    }

    /// Writes the file, opens the editor, and reads what it has left.
    fn let_edit(&self, text: &str) -> Result<(String, PathBuf), Failure> {
        let mut whole = String::new();
        if !self.json {
            whole.push_str(HEADER);
            for (head, points) in &self.reasons {
                let head = head.replace('\n', "\n# ");
                whole.push_str(&format!("# {head}{}\n", if points.is_empty() { "" } else { ":" }));
                points.iter().for_each(|point| {
                    whole.push_str(&format!("# * {}\n", point.replace('\n', "\n# ")));
                });
                whole.push_str("#\n");
            }
        }
        whole.push_str(text);
        let path = temporary(if self.json { "json" } else { "yaml" }, whole.as_bytes())?;
        open_editor(&path)?;
        let saved = std::fs::read_to_string(&path)
            .map_err(|error| Failure::Error(format!("could not read {}: {error}", path.display())))?;
        Ok((saved, path))
    }

    /// Puts what was saved; what is refused becomes a reason to open the file again.
    fn apply(&mut self, saved: &str, caller: &mut Caller<'_>) -> Result<(), Failure> {
        let source = Source { name: "edited-file".to_owned(), bytes: saved.as_bytes().to_vec() };
        let loaded = match manifest::load(&[source], &Options::default()) {
            Ok(loaded) => loaded,
            Err(rejected) => {
                let reason = self.refusal(&rejected);
                caller.notice(&format!("error: {}", reason.0));
                self.reasons.push(reason);
                return Ok(());
            }
        };
        loaded.warnings.iter().for_each(|text| caller.notice(&format!("Warning: {text}")));
        for mut object in loaded.objects {
            let target = revision::target(&object);
            let Some(at) = self.targets.iter().position(|known| *known == target) else {
                return Err(Failure::error("At least one of apiVersion, kind and name was changed"));
            };
            own(&mut object);
            let changed = Output::Table;
            let same = revision::read(&caller.paths, &target)?.is_some_and(|mut old| {
                own(&mut old);
                revision::judge(&old, &object).is_empty() && wire::object(&old) == wire::object(&object)
            });
            let Some(original) = self.originals.get(at) else { continue };
            if same {
                changed.print_change(original, "skipped", caller)?;
                continue;
            }
            let mutable = !self.only_resources || is_resize(&object, revision::read(&caller.paths, &target)?.as_ref());
            let put =
                if mutable { revision::put(&object, caller) } else { Err(Refused::Invalid(vec![not_a_resize()])) };
            match put {
                Ok(()) => changed.print_change(original, "edited", caller)?,
                Err(Refused::Invalid(errors)) => {
                    caller.notice(&format!("error: {} {:?} is invalid", target.kind.plural(), target.name));
                    let head = format!("{} {:?} was not valid", target.kind.plural(), target.name);
                    self.reasons.push((head, errors.iter().map(ToString::to_string).collect()));
                }
                Err(Refused::Otherwise(failure)) => return Err(could_not_put(&failure, &target, self.file.as_deref())),
            }
        }
        Ok(())
    }

    /// What the file is opened again with when it cannot be read, or holds what cannot be.
    fn refusal(&self, rejected: &Rejected) -> Reason {
        let points = rejected.diagnostics.iter().map(|diagnostic| {
            let path = if diagnostic.path.is_empty() { String::new() } else { format!("{}: ", diagnostic.path) };
            format!("line {}: {path}{}", diagnostic.line, diagnostic.text)
        });
        let invalid = rejected.status.reason.as_deref() == Some("Invalid");
        match (invalid, self.targets.as_slice()) {
            (true, [target]) => (format!("{} {:?} was not valid", target.kind.plural(), target.name), points.collect()),
            (true, _) => ("the objects were not valid".to_owned(), points.collect()),
            (false, _) => ("The edited file had a syntax error".to_owned(), points.collect()),
        }
    }

    fn preserved(&self, failure: Failure, caller: &mut Caller<'_>) -> Failure {
        if let Some(file) = self.file.as_deref().filter(|file| file.exists()) {
            caller.notice(&format!("A copy of your changes has been stored to {:?}", file.display().to_string()));
        }
        failure
    }

    fn discard(&mut self) {
        if let Some(file) = self.file.take() {
            let _ = std::fs::remove_file(file);
        }
    }
}

fn could_not_put(failure: &Failure, target: &Target, file: Option<&Path>) -> Failure {
    let said = failure.text().unwrap_or_default();
    let said = said.trim_start_matches("error: ");
    let (kind, name) = (target.kind.plural(), &target.name);
    let file = file.map(|file| file.display().to_string()).unwrap_or_default();
    Failure::Text(format!(
        "error: {kind} {name:?} could not be patched: {said}\nYou can run `podlet replace -f {file}` to try this update again."
    ))
}

/// Without what podlet itself writes.
pub fn own(object: &mut Object) {
    if let Object::Pod(pod) = object {
        pod.status = None;
        // They are added by `debug` alone.
        if let Some(spec) = &mut pod.spec {
            spec.ephemeral_containers = None;
        }
    }
    let metadata = object.metadata_mut();
    if let Some(annotations) = &mut metadata.annotations {
        annotations.retain(|key, _| !key.starts_with("podlet.dev/"));
    }
    metadata.annotations.take_if(|annotations| annotations.is_empty());
    metadata.labels.take_if(|labels| labels.is_empty());
}

/// Whether nothing but cpu and memory differs.
fn is_resize(new: &Object, old: Option<&Object>) -> bool {
    let (Object::Pod(new), Some(Object::Pod(old))) = (new, old) else { return false };
    compare(&update::with_resources_of(old, new), new) == Change::None
}

/// The API server's words for that.
fn not_a_resize() -> FieldError {
    FieldError::forbidden(&"spec", "only cpu and memory resources are mutable")
}

fn without_comments(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

/// Without the lines of the header, which is written anew.
fn without_header(text: &str) -> String {
    let lines = text.lines().skip_while(|line| line.starts_with('#') || line.trim().is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

/// A new file of a name that nobody can guess, the caller's alone.
fn temporary(ending: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
    use std::hash::{BuildHasher, Hasher};
    const TRIES: u32 = 100;
    let directory = std::env::temp_dir();
    for _ in 0..TRIES {
        // Each RandomState has keys of its own, made from the system's random numbers.
        let number = std::collections::hash_map::RandomState::new().build_hasher().finish();
        let path = directory.join(format!("podlet-edit-{number:016x}.{ending}"));
        match std::fs::File::options().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                file.write_all(bytes)
                    .map_err(|error| Failure::Error(format!("could not write {}: {error}", path.display())))?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::Error(format!("could not make {}: {error}", path.display()))),
        }
    }
    Err(Failure::Error(format!("could not make a file in {}", directory.display())))
}

/// The editor may be words of a shell, as for git and kubectl.
fn open_editor(path: &Path) -> Result<(), Failure> {
    let named = |name: &str| std::env::var(name).ok().filter(|editor| !editor.trim().is_empty());
    let editor = named("KUBE_EDITOR").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let status = Command::new("/bin/sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(path).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) if status.code() == Some(127) => {
            Err(Failure::Error(format!("unable to launch the editor {editor:?}; set KUBE_EDITOR or EDITOR")))
        }
        Ok(_) => Err(Failure::Error(format!("there was a problem with the editor {editor:?}"))),
        Err(error) => Err(Failure::Error(format!("unable to launch the editor {editor:?}: {error}"))),
    }
}
