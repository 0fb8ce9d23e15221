//! `podlet run`: a pod of one container from the command line, kubectl's flags and texts; attached, it is what `docker run` is.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::Args;
use k8s_openapi::api::core::v1::Pod;
use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};

use super::attach::{self, Beginning};
use super::dry_run::{ChangeWords, DryRun};
use super::ending::{self, Way};
use super::everywhere::Everywhere;
use super::logs::choose;
use super::logs::files::{Flow, Reader};
use super::outlook::{self, Judge, Outlook};
use super::pairs::Pairs;
use super::signals::Told;
use super::watching::{Sight, Watch, left, wait_readable};
use super::{Caller, Failure, duration, files, logs, patch, print, replace, revision};
use crate::image::Reference;
use crate::manifest::{self, Object, Options, Source};
use crate::supervisor::client::ClientError;
use crate::supervisor::kept::Claim;

/// The words of `run`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet run web --image=shop/app:1 --port=80  in the background
  podlet run shell --image=busybox -it --rm -- sh
                                               a shell, and nothing left of it
  podlet run job --image=busybox --restart=Never --env=MODE=test \\
      --command -- make all
  podlet run web --image=shop/app:1 --dry-run=client -o yaml > pod.yaml
  podlet run t --image=busybox -it --rm \\
      --overrides='{\"spec\":{\"hostNetwork\":true}}' -- sh

Exit code: attached, with --rm or --restart=Never, the container's; else 0, 1 for an error.")]
pub struct Words {
    /// The pod's name.
    #[arg(value_name = "NAME")]
    pub name: Vec<String>,
    /// The container's image.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// KEY=VALUE of its environment; again for each.
    #[arg(long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// A port that it listens at.
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// KEY=VALUE,…; without it run=NAME.
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub labels: Option<String>,
    /// KEY=VALUE; again for each.
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotations: Vec<String>,
    /// Always, OnFailure or Never. Always when absent; Never with --rm, as nobody would see a restart.
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Always, IfNotPresent or Never.
    #[arg(long, value_name = "POLICY")]
    pub image_pull_policy: Option<String>,
    /// The words behind -- are the command, in place of the image's; else its arguments.
    #[arg(long)]
    pub command: bool,
    /// With all the machine's devices and capabilities.
    #[arg(long)]
    pub privileged: bool,
    /// JSON that is put over the pod.
    #[arg(long, value_name = "JSON")]
    pub overrides: Option<String>,
    /// How: merge (RFC 7386), strategic (lists by the names of their items) or json (operations, RFC 6902).
    #[arg(long, value_name = "json|merge|strategic", default_value = "merge")]
    pub override_type: String,
    /// Passes standard input on, and attaches.
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// The container has a terminal.
    #[arg(short, long)]
    pub tty: bool,
    /// Shows what the container writes until it ends; with -i it does so anyway.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "TRUTH")]
    pub attach: Option<bool>,
    /// The container's standard input stays open when the caller's has ended.
    #[arg(long)]
    pub leave_stdin_open: bool,
    /// Deletes the pod at the end.
    #[arg(long)]
    pub rm: bool,
    /// Says nothing of podlet's own.
    #[arg(short, long)]
    pub quiet: bool,
    /// Keys that let go of the container, which goes on.
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub detach_keys: String,
    /// How long it may take until the container runs.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration::parse)]
    pub pod_running_timeout: Duration,
    /// For kubectl's users: podlet has no Services.
    #[arg(long, hide = true)]
    pub expose: bool,
    /// How far, and what is printed of it.
    #[command(flatten)]
    pub change: ChangeWords,
    /// The command, or its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub arguments: Vec<String>,
}

