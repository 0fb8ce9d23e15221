//! `podlet replace`: objects of manifests that must be there already; and how verbs make those that must not. kubectl's texts.

use std::time::{Duration, Instant};

use clap::Args;

use super::apply::Outcome;
use super::choices::{ChoiceWords, choices};
use super::dry_run::{ChangeWords, DryRun};
use super::ending::{self, Way};
use super::everywhere::Everywhere;
use super::files::Filenames;
use super::output::Output;
use super::print::wire;
use super::resource::Kind;
use super::revision::{self, Refused};
use super::subresource::{self, Part};
use super::targets::Target;
use super::{Caller, Failure, apply, ask, config, delete, duration, files, raw, require};
use crate::linux::privilege::Work;
use crate::manifest::Object;
use crate::supervisor::launch::{self, LaunchError};
use crate::supervisor::orders::Choices;

/// The words of `replace`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet replace -f pod.yaml          the object is there and becomes this one
  podlet get pod web -o yaml | sed 's/:1$/:2/' | podlet replace -f -
  podlet replace --force -f pod.yaml  ended and made anew
  podlet replace --subresource=resize -f pod.yaml
                                      only cpu and memory

Without --force only what may change on a live pod can change. podlet apply --replace does the same with less ceremony.")]
pub struct Replace {
    /// Manifests: files, directories, or - for standard input.
    #[command(flatten)]
    pub filenames: Filenames,
    /// Deletes the object and makes it anew; it need not be there.
    #[arg(long)]
    pub force: bool,
    /// Seconds between SIGTERM and SIGKILL, with --force; the pod's own when absent or negative.
    #[arg(long, value_name = "SECONDS", default_value_t = -1, allow_negative_numbers = true)]
    pub grace_period: i64,
    /// How long to wait for the old one's end, with --force; 0 for ever.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
    /// Takes of the manifest what this part of a pod has: resize, resources of containers. All else stays as it is.
    #[arg(long, value_name = "resize")]
    pub subresource: Option<String>,
    /// Puts the JSON of the one file to this path of the API, and prints what an API server answers.
    #[arg(long, value_name = "PATH")]
    pub raw: Option<String>,
    /// How far, and what is printed of it.
    #[command(flatten)]
    pub change: ChangeWords,
}

/// Replaces.
pub fn replace(words: &Replace, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let (dry_run, output) = words.change.read()?;
    if words.filenames.is_empty() {
        return Err(Failure::error("must specify one of -f and -k"));
    }
    if words.grace_period >= 0 && !words.force {
        return Err(Failure::error("--grace-period must have --force specified"));
    }
    if words.timeout.is_some_and(|timeout| !timeout.is_zero()) && !words.force {
        return Err(Failure::error("--timeout must have --force specified"));
    }
    if words.force && dry_run != DryRun::None {
        return Err(Failure::error("--dry-run can not be used when --force is set"));
    }
    if let Some(path) = words.raw.as_deref().filter(|path| !path.is_empty()) {
        let source = words.filenames.only()?;
        words.change.not_with_raw()?;
        return raw::put(path, source, caller);
    }
    let part = Part::parse(words.subresource.as_deref())?;
    if words.force && part != Part::Whole {
        return Err(Failure::error("--force makes objects anew, and takes them whole; leave out --subresource"));
    }
    let mut objects = files::load_with_sources(&words.filenames, everywhere, "replace", caller)?;
    if words.force {
        end(words, &objects, caller)?;
        let choices = usual_choices(everywhere, caller)?;
        for (_, object) in &objects {
            make(object, &choices, caller)?;
            show(object, "replaced", &output, caller)?;
        }
        return Ok(0);
    }
    let mut failures = Vec::new();
    for (source, object) in &mut objects {
        if part == Part::Resources {
            match subresource::resized(object, caller) {
                Ok(resized) => *object = resized,
                Err(failure) => {
                    failures.push(within("replacing", source, failure));
                    continue;
                }
            }
        }
        failures.extend(replace_one(source, object, dry_run, &output, caller).err());
    }
    Failure::all(failures).map(|()| 0)
}

