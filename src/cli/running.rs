//! `podlet start` and `podlet stop`: pods are set going again that a reboot, or `stop`, has ended; pods are stopped to be set
//! going again. At boot and at shutdown with `--all`, which a machine's init calls (see `install`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;

use super::choices::{self, ChoiceWords};
use super::ending::{self, Asked};
use super::everywhere::Everywhere;
use super::{Caller, Failure, ask, config, duration};
use crate::config::Config;
use crate::paths::Paths;
use crate::supervisor::control::Request;
use crate::supervisor::kept::{self, Claim, Standing};
use crate::supervisor::launch;
use crate::supervisor::orders::Choices;

/// The words of `start`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet start --all  at boot: all pods of before, with their restart counts
  podlet start web    after podlet stop web

What the restart policy does not start again stays as it ended: of a pod with Never, what ran; with OnFailure, \
what ended with 0.")]
pub struct Start {
    /// Which.
    #[command(flatten)]
    pub which: Which,
    /// For podlet's own tests.
    #[command(flatten)]
    pub choices: ChoiceWords,
}

/// The words of `stop`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet stop --all         at shutdown: each pod within its grace, all at once
  podlet stop web           until podlet start web

Pods, their logs and volumes stay (delete removes them). With --all the settings' shutdownGracePeriod, \
shutdownGracePeriodCriticalPods and shutdownGracePeriodByPodPriority hold.")]
pub struct Stop {
    /// Which.
    #[command(flatten)]
    pub which: Which,
    /// Comes back with an error when pods still run after this; 0 never.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
}

/// Which pods.
#[derive(Args, Debug)]
pub struct Which {
    /// POD or pod/POD.
    #[arg(value_name = "POD")]
    pub names: Vec<String>,
    /// All pods: of the namespace with -n, else of all namespaces.
    #[arg(long)]
    pub all: bool,
}

impl Which {
    /// Those that are there.
    pub fn claims(&self, verb: &str, everywhere: &Everywhere, paths: &Paths) -> Result<Vec<Claim>, Failure> {
        match (self.all, self.names.is_empty()) {
            (true, true) => ask::claims(paths, everywhere.namespace.as_deref()),
            (false, false) => ask::named(paths, everywhere.namespace(), &self.names),
            _ => Err(Failure::Error(format!("expected '{verb} POD …' or '{verb} --all'"))),
        }
    }
}

/// `pod/web`, with the namespace when it is not the usual one.
pub fn title(claim: &Claim) -> String {
    match claim.namespace.as_str() {
        "default" => format!("pod/{}", claim.name),
        namespace => format!("pod/{} in namespace {namespace}", claim.name),
    }
}

/// Sets pods going again. One that cannot be is told, and the others go on.
pub fn start(words: &Start, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let claims = words.which.claims("start", everywhere, &caller.paths)?;
    let config = config::load(None, everywhere, caller)?;
    let choices = choices::choices(&words.choices, &config, false, everywhere);
    let mut failed = false;
    for claim in claims {
        let outcome = start_one(&claim, &choices, &caller.paths);
        failed |= outcome.is_err();
        match outcome {
            Ok(Some(word)) => caller.print(&format!("{} {word}\n", title(&claim)))?,
            Ok(None) if words.which.all => {}
            Ok(None) => caller.print(&format!("{} unchanged\n", title(&claim)))?,
            Err(text) => caller.notice(&format!("error: {}: {text}", title(&claim))),
        }
        caller.out.flush()?;
    }
    if failed { Err(Failure::Told) } else { Ok(0) }
}

/// What became of it; nothing when it runs, or is over.
fn start_one(claim: &Claim, choices: &Choices, paths: &Paths) -> Result<Option<&'static str>, String> {
    let Some(seen) = kept::see(paths, &claim.uid).map_err(|error| error.to_string())? else { return Ok(None) };
    match seen.standing {
        Standing::Live | Standing::Ended => return Ok(None),
        Standing::Stopped | Standing::Rebooted | Standing::Unattended => {}
    }
    match launch::relaunch(paths, &claim.uid, choices) {
        Ok(_) => Ok(Some("started")),
        Err(error) => match kept::find(paths, &claim.namespace, &claim.name) {
            // It was being deleted when the machine went down, and has been now.
            Ok(uid) if uid.as_deref() != Some(claim.uid.as_str()) => Ok(Some("deleted")),
            _ => Err(error.to_string()),
        },
    }
}

/// Stops pods: one group after another, those of a group at once.
pub fn stop(words: &Stop, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let claims = words.which.claims("stop", everywhere, &caller.paths)?;
    let deadline = words.timeout.filter(|t| !t.is_zero()).and_then(|t| Instant::now().checked_add(t));
    let config = if words.which.all { settings(everywhere, caller) } else { Config::default() };
    let mut failed = false;
    for (most_seconds, claims) in groups(claims, &config, &caller.paths) {
        let mut asked = Vec::new();
        for claim in claims {
            match ask_to_stop(&claim, most_seconds, &caller.paths) {
                Ok(true) => asked.push(claim),
                Ok(false) if words.which.all => {}
                Ok(false) => caller.print(&format!("{} unchanged\n", title(&claim)))?,
                Err(text) => {
                    failed = true;
                    caller.notice(&format!("error: {}: {text}", title(&claim)));
                }
            }
        }
        for claim in asked {
            if ending::wait_still(&claim, deadline, caller)?.is_some() {
                caller.print(&format!("{} stopped\n", title(&claim)))?;
                caller.out.flush()?;
            } else {
                failed = true;
                caller.notice(&format!("error: {} still runs; it goes on being stopped", title(&claim)));
            }
        }
    }
    if failed { Err(Failure::Told) } else { Ok(0) }
}

/// No fault in the settings may keep a machine from going down in order: without them each pod has its own grace.
fn settings(everywhere: &Everywhere, caller: &mut Caller<'_>) -> Config {
    config::load(None, everywhere, caller).unwrap_or_else(|failure| {
        failure.text().iter().for_each(|text| caller.notice(text));
        caller.notice("Note: pods are stopped without these settings, each within its own grace period");
        Config::default()
    })
}

/// The pods by the grace that the machine leaves them, lowest priority first.
fn groups(claims: Vec<Claim>, config: &Config, paths: &Paths) -> Vec<(Option<i64>, Vec<Claim>)> {
    let periods = config.shutdown_periods();
    let Some((lowest, _)) = periods.first().copied() else { return vec![(None, claims)] };
    let mut groups: BTreeMap<i32, Vec<Claim>> = BTreeMap::new();
    for claim in claims {
        let spec = kept::manifest(paths, &claim.uid).ok().flatten().and_then(|pod| pod.spec);
        let priority = spec.and_then(|spec| spec.priority).unwrap_or(0);
        let fits = periods.iter().rev().find(|(least, _)| *least <= priority);
        groups.entry(fits.map_or(lowest, |(least, _)| *least)).or_default().push(claim);
    }
    let seconds = |least: i32| periods.iter().find(|(own, _)| *own == least).map(|(_, seconds)| *seconds);
    groups.into_iter().map(|(least, claims)| (seconds(least), claims)).collect()
}

/// Asks for the stop; false when nothing of the pod runs.
fn ask_to_stop(claim: &Claim, most_seconds: Option<i64>, paths: &Paths) -> Result<bool, String> {
    // Something of it may live on; a supervisor finds out what, and can stop it.
    let needed = |standing| standing == Standing::Unattended;
    ending::put(paths, claim, &Request::Stop { most_seconds }, needed).map(|asked| asked == Asked::Accepted)
}
