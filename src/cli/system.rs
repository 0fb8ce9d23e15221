//! `podlet system df` and `podlet system prune`: what podlet takes on disk, and the removal of what nobody needs. What runs,
//! or is to run again, is never touched.

mod remains;

use std::io::{BufRead, IsTerminal};
use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::ask::kept_failure;
use super::ending::{self, Way};
use super::image::listing::size;
use super::image::removal;
use super::print::table::{self, Shape, Table, columns};
use super::{Caller, Failure, check_output, print, require};
use crate::image::{Record, Store};
use crate::linux::disk_usage;
use crate::linux::privilege::Work;
use crate::supervisor::kept::{self, Claim, Standing};

/// The words of `system`.
#[derive(Subcommand, Debug)]
pub enum Words {
    /// Show what podlet takes on disk.
    Df(Df),
    /// Remove what belongs to no pod, and if asked pods that are over and images that no pod uses.
    Prune(Prune),
}

/// The words of `system df`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet system df
  podlet system df -o json       in bytes")]
pub struct Df {
    /// json or yaml.
    #[arg(short, long, value_name = "json|yaml")]
    pub output: Option<String>,
}

/// The words of `system prune`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet system prune                  what pods that are gone have left
  podlet system prune --pods --images  and pods that are over, and images that
                                       no pod uses
  podlet system prune --dry-run

What is younger than ten minutes and belongs to no pod stays: it may be a pod's that is just being made.")]
pub struct Prune {
    /// Also deletes pods that are over: Succeeded or Failed.
    #[arg(long)]
    pub pods: bool,
    /// Also removes images that no pod uses, but for those that are over.
    #[arg(long)]
    pub images: bool,
    /// Does not ask.
    #[arg(short, long)]
    pub force: bool,
    /// Changes nothing, prints what would be removed.
    #[arg(long)]
    pub dry_run: bool,
    /// json or yaml.
    #[arg(short, long, value_name = "json|yaml")]
    pub output: Option<String>,
}

/// A line of `df`.
struct Line {
    kind: &'static str,
    count: usize,
    bytes: u64,
    reclaimable: u64,
}

fn show(value: &Value, output: &str, caller: &mut Caller<'_>) -> Result<(), Failure> {
    if output == "yaml" {
        print::own_yaml(value, caller.out)?
    } else {
        print::json(value, caller.out)?
    }
    Ok(())
}

/// Shows, or removes.
pub fn run(words: Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    require(Work::State, caller)?;
    match words {
        Words::Df(words) => df(&words, caller),
        Words::Prune(words) => prune(&words, caller),
    }
}

/// Pods that are over.
fn over(claims: &[Claim], caller: &Caller<'_>) -> Result<Vec<Claim>, Failure> {
    let mut over = Vec::new();
    for claim in claims {
        let seen = kept::see(&caller.paths, &claim.uid).map_err(|e| kept_failure(&e))?;
        if seen.is_some_and(|seen| seen.standing == Standing::Ended) {
            over.push(claim.clone());
        }
    }
    Ok(over)
}

/// Images that no pod uses which is not over.
fn unused(store: &Store, caller: &Caller<'_>) -> Result<Vec<Record>, Failure> {
    let in_use = removal::images_in_use(&caller.paths, store)?;
    let records = store.list().map_err(|error| Failure::Error(error.to_string()))?;
    Ok(records.into_iter().filter(|record| !in_use.contains(&record.id.to_string())).collect())
}