/// Runs.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let (dry_run, output) = words.change.read()?;
    let attached = words.attach.unwrap_or(words.stdin);
    let policy = words.check(attached, dry_run)?;
    let value = words.pod(policy, everywhere)?;
    let sentence = format!("created{}", dry_run.note());
    if dry_run == DryRun::Client {
        output.print_change(&value, &sentence, caller)?;
        return Ok(0);
    }
    let mut sent = value;
    if let Some(object) = sent.as_object_mut() {
        object.remove("status");
    }
    let source = Source { name: "run".to_owned(), bytes: serde_json::to_vec(&sent).unwrap_or_default() };
    let options = Options { namespace: everywhere.namespace.clone(), ..Options::default() };
    let judged = if dry_run == DryRun::Server { manifest::dry_run } else { manifest::load };
    let loaded = judged(&[source], &options).map_err(|rejected| files::refusal(&rejected))?;
    loaded.warnings.iter().for_each(|text| caller.notice(&format!("Warning: {text}")));
    loaded.notices.iter().for_each(|text| caller.notice(&format!("Note: {text}")));
    let Some(object @ Object::Pod(_)) = loaded.objects.first() else {
        return Err(Failure::error("--overrides must leave the object a Pod"));
    };
    if dry_run == DryRun::Server {
        output.print_change(&print::wire::object(object), &sentence, caller)?;
        return Ok(0);
    }
    // From here on an interrupt ends the wait and not this process: with --rm nothing may stay behind.
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter();
    let told: std::io::Result<Vec<Told>> = match attached {
        true => signals.map(|signal| Told::new(signal as i32)).collect(),
        false => Ok(Vec::new()),
    };
    let told = told.map_err(|error| Failure::Error(format!("could not take up signals: {error}")))?;
    let choices = replace::usual_choices(everywhere, caller)?;
    replace::make(object, &choices, caller)?;
    if !attached {
        replace::show(object, &sentence, &output, caller)?;
        return Ok(0);
    }
    let target = revision::target(object);
    let claim = super::ask::find_claim(&caller.paths, &target.namespace, &target.name)?
        .ok_or_else(|| Failure::not_found("pods", &target.name))?;
    let run = Run { words, policy, claim, told };
    let outcome = run.attached(caller);
    if words.rm {
        run.remove(caller)?;
    }
    outcome
}

impl Words {
    /// kubectl's rules of what goes with what, in its order; answers the restart policy.
    fn check(&self, attached: bool, dry_run: DryRun) -> Result<&str, Failure> {
        if self.name.is_empty() {
            return Err(Failure::usage("NAME is required for run", "run"));
        }
        let Some(image) = self.image.as_deref() else {
            return Err(Failure::error("required flag(s) \"image\" not set"));
        };
        if image.is_empty() {
            return Err(Failure::error("--image is required"));
        }
        if Reference::parse(image).is_err() {
            return Err(Failure::Error(format!("Invalid image name {image:?}: invalid reference format")));
        }
        if self.tty && !self.stdin {
            return Err(Failure::usage("-i/--stdin is required for containers with -t/--tty=true", "run"));
        }
        if self.expose {
            return Err(Failure::error("podlet has no Services to expose a pod with; its address is its own"));
        }
        let policy = match self.restart.as_deref() {
            None | Some("") if self.rm => "Never",
            None => "Always",
            Some("") if self.stdin => "OnFailure",
            Some("") => "Always",
            Some(policy @ ("Always" | "OnFailure" | "Never")) => policy,
            Some(other) => return Err(Failure::usage(format!("invalid restart policy: {other}"), "run")),
        };
        if self.rm && !attached {
            return Err(Failure::usage("--rm should only be used for attached containers", "run"));
        }
        if attached && dry_run != DryRun::None {
            return Err(Failure::usage(
                "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)",
                "run",
            ));
        }
        match self.image_pull_policy.as_deref() {
            None | Some("" | "Always" | "IfNotPresent" | "Never") => Ok(policy),
            Some(other) => Err(Failure::usage(format!("invalid image pull policy: {other}"), "run")),
        }
    }

