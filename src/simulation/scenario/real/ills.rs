//! What keeps containers from starting, and the pod from having a sandbox or volumes, and how it is done for real: a program, an
//! image, a ConfigMap, a directory is not there, or another thing is in its place, at each start at which the scenario says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMapKeySelector, Container, EnvVar, EnvVarSource, Pod};

use super::stage::MOUNT;
use crate::manifest::resources::{Kind, list, worth};
use crate::pod::input::{Fact, ImageFailure, StartStage};
use crate::simulation::scenario::condition::Faults;
use crate::simulation::scenario::faults::{Deed, container_spec};
use crate::simulation::script::{ImageOutcome, Run, Start};

/// A registry that nobody runs, on this machine alone.
const DEAD: &str = "127.0.0.1:1";
/// The key in a ConfigMap that must be there.
const KEY: &str = "there";
/// By so much a memory limit must be lowered for memory in use to be in its way, with what a container uses anyway.
const LEAST_MEMORY: i64 = 16 << 20;
/// Whoever brings back what was missing looks ten times a second.
const LEAST_BACKOFF: Duration = Duration::from_secs(1);

/// What is tried again and again: in which the next one can be made to fail.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attempts {
    /// The starts of a container, with the look for its image.
    Container(String),
    /// The pod's volumes are set up.
    Volumes,
    /// The sandbox is made.
    Sandbox,
    /// Other cpu and memory are put in force.
    Resizes,
}

impl Attempts {
    /// Whether this fact tells how one of them went.
    pub fn are_told_by(&self, fact: &Fact) -> bool {
        match (self, fact) {
            (
                Attempts::Container(name),
                Fact::ContainerStarted { container, .. }
                | Fact::StartFailed { container, .. }
                | Fact::ImageFailed { container, .. },
            ) => name == container,
            (Attempts::Resizes, Fact::Resized { .. })
            | (Attempts::Volumes, Fact::MountFailed { attempt: Some(_), .. })
            | (Attempts::Volumes | Attempts::Sandbox, Fact::SandboxStarted { .. } | Fact::SandboxFailed { .. }) => true,
            _ => false,
        }
    }
}

/// Something that is not there, or not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// A container's program: RunContainerError.
    Program(String),
    /// The ConfigMap of its environment: CreateContainerConfigError.
    ConfigMap(String),
    /// The directory in which its root file system is made: CreateContainerError.
    Root(String),
    /// Its image: ErrImagePull from a registry that does not answer; ErrImageNeverPull; a damaged record in the store; or a name
    /// that is none, which is never mended.
    Image(String, ImageFailure),
    /// The directory of a volume: FailedMount.
    Directory,
    /// The directory of the sandbox: FailedCreatePodSandBox.
    Sandbox,
    /// So much memory that a container does not use: its limit cannot be set below, ResizeError.
    Memory(String, u64),
}

impl Lack {
    /// Of an instance that does not start.
    fn of(container: &str, run: &Run) -> Option<Lack> {
        let name = container.to_owned();
        if let Some(ImageOutcome::Missing(reason, _)) = &run.image {
            return Some(Lack::Image(name, *reason));
        }
        match &run.start {
            Start::Runs => None,
            Start::Fails(StartStage::Run, _) => Some(Lack::Program(name)),
            Start::Fails(StartStage::Config, _) => Some(Lack::ConfigMap(name)),
            Start::Fails(StartStage::Create, _) => Some(Lack::Root(name)),
        }
    }

    /// What fails for the lack of it.
    pub fn attempts(&self) -> Attempts {
        match self {
            Lack::Program(name) | Lack::ConfigMap(name) | Lack::Root(name) | Lack::Image(name, _) => {
                Attempts::Container(name.clone())
            }
            Lack::Directory => Attempts::Volumes,
            Lack::Sandbox => Attempts::Sandbox,
            Lack::Memory(..) => Attempts::Resizes,
        }
    }
}

/// The name of a container's ConfigMap.
pub fn config_map(container: &str) -> String {
    format!("podlet-test-{container}")
}

/// What a ConfigMap holds.
pub fn config_map_data() -> BTreeMap<String, String> {
    [(KEY.to_owned(), String::new())].into()
}

/// Where in the stage's directory a container's program lies that may be missing.
pub fn program(container: &str) -> String {
    format!("{container}/program")
}

/// The file of the stage that is there once what the start of this number lacks has been taken away. The instance before does not
/// end by itself until then.
pub fn taken(container: &str, start: usize) -> String {
    format!("{container}/taken.{start}")
}

/// Everything that is not there at some time.
#[derive(Debug, Default)]
pub struct Ills {
    /// All of it.
    pub all: BTreeSet<Lack>,
    /// What each attempt lacks, from the first on; the last one repeats.
    pub attempts: BTreeMap<Attempts, Vec<Option<Lack>>>,
}

