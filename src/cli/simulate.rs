//! `podlet simulate`: what a pod would do if its containers behaved so, in virtual time; and what other supervisors would
//! make of the same crash.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::everywhere::Everywhere;
use super::files::render;
use super::timeline::{self, Drawing};
use super::{Caller, Failure, print};
use crate::manifest::{Source, tree};
use crate::pod::backoff::go_duration;
use crate::simulation::peers::{Peer, Starts};
use crate::simulation::scenario::{self, Case, Options, Outcome, Span};

/// The words of `simulate`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet simulate pod.yaml --exit 1@2s  the only container exits 1 after two
                                        seconds, each time
  podlet simulate pod.yaml --exit app=1@2s --exit app=OOM@5s --exit app=forever
  podlet simulate pod.yaml --exit app=1@2s --for 2h -o svg > loop.svg
  podlet simulate pod.yaml --ready-after app=20s --ignore-term app --delete 5m
  podlet simulate pod.yaml \\
      --fault '{at: 1m, probe: {container: app, kind: liveness, fail: 3}}'
  podlet simulate pod.yaml \\
      --fault '{at: 1m, storage: {volume: cache, used: 3Gi}}'
  podlet simulate pod.yaml --exit app=1@2s --as podman,docker,systemd

A file with assertions is for `podlet test`.")]
pub struct Words {
    /// The pod's manifest, or - for standard input.
    #[arg(value_name = "FILE")]
    file: String,
    /// How an instance ends: CODE, SIGNAL or OOM after a time, or forever. Several are one instance after another; the last
    /// one repeats. The container may be left out where there is one.
    #[arg(long, value_name = "[CONTAINER=]CODE@TIME")]
    exit: Vec<String>,
    /// Startup and readiness probe fail until the instance has run so long.
    #[arg(long, value_name = "CONTAINER=TIME")]
    ready_after: Vec<String>,
    /// The container does not react to SIGTERM.
    #[arg(long, value_name = "CONTAINER")]
    ignore_term: Vec<String>,
    /// The pod is deleted then.
    #[arg(long, value_name = "TIME")]
    delete: Option<String>,
    /// What else happens, as in a scenario's faults.
    #[arg(long, value_name = "YAML")]
    fault: Vec<String>,
    /// How long.
    #[arg(long = "for", value_name = "TIME", default_value = "30m")]
    duration: String,
    /// The largest crash back-off, as a kubelet's crashLoopBackOff.maxContainerRestartPeriod.
    #[arg(long, value_name = "TIME")]
    max_restart_period: Option<String>,
    /// When others would start the same program again.
    #[arg(long = "as", value_name = "SUPERVISOR", value_delimiter = ',')]
    peers: Vec<PeerWord>,
    /// How it is drawn.
    #[command(flatten)]
    drawing: Drawing,
    /// Only the lanes, without what happened line by line.
    #[arg(short, long)]
    quiet: bool,
}

/// Others that restart programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PeerWord {
    /// podman's restart policy.
    Podman,
    /// The Docker engine's.
    Docker,
    /// systemd's defaults.
    Systemd,
}

impl PeerWord {
    fn peer(self) -> Peer {
        match self {
            PeerWord::Podman => Peer::Podman,
            PeerWord::Docker => Peer::Docker,
            PeerWord::Systemd => Peer::Systemd,
        }
    }
}

/// Simulates a pod.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let pod = pod(&words.file, everywhere, caller)?;
    let (spec, origins) = spec(words, &pod.names).map_err(Failure::Error)?;
    let document = json!({
        "apiVersion": "podlet.dev/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": pod.title},
        "spec": spec,
    });
    let case = case(&document, &pod.tree, &origins, everywhere)?;
    let outcome = case.run();
    for note in &outcome.notes {
        caller.notice(&format!("Note: {note}"));
    }
    if !words.peers.is_empty() {
        return compare(&case, &outcome, words, caller);
    }
    timeline::draw(&[outcome.into()], &words.drawing, !words.quiet, caller)
}

/// A manifest's one pod.
struct Manifest {
    title: String,
    names: Vec<String>,
    tree: Value,
}

