//! `podlet top pod`: what pods and containers use now, by the counters of their cgroups, in kubectl's columns. kubectl asks a
//! metrics server for the last quarter of a minute; here two looks are taken, a moment apart.

use std::time::Duration;

use clap::{Args, Subcommand};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::ask::Typed;
use super::everywhere::Everywhere;
use super::print::columns::{TABLE, align};
use super::resource::Kind;
use super::select::{self, Selector};
use super::{Caller, Failure, ask};
use crate::linux::cgroup::Cgroup;
use crate::linux::usage::Usage;

/// The words of `top`.
#[derive(Subcommand, Debug)]
pub enum Words {
    /// What pods use of processors and memory.
    #[command(aliases = ["pods", "po"])]
    Pod(PodWords),
    /// For kubectl's users.
    #[command(hide = true, aliases = ["nodes", "no"])]
    Node(NodeWords),
}

/// The words of `top pod`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet top pod                           the pods of the namespace
  podlet top pod web --containers          each container of one
  podlet top pod -A --sort-by=memory --sum

CPU(cores) is of the half second in which podlet looks; 1000m is one processor. MEMORY(bytes) is the working set: all that is \
charged, without file pages that were not used lately.")]
pub struct PodWords {
    /// POD.
    #[arg(value_name = "POD")]
    pub names: Vec<String>,
    /// A line a container.
    #[arg(long)]
    pub containers: bool,
    /// In every namespace.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Those with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Those with these fields: status.phase=Running.
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,
    /// The largest first: cpu or memory.
    #[arg(long, value_name = "cpu|memory")]
    pub sort_by: Option<String>,
    /// Without headings.
    #[arg(long)]
    pub no_headers: bool,
    /// The sum of all, too.
    #[arg(long)]
    pub sum: bool,
    /// What is swapped out, too.
    #[arg(long)]
    pub show_swap: bool,
}

/// The words of `top node`.
#[derive(Args, Debug)]
pub struct NodeWords {
    /// NODE.
    #[arg(value_name = "NODE")]
    pub names: Vec<String>,
}

/// Between the two looks: long enough for the coarsest counter, short enough to wait for.
const BETWEEN: Duration = Duration::from_millis(500);

/// What one container uses; none where nothing counts it.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    /// Billionths of a processor.
    processor: Option<u64>,
    memory: Option<u64>,
    swap: Option<u64>,
}

impl Used {
    fn plus(self, other: Used) -> Used {
        let plus = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        Used {
            processor: plus(self.processor, other.processor),
            memory: plus(self.memory, other.memory),
            swap: plus(self.swap, other.swap),
        }
    }

    /// By what a sorted list is in order, the largest first.
    fn weight(&self, by: By) -> u64 {
        match by {
            // kubectl compares what it prints.
            By::Processor => self.processor.map_or(0, |nano| nano.div_ceil(1_000_000)),
            By::Memory => self.memory.unwrap_or(0),
        }
    }

    fn cells(&self, with_swap: bool) -> String {
        let text = |value: Option<String>| value.unwrap_or_else(|| "<unknown>".to_owned());
        let mebibytes = |bytes: Option<u64>| text(bytes.map(|bytes| format!("{}Mi", bytes >> 20)));
        let processor = text(self.processor.map(|nano| format!("{}m", nano.div_ceil(1_000_000))));
        let swap = if with_swap { format!("{}\t", mebibytes(self.swap)) } else { String::new() };
        format!("{processor}\t{}\t{swap}", mebibytes(self.memory))
    }
}

#[derive(Clone, Copy, Debug)]
enum By {
    Processor,
    Memory,
}

/// A pod and its containers that run.
struct Line {
    namespace: String,
    name: String,
    containers: Vec<(String, Used)>,
}

impl Line {
    fn total(&self) -> Used {
        self.containers.iter().fold(Used::default(), |sum, (_, used)| sum.plus(*used))
    }
}

