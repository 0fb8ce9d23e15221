//! `podlet test`: plays scenario files in virtual time and says which assertions hold. It needs no privilege, starts no
//! process and touches nothing of any pod. With `--real` it does: the same files with real processes, in pods of its own.

mod crash;
mod journals;
mod missing;
pub mod people;
mod real;
mod reports;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::everywhere::Everywhere;
use super::files::render;
use super::{Caller, Failure, duration};
use crate::manifest::{self, Source};
use crate::simulation::scenario::real::Real;
use crate::simulation::scenario::{self, Case, Options, Outcome};
pub use reports::happening;

/// The words of `test`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet test backoff.yaml              play a scenario; half an hour takes a
                                        millisecond
  podlet test scenarios/                all scenarios of a directory
  podlet test backoff.yaml --matrix restartPolicy=Always,OnFailure,Never
  podlet test scenarios/ -o junit > report.xml
  podlet test scenarios/ --run backoff  only those whose name has this word
  podlet test backoff.yaml --timeline   with all that happened
  podlet test --real backoff.yaml       with real processes, in real time; all
                                        of it may be half a second later
  podlet test --real backoff.yaml --tolerance 2s --patience 10m
  podlet test --schema > scenario.schema.json
                                        for editors, which find it by the line
                                        # yaml-language-server: $schema=FILE

Exit codes: 0 all passed, 1 one failed, 2 a file is bad, 3 it cannot be run here.")]
pub struct Words {
    /// Scenarios: files, directories, or - for standard input.
    #[arg(value_name = "FILE", required_unless_present = "schema")]
    files: Vec<PathBuf>,
    /// Values of fields of the pod, instead of the scenarios' own matrix; several make all combinations.
    #[arg(long, value_name = "FIELD=VALUE,…")]
    matrix: Vec<String>,
    /// Only scenarios whose name contains this.
    #[arg(long, value_name = "WORD")]
    run: Option<String>,
    /// How the outcome is told.
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
    /// With all that happened, of passed scenarios, too.
    #[arg(long)]
    timeline: bool,
    /// Says only what failed.
    #[arg(short, long)]
    quiet: bool,
    /// With real processes: pods of podlet's own image that do what the actors say, apart from all other pods. What cannot be
    /// done so is told before anything starts.
    #[arg(long)]
    real: bool,
    /// With --real: nothing may come earlier than in virtual time, and everything so much later.
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration::parse, requires = "real")]
    tolerance: Duration,
    /// With --real: no scenario may last longer. The tolerance comes on top.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration::parse, requires = "real")]
    patience: Duration,
    /// Prints the JSON Schema of the format.
    #[arg(long)]
    schema: bool,
}

/// How the outcome is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One object with everything.
    Json,
    /// The Test Anything Protocol, version 14.
    Tap,
    /// JUnit's XML.
    Junit,
}

/// A file is bad.
const BAD_FILE: u8 = 2;
/// It cannot be run here.
const NOT_HERE: u8 = 3;