    /// The pod that the words describe, as kubectl makes it.
    fn pod(&self, policy: &str, everywhere: &Everywhere) -> Result<Value, Failure> {
        let name = self.name.first().map(String::as_str).unwrap_or_default();
        let mut metadata = Map::new();
        if let Some(namespace) = &everywhere.namespace {
            metadata.insert("namespace".to_owned(), json!(namespace));
        }
        let labels = match self.labels.as_deref().filter(|labels| !labels.is_empty()) {
            None => vec![("run".to_owned(), name.to_owned())],
            Some(labels) => parse_labels(labels)?,
        };
        metadata.insert("labels".to_owned(), labels.into_iter().map(|(key, value)| (key, json!(value))).collect());
        metadata.insert("name".to_owned(), json!(name));
        let annotations = Pairs::read(&self.annotations, "annotations", false)?.set;
        if !annotations.is_empty() {
            let annotations = annotations.into_iter().map(|(key, value)| (key, json!(value))).collect();
            metadata.insert("annotations".to_owned(), annotations);
        }
        let mut container = Map::new();
        container.insert("name".to_owned(), json!(name));
        container.insert("image".to_owned(), json!(self.image));
        container.insert("resources".to_owned(), json!({}));
        // kubectl takes what stands before `--` behind the name for arguments, too.
        let arguments: Vec<&String> = self.name.iter().skip(1).chain(&self.arguments).collect();
        if !arguments.is_empty() {
            let field = if self.command { "command" } else { "args" };
            container.insert(field.to_owned(), json!(arguments));
        }
        if !self.env.is_empty() {
            let variables = self.env.iter().map(|word| match word.split_once('=') {
                Some((name, value)) if !name.is_empty() => Ok(json!({"name": name, "value": value})),
                _ => Err(Failure::Error(format!("invalid env: {word}"))),
            });
            container.insert("env".to_owned(), Value::Array(variables.collect::<Result<_, _>>()?));
        }
        if let Some(port) = self.port.as_deref().filter(|port| !port.is_empty()) {
            let port: i32 =
                port.parse().map_err(|_| Failure::Error(format!("strconv.Atoi: parsing {port:?}: invalid syntax")))?;
            container.insert("ports".to_owned(), json!([{"containerPort": port}]));
        }
        if let Some(policy) = self.image_pull_policy.as_deref().filter(|policy| !policy.is_empty()) {
            container.insert("imagePullPolicy".to_owned(), json!(policy));
        }
        if self.privileged {
            container.insert("securityContext".to_owned(), json!({"privileged": true}));
        }
        if self.stdin {
            container.insert("stdin".to_owned(), json!(true));
            if !self.leave_stdin_open {
                container.insert("stdinOnce".to_owned(), json!(true));
            }
        }
        if self.tty {
            container.insert("tty".to_owned(), json!(true));
        }
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {"containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": policy},
            "status": {},
        });
        if let Some(overrides) = self.overrides.as_deref().filter(|overrides| !overrides.is_empty()) {
            let overrides: Value = serde_json::from_str(overrides)
                .map_err(|error| Failure::Error(format!("--overrides is not JSON: {error}")))?;
            let Some(way) = patch::Way::parse(&self.override_type) else {
                return Err(Failure::Error(format!(
                    "invalid override type: {:?}; it must be json, merge or strategic",
                    self.override_type
                )));
            };
            pod = patch::patched(way, &pod, &overrides)?;
        }
        Ok(pod)
    }
}

fn parse_labels(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let label = |label: &str| match label.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.contains('=') => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Failure::Error(format!("unexpected label spec: {label}"))),
    };
    text.split(',').map(label).collect()
}

/// How the container was found.
enum Found {
    /// It runs.
    Running(Box<Pod>),
    /// It has run, and will not again by itself.
    Over(Box<Pod>),
    /// The caller has had enough.
    Interrupted(u8),
}