/// Prints what is used.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    match words {
        Words::Pod(words) => pods(words, everywhere, caller),
        Words::Node(_) => Err(Failure::error(
            "podlet has no nodes: podlet top pod -A --sum shows what all pods use, podlet doctor what this machine has",
        )),
    }
}

fn pods(words: &PodWords, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let by = match words.sort_by.as_deref().unwrap_or_default() {
        "" => None,
        "cpu" => Some(By::Processor),
        "memory" => Some(By::Memory),
        _ => return Err(Failure::error("--sort-by accepts only cpu or memory")),
    };
    let pods = chosen(words, everywhere, caller)?;
    let mut lines = measure(&pods);
    if lines.is_empty() {
        if let [pod, ..] = pods.as_slice() {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            return Err(Failure::Error(format!(
                "Metrics not available for pod {namespace}/{name}: none of its containers runs"
            )));
        }
        caller.notice(&select::nothing((!words.all_namespaces).then(|| everywhere.namespace())));
        return Ok(0);
    }
    match by {
        Some(by) => lines.sort_by_key(|line| std::cmp::Reverse(line.total().weight(by))),
        None => lines.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name))),
    }
    for line in &mut lines {
        match by {
            Some(by) => line.containers.sort_by_key(|(_, used)| std::cmp::Reverse(used.weight(by))),
            None => line.containers.sort_by(|(a, _), (b, _)| a.cmp(b)),
        }
    }
    caller.print(&table(&lines, words))?;
    Ok(0)
}

fn chosen(words: &PodWords, everywhere: &Everywhere, caller: &Caller<'_>) -> Result<Vec<Pod>, Failure> {
    let selected = [&words.selector, &words.field_selector].into_iter().flatten().any(|text| !text.is_empty());
    match words.names.as_slice() {
        [] => {
            let selector = Selector::parse(Kind::Pod, words.selector.as_deref(), words.field_selector.as_deref())?;
            let namespace = (!words.all_namespaces).then(|| everywhere.namespace());
            let objects = ask::list(&caller.paths, Kind::Pod, namespace, &selector)?;
            let pod = |object: ask::Object| match object.typed {
                Typed::Pod(seen) => Some(seen.pod),
                _ => None,
            };
            Ok(objects.into_iter().filter_map(pod).collect())
        }
        [_] if selected => Err(Failure::error("only one of NAME or selector can be provided")),
        [name] => Ok(vec![ask::pod(&caller.paths, everywhere.namespace(), name)?.pod]),
        _ => Err(Failure::usage("pod [NAME | -l label]", "top pod")),
    }
}

/// Two looks at all that run.
fn measure(pods: &[Pod]) -> Vec<Line> {
    let look = |pod: &Pod, container: &str| {
        Usage::of(&Cgroup::of_container(pod.metadata.uid.as_deref().unwrap_or_default(), container))
    };
    let first: Vec<Vec<(String, Option<Usage>)>> =
        pods.iter().map(|pod| running(pod).map(|name| (name.to_owned(), look(pod, name))).collect()).collect();
    if first.iter().all(Vec::is_empty) {
        return Vec::new();
    }
    std::thread::sleep(BETWEEN);
    let used = |pod: &Pod, name: &str, earlier: Option<Usage>| {
        // One that has ended meanwhile is not there.
        let now = look(pod, name)?;
        let processor = earlier.and_then(|earlier| now.processor_since(&earlier));
        Some((name.to_owned(), Used { processor, memory: now.memory, swap: now.swap }))
    };
    let line = |(pod, containers): (&Pod, Vec<(String, Option<Usage>)>)| Line {
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        name: pod.metadata.name.clone().unwrap_or_default(),
        containers: containers.iter().filter_map(|(name, earlier)| used(pod, name, *earlier)).collect(),
    };
    pods.iter().zip(first).map(line).filter(|line| !line.containers.is_empty()).collect()
}

