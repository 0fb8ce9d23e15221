//! `podlet explore`: random faults against a pod in virtual time, and the least that breaks a property as a scenario file. It needs
//! no privilege, starts no process and touches nothing of any pod.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::everywhere::Everywhere;
use super::files::render;
use super::live_line::LiveLine;
use super::test::people;
use super::{Caller, Failure, print};
use crate::manifest::{self, Source};
use crate::pod::backoff::go_duration;
use crate::pod::rules;
use crate::simulation::explore::{self, Found, Ground, Plan, Refusal, Report};
use crate::simulation::scenario::{self, Options, Outcome, Property, format};

/// The words of `explore`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet explore pod.yaml                10,000 sequences of faults against all
                                         properties
  podlet explore pod.yaml -o found.yaml  keep what is found: podlet test
                                         found.yaml fails the same way
  podlet explore pod.yaml --seed 7 --budget 100000 --for 30m
  podlet explore pod.yaml --faults 1 --property ready-again=1m
  podlet explore pod.yaml \\
      --property '{never: {container: app, restarts: {ge: 3}}}'
  podlet explore scenario.yaml           its pod, its actors, its assertions
                                         that hold all the time
  podlet explore --properties            what is looked for

Exit codes: 0 nothing found, 1 a property is broken, 2 a file is bad.")]
pub struct Words {
    /// A pod's manifest, or a scenario: one file with one of them, or - for standard input. Of a scenario with a matrix the
    /// first pod is explored.
    #[arg(value_name = "FILE", required_unless_present = "properties")]
    file: Option<PathBuf>,
    /// So many sequences of faults are played.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    budget: u32,
    /// Another seed draws other sequences; the same one the same, on every machine.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How long each sequence lasts in virtual time.
    #[arg(long = "for", value_name = "TIME", default_value = "10m")]
    duration: String,
    /// How many faults each sequence has.
    #[arg(long, value_name = "FROM-TO", default_value = "5-8")]
    faults: String,
    /// What must hold: a property by its name, or an assertion as in a scenario; several are looked for together. All
    /// properties where none is named.
    #[arg(long, value_name = "PROPERTY")]
    property: Vec<String>,
    /// Where a scenario goes that breaks a property; `json` for the whole outcome as data instead of text.
    #[arg(short, long, value_name = "FILE|json")]
    output: Vec<String>,
    /// On so many threads; as many as there are cores by default. The outcome is the same.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// Lists the properties.
    #[arg(long)]
    properties: bool,
}

/// A file is bad.
const BAD_FILE: u8 = 2;

/// Explores.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    if words.properties {
        let longest = Property::ALL.iter().map(|(property, _)| property.word().len()).max().unwrap_or_default();
        for (property, text) in Property::ALL {
            caller.print(&format!("{:longest$}  {text}\n", property.word()))?;
        }
        return Ok(0);
    }
    let Some(file) = &words.file else { return Ok(BAD_FILE) };
    let mut as_json = false;
    let mut kept: Option<&Path> = None;
    for output in &words.output {
        match (output.as_str(), kept) {
            ("json", _) => as_json = true,
            (path, None) => kept = Some(Path::new(path)),
            (path, Some(_)) => return bad(&format!("--output {path}: there is one file already"), caller),
        }
    }
    let plan = match plan(words) {
        Ok(plan) => plan,
        Err(text) => return bad(&text, caller),
    };
    let sources = match manifest::read_sources(std::slice::from_ref(file)) {
        Ok(sources) => sources,
        Err(error) => return bad(&error.to_string(), caller),
    };
    let [source] = sources.as_slice() else {
        return bad(&format!("{} is a directory: name a file", file.display()), caller);
    };
    let ground = match Ground::read(source, &words.property, everywhere.namespace.as_deref()) {
        Ok(ground) => ground,
        Err(Refusal::Words(text)) => return bad(&text, caller),
        Err(Refusal::File(diagnostics)) => {
            let colour = caller.colour && caller.err_terminal;
            diagnostics.iter().for_each(|diagnostic| caller.notice(&render(diagnostic, colour)));
            return Ok(BAD_FILE);
        }
    };
    let began = std::time::Instant::now();
    let report = watched(&ground, &plan, caller)?;
    let took = began.elapsed();
    let named = written(&ground, source, &report, kept);
    if let Some(path) = kept.filter(|_| !report.found.is_empty()) {
        std::fs::write(path, &named)
            .map_err(|error| Failure::Error(format!("could not write {}: {error}", path.display())))?;
    }
    let outcomes = outcomes(&named, kept, everywhere)?;
    if as_json {
        let mut data = data(&report, &plan, &outcomes, &named);
        data["seconds"] = json!(took.as_secs_f64());
        print::json(&data, caller.out)?;
        return Ok(u8::from(!report.found.is_empty()));
    }
    for (found, outcome) in report.found.iter().zip(&outcomes) {
        let text = page(found, outcome, caller.colour && caller.out_terminal);
        caller.print(&text)?;
    }
    caller.print(&summary(&report, &plan, took))?;
    match kept {
        _ if report.found.is_empty() => {}
        Some(path) => caller.print(&format!("written to {0}; podlet test {0} fails the same way\n", path.display()))?,
        None => caller.print(&format!("\n# to keep it: -o FILE; podlet test FILE fails the same way\n{named}"))?,
    }
    Ok(u8::from(!report.found.is_empty()))
}

fn bad(text: &str, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    caller.notice(&format!("error: {text}"));
    Ok(BAD_FILE)
}