/// A pod that was made and is stayed with.
struct Run<'a> {
    words: &'a Words,
    policy: &'a str,
    claim: Claim,
    told: Vec<Told>,
}

impl Run<'_> {
    /// Shows what the container writes and passes input on until it ends; answers the exit code.
    fn attached(&self, caller: &mut Caller<'_>) -> Result<u8, Failure> {
        let words = self.words;
        let container = match self.find(caller)? {
            Found::Interrupted(code) => return Ok(code),
            Found::Over(pod) => {
                let container = choose::default_container(&pod, true, caller)?;
                print_log(&pod, &container, caller)?;
                return self.code(&pod, &container, caller);
            }
            Found::Running(pod) => {
                let container = choose::default_container(&pod, true, caller)?;
                let to = attach::Words {
                    words: Vec::new(),
                    container: Some(container.clone()),
                    stdin: words.stdin,
                    tty: words.tty,
                    quiet: words.quiet,
                    detach_keys: words.detach_keys.clone(),
                    pod_running_timeout: words.pod_running_timeout,
                };
                // It may end in this moment: then its log has all.
                match attach::session(&pod, &container, &to, Beginning::OfInstance, caller) {
                    Err(Failure::Error(text)) if is_over_already(&text) => print_log(&pod, &container, caller)?,
                    Err(failure) => return Err(failure),
                    Ok(code) if code > 128 => return Ok(code),
                    Ok(_) => {}
                }
                container
            }
        };
        if self.policy == "Always" || words.leave_stdin_open {
            return Ok(0);
        }
        match self.until_over(caller)? {
            Found::Over(pod) | Found::Running(pod) => self.code(&pod, &container, caller),
            Found::Interrupted(code) => Ok(code),
        }
    }

    /// Waits until the container runs, or has run.
    fn find(&self, caller: &mut Caller<'_>) -> Result<Found, Failure> {
        let deadline = Instant::now().checked_add(self.words.pod_running_timeout);
        let mut judge = Judge::default();
        self.watch(deadline, caller, |pod| {
            let running = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
            let states: Vec<_> = running.filter_map(|status| status.state.as_ref()).collect();
            if states.iter().any(|state| state.running.is_some()) {
                return Some(Ok(Found::Running(Box::new(pod.clone()))));
            }
            if matches!(outlook::phase(pod), "Succeeded" | "Failed") && states.iter().any(|s| s.terminated.is_some()) {
                return Some(Ok(Found::Over(Box::new(pod.clone()))));
            }
            match judge.look(pod) {
                // That it ended is told when its phase says so; here only what keeps it from beginning.
                Some(Outlook::Never(why, _)) if !states.iter().any(|state| state.terminated.is_some()) => {
                    Some(Err(Failure::Error(why)))
                }
                _ => None,
            }
        })
    }

    /// Waits for the final phase.
    fn until_over(&self, caller: &mut Caller<'_>) -> Result<Found, Failure> {
        let fails_for_good = self.policy == "Never";
        self.watch(None, caller, |pod| match outlook::phase(pod) {
            "Succeeded" => Some(Ok(Found::Over(Box::new(pod.clone())))),
            "Failed" if fails_for_good => Some(Ok(Found::Over(Box::new(pod.clone())))),
            _ => None,
        })
    }

    fn watch(
        &self,
        deadline: Option<Instant>,
        caller: &Caller<'_>,
        mut verdict: impl FnMut(&Pod) -> Option<Result<Found, Failure>>,
    ) -> Result<Found, Failure> {
        let mut watch = Watch::start(&caller.paths, &self.claim.uid);
        let mut why = String::new();
        loop {
            if let Some(descriptor) = watch.descriptor() {
                let descriptors: Vec<_> = [descriptor].into_iter().chain(self.told.iter().map(AsFd::as_fd)).collect();
                wait_readable(&descriptors, left(deadline));
            }
            if let Some(signal) = self.told.iter().find(|told| told.take() > 0).map(|told| told.signal) {
                return Ok(Found::Interrupted(u8::try_from(128 + signal).unwrap_or(1)));
            }
            match watch.next_before(deadline)? {
                None => return Err(Failure::Error(format!("timed out waiting for the condition{why}"))),
                Some(Sight::Gone) => return Err(Failure::not_found("pods", &self.claim.name)),
                Some(Sight::State(pod, _)) => {
                    why = waiting_for(&pod);
                    if let Some(verdict) = verdict(&pod) {
                        return verdict;
                    }
                }
                Some(Sight::Still(seen)) => return Ok(Found::Over(Box::new(seen.pod))),
            }
        }
    }

    /// How the pod ended, as kubectl says it.
    fn code(&self, pod: &Pod, container: &str, caller: &mut Caller<'_>) -> Result<u8, Failure> {
        let full = format!("{}/{}", self.claim.namespace, self.claim.name);
        if outlook::phase(pod) == "Succeeded" {
            return Ok(0);
        }
        let ended = choose::status(pod, container).and_then(|status| status.state.as_ref()?.terminated.as_ref());
        let Some(ended) = ended.filter(|ended| ended.exit_code != 0) else {
            return Err(Failure::Error(match outlook::phase(pod) {
                "Failed" => format!("pod {full} failed with unknown exit code"),
                phase => format!("pod {full} left in phase {phase}"),
            }));
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        if !self.words.quiet {
            caller.notice(
                format!("pod {full} terminated ({})\n{}", text(&ended.reason), text(&ended.message)).trim_end(),
            );
        }
        // Exit codes have eight bits; a code that none can stand for is still no success.
        Ok(u8::try_from(ended.exit_code).unwrap_or(1))
    }

    /// `--rm`. Where the container has ended the name is free when this comes back.
    fn remove(&self, caller: &mut Caller<'_>) -> Result<(), Failure> {
        ending::ask(&caller.paths, &self.claim, Way::default())?;
        if !self.words.quiet {
            let Claim { namespace, name, .. } = &self.claim;
            caller.print(&format!("pod {name:?} deleted from {namespace} namespace\n"))?;
            caller.out.flush()?;
        }
        if self.policy != "Always" {
            let patience = Instant::now().checked_add(Duration::from_secs(2));
            ending::wait_gone(&self.claim, patience, caller)?;
        }
        Ok(())
    }
}