fn running(pod: &Pod) -> impl Iterator<Item = &str> {
    let runs = |status: &&ContainerStatus| status.state.as_ref().is_some_and(|state| state.running.is_some());
    let status = pod.status.iter();
    let lists = status.flat_map(|s| {
        [&s.init_container_statuses, &s.container_statuses, &s.ephemeral_container_statuses].into_iter().flatten()
    });
    lists.flatten().filter(runs).map(|status| status.name.as_str())
}

fn table(lines: &[Line], words: &PodWords) -> String {
    let mut text = String::new();
    let heading = |shown: bool, heading: &str| if shown { format!("{heading}\t") } else { String::new() };
    let columns = 3 + usize::from(words.show_swap);
    // kubectl forgets the two columns before the name where there are no headings.
    let before = if words.no_headers { 0 } else { usize::from(words.all_namespaces) + usize::from(words.containers) };
    if !words.no_headers {
        text.push_str(&heading(words.all_namespaces, "NAMESPACE"));
        text.push_str(&heading(words.containers, "POD"));
        text.push_str("NAME\tCPU(cores)\tMEMORY(bytes)\t");
        text.push_str(&heading(words.show_swap, "SWAP(bytes)"));
        text.push('\n');
    }
    for line in lines {
        let namespace = heading(words.all_namespaces, &line.namespace);
        if words.containers {
            for (container, used) in &line.containers {
                text.push_str(&format!("{namespace}{}\t{container}\t{}\n", line.name, used.cells(words.show_swap)));
            }
        } else {
            text.push_str(&format!("{namespace}{}\t{}\n", line.name, line.total().cells(words.show_swap)));
        }
    }
    if words.sum {
        let total = lines.iter().fold(Used::default(), |sum, line| sum.plus(line.total()));
        let values = columns - 1;
        let before = "\t".repeat((columns + before).saturating_sub(values));
        text.push_str(&format!("{before}{}\n", "________\t".repeat(values)));
        text.push_str(&format!("{before}{}\n", total.cells(words.show_swap)));
    }
    align(&text, TABLE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn words(line: &str) -> PodWords {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            words: PodWords,
        }
        <Alone as clap::Parser>::try_parse_from(std::iter::once("top").chain(line.split_whitespace())).unwrap().words
    }

    fn used(nano: u64, mebibytes: u64) -> Used {
        Used { processor: Some(nano), memory: Some(mebibytes << 20), swap: None }
    }

    /// As kubectl's printer does: a processor's thousandth that is begun counts, a mebibyte that is begun does not, and each
    /// cell is padded, the last one too.
    #[test]
    fn the_table_is_kubectls() {
        let line = |name: &str, containers: &[(&str, Used)]| Line {
            namespace: "default".to_owned(),
            name: name.to_owned(),
            containers: containers.iter().map(|(name, used)| ((*name).to_owned(), *used)).collect(),
        };
        let lines = [
            line("web", &[("app", used(1_000_001, 5)), ("side", used(0, 1))]),
            line("a", &[("x", used(250_000_000, 12))]),
        ];
        assert_eq!(
            table(&lines, &words("")),
            "NAME   CPU(cores)   MEMORY(bytes)   \nweb    2m           6Mi             \na      250m         12Mi            \n"
        );
        assert_eq!(
            table(&lines, &words("-A --containers --no-headers")),
            "default   web   app    2m     5Mi    \ndefault   web   side   0m     1Mi    \ndefault   a     x      250m   12Mi   \n"
        );
        assert_eq!(
            table(&lines[..1], &words("--sum --show-swap")),
            "NAME   CPU(cores)   MEMORY(bytes)   SWAP(bytes)   \n\
             web    2m           6Mi             <unknown>     \n\
             \x20      ________     ________        ________      \n\
             \x20      2m           6Mi             <unknown>     \n"
        );
    }
}
