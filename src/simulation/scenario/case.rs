//! Scenario files to cases: each a pod, a script, deeds at their times and assertions, ready to be played. Everything that
//! is wrong with a file is told at once, each thing with its place.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value as Json, json};

use super::condition::Faults;
use super::faults::{self, Deed};
use super::format::{Assert, Scenario, Spec};
use super::judge::Assertion;
use super::pods::{self, Files, Variant};
use super::{actors, assertions, form, real};
use crate::manifest::node::{Node, Position, Value};
use crate::manifest::verdict::Finding;
use crate::manifest::{Diagnostic, Source, suggest, tree};
use crate::pod::backoff::go_duration;
use crate::pod::machine::Settings;
use crate::pod::restart::RestartPolicy;
use crate::simulation::driver::Driver;
use crate::simulation::script::{Run, Script, Start};

/// What whoever plays scenarios chooses.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Instead of the scenarios' own matrix: fields and their values.
    pub matrix: Vec<(String, Vec<Json>)>,
    /// The namespace of pods that name none.
    pub namespace: Option<String>,
    /// They are to run with real processes, for no longer than this.
    pub real: Option<real::Real>,
}

/// A scenario with one of its pods, ready to be played.
#[derive(Debug)]
pub struct Case {
    /// The file.
    pub file: String,
    /// The scenario's name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Which values of the matrix.
    pub variant: Vec<(String, Json)>,
    /// Carried through.
    pub seed: Option<u64>,
    /// The pod, as admitted.
    pub pod: Box<Pod>,
    /// How long it lasts.
    pub duration: Duration,
    /// What cannot be done with real processes, where that was asked for.
    pub unreal: Vec<Diagnostic>,
    pub(crate) settings: Settings,
    pub(super) script: Script,
    pub(super) deeds: Vec<(Duration, Deed)>,
    pub(super) assertions: Vec<Assertion>,
    /// A fault that the tests put into the machine.
    #[cfg(test)]
    mutant: Option<&'static crate::simulation::explore::Mutant>,
}

impl Case {
    /// The containers whose instances end by themselves, with these instances.
    pub fn crashing(&self) -> Vec<(&str, &[Run])> {
        let ends = |runs: &[Run]| {
            runs.iter().all(|run| run.image.is_none() && matches!(run.start, Start::Runs))
                && runs.first().is_some_and(|run| run.end.is_some())
        };
        let all = self.script.runs.iter().filter(|(_, runs)| ends(runs));
        all.map(|(name, runs)| (name.as_str(), runs.as_slice())).collect()
    }

    /// Whether nothing is demanded.
    pub fn asserts_nothing(&self) -> bool {
        self.assertions.is_empty()
    }

    /// A driver at its beginning.
    pub(super) fn driver(&self) -> Driver {
        let (pod, settings, mut script) = ((*self.pod).clone(), self.settings.clone(), self.script.clone());
        self.deeds.iter().filter(|(time, _)| time.is_zero()).for_each(|(_, deed)| deed.foresee(&mut script));
        #[cfg(test)]
        if let Some(mutant) = self.mutant {
            return Driver::with_mutant(pod, settings, script, mutant);
        }
        Driver::new(pod, settings, script)
    }

    /// With a fault in the machine.
    #[cfg(test)]
    pub(crate) fn with_mutant(self, mutant: Option<&'static crate::simulation::explore::Mutant>) -> Case {
        Case { mutant, ..self }
    }

    /// The pod's restart policy.
    pub fn policy(&self) -> RestartPolicy {
        RestartPolicy::read(self.pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()))
    }

    /// `backoff-caps`, or with its variant `backoff-caps (restartPolicy=Never)`.
    pub fn title(&self) -> String {
        let shown = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let values: Vec<String> =
            self.variant.iter().map(|(field, value)| format!("{field}={}", shown(value))).collect();
        if values.is_empty() { self.name.clone() } else { format!("{} ({})", self.name, values.join(", ")) }
    }
}

/// What was read of some files.
#[derive(Debug, Default)]
pub struct Read {
    /// In the order of the files and of the documents in them.
    pub cases: Vec<Case>,
    /// Files that hold no scenario.
    pub others: Vec<String>,
}

