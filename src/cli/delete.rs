//! `podlet delete`: ends pods and removes objects.

use std::time::{Duration, Instant};

use clap::Args;

use super::dry_run::DryRun;
use super::ending::Way;
use super::everywhere::Everywhere;
use super::resource::Kind;
use super::targets::{Target, TargetWords, Targets};
use super::{Caller, Failure, ask, duration, ending, raw, stored};
use crate::supervisor::kept::Claim;

/// The words of `delete`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet delete pod web                    SIGTERM, SIGKILL; waits
  podlet delete -f pod.yaml                what a file names
  podlet delete pods --all
  podlet delete pods -l app=web -i         asks first
  podlet delete pod web --now              with one second of grace
  podlet delete pod web --force --grace-period=0     at once")]
pub struct Words {
    /// What is deleted.
    #[command(flatten)]
    pub targets: TargetWords,
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
    /// Asks before anything is deleted.
    #[arg(short, long)]
    pub interactive: bool,
    /// Deletes what is at this path of the API, and prints what an API server answers; options may come with -f.
    #[arg(long, value_name = "PATH")]
    pub raw: Option<String>,
    /// name prints names only.
    #[arg(short, long, value_name = "name")]
    pub output: Option<String>,
}

/// Deletes.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let way = way(words)?;
    let dry_run = DryRun::parse(words.dry_run.as_deref())?;
    if let Some(path) = words.raw.as_deref().filter(|path| !path.is_empty()) {
        return by_path(path, words, caller);
    }
    let (objects, missing) = chosen(words, everywhere, caller)?;
    if words.interactive && missing.is_empty() && !objects.is_empty() && !is_confirmed(&objects, caller)? {
        caller.print("deletion is cancelled\n")?;
        return Ok(0);
    }
    if words.force && words.wait {
        caller.notice(
            "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The \
             resource may continue to run on the cluster indefinitely.",
        );
    }
    let mut claims = Vec::new();
    for Target { kind, namespace, name } in &objects {
        if dry_run == DryRun::None {
            claims.extend(object(*kind, namespace, name, way, caller)?);
        }
        let operation = if words.force { "force deleted" } else { "deleted" };
        match words.output.as_deref() {
            Some("name") => caller.print(&format!("{}/{name}\n", kind.singular()))?,
            _ => {
                let note = dry_run.note();
                let kind = kind.singular();
                caller.print(&format!("{kind} {name:?} {operation} from {namespace} namespace{note}\n"))?;
            }
        }
        caller.out.flush()?;
    }
    if words.wait {
        let deadline = words.timeout.filter(|t| !t.is_zero()).and_then(|t| Instant::now().checked_add(t));
        for claim in &claims {
            if !ending::wait_gone(claim, deadline, caller)? {
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

fn by_path(path: &str, words: &Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let filenames = &words.targets.selection.filenames;
    if words.interactive {
        return Err(Failure::error("--interactive can not be used with --raw"));
    }
    let body = if filenames.is_empty() { None } else { Some(filenames.only()?) };
    if words.output.as_deref().is_some_and(|output| !output.is_empty()) {
        return Err(Failure::error("--raw and --output are mutually exclusive"));
    }
    raw::delete(path, body, caller)
}

/// Asks as kubectl does; whatever is no y is a no.
fn is_confirmed(objects: &[Target], caller: &mut Caller<'_>) -> Result<bool, Failure> {
    let mut text = format!("You are about to delete the following {} resource(s):\n", objects.len());
    for Target { kind, name, .. } in objects {
        text.push_str(&format!("{}/{name}\n", kind.singular()));
    }
    text.push_str("Do you want to continue? (y/N): ");
    caller.print(&text)?;
    caller.out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
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

/// What is meant, and what of it is not there.
fn chosen(
    words: &Words,
    everywhere: &Everywhere,
    caller: &mut Caller<'_>,
) -> Result<(Vec<Target>, Vec<Failure>), Failure> {
    let named = match words.targets.find("delete", everywhere, caller)? {
        Targets::Named(named) => named,
        Targets::Found(found) => {
            if found.is_empty() {
                caller.print("No resources found\n")?;
            }
            return Ok((found, Vec::new()));
        }
    };
    let (mut objects, mut missing) = (Vec::new(), Vec::new());
    for target in named {
        if ask::find(&caller.paths, target.kind, &target.namespace, &target.name)?.is_some() {
            objects.push(target);
        } else if !words.ignore_not_found {
            missing.push(Failure::not_found(target.kind.plural(), &target.name));
        }
    }
    Ok((objects, missing))
}

/// Deletes one; answers the pod that is to be waited for.
pub fn object(
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