impl Ills {
    /// Of what is played and done to a pod.
    pub fn of(pod: &Pod, runs: &BTreeMap<String, Vec<Run>>, deeds: &[(Duration, Deed)]) -> Ills {
        let mut ills = Ills::default();
        for (name, runs) in runs {
            let lacks: Vec<Option<Lack>> = runs.iter().map(|run| Lack::of(name, run)).collect();
            ills.all.extend(lacks.iter().flatten().cloned());
            if lacks.iter().any(Option::is_some) {
                ills.attempts.insert(Attempts::Container(name.clone()), lacks);
            }
        }
        for (time, lack, times) in lacks(pod, deeds) {
            ills.all.insert(lack.clone());
            if time.is_zero() {
                // Before anything is begun.
                interpose(ills.attempts.entry(lack.attempts()).or_default(), 0, &lack, times);
            }
        }
        ills
    }

    /// What a container's start of this number lacks.
    pub fn of_start(&self, container: &str, start: usize) -> Option<&Lack> {
        let list = self.attempts.get(&Attempts::Container(container.to_owned()))?;
        list.get(start).or(list.last())?.as_ref()
    }

    /// Its image, where that is not podlet's own at all times, with its pull policy.
    pub fn image(&self, container: &str) -> Option<(String, &'static str)> {
        let of_it = |lack: &Lack| match lack {
            Lack::Image(name, reason) if name == container => Some(*reason),
            _ => None,
        };
        let reasons: Vec<ImageFailure> = self.all.iter().filter_map(of_it).collect();
        let has = |reason: ImageFailure| reasons.contains(&reason);
        let name = |registry: &str| format!("{registry}/podlet-test/{container}:1");
        if reasons.is_empty() {
            return None;
        }
        Some(if has(ImageFailure::InvalidImageName) {
            (format!("localhost/podlet-test/{container}:no name"), "IfNotPresent")
        } else if has(ImageFailure::ErrImagePull) {
            (name(DEAD), "IfNotPresent")
        } else {
            (name("localhost"), "Never")
        })
    }

    /// Gives a container what can be taken from it.
    pub fn dress(&self, container: &mut Container) {
        for lack in &self.all {
            match lack {
                Lack::Program(name) if *name == container.name => {
                    container.command = Some(vec![format!("{MOUNT}/{}", program(name))]);
                }
                Lack::ConfigMap(name) if *name == container.name => {
                    let key = ConfigMapKeySelector { key: KEY.to_owned(), name: config_map(name), optional: None };
                    let source = EnvVarSource { config_map_key_ref: Some(key), ..EnvVarSource::default() };
                    let name = "PODLET_TEST".to_owned();
                    container.env = Some(vec![EnvVar { name, value: None, value_from: Some(source) }]);
                }
                _ => {}
            }
        }
        if let Some((image, policy)) = self.image(&container.name) {
            container.image = Some(image);
            container.image_pull_policy = Some(policy.to_owned());
        }
    }
}

/// The next attempts, from this number on, lack something, before what was to come.
pub fn interpose(list: &mut Vec<Option<Lack>>, next: usize, lack: &Lack, times: u32) {
    let last = list.last().cloned().flatten();
    while list.len() <= next {
        list.push(last.clone());
    }
    list.splice(next..next, std::iter::repeat_n(Some(lack.clone()), times as usize));
}

/// What faults take away, when, and for how many attempts.
pub fn lacks(pod: &Pod, deeds: &[(Duration, Deed)]) -> Vec<(Duration, Lack, u32)> {
    let (mut found, mut before) = (Vec::new(), pod);
    for (index, (time, deed)) in deeds.iter().enumerate() {
        let (lack, times) = match deed {
            Deed::NextStarts(container, run, times) => (Lack::of(container, run), times),
            Deed::NextVolumes(_, times) => (Some(Lack::Directory), times),
            Deed::NextSandboxes(_, times) => (Some(Lack::Sandbox), times),
            Deed::NextResizes(_, times) => (memory(before, deeds.get(index + 1..).unwrap_or_default()), times),
            Deed::Apply(pod) => {
                before = &**pod;
                continue;
            }
            _ => continue,
        };
        found.extend(lack.map(|lack| (*time, lack, *times)));
    }
    found
}

