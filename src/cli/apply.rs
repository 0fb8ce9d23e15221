//! `podlet apply`: reads manifests, stores ConfigMaps and Secrets, sets pods going, and returns. All files are validated
//! before anything is started.

pub mod change;
pub mod object;
mod outcome;
pub mod pod;
mod rehearsal;
mod together;
pub mod wait;

use clap::Args;

use super::choices::{ChoiceWords, choices};
use super::dry_run::DryRun;
use super::everywhere::Everywhere;
use super::files::{self, FileWords};
use super::notices::Notices;
use super::output::{Output, TemplateWords};
use super::print::wire;
use super::revision;
use super::{Caller, Failure, config, duration, require};
use crate::linux::privilege::Work;
use crate::manifest::Object;
use crate::supervisor::orders::Choices;
pub use outcome::{Applied, Outcome};
use together::Launches;

/// The words of `apply`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet apply pod.yaml              set the pod going
  podlet apply -f manifests/ --wait  all of a directory; come back when
                                     everything is ready or cannot be
  cat pod.yaml | podlet apply -      from standard input
  podlet apply pod.yaml --replace    end the pod of that name first
  podlet apply pod.yaml --dry-run=server -o yaml
                                     the object with its defaults, or what is
                                     wrong with it

Exit code: 0; 1 for an error; with --wait the pod's: 0 when ready or succeeded, else the code of the first container \
that failed, 1 when it never started, 130 after Ctrl-C.")]
pub struct Words {
    /// Which manifests.
    #[command(flatten)]
    pub files: FileWords,
    /// Only documents with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Prints the objects: json, yaml, name, jsonpath=TEMPLATE.
    #[arg(short, long, value_name = "json|kyaml|name|yaml")]
    pub output: Option<String>,
    /// And the template.
    #[command(flatten)]
    pub template: TemplateWords,
    /// Changes nothing: client prints what would be done; server also defaults and validates as the API server does.
    #[arg(long, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: Option<String>,
    /// Comes back when the pods are ready, or with the reason why they never will be.
    #[arg(long)]
    pub wait: bool,
    /// How long --wait waits; 0 for ever.
    #[arg(long, value_name = "DURATION", requires = "wait", value_parser = duration::parse)]
    pub timeout: Option<std::time::Duration>,
    /// Ends a pod whose change cannot be made in place, and sets the new one going.
    #[arg(long)]
    pub replace: bool,
    /// Prints each step of the start as it ran, with its result and duration.
    #[arg(long)]
    pub trace: bool,
    /// For the pod's whole life.
    #[command(flatten)]
    pub choices: ChoiceWords,
}

/// Applies.
pub fn run(words: Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = &Output::of_change(words.output.as_deref(), &words.template)?;
    let selector = words.selector.as_deref();
    let dry_run = DryRun::parse(words.dry_run.as_deref())?;
    if dry_run == DryRun::Server {
        let mut loaded = words.files.judge(everywhere, output, caller)?;
        files::retain(&mut loaded.objects, |object| object, selector, "apply")?;
        return rehearsal::on_the_server(&loaded.objects, words.replace, output, caller);
    }
    let mut loaded = words.files.load(everywhere, *output == Output::Json, caller)?;
    files::retain(&mut loaded.objects, |object| object, selector, "apply")?;
    if dry_run == DryRun::Client {
        return rehearsal::on_the_client(&loaded.objects, output, caller);
    }
    let config = config::load(words.files.seccomp_default(), everywhere, caller)?;
    let choices = choices(&words.choices, &config, words.trace, everywhere);
    let interrupt = if words.wait { Some(wait::interruptible()?) } else { None };
    let mut notices = Notices::default();
    let pods = all(&loaded.objects, words.replace, &choices, output, &mut notices, caller)?;
    caller.out.flush()?;
    if words.trace {
        pod::print_trace(&pods, caller)?;
    }
    match interrupt {
        Some(interrupt) => wait::until_ready(&pods, words.timeout, &interrupt, &mut notices, caller),
        None => Ok(0),
    }
}

/// Applies all objects in their order, says what became of each, and answers the pods among them.
pub fn all(
    objects: &[Object],
    replace: bool,
    choices: &Choices,
    output: &Output,
    notices: &mut Notices,
    caller: &mut Caller<'_>,
) -> Result<Vec<Applied>, Failure> {
    let pods = objects.iter().any(|object| matches!(object, Object::Pod(_)));
    require(if pods { Work::Pods } else { Work::Objects }, caller)?;
    let mut pods = Vec::new();
    let mut shown = Vec::new();
    // Before the pods, wherever they stand: a pod that uses them would find them missing and try again only later.
    let mut stored = Vec::new();
    for object in objects {
        stored.push(keep(object, replace, caller)?);
    }
    let paths = caller.paths.clone();
    std::thread::scope(|scope| {
        let mut launches = Launches::begin(scope, objects, choices, &paths);
        for (object, stored) in objects.iter().zip(stored) {
            let (outcome, value) = match (object, stored) {
                (_, Some(stored)) => stored,
                (Object::ConfigMap(_) | Object::Secret(_), None) => continue,
                (Object::Pod(pod), None) => {
                    let applied = pod::apply(pod, launches.next(), replace, choices, caller);
                    let (outcome, published) = applied.inspect_err(|_| {
                        // Nothing that was done is left unsaid.
                        for name in launches.finish() {
                            caller.notice(&format!("pod/{name} created"));
                        }
                    })?;
                    let text = |field: &Option<String>| field.clone().unwrap_or_default();
                    let metadata = &published.metadata;
                    let (name, namespace, uid) = (text(&metadata.name), text(&metadata.namespace), text(&metadata.uid));
                    match outcome {
                        // It was told when the pod was made.
                        Outcome::Unchanged => drop(notices.new_ones(&published)),
                        _ => notices.tell(&published, caller),
                    }
                    pods.push(Applied { name, namespace, uid });
                    (outcome, wire::pod(&published))
                }
            };
            let name = object.metadata().name.as_deref().unwrap_or_default();
            let full_name = format!("{}/{name}", object.kind().to_lowercase());
            match output {
                Output::Table => caller.print(&format!("{full_name} {}\n", outcome.word()))?,
                Output::Name => caller.print(&format!("{full_name}\n"))?,
                _ => shown.push(value),
            }
            // Each line is there as soon as it is so.
            caller.out.flush()?;
        }
        Ok::<(), Failure>(())
    })?;
    show(shown, output, caller)?;
    Ok(pods)
}

/// Stores a ConfigMap or Secret that is applied; see [`object::keep_as_it_is`].
pub fn keep(
    object: &Object,
    replace: bool,
    caller: &mut Caller<'_>,
) -> Result<Option<(Outcome, serde_json::Value)>, Failure> {
    if let Object::Pod(_) = object {
        return Ok(None);
    }
    let mut object = object.clone();
    if let Some(old) = revision::read(&caller.paths, &revision::target(&object))? {
        change::keep_marks(object.metadata_mut(), old.metadata());
    }
    object::keep_as_it_is(&object, replace, caller)
}

/// One object as it is, several as a List.
fn show(mut values: Vec<serde_json::Value>, output: &Output, caller: &mut Caller<'_>) -> Result<(), Failure> {
    if values.is_empty() {
        return Ok(());
    }
    let value = if values.len() == 1 { values.swap_remove(0) } else { wire::list(values) };
    output.print_change(&value, "", caller)
}
