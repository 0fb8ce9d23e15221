//! `podlet delete`: ends pods and removes objects.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::ending::Way;
use super::everywhere::Everywhere;
use super::resource::{self, Kind, Wanted};
use super::select::Selector;
use super::{Caller, Failure, ask, duration, ending, stored};
use crate::supervisor::kept::Claim;

/// The words of `delete`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet delete pod web                    SIGTERM, SIGKILL; waits
  podlet delete -f pod.yaml                what a file names
  podlet delete pods --all
  podlet delete pod web --now              with one second of grace
  podlet delete pod web --force --grace-period=0     at once")]
pub struct Words {
    /// TYPE NAME … or TYPE/NAME ….
    #[arg(value_name = "TYPE[/NAME]")]
    pub resources: Vec<String>,
    /// The objects of these manifests.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub filenames: Vec<PathBuf>,
    /// All of the type.
    #[arg(long)]
    pub all: bool,
    /// In every namespace; with --all or a selector.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Those with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Seconds between SIGTERM and SIGKILL; the pod's own when absent or negative.
    #[arg(long, value_name = "SECONDS", default_value_t = -1, allow_negative_numbers = true)]
    pub grace_period: i64,
    /// At once, without waiting for the processes to end by themselves.
    #[arg(long)]
    pub force: bool,
    /// With one second of grace.
    #[arg(long)]
    pub now: bool,
    /// Comes back when the pods are gone; --wait=false at once.
    #[arg(
        long,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub wait: bool,
    /// How long to wait; 0 for ever.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
    /// An object that is not there is no error.
    #[arg(long)]
    pub ignore_not_found: bool,
    /// Changes nothing, prints what would be done: client or server.
    #[arg(long, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: Option<String>,
    /// name prints names only.
    #[arg(short, long, value_name = "name")]
    pub output: Option<String>,
}

/// Deletes.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let way = way(words)?;
    let dry_run = dry_run(words)?;
    let (objects, missing) = chosen(words, everywhere, caller)?;
    if words.force && words.wait {
        caller.notice(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The \
             resource may continue to run on the cluster indefinitely.",
        );
    }
    let mut claims = Vec::new();
    for (kind, namespace, name) in &objects {
        if dry_run.is_empty() {
            claims.extend(delete(*kind, namespace, name, way, caller)?);
        }
        let operation = if words.force { "force deleted" } else { "deleted" };
        match words.output.as_deref() {
            Some("name") => caller.print(&format!("{}/{name}\n", kind.singular()))?,
            _ => caller
                .print(&format!("{} {name:?} {operation} from {namespace} namespace{dry_run}\n", kind.singular()))?,
        }
        caller.out.flush()?;
    }
    if words.wait {
        let deadline = words.timeout.filter(|t| !t.is_zero()).and_then(|t| Instant::now().checked_add(t));
        for claim in &claims {
            if !ending::wait_gone(&caller.paths, claim, deadline)? {
                return Err(Failure::Error(format!("timed out waiting for the condition on pods/{}", claim.name)));
            }
        }
    }
    if missing.is_empty() {
        return Ok(0);
    }
    for failure in missing {
        caller.notice(&failure.text().unwrap_or_default());
    }
    Err(Failure::Told)
}

/// kubectl's rules of how the three flags go together.
fn way(words: &Words) -> Result<Way, Failure> {
    let mut grace = words.grace_period;
    if words.now {
        if grace >= 0 {
            return Err(Failure::error("--now and --grace-period cannot be specified together"));
        }
        grace = 1;
    }
    if words.force && grace > 0 {
        return Err(Failure::error("--force and --grace-period greater than 0 cannot be specified together"));
    }
    if words.force {
        grace = 0;
    } else if grace == 0 {
        // Without --force nobody loses data by a grace period of zero.
        grace = 1;
    }
    Ok(Way { grace_seconds: (grace >= 0).then_some(grace), force: words.force })
}

fn dry_run(words: &Words) -> Result<&'static str, Failure> {
    match words.dry_run.as_deref().unwrap_or("none") {
        "none" => Ok(""),
        "client" => Ok(" (dry run)"),
        "server" => Ok(" (server dry run)"),
        other => Err(Failure::Error(format!(
            "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
        ))),
    }
}

type Chosen = (Kind, String, String);

/// What is meant, and what of it is not there.
fn chosen(
    words: &Words,
    everywhere: &Everywhere,
    caller: &mut Caller<'_>,
) -> Result<(Vec<Chosen>, Vec<Failure>), Failure> {
    let namespace = everywhere.namespace().to_owned();
    let (mut objects, mut missing) = (Vec::new(), Vec::new());
    let wanted = if words.filenames.is_empty() {
        if words.resources.is_empty() {
            return Err(Failure::error(
                "You must provide one or more resources by argument or filename.\nExample resource specifications \
                 include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'",
            ));
        }
        match resource::parse(&words.resources, "delete")? {
            Wanted::Named(_) if words.all || words.selector.is_some() => {
                return Err(Failure::error("name cannot be provided when a selector is specified"));
            }
            Wanted::Named(_) if words.all_namespaces => {
                return Err(Failure::error("a resource cannot be retrieved by name across all namespaces"));
            }
            Wanted::All(_) if !words.all && words.selector.is_none() => {
                return Err(Failure::error("resource(s) were provided, but no name was specified"));
            }
            Wanted::All(kinds) => {
                for kind in kinds {
                    let selector = Selector::parse(kind, words.selector.as_deref(), None)?;
                    let within = (!words.all_namespaces).then_some(namespace.as_str());
                    let found = ask::list(&caller.paths, kind, within, &selector)?;
                    objects.extend(found.iter().map(|o| (kind, o.namespace().to_owned(), o.name().to_owned())));
                }
                if objects.is_empty() {
                    caller.print("No resources found\n")?;
                }
                return Ok((objects, missing));
            }
            Wanted::Named(names) => names.into_iter().map(|(kind, name)| (kind, namespace.clone(), name)).collect(),
        }
    } else {
        super::files::names(&words.filenames, everywhere, caller)?
    };
    for (kind, namespace, name) in wanted {
        if ask::find(&caller.paths, kind, &namespace, &name)?.is_some() {
            objects.push((kind, namespace, name));
        } else if !words.ignore_not_found {
            missing.push(Failure::not_found(kind.plural(), &name));
        }
    }
    Ok((objects, missing))
}

/// Deletes one; answers the pod that is to be waited for.
fn delete(
    kind: Kind,
    namespace: &str,
    name: &str,
    way: Way,
    caller: &mut Caller<'_>,
) -> Result<Option<Claim>, Failure> {
    match kind {
        Kind::ConfigMap | Kind::Secret => {
            stored::remove(&caller.paths, kind, namespace, name)?;
            for line in stored::tell_pods(&caller.paths, kind, namespace, name) {
                caller.notice(&format!("Note: {line}"));
            }
            Ok(None)
        }
        Kind::Event => Err(Failure::error("events are kept with their pod and go with it")),
        Kind::Pod => {
            let Some(claim) = ask::find_claim(&caller.paths, namespace, name)? else { return Ok(None) };
            ending::ask(&caller.paths, &claim, way)?;
            Ok(Some(claim))
        }
    }
}
