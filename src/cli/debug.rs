//! `podlet debug`: a container of the user's own beside those of a pod that runs (an ephemeral container), in place of one
//! that keeps crashing (`--hold`), or in a copy of the pod. kubectl's words, flags and texts; `--hold` is podlet's own.

mod copy;
mod custom;
mod hold;
mod profile;

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use k8s_openapi::api::core::v1::{EphemeralContainer, Pod};
use serde_json::{Map, Value, json};

use super::apply::change;
use super::attach::{self, Beginning};
use super::everywhere::Everywhere;
use super::files::Filenames;
use super::logs::choose;
use super::resource::Kind;
use super::run::{is_over_already, print_log};
use super::watching::{Sight, Watch};
use super::{Caller, Failure, ask, files, resource};
use crate::image::Reference;
use crate::manifest::containers::find_container;
use crate::manifest::{default, update};
use crate::supervisor::client::{Client, ClientError};
use crate::supervisor::control::Request;
use crate::supervisor::kept::{self, Standing};
use custom::Custom;
use profile::Profile;

/// The words of `debug`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet debug web -it --image=busybox  a shell in the pod, with an image of its
                                        own
  podlet debug web -it --image=busybox --target=app
                                        that sees the processes of the container
                                        app
  podlet debug web -it --hold=app       a shell in place of app, in what app has
                                        left: its files, volumes, environment
                                        and user; app starts again behind it
  podlet debug web -it --image=busybox --custom=limits.yaml
                                        a shell with the resources, mounts, … of
                                        a file
  podlet debug web -it --copy-to=web2 -c app -- sh
                                        a copy of the pod in which app is a
                                        shell
  podlet debug web --copy-to=web2 --set-image='*=busybox'

What was added stays in the pod's spec and is never started again: podlet describe pod web shows how it ended.

