//! `podlet apply`: reads manifests, stores ConfigMaps and Secrets, sets pods going, and returns. All files are validated
//! before anything is started.

pub mod change;
pub mod pod;
mod rehearsal;
mod together;
pub mod wait;

use clap::Args;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::choices::{ChoiceWords, choices};
use super::dry_run::DryRun;
use super::everywhere::Everywhere;
use super::files::FileWords;
use super::notices::Notices;
use super::print::wire;
use super::resource::Kind;
use super::revision;
use super::{Caller, Failure, check_output, config, duration, print, require, stored};
use crate::linux::privilege::Work;
use crate::manifest::field::FieldError;
use crate::manifest::{Object, update};
use crate::supervisor::kept::Claim;
use crate::supervisor::launch::Choices;
use together::Launches;

/// The words of `apply`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet apply pod.yaml                    set the pod going
  podlet apply -f manifests/ --wait        all of a directory; come back when everything is ready or cannot be
  cat pod.yaml | podlet apply -            from standard input
  podlet apply pod.yaml --replace          end the pod of that name first
  podlet apply pod.yaml --dry-run=server -o yaml    the object with its defaults, or what is wrong with it

Exit code: 0; 1 for an error; with --wait the pod's: 0 when ready or succeeded, else the code of the first container
that failed, 1 when it never started, 130 after Ctrl-C.")]
pub struct Words {
    /// Which manifests.
    #[command(flatten)]
    pub files: FileWords,
    /// Prints the objects: json, yaml or name.
    #[arg(short, long, value_name = "json|name|yaml")]
    pub output: Option<String>,
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

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created,
    /// It was there and has been changed.
    Configured,
    /// It was there and is the same.
    Unchanged,
    /// The one that was there was ended for it.
    Replaced,
    /// It was there, but did not run: its machine had been started anew.
    Restarted,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Created => "created",
            Outcome::Configured => "configured",
            Outcome::Unchanged => "unchanged",
            Outcome::Replaced => "replaced",
            Outcome::Restarted => "started again",
        }
    }
}

/// A pod that was applied.
#[derive(Clone, Debug)]
pub struct Applied {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// The uid of the pod of that name now.
    pub uid: String,
}

impl Applied {
    /// As what ends it knows it.
    pub fn claim(&self) -> Claim {
        Claim { namespace: self.namespace.clone(), name: self.name.clone(), uid: self.uid.clone() }
    }
}

/// Applies.
pub fn run(words: Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = words.output.as_deref().unwrap_or_default();
    check_output(output, &["json", "name", "yaml"])?;
    let dry_run = DryRun::parse(words.dry_run.as_deref())?;
    if dry_run == DryRun::Server {
        let loaded = words.files.judge(everywhere, output, caller)?;
        return rehearsal::on_the_server(&loaded.objects, words.replace, output, caller);
    }
    let loaded = words.files.load(everywhere, output == "json", caller)?;
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
    output: &str,
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
                "" => caller.print(&format!("{full_name} {}\n", outcome.word()))?,
                "name" => caller.print(&format!("{full_name}\n"))?,
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

/// Stores a ConfigMap or Secret that is applied; see [`keep_as_it_is`].
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
    keep_as_it_is(&object, replace, caller)
}

/// Stores a ConfigMap or Secret; answers what became of it, and it as it is now.
pub fn keep_as_it_is(
    object: &Object,
    replace: bool,
    caller: &mut Caller<'_>,
) -> Result<Option<(Outcome, serde_json::Value)>, Failure> {
    Ok(match object {
        Object::ConfigMap(map) => {
            let mut map = (**map).clone();
            let outcome =
                store(Kind::ConfigMap, &mut map, |map| &mut map.metadata, update::config_map, replace, caller)?;
            Some((outcome, wire::config_map(&map)))
        }
        Object::Secret(secret) => {
            let mut secret = (**secret).clone();
            let outcome =
                store(Kind::Secret, &mut secret, |secret| &mut secret.metadata, update::secret, replace, caller)?;
            Some((outcome, wire::secret(&secret)))
        }
        Object::Pod(_) => None,
    })
}

/// One object as it is, several as a List.
fn show(mut values: Vec<serde_json::Value>, output: &str, caller: &mut Caller<'_>) -> Result<(), Failure> {
    if values.is_empty() {
        return Ok(());
    }
    let value = if values.len() == 1 { values.swap_remove(0) } else { wire::list(values) };
    match output {
        "json" => print::json(&value, caller.out)?,
        "yaml" => print::yaml(&value, caller.out)?,
        _ => {}
    }
    Ok(())
}

/// Whether two objects are the same but for what podlet itself writes into metadata.
fn same_object(old: &impl Serialize, new: &impl Serialize) -> bool {
    let plain = |object: serde_json::Result<serde_json::Value>| {
        let mut object = object.ok()?;
        let metadata = object.get_mut("metadata")?.as_object_mut()?;
        for own in ["uid", "creationTimestamp", "resourceVersion"] {
            metadata.remove(own);
        }
        Some(object)
    };
    plain(serde_json::to_value(old)) == plain(serde_json::to_value(new))
}

fn store<T: Serialize + DeserializeOwned>(
    kind: Kind,
    object: &mut T,
    metadata: impl Fn(&mut T) -> &mut ObjectMeta,
    refusal: impl Fn(&T, &T) -> Vec<FieldError>,
    replace: bool,
    caller: &mut Caller<'_>,
) -> Result<Outcome, Failure> {
    let of_new = metadata(object);
    let name = of_new.name.clone().unwrap_or_default();
    let namespace = of_new.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let old: Option<T> = stored::find(&caller.paths, kind, &namespace, &name)?;
    let outcome = match &old {
        None => Outcome::Created,
        Some(old) if same_object(old, object) => Outcome::Unchanged,
        Some(old) => match refusal(object, old) {
            errors if errors.is_empty() => Outcome::Configured,
            _ if replace => Outcome::Replaced,
            errors => {
                let invalid = change::invalid(kind.name(), &name, &errors);
                let text = format!("{invalid}\nTo put the new one in its place: podlet apply --replace");
                return Err(Failure::Text(text));
            }
        },
    };
    match old {
        Some(mut old) if outcome != Outcome::Replaced => {
            let of_old = metadata(&mut old).clone();
            let of_new = metadata(object);
            (of_new.creation_timestamp, of_new.uid) = (of_old.creation_timestamp, of_old.uid);
        }
        _ => {
            // To the second, as the API server has it.
            let now = jiff::Timestamp::from_second(caller.now().as_second()).unwrap_or_default();
            metadata(object).creation_timestamp = Some(Time(now));
            metadata(object).uid = Some(new_uid()?);
        }
    }
    if outcome == Outcome::Unchanged {
        return Ok(outcome);
    }
    stored::store(&caller.paths, kind, &namespace, &name, object)?;
    for line in stored::tell_pods(&caller.paths, kind, &namespace, &name) {
        caller.notice(&format!("Note: {line}"));
    }
    Ok(outcome)
}

/// The kernel makes random UUIDs.
fn new_uid() -> Result<String, Failure> {
    let path = "/proc/sys/kernel/random/uuid";
    let uid =
        std::fs::read_to_string(path).map_err(|error| Failure::Error(format!("could not read {path}: {error}")))?;
    Ok(uid.trim().to_owned())
}