/// How long a scenario lasts beyond all that is named, where an assertion has no end of its own.
const OPEN_END: Duration = Duration::from_secs(30 * 60);
/// No scenario lasts longer: a year.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// No scenario has more variants.
const MOST_VARIANTS: usize = 1000;

/// Reads scenarios; nothing is accepted unless everything is good.
pub fn read(sources: &[Source], options: &Options) -> Result<Read, Vec<Diagnostic>> {
    let mut read = Read::default();
    let mut diagnostics = Vec::new();
    for source in sources {
        let trees = match tree::manifests(source) {
            Ok(trees) => trees,
            Err(mut found) => {
                diagnostics.append(&mut found);
                continue;
            }
        };
        let (scenarios, beside): (Vec<Node>, Vec<Node>) = trees.into_iter().partition(is_scenario);
        if scenarios.is_empty() {
            read.others.push(source.name.clone());
        }
        diagnostics.extend(unused_pods(&scenarios, &beside, source));
        for root in scenarios {
            match cases(&root, &beside, source, options) {
                Ok(mut cases) => read.cases.append(&mut cases),
                Err(mut found) => diagnostics.append(&mut found),
            }
        }
    }
    if diagnostics.is_empty() { Ok(read) } else { Err(once_each(diagnostics)) }
}

/// What is wrong with a pod is wrong in each scenario that names it.
fn once_each(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut told = BTreeSet::new();
    let place = |found: &Diagnostic| (found.source.clone(), found.line, found.column, found.text.clone());
    diagnostics.into_iter().filter(|found| told.insert(place(found))).collect()
}

/// Pods beside scenarios that have all named another: nobody would test them.
fn unused_pods(scenarios: &[Node], beside: &[Node], source: &Source) -> Vec<Diagnostic> {
    let has_pod = |root: &Node| root.get("spec").and_then(|spec| spec.get("pod")).is_some_and(|pod| !pod.is_null());
    if scenarios.is_empty() || !scenarios.iter().all(has_pod) {
        return Vec::new();
    }
    let text = "no scenario of this file tests this Pod: each has another in spec.pod; leave that out, or this one";
    let finding = |pod: &Node| Finding { position: pod.position, path: "kind".to_owned(), text: text.to_owned() };
    tree::diagnostics(source, beside.iter().filter(pods::is_pod).map(finding).collect())
}

fn is_scenario(root: &Node) -> bool {
    let word = |field: &str| root.get(field).and_then(Node::as_str).unwrap_or_default();
    word("kind").eq_ignore_ascii_case("Scenario") || word("apiVersion").starts_with("podlet.dev/")
}

fn cases(root: &Node, beside: &[Node], source: &Source, options: &Options) -> Result<Vec<Case>, Vec<Diagnostic>> {
    let mut files = Files::new(source);
    let scenario = typed(root).map_err(|findings| files.diagnostics(findings))?;
    let variants_of = scenario.spec.matrix.values().map(Vec::len).try_fold(1_usize, usize::checked_mul);
    if variants_of.is_none_or(|many| many > MOST_VARIANTS) {
        let finding = Finding {
            position: root.locate("spec.matrix"),
            path: "spec.matrix".to_owned(),
            text: format!("makes more than {MOST_VARIANTS} combinations"),
        };
        return Err(files.diagnostics(vec![finding]));
    }
    let variants = pods::variants(root, &scenario.spec, beside, &mut files, options)?;
    let mut cases = Vec::new();
    for variant in variants {
        match case(root, &scenario, variant, source, options) {
            Ok(mut case) => {
                if let Some(patience) = options.real {
                    let refused = real::refusals(
                        &scenario.spec,
                        &case.pod,
                        &case.script.runs,
                        &case.deeds,
                        case.duration,
                        Duration::from_millis(case.settings.backoff_initial_milliseconds),
                        patience,
                    );
                    case.unreal = files.diagnostics(located(root, refused));
                }
                cases.push(case);
            }
            // What is wrong with one is mostly wrong with all of them.
            Err(findings) => return Err(files.diagnostics(findings)),
        }
    }
    Ok(cases)
}

