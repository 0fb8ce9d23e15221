//! `podlet logs`: what containers have written, read from the CRI log files.

pub mod choose;
pub mod files;
pub mod follow;
pub mod lines;
mod supervisor;

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::everywhere::Everywhere;
use super::resource::{self, Kind};
use super::select::Selector;
use super::{Caller, Failure, ask, duration, select};
use files::Reader;
use follow::Follower;
use lines::{Lines, Shape, Share};

/// Of pods chosen by label kubectl shows so many lines each, unless told otherwise.
const TAIL_OF_SELECTED: i64 = 10;

/// kubectl's words for a line without a pod, or with more than a container behind it.
const EXPECTED: &str = "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument \
                        for the logs command";

/// The words of `logs`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet logs web               the one container's output so far
  podlet logs -f web -c app     and what comes, over restarts
  podlet logs -p web            of the instance before the last restart
  podlet logs web --all-containers --prefix --timestamps
  podlet logs web --since=5m --tail=20
  podlet logs --supervisor web  what podlet itself did, for finding a fault")]
pub struct Words {
    /// POD or pod/POD, and perhaps a container.
    #[arg(value_name = "POD")]
    pub words: Vec<String>,
    /// Goes on with what comes.
    #[arg(short, long)]
    pub follow: bool,
    /// Of the previous instance.
    #[arg(short, long)]
    pub previous: bool,
    /// Of this container.
    #[arg(short, long, value_name = "CONTAINER")]
    pub container: Option<String>,
    /// Of all containers.
    #[arg(long)]
    pub all_containers: bool,
    /// Of all pods with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Only lines newer than this duration: 5s, 2m, 3h.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub since: Option<Duration>,
    /// Only lines since this time: 2026-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub since_time: Option<String>,
    /// Only so many lines from the end; -1 for all.
    #[arg(long, value_name = "LINES", allow_negative_numbers = true)]
    pub tail: Option<i64>,
    /// Puts its time before each line.
    #[arg(long)]
    pub timestamps: bool,
    /// Puts pod and container before each line.
    #[arg(long)]
    pub prefix: bool,
    /// The same; for kubectl's users, whose Deployments have several pods.
    #[arg(long)]
    pub all_pods: bool,
    /// What the pod's supervisor says of itself; with --tail.
    #[arg(long)]
    pub supervisor: bool,
    /// At most so many bytes.
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true)]
    pub limit_bytes: Option<i64>,
    /// Goes on with the others when the log of one cannot be had.
    #[arg(long)]
    pub ignore_errors: bool,
    /// So many logs at once are followed with -l.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub max_log_requests: usize,
}

/// Prints logs.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let (name, container) = names(words)?;
    if words.supervisor {
        return match (&name, &container) {
            (Some(name), None) => supervisor::print(name, everywhere.namespace(), words, caller),
            _ => Err(usage("expected 'logs --supervisor POD': a pod has one supervisor for all its containers")),
        };
    }
    let shape = shape(words, caller)?;
    let pods = match (&name, &words.selector) {
        (Some(name), _) => vec![named(name, everywhere.namespace(), caller)?],
        (None, Some(selector)) => selected(selector, everywhere.namespace(), caller)?,
        (None, None) => {
            return Err(usage(EXPECTED));
        }
    };
    let mut chosen = Vec::new();
    for pod in &pods {
        for container in containers(pod, container.as_deref(), words, caller)? {
            chosen.push((pod, container));
        }
    }
    if words.follow && words.selector.is_some() && chosen.len() > words.max_log_requests {
        return Err(Failure::Error(format!(
            "you are attempting to follow {} log streams, but maximum allowed concurrency is {}, use --max-log-requests to \
             increase the limit",
            chosen.len(),
            words.max_log_requests
        )));
    }
    let mut lines = Lines::new(shape);
    let mut begun = Vec::new();
    for (number, (pod, container)) in chosen.iter().enumerate() {
        let mut share = share(pod, container, words);
        match begin(pod, container, words, caller) {
            Ok(None) => {}
            Ok(Some((attempt, mut reader))) if !words.follow || words.previous => {
                reader.read(&mut |record| Ok(lines.print(number, &mut share, record, caller)?))?;
                tracing::debug!(container, attempt, "read");
            }
            Ok(Some((attempt, reader))) => begun.push((*pod, container, attempt, reader, share)),
            Err(failure) if words.ignore_errors => {
                caller.notice(&failure.text().unwrap_or_default());
            }
            Err(failure) => return Err(failure),
        }
    }
    if begun.is_empty() {
        return Ok(0);
    }
    let mut follower = Follower::new(&caller.paths, lines)?;
    for (pod, container, attempt, reader, share) in begun {
        let uid = &pod.metadata.uid;
        let known = follower.pods.iter().position(|followed| followed.pod.metadata.uid == *uid);
        let number = known.unwrap_or_else(|| follower.add_pod(pod.clone()));
        follower.add(number, container, attempt, Some(reader), share);
    }
    while follower.print(caller)? {
        follower.wait(&[], Duration::MAX)?;
    }
    Ok(0)
}

