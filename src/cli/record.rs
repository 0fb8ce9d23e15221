//! `podlet record`: a real run as a scenario file that `podlet test` plays.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use super::everywhere::Everywhere;
use super::runs::{self, Recorded};
use super::{Caller, Failure};
use crate::pod::backoff::go_duration;
use crate::recorded::behaviour::Behaviour;
use crate::recorded::scenario::Recording;
use crate::supervisor::clock;
use crate::supervisor::kept::Standing;

/// The words of `record`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet record web -o web.yaml      the pod, how its containers behaved, what
                                     was done to it, what was seen
  podlet test web.yaml               plays it in virtual time, on the same rules
  podlet record web.run -o web.yaml  of a run that `podlet replay --save` put
                                     into a file

Containers behave as they did, to the millisecond: starts, exits, signals, what probes found at which age, hooks, pulls. The \
assertions are the starts, with a tolerance, and how all was at the end. Change the manifest in it, and `podlet test` says what \
would have been otherwise. Before the file is written it is played; what does not hold is told, and the exit code is 1.")]
pub struct Words {
    /// A pod, or a file in which a run was saved.
    #[arg(value_name = "POD|FILE")]
    pod: String,
    /// The scenario's file; standard output where it is not named.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// In this order they stand in the file.
const FIELDS: &[&str] = &["pod", "kubelet", "podIPs", "duration", "actors", "faults", "asserts"];

/// Records.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let recorded = runs::find(&words.pod, everywhere, caller)?;
    let recording = recording(&recorded, caller)?;
    let played = recording.case(&recording.pod, &[]).map_err(|text| unplayable(&text))?.run();
    let deviation = recording.deviation(&played.story);
    let tolerance = Recording::tolerance(deviation.unwrap_or_default());
    let asserts = recording.asserts(tolerance);
    let text = document(&recorded.title, &recording, &asserts, tolerance).map_err(Failure::Error)?;
    match &words.output {
        Some(path) => {
            let mut options = File::options();
            let written = options
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)
                .and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(|error| Failure::Error(format!("could not write {}: {error}", path.display())))?;
        }
        None => caller.print(&text)?,
    }
    let outcome = recording.case(&recording.pod, &asserts).map_err(|text| unplayable(&text))?.run();
    let failed: Vec<_> = outcome.judged.iter().filter(|judged| !judged.verdict.passed).collect();
    for judged in &failed {
        caller.notice(&format!("Warning: played, this does not hold: {}: {}", judged.shown, judged.verdict.found));
    }
    Ok(u8::from(!failed.is_empty()))
}

fn unplayable(text: &str) -> Failure {
    Failure::Error(format!("the run makes no scenario: {text}"))
}

/// What a run tells, if that is all of it.
pub fn recording(recorded: &Recorded, caller: &mut Caller<'_>) -> Result<Recording, Failure> {
    let behaviour = Behaviour::of(&recorded.history);
    let outcome = &behaviour.outcome;
    if !outcome.from_admission || !outcome.gaps.is_empty() {
        let why = if outcome.gaps.is_empty() {
            "the beginning of its journal is not kept any more"
        } else {
            "its journal has gaps"
        };
        return Err(Failure::Error(format!("{}: {why}, and a scenario begins with the admission", recorded.title)));
    }
    for left_out in &behaviour.left_out {
        caller.notice(&format!("Warning: left out: {left_out}"));
    }
    let lives = recorded.seen.as_ref().is_some_and(|seen| seen.standing == Standing::Live);
    Ok(Recording::new(behaviour, lives.then(|| clock::now().boot)))
}

fn document(title: &str, recording: &Recording, asserts: &[Value], tolerance: Duration) -> Result<String, String> {
    let mut spec = recording.spec(&recording.pod);
    spec.insert("asserts".to_owned(), Value::Array(asserts.to_vec()));
    let yaml = |value: &Value| serde_yaml::to_string(value).map_err(|error| error.to_string());
    let metadata = yaml(&Value::Object(Map::from_iter([("name".to_owned(), Value::from(recording.name.as_str()))])))?;
    let mut text = format!(
        "# {title}, recorded over {}. Starts are compared give or take {}.\n\
         # podlet test plays it; every field: docs/scenarios.md.\n\
         apiVersion: podlet.dev/v1alpha1\nkind: Scenario\nmetadata:\n  {metadata}spec:\n",
        go_duration(Duration::from_secs(recording.duration.as_secs())),
        go_duration(tolerance),
    );
    for field in FIELDS {
        if let Some(value) = spec.remove(*field) {
            let piece = yaml(&Value::Object(Map::from_iter([((*field).to_owned(), value)])))?;
            for line in piece.lines() {
                // An empty line within a text stays empty.
                text.push_str(&if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") });
            }
        }
    }
    Ok(text)
}