fn plan(words: &Words) -> Result<Plan, String> {
    let duration =
        crate::duration::parse(&words.duration).map_err(|error| format!("--for {}: {error}", words.duration))?;
    if duration.is_zero() {
        return Err(format!("--for {}: must be more than 0s", words.duration));
    }
    let text = words.faults.trim();
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|number| *number <= 100);
    let faults = number(least).zip(number(most)).filter(|(least, most)| least <= most);
    let faults = faults.ok_or_else(|| format!("--faults {text}: write 5 or 5-8, up to 100"))?;
    Ok(Plan { budget: words.budget, seed: words.seed, duration, faults, threads: words.threads })
}

/// Explores, and shows on a terminal how far it is.
fn watched(ground: &Ground, plan: &Plan, caller: &mut Caller<'_>) -> Result<Report, Failure> {
    let mut line = LiveLine::new(caller.err_terminal);
    let mut progress = |done: u32| line.show(&format!("{done} of {} sequences", plan.budget), "", caller);
    let report = explore::explore(ground, plan, &mut progress);
    line.clear(caller);
    report.map_err(Failure::Error)
}

/// The scenarios that were found as one file, which names the pod's manifest where there is one.
fn written(ground: &Ground, source: &Source, report: &Report, kept: Option<&Path>) -> String {
    let documents: Vec<String> = report
        .found
        .iter()
        .map(|found| {
            let mut scenario = found.scenario.clone();
            let directory = kept.and_then(Path::parent).unwrap_or(Path::new(""));
            scenario.spec.pod = Some(match relative(&source.name, directory).filter(|_| ground.is_manifest) {
                Some(path) => format::Source::Path(path),
                None => in_place(ground),
            });
            (scenario.spec.overlays, scenario.spec.matrix) = (Vec::new(), Default::default());
            scenario::yaml(&scenario)
        })
        .collect();
    documents.join("---\n")
}

fn in_place(ground: &Ground) -> format::Source {
    let pod = serde_json::to_value(&ground.pod).unwrap_or_default();
    format::Source::Inline(pod.as_object().cloned().unwrap_or_default())
}

/// A file's path as it is from a directory; none for what is no file.
fn relative(name: &str, directory: &Path) -> Option<String> {
    let file = Path::new(name).canonicalize().ok()?;
    let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let here = here.canonicalize().ok()?;
    let shared = file.components().zip(here.components()).take_while(|(one, other)| one == other).count();
    let up: PathBuf = here.components().skip(shared).map(|_| "..").collect();
    Some(up.join(file.components().skip(shared).collect::<PathBuf>()).to_str()?.to_owned())
}

/// What was found, played again as `podlet test` plays the file.
fn outcomes(named: &str, kept: Option<&Path>, everywhere: &Everywhere) -> Result<Vec<Outcome>, Failure> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let name = kept.map_or_else(|| "scenario".to_owned(), |path| path.display().to_string());
    let source = Source { name, bytes: named.as_bytes().to_vec() };
    let options = Options { namespace: everywhere.namespace.clone(), ..Options::default() };
    let read = scenario::read(&[source], &options).map_err(|found| {
        let told: Vec<String> = found.iter().map(|found| format!("{}: {}", found.path, found.text)).collect();
        Failure::Error(format!("podlet cannot read the scenario that it wrote: {}", told.join("; ")))
    })?;
    Ok(read.cases.iter().map(scenario::Case::run).collect())
}

/// What was found, what happened around it, and the rule that decided so: as `podlet test` tells it.
fn page(found: &Found, outcome: &Outcome, colour: bool) -> String {
    let shown = people::Shown { timeline: false, quiet: false };
    let many = |count: usize| if count == 1 { "1 fault".to_owned() } else { format!("{count} faults") };
    let mut text = people::outcome(outcome, &shown, colour);
    if let Some(property) = found.scenario.spec.asserts.first().and_then(|assert| assert.property) {
        text.push_str(&format!("  {}: {}\n", property.word(), property.text()));
    }
    text.push_str(&format!("  sequence {}: {}, shrunk to {}\n", found.sequence, many(found.faults), many(found.left)));
    text
}

fn summary(report: &Report, plan: &Plan, took: std::time::Duration) -> String {
    let found = match report.found.len() {
        0 => "nothing found".to_owned(),
        1 => "1 thing found".to_owned(),
        many => format!("{many} things found"),
    };
    format!(
        "{} sequences of faults (seed {}): {found}; {} faults in {} of virtual time in {:.1} s\nreached {} states of the pod and {} of {} rules\n",
        report.tried,
        plan.seed,
        report.faults,
        go_duration(report.time),
        took.as_secs_f64(),
        report.reached.states.len(),
        report.reached.rules.len(),
        rules::RULES.len(),
    )
}

fn data(report: &Report, plan: &Plan, outcomes: &[Outcome], written: &str) -> Value {
    let missed: Vec<&str> =
        rules::RULES.iter().map(|rule| rule.name).filter(|name| !report.reached.rules.contains(name)).collect();
    let found: Vec<Value> = report
        .found
        .iter()
        .zip(outcomes)
        .map(|(found, outcome)| {
            let decided = outcome.decided(&found.verdict).map(super::test::happening);
            json!({
                "property": found.scenario.spec.asserts.first().and_then(|assert| assert.property),
                "sequence": found.sequence,
                "faults": found.faults,
                "shrunkTo": found.left,
                "seconds": found.verdict.at.as_secs_f64(),
                "found": found.verdict.found,
                "about": found.verdict.about,
                "decided": decided,
            })
        })
        .collect();
    json!({
        "apiVersion": "podlet.dev/v1alpha1",
        "kind": "ExplorationReport",
        "passed": report.found.is_empty(),
        "seed": plan.seed,
        "sequences": report.tried,
        "faults": report.faults,
        "virtualSeconds": report.time.as_secs_f64(),
        "states": report.reached.states.len(),
        "rules": report.reached.rules,
        "rulesNotReached": missed,
        "found": found,
        "scenario": written,
    })
}
