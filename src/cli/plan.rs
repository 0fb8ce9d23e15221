//! `podlet plan`: the steps that a start would take, with their system calls. Starts nothing and makes nothing on the
//! machine; needs no privilege. The steps are those that are run: the same plan is lowered to the stage's table.

mod page;

use std::collections::BTreeMap;

use clap::Args;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use serde_json::{Value, json};

use super::everywhere::Everywhere;
use super::files::FileWords;
use super::resource::Kind;
use super::{Caller, Failure, check_output, config, print, stored};
use crate::config::Config;
use crate::image::{Image, ImageError, Store};
use crate::linux::cgroup::Layout;
use crate::linux::container::{Objects, PodContext, preview};
use crate::manifest::{Loaded, Object};
use crate::paths::Paths;
use crate::plan::{FIRST_DESCRIPTOR, Plan};

/// The words of `plan`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  podlet plan pod.yaml                 sandbox and containers, step by step
  podlet plan pod.yaml -o json         the same with every system call as data
  podlet plan pod.yaml --steps         without the system calls")]
pub struct Words {
    /// Which manifests.
    #[command(flatten)]
    pub files: FileWords,
    /// json.
    #[arg(short, long, value_name = "json")]
    pub output: Option<String>,
    /// The steps without their system calls.
    #[arg(long)]
    pub steps: bool,
}

/// In paths, for what a pod gets when it is applied.
const UID: &str = "<uid>";

/// One pod and its plans: the sandbox, then the containers in their order.
struct Planned<'a> {
    pod: &'a Pod,
    plans: Vec<Plan>,
    notes: Vec<String>,
}

/// Shows plans.
pub fn run(words: Words, everywhere: &Everywhere, caller: &mut Caller<'_>) -> Result<u8, Failure> {
    let output = words.output.as_deref().unwrap_or_default();
    check_output(output, &["json"])?;
    let loaded = words.files.load(everywhere, output == "json", caller)?;
    let mut pods: Vec<Pod> = Vec::new();
    for object in &loaded.objects {
        if let Object::Pod(pod) = object {
            let mut pod = (**pod).clone();
            pod.metadata.uid = Some(UID.to_owned());
            pods.push(pod);
        }
    }
    if pods.is_empty() {
        return Err(Failure::error("nothing to plan: there is no Pod among the objects"));
    }
    let config = config::load(words.files.seccomp_default(), everywhere, caller)?;
    if config.pod_pids_limit().is_some() {
        Layout::limit_processes();
    }
    let objects = Shelf::new(&loaded, &caller.paths);
    let mut planned = Vec::new();
    for pod in &pods {
        let objects = objects.of(pod.metadata.namespace.as_deref().unwrap_or("default"));
        let plans = plans(pod, &config, &objects, caller)?;
        planned.push(plans);
    }
    if output == "json" {
        let shown: Result<Vec<Value>, Failure> = planned.iter().map(data).collect();
        print::json(&json!({ "pods": shown? }), caller.out)?;
        return Ok(0);
    }
    let calls = if words.steps { page::Calls::Hidden } else { page::Calls::Shown };
    for (index, planned) in planned.iter().enumerate() {
        if index > 0 {
            caller.print("\n")?;
        }
        let text = page::page(planned.pod, &planned.plans, &caller.paths, calls).map_err(Failure::Error)?;
        caller.print(&text)?;
        planned.notes.iter().for_each(|note| caller.notice(&format!("Note: {note}")));
    }
    Ok(0)
}

fn plans<'a>(
    pod: &'a Pod,
    config: &Config,
    objects: &dyn Objects,
    caller: &Caller<'_>,
) -> Result<Planned<'a>, Failure> {
    let store = Store::open(&caller.paths.images());
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let mut images: Vec<Image> = Vec::new();
    let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    for container in init.chain(pod.spec.iter().flat_map(|spec| &spec.containers)) {
        let image = container.image.as_deref().unwrap_or_default();
        images.push(store.look(image).map_err(|error| {
            let way = match error {
                ImageError::Absent(_) => "; its user, environment and program are not known (podlet image import)",
                ImageError::Unreadable(_) if !nix::unistd::geteuid().is_root() => {
                    "; the image store is root's: use sudo"
                }
                _ => "",
            };
            Failure::Error(format!("pod {name:?}, container {:?}: {error}{way}", container.name))
        })?);
    }
    let context = PodContext {
        pod,
        paths: &caller.paths,
        seccomp_default: config.seccomp_default(),
        objects,
        trace: false,
        pids_limit: config.pod_pids_limit(),
        ignore_image_volumes: config.images.ignore_volumes.value,
    };
    let plans = preview(&context, &images)
        .map_err(|failure| Failure::Error(format!("pod {name:?} could not be started: {failure}")))?;
    Ok(Planned { pod, plans, notes: crate::linux::container::notices(&context) })
}

/// As data: names, descriptors with their numbers, steps, and calls that name the step they belong to.
fn data(planned: &Planned<'_>) -> Result<Value, Failure> {
    let mut plans = Vec::new();
    for plan in &planned.plans {
        let calls = plan.calls().map_err(|error| Failure::Error(error.to_string()))?;
        let descriptors: Vec<Value> = (FIRST_DESCRIPTOR..)
            .zip(&plan.descriptors)
            .map(|(number, held)| json!({ "number": number, "name": held.name, "about": held.about }))
            .collect();
        plans.push(json!({
            "title": plan.title,
            "newNamespaces": plan.new_namespaces,
            "intoCgroup": plan.into_cgroup,
            "descriptors": descriptors,
            "steps": plan.steps,
            "calls": calls,
        }));
    }
    let metadata = &planned.pod.metadata;
    Ok(json!({ "name": metadata.name, "namespace": metadata.namespace, "plans": plans }))
}

/// ConfigMaps and Secrets of the same files, and behind them those that are stored.
struct Shelf<'a> {
    paths: &'a Paths,
    maps: BTreeMap<(String, String), ConfigMap>,
    secrets: BTreeMap<(String, String), Secret>,
}

/// A shelf as a pod of one namespace sees it.
struct ShelfOf<'a> {
    shelf: &'a Shelf<'a>,
    namespace: &'a str,
}

impl<'a> Shelf<'a> {
    fn new(loaded: &Loaded, paths: &'a Paths) -> Shelf<'a> {
        let (mut maps, mut secrets) = (BTreeMap::new(), BTreeMap::new());
        for object in &loaded.objects {
            let metadata = object.metadata();
            let namespace = metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
            let key = (namespace, metadata.name.clone().unwrap_or_default());
            match object {
                Object::ConfigMap(map) => drop(maps.insert(key, (**map).clone())),
                Object::Secret(secret) => drop(secrets.insert(key, (**secret).clone())),
                Object::Pod(_) => {}
            }
        }
        Shelf { paths, maps, secrets }
    }

    fn of(&'a self, namespace: &'a str) -> ShelfOf<'a> {
        ShelfOf { shelf: self, namespace }
    }
}

impl Objects for ShelfOf<'_> {
    fn config_map(&self, name: &str) -> Option<ConfigMap> {
        let key = (self.namespace.to_owned(), name.to_owned());
        let stored = || stored::find(self.shelf.paths, Kind::ConfigMap, self.namespace, name).ok().flatten();
        self.shelf.maps.get(&key).cloned().or_else(stored)
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        let key = (self.namespace.to_owned(), name.to_owned());
        let stored = || stored::find(self.shelf.paths, Kind::Secret, self.namespace, name).ok().flatten();
        self.shelf.secrets.get(&key).cloned().or_else(stored)
    }
}