/// Whether it ended between the look at it and the attachment: the container, or its pod with the supervisor.
pub fn is_over_already(text: &str) -> bool {
    let hung_up = ClientError::HungUp.to_string();
    text.contains("container not found")
        || text.contains(&hung_up)
        || text.contains(&ClientError::NotRunning.to_string())
}

/// Why the container does not run, as far as its status says it.
fn waiting_for(pod: &Pod) -> String {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let mut waiting = statuses.filter_map(|status| status.state.as_ref()?.waiting.as_ref());
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    match waiting.next() {
        None => String::new(),
        Some(waiting) => match (text(&waiting.reason), text(&waiting.message)) {
            (reason, message) if message.is_empty() => format!("; {reason}"),
            (reason, message) => format!("; {reason}: {message}"),
        },
    }
}

/// All that the newest instance has written.
pub fn print_log(pod: &Pod, container: &str, caller: &mut Caller<'_>) -> Result<(), Failure> {
    let directory = logs::follow::directory(&caller.paths, pod, container);
    let attempt = choose::attempt(pod, container, false).unwrap_or(0);
    Reader::new(&directory, attempt).read(&mut |record| {
        let mut bytes = record.content.to_vec();
        bytes.extend(record.full.then_some(b'\n'));
        match record.stream {
            crate::supervisor::cri::Stream::Stderr => caller.err.write_all(&bytes)?,
            crate::supervisor::cri::Stream::Stdout => caller.out.write_all(&bytes)?,
        }
        Ok(Flow::On)
    })?;
    caller.out.flush()?;
    Ok(())
}