fn df(words: &Df, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = words.output.as_deref().unwrap_or_default();
    check_output(output, &["json", "yaml"])?;
    let paths = caller.paths.clone();
    let claims = kept::list(&paths, None).map_err(|e| kept_failure(&e))?;
    let over = over(&claims, caller)?;
    let store = Store::open(&paths.images());
    let images = store.list().map_err(|error| Failure::Error(error.to_string()))?;
    let unused: u64 = unused(&store, caller)?.iter().map(|record| record.size).sum();
    let mut measured = |path: &Path| {
        disk_usage::allocated(path).unwrap_or_else(|error| {
            caller.notice(&format!("warning: could not measure {}, it counts as nothing: {error}", path.display()));
            0
        })
    };
    let line = |kind, count| Line { kind, count, bytes: 0, reclaimable: 0 };
    let (mut pods, mut logs) = (line("Pods", claims.len()), line("Logs", claims.len()));
    for claim in &claims {
        // With `podLogsDir` a link.
        let usual = paths.pod_logs(&claim.namespace, &claim.name, &claim.uid);
        let own_logs = measured(&usual.canonicalize().unwrap_or(usual));
        let state = measured(&paths.pod_state(&claim.uid)) + measured(&paths.pod_run(&claim.uid));
        for (line, bytes) in [(&mut pods, state), (&mut logs, own_logs)] {
            line.bytes += bytes;
            line.reclaimable += if over.contains(claim) { bytes } else { 0 };
        }
    }
    let in_images = measured(&paths.images());
    let remains = remains::find(&paths, &claims);
    let left: u64 = remains.iter().map(|path| measured(path)).sum();
    let lines = [
        Line { bytes: in_images, reclaimable: unused.min(in_images), ..line("Images", images.len()) },
        pods,
        logs,
        Line { bytes: left, reclaimable: left, ..line("Remains", remains.len()) },
    ];
    if !output.is_empty() {
        let entry = |line: &Line| json!({ "type": line.kind, "count": line.count, "size": line.bytes, "reclaimable": line.reclaimable });
        show(&json!({ "usage": lines.iter().map(entry).collect::<Vec<_>>() }), output, caller)?;
        return Ok(0);
    }
    let row = |line: &Line| table::Row {
        cells: vec![line.kind.to_owned(), line.count.to_string(), size(line.bytes), size(line.reclaimable)],
        ..table::Row::default()
    };
    let table = Table {
        columns: columns(&["TYPE", "COUNT", "SIZE", "RECLAIMABLE"], &[]),
        rows: lines.iter().map(row).collect(),
    };
    caller.print(&table.print(&Shape::default()))?;
    Ok(0)
}

fn prune(words: &Prune, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = words.output.as_deref().unwrap_or_default();
    check_output(output, &["json", "yaml"])?;
    let paths = caller.paths.clone();
    let claims = kept::list(&paths, None).map_err(|e| kept_failure(&e))?;
    let remains = remains::find(&paths, &claims);
    let pods = if words.pods { over(&claims, caller)? } else { Vec::new() };
    let store = Store::open(&paths.images());
    let images = if words.images { unused(&store, caller)? } else { Vec::new() };
    let mut things: Vec<String> =
        pods.iter().map(|pod| format!("pod/{} in namespace {}", pod.name, pod.namespace)).collect();
    things.extend(images.iter().map(|image| format!("image {}", image.name)));
    things.extend(remains.iter().map(|path| path.display().to_string()));
    if words.dry_run || things.is_empty() {
        if !output.is_empty() {
            show(&json!({ "removed": [], "wouldRemove": things }), output, caller)?;
        } else if things.is_empty() {
            caller.notice("Nothing to remove.");
        }
        if output.is_empty() {
            things.iter().try_for_each(|thing| caller.print(&format!("would remove {thing}\n")))?;
        }
        return Ok(0);
    }
    if !words.force && !agreed(&things, caller)? {
        return Err(Failure::error("nothing was removed"));
    }
    let mut removed = Vec::new();
    let mut failed = false;
    let mut tell = |thing: &str, outcome: Result<(), String>, caller: &mut Caller<'_>| -> Result<(), Failure> {
        match outcome {
            Ok(()) if output.is_empty() => caller.print(&format!("{thing} removed\n"))?,
            Ok(()) => removed.push(thing.to_owned()),
            Err(text) => {
                failed = true;
                caller.notice(&format!("error: {thing}: {text}"));
            }
        }
        Ok(())
    };
    let text = |failure: Failure| failure.text().unwrap_or_default();
    let mut names = things.iter();
    for (pod, thing) in pods.iter().zip(names.by_ref()) {
        tell(thing, ending::ask(&paths, pod, Way::default()).map_err(text), caller)?;
    }
    for (image, thing) in images.iter().zip(names.by_ref()) {
        // Asked for anew: a pod may have come meanwhile.
        let outcome = removal::images_in_use(&paths, &store)
            .map_err(text)
            .and_then(|in_use| store.remove(&image.name, &in_use).map(drop).map_err(|error| error.to_string()));
        tell(thing, outcome, caller)?;
    }
    for (path, thing) in remains.iter().zip(names) {
        tell(thing, remains::remove(path).map_err(|error| error.to_string()), caller)?;
    }
    if !output.is_empty() {
        show(&json!({ "removed": removed, "wouldRemove": [] }), output, caller)?;
    }
    if failed { Err(Failure::Told) } else { Ok(0) }
}

/// Asks on the terminal. Where there is none nobody can agree.
fn agreed(things: &[String], caller: &mut Caller<'_>) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::error(
            "standard input is no terminal, so nobody can be asked; use --force, or look with --dry-run",
        ));
    }
    things.iter().for_each(|thing| caller.notice(&format!("  {thing}")));
    caller.notice("Remove these? [y/N]");
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::Error(format!("could not read the answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
