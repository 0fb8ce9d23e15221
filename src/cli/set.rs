//! `podlet set`: fields of pods that are there, changed from the command line. Images, cpu and memory may change while a pod
//! runs; the environment may not, and is answered with the API server's refusal.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::dry_run::{ChangeWords, DryRun};
use super::everywhere::Everywhere;
use super::files::Filenames;
use super::output::Output;
use super::pairs::{self, Pairs};
use super::print::wire;
use super::resource::Kind;
use super::revision::{self, Refused};
use super::targets::{Selection, Target, Targets};
use super::{Caller, Failure, ask, files};
use crate::manifest::Object;
use crate::manifest::quantity::Quantity;

/// The words of `set`.
#[derive(Subcommand, Debug)]
pub enum Words {
    /// Change images; the containers are started anew with them.
    Image(Image),
    /// Change the environment; pods that are there refuse it, and are told how.
    Env(Env),
    /// Change cpu and memory, in place or by a restart, as resizePolicy says.
    Resources(Resources),
}

/// Which pods, and how it is said.
#[derive(Args, Clone, Debug)]
pub struct Of {
    /// The objects of these manifests.
    #[command(flatten)]
    pub filenames: Filenames,
    /// All of the type.
    #[arg(long)]
    pub all: bool,
    /// Those with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Changes what the manifests of -f say, prints it, and asks for no object that is there.
    #[arg(long)]
    pub local: bool,
    /// How far, and what is printed of it.
    #[command(flatten)]
    pub change: ChangeWords,
}

/// The words of `set image`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet set image pod/web app=shop/app:2        of one container
  podlet set image pods -l app=web '*=busybox'   of all containers")]
pub struct Image {
    /// pod NAME or pod/NAME …, then CONTAINER=IMAGE …; * means all containers.
    #[arg(value_name = "TYPE[/NAME]")]
    pub words: Vec<String>,
    /// Which.
    #[command(flatten)]
    pub of: Of,
}

/// The words of `set env`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet set env pod/web --list
  podlet set env pod/web MODE=test --dry-run=client -o yaml |
      podlet replace --force -f -")]
pub struct Env {
    /// pod NAME or pod/NAME …, then KEY=VALUE … to set and KEY- to remove.
    #[arg(value_name = "TYPE[/NAME]")]
    pub words: Vec<String>,
    /// Containers of this name; * for any letters.
    #[arg(short = 'c', long = "containers", value_name = "CONTAINER", default_value = "*")]
    pub containers: String,
    /// KEY=VALUE to set; again for each.
    #[arg(short = 'e', long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// With =false it is an error when a variable is there already.
    #[arg(
        long,
        value_name = "TRUTH",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        hide_default_value = true,
        action = clap::ArgAction::Set
    )]
    pub overwrite: bool,
    /// Shows the environment.
    #[arg(long)]
    pub list: bool,
    /// Which.
    #[command(flatten)]
    pub of: Of,
}

/// The words of `set resources`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet set resources pod/web -c app --limits=cpu=500m,memory=64Mi")]
pub struct Resources {
    /// pod NAME or pod/NAME ….
    #[arg(value_name = "TYPE[/NAME]")]
    pub words: Vec<String>,
    /// Containers of this name; * for any letters.
    #[arg(short = 'c', long = "containers", value_name = "CONTAINER", default_value = "*")]
    pub containers: String,
    /// cpu=500m,memory=64Mi
    #[arg(long, value_name = "AMOUNTS")]
    pub limits: Option<String>,
    /// cpu=100m,memory=32Mi
    #[arg(long, value_name = "AMOUNTS")]
    pub requests: Option<String>,
    /// Which.
    #[command(flatten)]
    pub of: Of,
}

/// What is set, in kubectl's sentences.
#[derive(Clone, Copy)]
struct What {
    done: &'static str,
    failed: &'static str,
}

const NO_TARGET: &str = "one or more resources must be specified as <resource> <name> or <resource>/<name>";

/// Sets.
pub fn run(words: Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    match words {
        Words::Image(words) => image(&words, everywhere, caller),
        Words::Env(words) => env(&words, everywhere, caller),
        Words::Resources(words) => resources(&words, everywhere, caller),
    }
}

fn image(words: &Image, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let (resources, pairs) = pairs::part(&words.words, "image")?;
    let images = Pairs::read(&pairs, "image", false)?.set;
    let mut faults = words.of.faults(&resources);
    if images.is_empty() {
        faults.push(Failure::error("at least one image update is required"));
    } else if images.len() > 1 && images.iter().any(|(container, _)| container == "*") {
        faults.push(Failure::error(
            "all containers are already specified by *, but saw more than one container_name=container_image pairs",
        ));
    }
    Failure::all(faults)?;
    let what = What { done: "image updated", failed: "failed to patch image update to pod template: " };
    change(resources, &words.of, what, everywhere, caller, |pod| {
        let mut missing = Vec::new();
        for (name, image) in &images {
            let mut found = false;
            for container in containers(pod).filter(|container| name == "*" || container.name == *name) {
                container.image = Some(image.clone());
                found = true;
            }
            if !found {
                missing.push(Failure::Error(format!("unable to find container named {name:?}")));
            }
        }
        missing
    })
}