fn pod(file: &str, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<Manifest, Failure> {
    let sources = crate::manifest::read_sources(&[file.into()]).map_err(|error| Failure::Error(error.to_string()))?;
    let mut pods = Vec::new();
    let told = |diagnostics: Vec<crate::manifest::Diagnostic>, caller: &mut Caller<'_>| {
        let colour = caller.colour && caller.err_terminal;
        diagnostics.iter().for_each(|diagnostic| caller.notice(&render(diagnostic, colour)));
        Failure::Told
    };
    for source in &sources {
        for root in tree::manifests(source).map_err(|diagnostics| told(diagnostics, caller))? {
            if root.get("kind").and_then(crate::manifest::node::Node::as_str) == Some("Pod") {
                let tree = tree::json(&root);
                let pod = tree::pod(root, everywhere.namespace.as_deref())
                    .map_err(|findings| told(tree::diagnostics(source, findings), caller))?;
                pods.push((pod, tree));
            }
        }
    }
    match pods.as_slice() {
        [(pod, tree)] => {
            let name = pod.metadata.name.clone().unwrap_or_default();
            let spec = pod.spec.as_ref();
            let policy = spec.and_then(|spec| spec.restart_policy.clone()).unwrap_or_default();
            let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
            let all = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default().iter().chain(init);
            let names = all.map(|container| container.name.clone()).collect();
            Ok(Manifest { title: format!("{name}, restartPolicy {policy}"), names, tree: tree.clone() })
        }
        [] => {
            Err(Failure::Error(format!("{file} holds no Pod (nor a Deployment, a Job or the like with a pod in it)")))
        }
        pods => Err(Failure::Error(format!("{file} holds {} Pods, and one can be simulated", pods.len()))),
    }
}

/// Paths into the scenario, and what was typed for them.
type Origins = Vec<(String, String)>;

/// What was typed for the place at which something is wrong.
fn origin<'o>(origins: &'o Origins, path: &'o str) -> &'o str {
    let holds =
        |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    let found = origins.iter().filter(|(place, _)| holds(place));
    // The first one that named a container, or the one that is nearest.
    found.rev().max_by_key(|(place, _)| place.len()).map_or(path, |(_, typed)| typed)
}

fn case(document: &Value, pod: &Value, origins: &Origins, everywhere: &Everywhere) -> Result<Case, Failure> {
    let mut document = document.clone();
    if let Some(spec) = document.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("pod".to_owned(), pod.clone());
    }
    let source = Source { name: "simulate".to_owned(), bytes: document.to_string().into_bytes() };
    let options = Options { namespace: everywhere.namespace.clone(), ..Options::default() };
    let read = scenario::read(&[source], &options).map_err(|diagnostics| {
        let told: Vec<String> =
            diagnostics.iter().map(|found| format!("{}: {}", origin(origins, &found.path), found.text)).collect();
        Failure::Error(told.join("\nerror: "))
    })?;
    read.cases.into_iter().next().ok_or_else(|| Failure::error("nothing to simulate"))
}

/// A scenario's `spec` from the flags, and which flag is where in it.
fn spec(words: &Words, names: &[String]) -> Result<(Value, Origins), String> {
    let mut actors: Map<String, Value> = Map::new();
    let mut origins = Origins::new();
    let mut set = |name: &str, field: &str, value: Value, typed: String| {
        let actor = actors.entry(name.to_owned()).or_insert_with(|| json!({}));
        let place = format!("spec.actors.{name}");
        let index = actor.get(field).and_then(Value::as_array).map_or(0, Vec::len);
        let within = if value.is_array() { format!("{place}.{field}[{index}]") } else { format!("{place}.{field}") };
        origins.extend([(place, typed.clone()), (within, typed)]);
        match (actor.get_mut(field), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (_, value) => drop(actor.as_object_mut().map(|actor| actor.insert(field.to_owned(), value))),
        }
    };
    for text in &words.exit {
        let (name, how) = named(text, names)?;
        let (word, after) = how.split_once('@').unwrap_or((how, "0s"));
        let instance = match word.to_ascii_lowercase().as_str() {
            "forever" => json!({"run": "forever"}),
            "oom" => json!({"oom": {"after": after}}),
            _ => json!({"exit": how}),
        };
        set(&name, "instances", Value::Array(vec![instance]), format!("--exit {text}"));
    }
    for text in &words.ready_after {
        let (name, time) = named(text, names)?;
        set(&name, "readyAfter", Value::from(time), format!("--ready-after {text}"));
    }
    for name in &words.ignore_term {
        set(name, "ignoreSignals", json!(["TERM"]), format!("--ignore-term {name}"));
    }
    let mut faults = Vec::new();
    for text in &words.fault {
        let source = Source { name: "--fault".to_owned(), bytes: text.clone().into_bytes() };
        let trees = tree::trees(&source).map_err(|found| {
            found.first().map_or_else(|| "--fault: not YAML".to_owned(), |found| format!("--fault: {}", found.text))
        })?;
        for fault in trees.iter().map(tree::json) {
            origins.push((format!("spec.faults[{}]", faults.len()), format!("--fault '{text}'")));
            faults.push(fault);
        }
    }
    if let Some(time) = &words.delete {
        origins.push((format!("spec.faults[{}]", faults.len()), format!("--delete {time}")));
        faults.push(json!({"at": time, "delete": true}));
    }
    let mut spec = json!({"actors": actors, "faults": faults, "duration": words.duration});
    if let (Some(most), Some(fields)) = (&words.max_restart_period, spec.as_object_mut()) {
        fields.insert("kubelet".to_owned(), json!({"maxContainerRestartPeriod": most}));
        origins.push(("spec.kubelet".to_owned(), format!("--max-restart-period {most}")));
    }
    origins.push(("spec.duration".to_owned(), format!("--for {}", words.duration)));
    Ok((spec, origins))
}

