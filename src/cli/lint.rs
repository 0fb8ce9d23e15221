//! `podlet lint`: what the arithmetic of the lifecycle says of a manifest. Nothing is started; no privilege is needed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::everywhere::Everywhere;
use super::files::render;
use super::print::columns::{self, Widths};
use super::{Caller, Failure, check_output, print};
use crate::lint::{self, ContainerTimes, Report, Weight};
use crate::manifest::node::Node;
use crate::manifest::verdict::Finding as Located;
use crate::manifest::{self, Diagnostic, Source, tree};
use crate::pod::backoff::go_duration;

/// The words of `lint`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet lint pod.yaml            how long start, death and deletion may take,
                                  and what will surprise
  podlet lint manifests/ -o json  the same as data
  podlet lint pod.yaml --strict   notes count as warnings do

Exit codes: 0 nothing to warn of, 1 a warning, 2 a file is bad.")]
pub struct Words {
    /// Manifests: files, directories, or - for standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// json.
    #[arg(short, long, value_name = "json")]
    output: Option<String>,
    /// Notes count as warnings do.
    #[arg(long)]
    strict: bool,
}

/// A file is bad.
const BAD_FILE: u8 = 2;

/// A pod that was looked at.
struct Looked {
    name: String,
    source: String,
    report: Report,
    /// Each finding with its place, in the same order.
    places: Vec<Diagnostic>,
}

/// Looks at manifests.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = words.output.as_deref().unwrap_or_default();
    check_output(output, &["json"])?;
    let sources = match manifest::read_sources(&words.files) {
        Ok(sources) => sources,
        Err(error) => {
            caller.notice(&format!("error: {error}"));
            return Ok(BAD_FILE);
        }
    };
    let mut looked = Vec::new();
    let mut bad = Vec::new();
    for source in &sources {
        match look(source, everywhere) {
            Ok(pods) => looked.extend(pods),
            Err(diagnostics) => bad.extend(diagnostics),
        }
    }
    if !bad.is_empty() {
        let colour = caller.colour && caller.err_terminal;
        bad.iter().for_each(|diagnostic| caller.notice(&render(diagnostic, colour)));
        return Ok(BAD_FILE);
    }
    if looked.is_empty() {
        caller.notice("error: there is no Pod in these files (nor a Deployment, a Job or the like with a pod in it)");
        return Ok(BAD_FILE);
    }
    let least = if words.strict { Weight::Note } else { Weight::Warning };
    let warned = looked.iter().flat_map(|pod| &pod.report.findings).any(|finding| finding.weight >= least);
    if output == "json" {
        let pods: Vec<Value> = looked.iter().map(data).collect();
        print::json(&json!({"apiVersion": "podlet.dev/v1alpha1", "kind": "LintReport", "pods": pods}), caller.out)?;
    } else {
        for (index, pod) in looked.iter().enumerate() {
            caller.print(if index > 0 { "\n" } else { "" })?;
            let text = page(pod, caller.colour && caller.out_terminal);
            caller.print(&text)?;
        }
    }
    Ok(u8::from(warned))
}

fn look(source: &Source, everywhere: &Everywhere) -> Result<Vec<Looked>, Vec<Diagnostic>> {
    let mut pods = Vec::new();
    for root in tree::manifests(source)? {
        if root.get("kind").and_then(Node::as_str) != Some("Pod") {
            continue;
        }
        let pod = tree::pod(root.clone(), everywhere.namespace.as_deref())
            .map_err(|findings| tree::diagnostics(source, findings))?;
        let report = lint::look(&pod);
        let located = |finding: &lint::Finding| Located {
            position: root.locate(&finding.path),
            path: finding.path.clone(),
            text: finding.text.clone(),
        };
        let places = tree::diagnostics(source, report.findings.iter().map(located).collect());
        let name = pod.metadata.name.clone().unwrap_or_default();
        pods.push(Looked { name, source: source.name.clone(), report, places });
    }
    Ok(pods)
}

fn or_never(time: Option<Duration>) -> String {
    time.map_or("-".to_owned(), go_duration)
}

/// The sums as a table, then each finding.
fn page(pod: &Looked, colour: bool) -> String {
    let mut text = format!("{}: pod {}\n", pod.source, pod.name);
    let mut table = String::from("CONTAINER\tSTART ALLOWED\tREADY WITHIN\tFOUND DEAD WITHIN\tKILLED WITHIN\n");
    for ContainerTimes { name, start_allowed, ready, found_dead, killed } in &pod.report.times.containers {
        let cells = [or_never(*start_allowed), go_duration(*ready), or_never(*found_dead), or_never(*killed)];
        table.push_str(&format!("{name}\t{}\n", cells.join("\t")));
    }
    text.push_str(&columns::align_after(&table, columns::TABLE, &mut Widths::new()));
    text.push_str(&format!("a delete takes {} at most\n", go_duration(pod.report.times.delete)));
    for (finding, place) in pod.report.findings.iter().zip(&pod.places) {
        let place = Diagnostic { text: format!("{}: {}", finding.weight.word(), place.text), ..place.clone() };
        text.push_str(&format!("{}\n  fix: {} [{}]\n", render(&place, colour), finding.fix, finding.name));
    }
    text
}

fn data(pod: &Looked) -> Value {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let containers: Vec<Value> = pod
        .report
        .times
        .containers
        .iter()
        .map(|times| {
            json!({
                "name": times.name,
                "startAllowedSeconds": seconds(times.start_allowed),
                "readyWithinSeconds": times.ready.as_secs_f64(),
                "foundDeadWithinSeconds": seconds(times.found_dead),
                "killedWithinSeconds": seconds(times.killed),
            })
        })
        .collect();
    let findings: Vec<Value> = pod
        .report
        .findings
        .iter()
        .zip(&pod.places)
        .map(|(finding, place)| {
            json!({
                "name": finding.name,
                "weight": finding.weight.word(),
                "path": finding.path,
                "line": place.line,
                "column": place.column,
                "text": finding.text,
                "fix": finding.fix,
            })
        })
        .collect();
    let delete = pod.report.times.delete.as_secs_f64();
    json!({"name": pod.name, "file": pod.source, "deleteWithinSeconds": delete, "containers": containers, "findings": findings})
}