fn env(words: &Env, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let (resources, mut pairs) = pairs::part(&words.words, "environment")?;
    pairs.extend(words.env.iter().cloned());
    let pairs = Pairs::read(&pairs, "environment", true)?;
    Failure::all(words.of.faults(&resources))?;
    if words.list {
        let mut text = String::new();
        for target in words.of.targets(&resources, everywhere, caller)? {
            let Some(Object::Pod(mut pod)) = revision::read(&caller.paths, &target)? else {
                return Err(Failure::not_found(target.kind.plural(), &target.name));
            };
            for container in containers(&mut pod).filter(|container| fits(&container.name, &words.containers)) {
                text.push_str(&format!("# Pod {}, container {}\n", target.name, container.name));
                for variable in container.env.iter().flatten() {
                    match &variable.value_from {
                        None => {
                            let value = variable.value.as_deref().unwrap_or_default();
                            text.push_str(&format!("{}={value}\n", variable.name));
                        }
                        Some(_) => text.push_str(&format!("# {} from a reference\n", variable.name)),
                    }
                }
            }
        }
        caller.print(&text)?;
        return Ok(0);
    }
    if pairs.is_empty() {
        return Err(Failure::error("at least one environment variable must be provided"));
    }
    let what = What { done: "env updated", failed: "failed to patch env update to pod template: " };
    change(resources, &words.of, what, everywhere, caller, |pod| {
        let mut taken = Vec::new();
        for container in containers(pod).filter(|container| fits(&container.name, &words.containers)) {
            let variable = |name: &String| container.env.iter().flatten().find(|variable| variable.name == *name);
            taken.extend(pairs.set.iter().filter_map(|(name, value)| {
                let present = variable(name)?.value.as_ref().filter(|present| *present != value)?;
                Some(Failure::Error(format!("'{name}' already has a value ({present}), and --overwrite is false")))
            }));
        }
        if !words.overwrite && !taken.is_empty() {
            return taken;
        }
        for container in containers(pod).filter(|container| fits(&container.name, &words.containers)) {
            let variables = container.env.get_or_insert_default();
            variables.retain(|variable| !pairs.removed.contains(&variable.name));
            for (name, value) in &pairs.set {
                let new = EnvVar { name: name.clone(), value: Some(value.clone()), value_from: None };
                match variables.iter_mut().find(|variable| variable.name == *name) {
                    Some(variable) => *variable = new,
                    None => variables.push(new),
                }
            }
            container.env.take_if(|variables| variables.is_empty());
        }
        Vec::new()
    })
}

fn resources(words: &Resources, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    if words.limits.is_none() && words.requests.is_none() {
        return Err(Failure::error(
            "you must specify an update to requests or limits (in the form of --requests/--limits)",
        ));
    }
    Failure::all(words.of.faults(&words.words))?;
    let (limits, requests) = (amounts(words.limits.as_deref())?, amounts(words.requests.as_deref())?);
    let what =
        What { done: "resource requirements updated", failed: "failed to patch resources update to pod template " };
    change(words.words.clone(), &words.of, what, everywhere, caller, |pod| {
        let mut found = false;
        for container in containers(pod).filter(|container| fits(&container.name, &words.containers)) {
            found = true;
            let resources = container.resources.get_or_insert_default();
            for (given, present) in [(&limits, &mut resources.limits), (&requests, &mut resources.requests)] {
                if !given.is_empty() {
                    present.get_or_insert_default().extend(given.clone());
                }
            }
        }
        if found {
            Vec::new()
        } else {
            vec![Failure::Error(format!("unable to find container named {}", words.containers))]
        }
    })
}

fn amounts(text: Option<&str>) -> Result<BTreeMap<String, Written>, Failure> {
    let mut amounts = BTreeMap::new();
    for statement in text.unwrap_or_default().split(',').filter(|statement| !statement.is_empty()) {
        let parts: Vec<&str> = statement.split('=').collect();
        let [name, amount] = parts.as_slice() else {
            let text = format!("Invalid argument syntax {statement}, expected <resource>=<value>");
            return Err(Failure::Error(text));
        };
        Quantity::parse(amount).map_err(|error| Failure::Error(error.to_string()))?;
        amounts.insert((*name).to_owned(), Written((*amount).to_owned()));
    }
    Ok(amounts)
}