/// The container and the rest of `app=1@2s`; of `1@2s` where there is one container.
fn named<'t>(text: &'t str, names: &[String]) -> Result<(String, &'t str), String> {
    match (text.split_once('='), names) {
        (Some((name, rest)), _) => Ok((name.to_owned(), rest)),
        (None, [only]) => Ok((only.clone(), text)),
        (None, _) => Err(format!("{text}: name the container, CONTAINER={text}; there are {}", names.join(", "))),
    }
}

/// The starts of each crashing container under the kubelet's rules and under others', in one table.
fn compare(case: &Case, outcome: &Outcome, words: &Words, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let mut rows: Vec<Value> = Vec::new();
    for (name, runs) in case.crashing() {
        let ours: Vec<Duration> = outcome
            .story
            .iter()
            .filter(|happening| happening.about == name && happening.word == "Started")
            .map(|happening| happening.at)
            .collect();
        let kubelet = Starts { at: ours, gave_up: false };
        let source = "pkg/kubelet/kuberuntime doBackOff; podlet's machine";
        rows.push(row(
            name,
            "kubelet",
            "Kubernetes 1.36",
            source,
            "at once, then 10 s doubling up to 5 min; anew after 10 min",
            &kubelet,
        ));
        for peer in words.peers.iter().map(|word| word.peer()) {
            let rules = peer.rules();
            let starts = peer.starts(case.policy(), runs, case.duration);
            rows.push(row(name, rules.name, rules.version, rules.source, rules.text, &starts));
        }
    }
    if rows.is_empty() {
        return Err(Failure::error("no container ends by itself: say how with --exit CONTAINER=CODE@TIME"));
    }
    if words.drawing.output == Some(timeline::Format::Json) {
        print::json(&json!({"seconds": case.duration.as_secs_f64(), "rules": rows}), caller.out)?;
        return Ok(0);
    }
    let text = |row: &Value, field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut table = vec!["CONTAINER\tRULES OF\tVERSION\tRESTARTS\tSTARTS\tWAITS".to_owned()];
    for row in &rows {
        let count = row.get("restarts").map(Value::to_string).unwrap_or_default();
        let fields = [
            text(row, "container"),
            text(row, "rules"),
            text(row, "version"),
            count,
            text(row, "shown"),
            text(row, "waits"),
        ];
        table.push(fields.join("\t"));
    }
    let mut widths = print::columns::Widths::new();
    caller.print(&print::columns::align_after(&(table.join("\n") + "\n"), print::columns::TABLE, &mut widths))?;
    caller.print(&format!("in {} of time; what a start itself takes is left out\n", go_duration(case.duration)))?;
    for row in rows.iter().take(1 + words.peers.len()) {
        caller.print(&format!("{} {}: {}\n", text(row, "rules"), text(row, "version"), text(row, "source")))?;
    }
    Ok(0)
}

fn row(container: &str, rules: &str, version: &str, source: &str, waits: &str, starts: &Starts) -> Value {
    const SHOWN: usize = 6;
    let shown: Vec<String> = starts.at.iter().take(SHOWN).map(|start| Span(*start).to_string()).collect();
    let more = match (starts.at.len() > SHOWN, starts.gave_up) {
        (true, true) => " … gives up",
        (true, false) => " …",
        (false, true) => ", gives up",
        (false, false) => "",
    };
    let at: Vec<f64> = starts.at.iter().take(1000).map(Duration::as_secs_f64).collect();
    json!({
        "container": container,
        "rules": rules,
        "version": version,
        "source": source,
        "waits": waits,
        "restarts": starts.at.len().saturating_sub(1),
        "starts": at,
        "shown": format!("{}{more}", shown.join(" ")),
        "gaveUp": starts.gave_up,
    })
}