Exit code: 0; 1 for an error.")]
pub struct Words {
    /// POD or pod/POD.
    #[arg(value_name = "POD")]
    pub words: Vec<String>,
    /// The pods of these manifests.
    #[command(flatten)]
    pub filenames: Filenames,
    /// The image of the new container.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// The new container's name; with --copy-to a container of the pod may be named.
    #[arg(short, long, value_name = "CONTAINER")]
    pub container: Option<String>,
    /// Sees the processes of this container.
    #[arg(long, value_name = "CONTAINER")]
    pub target: Option<String>,
    /// Stands in for this container, with its image, files, volumes, environment and user; it is not started until then.
    #[arg(long, value_name = "CONTAINER")]
    pub hold: Option<String>,
    /// Keeps standard input open, and attaches.
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// The container has a terminal.
    #[arg(short, long)]
    pub tty: bool,
    /// Attaches when the container runs; as -i says when absent.
    #[arg(long, value_name = "TRUTH", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub attach: Option<bool>,
    /// KEY=VALUE of its environment; again for each.
    #[arg(long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// Always, IfNotPresent or Never.
    #[arg(long, value_name = "POLICY")]
    pub image_pull_policy: Option<String>,
    /// What the container may do.
    #[arg(long, value_name = "general|baseline|restricted|netadmin|sysadmin|legacy")]
    pub profile: Option<String>,
    /// A file with a part of a container's spec, JSON or YAML, that is merged into the new container over its profile.
    #[arg(long, value_name = "FILE")]
    pub custom: Option<PathBuf>,
    /// The words behind -- are arguments for the image's command, not the command.
    #[arg(long)]
    pub arguments_only: bool,
    /// Makes a copy of the pod with this name instead.
    #[arg(long, value_name = "NAME")]
    pub copy_to: Option<String>,
    /// With --copy-to: NAME=IMAGE, a list; * is every container.
    #[arg(long, value_name = "NAME=IMAGE")]
    pub set_image: Vec<String>,
    /// With --copy-to: deletes the original.
    #[arg(long)]
    pub replace: bool,
    /// With --copy-to: on the same node, as everything is here.
    #[arg(long)]
    pub same_node: bool,
    /// With --copy-to: whether the copy's containers see each other's processes; true unless the pod says otherwise.
    #[arg(long, value_name = "TRUTH", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub share_processes: Option<bool>,
    /// With --copy-to: keeps labels.
    #[arg(long)]
    pub keep_labels: bool,
    /// With --copy-to: keeps annotations.
    #[arg(long)]
    pub keep_annotations: bool,
    /// With --copy-to: keeps liveness probes.
    #[arg(long)]
    pub keep_liveness: bool,
    /// With --copy-to: keeps readiness probes.
    #[arg(long)]
    pub keep_readiness: bool,
    /// With --copy-to: keeps startup probes.
    #[arg(long)]
    pub keep_startup: bool,
    /// With --copy-to: runs init containers, too.
    #[arg(long, value_name = "TRUTH", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub keep_init_containers: Option<bool>,
    /// Says nothing of podlet's own.
    #[arg(short, long)]
    pub quiet: bool,
    /// The command.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Debugs.
pub fn run(words: &Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let profile = Profile::read(words.profile.as_deref())?;
    let custom = Custom::read(words.custom.as_deref())?;
    words.check(caller)?;
    for (namespace, name) in words.pods(everywhere, caller)? {
        let seen = ask::pod(&caller.paths, &namespace, &name)?;
        let uid = seen.pod.metadata.uid.clone().unwrap_or_default();
        let manifest = kept::manifest(&caller.paths, &uid).map_err(|error| ask::kept_failure(&error))?;
        let manifest = manifest.unwrap_or_else(|| seen.pod.clone());
        let (pod, container) = match &words.copy_to {
            Some(copy) => copy::make(words, profile, &custom, &manifest, copy, everywhere, caller)?,
            None => {
                let (pod, container) = add(words, profile, &custom, manifest, seen.standing, caller)?;
                (pod, Some(container))
            }
        };
        caller.out.flush()?;
        if let Some(container) = container.filter(|_| words.attach.unwrap_or(words.stdin)) {
            words.stay(&pod, &container, caller)?;
        }
    }
    Ok(0)
}

impl Words {
    /// Namespace and name of each pod that is meant.
    fn pods(&self, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<Vec<(String, String)>, Failure> {
        let mut pods = Vec::new();
        for word in &self.words {
            if word.starts_with("node/") || word.starts_with("nodes/") {
                return Err(Failure::error(
                    "podlet has no nodes: what kubectl debug node/… shows is this machine, and you are on it",
                ));
            }
            pods.push((everywhere.namespace().to_owned(), resource::pod_name(word)?));
        }
        if self.filenames.is_empty() {
            return Ok(pods);
        }
        for (kind, namespace, name) in files::names(&self.filenames, everywhere, caller)? {
            if kind != Kind::Pod {
                let kind = kind.plural();
                return Err(Failure::Error(format!("{kind:?} not supported by debug")));
            }
            pods.push((namespace, name));
        }
        Ok(pods)
    }

    /// kubectl's rules of what goes with what, in its order.
    fn check(&self, caller: &mut Caller<'_>) -> Result<(), Failure> {
        let refuse = |text: &str| Err(Failure::error(text));
        let has_image = self.image.as_deref().is_some_and(|image| !image.is_empty());
        let named = self.container.as_deref().is_some_and(|name| !name.is_empty());
        if self.attach == Some(true) && !has_image && !named && self.hold.is_none() {
            return refuse("you must specify --container or create a new container using --image in order to attach.");
        }
        if self.copy_to.is_some() {
            if !has_image && self.set_image.is_empty() && self.command.is_empty() {
                return refuse("you must specify --image, --set-image or command arguments.");
            }
            if !self.command.is_empty() && !named && !has_image {
                return refuse("you must specify an existing container or a new image when specifying args.");
            }
        } else if self.replace {
            return refuse("--replace may only be used with --copy-to.");
        } else if self.same_node {
            return refuse("--same-node may only be used with --copy-to.");
        } else if !self.set_image.is_empty() {
            return refuse("--set-image may only be used with --copy-to.");
        } else if !has_image && self.hold.is_none() {
            return refuse("you must specify --image when not using --copy-to.");
        }
        if self.hold.is_some() {
            let beside = [
                ("--copy-to", self.copy_to.is_some()),
                ("--image", self.image.is_some()),
                ("--target", self.target.is_some()),
            ];
            if let Some((flag, _)) = beside.iter().find(|(_, given)| *given) {
                return Err(Failure::Error(format!(
                    "--hold and {flag} exclude each other: --hold is the container itself"
                )));
            }
        }
        if let Some(image) = self.image.as_deref().filter(|image| Reference::parse(image).is_err()) {
            return Err(Failure::Error(format!("invalid image name {image:?}: invalid reference format")));
        }
        if self.words.is_empty() && self.filenames.is_empty() {
            return refuse("NAME or filename is required for debug");
        }
        if let Some(other) =
            self.image_pull_policy.as_deref().filter(|p| !matches!(*p, "" | "Always" | "IfNotPresent" | "Never"))
        {
            return Err(Failure::Error(format!("invalid image pull policy: {other}")));
        }
        if let Some(target) = self.target.as_deref().filter(|target| !target.is_empty()) {
            if self.copy_to.is_some() {
                return refuse("--target is incompatible with --copy-to. Use --share-processes instead.");
            }
            if !self.quiet {
                caller.print(&format!("Targeting container {target:?}.\n"))?;
            }
        }
        if self.tty && !self.stdin {
            return refuse("-i/--stdin is required for containers with -t/--tty=true");
        }
        Ok(())
    }

    /// `--env`, as a container has it.
    fn environment(&self) -> Result<Vec<Value>, Failure> {
        let pairs = pairs(&self.env)?;
        Ok(pairs.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect())
    }

    /// `-c`, else a name that no container of the pod has.
    fn container_name(&self, pod: &Pod, caller: &mut Caller<'_>) -> Result<String, Failure> {
        if let Some(name) = self.container.as_deref().filter(|name| !name.is_empty()) {
            return Ok(name.to_owned());
        }
        let name = loop {
            let name = format!("debugger-{}", suffix()?);
            if find_container(pod, &name).is_none() {
                break name;
            }
        };
        if !self.quiet {
            caller.print(&format!("Defaulting debug container name to {name}.\n"))?;
        }
        Ok(name)
    }

    /// What the words say of the new container.
    fn describe(&self, container: &mut Map<String, Value>) -> Result<(), Failure> {
        if !self.command.is_empty() {
            let field = if self.arguments_only { "args" } else { "command" };
            container.insert(field.to_owned(), json!(self.command));
            if !self.arguments_only {
                container.remove("args");
            }
        }
        let environment = self.environment()?;
        if !environment.is_empty() {
            container.insert("env".to_owned(), Value::Array(environment));
        }
        for (field, value) in [("image", &self.image), ("imagePullPolicy", &self.image_pull_policy)] {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                container.insert(field.to_owned(), json!(value));
            }
        }
        for (field, value) in [("stdin", self.stdin), ("tty", self.tty)] {
            container.remove(field);
            if value {
                container.insert(field.to_owned(), json!(true));
            }
        }
        Ok(())
    }