impl Of {
    fn faults(&self, resources: &[String]) -> Vec<Failure> {
        let mut faults = Vec::new();
        if self.all && self.selector.as_deref().is_some_and(|selector| !selector.is_empty()) {
            faults.push(Failure::error("cannot set --all and --selector at the same time"));
        }
        if self.local && self.change.dry_run.as_deref() == Some("server") {
            faults.push(Failure::error("cannot specify --local and --dry-run=server - did you mean --dry-run=client?"));
        }
        if self.local && (!resources.is_empty() || self.filenames.is_empty()) {
            faults.push(Failure::error(
                "you must specify resources by --filename when --local is set.\n\
                 Example resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'",
            ));
        } else if resources.is_empty() && self.filenames.is_empty() {
            faults.push(Failure::error(NO_TARGET));
        }
        faults
    }

    fn targets(
        &self,
        resources: &[String],
        everywhere: &Everywhere,
        caller: &mut Caller<'_>,
    ) -> Result<Vec<Target>, Failure> {
        let (filenames, selector) = (self.filenames.clone(), self.selector.clone());
        let selection = Selection { filenames, all: self.all, selector, ..Selection::default() };
        let targets = match selection.find(resources, "set", everywhere, caller)? {
            Targets::Named(targets) | Targets::Found(targets) => targets,
        };
        match targets.iter().find(|target| target.kind != Kind::Pod) {
            Some(other) => Err(Failure::Error(format!("{} {} has no containers", other.kind.plural(), other.name))),
            None => Ok(targets),
        }
    }
}

fn containers(pod: &mut Pod) -> impl Iterator<Item = &mut Container> {
    let spec = pod.spec.iter_mut();
    spec.flat_map(|spec| spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()))
}

/// A name against a pattern in which `*` stands for any letters.
fn fits(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((begin, rest)) => name
            .strip_prefix(begin)
            .is_some_and(|name| (0..=name.len()).filter_map(|at| name.get(at..)).any(|end| fits(end, rest))),
    }
}

fn change(
    resources: Vec<String>,
    of: &Of,
    what: What,
    everywhere: &Everywhere,
    caller: &mut Caller<'_>,
    apply: impl Fn(&mut Pod) -> Vec<Failure>,
) -> Result<u8, Failure> {
    let (dry_run, output) = of.change.read()?;
    let mut failures = Vec::new();
    if of.local {
        for (_, mut object) in files::load_with_sources(&of.filenames, everywhere, "set", caller)? {
            let faults = match &mut object {
                Object::Pod(pod) => apply(pod),
                other => vec![Failure::Error(format!("{} has no containers", revision::target(other).name))],
            };
            match faults.is_empty() {
                true => output.print_change(&wire::object(&object), what.done, caller)?,
                false => failures.extend(faults),
            }
        }
        return Failure::all(failures).map(|()| 0);
    }
    for target in of.targets(&resources, everywhere, caller)? {
        let Some(old) = revision::read(&caller.paths, &target)? else {
            failures.push(Failure::not_found(target.kind.plural(), &target.name));
            continue;
        };
        let mut new = old.clone();
        if let Object::Pod(pod) = &mut new {
            failures.extend(apply(pod));
        }
        if new == old {
            continue;
        }
        if let Err(failure) = put(&old, &new, &target, (dry_run, &output), what, caller) {
            failures.push(failure);
        }
    }
    Failure::all(failures).map(|()| 0)
}

fn put(
    old: &Object,
    new: &Object,
    target: &Target,
    (dry_run, output): (DryRun, &Output),
    what: What,
    caller: &mut Caller<'_>,
) -> Result<(), Failure> {
    let missing = || Failure::not_found(target.kind.plural(), &target.name);
    let refuse = |refused: Refused| {
        let mut text = format!("{}{}", what.failed, refused.message(target.kind, &target.name));
        if matches!(refused, Refused::Invalid(_)) {
            text.push_str("\nTo end the pod and make it anew: the same with --dry-run=client -o yaml | podlet replace --force -f -");
        }
        Failure::Error(text)
    };
    let mut live =
        ask::find(&caller.paths, target.kind, &target.namespace, &target.name)?.ok_or_else(missing)?.wire().clone();
    match dry_run {
        DryRun::None => {
            revision::put(new, caller).map_err(refuse)?;
            if let Some(now) = ask::find(&caller.paths, target.kind, &target.namespace, &target.name)? {
                live = now.wire().clone();
            }
        }
        DryRun::Server => {
            let errors = revision::judge(old, new);
            if !errors.is_empty() {
                return Err(refuse(Refused::Invalid(errors)));
            }
            live = revision::foreseen(&live, new);
        }
        DryRun::Client => live = revision::foreseen(&live, new),
    }
    output.print_change(&live, &format!("{}{}", what.done, dry_run.note()), caller)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_letters() {
        for (name, pattern) in
            [("web", "*"), ("web", "web"), ("web", "w*"), ("web", "*b"), ("web", "w*b"), ("abcb", "a*b")]
        {
            assert!(fits(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [("web", "we"), ("web", "x*"), ("web", "*x"), ("web", "w*e")] {
            assert!(!fits(name, pattern), "{name} {pattern}");
        }
    }
}