/// The one scenario of a source with its first pod; where it holds none, one that says nothing, with the one Pod that it holds.
/// And whether that is so.
pub fn ground(source: &Source, namespace: Option<&str>) -> Result<(Scenario, Box<Pod>, bool), Vec<Diagnostic>> {
    let (mut scenarios, beside): (Vec<Node>, Vec<Node>) = tree::manifests(source)?.into_iter().partition(is_scenario);
    let mut files = Files::new(source);
    let (root, is_manifest) = match (scenarios.pop(), scenarios.len()) {
        (None, _) => {
            let pods = beside.iter().filter(pods::is_pod).count();
            if pods != 1 {
                let text = match pods {
                    0 => {
                        "the file holds no scenario, and no Pod (nor a Deployment, a Job or the like with a pod in it)"
                            .to_owned()
                    }
                    pods => format!("the file holds {pods} Pods: name one that holds one"),
                };
                let position = beside.first().map_or(Position { line: 1, column: 1 }, |first| first.position);
                return Err(files.diagnostics(vec![Finding { position, path: String::new(), text }]));
            }
            let words = json!({"apiVersion": "podlet.dev/v1alpha1", "kind": "Scenario", "spec": {}});
            (tree::node(&words, Position::default()), true)
        }
        (Some(root), 0) => (root, false),
        (Some(root), more) => {
            let text = format!("the file holds {} scenarios: name one that holds one", more + 1);
            let finding = Finding { position: root.position, path: String::new(), text };
            return Err(files.diagnostics(vec![finding]));
        }
    };
    let mut scenario = typed(&root).map_err(|findings| files.diagnostics(findings))?;
    let options = Options { namespace: namespace.map(str::to_owned), ..Options::default() };
    let variants = pods::variants(&root, &scenario.spec, &beside, &mut files, &options)?;
    let Some(variant) = variants.into_iter().next() else {
        let text = "the matrix leaves no pod".to_owned();
        let finding = Finding { position: root.position, path: "spec.matrix".to_owned(), text };
        return Err(files.diagnostics(vec![finding]));
    };
    let mut found = Faults { containers: Vec::new(), own: 0, found: Vec::new() };
    // What is for other pods of the matrix alone is not demanded of this one.
    let mut index = 0;
    scenario.spec.asserts.retain_mut(|assert| {
        let applies = concerns(assert, &variant.values, &format!("spec.asserts[{index}]"), &mut found);
        index += 1;
        assert.only.clear();
        applies
    });
    match found.found.is_empty() {
        true => Ok((scenario, variant.pod, is_manifest)),
        false => Err(files.diagnostics(located(&root, found.found))),
    }
}

/// A case of a scenario that stands in no file.
pub fn case_of(scenario: &Scenario, pod: &Pod) -> Result<Case, String> {
    let source = Source { name: scenario.metadata.name.clone(), bytes: Vec::new() };
    let variant = Variant { values: Vec::new(), pod: Box::new(pod.clone()) };
    case(&Node::absent(), scenario, variant, &source, &Options::default()).map_err(|findings| {
        let told = |finding: &Finding| format!("{}: {}", finding.path, finding.text);
        findings.iter().map(told).collect::<Vec<_>>().join("; ")
    })
}

/// An assertion as a file has it.
pub fn assertion(text: &str) -> Result<Assert, String> {
    let source = Source { name: "assertion".to_owned(), bytes: text.as_bytes().to_vec() };
    let trees =
        tree::trees(&source).map_err(|found| found.first().map_or(String::new(), |found| found.text.clone()))?;
    let words = json!({"apiVersion": "podlet.dev/v1alpha1", "kind": "Scenario",
        "spec": {"asserts": trees.iter().map(tree::json).collect::<Vec<_>>()}});
    let scenario = typed(&tree::node(&words, Position::default())).map_err(|findings| {
        let told =
            |finding: &Finding| format!("{}: {}", finding.path.trim_start_matches("spec.asserts[0]."), finding.text);
        findings.iter().map(told).collect::<Vec<_>>().join("; ")
    })?;
    match <[Assert; 1]>::try_from(scenario.spec.asserts) {
        Ok([assert]) => Ok(assert),
        Err(_) => Err(format!("{text:?} is not one assertion")),
    }
}

