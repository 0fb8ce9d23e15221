//! `podlet describe`: one object in detail with its events, in kubectl's layout. Below that, of a pod with a dead container, stands
//! why it is dead.

use clap::Args;

use super::ask::{self, Object, Typed};
use super::everywhere::Everywhere;
use super::files::{self, Filenames};
use super::print::describe;
use super::resource::{self, Kind, Wanted};
use super::select::{self, Selector};
use super::{Caller, Failure, why};
use crate::supervisor::is_asleep;

/// The words of `describe`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet describe pod web           its containers, conditions, volumes, events
  podlet describe pods -l app=web   several by label
  podlet describe configmap conf")]
pub struct Words {
    /// TYPE [NAME …] or TYPE/NAME …; a beginning of a name means all that begin with it.
    #[arg(value_name = "TYPE[/NAME]")]
    pub resources: Vec<String>,
    /// Which, by their manifests.
    #[command(flatten)]
    pub filenames: Filenames,
    /// Only objects with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// With the events at the end; without when there are several objects, unless it is said.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "TRUTH")]
    pub show_events: Option<bool>,
}

/// Describes.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let namespace = if words.all_namespaces { None } else { Some(everywhere.namespace()) };
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    if !words.filenames.is_empty() {
        if !words.resources.is_empty() {
            return Err(Failure::error(
                "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
            ));
        }
        for (kind, namespace, name) in files::names(&words.filenames, everywhere, caller)? {
            match ask::find(&caller.paths, kind, &namespace, &name)? {
                Some(object) => found.push(object),
                None => missing.push((kind, name)),
            }
        }
        return print(words, &found, missing, "", caller);
    }
    let wanted = resource::parse(&words.resources, "describe")?;
    match &wanted {
        Wanted::Named(_) if words.selector.is_some() => {
            return Err(Failure::error("name cannot be provided when a selector is specified"));
        }
        Wanted::Named(names) => {
            for (kind, name) in names {
                match ask::find(&caller.paths, *kind, everywhere.namespace(), name)? {
                    Some(object) => found.push(object),
                    None => missing.push((*kind, name.clone())),
                }
            }
        }
        Wanted::All(kinds) => {
            for kind in kinds {
                let selector = Selector::parse(*kind, words.selector.as_deref(), None)?;
                found.extend(ask::list(&caller.paths, *kind, namespace, &selector)?);
            }
            if found.is_empty() {
                caller.notice(&select::nothing(namespace));
            }
        }
    }
    let mut end = "";
    // `describe pod we` describes all pods whose names begin so, when none is called just that.
    if let ([(kind, beginning)], true) = (missing.as_slice(), words.resources.len() == 2) {
        let mut objects = ask::list(&caller.paths, *kind, namespace, &Selector::default())?;
        objects.retain(|object| object.name().starts_with(beginning.as_str()));
        if !objects.is_empty() {
            (found, end) = (objects, "\n");
            missing.clear();
        }
    }
    print(words, &found, missing, end, caller)
}

/// Prints what was found, and what of it is not there.
fn print(
    words: &Words,
    found: &[Object],
    missing: Vec<(Kind, String)>,
    end: &str,
    caller: &mut Caller<'_>,
) -> Result<u8, Failure> {
    let with_events = words.show_events.unwrap_or(found.len() == 1 && missing.is_empty() && end.is_empty());
    let texts: Vec<String> = found.iter().map(|object| text(object, with_events, caller) + end).collect();
    // kubectl leaves two lines between descriptions, one after each that it found by its beginning.
    caller.print(&texts.join(if end.is_empty() { "\n\n" } else { "" }))?;
    if missing.is_empty() {
        return Ok(0);
    }
    caller.out.flush()?;
    for (kind, name) in missing {
        caller.notice(&Failure::not_found(kind.plural(), &name).text().unwrap_or_default());
    }
    Err(Failure::Told)
}

fn text(object: &Object, events: bool, caller: &Caller<'_>) -> String {
    match &object.typed {
        Typed::Pod(seen) => {
            let mut pod = seen.pod.clone();
            // Said here alone: it is nothing of the pod's, and may be otherwise at the next look.
            if pod.metadata.uid.as_deref().is_some_and(|uid| is_asleep(&caller.paths, uid)) {
                let annotations = pod.metadata.annotations.get_or_insert_default();
                annotations.insert("podlet.dev/supervisor".to_owned(), "asleep until something happens".to_owned());
            }
            let mut text = describe::pod(&pod, events.then_some(&seen.events), caller.now());
            text.extend(why::of_the_dead(seen, caller));
            text
        }
        Typed::ConfigMap(map) => describe::config_map(map, events),
        Typed::Secret(secret) => describe::secret(secret),
        Typed::Event(event) => describe::event(event),
    }
}