fn usage(text: &str) -> Failure {
    Failure::Error(format!("{text}\nSee 'podlet logs -h' for help and examples"))
}

/// The pod and the container that are named, with kubectl's refusals.
fn names(words: &Words) -> Result<(Option<String>, Option<String>), Failure> {
    let (pod, inline) = match words.words.as_slice() {
        [] => (None, None),
        [pod] => (Some(pod), None),
        [pod, container] => (Some(pod), Some(container)),
        _ => return Err(usage(EXPECTED)),
    };
    if pod.is_some() && words.selector.is_some() {
        return Err(usage("only a selector (-l) or a POD name is allowed"));
    }
    if inline.is_some() && words.container.is_some() {
        return Err(usage("only one of -c or an inline [CONTAINER] arg is allowed"));
    }
    let container = words.container.as_ref().or(inline).filter(|name| !name.is_empty());
    if let Some(container) = container.filter(|_| words.all_containers) {
        let text = format!("--all-containers=true should not be specified with container name {container}");
        return Err(Failure::Error(text));
    }
    if words.tail.is_some_and(|tail| tail < -1) {
        return Err(Failure::error("--tail must be greater than or equal to -1"));
    }
    if words.limit_bytes.is_some_and(|limit| limit < 0) {
        return Err(Failure::error("--limit-bytes must be greater than 0"));
    }
    Ok((pod.map(|word| resource::pod_name(word)).transpose()?, container.cloned()))
}

fn shape(words: &Words, caller: &Caller<'_>) -> Result<Shape, Failure> {
    let since = match (words.since.filter(|since| !since.is_zero()), &words.since_time) {
        (Some(_), Some(_)) => {
            return Err(Failure::error("at most one of `sinceTime` or `sinceSeconds` may be specified"));
        }
        // To the whole second, as kubectl asks for it.
        (Some(since), None) => {
            let seconds = i64::try_from(since.as_secs() + u64::from(since.subsec_millis() >= 500)).unwrap_or(i64::MAX);
            Some(caller.now().checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN))
        }
        (None, Some(time)) => Some(time.parse().map_err(|error| {
            Failure::Error(format!("--since-time {time:?} is no time such as 2026-01-01T00:00:00Z: {error}"))
        })?),
        (None, None) => None,
    };
    Ok(Shape { timestamps: words.timestamps, since })
}

fn named(name: &str, namespace: &str, caller: &Caller<'_>) -> Result<Pod, Failure> {
    match ask::find_pod(&caller.paths, namespace, name)? {
        Some(seen) => Ok(seen.pod),
        // kubectl's words for a pod that is looked for by `logs`.
        None => Err(Failure::Error(format!(
            "error from server (NotFound): pods {name:?} not found in namespace {namespace:?}"
        ))),
    }
}

fn selected(selector: &str, namespace: &str, caller: &mut Caller<'_>) -> Result<Vec<Pod>, Failure> {
    let selector = Selector::parse(Kind::Pod, Some(selector), None)?;
    let mut pods = Vec::new();
    for object in ask::list(&caller.paths, Kind::Pod, Some(namespace), &selector)? {
        if let ask::Typed::Pod(seen) = object.typed {
            pods.push(seen.pod);
        }
    }
    if pods.is_empty() {
        caller.notice(&select::nothing(Some(namespace)));
    }
    Ok(pods)
}

/// Which containers of a pod.
fn containers(pod: &Pod, named: Option<&str>, words: &Words, caller: &mut Caller<'_>) -> Result<Vec<String>, Failure> {
    if words.all_containers {
        return Ok(in_order_of_start(pod));
    }
    match named {
        Some(name) => choose::check_container(pod, name).map(|()| vec![name.to_owned()]),
        None => choose::default_container(pod, false, caller).map(|name| vec![name]),
    }
}

/// All of them: init containers first, ephemeral ones last.
pub fn in_order_of_start(pod: &Pod) -> Vec<String> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let init = spec.init_containers.iter().flatten().map(|c| c.name.clone());
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|c| c.name.clone());
    init.chain(spec.containers.iter().map(|c| c.name.clone())).chain(ephemeral).collect()
}

fn share(pod: &Pod, container: &str, words: &Words) -> Share {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    Share {
        prefix: if words.prefix || words.all_pods { format!("[pod/{name}/{container}] ") } else { String::new() },
        left: words.limit_bytes.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0),
    }
}

/// The instance that is meant and where to begin in its log. None: the pod has been given to no machine yet, and an API
/// server answers with nothing.
fn begin(pod: &Pod, container: &str, words: &Words, caller: &Caller<'_>) -> Result<Option<(u32, Reader)>, Failure> {
    if pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref().unwrap_or_default().is_empty()) {
        return Ok(None);
    }
    let attempt = choose::attempt(pod, container, words.previous)?;
    let mut reader = Reader::new(&follow::directory(&caller.paths, pod, container), attempt);
    let tail = match words.tail {
        None if words.selector.is_some() && !words.follow => TAIL_OF_SELECTED,
        None => -1,
        Some(lines) => lines,
    };
    if let Ok(lines) = u64::try_from(tail) {
        reader.skip_to_tail(lines)?;
    }
    Ok(Some((attempt, reader)))
}