/// Plays scenarios.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    if words.schema {
        caller.print(scenario::SCHEMA)?;
        return Ok(0);
    }
    let matrix = match words.matrix.iter().map(|text| matrix(text)).collect() {
        Ok(matrix) => matrix,
        Err(text) => return bad(&text, caller),
    };
    let sources = match manifest::read_sources(&words.files) {
        Ok(sources) => sources,
        Err(error) => return bad(&error.to_string(), caller),
    };
    let real = words.real.then_some(Real { patience: words.patience, tolerance: words.tolerance });
    let options = Options { matrix, namespace: everywhere.namespace.clone(), real };
    let read = match scenario::read(&sources, &options) {
        Ok(read) => read,
        Err(diagnostics) => {
            let colour = caller.colour && caller.err_terminal;
            diagnostics.iter().for_each(|diagnostic| caller.notice(&render(diagnostic, colour)));
            return Ok(BAD_FILE);
        }
    };
    // In a directory there may be pods beside scenarios; a file that was named must hold one.
    let named =
        |name: &String| words.files.iter().any(|file| file.display().to_string() == *name || file.as_os_str() == "-");
    if let Some(name) = read.others.iter().find(|name| named(name)) {
        return bad(&no_scenario(name), caller);
    }
    let chosen = |title: &str| words.run.as_ref().is_none_or(|word| title.contains(word.as_str()));
    let cases: Vec<Case> = read.cases.into_iter().filter(|case| chosen(&case.title())).collect();
    if cases.is_empty() {
        let what =
            if words.run.is_some() { "no scenario has that name" } else { "there is no scenario in these files" };
        return bad(what, caller);
    }
    let interrupts = match words.real {
        false => None,
        true => match ready_for_real(&cases, caller)? {
            None => return Ok(NOT_HERE),
            interrupts => interrupts,
        },
    };
    let mut report = reports::Report::new();
    for case in cases {
        if case.asserts_nothing() && !words.quiet {
            caller.notice(&asserts_nothing(&case));
        }
        let outcome = match &interrupts {
            None => case.run(),
            Some(interrupts) => match real::run(case, words.tolerance, interrupts, everywhere, caller)? {
                None => return Ok(real::INTERRUPTED),
                Some(outcome) => outcome,
            },
        };
        if words.output.is_none() {
            let shown = people::Shown { timeline: words.timeline, quiet: words.quiet };
            let text = people::outcome(&outcome, &shown, caller.colour && caller.out_terminal);
            caller.print(&text)?;
            caller.out.flush()?;
        }
        report.add(outcome, words.timeline);
    }
    let text = match words.output {
        None => people::summary(&report, words.quiet),
        Some(Format::Json) => reports::json(&report),
        Some(Format::Tap) => reports::tap(&report),
        Some(Format::Junit) => reports::junit(&report),
    };
    caller.print(&text)?;
    Ok(u8::from(!report.passed()))
}

/// Whether all of these can be run with real processes here; else says why not.
fn ready_for_real(cases: &[Case], caller: &mut Caller<'_>) -> Result<Option<real::Interrupts>, Failure> {
    let unreal: Vec<_> = cases.iter().flat_map(|case| &case.unreal).collect();
    if !unreal.is_empty() {
        let colour = caller.colour && caller.err_terminal;
        // Each variant of a scenario says the same.
        let mut told = Vec::new();
        for text in unreal.into_iter().map(|diagnostic| render(diagnostic, colour)) {
            if !told.contains(&text) {
                caller.notice(&text);
                told.push(text);
            }
        }
        caller.notice("error: this cannot be done with real processes; without --real it is played in virtual time");
        return Ok(None);
    }
    if let Err(failure) = real::possible(caller) {
        caller.notice(&failure.text().unwrap_or_default());
        return Ok(None);
    }
    real::Interrupts::new().map(Some)
}

/// A file was named, and nothing in it would be tested: that is not passed over, or a test that is lost would be green.
fn no_scenario(name: &str) -> String {
    format!(
        "{name} holds no scenario (apiVersion: podlet.dev/v1alpha1, kind: Scenario). The pod of a scenario is named in it \
         (spec: {{pod: pod.yaml}}); of a directory that is named, files without scenarios are passed over; and \
         `podlet explore` and `podlet simulate` take a pod's manifest as it is"
    )
}

/// It passes, whatever happens: nobody may take that for a test.
fn asserts_nothing(case: &Case) -> String {
    format!(
        "Note: {}: {} asserts nothing, and so passes whatever its pod does: say in spec.asserts what must be so, such as \
         {{property: ready-again}}",
        case.file,
        case.title()
    )
}

fn bad(text: &str, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    caller.notice(&format!("error: {text}"));
    Ok(BAD_FILE)
}

/// `restartPolicy=Always,Never`.
fn matrix(text: &str) -> Result<(String, Vec<Value>), String> {
    let (field, values) = text
        .split_once('=')
        .filter(|(field, values)| !field.is_empty() && !values.is_empty())
        .ok_or_else(|| format!("--matrix {text}: write FIELD=VALUE,VALUE such as restartPolicy=Always,Never"))?;
    let value = |value: &str| {
        let source = Source { name: "--matrix".to_owned(), bytes: value.as_bytes().to_vec() };
        let trees = manifest::tree::trees(&source).unwrap_or_default();
        trees.first().map_or_else(|| Value::from(value), manifest::tree::json)
    };
    Ok((field.to_owned(), values.split(',').map(value).collect()))
}

/// What a passed or failed scenario is called.
fn verdict(outcome: &Outcome) -> &'static str {
    if outcome.passed() { "passed" } else { "failed" }
}