fn replace_one(
    source: &str,
    object: &Object,
    dry_run: DryRun,
    output: &Output,
    caller: &mut Caller<'_>,
) -> Result<(), Failure> {
    let target = revision::target(object);
    let sentence = format!("replaced{}", dry_run.note());
    match dry_run {
        DryRun::Client => return output.print_change(&wire::object(object), &sentence, caller),
        DryRun::Server => {
            let missing = || within("replacing", source, Failure::not_found(target.kind.plural(), &target.name));
            let old = revision::read(&caller.paths, &target)?.ok_or_else(missing)?;
            let errors = revision::judge(&old, object);
            if !errors.is_empty() {
                return Err(Refused::Invalid(errors).failure(target.kind, &target.name));
            }
            return output.print_change(&wire::object(object), &sentence, caller);
        }
        DryRun::None => {}
    }
    match revision::put(object, caller) {
        Ok(()) => show(object, "replaced", output, caller),
        Err(Refused::Otherwise(failure)) => Err(within("replacing", source, failure)),
        Err(refused) => Err(refused.failure(target.kind, &target.name)),
    }
}

/// kubectl tells of the server's answers which file they are about, but not of what is invalid.
pub fn within(doing: &str, source: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Server { reason, message } => {
            Failure::Server { reason, message: format!("error when {doing} {source:?}: {message}") }
        }
        other => other,
    }
}

/// Ends what is there, and waits until it is gone.
fn end(words: &Replace, objects: &[(String, Object)], caller: &mut Caller<'_>) -> Result<(), Failure> {
    // kubectl takes a grace of nothing for a second, so that nobody loses data by it.
    let grace = if words.grace_period == 0 { 1 } else { words.grace_period };
    let way = Way { grace_seconds: (grace >= 0).then_some(grace), force: false };
    let deadline = words.timeout.filter(|timeout| !timeout.is_zero()).and_then(|t| Instant::now().checked_add(t));
    let mut claims = Vec::new();
    for (_, object) in objects {
        let Target { kind, namespace, name } = revision::target(object);
        if ask::find(&caller.paths, kind, &namespace, &name)?.is_some() {
            claims.extend(delete::object(kind, &namespace, &name, way, caller)?);
            caller.print(&format!("{} {name:?} deleted from {namespace} namespace\n", kind.singular()))?;
            caller.out.flush()?;
        }
    }
    for claim in &claims {
        if !ending::wait_gone(claim, deadline, caller)? {
            return Err(Failure::error("timed out waiting for the condition"));
        }
    }
    Ok(())
}

/// For pods that a verb makes from its own words.
pub fn usual_choices(everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<Choices, Failure> {
    let config = config::load(None, everywhere, caller)?;
    Ok(choices(&ChoiceWords::default(), &config, false, everywhere))
}

fn exists(kind: Kind, name: &str) -> Failure {
    Failure::Server { reason: "AlreadyExists", message: format!("{} {name:?} already exists", kind.plural()) }
}

/// Refuses an object whose name is taken.
pub fn check_free(object: &Object, caller: &Caller<'_>) -> Result<(), Failure> {
    let Target { kind, namespace, name } = revision::target(object);
    match ask::find(&caller.paths, kind, &namespace, &name)? {
        Some(_) => Err(exists(kind, &name)),
        None => Ok(()),
    }
}

/// Makes an object whose name must be free.
pub fn make(object: &Object, choices: &Choices, caller: &mut Caller<'_>) -> Result<(), Failure> {
    check_free(object, caller)?;
    let Object::Pod(pod) = object else {
        require(Work::Objects, caller)?;
        return match apply::keep(object, false, caller)? {
            Some((Outcome::Created, _)) => Ok(()),
            _ => Err(exists(revision::target(object).kind, object.metadata().name.as_deref().unwrap_or_default())),
        };
    };
    require(Work::Pods, caller)?;
    match launch::launch(&caller.paths, (**pod).clone(), choices) {
        Ok(_) => Ok(()),
        // Another was quicker.
        Err(LaunchError::NameTaken { name, .. }) => Err(exists(Kind::Pod, &name)),
        Err(error) => Err(Failure::Server { reason: "InternalError", message: error.to_string() }),
    }
}

/// Prints what has become of an object, as it is now.
pub fn show(object: &Object, sentence: &str, output: &Output, caller: &mut Caller<'_>) -> Result<(), Failure> {
    let Target { kind, namespace, name } = revision::target(object);
    match ask::find(&caller.paths, kind, &namespace, &name)? {
        Some(live) => output.print_change(live.wire(), sentence, caller),
        // It has gone already.
        None => output.print_change(&wire::object(object), sentence, caller),
    }
}