/// A scenario's document as the types have it.
fn typed(root: &Node) -> Result<Scenario, Vec<Finding>> {
    serde_json::from_value(form::check(root)?).map_err(|error| {
        // The schema let something pass that the types do not take: a fault of podlet's own, told rather than hidden.
        let text = format!("podlet could not decode the scenario: {error}");
        vec![Finding { position: root.position, path: String::new(), text }]
    })
}

fn case(
    root: &Node,
    scenario: &Scenario,
    variant: Variant,
    source: &Source,
    options: &Options,
) -> Result<Case, Vec<Finding>> {
    let spec = &scenario.spec;
    let pod = variant.pod;
    let added = spec.faults.iter().filter_map(|fault| fault.debug.as_ref()).map(|debug| debug.name());
    let (own, containers) = (container_names(&pod).len(), container_names(&pod).into_iter().chain(added).collect());
    let mut found = Faults { containers, own, found: Vec::new() };
    unknown_to_the_machine(&pod, &mut found);
    let script = script(spec, &pod, &mut found);
    let settings = settings(spec, &mut found);
    let duration = duration(spec, &mut found);
    let (mut deeds, mut pieces) = (Vec::new(), Vec::new());
    for (index, fault) in spec.faults.iter().enumerate() {
        let path = format!("spec.faults[{index}]");
        let times = faults::times(fault, duration, &path, &mut found);
        if times.iter().any(|time| *time > duration) {
            found.add(&path, format!("comes after the end of the scenario ({})", go_duration(duration)));
        }
        pieces.extend(fault.apply.iter().flat_map(|piece| times.iter().map(move |time| (*time, index, piece))));
        let done = faults::deeds(fault, &pod, &times, &path, &mut found);
        deeds.extend(done.into_iter().map(|(time, deed)| (time, index, deed)));
    }
    deeds.extend(faults::applies(pieces, &pod, options, &mut found));
    deeds.sort_by_key(|(time, index, _)| (*time, *index));
    let deeds = deeds.into_iter().map(|(time, _, deed)| (time, deed)).collect();
    let mut judged = Vec::new();
    for (index, assert) in spec.asserts.iter().enumerate() {
        let path = format!("spec.asserts[{index}]");
        let node = root.get("spec").and_then(|spec| spec.get("asserts")).and_then(|list| list.index(index));
        let applies = concerns(assert, &variant.values, &path, &mut found);
        if let Some(wish) = assertions::wish(assert, duration, &path, &mut found).filter(|_| applies) {
            let shown = assert.name.clone().unwrap_or_else(|| node.map(flow).unwrap_or_default());
            let position = node.map_or(root.position, |node| node.position);
            judged.push(Assertion { shown, position, path, wish });
        }
    }
    if !found.found.is_empty() {
        return Err(located(root, found.found));
    }
    let name = match scenario.metadata.name.as_str() {
        "" => std::path::Path::new(&source.name)
            .file_stem()
            .map_or(Cow::Borrowed("scenario"), |stem| stem.to_string_lossy()),
        name => Cow::Borrowed(name),
    };
    Ok(Case {
        file: source.name.clone(),
        name: name.into_owned(),
        description: spec.description.clone(),
        variant: variant.values,
        seed: spec.seed,
        pod,
        duration,
        unreal: Vec::new(),
        settings,
        script,
        deeds,
        assertions: judged,
        #[cfg(test)]
        mutant: None,
    })
}

/// Each finding once, at its place.
fn located(root: &Node, found: Vec<(String, String)>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (path, text) in found {
        let finding = Finding { position: root.locate(&path), path, text };
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings.sort_by_key(|finding| finding.position);
    findings
}

/// Containers that the machine would pass over.
fn unknown_to_the_machine(pod: &Pod, found: &mut Faults<'_>) {
    let driver = Driver::new(pod.clone(), Settings::default(), Script::default());
    let known: Vec<String> = driver.machine.instances().into_iter().map(|(name, _)| name).collect();
    for name in container_names(pod).into_iter().filter(|name| !known.iter().any(|known| known == name)) {
        found.add("spec.pod", format!("podlet's machine does not run the init container {name} yet"));
    }
}

/// The names of all containers, the regular ones first.
fn container_names(pod: &Pod) -> Vec<&str> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    all.map(|container| container.name.as_str()).collect()
}