/// The container whose memory limit the next re-apply lowers by enough, and what keeps it from being lowered.
fn memory(before: &Pod, deeds: &[(Duration, Deed)]) -> Option<Lack> {
    let after = deeds.iter().find_map(|(_, deed)| if let Deed::Apply(pod) = deed { Some(&**pod) } else { None })?;
    let lowered = |old: &Container| {
        let new = container_spec(after, &old.name)?;
        let (old_limit, new_limit) = (memory_limit(old), memory_limit(new));
        let less = new_limit > 0 && old_limit.saturating_sub(new_limit) >= LEAST_MEMORY;
        less.then(|| Some(Lack::Memory(old.name.clone(), u64::try_from(new_limit).ok()?))).flatten()
    };
    before.spec.iter().flat_map(|spec| &spec.containers).find_map(lowered)
}

/// In bytes; 0 where there is none.
pub fn memory_limit(spec: &Container) -> i64 {
    let limits = list(spec.resources.as_ref(), Kind::Limits);
    limits.and_then(|limits| limits.get("memory")).map_or(0, |limit| worth(limit).value())
}

/// What of it cannot be done. A back-off lasts at least so long.
pub fn refusals(
    pod: &Pod,
    runs: &BTreeMap<String, Vec<Run>>,
    deeds: &[(Duration, Deed)],
    backoff: Duration,
    found: &mut Faults<'_>,
) {
    for (name, runs) in runs {
        let path = format!("spec.actors.{name}");
        let lacks: Vec<Option<Lack>> = runs.iter().map(|run| Lack::of(name, run)).collect();
        let program = |lack: &Option<Lack>| matches!(lack, Some(Lack::Program(_)));
        if let [first, second, ..] = lacks.as_slice()
            && program(first)
            && first != second
        {
            let text = "a program that cannot be started at first is tried again at once, before anybody can mend it: let it \
                        fail twice or more (times: 2), or each time";
            found.add(&path, text);
        }
        let changes = lacks.windows(2).any(|two| matches!(two, [before, then] if program(before) && before != then));
        if changes && backoff < LEAST_BACKOFF {
            let text = "a program that is missing is brought again within a back-off: let that be 1s or more \
                        (spec.kubelet.initialContainerRestartPeriod)";
            found.add(&path, text);
        }
        let later = lacks.windows(2).any(|two| matches!(two, [None, Some(_)]));
        let of_it = |(_, deed): &&(Duration, Deed)| matches!(deed, Deed::NextStarts(other, ..) if other == name);
        if later && deeds.iter().any(|deed| of_it(&deed)) {
            let text = "later starts fail by what is said here, or by faults, not by both: which start it is that comes after a \
                        fault, nobody knows before";
            found.add(&path, text);
        }
    }
    let ills = Ills::of(pod, runs, deeds);
    images(&ills, runs, found);
    let resizes = |(_, deed): &&(Duration, Deed)| matches!(deed, Deed::NextResizes(..));
    let held: BTreeSet<&Lack> = ills.all.iter().filter(|lack| matches!(lack, Lack::Memory(..))).collect();
    let refused = lacks(pod, deeds).iter().filter(|(_, lack, _)| matches!(lack, Lack::Memory(..))).count();
    if refused < deeds.iter().filter(resizes).count() {
        let text = "a real cgroup refuses a resize only by memory that is in use: let an `apply` follow resizeError that lowers \
                    a container's memory limit by 16Mi or more";
        found.add("spec.faults", text);
    }
    if held.len() > 1 {
        let text = "one container can be made to use its memory, and one amount of it: let all that follow resizeError set the \
                    same limit";
        found.add("spec.faults", text);
    }
}

/// What cannot be had of images.
fn images(ills: &Ills, runs: &BTreeMap<String, Vec<Run>>, found: &mut Faults<'_>) {
    let mut images: BTreeMap<&str, BTreeSet<ImageFailure>> = BTreeMap::new();
    for lack in &ills.all {
        if let Lack::Image(name, reason) = lack {
            images.entry(name).or_default().insert(*reason);
        }
    }
    for (name, reasons) in images {
        let has = |reason: ImageFailure| reasons.contains(&reason);
        if has(ImageFailure::ErrImagePull) && has(ImageFailure::ErrImageNeverPull) {
            let text =
                format!("the image of {name} is either pulled (ErrImagePull) or never pulled (ErrImageNeverPull)");
            found.add("spec.faults", text);
        }
        let lacks = |run: &Run| matches!(Lack::of(name, run), Some(Lack::Image(_, ImageFailure::InvalidImageName)));
        if has(ImageFailure::InvalidImageName) && !runs.get(name).is_some_and(|runs| runs.iter().all(lacks)) {
            let text = format!(
                "a name that is none (InvalidImageName) stays so: let each start of {name} fail by it, in spec.actors"
            );
            found.add(
                if runs.get(name).is_some_and(|runs| runs.iter().any(lacks)) { "spec.actors" } else { "spec.faults" },
                text,
            );
        }
    }
}