    /// Waits until the container runs, and attaches; what has ended by then is read from its log.
    fn stay(&self, pod: &Pod, container: &str, caller: &mut Caller<'_>) -> Result<(), Failure> {
        let pod = self.wait(pod, container, caller)?;
        let runs = choose::status(&pod, container).and_then(|status| status.state.as_ref()?.running.as_ref()).is_some();
        if !runs {
            return print_log(&pod, container, caller);
        }
        let to = attach::Words {
            words: Vec::new(),
            container: Some(container.to_owned()),
            stdin: self.stdin,
            tty: self.tty,
            quiet: self.quiet,
            detach_keys: "ctrl-p,ctrl-q".to_owned(),
            pod_running_timeout: Duration::from_secs(60),
        };
        match attach::session(&pod, container, &to, Beginning::OfInstance, caller) {
            Err(Failure::Error(text)) if is_over_already(&text) => print_log(&pod, container, caller)?,
            Err(failure) => return Err(failure),
            Ok(_) => {}
        }
        if self.stdin && self.tty && !self.quiet && self.copy_to.is_none() && io::stdin().is_terminal() {
            let text = |field: &Option<String>| field.clone().unwrap_or_default();
            caller.print(&format!(
                "Session ended, the ephemeral container will not be restarted but may be reattached using 'podlet attach {} \
                 -c {container} -n {} -i -t' if it is still running\n",
                text(&pod.metadata.name),
                text(&pod.metadata.namespace)
            ))?;
        }
        Ok(())
    }