fn script(spec: &Spec, pod: &Pod, found: &mut Faults<'_>) -> Script {
    let mut runs = BTreeMap::new();
    for (name, actor) in &spec.actors {
        let path = format!("spec.actors.{name}");
        match faults::container_spec(pod, name) {
            Some(container) => drop(runs.insert(name.clone(), actors::runs(actor, container, &path, found))),
            None => drop(found.container(name, &path)),
        }
    }
    let ips = spec.pod_ips.clone().unwrap_or_else(|| vec!["10.88.0.5".to_owned()]);
    for (index, ip) in ips.iter().enumerate() {
        if ip.parse::<std::net::IpAddr>().is_err() {
            found.add(&format!("spec.podIPs[{index}]"), format!("{ip:?} is no IP address"));
        }
    }
    Script { ips, runs, latency: spec.latency.0, ..Script::default() }
}

fn settings(spec: &Spec, found: &mut Faults<'_>) -> Settings {
    let kubelet = &spec.kubelet;
    let mut settings =
        Settings { node_name: kubelet.node_name.clone().unwrap_or_else(|| "node".to_owned()), ..Settings::default() };
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let below = kubelet.crash_loop_back_off.max_container_restart_period;
    if kubelet.max_container_restart_period.is_some() && below.is_some() {
        found.add("spec.kubelet.crashLoopBackOff.maxContainerRestartPeriod", "is set a second time");
    }
    if let Some(most) = kubelet.max_container_restart_period.or(below) {
        if !(Duration::from_secs(1)..=Duration::from_secs(300)).contains(&most.0) {
            let path = match below {
                Some(_) => "spec.kubelet.crashLoopBackOff.maxContainerRestartPeriod",
                None => "spec.kubelet.maxContainerRestartPeriod",
            };
            found.add(path, format!("{most} is not between 1s and 300s"));
        }
        settings.backoff_maximum_milliseconds = milliseconds(most.0);
    }
    if let Some(first) = kubelet.initial_container_restart_period {
        settings.backoff_initial_milliseconds = milliseconds(first.0);
    }
    if let Some(reset) = kubelet.container_restart_reset {
        settings.backoff_reset_milliseconds = milliseconds(reset.0);
    }
    settings
}

fn duration(spec: &Spec, found: &mut Faults<'_>) -> Duration {
    let faults = spec.faults.iter().map(faults::latest);
    let named = spec.asserts.iter().map(assertions::latest).chain(faults).max().unwrap_or_default();
    let open = spec.asserts.is_empty() || spec.asserts.iter().any(assertions::is_open);
    let duration = spec.duration.map(|span| span.0).unwrap_or(if open { named + OPEN_END } else { named });
    if duration > LONGEST {
        found.add("spec.duration", format!("a scenario lasts a year at most, and this one {}", go_duration(duration)));
        return LONGEST;
    }
    duration
}

/// Whether an assertion is about this variant.
fn concerns(assert: &Assert, values: &[(String, Json)], path: &str, found: &mut Faults<'_>) -> bool {
    let mut concerns = true;
    for (field, wanted) in &assert.only {
        match values.iter().find(|(other, _)| other == field) {
            Some((_, value)) => concerns &= wanted.contains(value),
            None => {
                let near = suggest::nearest(field, values.iter().map(|(field, _)| field.as_str()));
                let hint = near.map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default();
                found.add(&format!("{path}.only.{field}"), format!("the matrix has no {field:?}{hint}"));
            }
        }
    }
    concerns
}

/// A node on one line, as YAML's flow style writes it.
pub fn flow(node: &Node) -> String {
    match &node.value {
        Value::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entry = |entry: &crate::manifest::node::Entry| format!("{}: {}", entry.key, flow(&entry.value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => {
            let plain = text.chars().all(|c| {
                c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '/' | '(' | ')' | '@' | '<' | '>' | '=')
            });
            if plain && !text.is_empty() && !text.starts_with(' ') { text.to_string() } else { format!("{text:?}") }
        }
        _ => tree::json(node).to_string(),
    }
}

/// A place in a file.
pub fn place(position: Position) -> String {
    format!("{}:{}", position.line, position.column)
}