    fn wait(&self, pod: &Pod, container: &str, caller: &mut Caller<'_>) -> Result<Pod, Failure> {
        let mut watch = Watch::start(&caller.paths, pod.metadata.uid.as_deref().unwrap_or_default());
        let mut told = String::new();
        loop {
            let pod = match watch.next()? {
                Sight::State(pod, _) => *pod,
                Sight::Still(seen) => return Ok(seen.pod),
                Sight::Gone => {
                    return Err(Failure::not_found("pods", pod.metadata.name.as_deref().unwrap_or_default()));
                }
            };
            let state = choose::status(&pod, container).and_then(|status| status.state.clone()).unwrap_or_default();
            if state.running.is_some() || state.terminated.is_some() {
                return Ok(pod);
            }
            let message = state.waiting.and_then(|waiting| waiting.message).unwrap_or_default();
            if !self.quiet && !message.is_empty() && message != told {
                caller.notice(&format!("Warning: container {container}: {message}"));
                told = message;
            }
        }
    }
}

/// Adds an ephemeral container; answers the pod and the container's name.
fn add(
    words: &Words,
    profile: Profile,
    custom: &Custom,
    manifest: Pod,
    standing: Standing,
    caller: &mut Caller<'_>,
) -> Result<(Pod, String), Failure> {
    let pod_name = manifest.metadata.name.clone().unwrap_or_default();
    let uid = manifest.metadata.uid.clone().unwrap_or_default();
    if standing != Standing::Live {
        return Err(Failure::Server {
            reason: "Conflict",
            message: format!("pods {pod_name:?} does not run: an ephemeral container would never be started"),
        });
    }
    let held = match &words.hold {
        Some(held) => Some(hold::container(&manifest, held)?),
        None => None,
    };
    let name = words.container_name(&manifest, caller)?;
    let mut container = held.clone().unwrap_or_default();
    container.insert("name".to_owned(), json!(name));
    words.describe(&mut container)?;
    if let Some(target) = words.target.as_deref().filter(|target| !target.is_empty()) {
        container.insert("targetContainerName".to_owned(), json!(target));
    }
    // What stands in for a container may do what that may, unless something else is said.
    if held.is_none() || words.profile.is_some() {
        profile.apply(&mut container);
    }
    custom.apply(&mut container);
    let container: EphemeralContainer = serde_json::from_value(Value::Object(container))
        .map_err(|error| Failure::Error(format!("the container cannot be made: {error}")))?;
    if let Some(warning) = profile::warning(&manifest, container.security_context.as_ref()) {
        caller.notice(warning);
    }
    let mut changed = manifest.clone();
    if let Some(spec) = &mut changed.spec {
        spec.ephemeral_containers.get_or_insert_default().push(container);
    }
    default::pod(&mut changed);
    let errors = update::ephemeral_containers(&hold::as_validated(&changed, &name, held.is_some()), &manifest);
    if !errors.is_empty() {
        return Err(Failure::Text(change::invalid("Pod", &pod_name, &errors)));
    }
    let made = changed.spec.and_then(|spec| spec.ephemeral_containers).and_then(|mut list| list.pop());
    let container = Box::new(made.unwrap_or_default());
    let asked = Client::connect(&caller.paths, &uid).and_then(|client| {
        client.ask(&Request::Debug { container, holds: words.hold.clone() })?;
        client.state()
    });
    let pod = match asked {
        Ok((pod, _)) => pod,
        Err(ClientError::Refused(message)) => return Err(Failure::Server { reason: "Conflict", message }),
        Err(error) => return Err(Failure::Error(error.to_string())),
    };
    if let (Some(held), false) = (&words.hold, words.quiet) {
        hold::explain(&pod, held, &name, caller);
    }
    Ok((pod, name))
}

/// `KEY=VALUE` words, and lists of them with commas, as kubectl's flags take them.
fn pairs(words: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = Vec::new();
    for word in words {
        // With one sign a comma is part of the value.
        let parts: Vec<&str> = if word.matches('=').count() == 1 { vec![word] } else { word.split(',').collect() };
        for part in parts {
            let Some((key, value)) = part.split_once('=') else {
                return Err(Failure::Error(format!("{part} must be formatted as key=value")));
            };
            pairs.push((key.to_owned(), value.to_owned()));
        }
    }
    Ok(pairs)
}

/// Five letters that spell nothing, as Kubernetes makes them.
fn suffix() -> Result<String, Failure> {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut bytes = [0; 5];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| Failure::Error(format!("could not read /dev/urandom: {error}")))?;
    let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).copied().map_or('x', char::from);
    Ok(bytes.into_iter().map(letter).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pairs_of_flags() {
        let read = |words: &[&str]| pairs(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(read(&["a=1,2", "b="]).unwrap(), [pair("a", "1,2"), pair("b", "")]);
        assert_eq!(read(&["a=1,b=2"]).unwrap(), [pair("a", "1"), pair("b", "2")]);
        assert!(read(&["a"]).is_err());
    }

    #[test]
    fn a_suffix_has_five_letters_of_kubernetes() {
        let suffix = suffix().unwrap();
        assert!(suffix.len() == 5 && suffix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{suffix}");
    }
}
